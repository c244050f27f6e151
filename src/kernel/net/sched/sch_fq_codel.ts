import { clock } from '../../../sim/clock.ts'
import { kfunc } from '../../../trace/kfunc.ts'
import { decide, tracer } from '../../../trace/tracer.ts'
import { NET_XMIT_CN, NET_XMIT_SUCCESS, SKB_DROP_REASON_QDISC_DROP, TCQ_F_CAN_BYPASS } from '../../include/generated/enums.ts'
import { EINVAL } from '../../include/linux/errno.ts'
import { module_init } from '../../include/linux/init.ts'
import { list_add_tail, list_del, list_empty, list_head } from '../../include/linux/list.ts'
import { __skb_queue_head, type sk_buff, skb_peek } from '../../include/linux/skbuff.ts'
import { clamp, type ref } from '../../include/linux/types.ts'
import { type Qdisc, type Qdisc_ops, qdisc_dev, qdisc_priv, type tca_options } from '../../include/net/sch_generic.ts'
import { skb_get_hash } from '../core/flow_dissector.ts'
import { kfree_skb, kfree_skb_reason } from '../core/skbuff.ts'
import { INET_ECN_set_ce, psched_mtu, qdisc_tree_reduce_backlog, register_qdisc } from './sch_api.ts'
import {
  __qdisc_drop,
  qdisc_bstats_update,
  qdisc_pkt_len,
  qdisc_qstats_backlog_inc,
  qdisc_qstats_drop,
  qdisc_set_default,
} from './sch_generic.ts'

// ---- include/net/codel.h: times are nanoseconds / 1024

const CODEL_SHIFT = 10
const CODEL_DISABLED_THRESHOLD = 0x7fffffff
const REC_INV_SQRT_BITS = 16
const REC_INV_SQRT_SHIFT = 32 - REC_INV_SQRT_BITS
const FQ_CODEL_QUANTUM_MAX = 1 << 20

interface codel_params {
  target: number
  ce_threshold: number
  interval: number
  mtu: number
  ecn: boolean
}
class codel_vars {
  count = 0
  lastcount = 0
  dropping = false
  rec_inv_sqrt = 0
  first_above_time = 0
  drop_next = 0
  ldelay = 0
}
interface codel_stats {
  maxpacket: number
  drop_count: number
  drop_len: number
  ecn_mark: number
  ce_mark: number
}
interface codel_cb {
  enqueue_time: number
  mem_usage: number
}
const codel_get_time = (): number => Math.floor(clock.ns() / (1 << CODEL_SHIFT))
const codel_time_to_us = (val: number): number => Math.floor((val * (1 << CODEL_SHIFT)) / 1000)
const us_to_codel_time = (us: number): number => Math.floor((us * 1000) / (1 << CODEL_SHIFT))
const get_codel_cb = (skb: sk_buff): codel_cb => skb.cb as codel_cb

/** one step of Newton's method for 1 / sqrt(count), in 16-bit fixed point */
const codel_Newton_step = kfunc('codel_Newton_step', (vars: codel_vars): void => {
  const invsqrt = BigInt(vars.rec_inv_sqrt) << BigInt(REC_INV_SQRT_SHIFT)
  const invsqrt2 = (invsqrt * invsqrt) >> 32n
  let val = (3n << 32n) - BigInt(vars.count) * invsqrt2
  val >>= 2n
  val = (val * invsqrt) >> 31n
  vars.rec_inv_sqrt = Number(val >> BigInt(REC_INV_SQRT_SHIFT)) & 0xffff
})
const codel_control_law = (t: number, interval: number, rec_inv_sqrt: number): number =>
  t + Math.floor((interval * rec_inv_sqrt * 2 ** REC_INV_SQRT_SHIFT) / 2 ** 32)

// ---- net/sched/sch_fq_codel.c

class fq_codel_flow {
  head: sk_buff | null = null
  tail: sk_buff | null = null
  readonly flowchain: list_head<fq_codel_flow> = new list_head<fq_codel_flow>(this)
  deficit = 0
  backlog = 0
  readonly cvars = new codel_vars()
}
interface fq_codel_sched_data {
  /** made when a packet first falls into it: most of the 1024 never are */
  flows: (fq_codel_flow | undefined)[]
  flows_cnt: number
  quantum: number
  drop_batch_size: number
  memory_limit: number
  cparams: codel_params
  cstats: codel_stats
  memory_usage: number
  drop_overmemory: number
  drop_overlimit: number
  new_flow_count: number
  new_flows: list_head<fq_codel_flow>
  old_flows: list_head<fq_codel_flow>
}

const fq_codel_hash = kfunc('fq_codel_hash', (q: fq_codel_sched_data, skb: sk_buff): number =>
  Math.floor((skb_get_hash(skb) * q.flows_cnt) / 0x100000000),
)
/** without filters: by the packet's hash, or by a class that its priority names */
const fq_codel_classify = kfunc('fq_codel_classify', (skb: sk_buff, sch: Qdisc, _qerr: ref<number> | null): number => {
  const q = qdisc_priv<fq_codel_sched_data>(sch)
  const minor = skb.priority & 0xffff
  if ((skb.priority & 0xffff0000) >>> 0 === sch.handle && minor > 0 && minor <= q.flows_cnt) return minor
  return fq_codel_hash(q, skb) + 1
})

const dequeue_head = kfunc('dequeue_head', (flow: fq_codel_flow): sk_buff => {
  const skb = flow.head as sk_buff
  flow.head = skb.next
  skb.next = null
  return skb
})
const flow_queue_add = (flow: fq_codel_flow, skb: sk_buff): void => {
  if (flow.head === null || flow.tail === null) flow.head = skb
  else flow.tail.next = skb
  flow.tail = skb
  skb.next = null
}

/** drops half of the fattest flow */
const fq_codel_drop = kfunc('fq_codel_drop', (sch: Qdisc, max_packets: number, to_free: ref<sk_buff | null>): number => {
  const q = qdisc_priv<fq_codel_sched_data>(sch)
  let maxbacklog = 0
  let idx = 0
  q.flows.forEach((f, i) => {
    if (f !== undefined && f.backlog > maxbacklog) {
      maxbacklog = f.backlog
      idx = i
    }
  })
  const flow = q.flows[idx]
  if (flow === undefined) return idx
  const threshold = maxbacklog >> 1
  let len = 0
  let mem = 0
  let i = 0
  do {
    if (flow.head === null) break
    const skb = dequeue_head(flow)
    len += qdisc_pkt_len(skb)
    mem += get_codel_cb(skb).mem_usage
    __qdisc_drop(skb, to_free)
  } while (++i < max_packets && len < threshold)
  flow.cvars.count += i
  flow.backlog -= len
  q.memory_usage -= mem
  sch.qstats.drops += i
  sch.qstats.backlog -= len
  sch.q.qlen -= i
  return idx
})

const fq_codel_enqueue = kfunc('fq_codel_enqueue', (skb: sk_buff, sch: Qdisc, to_free: ref<sk_buff | null>): number => {
  const q = qdisc_priv<fq_codel_sched_data>(sch)
  const idx = fq_codel_classify(skb, sch, null) - 1
  let flow = q.flows[idx]
  if (flow === undefined) {
    flow = new fq_codel_flow()
    q.flows[idx] = flow
  }
  skb.cb = { enqueue_time: codel_get_time(), mem_usage: skb.truesize } satisfies codel_cb
  flow_queue_add(flow, skb)
  flow.backlog += qdisc_pkt_len(skb)
  qdisc_qstats_backlog_inc(sch, skb)
  if (list_empty(flow.flowchain)) {
    list_add_tail(flow.flowchain, q.new_flows)
    q.new_flow_count++
    flow.deficit = q.quantum
  }
  q.memory_usage += skb.truesize
  const memory_limited = q.memory_usage > q.memory_limit
  if (++sch.q.qlen <= sch.limit && !memory_limited) return NET_XMIT_SUCCESS

  if (tracer.on)
    decide('fq_codel_enqueue', 'over the limit: the fattest flow loses packets', {
      qlen: sch.q.qlen,
      limit: sch.limit,
      memory_usage: q.memory_usage,
      memory_limit: q.memory_limit,
    })
  const { backlog } = sch.qstats
  const { qlen } = sch.q
  const pkt_len = qdisc_pkt_len(skb)
  const hit = fq_codel_drop(sch, q.drop_batch_size, to_free)
  const prev_qlen = qlen - sch.q.qlen
  const prev_backlog = backlog - sch.qstats.backlog
  q.drop_overlimit += prev_qlen
  if (memory_limited) q.drop_overmemory += prev_qlen
  if (hit === idx) {
    qdisc_tree_reduce_backlog(sch, prev_qlen - 1, prev_backlog - pkt_len)
    return NET_XMIT_CN
  }
  qdisc_tree_reduce_backlog(sch, prev_qlen, prev_backlog)
  return NET_XMIT_SUCCESS
})

const dequeue_func = kfunc('dequeue_func', (flow: fq_codel_flow, sch: Qdisc): sk_buff | null => {
  const q = qdisc_priv<fq_codel_sched_data>(sch)
  if (flow.head === null) return null
  const skb = dequeue_head(flow)
  flow.backlog -= qdisc_pkt_len(skb)
  q.memory_usage -= get_codel_cb(skb).mem_usage
  sch.q.qlen--
  sch.qstats.backlog -= qdisc_pkt_len(skb)
  return skb
})
const drop_func = kfunc('drop_func', (skb: sk_buff, sch: Qdisc): void => {
  kfree_skb(skb)
  qdisc_qstats_drop(sch)
})

const codel_should_drop = kfunc(
  'codel_should_drop',
  (skb: sk_buff | null, sch: Qdisc, vars: codel_vars, params: codel_params, stats: codel_stats, now: number): boolean => {
    if (skb === null) {
      vars.first_above_time = 0
      return false
    }
    const skb_len = qdisc_pkt_len(skb)
    vars.ldelay = now - get_codel_cb(skb).enqueue_time
    if (skb_len > stats.maxpacket) stats.maxpacket = skb_len
    if (vars.ldelay < params.target || sch.qstats.backlog <= params.mtu) {
      vars.first_above_time = 0
      return false
    }
    if (vars.first_above_time === 0) vars.first_above_time = now + params.interval
    else if (now > vars.first_above_time) return true
    return false
  },
)

const codel_dequeue = kfunc(
  'codel_dequeue',
  (sch: Qdisc, flow: fq_codel_flow, params: codel_params, vars: codel_vars, stats: codel_stats): sk_buff | null => {
    let skb = dequeue_func(flow, sch)
    if (skb === null) {
      vars.first_above_time = 0
      vars.dropping = false
      return null
    }
    const now = codel_get_time()
    const drop = codel_should_drop(skb, sch, vars, params, stats, now)
    if (vars.dropping) {
      if (!drop) vars.dropping = false
      else
        while (vars.dropping && now >= vars.drop_next && skb !== null) {
          vars.count++
          codel_Newton_step(vars)
          if (params.ecn && INET_ECN_set_ce(skb)) {
            stats.ecn_mark++
            vars.drop_next = codel_control_law(vars.drop_next, params.interval, vars.rec_inv_sqrt)
            break
          }
          stats.drop_len += qdisc_pkt_len(skb)
          drop_func(skb, sch)
          stats.drop_count++
          skb = dequeue_func(flow, sch)
          if (!codel_should_drop(skb, sch, vars, params, stats, now)) vars.dropping = false
          else vars.drop_next = codel_control_law(vars.drop_next, params.interval, vars.rec_inv_sqrt)
        }
    } else if (drop) {
      if (tracer.on) decide('codel_dequeue', 'packets have waited too long', { delay_us: codel_time_to_us(vars.ldelay) })
      if (params.ecn && INET_ECN_set_ce(skb)) stats.ecn_mark++
      else {
        stats.drop_len += qdisc_pkt_len(skb)
        drop_func(skb, sch)
        stats.drop_count++
        skb = dequeue_func(flow, sch)
        codel_should_drop(skb, sch, vars, params, stats, now)
      }
      vars.dropping = true
      const delta = vars.count - vars.lastcount
      if (delta > 1 && now - vars.drop_next < 16 * params.interval) {
        vars.count = delta
        codel_Newton_step(vars)
      } else {
        vars.count = 1
        vars.rec_inv_sqrt = 0xffffffff >>> REC_INV_SQRT_SHIFT
      }
      vars.lastcount = vars.count
      vars.drop_next = codel_control_law(now, params.interval, vars.rec_inv_sqrt)
    }
    if (skb !== null && vars.ldelay > params.ce_threshold && INET_ECN_set_ce(skb)) stats.ce_mark++
    return skb
  },
)

const __fq_codel_dequeue = kfunc('__fq_codel_dequeue', (sch: Qdisc): sk_buff | null => {
  const q = qdisc_priv<fq_codel_sched_data>(sch)
  for (;;) {
    let head = q.new_flows
    if (list_empty(head)) {
      head = q.old_flows
      if (list_empty(head)) return null
    }
    const flow = head.next.owner as fq_codel_flow
    if (flow.deficit <= 0) {
      flow.deficit += q.quantum
      list_del(flow.flowchain)
      list_add_tail(flow.flowchain, q.old_flows)
      continue
    }
    const skb = codel_dequeue(sch, flow, q.cparams, flow.cvars, q.cstats)
    if (skb === null) {
      // once through the old flows, so that they do not starve
      const again = head === q.new_flows && !list_empty(q.old_flows)
      list_del(flow.flowchain)
      if (again) list_add_tail(flow.flowchain, q.old_flows)
      continue
    }
    qdisc_bstats_update(sch, skb)
    flow.deficit -= qdisc_pkt_len(skb)
    return skb
  }
})

const fq_codel_dequeue_drop = kfunc('fq_codel_dequeue_drop', (sch: Qdisc): void => {
  const { cstats } = qdisc_priv<fq_codel_sched_data>(sch)
  if (!cstats.drop_count) return
  qdisc_tree_reduce_backlog(sch, cstats.drop_count, cstats.drop_len)
  cstats.drop_count = 0
  cstats.drop_len = 0
})
const fq_codel_dequeue = kfunc('fq_codel_dequeue', (sch: Qdisc): sk_buff | null => {
  const skb = __fq_codel_dequeue(sch)
  fq_codel_dequeue_drop(sch)
  return skb
})
const fq_codel_peek = kfunc('fq_codel_peek', (sch: Qdisc): sk_buff | null => {
  let skb = skb_peek(sch.gso_skb)
  if (skb === null) {
    skb = __fq_codel_dequeue(sch)
    if (skb !== null) {
      __skb_queue_head(sch.gso_skb, skb)
      qdisc_qstats_backlog_inc(sch, skb)
      sch.q.qlen++
    }
    fq_codel_dequeue_drop(sch)
  }
  return skb
})

const fq_codel_reset = kfunc('fq_codel_reset', (sch: Qdisc): void => {
  const q = qdisc_priv<fq_codel_sched_data>(sch)
  for (const flow of q.flows)
    for (let skb = flow?.head ?? null; skb !== null; ) {
      const next: sk_buff | null = skb.next
      skb.next = null
      kfree_skb_reason(skb, SKB_DROP_REASON_QDISC_DROP)
      skb = next
    }
  q.flows = []
  q.new_flows = new list_head<fq_codel_flow>()
  q.old_flows = new list_head<fq_codel_flow>()
  q.memory_usage = 0
})

const fq_codel_change = kfunc('fq_codel_change', (sch: Qdisc, opt: tca_options, extack: ref<string>): number => {
  const q = qdisc_priv<fq_codel_sched_data>(sch)
  const num = (name: string): number | undefined => (opt[name] === undefined ? undefined : Number(opt[name]))
  const flows = num('flows')
  if (flows !== undefined) {
    if (q.flows_cnt !== flows && q.quantum && sch.handle && q.flows.length > 0) return -EINVAL
    if (flows < 1 || flows > 65536) return -EINVAL
    q.flows_cnt = flows
  }
  let quantum = num('quantum')
  if (quantum !== undefined) {
    quantum = Math.max(256, quantum)
    if (quantum > FQ_CODEL_QUANTUM_MAX) {
      extack.v = 'Invalid quantum'
      return -EINVAL
    }
    q.quantum = quantum
  }
  const { cparams } = q
  const target = num('target')
  if (target !== undefined) cparams.target = us_to_codel_time(target)
  const ce = num('ce_threshold')
  if (ce !== undefined) cparams.ce_threshold = us_to_codel_time(ce)
  const interval = num('interval')
  if (interval !== undefined) cparams.interval = us_to_codel_time(interval)
  sch.limit = num('limit') ?? sch.limit
  if (opt.ecn !== undefined) cparams.ecn = Boolean(opt.ecn)
  q.drop_batch_size = Math.max(1, num('drop_batch') ?? q.drop_batch_size)
  q.memory_limit = Math.min(2 ** 31, num('memory_limit') ?? q.memory_limit)
  while (sch.q.qlen > sch.limit || q.memory_usage > q.memory_limit) {
    const skb = fq_codel_dequeue(sch)
    if (skb === null) break
    qdisc_tree_reduce_backlog(sch, 1, qdisc_pkt_len(skb))
    kfree_skb_reason(skb, SKB_DROP_REASON_QDISC_DROP)
  }
  return 0
})

const fq_codel_init = kfunc('fq_codel_init', (sch: Qdisc, opt: tca_options | null, extack: ref<string>): number => {
  const mtu = Math.min(psched_mtu(qdisc_dev(sch)), FQ_CODEL_QUANTUM_MAX)
  sch.limit = 10 * 1024
  sch.priv = {
    flows: [],
    flows_cnt: 1024,
    quantum: clamp(mtu, 256, FQ_CODEL_QUANTUM_MAX),
    drop_batch_size: 64,
    memory_limit: 32 << 20,
    cparams: {
      target: us_to_codel_time(5000),
      ce_threshold: CODEL_DISABLED_THRESHOLD,
      interval: us_to_codel_time(100000),
      mtu,
      ecn: true,
    },
    cstats: { maxpacket: 0, drop_count: 0, drop_len: 0, ecn_mark: 0, ce_mark: 0 },
    memory_usage: 0,
    drop_overmemory: 0,
    drop_overlimit: 0,
    new_flow_count: 0,
    new_flows: new list_head<fq_codel_flow>(),
    old_flows: new list_head<fq_codel_flow>(),
  } satisfies fq_codel_sched_data
  if (opt !== null) {
    const err = fq_codel_change(sch, opt, extack)
    if (err) return err
  }
  if (sch.limit >= 1) sch.flags |= TCQ_F_CAN_BYPASS
  else sch.flags &= ~TCQ_F_CAN_BYPASS
  return 0
})

const fq_codel_dump = kfunc('fq_codel_dump', (sch: Qdisc): tca_options => {
  const q = qdisc_priv<fq_codel_sched_data>(sch)
  const ce = q.cparams.ce_threshold
  return {
    target: codel_time_to_us(q.cparams.target),
    limit: sch.limit,
    interval: codel_time_to_us(q.cparams.interval),
    ecn: q.cparams.ecn,
    quantum: q.quantum,
    drop_batch: q.drop_batch_size,
    memory_limit: q.memory_limit,
    flows: q.flows_cnt,
    ...(ce === CODEL_DISABLED_THRESHOLD ? {} : { ce_threshold: codel_time_to_us(ce) }),
  }
})
const listLength = (h: list_head<fq_codel_flow>): number => {
  let n = 0
  for (let p = h.next; p !== h; p = p.next) n++
  return n
}
const fq_codel_dump_stats = kfunc('fq_codel_dump_stats', (sch: Qdisc): tca_options => {
  const q = qdisc_priv<fq_codel_sched_data>(sch)
  return {
    maxpacket: q.cstats.maxpacket,
    drop_overlimit: q.drop_overlimit,
    new_flow_count: q.new_flow_count,
    ecn_mark: q.cstats.ecn_mark,
    new_flows_len: listLength(q.new_flows),
    old_flows_len: listLength(q.old_flows),
    ...(q.cstats.ce_mark ? { ce_mark: q.cstats.ce_mark } : {}),
    ...(q.memory_usage ? { memory_used: q.memory_usage } : {}),
    ...(q.drop_overmemory ? { drop_overmemory: q.drop_overmemory } : {}),
  }
})

export let fq_codel_qdisc_ops: Qdisc_ops

module_init(() => {
  fq_codel_qdisc_ops = {
    id: 'fq_codel',
    enqueue: fq_codel_enqueue,
    dequeue: fq_codel_dequeue,
    peek: fq_codel_peek,
    init: fq_codel_init,
    reset: fq_codel_reset,
    change: fq_codel_change,
    dump: fq_codel_dump,
    dump_stats: fq_codel_dump_stats,
  }
  register_qdisc(fq_codel_qdisc_ops)
  // net.core.default_qdisc of Debian
  qdisc_set_default(fq_codel_qdisc_ops)
})
