import { kfunc } from '../../trace/kfunc.ts'
import { EACCES, EEXIST, EISDIR, ENFILE, ENOENT, ENXIO } from '../include/linux/errno.ts'
import {
  type cred,
  type dentry,
  FMODE_ATOMIC_POS,
  FMODE_LSEEK,
  FMODE_PREAD,
  FMODE_PWRITE,
  type inode,
  O_ACCMODE,
  O_RDONLY,
  type path,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from '../include/linux/fs.ts'
import { fs_initcall } from '../include/linux/init.ts'
import { IS_ERR } from '../include/linux/types.ts'
import { current } from '../kernel/sched/core.ts'
import { type contents, shm_mnt, shmem_new_file } from '../mm/shmem.ts'
import { security_file_open } from '../security/security.ts'
import { d_alloc_named, dput } from './dcache.ts'
import { fd_install, get_unused_fd_flags, put_unused_fd } from './file.ts'
import { alloc_empty_file, file_init_path, fput } from './file_table.ts'
import { get_next_ino, new_inode_pseudo } from './inode.ts'
import { mntget, mntput } from './namespace.ts'

// The file tree: as much of it as sockets need. Names are whole paths; everything lies on one tmpfs.

let names = new Map<string, dentry>()

fs_initcall(() => {
  names = new Map()
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

/** looks a path up, with references: path_put() it. ENOENT */
export function kern_path(name: string): path | number {
  const d = names.get(name)
  if (d === undefined) return -ENOENT
  d.d_count++
  return { mnt: mntget(shm_mnt), dentry: d }
}

/** makes a socket inode with a name; EEXIST */
export function mknod_socket(name: string, mode: number): dentry | number {
  if (names.has(name)) return -EEXIST
  const inode = new_inode_pseudo(shm_mnt.mnt_sb)
  if (inode === null) return -ENFILE
  inode.i_ino = get_next_ino()
  inode.i_mode = S_IFSOCK | mode
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
  const p = kern_path(name)
  if (IS_ERR(p)) return p
  const inode = p.dentry?.d_inode
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
