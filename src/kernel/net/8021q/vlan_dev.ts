import { kfunc } from '../../../trace/kfunc.ts'
import {
  __LINK_STATE_DORMANT,
  __LINK_STATE_NOCARRIER,
  __LINK_STATE_PRESENT,
  ETH_MAX_MTU,
  IFF_802_1Q_VLAN,
  IFF_ALLMULTI,
  IFF_MASTER,
  IFF_NO_QUEUE,
  IFF_PROMISC,
  IFF_SLAVE,
  IFF_TX_SKB_SHARING,
  IFF_UNICAST_FLT,
  IFF_UP,
  NET_XMIT_CN,
  NET_XMIT_SUCCESS,
} from '../../include/generated/enums.ts'
import { EADDRNOTAVAIL, ENETDOWN, ENOMEM, ERANGE } from '../../include/linux/errno.ts'
import { ETH_P_802_2, ETH_P_802_3, is_valid_ether_addr, is_zero_ether_addr } from '../../include/linux/if_ether.ts'
import {
  __vlan_hwaccel_put_tag,
  VLAN_FLAG_LOOSE_BINDING,
  VLAN_FLAG_REORDER_HDR,
  VLAN_HLEN,
  vlan_dev_priv,
  vlan_dev_priv_t,
} from '../../include/linux/if_vlan.ts'
import { module_init } from '../../include/linux/init.ts'
import * as F from '../../include/linux/netdev_features.ts'
import {
  type header_ops,
  NET_ADDR_STOLEN,
  type net_device,
  type net_device_ops,
  type netdev_features_t,
} from '../../include/linux/netdevice.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import {
  dev_hard_header,
  dev_hold,
  dev_put,
  dev_queue_xmit,
  dev_set_allmulti,
  dev_set_promiscuity,
  netdev_intersect_features,
  netif_carrier_off,
  netif_carrier_ok,
  netif_carrier_on,
  netif_inherit_tso_max,
  netif_keep_dst,
} from '../core/dev.ts'
import { dev_mc_sync, dev_mc_unsync } from '../core/dev_addr_lists.ts'
import { skb_cow_head, skb_push } from '../core/skbuff.ts'
import { eth_header_parse, eth_header_parse_protocol, eth_hw_addr_set, ether_setup } from '../ethernet/eth.ts'

const vlan_dev_get_egress_qos_mask = kfunc(
  'vlan_dev_get_egress_qos_mask',
  (dev: net_device, skprio: number): number => vlan_dev_priv(dev).egress_priority_map.get(skprio) ?? 0,
)

/** the header of the device below; the tag comes when the frame is sent, unless the VLAN is told to leave headers as they are */
const vlan_dev_hard_header = kfunc(
  'vlan_dev_hard_header',
  (skb: sk_buff, dev: net_device, proto: number, daddr: Uint8Array | null, saddr: Uint8Array | null, len: number): number => {
    const vlan = vlan_dev_priv(dev)
    let type = proto
    let vhdrlen = 0
    if (!(vlan.flags & VLAN_FLAG_REORDER_HDR)) {
      if (skb_cow_head(skb, dev.hard_header_len + dev.needed_headroom) < 0) return -ENOMEM
      const at = skb_push(skb, VLAN_HLEN)
      const b = skb.head.bytes
      const tci = vlan.vlan_id | vlan_dev_get_egress_qos_mask(dev, skb.priority)
      const inner = type !== ETH_P_802_3 && type !== ETH_P_802_2 ? type : len
      b[at] = tci >> 8
      b[at + 1] = tci
      b[at + 2] = inner >> 8
      b[at + 3] = inner
      skb.protocol = vlan.vlan_proto
      type = vlan.vlan_proto
      vhdrlen = VLAN_HLEN
    }
    const rc = dev_hard_header(skb, vlan.real_dev, type, daddr, saddr ?? dev.dev_addr, len + vhdrlen)
    return rc > 0 ? rc + vhdrlen : rc
  },
)

/** puts the tag beside the frame and sends it by the device below */
const vlan_dev_hard_start_xmit = kfunc('vlan_dev_hard_start_xmit', (skb: sk_buff, dev: net_device): number => {
  const vlan = vlan_dev_priv(dev)
  const { len } = skb
  const b = skb.head.bytes
  const proto = ((b[skb.data + 12] ?? 0) << 8) | (b[skb.data + 13] ?? 0)
  if (vlan.flags & VLAN_FLAG_REORDER_HDR || proto !== vlan.vlan_proto)
    __vlan_hwaccel_put_tag(skb, vlan.vlan_proto, vlan.vlan_id | vlan_dev_get_egress_qos_mask(dev, skb.priority))
  skb.dev = vlan.real_dev
  const ret = dev_queue_xmit(skb)
  if (ret === NET_XMIT_SUCCESS || ret === NET_XMIT_CN) {
    dev.stats.tx_packets++
    dev.stats.tx_bytes += len
  } else dev.stats.tx_dropped++
  return ret
})

const vlan_dev_change_mtu = kfunc('vlan_dev_change_mtu', (dev: net_device, new_mtu: number): number => {
  if (vlan_dev_priv(dev).real_dev.mtu < new_mtu) return -ERANGE
  dev.mtu = new_mtu
  return 0
})

const vlan_dev_open = kfunc('vlan_dev_open', (dev: net_device): number => {
  const vlan = vlan_dev_priv(dev)
  const { real_dev } = vlan
  if (!(real_dev.flags & IFF_UP) && !(vlan.flags & VLAN_FLAG_LOOSE_BINDING)) return -ENETDOWN
  if (dev.flags & IFF_ALLMULTI) dev_set_allmulti(real_dev, 1)
  if (dev.flags & IFF_PROMISC) dev_set_promiscuity(real_dev, 1)
  if (netif_carrier_ok(real_dev)) netif_carrier_on(dev)
  return 0
})
const vlan_dev_stop = kfunc('vlan_dev_stop', (dev: net_device): number => {
  const { real_dev } = vlan_dev_priv(dev)
  dev_mc_unsync(real_dev, dev)
  if (dev.flags & IFF_ALLMULTI) dev_set_allmulti(real_dev, -1)
  if (dev.flags & IFF_PROMISC) dev_set_promiscuity(real_dev, -1)
  netif_carrier_off(dev)
  return 0
})
const vlan_dev_set_mac_address = kfunc('vlan_dev_set_mac_address', (dev: net_device, addr: Uint8Array): number => {
  if (!is_valid_ether_addr(addr)) return -EADDRNOTAVAIL
  eth_hw_addr_set(dev, addr)
  return 0
})
const vlan_dev_change_rx_flags = kfunc('vlan_dev_change_rx_flags', (dev: net_device, change: number): void => {
  const { real_dev } = vlan_dev_priv(dev)
  if (!(dev.flags & IFF_UP)) return
  if (change & IFF_ALLMULTI) dev_set_allmulti(real_dev, dev.flags & IFF_ALLMULTI ? 1 : -1)
  if (change & IFF_PROMISC) dev_set_promiscuity(real_dev, dev.flags & IFF_PROMISC ? 1 : -1)
})
const vlan_dev_set_rx_mode = kfunc('vlan_dev_set_rx_mode', (dev: net_device): void => {
  dev_mc_sync(vlan_dev_priv(dev).real_dev, dev)
})
const vlan_dev_get_iflink = kfunc('vlan_dev_get_iflink', (dev: net_device): number => vlan_dev_priv(dev).real_dev.ifindex)

const vlan_dev_fix_features = kfunc('vlan_dev_fix_features', (dev: net_device, old: netdev_features_t): netdev_features_t => {
  const { real_dev } = vlan_dev_priv(dev)
  let lower = netdev_intersect_features(real_dev.vlan_features | F.NETIF_F_RXCSUM, real_dev.features)
  if (lower & (F.NETIF_F_IP_CSUM | F.NETIF_F_IPV6_CSUM)) lower |= F.NETIF_F_HW_CSUM
  return netdev_intersect_features(old, lower) | (old & (F.NETIF_F_SOFT_FEATURES | F.NETIF_F_GSO_SOFTWARE))
})

const vlan_dev_init = kfunc('vlan_dev_init', (dev: net_device): number => {
  const vlan = vlan_dev_priv(dev)
  const { real_dev } = vlan
  netif_carrier_off(dev)
  dev.flags = real_dev.flags & ~(IFF_UP | IFF_PROMISC | IFF_ALLMULTI | IFF_MASTER | IFF_SLAVE)
  dev.state = (real_dev.state & ((1 << __LINK_STATE_NOCARRIER) | (1 << __LINK_STATE_DORMANT))) | (1 << __LINK_STATE_PRESENT)
  dev.hw_features =
    F.NETIF_F_HW_CSUM |
    F.NETIF_F_SG |
    F.NETIF_F_FRAGLIST |
    F.NETIF_F_GSO_SOFTWARE |
    F.NETIF_F_GSO_ENCAP_ALL |
    F.NETIF_F_HIGHDMA |
    F.NETIF_F_SCTP_CRC |
    F.NETIF_F_FCOE_CRC |
    F.NETIF_F_FSO
  dev.features |= dev.hw_features
  dev.lltx = true
  dev.fcoe_mtu = true
  netif_inherit_tso_max(dev, real_dev)
  dev.vlan_features = real_dev.vlan_features & ~(F.NETIF_F_FCOE_CRC | F.NETIF_F_FSO)
  dev.hw_enc_features = real_dev.hw_enc_features
  dev.mpls_features = real_dev.mpls_features
  if (is_zero_ether_addr(dev.dev_addr)) {
    eth_hw_addr_set(dev, real_dev.dev_addr)
    dev.addr_assign_type = NET_ADDR_STOLEN
  }
  if (is_zero_ether_addr(dev.broadcast)) dev.broadcast = real_dev.broadcast.slice()
  dev.needed_headroom = real_dev.needed_headroom + VLAN_HLEN
  dev.needed_tailroom = real_dev.needed_tailroom
  dev.header_ops = vlan_header_ops
  dev.hard_header_len = real_dev.hard_header_len
  dev.netdev_ops = vlan_netdev_ops
  dev_hold(real_dev)
  return 0
})
const vlan_dev_free = kfunc('vlan_dev_free', (dev: net_device): void => dev_put(vlan_dev_priv(dev).real_dev))

let vlan_header_ops: header_ops
let vlan_netdev_ops: net_device_ops

export const vlan_setup = kfunc('vlan_setup', (dev: net_device): void => {
  dev.priv = new vlan_dev_priv_t()
  ether_setup(dev)
  dev.priv_flags |= IFF_802_1Q_VLAN | IFF_NO_QUEUE | IFF_UNICAST_FLT
  dev.priv_flags &= ~IFF_TX_SKB_SHARING
  netif_keep_dst(dev)
  dev.netdev_ops = vlan_netdev_ops
  dev.needs_free_netdev = true
  dev.priv_destructor = vlan_dev_free
  dev.min_mtu = 0
  dev.max_mtu = ETH_MAX_MTU
  dev.broadcast = new Uint8Array(6)
})

module_init(() => {
  vlan_header_ops = { create: vlan_dev_hard_header, parse: eth_header_parse, parse_protocol: eth_header_parse_protocol }
  vlan_netdev_ops = {
    ndo_change_mtu: vlan_dev_change_mtu,
    ndo_init: vlan_dev_init,
    ndo_open: vlan_dev_open,
    ndo_stop: vlan_dev_stop,
    ndo_start_xmit: vlan_dev_hard_start_xmit,
    ndo_set_mac_address: vlan_dev_set_mac_address,
    ndo_set_rx_mode: vlan_dev_set_rx_mode,
    ndo_change_rx_flags: vlan_dev_change_rx_flags,
    ndo_fix_features: vlan_dev_fix_features,
    ndo_get_iflink: vlan_dev_get_iflink,
  }
})
