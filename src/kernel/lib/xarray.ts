import { kfunc } from '../../trace/kfunc.ts'
import { spinlock_t } from '../include/linux/spinlock.ts'
import { spin_lock_irqsave, spin_unlock_irqrestore } from '../kernel/locking/spinlock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../kernel/rcu.ts'

/** include/linux/xarray.h struct xarray: an array with holes */
export class xarray<T> {
  readonly xa_lock: spinlock_t = new spinlock_t()
  readonly entries: Map<number, T> = new Map()
}

/** the first entry at or behind `index`, up to `max`; null when there is none */
export const xa_find = kfunc('xa_find', (xa: xarray<unknown>, index: number, max: number): unknown => {
  rcu_read_lock()
  let found: unknown = null
  let least = Number.POSITIVE_INFINITY
  for (const [i, entry] of xa.entries)
    if (i >= index && i <= max && i < least) {
      least = i
      found = entry
    }
  rcu_read_unlock()
  return found
})

export const xa_destroy = kfunc('xa_destroy', (xa: xarray<unknown>): void => {
  spin_lock_irqsave(xa.xa_lock)
  xa.entries.clear()
  spin_unlock_irqrestore(xa.xa_lock, 0)
})
