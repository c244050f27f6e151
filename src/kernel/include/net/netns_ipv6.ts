import { HZ } from '../generated/enums.ts'
import type { dst_ops } from './dst.ts'
import { type inet6_ifaddr, ipv6_devconf } from './if_inet6.ts'
import type { fqdir } from './inet_frag.ts'
import type { fib6_info, fib6_table, rt6_info } from './ip6_fib.ts'
import type { net } from './net_namespace.ts'
import type { sock } from './sock.ts'

/** include/net/netns/ipv6.h */
export class netns_ipv6 {
  readonly ip6_dst_ops: dst_ops = { family: 10, entries: 0 }
  readonly sysctl = {
    ip6_rt_mtu_expires: 10 * 60 * HZ,
    ip6_rt_min_advmss: 1280 - 20 - 40,
    bindv6only: 0,
    auto_flowlabels: 1,
    flowlabel_consistency: 1,
    flowlabel_state_ranges: 0,
    flowlabel_reflect: 0,
    icmpv6_time: HZ,
    icmpv6_echo_ignore_all: 0,
    icmpv6_echo_ignore_multicast: 0,
    fwmark_reflect: 0,
    ip_nonlocal_bind: 0,
    multipath_hash_policy: 0,
    skip_notify_on_dev_down: 0,
  }
  devconf_all: ipv6_devconf = new ipv6_devconf()
  devconf_dflt: ipv6_devconf = new ipv6_devconf()
  fib6_null_entry!: fib6_info
  ip6_null_entry!: rt6_info
  ip6_prohibit_entry!: rt6_info
  ip6_blk_hole_entry!: rt6_info
  fib6_main_tbl!: fib6_table
  fib6_local_tbl!: fib6_table
  readonly tables: Map<number, fib6_table> = new Map<number, fib6_table>()
  fib6_has_custom_rules = false
  fib6_rules_require_fldissect = 0
  fib6_sernum = 1
  rt_genid = 1
  /** addresses of all devices */
  inet6_addr_lst: inet6_ifaddr[] = []
  ndisc_sk: sock | null = null
  tcp_sk: sock | null = null
  igmp_sk: sock | null = null
  fqdir: fqdir | null = null
  /** counters: /proc/net/snmp6 */
  readonly mib = {
    ip6: new Map<string, number>(),
    icmp6: new Map<string, number>(),
    udp6: new Map<string, number>(),
  }
}

export const net_ipv6 = (n: net): netns_ipv6 => n.ipv6 as netns_ipv6

export function IP6_ADD_STATS(n: net, name: string, v: number): void {
  const { ip6 } = net_ipv6(n).mib
  ip6.set(name, (ip6.get(name) ?? 0) + v)
}
export const IP6_INC_STATS = (n: net, name: string): void => IP6_ADD_STATS(n, name, 1)
export function IP6_UPD_PO_STATS(n: net, name: string, len: number): void {
  IP6_ADD_STATS(n, PKTS[name] ?? name, 1)
  IP6_ADD_STATS(n, `${name}Octets`, len)
}
const PKTS: Readonly<Record<string, string>> = {
  InMcast: 'InMcastPkts',
  OutMcast: 'OutMcastPkts',
  In: 'InReceives',
  Out: 'OutTransmits',
}
export function ICMP6_INC_STATS(n: net, name: string): void {
  const { icmp6 } = net_ipv6(n).mib
  icmp6.set(name, (icmp6.get(name) ?? 0) + 1)
}
export function UDP6_INC_STATS(n: net, name: string): void {
  const { udp6 } = net_ipv6(n).mib
  udp6.set(name, (udp6.get(name) ?? 0) + 1)
}
