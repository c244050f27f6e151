// biome-ignore-all lint/suspicious/noConfusingLabels: a labelled block stands for a goto of the kernel

import { inlinedHere, kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceCounters, traceIndirect, tracepoint, tracer } from '../../../trace/tracer.ts'
import { get_random_u32_inclusive } from '../../drivers/char/random.ts'
import {
  CA_EVENT_COMPLETE_CWR,
  CA_EVENT_ECN_IS_CE,
  CA_EVENT_ECN_NO_CE,
  CA_EVENT_LOSS,
  DST_FEATURE_ECN_CA,
  DST_FEATURE_ECN_MASK,
  ETH_P_IPV6,
  HZ,
  ICSK_ACK_NOMEM,
  ICSK_ACK_NOW,
  ICSK_ACK_PUSHED,
  ICSK_ACK_PUSHED2,
  ICSK_TIME_DACK,
  ICSK_TIME_LOSS_PROBE,
  ICSK_TIME_PROBE0,
  ICSK_TIME_REO_TIMEOUT,
  ICSK_TIME_RETRANS,
  MAX_SKB_FRAGS,
  MAX_TCP_HEADER,
  PAGE_SIZE,
  SKB_DROP_REASON_NOT_SPECIFIED,
  SKB_DROP_REASON_PKT_TOO_SMALL,
  SKB_DROP_REASON_PROTO_MEM,
  SKB_DROP_REASON_TCP_ABORT_ON_DATA,
  SKB_DROP_REASON_TCP_ACK_UNSENT_DATA,
  SKB_DROP_REASON_TCP_CLOSE,
  SKB_DROP_REASON_TCP_CSUM,
  SKB_DROP_REASON_TCP_FASTOPEN,
  SKB_DROP_REASON_TCP_FLAGS,
  SKB_DROP_REASON_TCP_INVALID_ACK_SEQUENCE,
  SKB_DROP_REASON_TCP_INVALID_SEQUENCE,
  SKB_DROP_REASON_TCP_INVALID_SYN,
  SKB_DROP_REASON_TCP_OFO_DROP,
  SKB_DROP_REASON_TCP_OFO_QUEUE_PRUNE,
  SKB_DROP_REASON_TCP_OFOMERGE,
  SKB_DROP_REASON_TCP_OLD_ACK,
  SKB_DROP_REASON_TCP_OLD_DATA,
  SKB_DROP_REASON_TCP_OLD_SEQUENCE,
  SKB_DROP_REASON_TCP_OVERWINDOW,
  SKB_DROP_REASON_TCP_RESET,
  SKB_DROP_REASON_TCP_RFC7323_PAWS,
  SKB_DROP_REASON_TCP_TOO_OLD_ACK,
  SKB_DROP_REASON_TCP_ZEROWINDOW,
  SKB_NOT_DROPPED_YET,
  SOCK_DEAD,
  SOCK_DONE,
  SOCK_KEEPOPEN,
  SOCK_MIN_SNDBUF,
  SOCK_NOSPACE,
  SOCK_RCVBUF_LOCK,
  SOCK_SNDBUF_LOCK,
  SOCK_URGINLINE,
  TCP_ATO_MIN,
  TCP_CA_CWR,
  TCP_CA_Disorder,
  TCP_CA_Loss,
  TCP_CA_Open,
  TCP_CA_Recovery,
  TCP_CHRONO_BUSY,
  TCP_CHRONO_SNDBUF_LIMITED,
  TCP_CLOSE,
  TCP_CLOSE_WAIT,
  TCP_CLOSING,
  TCP_DELACK_MAX,
  TCP_ESTABLISHED,
  TCP_FASTRETRANS_THRESH,
  TCP_FIN_WAIT1,
  TCP_FIN_WAIT2,
  TCP_FRAG_IN_RTX_QUEUE,
  TCP_INFINITE_SSTHRESH,
  TCP_INIT_CWND,
  TCP_LAST_ACK,
  TCP_LISTEN,
  TCP_MAX_QUICKACKS,
  TCP_MAX_WSCALE,
  TCP_MIN_GSO_SIZE,
  TCP_MIN_MSS,
  TCP_NAGLE_OFF,
  TCP_RACK_LOSS_DETECTION,
  TCP_RTO_MAX,
  TCP_SYN_RECV,
  TCP_SYN_SENT,
  TCP_TIME_WAIT,
  TCP_TIMEOUT_MIN,
  TCP_TIMEWAIT_LEN,
  TCP_TS_HZ,
  TCPCB_EVER_RETRANS,
  TCPCB_LOST,
  TCPCB_RETRANS,
  TCPCB_SACKED_ACKED,
  TCPCB_SACKED_RETRANS,
  TCPCB_TAGBITS,
  TCPF_ACK_DEFERRED,
  TCPF_CLOSE_WAIT,
  TCPF_CLOSING,
  TCPF_LAST_ACK,
  TCPHDR_CWR,
  TCPHDR_ECE,
  TCPHDR_FIN,
  TCPHDR_PSH,
  TCPHDR_SYN,
  TCPOLEN_EXP_FASTOPEN_BASE,
  TCPOLEN_FASTOPEN_BASE,
  TCPOLEN_MD5SIG,
  TCPOLEN_MSS,
  TCPOLEN_SACK_BASE,
  TCPOLEN_SACK_PERBLOCK,
  TCPOLEN_SACK_PERM,
  TCPOLEN_TIMESTAMP,
  TCPOLEN_TSTAMP_ALIGNED,
  TCPOLEN_WINDOW,
  TCPOPT_AO,
  TCPOPT_EOL,
  TCPOPT_EXP,
  TCPOPT_FASTOPEN,
  TCPOPT_FASTOPEN_MAGIC,
  TCPOPT_MD5SIG,
  TCPOPT_MSS,
  TCPOPT_NOP,
  TCPOPT_SACK,
  TCPOPT_SACK_PERM,
  TCPOPT_TIMESTAMP,
  TCPOPT_WINDOW,
} from '../../include/generated/enums.ts'
import { ECONNREFUSED, ECONNRESET, EEXIST, EINVAL, ENOMEM, EPIPE } from '../../include/linux/errno.ts'
import { HRTIMER_MODE_REL_PINNED_SOFT, hrtimer_is_queued } from '../../include/linux/hrtimer.ts'
import { INET_ECN_CE, INET_ECN_MASK, INET_ECN_NOT_ECT } from '../../include/linux/ip.ts'
import { list_del } from '../../include/linux/list.ts'
import { SOCK_WAKE_IO, SOCK_WAKE_WAITD } from '../../include/linux/net.ts'
import { RB_EMPTY_ROOT, type rb_node, type rb_root } from '../../include/linux/rbtree.ts'
import {
  __skb_dequeue,
  __skb_queue_before,
  __skb_queue_tail,
  __skb_unlink,
  type sk_buff,
  sk_buff_head,
  skb_end_offset,
  skb_headlen,
  skb_is_nonlinear,
  skb_mac_header_len,
  skb_network_header_len,
  skb_peek,
  skb_peek_tail,
  skb_queue_empty,
  skb_queue_len,
  skb_shinfo,
} from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import type { msghdr } from '../../include/linux/socket.ts'
import {
  TCP_FLAG_FIN,
  TCP_FLAG_PSH,
  TCP_FLAG_SYN,
  TCP_FLAG_URG,
  TCP_RESERVED_BITS,
  TCPHDR_LEN,
  tcp_flag_word,
  tcp_hdr,
  tcp_hdrlen,
  tcphdr,
} from '../../include/linux/tcp.ts'
import { DIV_ROUND_UP, INT_MAX, NSEC_PER_USEC, type ref, roundup_pow_of_two, USEC_PER_SEC } from '../../include/linux/types.ts'
import { type dst_entry, RTAX_INITCWND } from '../../include/net/dst.ts'
import { flowi4 } from '../../include/net/flow.ts'
import { inet_csk } from '../../include/net/inet_connection_sock.ts'
import { INET_FLAGS_TRANSPARENT, inet_rsk, inet_test_bit } from '../../include/net/inet_sock.ts'
import type { linux_mib, net } from '../../include/net/net_namespace.ts'
import { req_to_sk, type request_sock, type request_sock_ops } from '../../include/net/request_sock.ts'
import type { sock } from '../../include/net/sock.ts'
import {
  after,
  before,
  between,
  CA_ACK_ECE,
  CA_ACK_SLOWPATH,
  CA_ACK_WIN_UPDATE,
  rate_sample,
  TCP_DSACK_SEEN,
  TCP_ECN_DEMAND_CWR,
  TCP_ECN_OK,
  TCP_ECN_QUEUE_CWR,
  TCP_ECN_SEEN,
  TCP_FASTOPEN_COOKIE_MAX,
  TCP_FASTOPEN_COOKIE_MIN,
  TCP_MSS_DEFAULT,
  TCP_PAWS_WINDOW,
  TCP_RMEM_TO_WIN_SCALE,
  TCP_SACK_SEEN,
  TCP_SKB_CB,
  TCP_SYNACK_COOKIE,
  TCP_SYNACK_FASTOPEN,
  TCP_SYNACK_NORMAL,
  TCP_URG_NOTYET,
  TCP_URG_VALID,
  tcp_fastopen_cookie,
  tcp_options_received,
  type tcp_request_sock_ops,
  tcp_rsk,
  type tcp_sack_block,
  type tcp_seq_and_ts_off,
  tcp_sk,
  type tcp_skb_cb,
  type tcp_sock,
} from '../../include/net/tcp.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { local_bh_disable, local_bh_enable } from '../../kernel/softirq.ts'
import { hrtimer_start_range_ns, hrtimer_try_to_cancel } from '../../kernel/time/hrtimer.ts'
import { ktime_get_seconds } from '../../kernel/time/timekeeping.ts'
import { jiffies, jiffies_to_usecs, usecs_to_jiffies } from '../../kernel/time/timer.ts'
import { rb_erase, rb_first, rb_insert_color, rb_link_node, rb_next, rb_prev, rb_replace_node } from '../../lib/rbtree.ts'
import { minmax_running_min } from '../../lib/win_minmax.ts'
import { __kmalloc_noprof } from '../../mm/slub.ts'
import { security_inet_conn_established } from '../../security/security.ts'
import { skb_copy_datagram_from_iter } from '../core/datagram.ts'
import { dst_feature, dst_metric, dst_release } from '../core/dst.ts'
import { tp_sock_ends, tp_tcp_event_sk, trace_tcp_bad_csum } from '../core/net-traces.ts'
import { __reqsk_free, reqsk_fastopen_remove, reqsk_free, reqsk_put } from '../core/request_sock.ts'
import {
  __kfree_skb,
  __skb_pull,
  __skb_tstamp_tx,
  alloc_skb,
  alloc_skb_with_frags,
  consume_skb,
  kfree_skb,
  kfree_skb_partial,
  SKB_TRUESIZE,
  sk_skb_reason_drop,
  skb_condense,
  skb_copy_bits,
  skb_put,
  skb_rb_first,
  skb_rb_last,
  skb_rb_next,
  skb_rb_prev,
  skb_rbtree_purge,
  skb_shift,
  skb_try_coalesce,
} from '../core/skbuff.ts'
import {
  __sk_dst_get,
  __sock_put,
  bh_unlock_sock,
  net_tx_rndhash,
  RCV_SHUTDOWN,
  SEND_SHUTDOWN,
  SHUTDOWN_MASK,
  sk_acceptq_is_full,
  sk_drops_add,
  sk_dst_confirm,
  sk_error_report,
  sk_mem_charge,
  sk_memory_allocated,
  sk_prot_mem_limits,
  sk_rethink_txhash,
  sk_rmem_schedule,
  sk_rx_queue_set,
  sk_send_sigurg,
  sk_unused_reserved_mem,
  sk_wake_async,
  skb_set_owner_r,
  sock_flag,
  sock_hold,
  sock_net,
  sock_owned_by_user,
  sock_owned_by_user_nocheck,
  sock_put,
  sock_set_flag,
} from '../core/sock.ts'
import {
  inet_csk_ack_scheduled,
  inet_csk_clear_xmit_timer,
  inet_csk_enter_pingpong_mode,
  inet_csk_exit_pingpong_mode,
  inet_csk_in_pingpong_mode,
  inet_csk_reqsk_queue_add,
  inet_csk_reqsk_queue_hash_add,
  inet_csk_reqsk_queue_is_full,
  inet_csk_reqsk_queue_len,
  inet_csk_reset_keepalive_timer,
  inet_csk_reset_xmit_timer,
  inet_csk_schedule_ack,
  inet_reqsk_alloc,
  inet_request_bound_dev_if,
  inet_request_mark,
} from './inet_connection_sock.ts'
import { tcp_done, tcp_set_state, tcp_shutdown, tcp_write_queue_purge } from './tcp.ts'
import { tcp_init_congestion_control, tcp_set_ca_state } from './tcp_cong.ts'
import { tcp_fastopen_active_disable, tcp_fastopen_add_skb, tcp_try_fastopen } from './tcp_fastopen.ts'
import {
  __tcp_fast_path_on,
  __tcp_set_rto,
  BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB,
  BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB,
  cookie_init_sequence,
  dst_tcp_usec_ts,
  INET_ECN_is_not_ect,
  keepalive_time_when,
  tcp_add_receive_queue,
  tcp_adjust_rcv_ssthresh,
  tcp_advance_highest_sack,
  tcp_bound_rto,
  tcp_bpf_ca_needs_ecn,
  tcp_bpf_rtt,
  tcp_ca_event,
  tcp_ca_needs_ecn,
  tcp_checksum_complete,
  tcp_cleanup_skb,
  tcp_clear_all_retrans_hints,
  tcp_clear_retrans_hints_partial,
  tcp_clock_us,
  tcp_current_ssthresh,
  tcp_epollin_ready,
  tcp_fast_path_check,
  tcp_fast_path_on,
  tcp_fin_time,
  tcp_full_space,
  tcp_highest_sack,
  tcp_highest_sack_replace,
  tcp_highest_sack_reset,
  tcp_highest_sack_seq,
  tcp_in_cwnd_reduction,
  tcp_init_wl,
  tcp_is_reno,
  tcp_is_sack,
  tcp_jiffies32,
  tcp_left_out,
  tcp_listendrop,
  tcp_min_rtt,
  tcp_packets_in_flight,
  tcp_paws_check,
  tcp_paws_reject,
  tcp_probe0_when,
  tcp_push_pending_frames,
  tcp_receive_window,
  tcp_reset_xmit_timer,
  tcp_rto_delta_us,
  tcp_rto_min_us,
  tcp_rtx_queue_empty,
  tcp_rtx_queue_head,
  tcp_rtx_queue_unlink_and_free,
  tcp_sack_reset,
  tcp_send_head,
  tcp_skb_can_collapse,
  tcp_skb_can_collapse_rx,
  tcp_skb_mss,
  tcp_skb_pcount,
  tcp_skb_pcount_add,
  tcp_skb_timestamp_ts,
  tcp_skb_timestamp_us,
  tcp_slow_start_after_idle_check,
  tcp_snd_cwnd,
  tcp_snd_cwnd_set,
  tcp_space,
  tcp_space_from_win,
  tcp_stamp_us_delta,
  tcp_time_stamp_ms,
  tcp_time_stamp_ts,
  tcp_timeout_init,
  tcp_under_memory_pressure,
  tcp_update_wl,
  tcp_verify_left_out,
  tcp_win_from_space,
  tcp_wnd_end,
  tcp_write_queue_empty,
} from './tcp_inlines.ts'
import { tcp_fastopen_cache_set, tcp_init_metrics, tcp_peer_is_proven, tcp_update_metrics } from './tcp_metrics.ts'
import { tcp_check_req, tcp_openreq_init_rwin, tcp_time_wait } from './tcp_minisocks.ts'
import {
  __tcp_push_pending_frames,
  __tcp_select_window,
  sk_forced_mem_schedule,
  tcp_chrono_stop,
  tcp_current_mss,
  tcp_fragment,
  tcp_mss_to_mtu,
  tcp_mstamp_refresh,
  tcp_mtup_init,
  tcp_schedule_loss_probe,
  tcp_send_ack,
  tcp_send_delayed_ack,
  tcp_send_synack,
  tcp_skb_collapse_tstamp,
  tcp_sync_mss,
  tcp_trim_head,
  tcp_xmit_retransmit_queue,
} from './tcp_output.ts'
import { tcp_rate_gen, tcp_rate_skb_delivered } from './tcp_rate.ts'
import {
  TCP_RACK_RECOVERY_THRESH,
  tcp_newreno_mark_lost,
  tcp_rack_advance,
  tcp_rack_mark_lost,
  tcp_rack_skb_timeout,
  tcp_rack_update_reo_wnd,
} from './tcp_recovery.ts'
import { tcp_clamp_probe0_to_user_timeout } from './tcp_timer.ts'

/** what an ACK turned out to be: net/ipv4/tcp_input.c */
const FLAG_DATA = 0x01
const FLAG_WIN_UPDATE = 0x02
const FLAG_DATA_ACKED = 0x04
const FLAG_RETRANS_DATA_ACKED = 0x08
const FLAG_SYN_ACKED = 0x10
const FLAG_DATA_SACKED = 0x20
const FLAG_ECE = 0x40
const FLAG_LOST_RETRANS = 0x80
const FLAG_SLOWPATH = 0x100
const FLAG_ORIG_SACK_ACKED = 0x200
const FLAG_SND_UNA_ADVANCED = 0x400
const FLAG_DSACKING_ACK = 0x800
const FLAG_SET_XMIT_TIMER = 0x1000
const FLAG_SACK_RENEGING = 0x2000
const FLAG_UPDATE_TS_RECENT = 0x4000
const FLAG_NO_CHALLENGE_ACK = 0x8000
const FLAG_ACK_MAYBE_DELAYED = 0x10000
const FLAG_DSACK_TLP = 0x20000

const FLAG_ACKED = FLAG_DATA_ACKED | FLAG_SYN_ACKED
const FLAG_NOT_DUP = FLAG_DATA | FLAG_WIN_UPDATE | FLAG_ACKED
const FLAG_CA_ALERT = FLAG_DATA_SACKED | FLAG_ECE | FLAG_DSACKING_ACK
const FLAG_FORWARD_PROGRESS = FLAG_ACKED | FLAG_DATA_SACKED

const TCP_REMNANT = TCP_FLAG_FIN | TCP_FLAG_URG | TCP_FLAG_SYN | TCP_FLAG_PSH
const TCP_HP_BITS = ~(TCP_RESERVED_BITS | TCP_FLAG_PSH)

const REXMIT_NONE = 0
const REXMIT_LOST = 1
const REXMIT_NEW = 2

const TCP_NUM_SACKS = 4
/** SACK blocks that every path leaves room for */
const TCP_SACK_BLOCKS_EXPECTED = 2

/** SKB_DATA_ALIGN() of the two structs, in bytes */
const SKB_SHARED_INFO_ALIGNED = 320
const SK_BUFF_ALIGNED = 256
/** SKB_WITH_OVERHEAD(PAGE_SIZE) */
const SKB_MAX_ORDER_0 = PAGE_SIZE - SKB_SHARED_INFO_ALIGNED

const POLL_IN = 1
const POLL_OUT = 2
const POLL_HUP = 6
const SCM_TSTAMP_ACK = 2

/** enum tcp_fastopen_client_fail */
const TFO_DATA_NOT_ACKED = 2
const TFO_SYN_RETRANSMITTED = 3

type mib_counter = keyof linux_mib

/** wakes who waits for something to read */
function data_ready(sk: sock): void {
  if (tracer.on) traceIndirect('sk->sk_data_ready', nameOf(sk.sk_data_ready))
  sk.sk_data_ready(sk)
}
function state_change(sk: sock): void {
  if (tracer.on) traceIndirect('sk->sk_state_change', nameOf(sk.sk_state_change))
  sk.sk_state_change(sk)
}

const get_be16 = (b: Uint8Array, i: number): number => ((b[i] ?? 0) << 8) | (b[i + 1] ?? 0)
const get_be32 = (b: Uint8Array, i: number): number =>
  (((b[i] ?? 0) << 24) | ((b[i + 1] ?? 0) << 16) | ((b[i + 2] ?? 0) << 8) | (b[i + 3] ?? 0)) >>> 0

/** no program of a cgroup asks for options */
export const bpf_skops_parse_hdr = kfunc('bpf_skops_parse_hdr', (_sk: sock, _skb: sk_buff): void => {})
export const bpf_skops_established = kfunc(
  'bpf_skops_established',
  (_sk: sock, _bpf_op: number, _skb: sk_buff | null): void => {},
)

/** guesses the peer's segment size from what arrives; delayed ACKs and the window depend on it */
export const tcp_measure_rcv_mss = kfunc('tcp_measure_rcv_mss', (sk: sock, skb: sk_buff): void => {
  const tp = tcp_sk(sk)
  const { icsk_ack } = tp
  const lss = icsk_ack.last_seg_size
  icsk_ack.last_seg_size = 0

  let len = skb_shinfo(skb).gso_size || skb.len
  if (len >= icsk_ack.rcv_mss) {
    if (len !== icsk_ack.rcv_mss) {
      const old_ratio = tp.scaling_ratio
      tp.scaling_ratio = Math.floor((skb.len * 2 ** TCP_RMEM_TO_WIN_SCALE) / skb.truesize) & 0xff || 1
      if (old_ratio !== tp.scaling_ratio) {
        tp.window_clamp = tcp_win_from_space(sk, sk.sk_rcvbuf) >>> 0
        if (tp.window_clamp < tp.rcvq_space.space) tp.rcvq_space.space = tp.window_clamp
      }
      if (tracer.on)
        decide('tcp_measure_rcv_mss', 'peer sends larger segments', {
          len,
          rcv_mss: icsk_ack.rcv_mss,
          scaling_ratio: tp.scaling_ratio,
          window_clamp: tp.window_clamp,
        })
    }
    icsk_ack.rcv_mss = Math.min(len, tp.advmss)
    if (TCP_SKB_CB(skb).tcp_flags & TCPHDR_PSH) icsk_ack.pending |= ICSK_ACK_PUSHED
  } else {
    // with the header, whose length varies with the SACK blocks in it
    len += skb.data - skb.transport_header
    if (
      len >= TCP_MSS_DEFAULT + TCPHDR_LEN ||
      (len >= TCP_MIN_MSS + TCPHDR_LEN && !(tcp_flag_word(tcp_hdr(skb)) & TCP_REMNANT))
    ) {
      len -= tp.tcp_header_len
      icsk_ack.last_seg_size = len & 0xffff
      if (len === lss) {
        icsk_ack.rcv_mss = len
        return
      }
    }
    if (icsk_ack.pending & ICSK_ACK_PUSHED) icsk_ack.pending |= ICSK_ACK_PUSHED2
    icsk_ack.pending |= ICSK_ACK_PUSHED
  }
})

export const tcp_incr_quickack = kfunc('tcp_incr_quickack', (sk: sock, max_quickacks: number): void => {
  const { icsk_ack, rcv_wnd } = tcp_sk(sk)
  let quickacks = Math.floor(rcv_wnd / (2 * icsk_ack.rcv_mss))
  if (quickacks === 0) quickacks = 2
  quickacks = Math.min(quickacks, max_quickacks)
  if (quickacks > icsk_ack.quick) icsk_ack.quick = quickacks
})

export const tcp_enter_quickack_mode = kfunc('tcp_enter_quickack_mode', (sk: sock, max_quickacks: number): void => {
  tcp_incr_quickack(sk, max_quickacks)
  inet_csk_exit_pingpong_mode(sk)
  inet_csk(sk).icsk_ack.ato = TCP_ATO_MIN
})

export const tcp_in_quickack_mode = kfunc('tcp_in_quickack_mode', (sk: sock): boolean => {
  const { icsk_ack } = inet_csk(sk)
  return icsk_ack.dst_quick_ack !== 0 || (icsk_ack.quick !== 0 && !inet_csk_in_pingpong_mode(sk))
})

const tcp_ecn_queue_cwr = (tp: tcp_sock): void => {
  if (tp.ecn_flags & TCP_ECN_OK) tp.ecn_flags |= TCP_ECN_QUEUE_CWR
}

/** the sender says that it slowed down; with data, it may wait for this ACK with a window of one packet */
export const tcp_ecn_accept_cwr = kfunc('tcp_ecn_accept_cwr', (sk: sock, skb: sk_buff): void => {
  if ((skb.head.bytes[skb.transport_header + 13] ?? 0) & TCPHDR_CWR) {
    tcp_sk(sk).ecn_flags &= ~TCP_ECN_DEMAND_CWR
    if (TCP_SKB_CB(skb).seq !== TCP_SKB_CB(skb).end_seq) inet_csk(sk).icsk_ack.pending |= ICSK_ACK_NOW
  }
})

const tcp_ecn_withdraw_cwr = (tp: tcp_sock): void => {
  tp.ecn_flags &= ~TCP_ECN_QUEUE_CWR
}

export const __tcp_ecn_check_ce = kfunc('__tcp_ecn_check_ce', (sk: sock, skb: sk_buff): void => {
  const tp = tcp_sk(sk)
  switch (TCP_SKB_CB(skb).ip_dsfield & INET_ECN_MASK) {
    case INET_ECN_NOT_ECT:
      // after marked segments, one without is a retransmission
      if (tp.ecn_flags & TCP_ECN_SEEN) tcp_enter_quickack_mode(sk, 2)
      break
    case INET_ECN_CE:
      if (tcp_ca_needs_ecn(sk)) tcp_ca_event(sk, CA_EVENT_ECN_IS_CE)
      if (!(tp.ecn_flags & TCP_ECN_DEMAND_CWR)) {
        tcp_enter_quickack_mode(sk, 2)
        tp.ecn_flags |= TCP_ECN_DEMAND_CWR
      }
      tp.ecn_flags |= TCP_ECN_SEEN
      break
    default:
      if (tcp_ca_needs_ecn(sk)) tcp_ca_event(sk, CA_EVENT_ECN_NO_CE)
      tp.ecn_flags |= TCP_ECN_SEEN
  }
})

const tcp_ecn_check_ce = (sk: sock, skb: sk_buff): void => {
  if (tcp_sk(sk).ecn_flags & TCP_ECN_OK) __tcp_ecn_check_ce(sk, skb)
}
const tcp_ecn_rcv_synack = (tp: tcp_sock, th: tcphdr): void => {
  if (tp.ecn_flags & TCP_ECN_OK && (!th.ece || th.cwr)) tp.ecn_flags &= ~TCP_ECN_OK
}
const tcp_ecn_rcv_syn = (tp: tcp_sock, th: tcphdr): void => {
  if (tp.ecn_flags & TCP_ECN_OK && (!th.ece || !th.cwr)) tp.ecn_flags &= ~TCP_ECN_OK
}
const tcp_ecn_rcv_ecn_echo = (tp: tcp_sock, flags: number): boolean =>
  (flags & TCPHDR_ECE) !== 0 && !(flags & TCPHDR_SYN) && (tp.ecn_flags & TCP_ECN_OK) !== 0

/** packets that reached the peer */
const tcp_count_delivered = (tp: tcp_sock, delivered: number, ece_ack: boolean): void => {
  tp.delivered = (tp.delivered + delivered) >>> 0
  if (ece_ack) tp.delivered_ce = (tp.delivered_ce + delivered) >>> 0
}

/** makes room for a whole window in the send buffer */
export const tcp_sndbuf_expand = kfunc('tcp_sndbuf_expand', (sk: sock): void => {
  const tp = tcp_sk(sk)
  const ca_ops = tp.icsk_ca_ops
  let per_mss = Math.max(tp.rx_opt.mss_clamp, tp.mss_cache) + MAX_TCP_HEADER + SKB_SHARED_INFO_ALIGNED
  per_mss = roundup_pow_of_two(per_mss) + SK_BUFF_ALIGNED
  const nr_segs = Math.max(TCP_INIT_CWND, tcp_snd_cwnd(tp), tp.reordering + 1)
  if (tracer.on && ca_ops.sndbuf_expand) traceIndirect('ca_ops->sndbuf_expand', nameOf(ca_ops.sndbuf_expand))
  const sndmem = ((ca_ops.sndbuf_expand ? ca_ops.sndbuf_expand(sk) : 2) * nr_segs * per_mss) | 0
  if (sk.sk_sndbuf < sndmem) {
    if (tracer.on) decide('tcp_sndbuf_expand', 'send buffer grows', { sndbuf: sk.sk_sndbuf, wanted: sndmem, nr_segs, per_mss })
    sk.sk_sndbuf = Math.min(sndmem, sock_net(sk).ipv4.sysctl_tcp_wmem[2])
  }
})

/** by how much the window may grow after a buffer with much overhead: bytes */
export const __tcp_grow_window = kfunc('__tcp_grow_window', (sk: sock, skb: sk_buff, skbtruesize: number): number => {
  const tp = tcp_sk(sk)
  let truesize = tcp_win_from_space(sk, skbtruesize) >> 1
  let window = tcp_win_from_space(sk, sock_net(sk).ipv4.sysctl_tcp_rmem[2]) >> 1
  while (tp.rcv_ssthresh <= window) {
    if (truesize <= skb.len) return 2 * tp.icsk_ack.rcv_mss
    truesize >>= 1
    window >>= 1
  }
  return 0
})

/** what a buffer costs when its head is going to be freed by coalescing */
const truesize_adjust = (adjust: boolean, skb: sk_buff): number => {
  if (!adjust || skb_headlen(skb)) return skb.truesize
  const truesize = skb.truesize - SKB_TRUESIZE(skb_end_offset(skb))
  return truesize < skb.len ? skb.truesize : truesize
}

export const tcp_grow_window = kfunc('tcp_grow_window', (sk: sock, skb: sk_buff, adjust: boolean): void => {
  const tp = tcp_sk(sk)
  const room = Math.min(tp.window_clamp, tcp_space(sk)) - tp.rcv_ssthresh
  if (room <= 0) {
    if (tracer.on)
      decide('tcp_grow_window', 'no room to grow', { room, window_clamp: tp.window_clamp, rcv_ssthresh: tp.rcv_ssthresh })
    return
  }
  if (!tcp_under_memory_pressure(sk)) {
    const truesize = truesize_adjust(adjust, skb)
    let incr = tcp_win_from_space(sk, truesize) <= skb.len ? 2 * tp.advmss : __tcp_grow_window(sk, skb, truesize)
    if (incr) {
      incr = Math.max(incr, 2 * skb.len)
      tp.rcv_ssthresh += Math.min(room, incr)
      tp.icsk_ack.quick |= 1
    }
    if (tracer.on)
      decide('tcp_grow_window', incr ? 'window may grow' : 'too much overhead: window stays', {
        len: skb.len,
        truesize,
        room,
        incr,
        rcv_ssthresh: tp.rcv_ssthresh,
      })
  } else tcp_adjust_rcv_ssthresh(sk)
})

export const tcp_init_buffer_space = kfunc('tcp_init_buffer_space', (sk: sock): void => {
  const tcp_app_win = sock_net(sk).ipv4.sysctl_tcp_app_win
  const tp = tcp_sk(sk)
  if (!(sk.sk_userlocks & SOCK_SNDBUF_LOCK)) tcp_sndbuf_expand(sk)

  tcp_mstamp_refresh(tp)
  tp.rcvq_space.time = tp.tcp_mstamp
  tp.rcvq_space.seq = tp.copied_seq

  const maxwin = tcp_full_space(sk)
  if (tp.window_clamp >= maxwin) {
    tp.window_clamp = maxwin
    if (tcp_app_win && maxwin > 4 * tp.advmss) tp.window_clamp = Math.max(maxwin - (maxwin >> tcp_app_win), 4 * tp.advmss)
  }
  // one segment is kept back for the application
  if (tcp_app_win && tp.window_clamp > 2 * tp.advmss && tp.window_clamp + tp.advmss > maxwin)
    tp.window_clamp = Math.max(2 * tp.advmss, maxwin - tp.advmss)

  tp.rcv_ssthresh = Math.min(tp.rcv_ssthresh, tp.window_clamp)
  tp.snd_cwnd_stamp = tcp_jiffies32()
  tp.rcvq_space.space = Math.min(tp.rcv_ssthresh, tp.rcv_wnd, TCP_INIT_CWND * tp.advmss)
})

/** the receive buffer is full */
export const tcp_clamp_window = kfunc('tcp_clamp_window', (sk: sock): void => {
  const tp = tcp_sk(sk)
  const rmem2 = sock_net(sk).ipv4.sysctl_tcp_rmem[2]
  tp.icsk_ack.quick = 0
  if (
    sk.sk_rcvbuf < rmem2 &&
    !(sk.sk_userlocks & SOCK_RCVBUF_LOCK) &&
    !tcp_under_memory_pressure(sk) &&
    sk_memory_allocated(sk) < sk_prot_mem_limits(sk, 0)
  )
    sk.sk_rcvbuf = Math.min(sk.sk_rmem_alloc, rmem2)
  if (sk.sk_rmem_alloc > sk.sk_rcvbuf) tp.rcv_ssthresh = Math.min(tp.window_clamp, 2 * tp.advmss)
})

export const tcp_initialize_rcv_mss = kfunc('tcp_initialize_rcv_mss', (sk: sock): void => {
  const tp = tcp_sk(sk)
  const hint = Math.min(tp.advmss, tp.mss_cache, tp.rcv_wnd >>> 1, TCP_MSS_DEFAULT)
  tp.icsk_ack.rcv_mss = Math.max(hint, TCP_MIN_MSS)
})

/** `win_dep`: the sample is the time of a whole window, an upper bound */
export const tcp_rcv_rtt_update = kfunc('tcp_rcv_rtt_update', (tp: tcp_sock, sample: number, win_dep: number): void => {
  const old_sample = tp.rcv_rtt_est.rtt_us
  const m = (sample << 3) >>> 0
  if (old_sample === 0 || m < old_sample) tp.rcv_rtt_est.rtt_us = m
  else if (!win_dep) tp.rcv_rtt_est.rtt_us = (old_sample - (old_sample >>> 3) + sample) >>> 0
})

export const tcp_rcv_rtt_measure = kfunc('tcp_rcv_rtt_measure', (tp: tcp_sock): void => {
  const est = tp.rcv_rtt_est
  if (est.time !== 0) {
    if (before(tp.rcv_nxt, est.seq)) return
    tcp_rcv_rtt_update(tp, tcp_stamp_us_delta(tp.tcp_mstamp, est.time) || 1, 1)
  }
  est.seq = (tp.rcv_nxt + tp.rcv_wnd) >>> 0
  est.time = tp.tcp_mstamp
})

/** the round trip that the echoed timestamp tells, in microseconds; -1 when it cannot be */
export const tcp_rtt_tsopt_us = kfunc('tcp_rtt_tsopt_us', (tp: tcp_sock, min_delta: number): number => {
  let delta = (tcp_time_stamp_ts(tp) - tp.rx_opt.rcv_tsecr) >>> 0
  if (tp.tcp_usec_ts) return delta | 0
  if (delta < Math.floor(INT_MAX / (USEC_PER_SEC / TCP_TS_HZ))) {
    if (!delta) delta = min_delta
    return delta * (USEC_PER_SEC / TCP_TS_HZ)
  }
  return -1
})

export const tcp_rcv_rtt_measure_ts = kfunc('tcp_rcv_rtt_measure_ts', (sk: sock, skb: sk_buff): void => {
  const tp = tcp_sk(sk)
  if (tp.rx_opt.rcv_tsecr === tp.rcv_rtt_last_tsecr) return
  tp.rcv_rtt_last_tsecr = tp.rx_opt.rcv_tsecr
  const cb = TCP_SKB_CB(skb)
  if ((cb.end_seq - cb.seq) >>> 0 >= tp.icsk_ack.rcv_mss) {
    const delta = tcp_rtt_tsopt_us(tp, 0)
    if (delta > 0) tcp_rcv_rtt_update(tp, delta, 0)
  }
})

/** data was copied to the application: once in a round trip, the receive buffer follows how much that was */
export const tcp_rcv_space_adjust = kfunc('tcp_rcv_space_adjust', (sk: sock): void => {
  const tp = tcp_sk(sk)
  const { rcvq_space } = tp
  if (tracer.on) tracepoint('tcp', 'tcp_rcv_space_adjust', tp_tcp_event_sk(sk))

  tcp_mstamp_refresh(tp)
  const time = tcp_stamp_us_delta(tp.tcp_mstamp, rcvq_space.time) | 0
  if (time < tp.rcv_rtt_est.rtt_us >>> 3 || tp.rcv_rtt_est.rtt_us === 0) return

  const inq = (tp.rcv_nxt - tp.copied_seq) | 0
  const copied = ((tp.copied_seq - rcvq_space.seq) | 0) - inq
  if (copied > rcvq_space.space) {
    const { ipv4 } = sock_net(sk)
    if (ipv4.sysctl_tcp_moderate_rcvbuf && !(sk.sk_userlocks & SOCK_RCVBUF_LOCK)) {
      // twice for losses, and room for a sender in slow start
      let rcvwin = copied * 2 + 16 * tp.advmss
      rcvwin += 2 * Math.floor((rcvwin * (copied - rcvq_space.space)) / rcvq_space.space)
      const rcvbuf = Math.min(tcp_space_from_win(sk, rcvwin), ipv4.sysctl_tcp_rmem[2])
      if (rcvbuf > sk.sk_rcvbuf) {
        if (tracer.on)
          decide('tcp_rcv_space_adjust', 'receive buffer grows', {
            copied,
            space: rcvq_space.space,
            rcvbuf_before: sk.sk_rcvbuf,
            rcvbuf,
          })
        sk.sk_rcvbuf = rcvbuf
        tp.window_clamp = tcp_win_from_space(sk, rcvbuf)
      }
    }
    rcvq_space.space = copied
  }
  rcvq_space.seq = tp.copied_seq
  rcvq_space.time = tp.tcp_mstamp
})

const tcp_save_lrcv_flowlabel = (sk: sock, skb: sk_buff): void => {
  if (skb.protocol !== ETH_P_IPV6) return
  inet_csk(sk).icsk_ack.lrcv_flowlabel = get_be32(skb.head.bytes, skb.network_header) & 0x000fffff
}

/** in-order data arrived: when is the peer to hear of it, and may the window grow? */
export const tcp_event_data_recv = kfunc('tcp_event_data_recv', (sk: sock, skb: sk_buff): void => {
  const tp = tcp_sk(sk)
  const { icsk_ack } = tp
  inet_csk_schedule_ack(sk)
  tcp_measure_rcv_mss(sk, skb)
  tcp_rcv_rtt_measure(tp)

  const now = tcp_jiffies32()
  if (!icsk_ack.ato) {
    tcp_incr_quickack(sk, TCP_MAX_QUICKACKS)
    icsk_ack.ato = TCP_ATO_MIN
    if (tracer.on) decide('tcp_event_data_recv', 'first data: quick ACKs', { quick: icsk_ack.quick, rcv_mss: icsk_ack.rcv_mss })
  } else {
    const m = (now - icsk_ack.lrcvtime) | 0
    if (m <= TCP_ATO_MIN / 2) icsk_ack.ato = (icsk_ack.ato >>> 1) + TCP_ATO_MIN / 2
    else if (m < icsk_ack.ato) icsk_ack.ato = Math.min((icsk_ack.ato >>> 1) + m, tp.icsk_rto, TCP_DELACK_MAX)
    else if (m > tp.icsk_rto) tcp_incr_quickack(sk, TCP_MAX_QUICKACKS)
  }
  icsk_ack.lrcvtime = now
  tcp_save_lrcv_flowlabel(sk, skb)
  tcp_ecn_check_ce(sk, skb)
  if (skb.len >= 128) tcp_grow_window(sk, skb, true)
})

/** RFC 6298 in fixed point: srtt in eighths, mdev and rttvar in quarters of a microsecond */
export const tcp_rtt_estimator = kfunc('tcp_rtt_estimator', (sk: sock, mrtt_us: number): void => {
  const tp = tcp_sk(sk)
  let m = mrtt_us
  let srtt = tp.srtt_us
  if (srtt !== 0) {
    m -= srtt >>> 3
    srtt = (srtt + m) >>> 0
    if (m < 0) {
      m = -m
      m -= tp.mdev_us >>> 2
      // a falling RTT does not raise the deviation as fast
      if (m > 0) m = Math.floor(m / 8)
    } else m -= tp.mdev_us >>> 2
    tp.mdev_us = (tp.mdev_us + m) >>> 0
    if (tp.mdev_us > tp.mdev_max_us) {
      tp.mdev_max_us = tp.mdev_us
      if (tp.mdev_max_us > tp.rttvar_us) tp.rttvar_us = tp.mdev_max_us
    }
    if (after(tp.snd_una, tp.rtt_seq)) {
      if (tp.mdev_max_us < tp.rttvar_us) tp.rttvar_us -= (tp.rttvar_us - tp.mdev_max_us) >>> 2
      tp.rtt_seq = tp.snd_nxt
      tp.mdev_max_us = tcp_rto_min_us(sk)
      tcp_bpf_rtt(sk, mrtt_us, srtt)
    }
  } else {
    srtt = (m * 8) >>> 0
    tp.mdev_us = (m * 2) >>> 0
    tp.rttvar_us = Math.max(tp.mdev_us, tcp_rto_min_us(sk))
    tp.mdev_max_us = tp.rttvar_us
    tp.rtt_seq = tp.snd_nxt
    tcp_bpf_rtt(sk, mrtt_us, srtt)
  }
  tp.srtt_us = Math.max(1, srtt)
  if (tracer.on)
    decide('tcp_rtt_estimator', 'RTT sample', {
      mrtt_us,
      srtt_us: tp.srtt_us >>> 3,
      mdev_us: tp.mdev_us >>> 2,
      rttvar_us: tp.rttvar_us >>> 2,
    })
})

/** bytes a second: what cwnd gives in a round trip, times a factor that leaves room to grow */
export const tcp_update_pacing_rate = kfunc('tcp_update_pacing_rate', (sk: sock): void => {
  const tp = tcp_sk(sk)
  const { ipv4 } = sock_net(sk)
  const ratio = tcp_snd_cwnd(tp) < tp.snd_ssthresh / 2 ? ipv4.sysctl_tcp_pacing_ss_ratio : ipv4.sysctl_tcp_pacing_ca_ratio
  const a = tp.mss_cache * ((USEC_PER_SEC / 100) << 3) * ratio
  const b = Math.max(tcp_snd_cwnd(tp), tp.packets_out)
  let rate = a * b
  if (tp.srtt_us)
    rate = rate <= Number.MAX_SAFE_INTEGER ? Math.floor(rate / tp.srtt_us) : Number((BigInt(a) * BigInt(b)) / BigInt(tp.srtt_us))
  sk.sk_pacing_rate = Math.min(rate, sk.sk_max_pacing_rate)
})

export const tcp_set_rto = kfunc('tcp_set_rto', (sk: sock): void => {
  inet_csk(sk).icsk_rto = __tcp_set_rto(tcp_sk(sk))
  tcp_bound_rto(sk)
})

/** packets to begin with */
export const tcp_init_cwnd = kfunc('tcp_init_cwnd', (tp: tcp_sock, dst: dst_entry | null): number =>
  Math.min((dst === null ? 0 : dst_metric(dst, RTAX_INITCWND)) || TCP_INIT_CWND, tp.snd_cwnd_clamp),
)

/** struct tcp_sacktag_state. Times in microseconds. */
interface tcp_sacktag_state {
  first_sackt: number
  last_sackt: number
  reord: number
  sack_delivered: number
  flag: number
  mss_now: number
  rate: rate_sample
}

/** the peer got something twice; returns how many segments, 0 when this cannot be trusted */
export const tcp_dsack_seen = kfunc(
  'tcp_dsack_seen',
  (tp: tcp_sock, start_seq: number, end_seq: number, state: tcp_sacktag_state): number => {
    let dup_segs = 1
    if (!before(start_seq, end_seq)) return 0
    const seq_len = (end_seq - start_seq) >>> 0
    if (seq_len > tp.max_window) return 0
    if (seq_len > tp.mss_cache) dup_segs = DIV_ROUND_UP(seq_len, tp.mss_cache)
    else if (tp.tlp_high_seq && tp.tlp_high_seq === end_seq) state.flag |= FLAG_DSACK_TLP

    tp.dsack_dups += dup_segs
    if (tp.dsack_dups > tp.total_retrans) return 0

    tp.rx_opt.sack_ok |= TCP_DSACK_SEEN
    if (tp.reord_seen && !(state.flag & FLAG_DSACK_TLP)) tp.rack.dsack_seen = 1
    state.flag |= FLAG_DSACKING_ACK
    state.sack_delivered += dup_segs
    return dup_segs
  },
)

/** a later segment arrived before an earlier one that was sent once */
export const tcp_check_sack_reordering = kfunc('tcp_check_sack_reordering', (sk: sock, low_seq: number, ts: number): void => {
  const tp = tcp_sk(sk)
  const mss = tp.mss_cache
  const fack = tcp_highest_sack_seq(tp)
  if (!before(low_seq, fack)) return
  const metric = (fack - low_seq) >>> 0
  const net = sock_net(sk)
  if (metric > tp.reordering * mss && mss) {
    tp.reordering = Math.min(Math.floor((metric + mss - 1) / mss), net.ipv4.sysctl_tcp_max_reordering)
    if (tracer.on)
      decide('tcp_check_sack_reordering', 'segments overtake each other', { low_seq, fack, reordering: tp.reordering })
  }
  tp.reord_seen++
  if (ts) net.mib.linux.TCPTSReorder++
  else net.mib.linux.TCPSACKReorder++
})

const tcp_verify_retransmit_hint = (tp: tcp_sock, skb: sk_buff): void => {
  const hint = tp.retransmit_skb_hint
  if (hint === null ? tp.retrans_out >= tp.lost_out : before(TCP_SKB_CB(skb).seq, TCP_SKB_CB(hint).seq))
    tp.retransmit_skb_hint = skb
}

export const tcp_mark_skb_lost = kfunc('tcp_mark_skb_lost', (sk: sock, skb: sk_buff): void => {
  const cb = TCP_SKB_CB(skb)
  const tp = tcp_sk(sk)
  const pcount = tcp_skb_pcount(skb)
  if (cb.sacked & TCPCB_SACKED_ACKED) return
  tcp_verify_retransmit_hint(tp, skb)
  if (cb.sacked & TCPCB_LOST) {
    if (cb.sacked & TCPCB_SACKED_RETRANS) {
      cb.sacked &= ~TCPCB_SACKED_RETRANS
      tp.retrans_out -= pcount
      sock_net(sk).mib.linux.TCPLostRetransmit += pcount
      tp.lost = (tp.lost + pcount) >>> 0
    }
  } else {
    tp.lost_out += pcount
    cb.sacked |= TCPCB_LOST
    tp.lost = (tp.lost + pcount) >>> 0
  }
})

/** whether a SACK block can be what the peer says it is */
export const tcp_is_sackblock_valid = kfunc(
  'tcp_is_sackblock_valid',
  (tp: tcp_sock, is_dsack: boolean, start_seq: number, end_seq: number): boolean => {
    if (after(end_seq, tp.snd_nxt) || !before(start_seq, end_seq)) return false
    if (!before(start_seq, tp.snd_nxt)) return false
    if (after(start_seq, tp.snd_una)) return true
    if (!is_dsack || !tp.undo_marker) return false
    if (after(end_seq, tp.snd_una)) return false
    if (!before(start_seq, tp.undo_marker)) return true
    if (!after(end_seq, tp.undo_marker)) return false
    return !before(start_seq, (end_seq - tp.max_window) >>> 0)
  },
)

/** `sp` is where the first block lies in the head of `ack_skb` */
export const tcp_check_dsack = kfunc(
  'tcp_check_dsack',
  (sk: sock, ack_skb: sk_buff, sp: number, num_sacks: number, prior_snd_una: number, state: tcp_sacktag_state): boolean => {
    const tp = tcp_sk(sk)
    const { linux } = sock_net(sk).mib
    const b = ack_skb.head.bytes
    const start_seq_0 = get_be32(b, sp)
    const end_seq_0 = get_be32(b, sp + 4)
    if (before(start_seq_0, TCP_SKB_CB(ack_skb).ack_seq)) linux.TCPDSACKRecv++
    else if (num_sacks > 1) {
      const start_seq_1 = get_be32(b, sp + 8)
      const end_seq_1 = get_be32(b, sp + 12)
      if (after(end_seq_0, end_seq_1) || before(start_seq_0, start_seq_1)) return false
      linux.TCPDSACKOfoRecv++
    } else return false

    const dup_segs = tcp_dsack_seen(tp, start_seq_0, end_seq_0, state)
    if (!dup_segs) {
      linux.TCPDSACKIgnoredDubious++
      return false
    }
    linux.TCPDSACKRecvSegs += dup_segs
    if (tp.undo_marker && tp.undo_retrans > 0 && !after(end_seq_0, prior_snd_una) && after(end_seq_0, tp.undo_marker))
      tp.undo_retrans = Math.max(0, tp.undo_retrans - dup_segs)
    return true
  },
)

/**
 * Whether the block covers the segment: 1 or 0. A segment of several packets that it covers in part is cut at a packet's end.
 * @returns -EINVAL when the block ends inside the first packet, or what tcp_fragment() returned
 */
export const tcp_match_skb_to_sack = kfunc(
  'tcp_match_skb_to_sack',
  (sk: sock, skb: sk_buff, start_seq: number, end_seq: number): number => {
    const cb = TCP_SKB_CB(skb)
    let in_sack = !after(start_seq, cb.seq) && !before(end_seq, cb.end_seq)
    if (tcp_skb_pcount(skb) > 1 && !in_sack && after(cb.end_seq, start_seq)) {
      const mss = tcp_skb_mss(skb)
      let pkt_len: number
      in_sack = !after(start_seq, cb.seq)
      if (!in_sack) pkt_len = Math.max((start_seq - cb.seq) >>> 0, mss)
      else {
        pkt_len = (end_seq - cb.seq) >>> 0
        if (pkt_len < mss) return -EINVAL
      }
      if (pkt_len > mss) {
        let new_len = Math.floor(pkt_len / mss) * mss
        if (!in_sack && new_len < pkt_len) new_len += mss
        pkt_len = new_len
      }
      if (pkt_len >= skb.len && !in_sack) return 0
      const err = tcp_fragment(sk, TCP_FRAG_IN_RTX_QUEUE, skb, pkt_len, mss, GFP_ATOMIC)
      if (err < 0) return err
    }
    return in_sack ? 1 : 0
  },
)

/** a range was SACKed for the first time; returns the new tags */
export const tcp_sacktag_one = kfunc(
  'tcp_sacktag_one',
  (
    sk: sock,
    state: tcp_sacktag_state,
    sacked: number,
    start_seq: number,
    end_seq: number,
    dup_sack: boolean,
    pcount: number,
    xmit_time: number,
  ): number => {
    const tp = tcp_sk(sk)
    if (dup_sack && sacked & TCPCB_RETRANS) {
      if (tp.undo_marker && tp.undo_retrans > 0 && after(end_seq, tp.undo_marker))
        tp.undo_retrans = Math.max(0, tp.undo_retrans - pcount)
      if (sacked & TCPCB_SACKED_ACKED && before(start_seq, state.reord)) state.reord = start_seq
    }
    if (!after(end_seq, tp.snd_una)) return sacked

    let tags = sacked
    if (!(tags & TCPCB_SACKED_ACKED)) {
      tcp_rack_advance(tp, tags, end_seq, xmit_time)
      if (tags & TCPCB_SACKED_RETRANS) {
        // not known lost: the retransmission is thought to be still on its way
        if (tags & TCPCB_LOST) {
          tags &= ~(TCPCB_LOST | TCPCB_SACKED_RETRANS)
          tp.lost_out -= pcount
          tp.retrans_out -= pcount
        }
      } else {
        if (!(tags & TCPCB_RETRANS)) {
          if (before(start_seq, tcp_highest_sack_seq(tp)) && before(start_seq, state.reord)) state.reord = start_seq
          if (!after(end_seq, tp.high_seq)) state.flag |= FLAG_ORIG_SACK_ACKED
          if (state.first_sackt === 0) state.first_sackt = xmit_time
          state.last_sackt = xmit_time
        }
        if (tags & TCPCB_LOST) {
          tags &= ~TCPCB_LOST
          tp.lost_out -= pcount
        }
      }
      tags |= TCPCB_SACKED_ACKED
      state.flag |= FLAG_DATA_SACKED
      tp.sacked_out += pcount
      state.sack_delivered += pcount
      if (tp.lost_skb_hint !== null && before(start_seq, TCP_SKB_CB(tp.lost_skb_hint).seq)) tp.lost_cnt_hint += pcount
    }
    if (dup_sack && tags & TCPCB_SACKED_RETRANS) {
      tags &= ~TCPCB_SACKED_RETRANS
      tp.retrans_out -= pcount
    }
    return tags
  },
)

/** `shifted` bytes went from `skb` into the SACKed `prev`; true when `skb` is used up and gone */
export const tcp_shifted_skb = kfunc(
  'tcp_shifted_skb',
  (
    sk: sock,
    prev: sk_buff,
    skb: sk_buff,
    state: tcp_sacktag_state,
    pcount: number,
    shifted: number,
    mss: number,
    dup_sack: boolean,
  ): boolean => {
    const tp = tcp_sk(sk)
    const cb = TCP_SKB_CB(skb)
    const to = TCP_SKB_CB(prev)
    const start_seq = cb.seq
    const end_seq = (start_seq + shifted) >>> 0

    // before the sequence numbers move: they move the highest SACK, too
    tcp_sacktag_one(sk, state, cb.sacked, start_seq, end_seq, dup_sack, pcount, tcp_skb_timestamp_us(skb))
    tcp_rate_skb_delivered(sk, skb, state.rate)
    if (skb === tp.lost_skb_hint) tp.lost_cnt_hint += pcount

    to.end_seq = (to.end_seq + shifted) >>> 0
    cb.seq = end_seq
    tcp_skb_pcount_add(prev, pcount)
    tcp_skb_pcount_add(skb, -pcount)
    if (!to.tcp_gso_size) to.tcp_gso_size = mss
    if (tcp_skb_pcount(skb) <= 1) cb.tcp_gso_size = 0
    to.sacked |= cb.sacked & TCPCB_EVER_RETRANS

    const { linux } = sock_net(sk).mib
    if (skb.len > 0) {
      linux.TCPSackShifted++
      return false
    }
    if (skb === tp.retransmit_skb_hint) tp.retransmit_skb_hint = prev
    if (skb === tp.lost_skb_hint) {
      tp.lost_skb_hint = prev
      tp.lost_cnt_hint -= tcp_skb_pcount(prev)
    }
    to.tcp_flags |= cb.tcp_flags
    to.eor = cb.eor
    if (cb.tcp_flags & TCPHDR_FIN) to.end_seq = (to.end_seq + 1) >>> 0
    if (skb === tcp_highest_sack(sk)) tcp_advance_highest_sack(sk, skb)
    tcp_skb_collapse_tstamp(prev, skb)
    to.tx.delivered_mstamp = 0
    tcp_rtx_queue_unlink_and_free(skb, sk)
    linux.TCPSackMerged++
    return true
  },
)

const tcp_skb_seglen = (skb: sk_buff): number => (tcp_skb_pcount(skb) === 1 ? skb.len : tcp_skb_mss(skb))
const skb_can_shift = (skb: sk_buff): boolean => !skb_headlen(skb) && skb_is_nonlinear(skb)

/** @returns bytes moved, 0 when the buffer would get too large */
const skb_shift_whole = (to: sk_buff, from: sk_buff, pcount: number, shiftlen: number): number => {
  if (to.len + shiftlen >= 65535 * TCP_MIN_GSO_SIZE) return 0
  if (tcp_skb_pcount(to) + pcount > 65535) return 0
  return skb_shift(to, from, shiftlen)
}
export const tcp_skb_shift = kfunc('tcp_skb_shift', skb_shift_whole)
const tcp_skb_shift_inlined = inlinedHere(tcp_skb_shift, skb_shift_whole)

/** joins what is newly SACKed to the SACKed buffer before it; null: tag it where it is */
export const tcp_shift_skb_data = kfunc(
  'tcp_shift_skb_data',
  (sk: sock, first: sk_buff, state: tcp_sacktag_state, start_seq: number, end_seq: number, dup_sack: boolean): sk_buff | null => {
    const tp = tcp_sk(sk)
    fallback: {
      const skb = first
      const cb = TCP_SKB_CB(skb)
      if (!dup_sack && (cb.sacked & (TCPCB_LOST | TCPCB_SACKED_RETRANS)) === TCPCB_SACKED_RETRANS) break fallback
      if (!skb_can_shift(skb)) break fallback
      if (!after(cb.end_seq, tp.snd_una)) break fallback
      const prev = skb_rb_prev(skb)
      if (prev === null) break fallback
      if ((TCP_SKB_CB(prev).sacked & TCPCB_TAGBITS) !== TCPCB_SACKED_ACKED) break fallback
      if (!tcp_skb_can_collapse(prev, skb)) break fallback

      let len: number
      let pcount: number
      let mss: number
      if (!after(start_seq, cb.seq) && !before(end_seq, cb.end_seq)) {
        len = skb.len
        pcount = tcp_skb_pcount(skb)
        mss = tcp_skb_seglen(skb)
        if (mss !== tcp_skb_seglen(prev)) break fallback
      } else {
        if (!after(cb.end_seq, start_seq)) return skb
        if (tcp_skb_pcount(skb) <= 1) return skb
        if (after(start_seq, cb.seq)) break fallback
        len = (end_seq - cb.seq) | 0
        mss = tcp_skb_mss(skb)
        if (mss !== tcp_skb_seglen(prev)) break fallback
        if (len < mss) return skb
        pcount = Math.floor(len / mss)
        len = pcount * mss
      }
      if (!after((cb.seq + len) >>> 0, tp.snd_una)) break fallback
      if (!tcp_skb_shift_inlined(prev, skb, pcount, len)) break fallback
      if (!tcp_shifted_skb(sk, prev, skb, state, pcount, len, mss, dup_sack)) return prev

      // the hole is closed: the next one may be joined as well
      const next = skb_rb_next(prev)
      if (next === null) return prev
      if (
        !skb_can_shift(next) ||
        (TCP_SKB_CB(next).sacked & TCPCB_TAGBITS) !== TCPCB_SACKED_ACKED ||
        mss !== tcp_skb_seglen(next)
      )
        return prev
      if (!tcp_skb_can_collapse(prev, next)) return prev
      len = next.len
      pcount = tcp_skb_pcount(next)
      if (tcp_skb_shift(prev, next, pcount, len)) tcp_shifted_skb(sk, prev, next, state, pcount, len, mss, false)
      return prev
    }
    sock_net(sk).mib.linux.TCPSackShiftFallback++
    return null
  },
)

export const tcp_sacktag_walk = kfunc(
  'tcp_sacktag_walk',
  (
    from: sk_buff | null,
    sk: sock,
    next_dup: tcp_sack_block | null,
    state: tcp_sacktag_state,
    start_seq: number,
    end_seq: number,
    dup_sack_in: boolean,
  ): sk_buff | null => {
    const tp = tcp_sk(sk)
    let skb = from
    for (; skb !== null; skb = skb_rb_next(skb)) {
      let in_sack = 0
      let dup_sack = dup_sack_in
      if (!before(TCP_SKB_CB(skb).seq, end_seq)) break

      if (next_dup !== null && before(TCP_SKB_CB(skb).seq, next_dup.end_seq)) {
        in_sack = tcp_match_skb_to_sack(sk, skb, next_dup.start_seq, next_dup.end_seq)
        if (in_sack > 0) dup_sack = true
      }
      if (in_sack <= 0) {
        const tmp = tcp_shift_skb_data(sk, skb, state, start_seq, end_seq, dup_sack)
        if (tmp !== null) {
          if (tmp !== skb) {
            skb = tmp
            continue
          }
          in_sack = 0
        } else in_sack = tcp_match_skb_to_sack(sk, skb, start_seq, end_seq)
      }
      if (in_sack < 0) break
      if (in_sack) {
        const cb = TCP_SKB_CB(skb)
        cb.sacked = tcp_sacktag_one(
          sk,
          state,
          cb.sacked,
          cb.seq,
          cb.end_seq,
          dup_sack,
          tcp_skb_pcount(skb),
          tcp_skb_timestamp_us(skb),
        )
        tcp_rate_skb_delivered(sk, skb, state.rate)
        if (cb.sacked & TCPCB_SACKED_ACKED) list_del(skb.tcp_tsorted_anchor)
        if (!before(cb.seq, tcp_highest_sack_seq(tp))) tcp_advance_highest_sack(sk, skb)
      }
    }
    return skb
  },
)

export const tcp_sacktag_bsearch = kfunc('tcp_sacktag_bsearch', (sk: sock, seq: number): sk_buff | null => {
  for (let p = tcp_sk(sk).tcp_rtx_queue.rb_node; p !== null; ) {
    const cb = TCP_SKB_CB(p.owner)
    if (before(seq, cb.seq)) p = p.rb_left
    else if (!before(seq, cb.end_seq)) p = p.rb_right
    else return p.owner
  }
  return null
})

export const tcp_sacktag_skip = kfunc(
  'tcp_sacktag_skip',
  (skb: sk_buff | null, sk: sock, skip_to_seq: number): sk_buff | null => {
    if (skb !== null && after(TCP_SKB_CB(skb).seq, skip_to_seq)) return skb
    return tcp_sacktag_bsearch(sk, skip_to_seq)
  },
)

export const tcp_maybe_skipping_dsack = kfunc(
  'tcp_maybe_skipping_dsack',
  (
    from: sk_buff | null,
    sk: sock,
    next_dup: tcp_sack_block | null,
    state: tcp_sacktag_state,
    skip_to_seq: number,
  ): sk_buff | null => {
    let skb = from
    if (next_dup === null) return skb
    if (before(next_dup.start_seq, skip_to_seq)) {
      skb = tcp_sacktag_skip(skb, sk, next_dup.start_seq)
      skb = tcp_sacktag_walk(skb, sk, null, state, next_dup.start_seq, next_dup.end_seq, true)
    }
    return skb
  },
)

/** tags the retransmit queue by the SACK blocks of an ACK; what was in the last ACK is not walked again */
export const tcp_sacktag_write_queue = kfunc(
  'tcp_sacktag_write_queue',
  (sk: sock, ack_skb: sk_buff, prior_snd_una: number, state: tcp_sacktag_state): number => {
    const tp = tcp_sk(sk)
    const { linux } = sock_net(sk).mib
    const b = ack_skb.head.bytes
    const ptr = ack_skb.transport_header + TCP_SKB_CB(ack_skb).sacked
    const sp_wire = ptr + 2
    const num_sacks = Math.min(TCP_NUM_SACKS, ((b[ptr + 1] ?? 0) - TCPOLEN_SACK_BASE) >> 3)
    const sp: tcp_sack_block[] = []
    let first_sack_index = 0

    state.flag = 0
    state.reord = tp.snd_nxt
    if (!tp.sacked_out) tcp_highest_sack_reset(sk)
    const found_dup_sack = tcp_check_dsack(sk, ack_skb, sp_wire, num_sacks, prior_snd_una, state)

    if (before(TCP_SKB_CB(ack_skb).ack_seq, (prior_snd_una - tp.max_window) >>> 0)) return 0
    if (!tp.packets_out) return state.flag

    for (let i = 0; i < num_sacks; i++) {
      const dup_sack = i === 0 && found_dup_sack
      const block = { start_seq: get_be32(b, sp_wire + 8 * i), end_seq: get_be32(b, sp_wire + 8 * i + 4) }
      if (!tcp_is_sackblock_valid(tp, dup_sack, block.start_seq, block.end_seq)) {
        if (dup_sack) {
          if (!tp.undo_marker) linux.TCPDSACKIgnoredNoUndo++
          else linux.TCPDSACKIgnoredOld++
        } else {
          // an old one that came late
          if (TCP_SKB_CB(ack_skb).ack_seq !== tp.snd_una && !after(block.end_seq, tp.snd_una)) continue
          linux.TCPSACKDiscard++
        }
        if (i === 0) first_sack_index = -1
        continue
      }
      if (!after(block.end_seq, prior_snd_una)) {
        if (i === 0) first_sack_index = -1
        continue
      }
      sp.push(block)
    }
    const used_sacks = sp.length

    // in the order of the queue
    for (let i = used_sacks - 1; i > 0; i--) {
      for (let j = 0; j < i; j++) {
        const x = sp[j]
        const y = sp[j + 1]
        if (x === undefined || y === undefined || !after(x.start_seq, y.start_seq)) continue
        sp[j] = y
        sp[j + 1] = x
        if (j === first_sack_index) first_sack_index = j + 1
      }
    }

    state.mss_now = tcp_current_mss(sk)
    const known = tp.recv_sack_cache
    let skb: sk_buff | null = null
    let i = 0
    let c = known.length
    if (tp.sacked_out) {
      c = 0
      while (c < known.length && !known[c]?.start_seq && !known[c]?.end_seq) c++
    }

    while (i < used_sacks) {
      const block = sp[i]
      if (block === undefined) break
      const { start_seq, end_seq } = block
      const dup_sack = found_dup_sack && i === first_sack_index
      const next_dup = found_dup_sack && i + 1 === first_sack_index ? (sp[i + 1] ?? null) : null

      let cache = known[c]
      while (cache !== undefined && !before(start_seq, cache.end_seq)) cache = known[++c]

      walk: {
        if (cache !== undefined && !dup_sack && after(end_seq, cache.start_seq)) {
          if (before(start_seq, cache.start_seq)) {
            skb = tcp_sacktag_skip(skb, sk, start_seq)
            skb = tcp_sacktag_walk(skb, sk, next_dup, state, start_seq, cache.start_seq, dup_sack)
          }
          if (!after(end_seq, cache.end_seq)) {
            i++
            continue
          }
          skb = tcp_maybe_skipping_dsack(skb, sk, next_dup, state, cache.end_seq)
          if (tcp_highest_sack_seq(tp) === cache.end_seq) {
            skb = tcp_highest_sack(sk)
            if (skb === null) {
              i = used_sacks
              continue
            }
            c++
            break walk
          }
          skb = tcp_sacktag_skip(skb, sk, cache.end_seq)
          // the same block against the next of the last ACK
          c++
          continue
        }
        if (!before(start_seq, tcp_highest_sack_seq(tp))) {
          skb = tcp_highest_sack(sk)
          if (skb === null) {
            i = used_sacks
            continue
          }
        }
        skb = tcp_sacktag_skip(skb, sk, start_seq)
      }
      skb = tcp_sacktag_walk(skb, sk, next_dup, state, start_seq, end_seq, dup_sack)
      i++
    }

    // kept for the next ACK, at the end of the array
    const empty = known.length - used_sacks
    known.forEach((k, n) => {
      const from = sp[n - empty]
      k.start_seq = from === undefined ? 0 : from.start_seq
      k.end_seq = from === undefined ? 0 : from.end_seq
    })

    if (tp.icsk_ca_state !== TCP_CA_Loss || tp.undo_marker) tcp_check_sack_reordering(sk, state.reord, 0)
    tcp_verify_left_out(tp)
    return state.flag
  },
)

/** without SACK, duplicate ACKs count as segments that arrived; never so many that nothing could be missing */
const tcp_limit_reno_sacked = (tp: tcp_sock): boolean => {
  const holes = Math.min(Math.max(tp.lost_out, 1), tp.packets_out)
  if (tp.sacked_out + holes > tp.packets_out) {
    tp.sacked_out = tp.packets_out - holes
    return true
  }
  return false
}

export const tcp_check_reno_reordering = kfunc('tcp_check_reno_reordering', (sk: sock, addend: number): void => {
  const tp = tcp_sk(sk)
  if (!tcp_limit_reno_sacked(tp)) return
  const net = sock_net(sk)
  tp.reordering = Math.min((tp.packets_out + addend) >>> 0, net.ipv4.sysctl_tcp_max_reordering)
  tp.reord_seen++
  net.mib.linux.TCPRenoReorder++
})

const tcp_add_reno_sack_part_0 = kfunc('tcp_add_reno_sack.part.0', (sk: sock, num_dupack: number, ece_ack: boolean): void => {
  const tp = tcp_sk(sk)
  const prior_sacked = tp.sacked_out
  tp.sacked_out += num_dupack
  tcp_check_reno_reordering(sk, 0)
  const delivered = tp.sacked_out - prior_sacked
  if (delivered > 0) tcp_count_delivered(tp, delivered, ece_ack)
  tcp_verify_left_out(tp)
})
export const tcp_add_reno_sack = kfunc('tcp_add_reno_sack', (sk: sock, num_dupack: number, ece_ack: boolean): void => {
  if (num_dupack) tcp_add_reno_sack_part_0(sk, num_dupack, ece_ack)
})

export const tcp_remove_reno_sacks = kfunc('tcp_remove_reno_sacks', (sk: sock, acked: number, ece_ack: boolean): void => {
  const tp = tcp_sk(sk)
  if (acked > 0) {
    // one filled the hole, the others had been counted when their duplicate ACKs came
    tcp_count_delivered(tp, Math.max(acked - tp.sacked_out, 1), ece_ack)
    if (acked - 1 >= tp.sacked_out) tp.sacked_out = 0
    else tp.sacked_out -= acked - 1
  }
  tcp_check_reno_reordering(sk, acked)
  tcp_verify_left_out(tp)
})

const tcp_reset_reno_sack = (tp: tcp_sock): void => {
  tp.sacked_out = 0
}

export const tcp_clear_retrans = kfunc('tcp_clear_retrans', (tp: tcp_sock): void => {
  tp.retrans_out = 0
  tp.lost_out = 0
  tp.undo_marker = 0
  tp.undo_retrans = -1
  tp.sacked_out = 0
  tp.rto_stamp = 0
  tp.total_rto = 0
  tp.total_rto_recoveries = 0
  tp.total_rto_time = 0
})

const tcp_init_undo = (tp: tcp_sock): void => {
  tp.undo_marker = tp.snd_una
  tp.undo_retrans = tp.retrans_out
  if (tp.tlp_high_seq && tp.tlp_retrans) tp.undo_retrans++
  // 0 would mean that everything retransmitted has proved needless
  if (!tp.undo_retrans) tp.undo_retrans = -1
}

const tcp_is_rack = (sk: sock): boolean => (sock_net(sk).ipv4.sysctl_tcp_recovery & TCP_RACK_LOSS_DETECTION) !== 0

export const tcp_timeout_mark_lost = kfunc('tcp_timeout_mark_lost', (sk: sock): void => {
  const tp = tcp_sk(sk)
  const head = tcp_rtx_queue_head(sk)
  const is_reneg = head !== null && (TCP_SKB_CB(head).sacked & TCPCB_SACKED_ACKED) !== 0
  if (is_reneg) {
    sock_net(sk).mib.linux.TCPSACKReneging++
    tp.sacked_out = 0
    tp.is_sack_reneg = 1
  } else if (tcp_is_reno(tp)) tcp_reset_reno_sack(tp)

  for (let skb = head; skb !== null; skb = skb_rb_next(skb)) {
    if (is_reneg) TCP_SKB_CB(skb).sacked &= ~TCPCB_SACKED_ACKED
    else if (tcp_is_rack(sk) && skb !== head && tcp_rack_skb_timeout(tp, skb, 0) > 0) continue
    tcp_mark_skb_lost(sk, skb)
  }
  tcp_verify_left_out(tp)
  tcp_clear_all_retrans_hints(tp)
})

/** the retransmission timer fired: everything older than a round trip is taken for lost, cwnd falls to what is left in flight */
export const tcp_enter_loss = kfunc('tcp_enter_loss', (sk: sock): void => {
  const tp = tcp_sk(sk)
  const { ipv4 } = sock_net(sk)
  const new_recovery = tp.icsk_ca_state < TCP_CA_Recovery
  tcp_timeout_mark_lost(sk)

  if (
    tp.icsk_ca_state <= TCP_CA_Disorder ||
    !after(tp.high_seq, tp.snd_una) ||
    (tp.icsk_ca_state === TCP_CA_Loss && !tp.icsk_retransmits)
  ) {
    tp.prior_ssthresh = tcp_current_ssthresh(sk)
    tp.prior_cwnd = tcp_snd_cwnd(tp)
    if (tracer.on) traceIndirect('icsk->icsk_ca_ops->ssthresh', nameOf(tp.icsk_ca_ops.ssthresh))
    tp.snd_ssthresh = tp.icsk_ca_ops.ssthresh(sk)
    tcp_ca_event(sk, CA_EVENT_LOSS)
    tcp_init_undo(tp)
  }
  tcp_snd_cwnd_set(tp, tcp_packets_in_flight(tp) + 1)
  tp.snd_cwnd_cnt = 0
  tp.snd_cwnd_stamp = tcp_jiffies32()

  const reordering = ipv4.sysctl_tcp_reordering
  if (tp.icsk_ca_state <= TCP_CA_Disorder && tp.sacked_out >= reordering) tp.reordering = Math.min(tp.reordering, reordering)

  if (tracer.on)
    decide('tcp_enter_loss', 'timeout: enter Loss', {
      lost_out: tp.lost_out,
      cwnd: tp.snd_cwnd,
      ssthresh: tp.snd_ssthresh,
      prior_cwnd: tp.prior_cwnd,
    })
  tcp_set_ca_state(sk, TCP_CA_Loss)
  tp.high_seq = tp.snd_nxt
  tp.tlp_high_seq = 0
  tcp_ecn_queue_cwr(tp)
  tp.frto = ipv4.sysctl_tcp_frto && (new_recovery || tp.icsk_retransmits) && !tp.icsk_mtup.probe_size ? 1 : 0
})

/** the peer seems to have dropped what it had SACKed: wait a little before that is believed */
export const tcp_check_sack_reneging = kfunc('tcp_check_sack_reneging', (sk: sock, ack_flag: ref<number>): boolean => {
  if (!(ack_flag.v & FLAG_SACK_RENEGING && ack_flag.v & FLAG_SND_UNA_ADVANCED)) return false
  const delay = Math.max(usecs_to_jiffies(tcp_sk(sk).srtt_us >>> 4), Math.ceil((10 * HZ) / 1000))
  inet_csk_reset_xmit_timer(sk, ICSK_TIME_RETRANS, delay, TCP_RTO_MAX)
  ack_flag.v &= ~FLAG_SET_XMIT_TIMER
  return true
})

export const tcp_time_to_recover = kfunc('tcp_time_to_recover', (sk: sock, _flag: number): boolean => {
  const tp = tcp_sk(sk)
  if (tp.lost_out) return true
  // the classic rule of three duplicate ACKs
  return !tcp_is_rack(sk) && tp.sacked_out + 1 > tp.reordering
})

/** calls lost what has more than `packets` SACKed segments behind it */
export const tcp_mark_head_lost = kfunc('tcp_mark_head_lost', (sk: sock, packets: number, mark_head: number): void => {
  const tp = tcp_sk(sk)
  const loss_high = tp.snd_nxt
  let skb = tp.lost_skb_hint
  let cnt = 0
  if (skb !== null) {
    if (mark_head && after(TCP_SKB_CB(skb).seq, tp.snd_una)) return
    cnt = tp.lost_cnt_hint
  } else skb = tcp_rtx_queue_head(sk)

  for (; skb !== null; skb = skb_rb_next(skb)) {
    const cb = TCP_SKB_CB(skb)
    tp.lost_skb_hint = skb
    tp.lost_cnt_hint = cnt
    if (after(cb.end_seq, loss_high)) break
    if (cb.sacked & TCPCB_SACKED_ACKED) cnt += tcp_skb_pcount(skb)
    if (cnt > packets) break
    if (!(cb.sacked & TCPCB_LOST)) tcp_mark_skb_lost(sk, skb)
    if (mark_head) break
  }
  tcp_verify_left_out(tp)
})

export const tcp_update_scoreboard = kfunc('tcp_update_scoreboard', (sk: sock, fast_rexmit: number): void => {
  const tp = tcp_sk(sk)
  if (!tcp_is_sack(tp)) return
  const sacked_upto = (tp.sacked_out - tp.reordering) | 0
  if (sacked_upto >= 0) tcp_mark_head_lost(sk, sacked_upto, 0)
  else if (fast_rexmit) tcp_mark_head_lost(sk, 1, 1)
})

const tcp_tsopt_ecr_before = (tp: tcp_sock, when: number): boolean =>
  tp.rx_opt.saw_tstamp !== 0 && tp.rx_opt.rcv_tsecr !== 0 && before(tp.rx_opt.rcv_tsecr, when)

/** the peer answers the original: the retransmission was not needed */
const tcp_skb_spurious_retrans = (tp: tcp_sock, skb: sk_buff): boolean =>
  (TCP_SKB_CB(skb).sacked & TCPCB_RETRANS) !== 0 && tcp_tsopt_ecr_before(tp, tcp_skb_timestamp_ts(tp.tcp_usec_ts, skb))

/** nothing was lost, it only came late */
export const tcp_packet_delayed = kfunc('tcp_packet_delayed', (tp: tcp_sock): boolean => {
  if (tp.retrans_stamp) return tcp_tsopt_ecr_before(tp, tp.retrans_stamp)
  // two places clear the stamp although something was retransmitted
  if (!tcp_is_sack(tp) && !before(tp.snd_una, tp.high_seq)) return false
  return tp.sk_state !== TCP_SYN_SENT
})

export const tcp_any_retrans_done = kfunc('tcp_any_retrans_done', (sk: sock): boolean => {
  if (tcp_sk(sk).retrans_out) return true
  const skb = tcp_rtx_queue_head(sk)
  return skb !== null && (TCP_SKB_CB(skb).sacked & TCPCB_EVER_RETRANS) !== 0
})

export const tcp_retrans_stamp_cleanup = kfunc('tcp_retrans_stamp_cleanup', (sk: sock): void => {
  if (!tcp_any_retrans_done(sk)) tcp_sk(sk).retrans_stamp = 0
})

/** the window was cut for nothing: take it back */
export const tcp_undo_cwnd_reduction = kfunc('tcp_undo_cwnd_reduction', (sk: sock, unmark_loss: boolean): void => {
  const tp = tcp_sk(sk)
  if (unmark_loss) {
    for (let skb = skb_rb_first(tp.tcp_rtx_queue); skb !== null; skb = skb_rb_next(skb)) TCP_SKB_CB(skb).sacked &= ~TCPCB_LOST
    tp.lost_out = 0
    tcp_clear_all_retrans_hints(tp)
  }
  if (tp.prior_ssthresh) {
    if (tracer.on) traceIndirect('icsk->icsk_ca_ops->undo_cwnd', nameOf(tp.icsk_ca_ops.undo_cwnd))
    tcp_snd_cwnd_set(tp, tp.icsk_ca_ops.undo_cwnd(sk))
    if (tp.prior_ssthresh > tp.snd_ssthresh) {
      tp.snd_ssthresh = tp.prior_ssthresh
      tcp_ecn_withdraw_cwr(tp)
    }
  }
  tp.snd_cwnd_stamp = tcp_jiffies32()
  tp.undo_marker = 0
  tp.rack.advanced = 1
  if (tracer.on)
    decide('tcp_undo_cwnd_reduction', 'nothing was lost: cwnd restored', { cwnd: tp.snd_cwnd, ssthresh: tp.snd_ssthresh })
})

const tcp_may_undo = (tp: tcp_sock): boolean => tp.undo_marker !== 0 && (tp.undo_retrans === 0 || tcp_packet_delayed(tp))

export const tcp_is_non_sack_preventing_reopen = kfunc('tcp_is_non_sack_preventing_reopen', (sk: sock): boolean => {
  const tp = tcp_sk(sk)
  if (tp.snd_una !== tp.high_seq || !tcp_is_reno(tp)) return false
  if (!tcp_any_retrans_done(sk)) tp.retrans_stamp = 0
  return true
})

/** @returns whether the state must be held on to */
export const tcp_try_undo_recovery = kfunc('tcp_try_undo_recovery', (sk: sock): boolean => {
  const tp = tcp_sk(sk)
  if (tcp_may_undo(tp)) {
    tcp_undo_cwnd_reduction(sk, false)
    const { linux } = sock_net(sk).mib
    if (tp.icsk_ca_state === TCP_CA_Loss) linux.TCPLossUndo++
    else linux.TCPFullUndo++
  } else if (tp.rack.reo_wnd_persist) tp.rack.reo_wnd_persist--
  if (tcp_is_non_sack_preventing_reopen(sk)) return true
  tcp_set_ca_state(sk, TCP_CA_Open)
  tp.is_sack_reneg = 0
  return false
})

export const tcp_try_undo_dsack = kfunc('tcp_try_undo_dsack', (sk: sock): boolean => {
  const tp = tcp_sk(sk)
  if (!tp.undo_marker || tp.undo_retrans) return false
  tp.rack.reo_wnd_persist = Math.min(TCP_RACK_RECOVERY_THRESH, tp.rack.reo_wnd_persist + 1)
  tcp_undo_cwnd_reduction(sk, false)
  sock_net(sk).mib.linux.TCPDSACKUndo++
  return true
})

export const tcp_try_undo_loss = kfunc('tcp_try_undo_loss', (sk: sock, frto_undo: boolean): boolean => {
  const tp = tcp_sk(sk)
  if (!frto_undo && !tcp_may_undo(tp)) return false
  tcp_undo_cwnd_reduction(sk, true)
  const { linux } = sock_net(sk).mib
  linux.TCPLossUndo++
  if (frto_undo) linux.TCPSpuriousRTOs++
  tp.icsk_retransmits = 0
  if (tcp_is_non_sack_preventing_reopen(sk)) return true
  if (frto_undo || tcp_is_sack(tp)) {
    tcp_set_ca_state(sk, TCP_CA_Open)
    tp.is_sack_reneg = 0
  }
  return true
})

/** proportional rate reduction, RFC 6937: starts */
export const tcp_init_cwnd_reduction = kfunc('tcp_init_cwnd_reduction', (sk: sock): void => {
  const tp = tcp_sk(sk)
  tp.high_seq = tp.snd_nxt
  tp.tlp_high_seq = 0
  tp.snd_cwnd_cnt = 0
  tp.prior_cwnd = tcp_snd_cwnd(tp)
  tp.prr_delivered = 0
  tp.prr_out = 0
  if (tracer.on) traceIndirect('icsk->icsk_ca_ops->ssthresh', nameOf(tp.icsk_ca_ops.ssthresh))
  tp.snd_ssthresh = tp.icsk_ca_ops.ssthresh(sk)
  tcp_ecn_queue_cwr(tp)
})

export const tcp_cwnd_reduction = kfunc(
  'tcp_cwnd_reduction',
  (sk: sock, newly_acked_sacked: number, newly_lost: number, flag: number): void => {
    const tp = tcp_sk(sk)
    const delta = (tp.snd_ssthresh - tcp_packets_in_flight(tp)) | 0
    if (newly_acked_sacked <= 0 || !tp.prior_cwnd) return

    tp.prr_delivered += newly_acked_sacked
    let sndcnt: number
    if (delta < 0)
      sndcnt = (Math.floor((tp.snd_ssthresh * tp.prr_delivered + tp.prior_cwnd - 1) / tp.prior_cwnd) - tp.prr_out) | 0
    else {
      sndcnt = Math.max((tp.prr_delivered - tp.prr_out) | 0, newly_acked_sacked)
      if (flag & FLAG_SND_UNA_ADVANCED && !newly_lost) sndcnt++
      sndcnt = Math.min(delta, sndcnt)
    }
    // the first retransmission must not wait
    sndcnt = Math.max(sndcnt, tp.prr_out ? 0 : 1)
    tcp_snd_cwnd_set(tp, tcp_packets_in_flight(tp) + sndcnt)
    if (tracer.on)
      decide('tcp_cwnd_reduction', 'rate reduction', {
        cwnd: tp.snd_cwnd,
        ssthresh: tp.snd_ssthresh,
        sndcnt,
        prr_delivered: tp.prr_delivered,
        prr_out: tp.prr_out,
      })
  },
)

export const tcp_end_cwnd_reduction = kfunc('tcp_end_cwnd_reduction', (sk: sock): void => {
  const tp = tcp_sk(sk)
  if (tp.icsk_ca_ops.cong_control) return
  if (tp.snd_ssthresh < TCP_INFINITE_SSTHRESH && (tp.icsk_ca_state === TCP_CA_CWR || tp.undo_marker)) {
    tcp_snd_cwnd_set(tp, tp.snd_ssthresh)
    tp.snd_cwnd_stamp = tcp_jiffies32()
  }
  tcp_ca_event(sk, CA_EVENT_COMPLETE_CWR)
})

export const tcp_enter_cwr = kfunc('tcp_enter_cwr', (sk: sock): void => {
  const tp = tcp_sk(sk)
  tp.prior_ssthresh = 0
  if (tp.icsk_ca_state < TCP_CA_CWR) {
    tp.undo_marker = 0
    tcp_init_cwnd_reduction(sk)
    tcp_set_ca_state(sk, TCP_CA_CWR)
  }
})

export const tcp_try_keep_open = kfunc('tcp_try_keep_open', (sk: sock): void => {
  const tp = tcp_sk(sk)
  const state = tcp_left_out(tp) || tcp_any_retrans_done(sk) ? TCP_CA_Disorder : TCP_CA_Open
  if (tp.icsk_ca_state !== state) {
    tcp_set_ca_state(sk, state)
    tp.high_seq = tp.snd_nxt
  }
})

export const tcp_try_to_open = kfunc('tcp_try_to_open', (sk: sock, flag: number): void => {
  const tp = tcp_sk(sk)
  tcp_verify_left_out(tp)
  if (!tcp_any_retrans_done(sk)) tp.retrans_stamp = 0
  if (flag & FLAG_ECE) tcp_enter_cwr(sk)
  if (tp.icsk_ca_state !== TCP_CA_CWR) tcp_try_keep_open(sk)
})

export const tcp_mtup_probe_failed = kfunc('tcp_mtup_probe_failed', (sk: sock): void => {
  const mtup = inet_csk(sk).icsk_mtup
  mtup.search_high = mtup.probe_size - 1
  mtup.probe_size = 0
  sock_net(sk).mib.linux.TCPMTUPFail++
})

export const tcp_mtup_probe_success = kfunc('tcp_mtup_probe_success', (sk: sock): void => {
  const tp = tcp_sk(sk)
  const mtup = tp.icsk_mtup
  tp.prior_ssthresh = tcp_current_ssthresh(sk)
  tcp_snd_cwnd_set(tp, Math.max(1, Math.floor((tcp_snd_cwnd(tp) * tcp_mss_to_mtu(sk, tp.mss_cache)) / mtup.probe_size)))
  tp.snd_cwnd_cnt = 0
  tp.snd_cwnd_stamp = tcp_jiffies32()
  tp.snd_ssthresh = tcp_current_ssthresh(sk)
  mtup.search_low = mtup.probe_size
  mtup.probe_size = 0
  tcp_sync_mss(sk, tp.icsk_pmtu_cookie)
  sock_net(sk).mib.linux.TCPMTUPSuccess++
})

/** lost, but not to congestion: retransmit without cutting cwnd */
export const tcp_non_congestion_loss_retransmit = kfunc('tcp_non_congestion_loss_retransmit', (sk: sock): void => {
  const tp = tcp_sk(sk)
  if (tp.icsk_ca_state !== TCP_CA_Loss) {
    tp.high_seq = tp.snd_nxt
    tp.snd_ssthresh = tcp_current_ssthresh(sk)
    tp.prior_ssthresh = 0
    tp.undo_marker = 0
    tcp_set_ca_state(sk, TCP_CA_Loss)
  }
  tcp_xmit_retransmit_queue(sk)
})

/** the path takes less than was sent: what is too long goes out again, shorter */
export const tcp_simple_retransmit = kfunc('tcp_simple_retransmit', (sk: sock): void => {
  const tp = tcp_sk(sk)
  const mss = tp.syn_data && sk.sk_state === TCP_SYN_SENT ? -1 : tcp_current_mss(sk)
  for (let skb = skb_rb_first(tp.tcp_rtx_queue); skb !== null; skb = skb_rb_next(skb))
    if (tcp_skb_seglen(skb) > mss) tcp_mark_skb_lost(sk, skb)
  tcp_clear_retrans_hints_partial(tp)
  if (!tp.lost_out) return
  if (tcp_is_reno(tp)) tcp_limit_reno_sacked(tp)
  tcp_verify_left_out(tp)
  tcp_non_congestion_loss_retransmit(sk)
})

export const tcp_enter_recovery = kfunc('tcp_enter_recovery', (sk: sock, ece_ack: boolean): void => {
  const tp = tcp_sk(sk)
  const { linux } = sock_net(sk).mib
  tcp_retrans_stamp_cleanup(sk)
  if (tcp_is_reno(tp)) linux.TCPRenoRecovery++
  else linux.TCPSackRecovery++
  tp.prior_ssthresh = 0
  tcp_init_undo(tp)
  if (!tcp_in_cwnd_reduction(sk)) {
    if (!ece_ack) tp.prior_ssthresh = tcp_current_ssthresh(sk)
    tcp_init_cwnd_reduction(sk)
  }
  if (tracer.on)
    decide('tcp_enter_recovery', 'fast retransmit', {
      lost_out: tp.lost_out,
      sacked_out: tp.sacked_out,
      ssthresh: tp.snd_ssthresh,
      prior_cwnd: tp.prior_cwnd,
    })
  tcp_set_ca_state(sk, TCP_CA_Recovery)
})

const tcp_update_rto_time = (tp: tcp_sock): void => {
  if (tp.rto_stamp) {
    tp.total_rto_time = (tp.total_rto_time + tcp_time_stamp_ms(tp) - tp.rto_stamp) >>> 0
    tp.rto_stamp = 0
  }
}

/** an ACK in state Loss. F-RTO (RFC 5682) finds out whether the timeout was needed at all. */
export const tcp_process_loss = kfunc(
  'tcp_process_loss',
  (sk: sock, flag: number, num_dupack: number, rexmit: ref<number>): void => {
    const tp = tcp_sk(sk)
    const recovered = !before(tp.snd_una, tp.high_seq)
    if ((flag & FLAG_SND_UNA_ADVANCED || tp.fastopen_rsk !== null) && tcp_try_undo_loss(sk, false)) return

    if (tp.frto) {
      if (flag & FLAG_ORIG_SACK_ACKED && tcp_try_undo_loss(sk, true)) return
      if (after(tp.snd_nxt, tp.high_seq)) {
        if (flag & FLAG_DATA_SACKED || num_dupack) tp.frto = 0
      } else if (flag & FLAG_SND_UNA_ADVANCED && !recovered) {
        tp.high_seq = tp.snd_nxt
        if (!tcp_write_queue_empty(sk) && after(tcp_wnd_end(tp), tp.snd_nxt)) {
          rexmit.v = REXMIT_NEW
          return
        }
        tp.frto = 0
      }
    }
    if (recovered) {
      tcp_try_undo_recovery(sk)
      return
    }
    if (tcp_is_reno(tp)) {
      if (after(tp.snd_nxt, tp.high_seq) && num_dupack) tcp_add_reno_sack(sk, num_dupack, (flag & FLAG_ECE) !== 0)
      else if (flag & FLAG_SND_UNA_ADVANCED) tcp_reset_reno_sack(tp)
    }
    rexmit.v = REXMIT_LOST
  },
)

const tcp_force_fast_retransmit = (sk: sock): boolean => {
  const tp = tcp_sk(sk)
  return after(tcp_highest_sack_seq(tp), (tp.snd_una + tp.reordering * tp.mss_cache) >>> 0)
}

export const tcp_try_undo_partial = kfunc(
  'tcp_try_undo_partial',
  (sk: sock, prior_snd_una: number, do_lost: ref<boolean>): boolean => {
    const tp = tcp_sk(sk)
    if (tp.undo_marker && tcp_packet_delayed(tp)) {
      tcp_check_sack_reordering(sk, prior_snd_una, 1)
      if (tp.retrans_out) return true
      if (!tcp_any_retrans_done(sk)) tp.retrans_stamp = 0
      tcp_undo_cwnd_reduction(sk, true)
      sock_net(sk).mib.linux.TCPPartialUndo++
      tcp_try_keep_open(sk)
    } else do_lost.v = tcp_force_fast_retransmit(sk)
    return false
  },
)

export const tcp_identify_packet_loss = kfunc('tcp_identify_packet_loss', (sk: sock, ack_flag: ref<number>): void => {
  const tp = tcp_sk(sk)
  if (tcp_rtx_queue_empty(sk)) return
  if (tcp_is_reno(tp)) tcp_newreno_mark_lost(sk, (ack_flag.v & FLAG_SND_UNA_ADVANCED) !== 0)
  else if (tcp_is_rack(sk)) {
    const prior_retrans = tp.retrans_out
    if (tcp_rack_mark_lost(sk)) ack_flag.v &= ~FLAG_SET_XMIT_TIMER
    if (prior_retrans > tp.retrans_out) ack_flag.v |= FLAG_LOST_RETRANS
  }
})

/** the state machine of loss recovery, for each ACK that is not plain: what is lost, and which state follows */
export const tcp_fastretrans_alert = kfunc(
  'tcp_fastretrans_alert',
  (sk: sock, prior_snd_una: number, num_dupack: number, ack_flag: ref<number>, rexmit: ref<number>): void => {
    const tp = tcp_sk(sk)
    const flag = ack_flag.v
    const ece_ack = (flag & FLAG_ECE) !== 0
    const do_lost = { v: num_dupack !== 0 || ((flag & FLAG_DATA_SACKED) !== 0 && tcp_force_fast_retransmit(sk)) }
    let fast_rexmit = 0

    if (!tp.packets_out && tp.sacked_out) tp.sacked_out = 0
    if (ece_ack) tp.prior_ssthresh = 0
    if (tcp_check_sack_reneging(sk, ack_flag)) return
    tcp_verify_left_out(tp)

    // leave a state when everything sent before it began is acknowledged
    if (tp.icsk_ca_state === TCP_CA_Open) tp.retrans_stamp = 0
    else if (!before(tp.snd_una, tp.high_seq)) {
      switch (tp.icsk_ca_state) {
        case TCP_CA_CWR:
          if (tp.snd_una !== tp.high_seq) {
            tcp_end_cwnd_reduction(sk)
            tcp_set_ca_state(sk, TCP_CA_Open)
          }
          break
        case TCP_CA_Recovery:
          if (tcp_is_reno(tp)) tcp_reset_reno_sack(tp)
          if (tcp_try_undo_recovery(sk)) return
          tcp_end_cwnd_reduction(sk)
          break
      }
    }

    if (tp.icsk_ca_state === TCP_CA_Recovery) {
      if (!(flag & FLAG_SND_UNA_ADVANCED)) {
        if (tcp_is_reno(tp)) tcp_add_reno_sack(sk, num_dupack, ece_ack)
      } else if (tcp_try_undo_partial(sk, prior_snd_una, do_lost)) return
      if (tcp_try_undo_dsack(sk)) tcp_try_to_open(sk, flag)
      tcp_identify_packet_loss(sk, ack_flag)
      if (inet_csk(sk).icsk_ca_state !== TCP_CA_Recovery) {
        if (!tcp_time_to_recover(sk, flag)) return
        tcp_enter_recovery(sk, ece_ack)
      }
    } else {
      if (tp.icsk_ca_state === TCP_CA_Loss) {
        tcp_process_loss(sk, flag, num_dupack, rexmit)
        if (inet_csk(sk).icsk_ca_state !== TCP_CA_Loss) tcp_update_rto_time(tp)
        tcp_identify_packet_loss(sk, ack_flag)
        if (!(inet_csk(sk).icsk_ca_state === TCP_CA_Open || ack_flag.v & FLAG_LOST_RETRANS)) return
      }
      if (tcp_is_reno(tp)) {
        if (flag & FLAG_SND_UNA_ADVANCED) tcp_reset_reno_sack(tp)
        tcp_add_reno_sack(sk, num_dupack, ece_ack)
      }
      if (inet_csk(sk).icsk_ca_state <= TCP_CA_Disorder) tcp_try_undo_dsack(sk)
      tcp_identify_packet_loss(sk, ack_flag)
      if (!tcp_time_to_recover(sk, flag)) {
        tcp_try_to_open(sk, flag)
        return
      }
      // a probe of the path's MTU got lost: that was not congestion
      if (inet_csk(sk).icsk_ca_state < TCP_CA_CWR && tp.icsk_mtup.probe_size && tp.snd_una === tp.mtu_probe.probe_seq_start) {
        tcp_mtup_probe_failed(sk)
        tcp_snd_cwnd_set(tp, tcp_snd_cwnd(tp) + 1)
        tcp_simple_retransmit(sk)
        return
      }
      tcp_enter_recovery(sk, ece_ack)
      fast_rexmit = 1
    }

    if (!tcp_is_rack(sk) && do_lost.v) tcp_update_scoreboard(sk, fast_rexmit)
    rexmit.v = REXMIT_LOST
  },
)

export const tcp_update_rtt_min = kfunc('tcp_update_rtt_min', (sk: sock, rtt_us: number, flag: number): void => {
  const wlen = sock_net(sk).ipv4.sysctl_tcp_min_rtt_wlen * HZ
  const tp = tcp_sk(sk)
  // a delayed ACK would count the delay
  if (flag & FLAG_ACK_MAYBE_DELAYED && rtt_us > tcp_min_rtt(tp)) return
  minmax_running_min(tp.rtt_min, wlen, tcp_jiffies32(), rtt_us || jiffies_to_usecs(1))
})

/** times in microseconds, negative for none. @returns whether there was a sample */
export const tcp_ack_update_rtt = kfunc(
  'tcp_ack_update_rtt',
  (sk: sock, flag: number, seq_rtt: number, sack_rtt_us: number, ca_rtt: number, rs: rate_sample): boolean => {
    const tp = tcp_sk(sk)
    let seq_rtt_us = seq_rtt
    let ca_rtt_us = ca_rtt
    // what this side measured goes before what the peer echoes
    if (seq_rtt_us < 0) seq_rtt_us = sack_rtt_us
    if (seq_rtt_us < 0 && tp.rx_opt.saw_tstamp && tp.rx_opt.rcv_tsecr && flag & FLAG_ACKED) {
      seq_rtt_us = tcp_rtt_tsopt_us(tp, 1)
      ca_rtt_us = seq_rtt_us
    }
    rs.rtt_us = ca_rtt_us
    if (seq_rtt_us < 0) return false
    tcp_update_rtt_min(sk, ca_rtt_us, flag)
    tcp_rtt_estimator(sk, seq_rtt_us)
    tcp_set_rto(sk)
    tp.icsk_backoff = 0
    return true
  },
)

/** from the last SYN-ACK to the ACK that completes the handshake */
export const tcp_synack_rtt_meas = kfunc('tcp_synack_rtt_meas', (sk: sock, req: request_sock | null): void => {
  const rs = new rate_sample()
  let rtt_us = -1
  if (req !== null && !req.num_retrans && tcp_rsk(req).snt_synack)
    rtt_us = tcp_stamp_us_delta(tcp_clock_us(), tcp_rsk(req).snt_synack)
  tcp_ack_update_rtt(sk, FLAG_SYN_ACKED, rtt_us, -1, rtt_us, rs)
})

export const tcp_cong_avoid = kfunc('tcp_cong_avoid', (sk: sock, ack: number, acked: number): void => {
  const { cong_avoid } = inet_csk(sk).icsk_ca_ops
  if (cong_avoid) {
    if (tracer.on) traceIndirect('icsk->icsk_ca_ops->cong_avoid', nameOf(cong_avoid))
    cong_avoid(sk, ack, acked)
  }
  tcp_sk(sk).snd_cwnd_stamp = tcp_jiffies32()
})

export const tcp_rearm_rto = kfunc('tcp_rearm_rto', (sk: sock): void => {
  const tp = tcp_sk(sk)
  // then the timer is for the SYN-ACK
  if (tp.fastopen_rsk !== null) return
  if (!tp.packets_out) inet_csk_clear_xmit_timer(sk, ICSK_TIME_RETRANS)
  else {
    let rto = tp.icsk_rto
    if (tp.icsk_pending === ICSK_TIME_REO_TIMEOUT || tp.icsk_pending === ICSK_TIME_LOSS_PROBE) {
      // counted from when the segment was sent, not from now
      rto = usecs_to_jiffies(Math.max(tcp_rto_delta_us(sk), 1))
    }
    tcp_reset_xmit_timer(sk, ICSK_TIME_RETRANS, rto, TCP_RTO_MAX)
  }
})

export const tcp_set_xmit_timer = kfunc('tcp_set_xmit_timer', (sk: sock): void => {
  if (!tcp_schedule_loss_probe(sk, true)) tcp_rearm_rto(sk)
})

/** packets at the head of a buffer that are acknowledged while the rest is not */
export const tcp_tso_acked = kfunc('tcp_tso_acked', (sk: sock, skb: sk_buff): number => {
  const packets_acked = tcp_skb_pcount(skb)
  if (tcp_trim_head(sk, skb, (tcp_sk(sk).snd_una - TCP_SKB_CB(skb).seq) >>> 0)) return 0
  return packets_acked - tcp_skb_pcount(skb)
})

export const tcp_ack_tstamp = kfunc('tcp_ack_tstamp', (sk: sock, skb: sk_buff, ack_skb: sk_buff, prior_snd_una: number): void => {
  if (!TCP_SKB_CB(skb).txstamp_ack) return
  const shinfo = skb_shinfo(skb)
  if (!before(shinfo.tskey, prior_snd_una) && before(shinfo.tskey, tcp_sk(sk).snd_una))
    __skb_tstamp_tx(skb, ack_skb, null, sk, SCM_TSTAMP_ACK)
})

/** frees what is acknowledged and learns from it: RTT, reordering, what is delivered */
export const tcp_clean_rtx_queue = kfunc(
  'tcp_clean_rtx_queue',
  (sk: sock, ack_skb: sk_buff, prior_fack: number, prior_snd_una: number, sack: tcp_sacktag_state, ece_ack: boolean): number => {
    const tp = tcp_sk(sk)
    const prior_sacked = tp.sacked_out
    let reord = tp.snd_nxt
    let fully_acked = true
    let sack_rtt_us = -1
    let seq_rtt_us = -1
    let ca_rtt_us = -1
    let pkts_acked = 0
    let flag = 0
    let first_ackt = 0
    let last_ackt = 0

    let skb = skb_rb_first(tp.tcp_rtx_queue)
    while (skb !== null) {
      const scb = TCP_SKB_CB(skb)
      const start_seq = scb.seq
      const { sacked } = scb
      let acked_pcount: number
      if (after(scb.end_seq, tp.snd_una)) {
        if (tcp_skb_pcount(skb) === 1 || !after(tp.snd_una, scb.seq)) break
        acked_pcount = tcp_tso_acked(sk, skb)
        if (!acked_pcount) break
        fully_acked = false
      } else acked_pcount = tcp_skb_pcount(skb)

      if (sacked & TCPCB_RETRANS) {
        if (sacked & TCPCB_SACKED_RETRANS) tp.retrans_out -= acked_pcount
        flag |= FLAG_RETRANS_DATA_ACKED
      } else if (!(sacked & TCPCB_SACKED_ACKED)) {
        last_ackt = tcp_skb_timestamp_us(skb)
        if (!first_ackt) first_ackt = last_ackt
        if (before(start_seq, reord)) reord = start_seq
        if (!after(scb.end_seq, tp.high_seq)) flag |= FLAG_ORIG_SACK_ACKED
      }

      if (sacked & TCPCB_SACKED_ACKED) tp.sacked_out -= acked_pcount
      else if (tcp_is_sack(tp)) {
        tcp_count_delivered(tp, acked_pcount, ece_ack)
        if (!tcp_skb_spurious_retrans(tp, skb)) tcp_rack_advance(tp, sacked, scb.end_seq, tcp_skb_timestamp_us(skb))
      }
      if (sacked & TCPCB_LOST) tp.lost_out -= acked_pcount

      tp.packets_out -= acked_pcount
      pkts_acked += acked_pcount
      tcp_rate_skb_delivered(sk, skb, sack.rate)

      // a SYN is in the queue like data, but is none
      if (!(scb.tcp_flags & TCPHDR_SYN)) flag |= FLAG_DATA_ACKED
      else {
        flag |= FLAG_SYN_ACKED
        tp.retrans_stamp = 0
      }
      if (!fully_acked) break

      tcp_ack_tstamp(sk, skb, ack_skb, prior_snd_una)
      const next: sk_buff | null = skb_rb_next(skb)
      if (skb === tp.retransmit_skb_hint) tp.retransmit_skb_hint = null
      if (skb === tp.lost_skb_hint) tp.lost_skb_hint = null
      tcp_highest_sack_replace(sk, skb, next)
      tcp_rtx_queue_unlink_and_free(skb, sk)
      skb = next
    }

    if (skb === null) tcp_chrono_stop(sk, TCP_CHRONO_BUSY)
    if (between(tp.snd_up, prior_snd_una, tp.snd_una)) tp.snd_up = tp.snd_una
    if (skb !== null) {
      tcp_ack_tstamp(sk, skb, ack_skb, prior_snd_una)
      if (TCP_SKB_CB(skb).sacked & TCPCB_SACKED_ACKED) flag |= FLAG_SACK_RENEGING
    }

    if (first_ackt && !(flag & FLAG_RETRANS_DATA_ACKED)) {
      seq_rtt_us = tcp_stamp_us_delta(tp.tcp_mstamp, first_ackt)
      ca_rtt_us = tcp_stamp_us_delta(tp.tcp_mstamp, last_ackt)
      if (
        pkts_acked === 1 &&
        fully_acked &&
        !prior_sacked &&
        (tp.snd_una - prior_snd_una) >>> 0 < tp.mss_cache &&
        sack.rate.prior_delivered + 1 === tp.delivered &&
        !(flag & (FLAG_CA_ALERT | FLAG_SYN_ACKED))
      )
        flag |= FLAG_ACK_MAYBE_DELAYED
    }
    if (sack.first_sackt) {
      sack_rtt_us = tcp_stamp_us_delta(tp.tcp_mstamp, sack.first_sackt)
      ca_rtt_us = tcp_stamp_us_delta(tp.tcp_mstamp, sack.last_sackt)
    }
    const rtt_update = tcp_ack_update_rtt(sk, flag, seq_rtt_us, sack_rtt_us, ca_rtt_us, sack.rate)

    if (flag & FLAG_ACKED) {
      flag |= FLAG_SET_XMIT_TIMER
      if (tp.icsk_mtup.probe_size && !after(tp.mtu_probe.probe_seq_end, tp.snd_una)) tcp_mtup_probe_success(sk)
      if (tcp_is_reno(tp)) {
        tcp_remove_reno_sacks(sk, pkts_acked, ece_ack)
        // without SACK nobody knows which of the two arrived
        if (flag & FLAG_RETRANS_DATA_ACKED) flag &= ~FLAG_ORIG_SACK_ACKED
      } else {
        if (before(reord, prior_fack)) tcp_check_sack_reordering(sk, reord, 0)
        tp.lost_cnt_hint -= Math.min(tp.lost_cnt_hint, prior_sacked - tp.sacked_out)
      }
    } else if (
      skb !== null &&
      rtt_update &&
      sack_rtt_us >= 0 &&
      sack_rtt_us > tcp_stamp_us_delta(tp.tcp_mstamp, tcp_skb_timestamp_us(skb))
    ) {
      flag |= FLAG_SET_XMIT_TIMER
    }

    const { pkts_acked: hook } = tp.icsk_ca_ops
    if (hook) {
      if (tracer.on) traceIndirect('icsk->icsk_ca_ops->pkts_acked', nameOf(hook))
      hook(sk, {
        pkts_acked,
        rtt_us: sack.rate.rtt_us | 0,
        in_flight: Math.imul(tp.mss_cache, tp.delivered - sack.rate.prior_delivered) >>> 0,
      })
    }
    return flag
  },
)

/** an ACK while nothing is in flight: has the window opened? */
export const tcp_ack_probe = kfunc('tcp_ack_probe', (sk: sock): void => {
  const tp = tcp_sk(sk)
  const head = tcp_send_head(sk)
  if (head === null) return
  if (!after(TCP_SKB_CB(head).end_seq, tcp_wnd_end(tp))) {
    tp.icsk_backoff = 0
    tp.icsk_probes_tstamp = 0
    inet_csk_clear_xmit_timer(sk, ICSK_TIME_PROBE0)
  } else {
    const when = tcp_clamp_probe0_to_user_timeout(sk, tcp_probe0_when(sk, TCP_RTO_MAX))
    tcp_reset_xmit_timer(sk, ICSK_TIME_PROBE0, when, TCP_RTO_MAX)
  }
})

const tcp_ack_is_dubious = (sk: sock, flag: number): boolean =>
  !(flag & FLAG_NOT_DUP) || (flag & FLAG_CA_ALERT) !== 0 || inet_csk(sk).icsk_ca_state !== TCP_CA_Open

/** where segments overtake each other, cwnd grows with everything delivered, else only with what came in order */
export const tcp_may_raise_cwnd = kfunc('tcp_may_raise_cwnd', (sk: sock, flag: number): boolean =>
  tcp_sk(sk).reordering > sock_net(sk).ipv4.sysctl_tcp_reordering
    ? (flag & FLAG_FORWARD_PROGRESS) !== 0
    : (flag & FLAG_DATA_ACKED) !== 0,
)

export const tcp_cong_control = kfunc(
  'tcp_cong_control',
  (sk: sock, ack: number, acked_sacked: number, flag: number, rs: rate_sample): void => {
    const { cong_control } = inet_csk(sk).icsk_ca_ops
    if (cong_control) {
      if (tracer.on) traceIndirect('icsk->icsk_ca_ops->cong_control', nameOf(cong_control))
      cong_control(sk, ack, flag, rs)
      return
    }
    if (tcp_in_cwnd_reduction(sk)) tcp_cwnd_reduction(sk, acked_sacked, rs.losses, flag)
    else if (tcp_may_raise_cwnd(sk, flag)) tcp_cong_avoid(sk, ack, acked_sacked)
    tcp_update_pacing_rate(sk)
  },
)

const tcp_may_update_window = (tp: tcp_sock, ack: number, ack_seq: number, nwin: number): boolean =>
  after(ack, tp.snd_una) || after(ack_seq, tp.snd_wl1) || (ack_seq === tp.snd_wl1 && (nwin > tp.snd_wnd || !nwin))

export const tcp_snd_una_update = kfunc('tcp_snd_una_update', (tp: tcp_sock, ack: number): void => {
  tp.bytes_acked += (ack - tp.snd_una) >>> 0
  tp.snd_una = ack
})

export const tcp_rcv_nxt_update = kfunc('tcp_rcv_nxt_update', (tp: tcp_sock, seq: number): void => {
  tp.bytes_received += (seq - tp.rcv_nxt) >>> 0
  tp.rcv_nxt = seq
})

export const tcp_ack_update_window = kfunc(
  'tcp_ack_update_window',
  (sk: sock, skb: sk_buff, ack: number, ack_seq: number): number => {
    const tp = tcp_sk(sk)
    const b = skb.head.bytes
    const th = skb.transport_header
    let flag = 0
    let nwin = get_be16(b, th + 14)
    if (!((b[th + 13] ?? 0) & TCPHDR_SYN)) nwin = (nwin << tp.rx_opt.snd_wscale) >>> 0

    if (tcp_may_update_window(tp, ack, ack_seq, nwin)) {
      flag |= FLAG_WIN_UPDATE
      tcp_update_wl(tp, ack_seq)
      if (tp.snd_wnd !== nwin) {
        if (tracer.on) decide('tcp_ack_update_window', 'peer offers another window', { before: tp.snd_wnd, snd_wnd: nwin })
        tp.snd_wnd = nwin
        // the only place where a sender gets back to the fast path
        tp.pred_flags = 0
        tcp_fast_path_check(sk)
        if (!tcp_write_queue_empty(sk)) tcp_slow_start_after_idle_check(sk)
        if (nwin > tp.max_window) {
          tp.max_window = nwin
          tcp_sync_mss(sk, tp.icsk_pmtu_cookie)
        }
      }
    }
    tcp_snd_una_update(tp, ack)
    return flag
  },
)

export const __tcp_oow_rate_limited = kfunc(
  '__tcp_oow_rate_limited',
  (net: net, mib_idx: mib_counter, last_oow_ack_time: ref<number>): boolean => {
    const val = last_oow_ack_time.v
    const now = tcp_jiffies32()
    if (val) {
      const elapsed = (now - val) | 0
      if (elapsed >= 0 && elapsed < net.ipv4.sysctl_tcp_invalid_ratelimit) {
        net.mib.linux[mib_idx]++
        if (tracer.on)
          decide('__tcp_oow_rate_limited', 'no ACK: answered one of these a moment ago', { elapsed, counter: mib_idx })
        return true
      }
    }
    last_oow_ack_time.v = now
    return false
  },
)

/**
 * Whether no ACK may be sent now for a segment out of the window: two sides must not answer each other for ever.
 * `mib_idx` is the counter's name; `last_oow_ack_time` in jiffies.
 */
export const tcp_oow_rate_limited = kfunc(
  'tcp_oow_rate_limited',
  (net: net, skb: sk_buff, mib_idx: mib_counter, last_oow_ack_time: ref<number>): boolean => {
    const cb = TCP_SKB_CB(skb)
    if (cb.seq !== cb.end_seq && !tcp_hdr(skb).syn) return false
    return __tcp_oow_rate_limited(net, mib_idx, last_oow_ack_time)
  },
)

/** the same for the socket's own stamp */
function sk_oow_rate_limited(sk: sock, skb: sk_buff, mib_idx: mib_counter): boolean {
  const tp = tcp_sk(sk)
  const last = { v: tp.last_oow_ack_time }
  const limited = tcp_oow_rate_limited(sock_net(sk), skb, mib_idx, last)
  tp.last_oow_ack_time = last.v
  return limited
}

/** RFC 5961: so many challenge ACKs a second, for the whole namespace */
export const tcp_challenge_ack_allowed = kfunc('tcp_challenge_ack_allowed', (net: net): boolean => {
  const { ipv4 } = net
  const ack_limit = ipv4.sysctl_tcp_challenge_ack_limit
  if (ack_limit === INT_MAX) return true
  const now = Math.floor(jiffies() / HZ) >>> 0
  if (now !== ipv4.tcp_challenge_timestamp) {
    const half = (ack_limit + 1) >>> 1
    ipv4.tcp_challenge_timestamp = now
    ipv4.tcp_challenge_count = get_random_u32_inclusive(half, ack_limit + half - 1)
  }
  if (ipv4.tcp_challenge_count > 0) {
    ipv4.tcp_challenge_count--
    return true
  }
  return false
})

export const tcp_send_challenge_ack = kfunc('tcp_send_challenge_ack', (sk: sock): void => {
  const tp = tcp_sk(sk)
  const net = sock_net(sk)
  const last = { v: tp.last_oow_ack_time }
  const limited = __tcp_oow_rate_limited(net, 'TCPACKSkippedChallenge', last)
  tp.last_oow_ack_time = last.v
  if (limited) return
  if (tcp_challenge_ack_allowed(net)) {
    net.mib.linux.TCPChallengeACK++
    if (tracer.on) decide('tcp_send_challenge_ack', 'challenge ACK', { rcv_nxt: tp.rcv_nxt })
    tcp_send_ack(sk)
  }
})

export const tcp_reqsk_send_challenge_ack = kfunc(
  'tcp_reqsk_send_challenge_ack',
  (sk: sock, skb: sk_buff, req: request_sock): void => {
    const net = sock_net(sk)
    const last = { v: tcp_rsk(req).last_oow_ack_time }
    const limited = __tcp_oow_rate_limited(net, 'TCPACKSkippedChallenge', last)
    tcp_rsk(req).last_oow_ack_time = last.v
    if (limited) return
    if (tcp_challenge_ack_allowed(net)) {
      net.mib.linux.TCPChallengeACK++
      if (tracer.on) traceIndirect('req->rsk_ops->send_ack', nameOf(req.rsk_ops.send_ack))
      req.rsk_ops.send_ack(sk, skb, req)
    }
  },
)

export const tcp_store_ts_recent = kfunc('tcp_store_ts_recent', (tp: tcp_sock): void => {
  tp.rx_opt.ts_recent = tp.rx_opt.rcv_tsval
  tp.rx_opt.ts_recent_stamp = ktime_get_seconds()
})

export const tcp_replace_ts_recent = kfunc('tcp_replace_ts_recent', (tp: tcp_sock, seq: number): void => {
  if (tp.rx_opt.saw_tstamp && !after(seq, tp.rcv_wup)) if (tcp_paws_check(tp.rx_opt, 0)) tcp_store_ts_recent(tp)
})

/** what became of the tail loss probe */
export const tcp_process_tlp_ack = kfunc('tcp_process_tlp_ack', (sk: sock, ack: number, flag: number): void => {
  const tp = tcp_sk(sk)
  if (before(ack, tp.tlp_high_seq)) return
  if (!tp.tlp_retrans) tp.tlp_high_seq = 0
  else if (flag & FLAG_DSACK_TLP) tp.tlp_high_seq = 0
  else if (after(ack, tp.tlp_high_seq)) {
    // the probe filled a hole: there was a loss
    tcp_init_cwnd_reduction(sk)
    tcp_set_ca_state(sk, TCP_CA_CWR)
    tcp_end_cwnd_reduction(sk)
    tcp_try_keep_open(sk)
    sock_net(sk).mib.linux.TCPLossProbeRecovery++
  } else if (!(flag & (FLAG_SND_UNA_ADVANCED | FLAG_NOT_DUP | FLAG_DATA_SACKED))) tp.tlp_high_seq = 0
})

export const tcp_in_ack_event = kfunc('tcp_in_ack_event', (sk: sock, flag: number): void => {
  const { in_ack_event } = inet_csk(sk).icsk_ca_ops
  if (!in_ack_event) return
  let ack_ev_flags = 0
  if (flag & FLAG_WIN_UPDATE) ack_ev_flags |= CA_ACK_WIN_UPDATE
  if (flag & FLAG_SLOWPATH) {
    ack_ev_flags |= CA_ACK_SLOWPATH
    if (flag & FLAG_ECE) ack_ev_flags |= CA_ACK_ECE
  }
  if (tracer.on) traceIndirect('icsk->icsk_ca_ops->in_ack_event', nameOf(in_ack_event))
  in_ack_event(sk, ack_ev_flags)
})

/** cwnd is settled: send what recovery asks for */
export const tcp_xmit_recovery = kfunc('tcp_xmit_recovery', (sk: sock, rexmit: number): void => {
  const tp = tcp_sk(sk)
  if (rexmit === REXMIT_NONE || sk.sk_state === TCP_SYN_SENT) return
  if (rexmit === REXMIT_NEW) {
    __tcp_push_pending_frames(sk, tcp_current_mss(sk), TCP_NAGLE_OFF)
    if (after(tp.snd_nxt, tp.high_seq)) return
    tp.frto = 0
  }
  tcp_xmit_retransmit_queue(sk)
})

export const tcp_newly_delivered = kfunc('tcp_newly_delivered', (sk: sock, prior_delivered: number, flag: number): number => {
  const { linux } = sock_net(sk).mib
  const delivered = (tcp_sk(sk).delivered - prior_delivered) >>> 0
  linux.TCPDelivered += delivered
  if (flag & FLAG_ECE) linux.TCPDeliveredCE += delivered
  return delivered
})

/** @returns 1 for an ACK that was taken, 0 for an old one, -SKB_DROP_REASON_* for one that cannot be */
export const tcp_ack = kfunc('tcp_ack', (sk: sock, skb: sk_buff, flag_in: number): number => {
  const tp = tcp_sk(sk)
  const cb = TCP_SKB_CB(skb)
  const rs = new rate_sample()
  const state: tcp_sacktag_state = { first_sackt: 0, last_sackt: 0, reord: 0, sack_delivered: 0, flag: 0, mss_now: 0, rate: rs }
  const prior_snd_una = tp.snd_una
  const is_sack_reneg = tp.is_sack_reneg !== 0
  const ack_seq = cb.seq
  const ack = cb.ack_seq
  const prior_packets = tp.packets_out
  const prior_delivered = tp.delivered
  const prior_lost = tp.lost
  let flag = flag_in
  let rexmit = REXMIT_NONE
  let num_dupack = 0

  if (before(ack, prior_snd_una)) {
    // RFC 5961: not for bytes that were never sent
    const max_window = Math.min(tp.max_window, tp.bytes_acked)
    if (before(ack, (prior_snd_una - max_window) >>> 0)) {
      if (!(flag & FLAG_NO_CHALLENGE_ACK)) tcp_send_challenge_ack(sk)
      return -SKB_DROP_REASON_TCP_TOO_OLD_ACK
    }
    // old, but it may carry data and SACK blocks
    if (flag & FLAG_UPDATE_TS_RECENT) tcp_replace_ts_recent(tp, cb.seq)
    if (cb.sacked) {
      const f = { v: flag | tcp_sacktag_write_queue(sk, skb, prior_snd_una, state) }
      const r = { v: rexmit }
      tcp_fastretrans_alert(sk, prior_snd_una, num_dupack, f, r)
      tcp_newly_delivered(sk, prior_delivered, f.v)
      tcp_xmit_recovery(sk, r.v)
    }
    return 0
  }
  if (after(ack, tp.snd_nxt)) return -SKB_DROP_REASON_TCP_ACK_UNSENT_DATA

  if (after(ack, prior_snd_una)) {
    flag |= FLAG_SND_UNA_ADVANCED
    tp.icsk_retransmits = 0
  }
  const prior_fack = tcp_is_sack(tp) ? tcp_highest_sack_seq(tp) : tp.snd_una
  rs.prior_in_flight = tcp_packets_in_flight(tp)
  if (flag & FLAG_UPDATE_TS_RECENT) tcp_replace_ts_recent(tp, cb.seq)

  const { linux } = sock_net(sk).mib
  if ((flag & (FLAG_SLOWPATH | FLAG_SND_UNA_ADVANCED)) === FLAG_SND_UNA_ADVANCED) {
    // the window is as predicted
    tcp_update_wl(tp, ack_seq)
    tcp_snd_una_update(tp, ack)
    flag |= FLAG_WIN_UPDATE
    linux.TCPHPAcks++
  } else {
    if (ack_seq !== cb.end_seq) flag |= FLAG_DATA
    else linux.TCPPureAcks++
    flag |= tcp_ack_update_window(sk, skb, ack, ack_seq)
    if (cb.sacked) flag |= tcp_sacktag_write_queue(sk, skb, prior_snd_una, state)
    if (tcp_ecn_rcv_ecn_echo(tp, skb.head.bytes[skb.transport_header + 13] ?? 0)) flag |= FLAG_ECE
    if (state.sack_delivered) tcp_count_delivered(tp, state.sack_delivered, (flag & FLAG_ECE) !== 0)
  }
  tcp_ecn_accept_cwr(sk, skb)

  sk.sk_err_soft = 0
  tp.icsk_probes_out = 0
  tp.rcv_tstamp = tcp_jiffies32()

  if (!prior_packets) {
    tcp_in_ack_event(sk, flag)
    if (flag & FLAG_DSACKING_ACK) {
      const f = { v: flag }
      tcp_fastretrans_alert(sk, prior_snd_una, num_dupack, f, { v: rexmit })
      flag = f.v
      tcp_newly_delivered(sk, prior_delivered, flag)
    }
    // the window may have opened
    tcp_ack_probe(sk)
    if (tp.tlp_high_seq) tcp_process_tlp_ack(sk, ack, flag)
    return 1
  }

  flag |= tcp_clean_rtx_queue(sk, skb, prior_fack, prior_snd_una, state, (flag & FLAG_ECE) !== 0)
  tcp_rack_update_reo_wnd(sk, rs)
  tcp_in_ack_event(sk, flag)
  if (tp.tlp_high_seq) tcp_process_tlp_ack(sk, ack, flag)

  if (tcp_ack_is_dubious(sk, flag)) {
    if (!(flag & (FLAG_SND_UNA_ADVANCED | FLAG_NOT_DUP | FLAG_DSACKING_ACK))) {
      num_dupack = 1
      // several that waited in the backlog became one
      if (!(flag & FLAG_DATA)) num_dupack = Math.max(1, skb_shinfo(skb).gso_segs)
      if (tracer.on) decide('tcp_ack', 'duplicate ACK', { ack, num_dupack, sacked_out: tp.sacked_out })
    }
    const f = { v: flag }
    const r = { v: rexmit }
    tcp_fastretrans_alert(sk, prior_snd_una, num_dupack, f, r)
    flag = f.v
    rexmit = r.v
  }
  if (flag & FLAG_SET_XMIT_TIMER) tcp_set_xmit_timer(sk)
  if (flag & FLAG_FORWARD_PROGRESS || !(flag & FLAG_NOT_DUP)) sk_dst_confirm(sk)

  const delivered = tcp_newly_delivered(sk, prior_delivered, flag)
  const lost = (tp.lost - prior_lost) >>> 0
  rs.is_ack_delayed = (flag & FLAG_ACK_MAYBE_DELAYED) !== 0
  tcp_rate_gen(sk, delivered, lost, is_sack_reneg, rs)
  tcp_cong_control(sk, ack, delivered, flag, rs)
  tcp_xmit_recovery(sk, rexmit)
  if (tracer.on) traceCounters(tp)
  return 1
})

/** `cookie` is where the option's value lies in `bytes` */
export const tcp_parse_fastopen_option = kfunc(
  'tcp_parse_fastopen_option',
  (len_in: number, bytes: Uint8Array, cookie: number, syn: number, foc: tcp_fastopen_cookie | null, exp_opt: boolean): void => {
    let len = len_in
    if (foc === null || !syn || len < 0 || len & 1) return
    if (len >= TCP_FASTOPEN_COOKIE_MIN && len <= TCP_FASTOPEN_COOKIE_MAX) foc.val.set(bytes.subarray(cookie, cookie + len))
    else if (len !== 0) len = -1
    foc.len = len
    foc.exp = exp_opt
  },
)

/** the MSS that a SYN offers, not above the user's; 0 for none */
export const tcp_parse_mss_option = kfunc('tcp_parse_mss_option', (th: tcphdr, user_mss: number): number => {
  const b = th.bytes
  let ptr = th.off + TCPHDR_LEN
  let length = th.doff * 4 - TCPHDR_LEN
  let mss = 0
  while (length > 0) {
    const opcode = b[ptr++] ?? 0
    if (opcode === TCPOPT_EOL) return mss
    if (opcode === TCPOPT_NOP) {
      length--
      continue
    }
    if (length < 2) return mss
    const opsize = b[ptr++] ?? 0
    if (opsize < 2 || opsize > length) return mss
    if (opcode === TCPOPT_MSS && opsize === TCPOLEN_MSS) {
      const in_mss = get_be16(b, ptr)
      if (in_mss) mss = user_mss && user_mss < in_mss ? user_mss : in_mss
    }
    ptr += opsize - 2
    length -= opsize
  }
  return mss
})

/** reads all options; `estab`: on a connection, where some have no meaning any more */
export const tcp_parse_options = kfunc(
  'tcp_parse_options',
  (net: net, skb: sk_buff, opt_rx: tcp_options_received, estab: number, foc: tcp_fastopen_cookie | null): void => {
    const b = skb.head.bytes
    const th = skb.transport_header
    const syn = (b[th + 13] ?? 0) & TCPHDR_SYN
    const { ipv4 } = net
    let ptr = th + TCPHDR_LEN
    let length = ((b[th + 12] ?? 0) >> 4) * 4 - TCPHDR_LEN
    opt_rx.saw_tstamp = 0
    opt_rx.saw_unknown = 0

    while (length > 0) {
      const opcode = b[ptr++] ?? 0
      if (opcode === TCPOPT_EOL) return
      if (opcode === TCPOPT_NOP) {
        length--
        continue
      }
      if (length < 2) return
      const opsize = b[ptr++] ?? 0
      if (opsize < 2 || opsize > length) return
      switch (opcode) {
        case TCPOPT_MSS:
          if (opsize === TCPOLEN_MSS && syn && !estab) {
            const in_mss = get_be16(b, ptr)
            if (in_mss) opt_rx.mss_clamp = opt_rx.user_mss && opt_rx.user_mss < in_mss ? opt_rx.user_mss : in_mss
          }
          break
        case TCPOPT_WINDOW:
          if (opsize === TCPOLEN_WINDOW && syn && !estab && ipv4.sysctl_tcp_window_scaling) {
            opt_rx.wscale_ok = 1
            opt_rx.snd_wscale = Math.min(b[ptr] ?? 0, TCP_MAX_WSCALE)
          }
          break
        case TCPOPT_TIMESTAMP:
          if (opsize === TCPOLEN_TIMESTAMP && (estab ? opt_rx.tstamp_ok : ipv4.sysctl_tcp_timestamps)) {
            opt_rx.saw_tstamp = 1
            opt_rx.rcv_tsval = get_be32(b, ptr)
            opt_rx.rcv_tsecr = get_be32(b, ptr + 4)
          }
          break
        case TCPOPT_SACK_PERM:
          if (opsize === TCPOLEN_SACK_PERM && syn && !estab && ipv4.sysctl_tcp_sack) {
            opt_rx.sack_ok = TCP_SACK_SEEN
            tcp_sack_reset(opt_rx)
          }
          break
        case TCPOPT_SACK:
          if (
            opsize >= TCPOLEN_SACK_BASE + TCPOLEN_SACK_PERBLOCK &&
            (opsize - TCPOLEN_SACK_BASE) % TCPOLEN_SACK_PERBLOCK === 0 &&
            opt_rx.sack_ok
          )
            TCP_SKB_CB(skb).sacked = ptr - 2 - th
          break
        case TCPOPT_MD5SIG:
          break
        case TCPOPT_FASTOPEN:
          tcp_parse_fastopen_option(opsize - TCPOLEN_FASTOPEN_BASE, b, ptr, syn, foc, false)
          break
        case TCPOPT_EXP:
          // shared by several experiments: the first 16 bits say which
          if (opsize >= TCPOLEN_EXP_FASTOPEN_BASE && get_be16(b, ptr) === TCPOPT_FASTOPEN_MAGIC)
            tcp_parse_fastopen_option(opsize - TCPOLEN_EXP_FASTOPEN_BASE, b, ptr + 2, syn, foc, true)
          else opt_rx.saw_unknown = 1
          break
        default:
          opt_rx.saw_unknown = 1
      }
      ptr += opsize - 2
      length -= opsize
    }
  },
)

/** two NOPs and a timestamp: what nearly every segment has */
export const tcp_parse_aligned_timestamp = kfunc('tcp_parse_aligned_timestamp', (tp: tcp_sock, th: tcphdr): boolean => {
  const b = th.bytes
  const ptr = th.off + TCPHDR_LEN
  if (get_be32(b, ptr) !== ((TCPOPT_NOP << 24) | (TCPOPT_NOP << 16) | (TCPOPT_TIMESTAMP << 8) | TCPOLEN_TIMESTAMP)) return false
  tp.rx_opt.saw_tstamp = 1
  tp.rx_opt.rcv_tsval = get_be32(b, ptr + 4)
  const tsecr = get_be32(b, ptr + 8)
  tp.rx_opt.rcv_tsecr = tsecr ? (tsecr - tp.tsoffset) >>> 0 : 0
  return true
})

export const tcp_fast_parse_options = kfunc(
  'tcp_fast_parse_options',
  (net: net, skb: sk_buff, th: tcphdr, tp: tcp_sock): boolean => {
    const { doff } = th
    if (doff === TCPHDR_LEN / 4) {
      tp.rx_opt.saw_tstamp = 0
      return false
    }
    if (tp.rx_opt.tstamp_ok && doff === (TCPHDR_LEN + TCPOLEN_TSTAMP_ALIGNED) / 4)
      if (tcp_parse_aligned_timestamp(tp, th)) return true
    tcp_parse_options(net, skb, tp.rx_opt, 1, null)
    if (tp.rx_opt.saw_tstamp && tp.rx_opt.rcv_tsecr) tp.rx_opt.rcv_tsecr = (tp.rx_opt.rcv_tsecr - tp.tsoffset) >>> 0
    return true
  },
)

/**
 * Finds signatures: `md5_hash` and `ao_hash` get their places in the head's bytes, -1 for none.
 * @returns -EINVAL for options that make no sense, -EEXIST for two signatures
 */
export const tcp_do_parse_auth_options = kfunc(
  'tcp_do_parse_auth_options',
  (th: tcphdr, md5_hash: ref<number>, ao_hash: ref<number>): number => {
    const b = th.bytes
    let ptr = th.off + TCPHDR_LEN
    let length = (th.doff << 2) - TCPHDR_LEN
    md5_hash.v = -1
    ao_hash.v = -1
    while (length >= TCPOLEN_MD5SIG) {
      const opcode = b[ptr++] ?? 0
      if (opcode === TCPOPT_EOL) return 0
      if (opcode === TCPOPT_NOP) {
        length--
        continue
      }
      const opsize = b[ptr++] ?? 0
      if (opsize < 2 || opsize > length) return -EINVAL
      if (opcode === TCPOPT_MD5SIG) {
        if (opsize !== TCPOLEN_MD5SIG) return -EINVAL
        if (md5_hash.v >= 0 || ao_hash.v >= 0) return -EEXIST
        md5_hash.v = ptr
      } else if (opcode === TCPOPT_AO) {
        if (opsize <= 4) return -EINVAL
        if (md5_hash.v >= 0 || ao_hash.v >= 0) return -EEXIST
        ao_hash.v = ptr
      }
      ptr += opsize - 2
      length -= opsize
    }
    return 0
  },
)

/** by how much a timestamp may go back: a round trip's worth of the fastest clock */
const tcp_tsval_replay = (sk: sock): number =>
  tcp_sk(sk).tcp_usec_ts ? inet_csk(sk).icsk_rto * (USEC_PER_SEC / HZ) : Math.floor((inet_csk(sk).icsk_rto * 1200) / HZ)

/** an ACK that was overtaken by a later one: it does no harm */
export const tcp_disordered_ack = kfunc('tcp_disordered_ack', (sk: sock, skb: sk_buff): boolean => {
  const tp = tcp_sk(sk)
  const th = tcp_hdr(skb)
  const { seq, end_seq, ack_seq } = TCP_SKB_CB(skb)
  return (
    th.ack !== 0 &&
    seq === end_seq &&
    seq === tp.rcv_nxt &&
    ack_seq === tp.snd_una &&
    !tcp_may_update_window(tp, ack_seq, seq, (th.window << tp.rx_opt.snd_wscale) >>> 0) &&
    ((tp.rx_opt.ts_recent - tp.rx_opt.rcv_tsval) | 0) <= tcp_tsval_replay(sk)
  )
})

export const tcp_paws_discard = kfunc(
  'tcp_paws_discard',
  (sk: sock, skb: sk_buff): boolean => !tcp_paws_check(tcp_sk(sk).rx_opt, TCP_PAWS_WINDOW) && !tcp_disordered_ack(sk, skb),
)

/** whether a segment touches the window at all; SKB_NOT_DROPPED_YET when it does */
export const tcp_sequence = kfunc('tcp_sequence', (tp: tcp_sock, seq: number, end_seq: number): number => {
  if (before(end_seq, tp.rcv_wup)) return SKB_DROP_REASON_TCP_OLD_SEQUENCE
  if (after(seq, (tp.rcv_nxt + tcp_receive_window(tp)) >>> 0)) return SKB_DROP_REASON_TCP_INVALID_SEQUENCE
  return SKB_NOT_DROPPED_YET
})

export const tcp_done_with_error = kfunc('tcp_done_with_error', (sk: sock, err: number): void => {
  sk.sk_err = err
  tcp_write_queue_purge(sk)
  tcp_done(sk)
  if (!sock_flag(sk, SOCK_DEAD)) sk_error_report(sk)
})

export const tcp_reset = kfunc('tcp_reset', (sk: sock, _skb: sk_buff | null): void => {
  if (tracer.on) tracepoint('tcp', 'tcp_receive_reset', tp_tcp_event_sk(sk))
  let err = ECONNRESET
  switch (sk.sk_state) {
    case TCP_SYN_SENT:
      err = ECONNREFUSED
      break
    case TCP_CLOSE_WAIT:
      err = EPIPE
      break
    case TCP_CLOSE:
      return
  }
  tcp_done_with_error(sk, err)
})

/** the peer's last byte has arrived */
export const tcp_fin = kfunc('tcp_fin', (sk: sock): void => {
  const tp = tcp_sk(sk)
  inet_csk_schedule_ack(sk)
  sk.sk_shutdown |= RCV_SHUTDOWN
  sock_set_flag(sk, SOCK_DONE)

  switch (sk.sk_state) {
    case TCP_SYN_RECV:
    case TCP_ESTABLISHED:
      tcp_set_state(sk, TCP_CLOSE_WAIT)
      inet_csk_enter_pingpong_mode(sk)
      break
    case TCP_FIN_WAIT1:
      // both sides closed at once
      tcp_send_ack(sk)
      tcp_set_state(sk, TCP_CLOSING)
      break
    case TCP_FIN_WAIT2:
      tcp_send_ack(sk)
      tcp_time_wait(sk, TCP_TIME_WAIT, 0)
      break
  }

  skb_rbtree_purge(tp.out_of_order_queue)
  if (tcp_is_sack(tp)) tcp_sack_reset(tp.rx_opt)

  if (!sock_flag(sk, SOCK_DEAD)) {
    state_change(sk)
    if (sk.sk_shutdown === SHUTDOWN_MASK || sk.sk_state === TCP_CLOSE) sk_wake_async(sk, SOCK_WAKE_WAITD, POLL_HUP)
    else sk_wake_async(sk, SOCK_WAKE_WAITD, POLL_IN)
  }
})

const tcp_sack_extend = (sp: tcp_sack_block, seq: number, end_seq: number): boolean => {
  if (after(seq, sp.end_seq) || after(sp.start_seq, end_seq)) return false
  if (before(seq, sp.start_seq)) sp.start_seq = seq
  if (after(end_seq, sp.end_seq)) sp.end_seq = end_seq
  return true
}

/** the next ACK will say that this was received twice */
export const tcp_dsack_set = kfunc('tcp_dsack_set', (sk: sock, seq: number, end_seq: number): void => {
  const tp = tcp_sk(sk)
  const net = sock_net(sk)
  if (!tcp_is_sack(tp) || !net.ipv4.sysctl_tcp_dsack) return
  if (before(seq, tp.rcv_nxt)) net.mib.linux.TCPDSACKOldSent++
  else net.mib.linux.TCPDSACKOfoSent++
  tp.rx_opt.dsack = 1
  const d = tp.duplicate_sack[0]
  if (d !== undefined) {
    d.start_seq = seq
    d.end_seq = end_seq
  }
})

export const tcp_dsack_extend = kfunc('tcp_dsack_extend', (sk: sock, seq: number, end_seq: number): void => {
  const tp = tcp_sk(sk)
  const d = tp.duplicate_sack[0]
  if (!tp.rx_opt.dsack || d === undefined) tcp_dsack_set(sk, seq, end_seq)
  else tcp_sack_extend(d, seq, end_seq)
})

/** our ACKs do not seem to get through: with IPv6, try another path */
export const tcp_rcv_spurious_retrans = kfunc('tcp_rcv_spurious_retrans', (sk: sock, skb: sk_buff): void => {
  const tp = tcp_sk(sk)
  if (
    tp.icsk_ca_state !== TCP_CA_Loss &&
    skb.protocol === ETH_P_IPV6 &&
    tp.icsk_ack.lrcv_flowlabel !== (get_be32(skb.head.bytes, skb.network_header) & 0x000fffff) &&
    sk_rethink_txhash(sk)
  )
    sock_net(sk).mib.linux.TcpDuplicateDataRehash++
  tcp_save_lrcv_flowlabel(sk, skb)
})

export const tcp_send_dupack = kfunc('tcp_send_dupack', (sk: sock, skb: sk_buff): void => {
  const tp = tcp_sk(sk)
  const { seq, end_seq } = TCP_SKB_CB(skb)
  const net = sock_net(sk)
  if (end_seq !== seq && before(seq, tp.rcv_nxt)) {
    net.mib.linux.DelayedACKLost++
    tcp_enter_quickack_mode(sk, TCP_MAX_QUICKACKS)
    if (tcp_is_sack(tp) && net.ipv4.sysctl_tcp_dsack) {
      tcp_rcv_spurious_retrans(sk, skb)
      tcp_dsack_set(sk, seq, after(end_seq, tp.rcv_nxt) ? tp.rcv_nxt : end_seq)
    }
  }
  tcp_send_ack(sk)
})

const sack_copy = (to: tcp_sack_block | undefined, from: tcp_sack_block | undefined): void => {
  if (to === undefined || from === undefined) return
  to.start_seq = from.start_seq
  to.end_seq = from.end_seq
}

/** the first SACK block grew: does it reach others? */
export const tcp_sack_maybe_coalesce = kfunc('tcp_sack_maybe_coalesce', (tp: tcp_sock): void => {
  const sp = tp.selective_acks
  const first = sp[0]
  if (first === undefined) return
  for (let this_sack = 1; this_sack < tp.rx_opt.num_sacks; ) {
    const s = sp[this_sack]
    if (s !== undefined && tcp_sack_extend(first, s.start_seq, s.end_seq)) {
      tp.rx_opt.num_sacks--
      for (let i = this_sack; i < tp.rx_opt.num_sacks; i++) sack_copy(sp[i], sp[i + 1])
      continue
    }
    this_sack++
  }
})

const tcp_sack_compress_send_ack_part_0 = kfunc('tcp_sack_compress_send_ack.part.0', (sk: sock): void => {
  const tp = tcp_sk(sk)
  if (hrtimer_try_to_cancel(tp.compressed_ack_timer) === 1) __sock_put(sk)
  // the one that goes out now was not saved
  sock_net(sk).mib.linux.TCPAckCompressed += tp.compressed_ack - 1
  tp.compressed_ack = 0
  tcp_send_ack(sk)
})
export const tcp_sack_compress_send_ack = kfunc('tcp_sack_compress_send_ack', (sk: sock): void => {
  if (tcp_sk(sk).compressed_ack) tcp_sack_compress_send_ack_part_0(sk)
})

/** a segment out of order: its block comes first in the next ACK */
export const tcp_sack_new_ofo_skb = kfunc('tcp_sack_new_ofo_skb', (sk: sock, seq: number, end_seq: number): void => {
  const tp = tcp_sk(sk)
  const sp = tp.selective_acks
  const cur_sacks = tp.rx_opt.num_sacks
  let this_sack = 0
  if (cur_sacks) {
    for (; this_sack < cur_sacks; this_sack++) {
      const s = sp[this_sack]
      if (s === undefined || !tcp_sack_extend(s, seq, end_seq)) continue
      if (this_sack >= TCP_SACK_BLOCKS_EXPECTED) tcp_sack_compress_send_ack(sk)
      sp.splice(this_sack, 1)
      sp.unshift(s)
      if (cur_sacks > 1) tcp_sack_maybe_coalesce(tp)
      return
    }
    if (this_sack >= TCP_SACK_BLOCKS_EXPECTED) tcp_sack_compress_send_ack(sk)
    // the oldest makes room
    if (this_sack >= TCP_NUM_SACKS) {
      this_sack--
      tp.rx_opt.num_sacks--
    }
    for (; this_sack > 0; this_sack--) sack_copy(sp[this_sack], sp[this_sack - 1])
  }
  sack_copy(sp[0], { start_seq: seq, end_seq })
  tp.rx_opt.num_sacks++
})

/** rcv_nxt went on: blocks below it are done */
export const tcp_sack_remove = kfunc('tcp_sack_remove', (tp: tcp_sock): void => {
  const sp = tp.selective_acks
  let { num_sacks } = tp.rx_opt
  if (RB_EMPTY_ROOT(tp.out_of_order_queue)) {
    tp.rx_opt.num_sacks = 0
    return
  }
  for (let this_sack = 0; this_sack < num_sacks; ) {
    if (!before(tp.rcv_nxt, sp[this_sack]?.start_seq ?? 0)) {
      for (let i = this_sack + 1; i < num_sacks; i++) sack_copy(sp[i - 1], sp[i])
      num_sacks--
      continue
    }
    this_sack++
  }
  tp.rx_opt.num_sacks = num_sacks
})

const coalesce_delta = { v: 0 }

/** joins `from` to the buffer before it, when that costs little; true: `from` is to be freed */
export const tcp_try_coalesce = kfunc(
  'tcp_try_coalesce',
  (sk: sock, to: sk_buff, from: sk_buff, fragstolen: ref<boolean>): boolean => {
    const delta = coalesce_delta
    const t = TCP_SKB_CB(to)
    const f = TCP_SKB_CB(from)
    fragstolen.v = false
    if (f.seq !== t.end_seq) return false
    if (!tcp_skb_can_collapse_rx(to, from)) return false
    if (!skb_try_coalesce(to, from, fragstolen, delta)) return false
    const size = delta.v
    sk.sk_rmem_alloc += size
    sk_mem_charge(sk, size)
    sock_net(sk).mib.linux.TCPRcvCoalesce++
    t.end_seq = f.end_seq
    t.ack_seq = f.ack_seq
    t.tcp_flags |= f.tcp_flags
    if (f.has_rxtstamp) {
      t.has_rxtstamp = 1
      to.tstamp = from.tstamp
      skb_shinfo(to).hwtstamps = skb_shinfo(from).hwtstamps
    }
    return true
  },
)

export const tcp_ooo_try_coalesce = kfunc(
  'tcp_ooo_try_coalesce',
  (sk: sock, to: sk_buff, from: sk_buff, fragstolen: ref<boolean>): boolean => {
    const res = tcp_try_coalesce(sk, to, from, fragstolen)
    // should it be dropped later, it counts as so many
    if (res) {
      const s = skb_shinfo(to)
      s.gso_segs = Math.min(Math.max(1, s.gso_segs) + Math.max(1, skb_shinfo(from).gso_segs), 0xffff)
    }
    return res
  },
)

export const tcp_drop_reason = kfunc('tcp_drop_reason', (sk: sock, skb: sk_buff, reason: number): void => {
  sk_drops_add(sk, skb)
  sk_skb_reason_drop(sk, skb, reason)
})

/** a hole was filled: what waited behind it moves to the receive queue */
export const tcp_ofo_queue = kfunc('tcp_ofo_queue', (sk: sock): void => {
  const tp = tcp_sk(sk)
  const dsack_high = tp.rcv_nxt
  const fragstolen = { v: false }
  let p = rb_first(tp.out_of_order_queue)
  while (p !== null) {
    const skb = p.owner
    const cb = TCP_SKB_CB(skb)
    if (after(cb.seq, tp.rcv_nxt)) break
    if (before(cb.seq, dsack_high)) tcp_dsack_extend(sk, cb.seq, before(cb.end_seq, dsack_high) ? cb.end_seq : dsack_high)
    p = rb_next(p)
    rb_erase(skb.rbnode, tp.out_of_order_queue)
    if (!after(cb.end_seq, tp.rcv_nxt)) {
      tcp_drop_reason(sk, skb, SKB_DROP_REASON_TCP_OFO_DROP)
      continue
    }
    const tail = skb_peek_tail(sk.sk_receive_queue)
    const eaten = tail !== null && tcp_try_coalesce(sk, tail, skb, fragstolen)
    tcp_rcv_nxt_update(tp, cb.end_seq)
    const fin = cb.tcp_flags & TCPHDR_FIN
    if (!eaten) tcp_add_receive_queue(sk, skb)
    else kfree_skb_partial(skb, fragstolen.v)
    if (fin) {
      // that emptied the queue
      tcp_fin(sk)
      break
    }
  }
})

/** takes memory for a buffer that goes on the receive queue; -1: there is none */
export const tcp_try_rmem_schedule = kfunc('tcp_try_rmem_schedule', (sk: sock, skb: sk_buff, size: number): number => {
  if (sk.sk_rmem_alloc > sk.sk_rcvbuf || !sk_rmem_schedule(sk, skb, size)) {
    if (tracer.on)
      decide('tcp_try_rmem_schedule', 'receive buffer full', { rmem_alloc: sk.sk_rmem_alloc, rcvbuf: sk.sk_rcvbuf, size })
    if (tcp_prune_queue(sk, skb) < 0) return -1
    while (!sk_rmem_schedule(sk, skb, size)) if (!tcp_prune_ofo_queue(sk, skb)) return -1
  }
  return 0
})

function link_skb(skb: sk_buff, parent: sk_buff | null, left: boolean, root: rb_root<sk_buff>): void {
  rb_link_node(skb.rbnode, parent === null ? null : parent.rbnode, left ? 'left' : 'right', root)
  rb_insert_color(skb.rbnode, root)
}

/** a segment that leaves a hole before it */
export const tcp_data_queue_ofo = kfunc('tcp_data_queue_ofo', (sk: sock, skb: sk_buff): void => {
  const tp = tcp_sk(sk)
  const root = tp.out_of_order_queue
  const { linux } = sock_net(sk).mib
  tcp_save_lrcv_flowlabel(sk, skb)
  tcp_ecn_check_ce(sk, skb)

  if (tcp_try_rmem_schedule(sk, skb, skb.truesize)) {
    linux.TCPOFODrop++
    data_ready(sk)
    tcp_drop_reason(sk, skb, SKB_DROP_REASON_PROTO_MEM)
    return
  }
  tcp_measure_rcv_mss(sk, skb)
  tp.pred_flags = 0
  inet_csk_schedule_ack(sk)
  tp.rcv_ooopack += Math.max(1, skb_shinfo(skb).gso_segs)
  linux.TCPOFOQueue++
  const { seq, end_seq } = TCP_SKB_CB(skb)
  if (tracer.on) decide('tcp_data_queue_ofo', 'out of order: a hole before it', { seq, end_seq, rcv_nxt: tp.rcv_nxt })

  if (ofo_insert(sk, tp, root, skb, seq, end_seq)) {
    if (tcp_is_sack(tp)) tcp_grow_window(sk, skb, false)
    skb_condense(skb)
    skb_set_owner_r(skb, sk)
  }
})

/** finds its place and says so in the SACK blocks; false when the buffer is gone */
function ofo_insert(sk: sock, tp: tcp_sock, root: rb_root<sk_buff>, skb: sk_buff, seq: number, end_seq: number): boolean {
  const { linux } = sock_net(sk).mib
  const last = tp.ooo_last_skb
  const fragstolen = { v: false }
  if (RB_EMPTY_ROOT(root) || last === null) {
    if (tcp_is_sack(tp)) {
      tp.rx_opt.num_sacks = 1
      sack_copy(tp.selective_acks[0], { start_seq: seq, end_seq })
    }
    link_skb(skb, null, true, root)
    tp.ooo_last_skb = skb
    return true
  }

  if (tcp_ooo_try_coalesce(sk, last, skb, fragstolen)) {
    ofo_coalesced(sk, tp, skb, fragstolen.v, seq, end_seq)
    return false
  }
  merge: {
    if (!before(seq, TCP_SKB_CB(last).end_seq)) {
      link_skb(skb, last, false, root)
      break merge
    }
    let parent: sk_buff | null = null
    let left = true
    for (let p = root.rb_node; p !== null; p = left ? p.rb_left : p.rb_right) {
      const skb1 = p.owner
      const cb1 = TCP_SKB_CB(skb1)
      parent = skb1
      left = before(seq, cb1.seq)
      if (left) continue
      if (before(seq, cb1.end_seq)) {
        if (!after(end_seq, cb1.end_seq)) {
          // nothing new in it
          linux.TCPOFOMerge++
          tcp_drop_reason(sk, skb, SKB_DROP_REASON_TCP_OFOMERGE)
          tcp_dsack_set(sk, seq, end_seq)
          if (tcp_is_sack(tp)) tcp_sack_new_ofo_skb(sk, seq, end_seq)
          return false
        }
        if (after(seq, cb1.seq)) tcp_dsack_set(sk, seq, cb1.end_seq)
        else {
          // covers the old one, which goes
          rb_replace_node(skb1.rbnode, skb.rbnode, root)
          tcp_dsack_extend(sk, cb1.seq, cb1.end_seq)
          linux.TCPOFOMerge++
          tcp_drop_reason(sk, skb1, SKB_DROP_REASON_TCP_OFOMERGE)
          break merge
        }
      } else if (tcp_ooo_try_coalesce(sk, skb1, skb, fragstolen)) {
        ofo_coalesced(sk, tp, skb, fragstolen.v, seq, end_seq)
        return false
      }
    }
    link_skb(skb, parent, left, root)
  }

  // those behind it that it covers
  let skb1 = skb_rb_next(skb)
  for (; skb1 !== null; skb1 = skb_rb_next(skb)) {
    const cb1 = TCP_SKB_CB(skb1)
    if (!after(end_seq, cb1.seq)) break
    if (before(end_seq, cb1.end_seq)) {
      tcp_dsack_extend(sk, cb1.seq, end_seq)
      break
    }
    rb_erase(skb1.rbnode, root)
    tcp_dsack_extend(sk, cb1.seq, cb1.end_seq)
    linux.TCPOFOMerge++
    tcp_drop_reason(sk, skb1, SKB_DROP_REASON_TCP_OFOMERGE)
  }
  if (skb1 === null) tp.ooo_last_skb = skb
  if (tcp_is_sack(tp)) tcp_sack_new_ofo_skb(sk, seq, end_seq)
  return true
}

function ofo_coalesced(sk: sock, tp: tcp_sock, skb: sk_buff, fragstolen: boolean, seq: number, end_seq: number): void {
  // without SACK the window must not move, or the ACK would not count as a duplicate
  if (tcp_is_sack(tp)) tcp_grow_window(sk, skb, true)
  kfree_skb_partial(skb, fragstolen)
  if (tcp_is_sack(tp)) tcp_sack_new_ofo_skb(sk, seq, end_seq)
}

/** @returns 1 when the buffer was joined to the last one and is to be freed */
export const tcp_queue_rcv = kfunc('tcp_queue_rcv', (sk: sock, skb: sk_buff, fragstolen: ref<boolean>): number => {
  const tail = skb_peek_tail(sk.sk_receive_queue)
  const eaten = tail !== null && tcp_try_coalesce(sk, tail, skb, fragstolen) ? 1 : 0
  tcp_rcv_nxt_update(tcp_sk(sk), TCP_SKB_CB(skb).end_seq)
  if (!eaten) {
    tcp_add_receive_queue(sk, skb)
    skb_set_owner_r(skb, sk)
  }
  return eaten
})

/** sendmsg() on a socket under repair: fills its own receive queue */
export const tcp_send_rcvq = kfunc('tcp_send_rcvq', (sk: sock, msg: msghdr, size_in: number): number => {
  let size = size_in
  let data_len = 0
  const err = { v: -ENOMEM }
  if (size === 0) return 0
  if (size > PAGE_SIZE) {
    data_len = Math.min(Math.floor(size / PAGE_SIZE), MAX_SKB_FRAGS) * PAGE_SIZE
    size = data_len + (size % PAGE_SIZE)
  }
  const skb = alloc_skb_with_frags(size - data_len, data_len, 3, err, sk.sk_allocation)
  if (skb === null) return err.v
  skb_put(skb, size - data_len)
  skb.data_len = data_len
  skb.len = size
  if (tcp_try_rmem_schedule(sk, skb, skb.truesize)) {
    sock_net(sk).mib.linux.TCPRcvQDrop++
    kfree_skb(skb)
    return err.v
  }
  const copied = skb_copy_datagram_from_iter(skb, 0, msg.msg_iter, size)
  if (copied) {
    kfree_skb(skb)
    return copied
  }
  const tp = tcp_sk(sk)
  const cb = TCP_SKB_CB(skb)
  cb.seq = tp.rcv_nxt
  cb.end_seq = (cb.seq + size) >>> 0
  cb.ack_seq = (tp.snd_una - 1) >>> 0
  if (tcp_queue_rcv(sk, skb, { v: false })) __kfree_skb(skb)
  return size
})

/** wakes the reader when there is as much as it asked for */
export const tcp_data_ready = kfunc('tcp_data_ready', (sk: sock): void => {
  if (tcp_epollin_ready(sk, sk.sk_rcvlowat) || sock_flag(sk, SOCK_DONE)) data_ready(sk)
  else if (tracer.on)
    decide('tcp_data_ready', 'reader not woken', {
      lowat: sk.sk_rcvlowat,
      queued: (tcp_sk(sk).rcv_nxt - tcp_sk(sk).copied_seq) | 0,
    })
})

/** the payload of a segment: in order to the receive queue, out of order aside, else dropped */
export const tcp_data_queue = kfunc('tcp_data_queue', (sk: sock, skb: sk_buff): void => {
  const tp = tcp_sk(sk)
  const cb = TCP_SKB_CB(skb)
  const { linux } = sock_net(sk).mib
  if (cb.seq === cb.end_seq) {
    __kfree_skb(skb)
    return
  }
  tcp_cleanup_skb(skb)
  __skb_pull(skb, tcp_hdrlen(skb))
  tp.rx_opt.dsack = 0

  if (cb.seq === tp.rcv_nxt) {
    // a bare FIN costs nothing
    if (tcp_receive_window(tp) === 0 && !(!skb.len && cb.tcp_flags & TCPHDR_FIN)) {
      linux.TCPZeroWindowDrop++
      out_of_window(sk, skb, SKB_DROP_REASON_TCP_ZEROWINDOW)
      return
    }
    queue_and_out(sk, tp, skb)
    return
  }

  if (!after(cb.end_seq, tp.rcv_nxt)) {
    tcp_rcv_spurious_retrans(sk, skb)
    // a retransmission: the ACK must have got lost
    linux.DelayedACKLost++
    tcp_dsack_set(sk, cb.seq, cb.end_seq)
    out_of_window(sk, skb, SKB_DROP_REASON_TCP_OLD_DATA)
    return
  }
  if (!before(cb.seq, (tp.rcv_nxt + tcp_receive_window(tp)) >>> 0)) {
    out_of_window(sk, skb, SKB_DROP_REASON_TCP_OVERWINDOW)
    return
  }
  if (before(cb.seq, tp.rcv_nxt)) {
    tcp_dsack_set(sk, cb.seq, tp.rcv_nxt)
    if (!tcp_receive_window(tp)) {
      linux.TCPZeroWindowDrop++
      out_of_window(sk, skb, SKB_DROP_REASON_TCP_ZEROWINDOW)
      return
    }
    queue_and_out(sk, tp, skb)
    return
  }
  tcp_data_queue_ofo(sk, skb)
})

function out_of_window(sk: sock, skb: sk_buff, reason: number): void {
  tcp_enter_quickack_mode(sk, TCP_MAX_QUICKACKS)
  inet_csk_schedule_ack(sk)
  tcp_drop_reason(sk, skb, reason)
}

function queue_and_out(sk: sock, tp: tcp_sock, skb: sk_buff): void {
  if (tcp_try_rmem_schedule(sk, skb, skb.truesize)) {
    tp.icsk_ack.pending |= ICSK_ACK_NOMEM | ICSK_ACK_NOW
    inet_csk_schedule_ack(sk)
    data_ready(sk)
    if (skb_queue_len(sk.sk_receive_queue) && skb.len) {
      sock_net(sk).mib.linux.TCPRcvQDrop++
      tcp_drop_reason(sk, skb, SKB_DROP_REASON_PROTO_MEM)
      return
    }
    sk_forced_mem_schedule(sk, skb.truesize)
  }
  const fragstolen = { v: false }
  const eaten = tcp_queue_rcv(sk, skb, fragstolen)
  if (skb.len) tcp_event_data_recv(sk, skb)
  if (TCP_SKB_CB(skb).tcp_flags & TCPHDR_FIN) tcp_fin(sk)

  if (!RB_EMPTY_ROOT(tp.out_of_order_queue)) {
    tcp_ofo_queue(sk)
    // RFC 5681: the sender learns at once that the hole is filled
    if (RB_EMPTY_ROOT(tp.out_of_order_queue)) tp.icsk_ack.pending |= ICSK_ACK_NOW
  }
  if (tp.rx_opt.num_sacks) tcp_sack_remove(tp)
  tcp_fast_path_check(sk)
  if (eaten > 0) kfree_skb_partial(skb, fragstolen.v)
  if (!sock_flag(sk, SOCK_DEAD)) tcp_data_ready(sk)
}

const tcp_skb_next = (skb: sk_buff, list: sk_buff_head | null): sk_buff | null => (list !== null ? skb.next : skb_rb_next(skb))

export const tcp_collapse_one = kfunc(
  'tcp_collapse_one',
  (sk: sock, skb: sk_buff, list: sk_buff_head | null, root: rb_root<sk_buff> | null): sk_buff | null => {
    const next = tcp_skb_next(skb, list)
    if (list !== null) __skb_unlink(skb, list)
    else if (root !== null) rb_erase(skb.rbnode, root)
    __kfree_skb(skb)
    sock_net(sk).mib.linux.TCPRcvCollapsed++
    return next
  },
)

/** puts a buffer where its sequence number belongs */
export const tcp_rbtree_insert = kfunc('tcp_rbtree_insert', (root: rb_root<sk_buff>, skb: sk_buff): void => {
  const { seq } = TCP_SKB_CB(skb)
  let parent: sk_buff | null = null
  let left = true
  for (let p = root.rb_node; p !== null; p = left ? p.rb_left : p.rb_right) {
    parent = p.owner
    left = before(seq, TCP_SKB_CB(parent).seq)
  }
  link_skb(skb, parent, left, root)
})

const is_syn_fin = (skb: sk_buff): boolean => (TCP_SKB_CB(skb).tcp_flags & (TCPHDR_SYN | TCPHDR_FIN)) !== 0

/** copies many small buffers from `head` up to `tail` into few full ones */
export const tcp_collapse = kfunc(
  'tcp_collapse',
  (
    sk: sock,
    list: sk_buff_head | null,
    root: rb_root<sk_buff> | null,
    head: sk_buff | null,
    tail: sk_buff | null,
    start_in: number,
    end: number,
  ): void => {
    let start = start_in
    let skb = head
    let end_of_skbs = true

    // where does it pay?
    while (skb !== null && skb !== tail) {
      const n = tcp_skb_next(skb, list)
      const cb = TCP_SKB_CB(skb)
      if (!skb.unreadable) {
        if (!before(start, cb.end_seq)) {
          skb = tcp_collapse_one(sk, skb, list, root)
          continue
        }
        if (!is_syn_fin(skb) && (tcp_win_from_space(sk, skb.truesize) > skb.len || before(cb.seq, start))) {
          end_of_skbs = false
          break
        }
        if (n !== null && n !== tail && !n.unreadable && tcp_skb_can_collapse_rx(skb, n) && cb.end_seq !== TCP_SKB_CB(n).seq) {
          end_of_skbs = false
          break
        }
      }
      start = cb.end_seq
      skb = n
    }
    if (end_of_skbs || skb === null || is_syn_fin(skb) || skb.unreadable) return

    const tmp = new sk_buff_head()
    collapse: while (before(start, end)) {
      let copy = Math.min(SKB_MAX_ORDER_0, (end - start) | 0)
      const nskb = alloc_skb(copy, GFP_ATOMIC)
      if (nskb === null) break
      const ncb = TCP_SKB_CB(nskb)
      const cb: tcp_skb_cb = TCP_SKB_CB(skb)
      ncb.tcp_flags = cb.tcp_flags
      ncb.sacked = cb.sacked
      ncb.ip_dsfield = cb.ip_dsfield
      ncb.txstamp_ack = cb.txstamp_ack
      ncb.eor = cb.eor
      ncb.has_rxtstamp = cb.has_rxtstamp
      ncb.ack_seq = cb.ack_seq
      nskb.decrypted = skb.decrypted
      ncb.seq = start
      ncb.end_seq = start
      if (list !== null) __skb_queue_before(list, skb, nskb)
      else __skb_queue_tail(tmp, nskb)
      skb_set_owner_r(nskb, sk)

      while (copy > 0) {
        const offset: number = (start - TCP_SKB_CB(skb).seq) | 0
        let size: number = (TCP_SKB_CB(skb).end_seq - start) | 0
        if (size > 0) {
          size = Math.min(copy, size)
          const at = skb_put(nskb, size)
          skb_copy_bits(skb, offset, nskb.head.bytes, at, size)
          ncb.end_seq = (ncb.end_seq + size) >>> 0
          copy -= size
          start = (start + size) >>> 0
        }
        if (!before(start, TCP_SKB_CB(skb).end_seq)) {
          skb = tcp_collapse_one(sk, skb, list, root)
          if (skb === null || skb === tail || !tcp_skb_can_collapse_rx(nskb, skb) || is_syn_fin(skb) || skb.unreadable)
            break collapse
        }
      }
    }
    if (root !== null) for (let n = __skb_dequeue(tmp); n !== null; n = __skb_dequeue(tmp)) tcp_rbtree_insert(root, n)
  },
)

export const tcp_collapse_ofo_queue = kfunc('tcp_collapse_ofo_queue', (sk: sock): void => {
  const tp = tcp_sk(sk)
  const root = tp.out_of_order_queue
  let sum_tiny = 0
  let skb = skb_rb_first(root)
  while (skb !== null) {
    const head: sk_buff = skb
    let start = TCP_SKB_CB(head).seq
    let end = TCP_SKB_CB(head).end_seq
    let range_truesize = head.truesize
    // to the next gap
    for (;;) {
      skb = skb_rb_next(skb)
      if (skb === null || after(TCP_SKB_CB(skb).seq, end) || before(TCP_SKB_CB(skb).end_seq, start)) {
        if (range_truesize !== head.truesize || (end - start) >>> 0 >= SKB_MAX_ORDER_0)
          tcp_collapse(sk, null, root, head, skb, start, end)
        else {
          sum_tiny += range_truesize
          if (sum_tiny > sk.sk_rcvbuf >> 3) return
        }
        break
      }
      range_truesize += skb.truesize
      if (before(TCP_SKB_CB(skb).seq, start)) start = TCP_SKB_CB(skb).seq
      if (after(TCP_SKB_CB(skb).end_seq, end)) end = TCP_SKB_CB(skb).end_seq
    }
  }
  tp.ooo_last_skb = skb_rb_last(root)
})

/** drops what lies furthest ahead, an eighth of the buffer at a time; @returns whether something went */
export const tcp_prune_ofo_queue = kfunc('tcp_prune_ofo_queue', (sk: sock, in_skb: sk_buff): boolean => {
  const tp = tcp_sk(sk)
  const root = tp.out_of_order_queue
  if (RB_EMPTY_ROOT(root)) return false
  let pruned = false
  let goal = sk.sk_rcvbuf >> 3
  let node = tp.ooo_last_skb === null ? null : tp.ooo_last_skb.rbnode
  while (node !== null) {
    const skb: sk_buff = node.owner
    if (after(TCP_SKB_CB(in_skb).seq, TCP_SKB_CB(skb).seq)) break
    pruned = true
    const prev: rb_node<sk_buff> | null = rb_prev(node)
    rb_erase(node, root)
    goal -= skb.truesize
    tcp_drop_reason(sk, skb, SKB_DROP_REASON_TCP_OFO_QUEUE_PRUNE)
    tp.ooo_last_skb = prev === null ? null : prev.owner
    if (prev === null || goal <= 0) {
      if (sk.sk_rmem_alloc <= sk.sk_rcvbuf && !tcp_under_memory_pressure(sk)) break
      goal = sk.sk_rcvbuf >> 3
    }
    node = prev
  }
  if (pruned) {
    sock_net(sk).mib.linux.OfoPruned++
    if (tp.rx_opt.sack_ok) tcp_sack_reset(tp.rx_opt)
  }
  return pruned
})

/** makes room in the receive buffer: by growing it, by copying, by dropping; -1 when nothing helped */
export const tcp_prune_queue = kfunc('tcp_prune_queue', (sk: sock, in_skb: sk_buff): number => {
  const tp = tcp_sk(sk)
  const { linux } = sock_net(sk).mib
  linux.PruneCalled++
  if (sk.sk_rmem_alloc >= sk.sk_rcvbuf) tcp_clamp_window(sk)
  else if (tcp_under_memory_pressure(sk)) tcp_adjust_rcv_ssthresh(sk)
  if (sk.sk_rmem_alloc <= sk.sk_rcvbuf) return 0

  tcp_collapse_ofo_queue(sk)
  if (!skb_queue_empty(sk.sk_receive_queue))
    tcp_collapse(sk, sk.sk_receive_queue, null, skb_peek(sk.sk_receive_queue), null, tp.copied_seq, tp.rcv_nxt)
  if (sk.sk_rmem_alloc <= sk.sk_rcvbuf) return 0

  tcp_prune_ofo_queue(sk, in_skb)
  if (sk.sk_rmem_alloc <= sk.sk_rcvbuf) return 0
  linux.RcvPruned++
  tp.pred_flags = 0
  return -1
})

export const tcp_should_expand_sndbuf = kfunc('tcp_should_expand_sndbuf', (sk: sock): boolean => {
  const tp = tcp_sk(sk)
  if (sk.sk_userlocks & SOCK_SNDBUF_LOCK) return false
  if (tcp_under_memory_pressure(sk)) {
    const unused_mem = sk_unused_reserved_mem(sk)
    if (unused_mem > SOCK_MIN_SNDBUF) sk.sk_sndbuf = unused_mem
    return false
  }
  if (sk_memory_allocated(sk) >= sk_prot_mem_limits(sk, 0)) return false
  return tcp_packets_in_flight(tp) < tcp_snd_cwnd(tp)
})

export const tcp_new_space = kfunc('tcp_new_space', (sk: sock): void => {
  if (tcp_should_expand_sndbuf(sk)) {
    tcp_sndbuf_expand(sk)
    tcp_sk(sk).snd_cwnd_stamp = tcp_jiffies32()
  }
  if (tracer.on) traceIndirect('sk->sk_write_space', nameOf(sk.sk_write_space))
  sk.sk_write_space(sk)
})

/** there may be room to write again */
export const tcp_check_space = kfunc('tcp_check_space', (sk: sock): void => {
  const { sk_socket } = sk
  if (sk_socket === null || !(sk_socket.flags & (1 << SOCK_NOSPACE))) return
  tcp_new_space(sk)
  if (!(sk_socket.flags & (1 << SOCK_NOSPACE))) tcp_chrono_stop(sk, TCP_CHRONO_SNDBUF_LIMITED)
})

export const tcp_data_snd_check = kfunc('tcp_data_snd_check', (sk: sock): void => {
  tcp_push_pending_frames(sk)
  tcp_check_space(sk)
})

/** says why an ACK leaves now or later */
function decide_ack(sk: sock, what: string): void {
  const tp = tcp_sk(sk)
  const { icsk_ack } = tp
  decide('__tcp_ack_snd_check', what, {
    unacked: (tp.rcv_nxt - tp.rcv_wup) >>> 0,
    rcv_mss: icsk_ack.rcv_mss,
    rcv_wnd: tp.rcv_wnd,
    quick: icsk_ack.quick,
    pingpong: icsk_ack.pingpong,
    pending: icsk_ack.pending,
    ato: icsk_ack.ato,
  })
}

/** an ACK is owed: now, or with the next data, or when the timer fires? */
export const __tcp_ack_snd_check = kfunc('__tcp_ack_snd_check', (sk: sock, ofo_possible: number): void => {
  const tp = tcp_sk(sk)
  const { ipv4 } = sock_net(sk)
  const full =
    (tp.rcv_nxt - tp.rcv_wup) >>> 0 > tp.icsk_ack.rcv_mss &&
    // the window moves as well, or the reader waits for more
    (((tp.rcv_nxt - tp.copied_seq) | 0) < sk.sk_rcvlowat || __tcp_select_window(sk) >= tp.rcv_wnd)
  const quick = !full && tcp_in_quickack_mode(sk)
  if (full || quick || tp.icsk_ack.pending & ICSK_ACK_NOW) {
    if (tracer.on)
      decide_ack(sk, full ? 'ACK now: more than a full segment' : quick ? 'ACK now: quick ACK mode' : 'ACK now: demanded')
    // from the backlog of a system call: once, at the end of it
    if (sock_owned_by_user_nocheck(sk) && ipv4.sysctl_tcp_backlog_ack_defer) {
      sk.sk_tsq_flags |= TCPF_ACK_DEFERRED
      return
    }
    tcp_send_ack(sk)
    return
  }

  if (!ofo_possible || RB_EMPTY_ROOT(tp.out_of_order_queue)) {
    if (tracer.on) decide_ack(sk, 'delayed ACK')
    tcp_send_delayed_ack(sk)
    return
  }

  if (!tcp_is_sack(tp) || tp.compressed_ack >= ipv4.sysctl_tcp_comp_sack_nr) {
    tcp_send_ack(sk)
    return
  }
  if (tp.compressed_ack_rcv_nxt !== tp.rcv_nxt) {
    tp.compressed_ack_rcv_nxt = tp.rcv_nxt
    tp.dup_ack_counter = 0
  }
  if (tp.dup_ack_counter < TCP_FASTRETRANS_THRESH) {
    tp.dup_ack_counter++
    if (tracer.on) decide_ack(sk, 'ACK now: hole in the stream')
    tcp_send_ack(sk)
    return
  }
  tp.compressed_ack++
  if (tracer.on) decide_ack(sk, 'duplicate ACK saved up')
  if (hrtimer_is_queued(tp.compressed_ack_timer)) return

  // a twentieth of the round trip
  let rtt = tp.rcv_rtt_est.rtt_us
  if (tp.srtt_us && tp.srtt_us < rtt) rtt = tp.srtt_us
  const delay = Math.min(ipv4.sysctl_tcp_comp_sack_delay_ns, Math.floor((rtt * (NSEC_PER_USEC >> 3)) / 20))
  sock_hold(sk)
  hrtimer_start_range_ns(tp.compressed_ack_timer, delay, ipv4.sysctl_tcp_comp_sack_slack_ns, HRTIMER_MODE_REL_PINNED_SOFT)
})

export const tcp_ack_snd_check = kfunc('tcp_ack_snd_check', (sk: sock): void => {
  // nothing is owed when data left meanwhile
  if (!inet_csk_ack_scheduled(sk)) return
  __tcp_ack_snd_check(sk, 1)
})

/** a segment announces urgent data */
export const tcp_check_urg = kfunc('tcp_check_urg', (sk: sock, th: tcphdr): void => {
  const tp = tcp_sk(sk)
  let ptr = th.urg_ptr
  // RFC 793 and BSD differ by one
  if (ptr && !sock_net(sk).ipv4.sysctl_tcp_stdurg) ptr--
  ptr = (ptr + th.seq) >>> 0
  if (after(tp.copied_seq, ptr)) return
  if (before(ptr, tp.rcv_nxt)) return
  if (tp.urg_data && !after(ptr, tp.urg_seq)) return
  sk_send_sigurg(sk)

  // the urgent byte before was never read: it drops out of the stream
  if (tp.urg_seq === tp.copied_seq && tp.urg_data && !sock_flag(sk, SOCK_URGINLINE) && tp.copied_seq !== tp.rcv_nxt) {
    const skb = skb_peek(sk.sk_receive_queue)
    tp.copied_seq = (tp.copied_seq + 1) >>> 0
    if (skb !== null && !before(tp.copied_seq, TCP_SKB_CB(skb).end_seq)) {
      __skb_unlink(skb, sk.sk_receive_queue)
      __kfree_skb(skb)
    }
  }
  tp.urg_data = TCP_URG_NOTYET
  tp.urg_seq = ptr
  tp.pred_flags = 0
})

export const tcp_urg = kfunc('tcp_urg', (sk: sock, skb: sk_buff, th: tcphdr): void => {
  const tp = tcp_sk(sk)
  if (th.urg) tcp_check_urg(sk, th)
  if (tp.urg_data === TCP_URG_NOTYET) {
    const ptr = (tp.urg_seq - th.seq + th.doff * 4 - th.syn) >>> 0
    if (ptr < skb.len) {
      const tmp = new Uint8Array(1)
      skb_copy_bits(skb, ptr, tmp, 0, 1)
      tp.urg_data = TCP_URG_VALID | (tmp[0] ?? 0)
      if (!sock_flag(sk, SOCK_DEAD)) data_ready(sk)
    }
  }
})

/** some peers send their RST with the sequence number of the FIN */
const tcp_reset_check = (sk: sock, skb: sk_buff): boolean =>
  TCP_SKB_CB(skb).seq === (tcp_sk(sk).rcv_nxt - 1) >>> 0 &&
  ((1 << sk.sk_state) & (TCPF_CLOSE_WAIT | TCPF_LAST_ACK | TCPF_CLOSING)) !== 0

/** PAWS, window, RST, SYN: false when the segment ends here */
export const tcp_validate_incoming = kfunc(
  'tcp_validate_incoming',
  (sk: sock, skb: sk_buff, th: tcphdr, syn_inerr: number): boolean => {
    const tp = tcp_sk(sk)
    const net = sock_net(sk)
    const cb = TCP_SKB_CB(skb)
    let reason = SKB_DROP_REASON_NOT_SPECIFIED

    discard: {
      reset: {
        syn_challenge: {
          if (tcp_fast_parse_options(net, skb, th, tp) && tp.rx_opt.saw_tstamp && tcp_paws_discard(sk, skb)) {
            if (!th.rst) {
              if (th.syn) break syn_challenge
              net.mib.linux.PAWSEstab++
              if (!sk_oow_rate_limited(sk, skb, 'TCPACKSkippedPAWS')) tcp_send_dupack(sk, skb)
              reason = SKB_DROP_REASON_TCP_RFC7323_PAWS
              break discard
            }
          }

          reason = tcp_sequence(tp, cb.seq, cb.end_seq)
          if (reason) {
            if (!th.rst) {
              if (th.syn) break syn_challenge
              if (!sk_oow_rate_limited(sk, skb, 'TCPACKSkippedSeq')) tcp_send_dupack(sk, skb)
            } else if (tcp_reset_check(sk, skb)) break reset
            break discard
          }

          if (th.rst) {
            // RFC 5961: exactly the expected number, or the end of what was SACKed
            if (cb.seq === tp.rcv_nxt || tcp_reset_check(sk, skb)) break reset
            if (tcp_is_sack(tp) && tp.rx_opt.num_sacks > 0) {
              let max_sack = tp.selective_acks[0]?.end_seq ?? 0
              for (let i = 1; i < tp.rx_opt.num_sacks; i++) {
                const end = tp.selective_acks[i]?.end_seq ?? 0
                if (after(end, max_sack)) max_sack = end
              }
              if (cb.seq === max_sack) break reset
            }
            if (tp.syn_fastopen && !tp.data_segs_in && sk.sk_state === TCP_ESTABLISHED) tcp_fastopen_active_disable(sk)
            tcp_send_challenge_ack(sk)
            reason = SKB_DROP_REASON_TCP_RESET
            break discard
          }

          // but for a SYN-ACK of a simultaneous open
          if (
            th.syn &&
            !(
              sk.sk_state === TCP_SYN_RECV &&
              sk.sk_socket !== null &&
              th.ack &&
              (cb.seq + 1) >>> 0 === cb.end_seq &&
              (cb.seq + 1) >>> 0 === tp.rcv_nxt &&
              cb.ack_seq === tp.snd_nxt
            )
          )
            break syn_challenge

          bpf_skops_parse_hdr(sk, skb)
          return true
        }
        if (syn_inerr) net.mib.tcp.InErrs++
        net.mib.linux.TCPSYNChallenge++
        tcp_send_challenge_ack(sk)
        reason = SKB_DROP_REASON_TCP_INVALID_SYN
        break discard
      }
      tcp_reset(sk, skb)
      __kfree_skb(skb)
      return false
    }
    tcp_drop_reason(sk, skb, reason)
    return false
  },
)

/** a segment on an established connection: the short way when it is what was predicted, else every check */
export const tcp_rcv_established = kfunc('tcp_rcv_established', (sk: sock, skb: sk_buff): void => {
  const tp = tcp_sk(sk)
  const cb = TCP_SKB_CB(skb)
  const th = new tcphdr(skb.head.bytes, skb.data)
  const len = skb.len
  let reason = SKB_DROP_REASON_NOT_SPECIFIED
  if (tracer.on) tracepoint('tcp', 'tcp_probe', tcp_event_probe(sk, skb))

  tcp_mstamp_refresh(tp)
  if (sk.sk_rx_dst === null) {
    const { sk_rx_dst_set } = tp.icsk_af_ops
    if (tracer.on) traceIndirect('icsk->icsk_af_ops->sk_rx_dst_set', nameOf(sk_rx_dst_set))
    sk_rx_dst_set(sk, skb)
  }
  tp.rx_opt.saw_tstamp = 0

  discard: {
    csum_error: {
      step5: {
        slow_path: {
          if (
            ((th.flag_word & TCP_HP_BITS) | 0) !== (tp.pred_flags | 0) ||
            cb.seq !== tp.rcv_nxt ||
            !between(cb.ack_seq, tp.snd_una, tp.snd_nxt)
          ) {
            if (tracer.on)
              decide('tcp_rcv_established', 'slow path: not as predicted', {
                flag_word: th.flag_word,
                pred_flags: tp.pred_flags,
                seq: cb.seq,
                rcv_nxt: tp.rcv_nxt,
              })
            break slow_path
          }
          const { tcp_header_len } = tp
          const has_tstamp = tcp_header_len === TCPHDR_LEN + TCPOLEN_TSTAMP_ALIGNED
          if (has_tstamp) {
            if (!tcp_parse_aligned_timestamp(tp, th)) break slow_path
            if (((tp.rx_opt.rcv_tsval - tp.rx_opt.ts_recent) | 0) < 0) break slow_path
          }
          if (tracer.on)
            decide('tcp_rcv_established', 'fast path: as predicted', { len, tcp_header_len, seq: cb.seq, ack_seq: cb.ack_seq })

          if (len <= tcp_header_len) {
            if (len < tcp_header_len) {
              reason = SKB_DROP_REASON_PKT_TOO_SMALL
              sock_net(sk).mib.tcp.InErrs++
              break discard
            }
            if (has_tstamp && tp.rcv_nxt === tp.rcv_wup) tcp_store_ts_recent(tp)
            tcp_ack(sk, skb, 0)
            __kfree_skb(skb)
            tcp_data_snd_check(sk)
            tp.rcv_rtt_last_tsecr = tp.rx_opt.rcv_tsecr
            return
          }

          if (tcp_checksum_complete(skb)) break csum_error
          if (skb.truesize > sk.sk_forward_alloc) break step5
          if (has_tstamp && tp.rcv_nxt === tp.rcv_wup) tcp_store_ts_recent(tp)
          tcp_rcv_rtt_measure_ts(sk, skb)
          sock_net(sk).mib.linux.TCPHPHits++

          tcp_cleanup_skb(skb)
          __skb_pull(skb, tcp_header_len)
          const fragstolen = { v: false }
          const eaten = tcp_queue_rcv(sk, skb, fragstolen)
          tcp_event_data_recv(sk, skb)
          let owed = true
          if (cb.ack_seq !== tp.snd_una) {
            tcp_ack(sk, skb, FLAG_DATA)
            tcp_data_snd_check(sk)
            owed = inet_csk_ack_scheduled(sk)
          } else tcp_update_wl(tp, cb.seq)
          if (owed) __tcp_ack_snd_check(sk, 0)
          if (eaten) kfree_skb_partial(skb, fragstolen.v)
          tcp_data_ready(sk)
          return
        }

        if (len < th.doff << 2 || tcp_checksum_complete(skb)) break csum_error
        if (!th.ack && !th.rst && !th.syn) {
          reason = SKB_DROP_REASON_TCP_FLAGS
          break discard
        }
        if (!tcp_validate_incoming(sk, skb, th, 1)) return
      }

      reason = tcp_ack(sk, skb, FLAG_SLOWPATH | FLAG_UPDATE_TS_RECENT)
      if (reason < 0) {
        reason = -reason
        break discard
      }
      tcp_rcv_rtt_measure_ts(sk, skb)
      tcp_urg(sk, skb, th)
      tcp_data_queue(sk, skb)
      tcp_data_snd_check(sk)
      tcp_ack_snd_check(sk)
      return
    }
    reason = SKB_DROP_REASON_TCP_CSUM
    if (tracer.on) trace_tcp_bad_csum(skb)
    sock_net(sk).mib.tcp.InCsumErrors++
    sock_net(sk).mib.tcp.InErrs++
  }
  tcp_drop_reason(sk, skb, reason)
})

/** the handshake is done: route, cwnd, congestion control and buffers are set up */
export const tcp_init_transfer = kfunc('tcp_init_transfer', (sk: sock, bpf_op: number, skb: sk_buff | null): void => {
  const tp = tcp_sk(sk)
  tcp_mtup_init(sk)
  if (tracer.on) traceIndirect('icsk->icsk_af_ops->rebuild_header', nameOf(tp.icsk_af_ops.rebuild_header))
  if (tracer.on) traceIndirect('icsk->icsk_af_ops->rebuild_header', nameOf(tp.icsk_af_ops.rebuild_header))
  tp.icsk_af_ops.rebuild_header(sk)
  tcp_init_metrics(sk)
  // the SYN had to be repeated more than once
  if (tp.total_retrans > 1 && tp.undo_marker) tcp_snd_cwnd_set(tp, 1)
  else tcp_snd_cwnd_set(tp, tcp_init_cwnd(tp, __sk_dst_get(sk)))
  tp.snd_cwnd_stamp = tcp_jiffies32()
  bpf_skops_established(sk, bpf_op, skb)
  if (!tp.icsk_ca_initialized) tcp_init_congestion_control(sk)
  tcp_init_buffer_space(sk)
})

export const tcp_finish_connect = kfunc('tcp_finish_connect', (sk: sock, skb: sk_buff | null): void => {
  const tp = tcp_sk(sk)
  tcp_set_state(sk, TCP_ESTABLISHED)
  tp.icsk_ack.lrcvtime = tcp_jiffies32()
  if (skb !== null) {
    if (tracer.on) traceIndirect('icsk->icsk_af_ops->sk_rx_dst_set', nameOf(tp.icsk_af_ops.sk_rx_dst_set))
    tp.icsk_af_ops.sk_rx_dst_set(sk, skb)
    security_inet_conn_established(sk, skb)
  }
  tcp_init_transfer(sk, BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, skb)
  tp.lsndtime = tcp_jiffies32()
  if (sock_flag(sk, SOCK_KEEPOPEN)) inet_csk_reset_keepalive_timer(sk, keepalive_time_when(tp))
  if (!tp.rx_opt.snd_wscale) __tcp_fast_path_on(tp, tp.snd_wnd)
  else tp.pred_flags = 0
})

/** Fast Open: did the SYN's data arrive? true when it has to be sent again */
export const tcp_rcv_fastopen_synack = kfunc(
  'tcp_rcv_fastopen_synack',
  (sk: sock, synack: sk_buff, cookie: tcp_fastopen_cookie): boolean => {
    const tp = tcp_sk(sk)
    const data = tp.syn_data ? tcp_rtx_queue_head(sk) : null
    let mss = tp.rx_opt.mss_clamp
    let try_exp = 0
    let syn_drop = false
    if (mss === tp.rx_opt.user_mss) {
      const opt = new tcp_options_received()
      tcp_parse_options(sock_net(sk), synack, opt, 0, null)
      mss = opt.mss_clamp
    }
    if (!tp.syn_fastopen) cookie.len = -1
    else if (tp.total_retrans) syn_drop = cookie.len < 0 && data !== null
    else if (cookie.len < 0 && !tp.syn_data) try_exp = tp.syn_fastopen_exp ? 2 : 1
    tcp_fastopen_cache_set(sk, mss, cookie, syn_drop, try_exp)

    const { linux } = sock_net(sk).mib
    if (data !== null) {
      tp.fastopen_client_fail = tp.total_retrans ? TFO_SYN_RETRANSMITTED : TFO_DATA_NOT_ACKED
      for (let skb: sk_buff | null = data; skb !== null; skb = skb_rb_next(skb)) tcp_mark_skb_lost(sk, skb)
      tcp_non_congestion_loss_retransmit(sk)
      linux.TCPFastOpenActiveFail++
      return true
    }
    tp.syn_data_acked = tp.syn_data
    if (tp.syn_data_acked) {
      linux.TCPFastOpenActive++
      // SYN and data were two packets in the queue
      if (tp.delivered > 1) tp.delivered--
    }
    tcp_fastopen_add_skb(sk, synack)
    return false
  },
)

/** the SYN was sent twice, and the peer answers the first */
export const tcp_try_undo_spurious_syn = kfunc('tcp_try_undo_spurious_syn', (sk: sock): void => {
  const tp = tcp_sk(sk)
  const syn_stamp = tp.retrans_stamp
  if (tp.undo_marker && syn_stamp && tp.rx_opt.saw_tstamp && syn_stamp === tp.rx_opt.rcv_tsecr) tp.undo_marker = 0
})

/** include/linux/tcp.h */
export const tcp_clear_options = (rx_opt: tcp_options_received): void => {
  rx_opt.tstamp_ok = 0
  rx_opt.sack_ok = 0
  rx_opt.wscale_ok = 0
  rx_opt.snd_wscale = 0
  rx_opt.smc_ok = 0
}

/** the answer to our SYN. @returns -1: go on with what else is in it; 0: done; a drop reason: answer with a RST */
export const tcp_rcv_synsent_state_process = kfunc(
  'tcp_rcv_synsent_state_process',
  (sk: sock, skb: sk_buff, th: tcphdr): number => {
    const tp = tcp_sk(sk)
    const cb = TCP_SKB_CB(skb)
    const net = sock_net(sk)
    const foc = new tcp_fastopen_cookie()
    foc.len = -1
    const saved_clamp = tp.rx_opt.mss_clamp
    let reason = SKB_DROP_REASON_NOT_SPECIFIED

    tcp_parse_options(net, skb, tp.rx_opt, 0, foc)
    if (tp.rx_opt.saw_tstamp && tp.rx_opt.rcv_tsecr) tp.rx_opt.rcv_tsecr = (tp.rx_opt.rcv_tsecr - tp.tsoffset) >>> 0

    discard_and_undo: {
      reset_and_undo: {
        if (th.ack) {
          if (!after(cb.ack_seq, tp.snd_una) || after(cb.ack_seq, tp.snd_nxt)) {
            // an old connection of the peer: try again soon
            if (tp.icsk_retransmits === 0) inet_csk_reset_xmit_timer(sk, ICSK_TIME_RETRANS, TCP_TIMEOUT_MIN, TCP_RTO_MAX)
            reason = SKB_DROP_REASON_TCP_INVALID_ACK_SEQUENCE
            break reset_and_undo
          }
          if (
            tp.rx_opt.saw_tstamp &&
            tp.rx_opt.rcv_tsecr &&
            !between(tp.rx_opt.rcv_tsecr, tp.retrans_stamp, tcp_time_stamp_ts(tp))
          ) {
            net.mib.linux.PAWSActive++
            reason = SKB_DROP_REASON_TCP_RFC7323_PAWS
            break reset_and_undo
          }
          if (th.rst) {
            tcp_reset(sk, skb)
            __kfree_skb(skb)
            return 0
          }
          if (!th.syn) {
            reason = SKB_DROP_REASON_TCP_FLAGS
            break discard_and_undo
          }

          tcp_ecn_rcv_synack(tp, th)
          tcp_init_wl(tp, cb.seq)
          tcp_try_undo_spurious_syn(sk)
          tcp_ack(sk, skb, FLAG_SLOWPATH)

          tp.rcv_nxt = (cb.seq + 1) >>> 0
          tp.rcv_wup = tp.rcv_nxt
          // never scaled in a SYN
          tp.snd_wnd = th.window
          if (!tp.rx_opt.wscale_ok) {
            tp.rx_opt.snd_wscale = 0
            tp.rx_opt.rcv_wscale = 0
            tp.window_clamp = Math.min(tp.window_clamp, 65535)
          }
          if (tp.rx_opt.saw_tstamp) {
            tp.rx_opt.tstamp_ok = 1
            tp.tcp_header_len = TCPHDR_LEN + TCPOLEN_TSTAMP_ALIGNED
            tp.advmss -= TCPOLEN_TSTAMP_ALIGNED
            tcp_store_ts_recent(tp)
          } else tp.tcp_header_len = TCPHDR_LEN

          tcp_sync_mss(sk, tp.icsk_pmtu_cookie)
          tcp_initialize_rcv_mss(sk)
          tp.copied_seq = tp.rcv_nxt
          tcp_finish_connect(sk, skb)
          const fastopen_fail = (tp.syn_fastopen !== 0 || tp.syn_data !== 0) && tcp_rcv_fastopen_synack(sk, skb, foc)

          if (!sock_flag(sk, SOCK_DEAD)) {
            state_change(sk)
            sk_wake_async(sk, SOCK_WAKE_IO, POLL_OUT)
          }
          if (fastopen_fail) return -1
          if (sk.sk_write_pending || tp.icsk_accept_queue.rskq_defer_accept || inet_csk_in_pingpong_mode(sk)) {
            // data is about to follow and can carry the ACK
            inet_csk_schedule_ack(sk)
            tcp_enter_quickack_mode(sk, TCP_MAX_QUICKACKS)
            inet_csk_reset_xmit_timer(sk, ICSK_TIME_DACK, TCP_DELACK_MAX, TCP_RTO_MAX)
            __kfree_skb(skb)
            return 0
          }
          tcp_send_ack(sk)
          return -1
        }

        if (th.rst) {
          reason = SKB_DROP_REASON_TCP_RESET
          break discard_and_undo
        }
        if (tp.rx_opt.ts_recent_stamp && tp.rx_opt.saw_tstamp && tcp_paws_reject(tp.rx_opt, 0)) {
          reason = SKB_DROP_REASON_TCP_RFC7323_PAWS
          break discard_and_undo
        }
        if (th.syn) {
          // both sides connect at once, or the socket to itself
          tcp_set_state(sk, TCP_SYN_RECV)
          if (tp.rx_opt.saw_tstamp) {
            tp.rx_opt.tstamp_ok = 1
            tcp_store_ts_recent(tp)
            tp.tcp_header_len = TCPHDR_LEN + TCPOLEN_TSTAMP_ALIGNED
          } else tp.tcp_header_len = TCPHDR_LEN
          tp.rcv_nxt = (cb.seq + 1) >>> 0
          tp.copied_seq = tp.rcv_nxt
          tp.rcv_wup = tp.rcv_nxt
          tp.snd_wnd = th.window
          tp.snd_wl1 = cb.seq
          tp.max_window = tp.snd_wnd
          tcp_ecn_rcv_syn(tp, th)
          tcp_mtup_init(sk)
          tcp_sync_mss(sk, tp.icsk_pmtu_cookie)
          tcp_initialize_rcv_mss(sk)
          tcp_send_synack(sk)
          __kfree_skb(skb)
          return 0
        }
        break discard_and_undo
      }
      tcp_clear_options(tp.rx_opt)
      tp.rx_opt.mss_clamp = saved_clamp
      return reason
    }
    tcp_clear_options(tp.rx_opt)
    tp.rx_opt.mss_clamp = saved_clamp
    tcp_drop_reason(sk, skb, reason)
    return 0
  },
)

export const tcp_rcv_synrecv_state_fastopen = kfunc('tcp_rcv_synrecv_state_fastopen', (sk: sock): void => {
  const tp = tcp_sk(sk)
  if (tp.icsk_ca_state === TCP_CA_Loss && !tp.packets_out) tcp_try_undo_recovery(sk)
  tcp_update_rto_time(tp)
  tp.icsk_retransmits = 0
  tcp_retrans_stamp_cleanup(sk)
  const req = tp.fastopen_rsk
  if (req !== null) reqsk_fastopen_remove(sk, req, false)
  tcp_rearm_rto(sk)
})

/** a segment in any state but ESTABLISHED and TIME_WAIT. @returns a drop reason when a RST is to be sent, else 0 */
export const tcp_rcv_state_process = kfunc('tcp_rcv_state_process', (sk: sock, skb: sk_buff): number => {
  const tp = tcp_sk(sk)
  const cb = TCP_SKB_CB(skb)
  const net = sock_net(sk)
  const th = tcp_hdr(skb)
  let reason = SKB_DROP_REASON_NOT_SPECIFIED

  discard: {
    consume: {
      switch (sk.sk_state) {
        case TCP_CLOSE:
          reason = SKB_DROP_REASON_TCP_CLOSE
          break discard

        case TCP_LISTEN:
          if (th.ack) return SKB_DROP_REASON_TCP_FLAGS
          if (th.rst) {
            reason = SKB_DROP_REASON_TCP_RESET
            break discard
          }
          if (th.syn) {
            if (th.fin) {
              reason = SKB_DROP_REASON_TCP_FLAGS
              break discard
            }
            rcu_read_lock()
            local_bh_disable()
            if (tracer.on) traceIndirect('icsk->icsk_af_ops->conn_request', nameOf(tp.icsk_af_ops.conn_request))
            tp.icsk_af_ops.conn_request(sk, skb)
            local_bh_enable()
            rcu_read_unlock()
            consume_skb(skb)
            return 0
          }
          reason = SKB_DROP_REASON_TCP_FLAGS
          break discard

        case TCP_SYN_SENT: {
          tp.rx_opt.saw_tstamp = 0
          tcp_mstamp_refresh(tp)
          const queued = tcp_rcv_synsent_state_process(sk, skb, th)
          if (queued >= 0) return queued
          tcp_urg(sk, skb, th)
          __kfree_skb(skb)
          tcp_data_snd_check(sk)
          return 0
        }
      }

      tcp_mstamp_refresh(tp)
      tp.rx_opt.saw_tstamp = 0
      const req = tp.fastopen_rsk
      if (req !== null) {
        if (!tcp_check_req(sk, skb, req, true, { v: false })) {
          reason = SKB_DROP_REASON_TCP_FASTOPEN
          break discard
        }
      }
      if (!th.ack && !th.rst && !th.syn) {
        reason = SKB_DROP_REASON_TCP_FLAGS
        break discard
      }
      if (!tcp_validate_incoming(sk, skb, th, 0)) return 0

      reason = tcp_ack(sk, skb, FLAG_SLOWPATH | FLAG_UPDATE_TS_RECENT | FLAG_NO_CHALLENGE_ACK)
      if (reason <= 0) {
        if (sk.sk_state === TCP_SYN_RECV) return reason ? -reason : SKB_DROP_REASON_TCP_OLD_ACK
        // an old one may still carry a FIN
        if (reason < 0) {
          tcp_send_challenge_ack(sk)
          reason = -reason
          break discard
        }
      }
      reason = SKB_DROP_REASON_NOT_SPECIFIED

      switch (sk.sk_state) {
        case TCP_SYN_RECV:
          tp.delivered = (tp.delivered + 1) >>> 0
          if (!tp.srtt_us) tcp_synack_rtt_meas(sk, req)
          if (tp.rx_opt.tstamp_ok) tp.advmss -= TCPOLEN_TSTAMP_ALIGNED
          if (req !== null) tcp_rcv_synrecv_state_fastopen(sk)
          else {
            tcp_try_undo_spurious_syn(sk)
            tp.retrans_stamp = 0
            tcp_init_transfer(sk, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, skb)
            tp.copied_seq = tp.rcv_nxt
          }
          tcp_set_state(sk, TCP_ESTABLISHED)
          state_change(sk)
          // only a crossed SYN finds somebody who waits
          if (sk.sk_socket !== null) sk_wake_async(sk, SOCK_WAKE_IO, POLL_OUT)
          tp.snd_una = cb.ack_seq
          tp.snd_wnd = (th.window << tp.rx_opt.snd_wscale) >>> 0
          tcp_init_wl(tp, cb.seq)
          if (!tp.icsk_ca_ops.cong_control) tcp_update_pacing_rate(sk)
          tp.lsndtime = tcp_jiffies32()
          tcp_initialize_rcv_mss(sk)
          tcp_fast_path_on(tp)
          if (sk.sk_shutdown & SEND_SHUTDOWN) tcp_shutdown(sk, SEND_SHUTDOWN)
          break

        case TCP_FIN_WAIT1: {
          if (req !== null) tcp_rcv_synrecv_state_fastopen(sk)
          if (tp.snd_una !== tp.write_seq) break
          tcp_set_state(sk, TCP_FIN_WAIT2)
          sk.sk_shutdown |= SEND_SHUTDOWN
          sk_dst_confirm(sk)
          if (!sock_flag(sk, SOCK_DEAD)) {
            // a close() that lingers
            state_change(sk)
            break
          }
          if (tp.linger2 < 0) {
            tcp_done(sk)
            net.mib.linux.TCPAbortOnData++
            return SKB_DROP_REASON_TCP_ABORT_ON_DATA
          }
          if (cb.end_seq !== cb.seq && after((cb.end_seq - th.fin) >>> 0, tp.rcv_nxt)) {
            if (tp.syn_fastopen && th.fin) tcp_fastopen_active_disable(sk)
            tcp_done(sk)
            net.mib.linux.TCPAbortOnData++
            return SKB_DROP_REASON_TCP_ABORT_ON_DATA
          }
          const tmo = tcp_fin_time(sk)
          if (tmo > TCP_TIMEWAIT_LEN) inet_csk_reset_keepalive_timer(sk, tmo - TCP_TIMEWAIT_LEN)
          else if (th.fin || sock_owned_by_user(sk)) inet_csk_reset_keepalive_timer(sk, tmo)
          else {
            tcp_time_wait(sk, TCP_FIN_WAIT2, tmo)
            break consume
          }
          break
        }

        case TCP_CLOSING:
          if (tp.snd_una === tp.write_seq) {
            tcp_time_wait(sk, TCP_TIME_WAIT, 0)
            break consume
          }
          break

        case TCP_LAST_ACK:
          if (tp.snd_una === tp.write_seq) {
            tcp_update_metrics(sk)
            tcp_done(sk)
            break consume
          }
          break
      }

      tcp_urg(sk, skb, th)

      let queued = false
      const state = sk.sk_state
      const closing = state === TCP_CLOSE_WAIT || state === TCP_CLOSING || state === TCP_LAST_ACK
      if (!(closing && !before(cb.seq, tp.rcv_nxt))) {
        if (closing || state === TCP_FIN_WAIT1 || state === TCP_FIN_WAIT2) {
          // nobody will read it any more
          if (sk.sk_shutdown & RCV_SHUTDOWN && cb.end_seq !== cb.seq && after((cb.end_seq - th.fin) >>> 0, tp.rcv_nxt)) {
            net.mib.linux.TCPAbortOnData++
            tcp_reset(sk, skb)
            return SKB_DROP_REASON_TCP_ABORT_ON_DATA
          }
        }
        if (closing || state === TCP_FIN_WAIT1 || state === TCP_FIN_WAIT2 || state === TCP_ESTABLISHED) {
          tcp_data_queue(sk, skb)
          queued = true
        }
      }
      // that may have moved it to TIME_WAIT
      if ((sk.sk_state as number) !== TCP_CLOSE) {
        tcp_data_snd_check(sk)
        tcp_ack_snd_check(sk)
      }
      if (!queued) break discard
      return 0
    }
    __kfree_skb(skb)
    return 0
  }
  tcp_drop_reason(sk, skb, reason)
  return 0
})

/** RFC 3168: does the SYN ask for ECN, and may it have it? */
export const tcp_ecn_create_request = kfunc(
  'tcp_ecn_create_request',
  (req: request_sock, skb: sk_buff, listen_sk: sock, dst: dst_entry): void => {
    const th = tcp_hdr(skb)
    if (!(th.ece && th.cwr)) return
    const ect = !INET_ECN_is_not_ect(TCP_SKB_CB(skb).ip_dsfield)
    const ecn_ok_dst = dst_feature(dst, DST_FEATURE_ECN_MASK)
    const ecn_ok = sock_net(listen_sk).ipv4.sysctl_tcp_ecn !== 0 || ecn_ok_dst !== 0
    if (
      ((!ect || th.res1) && ecn_ok) ||
      tcp_ca_needs_ecn(listen_sk) ||
      (ecn_ok_dst & DST_FEATURE_ECN_CA) !== 0 ||
      tcp_bpf_ca_needs_ecn(req_to_sk(req))
    )
      inet_rsk(req).ecn_ok = 1
  },
)

export const tcp_openreq_init = kfunc(
  'tcp_openreq_init',
  (req: request_sock, rx_opt: tcp_options_received, skb: sk_buff, sk: sock): void => {
    const ireq = tcp_rsk(req)
    const { seq } = TCP_SKB_CB(skb)
    const th = tcp_hdr(skb)
    req.rsk_rcv_wnd = 0
    ireq.rcv_isn = seq
    ireq.rcv_nxt = (seq + 1) >>> 0
    ireq.snt_synack = 0
    ireq.last_oow_ack_time = 0
    req.mss = rx_opt.mss_clamp
    req.ts_recent = rx_opt.saw_tstamp ? rx_opt.rcv_tsval : 0
    ireq.tstamp_ok = rx_opt.tstamp_ok
    ireq.sack_ok = rx_opt.sack_ok
    ireq.snd_wscale = rx_opt.snd_wscale
    ireq.wscale_ok = rx_opt.wscale_ok
    ireq.acked = 0
    ireq.ecn_ok = 0
    ireq.ir_rmt_port = th.source
    ireq.ir_num = th.dest
    ireq.ir_mark = inet_request_mark(sk, skb)
    ireq.smc_ok = 0
  },
)

/** the queue of half-open connections is full: whether a cookie is to be sent */
export const tcp_syn_flood_action = kfunc('tcp_syn_flood_action', (sk: sock, _proto: string): boolean => {
  const queue = inet_csk(sk).icsk_accept_queue
  const net = sock_net(sk)
  const syncookies = net.ipv4.sysctl_tcp_syncookies
  const want_cookie = syncookies !== 0
  if (want_cookie) net.mib.linux.TCPReqQFullDoCookies++
  else net.mib.linux.TCPReqQFullDrop++
  if (!queue.synflood_warned && syncookies !== 2) queue.synflood_warned = 1
  if (tracer.on)
    decide('tcp_syn_flood_action', want_cookie ? 'queue full: SYN cookie' : 'queue full: SYN dropped', {
      qlen: queue.qlen,
      backlog: sk.sk_max_ack_backlog,
    })
  return want_cookie
})

/** keeps the headers of the SYN, for getsockopt(TCP_SAVED_SYN) */
export const tcp_reqsk_record_syn = kfunc('tcp_reqsk_record_syn', (sk: sock, req: request_sock, skb: sk_buff): void => {
  const { save_syn } = tcp_sk(sk)
  if (!save_syn) return
  const network_hdrlen = skb_network_header_len(skb)
  const tcp_hdr_len = tcp_hdrlen(skb)
  const mac_hdrlen = save_syn === 2 ? skb_mac_header_len(skb) : 0
  const base = save_syn === 2 ? skb.mac_header : skb.network_header
  const len = mac_hdrlen + network_hdrlen + tcp_hdr_len
  // struct saved_syn has three lengths before the bytes
  __kmalloc_noprof(12 + len, GFP_ATOMIC)
  req.saved_syn = skb.head.bytes.slice(base, base + len)
})

/** the MSS to put into a SYN cookie; 0 for no cookie */
export const tcp_get_syncookie_mss = kfunc(
  'tcp_get_syncookie_mss',
  (rsk_ops: request_sock_ops, af_ops: tcp_request_sock_ops, sk: sock, th: tcphdr): number => {
    const net = sock_net(sk)
    if (net.ipv4.sysctl_tcp_syncookies !== 2 && !inet_csk_reqsk_queue_is_full(sk)) return 0
    if (!tcp_syn_flood_action(sk, rsk_ops.slab_name)) return 0
    if (sk_acceptq_is_full(sk)) {
      net.mib.linux.ListenOverflows++
      return 0
    }
    return tcp_parse_mss_option(th, tcp_sk(sk).rx_opt.user_mss) || af_ops.mss_clamp
  },
)

/** a SYN for a listener: makes a request of it and answers */
export const tcp_conn_request = kfunc(
  'tcp_conn_request',
  (rsk_ops: request_sock_ops, af_ops: tcp_request_sock_ops, sk: sock, skb: sk_buff): number => {
    const tp = tcp_sk(sk)
    const net = sock_net(sk)
    const foc = new tcp_fastopen_cookie()
    foc.len = -1
    // not 0: the SYN reuses a connection in TIME_WAIT
    let isn = TCP_SKB_CB(skb).tcp_tw_isn
    let want_cookie = false
    const syncookies = net.ipv4.sysctl_tcp_syncookies

    drop: {
      if (!isn && (syncookies === 2 || inet_csk_reqsk_queue_is_full(sk))) {
        want_cookie = tcp_syn_flood_action(sk, rsk_ops.slab_name)
        if (!want_cookie) break drop
      }
      if (sk_acceptq_is_full(sk)) {
        net.mib.linux.ListenOverflows++
        if (tracer.on)
          decide('tcp_conn_request', 'accept queue full: SYN dropped', { backlog: sk.sk_ack_backlog, max: sk.sk_max_ack_backlog })
        break drop
      }
      const req = inet_reqsk_alloc(rsk_ops, sk, !want_cookie)
      if (req === null) break drop

      const treq = tcp_rsk(req)
      req.syncookie = want_cookie ? 1 : 0
      treq.af_specific = af_ops
      treq.ts_off = 0
      treq.req_usec_ts = 0
      treq.is_mptcp = false

      const tmp_opt = new tcp_options_received()
      tmp_opt.mss_clamp = af_ops.mss_clamp
      tmp_opt.user_mss = tp.rx_opt.user_mss
      tcp_parse_options(net, skb, tmp_opt, 0, want_cookie ? null : foc)
      if (want_cookie && !tmp_opt.saw_tstamp) tcp_clear_options(tmp_opt)
      tmp_opt.tstamp_ok = tmp_opt.saw_tstamp
      tcp_openreq_init(req, tmp_opt, skb, sk)
      inet_rsk(req).no_srccheck = inet_test_bit(INET_FLAGS_TRANSPARENT, sk) ? 1 : 0
      inet_rsk(req).ir_iif = inet_request_bound_dev_if(sk, skb)

      const fl = new flowi4()
      if (tracer.on) traceIndirect('af_ops->route_req', nameOf(af_ops.route_req))
      const dst = af_ops.route_req(sk, skb, fl, req, isn)
      if (dst === null) {
        __reqsk_free(req)
        break drop
      }

      let st: tcp_seq_and_ts_off = { seq: 0, ts_off: 0 }
      if (tmp_opt.tstamp_ok || (!want_cookie && !isn)) {
        if (tracer.on) traceIndirect('af_ops->init_seq_and_ts_off', nameOf(af_ops.init_seq_and_ts_off))
        st = af_ops.init_seq_and_ts_off(net, skb)
      }
      if (tmp_opt.tstamp_ok) {
        treq.req_usec_ts = dst_tcp_usec_ts(dst) ? 1 : 0
        treq.ts_off = st.ts_off
      }
      if (!want_cookie && !isn) {
        const max_syn_backlog = net.ipv4.sysctl_max_syn_backlog
        // without cookies, the last quarter is for peers that are known
        if (
          !syncookies &&
          max_syn_backlog - inet_csk_reqsk_queue_len(sk) < max_syn_backlog >> 2 &&
          !tcp_peer_is_proven(req, dst)
        ) {
          dst_release(dst)
          __reqsk_free(req)
          break drop
        }
        isn = st.seq
      }

      tcp_ecn_create_request(req, skb, sk, dst)
      if (want_cookie) {
        const mss = { v: req.mss }
        isn = cookie_init_sequence(af_ops, sk, skb, mss)
        req.mss = mss.v
        if (!tmp_opt.tstamp_ok) inet_rsk(req).ecn_ok = 0
      }
      treq.snt_isn = isn
      treq.txhash = net_tx_rndhash()
      treq.syn_tos = TCP_SKB_CB(skb).ip_dsfield
      tcp_openreq_init_rwin(req, sk, dst)
      sk_rx_queue_set(req_to_sk(req), skb)

      let fastopen_sk: sock | null = null
      if (!want_cookie) {
        tcp_reqsk_record_syn(sk, req, skb)
        fastopen_sk = tcp_try_fastopen(sk, skb, req, foc, dst)
      }
      if (fastopen_sk !== null) {
        if (tracer.on) traceIndirect('af_ops->send_synack', nameOf(af_ops.send_synack))
        af_ops.send_synack(fastopen_sk, dst, fl, req, foc, TCP_SYNACK_FASTOPEN, skb)
        if (!inet_csk_reqsk_queue_add(sk, req, fastopen_sk)) {
          bh_unlock_sock(fastopen_sk)
          sock_put(fastopen_sk)
          reqsk_put(req)
          break drop
        }
        data_ready(sk)
        bh_unlock_sock(fastopen_sk)
        sock_put(fastopen_sk)
      } else {
        treq.tfo_listener = false
        if (!want_cookie) {
          req.timeout = tcp_timeout_init(req_to_sk(req))
          if (!inet_csk_reqsk_queue_hash_add(sk, req, req.timeout)) {
            reqsk_free(req)
            dst_release(dst)
            return 0
          }
        }
        if (tracer.on) traceIndirect('af_ops->send_synack', nameOf(af_ops.send_synack))
        af_ops.send_synack(sk, dst, fl, req, foc, want_cookie ? TCP_SYNACK_COOKIE : TCP_SYNACK_NORMAL, skb)
        if (want_cookie) {
          reqsk_free(req)
          return 0
        }
      }
      reqsk_put(req)
      return 0
    }
    tcp_listendrop(sk)
    return 0
  },
)

function tcp_event_probe(sk: sock, skb: sk_buff): Record<string, unknown> {
  const tp = tcp_sk(sk)
  return {
    ...tp_sock_ends(sk),
    sport: tp.inet_sport,
    dport: tp.inet_dport,
    family: sk.sk_family,
    mark: skb.mark,
    data_len: Math.max(0, skb.len - tcp_hdrlen(skb)),
    snd_nxt: tp.snd_nxt,
    snd_una: tp.snd_una,
    snd_cwnd: tcp_snd_cwnd(tp),
    ssthresh: tcp_current_ssthresh_untraced(tp),
    snd_wnd: tp.snd_wnd,
    srtt: tp.srtt_us >>> 3,
    rcv_wnd: tp.rcv_wnd,
    sock_cookie: sk.skc_cookie,
    skbaddr: skb.kaddr,
    skaddr: sk.kaddr,
  }
}

/** tcp_current_ssthresh() without a call in the trace: a tracepoint must not add one */
const tcp_current_ssthresh_untraced = (tp: tcp_sock): number =>
  tcp_in_cwnd_reduction(tp) ? tp.snd_ssthresh : Math.max(tp.snd_ssthresh, (tp.snd_cwnd >>> 1) + (tp.snd_cwnd >>> 2))
