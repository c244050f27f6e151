import { kfunc } from '../../../trace/kfunc.ts'
import {
  IFF_UP,
  IFF_XMIT_DST_RELEASE,
  NETDEV_CHANGE,
  NETDEV_CHANGEADDR,
  NETDEV_CHANGEMTU,
  NETDEV_DOWN,
  NETDEV_FEAT_CHANGE,
  NETDEV_UNREGISTER,
  NETDEV_UP,
} from '../../include/generated/enums.ts'
import { EEXIST, EINVAL, ENODEV, EOPNOTSUPP, EPROTONOSUPPORT } from '../../include/linux/errno.ts'
import { ETH_P_8021AD, ETH_P_8021Q } from '../../include/linux/if_ether.ts'
import {
  VLAN_FLAG_LOOSE_BINDING,
  VLAN_FLAG_REORDER_HDR,
  VLAN_VID_MASK,
  vlan_dev_priv,
  vlan_info,
  vlan_key,
} from '../../include/linux/if_vlan.ts'
import { module_init } from '../../include/linux/init.ts'
import { NETIF_F_VLAN_CHALLENGED } from '../../include/linux/netdev_features.ts'
import { NET_ADDR_STOLEN, type net_device } from '../../include/linux/netdevice.ts'
import { NL_SET_ERR_MSG } from '../../include/linux/netlink.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { rtnl_link_attrs } from '../../include/net/rtnetlink.ts'
import {
  __dev_get_by_index,
  call_netdevice_notifiers,
  dev_change_flags,
  dev_set_mtu,
  netdev_notifier_info_to_dev,
  netdev_update_features,
  netdev_upper_dev_link,
  netdev_upper_dev_unlink,
  netif_carrier_off,
  netif_carrier_ok,
  netif_carrier_on,
  netif_inherit_tso_max,
  type notifier_block,
  register_netdevice,
  register_netdevice_notifier,
  unregister_netdevice,
} from '../core/dev.ts'
import { linkwatch_fire_event } from '../core/link_watch.ts'
import { rtnl_link_register } from '../core/rtnetlink.ts'
import { eth_hw_addr_set } from '../ethernet/eth.ts'
import { vlan_find_dev, vlan_vid_add, vlan_vid_del } from './vlan_core.ts'
import { vlan_setup } from './vlan_dev.ts'

const NOTIFY_DONE = 0

/** IFLA_INFO_DATA of a VLAN */
export interface vlan_attrs {
  id?: number
  protocol?: number
  flags?: { flags: number; mask: number }
  ingress_qos?: [number, number][]
  egress_qos?: [number, number][]
}

/** a device has the link state of the one below it */
const netif_stacked_transfer_operstate = kfunc(
  'netif_stacked_transfer_operstate',
  (rootdev: net_device, dev: net_device): void => {
    if (netif_carrier_ok(rootdev)) netif_carrier_on(dev)
    else netif_carrier_off(dev)
  },
)

const vlan_check_real_dev = kfunc(
  'vlan_check_real_dev',
  (real_dev: net_device, protocol: number, vlan_id: number, extack: null): number => {
    if (real_dev.features & NETIF_F_VLAN_CHALLENGED) {
      NL_SET_ERR_MSG(extack, '8021q: VLANs not supported on device')
      return -EOPNOTSUPP
    }
    if (vlan_find_dev(real_dev, protocol, vlan_id) !== null) {
      NL_SET_ERR_MSG(extack, '8021q: VLAN device already exists')
      return -EEXIST
    }
    return 0
  },
)

const register_vlan_dev = kfunc('register_vlan_dev', (dev: net_device, extack: null): number => {
  const vlan = vlan_dev_priv(dev)
  const { real_dev } = vlan
  real_dev.vlan_info ??= new vlan_info(real_dev)
  let err = vlan_vid_add(real_dev, vlan.vlan_proto, vlan.vlan_id)
  if (err) return err
  err = register_netdevice(dev)
  if (err >= 0) {
    err = netdev_upper_dev_link(real_dev, dev, extack)
    if (err) unregister_netdevice(dev)
  }
  if (err < 0) {
    vlan_vid_del(real_dev, vlan.vlan_proto, vlan.vlan_id)
    return err
  }
  netif_stacked_transfer_operstate(real_dev, dev)
  linkwatch_fire_event(dev)
  ;(real_dev.vlan_info as vlan_info).devices.set(vlan_key(vlan.vlan_proto, vlan.vlan_id), dev)
  return 0
})

const unregister_vlan_dev = kfunc('unregister_vlan_dev', (dev: net_device): void => {
  const vlan = vlan_dev_priv(dev)
  const { real_dev } = vlan
  ;(real_dev.vlan_info as vlan_info | null)?.devices.delete(vlan_key(vlan.vlan_proto, vlan.vlan_id))
  netdev_upper_dev_unlink(real_dev, dev)
  unregister_netdevice(dev)
  vlan_vid_del(real_dev, vlan.vlan_proto, vlan.vlan_id)
})

const vlan_transfer_features = kfunc('vlan_transfer_features', (dev: net_device, vlandev: net_device): void => {
  netif_inherit_tso_max(vlandev, dev)
  vlandev.priv_flags &= ~IFF_XMIT_DST_RELEASE
  vlandev.priv_flags |= vlan_dev_priv(vlandev).real_dev.priv_flags & IFF_XMIT_DST_RELEASE
  netdev_update_features(vlandev)
})

/** VLANs follow the device that they are on */
const vlan_device_event = kfunc('vlan_device_event', (_nb: notifier_block, event: number, ptr: unknown): number => {
  const dev = netdev_notifier_info_to_dev(ptr)
  const info = dev.vlan_info as vlan_info | null
  if (info === null) return NOTIFY_DONE
  for (const vlandev of [...info.devices.values()]) {
    const loose = vlan_dev_priv(vlandev).flags & VLAN_FLAG_LOOSE_BINDING
    switch (event) {
      case NETDEV_CHANGE:
        netif_stacked_transfer_operstate(dev, vlandev)
        break
      case NETDEV_CHANGEADDR:
        if (vlandev.addr_assign_type === NET_ADDR_STOLEN) {
          eth_hw_addr_set(vlandev, dev.dev_addr)
          call_netdevice_notifiers(NETDEV_CHANGEADDR, vlandev)
        }
        break
      case NETDEV_CHANGEMTU:
        if (vlandev.mtu > dev.mtu) dev_set_mtu(vlandev, dev.mtu)
        break
      case NETDEV_FEAT_CHANGE:
        vlan_transfer_features(dev, vlandev)
        break
      case NETDEV_DOWN:
        if (vlandev.flags & IFF_UP && !loose) dev_change_flags(vlandev, vlandev.flags & ~IFF_UP)
        netif_stacked_transfer_operstate(dev, vlandev)
        break
      case NETDEV_UP:
        if (!(vlandev.flags & IFF_UP) && !loose) dev_change_flags(vlandev, vlandev.flags | IFF_UP)
        netif_stacked_transfer_operstate(dev, vlandev)
        break
      case NETDEV_UNREGISTER:
        // a device that only moves to another namespace keeps them
        if (dev.reg_state === 1) break
        unregister_vlan_dev(vlandev)
        break
    }
  }
  return NOTIFY_DONE
})

const vlan_validate = kfunc('vlan_validate', (_tb: rtnl_link_attrs, data: unknown, extack: null): number => {
  const d = data as vlan_attrs | null
  if (d === null) {
    NL_SET_ERR_MSG(extack, '8021q: VLAN properties not specified')
    return -EINVAL
  }
  if (d.protocol !== undefined && d.protocol !== ETH_P_8021Q && d.protocol !== ETH_P_8021AD) {
    NL_SET_ERR_MSG(extack, '8021q: Invalid VLAN protocol')
    return -EPROTONOSUPPORT
  }
  if (d.id !== undefined && d.id >= VLAN_VID_MASK) {
    NL_SET_ERR_MSG(extack, '8021q: Invalid VLAN id')
    return -34
  }
  return 0
})

const vlan_changelink = kfunc(
  'vlan_changelink',
  (dev: net_device, _tb: rtnl_link_attrs, data: unknown, _extack: null): number => {
    const vlan = vlan_dev_priv(dev)
    const d = data as vlan_attrs
    if (d.flags !== undefined) vlan.flags = (vlan.flags & ~d.flags.mask) | (d.flags.flags & d.flags.mask)
    for (const [from, to] of d.ingress_qos ?? []) vlan.ingress_priority_map[from & 7] = to
    for (const [from, to] of d.egress_qos ?? []) vlan.egress_priority_map.set(from, (to & 7) << 13)
    return 0
  },
)

const vlan_newlink = kfunc(
  'vlan_newlink',
  (src_net: net, dev: net_device, tb: rtnl_link_attrs, data: unknown, extack: null): number => {
    const vlan = vlan_dev_priv(dev)
    const d = data as vlan_attrs
    if (d.id === undefined) {
      NL_SET_ERR_MSG(extack, '8021q: VLAN id not specified')
      return -EINVAL
    }
    if (tb.link === undefined) {
      NL_SET_ERR_MSG(extack, '8021q: link not specified')
      return -EINVAL
    }
    const real_dev = __dev_get_by_index(src_net, tb.link)
    if (real_dev === null) {
      NL_SET_ERR_MSG(extack, '8021q: link does not exist')
      return -ENODEV
    }
    vlan.vlan_proto = d.protocol ?? ETH_P_8021Q
    vlan.vlan_id = d.id
    vlan.real_dev = real_dev
    dev.priv_flags |= real_dev.priv_flags & IFF_XMIT_DST_RELEASE
    vlan.flags = VLAN_FLAG_REORDER_HDR
    const err = vlan_check_real_dev(real_dev, vlan.vlan_proto, vlan.vlan_id, extack)
    if (err < 0) return err
    if (tb.mtu === undefined) dev.mtu = real_dev.mtu
    else if (dev.mtu > real_dev.mtu) return -EINVAL
    return vlan_changelink(dev, tb, data, extack) || register_vlan_dev(dev, extack)
  },
)

const vlan_get_link_net = kfunc('vlan_get_link_net', (dev: net_device): net => vlan_dev_priv(dev).real_dev.nd_net)

module_init(() => {
  register_netdevice_notifier({ notifier_call: vlan_device_event })
  rtnl_link_register({
    kind: 'vlan',
    priv_size: 128,
    setup: vlan_setup,
    validate: vlan_validate,
    newlink: vlan_newlink,
    changelink: vlan_changelink,
    dellink: unregister_vlan_dev,
    get_link_net: vlan_get_link_net,
  })
})
