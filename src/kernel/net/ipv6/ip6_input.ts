import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracer } from '../../../trace/tracer.ts'
import {
  IFF_LOOPBACK,
  IPPROTO_TCP,
  IPPROTO_UDP,
  NET_RX_DROP,
  NET_RX_SUCCESS,
  NF_INET_LOCAL_IN,
  NF_INET_PRE_ROUTING,
  NFPROTO_IPV6,
  PACKET_BROADCAST,
  PACKET_LOOPBACK,
  PACKET_MULTICAST,
  PACKET_OTHERHOST,
  SKB_DROP_REASON_IP_INHDR,
  SKB_DROP_REASON_IP_NOPROTO,
  SKB_DROP_REASON_IPV6DISABLED,
  SKB_DROP_REASON_NOT_SPECIFIED,
  SKB_DROP_REASON_OTHERHOST,
  SKB_DROP_REASON_PKT_TOO_SMALL,
  SKB_DROP_REASON_UNHANDLED_PROTO,
} from '../../include/generated/enums.ts'
import { ICMPV6_PARAMPROB, ICMPV6_UNK_NEXTHDR } from '../../include/linux/icmpv6.ts'
import {
  IPV6_ADDR_MC_SCOPE,
  ipv6_addr_equal,
  ipv6_addr_is_multicast,
  ipv6_addr_loopback,
  NEXTHDR_HOP,
} from '../../include/linux/in6.ts'
import { IP6CB, IP6SKB_MULTIPATH, IPV6HDR_NEXTHDR, ipv6_hdr, ipv6_payload_len, SIZEOF_IPV6HDR } from '../../include/linux/ipv6.ts'
import type { net_device, packet_type } from '../../include/linux/netdevice.ts'
import { type sk_buff, skb_dst, skb_network_header_len, skb_transport_offset } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import { __in6_dev_get } from '../../include/net/addrconf.ts'
import type { dst_entry } from '../../include/net/dst.ts'
import { ip6_dst_idev } from '../../include/net/ip6_fib.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { IP6_INC_STATS, IP6_UPD_PO_STATS, net_ipv6 } from '../../include/net/netns_ipv6.ts'
import type { sock } from '../../include/net/sock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { dev_core_stats_rx_otherhost_dropped_inc, netif_is_l3_master } from '../core/dev.ts'
import { dst_input, skb_dst_copy, skb_valid_dst } from '../core/dst.ts'
import {
  consume_skb,
  kfree_skb_reason,
  nf_reset_ct,
  pskb_may_pull,
  pskb_pull,
  pskb_trim_rcsum,
  skb_clear_delivery_time,
  skb_orphan,
  skb_postpull_rcsum,
  skb_share_check,
} from '../core/skbuff.ts'
import { skb_sk_is_prefetched } from '../core/sock.ts'
import { l3mdev_ip6_rcv } from '../l3mdev/l3mdev.ts'
import { NF_HOOK, NF_HOOK_LIST } from '../netfilter/core.ts'
import { XFRM_POLICY_IN, xfrm6_policy_check } from '../xfrm/xfrm_policy.ts'
import { ipv6_parse_hopopts } from './exthdrs.ts'
import { icmpv6_send } from './icmp.ts'
import { ipv6_chk_mcast_addr } from './mcast.ts'
import { INET6_PROTO_FINAL, INET6_PROTO_NOPOLICY, inet6_protos } from './protocol.ts'
import { raw6_local_deliver } from './raw.ts'
import { ip6_route_input } from './route.ts'
import { tcp_v6_early_demux } from './tcp_ipv6.ts'
import { udp_v6_early_demux } from './udp.ts'

const ip6_rcv_finish_core = kfunc('ip6_rcv_finish_core', (n: net, _sk: sock | null, skb: sk_buff): void => {
  if (n.ipv4.sysctl_ip_early_demux && skb_dst(skb) === null && skb.sk === null) {
    const { nexthdr } = ipv6_hdr(skb)
    if (nexthdr === IPPROTO_TCP) {
      if (n.ipv4.sysctl_tcp_early_demux) tcp_v6_early_demux(skb)
    } else if (nexthdr === IPPROTO_UDP) {
      if (n.ipv4.sysctl_udp_early_demux) udp_v6_early_demux(skb)
    }
  }
  if (!skb_valid_dst(skb)) ip6_route_input(skb)
  else if (tracer.on) decide('ip6_rcv_finish_core', 'route came with the packet', {})
})

const ip6_rcv_finish = kfunc('ip6_rcv_finish', (n: net, sk: sock | null, in_skb: sk_buff): number => {
  const skb = l3mdev_ip6_rcv(in_skb)
  if (skb === null) return NET_RX_SUCCESS
  ip6_rcv_finish_core(n, sk, skb)
  return dst_input(skb)
})

const ip6_sublist_rcv_finish = kfunc('ip6_sublist_rcv_finish', (head: sk_buff[]): void => {
  for (const skb of head) dst_input(skb)
})

const ip6_extract_route_hint = kfunc('ip6_extract_route_hint', (n: net, skb: sk_buff): sk_buff | null =>
  net_ipv6(n).fib6_has_custom_rules || IP6CB(skb).flags & IP6SKB_MULTIPATH ? null : skb,
)

const ip6_can_use_hint = kfunc(
  'ip6_can_use_hint',
  (skb: sk_buff, hint: sk_buff | null): boolean =>
    hint !== null && skb_dst(skb) === null && ipv6_addr_equal(ipv6_hdr(hint).daddr, ipv6_hdr(skb).daddr),
)

const ip6_list_rcv_finish = kfunc('ip6_list_rcv_finish', (n: net, sk: sock | null, head: sk_buff[]): void => {
  let hint: sk_buff | null = null
  let curr_dst: dst_entry | null = null
  let sublist: sk_buff[] = []
  for (const in_skb of head) {
    const skb = l3mdev_ip6_rcv(in_skb)
    if (skb === null) continue
    if (hint !== null && ip6_can_use_hint(skb, hint)) skb_dst_copy(skb, hint)
    else ip6_rcv_finish_core(n, sk, skb)
    const dst = skb_dst(skb)
    if (curr_dst !== dst) {
      hint = ip6_extract_route_hint(n, skb)
      if (sublist.length) ip6_sublist_rcv_finish(sublist)
      sublist = []
      curr_dst = dst
    }
    sublist.push(skb)
  }
  ip6_sublist_rcv_finish(sublist)
})

/** checks the header and cuts what the link padded; null when the packet was dropped */
const ip6_rcv_core = kfunc('ip6_rcv_core', (in_skb: sk_buff, dev: net_device, n: net): sk_buff | null => {
  if (in_skb.pkt_type === PACKET_OTHERHOST) {
    dev_core_stats_rx_otherhost_dropped_inc(dev)
    kfree_skb_reason(in_skb, SKB_DROP_REASON_OTHERHOST)
    return null
  }
  rcu_read_lock()
  const drop = (skb: sk_buff, reason: number, stat: string): null => {
    IP6_INC_STATS(n, stat)
    rcu_read_unlock()
    kfree_skb_reason(skb, reason)
    return null
  }
  const idev = __in6_dev_get(in_skb.dev as net_device)
  IP6_UPD_PO_STATS(n, 'In', in_skb.len)
  const skb = skb_share_check(in_skb, GFP_ATOMIC)
  if (skb === null) {
    rcu_read_unlock()
    return null
  }
  if (idev === null || idev.cnf.disable_ipv6) return drop(skb, SKB_DROP_REASON_IPV6DISABLED, 'InDiscards')
  const cb = IP6CB(skb)
  cb.reset()
  cb.iif = skb_valid_dst(skb) ? (ip6_dst_idev(skb_dst(skb))?.dev.ifindex ?? dev.ifindex) : dev.ifindex
  if (!pskb_may_pull(skb, SIZEOF_IPV6HDR)) return drop(skb, SKB_DROP_REASON_IP_INHDR, 'InHdrErrors')
  let hdr = ipv6_hdr(skb)
  if (hdr.version !== 6) return drop(skb, SKB_DROP_REASON_UNHANDLED_PROTO, 'InHdrErrors')
  const loop = (dev.flags & IFF_LOOPBACK) !== 0
  const { saddr, daddr } = hdr
  const mcast = ipv6_addr_is_multicast(daddr)
  if (
    ((ipv6_addr_loopback(saddr) || ipv6_addr_loopback(daddr)) && !loop && !netif_is_l3_master(dev)) ||
    (!(skb.pkt_type === PACKET_LOOPBACK || loop) && mcast && IPV6_ADDR_MC_SCOPE(daddr) === 1) ||
    (!mcast &&
      (skb.pkt_type === PACKET_BROADCAST || skb.pkt_type === PACKET_MULTICAST) &&
      idev.cnf.drop_unicast_in_l2_multicast) ||
    (mcast && IPV6_ADDR_MC_SCOPE(daddr) === 0) ||
    ipv6_addr_is_multicast(saddr)
  )
    return drop(skb, SKB_DROP_REASON_IP_INHDR, 'InHdrErrors')
  skb.transport_header = skb.network_header + SIZEOF_IPV6HDR
  cb.nhoff = IPV6HDR_NEXTHDR
  const pkt_len = ipv6_payload_len(skb, hdr)
  if (pkt_len || hdr.nexthdr !== NEXTHDR_HOP) {
    if (pkt_len + SIZEOF_IPV6HDR > skb.len) return drop(skb, SKB_DROP_REASON_PKT_TOO_SMALL, 'InTruncatedPkts')
    if (pskb_trim_rcsum(skb, pkt_len + SIZEOF_IPV6HDR)) return drop(skb, SKB_DROP_REASON_NOT_SPECIFIED, 'InHdrErrors')
    hdr = ipv6_hdr(skb)
  }
  if (hdr.nexthdr === NEXTHDR_HOP && ipv6_parse_hopopts(skb) < 0) {
    IP6_INC_STATS(n, 'InHdrErrors')
    rcu_read_unlock()
    return null
  }
  rcu_read_unlock()
  if (!skb_sk_is_prefetched(skb)) skb_orphan(skb)
  return skb
})

/** where a device's IPv6 packets enter: registered for ETH_P_IPV6 */
export const ipv6_rcv = kfunc('ipv6_rcv', (in_skb: sk_buff, dev: net_device, _pt: packet_type, _orig_dev: net_device): number => {
  const n = (in_skb.dev as net_device).nd_net
  const skb = ip6_rcv_core(in_skb, dev, n)
  if (skb === null) return NET_RX_DROP
  return NF_HOOK(NFPROTO_IPV6, NF_INET_PRE_ROUTING, n, null, skb, dev, null, ip6_rcv_finish)
})

const ip6_sublist_rcv = kfunc('ip6_sublist_rcv', (head: sk_buff[], dev: net_device, n: net): void => {
  const accepted = NF_HOOK_LIST(NFPROTO_IPV6, NF_INET_PRE_ROUTING, n, null, head, dev, null, ip6_rcv_finish)
  ip6_list_rcv_finish(n, null, accepted)
})

/** ipv6_rcv for a batch of packets, as GRO hands them up */
export const ipv6_list_rcv = kfunc('ipv6_list_rcv', (head: sk_buff[], _pt: packet_type, _orig_dev: net_device | null): void => {
  let curr_dev: net_device | null = null
  let sublist: sk_buff[] = []
  for (const in_skb of head) {
    const dev = in_skb.dev as net_device
    const skb = ip6_rcv_core(in_skb, dev, dev.nd_net)
    if (skb === null) continue
    if (curr_dev !== dev) {
      if (sublist.length && curr_dev !== null) ip6_sublist_rcv(sublist, curr_dev, curr_dev.nd_net)
      sublist = []
      curr_dev = dev
    }
    sublist.push(skb)
  }
  if (sublist.length && curr_dev !== null) ip6_sublist_rcv(sublist, curr_dev, curr_dev.nd_net)
})

/** goes from header to header until one takes the packet */
export const ip6_protocol_deliver_rcu = kfunc(
  'ip6_protocol_deliver_rcu',
  (n: net, skb: sk_buff, next: number, final: boolean): void => {
    let nexthdr = next
    let have_final = final
    let look = true
    const discard = (): void => {
      IP6_INC_STATS(n, 'InDiscards')
      kfree_skb_reason(skb, SKB_DROP_REASON_NOT_SPECIFIED)
    }
    for (;;) {
      const { nhoff } = IP6CB(skb)
      if (look && !have_final) {
        if (pskb_pull(skb, skb_transport_offset(skb)) === null) {
          discard()
          return
        }
        nexthdr = skb.head.bytes[skb.network_header + nhoff] as number
      }
      const raw = raw6_local_deliver(skb, nexthdr)
      const ipprot = inet6_protos[nexthdr]
      if (!ipprot) {
        if (raw) {
          IP6_INC_STATS(n, 'InDelivers')
          consume_skb(skb)
          return
        }
        if (xfrm6_policy_check(null, XFRM_POLICY_IN, skb)) {
          IP6_INC_STATS(n, 'InUnknownProtos')
          icmpv6_send(skb, ICMPV6_PARAMPROB, ICMPV6_UNK_NEXTHDR, nhoff)
        }
        kfree_skb_reason(skb, SKB_DROP_REASON_IP_NOPROTO)
        return
      }
      if (have_final) {
        if (!(ipprot.flags & INET6_PROTO_FINAL)) {
          discard()
          return
        }
      } else if (ipprot.flags & INET6_PROTO_FINAL) {
        have_final = true
        skb_postpull_rcsum(skb, skb.network_header, skb_network_header_len(skb))
        const { daddr, saddr } = ipv6_hdr(skb)
        if (ipv6_addr_is_multicast(daddr) && !ipv6_chk_mcast_addr(skb.dev as net_device, daddr, saddr)) {
          discard()
          return
        }
      }
      if (!(ipprot.flags & INET6_PROTO_NOPOLICY)) {
        if (!xfrm6_policy_check(null, XFRM_POLICY_IN, skb)) {
          discard()
          return
        }
        nf_reset_ct(skb)
      }
      if (tracer.on) traceIndirect('ipprot->handler', nameOf(ipprot.handler))
      const ret = ipprot.handler(skb)
      if (ret === 0) IP6_INC_STATS(n, 'InDelivers')
      if (ret <= 0) return
      look = (ipprot.flags & INET6_PROTO_FINAL) === 0
      if (!look) nexthdr = ret
    }
  },
)

const ip6_input_finish = kfunc('ip6_input_finish', (n: net, _sk: sock | null, skb: sk_buff): number => {
  skb_clear_delivery_time(skb)
  rcu_read_lock()
  ip6_protocol_deliver_rcu(n, skb, 0, false)
  rcu_read_unlock()
  return 0
})

/** a packet for this host */
export const ip6_input = kfunc('ip6_input', (skb: sk_buff): number =>
  NF_HOOK(NFPROTO_IPV6, NF_INET_LOCAL_IN, (skb.dev as net_device).nd_net, null, skb, skb.dev, null, ip6_input_finish),
)

export const ip6_mc_input = kfunc('ip6_mc_input', (skb: sk_buff): number => {
  const dev = skb.dev as net_device
  IP6_UPD_PO_STATS(dev.nd_net, 'InMcast', skb.len)
  const hdr = ipv6_hdr(skb)
  if (ipv6_chk_mcast_addr(dev, hdr.daddr, null)) return ip6_input(skb)
  kfree_skb_reason(skb, SKB_DROP_REASON_NOT_SPECIFIED)
  return 0
})
