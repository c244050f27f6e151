import { clock } from '../../../sim/clock.ts'
import { events, type SimEvent } from '../../../sim/events.ts'
import { kfunc } from '../../../trace/kfunc.ts'
import { beginWork, type Execution, endWork, netnsOf } from '../../../trace/tracer.ts'
import { HZ } from '../../include/generated/enums.ts'
import { early_initcall } from '../../include/linux/init.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import {
  TIMER_ARRAYMASK,
  TIMER_ARRAYSHIFT,
  TIMER_INIT_FLAGS,
  timer_bucket,
  type timer_list,
  timer_pending,
} from '../../include/linux/timer.ts'
import { MSEC_PER_SEC, NSEC_PER_SEC, USEC_PER_SEC } from '../../include/linux/types.ts'
import { _raw_spin_lock_irqsave, _raw_spin_unlock_irqrestore } from '../locking/spinlock.ts'
import { in_softirq_context } from '../softirq.ts'

/** nanoseconds in a tick */
export const TICK_NSEC = NSEC_PER_SEC / HZ
const USER_HZ = 100
/** jiffies at boot: above 0, so that "some time ago" is never negative */
export const INITIAL_JIFFIES = 300 * HZ
/** an offset "without end": include/linux/jiffies.h */
export const MAX_JIFFY_OFFSET = 0x3ffffffffffffe

/** ticks since boot, and a little more: see INITIAL_JIFFIES */
export const jiffies = (): number => INITIAL_JIFFIES + Math.floor(clock.now / (clock.perNs * TICK_NSEC))
export const get_jiffies_64 = jiffies
export const time_after = (a: number, b: number): boolean => a > b
export const time_before = (a: number, b: number): boolean => a < b
export const time_before_eq = (a: number, b: number): boolean => a <= b

// The wheel: nine levels of 64 buckets, each level eight times coarser than the one below. kernel/time/timer.c
const LVL_CLK_SHIFT = 3
const LVL_BITS = 6
const LVL_SIZE = 1 << LVL_BITS
const LVL_MASK = LVL_SIZE - 1
const LVL_DEPTH = 9
const WHEEL_SIZE = LVL_SIZE * LVL_DEPTH
/** the first distance in jiffies that belongs to level n */
const LVL_START = Array.from({ length: LVL_DEPTH + 1 }, (_, n) => (n === 0 ? 0 : (LVL_SIZE - 1) * 2 ** ((n - 1) * LVL_CLK_SHIFT)))
const WHEEL_TIMEOUT_CUTOFF = LVL_START[LVL_DEPTH] ?? 0
const WHEEL_TIMEOUT_MAX = WHEEL_TIMEOUT_CUTOFF - 2 ** ((LVL_DEPTH - 1) * LVL_CLK_SHIFT)
const NEVER = Number.POSITIVE_INFINITY

const MOD_TIMER_PENDING_ONLY = 0x01
const MOD_TIMER_REDUCE = 0x02
const MOD_TIMER_NOTPENDING = 0x04

class bucket extends timer_bucket {
  /** the tick in which its timers run */
  expiry = 0
  event: SimEvent | null = null
  /** pending in the wheel, for finding the next one */
  slot = -1
}

class timer_base {
  readonly lock: spinlock_t = new spinlock_t()
  running_timer: timer_list | null = null
  clk = INITIAL_JIFFIES
  next_expiry = NEVER
  readonly vectors: bucket[] = Array.from({ length: WHEEL_SIZE }, () => new bucket())
  /** the buckets that hold timers */
  readonly pending: bucket[] = []
}

let base = new timer_base()
/** calc_wheel_index() writes it */
let bucket_expiry = 0

early_initcall(() => {
  base = new timer_base()
})

function calc_index(expires: number, lvl: number): number {
  // rounded up: a timer never fires early
  const granularity = 2 ** (lvl * LVL_CLK_SHIFT)
  const n = Math.floor(expires / granularity) + 1
  bucket_expiry = n * granularity
  return lvl * LVL_SIZE + (n & LVL_MASK)
}

/** which bucket a timer belongs to, for a wheel that stands at `clk`; the tick in which that runs is left in `bucket_expiry` */
const calc_wheel_index = kfunc('calc_wheel_index', (expires: number, clk: number): number => {
  const delta = expires - clk
  if (delta < 0) {
    bucket_expiry = clk
    return clk & LVL_MASK
  }
  for (let lvl = 0; lvl < LVL_DEPTH - 1; lvl++) if (delta < (LVL_START[lvl + 1] ?? 0)) return calc_index(expires, lvl)
  if (delta >= WHEEL_TIMEOUT_CUTOFF) expires = clk + WHEEL_TIMEOUT_MAX
  return calc_index(expires, LVL_DEPTH - 1)
})

/** for tests: the tick in which a timer would run that is set now for `expires` */
export function wheel_expiry(expires: number, clk: number): number {
  calc_wheel_index(expires, clk)
  return bucket_expiry
}

const timer_get_idx = (timer: timer_list): number => timer.flags >>> TIMER_ARRAYSHIFT
const timer_set_idx = (timer: timer_list, idx: number): void => {
  timer.flags = ((timer.flags & ~TIMER_ARRAYMASK) | (idx << TIMER_ARRAYSHIFT)) >>> 0
}

function recalc_next_expiry(): void {
  let next = NEVER
  for (const b of base.pending) if (b.expiry < next) next = b.expiry
  base.next_expiry = next
}

/** takes an empty bucket out of the list of pending ones */
function clear_pending(b: bucket): void {
  if (b.slot < 0) return
  if (b.event !== null) events.cancel(b.event)
  b.event = null
  const last = base.pending.pop()
  if (last !== undefined && last !== b) {
    base.pending[b.slot] = last
    last.slot = b.slot
  }
  b.slot = -1
}

const enqueue_timer = kfunc('enqueue_timer', (b: timer_base, timer: timer_list, idx: number, expiry: number): void => {
  const vector = b.vectors[idx]
  if (vector === undefined) return
  timer.next = vector.first
  timer.prev = null
  if (vector.first !== null) vector.first.prev = timer
  vector.first = timer
  timer.bucket = vector
  timer_set_idx(timer, idx)
  if (vector.slot < 0) {
    vector.slot = b.pending.length
    b.pending.push(vector)
    vector.expiry = expiry
    vector.event = events.add((expiry - INITIAL_JIFFIES) * TICK_NSEC, () => run_bucket(vector))
  }
  if (expiry < b.next_expiry) b.next_expiry = expiry
})

function detach_timer(timer: timer_list): void {
  const b = timer.bucket
  if (timer.prev !== null) timer.prev.next = timer.next
  else if (b !== null) b.first = timer.next
  if (timer.next !== null) timer.next.prev = timer.prev
  timer.next = null
  timer.prev = null
  timer.bucket = null
}

const detach_if_pending = kfunc('detach_if_pending', (timer: timer_list, _base: timer_base, _clear_pending: boolean): number => {
  if (!timer_pending(timer)) return 0
  const b = timer.bucket as bucket
  detach_timer(timer)
  if (b.first === null) {
    clear_pending(b)
    recalc_next_expiry()
  }
  return 1
})

/** lets the wheel catch up with the time, but not past a bucket that is due */
function forward_timer_base(): void {
  const now = jiffies()
  if (now <= base.clk) return
  base.clk = Math.min(base.next_expiry, now)
}

const lock_timer_base = kfunc('lock_timer_base', (_timer: timer_list): timer_base => {
  _raw_spin_lock_irqsave(base.lock)
  return base
})

const __mod_timer = (timer: timer_list, expires: number, options: number): number => {
  let idx = -1
  let clk = 0
  let b: timer_base
  if (!(options & MOD_TIMER_NOTPENDING) && timer_pending(timer)) {
    const diff = timer.expires - expires
    if (diff === 0) return 1
    if (options & MOD_TIMER_REDUCE && diff <= 0) return 1
    b = lock_timer_base(timer)
    if (timer.function === null) return unlock(0)
    forward_timer_base()
    clk = b.clk
    idx = calc_wheel_index(expires, clk)
    if (idx === timer_get_idx(timer)) {
      // the same bucket: it runs in the same tick
      timer.expires = expires
      return unlock(1)
    }
  } else {
    b = lock_timer_base(timer)
    if (timer.function === null) return unlock(0)
    forward_timer_base()
  }
  const expiry = bucket_expiry
  const ret = detach_if_pending(timer, b, false)
  if (!ret && options & MOD_TIMER_PENDING_ONLY) return unlock(ret)
  timer.expires = expires
  if (idx >= 0 && clk === b.clk) enqueue_timer(b, timer, idx, expiry)
  else internal_add_timer(b, timer)
  return unlock(ret)
}

function unlock(ret: number): number {
  _raw_spin_unlock_irqrestore(base.lock, 0)
  return ret
}

const internal_add_timer = (b: timer_base, timer: timer_list): void => {
  const idx = calc_wheel_index(timer.expires, b.clk)
  enqueue_timer(b, timer, idx, bucket_expiry)
}

/** (re)starts a timer for `expires`, in jiffies; it fires in the tick after, or later as the wheel's level is coarser. 1 when it was pending. */
export const mod_timer = kfunc('mod_timer', (timer: timer_list, expires: number): number => __mod_timer(timer, expires, 0))
export const mod_timer_pending = kfunc('mod_timer_pending', (timer: timer_list, expires: number): number =>
  __mod_timer(timer, expires, MOD_TIMER_PENDING_ONLY),
)
export const add_timer = kfunc('add_timer', (timer: timer_list): void => {
  __mod_timer(timer, timer.expires, MOD_TIMER_NOTPENDING)
})

export const init_timer_key = kfunc(
  'init_timer_key',
  (timer: timer_list, func: (timer: timer_list) => void, flags: number, _name: string | null, _key: unknown): void => {
    timer.next = null
    timer.prev = null
    timer.bucket = null
    timer.function = func
    timer.flags = flags & TIMER_INIT_FLAGS
  },
)
export const timer_setup = (timer: timer_list, callback: (timer: timer_list) => void, flags: number): void =>
  init_timer_key(timer, callback, flags, null, null)

const __timer_delete = (timer: timer_list, shutdown: boolean): number => {
  let ret = 0
  if (timer_pending(timer) || shutdown) {
    const b = lock_timer_base(timer)
    ret = detach_if_pending(timer, b, true)
    if (shutdown) timer.function = null
    _raw_spin_unlock_irqrestore(b.lock, 0)
  }
  return ret
}

/** 1 when the timer was pending */
export const timer_delete = kfunc('timer_delete', (timer: timer_list): number => __timer_delete(timer, false))

const __try_to_del_timer_sync = (timer: timer_list, shutdown: boolean): number => {
  let ret = -1
  const b = lock_timer_base(timer)
  if (b.running_timer !== timer) ret = detach_if_pending(timer, b, true)
  if (shutdown) timer.function = null
  _raw_spin_unlock_irqrestore(b.lock, 0)
  return ret
}

const __timer_delete_sync = kfunc('__timer_delete_sync', (timer: timer_list, shutdown: boolean): number => {
  const ret = __try_to_del_timer_sync(timer, shutdown)
  return Math.max(ret, 0)
})
export const timer_delete_sync = kfunc('timer_delete_sync', (timer: timer_list): number => __timer_delete_sync(timer, false))
export const timer_shutdown_sync = kfunc('timer_shutdown_sync', (timer: timer_list): number => __timer_delete_sync(timer, true))
export const del_timer = timer_delete
export const del_timer_sync = timer_delete_sync

const timer_softirq: Execution = { kind: 'softirq', comm: 'swapper/0', pid: 0, netns: '' }

/** A bucket's tick has come: run_timer_softirq() and what it calls, for that bucket. Each timer's function is a first frame. */
function run_bucket(b: bucket): void {
  b.event = null
  let timer = b.first
  b.first = null
  clear_pending(b)
  if (base.clk <= b.expiry) base.clk = b.expiry + 1
  recalc_next_expiry()
  // one of them may delete or re-arm the others: those that are still to run stay on a list of their own
  const due: timer_list[] = []
  const expired = new bucket()
  for (; timer !== null; timer = timer.next) {
    timer.bucket = expired
    due.push(timer)
  }
  expired.first = due[0] ?? null
  in_softirq_context(timer_softirq, () => {
    for (const t of due) {
      if (t.bucket !== expired) continue
      detach_timer(t)
      base.running_timer = t
      call_timer_fn(t)
      base.running_timer = null
    }
  })
}

function call_timer_fn(timer: timer_list): void {
  const before = beginWork('softirq', netnsOf(timer.owner))
  timer.function?.(timer)
  endWork(before)
}

// include/linux/jiffies.h and kernel/time/time.c
export const __msecs_to_jiffies = kfunc('__msecs_to_jiffies', (m: number): number =>
  m < 0 ? MAX_JIFFY_OFFSET : Math.ceil((m * HZ) / MSEC_PER_SEC),
)
export const msecs_to_jiffies = (m: number): number => __msecs_to_jiffies(m)
/** of a constant: the compiler works it out */
export const _msecs_to_jiffies = (m: number): number => Math.ceil((m * HZ) / MSEC_PER_SEC)
export const __usecs_to_jiffies = kfunc('__usecs_to_jiffies', (u: number): number => Math.ceil((u * HZ) / USEC_PER_SEC))
export const usecs_to_jiffies = (u: number): number => __usecs_to_jiffies(u)
export const jiffies_to_msecs = kfunc('jiffies_to_msecs', (j: number): number => j * (MSEC_PER_SEC / HZ))
/** hundredths of a second, as programs are told */
export const jiffies_to_clock_t = kfunc('jiffies_to_clock_t', (x: number): number => Math.trunc((x * USER_HZ) / HZ))
export const jiffies_to_usecs = kfunc('jiffies_to_usecs', (j: number): number => j * (USEC_PER_SEC / HZ))
export const nsecs_to_jiffies = (n: number): number => Math.floor(n / TICK_NSEC)
export const nsecs_to_jiffies64 = nsecs_to_jiffies
export const jiffies_to_nsecs = (j: number): number => j * TICK_NSEC
