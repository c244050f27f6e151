import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { traceIndirect, tracer } from '../../../trace/tracer.ts'
import { HZ, TCP_LISTEN, TCP_NEW_SYN_RECV } from '../../include/generated/enums.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import type { kmem_cache } from '../../include/linux/slab.ts'
import type { ref } from '../../include/linux/types.ts'
import { inet_csk } from '../../include/net/inet_connection_sock.ts'
import { inet_reqsk, type request_sock, type request_sock_queue } from '../../include/net/request_sock.ts'
import type { sock } from '../../include/net/sock.ts'
import { tcp_rsk, tcp_sk } from '../../include/net/tcp.ts'
import { spin_lock_bh, spin_unlock_bh } from '../../kernel/locking/spinlock.ts'
import { jiffies } from '../../kernel/time/timer.ts'
import { kfree, kmem_cache_free } from '../../mm/slub.ts'
import { sk_acceptq_removed, sk_is_refcounted, skb_sk_is_prefetched, sock_put } from './sock.ts'

export const reqsk_queue_alloc = kfunc('reqsk_queue_alloc', (queue: request_sock_queue): void => {
  queue.fastopenq.rskq_rst_head = null
  queue.fastopenq.rskq_rst_tail = null
  queue.fastopenq.qlen = 0
  queue.rskq_accept_head = null
})

export const __reqsk_free = kfunc('__reqsk_free', (req: request_sock): void => {
  if (tracer.on) traceIndirect('req->rsk_ops->destructor', nameOf(req.rsk_ops.destructor))
  req.rsk_ops.destructor(req)
  if (req.rsk_listener !== null) sock_put(req.rsk_listener)
  kfree(req.saved_syn)
  kmem_cache_free(req.rsk_ops.slab as kmem_cache, req)
})
export const reqsk_free = kfunc('reqsk_free', (req: request_sock): void => __reqsk_free(req))
export const reqsk_put = kfunc('reqsk_put', (req: request_sock): void => {
  if (--req.rsk_refcnt === 0) __reqsk_free(req)
})

/** Takes the socket that an earlier layer looked up, and its reference. */
export const skb_steal_sock = kfunc(
  'skb_steal_sock',
  (skb: sk_buff, refcounted: ref<boolean>, prefetched: ref<boolean>): sock | null => {
    const { sk } = skb
    if (sk === null) {
      prefetched.v = false
      refcounted.v = false
      return null
    }
    prefetched.v = skb_sk_is_prefetched(skb)
    if (prefetched.v) {
      if (sk.skc_state === TCP_NEW_SYN_RECV && inet_reqsk(sk).syncookie) {
        const req = inet_reqsk(sk)
        refcounted.v = false
        const listener = req.rsk_listener
        req.rsk_listener = null
        return listener
      }
      refcounted.v = sk_is_refcounted(sk)
    } else refcounted.v = true
    skb.destructor = null
    skb.sk = null
    return sk
  },
)

/** A Fast Open socket no longer needs its request. */
export const reqsk_fastopen_remove = kfunc('reqsk_fastopen_remove', (sk: sock, req: request_sock, reset: boolean): void => {
  const lsk = req.rsk_listener as sock
  const { fastopenq } = inet_csk(lsk).icsk_accept_queue
  tcp_sk(sk).fastopen_rsk = null
  spin_lock_bh(fastopenq.lock)
  fastopenq.qlen--
  tcp_rsk(req).tfo_listener = false
  if (req.sk === null) {
    if (!reset || lsk.skc_state !== TCP_LISTEN) {
      spin_unlock_bh(fastopenq.lock)
      reqsk_put(req)
      return
    }
    // counts against the limit for another minute: whoever resets at once may be forging addresses
    req.rsk_timer.expires = jiffies() + 60 * HZ
    if (fastopenq.rskq_rst_head === null) fastopenq.rskq_rst_head = req
    else if (fastopenq.rskq_rst_tail !== null) fastopenq.rskq_rst_tail.dl_next = req
    req.dl_next = null
    fastopenq.rskq_rst_tail = req
    fastopenq.qlen++
  }
  spin_unlock_bh(fastopenq.lock)
})

export const reqsk_queue_empty = (queue: request_sock_queue): boolean => queue.rskq_accept_head === null

export const reqsk_queue_remove = kfunc('reqsk_queue_remove', (queue: request_sock_queue, parent: sock): request_sock | null => {
  spin_lock_bh(queue.rskq_lock)
  const req = queue.rskq_accept_head
  if (req !== null) {
    sk_acceptq_removed(parent)
    queue.rskq_accept_head = req.dl_next
    if (queue.rskq_accept_head === null) queue.rskq_accept_tail = null
  }
  spin_unlock_bh(queue.rskq_lock)
  return req
})

export const reqsk_queue_removed = (queue: request_sock_queue, req: request_sock): void => {
  if (req.num_timeout === 0) queue.young--
  queue.qlen--
}
export const reqsk_queue_added = (queue: request_sock_queue): void => {
  queue.young++
  queue.qlen++
}
export const reqsk_queue_len = (queue: request_sock_queue): number => queue.qlen
export const reqsk_queue_len_young = (queue: request_sock_queue): number => queue.young
/** the window of a SYN-ACK is not scaled */
export const tcp_synack_window = (req: request_sock): number => Math.min(req.rsk_rcv_wnd, 65535)
