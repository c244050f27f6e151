import { kfunc } from '../../../trace/kfunc.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { BR_INPUT_SKB_CB, type net_bridge, type net_bridge_port } from './br_private.ts'

// A bridge here does not look at VLAN tags (vlan_filtering 0): a tagged frame passes as it is.

export const br_allowed_ingress = kfunc(
  'br_allowed_ingress',
  (_br: net_bridge, _vg: null, skb: sk_buff, _vid: null, _state: null, _vlan: null): boolean => {
    BR_INPUT_SKB_CB(skb).vlan_filtered = false
    return true
  },
)
export const br_allowed_egress = kfunc(
  'br_allowed_egress',
  (_vg: null, skb: sk_buff): boolean => !BR_INPUT_SKB_CB(skb).vlan_filtered,
)
export const br_handle_vlan = kfunc(
  'br_handle_vlan',
  (_br: net_bridge, _p: net_bridge_port | null, _vg: null, skb: sk_buff): sk_buff | null => skb,
)
