import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceCounters, traceIndirect, tracepoint, tracer } from '../../../trace/tracer.ts'
import {
  CA_EVENT_CWND_RESTART,
  CA_EVENT_TX_START,
  GSO_LEGACY_MAX_SIZE,
  HRTIMER_NORESTART,
  HZ,
  ICSK_ACK_NOMEM,
  ICSK_ACK_PUSHED,
  ICSK_ACK_SCHED,
  ICSK_ACK_TIMER,
  ICSK_TIME_DACK,
  ICSK_TIME_LOSS_PROBE,
  ICSK_TIME_PROBE0,
  ICSK_TIME_REO_TIMEOUT,
  ICSK_TIME_RETRANS,
  MAX_SKB_FRAGS,
  MAX_TCP_HEADER,
  MAX_TCP_OPTION_SPACE,
  MAX_TCP_WINDOW,
  NET_XMIT_CN,
  PAGE_SHIFT,
  PAGE_SIZE,
  PKT_HASH_TYPE_L4,
  SK_PACING_NONE,
  SKB_CLOCK_MONOTONIC,
  SKB_GSO_TCP_ECN,
  SKBFL_SHARED_FRAG,
  SOCK_DONE,
  SOCK_NOSPACE,
  SOCK_RCVBUF_LOCK,
  SOCK_TXREHASH_ENABLED,
  TCP_ATO_MIN,
  TCP_CA_CWR,
  TCP_CA_Loss,
  TCP_CA_Open,
  TCP_CA_Recovery,
  TCP_CHRONO_BUSY,
  TCP_CHRONO_RWND_LIMITED,
  TCP_CHRONO_SNDBUF_LIMITED,
  TCP_CHRONO_UNSPEC,
  TCP_CLOSE,
  TCP_DELACK_MAX,
  TCP_DELACK_MIN,
  TCP_ESTABLISHED,
  TCP_FRAG_IN_RTX_QUEUE,
  TCP_FRAG_IN_WRITE_QUEUE,
  TCP_MAX_WSCALE,
  TCP_NAGLE_CORK,
  TCP_NAGLE_OFF,
  TCP_NAGLE_PUSH,
  TCP_RTO_MAX,
  TCP_TIMEOUT_INIT,
  TCP_TIMEOUT_MIN_US,
  TCP_TSQ_DEFERRED,
  TCPCB_EVER_RETRANS,
  TCPCB_LOST,
  TCPCB_RETRANS,
  TCPCB_SACKED_ACKED,
  TCPCB_SACKED_RETRANS,
  TCPF_ACK_DEFERRED,
  TCPF_CLOSE_WAIT,
  TCPF_CLOSING,
  TCPF_DELACK_TIMER_DEFERRED,
  TCPF_ESTABLISHED,
  TCPF_FIN_WAIT1,
  TCPF_LAST_ACK,
  TCPF_MTU_REDUCED_DEFERRED,
  TCPF_TSQ_DEFERRED,
  TCPF_WRITE_TIMER_DEFERRED,
  TCPHDR_ACK,
  TCPHDR_CWR,
  TCPHDR_ECE,
  TCPHDR_FIN,
  TCPHDR_PSH,
  TCPHDR_RST,
  TCPHDR_SYN,
  TCPHDR_SYN_ECN,
  TCPOLEN_EXP_FASTOPEN_BASE,
  TCPOLEN_FASTOPEN_BASE,
  TCPOLEN_MSS,
  TCPOLEN_MSS_ALIGNED,
  TCPOLEN_SACK_BASE,
  TCPOLEN_SACK_BASE_ALIGNED,
  TCPOLEN_SACK_PERBLOCK,
  TCPOLEN_SACK_PERM,
  TCPOLEN_SACKPERM_ALIGNED,
  TCPOLEN_TIMESTAMP,
  TCPOLEN_TSTAMP_ALIGNED,
  TCPOLEN_WINDOW,
  TCPOLEN_WSCALE_ALIGNED,
  TCPOPT_EXP,
  TCPOPT_FASTOPEN,
  TCPOPT_FASTOPEN_MAGIC,
  TCPOPT_MSS,
  TCPOPT_NOP,
  TCPOPT_SACK,
  TCPOPT_SACK_PERM,
  TCPOPT_TIMESTAMP,
  TCPOPT_WINDOW,
  TSQ_QUEUED,
  TSQ_THROTTLED,
  TSQF_QUEUED,
  TSQF_THROTTLED,
} from '../../include/generated/enums.ts'
import { E2BIG, EAGAIN, EBUSY, ECONNREFUSED, EFAULT, EHOSTUNREACH, EINVAL, ENOBUFS, ENOMEM } from '../../include/linux/errno.ts'
import { HRTIMER_MODE_ABS_PINNED_SOFT, type hrtimer, hrtimer_is_queued } from '../../include/linux/hrtimer.ts'
import { core_initcall } from '../../include/linux/init.ts'
import { list_add, list_del, list_empty, list_head, list_move_tail } from '../../include/linux/list.ts'
import type { rb_root } from '../../include/linux/rbtree.ts'
import { RTAX_CC_ALGO, RTAX_FEATURE_ECN, RTAX_INITRWND, RTAX_WINDOW } from '../../include/linux/rtnetlink.ts'
import {
  __skb_queue_after,
  __skb_queue_tail,
  __skb_unlink,
  CHECKSUM_PARTIAL,
  type sk_buff,
  type skb_frag,
  skb_headlen,
  skb_headroom,
  skb_reset_transport_header,
  skb_shinfo,
} from '../../include/linux/skbuff.ts'
import { __GFP_NOWARN, GFP_ATOMIC } from '../../include/linux/slab.ts'
import { TCP_SEND_QUEUE, TCPHDR_LEN, tcphdr } from '../../include/linux/tcp.ts'
import {
  ALIGN,
  clamp,
  DIV_ROUND_UP,
  ilog2,
  NSEC_PER_MSEC,
  NSEC_PER_SEC,
  NSEC_PER_USEC,
  type ref,
  rounddown,
  U16_MAX,
} from '../../include/linux/types.ts'
import type { dst_entry } from '../../include/net/dst.ts'
import { flowi4 } from '../../include/net/flow.ts'
import { inet_csk } from '../../include/net/inet_connection_sock.ts'
import { inet_rsk, inet_sk } from '../../include/net/inet_sock.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { req_to_sk, type request_sock } from '../../include/net/request_sock.ts'
import type { sock } from '../../include/net/sock.ts'
import {
  after,
  before,
  between,
  TCP_CA_UNSPEC,
  TCP_ECN_DEMAND_CWR,
  TCP_ECN_OK,
  TCP_ECN_QUEUE_CWR,
  TCP_KEY_NONE,
  TCP_RESOURCE_PROBE_INTERVAL,
  TCP_SKB_CB,
  TCP_SYNACK_COOKIE,
  TCP_SYNACK_FASTOPEN,
  TCP_SYNACK_NORMAL,
  type tcp_fastopen_cookie,
  type tcp_fastopen_request,
  type tcp_key,
  type tcp_request_sock,
  tcp_rsk,
  tcp_sk,
  type tcp_skb_cb,
  type tcp_sock,
} from '../../include/net/tcp.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { tasklet_schedule, tasklet_setup, tasklet_struct } from '../../kernel/softirq.ts'
import { hrtimer_start, hrtimer_try_to_cancel } from '../../kernel/time/hrtimer.ts'
import { jiffies, jiffies_to_usecs, usecs_to_jiffies } from '../../kernel/time/timer.ts'
import { copy_page_from_iter } from '../../lib/iov_iter.ts'
import { page_ref_inc } from '../../mm/page_alloc.ts'
import { dst_feature, dst_metric, dst_mtu, dst_release } from '../core/dst.ts'
import { tp_tcp_event_sk_skb, trace_tcp_retransmit_synack, trace_tcp_send_reset } from '../core/net-traces.ts'
import {
  __pskb_copy,
  __skb_header_release,
  alloc_skb,
  alloc_skb_fclone,
  consume_skb,
  kfree_skb,
  pskb_copy,
  SKB_TRUESIZE,
  SKBTX_ANY_TSTAMP,
  skb_clone,
  skb_cloned,
  skb_copy,
  skb_dst_set,
  skb_fclone_busy,
  skb_fill_page_desc,
  skb_frag_ref,
  skb_frag_unref,
  skb_len_add,
  skb_orphan,
  skb_page_frag_refill,
  skb_push,
  skb_rb_last,
  skb_rb_next,
  skb_reserve,
  skb_set_delivery_time,
  skb_set_dst_pending_confirm,
  skb_set_hash,
  skb_shift,
  skb_split,
  skb_unclone_keeptruesize,
  skb_zcopy_pure,
  skb_zcopy_set,
} from '../core/skbuff.ts'
import {
  __sk_dst_get,
  __sock_put,
  __sock_wfree,
  bh_lock_sock,
  bh_unlock_sock,
  net_tx_rndhash,
  register_tcp_wfree,
  sk_forward_alloc_add,
  sk_free,
  sk_gfp_mask,
  sk_mem_charge,
  sk_mem_pages,
  sk_mem_uncharge,
  sk_memory_allocated_add,
  sk_page_frag,
  sk_reset_timer,
  sk_wmem_alloc_get,
  sk_wmem_queued_add,
  sk_wmem_schedule,
  skb_set_hash_from_sk,
  skb_set_owner_w,
  sock_hold,
  sock_net,
  sock_owned_by_user,
  sock_put,
  sock_reset_flag,
  sysctl_rmem_max,
} from '../core/sock.ts'
import {
  inet_csk_ack_scheduled,
  inet_csk_clear_xmit_timer,
  inet_csk_in_pingpong_mode,
  inet_csk_inc_pingpong_cnt,
  inet_csk_reset_xmit_timer,
  inet_csk_schedule_ack,
} from './inet_connection_sock.ts'
import { cookie_init_timestamp } from './syncookies.ts'
import { tcp_stream_alloc_skb, tcp_wmem_schedule, tcp_write_queue_purge } from './tcp.ts'
import { tcp_ca_find_key } from './tcp_cong.ts'
import { tcp_fastopen_cookie_check } from './tcp_fastopen.ts'
import {
  BPF_SOCK_OPS_RETRANS_CB,
  BPF_SOCK_OPS_RETRANS_CB_FLAG,
  BPF_SOCK_OPS_TCP_CONNECT_CB,
  BPF_SOCK_OPS_TEST_FLAG,
  BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG,
  INET_ECN_dontxmit,
  INET_ECN_xmit,
  skb_is_tcp_pure_ack,
  skb_set_tcp_pure_ack,
  tcp_add_tx_delay,
  tcp_add_write_queue_tail,
  tcp_adjust_rcv_ssthresh,
  tcp_bound_to_half_wnd,
  tcp_bpf_ca_needs_ecn,
  tcp_ca_dst_locked,
  tcp_ca_event,
  tcp_ca_needs_ecn,
  tcp_call_bpf,
  tcp_call_bpf_3arg,
  tcp_check_probe_timer,
  tcp_clear_retrans_hints_partial,
  tcp_clock_ns,
  tcp_current_ssthresh,
  tcp_dec_quickack_mode,
  tcp_dst_advmss,
  tcp_full_space,
  tcp_get_current_key,
  tcp_highest_sack_replace,
  tcp_in_cwnd_reduction,
  tcp_init_wl,
  tcp_insert_write_queue_before,
  tcp_is_cwnd_limited,
  tcp_is_reno,
  tcp_is_sack,
  tcp_jiffies32,
  tcp_max_tso_deferred_mss,
  tcp_min_rtt,
  tcp_mss_clamp,
  tcp_needs_internal_pacing,
  tcp_packets_in_flight,
  tcp_passive_fastopen,
  tcp_probe0_when,
  tcp_receive_window,
  tcp_reset_xmit_timer,
  tcp_rto_delta_us,
  tcp_rto_min,
  tcp_rto_min_us,
  tcp_rtx_and_write_queues_empty,
  tcp_rtx_queue_empty,
  tcp_rtx_queue_head,
  tcp_rtx_queue_tail,
  tcp_rtx_queue_unlink_and_free,
  tcp_rwnd_init_bpf,
  tcp_send_head,
  tcp_skb_can_collapse,
  tcp_skb_is_last,
  tcp_skb_mss,
  tcp_skb_pcount,
  tcp_skb_pcount_set,
  tcp_skb_timestamp_ts,
  tcp_skb_timestamp_us,
  tcp_skb_tsorted_anchor_cleanup,
  tcp_snd_cwnd,
  tcp_snd_cwnd_set,
  tcp_space,
  tcp_time_stamp_ts,
  tcp_timeout_init,
  tcp_tx_delay_enabled,
  tcp_under_memory_pressure,
  tcp_unlink_write_queue,
  tcp_verify_left_out,
  tcp_wmem_free_skb,
  tcp_wnd_end,
  tcp_write_queue_empty,
  tcp_write_queue_tail,
} from './tcp_inlines.ts'
import {
  tcp_check_space,
  tcp_clear_retrans,
  tcp_enter_cwr,
  tcp_finish_connect,
  tcp_init_cwnd,
  tcp_initialize_rcv_mss,
  tcp_rbtree_insert,
  tcp_rearm_rto,
  tcp_skb_shift,
} from './tcp_input.ts'
import { tcp_rate_skb_sent } from './tcp_rate.ts'
import { tcp_clamp_probe0_to_user_timeout, tcp_delack_timer_handler, tcp_write_timer_handler } from './tcp_timer.ts'

/** a counter of /proc/net/netstat, where Linux passes LINUX_MIB_* */
export type linux_mib_name = keyof net['mib']['linux']

export const tcp_mstamp_refresh = kfunc('tcp_mstamp_refresh', (tp: tcp_sock): void => {
  const val = tcp_clock_ns()
  tp.tcp_clock_cache = val
  tp.tcp_mstamp = Math.floor(val / NSEC_PER_USEC)
})

/** a buffer of the write queue was sent: it waits for its ACK in the retransmit queue now */
const tcp_event_new_data_sent = kfunc('tcp_event_new_data_sent', (sk: sock, skb: sk_buff): void => {
  const icsk = inet_csk(sk)
  const tp = tcp_sk(sk)
  const prior_packets = tp.packets_out
  tp.snd_nxt = TCP_SKB_CB(skb).end_seq
  __skb_unlink(skb, sk.sk_write_queue)
  tcp_rbtree_insert(tp.tcp_rtx_queue, skb)
  if (tp.highest_sack === null) tp.highest_sack = skb
  tp.packets_out += tcp_skb_pcount(skb)
  if (tracer.on) traceCounters(tp)
  if (!prior_packets || icsk.icsk_pending === ICSK_TIME_LOSS_PROBE) tcp_rearm_rto(sk)
  sock_net(sk).mib.linux.TCPOrigDataSent += tcp_skb_pcount(skb)
  tcp_check_space(sk)
})

/** the sequence number for a segment without data: inside the peer's window, even if that shrank */
const tcp_acceptable_seq = kfunc('tcp_acceptable_seq', (sk: sock): number => {
  const tp = tcp_sk(sk)
  const wnd_end = tcp_wnd_end(tp)
  if (!before(wnd_end, tp.snd_nxt) || (tp.rx_opt.wscale_ok && (tp.snd_nxt - wnd_end) >>> 0 < 1 << tp.rx_opt.rcv_wscale))
    return tp.snd_nxt
  return wnd_end
})

const tcp_advertise_mss = kfunc('tcp_advertise_mss', (sk: sock): number => {
  const tp = tcp_sk(sk)
  const dst = __sk_dst_get(sk)
  let mss = tp.advmss
  if (dst !== null) {
    const metric = tcp_dst_advmss(dst)
    if (metric < mss) {
      mss = metric
      tp.advmss = mss
    }
  }
  return mss & 0xffff
})

/** after a pause of `delta` jiffies, the window starts small again */
export const tcp_cwnd_restart = kfunc('tcp_cwnd_restart', (sk: sock, delta: number): void => {
  const tp = tcp_sk(sk)
  let restart_cwnd = tcp_init_cwnd(tp, __sk_dst_get(sk))
  let cwnd = tcp_snd_cwnd(tp)
  tcp_ca_event(sk, CA_EVENT_CWND_RESTART)
  tp.snd_ssthresh = tcp_current_ssthresh(sk)
  restart_cwnd = Math.min(restart_cwnd, cwnd)
  while ((delta -= inet_csk(sk).icsk_rto) > 0 && cwnd > restart_cwnd) cwnd >>>= 1
  tcp_snd_cwnd_set(tp, Math.max(cwnd, restart_cwnd))
  tp.snd_cwnd_stamp = tcp_jiffies32()
  tp.snd_cwnd_used = 0
})

const tcp_event_data_sent = kfunc('tcp_event_data_sent', (tp: tcp_sock, sk: sock): void => {
  const icsk = inet_csk(sk)
  const now = tcp_jiffies32()
  if (tcp_packets_in_flight(tp) === 0) tcp_ca_event(sk, CA_EVENT_TX_START)
  tp.lsndtime = now
  // an answer within the delayed-ACK time: both sides talk
  if ((now - icsk.icsk_ack.lrcvtime) >>> 0 < icsk.icsk_ack.ato) inet_csk_inc_pingpong_cnt(sk)
})

const tcp_event_ack_sent = kfunc('tcp_event_ack_sent', (sk: sock, rcv_nxt: number): void => {
  const tp = tcp_sk(sk)
  if (tp.compressed_ack) {
    sock_net(sk).mib.linux.TCPAckCompressed += tp.compressed_ack
    tp.compressed_ack = 0
    if (hrtimer_try_to_cancel(tp.compressed_ack_timer) === 1) __sock_put(sk)
  }
  // an ACK that DCTCP sends to echo ECN acknowledges less than all
  if (rcv_nxt !== tp.rcv_nxt) return
  tcp_dec_quickack_mode(sk)
  inet_csk_clear_xmit_timer(sk, ICSK_TIME_DACK)
})

/**
 * The window of a SYN and its scaling. `__space` bytes of socket memory can be offered.
 */
export const tcp_select_initial_window = kfunc(
  'tcp_select_initial_window',
  (
    sk: sock,
    __space: number,
    mss: number,
    rcv_wnd: ref<number>,
    __window_clamp: ref<number>,
    wscale_ok: number,
    rcv_wscale: ref<number>,
    init_rcv_wnd: number,
  ): void => {
    const { ipv4 } = sock_net(sk)
    let space = Math.max(__space, 0)
    let window_clamp = __window_clamp.v
    if (window_clamp === 0) window_clamp = U16_MAX << TCP_MAX_WSCALE
    space = Math.min(window_clamp, space)
    if (space > mss) space = rounddown(space, mss)
    rcv_wnd.v = ipv4.sysctl_tcp_workaround_signed_windows ? Math.min(space, MAX_TCP_WINDOW) : space
    if (init_rcv_wnd) rcv_wnd.v = Math.min(rcv_wnd.v, init_rcv_wnd * mss)
    rcv_wscale.v = 0
    if (wscale_ok) {
      // the scale has to do for the largest window that the buffer may ever grow to
      space = Math.max(space, ipv4.sysctl_tcp_rmem[2], sysctl_rmem_max)
      space = Math.min(space, window_clamp)
      rcv_wscale.v = clamp(ilog2(space) - 15, 0, TCP_MAX_WSCALE)
    }
    __window_clamp.v = Math.min(U16_MAX << rcv_wscale.v, window_clamp)
  },
)

/** the window field of an outgoing header: scaled, and never less than what was offered before */
const tcp_select_window = kfunc('tcp_select_window', (sk: sock): number => {
  const tp = tcp_sk(sk)
  const net = sock_net(sk)
  const old_win = tp.rcv_wnd
  if (inet_csk(sk).icsk_ack.pending & ICSK_ACK_NOMEM) {
    tp.pred_flags = 0
    tp.rcv_wnd = 0
    tp.rcv_wup = tp.rcv_nxt
    return 0
  }
  const cur_win = tcp_receive_window(tp)
  let new_win = __tcp_select_window(sk)
  if (new_win < cur_win) {
    if (!net.ipv4.sysctl_tcp_shrink_window || !tp.rx_opt.rcv_wscale) {
      if (new_win === 0) net.mib.linux.TCPWantZeroWindowAdv++
      new_win = ALIGN(cur_win, 1 << tp.rx_opt.rcv_wscale)
    }
  }
  tp.rcv_wnd = new_win
  tp.rcv_wup = tp.rcv_nxt
  if (!tp.rx_opt.rcv_wscale && net.ipv4.sysctl_tcp_workaround_signed_windows) new_win = Math.min(new_win, MAX_TCP_WINDOW)
  else new_win = Math.min(new_win, 65535 << tp.rx_opt.rcv_wscale)
  new_win >>>= tp.rx_opt.rcv_wscale
  if (new_win === 0) {
    tp.pred_flags = 0
    if (old_win) net.mib.linux.TCPToZeroWindowAdv++
  } else if (old_win === 0) {
    net.mib.linux.TCPFromZeroWindowAdv++
  }
  return new_win
})

const tcp_ecn_send_synack = kfunc('tcp_ecn_send_synack', (sk: sock, skb: sk_buff): void => {
  const tp = tcp_sk(sk)
  const tcb = TCP_SKB_CB(skb)
  tcb.tcp_flags &= ~TCPHDR_CWR
  if (!(tp.ecn_flags & TCP_ECN_OK)) tcb.tcp_flags &= ~TCPHDR_ECE
  else if (tcp_ca_needs_ecn(sk) || tcp_bpf_ca_needs_ecn(sk)) INET_ECN_xmit(sk)
})

const tcp_ecn_send_syn = kfunc('tcp_ecn_send_syn', (sk: sock, skb: sk_buff): void => {
  const tp = tcp_sk(sk)
  const bpf_needs_ecn = tcp_bpf_ca_needs_ecn(sk)
  let use_ecn = sock_net(sk).ipv4.sysctl_tcp_ecn === 1 || tcp_ca_needs_ecn(sk) || bpf_needs_ecn
  if (!use_ecn) {
    const dst = __sk_dst_get(sk)
    if (dst !== null && dst_feature(dst, RTAX_FEATURE_ECN)) use_ecn = true
  }
  tp.ecn_flags = 0
  if (use_ecn) {
    TCP_SKB_CB(skb).tcp_flags |= TCPHDR_ECE | TCPHDR_CWR
    tp.ecn_flags = TCP_ECN_OK
    if (tcp_ca_needs_ecn(sk) || bpf_needs_ecn) INET_ECN_xmit(sk)
  }
})

/** a SYN that was not answered goes out again without ECN, in case somebody on the way dislikes it */
const tcp_ecn_clear_syn = kfunc('tcp_ecn_clear_syn', (sk: sock, skb: sk_buff): void => {
  if (sock_net(sk).ipv4.sysctl_tcp_ecn_fallback) TCP_SKB_CB(skb).tcp_flags &= ~(TCPHDR_ECE | TCPHDR_CWR)
})

const tcp_ecn_make_synack = kfunc('tcp_ecn_make_synack', (req: request_sock, th: tcphdr): void => {
  if (inet_rsk(req).ecn_ok) th.ece = 1
})

const tcp_ecn_send = kfunc('tcp_ecn_send', (sk: sock, skb: sk_buff, th: tcphdr, tcp_header_len: number): void => {
  const tp = tcp_sk(sk)
  if (tp.ecn_flags & TCP_ECN_OK) {
    if (skb.len !== tcp_header_len && !before(TCP_SKB_CB(skb).seq, tp.snd_nxt)) {
      INET_ECN_xmit(sk)
      if (tp.ecn_flags & TCP_ECN_QUEUE_CWR) {
        tp.ecn_flags &= ~TCP_ECN_QUEUE_CWR
        th.cwr = 1
        skb_shinfo(skb).gso_type |= SKB_GSO_TCP_ECN
      }
    } else if (!tcp_ca_needs_ecn(sk)) {
      INET_ECN_dontxmit(sk)
    }
    if (tp.ecn_flags & TCP_ECN_DEMAND_CWR) th.ece = 1
  }
})

/** control bits of a buffer without data; SYN and FIN take a sequence number */
const tcp_init_nondata_skb = kfunc('tcp_init_nondata_skb', (skb: sk_buff, seq: number, flags: number): void => {
  const tcb = TCP_SKB_CB(skb)
  skb.ip_summed = CHECKSUM_PARTIAL
  tcb.tcp_flags = flags
  tcp_skb_pcount_set(skb, 1)
  tcb.seq = seq >>> 0
  if (flags & (TCPHDR_SYN | TCPHDR_FIN)) seq++
  tcb.end_seq = seq >>> 0
})

const tcp_urg_mode = (tp: tcp_sock): boolean => tp.snd_una !== tp.snd_up

const OPTION_SACK_ADVERTISE = 1 << 0
const OPTION_TS = 1 << 1
const OPTION_WSCALE = 1 << 3
const OPTION_FAST_OPEN_COOKIE = 1 << 8

/** struct tcp_out_options: what goes behind the header */
export class tcp_out_options {
  options = 0
  mss = 0
  ws = 0
  num_sack_blocks = 0
  hash_size = 0
  bpf_opt_len = 0
  tsval = 0
  tsecr = 0
  fastopen_cookie: tcp_fastopen_cookie | null = null

  clear(): void {
    this.options = 0
    this.mss = 0
    this.ws = 0
    this.num_sack_blocks = 0
    this.bpf_opt_len = 0
    this.tsval = 0
    this.tsecr = 0
    this.fastopen_cookie = null
  }
}

// On the stack in Linux. Nothing that runs between filling and writing them can build another header.
const scratch_opts = new tcp_out_options()
const scratch_key: tcp_key = { type: TCP_KEY_NONE }

const bpf_skops_hdr_opt_len = kfunc(
  'bpf_skops_hdr_opt_len',
  (
    _sk: sock,
    _skb: sk_buff | null,
    _req: request_sock | null,
    _syn_skb: sk_buff | null,
    _synack_type: number,
    _opts: tcp_out_options,
    _remaining: number,
  ): void => {},
)

const bpf_skops_write_hdr_opt = kfunc(
  'bpf_skops_write_hdr_opt',
  (
    _sk: sock,
    _skb: sk_buff,
    _req: request_sock | null,
    _syn_skb: sk_buff | null,
    _synack_type: number,
    _opts: tcp_out_options,
  ): void => {},
)

function put32(b: Uint8Array, o: number, v: number): void {
  b[o] = v >>> 24
  b[o + 1] = v >>> 16
  b[o + 2] = v >>> 8
  b[o + 3] = v
}

const tcp_options_write = kfunc(
  'tcp_options_write',
  (th: tcphdr, tp: tcp_sock | null, _tcprsk: tcp_request_sock | null, opts: tcp_out_options, _key: tcp_key): void => {
    const b = th.bytes
    let ptr = th.off + TCPHDR_LEN
    let { options } = opts
    if (opts.mss) {
      put32(b, ptr, (TCPOPT_MSS << 24) | (TCPOLEN_MSS << 16) | opts.mss)
      ptr += 4
    }
    if (OPTION_TS & options) {
      if (OPTION_SACK_ADVERTISE & options) {
        put32(b, ptr, (TCPOPT_SACK_PERM << 24) | (TCPOLEN_SACK_PERM << 16) | (TCPOPT_TIMESTAMP << 8) | TCPOLEN_TIMESTAMP)
        options &= ~OPTION_SACK_ADVERTISE
      } else {
        put32(b, ptr, (TCPOPT_NOP << 24) | (TCPOPT_NOP << 16) | (TCPOPT_TIMESTAMP << 8) | TCPOLEN_TIMESTAMP)
      }
      put32(b, ptr + 4, opts.tsval)
      put32(b, ptr + 8, opts.tsecr)
      ptr += 12
    }
    if (OPTION_SACK_ADVERTISE & options) {
      put32(b, ptr, (TCPOPT_NOP << 24) | (TCPOPT_NOP << 16) | (TCPOPT_SACK_PERM << 8) | TCPOLEN_SACK_PERM)
      ptr += 4
    }
    if (OPTION_WSCALE & options) {
      put32(b, ptr, (TCPOPT_NOP << 24) | (TCPOPT_WINDOW << 16) | (TCPOLEN_WINDOW << 8) | opts.ws)
      ptr += 4
    }
    if (opts.num_sack_blocks && tp !== null) {
      // a duplicate SACK lies before the others: tp->duplicate_sack[1] is tp->selective_acks[0] in Linux
      const len = TCPOLEN_SACK_BASE + opts.num_sack_blocks * TCPOLEN_SACK_PERBLOCK
      put32(b, ptr, (TCPOPT_NOP << 24) | (TCPOPT_NOP << 16) | (TCPOPT_SACK << 8) | len)
      ptr += 4
      const dsack = tp.rx_opt.dsack ? 1 : 0
      for (let i = 0; i < opts.num_sack_blocks; i++) {
        const sp = i < dsack ? tp.duplicate_sack[0] : tp.selective_acks[i - dsack]
        put32(b, ptr, sp?.start_seq ?? 0)
        put32(b, ptr + 4, sp?.end_seq ?? 0)
        ptr += 8
      }
      tp.rx_opt.dsack = 0
    }
    const foc = opts.fastopen_cookie
    if (OPTION_FAST_OPEN_COOKIE & options && foc !== null) {
      let p = ptr
      let len: number
      if (foc.exp) {
        len = TCPOLEN_EXP_FASTOPEN_BASE + foc.len
        put32(b, ptr, (TCPOPT_EXP << 24) | (len << 16) | TCPOPT_FASTOPEN_MAGIC)
        p += TCPOLEN_EXP_FASTOPEN_BASE
      } else {
        len = TCPOLEN_FASTOPEN_BASE + foc.len
        b[p++] = TCPOPT_FASTOPEN
        b[p++] = len
      }
      b.set(foc.val.subarray(0, foc.len), p)
      if ((len & 3) === 2) {
        b[p + foc.len] = TCPOPT_NOP
        b[p + foc.len + 1] = TCPOPT_NOP
      }
    }
  },
)

const fastopen_need = (foc: tcp_fastopen_cookie): number =>
  (foc.len + (foc.exp ? TCPOLEN_EXP_FASTOPEN_BASE : TCPOLEN_FASTOPEN_BASE) + 3) & ~3

/** options of a SYN; returns their bytes */
const tcp_syn_options = kfunc('tcp_syn_options', (sk: sock, skb: sk_buff, opts: tcp_out_options, _key: tcp_key): number => {
  const tp = tcp_sk(sk)
  const { ipv4 } = sock_net(sk)
  let remaining = MAX_TCP_OPTION_SPACE
  const fastopen = tp.fastopen_req
  opts.mss = tcp_advertise_mss(sk)
  remaining -= TCPOLEN_MSS_ALIGNED
  if (ipv4.sysctl_tcp_timestamps) {
    opts.options |= OPTION_TS
    opts.tsval = (tcp_skb_timestamp_ts(tp.tcp_usec_ts, skb) + tp.tsoffset) >>> 0
    opts.tsecr = tp.rx_opt.ts_recent
    remaining -= TCPOLEN_TSTAMP_ALIGNED
  }
  if (ipv4.sysctl_tcp_window_scaling) {
    opts.ws = tp.rx_opt.rcv_wscale
    opts.options |= OPTION_WSCALE
    remaining -= TCPOLEN_WSCALE_ALIGNED
  }
  if (ipv4.sysctl_tcp_sack) {
    opts.options |= OPTION_SACK_ADVERTISE
    if (!(OPTION_TS & opts.options)) remaining -= TCPOLEN_SACKPERM_ALIGNED
  }
  if (fastopen !== null && fastopen.cookie.len >= 0) {
    const need = fastopen_need(fastopen.cookie)
    if (remaining >= need) {
      opts.options |= OPTION_FAST_OPEN_COOKIE
      opts.fastopen_cookie = fastopen.cookie
      remaining -= need
      tp.syn_fastopen = 1
      tp.syn_fastopen_exp = fastopen.cookie.exp ? 1 : 0
    }
  }
  bpf_skops_hdr_opt_len(sk, skb, null, null, 0, opts, remaining)
  return MAX_TCP_OPTION_SPACE - remaining
})

/** options of a SYN-ACK; returns their bytes */
const tcp_synack_options = kfunc(
  'tcp_synack_options',
  (
    sk: sock,
    req: request_sock,
    mss: number,
    skb: sk_buff,
    opts: tcp_out_options,
    _key: tcp_key,
    foc: tcp_fastopen_cookie | null,
    synack_type: number,
    syn_skb: sk_buff | null,
  ): number => {
    const ireq = inet_rsk(req)
    let remaining = MAX_TCP_OPTION_SPACE
    opts.mss = mss
    remaining -= TCPOLEN_MSS_ALIGNED
    if (ireq.wscale_ok) {
      opts.ws = ireq.rcv_wscale
      opts.options |= OPTION_WSCALE
      remaining -= TCPOLEN_WSCALE_ALIGNED
    }
    if (ireq.tstamp_ok) {
      opts.options |= OPTION_TS
      opts.tsval = (tcp_skb_timestamp_ts(tcp_rsk(req).req_usec_ts, skb) + tcp_rsk(req).ts_off) >>> 0
      opts.tsecr = req.ts_recent
      remaining -= TCPOLEN_TSTAMP_ALIGNED
    }
    if (ireq.sack_ok) {
      opts.options |= OPTION_SACK_ADVERTISE
      if (!ireq.tstamp_ok) remaining -= TCPOLEN_SACKPERM_ALIGNED
    }
    if (foc !== null && foc.len >= 0) {
      const need = fastopen_need(foc)
      if (remaining >= need) {
        opts.options |= OPTION_FAST_OPEN_COOKIE
        opts.fastopen_cookie = foc
        remaining -= need
      }
    }
    bpf_skops_hdr_opt_len(sk, skb, req, syn_skb, synack_type, opts, remaining)
    return MAX_TCP_OPTION_SPACE - remaining
  },
)

/** options of everything behind the handshake; returns their bytes. Without `skb` only the size counts. */
const tcp_established_options = kfunc(
  'tcp_established_options',
  (sk: sock, skb: sk_buff | null, opts: tcp_out_options, _key: tcp_key): number => {
    const tp = tcp_sk(sk)
    let size = 0
    opts.options = 0
    if (tp.rx_opt.tstamp_ok) {
      opts.options |= OPTION_TS
      opts.tsval = skb !== null ? (tcp_skb_timestamp_ts(tp.tcp_usec_ts, skb) + tp.tsoffset) >>> 0 : 0
      opts.tsecr = tp.rx_opt.ts_recent
      size += TCPOLEN_TSTAMP_ALIGNED
    }
    const eff_sacks = tp.rx_opt.num_sacks + tp.rx_opt.dsack
    if (eff_sacks) {
      const remaining = MAX_TCP_OPTION_SPACE - size
      if (remaining < TCPOLEN_SACK_BASE_ALIGNED + TCPOLEN_SACK_PERBLOCK) return size
      opts.num_sack_blocks = Math.min(eff_sacks, Math.trunc((remaining - TCPOLEN_SACK_BASE_ALIGNED) / TCPOLEN_SACK_PERBLOCK))
      size += TCPOLEN_SACK_BASE_ALIGNED + opts.num_sack_blocks * TCPOLEN_SACK_PERBLOCK
    }
    if (BPF_SOCK_OPS_TEST_FLAG(tp, BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG))
      bpf_skops_hdr_opt_len(sk, skb, null, null, 0, opts, MAX_TCP_OPTION_SPACE - size)
    return size
  },
)

/** TCP Small Queues: sockets whose buffers a device has let go, and which may send more. One processor, one queue. */
interface tsq_tasklet {
  tasklet: tasklet_struct
  head: list_head<tcp_sock>
}
let tsq: tsq_tasklet

const tcp_tsq_write_part_0 = kfunc('tcp_tsq_write.part.0', (sk: sock): void => {
  const tp = tcp_sk(sk)
  if (tp.lost_out > tp.retrans_out && tcp_snd_cwnd(tp) > tcp_packets_in_flight(tp)) {
    tcp_mstamp_refresh(tp)
    tcp_xmit_retransmit_queue(sk)
  }
  tcp_write_xmit(sk, tcp_current_mss(sk), tp.nonagle, 0, GFP_ATOMIC)
})

const tcp_tsq_write = kfunc('tcp_tsq_write', (sk: sock): void => {
  if ((1 << sk.sk_state) & (TCPF_ESTABLISHED | TCPF_FIN_WAIT1 | TCPF_CLOSING | TCPF_CLOSE_WAIT | TCPF_LAST_ACK))
    tcp_tsq_write_part_0(sk)
})

const tcp_tsq_handler = kfunc('tcp_tsq_handler', (sk: sock): void => {
  bh_lock_sock(sk)
  if (!sock_owned_by_user(sk)) tcp_tsq_write(sk)
  else if (!(sk.sk_tsq_flags & (1 << TCP_TSQ_DEFERRED))) {
    sk.sk_tsq_flags |= 1 << TCP_TSQ_DEFERRED
    sock_hold(sk)
  }
  bh_unlock_sock(sk)
})

const tcp_tasklet_func = kfunc('tcp_tasklet_func', (_t: tasklet_struct): void => {
  const batch: tcp_sock[] = []
  for (const tp of tsq.head) {
    list_del(tp.tsq_node)
    batch.push(tp)
  }
  for (const tp of batch) {
    tp.sk_tsq_flags &= ~(1 << TSQ_QUEUED)
    tcp_tsq_handler(tp)
    sk_free(tp)
  }
})

const TCP_DEFERRED_ALL =
  TCPF_TSQ_DEFERRED | TCPF_WRITE_TIMER_DEFERRED | TCPF_DELACK_TIMER_DEFERRED | TCPF_MTU_REDUCED_DEFERRED | TCPF_ACK_DEFERRED

/** release_sock(): does what timers and completions put off while the socket was owned */
export const tcp_release_cb = kfunc('tcp_release_cb', (sk: sock): void => {
  const flags = sk.sk_tsq_flags
  if (!(flags & TCP_DEFERRED_ALL)) return
  sk.sk_tsq_flags = flags & ~TCP_DEFERRED_ALL
  if (flags & TCPF_TSQ_DEFERRED) {
    tcp_tsq_write(sk)
    __sock_put(sk)
  }
  if (flags & TCPF_WRITE_TIMER_DEFERRED) {
    tcp_write_timer_handler(sk)
    __sock_put(sk)
  }
  if (flags & TCPF_DELACK_TIMER_DEFERRED) {
    tcp_delack_timer_handler(sk)
    __sock_put(sk)
  }
  if (flags & TCPF_MTU_REDUCED_DEFERRED) {
    const { mtu_reduced } = inet_csk(sk).icsk_af_ops
    if (tracer.on) traceIndirect('icsk_af_ops->mtu_reduced', nameOf(mtu_reduced))
    mtu_reduced(sk)
    __sock_put(sk)
  }
  if (flags & TCPF_ACK_DEFERRED && inet_csk_ack_scheduled(sk)) tcp_send_ack(sk)
})

export const tcp_tasklet_init = kfunc('tcp_tasklet_init', (): void => {
  tsq = { tasklet: new tasklet_struct(), head: new list_head<tcp_sock>() }
  tasklet_setup(tsq.tasklet, tcp_tasklet_func)
})

/** Destructor of a sent buffer: a device or the receiving host has let it go. Sending more from here would be too deep: the tasklet does. */
export const tcp_wfree = kfunc('tcp_wfree', (skb: sk_buff): void => {
  const sk = skb.sk
  if (sk === null) return
  const tp = tcp_sk(sk)
  // one byte stays as a reference on the socket; sk_free() takes it
  sk.sk_wmem_alloc -= skb.truesize - 1
  const oval = sk.sk_tsq_flags
  if (!(oval & TSQF_THROTTLED) || oval & TSQF_QUEUED) {
    sk_free(sk)
    return
  }
  sk.sk_tsq_flags = (oval & ~TSQF_THROTTLED) | TSQF_QUEUED
  const empty = list_empty(tsq.head)
  list_add(tp.tsq_node, tsq.head)
  if (empty) tasklet_schedule(tsq.tasklet)
})

export const tcp_pace_kick = kfunc('tcp_pace_kick', (timer: hrtimer): number => {
  const tp = timer.owner as tcp_sock
  tcp_tsq_handler(tp)
  sock_put(tp)
  return HRTIMER_NORESTART
})

const tcp_update_skb_after_send = kfunc('tcp_update_skb_after_send', (sk: sock, skb: sk_buff, prior_wstamp: number): void => {
  const tp = tcp_sk(sk)
  if (sk.sk_pacing_status !== SK_PACING_NONE) {
    const rate = sk.sk_pacing_rate
    // the first ten segments are not paced; an unlimited rate is beyond all numbers that can be meant
    if (rate < Number.MAX_SAFE_INTEGER && rate && tp.data_segs_out >= 10) {
      let len_ns = Math.floor((skb.len * NSEC_PER_SEC) / rate)
      const credit = tp.tcp_wstamp_ns - prior_wstamp
      len_ns -= Math.min(Math.floor(len_ns / 2), credit)
      tp.tcp_wstamp_ns += len_ns
    }
  }
  list_move_tail(skb.tcp_tsorted_anchor, tp.tsorted_sent_queue)
})

/** NET_XMIT_CN: the packet went out, and the queue is full */
const net_xmit_eval = (e: number): number => (e === NET_XMIT_CN ? 0 : e)

/**
 * Writes the header in front of the data and hands the packet to IP. `clone_it`: the buffer stays in a queue, a clone goes out.
 */
const __tcp_transmit_skb = kfunc(
  '__tcp_transmit_skb',
  (sk: sock, skb: sk_buff, clone_it: number, gfp_mask: number, rcv_nxt: number): number => {
    const icsk = inet_csk(sk)
    const tp = tcp_sk(sk)
    let oskb: sk_buff | null = null
    const prior_wstamp = tp.tcp_wstamp_ns
    if (tp.tcp_clock_cache > tp.tcp_wstamp_ns) tp.tcp_wstamp_ns = tp.tcp_clock_cache
    skb_set_delivery_time(skb, tp.tcp_wstamp_ns, SKB_CLOCK_MONOTONIC)
    if (clone_it) {
      oskb = skb
      const copy = skb_cloned(oskb) ? pskb_copy(oskb, gfp_mask) : skb_clone(oskb, gfp_mask)
      if (copy === null) return -ENOBUFS
      skb = copy
      skb.dev = null
    }
    const inet = inet_sk(sk)
    const tcb: tcp_skb_cb = TCP_SKB_CB(skb)
    const opts = scratch_opts
    const key = scratch_key
    opts.clear()
    tcp_get_current_key(sk, key)
    let tcp_options_size: number
    if (tcb.tcp_flags & TCPHDR_SYN) {
      tcp_options_size = tcp_syn_options(sk, skb, opts, key)
    } else {
      tcp_options_size = tcp_established_options(sk, skb, opts, key)
      // several segments in one: the receiver's GRO need not wait for more
      if (tcp_skb_pcount(skb) > 1) tcb.tcp_flags |= TCPHDR_PSH
    }
    const tcp_header_size = tcp_options_size + TCPHDR_LEN
    skb.ooo_okay = sk_wmem_alloc_get(sk) < SKB_TRUESIZE(1) || tcp_rtx_queue_empty(sk) ? 1 : 0
    skb.pfmemalloc = 0
    skb_push(skb, tcp_header_size)
    skb_reset_transport_header(skb)
    skb_orphan(skb)
    skb.sk = sk
    skb.destructor = skb_is_tcp_pure_ack(skb) ? __sock_wfree : tcp_wfree
    sk.sk_wmem_alloc += skb.truesize
    skb_set_dst_pending_confirm(skb, sk.sk_dst_pending_confirm)
    const th = new tcphdr(skb.head.bytes, skb.data)
    th.source = inet.inet_sport
    th.dest = inet.inet_dport
    th.seq = tcb.seq
    th.ack_seq = rcv_nxt
    th.bytes[th.off + 12] = (tcp_header_size >> 2) << 4
    th.flags = tcb.tcp_flags
    th.check = 0
    th.urg_ptr = 0
    if (tcp_urg_mode(tp) && before(tcb.seq, tp.snd_up)) {
      if (before(tp.snd_up, (tcb.seq + 0x10000) >>> 0)) {
        th.urg_ptr = tp.snd_up - tcb.seq
        th.urg = 1
      } else if (after((tcb.seq + 0xffff) >>> 0, tp.snd_nxt)) {
        th.urg_ptr = 0xffff
        th.urg = 1
      }
    }
    skb_shinfo(skb).gso_type = sk.sk_gso_type
    if (!(tcb.tcp_flags & TCPHDR_SYN)) {
      th.window = tcp_select_window(sk)
      tcp_ecn_send(sk, skb, th, tcp_header_size)
    } else {
      // never scaled in a SYN
      th.window = Math.min(tp.rcv_wnd, 65535)
    }
    tcp_options_write(th, tp, null, opts, key)
    bpf_skops_write_hdr_opt(sk, skb, null, null, 0, opts)
    if (tracer.on) traceIndirect('icsk->icsk_af_ops->send_check', nameOf(icsk.icsk_af_ops.send_check))
    icsk.icsk_af_ops.send_check(sk, skb)
    if (tcb.tcp_flags & TCPHDR_ACK) tcp_event_ack_sent(sk, rcv_nxt)
    if (skb.len !== tcp_header_size) {
      tcp_event_data_sent(tp, sk)
      tp.data_segs_out = (tp.data_segs_out + tcp_skb_pcount(skb)) >>> 0
      tp.bytes_sent += skb.len - tcp_header_size
    }
    if (after(tcb.end_seq, tp.snd_nxt) || tcb.seq === tcb.end_seq) sock_net(sk).mib.tcp.OutSegs += tcp_skb_pcount(skb)
    tp.segs_out = (tp.segs_out + tcp_skb_pcount(skb)) >>> 0
    skb_set_hash_from_sk(skb, sk)
    skb_shinfo(skb).gso_segs = tcp_skb_pcount(skb)
    skb_shinfo(skb).gso_size = tcp_skb_mss(skb)
    // what IP finds in skb->cb is its own
    skb.inet_cb = null
    tcp_add_tx_delay(skb, tp)
    if (tracer.on) traceIndirect('icsk->icsk_af_ops->queue_xmit', nameOf(icsk.icsk_af_ops.queue_xmit))
    let err = icsk.icsk_af_ops.queue_xmit(sk, skb, inet.cork.fl)
    if (err > 0) {
      tcp_enter_cwr(sk)
      err = net_xmit_eval(err)
    }
    if (!err && oskb !== null) {
      tcp_update_skb_after_send(sk, oskb, prior_wstamp)
      tcp_rate_skb_sent(sk, oskb)
    }
    return err
  },
)

const tcp_transmit_skb = kfunc('tcp_transmit_skb', (sk: sock, skb: sk_buff, clone_it: number, gfp_mask: number): number =>
  __tcp_transmit_skb(sk, skb, clone_it, gfp_mask, tcp_sk(sk).rcv_nxt),
)

const tcp_queue_skb = kfunc('tcp_queue_skb', (sk: sock, skb: sk_buff): void => {
  tcp_sk(sk).write_seq = TCP_SKB_CB(skb).end_seq
  __skb_header_release(skb)
  tcp_add_write_queue_tail(sk, skb)
  sk_wmem_queued_add(sk, skb.truesize)
  sk_mem_charge(sk, skb.truesize)
})

/** how many segments of `mss_now` bytes the buffer makes */
const tcp_set_skb_tso_segs = kfunc('tcp_set_skb_tso_segs', (skb: sk_buff, mss_now: number): number => {
  const tcb = TCP_SKB_CB(skb)
  if (skb.len <= mss_now) {
    tcb.tcp_gso_size = 0
    tcp_skb_pcount_set(skb, 1)
    return 1
  }
  tcb.tcp_gso_size = mss_now
  const tso_segs = DIV_ROUND_UP(skb.len, mss_now)
  tcp_skb_pcount_set(skb, tso_segs)
  return tso_segs
})

/** a sent buffer makes `decr` segments less than was counted */
const tcp_adjust_pcount = kfunc('tcp_adjust_pcount', (sk: sock, skb: sk_buff, decr: number): void => {
  const tp = tcp_sk(sk)
  const { sacked, seq } = TCP_SKB_CB(skb)
  tp.packets_out -= decr
  if (sacked & TCPCB_SACKED_ACKED) tp.sacked_out -= decr
  if (sacked & TCPCB_SACKED_RETRANS) tp.retrans_out -= decr
  if (sacked & TCPCB_LOST) tp.lost_out -= decr
  if (tcp_is_reno(tp) && decr > 0) tp.sacked_out -= Math.min(tp.sacked_out, decr)
  if (tp.lost_skb_hint !== null && before(seq, TCP_SKB_CB(tp.lost_skb_hint).seq) && sacked & TCPCB_SACKED_ACKED)
    tp.lost_cnt_hint -= decr
  tcp_verify_left_out(tp)
})

const tcp_has_tx_tstamp = (skb: sk_buff): boolean =>
  TCP_SKB_CB(skb).txstamp_ack !== 0 || (skb_shinfo(skb).tx_flags & SKBTX_ANY_TSTAMP) !== 0

const tcp_fragment_tstamp = kfunc('tcp_fragment_tstamp', (skb: sk_buff, skb2: sk_buff): void => {
  const shinfo = skb_shinfo(skb)
  if (tcp_has_tx_tstamp(skb) && !before(shinfo.tskey, TCP_SKB_CB(skb2).seq)) {
    const shinfo2 = skb_shinfo(skb2)
    const tsflags = shinfo.tx_flags & SKBTX_ANY_TSTAMP
    shinfo.tx_flags &= ~tsflags
    shinfo2.tx_flags |= tsflags
    const { tskey } = shinfo
    shinfo.tskey = shinfo2.tskey
    shinfo2.tskey = tskey
    TCP_SKB_CB(skb2).txstamp_ack = TCP_SKB_CB(skb).txstamp_ack
    TCP_SKB_CB(skb).txstamp_ack = 0
  }
})

const tcp_skb_fragment_eor = (skb: sk_buff, skb2: sk_buff): void => {
  TCP_SKB_CB(skb2).eor = TCP_SKB_CB(skb).eor
  TCP_SKB_CB(skb).eor = 0
}

const tcp_insert_write_queue_after = kfunc(
  'tcp_insert_write_queue_after',
  (skb: sk_buff, buff: sk_buff, sk: sock, tcp_queue: number): void => {
    if (tcp_queue === TCP_FRAG_IN_WRITE_QUEUE) __skb_queue_after(sk.sk_write_queue, skb, buff)
    else tcp_rbtree_insert(tcp_sk(sk).tcp_rtx_queue, buff)
  },
)

/** Cuts a queued buffer behind `len` bytes; the rest becomes a buffer of its own, next in the queue. */
export const tcp_fragment = kfunc(
  'tcp_fragment',
  (sk: sock, tcp_queue: number, skb: sk_buff, len: number, mss_now: number, gfp: number): number => {
    const tp = tcp_sk(sk)
    if (len > skb.len) return -EINVAL
    const limit = sk.sk_sndbuf + 2 * SKB_TRUESIZE(GSO_LEGACY_MAX_SIZE)
    if (
      sk.sk_wmem_queued >> 1 > limit &&
      tcp_queue !== TCP_FRAG_IN_WRITE_QUEUE &&
      skb !== tcp_rtx_queue_head(sk) &&
      skb !== tcp_rtx_queue_tail(sk)
    ) {
      sock_net(sk).mib.linux.TCPWqueueTooBig++
      return -ENOMEM
    }
    if (skb_unclone_keeptruesize(skb, gfp)) return -ENOMEM
    const buff = tcp_stream_alloc_skb(sk, gfp, true)
    if (buff === null) return -ENOMEM
    buff.decrypted = skb.decrypted
    sk_wmem_queued_add(sk, buff.truesize)
    sk_mem_charge(sk, buff.truesize)
    const nlen = skb.len - len
    buff.truesize += nlen
    skb.truesize -= nlen
    const tcb = TCP_SKB_CB(skb)
    const bcb = TCP_SKB_CB(buff)
    bcb.seq = (tcb.seq + len) >>> 0
    bcb.end_seq = tcb.end_seq
    tcb.end_seq = bcb.seq
    const flags = tcb.tcp_flags
    tcb.tcp_flags = flags & ~(TCPHDR_FIN | TCPHDR_PSH)
    bcb.tcp_flags = flags
    bcb.sacked = tcb.sacked
    tcp_skb_fragment_eor(skb, buff)
    skb_split(skb, buff, len)
    skb_set_delivery_time(buff, skb.tstamp, SKB_CLOCK_MONOTONIC)
    tcp_fragment_tstamp(skb, buff)
    const old_factor = tcp_skb_pcount(skb)
    tcp_set_skb_tso_segs(skb, mss_now)
    tcp_set_skb_tso_segs(buff, mss_now)
    Object.assign(bcb.tx, tcb.tx)
    if (!before(tp.snd_nxt, bcb.end_seq)) {
      const diff = old_factor - tcp_skb_pcount(skb) - tcp_skb_pcount(buff)
      if (diff) tcp_adjust_pcount(sk, skb, diff)
    }
    __skb_header_release(buff)
    tcp_insert_write_queue_after(skb, buff, sk, tcp_queue)
    if (tcp_queue === TCP_FRAG_IN_RTX_QUEUE) list_add(buff.tcp_tsorted_anchor, skb.tcp_tsorted_anchor)
    return 0
  },
)

/** drops `len` bytes from the front of a buffer that is all fragments */
const __pskb_trim_head = kfunc('__pskb_trim_head', (skb: sk_buff, len: number): number => {
  const shinfo = skb_shinfo(skb)
  const { frags } = shinfo
  let eat = len
  let k = 0
  for (let i = 0; i < frags.length; i++) {
    const frag = frags[i]
    if (frag === undefined) break
    if (frag.len <= eat) {
      eat -= frag.len
      skb_frag_unref(skb, i)
    } else {
      if (eat) {
        frag.offset += eat
        frag.len -= eat
        eat = 0
      }
      frags[k++] = frag
    }
  }
  frags.length = k
  skb.data_len -= len
  skb.len = skb.data_len
  return len
})

/** removes acknowledged bytes from the front of a sent buffer */
export const tcp_trim_head = kfunc('tcp_trim_head', (sk: sock, skb: sk_buff, len: number): number => {
  if (skb_unclone_keeptruesize(skb, GFP_ATOMIC)) return -ENOMEM
  const delta_truesize = __pskb_trim_head(skb, len)
  const tcb = TCP_SKB_CB(skb)
  tcb.seq = (tcb.seq + len) >>> 0
  skb.truesize -= delta_truesize
  sk_wmem_queued_add(sk, -delta_truesize)
  if (!skb_zcopy_pure(skb)) sk_mem_uncharge(sk, delta_truesize)
  if (tcp_skb_pcount(skb) > 1) tcp_set_skb_tso_segs(skb, tcp_skb_mss(skb))
  return 0
})

/** without TCP options */
const __tcp_mtu_to_mss = kfunc('__tcp_mtu_to_mss', (sk: sock, pmtu: number): number => {
  const tp = tcp_sk(sk)
  const icsk = inet_csk(sk)
  let mss_now = pmtu - icsk.icsk_af_ops.net_header_len - TCPHDR_LEN
  if (mss_now > tp.rx_opt.mss_clamp) mss_now = tp.rx_opt.mss_clamp
  mss_now -= icsk.icsk_ext_hdr_len
  return Math.max(mss_now, sock_net(sk).ipv4.sysctl_tcp_min_snd_mss)
})

/** without SACK blocks */
export const tcp_mtu_to_mss = kfunc(
  'tcp_mtu_to_mss',
  (sk: sock, pmtu: number): number => __tcp_mtu_to_mss(sk, pmtu) - (tcp_sk(sk).tcp_header_len - TCPHDR_LEN),
)

export const tcp_mss_to_mtu = kfunc('tcp_mss_to_mtu', (sk: sock, mss: number): number => {
  const icsk = inet_csk(sk)
  return mss + tcp_sk(sk).tcp_header_len + icsk.icsk_ext_hdr_len + icsk.icsk_af_ops.net_header_len
})

export const tcp_mtup_init = kfunc('tcp_mtup_init', (sk: sock): void => {
  const icsk = inet_csk(sk)
  const { ipv4 } = sock_net(sk)
  icsk.icsk_mtup.enabled = ipv4.sysctl_tcp_mtu_probing > 1 ? 1 : 0
  icsk.icsk_mtup.search_high = tcp_sk(sk).rx_opt.mss_clamp + TCPHDR_LEN + icsk.icsk_af_ops.net_header_len
  icsk.icsk_mtup.search_low = tcp_mss_to_mtu(sk, ipv4.sysctl_tcp_base_mss)
  icsk.icsk_mtup.probe_size = 0
  if (icsk.icsk_mtup.enabled) icsk.icsk_mtup.probe_timestamp = tcp_jiffies32()
})

/** Computes and keeps the segment size for a path MTU. */
export const tcp_sync_mss = kfunc('tcp_sync_mss', (sk: sock, pmtu: number): number => {
  const tp = tcp_sk(sk)
  const icsk = inet_csk(sk)
  if (icsk.icsk_mtup.search_high > pmtu) icsk.icsk_mtup.search_high = pmtu
  let mss_now = tcp_mtu_to_mss(sk, pmtu)
  mss_now = tcp_bound_to_half_wnd(tp, mss_now)
  icsk.icsk_pmtu_cookie = pmtu
  if (icsk.icsk_mtup.enabled) mss_now = Math.min(mss_now, tcp_mtu_to_mss(sk, icsk.icsk_mtup.search_low))
  tp.mss_cache = mss_now
  return mss_now
})

/** the payload of a segment, now: route, options and SACK blocks taken into account */
export const tcp_current_mss = kfunc('tcp_current_mss', (sk: sock): number => {
  const tp = tcp_sk(sk)
  const dst = __sk_dst_get(sk)
  let mss_now = tp.mss_cache
  if (dst !== null) {
    const mtu = dst_mtu(dst)
    if (mtu !== inet_csk(sk).icsk_pmtu_cookie) mss_now = tcp_sync_mss(sk, mtu)
  }
  tcp_get_current_key(sk, scratch_key)
  const header_len = tcp_established_options(sk, null, scratch_opts, scratch_key) + TCPHDR_LEN
  if (header_len !== tp.tcp_header_len) mss_now -= header_len - tp.tcp_header_len
  return mss_now
})

const tcp_cwnd_application_limited = kfunc('tcp_cwnd_application_limited', (sk: sock): void => {
  const tp = tcp_sk(sk)
  if (inet_csk(sk).icsk_ca_state === TCP_CA_Open && sk.sk_socket !== null && !(sk.sk_socket.flags & (1 << SOCK_NOSPACE))) {
    const init_win = tcp_init_cwnd(tp, __sk_dst_get(sk))
    const win_used = Math.max(tp.snd_cwnd_used, init_win)
    if (win_used < tcp_snd_cwnd(tp)) {
      tp.snd_ssthresh = tcp_current_ssthresh(sk)
      tcp_snd_cwnd_set(tp, (tcp_snd_cwnd(tp) + win_used) >>> 1)
    }
    tp.snd_cwnd_used = 0
  }
  tp.snd_cwnd_stamp = tcp_jiffies32()
})

const tcp_cwnd_validate = kfunc('tcp_cwnd_validate', (sk: sock, is_cwnd_limited: boolean): void => {
  const ca_ops = inet_csk(sk).icsk_ca_ops
  const tp = tcp_sk(sk)
  if (!before(tp.snd_una, tp.cwnd_usage_seq) || is_cwnd_limited || (!tp.is_cwnd_limited && tp.packets_out > tp.max_packets_out)) {
    tp.is_cwnd_limited = is_cwnd_limited ? 1 : 0
    tp.max_packets_out = tp.packets_out
    tp.cwnd_usage_seq = tp.snd_nxt
  }
  if (tcp_is_cwnd_limited(sk)) {
    tp.snd_cwnd_used = 0
    tp.snd_cwnd_stamp = tcp_jiffies32()
  } else {
    if (tp.packets_out > tp.snd_cwnd_used) tp.snd_cwnd_used = tp.packets_out
    if (
      sock_net(sk).ipv4.sysctl_tcp_slow_start_after_idle &&
      ((tcp_jiffies32() - tp.snd_cwnd_stamp) | 0) >= inet_csk(sk).icsk_rto &&
      !ca_ops.cong_control
    )
      tcp_cwnd_application_limited(sk)
    // all was sent, the window is open, and the program waits for buffer space: the buffer is too small
    if (
      tcp_write_queue_empty(sk) &&
      sk.sk_socket !== null &&
      sk.sk_socket.flags & (1 << SOCK_NOSPACE) &&
      (1 << sk.sk_state) & (TCPF_ESTABLISHED | TCPF_CLOSE_WAIT)
    )
      tcp_chrono_start(sk, TCP_CHRONO_SNDBUF_LIMITED)
  }
})

/** whether a segment smaller than the MSS is still unacknowledged */
const tcp_minshall_check = kfunc(
  'tcp_minshall_check',
  (tp: tcp_sock): boolean => after(tp.snd_sml, tp.snd_una) && !after(tp.snd_sml, tp.snd_nxt),
)

const tcp_minshall_update = kfunc('tcp_minshall_update', (tp: tcp_sock, mss_now: number, skb: sk_buff): void => {
  if (skb.len < tcp_skb_pcount(skb) * mss_now) tp.snd_sml = TCP_SKB_CB(skb).end_seq
})

/** true: a partial segment has to wait */
const tcp_nagle_check = kfunc(
  'tcp_nagle_check',
  (partial: boolean, tp: tcp_sock, nonagle: number): boolean =>
    partial && ((nonagle & TCP_NAGLE_CORK) !== 0 || (!nonagle && tp.packets_out !== 0 && tcp_minshall_check(tp))),
)

/** segments for about a millisecond at the pacing rate, more when the peer is near */
const tcp_tso_autosize = kfunc('tcp_tso_autosize', (sk: sock, mss_now: number, min_tso_segs: number): number => {
  let bytes = Math.floor(sk.sk_pacing_rate / 2 ** sk.sk_pacing_shift)
  const r = tcp_min_rtt(tcp_sk(sk)) >>> sock_net(sk).ipv4.sysctl_tcp_tso_rtt_log
  if (r < 32) bytes += sk.sk_gso_max_size >>> r
  bytes = Math.min(bytes, sk.sk_gso_max_size)
  return Math.max(Math.trunc(bytes / mss_now), min_tso_segs)
})

const tcp_tso_segs = kfunc('tcp_tso_segs', (sk: sock, mss_now: number): number => {
  const ca_ops = inet_csk(sk).icsk_ca_ops
  if (tracer.on && ca_ops.min_tso_segs) traceIndirect('ca_ops->min_tso_segs', nameOf(ca_ops.min_tso_segs))
  const min_tso = ca_ops.min_tso_segs ? ca_ops.min_tso_segs(sk) : sock_net(sk).ipv4.sysctl_tcp_min_tso_segs
  const tso_segs = tcp_tso_autosize(sk, mss_now, min_tso)
  const segs = Math.min(tso_segs, sk.sk_gso_max_segs)
  if (tracer.on)
    decide('tcp_tso_segs', `up to ${segs} segments in one packet`, {
      mss_now,
      segs,
      min_tso,
      gso_max_size: sk.sk_gso_max_size,
      pacing_rate: sk.sk_pacing_rate,
      min_rtt_us: tcp_min_rtt(tcp_sk(sk)),
    })
  return segs
})

/** how many bytes of the buffer go out now, when it has more than one segment */
const tcp_mss_split_point = kfunc(
  'tcp_mss_split_point',
  (sk: sock, skb: sk_buff, mss_now: number, max_segs: number, nonagle: number): number => {
    const tp = tcp_sk(sk)
    const window = (tcp_wnd_end(tp) - TCP_SKB_CB(skb).seq) >>> 0
    const max_len = mss_now * max_segs
    if (max_len <= window && skb !== tcp_write_queue_tail(sk)) return max_len
    const needed = Math.min(skb.len, window)
    if (max_len <= needed) return max_len
    const partial = needed % mss_now
    if (tcp_nagle_check(partial !== 0, tp, nonagle)) return needed - partial
    return needed
  },
)

/** segments that the congestion window leaves, at most half of it at once; 0: wait for ACKs */
const tcp_cwnd_test = kfunc('tcp_cwnd_test', (tp: tcp_sock): number => {
  const in_flight = tcp_packets_in_flight(tp)
  const cwnd = tcp_snd_cwnd(tp)
  const quota = in_flight >= cwnd ? 0 : Math.min(Math.max(cwnd >>> 1, 1), cwnd - in_flight)
  if (tracer.on)
    decide('tcp_cwnd_test', quota ? `congestion window allows ${quota} segments` : 'congestion window is full', {
      in_flight,
      cwnd,
    })
  return quota
})

const tcp_init_tso_segs = kfunc('tcp_init_tso_segs', (skb: sk_buff, mss_now: number): number => {
  const tso_segs = tcp_skb_pcount(skb)
  if (!tso_segs || (tso_segs > 1 && tcp_skb_mss(skb) !== mss_now)) return tcp_set_skb_tso_segs(skb, mss_now)
  return tso_segs
})

/** Nagle's rule: true when the segment may go */
const tcp_nagle_test = kfunc('tcp_nagle_test', (tp: tcp_sock, skb: sk_buff, cur_mss: number, nonagle: number): boolean => {
  const go =
    (nonagle & TCP_NAGLE_PUSH) !== 0 ||
    tcp_urg_mode(tp) ||
    (TCP_SKB_CB(skb).tcp_flags & TCPHDR_FIN) !== 0 ||
    !tcp_nagle_check(skb.len < cur_mss, tp, nonagle)
  if (tracer.on)
    decide(
      'tcp_nagle_test',
      go ? 'goes out' : nonagle & TCP_NAGLE_CORK ? 'held back: corked' : 'held back: a small segment is unacknowledged',
      {
        len: skb.len,
        mss: cur_mss,
        nonagle,
        packets_out: tp.packets_out,
      },
    )
  return go
})

const tcp_snd_wnd_test = kfunc('tcp_snd_wnd_test', (tp: tcp_sock, skb: sk_buff, cur_mss: number): boolean => {
  let { end_seq } = TCP_SKB_CB(skb)
  if (skb.len > cur_mss) end_seq = (TCP_SKB_CB(skb).seq + cur_mss) >>> 0
  const fits = !after(end_seq, tcp_wnd_end(tp))
  if (tracer.on)
    decide('tcp_snd_wnd_test', fits ? "fits the receiver's window" : "beyond the receiver's window", {
      len: skb.len,
      mss: cur_mss,
      window_left: (tcp_wnd_end(tp) - TCP_SKB_CB(skb).seq) | 0,
      snd_wnd: tp.snd_wnd,
    })
  return fits
})

/** cuts a buffer that was never sent */
const tso_fragment = kfunc('tso_fragment', (sk: sock, skb: sk_buff, len: number, mss_now: number, gfp: number): number => {
  const nlen = skb.len - len
  const buff = tcp_stream_alloc_skb(sk, gfp, true)
  if (buff === null) return -ENOMEM
  buff.decrypted = skb.decrypted
  sk_wmem_queued_add(sk, buff.truesize)
  sk_mem_charge(sk, buff.truesize)
  buff.truesize += nlen
  skb.truesize -= nlen
  const tcb = TCP_SKB_CB(skb)
  const bcb = TCP_SKB_CB(buff)
  bcb.seq = (tcb.seq + len) >>> 0
  bcb.end_seq = tcb.end_seq
  tcb.end_seq = bcb.seq
  const flags = tcb.tcp_flags
  tcb.tcp_flags = flags & ~(TCPHDR_FIN | TCPHDR_PSH)
  bcb.tcp_flags = flags
  tcp_skb_fragment_eor(skb, buff)
  skb_split(skb, buff, len)
  tcp_fragment_tstamp(skb, buff)
  tcp_set_skb_tso_segs(skb, mss_now)
  tcp_set_skb_tso_segs(buff, mss_now)
  __skb_header_release(buff)
  tcp_insert_write_queue_after(skb, buff, sk, TCP_FRAG_IN_WRITE_QUEUE)
  return 0
})

/** true: wait for an ACK that will let a larger packet go */
const tcp_tso_should_defer = kfunc(
  'tcp_tso_should_defer',
  (sk: sock, skb: sk_buff, is_cwnd_limited: ref<boolean>, is_rwnd_limited: ref<boolean>, max_segs: number): boolean => {
    const icsk = inet_csk(sk)
    const tp = tcp_sk(sk)
    if (icsk.icsk_ca_state >= TCP_CA_Recovery) return false
    // not for longer than a millisecond
    if (tp.tcp_clock_cache - tp.tcp_wstamp_ns - NSEC_PER_MSEC > 0) return false
    const in_flight = tcp_packets_in_flight(tp)
    const send_win = (tcp_wnd_end(tp) - TCP_SKB_CB(skb).seq) >>> 0
    const cong_win = (tcp_snd_cwnd(tp) - in_flight) * tp.mss_cache
    const limit = Math.min(send_win, cong_win)
    if (limit >= max_segs * tp.mss_cache) return false
    if (skb !== tcp_write_queue_tail(sk) && limit >= skb.len) return false
    const win_divisor = sock_net(sk).ipv4.sysctl_tcp_tso_win_divisor
    if (win_divisor) {
      const chunk = Math.trunc(Math.min(tp.snd_wnd, tcp_snd_cwnd(tp) * tp.mss_cache) / win_divisor)
      if (limit >= chunk) return false
    } else if (limit > tcp_max_tso_deferred_mss(tp) * tp.mss_cache) return false
    const head = tcp_rtx_queue_head(sk)
    if (head === null) return false
    const srtt_in_ns = (NSEC_PER_USEC >> 3) * tp.srtt_us
    const how_far_is_the_ack = head.tstamp + srtt_in_ns - tp.tcp_clock_cache
    const threshold = Math.min(Math.floor(srtt_in_ns / 2), NSEC_PER_MSEC)
    if (how_far_is_the_ack - threshold > 0) return false
    if (tracer.on) decide('tcp_tso_should_defer', 'an ACK is near', { limit, len: skb.len, ack_in_ns: how_far_is_the_ack })
    if (cong_win < send_win) {
      if (cong_win <= skb.len) {
        is_cwnd_limited.v = true
        return true
      }
    } else if (send_win <= skb.len) {
      is_rwnd_limited.v = true
      return true
    }
    return !(TCP_SKB_CB(skb).tcp_flags & TCPHDR_FIN || TCP_SKB_CB(skb).eor)
  },
)

const tcp_mtu_check_reprobe = kfunc('tcp_mtu_check_reprobe', (sk: sock): void => {
  const icsk = inet_csk(sk)
  const interval = sock_net(sk).ipv4.sysctl_tcp_probe_interval
  const delta = (tcp_jiffies32() - icsk.icsk_mtup.probe_timestamp) | 0
  if (delta >= interval * HZ) {
    const mss = tcp_current_mss(sk)
    icsk.icsk_mtup.probe_size = 0
    icsk.icsk_mtup.search_high = tcp_sk(sk).rx_opt.mss_clamp + TCPHDR_LEN + icsk.icsk_af_ops.net_header_len
    icsk.icsk_mtup.search_low = tcp_mss_to_mtu(sk, mss)
    icsk.icsk_mtup.probe_timestamp = tcp_jiffies32()
  }
})

const tcp_can_coalesce_send_queue_head = kfunc('tcp_can_coalesce_send_queue_head', (sk: sock, len: number): boolean => {
  for (let skb = tcp_send_head(sk); skb !== null; skb = skb.next) {
    if (len <= skb.len) break
    if (skb.next === null || tcp_has_tx_tstamp(skb) || !tcp_skb_can_collapse(skb, skb.next)) return false
    len -= skb.len
  }
  return true
})

/** the first `probe_size` bytes of the write queue as fragments of one buffer; the bytes stay where they are */
const tcp_clone_payload = kfunc('tcp_clone_payload', (sk: sock, to: sk_buff, probe_size: number): number => {
  const shinfo = skb_shinfo(to)
  const frags: skb_frag[] = []
  let lastfrag: skb_frag | undefined
  let len = 0
  if (!sk_wmem_schedule(sk, to.truesize + probe_size)) return -ENOMEM
  for (let skb = sk.sk_write_queue.first; skb !== null && len < probe_size; skb = skb.next) {
    if (skb_headlen(skb)) return -EINVAL
    for (const from of skb_shinfo(skb).frags) {
      if (len >= probe_size) break
      const todo = Math.min(from.len, probe_size - len)
      len += todo
      shinfo.flags |= skb_shinfo(skb).flags & SKBFL_SHARED_FRAG
      if (lastfrag !== undefined && from.page === lastfrag.page && from.offset === lastfrag.offset + lastfrag.len) {
        lastfrag.len += todo
        continue
      }
      if (frags.length === MAX_SKB_FRAGS) return -E2BIG
      lastfrag = { page: from.page, offset: from.offset, len: todo }
      frags.push(lastfrag)
    }
  }
  for (const frag of frags) shinfo.frags.push(frag)
  for (let i = 0; i < frags.length; i++) skb_frag_ref(to, i)
  to.truesize += probe_size
  to.len += probe_size
  to.data_len += probe_size
  __skb_header_release(to)
  return 0
})

/** all bytes of `src` have moved to `dst`: flags and timestamps follow, and it is freed */
const tcp_eat_one_skb = kfunc('tcp_eat_one_skb', (sk: sock, dst: sk_buff, src: sk_buff): void => {
  TCP_SKB_CB(dst).tcp_flags |= TCP_SKB_CB(src).tcp_flags
  TCP_SKB_CB(dst).eor = TCP_SKB_CB(src).eor
  tcp_skb_collapse_tstamp(dst, src)
  tcp_unlink_write_queue(src, sk)
  tcp_wmem_free_skb(sk, src)
})

/** 1: a larger packet was sent to try the path; 0: wait, the window is too full for one; -1: no probe now */
const tcp_mtu_probe = kfunc('tcp_mtu_probe', (sk: sock): number => {
  const icsk = inet_csk(sk)
  const tp = tcp_sk(sk)
  const mtup = icsk.icsk_mtup
  if (
    !mtup.enabled ||
    mtup.probe_size ||
    icsk.icsk_ca_state !== TCP_CA_Open ||
    tcp_snd_cwnd(tp) < 11 ||
    tp.rx_opt.num_sacks ||
    tp.rx_opt.dsack
  )
    return -1
  const mss_now = tcp_current_mss(sk)
  const probe_size = tcp_mtu_to_mss(sk, (mtup.search_high + mtup.search_low) >> 1)
  const size_needed = probe_size + (tp.reordering + 1) * tp.mss_cache
  const interval = mtup.search_high - mtup.search_low
  if (probe_size > tcp_mtu_to_mss(sk, mtup.search_high) || interval < sock_net(sk).ipv4.sysctl_tcp_probe_threshold) {
    tcp_mtu_check_reprobe(sk)
    return -1
  }
  if ((tp.write_seq - tp.snd_nxt) >>> 0 < size_needed) return -1
  if (tp.snd_wnd < size_needed) return -1
  if (after((tp.snd_nxt + size_needed) >>> 0, tcp_wnd_end(tp))) return 0
  if (tcp_packets_in_flight(tp) + 2 > tcp_snd_cwnd(tp)) return tcp_packets_in_flight(tp) ? 0 : -1
  if (!tcp_can_coalesce_send_queue_head(sk, probe_size)) return -1
  const nskb = tcp_stream_alloc_skb(sk, GFP_ATOMIC, false)
  if (nskb === null) return -1
  if (tcp_clone_payload(sk, nskb, probe_size)) {
    tcp_skb_tsorted_anchor_cleanup(nskb)
    consume_skb(nskb)
    return -1
  }
  sk_wmem_queued_add(sk, nskb.truesize)
  sk_mem_charge(sk, nskb.truesize)
  const head = tcp_send_head(sk)
  if (head === null) return -1
  nskb.decrypted = head.decrypted
  const ncb = TCP_SKB_CB(nskb)
  ncb.seq = TCP_SKB_CB(head).seq
  ncb.end_seq = (ncb.seq + probe_size) >>> 0
  ncb.tcp_flags = TCPHDR_ACK
  tcp_insert_write_queue_before(nskb, head, sk)
  tcp_highest_sack_replace(sk, head, nskb)
  let len = 0
  for (let skb: sk_buff | null = head, next: sk_buff | null; skb !== null; skb = next) {
    next = skb.next
    const copy = Math.min(skb.len, probe_size - len)
    if (skb.len <= copy) {
      tcp_eat_one_skb(sk, nskb, skb)
    } else {
      ncb.tcp_flags |= TCP_SKB_CB(skb).tcp_flags & ~(TCPHDR_FIN | TCPHDR_PSH)
      __pskb_trim_head(skb, copy)
      tcp_set_skb_tso_segs(skb, mss_now)
      TCP_SKB_CB(skb).seq = (TCP_SKB_CB(skb).seq + copy) >>> 0
    }
    len += copy
    if (len >= probe_size) break
  }
  tcp_init_tso_segs(nskb, nskb.len)
  if (!tcp_transmit_skb(sk, nskb, 1, GFP_ATOMIC)) {
    // it counts for two
    tcp_snd_cwnd_set(tp, tcp_snd_cwnd(tp) - 1)
    tcp_event_new_data_sent(sk, nskb)
    mtup.probe_size = tcp_mss_to_mtu(sk, nskb.len)
    tp.mtu_probe.probe_seq_start = ncb.seq
    tp.mtu_probe.probe_seq_end = ncb.end_seq
    return 1
  }
  return -1
})

/** true: too early for the next packet; a timer will go on */
const tcp_pacing_check = kfunc('tcp_pacing_check', (sk: sock): boolean => {
  const tp = tcp_sk(sk)
  if (!tcp_needs_internal_pacing(sk)) return false
  if (tp.tcp_wstamp_ns <= tp.tcp_clock_cache) return false
  if (tracer.on)
    decide('tcp_pacing_check', 'paced', { wait_ns: tp.tcp_wstamp_ns - tp.tcp_clock_cache, pacing_rate: sk.sk_pacing_rate })
  if (!hrtimer_is_queued(tp.pacing_timer)) {
    hrtimer_start(tp.pacing_timer, tp.tcp_wstamp_ns, HRTIMER_MODE_ABS_PINNED_SOFT)
    sock_hold(sk)
  }
  return true
})

const tcp_rtx_queue_empty_or_single_skb = kfunc('tcp_rtx_queue_empty_or_single_skb', (sk: sock): boolean => {
  const node = (tcp_sk(sk).tcp_rtx_queue as rb_root<sk_buff>).rb_node
  return node === null || (node.rb_left === null && node.rb_right === null)
})

/** true: enough of this socket's bytes lie in queues and devices below; wait until some are gone */
const tcp_small_queue_check = kfunc('tcp_small_queue_check', (sk: sock, skb: sk_buff, factor: number): boolean => {
  let limit = Math.max(2 * skb.truesize, Math.floor(sk.sk_pacing_rate / 2 ** sk.sk_pacing_shift))
  if (sk.sk_pacing_status === SK_PACING_NONE) limit = Math.min(limit, sock_net(sk).ipv4.sysctl_tcp_limit_output_bytes)
  limit *= 2 ** factor
  if (tcp_tx_delay_enabled.on && tcp_sk(sk).tcp_tx_delay)
    limit += Math.floor((sk.sk_pacing_rate * tcp_sk(sk).tcp_tx_delay) / 2 ** 19)
  if (sk.sk_wmem_alloc > limit) {
    // with one packet out at most, do not rely on its completion to come back
    if (tcp_rtx_queue_empty_or_single_skb(sk)) return false
    sk.sk_tsq_flags |= 1 << TSQ_THROTTLED
    if (tracer.on) decide('tcp_small_queue_check', 'throttled: too much is queued below', { wmem_alloc: sk.sk_wmem_alloc, limit })
    return true
  }
  if (tracer.on) decide('tcp_small_queue_check', 'little is queued below', { wmem_alloc: sk.sk_wmem_alloc, limit })
  return false
})

const tcp_chrono_set = kfunc('tcp_chrono_set', (tp: tcp_sock, new_: number): void => {
  const now = tcp_jiffies32()
  const old = tp.chrono_type
  if (old > TCP_CHRONO_UNSPEC) tp.chrono_stat[old - 1] = (tp.chrono_stat[old - 1] ?? 0) + ((now - tp.chrono_start) >>> 0)
  tp.chrono_start = now
  tp.chrono_type = new_
})

export const tcp_chrono_start = kfunc('tcp_chrono_start', (sk: sock, type: number): void => {
  const tp = tcp_sk(sk)
  if (type > tp.chrono_type) tcp_chrono_set(tp, type)
})

export const tcp_chrono_stop = kfunc('tcp_chrono_stop', (sk: sock, type: number): void => {
  const tp = tcp_sk(sk)
  if (tcp_rtx_and_write_queues_empty(sk)) tcp_chrono_set(tp, TCP_CHRONO_UNSPEC)
  else if (type === tp.chrono_type) tcp_chrono_set(tp, TCP_CHRONO_BUSY)
})

/** the first buffer is smaller than what may be sent at once: takes up to `amount` bytes from the second */
const tcp_grow_skb = kfunc('tcp_grow_skb', (sk: sock, skb: sk_buff, amount: number): void => {
  const next_skb = skb.next
  if (tcp_skb_is_last(sk, skb) || next_skb === null) return
  if (!tcp_skb_can_collapse(skb, next_skb)) return
  const nlen = Math.min(amount, next_skb.len)
  if (!nlen || !skb_shift(skb, next_skb, nlen)) return
  const tcb = TCP_SKB_CB(skb)
  const ncb = TCP_SKB_CB(next_skb)
  tcb.end_seq = (tcb.end_seq + nlen) >>> 0
  ncb.seq = (ncb.seq + nlen) >>> 0
  if (!next_skb.len) {
    tcb.end_seq = ncb.end_seq
    tcp_eat_one_skb(sk, skb, next_skb)
  }
})

/**
 * Sends what is in the write queue, as far as windows, Nagle's rule and the queues below allow. `push_one`: one packet at most; 2
 * sends it although the congestion window is full.
 * @returns true when nothing is in flight and something is queued that cannot go: the caller arms the probe timer
 */
const tcp_write_xmit = kfunc(
  'tcp_write_xmit',
  (sk: sock, mss_now: number, nonagle: number, push_one: number, gfp: number): boolean => {
    const tp = tcp_sk(sk)
    let sent_pkts = 0
    const is_cwnd_limited: ref<boolean> = { v: false }
    const is_rwnd_limited: ref<boolean> = { v: false }
    tcp_mstamp_refresh(tp)
    if (!push_one) {
      const result = tcp_mtu_probe(sk)
      if (result === 0) return false
      if (result > 0) sent_pkts = 1
    }
    const max_segs = tcp_tso_segs(sk, mss_now)
    for (let skb = tcp_send_head(sk); skb !== null; skb = tcp_send_head(sk)) {
      if (tp.repair && tp.repair_queue === TCP_SEND_QUEUE) {
        // a connection that is being restored: as if sent
        tp.tcp_wstamp_ns = tp.tcp_clock_cache
        skb_set_delivery_time(skb, tp.tcp_wstamp_ns, SKB_CLOCK_MONOTONIC)
        list_move_tail(skb.tcp_tsorted_anchor, tp.tsorted_sent_queue)
        tcp_init_tso_segs(skb, mss_now)
      } else {
        if (tcp_pacing_check(sk)) break
        let cwnd_quota = tcp_cwnd_test(tp)
        if (!cwnd_quota) {
          if (push_one !== 2) break
          cwnd_quota = 1
        }
        cwnd_quota = Math.min(cwnd_quota, max_segs)
        const missing_bytes = cwnd_quota * mss_now - skb.len
        if (missing_bytes > 0) tcp_grow_skb(sk, skb, missing_bytes)
        const tso_segs = tcp_set_skb_tso_segs(skb, mss_now)
        if (!tcp_snd_wnd_test(tp, skb, mss_now)) {
          is_rwnd_limited.v = true
          break
        }
        if (tso_segs === 1) {
          if (!tcp_nagle_test(tp, skb, mss_now, tcp_skb_is_last(sk, skb) ? nonagle : TCP_NAGLE_PUSH)) break
        } else if (!push_one && tcp_tso_should_defer(sk, skb, is_cwnd_limited, is_rwnd_limited, max_segs)) break
        let limit = mss_now
        if (tso_segs > 1 && !tcp_urg_mode(tp)) limit = tcp_mss_split_point(sk, skb, mss_now, cwnd_quota, nonagle)
        if (skb.len > limit && tso_fragment(sk, skb, limit, mss_now, gfp)) break
        if (tcp_small_queue_check(sk, skb, 0)) break
        // a buffer that sendmsg() has just made, and waits for memory to fill
        if (TCP_SKB_CB(skb).end_seq === TCP_SKB_CB(skb).seq) break
        if (tcp_transmit_skb(sk, skb, 1, gfp)) break
      }
      tcp_event_new_data_sent(sk, skb)
      tcp_minshall_update(tp, mss_now, skb)
      sent_pkts += tcp_skb_pcount(skb)
      if (push_one) break
    }
    if (is_rwnd_limited.v) tcp_chrono_start(sk, TCP_CHRONO_RWND_LIMITED)
    else tcp_chrono_stop(sk, TCP_CHRONO_RWND_LIMITED)
    const cwnd_limited = is_cwnd_limited.v || tcp_packets_in_flight(tp) >= tcp_snd_cwnd(tp)
    if (sent_pkts || cwnd_limited) tcp_cwnd_validate(sk, cwnd_limited)
    if (sent_pkts) {
      if (tcp_in_cwnd_reduction(sk)) tp.prr_out += sent_pkts
      if (push_one !== 2) tcp_schedule_loss_probe(sk, false)
      return false
    }
    return !tp.packets_out && !tcp_write_queue_empty(sk)
  },
)

const tcp_schedule_loss_probe_part_0 = kfunc('tcp_schedule_loss_probe.part.0', (sk: sock, advancing_rto: boolean): boolean => {
  const icsk = inet_csk(sk)
  const tp = tcp_sk(sk)
  const early_retrans = sock_net(sk).ipv4.sysctl_tcp_early_retrans
  if (
    (early_retrans !== 3 && early_retrans !== 4) ||
    !tp.packets_out ||
    !tcp_is_sack(tp) ||
    (icsk.icsk_ca_state !== TCP_CA_Open && icsk.icsk_ca_state !== TCP_CA_CWR)
  )
    return false
  let timeout: number
  if (tp.srtt_us) {
    // two round trips; one segment alone may also be waiting for its delayed ACK
    let timeout_us = tp.srtt_us >>> 2
    if (tp.packets_out === 1) timeout_us += tcp_rto_min_us(sk)
    else timeout_us += TCP_TIMEOUT_MIN_US
    timeout = usecs_to_jiffies(timeout_us)
  } else {
    timeout = TCP_TIMEOUT_INIT
  }
  const rto_delta_us = advancing_rto ? jiffies_to_usecs(icsk.icsk_rto) : tcp_rto_delta_us(sk)
  // an u32 in Linux: a timeout that is overdue counts as far away
  const delta = rto_delta_us >>> 0
  if (delta > 0) timeout = Math.min(timeout, usecs_to_jiffies(delta))
  if (tracer.on)
    decide('tcp_schedule_loss_probe', `probe in ${timeout} jiffies`, {
      timeout,
      srtt_us: tp.srtt_us >>> 3,
      packets_out: tp.packets_out,
      rto: icsk.icsk_rto,
    })
  tcp_reset_xmit_timer(sk, ICSK_TIME_LOSS_PROBE, timeout, TCP_RTO_MAX)
  return true
})

export const tcp_schedule_loss_probe = kfunc('tcp_schedule_loss_probe', (sk: sock, advancing_rto: boolean): boolean => {
  if (tcp_sk(sk).fastopen_rsk !== null) return false
  return tcp_schedule_loss_probe_part_0(sk, advancing_rto)
})

const skb_still_in_host_queue = kfunc('skb_still_in_host_queue', (sk: sock, skb: sk_buff): boolean => {
  if (!skb_fclone_busy(sk, skb)) return false
  sk.sk_tsq_flags |= 1 << TSQ_THROTTLED
  sock_net(sk).mib.linux.TCPSpuriousRtxHostQueues++
  return true
})

/** the tail may be lost: sends something, so that an ACK tells */
export const tcp_send_loss_probe = kfunc('tcp_send_loss_probe', (sk: sock): void => {
  const tp = tcp_sk(sk)
  const mss = tcp_current_mss(sk)
  if (tp.tlp_high_seq) {
    tcp_rearm_rto(sk)
    return
  }
  tp.tlp_retrans = 0
  const head = tcp_send_head(sk)
  if (head !== null && tcp_snd_wnd_test(tp, head, mss)) {
    const pcount = tp.packets_out
    tcp_write_xmit(sk, mss, TCP_NAGLE_OFF, 2, GFP_ATOMIC)
    if (tp.packets_out <= pcount) {
      tcp_rearm_rto(sk)
      return
    }
  } else {
    let skb = skb_rb_last(tp.tcp_rtx_queue)
    if (skb === null) {
      inet_csk(sk).icsk_pending = 0
      return
    }
    if (skb_still_in_host_queue(sk, skb)) {
      tcp_rearm_rto(sk)
      return
    }
    const pcount = tcp_skb_pcount(skb)
    if (!pcount) {
      tcp_rearm_rto(sk)
      return
    }
    if (pcount > 1 && skb.len > (pcount - 1) * mss) {
      if (tcp_fragment(sk, TCP_FRAG_IN_RTX_QUEUE, skb, (pcount - 1) * mss, mss, GFP_ATOMIC)) {
        tcp_rearm_rto(sk)
        return
      }
      skb = skb_rb_next(skb)
    }
    if (skb === null || !tcp_skb_pcount(skb) || __tcp_retransmit_skb(sk, skb, 1)) {
      tcp_rearm_rto(sk)
      return
    }
    tp.tlp_retrans = 1
  }
  tp.tlp_high_seq = tp.snd_nxt
  sock_net(sk).mib.linux.TCPLossProbes++
  inet_csk(sk).icsk_pending = 0
  tcp_rearm_rto(sk)
})

export const __tcp_push_pending_frames = kfunc(
  '__tcp_push_pending_frames',
  (sk: sock, cur_mss: number, nonagle: number): void => {
    if (sk.sk_state === TCP_CLOSE) return
    if (tcp_write_xmit(sk, cur_mss, nonagle, 0, sk_gfp_mask(sk, GFP_ATOMIC))) tcp_check_probe_timer(sk)
  },
)

/** sends the first buffer alone */
export const tcp_push_one = kfunc('tcp_push_one', (sk: sock, mss_now: number): void => {
  tcp_write_xmit(sk, mss_now, TCP_NAGLE_PUSH, 1, sk.sk_allocation)
})

/** how many bytes the receiver should offer, before scaling: what fits the buffer, in steps that are worth telling */
export const __tcp_select_window = kfunc('__tcp_select_window', (sk: sock): number => {
  const icsk = inet_csk(sk)
  const tp = tcp_sk(sk)
  const net = sock_net(sk)
  const scale = 1 << tp.rx_opt.rcv_wscale
  let mss = icsk.icsk_ack.rcv_mss
  let free_space = tcp_space(sk)
  const allowed_space = tcp_full_space(sk)
  const full_space = Math.min(tp.window_clamp, allowed_space)
  if (mss > full_space) {
    mss = full_space
    if (mss <= 0) return 0
  }
  if (net.ipv4.sysctl_tcp_shrink_window && tp.rx_opt.rcv_wscale) {
    free_space = rounddown(free_space, scale)
    if (free_space < full_space >> 1) {
      icsk.icsk_ack.quick = 0
      if (tcp_under_memory_pressure(sk)) tcp_adjust_rcv_ssthresh(sk)
      if (free_space < allowed_space >> 4 || free_space < mss || free_space < scale) return 0
    }
    if (free_space > tp.rcv_ssthresh) free_space = ALIGN(tp.rcv_ssthresh, scale)
    return free_space
  }
  if (free_space < full_space >> 1) {
    icsk.icsk_ack.quick = 0
    if (tcp_under_memory_pressure(sk)) tcp_adjust_rcv_ssthresh(sk)
    free_space = rounddown(free_space, scale)
    if (free_space < allowed_space >> 4 || free_space < mss) {
      if (tracer.on) decide('__tcp_select_window', 'no window: the buffer is nearly full', { free_space, full_space, mss })
      return 0
    }
  }
  if (free_space > tp.rcv_ssthresh) free_space = tp.rcv_ssthresh
  let window: number
  if (tp.rx_opt.rcv_wscale) {
    // rounded up, so that scaling does not lose the last bytes
    window = ALIGN(free_space, scale)
  } else {
    window = tp.rcv_wnd
    if (window <= free_space - mss || window > free_space) window = rounddown(free_space, mss)
    else if (mss === full_space && free_space > window + (full_space >> 1)) window = free_space
  }
  if (tracer.on)
    decide('__tcp_select_window', `offers ${window} bytes`, { free_space, full_space, rcv_ssthresh: tp.rcv_ssthresh, mss })
  return window
})

export const tcp_skb_collapse_tstamp = kfunc('tcp_skb_collapse_tstamp', (skb: sk_buff, next_skb: sk_buff): void => {
  if (tcp_has_tx_tstamp(next_skb)) {
    const next_shinfo = skb_shinfo(next_skb)
    const shinfo = skb_shinfo(skb)
    shinfo.tx_flags |= next_shinfo.tx_flags & SKBTX_ANY_TSTAMP
    shinfo.tskey = next_shinfo.tskey
    TCP_SKB_CB(skb).txstamp_ack |= TCP_SKB_CB(next_skb).txstamp_ack
  }
})

/** moves the bytes of the next sent buffer into this one, and frees it */
const tcp_collapse_retrans = kfunc('tcp_collapse_retrans', (sk: sock, skb: sk_buff): boolean => {
  const tp = tcp_sk(sk)
  const next_skb = skb_rb_next(skb)
  if (next_skb === null) return false
  const next_skb_size = next_skb.len
  if (next_skb_size && !tcp_skb_shift(skb, next_skb, 1, next_skb_size)) return false
  tcp_highest_sack_replace(sk, next_skb, skb)
  const tcb = TCP_SKB_CB(skb)
  const ncb = TCP_SKB_CB(next_skb)
  tcb.end_seq = ncb.end_seq
  tcb.tcp_flags |= ncb.tcp_flags
  tcb.sacked |= ncb.sacked & TCPCB_EVER_RETRANS
  tcb.eor = ncb.eor
  tcp_clear_retrans_hints_partial(tp)
  if (next_skb === tp.retransmit_skb_hint) tp.retransmit_skb_hint = skb
  tcp_adjust_pcount(sk, next_skb, tcp_skb_pcount(next_skb))
  tcp_skb_collapse_tstamp(skb, next_skb)
  tcp_rtx_queue_unlink_and_free(next_skb, sk)
  return true
})

const tcp_can_collapse = kfunc('tcp_can_collapse', (_sk: sock, skb: sk_buff): boolean => {
  if (tcp_skb_pcount(skb) > 1) return false
  if (skb_cloned(skb)) return false
  if (skb.unreadable) return false
  return (TCP_SKB_CB(skb).sacked & TCPCB_SACKED_ACKED) === 0
})

/** fills a segment that is sent again from those behind it */
const tcp_retrans_try_collapse = kfunc('tcp_retrans_try_collapse', (sk: sock, to: sk_buff, space: number): void => {
  const tp = tcp_sk(sk)
  let first = true
  if (!sock_net(sk).ipv4.sysctl_tcp_retrans_collapse) return
  if (TCP_SKB_CB(to).tcp_flags & TCPHDR_SYN) return
  for (let skb: sk_buff | null = to, next: sk_buff | null; skb !== null; skb = next) {
    next = skb_rb_next(skb)
    if (!tcp_can_collapse(sk, skb)) break
    if (!tcp_skb_can_collapse(to, skb)) break
    space -= skb.len
    if (first) {
      first = false
      continue
    }
    if (space < 0) break
    if (after(TCP_SKB_CB(skb).end_seq, tcp_wnd_end(tp))) break
    if (!tcp_collapse_retrans(sk, to)) break
  }
})

/** sends a buffer of the retransmit queue again, at most `segs` segments of it; below 0 or NET_XMIT_*: it did not go */
export const __tcp_retransmit_skb = kfunc('__tcp_retransmit_skb', (sk: sock, skb: sk_buff, segs: number): number => {
  const icsk = inet_csk(sk)
  const tp = tcp_sk(sk)
  const tcb = TCP_SKB_CB(skb)
  if (icsk.icsk_mtup.probe_size) icsk.icsk_mtup.probe_size = 0
  if (skb_still_in_host_queue(sk, skb)) return -EBUSY
  while (before(tcb.seq, tp.snd_una)) {
    if (tcb.tcp_flags & TCPHDR_SYN) {
      tcb.tcp_flags &= ~TCPHDR_SYN
      tcb.seq = (tcb.seq + 1) >>> 0
      continue
    }
    if (before(tcb.end_seq, tp.snd_una)) return -EINVAL
    if (tcp_trim_head(sk, skb, (tp.snd_una - tcb.seq) >>> 0)) return -ENOMEM
    break
  }
  if (tracer.on) traceIndirect('icsk->icsk_af_ops->rebuild_header', nameOf(icsk.icsk_af_ops.rebuild_header))
  if (icsk.icsk_af_ops.rebuild_header(sk)) return -EHOSTUNREACH
  const cur_mss = tcp_current_mss(sk)
  let avail_wnd = (tcp_wnd_end(tp) - tcb.seq) | 0
  if (avail_wnd <= 0) {
    // out of a window that shrank; the first one goes as a probe of it
    if (tcb.seq !== tp.snd_una) return -EAGAIN
    avail_wnd = cur_mss
  }
  let len = cur_mss * (tcp_urg_mode(tp) ? 1 : segs)
  if (len > avail_wnd) len = rounddown(avail_wnd, cur_mss) || avail_wnd
  if (skb.len > len) {
    if (tcp_fragment(sk, TCP_FRAG_IN_RTX_QUEUE, skb, len, cur_mss, GFP_ATOMIC)) return -ENOMEM
  } else {
    if (skb_unclone_keeptruesize(skb, GFP_ATOMIC)) return -ENOMEM
    let diff = tcp_skb_pcount(skb)
    tcp_set_skb_tso_segs(skb, cur_mss)
    diff -= tcp_skb_pcount(skb)
    if (diff) tcp_adjust_pcount(sk, skb, diff)
    avail_wnd = Math.min(avail_wnd, cur_mss)
    if (skb.len < avail_wnd) tcp_retrans_try_collapse(sk, skb, avail_wnd)
  }
  if ((tcb.tcp_flags & TCPHDR_SYN_ECN) === TCPHDR_SYN_ECN) tcp_ecn_clear_syn(sk, skb)
  segs = tcp_skb_pcount(skb)
  const { mib } = sock_net(sk)
  mib.tcp.RetransSegs += segs
  if (tcb.tcp_flags & TCPHDR_SYN) mib.linux.TCPSynRetrans++
  tp.total_retrans += segs
  tp.bytes_retrans += skb.len
  if (tracer.on)
    decide('__tcp_retransmit_skb', `sends ${segs} segments again`, { seq: tcb.seq, len: skb.len, ca_state: icsk.icsk_ca_state })
  let err: number
  if (skb_headroom(skb) >= 0xffff) {
    const nskb = __pskb_copy(skb, MAX_TCP_HEADER, GFP_ATOMIC)
    if (nskb !== null) {
      nskb.dev = null
      err = tcp_transmit_skb(sk, nskb, 0, GFP_ATOMIC)
    } else err = -ENOBUFS
    if (!err) {
      tcp_update_skb_after_send(sk, skb, tp.tcp_wstamp_ns)
      tcp_rate_skb_sent(sk, skb)
    }
  } else {
    err = tcp_transmit_skb(sk, skb, 1, GFP_ATOMIC)
  }
  if (BPF_SOCK_OPS_TEST_FLAG(tp, BPF_SOCK_OPS_RETRANS_CB_FLAG)) tcp_call_bpf_3arg(sk, BPF_SOCK_OPS_RETRANS_CB, tcb.seq, segs, err)
  if (!err) {
    if (tracer.on) tracepoint('tcp', 'tcp_retransmit_skb', tp_tcp_event_sk_skb(sk, skb))
  } else if (err !== -EBUSY) {
    mib.linux.TCPRetransFail += segs
  }
  tcb.sacked |= TCPCB_EVER_RETRANS
  return err
})

export const tcp_retransmit_skb = kfunc('tcp_retransmit_skb', (sk: sock, skb: sk_buff, segs: number): number => {
  const tp = tcp_sk(sk)
  const err = __tcp_retransmit_skb(sk, skb, segs)
  if (err === 0) {
    TCP_SKB_CB(skb).sacked |= TCPCB_RETRANS
    tp.retrans_out += tcp_skb_pcount(skb)
  }
  // when the first of a series was sent again
  if (!tp.retrans_stamp) tp.retrans_stamp = tcp_skb_timestamp_ts(tp.tcp_usec_ts, skb)
  if (tp.undo_retrans < 0) tp.undo_retrans = 0
  tp.undo_retrans += tcp_skb_pcount(skb)
  return err
})

const tcp_xmit_retransmit_queue_part_0 = kfunc('tcp_xmit_retransmit_queue.part.0', (sk: sock): void => {
  const icsk = inet_csk(sk)
  const tp = tcp_sk(sk)
  const { linux } = sock_net(sk).mib
  let hole: sk_buff | null = null
  let rearm_timer = false
  const rtx_head = tcp_rtx_queue_head(sk)
  const max_segs = tcp_tso_segs(sk, tcp_current_mss(sk))
  for (let skb = tp.retransmit_skb_hint ?? rtx_head; skb !== null; skb = skb_rb_next(skb)) {
    if (tcp_pacing_check(sk)) break
    if (hole === null) tp.retransmit_skb_hint = skb
    let segs = (tcp_snd_cwnd(tp) - tcp_packets_in_flight(tp)) | 0
    if (segs <= 0) break
    const { sacked } = TCP_SKB_CB(skb)
    segs = Math.min(segs, max_segs)
    if (tp.retrans_out >= tp.lost_out) break
    if (!(sacked & TCPCB_LOST)) {
      if (hole === null && !(sacked & (TCPCB_SACKED_RETRANS | TCPCB_SACKED_ACKED))) hole = skb
      continue
    }
    const mib_idx: linux_mib_name = icsk.icsk_ca_state !== TCP_CA_Loss ? 'TCPFastRetrans' : 'TCPSlowStartRetrans'
    if (sacked & (TCPCB_SACKED_ACKED | TCPCB_SACKED_RETRANS)) continue
    if (tcp_small_queue_check(sk, skb, 1)) break
    if (tcp_retransmit_skb(sk, skb, segs)) break
    linux[mib_idx] += tcp_skb_pcount(skb)
    if (tcp_in_cwnd_reduction(sk)) tp.prr_out += tcp_skb_pcount(skb)
    if (skb === rtx_head && icsk.icsk_pending !== ICSK_TIME_REO_TIMEOUT) rearm_timer = true
  }
  if (rearm_timer) tcp_reset_xmit_timer(sk, ICSK_TIME_RETRANS, icsk.icsk_rto, TCP_RTO_MAX)
})

/** sends again what is marked lost, as far as the congestion window allows */
export const tcp_xmit_retransmit_queue = kfunc('tcp_xmit_retransmit_queue', (sk: sock): void => {
  if (tcp_sk(sk).packets_out) tcp_xmit_retransmit_queue_part_0(sk)
})

/** takes `size` bytes from the protocol's memory, limits or not */
export const sk_forced_mem_schedule = kfunc('sk_forced_mem_schedule', (sk: sock, size: number): void => {
  const delta = size - sk.sk_forward_alloc
  if (delta <= 0) return
  const amt = sk_mem_pages(delta)
  sk_forward_alloc_add(sk, amt << PAGE_SHIFT)
  sk_memory_allocated_add(sk, amt)
})

/** the FIN goes with the last queued buffer, if there is one */
export const tcp_send_fin = kfunc('tcp_send_fin', (sk: sock): void => {
  const tail = tcp_write_queue_tail(sk)
  const tp = tcp_sk(sk)
  let tskb = tail
  if (tskb === null && tcp_under_memory_pressure(sk)) tskb = skb_rb_last(tp.tcp_rtx_queue)
  if (tskb !== null) {
    const tcb = TCP_SKB_CB(tskb)
    tcb.tcp_flags |= TCPHDR_FIN
    tcb.end_seq = (tcb.end_seq + 1) >>> 0
    tp.write_seq = (tp.write_seq + 1) >>> 0
    if (tail === null) {
      // it was sent already: the FIN goes when it is sent again
      tp.snd_nxt = (tp.snd_nxt + 1) >>> 0
      return
    }
  } else {
    const skb = alloc_skb_fclone(MAX_TCP_HEADER, sk_gfp_mask(sk, GFP_ATOMIC | __GFP_NOWARN))
    if (skb === null) return
    skb_reserve(skb, MAX_TCP_HEADER)
    sk_forced_mem_schedule(sk, skb.truesize)
    tcp_init_nondata_skb(skb, tp.write_seq, TCPHDR_ACK | TCPHDR_FIN)
    tcp_queue_skb(sk, skb)
  }
  __tcp_push_pending_frames(sk, tcp_current_mss(sk), TCP_NAGLE_OFF)
})

/** `reason`: SK_RST_REASON_*, for the tracepoint */
export const tcp_send_active_reset = kfunc('tcp_send_active_reset', (sk: sock, reason: number): void => {
  const priority = sk_gfp_mask(sk, GFP_ATOMIC | __GFP_NOWARN)
  const { mib } = sock_net(sk)
  mib.tcp.OutRsts++
  const skb = alloc_skb(MAX_TCP_HEADER, priority)
  if (skb === null) {
    mib.linux.TCPAbortFailed++
    return
  }
  skb_reserve(skb, MAX_TCP_HEADER)
  tcp_init_nondata_skb(skb, tcp_acceptable_seq(sk), TCPHDR_ACK | TCPHDR_RST)
  tcp_mstamp_refresh(tcp_sk(sk))
  if (tcp_transmit_skb(sk, skb, 0, priority)) mib.linux.TCPAbortFailed++
  if (tracer.on) trace_tcp_send_reset(sk, null, reason, true)
})

/** the answer to a SYN that crossed ours */
export const tcp_send_synack = kfunc('tcp_send_synack', (sk: sock): number => {
  const tp = tcp_sk(sk)
  let skb = tcp_rtx_queue_head(sk)
  if (skb === null || !(TCP_SKB_CB(skb).tcp_flags & TCPHDR_SYN)) return -EFAULT
  if (!(TCP_SKB_CB(skb).tcp_flags & TCPHDR_ACK)) {
    if (skb_cloned(skb)) {
      const nskb = skb_copy(skb, GFP_ATOMIC)
      if (nskb === null) return -ENOMEM
      if (skb === tp.retransmit_skb_hint) tp.retransmit_skb_hint = nskb
      tcp_highest_sack_replace(sk, skb, nskb)
      tcp_rtx_queue_unlink_and_free(skb, sk)
      __skb_header_release(nskb)
      tcp_rbtree_insert(tp.tcp_rtx_queue, nskb)
      sk_wmem_queued_add(sk, nskb.truesize)
      sk_mem_charge(sk, nskb.truesize)
      skb = nskb
    }
    TCP_SKB_CB(skb).tcp_flags |= TCPHDR_ACK
    tcp_ecn_send_synack(sk, skb)
  }
  return tcp_transmit_skb(sk, skb, 1, GFP_ATOMIC)
})

/** A SYN-ACK for a request; the caller sends it. Takes the reference on `dst`. */
export const tcp_make_synack = kfunc(
  'tcp_make_synack',
  (
    sk: sock,
    dst: dst_entry,
    req: request_sock,
    foc: tcp_fastopen_cookie | null,
    synack_type: number,
    syn_skb: sk_buff | null,
  ): sk_buff | null => {
    const ireq = inet_rsk(req)
    const treq = tcp_rsk(req)
    const tp = tcp_sk(sk)
    const key = scratch_key
    const opts = scratch_opts
    const skb = alloc_skb(MAX_TCP_HEADER, GFP_ATOMIC)
    if (skb === null) {
      dst_release(dst)
      return null
    }
    skb_reserve(skb, MAX_TCP_HEADER)
    switch (synack_type) {
      case TCP_SYNACK_NORMAL:
        skb_set_owner_w(skb, req_to_sk(req))
        break
      case TCP_SYNACK_COOKIE:
        // nothing is kept of the request
        break
      case TCP_SYNACK_FASTOPEN:
        skb_set_owner_w(skb, sk)
        break
    }
    skb_dst_set(skb, dst)
    const mss = tcp_mss_clamp(tp, tcp_dst_advmss(dst))
    opts.clear()
    const now = tcp_clock_ns()
    if (synack_type === TCP_SYNACK_COOKIE && ireq.tstamp_ok)
      skb_set_delivery_time(skb, cookie_init_timestamp(req, now), SKB_CLOCK_MONOTONIC)
    else {
      skb_set_delivery_time(skb, now, SKB_CLOCK_MONOTONIC)
      if (!treq.snt_synack) treq.snt_synack = tcp_skb_timestamp_us(skb)
    }
    rcu_read_lock()
    if (treq.af_specific !== null) {
      if (tracer.on) traceIndirect('tcp_rsk(req)->af_specific->req_md5_lookup', nameOf(treq.af_specific.req_md5_lookup))
      treq.af_specific.req_md5_lookup(sk, req_to_sk(req))
    }
    skb_set_hash(skb, treq.txhash, PKT_HASH_TYPE_L4)
    TCP_SKB_CB(skb).tcp_flags = TCPHDR_SYN | TCPHDR_ACK
    const tcp_header_size = tcp_synack_options(sk, req, mss, skb, opts, key, foc, synack_type, syn_skb) + TCPHDR_LEN
    skb_push(skb, tcp_header_size)
    skb_reset_transport_header(skb)
    const th = new tcphdr(skb.head.bytes, skb.data)
    th.bytes.fill(0, th.off, th.off + TCPHDR_LEN)
    th.syn = 1
    th.ack = 1
    tcp_ecn_make_synack(req, th)
    th.source = ireq.ir_num
    th.dest = ireq.ir_rmt_port
    skb.mark = ireq.ir_mark
    skb.ip_summed = CHECKSUM_PARTIAL
    th.seq = treq.snt_isn
    th.ack_seq = treq.rcv_nxt
    th.window = Math.min(req.rsk_rcv_wnd, 65535)
    tcp_options_write(th, null, treq, opts, key)
    th.doff = tcp_header_size >> 2
    sock_net(sk).mib.tcp.OutSegs++
    rcu_read_unlock()
    bpf_skops_write_hdr_opt(sk, skb, req, syn_skb, synack_type, opts)
    skb_set_delivery_time(skb, now, SKB_CLOCK_MONOTONIC)
    tcp_add_tx_delay(skb, tp)
    return skb
  },
)

/** a route may name the congestion control */
const tcp_ca_dst_init = kfunc('tcp_ca_dst_init', (sk: sock, dst: dst_entry): void => {
  const icsk = inet_csk(sk)
  const ca_key = dst_metric(dst, RTAX_CC_ALGO)
  if (ca_key === TCP_CA_UNSPEC) return
  rcu_read_lock()
  const ca = tcp_ca_find_key(ca_key)
  if (ca !== null) {
    icsk.icsk_ca_dst_locked = tcp_ca_dst_locked(dst) ? 1 : 0
    icsk.icsk_ca_ops = ca
  }
  rcu_read_unlock()
})

/** everything that a SYN needs to know: segment size, windows, sequence numbers */
const tcp_connect_init = kfunc('tcp_connect_init', (sk: sock): void => {
  const dst = __sk_dst_get(sk)
  const tp = tcp_sk(sk)
  const { ipv4 } = sock_net(sk)
  if (dst === null) return
  tp.tcp_header_len = TCPHDR_LEN
  if (ipv4.sysctl_tcp_timestamps) tp.tcp_header_len += TCPOLEN_TSTAMP_ALIGNED
  if (tp.rx_opt.user_mss) tp.rx_opt.mss_clamp = tp.rx_opt.user_mss
  tp.max_window = 0
  tcp_mtup_init(sk)
  tcp_sync_mss(sk, dst_mtu(dst))
  tcp_ca_dst_init(sk, dst)
  if (!tp.window_clamp) tp.window_clamp = dst_metric(dst, RTAX_WINDOW)
  tp.advmss = tcp_mss_clamp(tp, tcp_dst_advmss(dst))
  tcp_initialize_rcv_mss(sk)
  if (sk.sk_userlocks & SOCK_RCVBUF_LOCK && (tp.window_clamp > tcp_full_space(sk) || tp.window_clamp === 0))
    tp.window_clamp = tcp_full_space(sk)
  let init_rcv_wnd = tcp_rwnd_init_bpf(sk)
  if (init_rcv_wnd === 0) init_rcv_wnd = dst_metric(dst, RTAX_INITRWND)
  const rcv_wnd: ref<number> = { v: tp.rcv_wnd }
  const window_clamp: ref<number> = { v: tp.window_clamp }
  const rcv_wscale: ref<number> = { v: 0 }
  tcp_select_initial_window(
    sk,
    tcp_full_space(sk),
    tp.advmss - (tp.rx_opt.ts_recent_stamp ? tp.tcp_header_len - TCPHDR_LEN : 0),
    rcv_wnd,
    window_clamp,
    ipv4.sysctl_tcp_window_scaling,
    rcv_wscale,
    init_rcv_wnd,
  )
  tp.rcv_wnd = rcv_wnd.v
  tp.window_clamp = window_clamp.v
  tp.rx_opt.rcv_wscale = rcv_wscale.v
  tp.rcv_ssthresh = tp.rcv_wnd
  sk.sk_err = 0
  sock_reset_flag(sk, SOCK_DONE)
  tp.snd_wnd = 0
  tcp_init_wl(tp, 0)
  tcp_write_queue_purge(sk)
  tp.snd_una = tp.write_seq
  tp.snd_sml = tp.write_seq
  tp.snd_up = tp.write_seq
  tp.snd_nxt = tp.write_seq
  if (!tp.repair) tp.rcv_nxt = 0
  else tp.rcv_tstamp = tcp_jiffies32()
  tp.rcv_wup = tp.rcv_nxt
  tp.copied_seq = tp.rcv_nxt
  inet_csk(sk).icsk_rto = tcp_timeout_init(sk)
  inet_csk(sk).icsk_retransmits = 0
  tcp_clear_retrans(tp)
})

const tcp_connect_queue_skb = kfunc('tcp_connect_queue_skb', (sk: sock, skb: sk_buff): void => {
  const tp = tcp_sk(sk)
  const tcb = TCP_SKB_CB(skb)
  tcb.end_seq = (tcb.end_seq + skb.len) >>> 0
  __skb_header_release(skb)
  sk_wmem_queued_add(sk, skb.truesize)
  sk_mem_charge(sk, skb.truesize)
  tp.write_seq = tcb.end_seq
  tp.packets_out += tcp_skb_pcount(skb)
})

/** fast open without data: a SYN that asks for a cookie, or just a SYN */
function syn_without_data(sk: sock, fo: tcp_fastopen_request, syn: sk_buff): number {
  if (fo.cookie.len > 0) fo.cookie.len = 0
  const err = tcp_transmit_skb(sk, syn, 1, sk.sk_allocation)
  if (err) tcp_sk(sk).syn_fastopen = 0
  fo.cookie.len = -1
  return err
}

/** TCP fast open: the SYN carries data, if a cookie of that server is known */
const tcp_send_syn_data = kfunc('tcp_send_syn_data', (sk: sock, syn: sk_buff): number => {
  const icsk = inet_csk(sk)
  const tp = tcp_sk(sk)
  const fo = tp.fastopen_req
  const pfrag = sk_page_frag(sk)
  if (fo === null) return -EINVAL
  tp.rx_opt.mss_clamp = tp.advmss
  const mss: ref<number> = { v: tp.rx_opt.mss_clamp }
  const known = tcp_fastopen_cookie_check(sk, mss, fo.cookie)
  tp.rx_opt.mss_clamp = mss.v
  if (!known) return syn_without_data(sk, fo, syn)
  tp.rx_opt.mss_clamp = tcp_mss_clamp(tp, tp.rx_opt.mss_clamp)
  tcp_sync_mss(sk, icsk.icsk_pmtu_cookie)
  let space = __tcp_mtu_to_mss(sk, icsk.icsk_pmtu_cookie) - MAX_TCP_OPTION_SPACE
  space = Math.min(space, fo.size)
  if (space && !skb_page_frag_refill(Math.min(space, PAGE_SIZE), pfrag, sk.sk_allocation)) return syn_without_data(sk, fo, syn)
  const syn_data = tcp_stream_alloc_skb(sk, sk.sk_allocation, false)
  if (syn_data === null) return syn_without_data(sk, fo, syn)
  const dcb = TCP_SKB_CB(syn_data)
  const scb = TCP_SKB_CB(syn)
  dcb.seq = scb.seq
  dcb.end_seq = scb.end_seq
  dcb.tcp_gso_segs = scb.tcp_gso_segs
  dcb.tcp_gso_size = scb.tcp_gso_size
  dcb.tcp_flags = scb.tcp_flags
  if (space) {
    space = Math.min(space, pfrag.size - pfrag.offset)
    space = tcp_wmem_schedule(sk, space)
  }
  const { page } = pfrag
  if (space && page !== null && fo.data !== null) {
    space = copy_page_from_iter(page, pfrag.offset, space, fo.data.msg_iter)
    if (!space) {
      tcp_skb_tsorted_anchor_cleanup(syn_data)
      kfree_skb(syn_data)
      return syn_without_data(sk, fo, syn)
    }
    skb_fill_page_desc(syn_data, 0, page, pfrag.offset, space)
    page_ref_inc(page)
    pfrag.offset += space
    skb_len_add(syn_data, space)
    skb_zcopy_set(syn_data, fo.uarg, null)
  }
  if (space === fo.size) fo.data = null
  fo.copied = space
  tcp_connect_queue_skb(sk, syn_data)
  if (syn_data.len) tcp_chrono_start(sk, TCP_CHRONO_BUSY)
  const err = tcp_transmit_skb(sk, syn_data, 1, sk.sk_allocation)
  skb_set_delivery_time(syn, syn_data.tstamp, SKB_CLOCK_MONOTONIC)
  // what stays queued is the data alone: the SYN has a buffer of its own
  dcb.seq = (dcb.seq + 1) >>> 0
  dcb.tcp_flags = TCPHDR_ACK | TCPHDR_PSH
  if (!err) {
    tp.syn_data = fo.copied > 0 ? 1 : 0
    tcp_rbtree_insert(tp.tcp_rtx_queue, syn_data)
    sock_net(sk).mib.linux.TCPOrigDataSent++
    fo.cookie.len = -1
    return err
  }
  __skb_queue_tail(sk.sk_write_queue, syn_data)
  tp.packets_out -= tcp_skb_pcount(syn_data)
  return syn_without_data(sk, fo, syn)
})

/** Builds a SYN and sends it. */
export const tcp_connect = kfunc('tcp_connect', (sk: sock): number => {
  const tp = tcp_sk(sk)
  tcp_call_bpf(sk, BPF_SOCK_OPS_TCP_CONNECT_CB, 0, null)
  if (tracer.on) traceIndirect('icsk->icsk_af_ops->rebuild_header', nameOf(inet_csk(sk).icsk_af_ops.rebuild_header))
  if (inet_csk(sk).icsk_af_ops.rebuild_header(sk)) return -EHOSTUNREACH
  tcp_connect_init(sk)
  if (tp.repair) {
    tcp_finish_connect(sk, null)
    return 0
  }
  const buff = tcp_stream_alloc_skb(sk, sk.sk_allocation, true)
  if (buff === null) return -ENOBUFS
  tcp_init_nondata_skb(buff, tp.write_seq, TCPHDR_SYN)
  tp.write_seq = (tp.write_seq + 1) >>> 0
  tcp_mstamp_refresh(tp)
  tp.retrans_stamp = tcp_time_stamp_ts(tp)
  tcp_connect_queue_skb(sk, buff)
  tcp_ecn_send_syn(sk, buff)
  tcp_rbtree_insert(tp.tcp_rtx_queue, buff)
  const err = tp.fastopen_req !== null ? tcp_send_syn_data(sk, buff) : tcp_transmit_skb(sk, buff, 1, sk.sk_allocation)
  if (err === -ECONNREFUSED) return err
  // only now, so that the SYN is counted as sent
  tp.snd_nxt = tp.write_seq
  tp.pushed_seq = tp.write_seq
  const head = tcp_send_head(sk)
  if (head !== null) {
    tp.snd_nxt = TCP_SKB_CB(head).seq
    tp.pushed_seq = TCP_SKB_CB(head).seq
  }
  sock_net(sk).mib.tcp.ActiveOpens++
  inet_csk_reset_xmit_timer(sk, ICSK_TIME_RETRANS, inet_csk(sk).icsk_rto, TCP_RTO_MAX)
  return 0
})

/** jiffies: an ACK must not wait so long that the peer sends again */
export const tcp_delack_max = kfunc('tcp_delack_max', (sk: sock): number => {
  const delack_from_rto_min = Math.max(tcp_rto_min(sk), 2) - 1
  return Math.min(inet_csk(sk).icsk_delack_max, delack_from_rto_min)
})

/** arms the delayed-ACK timer, or sends the ACK if that is due at once */
export const tcp_send_delayed_ack = kfunc('tcp_send_delayed_ack', (sk: sock): void => {
  const icsk = inet_csk(sk)
  let { ato } = icsk.icsk_ack
  if (ato > TCP_DELACK_MIN) {
    const tp = tcp_sk(sk)
    let max_ato = HZ / 2
    if (inet_csk_in_pingpong_mode(sk) || icsk.icsk_ack.pending & ICSK_ACK_PUSHED) max_ato = TCP_DELACK_MAX
    if (tp.srtt_us) {
      const rtt = Math.max(usecs_to_jiffies(tp.srtt_us >>> 3), TCP_DELACK_MIN)
      if (rtt < max_ato) max_ato = rtt
    }
    ato = Math.min(ato, max_ato)
  }
  ato = Math.min(ato, tcp_delack_max(sk))
  let timeout = jiffies() + ato
  if (icsk.icsk_ack.pending & ICSK_ACK_TIMER) {
    if (icsk.icsk_ack.timeout <= jiffies() + (ato >> 2)) {
      tcp_send_ack(sk)
      return
    }
    if (timeout >= icsk.icsk_ack.timeout) timeout = icsk.icsk_ack.timeout
  }
  icsk.icsk_ack.pending |= ICSK_ACK_SCHED | ICSK_ACK_TIMER
  icsk.icsk_ack.timeout = timeout
  if (tracer.on) decide('tcp_send_delayed_ack', `ACK in ${ato} jiffies`, { ato })
  sk_reset_timer(sk, icsk.icsk_delack_timer, timeout)
})

const __tcp_send_ack_part_0 = kfunc('__tcp_send_ack.part.0', (sk: sock, rcv_nxt: number, flags: number): void => {
  const buff = alloc_skb(MAX_TCP_HEADER, sk_gfp_mask(sk, GFP_ATOMIC | __GFP_NOWARN))
  if (buff === null) {
    const icsk = inet_csk(sk)
    const delay = TCP_DELACK_MAX << icsk.icsk_ack.retry
    if (delay < TCP_RTO_MAX) icsk.icsk_ack.retry++
    inet_csk_schedule_ack(sk)
    icsk.icsk_ack.ato = TCP_ATO_MIN
    inet_csk_reset_xmit_timer(sk, ICSK_TIME_DACK, delay, TCP_RTO_MAX)
    return
  }
  skb_reserve(buff, MAX_TCP_HEADER)
  tcp_init_nondata_skb(buff, tcp_acceptable_seq(sk), TCPHDR_ACK | flags)
  skb_set_tcp_pure_ack(buff)
  __tcp_transmit_skb(sk, buff, 0, 0, rcv_nxt)
})

export const __tcp_send_ack = kfunc('__tcp_send_ack', (sk: sock, rcv_nxt: number, flags: number): void => {
  if (sk.sk_state === TCP_CLOSE) return
  __tcp_send_ack_part_0(sk, rcv_nxt, flags)
})

export const tcp_send_ack = kfunc('tcp_send_ack', (sk: sock): void => {
  __tcp_send_ack(sk, tcp_sk(sk).rcv_nxt, 0)
})

/** a segment with an old sequence number, to which the peer has to answer */
const tcp_xmit_probe_skb = kfunc('tcp_xmit_probe_skb', (sk: sock, urgent: number, mib: linux_mib_name): number => {
  const tp = tcp_sk(sk)
  const skb = alloc_skb(MAX_TCP_HEADER, sk_gfp_mask(sk, GFP_ATOMIC | __GFP_NOWARN))
  if (skb === null) return -1
  skb_reserve(skb, MAX_TCP_HEADER)
  tcp_init_nondata_skb(skb, tp.snd_una - (urgent ? 0 : 1), TCPHDR_ACK)
  sock_net(sk).mib.linux[mib]++
  return tcp_transmit_skb(sk, skb, 0, 0)
})

export const tcp_send_window_probe = kfunc('tcp_send_window_probe', (sk: sock): void => {
  if (sk.sk_state === TCP_ESTABLISHED) {
    const tp = tcp_sk(sk)
    tp.snd_wl1 = (tp.rcv_nxt - 1) >>> 0
    tcp_mstamp_refresh(tp)
    tcp_xmit_probe_skb(sk, 0, 'TCPWinProbe')
  }
})

/** a probe of the window or of the peer: with data, if the window has room for some */
export const tcp_write_wakeup = kfunc('tcp_write_wakeup', (sk: sock, mib: linux_mib_name): number => {
  const tp = tcp_sk(sk)
  if (sk.sk_state === TCP_CLOSE) return -1
  const skb = tcp_send_head(sk)
  if (skb !== null && before(TCP_SKB_CB(skb).seq, tcp_wnd_end(tp))) {
    const tcb = TCP_SKB_CB(skb)
    const mss = tcp_current_mss(sk)
    let seg_size = (tcp_wnd_end(tp) - tcb.seq) >>> 0
    if (before(tp.pushed_seq, tcb.end_seq)) tp.pushed_seq = tcb.end_seq
    if (seg_size < (tcb.end_seq - tcb.seq) >>> 0 || skb.len > mss) {
      seg_size = Math.min(seg_size, mss)
      tcb.tcp_flags |= TCPHDR_PSH
      if (tcp_fragment(sk, TCP_FRAG_IN_WRITE_QUEUE, skb, seg_size, mss, GFP_ATOMIC)) return -1
    } else if (!tcp_skb_pcount(skb)) tcp_set_skb_tso_segs(skb, mss)
    tcb.tcp_flags |= TCPHDR_PSH
    const err = tcp_transmit_skb(sk, skb, 1, GFP_ATOMIC)
    if (!err) tcp_event_new_data_sent(sk, skb)
    return err
  }
  if (between(tp.snd_up, (tp.snd_una + 1) >>> 0, (tp.snd_una + 0xffff) >>> 0)) tcp_xmit_probe_skb(sk, 1, mib)
  return tcp_xmit_probe_skb(sk, 0, mib)
})

/** the window is closed: probes it, and sets the timer for the next probe */
export const tcp_send_probe0 = kfunc('tcp_send_probe0', (sk: sock): void => {
  const icsk = inet_csk(sk)
  const tp = tcp_sk(sk)
  const err = tcp_write_wakeup(sk, 'TCPWinProbe')
  if (tp.packets_out || tcp_write_queue_empty(sk)) {
    icsk.icsk_probes_out = 0
    icsk.icsk_backoff = 0
    icsk.icsk_probes_tstamp = 0
    return
  }
  icsk.icsk_probes_out++
  let timeout: number
  if (err <= 0) {
    if (icsk.icsk_backoff < sock_net(sk).ipv4.sysctl_tcp_retries2) icsk.icsk_backoff++
    timeout = tcp_probe0_when(sk, TCP_RTO_MAX)
  } else timeout = TCP_RESOURCE_PROBE_INTERVAL
  timeout = tcp_clamp_probe0_to_user_timeout(sk, timeout)
  tcp_reset_xmit_timer(sk, ICSK_TIME_PROBE0, timeout, TCP_RTO_MAX)
})

export const tcp_rtx_synack = kfunc('tcp_rtx_synack', (sk: sock, req: request_sock): number => {
  const af_ops = tcp_rsk(req).af_specific
  if (af_ops === null) return -EINVAL
  if (sk.sk_txrehash === SOCK_TXREHASH_ENABLED) tcp_rsk(req).txhash = net_tx_rndhash()
  if (tracer.on) traceIndirect('af_ops->send_synack', nameOf(af_ops.send_synack))
  const res = af_ops.send_synack(sk, null, new flowi4(), req, null, TCP_SYNACK_NORMAL, null)
  if (!res) {
    const { mib } = sock_net(sk)
    mib.tcp.RetransSegs++
    mib.linux.TCPSynRetrans++
    if (tcp_passive_fastopen(sk)) tcp_sk(sk).total_retrans++
    if (tracer.on) trace_tcp_retransmit_synack(sk, req)
  }
  return res
})

core_initcall(() => register_tcp_wfree(tcp_wfree))
