import type { net_device, netdev_queue } from '../linux/netdevice.ts'
import { type sk_buff, sk_buff_head } from '../linux/skbuff.ts'
import { spinlock_t } from '../linux/spinlock.ts'
import { LARGE, type ref } from '../linux/types.ts'

/** what `tc` gives a discipline, and what one says of itself: the attributes of TCA_OPTIONS by name, in the kernel's units */
export type tca_options = Readonly<Record<string, number | boolean | string | readonly number[]>>

/** include/net/sch_generic.h struct Qdisc_class_ops. A class is named by its number inside the discipline, 0 for none. */
export interface Qdisc_class_ops {
  graft?: (sch: Qdisc, cl: number, new_: Qdisc | null, old: ref<Qdisc | null>) => number
  leaf?: (sch: Qdisc, cl: number) => Qdisc | null
  find: (sch: Qdisc, classid: number) => number
  /** the discipline in that class is empty now */
  qlen_notify?: (sch: Qdisc, cl: number) => void
  /** `arg.v`: the class, 0 when it is to be made */
  change?: (sch: Qdisc, classid: number, parentid: number, opt: tca_options, arg: ref<number>, extack: ref<string>) => number
  delete?: (sch: Qdisc, cl: number, extack: ref<string>) => number
  walk: (sch: Qdisc, visit: (cl: number) => void) => void
  /** null for a class that is not to be shown */
  dump?: (sch: Qdisc, cl: number) => class_dump | null
}

/** one class as `tc class show` prints it */
export interface class_dump {
  classid: number
  parentid: number
  leaf: Qdisc | null
  options: tca_options
  stats: { bytes: number; packets: number; qlen: number; backlog: number; drops: number; overlimits: number; requeues: number }
  /** what only this kind of discipline counts: TCA_STATS_APP */
  xstats?: tca_options
}

/** include/net/sch_generic.h struct Qdisc_ops */
export interface Qdisc_ops {
  cl_ops?: Qdisc_class_ops
  id: string
  enqueue: (skb: sk_buff, sch: Qdisc, to_free: ref<sk_buff | null>) => number
  dequeue: (sch: Qdisc) => sk_buff | null
  peek: (sch: Qdisc) => sk_buff | null
  init?: (sch: Qdisc, arg: tca_options | null, extack: ref<string>) => number
  reset?: (sch: Qdisc) => void
  destroy?: (sch: Qdisc) => void
  change?: (sch: Qdisc, arg: tca_options, extack: ref<string>) => number
  /** its parameters */
  dump?: (sch: Qdisc) => tca_options
  /** counters of its own */
  dump_stats?: (sch: Qdisc) => tca_options
  attach?: (sch: Qdisc) => void
  change_tx_queue_len?: (sch: Qdisc, new_len: number) => number
  static_flags?: number
}

/** include/net/sch_generic.h struct Qdisc. `enqueue` is null for a device without a queue (noqueue). */
export class Qdisc {
  enqueue: ((skb: sk_buff, sch: Qdisc, to_free: ref<sk_buff | null>) => number) | null = null
  dequeue: ((sch: Qdisc) => sk_buff | null) | null = null
  flags = 0
  limit = 0
  ops!: Qdisc_ops
  handle = 0
  parent = LARGE
  refcnt = 1
  dev_queue!: netdev_queue
  readonly gso_skb: sk_buff_head = new sk_buff_head()
  readonly q: sk_buff_head = new sk_buff_head()
  bstats: { bytes: number; packets: number } = { bytes: 0, packets: 0 }
  qstats: { qlen: number; backlog: number; drops: number; requeues: number; overlimits: number } = {
    qlen: 0,
    backlog: 0,
    drops: 0,
    requeues: 0,
    overlimits: 0,
  }
  /** __QDISC_STATE_* bits */
  state = 0
  /** __QDISC_STATE2_* bits */
  state2 = 0
  next_sched: Qdisc | null = null
  readonly skb_bad_txq: sk_buff_head = new sk_buff_head()
  readonly busylock: spinlock_t = new spinlock_t()
  readonly seqlock: spinlock_t = new spinlock_t()
  readonly qlock: spinlock_t = new spinlock_t()
  owner = -1
  empty = false
  /** the queue discipline's own */
  priv: unknown = null

  get dev(): net_device {
    return this.dev_queue.dev
  }
  /** as `tc` names it */
  describe(): string {
    return `qdisc ${this.ops.id} ${(this.handle >>> 16).toString(16)}: dev ${this.dev.name}`
  }
  get netnsName(): string {
    return this.dev.nd_net.name
  }
  /** packets and bytes that wait; a discipline without a lock counts its packets elsewhere */
  counters(): Record<string, number> {
    return { qlen: this.q.qlen + this.qstats.qlen, backlog: this.qstats.backlog }
  }
}

/** the discipline's own: qdisc_priv() */
export const qdisc_priv = <T>(q: Qdisc): T => q.priv as T
export const qdisc_dev = (q: Qdisc): net_device => q.dev_queue.dev
export const qdisc_lock = (q: Qdisc): spinlock_t => q.qlock
export const qdisc_qlen = (q: Qdisc): number => q.q.qlen
/** the lengths of a packet that a discipline accounts by: struct qdisc_skb_cb */
export interface qdisc_skb_cb {
  pkt_len: number
}
