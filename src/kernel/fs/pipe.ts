import { kfunc } from '../../trace/kfunc.ts'
import type { pt_regs } from '../arch/x86/entry/common.ts'
import { EAGAIN, EFAULT, EINVAL, ENFILE, EPIPE, ERESTARTSYS } from '../include/linux/errno.ts'
import {
  type cred,
  FMODE_NOWAIT,
  FMODE_READ,
  FMODE_WRITE,
  type file,
  type file_operations,
  I_DIRTY,
  IOCB_NOWAIT,
  type inode,
  type kiocb,
  O_CLOEXEC,
  O_DIRECT,
  O_NONBLOCK,
  O_NOTIFICATION_PIPE,
  O_RDONLY,
  O_WRONLY,
  S_IFIFO,
  super_block,
  vfsmount,
} from '../include/linux/fs.ts'
import { fs_initcall } from '../include/linux/init.ts'
import {
  PIPE_BUF_FLAG_CAN_MERGE,
  PIPE_BUF_FLAG_PACKET,
  PIPE_DEF_BUFFERS,
  type pipe_buf_operations,
  pipe_buffer,
  pipe_empty,
  pipe_full,
  pipe_inode_info,
} from '../include/linux/pipe_fs_i.ts'
import { TASK_INTERRUPTIBLE } from '../include/linux/sched.ts'
import { __GFP_ACCOUNT, GFP_HIGHUSER, GFP_KERNEL_ACCOUNT } from '../include/linux/slab.ts'
import { IS_ERR } from '../include/linux/types.ts'
import { type iov_iter, iov_iter_count } from '../include/linux/uio.ts'
import { EPOLLIN, EPOLLOUT, EPOLLRDNORM, EPOLLWRNORM, wait_queue_entry, type wait_queue_head } from '../include/linux/wait.ts'
import { mutex_init, mutex_lock, mutex_unlock } from '../kernel/locking/mutex.ts'
import { spin_lock, spin_unlock } from '../kernel/locking/spinlock.ts'
import { current, schedule, signal_pending } from '../kernel/sched/core.ts'
import {
  finish_wait,
  init_wait_entry,
  init_waitqueue_head,
  prepare_to_wait_event,
  wake_up_interruptible_all,
  wake_up_interruptible_sync_poll,
} from '../kernel/sched/wait.ts'
import { SIGIO, SIGPIPE, send_sig } from '../kernel/signal.ts'
import { copy_page_from_iter, copy_page_to_iter } from '../lib/iov_iter.ts'
import { _copy_to_user } from '../lib/usercopy.ts'
import { __free_pages, alloc_page, put_page } from '../mm/page_alloc.ts'
import { kcalloc, kfree, kzalloc } from '../mm/slub.ts'
import { kill_fasync } from './fcntl.ts'
import { fd_install, get_unused_fd_flags, put_unused_fd } from './file.ts'
import { alloc_file_clone, alloc_file_pseudo, fput } from './file_table.ts'
import { file_accessed, file_update_time, get_next_ino, iput, new_inode_pseudo } from './inode.ts'
import { simple_inode_init_ts } from './libfs.ts'
import { stream_open } from './open.ts'
import { pipe_buf, pipe_buf_confirm, pipe_buf_release } from './splice.ts'

const PAGE_SIZE = 4096
const SIZEOF_PIPE = 192
const SIZEOF_PIPE_BUFFER = 40
const WQ_FLAG_EXCLUSIVE = 1
/** what a signal is about */
export const POLL_IN = 1
export const POLL_OUT = 2

let pipe_mnt: vfsmount

export const pipe_lock = kfunc('pipe_lock', (pipe: pipe_inode_info): void => {
  // the pipe inside sendfile() has no file and no other user
  if (pipe.files) mutex_lock(pipe.mutex)
})
export const pipe_unlock = kfunc('pipe_unlock', (pipe: pipe_inode_info): void => {
  if (pipe.files) mutex_unlock(pipe.mutex)
})

const anon_pipe_buf_release = kfunc('anon_pipe_buf_release', (pipe: pipe_inode_info, buf: pipe_buffer): void => {
  const { page } = buf
  if (page === null) return
  if (page._refcount === 1 && pipe.tmp_page[0] === null) pipe.tmp_page[0] = page
  else put_page(page)
})

const anon_pipe_buf_ops: pipe_buf_operations = {
  release: anon_pipe_buf_release,
  get: (pipe, buf) => {
    if (buf.page !== null) buf.page._refcount++
    return true
  },
}

/** wait_event_interruptible_exclusive() */
function wait_event(wq: wait_queue_head, condition: () => boolean, exclusive: number): number {
  if (condition()) return 0
  const entry = new wait_queue_entry()
  init_wait_entry(entry, exclusive)
  let ret = 0
  while (true) {
    const int = prepare_to_wait_event(wq, entry, TASK_INTERRUPTIBLE)
    if (condition()) break
    if (int) {
      ret = int
      break
    }
    schedule()
  }
  finish_wait(wq, entry)
  return ret
}

const readable = (pipe: pipe_inode_info): boolean => !pipe_empty(pipe.head, pipe.tail) || !pipe.writers
const writable = (pipe: pipe_inode_info): boolean => !pipe_full(pipe.head, pipe.tail, pipe.max_usage) || !pipe.readers

export const pipe_wait_readable = kfunc('pipe_wait_readable', (pipe: pipe_inode_info): void => {
  pipe_unlock(pipe)
  wait_event(pipe.rd_wait, () => readable(pipe), 0)
  pipe_lock(pipe)
})
export const pipe_wait_writable = kfunc('pipe_wait_writable', (pipe: pipe_inode_info): void => {
  pipe_unlock(pipe)
  wait_event(pipe.wr_wait, () => writable(pipe), 0)
  pipe_lock(pipe)
})

const pipe_read = kfunc('pipe_read', (iocb: kiocb, to: iov_iter): number => {
  const filp = iocb.ki_filp
  const pipe = filp.private_data as pipe_inode_info
  let total_len = iov_iter_count(to)
  let wake_next_reader = false
  let ret = 0

  if (total_len === 0) return 0
  mutex_lock(pipe.mutex)
  let was_full = pipe_full(pipe.head, pipe.tail, pipe.max_usage)
  while (true) {
    if (!pipe_empty(pipe.head, pipe.tail)) {
      const buf = pipe_buf(pipe, pipe.tail)
      const chars = Math.min(buf.len, total_len)
      const error = pipe_buf_confirm(pipe, buf)
      if (error) {
        if (!ret) ret = error
        break
      }
      if (buf.page !== null && chars) {
        const written = copy_page_to_iter(buf.page, buf.offset, chars, to)
        if (written < chars) {
          if (!ret) ret = -EFAULT
          break
        }
      }
      ret += chars
      buf.offset += chars
      buf.len -= chars
      if (buf.flags & PIPE_BUF_FLAG_PACKET) {
        total_len = chars
        buf.len = 0
      }
      if (!buf.len) {
        pipe_buf_release(pipe, buf)
        pipe.tail = (pipe.tail + 1) >>> 0
      }
      total_len -= chars
      if (!total_len) break
      if (!pipe_empty(pipe.head, pipe.tail)) continue
    }
    if (!pipe.writers || ret) break
    if (filp.f_flags & O_NONBLOCK || iocb.ki_flags & IOCB_NOWAIT) {
      ret = -EAGAIN
      break
    }
    mutex_unlock(pipe.mutex)
    if (was_full) wake_up_interruptible_sync_poll(pipe.wr_wait, EPOLLOUT | EPOLLWRNORM)
    kill_fasync(pipe.fasync_writers, SIGIO, POLL_OUT)
    if (wait_event(pipe.rd_wait, () => readable(pipe), WQ_FLAG_EXCLUSIVE) < 0) return -ERESTARTSYS
    mutex_lock(pipe.mutex)
    was_full = pipe_full(pipe.head, pipe.tail, pipe.max_usage)
    wake_next_reader = true
  }
  if (pipe_empty(pipe.head, pipe.tail)) wake_next_reader = false
  mutex_unlock(pipe.mutex)
  if (was_full) wake_up_interruptible_sync_poll(pipe.wr_wait, EPOLLOUT | EPOLLWRNORM)
  if (wake_next_reader) wake_up_interruptible_sync_poll(pipe.rd_wait, EPOLLIN | EPOLLRDNORM)
  kill_fasync(pipe.fasync_writers, SIGIO, POLL_OUT)
  if (ret > 0) file_accessed(filp)
  return ret
})

/** adds to the last buffer where it fits; what was added, or an error */
function merge(pipe: pipe_inode_info, chars: number, from: iov_iter): number {
  const buf = pipe_buf(pipe, pipe.head - 1)
  const offset = buf.offset + buf.len
  if (!(buf.flags & PIPE_BUF_FLAG_CAN_MERGE) || offset + chars > PAGE_SIZE || buf.page === null) return 0
  const error = pipe_buf_confirm(pipe, buf)
  if (error) return error
  const ret = copy_page_from_iter(buf.page, offset, chars, from)
  if (ret < chars) return -EFAULT
  buf.len += ret
  return ret
}

const pipe_write = kfunc('pipe_write', (iocb: kiocb, from: iov_iter): number => {
  const filp = iocb.ki_filp
  const pipe = filp.private_data as pipe_inode_info
  const total_len = iov_iter_count(from)
  let was_empty = false
  let wake_next_writer = false
  let ret = 0

  if (total_len === 0) return 0
  mutex_lock(pipe.mutex)
  if (!pipe.readers) {
    send_sig(SIGPIPE, current, 0)
    mutex_unlock(pipe.mutex)
    kill_fasync(pipe.fasync_readers, SIGIO, POLL_IN)
    return -EPIPE
  }
  was_empty = pipe_empty(pipe.head, pipe.tail)
  const chars = total_len & (PAGE_SIZE - 1)
  if (chars && !was_empty) ret = merge(pipe, chars, from)

  while (ret >= 0 && iov_iter_count(from)) {
    if (!pipe.readers) {
      send_sig(SIGPIPE, current, 0)
      if (!ret) ret = -EPIPE
      break
    }
    const { head } = pipe
    if (!pipe_full(head, pipe.tail, pipe.max_usage)) {
      const page = pipe.tmp_page[0] ?? alloc_page(GFP_HIGHUSER | __GFP_ACCOUNT)
      pipe.tmp_page[0] = null
      pipe.head = (head + 1) >>> 0
      const buf = pipe_buf(pipe, head)
      buf.page = page
      buf.ops = anon_pipe_buf_ops
      buf.offset = 0
      buf.len = 0
      buf.flags = filp.f_flags & O_DIRECT ? PIPE_BUF_FLAG_PACKET : PIPE_BUF_FLAG_CAN_MERGE
      const copied = copy_page_from_iter(page, 0, PAGE_SIZE, from)
      if (copied < PAGE_SIZE && iov_iter_count(from)) {
        if (!ret) ret = -EFAULT
        break
      }
      ret += copied
      buf.len = copied
      continue
    }
    if (filp.f_flags & O_NONBLOCK || iocb.ki_flags & IOCB_NOWAIT) {
      if (!ret) ret = -EAGAIN
      break
    }
    if (signal_pending(current)) {
      if (!ret) ret = -ERESTARTSYS
      break
    }
    mutex_unlock(pipe.mutex)
    if (was_empty) wake_up_interruptible_sync_poll(pipe.rd_wait, EPOLLIN | EPOLLRDNORM)
    kill_fasync(pipe.fasync_readers, SIGIO, POLL_IN)
    wait_event(pipe.wr_wait, () => writable(pipe), WQ_FLAG_EXCLUSIVE)
    mutex_lock(pipe.mutex)
    was_empty = pipe_empty(pipe.head, pipe.tail)
    wake_next_writer = true
  }
  if (pipe_full(pipe.head, pipe.tail, pipe.max_usage)) wake_next_writer = false
  mutex_unlock(pipe.mutex)
  if (was_empty || pipe.poll_usage) wake_up_interruptible_sync_poll(pipe.rd_wait, EPOLLIN | EPOLLRDNORM)
  kill_fasync(pipe.fasync_readers, SIGIO, POLL_IN)
  if (wake_next_writer) wake_up_interruptible_sync_poll(pipe.wr_wait, EPOLLOUT | EPOLLWRNORM)
  if (ret > 0) file_update_time(filp)
  return ret
})

function put_pipe_info(inode: inode, pipe: pipe_inode_info): void {
  spin_lock(inode.i_lock)
  const kill = --pipe.files === 0
  if (kill) inode.i_pipe = null
  spin_unlock(inode.i_lock)
  if (kill) free_pipe_info(pipe)
}

const pipe_release = kfunc('pipe_release', (inode: inode, file: file): number => {
  const pipe = file.private_data as pipe_inode_info
  mutex_lock(pipe.mutex)
  if (file.f_mode & FMODE_READ) pipe.readers--
  if (file.f_mode & FMODE_WRITE) pipe.writers--
  if (!pipe.readers !== !pipe.writers) {
    wake_up_interruptible_all(pipe.rd_wait)
    wake_up_interruptible_all(pipe.wr_wait)
    kill_fasync(pipe.fasync_readers, SIGIO, POLL_IN)
    kill_fasync(pipe.fasync_writers, SIGIO, POLL_OUT)
  }
  mutex_unlock(pipe.mutex)
  put_pipe_info(inode, pipe)
  return 0
})

const pipefifo_fops: file_operations = {
  name: 'pipefifo_fops',
  read_iter: pipe_read,
  write_iter: pipe_write,
  release: pipe_release,
}

/** the pipe of an open file; null when it is something else */
export const get_pipe_info = kfunc('get_pipe_info', (file: file, for_splice: boolean): pipe_inode_info | null =>
  file.f_op === pipefifo_fops ? (file.private_data as pipe_inode_info) : null,
)

export const alloc_pipe_info = kfunc('alloc_pipe_info', (): pipe_inode_info | null => {
  const pipe = new pipe_inode_info()
  pipe.kmem = kzalloc(SIZEOF_PIPE, GFP_KERNEL_ACCOUNT)
  pipe.bufs_kmem = kcalloc(PIPE_DEF_BUFFERS, SIZEOF_PIPE_BUFFER, GFP_KERNEL_ACCOUNT)
  pipe.bufs = Array.from({ length: PIPE_DEF_BUFFERS }, () => new pipe_buffer())
  init_waitqueue_head(pipe.rd_wait)
  init_waitqueue_head(pipe.wr_wait)
  pipe.r_counter = 1
  pipe.w_counter = 1
  pipe.max_usage = PIPE_DEF_BUFFERS
  pipe.ring_size = PIPE_DEF_BUFFERS
  pipe.nr_accounted = PIPE_DEF_BUFFERS
  mutex_init(pipe.mutex)
  return pipe
})

export function free_pipe_info(pipe: pipe_inode_info): void {
  for (const buf of pipe.bufs) if (buf.ops) pipe_buf_release(pipe, buf)
  if (pipe.tmp_page[0] !== null) __free_pages(pipe.tmp_page[0], 0)
  pipe.tmp_page[0] = null
  kfree(pipe.bufs_kmem)
  kfree(pipe.kmem)
}

function get_pipe_inode(): inode | null {
  const inode = new_inode_pseudo(pipe_mnt.mnt_sb)
  if (inode === null) return null
  inode.i_ino = get_next_ino()
  const pipe = alloc_pipe_info()
  if (pipe === null) {
    iput(inode)
    return null
  }
  inode.i_pipe = pipe
  // nobody need mark it
  inode.i_state = I_DIRTY
  pipe.files = 2
  pipe.readers = 1
  pipe.writers = 1
  inode.i_fop = pipefifo_fops
  inode.i_mode = S_IFIFO | 0o600
  const cred = current.cred as cred | null
  inode.i_uid = cred?.fsuid ?? 0
  inode.i_gid = cred?.fsgid ?? 0
  simple_inode_init_ts(inode)
  return inode
}

/** the reading end and the writing end go to `res` */
export const create_pipe_files = kfunc('create_pipe_files', (res: file[], flags: number): number => {
  const inode = get_pipe_inode()
  if (inode === null || inode.i_pipe === null) return -ENFILE
  const pipe = inode.i_pipe
  const f = alloc_file_pseudo(inode, pipe_mnt, '', O_WRONLY | (flags & (O_NONBLOCK | O_DIRECT)), pipefifo_fops)
  if (IS_ERR(f)) {
    free_pipe_info(pipe)
    iput(inode)
    return f
  }
  f.private_data = pipe
  const r = alloc_file_clone(f, O_RDONLY | (flags & O_NONBLOCK), pipefifo_fops)
  if (IS_ERR(r)) {
    put_pipe_info(inode, pipe)
    fput(f)
    return r
  }
  r.private_data = pipe
  stream_open(inode, r)
  stream_open(inode, f)
  res.push(r, f)
  return 0
})

/** the descriptors that the two files are for; or an error */
const __do_pipe_flags_part_0 = kfunc('__do_pipe_flags.part.0', (fd: number[], [r, w]: file[], flags: number): number => {
  if (r === undefined || w === undefined) return -ENFILE
  const fdr = get_unused_fd_flags(flags)
  const fdw = fdr < 0 ? fdr : get_unused_fd_flags(flags)
  if (fdw < 0) {
    if (fdr >= 0) put_unused_fd(fdr)
    fput(r)
    fput(w)
    return fdw
  }
  fd.push(fdr, fdw)
  r.f_mode |= FMODE_NOWAIT
  w.f_mode |= FMODE_NOWAIT
  return 0
})

function __do_pipe_flags(fd: number[], files: file[], flags: number): number {
  if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT | O_NOTIFICATION_PIPE)) return -EINVAL
  return create_pipe_files(files, flags) || __do_pipe_flags_part_0(fd, files, flags)
}

/** pipe2(2): writes two ints to `fildes` in user memory */
const do_pipe2 = kfunc('do_pipe2', (fildes: number, flags: number): number => {
  const fd: number[] = []
  const files: file[] = []
  const error = __do_pipe_flags(fd, files, flags)
  const [fdr, fdw] = fd
  const [r, w] = files
  if (error || r === undefined || w === undefined || fdr === undefined || fdw === undefined) return error
  const fds = new Uint8Array(8)
  const view = new DataView(fds.buffer)
  view.setInt32(0, fdr, true)
  view.setInt32(4, fdw, true)
  if (_copy_to_user(fildes, fds, 8)) {
    fput(r)
    fput(w)
    put_unused_fd(fdr)
    put_unused_fd(fdw)
    return -EFAULT
  }
  fd_install(fdr, r)
  fd_install(fdw, w)
  return 0
})

export const __x64_sys_pipe2 = kfunc('__x64_sys_pipe2', (regs: pt_regs): number => do_pipe2(regs.di, regs.si | 0))
export const __x64_sys_pipe = kfunc('__x64_sys_pipe', (regs: pt_regs): number => do_pipe2(regs.di, 0))

fs_initcall(() => {
  pipe_mnt = new vfsmount(new super_block('pipefs', {}, { d_dname: (d) => `pipe:[${d.d_inode?.i_ino ?? 0}]` }))
})
