import { kfunc } from '../../trace/kfunc.ts'
import { decide, tracer } from '../../trace/tracer.ts'
import type { task_struct } from '../include/linux/sched.ts'

export const SIGPIPE = 13
export const SIGIO = 29
export const SIGURG = 23

/** the processes ignore SIGPIPE, as SCENARIOS.md says: it is noted, and interrupts nothing */
export const send_sig = kfunc('send_sig', (sig: number, p: task_struct, priv: number): number => {
  if (tracer.on) decide('send_sig', sig === SIGPIPE ? 'SIGPIPE, which the process ignores' : 'a signal', { sig, pid: p.pid })
  return 0
})
