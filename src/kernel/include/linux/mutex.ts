import { spinlock_t } from './spinlock.ts'

/** include/linux/mutex.h struct mutex; kernel/locking/mutex.ts has the functions */
export class mutex {
  owned = 0
  readonly wait_lock: spinlock_t = new spinlock_t()
}

/** include/linux/rwsem.h struct rw_semaphore */
export class rw_semaphore {
  readers = 0
  writer = 0
}
