import { kfunc } from '../../../trace/kfunc.ts'
import {
  IPV6_ADDR_COMPATv4,
  IPV6_ADDR_LOOPBACK,
  IPV6_ADDR_MAPPED,
  in6,
  type in6_addr,
  in6addr_loopback,
  ipv6_prefix_equal,
} from '../../include/linux/in6.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'

// Addresses of one kind, by their label, go together: RFC 6724, 2.1. Nothing here changes the table, so it is one for all namespaces.

const IPV6_ADDR_LABEL_DEFAULT = 0xffffffff

/** struct ip6addrlbl_entry; `addrtype` 0: any */
interface ip6addrlbl_entry {
  readonly prefix: in6_addr
  readonly prefixlen: number
  readonly addrtype: number
  readonly label: number
}

const entry = (prefix: in6_addr, prefixlen: number, label: number, addrtype = 0): ip6addrlbl_entry => ({
  prefix,
  prefixlen,
  addrtype,
  label,
})

/** the longest prefix first */
const ip6addrlbl_table: readonly ip6addrlbl_entry[] = [
  entry(in6addr_loopback, 128, 0, IPV6_ADDR_LOOPBACK),
  entry(in6(), 96, 3, IPV6_ADDR_COMPATv4),
  entry(in6(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff), 96, 4, IPV6_ADDR_MAPPED),
  entry(in6(0x20, 0x01), 32, 6),
  entry(in6(0x20, 0x01, 0x00, 0x10), 28, 7),
  entry(in6(0x3f, 0xfe), 16, 12),
  entry(in6(0x20, 0x02), 16, 2),
  entry(in6(0xfe, 0xc0), 10, 11),
  entry(in6(0xfc), 7, 5),
  entry(in6(), 0, 1),
]

const __ip6addrlbl_match = kfunc(
  '__ip6addrlbl_match',
  (p: ip6addrlbl_entry, addr: in6_addr, addrtype: number, _ifindex: number): boolean =>
    (p.addrtype === 0 || p.addrtype === addrtype) && ipv6_prefix_equal(addr, p.prefix, p.prefixlen),
)

const __ipv6_addr_label = kfunc(
  '__ipv6_addr_label',
  (_net: net, addr: in6_addr, type: number, ifindex: number): ip6addrlbl_entry | null =>
    ip6addrlbl_table.find((p) => __ip6addrlbl_match(p, addr, type, ifindex)) ?? null,
)

/** the label of an address; `type` as __ipv6_addr_type() has it */
export const ipv6_addr_label = kfunc('ipv6_addr_label', (net: net, addr: in6_addr, type: number, ifindex: number): number => {
  rcu_read_lock()
  const p = __ipv6_addr_label(net, addr, type & (IPV6_ADDR_MAPPED | IPV6_ADDR_COMPATv4 | IPV6_ADDR_LOOPBACK), ifindex)
  rcu_read_unlock()
  return p === null ? IPV6_ADDR_LABEL_DEFAULT : p.label
})
