import { kfunc } from '../../../trace/kfunc.ts'
import { decide, tracer } from '../../../trace/tracer.ts'
import { NFPROTO_BRIDGE } from '../../include/generated/enums.ts'
import { ENOMEM } from '../../include/linux/errno.ts'
import { ETH_HLEN } from '../../include/linux/if_ether.ts'
import { eth_type_vlan } from '../../include/linux/if_vlan.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import { CHECKSUM_PARTIAL, type sk_buff, skb_set_network_header } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import { IS_ERR, type ref } from '../../include/linux/types.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { sock } from '../../include/net/sock.ts'
import { dev_queue_xmit, is_skb_forwardable, vlan_get_protocol_and_depth } from '../core/dev.ts'
import { kfree_skb, skb_clear_tstamp, skb_clone, skb_forward_csum, skb_push } from '../core/skbuff.ts'
import { NF_HOOK, NF_HOOK_any } from '../netfilter/core.ts'
import { br_multicast_count } from './br_multicast.ts'
import {
  BR_BCAST_FLOOD,
  BR_FLOOD,
  BR_HAIRPIN_MODE,
  BR_INPUT_SKB_CB,
  BR_MCAST_DIR_TX,
  BR_MCAST_FLOOD,
  BR_PKT_BROADCAST,
  BR_PKT_MULTICAST,
  BR_PKT_UNICAST,
  BR_STATE_FORWARDING,
  br_multicast_igmp_type,
  br_skb_isolated,
  type net_bridge,
  type net_bridge_port,
} from './br_private.ts'
import {
  br_switchdev_frame_set_offload_fwd_mark,
  nbp_switchdev_allowed_egress,
  nbp_switchdev_frame_mark_tx_fwd_offload,
  nbp_switchdev_frame_mark_tx_fwd_to_hwdom,
} from './br_switchdev.ts'
import { br_allowed_egress, br_handle_vlan } from './br_vlan.ts'

export const NF_BR_PRE_ROUTING = 0
export const NF_BR_LOCAL_IN = 1
export const NF_BR_FORWARD = 2
export const NF_BR_LOCAL_OUT = 3
export const NF_BR_POST_ROUTING = 4

/** not back to where it came from, and not to a port that does not forward */
const should_deliver = kfunc(
  'should_deliver',
  (p: net_bridge_port, skb: sk_buff): boolean =>
    ((p.flags & BR_HAIRPIN_MODE) !== 0 || skb.dev !== p.dev) &&
    p.state === BR_STATE_FORWARDING &&
    br_allowed_egress(null, skb) &&
    nbp_switchdev_allowed_egress(p, skb) &&
    !br_skb_isolated(p, skb),
)

export const br_dev_queue_push_xmit = kfunc('br_dev_queue_push_xmit', (_n: net, _sk: sock | null, skb: sk_buff): number => {
  skb_push(skb, ETH_HLEN)
  if (!is_skb_forwardable(skb.dev as net_device, skb)) {
    kfree_skb(skb)
    return 0
  }
  if (skb.ip_summed === CHECKSUM_PARTIAL && eth_type_vlan(skb.protocol)) {
    const depth: ref<number> = { v: 0 }
    if (!vlan_get_protocol_and_depth(skb, skb.protocol, depth)) {
      kfree_skb(skb)
      return 0
    }
    skb_set_network_header(skb, depth.v)
  }
  br_switchdev_frame_set_offload_fwd_mark(skb)
  dev_queue_xmit(skb)
  return 0
})

export const br_forward_finish = kfunc('br_forward_finish', (n: net, sk: sock | null, skb: sk_buff): number => {
  skb_clear_tstamp(skb)
  return NF_HOOK(NFPROTO_BRIDGE, NF_BR_POST_ROUTING, n, sk, skb, null, skb.dev, br_dev_queue_push_xmit)
})

const __br_forward = kfunc('__br_forward', (to: net_bridge_port, first: sk_buff, local_orig: boolean): void => {
  nbp_switchdev_frame_mark_tx_fwd_offload(to, first)
  const skb = br_handle_vlan(to.br, to, null, first)
  if (skb === null) return
  let indev = skb.dev
  skb.dev = to.dev
  let hook = NF_BR_LOCAL_OUT
  let n = to.dev.nd_net
  if (local_orig) indev = null
  else {
    hook = NF_BR_FORWARD
    skb_forward_csum(skb)
    if (indev !== null) n = indev.nd_net
  }
  NF_HOOK_any(NFPROTO_BRIDGE, hook, n, null, skb, indev, skb.dev, br_forward_finish)
})

const deliver_clone = kfunc('deliver_clone', (prev: net_bridge_port, skb: sk_buff, local_orig: boolean): number => {
  const { brdev } = BR_INPUT_SKB_CB(skb)
  const copy = skb_clone(skb, GFP_ATOMIC)
  if (copy === null) {
    if (brdev !== null) brdev.stats.tx_dropped++
    return -ENOMEM
  }
  copy.cb = Object.assign(Object.create(Object.getPrototypeOf(skb.cb)), skb.cb)
  __br_forward(prev, copy, local_orig)
  return 0
})

/** to one port; with `local_rcv` the caller goes on with the frame itself */
export const br_forward = kfunc(
  'br_forward',
  (to: net_bridge_port | null, skb: sk_buff, local_rcv: boolean, local_orig: boolean): void => {
    if (to !== null && should_deliver(to, skb)) {
      if (tracer.on) decide('br_forward', 'the address was learned: one port', { port: to.dev.name })
      if (local_rcv) deliver_clone(to, skb, local_orig)
      else __br_forward(to, skb, local_orig)
      return
    }
    if (!local_rcv) kfree_skb(skb)
  },
)

const maybe_deliver = kfunc(
  'maybe_deliver',
  (prev: net_bridge_port | null, p: net_bridge_port, skb: sk_buff, local_orig: boolean): net_bridge_port | number | null => {
    const igmp_type = br_multicast_igmp_type(skb)
    if (!should_deliver(p, skb)) return prev
    nbp_switchdev_frame_mark_tx_fwd_to_hwdom(p, skb)
    if (prev !== null) {
      const err = deliver_clone(prev, skb, local_orig)
      if (err) return err
    }
    br_multicast_count(p.br, p, skb, igmp_type, BR_MCAST_DIR_TX)
    return p
  },
)

/** to every port but the one that it came by: one clone less than there are ports */
export const br_flood = kfunc(
  'br_flood',
  (br: net_bridge, skb: sk_buff, pkt_type: number, local_rcv: boolean, local_orig: boolean, _vid: number): void => {
    let prev: net_bridge_port | null = null
    let failed = false
    if (tracer.on) decide('br_flood', 'to all ports', { ports: br.port_list.length, pkt_type })
    for (const p of br.port_list) {
      if (pkt_type === BR_PKT_UNICAST && !(p.flags & BR_FLOOD)) continue
      if (pkt_type === BR_PKT_MULTICAST && !(p.flags & BR_MCAST_FLOOD) && skb.dev !== br.dev) continue
      if (pkt_type === BR_PKT_BROADCAST && !(p.flags & BR_BCAST_FLOOD) && skb.dev !== br.dev) continue
      const next: net_bridge_port | number | null = maybe_deliver(prev, p, skb, local_orig)
      if (IS_ERR(next)) {
        failed = true
        break
      }
      prev = next
    }
    if (failed || prev === null) {
      if (!local_rcv) kfree_skb(skb)
      return
    }
    if (local_rcv) deliver_clone(prev, skb, local_orig)
    else __br_forward(prev, skb, local_orig)
  },
)
