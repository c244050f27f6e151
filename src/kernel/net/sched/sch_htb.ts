import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracer } from '../../../trace/tracer.ts'
import { NET_XMIT_SUCCESS } from '../../include/generated/enums.ts'
import { EBUSY, EINVAL } from '../../include/linux/errno.ts'
import { module_init } from '../../include/linux/init.ts'
import { __skb_dequeue, __skb_queue_tail, type sk_buff, sk_buff_head, skb_is_gso } from '../../include/linux/skbuff.ts'
import { clamp, NSEC_PER_SEC, type ref } from '../../include/linux/types.ts'
import { type Qdisc, type Qdisc_ops, qdisc_dev, qdisc_priv, type tca_options } from '../../include/net/sch_generic.ts'
import { ktime_get_ns } from '../../kernel/time/timekeeping.ts'
import { jiffies } from '../../kernel/time/timer.ts'
import { kfree_skb } from '../core/skbuff.ts'
import {
  net_xmit_drop_count,
  psched_l2t_ns,
  qdisc_enqueue,
  qdisc_peek_dequeued,
  qdisc_tree_reduce_backlog,
  qdisc_watchdog_cancel,
  qdisc_watchdog_init,
  qdisc_watchdog_schedule_ns,
  qdisc_watchdog_t,
  register_qdisc,
  TC_H_MAKE,
} from './sch_api.ts'
import { pfifo_qdisc_ops } from './sch_fifo.ts'
import {
  noop_qdisc,
  qdisc_bstats_update,
  qdisc_create_dflt,
  qdisc_drop,
  qdisc_hash_add,
  qdisc_pkt_len,
  qdisc_put,
  qdisc_qstats_backlog_dec,
  qdisc_qstats_drop,
  qdisc_reset,
  TC_H_ROOT,
} from './sch_generic.ts'

const TC_HTB_MAXDEPTH = 8
const TC_HTB_NUMPRIO = 8
const TC_HTB_HYSTERESIS = false
const HTB_CANT_SEND = 0
const HTB_MAY_BORROW = 1
const HTB_CAN_SEND = 2
const NEVER = Number.POSITIVE_INFINITY
/** iproute2 gives a bucket's size in ticks of 64 nanoseconds */
const ticks = (bytes: number, rate: number): number => Math.floor((bytes * 1e9) / rate / 64) * 64

/** classes of one priority that may send, by number, and whose turn it is */
interface htb_prio {
  row: htb_class[]
  ptr: htb_class | null
  /** where to go on when the one whose turn it was went away */
  last_ptr_id: number
}
const new_prio = (): htb_prio => ({ row: [], ptr: null, last_ptr_id: 0 })
const new_prios = (): htb_prio[] => Array.from({ length: TC_HTB_NUMPRIO }, new_prio)

class htb_class {
  readonly classid: number
  parent: htb_class | null = null
  rate = 0
  ceil = 0
  burst = 0
  cburst = 0
  /** buckets, in nanoseconds at the class's rates */
  buffer = 0
  cbuffer = 0
  readonly mbuffer = 60 * NSEC_PER_SEC
  prio = 0
  quantum = 0
  readonly bstats = { bytes: 0, packets: 0 }
  drops = 0
  overlimits = 0
  lends = 0
  borrows = 0
  tokens = 0
  ctokens = 0
  t_c = 0
  level = 0
  children = 0
  prio_activity = 0
  cmode = HTB_CAN_SEND
  pq_key = 0
  waiting = false
  q: Qdisc = noop_qdisc
  readonly deficit: number[] = new Array(TC_HTB_MAXDEPTH).fill(0)
  /** of an inner class: its children that have something to send and may borrow */
  clprio: htb_prio[] = []

  constructor(classid: number) {
    this.classid = classid
  }
}

interface htb_sched {
  clhash: Map<number, htb_class>
  defcls: number
  rate2quantum: number
  direct_queue: sk_buff_head
  direct_qlen: number
  direct_pkts: number
  overlimits: number
  now: number
  watchdog: qdisc_watchdog_t
  hlevel: { hprio: htb_prio[]; wait_pq: htb_class[] }[]
  row_mask: number[]
  near_ev_cache: number[]
}

const htb_find = kfunc(
  'htb_find',
  (handle: number, sch: Qdisc): htb_class | null => qdisc_priv<htb_sched>(sch).clhash.get(handle) ?? null,
)

/** without filters: by the class that the priority names, else the default. null: past all classes */
const htb_classify = kfunc('htb_classify', (skb: sk_buff, sch: Qdisc, _qerr: ref<number> | null): htb_class | null => {
  const q = qdisc_priv<htb_sched>(sch)
  if (skb.priority === sch.handle) return null
  const named = htb_find(skb.priority, sch)
  if (named !== null && named.level === 0) return named
  const cl = htb_find(TC_H_MAKE(sch.handle, q.defcls), sch)
  return cl === null || cl.level ? null : cl
})

const htb_add_to_id_tree = kfunc('htb_add_to_id_tree', (row: htb_class[], cl: htb_class, _prio: number): void => {
  let i = row.length
  while (i > 0 && (row[i - 1] as htb_class).classid > cl.classid) i--
  row.splice(i, 0, cl)
})
const remove = (row: htb_class[], cl: htb_class): void => {
  const i = row.indexOf(cl)
  if (i >= 0) row.splice(i, 1)
}
const after = (row: htb_class[], cl: htb_class): htb_class | null => row[row.indexOf(cl) + 1] ?? null

const htb_add_to_wait_tree = kfunc('htb_add_to_wait_tree', (q: htb_sched, cl: htb_class, delay: number): void => {
  cl.pq_key = q.now + delay
  if (cl.pq_key === q.now) cl.pq_key++
  if ((q.near_ev_cache[cl.level] ?? NEVER) > cl.pq_key) q.near_ev_cache[cl.level] = cl.pq_key
  const pq = q.hlevel[cl.level]?.wait_pq ?? []
  let i = pq.length
  while (i > 0 && (pq[i - 1] as htb_class).pq_key > cl.pq_key) i--
  pq.splice(i, 0, cl)
  cl.waiting = true
})

const htb_add_class_to_row = kfunc('htb_add_class_to_row', (q: htb_sched, cl: htb_class, mask: number): void => {
  q.row_mask[cl.level] = (q.row_mask[cl.level] ?? 0) | mask
  for (let prio = 0; prio < TC_HTB_NUMPRIO; prio++)
    if (mask & (1 << prio)) htb_add_to_id_tree(q.hlevel[cl.level]?.hprio[prio]?.row ?? [], cl, prio)
})
const htb_remove_class_from_row = kfunc('htb_remove_class_from_row', (q: htb_sched, cl: htb_class, mask: number): void => {
  let m = 0
  for (let prio = 0; prio < TC_HTB_NUMPRIO; prio++) {
    const hprio = q.hlevel[cl.level]?.hprio[prio]
    if (!(mask & (1 << prio)) || hprio === undefined) continue
    if (hprio.ptr === cl) hprio.ptr = after(hprio.row, cl)
    remove(hprio.row, cl)
    if (hprio.row.length === 0) m |= 1 << prio
  }
  q.row_mask[cl.level] = (q.row_mask[cl.level] ?? 0) & ~m
})

const htb_activate_prios = kfunc('htb_activate_prios', (q: htb_sched, first: htb_class): void => {
  let cl = first
  let p = cl.parent
  let mask = cl.prio_activity
  while (cl.cmode === HTB_MAY_BORROW && p !== null && mask) {
    for (let prio = 0, m = mask; prio < TC_HTB_NUMPRIO; prio++) {
      const feed = p.clprio[prio]
      if (!(m & (1 << prio)) || feed === undefined) continue
      if (feed.row.length > 0) mask &= ~(1 << prio)
      htb_add_to_id_tree(feed.row, cl, prio)
    }
    p.prio_activity |= mask
    cl = p
    p = cl.parent
  }
  if (cl.cmode === HTB_CAN_SEND && mask) htb_add_class_to_row(q, cl, mask)
})
const htb_deactivate_prios = kfunc('htb_deactivate_prios', (q: htb_sched, first: htb_class): void => {
  let cl = first
  let p = cl.parent
  let mask = cl.prio_activity
  while (cl.cmode === HTB_MAY_BORROW && p !== null && mask) {
    const m = mask
    mask = 0
    for (let prio = 0; prio < TC_HTB_NUMPRIO; prio++) {
      const feed = p.clprio[prio]
      if (!(m & (1 << prio)) || feed === undefined) continue
      if (feed.ptr === cl) {
        feed.last_ptr_id = cl.classid
        feed.ptr = null
      }
      remove(feed.row, cl)
      if (feed.row.length === 0) mask |= 1 << prio
    }
    p.prio_activity &= ~mask
    cl = p
    p = cl.parent
  }
  if (cl.cmode === HTB_CAN_SEND && mask) htb_remove_class_from_row(q, cl, mask)
})

const htb_lowater = (cl: htb_class): number => (TC_HTB_HYSTERESIS && cl.cmode !== HTB_CANT_SEND ? -cl.cbuffer : 0)
const htb_hiwater = (cl: htb_class): number => (TC_HTB_HYSTERESIS && cl.cmode === HTB_CAN_SEND ? -cl.buffer : 0)
/** what a class may do with the tokens that it has; `diff.v` becomes how long until that changes */
const htb_class_mode = kfunc('htb_class_mode', (cl: htb_class, diff: ref<number>): number => {
  let toks = cl.ctokens + diff.v
  if (toks < htb_lowater(cl)) {
    diff.v = -toks
    return HTB_CANT_SEND
  }
  toks = cl.tokens + diff.v
  if (toks >= htb_hiwater(cl)) return HTB_CAN_SEND
  diff.v = -toks
  return HTB_MAY_BORROW
})
const htb_change_class_mode = kfunc('htb_change_class_mode', (q: htb_sched, cl: htb_class, diff: ref<number>): void => {
  const new_mode = htb_class_mode(cl, diff)
  if (new_mode === cl.cmode) return
  if (tracer.on)
    decide('htb_change_class_mode', ['may not send', 'may borrow', 'may send'][new_mode] ?? '', {
      classid: cl.classid,
      tokens: cl.tokens,
    })
  if (new_mode === HTB_CANT_SEND) {
    cl.overlimits++
    q.overlimits++
  }
  if (cl.prio_activity) {
    if (cl.cmode !== HTB_CANT_SEND) htb_deactivate_prios(q, cl)
    cl.cmode = new_mode
    if (new_mode !== HTB_CANT_SEND) htb_activate_prios(q, cl)
  } else cl.cmode = new_mode
})

const htb_activate = kfunc('htb_activate', (q: htb_sched, cl: htb_class): void => {
  if (cl.prio_activity) return
  cl.prio_activity = 1 << cl.prio
  htb_activate_prios(q, cl)
})
const htb_deactivate = kfunc('htb_deactivate', (q: htb_sched, cl: htb_class): void => {
  if (!cl.prio_activity) return
  htb_deactivate_prios(q, cl)
  cl.prio_activity = 0
})

const htb_enqueue = kfunc('htb_enqueue', (skb: sk_buff, sch: Qdisc, to_free: ref<sk_buff | null>): number => {
  const q = qdisc_priv<htb_sched>(sch)
  const len = qdisc_pkt_len(skb)
  const cl = htb_classify(skb, sch, null)
  if (cl === null) {
    if (q.direct_queue.qlen >= q.direct_qlen) return qdisc_drop(skb, sch, to_free)
    __skb_queue_tail(q.direct_queue, skb)
    q.direct_pkts++
  } else {
    const ret = qdisc_enqueue(skb, cl.q, to_free)
    if (ret !== NET_XMIT_SUCCESS) {
      if (net_xmit_drop_count(ret)) {
        qdisc_qstats_drop(sch)
        cl.drops++
      }
      return ret
    }
    htb_activate(q, cl)
  }
  sch.qstats.backlog += len
  sch.q.qlen++
  return NET_XMIT_SUCCESS
})

const htb_accnt_tokens = kfunc('htb_accnt_tokens', (cl: htb_class, bytes: number, diff: number): void => {
  let toks = Math.min(diff + cl.tokens, cl.buffer)
  toks -= psched_l2t_ns(cl.rate, bytes)
  cl.tokens = toks <= -cl.mbuffer ? 1 - cl.mbuffer : toks
})
const htb_accnt_ctokens = kfunc('htb_accnt_ctokens', (cl: htb_class, bytes: number, diff: number): void => {
  let toks = Math.min(diff + cl.ctokens, cl.cbuffer)
  toks -= psched_l2t_ns(cl.ceil, bytes)
  cl.ctokens = toks <= -cl.mbuffer ? 1 - cl.mbuffer : toks
})

const unwait = (q: htb_sched, cl: htb_class): void => {
  remove(q.hlevel[cl.level]?.wait_pq ?? [], cl)
  cl.waiting = false
}
const bstats_update = (s: { bytes: number; packets: number }, skb: sk_buff): void => {
  s.bytes += qdisc_pkt_len(skb)
  s.packets += skb_is_gso(skb) ? skb.gso_segs : 1
}

const htb_charge_class = kfunc('htb_charge_class', (q: htb_sched, first: htb_class, level: number, skb: sk_buff): void => {
  const bytes = qdisc_pkt_len(skb)
  for (let cl: htb_class | null = first; cl !== null; cl = cl.parent) {
    const diff = Math.min(q.now - cl.t_c, cl.mbuffer)
    if (cl.level >= level) {
      if (cl.level === level) cl.lends++
      htb_accnt_tokens(cl, bytes, diff)
    } else {
      cl.borrows++
      cl.tokens += diff
    }
    htb_accnt_ctokens(cl, bytes, diff)
    cl.t_c = q.now
    const old_mode = cl.cmode
    const d: ref<number> = { v: 0 }
    htb_change_class_mode(q, cl, d)
    if (old_mode !== cl.cmode) {
      if (old_mode !== HTB_CAN_SEND) unwait(q, cl)
      if (cl.cmode !== HTB_CAN_SEND) htb_add_to_wait_tree(q, cl, d.v)
    }
    if (cl.level) bstats_update(cl.bstats, skb)
  }
})

/** classes whose time has come. @returns when the next one's does, 0 for none */
const htb_do_events = kfunc('htb_do_events', (q: htb_sched, level: number, start: number): number => {
  const pq = q.hlevel[level]?.wait_pq ?? []
  while (jiffies() < start + 2) {
    const [cl] = pq
    if (cl === undefined) return 0
    if (cl.pq_key > q.now) return cl.pq_key
    unwait(q, cl)
    const diff: ref<number> = { v: Math.min(q.now - cl.t_c, cl.mbuffer) }
    htb_change_class_mode(q, cl, diff)
    if (cl.cmode !== HTB_CAN_SEND) htb_add_to_wait_tree(q, cl, diff.v)
  }
  return q.now
})

/** whose turn it is in a row: down through the inner classes to a leaf */
const htb_lookup_leaf = kfunc('htb_lookup_leaf', (hprio: htb_prio, prio: number): htb_class | null => {
  if (hprio.row.length === 0) return null
  const stack: htb_prio[] = [hprio]
  for (let i = 0; i < 65535; i++) {
    const sp = stack[stack.length - 1] as htb_prio
    if (sp.ptr === null && sp.last_ptr_id) sp.ptr = sp.row.find((c) => c.classid >= sp.last_ptr_id) ?? null
    sp.last_ptr_id = 0
    if (sp.ptr === null) {
      // at the right end: from the start again, and the next one above
      sp.ptr = sp.row[0] ?? null
      if (stack.length > 1) {
        stack.pop()
        const up = stack[stack.length - 1] as htb_prio
        if (up.ptr === null) return null
        up.ptr = after(up.row, up.ptr)
      } else if (sp.ptr === null) return null
    } else {
      const cl = sp.ptr
      if (!cl.level) return cl
      const feed = cl.clprio[prio]
      if (feed === undefined) return null
      stack.push(feed)
    }
  }
  return null
})

const htb_dequeue_tree = kfunc('htb_dequeue_tree', (q: htb_sched, prio: number, level: number): sk_buff | null => {
  const hprio = q.hlevel[level]?.hprio[prio] as htb_prio
  const turn = (cl: htb_class): void => {
    const p = level ? cl.parent?.clprio[prio] : q.hlevel[0]?.hprio[prio]
    if (p !== undefined && p.ptr !== null) p.ptr = after(p.row, p.ptr)
  }
  let cl = htb_lookup_leaf(hprio, prio)
  let start = cl
  do {
    if (cl === null) return null
    if (cl.q.q.qlen === 0) {
      htb_deactivate(q, cl)
      if (!((q.row_mask[level] ?? 0) & (1 << prio))) return null
      const next = htb_lookup_leaf(hprio, prio)
      if (cl === start) start = next
      cl = next
      continue
    }
    if (tracer.on) traceIndirect('cl->leaf.q->dequeue', nameOf(cl.q.dequeue))
    const skb = cl.q.dequeue?.(cl.q) ?? null
    if (skb !== null) {
      bstats_update(cl.bstats, skb)
      const left = (cl.deficit[level] ?? 0) - qdisc_pkt_len(skb)
      cl.deficit[level] = left
      if (left < 0) {
        cl.deficit[level] = left + cl.quantum
        turn(cl)
      }
      if (cl.q.q.qlen === 0) htb_deactivate(q, cl)
      htb_charge_class(q, cl, level, skb)
      return skb
    }
    turn(cl)
    cl = htb_lookup_leaf(hprio, prio)
  } while (cl !== start)
  return null
})

const htb_dequeue = kfunc('htb_dequeue', (sch: Qdisc): sk_buff | null => {
  const q = qdisc_priv<htb_sched>(sch)
  const deliver = (skb: sk_buff): sk_buff => {
    qdisc_bstats_update(sch, skb)
    qdisc_qstats_backlog_dec(sch, skb)
    sch.q.qlen--
    return skb
  }
  const direct = __skb_dequeue(q.direct_queue)
  if (direct !== null) return deliver(direct)
  if (!sch.q.qlen) return null
  q.now = ktime_get_ns()
  const start_at = jiffies()
  let next_event = q.now + 5 * NSEC_PER_SEC
  for (let level = 0; level < TC_HTB_MAXDEPTH; level++) {
    let event = q.near_ev_cache[level] ?? 0
    if (q.now >= event) {
      event = htb_do_events(q, level, start_at) || q.now + NSEC_PER_SEC
      q.near_ev_cache[level] = event
    }
    next_event = Math.min(next_event, event)
    for (let prio = 0; prio < TC_HTB_NUMPRIO; prio++) {
      if (!((q.row_mask[level] ?? 0) & (1 << prio))) continue
      const skb = htb_dequeue_tree(q, prio, level)
      if (skb !== null) return deliver(skb)
    }
  }
  qdisc_watchdog_schedule_ns(q.watchdog, Math.max(next_event, q.now + 1))
  return null
})

const htb_reset = kfunc('htb_reset', (sch: Qdisc): void => {
  const q = qdisc_priv<htb_sched>(sch)
  for (const cl of q.clhash.values()) {
    if (cl.level) cl.clprio = new_prios()
    else qdisc_reset(cl.q)
    cl.prio_activity = 0
    cl.cmode = HTB_CAN_SEND
    cl.waiting = false
  }
  qdisc_watchdog_cancel(q.watchdog)
  for (let skb = __skb_dequeue(q.direct_queue); skb !== null; skb = __skb_dequeue(q.direct_queue)) kfree_skb(skb)
  q.hlevel = Array.from({ length: TC_HTB_MAXDEPTH }, () => ({ hprio: new_prios(), wait_pq: [] }))
  q.row_mask = new Array(TC_HTB_MAXDEPTH).fill(0)
})

const htb_init = kfunc('htb_init', (sch: Qdisc, opt: tca_options | null, _extack: ref<string>): number => {
  const q: htb_sched = {
    clhash: new Map(),
    defcls: Number(opt?.default ?? 0),
    rate2quantum: Math.max(1, Number(opt?.r2q ?? 10)),
    direct_queue: new sk_buff_head(),
    direct_qlen: qdisc_dev(sch).tx_queue_len,
    direct_pkts: 0,
    overlimits: 0,
    now: 0,
    watchdog: new qdisc_watchdog_t(),
    hlevel: Array.from({ length: TC_HTB_MAXDEPTH }, () => ({ hprio: new_prios(), wait_pq: [] })),
    row_mask: new Array(TC_HTB_MAXDEPTH).fill(0),
    near_ev_cache: new Array(TC_HTB_MAXDEPTH).fill(0),
  }
  sch.priv = q
  qdisc_watchdog_init(q.watchdog, sch)
  return opt === null ? -EINVAL : 0
})
const htb_destroy = kfunc('htb_destroy', (sch: Qdisc): void => {
  const q = qdisc_priv<htb_sched>(sch)
  qdisc_watchdog_cancel(q.watchdog)
  for (const cl of q.clhash.values()) if (!cl.level) qdisc_put(cl.q)
  q.clhash = new Map()
})
const htb_dump = kfunc('htb_dump', (sch: Qdisc): tca_options => {
  const q = qdisc_priv<htb_sched>(sch)
  sch.qstats.overlimits = q.overlimits
  return { r2q: q.rate2quantum, default: q.defcls, direct_pkts: q.direct_pkts, direct_qlen: q.direct_qlen }
})

/** an inner class has no queue: what it had is dropped */
const htb_parent_last_child_or_inner = (q: htb_sched, parent: htb_class): void => {
  const { qlen } = parent.q.q
  const { backlog } = parent.q.qstats
  qdisc_reset(parent.q)
  qdisc_tree_reduce_backlog(parent.q, qlen, backlog)
  qdisc_put(parent.q)
  parent.q = noop_qdisc
  if (parent.prio_activity) htb_deactivate(q, parent)
  if (parent.cmode !== HTB_CAN_SEND) {
    unwait(q, parent)
    parent.cmode = HTB_CAN_SEND
  }
  parent.level = (parent.parent ? parent.parent.level : TC_HTB_MAXDEPTH) - 1
  parent.clprio = new_prios()
}

const htb_change_class = kfunc(
  'htb_change_class',
  (sch: Qdisc, classid: number, parentid: number, opt: tca_options, arg: ref<number>, extack: ref<string>): number => {
    const q = qdisc_priv<htb_sched>(sch)
    const rate = Number(opt.rate ?? 0)
    const ceil = Number(opt.ceil ?? rate)
    if (!rate || !ceil) return -EINVAL
    const parent = parentid === TC_H_ROOT ? null : htb_find(parentid, sch)
    let cl = arg.v ? htb_find(arg.v, sch) : null
    if (cl === null) {
      if (!classid || (classid & 0xffff0000) >>> 0 !== sch.handle || htb_find(classid, sch) !== null) return -EINVAL
      if (parent?.parent && parent.parent.level < 2) {
        extack.v = 'htb: tree is too deep'
        return -EINVAL
      }
      cl = new htb_class(classid)
      const child = qdisc_create_dflt(sch.dev_queue, pfifo_qdisc_ops, classid)
      if (parent !== null && !parent.level) htb_parent_last_child_or_inner(q, parent)
      cl.q = child ?? noop_qdisc
      cl.parent = parent
      if (parent !== null) parent.children++
      cl.tokens = ticks(Number(opt.burst ?? 0), rate)
      cl.ctokens = ticks(Number(opt.cburst ?? 0), ceil)
      cl.t_c = ktime_get_ns()
      q.clhash.set(classid, cl)
      if (child !== null) qdisc_hash_add(child, true)
    }
    cl.rate = rate
    cl.ceil = ceil
    cl.burst = Number(opt.burst ?? 0)
    cl.cburst = Number(opt.cburst ?? 0)
    if (!cl.level) {
      const quantum = Number(opt.quantum ?? 0)
      cl.quantum = quantum || clamp(Math.floor(rate / q.rate2quantum), 1000, 200000)
      cl.prio = Math.min(Number(opt.prio ?? 0), TC_HTB_NUMPRIO - 1)
    }
    cl.buffer = ticks(cl.burst, rate)
    cl.cbuffer = ticks(cl.cburst, ceil)
    arg.v = cl.classid
    return 0
  },
)
const htb_delete = kfunc('htb_delete', (sch: Qdisc, arg: number, extack: ref<string>): number => {
  const q = qdisc_priv<htb_sched>(sch)
  const cl = htb_find(arg, sch)
  if (cl === null) return -EINVAL
  if (cl.children) {
    extack.v = 'HTB class in use'
    return -EBUSY
  }
  if (!cl.level) {
    const { qlen } = cl.q.q
    const { backlog } = cl.q.qstats
    qdisc_reset(cl.q)
    qdisc_tree_reduce_backlog(cl.q, qlen, backlog)
  }
  q.clhash.delete(arg)
  const { parent } = cl
  if (parent !== null) parent.children--
  htb_deactivate(q, cl)
  if (cl.cmode !== HTB_CAN_SEND) unwait(q, cl)
  if (parent !== null && !parent.children) {
    parent.level = 0
    parent.clprio = []
    parent.q = qdisc_create_dflt(sch.dev_queue, pfifo_qdisc_ops, parent.classid) ?? noop_qdisc
    parent.tokens = parent.buffer
    parent.ctokens = parent.cbuffer
    parent.t_c = ktime_get_ns()
    parent.cmode = HTB_CAN_SEND
  }
  qdisc_put(cl.q)
  return 0
})
const htb_graft = kfunc('htb_graft', (sch: Qdisc, arg: number, new_: Qdisc | null, old: ref<Qdisc | null>): number => {
  const cl = htb_find(arg, sch)
  if (cl === null || cl.level) return -EINVAL
  const { qlen } = cl.q.q
  const { backlog } = cl.q.qstats
  qdisc_reset(cl.q)
  qdisc_tree_reduce_backlog(cl.q, qlen, backlog)
  old.v = cl.q === noop_qdisc ? null : cl.q
  cl.q = new_ ?? qdisc_create_dflt(sch.dev_queue, pfifo_qdisc_ops, cl.classid) ?? noop_qdisc
  if (new_ !== null) qdisc_hash_add(new_, false)
  return 0
})
const htb_leaf = kfunc('htb_leaf', (sch: Qdisc, arg: number): Qdisc | null => {
  const cl = htb_find(arg, sch)
  return cl === null || cl.level ? null : cl.q
})
const htb_qlen_notify = kfunc('htb_qlen_notify', (sch: Qdisc, arg: number): void => {
  const cl = htb_find(arg, sch)
  if (cl !== null) htb_deactivate(qdisc_priv<htb_sched>(sch), cl)
})
const htb_search = kfunc('htb_search', (sch: Qdisc, handle: number): number => htb_find(handle, sch)?.classid ?? 0)
const htb_walk = kfunc('htb_walk', (sch: Qdisc, visit: (cl: number) => void): void => {
  for (const id of qdisc_priv<htb_sched>(sch).clhash.keys()) visit(id)
})

module_init(() => {
  const htb_qdisc_ops: Qdisc_ops = {
    id: 'htb',
    cl_ops: {
      graft: htb_graft,
      leaf: htb_leaf,
      find: htb_search,
      qlen_notify: htb_qlen_notify,
      change: htb_change_class,
      delete: htb_delete,
      walk: htb_walk,
      dump: (sch, id) => {
        const cl = htb_find(id, sch) as htb_class
        return {
          classid: id,
          parentid: cl.parent?.classid ?? TC_H_ROOT,
          leaf: cl.level ? null : cl.q,
          options: {
            prio: cl.prio,
            rate: cl.rate,
            ceil: cl.ceil,
            burst: cl.burst,
            cburst: cl.cburst,
            quantum: cl.quantum,
            level: cl.level,
          },
          xstats: {
            lends: cl.lends,
            borrows: cl.borrows,
            giants: 0,
            // in ticks of tc, 64 ns each: PSCHED_NS2TICKS()
            tokens: Math.trunc(cl.tokens / 64),
            ctokens: Math.trunc(cl.ctokens / 64),
          },
          stats: {
            ...cl.bstats,
            qlen: cl.level ? 0 : cl.q.q.qlen,
            backlog: cl.level ? 0 : cl.q.qstats.backlog,
            drops: cl.drops,
            overlimits: cl.overlimits,
            requeues: 0,
          },
        }
      },
    },
    enqueue: htb_enqueue,
    dequeue: htb_dequeue,
    peek: qdisc_peek_dequeued,
    init: htb_init,
    reset: htb_reset,
    destroy: htb_destroy,
    dump: htb_dump,
  }
  register_qdisc(htb_qdisc_ops)
})
