import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracer } from '../../../trace/tracer.ts'
import { NET_XMIT_DROP, NET_XMIT_SUCCESS } from '../../include/generated/enums.ts'
import { EINVAL } from '../../include/linux/errno.ts'
import { module_init } from '../../include/linux/init.ts'
import * as F from '../../include/linux/netdev_features.ts'
import { type sk_buff, skb_is_gso } from '../../include/linux/skbuff.ts'
import { IS_ERR, type ref } from '../../include/linux/types.ts'
import { type Qdisc, type Qdisc_ops, qdisc_priv, type tca_options } from '../../include/net/sch_generic.ts'
import { ktime_get_ns } from '../../kernel/time/timekeeping.ts'
import { netif_skb_features } from '../core/dev.ts'
import { skb_gso_segment, skb_gso_validate_mac_len } from '../core/gso.ts'
import { consume_skb, kfree_skb } from '../core/skbuff.ts'
import {
  net_xmit_drop_count,
  psched_l2t_ns,
  qdisc_dequeue_peeked,
  qdisc_enqueue,
  qdisc_peek_dequeued,
  qdisc_tree_reduce_backlog,
  qdisc_watchdog_cancel,
  qdisc_watchdog_init,
  qdisc_watchdog_schedule_ns,
  qdisc_watchdog_t,
  register_qdisc,
} from './sch_api.ts'
import { bfifo_qdisc_ops, fifo_create_dflt, fifo_set_limit } from './sch_fifo.ts'
import {
  noop_qdisc,
  qdisc_bstats_update,
  qdisc_drop,
  qdisc_hash_add,
  qdisc_pkt_len,
  qdisc_put,
  qdisc_qstats_backlog_dec,
  qdisc_qstats_drop,
  qdisc_qstats_overlimit,
  qdisc_reset,
} from './sch_generic.ts'

interface tbf_sched_data {
  limit: number
  /** the largest packet that the bucket lets through */
  max_size: number
  /** sizes of the two buckets, nanoseconds at their rates */
  buffer: number
  mtu: number
  /** bytes a second; 0 for no peak rate */
  rate: number
  peak: number
  burst: number
  pburst: number
  tokens: number
  ptokens: number
  t_c: number
  qdisc: Qdisc
  watchdog: qdisc_watchdog_t
}

const psched_ns_t2l = (rate: number, ns: number): number => Math.floor((ns * rate) / 1e9)

const tbf_segment = kfunc('tbf_segment', (skb: sk_buff, sch: Qdisc, to_free: ref<sk_buff | null>): number => {
  const q = qdisc_priv<tbf_sched_data>(sch)
  const features = netif_skb_features(skb)
  const prev_len = qdisc_pkt_len(skb)
  let segs = skb_gso_segment(skb, features & ~F.NETIF_F_GSO_MASK)
  if (IS_ERR(segs) || segs === null) return qdisc_drop(skb, sch, to_free)
  let nb = 0
  let len = 0
  while (segs !== null) {
    const next: sk_buff | null = segs.next
    segs.next = null
    const seg_len = segs.len
    segs.pkt_len = seg_len
    const ret = qdisc_enqueue(segs, q.qdisc, to_free)
    if (ret !== NET_XMIT_SUCCESS) {
      if (net_xmit_drop_count(ret)) qdisc_qstats_drop(sch)
    } else {
      nb++
      len += seg_len
    }
    segs = next
  }
  sch.q.qlen += nb
  sch.qstats.backlog += len
  if (nb > 0) {
    qdisc_tree_reduce_backlog(sch, 1 - nb, prev_len - len)
    consume_skb(skb)
    return NET_XMIT_SUCCESS
  }
  kfree_skb(skb)
  return NET_XMIT_DROP
})

const tbf_enqueue = kfunc('tbf_enqueue', (skb: sk_buff, sch: Qdisc, to_free: ref<sk_buff | null>): number => {
  const q = qdisc_priv<tbf_sched_data>(sch)
  const len = qdisc_pkt_len(skb)
  if (len > q.max_size) {
    if (skb_is_gso(skb) && skb_gso_validate_mac_len(skb, q.max_size)) {
      if (tracer.on) decide('tbf_enqueue', 'segmented: the packet is larger than the bucket', { len, max_size: q.max_size })
      return tbf_segment(skb, sch, to_free)
    }
    return qdisc_drop(skb, sch, to_free)
  }
  const ret = qdisc_enqueue(skb, q.qdisc, to_free)
  if (ret !== NET_XMIT_SUCCESS) {
    if (net_xmit_drop_count(ret)) qdisc_qstats_drop(sch)
    return ret
  }
  sch.qstats.backlog += len
  sch.q.qlen++
  return NET_XMIT_SUCCESS
})

const tbf_dequeue = kfunc('tbf_dequeue', (sch: Qdisc): sk_buff | null => {
  const q = qdisc_priv<tbf_sched_data>(sch)
  if (tracer.on) traceIndirect('q->qdisc->ops->peek', nameOf(q.qdisc.ops.peek))
  let skb = q.qdisc.ops.peek(q.qdisc)
  if (skb === null) return null
  const len = qdisc_pkt_len(skb)
  const now = ktime_get_ns()
  let toks = Math.min(now - q.t_c, q.buffer)
  let ptoks = 0
  if (q.peak) {
    ptoks = Math.min(toks + q.ptokens, q.mtu)
    ptoks -= psched_l2t_ns(q.peak, len)
  }
  toks = Math.min(toks + q.tokens, q.buffer)
  toks -= psched_l2t_ns(q.rate, len)
  if (toks >= 0 && ptoks >= 0) {
    skb = qdisc_dequeue_peeked(q.qdisc)
    if (skb === null) return null
    q.t_c = now
    q.tokens = toks
    q.ptokens = ptoks
    qdisc_qstats_backlog_dec(sch, skb)
    sch.q.qlen--
    qdisc_bstats_update(sch, skb)
    return skb
  }
  if (tracer.on) decide('tbf_dequeue', 'not enough tokens', { len, wait_ns: Math.max(-toks, -ptoks) })
  qdisc_watchdog_schedule_ns(q.watchdog, now + Math.max(-toks, -ptoks))
  qdisc_qstats_overlimit(sch)
  return null
})

const tbf_reset = kfunc('tbf_reset', (sch: Qdisc): void => {
  const q = qdisc_priv<tbf_sched_data>(sch)
  qdisc_reset(q.qdisc)
  q.t_c = ktime_get_ns()
  q.tokens = q.buffer
  q.ptokens = q.mtu
  qdisc_watchdog_cancel(q.watchdog)
})

/** @param opt rates in bytes a second, sizes in bytes */
const tbf_change = kfunc('tbf_change', (sch: Qdisc, opt: tca_options, extack: ref<string>): number => {
  const q = qdisc_priv<tbf_sched_data>(sch)
  const rate = Number(opt.rate ?? 0)
  const peak = Number(opt.peakrate ?? 0)
  const burst = Number(opt.burst ?? 0)
  const pburst = Number(opt.mtu ?? 0)
  const limit = Number(opt.limit ?? 0)
  if (!rate) return -EINVAL
  let max_size = burst
  const buffer = psched_l2t_ns(rate, burst)
  let mtu = 0
  if (peak) {
    if (peak <= rate) return -EINVAL
    mtu = psched_l2t_ns(peak, pburst)
    max_size = Math.min(max_size, pburst || psched_ns_t2l(peak, mtu))
  }
  if (!max_size) return -EINVAL
  if (q.qdisc !== noop_qdisc) {
    const err = fifo_set_limit(q.qdisc, limit)
    if (err) return err
  } else if (limit > 0) {
    const child = fifo_create_dflt(sch, bfifo_qdisc_ops, limit, extack)
    if (typeof child === 'number') return child
    q.qdisc = child
  }
  Object.assign(q, { limit, max_size, buffer, mtu, rate, peak, burst, pburst, tokens: buffer, ptokens: mtu })
  return 0
})
const tbf_init = kfunc('tbf_init', (sch: Qdisc, opt: tca_options | null, extack: ref<string>): number => {
  const q: tbf_sched_data = {
    limit: 0,
    max_size: 0,
    buffer: 0,
    mtu: 0,
    rate: 0,
    peak: 0,
    burst: 0,
    pburst: 0,
    tokens: 0,
    ptokens: 0,
    t_c: ktime_get_ns(),
    qdisc: noop_qdisc,
    watchdog: new qdisc_watchdog_t(),
  }
  sch.priv = q
  qdisc_watchdog_init(q.watchdog, sch)
  return opt === null ? -EINVAL : tbf_change(sch, opt, extack)
})
const tbf_destroy = kfunc('tbf_destroy', (sch: Qdisc): void => {
  const q = qdisc_priv<tbf_sched_data>(sch)
  qdisc_watchdog_cancel(q.watchdog)
  qdisc_put(q.qdisc)
})
const tbf_dump = kfunc('tbf_dump', (sch: Qdisc): tca_options => {
  const q = qdisc_priv<tbf_sched_data>(sch)
  return { limit: q.limit, rate: q.rate, burst: q.burst, peakrate: q.peak, mtu: q.pburst }
})

const tbf_graft = kfunc('tbf_graft', (sch: Qdisc, _arg: number, new_: Qdisc | null, old: ref<Qdisc | null>): number => {
  const q = qdisc_priv<tbf_sched_data>(sch)
  old.v = q.qdisc === noop_qdisc ? null : q.qdisc
  if (old.v !== null) {
    const { qlen } = old.v.q
    const { backlog } = old.v.qstats
    qdisc_reset(old.v)
    qdisc_tree_reduce_backlog(old.v, qlen, backlog)
  }
  q.qdisc = new_ ?? noop_qdisc
  if (new_ !== null) qdisc_hash_add(new_, false)
  return 0
})
const tbf_leaf = kfunc('tbf_leaf', (sch: Qdisc, _arg: number): Qdisc | null => qdisc_priv<tbf_sched_data>(sch).qdisc)
const tbf_find = kfunc('tbf_find', (_sch: Qdisc, _classid: number): number => 1)
const tbf_walk = kfunc('tbf_walk', (_sch: Qdisc, visit: (cl: number) => void): void => visit(1))

module_init(() => {
  const tbf_qdisc_ops: Qdisc_ops = {
    id: 'tbf',
    cl_ops: {
      graft: tbf_graft,
      leaf: tbf_leaf,
      find: tbf_find,
      walk: tbf_walk,
      dump: (sch) => ({
        classid: ((sch.handle & 0xffff0000) | 1) >>> 0,
        parentid: sch.handle,
        leaf: qdisc_priv<tbf_sched_data>(sch).qdisc,
        options: {},
        stats: { bytes: 0, packets: 0, qlen: 0, backlog: 0, drops: 0, overlimits: 0, requeues: 0 },
      }),
    },
    enqueue: tbf_enqueue,
    dequeue: tbf_dequeue,
    peek: qdisc_peek_dequeued,
    init: tbf_init,
    reset: tbf_reset,
    destroy: tbf_destroy,
    change: tbf_change,
    dump: tbf_dump,
  }
  register_qdisc(tbf_qdisc_ops)
})
