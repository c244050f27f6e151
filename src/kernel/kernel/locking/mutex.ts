import { InternalError, kfunc } from '../../../trace/kfunc.ts'
import type { mutex, rw_semaphore } from '../../include/linux/mutex.ts'

export const __mutex_init = kfunc('__mutex_init', (lock: mutex, _name: string, _key: unknown): void => {
  lock.owned = 0
})
export const mutex_init = (lock: mutex): void => __mutex_init(lock, '', null)

export const mutex_lock = kfunc('mutex_lock', (lock: mutex): void => {
  if (lock.owned) throw new InternalError('deadlock: a mutex was taken twice')
  lock.owned = 1
})
export const mutex_lock_interruptible = kfunc('mutex_lock_interruptible', (lock: mutex): number => {
  if (lock.owned) throw new InternalError('deadlock: a mutex was taken twice')
  lock.owned = 1
  return 0
})
export const mutex_unlock = kfunc('mutex_unlock', (lock: mutex): void => {
  lock.owned = 0
})

export const down_read_trylock = kfunc('down_read_trylock', (sem: rw_semaphore): number => {
  sem.readers++
  return 1
})
export const up_read = kfunc('up_read', (sem: rw_semaphore): void => {
  sem.readers--
})
