import {
  ETH_P_IPV6,
  IPPROTO_TCP,
  IPPROTO_UDP,
  NF_INET_LOCAL_IN,
  NF_INET_LOCAL_OUT,
  NF_INET_PRE_ROUTING,
} from '../../../include/generated/enums.ts'
import { ICMPV6_DEST_UNREACH } from '../../../include/linux/icmpv6.ts'
import { IPPROTO_ICMPV6, IPV6_ADDR_UNICAST } from '../../../include/linux/in6.ts'
import { ipv6_hdr, SIZEOF_IPV6HDR } from '../../../include/linux/ipv6.ts'
import {
  CHECKSUM_COMPLETE,
  CHECKSUM_NONE,
  CHECKSUM_UNNECESSARY,
  type sk_buff,
  skb_dst,
  skb_reset_network_header,
  skb_reset_transport_header,
} from '../../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../../include/linux/slab.ts'
import { tcphdr } from '../../../include/linux/tcp.ts'
import { flowi6 } from '../../../include/net/flow.ts'
import type { net } from '../../../include/net/net_namespace.ts'
import type { sock } from '../../../include/net/sock.ts'
import { csum_ipv6_magic, csum_partial, csum_sub } from '../../../lib/checksum.ts'
import { security_skb_classify_flow } from '../../../security/security.ts'
import { dst_release, skb_dst_drop, skb_dst_set, skb_valid_dst } from '../../core/dst.ts'
import {
  __skb_checksum_complete,
  alloc_skb,
  pskb_trim_rcsum,
  skb_checksum,
  skb_csum_unnecessary,
  skb_nfct,
  skb_put,
  skb_put_zero,
  skb_reserve,
} from '../../core/skbuff.ts'
import { nf_ct_attach, nf_ct_set_closing } from '../../netfilter/core.ts'
import { ipv6_addr_type } from '../addrconf_core.ts'
import { ipv6_skip_exthdr } from '../exthdrs.ts'
import { icmpv6_send } from '../icmp.ts'
import { ip6_dst_hoplimit, ip6_local_out } from '../output_core.ts'
import { ip6_route_output } from '../route.ts'

// The build's tables do not have this file: what stands here in plain functions is a function of its own there.

/** net/netfilter/utils.c: 0 when the checksum of what IPv6 carries is right, or need not be looked at */
const nf_ip6_checksum = (skb: sk_buff, hook: number, dataoff: number, protocol: number): number => {
  const { saddr, daddr } = ipv6_hdr(skb)
  const len = skb.len - dataoff
  if (skb.ip_summed !== CHECKSUM_COMPLETE && skb.ip_summed !== CHECKSUM_NONE) return 0
  if (skb.ip_summed === CHECKSUM_COMPLETE) {
    if (hook !== NF_INET_PRE_ROUTING && hook !== NF_INET_LOCAL_IN) return 0
    if (!csum_ipv6_magic(saddr, daddr, len, protocol, csum_sub(skb.csum, skb_checksum(skb, 0, dataoff, 0)))) {
      skb.ip_summed = CHECKSUM_UNNECESSARY
      return 0
    }
  }
  const pseudo = ~csum_ipv6_magic(saddr, daddr, len, protocol, csum_sub(0, skb_checksum(skb, 0, dataoff, 0))) & 0xffff
  skb.csum = pseudo
  return __skb_checksum_complete(skb)
}

/** where the transport header begins, from skb.data; negative when the packet has none of `protocol` whole */
function transport(skb: sk_buff): { thoff: number; proto: number; fragment: boolean } {
  const nexthdr = { v: ipv6_hdr(skb).nexthdr }
  const frag_off = { v: 0 }
  const thoff = ipv6_skip_exthdr(skb, skb.network_header - skb.data + SIZEOF_IPV6HDR, nexthdr, frag_off)
  return { thoff, proto: nexthdr.v, fragment: (frag_off.v & ~7) !== 0 }
}

const nf_reject_v6_csum_ok = (skb: sk_buff, hook: number): boolean => {
  if (skb_csum_unnecessary(skb)) return true
  const { payload_len } = ipv6_hdr(skb)
  if (payload_len && pskb_trim_rcsum(skb, payload_len + SIZEOF_IPV6HDR)) return false
  const { thoff, proto, fragment } = transport(skb)
  if (thoff < 0 || thoff >= skb.len || fragment) return false
  const verified = proto === IPPROTO_TCP || proto === IPPROTO_UDP || proto === IPPROTO_ICMPV6
  return !verified || nf_ip6_checksum(skb, hook, thoff, proto) === 0
}

const nf_reject_ip6hdr_put = (nskb: sk_buff, oldskb: sk_buff, protocol: number, hoplimit: number): void => {
  const oip6h = ipv6_hdr(oldskb)
  skb_put(nskb, SIZEOF_IPV6HDR)
  skb_reset_network_header(nskb)
  const ip6h = ipv6_hdr(nskb)
  ip6h.flow_hdr(0, 0)
  ip6h.hop_limit = hoplimit
  ip6h.nexthdr = protocol
  ip6h.saddr = oip6h.daddr
  ip6h.daddr = oip6h.saddr
  nskb.protocol = ETH_P_IPV6
}

const nf_reject_ip6_tcphdr_put = (nskb: sk_buff, oth: tcphdr, otcplen: number): void => {
  skb_reset_transport_header(nskb)
  const tcph = new tcphdr(nskb.head.bytes, skb_put_zero(nskb, 20))
  tcph.doff = 5
  tcph.source = oth.dest
  tcph.dest = oth.source
  if (oth.ack) tcph.seq = oth.ack_seq
  else {
    tcph.ack_seq = (oth.seq + oth.syn + oth.fin + otcplen - oth.doff * 4) >>> 0
    tcph.ack = 1
  }
  tcph.rst = 1
  const { saddr, daddr } = ipv6_hdr(nskb)
  tcph.check = csum_ipv6_magic(saddr, daddr, 20, IPPROTO_TCP, csum_partial(nskb.head.bytes, tcph.off, 20, 0))
}

/** answers a segment with a reset, as if nobody listened */
export function nf_send_reset6(n: net, sk: sock | null, oldskb: sk_buff, hook: number): void {
  const oip6h = ipv6_hdr(oldskb)
  if (!(ipv6_addr_type(oip6h.saddr) & IPV6_ADDR_UNICAST) || !(ipv6_addr_type(oip6h.daddr) & IPV6_ADDR_UNICAST)) return
  const { thoff, proto } = transport(oldskb)
  const otcplen = oldskb.len - thoff
  if (thoff < 0 || proto !== IPPROTO_TCP || otcplen < 20) return
  const oth = new tcphdr(oldskb.head.bytes, oldskb.data + thoff)
  if (oth.rst || nf_ip6_checksum(oldskb, hook, thoff, IPPROTO_TCP)) return
  const fl6 = new flowi6()
  fl6.flowi6_proto = IPPROTO_TCP
  fl6.saddr.set(oip6h.daddr)
  fl6.daddr.set(oip6h.saddr)
  fl6.fl6_sport = oth.dest
  fl6.fl6_dport = oth.source
  security_skb_classify_flow(oldskb, fl6)
  const dst = ip6_route_output(n, null, fl6)
  if (dst.error) {
    dst_release(dst)
    return
  }
  const hh_len = ((dst.dev?.hard_header_len ?? 0) + 15) & ~15
  const nskb = alloc_skb(hh_len + 15 + SIZEOF_IPV6HDR + 20, GFP_ATOMIC)
  if (nskb === null) {
    dst_release(dst)
    return
  }
  skb_dst_set(nskb, dst)
  skb_reserve(nskb, hh_len)
  nf_reject_ip6hdr_put(nskb, oldskb, IPPROTO_TCP, ip6_dst_hoplimit(dst))
  nf_reject_ip6_tcphdr_put(nskb, oth, otcplen)
  nf_ct_attach(nskb, oldskb)
  nf_ct_set_closing(skb_nfct(oldskb))
  ip6_local_out(n, sk, nskb)
}

/** tells the sender that the packet may not go there */
export function nf_send_unreach6(n: net, skb: sk_buff, code: number, hook: number): void {
  if (!nf_reject_v6_csum_ok(skb, hook)) return
  if (hook === NF_INET_LOCAL_OUT && skb.dev === null) skb.dev = n.loopback_dev
  if (hook === NF_INET_PRE_ROUTING && !skb_valid_dst(skb)) {
    const fl6 = new flowi6()
    fl6.daddr.set(ipv6_hdr(skb).saddr)
    const dst = ip6_route_output(n, null, fl6)
    if (dst.error) {
      dst_release(dst)
      return
    }
    if (skb_dst(skb) !== null) skb_dst_drop(skb)
    skb_dst_set(skb, dst)
  }
  icmpv6_send(skb, ICMPV6_DEST_UNREACH, code, 0)
}
