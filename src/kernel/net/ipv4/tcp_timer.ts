import { kfunc } from '../../../trace/kfunc.ts'
import { decide, tracer } from '../../../trace/tracer.ts'
import {
  HRTIMER_NORESTART,
  HZ,
  ICSK_ACK_TIMER,
  ICSK_TIME_LOSS_PROBE,
  ICSK_TIME_PROBE0,
  ICSK_TIME_REO_TIMEOUT,
  ICSK_TIME_RETRANS,
  SOCK_DEAD,
  SOCK_KEEPOPEN,
  TCP_ATO_MIN,
  TCP_CA_Disorder,
  TCP_CA_Loss,
  TCP_CA_Recovery,
  TCP_DELACK_MAX,
  TCP_DELACK_TIMER_DEFERRED,
  TCP_ESTABLISHED,
  TCP_FIN_WAIT2,
  TCP_LISTEN,
  TCP_RTO_MAX,
  TCP_RTO_MIN,
  TCP_SYN_SENT,
  TCP_THIN_LINEAR_RETRIES,
  TCP_TIMEOUT_MIN,
  TCP_TIMEWAIT_LEN,
  TCP_WRITE_TIMER_DEFERRED,
  TCPF_CLOSE,
  TCPF_LISTEN,
  TCPF_SYN_RECV,
  TCPF_SYN_SENT,
} from '../../include/generated/enums.ts'
import { ETIMEDOUT } from '../../include/linux/errno.ts'
import {
  CLOCK_MONOTONIC,
  HRTIMER_MODE_ABS_PINNED_SOFT,
  HRTIMER_MODE_REL_PINNED_SOFT,
  hrtimer,
} from '../../include/linux/hrtimer.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { from_timer, type timer_list } from '../../include/linux/timer.ts'
import { clamp, ilog2, USEC_PER_MSEC } from '../../include/linux/types.ts'
import { type inet_connection_sock, inet_csk } from '../../include/net/inet_connection_sock.ts'
import { inet_rsk } from '../../include/net/inet_sock.ts'
import type { request_sock } from '../../include/net/request_sock.ts'
import {
  SK_RST_REASON_TCP_ABORT_ON_MEMORY,
  SK_RST_REASON_TCP_KEEPALIVE_TIMEOUT,
  SK_RST_REASON_TCP_STATE,
} from '../../include/net/rstreason.ts'
import type { sock } from '../../include/net/sock.ts'
import { TCP_RESOURCE_PROBE_INTERVAL, tcp_sk, type tcp_sock } from '../../include/net/tcp.ts'
import { hrtimer_init } from '../../kernel/time/hrtimer.ts'
import { jiffies, jiffies_to_msecs, jiffies_to_usecs, msecs_to_jiffies } from '../../kernel/time/timer.ts'
import { check_net } from '../core/net_namespace.ts'
import {
  __dst_negative_advice,
  __sk_dst_reset,
  bh_lock_sock,
  bh_unlock_sock,
  sk_reset_timer,
  sk_rethink_txhash,
  sock_flag,
  sock_hold,
  sock_net,
  sock_owned_by_user,
  sock_put,
} from '../core/sock.ts'
import { mptcp_active_detect_blackhole } from '../mptcp/ctrl.ts'
import {
  inet_csk_ack_scheduled,
  inet_csk_delete_keepalive_timer,
  inet_csk_exit_pingpong_mode,
  inet_csk_in_pingpong_mode,
  inet_csk_init_xmit_timers,
  inet_csk_reset_keepalive_timer,
  inet_csk_reset_xmit_timer,
  inet_csk_rto_backoff,
  inet_rtx_syn_ack,
} from './inet_connection_sock.ts'
import { tcp_check_oom, tcp_done } from './tcp.ts'
import { tcp_fastopen_active_detect_blackhole } from './tcp_fastopen.ts'
import {
  __tcp_set_rto,
  BPF_SOCK_OPS_RTO_CB,
  BPF_SOCK_OPS_RTO_CB_FLAG,
  BPF_SOCK_OPS_TEST_FLAG,
  keepalive_intvl_when,
  keepalive_probes,
  keepalive_time_elapsed,
  keepalive_time_when,
  tcp_call_bpf_3arg,
  tcp_fin_time,
  tcp_is_sack,
  tcp_jiffies32,
  tcp_rto_min,
  tcp_rtx_queue_head,
  tcp_send_head,
  tcp_skb_timestamp_ts,
  tcp_stream_is_thin,
  tcp_time_stamp_ms,
  tcp_time_stamp_ts,
  tcp_timeout_init,
  tcp_write_queue_empty,
} from './tcp_inlines.ts'
import { tcp_done_with_error, tcp_enter_loss, tcp_sack_compress_send_ack } from './tcp_input.ts'
import { tcp_time_wait } from './tcp_minisocks.ts'
import {
  tcp_mss_to_mtu,
  tcp_mstamp_refresh,
  tcp_mtu_to_mss,
  tcp_pace_kick,
  tcp_retransmit_skb,
  tcp_send_ack,
  tcp_send_active_reset,
  tcp_send_loss_probe,
  tcp_send_probe0,
  tcp_sync_mss,
  tcp_write_wakeup,
} from './tcp_output.ts'
import { tcp_rack_reo_timeout } from './tcp_recovery.ts'

const tcp_clamp_rto_to_user_timeout = kfunc('tcp_clamp_rto_to_user_timeout', (sk: sock): number => {
  const icsk = inet_csk(sk)
  const tp = tcp_sk(sk)
  const user_timeout = icsk.icsk_user_timeout
  if (!user_timeout) return icsk.icsk_rto
  let elapsed = (tcp_time_stamp_ts(tp) - tp.retrans_stamp) >>> 0
  if (tp.tcp_usec_ts) elapsed = Math.floor(elapsed / USEC_PER_MSEC)
  const remaining = (user_timeout - elapsed) | 0
  if (remaining <= 0) return 1
  return Math.min(icsk.icsk_rto, msecs_to_jiffies(remaining))
})

export const tcp_clamp_probe0_to_user_timeout = kfunc('tcp_clamp_probe0_to_user_timeout', (sk: sock, when: number): number => {
  const icsk = inet_csk(sk)
  const user_timeout = icsk.icsk_user_timeout
  if (!user_timeout || !icsk.icsk_probes_tstamp) return when
  const elapsed = Math.max((tcp_jiffies32() - icsk.icsk_probes_tstamp) | 0, 0)
  const remaining = Math.max(msecs_to_jiffies(user_timeout) - elapsed, TCP_TIMEOUT_MIN)
  return Math.min(remaining, when)
})

const tcp_write_err = kfunc('tcp_write_err', (sk: sock): void => {
  tcp_done_with_error(sk, sk.sk_err_soft || ETIMEDOUT)
  sock_net(sk).mib.linux.TCPAbortOnTimeout++
})

/** 1: the orphan was killed, as there are too many of them or memory is short */
const tcp_out_of_resources = kfunc('tcp_out_of_resources', (sk: sock, do_reset: boolean): number => {
  const tp = tcp_sk(sk)
  let shift = 0
  if (((tcp_jiffies32() - tp.lsndtime) | 0) > 2 * TCP_RTO_MAX || !do_reset) shift++
  if (sk.sk_err_soft) shift++
  if (tcp_check_oom(sk, shift)) {
    // a peer that heard of us lately, or whose window is closed, has to be told
    if (((tcp_jiffies32() - tp.lsndtime) | 0) <= TCP_TIMEWAIT_LEN || (!tp.snd_wnd && !tp.packets_out)) do_reset = true
    if (do_reset) tcp_send_active_reset(sk, SK_RST_REASON_TCP_ABORT_ON_MEMORY)
    tcp_done(sk)
    sock_net(sk).mib.linux.TCPAbortOnMemory++
    return 1
  }
  if (!check_net(sock_net(sk))) {
    tcp_done(sk)
    return 1
  }
  return 0
})

const tcp_orphan_retries = kfunc('tcp_orphan_retries', (sk: sock, alive: boolean): number => {
  let retries = sock_net(sk).ipv4.sysctl_tcp_orphan_retries
  if (sk.sk_err_soft && !alive) retries = 0
  // 8 is more than 100 seconds with the shortest timeout
  if (retries === 0 && alive) retries = 8
  return retries
})

const tcp_mtu_probing = kfunc('tcp_mtu_probing', (icsk: inet_connection_sock, sk: sock): void => {
  const net = sock_net(sk)
  if (!net.ipv4.sysctl_tcp_mtu_probing) return
  if (!icsk.icsk_mtup.enabled) {
    icsk.icsk_mtup.enabled = 1
    icsk.icsk_mtup.probe_timestamp = tcp_jiffies32()
  } else {
    let mss = tcp_mtu_to_mss(sk, icsk.icsk_mtup.search_low) >> 1
    mss = Math.min(net.ipv4.sysctl_tcp_base_mss, mss)
    mss = Math.max(mss, net.ipv4.sysctl_tcp_mtu_probe_floor)
    mss = Math.max(mss, net.ipv4.sysctl_tcp_min_snd_mss)
    icsk.icsk_mtup.search_low = tcp_mss_to_mtu(sk, mss)
  }
  tcp_sync_mss(sk, icsk.icsk_pmtu_cookie)
})

/** milliseconds that `boundary` retransmissions take, when each waits twice as long as the one before */
const tcp_model_timeout = kfunc('tcp_model_timeout', (_sk: sock, boundary: number, rto_base: number): number => {
  const linear_backoff_thresh = ilog2(Math.trunc(TCP_RTO_MAX / rto_base))
  const timeout =
    boundary <= linear_backoff_thresh
      ? ((2 << boundary) - 1) * rto_base
      : ((2 << linear_backoff_thresh) - 1) * rto_base + (boundary - linear_backoff_thresh) * TCP_RTO_MAX
  return jiffies_to_msecs(timeout)
})

const retransmits_timed_out_part_0 = kfunc(
  'retransmits_timed_out.part.0',
  (sk: sock, boundary: number, timeout: number): boolean => {
    const tp = tcp_sk(sk)
    const start_ts = tp.retrans_stamp
    if (timeout === 0) {
      let rto_base = TCP_RTO_MIN
      if ((1 << sk.sk_state) & (TCPF_SYN_SENT | TCPF_SYN_RECV)) rto_base = tcp_timeout_init(sk)
      timeout = tcp_model_timeout(sk, boundary, rto_base)
    }
    // the timer may be off by a jiffy
    if (tp.tcp_usec_ts) return ((tp.tcp_mstamp - start_ts + jiffies_to_usecs(1) - timeout * USEC_PER_MSEC) | 0) >= 0
    return ((tcp_time_stamp_ts(tp) - start_ts - timeout) | 0) >= 0
  },
)

/** `timeout` in milliseconds; 0 for as long as `boundary` retransmissions take */
const retransmits_timed_out = kfunc('retransmits_timed_out', (sk: sock, boundary: number, timeout: number): boolean => {
  if (!inet_csk(sk).icsk_retransmits) return false
  return retransmits_timed_out_part_0(sk, boundary, timeout)
})

/** 1: the connection was given up */
const tcp_write_timeout = kfunc('tcp_write_timeout', (sk: sock): number => {
  const icsk = inet_csk(sk)
  const tp = tcp_sk(sk)
  const net = sock_net(sk)
  let expired = false
  let retry_until: number
  if ((1 << sk.sk_state) & (TCPF_SYN_SENT | TCPF_SYN_RECV)) {
    if (icsk.icsk_retransmits) __dst_negative_advice(sk)
    retry_until = icsk.icsk_syn_retries || net.ipv4.sysctl_tcp_syn_retries
    let max_retransmits = retry_until
    if (sk.sk_state === TCP_SYN_SENT) max_retransmits += net.ipv4.sysctl_tcp_syn_linear_timeouts
    expired = icsk.icsk_retransmits >= max_retransmits
  } else {
    if (retransmits_timed_out(sk, net.ipv4.sysctl_tcp_retries1, 0)) {
      tcp_mtu_probing(icsk, sk)
      __dst_negative_advice(sk)
    }
    retry_until = net.ipv4.sysctl_tcp_retries2
    if (sock_flag(sk, SOCK_DEAD)) {
      const alive = icsk.icsk_rto < TCP_RTO_MAX
      retry_until = tcp_orphan_retries(sk, alive)
      const do_reset = alive || !retransmits_timed_out(sk, retry_until, 0)
      if (tcp_out_of_resources(sk, do_reset)) return 1
    }
  }
  if (!expired) expired = retransmits_timed_out(sk, retry_until, icsk.icsk_user_timeout)
  tcp_fastopen_active_detect_blackhole(sk, expired)
  mptcp_active_detect_blackhole(sk, expired)
  if (BPF_SOCK_OPS_TEST_FLAG(tp, BPF_SOCK_OPS_RTO_CB_FLAG))
    tcp_call_bpf_3arg(sk, BPF_SOCK_OPS_RTO_CB, icsk.icsk_retransmits, icsk.icsk_rto, expired ? 1 : 0)
  if (expired) {
    if (tracer.on) decide('tcp_write_timeout', 'gives up', { retransmits: icsk.icsk_retransmits, retry_until })
    tcp_write_err(sk)
    return 1
  }
  if (sk_rethink_txhash(sk)) {
    tp.timeout_rehash++
    net.mib.linux.TcpTimeoutRehash++
  }
  return 0
})

export const tcp_delack_timer_handler = kfunc('tcp_delack_timer_handler', (sk: sock): void => {
  const icsk = inet_csk(sk)
  const tp = tcp_sk(sk)
  if ((1 << sk.sk_state) & (TCPF_CLOSE | TCPF_LISTEN)) return
  if (tp.compressed_ack) {
    tcp_mstamp_refresh(tp)
    tcp_sack_compress_send_ack(sk)
    return
  }
  if (!(icsk.icsk_ack.pending & ICSK_ACK_TIMER)) return
  if (icsk.icsk_ack.timeout > jiffies()) {
    sk_reset_timer(sk, icsk.icsk_delack_timer, icsk.icsk_ack.timeout)
    return
  }
  icsk.icsk_ack.pending &= ~ICSK_ACK_TIMER
  if (inet_csk_ack_scheduled(sk)) {
    if (!inet_csk_in_pingpong_mode(sk)) {
      // no data came that could have carried it: wait longer next time
      icsk.icsk_ack.ato = Math.min(icsk.icsk_ack.ato << 1, icsk.icsk_rto, TCP_DELACK_MAX)
    } else {
      inet_csk_exit_pingpong_mode(sk)
      icsk.icsk_ack.ato = TCP_ATO_MIN
    }
    tcp_mstamp_refresh(tp)
    tcp_send_ack(sk)
    sock_net(sk).mib.linux.DelayedACKs++
  }
})

const tcp_delack_timer = kfunc('tcp_delack_timer', (t: timer_list): void => {
  const sk = from_timer<inet_connection_sock>(t)
  bh_lock_sock(sk)
  if (!sock_owned_by_user(sk)) {
    tcp_delack_timer_handler(sk)
  } else {
    sock_net(sk).mib.linux.DelayedACKLocked++
    if (!(sk.sk_tsq_flags & (1 << TCP_DELACK_TIMER_DEFERRED))) {
      sk.sk_tsq_flags |= 1 << TCP_DELACK_TIMER_DEFERRED
      sock_hold(sk)
    }
  }
  bh_unlock_sock(sk)
  sock_put(sk)
})

const tcp_probe_timer = kfunc('tcp_probe_timer', (sk: sock): void => {
  const icsk = inet_csk(sk)
  const skb = tcp_send_head(sk)
  const tp = tcp_sk(sk)
  if (tp.packets_out || skb === null) {
    icsk.icsk_probes_out = 0
    icsk.icsk_probes_tstamp = 0
    return
  }
  let abort = false
  if (!icsk.icsk_probes_tstamp) {
    icsk.icsk_probes_tstamp = tcp_jiffies32()
  } else {
    const user_timeout = icsk.icsk_user_timeout
    abort = user_timeout !== 0 && ((tcp_jiffies32() - icsk.icsk_probes_tstamp) | 0) >= msecs_to_jiffies(user_timeout)
  }
  if (!abort) {
    let max_probes = sock_net(sk).ipv4.sysctl_tcp_retries2
    if (sock_flag(sk, SOCK_DEAD)) {
      const alive = inet_csk_rto_backoff(icsk, TCP_RTO_MAX) < TCP_RTO_MAX
      max_probes = tcp_orphan_retries(sk, alive)
      if (!alive && icsk.icsk_backoff >= max_probes) abort = true
      else if (tcp_out_of_resources(sk, true)) return
    }
    abort ||= icsk.icsk_probes_out >= max_probes
  }
  if (abort) tcp_write_err(sk)
  else tcp_send_probe0(sk)
})

const tcp_update_rto_stats = kfunc('tcp_update_rto_stats', (sk: sock): void => {
  const icsk = inet_csk(sk)
  const tp = tcp_sk(sk)
  if (!icsk.icsk_retransmits) {
    tp.total_rto_recoveries++
    tp.rto_stamp = tcp_time_stamp_ms(tp)
  }
  icsk.icsk_retransmits++
  tp.total_rto++
})

const tcp_fastopen_synack_timer = kfunc('tcp_fastopen_synack_timer', (sk: sock, req: request_sock): void => {
  const icsk = inet_csk(sk)
  const tp = tcp_sk(sk)
  req.rsk_ops.syn_ack_timeout(req)
  const max_retries = icsk.icsk_syn_retries || sock_net(sk).ipv4.sysctl_tcp_synack_retries + 1
  if (req.num_timeout >= max_retries) {
    tcp_write_err(sk)
    return
  }
  if (icsk.icsk_retransmits === 1) tcp_enter_loss(sk)
  inet_rtx_syn_ack(sk, req)
  req.num_timeout++
  tcp_update_rto_stats(sk)
  if (!tp.retrans_stamp) tp.retrans_stamp = tcp_time_stamp_ts(tp)
  inet_csk_reset_xmit_timer(sk, ICSK_TIME_RETRANS, req.timeout << req.num_timeout, TCP_RTO_MAX)
})

const tcp_rtx_probe0_timed_out = kfunc('tcp_rtx_probe0_timed_out', (sk: sock, _skb: sk_buff, rtx_delta: number): boolean => {
  const icsk = inet_csk(sk)
  const user_timeout = icsk.icsk_user_timeout
  const tp = tcp_sk(sk)
  let timeout = TCP_RTO_MAX * 2
  if (user_timeout) {
    if (rtx_delta > user_timeout) return true
    timeout = Math.min(timeout, msecs_to_jiffies(user_timeout))
  }
  const rcv_delta = (icsk.icsk_timeout - tp.rcv_tstamp) | 0
  if (rcv_delta <= timeout) return false
  return msecs_to_jiffies(rtx_delta) > timeout
})

/** what a first timeout counts as, when it comes on top of another trouble */
function count_rto(sk: sock, tp: tcp_sock, ca_state: number): void {
  const { linux } = sock_net(sk).mib
  if (ca_state === TCP_CA_Recovery) {
    if (tcp_is_sack(tp)) linux.TCPSackRecoveryFail++
    else linux.TCPRenoRecoveryFail++
  } else if (ca_state === TCP_CA_Loss) linux.TCPLossFailures++
  else if (ca_state === TCP_CA_Disorder || tp.sacked_out) {
    if (tcp_is_sack(tp)) linux.TCPSackFailures++
    else linux.TCPRenoFailures++
  }
}

/** The oldest segment was not acknowledged in time: it is sent again, and the next timeout is twice as long. */
export const tcp_retransmit_timer = kfunc('tcp_retransmit_timer', (sk: sock): void => {
  const tp = tcp_sk(sk)
  const net = sock_net(sk)
  const icsk = inet_csk(sk)
  const req = tp.fastopen_rsk
  if (req !== null) {
    tcp_fastopen_synack_timer(sk, req)
    return
  }
  if (!tp.packets_out) return
  const skb = tcp_rtx_queue_head(sk)
  if (skb === null) return
  if (!tp.snd_wnd && !sock_flag(sk, SOCK_DEAD) && !((1 << sk.sk_state) & (TCPF_SYN_SENT | TCPF_SYN_RECV))) {
    // the peer took its window back: what is sent again is a probe, and does not end the connection
    let rtx_delta = (tcp_time_stamp_ts(tp) - (tp.retrans_stamp || tcp_skb_timestamp_ts(tp.tcp_usec_ts, skb))) >>> 0
    if (tp.tcp_usec_ts) rtx_delta = Math.floor(rtx_delta / USEC_PER_MSEC)
    if (tcp_rtx_probe0_timed_out(sk, skb, rtx_delta)) {
      tcp_write_err(sk)
      return
    }
    tcp_enter_loss(sk)
    tcp_retransmit_skb(sk, skb, 1)
    __sk_dst_reset(sk)
  } else {
    net.mib.linux.TCPTimeouts++
    if (tcp_write_timeout(sk)) return
    if (icsk.icsk_retransmits === 0) count_rto(sk, tp, icsk.icsk_ca_state)
    tcp_enter_loss(sk)
    tcp_update_rto_stats(sk)
    const head = tcp_rtx_queue_head(sk)
    if (head !== null && tcp_retransmit_skb(sk, head, 1) > 0) {
      // the own host is congested: not the peer's fault, try again soon
      inet_csk_reset_xmit_timer(sk, ICSK_TIME_RETRANS, TCP_RESOURCE_PROBE_INTERVAL, TCP_RTO_MAX)
      return
    }
  }
  if (
    sk.sk_state === TCP_ESTABLISHED &&
    (tp.thin_lto || net.ipv4.sysctl_tcp_thin_linear_timeouts) &&
    tcp_stream_is_thin(tp) &&
    icsk.icsk_retransmits <= TCP_THIN_LINEAR_RETRIES
  ) {
    icsk.icsk_backoff = 0
    icsk.icsk_rto = clamp(__tcp_set_rto(tp), tcp_rto_min(sk), TCP_RTO_MAX)
  } else if (sk.sk_state !== TCP_SYN_SENT || tp.total_rto > net.ipv4.sysctl_tcp_syn_linear_timeouts) {
    icsk.icsk_backoff++
    icsk.icsk_rto = Math.min(icsk.icsk_rto << 1, TCP_RTO_MAX)
  }
  if (tracer.on)
    decide('tcp_retransmit_timer', 'next timeout', {
      rto_ms: icsk.icsk_rto * 4,
      backoff: icsk.icsk_backoff,
      retransmits: icsk.icsk_retransmits,
    })
  inet_csk_reset_xmit_timer(sk, ICSK_TIME_RETRANS, tcp_clamp_rto_to_user_timeout(sk), TCP_RTO_MAX)
  if (retransmits_timed_out(sk, net.ipv4.sysctl_tcp_retries1 + 1, 0)) __sk_dst_reset(sk)
})

/** one timer for four purposes: icsk_pending says which */
export const tcp_write_timer_handler = kfunc('tcp_write_timer_handler', (sk: sock): void => {
  const icsk = inet_csk(sk)
  if ((1 << sk.sk_state) & (TCPF_CLOSE | TCPF_LISTEN) || !icsk.icsk_pending) return
  if (icsk.icsk_timeout > jiffies()) {
    sk_reset_timer(sk, icsk.icsk_retransmit_timer, icsk.icsk_timeout)
    return
  }
  tcp_mstamp_refresh(tcp_sk(sk))
  switch (icsk.icsk_pending) {
    case ICSK_TIME_REO_TIMEOUT:
      tcp_rack_reo_timeout(sk)
      break
    case ICSK_TIME_LOSS_PROBE:
      tcp_send_loss_probe(sk)
      break
    case ICSK_TIME_RETRANS:
      icsk.icsk_pending = 0
      tcp_retransmit_timer(sk)
      break
    case ICSK_TIME_PROBE0:
      icsk.icsk_pending = 0
      tcp_probe_timer(sk)
      break
  }
})

const tcp_write_timer = kfunc('tcp_write_timer', (t: timer_list): void => {
  const sk = from_timer<inet_connection_sock>(t)
  bh_lock_sock(sk)
  if (!sock_owned_by_user(sk)) {
    tcp_write_timer_handler(sk)
  } else if (!(sk.sk_tsq_flags & (1 << TCP_WRITE_TIMER_DEFERRED))) {
    // tcp_release_cb() does it when the owner lets go
    sk.sk_tsq_flags |= 1 << TCP_WRITE_TIMER_DEFERRED
    sock_hold(sk)
  }
  bh_unlock_sock(sk)
  sock_put(sk)
})

export const tcp_syn_ack_timeout = kfunc('tcp_syn_ack_timeout', (req: request_sock): void => {
  inet_rsk(req).sk_net.mib.linux.TCPTimeouts++
})

export const tcp_set_keepalive = kfunc('tcp_set_keepalive', (sk: sock, val: number): void => {
  if ((1 << sk.sk_state) & (TCPF_CLOSE | TCPF_LISTEN)) return
  if (val && !sock_flag(sk, SOCK_KEEPOPEN)) inet_csk_reset_keepalive_timer(sk, keepalive_time_when(tcp_sk(sk)))
  else if (!val) inet_csk_delete_keepalive_timer(sk)
})

const tcp_keepalive_timer = kfunc('tcp_keepalive_timer', (t: timer_list): void => {
  const sk = from_timer<inet_connection_sock>(t)
  bh_lock_sock(sk)
  keepalive(sk)
  bh_unlock_sock(sk)
  sock_put(sk)
})

/** the body of tcp_keepalive_timer() between its locks */
function keepalive(sk: inet_connection_sock): void {
  const tp = tcp_sk(sk)
  if (sock_owned_by_user(sk)) {
    inet_csk_reset_keepalive_timer(sk, Math.trunc(HZ / 20))
    return
  }
  if (sk.sk_state === TCP_LISTEN) return
  tcp_mstamp_refresh(tp)
  if (sk.sk_state === TCP_FIN_WAIT2 && sock_flag(sk, SOCK_DEAD)) {
    if (tp.linger2 >= 0) {
      const tmo = tcp_fin_time(sk) - TCP_TIMEWAIT_LEN
      if (tmo > 0) {
        tcp_time_wait(sk, TCP_FIN_WAIT2, tmo)
        return
      }
    }
    tcp_send_active_reset(sk, SK_RST_REASON_TCP_STATE)
    tcp_done(sk)
    return
  }
  if (!sock_flag(sk, SOCK_KEEPOPEN) || (1 << sk.sk_state) & (TCPF_CLOSE | TCPF_SYN_SENT)) return
  let elapsed = keepalive_time_when(tp)
  if (!tp.packets_out && tcp_write_queue_empty(sk)) {
    elapsed = keepalive_time_elapsed(tp)
    if (elapsed >= keepalive_time_when(tp)) {
      const user_timeout = sk.icsk_user_timeout
      if (
        (user_timeout !== 0 && elapsed >= msecs_to_jiffies(user_timeout) && sk.icsk_probes_out > 0) ||
        (user_timeout === 0 && sk.icsk_probes_out >= keepalive_probes(tp))
      ) {
        tcp_send_active_reset(sk, SK_RST_REASON_TCP_KEEPALIVE_TIMEOUT)
        tcp_write_err(sk)
        return
      }
      if (tcp_write_wakeup(sk, 'TCPKeepAlive') <= 0) {
        sk.icsk_probes_out++
        elapsed = keepalive_intvl_when(tp)
      } else elapsed = TCP_RESOURCE_PROBE_INTERVAL
    } else elapsed = keepalive_time_when(tp) - elapsed
  }
  inet_csk_reset_keepalive_timer(sk, elapsed)
}

const tcp_compressed_ack_kick = kfunc('tcp_compressed_ack_kick', (timer: hrtimer): number => {
  const tp = timer.owner as tcp_sock
  bh_lock_sock(tp)
  if (!sock_owned_by_user(tp)) {
    if (tp.compressed_ack) {
      // the ACK that goes out now is not one of those saved
      tp.compressed_ack--
      tcp_send_ack(tp)
    }
  } else if (!(tp.sk_tsq_flags & (1 << TCP_DELACK_TIMER_DEFERRED))) {
    tp.sk_tsq_flags |= 1 << TCP_DELACK_TIMER_DEFERRED
    sock_hold(tp)
  }
  bh_unlock_sock(tp)
  sock_put(tp)
  return HRTIMER_NORESTART
})

export const tcp_init_xmit_timers = kfunc('tcp_init_xmit_timers', (sk: sock): void => {
  const tp = tcp_sk(sk)
  inet_csk_init_xmit_timers(sk, tcp_write_timer, tcp_delack_timer, tcp_keepalive_timer)
  tp.pacing_timer = new hrtimer(tp)
  hrtimer_init(tp.pacing_timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_PINNED_SOFT)
  tp.pacing_timer.function = tcp_pace_kick
  tp.compressed_ack_timer = new hrtimer(tp)
  hrtimer_init(tp.compressed_ack_timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_SOFT)
  tp.compressed_ack_timer.function = tcp_compressed_ack_kick
})
