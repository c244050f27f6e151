import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { traceIndirect, tracer } from '../../../trace/tracer.ts'
import {
  __QDISC_STATE_DEACTIVATED,
  __QDISC_STATE_MISSED,
  __QDISC_STATE_SCHED,
  __QDISC_STATE2_RUNNING,
  IFF_NO_QUEUE,
  NET_XMIT_CN,
  NET_XMIT_DROP,
  NET_XMIT_SUCCESS,
  NETDEV_TX_BUSY,
  SKB_DROP_REASON_QDISC_DROP,
  TCQ_F_BUILTIN,
  TCQ_F_CAN_BYPASS,
  TCQ_F_CPUSTATS,
  TCQ_F_INVISIBLE,
  TCQ_F_NOLOCK,
  TCQ_F_NOPARENT,
  TCQ_F_ONETXQUEUE,
} from '../../include/generated/enums.ts'
import { EINVAL, ENOSPC } from '../../include/linux/errno.ts'
import { subsys_initcall } from '../../include/linux/init.ts'
import {
  type net_device,
  net_device as net_device_class,
  netdev_get_tx_queue,
  netdev_queue,
} from '../../include/linux/netdevice.ts'
import { __skb_dequeue, __skb_insert, __skb_queue_tail, type sk_buff, skb_is_gso, skb_peek } from '../../include/linux/skbuff.ts'
import { spinlock_t as Spinlock, type spinlock_t } from '../../include/linux/spinlock.ts'
import type { ref } from '../../include/linux/types.ts'
import { Qdisc, type Qdisc_ops, qdisc_dev, qdisc_lock, qdisc_priv, type tca_options } from '../../include/net/sch_generic.ts'
import { spin_lock, spin_trylock, spin_unlock } from '../../kernel/locking/spinlock.ts'
import { jiffies } from '../../kernel/time/timer.ts'
import {
  __netif_schedule,
  dev_hard_start_xmit,
  dev_xmit_complete,
  HARD_TX_LOCK,
  HARD_TX_UNLOCK,
  netif_carrier_ok,
  netif_xmit_frozen_or_stopped,
  validate_xmit_skb_list,
} from '../core/dev.ts'
import { net_hotdata } from '../core/hotdata.ts'
import { init_net } from '../core/net_namespace.ts'
import { trace_qdisc_dequeue, trace_qdisc_gone } from '../core/net-traces.ts'
import { kfree_skb_reason } from '../core/skbuff.ts'

// ---- include/net/sch_generic.h

export const qdisc_pkt_len = (skb: sk_buff): number => skb.pkt_len
export const nolock_qdisc_is_empty = (q: Qdisc): boolean => !((q.state >> __QDISC_STATE_MISSED) & 1) && q.q.qlen === 0

export const qdisc_run_begin = kfunc('qdisc_run_begin', (q: Qdisc): boolean => {
  if (q.flags & TCQ_F_NOLOCK) {
    if (spin_trylock(q.seqlock)) return true
    if ((q.state >> __QDISC_STATE_MISSED) & 1) return false
    q.state |= 1 << __QDISC_STATE_MISSED
    return spin_trylock(q.seqlock) !== 0
  }
  if ((q.state2 >> __QDISC_STATE2_RUNNING) & 1) return false
  q.state2 |= 1 << __QDISC_STATE2_RUNNING
  return true
})

export const qdisc_run_end = kfunc('qdisc_run_end', (q: Qdisc): void => {
  if (q.flags & TCQ_F_NOLOCK) {
    spin_unlock(q.seqlock)
    if ((q.state >> __QDISC_STATE_MISSED) & 1) __netif_schedule(q)
  } else q.state2 &= ~(1 << __QDISC_STATE2_RUNNING)
})

export const qdisc_run = kfunc('qdisc_run', (q: Qdisc): void => {
  if (!qdisc_run_begin(q)) return
  __qdisc_run(q)
  qdisc_run_end(q)
})

export const TC_H_ROOT = 0xffffffff

export const qdisc_bstats_update = kfunc('qdisc_bstats_update', (q: Qdisc, skb: sk_buff): void => {
  q.bstats.bytes += skb.pkt_len
  q.bstats.packets += skb_is_gso(skb) ? skb.gso_segs : 1
})
export const qdisc_qstats_backlog_inc = (q: Qdisc, skb: sk_buff): void => {
  q.qstats.backlog += skb.pkt_len
}
export const qdisc_qstats_backlog_dec = (q: Qdisc, skb: sk_buff): void => {
  q.qstats.backlog -= skb.pkt_len
}
export const qdisc_qstats_drop = (q: Qdisc): void => {
  q.qstats.drops++
}
export const qdisc_qstats_overlimit = (q: Qdisc): void => {
  q.qstats.overlimits++
}

export const __qdisc_drop = kfunc('__qdisc_drop', (skb: sk_buff, to_free: ref<sk_buff | null>): void => {
  skb.next = to_free.v
  to_free.v = skb
})
export const qdisc_drop = kfunc('qdisc_drop', (skb: sk_buff, sch: Qdisc, to_free: ref<sk_buff | null>): number => {
  __qdisc_drop(skb, to_free)
  qdisc_qstats_drop(sch)
  return NET_XMIT_DROP
})

/** a queue of sk_buffs as a discipline keeps it: sch.q */
export const qdisc_enqueue_tail = kfunc('qdisc_enqueue_tail', (skb: sk_buff, sch: Qdisc): number => {
  __skb_queue_tail(sch.q, skb)
  qdisc_qstats_backlog_inc(sch, skb)
  return 0
})
export const qdisc_dequeue_head = kfunc('qdisc_dequeue_head', (sch: Qdisc): sk_buff | null => {
  const skb = __skb_dequeue(sch.q)
  if (skb !== null) {
    qdisc_qstats_backlog_dec(sch, skb)
    qdisc_bstats_update(sch, skb)
  }
  return skb
})

// ---- net/sched/sch_generic.c

export const dev_requeue_skb = kfunc('dev_requeue_skb', (list: sk_buff | null, q: Qdisc): void => {
  const lock = q.flags & TCQ_F_NOLOCK ? qdisc_lock(q) : null
  if (lock) spin_lock(lock)
  // back to the front, in their order
  const at = skb_peek(q.gso_skb)
  for (let skb = list; skb !== null; ) {
    const next: sk_buff | null = skb.next
    if (at === null) __skb_queue_tail(q.gso_skb, skb)
    else __skb_insert(skb, at.prev, at, q.gso_skb)
    q.qstats.requeues++
    qdisc_qstats_backlog_inc(q, skb)
    q.q.qlen++
    skb = next
  }
  if (lock) {
    spin_unlock(lock)
    q.state |= 1 << __QDISC_STATE_MISSED
  } else __netif_schedule(q)
})

const qdisc_maybe_clear_missed = kfunc('qdisc_maybe_clear_missed', (q: Qdisc, _txq: netdev_queue): void => {
  q.state &= ~(1 << __QDISC_STATE_MISSED)
})

/** bytes that the device's byte queue limit allows */
const qdisc_avail_bulklimit = (txq: netdev_queue): number => txq.dql.adj_limit - txq.dql.num_queued

const call_dequeue = (q: Qdisc): sk_buff | null => {
  if (q.dequeue === null) return null
  if (tracer.on) traceIndirect('q->dequeue', nameOf(q.dequeue))
  return q.dequeue(q)
}

const try_bulk_dequeue_skb = kfunc(
  'try_bulk_dequeue_skb',
  (q: Qdisc, first: sk_buff, txq: netdev_queue, packets: ref<number>, budget: number): void => {
    let bytelimit = qdisc_avail_bulklimit(txq) - first.len
    let skb = first
    let cnt = 0
    while (bytelimit > 0) {
      const nskb = call_dequeue(q)
      if (nskb === null) break
      bytelimit -= nskb.len
      skb.next = nskb
      skb = nskb
      if (++cnt >= budget) break
    }
    packets.v += cnt
    skb.next = null
  },
)

const try_bulk_dequeue_skb_slow = kfunc('try_bulk_dequeue_skb_slow', (q: Qdisc, first: sk_buff, packets: ref<number>): void => {
  const mapping = first.queue_mapping
  let skb = first
  let cnt = 0
  do {
    const nskb = call_dequeue(q)
    if (nskb === null) break
    if (nskb.queue_mapping !== mapping) {
      __skb_queue_tail(q.skb_bad_txq, nskb)
      qdisc_qstats_backlog_inc(q, nskb)
      q.q.qlen++
      break
    }
    skb.next = nskb
    skb = nskb
  } while (++cnt < 8)
  packets.v += cnt
  skb.next = null
})

/** from a list that was put aside, when the hardware queue that it is for takes packets again */
const dequeue_parked = (q: Qdisc, from: Qdisc['gso_skb'], txq: netdev_queue): sk_buff | null => {
  const skb = skb_peek(from)
  if (skb === null) return null
  if (netif_xmit_frozen_or_stopped(netdev_get_tx_queue(txq.dev, skb.queue_mapping))) {
    qdisc_maybe_clear_missed(q, txq)
    return null
  }
  __skb_dequeue(from)
  qdisc_qstats_backlog_dec(q, skb)
  q.q.qlen--
  return skb
}

const dequeue_skb = kfunc(
  'dequeue_skb',
  (q: Qdisc, validate: ref<boolean>, packets: ref<number>, budget: number): sk_buff | null => {
    const txq = q.dev_queue
    packets.v = 1
    if (q.gso_skb.first !== null) {
      validate.v = false
      const parked = dequeue_parked(q, q.gso_skb, txq)
      if (tracer.on) trace_qdisc_dequeue(q, txq, packets.v, parked)
      return parked
    }
    validate.v = true
    if (q.flags & TCQ_F_ONETXQUEUE && netif_xmit_frozen_or_stopped(txq)) {
      qdisc_maybe_clear_missed(q, txq)
      return null
    }
    let skb: sk_buff | null
    if (q.skb_bad_txq.first !== null) {
      skb = dequeue_parked(q, q.skb_bad_txq, txq)
      if (skb === null) return null
    } else skb = call_dequeue(q)
    if (skb !== null) {
      if (q.flags & TCQ_F_ONETXQUEUE) try_bulk_dequeue_skb(q, skb, txq, packets, budget)
      else try_bulk_dequeue_skb_slow(q, skb, packets)
    }
    if (tracer.on) trace_qdisc_dequeue(q, txq, packets.v, skb)
    return skb
  },
)

/** @returns false when the hardware cannot take more */
export const sch_direct_xmit = kfunc(
  'sch_direct_xmit',
  (first: sk_buff, q: Qdisc, dev: net_device, txq: netdev_queue, root_lock: spinlock_t | null, validate: boolean): boolean => {
    const ret: ref<number> = { v: NETDEV_TX_BUSY }
    let skb: sk_buff | null = first
    if (root_lock) spin_unlock(root_lock)
    if (validate) skb = validate_xmit_skb_list(skb, dev, { v: false })
    if (skb === null) {
      if (root_lock) spin_lock(root_lock)
      return true
    }
    HARD_TX_LOCK(dev, txq, 0)
    if (!netif_xmit_frozen_or_stopped(txq)) skb = dev_hard_start_xmit(skb, dev, txq, ret)
    else qdisc_maybe_clear_missed(q, txq)
    HARD_TX_UNLOCK(dev, txq)
    if (root_lock) spin_lock(root_lock)
    if (!dev_xmit_complete(ret.v)) {
      dev_requeue_skb(skb, q)
      return false
    }
    return true
  },
)

const qdisc_restart = kfunc('qdisc_restart', (q: Qdisc, packets: ref<number>, budget: number): boolean => {
  const validate: ref<boolean> = { v: true }
  const skb = dequeue_skb(q, validate, packets, budget)
  if (skb === null) return false
  const root_lock = q.flags & TCQ_F_NOLOCK ? null : qdisc_lock(q)
  const dev = qdisc_dev(q)
  return sch_direct_xmit(skb, q, dev, netdev_get_tx_queue(dev, skb.queue_mapping), root_lock, validate.v)
})

/** sends what the discipline gives, as much as one turn may */
export const __qdisc_run = kfunc('__qdisc_run', (q: Qdisc): void => {
  let quota = net_hotdata.dev_tx_weight
  const packets: ref<number> = { v: 0 }
  while (qdisc_restart(q, packets, quota)) {
    quota -= packets.v
    if (quota <= 0) {
      if (q.flags & TCQ_F_NOLOCK) q.state |= 1 << __QDISC_STATE_MISSED
      else __netif_schedule(q)
      break
    }
  }
})

// ---- disciplines that are always there

const noop_enqueue = kfunc('noop_enqueue', (skb: sk_buff, _qdisc: Qdisc, to_free: ref<sk_buff | null>): number => {
  __qdisc_drop(skb, to_free)
  return NET_XMIT_CN
})
const noop_dequeue = kfunc('noop_dequeue', (_qdisc: Qdisc): sk_buff | null => null)

export let noop_qdisc_ops: Qdisc_ops
export let noqueue_qdisc_ops: Qdisc_ops
export let pfifo_fast_ops: Qdisc_ops
/** drops everything: a device that is down */
export let noop_qdisc: Qdisc
/** what a device gets that has no queue discipline of its own: set by the discipline that is the default; none yet */
let default_qdisc_ops: Qdisc_ops | null = null
export const qdisc_set_default = (ops: Qdisc_ops | null): void => {
  default_qdisc_ops = ops
}
export const get_default_qdisc_name = (): string => (default_qdisc_ops ?? pfifo_fast_ops).id
export const get_default_qdisc_ops = (_dev: net_device, _ntx: number): Qdisc_ops => default_qdisc_ops ?? pfifo_fast_ops
/** sch_mq.ts, for devices with several queues */
let mq_qdisc_ops: Qdisc_ops | null = null
export const register_mq = (ops: Qdisc_ops | null): void => {
  mq_qdisc_ops = ops
}

const noqueue_init = kfunc('noqueue_init', (qdisc: Qdisc, _opt: tca_options | null, _extack: ref<string>): number => {
  // without a queue there is nothing to put a packet into
  qdisc.enqueue = null
  return 0
})

// ---- pfifo_fast: three bands, the lowest that has a packet goes first; works without the root lock

export const PFIFO_FAST_BANDS = 3
/** band of each priority: TC_PRIO_BESTEFFORT, FILLER, BULK, … */
export const sch_default_prio2band: readonly number[] = [1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]
const TC_PRIO_MAX = 15

/** a ring of packets with a lock for those who fill it */
interface skb_array {
  readonly ring: sk_buff[]
  size: number
  readonly producer_lock: spinlock_t
}
interface pfifo_fast_priv {
  readonly q: skb_array[]
}

const skb_array_produce = kfunc('skb_array_produce', (a: skb_array, skb: sk_buff): number => {
  spin_lock(a.producer_lock)
  const full = a.ring.length >= a.size
  if (!full) a.ring.push(skb)
  spin_unlock(a.producer_lock)
  return full ? -ENOSPC : 0
})

const pfifo_fast_enqueue = kfunc('pfifo_fast_enqueue', (skb: sk_buff, qdisc: Qdisc, to_free: ref<sk_buff | null>): number => {
  const q = qdisc_priv<pfifo_fast_priv>(qdisc).q[sch_default_prio2band[skb.priority & TC_PRIO_MAX] ?? 1]
  if (q === undefined || skb_array_produce(q, skb)) return qdisc_drop(skb, qdisc, to_free)
  qdisc_qstats_backlog_inc(qdisc, skb)
  qdisc.q.qlen++
  return NET_XMIT_SUCCESS
})

const pfifo_fast_dequeue = kfunc('pfifo_fast_dequeue', (qdisc: Qdisc): sk_buff | null => {
  for (let retry = true; ; ) {
    for (const band of qdisc_priv<pfifo_fast_priv>(qdisc).q) {
      const skb = band.ring.shift()
      if (skb === undefined) continue
      qdisc_qstats_backlog_dec(qdisc, skb)
      qdisc_bstats_update(qdisc, skb)
      qdisc.q.qlen--
      return skb
    }
    if (!retry || !((qdisc.state >> __QDISC_STATE_MISSED) & 1)) return null
    qdisc.state &= ~(1 << __QDISC_STATE_MISSED)
    retry = false
  }
})

const pfifo_fast_peek = kfunc('pfifo_fast_peek', (qdisc: Qdisc): sk_buff | null => {
  for (const band of qdisc_priv<pfifo_fast_priv>(qdisc).q) {
    const [skb] = band.ring
    if (skb !== undefined) return skb
  }
  return null
})

const pfifo_fast_reset = kfunc('pfifo_fast_reset', (qdisc: Qdisc): void => {
  for (const band of qdisc_priv<pfifo_fast_priv>(qdisc).q)
    for (const skb of band.ring.splice(0)) kfree_skb_reason(skb, SKB_DROP_REASON_QDISC_DROP)
})

const pfifo_fast_init = kfunc('pfifo_fast_init', (qdisc: Qdisc, _opt: tca_options | null, _extack: ref<string>): number => {
  const size = qdisc_dev(qdisc).tx_queue_len
  if (!size) return -EINVAL
  const band = (): skb_array => ({ ring: [], size, producer_lock: new Spinlock() })
  qdisc.priv = { q: Array.from({ length: PFIFO_FAST_BANDS }, band) } satisfies pfifo_fast_priv
  qdisc.flags |= TCQ_F_CAN_BYPASS
  return 0
})

const pfifo_fast_change_tx_queue_len = kfunc('pfifo_fast_change_tx_queue_len', (sch: Qdisc, new_len: number): number => {
  for (const band of qdisc_priv<pfifo_fast_priv>(sch).q) band.size = new_len
  return 0
})

const pfifo_fast_dump = kfunc(
  'pfifo_fast_dump',
  (_qdisc: Qdisc): tca_options => ({ bands: PFIFO_FAST_BANDS, priomap: sch_default_prio2band }),
)

subsys_initcall(() => {
  noop_qdisc_ops = { id: 'noop', enqueue: noop_enqueue, dequeue: noop_dequeue, peek: noop_dequeue }
  noqueue_qdisc_ops = { id: 'noqueue', init: noqueue_init, enqueue: noop_enqueue, dequeue: noop_dequeue, peek: noop_dequeue }
  pfifo_fast_ops = {
    id: 'pfifo_fast',
    enqueue: pfifo_fast_enqueue,
    dequeue: pfifo_fast_dequeue,
    peek: pfifo_fast_peek,
    init: pfifo_fast_init,
    reset: pfifo_fast_reset,
    dump: pfifo_fast_dump,
    change_tx_queue_len: pfifo_fast_change_tx_queue_len,
    static_flags: TCQ_F_NOLOCK | TCQ_F_CPUSTATS,
  }
  noop_qdisc = new Qdisc()
  noop_qdisc.enqueue = noop_enqueue
  noop_qdisc.dequeue = noop_dequeue
  noop_qdisc.flags = TCQ_F_BUILTIN
  noop_qdisc.ops = noop_qdisc_ops
  // a device of no name: what runs there is said to be the host's own
  const nowhere = new net_device_class()
  nowhere.nd_net = init_net
  noop_qdisc.dev_queue = new netdev_queue(nowhere)
  default_qdisc_ops = null
})

export const qdisc_alloc = kfunc('qdisc_alloc', (dev_queue: netdev_queue, ops: Qdisc_ops): Qdisc => {
  const sch = new Qdisc()
  sch.ops = ops
  sch.flags = ops.static_flags ?? 0
  sch.enqueue = ops.enqueue
  sch.dequeue = ops.dequeue
  sch.dev_queue = dev_queue
  return sch
})
export const qdisc_create_dflt = kfunc(
  'qdisc_create_dflt',
  (dev_queue: netdev_queue, ops: Qdisc_ops, parentid: number): Qdisc | null => {
    const sch = qdisc_alloc(dev_queue, ops)
    sch.parent = parentid
    if (ops.init && ops.init(sch, null, { v: '' }) !== 0) {
      qdisc_put(sch)
      return null
    }
    return sch
  },
)
/** gives up every packet that the discipline holds */
export const qdisc_reset = kfunc('qdisc_reset', (q: Qdisc): void => {
  if (tracer.on) trace_qdisc_gone('qdisc_reset', q)
  q.ops.reset?.(q)
  for (const list of [q.gso_skb, q.skb_bad_txq])
    for (let skb = __skb_dequeue(list); skb !== null; skb = __skb_dequeue(list)) kfree_skb_reason(skb, SKB_DROP_REASON_QDISC_DROP)
  q.q.qlen = 0
  q.qstats.backlog = 0
})
/** what a discipline without a reset of its own parts with: sch->q */
export const qdisc_reset_queue = kfunc('qdisc_reset_queue', (sch: Qdisc): void => {
  for (let skb = __skb_dequeue(sch.q); skb !== null; skb = __skb_dequeue(sch.q)) kfree_skb_reason(skb, SKB_DROP_REASON_QDISC_DROP)
  sch.qstats.backlog = 0
})

const __qdisc_destroy = kfunc('__qdisc_destroy', (qdisc: Qdisc): void => {
  const hash = qdisc_dev(qdisc).qdisc_hash
  const i = hash.indexOf(qdisc)
  if (i >= 0) hash.splice(i, 1)
  qdisc_reset(qdisc)
  qdisc.ops.destroy?.(qdisc)
  if (tracer.on) trace_qdisc_gone('qdisc_destroy', qdisc)
})
export const qdisc_put = kfunc('qdisc_put', (qdisc: Qdisc | null): void => {
  if (qdisc === null || qdisc.flags & TCQ_F_BUILTIN) return
  if (--qdisc.refcnt > 0) return
  __qdisc_destroy(qdisc)
})
export const qdisc_refcount_inc = (qdisc: Qdisc): void => {
  if (!(qdisc.flags & TCQ_F_BUILTIN)) qdisc.refcnt++
}
/** makes a discipline findable by its handle */
export const qdisc_hash_add = kfunc('qdisc_hash_add', (q: Qdisc, invisible: boolean): void => {
  const hash = qdisc_dev(q).qdisc_hash
  if (!hash.includes(q)) hash.push(q)
  if (invisible) q.flags |= TCQ_F_INVISIBLE
})

export const dev_init_scheduler = kfunc('dev_init_scheduler', (dev: net_device): void => {
  dev.qdisc = noop_qdisc
  for (const txq of dev._tx) {
    txq.qdisc = noop_qdisc
    txq.qdisc_sleeping = noop_qdisc
  }
})

const netif_is_multiqueue = (dev: net_device): boolean => dev.num_tx_queues > 1

const attach_one_default_qdisc = kfunc(
  'attach_one_default_qdisc',
  (dev: net_device, dev_queue: netdev_queue, _unused: unknown): void => {
    const ops = dev.priv_flags & IFF_NO_QUEUE ? noqueue_qdisc_ops : get_default_qdisc_ops(dev, 0)
    const qdisc = qdisc_create_dflt(dev_queue, ops, TC_H_ROOT)
    if (qdisc === null) return
    if (!netif_is_multiqueue(dev)) qdisc.flags |= TCQ_F_ONETXQUEUE | TCQ_F_NOPARENT
    dev_queue.qdisc_sleeping = qdisc
  },
)

const attach_default_qdiscs = kfunc('attach_default_qdiscs', (dev: net_device): void => {
  const txq = netdev_get_tx_queue(dev, 0)
  if (!netif_is_multiqueue(dev) || dev.priv_flags & IFF_NO_QUEUE || mq_qdisc_ops === null) {
    for (const q of dev._tx) attach_one_default_qdisc(dev, q, null)
    dev.qdisc = txq.qdisc_sleeping
    if (dev.qdisc !== null) qdisc_refcount_inc(dev.qdisc)
  } else {
    const qdisc = qdisc_create_dflt(txq, mq_qdisc_ops, TC_H_ROOT)
    if (qdisc !== null) {
      dev.qdisc = qdisc
      qdisc.ops.attach?.(qdisc)
    }
  }
  if (dev.qdisc !== null && dev.qdisc !== noop_qdisc) qdisc_hash_add(dev.qdisc, false)
})

/** gives a device that comes up its queue disciplines */
export const dev_activate = kfunc('dev_activate', (dev: net_device): void => {
  if (dev.qdisc === noop_qdisc) attach_default_qdiscs(dev)
  if (!netif_carrier_ok(dev)) return
  for (const txq of dev._tx) {
    if (txq.qdisc_sleeping !== null) txq.qdisc_sleeping.state &= ~(1 << __QDISC_STATE_DEACTIVATED)
    txq.qdisc = txq.qdisc_sleeping
    txq.trans_start = jiffies()
  }
})

export const dev_deactivate = kfunc('dev_deactivate', (dev: net_device): void => {
  for (const txq of dev._tx) {
    const q = txq.qdisc
    txq.qdisc = noop_qdisc
    if (q === null || q === noop_qdisc) continue
    q.state |= 1 << __QDISC_STATE_DEACTIVATED
    q.state &= ~((1 << __QDISC_STATE_MISSED) | (1 << __QDISC_STATE_SCHED))
    qdisc_reset(q)
  }
})

/** replaces what a queue sends through; the packets of the old one are dropped. @returns the old one */
export const dev_graft_qdisc = kfunc('dev_graft_qdisc', (dev_queue: netdev_queue, qdisc: Qdisc | null): Qdisc | null => {
  const old = dev_queue.qdisc_sleeping
  if (old !== null && old !== noop_qdisc) qdisc_reset(old)
  dev_queue.qdisc_sleeping = qdisc ?? noop_qdisc
  dev_queue.qdisc = noop_qdisc
  return old
})

/** the device goes for good, or to another namespace: it has no queue disciplines any more */
export const dev_shutdown = kfunc('dev_shutdown', (dev: net_device): void => {
  for (const txq of dev._tx) {
    const q = txq.qdisc_sleeping
    txq.qdisc = noop_qdisc
    txq.qdisc_sleeping = noop_qdisc
    if (q !== null && q !== noop_qdisc) qdisc_reset(q)
  }
  dev.qdisc = noop_qdisc
})

/** include/net/sch_generic.h: no queue has anything that would take a packet yet */
export const qdisc_tx_is_noop = kfunc('qdisc_tx_is_noop', (dev: net_device): boolean =>
  dev._tx.every((txq) => txq.qdisc === noop_qdisc),
)
