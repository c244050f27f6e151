import { kfunc } from '../../../trace/kfunc.ts'
import { ENOMEM } from '../../include/linux/errno.ts'
import { IPV6_ADDR_LINKLOCAL, IPV6_ADDR_MULTICAST } from '../../include/linux/in6.ts'
import { get_be32 } from '../../include/linux/ip.ts'
import { ipv6_hdr } from '../../include/linux/ipv6.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import { type sk_buff, skb_dst, skb_headroom } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import { AF_INET6 } from '../../include/linux/socket.ts'
import { IS_ERR } from '../../include/linux/types.ts'
import type { dst_entry } from '../../include/net/dst.ts'
import { flowi4, flowi6 } from '../../include/net/flow.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { sock } from '../../include/net/sock.ts'
import { dst_release, skb_dst_drop, skb_dst_set } from '../core/dst.ts'
import { pskb_expand_head } from '../core/skbuff.ts'
import { sock_net_uid } from '../core/sock.ts'
import { l3mdev_master_ifindex } from '../l3mdev/l3mdev.ts'
import { xfrm_decode_session, xfrm_lookup } from '../xfrm/xfrm_policy.ts'
import { ipv6_addr_type } from './addrconf_core.ts'
import { ip6_route_output } from './route.ts'

/** a packet of this host whose addresses, mark or flow label have changed: where does it go now? */
export const ip6_route_me_harder = kfunc('ip6_route_me_harder', (n: net, sk: sock | null, skb: sk_buff): number => {
  const iph = ipv6_hdr(skb)
  const dev = (skb_dst(skb) as dst_entry).dev as net_device
  const strict = ipv6_addr_type(iph.daddr) & (IPV6_ADDR_MULTICAST | IPV6_ADDR_LINKLOCAL)
  const fl6 = new flowi6()
  fl6.flowi6_l3mdev = l3mdev_master_ifindex(dev)
  fl6.flowi6_mark = skb.mark
  fl6.flowi6_uid = sock_net_uid(n, sk)
  fl6.daddr.set(iph.daddr)
  fl6.saddr.set(iph.saddr)
  // ip6_flowinfo(): traffic class and flow label
  fl6.flowlabel = get_be32(skb.head.bytes, skb.network_header) & 0xfffffff
  if (sk?.sk_bound_dev_if) fl6.flowi6_oif = sk.sk_bound_dev_if
  else if (strict) fl6.flowi6_oif = dev.ifindex
  const route = ip6_route_output(n, sk, fl6)
  if (route.error) {
    const { error } = route
    dst_release(route)
    return error
  }
  skb_dst_drop(skb)
  skb_dst_set(skb, route)
  // flowi6_to_flowi()
  const fl = new flowi4()
  fl.ip6 = fl6
  if (xfrm_decode_session(n, skb, fl, AF_INET6) === 0) {
    skb_dst_set(skb, null)
    const dst = xfrm_lookup(n, route, fl6, sk, 0)
    if (IS_ERR(dst)) return dst
    skb_dst_set(skb, dst)
  }
  const hh_len = (skb_dst(skb) as dst_entry).dev?.hard_header_len ?? 0
  if (skb_headroom(skb) < hh_len && pskb_expand_head(skb, (hh_len - skb_headroom(skb) + 15) & ~15, 0, GFP_ATOMIC)) return -ENOMEM
  return 0
})

/** a route for whoever has only addresses; or an error */
export const __nf_ip6_route = kfunc('__nf_ip6_route', (n: net, fl6: flowi6, _strict: boolean): dst_entry | number => {
  const result = ip6_route_output(n, null, fl6)
  const { error } = result
  if (!error) return result
  dst_release(result)
  return error
})
