import { clock } from '../../sim/clock.ts'
import { events, type SimEvent } from '../../sim/events.ts'
import { InternalError, kfunc } from '../../trace/kfunc.ts'
import { beginWork, type Execution, endWork, runAs, tracer } from '../../trace/tracer.ts'
import { NR_SOFTIRQS, TASKLET_SOFTIRQ } from '../include/generated/enums.ts'
import { early_initcall } from '../include/linux/init.ts'
import { TASK_INTERRUPTIBLE, TASK_RUNNING, task_struct } from '../include/linux/sched.ts'
import { current, set_current, wake_up_process } from './sched/core.ts'
import { _msecs_to_jiffies, jiffies } from './time/timer.ts'

/** as in preempt.h: one for a softirq that runs, two for each time that bottom halves are disabled */
export const SOFTIRQ_OFFSET = 1
export const SOFTIRQ_DISABLE_OFFSET = 2
const MAX_SOFTIRQ_TIME_MS = 2
const MAX_SOFTIRQ_RESTART = 10

let softirqs = 0
let hardirqs = 0
let pending = 0
let softirq_vec: ((() => void) | null)[] = []
let tasklet_vec: tasklet_struct[] = []
let ksoftirqd = new task_struct(16, 'ksoftirqd/0')
let ksoftirqd_event: SimEvent | null = null

early_initcall(() => {
  softirqs = 0
  hardirqs = 0
  pending = 0
  softirq_vec = Array.from({ length: NR_SOFTIRQS }, () => null)
  tasklet_vec = []
  open_softirq(TASKLET_SOFTIRQ, tasklet_action)
  ksoftirqd = new task_struct(16, 'ksoftirqd/0')
  ksoftirqd.__state = TASK_INTERRUPTIBLE
  ksoftirqd_event = null
  irq_window = null
})

export const in_interrupt = (): boolean => softirqs !== 0 || hardirqs !== 0
export const in_hardirq = (): boolean => hardirqs !== 0

/** __local_bh_disable_ip(): part of every lock that keeps bottom halves out */
export function bh_disable(): void {
  softirqs += SOFTIRQ_DISABLE_OFFSET
}

export const local_bh_disable = kfunc('local_bh_disable', (): void => {
  softirqs += SOFTIRQ_DISABLE_OFFSET
})

/** lets bottom halves run again; runs what was raised meanwhile when this was the last to forbid them. `cnt` is SOFTIRQ_DISABLE_OFFSET. */
export const __local_bh_enable_ip = kfunc('__local_bh_enable_ip', (_ip: number, cnt: number): void => {
  softirqs -= cnt
  if (softirqs < 0) throw new InternalError('bottom halves enabled more often than disabled')
  if (softirqs === 0 && hardirqs === 0) {
    if (pending !== 0) do_softirq()
    if (irq_window !== null) irq_window()
  }
})

/** what waits for a moment at which an interrupt's softirqs can run; null for nothing */
let irq_window: (() => void) | null = null
export function set_irq_window(f: typeof irq_window): void {
  irq_window = f
}

export const local_bh_enable = kfunc('local_bh_enable', (): void => {
  __local_bh_enable_ip(0, SOFTIRQ_DISABLE_OFFSET)
})

const do_softirq_part_0 = kfunc('do_softirq.part.0', (): void => {
  if (pending !== 0) __do_softirq()
})

export const do_softirq = kfunc('do_softirq', (): void => {
  if (in_interrupt()) return
  do_softirq_part_0()
})

export const __do_softirq = kfunc('__do_softirq', (): void => {
  handle_softirqs(false)
})

/** runs what was raised, in order of number, and again while more is raised: ten times or until a tick has passed, then ksoftirqd does */
const handle_softirqs = kfunc('handle_softirqs', (_ksirqd: boolean): void => {
  const end = jiffies() + _msecs_to_jiffies(MAX_SOFTIRQ_TIME_MS)
  softirqs += SOFTIRQ_OFFSET
  const before = beginWork('softirq', tracer.execution.netns)
  for (let max_restart = MAX_SOFTIRQ_RESTART; ; ) {
    const now = pending
    pending = 0
    for (let nr = 0; nr < NR_SOFTIRQS; nr++) if (now & (1 << nr)) softirq_vec[nr]?.()
    if (pending === 0) break
    if (!(jiffies() < end && --max_restart)) {
      wakeup_softirqd()
      break
    }
  }
  endWork(before)
  softirqs -= SOFTIRQ_OFFSET
})

const wakeup_softirqd = kfunc('wakeup_softirqd', (): void => {
  wake_up_process(ksoftirqd)
  if (ksoftirqd_event === null) ksoftirqd_event = events.add(clock.ns(), run_ksoftirqd)
})

function run_ksoftirqd(): void {
  ksoftirqd_event = null
  const before = current
  set_current(ksoftirqd)
  ksoftirqd.__state = TASK_RUNNING
  if (pending !== 0) runAs({ kind: 'softirq', comm: ksoftirqd.comm, pid: ksoftirqd.pid, netns: '' }, () => handle_softirqs(true))
  ksoftirqd.__state = TASK_INTERRUPTIBLE
  set_current(before)
}

export const __raise_softirq_irqoff = kfunc('__raise_softirq_irqoff', (nr: number): void => {
  pending |= 1 << nr
})

export const raise_softirq_irqoff = kfunc('raise_softirq_irqoff', (nr: number): void => {
  __raise_softirq_irqoff(nr)
  // from a task that may be interrupted nobody would run it: an interrupt's exit or local_bh_enable() do in the other cases
  if (!in_interrupt()) wakeup_softirqd()
})

export const raise_softirq = kfunc('raise_softirq', (nr: number): void => {
  raise_softirq_irqoff(nr)
})

export function open_softirq(nr: number, action: () => void): void {
  softirq_vec[nr] = action
}

/** struct tasklet_struct: work that a softirq does once, however often it was asked for */
export class tasklet_struct {
  scheduled = false
  callback: ((t: tasklet_struct) => void) | null = null
  data = 0
}

export const tasklet_setup = kfunc('tasklet_setup', (t: tasklet_struct, callback: (t: tasklet_struct) => void): void => {
  t.scheduled = false
  t.callback = callback
})
const __tasklet_schedule_common = kfunc(
  '__tasklet_schedule_common',
  (t: tasklet_struct, head: tasklet_struct[], softirq_nr: number): void => {
    head.push(t)
    raise_softirq_irqoff(softirq_nr)
  },
)
export const __tasklet_schedule = kfunc('__tasklet_schedule', (t: tasklet_struct): void => {
  __tasklet_schedule_common(t, tasklet_vec, TASKLET_SOFTIRQ)
})
/** include/linux/interrupt.h */
export function tasklet_schedule(t: tasklet_struct): void {
  if (t.scheduled) return
  t.scheduled = true
  __tasklet_schedule(t)
}
const tasklet_action = kfunc('tasklet_action', (): void => {
  const list = tasklet_vec
  tasklet_vec = []
  for (const t of list) {
    t.scheduled = false
    t.callback?.(t)
  }
})

/**
 * An interrupt: runs `body` as a first frame in interrupt context, and then, as irq_exit() does, the softirqs that it raised,
 * unless it came in the middle of one. For a device's handler.
 */
export function do_IRQ(execution: Execution, body: () => void): void {
  hardirqs++
  runAs(execution, body)
  hardirqs--
  irq_exit(execution.netns)
}

/** runs a timer's function or the like as a first frame in softirq context, then whatever it raised */
export function in_softirq_context(execution: Execution, body: () => void): void {
  softirqs += SOFTIRQ_OFFSET
  runAs(execution, body)
  softirqs -= SOFTIRQ_OFFSET
  irq_exit(execution.netns)
}

const irq_softirqs = new Map<string, Execution>()

/** invoke_softirq() on the way out of an interrupt, as whose work the softirqs begin */
function irq_exit(netns: string): void {
  if (in_interrupt() || pending === 0) return
  let e = irq_softirqs.get(netns)
  if (e === undefined) {
    e = { kind: 'softirq', comm: 'swapper/0', pid: 0, netns }
    irq_softirqs.set(netns, e)
  }
  runAs(e, () => handle_softirqs(false))
}
