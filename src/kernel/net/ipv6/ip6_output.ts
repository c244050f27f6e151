import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracer } from '../../../trace/tracer.ts'
import {
  ETH_P_IPV6,
  IFF_LOOPBACK,
  IPPROTO_RAW,
  IPPROTO_UDP,
  MSG_CONFIRM,
  MSG_DONTWAIT,
  MSG_MORE,
  MSG_NO_SHARED_FRAGS,
  MSG_PROBE,
  MSG_SPLICE_PAGES,
  MSG_ZEROCOPY,
  NETIF_F_GSO_MASK,
  NETIF_F_HW_CSUM,
  NETIF_F_IPV6_CSUM,
  NETIF_F_SG,
  NF_INET_FORWARD,
  NF_INET_LOCAL_OUT,
  NF_INET_POST_ROUTING,
  NFPROTO_IPV6,
  NUD_VALID,
  PACKET_HOST,
  SKB_DROP_REASON_IP_INADDRERRORS,
  SKB_DROP_REASON_IPV6DISABLED,
  SKB_DROP_REASON_NEIGH_CREATEFAIL,
  SKB_DROP_REASON_NOT_SPECIFIED,
  SKB_DROP_REASON_PKT_TOO_BIG,
  SKBFL_SHARED_FRAG,
  SOCK_RAW,
  SOCK_ZEROCOPY,
} from '../../include/generated/enums.ts'
import { EAFNOSUPPORT, EFAULT, EINVAL, EIO, EMSGSIZE, ENETUNREACH, ENOBUFS, ENOMEM, EPERM } from '../../include/linux/errno.ts'
import { ICMPV6_EXC_HOPLIMIT, ICMPV6_PKT_TOOBIG, ICMPV6_TIME_EXCEED, icmp6_hdr } from '../../include/linux/icmpv6.ts'
import {
  IPPROTO_HOPOPTS,
  IPPROTO_ICMPV6,
  IPV6_ADDR_LINKLOCAL,
  IPV6_ADDR_LOOPBACK,
  IPV6_ADDR_MC_SCOPE,
  IPV6_ADDR_MULTICAST,
  IPV6_ADDR_SCOPE_NODELOCAL,
  IPV6_FLOWLABEL_MASK,
  IPV6_FLOWLABEL_STATELESS_FLAG,
  IPV6_MAXPLEN,
  IPV6_MIN_MTU,
  IPV6_PMTUDISC_PROBE,
  type in6_addr,
  ipv6_addr_any,
  ipv6_addr_equal,
  ipv6_addr_is_multicast,
  ipv6_addr_v4mapped,
  NEXTHDR_FRAGMENT,
} from '../../include/linux/in6.ts'
import { put_be16, put_be32 } from '../../include/linux/ip.ts'
import {
  INET_FLAGS_AUTOFLOWLABEL,
  INET_FLAGS_AUTOFLOWLABEL_SET,
  IP6_MF,
  IP6CB,
  IP6SKB_FAKEJUMBO,
  IP6SKB_FORWARDED,
  IP6SKB_REROUTED,
  type inet6_cork,
  inet6_cork as inet6_cork_class,
  inet6_sk,
  inet6_test_bit,
  type ipcm6_cookie,
  ipv6_hdr,
  type ipv6_txoptions,
  SIZEOF_FRAG_HDR,
  SIZEOF_IPV6HDR,
} from '../../include/linux/ipv6.ts'
import type { page_frag } from '../../include/linux/mm_types.ts'
import { LL_RESERVED_SPACE, type net_device } from '../../include/linux/netdevice.ts'
import type { nf_okfn } from '../../include/linux/netfilter.ts'
import {
  __skb_dequeue,
  __skb_queue_tail,
  __skb_unlink,
  CHECKSUM_NONE,
  CHECKSUM_PARTIAL,
  MAX_SKB_FRAGS,
  type sk_buff,
  sk_buff_head,
  skb_dst,
  type skb_head,
  skb_headlen,
  skb_headroom,
  skb_is_gso,
  skb_network_header_len,
  skb_network_offset,
  skb_peek_tail,
  skb_queue_empty,
  skb_reset_network_header,
  skb_reset_transport_header,
  skb_set_network_header,
  skb_shinfo,
  skb_tailroom,
  type ubuf_info,
} from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import { AF_INET6, type msghdr } from '../../include/linux/socket.ts'
import { IS_ERR, type ref } from '../../include/linux/types.ts'
import type { dst_entry } from '../../include/net/dst.ts'
import { FLOWI_FLAG_KNOWN_NH, flowi_ip6, flowi6 } from '../../include/net/flow.ts'
import { IFA_F_OPTIMISTIC } from '../../include/net/if_inet6.ts'
import { INET_FLAGS_HDRINCL, type inet_cork, type inet_cork_full, inet_sk, inet_test_bit } from '../../include/net/inet_sock.ts'
import { dst_rt6_info, ip6_dst_idev, RT6_LOOKUP_F_IFACE, type rt6_info, type rt6key } from '../../include/net/ip6_fib.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { ICMP6_INC_STATS, IP6_INC_STATS, IP6_UPD_PO_STATS, net_ipv6 } from '../../include/net/netns_ipv6.ts'
import type { sock } from '../../include/net/sock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { current } from '../../kernel/sched/core.ts'
import { csum_sub } from '../../lib/checksum.ts'
import { kfree, kmemdup } from '../../mm/slub.ts'
import { dev_loopback_xmit, dev_recursion_level, netif_skb_features } from '../core/dev.ts'
import { dst_hold, dst_link_failure, dst_mtu, dst_output, dst_release, skb_dst_drop, skb_dst_set } from '../core/dst.ts'
import { skb_get_hash_flowi6 } from '../core/flow_dissector.ts'
import { skb_gso_segment, skb_gso_validate_network_len } from '../core/gso.ts'
import { __neigh_create, neigh_output } from '../core/neighbour.ts'
import {
  __skb_fill_page_desc,
  __skb_pull,
  __skb_push,
  __skb_trim,
  alloc_skb,
  consume_skb,
  get_page,
  kfree_skb,
  kfree_skb_list,
  kfree_skb_reason,
  msg_zerocopy_realloc,
  net_zcopy_put_abort,
  nf_copy,
  pskb_trim_unique,
  skb_can_coalesce,
  skb_checksum_help,
  skb_clone,
  skb_cloned,
  skb_copy_and_csum_bits,
  skb_copy_bits,
  skb_copy_from_linear_data,
  skb_copy_hash,
  skb_cow,
  skb_expand_head,
  skb_ext_copy,
  skb_has_frag_list,
  skb_len_add,
  skb_pagelen,
  skb_push,
  skb_put,
  skb_reserve,
  skb_set_delivery_time,
  skb_set_delivery_type_by_clockid,
  skb_set_dst_pending_confirm,
  skb_shared,
  skb_splice_from_iter,
  skb_zcopy,
  skb_zcopy_downgrade_managed,
  skb_zcopy_set,
  skb_zerocopy_iter_dgram,
} from '../core/skbuff.ts'
import {
  sk_dst_check,
  sk_fullsock,
  sk_is_tcp,
  sk_is_udp,
  sk_mc_loop,
  sk_page_frag,
  sk_page_frag_refill,
  skb_set_owner_w,
  sock_alloc_send_skb,
  sock_confirm_neigh,
  sock_flag,
  sock_net,
  sock_tx_timestamp,
  sock_wfree,
} from '../core/sock.ts'
import { type getfrag_t, ip_generic_getfrag } from '../ipv4/ip_output.ts'
import { l3mdev_ip6_out } from '../l3mdev/l3mdev.ts'
import { NF_HOOK, NF_HOOK_COND } from '../netfilter/core.ts'
import { XFRM_POLICY_FWD, xfrm_lookup_route, xfrm6_policy_check } from '../xfrm/xfrm_policy.ts'
import { in6_ifa_put, ipv6_get_ifaddr } from './addrconf.ts'
import { ipv6_addr_type } from './addrconf_core.ts'
import { ipv6_local_error, ipv6_local_rxpmtu } from './datagram.ts'
import { ipv6_push_frag_opts, ipv6_push_nfrag_opts } from './exthdrs.ts'
import { icmpv6_send } from './icmp.ts'
import { ipv6_chk_mcast_addr } from './mcast.ts'
import { __ipv6_neigh_lookup_noref, nd_tbl } from './ndisc.ts'
import { ip6_dst_hoplimit, ip6_find_1stfragopt, ip6_local_out, ipv6_select_ident } from './output_core.ts'
import {
  dst6_mtu,
  ip6_dst_mtu_maybe_forward,
  ip6_route_get_saddr,
  ip6_route_output,
  ip6_route_output_flags,
  ip6_sk_dst_store_flow,
  ip6_sk_ignore_df,
  rt6_nexthop,
} from './route.ts'

export { __ip6_local_out, ip6_dst_hoplimit, ip6_local_out } from './output_core.ts'

export const IP6_MAX_MTU: number = 0xffff + SIZEOF_IPV6HDR
const SKB_MAX_ALLOC = 16384 - 320
const SKBTX_ANY_TSTAMP = 0x4b
const SOF_TIMESTAMPING_OPT_ID = 1 << 7
const SIZEOF_HOP_JUMBO = 8
const NET_XMIT_CN = 2
export const net_xmit_errno = (err: number): number => (err !== NET_XMIT_CN ? -ENOBUFS : 0)
const CSUM_FEATURES = BigInt(NETIF_F_HW_CSUM) | BigInt(NETIF_F_IPV6_CSUM)
const F_SG = BigInt(NETIF_F_SG)

type getfrag_any = (
  from: unknown,
  to: Uint8Array,
  offset: number,
  len: number,
  odd: number,
  skb: sk_buff,
  to_off: number,
) => number

// include/net/ipv6.h

export const ip6_make_flowinfo = (tclass: number, flowlabel: number): number => (tclass << 20) | flowlabel

const ip6_default_np_autolabel = (n: net): boolean =>
  net_ipv6(n).sysctl.auto_flowlabels === 1 || net_ipv6(n).sysctl.auto_flowlabels === 3

export const ip6_make_flowlabel = kfunc(
  'ip6_make_flowlabel',
  (n: net, skb: sk_buff, label: number, autolabel: boolean, fl6: flowi6): number => {
    let flowlabel = label & IPV6_FLOWLABEL_MASK
    const { auto_flowlabels, flowlabel_state_ranges } = net_ipv6(n).sysctl
    if (flowlabel || auto_flowlabels === 0 || (!autolabel && auto_flowlabels !== 3)) return flowlabel
    const hash = skb_get_hash_flowi6(skb, fl6)
    flowlabel = ((hash << 16) | (hash >>> 16)) & IPV6_FLOWLABEL_MASK
    if (flowlabel_state_ranges) flowlabel |= IPV6_FLOWLABEL_STATELESS_FLAG
    return flowlabel
  },
)

/** include/net/ip6_route.h */
const ip6_skb_dst_mtu = kfunc('ip6_skb_dst_mtu', (skb: sk_buff): number => {
  const np =
    skb.sk !== null && !dev_recursion_level() && skb.sk.skc_family === AF_INET6 && sk_fullsock(skb.sk) ? inet6_sk(skb.sk) : null
  const dst = skb_dst(skb) as dst_entry
  return np !== null && np.pmtudisc >= IPV6_PMTUDISC_PROBE ? (dst.dev as net_device).mtu : dst_mtu(dst)
})

// net/ipv6/ip6_output.c

export const ip6_finish_output2 = kfunc('ip6_finish_output2', (n: net, sk: sock | null, skb_in: sk_buff): number => {
  let skb = skb_in
  const dst = skb_dst(skb) as dst_entry
  const dev = dst.dev as net_device
  const hh_len = LL_RESERVED_SPACE(dev)

  if (hh_len > skb_headroom(skb) && dev.header_ops !== null) {
    const wider = skb_expand_head(skb, hh_len)
    if (wider === null) {
      IP6_INC_STATS(n, 'OutDiscards')
      return -ENOMEM
    }
    skb = wider
  }

  const hdr = ipv6_hdr(skb)
  const { daddr } = hdr
  if (ipv6_addr_is_multicast(daddr)) {
    if (!(dev.flags & IFF_LOOPBACK) && sk_mc_loop(sk) && ipv6_chk_mcast_addr(dev, daddr, hdr.saddr)) {
      const newskb = skb_clone(skb, GFP_ATOMIC)
      if (newskb !== null) NF_HOOK(NFPROTO_IPV6, NF_INET_POST_ROUTING, n, sk, newskb, null, newskb.dev, dev_loopback_xmit)
      if (hdr.hop_limit === 0) {
        IP6_INC_STATS(n, 'OutDiscards')
        kfree_skb(skb)
        return 0
      }
    }
    IP6_UPD_PO_STATS(n, 'OutMcast', skb.len)
    if (IPV6_ADDR_MC_SCOPE(daddr) <= IPV6_ADDR_SCOPE_NODELOCAL && !(dev.flags & IFF_LOOPBACK)) {
      kfree_skb(skb)
      return 0
    }
  }

  IP6_UPD_PO_STATS(n, 'Out', skb.len)

  const nexthop = rt6_nexthop(dst_rt6_info(dst), daddr)
  const neigh = __ipv6_neigh_lookup_noref(dev, nexthop) ?? __neigh_create(nd_tbl, nexthop, dev, false)
  if (IS_ERR(neigh)) {
    IP6_INC_STATS(n, 'OutNoRoutes')
    kfree_skb_reason(skb, SKB_DROP_REASON_NEIGH_CREATEFAIL)
    return -EINVAL
  }
  sock_confirm_neigh(skb, neigh)
  return neigh_output(neigh, skb, false)
})

const ip6_finish_output_gso_slowpath_drop = kfunc(
  'ip6_finish_output_gso_slowpath_drop',
  (n: net, sk: sock | null, skb: sk_buff, mtu: number): number => {
    const features = netif_skb_features(skb)
    const segs = skb_gso_segment(skb, features & ~BigInt(NETIF_F_GSO_MASK))
    if (segs === null || IS_ERR(segs)) {
      kfree_skb(skb)
      return -ENOMEM
    }
    consume_skb(skb)
    let ret = 0
    for (let seg: sk_buff | null = segs; seg !== null; ) {
      const nskb: sk_buff | null = seg.next
      seg.next = null
      // the last may be short enough: a fragment header for nothing does harm
      const err = seg.len > mtu ? ip6_fragment(n, sk, seg, ip6_finish_output2) : ip6_finish_output2(n, sk, seg)
      if (err && ret === 0) ret = err
      seg = nskb
    }
    return ret
  },
)

const ip6_finish_output_gso = kfunc('ip6_finish_output_gso', (n: net, sk: sock | null, skb: sk_buff, mtu: number): number => {
  if (!(IP6CB(skb).flags & IP6SKB_FAKEJUMBO) && !skb_gso_validate_network_len(skb, mtu))
    return ip6_finish_output_gso_slowpath_drop(n, sk, skb, mtu)
  return ip6_finish_output2(n, sk, skb)
})

const __ip6_finish_output = kfunc('__ip6_finish_output', (n: net, sk: sock | null, skb: sk_buff): number => {
  if ((skb_dst(skb) as dst_entry).xfrm !== null) {
    IP6CB(skb).flags |= IP6SKB_REROUTED
    return dst_output(n, sk, skb)
  }
  const mtu = ip6_skb_dst_mtu(skb)
  if (skb_is_gso(skb)) return ip6_finish_output_gso(n, sk, skb, mtu)
  const { frag_max_size } = IP6CB(skb)
  if (skb.len > mtu || (frag_max_size && skb.len > frag_max_size)) {
    if (tracer.on) decide('__ip6_finish_output', 'fragment', { len: skb.len, mtu })
    return ip6_fragment(n, sk, skb, ip6_finish_output2)
  }
  return ip6_finish_output2(n, sk, skb)
})

const ip6_finish_output = kfunc('ip6_finish_output', (n: net, sk: sock | null, skb: sk_buff): number =>
  __ip6_finish_output(n, sk, skb),
)

export const ip6_output = kfunc('ip6_output', (n: net, sk: sock | null, skb: sk_buff): number => {
  const dst = skb_dst(skb) as dst_entry
  const indev = skb.dev
  skb.protocol = ETH_P_IPV6
  rcu_read_lock()
  const { dev } = dst
  const idev = ip6_dst_idev(dst)
  skb.dev = dev

  if (idev === null || idev.cnf.disable_ipv6) {
    IP6_INC_STATS(n, 'OutDiscards')
    rcu_read_unlock()
    kfree_skb_reason(skb, SKB_DROP_REASON_IPV6DISABLED)
    return 0
  }

  const rerouted = (IP6CB(skb).flags & IP6SKB_REROUTED) !== 0
  const ret = NF_HOOK_COND(NFPROTO_IPV6, NF_INET_POST_ROUTING, n, sk, skb, indev, dev, ip6_finish_output, !rerouted)
  rcu_read_unlock()
  return ret
})

export const ip6_autoflowlabel = kfunc('ip6_autoflowlabel', (n: net, sk: sock): boolean =>
  inet6_test_bit(INET_FLAGS_AUTOFLOWLABEL_SET, sk) ? inet6_test_bit(INET_FLAGS_AUTOFLOWLABEL, sk) : ip6_default_np_autolabel(n),
)

/** sends a segment of TCP, whose route is known: header, and out */
export const ip6_xmit = kfunc(
  'ip6_xmit',
  (
    sk: sock,
    skb_in: sk_buff,
    fl6: flowi6,
    mark: number,
    opt: ipv6_txoptions | null,
    tclass: number,
    priority: number,
  ): number => {
    let skb: sk_buff = skb_in
    const np = inet6_sk(sk)
    const first_hop = fl6.daddr
    const dst = skb_dst(skb) as dst_entry
    const n = sock_net(sk)
    let proto = fl6.flowi6_proto
    let seg_len = skb.len
    let ret: number

    rcu_read_lock()

    const dev = dst.dev as net_device
    let head_room = SIZEOF_IPV6HDR + SIZEOF_HOP_JUMBO + LL_RESERVED_SPACE(dev)
    if (opt !== null) head_room += opt.opt_nflen + opt.opt_flen

    if (head_room > skb_headroom(skb)) {
      const wider = skb_expand_head(skb, head_room)
      if (wider === null) {
        IP6_INC_STATS(n, 'OutDiscards')
        rcu_read_unlock()
        return -ENOBUFS
      }
      skb = wider
    }

    if (opt !== null) {
      seg_len += opt.opt_nflen + opt.opt_flen
      const first = { v: proto }
      if (opt.opt_flen) ipv6_push_frag_opts(skb, opt, first)
      if (opt.opt_nflen) ipv6_push_nfrag_opts(skb, opt, first, first_hop, fl6.saddr)
      proto = first.v
    }

    // a packet for GSO that no length field can say: a hop-by-hop header holds the length until it is cut
    if (seg_len > IPV6_MAXPLEN) {
      const at = skb_push(skb, SIZEOF_HOP_JUMBO)
      const b = skb.head.bytes
      b[at] = proto
      b[at + 1] = 0
      b[at + 2] = 0xc2
      b[at + 3] = 4
      put_be32(b, at + 4, seg_len + SIZEOF_HOP_JUMBO)
      proto = IPPROTO_HOPOPTS
      seg_len = 0
      IP6CB(skb).flags |= IP6SKB_FAKEJUMBO
    }

    skb_push(skb, SIZEOF_IPV6HDR)
    skb_reset_network_header(skb)
    const hdr = ipv6_hdr(skb)

    let hlimit = np.hop_limit
    if (hlimit < 0) hlimit = ip6_dst_hoplimit(dst)

    hdr.flow_hdr(tclass, ip6_make_flowlabel(n, skb, fl6.flowlabel, ip6_autoflowlabel(n, sk), fl6))
    hdr.payload_len = seg_len
    hdr.nexthdr = proto
    hdr.hop_limit = hlimit
    hdr.saddr = fl6.saddr
    hdr.daddr = first_hop

    skb.protocol = ETH_P_IPV6
    skb.priority = priority
    skb.mark = mark

    const mtu = dst6_mtu(dst)
    if (skb.len <= mtu || skb.ignore_df || skb_is_gso(skb)) {
      IP6_INC_STATS(n, 'OutRequests')
      const out = l3mdev_ip6_out(sk, skb)
      ret = out === null ? 0 : NF_HOOK(NFPROTO_IPV6, NF_INET_LOCAL_OUT, n, sk, out, null, dev, dst_output)
      rcu_read_unlock()
      return ret
    }

    skb.dev = dev
    ipv6_local_error(sk, EMSGSIZE, fl6, mtu)
    IP6_INC_STATS(n, 'FragFails')
    kfree_skb(skb)
    rcu_read_unlock()
    return -EMSGSIZE
  },
)

const ip6_forward_finish = kfunc('ip6_forward_finish', (n: net, sk: sock | null, skb: sk_buff): number => dst_output(n, sk, skb))

const ip6_pkt_too_big = kfunc('ip6_pkt_too_big', (skb: sk_buff, mtu: number): boolean => {
  if (skb.len <= mtu) return false
  const { frag_max_size } = IP6CB(skb)
  if (frag_max_size && frag_max_size > mtu) return true
  if (skb.ignore_df) return false
  return !(skb_is_gso(skb) && skb_gso_validate_network_len(skb, mtu))
})

/** a packet for somebody else: passed on, when net.ipv6.conf.all.forwarding is set */
export const ip6_forward = kfunc('ip6_forward', (skb: sk_buff): number => {
  const dst = skb_dst(skb) as dst_entry
  let hdr = ipv6_hdr(skb)
  const dev = dst.dev as net_device
  const n = dev.nd_net
  const drop = (reason: number): number => {
    kfree_skb_reason(skb, reason)
    return -EINVAL
  }
  if (net_ipv6(n).devconf_all.forwarding === 0) return drop(SKB_DROP_REASON_NOT_SPECIFIED)
  if (skb.pkt_type !== PACKET_HOST || skb.sk !== null) return drop(SKB_DROP_REASON_NOT_SPECIFIED)
  if (!xfrm6_policy_check(null, XFRM_POLICY_FWD, skb)) {
    IP6_INC_STATS(n, 'InDiscards')
    return drop(SKB_DROP_REASON_NOT_SPECIFIED)
  }
  if (hdr.hop_limit <= 1) {
    icmpv6_send(skb, ICMPV6_TIME_EXCEED, ICMPV6_EXC_HOPLIMIT, 0)
    IP6_INC_STATS(n, 'InHdrErrors')
    kfree_skb_reason(skb, SKB_DROP_REASON_IP_INADDRERRORS)
    return -110
  }
  const addrtype = ipv6_addr_type(hdr.saddr)
  if (addrtype === 0 || addrtype & (IPV6_ADDR_MULTICAST | IPV6_ADDR_LOOPBACK | IPV6_ADDR_LINKLOCAL)) {
    if (addrtype & IPV6_ADDR_LINKLOCAL) dst_link_failure(skb)
    IP6_INC_STATS(n, 'InAddrErrors')
    return drop(SKB_DROP_REASON_IP_INADDRERRORS)
  }
  const mtu = Math.max(ip6_dst_mtu_maybe_forward(dst, true), IPV6_MIN_MTU)
  if (ip6_pkt_too_big(skb, mtu)) {
    skb.dev = dev
    icmpv6_send(skb, ICMPV6_PKT_TOOBIG, 0, mtu)
    IP6_INC_STATS(n, 'InTooBigErrors')
    IP6_INC_STATS(n, 'FragFails')
    kfree_skb_reason(skb, SKB_DROP_REASON_PKT_TOO_BIG)
    return -EMSGSIZE
  }
  if (skb_cow(skb, dev.hard_header_len)) {
    IP6_INC_STATS(n, 'OutDiscards')
    return drop(SKB_DROP_REASON_NOT_SPECIFIED)
  }
  hdr = ipv6_hdr(skb)
  hdr.hop_limit--
  IP6CB(skb).flags |= IP6SKB_FORWARDED
  IP6_INC_STATS(n, 'OutForwDatagrams')
  return NF_HOOK(NFPROTO_IPV6, NF_INET_FORWARD, n, null, skb, skb.dev, dev, ip6_forward_finish)
})

const ip6_copy_metadata = kfunc('ip6_copy_metadata', (to: sk_buff, from: sk_buff): void => {
  to.pkt_type = from.pkt_type
  to.priority = from.priority
  to.protocol = from.protocol
  skb_dst_drop(to)
  const dst = skb_dst(from)
  if (dst !== null) dst_hold(dst)
  skb_dst_set(to, dst)
  to.dev = from.dev
  to.mark = from.mark
  skb_copy_hash(to, from)
  nf_copy(to, from)
  skb_ext_copy(to, from)
  to.secmark = from.secmark
})

function put_frag_hdr(b: Uint8Array, at: number, nexthdr: number, frag_off: number, id: number): void {
  b[at] = nexthdr
  b[at + 1] = 0
  put_be16(b, at + 2, frag_off)
  put_be32(b, at + 4, id)
}

/** struct ip6_fraglist_iter */
interface ip6_fraglist_iter {
  tmp_hdr: skb_head | null
  frag: sk_buff | null
  offset: number
  hlen: number
  frag_id: number
  nexthdr: number
}

export const ip6_fraglist_init = kfunc(
  'ip6_fraglist_init',
  (skb: sk_buff, hlen: number, prevhdr: number, nexthdr: number, frag_id: number, iter: ip6_fraglist_iter): number => {
    skb.head.bytes[prevhdr] = NEXTHDR_FRAGMENT
    const tmp_hdr = kmemdup(skb.head.bytes.subarray(skb.network_header, skb.network_header + hlen), GFP_ATOMIC)
    iter.tmp_hdr = tmp_hdr
    iter.frag = skb_shinfo(skb).frag_list
    skb_shinfo(skb).frag_list = null
    iter.offset = 0
    iter.hlen = hlen
    iter.frag_id = frag_id
    iter.nexthdr = nexthdr
    __skb_pull(skb, hlen)
    __skb_push(skb, SIZEOF_FRAG_HDR)
    const fh = skb.data
    __skb_push(skb, hlen)
    skb_reset_network_header(skb)
    skb.head.bytes.set(tmp_hdr.bytes.subarray(0, hlen), skb.network_header)
    put_frag_hdr(skb.head.bytes, fh, nexthdr, IP6_MF, frag_id)
    const first_len = skb_pagelen(skb)
    skb.data_len = first_len - skb_headlen(skb)
    skb.len = first_len
    ipv6_hdr(skb).payload_len = first_len - SIZEOF_IPV6HDR
    return 0
  },
)

export const ip6_fraglist_prepare = kfunc('ip6_fraglist_prepare', (skb: sk_buff, iter: ip6_fraglist_iter): void => {
  const frag = iter.frag as sk_buff
  const { hlen } = iter
  frag.ip_summed = CHECKSUM_NONE
  skb_reset_transport_header(frag)
  __skb_push(frag, SIZEOF_FRAG_HDR)
  const fh = frag.data
  __skb_push(frag, hlen)
  skb_reset_network_header(frag)
  if (iter.tmp_hdr !== null) frag.head.bytes.set(iter.tmp_hdr.bytes.subarray(0, hlen), frag.network_header)
  iter.offset += skb.len - hlen - SIZEOF_FRAG_HDR
  put_frag_hdr(frag.head.bytes, fh, iter.nexthdr, iter.offset | (frag.next !== null ? IP6_MF : 0), iter.frag_id)
  ipv6_hdr(frag).payload_len = frag.len - SIZEOF_IPV6HDR
  ip6_copy_metadata(frag, skb)
})

const ip6_fraglist_next = kfunc('ip6_fraglist_next', (iter: ip6_fraglist_iter): sk_buff => {
  const skb = iter.frag as sk_buff
  iter.frag = skb.next
  skb.next = null
  return skb
})

/** struct ip6_frag_state */
interface ip6_frag_state {
  prevhdr: number
  nexthdr: number
  hlen: number
  mtu: number
  left: number
  ptr: number
  hroom: number
  troom: number
  frag_id: number
  offset: number
}

export const ip6_frag_init = kfunc(
  'ip6_frag_init',
  (
    skb: sk_buff,
    hlen: number,
    mtu: number,
    needed_tailroom: number,
    hdr_room: number,
    prevhdr: number,
    nexthdr: number,
    frag_id: number,
    state: ip6_frag_state,
  ): void => {
    state.prevhdr = prevhdr
    state.nexthdr = nexthdr
    state.frag_id = frag_id
    state.hlen = hlen
    state.mtu = mtu
    state.left = skb.len - hlen
    state.ptr = hlen
    state.hroom = hdr_room
    state.troom = needed_tailroom
    state.offset = 0
  },
)

/** the next fragment, cut out by copying; a negative errno when there is no memory */
export const ip6_frag_next = kfunc('ip6_frag_next', (skb: sk_buff, state: ip6_frag_state): sk_buff | number => {
  let len = Math.min(state.left, state.mtu)
  if (len < state.left) len &= ~7
  const frag = alloc_skb(len + state.hlen + SIZEOF_FRAG_HDR + state.hroom + state.troom, GFP_ATOMIC)
  if (frag === null) return -ENOMEM
  ip6_copy_metadata(frag, skb)
  skb_reserve(frag, state.hroom)
  skb_put(frag, len + state.hlen + SIZEOF_FRAG_HDR)
  skb_reset_network_header(frag)
  const fh = frag.network_header + state.hlen
  frag.transport_header = fh + SIZEOF_FRAG_HDR
  if (skb.sk !== null) skb_set_owner_w(frag, skb.sk)
  skb_copy_from_linear_data(skb, frag.head.bytes, frag.network_header, state.hlen)
  frag.head.bytes[frag.network_header + state.prevhdr - skb.network_header] = NEXTHDR_FRAGMENT
  if (skb_copy_bits(skb, state.ptr, frag.head.bytes, frag.transport_header, len)) throw new RangeError('ip6_frag_next')
  state.left -= len
  put_frag_hdr(frag.head.bytes, fh, state.nexthdr, state.offset | (state.left > 0 ? IP6_MF : 0), state.frag_id)
  ipv6_hdr(frag).payload_len = frag.len - SIZEOF_IPV6HDR
  state.ptr += len
  state.offset += len
  return frag
})

/** whether the pieces that __ip6_append_data made can go out as they are; undoes what it began when they cannot */
function take_frag_list(skb: sk_buff, mtu: number, room: number): boolean {
  for (let frag = skb_shinfo(skb).frag_list; frag !== null; frag = frag.next) {
    if (frag.len > mtu || (frag.len & 7 && frag.next !== null) || skb_headroom(frag) < room || skb_shared(frag)) {
      for (let frag2 = skb_shinfo(skb).frag_list; frag2 !== null && frag2 !== frag; frag2 = frag2.next) {
        frag2.sk = null
        frag2.destructor = null
        skb.truesize += frag2.truesize
      }
      return false
    }
    if (skb.sk !== null) {
      frag.sk = skb.sk
      frag.destructor = sock_wfree
    }
    skb.truesize -= frag.truesize
  }
  return true
}

function fragment_failed(n: net, skb: sk_buff, err: number): number {
  IP6_INC_STATS(n, 'FragFails')
  kfree_skb(skb)
  return err
}

export const ip6_fragment = kfunc('ip6_fragment', (n: net, sk: sock | null, skb: sk_buff, output: nf_okfn): number => {
  const rt = dst_rt6_info(skb_dst(skb) as dst_entry)
  const dev = rt.dev as net_device
  const np = skb.sk !== null && !dev_recursion_level() ? inet6_sk(skb.sk) : null
  const { tstamp, tstamp_type } = skb
  const prevhdr_ref: ref<number> = { v: 0 }

  let err = ip6_find_1stfragopt(skb, prevhdr_ref)
  if (err < 0) return fragment_failed(n, skb, err)
  const hlen = err
  const nexthdr = skb.head.bytes[prevhdr_ref.v] ?? 0
  const nexthdr_offset = prevhdr_ref.v - skb.network_header
  const too_big = (mtu: number): number => {
    icmpv6_send(skb, ICMPV6_PKT_TOOBIG, 0, mtu)
    return fragment_failed(n, skb, -EMSGSIZE)
  }

  let mtu = ip6_skb_dst_mtu(skb)
  if (!skb.ignore_df && skb.len > mtu) return too_big(mtu)
  const { frag_max_size } = IP6CB(skb)
  if (frag_max_size) {
    if (frag_max_size > mtu) return too_big(mtu)
    mtu = Math.max(frag_max_size, IPV6_MIN_MTU)
  }
  if (np?.frag_size && np.frag_size < mtu) mtu = np.frag_size
  if (mtu < hlen + SIZEOF_FRAG_HDR + 8) return too_big(mtu)
  mtu -= hlen + SIZEOF_FRAG_HDR

  const frag_id = ipv6_select_ident(n, ipv6_hdr(skb).daddr, ipv6_hdr(skb).saddr)

  if (skb.ip_summed === CHECKSUM_PARTIAL) {
    err = skb_checksum_help(skb)
    if (err) return fragment_failed(n, skb, err)
  }

  const prevhdr = skb.network_header + nexthdr_offset
  const hroom = LL_RESERVED_SPACE(dev)
  if (skb_has_frag_list(skb)) {
    const first_len = skb_pagelen(skb)
    if (
      !(first_len - hlen > mtu || (first_len - hlen) & 7 || skb_cloned(skb) || skb_headroom(skb) < hroom + SIZEOF_FRAG_HDR) &&
      take_frag_list(skb, mtu, hlen + hroom + SIZEOF_FRAG_HDR)
    ) {
      const iter: ip6_fraglist_iter = { tmp_hdr: null, frag: null, offset: 0, hlen, frag_id, nexthdr }
      err = ip6_fraglist_init(skb, hlen, prevhdr, nexthdr, frag_id, iter)
      if (err < 0) return fragment_failed(n, skb, err)
      rcu_read_lock()
      let out = skb
      for (;;) {
        // the next header is written before this one leaves: it is copied from it
        if (iter.frag !== null) ip6_fraglist_prepare(out, iter)
        skb_set_delivery_time(out, tstamp, tstamp_type)
        if (tracer.on) traceIndirect('output', nameOf(output))
        err = output(n, sk, out)
        if (!err) IP6_INC_STATS(n, 'FragCreates')
        if (err || iter.frag === null) break
        out = ip6_fraglist_next(iter)
      }
      kfree(iter.tmp_hdr)
      if (err === 0) {
        IP6_INC_STATS(n, 'FragOKs')
        rcu_read_unlock()
        return 0
      }
      kfree_skb_list(iter.frag)
      IP6_INC_STATS(n, 'FragFails')
      rcu_read_unlock()
      return err
    }
  }

  const state: ip6_frag_state = { prevhdr, nexthdr, hlen, mtu, left: 0, ptr: 0, hroom: 0, troom: 0, frag_id, offset: 0 }
  ip6_frag_init(skb, hlen, mtu, dev.needed_tailroom, hroom, prevhdr, nexthdr, frag_id, state)
  while (state.left > 0) {
    const frag = ip6_frag_next(skb, state)
    if (IS_ERR(frag)) return fragment_failed(n, skb, frag)
    skb_set_delivery_time(frag, tstamp, tstamp_type)
    if (tracer.on) traceIndirect('output', nameOf(output))
    err = output(n, sk, frag)
    if (err) return fragment_failed(n, skb, err)
    IP6_INC_STATS(n, 'FragCreates')
  }
  IP6_INC_STATS(n, 'FragOKs')
  consume_skb(skb)
  return err
})

/** whether a cached route is for another address */
const ip6_rt_check = (rt_key: rt6key, fl_addr: in6_addr, addr_cache: in6_addr | null): boolean =>
  (rt_key.plen !== 128 || !ipv6_addr_equal(fl_addr, rt_key.addr)) &&
  (addr_cache === null || !ipv6_addr_equal(fl_addr, addr_cache))

const ip6_sk_dst_check = kfunc('ip6_sk_dst_check', (sk: sock, dst: dst_entry | null, fl6: flowi6): dst_entry | null => {
  if (dst === null) return null
  if (dst.ops.family !== AF_INET6) {
    dst_release(dst)
    return null
  }
  const np = inet6_sk(sk)
  const rt = dst_rt6_info(dst)
  if (
    ip6_rt_check(rt.rt6i_dst, fl6.daddr, np.daddr_cache) ||
    ip6_rt_check(rt.rt6i_src, fl6.saddr, np.saddr_cache ? np.saddr : null) ||
    (fl6.flowi6_oif && fl6.flowi6_oif !== (dst.dev as net_device).ifindex)
  ) {
    dst_release(dst)
    return null
  }
  return dst
})

function lookup_failed(n: net, dst: ref<dst_entry | null>, err: number): number {
  dst_release(dst.v)
  dst.v = null
  if (err === -ENETUNREACH) IP6_INC_STATS(n, 'OutNoRoutes')
  return err
}

/** the route for `fl6`, whose source address is filled in when it has none */
const ip6_dst_lookup_tail = kfunc(
  'ip6_dst_lookup_tail',
  (n: net, sk: sock | null, dst: ref<dst_entry | null>, fl6: flowi6): number => {
    let flags = 0
    let err: number

    if (ipv6_addr_any(fl6.saddr)) {
      const first = ip6_route_output(n, sk, fl6)
      dst.v = first
      const rt: rt6_info | null = first.error ? null : dst_rt6_info(first)

      rcu_read_lock()
      const from = rt === null ? null : rt.from
      err = ip6_route_get_saddr(n, from, fl6.daddr, sk !== null ? inet6_sk(sk).srcprefs : 0, fl6.flowi6_l3mdev, fl6.saddr)
      rcu_read_unlock()

      if (err) return lookup_failed(n, dst, err)

      // as if it had never been: now there is a source address to look up with
      if (first.error) {
        dst_release(first)
        dst.v = null
      }

      if (fl6.flowi6_oif) flags |= RT6_LOOKUP_F_IFACE
    }

    const found = dst.v ?? ip6_route_output_flags(n, sk, fl6, flags)
    dst.v = found

    err = found.error
    if (err) return lookup_failed(n, dst, err)

    const rt = dst_rt6_info(found)
    rcu_read_lock()
    const neigh = __ipv6_neigh_lookup_noref(rt.dev as net_device, rt6_nexthop(rt, fl6.daddr))
    err = neigh !== null && !(neigh.nud_state & NUD_VALID) ? -EINVAL : 0
    rcu_read_unlock()

    if (err) {
      const ifp = ipv6_get_ifaddr(n, fl6.saddr, found.dev, 1)
      const redirect = ifp !== null && (ifp.flags & IFA_F_OPTIMISTIC) !== 0
      if (ifp !== null) in6_ifa_put(ifp)
      if (redirect) {
        // a source that may turn out to be taken must not be used to resolve neighbours: the router does it
        dst_release(found)
        const fl_gw6 = new flowi6()
        fl_gw6.assign(fl6)
        fl_gw6.daddr.fill(0)
        dst.v = ip6_route_output(n, sk, fl_gw6)
        err = dst.v.error
        if (err) return lookup_failed(n, dst, err)
      }
    }
    if (ipv6_addr_v4mapped(fl6.saddr) && !(ipv6_addr_v4mapped(fl6.daddr) || ipv6_addr_any(fl6.daddr)))
      return lookup_failed(n, dst, -EAFNOSUPPORT)
    return 0
  },
)

export const ip6_dst_lookup = kfunc(
  'ip6_dst_lookup',
  (n: net, sk: sock | null, dst: ref<dst_entry | null>, fl6: flowi6): number => {
    dst.v = null
    return ip6_dst_lookup_tail(n, sk, dst, fl6)
  },
)

export const ip6_dst_lookup_flow = kfunc(
  'ip6_dst_lookup_flow',
  (n: net, sk: sock | null, fl6: flowi6, final_dst: in6_addr | null): dst_entry | number => {
    const dst: ref<dst_entry | null> = { v: null }
    const err = ip6_dst_lookup_tail(n, sk, dst, fl6)
    if (err) return err
    if (final_dst !== null) fl6.daddr.set(final_dst)
    return xfrm_lookup_route(n, dst.v as dst_entry, fl6, sk, 0)
  },
)

/** the same, by way of the route that the socket has cached */
export const ip6_sk_dst_lookup_flow = kfunc(
  'ip6_sk_dst_lookup_flow',
  (sk: sock, fl6: flowi6, final_dst: in6_addr | null, connected: boolean): dst_entry | number => {
    const cached = ip6_sk_dst_check(sk, sk_dst_check(sk, inet6_sk(sk).dst_cookie), fl6)
    if (cached !== null) return cached
    const dst = ip6_dst_lookup_flow(sock_net(sk), sk, fl6, final_dst)
    if (connected && !IS_ERR(dst)) {
      dst_hold(dst)
      ip6_sk_dst_store_flow(sk, dst, fl6)
    }
    return dst
  },
)

const ip6_setup_cork = kfunc(
  'ip6_setup_cork',
  (sk: sock, cork: inet_cork_full, v6_cork: inet6_cork, ipc6: ipcm6_cookie, rt: rt6_info): number => {
    const np = inet6_sk(sk)
    const { base } = cork
    // the caller's reference is the cork's now
    base.dst = rt
    v6_cork.opt = ipc6.opt
    v6_cork.hop_limit = ipc6.hlimit
    v6_cork.tclass = ipc6.tclass
    v6_cork.dontfrag = ipc6.dontfrag
    let mtu = np.pmtudisc >= IPV6_PMTUDISC_PROBE ? (rt.dev as net_device).mtu : dst6_mtu(rt)
    if (np.frag_size && np.frag_size < mtu) mtu = np.frag_size
    if (sk_is_udp(sk)) mtu = Math.min(mtu, IP6_MAX_MTU)
    base.fragsize = mtu
    base.gso_size = ipc6.gso_size
    base.tx_flags = 0
    base.mark = ipc6.sockc.mark
    const tx_flags: ref<number> = { v: 0 }
    sock_tx_timestamp(sk, ipc6.sockc.tsflags, tx_flags)
    base.tx_flags = tx_flags.v
    base.length = 0
    base.transmit_time = ipc6.sockc.transmit_time
    return 0
  },
)

/** adds `total` bytes to the datagram in `queue`, each buffer of which will be one fragment */
const __ip6_append_data = kfunc(
  '__ip6_append_data',
  (
    sk: sock,
    queue: sk_buff_head,
    cork_full: inet_cork_full,
    v6_cork: inet6_cork,
    pfrag: page_frag,
    getfrag: getfrag_t,
    from: unknown,
    total: number,
    first_hdrlen: number,
    msg_flags: number,
  ): number => {
    const get = getfrag as unknown as getfrag_any
    const cork = cork_full.base
    const fl6 = flowi_ip6(cork_full.fl)
    const rt = dst_rt6_info(cork.dst as dst_entry)
    const dev = rt.dev as net_device
    const { opt } = v6_cork
    let flags = msg_flags
    let length = total
    let transhdrlen = first_hdrlen
    let uarg: ubuf_info | null = null
    let zc = false
    const extra_uref: ref<boolean> = { v: false }
    let wmem_alloc_delta = 0
    let csummode = CHECKSUM_NONE
    let offset = 0
    const err: ref<number> = { v: 0 }

    let skb = skb_peek_tail(queue)
    let exthdrlen = 0
    let dst_exthdrlen = 0
    if (skb === null) {
      exthdrlen = opt ? opt.opt_flen : 0
      dst_exthdrlen = rt.header_len - rt.rt6i_nfheader_len
    }
    let paged = cork.gso_size !== 0
    let mtu = cork.gso_size ? IP6_MAX_MTU : cork.fragsize
    const orig_mtu = mtu
    const hh_len = LL_RESERVED_SPACE(dev)
    const fragheaderlen = SIZEOF_IPV6HDR + rt.rt6i_nfheader_len + (opt ? opt.opt_nflen : 0)
    const headersize = SIZEOF_IPV6HDR + (opt ? opt.opt_flen + opt.opt_nflen : 0) + rt.rt6i_nfheader_len

    const too_long = (): number => {
      ipv6_local_error(sk, EMSGSIZE, fl6, Math.max(mtu - headersize + SIZEOF_IPV6HDR, 0))
      return -EMSGSIZE
    }
    if (mtu <= fragheaderlen || ((mtu - fragheaderlen) & ~7) + fragheaderlen <= SIZEOF_FRAG_HDR) return too_long()
    let maxfraglen = ((mtu - fragheaderlen) & ~7) + fragheaderlen - SIZEOF_FRAG_HDR

    // all headers must fit into the first fragment
    if (headersize + transhdrlen > mtu) return too_long()

    if (
      cork.length + length > mtu - headersize &&
      v6_cork.dontfrag &&
      (sk.sk_protocol === IPPROTO_UDP || sk.sk_protocol === IPPROTO_ICMPV6 || sk.sk_protocol === IPPROTO_RAW)
    ) {
      ipv6_local_rxpmtu(sk, fl6, mtu - headersize + SIZEOF_IPV6HDR)
      return too_long()
    }

    const maxnonfragsize = ip6_sk_ignore_df(sk) ? SIZEOF_IPV6HDR + IPV6_MAXPLEN : mtu
    if (cork.length + length > maxnonfragsize - headersize) return too_long()

    const sg = (dev.features & F_SG) !== 0n
    if (
      transhdrlen &&
      sk.sk_protocol === IPPROTO_UDP &&
      headersize === SIZEOF_IPV6HDR &&
      length <= mtu - headersize &&
      (!(flags & MSG_MORE) || cork.gso_size) &&
      dev.features & CSUM_FEATURES
    )
      csummode = CHECKSUM_PARTIAL

    if (flags & MSG_ZEROCOPY && length) {
      const msg = from as msghdr
      const old = skb === null ? null : skb_zcopy(skb)
      if ((getfrag as unknown) === ip_generic_getfrag && msg.msg_ubuf !== null) {
        if (old && msg.msg_ubuf !== old) return -EINVAL
        if (sg && csummode === CHECKSUM_PARTIAL) {
          paged = true
          zc = true
          uarg = msg.msg_ubuf
        }
      } else if (sock_flag(sk, SOCK_ZEROCOPY)) {
        uarg = msg_zerocopy_realloc(sk, length, old)
        if (uarg === null) return -ENOBUFS
        extra_uref.v = old === null
        if (sg && csummode === CHECKSUM_PARTIAL) {
          paged = true
          zc = true
        } else {
          uarg.zerocopy = false
          if (skb !== null) skb_zcopy_set(skb, uarg, extra_uref)
        }
      }
    } else if (flags & MSG_SPLICE_PAGES && length) {
      if (inet_test_bit(INET_FLAGS_HDRINCL, sk)) return -EPERM
      if (sg && (getfrag as unknown) === ip_generic_getfrag) paged = true
      else flags &= ~MSG_SPLICE_PAGES
    }
    if (tracer.on)
      decide('__ip6_append_data', csummode === CHECKSUM_PARTIAL ? 'checksum left to the device' : 'checksum in software', {
        length,
        mtu,
        more: (flags & MSG_MORE) !== 0,
        paged,
      })

    cork.length += length
    const hold_tskey = (cork.tx_flags & SKBTX_ANY_TSTAMP) !== 0 && (sk.sk_tsflags & SOF_TIMESTAMPING_OPT_ID) !== 0
    let tskey = hold_tskey ? sk.sk_tskey++ : 0
    const failed = (e: number): number => append_failed(sk, cork, uarg, extra_uref, length, wmem_alloc_delta, hold_tskey, e)

    let fresh = skb === null
    let skb_prev: sk_buff | null = null
    while (fresh || length > 0) {
      let copy = 0
      if (!fresh && skb !== null) {
        copy = (cork.length <= mtu ? mtu : maxfraglen) - skb.len
        if (copy < length) copy = maxfraglen - skb.len
      }
      if (fresh || copy <= 0 || skb === null) {
        const last: sk_buff | null = fresh ? null : skb
        const fraggap = last !== null ? last.len - maxfraglen : 0
        // the first fragment reserves what the route's own headers take
        if (last === null || skb_prev === null) {
          mtu = last === null ? orig_mtu - rt.header_len : orig_mtu
          maxfraglen = ((mtu - fragheaderlen) & ~7) + fragheaderlen - SIZEOF_FRAG_HDR
        }
        fresh = false
        skb_prev = last
        let datalen = length + fraggap
        if (datalen > (cork.length <= mtu ? mtu : maxfraglen) - fragheaderlen)
          datalen = maxfraglen - fragheaderlen - rt.trailer_len
        let fraglen = datalen + fragheaderlen
        let pagedlen = 0
        const alloc_extra = hh_len + dst_exthdrlen + rt.trailer_len + SIZEOF_FRAG_HDR
        let alloclen: number
        if (flags & MSG_MORE && !sg) alloclen = mtu
        else if (!paged && (fraglen + alloc_extra < SKB_MAX_ALLOC || !sg)) alloclen = fraglen
        else {
          alloclen = fragheaderlen + transhdrlen + fraggap
          pagedlen = datalen - transhdrlen - fraggap
        }
        alloclen += alloc_extra
        if (datalen !== length + fraggap) datalen += rt.trailer_len
        fraglen = datalen + fragheaderlen
        copy = datalen - transhdrlen - fraggap - pagedlen
        if (copy < 0) return failed(-EINVAL)

        if (transhdrlen) skb = sock_alloc_send_skb(sk, alloclen, flags & MSG_DONTWAIT, err)
        else {
          skb = null
          if (sk.sk_wmem_alloc + wmem_alloc_delta <= 2 * sk.sk_sndbuf) skb = alloc_skb(alloclen, sk.sk_allocation)
          if (skb === null) err.v = -ENOBUFS
        }
        if (skb === null) return failed(err.v)

        skb.protocol = ETH_P_IPV6
        skb.ip_summed = csummode
        skb.csum = 0
        skb_reserve(skb, hh_len + SIZEOF_FRAG_HDR + dst_exthdrlen)
        let data = skb_put(skb, fraglen - pagedlen)
        skb_set_network_header(skb, exthdrlen)
        data += fragheaderlen
        skb.transport_header = skb.network_header + fragheaderlen
        if (fraggap && skb_prev !== null) {
          // what lies beyond a multiple of 8 moves on to the new fragment
          skb.csum = skb_copy_and_csum_bits(skb_prev, maxfraglen, skb.head.bytes, data + transhdrlen, fraggap)
          skb_prev.csum = csum_sub(skb_prev.csum, skb.csum)
          data += fraggap
          pskb_trim_unique(skb_prev, maxfraglen)
        }
        if (tracer.on) traceIndirect('getfrag', nameOf(getfrag))
        if (copy > 0 && get(from, skb.head.bytes, offset, copy, fraggap, skb, data + transhdrlen) < 0) {
          kfree_skb(skb)
          return failed(-EFAULT)
        } else if (flags & MSG_SPLICE_PAGES) copy = 0
        offset += copy
        length -= copy + transhdrlen
        transhdrlen = 0
        exthdrlen = 0
        dst_exthdrlen = 0
        // only the first fragment is time stamped
        const shinfo = skb_shinfo(skb)
        shinfo.tx_flags = cork.tx_flags
        cork.tx_flags = 0
        shinfo.tskey = tskey
        tskey = 0
        skb_zcopy_set(skb, uarg, extra_uref)
        if (flags & MSG_CONFIRM && skb_prev === null) skb_set_dst_pending_confirm(skb, 1)
        if (skb.destructor === null) {
          skb.destructor = sock_wfree
          skb.sk = sk
          wmem_alloc_delta += skb.truesize
        }
        __skb_queue_tail(queue, skb)
        continue
      }

      if (copy > length) copy = length
      if (!sg && skb_tailroom(skb) >= copy) {
        const off = skb.len
        const to = skb_put(skb, copy)
        if (tracer.on) traceIndirect('getfrag', nameOf(getfrag))
        if (get(from, skb.head.bytes, offset, copy, off, skb, to) < 0) {
          __skb_trim(skb, off)
          return failed(-EFAULT)
        }
      } else if (flags & MSG_SPLICE_PAGES) {
        const msg = from as msghdr
        const done = copy > msg.msg_iter.count ? -EIO : skb_splice_from_iter(skb, msg.msg_iter, copy, sk.sk_allocation)
        if (done < 0) return failed(done)
        copy = done
        if (!(flags & MSG_NO_SHARED_FRAGS)) skb_shinfo(skb).flags |= SKBFL_SHARED_FRAG
        wmem_alloc_delta += copy
      } else if (!zc) {
        const shinfo = skb_shinfo(skb)
        let i = shinfo.frags.length
        if (!sk_page_frag_refill(sk, pfrag) || pfrag.page === null) return failed(-ENOMEM)
        skb_zcopy_downgrade_managed(skb)
        if (!skb_can_coalesce(skb, i, pfrag.page, pfrag.offset)) {
          if (i === MAX_SKB_FRAGS) return failed(-EMSGSIZE)
          __skb_fill_page_desc(skb, i, pfrag.page, pfrag.offset, 0)
          i++
          get_page(pfrag.page)
        }
        copy = Math.min(copy, pfrag.size - pfrag.offset)
        if (tracer.on) traceIndirect('getfrag', nameOf(getfrag))
        if (get(from, pfrag.page.bytes, offset, copy, skb.len, skb, pfrag.offset) < 0) return failed(-EFAULT)
        pfrag.offset += copy
        const lastFrag = shinfo.frags[i - 1]
        if (lastFrag !== undefined) lastFrag.len += copy
        skb_len_add(skb, copy)
        wmem_alloc_delta += copy
      } else {
        const r = skb_zerocopy_iter_dgram(skb, from as msghdr, copy)
        if (r < 0) return failed(r)
      }
      offset += copy
      length -= copy
    }
    if (wmem_alloc_delta) sk.sk_wmem_alloc += wmem_alloc_delta
    return 0
  },
)

function append_failed(
  sk: sock,
  cork: inet_cork,
  uarg: ubuf_info | null,
  extra_uref: ref<boolean>,
  length: number,
  wmem_alloc_delta: number,
  hold_tskey: boolean,
  err: number,
): number {
  net_zcopy_put_abort(uarg, extra_uref.v)
  cork.length -= length
  IP6_INC_STATS(sock_net(sk), 'OutDiscards')
  sk.sk_wmem_alloc += wmem_alloc_delta
  if (hold_tskey) sk.sk_tskey--
  return err
}

export const ip6_append_data = kfunc(
  'ip6_append_data',
  (
    sk: sock,
    getfrag: getfrag_t,
    from: unknown,
    total: number,
    hdrlen: number,
    ipc6: ipcm6_cookie,
    fl6: flowi6,
    rt: rt6_info | null,
    flags: number,
  ): number => {
    const inet = inet_sk(sk)
    const np = inet6_sk(sk)
    let length = total
    let transhdrlen = hdrlen
    if (flags & MSG_PROBE) return 0
    if (skb_queue_empty(sk.sk_write_queue)) {
      if (rt === null) return -EFAULT
      dst_hold(rt)
      const err = ip6_setup_cork(sk, inet.cork, np.cork, ipc6, rt)
      if (err) return err
      flowi_ip6(inet.cork.fl).assign(fl6)
      const exthdrlen = ipc6.opt ? ipc6.opt.opt_flen : 0
      length += exthdrlen
      transhdrlen += exthdrlen
    } else transhdrlen = 0
    return __ip6_append_data(
      sk,
      sk.sk_write_queue,
      inet.cork,
      np.cork,
      sk_page_frag(sk),
      getfrag,
      from,
      length,
      transhdrlen,
      flags,
    )
  },
)

const ip6_cork_release = kfunc('ip6_cork_release', (cork: inet_cork_full, v6_cork: inet6_cork): void => {
  v6_cork.opt = null
  if (cork.base.dst !== null) {
    dst_release(cork.base.dst)
    cork.base.dst = null
  }
})

/** makes one packet of what was collected; null when nothing was */
export const __ip6_make_skb = kfunc(
  '__ip6_make_skb',
  (sk: sock, queue: sk_buff_head, cork: inet_cork_full, v6_cork: inet6_cork): sk_buff | null => {
    const n = sock_net(sk)
    const fl6 = flowi_ip6(cork.fl)
    const proto = fl6.flowi6_proto
    const skb = __skb_dequeue(queue)
    if (skb === null) return null
    const rt = dst_rt6_info(cork.base.dst as dst_entry)
    if (skb.data < skb.network_header) __skb_pull(skb, skb_network_offset(skb))
    let tail: sk_buff | null = null
    for (let tmp = __skb_dequeue(queue); tmp !== null; tmp = __skb_dequeue(queue)) {
      __skb_pull(tmp, skb_network_header_len(skb))
      if (tail === null) skb_shinfo(skb).frag_list = tmp
      else tail.next = tmp
      tail = tmp
      skb.len += tmp.len
      skb.data_len += tmp.len
      skb.truesize += tmp.truesize
      tmp.destructor = null
      tmp.sk = null
    }
    skb.ignore_df = ip6_sk_ignore_df(sk) ? 1 : 0
    __skb_pull(skb, skb_network_header_len(skb))

    const { opt } = v6_cork
    const first = { v: proto }
    if (opt?.opt_flen) ipv6_push_frag_opts(skb, opt, first)
    if (opt?.opt_nflen) ipv6_push_nfrag_opts(skb, opt, first, fl6.daddr, fl6.saddr)

    skb_push(skb, SIZEOF_IPV6HDR)
    skb_reset_network_header(skb)
    const hdr = ipv6_hdr(skb)
    hdr.flow_hdr(v6_cork.tclass, ip6_make_flowlabel(n, skb, fl6.flowlabel, ip6_autoflowlabel(n, sk), fl6))
    hdr.hop_limit = v6_cork.hop_limit
    hdr.nexthdr = first.v
    hdr.saddr = fl6.saddr
    hdr.daddr = fl6.daddr

    skb.priority = sk.sk_priority
    skb.mark = cork.base.mark
    if (sk_is_tcp(sk)) skb_set_delivery_time(skb, cork.base.transmit_time, 1)
    else skb_set_delivery_type_by_clockid(skb, cork.base.transmit_time, sk.sk_clockid)

    // the cork's reference to the route becomes the packet's
    cork.base.dst = null
    skb_dst_set(skb, rt)
    IP6_INC_STATS(n, 'OutRequests')
    if (proto === IPPROTO_ICMPV6) {
      const type =
        sk.sk_type === SOCK_RAW && !(fl6.flowi6_flags & FLOWI_FLAG_KNOWN_NH) ? fl6.fl6_icmp_type : icmp6_hdr(skb).icmp6_type
      ICMP6_INC_STATS(n, `OutType${type}`)
      ICMP6_INC_STATS(n, 'OutMsgs')
    }
    ip6_cork_release(cork, v6_cork)
    return skb
  },
)

export const ip6_finish_skb = kfunc('ip6_finish_skb', (sk: sock): sk_buff | null =>
  __ip6_make_skb(sk, sk.sk_write_queue, inet_sk(sk).cork, inet6_sk(sk).cork),
)

export const ip6_send_skb = kfunc('ip6_send_skb', (skb: sk_buff): number => {
  const n = sock_net(skb.sk as sock)
  rcu_read_lock()
  let err = ip6_local_out(n, skb.sk, skb)
  if (err) {
    if (err > 0) err = net_xmit_errno(err)
    if (err) IP6_INC_STATS(n, 'OutDiscards')
  }
  rcu_read_unlock()
  return err
})

export const ip6_push_pending_frames = kfunc('ip6_push_pending_frames', (sk: sock): number => {
  const skb = ip6_finish_skb(sk)
  return skb === null ? 0 : ip6_send_skb(skb)
})

const __ip6_flush_pending_frames = kfunc(
  '__ip6_flush_pending_frames',
  (sk: sock, queue: sk_buff_head, cork: inet_cork_full, v6_cork: inet6_cork): void => {
    for (let skb = queue.last; skb !== null; skb = queue.last) {
      __skb_unlink(skb, queue)
      if (skb_dst(skb) !== null) IP6_INC_STATS(sock_net(sk), 'OutDiscards')
      kfree_skb(skb)
    }
    ip6_cork_release(cork, v6_cork)
  },
)

export const ip6_flush_pending_frames = kfunc('ip6_flush_pending_frames', (sk: sock): void => {
  __ip6_flush_pending_frames(sk, sk.sk_write_queue, inet_sk(sk).cork, inet6_sk(sk).cork)
})

/** a whole datagram at once, without a queue on the socket; null with MSG_PROBE */
export const ip6_make_skb = kfunc(
  'ip6_make_skb',
  (
    sk: sock,
    getfrag: getfrag_t,
    from: unknown,
    length: number,
    transhdrlen: number,
    ipc6: ipcm6_cookie,
    rt: rt6_info,
    flags: number,
    cork: inet_cork_full,
  ): sk_buff | number | null => {
    const exthdrlen = ipc6.opt ? ipc6.opt.opt_flen : 0
    if (flags & MSG_PROBE) {
      dst_release(rt)
      return null
    }
    const queue = new sk_buff_head()
    const v6_cork = new inet6_cork_class()
    cork.base.flags = 0
    cork.base.addr = 0
    cork.base.opt = null
    let err = ip6_setup_cork(sk, cork, v6_cork, ipc6, rt)
    if (err) {
      ip6_cork_release(cork, v6_cork)
      return err
    }
    err = __ip6_append_data(
      sk,
      queue,
      cork,
      v6_cork,
      current.task_frag,
      getfrag,
      from,
      length + exthdrlen,
      transhdrlen + exthdrlen,
      flags,
    )
    if (err) {
      __ip6_flush_pending_frames(sk, queue, cork, v6_cork)
      return err
    }
    return __ip6_make_skb(sk, queue, cork, v6_cork)
  },
)
