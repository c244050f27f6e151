import { kfunc } from '../../../../trace/kfunc.ts'
import { ETH_P_IPV6, IPPROTO_TCP, IPPROTO_UDP, NF_INET_LOCAL_OUT } from '../../../include/generated/enums.ts'
import { ICMPV6_DEST_UNREACH } from '../../../include/linux/icmpv6.ts'
import { IPPROTO_ICMPV6, IPV6_ADDR_UNICAST } from '../../../include/linux/in6.ts'
import { ipv6_hdr, SIZEOF_IPV6HDR } from '../../../include/linux/ipv6.ts'
import { LL_MAX_HEADER, type net_device } from '../../../include/linux/netdevice.ts'
import { type sk_buff, skb_dst, skb_reset_network_header, skb_reset_transport_header } from '../../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../../include/linux/slab.ts'
import { tcphdr } from '../../../include/linux/tcp.ts'
import { IS_ERR, type ref } from '../../../include/linux/types.ts'
import type { dst_entry } from '../../../include/net/dst.ts'
import { flowi6 } from '../../../include/net/flow.ts'
import type { net } from '../../../include/net/net_namespace.ts'
import { net_ipv6 } from '../../../include/net/netns_ipv6.ts'
import type { sock } from '../../../include/net/sock.ts'
import { csum_ipv6_magic, csum_partial } from '../../../lib/checksum.ts'
import { security_skb_classify_flow } from '../../../security/security.ts'
import { dst_release, skb_dst_drop, skb_dst_set, skb_valid_dst } from '../../core/dst.ts'
import { alloc_skb, skb_csum_unnecessary, skb_nfct, skb_put, skb_put_zero, skb_reserve } from '../../core/skbuff.ts'
import { l3mdev_master_ifindex } from '../../l3mdev/l3mdev.ts'
import { nf_ct_attach, nf_ct_set_closing } from '../../netfilter/core.ts'
import { nf_ip6_checksum } from '../../netfilter/utils.ts'
import { xfrm_lookup } from '../../xfrm/xfrm_policy.ts'
import { ipv6_addr_type } from '../addrconf_core.ts'
import { ipv6_skip_exthdr } from '../exthdrs_core.ts'
import { icmpv6_send } from '../icmp.ts'
import { __nf_ip6_route } from '../netfilter.ts'
import { ip6_dst_hoplimit, ip6_local_out } from '../output_core.ts'
import { ip6_route_output } from '../route.ts'

/** where the transport header begins, from skb.data; negative when the packet has none whole */
function transport(skb: sk_buff): { thoff: number; proto: number; fragment: boolean } {
  const nexthdr = { v: ipv6_hdr(skb).nexthdr }
  const frag_off = { v: 0 }
  const thoff = ipv6_skip_exthdr(skb, skb.network_header - skb.data + SIZEOF_IPV6HDR, nexthdr, frag_off)
  return { thoff, proto: nexthdr.v, fragment: (frag_off.v & ~7) !== 0 }
}

function reject6_csum_ok(skb: sk_buff, hook: number): boolean {
  if (skb_csum_unnecessary(skb)) return true
  const { thoff, proto, fragment } = transport(skb)
  if (thoff < 0 || thoff >= skb.len || fragment) return false
  const verified = proto === IPPROTO_TCP || proto === IPPROTO_UDP || proto === IPPROTO_ICMPV6
  return !verified || nf_ip6_checksum(skb, hook, thoff, proto) === 0
}

const nf_reject_ip6_tcphdr_get = kfunc(
  'nf_reject_ip6_tcphdr_get',
  (oldskb: sk_buff, _otcph: null, otcplen: ref<number>, hook: number): tcphdr | null => {
    const { thoff, proto } = transport(oldskb)
    if (thoff < 0 || thoff > oldskb.len) return null
    otcplen.v = oldskb.len - thoff
    if (proto !== IPPROTO_TCP || otcplen.v < 20) return null
    const otcph = new tcphdr(oldskb.head.bytes, oldskb.data + thoff)
    if (otcph.rst || nf_ip6_checksum(oldskb, hook, thoff, IPPROTO_TCP)) return null
    return otcph
  },
)

const nf_reject_ip6hdr_put = kfunc(
  'nf_reject_ip6hdr_put',
  (nskb: sk_buff, oldskb: sk_buff, protocol: number, hoplimit: number): void => {
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
  },
)

const nf_reject_ip6_tcphdr_put = kfunc(
  'nf_reject_ip6_tcphdr_put',
  (nskb: sk_buff, _oldskb: sk_buff, oth: tcphdr, otcplen: number): void => {
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
  },
)

const nf_ip6_route = (n: net, fl6: flowi6): dst_entry | null => {
  const dst = __nf_ip6_route(n, fl6, false)
  return typeof dst === 'number' ? null : dst
}

function nf_reject6_fill_skb_dst(skb_in: sk_buff): number {
  const fl6 = new flowi6()
  fl6.daddr.set(ipv6_hdr(skb_in).saddr)
  const dst = nf_ip6_route((skb_in.dev as net_device).nd_net, fl6)
  if (dst === null) return -1
  skb_dst_drop(skb_in)
  skb_dst_set(skb_in, dst)
  return 0
}

/** answers a segment with a reset, as if nobody listened */
export const nf_send_reset6 = kfunc('nf_send_reset6', (n: net, sk: sock | null, oldskb: sk_buff, hook: number): void => {
  const oip6h = ipv6_hdr(oldskb)
  if (!(ipv6_addr_type(oip6h.saddr) & IPV6_ADDR_UNICAST) || !(ipv6_addr_type(oip6h.daddr) & IPV6_ADDR_UNICAST)) return
  const otcplen = { v: 0 }
  const oth = nf_reject_ip6_tcphdr_get(oldskb, null, otcplen, hook)
  if (oth === null) return
  const fl6 = new flowi6()
  fl6.flowi6_proto = IPPROTO_TCP
  fl6.saddr.set(oip6h.daddr)
  fl6.daddr.set(oip6h.saddr)
  fl6.fl6_sport = oth.dest
  fl6.fl6_dport = oth.source
  if (!skb_valid_dst(oldskb)) {
    const back = nf_ip6_route(n, fl6)
    if (back === null) return
    skb_dst_drop(oldskb)
    skb_dst_set(oldskb, back)
  }
  fl6.flowi6_oif = l3mdev_master_ifindex(skb_dst(oldskb)?.dev ?? null)
  fl6.flowi6_mark = net_ipv6(n).sysctl.fwmark_reflect ? oldskb.mark : 0
  security_skb_classify_flow(oldskb, fl6)
  const route = ip6_route_output(n, null, fl6)
  if (route.error) {
    dst_release(route)
    return
  }
  const dst = xfrm_lookup(n, route, fl6, null, 0)
  if (IS_ERR(dst)) return
  const nskb = alloc_skb(LL_MAX_HEADER + SIZEOF_IPV6HDR + 20, GFP_ATOMIC)
  if (nskb === null) {
    dst_release(dst)
    return
  }
  skb_dst_set(nskb, dst)
  nskb.mark = fl6.flowi6_mark
  skb_reserve(nskb, LL_MAX_HEADER)
  nf_reject_ip6hdr_put(nskb, oldskb, IPPROTO_TCP, ip6_dst_hoplimit(dst))
  nf_reject_ip6_tcphdr_put(nskb, oldskb, oth, otcplen.v)
  nf_ct_attach(nskb, oldskb)
  nf_ct_set_closing(skb_nfct(oldskb))
  ip6_local_out(n, sk, nskb)
})

/** tells the sender that the packet may not go there */
export const nf_send_unreach6 = kfunc('nf_send_unreach6', (n: net, skb_in: sk_buff, code: number, hooknum: number): void => {
  if (!reject6_csum_ok(skb_in, hooknum)) return
  if (hooknum === NF_INET_LOCAL_OUT && skb_in.dev === null) skb_in.dev = n.loopback_dev
  if (!skb_valid_dst(skb_in) && nf_reject6_fill_skb_dst(skb_in) < 0) return
  icmpv6_send(skb_in, ICMPV6_DEST_UNREACH, code, 0)
})
