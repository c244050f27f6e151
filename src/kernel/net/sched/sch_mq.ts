import { kfunc } from '../../../trace/kfunc.ts'
import { TCQ_F_MQROOT, TCQ_F_NOPARENT, TCQ_F_ONETXQUEUE } from '../../include/generated/enums.ts'
import { ENOMEM, EOPNOTSUPP } from '../../include/linux/errno.ts'
import { module_init } from '../../include/linux/init.ts'
import type { ref } from '../../include/linux/types.ts'
import { type Qdisc, type Qdisc_ops, qdisc_dev, qdisc_priv, type tca_options } from '../../include/net/sch_generic.ts'
import { register_qdisc, TC_H_MAKE } from './sch_api.ts'
import {
  dev_graft_qdisc,
  get_default_qdisc_ops,
  noop_qdisc_ops,
  qdisc_create_dflt,
  qdisc_hash_add,
  qdisc_put,
  register_mq,
  TC_H_ROOT,
} from './sch_generic.ts'

/** a discipline of its own for each hardware queue; this one only stands for them */
interface mq_sched {
  qdiscs: (Qdisc | null)[]
}

const mq_init = kfunc('mq_init', (sch: Qdisc, _opt: tca_options | null, _extack: ref<string>): number => {
  const dev = qdisc_dev(sch)
  if (sch.parent !== TC_H_ROOT || dev.num_tx_queues <= 1) return -EOPNOTSUPP
  const qdiscs: Qdisc[] = []
  for (const [ntx, q] of dev._tx.entries()) {
    const qdisc = qdisc_create_dflt(q, get_default_qdisc_ops(dev, ntx), TC_H_MAKE(sch.handle, ntx + 1))
    if (qdisc === null) return -ENOMEM
    qdiscs.push(qdisc)
    qdisc.flags |= TCQ_F_ONETXQUEUE | TCQ_F_NOPARENT
  }
  sch.priv = { qdiscs } satisfies mq_sched
  sch.flags |= TCQ_F_MQROOT
  return 0
})
const mq_destroy = kfunc('mq_destroy', (sch: Qdisc): void => {
  // null when mq_init() refused the device
  const priv = qdisc_priv<mq_sched | null>(sch)
  if (priv !== null) for (const q of priv.qdiscs) qdisc_put(q)
})
const mq_attach = kfunc('mq_attach', (sch: Qdisc): void => {
  const priv = qdisc_priv<mq_sched>(sch)
  for (const qdisc of priv.qdiscs) {
    if (qdisc === null) continue
    const old = dev_graft_qdisc(qdisc.dev_queue, qdisc)
    qdisc_put(old)
    qdisc_hash_add(qdisc, false)
  }
  priv.qdiscs = []
})
/** the sums of the queues' counters */
const mq_dump = kfunc('mq_dump', (sch: Qdisc): tca_options => {
  sch.bstats = { bytes: 0, packets: 0 }
  sch.qstats = { qlen: 0, backlog: 0, drops: 0, requeues: 0, overlimits: 0 }
  sch.q.qlen = 0
  for (const { qdisc_sleeping: q } of qdisc_dev(sch)._tx) {
    if (q === null) continue
    sch.bstats.bytes += q.bstats.bytes
    sch.bstats.packets += q.bstats.packets
    sch.qstats.backlog += q.qstats.backlog
    sch.qstats.drops += q.qstats.drops
    sch.qstats.requeues += q.qstats.requeues
    sch.qstats.overlimits += q.qstats.overlimits
    sch.q.qlen += q.q.qlen
  }
  return {}
})
const mq_find = kfunc('mq_find', (sch: Qdisc, classid: number): number => {
  const ntx = classid & 0xffff
  return ntx >= 1 && ntx <= qdisc_dev(sch).num_tx_queues ? ntx : 0
})
const mq_leaf = kfunc('mq_leaf', (sch: Qdisc, cl: number): Qdisc | null => qdisc_dev(sch)._tx[cl - 1]?.qdisc_sleeping ?? null)
const mq_graft = kfunc('mq_graft', (sch: Qdisc, cl: number, new_: Qdisc | null, old: ref<Qdisc | null>): number => {
  const dev_queue = qdisc_dev(sch)._tx[cl - 1]
  if (dev_queue === undefined) return -EOPNOTSUPP
  old.v = dev_graft_qdisc(dev_queue, new_)
  if (new_ !== null) new_.flags |= TCQ_F_ONETXQUEUE | TCQ_F_NOPARENT
  dev_queue.qdisc = dev_queue.qdisc_sleeping
  return 0
})
const mq_walk = kfunc('mq_walk', (sch: Qdisc, visit: (cl: number) => void): void => {
  for (let i = 1; i <= qdisc_dev(sch).num_tx_queues; i++) visit(i)
})

module_init(() => {
  const mq_qdisc_ops: Qdisc_ops = {
    id: 'mq',
    cl_ops: { graft: mq_graft, leaf: mq_leaf, find: mq_find, walk: mq_walk },
    enqueue: noop_qdisc_ops.enqueue,
    dequeue: noop_qdisc_ops.dequeue,
    peek: noop_qdisc_ops.peek,
    init: mq_init,
    destroy: mq_destroy,
    attach: mq_attach,
    dump: mq_dump,
  }
  register_qdisc(mq_qdisc_ops)
  register_mq(mq_qdisc_ops)
})
