import { InternalError, kfunc } from '../../../trace/kfunc.ts'
import type { rwlock_t, spinlock_t } from '../../include/linux/spinlock.ts'
import { __local_bh_enable_ip, bh_disable, SOFTIRQ_DISABLE_OFFSET } from '../softirq.ts'

// with one processor, a lock that is taken can never become free
function take(lock: spinlock_t): void {
  if (lock.locked !== 0) throw new InternalError('deadlock: a lock was taken twice')
  lock.locked = 1
}
function give(lock: spinlock_t): void {
  if (lock.locked !== 1) throw new InternalError('a lock was released that nobody holds')
  lock.locked = 0
}

export const _raw_spin_lock = kfunc('_raw_spin_lock', (lock: spinlock_t): void => {
  take(lock)
})
export const _raw_spin_trylock = kfunc('_raw_spin_trylock', (lock: spinlock_t): number => {
  if (lock.locked) return 0
  lock.locked = 1
  return 1
})
export const _raw_spin_unlock = kfunc('_raw_spin_unlock', (lock: spinlock_t): void => {
  give(lock)
})
export const _raw_spin_lock_bh = kfunc('_raw_spin_lock_bh', (lock: spinlock_t): void => {
  bh_disable()
  take(lock)
})
export const _raw_spin_unlock_bh = kfunc('_raw_spin_unlock_bh', (lock: spinlock_t): void => {
  give(lock)
  __local_bh_enable_ip(0, SOFTIRQ_DISABLE_OFFSET)
})
export const _raw_spin_lock_irq = kfunc('_raw_spin_lock_irq', (lock: spinlock_t): void => {
  take(lock)
})
export const _raw_spin_unlock_irq = kfunc('_raw_spin_unlock_irq', (lock: spinlock_t): void => {
  give(lock)
})
/** returns the interrupt flags, as the macro around it sets them */
export const _raw_spin_lock_irqsave = kfunc('_raw_spin_lock_irqsave', (lock: spinlock_t): number => {
  take(lock)
  return 0
})
export const _raw_spin_unlock_irqrestore = kfunc('_raw_spin_unlock_irqrestore', (lock: spinlock_t, _flags: number): void => {
  give(lock)
})

export const _raw_read_lock = kfunc('_raw_read_lock', (lock: rwlock_t): void => {
  lock.locked++
})
export const _raw_read_unlock = kfunc('_raw_read_unlock', (lock: rwlock_t): void => {
  lock.locked--
})
export const _raw_read_lock_bh = kfunc('_raw_read_lock_bh', (lock: rwlock_t): void => {
  bh_disable()
  lock.locked++
})
export const _raw_read_unlock_bh = kfunc('_raw_read_unlock_bh', (lock: rwlock_t): void => {
  lock.locked--
  __local_bh_enable_ip(0, SOFTIRQ_DISABLE_OFFSET)
})
export const _raw_read_lock_irqsave = kfunc('_raw_read_lock_irqsave', (lock: rwlock_t): number => {
  lock.locked++
  return 0
})
export const _raw_read_unlock_irqrestore = kfunc('_raw_read_unlock_irqrestore', (lock: rwlock_t, _flags: number): void => {
  lock.locked--
})
export const _raw_write_lock = kfunc('_raw_write_lock', (lock: rwlock_t): void => {
  take(lock)
})
export const _raw_write_unlock = kfunc('_raw_write_unlock', (lock: rwlock_t): void => {
  give(lock)
})
export const _raw_write_lock_bh = kfunc('_raw_write_lock_bh', (lock: rwlock_t): void => {
  bh_disable()
  take(lock)
})
export const _raw_write_unlock_bh = kfunc('_raw_write_unlock_bh', (lock: rwlock_t): void => {
  give(lock)
  __local_bh_enable_ip(0, SOFTIRQ_DISABLE_OFFSET)
})
export const _raw_write_lock_irq = (lock: rwlock_t): void => {
  take(lock)
}
export const _raw_write_unlock_irq = (lock: rwlock_t): void => {
  give(lock)
}

export const spin_lock = _raw_spin_lock
export const spin_trylock = _raw_spin_trylock
export const spin_unlock = _raw_spin_unlock
export const spin_lock_bh = _raw_spin_lock_bh
export const spin_unlock_bh = _raw_spin_unlock_bh
export const spin_lock_irq = _raw_spin_lock_irq
export const spin_unlock_irq = _raw_spin_unlock_irq
export const spin_lock_irqsave = _raw_spin_lock_irqsave
/** the flags may be left out */
export const spin_unlock_irqrestore = (lock: spinlock_t, flags = 0): void => _raw_spin_unlock_irqrestore(lock, flags)
export const raw_spin_lock = _raw_spin_lock
export const raw_spin_unlock = _raw_spin_unlock
export const raw_spin_lock_irqsave = _raw_spin_lock_irqsave
export const raw_spin_unlock_irqrestore = spin_unlock_irqrestore
export const read_lock = _raw_read_lock
export const read_unlock = _raw_read_unlock
export const read_lock_bh = _raw_read_lock_bh
export const read_unlock_bh = _raw_read_unlock_bh
export const read_lock_irqsave = _raw_read_lock_irqsave
export const read_unlock_irqrestore = _raw_read_unlock_irqrestore
export const write_lock = _raw_write_lock
export const write_unlock = _raw_write_unlock
export const write_lock_bh = _raw_write_lock_bh
export const write_unlock_bh = _raw_write_unlock_bh
export const write_seqlock = _raw_spin_lock
export const write_sequnlock = _raw_spin_unlock
export const write_seqlock_bh = _raw_spin_lock_bh
export const write_sequnlock_bh = _raw_spin_unlock_bh
export const write_lock_irq = _raw_write_lock_irq
export const write_unlock_irq = _raw_write_unlock_irq
