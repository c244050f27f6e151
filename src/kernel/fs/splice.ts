import { kfunc, nameOf } from '../../trace/kfunc.ts'
import { traceIndirect, tracer } from '../../trace/tracer.ts'
import { MSG_DONTWAIT, MSG_MORE, MSG_SPLICE_PAGES } from '../include/generated/enums.ts'
import { EAGAIN, EBADF, EINVAL, ENODATA, ENOMEM, EPIPE, ERESTARTSYS } from '../include/linux/errno.ts'
import { FMODE_LSEEK, FMODE_READ, FMODE_WRITE, type file, O_APPEND, O_NONBLOCK } from '../include/linux/fs.ts'
import type { page } from '../include/linux/mm_types.ts'
import {
  type pipe_buf_operations,
  pipe_buffer,
  pipe_empty,
  pipe_full,
  type pipe_inode_info,
  pipe_occupancy,
} from '../include/linux/pipe_fs_i.ts'
import { msghdr } from '../include/linux/socket.ts'
import type { ref } from '../include/linux/types.ts'
import { type bio_vec, ITER_SOURCE, MAX_RW_COUNT } from '../include/linux/uio.ts'
import { waitqueue_active } from '../include/linux/wait.ts'
import { current, signal_pending } from '../kernel/sched/core.ts'
import { wake_up_interruptible } from '../kernel/sched/wait.ts'
import { SIGIO, SIGPIPE, send_sig } from '../kernel/signal.ts'
import { iov_iter_bvec } from '../lib/iov_iter.ts'
import { get_page, put_page } from '../mm/page_alloc.ts'
import { sock_from_file, sock_sendmsg } from '../net/socket.ts'
import { kill_fasync } from './fcntl.ts'
import { file_accessed } from './inode.ts'
import { alloc_pipe_info, POLL_IN, POLL_OUT, pipe_lock, pipe_unlock, pipe_wait_readable, pipe_wait_writable } from './pipe.ts'

export const SPLICE_F_MOVE = 1
export const SPLICE_F_NONBLOCK = 2
export const SPLICE_F_MORE = 4
const PAGE_SHIFT = 12

const page_cache_pipe_buf_release = kfunc('page_cache_pipe_buf_release', (pipe: pipe_inode_info, buf: pipe_buffer): void => {
  if (buf.page !== null) put_page(buf.page)
  buf.flags = 0
})

/** pages of a tmpfs are always up to date */
const page_cache_pipe_buf_confirm = kfunc('page_cache_pipe_buf_confirm', (pipe: pipe_inode_info, buf: pipe_buffer): number => 0)

export const page_cache_pipe_buf_ops: pipe_buf_operations = {
  confirm: page_cache_pipe_buf_confirm,
  release: page_cache_pipe_buf_release,
  get: (pipe, buf) => {
    if (buf.page !== null) buf.page._refcount++
    return true
  },
}

export const pipe_buf_confirm = kfunc('pipe_buf_confirm', (pipe: pipe_inode_info, buf: pipe_buffer): number => {
  const confirm = buf.ops?.confirm
  if (tracer.on && confirm) traceIndirect('buf->ops->confirm', nameOf(confirm))
  return confirm ? confirm(pipe, buf) : 0
})

export const pipe_buf_release = kfunc('pipe_buf_release', (pipe: pipe_inode_info, buf: pipe_buffer): void => {
  const { ops } = buf
  buf.ops = null
  if (tracer.on && ops) traceIndirect('ops->release', nameOf(ops.release))
  ops?.release(pipe, buf)
  buf.page = null
})

export const pipe_buf = (pipe: pipe_inode_info, slot: number): pipe_buffer => {
  const i = (slot >>> 0) & (pipe.ring_size - 1)
  let b = pipe.bufs[i]
  if (b === undefined) {
    b = new pipe_buffer()
    pipe.bufs[i] = b
  }
  return b
}

const wakeup_pipe_readers = kfunc('wakeup_pipe_readers', (pipe: pipe_inode_info): void => {
  if (waitqueue_active(pipe.rd_wait)) wake_up_interruptible(pipe.rd_wait)
  kill_fasync(pipe.fasync_readers, SIGIO, POLL_IN)
})
const wakeup_pipe_writers = kfunc('wakeup_pipe_writers', (pipe: pipe_inode_info): void => {
  if (waitqueue_active(pipe.wr_wait)) wake_up_interruptible(pipe.wr_wait)
  kill_fasync(pipe.fasync_writers, SIGIO, POLL_OUT)
})

/** waits for something in the pipe; 1 when there is, otherwise what the call returns */
function splice_wait(pipe: pipe_inode_info, spliced: number, flags: number, need_wakeup: ref<boolean>): number {
  while (pipe_empty(pipe.head, pipe.tail)) {
    if (!pipe.writers || spliced) return 0
    if (flags & SPLICE_F_NONBLOCK) return -EAGAIN
    if (signal_pending(current)) return -ERESTARTSYS
    if (need_wakeup.v) {
      wakeup_pipe_writers(pipe)
      need_wakeup.v = false
    }
    pipe_wait_readable(pipe)
  }
  return 1
}

const BVECS = 16

/** hands the pages of a pipe to a socket, up to 16 at a time */
export const splice_to_socket = kfunc(
  'splice_to_socket',
  (pipe: pipe_inode_info, out: file, ppos: ref<number> | null, size: number, flags: number): number => {
    const sock = sock_from_file(out)
    if (sock === null) return -EINVAL
    const msg = new msghdr()
    const need_wakeup = { v: false }
    let ret = 0
    let spliced = 0
    let len = size

    pipe_lock(pipe)
    while (len > 0) {
      if (signal_pending(current)) {
        ret = -ERESTARTSYS
        break
      }
      ret = splice_wait(pipe, spliced, flags, need_wakeup)
      if (ret <= 0) break

      const bvec: bio_vec[] = []
      const { head } = pipe
      let { tail } = pipe
      let remain = len
      ret = 0
      while (!pipe_empty(head, tail)) {
        const buf = pipe_buf(pipe, tail)
        if (!buf.len || buf.page === null) {
          tail = (tail + 1) >>> 0
          continue
        }
        const seg = Math.min(remain, buf.len)
        ret = pipe_buf_confirm(pipe, buf)
        if (ret) {
          if (ret === -ENODATA) ret = 0
          break
        }
        bvec.push({ bv_page: buf.page, bv_offset: buf.offset, bv_len: seg })
        remain -= seg
        if (remain === 0 || bvec.length >= BVECS) break
        tail = (tail + 1) >>> 0
      }
      if (!bvec.length) break

      msg.msg_flags = MSG_SPLICE_PAGES
      if (flags & SPLICE_F_MORE) msg.msg_flags |= MSG_MORE
      if (remain && pipe_occupancy(pipe.head, tail) > 0) msg.msg_flags |= MSG_MORE
      if (out.f_flags & O_NONBLOCK) msg.msg_flags |= MSG_DONTWAIT
      iov_iter_bvec(msg.msg_iter, ITER_SOURCE, bvec, bvec.length, len - remain)
      ret = sock_sendmsg(sock, msg)
      if (ret <= 0) break

      spliced += ret
      len -= ret
      tail = pipe.tail
      while (ret > 0) {
        const buf = pipe_buf(pipe, tail)
        const seg = Math.min(ret, buf.len)
        buf.offset += seg
        buf.len -= seg
        ret -= seg
        if (!buf.len) {
          pipe_buf_release(pipe, buf)
          tail = (tail + 1) >>> 0
        }
      }
      if (tail !== pipe.tail) {
        pipe.tail = tail
        if (pipe.files) need_wakeup.v = true
      }
    }
    pipe_unlock(pipe)
    if (need_wakeup.v) wakeup_pipe_writers(pipe)
    return spliced || ret
  },
)

const do_splice_from = kfunc(
  'do_splice_from',
  (pipe: pipe_inode_info, out: file, ppos: ref<number> | null, len: number, flags: number): number => {
    const { splice_write } = out.f_op
    if (!splice_write) return -EINVAL
    if (tracer.on) traceIndirect('out->f_op->splice_write', nameOf(splice_write))
    return splice_write(pipe, out, ppos, len, flags)
  },
)

interface splice_desc {
  len: number
  total_len: number
  flags: number
  file: file
  pos: number
  opos: ref<number> | null
  splice_eof: ((sd: splice_desc) => void) | null
}
type splice_direct_actor = (pipe: pipe_inode_info, sd: splice_desc) => number

const do_splice_eof = kfunc('do_splice_eof', (sd: splice_desc): void => sd.splice_eof?.(sd))

const do_splice_read = kfunc(
  'do_splice_read',
  (input: file, ppos: ref<number>, pipe: pipe_inode_info, size: number, flags: number): number => {
    if (!(input.f_mode & FMODE_READ)) return -EBADF
    if (!size) return 0
    const p_space = pipe.max_usage - pipe_occupancy(pipe.head, pipe.tail)
    const len = Math.min(size, p_space << PAGE_SHIFT, MAX_RW_COUNT)
    const { splice_read } = input.f_op
    if (!splice_read) return -EINVAL
    if (tracer.on) traceIndirect('in->f_op->splice_read', nameOf(splice_read))
    return splice_read(input, ppos, pipe, len, flags)
  },
)

/** by way of a pipe of the process's own: reads a pipe full, lets `actor` empty it, and so on */
const splice_direct_to_actor = kfunc(
  'splice_direct_to_actor',
  (input: file, sd: splice_desc, actor: splice_direct_actor): number => {
    if (!(input.f_mode & FMODE_LSEEK)) return -EINVAL
    let pipe = current.splice_pipe
    if (pipe === null) {
      pipe = alloc_pipe_info()
      if (pipe === null) return -ENOMEM
      pipe.readers = 1
      current.splice_pipe = pipe
    }

    let bytes = 0
    let len = sd.total_len
    let ret = 0
    let complete = true
    const { flags } = sd
    sd.flags &= ~SPLICE_F_NONBLOCK
    const more = sd.flags & SPLICE_F_MORE
    sd.flags |= SPLICE_F_MORE

    while (len) {
      const pos = { v: sd.pos }
      const prev_pos = sd.pos
      ret = do_splice_read(input, pos, pipe, len, flags)
      if (ret <= 0) {
        if (ret === 0 && !more && bytes) do_splice_eof(sd)
        complete = false
        break
      }
      const read_len = ret
      sd.total_len = read_len
      if (read_len >= len && !more) sd.flags &= ~SPLICE_F_MORE

      if (tracer.on) traceIndirect('actor', nameOf(actor))
      ret = actor(pipe, sd)
      if (ret <= 0) {
        sd.pos = prev_pos
        complete = false
        break
      }
      bytes += ret
      len -= ret
      sd.pos = pos.v
      if (ret < read_len) {
        sd.pos = prev_pos + ret
        complete = false
        break
      }
    }
    if (!complete) {
      for (const buf of pipe.bufs) if (buf?.ops) pipe_buf_release(pipe, buf)
      if (!bytes) bytes = ret
    }
    pipe.head = 0
    pipe.tail = 0
    file_accessed(input)
    return bytes
  },
)

const direct_splice_actor = kfunc('direct_splice_actor', (pipe: pipe_inode_info, sd: splice_desc): number =>
  do_splice_from(pipe, sd.file, sd.opos, sd.total_len, sd.flags),
)

const direct_file_splice_eof = kfunc('direct_file_splice_eof', (sd: splice_desc): void => {
  sd.file.f_op.splice_eof?.(sd.file)
})

const do_splice_direct_actor = kfunc(
  'do_splice_direct_actor',
  (
    input: file,
    ppos: ref<number>,
    out: file,
    opos: ref<number>,
    len: number,
    flags: number,
    actor: splice_direct_actor,
  ): number => {
    const sd: splice_desc = { len, total_len: len, flags, pos: ppos.v, file: out, splice_eof: direct_file_splice_eof, opos }
    if (!(out.f_mode & FMODE_WRITE)) return -EBADF
    if (out.f_flags & O_APPEND) return -EINVAL
    const ret = splice_direct_to_actor(input, sd, actor)
    if (ret > 0) ppos.v = sd.pos
    return ret
  },
)

export const do_splice_direct = kfunc(
  'do_splice_direct',
  (input: file, ppos: ref<number>, out: file, opos: ref<number>, len: number, flags: number): number =>
    do_splice_direct_actor(input, ppos, out, opos, len, flags, direct_splice_actor),
)

const wait_for_space = kfunc('wait_for_space', (pipe: pipe_inode_info, flags: number): number => {
  while (true) {
    if (!pipe.readers) {
      send_sig(SIGPIPE, current, 0)
      return -EPIPE
    }
    if (!pipe_full(pipe.head, pipe.tail, pipe.max_usage)) return 0
    if (flags & SPLICE_F_NONBLOCK) return -EAGAIN
    if (signal_pending(current)) return -ERESTARTSYS
    pipe_wait_writable(pipe)
  }
})

export const splice_file_to_pipe = kfunc(
  'splice_file_to_pipe',
  (input: file, opipe: pipe_inode_info, offset: ref<number>, len: number, flags: number): number => {
    pipe_lock(opipe)
    let ret = wait_for_space(opipe, flags)
    if (!ret) ret = do_splice_read(input, offset, opipe, len, flags)
    pipe_unlock(opipe)
    if (ret > 0) wakeup_pipe_readers(opipe)
    return ret
  },
)

/** include/linux/splice.h struct splice_pipe_desc: pieces of pages that go into a pipe as they are, each with a reference */
export interface splice_pipe_desc {
  readonly parts: readonly { page: page; offset: number; len: number }[]
  readonly ops: pipe_buf_operations
}

/** puts as many pieces into the pipe as it has room for and lets go of the others; returns how many bytes went, or an error */
export const splice_to_pipe = kfunc('splice_to_pipe', (pipe: pipe_inode_info, spd: splice_pipe_desc): number => {
  let ret = 0
  let n = 0
  if (spd.parts.length === 0) return 0
  if (!pipe.readers) {
    send_sig(SIGPIPE, current, 0)
    ret = -EPIPE
  } else {
    for (const part of spd.parts) {
      if (pipe_full(pipe.head, pipe.tail, pipe.max_usage)) break
      const buf = pipe_buf(pipe, pipe.head)
      buf.page = part.page
      buf.offset = part.offset
      buf.len = part.len
      buf.ops = spd.ops
      buf.flags = 0
      pipe.head = (pipe.head + 1) >>> 0
      ret += part.len
      n++
    }
    if (!ret) ret = -EAGAIN
  }
  for (const part of spd.parts.slice(n)) put_page(part.page)
  return ret
})

/** pages that nobody may take out of the pipe */
export const nosteal_pipe_buf_ops: pipe_buf_operations = {
  release: (pipe, buf) => {
    if (buf.page !== null) put_page(buf.page)
    buf.page = null
  },
  get: (pipe, buf) => {
    if (buf.page !== null) get_page(buf.page)
    return true
  },
}
