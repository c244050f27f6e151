import { kfunc } from '../../../trace/kfunc.ts'
import {
  IFF_LOOPBACK,
  IFF_LOWER_UP,
  IFF_RUNNING,
  IFF_UP,
  NETDEV_CHANGE,
  NETDEV_CHANGEMTU,
  NETDEV_CHANGEUPPER,
  NETDEV_DOWN,
  NETDEV_UNREGISTER,
  NETDEV_UP,
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_UNIVERSE,
  RTN_BROADCAST,
  RTN_LOCAL,
  RTN_MULTICAST,
  RTN_UNICAST,
  RTNH_F_DEAD,
  RTNH_F_LINKDOWN,
} from '../../include/generated/enums.ts'
import { EAGAIN, EINVAL, ENETUNREACH, ENODEV, ESRCH, EXDEV } from '../../include/linux/errno.ts'
import { ipv4_is_lbcast, ipv4_is_multicast, ipv4_is_zeronet } from '../../include/linux/in.ts'
import { RTCF_BROADCAST, RTCF_LOCAL, RTCF_MULTICAST } from '../../include/linux/in_route.ts'
import {
  __in_dev_get_rcu,
  __in_dev_get_rtnl,
  IN_DEV_MAXCONF,
  IN_DEV_ORCONF,
  IN_DEV_TX_REDIRECTS,
  IPV4_DEVCONF_ACCEPT_LOCAL,
  IPV4_DEVCONF_RP_FILTER,
  IPV4_DEVCONF_SRC_VMARK,
  type in_device,
  type in_ifaddr,
  inet_ifa_match,
} from '../../include/linux/inetdevice.ts'
import { INET_DSCP_MASK, ip_hdr } from '../../include/linux/ip.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import { NL_SET_ERR_MSG } from '../../include/linux/netlink.ts'
import {
  IFA_F_NOPREFIXROUTE,
  IFA_F_SECONDARY,
  NLM_F_APPEND,
  NLM_F_CREATE,
  RT_TABLE_DEFAULT,
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
  RTPROT_KERNEL,
} from '../../include/linux/rtnetlink.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import type { ref } from '../../include/linux/types.ts'
import { flowi4, LOOPBACK_IFINDEX } from '../../include/net/flow.ts'
import {
  FIB_LOOKUP_IGNORE_LINKSTATE,
  FIB_LOOKUP_NOREF,
  fib_config,
  type fib_info,
  type fib_nh_common,
  fib_result,
  type fib_table,
} from '../../include/net/ip_fib.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { type rtable, skb_rtable } from '../../include/net/route.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import {
  dev_get_flags,
  netdev_notifier_info_to_dev,
  netif_is_l3_master,
  type notifier_block,
  register_netdevice_notifier,
} from '../core/dev.ts'
import { register_pernet_subsys } from '../core/net_namespace.ts'
import { secpath_exists } from '../core/skbuff.ts'
import { sock_net_uid } from '../core/sock.ts'
import { l3mdev_fib_table, l3mdev_master_ifindex_rcu } from '../l3mdev/l3mdev.ts'
import { arp_ifdown, arp_invalidate } from './arp.ts'
import { inet_ifa_byprefix, inet_lookup_ifaddr_rcu, inet_select_addr, register_inetaddr_notifier } from './devinet.ts'
import {
  fib_info_nhc,
  fib_info_num_path,
  fib_result_prefsrc,
  fib_semantics_init,
  fib_sync_down_addr,
  fib_sync_down_dev,
  fib_sync_mtu,
  fib_sync_up,
  ip_fib_check_default,
} from './fib_semantics.ts'
import {
  fib_free_table,
  fib_table_delete,
  fib_table_flush,
  fib_table_flush_external,
  fib_table_insert,
  fib_table_lookup,
  fib_trie_init,
  fib_trie_table,
  fib_trie_unmerge,
} from './fib_trie.ts'
import { rt_cache_flush, rt_flush_dev } from './route.ts'

export { ip_fib_check_default }

const RTM_NEWROUTE = 24
const RTM_DELROUTE = 25
const NOTIFY_DONE = 0

const tables = (n: net): Map<number, fib_table> => n.ipv4.fib_table_hash as Map<number, fib_table>

export const fib_new_table = kfunc('fib_new_table', (n: net, id: number): fib_table | null => {
  const tb_id = id || RT_TABLE_MAIN
  const old = fib_get_table(n, tb_id)
  if (old !== null) return old
  const alias = tb_id === RT_TABLE_LOCAL && !n.ipv4.fib_has_custom_rules ? fib_new_table(n, RT_TABLE_MAIN) : null
  const tb = fib_trie_table(tb_id, alias)
  if (tb_id === RT_TABLE_MAIN) n.ipv4.fib_main = tb
  else if (tb_id === RT_TABLE_DEFAULT) n.ipv4.fib_default = tb
  tables(n).set(tb_id, tb)
  return tb
})

export const fib_get_table = kfunc(
  'fib_get_table',
  (n: net, id: number): fib_table | null => tables(n).get(id || RT_TABLE_MAIN) ?? null,
)

const fib_replace_table = kfunc('fib_replace_table', (n: net, _old: fib_table, new_tb: fib_table): void => {
  if (new_tb.tb_id === RT_TABLE_MAIN) n.ipv4.fib_main = new_tb
  else if (new_tb.tb_id === RT_TABLE_DEFAULT) n.ipv4.fib_default = new_tb
  tables(n).set(new_tb.tb_id, new_tb)
})

/** the local table leaves the main one's trie: from now on rules may come between them */
export const fib_unmerge = kfunc('fib_unmerge', (n: net): number => {
  const old = fib_get_table(n, RT_TABLE_LOCAL)
  if (old === null) return 0
  const new_tb = fib_trie_unmerge(old)
  if (new_tb === old) return 0
  fib_replace_table(n, old, new_tb)
  fib_free_table(old)
  const main_table = fib_get_table(n, RT_TABLE_MAIN)
  if (main_table !== null) fib_table_flush_external(main_table)
  return 0
})

export const fib_flush = kfunc('fib_flush', (n: net): void => {
  let flushed = 0
  for (const tb of tables(n).values()) flushed += fib_table_flush(n, tb, false)
  if (flushed) rt_cache_flush(n)
})

type rules_lookup = (n: net, flp: flowi4, res: fib_result, flags: number) => number
/** __fib_lookup(), for namespaces with rules of their own: net/ipv4/fib_rules.ts, loaded with the first of them */
let __fib_lookup: rules_lookup | null = null
export function fib_rules_register(lookup: rules_lookup): void {
  __fib_lookup = lookup
}

/** include/net/ip_fib.h. A namespace with rules of its own asks them first. */
export const fib_lookup = kfunc('fib_lookup', (n: net, flp: flowi4, res: fib_result, lookup_flags: number): number => {
  const flags = lookup_flags | FIB_LOOKUP_NOREF
  if (n.ipv4.fib_has_custom_rules && __fib_lookup !== null) return __fib_lookup(n, flp, res, flags)
  let err = -EAGAIN
  rcu_read_lock()
  res.tclassid = 0
  const main = n.ipv4.fib_main as fib_table | null
  if (main !== null) err = fib_table_lookup(main, flp, res, flags)
  if (err === -EAGAIN) {
    const dflt = n.ipv4.fib_default as fib_table | null
    if (dflt !== null) err = fib_table_lookup(dflt, flp, res, flags)
    if (err === -EAGAIN) err = -ENETUNREACH
  }
  rcu_read_unlock()
  return err
})

const __inet_dev_addr_type = kfunc(
  '__inet_dev_addr_type',
  (n: net, dev: net_device | null, addr: number, tb_id: number): number => {
    if (ipv4_is_zeronet(addr) || ipv4_is_lbcast(addr)) return RTN_BROADCAST
    if (ipv4_is_multicast(addr)) return RTN_MULTICAST
    let ret: number = RTN_BROADCAST
    rcu_read_lock()
    const table = fib_get_table(n, tb_id)
    if (table !== null) {
      ret = RTN_UNICAST
      const fl4 = new flowi4()
      fl4.daddr = addr
      const res = new fib_result()
      if (!fib_table_lookup(table, fl4, res, FIB_LOOKUP_NOREF)) {
        const nhc = fib_info_nhc(res.fi as fib_info, 0)
        if (dev === null || dev === nhc.nhc_dev) ret = res.type
      }
    }
    rcu_read_unlock()
    return ret
  },
)

export const inet_addr_type_table = kfunc('inet_addr_type_table', (n: net, addr: number, tb_id: number): number =>
  __inet_dev_addr_type(n, null, addr, tb_id),
)

/** what an address is to this host: RTN_LOCAL, RTN_UNICAST … */
export const inet_addr_type = kfunc('inet_addr_type', (n: net, addr: number): number =>
  __inet_dev_addr_type(n, null, addr, RT_TABLE_LOCAL),
)

export const inet_addr_type_dev_table = kfunc('inet_addr_type_dev_table', (n: net, dev: net_device, addr: number): number => {
  const rt_table = l3mdev_fib_table(dev) || RT_TABLE_LOCAL
  return __inet_dev_addr_type(n, null, addr, rt_table)
})

/** the address that an answer to `skb` would come from */
export const fib_compute_spec_dst = kfunc('fib_compute_spec_dst', (skb: sk_buff): number => {
  const dev = skb.dev as net_device
  const rt = skb_rtable(skb) as rtable
  const iph = ip_hdr(skb)
  if ((rt.rt_flags & (RTCF_BROADCAST | RTCF_MULTICAST | RTCF_LOCAL)) >>> 0 === RTCF_LOCAL) return iph.daddr
  const in_dev = __in_dev_get_rcu(dev)
  const n = dev.nd_net
  let scope: number = RT_SCOPE_UNIVERSE
  if (!ipv4_is_zeronet(iph.saddr)) {
    const vmark = in_dev !== null && IN_DEV_ORCONF(in_dev, IPV4_DEVCONF_SRC_VMARK)
    const fl4 = new flowi4()
    fl4.flowi4_iif = LOOPBACK_IFINDEX
    fl4.flowi4_l3mdev = l3mdev_master_ifindex_rcu(dev)
    fl4.daddr = iph.saddr
    fl4.flowi4_tos = iph.tos & INET_DSCP_MASK
    fl4.flowi4_scope = scope
    fl4.flowi4_mark = vmark ? skb.mark : 0
    const res = new fib_result()
    if (!fib_lookup(n, fl4, res, 0)) return fib_result_prefsrc(n, res)
  } else scope = RT_SCOPE_LINK
  return inet_select_addr(dev, iph.saddr, scope)
})

export const fib_info_nh_uses_dev = kfunc('fib_info_nh_uses_dev', (fi: fib_info, dev: net_device): boolean => {
  for (let i = 0; i < fib_info_num_path(fi); i++) {
    const nhc = fib_info_nhc(fi, i)
    if (nhc.nhc_dev === dev || (nhc.nhc_dev !== null && l3mdev_master_ifindex_rcu(nhc.nhc_dev) === dev.ifindex)) return true
  }
  return false
})

/** the whole check of a source address: a look-up of the way back */
const __fib_validate_source = kfunc(
  '__fib_validate_source',
  (
    skb: sk_buff,
    src: number,
    dst: number,
    tos: number,
    oif: number,
    dev: net_device,
    rpf: number,
    idev: in_device,
    itag: ref<number>,
  ): number => {
    const n = dev.nd_net
    const fl4 = new flowi4()
    fl4.flowi4_l3mdev = l3mdev_master_ifindex_rcu(dev)
    fl4.flowi4_iif = oif || LOOPBACK_IFINDEX
    fl4.daddr = src
    fl4.saddr = dst
    fl4.flowi4_tos = tos
    fl4.flowi4_scope = RT_SCOPE_UNIVERSE
    fl4.flowi4_uid = sock_net_uid(n, null)
    const no_addr = idev.ifa_list === null
    fl4.flowi4_mark = IN_DEV_ORCONF(idev, IPV4_DEVCONF_SRC_VMARK) ? skb.mark : 0
    const last_resort = (): number => {
      if (rpf) return -EXDEV
      itag.v = 0
      return 0
    }
    const res = new fib_result()
    if (fib_lookup(n, fl4, res, 0)) return last_resort()
    if (res.type !== RTN_UNICAST && (res.type !== RTN_LOCAL || !IN_DEV_ORCONF(idev, IPV4_DEVCONF_ACCEPT_LOCAL))) return -EINVAL
    itag.v = (res.nhc as fib_nh_common).nh_tclassid ? (res.nhc as fib_nh_common).nh_tclassid << 16 : 0
    const dev_match = fib_info_nh_uses_dev(res.fi as fib_info, dev) || (res.type === RTN_LOCAL && dev === n.loopback_dev)
    if (dev_match) return (res.nhc as fib_nh_common).nhc_scope >= RT_SCOPE_HOST ? 1 : 0
    if (no_addr) return last_resort()
    if (rpf === 1) return -EXDEV
    fl4.flowi4_oif = dev.ifindex
    if (fib_lookup(n, fl4, res, FIB_LOOKUP_IGNORE_LINKSTATE) === 0 && res.type === RTN_UNICAST)
      return (res.nhc as fib_nh_common).nhc_scope >= RT_SCOPE_HOST ? 1 : 0
    return 0
  },
)

/** whether a packet may come from `src` by `dev`. 1: and its sender is on the link; -EINVAL: a local address; -EXDEV: rp_filter */
export const fib_validate_source = kfunc(
  'fib_validate_source',
  (
    skb: sk_buff,
    src: number,
    dst: number,
    tos: number,
    oif: number,
    dev: net_device,
    idev: in_device,
    itag: ref<number>,
  ): number => {
    const r = secpath_exists(skb) ? 0 : IN_DEV_MAXCONF(idev, IPV4_DEVCONF_RP_FILTER)
    const n = dev.nd_net
    if (!r && !n.ipv4.fib_num_tclassid_users && (dev.ifindex !== oif || !IN_DEV_TX_REDIRECTS(idev))) {
      if (IN_DEV_ORCONF(idev, IPV4_DEVCONF_ACCEPT_LOCAL)) {
        itag.v = 0
        return 0
      }
      if (!n.ipv4.fib_has_custom_local_routes && !n.ipv4.fib_has_custom_rules) {
        if (inet_lookup_ifaddr_rcu(n, src) !== null) return -EINVAL
        itag.v = 0
        return 0
      }
    }
    return __fib_validate_source(skb, src, dst, tos, oif, dev, r, idev, itag)
  },
)

/** the kernel's own routes: one for each address, and one for its prefix */
const fib_magic = kfunc(
  'fib_magic',
  (cmd: number, type: number, dst: number, dst_len: number, ifa: in_ifaddr, rt_priority: number): void => {
    const { dev } = ifa.ifa_dev
    const n = dev.nd_net
    let tb_id = l3mdev_fib_table(dev)
    if (!tb_id) tb_id = type === RTN_UNICAST ? RT_TABLE_MAIN : RT_TABLE_LOCAL
    const tb = fib_new_table(n, tb_id)
    if (tb === null) return
    const cfg = new fib_config()
    cfg.fc_protocol = RTPROT_KERNEL
    cfg.fc_type = type
    cfg.fc_dst = dst
    cfg.fc_dst_len = dst_len
    cfg.fc_priority = rt_priority
    cfg.fc_prefsrc = ifa.ifa_local
    cfg.fc_oif = dev.ifindex
    cfg.fc_nlflags = NLM_F_CREATE | NLM_F_APPEND
    cfg.fc_net = n
    cfg.fc_table = tb.tb_id
    cfg.fc_scope = type !== RTN_LOCAL ? RT_SCOPE_LINK : RT_SCOPE_HOST
    if (cmd === RTM_NEWROUTE) fib_table_insert(n, tb, cfg, null)
    else fib_table_delete(n, tb, cfg, null)
  },
)

const prefix_type = (dev: net_device): number => (dev.flags & IFF_LOOPBACK ? RTN_LOCAL : RTN_UNICAST)

export const fib_add_ifaddr = kfunc('fib_add_ifaddr', (ifa: in_ifaddr): void => {
  const in_dev = ifa.ifa_dev
  const { dev } = in_dev
  const mask = ifa.ifa_mask
  const addr = ifa.ifa_local
  const prefix = (ifa.ifa_address & mask) >>> 0
  let prim: in_ifaddr | null = ifa
  if (ifa.ifa_flags & IFA_F_SECONDARY) {
    prim = inet_ifa_byprefix(in_dev, prefix, mask)
    if (prim === null) return
  }
  fib_magic(RTM_NEWROUTE, RTN_LOCAL, addr, 32, prim, 0)
  if (!(dev.flags & IFF_UP)) return
  if (ifa.ifa_broadcast && ifa.ifa_broadcast !== 0xffffffff) {
    fib_magic(RTM_NEWROUTE, RTN_BROADCAST, ifa.ifa_broadcast, 32, prim, 0)
    arp_invalidate(dev, ifa.ifa_broadcast, false)
  }
  if (!ipv4_is_zeronet(prefix) && !(ifa.ifa_flags & IFA_F_SECONDARY) && (prefix !== addr || ifa.ifa_prefixlen < 32)) {
    if (!(ifa.ifa_flags & IFA_F_NOPREFIXROUTE))
      fib_magic(RTM_NEWROUTE, prefix_type(dev), prefix, ifa.ifa_prefixlen, prim, ifa.ifa_rt_priority)
    if (ifa.ifa_prefixlen < 31) {
      const brd = (prefix | ~mask) >>> 0
      fib_magic(RTM_NEWROUTE, RTN_BROADCAST, brd, 32, prim, 0)
      arp_invalidate(dev, brd, false)
    }
  }
})

const LOCAL_OK = 1
const BRD_OK = 2
const BRD0_OK = 4
const BRD1_OK = 8

/** an address goes, or (`iprim`) its whole subnet: its routes go with it, unless another address still needs them */
export const fib_del_ifaddr = kfunc('fib_del_ifaddr', (ifa: in_ifaddr, iprim: in_ifaddr | null): void => {
  const in_dev = ifa.ifa_dev
  const { dev } = in_dev
  const brd = (ifa.ifa_address | ~ifa.ifa_mask) >>> 0
  const any = (ifa.ifa_address & ifa.ifa_mask) >>> 0
  let prim: in_ifaddr = ifa
  let prim1: in_ifaddr | null = null
  let ok = 0
  let subnet = false
  let gone = true
  let same_prefsrc = false
  if (ifa.ifa_flags & IFA_F_SECONDARY) {
    const p = inet_ifa_byprefix(in_dev, any, ifa.ifa_mask)
    if (p === null || (iprim !== null && iprim !== p)) return
    prim = p
  } else if (!ipv4_is_zeronet(any) && (any !== ifa.ifa_local || ifa.ifa_prefixlen < 32)) {
    if (!(ifa.ifa_flags & IFA_F_NOPREFIXROUTE)) fib_magic(RTM_DELROUTE, prefix_type(dev), any, ifa.ifa_prefixlen, prim, 0)
    subnet = true
  }
  if (!in_dev.dead) {
    rcu_read_lock()
    for (let ifa1 = in_dev.ifa_list; ifa1 !== null; ifa1 = ifa1.ifa_next) {
      if (ifa1 === ifa) {
        gone = false
        continue
      }
      if (iprim !== null && ifa1.ifa_mask === iprim.ifa_mask && inet_ifa_match(ifa1.ifa_address, iprim)) continue
      if (ifa1.ifa_flags & IFA_F_SECONDARY) {
        if (ifa1.ifa_mask === prim.ifa_mask && inet_ifa_match(ifa1.ifa_address, prim)) prim1 = prim
        else {
          if (!same_prefsrc) continue
          if (prim1 === null || ifa1.ifa_mask !== prim1.ifa_mask || !inet_ifa_match(ifa1.ifa_address, prim1))
            prim1 = inet_ifa_byprefix(in_dev, ifa1.ifa_address, ifa1.ifa_mask)
          if (prim1 === null || prim1.ifa_local !== prim.ifa_local) continue
        }
      } else {
        if (prim.ifa_local !== ifa1.ifa_local) continue
        prim1 = ifa1
        if (prim !== prim1) same_prefsrc = true
      }
      if (ifa.ifa_local === ifa1.ifa_local) ok |= LOCAL_OK
      if (ifa.ifa_broadcast === ifa1.ifa_broadcast) ok |= BRD_OK
      if (brd === ifa1.ifa_broadcast) ok |= BRD1_OK
      if (any === ifa1.ifa_broadcast) ok |= BRD0_OK
      if (prim1 === ifa1 && ifa1.ifa_prefixlen < 31) {
        const brd1 = (ifa1.ifa_address | ~ifa1.ifa_mask) >>> 0
        const any1 = (ifa1.ifa_address & ifa1.ifa_mask) >>> 0
        if (!ipv4_is_zeronet(any1)) {
          if (ifa.ifa_broadcast === brd1 || ifa.ifa_broadcast === any1) ok |= BRD_OK
          if (brd === brd1 || brd === any1) ok |= BRD1_OK
          if (any === brd1 || any === any1) ok |= BRD0_OK
        }
      }
    }
    rcu_read_unlock()
  }
  if (!(ok & BRD_OK)) fib_magic(RTM_DELROUTE, RTN_BROADCAST, ifa.ifa_broadcast, 32, prim, 0)
  if (subnet && ifa.ifa_prefixlen < 31) {
    if (!(ok & BRD1_OK)) fib_magic(RTM_DELROUTE, RTN_BROADCAST, brd, 32, prim, 0)
    if (!(ok & BRD0_OK)) fib_magic(RTM_DELROUTE, RTN_BROADCAST, any, 32, prim, 0)
  }
  if (!(ok & LOCAL_OK)) {
    fib_magic(RTM_DELROUTE, RTN_LOCAL, ifa.ifa_local, 32, prim, 0)
    const addr_type = inet_addr_type_dev_table(dev.nd_net, dev, ifa.ifa_local)
    // the address is gone for good: routes that used it as their source go too
    if (gone && addr_type !== RTN_LOCAL && fib_sync_down_addr(dev, ifa.ifa_local)) fib_flush(dev.nd_net)
  }
})

const fib_disable_ip = kfunc('fib_disable_ip', (dev: net_device, event: number, force: boolean): void => {
  if (fib_sync_down_dev(dev, event, force)) fib_flush(dev.nd_net)
  else rt_cache_flush(dev.nd_net)
  arp_ifdown(dev)
})

const fib_inetaddr_event = kfunc('fib_inetaddr_event', (_nb: notifier_block, event: number, ptr: unknown): number => {
  const ifa = ptr as in_ifaddr
  const { dev } = ifa.ifa_dev
  const n = dev.nd_net
  if (event === NETDEV_UP) {
    fib_add_ifaddr(ifa)
    fib_sync_up(dev, RTNH_F_DEAD)
    n.ipv4.dev_addr_genid++
    rt_cache_flush(n)
  } else if (event === NETDEV_DOWN) {
    fib_del_ifaddr(ifa, null)
    n.ipv4.dev_addr_genid++
    // without its last address the device does no IP any more
    if (ifa.ifa_dev.ifa_list === null) fib_disable_ip(dev, event, true)
    else rt_cache_flush(n)
  }
  return NOTIFY_DONE
})

const fib_netdev_event = kfunc('fib_netdev_event', (_nb: notifier_block, event: number, ptr: unknown): number => {
  const dev = netdev_notifier_info_to_dev(ptr)
  const n = dev.nd_net
  if (event === NETDEV_UNREGISTER) {
    fib_disable_ip(dev, event, true)
    rt_flush_dev(dev)
    return NOTIFY_DONE
  }
  const in_dev = __in_dev_get_rtnl(dev)
  if (in_dev === null) return NOTIFY_DONE
  switch (event) {
    case NETDEV_UP:
      for (let ifa = in_dev.ifa_list; ifa !== null; ifa = ifa.ifa_next) fib_add_ifaddr(ifa)
      fib_sync_up(dev, RTNH_F_DEAD)
      n.ipv4.dev_addr_genid++
      rt_cache_flush(n)
      break
    case NETDEV_DOWN:
      fib_disable_ip(dev, event, false)
      break
    case NETDEV_CHANGE:
      if (dev_get_flags(dev) & (IFF_RUNNING | IFF_LOWER_UP)) fib_sync_up(dev, RTNH_F_LINKDOWN)
      else fib_sync_down_dev(dev, event, false)
      rt_cache_flush(n)
      break
    case NETDEV_CHANGEMTU:
      fib_sync_mtu(dev, (ptr as { mtu?: number }).mtu ?? dev.mtu)
      rt_cache_flush(n)
      break
    case NETDEV_CHANGEUPPER:
      if (dev.master !== null && netif_is_l3_master(dev.master)) fib_disable_ip(dev, NETDEV_DOWN, true)
      break
  }
  return NOTIFY_DONE
})

/**
 * `ip route add|append|replace|del`, as inet_rtm_newroute and inet_rtm_delroute do it once they have read the message. Fields that
 * the program left out are filled in as iproute2 and the kernel fill them. Returns 0 or a negative errno.
 */
export const fib_route_change = (n: net, add: boolean, cfg: fib_config): number => {
  cfg.fc_net = n
  if (!cfg.fc_table) cfg.fc_table = RT_TABLE_MAIN
  if (cfg.fc_dst_len < 32 && (cfg.fc_dst << cfg.fc_dst_len) >>> 0 !== 0) {
    NL_SET_ERR_MSG(null, 'Invalid prefix for given prefix length')
    return -EINVAL
  }
  if (add) {
    const tb = fib_new_table(n, cfg.fc_table)
    if (tb === null) return -ENODEV
    const err = fib_table_insert(n, tb, cfg, null)
    if (!err && cfg.fc_type === RTN_LOCAL) n.ipv4.fib_has_custom_local_routes = true
    return err
  }
  const tb = fib_get_table(n, cfg.fc_table)
  if (tb === null) NL_SET_ERR_MSG(null, 'FIB table does not exist')
  return tb === null ? -ESRCH : fib_table_delete(n, tb, cfg, null)
}

const fib_net_init = kfunc('fib_net_init', (n: net): number => {
  n.ipv4.fib_num_tclassid_users = 0
  n.ipv4.fib_table_hash = new Map<number, fib_table>()
  n.ipv4.fib_has_custom_rules = false
  return 0
})

const ip_fib_net_exit = kfunc('ip_fib_net_exit', (n: net): void => {
  n.ipv4.fib_main = null
  n.ipv4.fib_default = null
  // the local table may lie in the main one's trie: it goes first
  for (const tb of [...tables(n).values()].sort((a, b) => b.tb_id - a.tb_id)) {
    tables(n).delete(tb.tb_id)
    fib_table_flush(n, tb, true)
    fib_free_table(tb)
  }
})

export const ip_fib_init = kfunc('ip_fib_init', (): void => {
  fib_trie_init()
  fib_semantics_init()
  register_pernet_subsys({ init: fib_net_init, exit: ip_fib_net_exit })
  register_netdevice_notifier({ notifier_call: fib_netdev_event, priority: 0 })
  register_inetaddr_notifier({ notifier_call: fib_inetaddr_event, priority: 0 })
})
