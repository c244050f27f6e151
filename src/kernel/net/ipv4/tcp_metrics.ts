import { inlinedHere, kfunc } from '../../../trace/kfunc.ts'
import { decide, tracer } from '../../../trace/tracer.ts'
import { HZ, TCP_CA_Open, TCP_INFINITE_SSTHRESH, TCP_TIMEOUT_FALLBACK } from '../../include/generated/enums.ts'
import { early_initcall } from '../../include/linux/init.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import { AF_INET } from '../../include/linux/socket.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import { type ref, USEC_PER_MSEC, USEC_PER_SEC } from '../../include/linux/types.ts'
import {
  type dst_entry,
  dst_metric_locked,
  dst_metric_raw,
  RTAX_CWND,
  RTAX_REORDERING,
  RTAX_RTT,
  RTAX_RTTVAR,
  RTAX_SSTHRESH,
} from '../../include/net/dst.ts'
import { inet_csk } from '../../include/net/inet_connection_sock.ts'
import { inet_rsk, inet_sk } from '../../include/net/inet_sock.ts'
import { type net, net_hash_mix } from '../../include/net/net_namespace.ts'
import type { request_sock } from '../../include/net/request_sock.ts'
import type { sock } from '../../include/net/sock.ts'
import { tcp_fastopen_cookie, tcp_sk } from '../../include/net/tcp.ts'
import { spin_lock, spin_lock_bh, spin_unlock, spin_unlock_bh } from '../../kernel/locking/spinlock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { jiffies, jiffies_to_usecs } from '../../kernel/time/timer.ts'
import { kzalloc } from '../../mm/slub.ts'
import { dst_dev_net_rcu } from '../core/dst.ts'
import { __sk_dst_get, sk_dst_confirm, sock_net } from '../core/sock.ts'
import { tcp_in_initial_slowstart, tcp_in_slow_start, tcp_rto_min, tcp_snd_cwnd } from './tcp_inlines.ts'

/** enum tcp_metric_index: include/uapi/linux/tcp_metrics.h. The two times are kept in the units of tcp_sock. */
export const TCP_METRIC_RTT = 0
export const TCP_METRIC_RTTVAR = 1
export const TCP_METRIC_SSTHRESH = 2
export const TCP_METRIC_CWND = 3
export const TCP_METRIC_REORDERING = 4

const TCP_METRICS_TIMEOUT = 60 * 60 * HZ
const TCP_METRICS_RECLAIM_DEPTH = 5
/** sizeof(struct tcp_metrics_block) */
const SIZEOF_TCP_METRICS_BLOCK = 152

/** struct inetpeer_addr. A number for IPv4, 16 bytes for IPv6. */
interface inetpeer_addr {
  family: number
  addr: number | Uint8Array
}

/** net/ipv4/tcp_metrics.c struct tcp_metrics_block: what is remembered of one peer. `tcpm_stamp` in jiffies. */
export class tcp_metrics_block {
  tcpm_next: tcp_metrics_block | null = null
  tcpm_net!: net
  tcpm_saddr: inetpeer_addr = { family: 0, addr: 0 }
  tcpm_daddr: inetpeer_addr = { family: 0, addr: 0 }
  tcpm_stamp = 0
  tcpm_lock = 0
  tcpm_vals: [number, number, number, number, number] = [0, 0, 0, 0, 0]
  tcpm_fastopen = { mss: 0, syn_loss: 0, try_exp: 0, last_syn_loss: 0, cookie: new tcp_fastopen_cookie() }
  /** what kzalloc() gave for it */
  mem: ReturnType<typeof kzalloc> | null = null
}

/** in the place of a pointer: the chain is too long, take the oldest entry */
const TCP_METRICS_RECLAIM_PTR = 1

let tcp_metrics_hash: (tcp_metrics_block | null)[] = []
const tcp_metrics_hash_log = 14
const tcp_metrics_lock = new spinlock_t()
const fastopen_seqlock = new spinlock_t()

const tcp_metric_locked = (tm: tcp_metrics_block, idx: number): boolean => (tm.tcpm_lock & (1 << idx)) !== 0
const tcp_metric_get = (tm: tcp_metrics_block, idx: number): number => tm.tcpm_vals[idx] ?? 0
const tcp_metric_set = (tm: tcp_metrics_block, idx: number, val: number): void => {
  tm.tcpm_vals[idx] = val >>> 0
}

const same_addr = (a: inetpeer_addr, b: inetpeer_addr): boolean => {
  if (a.family !== b.family) return false
  if (typeof a.addr === 'number' || typeof b.addr === 'number') return a.addr === b.addr
  for (let i = 0; i < a.addr.length; i++) if (a.addr[i] !== b.addr[i]) return false
  return true
}
const addr_same = kfunc('addr_same', same_addr)
const addr_same_inlined = inlinedHere(addr_same, same_addr)

const hash_32 = (val: number, bits: number): number => (Math.imul(val, 0x61c88647) >>> 0) >>> (32 - bits)

/** the bytes of an address as a little-endian machine reads them */
const ipv4_addr_hash = (ip: number): number => ((ip & 0xff) << 24) | ((ip & 0xff00) << 8) | ((ip >>> 8) & 0xff00) | (ip >>> 24)
const ipv6_addr_hash = (a: Uint8Array): number => {
  let h = 0
  for (let i = 0; i < 16; i += 4) h ^= (a[i] ?? 0) | ((a[i + 1] ?? 0) << 8) | ((a[i + 2] ?? 0) << 16) | ((a[i + 3] ?? 0) << 24)
  return h
}
const hash_of = (daddr: inetpeer_addr, net: net): number =>
  hash_32(
    (typeof daddr.addr === 'number' ? ipv4_addr_hash(daddr.addr) : ipv6_addr_hash(daddr.addr)) ^ net_hash_mix(net),
    tcp_metrics_hash_log,
  )

/** starts an entry with what the route says */
const tcpm_suck_dst = kfunc('tcpm_suck_dst', (tm: tcp_metrics_block, dst: dst_entry, fastopen_clear: boolean): void => {
  tm.tcpm_stamp = jiffies()
  let val = 0
  if (dst_metric_locked(dst, RTAX_RTT)) val |= 1 << TCP_METRIC_RTT
  if (dst_metric_locked(dst, RTAX_RTTVAR)) val |= 1 << TCP_METRIC_RTTVAR
  if (dst_metric_locked(dst, RTAX_SSTHRESH)) val |= 1 << TCP_METRIC_SSTHRESH
  if (dst_metric_locked(dst, RTAX_CWND)) val |= 1 << TCP_METRIC_CWND
  if (dst_metric_locked(dst, RTAX_REORDERING)) val |= 1 << TCP_METRIC_REORDERING
  tm.tcpm_lock = val
  tcp_metric_set(tm, TCP_METRIC_RTT, dst_metric_raw(dst, RTAX_RTT) * USEC_PER_MSEC)
  tcp_metric_set(tm, TCP_METRIC_RTTVAR, dst_metric_raw(dst, RTAX_RTTVAR) * USEC_PER_MSEC)
  tcp_metric_set(tm, TCP_METRIC_SSTHRESH, dst_metric_raw(dst, RTAX_SSTHRESH))
  tcp_metric_set(tm, TCP_METRIC_CWND, dst_metric_raw(dst, RTAX_CWND))
  tcp_metric_set(tm, TCP_METRIC_REORDERING, dst_metric_raw(dst, RTAX_REORDERING))
  if (fastopen_clear) {
    spin_lock(fastopen_seqlock)
    const f = tm.tcpm_fastopen
    f.mss = 0
    f.syn_loss = 0
    f.try_exp = 0
    f.cookie.exp = false
    f.cookie.len = 0
    spin_unlock(fastopen_seqlock)
  }
})

/** what is older than an hour is forgotten */
const tcpm_check_stamp = kfunc('tcpm_check_stamp', (tm: tcp_metrics_block | null, dst: dst_entry): void => {
  if (tm === null) return
  if (jiffies() > tm.tcpm_stamp + TCP_METRICS_TIMEOUT) tcpm_suck_dst(tm, dst, false)
})

const tcpm_new = kfunc(
  'tcpm_new',
  (dst: dst_entry, saddr: inetpeer_addr, daddr: inetpeer_addr, hash: number): tcp_metrics_block | null => {
    spin_lock_bh(tcp_metrics_lock)
    const net = dst_dev_net_rcu(dst)
    const found = __tcp_get_metrics(saddr, daddr, net, hash)
    let tm: tcp_metrics_block | null = null
    if (found !== null && found !== TCP_METRICS_RECLAIM_PTR) {
      tm = found as tcp_metrics_block
      tcpm_check_stamp(tm, dst)
    } else {
      const chain = tcp_metrics_hash[hash] ?? null
      const reclaim = found === TCP_METRICS_RECLAIM_PTR && chain !== null
      if (reclaim) {
        tm = chain
        for (let e = chain.tcpm_next; e !== null; e = e.tcpm_next) if (e.tcpm_stamp < tm.tcpm_stamp) tm = e
      } else {
        tm = new tcp_metrics_block()
        tm.mem = kzalloc(SIZEOF_TCP_METRICS_BLOCK, GFP_ATOMIC)
      }
      tm.tcpm_net = net
      tm.tcpm_saddr = saddr
      tm.tcpm_daddr = daddr
      tcpm_suck_dst(tm, dst, reclaim)
      if (!reclaim) {
        tm.tcpm_next = chain
        tcp_metrics_hash[hash] = tm
      }
    }
    spin_unlock_bh(tcp_metrics_lock)
    return tm
  },
)

const __tcp_get_metrics = kfunc(
  '__tcp_get_metrics',
  (saddr: inetpeer_addr, daddr: inetpeer_addr, net: net, hash: number): tcp_metrics_block | number | null => {
    let depth = 0
    for (let tm = tcp_metrics_hash[hash] ?? null; tm !== null; tm = tm.tcpm_next) {
      if (addr_same_inlined(tm.tcpm_saddr, saddr) && addr_same(tm.tcpm_daddr, daddr) && tm.tcpm_net === net) return tm
      depth++
    }
    return depth > TCP_METRICS_RECLAIM_DEPTH ? TCP_METRICS_RECLAIM_PTR : null
  },
)

const __tcp_get_metrics_req = kfunc('__tcp_get_metrics_req', (req: request_sock, dst: dst_entry): tcp_metrics_block | null => {
  const family = req.rsk_ops.family
  const v4 = family === AF_INET
  const saddr = { family, addr: v4 ? inet_rsk(req).ir_loc_addr : (req.skc_v6_rcv_saddr ?? 0) }
  const daddr = { family, addr: v4 ? inet_rsk(req).ir_rmt_addr : (req.skc_v6_daddr ?? 0) }
  const net = dst_dev_net_rcu(dst)
  let tm = tcp_metrics_hash[hash_of(daddr, net)] ?? null
  while (tm !== null && !(addr_same_inlined(tm.tcpm_saddr, saddr) && addr_same(tm.tcpm_daddr, daddr) && tm.tcpm_net === net))
    tm = tm.tcpm_next
  tcpm_check_stamp(tm, dst)
  return tm
})

/** IPv6 sockets that talk IPv4 share the entries of IPv4 */
const is_v4 = (sk: sock): boolean => {
  if (sk.sk_family === AF_INET) return true
  const a = sk.skc_v6_daddr
  return a?.subarray(0, 10).every((b) => b === 0) === true && a[10] === 0xff && a[11] === 0xff
}

const tcp_get_metrics = kfunc('tcp_get_metrics', (sk: sock, dst: dst_entry, create: boolean): tcp_metrics_block | null => {
  const v4 = is_v4(sk)
  const family = v4 ? AF_INET : sk.sk_family
  const saddr = { family, addr: v4 ? inet_sk(sk).inet_saddr : (sk.skc_v6_rcv_saddr ?? 0) }
  const daddr = { family, addr: v4 ? inet_sk(sk).inet_daddr : (sk.skc_v6_daddr ?? 0) }
  const net = dst_dev_net_rcu(dst)
  const hash = hash_of(daddr, net)
  const found = __tcp_get_metrics(saddr, daddr, net, hash)
  let tm = found === TCP_METRICS_RECLAIM_PTR ? null : (found as tcp_metrics_block | null)
  if (tm === null && create) tm = tcpm_new(dst, saddr, daddr, hash)
  else tcpm_check_stamp(tm, dst)
  return tm
})

/** a connection ended well: remember what was learned of the path */
export const tcp_update_metrics = kfunc('tcp_update_metrics', (sk: sock): void => {
  const icsk = inet_csk(sk)
  const dst = __sk_dst_get(sk)
  const tp = tcp_sk(sk)
  const { ipv4 } = sock_net(sk)
  sk_dst_confirm(sk)
  if (ipv4.sysctl_tcp_nometrics_save || dst === null) return

  rcu_read_lock()
  if (icsk.icsk_backoff || !tp.srtt_us) {
    const tm = tcp_get_metrics(sk, dst, false)
    if (tm !== null && !tcp_metric_locked(tm, TCP_METRIC_RTT)) tcp_metric_set(tm, TCP_METRIC_RTT, 0)
    rcu_read_unlock()
    return
  }
  const tm = tcp_get_metrics(sk, dst, true)
  if (tm === null) {
    rcu_read_unlock()
    return
  }

  let rtt = tcp_metric_get(tm, TCP_METRIC_RTT)
  let m = (rtt - tp.srtt_us) | 0
  if (!tcp_metric_locked(tm, TCP_METRIC_RTT)) {
    if (m <= 0) rtt = tp.srtt_us
    else rtt -= m >> 3
    tcp_metric_set(tm, TCP_METRIC_RTT, rtt)
  }
  if (!tcp_metric_locked(tm, TCP_METRIC_RTTVAR)) {
    if (m < 0) m = -m
    m >>= 1
    if (m < tp.mdev_us) m = tp.mdev_us
    let variance = tcp_metric_get(tm, TCP_METRIC_RTTVAR)
    if (m >= variance) variance = m
    else variance -= (variance - m) >>> 2
    tcp_metric_set(tm, TCP_METRIC_RTTVAR, variance)
  }

  const save_ssthresh = !ipv4.sysctl_tcp_no_ssthresh_metrics_save && !tcp_metric_locked(tm, TCP_METRIC_SSTHRESH)
  const save_cwnd = !tcp_metric_locked(tm, TCP_METRIC_CWND)
  const cwnd = tcp_snd_cwnd(tp)
  const old_ssthresh = tcp_metric_get(tm, TCP_METRIC_SSTHRESH)
  const old_cwnd = tcp_metric_get(tm, TCP_METRIC_CWND)
  if (tcp_in_initial_slowstart(tp)) {
    if (save_ssthresh && old_ssthresh && cwnd >>> 1 > old_ssthresh) tcp_metric_set(tm, TCP_METRIC_SSTHRESH, cwnd >>> 1)
    if (save_cwnd && cwnd > old_cwnd) tcp_metric_set(tm, TCP_METRIC_CWND, cwnd)
  } else if (!tcp_in_slow_start(tp) && icsk.icsk_ca_state === TCP_CA_Open) {
    if (save_ssthresh) tcp_metric_set(tm, TCP_METRIC_SSTHRESH, Math.max(cwnd >>> 1, tp.snd_ssthresh))
    if (save_cwnd) tcp_metric_set(tm, TCP_METRIC_CWND, (old_cwnd + cwnd) >>> 1)
  } else {
    // the loss came before slow start was over: cwnd says nothing
    if (save_cwnd) tcp_metric_set(tm, TCP_METRIC_CWND, (old_cwnd + tp.snd_ssthresh) >>> 1)
    if (save_ssthresh && old_ssthresh && tp.snd_ssthresh > old_ssthresh) tcp_metric_set(tm, TCP_METRIC_SSTHRESH, tp.snd_ssthresh)
    if (!tcp_metric_locked(tm, TCP_METRIC_REORDERING)) {
      if (tcp_metric_get(tm, TCP_METRIC_REORDERING) < tp.reordering && tp.reordering !== ipv4.sysctl_tcp_reordering)
        tcp_metric_set(tm, TCP_METRIC_REORDERING, tp.reordering)
    }
  }
  tm.tcpm_stamp = jiffies()
  rcu_read_unlock()
})

/** a connection begins: what is known of the path from earlier ones */
export const tcp_init_metrics = kfunc('tcp_init_metrics', (sk: sock): void => {
  const dst = __sk_dst_get(sk)
  const tp = tcp_sk(sk)
  const { ipv4 } = sock_net(sk)
  /** eighths of a microsecond */
  let crtt = 0
  sk_dst_confirm(sk)
  tp.snd_ssthresh = TCP_INFINITE_SSTHRESH
  if (dst !== null) {
    rcu_read_lock()
    const tm = tcp_get_metrics(sk, dst, false)
    if (tm !== null) {
      if (tcp_metric_locked(tm, TCP_METRIC_CWND)) tp.snd_cwnd_clamp = tcp_metric_get(tm, TCP_METRIC_CWND)
      let val = ipv4.sysctl_tcp_no_ssthresh_metrics_save ? 0 : tcp_metric_get(tm, TCP_METRIC_SSTHRESH)
      if (val) tp.snd_ssthresh = Math.min(val, tp.snd_cwnd_clamp)
      val = tcp_metric_get(tm, TCP_METRIC_REORDERING)
      if (val && tp.reordering !== val) tp.reordering = val
      crtt = tcp_metric_get(tm, TCP_METRIC_RTT)
      if (tracer.on)
        decide('tcp_init_metrics', 'peer known from before', {
          rtt_us: crtt >>> 3,
          ssthresh: tp.snd_ssthresh,
          reordering: tp.reordering,
        })
    }
    rcu_read_unlock()
  }
  if (crtt > tp.srtt_us) {
    // in jiffies; the estimate itself stays what the handshake gave
    crtt = Math.floor(crtt / ((8 * USEC_PER_SEC) / HZ))
    inet_csk(sk).icsk_rto = crtt + Math.max(2 * crtt, tcp_rto_min(sk))
  } else if (tp.srtt_us === 0) {
    tp.rttvar_us = jiffies_to_usecs(TCP_TIMEOUT_FALLBACK)
    tp.mdev_us = tp.rttvar_us
    tp.mdev_max_us = tp.rttvar_us
    inet_csk(sk).icsk_rto = TCP_TIMEOUT_FALLBACK
  }
})

export const tcp_peer_is_proven = kfunc('tcp_peer_is_proven', (req: request_sock, dst: dst_entry | null): boolean => {
  if (dst === null) return false
  rcu_read_lock()
  const tm = __tcp_get_metrics_req(req, dst)
  const ret = tm !== null && tcp_metric_get(tm, TCP_METRIC_RTT) !== 0
  rcu_read_unlock()
  return ret
})

const copy_cookie = (to: tcp_fastopen_cookie, from: tcp_fastopen_cookie): void => {
  to.val.set(from.val)
  to.len = from.len
  to.exp = from.exp
}

export const tcp_fastopen_cache_get = kfunc(
  'tcp_fastopen_cache_get',
  (sk: sock, mss: ref<number>, cookie: tcp_fastopen_cookie): void => {
    rcu_read_lock()
    const dst = __sk_dst_get(sk)
    const tm = dst === null ? null : tcp_get_metrics(sk, dst, false)
    if (tm !== null) {
      const tfom = tm.tcpm_fastopen
      if (tfom.mss) mss.v = tfom.mss
      copy_cookie(cookie, tfom.cookie)
      if (cookie.len <= 0 && tfom.try_exp === 1) cookie.exp = true
    }
    rcu_read_unlock()
  },
)

export const tcp_fastopen_cache_set = kfunc(
  'tcp_fastopen_cache_set',
  (sk: sock, mss: number, cookie: tcp_fastopen_cookie | null, syn_lost: boolean, try_exp: number): void => {
    const dst = __sk_dst_get(sk)
    if (dst === null) return
    rcu_read_lock()
    const tm = tcp_get_metrics(sk, dst, true)
    if (tm !== null) {
      const tfom = tm.tcpm_fastopen
      spin_lock_bh(fastopen_seqlock)
      if (mss) tfom.mss = mss
      if (cookie !== null && cookie.len > 0) copy_cookie(tfom.cookie, cookie)
      else if (try_exp > tfom.try_exp && tfom.cookie.len <= 0 && !tfom.cookie.exp) tfom.try_exp = try_exp
      if (syn_lost) {
        tfom.syn_loss++
        tfom.last_syn_loss = jiffies()
      } else tfom.syn_loss = 0
      spin_unlock_bh(fastopen_seqlock)
    }
    rcu_read_unlock()
  },
)

early_initcall(() => {
  tcp_metrics_hash = []
})
