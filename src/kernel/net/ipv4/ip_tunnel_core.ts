import { kfunc } from '../../../trace/kfunc.ts'
import { decide, tracer } from '../../../trace/tracer.ts'
import { ETH_HLEN, NET_XMIT_CN, NETIF_F_GSO_SHIFT } from '../../include/generated/enums.ts'
import { EINVAL, ENOMEM } from '../../include/linux/errno.ts'
import { icmp_is_err, icmphdr } from '../../include/linux/icmp.ts'
import { ETH_P_802_2, ETH_P_IP, ETH_P_IPV6, ETH_P_TEB, eth_proto_is_802_3 } from '../../include/linux/if_ether.ts'
import { __vlan_hwaccel_clear_tag, eth_type_vlan } from '../../include/linux/if_vlan.ts'
import { ipv4_is_lbcast, ipv4_is_loopback, ipv4_is_multicast, ipv4_is_zeronet } from '../../include/linux/in.ts'
import { get_be16, INET_ECN_CE, INET_ECN_ECT_0, INET_ECN_ECT_1, INET_ECN_MASK, ip_hdr, iphdr } from '../../include/linux/ip.ts'
import { NETIF_F_GSO_ENCAP_ALL } from '../../include/linux/netdev_features.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import {
  CHECKSUM_NONE,
  CHECKSUM_PARTIAL,
  type sk_buff,
  skb_is_gso,
  skb_mac_offset,
  skb_network_offset,
  skb_reset_mac_header,
  skb_reset_network_header,
  skb_reset_transport_header,
  skb_set_network_header,
  skb_shinfo,
} from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import type { dst_entry } from '../../include/net/dst.ts'
import { IP_DF } from '../../include/net/ip.ts'
import type { rtable } from '../../include/net/route.ts'
import type { sock } from '../../include/net/sock.ts'
import { csum_fold, csum_replace2 } from '../../lib/checksum.ts'
import {
  dev_net,
  dev_recursion_level,
  dev_xmit_recursion_dec,
  dev_xmit_recursion_inc,
  vlan_get_protocol_and_depth,
} from '../core/dev.ts'
import { dst_mtu, skb_dst_drop, skb_dst_set, skb_dst_update_pmtu_no_confirm } from '../core/dst.ts'
import { skb_gso_validate_network_len } from '../core/gso.ts'
import {
  kfree_skb,
  pskb_may_pull,
  pskb_may_pull_reason,
  pskb_pull,
  pskb_trim,
  skb_checksum,
  skb_clear_hash,
  skb_copy_bits,
  skb_cow,
  skb_gso_reset,
  skb_header_unclone,
  skb_pull_rcsum,
  skb_push,
  skb_reset_inner_headers,
  skb_scrub_packet,
  skb_set_queue_mapping,
  skb_unclone,
} from '../core/skbuff.ts'
import { eth_header } from '../ethernet/eth.ts'
import { ip_local_out, ip_mtu_locked, ip_send_check } from './ip_output.ts'
import { __ip_select_ident, ip_rt_put } from './route.ts'

/** tunnels in tunnels */
const IP_TUNNEL_RECURSION_LIMIT = 5
const SIZEOF_IPHDR = 20
const SIZEOF_IPV6HDR = 40
const SIZEOF_ICMPHDR = 8
const ICMP_DEST_UNREACH = 3
const ICMP_FRAG_NEEDED = 4
const IPPROTO_ICMP = 1

// ---- include/net/inet_ecn.h, of tunnels

/** the outer header's congestion bits, from those of the packet inside: RFC 6040 */
export const INET_ECN_encapsulate = kfunc('INET_ECN_encapsulate', (outer: number, inner: number): number => {
  const ecn = (inner & INET_ECN_MASK) === INET_ECN_CE ? INET_ECN_ECT_0 : inner & INET_ECN_MASK
  return (outer & ~INET_ECN_MASK) | ecn
})

/** marks what is inside as having met congestion outside. @returns 0, 1 (odd, but good enough) or 2 (to be dropped) */
export const INET_ECN_decapsulate = kfunc('INET_ECN_decapsulate', (skb: sk_buff, outer: number, inner: number): number => {
  if (!(inner & INET_ECN_MASK)) {
    const ecn = outer & INET_ECN_MASK
    return ecn === 0 ? 0 : ecn === INET_ECN_CE ? 2 : 1
  }
  const ecn = outer & INET_ECN_MASK
  if (ecn === INET_ECN_CE || (ecn === INET_ECN_ECT_1 && (inner & INET_ECN_MASK) === INET_ECN_ECT_0)) set_ecn(skb, ecn)
  return 0
})

/** the two bits of the network header; IPv4's checksum with them */
function set_ecn(skb: sk_buff, ecn: number): void {
  const b = skb.head.bytes
  const at = skb.network_header
  if (skb.protocol === ETH_P_IP) {
    const iph = ip_hdr(skb)
    const old = get_be16(b, at)
    iph.tos = (iph.tos & ~INET_ECN_MASK) | ecn
    iph.check = csum_replace2(iph.check, old, get_be16(b, at))
  } else if (skb.protocol === ETH_P_IPV6) b[at + 1] = ((b[at + 1] ?? 0) & 0xcf) | (ecn << 4)
}

/** the traffic class of the packet, when it is IP */
const ip_tunnel_get_dsfield = kfunc('ip_tunnel_get_dsfield', (at: number, skb: sk_buff): number => {
  const b = skb.head.bytes
  const protocol = eth_type_vlan(skb.protocol) ? vlan_get_protocol_and_depth(skb, skb.protocol, null) : skb.protocol
  if (protocol === ETH_P_IP) return b[at + 1] ?? 0
  if (protocol === ETH_P_IPV6) return (((b[at] ?? 0) & 0x0f) << 4) | ((b[at + 1] ?? 0) >> 4)
  return 0
})

export { ip_tunnel_get_dsfield }

export const ip_tunnel_ecn_encap = kfunc('ip_tunnel_ecn_encap', (tos: number, at: number, skb: sk_buff): number =>
  INET_ECN_encapsulate(tos, ip_tunnel_get_dsfield(at, skb)),
)

/** `oiph` is the outer header */
export const IP_ECN_decapsulate = kfunc('IP_ECN_decapsulate', (oiph: iphdr, skb: sk_buff): number =>
  skb.protocol === ETH_P_IP || skb.protocol === ETH_P_IPV6
    ? INET_ECN_decapsulate(skb, oiph.tos, ip_tunnel_get_dsfield(skb.network_header, skb))
    : 0,
)

// ---- include/net/ip_tunnels.h

const network_header_len = (type: number): number => (type === ETH_P_IPV6 ? SIZEOF_IPV6HDR : type === ETH_P_IP ? SIZEOF_IPHDR : 0)

/** makes sure that the headers of a frame to be wrapped are there. @returns why not, or 0 */
export const skb_vlan_inet_prepare = kfunc('skb_vlan_inet_prepare', (skb: sk_buff, inner_proto_inherit: boolean): number => {
  const maclen = { v: inner_proto_inherit ? 0 : ETH_HLEN }
  let type = skb.protocol
  if (eth_type_vlan(type)) type = vlan_get_protocol_and_depth(skb, type, maclen)
  const reason = pskb_may_pull_reason(skb, maclen.v + network_header_len(type))
  if (reason) return reason
  skb_set_network_header(skb, maclen.v)
  return 0
})

export const pskb_inet_may_pull_reason = kfunc('pskb_inet_may_pull_reason', (skb: sk_buff): number =>
  pskb_may_pull_reason(skb, skb_network_offset(skb) + network_header_len(skb.protocol)),
)

/** include/linux/skbuff.h */
const skb_clear_hash_if_not_l4 = (skb: sk_buff): void => {
  if (!skb.l4_hash) skb_clear_hash(skb)
}

const iptunnel_xmit_stats = kfunc('iptunnel_xmit_stats', (dev: net_device, pkt_len: number): void => {
  if (pkt_len > 0) {
    dev.stats.tx_bytes += pkt_len
    dev.stats.tx_packets++
  } else if (pkt_len < 0) dev.stats.tx_errors++
  else dev.stats.tx_dropped++
})

const iptunnel_pull_offloads = kfunc('iptunnel_pull_offloads', (skb: sk_buff): number => {
  if (skb_is_gso(skb)) {
    const err = skb_unclone(skb, GFP_ATOMIC)
    if (err) return err
    skb_shinfo(skb).gso_type &= ~Number(NETIF_F_GSO_ENCAP_ALL >> BigInt(NETIF_F_GSO_SHIFT))
  }
  skb.encapsulation = 0
  return 0
})

// ---- net/ipv4/ip_tunnel_core.c

/** puts the outer IPv4 header before a packet and sends it by the route `rt`, whose reference it takes */
export const iptunnel_xmit = kfunc(
  'iptunnel_xmit',
  (
    sk: sock,
    rt: rtable,
    skb: sk_buff,
    src: number,
    dst: number,
    proto: number,
    tos: number,
    ttl: number,
    df: number,
    xnet: boolean,
  ): void => {
    let pkt_len = skb.len - (skb.inner_network_header - skb.data)
    const net = dev_net(rt.dev as net_device)
    const { dev } = skb
    if (dev_recursion_level() > IP_TUNNEL_RECURSION_LIMIT) {
      if (dev !== null) dev.stats.tx_errors++
      ip_rt_put(rt)
      kfree_skb(skb)
      return
    }
    dev_xmit_recursion_inc()
    skb_scrub_packet(skb, xnet)
    skb_clear_hash_if_not_l4(skb)
    skb_dst_set(skb, rt)
    skb.inet_cb = null

    skb_push(skb, SIZEOF_IPHDR)
    skb_reset_network_header(skb)
    const iph = ip_hdr(skb)
    iph.bytes[iph.at] = (4 << 4) | (SIZEOF_IPHDR >> 2)
    iph.frag_off = ip_mtu_locked(rt) ? 0 : df
    iph.protocol = proto
    iph.tos = tos
    iph.daddr = dst
    iph.saddr = src
    iph.ttl = ttl
    __ip_select_ident(net, iph, skb_shinfo(skb).gso_segs || 1)

    const err = ip_local_out(net, sk, skb)
    if (dev !== null) {
      if (err !== 0 && err !== NET_XMIT_CN) pkt_len = 0
      iptunnel_xmit_stats(dev, pkt_len)
    }
    dev_xmit_recursion_dec()
  },
)

/** takes a tunnel's header off; what is left has the protocol `inner_proto`, or that of the Ethernet header in it */
export const __iptunnel_pull_header = kfunc(
  '__iptunnel_pull_header',
  (skb: sk_buff, hdr_len: number, inner_proto: number, raw_proto: boolean, xnet: boolean): number => {
    if (!pskb_may_pull(skb, hdr_len)) return -ENOMEM
    skb_pull_rcsum(skb, hdr_len)
    if (!raw_proto && inner_proto === ETH_P_TEB) {
      if (!pskb_may_pull(skb, ETH_HLEN)) return -ENOMEM
      const b = skb.head.bytes
      const h_proto = ((b[skb.data + 12] ?? 0) << 8) | (b[skb.data + 13] ?? 0)
      skb.protocol = eth_proto_is_802_3(h_proto) ? h_proto : ETH_P_802_2
    } else skb.protocol = inner_proto
    skb_clear_hash_if_not_l4(skb)
    __vlan_hwaccel_clear_tag(skb)
    skb_set_queue_mapping(skb, 0)
    skb_scrub_packet(skb, xnet)
    return iptunnel_pull_offloads(skb)
  },
)

/** notes where the inner headers are, and that segments of it need outer ones: SKB_GSO_* in `gso_type_mask` */
export const iptunnel_handle_offloads = kfunc('iptunnel_handle_offloads', (skb: sk_buff, gso_type_mask: number): number => {
  if (!skb.encapsulation) {
    skb_reset_inner_headers(skb)
    skb.encapsulation = 1
  }
  if (skb_is_gso(skb)) {
    const err = skb_header_unclone(skb, GFP_ATOMIC)
    if (err) return err
    skb_shinfo(skb).gso_type |= gso_type_mask
    return 0
  }
  if (skb.ip_summed !== CHECKSUM_PARTIAL) {
    skb.ip_summed = CHECKSUM_NONE
    // a driver that knows no better would take the outer checksum's place for the inner one's
    skb.encapsulation = 0
  }
  return 0
})

/** makes of a packet the ICMP message to its sender that it is too large. @returns its length, or an error */
const iptunnel_pmtud_build_icmp = kfunc('iptunnel_pmtud_build_icmp', (skb: sk_buff, mtu: number): number => {
  if (!pskb_may_pull(skb, ETH_HLEN + SIZEOF_IPHDR)) return -EINVAL
  if (skb_is_gso(skb)) skb_gso_reset(skb)
  const eh = new Uint8Array(ETH_HLEN)
  skb_copy_bits(skb, skb_mac_offset(skb), eh, 0, ETH_HLEN)
  pskb_pull(skb, ETH_HLEN)
  let err = pskb_trim(skb, 576 - SIZEOF_IPHDR - SIZEOF_ICMPHDR)
  if (err) return err
  const len = skb.len + SIZEOF_ICMPHDR
  err = skb_cow(skb, SIZEOF_IPHDR + SIZEOF_ICMPHDR + ETH_HLEN)
  if (err) return err
  const { saddr, daddr, ttl } = ip_hdr(skb)
  const at = skb_push(skb, SIZEOF_ICMPHDR)
  const b = skb.head.bytes
  b.fill(0, at, at + SIZEOF_ICMPHDR)
  b[at] = ICMP_DEST_UNREACH
  b[at + 1] = ICMP_FRAG_NEEDED
  b[at + 6] = mtu >> 8
  b[at + 7] = mtu
  const sum = csum_fold(skb_checksum(skb, 0, len, 0))
  b[at + 2] = sum >> 8
  b[at + 3] = sum
  skb_reset_transport_header(skb)
  const ip = skb_push(skb, SIZEOF_IPHDR)
  b.fill(0, ip, ip + SIZEOF_IPHDR)
  const niph = new iphdr(b, ip)
  b[ip] = (4 << 4) | (SIZEOF_IPHDR >> 2)
  niph.tot_len = len + SIZEOF_IPHDR
  niph.frag_off = IP_DF
  niph.ttl = ttl
  niph.protocol = IPPROTO_ICMP
  niph.saddr = daddr
  niph.daddr = saddr
  ip_send_check(niph)
  skb_reset_network_header(skb)
  skb.ip_summed = CHECKSUM_NONE
  const h_proto = ((eh[12] ?? 0) << 8) | (eh[13] ?? 0)
  eth_header(skb, skb.dev as net_device, h_proto, eh.slice(6, 12), eh.slice(0, 6), 0)
  skb_reset_mac_header(skb)
  skb_dst_drop(skb)
  return skb.len
})

const iptunnel_pmtud_check_icmp = kfunc('iptunnel_pmtud_check_icmp', (skb: sk_buff, mtu: number): number => {
  const iph = ip_hdr(skb)
  if (mtu < 576 || iph.frag_off !== IP_DF) return 0
  const { saddr, daddr, ihl } = iph
  if (ipv4_is_lbcast(daddr) || ipv4_is_multicast(daddr) || ipv4_is_zeronet(saddr) || ipv4_is_loopback(saddr)) return 0
  if (ipv4_is_lbcast(saddr) || ipv4_is_multicast(saddr)) return 0
  if (iph.protocol === IPPROTO_ICMP) {
    if (!pskb_may_pull(skb, skb_network_offset(skb) + ihl * 4 + 1)) return 0
    if (icmp_is_err(new icmphdr(skb.head.bytes, skb.network_header + ihl * 4).type)) return 0
  }
  return iptunnel_pmtud_build_icmp(skb, mtu)
})

/**
 * Tells the route of the packet that it is too large for the tunnel, and with `reply` makes the message to its sender.
 * @returns more than 0 when `skb` is that message now
 */
export const skb_tunnel_check_pmtu = kfunc(
  'skb_tunnel_check_pmtu',
  (skb: sk_buff, encap_dst: dst_entry, headroom: number, reply: boolean): number => {
    const mtu = dst_mtu(encap_dst) - headroom
    if (skb_is_gso(skb) ? skb_gso_validate_network_len(skb, mtu) : skb.len - skb_network_offset(skb) <= mtu) return 0
    if (tracer.on) decide('skb_tunnel_check_pmtu', 'too large for the tunnel', { len: skb.len, mtu })
    skb_dst_update_pmtu_no_confirm(skb, mtu)
    if (!reply) return 0
    return skb.protocol === ETH_P_IP ? iptunnel_pmtud_check_icmp(skb, mtu) : 0
  },
)
