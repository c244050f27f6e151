import { kfunc } from '../../trace/kfunc.ts'
import { security_capable } from '../security/security.ts'
import { current } from './sched/core.ts'

/** whether the process may do what needs the capability `cap`; there is one user namespace */
export const ns_capable = kfunc(
  'ns_capable',
  (ns: unknown, cap: number): boolean => security_capable(current.cred, ns, cap, 0) === 0,
)

export const capable = kfunc('capable', (cap: number): boolean => security_capable(current.cred, null, cap, 0) === 0)
