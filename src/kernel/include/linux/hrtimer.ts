import type { SimEvent } from '../../../sim/events.ts'
import { HRTIMER_NORESTART, HRTIMER_RESTART } from '../generated/enums.ts'

export { HRTIMER_NORESTART, HRTIMER_RESTART }

// include/linux/hrtimer.h enum hrtimer_mode
export const HRTIMER_MODE_ABS = 0
export const HRTIMER_MODE_REL = 1
export const HRTIMER_MODE_PINNED = 2
export const HRTIMER_MODE_SOFT = 4
export const HRTIMER_MODE_HARD = 8
export const HRTIMER_MODE_ABS_PINNED = HRTIMER_MODE_ABS | HRTIMER_MODE_PINNED
export const HRTIMER_MODE_REL_PINNED = HRTIMER_MODE_REL | HRTIMER_MODE_PINNED
export const HRTIMER_MODE_ABS_SOFT = HRTIMER_MODE_ABS | HRTIMER_MODE_SOFT
export const HRTIMER_MODE_REL_SOFT = HRTIMER_MODE_REL | HRTIMER_MODE_SOFT
export const HRTIMER_MODE_ABS_PINNED_SOFT = HRTIMER_MODE_ABS_PINNED | HRTIMER_MODE_SOFT
export const HRTIMER_MODE_REL_PINNED_SOFT = HRTIMER_MODE_REL_PINNED | HRTIMER_MODE_SOFT

export const CLOCK_REALTIME = 0
export const CLOCK_MONOTONIC = 1
export const CLOCK_BOOTTIME = 7
export const CLOCK_TAI = 11

/** struct hrtimer. Times in nanoseconds of its clock. `owner` is what container_of() would give. */
export class hrtimer {
  /** latest time that it may fire */
  expires = 0
  softexpires = 0
  clock_id = CLOCK_MONOTONIC
  is_soft = false
  function: ((timer: hrtimer) => number) | null = null
  /** queued for this moment, null when it is not */
  event: SimEvent | null = null
  running = false
  owner: unknown

  constructor(owner: unknown = null) {
    this.owner = owner
  }
}

export const hrtimer_is_queued = (timer: hrtimer): boolean => timer.event !== null
export const hrtimer_get_expires = (timer: hrtimer): number => timer.expires
export const hrtimer_get_expires_ns = hrtimer_get_expires
