import { kfunc, nameOf } from '../../trace/kfunc.ts'
import { traceIndirect, tracer } from '../../trace/tracer.ts'
import type { pt_regs } from '../arch/x86/entry/common.ts'
import { EBADF, EFAULT, EINVAL, EOVERFLOW, ESPIPE } from '../include/linux/errno.ts'
import {
  FMODE_CAN_READ,
  FMODE_CAN_WRITE,
  FMODE_PREAD,
  FMODE_READ,
  FMODE_STREAM,
  FMODE_WRITE,
  type file,
  kiocb,
  O_NONBLOCK,
} from '../include/linux/fs.ts'
import { access_ok } from '../include/linux/mm.ts'
import type { ref } from '../include/linux/types.ts'
import { ITER_DEST, ITER_SOURCE, iov_iter, iov_iter_count, type iovec, MAX_RW_COUNT, UIO_FASTIOV } from '../include/linux/uio.ts'
import { import_iovec, iov_iter_ubuf } from '../lib/iov_iter.ts'
import { _copy_from_user, put_user } from '../lib/usercopy.ts'
import { kfree } from '../mm/slub.ts'
import { security_file_permission } from '../security/security.ts'
import { fdget, fdget_pos, fdput, fdput_pos } from './file.ts'
import { get_pipe_info } from './pipe.ts'
import { do_splice_direct, SPLICE_F_NONBLOCK, splice_file_to_pipe } from './splice.ts'

export const READ = 0
export const WRITE = 1
const MAY_WRITE = 2
const MAY_READ = 4
const MAX_LFS_FILESIZE = Number.MAX_SAFE_INTEGER

export const rw_verify_area = kfunc(
  'rw_verify_area',
  (read_write: number, file: file, ppos: ref<number> | null, count: number): number => {
    if (count < 0 || count >= 2 ** 63) return -EINVAL
    if (ppos !== null && ppos.v < 0) return -EINVAL
    return security_file_permission(file, read_write === READ ? MAY_READ : MAY_WRITE)
  },
)

const new_sync_read = kfunc('new_sync_read', (filp: file, buf: number, len: number, ppos: ref<number> | null): number => {
  const { read_iter } = filp.f_op
  if (!read_iter) return -EINVAL
  const iocb = new kiocb(filp)
  const iter = new iov_iter()
  iocb.ki_pos = ppos === null ? 0 : ppos.v
  iov_iter_ubuf(iter, ITER_DEST, buf, len)
  if (tracer.on) traceIndirect('filp->f_op->read_iter', nameOf(read_iter))
  const ret = read_iter(iocb, iter)
  if (ppos !== null) ppos.v = iocb.ki_pos
  return ret
})

export const vfs_read = kfunc('vfs_read', (file: file, buf: number, size: number, pos: ref<number> | null): number => {
  if (!(file.f_mode & FMODE_READ)) return -EBADF
  if (!(file.f_mode & FMODE_CAN_READ)) return -EINVAL
  if (!access_ok(buf, size)) return -EFAULT
  const ret = rw_verify_area(READ, file, pos, size)
  if (ret) return ret
  return new_sync_read(file, buf, Math.min(size, MAX_RW_COUNT), pos)
})

const new_sync_write = kfunc('new_sync_write', (filp: file, buf: number, len: number, ppos: ref<number> | null): number => {
  const { write_iter } = filp.f_op
  if (!write_iter) return -EINVAL
  const iocb = new kiocb(filp)
  const iter = new iov_iter()
  iocb.ki_pos = ppos === null ? 0 : ppos.v
  iov_iter_ubuf(iter, ITER_SOURCE, buf, len)
  if (tracer.on) traceIndirect('filp->f_op->write_iter', nameOf(write_iter))
  const ret = write_iter(iocb, iter)
  if (ret > 0 && ppos !== null) ppos.v = iocb.ki_pos
  return ret
})

export const vfs_write = kfunc('vfs_write', (file: file, buf: number, size: number, pos: ref<number> | null): number => {
  if (!(file.f_mode & FMODE_WRITE)) return -EBADF
  if (!(file.f_mode & FMODE_CAN_WRITE)) return -EINVAL
  if (!access_ok(buf, size)) return -EFAULT
  const ret = rw_verify_area(WRITE, file, pos, size)
  if (ret) return ret
  return new_sync_write(file, buf, Math.min(size, MAX_RW_COUNT), pos)
})

/** where the file is, or null for one that has no position */
const file_ppos = kfunc('file_ppos', (file: file): ref<number> | null => (file.f_mode & FMODE_STREAM ? null : { v: file.f_pos }))

export const ksys_read = kfunc('ksys_read', (fd: number, buf: number, count: number): number => {
  const f = fdget_pos(fd)
  if (f === null) return -EBADF
  const ppos = file_ppos(f)
  const ret = vfs_read(f, buf, count, ppos)
  if (ret >= 0 && ppos !== null) f.f_pos = ppos.v
  fdput_pos(f)
  return ret
})

export const ksys_write = kfunc('ksys_write', (fd: number, buf: number, count: number): number => {
  const f = fdget_pos(fd)
  if (f === null) return -EBADF
  const ppos = file_ppos(f)
  const ret = vfs_write(f, buf, count, ppos)
  if (ret >= 0 && ppos !== null) f.f_pos = ppos.v
  fdput_pos(f)
  return ret
})

const do_iter_readv_writev = kfunc(
  'do_iter_readv_writev',
  (filp: file, iter: iov_iter, ppos: ref<number> | null, type: number, flags: number): number => {
    const f = type === READ ? filp.f_op.read_iter : filp.f_op.write_iter
    if (!f) return -EINVAL
    const iocb = new kiocb(filp)
    iocb.ki_pos = ppos === null ? 0 : ppos.v
    if (tracer.on) traceIndirect(type === READ ? 'filp->f_op->read_iter' : 'filp->f_op->write_iter', nameOf(f))
    const ret = f(iocb, iter)
    if (ppos !== null) ppos.v = iocb.ki_pos
    return ret
  },
)

const vfs_readv = kfunc('vfs_readv', (file: file, vec: number, vlen: number, pos: ref<number> | null, flags: number): number => {
  if (!(file.f_mode & FMODE_READ)) return -EBADF
  if (!(file.f_mode & FMODE_CAN_READ)) return -EINVAL
  const iov: ref<iovec[] | null> = { v: [] }
  const iter = new iov_iter()
  let ret = import_iovec(ITER_DEST, vec, vlen, UIO_FASTIOV, iov, iter)
  if (ret < 0) return ret
  const tot_len = iov_iter_count(iter)
  if (tot_len) {
    ret = rw_verify_area(READ, file, pos, tot_len)
    if (ret >= 0) ret = do_iter_readv_writev(file, iter, pos, READ, flags)
  }
  kfree(iov.v)
  return ret
})

const vfs_writev = kfunc(
  'vfs_writev',
  (file: file, vec: number, vlen: number, pos: ref<number> | null, flags: number): number => {
    if (!(file.f_mode & FMODE_WRITE)) return -EBADF
    if (!(file.f_mode & FMODE_CAN_WRITE)) return -EINVAL
    const iov: ref<iovec[] | null> = { v: [] }
    const iter = new iov_iter()
    let ret = import_iovec(ITER_SOURCE, vec, vlen, UIO_FASTIOV, iov, iter)
    if (ret < 0) return ret
    const tot_len = iov_iter_count(iter)
    if (tot_len) {
      ret = rw_verify_area(WRITE, file, pos, tot_len)
      if (ret >= 0) ret = do_iter_readv_writev(file, iter, pos, WRITE, flags)
    }
    kfree(iov.v)
    return ret
  },
)

const do_readv = kfunc('do_readv', (fd: number, vec: number, vlen: number, flags: number): number => {
  const f = fdget_pos(fd)
  if (f === null) return -EBADF
  const ppos = file_ppos(f)
  const ret = vfs_readv(f, vec, vlen, ppos, flags)
  if (ret >= 0 && ppos !== null) f.f_pos = ppos.v
  fdput_pos(f)
  return ret
})

const do_writev = kfunc('do_writev', (fd: number, vec: number, vlen: number, flags: number): number => {
  const f = fdget_pos(fd)
  if (f === null) return -EBADF
  const ppos = file_ppos(f)
  const ret = vfs_writev(f, vec, vlen, ppos, flags)
  if (ret >= 0 && ppos !== null) f.f_pos = ppos.v
  fdput_pos(f)
  return ret
})

/** the input and the output, both open for it */
function sendfile_to(input: file, out: file, ppos: ref<number> | null, len: number, max: number): number {
  if (!(out.f_mode & FMODE_WRITE)) return -EBADF
  const pos: ref<number> = ppos ?? { v: input.f_pos }
  const out_pos: ref<number> = { v: out.f_pos }
  const limit = max || MAX_LFS_FILESIZE
  let count = len
  let retval: number
  if (pos.v + count > limit) {
    if (pos.v >= limit) return -EOVERFLOW
    count = limit - pos.v
  }
  const opipe = get_pipe_info(out, true)
  if (opipe === null) {
    retval = rw_verify_area(WRITE, out, out_pos, count)
    if (retval < 0) return retval
    retval = do_splice_direct(input, pos, out, out_pos, count, 0)
  } else retval = splice_file_to_pipe(input, opipe, pos, count, out.f_flags & O_NONBLOCK ? SPLICE_F_NONBLOCK : 0)
  if (retval > 0) {
    out.f_pos = out_pos.v
    if (ppos === null) input.f_pos = pos.v
  }
  return pos.v > limit ? -EOVERFLOW : retval
}

const do_sendfile = kfunc(
  'do_sendfile',
  (out_fd: number, in_fd: number, ppos: ref<number> | null, size: number, max: number): number => {
    const input = fdget(in_fd)
    if (input === null) return -EBADF
    let retval = -EBADF
    if (input.f_mode & FMODE_READ) {
      retval = -ESPIPE
      if (ppos === null || input.f_mode & FMODE_PREAD) {
        retval = rw_verify_area(READ, input, ppos ?? { v: input.f_pos }, size)
        if (retval >= 0) {
          const out = fdget(out_fd)
          retval = -EBADF
          if (out !== null) {
            retval = sendfile_to(input, out, ppos, Math.min(size, MAX_RW_COUNT), max)
            fdput(out)
          }
        }
      }
    }
    fdput(input)
    return retval
  },
)

const loff = new Uint8Array(8)
const loff_view = new DataView(loff.buffer)

function sendfile64(out_fd: number, in_fd: number, offset: number, count: number): number {
  if (!offset) return do_sendfile(out_fd, in_fd, null, count, 0)
  if (_copy_from_user(loff, offset, 8)) return -EFAULT
  const pos = { v: Number(loff_view.getBigInt64(0, true)) }
  const ret = do_sendfile(out_fd, in_fd, pos, count, 0)
  return put_user(pos.v, offset, 8) ? -EFAULT : ret
}

const __do_sys_read = kfunc('__do_sys_read', (fd: number, buf: number, count: number): number => ksys_read(fd, buf, count))
const __se_sys_read = kfunc('__se_sys_read', (fd: number, buf: number, count: number): number =>
  __do_sys_read(fd >>> 0, buf, count),
)
export const __x64_sys_read = kfunc('__x64_sys_read', (regs: pt_regs): number => __se_sys_read(regs.di, regs.si, regs.dx))

const __do_sys_write = kfunc('__do_sys_write', (fd: number, buf: number, count: number): number => ksys_write(fd, buf, count))
const __se_sys_write = kfunc('__se_sys_write', (fd: number, buf: number, count: number): number =>
  __do_sys_write(fd >>> 0, buf, count),
)
export const __x64_sys_write = kfunc('__x64_sys_write', (regs: pt_regs): number => __se_sys_write(regs.di, regs.si, regs.dx))

const __do_sys_readv = kfunc('__do_sys_readv', (fd: number, vec: number, vlen: number): number => do_readv(fd, vec, vlen, 0))
const __se_sys_readv = kfunc('__se_sys_readv', (fd: number, vec: number, vlen: number): number => __do_sys_readv(fd, vec, vlen))
export const __x64_sys_readv = kfunc('__x64_sys_readv', (regs: pt_regs): number => __se_sys_readv(regs.di, regs.si, regs.dx))

const __do_sys_writev = kfunc('__do_sys_writev', (fd: number, vec: number, vlen: number): number => do_writev(fd, vec, vlen, 0))
const __se_sys_writev = kfunc('__se_sys_writev', (fd: number, vec: number, vlen: number): number =>
  __do_sys_writev(fd, vec, vlen),
)
export const __x64_sys_writev = kfunc('__x64_sys_writev', (regs: pt_regs): number => __se_sys_writev(regs.di, regs.si, regs.dx))

const __do_sys_sendfile64 = kfunc('__do_sys_sendfile64', (out_fd: number, in_fd: number, offset: number, count: number): number =>
  sendfile64(out_fd, in_fd, offset, count),
)
const __se_sys_sendfile64 = kfunc('__se_sys_sendfile64', (out_fd: number, in_fd: number, offset: number, count: number): number =>
  __do_sys_sendfile64(out_fd | 0, in_fd | 0, offset, count),
)
export const __x64_sys_sendfile64 = kfunc('__x64_sys_sendfile64', (regs: pt_regs): number =>
  __se_sys_sendfile64(regs.di, regs.si, regs.dx, regs.r10),
)
