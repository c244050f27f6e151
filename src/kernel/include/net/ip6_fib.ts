import { type in6_addr, in6addr_any } from '../linux/in6.ts'
import type { net_device } from '../linux/netdevice.ts'
import { spinlock_t } from '../linux/spinlock.ts'
import { dst_entry, type dst_metrics } from './dst.ts'
import type { inet6_dev } from './if_inet6.ts'
import type { net } from './net_namespace.ts'

// include/uapi/linux/ipv6_route.h and route.h
export const RTF_UP = 0x0001
export const RTF_GATEWAY = 0x0002
export const RTF_HOST = 0x0004
export const RTF_REINSTATE = 0x0008
export const RTF_DYNAMIC = 0x0010
export const RTF_MODIFIED = 0x0020
export const RTF_MTU = 0x0040
export const RTF_REJECT = 0x0200
export const RTF_DEFAULT = 0x00010000
export const RTF_ALLONLINK = 0x00020000
export const RTF_ADDRCONF = 0x00040000
export const RTF_PREFIX_RT = 0x00080000
export const RTF_ANYCAST = 0x00100000
export const RTF_NONEXTHOP = 0x00200000
export const RTF_EXPIRES = 0x00400000
export const RTF_CACHE = 0x01000000
export const RTF_PCPU = 0x40000000
export const RTF_LOCAL = 0x80000000
const RTF_PREF_MASK = 0x18000000

export const RT6_TABLE_LOCAL = 255
export const RT6_TABLE_MAIN = 254
export const IP6_RT_PRIO_USER = 1024
export const IP6_RT_PRIO_ADDRCONF = 256

export const RT6_LOOKUP_F_IFACE = 0x01
export const RT6_LOOKUP_F_REACHABLE = 0x02
export const RT6_LOOKUP_F_HAS_SADDR = 0x04
export const RT6_LOOKUP_F_IGNORE_LINKSTATE = 0x40
export const RT6_LOOKUP_F_DST_NOREF = 0x80

export const RTN_TL_ROOT = 0x0001
export const RTN_ROOT = 0x0002
export const RTN_RTINFO = 0x0004

/** medium, high or low preference as a number that can be compared */
export const IPV6_DECODE_PREF = (fib6_flags: number): number => (((fib6_flags & RTF_PREF_MASK) >>> 27) ^ 2) & 3

/** struct rt6key */
export class rt6key {
  addr: in6_addr
  plen: number

  constructor(addr: in6_addr = in6addr_any.slice(), plen = 0) {
    this.addr = addr
    this.plen = plen
  }
}

/** struct fib6_nh: by which device, and by which router, a route leads */
export class fib6_nh {
  fib_nh_dev: net_device | null = null
  fib_nh_oif = 0
  /** AF_INET6 when there is a router */
  fib_nh_gw_family = 0
  fib_nh_gw6: in6_addr = new Uint8Array(16)
  fib_nh_flags = 0
  fib_nh_scope = 0
  fib_nh_weight = 1
  fib_nh_upper_bound = 0
  last_probe = 0
  /** of the one processor */
  rt6i_pcpu: rt6_info | null = null
  /** routes with an MTU or a router of their own, by destination; null while there are none */
  rt6i_exception_bucket: rt6_exception[] | null = null
}

export interface rt6_exception {
  rt6i: rt6_info
  stamp: number
}

/** struct fib6_info: a route in a table */
export class fib6_info {
  fib6_table!: fib6_table
  fib6_next: fib6_info | null = null
  fib6_node: fib6_node | null = null
  fib6_siblings: fib6_info[] = []
  fib6_ref = 1
  expires = 0
  fib6_metrics!: dst_metrics
  fib6_dst: rt6key = new rt6key()
  fib6_src: rt6key = new rt6key()
  fib6_prefsrc: rt6key = new rt6key()
  fib6_flags = 0
  fib6_metric = 0
  fib6_protocol = 0
  fib6_type = 0
  dst_nocount = false
  dst_nopolicy = false
  fib6_destroying = false
  readonly fib6_nh: fib6_nh = new fib6_nh()

  get fib6_pmtu(): number {
    return this.fib6_metrics.metrics[1] ?? 0
  }
  get fib6_nsiblings(): number {
    return this.fib6_siblings.length
  }
}

/** struct fib6_node: the routes to one prefix. Linux has a radix tree of them; here the table keeps them by prefix length. */
export class fib6_node {
  leaf: fib6_info | null = null
  fn_bit = 0
  fn_flags = 0
  fn_sernum = 0
  rr_ptr: fib6_info | null = null
  readonly addr: in6_addr

  constructor(addr: in6_addr, fn_bit: number) {
    this.addr = addr
    this.fn_bit = fn_bit
  }
}

/** struct fib6_table */
export class fib6_table {
  readonly tb6_id: number
  readonly tb6_lock: spinlock_t = new spinlock_t()
  readonly tb6_root: fib6_node = new fib6_node(in6addr_any, 0)
  /** all but the root, longest prefix first */
  nodes: fib6_node[] = []

  constructor(id: number) {
    this.tb6_id = id
  }
}

/** struct rt6_info: a route that packets can use */
export class rt6_info extends dst_entry {
  from: fib6_info | null = null
  sernum = 0
  rt6i_dst: rt6key = new rt6key()
  rt6i_src: rt6key = new rt6key()
  rt6i_gateway: in6_addr = new Uint8Array(16)
  rt6i_idev: inet6_dev | null = null
  rt6i_flags = 0
  rt6i_nfheader_len = 0
}

/** struct fib6_result */
export class fib6_result {
  nh!: fib6_nh
  f6i: fib6_info | null = null
  fib6_flags = 0
  fib6_type = 0
}

/** struct fib6_config: what a program says of a route */
export class fib6_config {
  fc_table = 0
  fc_metric = 0
  fc_dst_len = 0
  fc_src_len = 0
  fc_ifindex = 0
  fc_flags = 0
  fc_protocol = 0
  fc_type = 0
  fc_ignore_dev_down = false
  fc_dst: in6_addr = new Uint8Array(16)
  fc_src: in6_addr = new Uint8Array(16)
  fc_prefsrc: in6_addr = new Uint8Array(16)
  fc_prefsrc_set = false
  fc_gateway: in6_addr = new Uint8Array(16)
  /** RTAX_* values, [RTAX_x - 1] */
  fc_mx: number[] | null = null
  fc_nl_net!: net
  /** NLM_F_* */
  fc_nlflags = 0
}

export const dst_rt6_info = (dst: dst_entry): rt6_info => dst as rt6_info
export const ip6_dst_idev = (dst: dst_entry | null): inet6_dev | null => (dst as rt6_info | null)?.rt6i_idev ?? null
