import { kfunc } from '../../../trace/kfunc.ts'
import { NET_XMIT_CN, TCQ_F_CAN_BYPASS } from '../../include/generated/enums.ts'
import { EINVAL, ENOMEM } from '../../include/linux/errno.ts'
import { module_init } from '../../include/linux/init.ts'
import { __skb_dequeue, type sk_buff, skb_peek } from '../../include/linux/skbuff.ts'
import type { ref } from '../../include/linux/types.ts'
import { type Qdisc, type Qdisc_ops, qdisc_dev, type tca_options } from '../../include/net/sch_generic.ts'
import { psched_mtu, qdisc_tree_reduce_backlog, register_qdisc } from './sch_api.ts'
import {
  __qdisc_drop,
  qdisc_create_dflt,
  qdisc_dequeue_head,
  qdisc_drop,
  qdisc_enqueue_tail,
  qdisc_pkt_len,
  qdisc_put,
  qdisc_qstats_backlog_dec,
  qdisc_qstats_drop,
  qdisc_reset_queue,
} from './sch_generic.ts'

const bfifo_enqueue = kfunc('bfifo_enqueue', (skb: sk_buff, sch: Qdisc, to_free: ref<sk_buff | null>): number =>
  sch.qstats.backlog + qdisc_pkt_len(skb) <= sch.limit ? qdisc_enqueue_tail(skb, sch) : qdisc_drop(skb, sch, to_free),
)
const pfifo_enqueue = kfunc('pfifo_enqueue', (skb: sk_buff, sch: Qdisc, to_free: ref<sk_buff | null>): number =>
  sch.q.qlen < sch.limit ? qdisc_enqueue_tail(skb, sch) : qdisc_drop(skb, sch, to_free),
)
const pfifo_tail_enqueue = kfunc('pfifo_tail_enqueue', (skb: sk_buff, sch: Qdisc, to_free: ref<sk_buff | null>): number => {
  if (sch.limit === 0) return qdisc_drop(skb, sch, to_free)
  if (sch.q.qlen < sch.limit) return qdisc_enqueue_tail(skb, sch)
  const prev_backlog = sch.qstats.backlog
  // the oldest makes room
  const old = __skb_dequeue(sch.q)
  if (old !== null) {
    qdisc_qstats_backlog_dec(sch, old)
    __qdisc_drop(old, to_free)
  }
  qdisc_qstats_drop(sch)
  qdisc_enqueue_tail(skb, sch)
  qdisc_tree_reduce_backlog(sch, 0, prev_backlog - sch.qstats.backlog)
  return NET_XMIT_CN
})

const fifo_peek = (sch: Qdisc): sk_buff | null => skb_peek(sch.q)

const fifo_init = kfunc('fifo_init', (sch: Qdisc, opt: tca_options | null, _extack: ref<string>): number => {
  const is_bfifo = sch.ops.id === 'bfifo'
  if (opt === null) {
    const limit = qdisc_dev(sch).tx_queue_len
    sch.limit = is_bfifo ? limit * psched_mtu(qdisc_dev(sch)) : limit
  } else if (opt.limit === undefined) return -EINVAL
  else sch.limit = Number(opt.limit)
  const bypass = is_bfifo ? sch.limit >= psched_mtu(qdisc_dev(sch)) : sch.limit >= 1
  if (bypass) sch.flags |= TCQ_F_CAN_BYPASS
  else sch.flags &= ~TCQ_F_CAN_BYPASS
  return 0
})
const fifo_dump = kfunc('fifo_dump', (sch: Qdisc): tca_options => ({ limit: sch.limit }))

export let pfifo_qdisc_ops: Qdisc_ops
export let bfifo_qdisc_ops: Qdisc_ops
let pfifo_head_drop_qdisc_ops: Qdisc_ops

/** changes the limit of a queue inside another discipline */
export const fifo_set_limit = kfunc('fifo_set_limit', (q: Qdisc, limit: number): number => {
  if (!q.ops.id.startsWith('fifo', 1) || !q.ops.change) return 0
  return q.ops.change(q, { limit }, { v: '' })
})
export const fifo_create_dflt = kfunc(
  'fifo_create_dflt',
  (sch: Qdisc, ops: Qdisc_ops, limit: number, extack: ref<string>): Qdisc | number => {
    const q = qdisc_create_dflt(sch.dev_queue, ops, ((sch.handle & 0xffff0000) | 1) >>> 0)
    if (q === null) {
      extack.v = 'Failed to create default qdisc'
      return -ENOMEM
    }
    const err = fifo_set_limit(q, limit)
    if (err < 0) {
      qdisc_put(q)
      return err
    }
    return q
  },
)

module_init(() => {
  const common = {
    dequeue: qdisc_dequeue_head,
    peek: fifo_peek,
    init: fifo_init,
    reset: qdisc_reset_queue,
    change: fifo_init,
    dump: fifo_dump,
  }
  pfifo_qdisc_ops = { id: 'pfifo', enqueue: pfifo_enqueue, ...common }
  bfifo_qdisc_ops = { id: 'bfifo', enqueue: bfifo_enqueue, ...common }
  pfifo_head_drop_qdisc_ops = { id: 'pfifo_head_drop', enqueue: pfifo_tail_enqueue, ...common }
  register_qdisc(pfifo_qdisc_ops)
  register_qdisc(bfifo_qdisc_ops)
  register_qdisc(pfifo_head_drop_qdisc_ops)
})
