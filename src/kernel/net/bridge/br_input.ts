import { kfunc } from '../../../trace/kfunc.ts'
import { IFF_PROMISC, NET_RX_DROP, NFPROTO_BRIDGE, PACKET_HOST, PACKET_LOOPBACK } from '../../include/generated/enums.ts'
import {
  ETH_P_ARP,
  ether_addr_equal,
  is_broadcast_ether_addr,
  is_multicast_ether_addr,
  is_valid_ether_addr,
} from '../../include/linux/if_ether.ts'
import { type net_device, netdev_priv } from '../../include/linux/netdevice.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import type { ref } from '../../include/linux/types.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { sock } from '../../include/net/sock.ts'
import { jiffies } from '../../kernel/time/timer.ts'
import { dev_sw_netstats_rx_add, netif_receive_skb } from '../core/dev.ts'
import { kfree_skb, skb_share_check } from '../core/skbuff.ts'
import { eth_hdr } from '../ethernet/eth.ts'
import { NF_HOOK } from '../netfilter/core.ts'
import { br_do_proxy_suppress_arp } from './br_arp_nd_proxy.ts'
import { br_fdb_find_rcu, br_fdb_update } from './br_fdb.ts'
import { br_flood, br_forward, NF_BR_LOCAL_IN } from './br_forward.ts'
import { br_mdb_entry_skb_get, br_multicast_count, br_multicast_rcv } from './br_multicast.ts'
import {
  BR_FDB_LOCAL,
  BR_INPUT_SKB_CB,
  BR_ISOLATED,
  BR_LEARNING,
  BR_MCAST_DIR_TX,
  BR_PKT_BROADCAST,
  BR_PKT_MULTICAST,
  BR_PKT_UNICAST,
  BR_STATE_DISABLED,
  BR_STATE_FORWARDING,
  BR_STATE_LEARNING,
  br_input_skb_cb,
  br_multicast_igmp_type,
  br_port_get_rcu,
  ipv6_mod_enabled,
  type net_bridge,
  type net_bridge_fdb_entry,
  type net_bridge_port,
} from './br_private.ts'
import { nbp_switchdev_frame_mark } from './br_switchdev.ts'
import { br_allowed_egress, br_allowed_ingress, br_handle_vlan } from './br_vlan.ts'

const RX_HANDLER_CONSUMED = 0
const RX_HANDLER_PASS = 3
const ETH_P_RARP = 0x8035

/** the build's tables do not say that it is inlined in br_pass_frame_up(), where recordings do not show it */
const br_netif_receive_skb = (_n: net, _sk: sock | null, skb: sk_buff): number => netif_receive_skb(skb)

/** the frame is for the bridge's own host */
const br_pass_frame_up = kfunc('br_pass_frame_up', (first: sk_buff, promisc: boolean): number => {
  const brdev = BR_INPUT_SKB_CB(first).brdev as net_device
  const br = netdev_priv<net_bridge>(brdev)
  dev_sw_netstats_rx_add(brdev, first.len)
  if (!(brdev.flags & IFF_PROMISC) && !br_allowed_egress(null, first)) {
    kfree_skb(first)
    return NET_RX_DROP
  }
  const indev = first.dev as net_device
  first.dev = brdev
  const skb = br_handle_vlan(br, null, null, first)
  if (skb === null) return NET_RX_DROP
  br_multicast_count(br, null, skb, br_multicast_igmp_type(skb), BR_MCAST_DIR_TX)
  BR_INPUT_SKB_CB(skb).promisc = promisc
  return NF_HOOK(NFPROTO_BRIDGE, NF_BR_LOCAL_IN, indev.nd_net, null, skb, indev, null, br_netif_receive_skb)
})

/** learns where the sender is, and finds where the frame goes */
export const br_handle_frame_finish = kfunc('br_handle_frame_finish', (_n: net, _sk: sock | null, skb: sk_buff): number => {
  const p = br_port_get_rcu(skb.dev as net_device)
  const vid = 0
  if (p === null || p.state === BR_STATE_DISABLED) {
    kfree_skb(skb)
    return 0
  }
  const { br, state } = p
  if (!br_allowed_ingress(br, null, skb, null, null, null)) return 0
  nbp_switchdev_frame_mark(p, skb)
  if (p.flags & BR_LEARNING) br_fdb_update(br, p, eth_hdr(skb).h_source, vid, 0)

  const promisc = (br.dev.flags & IFF_PROMISC) !== 0
  let local_rcv = promisc
  let pkt_type = BR_PKT_UNICAST
  const dest = eth_hdr(skb).h_dest
  if (is_multicast_ether_addr(dest)) {
    if (is_broadcast_ether_addr(dest)) {
      pkt_type = BR_PKT_BROADCAST
      local_rcv = true
    } else {
      pkt_type = BR_PKT_MULTICAST
      if (br_multicast_rcv(br, p, null, skb, vid)) {
        kfree_skb(skb)
        return 0
      }
    }
  }
  if (state === BR_STATE_LEARNING) {
    kfree_skb(skb)
    return 0
  }
  const cb = BR_INPUT_SKB_CB(skb)
  cb.brdev = br.dev
  cb.src_port_isolated = (p.flags & BR_ISOLATED) !== 0

  if (skb.protocol === ETH_P_ARP || skb.protocol === ETH_P_RARP) br_do_proxy_suppress_arp(skb, br, vid, p)
  else ipv6_mod_enabled()

  let dst: net_bridge_fdb_entry | null = null
  if (pkt_type === BR_PKT_MULTICAST) {
    br_mdb_entry_skb_get(br, skb, vid)
    // without a querier every group is for everybody
    local_rcv = true
    br.dev.stats.multicast++
  } else if (pkt_type === BR_PKT_UNICAST) dst = br_fdb_find_rcu(br, eth_hdr(skb).h_dest, vid)

  if (dst !== null) {
    if (dst.flags & BR_FDB_LOCAL) return br_pass_frame_up(skb, false)
    const now = jiffies()
    if (now !== dst.used) dst.used = now
    br_forward(dst.dst, skb, local_rcv, false)
  } else br_flood(br, skb, pkt_type, local_rcv, false, vid)
  return local_rcv ? br_pass_frame_up(skb, promisc) : 0
})

const nf_hook_bridge_pre = kfunc('nf_hook_bridge_pre', (skb: sk_buff, _pskb: ref<sk_buff>): number => {
  br_handle_frame_finish((skb.dev as net_device).nd_net, null, skb)
  return RX_HANDLER_CONSUMED
})

/** reserved for the link: 01-80-c2-00-00-0x */
const is_link_local_ether_addr = (a: Uint8Array): boolean =>
  a[0] === 1 && a[1] === 0x80 && a[2] === 0xc2 && a[3] === 0 && a[4] === 0 && ((a[5] ?? 0) & 0xf0) === 0

/** what a port receives comes here before anybody else sees it */
export const br_handle_frame = kfunc('br_handle_frame', (pskb: ref<sk_buff>): number => {
  const first = pskb.v
  if (first.pkt_type === PACKET_LOOPBACK) return RX_HANDLER_PASS
  if (!is_valid_ether_addr(eth_hdr(first).h_source)) {
    kfree_skb(first)
    return RX_HANDLER_CONSUMED
  }
  const skb = skb_share_check(first, GFP_ATOMIC)
  if (skb === null) return RX_HANDLER_CONSUMED
  skb.cb = new br_input_skb_cb()
  const p = br_port_get_rcu(skb.dev as net_device) as net_bridge_port
  const dest = eth_hdr(skb).h_dest
  if (is_link_local_ether_addr(dest)) {
    const last = dest[5] ?? 0
    // without STP the bridge group's frames go on, so that a bridge beyond sees the loop
    const forward = last === 0 || ((p.group_fwd_mask | p.br.group_fwd_mask) >> last) & 1
    if (last === 1) {
      kfree_skb(skb)
      return RX_HANDLER_CONSUMED
    }
    if (!forward) {
      pskb.v = skb
      return RX_HANDLER_PASS
    }
  }
  if (p.state !== BR_STATE_FORWARDING && p.state !== BR_STATE_LEARNING) {
    kfree_skb(skb)
    return RX_HANDLER_CONSUMED
  }
  if (ether_addr_equal(p.br.dev.dev_addr, eth_hdr(skb).h_dest)) skb.pkt_type = PACKET_HOST
  return nf_hook_bridge_pre(skb, pskb)
})
