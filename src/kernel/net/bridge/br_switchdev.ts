import { kfunc } from '../../../trace/kfunc.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { BR_INPUT_SKB_CB, type net_bridge, type net_bridge_fdb_entry, type net_bridge_port } from './br_private.ts'

// No port here is one of a switch in hardware: nothing is left to it.

export const br_switchdev_frame_set_offload_fwd_mark = kfunc(
  'br_switchdev_frame_set_offload_fwd_mark',
  (_skb: sk_buff): void => {},
)
export const nbp_switchdev_frame_mark_tx_fwd_offload = kfunc(
  'nbp_switchdev_frame_mark_tx_fwd_offload',
  (_p: net_bridge_port, _skb: sk_buff): void => {},
)
export const nbp_switchdev_frame_mark_tx_fwd_to_hwdom = kfunc(
  'nbp_switchdev_frame_mark_tx_fwd_to_hwdom',
  (_p: net_bridge_port, _skb: sk_buff): void => {},
)
export const nbp_switchdev_frame_mark = kfunc('nbp_switchdev_frame_mark', (p: net_bridge_port, skb: sk_buff): void => {
  if (p.hwdom) BR_INPUT_SKB_CB(skb).src_hwdom = p.hwdom
})
export const nbp_switchdev_allowed_egress = kfunc(
  'nbp_switchdev_allowed_egress',
  (_p: net_bridge_port, _skb: sk_buff): boolean => true,
)
export const br_switchdev_fdb_notify = kfunc(
  'br_switchdev_fdb_notify',
  (_br: net_bridge, _fdb: net_bridge_fdb_entry, _type: number): void => {},
)
