import { kfunc } from '../../../trace/kfunc.ts'
import { decide, tracer } from '../../../trace/tracer.ts'
import { get_random_u32_below_const } from '../../drivers/char/random.ts'
import {
  CA_EVENT_TX_START,
  GSO_LEGACY_MAX_SIZE,
  HZ,
  MAX_TCP_HEADER,
  SK_PACING_NEEDED,
  SK_PACING_NONE,
  TCP_CA_Loss,
  TCP_CA_Open,
  TCP_CA_Recovery,
  TCP_INFINITE_SSTHRESH,
  TCP_INIT_CWND,
} from '../../include/generated/enums.ts'
import { USEC_PER_MSEC, USEC_PER_SEC } from '../../include/linux/types.ts'
import { inet_csk } from '../../include/net/inet_connection_sock.ts'
import type { sock } from '../../include/net/sock.ts'
import {
  after,
  before,
  minmax,
  rate_sample,
  TCP_CONG_NON_RESTRICTED,
  type tcp_congestion_ops,
  tcp_sk,
} from '../../include/net/tcp.ts'
import { declare_module } from '../../kernel/module/kmod.ts'
import { _msecs_to_jiffies } from '../../kernel/time/timer.ts'
import { minmax_get, minmax_reset, minmax_running_max } from '../../lib/win_minmax.ts'
import { tcp_register_congestion_control } from './tcp_cong.ts'
import {
  tcp_jiffies32,
  tcp_min_rtt,
  tcp_packets_in_flight,
  tcp_snd_cwnd,
  tcp_snd_cwnd_set,
  tcp_stamp_us_delta,
} from './tcp_inlines.ts'

// Rates are packets per microsecond, scaled by 2^24; gains are scaled by 2^8
const BW_SCALE = 24n
const BW_UNIT = 2 ** 24
const BBR_SCALE = 8n
const BBR_UNIT = 256

const BBR_STARTUP = 0
const BBR_DRAIN = 1
const BBR_PROBE_BW = 2
const BBR_PROBE_RTT = 3
const MODES = ['startup', 'drain', 'probe bandwidth', 'probe round-trip time']

const CYCLE_LEN = 8
/** rounds that the best bandwidth is remembered for */
const bbr_bw_rtts = CYCLE_LEN + 2
const bbr_min_rtt_win_sec = 10
const bbr_probe_rtt_mode_ms = 200
/** bits a second: below it packets go one by one */
const bbr_min_tso_rate = 1_200_000
const bbr_pacing_margin_percent = 1

const bbr_high_gain: number = Math.floor((BBR_UNIT * 2885) / 1000) + 1
const bbr_drain_gain: number = Math.floor((BBR_UNIT * 1000) / 2885)
const bbr_cwnd_gain: number = BBR_UNIT * 2
const bbr_pacing_gain: readonly number[] = [
  (BBR_UNIT * 5) / 4,
  (BBR_UNIT * 3) / 4,
  BBR_UNIT,
  BBR_UNIT,
  BBR_UNIT,
  BBR_UNIT,
  BBR_UNIT,
  BBR_UNIT,
]
const bbr_cycle_rand = 7
const bbr_cwnd_min_target = 4

const bbr_full_bw_thresh: number = (BBR_UNIT * 5) / 4
const bbr_full_bw_cnt = 3

const bbr_lt_intvl_min_rtts = 4
const bbr_lt_loss_thresh = 50
const bbr_lt_bw_ratio: number = BBR_UNIT / 8
const bbr_lt_bw_diff: number = 4000 / 8
const bbr_lt_bw_max_rtts = 48

const bbr_extra_acked_gain = BBR_UNIT
const bbr_extra_acked_win_rtts = 5
const bbr_ack_epoch_acked_reset_thresh = 0x100000
const bbr_extra_acked_max_us: number = 100 * 1000

/** net/ipv4/tcp_bbr.c struct bbr. `_us` and `_mstamp` in microseconds, `_stamp` of round-trip times in jiffies. */
class bbr {
  min_rtt_us = 0
  min_rtt_stamp = 0
  probe_rtt_done_stamp = 0
  bw: minmax = new minmax()
  rtt_cnt = 0
  next_rtt_delivered = 0
  cycle_mstamp = 0
  mode = BBR_STARTUP
  prev_ca_state = TCP_CA_Open
  packet_conservation = false
  round_start = false
  idle_restart = false
  probe_rtt_round_done = false
  lt_is_sampling = false
  lt_rtt_cnt = 0
  lt_use_bw = false
  lt_bw = 0
  lt_last_delivered = 0
  /** milliseconds */
  lt_last_stamp = 0
  lt_last_lost = 0
  pacing_gain = 0
  cwnd_gain = 0
  full_bw_reached = false
  full_bw_cnt = 0
  cycle_idx = 0
  has_seen_rtt = false
  prior_cwnd = 0
  full_bw = 0
  ack_epoch_mstamp = 0
  extra_acked: [number, number] = [0, 0]
  ack_epoch_acked = 0
  extra_acked_win_rtts = 0
  extra_acked_win_idx: 0 | 1 = 0
}

/** inet_csk_ca(): made when it is first asked for, as Linux's private area starts out zeroed */
function bbr_of(sk: sock): bbr {
  const icsk = inet_csk(sk)
  const priv = icsk.icsk_ca_priv
  if (priv instanceof bbr) return priv
  const ca = new bbr()
  icsk.icsk_ca_priv = ca
  return ca
}

const bbr_full_bw_reached = kfunc('bbr_full_bw_reached', (sk: sock): boolean => bbr_of(sk).full_bw_reached)

const bbr_max_bw = kfunc('bbr_max_bw', (sk: sock): number => minmax_get(bbr_of(sk).bw))

const bbr_bw = kfunc('bbr_bw', (sk: sock): number => {
  const ca = bbr_of(sk)
  return ca.lt_use_bw ? ca.lt_bw : bbr_max_bw(sk)
})

const bbr_extra_acked = kfunc('bbr_extra_acked', (sk: sock): number => Math.max(...bbr_of(sk).extra_acked))

const bbr_rate_bytes_per_sec = kfunc('bbr_rate_bytes_per_sec', (sk: sock, rate: number, gain: number): number => {
  let bytes = (BigInt(rate) * BigInt(tcp_sk(sk).mss_cache) * BigInt(gain)) >> BBR_SCALE
  bytes *= BigInt((USEC_PER_SEC / 100) * (100 - bbr_pacing_margin_percent))
  return Number(bytes >> BW_SCALE)
})

const bbr_bw_to_pacing_rate = kfunc('bbr_bw_to_pacing_rate', (sk: sock, bw: number, gain: number): number =>
  Math.min(bbr_rate_bytes_per_sec(sk, bw, gain), sk.sk_max_pacing_rate),
)

const bbr_init_pacing_rate_from_rtt = kfunc('bbr_init_pacing_rate_from_rtt', (sk: sock): void => {
  const tp = tcp_sk(sk)
  const ca = bbr_of(sk)
  let rtt_us = USEC_PER_MSEC
  if (tp.srtt_us) {
    rtt_us = Math.max(tp.srtt_us >>> 3, 1)
    ca.has_seen_rtt = true
  }
  const bw = Math.floor((tcp_snd_cwnd(tp) * BW_UNIT) / rtt_us) >>> 0
  sk.sk_pacing_rate = bbr_bw_to_pacing_rate(sk, bw, bbr_high_gain)
})

const bbr_set_pacing_rate = kfunc('bbr_set_pacing_rate', (sk: sock, bw: number, gain: number): void => {
  const ca = bbr_of(sk)
  const rate = bbr_bw_to_pacing_rate(sk, bw, gain)
  if (!ca.has_seen_rtt && tcp_sk(sk).srtt_us) bbr_init_pacing_rate_from_rtt(sk)
  if (bbr_full_bw_reached(sk) || rate > sk.sk_pacing_rate) sk.sk_pacing_rate = rate
  if (tracer.on) decide('bbr_set_pacing_rate', 'pacing rate', { bytes_per_sec: sk.sk_pacing_rate, gain: gain / BBR_UNIT })
})

const bbr_min_tso_segs = kfunc('bbr_min_tso_segs', (sk: sock): number => (sk.sk_pacing_rate < bbr_min_tso_rate >> 3 ? 1 : 2))

const bbr_tso_segs_goal = kfunc('bbr_tso_segs_goal', (sk: sock): number => {
  const bytes = Math.min(Math.floor(sk.sk_pacing_rate / 2 ** sk.sk_pacing_shift), GSO_LEGACY_MAX_SIZE - 1 - MAX_TCP_HEADER)
  return Math.min(Math.max(Math.floor(bytes / tcp_sk(sk).mss_cache), bbr_min_tso_segs(sk)), 0x7f)
})

const bbr_save_cwnd = kfunc('bbr_save_cwnd', (sk: sock): void => {
  const ca = bbr_of(sk)
  const cwnd = tcp_snd_cwnd(tcp_sk(sk))
  // in recovery or while probing it is smaller than what was known to be good
  ca.prior_cwnd = ca.prev_ca_state < TCP_CA_Recovery && ca.mode !== BBR_PROBE_RTT ? cwnd : Math.max(ca.prior_cwnd, cwnd)
})

const bbr_cwnd_event = kfunc('bbr_cwnd_event', (sk: sock, event: number): void => {
  const tp = tcp_sk(sk)
  const ca = bbr_of(sk)
  if (event !== CA_EVENT_TX_START || !tp.app_limited) return
  ca.idle_restart = true
  ca.ack_epoch_mstamp = tp.tcp_mstamp
  ca.ack_epoch_acked = 0
  if (ca.mode === BBR_PROBE_BW) bbr_set_pacing_rate(sk, bbr_bw(sk), BBR_UNIT)
  else if (ca.mode === BBR_PROBE_RTT) bbr_check_probe_rtt_done(sk)
})

/** packets that fit into the path: bandwidth times round-trip time times `gain`, rounded up */
const bbr_bdp = kfunc('bbr_bdp', (sk: sock, bw: number, gain: number): number => {
  const { min_rtt_us } = bbr_of(sk)
  if (min_rtt_us === 0xffffffff) return TCP_INIT_CWND
  const w = (BigInt(bw) * BigInt(min_rtt_us) * BigInt(gain)) >> BBR_SCALE
  return Number((w + BigInt(BW_UNIT) - 1n) >> BW_SCALE)
})

const bbr_quantization_budget = kfunc('bbr_quantization_budget', (sk: sock, packets: number): number => {
  const ca = bbr_of(sk)
  // one burst each in the queue below, in segmentation, and in the receiver's aggregation
  let cwnd = packets + 3 * bbr_tso_segs_goal(sk)
  cwnd = (cwnd + 1) & ~1
  if (ca.mode === BBR_PROBE_BW && ca.cycle_idx === 0) cwnd += 2
  return cwnd
})

const bbr_inflight = kfunc('bbr_inflight', (sk: sock, bw: number, gain: number): number =>
  bbr_quantization_budget(sk, bbr_bdp(sk, bw, gain)),
)

/** what will still be on the way when the next packet may leave: pacing below has sent part of it into the future */
const bbr_packets_in_net_at_edt = kfunc('bbr_packets_in_net_at_edt', (sk: sock, inflight_now: number): number => {
  const tp = tcp_sk(sk)
  const edt_ns = Math.max(tp.tcp_wstamp_ns, tp.tcp_clock_cache)
  const interval_us = Math.floor((edt_ns - tp.tcp_clock_cache) / 1000)
  const delivered = Number((BigInt(bbr_bw(sk)) * BigInt(interval_us)) >> BW_SCALE)
  let inflight = inflight_now
  if (bbr_of(sk).pacing_gain > BBR_UNIT) inflight += bbr_tso_segs_goal(sk)
  return delivered >= inflight ? 0 : inflight - delivered
})

const bbr_ack_aggregation_cwnd = kfunc('bbr_ack_aggregation_cwnd', (sk: sock): number => {
  if (!bbr_full_bw_reached(sk)) return 0
  const most = Math.floor((bbr_bw(sk) * bbr_extra_acked_max_us) / BW_UNIT)
  return Math.min((bbr_extra_acked_gain * bbr_extra_acked(sk)) >>> 8, most)
})

/** true: in the first round of recovery, where as many packets leave as were acknowledged */
const bbr_set_cwnd_to_recover_or_restore = kfunc(
  'bbr_set_cwnd_to_recover_or_restore',
  (sk: sock, rs: rate_sample, acked: number, new_cwnd: { v: number }): boolean => {
    const tp = tcp_sk(sk)
    const ca = bbr_of(sk)
    const prev_state = ca.prev_ca_state
    const state = inet_csk(sk).icsk_ca_state
    let cwnd = tcp_snd_cwnd(tp)
    if (rs.losses > 0) cwnd = Math.max(cwnd - rs.losses, 1)
    if (state === TCP_CA_Recovery && prev_state !== TCP_CA_Recovery) {
      ca.packet_conservation = true
      ca.next_rtt_delivered = tp.delivered
      cwnd = tcp_packets_in_flight(tp) + acked
    } else if (prev_state >= TCP_CA_Recovery && state < TCP_CA_Recovery) {
      cwnd = Math.max(cwnd, ca.prior_cwnd)
      ca.packet_conservation = false
    }
    ca.prev_ca_state = state
    if (ca.packet_conservation) {
      new_cwnd.v = Math.max(cwnd, tcp_packets_in_flight(tp) + acked)
      return true
    }
    new_cwnd.v = cwnd
    return false
  },
)

const bbr_set_cwnd = kfunc('bbr_set_cwnd', (sk: sock, rs: rate_sample, acked: number, bw: number, gain: number): void => {
  const tp = tcp_sk(sk)
  const ca = bbr_of(sk)
  const cwnd = { v: tcp_snd_cwnd(tp) }
  let target = 0
  if (acked && !bbr_set_cwnd_to_recover_or_restore(sk, rs, acked, cwnd)) {
    target = bbr_quantization_budget(sk, bbr_bdp(sk, bw, gain) + bbr_ack_aggregation_cwnd(sk))
    if (bbr_full_bw_reached(sk)) cwnd.v = Math.min(cwnd.v + acked, target)
    else if (cwnd.v < target || tp.delivered < TCP_INIT_CWND) cwnd.v += acked
    cwnd.v = Math.max(cwnd.v, bbr_cwnd_min_target)
  }
  tcp_snd_cwnd_set(tp, Math.min(cwnd.v, tp.snd_cwnd_clamp))
  if (ca.mode === BBR_PROBE_RTT) tcp_snd_cwnd_set(tp, Math.min(tcp_snd_cwnd(tp), bbr_cwnd_min_target))
  if (tracer.on) decide('bbr_set_cwnd', MODES[ca.mode] ?? '', { acked, target, cwnd: tp.snd_cwnd, min_rtt_us: ca.min_rtt_us })
})

const bbr_is_next_cycle_phase = kfunc('bbr_is_next_cycle_phase', (sk: sock, rs: rate_sample): boolean => {
  const ca = bbr_of(sk)
  const is_full_length = tcp_stamp_us_delta(tcp_sk(sk).delivered_mstamp, ca.cycle_mstamp) > ca.min_rtt_us
  if (ca.pacing_gain === BBR_UNIT) return is_full_length
  const inflight = bbr_packets_in_net_at_edt(sk, rs.prior_in_flight)
  const bw = bbr_max_bw(sk)
  if (ca.pacing_gain > BBR_UNIT) return is_full_length && (rs.losses !== 0 || inflight >= bbr_inflight(sk, bw, ca.pacing_gain))
  return is_full_length || inflight <= bbr_inflight(sk, bw, BBR_UNIT)
})

const bbr_advance_cycle_phase = kfunc('bbr_advance_cycle_phase', (sk: sock): void => {
  const ca = bbr_of(sk)
  ca.cycle_idx = (ca.cycle_idx + 1) & (CYCLE_LEN - 1)
  ca.cycle_mstamp = tcp_sk(sk).delivered_mstamp
})

const bbr_update_cycle_phase = kfunc('bbr_update_cycle_phase', (sk: sock, rs: rate_sample): void => {
  if (bbr_of(sk).mode === BBR_PROBE_BW && bbr_is_next_cycle_phase(sk, rs)) bbr_advance_cycle_phase(sk)
})

const bbr_reset_startup_mode = kfunc('bbr_reset_startup_mode', (sk: sock): void => {
  bbr_of(sk).mode = BBR_STARTUP
})

const bbr_reset_probe_bw_mode = kfunc('bbr_reset_probe_bw_mode', (sk: sock): void => {
  const ca = bbr_of(sk)
  ca.mode = BBR_PROBE_BW
  ca.cycle_idx = CYCLE_LEN - 1 - get_random_u32_below_const(bbr_cycle_rand)
  bbr_advance_cycle_phase(sk)
})

const bbr_reset_mode = kfunc('bbr_reset_mode', (sk: sock): void => {
  if (!bbr_full_bw_reached(sk)) bbr_reset_startup_mode(sk)
  else bbr_reset_probe_bw_mode(sk)
})

const milliseconds = (us: number): number => Math.floor(us / USEC_PER_MSEC) >>> 0

const bbr_reset_lt_bw_sampling_interval = kfunc('bbr_reset_lt_bw_sampling_interval', (sk: sock): void => {
  const tp = tcp_sk(sk)
  const ca = bbr_of(sk)
  ca.lt_last_stamp = milliseconds(tp.delivered_mstamp)
  ca.lt_last_delivered = tp.delivered
  ca.lt_last_lost = tp.lost
  ca.lt_rtt_cnt = 0
})

const bbr_reset_lt_bw_sampling = kfunc('bbr_reset_lt_bw_sampling', (sk: sock): void => {
  const ca = bbr_of(sk)
  ca.lt_bw = 0
  ca.lt_use_bw = false
  ca.lt_is_sampling = false
  bbr_reset_lt_bw_sampling_interval(sk)
})

const bbr_lt_bw_interval_done = kfunc('bbr_lt_bw_interval_done', (sk: sock, bw: number): void => {
  const ca = bbr_of(sk)
  if (ca.lt_bw) {
    const diff = Math.abs(bw - ca.lt_bw)
    if (diff * BBR_UNIT <= bbr_lt_bw_ratio * ca.lt_bw || bbr_rate_bytes_per_sec(sk, diff, BBR_UNIT) <= bbr_lt_bw_diff) {
      ca.lt_bw = Math.floor((bw + ca.lt_bw) / 2)
      ca.lt_use_bw = true
      ca.pacing_gain = BBR_UNIT
      ca.lt_rtt_cnt = 0
      if (tracer.on) decide('bbr_lt_bw_interval_done', 'somebody polices the rate', { bw, lt_bw: ca.lt_bw })
      return
    }
  }
  ca.lt_bw = bw
  bbr_reset_lt_bw_sampling_interval(sk)
})

/** looks for a policer: two stretches with the same throughput and a fifth of all packets lost */
const bbr_lt_bw_sampling = kfunc('bbr_lt_bw_sampling', (sk: sock, rs: rate_sample): void => {
  const tp = tcp_sk(sk)
  const ca = bbr_of(sk)
  if (ca.lt_use_bw) {
    if (ca.mode === BBR_PROBE_BW && ca.round_start && ++ca.lt_rtt_cnt >= bbr_lt_bw_max_rtts) {
      bbr_reset_lt_bw_sampling(sk)
      bbr_reset_probe_bw_mode(sk)
    }
    return
  }
  if (!ca.lt_is_sampling) {
    if (!rs.losses) return
    bbr_reset_lt_bw_sampling_interval(sk)
    ca.lt_is_sampling = true
  }
  if (rs.is_app_limited) {
    bbr_reset_lt_bw_sampling(sk)
    return
  }
  if (ca.round_start) ca.lt_rtt_cnt++
  if (ca.lt_rtt_cnt < bbr_lt_intvl_min_rtts) return
  if (ca.lt_rtt_cnt > 4 * bbr_lt_intvl_min_rtts) {
    bbr_reset_lt_bw_sampling(sk)
    return
  }
  if (!rs.losses) return
  const lost = (tp.lost - ca.lt_last_lost) >>> 0
  const delivered = (tp.delivered - ca.lt_last_delivered) >>> 0
  if (!delivered || lost * BBR_UNIT < bbr_lt_loss_thresh * delivered) return
  const t = (milliseconds(tp.delivered_mstamp) - ca.lt_last_stamp) | 0
  if (t < 1) return
  if (t >= Math.floor(0xffffffff / USEC_PER_MSEC)) {
    bbr_reset_lt_bw_sampling(sk)
    return
  }
  bbr_lt_bw_interval_done(sk, Math.floor((delivered * BW_UNIT) / (t * USEC_PER_MSEC)) >>> 0)
})

const bbr_update_bw = kfunc('bbr_update_bw', (sk: sock, rs: rate_sample): void => {
  const ca = bbr_of(sk)
  ca.round_start = false
  if (rs.delivered < 0 || rs.interval_us <= 0) return
  if (!before(rs.prior_delivered, ca.next_rtt_delivered)) {
    ca.next_rtt_delivered = tcp_sk(sk).delivered
    ca.rtt_cnt++
    ca.round_start = true
    ca.packet_conservation = false
  }
  bbr_lt_bw_sampling(sk, rs)
  const bw = Math.floor((rs.delivered * BW_UNIT) / rs.interval_us)
  // a sender with little to say tells nothing about the path, unless it was faster than ever
  if (!rs.is_app_limited || bw >= bbr_max_bw(sk)) minmax_running_max(ca.bw, bbr_bw_rtts, ca.rtt_cnt, bw >>> 0)
  if (tracer.on)
    decide('bbr_update_bw', rs.is_app_limited ? 'bandwidth sample, limited by the sender' : 'bandwidth sample', {
      delivered: rs.delivered,
      interval_us: rs.interval_us,
      round: ca.rtt_cnt,
    })
})

const bbr_update_ack_aggregation = kfunc('bbr_update_ack_aggregation', (sk: sock, rs: rate_sample): void => {
  const tp = tcp_sk(sk)
  const ca = bbr_of(sk)
  if (rs.acked_sacked <= 0 || rs.delivered < 0 || rs.interval_us <= 0) return
  if (ca.round_start) {
    ca.extra_acked_win_rtts = Math.min(0x1f, ca.extra_acked_win_rtts + 1)
    if (ca.extra_acked_win_rtts >= bbr_extra_acked_win_rtts) {
      ca.extra_acked_win_rtts = 0
      ca.extra_acked_win_idx = ca.extra_acked_win_idx ? 0 : 1
      ca.extra_acked[ca.extra_acked_win_idx] = 0
    }
  }
  const epoch_us = tcp_stamp_us_delta(tp.delivered_mstamp, ca.ack_epoch_mstamp)
  let expected_acked = Number((BigInt(bbr_bw(sk)) * BigInt(epoch_us)) >> BW_SCALE)
  if (ca.ack_epoch_acked <= expected_acked || ca.ack_epoch_acked + rs.acked_sacked >= bbr_ack_epoch_acked_reset_thresh) {
    ca.ack_epoch_acked = 0
    ca.ack_epoch_mstamp = tp.delivered_mstamp
    expected_acked = 0
  }
  ca.ack_epoch_acked = Math.min(0xfffff, ca.ack_epoch_acked + rs.acked_sacked)
  const extra_acked = Math.min(ca.ack_epoch_acked - expected_acked, tcp_snd_cwnd(tp))
  if (extra_acked > ca.extra_acked[ca.extra_acked_win_idx]) ca.extra_acked[ca.extra_acked_win_idx] = extra_acked
})

const bbr_check_full_bw_reached = kfunc('bbr_check_full_bw_reached', (sk: sock, rs: rate_sample): void => {
  const ca = bbr_of(sk)
  if (bbr_full_bw_reached(sk) || !ca.round_start || rs.is_app_limited) return
  const bw_thresh = Math.floor((ca.full_bw * bbr_full_bw_thresh) / BBR_UNIT)
  if (bbr_max_bw(sk) >= bw_thresh) {
    ca.full_bw = bbr_max_bw(sk)
    ca.full_bw_cnt = 0
    return
  }
  ca.full_bw_cnt++
  ca.full_bw_reached = ca.full_bw_cnt >= bbr_full_bw_cnt
})

const bbr_check_drain = kfunc('bbr_check_drain', (sk: sock, _rs: rate_sample): void => {
  const tp = tcp_sk(sk)
  const ca = bbr_of(sk)
  if (ca.mode === BBR_STARTUP && bbr_full_bw_reached(sk)) {
    ca.mode = BBR_DRAIN
    tp.snd_ssthresh = bbr_inflight(sk, bbr_max_bw(sk), BBR_UNIT)
  }
  if (
    ca.mode === BBR_DRAIN &&
    bbr_packets_in_net_at_edt(sk, tcp_packets_in_flight(tp)) <= bbr_inflight(sk, bbr_max_bw(sk), BBR_UNIT)
  )
    bbr_reset_probe_bw_mode(sk)
})

const bbr_check_probe_rtt_done = kfunc('bbr_check_probe_rtt_done', (sk: sock): void => {
  const tp = tcp_sk(sk)
  const ca = bbr_of(sk)
  if (!ca.probe_rtt_done_stamp || !after(tcp_jiffies32(), ca.probe_rtt_done_stamp)) return
  ca.min_rtt_stamp = tcp_jiffies32()
  tcp_snd_cwnd_set(tp, Math.max(tcp_snd_cwnd(tp), ca.prior_cwnd))
  bbr_reset_mode(sk)
})

const bbr_update_min_rtt = kfunc('bbr_update_min_rtt', (sk: sock, rs: rate_sample): void => {
  const tp = tcp_sk(sk)
  const ca = bbr_of(sk)
  const filter_expired = after(tcp_jiffies32(), (ca.min_rtt_stamp + bbr_min_rtt_win_sec * HZ) >>> 0)
  if (rs.rtt_us >= 0 && (rs.rtt_us < ca.min_rtt_us || (filter_expired && !rs.is_ack_delayed))) {
    ca.min_rtt_us = rs.rtt_us
    ca.min_rtt_stamp = tcp_jiffies32()
  }
  if (filter_expired && !ca.idle_restart && ca.mode !== BBR_PROBE_RTT) {
    ca.mode = BBR_PROBE_RTT
    bbr_save_cwnd(sk)
    ca.probe_rtt_done_stamp = 0
  }
  if (ca.mode === BBR_PROBE_RTT) {
    tp.app_limited = (tp.delivered + tcp_packets_in_flight(tp)) >>> 0 || 1
    if (!ca.probe_rtt_done_stamp && tcp_packets_in_flight(tp) <= bbr_cwnd_min_target) {
      ca.probe_rtt_done_stamp = (tcp_jiffies32() + _msecs_to_jiffies(bbr_probe_rtt_mode_ms)) >>> 0
      ca.probe_rtt_round_done = false
      ca.next_rtt_delivered = tp.delivered
    } else if (ca.probe_rtt_done_stamp) {
      if (ca.round_start) ca.probe_rtt_round_done = true
      if (ca.probe_rtt_round_done) bbr_check_probe_rtt_done(sk)
    }
  }
  if (rs.delivered > 0) ca.idle_restart = false
})

const bbr_update_gains = kfunc('bbr_update_gains', (sk: sock): void => {
  const ca = bbr_of(sk)
  switch (ca.mode) {
    case BBR_STARTUP:
      ca.pacing_gain = bbr_high_gain
      ca.cwnd_gain = bbr_high_gain
      break
    case BBR_DRAIN:
      ca.pacing_gain = bbr_drain_gain
      ca.cwnd_gain = bbr_high_gain
      break
    case BBR_PROBE_BW:
      ca.pacing_gain = ca.lt_use_bw ? BBR_UNIT : (bbr_pacing_gain[ca.cycle_idx] ?? BBR_UNIT)
      ca.cwnd_gain = bbr_cwnd_gain
      break
    default:
      ca.pacing_gain = BBR_UNIT
      ca.cwnd_gain = BBR_UNIT
  }
})

const bbr_update_model = kfunc('bbr_update_model', (sk: sock, rs: rate_sample): void => {
  bbr_update_bw(sk, rs)
  bbr_update_ack_aggregation(sk, rs)
  bbr_update_cycle_phase(sk, rs)
  bbr_check_full_bw_reached(sk, rs)
  bbr_check_drain(sk, rs)
  bbr_update_min_rtt(sk, rs)
  bbr_update_gains(sk)
})

const bbr_main = kfunc('bbr_main', (sk: sock, _ack: number, _flag: number, rs: rate_sample): void => {
  bbr_update_model(sk, rs)
  const bw = bbr_bw(sk)
  const ca = bbr_of(sk)
  bbr_set_pacing_rate(sk, bw, ca.pacing_gain)
  bbr_set_cwnd(sk, rs, rs.acked_sacked, bw, ca.cwnd_gain)
})

const bbr_init = kfunc('bbr_init', (sk: sock): void => {
  const tp = tcp_sk(sk)
  // a socket that accept() cloned may still share the listener's
  inet_csk(sk).icsk_ca_priv = new bbr()
  const ca = bbr_of(sk)
  tp.snd_ssthresh = TCP_INFINITE_SSTHRESH
  ca.next_rtt_delivered = tp.delivered
  ca.min_rtt_us = tcp_min_rtt(tp)
  ca.min_rtt_stamp = tcp_jiffies32()
  minmax_reset(ca.bw, ca.rtt_cnt, 0)
  bbr_init_pacing_rate_from_rtt(sk)
  bbr_reset_lt_bw_sampling(sk)
  bbr_reset_startup_mode(sk)
  ca.ack_epoch_mstamp = tp.tcp_mstamp
  if (sk.sk_pacing_status === SK_PACING_NONE) sk.sk_pacing_status = SK_PACING_NEEDED
})

const bbr_sndbuf_expand = kfunc('bbr_sndbuf_expand', (_sk: sock): number => 3)

const bbr_undo_cwnd = kfunc('bbr_undo_cwnd', (sk: sock): number => {
  const ca = bbr_of(sk)
  ca.full_bw = 0
  ca.full_bw_cnt = 0
  bbr_reset_lt_bw_sampling(sk)
  return tcp_snd_cwnd(tcp_sk(sk))
})

const bbr_ssthresh = kfunc('bbr_ssthresh', (sk: sock): number => {
  bbr_save_cwnd(sk)
  return tcp_sk(sk).snd_ssthresh
})

const bbr_set_state = kfunc('bbr_set_state', (sk: sock, new_state: number): void => {
  if (new_state !== TCP_CA_Loss) return
  const ca = bbr_of(sk)
  const rs = new rate_sample()
  rs.losses = 1
  ca.prev_ca_state = TCP_CA_Loss
  ca.full_bw = 0
  ca.round_start = true
  bbr_lt_bw_sampling(sk, rs)
})

/** what `ss -i` says of a connection: bytes a second, microseconds, gains scaled by 256 */
export interface tcp_bbr_info {
  bbr_bw: number
  bbr_min_rtt: number
  bbr_pacing_gain: number
  bbr_cwnd_gain: number
}

export const bbr_get_info = kfunc('bbr_get_info', (sk: sock): tcp_bbr_info => {
  const ca = bbr_of(sk)
  const bytes = (BigInt(bbr_bw(sk)) * BigInt(tcp_sk(sk).mss_cache) * BigInt(USEC_PER_SEC)) >> BW_SCALE
  return {
    bbr_bw: Number(bytes),
    bbr_min_rtt: ca.min_rtt_us,
    bbr_pacing_gain: ca.pacing_gain,
    bbr_cwnd_gain: ca.cwnd_gain,
  }
})

const bbr_register = kfunc('bbr_register', (): number => {
  const ops: tcp_congestion_ops = {
    name: 'bbr',
    key: 0,
    flags: TCP_CONG_NON_RESTRICTED,
    init: bbr_init,
    cong_control: bbr_main,
    sndbuf_expand: bbr_sndbuf_expand,
    undo_cwnd: bbr_undo_cwnd,
    cwnd_event: bbr_cwnd_event,
    ssthresh: bbr_ssthresh,
    min_tso_segs: bbr_min_tso_segs,
    set_state: bbr_set_state,
    get_info: bbr_get_info,
  }
  return tcp_register_congestion_control(ops)
})

declare_module('tcp_bbr', bbr_register)
