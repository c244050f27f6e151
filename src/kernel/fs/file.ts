import { kfunc } from '../../trace/kfunc.ts'
import { EINVAL, EMFILE } from '../include/linux/errno.ts'
import { FMODE_ATOMIC_POS, FMODE_PATH, fdtable, type file, type files_struct, O_CLOEXEC } from '../include/linux/fs.ts'
import { GFP_KERNEL_ACCOUNT } from '../include/linux/slab.ts'
import { IS_ERR, roundup_pow_of_two } from '../include/linux/types.ts'
import { mutex_lock, mutex_unlock } from '../kernel/locking/mutex.ts'
import { spin_lock, spin_unlock } from '../kernel/locking/spinlock.ts'
import { call_rcu } from '../kernel/rcu.ts'
import { current } from '../kernel/sched/core.ts'
import { put_user } from '../lib/usercopy.ts'
import { kfree, kmalloc, kvfree, kvmalloc } from '../mm/slub.ts'
import { __receive_sock } from '../net/core/sock.ts'
import { security_file_receive } from '../security/security.ts'
import { get_file } from './file_table.ts'

/** RLIMIT_NOFILE of the simulated processes */
export const NOFILE = 1024
const sysctl_nr_open = 1048576

const current_files = (): files_struct => current.files as files_struct

const free_fdtable_rcu = kfunc('free_fdtable_rcu', (fdt: object): void => {
  kvfree(fdt)
  kfree(fdt)
})

const copy_fdtable = kfunc('copy_fdtable', (nfdt: fdtable, ofdt: fdtable): void => {
  for (let i = 0; i < ofdt.max_fds; i++) {
    nfdt.fd[i] = ofdt.fd[i] ?? null
    nfdt.open_fds[i] = ofdt.open_fds[i] ?? false
    nfdt.close_on_exec[i] = ofdt.close_on_exec[i] ?? false
  }
})

const alloc_fdtable = kfunc('alloc_fdtable', (slots_wanted: number): fdtable | number => {
  const nr = roundup_pow_of_two(slots_wanted)
  if (nr > sysctl_nr_open) return -EMFILE
  kmalloc(56, GFP_KERNEL_ACCOUNT)
  kvmalloc(nr * 8, GFP_KERNEL_ACCOUNT)
  kvmalloc(Math.max((2 * nr) / 8 + 8, 64), GFP_KERNEL_ACCOUNT)
  return new fdtable(nr)
})

const expand_fdtable = kfunc('expand_fdtable', (files: files_struct, nr: number): number => {
  spin_unlock(files.file_lock)
  const new_fdt = alloc_fdtable(nr + 1)
  spin_lock(files.file_lock)
  if (IS_ERR(new_fdt)) return new_fdt
  const cur_fdt = files.fdt
  copy_fdtable(new_fdt, cur_fdt)
  files.fdt = new_fdt
  if (cur_fdt.max_fds > 64) call_rcu(cur_fdt, free_fdtable_rcu)
  return 1
})

/** makes room for descriptor `nr`: 0 when there is room already, 1 when the table grew, or an error */
const expand_files = kfunc('expand_files', (files: files_struct, nr: number): number => {
  if (nr < files.fdt.max_fds) return 0
  if (nr >= sysctl_nr_open) return -EMFILE
  return expand_fdtable(files, nr)
})

const find_next_fd = kfunc('find_next_fd', (fdt: fdtable, start: number): number => {
  for (let fd = start; fd < fdt.max_fds; fd++) if (!fdt.open_fds[fd]) return fd
  return fdt.max_fds
})

const alloc_fd = kfunc('alloc_fd', (start: number, end: number, flags: number): number => {
  const files = current_files()
  let error: number

  spin_lock(files.file_lock)
  while (true) {
    let fd = start
    if (fd < files.next_fd) fd = files.next_fd
    if (fd < files.fdt.max_fds) fd = find_next_fd(files.fdt, fd)

    error = -EMFILE
    if (fd >= end) break
    error = expand_files(files, fd)
    if (error < 0) break
    if (error) continue

    if (start <= files.next_fd) files.next_fd = fd + 1
    files.fdt.open_fds[fd] = true
    files.fdt.close_on_exec[fd] = (flags & O_CLOEXEC) !== 0
    error = fd
    break
  }
  spin_unlock(files.file_lock)
  return error
})

/** reserves the lowest free descriptor of the process; EMFILE when it has too many */
export const get_unused_fd_flags = kfunc('get_unused_fd_flags', (flags: number): number => alloc_fd(0, NOFILE, flags))

const __put_unused_fd = kfunc('__put_unused_fd', (files: files_struct, fd: number): void => {
  files.fdt.open_fds[fd] = false
  if (fd < files.next_fd) files.next_fd = fd
})

export const put_unused_fd = kfunc('put_unused_fd', (fd: number): void => {
  const files = current_files()
  spin_lock(files.file_lock)
  __put_unused_fd(files, fd)
  spin_unlock(files.file_lock)
})

export const fd_install = kfunc('fd_install', (fd: number, file: file): void => {
  current_files().fdt.fd[fd] = file
})

const file_close_fd_locked = kfunc('file_close_fd_locked', (files: files_struct, fd: number): file | null => {
  if (fd >= files.fdt.max_fds) return null
  const file = files.fdt.fd[fd] ?? null
  if (file !== null) {
    files.fdt.fd[fd] = null
    __put_unused_fd(files, fd)
  }
  return file
})

/** takes a descriptor out of the table; null when it was not open. The caller has the reference. */
export const file_close_fd = kfunc('file_close_fd', (fd: number): file | null => {
  const files = current_files()
  spin_lock(files.file_lock)
  const file = file_close_fd_locked(files, fd)
  spin_unlock(files.file_lock)
  return file
})

/** a process does not share its table with threads: the reference is borrowed */
const __fget_light = kfunc('__fget_light', (fd: number, mask: number): file | null => {
  const file = current_files().fdt.fd[fd] ?? null
  return file === null || file.f_mode & mask ? null : file
})

/** the file behind a descriptor, or null. What Linux calls struct fd is the file itself here. */
export const fdget = kfunc('fdget', (fd: number): file | null => __fget_light(fd, FMODE_PATH))
export const fdget_raw = kfunc('fdget_raw', (fd: number): file | null => __fget_light(fd, 0))

const __fget = kfunc('__fget', (fd: number, mask: number): file | null => {
  const file = current_files().fdt.fd[fd] ?? null
  return file === null || file.f_mode & mask ? null : get_file(file)
})
export const fget_raw = kfunc('fget_raw', (fd: number): file | null => __fget(fd, 0))

const file_needs_f_pos_lock = kfunc(
  'file_needs_f_pos_lock',
  (file: file): boolean => (file.f_mode & FMODE_ATOMIC_POS) !== 0 && file.f_count > 1,
)

export const fdget_pos = kfunc('fdget_pos', (fd: number): file | null => {
  const f = __fget_light(fd, FMODE_PATH)
  if (f !== null && file_needs_f_pos_lock(f)) mutex_lock(f.f_pos_lock)
  return f
})

export const __f_unlock_pos = kfunc('__f_unlock_pos', (f: file): void => mutex_unlock(f.f_pos_lock))

export const fdput = kfunc('fdput', (f: file): void => {})
export const fdput_pos = kfunc('fdput_pos', (f: file): void => {
  if (f.f_pos_lock.owned) __f_unlock_pos(f)
  fdput(f)
})
/** CLASS(fd, f)(fd): the descriptor for the time of one call */
export const class_fd_constructor = kfunc('class_fd_constructor', (fd: number): file | null => fdget(fd))
export const class_fd_destructor = kfunc('class_fd_destructor', (f: file): void => fdput(f))

export const set_close_on_exec = kfunc('set_close_on_exec', (fd: number, flag: number): void => {
  const files = current_files()
  spin_lock(files.file_lock)
  files.fdt.close_on_exec[fd] = flag !== 0
  spin_unlock(files.file_lock)
})
export const get_close_on_exec = kfunc(
  'get_close_on_exec',
  (fd: number): boolean => current_files().fdt.close_on_exec[fd] ?? false,
)

export const f_dupfd = kfunc('f_dupfd', (from: number, file: file, flags: number): number => {
  if (from >= NOFILE) return -EINVAL
  const err = alloc_fd(from, NOFILE, flags)
  if (err >= 0) fd_install(err, get_file(file))
  return err
})

/** gives a file that came with a message to the process, and writes the new descriptor to `ufd` in user memory (0: nowhere) */
export const receive_fd = kfunc('receive_fd', (file: file, ufd: number, o_flags: number): number => {
  const error = security_file_receive(file)
  if (error) return error
  const new_fd = get_unused_fd_flags(o_flags)
  if (new_fd < 0) return new_fd
  if (ufd) {
    const err = put_user(new_fd, ufd, 4)
    if (err) {
      put_unused_fd(new_fd)
      return err
    }
  }
  fd_install(new_fd, get_file(file))
  __receive_sock(file)
  return new_fd
})
