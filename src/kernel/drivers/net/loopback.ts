import { kfunc } from '../../../trace/kfunc.ts'
import {
  ARPHRD_LOOPBACK,
  ETH_ALEN,
  ETH_HLEN,
  GSO_MAX_SIZE,
  IFF_LIVE_ADDR_CHANGE,
  IFF_LOOPBACK,
  IFF_NO_QUEUE,
  IFF_UP,
  NET_RX_SUCCESS,
  NETDEV_TX_OK,
} from '../../include/generated/enums.ts'
import { fs_initcall } from '../../include/linux/init.ts'
import * as F from '../../include/linux/netdev_features.ts'
import {
  NETDEV_PCPU_STAT_LSTATS,
  net_device,
  type net_device_ops,
  type rtnl_link_stats64,
} from '../../include/linux/netdevice.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import type { net } from '../../include/net/net_namespace.ts'
import {
  __netif_rx,
  alloc_netdev_mqs,
  dev_lstats_add,
  netif_keep_dst,
  netif_set_tso_max_size,
  register_netdev,
} from '../../net/core/dev.ts'
import { skb_dst_force } from '../../net/core/dst.ts'
import { init_net, register_pernet_device } from '../../net/core/net_namespace.ts'
import { kfree_skb, skb_clear_tstamp, skb_orphan } from '../../net/core/skbuff.ts'
import { skb_tx_timestamp } from '../../net/core/timestamping.ts'
import { eth_header_ops, eth_mac_addr, eth_type_trans } from '../../net/ethernet/eth.ts'

/** what is sent comes back as received */
export const loopback_xmit = kfunc('loopback_xmit', (skb: sk_buff, dev: net_device): number => {
  skb_tx_timestamp(skb)
  skb_clear_tstamp(skb)
  skb_orphan(skb)
  skb_dst_force(skb)
  skb.protocol = eth_type_trans(skb, dev)
  const { len } = skb
  if (__netif_rx(skb) === NET_RX_SUCCESS) dev_lstats_add(dev, len)
  return NETDEV_TX_OK
})

export const dev_lstats_read = kfunc('dev_lstats_read', (dev: net_device, packets: { v: number }, bytes: { v: number }): void => {
  packets.v = dev.stats.tx_packets
  bytes.v = dev.stats.tx_bytes
})

const loopback_get_stats64 = kfunc('loopback_get_stats64', (dev: net_device, stats: rtnl_link_stats64): void => {
  const packets = { v: 0 }
  const bytes = { v: 0 }
  dev_lstats_read(dev, packets, bytes)
  stats.rx_packets = packets.v
  stats.tx_packets = packets.v
  stats.rx_bytes = bytes.v
  stats.tx_bytes = bytes.v
})

const loopback_dev_init = kfunc('loopback_dev_init', (_dev: net_device): number => 0)

const gen_lo_setup = kfunc('gen_lo_setup', (dev: net_device, mtu: number, dev_ops: net_device_ops): void => {
  dev.mtu = mtu
  dev.hard_header_len = ETH_HLEN
  dev.min_header_len = ETH_HLEN
  dev.addr_len = ETH_ALEN
  dev.type = ARPHRD_LOOPBACK
  dev.flags = IFF_LOOPBACK
  dev.priv_flags |= IFF_LIVE_ADDR_CHANGE | IFF_NO_QUEUE
  dev.lltx = true
  dev.netns_immutable = true
  netif_keep_dst(dev)
  dev.hw_features = F.NETIF_F_GSO_SOFTWARE
  dev.features =
    F.NETIF_F_SG |
    F.NETIF_F_FRAGLIST |
    F.NETIF_F_GSO_SOFTWARE |
    F.NETIF_F_HW_CSUM |
    F.NETIF_F_RXCSUM |
    F.NETIF_F_SCTP_CRC |
    F.NETIF_F_HIGHDMA |
    F.NETIF_F_VLAN_CHALLENGED |
    F.NETIF_F_LOOPBACK
  dev.header_ops = eth_header_ops
  dev.netdev_ops = dev_ops
  dev.needs_free_netdev = true
  dev.pcpu_stat_type = NETDEV_PCPU_STAT_LSTATS
  netif_set_tso_max_size(dev, GSO_MAX_SIZE)
})

let loopback_ops: net_device_ops
let blackhole_ops: net_device_ops
/** where the packets of a device that is gone go */
export let blackhole_netdev: net_device

export const loopback_setup = kfunc('loopback_setup', (dev: net_device): void => gen_lo_setup(dev, 64 * 1024, loopback_ops))

/** one loopback device in each namespace, the first of all its devices */
const loopback_net_init = kfunc('loopback_net_init', (n: net): number => {
  const dev = alloc_netdev_mqs(0, 'lo', 0, loopback_setup, 1, 1)
  if (dev === null) return -12
  dev.nd_net = n
  const err = register_netdev(dev)
  if (err === 0) n.loopback_dev = dev
  return err
})

const blackhole_netdev_xmit = kfunc('blackhole_netdev_xmit', (skb: sk_buff, _dev: net_device): number => {
  kfree_skb(skb)
  return NETDEV_TX_OK
})

fs_initcall(() => {
  loopback_ops = {
    ndo_init: loopback_dev_init,
    ndo_start_xmit: loopback_xmit,
    ndo_get_stats64: loopback_get_stats64,
    ndo_set_mac_address: eth_mac_addr,
  }
  blackhole_ops = { ndo_start_xmit: blackhole_netdev_xmit }
  blackhole_netdev = new net_device()
  blackhole_netdev.name = 'blackhole_dev'
  gen_lo_setup(blackhole_netdev, 68, blackhole_ops)
  blackhole_netdev.flags |= IFF_UP
  blackhole_netdev.nd_net = init_net
  register_pernet_device({ init: loopback_net_init })
})
