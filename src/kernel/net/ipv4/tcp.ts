import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracer } from '../../../trace/tracer.ts'
import {
  HZ,
  ICSK_ACK_PUSHED,
  ICSK_ACK_PUSHED2,
  MAX_TCP_HEADER,
  MAX_TCP_KEEPCNT,
  MAX_TCP_KEEPIDLE,
  MAX_TCP_KEEPINTVL,
  MAX_TCP_SYNCNT,
  MAX_TCP_WINDOW,
  MSG_DONTWAIT,
  MSG_EOR,
  MSG_ERRQUEUE,
  MSG_FASTOPEN,
  MSG_MORE,
  MSG_NO_SHARED_FRAGS,
  MSG_OOB,
  MSG_PEEK,
  MSG_SPLICE_PAGES,
  MSG_TRUNC,
  MSG_WAITALL,
  MSG_ZEROCOPY,
  NETIF_F_SG,
  SK_FORCE_REUSE,
  SK_NO_REUSE,
  SKB_DROP_REASON_TCP_AUTH_HDR,
  SKB_DROP_REASON_TCP_MD5UNEXPECTED,
  SKB_NOT_DROPPED_YET,
  SKBFL_PURE_ZEROCOPY,
  SKBFL_SHARED_FRAG,
  SOCK_BINDPORT_LOCK,
  SOCK_DEAD,
  SOCK_DONE,
  SOCK_KEEPOPEN,
  SOCK_LINGER,
  SOCK_MIN_RCVBUF,
  SOCK_MIN_SNDBUF,
  SOCK_NOSPACE,
  SOCK_RCVBUF_LOCK,
  SOCK_RCVTSTAMP,
  SOCK_RCVTSTAMPNS,
  SOCK_STREAM,
  SOCK_SUPPORT_ZC,
  SOCK_TSTAMP_NEW,
  SOCK_URGINLINE,
  SOCK_USE_WRITE_QUEUE,
  SOCK_ZEROCOPY,
  SOCKWQ_ASYNC_NOSPACE,
  TCP_CA_Open,
  TCP_CHRONO_BUSY,
  TCP_CHRONO_RWND_LIMITED,
  TCP_CHRONO_SNDBUF_LIMITED,
  TCP_CLOSE,
  TCP_CLOSE_WAIT,
  TCP_CLOSING,
  TCP_DELACK_MAX,
  TCP_ESTABLISHED,
  TCP_FASTOPEN_KEY_BUF_LENGTH,
  TCP_FASTOPEN_KEY_LENGTH,
  TCP_FIN_TIMEOUT_MAX,
  TCP_FIN_WAIT1,
  TCP_FIN_WAIT2,
  TCP_INFINITE_SSTHRESH,
  TCP_INIT_CWND,
  TCP_LAST_ACK,
  TCP_LISTEN,
  TCP_MAX_WSCALE,
  TCP_MIN_MSS,
  TCP_NAGLE_CORK,
  TCP_NAGLE_OFF,
  TCP_NAGLE_PUSH,
  TCP_NEW_SYN_RECV,
  TCP_RTO_MAX,
  TCP_RTO_MIN,
  TCP_SYN_RECV,
  TCP_SYN_SENT,
  TCP_TIME_WAIT,
  TCP_TIMEOUT_INIT,
  TCP_TIMEWAIT_LEN,
  TCPCB_REPAIRED,
  TCPF_CLOSE,
  TCPF_CLOSE_WAIT,
  TCPF_CLOSING,
  TCPF_ESTABLISHED,
  TCPF_FIN_WAIT1,
  TCPF_FIN_WAIT2,
  TCPF_LAST_ACK,
  TCPF_LISTEN,
  TCPF_SYN_RECV,
  TCPF_SYN_SENT,
  TCPHDR_ACK,
  TCPHDR_FIN,
  TCPHDR_PSH,
  TCPHDR_SYN,
  TCPOPT_MSS,
  TCPOPT_SACK_PERM,
  TCPOPT_TIMESTAMP,
  TCPOPT_WINDOW,
  TSQ_THROTTLED,
} from '../../include/generated/enums.ts'
import {
  EAGAIN,
  EALREADY,
  ECONNABORTED,
  ECONNRESET,
  EEXIST,
  EFAULT,
  EFBIG,
  EINPROGRESS,
  EINVAL,
  EMSGSIZE,
  ENOBUFS,
  ENOENT,
  ENOIOCTLCMD,
  ENOMEM,
  ENOPROTOOPT,
  ENOTCONN,
  EOPNOTSUPP,
  EPERM,
  EPIPE,
  ESPIPE,
} from '../../include/linux/errno.ts'
import { list_head } from '../../include/linux/list.ts'
import type { socket } from '../../include/linux/net.ts'
import {
  SOF_TIMESTAMPING_OPT_RX_FILTER,
  SOF_TIMESTAMPING_RAW_HARDWARE,
  SOF_TIMESTAMPING_RX_HARDWARE,
  SOF_TIMESTAMPING_RX_SOFTWARE,
  SOF_TIMESTAMPING_SOFTWARE,
  SOF_TIMESTAMPING_TX_ACK,
  SOF_TIMESTAMPING_TX_RECORD_MASK,
} from '../../include/linux/net_tstamp.ts'
import type { pipe_inode_info } from '../../include/linux/pipe_fs_i.ts'
import { rb_root } from '../../include/linux/rbtree.ts'
import {
  __skb_dequeue,
  __skb_unlink,
  CHECKSUM_PARTIAL,
  type sk_buff,
  skb_end_offset,
  skb_peek,
  skb_peek_tail,
  skb_queue_empty,
  skb_shinfo,
  type ubuf_info,
} from '../../include/linux/skbuff.ts'
import {
  AF_UNSPEC,
  msg_data_left,
  type msghdr,
  SO_TIMESTAMP_NEW,
  SO_TIMESTAMP_OLD,
  SO_TIMESTAMPNS_NEW,
  SO_TIMESTAMPNS_OLD,
  SOL_SOCKET,
  SOL_TCP,
} from '../../include/linux/socket.ts'
import * as T from '../../include/linux/tcp.ts'
import { NSEC_PER_SEC, type ref, USEC_PER_SEC } from '../../include/linux/types.ts'
import { inet_csk } from '../../include/net/inet_connection_sock.ts'
import { INET_FLAGS_DEFER_CONNECT, inet_clear_bit, inet_sk, inet_test_bit } from '../../include/net/inet_sock.ts'
import { inet_twsk } from '../../include/net/inet_timewait_sock.ts'
import { inet_reqsk, type request_sock } from '../../include/net/request_sock.ts'
import {
  SK_RST_REASON_TCP_ABORT_ON_CLOSE,
  SK_RST_REASON_TCP_ABORT_ON_LINGER,
  SK_RST_REASON_TCP_ABORT_ON_MEMORY,
  SK_RST_REASON_TCP_DISCONNECT_WITH_DATA,
  SK_RST_REASON_TCP_STATE,
} from '../../include/net/rstreason.ts'
import { type sock, sockcm_cookie } from '../../include/net/sock.ts'
import {
  after,
  before,
  TCP_ACTION_FIN,
  TCP_CA_NAME_MAX,
  TCP_ECN_OK,
  TCP_ECN_SEEN,
  TCP_MSS_DEFAULT,
  TCP_SACK_SEEN,
  TCP_SKB_CB,
  TCP_STATE_MASK,
  TCP_ULP_NAME_MAX,
  TCP_URG_READ,
  TCP_URG_VALID,
  TFO_CLIENT_ENABLE,
  tcp_fastopen_request,
  tcp_options_received,
  tcp_sk,
  type tcp_sock,
} from '../../include/net/tcp.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { current, signal_pending } from '../../kernel/sched/core.ts'
import { local_bh_disable, local_bh_enable } from '../../kernel/softirq.ts'
import { jiffies, jiffies_to_msecs, jiffies_to_usecs, usecs_to_jiffies } from '../../kernel/time/timer.ts'
import { _copy_to_iter } from '../../lib/iov_iter.ts'
import { copy_to_sockptr } from '../../lib/usercopy.ts'
import { page_ref_inc, put_page } from '../../mm/page_alloc.ts'
import { check_object_size } from '../../mm/usercopy.ts'
import { skb_copy_datagram_msg } from '../core/datagram.ts'
import { dst_release } from '../core/dst.ts'
import { net_hotdata } from '../core/hotdata.ts'
import { check_net } from '../core/net_namespace.ts'
import { trace_tcp_hash } from '../core/net-traces.ts'
import { reqsk_fastopen_remove } from '../core/request_sock.ts'
import { put_cmsg, put_cmsg_scm_timestamping, put_cmsg_scm_timestamping64 } from '../core/scm.ts'
import {
  __kfree_skb,
  __skb_header_release,
  __skb_queue_purge,
  alloc_skb_fclone,
  msg_zerocopy_realloc,
  net_zcopy_put,
  net_zcopy_put_abort,
  SKB_TRUESIZE,
  skb_attempt_defer_free,
  skb_can_coalesce,
  skb_fill_page_desc,
  skb_hwtstamps,
  skb_rb_first,
  skb_rb_last,
  skb_rb_next,
  skb_rbtree_purge,
  skb_reserve,
  skb_splice_bits,
  skb_splice_from_iter,
  skb_zcopy,
  skb_zcopy_downgrade_managed,
  skb_zcopy_managed,
  skb_zcopy_pure,
  skb_zerocopy_iter_stream,
  uarg_to_msgzc,
} from '../core/skbuff.ts'
import {
  __release_sock,
  __sk_dst_reset,
  __sk_flush_backlog,
  bh_lock_sock,
  bh_unlock_sock,
  lock_sock,
  lock_sock_fast,
  RCV_SHUTDOWN,
  release_sock,
  SEND_SHUTDOWN,
  SHUTDOWN_MASK,
  sk_clear_bit,
  sk_error_report,
  sk_flush_backlog,
  sk_mem_charge,
  sk_memory_allocated,
  sk_page_frag,
  sk_page_frag_refill,
  sk_peek_offset,
  sk_peek_offset_bwd,
  sk_peek_offset_fwd,
  sk_prot_mem_limits,
  sk_set_peek_off,
  sk_sockets_allocated_inc,
  sk_stream_memory_free,
  sk_stream_moderate_sndbuf,
  sk_wait_data,
  sk_wmem_queued_add,
  sk_wmem_schedule,
  skb_copy_to_page_nocache,
  sock_cmsg_send,
  sock_error,
  sock_flag,
  sock_hold,
  sock_intr_errno,
  sock_net,
  sock_orphan,
  sock_put,
  sock_rcvlowat,
  sock_rcvtimeo,
  sock_reset_flag,
  sock_rfree,
  sock_set_flag,
  sock_sndtimeo,
  sock_tx_timestamp,
  sockcm_init,
  sockopt_lock_sock,
  sockopt_ns_capable,
  sockopt_release_sock,
  unlock_sock_fast,
} from '../core/sock.ts'
import {
  sk_stream_error,
  sk_stream_wait_close,
  sk_stream_wait_connect,
  sk_stream_wait_memory,
  sk_stream_write_space,
} from '../core/stream.ts'
import { __inet_stream_connect, inet_recv_error, inet_sk_state_store } from './af_inet.ts'
import {
  inet_csk_ack_scheduled,
  inet_csk_clear_xmit_timers_sync,
  inet_csk_delack_init,
  inet_csk_destroy_sock,
  inet_csk_enter_pingpong_mode,
  inet_csk_exit_pingpong_mode,
  inet_csk_in_pingpong_mode,
  inet_csk_listen_stop,
  inet_csk_reqsk_queue_drop,
  inet_csk_reset_keepalive_timer,
} from './inet_connection_sock.ts'
import { inet_bhash2_reset_saddr, inet_put_port } from './inet_hashtables.ts'
import { inet_twsk_deschedule_put } from './inet_timewait_sock.ts'
import {
  tcp_assign_congestion_control,
  tcp_register_congestion_control,
  tcp_reno,
  tcp_set_ca_state,
  tcp_set_congestion_control,
} from './tcp_cong.ts'
import {
  tcp_fastopen_active_disable_ofo_check,
  tcp_fastopen_get_cipher,
  tcp_fastopen_init_key_once,
  tcp_fastopen_reset_cipher,
} from './tcp_fastopen.ts'
import {
  __tcp_adjust_rcv_ssthresh,
  BPF_SOCK_OPS_STATE_CB,
  BPF_SOCK_OPS_STATE_CB_FLAG,
  BPF_SOCK_OPS_TEST_FLAG,
  keepalive_intvl_when,
  keepalive_probes,
  keepalive_time_elapsed,
  keepalive_time_when,
  tcp_add_write_queue_tail,
  tcp_bound_to_half_wnd,
  tcp_call_bpf_2arg,
  tcp_clear_all_retrans_hints,
  tcp_clear_xmit_timers,
  tcp_clock_ms,
  tcp_clock_ts,
  tcp_fast_path_check,
  tcp_fin_time,
  tcp_inq,
  tcp_is_sack,
  tcp_jiffies32,
  tcp_min_rtt,
  tcp_parse_auth_options,
  tcp_passive_fastopen,
  tcp_push_pending_frames,
  tcp_receive_window,
  tcp_rtx_and_write_queues_empty,
  tcp_rtx_queue_empty,
  tcp_rtx_queue_unlink,
  tcp_saved_syn_free,
  tcp_scaling_ratio_init,
  tcp_send_head,
  tcp_skb_can_collapse_to,
  tcp_skb_pcount_set,
  tcp_skb_tsorted_anchor_cleanup,
  tcp_slow_start_after_idle_check,
  tcp_snd_cwnd,
  tcp_snd_cwnd_set,
  tcp_space_from_win,
  tcp_tx_delay_enabled,
  tcp_unlink_write_queue,
  tcp_wmem_free_skb,
  tcp_write_queue_empty,
  tcp_write_queue_tail,
} from './tcp_inlines.ts'
import { tcp_clear_retrans, tcp_data_ready, tcp_done_with_error, tcp_rcv_space_adjust, tcp_send_rcvq } from './tcp_input.ts'
import { tcp_time_wait } from './tcp_minisocks.ts'
import {
  __tcp_push_pending_frames,
  __tcp_select_window,
  sk_forced_mem_schedule,
  tcp_chrono_stop,
  tcp_connect,
  tcp_current_mss,
  tcp_delack_max,
  tcp_mtup_init,
  tcp_push_one,
  tcp_send_ack,
  tcp_send_active_reset,
  tcp_send_fin,
  tcp_send_window_probe,
  tcp_sync_mss,
  tcp_tasklet_init,
} from './tcp_output.ts'
import { tcp_rate_check_app_limited } from './tcp_rate.ts'
import { tcp_init_xmit_timers } from './tcp_timer.ts'
import { tcp_set_ulp } from './tcp_ulp.ts'

const TCP_CMSG_INQ = 1
const TCP_CMSG_TS = 2
const CAP_NET_ADMIN = 12
const O_NONBLOCK = 0o4000
/** include/uapi/asm-generic/ioctls.h, include/uapi/linux/sockios.h */
const SIOCINQ = 0x541b
const SIOCOUTQ = 0x5411
const SIOCATMARK = 0x8905
const SIOCOUTQNSD = 0x894b

/** closed by the program, and not yet done: one processor, one counter */
export const tcp_orphan_count: ref<number> = { v: 0 }
/** pages, as in /proc/sys/net/ipv4/tcp_mem: below the first there is no pressure, beyond the third nothing is given */
export const sysctl_tcp_mem: [number, number, number] = [0, 0, 0]
export const tcp_memory_allocated: ref<number> = { v: 0 }
export const tcp_memory_per_cpu_fw_alloc: ref<number> = { v: 0 }
export const tcp_sockets_allocated: ref<number> = { v: 0 }
/** jiffies since when memory is short; 0: it is not */
export const tcp_memory_pressure: ref<number> = { v: 0 }
export let sysctl_tcp_max_orphans = 0

export const tcp_enter_memory_pressure = kfunc('tcp_enter_memory_pressure', (sk: sock): void => {
  if (tcp_memory_pressure.v) return
  tcp_memory_pressure.v = jiffies() || -1
  sock_net(sk).mib.linux.TCPMemoryPressures++
})

export const tcp_leave_memory_pressure = kfunc('tcp_leave_memory_pressure', (sk: sock): void => {
  const val = tcp_memory_pressure.v
  if (!val) return
  tcp_memory_pressure.v = 0
  sock_net(sk).mib.linux.TCPMemoryPressuresChrono += jiffies_to_msecs(jiffies() - val)
})

/** how many retransmissions fit into so many seconds */
const secs_to_retrans = kfunc('secs_to_retrans', (seconds: number, timeout: number, rto_max: number): number => {
  let res = 0
  if (seconds > 0) {
    let period = timeout
    res = 1
    while (seconds > period && res < 255) {
      res++
      timeout = Math.min(timeout << 1, rto_max)
      period += timeout
    }
  }
  return res
})

const retrans_to_secs = kfunc('retrans_to_secs', (retrans: number, timeout: number, rto_max: number): number => {
  let period = 0
  if (retrans > 0) {
    period = timeout
    while (--retrans) {
      timeout = Math.min(timeout << 1, rto_max)
      period += timeout
    }
  }
  return period
})

/** bytes a second */
const tcp_compute_delivery_rate = kfunc('tcp_compute_delivery_rate', (tp: tcp_sock): number => {
  const { rate_delivered: rate, rate_interval_us: intv } = tp
  return rate && intv ? Math.floor((rate * tp.mss_cache * USEC_PER_SEC) / intv) : 0
})

/** what every TCP socket starts with, whatever its address family */
export const tcp_init_sock = kfunc('tcp_init_sock', (sk: sock): void => {
  const icsk = inet_csk(sk)
  const tp = tcp_sk(sk)
  const { ipv4 } = sock_net(sk)
  tp.out_of_order_queue = new rb_root<sk_buff>()
  tp.tcp_rtx_queue = new rb_root<sk_buff>()
  tcp_init_xmit_timers(sk)
  icsk.icsk_rto = TCP_TIMEOUT_INIT
  icsk.icsk_rto_min = usecs_to_jiffies(ipv4.sysctl_tcp_rto_min_us)
  icsk.icsk_delack_max = TCP_DELACK_MAX
  tp.mdev_us = jiffies_to_usecs(TCP_TIMEOUT_INIT)
  const t = tcp_jiffies32()
  for (const s of tp.rtt_min.s) {
    s.t = t
    s.v = 0xffffffff
  }
  tcp_snd_cwnd_set(tp, TCP_INIT_CWND)
  tp.app_limited = 0xffffffff
  tp.rate_app_limited = 1
  tp.snd_ssthresh = TCP_INFINITE_SSTHRESH
  tp.snd_cwnd_clamp = 0xffffffff
  tp.mss_cache = TCP_MSS_DEFAULT
  tp.reordering = ipv4.sysctl_tcp_reordering
  tcp_assign_congestion_control(sk)
  tp.tsoffset = 0
  tp.rack.reo_wnd_steps = 1
  sk.sk_write_space = sk_stream_write_space
  sock_set_flag(sk, SOCK_USE_WRITE_QUEUE)
  icsk.icsk_sync_mss = tcp_sync_mss
  sk.sk_sndbuf = ipv4.sysctl_tcp_wmem[1]
  sk.sk_rcvbuf = ipv4.sysctl_tcp_rmem[1]
  tcp_scaling_ratio_init(sk)
  if (sk.sk_socket !== null) sk.sk_socket.flags |= 1 << SOCK_SUPPORT_ZC
  sk_sockets_allocated_inc(sk)
})

const tcp_tx_timestamp = kfunc('tcp_tx_timestamp', (sk: sock, tsflags: number): void => {
  const skb = tcp_write_queue_tail(sk) ?? skb_rb_last(tcp_sk(sk).tcp_rtx_queue)
  if (tsflags && skb !== null) {
    const shinfo = skb_shinfo(skb)
    const tcb = TCP_SKB_CB(skb)
    const tx_flags: ref<number> = { v: shinfo.tx_flags }
    sock_tx_timestamp(sk, tsflags, tx_flags)
    shinfo.tx_flags = tx_flags.v
    if (tsflags & SOF_TIMESTAMPING_TX_ACK) tcb.txstamp_ack = 1
    if (tsflags & SOF_TIMESTAMPING_TX_RECORD_MASK) shinfo.tskey = (tcb.seq + skb.len - 1) >>> 0
  }
})

export const tcp_ioctl = kfunc('tcp_ioctl', (sk: sock, cmd: number, karg: ref<number>): number => {
  const tp = tcp_sk(sk)
  switch (cmd) {
    case SIOCINQ: {
      if (sk.sk_state === TCP_LISTEN) return -EINVAL
      const slow = lock_sock_fast(sk)
      karg.v = tcp_inq(sk)
      unlock_sock_fast(sk, slow)
      return 0
    }
    case SIOCATMARK:
      karg.v = tp.urg_data && tp.urg_seq === tp.copied_seq ? 1 : 0
      return 0
    case SIOCOUTQ:
      if (sk.sk_state === TCP_LISTEN) return -EINVAL
      karg.v = (1 << sk.sk_state) & (TCPF_SYN_SENT | TCPF_SYN_RECV) ? 0 : (tp.write_seq - tp.snd_una) | 0
      return 0
    case SIOCOUTQNSD:
      if (sk.sk_state === TCP_LISTEN) return -EINVAL
      karg.v = (1 << sk.sk_state) & (TCPF_SYN_SENT | TCPF_SYN_RECV) ? 0 : (tp.write_seq - tp.snd_nxt) | 0
      return 0
  }
  return -ENOIOCTLCMD
})

export const tcp_mark_push = kfunc('tcp_mark_push', (tp: tcp_sock, skb: sk_buff): void => {
  TCP_SKB_CB(skb).tcp_flags |= TCPHDR_PSH
  tp.pushed_seq = tp.write_seq
})

/** more than half a window was written since the last push */
const forced_push = kfunc('forced_push', (tp: tcp_sock): boolean =>
  after(tp.write_seq, (tp.pushed_seq + (tp.max_window >>> 1)) >>> 0),
)

export const tcp_skb_entail = kfunc('tcp_skb_entail', (sk: sock, skb: sk_buff): void => {
  const tp = tcp_sk(sk)
  const tcb = TCP_SKB_CB(skb)
  tcb.seq = tp.write_seq
  tcb.end_seq = tp.write_seq
  tcb.tcp_flags = TCPHDR_ACK
  __skb_header_release(skb)
  tcp_add_write_queue_tail(sk, skb)
  sk_wmem_queued_add(sk, skb.truesize)
  sk_mem_charge(sk, skb.truesize)
  if (tp.nonagle & TCP_NAGLE_PUSH) tp.nonagle &= ~TCP_NAGLE_PUSH
  tcp_slow_start_after_idle_check(sk)
})

const tcp_mark_urg = kfunc('tcp_mark_urg', (tp: tcp_sock, flags: number): void => {
  if (flags & MSG_OOB) tp.snd_up = tp.write_seq
})

/** true: a small buffer waits for the packets below to leave, as more may be written until then */
const tcp_should_autocork = kfunc('tcp_should_autocork', (sk: sock, skb: sk_buff, size_goal: number): boolean => {
  const cork =
    skb.len < size_goal &&
    sock_net(sk).ipv4.sysctl_tcp_autocorking !== 0 &&
    !tcp_rtx_queue_empty(sk) &&
    sk.sk_wmem_alloc > skb.truesize &&
    tcp_skb_can_collapse_to(skb)
  if (tracer.on)
    decide('tcp_should_autocork', cork ? 'corked: packets of this socket are still below' : 'no autocork', {
      len: skb.len,
      size_goal,
      wmem_alloc: sk.sk_wmem_alloc,
      truesize: skb.truesize,
    })
  return cork
})

/** after a write: sends what can go */
export const tcp_push = kfunc(
  'tcp_push',
  (sk: sock, flags: number, mss_now: number, nonagle: number, size_goal: number): void => {
    const tp = tcp_sk(sk)
    const skb = tcp_write_queue_tail(sk)
    if (skb === null) return
    const push = !(flags & MSG_MORE) || forced_push(tp)
    if (push) tcp_mark_push(tp, skb)
    if (tracer.on) decide('tcp_push', push ? 'PSH' : 'no PSH: MSG_MORE', { write_seq: tp.write_seq, len: skb.len })
    tcp_mark_urg(tp, flags)
    if (tcp_should_autocork(sk, skb, size_goal)) {
      if (!(sk.sk_tsq_flags & (1 << TSQ_THROTTLED))) {
        sock_net(sk).mib.linux.TCPAutoCorking++
        sk.sk_tsq_flags |= 1 << TSQ_THROTTLED
      }
      if (sk.sk_wmem_alloc > skb.truesize) return
    }
    if (flags & MSG_MORE) nonagle = TCP_NAGLE_CORK
    __tcp_push_pending_frames(sk, mss_now, nonagle)
  },
)

/** struct tcp_splice_state */
interface tcp_splice_state {
  pipe: pipe_inode_info
  len: number
  flags: number
}

/** include/linux/fs.h read_descriptor_t: `count` bytes are still wanted */
export interface read_descriptor_t {
  count: number
  arg: unknown
}
export type sk_read_actor_t = (desc: read_descriptor_t, skb: sk_buff, offset: number, len: number) => number

const tcp_splice_data_recv = kfunc(
  'tcp_splice_data_recv',
  (rd_desc: read_descriptor_t, skb: sk_buff, offset: number, len: number): number => {
    const tss = rd_desc.arg as tcp_splice_state
    const ret = skb_splice_bits(skb, skb.sk, offset, tss.pipe, Math.min(rd_desc.count, len), tss.flags)
    if (ret > 0) rd_desc.count -= ret
    return ret
  },
)

const __tcp_splice_read = kfunc('__tcp_splice_read', (sk: sock, tss: tcp_splice_state): number =>
  tcp_read_sock(sk, { arg: tss, count: tss.len }, tcp_splice_data_recv),
)

export const tcp_splice_read = kfunc(
  'tcp_splice_read',
  (sock: socket, ppos: ref<number> | null, pipe: pipe_inode_info, len: number, flags: number): number => {
    const { sk } = sock
    if (sk === null) return -ENOTCONN
    const tss: tcp_splice_state = { pipe, len, flags }
    // a socket has no position
    if (ppos?.v) return -ESPIPE
    let ret = 0
    let spliced = 0
    lock_sock(sk)
    const timeo: ref<number> = { v: sock_rcvtimeo(sk, ((sock.file?.f_flags ?? 0) & O_NONBLOCK) !== 0) }
    while (tss.len) {
      ret = __tcp_splice_read(sk, tss)
      if (ret < 0) break
      if (!ret) {
        if (spliced) break
        if (sock_flag(sk, SOCK_DONE)) break
        if (sk.sk_err) {
          ret = sock_error(sk)
          break
        }
        if (sk.sk_shutdown & RCV_SHUTDOWN) break
        if (sk.sk_state === TCP_CLOSE) {
          ret = -ENOTCONN
          break
        }
        if (!timeo.v) {
          ret = -EAGAIN
          break
        }
        // urgent data holds it up
        if (!skb_queue_empty(sk.sk_receive_queue)) break
        ret = sk_wait_data(sk, timeo, null)
        if (ret < 0) break
        if (signal_pending(current)) {
          ret = sock_intr_errno(timeo.v)
          break
        }
        continue
      }
      tss.len -= ret
      spliced += ret
      if (!tss.len || !timeo.v) break
      release_sock(sk)
      lock_sock(sk)
      if (sk.sk_err || sk.sk_state === TCP_CLOSE || sk.sk_shutdown & RCV_SHUTDOWN || signal_pending(current)) break
    }
    release_sock(sk)
    return spliced || ret
  },
)

/** a buffer with room for headers; data goes to page fragments. `force_schedule`: also when the limits are reached. */
export const tcp_stream_alloc_skb = kfunc(
  'tcp_stream_alloc_skb',
  (sk: sock, gfp: number, force_schedule: boolean): sk_buff | null => {
    const skb = alloc_skb_fclone(MAX_TCP_HEADER, gfp)
    if (skb === null) {
      sk.sk_prot.enter_memory_pressure?.(sk)
      sk_stream_moderate_sndbuf(sk)
      return null
    }
    skb.truesize = SKB_TRUESIZE(skb_end_offset(skb))
    let mem_scheduled = true
    if (force_schedule) sk_forced_mem_schedule(sk, skb.truesize)
    else mem_scheduled = sk_wmem_schedule(sk, skb.truesize)
    if (mem_scheduled) {
      skb_reserve(skb, MAX_TCP_HEADER)
      skb.ip_summed = CHECKSUM_PARTIAL
      return skb
    }
    __kfree_skb(skb)
    return null
  },
)

/** how large a buffer may get: a whole number of segments, as much as the device takes at once */
const tcp_xmit_size_goal = kfunc('tcp_xmit_size_goal', (sk: sock, mss_now: number, large_allowed: boolean): number => {
  const tp = tcp_sk(sk)
  if (!large_allowed) return mss_now
  const new_size_goal = tcp_bound_to_half_wnd(tp, sk.sk_gso_max_size)
  let size_goal = tp.gso_segs * mss_now
  if (new_size_goal < size_goal || new_size_goal >= size_goal + mss_now) {
    tp.gso_segs = Math.min(Math.trunc(new_size_goal / mss_now) & 0xffff, sk.sk_gso_max_segs)
    size_goal = tp.gso_segs * mss_now
  }
  return Math.max(size_goal, mss_now)
})

export const tcp_send_mss = kfunc('tcp_send_mss', (sk: sock, size_goal: ref<number>, flags: number): number => {
  const mss_now = tcp_current_mss(sk)
  size_goal.v = tcp_xmit_size_goal(sk, mss_now, !(flags & MSG_OOB))
  return mss_now
})

export const tcp_remove_empty_skb = kfunc('tcp_remove_empty_skb', (sk: sock): void => {
  const skb = tcp_write_queue_tail(sk)
  if (skb !== null && TCP_SKB_CB(skb).seq === TCP_SKB_CB(skb).end_seq) {
    tcp_unlink_write_queue(skb, sk)
    if (tcp_write_queue_empty(sk)) tcp_chrono_stop(sk, TCP_CHRONO_BUSY)
    tcp_wmem_free_skb(sk, skb)
  }
})

/** a buffer of user pages alone gets bytes that were copied: from now on all of it is charged */
const tcp_downgrade_zcopy_pure = kfunc('tcp_downgrade_zcopy_pure', (sk: sock, skb: sk_buff): number => {
  if (skb_zcopy_pure(skb)) {
    const extra = skb.truesize - SKB_TRUESIZE(skb_end_offset(skb))
    if (!sk_wmem_schedule(sk, extra)) return -ENOMEM
    sk_mem_charge(sk, extra)
    skb_shinfo(skb).flags &= ~SKBFL_PURE_ZEROCOPY
  }
  return 0
})

/** how many of `copy` bytes may be taken into the socket's memory now */
export const tcp_wmem_schedule = kfunc('tcp_wmem_schedule', (sk: sock, copy: number): number => {
  if (sk_wmem_schedule(sk, copy)) return copy
  // with nothing queued, some progress has to be made
  const left = sock_net(sk).ipv4.sysctl_tcp_wmem[0] - sk.sk_wmem_queued
  if (left > 0) sk_forced_mem_schedule(sk, Math.min(left, copy))
  return Math.min(copy, sk.sk_forward_alloc)
})

export const tcp_free_fastopen_req = kfunc('tcp_free_fastopen_req', (tp: tcp_sock): void => {
  tp.fastopen_req = null
})

export const tcp_sendmsg_fastopen = kfunc(
  'tcp_sendmsg_fastopen',
  (sk: sock, msg: msghdr, copied: ref<number>, size: number, uarg: ubuf_info | null): number => {
    const tp = tcp_sk(sk)
    const uaddr = msg.msg_name
    if (
      !(sock_net(sk).ipv4.sysctl_tcp_fastopen & TFO_CLIENT_ENABLE) ||
      (uaddr !== null && msg.msg_namelen >= 2 && uaddr.sa_family === AF_UNSPEC)
    )
      return -EOPNOTSUPP
    if (tp.fastopen_req !== null) return -EALREADY
    const req = new tcp_fastopen_request()
    tp.fastopen_req = req
    req.data = msg
    req.size = size
    req.uarg = uarg
    if (inet_test_bit(INET_FLAGS_DEFER_CONNECT, sk)) {
      const err = tcp_connect(sk)
      if (err) {
        tcp_set_state(sk, TCP_CLOSE)
        inet_sk(sk).inet_dport = 0
        sk.sk_route_caps = 0n
      }
    }
    if (sk.sk_socket === null) return -ENOTCONN
    const flags = msg.msg_flags & MSG_DONTWAIT ? O_NONBLOCK : 0
    const err = __inet_stream_connect(sk.sk_socket, uaddr, msg.msg_namelen, flags, 1)
    // a reset or a timeout may have taken it away meanwhile
    const left = tp.fastopen_req as tcp_fastopen_request | null
    if (left !== null) {
      copied.v = left.copied
      tcp_free_fastopen_req(tp)
      inet_clear_bit(INET_FLAGS_DEFER_CONNECT, sk)
    }
    return err
  },
)

/** Copies the message into the write queue, and pushes it. The socket is locked. */
export const tcp_sendmsg_locked = kfunc('tcp_sendmsg_locked', (sk: sock, msg: msghdr, size: number): number => {
  const tp = tcp_sk(sk)
  const flags = msg.msg_flags
  const size_goal: ref<number> = { v: 0 }
  let uarg: ubuf_info | null = null
  let err = 0
  let copied = 0
  let copied_syn = 0
  let mss_now = 0
  let process_backlog = 0
  let zc = 0
  let tsflags = 0

  // the three ends that Linux jumps to
  const OUT = 0
  const DO_ERROR = 1
  const OUT_ERR = 2
  const OUT_NOPUSH = 3
  let end = OUT

  send: for (;;) {
    if (flags & MSG_ZEROCOPY && size) {
      if (msg.msg_ubuf !== null) {
        uarg = msg.msg_ubuf
        if (sk.sk_route_caps & BigInt(NETIF_F_SG)) zc = MSG_ZEROCOPY
      } else if (sock_flag(sk, SOCK_ZEROCOPY)) {
        const tail = tcp_write_queue_tail(sk)
        uarg = msg_zerocopy_realloc(sk, size, skb_zcopy(tail))
        if (uarg === null) {
          err = -ENOBUFS
          end = OUT_ERR
          break
        }
        if (sk.sk_route_caps & BigInt(NETIF_F_SG)) zc = MSG_ZEROCOPY
        else uarg_to_msgzc(uarg).zerocopy = 0
      }
    } else if (flags & MSG_SPLICE_PAGES && size) {
      if (sk.sk_route_caps & BigInt(NETIF_F_SG)) zc = MSG_SPLICE_PAGES
    }

    if ((flags & MSG_FASTOPEN || inet_test_bit(INET_FLAGS_DEFER_CONNECT, sk)) && !tp.repair) {
      const syn: ref<number> = { v: 0 }
      err = tcp_sendmsg_fastopen(sk, msg, syn, size, uarg)
      copied_syn = syn.v
      if (err === -EINPROGRESS && copied_syn > 0) break
      if (err) {
        end = OUT_ERR
        break
      }
    }

    const timeo: ref<number> = { v: sock_sndtimeo(sk, flags & MSG_DONTWAIT) }
    tcp_rate_check_app_limited(sk)

    if ((1 << sk.sk_state) & ~(TCPF_ESTABLISHED | TCPF_CLOSE_WAIT) && !tcp_passive_fastopen(sk)) {
      err = sk_stream_wait_connect(sk, timeo)
      if (err !== 0) {
        end = DO_ERROR
        break
      }
    }

    if (tp.repair) {
      if (tp.repair_queue === T.TCP_RECV_QUEUE) {
        copied = tcp_send_rcvq(sk, msg, size)
        end = OUT_NOPUSH
        break
      }
      err = -EINVAL
      if (tp.repair_queue === T.TCP_NO_QUEUE) {
        end = OUT_ERR
        break
      }
    }

    const sockc = new sockcm_cookie()
    sockcm_init(sockc, sk)
    if (msg.msg_controllen) {
      err = sock_cmsg_send(sk, msg, sockc)
      if (err) {
        err = -EINVAL
        end = OUT_ERR
        break
      }
    }
    tsflags = sockc.tsflags
    sk_clear_bit(SOCKWQ_ASYNC_NOSPACE, sk)

    restart: for (;;) {
      mss_now = tcp_send_mss(sk, size_goal, flags)
      err = -EPIPE
      if (sk.sk_err || sk.sk_shutdown & SEND_SHUTDOWN) {
        end = DO_ERROR
        break send
      }

      while (msg_data_left(msg)) {
        let copy = 0
        let skb = tcp_write_queue_tail(sk)
        if (skb !== null) copy = size_goal.v - skb.len
        let new_segment = copy <= 0 || skb === null || !tcp_skb_can_collapse_to(skb)
        let wait_for_space = false

        // once, or again with a new buffer when this one takes no more
        for (;;) {
          if (new_segment) {
            if (!sk_stream_memory_free(sk)) {
              wait_for_space = true
              break
            }
            if (process_backlog >= 16) {
              process_backlog = 0
              if (sk_flush_backlog(sk)) continue restart
            }
            const first_skb = tcp_rtx_and_write_queues_empty(sk)
            skb = tcp_stream_alloc_skb(sk, sk.sk_allocation, first_skb)
            if (skb === null) {
              wait_for_space = true
              break
            }
            process_backlog++
            tcp_skb_entail(sk, skb)
            copy = size_goal.v
            if (tp.repair) TCP_SKB_CB(skb).sacked |= TCPCB_REPAIRED
          }
          if (skb === null) break
          if (copy > msg_data_left(msg)) copy = msg_data_left(msg)

          if (zc === 0) {
            let merge = true
            const shinfo = skb_shinfo(skb)
            const i = shinfo.frags.length
            const pfrag = sk_page_frag(sk)
            if (!sk_page_frag_refill(sk, pfrag)) {
              wait_for_space = true
              break
            }
            const { page } = pfrag
            if (page === null) break
            if (!skb_can_coalesce(skb, i, page, pfrag.offset)) {
              if (i >= net_hotdata.sysctl_max_skb_frags) {
                tcp_mark_push(tp, skb)
                new_segment = true
                continue
              }
              merge = false
            }
            copy = Math.min(copy, pfrag.size - pfrag.offset)
            if (skb_zcopy_pure(skb) || skb_zcopy_managed(skb)) {
              if (tcp_downgrade_zcopy_pure(sk, skb)) {
                wait_for_space = true
                break
              }
              skb_zcopy_downgrade_managed(skb)
            }
            copy = tcp_wmem_schedule(sk, copy)
            if (!copy) {
              wait_for_space = true
              break
            }
            err = skb_copy_to_page_nocache(sk, msg.msg_iter, skb, page, pfrag.offset, copy)
            if (err) {
              end = DO_ERROR
              break send
            }
            const last = shinfo.frags[i - 1]
            if (merge && last !== undefined) {
              last.len += copy
            } else {
              skb_fill_page_desc(skb, i, page, pfrag.offset, copy)
              page_ref_inc(page)
            }
            pfrag.offset += copy
          } else if (zc === MSG_ZEROCOPY && uarg !== null) {
            // a buffer that has user pages alone is not charged
            if (!skb.len) skb_shinfo(skb).flags |= SKBFL_PURE_ZEROCOPY
            if (!skb_zcopy_pure(skb)) {
              copy = tcp_wmem_schedule(sk, copy)
              if (!copy) {
                wait_for_space = true
                break
              }
            }
            err = skb_zerocopy_iter_stream(sk, skb, msg, copy, uarg)
            if (err === -EMSGSIZE || err === -EEXIST) {
              tcp_mark_push(tp, skb)
              new_segment = true
              continue
            }
            if (err < 0) {
              end = DO_ERROR
              break send
            }
            copy = err
          } else if (zc === MSG_SPLICE_PAGES) {
            if (tcp_downgrade_zcopy_pure(sk, skb)) {
              wait_for_space = true
              break
            }
            copy = tcp_wmem_schedule(sk, copy)
            if (!copy) {
              wait_for_space = true
              break
            }
            err = skb_splice_from_iter(skb, msg.msg_iter, copy, sk.sk_allocation)
            if (err < 0) {
              if (err === -EMSGSIZE) {
                tcp_mark_push(tp, skb)
                new_segment = true
                continue
              }
              end = DO_ERROR
              break send
            }
            copy = err
            if (!(flags & MSG_NO_SHARED_FRAGS)) skb_shinfo(skb).flags |= SKBFL_SHARED_FRAG
            sk_wmem_queued_add(sk, copy)
            sk_mem_charge(sk, copy)
          }
          break
        }

        if (wait_for_space || skb === null) {
          if (sk.sk_socket !== null) sk.sk_socket.flags |= 1 << SOCK_NOSPACE
          tcp_remove_empty_skb(sk)
          if (copied) tcp_push(sk, flags & ~MSG_MORE, mss_now, TCP_NAGLE_PUSH, size_goal.v)
          err = sk_stream_wait_memory(sk, timeo)
          if (err !== 0) {
            end = DO_ERROR
            break send
          }
          mss_now = tcp_send_mss(sk, size_goal, flags)
          continue
        }

        const tcb = TCP_SKB_CB(skb)
        if (!copied) tcb.tcp_flags &= ~TCPHDR_PSH
        tp.write_seq = (tp.write_seq + copy) >>> 0
        tcb.end_seq = (tcb.end_seq + copy) >>> 0
        tcp_skb_pcount_set(skb, 0)
        copied += copy
        if (!msg_data_left(msg)) {
          if (flags & MSG_EOR) tcb.eor = 1
          break send
        }
        if (skb.len < size_goal.v || flags & MSG_OOB || tp.repair) continue
        if (forced_push(tp)) {
          tcp_mark_push(tp, skb)
          __tcp_push_pending_frames(sk, mss_now, TCP_NAGLE_PUSH)
        } else if (skb === tcp_send_head(sk)) tcp_push_one(sk, mss_now)
      }
      break send
    }
  }

  if (end === DO_ERROR) {
    tcp_remove_empty_skb(sk)
    end = copied + copied_syn ? OUT : OUT_ERR
  }
  if (end === OUT_ERR) {
    if (uarg !== null && msg.msg_ubuf === null) net_zcopy_put_abort(uarg, true)
    err = sk_stream_error(sk, flags, err)
    // whoever polls by edges has to hear of the space once more
    if (tcp_rtx_and_write_queues_empty(sk) && err === -EAGAIN) {
      sk.sk_write_space(sk)
      tcp_chrono_stop(sk, TCP_CHRONO_SNDBUF_LIMITED)
    }
    return err
  }
  if (end === OUT && copied) {
    tcp_tx_timestamp(sk, tsflags)
    tcp_push(sk, flags, mss_now, tp.nonagle, size_goal.v)
  }
  if (uarg !== null && msg.msg_ubuf === null) net_zcopy_put(uarg)
  return copied + copied_syn
})

export const tcp_sendmsg = kfunc('tcp_sendmsg', (sk: sock, msg: msghdr, size: number): number => {
  lock_sock(sk)
  const ret = tcp_sendmsg_locked(sk, msg, size)
  release_sock(sk)
  return ret
})

/** the end of a sendfile(): what MSG_MORE held back goes */
export const tcp_splice_eof = kfunc('tcp_splice_eof', (sock: socket): void => {
  const { sk } = sock
  if (sk === null || tcp_write_queue_tail(sk) === null) return
  const tp = tcp_sk(sk)
  const size_goal: ref<number> = { v: 0 }
  lock_sock(sk)
  const mss_now = tcp_send_mss(sk, size_goal, 0)
  tcp_push(sk, 0, mss_now, tp.nonagle, size_goal.v)
  release_sock(sk)
})

const tcp_recv_urg = kfunc('tcp_recv_urg', (sk: sock, msg: msghdr, len: number, flags: number): number => {
  const tp = tcp_sk(sk)
  if (sock_flag(sk, SOCK_URGINLINE) || !tp.urg_data || tp.urg_data === TCP_URG_READ) return -EINVAL
  if (sk.sk_state === TCP_CLOSE && !sock_flag(sk, SOCK_DONE)) return -ENOTCONN
  if (tp.urg_data & TCP_URG_VALID) {
    let err = 0
    const c = tp.urg_data & 0xff
    if (!(flags & MSG_PEEK)) tp.urg_data = TCP_URG_READ
    msg.msg_flags |= MSG_OOB
    if (len > 0) {
      if (!(flags & MSG_TRUNC)) err = _copy_to_iter(Uint8Array.of(c), 1, msg.msg_iter) === 1 ? 0 : -EFAULT
      len = 1
    } else msg.msg_flags |= MSG_TRUNC
    return err ? -EFAULT : len
  }
  if (sk.sk_state === TCP_CLOSE || sk.sk_shutdown & RCV_SHUTDOWN) return 0
  return -EAGAIN
})

/** TCP_REPAIR: reads what was sent and not acknowledged */
const tcp_peek_sndq = kfunc('tcp_peek_sndq', (sk: sock, msg: msghdr, _len: number): number => {
  let copied = 0
  for (let skb = skb_rb_first(tcp_sk(sk).tcp_rtx_queue); skb !== null; skb = skb_rb_next(skb)) {
    const err = skb_copy_datagram_msg(skb, 0, msg, skb.len)
    if (err) return err
    copied += skb.len
  }
  for (let skb = sk.sk_write_queue.first; skb !== null; skb = skb.next) {
    const err = skb_copy_datagram_msg(skb, 0, msg, skb.len)
    if (err) return err
    copied += skb.len
  }
  return copied
})

/** after a read of `copied` bytes: an ACK, if the peer waits for one or the window has opened a lot */
export const __tcp_cleanup_rbuf = kfunc('__tcp_cleanup_rbuf', (sk: sock, copied: number): void => {
  const tp = tcp_sk(sk)
  let time_to_ack = false
  if (inet_csk_ack_scheduled(sk)) {
    const { icsk_ack } = inet_csk(sk)
    if (
      // the ACK for two full segments was not sent by tcp_input.c
      (tp.rcv_nxt - tp.rcv_wup) >>> 0 > icsk_ack.rcv_mss ||
      // all was read, and the last segment was a small one
      (copied > 0 &&
        (icsk_ack.pending & ICSK_ACK_PUSHED2 || (icsk_ack.pending & ICSK_ACK_PUSHED && !inet_csk_in_pingpong_mode(sk))) &&
        !sk.sk_rmem_alloc)
    )
      time_to_ack = true
  }
  if (copied > 0 && !time_to_ack && !(sk.sk_shutdown & RCV_SHUTDOWN)) {
    const rcv_window_now = tcp_receive_window(tp)
    if (2 * rcv_window_now <= tp.window_clamp) {
      const new_window = __tcp_select_window(sk)
      if (new_window && new_window >= 2 * rcv_window_now) time_to_ack = true
    }
  }
  if (time_to_ack) tcp_send_ack(sk)
})

export const tcp_cleanup_rbuf = kfunc('tcp_cleanup_rbuf', (sk: sock, copied: number): void => {
  __tcp_cleanup_rbuf(sk, copied)
})

const tcp_eat_recv_skb = kfunc('tcp_eat_recv_skb', (sk: sock, skb: sk_buff): void => {
  __skb_unlink(skb, sk.sk_receive_queue)
  if (skb.destructor === sock_rfree) {
    sock_rfree(skb)
    skb.destructor = null
    skb.sk = null
    skb_attempt_defer_free(skb)
    return
  }
  __kfree_skb(skb)
})

/** the received buffer that holds `seq`, and where in it; what lies before is freed */
export const tcp_recv_skb = kfunc('tcp_recv_skb', (sk: sock, seq: number, off: ref<number>): sk_buff | null => {
  for (let skb = skb_peek(sk.sk_receive_queue); skb !== null; skb = skb_peek(sk.sk_receive_queue)) {
    const tcb = TCP_SKB_CB(skb)
    let offset = (seq - tcb.seq) >>> 0
    if (tcb.tcp_flags & TCPHDR_SYN) offset--
    if (offset < skb.len || tcb.tcp_flags & TCPHDR_FIN) {
      off.v = offset
      return skb
    }
    tcp_eat_recv_skb(sk, skb)
  }
  return null
})

/** tcp_read_sock(), with the place of `copied_seq` fixed to the socket's own */
const __tcp_read_sock = kfunc(
  '__tcp_read_sock',
  (sk: sock, desc: read_descriptor_t, recv_actor: sk_read_actor_t, noack: boolean): number => {
    const tp = tcp_sk(sk)
    let seq = tp.copied_seq
    const offset: ref<number> = { v: 0 }
    let copied = 0
    if (sk.sk_state === TCP_LISTEN) return -ENOTCONN
    for (let skb = tcp_recv_skb(sk, seq, offset); skb !== null; skb = tcp_recv_skb(sk, seq, offset)) {
      if (offset.v < skb.len) {
        let len = skb.len - offset.v
        if (tp.urg_data) {
          const urg_offset = (tp.urg_seq - seq) >>> 0
          if (urg_offset < len) len = urg_offset
          if (!len) break
        }
        const used = recv_actor(desc, skb, offset.v, len)
        if (used <= 0) {
          if (!copied) copied = used
          break
        }
        seq = (seq + used) >>> 0
        copied += used
        offset.v += used
        // the actor may have let the lock go: look again
        skb = tcp_recv_skb(sk, (seq - 1) >>> 0, offset)
        if (skb === null) break
        if (offset.v + 1 !== skb.len) continue
      }
      if (TCP_SKB_CB(skb).tcp_flags & TCPHDR_FIN) {
        tcp_eat_recv_skb(sk, skb)
        seq = (seq + 1) >>> 0
        break
      }
      tcp_eat_recv_skb(sk, skb)
      if (!desc.count) break
      tp.copied_seq = seq
    }
    tp.copied_seq = seq
    if (noack) return copied
    tcp_rcv_space_adjust(sk)
    if (copied > 0) {
      tcp_recv_skb(sk, seq, offset)
      tcp_cleanup_rbuf(sk, copied)
    }
    return copied
  },
)

export const tcp_read_sock = kfunc('tcp_read_sock', (sk: sock, desc: read_descriptor_t, recv_actor: sk_read_actor_t): number =>
  __tcp_read_sock(sk, desc, recv_actor, false),
)

export const tcp_peek_len = kfunc('tcp_peek_len', (sock: socket): number => (sock.sk === null ? 0 : tcp_inq(sock.sk)))

/** SO_RCVLOWAT: the buffer grows, so that so much fits in */
export const tcp_set_rcvlowat = kfunc('tcp_set_rcvlowat', (sk: sock, val: number): number => {
  const tp = tcp_sk(sk)
  const cap = sk.sk_userlocks & SOCK_RCVBUF_LOCK ? sk.sk_rcvbuf >> 1 : sock_net(sk).ipv4.sysctl_tcp_rmem[2] >> 1
  val = Math.min(val, cap)
  sk.sk_rcvlowat = val || 1
  tcp_data_ready(sk)
  if (sk.sk_userlocks & SOCK_RCVBUF_LOCK) return 0
  const space = tcp_space_from_win(sk, val)
  if (space > sk.sk_rcvbuf) {
    sk.sk_rcvbuf = space
    if (tp.window_clamp && tp.window_clamp < val) tp.window_clamp = val
  }
  return 0
})

/** include/linux/errqueue.h struct scm_timestamping_internal, in nanoseconds; 0 for none */
export class scm_timestamping_internal {
  ts: [number, number, number] = [0, 0, 0]
}

export const tcp_update_recv_tstamps = kfunc('tcp_update_recv_tstamps', (skb: sk_buff, tss: scm_timestamping_internal): void => {
  tss.ts[0] = skb.tstamp
  tss.ts[2] = skb_hwtstamps(skb)
})

/** seconds and a fraction of them as two 64-bit little-endian numbers */
function time_bytes(ns: number, unit: number): Uint8Array {
  const b = new Uint8Array(16)
  const v = new DataView(b.buffer)
  v.setBigInt64(0, BigInt(Math.floor(ns / NSEC_PER_SEC)), true)
  v.setBigInt64(8, BigInt(Math.floor((ns % NSEC_PER_SEC) / unit)), true)
  return b
}

export const tcp_recv_timestamp = kfunc('tcp_recv_timestamp', (msg: msghdr, sk: sock, tss: scm_timestamping_internal): void => {
  const new_tstamp = sock_flag(sk, SOCK_TSTAMP_NEW)
  const tsflags = sk.sk_tsflags
  let has_timestamping = false
  if (tss.ts[0]) {
    if (sock_flag(sk, SOCK_RCVTSTAMP)) {
      if (sock_flag(sk, SOCK_RCVTSTAMPNS))
        put_cmsg(msg, SOL_SOCKET, new_tstamp ? SO_TIMESTAMPNS_NEW : SO_TIMESTAMPNS_OLD, 16, time_bytes(tss.ts[0], 1))
      else put_cmsg(msg, SOL_SOCKET, new_tstamp ? SO_TIMESTAMP_NEW : SO_TIMESTAMP_OLD, 16, time_bytes(tss.ts[0], 1000))
    }
    if (
      tsflags & SOF_TIMESTAMPING_SOFTWARE &&
      (tsflags & SOF_TIMESTAMPING_RX_SOFTWARE || !(tsflags & SOF_TIMESTAMPING_OPT_RX_FILTER))
    )
      has_timestamping = true
    else tss.ts[0] = 0
  }
  if (tss.ts[2]) {
    if (
      tsflags & SOF_TIMESTAMPING_RAW_HARDWARE &&
      (tsflags & SOF_TIMESTAMPING_RX_HARDWARE || !(tsflags & SOF_TIMESTAMPING_OPT_RX_FILTER))
    )
      has_timestamping = true
    else tss.ts[2] = 0
  }
  if (has_timestamping) {
    tss.ts[1] = 0
    if (sock_flag(sk, SOCK_TSTAMP_NEW)) put_cmsg_scm_timestamping64(msg, tss)
    else put_cmsg_scm_timestamping(msg, tss)
  }
})

const tcp_inq_hint = kfunc('tcp_inq_hint', (sk: sock): number => {
  const tp = tcp_sk(sk)
  const inq = (tp.rcv_nxt - tp.copied_seq) | 0
  // so that a reader learns of the end
  return inq === 0 && sock_flag(sk, SOCK_DONE) ? 1 : inq
})

const tcp_recvmsg_locked = kfunc(
  'tcp_recvmsg_locked',
  (sk: sock, msg: msghdr, len: number, flags: number, tss: scm_timestamping_internal, cmsg_flags: ref<number>): number => {
    const tp = tcp_sk(sk)
    let copied = 0
    let urg_hole = 0
    if (sk.sk_state === TCP_LISTEN) return -ENOTCONN
    if (tp.recvmsg_inq) {
      cmsg_flags.v = TCP_CMSG_INQ
      msg.msg_get_inq = 1
    }
    const timeo: ref<number> = { v: sock_rcvtimeo(sk, flags & MSG_DONTWAIT) }
    if (flags & MSG_OOB) return tcp_recv_urg(sk, msg, len, flags)
    if (tp.repair) {
      if (!(flags & MSG_PEEK)) return -EPERM
      if (tp.repair_queue === T.TCP_SEND_QUEUE) return tcp_peek_sndq(sk, msg, len)
      if (tp.repair_queue === T.TCP_NO_QUEUE) return -EINVAL
    }
    // where the reading is: the socket's own place, or one that is forgotten
    const peek = (flags & MSG_PEEK) !== 0
    const peek_offset = peek ? Math.max(sk_peek_offset(sk, flags), 0) : 0
    let seq = (tp.copied_seq + peek_offset) >>> 0
    const target = sock_rcvlowat(sk, flags & MSG_WAITALL, len)
    do {
      let offset = 0
      if (tp.urg_data && tp.urg_seq === seq) {
        if (copied) break
        if (signal_pending(current)) {
          copied = timeo.v ? sock_intr_errno(timeo.v) : -EAGAIN
          break
        }
      }
      let last = skb_peek_tail(sk.sk_receive_queue)
      let found: sk_buff | null = null
      let found_fin = false
      for (let skb = sk.sk_receive_queue.first; skb !== null; skb = skb.next) {
        last = skb
        const tcb = TCP_SKB_CB(skb)
        if (before(seq, tcb.seq)) break
        offset = (seq - tcb.seq) >>> 0
        if (tcb.tcp_flags & TCPHDR_SYN) offset--
        if (offset < skb.len) {
          found = skb
          break
        }
        if (tcb.tcp_flags & TCPHDR_FIN) {
          found = skb
          found_fin = true
          break
        }
      }
      if (found === null) {
        if (copied >= target && sk.sk_backlog.tail === null) break
        if (copied) {
          if (!timeo.v || sk.sk_err || sk.sk_state === TCP_CLOSE || sk.sk_shutdown & RCV_SHUTDOWN || signal_pending(current))
            break
        } else {
          if (sock_flag(sk, SOCK_DONE)) break
          if (sk.sk_err) {
            copied = sock_error(sk)
            break
          }
          if (sk.sk_shutdown & RCV_SHUTDOWN) break
          if (sk.sk_state === TCP_CLOSE) {
            copied = -ENOTCONN
            break
          }
          if (!timeo.v) {
            copied = -EAGAIN
            break
          }
          if (signal_pending(current)) {
            copied = sock_intr_errno(timeo.v)
            break
          }
        }
        if (copied >= target) {
          __sk_flush_backlog(sk)
        } else {
          tcp_cleanup_rbuf(sk, copied)
          const err = sk_wait_data(sk, timeo, last)
          if (err < 0) return copied || err
        }
        if (peek) {
          // somebody else read meanwhile
          if ((seq - peek_offset - copied - urg_hole) >>> 0 !== tp.copied_seq) seq = (tp.copied_seq + peek_offset) >>> 0
        } else seq = tp.copied_seq
        continue
      }
      const tcb = TCP_SKB_CB(found)
      if (!found_fin) {
        let used = Math.min(found.len - offset, len)
        let skip_copy = false
        if (tp.urg_data) {
          const urg_offset = (tp.urg_seq - seq) >>> 0
          if (urg_offset < used) {
            if (!urg_offset) {
              if (!sock_flag(sk, SOCK_URGINLINE)) {
                // the urgent byte is no part of the stream
                seq = (seq + 1) >>> 0
                if (!peek) tp.copied_seq = seq
                urg_hole++
                offset++
                used--
                skip_copy = used === 0
              }
            } else used = urg_offset
          }
        }
        if (!skip_copy) {
          if (!(flags & MSG_TRUNC)) {
            const err = skb_copy_datagram_msg(found, offset, msg, used)
            if (err) {
              if (!copied) copied = -EFAULT
              break
            }
          }
          seq = (seq + used) >>> 0
          if (!peek) tp.copied_seq = seq
          copied += used
          len -= used
          if (peek) sk_peek_offset_fwd(sk, used)
          else sk_peek_offset_bwd(sk, used)
          tcp_rcv_space_adjust(sk)
        }
        if (tp.urg_data && after(tp.copied_seq, tp.urg_seq)) {
          tp.urg_data = 0
          tcp_fast_path_check(sk)
        }
        if (tcb.has_rxtstamp) {
          tcp_update_recv_tstamps(found, tss)
          cmsg_flags.v |= TCP_CMSG_TS
        }
        if (used + offset < found.len) continue
        if (!(tcb.tcp_flags & TCPHDR_FIN)) {
          if (!peek) tcp_eat_recv_skb(sk, found)
          continue
        }
      }
      // the FIN has a sequence number, too
      seq = (seq + 1) >>> 0
      if (!peek) {
        tp.copied_seq = seq
        tcp_eat_recv_skb(sk, found)
      }
      break
    } while (len > 0)
    tcp_cleanup_rbuf(sk, copied)
    return copied
  },
)

export const tcp_recvmsg = kfunc(
  'tcp_recvmsg',
  (sk: sock, msg: msghdr, len: number, flags: number, addr_len: ref<number>): number => {
    if (flags & MSG_ERRQUEUE) return inet_recv_error(sk, msg, len, addr_len)
    const cmsg_flags: ref<number> = { v: 0 }
    const tss = new scm_timestamping_internal()
    lock_sock(sk)
    const ret = tcp_recvmsg_locked(sk, msg, len, flags, tss, cmsg_flags)
    release_sock(sk)
    if ((cmsg_flags.v || msg.msg_get_inq) && ret >= 0) {
      if (cmsg_flags.v & TCP_CMSG_TS) tcp_recv_timestamp(msg, sk, tss)
      if (msg.msg_get_inq) {
        msg.msg_inq = tcp_inq_hint(sk)
        if (cmsg_flags.v & TCP_CMSG_INQ) put_cmsg(msg, SOL_TCP, T.TCP_CM_INQ, 4, int_bytes(msg.msg_inq))
      }
    }
    return ret
  },
)

export const tcp_set_state = kfunc('tcp_set_state', (sk: sock, state: number): void => {
  const oldstate = sk.sk_state
  const { tcp } = sock_net(sk).mib
  if (BPF_SOCK_OPS_TEST_FLAG(tcp_sk(sk), BPF_SOCK_OPS_STATE_CB_FLAG))
    tcp_call_bpf_2arg(sk, BPF_SOCK_OPS_STATE_CB, oldstate, state)
  if (state === TCP_ESTABLISHED) {
    if (oldstate !== TCP_ESTABLISHED) tcp.CurrEstab++
  } else if (state === TCP_CLOSE_WAIT) {
    if (oldstate === TCP_SYN_RECV) tcp.CurrEstab++
  } else {
    if (state === TCP_CLOSE) {
      if (oldstate === TCP_CLOSE_WAIT || oldstate === TCP_ESTABLISHED) tcp.EstabResets++
      const { unhash } = sk.sk_prot
      if (unhash !== undefined) {
        if (tracer.on) traceIndirect('sk->sk_prot->unhash', nameOf(unhash))
        unhash(sk)
      }
      if (inet_csk(sk).icsk_bind_hash !== null && !(sk.sk_userlocks & SOCK_BINDPORT_LOCK)) inet_put_port(sk)
    }
    if (oldstate === TCP_ESTABLISHED || oldstate === TCP_CLOSE_WAIT) tcp.CurrEstab--
  }
  inet_sk_state_store(sk, state)
})

/** where close() leads, by state; TCP_ACTION_FIN: a FIN has to be sent */
const new_state: readonly number[] = (() => {
  const s = new Array<number>(16).fill(TCP_CLOSE)
  s[TCP_ESTABLISHED] = TCP_FIN_WAIT1 | TCP_ACTION_FIN
  s[TCP_SYN_RECV] = TCP_FIN_WAIT1 | TCP_ACTION_FIN
  s[TCP_FIN_WAIT1] = TCP_FIN_WAIT1
  s[TCP_FIN_WAIT2] = TCP_FIN_WAIT2
  s[TCP_CLOSE_WAIT] = TCP_LAST_ACK | TCP_ACTION_FIN
  s[TCP_LAST_ACK] = TCP_LAST_ACK
  s[TCP_CLOSING] = TCP_CLOSING
  return s
})()

const tcp_close_state = kfunc('tcp_close_state', (sk: sock): number => {
  const next = new_state[sk.sk_state] ?? TCP_CLOSE
  tcp_set_state(sk, next & TCP_STATE_MASK)
  return next & TCP_ACTION_FIN
})

/** `how`: RCV_SHUTDOWN, SEND_SHUTDOWN or both */
export const tcp_shutdown = kfunc('tcp_shutdown', (sk: sock, how: number): void => {
  if (!(how & SEND_SHUTDOWN)) return
  if ((1 << sk.sk_state) & (TCPF_ESTABLISHED | TCPF_SYN_SENT | TCPF_CLOSE_WAIT)) {
    if (tcp_close_state(sk)) tcp_send_fin(sk)
  }
})

export const tcp_orphan_count_inc = (): void => {
  tcp_orphan_count.v++
}

// Linux looks at a sum that a timer takes every 100 ms; with one processor there is nothing to sum up
const tcp_too_many_orphans = kfunc(
  'tcp_too_many_orphans',
  (shift: number): boolean => tcp_orphan_count.v << shift > sysctl_tcp_max_orphans,
)
const tcp_out_of_memory = kfunc(
  'tcp_out_of_memory',
  (sk: sock): boolean => sk.sk_wmem_queued > SOCK_MIN_SNDBUF && sk_memory_allocated(sk) > sk_prot_mem_limits(sk, 2),
)
export const tcp_check_oom = kfunc('tcp_check_oom', (sk: sock, shift: number): boolean => {
  const too_many_orphans = tcp_too_many_orphans(shift)
  const out_of_socket_memory = tcp_out_of_memory(sk)
  return too_many_orphans || out_of_socket_memory
})

/** `timeout`: jiffies to linger until all is acknowledged */
export const __tcp_close = kfunc('__tcp_close', (sk: sock, timeout: number): void => {
  const tp = tcp_sk(sk)
  const { linux } = sock_net(sk).mib
  sk.sk_shutdown = SHUTDOWN_MASK
  if (sk.sk_state === TCP_LISTEN) {
    tcp_set_state(sk, TCP_CLOSE)
    inet_csk_listen_stop(sk)
  } else {
    let data_was_unread = false
    for (let skb = __skb_dequeue(sk.sk_receive_queue); skb !== null; skb = __skb_dequeue(sk.sk_receive_queue)) {
      let { end_seq } = TCP_SKB_CB(skb)
      if (TCP_SKB_CB(skb).tcp_flags & TCPHDR_FIN) end_seq = (end_seq - 1) >>> 0
      if (after(end_seq, tp.copied_seq)) data_was_unread = true
      __kfree_skb(skb)
    }
    if (sk.sk_state !== TCP_CLOSE) {
      if (tp.repair) {
        if (tracer.on) traceIndirect('sk->sk_prot->disconnect', nameOf(sk.sk_prot.disconnect))
        sk.sk_prot.disconnect?.(sk, 0)
      } else if (data_was_unread) {
        // the peer must know that its data was lost
        if (tracer.on)
          decide('__tcp_close', 'RST: received data was never read', { copied_seq: tp.copied_seq, rcv_nxt: tp.rcv_nxt })
        linux.TCPAbortOnClose++
        tcp_set_state(sk, TCP_CLOSE)
        tcp_send_active_reset(sk, SK_RST_REASON_TCP_ABORT_ON_CLOSE)
      } else if (sock_flag(sk, SOCK_LINGER) && !sk.sk_lingertime) {
        if (tracer.on) traceIndirect('sk->sk_prot->disconnect', nameOf(sk.sk_prot.disconnect))
        sk.sk_prot.disconnect?.(sk, 0)
        linux.TCPAbortOnData++
      } else if (tcp_close_state(sk)) {
        tcp_send_fin(sk)
      }
      sk_stream_wait_close(sk, timeout)
    }
  }
  const state = sk.sk_state
  sock_hold(sk)
  sock_orphan(sk)
  local_bh_disable()
  bh_lock_sock(sk)
  __release_sock(sk)
  tcp_orphan_count_inc()
  adjudge_to_death(sk, tp, state)
  bh_unlock_sock(sk)
  local_bh_enable()
})

/** __tcp_close(), when the socket belongs to no program any more: does it live on without one? */
function adjudge_to_death(sk: sock, tp: tcp_sock, state: number): void {
  const net = sock_net(sk)
  // the backlog has finished it
  if (state !== TCP_CLOSE && sk.sk_state === TCP_CLOSE) return
  if (sk.sk_state === TCP_FIN_WAIT2) {
    if (tp.linger2 < 0) {
      tcp_set_state(sk, TCP_CLOSE)
      tcp_send_active_reset(sk, SK_RST_REASON_TCP_ABORT_ON_LINGER)
      net.mib.linux.TCPAbortOnLinger++
    } else {
      const tmo = tcp_fin_time(sk)
      if (tmo > TCP_TIMEWAIT_LEN) {
        inet_csk_reset_keepalive_timer(sk, tmo - TCP_TIMEWAIT_LEN)
      } else {
        tcp_time_wait(sk, TCP_FIN_WAIT2, tmo)
        return
      }
    }
  }
  if (sk.sk_state !== TCP_CLOSE) {
    if (tcp_check_oom(sk, 0)) {
      tcp_set_state(sk, TCP_CLOSE)
      tcp_send_active_reset(sk, SK_RST_REASON_TCP_ABORT_ON_MEMORY)
      net.mib.linux.TCPAbortOnMemory++
    } else if (!check_net(net)) {
      tcp_set_state(sk, TCP_CLOSE)
    }
  }
  if (sk.sk_state === TCP_CLOSE) {
    const req = tp.fastopen_rsk
    if (req !== null) reqsk_fastopen_remove(sk, req, false)
    inet_csk_destroy_sock(sk)
  }
}

export const tcp_close = kfunc('tcp_close', (sk: sock, timeout: number): void => {
  lock_sock(sk)
  __tcp_close(sk, timeout)
  release_sock(sk)
  if (!sk.sk_net_refcnt) inet_csk_clear_xmit_timers_sync(sk)
  sock_put(sk)
})

const tcp_need_reset = (state: number): boolean =>
  ((1 << state) & (TCPF_ESTABLISHED | TCPF_CLOSE_WAIT | TCPF_FIN_WAIT1 | TCPF_FIN_WAIT2 | TCPF_SYN_RECV)) !== 0

const tcp_rtx_queue_purge = kfunc('tcp_rtx_queue_purge', (sk: sock): void => {
  const tp = tcp_sk(sk)
  tp.highest_sack = null
  for (let skb = skb_rb_first(tp.tcp_rtx_queue), next: sk_buff | null; skb !== null; skb = next) {
    next = skb_rb_next(skb)
    // tsorted_sent_queue is emptied as a whole
    tcp_rtx_queue_unlink(skb, sk)
    tcp_wmem_free_skb(sk, skb)
  }
})

export const tcp_write_queue_purge = kfunc('tcp_write_queue_purge', (sk: sock): void => {
  const tp = tcp_sk(sk)
  tcp_chrono_stop(sk, TCP_CHRONO_BUSY)
  for (let skb = __skb_dequeue(sk.sk_write_queue); skb !== null; skb = __skb_dequeue(sk.sk_write_queue)) {
    tcp_skb_tsorted_anchor_cleanup(skb)
    tcp_wmem_free_skb(sk, skb)
  }
  tcp_rtx_queue_purge(sk)
  tp.tsorted_sent_queue = new list_head<sk_buff>()
  tcp_clear_all_retrans_hints(tp)
  tp.packets_out = 0
  inet_csk(sk).icsk_backoff = 0
})

/** connect() with AF_UNSPEC, or close() that resets: back to a socket that was never connected */
export const tcp_disconnect = kfunc('tcp_disconnect', (sk: sock, _flags: number): number => {
  const inet = inet_sk(sk)
  const icsk = inet_csk(sk)
  const tp = tcp_sk(sk)
  const old_state = sk.sk_state
  if (old_state !== TCP_CLOSE) tcp_set_state(sk, TCP_CLOSE)
  if (old_state === TCP_LISTEN) {
    inet_csk_listen_stop(sk)
  } else if (tp.repair) {
    sk.sk_err = ECONNABORTED
  } else if (tcp_need_reset(old_state)) {
    tcp_send_active_reset(sk, SK_RST_REASON_TCP_STATE)
    sk.sk_err = ECONNRESET
  } else if (tp.snd_nxt !== tp.write_seq && (1 << old_state) & (TCPF_CLOSING | TCPF_LAST_ACK)) {
    tcp_send_active_reset(sk, SK_RST_REASON_TCP_DISCONNECT_WITH_DATA)
    sk.sk_err = ECONNRESET
  } else if (old_state === TCP_SYN_SENT) sk.sk_err = ECONNRESET
  tcp_clear_xmit_timers(sk)
  __skb_queue_purge(sk.sk_receive_queue)
  tp.copied_seq = tp.rcv_nxt
  tp.urg_data = 0
  sk_set_peek_off(sk, -1)
  tcp_write_queue_purge(sk)
  tcp_fastopen_active_disable_ofo_check(sk)
  skb_rbtree_purge(tp.out_of_order_queue)
  inet.inet_dport = 0
  inet_bhash2_reset_saddr(sk)
  sk.sk_shutdown = 0
  sock_reset_flag(sk, SOCK_DONE)
  tp.srtt_us = 0
  tp.mdev_us = jiffies_to_usecs(TCP_TIMEOUT_INIT)
  tp.rcv_rtt_last_tsecr = 0
  tp.write_seq = (tp.write_seq + tp.max_window + 2) >>> 0 || 1
  icsk.icsk_backoff = 0
  icsk.icsk_probes_out = 0
  icsk.icsk_probes_tstamp = 0
  icsk.icsk_rto = TCP_TIMEOUT_INIT
  icsk.icsk_rto_min = TCP_RTO_MIN
  icsk.icsk_delack_max = TCP_DELACK_MAX
  tp.snd_ssthresh = TCP_INFINITE_SSTHRESH
  tcp_snd_cwnd_set(tp, TCP_INIT_CWND)
  tp.snd_cwnd_cnt = 0
  tp.is_cwnd_limited = 0
  tp.max_packets_out = 0
  tp.window_clamp = 0
  tp.delivered = 0
  tp.delivered_ce = 0
  icsk.icsk_ca_ops.release?.(sk)
  icsk.icsk_ca_priv = null
  icsk.icsk_ca_initialized = 0
  tcp_set_ca_state(sk, TCP_CA_Open)
  tp.is_sack_reneg = 0
  tcp_clear_retrans(tp)
  tp.total_retrans = 0
  inet_csk_delack_init(sk)
  icsk.icsk_ack.rcv_mss = TCP_MIN_MSS
  tp.rx_opt = new tcp_options_received()
  __sk_dst_reset(sk)
  const { sk_rx_dst } = sk
  sk.sk_rx_dst = null
  dst_release(sk_rx_dst)
  tcp_saved_syn_free(tp)
  tp.compressed_ack = 0
  tp.segs_in = 0
  tp.segs_out = 0
  tp.bytes_sent = 0
  tp.bytes_acked = 0
  tp.bytes_received = 0
  tp.bytes_retrans = 0
  tp.data_segs_in = 0
  tp.data_segs_out = 0
  tp.duplicate_sack = [{ start_seq: 0, end_seq: 0 }]
  tp.dsack_dups = 0
  tp.reord_seen = 0
  tp.retrans_out = 0
  tp.sacked_out = 0
  tp.tlp_high_seq = 0
  tp.last_oow_ack_time = 0
  tp.plb_rehash = 0
  tp.app_limited = 0xffffffff
  tp.rate_app_limited = 1
  tp.rack.mstamp = 0
  tp.rack.advanced = 0
  tp.rack.reo_wnd_steps = 1
  tp.rack.last_delivered = 0
  tp.rack.reo_wnd_persist = 0
  tp.rack.dsack_seen = 0
  tp.syn_data_acked = 0
  tp.rcv_ooopack = 0
  const req = tp.fastopen_rsk
  if (req !== null) reqsk_fastopen_remove(sk, req, false)
  tcp_free_fastopen_req(tp)
  inet_clear_bit(INET_FLAGS_DEFER_CONNECT, sk)
  tp.fastopen_client_fail = 0
  if (sk.sk_frag.page !== null) {
    put_page(sk.sk_frag.page)
    sk.sk_frag.page = null
    sk.sk_frag.offset = 0
  }
  sk_error_report(sk)
  return 0
})

const tcp_can_repair_sock = kfunc(
  'tcp_can_repair_sock',
  (sk: sock): boolean => sockopt_ns_capable(null, CAP_NET_ADMIN) && sk.sk_state !== TCP_LISTEN,
)

const get_u32 = (b: Uint8Array, o: number): number =>
  ((b[o] ?? 0) | ((b[o + 1] ?? 0) << 8) | ((b[o + 2] ?? 0) << 16) | ((b[o + 3] ?? 0) << 24)) >>> 0

function int_bytes(v: number): Uint8Array {
  return Uint8Array.of(v, v >> 8, v >> 16, v >> 24)
}

const tcp_repair_set_window = kfunc('tcp_repair_set_window', (tp: tcp_sock, optbuf: Uint8Array, len: number): number => {
  if (!tp.repair) return -EPERM
  if (len !== 20) return -EINVAL
  const [snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup] = [0, 4, 8, 12, 16].map((o) => get_u32(optbuf, o)) as [
    number,
    number,
    number,
    number,
    number,
  ]
  if (max_window < snd_wnd) return -EINVAL
  if (after(snd_wl1, (tp.rcv_nxt + rcv_wnd) >>> 0)) return -EINVAL
  if (after(rcv_wup, tp.rcv_nxt)) return -EINVAL
  tp.snd_wl1 = snd_wl1
  tp.snd_wnd = snd_wnd
  tp.max_window = max_window
  tp.rcv_wnd = rcv_wnd
  tp.rcv_wup = rcv_wup
  return 0
})

const tcp_repair_options_est = kfunc('tcp_repair_options_est', (sk: sock, optbuf: Uint8Array, len: number): number => {
  const { rx_opt } = tcp_sk(sk)
  for (let offset = 0; len - offset >= 8; offset += 8) {
    const opt_val = get_u32(optbuf, offset + 4)
    switch (get_u32(optbuf, offset)) {
      case TCPOPT_MSS:
        rx_opt.mss_clamp = opt_val
        tcp_mtup_init(sk)
        break
      case TCPOPT_WINDOW: {
        const snd_wscale = opt_val & 0xffff
        const rcv_wscale = opt_val >>> 16
        if (snd_wscale > TCP_MAX_WSCALE || rcv_wscale > TCP_MAX_WSCALE) return -EFBIG
        rx_opt.snd_wscale = snd_wscale
        rx_opt.rcv_wscale = rcv_wscale
        rx_opt.wscale_ok = 1
        break
      }
      case TCPOPT_SACK_PERM:
        if (opt_val !== 0) return -EINVAL
        rx_opt.sack_ok |= TCP_SACK_SEEN
        break
      case TCPOPT_TIMESTAMP:
        if (opt_val !== 0) return -EINVAL
        rx_opt.tstamp_ok = 1
        break
    }
  }
  return 0
})

const __tcp_sock_set_cork_part_0 = kfunc('__tcp_sock_set_cork.part.0', (sk: sock, _on: boolean): void => {
  const tp = tcp_sk(sk)
  tp.nonagle &= ~TCP_NAGLE_CORK
  if (tp.nonagle & TCP_NAGLE_OFF) tp.nonagle |= TCP_NAGLE_PUSH
  tcp_push_pending_frames(sk)
})

/** corked, only full segments leave; taking the cork out sends the rest */
export const __tcp_sock_set_cork = kfunc('__tcp_sock_set_cork', (sk: sock, on: boolean): void => {
  if (on) tcp_sk(sk).nonagle |= TCP_NAGLE_CORK
  else __tcp_sock_set_cork_part_0(sk, on)
})

/** TCP_NODELAY takes effect at once, also on what is queued, unless corked */
export const __tcp_sock_set_nodelay = kfunc('__tcp_sock_set_nodelay', (sk: sock, on: boolean): void => {
  if (on) {
    tcp_sk(sk).nonagle |= TCP_NAGLE_OFF | TCP_NAGLE_PUSH
    tcp_push_pending_frames(sk)
  } else {
    tcp_sk(sk).nonagle &= ~TCP_NAGLE_OFF
  }
})

const __tcp_sock_set_quickack = kfunc('__tcp_sock_set_quickack', (sk: sock, val: number): void => {
  if (!val) {
    inet_csk_enter_pingpong_mode(sk)
    return
  }
  inet_csk_exit_pingpong_mode(sk)
  if ((1 << sk.sk_state) & (TCPF_ESTABLISHED | TCPF_CLOSE_WAIT) && inet_csk_ack_scheduled(sk)) {
    inet_csk(sk).icsk_ack.pending |= ICSK_ACK_PUSHED
    tcp_cleanup_rbuf(sk, 1)
    if (!(val & 1)) inet_csk_enter_pingpong_mode(sk)
  }
})

export const tcp_sock_set_syncnt = kfunc('tcp_sock_set_syncnt', (sk: sock, val: number): number => {
  if (val < 1 || val > MAX_TCP_SYNCNT) return -EINVAL
  inet_csk(sk).icsk_syn_retries = val
  return 0
})

export const tcp_sock_set_user_timeout = kfunc('tcp_sock_set_user_timeout', (sk: sock, val: number): number => {
  if (val < 0) return -EINVAL
  inet_csk(sk).icsk_user_timeout = val
  return 0
})

export const tcp_sock_set_keepidle_locked = kfunc('tcp_sock_set_keepidle_locked', (sk: sock, val: number): number => {
  const tp = tcp_sk(sk)
  if (val < 1 || val > MAX_TCP_KEEPIDLE) return -EINVAL
  tp.keepalive_time = val * HZ
  if (sock_flag(sk, SOCK_KEEPOPEN) && !((1 << sk.sk_state) & (TCPF_CLOSE | TCPF_LISTEN)))
    inet_csk_reset_keepalive_timer(sk, Math.max(tp.keepalive_time - keepalive_time_elapsed(tp), 0))
  return 0
})

export const tcp_sock_set_keepintvl = kfunc('tcp_sock_set_keepintvl', (sk: sock, val: number): number => {
  if (val < 1 || val > MAX_TCP_KEEPINTVL) return -EINVAL
  tcp_sk(sk).keepalive_intvl = val * HZ
  return 0
})

export const tcp_sock_set_keepcnt = kfunc('tcp_sock_set_keepcnt', (sk: sock, val: number): number => {
  if (val < 1 || val > MAX_TCP_KEEPCNT) return -EINVAL
  tcp_sk(sk).keepalive_probes = val
  return 0
})

export const tcp_set_window_clamp = kfunc('tcp_set_window_clamp', (sk: sock, val: number): number => {
  const tp = tcp_sk(sk)
  if (!val) {
    if (sk.sk_state !== TCP_CLOSE) return -EINVAL
    tp.window_clamp = 0
    return 0
  }
  const old_window_clamp = tp.window_clamp
  const new_window_clamp = Math.max(val, SOCK_MIN_RCVBUF / 2)
  if (new_window_clamp === old_window_clamp) return 0
  tp.window_clamp = new_window_clamp
  if (new_window_clamp < old_window_clamp) {
    __tcp_adjust_rcv_ssthresh(sk, tp.window_clamp)
  } else {
    tp.rcv_ssthresh = Math.max(Math.min(tp.rcv_wnd, tp.window_clamp), tp.rcv_ssthresh)
  }
  return 0
})

/** strncpy_from_sockptr(): up to the first NUL; strncpy_from_user() has no tracing site, what it checks has */
const option_string = (optval: Uint8Array, max: number): string => {
  check_object_size(new Uint8Array(max), max, false)
  let s = ''
  for (let i = 0; i < max && optval[i]; i++) s += String.fromCharCode(optval[i] ?? 0)
  return s
}

export const do_tcp_setsockopt = kfunc(
  'do_tcp_setsockopt',
  (sk: sock, _level: number, optname: number, optval: Uint8Array, optlen: number): number => {
    const tp = tcp_sk(sk)
    const icsk = inet_csk(sk)
    const net = sock_net(sk)
    let err = 0
    switch (optname) {
      case T.TCP_CONGESTION: {
        if (optlen < 1) return -EINVAL
        const name = option_string(optval, Math.min(TCP_CA_NAME_MAX - 1, optlen))
        sockopt_lock_sock(sk)
        err = tcp_set_congestion_control(sk, name, true, sockopt_ns_capable(null, CAP_NET_ADMIN))
        sockopt_release_sock(sk)
        return err
      }
      case T.TCP_ULP: {
        if (optlen < 1) return -EINVAL
        const name = option_string(optval, Math.min(TCP_ULP_NAME_MAX - 1, optlen))
        sockopt_lock_sock(sk)
        err = tcp_set_ulp(sk, name)
        sockopt_release_sock(sk)
        return err
      }
      case T.TCP_FASTOPEN_KEY:
        if (optlen !== TCP_FASTOPEN_KEY_LENGTH && optlen !== TCP_FASTOPEN_KEY_BUF_LENGTH) return -EINVAL
        return tcp_fastopen_reset_cipher(
          net,
          sk,
          optval.slice(0, TCP_FASTOPEN_KEY_LENGTH),
          optlen === TCP_FASTOPEN_KEY_BUF_LENGTH ? optval.slice(TCP_FASTOPEN_KEY_LENGTH, optlen) : null,
        )
    }
    if (optlen < 4) return -EINVAL
    const val = get_u32(optval, 0) | 0
    switch (optname) {
      case T.TCP_SYNCNT:
        return tcp_sock_set_syncnt(sk, val)
      case T.TCP_USER_TIMEOUT:
        return tcp_sock_set_user_timeout(sk, val)
      case T.TCP_KEEPINTVL:
        return tcp_sock_set_keepintvl(sk, val)
      case T.TCP_KEEPCNT:
        return tcp_sock_set_keepcnt(sk, val)
      case T.TCP_LINGER2:
        if (val < 0) tp.linger2 = -1
        else if (val > TCP_FIN_TIMEOUT_MAX / HZ) tp.linger2 = TCP_FIN_TIMEOUT_MAX
        else tp.linger2 = val * HZ
        return 0
      case T.TCP_DEFER_ACCEPT:
        icsk.icsk_accept_queue.rskq_defer_accept = secs_to_retrans(val, TCP_TIMEOUT_INIT / HZ, TCP_RTO_MAX / HZ)
        return 0
    }
    sockopt_lock_sock(sk)
    switch (optname) {
      case T.TCP_MAXSEG:
        if (val && (val < TCP_MIN_MSS || val > MAX_TCP_WINDOW)) err = -EINVAL
        else tp.rx_opt.user_mss = val
        break
      case T.TCP_NODELAY:
        __tcp_sock_set_nodelay(sk, val !== 0)
        break
      case T.TCP_THIN_LINEAR_TIMEOUTS:
        if (val < 0 || val > 1) err = -EINVAL
        else tp.thin_lto = val
        break
      case T.TCP_THIN_DUPACK:
        if (val < 0 || val > 1) err = -EINVAL
        break
      case T.TCP_REPAIR:
        if (!tcp_can_repair_sock(sk)) err = -EPERM
        else if (val === T.TCP_REPAIR_ON) {
          tp.repair = 1
          sk.sk_reuse = SK_FORCE_REUSE
          tp.repair_queue = T.TCP_NO_QUEUE
        } else if (val === T.TCP_REPAIR_OFF) {
          tp.repair = 0
          sk.sk_reuse = SK_NO_REUSE
          tcp_send_window_probe(sk)
        } else if (val === T.TCP_REPAIR_OFF_NO_WP) {
          tp.repair = 0
          sk.sk_reuse = SK_NO_REUSE
        } else err = -EINVAL
        break
      case T.TCP_REPAIR_QUEUE:
        if (!tp.repair) err = -EPERM
        else if (val >>> 0 < 3) tp.repair_queue = val
        else err = -EINVAL
        break
      case T.TCP_QUEUE_SEQ:
        if (sk.sk_state !== TCP_CLOSE) err = -EPERM
        else if (tp.repair_queue === T.TCP_SEND_QUEUE) {
          if (!tcp_rtx_queue_empty(sk)) err = -EPERM
          else tp.write_seq = val >>> 0
        } else if (tp.repair_queue === T.TCP_RECV_QUEUE) {
          if (tp.rcv_nxt !== tp.copied_seq) err = -EPERM
          else {
            tp.rcv_nxt = val >>> 0
            tp.copied_seq = val >>> 0
          }
        } else err = -EINVAL
        break
      case T.TCP_REPAIR_OPTIONS:
        if (!tp.repair) err = -EINVAL
        else if (sk.sk_state === TCP_ESTABLISHED && !tp.bytes_sent) err = tcp_repair_options_est(sk, optval, optlen)
        else err = -EPERM
        break
      case T.TCP_CORK:
        __tcp_sock_set_cork(sk, val !== 0)
        break
      case T.TCP_KEEPIDLE:
        err = tcp_sock_set_keepidle_locked(sk, val)
        break
      case T.TCP_SAVE_SYN:
        if (val < 0 || val > 2) err = -EINVAL
        else tp.save_syn = val
        break
      case T.TCP_WINDOW_CLAMP:
        err = tcp_set_window_clamp(sk, val)
        break
      case T.TCP_QUICKACK:
        __tcp_sock_set_quickack(sk, val)
        break
      case T.TCP_FASTOPEN:
        if (val >= 0 && (1 << sk.sk_state) & (TCPF_CLOSE | TCPF_LISTEN)) {
          tcp_fastopen_init_key_once(net)
          icsk.icsk_accept_queue.fastopenq.max_qlen = Math.min(val, net.core.sysctl_somaxconn)
        } else err = -EINVAL
        break
      case T.TCP_FASTOPEN_CONNECT:
        if (val > 1 || val < 0) err = -EINVAL
        else if (net.ipv4.sysctl_tcp_fastopen & TFO_CLIENT_ENABLE) {
          if (sk.sk_state === TCP_CLOSE) tp.fastopen_connect = val
          else err = -EINVAL
        } else err = -EOPNOTSUPP
        break
      case T.TCP_FASTOPEN_NO_COOKIE:
        if (val > 1 || val < 0) err = -EINVAL
        else if (!((1 << sk.sk_state) & (TCPF_CLOSE | TCPF_LISTEN))) err = -EINVAL
        else tp.fastopen_no_cookie = val
        break
      case T.TCP_TIMESTAMP:
        if (!tp.repair) {
          err = -EPERM
          break
        }
        tp.tcp_usec_ts = val & 1
        tp.tsoffset = (val - tcp_clock_ts(tp.tcp_usec_ts)) >>> 0
        break
      case T.TCP_REPAIR_WINDOW:
        err = tcp_repair_set_window(tp, optval, optlen)
        break
      case T.TCP_NOTSENT_LOWAT:
        tp.notsent_lowat = val >>> 0
        if (tracer.on) traceIndirect('sk->sk_write_space', nameOf(sk.sk_write_space))
        sk.sk_write_space(sk)
        break
      case T.TCP_INQ:
        if (val > 1 || val < 0) err = -EINVAL
        else tp.recvmsg_inq = val
        break
      case T.TCP_TX_DELAY:
        if (val) tcp_tx_delay_enabled.on = true
        tp.tcp_tx_delay = val >>> 0
        break
      default:
        // TCP_MD5SIG and TCP_AO_*: this simulation signs nothing
        err = -ENOPROTOOPT
        break
    }
    sockopt_release_sock(sk)
    return err
  },
)

export const tcp_setsockopt = kfunc(
  'tcp_setsockopt',
  (sk: sock, level: number, optname: number, optval: Uint8Array, optlen: number): number => {
    if (level !== SOL_TCP) {
      const { setsockopt } = inet_csk(sk).icsk_af_ops
      if (tracer.on) traceIndirect('icsk->icsk_af_ops->setsockopt', nameOf(setsockopt))
      return setsockopt(sk, level, optname, optval, optlen)
    }
    return do_tcp_setsockopt(sk, level, optname, optval, optlen)
  },
)

/** struct tcp_info as it lies in user memory */
export class tcp_info {
  readonly bytes: Uint8Array = new Uint8Array(T.TCP_INFO_SIZE)
  readonly #v: DataView = new DataView(this.bytes.buffer)

  u8(o: number, x: number): void {
    this.bytes[o] = x
  }
  u16(o: number, x: number): void {
    this.#v.setUint16(o, x & 0xffff, true)
  }
  u32(o: number, x: number): void {
    this.#v.setUint32(o, x >>> 0, true)
  }
  u64(o: number, x: number): void {
    // beyond 2^53 there is only "no limit"
    this.#v.setBigUint64(o, x > Number.MAX_SAFE_INTEGER ? 0xffffffffffffffffn : BigInt(x), true)
  }
}

const tcp_get_info_chrono_stats = kfunc('tcp_get_info_chrono_stats', (tp: tcp_sock, info: tcp_info): void => {
  const stats = [0, 0, 0, 0]
  let total = 0
  for (let i = TCP_CHRONO_BUSY; i <= TCP_CHRONO_SNDBUF_LIMITED; i++) {
    let s = tp.chrono_stat[i - 1] ?? 0
    if (i === tp.chrono_type) s += (tcp_jiffies32() - tp.chrono_start) >>> 0
    s *= USEC_PER_SEC / HZ
    stats[i] = s
    total += s
  }
  info.u64(168, total)
  info.u64(176, stats[TCP_CHRONO_RWND_LIMITED] ?? 0)
  info.u64(184, stats[TCP_CHRONO_SNDBUF_LIMITED] ?? 0)
})

export const tcp_get_info = kfunc('tcp_get_info', (sk: sock, info: tcp_info): void => {
  const tp = tcp_sk(sk)
  const icsk = inet_csk(sk)
  info.bytes.fill(0)
  if (sk.sk_type !== SOCK_STREAM) return
  const state = sk.sk_state
  info.u8(0, state)
  info.u64(104, sk.sk_pacing_rate)
  info.u64(112, sk.sk_max_pacing_rate)
  info.u32(88, tp.reordering)
  info.u32(80, tcp_snd_cwnd(tp))
  if (state === TCP_LISTEN) {
    info.u32(24, sk.sk_ack_backlog)
    info.u32(28, sk.sk_max_ack_backlog)
    return
  }
  const slow = lock_sock_fast(sk)
  info.u8(1, icsk.icsk_ca_state)
  info.u8(2, icsk.icsk_retransmits)
  info.u8(3, icsk.icsk_probes_out)
  info.u8(4, icsk.icsk_backoff)
  let options = 0
  if (tp.rx_opt.tstamp_ok) options |= T.TCPI_OPT_TIMESTAMPS
  if (tcp_is_sack(tp)) options |= T.TCPI_OPT_SACK
  if (tp.rx_opt.wscale_ok) {
    options |= T.TCPI_OPT_WSCALE
    info.u8(6, tp.rx_opt.snd_wscale | (tp.rx_opt.rcv_wscale << 4))
  }
  if (tp.ecn_flags & TCP_ECN_OK) options |= T.TCPI_OPT_ECN
  if (tp.ecn_flags & TCP_ECN_SEEN) options |= T.TCPI_OPT_ECN_SEEN
  if (tp.syn_data_acked) options |= T.TCPI_OPT_SYN_DATA
  if (tp.tcp_usec_ts) options |= T.TCPI_OPT_USEC_TS
  info.u8(5, options)
  info.u8(7, (tp.rate_app_limited ? 1 : 0) | (tp.fastopen_client_fail << 1))
  info.u32(8, jiffies_to_usecs(icsk.icsk_rto))
  info.u32(12, jiffies_to_usecs(Math.min(icsk.icsk_ack.ato, tcp_delack_max(sk))))
  info.u32(16, tp.mss_cache)
  info.u32(20, icsk.icsk_ack.rcv_mss)
  info.u32(24, tp.packets_out)
  info.u32(28, tp.sacked_out)
  info.u32(32, tp.lost_out)
  info.u32(36, tp.retrans_out)
  const now = tcp_jiffies32()
  info.u32(44, jiffies_to_msecs((now - tp.lsndtime) >>> 0))
  info.u32(52, jiffies_to_msecs((now - icsk.icsk_ack.lrcvtime) >>> 0))
  info.u32(56, jiffies_to_msecs((now - tp.rcv_tstamp) >>> 0))
  info.u32(60, icsk.icsk_pmtu_cookie)
  info.u32(64, tp.rcv_ssthresh)
  info.u32(68, tp.srtt_us >>> 3)
  info.u32(72, tp.mdev_us >>> 2)
  info.u32(76, tp.snd_ssthresh)
  info.u32(84, tp.advmss)
  info.u32(92, tp.rcv_rtt_est.rtt_us >>> 3)
  info.u32(96, tp.rcvq_space.space)
  info.u32(100, tp.total_retrans)
  info.u64(120, tp.bytes_acked)
  info.u64(128, tp.bytes_received)
  info.u32(136, tp.segs_out)
  info.u32(140, tp.segs_in)
  info.u32(144, Math.max(0, (tp.write_seq - tp.snd_nxt) | 0))
  info.u32(148, tcp_min_rtt(tp))
  info.u32(152, tp.data_segs_in)
  info.u32(156, tp.data_segs_out)
  info.u64(160, tcp_compute_delivery_rate(tp))
  tcp_get_info_chrono_stats(tp, info)
  info.u32(192, tp.delivered)
  info.u32(196, tp.delivered_ce)
  info.u64(200, tp.bytes_sent)
  info.u64(208, tp.bytes_retrans)
  info.u32(216, tp.dsack_dups)
  info.u32(220, tp.reord_seen)
  info.u32(224, tp.rcv_ooopack)
  info.u32(228, tp.snd_wnd)
  info.u32(232, tp.rcv_wnd)
  info.u32(236, tp.plb_rehash + tp.timeout_rehash)
  info.u16(240, tp.total_rto)
  info.u16(242, tp.total_rto_recoveries)
  info.u32(244, tp.total_rto_time + (tp.rto_stamp ? tcp_clock_ms() - tp.rto_stamp : 0))
  unlock_sock_fast(sk, slow)
})

/** copies to `optval` and sets `optlen` to what the option has */
export const do_tcp_getsockopt = kfunc(
  'do_tcp_getsockopt',
  (sk: sock, _level: number, optname: number, optval: number, optlen: ref<number>): number => {
    const icsk = inet_csk(sk)
    const tp = tcp_sk(sk)
    const { ipv4 } = sock_net(sk)
    let val: number
    if (optlen.v < 0) return -EINVAL
    switch (optname) {
      case T.TCP_MAXSEG:
        val = tp.mss_cache
        if (tp.rx_opt.user_mss && (1 << sk.sk_state) & (TCPF_CLOSE | TCPF_LISTEN)) val = tp.rx_opt.user_mss
        if (tp.repair) val = tp.rx_opt.mss_clamp
        break
      case T.TCP_NODELAY:
        val = tp.nonagle & TCP_NAGLE_OFF ? 1 : 0
        break
      case T.TCP_CORK:
        val = tp.nonagle & TCP_NAGLE_CORK ? 1 : 0
        break
      case T.TCP_KEEPIDLE:
        val = Math.trunc(keepalive_time_when(tp) / HZ)
        break
      case T.TCP_KEEPINTVL:
        val = Math.trunc(keepalive_intvl_when(tp) / HZ)
        break
      case T.TCP_KEEPCNT:
        val = keepalive_probes(tp)
        break
      case T.TCP_SYNCNT:
        val = icsk.icsk_syn_retries || ipv4.sysctl_tcp_syn_retries
        break
      case T.TCP_LINGER2:
        val = tp.linger2
        if (val >= 0) val = Math.trunc((val || ipv4.sysctl_tcp_fin_timeout) / HZ)
        break
      case T.TCP_DEFER_ACCEPT:
        val = retrans_to_secs(icsk.icsk_accept_queue.rskq_defer_accept, TCP_TIMEOUT_INIT / HZ, TCP_RTO_MAX / HZ)
        break
      case T.TCP_WINDOW_CLAMP:
        val = tp.window_clamp
        break
      case T.TCP_INFO: {
        const info = new tcp_info()
        tcp_get_info(sk, info)
        return put_option(optval, optlen, info.bytes)
      }
      case T.TCP_CC_INFO:
        // the congestion controls that there are keep nothing to show here
        rcu_read_lock()
        rcu_read_unlock()
        return put_option(optval, optlen, new Uint8Array(0))
      case T.TCP_QUICKACK:
        val = inet_csk_in_pingpong_mode(sk) ? 0 : 1
        break
      case T.TCP_CONGESTION: {
        const name = new Uint8Array(TCP_CA_NAME_MAX)
        rcu_read_lock()
        for (let i = 0; i < icsk.icsk_ca_ops.name.length; i++) name[i] = icsk.icsk_ca_ops.name.charCodeAt(i)
        rcu_read_unlock()
        return put_option(optval, optlen, name)
      }
      case T.TCP_ULP:
        return put_option(optval, optlen, new Uint8Array(0))
      case T.TCP_FASTOPEN_KEY: {
        const key = new BigUint64Array(TCP_FASTOPEN_KEY_BUF_LENGTH / 8)
        const n = tcp_fastopen_get_cipher(sock_net(sk), icsk, key)
        return put_option(optval, optlen, new Uint8Array(key.buffer, 0, n * TCP_FASTOPEN_KEY_LENGTH))
      }
      case T.TCP_THIN_LINEAR_TIMEOUTS:
        val = tp.thin_lto
        break
      case T.TCP_THIN_DUPACK:
        val = 0
        break
      case T.TCP_REPAIR:
        val = tp.repair
        break
      case T.TCP_REPAIR_QUEUE:
        if (!tp.repair) return -EINVAL
        val = tp.repair_queue
        break
      case T.TCP_REPAIR_WINDOW: {
        if (optlen.v !== 20) return -EINVAL
        if (!tp.repair) return -EPERM
        const w = new Uint8Array(20)
        const v = new DataView(w.buffer)
        for (const [i, x] of [tp.snd_wl1, tp.snd_wnd, tp.max_window, tp.rcv_wnd, tp.rcv_wup].entries())
          v.setUint32(4 * i, x, true)
        return put_option(optval, optlen, w)
      }
      case T.TCP_QUEUE_SEQ:
        if (tp.repair_queue === T.TCP_SEND_QUEUE) val = tp.write_seq
        else if (tp.repair_queue === T.TCP_RECV_QUEUE) val = tp.rcv_nxt
        else return -EINVAL
        break
      case T.TCP_USER_TIMEOUT:
        val = icsk.icsk_user_timeout
        break
      case T.TCP_FASTOPEN:
        val = icsk.icsk_accept_queue.fastopenq.max_qlen
        break
      case T.TCP_FASTOPEN_CONNECT:
        val = tp.fastopen_connect
        break
      case T.TCP_FASTOPEN_NO_COOKIE:
        val = tp.fastopen_no_cookie
        break
      case T.TCP_TX_DELAY:
        val = tp.tcp_tx_delay
        break
      case T.TCP_TIMESTAMP:
        val = (tcp_clock_ts(tp.tcp_usec_ts) + tp.tsoffset) | 0
        if (tp.tcp_usec_ts) val |= 1
        else val &= ~1
        break
      case T.TCP_NOTSENT_LOWAT:
        val = tp.notsent_lowat
        break
      case T.TCP_INQ:
        val = tp.recvmsg_inq
        break
      case T.TCP_SAVE_SYN:
        val = tp.save_syn
        break
      case T.TCP_SAVED_SYN: {
        sockopt_lock_sock(sk)
        const saved = tp.saved_syn
        if (saved instanceof Uint8Array) {
          if (optlen.v < saved.length) {
            optlen.v = saved.length
            sockopt_release_sock(sk)
            return -EINVAL
          }
          const err = put_option(optval, optlen, saved)
          if (err) {
            sockopt_release_sock(sk)
            return err
          }
          tcp_saved_syn_free(tp)
        } else optlen.v = 0
        sockopt_release_sock(sk)
        return 0
      }
      case T.TCP_ZEROCOPY_RECEIVE:
        // needs memory that was mapped from the socket, and nobody can map one
        return -EINVAL
      case T.TCP_IS_MPTCP:
        val = 0
        break
      default:
        return -ENOPROTOOPT
    }
    return put_option(optval, optlen, int_bytes(val))
  },
)

/** as much of an option's value as the caller has room for */
function put_option(optval: number, optlen: ref<number>, value: Uint8Array): number {
  optlen.v = Math.min(optlen.v, value.length)
  return copy_to_sockptr(optval, value, optlen.v)
}

export const tcp_getsockopt = kfunc(
  'tcp_getsockopt',
  (sk: sock, level: number, optname: number, optval: number, optlen: ref<number>): number => {
    if (level !== SOL_TCP) {
      const { getsockopt } = inet_csk(sk).icsk_af_ops
      if (tracer.on) traceIndirect('icsk->icsk_af_ops->getsockopt', nameOf(getsockopt))
      return getsockopt(sk, level, optname, optval, optlen)
    }
    return do_tcp_getsockopt(sk, level, optname, optval, optlen)
  },
)

// where the signature options of a segment lie: on the stack in Linux
const md5_location: ref<number> = { v: -1 }
const ao_location: ref<number> = { v: -1 }

/** A socket without keys takes no signed segment, and unsigned ones as they come. Returns SKB_DROP_REASON_*. */
export const tcp_inbound_hash = kfunc(
  'tcp_inbound_hash',
  (
    sk: sock,
    _req: request_sock | null,
    skb: sk_buff,
    _saddr: number | Uint8Array,
    _daddr: number | Uint8Array,
    _family: number,
    _dif: number,
    _sdif: number,
  ): number => {
    const th = T.tcp_hdr(skb)
    if (tcp_parse_auth_options(th, md5_location, ao_location)) {
      if (tracer.on) trace_tcp_hash('tcp_hash_bad_header', sk, skb)
      return SKB_DROP_REASON_TCP_AUTH_HDR
    }
    if (md5_location.v < 0) return SKB_NOT_DROPPED_YET
    sock_net(sk).mib.linux.TCPMD5Unexpected++
    if (tracer.on) trace_tcp_hash('tcp_hash_md5_unexpected', sk, skb)
    return SKB_DROP_REASON_TCP_MD5UNEXPECTED
  },
)

/** the connection is over: timers stop, and whoever waits on the socket learns it */
export const tcp_done = kfunc('tcp_done', (sk: sock): void => {
  const req = tcp_sk(sk).fastopen_rsk
  if (sk.sk_state === TCP_SYN_SENT || sk.sk_state === TCP_SYN_RECV) sock_net(sk).mib.tcp.AttemptFails++
  tcp_set_state(sk, TCP_CLOSE)
  tcp_clear_xmit_timers(sk)
  if (req !== null) reqsk_fastopen_remove(sk, req, false)
  sk.sk_shutdown = SHUTDOWN_MASK
  if (!sock_flag(sk, SOCK_DEAD)) {
    if (tracer.on) traceIndirect('sk->sk_state_change', nameOf(sk.sk_state_change))
    sk.sk_state_change(sk)
  } else inet_csk_destroy_sock(sk)
})

export const tcp_abort = kfunc('tcp_abort', (sk: sock, err: number): number => {
  const state = sk.sk_state
  if (state === TCP_NEW_SYN_RECV) {
    const req = inet_reqsk(sk)
    local_bh_disable()
    if (req.rsk_listener !== null) inet_csk_reqsk_queue_drop(req.rsk_listener, req)
    local_bh_enable()
    return 0
  }
  if (state === TCP_TIME_WAIT) {
    const tw = inet_twsk(sk)
    tw.skc_refcnt++
    local_bh_disable()
    inet_twsk_deschedule_put(tw)
    local_bh_enable()
    return 0
  }
  lock_sock(sk)
  if (sk.sk_state === TCP_CLOSE) {
    release_sock(sk)
    return -ENOENT
  }
  if (sk.sk_state === TCP_LISTEN) {
    tcp_set_state(sk, TCP_CLOSE)
    inet_csk_listen_stop(sk)
  }
  local_bh_disable()
  bh_lock_sock(sk)
  if (tcp_need_reset(sk.sk_state)) tcp_send_active_reset(sk, SK_RST_REASON_TCP_STATE)
  tcp_done_with_error(sk, err)
  bh_unlock_sock(sk)
  local_bh_enable()
  release_sock(sk)
  return 0
})

/** nr_free_buffer_pages() of a machine with 2 GiB */
const FREE_BUFFER_PAGES = 500_000
/** as many as half of the hash table of established connections has buckets */
const MAX_ORPHANS = 8192

const tcp_init_mem = kfunc('tcp_init_mem', (): void => {
  const limit = Math.max(Math.trunc(FREE_BUFFER_PAGES / 16), 128)
  sysctl_tcp_mem[0] = Math.trunc(limit / 4) * 3
  sysctl_tcp_mem[1] = limit
  sysctl_tcp_mem[2] = sysctl_tcp_mem[0] * 2
})

/** Called by inet_init(). The hash tables are made by tcp_ipv4.ts. */
export const tcp_init = kfunc('tcp_init', (): void => {
  tcp_orphan_count.v = 0
  tcp_memory_allocated.v = 0
  tcp_memory_per_cpu_fw_alloc.v = 0
  tcp_sockets_allocated.v = 0
  tcp_memory_pressure.v = 0
  sysctl_tcp_max_orphans = MAX_ORPHANS
  tcp_init_mem()
  tcp_register_congestion_control(tcp_reno)
  tcp_tasklet_init()
})
