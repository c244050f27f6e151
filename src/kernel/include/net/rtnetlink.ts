import type { net_device } from '../linux/netdevice.ts'
import type { net } from './net_namespace.ts'

/** What a message about a link says: struct nlattr *tb[IFLA_MAX + 1]. A field that is not there was not said. */
export interface rtnl_link_attrs {
  ifname?: string
  address?: Uint8Array
  broadcast?: Uint8Array
  mtu?: number
  txqlen?: number
  num_tx_queues?: number
  num_rx_queues?: number
  /** IFLA_LINK: the device below */
  link?: number
  /** IFLA_MASTER: 0 for none */
  master?: number
  /** IFLA_NET_NS_FD */
  net?: net
  carrier?: boolean
  group?: number
  gso_max_size?: number
  gso_max_segs?: number
  gso_ipv4_max_size?: number
  gro_max_size?: number
  gro_ipv4_max_size?: number
  tso_max_size?: number
  /** ifi_index, ifi_flags, ifi_change */
  ifi_index?: number
  ifi_flags?: number
  ifi_change?: number
}

/** struct rtnl_link_ops: a kind of device that `ip link add` makes. `data` is IFLA_INFO_DATA, as the kind defines it. */
export interface rtnl_link_ops {
  kind: string
  priv_size: number
  setup: (dev: net_device) => void
  validate?: (tb: rtnl_link_attrs, data: unknown, extack: null) => number
  newlink?: (src_net: net, dev: net_device, tb: rtnl_link_attrs, data: unknown, extack: null) => number
  changelink?: (dev: net_device, tb: rtnl_link_attrs, data: unknown, extack: null) => number
  dellink?: (dev: net_device) => void
  get_link_net?: (dev: net_device) => net
  get_num_tx_queues?: () => number
  get_num_rx_queues?: () => number
}
