import { kfunc } from '../../../trace/kfunc.ts'
import { decide, tracer } from '../../../trace/tracer.ts'
import { CA_EVENT_TX_START, HZ, SK_PACING_NONE, TCP_CA_Loss } from '../../include/generated/enums.ts'
import { module_init } from '../../include/linux/init.ts'
import { fls, USEC_PER_MSEC, USEC_PER_SEC } from '../../include/linux/types.ts'
import { inet_csk } from '../../include/net/inet_connection_sock.ts'
import type { sock } from '../../include/net/sock.ts'
import { type ack_sample, after, type tcp_congestion_ops, tcp_sk } from '../../include/net/tcp.ts'
import { usecs_to_jiffies } from '../../kernel/time/timer.ts'
import { sock_net } from '../core/sock.ts'
import { tcp_cong_avoid_ai, tcp_register_congestion_control, tcp_reno_undo_cwnd, tcp_slow_start } from './tcp_cong.ts'
import { tcp_in_slow_start, tcp_is_cwnd_limited, tcp_jiffies32, tcp_snd_cwnd } from './tcp_inlines.ts'

const BICTCP_BETA_SCALE = 1024
const BICTCP_HZ = 10

const HYSTART_ACK_TRAIN = 1
const HYSTART_DELAY = 2
const HYSTART_MIN_SAMPLES = 8
/** microseconds */
const HYSTART_DELAY_MIN = 4000
const HYSTART_DELAY_MAX = 16000

/** the parameters of the module, as /sys/module/tcp_cubic/parameters names them */
export const cubic_parameters = {
  fast_convergence: 1,
  beta: 717,
  initial_ssthresh: 0,
  bic_scale: 41,
  tcp_friendliness: 1,
  hystart: 1,
  hystart_detect: HYSTART_ACK_TRAIN | HYSTART_DELAY,
  hystart_low_window: 16,
  hystart_ack_delta_us: 2000,
}
const p = cubic_parameters

let cube_rtt_scale = 0
let beta_scale = 0
/** with it 53 bits are enough for a window that shrank by less than three million packets */
let cube_factor = 0

/** net/ipv4/tcp_cubic.c struct bictcp. Times in jiffies where they end in `_start`, `_time`; delays in microseconds. */
export class bictcp {
  cnt = 0
  last_max_cwnd = 0
  last_cwnd = 0
  last_time = 0
  bic_origin_point = 0
  bic_K = 0
  delay_min = 0
  epoch_start = 0
  ack_cnt = 0
  tcp_cwnd = 0
  sample_cnt = 0
  found = 0
  /** microseconds, as tp->tcp_mstamp but 32 bits */
  round_start = 0
  end_seq = 0
  last_ack = 0
  curr_rtt = 0
}

/** the state of the connection: made when it is first asked for, as Linux's private area starts out zeroed */
export function bictcp_of(sk: sock): bictcp {
  const icsk = inet_csk(sk)
  const priv = icsk.icsk_ca_priv
  if (priv instanceof bictcp) return priv
  const ca = new bictcp()
  icsk.icsk_ca_priv = ca
  return ca
}

export const bictcp_reset = kfunc('bictcp_reset', (ca: bictcp): void => {
  ca.cnt = 0
  ca.last_max_cwnd = 0
  ca.last_cwnd = 0
  ca.last_time = 0
  ca.bic_origin_point = 0
  ca.bic_K = 0
  ca.delay_min = 0
  ca.epoch_start = 0
  ca.ack_cnt = 0
  ca.tcp_cwnd = 0
  ca.found = 0
})

const bictcp_clock_us = (sk: sock): number => tcp_sk(sk).tcp_mstamp >>> 0

export const bictcp_hystart_reset = kfunc('bictcp_hystart_reset', (sk: sock): void => {
  const tp = tcp_sk(sk)
  const ca = bictcp_of(sk)
  ca.round_start = bictcp_clock_us(sk)
  ca.last_ack = ca.round_start
  ca.end_seq = tp.snd_nxt
  ca.curr_rtt = 0xffffffff
  ca.sample_cnt = 0
})

export const cubictcp_init = kfunc('cubictcp_init', (sk: sock): void => {
  // a socket that accept() cloned may still share the listener's
  inet_csk(sk).icsk_ca_priv = new bictcp()
  bictcp_reset(bictcp_of(sk))
  if (p.hystart) bictcp_hystart_reset(sk)
  if (!p.hystart && p.initial_ssthresh) tcp_sk(sk).snd_ssthresh = p.initial_ssthresh
})

export const cubictcp_cwnd_event = kfunc('cubictcp_cwnd_event', (sk: sock, event: number): void => {
  if (event !== CA_EVENT_TX_START) return
  const ca = bictcp_of(sk)
  const now = tcp_jiffies32()
  const delta = (now - tcp_sk(sk).lsndtime) | 0
  // the time that the application was idle does not count on the curve
  if (ca.epoch_start && delta > 0) {
    ca.epoch_start = (ca.epoch_start + delta) >>> 0
    if (after(ca.epoch_start, now)) ca.epoch_start = now
  }
})

/** cube roots of the highest 6 bits, scaled by 64, minus 10 */
const root = new Uint8Array([
  0, 54, 54, 54, 118, 118, 118, 118, 123, 129, 134, 138, 143, 147, 151, 156, 157, 161, 164, 168, 170, 173, 176, 179, 181, 185,
  187, 190, 192, 194, 197, 199, 200, 202, 204, 206, 209, 211, 213, 215, 217, 219, 221, 222, 224, 225, 227, 229, 231, 232, 234,
  236, 237, 239, 240, 242, 244, 245, 246, 248, 250, 251, 252, 254,
])

const fls64 = (a: number): number => (a >= 0x100000000 ? 32 + fls(Math.floor(a / 0x100000000)) : fls(a >>> 0))

/** the cube root of `a` (below 2^53), by table and one step of Newton and Raphson: 0.2 % off on the average */
export const cubic_root = kfunc('cubic_root', (a: number): number => {
  const bits = fls64(a)
  if (bits < 7) return ((root[a] ?? 0) + 35) >> 6
  const b = ((bits * 84) >> 8) - 1
  const shift = Math.floor(a / 2 ** (b * 3))
  const x = ((((root[shift] ?? 0) + 10) << b) >>> 0) >>> 6
  const y = (2 * x + (Math.floor(a / (x * (x - 1))) >>> 0)) >>> 0
  return (Math.imul(y, 341) >>> 0) >>> 10
})

/** c * offs^3 in packets; `offs` in 1024ths of a second */
function cubic_delta(offs: number): number {
  const scaled = cube_rtt_scale * offs * offs * offs
  if (scaled <= Number.MAX_SAFE_INTEGER) return Math.floor(scaled / 2 ** (10 + 3 * BICTCP_HZ)) >>> 0
  const exact = BigInt.asUintN(64, BigInt(cube_rtt_scale) * BigInt(offs) ** 3n)
  return Number(BigInt.asUintN(32, exact >> BigInt(10 + 3 * BICTCP_HZ)))
}

export const bictcp_update = kfunc('bictcp_update', (ca: bictcp, cwnd: number, acked: number): void => {
  const now = tcp_jiffies32()
  ca.ack_cnt = (ca.ack_cnt + acked) >>> 0
  if (ca.last_cwnd === cwnd && ((now - ca.last_time) | 0) <= Math.floor(HZ / 32)) return

  // the curve is evaluated once in a jiffy
  if (!(ca.epoch_start && now === ca.last_time)) {
    ca.last_cwnd = cwnd
    ca.last_time = now
    if (ca.epoch_start === 0) {
      ca.epoch_start = now
      ca.ack_cnt = acked
      ca.tcp_cwnd = cwnd
      if (ca.last_max_cwnd <= cwnd) {
        ca.bic_K = 0
        ca.bic_origin_point = cwnd
      } else {
        ca.bic_K = cubic_root(cube_factor * (ca.last_max_cwnd - cwnd))
        ca.bic_origin_point = ca.last_max_cwnd
      }
    }

    let t = (now - ca.epoch_start) | 0
    t += usecs_to_jiffies(ca.delay_min)
    t = Math.floor((t * 2 ** BICTCP_HZ) / HZ)
    const delta = cubic_delta(t < ca.bic_K ? ca.bic_K - t : t - ca.bic_K)
    const bic_target = (t < ca.bic_K ? ca.bic_origin_point - delta : ca.bic_origin_point + delta) >>> 0

    if (bic_target > cwnd) ca.cnt = Math.floor(cwnd / (bic_target - cwnd))
    else ca.cnt = 100 * cwnd
    if (ca.last_max_cwnd === 0 && ca.cnt > 20) ca.cnt = 20
    if (tracer.on)
      decide('bictcp_update', 'cubic target', { cwnd, bic_target, t, K: ca.bic_K, origin: ca.bic_origin_point, cnt: ca.cnt })
  }

  if (p.tcp_friendliness) {
    let delta = (Math.imul(cwnd, beta_scale) >>> 0) >>> 3
    while (ca.ack_cnt > delta) {
      ca.ack_cnt -= delta
      ca.tcp_cwnd++
    }
    if (ca.tcp_cwnd > cwnd) {
      delta = ca.tcp_cwnd - cwnd
      const max_cnt = Math.floor(cwnd / delta)
      if (ca.cnt > max_cnt) ca.cnt = max_cnt
    }
  }
  // never more than half a window in a round trip
  ca.cnt = Math.max(ca.cnt, 2)
})

export const cubictcp_cong_avoid = kfunc('cubictcp_cong_avoid', (sk: sock, ack: number, acked: number): void => {
  const tp = tcp_sk(sk)
  if (!tcp_is_cwnd_limited(sk)) {
    if (tracer.on)
      decide('cubictcp_cong_avoid', 'cwnd not used up: stays', {
        ack,
        acked,
        cwnd: tp.snd_cwnd,
        max_packets_out: tp.max_packets_out,
      })
    return
  }
  let left = acked
  if (tcp_in_slow_start(tp)) {
    left = tcp_slow_start(tp, left)
    if (!left) return
  }
  const ca = bictcp_of(sk)
  bictcp_update(ca, tcp_snd_cwnd(tp), left)
  tcp_cong_avoid_ai(tp, ca.cnt, left)
})

export const cubictcp_recalc_ssthresh = kfunc('cubictcp_recalc_ssthresh', (sk: sock): number => {
  const tp = tcp_sk(sk)
  const ca = bictcp_of(sk)
  const cwnd = tcp_snd_cwnd(tp)
  ca.epoch_start = 0
  if (cwnd < ca.last_max_cwnd && p.fast_convergence)
    ca.last_max_cwnd = Math.floor((cwnd * (BICTCP_BETA_SCALE + p.beta)) / (2 * BICTCP_BETA_SCALE))
  else ca.last_max_cwnd = cwnd
  return Math.max(Math.floor((cwnd * p.beta) / BICTCP_BETA_SCALE), 2)
})

export const cubictcp_state = kfunc('cubictcp_state', (sk: sock, new_state: number): void => {
  if (new_state !== TCP_CA_Loss) return
  bictcp_reset(bictcp_of(sk))
  bictcp_hystart_reset(sk)
})

/** how long four of the largest bursts take at the pacing rate: microseconds, a millisecond at most */
export const hystart_ack_delay = kfunc('hystart_ack_delay', (sk: sock): number => {
  const rate = sk.sk_pacing_rate
  if (!rate) return 0
  return Math.min(USEC_PER_MSEC, Math.floor((sk.sk_gso_max_size * 4 * USEC_PER_SEC) / rate))
})

export const hystart_update = kfunc('hystart_update', (sk: sock, delay: number): void => {
  const tp = tcp_sk(sk)
  const ca = bictcp_of(sk)
  if (after(tp.snd_una, ca.end_seq)) bictcp_hystart_reset(sk)
  const cwnd = tcp_snd_cwnd(tp)
  if (cwnd < p.hystart_low_window) return

  if (p.hystart_detect & HYSTART_ACK_TRAIN) {
    const now = bictcp_clock_us(sk)
    if (((now - ca.last_ack) | 0) <= p.hystart_ack_delta_us) {
      ca.last_ack = now
      let threshold = (ca.delay_min + hystart_ack_delay(sk)) >>> 0
      // pacing may have held packets back for half a round trip
      if (sk.sk_pacing_status === SK_PACING_NONE) threshold >>>= 1
      // as unsigned, like the kernel's comparison with a u32
      if ((now - ca.round_start) >>> 0 > threshold) {
        ca.found = 1
        const { linux } = sock_net(sk).mib
        linux.TCPHystartTrainDetect++
        linux.TCPHystartTrainCwnd += cwnd
        tp.snd_ssthresh = cwnd
        if (tracer.on)
          decide('hystart_update', 'slow start ends: train of ACKs', { cwnd, train_us: (now - ca.round_start) >>> 0, threshold })
      }
    }
  }

  if (p.hystart_detect & HYSTART_DELAY) {
    if (ca.curr_rtt > delay) ca.curr_rtt = delay
    if (ca.sample_cnt < HYSTART_MIN_SAMPLES) ca.sample_cnt++
    else {
      const slack = Math.min(Math.max(ca.delay_min >>> 3, HYSTART_DELAY_MIN), HYSTART_DELAY_MAX)
      if (ca.curr_rtt > ca.delay_min + slack) {
        ca.found = 1
        const { linux } = sock_net(sk).mib
        linux.TCPHystartDelayDetect++
        linux.TCPHystartDelayCwnd += cwnd
        tp.snd_ssthresh = cwnd
        if (tracer.on)
          decide('hystart_update', 'slow start ends: delay grew', { cwnd, curr_rtt: ca.curr_rtt, delay_min: ca.delay_min })
      }
    }
  }
})

export const cubictcp_acked = kfunc('cubictcp_acked', (sk: sock, sample: ack_sample): void => {
  const tp = tcp_sk(sk)
  const ca = bictcp_of(sk)
  if (sample.rtt_us < 0) return
  // delays right after a recovery tell nothing
  if (ca.epoch_start && ((tcp_jiffies32() - ca.epoch_start) | 0) < HZ) return
  const delay = sample.rtt_us === 0 ? 1 : sample.rtt_us
  if (ca.delay_min === 0 || ca.delay_min > delay) ca.delay_min = delay
  if (!ca.found && tcp_in_slow_start(tp) && p.hystart) hystart_update(sk, delay)
})

/** the default congestion control; filled when the module is loaded */
export let cubictcp: tcp_congestion_ops

/** precomputes what follows from the parameters, in fixed point */
export function cubic_scale(): void {
  beta_scale = Math.floor(Math.floor((8 * (BICTCP_BETA_SCALE + p.beta)) / 3) / (BICTCP_BETA_SCALE - p.beta))
  cube_rtt_scale = p.bic_scale * 10
  cube_factor = Math.floor(2 ** (10 + 3 * BICTCP_HZ) / (p.bic_scale * 10))
}

export const cubictcp_register = kfunc('cubictcp_register', (): number => {
  cubic_scale()
  cubictcp = {
    name: 'cubic',
    key: 0,
    flags: 0,
    init: cubictcp_init,
    ssthresh: cubictcp_recalc_ssthresh,
    cong_avoid: cubictcp_cong_avoid,
    set_state: cubictcp_state,
    undo_cwnd: tcp_reno_undo_cwnd,
    cwnd_event: cubictcp_cwnd_event,
    pkts_acked: cubictcp_acked,
  }
  return tcp_register_congestion_control(cubictcp)
})
module_init(() => {
  cubictcp_register()
})
