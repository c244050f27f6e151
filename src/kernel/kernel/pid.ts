import { kfunc } from '../../trace/kfunc.ts'
import { early_initcall } from '../include/linux/init.ts'
import type { task_struct } from '../include/linux/sched.ts'
import { rcu_read_lock, rcu_read_unlock } from './rcu.ts'

/** struct pid: the number of a process, kept while somebody still speaks of it */
export interface pid {
  readonly pid: number
  count: number
}

let pids = new Map<number, pid>()

early_initcall(() => {
  pids = new Map()
})

/** task_tgid() */
export function task_tgid(task: task_struct): pid {
  let p = pids.get(task.tgid)
  if (p === undefined) {
    p = { pid: task.tgid, count: 1 }
    pids.set(task.tgid, p)
  }
  return p
}

export const pid_vnr = kfunc('pid_vnr', (pid: pid | null): number => pid?.pid ?? 0)

export function get_pid(pid: pid | null): pid | null {
  if (pid !== null) pid.count++
  return pid
}

export const put_pid = kfunc('put_pid', (pid: pid | null): void => {
  if (pid !== null) pid.count--
})

export const find_get_pid = kfunc('find_get_pid', (nr: number): pid | null => get_pid(pids.get(nr) ?? null))

/** all processes are in the first namespace of numbers */
export const task_active_pid_ns = kfunc('task_active_pid_ns', (_tsk: task_struct): null => null)

export const __task_pid_nr_ns = kfunc('__task_pid_nr_ns', (task: task_struct, _type: number, _ns: null): number => {
  rcu_read_lock()
  const nr = task.pid
  rcu_read_unlock()
  return nr
})
