import type { sk_buff } from '../linux/skbuff.ts'
import { dst_entry } from './dst.ts'

/** struct rtable: an IPv4 route that packets can use. Addresses in host order. */
export class rtable extends dst_entry {
  rt_genid = 0
  rt_flags = 0
  rt_type = 0
  rt_is_input = 0
  rt_uses_gateway = 0
  rt_iif = 0
  rt_gw_family = 0
  rt_gw4 = 0
  rt_mtu_locked = 0
  rt_pmtu = 0
}

export const dst_rtable = (dst: dst_entry): rtable => dst as rtable
export const skb_rtable = (skb: sk_buff): rtable | null => skb._skb_refdst as rtable | null
export const rt_is_input_route = (rt: rtable): boolean => rt.rt_is_input !== 0
export const rt_is_output_route = (rt: rtable): boolean => rt.rt_is_input === 0
export const rt_nexthop = (rt: rtable, daddr: number): number => (rt.rt_gw_family === 2 ? rt.rt_gw4 : daddr)
