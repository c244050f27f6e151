import { clock } from '../../../sim/clock.ts'
import { kfunc } from '../../../trace/kfunc.ts'
import { NSEC_PER_SEC } from '../../include/linux/types.ts'
import { INITIAL_JIFFIES, jiffies, TICK_NSEC } from './timer.ts'

/**
 * What the wall clock shows at boot, in nanoseconds since 1970: 40 days. A real date would need more than the 53 bits in which a
 * number is exact.
 */
export const BOOT_REAL_TIME = 40 * 86_400 * NSEC_PER_SEC

export const TK_OFFS_REAL = 0
export const TK_OFFS_BOOT = 1
export const TK_OFFS_TAI = 2

export interface timespec64 {
  tv_sec: number
  tv_nsec: number
}

/** nanoseconds since boot, CLOCK_MONOTONIC */
export const ktime_get = kfunc('ktime_get', (): number => clock.ns())
export const ktime_get_ns = ktime_get
export const ktime_get_raw = (): number => clock.ns()
export const ktime_get_raw_ns = ktime_get_raw

/** nanoseconds of the clock `offs`: TK_OFFS_REAL, _BOOT, _TAI */
export const ktime_get_with_offset = kfunc('ktime_get_with_offset', (offs: number): number =>
  offs === TK_OFFS_BOOT ? clock.ns() : clock.ns() + BOOT_REAL_TIME,
)
export const ktime_get_real = (): number => ktime_get_with_offset(TK_OFFS_REAL)
export const ktime_get_real_ns = ktime_get_real
export const ktime_get_boottime = (): number => ktime_get_with_offset(TK_OFFS_BOOT)
export const ktime_get_boottime_ns = ktime_get_boottime
export const ktime_get_clocktai = (): number => ktime_get_with_offset(TK_OFFS_TAI)
export const ktime_get_clocktai_ns = ktime_get_clocktai

/** seconds since boot, as of the last tick */
export const ktime_get_seconds = kfunc('ktime_get_seconds', (): number => Math.floor(coarse() / NSEC_PER_SEC))

/** the time of the last tick */
const coarse = (): number => (jiffies() - INITIAL_JIFFIES) * TICK_NSEC

export const ktime_get_coarse_real_ts64 = kfunc('ktime_get_coarse_real_ts64', (ts: timespec64): void => {
  set(ts, coarse() + BOOT_REAL_TIME)
})
export const ktime_get_real_ts64 = kfunc('ktime_get_real_ts64', (ts: timespec64): void => {
  set(ts, clock.ns() + BOOT_REAL_TIME)
})

function set(ts: timespec64, ns: number): void {
  ts.tv_sec = Math.floor(ns / NSEC_PER_SEC)
  ts.tv_nsec = ns % NSEC_PER_SEC
}
