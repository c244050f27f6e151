import { kfunc } from '../../../trace/kfunc.ts'
import { IFF_ALLMULTI, IFF_PROMISC, NETDEV_CHANGEADDR } from '../../include/generated/enums.ts'
import { EEXIST, EINVAL, ENODEV, ENOMEM, EOPNOTSUPP } from '../../include/linux/errno.ts'
import { core_initcall } from '../../include/linux/init.ts'
import { NET_ADDR_SET, type net_device } from '../../include/linux/netdevice.ts'
import { NL_SET_ERR_MSG } from '../../include/linux/netlink.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { IS_ERR } from '../../include/linux/types.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { rtnl_link_attrs, rtnl_link_ops } from '../../include/net/rtnetlink.ts'
import { request_module } from '../../kernel/module/kmod.ts'
import { nlmsg_notify } from '../netlink/af_netlink.ts'
import {
  __dev_change_net_namespace,
  __dev_get_by_index,
  __dev_get_by_name,
  alloc_netdev_mqs,
  call_netdevice_notifiers,
  dev_change_carrier,
  dev_change_flags,
  dev_change_name,
  dev_change_tx_queue_len,
  dev_set_mac_address,
  dev_set_mtu,
  dev_validate_mtu,
  free_netdev,
  netif_set_gso_ipv4_max_size,
  netif_set_gso_max_segs,
  netif_set_gso_max_size,
  register_netdevice,
  unregister_netdevice,
} from './dev.ts'

// What rtnetlink does with a message about links, once the message is read. Functions return 0 or a negative errno; words that the
// kernel has for an error are left in ext_ack (include/linux/netlink.ts).

let link_ops: Map<string, rtnl_link_ops> = new Map()

core_initcall(() => {
  link_ops = new Map()
})

export const rtnl_link_register = kfunc('rtnl_link_register', (ops: rtnl_link_ops): number => {
  if (link_ops.has(ops.kind)) return -EEXIST
  link_ops.set(ops.kind, ops)
  return 0
})
export const rtnl_link_ops_get = kfunc('rtnl_link_ops_get', (kind: string): rtnl_link_ops | null => link_ops.get(kind) ?? null)

/** tells those who watch `group` */
export const rtnl_notify = kfunc(
  'rtnl_notify',
  (skb: sk_buff, _net: net, pid: number, group: number, _nlh: null, flags: number): void => {
    nlmsg_notify(null, skb, pid, group, 0, flags)
  },
)

export const rtnl_link_get_net = kfunc('rtnl_link_get_net', (src_net: net, tb: rtnl_link_attrs): net => tb.net ?? src_net)

/** the flags that a message changes, over those that the device has */
/** promiscuity and groups as the user set them: a bridge's own wishes are not the user's */
const rtnl_dev_get_flags = (dev: net_device): number =>
  (dev.flags & ~(IFF_PROMISC | IFF_ALLMULTI)) | (dev.gflags & (IFF_PROMISC | IFF_ALLMULTI))
const rtnl_dev_combine_flags = (dev: net_device, tb: rtnl_link_attrs): number => {
  const change = tb.ifi_change ?? 0
  const flags = tb.ifi_flags ?? 0
  return change ? (flags & change) | (rtnl_dev_get_flags(dev) & ~change) : flags
}

const validate_linkmsg = kfunc('validate_linkmsg', (dev: net_device, tb: rtnl_link_attrs, extack: null): number => {
  if (tb.address !== undefined && tb.address.length < dev.addr_len) return -EINVAL
  if (tb.broadcast !== undefined && tb.broadcast.length < dev.addr_len) return -EINVAL
  for (const size of [tb.gso_max_size, tb.gso_ipv4_max_size])
    if (size !== undefined && size > dev.tso_max_size) {
      NL_SET_ERR_MSG(extack, 'too big gso_max_size')
      return -EINVAL
    }
  if (tb.gso_max_segs !== undefined && (tb.gso_max_segs > 65535 || tb.gso_max_segs > dev.tso_max_segs)) {
    NL_SET_ERR_MSG(extack, 'too big gso_max_segs')
    return -EINVAL
  }
  return 0
})

export const rtnl_create_link = kfunc(
  'rtnl_create_link',
  (n: net, ifname: string, ops: rtnl_link_ops, tb: rtnl_link_attrs, extack: null): net_device | number => {
    const num_tx_queues = tb.num_tx_queues ?? ops.get_num_tx_queues?.() ?? 1
    const num_rx_queues = tb.num_rx_queues ?? ops.get_num_rx_queues?.() ?? 1
    if (num_tx_queues < 1 || num_tx_queues > 4096) {
      NL_SET_ERR_MSG(extack, 'Invalid number of transmit queues')
      return -EINVAL
    }
    if (num_rx_queues < 1 || num_rx_queues > 4096) {
      NL_SET_ERR_MSG(extack, 'Invalid number of receive queues')
      return -EINVAL
    }
    const dev = alloc_netdev_mqs(ops.priv_size, ifname, 0, ops.setup, num_tx_queues, num_rx_queues)
    if (dev === null) return -ENOMEM
    let err = validate_linkmsg(dev, tb, extack)
    if (err >= 0) {
      dev.nd_net = n
      dev.rtnl_link_ops = ops
      if (tb.mtu !== undefined) {
        err = dev_validate_mtu(dev, tb.mtu, extack)
        if (!err) dev.mtu = tb.mtu
      }
    }
    if (err < 0) {
      free_netdev(dev)
      return err
    }
    if (tb.address !== undefined) {
      dev.dev_addr = tb.address.slice()
      dev.addr_assign_type = NET_ADDR_SET
    }
    if (tb.broadcast !== undefined) dev.broadcast = tb.broadcast.slice()
    if (tb.txqlen !== undefined) dev.tx_queue_len = tb.txqlen
    if (tb.group !== undefined) dev.group = tb.group
    set_gso_sizes(dev, tb)
    return dev
  },
)

function set_gso_sizes(dev: net_device, tb: rtnl_link_attrs): void {
  if (tb.gso_max_size !== undefined) netif_set_gso_max_size(dev, tb.gso_max_size)
  if (tb.gso_max_segs !== undefined) netif_set_gso_max_segs(dev, tb.gso_max_segs)
  if (tb.gro_max_size !== undefined) dev.gro_max_size = tb.gro_max_size
  if (tb.gso_ipv4_max_size !== undefined) netif_set_gso_ipv4_max_size(dev, tb.gso_ipv4_max_size)
  if (tb.gro_ipv4_max_size !== undefined) dev.gro_ipv4_max_size = tb.gro_ipv4_max_size
}

/** a new device comes up when its message says so */
export const rtnl_configure_link = kfunc('rtnl_configure_link', (dev: net_device, tb: rtnl_link_attrs | null): number =>
  tb !== null && (tb.ifi_flags || tb.ifi_change) ? dev_change_flags(dev, rtnl_dev_combine_flags(dev, tb)) : 0,
)

const do_set_master = kfunc('do_set_master', (dev: net_device, ifindex: number, extack: null): number => {
  if (dev.master !== null) {
    if (dev.master.ifindex === ifindex) return 0
    const { ndo_del_slave } = dev.master.netdev_ops
    if (!ndo_del_slave) return -EOPNOTSUPP
    const err = ndo_del_slave(dev.master, dev)
    if (err) return err
  }
  if (!ifindex) return 0
  const upper_dev = __dev_get_by_index(dev.nd_net, ifindex)
  if (upper_dev === null) return -EINVAL
  const { ndo_add_slave } = upper_dev.netdev_ops
  return ndo_add_slave ? ndo_add_slave(upper_dev, dev, extack) : -EOPNOTSUPP
})

/** `ip link set`: everything that the message says, in this order; the first error ends it */
const do_setlink = kfunc('do_setlink', (dev: net_device, tb: rtnl_link_attrs, extack: null): number => {
  let err = validate_linkmsg(dev, tb, extack)
  if (err < 0) return err
  if (tb.net !== undefined) {
    err = __dev_change_net_namespace(dev, tb.net, tb.ifname ?? null, 0, extack)
    if (err) return err
  }
  if (tb.address !== undefined) {
    err = dev_set_mac_address(dev, tb.address)
    if (err) return err
  }
  if (tb.mtu !== undefined) {
    err = dev_set_mtu(dev, tb.mtu)
    if (err < 0) return err
  }
  if (tb.group !== undefined) dev.group = tb.group
  if (tb.ifname !== undefined) {
    err = dev_change_name(dev, tb.ifname)
    if (err < 0) return err
  }
  if (tb.broadcast !== undefined) {
    dev.broadcast = tb.broadcast.slice()
    call_netdevice_notifiers(NETDEV_CHANGEADDR, dev)
  }
  if (tb.ifi_flags || tb.ifi_change) {
    err = dev_change_flags(dev, rtnl_dev_combine_flags(dev, tb))
    if (err < 0) return err
  }
  if (tb.master !== undefined) {
    err = do_set_master(dev, tb.master, extack)
    if (err) return err
  }
  if (tb.carrier !== undefined) {
    err = dev_change_carrier(dev, tb.carrier)
    if (err) return err
  }
  if (tb.txqlen !== undefined) {
    err = dev_change_tx_queue_len(dev, tb.txqlen)
    if (err) return err
  }
  set_gso_sizes(dev, tb)
  return 0
})
/** RTM_SETLINK, of a device that is known by name or number */
export const rtnl_setlink = (dev: net_device, tb: rtnl_link_attrs): number => do_setlink(dev, tb, null)

const rtnl_newlink_create = kfunc(
  'rtnl_newlink_create',
  (n: net, ops: rtnl_link_ops, tb: rtnl_link_attrs, data: unknown, extack: null): number => {
    const dest_net = rtnl_link_get_net(n, tb)
    const dev = rtnl_create_link(dest_net, tb.ifname ?? `${ops.kind}%d`, ops, tb, extack)
    if (IS_ERR(dev)) return dev
    dev.ifindex = tb.ifi_index ?? 0
    let err = ops.newlink ? ops.newlink(n, dev, tb, data, extack) : register_netdevice(dev)
    if (err < 0) {
      free_netdev(dev)
      return err
    }
    err = rtnl_configure_link(dev, tb)
    if (err >= 0 && tb.master !== undefined) err = do_set_master(dev, tb.master, extack)
    if (err < 0) {
      if (ops.dellink) ops.dellink(dev)
      else unregister_netdevice(dev)
    }
    return err
  },
)

/** RTM_NEWLINK with NLM_F_CREATE | NLM_F_EXCL: `ip link add` */
export const rtnl_newlink = kfunc('rtnl_newlink', (n: net, kind: string, tb: rtnl_link_attrs, data: unknown): number => {
  const dev = tb.ifname === undefined ? null : __dev_get_by_name(n, tb.ifname)
  let ops = rtnl_link_ops_get(kind)
  if (ops === null && request_module(`rtnl-link-${kind}`) === 0) ops = rtnl_link_ops_get(kind)
  if (ops?.validate) {
    const err = ops.validate(tb, data, null)
    if (err < 0) return err
  }
  if (dev !== null) return -EEXIST
  if (ops === null) {
    NL_SET_ERR_MSG(null, 'Unknown device type')
    return -EOPNOTSUPP
  }
  return rtnl_newlink_create(n, ops, tb, data, null)
})

/** RTM_NEWLINK of a device that is there: `ip link set DEV type KIND …` */
export const rtnl_changelink = (dev: net_device, kind: string, tb: rtnl_link_attrs, data: unknown): number => {
  const ops = rtnl_link_ops_get(kind)
  if (ops === null || ops !== dev.rtnl_link_ops || !ops.changelink) return -EOPNOTSUPP
  const err = ops.validate?.(tb, data, null) ?? 0
  return err < 0 ? err : ops.changelink(dev, tb, data, null)
}

/** RTM_DELLINK */
export const rtnl_dellink = kfunc('rtnl_dellink', (dev: net_device | null): number => {
  if (dev === null) return -ENODEV
  const ops = dev.rtnl_link_ops
  if (ops === null) return -EOPNOTSUPP
  if (ops.dellink) ops.dellink(dev)
  else unregister_netdevice(dev)
  return 0
})
