import { kfunc } from '../../../trace/kfunc.ts'
import { ipv6_hdr } from '../../include/linux/ipv6.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { csum_ipv6_magic } from '../../lib/checksum.ts'

/** include/net/ip6_checksum.h: the sum of a packet's pseudo header */
export const ip6_compute_pseudo = kfunc('ip6_compute_pseudo', (skb: sk_buff, proto: number): number => {
  const hdr = ipv6_hdr(skb)
  return ~csum_ipv6_magic(hdr.saddr, hdr.daddr, skb.len, proto, 0) & 0xffff
})
