import { kfunc } from '../../trace/kfunc.ts'
import type { pt_regs } from '../arch/x86/entry/common.ts'
import { EBADF, EINVAL } from '../include/linux/errno.ts'
import { FASYNC, type file, O_APPEND, O_CLOEXEC, O_DIRECT, O_NOATIME, O_NONBLOCK, S_IFIFO, S_IFMT } from '../include/linux/fs.ts'
import { spin_lock, spin_unlock } from '../kernel/locking/spinlock.ts'
import { security_file_fcntl } from '../security/security.ts'
import {
  f_dupfd,
  fd_install,
  fdget_raw,
  fdput,
  fget_raw,
  get_close_on_exec,
  get_unused_fd_flags,
  set_close_on_exec,
} from './file.ts'
import { fput } from './file_table.ts'

export const F_DUPFD = 0
export const F_GETFD = 1
export const F_SETFD = 2
export const F_GETFL = 3
export const F_SETFL = 4
export const F_DUPFD_CLOEXEC = 1030
const FD_CLOEXEC = 1
const SETFL_MASK = O_APPEND | O_NONBLOCK | FASYNC | O_DIRECT | O_NOATIME

/** nobody asked for signals from a file */
export const file_f_owner_release = kfunc('file_f_owner_release', (file: file): void => {})

/** nor for signals from a pipe */
export const kill_fasync = kfunc('kill_fasync', (_fp: unknown, _sig: number, _band: number): void => {})

function setfl(fd: number, filp: file, arg: number): number {
  if ((filp.f_inode.i_mode & S_IFMT) !== S_IFIFO && arg & O_DIRECT) return -EINVAL
  if ((arg ^ filp.f_flags) & FASYNC && filp.f_op.fasync) {
    const error = filp.f_op.fasync(fd, filp, arg & FASYNC ? 1 : 0)
    if (error < 0) return error
  }
  spin_lock(filp.f_lock)
  filp.f_flags = (arg & SETFL_MASK) | (filp.f_flags & ~SETFL_MASK)
  spin_unlock(filp.f_lock)
  return 0
}

function do_fcntl(fd: number, cmd: number, arg: number, filp: file): number {
  switch (cmd) {
    case F_DUPFD:
      return f_dupfd(arg >>> 0, filp, 0)
    case F_DUPFD_CLOEXEC:
      return f_dupfd(arg >>> 0, filp, O_CLOEXEC)
    case F_GETFD:
      return get_close_on_exec(fd) ? FD_CLOEXEC : 0
    case F_SETFD:
      set_close_on_exec(fd, arg & FD_CLOEXEC)
      return 0
    case F_GETFL:
      return filp.f_flags
    case F_SETFL:
      return setfl(fd, filp, arg)
    default:
      return -EINVAL
  }
}

export const __x64_sys_fcntl = kfunc('__x64_sys_fcntl', (regs: pt_regs): number => {
  const fd = regs.di >>> 0
  const f = fdget_raw(fd)
  if (f === null) return -EBADF
  let err = security_file_fcntl(f, regs.si >>> 0, regs.dx)
  if (!err) err = do_fcntl(fd, regs.si >>> 0, regs.dx, f)
  fdput(f)
  return err
})

export const __x64_sys_dup = kfunc('__x64_sys_dup', (regs: pt_regs): number => {
  const file = fget_raw(regs.di >>> 0)
  if (file === null) return -EBADF
  const ret = get_unused_fd_flags(0)
  if (ret >= 0) fd_install(ret, file)
  else fput(file)
  return ret
})
