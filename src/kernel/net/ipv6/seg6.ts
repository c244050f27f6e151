import { kfunc } from '../../../trace/kfunc.ts'
import { NEXTHDR_ROUTING } from '../../include/linux/in6.ts'
import { type sk_buff, skb_reset_network_header } from '../../include/linux/skbuff.ts'
import type { inet_skb_parm } from '../../include/net/ip.ts'
import { ipv6_find_hdr } from './exthdrs_core.ts'

// Nobody here makes a segment routing header (RFC 8754): it is looked for, and would be left alone.

const seg6_get_srh = kfunc('seg6_get_srh', (skb: sk_buff, flags: number): null => {
  ipv6_find_hdr(skb, { v: 0 }, NEXTHDR_ROUTING, null, { v: flags })
  return null
})

/** whether the packet in an ICMP error was on its way along segments; the error begins behind the ICMP header */
export const seg6_icmp_srh = kfunc('seg6_icmp_srh', (skb: sk_buff, _opt: inet_skb_parm): void => {
  const { network_header } = skb
  skb_reset_network_header(skb)
  seg6_get_srh(skb, 0)
  skb.network_header = network_header
})
