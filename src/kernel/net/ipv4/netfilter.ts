import { kfunc } from '../../../trace/kfunc.ts'
import { ENOMEM } from '../../include/linux/errno.ts'
import { INET_DSCP_MASK, ip_hdr } from '../../include/linux/ip.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import { type sk_buff, skb_dst, skb_headroom } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import { AF_INET } from '../../include/linux/socket.ts'
import { IS_ERR } from '../../include/linux/types.ts'
import type { dst_entry } from '../../include/net/dst.ts'
import { FLOWI_FLAG_ANYSRC, flowi4 } from '../../include/net/flow.ts'
import { inet_sk_flowi_flags } from '../../include/net/inet_sock.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { rtable } from '../../include/net/route.ts'
import type { sock } from '../../include/net/sock.ts'
import { skb_dst_drop, skb_dst_set } from '../core/dst.ts'
import { pskb_expand_head } from '../core/skbuff.ts'
import { l3mdev_master_ifindex } from '../l3mdev/l3mdev.ts'
import { xfrm_decode_session, xfrm_lookup } from '../xfrm/xfrm_policy.ts'
import { inet_addr_type_dev_table } from './fib_frontend.ts'
import { ip_route_output_key } from './route.ts'

const RTN_UNSPEC = 0
const RTN_UNICAST = 1
const RTN_LOCAL = 2

/** a packet of this host whose addresses or mark have changed: where does it go now? */
export const ip_route_me_harder = kfunc(
  'ip_route_me_harder',
  (n: net, sk: sock | null, skb: sk_buff, addr_type: number): number => {
    const dev = (skb_dst(skb) as dst_entry).dev as net_device
    const iph = ip_hdr(skb)
    const type = addr_type === RTN_UNSPEC ? inet_addr_type_dev_table(n, dev, iph.saddr) : addr_type
    const own = type === RTN_LOCAL || type === RTN_UNICAST
    const fl4 = new flowi4()
    fl4.daddr = iph.daddr
    fl4.saddr = own ? iph.saddr : 0
    fl4.flowi4_tos = iph.tos & INET_DSCP_MASK
    fl4.flowi4_oif = sk === null ? 0 : sk.sk_bound_dev_if
    fl4.flowi4_l3mdev = l3mdev_master_ifindex(dev)
    fl4.flowi4_mark = skb.mark
    fl4.flowi4_flags = (sk === null ? 0 : inet_sk_flowi_flags(sk)) | (own ? FLOWI_FLAG_ANYSRC : 0)
    const rt = ip_route_output_key(n, fl4)
    if (typeof rt === 'number') return rt
    skb_dst_drop(skb)
    skb_dst_set(skb, rt)
    if (rt.error) return rt.error
    if (xfrm_decode_session(n, skb, fl4, AF_INET) === 0) {
      skb_dst_set(skb, null)
      const dst = xfrm_lookup(n, rt, fl4, sk, 0)
      if (IS_ERR(dst)) return dst
      skb_dst_set(skb, dst)
    }
    const hh_len = rt.dev?.hard_header_len ?? 0
    if (skb_headroom(skb) < hh_len && pskb_expand_head(skb, (hh_len - skb_headroom(skb) + 15) & ~15, 0, GFP_ATOMIC))
      return -ENOMEM
    return 0
  },
)

/** a route for whoever has only addresses; or an error */
export const nf_ip_route = kfunc('nf_ip_route', (n: net, fl4: flowi4, _strict: boolean): rtable | number =>
  ip_route_output_key(n, fl4),
)
