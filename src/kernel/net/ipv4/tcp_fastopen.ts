import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracer } from '../../../trace/tracer.ts'
import { get_random_bytes } from '../../drivers/char/random.ts'
import {
  HZ,
  ICSK_TIME_RETRANS,
  TCP_FASTOPEN_KEY_LENGTH,
  TCP_RTO_MAX,
  TCPHDR_FIN,
  TCPHDR_SYN,
} from '../../include/generated/enums.ts'
import { siphash_key_t } from '../../include/linux/siphash.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC, GFP_KERNEL } from '../../include/linux/slab.ts'
import { AF_INET } from '../../include/linux/socket.ts'
import { tcp_hdr, tcp_hdrlen } from '../../include/linux/tcp.ts'
import type { ref } from '../../include/linux/types.ts'
import { type dst_entry, RTAX_FASTOPEN_NO_COOKIE } from '../../include/net/dst.ts'
import { type inet_connection_sock, inet_csk } from '../../include/net/inet_connection_sock.ts'
import { INET_FLAGS_DEFER_CONNECT, inet_set_bit } from '../../include/net/inet_sock.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { request_sock } from '../../include/net/request_sock.ts'
import type { sock } from '../../include/net/sock.ts'
import {
  TCP_FASTOPEN_COOKIE_SIZE,
  TCP_SKB_CB,
  TFO_CLIENT_NO_COOKIE,
  TFO_SERVER_COOKIE_NOT_REQD,
  TFO_SERVER_ENABLE,
  tcp_fastopen_cookie,
  tcp_fastopen_request,
  tcp_rsk,
  tcp_sk,
} from '../../include/net/tcp.ts'
import { spin_lock, spin_unlock } from '../../kernel/locking/spinlock.ts'
import { call_rcu, rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { jiffies } from '../../kernel/time/timer.ts'
import { siphash, siphash_high } from '../../lib/siphash.ts'
import { kfree, kmalloc, kzalloc } from '../../mm/slub.ts'
import { dst_metric } from '../core/dst.ts'
import { reqsk_put } from '../core/request_sock.ts'
import { __skb_pull, skb_clone, skb_rb_first, skb_rb_next } from '../core/skbuff.ts'
import { __sk_dst_get, skb_set_owner_r, sock_net } from '../core/sock.ts'
import { inet_csk_reset_xmit_timer } from './inet_connection_sock.ts'
import {
  BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB,
  tcp_add_receive_queue,
  tcp_cleanup_skb,
  tcp_fastopen_cookie_match,
  tcp_segs_in,
  tcp_timeout_init,
} from './tcp_inlines.ts'
import { tcp_fin, tcp_init_transfer } from './tcp_input.ts'
import { tcp_fastopen_cache_get } from './tcp_metrics.ts'
import { sk_forced_mem_schedule } from './tcp_output.ts'

const IFF_LOOPBACK = 8
/** enum tcp_fastopen_client_fail */
const TFO_COOKIE_UNAVAILABLE = 1
/** sizeof(struct tcp_fastopen_context) and of tcp_fastopen_request */
const SIZEOF_TCP_FASTOPEN_CONTEXT = 56
const SIZEOF_TCP_FASTOPEN_REQUEST = 56

/** include/net/tcp.h struct tcp_fastopen_context: the keys that cookies are made with, the newest first */
export class tcp_fastopen_context {
  key: siphash_key_t[] = []
  /** what kmalloc() gave for it */
  mem: unknown = null
}

const key_of = (bytes: Uint8Array): siphash_key_t => {
  const key = new siphash_key_t()
  key.bytes.set(bytes.subarray(0, TCP_FASTOPEN_KEY_LENGTH))
  return key
}

export const tcp_fastopen_init_key_once = kfunc('tcp_fastopen_init_key_once', (net: net): void => {
  rcu_read_lock()
  const ctxt = net.ipv4.tcp_fastopen_ctx
  rcu_read_unlock()
  if (ctxt) return
  const key = new Uint8Array(TCP_FASTOPEN_KEY_LENGTH)
  get_random_bytes(key, key.length)
  tcp_fastopen_reset_cipher(net, null, key, null)
})

export const tcp_fastopen_ctx_free = kfunc('tcp_fastopen_ctx_free', (ctx: tcp_fastopen_context): void => {
  kfree(ctx.mem)
})

export const tcp_fastopen_destroy_cipher = kfunc('tcp_fastopen_destroy_cipher', (sk: sock): void => {
  const { ctx } = inet_csk(sk).icsk_accept_queue.fastopenq
  if (ctx) call_rcu(ctx as tcp_fastopen_context, tcp_fastopen_ctx_free)
})

export const tcp_fastopen_ctx_destroy = kfunc('tcp_fastopen_ctx_destroy', (net: net): void => {
  const ctxt = net.ipv4.tcp_fastopen_ctx
  net.ipv4.tcp_fastopen_ctx = null
  if (ctxt) call_rcu(ctxt as tcp_fastopen_context, tcp_fastopen_ctx_free)
})

/** keys of 16 bytes; for the whole namespace when `sk` is null */
export const tcp_fastopen_reset_cipher = kfunc(
  'tcp_fastopen_reset_cipher',
  (net: net, sk: sock | null, primary_key: Uint8Array, backup_key: Uint8Array | null): number => {
    const ctx = new tcp_fastopen_context()
    ctx.mem = kmalloc(SIZEOF_TCP_FASTOPEN_CONTEXT, GFP_KERNEL)
    ctx.key = backup_key === null ? [key_of(primary_key)] : [key_of(primary_key), key_of(backup_key)]
    let octx: unknown
    if (sk !== null) {
      const q = inet_csk(sk).icsk_accept_queue.fastopenq
      octx = q.ctx
      q.ctx = ctx
    } else {
      octx = net.ipv4.tcp_fastopen_ctx
      net.ipv4.tcp_fastopen_ctx = ctx
    }
    if (octx) call_rcu(octx as tcp_fastopen_context, tcp_fastopen_ctx_free)
    return 0
  },
)

/** writes the keys to `key` as 64-bit numbers, two for each; @returns how many keys there are */
export const tcp_fastopen_get_cipher = kfunc(
  'tcp_fastopen_get_cipher',
  (net: net, icsk: inet_connection_sock | null, key: BigUint64Array): number => {
    rcu_read_lock()
    const ctx = (icsk !== null ? icsk.icsk_accept_queue.fastopenq.ctx : net.ipv4.tcp_fastopen_ctx) as tcp_fastopen_context | null
    const keys = ctx === null ? [] : ctx.key
    keys.forEach((k, i) => {
      const [a = 0, b = 0, c = 0, d = 0] = k.key
      key[i * 2] = (BigInt(b) << 32n) | BigInt(a)
      key[i * 2 + 1] = (BigInt(d) << 32n) | BigInt(c)
    })
    rcu_read_unlock()
    return keys.length
  },
)

const tcp_fastopen_get_ctx = (sk: sock): tcp_fastopen_context | null =>
  (inet_csk(sk).icsk_accept_queue.fastopenq.ctx ?? sock_net(sk).ipv4.tcp_fastopen_ctx) as tcp_fastopen_context | null

/** the cookie is a hash of both addresses */
export const __tcp_fastopen_cookie_gen_cipher = kfunc(
  '__tcp_fastopen_cookie_gen_cipher',
  (req: request_sock, syn: sk_buff, key: siphash_key_t, foc: tcp_fastopen_cookie): boolean => {
    const v4 = req.rsk_ops.family === AF_INET
    const at = syn.network_header + (v4 ? 12 : 8)
    const len = v4 ? 8 : 32
    const low = siphash(syn.head.bytes.subarray(at, at + len), len, key)
    const v = new DataView(foc.val.buffer, foc.val.byteOffset)
    v.setUint32(0, low, true)
    v.setUint32(4, siphash_high(), true)
    foc.len = TCP_FASTOPEN_COOKIE_SIZE
    return true
  },
)

export const tcp_fastopen_cookie_gen = kfunc(
  'tcp_fastopen_cookie_gen',
  (sk: sock, req: request_sock, syn: sk_buff, foc: tcp_fastopen_cookie): void => {
    rcu_read_lock()
    const key = tcp_fastopen_get_ctx(sk)?.key[0]
    if (key !== undefined) __tcp_fastopen_cookie_gen_cipher(req, syn, key, foc)
    rcu_read_unlock()
  },
)

const tcp_fastopen_add_skb_part_0 = kfunc('tcp_fastopen_add_skb.part.0', (sk: sock, syn: sk_buff): void => {
  const tp = tcp_sk(sk)
  const skb = skb_clone(syn, GFP_ATOMIC)
  if (skb === null) return
  const cb = TCP_SKB_CB(skb)
  tcp_cleanup_skb(skb)
  // counted once already, when the child was made
  tp.segs_in = 0
  tcp_segs_in(tp, skb)
  __skb_pull(skb, tcp_hdrlen(skb))
  sk_forced_mem_schedule(sk, skb.truesize)
  skb_set_owner_r(skb, sk)
  cb.seq = (cb.seq + 1) >>> 0
  cb.tcp_flags &= ~TCPHDR_SYN
  tp.rcv_nxt = cb.end_seq
  tcp_add_receive_queue(sk, skb)
  tp.syn_data_acked = 1
  tp.bytes_received = skb.len
  if (cb.tcp_flags & TCPHDR_FIN) tcp_fin(sk)
})
/** the payload of a SYN or SYN-ACK goes to the receive queue */
export const tcp_fastopen_add_skb = kfunc('tcp_fastopen_add_skb', (sk: sock, skb: sk_buff): void => {
  if (TCP_SKB_CB(skb).end_seq !== tcp_sk(sk).rcv_nxt) tcp_fastopen_add_skb_part_0(sk, skb)
})

/** @returns which key the cookie was made with, counted from 1; 0 for none */
export const tcp_fastopen_cookie_gen_check = kfunc(
  'tcp_fastopen_cookie_gen_check',
  (sk: sock, req: request_sock, syn: sk_buff, orig: tcp_fastopen_cookie, valid_foc: tcp_fastopen_cookie): number => {
    let foc = valid_foc
    let ret = 0
    rcu_read_lock()
    const keys = tcp_fastopen_get_ctx(sk)?.key ?? []
    for (const [i, key] of keys.entries()) {
      __tcp_fastopen_cookie_gen_cipher(req, syn, key, foc)
      if (tcp_fastopen_cookie_match(foc, orig)) {
        ret = i + 1
        break
      }
      foc = new tcp_fastopen_cookie()
    }
    rcu_read_unlock()
    return ret
  },
)

/** a full socket before the handshake is done: the SYN's data can be read at once */
export const tcp_fastopen_create_child = kfunc(
  'tcp_fastopen_create_child',
  (sk: sock, skb: sk_buff, req: request_sock): sock | null => {
    const queue = inet_csk(sk).icsk_accept_queue
    const { syn_recv_sock } = inet_csk(sk).icsk_af_ops
    if (tracer.on) traceIndirect('icsk->icsk_af_ops->syn_recv_sock', nameOf(syn_recv_sock))
    const child = syn_recv_sock(sk, skb, req, null, null, { v: false }, null)
    if (child === null) return null

    spin_lock(queue.fastopenq.lock)
    queue.fastopenq.qlen++
    spin_unlock(queue.fastopenq.lock)

    const tp = tcp_sk(child)
    tp.fastopen_rsk = req
    tcp_rsk(req).tfo_listener = true
    // never scaled in a SYN
    tp.snd_wnd = tcp_hdr(skb).window
    tp.max_window = tp.snd_wnd
    req.timeout = tcp_timeout_init(child)
    inet_csk_reset_xmit_timer(child, ICSK_TIME_RETRANS, req.timeout, TCP_RTO_MAX)
    req.rsk_refcnt = 2

    tcp_init_transfer(child, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, skb)
    tp.rcv_nxt = (TCP_SKB_CB(skb).seq + 1) >>> 0
    tcp_fastopen_add_skb(child, skb)
    tcp_rsk(req).rcv_nxt = tp.rcv_nxt
    tp.rcv_wup = tp.rcv_nxt
    return child
  },
)

/** whether the listener takes one more that is not confirmed yet */
export const tcp_fastopen_queue_check = kfunc('tcp_fastopen_queue_check', (sk: sock): boolean => {
  const { fastopenq } = inet_csk(sk).icsk_accept_queue
  if (fastopenq.max_qlen === 0) return false
  if (fastopenq.qlen >= fastopenq.max_qlen) {
    spin_lock(fastopenq.lock)
    const req1 = fastopenq.rskq_rst_head
    if (req1 === null || req1.rsk_timer.expires > jiffies()) {
      sock_net(sk).mib.linux.TCPFastOpenListenOverflow++
      spin_unlock(fastopenq.lock)
      return false
    }
    fastopenq.rskq_rst_head = req1.dl_next
    fastopenq.qlen--
    spin_unlock(fastopenq.lock)
    reqsk_put(req1)
  }
  return true
})

export const tcp_fastopen_no_cookie = kfunc(
  'tcp_fastopen_no_cookie',
  (sk: sock, dst: dst_entry | null, flag: number): boolean =>
    (sock_net(sk).ipv4.sysctl_tcp_fastopen & flag) !== 0 ||
    tcp_sk(sk).fastopen_no_cookie !== 0 ||
    (dst !== null && dst_metric(dst, RTAX_FASTOPEN_NO_COOKIE) !== 0),
)

const assign_cookie = (to: tcp_fastopen_cookie, from: tcp_fastopen_cookie): void => {
  to.val.set(from.val)
  to.len = from.len
  to.exp = from.exp
}

/** the child for a SYN that may bring data along, else null; `foc` becomes what the SYN-ACK is to carry */
export const tcp_try_fastopen = kfunc(
  'tcp_try_fastopen',
  (sk: sock, skb: sk_buff, req: request_sock, foc: tcp_fastopen_cookie, dst: dst_entry | null): sock | null => {
    const cb = TCP_SKB_CB(skb)
    const syn_data = cb.end_seq !== (cb.seq + 1) >>> 0
    const { linux } = sock_net(sk).mib
    if (foc.len === 0) linux.TCPFastOpenCookieReqd++
    if (
      !(sock_net(sk).ipv4.sysctl_tcp_fastopen & TFO_SERVER_ENABLE && (syn_data || foc.len >= 0) && tcp_fastopen_queue_check(sk))
    ) {
      foc.len = -1
      return null
    }

    const valid_foc = new tcp_fastopen_cookie()
    valid_foc.len = -1
    let ret = 0
    let fastopen = tcp_fastopen_no_cookie(sk, dst, TFO_SERVER_COOKIE_NOT_REQD)
    if (!fastopen) {
      if (foc.len === 0) tcp_fastopen_cookie_gen(sk, req, skb, valid_foc)
      else if (foc.len > 0) {
        ret = tcp_fastopen_cookie_gen_check(sk, req, skb, foc, valid_foc)
        fastopen = ret !== 0
        if (!fastopen) linux.TCPFastOpenPassiveFail++
      }
    }
    if (fastopen) {
      const child = tcp_fastopen_create_child(sk, skb, req)
      if (child !== null) {
        if (ret === 2) {
          valid_foc.exp = foc.exp
          assign_cookie(foc, valid_foc)
          linux.TCPFastOpenPassiveAltKey++
        } else foc.len = -1
        linux.TCPFastOpenPassive++
        return child
      }
      linux.TCPFastOpenPassiveFail++
    }
    valid_foc.exp = foc.exp
    assign_cookie(foc, valid_foc)
    return null
  },
)

/** whether the SYN may carry data: there is a cookie of this peer, or none is needed */
export const tcp_fastopen_cookie_check = kfunc(
  'tcp_fastopen_cookie_check',
  (sk: sock, mss: ref<number>, cookie: tcp_fastopen_cookie): boolean => {
    tcp_fastopen_cache_get(sk, mss, cookie)
    if (tcp_fastopen_active_should_disable(sk)) {
      cookie.len = -1
      return false
    }
    if (tcp_fastopen_no_cookie(sk, __sk_dst_get(sk), TFO_CLIENT_NO_COOKIE)) {
      cookie.len = -1
      return true
    }
    if (cookie.len > 0) return true
    tcp_sk(sk).fastopen_client_fail = TFO_COOKIE_UNAVAILABLE
    return false
  },
)

/** whether connect() leaves the SYN to the first write */
export const tcp_fastopen_defer_connect = kfunc('tcp_fastopen_defer_connect', (sk: sock, _err: ref<number>): boolean => {
  const tp = tcp_sk(sk)
  if (tp.fastopen_connect && tp.fastopen_req === null) {
    const cookie = new tcp_fastopen_cookie()
    if (tcp_fastopen_cookie_check(sk, { v: 0 }, cookie)) {
      inet_set_bit(INET_FLAGS_DEFER_CONNECT, sk)
      return true
    }
    kzalloc(SIZEOF_TCP_FASTOPEN_REQUEST, sk.sk_allocation)
    tp.fastopen_req = new tcp_fastopen_request()
    assign_cookie(tp.fastopen_req.cookie, cookie)
  }
  return false
})

/** something on the path swallows Fast Open: not for a while */
export const tcp_fastopen_active_disable = kfunc('tcp_fastopen_active_disable', (sk: sock): void => {
  const net = sock_net(sk)
  if (!net.ipv4.sysctl_tcp_fastopen_blackhole_timeout) return
  net.ipv4.tfo_active_disable_stamp = jiffies()
  net.ipv4.tfo_active_disable_times++
  net.mib.linux.TCPFastOpenBlackhole++
})

export const tcp_fastopen_active_should_disable = kfunc('tcp_fastopen_active_should_disable', (sk: sock): boolean => {
  const { ipv4 } = sock_net(sk)
  const times = ipv4.tfo_active_disable_times
  if (!ipv4.sysctl_tcp_fastopen_blackhole_timeout || !times) return false
  // twice as long each time, up to 64 times
  const multiplier = 1 << Math.min(times - 1, 6)
  if (jiffies() < ipv4.tfo_active_disable_stamp + multiplier * ipv4.sysctl_tcp_fastopen_blackhole_timeout * HZ) {
    if (tracer.on) decide('tcp_fastopen_active_should_disable', 'Fast Open is off for a while', { times })
    return true
  }
  tcp_sk(sk).syn_fastopen_ch = 1
  return false
})

export const tcp_fastopen_active_disable_ofo_check = kfunc('tcp_fastopen_active_disable_ofo_check', (sk: sock): void => {
  const tp = tcp_sk(sk)
  if (!tp.syn_fastopen) return
  if (!tp.data_segs_in) {
    // nothing came but a FIN after a hole
    const skb = skb_rb_first(tp.out_of_order_queue)
    if (skb !== null && skb_rb_next(skb) === null && TCP_SKB_CB(skb).tcp_flags & TCPHDR_FIN) tcp_fastopen_active_disable(sk)
  } else if (tp.syn_fastopen_ch && sock_net(sk).ipv4.tfo_active_disable_times) {
    rcu_read_lock()
    const dev = __sk_dst_get(sk)?.dev ?? null
    if (!(dev !== null && dev.flags & IFF_LOOPBACK)) sock_net(sk).ipv4.tfo_active_disable_times = 0
    rcu_read_unlock()
  }
})

export const tcp_fastopen_active_detect_blackhole = kfunc(
  'tcp_fastopen_active_detect_blackhole',
  (sk: sock, expired: boolean): void => {
    const tp = tcp_sk(sk)
    const timeouts = tp.icsk_retransmits
    if ((tp.syn_fastopen || tp.syn_data || tp.syn_data_acked) && (timeouts === 2 || (timeouts < 2 && expired))) {
      tcp_fastopen_active_disable(sk)
      sock_net(sk).mib.linux.TCPFastOpenActiveFail++
    }
  },
)
