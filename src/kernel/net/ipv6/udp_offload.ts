import { kfunc } from '../../../trace/kfunc.ts'
import {
  IPPROTO_UDP,
  SKB_GSO_FRAGLIST,
  SKB_GSO_UDP_L4,
  SKB_GSO_UDP_TUNNEL,
  SKB_GSO_UDP_TUNNEL_CSUM,
} from '../../include/generated/enums.ts'
import { EINVAL } from '../../include/linux/errno.ts'
import { ipv6hdr } from '../../include/linux/ipv6.ts'
import { type sk_buff, skb_shinfo } from '../../include/linux/skbuff.ts'
import { SIZEOF_UDPHDR, udphdr } from '../../include/linux/udp.ts'
import { NAPI_GRO_CB } from '../../include/net/gro.ts'
import type { sock } from '../../include/net/sock.ts'
import {
  inet_get_iif_sdif,
  skb_gro_checksum_try_convert,
  skb_gro_checksum_validate_zero_check,
  skb_gro_network_header,
} from '../core/gro.ts'
import { __skb_incr_checksum_unnecessary, pskb_may_pull } from '../core/skbuff.ts'
import type { udp_table_t } from '../ipv4/udp.ts'
import {
  __udp_gso_segment,
  skb_udp_tunnel_segment,
  udp_gro_complete,
  udp_gro_receive,
  udp_gro_udphdr,
} from '../ipv4/udp_offload.ts'
import { ip6_gro_compute_pseudo } from './ip6_offload.ts'
import { inet6_add_offload } from './protocol.ts'
import { __udp6_lib_lookup, udp_v6_check, udp6_lib_lookup_skb, udpv6_encap_needed } from './udp.ts'

/** Cuts what UDP_SEGMENT or GRO left whole. Fragments of one datagram (SKB_GSO_UDP) come from tun devices only, which are not there. */
const udp6_ufo_fragment = kfunc('udp6_ufo_fragment', (skb: sk_buff, features: bigint): sk_buff | number | null => {
  const { gso_type } = skb_shinfo(skb)
  if (skb.encapsulation && gso_type & (SKB_GSO_UDP_TUNNEL | SKB_GSO_UDP_TUNNEL_CSUM))
    return skb_udp_tunnel_segment(skb, features, true)
  if (!(gso_type & SKB_GSO_UDP_L4) || !pskb_may_pull(skb, SIZEOF_UDPHDR)) return -EINVAL
  return __udp_gso_segment(skb, features, true)
})

const udp6_gro_lookup_skb = kfunc('udp6_gro_lookup_skb', (skb: sk_buff, sport: number, dport: number): sock | null => {
  const { dev } = skb
  if (dev === null) return null
  const { bytes, at } = skb_gro_network_header(skb)
  const iph = new ipv6hdr(bytes, at)
  const { iif, sdif } = inet_get_iif_sdif(skb)
  const { nd_net } = dev
  return __udp6_lib_lookup(nd_net, iph.saddr, sport, iph.daddr, dport, iif, sdif, nd_net.ipv4.udp_table as udp_table_t, null)
})

const udp6_gro_receive = kfunc('udp6_gro_receive', (head: sk_buff[], skb: sk_buff): sk_buff | null => {
  const cb = NAPI_GRO_CB(skb)
  const uh = udp_gro_udphdr(skb)
  const unchecked = uh !== null && cb.flush
  // what is given up anyhow is not summed
  if (uh === null || (!unchecked && skb_gro_checksum_validate_zero_check(skb, IPPROTO_UDP, uh.check, ip6_gro_compute_pseudo))) {
    cb.flush = 1
    return null
  }
  if (!unchecked && uh.check) skb_gro_checksum_try_convert(skb, IPPROTO_UDP, ip6_gro_compute_pseudo)
  cb.is_ipv6 = 1
  return udp_gro_receive(head, skb, uh, udpv6_encap_needed() ? udp6_gro_lookup_skb(skb, uh.source, uh.dest) : null)
})

const udp6_gro_complete = kfunc('udp6_gro_complete', (skb: sk_buff, nhoff: number): number => {
  const cb = NAPI_GRO_CB(skb)
  const uh = new udphdr(skb.head.bytes, skb.data + nhoff)
  if (cb.is_flist && !cb.encap_mark) {
    uh.len = skb.len - nhoff
    skb.head.shinfo.gso_type |= SKB_GSO_FRAGLIST | SKB_GSO_UDP_L4
    skb.head.shinfo.gso_segs = cb.count
    __skb_incr_checksum_unnecessary(skb)
    return 0
  }
  if (uh.check) {
    const iph = new ipv6hdr(skb.head.bytes, skb.data + cb.network_offsets[skb.encapsulation ? 1 : 0])
    uh.check = ~udp_v6_check(skb.len - nhoff, iph.saddr, iph.daddr, 0) & 0xffff
  }
  return udp_gro_complete(skb, nhoff, udp6_lib_lookup_skb)
})

export const udpv6_offload_init = kfunc('udpv6_offload_init', (): number =>
  inet6_add_offload(
    { callbacks: { gso_segment: udp6_ufo_fragment, gro_receive: udp6_gro_receive, gro_complete: udp6_gro_complete } },
    IPPROTO_UDP,
  ),
)
