import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { traceIndirect, tracepoint, tracer } from '../../../trace/tracer.ts'
import {
  __NET_XMIT_STOLEN,
  __QDISC_STATE_DEACTIVATED,
  IFF_UP,
  TCQ_F_BUILTIN,
  TCQ_F_INVISIBLE,
  TCQ_F_MQROOT,
  TCQ_F_NOPARENT,
  TCQ_F_ONETXQUEUE,
} from '../../include/generated/enums.ts'
import { EEXIST, EINVAL, ELOOP, ENOENT, ENOMEM, EOPNOTSUPP } from '../../include/linux/errno.ts'
import {
  CLOCK_MONOTONIC,
  HRTIMER_MODE_ABS_PINNED,
  HRTIMER_NORESTART,
  hrtimer,
  hrtimer_is_queued,
} from '../../include/linux/hrtimer.ts'
import { ETH_P_IP, ETH_P_IPV6 } from '../../include/linux/if_ether.ts'
import { subsys_initcall } from '../../include/linux/init.ts'
import { type net_device, netdev_get_tx_queue, type netdev_queue } from '../../include/linux/netdevice.ts'
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from '../../include/linux/rtnetlink.ts'
import { __skb_dequeue, __skb_queue_head, type sk_buff, skb_headlen } from '../../include/linux/skbuff.ts'
import type { ref } from '../../include/linux/types.ts'
import { type Qdisc, type Qdisc_ops, qdisc_dev, type tca_options } from '../../include/net/sch_generic.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { hrtimer_cancel, hrtimer_setup, hrtimer_start_range_ns } from '../../kernel/time/hrtimer.ts'
import { __netif_schedule } from '../core/dev.ts'
import {
  dev_activate,
  dev_deactivate,
  dev_graft_qdisc,
  noop_qdisc,
  noqueue_qdisc_ops,
  pfifo_fast_ops,
  qdisc_alloc,
  qdisc_hash_add,
  qdisc_put,
  qdisc_refcount_inc,
  qdisc_reset,
  TC_H_ROOT,
} from './sch_generic.ts'

export const TC_H_MAJ = (h: number): number => (h & 0xffff0000) >>> 0
export const TC_H_MIN = (h: number): number => h & 0xffff
export const TC_H_MAKE = (maj: number, min: number): number => ((maj & 0xffff0000) | (min & 0xffff)) >>> 0

/** the largest packet of a device with its link header: include/net/pkt_sched.h */
export const psched_mtu = (dev: net_device): number => dev.mtu + dev.hard_header_len

/** Marks that a packet met congestion, where its sender understands that: include/net/inet_ecn.h. @returns whether it is marked now */
export const INET_ECN_set_ce = kfunc('INET_ECN_set_ce', (skb: sk_buff): boolean => {
  const b = skb.head.bytes
  const at = skb.network_header
  const has = skb.data + skb_headlen(skb) - at
  if (skb.protocol === ETH_P_IP && has >= 20) {
    const tos = b[at + 1] ?? 0
    const ecn = tos & 3
    if (ecn === 0) return false
    if (ecn === 3) return true
    // 01 and 10 become 11; the header's checksum follows
    const word = ((b[at] ?? 0) << 8) | tos
    b[at + 1] = tos | 3
    const now = (word & 0xff00) | (tos | 3)
    let check = ((b[at + 10] ?? 0) << 8) | (b[at + 11] ?? 0)
    let sum = (~check & 0xffff) + (~word & 0xffff) + now
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16)
    check = ~sum & 0xffff
    b[at + 10] = check >> 8
    b[at + 11] = check & 0xff
    return true
  }
  if (skb.protocol === ETH_P_IPV6 && has >= 40) {
    const ecn = ((b[at + 1] ?? 0) >> 4) & 3
    if (ecn === 0) return false
    b[at + 1] = (b[at + 1] ?? 0) | 0x30
    return true
  }
  return false
})

/** nanoseconds that `len` bytes take at `rate` bytes a second */
export const psched_l2t_ns = (rate: number, len: number): number => Math.floor((len * 1e9) / rate)

/** gives a packet to a discipline inside another: include/net/sch_generic.h */
export const qdisc_enqueue = kfunc('qdisc_enqueue', (skb: sk_buff, sch: Qdisc, to_free: ref<sk_buff | null>): number => {
  if (tracer.on) traceIndirect('sch->enqueue', nameOf(sch.ops.enqueue))
  return sch.ops.enqueue(skb, sch, to_free)
})
/** whether the packet counts as lost: not when somebody took it over */
export const net_xmit_drop_count = (e: number): boolean => !(e & __NET_XMIT_STOLEN)

/** the packet that peek() showed, or the next one: include/net/sch_generic.h */
export const qdisc_dequeue_peeked = kfunc('qdisc_dequeue_peeked', (sch: Qdisc): sk_buff | null => {
  const skb = __skb_dequeue(sch.gso_skb)
  if (skb === null) return sch.ops.dequeue(sch)
  sch.qstats.backlog -= skb.pkt_len
  sch.q.qlen--
  return skb
})
/** a discipline without a peek of its own takes the packet out and keeps it aside */
export const qdisc_peek_dequeued = kfunc('qdisc_peek_dequeued', (sch: Qdisc): sk_buff | null => {
  let skb = sch.gso_skb.first
  if (skb === null) {
    skb = sch.ops.dequeue(sch)
    if (skb !== null) {
      __skb_queue_head(sch.gso_skb, skb)
      // it is in the queue still
      sch.qstats.backlog += skb.pkt_len
      sch.q.qlen++
    }
  }
  return skb
})

// ---- disciplines that can be used, by name

let qdisc_base: Map<string, Qdisc_ops> = new Map()
let autohandle = 0x8000

subsys_initcall(() => {
  qdisc_base = new Map()
  autohandle = 0x8000
  register_qdisc(pfifo_fast_ops)
  register_qdisc(noqueue_qdisc_ops)
})

export const register_qdisc = kfunc('register_qdisc', (qops: Qdisc_ops): number => {
  if (qdisc_base.has(qops.id)) return -EEXIST
  qdisc_base.set(qops.id, qops)
  return 0
})
export const qdisc_lookup_ops = kfunc('qdisc_lookup_ops', (kind: string): Qdisc_ops | null => qdisc_base.get(kind) ?? null)

/** by handle, `major << 16` */
export const qdisc_lookup = kfunc('qdisc_lookup', (dev: net_device, handle: number): Qdisc | null => {
  if (!handle) return null
  return dev.qdisc_hash.find((q) => q.handle === handle) ?? null
})
const qdisc_leaf = kfunc('qdisc_leaf', (p: Qdisc, classid: number, extack: ref<string>): Qdisc | null | number => {
  const cops = p.ops.cl_ops
  if (cops === undefined) {
    extack.v = 'Parent qdisc is not classful'
    return -EOPNOTSUPP
  }
  const cl = cops.find(p, classid)
  if (cl === 0) {
    extack.v = 'Specified class not found'
    return -ENOENT
  }
  return cops.leaf?.(p, cl) ?? null
})

// ---- watchdog: a discipline that holds packets back asks to be run again

export class qdisc_watchdog_t {
  readonly timer: hrtimer = new hrtimer(this)
  qdisc!: Qdisc

  get netnsName(): string {
    return this.qdisc.dev_queue.dev.nd_net.name
  }
}

/** the discipline that a device queue sends through, above whatever `q` is inside of */
export const qdisc_root = (q: Qdisc): Qdisc => q.dev_queue.qdisc ?? noop_qdisc
export const qdisc_root_sleeping = (q: Qdisc): Qdisc => q.dev_queue.qdisc_sleeping ?? noop_qdisc

const qdisc_watchdog = kfunc('qdisc_watchdog', (timer: hrtimer): number => {
  const wd = timer.owner as qdisc_watchdog_t
  rcu_read_lock()
  __netif_schedule(qdisc_root(wd.qdisc))
  rcu_read_unlock()
  return HRTIMER_NORESTART
})
export const qdisc_watchdog_init_clockid = kfunc(
  'qdisc_watchdog_init_clockid',
  (wd: qdisc_watchdog_t, qdisc: Qdisc, clockid: number): void => {
    hrtimer_setup(wd.timer, qdisc_watchdog, clockid, HRTIMER_MODE_ABS_PINNED)
    wd.qdisc = qdisc
  },
)
export const qdisc_watchdog_init = kfunc('qdisc_watchdog_init', (wd: qdisc_watchdog_t, qdisc: Qdisc): void =>
  qdisc_watchdog_init_clockid(wd, qdisc, CLOCK_MONOTONIC),
)
export const qdisc_watchdog_schedule_range_ns = kfunc(
  'qdisc_watchdog_schedule_range_ns',
  (wd: qdisc_watchdog_t, expires: number, delta_ns: number): void => {
    rcu_read_lock()
    const deactivated = (qdisc_root_sleeping(wd.qdisc).state >> __QDISC_STATE_DEACTIVATED) & 1
    rcu_read_unlock()
    if (deactivated) return
    if (hrtimer_is_queued(wd.timer)) {
      const ahead = wd.timer.softexpires - expires
      if (ahead >= 0 && ahead <= delta_ns) return
    }
    hrtimer_start_range_ns(wd.timer, expires, delta_ns, HRTIMER_MODE_ABS_PINNED)
  },
)
export const qdisc_watchdog_schedule_ns = kfunc('qdisc_watchdog_schedule_ns', (wd: qdisc_watchdog_t, expires: number): void =>
  qdisc_watchdog_schedule_range_ns(wd, expires, 0),
)
export const qdisc_watchdog_cancel = kfunc('qdisc_watchdog_cancel', (wd: qdisc_watchdog_t): void => {
  hrtimer_cancel(wd.timer)
})

/** tells the disciplines above that `n` packets of `len` bytes are gone */
export const qdisc_tree_reduce_backlog = kfunc('qdisc_tree_reduce_backlog', (from: Qdisc, n: number, len: number): void => {
  let sch = from
  const drops = Math.max(n, 0)
  rcu_read_lock()
  while (sch.parent && sch.parent !== TC_H_ROOT && !(sch.flags & TCQ_F_NOPARENT)) {
    const { parent } = sch
    const notify = sch.q.qlen === 0
    const above = qdisc_lookup(qdisc_dev(sch), TC_H_MAJ(parent))
    if (above === null) break
    sch = above
    const cops = sch.ops.cl_ops
    if (notify && cops?.qlen_notify) cops.qlen_notify(sch, cops.find(sch, parent))
    sch.q.qlen -= n
    sch.qstats.backlog -= len
    sch.qstats.drops += drops
  }
  rcu_read_unlock()
})

// ---- what `tc` asks for

/** a handle that nobody has: 8001:, 8002: … each once, as long as there are some */
const qdisc_alloc_handle = kfunc('qdisc_alloc_handle', (dev: net_device): number => {
  for (let i = 0x8000; i > 0; i--) {
    if (++autohandle === 0xffff) autohandle = 0x8001
    const handle = TC_H_MAKE((autohandle << 16) >>> 0, 0)
    if (qdisc_lookup(dev, handle) === null) return handle
  }
  return 0
})

const qdisc_create = kfunc(
  'qdisc_create',
  (
    dev: net_device,
    dev_queue: netdev_queue,
    parent: number,
    handle: number,
    kind: string,
    opt: tca_options | null,
    errp: ref<number>,
    extack: ref<string>,
  ): Qdisc | null => {
    const ops = qdisc_lookup_ops(kind)
    if (ops === null) {
      errp.v = -ENOENT
      extack.v = 'Specified qdisc kind is unknown'
      return null
    }
    const sch = qdisc_alloc(dev_queue, ops)
    sch.parent = parent
    sch.handle = handle || qdisc_alloc_handle(dev)
    if (dev.num_tx_queues === 1) sch.flags |= TCQ_F_ONETXQUEUE | (parent === TC_H_ROOT ? TCQ_F_NOPARENT : 0)
    if (ops.init) {
      const err = ops.init(sch, opt, extack)
      if (err) {
        ops.destroy?.(sch)
        errp.v = err
        return null
      }
    }
    qdisc_hash_add(sch, false)
    if (tracer.on) tracepoint('qdisc', 'qdisc_create', { dev: dev.name, kind: ops.id, parent })
    return sch
  },
)

const notify_and_destroy = kfunc('notify_and_destroy', (old: Qdisc | null, _new: Qdisc | null): void => {
  if (old !== null) qdisc_put(old)
})

/** puts a discipline in the place of another: as the root of a device, or in a class of `parent` */
const qdisc_graft = kfunc(
  'qdisc_graft',
  (dev: net_device, parent: Qdisc | null, classid: number, new_: Qdisc | null, extack: ref<string>): number => {
    if (parent === null) {
      const up = (dev.flags & IFF_UP) !== 0
      if (up) dev_deactivate(dev)
      if (!new_?.ops.attach)
        dev._tx.forEach((q, i) => {
          const old = dev_graft_qdisc(q, new_)
          if (new_ !== null && i > 0) qdisc_refcount_inc(new_)
          qdisc_put(old)
        })
      const old = dev.qdisc
      if (new_ !== null && !new_.ops.attach) qdisc_refcount_inc(new_)
      dev.qdisc = new_ ?? noop_qdisc
      notify_and_destroy(old, new_)
      if (new_?.ops.attach) new_.ops.attach(new_)
      if (up) dev_activate(dev)
      return 0
    }
    const cops = parent.ops.cl_ops
    if (cops?.graft === undefined) return -EOPNOTSUPP
    const cl = cops.find(parent, classid)
    if (cl === 0) {
      extack.v = 'Specified class not found'
      return -ENOENT
    }
    if (new_ !== null && (new_.ops === noqueue_qdisc_ops || new_.flags & TCQ_F_MQROOT)) {
      extack.v = new_.flags & TCQ_F_MQROOT ? 'Failed to graft' : 'Cannot assign noqueue to a class'
      return -EINVAL
    }
    const old: ref<Qdisc | null> = { v: null }
    const err = cops.graft(parent, cl, new_, old)
    if (err) return err
    notify_and_destroy(old.v, new_)
    return 0
  },
)

export interface tc_request {
  dev: net_device
  /** TC_H_ROOT, a class, or 0 when only a handle was given */
  parent: number
  handle: number
  kind: string
  options: tca_options | null
  flags: number
}

/** RTM_NEWQDISC: makes, replaces or changes. `extack`: the kernel's words for an error */
export const tc_modify_qdisc = kfunc('tc_modify_qdisc', (rq: tc_request, extack: ref<string>): number => {
  const { dev, parent: clid, handle, kind, flags } = rq
  let p: Qdisc | null = null
  let q: Qdisc | null = null
  const graft = (new_: Qdisc): number => {
    const err = qdisc_graft(dev, p, clid, new_, extack)
    if (err) qdisc_put(new_)
    return err
  }
  const create_n_graft = (): number => {
    if (!(flags & NLM_F_CREATE)) {
      extack.v = 'Qdisc not found. To create specify NLM_F_CREATE flag'
      return -ENOENT
    }
    const err: ref<number> = { v: -ENOMEM }
    const dev_queue = p === null ? netdev_get_tx_queue(dev, 0) : p.flags & TCQ_F_MQROOT ? mq_queue(dev, clid) : p.dev_queue
    const made = qdisc_create(dev, dev_queue, clid, handle, kind, rq.options, err, extack)
    return made === null ? err.v : graft(made)
  }

  if (clid) {
    if (clid !== TC_H_ROOT) {
      p = qdisc_lookup(dev, TC_H_MAJ(clid))
      if (p === null) {
        extack.v = 'Failed to find specified qdisc'
        return -ENOENT
      }
      const leaf = qdisc_leaf(p, clid, extack)
      if (typeof leaf === 'number') return leaf
      q = leaf
    } else q = dev.qdisc
    // the one that the device had from the start
    if (q !== null && q.handle === 0) q = null
    if (q === null || !handle || q.handle !== handle) {
      if (handle) {
        if (q !== null && !(flags & NLM_F_REPLACE)) {
          extack.v = 'NLM_F_REPLACE needed to override'
          return -EEXIST
        }
        if (TC_H_MIN(handle)) {
          extack.v = 'Invalid minor handle'
          return -EINVAL
        }
        q = qdisc_lookup(dev, handle)
        if (q === null) return create_n_graft()
        if (q.parent !== clid) {
          extack.v = 'Cannot move an existing qdisc to a different parent'
          return -EINVAL
        }
        if (flags & NLM_F_EXCL) {
          extack.v = 'Exclusivity flag on, cannot override'
          return -EEXIST
        }
        if (kind !== q.ops.id) {
          extack.v = 'Invalid qdisc name'
          return -EINVAL
        }
        if (q === p) {
          extack.v = 'Qdisc parent/child loop detected'
          return -ELOOP
        }
        qdisc_refcount_inc(q)
        return graft(q)
      }
      if (q === null) return create_n_graft()
      if (kind !== q.ops.id) {
        const replace = flags & NLM_F_CREATE && flags & NLM_F_REPLACE && !(flags & NLM_F_EXCL)
        const exclusive = flags & NLM_F_CREATE && flags & NLM_F_EXCL && !(flags & NLM_F_REPLACE)
        if (replace || exclusive) return create_n_graft()
      }
    }
  } else {
    if (!handle) {
      extack.v = 'Handle cannot be zero'
      return -EINVAL
    }
    q = qdisc_lookup(dev, handle)
  }
  if (q === null) {
    extack.v = 'Specified qdisc not found'
    return -ENOENT
  }
  if (flags & NLM_F_EXCL) {
    extack.v = 'Exclusivity flag on, cannot modify'
    return -EEXIST
  }
  if (kind !== '' && kind !== q.ops.id) {
    extack.v = 'Invalid qdisc name'
    return -EINVAL
  }
  return qdisc_change(q, rq.options, extack)
})

const qdisc_change = kfunc('qdisc_change', (sch: Qdisc, opt: tca_options | null, extack: ref<string>): number => {
  if (opt === null) return 0
  if (!sch.ops.change) {
    extack.v = 'Change operation not supported by specified qdisc'
    return -EINVAL
  }
  return sch.ops.change(sch, opt, extack)
})

/** RTM_DELQDISC */
export const tc_get_qdisc = kfunc('tc_get_qdisc', (rq: tc_request, extack: ref<string>): number => {
  const { dev, parent: clid, handle, kind } = rq
  let p: Qdisc | null = null
  let q: Qdisc | null
  if (clid) {
    if (clid !== TC_H_ROOT) {
      p = qdisc_lookup(dev, TC_H_MAJ(clid))
      if (p === null) {
        extack.v = 'Failed to find qdisc with specified classid'
        return -ENOENT
      }
      const leaf = qdisc_leaf(p, clid, extack)
      if (typeof leaf === 'number') return leaf
      q = leaf
    } else q = dev.qdisc
    if (q === null) {
      extack.v = 'Cannot find specified qdisc on specified device'
      return -ENOENT
    }
    if (handle && q.handle !== handle) {
      extack.v = 'Invalid handle'
      return -EINVAL
    }
  } else {
    q = qdisc_lookup(dev, handle)
    if (q === null) {
      extack.v = 'Failed to find qdisc with specified handle'
      return -ENOENT
    }
  }
  if (kind !== '' && kind !== q.ops.id) {
    extack.v = 'Invalid qdisc name'
    return -EINVAL
  }
  if (!clid) {
    extack.v = 'Classid cannot be zero'
    return -EINVAL
  }
  if (q.handle === 0) {
    extack.v = 'Cannot delete qdisc with handle of zero'
    return -ENOENT
  }
  return qdisc_graft(dev, p, clid, null, extack)
})

/** the hardware queue of a class of mq */
const mq_queue = (dev: net_device, classid: number): netdev_queue => dev._tx[TC_H_MIN(classid) - 1] ?? netdev_get_tx_queue(dev, 0)

/** RTM_NEWTCLASS and RTM_DELTCLASS */
export const tc_ctl_tclass = kfunc(
  'tc_ctl_tclass',
  (
    dev: net_device,
    parentid: number,
    classid: number,
    kind: string,
    opt: tca_options | null,
    flags: number,
    remove: boolean,
    extack: ref<string>,
  ): number => {
    let portid = parentid
    let clid = classid
    let qid = TC_H_MAJ(clid)
    if (portid !== TC_H_ROOT) {
      const qid1 = TC_H_MAJ(portid)
      if (qid && qid1 && qid !== qid1) return -EINVAL
      if (qid1) qid = qid1
      else if (qid === 0) qid = dev.qdisc?.handle ?? 0
      if (portid) portid = TC_H_MAKE(qid, portid)
    } else if (qid === 0) qid = dev.qdisc?.handle ?? 0
    const q = qdisc_lookup(dev, qid)
    if (q === null) return -ENOENT
    const cops = q.ops.cl_ops
    if (cops === undefined || (kind !== '' && kind !== q.ops.id)) return -EINVAL
    if (clid === 0) {
      if (portid === TC_H_ROOT) clid = qid
    } else clid = TC_H_MAKE(qid, clid)
    const cl: ref<number> = { v: clid ? cops.find(q, clid) : 0 }
    if (cl.v === 0) {
      if (remove || !(flags & NLM_F_CREATE)) return -ENOENT
    } else {
      if (remove) return cops.delete?.(q, cl.v, extack) ?? -EOPNOTSUPP
      if (flags & NLM_F_EXCL) return -EEXIST
    }
    return cops.change?.(q, clid, portid, opt ?? {}, cl, extack) ?? -EOPNOTSUPP
  },
)

/** the disciplines of a device in the order in which `tc qdisc show` has them */
export function qdiscs_of(dev: net_device): Qdisc[] {
  const root = dev.qdisc
  if (root === null || root === noop_qdisc) return []
  return [root, ...dev.qdisc_hash.filter((q) => q !== root && !(q.flags & (TCQ_F_INVISIBLE | TCQ_F_BUILTIN)))]
}

export { qdisc_reset }
