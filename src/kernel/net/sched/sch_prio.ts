import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { traceIndirect, tracer } from '../../../trace/tracer.ts'
import { NET_XMIT_SUCCESS } from '../../include/generated/enums.ts'
import { EINVAL, ENOMEM } from '../../include/linux/errno.ts'
import { module_init } from '../../include/linux/init.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import type { ref } from '../../include/linux/types.ts'
import { type Qdisc, type Qdisc_ops, qdisc_priv, type tca_options } from '../../include/net/sch_generic.ts'
import { tcf_classify } from './cls_api.ts'
import {
  net_xmit_drop_count,
  qdisc_dequeue_peeked,
  qdisc_enqueue,
  qdisc_tree_reduce_backlog,
  register_qdisc,
  TC_H_MAJ,
  TC_H_MAKE,
} from './sch_api.ts'
import { pfifo_qdisc_ops } from './sch_fifo.ts'
import {
  noop_qdisc,
  qdisc_bstats_update,
  qdisc_create_dflt,
  qdisc_hash_add,
  qdisc_pkt_len,
  qdisc_put,
  qdisc_qstats_backlog_dec,
  qdisc_qstats_drop,
  qdisc_reset,
} from './sch_generic.ts'

const TC_PRIO_MAX = 15
const TCQ_PRIO_BANDS = 16

interface prio_sched_data {
  bands: number
  prio2band: number[]
  queues: Qdisc[]
}

/** by the packet's priority, or the class that it names */
const prio_classify = kfunc('prio_classify', (skb: sk_buff, sch: Qdisc, _qerr: ref<number> | null): Qdisc => {
  const q = qdisc_priv<prio_sched_data>(sch)
  const { priority } = skb
  if (TC_H_MAJ(priority) !== sch.handle) {
    tcf_classify(skb, null, null, null, false)
    return q.queues[q.prio2band[TC_H_MAJ(priority) ? 0 : priority & TC_PRIO_MAX] ?? 0] ?? noop_qdisc
  }
  // the bands are classes 1, 2, ...: a minor number of 0 is no band
  const band = ((priority & 0xffff) - 1) >>> 0
  return q.queues[band < q.bands ? band : (q.prio2band[0] ?? 0)] ?? noop_qdisc
})

const prio_enqueue = kfunc('prio_enqueue', (skb: sk_buff, sch: Qdisc, to_free: ref<sk_buff | null>): number => {
  const len = qdisc_pkt_len(skb)
  const qdisc = prio_classify(skb, sch, null)
  const ret = qdisc_enqueue(skb, qdisc, to_free)
  if (ret === NET_XMIT_SUCCESS) {
    sch.qstats.backlog += len
    sch.q.qlen++
    return NET_XMIT_SUCCESS
  }
  if (net_xmit_drop_count(ret)) qdisc_qstats_drop(sch)
  return ret
})

const prio_peek = kfunc('prio_peek', (sch: Qdisc): sk_buff | null => {
  for (const qdisc of qdisc_priv<prio_sched_data>(sch).queues) {
    const skb = qdisc.ops.peek(qdisc)
    if (skb !== null) return skb
  }
  return null
})
const prio_dequeue = kfunc('prio_dequeue', (sch: Qdisc): sk_buff | null => {
  for (const qdisc of qdisc_priv<prio_sched_data>(sch).queues) {
    if (tracer.on) traceIndirect('qdisc->dequeue', nameOf(qdisc.ops.dequeue))
    const skb = qdisc_dequeue_peeked(qdisc)
    if (skb === null) continue
    qdisc_bstats_update(sch, skb)
    qdisc_qstats_backlog_dec(sch, skb)
    sch.q.qlen--
    return skb
  }
  return null
})
const prio_reset = kfunc('prio_reset', (sch: Qdisc): void => {
  for (const qdisc of qdisc_priv<prio_sched_data>(sch).queues) qdisc_reset(qdisc)
})
const prio_destroy = kfunc('prio_destroy', (sch: Qdisc): void => {
  for (const qdisc of qdisc_priv<prio_sched_data | null>(sch)?.queues ?? []) qdisc_put(qdisc)
})

const prio_tune = kfunc('prio_tune', (sch: Qdisc, opt: tca_options, _extack: ref<string>): number => {
  const q = qdisc_priv<prio_sched_data>(sch)
  const bands = Number(opt.bands ?? 3)
  const map = Array.isArray(opt.priomap) ? (opt.priomap as readonly number[]) : []
  if (bands > TCQ_PRIO_BANDS || bands < 2) return -EINVAL
  for (let i = 0; i <= TC_PRIO_MAX; i++) if ((map[i] ?? 0) >= bands) return -EINVAL
  const added: Qdisc[] = []
  for (let i = q.queues.length; i < bands; i++) {
    const child = qdisc_create_dflt(sch.dev_queue, pfifo_qdisc_ops, TC_H_MAKE(sch.handle, i + 1))
    if (child === null) return -ENOMEM
    added.push(child)
  }
  for (const child of q.queues.splice(bands)) {
    const { qlen } = child.q
    const { backlog } = child.qstats
    qdisc_reset(child)
    qdisc_tree_reduce_backlog(child, qlen, backlog)
    qdisc_put(child)
  }
  q.bands = bands
  q.prio2band = [...map]
  q.queues.push(...added)
  return 0
})
const prio_init = kfunc('prio_init', (sch: Qdisc, opt: tca_options | null, extack: ref<string>): number => {
  sch.priv = { bands: 0, prio2band: [], queues: [] } satisfies prio_sched_data
  return opt === null ? -EINVAL : prio_tune(sch, opt, extack)
})
const prio_dump = kfunc('prio_dump', (sch: Qdisc): tca_options => {
  const q = qdisc_priv<prio_sched_data>(sch)
  return { bands: q.bands, priomap: q.prio2band }
})

const prio_graft = kfunc('prio_graft', (sch: Qdisc, arg: number, new_: Qdisc | null, old: ref<Qdisc | null>): number => {
  const q = qdisc_priv<prio_sched_data>(sch)
  const now = q.queues[arg - 1]
  if (now === undefined) return -EINVAL
  const { qlen } = now.q
  const { backlog } = now.qstats
  qdisc_reset(now)
  qdisc_tree_reduce_backlog(now, qlen, backlog)
  old.v = now
  q.queues[arg - 1] = new_ ?? noop_qdisc
  if (new_ !== null) qdisc_hash_add(new_, false)
  return 0
})
const prio_leaf = kfunc(
  'prio_leaf',
  (sch: Qdisc, arg: number): Qdisc | null => qdisc_priv<prio_sched_data>(sch).queues[arg - 1] ?? null,
)
const prio_find = kfunc('prio_find', (sch: Qdisc, classid: number): number => {
  const band = classid & 0xffff
  return band - 1 >= qdisc_priv<prio_sched_data>(sch).bands ? 0 : band
})
const prio_walk = kfunc('prio_walk', (sch: Qdisc, visit: (cl: number) => void): void => {
  for (let i = 1; i <= qdisc_priv<prio_sched_data>(sch).bands; i++) visit(i)
})

module_init(() => {
  const prio_qdisc_ops: Qdisc_ops = {
    id: 'prio',
    cl_ops: {
      graft: prio_graft,
      leaf: prio_leaf,
      find: prio_find,
      walk: prio_walk,
      dump: (sch, cl) => {
        const leaf = prio_leaf(sch, cl)
        return {
          classid: ((sch.handle & 0xffff0000) | cl) >>> 0,
          parentid: sch.handle,
          leaf,
          options: {},
          stats: {
            bytes: leaf?.bstats.bytes ?? 0,
            packets: leaf?.bstats.packets ?? 0,
            qlen: leaf?.q.qlen ?? 0,
            backlog: leaf?.qstats.backlog ?? 0,
            drops: leaf?.qstats.drops ?? 0,
            overlimits: leaf?.qstats.overlimits ?? 0,
            requeues: leaf?.qstats.requeues ?? 0,
          },
        }
      },
    },
    enqueue: prio_enqueue,
    dequeue: prio_dequeue,
    peek: prio_peek,
    init: prio_init,
    reset: prio_reset,
    destroy: prio_destroy,
    change: prio_tune,
    dump: prio_dump,
  }
  register_qdisc(prio_qdisc_ops)
})
