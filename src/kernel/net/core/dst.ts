import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { traceIndirect, tracer } from '../../../trace/tracer.ts'
import { blackhole_netdev } from '../../drivers/net/loopback.ts'
import { core_initcall } from '../../include/linux/init.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC, type kmem_cache } from '../../include/linux/slab.ts'
import { IS_ERR } from '../../include/linux/types.ts'
import {
  DST_METADATA,
  DST_NOCOUNT,
  DST_OBSOLETE_DEAD,
  dst_entry,
  dst_metric_raw,
  dst_metrics,
  type dst_ops,
  RTAX_ADVMSS,
  RTAX_FEATURES,
  RTAX_MAX,
  RTAX_MTU,
} from '../../include/net/dst.ts'
import type { neighbour } from '../../include/net/neighbour.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { sock } from '../../include/net/sock.ts'
import { call_rcu_hurry } from '../../kernel/rcu.ts'
import { jiffies, msecs_to_jiffies, time_before } from '../../kernel/time/timer.ts'
import { kfree, kmalloc, kmem_cache_alloc, kmem_cache_free } from '../../mm/slub.ts'
import { dev_hold, dev_put } from './dev.ts'
import { init_net } from './net_namespace.ts'
import { kfree_skb } from './skbuff.ts'

export { dst_metric_locked, dst_metric_raw, dst_metrics_read_only } from '../../include/net/dst.ts'

const DST_METRICS_READ_ONLY = 1
const DST_METRICS_REFCOUNTED = 2

/** all zero, and never written to */
export let dst_default_metrics: dst_metrics = new dst_metrics()

core_initcall(() => {
  dst_default_metrics = new dst_metrics()
  dst_default_metrics.refcnt = 1
})

export const dst_discard_out = kfunc('dst_discard_out', (_n: net, _sk: sock | null, skb: sk_buff): number => {
  kfree_skb(skb)
  return 0
})
export const dst_discard = kfunc('dst_discard', (skb: sk_buff): number => dst_discard_out(init_net, skb.sk, skb))

// ---- metrics

export const dst_init_metrics = (dst: dst_entry, src: dst_metrics, read_only: boolean): void => {
  dst._metrics = src
  dst.metrics_flags = read_only ? DST_METRICS_READ_ONLY : 0
}
export const dst_metric = dst_metric_raw

export const dst_metrics_write_ptr = kfunc('dst_metrics_write_ptr', (dst: dst_entry): number[] | null => {
  if (dst.metrics_flags & DST_METRICS_READ_ONLY) {
    const { cow_metrics } = dst.ops
    if (cow_metrics === undefined) return null
    if (tracer.on) traceIndirect('dst->ops->cow_metrics', nameOf(cow_metrics))
    return cow_metrics(dst, dst._metrics)
  }
  return dst._metrics.metrics
})

export const dst_metric_set = kfunc('dst_metric_set', (dst: dst_entry, metric: number, val: number): void => {
  const p = dst_metrics_write_ptr(dst)
  if (p !== null) p[metric - 1] = val
})

export const dst_metric_advmss = kfunc('dst_metric_advmss', (dst: dst_entry): number => {
  const advmss = dst_metric_raw(dst, RTAX_ADVMSS)
  if (advmss) return advmss
  const { default_advmss } = dst.ops
  if (default_advmss === undefined) return 0
  if (tracer.on) traceIndirect('dst->ops->default_advmss', nameOf(default_advmss))
  return default_advmss(dst)
})

export const dst_feature = (dst: dst_entry, feature: number): number => dst_metric_raw(dst, RTAX_FEATURES) & feature
/** in jiffies; the metric itself is in milliseconds */
export const dst_metric_rtt = (dst: dst_entry, metric: number): number => msecs_to_jiffies(dst_metric_raw(dst, metric))

export const dst_mtu = kfunc('dst_mtu', (dst: dst_entry): number => {
  const { mtu } = dst.ops
  if (mtu === undefined) return 0
  if (tracer.on) traceIndirect('dst->ops->mtu', nameOf(mtu))
  return mtu(dst)
})
export const dst4_mtu = kfunc('dst4_mtu', (dst: dst_entry): number => {
  const { mtu } = dst.ops
  if (mtu === undefined) return 0
  if (tracer.on) traceIndirect('dst->ops->mtu', nameOf(mtu))
  return mtu(dst)
})

export const dst_cow_metrics_generic = kfunc('dst_cow_metrics_generic', (dst: dst_entry, old: dst_metrics): number[] | null => {
  kmalloc(RTAX_MAX * 4 + 4, GFP_ATOMIC)
  const p = new dst_metrics()
  p.refcnt = 1
  p.metrics = [...old.metrics]
  if (dst.metrics_flags & DST_METRICS_REFCOUNTED && --old.refcnt === 0) kfree(old)
  dst._metrics = p
  dst.metrics_flags = 0
  return p.metrics
})

// ---- life

export const dst_init = kfunc(
  'dst_init',
  (dst: dst_entry, ops: dst_ops, dev: net_device | null, initial_obsolete: number, flags: number): void => {
    dst.dev = dev
    if (dev !== null) dev_hold(dev)
    dst.ops = ops
    dst_init_metrics(dst, dst_default_metrics, true)
    dst.expires = 0
    dst.xfrm = null
    dst.input = dst_discard
    dst.output = dst_discard_out
    dst.error = 0
    dst.obsolete = initial_obsolete
    dst.header_len = 0
    dst.trailer_len = 0
    dst.tclassid = 0
    dst.lwtstate = null
    dst.__rcuref = 1
    dst.rt_uncached_list = null
    dst.__use = 0
    dst.lastuse = jiffies()
    dst.flags = flags
    if (!(flags & DST_NOCOUNT)) ops.entries++
  },
)

/** an entry of the protocol's own class: ops.alloc() (kmem_cachep has its size in Linux) */
export const dst_alloc = kfunc(
  'dst_alloc',
  (ops: dst_ops, dev: net_device, initial_obsolete: number, flags: number): dst_entry | null => {
    if (ops.gc !== undefined && !(flags & DST_NOCOUNT) && ops.entries > (ops.gc_thresh ?? 0)) ops.gc(ops)
    kmem_cache_alloc(ops.kmem_cachep as kmem_cache, GFP_ATOMIC)
    const dst = ops.alloc?.() ?? new dst_entry()
    dst_init(dst, ops, dev, initial_obsolete, flags)
    return dst
  },
)

const dst_destroy = kfunc('dst_destroy', (dst: dst_entry): void => {
  const { destroy } = dst.ops
  if (destroy) {
    if (tracer.on) traceIndirect('dst->ops->destroy', nameOf(destroy))
    destroy(dst)
  }
  if (dst.dev !== null) dev_put(dst.dev)
  if (!(dst.flags & DST_METADATA)) kmem_cache_free(dst.ops.kmem_cachep as kmem_cache, dst)
})
const dst_destroy_rcu = kfunc('dst_destroy_rcu', (head: dst_entry): void => dst_destroy(head))

/** takes the route out of use: packets that still come are thrown away */
export const dst_dev_put = kfunc('dst_dev_put', (dst: dst_entry): void => {
  const { dev } = dst
  dst.obsolete = DST_OBSOLETE_DEAD
  if (dst.ops.ifdown && dev !== null) dst.ops.ifdown(dst, dev)
  dst.input = dst_discard
  dst.output = dst_discard_out
  dst.dev = blackhole_netdev
  dev_hold(blackhole_netdev)
  if (dev !== null) dev_put(dev)
})

const dst_count_dec = (dst: dst_entry): void => {
  if (!(dst.flags & DST_NOCOUNT)) dst.ops.entries--
}

const rcuref_put_slowpath = kfunc('rcuref_put_slowpath', (_ref: dst_entry): boolean => true)
/** true: that was the last reference */
const rcuref_put = (dst: dst_entry): boolean => --dst.__rcuref === 0 && rcuref_put_slowpath(dst)

export const dst_release = kfunc('dst_release', (dst: dst_entry | null): void => {
  if (dst !== null && rcuref_put(dst)) {
    dst_count_dec(dst)
    call_rcu_hurry(dst, dst_destroy_rcu)
  }
})

export const dst_release_immediate = kfunc('dst_release_immediate', (dst: dst_entry | null): void => {
  if (dst !== null && rcuref_put(dst)) {
    dst_count_dec(dst)
    dst_destroy(dst)
  }
})

export const dst_hold = (dst: dst_entry): void => {
  dst.__rcuref++
}
/** false when it is dead already */
export const dst_hold_safe = (dst: dst_entry): boolean => {
  if (dst.__rcuref === 0) return false
  dst.__rcuref++
  return true
}
export const dst_clone = (dst: dst_entry | null): dst_entry | null => {
  if (dst !== null) dst.__rcuref++
  return dst
}

// ---- the route of a packet: include/net/dst.h, include/linux/skbuff.h

export const skb_dst_is_noref = (skb: sk_buff): boolean => skb.dst_noref && skb._skb_refdst !== null
export const skb_dst_set = (skb: sk_buff, dst: dst_entry | null): void => {
  if (dst !== null) skb.slow_gro = 1
  skb._skb_refdst = dst
  skb.dst_noref = false
}
/** the reference is the cache's: valid under RCU only */
export const skb_dst_set_noref = (skb: sk_buff, dst: dst_entry): void => {
  skb.slow_gro = 1
  skb._skb_refdst = dst
  skb.dst_noref = true
}

/** skb->_skb_refdst as a value: the route and whether it is borrowed */
export interface refdst {
  dst: dst_entry | null
  noref: boolean
}
export const refdst_drop = kfunc('refdst_drop', (ref: refdst): void => {
  if (!ref.noref) dst_release(ref.dst)
})
export const skb_dstref_steal = (skb: sk_buff): refdst => {
  const ref = { dst: skb._skb_refdst, noref: skb.dst_noref }
  skb._skb_refdst = null
  skb.dst_noref = false
  return ref
}
export const skb_dstref_restore = (skb: sk_buff, ref: refdst): void => {
  skb._skb_refdst = ref.dst
  skb.dst_noref = ref.noref
}

export const skb_dst_drop = kfunc('skb_dst_drop', (skb: sk_buff): void => {
  const dst = skb._skb_refdst
  if (dst === null) return
  if (!skb.dst_noref) dst_release(dst)
  skb._skb_refdst = null
  skb.dst_noref = false
})

export const __skb_dst_copy = (nskb: sk_buff, refdst: dst_entry | null, noref: boolean): void => {
  if (refdst !== null) nskb.slow_gro = 1
  nskb._skb_refdst = refdst
  nskb.dst_noref = noref
  if (!noref && refdst !== null) refdst.__rcuref++
}
export const skb_dst_copy = kfunc('skb_dst_copy', (nskb: sk_buff, oskb: sk_buff): void =>
  __skb_dst_copy(nskb, oskb._skb_refdst, oskb.dst_noref),
)

/** Makes a borrowed route the packet's own, before it leaves the RCU section. */
export const skb_dst_force = kfunc('skb_dst_force', (skb: sk_buff): boolean => {
  const dst = skb._skb_refdst
  if (dst !== null && skb.dst_noref) {
    skb._skb_refdst = dst_hold_safe(dst) ? dst : null
    skb.dst_noref = false
    skb.slow_gro = 1
  }
  return skb._skb_refdst !== null
})

export const skb_valid_dst = (skb: sk_buff): boolean => skb._skb_refdst !== null && !(skb._skb_refdst.flags & DST_METADATA)
export const dst_dev = (dst: dst_entry): net_device => dst.dev as net_device
export const dst_dev_rcu = dst_dev
export const dst_dev_net_rcu = (dst: dst_entry): net => dst_dev(dst).nd_net
export const skb_dst_dev = (skb: sk_buff): net_device => dst_dev(skb._skb_refdst as dst_entry)
export const skb_dst_dev_rcu = skb_dst_dev
export const skb_dst_dev_net = (skb: sk_buff): net => skb_dst_dev(skb).nd_net
export const skb_dst_dev_net_rcu = skb_dst_dev_net

export const dst_output = kfunc('dst_output', (n: net, sk: sock | null, skb: sk_buff): number => {
  const { output } = skb._skb_refdst as dst_entry
  if (tracer.on) traceIndirect('skb_dst(skb)->output', nameOf(output))
  return output(n, sk, skb)
})

export const dst_input = kfunc('dst_input', (skb: sk_buff): number => {
  const { input } = skb._skb_refdst as dst_entry
  if (tracer.on) traceIndirect('skb_dst(skb)->input', nameOf(input))
  return input(skb)
})

export const dst_check = kfunc('dst_check', (dst: dst_entry, cookie: number): dst_entry | null => {
  if (!dst.obsolete) return dst
  const { check } = dst.ops
  if (check === undefined) return dst
  if (tracer.on) traceIndirect('dst->ops->check', nameOf(check))
  return check(dst, cookie)
})

export const dst_neigh_lookup_skb = kfunc('dst_neigh_lookup_skb', (dst: dst_entry, skb: sk_buff): neighbour | null => {
  if (tracer.on) traceIndirect('dst->ops->neigh_lookup', nameOf(dst.ops.neigh_lookup))
  const n = dst.ops.neigh_lookup?.(dst, skb, null) ?? null
  return IS_ERR(n) ? null : n
})
export const dst_confirm_neigh = kfunc('dst_confirm_neigh', (dst: dst_entry, daddr: number | Uint8Array): void => {
  dst.ops.confirm_neigh?.(dst, daddr)
})
export const dst_link_failure = kfunc('dst_link_failure', (skb: sk_buff): void => {
  const dst = skb._skb_refdst
  if (dst?.ops.link_failure) {
    if (tracer.on) traceIndirect('dst->ops->link_failure', nameOf(dst.ops.link_failure))
    dst.ops.link_failure(skb)
  }
})
/** @param timeout jiffies from now */
export const dst_set_expires = kfunc('dst_set_expires', (dst: dst_entry, timeout: number): void => {
  const expires = jiffies() + timeout || 1
  if (dst.expires === 0 || time_before(expires, dst.expires)) dst.expires = expires
})
export const skb_dst_update_pmtu_no_confirm = kfunc('skb_dst_update_pmtu_no_confirm', (skb: sk_buff, mtu: number): void => {
  const dst = skb._skb_refdst
  dst?.ops.update_pmtu?.(dst, null, skb, mtu, false)
})

// ---- a route to nowhere

export const dst_blackhole_check = kfunc('dst_blackhole_check', (_dst: dst_entry, _cookie: number): dst_entry | null => null)
export const dst_blackhole_cow_metrics = kfunc(
  'dst_blackhole_cow_metrics',
  (_dst: dst_entry, _old: dst_metrics): number[] | null => null,
)
export const dst_blackhole_neigh_lookup = kfunc(
  'dst_blackhole_neigh_lookup',
  (_dst: dst_entry, _skb: sk_buff | null, _daddr: number | Uint8Array | null): neighbour | null => null,
)
export const dst_blackhole_update_pmtu = kfunc(
  'dst_blackhole_update_pmtu',
  (_dst: dst_entry, _sk: sock | null, _skb: sk_buff | null, _mtu: number, _confirm_neigh: boolean): void => {},
)
export const dst_blackhole_redirect = kfunc(
  'dst_blackhole_redirect',
  (_dst: dst_entry, _sk: sock | null, _skb: sk_buff): void => {},
)
export const dst_blackhole_mtu = kfunc(
  'dst_blackhole_mtu',
  (dst: dst_entry): number => dst_metric_raw(dst, RTAX_MTU) || dst_dev(dst).mtu,
)
