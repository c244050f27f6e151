import { random } from '../../../sim/random.ts'
import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracer } from '../../../trace/tracer.ts'
import { get_random_u32_below, get_random_u32_below_const } from '../../drivers/char/random.ts'
import { __NET_XMIT_BYPASS, NET_XMIT_DROP, NET_XMIT_SUCCESS, SKB_DROP_REASON_QDISC_DROP } from '../../include/generated/enums.ts'
import { EINVAL, ENOENT } from '../../include/linux/errno.ts'
import { module_init } from '../../include/linux/init.ts'
import { NETIF_F_GSO_MASK } from '../../include/linux/netdev_features.ts'
import {
  __skb_dequeue,
  __skb_queue_head,
  CHECKSUM_PARTIAL,
  type sk_buff,
  skb_headlen,
  skb_is_gso,
} from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import { IS_ERR, type ref } from '../../include/linux/types.ts'
import { type Qdisc, type Qdisc_ops, qdisc_dev, qdisc_priv, type tca_options } from '../../include/net/sch_generic.ts'
import { ktime_get_ns } from '../../kernel/time/timekeeping.ts'
import { netif_skb_features, skb_checksum_help } from '../core/dev.ts'
import { skb_gso_segment } from '../core/gso.ts'
import { consume_skb, kfree_skb_list, kfree_skb_reason, skb_clone, skb_unshare } from '../core/skbuff.ts'
import { skb_orphan_partial } from '../core/sock.ts'
import {
  INET_ECN_set_ce,
  net_xmit_drop_count,
  qdisc_enqueue,
  qdisc_peek_dequeued,
  qdisc_root,
  qdisc_tree_reduce_backlog,
  qdisc_watchdog_cancel,
  qdisc_watchdog_init,
  qdisc_watchdog_schedule_ns,
  qdisc_watchdog_t,
  register_qdisc,
} from './sch_api.ts'
import {
  __qdisc_drop,
  qdisc_bstats_update,
  qdisc_drop,
  qdisc_pkt_len,
  qdisc_put,
  qdisc_qstats_backlog_dec,
  qdisc_qstats_backlog_inc,
  qdisc_qstats_drop,
  qdisc_reset,
} from './sch_generic.ts'

interface crndstate {
  last: number
  rho: number
}
interface netem_skb_cb {
  time_to_send: number
  /** a copy is not copied again */
  copied: boolean
}
const netem_skb_cb = (skb: sk_buff): netem_skb_cb => skb.cb as netem_skb_cb

interface netem_sched_data {
  /** packets that wait, in the order in which they are due */
  t: sk_buff[]
  t_len: number
  qdisc: Qdisc | null
  watchdog: qdisc_watchdog_t
  /** nanoseconds */
  latency: number
  jitter: number
  /** probabilities, of 2^32 */
  loss: number
  duplicate: number
  reorder: number
  corrupt: number
  ecn: boolean
  limit: number
  counter: number
  gap: number
  /** bytes a second, 0 for no limit */
  rate: number
  packet_overhead: number
  cell_size: number
  cell_overhead: number
  delay_cor: crndstate
  loss_cor: crndstate
  dup_cor: crndstate
  reorder_cor: crndstate
  corrupt_cor: crndstate
}

/** a random number that is like the last one as much as `rho` says */
const get_crandom = kfunc('get_crandom', (state: crndstate): number => {
  const value = random.u32()
  if (state.rho === 0) return value
  const rho = state.rho + 1
  state.last = Math.floor((value * (2 ** 32 - rho) + state.last * rho) / 2 ** 32)
  return state.last
})
const loss_event = kfunc('loss_event', (q: netem_sched_data): boolean => q.loss !== 0 && q.loss >= get_crandom(q.loss_cor))

/** mu ± sigma, all alike */
const tabledist = kfunc('tabledist', (mu: number, sigma: number, state: crndstate): number => {
  if (sigma === 0) return mu
  const rnd = get_crandom(state)
  return (rnd % (2 * sigma)) + mu - sigma
})
const packet_time_ns = kfunc('packet_time_ns', (bytes: number, q: netem_sched_data): number => {
  let len = bytes + q.packet_overhead
  if (q.cell_size) {
    let cells = Math.floor(len / q.cell_size)
    if (len > cells * q.cell_size) cells++
    len = cells * (q.cell_size + q.cell_overhead)
  }
  return Math.floor((len * 1e9) / q.rate)
})

const tfifo_enqueue = kfunc('tfifo_enqueue', (nskb: sk_buff, sch: Qdisc): void => {
  const q = qdisc_priv<netem_sched_data>(sch)
  const tnext = netem_skb_cb(nskb).time_to_send
  const { t } = q
  let i = t.length
  while (i > 0 && netem_skb_cb(t[i - 1] as sk_buff).time_to_send > tnext) i--
  if (i === t.length) t.push(nskb)
  else t.splice(i, 0, nskb)
  q.t_len++
  sch.q.qlen++
})

/** several frames instead of one, so that one of them can be damaged. null: dropped */
const netem_segment = kfunc('netem_segment', (skb: sk_buff, sch: Qdisc, to_free: ref<sk_buff | null>): sk_buff | null => {
  const features = netif_skb_features(skb)
  const segs = skb_gso_segment(skb, features & ~NETIF_F_GSO_MASK)
  if (IS_ERR(segs) || segs === null) {
    qdisc_drop(skb, sch, to_free)
    return null
  }
  consume_skb(skb)
  return segs
})

/** the frames behind the first of a packet that was cut up go in one by one; the queues above counted one of `prev_len` bytes */
function enqueue_segments(
  first: sk_buff,
  sch: Qdisc,
  to_free: ref<sk_buff | null>,
  head: sk_buff | null,
  prev_len: number,
): void {
  let len = head === null ? 0 : head.len
  let nb = head === null ? 0 : 1
  for (let segs: sk_buff | null = first; segs !== null; ) {
    const { next, len: last_len }: sk_buff = segs
    segs.next = null
    segs.pkt_len = last_len
    const rc = qdisc_enqueue(segs, sch, to_free)
    if (rc === NET_XMIT_SUCCESS) {
      nb++
      len += last_len
    } else if (net_xmit_drop_count(rc)) qdisc_qstats_drop(sch)
    segs = next
  }
  qdisc_tree_reduce_backlog(sch, 1 - nb, prev_len - len)
}

const netem_enqueue = kfunc('netem_enqueue', (first: sk_buff, sch: Qdisc, to_free: ref<sk_buff | null>): number => {
  const q = qdisc_priv<netem_sched_data>(sch)
  const prev_len = qdisc_pkt_len(first)
  let skb = first
  let segs: sk_buff | null = null
  let count = 1
  skb.prev = null
  const copied = (skb.cb as Partial<netem_skb_cb> | null)?.copied === true
  if (q.duplicate && !copied && q.duplicate >= get_crandom(q.dup_cor)) count++
  if (loss_event(q)) {
    if (q.ecn && INET_ECN_set_ce(skb)) qdisc_qstats_drop(sch)
    else count--
  }
  if (count === 0) {
    if (tracer.on) decide('netem_enqueue', 'lost', { len: skb.len, loss: q.loss })
    qdisc_qstats_drop(sch)
    __qdisc_drop(skb, to_free)
    return NET_XMIT_SUCCESS | __NET_XMIT_BYPASS
  }
  // who waits for the packet to be sent does not wait for the wire
  if (q.latency || q.jitter || q.rate) skb_orphan_partial(skb)
  let skb2 = count > 1 ? skb_clone(skb, GFP_ATOMIC) : null
  if (q.corrupt && q.corrupt >= get_crandom(q.corrupt_cor)) {
    const lost = (): number => {
      if (skb2 !== null) __qdisc_drop(skb2, to_free)
      if (segs === null) return NET_XMIT_DROP
      enqueue_segments(segs, sch, to_free, null, prev_len)
      return NET_XMIT_SUCCESS
    }
    if (skb_is_gso(skb)) {
      const cut = netem_segment(skb, sch, to_free)
      if (cut === null) return lost()
      skb = cut
      segs = skb.next
      skb.next = null
      skb.pkt_len = skb.len
    }
    const own = skb_unshare(skb, GFP_ATOMIC)
    if (own === null) {
      qdisc_qstats_drop(sch)
      return lost()
    }
    skb = own
    if (skb.ip_summed === CHECKSUM_PARTIAL && skb_checksum_help(skb)) {
      qdisc_drop(skb, sch, to_free)
      return lost()
    }
    if (skb_headlen(skb) > 0) {
      const at = skb.data + get_random_u32_below(skb_headlen(skb))
      skb.head.bytes[at] = (skb.head.bytes[at] ?? 0) ^ (1 << get_random_u32_below_const(8))
    }
  }
  if (sch.q.qlen >= sch.limit) {
    for (let s: sk_buff | null = segs; s !== null; ) {
      const { next }: sk_buff = s
      s.next = null
      __qdisc_drop(s, to_free)
      s = next
    }
    qdisc_drop(skb, sch, to_free)
    if (skb2 !== null) __qdisc_drop(skb2, to_free)
    return NET_XMIT_DROP
  }
  if (skb2 !== null) {
    const rootq = qdisc_root(sch)
    skb2.cb = { time_to_send: 0, copied: true } satisfies netem_skb_cb
    if (tracer.on) traceIndirect('rootq->enqueue', nameOf(rootq.enqueue))
    rootq.enqueue?.(skb2, rootq, to_free)
    skb2 = null
  }
  qdisc_qstats_backlog_inc(sch, skb)
  if (q.gap === 0 || q.counter < q.gap - 1 || q.reorder < get_crandom(q.reorder_cor)) {
    let delay = tabledist(q.latency, q.jitter, q.delay_cor)
    let now = ktime_get_ns()
    if (q.rate) {
      // behind everything that is on the way already
      let last = -1
      if (sch.q.last !== null) last = netem_skb_cb(sch.q.last).time_to_send
      const newest = q.t[q.t.length - 1]
      if (newest !== undefined) last = Math.max(last, netem_skb_cb(newest).time_to_send)
      if (last >= 0) {
        delay = Math.max(0, delay - (last - now))
        now = last
      }
      delay += packet_time_ns(qdisc_pkt_len(skb), q)
    }
    skb.cb = { time_to_send: now + delay, copied } satisfies netem_skb_cb
    q.counter++
    tfifo_enqueue(skb, sch)
  } else {
    skb.cb = { time_to_send: ktime_get_ns(), copied } satisfies netem_skb_cb
    q.counter = 0
    __skb_queue_head(sch.q, skb)
    sch.qstats.requeues++
  }
  if (segs !== null) enqueue_segments(segs, sch, to_free, skb, prev_len)
  return NET_XMIT_SUCCESS
})

const netem_dequeue = kfunc('netem_dequeue', (sch: Qdisc): sk_buff | null => {
  const q = qdisc_priv<netem_sched_data>(sch)
  const deliver = (skb: sk_buff): sk_buff => {
    qdisc_qstats_backlog_dec(sch, skb)
    qdisc_bstats_update(sch, skb)
    return skb
  }
  const inner = (): sk_buff | null => {
    if (q.qdisc === null) return null
    if (tracer.on) traceIndirect('q->qdisc->ops->dequeue', nameOf(q.qdisc.ops.dequeue))
    const skb = q.qdisc.ops.dequeue(q.qdisc)
    if (skb !== null) sch.q.qlen--
    return skb
  }
  for (;;) {
    const ready = __skb_dequeue(sch.q)
    if (ready !== null) return deliver(ready)
    const [skb] = q.t
    if (skb !== undefined) {
      const now = ktime_get_ns()
      const { time_to_send } = netem_skb_cb(skb)
      if (time_to_send <= now) {
        q.t.shift()
        q.t_len--
        skb.next = null
        skb.prev = null
        skb.dev = qdisc_dev(sch)
        if (q.qdisc !== null) {
          const pkt_len = qdisc_pkt_len(skb)
          const to_free: ref<sk_buff | null> = { v: null }
          const err = qdisc_enqueue(skb, q.qdisc, to_free)
          if (to_free.v !== null) kfree_skb_list(to_free.v)
          if (err !== NET_XMIT_SUCCESS) {
            if (net_xmit_drop_count(err)) qdisc_qstats_drop(sch)
            sch.qstats.backlog -= pkt_len
            sch.q.qlen--
            qdisc_tree_reduce_backlog(sch, 1, pkt_len)
          }
          continue
        }
        sch.q.qlen--
        return deliver(skb)
      }
      const other = inner()
      if (other !== null) return deliver(other)
      qdisc_watchdog_schedule_ns(q.watchdog, time_to_send)
    }
    const other = inner()
    return other === null ? null : deliver(other)
  }
})

const netem_reset = kfunc('netem_reset', (sch: Qdisc): void => {
  const q = qdisc_priv<netem_sched_data>(sch)
  for (let skb = __skb_dequeue(sch.q); skb !== null; skb = __skb_dequeue(sch.q)) kfree_skb_reason(skb, SKB_DROP_REASON_QDISC_DROP)
  for (const skb of q.t.splice(0)) kfree_skb_reason(skb, SKB_DROP_REASON_QDISC_DROP)
  q.t_len = 0
  if (q.qdisc !== null) qdisc_reset(q.qdisc)
  qdisc_watchdog_cancel(q.watchdog)
})

/** @param opt times in nanoseconds, probabilities of 2^32 - 1, rate in bytes a second */
const netem_change = kfunc('netem_change', (sch: Qdisc, opt: tca_options, _extack: ref<string>): number => {
  const q = qdisc_priv<netem_sched_data>(sch)
  const num = (name: string, otherwise: number): number => (opt[name] === undefined ? otherwise : Number(opt[name]))
  sch.limit = num('limit', 1000)
  q.latency = num('latency', 0)
  q.jitter = Math.min(Math.abs(num('jitter', 0)), 0x7fffffff)
  q.limit = sch.limit
  q.gap = num('gap', 0)
  q.counter = 0
  q.loss = num('loss', 0)
  q.duplicate = num('duplicate', 0)
  q.delay_cor = { last: random.u32(), rho: num('delay_corr', 0) }
  q.loss_cor = { last: random.u32(), rho: num('loss_corr', 0) }
  q.dup_cor = { last: random.u32(), rho: num('dup_corr', 0) }
  // Linux turns a gap without a probability of reordering into: each of them
  q.reorder = q.gap ? 0xffffffff : 0
  q.reorder = num('reorder', q.reorder)
  q.reorder_cor = { last: random.u32(), rho: num('reorder_corr', 0) }
  q.corrupt = num('corrupt', 0)
  q.corrupt_cor = { last: random.u32(), rho: num('corrupt_corr', 0) }
  q.rate = num('rate', 0)
  q.packet_overhead = num('packet_overhead', 0)
  q.cell_size = num('cell_size', 0)
  q.cell_overhead = num('cell_overhead', 0)
  q.ecn = Boolean(opt.ecn)
  return 0
})

const none = (): crndstate => ({ last: 0, rho: 0 })
const netem_init = kfunc('netem_init', (sch: Qdisc, opt: tca_options | null, extack: ref<string>): number => {
  const q: netem_sched_data = {
    t: [],
    t_len: 0,
    qdisc: null,
    watchdog: new qdisc_watchdog_t(),
    latency: 0,
    jitter: 0,
    loss: 0,
    duplicate: 0,
    reorder: 0,
    corrupt: 0,
    ecn: false,
    limit: 0,
    counter: 0,
    gap: 0,
    rate: 0,
    packet_overhead: 0,
    cell_size: 0,
    cell_overhead: 0,
    delay_cor: none(),
    loss_cor: none(),
    dup_cor: none(),
    reorder_cor: none(),
    corrupt_cor: none(),
  }
  sch.priv = q
  qdisc_watchdog_init(q.watchdog, sch)
  if (opt === null) return -EINVAL
  return netem_change(sch, opt, extack)
})
const netem_destroy = kfunc('netem_destroy', (sch: Qdisc): void => {
  const q = qdisc_priv<netem_sched_data>(sch)
  qdisc_watchdog_cancel(q.watchdog)
  qdisc_put(q.qdisc)
})
const netem_dump = kfunc('netem_dump', (sch: Qdisc): tca_options => {
  const q = qdisc_priv<netem_sched_data>(sch)
  return {
    limit: q.limit,
    latency: q.latency,
    jitter: q.jitter,
    delay_corr: q.delay_cor.rho,
    loss: q.loss,
    loss_corr: q.loss_cor.rho,
    duplicate: q.duplicate,
    dup_corr: q.dup_cor.rho,
    reorder: q.reorder,
    reorder_corr: q.reorder_cor.rho,
    gap: q.gap,
    corrupt: q.corrupt,
    corrupt_corr: q.corrupt_cor.rho,
    rate: q.rate,
    ecn: q.ecn,
  }
})

const netem_graft = kfunc('netem_graft', (sch: Qdisc, _arg: number, new_: Qdisc | null, old: ref<Qdisc | null>): number => {
  const q = qdisc_priv<netem_sched_data>(sch)
  old.v = q.qdisc
  q.qdisc = new_
  if (old.v !== null) qdisc_reset(old.v)
  return 0
})
const netem_leaf = kfunc('netem_leaf', (sch: Qdisc, _arg: number): Qdisc | null => qdisc_priv<netem_sched_data>(sch).qdisc)
const netem_find = kfunc('netem_find', (_sch: Qdisc, _classid: number): number => 1)
const netem_walk = kfunc('netem_walk', (_sch: Qdisc, visit: (cl: number) => void): void => visit(1))

module_init(() => {
  const netem_qdisc_ops: Qdisc_ops = {
    id: 'netem',
    cl_ops: {
      graft: netem_graft,
      leaf: netem_leaf,
      find: netem_find,
      walk: netem_walk,
      delete: () => -ENOENT,
      dump: (sch) => {
        const leaf = qdisc_priv<netem_sched_data>(sch).qdisc
        if (leaf === null) return null
        return {
          classid: ((sch.handle & 0xffff0000) | 1) >>> 0,
          parentid: 0xffffffff,
          leaf,
          options: {},
          stats: { bytes: 0, packets: 0, qlen: 0, backlog: 0, drops: 0, overlimits: 0, requeues: 0 },
        }
      },
    },
    enqueue: netem_enqueue,
    dequeue: netem_dequeue,
    peek: qdisc_peek_dequeued,
    init: netem_init,
    reset: netem_reset,
    destroy: netem_destroy,
    change: netem_change,
    dump: netem_dump,
  }
  register_qdisc(netem_qdisc_ops)
})
