import type { net_device } from '../linux/netdevice.ts'
import type { dst_metrics } from './dst.ts'
import type { net } from './net_namespace.ts'
import type { rtable } from './route.ts'

export const FNHE_HASH_SHIFT = 11
export const FNHE_HASH_SIZE = 1 << FNHE_HASH_SHIFT
export const FNHE_RECLAIM_DEPTH = 5
export const FIB_LOOKUP_NOREF = 1
export const FIB_LOOKUP_IGNORE_LINKSTATE = 2

/** struct fib_config: a route to add or delete, from netlink, ioctl or the kernel itself */
export class fib_config {
  fc_dst_len = 0
  fc_dscp = 0
  fc_protocol = 0
  fc_scope = 0
  fc_type = 0
  fc_gw_family = 0
  fc_table = 0
  fc_dst = 0
  fc_gw4 = 0
  fc_oif = 0
  fc_flags = 0
  fc_priority = 0
  fc_prefsrc = 0
  fc_nh_id = 0
  /** RTAX_* values by number (index 0 is RTAX_MTU's place 1): null for none */
  fc_mx: Map<number, number> | null = null
  fc_mp: { rtnh_ifindex: number; rtnh_hops: number; rtnh_flags: number; gw4: number; flow: number }[] | null = null
  fc_flow = 0
  fc_nlflags = 0
  fc_net!: net
  fc_encap_type = 0
}

/** struct fib_nh_exception: what was learnt of one destination behind a next hop */
export interface fib_nh_exception {
  fnhe_next: fib_nh_exception | null
  fnhe_genid: number
  fnhe_daddr: number
  fnhe_pmtu: number
  fnhe_mtu_locked: boolean
  fnhe_gw: number
  /** jiffies; 0: never */
  fnhe_expires: number
  fnhe_rth_input: rtable | null
  fnhe_rth_output: rtable | null
  fnhe_stamp: number
}

/** struct fib_nh with its struct fib_nh_common */
export class fib_nh_common {
  nhc_dev: net_device | null = null
  nhc_oif = 0
  nhc_scope = 0
  nhc_family = 0
  nhc_gw_family = 0
  nhc_flags = 0
  nhc_lwtstate: unknown = null
  /** nhc_gw.ipv4 */
  nhc_gw4 = 0
  nhc_weight = 1
  nhc_upper_bound = 0
  nhc_pcpu_rth_output: rtable | null = null
  nhc_rth_input: rtable | null = null
  nhc_exceptions: (fib_nh_exception | null)[] | null = null

  // struct fib_nh
  nh_parent!: fib_info
  nh_tclassid = 0
  nh_saddr = 0
  nh_saddr_genid = 0
}
export { fib_nh_common as fib_nh }

/** struct fib_info: what routes to the same place have in common */
export class fib_info {
  fib_net!: net
  fib_treeref = 0
  fib_clntref = 0
  fib_flags = 0
  fib_dead = 0
  fib_protocol = 0
  fib_scope = 0
  fib_type = 0
  fib_prefsrc = 0
  fib_tb_id = 0
  fib_priority = 0
  fib_metrics!: dst_metrics
  fib_nhs = 0
  nh_updated = false
  pfsrc_removed = false
  readonly fib_nh: fib_nh_common[] = []
}

/** struct fib_result: what a look-up found */
export class fib_result {
  prefix = 0
  prefixlen = 0
  nh_sel = 0
  type = 0
  scope = 0
  tclassid = 0
  dscp = 0
  nhc: fib_nh_common | null = null
  fi: fib_info | null = null
  table: fib_table | null = null
  /** the other routes to the same prefix: alias list of the leaf */
  fa_head: fib_alias[] | null = null
}

/** net/ipv4/fib_lookup.h struct fib_alias: one route of a leaf, sorted by prefix length, table, DSCP and priority */
export class fib_alias {
  fa_info!: fib_info
  fa_dscp = 0
  fa_type = 0
  fa_state = 0
  fa_slen = 0
  tb_id = 0
  fa_default = -1
  offload = 0
  trap = 0
  offload_failed = 0
}

/** struct fib_table. `tb_data` is the trie: the local and the main table may share one. */
export class fib_table {
  tb_id = 0
  tb_num_default = 0
  tb_data!: unknown
}

export const FIB_RES_DEV = (res: fib_result): net_device | null => res.nhc?.nhc_dev ?? null
export const FIB_RES_OIF = (res: fib_result): number => res.nhc?.nhc_oif ?? 0
