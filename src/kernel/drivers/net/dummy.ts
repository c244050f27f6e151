import { kfunc } from '../../../trace/kfunc.ts'
import { IFF_LIVE_ADDR_CHANGE, IFF_MULTICAST, IFF_NO_QUEUE, IFF_NOARP, NETDEV_TX_OK } from '../../include/generated/enums.ts'
import { EADDRNOTAVAIL, EINVAL } from '../../include/linux/errno.ts'
import { ETH_ALEN, is_valid_ether_addr } from '../../include/linux/if_ether.ts'
import { module_init } from '../../include/linux/init.ts'
import * as F from '../../include/linux/netdev_features.ts'
import {
  NETDEV_PCPU_STAT_LSTATS,
  type net_device,
  type net_device_ops,
  type rtnl_link_stats64,
} from '../../include/linux/netdevice.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import type { rtnl_link_attrs, rtnl_link_ops } from '../../include/net/rtnetlink.ts'
import { dev_lstats_add, netif_carrier_off, netif_carrier_on } from '../../net/core/dev.ts'
import { rtnl_link_register } from '../../net/core/rtnetlink.ts'
import { consume_skb } from '../../net/core/skbuff.ts'
import { skb_tx_timestamp } from '../../net/core/timestamping.ts'
import { eth_hw_addr_random, eth_mac_addr, eth_validate_addr, ether_setup } from '../../net/ethernet/eth.ts'
import { dev_lstats_read } from './loopback.ts'

const dummy_get_stats64 = kfunc('dummy_get_stats64', (dev: net_device, stats: rtnl_link_stats64): void => {
  const packets = { v: 0 }
  const bytes = { v: 0 }
  dev_lstats_read(dev, packets, bytes)
  stats.tx_packets = packets.v
  stats.tx_bytes = bytes.v
})

/** counts it, and that is all */
export const dummy_xmit = kfunc('dummy_xmit', (skb: sk_buff, dev: net_device): number => {
  dev_lstats_add(dev, skb.len)
  skb_tx_timestamp(skb)
  consume_skb(skb)
  return NETDEV_TX_OK
})

const dummy_dev_init = kfunc('dummy_dev_init', (dev: net_device): number => {
  dev.pcpu_stat_type = NETDEV_PCPU_STAT_LSTATS
  return 0
})

const dummy_change_carrier = kfunc('dummy_change_carrier', (dev: net_device, new_carrier: boolean): number => {
  if (new_carrier) netif_carrier_on(dev)
  else netif_carrier_off(dev)
  return 0
})

const set_multicast_list = (_dev: net_device): void => {}

let dummy_netdev_ops: net_device_ops

const dummy_setup = kfunc('dummy_setup', (dev: net_device): void => {
  ether_setup(dev)
  dev.netdev_ops = dummy_netdev_ops
  dev.needs_free_netdev = true
  dev.flags |= IFF_NOARP
  dev.flags &= ~IFF_MULTICAST
  dev.priv_flags |= IFF_LIVE_ADDR_CHANGE | IFF_NO_QUEUE
  dev.lltx = true
  dev.features |=
    F.NETIF_F_SG | F.NETIF_F_FRAGLIST | F.NETIF_F_GSO_SOFTWARE | F.NETIF_F_HW_CSUM | F.NETIF_F_HIGHDMA | F.NETIF_F_GSO_ENCAP_ALL
  dev.hw_features |= dev.features
  dev.hw_enc_features |= dev.features
  eth_hw_addr_random(dev)
  dev.min_mtu = 0
  dev.max_mtu = 0
})

const dummy_validate = kfunc('dummy_validate', (tb: rtnl_link_attrs, _data: unknown, _extack: null): number => {
  if (tb.address === undefined) return 0
  if (tb.address.length !== ETH_ALEN) return -EINVAL
  return is_valid_ether_addr(tb.address) ? 0 : -EADDRNOTAVAIL
})

module_init(() => {
  dummy_netdev_ops = {
    ndo_init: dummy_dev_init,
    ndo_start_xmit: dummy_xmit,
    ndo_validate_addr: eth_validate_addr,
    ndo_set_rx_mode: set_multicast_list,
    ndo_set_mac_address: eth_mac_addr,
    ndo_get_stats64: dummy_get_stats64,
    ndo_change_carrier: dummy_change_carrier,
  }
  const dummy_link_ops: rtnl_link_ops = { kind: 'dummy', priv_size: 0, setup: dummy_setup, validate: dummy_validate }
  rtnl_link_register(dummy_link_ops)
})
