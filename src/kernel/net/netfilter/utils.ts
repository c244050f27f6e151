import { kfunc } from '../../../trace/kfunc.ts'
import { IPPROTO_TCP, IPPROTO_UDP, NF_INET_LOCAL_IN, NF_INET_PRE_ROUTING } from '../../include/generated/enums.ts'
import { ip_hdr } from '../../include/linux/ip.ts'
import { ipv6_hdr } from '../../include/linux/ipv6.ts'
import { CHECKSUM_COMPLETE, CHECKSUM_NONE, CHECKSUM_UNNECESSARY, type sk_buff } from '../../include/linux/skbuff.ts'
import { AF_INET } from '../../include/linux/socket.ts'
import { csum_fold, csum_ipv6_magic, csum_sub, csum_tcpudp_magic, csum_tcpudp_nofold } from '../../lib/checksum.ts'
import { __skb_checksum_complete, skb_checksum } from '../core/skbuff.ts'

/** 0 when the checksum of what IPv4 carries is right, or need not be looked at */
export const nf_ip_checksum = kfunc('nf_ip_checksum', (skb: sk_buff, hook: number, dataoff: number, protocol: number): number => {
  const iph = ip_hdr(skb)
  const pseudo = protocol === IPPROTO_TCP || protocol === IPPROTO_UDP
  if (skb.ip_summed !== CHECKSUM_COMPLETE && skb.ip_summed !== CHECKSUM_NONE) return 0
  if (skb.ip_summed === CHECKSUM_COMPLETE) {
    if (hook !== NF_INET_PRE_ROUTING && hook !== NF_INET_LOCAL_IN) return 0
    if ((!pseudo && !csum_fold(skb.csum)) || !csum_tcpudp_magic(iph.saddr, iph.daddr, skb.len - dataoff, protocol, skb.csum)) {
      skb.ip_summed = CHECKSUM_UNNECESSARY
      return 0
    }
  }
  skb.csum = pseudo ? csum_tcpudp_nofold(iph.saddr, iph.daddr, skb.len - dataoff, protocol, 0) : 0
  return __skb_checksum_complete(skb)
})

/** 0 when the checksum of what IPv6 carries is right, or need not be looked at */
export const nf_ip6_checksum = kfunc(
  'nf_ip6_checksum',
  (skb: sk_buff, hook: number, dataoff: number, protocol: number): number => {
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
    skb.csum = ~csum_ipv6_magic(saddr, daddr, len, protocol, csum_sub(0, skb_checksum(skb, 0, dataoff, 0))) & 0xffff
    return __skb_checksum_complete(skb)
  },
)

export const nf_checksum = kfunc(
  'nf_checksum',
  (skb: sk_buff, hook: number, dataoff: number, protocol: number, family: number): number =>
    family === AF_INET ? nf_ip_checksum(skb, hook, dataoff, protocol) : 0,
)
