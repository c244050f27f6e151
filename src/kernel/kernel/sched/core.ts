import { clock } from '../../../sim/clock.ts'
import { events } from '../../../sim/events.ts'
import { kfunc } from '../../../trace/kfunc.ts'
import { beginIdle, endWork } from '../../../trace/tracer.ts'
import { early_initcall } from '../../include/linux/init.ts'
import { TASK_NORMAL, TASK_RUNNING, task_struct } from '../../include/linux/sched.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import { timer_list } from '../../include/linux/timer.ts'
import { MAX_SCHEDULE_TIMEOUT, NSEC_PER_SEC } from '../../include/linux/types.ts'
import type { wait_queue_entry } from '../../include/linux/wait.ts'
import { _raw_spin_lock_irqsave, _raw_spin_unlock_irqrestore } from '../locking/spinlock.ts'
import { jiffies, mod_timer, timer_delete_sync, timer_setup } from '../time/timer.ts'

/** A task sleeps and nothing that is left to happen could wake it. */
export class WouldBlockForever extends Error {
  constructor(task: task_struct) {
    super(`${task.comm} sleeps, and nothing is left that could wake it`)
    this.name = 'WouldBlockForever'
  }
}

/** a sleep of so many nanoseconds of virtual time is taken for one without end */
const FOREVER = 3600 * NSEC_PER_SEC

const idle = new task_struct(0, 'swapper/0')
const pi_lock = new spinlock_t()

/** the task that runs; interrupts and the idle processor keep it, or have `swapper/0` */
export let current: task_struct = idle

export function set_current(t: task_struct): void {
  current = t
}
export const set_current_state = (state: number): void => {
  current.__state = state
}
export const __set_current_state = set_current_state
export const signal_pending = (t: task_struct): boolean => t.sigpending !== 0

early_initcall(() => {
  current = idle
  idle.__state = TASK_RUNNING
  pi_lock.locked = 0
})

/**
 * Gives the processor away. What happens by itself (timers, interrupts) happens until the task is runnable again.
 * @throws WouldBlockForever
 */
export const schedule = kfunc('schedule', (): void => {
  const me = current
  if (me.__state === TASK_RUNNING) return
  current = idle
  const limit = clock.ns() + FOREVER
  const before = beginIdle()
  while (me.__state !== TASK_RUNNING) {
    if (events.next() > limit) throw new WouldBlockForever(me)
    events.step()
  }
  endWork(before)
  current = me
})

const process_timeout = (t: timer_list): void => {
  wake_up_process(t.owner as task_struct)
}

/** sleeps `timeout` jiffies at most (MAX_SCHEDULE_TIMEOUT: without limit); returns what is left of them */
export const schedule_timeout = kfunc('schedule_timeout', (timeout: number): number => {
  if (timeout >= MAX_SCHEDULE_TIMEOUT) {
    schedule()
    return timeout
  }
  if (timeout < 0) {
    current.__state = TASK_RUNNING
    return 0
  }
  const expire = timeout + jiffies()
  const timer = new timer_list(current)
  timer_setup(timer, process_timeout, 0)
  mod_timer(timer, expire)
  schedule()
  timer_delete_sync(timer)
  timeout = expire - jiffies()
  return Math.max(timeout, 0)
})

/** 1 when `p` slept in one of the states `state` and now runs, else 0 */
export const try_to_wake_up = kfunc('try_to_wake_up', (p: task_struct, state: number, _wake_flags: number): number => {
  if (p === current) {
    // awake already, it only said that it was about to sleep
    if (!(p.__state & state)) return 0
    p.__state = TASK_RUNNING
    return 1
  }
  let success = 0
  const flags = _raw_spin_lock_irqsave(pi_lock)
  if (p.__state & state) {
    p.__state = TASK_RUNNING
    success = 1
  }
  _raw_spin_unlock_irqrestore(pi_lock, flags)
  return success
})

export const wake_up_process = kfunc('wake_up_process', (p: task_struct): number => try_to_wake_up(p, TASK_NORMAL, 0))

export const default_wake_function = kfunc(
  'default_wake_function',
  (curr: wait_queue_entry, mode: number, wake_flags: number, _key: number): number =>
    curr.private_ === null ? 0 : try_to_wake_up(curr.private_, mode, wake_flags),
)

/** there is one processor to run on */
export const migrate_disable = kfunc('migrate_disable', (): void => {})
export const migrate_enable = kfunc('migrate_enable', (): void => {})

/** a chance for others to run: there is none to take it */
export const cond_resched = (): number => 0
