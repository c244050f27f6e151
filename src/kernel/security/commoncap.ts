import { kfunc } from '../../trace/kfunc.ts'

/** the processes are root's: every capability is there */
export const cap_capable = kfunc('cap_capable', (cred: unknown, targ_ns: unknown, cap: number, opts: number): number => 0)
