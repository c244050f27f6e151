import { kfunc } from '../../../trace/kfunc.ts'
import { EINVAL, ENOMSG } from '../../include/linux/errno.ts'
import { ETH_P_IP } from '../../include/linux/if_ether.ts'
import { INADDR_ALLSNOOPERS_GROUP, ipv4_is_local_multicast } from '../../include/linux/in.ts'
import { ip_hdr } from '../../include/linux/ip.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC, GFP_KERNEL } from '../../include/linux/slab.ts'
import { pskb_may_pull } from '../core/skbuff.ts'
import { in_dev_get, in_dev_put } from '../ipv4/devinet.ts'
import { __ip_mc_dec_group, __ip_mc_inc_group } from '../ipv4/igmp.ts'
import { BR_INPUT_SKB_CB, BR_MCAST_DIR_RX, is_igmp, type net_bridge, type net_bridge_port } from './br_private.ts'

// IGMP snooping. A bridge sends no queries unless it is told to, and no host here does: without a querier Linux floods groups to
// all ports whatever was reported, so memberships are read but not kept.

/** what a message of IGMP is; -ENOMSG when it is none, -EINVAL when it is broken */
export const ip_mc_check_igmp = kfunc('ip_mc_check_igmp', (skb: sk_buff): number => {
  const iph = ip_hdr(skb)
  if (iph.version !== 4 || iph.ihl < 5) return -EINVAL
  if (!is_igmp(skb)) return -ENOMSG
  const at = skb.network_header + iph.ihl * 4
  if (!pskb_may_pull(skb, at - skb.data + 8)) return -EINVAL
  skb.transport_header = at
  return 0
})

const br_multicast_ipv4_rcv = kfunc(
  'br_multicast_ipv4_rcv',
  (br: net_bridge, p: net_bridge_port | null, skb: sk_buff, _vid: number): number => {
    const err = ip_mc_check_igmp(skb)
    if (err === -ENOMSG) {
      if (!ipv4_is_local_multicast(ip_hdr(skb).daddr)) BR_INPUT_SKB_CB(skb).mrouters_only = 1
      return 0
    }
    if (err < 0) return err
    const type = skb.head.bytes[skb.transport_header] ?? 0
    BR_INPUT_SKB_CB(skb).igmp = type
    if (type === 0x12 || type === 0x16) BR_INPUT_SKB_CB(skb).mrouters_only = 1
    br_multicast_count(br, p, skb, type, BR_MCAST_DIR_RX)
    return 0
  },
)

export const br_multicast_rcv = kfunc(
  'br_multicast_rcv',
  (br: net_bridge, p: net_bridge_port | null, _vlan: null, skb: sk_buff, vid: number): number => {
    BR_INPUT_SKB_CB(skb).igmp = 0
    BR_INPUT_SKB_CB(skb).mrouters_only = 0
    if (!br.multicast_enabled) return 0
    return skb.protocol === ETH_P_IP ? br_multicast_ipv4_rcv(br, p, skb, vid) : 0
  },
)

const br_mdb_ip_get_rcu = kfunc('br_mdb_ip_get_rcu', (_br: net_bridge, _dst: number): null => null)
export const br_mdb_entry_skb_get = kfunc('br_mdb_entry_skb_get', (br: net_bridge, skb: sk_buff, _vid: number): null => {
  if (!br.multicast_enabled || BR_INPUT_SKB_CB(skb).igmp) return null
  return br_mdb_ip_get_rcu(br, skb.protocol === ETH_P_IP ? ip_hdr(skb).daddr : 0)
})

export const br_multicast_count = kfunc(
  'br_multicast_count',
  (_br: net_bridge, _p: net_bridge_port | null, _skb: sk_buff, _type: number, _dir: number): void => {},
)

const br_ip4_multicast_join_snoopers = kfunc('br_ip4_multicast_join_snoopers', (br: net_bridge): void => {
  const in_dev = in_dev_get(br.dev)
  if (in_dev === null) return
  __ip_mc_inc_group(in_dev, INADDR_ALLSNOOPERS_GROUP, GFP_ATOMIC)
  in_dev_put(in_dev)
})
/** so that switches beyond let the bridge hear what groups are asked for */
export const br_multicast_join_snoopers = kfunc('br_multicast_join_snoopers', (br: net_bridge): void =>
  br_ip4_multicast_join_snoopers(br),
)
const br_ip4_multicast_leave_snoopers = kfunc('br_ip4_multicast_leave_snoopers', (br: net_bridge): void => {
  const in_dev = in_dev_get(br.dev)
  if (in_dev === null) return
  __ip_mc_dec_group(in_dev, INADDR_ALLSNOOPERS_GROUP, GFP_KERNEL)
  in_dev_put(in_dev)
})
export const br_multicast_leave_snoopers = kfunc('br_multicast_leave_snoopers', (br: net_bridge): void =>
  br_ip4_multicast_leave_snoopers(br),
)
