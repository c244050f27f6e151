import { kfunc } from '../../trace/kfunc.ts'
import { decide, tracer } from '../../trace/tracer.ts'
import { early_initcall } from '../include/linux/init.ts'
import type { task_struct } from '../include/linux/sched.ts'
import { spinlock_t } from '../include/linux/spinlock.ts'
import { spin_lock_irqsave, spin_unlock_irqrestore } from './locking/spinlock.ts'
import { __task_pid_nr_ns, task_active_pid_ns } from './pid.ts'
import { rcu_read_lock, rcu_read_unlock } from './rcu.ts'

export const SIGPIPE = 13
export const SIGIO = 29
export const SIGURG = 23

/** of the processes' handlers: they have one each, and nobody waits for it */
const siglock = new spinlock_t()
early_initcall(() => {
  siglock.locked = 0
})

/** whether somebody would see the signal: the processes ignore SIGPIPE, as SCENARIOS.md says */
const prepare_signal = kfunc('prepare_signal', (_sig: number, _p: task_struct, _force: boolean): boolean => false)

const __send_signal_locked = kfunc(
  '__send_signal_locked',
  (sig: number, _info: null, t: task_struct, _type: number, force: boolean): number => {
    prepare_signal(sig, t, force)
    return 0
  },
)

const send_signal_locked = kfunc('send_signal_locked', (sig: number, info: null, t: task_struct, type: number): number => {
  // one from outside of the process's own namespace could not be ignored by its first process
  const force = __task_pid_nr_ns(t, 0, task_active_pid_ns(t)) === 0
  return __send_signal_locked(sig, info, t, type, force)
})

const do_send_sig_info = kfunc('do_send_sig_info', (sig: number, info: null, p: task_struct, type: number): number => {
  // lock_task_sighand()
  rcu_read_lock()
  const flags = spin_lock_irqsave(siglock)
  rcu_read_unlock()
  const ret = send_signal_locked(sig, info, p, type)
  spin_unlock_irqrestore(siglock, flags)
  return ret
})

export const send_sig = kfunc('send_sig', (sig: number, p: task_struct, _priv: number): number => {
  if (tracer.on) decide('send_sig', sig === SIGPIPE ? 'SIGPIPE, which the process ignores' : 'a signal', { sig, pid: p.pid })
  return do_send_sig_info(sig, null, p, 0)
})
