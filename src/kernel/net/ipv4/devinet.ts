import { kfunc } from '../../../trace/kfunc.ts'
import {
  ETH_P_ARP,
  IFF_LOOPBACK,
  IFF_UP,
  NETDEV_CHANGEADDR,
  NETDEV_CHANGEMTU,
  NETDEV_CHANGENAME,
  NETDEV_DOWN,
  NETDEV_NOTIFY_PEERS,
  NETDEV_POST_TYPE_CHANGE,
  NETDEV_PRE_TYPE_CHANGE,
  NETDEV_REGISTER,
  NETDEV_UNREGISTER,
  NETDEV_UP,
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RTN_LOCAL,
} from '../../include/generated/enums.ts'
import { EADDRNOTAVAIL, EEXIST, EINVAL, ENOBUFS, ENODEV } from '../../include/linux/errno.ts'
import { ARPOP_REQUEST } from '../../include/linux/if_arp.ts'
import { INADDR_LOOPBACK, inet_make_mask, ipv4_is_loopback } from '../../include/linux/in.ts'
import {
  __in_dev_get_rcu,
  __in_dev_get_rtnl,
  IN_DEV_CONF_SET,
  IN_DEV_MAXCONF,
  IN_DEV_ORCONF,
  IPV4_DEVCONF_ACCEPT_REDIRECTS,
  IPV4_DEVCONF_ACCEPT_SOURCE_ROUTE,
  IPV4_DEVCONF_ARP_EVICT_NOCARRIER,
  IPV4_DEVCONF_ARP_NOTIFY,
  IPV4_DEVCONF_IGMPV2_UNSOLICITED_REPORT_INTERVAL,
  IPV4_DEVCONF_IGMPV3_UNSOLICITED_REPORT_INTERVAL,
  IPV4_DEVCONF_IGNORE_ROUTES_WITH_LINKDOWN,
  IPV4_DEVCONF_NOPOLICY,
  IPV4_DEVCONF_NOXFRM,
  IPV4_DEVCONF_PROMOTE_SECONDARIES,
  IPV4_DEVCONF_ROUTE_LOCALNET,
  IPV4_DEVCONF_SECURE_REDIRECTS,
  IPV4_DEVCONF_SEND_REDIRECTS,
  IPV4_DEVCONF_SHARED_MEDIA,
  in_device,
  in_ifaddr,
  inet_ifa_match,
  ipv4_devconf,
} from '../../include/linux/inetdevice.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import { NL_SET_ERR_MSG } from '../../include/linux/netlink.ts'
import { IFA_F_PERMANENT, IFA_F_SECONDARY, RT_TABLE_LOCAL } from '../../include/linux/rtnetlink.ts'
import { GFP_KERNEL, GFP_KERNEL_ACCOUNT } from '../../include/linux/slab.ts'
import { flowi4 } from '../../include/net/flow.ts'
import { IPV4_MIN_MTU } from '../../include/net/ip.ts'
import { FIB_LOOKUP_NOREF, FIB_RES_DEV, fib_result } from '../../include/net/ip_fib.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { call_rcu, call_rcu_hurry, rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { jiffies } from '../../kernel/time/timer.ts'
import { kfree, kzalloc } from '../../mm/slub.ts'
import {
  dev_get_by_index_rcu,
  dev_hold,
  dev_put,
  netdev_notifier_info_to_dev,
  type notifier_block,
  register_netdevice_notifier,
} from '../core/dev.ts'
import { neigh_parms_alloc, neigh_parms_release } from '../core/neighbour.ts'
import { init_net, register_pernet_subsys } from '../core/net_namespace.ts'
import { l3mdev_master_ifindex_rcu } from '../l3mdev/l3mdev.ts'
import { arp_ifdown, arp_send, arp_tbl } from './arp.ts'
import { fib_add_ifaddr, fib_del_ifaddr, fib_get_table } from './fib_frontend.ts'
import { fib_table_lookup } from './fib_trie.ts'
import { ip_mc_destroy_dev, ip_mc_down, ip_mc_init_dev, ip_mc_remap, ip_mc_unmap, ip_mc_up } from './igmp.ts'

const NOTIFY_DONE = 0
const INFINITY_LIFE_TIME = 0xffffffff

/** addresses of all namespaces, by address; the newest first */
let inet_addr_lst: Map<number, in_ifaddr[]>
let inetaddr_chain: notifier_block[]

export const inetdev_valid_mtu = (mtu: number): boolean => mtu >= IPV4_MIN_MTU

// include/linux/inetdevice.h

export const ip_ignore_linkdown = kfunc('ip_ignore_linkdown', (dev: net_device): boolean => {
  const in_dev = __in_dev_get_rcu(dev)
  return in_dev !== null && IN_DEV_ORCONF(in_dev, IPV4_DEVCONF_IGNORE_ROUTES_WITH_LINKDOWN)
})
export const in_dev_get = kfunc('in_dev_get', (dev: net_device): in_device | null => {
  rcu_read_lock()
  const in_dev = __in_dev_get_rcu(dev)
  if (in_dev !== null) in_dev.refcnt++
  rcu_read_unlock()
  return in_dev
})
export const in_dev_put = kfunc('in_dev_put', (idev: in_device): void => {
  if (--idev.refcnt === 0) in_dev_finish_destroy(idev)
})
export const ip_dev_find = kfunc('ip_dev_find', (n: net, addr: number): net_device | null => __ip_dev_find(n, addr, true))

// net/ipv4/devinet.c

function inet_hash_insert(ifa: in_ifaddr): void {
  const list = inet_addr_lst.get(ifa.ifa_local)
  if (list === undefined) inet_addr_lst.set(ifa.ifa_local, [ifa])
  else list.unshift(ifa)
  ifa.hashed = true
}

function inet_hash_remove(ifa: in_ifaddr): void {
  const list = inet_addr_lst.get(ifa.ifa_local)
  const i = list?.indexOf(ifa) ?? -1
  if (list !== undefined && i >= 0) {
    list.splice(i, 1)
    if (list.length === 0) inet_addr_lst.delete(ifa.ifa_local)
  }
  ifa.hashed = false
}

/** the device that has an address, or a local subnet around it */
export const __ip_dev_find = kfunc('__ip_dev_find', (n: net, addr: number, devref: boolean): net_device | null => {
  let result: net_device | null = null
  rcu_read_lock()
  const ifa = inet_lookup_ifaddr_rcu(n, addr)
  if (ifa === null) {
    const fl4 = new flowi4()
    fl4.daddr = addr
    const res = new fib_result()
    const local = fib_get_table(n, RT_TABLE_LOCAL)
    if (local !== null && !fib_table_lookup(local, fl4, res, FIB_LOOKUP_NOREF) && res.type === RTN_LOCAL)
      result = FIB_RES_DEV(res)
  } else result = ifa.ifa_dev.dev
  if (result !== null && devref) dev_hold(result)
  rcu_read_unlock()
  return result
})

export const inet_lookup_ifaddr_rcu = kfunc('inet_lookup_ifaddr_rcu', (n: net, addr: number): in_ifaddr | null => {
  const list = inet_addr_lst.get(addr)
  if (list !== undefined) for (const ifa of list) if (ifa.ifa_dev.dev.nd_net === n) return ifa
  return null
})

const inet_alloc_ifa = kfunc('inet_alloc_ifa', (in_dev: in_device): in_ifaddr => {
  kzalloc(120, GFP_KERNEL_ACCOUNT)
  const ifa = new in_ifaddr()
  in_dev.refcnt++
  ifa.ifa_dev = in_dev
  return ifa
})

const inet_rcu_free_ifa = kfunc('inet_rcu_free_ifa', (ifa: in_ifaddr): void => {
  in_dev_put(ifa.ifa_dev)
  kfree(ifa)
})
const inet_free_ifa = kfunc('inet_free_ifa', (ifa: in_ifaddr): void => call_rcu_hurry(ifa, inet_rcu_free_ifa))

const in_dev_free_rcu = kfunc('in_dev_free_rcu', (idev: in_device): void => kfree(idev))

export const in_dev_finish_destroy = kfunc('in_dev_finish_destroy', (idev: in_device): void => {
  dev_put(idev.dev)
  if (idev.dead) call_rcu(idev, in_dev_free_rcu)
})

const inetdev_init = kfunc('inetdev_init', (dev: net_device): in_device => {
  kzalloc(408, GFP_KERNEL)
  const in_dev = new in_device(dev)
  in_dev.cnf.copy_from(dev.nd_net.ipv4.devconf_dflt)
  const parms = neigh_parms_alloc(dev, arp_tbl)
  if (parms !== null) in_dev.arp_parms = parms
  dev_hold(dev)
  in_dev.refcnt = 1
  ip_mc_init_dev(in_dev)
  if (dev.flags & IFF_UP) ip_mc_up(in_dev)
  dev.ip_ptr = in_dev
  return in_dev
})

const inetdev_destroy = kfunc('inetdev_destroy', (in_dev: in_device): void => {
  const { dev } = in_dev
  in_dev.dead = 1
  ip_mc_destroy_dev(in_dev)
  for (let ifa = in_dev.ifa_list; ifa !== null; ifa = in_dev.ifa_list) {
    inet_del_ifa(in_dev, ifa, false)
    inet_free_ifa(ifa)
  }
  dev.ip_ptr = null
  neigh_parms_release(arp_tbl, in_dev.arp_parms)
  arp_ifdown(dev)
  in_dev_put(in_dev)
})

/** whether `a`, and `b` if it is not 0, lie in one subnet of the device */
export const inet_addr_onlink = kfunc('inet_addr_onlink', (in_dev: in_device, a: number, b: number): number => {
  rcu_read_lock()
  let found = 0
  for (let ifa = in_dev.ifa_list; ifa !== null; ifa = ifa.ifa_next)
    if (inet_ifa_match(a, ifa) && (!b || inet_ifa_match(b, ifa))) {
      found = 1
      break
    }
  rcu_read_unlock()
  return found
})

function notify(event: number, ifa: in_ifaddr): void {
  for (const nb of [...inetaddr_chain]) nb.notifier_call(nb, event, ifa)
}

const same_subnet = (a: in_ifaddr, b: in_ifaddr): boolean => a.ifa_mask === b.ifa_mask && inet_ifa_match(a.ifa_address, b)

/** a primary address takes its secondaries with it, unless one of them may take its place */
const __inet_del_ifa = kfunc('__inet_del_ifa', (in_dev: in_device, ifa1: in_ifaddr, destroy: boolean): void => {
  let list: in_ifaddr[] = []
  const relink = (): void => {
    in_dev.ifa_list = list[0] ?? null
    list.forEach((ifa, i) => {
      ifa.ifa_next = list[i + 1] ?? null
    })
  }
  for (let ifa = in_dev.ifa_list; ifa !== null; ifa = ifa.ifa_next) list.push(ifa)
  const secondaries =
    in_dev.dead || ifa1.ifa_flags & IFA_F_SECONDARY
      ? []
      : list.slice(list.indexOf(ifa1) + 1).filter((ifa) => ifa.ifa_flags & IFA_F_SECONDARY && same_subnet(ifa1, ifa))
  const promote = IN_DEV_ORCONF(in_dev, IPV4_DEVCONF_PROMOTE_SECONDARIES) ? secondaries[0] : undefined
  if (promote === undefined)
    for (const ifa of secondaries) {
      inet_hash_remove(ifa)
      list = list.filter((x) => x !== ifa)
      relink()
      notify(NETDEV_DOWN, ifa)
      inet_free_ifa(ifa)
    }
  else for (const ifa of secondaries) fib_del_ifaddr(ifa, ifa1)
  list = list.filter((x) => x !== ifa1)
  relink()
  inet_hash_remove(ifa1)
  notify(NETDEV_DOWN, ifa1)
  if (promote !== undefined) {
    // it moves in behind the last primary of its scope
    list = list.filter((x) => x !== promote)
    let at = 0
    list.forEach((x, i) => {
      if (!(x.ifa_flags & IFA_F_SECONDARY) && ifa1.ifa_scope <= x.ifa_scope) at = i + 1
    })
    list.splice(at, 0, promote)
    relink()
    promote.ifa_flags &= ~IFA_F_SECONDARY
    notify(NETDEV_UP, promote)
    for (const ifa of secondaries) if (ifa !== promote) fib_add_ifaddr(ifa)
  }
  if (destroy) inet_free_ifa(ifa1)
})

const inet_del_ifa = kfunc('inet_del_ifa', (in_dev: in_device, ifa: in_ifaddr, destroy: boolean): void =>
  __inet_del_ifa(in_dev, ifa, destroy),
)

const __inet_insert_ifa = kfunc('__inet_insert_ifa', (ifa: in_ifaddr): number => {
  const in_dev = ifa.ifa_dev
  if (!ifa.ifa_local) {
    inet_free_ifa(ifa)
    return 0
  }
  ifa.ifa_flags &= ~IFA_F_SECONDARY
  let last_primary: in_ifaddr | null = null
  let last: in_ifaddr | null = null
  for (let ifa1 = in_dev.ifa_list; ifa1 !== null; ifa1 = ifa1.ifa_next) {
    if (!(ifa1.ifa_flags & IFA_F_SECONDARY) && ifa.ifa_scope <= ifa1.ifa_scope) last_primary = ifa1
    if (ifa1.ifa_mask === ifa.ifa_mask && inet_ifa_match(ifa1.ifa_address, ifa)) {
      if (ifa1.ifa_local === ifa.ifa_local) {
        inet_free_ifa(ifa)
        return -EEXIST
      }
      if (ifa1.ifa_scope !== ifa.ifa_scope) {
        NL_SET_ERR_MSG(null, 'ipv4: Invalid scope value')
        inet_free_ifa(ifa)
        return -EINVAL
      }
      ifa.ifa_flags |= IFA_F_SECONDARY
    }
    last = ifa1
  }
  const after = ifa.ifa_flags & IFA_F_SECONDARY ? last : last_primary
  if (after === null) {
    ifa.ifa_next = in_dev.ifa_list
    in_dev.ifa_list = ifa
  } else {
    ifa.ifa_next = after.ifa_next
    after.ifa_next = ifa
  }
  inet_hash_insert(ifa)
  notify(NETDEV_UP, ifa)
  return 0
})

const inet_insert_ifa = kfunc('inet_insert_ifa', (ifa: in_ifaddr): number => __inet_insert_ifa(ifa))

/** `ip addr add`: inet_rtm_newaddr behind its message. `broadcast` 0 for none. 0, -EEXIST, -EINVAL or -ENODEV. */
export function inet_add_addr(
  dev: net_device,
  local: number,
  prefixlen: number,
  broadcast: number,
  peer: number,
  scope: number,
): number {
  const in_dev = __in_dev_get_rtnl(dev)
  if (prefixlen > 32) {
    NL_SET_ERR_MSG(null, 'ipv4: Invalid prefix length')
    return -EINVAL
  }
  if (in_dev === null) return -ENOBUFS
  for (let ifa = in_dev.ifa_list; ifa !== null; ifa = ifa.ifa_next)
    if (ifa.ifa_local === local && ifa.ifa_prefixlen === prefixlen && inet_ifa_match(peer || local, ifa)) {
      NL_SET_ERR_MSG(null, 'ipv4: Address already assigned')
      return -EEXIST
    }
  const ifa = inet_alloc_ifa(in_dev)
  in_dev.cnf.state.fill(1)
  ifa.ifa_prefixlen = prefixlen
  ifa.ifa_mask = inet_make_mask(prefixlen)
  ifa.ifa_flags = IFA_F_PERMANENT
  ifa.ifa_scope = ipv4_is_loopback(local) ? RT_SCOPE_HOST : scope
  ifa.ifa_local = local
  ifa.ifa_address = peer || local
  ifa.ifa_broadcast = broadcast
  ifa.ifa_label = dev.name
  ifa.ifa_cstamp = jiffies()
  ifa.ifa_tstamp = ifa.ifa_cstamp
  ifa.ifa_valid_lft = INFINITY_LIFE_TIME
  ifa.ifa_preferred_lft = INFINITY_LIFE_TIME
  return __inet_insert_ifa(ifa)
}

/** `ip addr del`; -EADDRNOTAVAIL when the device has no such address */
export function inet_del_addr(dev: net_device, local: number, prefixlen: number): number {
  const in_dev = __in_dev_get_rtnl(dev)
  if (in_dev === null) return -ENODEV
  for (let ifa = in_dev.ifa_list; ifa !== null; ifa = ifa.ifa_next)
    if (ifa.ifa_local === local && ifa.ifa_prefixlen === prefixlen) {
      __inet_del_ifa(in_dev, ifa, true)
      return 0
    }
  NL_SET_ERR_MSG(null, 'ipv4: Address not found')
  return -EADDRNOTAVAIL
}

export const inetdev_by_index = kfunc('inetdev_by_index', (n: net, ifindex: number): in_device | null => {
  rcu_read_lock()
  const dev = dev_get_by_index_rcu(n, ifindex)
  const in_dev = dev === null ? null : __in_dev_get_rcu(dev)
  rcu_read_unlock()
  return in_dev
})

export const inet_ifa_byprefix = kfunc(
  'inet_ifa_byprefix',
  (in_dev: in_device, prefix: number, mask: number): in_ifaddr | null => {
    for (let ifa = in_dev.ifa_list; ifa !== null; ifa = ifa.ifa_next)
      if (ifa.ifa_mask === mask && inet_ifa_match(prefix, ifa)) return ifa
    return null
  },
)

const in_dev_select_addr = kfunc('in_dev_select_addr', (in_dev: in_device, scope: number): number => {
  for (let ifa = in_dev.ifa_list; ifa !== null; ifa = ifa.ifa_next) {
    if (ifa.ifa_flags & IFA_F_SECONDARY) continue
    if (ifa.ifa_scope !== RT_SCOPE_LINK && ifa.ifa_scope <= scope) return ifa.ifa_local
  }
  return 0
})

/** a source address to reach `dst` by `dev`: from its subnet, else the first, else one of another device; 0 for none */
export const inet_select_addr = kfunc('inet_select_addr', (dev: net_device, dst: number, scope: number): number => {
  let addr = 0
  rcu_read_lock()
  const n = dev.nd_net
  const in_dev = __in_dev_get_rcu(dev)
  if (in_dev !== null) {
    const localnet_scope = IN_DEV_ORCONF(in_dev, IPV4_DEVCONF_ROUTE_LOCALNET) ? RT_SCOPE_LINK : RT_SCOPE_HOST
    for (let ifa = in_dev.ifa_list; ifa !== null; ifa = ifa.ifa_next) {
      if (ifa.ifa_flags & IFA_F_SECONDARY || Math.min(ifa.ifa_scope, localnet_scope) > scope) continue
      if (!dst || inet_ifa_match(dst, ifa)) {
        addr = ifa.ifa_local
        break
      }
      if (!addr) addr = ifa.ifa_local
    }
  }
  if (!addr) {
    const master_idx = l3mdev_master_ifindex_rcu(dev)
    const master = master_idx ? dev_get_by_index_rcu(n, master_idx) : null
    const master_in_dev = master === null ? null : __in_dev_get_rcu(master)
    if (master_in_dev !== null) addr = in_dev_select_addr(master_in_dev, scope)
    if (!addr)
      for (const other of n.dev_base_head) {
        if (l3mdev_master_ifindex_rcu(other) !== master_idx) continue
        const other_in_dev = __in_dev_get_rcu(other)
        if (other_in_dev === null) continue
        addr = in_dev_select_addr(other_in_dev, scope)
        if (addr) break
      }
  }
  rcu_read_unlock()
  return addr
})

const confirm_addr_indev = kfunc('confirm_addr_indev', (in_dev: in_device, dst: number, local: number, scope: number): number => {
  const localnet_scope = IN_DEV_ORCONF(in_dev, IPV4_DEVCONF_ROUTE_LOCALNET) ? RT_SCOPE_LINK : RT_SCOPE_HOST
  let addr = 0
  let same = false
  for (let ifa = in_dev.ifa_list; ifa !== null; ifa = ifa.ifa_next) {
    const min_scope = Math.min(ifa.ifa_scope, localnet_scope)
    if (!addr && (local === ifa.ifa_local || !local) && min_scope <= scope) {
      addr = ifa.ifa_local
      if (same) break
    }
    if (same) continue
    same = (!local || inet_ifa_match(local, ifa)) && (!dst || inet_ifa_match(dst, ifa))
    if (same && addr) {
      if (local || !dst || inet_ifa_match(addr, ifa)) break
      if (min_scope <= scope) {
        addr = ifa.ifa_local
        break
      }
      same = false
    }
  }
  return same ? addr : 0
})

export const inet_confirm_addr = kfunc(
  'inet_confirm_addr',
  (n: net, in_dev: in_device | null, dst: number, local: number, scope: number): number => {
    if (in_dev !== null) return confirm_addr_indev(in_dev, dst, local, scope)
    let addr = 0
    rcu_read_lock()
    for (const dev of n.dev_base_head) {
      const d = __in_dev_get_rcu(dev)
      if (d !== null) addr = confirm_addr_indev(d, dst, local, scope)
      if (addr) break
    }
    rcu_read_unlock()
    return addr
  },
)

export const register_inetaddr_notifier = kfunc('register_inetaddr_notifier', (nb: notifier_block): number => {
  inetaddr_chain.push(nb)
  return 0
})

const inetdev_send_gratuitous_arp = kfunc('inetdev_send_gratuitous_arp', (dev: net_device, in_dev: in_device): void => {
  for (let ifa = in_dev.ifa_list; ifa !== null; ifa = ifa.ifa_next)
    arp_send(ARPOP_REQUEST, ETH_P_ARP, ifa.ifa_local, dev, ifa.ifa_local, null, dev.dev_addr, null)
})

const inetdev_event = kfunc('inetdev_event', (_nb: notifier_block, event: number, ptr: unknown): number => {
  const dev = netdev_notifier_info_to_dev(ptr)
  const in_dev = __in_dev_get_rtnl(dev)
  if (in_dev === null) {
    if (event === NETDEV_REGISTER) {
      const fresh = inetdev_init(dev)
      if (dev.flags & IFF_LOOPBACK) {
        IN_DEV_CONF_SET(fresh, IPV4_DEVCONF_NOXFRM, 1)
        IN_DEV_CONF_SET(fresh, IPV4_DEVCONF_NOPOLICY, 1)
      }
    } else if (event === NETDEV_CHANGEMTU && inetdev_valid_mtu(dev.mtu)) inetdev_init(dev)
    return NOTIFY_DONE
  }
  const garp = (): void => inetdev_send_gratuitous_arp(dev, in_dev)
  switch (event) {
    case NETDEV_REGISTER:
      dev.ip_ptr = null
      break
    case NETDEV_UP:
      if (!inetdev_valid_mtu(dev.mtu)) break
      if (dev.flags & IFF_LOOPBACK) {
        const ifa = inet_alloc_ifa(in_dev)
        ifa.ifa_local = INADDR_LOOPBACK
        ifa.ifa_address = INADDR_LOOPBACK
        ifa.ifa_prefixlen = 8
        ifa.ifa_mask = inet_make_mask(8)
        ifa.ifa_scope = RT_SCOPE_HOST
        ifa.ifa_label = dev.name
        ifa.ifa_flags = IFA_F_PERMANENT
        ifa.ifa_valid_lft = INFINITY_LIFE_TIME
        ifa.ifa_preferred_lft = INFINITY_LIFE_TIME
        ifa.ifa_cstamp = jiffies()
        ifa.ifa_tstamp = ifa.ifa_cstamp
        in_dev.cnf.state.fill(1)
        inet_insert_ifa(ifa)
      }
      ip_mc_up(in_dev)
      if (IN_DEV_MAXCONF(in_dev, IPV4_DEVCONF_ARP_NOTIFY)) garp()
      break
    case NETDEV_CHANGEADDR:
      if (IN_DEV_MAXCONF(in_dev, IPV4_DEVCONF_ARP_NOTIFY)) garp()
      break
    case NETDEV_NOTIFY_PEERS:
      garp()
      break
    case NETDEV_DOWN:
      ip_mc_down(in_dev)
      break
    case NETDEV_PRE_TYPE_CHANGE:
      ip_mc_unmap(in_dev)
      break
    case NETDEV_POST_TYPE_CHANGE:
      ip_mc_remap(in_dev)
      break
    case NETDEV_CHANGEMTU:
      if (inetdev_valid_mtu(dev.mtu)) break
      inetdev_destroy(in_dev)
      break
    case NETDEV_UNREGISTER:
      inetdev_destroy(in_dev)
      break
    case NETDEV_CHANGENAME:
      for (let ifa = in_dev.ifa_list; ifa !== null; ifa = ifa.ifa_next) ifa.ifa_label = dev.name
      break
  }
  return NOTIFY_DONE
})

function compiled_devconf(source_route: number): ipv4_devconf {
  const c = new ipv4_devconf()
  c.data[IPV4_DEVCONF_ACCEPT_REDIRECTS] = 1
  c.data[IPV4_DEVCONF_SEND_REDIRECTS] = 1
  c.data[IPV4_DEVCONF_SECURE_REDIRECTS] = 1
  c.data[IPV4_DEVCONF_SHARED_MEDIA] = 1
  c.data[IPV4_DEVCONF_ACCEPT_SOURCE_ROUTE] = source_route
  c.data[IPV4_DEVCONF_IGMPV2_UNSOLICITED_REPORT_INTERVAL] = 10000
  c.data[IPV4_DEVCONF_IGMPV3_UNSOLICITED_REPORT_INTERVAL] = 1000
  c.data[IPV4_DEVCONF_ARP_EVICT_NOCARRIER] = 1
  return c
}

const devinet_init_net = kfunc('devinet_init_net', (n: net): number => {
  n.ipv4.devconf_all = compiled_devconf(0)
  n.ipv4.devconf_dflt = compiled_devconf(1)
  // a new namespace begins with the settings of the first
  if (n !== init_net && init_net.ipv4.devconf_all !== undefined) {
    n.ipv4.devconf_all.copy_from(init_net.ipv4.devconf_all)
    n.ipv4.devconf_dflt.copy_from(init_net.ipv4.devconf_dflt)
  }
  return 0
})

export const devinet_init = kfunc('devinet_init', (): void => {
  inet_addr_lst = new Map()
  inetaddr_chain = []
  register_pernet_subsys({ init: devinet_init_net })
  register_netdevice_notifier({ notifier_call: inetdev_event, priority: 0 })
})
