import { list_head } from './list.ts'
import type { task_struct } from './sched.ts'
import { spinlock_t } from './spinlock.ts'

/** include/linux/wait.h: 0 goes on, above 0 counts an exclusive waiter that was woken, below 0 stops the walk */
export type wait_queue_func_t = (wq_entry: wait_queue_entry, mode: number, flags: number, key: number) => number

export const WQ_FLAG_EXCLUSIVE = 0x01
export const WQ_FLAG_WOKEN = 0x02
export const WQ_FLAG_CUSTOM = 0x04
export const WQ_FLAG_DONE = 0x08
export const WQ_FLAG_PRIORITY = 0x10

/** struct wait_queue_entry. `data` is what container_of() would lead to. */
export class wait_queue_entry {
  flags = 0
  private_: task_struct | null
  func: wait_queue_func_t | null
  readonly entry: list_head<wait_queue_entry> = new list_head<wait_queue_entry>(this)
  data: unknown = null

  constructor(task: task_struct | null = null, func: wait_queue_func_t | null = null) {
    this.private_ = task
    this.func = func
  }
}

/** struct wait_queue_head */
export class wait_queue_head {
  readonly lock: spinlock_t = new spinlock_t()
  readonly head: list_head<wait_queue_entry> = new list_head<wait_queue_entry>()
}

export type wait_queue_head_t = wait_queue_head
export type wait_queue_entry_t = wait_queue_entry

export const waitqueue_active = (wq_head: wait_queue_head): boolean => wq_head.head.next !== wq_head.head
/** include/linux/wait.h; waiters that can see a change without a lock */
export const wq_has_sleeper = (wq_head: wait_queue_head | null): boolean => wq_head !== null && waitqueue_active(wq_head)

// include/uapi/linux/eventpoll.h: the key of a wake-up
export const EPOLLIN = 0x00000001
export const EPOLLPRI = 0x00000002
export const EPOLLOUT = 0x00000004
export const EPOLLERR = 0x00000008
export const EPOLLHUP = 0x00000010
export const EPOLLNVAL = 0x00000020
export const EPOLLRDNORM = 0x00000040
export const EPOLLRDBAND = 0x00000080
export const EPOLLWRNORM = 0x00000100
export const EPOLLWRBAND = 0x00000200
export const EPOLLMSG = 0x00000400
export const EPOLLRDHUP = 0x00002000
