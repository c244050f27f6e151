import { kfunc } from '../../../trace/kfunc.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { RTM_DELNEIGH } from '../../include/net/neighbour.ts'
import {
  call_switchdev_notifiers,
  SWITCHDEV_FDB_ADD_TO_DEVICE,
  SWITCHDEV_FDB_DEL_TO_DEVICE,
  type switchdev_notifier_info,
} from '../switchdev/switchdev.ts'
import {
  BR_FDB_ADDED_BY_USER,
  BR_FDB_LOCAL,
  BR_FDB_STATIC,
  BR_INPUT_SKB_CB,
  type net_bridge,
  type net_bridge_fdb_entry,
  type net_bridge_port,
} from './br_private.ts'

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
const br_switchdev_fdb_populate = kfunc(
  'br_switchdev_fdb_populate',
  (br: net_bridge, item: switchdev_notifier_info, fdb: net_bridge_fdb_entry, _ctx: null): void => {
    item.dev = fdb.dst === null || fdb.flags & BR_FDB_LOCAL ? br.dev : fdb.dst.dev
  },
)
export const br_switchdev_fdb_notify = kfunc(
  'br_switchdev_fdb_notify',
  (br: net_bridge, fdb: net_bridge_fdb_entry, type: number): void => {
    // drivers would not know what to do with these: `bridge fdb add ... master dynamic`
    if (fdb.flags & BR_FDB_ADDED_BY_USER && !(fdb.flags & BR_FDB_STATIC)) return
    const item: switchdev_notifier_info = { dev: br.dev }
    br_switchdev_fdb_populate(br, item, fdb, null)
    const val = type === RTM_DELNEIGH ? SWITCHDEV_FDB_DEL_TO_DEVICE : SWITCHDEV_FDB_ADD_TO_DEVICE
    call_switchdev_notifiers(val, item.dev, item, null)
  },
)
