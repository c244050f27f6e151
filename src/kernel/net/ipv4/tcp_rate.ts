import { kfunc } from '../../../trace/kfunc.ts'
import { decide, tracer } from '../../../trace/tracer.ts'
import { TCPCB_RETRANS, TCPCB_SACKED_ACKED } from '../../include/generated/enums.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import type { sock } from '../../include/net/sock.ts'
import { after, type rate_sample, TCP_SKB_CB, TCPCB_DELIVERED_CE_MASK, tcp_sk } from '../../include/net/tcp.ts'
import { SKB_TRUESIZE } from '../core/skbuff.ts'
import { sk_wmem_alloc_get } from '../core/sock.ts'
import {
  tcp_min_rtt,
  tcp_packets_in_flight,
  tcp_skb_sent_after,
  tcp_skb_timestamp_us,
  tcp_snd_cwnd,
  tcp_stamp_us_delta,
} from './tcp_inlines.ts'

/** remembers in the buffer what had been delivered when it was sent */
export const tcp_rate_skb_sent = kfunc('tcp_rate_skb_sent', (sk: sock, skb: sk_buff): void => {
  const tp = tcp_sk(sk)
  if (!tp.packets_out) {
    const tstamp_us = tcp_skb_timestamp_us(skb)
    tp.first_tx_mstamp = tstamp_us
    tp.delivered_mstamp = tstamp_us
  }
  const { tx } = TCP_SKB_CB(skb)
  tx.first_tx_mstamp = tp.first_tx_mstamp
  tx.delivered_mstamp = tp.delivered_mstamp
  tx.delivered = tp.delivered
  tx.delivered_ce = tp.delivered_ce & TCPCB_DELIVERED_CE_MASK
  tx.is_app_limited = tp.app_limited ? 1 : 0
})

export const tcp_rate_skb_delivered = kfunc('tcp_rate_skb_delivered', (sk: sock, skb: sk_buff, rs: rate_sample): void => {
  const tp = tcp_sk(sk)
  const scb = TCP_SKB_CB(skb)
  const { tx } = scb
  if (!tx.delivered_mstamp) return

  const tx_tstamp = tcp_skb_timestamp_us(skb)
  if (!rs.prior_delivered || tcp_skb_sent_after(tx_tstamp, tp.first_tx_mstamp, scb.end_seq, rs.last_end_seq)) {
    rs.prior_delivered_ce = tx.delivered_ce
    rs.prior_delivered = tx.delivered
    rs.prior_mstamp = tx.delivered_mstamp
    rs.is_app_limited = tx.is_app_limited !== 0
    rs.is_retrans = (scb.sacked & TCPCB_RETRANS) !== 0
    rs.last_end_seq = scb.end_seq
    tp.first_tx_mstamp = tx_tstamp
    rs.interval_us = tcp_stamp_us_delta(tp.first_tx_mstamp, tx.first_tx_mstamp)
  }
  // once is enough: the cumulative ACK will come by here again
  if (scb.sacked & TCPCB_SACKED_ACKED) tx.delivered_mstamp = 0
})

export const tcp_rate_gen = kfunc(
  'tcp_rate_gen',
  (sk: sock, delivered: number, lost: number, is_sack_reneg: boolean, rs: rate_sample): void => {
    const tp = tcp_sk(sk)
    if (tp.app_limited && after(tp.delivered, tp.app_limited)) tp.app_limited = 0
    if (delivered) tp.delivered_mstamp = tp.tcp_mstamp

    rs.acked_sacked = delivered
    rs.losses = lost
    if (!rs.prior_mstamp || is_sack_reneg) {
      rs.delivered = -1
      rs.interval_us = -1
      return
    }
    rs.delivered = (tp.delivered - rs.prior_delivered) | 0
    rs.delivered_ce = (tp.delivered_ce - rs.prior_delivered_ce) & TCPCB_DELIVERED_CE_MASK

    const snd_us = rs.interval_us
    const ack_us = tcp_stamp_us_delta(tp.tcp_mstamp, rs.prior_mstamp)
    rs.interval_us = Math.max(snd_us, ack_us)
    rs.snd_interval_us = snd_us
    rs.rcv_interval_us = ack_us

    // shorter than any round trip so far: a retransmission that was not needed
    if (rs.interval_us < tcp_min_rtt(tp)) {
      rs.interval_us = -1
      return
    }

    if (!rs.is_app_limited || rs.delivered * tp.rate_interval_us >= tp.rate_delivered * rs.interval_us) {
      tp.rate_delivered = rs.delivered
      tp.rate_interval_us = rs.interval_us
      tp.rate_app_limited = rs.is_app_limited ? 1 : 0
    }
    if (tracer.on)
      decide('tcp_rate_gen', 'rate sample', {
        delivered: rs.delivered,
        interval_us: rs.interval_us,
        app_limited: rs.is_app_limited,
      })
  },
)

export const tcp_rate_check_app_limited = kfunc('tcp_rate_check_app_limited', (sk: sock): void => {
  const tp = tcp_sk(sk)
  if (
    (tp.write_seq - tp.snd_nxt) >>> 0 < tp.mss_cache &&
    sk_wmem_alloc_get(sk) < SKB_TRUESIZE(1) &&
    tcp_packets_in_flight(tp) < tcp_snd_cwnd(tp) &&
    tp.lost_out <= tp.retrans_out
  )
    tp.app_limited = (tp.delivered + tcp_packets_in_flight(tp)) >>> 0 || 1
})
