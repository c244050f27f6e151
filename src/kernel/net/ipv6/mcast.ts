import { kfunc } from '../../../trace/kfunc.ts'
import { ARPHRD_ETHER } from '../../include/generated/enums.ts'
import { EINVAL, ENOENT } from '../../include/linux/errno.ts'
import { ARPHRD_FDDI, ARPHRD_IEEE802 } from '../../include/linux/if_arp.ts'
import { type in6_addr, ipv6_addr_equal } from '../../include/linux/in6.ts'
import { INET_FLAGS_MC6_ALL } from '../../include/linux/ipv6.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import { __in6_dev_get } from '../../include/net/addrconf.ts'
import type { ifmcaddr6 } from '../../include/net/if_inet6.ts'
import { inet_test_bit } from '../../include/net/inet_sock.ts'
import type { sock } from '../../include/net/sock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
/** whether the device wants the group */
export const ipv6_chk_mcast_addr = kfunc(
  'ipv6_chk_mcast_addr',
  (dev: net_device, group: in6_addr, _src_addr: in6_addr | null): boolean => {
    rcu_read_lock()
    const idev = __in6_dev_get(dev)
    const found = idev?.mc_list.some((mc) => ipv6_addr_equal(mc.mca_addr, group)) ?? false
    rcu_read_unlock()
    return found
  },
)

const __ipv6_dev_mc_inc = kfunc('__ipv6_dev_mc_inc', (dev: net_device, addr: in6_addr): number => {
  const idev = __in6_dev_get(dev)
  if (idev === null) return -EINVAL
  const old = idev.mc_list.find((mc) => ipv6_addr_equal(mc.mca_addr, addr))
  if (old !== undefined) {
    old.mca_users++
    return 0
  }
  const mc: ifmcaddr6 = { mca_addr: addr.slice(), mca_users: 1 }
  idev.mc_list.unshift(mc)
  return 0
})

export const ipv6_dev_mc_inc = kfunc('ipv6_dev_mc_inc', (dev: net_device, addr: in6_addr): number => __ipv6_dev_mc_inc(dev, addr))

export const ipv6_dev_mc_dec = kfunc('ipv6_dev_mc_dec', (dev: net_device, addr: in6_addr): number => {
  const list = __in6_dev_get(dev)?.mc_list ?? []
  const at = list.findIndex((mc) => ipv6_addr_equal(mc.mca_addr, addr))
  const mc = list[at]
  if (mc === undefined) return -ENOENT
  if (--mc.mca_users === 0) list.splice(at, 1)
  return 0
})

// the cards here let the frames of all groups through: nothing is said to them

/** sockets join no groups themselves here: those of the device are everybody's */
export const inet6_mc_check = kfunc('inet6_mc_check', (sk: sock, _mc_addr: in6_addr, _src_addr: in6_addr): boolean =>
  inet_test_bit(INET_FLAGS_MC6_ALL, sk),
)
export const ipv6_sock_mc_close = kfunc('ipv6_sock_mc_close', (_sk: sock): void => {})
export const ipv6_sock_ac_close = kfunc('ipv6_sock_ac_close', (_sk: sock): void => {})

/** include/net/if_inet6.h and ndisc.h: the link address of a group */
export const ndisc_mc_map = kfunc('ndisc_mc_map', (addr: in6_addr, buf: Uint8Array, dev: net_device, dir: number): number => {
  if (dev.type === ARPHRD_ETHER || dev.type === ARPHRD_IEEE802 || dev.type === ARPHRD_FDDI) {
    buf[0] = 0x33
    buf[1] = 0x33
    buf.set(addr.subarray(12, 16), 2)
    return 0
  }
  if (!dir) return -EINVAL
  buf.set(dev.broadcast.subarray(0, dev.addr_len))
  return 0
})
