/** include/linux/timer.h and timer_types.h */
export const TIMER_CPUMASK = 0x0003ffff
export const TIMER_MIGRATING = 0x00040000
export const TIMER_BASEMASK = TIMER_CPUMASK | TIMER_MIGRATING
export const TIMER_DEFERRABLE = 0x00080000
export const TIMER_PINNED = 0x00100000
export const TIMER_IRQSAFE = 0x00200000
export const TIMER_INIT_FLAGS = TIMER_DEFERRABLE | TIMER_PINNED | TIMER_IRQSAFE
export const TIMER_ARRAYSHIFT = 22
export const TIMER_ARRAYMASK = 0xffc00000

/**
 * struct timer_list. `expires` in jiffies. `owner` is what from_timer() gives back: the object that the timer lies in.
 * `next`, `prev` and `bucket` hold its place in the wheel; a timer without a bucket is not pending.
 */
export class timer_list {
  next: timer_list | null = null
  prev: timer_list | null = null
  bucket: timer_bucket | null = null
  expires = 0
  function: ((timer: timer_list) => void) | null = null
  flags = 0
  owner: unknown

  constructor(owner: unknown = null) {
    this.owner = owner
  }
}

/** One bucket of the wheel: the timers that expire together, newest first (an hlist in Linux). */
export class timer_bucket {
  first: timer_list | null = null
}

export const timer_pending = (timer: timer_list): boolean => timer.bucket !== null
/** container_of(): the object that the timer was made for */
export const from_timer = <T>(timer: timer_list): T => timer.owner as T
