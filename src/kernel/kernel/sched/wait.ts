import { kfunc } from '../../../trace/kfunc.ts'
import { ERESTARTSYS } from '../../include/linux/errno.ts'
import { list_add, list_add_tail, list_del, list_empty } from '../../include/linux/list.ts'
import { TASK_INTERRUPTIBLE, TASK_NORMAL, TASK_RUNNING } from '../../include/linux/sched.ts'
import {
  WQ_FLAG_EXCLUSIVE,
  WQ_FLAG_PRIORITY,
  WQ_FLAG_WOKEN,
  type wait_queue_entry,
  type wait_queue_head,
} from '../../include/linux/wait.ts'
import { _raw_spin_lock_irqsave, _raw_spin_unlock_irqrestore } from '../locking/spinlock.ts'
import { current, default_wake_function, schedule_timeout, set_current_state, signal_pending } from './core.ts'

export const WF_SYNC = 0x10

export const __init_waitqueue_head = kfunc(
  '__init_waitqueue_head',
  (wq_head: wait_queue_head, _name: string, _key: unknown): void => {
    wq_head.lock.locked = 0
    list_del(wq_head.head)
  },
)
export const init_waitqueue_head = (wq_head: wait_queue_head): void => __init_waitqueue_head(wq_head, '', null)

function __add_wait_queue(wq_head: wait_queue_head, wq_entry: wait_queue_entry): void {
  // those with priority stay in front
  let after = wq_head.head
  for (const wq of wq_head.head) {
    if (!(wq.flags & WQ_FLAG_PRIORITY)) break
    after = wq.entry
  }
  list_add(wq_entry.entry, after)
}
const __add_wait_queue_entry_tail = (wq_head: wait_queue_head, wq_entry: wait_queue_entry): void =>
  list_add_tail(wq_entry.entry, wq_head.head)

export const add_wait_queue = kfunc('add_wait_queue', (wq_head: wait_queue_head, wq_entry: wait_queue_entry): void => {
  wq_entry.flags &= ~WQ_FLAG_EXCLUSIVE
  const flags = _raw_spin_lock_irqsave(wq_head.lock)
  __add_wait_queue(wq_head, wq_entry)
  _raw_spin_unlock_irqrestore(wq_head.lock, flags)
})

export const remove_wait_queue = kfunc('remove_wait_queue', (wq_head: wait_queue_head, wq_entry: wait_queue_entry): void => {
  const flags = _raw_spin_lock_irqsave(wq_head.lock)
  list_del(wq_entry.entry)
  _raw_spin_unlock_irqrestore(wq_head.lock, flags)
})

const __wake_up_common = kfunc(
  '__wake_up_common',
  (wq_head: wait_queue_head, mode: number, nr_exclusive: number, wake_flags: number, key: number): number => {
    for (const curr of wq_head.head) {
      const { flags } = curr
      const ret = curr.func === null ? 0 : curr.func(curr, mode, wake_flags, key)
      if (ret < 0) break
      if (ret && flags & WQ_FLAG_EXCLUSIVE && !--nr_exclusive) break
    }
    return nr_exclusive
  },
)

function __wake_up_common_lock(
  wq_head: wait_queue_head,
  mode: number,
  nr_exclusive: number,
  wake_flags: number,
  key: number,
): number {
  const flags = _raw_spin_lock_irqsave(wq_head.lock)
  const remaining = __wake_up_common(wq_head, mode, nr_exclusive, wake_flags, key)
  _raw_spin_unlock_irqrestore(wq_head.lock, flags)
  return nr_exclusive - remaining
}

/** wakes who waits for `key` (poll events, 0 for anything); of exclusive waiters `nr_exclusive`, 0 for all. Returns how many those were. */
export const __wake_up = kfunc('__wake_up', (wq_head: wait_queue_head, mode: number, nr_exclusive: number, key: number): number =>
  __wake_up_common_lock(wq_head, mode, nr_exclusive, 0, key),
)

export const __wake_up_sync_key = kfunc(
  '__wake_up_sync_key',
  (wq_head: wait_queue_head | null, mode: number, key: number): void => {
    if (wq_head === null) return
    __wake_up_common_lock(wq_head, mode, 1, WF_SYNC, key)
  },
)

// include/linux/wait.h
export const wake_up = (x: wait_queue_head): number => __wake_up(x, TASK_NORMAL, 1, 0)
export const wake_up_interruptible = (x: wait_queue_head): number => __wake_up(x, TASK_INTERRUPTIBLE, 1, 0)
export const wake_up_interruptible_all = (x: wait_queue_head): number => __wake_up(x, TASK_INTERRUPTIBLE, 0, 0)
export const wake_up_interruptible_poll = (x: wait_queue_head, m: number): number => __wake_up(x, TASK_INTERRUPTIBLE, 1, m)
export const wake_up_interruptible_sync_poll = (x: wait_queue_head, m: number): void =>
  __wake_up_sync_key(x, TASK_INTERRUPTIBLE, m)

export const prepare_to_wait = kfunc(
  'prepare_to_wait',
  (wq_head: wait_queue_head, wq_entry: wait_queue_entry, state: number): void => {
    wq_entry.flags &= ~WQ_FLAG_EXCLUSIVE
    const flags = _raw_spin_lock_irqsave(wq_head.lock)
    if (list_empty(wq_entry.entry)) __add_wait_queue(wq_head, wq_entry)
    set_current_state(state)
    _raw_spin_unlock_irqrestore(wq_head.lock, flags)
  },
)

/** whether the entry is the first that waits here */
export const prepare_to_wait_exclusive = kfunc(
  'prepare_to_wait_exclusive',
  (wq_head: wait_queue_head, wq_entry: wait_queue_entry, state: number): boolean => {
    let was_empty = false
    wq_entry.flags |= WQ_FLAG_EXCLUSIVE
    const flags = _raw_spin_lock_irqsave(wq_head.lock)
    if (list_empty(wq_entry.entry)) {
      was_empty = list_empty(wq_head.head)
      __add_wait_queue_entry_tail(wq_head, wq_entry)
    }
    set_current_state(state)
    _raw_spin_unlock_irqrestore(wq_head.lock, flags)
    return was_empty
  },
)

export const init_wait_entry = (wq_entry: wait_queue_entry, flags: number): void => {
  wq_entry.flags = flags
  wq_entry.private_ = current
  wq_entry.func = autoremove_wake_function
  list_del(wq_entry.entry)
}

export const prepare_to_wait_event = kfunc(
  'prepare_to_wait_event',
  (wq_head: wait_queue_head, wq_entry: wait_queue_entry, state: number): number => {
    let ret = 0
    const flags = _raw_spin_lock_irqsave(wq_head.lock)
    if (state & TASK_INTERRUPTIBLE && signal_pending(current)) {
      list_del(wq_entry.entry)
      ret = -ERESTARTSYS
    } else {
      if (list_empty(wq_entry.entry)) {
        if (wq_entry.flags & WQ_FLAG_EXCLUSIVE) __add_wait_queue_entry_tail(wq_head, wq_entry)
        else __add_wait_queue(wq_head, wq_entry)
      }
      set_current_state(state)
    }
    _raw_spin_unlock_irqrestore(wq_head.lock, flags)
    return ret
  },
)

export const finish_wait = kfunc('finish_wait', (wq_head: wait_queue_head, wq_entry: wait_queue_entry): void => {
  set_current_state(TASK_RUNNING)
  if (!list_empty(wq_entry.entry)) {
    const flags = _raw_spin_lock_irqsave(wq_head.lock)
    list_del(wq_entry.entry)
    _raw_spin_unlock_irqrestore(wq_head.lock, flags)
  }
})

export const autoremove_wake_function = kfunc(
  'autoremove_wake_function',
  (wq_entry: wait_queue_entry, mode: number, sync: number, key: number): number => {
    const ret = default_wake_function(wq_entry, mode, sync, key)
    if (ret) list_del(wq_entry.entry)
    return ret
  },
)

/** kernel/kthread.c: nobody stops a process that is no thread of the kernel */
const kthread_should_stop_or_park = kfunc('kthread_should_stop_or_park', (): boolean => false)

/** sleeps, unless woken since the entry was added; returns the jiffies that are left */
export const wait_woken = kfunc('wait_woken', (wq_entry: wait_queue_entry, mode: number, timeout: number): number => {
  set_current_state(mode)
  if (!(wq_entry.flags & WQ_FLAG_WOKEN) && !kthread_should_stop_or_park()) timeout = schedule_timeout(timeout)
  set_current_state(TASK_RUNNING)
  wq_entry.flags &= ~WQ_FLAG_WOKEN
  return timeout
})

export const woken_wake_function = kfunc(
  'woken_wake_function',
  (wq_entry: wait_queue_entry, mode: number, sync: number, key: number): number => {
    wq_entry.flags |= WQ_FLAG_WOKEN
    return default_wake_function(wq_entry, mode, sync, key)
  },
)
