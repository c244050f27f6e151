import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { traceIndirect, tracer } from '../../../trace/tracer.ts'
import { ETH_P_IPV6, IPPROTO_TCP, SKB_GSO_PARTIAL, SKB_GSO_TCPV6 } from '../../include/generated/enums.ts'
import { EINVAL, ENOSYS, EPROTONOSUPPORT } from '../../include/linux/errno.ts'
import { IPV6_FLOWLABEL_MASK, ipv6_addr_equal } from '../../include/linux/in6.ts'
import { ipv6_hdr, ipv6hdr, SIZEOF_IPV6HDR } from '../../include/linux/ipv6.ts'
import type { netdev_features_t } from '../../include/linux/netdev_features.ts'
import {
  CHECKSUM_PARTIAL,
  type sk_buff,
  skb_is_gso,
  skb_reset_mac_len,
  skb_reset_network_header,
  skb_reset_transport_header,
  skb_shinfo,
} from '../../include/linux/skbuff.ts'
import { tcp_hdr } from '../../include/linux/tcp.ts'
import { IS_ERR } from '../../include/linux/types.ts'
import { NAPI_GRO_CB, skb_gro_len, skb_gro_offset, skb_gro_pull } from '../../include/net/gro.ts'
import { csum_ipv6_magic } from '../../lib/checksum.ts'
import {
  dev_add_offload,
  indirect_call_gro_receive,
  skb_gro_checksum_validate,
  skb_gro_flush_final,
  skb_gro_header,
  skb_gro_network_header,
} from '../core/gro.ts'
import { __skb_pull, pskb_may_pull, SKB_GSO_CB } from '../core/skbuff.ts'
import { tcp_gro_complete, tcp_gro_pull_header, tcp_gro_receive, tcp_gso_segment } from '../ipv4/tcp_offload.ts'
import { inet6_add_offload, inet6_offloads } from './protocol.ts'
import { __tcp_v6_send_check, tcp_v6_check } from './tcp_ipv6.ts'

/** cuts an IPv6 packet: its transport cuts, each segment gets its length here */
const ipv6_gso_segment = kfunc('ipv6_gso_segment', (skb: sk_buff, feat: netdev_features_t): sk_buff | number | null => {
  let features = feat
  skb_reset_network_header(skb)
  const nhoff = skb.network_header - skb.mac_header
  if (!pskb_may_pull(skb, SIZEOF_IPV6HDR)) return -EINVAL
  const gso_cb = SKB_GSO_CB(skb)
  const encap = gso_cb.encap_level > 0
  if (encap && skb.dev !== null) features &= skb.dev.hw_enc_features
  gso_cb.encap_level += SIZEOF_IPV6HDR
  const proto = ipv6_hdr(skb).nexthdr
  __skb_pull(skb, SIZEOF_IPV6HDR)
  skb_reset_transport_header(skb)
  let segs: sk_buff | number | null = -EPROTONOSUPPORT
  const gso_segment = inet6_offloads[proto]?.callbacks.gso_segment
  if (gso_segment !== undefined) {
    if (tracer.on) traceIndirect('ops->callbacks.gso_segment', nameOf(gso_segment))
    segs = gso_segment(skb, features)
    if (segs === null) skb.network_header = skb.mac_header + nhoff
  }
  if (segs === null || IS_ERR(segs)) return segs
  const gso_partial = (skb_shinfo(segs).gso_type & SKB_GSO_PARTIAL) !== 0
  for (let seg: sk_buff | null = segs; seg !== null; seg = seg.next) {
    const at = seg.mac_header + nhoff
    seg.network_header = at
    const hdr = ipv6_hdr(seg)
    hdr.payload_len =
      gso_partial && skb_is_gso(seg)
        ? skb_shinfo(seg).gso_size + SKB_GSO_CB(seg).mac_offset - at - SIZEOF_IPV6HDR
        : seg.len - nhoff - SIZEOF_IPV6HDR
    skb_reset_mac_len(seg)
  }
  return segs
})

/** looks whether an IPv6 packet may be joined to one of those held, as far as this header tells, and asks its transport */
const ipv6_gro_receive = kfunc('ipv6_gro_receive', (head: sk_buff[], skb: sk_buff): sk_buff | null => {
  const cb = NAPI_GRO_CB(skb)
  let pp: sk_buff | null = null
  let flush = 1
  const off = skb_gro_offset(skb)
  const h = skb_gro_header(skb, off + SIZEOF_IPV6HDR, off)
  if (h !== null) {
    const iph = new ipv6hdr(h.bytes, h.at)
    cb.network_offsets[cb.encap_mark ? 1 : 0] = off
    flush = iph.payload_len !== skb_gro_len(skb) - SIZEOF_IPV6HDR ? 1 : 0
    const proto = iph.nexthdr
    const gro_receive = inet6_offloads[proto]?.callbacks.gro_receive
    skb_gro_pull(skb, SIZEOF_IPV6HDR)
    if (gro_receive === undefined) flush = 1
    else {
      skb.transport_header = skb.data + skb_gro_offset(skb)
      cb.proto = proto
      for (const p of head) {
        const pcb = NAPI_GRO_CB(p)
        if (!pcb.same_flow) continue
        const iph2 = new ipv6hdr(p.head.bytes, p.data + off)
        if (
          iph.nexthdr !== iph2.nexthdr ||
          (iph.flowinfo & IPV6_FLOWLABEL_MASK) !== (iph2.flowinfo & IPV6_FLOWLABEL_MASK) ||
          !ipv6_addr_equal(iph.saddr, iph2.saddr) ||
          !ipv6_addr_equal(iph.daddr, iph2.daddr)
        )
          pcb.same_flow = 0
      }
      cb.flush |= flush
      pp = indirect_call_gro_receive(gro_receive, head, skb)
    }
  }
  skb_gro_flush_final(skb, pp, flush)
  return pp
})

const ipv6_gro_complete = kfunc('ipv6_gro_complete', (skb: sk_buff, nhoff: number): number => {
  const iph = new ipv6hdr(skb.head.bytes, skb.data + nhoff)
  iph.payload_len = skb.len - nhoff - SIZEOF_IPV6HDR
  const gro_complete = inet6_offloads[iph.nexthdr]?.callbacks.gro_complete
  if (gro_complete === undefined) return -ENOSYS
  if (tracer.on) traceIndirect('ops->callbacks.gro_complete', nameOf(gro_complete))
  return gro_complete(skb, nhoff + SIZEOF_IPV6HDR)
})

export const ip6_gro_compute_pseudo = kfunc('ip6_gro_compute_pseudo', (skb: sk_buff, proto: number): number => {
  const { bytes, at } = skb_gro_network_header(skb)
  const iph = new ipv6hdr(bytes, at)
  return ~csum_ipv6_magic(iph.saddr, iph.daddr, skb_gro_len(skb), proto, 0) & 0xffff
})

const tcp6_gro_receive = kfunc('tcp6_gro_receive', (head: sk_buff[], skb: sk_buff): sk_buff | null => {
  const cb = NAPI_GRO_CB(skb)
  const th = !cb.flush && skb_gro_checksum_validate(skb, IPPROTO_TCP, ip6_gro_compute_pseudo) ? null : tcp_gro_pull_header(skb)
  if (th === null) {
    cb.flush = 1
    return null
  }
  return tcp_gro_receive(head, skb, th)
})

const tcp6_gro_complete = kfunc('tcp6_gro_complete', (skb: sk_buff, thoff: number): number => {
  const cb = NAPI_GRO_CB(skb)
  const iph = new ipv6hdr(skb.head.bytes, skb.data + cb.network_offsets[skb.encapsulation ? 1 : 0])
  tcp_hdr(skb).check = ~tcp_v6_check(skb.len - thoff, iph.saddr, iph.daddr, 0) & 0xffff
  skb_shinfo(skb).gso_type |= SKB_GSO_TCPV6
  tcp_gro_complete(skb)
  return 0
})

const tcp6_gso_segment = kfunc('tcp6_gso_segment', (skb: sk_buff, features: netdev_features_t): sk_buff | number | null => {
  if (!(skb_shinfo(skb).gso_type & SKB_GSO_TCPV6) || !pskb_may_pull(skb, 20)) return -EINVAL
  if (skb.ip_summed !== CHECKSUM_PARTIAL) {
    const { saddr, daddr } = ipv6_hdr(skb)
    tcp_hdr(skb).check = 0
    skb.ip_summed = CHECKSUM_PARTIAL
    __tcp_v6_send_check(skb, saddr, daddr)
  }
  return tcp_gso_segment(skb, features)
})

export function ipv6_offload_init(): void {
  inet6_add_offload(
    { callbacks: { gso_segment: tcp6_gso_segment, gro_receive: tcp6_gro_receive, gro_complete: tcp6_gro_complete } },
    IPPROTO_TCP,
  )
  dev_add_offload({
    type: ETH_P_IPV6,
    priority: 0,
    callbacks: { gso_segment: ipv6_gso_segment, gro_receive: ipv6_gro_receive, gro_complete: ipv6_gro_complete },
  })
}
