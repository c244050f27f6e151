import { kfunc } from '../../../trace/kfunc.ts'
import { IFF_BRIDGE_PORT, IFF_UP, PACKET_HOST, PACKET_MULTICAST, PACKET_OTHERHOST } from '../../include/generated/enums.ts'
import { EINVAL, ENOMEM } from '../../include/linux/errno.ts'
import { ETH_HLEN, ETH_P_8021Q, ether_addr_equal } from '../../include/linux/if_ether.ts'
import {
  __vlan_hwaccel_clear_tag,
  skb_vlan_tag_get,
  skb_vlan_tag_get_id,
  VLAN_FLAG_REORDER_HDR,
  VLAN_HLEN,
  VLAN_PRIO_SHIFT,
  vlan_dev_priv,
  type vlan_info,
  vlan_key,
} from '../../include/linux/if_vlan.ts'
import { NETIF_F_HW_VLAN_CTAG_FILTER } from '../../include/linux/netdev_features.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import { type sk_buff, skb_mac_header_was_set, skb_reset_mac_len } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import type { ref } from '../../include/linux/types.ts'
import { dev_kfree_skb_any } from '../core/dev.ts'
import { kfree_skb, pskb_may_pull, skb_cow_head, skb_pull, skb_push, skb_share_check } from '../core/skbuff.ts'
import { eth_hdr } from '../ethernet/eth.ts'

const ETH_TLEN = 2

// ---- include/linux/if_vlan.h

const __vlan_insert_inner_tag = kfunc(
  '__vlan_insert_inner_tag',
  (skb: sk_buff, vlan_proto: number, vlan_tci: number, mac_len: number): number => {
    if (!pskb_may_pull(skb, mac_len)) return -EINVAL
    if (skb_cow_head(skb, VLAN_HLEN) < 0) return -ENOMEM
    skb_push(skb, VLAN_HLEN)
    const b = skb.head.bytes
    const at = skb.data
    if (mac_len > ETH_TLEN) b.copyWithin(at, at + VLAN_HLEN, at + VLAN_HLEN + mac_len - ETH_TLEN)
    if (skb_mac_header_was_set(skb)) skb.mac_header -= VLAN_HLEN
    const veth = at + mac_len - ETH_HLEN
    if (mac_len >= ETH_TLEN) {
      b[veth + 12] = vlan_proto >> 8
      b[veth + 13] = vlan_proto
    } else {
      b[veth + 16] = skb.protocol >> 8
      b[veth + 17] = skb.protocol
    }
    b[veth + 14] = vlan_tci >> 8
    b[veth + 15] = vlan_tci
    return 0
  },
)
const vlan_insert_inner_tag = kfunc(
  'vlan_insert_inner_tag',
  (skb: sk_buff, vlan_proto: number, vlan_tci: number, mac_len: number): sk_buff | null => {
    if (!__vlan_insert_inner_tag(skb, vlan_proto, vlan_tci, mac_len)) return skb
    dev_kfree_skb_any(skb)
    return null
  },
)
export const vlan_insert_tag = kfunc('vlan_insert_tag', (skb: sk_buff, vlan_proto: number, vlan_tci: number): sk_buff | null =>
  vlan_insert_inner_tag(skb, vlan_proto, vlan_tci, ETH_HLEN),
)
export const vlan_insert_tag_set_proto = kfunc(
  'vlan_insert_tag_set_proto',
  (first: sk_buff, vlan_proto: number, vlan_tci: number): sk_buff | null => {
    const skb = vlan_insert_tag(first, vlan_proto, vlan_tci)
    if (skb !== null) skb.protocol = vlan_proto
    return skb
  },
)
/** the tag that rode beside the frame goes into it */
export const __vlan_hwaccel_push_inside = kfunc('__vlan_hwaccel_push_inside', (first: sk_buff): sk_buff | null => {
  const skb = vlan_insert_tag_set_proto(first, first.vlan_proto, skb_vlan_tag_get(first))
  if (skb !== null) __vlan_hwaccel_clear_tag(skb)
  return skb
})

// ---- net/8021q/vlan_core.c

/** tells a card that filters by VLAN that frames of this one are wanted, or not any more */
export const vlan_vid_add = kfunc('vlan_vid_add', (dev: net_device, proto: number, vid: number): number => {
  const { ndo_vlan_rx_add_vid } = dev.netdev_ops
  if (!(dev.features & NETIF_F_HW_VLAN_CTAG_FILTER) || proto !== ETH_P_8021Q || !ndo_vlan_rx_add_vid) return 0
  return ndo_vlan_rx_add_vid(dev, proto, vid)
})
export const vlan_vid_del = kfunc('vlan_vid_del', (dev: net_device, proto: number, vid: number): void => {
  if (dev.features & NETIF_F_HW_VLAN_CTAG_FILTER && proto === ETH_P_8021Q) dev.netdev_ops.ndo_vlan_rx_kill_vid?.(dev, proto, vid)
})
export const vlan_find_dev = (real_dev: net_device, vlan_proto: number, vlan_id: number): net_device | null =>
  (real_dev.vlan_info as vlan_info | null)?.devices.get(vlan_key(vlan_proto, vlan_id)) ?? null

const vlan_get_ingress_priority = (dev: net_device, vlan_tci: number): number =>
  vlan_dev_priv(dev).ingress_priority_map[(vlan_tci >> VLAN_PRIO_SHIFT) & 7] ?? 0

/** Gives a tagged frame to the VLAN that it is for. False: there is none, or (with null left behind) the frame is gone. */
export const vlan_do_receive = kfunc('vlan_do_receive', (skbp: ref<sk_buff | null>): boolean => {
  const first = skbp.v as sk_buff
  const { vlan_proto } = first
  const vlan_dev = vlan_find_dev(first.dev as net_device, vlan_proto, skb_vlan_tag_get_id(first))
  if (vlan_dev === null) return false
  let skb = skb_share_check(first, GFP_ATOMIC)
  skbp.v = skb
  if (skb === null) return false
  if (!(vlan_dev.flags & IFF_UP)) {
    kfree_skb(skb)
    skbp.v = null
    return false
  }
  skb.dev = vlan_dev
  // the device below took it for somebody else's: the VLAN may have an address of its own
  if (skb.pkt_type === PACKET_OTHERHOST && ether_addr_equal(eth_hdr(skb).h_dest, vlan_dev.dev_addr)) skb.pkt_type = PACKET_HOST
  if (!(vlan_dev_priv(vlan_dev).flags & VLAN_FLAG_REORDER_HDR) && !(vlan_dev.priv_flags & IFF_BRIDGE_PORT)) {
    const offset = skb.data - skb.mac_header
    skb_push(skb, offset)
    skb = vlan_insert_inner_tag(skb, skb.vlan_proto, skb.vlan_tci, skb.mac_len)
    skbp.v = skb
    if (skb === null) return false
    skb_pull(skb, offset + VLAN_HLEN)
    skb_reset_mac_len(skb)
  }
  skb.priority = vlan_get_ingress_priority(vlan_dev, skb.vlan_tci)
  __vlan_hwaccel_clear_tag(skb)
  vlan_dev.stats.rx_packets++
  vlan_dev.stats.rx_bytes += skb.len
  if (skb.pkt_type === PACKET_MULTICAST) vlan_dev.stats.multicast++
  return true
})
