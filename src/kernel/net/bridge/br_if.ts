import { kfunc } from '../../../trace/kfunc.ts'
import {
  ARPHRD_ETHER,
  IFF_BRIDGE_PORT,
  IFF_DONT_BRIDGE,
  IFF_LOOPBACK,
  IFF_PHONY_HEADROOM,
  IFF_PROMISC,
  IFF_UNICAST_FLT,
  IFF_UP,
  NETDEV_CHANGEADDR,
  NETDEV_JOIN,
} from '../../include/generated/enums.ts'
import { EBUSY, EINVAL, ELOOP, EOPNOTSUPP, EXFULL } from '../../include/linux/errno.ts'
import { ETH_ALEN, ETH_DATA_LEN, is_valid_ether_addr } from '../../include/linux/if_ether.ts'
import { NETIF_F_ONE_FOR_ALL } from '../../include/linux/netdev_features.ts'
import {
  type net_device,
  type netdev_features_t,
  netdev_priv,
  netif_running,
  TSO_MAX_SEGS,
  TSO_MAX_SIZE,
} from '../../include/linux/netdevice.ts'
import { NL_SET_ERR_MSG } from '../../include/linux/netlink.ts'
import { GFP_KERNEL } from '../../include/linux/slab.ts'
import { kzalloc } from '../../mm/slub.ts'
import {
  call_netdevice_notifiers,
  dev_set_allmulti,
  dev_set_mtu,
  dev_set_promiscuity,
  netdev_add_tso_features,
  netdev_increment_features,
  netdev_master_upper_dev_link,
  netdev_rx_handler_register,
  netdev_rx_handler_unregister,
  netdev_update_features,
  netdev_upper_dev_unlink,
  netif_oper_up,
  netif_set_tso_max_segs,
  netif_set_tso_max_size,
  unregister_netdevice,
} from '../core/dev.ts'
import { is_br_dev } from './br_device.ts'
import { br_fdb_add_local, br_fdb_delete_by_port } from './br_fdb.ts'
import { br_handle_frame } from './br_input.ts'
import {
  BR_MAX_PORTS,
  BR_PROMISC,
  BR_STATE_DISABLED,
  br_auto_port,
  br_port_get_rtnl,
  br_promisc_port,
  type net_bridge,
  net_bridge_port,
} from './br_private.ts'
import { br_stp_disable_port, br_stp_enable_port, br_stp_recalculate_bridge_id } from './br_stp.ts'

/** the port's link came or went */
export const br_port_carrier_check = kfunc('br_port_carrier_check', (p: net_bridge_port): void => {
  const { br, dev } = p
  if (!netif_running(br.dev)) return
  if (netif_running(dev) && netif_oper_up(dev)) {
    if (p.state === BR_STATE_DISABLED) br_stp_enable_port(p)
  } else if (p.state !== BR_STATE_DISABLED) br_stp_disable_port(p)
})

const br_port_set_promisc = kfunc('br_port_set_promisc', (p: net_bridge_port): void => {
  if (br_promisc_port(p) || dev_set_promiscuity(p.dev, 1)) return
  p.flags |= BR_PROMISC
})
const br_port_clear_promisc = kfunc('br_port_clear_promisc', (p: net_bridge_port): void => {
  if (!br_promisc_port(p)) return
  dev_set_promiscuity(p.dev, -1)
  p.flags &= ~BR_PROMISC
})
/** a bridge that does not look at VLANs has all its ports hear everything */
export const br_manage_promisc = kfunc('br_manage_promisc', (br: net_bridge): void => {
  const set_all = (br.dev.flags & IFF_PROMISC) !== 0 || !VLAN_FILTERING
  for (const p of br.port_list) {
    const quiet = p.dev.priv_flags & IFF_UNICAST_FLT && (br.auto_cnt === 0 || (br.auto_cnt === 1 && br_auto_port(p)))
    if (!set_all && quiet) br_port_clear_promisc(p)
    else br_port_set_promisc(p)
  }
})
const VLAN_FILTERING = false

const nbp_update_port_count = kfunc('nbp_update_port_count', (br: net_bridge): void => {
  const cnt = br.port_list.filter(br_auto_port).length
  if (br.auto_cnt === cnt) return
  br.auto_cnt = cnt
  br_manage_promisc(br)
})

const find_portno = (br: net_bridge): number => {
  let index = 1
  while (br.port_list.some((p) => p.port_no === index)) index++
  return index >= BR_MAX_PORTS ? -EXFULL : index
}

const new_nbp = kfunc('new_nbp', (br: net_bridge, dev: net_device): net_bridge_port | number => {
  const index = find_portno(br)
  if (index < 0) return index
  kzalloc(1096, GFP_KERNEL)
  const p = new net_bridge_port(br, dev)
  p.port_no = index
  return p
})

const br_mtu_min = (br: net_bridge): number => br.port_list.reduce((m, p) => Math.min(m, p.dev.mtu), Number.POSITIVE_INFINITY)
export const br_mtu_auto_adjust = kfunc('br_mtu_auto_adjust', (br: net_bridge): void => {
  if (br.mtu_set_by_user) return
  const m = br_mtu_min(br)
  dev_set_mtu(br.dev, Number.isFinite(m) ? m : ETH_DATA_LEN)
  br.mtu_set_by_user = false
})
const br_set_gso_limits = kfunc('br_set_gso_limits', (br: net_bridge): void => {
  netif_set_tso_max_size(
    br.dev,
    br.port_list.reduce((m, p) => Math.min(m, p.dev.tso_max_size), TSO_MAX_SIZE),
  )
  netif_set_tso_max_segs(
    br.dev,
    br.port_list.reduce((m, p) => Math.min(m, p.dev.tso_max_segs), TSO_MAX_SEGS),
  )
})

/** what all its ports can do */
export const br_features_recompute = kfunc(
  'br_features_recompute',
  (br: net_bridge, features: netdev_features_t): netdev_features_t => {
    if (br.port_list.length === 0) return features
    const mask = features
    let all = features & ~NETIF_F_ONE_FOR_ALL
    for (const p of br.port_list) all = netdev_increment_features(all, p.dev.features, mask)
    return netdev_add_tso_features(all, mask)
  },
)

const netdev_get_fwd_headroom = (dev: net_device): number => (dev.priv_flags & IFF_PHONY_HEADROOM ? 0 : dev.needed_headroom)
const netdev_set_rx_headroom = (dev: net_device, hr: number): void => dev.netdev_ops.ndo_set_rx_headroom?.(dev, hr)
const update_headroom = kfunc('update_headroom', (br: net_bridge, new_hr: number): void => {
  for (const p of br.port_list) netdev_set_rx_headroom(p.dev, new_hr)
  br.dev.needed_headroom = new_hr
})

/** `ip link set DEV master BRIDGE` */
export const br_add_if = kfunc('br_add_if', (br: net_bridge, dev: net_device, extack: null): number => {
  if (dev.flags & IFF_LOOPBACK || dev.type !== ARPHRD_ETHER || dev.addr_len !== ETH_ALEN || !is_valid_ether_addr(dev.dev_addr))
    return -EINVAL
  if (is_br_dev(dev)) {
    NL_SET_ERR_MSG(extack, 'Can not enslave a bridge to a bridge')
    return -ELOOP
  }
  if (dev.master !== null) return -EBUSY
  if (dev.priv_flags & IFF_DONT_BRIDGE) {
    NL_SET_ERR_MSG(extack, 'Device does not allow enslaving to a bridge')
    return -EOPNOTSUPP
  }
  const p = new_nbp(br, dev)
  if (typeof p === 'number') return p
  call_netdevice_notifiers(NETDEV_JOIN, dev)
  dev_set_allmulti(dev, 1)
  let err = netdev_rx_handler_register(dev, br_handle_frame, p)
  if (err) {
    dev_set_allmulti(dev, -1)
    return err
  }
  dev.priv_flags |= IFF_BRIDGE_PORT
  err = netdev_master_upper_dev_link(dev, br.dev, null, null, extack)
  if (err) {
    dev.priv_flags &= ~IFF_BRIDGE_PORT
    netdev_rx_handler_unregister(dev)
    dev_set_allmulti(dev, -1)
    return err
  }
  br.port_list.unshift(p)
  nbp_update_port_count(br)
  netdev_update_features(br.dev)
  const br_hr = br.dev.needed_headroom
  const dev_hr = netdev_get_fwd_headroom(dev)
  if (br_hr < dev_hr) update_headroom(br, dev_hr)
  else netdev_set_rx_headroom(dev, br_hr)
  br_fdb_add_local(br, p, dev.dev_addr, 0)
  const changed_addr = br_stp_recalculate_bridge_id(br)
  if (netif_running(dev) && netif_oper_up(dev) && br.dev.flags & IFF_UP) br_stp_enable_port(p)
  if (changed_addr) call_netdevice_notifiers(NETDEV_CHANGEADDR, br.dev)
  br_mtu_auto_adjust(br)
  br_set_gso_limits(br)
  return 0
})

const del_nbp = kfunc('del_nbp', (p: net_bridge_port): void => {
  const { br, dev } = p
  dev_set_allmulti(dev, -1)
  if (br_promisc_port(p)) dev_set_promiscuity(dev, -1)
  br_stp_disable_port(p)
  br.port_list.splice(br.port_list.indexOf(p), 1)
  dev.netdev_ops.ndo_set_rx_headroom?.(dev, -1)
  br_fdb_delete_by_port(br, p, true)
  nbp_update_port_count(br)
  netdev_upper_dev_unlink(dev, br.dev)
  dev.priv_flags &= ~IFF_BRIDGE_PORT
  netdev_rx_handler_unregister(dev)
})

export const br_del_if = kfunc('br_del_if', (br: net_bridge, dev: net_device): number => {
  const p = br_port_get_rtnl(dev)
  if (p === null || p.br !== br) return -EINVAL
  del_nbp(p)
  br_mtu_auto_adjust(br)
  br_set_gso_limits(br)
  if (br_stp_recalculate_bridge_id(br)) call_netdevice_notifiers(NETDEV_CHANGEADDR, br.dev)
  netdev_update_features(br.dev)
  return 0
})

export const br_dev_delete = kfunc('br_dev_delete', (dev: net_device): void => {
  const br = netdev_priv<net_bridge>(dev)
  for (const p of [...br.port_list]) del_nbp(p)
  br_fdb_delete_by_port(br, null, true)
  unregister_netdevice(dev)
})
