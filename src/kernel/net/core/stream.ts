import { kfunc } from '../../../trace/kfunc.ts'
import { decide, tracer } from '../../../trace/tracer.ts'
import { get_random_u32_below_const } from '../../drivers/char/random.ts'
import {
  HZ,
  MSG_NOSIGNAL,
  SOCK_DEAD,
  SOCK_NOSPACE,
  SOCKWQ_ASYNC_NOSPACE,
  TCPF_CLOSE_WAIT,
  TCPF_CLOSING,
  TCPF_ESTABLISHED,
  TCPF_FIN_WAIT1,
  TCPF_LAST_ACK,
  TCPF_SYN_RECV,
  TCPF_SYN_SENT,
} from '../../include/generated/enums.ts'
import { EAGAIN, EPIPE } from '../../include/linux/errno.ts'
import { SOCK_WAKE_SPACE } from '../../include/linux/net.ts'
import { MAX_SCHEDULE_TIMEOUT, type ref } from '../../include/linux/types.ts'
import { EPOLLOUT, EPOLLWRBAND, EPOLLWRNORM, wait_queue_entry, wq_has_sleeper } from '../../include/linux/wait.ts'
import type { sock } from '../../include/net/sock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { current, signal_pending } from '../../kernel/sched/core.ts'
import { add_wait_queue, remove_wait_queue, wake_up_interruptible_poll, woken_wake_function } from '../../kernel/sched/wait.ts'
import { SIGPIPE, send_sig } from '../../kernel/signal.ts'
import { sock_wake_async } from '../socket.ts'
import { __skb_queue_purge, skb_queue_purge } from './skbuff.ts'
import {
  __sk_stream_is_writeable,
  SEND_SHUTDOWN,
  sk_clear_bit,
  sk_mem_reclaim_final,
  sk_set_bit,
  sk_sleep,
  sk_stream_memory_free,
  sk_wait_event,
  sock_error,
  sock_flag,
  sock_intr_errno,
} from './sock.ts'

const POLL_OUT = 2

const set_nospace = (sk: sock): void => {
  if (sk.sk_socket !== null) sk.sk_socket.flags |= 1 << SOCK_NOSPACE
}

/** the write_space callback of stream sockets: wakes a writer once a third of the buffer is free */
export const sk_stream_write_space = kfunc('sk_stream_write_space', (sk: sock): void => {
  const s = sk.sk_socket
  if (!__sk_stream_is_writeable(sk, 1) || s === null) return
  s.flags &= ~(1 << SOCK_NOSPACE)
  rcu_read_lock()
  const wq = sk.sk_wq
  if (wq !== null && wq_has_sleeper(wq.wait)) wake_up_interruptible_poll(wq.wait, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND)
  if (wq?.fasync_list && !(sk.sk_shutdown & SEND_SHUTDOWN)) sock_wake_async(wq, SOCK_WAKE_SPACE, POLL_OUT)
  rcu_read_unlock()
})

/** Waits until the connection stands. @param timeo_p jiffies left, 0 for not at all */
export const sk_stream_wait_connect = kfunc('sk_stream_wait_connect', (sk: sock, timeo_p: ref<number>): number => {
  const wait = new wait_queue_entry(current, woken_wake_function)
  let done: number
  do {
    const err = sock_error(sk)
    if (err) return err
    if ((1 << sk.skc_state) & ~(TCPF_SYN_SENT | TCPF_SYN_RECV)) return -EPIPE
    if (timeo_p.v === 0) return -EAGAIN
    if (signal_pending(current)) return sock_intr_errno(timeo_p.v)
    add_wait_queue(sk_sleep(sk), wait)
    sk.sk_write_pending++
    done = sk_wait_event(
      sk,
      timeo_p,
      () => sk.sk_err === 0 && ((1 << sk.skc_state) & ~(TCPF_ESTABLISHED | TCPF_CLOSE_WAIT)) === 0,
      wait,
    )
    remove_wait_queue(sk_sleep(sk), wait)
    sk.sk_write_pending--
  } while (done === 0)
  return Math.min(done, 0)
})

const sk_stream_closing = kfunc(
  'sk_stream_closing',
  (sk: sock): number => (1 << sk.skc_state) & (TCPF_FIN_WAIT1 | TCPF_CLOSING | TCPF_LAST_ACK),
)

/** Waits until everything was sent and acknowledged. @param timeout jiffies */
export const sk_stream_wait_close = kfunc('sk_stream_wait_close', (sk: sock, timeout: number): void => {
  if (timeout === 0) return
  const wait = new wait_queue_entry(current, woken_wake_function)
  const left: ref<number> = { v: timeout }
  add_wait_queue(sk_sleep(sk), wait)
  do {
    if (sk_wait_event(sk, left, () => sk_stream_closing(sk) === 0, wait)) break
  } while (!signal_pending(current) && left.v)
  remove_wait_queue(sk_sleep(sk), wait)
})

/** Waits for room in the send buffer. @returns 0, -EPIPE, -EAGAIN or what an interrupted call gives */
export const sk_stream_wait_memory = kfunc('sk_stream_wait_memory', (sk: sock, timeo_p: ref<number>): number => {
  let err = 0
  let vm_wait = 0
  const current_timeo: ref<number> = { v: timeo_p.v }
  const wait = new wait_queue_entry(current, woken_wake_function)

  if (sk_stream_memory_free(sk)) {
    // the socket may, but the machine has none: try again soon
    vm_wait = get_random_u32_below_const(HZ / 5) + 2
    current_timeo.v = vm_wait
  }
  if (tracer.on)
    decide('sk_stream_wait_memory', timeo_p.v === 0 ? 'refuse: the send buffer is full' : 'wait: the send buffer is full', {
      wmem_queued: sk.sk_wmem_queued,
      sndbuf: sk.sk_sndbuf,
    })
  add_wait_queue(sk_sleep(sk), wait)
  for (;;) {
    sk_set_bit(SOCKWQ_ASYNC_NOSPACE, sk)
    if (sk.sk_err || sk.sk_shutdown & SEND_SHUTDOWN) {
      err = -EPIPE
      break
    }
    if (timeo_p.v === 0) {
      set_nospace(sk)
      err = -EAGAIN
      break
    }
    if (signal_pending(current)) {
      err = sock_intr_errno(timeo_p.v)
      break
    }
    sk_clear_bit(SOCKWQ_ASYNC_NOSPACE, sk)
    if (sk_stream_memory_free(sk) && !vm_wait) break
    set_nospace(sk)
    sk.sk_write_pending++
    const ret = sk_wait_event(
      sk,
      current_timeo,
      () => sk.sk_err !== 0 || (sk.sk_shutdown & SEND_SHUTDOWN) !== 0 || (sk_stream_memory_free(sk) && !vm_wait),
      wait,
    )
    sk.sk_write_pending--
    if (ret < 0) {
      err = -EPIPE
      break
    }
    if (vm_wait) {
      vm_wait -= current_timeo.v
      current_timeo.v = timeo_p.v
      if (current_timeo.v !== MAX_SCHEDULE_TIMEOUT) current_timeo.v = Math.max(0, current_timeo.v - vm_wait)
      vm_wait = 0
    }
    timeo_p.v = current_timeo.v
  }
  if (!sock_flag(sk, SOCK_DEAD)) remove_wait_queue(sk_sleep(sk), wait)
  return err
})

export const sk_stream_error = kfunc('sk_stream_error', (sk: sock, flags: number, err: number): number => {
  const e = err === -EPIPE ? sock_error(sk) || -EPIPE : err
  if (e === -EPIPE && !(flags & MSG_NOSIGNAL)) send_sig(SIGPIPE, current, 0)
  return e
})

export const sk_stream_kill_queues = kfunc('sk_stream_kill_queues', (sk: sock): void => {
  __skb_queue_purge(sk.sk_receive_queue)
  skb_queue_purge(sk.sk_error_queue)
  sk_mem_reclaim_final(sk)
})
