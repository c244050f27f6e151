import { kfunc, nameOf } from '../../trace/kfunc.ts'
import { traceIndirect, tracer } from '../../trace/tracer.ts'
import { rcu_read_lock, rcu_read_unlock } from './rcu.ts'

export const NOTIFY_DONE = 0

/** those who want to hear of something, the most important first */
export type atomic_notifier_head = ((val: number, v: unknown) => number)[]

/** each may end the round by its answer; skbtrace has nobody yet who does */
const notifier_call_chain = kfunc('notifier_call_chain', (nl: atomic_notifier_head, val: number, v: unknown): number => {
  let ret = NOTIFY_DONE
  for (const notifier_call of nl) {
    if (tracer.on) traceIndirect('nb->notifier_call', nameOf(notifier_call))
    ret = notifier_call(val, v)
  }
  return ret
})

export const atomic_notifier_call_chain = kfunc(
  'atomic_notifier_call_chain',
  (nh: atomic_notifier_head, val: number, v: unknown): number => {
    rcu_read_lock()
    const ret = notifier_call_chain(nh, val, v)
    rcu_read_unlock()
    return ret
  },
)
