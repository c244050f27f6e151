import { clock } from '../../sim/clock.ts'
import { events } from '../../sim/events.ts'
import { InternalError, kfunc } from '../../trace/kfunc.ts'
import type { Execution } from '../../trace/tracer.ts'
import { early_initcall } from '../include/linux/init.ts'
import { in_softirq_context, local_bh_disable, local_bh_enable } from './softirq.ts'

let nesting = 0
let callbacks: (() => void)[] = []
let due = false

early_initcall(() => {
  nesting = 0
  callbacks = []
  due = false
})

/** how long a grace period takes: two or three ticks on an idle machine, in nanoseconds */
const GRACE_PERIOD = 12_000_000

export const __rcu_read_lock = kfunc('__rcu_read_lock', (): void => {
  nesting++
})
export const __rcu_read_unlock = kfunc('__rcu_read_unlock', (): void => {
  if (--nesting < 0) throw new InternalError('rcu_read_unlock() without rcu_read_lock()')
})
export const rcu_read_lock = __rcu_read_lock
export const rcu_read_unlock = __rcu_read_unlock

/** kernel/rcu/srcutree.c: the number of the half that the reader counts in */
export const __srcu_read_lock = kfunc('__srcu_read_lock', (ssp: null): number => 0)
export const __srcu_read_unlock = kfunc('__srcu_read_unlock', (ssp: null, idx: number): void => {})

// include/linux/rcupdate.h
export const rcu_read_lock_bh = (): void => local_bh_disable()
export const rcu_read_unlock_bh = (): void => local_bh_enable()

const rcu_softirq: Execution = { kind: 'softirq', comm: 'swapper/0', pid: 0, netns: '' }

/** after a grace period: all callbacks that came before */
function rcu_core(): void {
  due = false
  const now = callbacks
  callbacks = []
  in_softirq_context(rcu_softirq, () => {
    for (const func of now) func()
  })
}

const rcu_async_should_hurry = kfunc('rcu_async_should_hurry', (): boolean => true)

const rcu_segcblist_enqueue = kfunc('rcu_segcblist_enqueue', (_rsclp: null, func: () => void): void => {
  callbacks.push(func)
})

const __call_rcu_common = kfunc('__call_rcu_common', (_head: unknown, func: () => void, _lazy: boolean): void => {
  rcu_async_should_hurry()
  rcu_segcblist_enqueue(null, func)
  if (!due) {
    due = true
    events.add(clock.ns() + GRACE_PERIOD, rcu_core)
  }
})

/** runs `func(head)` after a grace period, in a softirq of its own */
export const call_rcu = kfunc('call_rcu', <T>(head: T, func: (head: T) => void): void => {
  __call_rcu_common(head, () => func(head), false)
})

export const call_rcu_hurry = kfunc('call_rcu_hurry', <T>(head: T, func: (head: T) => void): void => {
  __call_rcu_common(head, () => func(head), false)
})

/** frees after a grace period what nobody has a destructor for: there is nothing left to do */
export const kfree_rcu = (_ptr: unknown): void => {}

/** waits until all readers that run now have finished: with one processor that is at once, once none is inside */
export function synchronize_rcu(): void {
  if (nesting > 0) throw new InternalError('synchronize_rcu() inside a reader')
}
export const synchronize_net = synchronize_rcu
