import { kfunc } from '../../trace/kfunc.ts'
import { EACCES, ECHILD, EEXIST, EISDIR, ENFILE, ENOENT, ENOTDIR, ENXIO } from '../include/linux/errno.ts'
import {
  type cred,
  type dentry,
  FMODE_ATOMIC_POS,
  FMODE_LSEEK,
  FMODE_PREAD,
  FMODE_PWRITE,
  IOP_FASTPERM,
  type inode,
  MAY_EXEC,
  MAY_WRITE,
  O_ACCMODE,
  O_RDONLY,
  type path,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from '../include/linux/fs.ts'
import { fs_initcall } from '../include/linux/init.ts'
import { GFP_KERNEL, type kmem_cache, SLAB_HWCACHE_ALIGN, SLAB_PANIC } from '../include/linux/slab.ts'
import { IS_ERR } from '../include/linux/types.ts'
import { spin_lock, spin_unlock } from '../kernel/locking/spinlock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../kernel/rcu.ts'
import { current } from '../kernel/sched/core.ts'
import { make_vfsgid, make_vfsuid } from '../kernel/user_namespace.ts'
import { type contents, shm_mnt, shmem_new_file } from '../mm/shmem.ts'
import { kmem_cache_alloc_noprof, kmem_cache_create, kmem_cache_free } from '../mm/slub.ts'
import { security_file_open, security_inode_permission } from '../security/security.ts'
import { d_alloc_named, dput } from './dcache.ts'
import { fd_install, get_unused_fd_flags, put_unused_fd } from './file.ts'
import { alloc_empty_file, file_init_path, fput } from './file_table.ts'
import { current_time, get_next_ino, new_inode_pseudo } from './inode.ts'
import { __legitimize_mnt, __lookup_mnt, mntget, mntput } from './namespace.ts'

// The file tree: as much of it as sockets need. Names are whole paths; everything lies on one tmpfs.

let names = new Map<string, dentry>()
/** stands for all of them */
let directory: dentry
let names_cachep: kmem_cache

const MOUNT_POINT = '/tmp'
const PATH_MAX = 4096

fs_initcall(() => {
  names = new Map()
  names_cachep = kmem_cache_create('names_cache', PATH_MAX, 0, SLAB_HWCACHE_ALIGN | SLAB_PANIC, null)
  const inode = new_inode_pseudo(shm_mnt.mnt_sb)
  if (inode === null) return
  inode.i_mode = S_IFDIR | 0o755
  // others looked into it before
  inode.i_opflags |= IOP_FASTPERM
  directory = d_alloc_named(shm_mnt.mnt_sb, '/', inode)
})

export const path_get = kfunc('path_get', (path: path): void => {
  if (path.mnt !== null) mntget(path.mnt)
  // dget() counts without a call
  if (path.dentry !== null) path.dentry.d_count++
})
export const path_put = kfunc('path_put', (path: path): void => {
  dput(path.dentry)
  mntput(path.mnt)
})

/** the calling process is root, who owns every file */
const generic_permission = kfunc('generic_permission', (idmap: unknown, inode: inode, mask: number): number => {
  make_vfsuid(idmap, null, inode.i_uid)
  return 0
})

export const inode_permission = kfunc('inode_permission', (idmap: unknown, inode: inode, mask: number): number => {
  if (mask & MAY_WRITE) {
    // an owner that the mount cannot express could not be written back
    make_vfsuid(idmap, null, inode.i_uid)
    make_vfsgid(idmap, null, inode.i_gid)
  }
  if (!(inode.i_opflags & IOP_FASTPERM)) {
    spin_lock(inode.i_lock)
    inode.i_opflags |= IOP_FASTPERM
    spin_unlock(inode.i_lock)
  }
  return generic_permission(idmap, inode, mask) || security_inode_permission(inode, mask)
})

/** struct nameidata: a walk along a name, and how far it is */
class nameidata {
  readonly path: path = { mnt: null, dentry: null }
  /** the name up to the component that is looked up next */
  last = ''
  rcu = false
  readonly name: string
  constructor(name: string) {
    this.name = name
  }
}

const set_root = kfunc('set_root', (nd: nameidata): number => 0)
const nd_jump_root = kfunc('nd_jump_root', (nd: nameidata): number => set_root(nd))

const path_init = kfunc('path_init', (nd: nameidata, flags: number): string => {
  rcu_read_lock()
  nd.rcu = true
  // a name that does not start there starts in the process's directory, which is known
  if (nd.name.startsWith('/')) nd_jump_root(nd)
  nd.path.mnt = shm_mnt
  nd.path.dentry = directory
  return nd.name
})

const legitimize_links = kfunc('legitimize_links', (nd: nameidata): boolean => true)

const __legitimize_path = kfunc('__legitimize_path', (path: path, seq: number, mseq: number): boolean => {
  if (path.mnt !== null && __legitimize_mnt(path.mnt, mseq) !== 0) return false
  if (path.dentry !== null) path.dentry.d_count++
  return true
})

/** goes on with references instead of RCU */
const try_to_unlazy = kfunc('try_to_unlazy', (nd: nameidata): boolean => {
  nd.rcu = false
  const held = legitimize_links(nd) && __legitimize_path(nd.path, 0, 0)
  rcu_read_unlock()
  return held
})

const complete_walk = kfunc('complete_walk', (nd: nameidata): number => (nd.rcu && !try_to_unlazy(nd) ? -ECHILD : 0))

const terminate_walk = kfunc('terminate_walk', (nd: nameidata): void => {
  if (nd.rcu) rcu_read_unlock()
  else {
    // path_put(), inlined
    dput(nd.path.dentry)
    mntput(nd.path.mnt)
  }
})

const __d_lookup_rcu = kfunc(
  '__d_lookup_rcu',
  (parent: dentry | null, name: string, seqp: null): dentry | null =>
    names.get(name) ?? (name === MOUNT_POINT ? directory : null),
)

const lookup_fast = kfunc('lookup_fast', (nd: nameidata): dentry | null => {
  // there are no directories but the mounted one: whatever a name has before its last component is taken for one
  const on_the_way = nd.last.length < nd.name.length ? directory : null
  const dentry = __d_lookup_rcu(nd.path.dentry, nd.last, null) ?? on_the_way
  // to ask the file system may take sleeping
  if (dentry === null) try_to_unlazy(nd)
  return dentry
})

const step_into = kfunc('step_into', (nd: nameidata, flags: number, dentry: dentry): null => {
  nd.path.dentry = dentry
  if (nd.last === MOUNT_POINT) __lookup_mnt(shm_mnt, dentry)
  return null
})

/** a tmpfs knows of no file that has no dentry: lookup_slow() would find nothing */
const walk_component = kfunc('walk_component', (nd: nameidata, flags: number): number => {
  const dentry = lookup_fast(nd)
  if (dentry === null) return -ENOENT
  step_into(nd, flags, dentry)
  return 0
})

const WALK_MORE = 2

/** to the directory that the last component is in */
const link_path_walk = kfunc('link_path_walk', (name: string, nd: nameidata): number => {
  for (const [component] of name.matchAll(/[^/]+/g)) {
    const at = nd.path.dentry?.d_inode
    if (!at) return -ENOTDIR
    const err = inode_permission(null, at, MAY_EXEC)
    if (err) return err
    nd.last = name.slice(0, name.indexOf(component, nd.last.length) + component.length)
    if (nd.last.length === name.length) {
      make_vfsuid(null, null, at.i_uid)
      return 0
    }
    const missing = walk_component(nd, WALK_MORE)
    if (missing) return missing
    if (nd.path.dentry !== directory) return try_to_unlazy(nd) ? -ENOTDIR : -ECHILD
  }
  return 0
})

const path_lookupat = kfunc('path_lookupat', (nd: nameidata, flags: number, path: path): number => {
  const s = path_init(nd, flags)
  const err = link_path_walk(s, nd) || walk_component(nd, 0) || complete_walk(nd)
  if (!err) {
    path.mnt = nd.path.mnt
    path.dentry = nd.path.dentry
    nd.path.mnt = null
    nd.path.dentry = null
  }
  terminate_walk(nd)
  return err
})

const getname_kernel = kfunc('getname_kernel', (filename: string): string => {
  kmem_cache_alloc_noprof(names_cachep, GFP_KERNEL)
  return filename
})
const putname = kfunc('putname', (name: string): void => kmem_cache_free(names_cachep, name))

const filename_lookup = kfunc(
  'filename_lookup',
  (dfd: number, name: string, flags: number, path: path, root: path | null): number =>
    path_lookupat(new nameidata(name), flags, path),
)

export const LOOKUP_FOLLOW = 1
const AT_FDCWD = -100

/** looks a path up, with references: path_put() it. ENOENT */
export const kern_path = kfunc('kern_path', (name: string, flags: number, path: path): number => {
  const filename = getname_kernel(name)
  const ret = filename_lookup(AT_FDCWD, filename, flags, path, null)
  putname(filename)
  return ret
})

/** makes a socket inode with a name; EEXIST */
export function mknod_socket(name: string, mode: number): dentry | number {
  if (names.has(name)) return -EEXIST
  const inode = new_inode_pseudo(shm_mnt.mnt_sb)
  if (inode === null) return -ENFILE
  inode.i_ino = get_next_ino()
  inode.i_mode = S_IFSOCK | mode
  inode.i_atime = inode.i_mtime = inode.i_ctime = current_time(inode)
  return named(name, inode)
}

function named(name: string, inode: inode): dentry {
  const d = d_alloc_named(shm_mnt.mnt_sb, name.slice(name.lastIndexOf('/') + 1), inode)
  names.set(name, d)
  return d
}

/** creates a regular file with contents, over one of that name; 0 or an error */
export function create_file(name: string, length: number, what: contents): number {
  const inode = shmem_new_file(length, what)
  if (inode === null) return -ENFILE
  named(name, inode)
  return 0
}

/** open(2) of a file that is there, for reading; a descriptor or an error */
export function do_sys_open(name: string, flags: number): number {
  const d = names.get(name)
  if (d === undefined) return -ENOENT
  d.d_count++
  const p = { mnt: mntget(shm_mnt), dentry: d }
  const inode = d.d_inode
  if (!inode?.i_fop) return inode && (inode.i_mode & S_IFMT) === S_IFSOCK ? -ENXIO : -EISDIR
  if ((flags & O_ACCMODE) !== O_RDONLY) return -EACCES
  const fd = get_unused_fd_flags(flags)
  if (fd < 0) return fd
  const file = alloc_empty_file(flags, current.cred as cred | null)
  if (IS_ERR(file)) {
    put_unused_fd(fd)
    return file
  }
  file_init_path(file, p, inode.i_fop)
  file.f_mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE
  if ((inode.i_mode & S_IFMT) === S_IFREG) file.f_mode |= FMODE_ATOMIC_POS
  const error = security_file_open(file)
  if (error) {
    fput(file)
    put_unused_fd(fd)
    return error
  }
  fd_install(fd, file)
  return fd
}
