import { kfunc } from '../../../trace/kfunc.ts'
import { get_random_u32 } from '../../drivers/char/random.ts'
import { ETH_P_IPV6, NF_INET_LOCAL_OUT, NFPROTO_IPV6 } from '../../include/generated/enums.ts'
import { EINVAL } from '../../include/linux/errno.ts'
import { IPV6_MAXPLEN, type in6_addr, NEXTHDR_DEST, NEXTHDR_HOP, NEXTHDR_ROUTING } from '../../include/linux/in6.ts'
import { IP6CB, IPV6HDR_NEXTHDR, ipv6_hdr, SIZEOF_IPV6HDR } from '../../include/linux/ipv6.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { skb_dst } from '../../include/linux/skbuff.ts'
import type { ref } from '../../include/linux/types.ts'
import { __in6_dev_get } from '../../include/net/addrconf.ts'
import { type dst_entry, dst_metric_raw, RTAX_HOPLIMIT } from '../../include/net/dst.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { net_ipv6 } from '../../include/net/netns_ipv6.ts'
import type { sock } from '../../include/net/sock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { dst_output } from '../core/dst.ts'
import { l3mdev_ip6_out } from '../l3mdev/l3mdev.ts'
import { nf_hook } from '../netfilter/core.ts'

const __ipv6_select_ident = kfunc('__ipv6_select_ident', (_n: net, _dst: in6_addr, _src: in6_addr): number => {
  for (;;) {
    const id = get_random_u32()
    if (id) return id
  }
})

export const ipv6_select_ident = kfunc('ipv6_select_ident', (n: net, daddr: in6_addr, saddr: in6_addr): number =>
  __ipv6_select_ident(n, daddr, saddr),
)

/** length of what every fragment carries; `nexthdr`: where in the buffer the header behind that is named */
export const ip6_find_1stfragopt = kfunc('ip6_find_1stfragopt', (skb: sk_buff, nexthdr: ref<number>): number => {
  const b = skb.head.bytes
  const packet_len = skb.tail - skb.network_header
  let offset = SIZEOF_IPV6HDR
  let found_rhdr = false
  nexthdr.v = skb.network_header + IPV6HDR_NEXTHDR
  while (offset <= packet_len) {
    const next = b[nexthdr.v]
    if (next === NEXTHDR_ROUTING) found_rhdr = true
    else if (next === NEXTHDR_DEST) {
      if (found_rhdr) return offset
    } else if (next !== NEXTHDR_HOP) return offset
    if (offset + 2 > packet_len) return -EINVAL
    nexthdr.v = skb.network_header + offset
    offset += ((b[nexthdr.v + 1] ?? 0) + 1) << 3
    if (offset > IPV6_MAXPLEN) return -EINVAL
  }
  return -EINVAL
})

export const ip6_dst_hoplimit = kfunc('ip6_dst_hoplimit', (dst: dst_entry): number => {
  let hoplimit = dst_metric_raw(dst, RTAX_HOPLIMIT)
  if (hoplimit === 0) {
    const dev = dst.dev as net_device
    rcu_read_lock()
    hoplimit = (__in6_dev_get(dev)?.cnf ?? net_ipv6(dev.nd_net).devconf_all).hop_limit
    rcu_read_unlock()
  }
  return hoplimit
})

export const __ip6_local_out = kfunc('__ip6_local_out', (n: net, sk: sock | null, skb: sk_buff): number => {
  const len = skb.len - SIZEOF_IPV6HDR
  ipv6_hdr(skb).payload_len = len > IPV6_MAXPLEN ? 0 : len
  IP6CB(skb).nhoff = IPV6HDR_NEXTHDR
  const out = l3mdev_ip6_out(sk, skb)
  if (out === null) return 0
  out.protocol = ETH_P_IPV6
  return nf_hook(NFPROTO_IPV6, NF_INET_LOCAL_OUT, n, sk, out, null, (skb_dst(out) as dst_entry).dev, dst_output)
})

export const ip6_local_out = kfunc('ip6_local_out', (n: net, sk: sock | null, skb: sk_buff): number => {
  let err = __ip6_local_out(n, sk, skb)
  if (err === 1) err = dst_output(n, sk, skb)
  return err
})
