import { kfunc } from '../../trace/kfunc.ts'
import { ENFILE } from '../include/linux/errno.ts'
import {
  type cred,
  FASYNC,
  FMODE_CAN_READ,
  FMODE_CAN_WRITE,
  FMODE_LSEEK,
  FMODE_OPENED,
  FMODE_READ,
  FMODE_WRITE,
  file,
  type file_operations,
  type inode,
  type path,
  type vfsmount,
} from '../include/linux/fs.ts'
import { core_initcall } from '../include/linux/init.ts'
import { GFP_KERNEL, type kmem_cache, SLAB_ACCOUNT, SLAB_HWCACHE_ALIGN, SLAB_PANIC } from '../include/linux/slab.ts'
import { IS_ERR } from '../include/linux/types.ts'
import { mutex_init } from '../kernel/locking/mutex.ts'
import { module_put } from '../kernel/module/main.ts'
import { current } from '../kernel/sched/core.ts'
import { task_work_add } from '../kernel/task_work.ts'
import { kmem_cache_alloc_noprof, kmem_cache_create, kmem_cache_free } from '../mm/slub.ts'
import { security_file_alloc, security_file_free, security_file_release } from '../security/security.ts'
import { d_alloc_pseudo, d_instantiate, dput } from './dcache.ts'
import { file_f_owner_release } from './fcntl.ts'
import { locks_remove_file } from './locks.ts'
import { path_get, path_put } from './namei.ts'
import { mntget, mntput } from './namespace.ts'

let filp_cachep: kmem_cache
let nr_files = 0
const max_files = 0x7fffffff

core_initcall(() => {
  filp_cachep = kmem_cache_create('filp', 232, 0, SLAB_HWCACHE_ALIGN | SLAB_PANIC | SLAB_ACCOUNT, null)
  nr_files = 0
})

export const get_max_files = kfunc('get_max_files', (): number => max_files)

export function get_file(f: file): file {
  f.f_count++
  return f
}

function file_free(f: file): void {
  security_file_free(f)
  nr_files--
  const cred = f.f_cred
  if (cred !== null) cred.usage--
  kmem_cache_free(filp_cachep, f)
}

const init_file = kfunc('init_file', (f: file, flags: number, cred: cred | null): number => {
  f.f_cred = cred
  if (cred !== null) cred.usage++
  const error = security_file_alloc(f)
  if (error) return error
  mutex_init(f.f_pos_lock)
  f.f_flags = flags
  f.f_mode = (flags + 1) & 3
  f.f_count = 1
  return 0
})

export const alloc_empty_file = kfunc('alloc_empty_file', (flags: number, cred: cred | null): file | number => {
  if (nr_files >= max_files) return -ENFILE
  kmem_cache_alloc_noprof(filp_cachep, GFP_KERNEL)
  const f = new file()
  const error = init_file(f, flags, cred)
  if (error) {
    kmem_cache_free(filp_cachep, f)
    return error
  }
  nr_files++
  return f
})

export const file_init_path = kfunc('file_init_path', (file: file, path: path, fop: file_operations): void => {
  const inode = path.dentry?.d_inode
  file.f_path = path
  if (inode) {
    file.f_inode = inode
    file.f_mapping = inode.i_mapping
  }
  if (fop.llseek) file.f_mode |= FMODE_LSEEK
  if (file.f_mode & FMODE_READ && fop.read_iter) file.f_mode |= FMODE_CAN_READ
  if (file.f_mode & FMODE_WRITE && fop.write_iter) file.f_mode |= FMODE_CAN_WRITE
  file.f_mode |= FMODE_OPENED
  file.f_op = fop
})

function alloc_file(path: path, flags: number, fop: file_operations): file | number {
  const file = alloc_empty_file(flags, current.cred as cred | null)
  if (!IS_ERR(file)) file_init_path(file, path, fop)
  return file
}

function alloc_path_pseudo(name: string, inode: inode, mnt: vfsmount, path: path): number {
  path.dentry = d_alloc_pseudo(mnt.mnt_sb, name)
  path.mnt = mntget(mnt)
  d_instantiate(path.dentry, inode)
  return 0
}

/** an open file for an inode that has no name in the file tree: a socket, a pipe */
export const alloc_file_pseudo = kfunc(
  'alloc_file_pseudo',
  (inode: inode, mnt: vfsmount, name: string, flags: number, fops: file_operations): file | number => {
    const path: path = { mnt: null, dentry: null }
    const ret = alloc_path_pseudo(name, inode, mnt, path)
    if (ret) return ret
    const file = alloc_file(path, flags, fops)
    if (IS_ERR(file)) {
      inode.i_count++
      path_put(path)
    }
    return file
  },
)

/** a second open file for the same inode, with other flags: the reading end of a pipe */
export const alloc_file_clone = kfunc('alloc_file_clone', (base: file, flags: number, fops: file_operations): file | number => {
  const f = alloc_file(base.f_path, flags, fops)
  if (!IS_ERR(f)) {
    path_get(f.f_path)
    f.f_mapping = base.f_mapping
  }
  return f
})

/** include/linux/fs.h: none of the files here is a module's */
const fops_put = (_fops: file_operations): void => module_put(null)

const __fput = kfunc('__fput', (file: file): void => {
  const { dentry, mnt } = file.f_path
  if (file.f_mode & FMODE_OPENED) {
    locks_remove_file(file)
    security_file_release(file)
    if (file.f_flags & FASYNC) file.f_op.fasync?.(-1, file, 0)
    file.f_op.release?.(file.f_inode, file)
    fops_put(file.f_op)
    file_f_owner_release(file)
    dput(dentry)
    mntput(mnt)
  }
  file_free(file)
})

const ____fput = (file: file): void => __fput(file)

/** drops a reference; the last one closes the file when the process returns to user space */
export const fput = kfunc('fput', (file: file): void => {
  if (--file.f_count) return
  if (!(file.f_mode & FMODE_OPENED)) {
    file_free(file)
    return
  }
  task_work_add(current, () => ____fput(file))
})

/** as fput, but the last reference closes the file right here */
export const __fput_sync = kfunc('__fput_sync', (file: file): void => {
  if (--file.f_count === 0) __fput(file)
})
