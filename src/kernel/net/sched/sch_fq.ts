import { kfunc } from '../../../trace/kfunc.ts'
import { decide, tracer } from '../../../trace/tracer.ts'
import * as C from '../../include/generated/enums.ts'
import { EINVAL, ENOMEM } from '../../include/linux/errno.ts'
import { CLOCK_MONOTONIC } from '../../include/linux/hrtimer.ts'
import { module_init } from '../../include/linux/init.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC, type kmem_cache, SLAB_HWCACHE_ALIGN } from '../../include/linux/slab.ts'
import { clamp, ilog2, NSEC_PER_SEC, NSEC_PER_USEC, type ref } from '../../include/linux/types.ts'
import { type Qdisc, type Qdisc_ops, qdisc_dev, qdisc_priv, type tca_options } from '../../include/net/sch_generic.ts'
import type { sock } from '../../include/net/sock.ts'
import { ktime_get_ns } from '../../kernel/time/timekeeping.ts'
import { _msecs_to_jiffies, jiffies, msecs_to_jiffies } from '../../kernel/time/timer.ts'
import { kmem_cache_create, kmem_cache_free, kmem_cache_free_bulk, kmem_cache_zalloc } from '../../mm/slub.ts'
import { skb_get_hash } from '../core/flow_dissector.ts'
import { kfree_skb_reason, skb_orphan } from '../core/skbuff.ts'
import { sk_fullsock, sk_is_tcp, sk_listener } from '../core/sock.ts'
import {
  INET_ECN_set_ce,
  psched_mtu,
  qdisc_peek_dequeued,
  qdisc_tree_reduce_backlog,
  qdisc_watchdog_cancel,
  qdisc_watchdog_init_clockid,
  qdisc_watchdog_schedule_range_ns,
  qdisc_watchdog_t,
  register_qdisc,
} from './sch_api.ts'
import {
  __qdisc_drop,
  qdisc_bstats_update,
  qdisc_pkt_len,
  qdisc_qstats_backlog_dec,
  qdisc_qstats_backlog_inc,
  qdisc_qstats_drop,
  sch_default_prio2band,
} from './sch_generic.ts'

const FQ_BANDS = 3
const FQ_GC_MAX = 8
const FQ_GC_AGE = 3 * C.HZ
const TC_PRIO_MAX = 15
const NEVER = Number.POSITIVE_INFINITY
const UNLIMITED = Number.POSITIVE_INFINITY

interface fq_skb_cb {
  time_to_send: number
  band: number
}
const fq_skb_cb = (skb: sk_buff): fq_skb_cb => skb.cb as fq_skb_cb

class fq_flow {
  /** by time to send, earliest first */
  readonly skbs: sk_buff[] = []
  /** jiffies | 1 when it was emptied; 0 while it is on a list */
  age = 0
  key: sock | number | null = null
  socket_hash = 0
  qlen = 0
  credit = 0
  band = 0
  next: fq_flow | null = null
  throttled = false
  time_next_packet = 0
  stat_fastpath_packets = 0
}
interface fq_flow_head {
  first: fq_flow | null
  last: fq_flow | null
}
interface fq_perband_flows {
  new_flows: fq_flow_head
  old_flows: fq_flow_head
  credit: number
  quantum: number
}
interface fq_sched_data {
  quantum: number
  initial_quantum: number
  flow_refill_delay: number
  flow_plimit: number
  /** bytes a second */
  flow_max_rate: number
  /** nanoseconds */
  ce_threshold: number
  horizon: number
  horizon_drop: boolean
  orphan_mask: number
  low_rate_threshold: number
  rate_enable: boolean
  fq_trees_log: number
  timer_slack: number
  band_nr: number
  band_flows: fq_perband_flows[]
  internal: fq_flow
  flows_by: Map<sock | number, fq_flow>
  /** those that have to wait, by the time of their next packet */
  delayed: fq_flow[]
  time_next_delayed_flow: number
  unthrottle_latency_ns: number
  band_pkt_count: number[]
  flows: number
  inactive_flows: number
  throttled_flows: number
  watchdog: qdisc_watchdog_t
  stat_throttled: number
  stat_gc_flows: number
  stat_band_drops: number[]
  stat_ce_mark: number
  stat_horizon_drops: number
  stat_horizon_caps: number
  stat_flows_plimit: number
  stat_pkts_too_long: number
}

const SIZEOF_FQ_FLOW = 112
let fq_flow_cachep: kmem_cache

const fq_flow_is_detached = (f: fq_flow): boolean => (f.age & 1) !== 0
const fq_flow_set_detached = kfunc('fq_flow_set_detached', (f: fq_flow): void => {
  f.age = jiffies() | 1
})

const NEW_FLOW = 0
const OLD_FLOW = 1
const fq_flow_add_tail = kfunc('fq_flow_add_tail', (q: fq_sched_data, flow: fq_flow, list_sel: number): void => {
  const pband = q.band_flows[flow.band] as fq_perband_flows
  const head = list_sel === NEW_FLOW ? pband.new_flows : pband.old_flows
  if (head.first !== null && head.last !== null) head.last.next = flow
  else head.first = flow
  head.last = flow
  flow.next = null
})
const fq_flow_unset_throttled = kfunc('fq_flow_unset_throttled', (q: fq_sched_data, f: fq_flow): void => {
  q.delayed.splice(q.delayed.indexOf(f), 1)
  f.throttled = false
  q.throttled_flows--
  fq_flow_add_tail(q, f, OLD_FLOW)
})
const fq_flow_set_throttled = kfunc('fq_flow_set_throttled', (q: fq_sched_data, f: fq_flow): void => {
  let i = q.delayed.length
  while (i > 0 && (q.delayed[i - 1] as fq_flow).time_next_packet > f.time_next_packet) i--
  q.delayed.splice(i, 0, f)
  q.throttled_flows++
  q.stat_throttled++
  f.throttled = true
  f.next = null
  if (q.time_next_delayed_flow > f.time_next_packet) q.time_next_delayed_flow = f.time_next_packet
})

/** forgets flows that have been quiet for three seconds */
const fq_gc = kfunc('fq_gc', (q: fq_sched_data, key: sock | number): void => {
  let n = 0
  const now = jiffies()
  for (const [k, f] of q.flows_by) {
    if (k === key || n === FQ_GC_MAX) break
    if (!fq_flow_is_detached(f) || now <= f.age + FQ_GC_AGE) break
    q.flows_by.delete(k)
    n++
  }
  if (n === 0) return
  q.flows -= n
  q.inactive_flows -= n
  q.stat_gc_flows += n
  kmem_cache_free_bulk(fq_flow_cachep, n, null)
})

const fq_fastpath_check = kfunc('fq_fastpath_check', (sch: Qdisc, skb: sk_buff, now: number): boolean => {
  const q = qdisc_priv<fq_sched_data>(sch)
  if (fq_skb_cb(skb).time_to_send > now) return false
  if (sch.q.qlen !== 0) {
    // what is queued has to be for later, all of it
    if (q.flows !== q.inactive_flows + q.throttled_flows) return false
    if (q.internal.qlen >= 8) return false
    if (q.time_next_delayed_flow <= now) return false
  }
  const { sk } = skb
  if (sk !== null && sk_fullsock(sk) && !sk_is_tcp(sk) && sk.sk_max_pacing_rate < Number.MAX_SAFE_INTEGER) return false
  return q.flow_max_rate === UNLIMITED
})

const fq_classify = kfunc('fq_classify', (sch: Qdisc, skb: sk_buff, now: number): fq_flow => {
  const q = qdisc_priv<fq_sched_data>(sch)
  const { sk } = skb
  let key: sock | number
  if (sk === null || sk_listener(sk)) {
    key = skb_get_hash(skb) & q.orphan_mask
    skb_orphan(skb)
  } else if (sk.sk_state === C.TCP_CLOSE) key = skb_get_hash(skb) & q.orphan_mask
  else key = sk
  const own = typeof key === 'number' ? null : key
  if (fq_fastpath_check(sch, skb, now)) {
    q.internal.stat_fastpath_packets++
    if (own !== null && skb.sk === own && q.rate_enable && own.sk_pacing_status !== C.SK_PACING_FQ)
      own.sk_pacing_status = C.SK_PACING_FQ
    return q.internal
  }
  fq_gc(q, key)
  const known = q.flows_by.get(key)
  if (known !== undefined) {
    if (own !== null && skb.sk === own && known.socket_hash !== own.sk_hash) {
      known.credit = q.initial_quantum
      known.socket_hash = own.sk_hash
      if (q.rate_enable) own.sk_pacing_status = C.SK_PACING_FQ
      if (known.throttled) fq_flow_unset_throttled(q, known)
      known.time_next_packet = 0
    }
    return known
  }
  kmem_cache_zalloc(fq_flow_cachep, GFP_ATOMIC)
  const f = new fq_flow()
  fq_flow_set_detached(f)
  f.key = key
  if (own !== null && skb.sk === own) {
    f.socket_hash = own.sk_hash
    if (q.rate_enable) own.sk_pacing_status = C.SK_PACING_FQ
  }
  f.credit = q.initial_quantum
  q.flows_by.set(key, f)
  q.flows++
  q.inactive_flows++
  return f
})

const flow_queue_add = (flow: fq_flow, skb: sk_buff): void => {
  const { skbs } = flow
  const at = fq_skb_cb(skb).time_to_send
  let i = skbs.length
  while (i > 0 && fq_skb_cb(skbs[i - 1] as sk_buff).time_to_send > at) i--
  if (i === skbs.length) skbs.push(skb)
  else skbs.splice(i, 0, skb)
  flow.age = 0
}
const fq_peek = kfunc('fq_peek', (flow: fq_flow): sk_buff | null => flow.skbs[0] ?? null)
const fq_dequeue_skb = kfunc('fq_dequeue_skb', (sch: Qdisc, flow: fq_flow, skb: sk_buff): void => {
  flow.skbs.shift()
  skb.next = null
  qdisc_qstats_backlog_dec(sch, skb)
  sch.q.qlen--
})

const qdisc_drop_reason = (skb: sk_buff, sch: Qdisc, to_free: ref<sk_buff | null>): number => {
  __qdisc_drop(skb, to_free)
  qdisc_qstats_drop(sch)
  return C.NET_XMIT_DROP
}

const fq_enqueue = kfunc('fq_enqueue', (skb: sk_buff, sch: Qdisc, to_free: ref<sk_buff | null>): number => {
  const q = qdisc_priv<fq_sched_data>(sch)
  const band = sch_default_prio2band[skb.priority & TC_PRIO_MAX] ?? 1
  if ((q.band_pkt_count[band] ?? 0) >= sch.limit) {
    q.stat_band_drops[band] = (q.stat_band_drops[band] ?? 0) + 1
    return qdisc_drop_reason(skb, sch, to_free)
  }
  const now = ktime_get_ns()
  let time_to_send = now
  if (skb.tstamp) {
    if (skb.tstamp > now + q.horizon) {
      if (q.horizon_drop) {
        q.stat_horizon_drops++
        return qdisc_drop_reason(skb, sch, to_free)
      }
      q.stat_horizon_caps++
      skb.tstamp = now + q.horizon
    }
    time_to_send = skb.tstamp
  }
  skb.cb = { time_to_send, band } satisfies fq_skb_cb
  const f = fq_classify(sch, skb, now)
  if (f !== q.internal) {
    if (f.qlen >= q.flow_plimit) {
      q.stat_flows_plimit++
      return qdisc_drop_reason(skb, sch, to_free)
    }
    if (fq_flow_is_detached(f)) {
      f.band = band
      fq_flow_add_tail(q, f, NEW_FLOW)
      if (jiffies() > f.age + q.flow_refill_delay) f.credit = Math.max(f.credit, q.quantum)
    }
    f.band = band
    q.band_pkt_count[band] = (q.band_pkt_count[band] ?? 0) + 1
    if (f.qlen === 0) q.inactive_flows--
    if (tracer.on && time_to_send > now) decide('fq_enqueue', 'paced: it waits for its time', { wait_ns: time_to_send - now })
  }
  f.qlen++
  flow_queue_add(f, skb)
  qdisc_qstats_backlog_inc(sch, skb)
  sch.q.qlen++
  return C.NET_XMIT_SUCCESS
})

const fq_check_throttled = kfunc('fq_check_throttled', (q: fq_sched_data, now: number): void => {
  if (q.time_next_delayed_flow > now) return
  const sample = now - q.time_next_delayed_flow
  q.unthrottle_latency_ns += Math.floor(sample / 8) - Math.floor(q.unthrottle_latency_ns / 8)
  q.time_next_delayed_flow = NEVER
  for (let f = q.delayed[0]; f !== undefined; f = q.delayed[0]) {
    if (f.time_next_packet > now) {
      q.time_next_delayed_flow = f.time_next_packet
      break
    }
    fq_flow_unset_throttled(q, f)
  }
})

const fq_pband_head_select = kfunc('fq_pband_head_select', (pband: fq_perband_flows): fq_flow_head | null => {
  if (pband.credit <= 0) return null
  if (pband.new_flows.first !== null) return pband.new_flows
  return pband.old_flows.first !== null ? pband.old_flows : null
})

const fq_dequeue = kfunc('fq_dequeue', (sch: Qdisc): sk_buff | null => {
  const q = qdisc_priv<fq_sched_data>(sch)
  if (sch.q.qlen === 0) return null
  const fast = fq_peek(q.internal)
  if (fast !== null) {
    q.internal.qlen--
    fq_dequeue_skb(sch, q.internal, fast)
    qdisc_bstats_update(sch, fast)
    return fast
  }
  const now = ktime_get_ns()
  fq_check_throttled(q, now)
  let retry = 0
  let pband = q.band_flows[q.band_nr] as fq_perband_flows
  let skb: sk_buff | null = null
  let f: fq_flow
  for (;;) {
    const head = fq_pband_head_select(pband)
    if (head === null || head.first === null) {
      let found = false
      while (++retry <= FQ_BANDS) {
        if (++q.band_nr === FQ_BANDS) q.band_nr = 0
        pband = q.band_flows[q.band_nr] as fq_perband_flows
        pband.credit = Math.min(pband.credit + pband.quantum, pband.quantum)
        if (pband.credit > 0) {
          found = true
          break
        }
        retry = 0
      }
      if (found) continue
      if (q.time_next_delayed_flow !== NEVER)
        qdisc_watchdog_schedule_range_ns(q.watchdog, q.time_next_delayed_flow, q.timer_slack)
      return null
    }
    f = head.first
    retry = 0
    if (f.credit <= 0) {
      f.credit += q.quantum
      head.first = f.next
      fq_flow_add_tail(q, f, OLD_FLOW)
      continue
    }
    skb = fq_peek(f)
    if (skb === null) {
      head.first = f.next
      // once through the old flows, so that they do not starve
      if (head === pband.new_flows) fq_flow_add_tail(q, f, OLD_FLOW)
      else fq_flow_set_detached(f)
      continue
    }
    const time_next_packet = Math.max(fq_skb_cb(skb).time_to_send, f.time_next_packet)
    if (now < time_next_packet) {
      head.first = f.next
      f.time_next_packet = time_next_packet
      fq_flow_set_throttled(q, f)
      continue
    }
    if (now - time_next_packet - q.ce_threshold > 0) {
      INET_ECN_set_ce(skb)
      q.stat_ce_mark++
    }
    if (--f.qlen === 0) q.inactive_flows++
    const { band } = fq_skb_cb(skb)
    q.band_pkt_count[band] = (q.band_pkt_count[band] ?? 0) - 1
    fq_dequeue_skb(sch, f, skb)
    break
  }
  let plen = qdisc_pkt_len(skb)
  f.credit -= plen
  pband.credit -= plen
  const pace = (): void => {
    if (!q.rate_enable) return
    let rate = q.flow_max_rate
    if (!skb.tstamp) {
      if (skb.sk !== null) rate = Math.min(skb.sk.sk_pacing_rate, rate)
      if (rate <= q.low_rate_threshold) f.credit = 0
      else {
        plen = Math.max(plen, q.quantum)
        if (f.credit > 0) return
      }
    }
    if (rate >= Number.MAX_SAFE_INTEGER) return
    let len = plen * NSEC_PER_SEC
    if (rate) len = Math.floor(len / rate)
    if (len > NSEC_PER_SEC) {
      len = NSEC_PER_SEC
      q.stat_pkts_too_long++
    }
    if (f.time_next_packet) len -= Math.min(Math.floor(len / 2), now - f.time_next_packet)
    f.time_next_packet = now + len
  }
  pace()
  qdisc_bstats_update(sch, skb)
  return skb
})

const fq_flow_purge = kfunc('fq_flow_purge', (flow: fq_flow): void => {
  for (const skb of flow.skbs.splice(0)) kfree_skb_reason(skb, C.SKB_DROP_REASON_QDISC_DROP)
  flow.qlen = 0
})
const fq_reset = kfunc('fq_reset', (sch: Qdisc): void => {
  const q = qdisc_priv<fq_sched_data>(sch)
  fq_flow_purge(q.internal)
  for (const f of q.flows_by.values()) {
    fq_flow_purge(f)
    kmem_cache_free(fq_flow_cachep, f)
  }
  q.flows_by = new Map()
  for (const b of q.band_flows) {
    b.new_flows = { first: null, last: null }
    b.old_flows = { first: null, last: null }
  }
  q.delayed = []
  q.time_next_delayed_flow = NEVER
  q.band_pkt_count = [0, 0, 0]
  q.flows = 0
  q.inactive_flows = 0
  q.throttled_flows = 0
})

const fq_change = kfunc('fq_change', (sch: Qdisc, opt: tca_options, extack: ref<string>): number => {
  const q = qdisc_priv<fq_sched_data>(sch)
  const num = (name: string): number | undefined => (opt[name] === undefined ? undefined : Number(opt[name]))
  const buckets = num('buckets')
  if (buckets !== undefined) {
    if (buckets < 1 || buckets > 1 << 18 || !Number.isInteger(Math.log2(buckets))) return -EINVAL
    q.fq_trees_log = ilog2(buckets)
  }
  sch.limit = num('limit') ?? sch.limit
  q.flow_plimit = num('flow_limit') ?? q.flow_plimit
  const quantum = num('quantum')
  if (quantum !== undefined) {
    if (quantum <= 0 || quantum > 1 << 20) {
      extack.v = 'invalid quantum'
      return -EINVAL
    }
    q.quantum = quantum
  }
  q.initial_quantum = num('initial_quantum') ?? q.initial_quantum
  q.flow_max_rate = num('maxrate') ?? q.flow_max_rate
  q.low_rate_threshold = num('low_rate_threshold') ?? q.low_rate_threshold
  if (opt.pacing !== undefined) q.rate_enable = Boolean(opt.pacing)
  const refill = num('refill_delay')
  if (refill !== undefined) q.flow_refill_delay = msecs_to_jiffies(Math.floor(refill / 1000))
  q.orphan_mask = num('orphan_mask') ?? q.orphan_mask
  const ce = num('ce_threshold')
  if (ce !== undefined) q.ce_threshold = ce * NSEC_PER_USEC
  const slack = num('timer_slack')
  if (slack !== undefined) q.timer_slack = slack
  const horizon = num('horizon')
  if (horizon !== undefined) q.horizon = horizon * NSEC_PER_USEC
  if (opt.horizon_drop !== undefined) q.horizon_drop = Boolean(opt.horizon_drop)
  while (sch.q.qlen > sch.limit) {
    const skb = fq_dequeue(sch)
    if (skb === null) break
    qdisc_tree_reduce_backlog(sch, 1, qdisc_pkt_len(skb))
    kfree_skb_reason(skb, C.SKB_DROP_REASON_QDISC_DROP)
  }
  return 0
})

const fq_init = kfunc('fq_init', (sch: Qdisc, opt: tca_options | null, extack: ref<string>): number => {
  const mtu = clamp(psched_mtu(qdisc_dev(sch)), 1, 1 << 20)
  const band = (quantum: number): fq_perband_flows => ({
    new_flows: { first: null, last: null },
    old_flows: { first: null, last: null },
    credit: 0,
    quantum,
  })
  sch.limit = 10000
  const q: fq_sched_data = {
    quantum: clamp(2 * mtu, 256, 1 << 20),
    initial_quantum: Math.min(10 * mtu, 1 << 20),
    flow_refill_delay: _msecs_to_jiffies(40),
    flow_plimit: 100,
    flow_max_rate: UNLIMITED,
    ce_threshold: NSEC_PER_USEC * 0xffffffff,
    horizon: 10 * NSEC_PER_SEC,
    horizon_drop: true,
    orphan_mask: 1023,
    low_rate_threshold: 550000 / 8,
    rate_enable: true,
    fq_trees_log: 10,
    timer_slack: 10 * NSEC_PER_USEC,
    band_nr: 0,
    band_flows: [band(9 << 16), band(3 << 16), band(1 << 16)],
    internal: new fq_flow(),
    flows_by: new Map(),
    delayed: [],
    time_next_delayed_flow: NEVER,
    unthrottle_latency_ns: 0,
    band_pkt_count: [0, 0, 0],
    flows: 0,
    inactive_flows: 0,
    throttled_flows: 0,
    watchdog: new qdisc_watchdog_t(),
    stat_throttled: 0,
    stat_gc_flows: 0,
    stat_band_drops: [0, 0, 0],
    stat_ce_mark: 0,
    stat_horizon_drops: 0,
    stat_horizon_caps: 0,
    stat_flows_plimit: 0,
    stat_pkts_too_long: 0,
  }
  if (q.quantum <= 0) return -ENOMEM
  sch.priv = q
  qdisc_watchdog_init_clockid(q.watchdog, sch, CLOCK_MONOTONIC)
  return opt === null ? 0 : fq_change(sch, opt, extack)
})
const fq_destroy = kfunc('fq_destroy', (sch: Qdisc): void => {
  fq_reset(sch)
  qdisc_watchdog_cancel(qdisc_priv<fq_sched_data>(sch).watchdog)
})

const fq_dump = kfunc('fq_dump', (sch: Qdisc): tca_options => {
  const q = qdisc_priv<fq_sched_data>(sch)
  return {
    limit: sch.limit,
    flow_limit: q.flow_plimit,
    buckets: 1 << q.fq_trees_log,
    orphan_mask: q.orphan_mask,
    quantum: q.quantum,
    initial_quantum: q.initial_quantum,
    low_rate_threshold: q.low_rate_threshold,
    refill_delay: Math.floor((q.flow_refill_delay * 1e6) / C.HZ),
    timer_slack: q.timer_slack,
    horizon: q.horizon / NSEC_PER_USEC,
    horizon_drop: q.horizon_drop,
    pacing: q.rate_enable,
    weights: q.band_flows.map((b) => b.quantum),
    priomap: sch_default_prio2band,
    ...(q.flow_max_rate === UNLIMITED ? {} : { maxrate: q.flow_max_rate }),
    ...(q.ce_threshold === NSEC_PER_USEC * 0xffffffff ? {} : { ce_threshold: q.ce_threshold / NSEC_PER_USEC }),
  }
})
const fq_dump_stats = kfunc('fq_dump_stats', (sch: Qdisc): tca_options => {
  const q = qdisc_priv<fq_sched_data>(sch)
  return {
    flows: q.flows,
    inactive_flows: q.inactive_flows,
    throttled_flows: q.throttled_flows,
    band_pkt_count: q.band_pkt_count,
    gc: q.stat_gc_flows,
    fastpath: q.internal.stat_fastpath_packets,
    throttled: q.stat_throttled,
    latency: q.unthrottle_latency_ns,
    ce_mark: q.stat_ce_mark,
    flows_plimit: q.stat_flows_plimit,
    pkts_too_long: q.stat_pkts_too_long,
    horizon_drops: q.stat_horizon_drops,
    horizon_caps: q.stat_horizon_caps,
    band_drops: q.stat_band_drops,
  }
})

module_init(() => {
  fq_flow_cachep = kmem_cache_create('fq_flow_cache', SIZEOF_FQ_FLOW, 0, SLAB_HWCACHE_ALIGN, null)
  const fq_qdisc_ops: Qdisc_ops = {
    id: 'fq',
    enqueue: fq_enqueue,
    dequeue: fq_dequeue,
    peek: qdisc_peek_dequeued,
    init: fq_init,
    reset: fq_reset,
    destroy: fq_destroy,
    change: fq_change,
    dump: fq_dump,
    dump_stats: fq_dump_stats,
  }
  register_qdisc(fq_qdisc_ops)
})
