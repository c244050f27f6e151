import { kfunc } from '../../trace/kfunc.ts'
import {
  address_space,
  bdi_writeback,
  type file,
  I_CLEAR,
  I_DIRTY,
  I_DIRTY_SYNC,
  I_FREEING,
  inode,
  type path,
  S_NOATIME,
  type super_block,
} from '../include/linux/fs.ts'
import { core_initcall } from '../include/linux/init.ts'
import { GFP_KERNEL, type kmem_cache, SLAB_ACCOUNT, SLAB_PANIC, SLAB_RECLAIM_ACCOUNT } from '../include/linux/slab.ts'
import { spinlock_t } from '../include/linux/spinlock.ts'
import { init_rwsem } from '../kernel/locking/rwsem.ts'
import { spin_lock, spin_lock_irqsave, spin_unlock, spin_unlock_irqrestore } from '../kernel/locking/spinlock.ts'
import { call_rcu } from '../kernel/rcu.ts'
import { ktime_get_coarse_real_ts64, type timespec64 } from '../kernel/time/timekeeping.ts'
import { make_kgid, make_kuid, make_vfsgid, make_vfsuid } from '../kernel/user_namespace.ts'
import { kmem_cache_alloc_lru_noprof, kmem_cache_create, kmem_cache_free } from '../mm/slub.ts'
import { security_inode_alloc, security_inode_free } from '../security/security.ts'
import { __fsnotify_inode_delete, locks_free_lock_context } from './locks.ts'
import {
  MNT_RELATIME,
  mnt_get_write_access,
  mnt_get_write_access_file,
  mnt_put_write_access,
  mnt_put_write_access_file,
} from './namespace.ts'

const S_ATIME = 1
const S_MTIME = 2
const S_CTIME = 4

let inode_cachep: kmem_cache
let last_ino = 0
let noop_wb = new bdi_writeback()

core_initcall(() => {
  inode_cachep = kmem_cache_create('inode_cache', 608, 0, SLAB_RECLAIM_ACCOUNT | SLAB_PANIC | SLAB_ACCOUNT, null)
  last_ino = 0
  noop_wb = new bdi_writeback()
})

/** the lock of the xarray behind i_pages */
const i_pages_lock = new spinlock_t()

const inode_init_always_gfp = kfunc('inode_init_always_gfp', (sb: super_block, i: inode, gfp: number): number => {
  i.i_sb = sb
  i.i_count = 1
  i.i_nlink = 1
  i.i_uid = make_kuid(null, 0)
  i.i_gid = make_kgid(null, 0)
  init_rwsem(i.i_rwsem)
  i.i_mapping = new address_space(i)
  init_rwsem(i.i_mapping.invalidate_lock)
  return security_inode_alloc(i, gfp)
})

const alloc_inode = kfunc('alloc_inode', (sb: super_block): inode | null => {
  let i: inode | null
  if (sb.s_op.alloc_inode) i = sb.s_op.alloc_inode(sb)
  else {
    kmem_cache_alloc_lru_noprof(inode_cachep, null, GFP_KERNEL)
    i = new inode()
  }
  if (i === null || inode_init_always_gfp(sb, i, GFP_KERNEL)) return null
  return i
})

export const new_inode_pseudo = kfunc('new_inode_pseudo', (sb: super_block): inode | null => alloc_inode(sb))

export const get_next_ino = kfunc('get_next_ino', (): number => ++last_ino)

const truncate_inode_pages_range = kfunc(
  'truncate_inode_pages_range',
  (mapping: address_space | null, lstart: number, lend: number): void => {
    mapping?.i_pages.clear()
  },
)
const truncate_inode_pages_final = kfunc('truncate_inode_pages_final', (mapping: address_space | null): void =>
  truncate_inode_pages_range(mapping, 0, -1),
)

export const clear_inode = kfunc('clear_inode', (i: inode): void => {
  // xa_destroy()
  spin_lock_irqsave(i_pages_lock)
  spin_unlock_irqrestore(i_pages_lock, 0)
  i.i_state = I_FREEING | I_CLEAR
})

const inode_wait_for_writeback = kfunc('inode_wait_for_writeback', (i: inode): void => {})
/** nobody waits for an inode */
const wake_up_var = kfunc('wake_up_var', (wait_var: unknown): void => {})
const inode_has_buffers = kfunc('inode_has_buffers', (i: inode): number => 0)

const i_callback = kfunc('i_callback', (i: inode): void => {
  if (i.i_sb.s_op.free_inode) i.i_sb.s_op.free_inode(i)
  else kmem_cache_free(inode_cachep, i)
})

const __destroy_inode = kfunc('__destroy_inode', (i: inode): void => {
  inode_has_buffers(i)
  security_inode_free(i)
  __fsnotify_inode_delete(i)
  locks_free_lock_context(i)
})

const destroy_inode = kfunc('destroy_inode', (i: inode): void => {
  __destroy_inode(i)
  call_rcu(i, i_callback)
})

const evict = kfunc('evict', (i: inode): void => {
  spin_lock(i.i_lock)
  inode_wait_for_writeback(i)
  spin_unlock(i.i_lock)
  if (i.i_sb.s_op.evict_inode) i.i_sb.s_op.evict_inode(i)
  else {
    truncate_inode_pages_final(i.i_mapping)
    clear_inode(i)
  }
  spin_lock(i.i_lock)
  wake_up_var(i)
  spin_unlock(i.i_lock)
  destroy_inode(i)
})

/** drops a reference; the last one destroys the inode (none of those here is kept in a cache) */
export const iput = kfunc('iput', (i: inode | null): void => {
  if (i === null || i.i_state & I_CLEAR) return
  if (i.i_count > 1) {
    i.i_count--
    return
  }
  spin_lock(i.i_lock)
  i.i_count = 0
  i.i_state |= I_FREEING
  spin_unlock(i.i_lock)
  evict(i)
})

const now_ts: timespec64 = { tv_sec: 0, tv_nsec: 0 }

/** microseconds since 1970: nanoseconds would not be exact. The coarse clock moves with the tick. */
function coarse_time(): number {
  ktime_get_coarse_real_ts64(now_ts)
  return now_ts.tv_sec * 1e6 + Math.floor(now_ts.tv_nsec / 1000)
}

export const current_time = kfunc('current_time', (i: inode): number => coarse_time())

export const inode_set_ctime_current = kfunc('inode_set_ctime_current', (i: inode): number => {
  i.i_ctime = coarse_time()
  return i.i_ctime
})

const timestamp_truncate = kfunc('timestamp_truncate', (t: number, i: inode): number => t)

const relatime_need_update = (path: path, i: inode, now: number): boolean =>
  !((path.mnt?.mnt_flags ?? 0) & MNT_RELATIME) ||
  i.i_mtime >= i.i_atime ||
  i.i_ctime >= i.i_atime ||
  now - i.i_atime >= 24 * 60 * 60 * 1e6

const atime_needs_update = kfunc('atime_needs_update', (path: path, i: inode): boolean => {
  if (i.i_flags & S_NOATIME) return false
  make_vfsuid(null, null, i.i_uid)
  make_vfsgid(null, null, i.i_gid)
  const now = current_time(i)
  if (!relatime_need_update(path, i, now)) return false
  return i.i_atime !== now
})

const inode_update_timestamps = kfunc('inode_update_timestamps', (i: inode, flags: number): number => {
  const now = timestamp_truncate(coarse_time(), i)
  let updated = 0
  if (flags & (S_MTIME | S_CTIME)) {
    if (i.i_ctime !== now) updated |= S_CTIME
    i.i_ctime = now
    if (i.i_mtime !== now) updated |= S_MTIME
    i.i_mtime = now
  }
  if (flags & S_ATIME && i.i_atime !== now) {
    i.i_atime = now
    updated |= S_ATIME
  }
  return updated
})

/** memory has none to write to */
const inode_to_bdi = kfunc('inode_to_bdi', (i: inode): null => null)

const __inode_attach_wb = kfunc('__inode_attach_wb', (i: inode, folio: null): void => {
  // whether its device, and its file system, know whose pages they write
  inode_to_bdi(i)
  inode_to_bdi(i)
  i.i_wb = noop_wb
})

const locked_inode_to_wb_and_lock_list = kfunc('locked_inode_to_wb_and_lock_list', (i: inode): bdi_writeback => {
  const wb = i.i_wb ?? noop_wb
  spin_unlock(i.i_lock)
  spin_lock(wb.list_lock)
  return wb
})

/** no inode here is hashed, so that none goes into the list of those to write */
const __mark_inode_dirty = kfunc('__mark_inode_dirty', (i: inode, flags: number): void => {
  if ((i.i_state & flags) === flags) return
  spin_lock(i.i_lock)
  const was_dirty = i.i_state & I_DIRTY
  if (i.i_wb === null) __inode_attach_wb(i, null)
  i.i_state |= flags
  if (!was_dirty) {
    const wb = locked_inode_to_wb_and_lock_list(i)
    spin_lock(i.i_lock)
    spin_unlock(wb.list_lock)
  }
  spin_unlock(i.i_lock)
})

const generic_update_time = kfunc('generic_update_time', (i: inode, flags: number): number => {
  const updated = inode_update_timestamps(i, flags)
  __mark_inode_dirty(i, updated ? I_DIRTY_SYNC : 0)
  return updated
})

export const touch_atime = kfunc('touch_atime', (path: path): void => {
  const i = path.dentry?.d_inode
  const { mnt } = path
  if (!i || mnt === null) return
  if (!atime_needs_update(path, i)) return
  if (mnt_get_write_access(mnt) !== 0) return
  generic_update_time(i, S_ATIME)
  mnt_put_write_access(mnt)
})

export function file_accessed(file: file): void {
  touch_atime(file.f_path)
}

/** which times a write changes */
const inode_needs_update_time = kfunc('inode_needs_update_time', (i: inode): number => {
  const now = timestamp_truncate(coarse_time(), i)
  return (i.i_mtime !== now ? S_MTIME : 0) | (i.i_ctime !== now ? S_CTIME : 0)
})

/** a write changes the times of the file, once a tick */
export const file_update_time = kfunc('file_update_time', (file: file): number => {
  const i = file.f_inode
  const sync_mode = inode_needs_update_time(i)
  if (sync_mode <= 0 || mnt_get_write_access_file(file) !== 0) return 0
  generic_update_time(i, sync_mode)
  mnt_put_write_access_file(file)
  return 0
})
