import { ETH_P_8021AD, ETH_P_8021Q, NETIF_F_HW_VLAN_CTAG_TX, NETIF_F_HW_VLAN_STAG_TX } from '../generated/enums.ts'
import type { net_device, netdev_features_t } from './netdevice.ts'
import type { sk_buff } from './skbuff.ts'

export const VLAN_HLEN = 4
export const VLAN_ETH_HLEN = 18
export const VLAN_VID_MASK = 0x0fff
export const VLAN_N_VID = 4096
export const VLAN_PRIO_MASK = 0xe000
export const VLAN_PRIO_SHIFT = 13
export const VLAN_FLAG_REORDER_HDR = 1
export const VLAN_FLAG_GVRP = 2
export const VLAN_FLAG_LOOSE_BINDING = 4
export const VLAN_FLAG_MVRP = 8
export const VLAN_FLAG_BRIDGE_BINDING = 16

const CTAG_TX = BigInt(NETIF_F_HW_VLAN_CTAG_TX)
const STAG_TX = BigInt(NETIF_F_HW_VLAN_STAG_TX)

export const eth_type_vlan = (ethertype: number): boolean => ethertype === ETH_P_8021Q || ethertype === ETH_P_8021AD
export const skb_vlan_tag_present = (skb: sk_buff): boolean => skb.vlan_proto !== 0
export const skb_vlan_tag_get = (skb: sk_buff): number => skb.vlan_tci
export const skb_vlan_tag_get_id = (skb: sk_buff): number => skb.vlan_tci & VLAN_VID_MASK
export const __vlan_hwaccel_clear_tag = (skb: sk_buff): void => {
  skb.vlan_proto = 0
  skb.vlan_tci = 0
}
export const __vlan_hwaccel_put_tag = (skb: sk_buff, vlan_proto: number, vlan_tci: number): void => {
  skb.vlan_proto = vlan_proto
  skb.vlan_tci = vlan_tci
}
export const vlan_hw_offload_capable = (features: netdev_features_t, proto: number): boolean =>
  (proto === ETH_P_8021Q && (features & CTAG_TX) !== 0n) || (proto === ETH_P_8021AD && (features & STAG_TX) !== 0n)

/** struct vlan_info: the VLANs on a device, by protocol and id */
export class vlan_info {
  readonly real_dev: net_device
  readonly devices: Map<number, net_device> = new Map<number, net_device>()

  constructor(real_dev: net_device) {
    this.real_dev = real_dev
  }
}
export const vlan_key = (vlan_proto: number, vlan_id: number): number => vlan_proto * VLAN_N_VID + vlan_id

/** struct vlan_dev_priv */
export class vlan_dev_priv_t {
  nr_ingress_mappings = 0
  ingress_priority_map: number[] = [0, 0, 0, 0, 0, 0, 0, 0]
  nr_egress_mappings = 0
  readonly egress_priority_map: Map<number, number> = new Map<number, number>()
  vlan_proto = 0
  vlan_id = 0
  flags = 0
  real_dev!: net_device
}
export const vlan_dev_priv = (dev: net_device): vlan_dev_priv_t => dev.priv as vlan_dev_priv_t
