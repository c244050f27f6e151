import type { page } from './mm_types.ts'
import { mutex, rw_semaphore } from './mutex.ts'
import type { pipe_inode_info } from './pipe_fs_i.ts'
import { spinlock_t } from './spinlock.ts'
import type { ref } from './types.ts'
import type { iov_iter } from './uio.ts'

export const O_ACCMODE = 3
export const O_RDONLY = 0
export const O_WRONLY = 1
export const O_RDWR = 2
export const O_CREAT = 0o100
export const O_EXCL = 0o200
export const O_NOCTTY = 0o400
export const O_TRUNC = 0o1000
export const O_APPEND = 0o2000
export const O_NONBLOCK = 0o4000
export const O_DSYNC = 0o10000
export const FASYNC = 0o20000
export const O_DIRECT = 0o40000
export const O_LARGEFILE = 0o100000
export const O_DIRECTORY = 0o200000
export const O_NOFOLLOW = 0o400000
export const O_NOATIME = 0o1000000
export const O_CLOEXEC = 0o2000000
export const O_PATH = 0o10000000
export const O_NOTIFICATION_PIPE = O_EXCL

export const FMODE_READ = 1
export const FMODE_WRITE = 2
export const FMODE_LSEEK = 4
export const FMODE_PREAD = 8
export const FMODE_PWRITE = 0x10
export const FMODE_STREAM = 0x200000
export const FMODE_CAN_READ = 0x20000
export const FMODE_CAN_WRITE = 0x40000
export const FMODE_OPENED = 0x80000
export const FMODE_ATOMIC_POS = 0x8000
export const FMODE_PATH = 0x4000
export const FMODE_NOWAIT = 0x8000000

export const IOCB_NOWAIT = 8

export const MAY_EXEC = 1
export const MAY_WRITE = 2

export const IOP_FASTPERM = 1

export const S_IFMT = 0o170000
export const S_IFSOCK = 0o140000
export const S_IFREG = 0o100000
export const S_IFDIR = 0o040000
export const S_IFIFO = 0o010000
export const S_IRWXUGO = 0o777
export const S_NOATIME = 2

export const I_DIRTY_SYNC = 1
/** its times, what else it says, and its pages */
export const I_DIRTY = 7
export const I_NEW = 8
export const I_FREEING = 0x20
export const I_CLEAR = 0x40

/** include/linux/fs.h struct super_block, as far as pseudo file systems and tmpfs need it */
export class super_block {
  s_type: string
  s_time_gran = 1
  s_op: super_operations
  s_d_op: dentry_operations | null
  s_flags = 0

  constructor(s_type: string, s_op: super_operations, s_d_op: dentry_operations | null) {
    this.s_type = s_type
    this.s_op = s_op
    this.s_d_op = s_d_op
  }
}

export interface super_operations {
  alloc_inode?: (sb: super_block) => inode | null
  free_inode?: (inode: inode) => void
  evict_inode?: (inode: inode) => void
}

export interface dentry_operations {
  d_dname?: (dentry: dentry) => string
}

export class vfsmount {
  readonly mnt_sb: super_block
  mnt_count = 1
  mnt_flags = 0
  constructor(sb: super_block) {
    this.mnt_sb = sb
  }
}

/** include/linux/backing-dev-defs.h struct bdi_writeback: who writes inodes back */
export class bdi_writeback {
  readonly list_lock: spinlock_t = new spinlock_t()
}

/** include/linux/fs.h struct inode */
export class inode {
  i_mode = 0
  i_uid = 0
  i_gid = 0
  i_flags = 0
  i_sb!: super_block
  i_ino = 0
  i_size = 0
  i_nlink = 1
  i_count = 1
  i_state = 0
  i_opflags = 0
  i_wb: bdi_writeback | null = null
  /** microseconds since 1970 */
  i_atime = 0
  i_mtime = 0
  i_ctime = 0
  readonly i_lock: spinlock_t = new spinlock_t()
  readonly i_rwsem: rw_semaphore = new rw_semaphore()
  i_mapping: address_space | null = null
  i_fop: file_operations | null = null
  i_pipe: pipe_inode_info | null = null
  i_security: object | null = null
  /** the socket beside it (struct socket_alloc) */
  i_private: unknown = null
}

/** pages of a file by index */
export class address_space {
  readonly host: inode
  readonly i_pages: Map<number, page> = new Map()
  readonly invalidate_lock: rw_semaphore = new rw_semaphore()
  constructor(host: inode) {
    this.host = host
  }
}

export class dentry {
  d_flags = 0
  d_name: string
  d_inode: inode | null = null
  d_parent: dentry
  d_count = 1
  d_op: dentry_operations | null = null
  readonly d_sb: super_block
  readonly d_lock: spinlock_t = new spinlock_t()
  constructor(name: string, sb: super_block) {
    this.d_name = name
    this.d_sb = sb
    this.d_parent = this
  }
}

export interface path {
  mnt: vfsmount | null
  dentry: dentry | null
}

/** include/linux/fs.h struct kiocb */
export class kiocb {
  ki_filp: file
  ki_pos = 0
  ki_flags = 0
  constructor(filp: file) {
    this.ki_filp = filp
    this.ki_flags = filp.f_iocb_flags
  }
}

/** include/linux/fs.h struct file */
export class file {
  f_count = 1
  readonly f_lock: spinlock_t = new spinlock_t()
  f_mode = 0
  f_op!: file_operations
  f_mapping: address_space | null = null
  private_data: unknown = null
  f_inode!: inode
  f_flags = 0
  f_iocb_flags = 0
  f_cred: cred | null = null
  f_path: path = { mnt: null, dentry: null }
  f_pos = 0
  readonly f_pos_lock: mutex = new mutex()
  f_security: object | null = null
  f_owner: unknown = null
  f_ep: unknown = null
}

export interface file_operations {
  name: string
  llseek?: (file: file, offset: number, whence: number) => number
  read_iter?: (iocb: kiocb, to: iov_iter) => number
  write_iter?: (iocb: kiocb, from: iov_iter) => number
  unlocked_ioctl?: (file: file, cmd: number, arg: number) => number
  open?: (inode: inode, file: file) => number
  flush?: (file: file) => number
  release?: (inode: inode, file: file) => number
  fasync?: (fd: number, file: file, on: number) => number
  splice_write?: (pipe: pipe_inode_info, out: file, ppos: ref<number> | null, len: number, flags: number) => number
  splice_read?: (input: file, ppos: ref<number> | null, pipe: pipe_inode_info, len: number, flags: number) => number
  splice_eof?: (file: file) => void
}

export interface cred {
  uid: number
  gid: number
  euid: number
  egid: number
  fsuid: number
  fsgid: number
  usage: number
}

/** include/linux/fdtable.h struct fdtable; bits of the sets are arrays of booleans */
export class fdtable {
  max_fds: number
  fd: (file | null)[]
  close_on_exec: boolean[]
  open_fds: boolean[]
  constructor(max_fds: number) {
    this.max_fds = max_fds
    this.fd = new Array(max_fds).fill(null)
    this.close_on_exec = new Array(max_fds).fill(false)
    this.open_fds = new Array(max_fds).fill(false)
  }
}

/** include/linux/fdtable.h struct files_struct: the open files of a process */
export class files_struct {
  count = 1
  fdt: fdtable = new fdtable(64)
  readonly file_lock: spinlock_t = new spinlock_t()
  next_fd = 0
}

export const d_inode = (d: dentry): inode | null => d.d_inode
export const i_size_read = (i: inode): number => i.i_size
