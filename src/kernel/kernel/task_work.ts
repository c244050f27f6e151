import { kfunc } from '../../trace/kfunc.ts'
import { early_initcall } from '../include/linux/init.ts'
import type { task_struct } from '../include/linux/sched.ts'

/** what a task still has to do before it returns to user space; only the task that runs adds any */
let works: (() => void)[] = []

early_initcall(() => {
  works = []
})

export function task_work_add(task: task_struct, work: () => void): number {
  works.push(work)
  return 0
}

export const task_work_pending = (): boolean => works.length > 0

export const task_work_run = kfunc('task_work_run', (): void => {
  for (let work = works.shift(); work !== undefined; work = works.shift()) work()
})
