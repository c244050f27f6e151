import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracer } from '../../../trace/tracer.ts'
import {
  IPPROTO_TCP,
  IPPROTO_UDP,
  NET_RX_DROP,
  NET_RX_SUCCESS,
  NF_INET_LOCAL_IN,
  NF_INET_PRE_ROUTING,
  NFPROTO_IPV4,
  PACKET_BROADCAST,
  PACKET_MULTICAST,
  PACKET_OTHERHOST,
  RTN_BROADCAST,
  RTN_MULTICAST,
  SKB_DROP_REASON_IP_CSUM,
  SKB_DROP_REASON_IP_INHDR,
  SKB_DROP_REASON_IP_NOPROTO,
  SKB_DROP_REASON_IP_RPFILTER,
  SKB_DROP_REASON_NOT_SPECIFIED,
  SKB_DROP_REASON_OTHERHOST,
  SKB_DROP_REASON_PKT_TOO_SMALL,
  SKB_DROP_REASON_UNICAST_IN_L2_MULTICAST,
  SKB_DROP_REASON_XFRM_POLICY,
} from '../../include/generated/enums.ts'
import { EXDEV } from '../../include/linux/errno.ts'
import { ICMP_DEST_UNREACH, ICMP_PROT_UNREACH } from '../../include/linux/icmp.ts'
import { ipv4_is_lbcast, ipv4_is_zeronet } from '../../include/linux/in.ts'
import {
  __in_dev_get_rcu,
  IN_DEV_ANDCONF,
  IN_DEV_ORCONF,
  IPV4_DEVCONF_ACCEPT_SOURCE_ROUTE,
  IPV4_DEVCONF_DROP_UNICAST_IN_L2_MULTICAST,
  IPV4_DEVCONF_NOPOLICY,
} from '../../include/linux/inetdevice.ts'
import {
  INET_ECN_CE,
  INET_ECN_ECT_0,
  INET_ECN_ECT_1,
  INET_ECN_MASK,
  ip_hdr,
  ip_is_fragment,
  iph_totlen,
  type iphdr,
} from '../../include/linux/ip.ts'
import type { net_device, packet_type } from '../../include/linux/netdevice.ts'
import { type sk_buff, skb_dst, skb_headroom, skb_network_header_len, skb_shinfo } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import type { dst_entry } from '../../include/net/dst.ts'
import { inet_sk } from '../../include/net/inet_sock.ts'
import { IP_DEFRAG_CALL_RA_CHAIN, IP_DEFRAG_LOCAL_DELIVER, IPCB, IPSKB_MULTIPATH, IPSKB_NOPOLICY } from '../../include/net/ip.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { type rtable, skb_rtable } from '../../include/net/route.ts'
import type { sock } from '../../include/net/sock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { ip_fast_csum } from '../../lib/checksum.ts'
import { dev_core_stats_rx_otherhost_dropped_inc } from '../core/dev.ts'
import { dst_input, skb_valid_dst } from '../core/dst.ts'
import {
  __skb_pull,
  consume_skb,
  kfree_skb_reason,
  nf_reset_ct,
  pskb_may_pull,
  pskb_trim_rcsum,
  skb_clear_delivery_time,
  skb_clone,
  skb_cow,
  skb_orphan,
  skb_share_check,
} from '../core/skbuff.ts'
import { skb_sk_is_prefetched } from '../core/sock.ts'
import { l3mdev_ip_rcv } from '../l3mdev/l3mdev.ts'
import { NF_HOOK, NF_HOOK_LIST } from '../netfilter/core.ts'
import { XFRM_POLICY_IN, xfrm4_policy_check } from '../xfrm/xfrm_policy.ts'
import { icmp_send } from './icmp.ts'
import { ip_defrag } from './ip_fragment.ts'
import { ip_options_compile, ip_options_rcv_srr } from './ip_options.ts'
import { inet_protos } from './protocol.ts'
import { raw_local_deliver, raw_rcv } from './raw.ts'
import { ip_route_input_noref, ip_route_use_hint } from './route.ts'
import { tcp_v4_early_demux } from './tcp_ipv4.ts'
import { udp_v4_early_demux } from './udp.ts'

/** struct ip_ra_chain: sockets that want packets with the router alert option */
export interface ip_ra_chain {
  next: ip_ra_chain | null
  sk: sock
  destructor: ((sk: sock) => void) | null
}

/** gives a router-alert packet to who asked for it; true when it was taken */
export const ip_call_ra_chain = kfunc('ip_call_ra_chain', (skb: sk_buff): boolean => {
  const { protocol } = ip_hdr(skb)
  const dev = skb.dev as net_device
  const n = dev.nd_net
  let last: sock | null = null
  for (let ra = n.ipv4.ra_chain as ip_ra_chain | null; ra !== null; ra = ra.next) {
    const { sk } = ra
    if (inet_sk(sk).inet_num !== protocol || (sk.sk_bound_dev_if && sk.sk_bound_dev_if !== dev.ifindex)) continue
    if (ip_is_fragment(ip_hdr(skb)) && ip_defrag(n, skb, IP_DEFRAG_CALL_RA_CHAIN)) return true
    if (last !== null) {
      const skb2 = skb_clone(skb, GFP_ATOMIC)
      if (skb2 !== null) raw_rcv(last, skb2)
    }
    last = sk
  }
  if (last === null) return false
  raw_rcv(last, skb)
  return true
})

export const ip_protocol_deliver_rcu = kfunc('ip_protocol_deliver_rcu', (n: net, skb: sk_buff, proto: number): void => {
  let protocol = proto
  for (;;) {
    const raw = raw_local_deliver(skb, protocol)
    const ipprot = inet_protos[protocol]
    if (ipprot) {
      if (!ipprot.no_policy) {
        if (!xfrm4_policy_check(null, XFRM_POLICY_IN, skb)) {
          kfree_skb_reason(skb, SKB_DROP_REASON_XFRM_POLICY)
          return
        }
        nf_reset_ct(skb)
      }
      if (tracer.on) traceIndirect('ipprot->handler', nameOf(ipprot.handler))
      const ret = ipprot.handler(skb)
      if (ret < 0) {
        protocol = -ret
        continue
      }
      n.mib.ip.InDelivers++
    } else if (!raw) {
      if (xfrm4_policy_check(null, XFRM_POLICY_IN, skb)) {
        n.mib.ip.InUnknownProtos++
        icmp_send(skb, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, 0)
      }
      kfree_skb_reason(skb, SKB_DROP_REASON_IP_NOPROTO)
    } else {
      n.mib.ip.InDelivers++
      consume_skb(skb)
    }
    return
  }
})

const ip_local_deliver_finish = kfunc('ip_local_deliver_finish', (n: net, sk: sock | null, skb: sk_buff): number => {
  skb_clear_delivery_time(skb)
  __skb_pull(skb, skb_network_header_len(skb))
  rcu_read_lock()
  ip_protocol_deliver_rcu(n, skb, ip_hdr(skb).protocol)
  rcu_read_unlock()
  return 0
})

/** a packet for this host: put together when it is a fragment, then to its protocol */
export const ip_local_deliver = kfunc('ip_local_deliver', (skb: sk_buff): number => {
  const n = (skb.dev as net_device).nd_net
  if (ip_is_fragment(ip_hdr(skb)) && ip_defrag(n, skb, IP_DEFRAG_LOCAL_DELIVER)) return 0
  return NF_HOOK(NFPROTO_IPV4, NF_INET_LOCAL_IN, n, null, skb, skb.dev, null, ip_local_deliver_finish)
})

const ip_rcv_options = kfunc('ip_rcv_options', (skb: sk_buff, dev: net_device): boolean => {
  const mib = dev.nd_net.mib.ip
  if (skb_cow(skb, skb_headroom(skb))) {
    mib.InDiscards++
    return true
  }
  const { opt } = IPCB(skb)
  opt.optlen = ip_hdr(skb).ihl * 4 - 20
  if (ip_options_compile(dev.nd_net, opt, skb)) {
    mib.InHdrErrors++
    return true
  }
  if (opt.srr) {
    const in_dev = __in_dev_get_rcu(dev)
    if (in_dev !== null && !IN_DEV_ANDCONF(in_dev, IPV4_DEVCONF_ACCEPT_SOURCE_ROUTE)) return true
    if (ip_options_rcv_srr(skb, dev)) return true
  }
  return false
})

const ip_can_use_hint = kfunc('ip_can_use_hint', (skb: sk_buff, iph: iphdr, hint: sk_buff | null): boolean => {
  return hint !== null && skb_dst(skb) === null && ip_hdr(hint).daddr === iph.daddr && ip_hdr(hint).tos === iph.tos
})

function drop(n: net, skb: sk_buff, err: number, reason: number): number {
  let why = reason
  if (err === -EXDEV) {
    why = SKB_DROP_REASON_IP_RPFILTER
    n.mib.linux.IPReversePathFilter++
  }
  kfree_skb_reason(skb, why)
  return NET_RX_DROP
}

/** finds where the packet goes, unless its route came with it or its socket is found first */
const ip_rcv_finish_core = kfunc(
  'ip_rcv_finish_core',
  (n: net, sk: sock | null, skb: sk_buff, dev: net_device, hint: sk_buff | null): number => {
    let iph = ip_hdr(skb)
    let err: number
    if (hint !== null && ip_can_use_hint(skb, iph, hint)) {
      err = ip_route_use_hint(skb, iph.daddr, iph.saddr, iph.tos, dev, hint)
      if (err) return drop(n, skb, err, SKB_DROP_REASON_NOT_SPECIFIED)
    }
    if (n.ipv4.sysctl_ip_early_demux && skb_dst(skb) === null && skb.sk === null && !ip_is_fragment(iph)) {
      if (iph.protocol === IPPROTO_TCP) {
        if (n.ipv4.sysctl_tcp_early_demux) {
          tcp_v4_early_demux(skb)
          iph = ip_hdr(skb)
        }
      } else if (iph.protocol === IPPROTO_UDP) {
        if (n.ipv4.sysctl_udp_early_demux) {
          err = udp_v4_early_demux(skb)
          if (err) return drop(n, skb, err, SKB_DROP_REASON_NOT_SPECIFIED)
          iph = ip_hdr(skb)
        }
      }
    }
    if (!skb_valid_dst(skb)) {
      err = ip_route_input_noref(skb, iph.daddr, iph.saddr, iph.tos, dev)
      if (err) return drop(n, skb, err, SKB_DROP_REASON_NOT_SPECIFIED)
    } else {
      if (tracer.on) decide('ip_rcv_finish_core', 'route came with the packet', { dst: iph.daddr })
      const in_dev = __in_dev_get_rcu(dev)
      if (in_dev !== null && IN_DEV_ORCONF(in_dev, IPV4_DEVCONF_NOPOLICY)) IPCB(skb).flags |= IPSKB_NOPOLICY
    }
    if (iph.ihl > 5 && ip_rcv_options(skb, dev)) return drop(n, skb, 0, SKB_DROP_REASON_NOT_SPECIFIED)
    const rt = skb_rtable(skb) as rtable
    if (rt.rt_type === RTN_MULTICAST) {
      n.mib.ip.InMcastPkts++
      n.mib.ip.InMcastOctets += skb.len
    } else if (rt.rt_type === RTN_BROADCAST) {
      n.mib.ip.InBcastPkts++
      n.mib.ip.InBcastOctets += skb.len
    } else if (skb.pkt_type === PACKET_BROADCAST || skb.pkt_type === PACKET_MULTICAST) {
      const in_dev = __in_dev_get_rcu(dev)
      if (in_dev !== null && IN_DEV_ORCONF(in_dev, IPV4_DEVCONF_DROP_UNICAST_IN_L2_MULTICAST))
        return drop(n, skb, 0, SKB_DROP_REASON_UNICAST_IN_L2_MULTICAST)
    }
    return NET_RX_SUCCESS
  },
)

const ip_rcv_finish = kfunc('ip_rcv_finish', (n: net, sk: sock | null, skb: sk_buff): number => {
  const dev = skb.dev as net_device
  const in_skb = l3mdev_ip_rcv(skb)
  if (in_skb === null) return NET_RX_SUCCESS
  const ret = ip_rcv_finish_core(n, sk, in_skb, dev, null)
  return ret !== NET_RX_DROP ? dst_input(in_skb) : ret
})

function inhdr_error(n: net, skb: sk_buff, reason: number): null {
  n.mib.ip.InHdrErrors++
  kfree_skb_reason(skb, reason)
  return null
}

/** checks the header and cuts what the link padded; null when the packet was dropped */
const ip_rcv_core = kfunc('ip_rcv_core', (in_skb: sk_buff, n: net): sk_buff | null => {
  const mib = n.mib.ip
  if (in_skb.pkt_type === PACKET_OTHERHOST) {
    dev_core_stats_rx_otherhost_dropped_inc(in_skb.dev as net_device)
    kfree_skb_reason(in_skb, SKB_DROP_REASON_OTHERHOST)
    return null
  }
  mib.InReceives++
  mib.InOctets += in_skb.len
  const skb = skb_share_check(in_skb, GFP_ATOMIC)
  if (skb === null) {
    mib.InDiscards++
    return null
  }
  if (!pskb_may_pull(skb, 20)) return inhdr_error(n, skb, SKB_DROP_REASON_IP_INHDR)
  let iph = ip_hdr(skb)
  if (iph.ihl < 5 || iph.version !== 4) return inhdr_error(n, skb, SKB_DROP_REASON_IP_INHDR)
  const packets = Math.max(1, skb_shinfo(skb).gso_segs)
  switch (iph.tos & INET_ECN_MASK) {
    case INET_ECN_ECT_1:
      mib.InECT1Pkts += packets
      break
    case INET_ECN_ECT_0:
      mib.InECT0Pkts += packets
      break
    case INET_ECN_CE:
      mib.InCEPkts += packets
      break
    default:
      mib.InNoECTPkts += packets
  }
  if (!pskb_may_pull(skb, iph.ihl * 4)) return inhdr_error(n, skb, SKB_DROP_REASON_IP_INHDR)
  iph = ip_hdr(skb)
  if (ip_fast_csum(iph.bytes, iph.at, iph.ihl)) {
    mib.InCsumErrors++
    return inhdr_error(n, skb, SKB_DROP_REASON_IP_CSUM)
  }
  const len = iph_totlen(skb, iph)
  if (skb.len < len) {
    mib.InTruncatedPkts++
    kfree_skb_reason(skb, SKB_DROP_REASON_PKT_TOO_SMALL)
    return null
  }
  if (len < iph.ihl * 4) return inhdr_error(n, skb, SKB_DROP_REASON_IP_INHDR)
  if (pskb_trim_rcsum(skb, len)) {
    mib.InDiscards++
    kfree_skb_reason(skb, SKB_DROP_REASON_NOT_SPECIFIED)
    return null
  }
  iph = ip_hdr(skb)
  skb.transport_header = skb.network_header + iph.ihl * 4
  const cb = IPCB(skb)
  cb.reset()
  cb.iif = skb.skb_iif
  if (!skb_sk_is_prefetched(skb)) skb_orphan(skb)
  return skb
})

/** where a device's IPv4 packets enter: registered for ETH_P_IP */
export const ip_rcv = kfunc('ip_rcv', (in_skb: sk_buff, dev: net_device, pt: packet_type, orig_dev: net_device): number => {
  const n = dev.nd_net
  const skb = ip_rcv_core(in_skb, n)
  if (skb === null) return NET_RX_DROP
  return NF_HOOK(NFPROTO_IPV4, NF_INET_PRE_ROUTING, n, null, skb, dev, null, ip_rcv_finish)
})

const ip_sublist_rcv_finish = kfunc('ip_sublist_rcv_finish', (head: sk_buff[]): void => {
  for (const skb of head) dst_input(skb)
})

const ip_extract_route_hint = kfunc('ip_extract_route_hint', (n: net, skb: sk_buff): sk_buff | null => {
  const { daddr } = ip_hdr(skb)
  return n.ipv4.fib_has_custom_rules || ipv4_is_lbcast(daddr) || ipv4_is_zeronet(daddr) || IPCB(skb).flags & IPSKB_MULTIPATH
    ? null
    : skb
})

const ip_list_rcv_finish = kfunc('ip_list_rcv_finish', (n: net, sk: sock | null, head: sk_buff[]): void => {
  let hint: sk_buff | null = null
  let curr_dst: dst_entry | null = null
  let sublist: sk_buff[] = []
  for (const in_skb of head) {
    const dev = in_skb.dev as net_device
    const skb = l3mdev_ip_rcv(in_skb)
    if (skb === null || ip_rcv_finish_core(n, sk, skb, dev, hint) === NET_RX_DROP) continue
    const dst = skb_dst(skb)
    if (curr_dst !== dst) {
      hint = ip_extract_route_hint(n, skb)
      if (sublist.length) ip_sublist_rcv_finish(sublist)
      sublist = []
      curr_dst = dst
    }
    sublist.push(skb)
  }
  ip_sublist_rcv_finish(sublist)
})

const ip_sublist_rcv = kfunc('ip_sublist_rcv', (head: sk_buff[], dev: net_device, n: net): void => {
  const accepted = NF_HOOK_LIST(NFPROTO_IPV4, NF_INET_PRE_ROUTING, n, null, head, dev, null, ip_rcv_finish)
  ip_list_rcv_finish(n, null, accepted)
})

/** ip_rcv for a batch of packets, as GRO hands them up */
export const ip_list_rcv = kfunc('ip_list_rcv', (head: sk_buff[], pt: packet_type, orig_dev: net_device | null): void => {
  let curr_dev: net_device | null = null
  let curr_net: net | null = null
  let sublist: sk_buff[] = []
  for (const in_skb of head) {
    const dev = in_skb.dev as net_device
    const n = dev.nd_net
    const skb = ip_rcv_core(in_skb, n)
    if (skb === null) continue
    if (curr_dev !== dev || curr_net !== n) {
      if (sublist.length && curr_dev !== null && curr_net !== null) ip_sublist_rcv(sublist, curr_dev, curr_net)
      sublist = []
      curr_dev = dev
      curr_net = n
    }
    sublist.push(skb)
  }
  if (sublist.length && curr_dev !== null && curr_net !== null) ip_sublist_rcv(sublist, curr_dev, curr_net)
})
