import { kfunc } from '../../../trace/kfunc.ts'
import { IPV6_ADDR_LINKLOCAL, type in6_addr } from '../../include/linux/in6.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { ipv6_addr_type } from './addrconf_core.ts'

// Nobody joins an anycast address here (IPV6_JOIN_ANYCAST, a router's subnet address): it is asked, and the answer is no.

const ipv6_chk_acast_dev = kfunc('ipv6_chk_acast_dev', (_dev: net_device, _addr: in6_addr): boolean => false)

/** whether an address is an anycast address of the device, or of any when there is none */
export const ipv6_chk_acast_addr = kfunc('ipv6_chk_acast_addr', (_net: net, dev: net_device | null, addr: in6_addr): boolean => {
  rcu_read_lock()
  const found = dev !== null && ipv6_chk_acast_dev(dev, addr)
  rcu_read_unlock()
  return found
})

/** the same for an address that is to be sent from: only one of the link belongs to the device alone */
export const ipv6_chk_acast_addr_src = kfunc('ipv6_chk_acast_addr_src', (net: net, dev: net_device, addr: in6_addr): boolean =>
  ipv6_chk_acast_addr(net, ipv6_addr_type(addr) & IPV6_ADDR_LINKLOCAL ? dev : null, addr),
)
