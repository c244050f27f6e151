// The inlines of include/net/tcp.h. Accessors and arithmetic are plain functions; what a reader of a trace asks about is a kfunc.

import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { traceCounters, traceIndirect, tracer } from '../../../trace/tracer.ts'
import {
  HZ,
  ICSK_TIME_PROBE0,
  IPPROTO_TCP,
  SK_PACING_NEEDED,
  SOCK_DONE,
  SOCK_URGINLINE,
  TCP_ATO_MIN,
  TCP_CHRONO_BUSY,
  TCP_DEFAULT_SCALING_RATIO,
  TCP_INFINITE_SSTHRESH,
  TCP_MIN_MSS,
  TCP_NEW_SYN_RECV,
  TCP_RTO_MAX,
  TCP_RTO_MIN,
  TCP_SYN_RECV,
  TCP_SYNCOOKIE_PERIOD,
  TCP_SYNCOOKIE_VALID,
  TCP_TIME_WAIT,
  TCP_TIMEOUT_INIT,
  TCPF_SYN_RECV,
  TCPF_SYN_SENT,
} from '../../include/generated/enums.ts'
import { early_initcall } from '../../include/linux/init.ts'
import { INET_ECN_ECT_0, INET_ECN_MASK, INET_ECN_NOT_ECT } from '../../include/linux/ip.ts'
import { list_del } from '../../include/linux/list.ts'
import { RB_EMPTY_ROOT } from '../../include/linux/rbtree.ts'
import { RTAX_CC_ALGO, RTAX_FEATURE_ECN, RTAX_FEATURE_TCP_USEC_TS, RTAX_RTO_MIN } from '../../include/linux/rtnetlink.ts'
import {
  __skb_queue_before,
  __skb_queue_tail,
  __skb_unlink,
  type sk_buff,
  skb_end_offset,
  skb_peek,
  skb_peek_tail,
  skb_queue_is_last,
  skb_shinfo,
} from '../../include/linux/skbuff.ts'
import { TCP_FLAG_ACK, tcp_hdrlen, type tcphdr } from '../../include/linux/tcp.ts'
import { ilog2, NSEC_PER_MSEC, NSEC_PER_USEC, type ref, time_before32, USEC_PER_MSEC } from '../../include/linux/types.ts'
import type { dst_entry } from '../../include/net/dst.ts'
import { inet_csk } from '../../include/net/inet_connection_sock.ts'
import { INET_FLAGS_TRANSPARENT, inet_rsk, inet_sk, inet_test_bit } from '../../include/net/inet_sock.ts'
import { inet_twsk, type tcp_timewait_sock, tcp_twsk } from '../../include/net/inet_timewait_sock.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { inet_reqsk } from '../../include/net/request_sock.ts'
import type { sock } from '../../include/net/sock.ts'
import {
  after,
  before,
  TCP_CONG_NEEDS_ECN,
  TCP_FASTOPEN_COOKIE_SIZE,
  TCP_KEY_NONE,
  TCP_MSS_DEFAULT,
  TCP_PAWS_MSL,
  TCP_PAWS_WRAP,
  TCP_RMEM_TO_WIN_SCALE,
  TCP_SKB_CB,
  TCPF_CA_CWR,
  TCPF_CA_Recovery,
  type tcp_fastopen_cookie,
  type tcp_key,
  type tcp_options_received,
  type tcp_request_sock,
  type tcp_request_sock_ops,
  tcp_sk,
  type tcp_sock,
} from '../../include/net/tcp.ts'
import { hrtimer_try_to_cancel } from '../../kernel/time/hrtimer.ts'
import { ktime_get, ktime_get_seconds } from '../../kernel/time/timekeeping.ts'
import { jiffies, jiffies_to_usecs, nsecs_to_jiffies, usecs_to_jiffies } from '../../kernel/time/timer.ts'
import { csum_tcpudp_magic } from '../../lib/checksum.ts'
import { rb_erase } from '../../lib/rbtree.ts'
import { kfree } from '../../mm/slub.ts'
import { __skb_checksum_complete } from '../core/datagram.ts'
import { dst_feature, dst_metric_advmss, dst_metric_locked, dst_metric_rtt } from '../core/dst.ts'
import {
  __kfree_skb,
  SKB_TRUESIZE,
  skb_csum_unnecessary,
  skb_dst_drop,
  skb_rb_first,
  skb_rb_last,
  skb_rb_next,
  skb_zcopy_pure,
} from '../core/skbuff.ts'
import {
  __sk_dst_get,
  __sock_put,
  sk_mem_uncharge,
  sk_unused_reserved_mem,
  sk_wmem_queued_add,
  sock_flag,
  sock_net,
} from '../core/sock.ts'
import { inet_csk_ack_scheduled, inet_csk_clear_xmit_timers, inet_csk_reset_xmit_timer } from './inet_connection_sock.ts'
import { tcp_memory_pressure } from './tcp.ts'
import { tcp_do_parse_auth_options } from './tcp_input.ts'
import { __tcp_push_pending_frames, tcp_chrono_start, tcp_current_mss, tcp_cwnd_restart } from './tcp_output.ts'

/** no program is attached to a cgroup, no MPTCP, no keys: what the code asks for all the same */
export const sk_is_mptcp = (_sk: sock): boolean => false
export const BPF_SOCK_OPS_TEST_FLAG = (tp: tcp_sock, flag: number): boolean => (tp.bpf_sock_ops_cb_flags & flag) !== 0
export const BPF_SOCK_OPS_RTO_CB_FLAG = 1
export const BPF_SOCK_OPS_RETRANS_CB_FLAG = 2
export const BPF_SOCK_OPS_STATE_CB_FLAG = 4
export const BPF_SOCK_OPS_RTT_CB_FLAG = 8
export const BPF_SOCK_OPS_PARSE_ALL_HDR_OPT_CB_FLAG = 16
export const BPF_SOCK_OPS_PARSE_UNKNOWN_HDR_OPT_CB_FLAG = 32
export const BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG = 64
// include/uapi/linux/bpf.h
export const BPF_SOCK_OPS_TIMEOUT_INIT = 1
export const BPF_SOCK_OPS_RWND_INIT = 2
export const BPF_SOCK_OPS_TCP_CONNECT_CB = 3
export const BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB = 4
export const BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB = 5
export const BPF_SOCK_OPS_NEEDS_ECN = 6
export const BPF_SOCK_OPS_BASE_RTT = 7
export const BPF_SOCK_OPS_RTO_CB = 8
export const BPF_SOCK_OPS_RETRANS_CB = 9
export const BPF_SOCK_OPS_STATE_CB = 10
export const BPF_SOCK_OPS_TCP_LISTEN_CB = 11
export const BPF_SOCK_OPS_RTT_CB = 12

/** the low 32 bits of jiffies; compare by difference */
export const tcp_jiffies32 = (): number => jiffies() >>> 0

export const tcp_under_memory_pressure = (_sk: sock): boolean => tcp_memory_pressure.v !== 0

/** takes a buffer of the write or retransmit queue out of the accounts and frees it */
export const tcp_wmem_free_skb = kfunc('tcp_wmem_free_skb', (sk: sock, skb: sk_buff): void => {
  sk_wmem_queued_add(sk, -skb.truesize)
  if (!skb_zcopy_pure(skb)) sk_mem_uncharge(sk, skb.truesize)
  else sk_mem_uncharge(sk, SKB_TRUESIZE(skb_end_offset(skb)))
  __kfree_skb(skb)
})

export const tcp_dec_quickack_mode = kfunc('tcp_dec_quickack_mode', (sk: sock): void => {
  const ack = inet_csk(sk).icsk_ack
  if (ack.quick) {
    const pkts = inet_csk_ack_scheduled(sk) ? 1 : 0
    if (pkts >= ack.quick) {
      ack.quick = 0
      ack.ato = TCP_ATO_MIN
    } else ack.quick -= pkts
  }
})

const time_between32 = (t: number, l: number, h: number): boolean => (h - l) >>> 0 >= (t - l) >>> 0

/** remembers when a listener's queue last overflowed: cookies are accepted for a while after */
export const tcp_synq_overflow = kfunc('tcp_synq_overflow', (sk: sock): void => {
  const now = tcp_jiffies32()
  const { rx_opt } = tcp_sk(sk)
  const last_overflow = rx_opt.ts_recent_stamp
  if (!time_between32(now, last_overflow, last_overflow + HZ)) rx_opt.ts_recent_stamp = now
})

export const tcp_synq_no_recent_overflow = kfunc('tcp_synq_no_recent_overflow', (sk: sock): boolean => {
  const last_overflow = tcp_sk(sk).rx_opt.ts_recent_stamp
  return !time_between32(tcp_jiffies32(), last_overflow - HZ, last_overflow + TCP_SYNCOOKIE_VALID)
})

export const tcp_cookie_time = (): number => Math.floor(jiffies() / TCP_SYNCOOKIE_PERIOD) >>> 0

/** nanoseconds to the units of a timestamp option */
export const tcp_ns_to_ts = (usec_ts: number | boolean, val: number): number =>
  Math.floor(val / (usec_ts ? NSEC_PER_USEC : NSEC_PER_MSEC))

export const cookie_ecn_ok = (n: net, dst: dst_entry): boolean =>
  n.ipv4.sysctl_tcp_ecn !== 0 || dst_feature(dst, RTAX_FEATURE_ECN) !== 0

export const cookie_init_sequence = kfunc(
  'cookie_init_sequence',
  (ops: tcp_request_sock_ops, sk: sock, skb: sk_buff, mss: ref<number>): number => {
    tcp_synq_overflow(sk)
    sock_net(sk).mib.linux.SyncookiesSent++
    return ops.cookie_init_seq === undefined ? 0 : ops.cookie_init_seq(skb, mss)
  },
)

export const tcp_cleanup_skb = kfunc('tcp_cleanup_skb', (skb: sk_buff): void => {
  skb_dst_drop(skb)
})

export const tcp_add_receive_queue = kfunc('tcp_add_receive_queue', (sk: sock, skb: sk_buff): void => {
  __skb_queue_tail(sk.sk_receive_queue, skb)
})

export const tcp_clear_xmit_timers = kfunc('tcp_clear_xmit_timers', (sk: sock): void => {
  if (hrtimer_try_to_cancel(tcp_sk(sk).pacing_timer) === 1) __sock_put(sk)
  if (hrtimer_try_to_cancel(tcp_sk(sk).compressed_ack_timer) === 1) __sock_put(sk)
  inet_csk_clear_xmit_timers(sk)
})

/** no packet larger than half of the largest window that the peer ever offered */
export const tcp_bound_to_half_wnd = kfunc('tcp_bound_to_half_wnd', (tp: tcp_sock, pktsize: number): number => {
  const cutoff = tp.max_window > TCP_MSS_DEFAULT ? tp.max_window >>> 1 : tp.max_window
  return cutoff && pktsize > cutoff ? Math.max(cutoff, 68 - tp.tcp_header_len) : pktsize
})

export const tcp_bound_rto = (sk: sock): void => {
  if (inet_csk(sk).icsk_rto > TCP_RTO_MAX) inet_csk(sk).icsk_rto = TCP_RTO_MAX
}
export const __tcp_set_rto = kfunc('__tcp_set_rto', (tp: tcp_sock): number => usecs_to_jiffies((tp.srtt_us >>> 3) + tp.rttvar_us))

/** jiffies */
export const tcp_rto_min = kfunc('tcp_rto_min', (sk: sock): number => {
  const dst = __sk_dst_get(sk)
  let rto_min = inet_csk(sk).icsk_rto_min
  if (dst !== null && dst_metric_locked(dst, RTAX_RTO_MIN)) rto_min = dst_metric_rtt(dst, RTAX_RTO_MIN)
  return rto_min
})
export const tcp_rto_min_us = kfunc('tcp_rto_min_us', (sk: sock): number => jiffies_to_usecs(tcp_rto_min(sk)))
export const tcp_ca_dst_locked = (dst: dst_entry): boolean => dst_metric_locked(dst, RTAX_CC_ALGO)
/** microseconds */
export const tcp_min_rtt = (tp: tcp_sock): number => tp.rtt_min.s[0].v

/** bytes that the peer may still send */
export const tcp_receive_window = kfunc('tcp_receive_window', (tp: tcp_sock): number =>
  Math.max((tp.rcv_wup + tp.rcv_wnd - tp.rcv_nxt) | 0, 0),
)

export const tcp_clock_ns = kfunc('tcp_clock_ns', (): number => ktime_get())
export const tcp_clock_us = (): number => Math.floor(tcp_clock_ns() / NSEC_PER_USEC)
export const tcp_clock_ms = (): number => Math.floor(tcp_clock_ns() / NSEC_PER_MSEC)
export const tcp_clock_ts = (usec_ts: number | boolean): number => (usec_ts ? tcp_clock_us() : tcp_clock_ms()) >>> 0
export const tcp_time_stamp_ms = (tp: tcp_sock): number => Math.floor(tp.tcp_mstamp / USEC_PER_MSEC) >>> 0
/** the socket's clock in the units of its timestamps, 32 bits */
export const tcp_time_stamp_ts = (tp: tcp_sock): number => (tp.tcp_usec_ts ? tp.tcp_mstamp >>> 0 : tcp_time_stamp_ms(tp))
export const tcp_stamp_us_delta = (t1: number, t0: number): number => Math.max(t1 - t0, 0)
export const tcp_skb_timestamp_us = (skb: sk_buff): number => Math.floor(skb.tstamp / NSEC_PER_USEC)
export const tcp_skb_timestamp_ts = (usec_ts: number | boolean, skb: sk_buff): number =>
  (usec_ts ? tcp_skb_timestamp_us(skb) : Math.floor(skb.tstamp / NSEC_PER_MSEC)) >>> 0
export const tcp_tw_tsval = (tcptw: tcp_timewait_sock): number => (tcp_clock_ts(tcptw.tw_usec_ts) + tcptw.tw_ts_offset) >>> 0
export const tcp_rsk_tsval = (treq: tcp_request_sock): number => (tcp_clock_ts(treq.req_usec_ts) + treq.ts_off) >>> 0

export const tcp_skb_pcount = (skb: sk_buff): number => TCP_SKB_CB(skb).tcp_gso_segs
export const tcp_skb_pcount_set = (skb: sk_buff, segs: number): void => {
  TCP_SKB_CB(skb).tcp_gso_segs = segs
}
export const tcp_skb_pcount_add = (skb: sk_buff, segs: number): void => {
  TCP_SKB_CB(skb).tcp_gso_segs += segs
}
/** valid only when tcp_skb_pcount() is above 1 */
export const tcp_skb_mss = (skb: sk_buff): number => TCP_SKB_CB(skb).tcp_gso_size
/** null, as in C, must not be asked */
export const tcp_skb_can_collapse_to = kfunc('tcp_skb_can_collapse_to', (skb: sk_buff): boolean => !TCP_SKB_CB(skb).eor)
export const tcp_skb_can_collapse = kfunc(
  'tcp_skb_can_collapse',
  (to: sk_buff, from: sk_buff): boolean =>
    tcp_skb_can_collapse_to(to) &&
    to.decrypted === from.decrypted &&
    skb_zcopy_pure(to) === skb_zcopy_pure(from) &&
    to.unreadable === from.unreadable,
)
export const tcp_skb_can_collapse_rx = kfunc(
  'tcp_skb_can_collapse_rx',
  (to: sk_buff, from: sk_buff): boolean => to.decrypted === from.decrypted,
)

export const tcp_ca_needs_ecn = (sk: sock): boolean => (inet_csk(sk).icsk_ca_ops.flags & TCP_CONG_NEEDS_ECN) !== 0
export const tcp_ca_event = kfunc('tcp_ca_event', (sk: sock, event: number): void => {
  const { cwnd_event } = inet_csk(sk).icsk_ca_ops
  if (cwnd_event === undefined) return
  if (tracer.on) traceIndirect('icsk->icsk_ca_ops->cwnd_event', nameOf(cwnd_event))
  cwnd_event(sk, event)
})

export const tcp_skb_sent_after = (t1: number, t2: number, seq1: number, seq2: number): boolean =>
  t1 > t2 || (t1 === t2 && after(seq1, seq2))

export const tcp_is_sack = (tp: tcp_sock): boolean => tp.rx_opt.sack_ok !== 0
export const tcp_is_reno = (tp: tcp_sock): boolean => tp.rx_opt.sack_ok === 0
export const tcp_left_out = (tp: tcp_sock): number => tp.sacked_out + tp.lost_out
/** sent, neither acknowledged nor thought lost; in segments */
export const tcp_packets_in_flight = kfunc(
  'tcp_packets_in_flight',
  (tp: tcp_sock): number => (tp.packets_out - tcp_left_out(tp) + tp.retrans_out) >>> 0,
)

export const tcp_snd_cwnd = (tp: tcp_sock): number => tp.snd_cwnd
export const tcp_snd_cwnd_set = (tp: tcp_sock, val: number): void => {
  tp.snd_cwnd = val
  if (tracer.on) traceCounters(tp)
}
export const tcp_in_slow_start = (tp: tcp_sock): boolean => tp.snd_cwnd < tp.snd_ssthresh
export const tcp_in_initial_slowstart = (tp: tcp_sock): boolean => tp.snd_ssthresh >= TCP_INFINITE_SSTHRESH
export const tcp_in_cwnd_reduction = (sk: sock): boolean =>
  ((TCPF_CA_CWR | TCPF_CA_Recovery) & (1 << inet_csk(sk).icsk_ca_state)) !== 0
export const tcp_current_ssthresh = kfunc('tcp_current_ssthresh', (sk: sock): number => {
  const tp = tcp_sk(sk)
  if (tcp_in_cwnd_reduction(sk)) return tp.snd_ssthresh
  return Math.max(tp.snd_ssthresh, (tp.snd_cwnd >>> 1) + (tp.snd_cwnd >>> 2))
})
/** a check of Linux that only warns */
export const tcp_verify_left_out = (_tp: tcp_sock): void => {}
export const tcp_max_tso_deferred_mss = (_tp: tcp_sock): number => 3
/** first sequence number beyond the peer's window */
export const tcp_wnd_end = (tp: tcp_sock): number => (tp.snd_una + tp.snd_wnd) >>> 0

export const tcp_is_cwnd_limited = kfunc('tcp_is_cwnd_limited', (sk: sock): boolean => {
  const tp = tcp_sk(sk)
  if (tp.is_cwnd_limited) return true
  // in slow start the window may grow to twice what was used of it
  if (tcp_in_slow_start(tp)) return tp.snd_cwnd < 2 * tp.max_packets_out
  return false
})

export const tcp_needs_internal_pacing = (sk: sock): boolean => sk.sk_pacing_status === SK_PACING_NEEDED
/** jiffies until the next packet may leave */
export const tcp_pacing_delay = (sk: sock): number => {
  const delay = tcp_sk(sk).tcp_wstamp_ns - tcp_sk(sk).tcp_clock_cache
  return delay > 0 ? nsecs_to_jiffies(delay) : 0
}
export const tcp_reset_xmit_timer = kfunc(
  'tcp_reset_xmit_timer',
  (sk: sock, what: number, when: number, max_when: number): void => {
    inet_csk_reset_xmit_timer(sk, what, when + tcp_pacing_delay(sk), max_when)
  },
)
export const tcp_probe0_base = (sk: sock): number => Math.max(inet_csk(sk).icsk_rto, TCP_RTO_MIN)
export const tcp_probe0_when = kfunc('tcp_probe0_when', (sk: sock, max_when: number): number => {
  const backoff = Math.min(ilog2(Math.trunc(TCP_RTO_MAX / TCP_RTO_MIN)) + 1, inet_csk(sk).icsk_backoff)
  return Math.min(tcp_probe0_base(sk) * 2 ** backoff, max_when)
})
/** nothing in flight and no timer: only a probe can find out that a closed window has opened */
export const tcp_check_probe_timer = kfunc('tcp_check_probe_timer', (sk: sock): void => {
  if (!tcp_sk(sk).packets_out && !inet_csk(sk).icsk_pending)
    tcp_reset_xmit_timer(sk, ICSK_TIME_PROBE0, tcp_probe0_base(sk), TCP_RTO_MAX)
})

export const tcp_init_wl = (tp: tcp_sock, seq: number): void => {
  tp.snd_wl1 = seq
}
export const tcp_update_wl = (tp: tcp_sock, seq: number): void => {
  tp.snd_wl1 = seq
}

export const tcp_v4_check = kfunc('tcp_v4_check', (len: number, saddr: number, daddr: number, base: number): number =>
  csum_tcpudp_magic(saddr, daddr, len, IPPROTO_TCP, base),
)
export const tcp_checksum_complete = kfunc(
  'tcp_checksum_complete',
  (skb: sk_buff): boolean => !skb_csum_unnecessary(skb) && __skb_checksum_complete(skb) !== 0,
)

export const tcp_sack_reset = (rx_opt: tcp_options_received): void => {
  rx_opt.dsack = 0
  rx_opt.num_sacks = 0
}

export const tcp_slow_start_after_idle_check = kfunc('tcp_slow_start_after_idle_check', (sk: sock): void => {
  const tp = tcp_sk(sk)
  if (!sock_net(sk).ipv4.sysctl_tcp_slow_start_after_idle || tp.packets_out || inet_csk(sk).icsk_ca_ops.cong_control) return
  const delta = (tcp_jiffies32() - tp.lsndtime) | 0
  if (delta > inet_csk(sk).icsk_rto) tcp_cwnd_restart(sk, delta)
})

/** how much of `space` bytes of socket memory can be offered as window */
export const __tcp_win_from_space = (scaling_ratio: number, space: number): number =>
  Math.floor((space * scaling_ratio) / (1 << TCP_RMEM_TO_WIN_SCALE))
export const tcp_win_from_space = (sk: sock, space: number): number => __tcp_win_from_space(tcp_sk(sk).scaling_ratio, space)
/** the inverse: how much socket memory a window takes */
export const __tcp_space_from_win = (scaling_ratio: number, win: number): number =>
  Math.floor((win * (1 << TCP_RMEM_TO_WIN_SCALE)) / scaling_ratio)
export const tcp_space_from_win = (sk: sock, win: number): number => __tcp_space_from_win(tcp_sk(sk).scaling_ratio, win)
export const tcp_scaling_ratio_init = (sk: sock): void => {
  tcp_sk(sk).scaling_ratio = TCP_DEFAULT_SCALING_RATIO
}
export const tcp_space = kfunc('tcp_space', (sk: sock): number =>
  tcp_win_from_space(sk, sk.sk_rcvbuf - sk.sk_backlog.len - sk.sk_rmem_alloc),
)
export const tcp_full_space = kfunc('tcp_full_space', (sk: sock): number => tcp_win_from_space(sk, sk.sk_rcvbuf))
export const tcp_dst_advmss = kfunc('tcp_dst_advmss', (dst: dst_entry): number => Math.max(dst_metric_advmss(dst), TCP_MIN_MSS))

export const __tcp_adjust_rcv_ssthresh = kfunc('__tcp_adjust_rcv_ssthresh', (sk: sock, new_ssthresh: number): void => {
  const unused_mem = sk_unused_reserved_mem(sk)
  const tp = tcp_sk(sk)
  tp.rcv_ssthresh = Math.min(tp.rcv_ssthresh, new_ssthresh)
  if (unused_mem) tp.rcv_ssthresh = Math.max(tp.rcv_ssthresh, tcp_win_from_space(sk, unused_mem))
})
export const tcp_adjust_rcv_ssthresh = kfunc('tcp_adjust_rcv_ssthresh', (sk: sock): void => {
  __tcp_adjust_rcv_ssthresh(sk, 4 * tcp_sk(sk).advmss)
})

export const tcp_rmem_pressure = (sk: sock): boolean => {
  if (tcp_under_memory_pressure(sk)) return true
  return sk.sk_rmem_alloc > sk.sk_rcvbuf - (sk.sk_rcvbuf >> 3)
}
export const tcp_epollin_ready = kfunc('tcp_epollin_ready', (sk: sock, target: number): boolean => {
  const tp = tcp_sk(sk)
  const avail = (tp.rcv_nxt - tp.copied_seq) | 0
  if (avail <= 0) return false
  return avail >= target || tcp_rmem_pressure(sk) || tcp_receive_window(tp) <= inet_csk(sk).icsk_ack.rcv_mss
})

export const keepalive_intvl_when = (tp: tcp_sock): number => tp.keepalive_intvl || sock_net(tp).ipv4.sysctl_tcp_keepalive_intvl
export const keepalive_time_when = (tp: tcp_sock): number => tp.keepalive_time || sock_net(tp).ipv4.sysctl_tcp_keepalive_time
export const keepalive_probes = (tp: tcp_sock): number => tp.keepalive_probes || sock_net(tp).ipv4.sysctl_tcp_keepalive_probes
export const keepalive_time_elapsed = (tp: tcp_sock): number =>
  Math.min((tcp_jiffies32() - tp.icsk_ack.lrcvtime) >>> 0, (tcp_jiffies32() - tp.rcv_tstamp) >>> 0)

/** jiffies to stay in FIN_WAIT2 */
export const tcp_fin_time = kfunc('tcp_fin_time', (sk: sock): number => {
  const rto = inet_csk(sk).icsk_rto
  return Math.max(tcp_sk(sk).linger2 || sock_net(sk).ipv4.sysctl_tcp_fin_timeout, (rto << 2) - (rto >> 1))
})

export const tcp_paws_check = kfunc('tcp_paws_check', (rx_opt: tcp_options_received, paws_win: number): boolean => {
  if (((rx_opt.ts_recent - rx_opt.rcv_tsval) | 0) <= paws_win) return true
  if (!time_before32(ktime_get_seconds(), rx_opt.ts_recent_stamp + TCP_PAWS_WRAP)) return true
  // some peers send a timestamp of 0 in the SYN
  return rx_opt.ts_recent === 0
})
export const tcp_paws_reject = kfunc('tcp_paws_reject', (rx_opt: tcp_options_received, rst: number): boolean => {
  if (tcp_paws_check(rx_opt, 0)) return false
  if (rst && !time_before32(ktime_get_seconds(), rx_opt.ts_recent_stamp + TCP_PAWS_MSL)) return false
  return true
})

/** `pred_flags` is the header word (tcp_flag_word) that the next segment has, if all goes well; host order */
export const __tcp_fast_path_on = kfunc('__tcp_fast_path_on', (tp: tcp_sock, snd_wnd: number): void => {
  if (sk_is_mptcp(tp)) return
  tp.pred_flags = ((tp.tcp_header_len << 26) | TCP_FLAG_ACK | snd_wnd) >>> 0
})
export const tcp_fast_path_on = kfunc('tcp_fast_path_on', (tp: tcp_sock): void => {
  __tcp_fast_path_on(tp, tp.snd_wnd >>> tp.rx_opt.snd_wscale)
})
export const tcp_fast_path_check = kfunc('tcp_fast_path_check', (sk: sock): void => {
  const tp = tcp_sk(sk)
  if (RB_EMPTY_ROOT(tp.out_of_order_queue) && tp.rcv_wnd && sk.sk_rmem_alloc < sk.sk_rcvbuf && !tp.urg_data) tcp_fast_path_on(tp)
})

export const tcp_clear_retrans_hints_partial = (tp: tcp_sock): void => {
  tp.lost_skb_hint = null
}
export const tcp_clear_all_retrans_hints = (tp: tcp_sock): void => {
  tp.lost_skb_hint = null
  tp.retransmit_skb_hint = null
}

export const tcp_fastopen_cookie_match = (foc: tcp_fastopen_cookie, orig: tcp_fastopen_cookie): boolean => {
  if (orig.len !== TCP_FASTOPEN_COOKIE_SIZE || orig.len !== foc.len) return false
  for (let i = 0; i < foc.len; i++) if (orig.val[i] !== foc.val[i]) return false
  return true
}

/** a queued buffer is about to leave the queue: nothing of it may be taken for a route or an owner */
export const tcp_skb_tsorted_anchor_cleanup = (skb: sk_buff): void => {
  skb.destructor = null
  skb._skb_refdst = null
  skb.dst_noref = false
}

export const tcp_rtx_queue_head = kfunc('tcp_rtx_queue_head', (sk: sock): sk_buff | null =>
  skb_rb_first(tcp_sk(sk).tcp_rtx_queue),
)
export const tcp_rtx_queue_tail = kfunc('tcp_rtx_queue_tail', (sk: sock): sk_buff | null => skb_rb_last(tcp_sk(sk).tcp_rtx_queue))
export const tcp_write_queue_tail = kfunc('tcp_write_queue_tail', (sk: sock): sk_buff | null => skb_peek_tail(sk.sk_write_queue))
export const tcp_send_head = kfunc('tcp_send_head', (sk: sock): sk_buff | null => skb_peek(sk.sk_write_queue))
export const tcp_skb_is_last = (sk: sock, skb: sk_buff): boolean => skb_queue_is_last(sk.sk_write_queue, skb)
/** by sequence numbers: a queued FIN counts, an empty buffer does not */
export const tcp_write_queue_empty = (sk: sock): boolean => tcp_sk(sk).write_seq === tcp_sk(sk).snd_nxt
export const tcp_rtx_queue_empty = (sk: sock): boolean => RB_EMPTY_ROOT(tcp_sk(sk).tcp_rtx_queue)
export const tcp_rtx_and_write_queues_empty = kfunc(
  'tcp_rtx_and_write_queues_empty',
  (sk: sock): boolean => tcp_rtx_queue_empty(sk) && tcp_write_queue_empty(sk),
)
export const tcp_add_write_queue_tail = kfunc('tcp_add_write_queue_tail', (sk: sock, skb: sk_buff): void => {
  __skb_queue_tail(sk.sk_write_queue, skb)
  if (sk.sk_write_queue.first === skb) tcp_chrono_start(sk, TCP_CHRONO_BUSY)
})
export const tcp_insert_write_queue_before = kfunc(
  'tcp_insert_write_queue_before',
  (new_: sk_buff, skb: sk_buff, sk: sock): void => {
    __skb_queue_before(sk.sk_write_queue, skb, new_)
  },
)
export const tcp_unlink_write_queue = kfunc('tcp_unlink_write_queue', (skb: sk_buff, sk: sock): void => {
  tcp_skb_tsorted_anchor_cleanup(skb)
  __skb_unlink(skb, sk.sk_write_queue)
})
export const tcp_rtx_queue_unlink = kfunc('tcp_rtx_queue_unlink', (skb: sk_buff, sk: sock): void => {
  tcp_skb_tsorted_anchor_cleanup(skb)
  rb_erase(skb.rbnode, tcp_sk(sk).tcp_rtx_queue)
})
export const tcp_rtx_queue_unlink_and_free = kfunc('tcp_rtx_queue_unlink_and_free', (skb: sk_buff, sk: sock): void => {
  list_del(skb.tcp_tsorted_anchor)
  tcp_rtx_queue_unlink(skb, sk)
  tcp_wmem_free_skb(sk, skb)
})
export const tcp_push_pending_frames = kfunc('tcp_push_pending_frames', (sk: sock): void => {
  if (tcp_send_head(sk) !== null) {
    const tp = tcp_sk(sk)
    __tcp_push_pending_frames(sk, tcp_current_mss(sk), tp.nonagle)
  }
})

export const tcp_highest_sack_seq = (tp: tcp_sock): number => {
  if (!tp.sacked_out) return tp.snd_una
  if (tp.highest_sack === null) return tp.snd_nxt
  return TCP_SKB_CB(tp.highest_sack).seq
}
export const tcp_advance_highest_sack = (sk: sock, skb: sk_buff): void => {
  tcp_sk(sk).highest_sack = skb_rb_next(skb)
}
export const tcp_highest_sack = (sk: sock): sk_buff | null => tcp_sk(sk).highest_sack
export const tcp_highest_sack_reset = (sk: sock): void => {
  tcp_sk(sk).highest_sack = tcp_rtx_queue_head(sk)
}
export const tcp_highest_sack_replace = (sk: sock, old: sk_buff, new_: sk_buff | null): void => {
  if (old === tcp_sk(sk).highest_sack) tcp_sk(sk).highest_sack = new_
}

export const inet_sk_transparent = (sk: sock): boolean => {
  switch (sk.sk_state) {
    case TCP_TIME_WAIT:
      return inet_twsk(sk).tw_transparent !== 0
    case TCP_NEW_SYN_RECV:
      return inet_rsk(inet_reqsk(sk)).no_srccheck !== 0
  }
  return inet_test_bit(INET_FLAGS_TRANSPARENT, sk)
}

/** too few in flight for duplicate ACKs to tell of a loss */
export const tcp_stream_is_thin = (tp: tcp_sock): boolean => tp.packets_out < 4 && !tcp_in_initial_slowstart(tp)
export const tcp_notsent_lowat = (tp: tcp_sock): number => tp.notsent_lowat || sock_net(tp).ipv4.sysctl_tcp_notsent_lowat

export const tcp_get_current_key = kfunc('tcp_get_current_key', (_sk: sock, out: tcp_key): void => {
  out.type = TCP_KEY_NONE
})

/** microseconds until the retransmission timer is due, counted from when the oldest segment was sent; may be negative */
export const tcp_rto_delta_us = kfunc('tcp_rto_delta_us', (sk: sock): number => {
  const skb = tcp_rtx_queue_head(sk)
  const rto = inet_csk(sk).icsk_rto
  if (skb === null) return jiffies_to_usecs(rto)
  return tcp_skb_timestamp_us(skb) + jiffies_to_usecs(rto) - tcp_sk(sk).tcp_mstamp
})

/** a pure ACK is known by its size: no buffer is that small */
export const skb_is_tcp_pure_ack = (skb: sk_buff): boolean => skb.truesize === 2
export const skb_set_tcp_pure_ack = (skb: sk_buff): void => {
  skb.truesize = 2
}

/** bytes that can be read */
export const tcp_inq = kfunc('tcp_inq', (sk: sock): number => {
  const tp = tcp_sk(sk)
  if ((1 << sk.sk_state) & (TCPF_SYN_SENT | TCPF_SYN_RECV)) return 0
  if (sock_flag(sk, SOCK_URGINLINE) || !tp.urg_data || before(tp.urg_seq, tp.copied_seq) || !before(tp.urg_seq, tp.rcv_nxt)) {
    let answ = (tp.rcv_nxt - tp.copied_seq) | 0
    // the FIN has a sequence number and is no byte
    if (answ && sock_flag(sk, SOCK_DONE)) answ--
    return answ
  }
  return (tp.urg_seq - tp.copied_seq) | 0
})

export const tcp_segs_in = kfunc('tcp_segs_in', (tp: tcp_sock, skb: sk_buff): void => {
  const segs_in = Math.max(1, skb_shinfo(skb).gso_segs)
  tp.segs_in = (tp.segs_in + segs_in) >>> 0
  if (skb.len > tcp_hdrlen(skb)) tp.data_segs_in = (tp.data_segs_in + segs_in) >>> 0
})

export const tcp_listendrop = kfunc('tcp_listendrop', (sk: sock): void => {
  sk.sk_drops++
  sock_net(sk).mib.linux.ListenDrops++
})

export const tcp_call_bpf = kfunc(
  'tcp_call_bpf',
  (_sk: sock, _op: number, _nargs: number, _args: readonly number[] | null): number => 0,
)
export const tcp_call_bpf_2arg = kfunc('tcp_call_bpf_2arg', (sk: sock, op: number, arg1: number, arg2: number): number =>
  tcp_call_bpf(sk, op, 2, [arg1, arg2]),
)
export const tcp_call_bpf_3arg = kfunc(
  'tcp_call_bpf_3arg',
  (sk: sock, op: number, arg1: number, arg2: number, arg3: number): number => tcp_call_bpf(sk, op, 3, [arg1, arg2, arg3]),
)
export const tcp_timeout_init = kfunc('tcp_timeout_init', (sk: sock): number => {
  let timeout = tcp_call_bpf(sk, BPF_SOCK_OPS_TIMEOUT_INIT, 0, null)
  if (timeout <= 0) timeout = TCP_TIMEOUT_INIT
  return Math.min(timeout, TCP_RTO_MAX)
})
export const tcp_rwnd_init_bpf = kfunc('tcp_rwnd_init_bpf', (sk: sock): number =>
  Math.max(tcp_call_bpf(sk, BPF_SOCK_OPS_RWND_INIT, 0, null), 0),
)
export const tcp_bpf_ca_needs_ecn = kfunc(
  'tcp_bpf_ca_needs_ecn',
  (sk: sock): boolean => tcp_call_bpf(sk, BPF_SOCK_OPS_NEEDS_ECN, 0, null) === 1,
)
export const tcp_bpf_rtt = (sk: sock, mrtt: number, srtt: number): void => {
  if (BPF_SOCK_OPS_TEST_FLAG(tcp_sk(sk), BPF_SOCK_OPS_RTT_CB_FLAG)) tcp_call_bpf_2arg(sk, BPF_SOCK_OPS_RTT_CB, mrtt, srtt)
}

/** TCP_TX_DELAY: the static key is on from the first socket that asks for a delay */
export const tcp_tx_delay_enabled = { on: false }
early_initcall(() => {
  tcp_tx_delay_enabled.on = false
})
export const tcp_add_tx_delay = (skb: sk_buff, tp: tcp_sock): void => {
  if (tcp_tx_delay_enabled.on) skb.tstamp += tp.tcp_tx_delay * NSEC_PER_USEC
}
export const tcp_transmit_time = (sk: sock): number => {
  if (!tcp_tx_delay_enabled.on) return 0
  const delay = sk.sk_state === TCP_TIME_WAIT ? tcp_twsk(sk).tw_tx_delay : tcp_sk(sk).tcp_tx_delay
  return tcp_clock_ns() + delay * NSEC_PER_USEC
}

/** include/linux/tcp.h: the lower of what the user and the route allow */
export const tcp_mss_clamp = (tp: tcp_sock, mss: number): number => {
  const { user_mss } = tp.rx_opt
  return user_mss && user_mss < mss ? user_mss : mss
}
/** include/linux/tcp.h: a child that fast open accepted before the handshake was done */
export const tcp_passive_fastopen = (sk: sock): boolean => sk.sk_state === TCP_SYN_RECV && tcp_sk(sk).fastopen_rsk !== null
export const dst_tcp_usec_ts = (dst: dst_entry): boolean => dst_feature(dst, RTAX_FEATURE_TCP_USEC_TS) !== 0

// include/net/inet_ecn.h
export const INET_ECN_is_not_ect = (dsfield: number): boolean => (dsfield & INET_ECN_MASK) === INET_ECN_NOT_ECT
export const INET_ECN_is_capable = (dsfield: number): boolean => (dsfield & INET_ECN_ECT_0) !== 0
export const INET_ECN_xmit = (sk: sock): void => {
  inet_sk(sk).tos |= INET_ECN_ECT_0
}
export const INET_ECN_dontxmit = (sk: sock): void => {
  inet_sk(sk).tos &= ~INET_ECN_MASK
}

/** finds the signature options of a segment, -1 for none; below 0: they are malformed */
export const tcp_parse_auth_options = kfunc(
  'tcp_parse_auth_options',
  (th: tcphdr, md5_hash: ref<number>, aoh: ref<number>): number => tcp_do_parse_auth_options(th, md5_hash, aoh),
)

/** include/linux/tcp.h; kfree() is called for nothing as well */
export const tcp_saved_syn_free = kfunc('tcp_saved_syn_free', (tp: tcp_sock): void => {
  kfree(tp.saved_syn)
  tp.saved_syn = null
})
