import { clock } from '../../../sim/clock.ts'
import { events } from '../../../sim/events.ts'
import { kfunc } from '../../../trace/kfunc.ts'
import { beginWork, type Execution, endWork, netnsOf, tracer } from '../../../trace/tracer.ts'
import {
  CLOCK_BOOTTIME,
  CLOCK_MONOTONIC,
  HRTIMER_MODE_REL,
  HRTIMER_MODE_SOFT,
  HRTIMER_RESTART,
  type hrtimer,
  hrtimer_is_queued,
} from '../../include/linux/hrtimer.ts'
import { do_IRQ, in_softirq_context } from '../softirq.ts'
import { BOOT_REAL_TIME } from './timekeeping.ts'

const tick: Execution = { kind: 'hardirq', comm: 'swapper/0', pid: 0, netns: '' }
const soft: Execution = { kind: 'softirq', comm: 'swapper/0', pid: 0, netns: '' }

/** how far a timer's clock is ahead of the time since boot, in nanoseconds */
const base_offset = (timer: hrtimer): number =>
  timer.clock_id === CLOCK_MONOTONIC || timer.clock_id === CLOCK_BOOTTIME ? 0 : BOOT_REAL_TIME

const __hrtimer_init = kfunc('__hrtimer_init', (timer: hrtimer, clock_id: number, mode: number): void => {
  timer.expires = 0
  timer.softexpires = 0
  timer.event = null
  timer.clock_id = clock_id
  timer.is_soft = (mode & HRTIMER_MODE_SOFT) !== 0
})
export const hrtimer_init = kfunc('hrtimer_init', (timer: hrtimer, clock_id: number, mode: number): void => {
  __hrtimer_init(timer, clock_id, mode)
})
export const hrtimer_setup = (timer: hrtimer, func: (t: hrtimer) => number, clock_id: number, mode: number): void => {
  hrtimer_init(timer, clock_id, mode)
  timer.function = func
}

function enqueue_hrtimer(timer: hrtimer): void {
  timer.event = events.add(Math.max(timer.expires - base_offset(timer), clock.ns()), () => __run_hrtimer(timer))
}

function __remove_hrtimer(timer: hrtimer): void {
  if (timer.event !== null) events.cancel(timer.event)
  timer.event = null
}

/** the timer's interrupt, or for a soft timer the softirq that it raises */
function __run_hrtimer(timer: hrtimer): void {
  timer.event = null
  if (timer.function === null) return
  const run = (): void => {
    timer.running = true
    const before = beginWork(tracer.execution.kind, netnsOf(timer.owner))
    const restart = timer.function?.(timer)
    endWork(before)
    timer.running = false
    if (restart === HRTIMER_RESTART && !hrtimer_is_queued(timer)) enqueue_hrtimer(timer)
  }
  if (timer.is_soft) in_softirq_context(soft, run)
  else do_IRQ(tick, run)
}

/** (re)starts a timer for `tim` nanoseconds, from now or on its clock as `mode` says; it may fire up to `delta_ns` later */
export const hrtimer_start_range_ns = kfunc(
  'hrtimer_start_range_ns',
  (timer: hrtimer, tim: number, delta_ns: number, mode: number): void => {
    __remove_hrtimer(timer)
    if (mode & HRTIMER_MODE_REL) tim += clock.ns() + base_offset(timer)
    timer.softexpires = tim
    timer.expires = tim + delta_ns
    enqueue_hrtimer(timer)
  },
)
export const hrtimer_start = (timer: hrtimer, tim: number, mode: number): void => hrtimer_start_range_ns(timer, tim, 0, mode)

export const hrtimer_active = kfunc('hrtimer_active', (timer: hrtimer): boolean => hrtimer_is_queued(timer) || timer.running)

/** 1: it was queued; 0: it was not; -1: its function runs */
export const hrtimer_try_to_cancel = kfunc('hrtimer_try_to_cancel', (timer: hrtimer): number => {
  if (!hrtimer_active(timer)) return 0
  if (timer.running) return -1
  __remove_hrtimer(timer)
  return 1
})
export const hrtimer_cancel = kfunc('hrtimer_cancel', (timer: hrtimer): number => Math.max(0, hrtimer_try_to_cancel(timer)))
