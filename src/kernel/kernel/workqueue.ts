import { clock } from '../../sim/clock.ts'
import { events } from '../../sim/events.ts'
import { kfunc } from '../../trace/kfunc.ts'
import { type Execution, runAs } from '../../trace/tracer.ts'
import { early_initcall } from '../include/linux/init.ts'
import { TASK_INTERRUPTIBLE, TASK_RUNNING, task_struct } from '../include/linux/sched.ts'
import { spinlock_t } from '../include/linux/spinlock.ts'
import type { timer_list } from '../include/linux/timer.ts'
import type { delayed_work, work_struct } from '../include/linux/workqueue.ts'
import { spin_lock, spin_unlock } from './locking/spinlock.ts'
import { rcu_read_lock, rcu_read_unlock } from './rcu.ts'
import { current, set_current, wake_up_process } from './sched/core.ts'
import { add_timer, init_timer_key, jiffies, timer_delete } from './time/timer.ts'

let worker = new task_struct(27, 'kworker/0:1')
let pool_lock = new spinlock_t()
let worklist: work_struct[] = []
const execution: Execution = { kind: 'task', comm: 'kworker/0:1', pid: 27, netns: '' }

early_initcall(() => {
  worker = new task_struct(27, 'kworker/0:1')
  worker.__state = TASK_INTERRUPTIBLE
  pool_lock = new spinlock_t()
  worklist = []
})

const clear_pending_if_disabled = kfunc('clear_pending_if_disabled', (_work: work_struct): boolean => false)
const pwq_tryinc_nr_active = kfunc('pwq_tryinc_nr_active', (_fill: boolean): boolean => true)

const kick_pool = kfunc('kick_pool', (): boolean => {
  wake_up_process(worker)
  return true
})

const __queue_work = kfunc('__queue_work', (_cpu: number, work: work_struct): void => {
  rcu_read_lock()
  spin_lock(pool_lock)
  const idle = worklist.length === 0
  worklist.push(work)
  pwq_tryinc_nr_active(false)
  kick_pool()
  spin_unlock(pool_lock)
  rcu_read_unlock()
  if (idle) events.add(clock.ns(), () => runAs(execution, process_scheduled_works))
})

/** false: it was queued already */
export const queue_work_on = kfunc('queue_work_on', (cpu: number, work: work_struct): boolean => {
  if (work.pending) return false
  work.pending = true
  if (clear_pending_if_disabled(work)) return false
  __queue_work(cpu, work)
  return true
})
/** include/linux/workqueue.h */
export const schedule_work = (work: work_struct): boolean => queue_work_on(0, work)

const delayed_work_timer_fn = kfunc('delayed_work_timer_fn', (t: timer_list): void => {
  __queue_work(0, t.owner as delayed_work)
})

export function INIT_DELAYED_WORK(dwork: delayed_work): void {
  init_timer_key(dwork.timer, delayed_work_timer_fn, 0, null, null)
}

/** takes a work back that waits for its timer or for its turn; false: it did not */
export const cancel_delayed_work = kfunc('cancel_delayed_work', (dwork: delayed_work): boolean => grab(dwork))

function grab(dwork: delayed_work): boolean {
  const waited = dwork.pending
  timer_delete(dwork.timer)
  worklist = worklist.filter((w) => w !== dwork)
  dwork.pending = false
  return waited
}

function later(dwork: delayed_work, delay: number): void {
  if (delay === 0) __queue_work(0, dwork)
  else {
    dwork.timer.expires = jiffies() + delay
    add_timer(dwork.timer)
  }
}

/** queues a work in `delay` jiffies, whatever was said before; true: it was waiting already */
export const mod_delayed_work_on = kfunc('mod_delayed_work_on', (_cpu: number, dwork: delayed_work, delay: number): boolean => {
  const waited = grab(dwork)
  dwork.pending = true
  later(dwork, delay)
  return waited
})
/** queues a work in `delay` jiffies; false: it was waiting already, and goes on waiting for its first moment */
export const queue_delayed_work_on = kfunc(
  'queue_delayed_work_on',
  (_cpu: number, dwork: delayed_work, delay: number): boolean => {
    if (dwork.pending) return false
    dwork.pending = true
    later(dwork, delay)
    return true
  },
)
/** include/linux/workqueue.h */
export const schedule_delayed_work = (dwork: delayed_work, delay: number): boolean => queue_delayed_work_on(0, dwork, delay)

/** include/linux/workqueue.h */
export const mod_delayed_work = (dwork: delayed_work, delay: number): boolean => mod_delayed_work_on(0, dwork, delay)

function process_scheduled_works(): void {
  const before = current
  set_current(worker)
  worker.__state = TASK_RUNNING
  for (let work = worklist.shift(); work !== undefined; work = worklist.shift()) {
    work.pending = false
    work.func(work)
  }
  worker.__state = TASK_INTERRUPTIBLE
  set_current(before)
}
