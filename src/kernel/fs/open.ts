import { kfunc } from '../../trace/kfunc.ts'
import type { pt_regs } from '../arch/x86/entry/common.ts'
import { EBADF, EINTR, ERESTARTNOINTR, ERESTARTSYS } from '../include/linux/errno.ts'
import {
  FMODE_ATOMIC_POS,
  FMODE_LSEEK,
  FMODE_PATH,
  FMODE_PREAD,
  FMODE_PWRITE,
  FMODE_STREAM,
  type file,
  type inode,
} from '../include/linux/fs.ts'
import { current } from '../kernel/sched/core.ts'
import { file_close_fd } from './file.ts'
import { __fput_sync } from './file_table.ts'
import { dnotify_flush, locks_remove_posix } from './locks.ts'

const filp_flush = kfunc('filp_flush', (filp: file, id: unknown): number => {
  const retval = filp.f_op.flush ? filp.f_op.flush(filp) : 0
  if (!(filp.f_mode & FMODE_PATH)) {
    dnotify_flush(filp, id)
    locks_remove_posix(filp, id)
  }
  return retval
})

export const stream_open = kfunc('stream_open', (inode: inode, filp: file): number => {
  filp.f_mode &= ~(FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE | FMODE_ATOMIC_POS)
  filp.f_mode |= FMODE_STREAM
  return 0
})

function __do_sys_close(fd: number): number {
  const file = file_close_fd(fd)
  if (file === null) return -EBADF
  const retval = filp_flush(file, current.files)
  __fput_sync(file)
  return retval === -ERESTARTSYS || retval === -ERESTARTNOINTR ? -EINTR : retval
}
export const __x64_sys_close = kfunc('__x64_sys_close', (regs: pt_regs): number => __do_sys_close(regs.di >>> 0))
