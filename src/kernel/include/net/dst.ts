import type { net_device } from '../linux/netdevice.ts'
import { RTAX_MAX } from '../linux/rtnetlink.ts'
import type { sk_buff } from '../linux/skbuff.ts'
import type { neighbour } from './neighbour.ts'
import type { net } from './net_namespace.ts'
import type { sock } from './sock.ts'

export {
  DST_FAKE_RTABLE,
  DST_METADATA,
  DST_NOCOUNT,
  DST_NOPOLICY,
  DST_NOXFRM,
  DST_XFRM_QUEUE,
  DST_XFRM_TUNNEL,
} from '../generated/enums.ts'
export * from '../linux/rtnetlink.ts'

export const DST_OBSOLETE_NONE = 0
export const DST_OBSOLETE_DEAD = 2
export const DST_OBSOLETE_FORCE_CHK = -1
export const DST_OBSOLETE_KILL = -2

/** struct dst_metrics: one array of RTAX_* values, shared by the routes of one fib_info */
export class dst_metrics {
  metrics: number[] = new Array<number>(RTAX_MAX).fill(0)
  refcnt = 0
}

/** struct dst_ops: what a network protocol does with its routes. Filled in an initcall. */
export interface dst_ops {
  family: number
  /** makes an empty route of the protocol's own kind (the object of kmem_cachep) for dst_alloc() */
  alloc?: () => dst_entry
  gc_thresh?: number
  gc?: (ops: dst_ops) => void
  check?: (dst: dst_entry, cookie: number) => dst_entry | null
  default_advmss?: (dst: dst_entry) => number
  mtu?: (dst: dst_entry) => number
  cow_metrics?: (dst: dst_entry, old: dst_metrics) => number[] | null
  destroy?: (dst: dst_entry) => void
  ifdown?: (dst: dst_entry, dev: net_device) => void
  negative_advice?: (sk: sock, dst: dst_entry) => void
  link_failure?: (skb: sk_buff) => void
  update_pmtu?: (dst: dst_entry, sk: sock | null, skb: sk_buff | null, mtu: number, confirm_neigh: boolean) => void
  redirect?: (dst: dst_entry, sk: sock | null, skb: sk_buff) => void
  local_out?: (n: net, sk: sock | null, skb: sk_buff) => number
  neigh_lookup?: (dst: dst_entry, skb: sk_buff | null, daddr: number | Uint8Array | null) => neighbour | number | null
  confirm_neigh?: (dst: dst_entry, daddr: number | Uint8Array) => void
  kmem_cachep?: unknown
  /** pcpuc_entries: how many there are */
  entries: number
}

/** include/net/dst.h struct dst_entry: where a packet goes and which functions take it there. Times in jiffies. */
export class dst_entry {
  dev: net_device | null = null
  ops!: dst_ops
  _metrics!: dst_metrics
  /** DST_METRICS_READ_ONLY | DST_METRICS_REFCOUNTED: the low bits of the pointer in Linux */
  metrics_flags = 0
  expires = 0
  xfrm: unknown = null
  input!: (skb: sk_buff) => number
  output!: (n: net, sk: sock | null, skb: sk_buff) => number
  flags = 0
  obsolete = 0
  header_len = 0
  trailer_len = 0
  /** references held */
  __rcuref = 0
  __use = 0
  lastuse = 0
  error = 0
  tclassid = 0
  rt_uncached_list: Set<dst_entry> | null = null
  lwtstate: unknown = null
}

export const dst_metric_raw = (dst: dst_entry, metric: number): number => dst._metrics.metrics[metric - 1] ?? 0
export const dst_metrics_read_only = (dst: dst_entry): boolean => (dst.metrics_flags & 1) !== 0
export const dst_metric_locked = (dst: dst_entry, metric: number): boolean => (dst_metric_raw(dst, 1) & (1 << metric)) !== 0
