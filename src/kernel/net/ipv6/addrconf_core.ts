import { kfunc } from '../../../trace/kfunc.ts'
import {
  IPV6_ADDR_ANY,
  IPV6_ADDR_COMPATv4,
  IPV6_ADDR_LINKLOCAL,
  IPV6_ADDR_LOOPBACK,
  IPV6_ADDR_MAPPED,
  IPV6_ADDR_MC_SCOPE,
  IPV6_ADDR_MULTICAST,
  IPV6_ADDR_SCOPE_GLOBAL,
  IPV6_ADDR_SCOPE_LINKLOCAL,
  IPV6_ADDR_SCOPE_NODELOCAL,
  IPV6_ADDR_SCOPE_SITELOCAL,
  IPV6_ADDR_SITELOCAL,
  IPV6_ADDR_UNICAST,
  type in6_addr,
  s6_addr32,
} from '../../include/linux/in6.ts'

// What serves both families, so that it is always there.

const SCOPE = (scope: number): number => scope << 16

function ipv6_addr_scope2type(scope: number): number {
  switch (scope) {
    case IPV6_ADDR_SCOPE_NODELOCAL:
      return SCOPE(scope) | IPV6_ADDR_LOOPBACK
    case IPV6_ADDR_SCOPE_LINKLOCAL:
      return SCOPE(scope) | IPV6_ADDR_LINKLOCAL
    case IPV6_ADDR_SCOPE_SITELOCAL:
      return SCOPE(scope) | IPV6_ADDR_SITELOCAL
  }
  return SCOPE(scope)
}

/** kind (IPV6_ADDR_*) and, above 16 bits, scope of an address */
export const __ipv6_addr_type = kfunc('__ipv6_addr_type', (addr: in6_addr): number => {
  const first = addr[0] as number
  const top = first >> 5
  if (top !== 0 && top !== 7) return IPV6_ADDR_UNICAST | SCOPE(IPV6_ADDR_SCOPE_GLOBAL)
  if (first === 0xff) return IPV6_ADDR_MULTICAST | ipv6_addr_scope2type(IPV6_ADDR_MC_SCOPE(addr))
  const second = (addr[1] as number) & 0xc0
  if (first === 0xfe && second === 0x80) return IPV6_ADDR_LINKLOCAL | IPV6_ADDR_UNICAST | SCOPE(IPV6_ADDR_SCOPE_LINKLOCAL)
  if (first === 0xfe && second === 0xc0) return IPV6_ADDR_SITELOCAL | IPV6_ADDR_UNICAST | SCOPE(IPV6_ADDR_SCOPE_SITELOCAL)
  if ((first & 0xfe) === 0xfc) return IPV6_ADDR_UNICAST | SCOPE(IPV6_ADDR_SCOPE_GLOBAL)
  if ((s6_addr32(addr, 0) | s6_addr32(addr, 1)) === 0) {
    const third = s6_addr32(addr, 2)
    const last = s6_addr32(addr, 3)
    if (third === 0) {
      if (last === 0) return IPV6_ADDR_ANY
      if (last === 1) return IPV6_ADDR_LOOPBACK | IPV6_ADDR_UNICAST | SCOPE(IPV6_ADDR_SCOPE_LINKLOCAL)
      return IPV6_ADDR_COMPATv4 | IPV6_ADDR_UNICAST | SCOPE(IPV6_ADDR_SCOPE_GLOBAL)
    }
    if (third === 0xffff) return IPV6_ADDR_MAPPED | SCOPE(IPV6_ADDR_SCOPE_GLOBAL)
  }
  return IPV6_ADDR_UNICAST | SCOPE(IPV6_ADDR_SCOPE_GLOBAL)
})

export const ipv6_addr_type = kfunc('ipv6_addr_type', (addr: in6_addr): number => __ipv6_addr_type(addr) & 0xffff)
export const __ipv6_addr_src_scope = (type: number): number => (type === IPV6_ADDR_ANY ? -1 : type >> 16)
export const __ipv6_addr_needs_scope_id = (type: number): boolean =>
  (type & IPV6_ADDR_LINKLOCAL) !== 0 ||
  ((type & IPV6_ADDR_MULTICAST) !== 0 && (type & (IPV6_ADDR_LOOPBACK | IPV6_ADDR_LINKLOCAL)) !== 0)
export const ipv6_iface_scope_id = kfunc('ipv6_iface_scope_id', (addr: in6_addr, iface: number): number =>
  __ipv6_addr_needs_scope_id(__ipv6_addr_type(addr)) ? iface : 0,
)
