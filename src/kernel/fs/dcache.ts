import { kfunc } from '../../trace/kfunc.ts'
import { dentry, type dentry_operations, type inode, type super_block } from '../include/linux/fs.ts'
import { core_initcall } from '../include/linux/init.ts'
import { GFP_KERNEL, type kmem_cache, SLAB_ACCOUNT, SLAB_PANIC, SLAB_RECLAIM_ACCOUNT } from '../include/linux/slab.ts'
import { spin_lock, spin_trylock, spin_unlock } from '../kernel/locking/spinlock.ts'
import { call_rcu, rcu_read_lock, rcu_read_unlock } from '../kernel/rcu.ts'
import { kmem_cache_alloc_lru_noprof, kmem_cache_create, kmem_cache_free } from '../mm/slub.ts'
import { security_d_instantiate } from '../security/security.ts'
import { iput } from './inode.ts'

const DCACHE_NORCU = 0x40000000
const DCACHE_HASHED = 0x80000000

let dentry_cache: kmem_cache

core_initcall(() => {
  dentry_cache = kmem_cache_create('dentry', 192, 0, SLAB_RECLAIM_ACCOUNT | SLAB_PANIC | SLAB_ACCOUNT, null)
})

const d_set_d_op = kfunc('d_set_d_op', (dentry: dentry, op: dentry_operations | null): void => {
  dentry.d_op = op
})

const __d_alloc = kfunc('__d_alloc', (sb: super_block, name: string): dentry => {
  kmem_cache_alloc_lru_noprof(dentry_cache, null, GFP_KERNEL)
  const d = new dentry(name, sb)
  d_set_d_op(d, sb.s_d_op)
  return d
})

const anon_ops: dentry_operations = { d_dname: (d) => d.d_name }

export const d_alloc_pseudo = kfunc('d_alloc_pseudo', (sb: super_block, name: string): dentry => {
  const d = __d_alloc(sb, name)
  d.d_flags |= DCACHE_NORCU
  if (sb.s_d_op === null) d_set_d_op(d, anon_ops)
  return d
})

/** a dentry with a name in the tree: it stays when nobody uses it */
export function d_alloc_named(sb: super_block, name: string, inode: inode): dentry {
  const d = __d_alloc(sb, name)
  d.d_flags |= DCACHE_HASHED
  d_instantiate(d, inode)
  return d
}

const d_flags_for_inode = kfunc('d_flags_for_inode', (inode: inode): number => 0)

const __d_instantiate = kfunc('__d_instantiate', (dentry: dentry, inode: inode): void => {
  const add_flags = d_flags_for_inode(inode)
  spin_lock(dentry.d_lock)
  dentry.d_inode = inode
  dentry.d_flags |= add_flags
  spin_unlock(dentry.d_lock)
})

export const d_instantiate = kfunc('d_instantiate', (entry: dentry, inode: inode | null): void => {
  if (inode === null) return
  security_d_instantiate(entry, inode)
  spin_lock(inode.i_lock)
  __d_instantiate(entry, inode)
  spin_unlock(inode.i_lock)
})

const dentry_unlink_inode = kfunc('dentry_unlink_inode', (dentry: dentry): void => {
  const inode = dentry.d_inode
  dentry.d_inode = null
  spin_unlock(dentry.d_lock)
  if (inode !== null) {
    spin_unlock(inode.i_lock)
    iput(inode)
  }
})

const d_free = (dentry: dentry): void => kmem_cache_free(dentry_cache, dentry)
const __d_free = kfunc('__d_free', d_free)

/** __d_free() is inlined here (fs/dcache.c is not in the facts): the tracer saw it half as often as dentry_free() */
const dentry_free = kfunc('dentry_free', (dentry: dentry): void => {
  if (dentry.d_flags & DCACHE_NORCU) d_free(dentry)
  else call_rcu(dentry, __d_free)
})

const __dentry_kill = kfunc('__dentry_kill', (dentry: dentry): dentry | null => {
  if (dentry.d_inode !== null) dentry_unlink_inode(dentry)
  else spin_unlock(dentry.d_lock)
  spin_lock(dentry.d_lock)
  spin_unlock(dentry.d_lock)
  dentry_free(dentry)
  return null
})

const retain_dentry = (dentry: dentry): boolean => (dentry.d_flags & DCACHE_HASHED) !== 0

/** true when nothing is left to do */
function fast_dput(dentry: dentry): boolean {
  if (--dentry.d_count) return true
  if (retain_dentry(dentry)) return true
  spin_lock(dentry.d_lock)
  return false
}

const lock_for_kill = kfunc('lock_for_kill', (dentry: dentry): boolean => {
  if (dentry.d_count) return false
  if (dentry.d_inode !== null) spin_trylock(dentry.d_inode.i_lock)
  return true
})

export const dput = kfunc('dput', (dentry: dentry | null): void => {
  if (dentry === null) return
  rcu_read_lock()
  if (fast_dput(dentry)) {
    rcu_read_unlock()
    return
  }
  lock_for_kill(dentry)
  rcu_read_unlock()
  __dentry_kill(dentry)
})
