import { InternalError, kfunc, nameOf } from '../../../trace/kfunc.ts'
import { traceIndirect, tracepoint, tracer } from '../../../trace/tracer.ts'
import { csum_and_copy_to_user } from '../../arch/x86/lib/csum-wrappers_64.ts'
import * as C from '../../include/generated/enums.ts'
import { EAGAIN, EFAULT, EINVAL, EMSGSIZE, ENOENT, ENOMEM, ENOTCONN } from '../../include/linux/errno.ts'
import type { page } from '../../include/linux/mm_types.ts'
import { TASK_INTERRUPTIBLE } from '../../include/linux/sched.ts'
import {
  __skb_unlink,
  CHECKSUM_COMPLETE,
  type sk_buff,
  type sk_buff_head,
  type skb_frag,
  skb_headlen,
} from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import type { msghdr } from '../../include/linux/socket.ts'
import { IS_ERR, type ref } from '../../include/linux/types.ts'
import { type iov_iter, iov_iter_is_discard, iov_iter_save_state } from '../../include/linux/uio.ts'
import { EPOLLERR, EPOLLIN, wait_queue_entry } from '../../include/linux/wait.ts'
import type { sock } from '../../include/net/sock.ts'
import {
  _raw_spin_lock_irqsave,
  _raw_spin_unlock_irqrestore,
  spin_lock_bh,
  spin_unlock_bh,
} from '../../kernel/locking/spinlock.ts'
import { current, schedule_timeout, signal_pending } from '../../kernel/sched/core.ts'
import { autoremove_wake_function, finish_wait, prepare_to_wait_exclusive } from '../../kernel/sched/wait.ts'
import { csum_block_add, csum_fold, csum_partial, csum_partial_copy_nocheck, csum_shift } from '../../lib/checksum.ts'
import {
  copy_from_iter,
  copy_from_iter_full,
  copy_page_from_iter,
  copy_to_iter,
  iov_iter_get_pages2,
  iov_iter_restore,
  iov_iter_revert,
  iterate_and_advance2,
} from '../../lib/iov_iter.ts'
import { compound_head, page_ref_sub } from '../../mm/page_alloc.ts'
import { netdev_rx_csum_fault } from './dev.ts'
import {
  __skb_checksum_complete,
  consume_skb,
  kfree_skb,
  skb_clone,
  skb_fill_page_desc_noacc,
  skb_frags_readable,
  skb_shared,
  skb_zcopy_pure,
} from './skbuff.ts'
import { RCV_SHUTDOWN, sk_mem_charge, sk_sleep, sk_wmem_queued_add, sock_error, sock_intr_errno, sock_rcvtimeo } from './sock.ts'

const MAX_SKB_FRAGS = C.MAX_SKB_FRAGS
const MSG_DONTWAIT = C.MSG_DONTWAIT
const MSG_PEEK = C.MSG_PEEK
const PAGE_SIZE = C.PAGE_SIZE

const connection_based = (sk: sock): boolean => sk.sk_type === C.SOCK_SEQPACKET || sk.sk_type === C.SOCK_STREAM

const receiver_wake_function = kfunc(
  'receiver_wake_function',
  (wait: wait_queue_entry, mode: number, sync: number, key: number): number => {
    // not interested in anything that is not incoming data
    if (key && !(key & (EPOLLIN | EPOLLERR))) return 0
    return autoremove_wake_function(wait, mode, sync, key)
  },
)

/** sleeps until something other than `skb` is last in the queue: 0 to look again, 1 for the end, else an error (err.v says which) */
export const __skb_wait_for_more_packets = kfunc(
  '__skb_wait_for_more_packets',
  (sk: sock, queue: sk_buff_head, err: ref<number>, timeo_p: ref<number>, skb: sk_buff | null): number => {
    const wait = new wait_queue_entry(current, receiver_wake_function)
    const wq = sk_sleep(sk)
    prepare_to_wait_exclusive(wq, wait, TASK_INTERRUPTIBLE)
    let error = sock_error(sk)
    if (error) err.v = error
    else if (queue.last === skb) {
      if (sk.sk_shutdown & RCV_SHUTDOWN) {
        err.v = 0
        error = 1
      } else if (connection_based(sk) && !(sk.sk_state === C.TCP_ESTABLISHED || sk.sk_state === C.TCP_LISTEN)) {
        error = -ENOTCONN
        err.v = error
      } else if (signal_pending(current)) {
        error = sock_intr_errno(timeo_p.v)
        err.v = error
      } else timeo_p.v = schedule_timeout(timeo_p.v)
    }
    finish_wait(wq, wait)
    return error
  },
)

const skb_set_peeked = kfunc('skb_set_peeked', (skb: sk_buff, queue: sk_buff_head): sk_buff | number => {
  if (skb.peeked) return skb
  let s = skb
  if (skb_shared(skb)) {
    // somebody else holds it: a clone takes its place in the queue
    const nskb = skb_clone(skb, GFP_ATOMIC)
    if (nskb === null) return -ENOMEM
    nskb.prev = skb.prev
    nskb.next = skb.next
    nskb.list = queue
    if (skb.prev === null) queue.first = nskb
    else skb.prev.next = nskb
    if (skb.next === null) queue.last = nskb
    else skb.next.prev = nskb
    skb.prev = null
    skb.next = null
    skb.list = null
    consume_skb(skb)
    s = nskb
  }
  s.peeked = 1
  return s
})

/** the first buffer of the queue, taken out; with MSG_PEEK the one at offset off.v, with a reference */
export const __skb_try_recv_from_queue = kfunc(
  '__skb_try_recv_from_queue',
  (
    _sk: sock,
    queue: sk_buff_head,
    flags: number,
    off: ref<number>,
    err: ref<number>,
    last: ref<sk_buff | null>,
  ): sk_buff | null => {
    const peek_at_off = (flags & MSG_PEEK) !== 0 && off.v >= 0
    let _off = peek_at_off ? off.v : 0
    last.v = queue.last
    for (let skb = queue.first; skb !== null; skb = skb.next) {
      if (flags & MSG_PEEK) {
        if (peek_at_off && _off >= skb.len && (_off || skb.peeked)) {
          _off -= skb.len
          continue
        }
        if (!skb.len) {
          const s = skb_set_peeked(skb, queue)
          if (IS_ERR(s)) {
            err.v = s
            return null
          }
          skb = s
        }
        skb.users++
      } else __skb_unlink(skb, queue)
      off.v = _off
      return skb
    }
    return null
  },
)

export const __skb_try_recv_datagram = kfunc(
  '__skb_try_recv_datagram',
  (
    sk: sock,
    queue: sk_buff_head,
    flags: number,
    off: ref<number>,
    err: ref<number>,
    last: ref<sk_buff | null>,
  ): sk_buff | null => {
    const error: ref<number> = { v: sock_error(sk) }
    if (!error.v) {
      const cpu_flags = _raw_spin_lock_irqsave(queue.lock)
      const skb = __skb_try_recv_from_queue(sk, queue, flags, off, error, last)
      _raw_spin_unlock_irqrestore(queue.lock, cpu_flags)
      if (!error.v) {
        if (skb !== null) return skb
        error.v = -EAGAIN
      }
    }
    err.v = error.v
    return null
  },
)

export const __skb_recv_datagram = kfunc(
  '__skb_recv_datagram',
  (sk: sock, sk_queue: sk_buff_head, flags: number, off: ref<number>, err: ref<number>): sk_buff | null => {
    const timeo: ref<number> = { v: sock_rcvtimeo(sk, flags & MSG_DONTWAIT) }
    const last: ref<sk_buff | null> = { v: null }
    do {
      const skb = __skb_try_recv_datagram(sk, sk_queue, flags, off, err, last)
      if (skb !== null) return skb
      if (err.v !== -EAGAIN) break
    } while (timeo.v && !__skb_wait_for_more_packets(sk, sk_queue, err, timeo, last.v))
    return null
  },
)

/** the next datagram, after a wait unless MSG_DONTWAIT; null with err.v set when there is none */
export const skb_recv_datagram = kfunc('skb_recv_datagram', (sk: sock, flags: number, err: ref<number>): sk_buff | null => {
  const off: ref<number> = { v: 0 }
  return __skb_recv_datagram(sk, sk.sk_receive_queue, flags, off, err)
})

export const skb_free_datagram = kfunc('skb_free_datagram', (_sk: sock, skb: sk_buff): void => {
  consume_skb(skb)
})

export const __sk_queue_drop_skb = kfunc(
  '__sk_queue_drop_skb',
  (
    sk: sock,
    sk_queue: sk_buff_head,
    skb: sk_buff,
    flags: number,
    destructor: ((sk: sock, skb: sk_buff) => void) | null,
  ): number => {
    let err = 0
    if (flags & MSG_PEEK) {
      err = -ENOENT
      spin_lock_bh(sk_queue.lock)
      if (skb.list !== null) {
        __skb_unlink(skb, sk_queue)
        skb.users--
        destructor?.(sk, skb)
        err = 0
      }
      spin_unlock_bh(sk_queue.lock)
    }
    sk.sk_drops++
    return err
  },
)

/** drops a datagram that turned out to be bad */
export const skb_kill_datagram = kfunc('skb_kill_datagram', (sk: sock, skb: sk_buff, flags: number): number => {
  const err = __sk_queue_drop_skb(sk, sk.sk_receive_queue, skb, flags, null)
  kfree_skb(skb)
  return err
})

type datagram_cb = (addr: Uint8Array, bytes: number, data: unknown, i: iov_iter) => number

/** hands `length` bytes of the buffer from `from` on to `cb`, piece by piece: 0, or -EFAULT with the iterator as it was */
const __skb_datagram_iter = kfunc(
  '__skb_datagram_iter',
  (skb: sk_buff, from: number, to: iov_iter, length: number, fault_short: boolean, cb: datagram_cb, data: unknown): number => {
    const start_off = from
    let offset = from
    let len = length
    let start = skb_headlen(skb)
    let copy = start - offset
    const { bytes, shinfo } = skb.head
    if (tracer.on) traceIndirect('cb', nameOf(cb))
    if (copy > 0) {
      if (copy > len) copy = len
      const n = cb(bytes.subarray(skb.data + offset, skb.data + offset + copy), copy, data, to)
      offset += n
      if (n !== copy) return short_copy(to, offset - start_off, fault_short)
      len -= copy
      if (len === 0) return 0
    }
    if (!skb_frags_readable(skb)) return short_copy(to, offset - start_off, fault_short)
    const { frags } = shinfo
    for (let i = 0; i < frags.length; i++) {
      const frag = frags[i] as skb_frag
      const end = start + frag.len
      copy = end - offset
      if (copy > 0) {
        if (copy > len) copy = len
        // memory below the kernel's direct map is reached all at once, not page by page
        const at = frag.offset + offset - start
        const n = cb(frag.page.bytes.subarray(at, at + copy), copy, data, to)
        offset += n
        if (n !== copy) return short_copy(to, offset - start_off, fault_short)
        len -= copy
        if (len === 0) return 0
      }
      start = end
    }
    for (let frag = shinfo.frag_list; frag !== null; frag = frag.next) {
      const end = start + frag.len
      copy = end - offset
      if (copy > 0) {
        if (copy > len) copy = len
        if (__skb_datagram_iter(frag, offset - start, to, copy, fault_short, cb, data)) {
          iov_iter_revert(to, offset - start_off)
          return -EFAULT
        }
        len -= copy
        if (len === 0) return 0
        offset += copy
      }
      start = end
    }
    if (!len) return 0
    iov_iter_revert(to, offset - start_off)
    return -EFAULT
  },
)

/** fewer bytes than asked for are a fault, unless the iterator is simply full */
function short_copy(to: iov_iter, done: number, fault_short: boolean): number {
  if (fault_short || to.count) {
    iov_iter_revert(to, done)
    return -EFAULT
  }
  return 0
}

const simple_copy_to_iter = kfunc('simple_copy_to_iter', (addr: Uint8Array, bytes: number, _data: unknown, i: iov_iter): number =>
  copy_to_iter(addr, bytes, i),
)

export const skb_copy_datagram_iter = kfunc(
  'skb_copy_datagram_iter',
  (skb: sk_buff, offset: number, to: iov_iter, len: number): number => {
    if (tracer.on) tracepoint('skb', 'skb_copy_datagram_iovec', { skbaddr: skb.kaddr, len })
    return __skb_datagram_iter(skb, offset, to, len, false, simple_copy_to_iter, null)
  },
)
/** include/linux/skbuff.h */
export const skb_copy_datagram_msg = kfunc(
  'skb_copy_datagram_msg',
  (from: sk_buff, offset: number, msg: msghdr, size: number): number => skb_copy_datagram_iter(from, offset, msg.msg_iter, size),
)
export const memcpy_from_msg = kfunc('memcpy_from_msg', (data: Uint8Array, msg: msghdr, len: number): number =>
  copy_from_iter_full(data, len, msg.msg_iter) ? 0 : -EFAULT,
)
export const memcpy_to_msg = kfunc('memcpy_to_msg', (msg: msghdr, data: Uint8Array, len: number): number =>
  copy_to_iter(data, len, msg.msg_iter) === len ? 0 : -EFAULT,
)

/** fills `length` bytes of the buffer from `at` on */
export const skb_copy_datagram_from_iter = kfunc(
  'skb_copy_datagram_from_iter',
  (skb: sk_buff, at: number, from: iov_iter, length: number): number => {
    let offset = at
    let len = length
    let start = skb_headlen(skb)
    let copy = start - offset
    const { bytes, shinfo } = skb.head
    if (copy > 0) {
      if (copy > len) copy = len
      if (copy_from_iter(bytes.subarray(skb.data + offset, skb.data + offset + copy), copy, from) !== copy) return -EFAULT
      len -= copy
      if (len === 0) return 0
      offset += copy
    }
    for (const frag of shinfo.frags) {
      const end = start + frag.len
      copy = end - offset
      if (copy > 0) {
        if (copy > len) copy = len
        if (copy_page_from_iter(frag.page, frag.offset + offset - start, copy, from) !== copy) return -EFAULT
        len -= copy
        if (len === 0) return 0
        offset += copy
      }
      start = end
    }
    for (let frag = shinfo.frag_list; frag !== null; frag = frag.next) {
      const end = start + frag.len
      copy = end - offset
      if (copy > 0) {
        if (copy > len) copy = len
        if (skb_copy_datagram_from_iter(frag, offset - start, from, copy)) return -EFAULT
        len -= copy
        if (len === 0) return 0
        offset += copy
      }
      start = end
    }
    return len ? -EFAULT : 0
  },
)
export const skb_copy_datagram_from_iter_full = kfunc(
  'skb_copy_datagram_from_iter_full',
  (skb: sk_buff, offset: number, from: iov_iter, len: number): number => {
    const state = iov_iter_save_state(from)
    const ret = skb_copy_datagram_from_iter(skb, offset, from, len)
    if (ret) iov_iter_restore(from, state)
    return ret
  },
)

/** adds `size` bytes of user memory as page fragments */
export const zerocopy_fill_skb_from_iter = kfunc(
  'zerocopy_fill_skb_from_iter',
  (skb: sk_buff, from: iov_iter, size: number): number => {
    const { frags } = skb.head.shinfo
    let frag = frags.length
    let length = size
    if (!skb_frags_readable(skb)) return -EFAULT
    while (length && from.count) {
      const pages: page[] = []
      const offset: ref<number> = { v: 0 }
      let last_head: page | null = null
      if (frag === MAX_SKB_FRAGS) return -EMSGSIZE
      let copied = iov_iter_get_pages2(from, pages, length, MAX_SKB_FRAGS - frag, offset)
      if (copied < 0) return -EFAULT
      length -= copied
      skb.data_len += copied
      skb.len += copied
      skb.truesize += Math.ceil((copied + offset.v) / PAGE_SIZE) * PAGE_SIZE
      let start = offset.v
      let refs = 0
      for (let n = 0; copied !== 0; n++, start = 0) {
        const p = pages[n]
        if (p === undefined) throw new InternalError('fewer pages than bytes')
        const part = p.order ? copied : Math.min(copied, PAGE_SIZE - start)
        const head = compound_head(p)
        start += (p.index ?? 0) * PAGE_SIZE
        copied -= part
        const last = frag ? frags[frag - 1] : undefined
        if (last !== undefined && head === last.page && start === last.offset + last.len) {
          last.len += part
          // one reference for one fragment: those of its other pages go back
          last_head = head
          refs++
          continue
        }
        if (refs && last_head !== null) {
          page_ref_sub(last_head, refs)
          refs = 0
        }
        skb_fill_page_desc_noacc(skb, frag++, head, start, part)
      }
      if (refs && last_head !== null) page_ref_sub(last_head, refs)
    }
    return 0
  },
)

/** the same, counted against the socket's memory */
export const __zerocopy_sg_from_iter = kfunc(
  '__zerocopy_sg_from_iter',
  (msg: msghdr | null, sk: sock | null, skb: sk_buff, from: iov_iter, length: number): number => {
    const orig_size = skb.truesize
    const ret =
      msg !== null && msg.msg_ubuf !== null && msg.sg_from_iter !== null
        ? msg.sg_from_iter(skb, from, length)
        : zerocopy_fill_skb_from_iter(skb, from, length)
    const truesize = skb.truesize - orig_size
    if (sk !== null && sk.sk_type === C.SOCK_STREAM) {
      sk_wmem_queued_add(sk, truesize)
      if (!skb_zcopy_pure(skb)) sk_mem_charge(sk, truesize)
    } else if (skb.sk !== null) skb.sk.sk_wmem_alloc += truesize
    return ret
  },
)

interface csum_state {
  csum: number
  off: number
}
const sum: ref<number> = { v: 0 }

const copy_to_user_iter_csum = kfunc(
  'copy_to_user_iter_csum',
  (iter_to: number, progress: number, len: number, from: Uint8Array, priv2: unknown): number => {
    const csum = priv2 as ref<number>
    const next = csum_and_copy_to_user(from, progress, iter_to, len)
    csum.v = csum_block_add(csum.v, next, progress)
    return next ? 0 : len
  },
)
const memcpy_to_iter_csum = kfunc(
  'memcpy_to_iter_csum',
  (iter_to: Uint8Array, progress: number, len: number, from: Uint8Array, priv2: unknown): number => {
    const csum = priv2 as ref<number>
    csum.v = csum_block_add(csum.v, csum_partial_copy_nocheck(from, progress, iter_to, 0, len), progress)
    return 0
  },
)
const csum_and_copy_to_iter = kfunc(
  'csum_and_copy_to_iter',
  (addr: Uint8Array, size: number, data: unknown, i: iov_iter): number => {
    const csstate = data as csum_state
    if (i.data_source) return 0
    if (iov_iter_is_discard(i)) {
      csstate.csum = csum_block_add(csstate.csum, csum_partial(addr, 0, size, 0), csstate.off)
      csstate.off += size
      return size
    }
    sum.v = csum_shift(csstate.csum, csstate.off)
    const bytes = iterate_and_advance2(i, size, addr, sum, copy_to_user_iter_csum, memcpy_to_iter_csum)
    csstate.csum = csum_shift(sum.v, csstate.off)
    csstate.off += bytes
    return bytes
  },
)

const skb_copy_and_csum_datagram = kfunc(
  'skb_copy_and_csum_datagram',
  (skb: sk_buff, offset: number, to: iov_iter, len: number, csump: ref<number>): number => {
    const csdata: csum_state = { csum: csump.v, off: 0 }
    const ret = __skb_datagram_iter(skb, offset, to, len, true, csum_and_copy_to_iter, csdata)
    if (ret) return ret
    csump.v = csdata.csum
    return 0
  },
)

/** copies what is behind `hlen` bytes to the message and checks its checksum on the way: -EINVAL when it is wrong */
export const skb_copy_and_csum_datagram_msg = kfunc(
  'skb_copy_and_csum_datagram_msg',
  (skb: sk_buff, hlen: number, msg: msghdr): number => {
    const chunk = skb.len - hlen
    if (!chunk) return 0
    if (msg.msg_iter.count < chunk) {
      if (__skb_checksum_complete(skb)) return -EINVAL
      return skb_copy_datagram_msg(skb, hlen, msg, chunk) ? -EFAULT : 0
    }
    const csum: ref<number> = { v: csum_partial(skb.head.bytes, skb.data, hlen, skb.csum) }
    if (skb_copy_and_csum_datagram(skb, hlen, msg.msg_iter, chunk, csum)) return -EFAULT
    if (csum_fold(csum.v)) {
      iov_iter_revert(msg.msg_iter, chunk)
      return -EINVAL
    }
    if (skb.ip_summed === CHECKSUM_COMPLETE && !skb.csum_complete_sw) netdev_rx_csum_fault(null, skb)
    return 0
  },
)

export { __skb_checksum_complete }
