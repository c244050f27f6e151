import { kfunc } from '../../trace/kfunc.ts'
import { spinlock_t } from '../include/linux/spinlock.ts'
import { spin_lock_irqsave, spin_unlock_irqrestore } from '../kernel/locking/spinlock.ts'

const pcpu_lock = new spinlock_t()

/** memory that each processor has its own copy of; how a place in the chunks is found is not shown */
export const pcpu_alloc_noprof = kfunc(
  'pcpu_alloc_noprof',
  (_size: number, _align: number, _reserved: boolean, _gfp: number): void => {
    const flags = spin_lock_irqsave(pcpu_lock)
    spin_unlock_irqrestore(pcpu_lock, flags)
  },
)
