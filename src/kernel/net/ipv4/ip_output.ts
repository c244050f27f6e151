import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracer } from '../../../trace/tracer.ts'
import { get_random_u16 } from '../../drivers/char/random.ts'
import {
  ETH_P_IP,
  IPPROTO_ICMP,
  IPPROTO_TCP,
  MSG_CONFIRM,
  MSG_DONTWAIT,
  MSG_MORE,
  MSG_NO_SHARED_FRAGS,
  MSG_PROBE,
  MSG_SPLICE_PAGES,
  MSG_ZEROCOPY,
  NETIF_F_GSO_MASK,
  NETIF_F_HW_CSUM,
  NETIF_F_HW_ESP_TX_CSUM,
  NETIF_F_IP_CSUM,
  NETIF_F_SG,
  NF_INET_LOCAL_OUT,
  NF_INET_POST_ROUTING,
  NFPROTO_IPV4,
  PKT_HASH_TYPE_L4,
  RTN_BROADCAST,
  RTN_MULTICAST,
  SKB_DROP_REASON_IP_OUTNOROUTES,
  SKB_DROP_REASON_NEIGH_CREATEFAIL,
  SKBFL_SHARED_FRAG,
  SOCK_LOCALROUTE,
  SOCK_RAW,
  SOCK_ZEROCOPY,
} from '../../include/generated/enums.ts'
import { EFAULT, EHOSTUNREACH, EINVAL, EIO, EMSGSIZE, ENETUNREACH, ENOBUFS, ENOMEM, EPERM } from '../../include/linux/errno.ts'
import { ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, icmp_hdr } from '../../include/linux/icmp.ts'
import {
  IP_PMTUDISC_DO,
  IP_PMTUDISC_INTERFACE,
  IP_PMTUDISC_OMIT,
  IP_PMTUDISC_PROBE,
  IP_PMTUDISC_WANT,
} from '../../include/linux/in.ts'
import { RTCF_BROADCAST, RTCF_LOCAL, RTCF_MULTICAST } from '../../include/linux/in_route.ts'
import {
  INET_DSCP_MASK,
  INET_ECN_MASK,
  ip_hdr,
  ip_hdrlen,
  ip_is_fragment,
  type iphdr,
  put_be16,
  SIZEOF_IPHDR,
} from '../../include/linux/ip.ts'
import type { page_frag } from '../../include/linux/mm_types.ts'
import { LL_RESERVED_SPACE, type net_device } from '../../include/linux/netdevice.ts'
import type { nf_okfn } from '../../include/linux/netfilter.ts'
import { RT_SCOPE_UNIVERSE, RTAX_MTU } from '../../include/linux/rtnetlink.ts'
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
  skb_headlen,
  skb_headroom,
  skb_is_gso,
  skb_network_header_len,
  skb_network_offset,
  skb_peek,
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
import type { msghdr } from '../../include/linux/socket.ts'
import { IS_ERR, type ref } from '../../include/linux/types.ts'
import { type dst_entry, dst_metric_locked, dst_metric_raw, type dst_metrics } from '../../include/net/dst.ts'
import {
  FLOWI_FLAG_ANYSRC,
  FLOWI_FLAG_KNOWN_NH,
  type flowi,
  flowi4,
  flowi4_init_output,
  flowi4_to_flowi_common,
} from '../../include/net/flow.ts'
import { INET_FLAGS_HDRINCL, type inet_cork, inet_sk, type inet_sock, inet_test_bit } from '../../include/net/inet_sock.ts'
import {
  IP_DF,
  IP_MF,
  IP_OFFSET,
  IP_REPLY_ARG_NOSRCCHECK,
  IPCB,
  IPCORK_OPT,
  IPSKB_FORWARDED,
  IPSKB_FRAG_COMPLETE,
  IPSKB_FRAG_PMTU,
  IPSKB_REROUTED,
  IPV4_MIN_MTU,
  ip_options,
  type ip_reply_arg,
  ipcm_cookie,
} from '../../include/net/ip.ts'
import type { neighbour } from '../../include/net/neighbour.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { dst_rtable, type rtable, skb_rtable } from '../../include/net/route.ts'
import type { sock } from '../../include/net/sock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { current } from '../../kernel/sched/core.ts'
import { jiffies } from '../../kernel/time/timer.ts'
import { csum_add, csum_block_add, csum_fold, csum_partial_copy_nocheck, csum_sub, ip_fast_csum } from '../../lib/checksum.ts'
import { copy_from_iter_full } from '../../lib/iov_iter.ts'
import { kfree, kmalloc } from '../../mm/slub.ts'
import { security_skb_classify_flow } from '../../security/security.ts'
import { dev_loopback_xmit, netif_index_is_l3_master, netif_skb_features } from '../core/dev.ts'
import {
  dst_default_metrics,
  dst_init_metrics,
  dst_output,
  dst_release,
  dst4_mtu,
  skb_dst_copy,
  skb_dst_drop,
  skb_dst_set,
  skb_dst_set_noref,
} from '../core/dst.ts'
import { skb_gso_segment, skb_gso_validate_network_len } from '../core/gso.ts'
import { neigh_output } from '../core/neighbour.ts'
import {
  __skb_fill_page_desc,
  __skb_pull,
  __skb_push,
  __skb_trim,
  alloc_skb,
  consume_skb,
  csum_and_copy_from_iter_full,
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
  skb_set_hash,
  skb_shared,
  skb_splice_from_iter,
  skb_zcopy,
  skb_zcopy_downgrade_managed,
  skb_zcopy_set,
  skb_zerocopy_iter_dgram,
} from '../core/skbuff.ts'
import {
  __sk_dst_check,
  sk_fullsock,
  sk_is_tcp,
  sk_mc_loop,
  sk_page_frag,
  sk_page_frag_refill,
  sk_setup_caps,
  skb_set_owner_w,
  sock_alloc_send_skb,
  sock_confirm_neigh,
  sock_flag,
  sock_net,
  sock_tx_timestamp,
  sock_wfree,
  sysctl_wmem_default,
} from '../core/sock.ts'
import { l3mdev_ip_out } from '../l3mdev/l3mdev.ts'
import { NF_HOOK, NF_HOOK_COND, nf_hook } from '../netfilter/core.ts'
import { inetdev_valid_mtu } from './devinet.ts'
import { icmp_out_count, icmp_send } from './icmp.ts'
import { igmp_mc_init } from './igmp.ts'
import { inet_initpeers } from './inetpeer.ts'
import { __ip_options_echo, ip_options_build, ip_options_fragment } from './ip_options.ts'
import { ip_local_error } from './ip_sockglue.ts'
import {
  __ip_select_ident,
  ip_neigh_for_gw,
  ip_route_output_flow,
  ip_route_output_ports,
  ip_rt_init,
  ip_rt_put,
  ip4_dst_hoplimit,
  rt_dst_clone,
} from './route.ts'

export const IP_MAX_MTU = 0xffff
const SKB_MAX_ALLOC = 16384 - 320
const SKBTX_ANY_TSTAMP = 0x4b
const SOF_TIMESTAMPING_OPT_ID = 1 << 7
const NET_XMIT_CN = 2
const net_xmit_errno = (err: number): number => (err !== NET_XMIT_CN ? -ENOBUFS : 0)
const NO_CSUM_FEATURES = BigInt(NETIF_F_HW_CSUM) | BigInt(NETIF_F_IP_CSUM)
const F_SG = BigInt(NETIF_F_SG)
const F_ESP_TX_CSUM = BigInt(NETIF_F_HW_ESP_TX_CSUM)

/** how __ip_append_data gets its bytes: writes `len` of them, from `offset` of the source, to `to[to_off…]`; below 0: an error */
export type getfrag_t = (
  from: never,
  to: Uint8Array,
  offset: number,
  len: number,
  odd: number,
  skb: sk_buff,
  to_off: number,
) => number
type getfrag_any = (
  from: unknown,
  to: Uint8Array,
  offset: number,
  len: number,
  odd: number,
  skb: sk_buff,
  to_off: number,
) => number

// include/net/ip.h

export const ip_mtu_locked = (dst: dst_entry): boolean => dst_rtable(dst).rt_mtu_locked !== 0 || dst_metric_locked(dst, RTAX_MTU)

export const ip_dont_fragment = kfunc('ip_dont_fragment', (sk: sock, dst: dst_entry): boolean => {
  const { pmtudisc } = inet_sk(sk)
  return pmtudisc === IP_PMTUDISC_DO || (pmtudisc === IP_PMTUDISC_WANT && !ip_mtu_locked(dst))
})

export const ip_sk_accept_pmtu = (sk: sock): boolean => {
  const { pmtudisc } = inet_sk(sk)
  return pmtudisc !== IP_PMTUDISC_INTERFACE && pmtudisc !== IP_PMTUDISC_OMIT
}
export const ip_sk_use_pmtu = (sk: sock): boolean => inet_sk(sk).pmtudisc < IP_PMTUDISC_PROBE
export const ip_sk_ignore_df = (sk: sock): boolean => {
  const { pmtudisc } = inet_sk(sk)
  return pmtudisc < IP_PMTUDISC_DO || pmtudisc === IP_PMTUDISC_OMIT
}

/** what fits into a packet on this route, bytes */
export const ip_dst_mtu_maybe_forward = kfunc('ip_dst_mtu_maybe_forward', (dst: dst_entry, forwarding: boolean): number => {
  const rt = dst_rtable(dst)
  rcu_read_lock()
  const dev = dst.dev as net_device
  const { ipv4 } = dev.nd_net
  let mtu = 0
  if (ipv4.sysctl_ip_fwd_use_pmtu || ip_mtu_locked(dst) || !forwarding) {
    mtu = rt.rt_pmtu
    if (mtu && !(jiffies() < rt.expires)) mtu = 0
  }
  if (mtu === 0) {
    mtu = dst_metric_raw(dst, RTAX_MTU)
    if (mtu === 0) {
      mtu = dev.mtu
      if (ip_mtu_locked(dst) && rt.rt_uses_gateway && mtu > 576) mtu = 576
    }
  }
  mtu = Math.min(mtu, IP_MAX_MTU)
  rcu_read_unlock()
  return mtu
})

/** the MTU as somebody set it, whatever a path turned out to carry: for the MSS that is announced */
export const ip_dst_mtu_configured = kfunc('ip_dst_mtu_configured', (dst: dst_entry): number => {
  rcu_read_lock()
  const mtu = Math.min(dst_metric_raw(dst, RTAX_MTU) || (dst.dev as net_device).mtu, IP_MAX_MTU)
  rcu_read_unlock()
  return mtu
})

export const ip_skb_dst_mtu = kfunc('ip_skb_dst_mtu', (sk: sock | null, skb: sk_buff): number => {
  const dst = skb_dst(skb) as dst_entry
  if (sk === null || !sk_fullsock(sk) || ip_sk_use_pmtu(sk))
    return ip_dst_mtu_maybe_forward(dst, (IPCB(skb).flags & IPSKB_FORWARDED) !== 0)
  return Math.min((dst.dev as net_device).mtu, IP_MAX_MTU)
})

export function ip_fib_metrics_put(m: dst_metrics): void {
  if (m !== dst_default_metrics && --m.refcnt === 0) kfree(m)
}
export const ip_dst_init_metrics = kfunc('ip_dst_init_metrics', (dst: dst_entry, fib_metrics: dst_metrics): void => {
  dst_init_metrics(dst, fib_metrics, true)
  if (fib_metrics !== dst_default_metrics) {
    dst.metrics_flags |= 2
    fib_metrics.refcnt++
  }
})
export const ip_dst_metrics_put = kfunc('ip_dst_metrics_put', (dst: dst_entry): void => {
  const p = dst._metrics
  if (p !== dst_default_metrics && --p.refcnt === 0) kfree(p)
})

/** how far away a packet may still go: RT_SCOPE_LINK when it must not pass a router */
export const ip_sendmsg_scope = (inet: inet_sock, ipc: ipcm_cookie, msg: msghdr): number =>
  sock_flag(inet, SOCK_LOCALROUTE) || msg.msg_flags & 4 || ipc.opt?.is_strictroute ? 253 : RT_SCOPE_UNIVERSE
export const get_rttos = (ipc: ipcm_cookie, inet: inet_sock): number => (ipc.tos !== -1 ? ipc.tos : inet.tos) & INET_DSCP_MASK

export function ipcm_init(ipc: ipcm_cookie): void {
  ipc.sockc.mark = 0
  ipc.sockc.tsflags = 0
  ipc.sockc.transmit_time = 0
  ipc.addr = 0
  ipc.oif = 0
  ipc.opt = null
  ipc.protocol = 0
  ipc.ttl = 0
  ipc.tos = -1
  ipc.priority = 0
  ipc.gso_size = 0
}
export const ipcm_init_sk = kfunc('ipcm_init_sk', (ipcm: ipcm_cookie, inet: inet_sock): void => {
  ipcm_init(ipcm)
  ipcm.sockc.mark = inet.sk_mark
  ipcm.sockc.tsflags = inet.sk_tsflags
  ipcm.oif = inet.sk_bound_dev_if
  ipcm.addr = inet.inet_saddr
  ipcm.protocol = inet.inet_num
})

/** numbers the packet: by the socket when it is connected, not at all when it cannot be fragmented, else from a shared generator */
export const ip_select_ident_segs = kfunc('ip_select_ident_segs', (n: net, skb: sk_buff, sk: sock | null, segs: number): void => {
  const iph = ip_hdr(skb)
  if (sk !== null && inet_sk(sk).inet_daddr) {
    const inet = inet_sk(sk)
    let val: number
    if (sk_is_tcp(sk)) {
      val = inet.inet_id
      inet.inet_id = (val + segs) & 0xffffffff
    } else {
      inet.inet_id = (inet.inet_id + segs) & 0xffffffff
      val = inet.inet_id
    }
    iph.id = val & 0xffff
    return
  }
  if (iph.frag_off & IP_DF && !skb.ignore_df) iph.id = 0
  else __ip_select_ident(n, iph, segs)
})
export const ip_select_ident = kfunc('ip_select_ident', (n: net, skb: sk_buff, sk: sock | null): void => {
  ip_select_ident_segs(n, skb, sk, 1)
})

/** a router's part of a hop; the checksum is mended, not computed anew. Returns the new time to live. */
export function ip_decrease_ttl(iph: iphdr): number {
  let check = iph.check + 0x0100
  check += check >= 0xffff ? 1 : 0
  iph.check = check & 0xffff
  return --iph.ttl
}

// net/ipv4/ip_output.c

export const ip_send_check = kfunc('ip_send_check', (iph: iphdr): void => {
  iph.check = 0
  iph.check = ip_fast_csum(iph.bytes, iph.at, iph.ihl)
})

/** a length that does not fit says 0: GSO packets above 64 KiB */
export const iph_set_totlen = (iph: iphdr, len: number): void => {
  iph.tot_len = len <= IP_MAX_MTU ? len : 0
}

export const __ip_local_out = kfunc('__ip_local_out', (n: net, sk: sock | null, skb: sk_buff): number => {
  const iph = ip_hdr(skb)
  n.mib.ip.OutRequests++
  iph_set_totlen(iph, skb.len)
  ip_send_check(iph)
  const out = l3mdev_ip_out(sk, skb)
  if (out === null) return 0
  out.protocol = ETH_P_IP
  return nf_hook(NFPROTO_IPV4, NF_INET_LOCAL_OUT, n, sk, out, null, (skb_dst(out) as dst_entry).dev, dst_output)
})

export const ip_local_out = kfunc('ip_local_out', (n: net, sk: sock | null, skb: sk_buff): number => {
  let err = __ip_local_out(n, sk, skb)
  if (err === 1) err = dst_output(n, sk, skb)
  return err
})

const ip_select_ttl = kfunc('ip_select_ttl', (inet: inet_sock, dst: dst_entry): number => {
  const ttl = inet.uc_ttl
  return ttl < 0 ? ip4_dst_hoplimit(dst) : ttl
})

/** puts a header before a packet that has a route already (SYN-ACK) and sends it */
export const ip_build_and_send_pkt = kfunc(
  'ip_build_and_send_pkt',
  (skb: sk_buff, sk: sock, saddr: number, daddr: number, opt: ip_options | null, tos: number): number => {
    const inet = inet_sk(sk)
    const rt = skb_rtable(skb) as rtable
    const n = sock_net(sk)
    skb_push(skb, SIZEOF_IPHDR + (opt ? opt.optlen : 0))
    skb_reset_network_header(skb)
    const iph = ip_hdr(skb)
    iph.set_version_ihl_tos(4, 5, tos)
    iph.ttl = ip_select_ttl(inet, rt)
    iph.daddr = opt?.srr ? opt.faddr : daddr
    iph.saddr = saddr
    iph.protocol = sk.sk_protocol
    if (skb.len <= IPV4_MIN_MTU || ip_dont_fragment(sk, rt)) {
      iph.frag_off = IP_DF
      iph.id = 0
    } else {
      iph.frag_off = 0
      if (sk.sk_protocol === IPPROTO_TCP) iph.id = get_random_u16()
      else __ip_select_ident(n, iph, 1)
    }
    if (opt?.optlen) {
      iph.ihl += opt.optlen >> 2
      ip_options_build(skb, opt, daddr, rt)
    }
    skb.priority = sk.sk_priority
    if (!skb.mark) skb.mark = sk.sk_mark
    return ip_local_out(n, skb.sk, skb)
  },
)

export const ip_finish_output2 = kfunc('ip_finish_output2', (n: net, sk: sock | null, skb: sk_buff): number => {
  const dst = skb_dst(skb) as dst_entry
  const rt = dst_rtable(dst)
  const dev = dst.dev as net_device
  const hh_len = LL_RESERVED_SPACE(dev)
  const mib = n.mib.ip
  if (rt.rt_type === RTN_MULTICAST) {
    mib.OutMcastPkts++
    mib.OutMcastOctets += skb.len
  } else if (rt.rt_type === RTN_BROADCAST) {
    mib.OutBcastPkts++
    mib.OutBcastOctets += skb.len
  }
  mib.OutTransmits++
  mib.OutOctets += skb.len

  let out: sk_buff = skb
  if (skb_headroom(out) < hh_len && dev.header_ops !== null) {
    const wider = skb_expand_head(out, hh_len)
    if (wider === null) return -ENOMEM
    out = wider
  }

  rcu_read_lock()
  const is_v6gw: ref<boolean> = { v: false }
  const neigh = ip_neigh_for_gw(rt, out, is_v6gw)
  if (!IS_ERR(neigh)) {
    sock_confirm_neigh(out, neigh)
    const res = neigh_output(neigh, out, is_v6gw.v)
    rcu_read_unlock()
    return res
  }
  rcu_read_unlock()
  kfree_skb_reason(out, SKB_DROP_REASON_NEIGH_CREATEFAIL)
  return neigh
})

const ip_finish_output_gso = kfunc('ip_finish_output_gso', (n: net, sk: sock | null, skb: sk_buff, mtu: number): number => {
  if (skb_gso_validate_network_len(skb, mtu)) return ip_finish_output2(n, sk, skb)

  // segments that do not fit: cut the packet here, then fragment each piece
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
    const err = ip_fragment(n, sk, seg, mtu, ip_finish_output2)
    if (err && ret === 0) ret = err
    seg = nskb
  }
  return ret
})

const __ip_finish_output = kfunc('__ip_finish_output', (n: net, sk: sock | null, skb: sk_buff): number => {
  if ((skb_dst(skb) as dst_entry).xfrm !== null) {
    IPCB(skb).flags |= IPSKB_REROUTED
    return dst_output(n, sk, skb)
  }
  const mtu = ip_skb_dst_mtu(sk, skb)
  if (skb_is_gso(skb)) return ip_finish_output_gso(n, sk, skb, mtu)
  if (skb.len > mtu || IPCB(skb).frag_max_size) {
    if (tracer.on) decide('__ip_finish_output', 'fragment', { len: skb.len, mtu })
    return ip_fragment(n, sk, skb, mtu, ip_finish_output2)
  }
  return ip_finish_output2(n, sk, skb)
})

const ip_finish_output = kfunc('ip_finish_output', (n: net, sk: sock | null, skb: sk_buff): number =>
  __ip_finish_output(n, sk, skb),
)

const ip_mc_finish_output = kfunc('ip_mc_finish_output', (n: net, sk: sock | null, skb: sk_buff): number => {
  // without rt_iif inet_iif() says skb_iif
  const new_rt = rt_dst_clone(n.loopback_dev, skb_rtable(skb) as rtable)
  if (new_rt !== null) {
    new_rt.rt_iif = 0
    skb_dst_drop(skb)
    skb_dst_set(skb, new_rt)
  }
  return dev_loopback_xmit(n, sk, skb)
})

export const ip_mc_output = kfunc('ip_mc_output', (n: net, sk: sock | null, skb: sk_buff): number => {
  const rt = skb_rtable(skb) as rtable
  const { dev } = rt
  skb.dev = dev
  skb.protocol = ETH_P_IP
  if (rt.rt_flags & RTCF_MULTICAST) {
    if (sk_mc_loop(sk) && (rt.rt_flags & RTCF_LOCAL || !(IPCB(skb).flags & IPSKB_FORWARDED))) {
      const newskb = skb_clone(skb, GFP_ATOMIC)
      if (newskb !== null) NF_HOOK(NFPROTO_IPV4, NF_INET_POST_ROUTING, n, sk, newskb, null, newskb.dev, ip_mc_finish_output)
    }
    if (ip_hdr(skb).ttl === 0) {
      kfree_skb(skb)
      return 0
    }
  }
  if (rt.rt_flags & RTCF_BROADCAST) {
    const newskb = skb_clone(skb, GFP_ATOMIC)
    if (newskb !== null) NF_HOOK(NFPROTO_IPV4, NF_INET_POST_ROUTING, n, sk, newskb, null, newskb.dev, ip_mc_finish_output)
  }
  return NF_HOOK_COND(
    NFPROTO_IPV4,
    NF_INET_POST_ROUTING,
    n,
    sk,
    skb,
    null,
    skb.dev,
    ip_finish_output,
    !(IPCB(skb).flags & IPSKB_REROUTED),
  )
})

export const ip_output = kfunc('ip_output', (n: net, sk: sock | null, skb: sk_buff): number => {
  const indev = skb.dev
  rcu_read_lock()
  const { dev } = skb_dst(skb) as dst_entry
  skb.dev = dev
  skb.protocol = ETH_P_IP
  const ret = NF_HOOK_COND(
    NFPROTO_IPV4,
    NF_INET_POST_ROUTING,
    n,
    sk,
    skb,
    indev,
    dev,
    ip_finish_output,
    !(IPCB(skb).flags & IPSKB_REROUTED),
  )
  rcu_read_unlock()
  return ret
})

const ip_copy_addrs = kfunc('ip_copy_addrs', (iph: iphdr, fl4: flowi4): void => {
  iph.saddr = fl4.saddr
  iph.daddr = fl4.daddr
})

/** sends a segment of a connection: route, header, and out. EHOSTUNREACH when there is no way. */
export const __ip_queue_xmit = kfunc('__ip_queue_xmit', (sk: sock, skb: sk_buff, fl: flowi, tos: number): number => {
  const inet = inet_sk(sk)
  const n = sock_net(sk)
  rcu_read_lock()
  const { inet_opt } = inet
  const fl4 = fl
  let rt: rtable | number | null = skb_rtable(skb)
  if (rt === null) {
    rt = __sk_dst_check(sk, 0) as rtable | null
    if (rt === null) {
      const daddr = inet_opt?.srr ? inet_opt.faddr : inet.inet_daddr
      rt = ip_route_output_ports(
        n,
        fl4,
        sk,
        daddr,
        inet.inet_saddr,
        inet.inet_dport,
        inet.inet_sport,
        sk.sk_protocol,
        tos & INET_DSCP_MASK,
        sk.sk_bound_dev_if,
      )
      if (IS_ERR(rt)) return no_route(n, skb)
      sk_setup_caps(sk, rt)
    }
    skb_dst_set_noref(skb, rt)
  }
  if (inet_opt?.is_strictroute && rt.rt_uses_gateway) return no_route(n, skb)

  skb_push(skb, SIZEOF_IPHDR + (inet_opt ? inet_opt.optlen : 0))
  skb_reset_network_header(skb)
  const iph = ip_hdr(skb)
  iph.set_version_ihl_tos(4, 5, tos & 0xff)
  iph.frag_off = ip_dont_fragment(sk, rt) && !skb.ignore_df ? IP_DF : 0
  iph.ttl = ip_select_ttl(inet, rt)
  iph.protocol = sk.sk_protocol
  ip_copy_addrs(iph, fl4)
  if (inet_opt?.optlen) {
    iph.ihl += inet_opt.optlen >> 2
    ip_options_build(skb, inet_opt, inet.inet_daddr, rt)
  }
  ip_select_ident_segs(n, skb, sk, skb_shinfo(skb).gso_segs || 1)
  skb.priority = sk.sk_priority
  skb.mark = sk.sk_mark
  const res = ip_local_out(n, sk, skb)
  rcu_read_unlock()
  return res
})

function no_route(n: net, skb: sk_buff): number {
  rcu_read_unlock()
  n.mib.ip.OutNoRoutes++
  kfree_skb_reason(skb, SKB_DROP_REASON_IP_OUTNOROUTES)
  return -EHOSTUNREACH
}

export const ip_queue_xmit = kfunc('ip_queue_xmit', (sk: sock, skb: sk_buff, fl: flowi): number =>
  __ip_queue_xmit(sk, skb, fl, inet_sk(sk).tos),
)

const ip_copy_metadata = kfunc('ip_copy_metadata', (to: sk_buff, from: sk_buff): void => {
  to.pkt_type = from.pkt_type
  to.priority = from.priority
  to.protocol = from.protocol
  to.skb_iif = from.skb_iif
  skb_dst_drop(to)
  skb_dst_copy(to, from)
  to.dev = from.dev
  to.mark = from.mark
  skb_copy_hash(to, from)
  nf_copy(to, from)
  skb_ext_copy(to, from)
  to.secmark = from.secmark
})

const ip_fragment = kfunc('ip_fragment', (n: net, sk: sock | null, skb: sk_buff, mtu: number, output: nf_okfn): number => {
  const iph = ip_hdr(skb)
  if ((iph.frag_off & IP_DF) === 0) return ip_do_fragment(n, sk, skb, output)
  const { frag_max_size } = IPCB(skb)
  if (!skb.ignore_df || (frag_max_size && frag_max_size > mtu)) {
    n.mib.ip.FragFails++
    icmp_send(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, mtu)
    kfree_skb(skb)
    return -EMSGSIZE
  }
  return ip_do_fragment(n, sk, skb, output)
})

/** struct ip_fraglist_iter */
export interface ip_fraglist_iter {
  frag: sk_buff | null
  iph: iphdr
  offset: number
  hlen: number
}

export const ip_fraglist_init = kfunc(
  'ip_fraglist_init',
  (skb: sk_buff, iph: iphdr, hlen: number, iter: ip_fraglist_iter): void => {
    const first_len = skb_pagelen(skb)
    iter.frag = skb_shinfo(skb).frag_list
    skb_shinfo(skb).frag_list = null
    iter.offset = 0
    iter.iph = iph
    iter.hlen = hlen
    skb.data_len = first_len - skb_headlen(skb)
    skb.len = first_len
    iph.tot_len = first_len
    iph.frag_off = IP_MF
    ip_send_check(iph)
  },
)

export const ip_fraglist_prepare = kfunc('ip_fraglist_prepare', (skb: sk_buff, iter: ip_fraglist_iter): void => {
  const { hlen } = iter
  const frag = iter.frag as sk_buff
  frag.ip_summed = CHECKSUM_NONE
  skb_reset_transport_header(frag)
  __skb_push(frag, hlen)
  skb_reset_network_header(frag)
  frag.head.bytes.set(iter.iph.bytes.subarray(iter.iph.at, iter.iph.at + hlen), frag.network_header)
  const iph = ip_hdr(frag)
  iter.iph = iph
  iph.tot_len = frag.len
  ip_copy_metadata(frag, skb)
  iter.offset += skb.len - hlen
  iph.frag_off = (iter.offset >> 3) | (frag.next !== null ? IP_MF : 0)
  ip_send_check(iph)
})

export const ip_fraglist_next = kfunc('ip_fraglist_next', (iter: ip_fraglist_iter): sk_buff => {
  const skb = iter.frag as sk_buff
  iter.frag = skb.next
  skb.next = null
  return skb
})

/** struct ip_frag_state */
export interface ip_frag_state {
  DF: boolean
  hlen: number
  ll_rs: number
  mtu: number
  left: number
  offset: number
  ptr: number
  not_last_frag: number
}

export const ip_frag_init = kfunc(
  'ip_frag_init',
  (skb: sk_buff, hlen: number, ll_rs: number, mtu: number, DF: boolean, state: ip_frag_state): void => {
    const iph = ip_hdr(skb)
    state.DF = DF
    state.hlen = hlen
    state.ll_rs = ll_rs
    state.mtu = mtu
    state.left = skb.len - hlen
    state.ptr = hlen
    state.offset = (iph.frag_off & IP_OFFSET) << 3
    state.not_last_frag = iph.frag_off & IP_MF
  },
)

const ip_frag_ipcb = kfunc('ip_frag_ipcb', (from: sk_buff, to: sk_buff, first_frag: boolean): void => {
  IPCB(to).flags = IPCB(from).flags
  // options that only the first fragment carries are blanked in the original, for all that follow
  if (first_frag) ip_options_fragment(from)
})

/** the next fragment, cut out by copying; a negative errno when there is no memory */
export const ip_frag_next = kfunc('ip_frag_next', (skb: sk_buff, state: ip_frag_state): sk_buff | number => {
  let len = Math.min(state.left, state.mtu)
  if (len < state.left) len &= ~7
  const skb2 = alloc_skb(len + state.hlen + state.ll_rs, GFP_ATOMIC)
  if (skb2 === null) return -ENOMEM
  ip_copy_metadata(skb2, skb)
  skb_reserve(skb2, state.ll_rs)
  skb_put(skb2, len + state.hlen)
  skb_reset_network_header(skb2)
  skb2.transport_header = skb2.network_header + state.hlen
  if (skb.sk !== null) skb_set_owner_w(skb2, skb.sk)
  skb_copy_from_linear_data(skb, skb2.head.bytes, skb2.network_header, state.hlen)
  if (skb_copy_bits(skb, state.ptr, skb2.head.bytes, skb2.transport_header, len)) throw new RangeError('ip_frag_next')
  state.left -= len
  const iph = ip_hdr(skb2)
  let frag_off = state.offset >> 3
  if (state.DF) frag_off |= IP_DF
  if (state.left > 0 || state.not_last_frag) frag_off |= IP_MF
  iph.frag_off = frag_off
  state.ptr += len
  state.offset += len
  iph.tot_len = len + state.hlen
  ip_send_check(iph)
  return skb2
})

/** whether the pieces that __ip_append_data made can go out as they are; undoes what it began when they cannot */
function take_frag_list(skb: sk_buff, mtu: number, hlen: number, ll_rs: number): boolean {
  for (let frag = skb_shinfo(skb).frag_list; frag !== null; frag = frag.next) {
    if (frag.len > mtu || (frag.len & 7 && frag.next !== null) || skb_headroom(frag) < hlen + ll_rs || skb_shared(frag)) {
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

export const ip_do_fragment = kfunc('ip_do_fragment', (n: net, sk: sock | null, skb: sk_buff, output: nf_okfn): number => {
  const { tstamp, tstamp_type } = skb
  const rt = skb_rtable(skb) as rtable
  const mib = n.mib.ip
  let err = 0
  if (skb.ip_summed === CHECKSUM_PARTIAL) {
    err = skb.csum_start < skb.network_header + ip_hdrlen(skb) ? -EINVAL : skb_checksum_help(skb)
    if (err) return fragment_failed(n, skb, err)
  }
  const iph = ip_hdr(skb)
  let mtu = ip_skb_dst_mtu(sk, skb)
  const { frag_max_size } = IPCB(skb)
  if (frag_max_size && frag_max_size < mtu) mtu = frag_max_size
  const hlen = iph.ihl * 4
  if (mtu < hlen + 8) return fragment_failed(n, skb, -EMSGSIZE)
  mtu -= hlen
  IPCB(skb).flags |= IPSKB_FRAG_COMPLETE
  const ll_rs = LL_RESERVED_SPACE(rt.dev as net_device)

  if (skb_has_frag_list(skb)) {
    const first_len = skb_pagelen(skb)
    if (
      !(
        first_len - hlen > mtu ||
        (first_len - hlen) & 7 ||
        ip_is_fragment(iph) ||
        skb_cloned(skb) ||
        skb_headroom(skb) < ll_rs
      ) &&
      take_frag_list(skb, mtu, hlen, ll_rs)
    ) {
      const iter: ip_fraglist_iter = { frag: null, iph, offset: 0, hlen }
      ip_fraglist_init(skb, iph, hlen, iter)
      let out = skb
      for (;;) {
        // the next header is written before this one leaves: it is copied from it
        if (iter.frag !== null) {
          const first_frag = iter.offset === 0
          IPCB(iter.frag).flags = IPCB(out).flags
          ip_fraglist_prepare(out, iter)
          if (first_frag && IPCB(out).opt.optlen) {
            IPCB(iter.frag).opt.optlen = IPCB(out).opt.optlen
            ip_options_fragment(iter.frag)
            ip_send_check(iter.iph)
          }
        }
        skb_set_delivery_time(out, tstamp, tstamp_type)
        if (tracer.on) traceIndirect('output', nameOf(output))
        err = output(n, sk, out)
        if (!err) mib.FragCreates++
        if (err || iter.frag === null) break
        out = ip_fraglist_next(iter)
      }
      if (err === 0) {
        mib.FragOKs++
        return 0
      }
      kfree_skb_list(iter.frag)
      mib.FragFails++
      return err
    }
  }

  const state: ip_frag_state = { DF: false, hlen: 0, ll_rs: 0, mtu: 0, left: 0, offset: 0, ptr: 0, not_last_frag: 0 }
  ip_frag_init(skb, hlen, ll_rs, mtu, (IPCB(skb).flags & IPSKB_FRAG_PMTU) !== 0, state)
  while (state.left > 0) {
    const first_frag = state.offset === 0
    const skb2 = ip_frag_next(skb, state)
    if (IS_ERR(skb2)) return fragment_failed(n, skb, skb2)
    ip_frag_ipcb(skb, skb2, first_frag)
    skb_set_delivery_time(skb2, tstamp, tstamp_type)
    if (tracer.on) traceIndirect('output', nameOf(output))
    err = output(n, sk, skb2)
    if (err) return fragment_failed(n, skb, err)
    mib.FragCreates++
  }
  consume_skb(skb)
  mib.FragOKs++
  return err
})

function fragment_failed(n: net, skb: sk_buff, err: number): number {
  kfree_skb(skb)
  n.mib.ip.FragFails++
  return err
}

/** copies from the caller's memory, and sums on the way when the device will not */
export const ip_generic_getfrag = kfunc(
  'ip_generic_getfrag',
  (msg: msghdr, to: Uint8Array, offset: number, len: number, odd: number, skb: sk_buff, to_off: number): number => {
    if (skb.ip_summed === CHECKSUM_PARTIAL) {
      if (!copy_from_iter_full(to.subarray(to_off, to_off + len), len, msg.msg_iter)) return -EFAULT
    } else {
      const csum: ref<number> = { v: 0 }
      if (!csum_and_copy_from_iter_full(to.subarray(to_off, to_off + len), len, csum, msg.msg_iter)) return -EFAULT
      skb.csum = csum_block_add(skb.csum, csum.v, odd)
    }
    return 0
  },
)

/** adds `length` bytes to the datagram in `queue`, each buffer of which will be one fragment */
const __ip_append_data = kfunc(
  '__ip_append_data',
  (
    sk: sock,
    fl4: flowi4,
    queue: sk_buff_head,
    cork: inet_cork,
    pfrag: page_frag,
    getfrag: getfrag_t,
    from: unknown,
    total: number,
    first_hdrlen: number,
    msg_flags: number,
  ): number => {
    const get = getfrag as unknown as getfrag_any
    const inet = inet_sk(sk)
    const { opt } = cork
    const rt = dst_rtable(cork.dst as dst_entry)
    const dev = rt.dev as net_device
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
    let exthdrlen = skb === null ? rt.header_len : 0
    const mtu = cork.gso_size ? IP_MAX_MTU : cork.fragsize
    let paged = cork.gso_size !== 0
    const hh_len = LL_RESERVED_SPACE(dev)
    const fragheaderlen = SIZEOF_IPHDR + (opt ? opt.optlen : 0)
    const maxfraglen = ((mtu - fragheaderlen) & ~7) + fragheaderlen
    const maxnonfragsize = ip_sk_ignore_df(sk) ? IP_MAX_MTU : mtu

    if (cork.length + length > maxnonfragsize - fragheaderlen) {
      ip_local_error(sk, EMSGSIZE, fl4.daddr, inet.inet_dport, mtu - (opt ? opt.optlen : 0))
      return -EMSGSIZE
    }

    // the checksum can be the device's only if nothing will be appended or cut off later
    if (
      transhdrlen &&
      length + fragheaderlen <= mtu &&
      dev.features & NO_CSUM_FEATURES &&
      (!(flags & MSG_MORE) || cork.gso_size) &&
      (!exthdrlen || dev.features & F_ESP_TX_CSUM)
    )
      csummode = CHECKSUM_PARTIAL

    const sg = (dev.features & F_SG) !== 0n
    if (flags & MSG_ZEROCOPY && length) {
      const msg = from as msghdr
      if ((getfrag as unknown) === ip_generic_getfrag && msg.msg_ubuf !== null) {
        if (skb !== null && skb_zcopy(skb) && msg.msg_ubuf !== skb_zcopy(skb)) return -EINVAL
        if (sg && csummode === CHECKSUM_PARTIAL) {
          paged = true
          zc = true
          uarg = msg.msg_ubuf
        }
      } else if (sock_flag(sk, SOCK_ZEROCOPY)) {
        const old = skb === null ? null : skb_zcopy(skb)
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
      decide('__ip_append_data', csummode === CHECKSUM_PARTIAL ? 'checksum left to the device' : 'checksum in software', {
        length,
        mtu,
        more: (flags & MSG_MORE) !== 0,
        paged,
      })

    cork.length += length
    const hold_tskey = (cork.tx_flags & SKBTX_ANY_TSTAMP) !== 0 && (sk.sk_tsflags & SOF_TIMESTAMPING_OPT_ID) !== 0
    let tskey = hold_tskey ? sk.sk_tskey++ : 0

    let fresh = skb === null
    while (fresh || length > 0) {
      let copy = 0
      if (!fresh && skb !== null) {
        copy = mtu - skb.len
        if (copy < length) copy = maxfraglen - skb.len
      }
      if (fresh || copy <= 0 || skb === null) {
        const skb_prev: sk_buff | null = fresh ? null : skb
        fresh = false
        const fraggap = skb_prev !== null ? skb_prev.len - maxfraglen : 0
        let datalen = length + fraggap
        if (datalen > mtu - fragheaderlen) datalen = maxfraglen - fragheaderlen
        const fraglen = datalen + fragheaderlen
        let pagedlen = 0
        let alloc_extra = hh_len + 15 + exthdrlen
        // the last fragment may need room at its end
        if (datalen === length + fraggap) alloc_extra += rt.trailer_len
        let alloclen: number
        if (flags & MSG_MORE && !sg) alloclen = mtu
        else if (!paged && (fraglen + alloc_extra < SKB_MAX_ALLOC || !sg)) alloclen = fraglen
        else {
          alloclen = fragheaderlen + transhdrlen + fraggap
          pagedlen = datalen - transhdrlen - fraggap
        }
        alloclen += alloc_extra

        if (transhdrlen) skb = sock_alloc_send_skb(sk, alloclen, flags & MSG_DONTWAIT, err)
        else {
          skb = null
          if (sk.sk_wmem_alloc + wmem_alloc_delta <= 2 * sk.sk_sndbuf) skb = alloc_skb(alloclen, sk.sk_allocation)
          if (skb === null) err.v = -ENOBUFS
        }
        if (skb === null) return append_failed(sk, cork, uarg, extra_uref, length, wmem_alloc_delta, hold_tskey, err.v)

        skb.ip_summed = csummode
        skb.csum = 0
        skb_reserve(skb, hh_len)
        let data = skb_put(skb, fraglen + exthdrlen - pagedlen)
        skb_set_network_header(skb, exthdrlen)
        skb.transport_header = skb.network_header + fragheaderlen
        data += fragheaderlen + exthdrlen
        if (fraggap && skb_prev !== null) {
          // what lies beyond a multiple of 8 moves on to the new fragment
          skb.csum = skb_copy_and_csum_bits(skb_prev, maxfraglen, skb.head.bytes, data + transhdrlen, fraggap)
          skb_prev.csum = csum_sub(skb_prev.csum, skb.csum)
          data += fraggap
          pskb_trim_unique(skb_prev, maxfraglen)
        }
        copy = datalen - transhdrlen - fraggap - pagedlen
        if (tracer.on) traceIndirect('getfrag', nameOf(getfrag))
        if (copy > 0 && get(from, skb.head.bytes, offset, copy, fraggap, skb, data + transhdrlen) < 0) {
          kfree_skb(skb)
          return append_failed(sk, cork, uarg, extra_uref, length, wmem_alloc_delta, hold_tskey, -EFAULT)
        } else if (flags & MSG_SPLICE_PAGES) copy = 0
        offset += copy
        length -= copy + transhdrlen
        transhdrlen = 0
        exthdrlen = 0
        csummode = CHECKSUM_NONE
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
          return append_failed(sk, cork, uarg, extra_uref, length, wmem_alloc_delta, hold_tskey, -EFAULT)
        }
      } else if (flags & MSG_SPLICE_PAGES) {
        const msg = from as msghdr
        const done = copy > msg.msg_iter.count ? -EIO : skb_splice_from_iter(skb, msg.msg_iter, copy, sk.sk_allocation)
        if (done < 0) return append_failed(sk, cork, uarg, extra_uref, length, wmem_alloc_delta, hold_tskey, done)
        copy = done
        if (!(flags & MSG_NO_SHARED_FRAGS)) skb_shinfo(skb).flags |= SKBFL_SHARED_FRAG
        wmem_alloc_delta += copy
      } else if (!zc) {
        const shinfo = skb_shinfo(skb)
        let i = shinfo.frags.length
        if (!sk_page_frag_refill(sk, pfrag) || pfrag.page === null)
          return append_failed(sk, cork, uarg, extra_uref, length, wmem_alloc_delta, hold_tskey, -ENOMEM)
        skb_zcopy_downgrade_managed(skb)
        if (!skb_can_coalesce(skb, i, pfrag.page, pfrag.offset)) {
          if (i === MAX_SKB_FRAGS)
            return append_failed(sk, cork, uarg, extra_uref, length, wmem_alloc_delta, hold_tskey, -EMSGSIZE)
          __skb_fill_page_desc(skb, i, pfrag.page, pfrag.offset, 0)
          i++
          get_page(pfrag.page)
        }
        copy = Math.min(copy, pfrag.size - pfrag.offset)
        if (tracer.on) traceIndirect('getfrag', nameOf(getfrag))
        if (get(from, pfrag.page.bytes, offset, copy, skb.len, skb, pfrag.offset) < 0)
          return append_failed(sk, cork, uarg, extra_uref, length, wmem_alloc_delta, hold_tskey, -EFAULT)
        pfrag.offset += copy
        const last = shinfo.frags[i - 1]
        if (last !== undefined) last.len += copy
        skb_len_add(skb, copy)
        wmem_alloc_delta += copy
      } else {
        const r = skb_zerocopy_iter_dgram(skb, from as msghdr, copy)
        if (r < 0) return append_failed(sk, cork, uarg, extra_uref, length, wmem_alloc_delta, hold_tskey, r)
      }
      offset += copy
      length -= copy
    }
    sk.sk_wmem_alloc += wmem_alloc_delta
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
  sock_net(sk).mib.ip.OutDiscards++
  sk.sk_wmem_alloc += wmem_alloc_delta
  if (hold_tskey) sk.sk_tskey--
  return err
}

const ip_setup_cork = kfunc('ip_setup_cork', (sk: sock, cork: inet_cork, ipc: ipcm_cookie, rtp: ref<rtable | null>): number => {
  const rt = rtp.v
  if (rt === null) return -EFAULT
  cork.fragsize = ip_sk_use_pmtu(sk) ? dst4_mtu(rt) : (rt.dev as net_device).mtu
  if (!inetdev_valid_mtu(cork.fragsize)) return -ENETUNREACH
  const { opt } = ipc
  if (opt !== null) {
    if (cork.opt === null) {
      cork.opt = new ip_options()
      kmalloc(64, sk.sk_allocation)
    }
    cork.opt.assign(opt)
    cork.opt.__data = opt.__data.slice()
    cork.flags |= IPCORK_OPT
    cork.addr = ipc.addr
  }
  cork.gso_size = ipc.gso_size
  cork.dst = rt
  // the route is the cork's now, the caller must not release it
  rtp.v = null
  cork.length = 0
  cork.ttl = ipc.ttl
  cork.tos = ipc.tos
  cork.mark = ipc.sockc.mark
  cork.priority = ipc.priority
  cork.transmit_time = ipc.sockc.transmit_time
  const tx_flags: ref<number> = { v: 0 }
  sock_tx_timestamp(sk, ipc.sockc.tsflags, tx_flags)
  cork.tx_flags = tx_flags.v
  return 0
})

/** adds to the datagram that waits on the socket, or begins one */
export const ip_append_data = kfunc(
  'ip_append_data',
  (
    sk: sock,
    fl4: flowi4,
    getfrag: getfrag_t,
    from: unknown,
    length: number,
    transhdrlen: number,
    ipc: ipcm_cookie,
    rtp: ref<rtable | null>,
    flags: number,
  ): number => {
    const inet = inet_sk(sk)
    let hdrlen = transhdrlen
    if (flags & MSG_PROBE) return 0
    if (skb_queue_empty(sk.sk_write_queue)) {
      const err = ip_setup_cork(sk, inet.cork.base, ipc, rtp)
      if (err) return err
    } else hdrlen = 0
    return __ip_append_data(sk, fl4, sk.sk_write_queue, inet.cork.base, sk_page_frag(sk), getfrag, from, length, hdrlen, flags)
  },
)

const ip_cork_release = kfunc('ip_cork_release', (cork: inet_cork): void => {
  cork.flags &= ~IPCORK_OPT
  kfree(cork.opt)
  cork.opt = null
  dst_release(cork.dst)
  cork.dst = null
})

/** makes one packet of what was collected; null when nothing was */
export const __ip_make_skb = kfunc(
  '__ip_make_skb',
  (sk: sock, fl4: flowi4, queue: sk_buff_head, cork: inet_cork): sk_buff | null => {
    const inet = inet_sk(sk)
    const n = sock_net(sk)
    const rt = dst_rtable(cork.dst as dst_entry)
    const skb = __skb_dequeue(queue)
    if (skb === null) return null
    if (skb.data < skb.network_header) __skb_pull(skb, skb_network_offset(skb))
    let tail: sk_buff | null = null
    for (let tmp = __skb_dequeue(queue); tmp !== null; tmp = __skb_dequeue(queue)) {
      __skb_pull(tmp, skb_network_header_len(tmp))
      if (tail === null) skb_shinfo(skb).frag_list = tmp
      else tail.next = tmp
      tail = tmp
      skb.len += tmp.len
      skb.data_len += tmp.len
      skb.truesize += tmp.truesize
      tmp.destructor = null
      tmp.sk = null
    }
    skb.ignore_df = ip_sk_ignore_df(sk) ? 1 : 0
    const { pmtudisc } = inet
    let df = 0
    if (pmtudisc === IP_PMTUDISC_DO || pmtudisc === IP_PMTUDISC_PROBE || (skb.len <= dst4_mtu(rt) && ip_dont_fragment(sk, rt)))
      df = IP_DF
    const opt = cork.flags & IPCORK_OPT ? cork.opt : null
    const ttl = cork.ttl !== 0 ? cork.ttl : rt.rt_type === RTN_MULTICAST ? inet.mc_ttl : ip_select_ttl(inet, rt)
    const iph = ip_hdr(skb)
    iph.set_version_ihl_tos(4, 5, cork.tos !== -1 ? cork.tos : inet.tos)
    iph.frag_off = df
    iph.ttl = ttl
    iph.protocol = sk.sk_protocol
    ip_copy_addrs(iph, fl4)
    ip_select_ident(n, skb, sk)
    if (opt !== null) {
      iph.ihl += opt.optlen >> 2
      ip_options_build(skb, opt, cork.addr, rt)
    }
    skb.priority = cork.tos !== -1 ? cork.priority : sk.sk_priority
    skb.mark = cork.mark
    if (sk_is_tcp(sk)) skb_set_delivery_time(skb, cork.transmit_time, 1)
    else skb_set_delivery_type_by_clockid(skb, cork.transmit_time, sk.sk_clockid)
    // the cork's reference to the route becomes the packet's
    cork.dst = null
    skb_dst_set(skb, rt)
    if (iph.protocol === IPPROTO_ICMP) {
      const type = sk.sk_type === SOCK_RAW && !(fl4.flowi4_flags & FLOWI_FLAG_KNOWN_NH) ? fl4.fl4_icmp_type : icmp_hdr(skb).type
      icmp_out_count(n, type)
    }
    ip_cork_release(cork)
    return skb
  },
)

export const ip_finish_skb = kfunc('ip_finish_skb', (sk: sock, fl4: flowi4): sk_buff | null =>
  __ip_make_skb(sk, fl4, sk.sk_write_queue, inet_sk(sk).cork.base),
)

export const ip_send_skb = kfunc('ip_send_skb', (n: net, skb: sk_buff): number => {
  let err = ip_local_out(n, skb.sk, skb)
  if (err) {
    if (err > 0) err = net_xmit_errno(err)
    if (err) n.mib.ip.OutDiscards++
  }
  return err
})

export const ip_push_pending_frames = kfunc('ip_push_pending_frames', (sk: sock, fl4: flowi4): number => {
  const skb = ip_finish_skb(sk, fl4)
  return skb === null ? 0 : ip_send_skb(sock_net(sk), skb)
})

const __ip_flush_pending_frames = kfunc('__ip_flush_pending_frames', (sk: sock, queue: sk_buff_head, cork: inet_cork): void => {
  for (let skb = queue.last; skb !== null; skb = queue.last) {
    __skb_unlink(skb, queue)
    kfree_skb(skb)
  }
  ip_cork_release(cork)
})

export const ip_flush_pending_frames = kfunc('ip_flush_pending_frames', (sk: sock): void => {
  __ip_flush_pending_frames(sk, sk.sk_write_queue, inet_sk(sk).cork.base)
})

/** a whole datagram at once, without a queue on the socket; null with MSG_PROBE */
export const ip_make_skb = kfunc(
  'ip_make_skb',
  (
    sk: sock,
    fl4: flowi4,
    getfrag: getfrag_t,
    from: unknown,
    length: number,
    transhdrlen: number,
    ipc: ipcm_cookie,
    rtp: ref<rtable | null>,
    cork: inet_cork,
    flags: number,
  ): sk_buff | number | null => {
    if (flags & MSG_PROBE) return null
    const queue = new sk_buff_head()
    cork.flags = 0
    cork.addr = 0
    cork.opt = null
    let err = ip_setup_cork(sk, cork, ipc, rtp)
    if (err) return err
    err = __ip_append_data(sk, fl4, queue, cork, current.task_frag, getfrag, from, length, transhdrlen, flags)
    if (err) {
      __ip_flush_pending_frames(sk, queue, cork)
      return err
    }
    return __ip_make_skb(sk, fl4, queue, cork)
  },
)

const ip_reply_glue_bits = kfunc(
  'ip_reply_glue_bits',
  (dptr: Uint8Array, to: Uint8Array, offset: number, len: number, odd: number, skb: sk_buff, to_off: number): number => {
    const csum = csum_partial_copy_nocheck(dptr, offset, to, to_off, len)
    skb.csum = csum_block_add(skb.csum, csum, odd)
    return 0
  },
)

/** answers a packet without its socket: TCP's resets and acknowledgements of connections that are no more */
export const ip_send_unicast_reply = kfunc(
  'ip_send_unicast_reply',
  (
    sk: sock,
    skb: sk_buff,
    sopt: ip_options,
    to: number,
    saddr: number,
    arg: ip_reply_arg,
    len: number,
    transmit_time: number,
    txhash: number,
  ): void => {
    const n = sock_net(sk)
    const replyopts = new ip_options()
    let daddr = to
    if (__ip_options_echo(n, replyopts, skb, sopt)) return
    const ipc = new ipcm_cookie()
    ipc.addr = daddr
    ipc.sockc.transmit_time = transmit_time
    if (replyopts.optlen) {
      ipc.opt = replyopts
      if (replyopts.srr) daddr = replyopts.faddr
    }
    let oif = arg.bound_dev_if
    if (!oif && netif_index_is_l3_master(n, skb.skb_iif)) oif = skb.skb_iif
    const fl4 = new flowi4()
    const b = skb.head.bytes
    const th = skb.transport_header
    flowi4_init_output(
      fl4,
      oif,
      (n.ipv4.sysctl_fwmark_reflect ? skb.mark : 0) || sk.sk_mark,
      arg.tos & INET_DSCP_MASK,
      RT_SCOPE_UNIVERSE,
      ip_hdr(skb).protocol,
      arg.flags & IP_REPLY_ARG_NOSRCCHECK ? FLOWI_FLAG_ANYSRC : 0,
      daddr,
      saddr,
      ((b[th] ?? 0) << 8) | (b[th + 1] ?? 0),
      ((b[th + 2] ?? 0) << 8) | (b[th + 3] ?? 0),
      arg.uid,
    )
    security_skb_classify_flow(skb, flowi4_to_flowi_common(fl4))
    const route = ip_route_output_flow(n, fl4, sk)
    if (IS_ERR(route)) return
    const rt: ref<rtable | null> = { v: route }
    const inet = inet_sk(sk)
    inet.tos = arg.tos & ~INET_ECN_MASK & 0xff
    sk.sk_protocol = ip_hdr(skb).protocol
    sk.sk_bound_dev_if = arg.bound_dev_if
    sk.sk_sndbuf = sysctl_wmem_default
    ipc.sockc.mark = fl4.flowi4_mark
    const err = ip_append_data(sk, fl4, ip_reply_glue_bits as unknown as getfrag_t, arg.iov, len, 0, ipc, rt, MSG_DONTWAIT)
    if (err) ip_flush_pending_frames(sk)
    else {
      const nskb = skb_peek(sk.sk_write_queue)
      if (nskb !== null) {
        if (arg.csumoffset >= 0)
          put_be16(nskb.head.bytes, nskb.transport_header + 2 * arg.csumoffset, csum_fold(csum_add(nskb.csum, arg.csum)))
        nskb.ip_summed = CHECKSUM_NONE
        if (transmit_time) nskb.tstamp_type = 1
        if (txhash) skb_set_hash(nskb, txhash, PKT_HASH_TYPE_L4)
        ip_push_pending_frames(sk, fl4)
      }
    }
    ip_rt_put(rt.v)
  },
)

export const ip_init = kfunc('ip_init', (): void => {
  ip_rt_init()
  inet_initpeers()
  igmp_mc_init()
})

export type { neighbour }
