import { kfunc } from '../../../trace/kfunc.ts'
import {
  NET_RX_DROP,
  NET_RX_SUCCESS,
  NF_INET_FORWARD,
  NFPROTO_IPV4,
  PACKET_HOST,
  SKB_DROP_REASON_IP_INHDR,
  SKB_DROP_REASON_NOT_SPECIFIED,
  SKB_DROP_REASON_PKT_TOO_BIG,
  SKB_DROP_REASON_XFRM_POLICY,
} from '../../include/generated/enums.ts'
import {
  ICMP_DEST_UNREACH,
  ICMP_EXC_TTL,
  ICMP_FRAG_NEEDED,
  ICMP_SR_FAILED,
  ICMP_TIME_EXCEEDED,
} from '../../include/linux/icmp.ts'
import { ip_hdr } from '../../include/linux/ip.ts'
import { LL_RESERVED_SPACE, type net_device } from '../../include/linux/netdevice.ts'
import { CHECKSUM_COMPLETE, CHECKSUM_NONE, type sk_buff, skb_is_gso } from '../../include/linux/skbuff.ts'
import { IP_DF, IPCB, IPSKB_DOREDIRECT, IPSKB_FORWARDED } from '../../include/net/ip.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { type rtable, skb_rtable } from '../../include/net/route.ts'
import type { sock } from '../../include/net/sock.ts'
import { dst_output } from '../core/dst.ts'
import { skb_gso_validate_network_len } from '../core/gso.ts'
import { kfree_skb_reason, skb_cow } from '../core/skbuff.ts'
import { NF_HOOK } from '../netfilter/core.ts'
import { XFRM_POLICY_FWD, xfrm4_policy_check, xfrm4_route_forward } from '../xfrm/xfrm_policy.ts'
import { icmp_send } from './icmp.ts'
import { ip_call_ra_chain } from './ip_input.ts'
import { ip_forward_options } from './ip_options.ts'
import { ip_decrease_ttl, ip_dst_mtu_maybe_forward } from './ip_output.ts'
import { ip_rt_send_redirect, rt_tos2priority } from './route.ts'

const ip_exceeds_mtu = kfunc('ip_exceeds_mtu', (skb: sk_buff, mtu: number): boolean => {
  if (skb.len <= mtu || (ip_hdr(skb).frag_off & IP_DF) === 0) return false
  if (IPCB(skb).frag_max_size > mtu) return true
  if (skb.ignore_df) return false
  return !(skb_is_gso(skb) && skb_gso_validate_network_len(skb, mtu))
})

const ip_forward_finish = kfunc('ip_forward_finish', (n: net, sk: sock | null, skb: sk_buff): number => {
  if (IPCB(skb).opt.optlen) ip_forward_options(skb)
  skb.tstamp = 0
  skb.tstamp_type = 0
  return dst_output(n, sk, skb)
})

function drop(skb: sk_buff, reason: number): number {
  kfree_skb_reason(skb, reason)
  return NET_RX_DROP
}

/** passes a packet on: the input of a route that leads elsewhere */
export const ip_forward = kfunc('ip_forward', (skb: sk_buff): number => {
  const { opt } = IPCB(skb)
  if (skb.pkt_type !== PACKET_HOST || skb.sk !== null) return drop(skb, SKB_DROP_REASON_NOT_SPECIFIED)
  if (!xfrm4_policy_check(null, XFRM_POLICY_FWD, skb)) return drop(skb, SKB_DROP_REASON_XFRM_POLICY)
  if (opt.router_alert && ip_call_ra_chain(skb)) return NET_RX_SUCCESS
  if (skb.ip_summed === CHECKSUM_COMPLETE) skb.ip_summed = CHECKSUM_NONE
  const n = (skb.dev as net_device).nd_net
  if (ip_hdr(skb).ttl <= 1) {
    n.mib.ip.InHdrErrors++
    icmp_send(skb, ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, 0)
    return drop(skb, SKB_DROP_REASON_IP_INHDR)
  }
  if (!xfrm4_route_forward(skb)) return drop(skb, SKB_DROP_REASON_XFRM_POLICY)
  const rt = skb_rtable(skb) as rtable
  const out = rt.dev as net_device
  if (opt.is_strictroute && rt.rt_uses_gateway) {
    icmp_send(skb, ICMP_DEST_UNREACH, ICMP_SR_FAILED, 0)
    return drop(skb, SKB_DROP_REASON_NOT_SPECIFIED)
  }
  n.mib.ip.ForwDatagrams++
  IPCB(skb).flags |= IPSKB_FORWARDED
  const mtu = ip_dst_mtu_maybe_forward(rt, true)
  if (ip_exceeds_mtu(skb, mtu)) {
    n.mib.ip.FragFails++
    icmp_send(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, mtu)
    return drop(skb, SKB_DROP_REASON_PKT_TOO_BIG)
  }
  if (skb_cow(skb, LL_RESERVED_SPACE(out) + rt.header_len)) return drop(skb, SKB_DROP_REASON_NOT_SPECIFIED)
  const iph = ip_hdr(skb)
  ip_decrease_ttl(iph)
  if (IPCB(skb).flags & IPSKB_DOREDIRECT && !opt.srr) ip_rt_send_redirect(skb)
  if (n.ipv4.sysctl_ip_fwd_update_priority) skb.priority = rt_tos2priority(iph.tos)
  return NF_HOOK(NFPROTO_IPV4, NF_INET_FORWARD, n, null, skb, skb.dev, out, ip_forward_finish)
})
