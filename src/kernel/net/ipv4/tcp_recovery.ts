import { kfunc } from '../../../trace/kfunc.ts'
import { decide, tracer } from '../../../trace/tracer.ts'
import {
  ICSK_TIME_REO_TIMEOUT,
  ICSK_TIME_RETRANS,
  TCP_CA_Recovery,
  TCP_FRAG_IN_RTX_QUEUE,
  TCP_RACK_NO_DUPTHRESH,
  TCP_RACK_STATIC_REO_WND,
  TCP_TIMEOUT_MIN_US,
  TCPCB_LOST,
  TCPCB_RETRANS,
  TCPCB_SACKED_RETRANS,
} from '../../include/generated/enums.ts'
import { list_del } from '../../include/linux/list.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import type { ref } from '../../include/linux/types.ts'
import { inet_csk } from '../../include/net/inet_connection_sock.ts'
import type { sock } from '../../include/net/sock.ts'
import { before, type rate_sample, TCP_SKB_CB, tcp_sk, type tcp_sock } from '../../include/net/tcp.ts'
import { usecs_to_jiffies } from '../../kernel/time/timer.ts'
import { sock_net } from '../core/sock.ts'
import { inet_csk_reset_xmit_timer } from './inet_connection_sock.ts'
import {
  tcp_min_rtt,
  tcp_packets_in_flight,
  tcp_rtx_queue_head,
  tcp_skb_mss,
  tcp_skb_pcount,
  tcp_skb_sent_after,
  tcp_skb_timestamp_us,
  tcp_stamp_us_delta,
} from './tcp_inlines.ts'
import { tcp_cwnd_reduction, tcp_enter_recovery, tcp_mark_skb_lost, tcp_rearm_rto } from './tcp_input.ts'
import { tcp_fragment, tcp_xmit_retransmit_queue } from './tcp_output.ts'

/** for how many recoveries a wider reordering window is kept: include/net/tcp.h */
export const TCP_RACK_RECOVERY_THRESH = 16

/** how long a later packet may overtake an earlier one before the earlier is called lost: microseconds */
export const tcp_rack_reo_wnd = kfunc('tcp_rack_reo_wnd', (sk: sock): number => {
  const tp = tcp_sk(sk)
  if (!tp.reord_seen) {
    if (inet_csk(sk).icsk_ca_state >= TCP_CA_Recovery) return 0
    if (tp.sacked_out >= tp.reordering && !(sock_net(sk).ipv4.sysctl_tcp_recovery & TCP_RACK_NO_DUPTHRESH)) return 0
  }
  return Math.min((tcp_min_rtt(tp) >>> 2) * tp.rack.reo_wnd_steps, tp.srtt_us >>> 3)
})

/** microseconds until the packet is called lost; not positive: it is */
export const tcp_rack_skb_timeout = kfunc(
  'tcp_rack_skb_timeout',
  (tp: tcp_sock, skb: sk_buff, reo_wnd: number): number =>
    (tp.rack.rtt_us + reo_wnd - tcp_stamp_us_delta(tp.tcp_mstamp, tcp_skb_timestamp_us(skb))) | 0,
)

export const tcp_rack_detect_loss = kfunc('tcp_rack_detect_loss', (sk: sock, reo_timeout: ref<number>): void => {
  const tp = tcp_sk(sk)
  reo_timeout.v = 0
  const reo_wnd = tcp_rack_reo_wnd(sk)
  // oldest transmission first
  for (let p = tp.tsorted_sent_queue.next, n = p.next; p !== tp.tsorted_sent_queue; p = n, n = p.next) {
    const skb = p.owner
    if (skb === null) break
    const scb = TCP_SKB_CB(skb)
    if (scb.sacked & TCPCB_LOST && !(scb.sacked & TCPCB_SACKED_RETRANS)) continue
    if (!tcp_skb_sent_after(tp.rack.mstamp, tcp_skb_timestamp_us(skb), tp.rack.end_seq, scb.end_seq)) break
    const remaining = tcp_rack_skb_timeout(tp, skb, reo_wnd)
    if (remaining <= 0) {
      if (tracer.on)
        decide('tcp_rack_detect_loss', 'lost: a later packet was acknowledged', {
          seq: scb.seq,
          rtt_us: tp.rack.rtt_us,
          reo_wnd,
          remaining,
        })
      tcp_mark_skb_lost(sk, skb)
      list_del(p)
    } else reo_timeout.v = Math.max(reo_timeout.v, remaining)
  }
})

/** @returns whether a timer was set for packets that may yet turn out lost */
export const tcp_rack_mark_lost = kfunc('tcp_rack_mark_lost', (sk: sock): boolean => {
  const tp = tcp_sk(sk)
  if (!tp.rack.advanced) return false
  tp.rack.advanced = 0
  const timeout = { v: 0 }
  tcp_rack_detect_loss(sk, timeout)
  if (timeout.v) {
    const when = usecs_to_jiffies(timeout.v + TCP_TIMEOUT_MIN_US)
    inet_csk_reset_xmit_timer(sk, ICSK_TIME_REO_TIMEOUT, when, inet_csk(sk).icsk_rto)
    return when !== 0
  }
  return false
})

export const tcp_rack_advance = kfunc(
  'tcp_rack_advance',
  (tp: tcp_sock, sacked: number, end_seq: number, xmit_time: number): void => {
    const rtt_us = tcp_stamp_us_delta(tp.tcp_mstamp, xmit_time)
    // faster than any round trip: it was the original that was acknowledged
    if (rtt_us < tcp_min_rtt(tp) && sacked & TCPCB_RETRANS) return
    tp.rack.advanced = 1
    tp.rack.rtt_us = rtt_us
    if (tcp_skb_sent_after(xmit_time, tp.rack.mstamp, end_seq, tp.rack.end_seq)) {
      tp.rack.mstamp = xmit_time
      tp.rack.end_seq = end_seq
    }
  },
)

/** the reordering timer fired */
export const tcp_rack_reo_timeout = kfunc('tcp_rack_reo_timeout', (sk: sock): void => {
  const tp = tcp_sk(sk)
  const { lost } = tp
  const prior_inflight = tcp_packets_in_flight(tp)
  tcp_rack_detect_loss(sk, { v: 0 })
  if (prior_inflight !== tcp_packets_in_flight(tp)) {
    if (inet_csk(sk).icsk_ca_state !== TCP_CA_Recovery) {
      tcp_enter_recovery(sk, false)
      if (!inet_csk(sk).icsk_ca_ops.cong_control) tcp_cwnd_reduction(sk, 1, (tp.lost - lost) >>> 0, 0)
    }
    tcp_xmit_retransmit_queue(sk)
  }
  if (inet_csk(sk).icsk_pending !== ICSK_TIME_RETRANS) tcp_rearm_rto(sk)
})

export const tcp_rack_update_reo_wnd = kfunc('tcp_rack_update_reo_wnd', (sk: sock, rs: rate_sample): void => {
  const tp = tcp_sk(sk)
  const { rack } = tp
  if (sock_net(sk).ipv4.sysctl_tcp_recovery & TCP_RACK_STATIC_REO_WND || !rs.prior_delivered) return
  // once in a round trip
  if (before(rs.prior_delivered, rack.last_delivered)) rack.dsack_seen = 0
  if (rack.dsack_seen) {
    rack.reo_wnd_steps = Math.min(0xff, rack.reo_wnd_steps + 1)
    rack.dsack_seen = 0
    rack.last_delivered = tp.delivered
    rack.reo_wnd_persist = TCP_RACK_RECOVERY_THRESH
  } else if (!rack.reo_wnd_persist) rack.reo_wnd_steps = 1
})

export const tcp_newreno_mark_lost = kfunc('tcp_newreno_mark_lost', (sk: sock, snd_una_advanced: boolean): void => {
  const state = inet_csk(sk).icsk_ca_state
  const tp = tcp_sk(sk)
  if ((state < TCP_CA_Recovery && tp.sacked_out >= tp.reordering) || (state === TCP_CA_Recovery && snd_una_advanced)) {
    const skb = tcp_rtx_queue_head(sk)
    if (skb === null || TCP_SKB_CB(skb).sacked & TCPCB_LOST) return
    const mss = tcp_skb_mss(skb)
    if (tcp_skb_pcount(skb) > 1 && skb.len > mss) tcp_fragment(sk, TCP_FRAG_IN_RTX_QUEUE, skb, mss, mss, GFP_ATOMIC)
    tcp_mark_skb_lost(sk, skb)
  }
})
