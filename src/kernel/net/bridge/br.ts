import { kfunc } from '../../../trace/kfunc.ts'
import {
  IFF_UP,
  NETDEV_CHANGE,
  NETDEV_CHANGEADDR,
  NETDEV_CHANGEMTU,
  NETDEV_DOWN,
  NETDEV_FEAT_CHANGE,
  NETDEV_REGISTER,
  NETDEV_UNREGISTER,
  NETDEV_UP,
} from '../../include/generated/enums.ts'
import { EADDRNOTAVAIL, EINVAL } from '../../include/linux/errno.ts'
import { ETH_ALEN, is_valid_ether_addr } from '../../include/linux/if_ether.ts'
import { module_init } from '../../include/linux/init.ts'
import { type net_device, netdev_priv, netif_running } from '../../include/linux/netdevice.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { rtnl_link_attrs } from '../../include/net/rtnetlink.ts'
import {
  call_netdevice_notifiers,
  netdev_notifier_info_to_dev,
  netdev_update_features,
  netif_oper_up,
  type notifier_block,
  register_netdevice,
  register_netdevice_notifier,
} from '../core/dev.ts'
import { rtnl_link_register } from '../core/rtnetlink.ts'
import { register_switchdev_notifier } from '../switchdev/switchdev.ts'
import { br_dev_setup } from './br_device.ts'
import { br_fdb_change_mac_address, br_fdb_changeaddr } from './br_fdb.ts'
import { br_del_if, br_dev_delete, br_mtu_auto_adjust, br_port_carrier_check } from './br_if.ts'
import { br_port_get_rtnl, type net_bridge, netif_is_bridge_master } from './br_private.ts'
import { br_stp_change_bridge_id, br_stp_disable_port, br_stp_enable_port, br_stp_recalculate_bridge_id } from './br_stp.ts'

const NOTIFY_DONE = 0

/** bridges follow what happens to their ports */
const br_device_event = kfunc('br_device_event', (_nb: notifier_block, event: number, ptr: unknown): number => {
  const dev = netdev_notifier_info_to_dev(ptr)
  if (netif_is_bridge_master(dev) && event === NETDEV_REGISTER) {
    br_fdb_change_mac_address(netdev_priv<net_bridge>(dev), dev.dev_addr)
    return NOTIFY_DONE
  }
  const p = br_port_get_rtnl(dev)
  if (p === null) return NOTIFY_DONE
  const { br } = p
  switch (event) {
    case NETDEV_CHANGEMTU:
      br_mtu_auto_adjust(br)
      break
    case NETDEV_CHANGEADDR:
      br_fdb_changeaddr(p, dev.dev_addr)
      if (br_stp_recalculate_bridge_id(br)) call_netdevice_notifiers(NETDEV_CHANGEADDR, br.dev)
      break
    case NETDEV_CHANGE:
      br_port_carrier_check(p)
      break
    case NETDEV_FEAT_CHANGE:
      netdev_update_features(br.dev)
      break
    case NETDEV_DOWN:
      if (br.dev.flags & IFF_UP) br_stp_disable_port(p)
      break
    case NETDEV_UP:
      if (netif_running(br.dev) && netif_oper_up(dev)) br_stp_enable_port(p)
      break
    case NETDEV_UNREGISTER:
      br_del_if(br, dev)
      break
  }
  return NOTIFY_DONE
})

/** IFLA_INFO_DATA of a bridge */
export interface br_info {
  ageing_time?: number
  mcast_snooping?: boolean
  group_fwd_mask?: number
}

const br_validate = kfunc('br_validate', (tb: rtnl_link_attrs, _data: unknown, _extack: null): number => {
  if (tb.address === undefined) return 0
  if (tb.address.length !== ETH_ALEN) return -EINVAL
  return is_valid_ether_addr(tb.address) ? 0 : -EADDRNOTAVAIL
})
const br_changelink = kfunc('br_changelink', (brdev: net_device, _tb: rtnl_link_attrs, data: unknown, _extack: null): number => {
  const br = netdev_priv<net_bridge>(brdev)
  const info = data as br_info | null
  if (info?.ageing_time !== undefined) br.ageing_time = info.ageing_time
  if (info?.mcast_snooping !== undefined) br.multicast_enabled = info.mcast_snooping
  if (info?.group_fwd_mask !== undefined) br.group_fwd_mask = info.group_fwd_mask
  return 0
})
const br_dev_newlink = kfunc(
  'br_dev_newlink',
  (_src_net: net, dev: net_device, tb: rtnl_link_attrs, data: unknown, extack: null): number => {
    const br = netdev_priv<net_bridge>(dev)
    const err = register_netdevice(dev)
    if (err) return err
    if (tb.address !== undefined) br_stp_change_bridge_id(br, tb.address)
    const ret = br_changelink(dev, tb, data, extack)
    if (ret) br_dev_delete(dev)
    return ret
  },
)

/** what drivers say of entries that their switches learned: none does, and what others are told is not for a bridge */
const br_switchdev_event = kfunc('br_switchdev_event', (_event: number, _ptr: unknown): number => NOTIFY_DONE)

// loaded with the machine, as where the recordings were made: its functions were probed there
module_init(() => {
  register_switchdev_notifier(br_switchdev_event)
  register_netdevice_notifier({ notifier_call: br_device_event })
  rtnl_link_register({
    kind: 'bridge',
    priv_size: 2048,
    setup: br_dev_setup,
    validate: br_validate,
    newlink: br_dev_newlink,
    changelink: br_changelink,
    dellink: br_dev_delete,
  })
})
