import { random } from '../../../sim/random.ts'
import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracer } from '../../../trace/tracer.ts'
import {
  IPPROTO_TCP,
  SKB_DROP_REASON_IP_OUTNOROUTES,
  SKB_DROP_REASON_NO_SOCKET,
  SKB_DROP_REASON_SECURITY_HOOK,
  SOCK_RCVBUF_LOCK,
} from '../../include/generated/enums.ts'
import { EINVAL } from '../../include/linux/errno.ts'
import { core_initcall } from '../../include/linux/init.ts'
import { ip_hdr, type iphdr } from '../../include/linux/ip.ts'
import { siphash_key_t } from '../../include/linux/siphash.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { tcp_hdr, type tcphdr } from '../../include/linux/tcp.ts'
import { IS_ERR, NSEC_PER_MSEC, NSEC_PER_USEC, type ref } from '../../include/linux/types.ts'
import { type dst_entry, RTAX_INITRWND, RTAX_WINDOW } from '../../include/net/dst.ts'
import { flowi4, flowi4_init_output, flowi4_to_flowi_common } from '../../include/net/flow.ts'
import { inet_csk } from '../../include/net/inet_connection_sock.ts'
import { inet_rsk, inet_sk, inet_sk_flowi_flags } from '../../include/net/inet_sock.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { request_sock, request_sock_ops } from '../../include/net/request_sock.ts'
import type { sock } from '../../include/net/sock.ts'
import { TCP_SACK_SEEN, TCP_SKB_CB, tcp_options_received, tcp_rsk, tcp_sk } from '../../include/net/tcp.ts'
import { siphash_4u32 } from '../../lib/siphash.ts'
import { security_inet_conn_request, security_req_classify_flow } from '../../security/security.ts'
import { dst_metric } from '../core/dst.ts'
import { __reqsk_free, reqsk_free, reqsk_put } from '../core/request_sock.ts'
import { secure_tcp_seq_and_ts_off } from '../core/secure_seq.ts'
import { sk_skb_reason_drop } from '../core/skbuff.ts'
import { bh_unlock_sock, net_tx_rndhash, sock_put, sock_rps_save_rxhash } from '../core/sock.ts'
import {
  inet_csk_reqsk_queue_add,
  inet_reqsk_alloc,
  inet_request_bound_dev_if,
  inet_request_mark,
} from './inet_connection_sock.ts'
import { ip_route_output_key, ip_sock_rt_scope, ip_sock_rt_tos } from './route.ts'
import { cookie_ecn_ok, tcp_cookie_time, tcp_full_space, tcp_ns_to_ts, tcp_synq_no_recent_overflow } from './tcp_inlines.ts'
import { tcp_clear_options, tcp_parse_options } from './tcp_input.ts'
import { tcp_request_sock_ops, tcp_v4_save_options } from './tcp_ipv4.ts'
import { tcp_select_initial_window } from './tcp_output.ts'

const COOKIEBITS = 24
/** minutes */
const MAX_SYNCOOKIE_AGE = 2
const COOKIEMASK = (1 << COOKIEBITS) - 1
/** no window scaling */
const TS_OPT_WSCALE_MASK = 0xf
const TS_OPT_SACK = 1 << 4
const TS_OPT_ECN = 1 << 5
const TSBITS = 6

let syncookie_secret: readonly [siphash_key_t, siphash_key_t]

core_initcall(() => {
  syncookie_secret = [new siphash_key_t(), new siphash_key_t()]
  for (const secret of syncookie_secret) for (let i = 0; i < 4; i++) secret.key[i] = random.u32()
})

const cookie_hash = kfunc(
  'cookie_hash',
  (saddr: number, daddr: number, sport: number, dport: number, count: number, c: number): number =>
    siphash_4u32(saddr, daddr, ((sport << 16) | dport) >>> 0, count, syncookie_secret[c === 0 ? 0 : 1]) >>> 0,
)

/** options of a SYN in the low bits of a timestamp that lies no more than 64 ticks back; in nanoseconds */
export const cookie_init_timestamp = kfunc('cookie_init_timestamp', (req: request_sock, now: number): number => {
  const ireq = inet_rsk(req)
  const ts_now = tcp_ns_to_ts(false, now)
  let options = ireq.wscale_ok ? ireq.snd_wscale : TS_OPT_WSCALE_MASK
  if (ireq.sack_ok) options |= TS_OPT_SACK
  if (ireq.ecn_ok) options |= TS_OPT_ECN

  let ts = ts_now - (ts_now % (1 << TSBITS)) + options
  if (ts > ts_now) ts -= 1 << TSBITS

  return ts * (tcp_rsk(req).req_usec_ts ? NSEC_PER_USEC : NSEC_PER_MSEC)
})

/** a sequence number that says when it was made and, to whoever knows the secret, for whom and with which `data` */
const secure_tcp_syn_cookie = kfunc(
  'secure_tcp_syn_cookie',
  (saddr: number, daddr: number, sport: number, dport: number, sseq: number, data: number): number => {
    const count = tcp_cookie_time()
    return (
      (cookie_hash(saddr, daddr, sport, dport, 0, 0) +
        sseq +
        ((count << COOKIEBITS) >>> 0) +
        ((cookie_hash(saddr, daddr, sport, dport, count, 1) + data) & COOKIEMASK)) >>>
      0
    )
  },
)

/** the `data` of a cookie; something large when it is none, or too old */
const check_tcp_syn_cookie = kfunc(
  'check_tcp_syn_cookie',
  (cookie: number, saddr: number, daddr: number, sport: number, dport: number, sseq: number): number => {
    const count = tcp_cookie_time()
    const left = (cookie - cookie_hash(saddr, daddr, sport, dport, 0, 0) - sseq) >>> 0
    const diff = (count - (left >>> COOKIEBITS)) & (0xffffffff >>> COOKIEBITS)
    if (diff >= MAX_SYNCOOKIE_AGE) return 0xffffffff

    return (left - cookie_hash(saddr, daddr, sport, dport, (count - diff) >>> 0, 1)) & COOKIEMASK
  },
)

/** what a cookie can say about the MSS */
const msstab: readonly number[] = [536, 1300, 1440, 1460]

export const __cookie_v4_init_sequence = kfunc(
  '__cookie_v4_init_sequence',
  (iph: iphdr, th: tcphdr, mssp: ref<number>): number => {
    let mssind = msstab.length - 1
    while (mssind > 0 && mssp.v < (msstab[mssind] ?? 0)) mssind--
    mssp.v = msstab[mssind] ?? 0

    return secure_tcp_syn_cookie(iph.saddr, iph.daddr, th.source, th.dest, th.seq, mssind)
  },
)

export const cookie_v4_init_sequence = kfunc('cookie_v4_init_sequence', (skb: sk_buff, mssp: ref<number>): number =>
  __cookie_v4_init_sequence(ip_hdr(skb), tcp_hdr(skb), mssp),
)

/** the MSS that a cookie says, 0 when it is none */
export const __cookie_v4_check = kfunc('__cookie_v4_check', (iph: iphdr, th: tcphdr): number => {
  const cookie = (th.ack_seq - 1) >>> 0
  const seq = (th.seq - 1) >>> 0

  return msstab[check_tcp_syn_cookie(cookie, iph.saddr, iph.daddr, th.source, th.dest, seq)] ?? 0
})

export const tcp_get_cookie_sock = kfunc(
  'tcp_get_cookie_sock',
  (sk: sock, skb: sk_buff, req: request_sock, dst: dst_entry): sock | null => {
    const own_req = { v: false }
    const { syn_recv_sock } = inet_csk(sk).icsk_af_ops

    if (tracer.on) traceIndirect('icsk->icsk_af_ops->syn_recv_sock', nameOf(syn_recv_sock))
    const child = syn_recv_sock(sk, skb, req, dst, null, own_req, null)
    if (child !== null) {
      req.rsk_refcnt = 1
      sock_rps_save_rxhash(child, skb)

      if (inet_csk_reqsk_queue_add(sk, req, child) !== null) return child

      bh_unlock_sock(child)
      sock_put(child)
      reqsk_put(req)
      return null
    }
    __reqsk_free(req)

    return null
  },
)

/** options out of the timestamp that came back; false when one of them is switched off here */
export const cookie_timestamp_decode = kfunc('cookie_timestamp_decode', (net: net, tcp_opt: tcp_options_received): boolean => {
  const options = tcp_opt.rcv_tsecr

  if (!tcp_opt.saw_tstamp) {
    tcp_clear_options(tcp_opt)
    return true
  }

  if (!net.ipv4.sysctl_tcp_timestamps) return false

  tcp_opt.sack_ok = options & TS_OPT_SACK ? TCP_SACK_SEEN : 0

  if (tcp_opt.sack_ok && !net.ipv4.sysctl_tcp_sack) return false

  if ((options & TS_OPT_WSCALE_MASK) === TS_OPT_WSCALE_MASK) return true

  tcp_opt.wscale_ok = 1
  tcp_opt.snd_wscale = options & TS_OPT_WSCALE_MASK

  return net.ipv4.sysctl_tcp_window_scaling !== 0
})

const cookie_tcp_reqsk_init = kfunc('cookie_tcp_reqsk_init', (sk: sock, skb: sk_buff, req: request_sock): number => {
  const ireq = inet_rsk(req)
  const treq = tcp_rsk(req)
  const th = tcp_hdr(skb)

  req.num_retrans = 0

  ireq.ir_num = th.dest
  ireq.ir_rmt_port = th.source
  ireq.ir_iif = inet_request_bound_dev_if(sk, skb)
  ireq.ir_mark = inet_request_mark(sk, skb)
  ireq.smc_ok = 0

  treq.snt_synack = 0
  treq.tfo_listener = false
  treq.txhash = net_tx_rndhash()
  treq.rcv_isn = (th.seq - 1) >>> 0
  treq.snt_isn = (th.ack_seq - 1) >>> 0
  treq.syn_tos = TCP_SKB_CB(skb).ip_dsfield
  treq.is_mptcp = false
  return 0
})

export const cookie_tcp_reqsk_alloc = kfunc(
  'cookie_tcp_reqsk_alloc',
  (
    ops: request_sock_ops,
    sk: sock,
    skb: sk_buff,
    tcp_opt: tcp_options_received,
    mss: number,
    tsoff: number,
  ): request_sock | null => {
    const req = inet_reqsk_alloc(ops, sk, false)
    if (req === null) return null

    if (cookie_tcp_reqsk_init(sk, skb, req)) {
      reqsk_free(req)
      return null
    }

    const ireq = inet_rsk(req)
    const treq = tcp_rsk(req)

    req.mss = mss
    req.ts_recent = tcp_opt.saw_tstamp ? tcp_opt.rcv_tsval : 0

    ireq.snd_wscale = tcp_opt.snd_wscale
    ireq.tstamp_ok = tcp_opt.saw_tstamp
    ireq.sack_ok = tcp_opt.sack_ok
    ireq.wscale_ok = tcp_opt.wscale_ok
    ireq.ecn_ok = tcp_opt.rcv_tsecr & TS_OPT_ECN ? 1 : 0

    treq.req_usec_ts = 0
    treq.ts_off = tsoff

    return req
  },
)

const cookie_tcp_check = kfunc('cookie_tcp_check', (net: net, sk: sock, skb: sk_buff): request_sock | null | number => {
  const tcp_opt = new tcp_options_received()
  let tsoff = 0

  if (tcp_synq_no_recent_overflow(sk)) return -EINVAL

  const iph = ip_hdr(skb)
  const th = tcp_hdr(skb)
  const mss = __cookie_v4_check(iph, th)
  if (!mss) {
    net.mib.linux.SyncookiesFailed++
    return -EINVAL
  }

  net.mib.linux.SyncookiesRecv++
  if (tracer.on) decide('cookie_tcp_check', 'connection made from a SYN cookie', { mss })

  tcp_parse_options(net, skb, tcp_opt, 0, null)

  if (tcp_opt.saw_tstamp && tcp_opt.rcv_tsecr) {
    tsoff = secure_tcp_seq_and_ts_off(net, iph.daddr, iph.saddr, th.dest, th.source).ts_off
    tcp_opt.rcv_tsecr = (tcp_opt.rcv_tsecr - tsoff) >>> 0
  }

  if (!cookie_timestamp_decode(net, tcp_opt)) return -EINVAL

  return cookie_tcp_reqsk_alloc(tcp_request_sock_ops, sk, skb, tcp_opt, mss, tsoff)
})

/**
 * A segment without SYN for a listener. It may be the last of a handshake of which nothing was kept.
 * @returns the new socket, the listener when this is no such segment, null when memory or a route was missing (the buffer is freed)
 */
export const cookie_v4_check = kfunc('cookie_v4_check', (sk: sock, skb: sk_buff): sock | null => {
  const th = tcp_hdr(skb)
  const tp = tcp_sk(sk)
  const net = sk.sk_net
  let reason = SKB_DROP_REASON_NO_SOCKET

  if (!net.ipv4.sysctl_tcp_syncookies || !th.ack || th.rst) return sk

  const req = cookie_tcp_check(net, sk, skb)
  if (IS_ERR(req)) return sk

  out_drop: {
    if (req === null) break out_drop

    const ireq = inet_rsk(req)
    const iph = ip_hdr(skb)
    const { opt } = TCP_SKB_CB(skb).h4

    ireq.ir_loc_addr = iph.daddr
    ireq.ir_rmt_addr = iph.saddr

    // the options of the SYN are gone: the ACK should have the same
    ireq.ireq_opt = tcp_v4_save_options(net, skb)

    if (security_inet_conn_request(sk, skb, req)) {
      reason = SKB_DROP_REASON_SECURITY_HOOK
      reqsk_free(req)
      break out_drop
    }

    const fl4 = new flowi4()
    flowi4_init_output(
      fl4,
      ireq.ir_iif,
      ireq.ir_mark,
      ip_sock_rt_tos(sk),
      ip_sock_rt_scope(sk),
      IPPROTO_TCP,
      inet_sk_flowi_flags(sk),
      opt.srr ? opt.faddr : ireq.ir_rmt_addr,
      ireq.ir_loc_addr,
      th.source,
      th.dest,
      sk.sk_uid,
    )
    security_req_classify_flow(req, flowi4_to_flowi_common(fl4))
    const rt = ip_route_output_key(net, fl4)
    if (IS_ERR(rt)) {
      reason = SKB_DROP_REASON_IP_OUTNOROUTES
      reqsk_free(req)
      break out_drop
    }

    req.rsk_window_clamp = tp.window_clamp || dst_metric(rt, RTAX_WINDOW)
    const full_space = tcp_full_space(sk)
    if (sk.sk_userlocks & SOCK_RCVBUF_LOCK && (req.rsk_window_clamp > full_space || req.rsk_window_clamp === 0))
      req.rsk_window_clamp = full_space

    const rcv_wnd = { v: req.rsk_rcv_wnd }
    const window_clamp = { v: req.rsk_window_clamp }
    const rcv_wscale = { v: 0 }
    tcp_select_initial_window(
      sk,
      full_space,
      req.mss,
      rcv_wnd,
      window_clamp,
      ireq.wscale_ok,
      rcv_wscale,
      dst_metric(rt, RTAX_INITRWND),
    )
    req.rsk_rcv_wnd = rcv_wnd.v
    req.rsk_window_clamp = window_clamp.v
    if (!req.syncookie) ireq.rcv_wscale = rcv_wscale.v
    if (!cookie_ecn_ok(net, rt)) ireq.ecn_ok = 0

    const ret = tcp_get_cookie_sock(sk, skb, req, rt)
    if (ret === null) break out_drop
    Object.assign(inet_sk(ret).cork.fl, fl4)
    return ret
  }
  sk_skb_reason_drop(sk, skb, reason)
  return null
})
