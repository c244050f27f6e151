import { kfunc } from '../../../trace/kfunc.ts'
import { decide, tracer } from '../../../trace/tracer.ts'
import {
  ETH_P_IPV6,
  HZ,
  IFF_LOOPBACK,
  IFF_NOARP,
  IFF_POINTOPOINT,
  NEIGH_ND_TABLE,
  NEIGH_VAR_ANYCAST_DELAY,
  NEIGH_VAR_APP_PROBES,
  NEIGH_VAR_BASE_REACHABLE_TIME,
  NEIGH_VAR_DELAY_PROBE_TIME,
  NEIGH_VAR_GC_STALETIME,
  NEIGH_VAR_INTERVAL_PROBE_TIME_MS,
  NEIGH_VAR_MCAST_PROBES,
  NEIGH_VAR_PROXY_DELAY,
  NEIGH_VAR_PROXY_QLEN,
  NEIGH_VAR_QUEUE_LEN_BYTES,
  NEIGH_VAR_RETRANS_TIME,
  NEIGH_VAR_UCAST_PROBES,
  NETDEV_CHANGE,
  NETDEV_CHANGEADDR,
  NETDEV_DOWN,
  NF_INET_LOCAL_OUT,
  NFPROTO_IPV6,
  NUD_FAILED,
  NUD_NOARP,
  NUD_REACHABLE,
  NUD_STALE,
  NUD_VALID,
  PACKET_LOOPBACK,
  RTN_LOCAL,
  RTN_MULTICAST,
  RTN_UNICAST,
  SK_WMEM_MAX,
  SKB_CONSUMED,
  SKB_DROP_REASON_IPV6_NDISC_BAD_CODE,
  SKB_DROP_REASON_IPV6_NDISC_HOP_LIMIT,
  SKB_DROP_REASON_IPV6_NDISC_NS_OTHERHOST,
  SKB_DROP_REASON_NEIGH_FAILED,
  SKB_DROP_REASON_NOT_SPECIFIED,
  SKB_DROP_REASON_PKT_TOO_SMALL,
  SOCK_RAW,
} from '../../include/generated/enums.ts'
import { EINVAL } from '../../include/linux/errno.ts'
import {
  icmp6_hdr,
  icmp6hdr,
  NDISC_NEIGHBOUR_ADVERTISEMENT,
  NDISC_NEIGHBOUR_SOLICITATION,
  NDISC_ROUTER_SOLICITATION,
  SIZEOF_ICMP6HDR,
} from '../../include/linux/icmpv6.ts'
import {
  addrconf_addr_solict_mult,
  IPPROTO_ICMPV6,
  type in6_addr,
  in6addr_linklocal_allnodes,
  ipv6_addr_any,
  ipv6_addr_is_multicast,
  ipv6_addr_is_solict_mult,
  s6_addr32,
} from '../../include/linux/in6.ts'
import { inet6_sk, ipv6_hdr, SIZEOF_IPV6HDR } from '../../include/linux/ipv6.ts'
import { LL_RESERVED_SPACE, type net_device } from '../../include/linux/netdevice.ts'
import { type sk_buff, skb_dst, skb_reset_network_header, skb_reset_transport_header } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import { AF_INET6, PF_INET6 } from '../../include/linux/socket.ts'
import { IS_ERR, type ref } from '../../include/linux/types.ts'
import { __in6_dev_get } from '../../include/net/addrconf.ts'
import { flowi6 } from '../../include/net/flow.ts'
import { IFA_F_OPTIMISTIC, IFA_F_TENTATIVE } from '../../include/net/if_inet6.ts'
import { INET_FLAGS_MC6_LOOP, inet_clear_bit } from '../../include/net/inet_sock.ts'
import {
  NEIGH_UPDATE_F_ISROUTER,
  NEIGH_UPDATE_F_OVERRIDE,
  NEIGH_UPDATE_F_OVERRIDE_ISROUTER,
  NEIGH_UPDATE_F_WEAK_OVERRIDE,
  NEIGH_VAR,
  type neigh_key,
  neigh_key_eq128,
  type neigh_ops,
  type neigh_table,
  neigh_table_defaults,
  type neighbour,
} from '../../include/net/neighbour.ts'
import { ICMP6_INC_STATS, IP6_INC_STATS, net_ipv6 } from '../../include/net/netns_ipv6.ts'
import type { sock } from '../../include/net/sock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { csum_ipv6_magic, csum_partial } from '../../lib/checksum.ts'
import { netdev_notifier_info_to_dev, netif_carrier_ok, type notifier_block, register_netdevice_notifier } from '../core/dev.ts'
import { dst_link_failure, dst_output, skb_dst_set } from '../core/dst.ts'
import {
  ___neigh_lookup_noref,
  __neigh_lookup,
  __neigh_parms_put,
  neigh_app_ns,
  neigh_carrier_down,
  neigh_changeaddr,
  neigh_confirm,
  neigh_connected_output,
  neigh_direct_output,
  neigh_ifdown,
  neigh_lookup,
  neigh_parms_clone,
  neigh_release,
  neigh_resolve_output,
  neigh_table_init,
  neigh_update,
} from '../core/neighbour.ts'
import { init_net } from '../core/net_namespace.ts'
import { __skb_push, alloc_skb, kfree_skb, kfree_skb_reason, skb_push, skb_put, skb_reserve } from '../core/skbuff.ts'
import { skb_set_owner_w } from '../core/sock.ts'
import { inet_ctl_sock_create } from '../ipv4/af_inet.ts'
import { NF_HOOK } from '../netfilter/core.ts'
import {
  addrconf_dad_failure,
  in6_dev_get,
  in6_dev_put,
  in6_ifa_put,
  ipv6_chk_addr_and_flags,
  ipv6_dev_get_saddr,
  ipv6_get_ifaddr,
  ipv6_get_lladdr,
} from './addrconf.ts'
import { ipv6_chk_acast_addr } from './anycast.ts'
import { icmpv6_flow_init } from './icmp.ts'
import { ndisc_mc_map } from './mcast.ts'
import { icmp6_dst_alloc } from './route.ts'

const SIZEOF_ND_MSG = 24
const ND_OPT_SOURCE_LL_ADDR = 1
const ND_OPT_TARGET_LL_ADDR = 2
const ND_OPT_NONCE = 14
const NDISC_NA_SOLICITED = 0x40000000
const NDISC_NA_OVERRIDE = 0x20000000
const NDISC_NA_ROUTER = 0x80000000

export let nd_tbl: neigh_table
let ndisc_generic_ops: neigh_ops
let ndisc_hh_ops: neigh_ops
let ndisc_direct_ops: neigh_ops
let ndisc_sk: sock

// include/net/ndisc.h

const ndisc_hashfn = kfunc('ndisc_hashfn', (pkey: neigh_key, dev: net_device, hash_rnd: number[]): number => {
  const k = pkey as in6_addr
  const mul = (i: number): number => Math.imul(s6_addr32(k, i), hash_rnd[i] ?? 1)
  return (mul(0) + mul(1) + mul(2) + mul(3) + Math.imul(dev.ifindex, 0x9e3779b9)) >>> 0
})

export const __ipv6_neigh_lookup_noref = kfunc('__ipv6_neigh_lookup_noref', (dev: net_device, pkey: in6_addr): neighbour | null =>
  ___neigh_lookup_noref(nd_tbl, neigh_key_eq128, ndisc_hashfn, pkey, dev),
)

export const __ipv6_neigh_lookup = kfunc('__ipv6_neigh_lookup', (dev: net_device, pkey: in6_addr): neighbour | null => {
  rcu_read_lock()
  const n = __ipv6_neigh_lookup_noref(dev, pkey)
  if (n !== null) n.refcnt++
  rcu_read_unlock()
  return n
})

export const __ipv6_confirm_neigh = kfunc('__ipv6_confirm_neigh', (dev: net_device, pkey: in6_addr): void => {
  rcu_read_lock()
  neigh_confirm(__ipv6_neigh_lookup_noref(dev, pkey))
  rcu_read_unlock()
})

// net/ipv6/ndisc.c

const ndisc_hash = kfunc('ndisc_hash', (pkey: neigh_key, dev: net_device, hash_rnd: number[]): number =>
  ndisc_hashfn(pkey, dev, hash_rnd),
)
const ndisc_key_eq = kfunc('ndisc_key_eq', (n: neighbour, pkey: neigh_key): boolean => neigh_key_eq128(n, pkey))
const ndisc_is_multicast = kfunc('ndisc_is_multicast', (pkey: neigh_key): number =>
  ipv6_addr_is_multicast(pkey as in6_addr) ? 1 : 0,
)

const ndisc_constructor = kfunc('ndisc_constructor', (neigh: neighbour): number => {
  const { dev } = neigh
  const addr = neigh.primary_key as in6_addr
  const mcast = ipv6_addr_is_multicast(addr)
  rcu_read_lock()
  const in6_dev = __in6_dev_get(dev)
  if (in6_dev === null) {
    rcu_read_unlock()
    return -EINVAL
  }
  __neigh_parms_put(neigh.parms)
  neigh.parms = neigh_parms_clone(in6_dev.nd_parms)
  rcu_read_unlock()
  neigh.type = mcast ? RTN_MULTICAST : RTN_UNICAST
  if (dev.header_ops === null) {
    neigh.nud_state = NUD_NOARP
    neigh.ops = ndisc_direct_ops
    neigh.output = neigh_direct_output
    return 0
  }
  if (mcast) {
    neigh.nud_state = NUD_NOARP
    ndisc_mc_map(addr, neigh.ha, dev, 1)
  } else if (dev.flags & (IFF_NOARP | IFF_LOOPBACK)) {
    neigh.nud_state = NUD_NOARP
    neigh.ha.set(dev.dev_addr.subarray(0, dev.addr_len))
    if (dev.flags & IFF_LOOPBACK) neigh.type = RTN_LOCAL
  } else if (dev.flags & IFF_POINTOPOINT) {
    neigh.nud_state = NUD_NOARP
    neigh.ha.set(dev.broadcast.subarray(0, dev.addr_len))
  }
  neigh.ops = dev.header_ops.cache ? ndisc_hh_ops : ndisc_generic_ops
  neigh.output = neigh.nud_state & NUD_VALID ? neigh.ops.connected_output : neigh.ops.output
  return 0
})

const ndisc_alloc_skb = kfunc('ndisc_alloc_skb', (dev: net_device, len: number): sk_buff | null => {
  const hlen = LL_RESERVED_SPACE(dev)
  const skb = alloc_skb(hlen + SIZEOF_IPV6HDR + len + dev.needed_tailroom, GFP_ATOMIC)
  if (skb === null) return null
  skb.protocol = ETH_P_IPV6
  skb.dev = dev
  skb_reserve(skb, hlen + SIZEOF_IPV6HDR)
  skb_reset_transport_header(skb)
  rcu_read_lock()
  skb_set_owner_w(skb, ndisc_sk)
  rcu_read_unlock()
  return skb
})

const ip6_nd_hdr = kfunc('ip6_nd_hdr', (skb: sk_buff, saddr: in6_addr, daddr: in6_addr, hop_limit: number, len: number): void => {
  rcu_read_lock()
  const tclass = __in6_dev_get(skb.dev as net_device)?.cnf.ndisc_tclass ?? 0
  rcu_read_unlock()
  skb_push(skb, SIZEOF_IPV6HDR)
  skb_reset_network_header(skb)
  const hdr = ipv6_hdr(skb)
  hdr.flow_hdr(tclass, 0)
  hdr.payload_len = len
  hdr.nexthdr = IPPROTO_ICMPV6
  hdr.hop_limit = hop_limit
  hdr.saddr = saddr
  hdr.daddr = daddr
})

export const ndisc_send_skb = kfunc('ndisc_send_skb', (skb: sk_buff, daddr: in6_addr, saddr: in6_addr): void => {
  const dev = skb.dev as net_device
  const n = dev.nd_net
  const sk = ndisc_sk
  const hdr = icmp6_hdr(skb)
  const type = hdr.icmp6_type
  rcu_read_lock()
  let dst = skb_dst(skb)
  if (dst === null) {
    const fl6 = new flowi6()
    icmpv6_flow_init(sk, fl6, type, saddr, daddr, dev.ifindex)
    const found = icmp6_dst_alloc(dev, fl6)
    if (IS_ERR(found)) {
      rcu_read_unlock()
      kfree_skb(skb)
      return
    }
    dst = found
    skb_dst_set(skb, dst)
  }
  hdr.icmp6_cksum = 0
  hdr.icmp6_cksum = csum_ipv6_magic(saddr, daddr, skb.len, IPPROTO_ICMPV6, csum_partial(hdr.bytes, hdr.at, skb.len, 0))
  ip6_nd_hdr(skb, saddr, daddr, inet6_sk(sk).hop_limit, skb.len)
  IP6_INC_STATS(n, 'OutRequests')
  const err = NF_HOOK(NFPROTO_IPV6, NF_INET_LOCAL_OUT, n, sk, skb, null, dst.dev, dst_output)
  if (!err) {
    ICMP6_INC_STATS(n, `OutType${type}`)
    ICMP6_INC_STATS(n, 'OutMsgs')
  }
  rcu_read_unlock()
})

const opt_addr_space = (dev: net_device): number => (2 + dev.addr_len + 7) & ~7

/** an option that holds a link address */
const __ndisc_fill_addr_option = kfunc(
  '__ndisc_fill_addr_option',
  (skb: sk_buff, type: number, data: Uint8Array, data_len: number, pad: number): void => {
    const space = (2 + pad + data_len + 7) & ~7
    const opt = skb_put(skb, space)
    const b = skb.head.bytes
    b.fill(0, opt, opt + space)
    b[opt] = type
    b[opt + 1] = space >> 3
    b.set(data.subarray(0, data_len), opt + 2 + pad)
  },
)
const ndisc_fill_addr_option = kfunc(
  'ndisc_fill_addr_option',
  (skb: sk_buff, type: number, data: Uint8Array, _icmp6_type: number): void =>
    __ndisc_fill_addr_option(skb, type, data, (skb.dev as net_device).addr_len, 0),
)

/** a solicitation or an advertisement, with this card's link address as its option */
function nd_msg(
  dev: net_device,
  type: number,
  target: in6_addr,
  flags: number,
  opt: number,
  nonce: Uint8Array | null,
): sk_buff | null {
  const inc_opt = opt !== 0 && dev.addr_len > 0
  const skb = ndisc_alloc_skb(dev, SIZEOF_ND_MSG + (inc_opt ? opt_addr_space(dev) : 0) + (nonce === null ? 0 : 8))
  if (skb === null) return null
  const at = skb_put(skb, SIZEOF_ND_MSG)
  const b = skb.head.bytes
  b.fill(0, at, at + SIZEOF_ND_MSG)
  const hdr = new icmp6hdr(b, at)
  hdr.icmp6_type = type
  hdr.data32 = flags
  b.set(target, at + 8)
  if (inc_opt) ndisc_fill_addr_option(skb, opt, dev.dev_addr, type)
  if (nonce !== null) {
    const last = skb_put(skb, 8)
    b[last] = ND_OPT_NONCE
    b[last + 1] = 1
    b.set(nonce, last + 2)
  }
  return skb
}

export const ndisc_send_na = kfunc(
  'ndisc_send_na',
  (
    dev: net_device,
    daddr: in6_addr,
    solicited_addr: in6_addr,
    router: boolean,
    solicited: boolean,
    override: boolean,
    inc_opt: boolean,
  ): void => {
    const src = new Uint8Array(16)
    const ifp = ipv6_get_ifaddr(dev.nd_net, solicited_addr, dev, 1)
    if (ifp !== null) {
      src.set(solicited_addr)
      in6_ifa_put(ifp)
    } else if (ipv6_dev_get_saddr(dev.nd_net, dev, daddr, 0, src)) return
    const flags = (router ? NDISC_NA_ROUTER : 0) | (solicited ? NDISC_NA_SOLICITED : 0) | (override ? NDISC_NA_OVERRIDE : 0)
    const skb = nd_msg(dev, NDISC_NEIGHBOUR_ADVERTISEMENT, solicited_addr, flags >>> 0, inc_opt ? ND_OPT_TARGET_LL_ADDR : 0, null)
    if (skb !== null) ndisc_send_skb(skb, daddr, src)
  },
)

const ndisc_ns_create = kfunc(
  'ndisc_ns_create',
  (dev: net_device, solicit: in6_addr, saddr: in6_addr, nonce: Uint8Array | null): sk_buff | null =>
    nd_msg(dev, NDISC_NEIGHBOUR_SOLICITATION, solicit, 0, ipv6_addr_any(saddr) ? 0 : ND_OPT_SOURCE_LL_ADDR, nonce),
)

export const ndisc_send_ns = kfunc(
  'ndisc_send_ns',
  (dev: net_device, solicit: in6_addr, daddr: in6_addr, saddr: in6_addr | null, nonce: Uint8Array | null): void => {
    let src = saddr
    if (src === null) {
      src = new Uint8Array(16)
      if (ipv6_get_lladdr(dev, src, IFA_F_TENTATIVE | IFA_F_OPTIMISTIC)) return
    }
    const skb = ndisc_ns_create(dev, solicit, src, nonce)
    if (skb !== null) ndisc_send_skb(skb, daddr, src)
  },
)

/** asks for routers. `saddr`: ours on the link, or ::, when it is not known to be ours alone yet */
export const ndisc_send_rs = kfunc('ndisc_send_rs', (dev: net_device, saddr: in6_addr, daddr: in6_addr): void => {
  const send_sllao = dev.addr_len > 0 && !ipv6_addr_any(saddr)
  const skb = ndisc_alloc_skb(dev, SIZEOF_ICMP6HDR + (send_sllao ? opt_addr_space(dev) : 0))
  if (skb === null) return
  const at = skb_put(skb, SIZEOF_ICMP6HDR)
  const b = skb.head.bytes
  b.fill(0, at, at + SIZEOF_ICMP6HDR)
  new icmp6hdr(b, at).icmp6_type = NDISC_ROUTER_SOLICITATION
  if (send_sllao) ndisc_fill_addr_option(skb, ND_OPT_SOURCE_LL_ADDR, dev.dev_addr, NDISC_ROUTER_SOLICITATION)
  ndisc_send_skb(skb, daddr, saddr)
})

const ndisc_error_report = kfunc('ndisc_error_report', (_neigh: neighbour, skb: sk_buff): void => {
  dst_link_failure(skb)
  kfree_skb_reason(skb, SKB_DROP_REASON_NEIGH_FAILED)
})

/** asks who has the address of `neigh` */
const ndisc_solicit = kfunc('ndisc_solicit', (neigh: neighbour, skb: sk_buff | null): void => {
  const { dev } = neigh
  const target = neigh.primary_key as in6_addr
  let saddr: in6_addr | null = null
  let { probes } = neigh
  if (skb !== null && ipv6_chk_addr_and_flags(dev.nd_net, ipv6_hdr(skb).saddr, dev, false, 1, IFA_F_TENTATIVE | IFA_F_OPTIMISTIC))
    saddr = ipv6_hdr(skb).saddr
  probes -= NEIGH_VAR(neigh.parms, NEIGH_VAR_UCAST_PROBES)
  if (probes < 0) {
    ndisc_send_ns(dev, target, target, saddr, null)
    return
  }
  probes -= NEIGH_VAR(neigh.parms, NEIGH_VAR_APP_PROBES)
  if (probes < 0) {
    neigh_app_ns(neigh)
    return
  }
  const mcaddr = new Uint8Array(16)
  addrconf_addr_solict_mult(target, mcaddr)
  ndisc_send_ns(dev, target, mcaddr, saddr, null)
})

/** what an option behind a message holds, of a link address' length; null when it is not there */
function option_of(skb: sk_buff, want: number): Uint8Array | null {
  const b = skb.head.bytes
  for (let at = skb.transport_header + SIZEOF_ND_MSG; at + 2 <= skb.tail; ) {
    const len = (b[at + 1] as number) * 8
    if (len === 0 || at + len > skb.tail) return null
    if (b[at] === want) return b.subarray(at + 2, at + 2 + (skb.dev as net_device).addr_len)
    at += len
  }
  return null
}

/** the message at the transport header, whole and in one piece */
const nd_target = (skb: sk_buff): in6_addr => skb.head.bytes.subarray(skb.transport_header + 8, skb.transport_header + 24)

const ndisc_recv_ns = kfunc('ndisc_recv_ns', (skb: sk_buff): number => {
  const dev = skb.dev as net_device
  const { saddr, daddr } = ipv6_hdr(skb)
  if (skb.tail - skb.transport_header < SIZEOF_ND_MSG) return SKB_DROP_REASON_PKT_TOO_SMALL
  const target = nd_target(skb)
  if (ipv6_addr_is_multicast(target)) return SKB_DROP_REASON_NOT_SPECIFIED
  const lladdr = option_of(skb, ND_OPT_SOURCE_LL_ADDR)
  const dad = ipv6_addr_any(saddr)
  // who asks whether an address is free asks all that may have it, and has none himself
  if (dad && (!ipv6_addr_is_solict_mult(daddr) || lladdr !== null)) return SKB_DROP_REASON_NOT_SPECIFIED
  const nonce = option_of(skb, ND_OPT_NONCE)
  const inc = ipv6_addr_is_multicast(daddr)
  const ifp = ipv6_get_ifaddr(dev.nd_net, target, dev, 1)
  if (ifp === null) {
    const idev = in6_dev_get(dev)
    if (idev === null) return SKB_DROP_REASON_NOT_SPECIFIED
    ipv6_chk_acast_addr(dev.nd_net, dev, target)
    in6_dev_put(idev)
    return SKB_DROP_REASON_IPV6_NDISC_NS_OTHERHOST
  }
  if (ifp.flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC)) {
    if (dad) {
      const own = nonce !== null && ifp.dad_nonce !== null && nonce.every((v, i) => v === ifp.dad_nonce?.[i])
      if (own) in6_ifa_put(ifp)
      else addrconf_dad_failure(skb, ifp)
      return SKB_DROP_REASON_NOT_SPECIFIED
    }
    if (!(ifp.flags & IFA_F_OPTIMISTIC)) {
      in6_ifa_put(ifp)
      return SKB_DROP_REASON_NOT_SPECIFIED
    }
  }
  if (tracer.on) decide('ndisc_recv_ns', 'this is ours: answered', {})
  const router = ifp.idev.cnf.forwarding !== 0
  let reason: number = SKB_DROP_REASON_NOT_SPECIFIED
  if (dad) {
    ndisc_send_na(dev, in6addr_linklocal_allnodes, target, router, false, true, true)
  } else {
    const neigh = __neigh_lookup(nd_tbl, saddr, dev, !inc || lladdr !== null || !dev.addr_len)
    if (neigh !== null) neigh_update(neigh, lladdr, NUD_STALE, NEIGH_UPDATE_F_WEAK_OVERRIDE | NEIGH_UPDATE_F_OVERRIDE, 0)
    if (neigh !== null || dev.header_ops === null) {
      ndisc_send_na(dev, saddr, target, router, true, inc, inc)
      if (neigh !== null) neigh_release(neigh)
      reason = SKB_CONSUMED
    }
  }
  in6_ifa_put(ifp)
  return reason
})

const ndisc_recv_na = kfunc('ndisc_recv_na', (skb: sk_buff): number => {
  const dev = skb.dev as net_device
  if (skb.tail - skb.transport_header < SIZEOF_ND_MSG) return SKB_DROP_REASON_PKT_TOO_SMALL
  const target = nd_target(skb)
  if (ipv6_addr_is_multicast(target)) return SKB_DROP_REASON_NOT_SPECIFIED
  const flags = icmp6_hdr(skb).data32
  const lladdr = option_of(skb, ND_OPT_TARGET_LL_ADDR)
  const ifp = ipv6_get_ifaddr(dev.nd_net, target, dev, 1)
  if (ifp !== null) {
    if (skb.pkt_type !== PACKET_LOOPBACK && ifp.flags & IFA_F_TENTATIVE) addrconf_dad_failure(skb, ifp)
    else in6_ifa_put(ifp)
    return SKB_DROP_REASON_NOT_SPECIFIED
  }
  const neigh = neigh_lookup(nd_tbl, target, dev)
  if (neigh === null) return SKB_DROP_REASON_NOT_SPECIFIED
  let reason: number = SKB_DROP_REASON_NOT_SPECIFIED
  if (!(neigh.nud_state & NUD_FAILED)) {
    const solicited = flags & NDISC_NA_SOLICITED
    neigh_update(
      neigh,
      lladdr,
      solicited ? NUD_REACHABLE : NUD_STALE,
      NEIGH_UPDATE_F_WEAK_OVERRIDE |
        (flags & NDISC_NA_OVERRIDE ? NEIGH_UPDATE_F_OVERRIDE : 0) |
        NEIGH_UPDATE_F_OVERRIDE_ISROUTER |
        (flags & NDISC_NA_ROUTER ? NEIGH_UPDATE_F_ISROUTER : 0),
      0,
    )
    reason = SKB_CONSUMED
  }
  neigh_release(neigh)
  return reason
})

export const ndisc_rcv = kfunc('ndisc_rcv', (skb: sk_buff): number => {
  __skb_push(skb, skb.data - skb.transport_header)
  if (ipv6_hdr(skb).hop_limit !== 255) return SKB_DROP_REASON_IPV6_NDISC_HOP_LIMIT
  const hdr = icmp6_hdr(skb)
  if (hdr.icmp6_code !== 0) return SKB_DROP_REASON_IPV6_NDISC_BAD_CODE
  switch (hdr.icmp6_type) {
    case NDISC_NEIGHBOUR_SOLICITATION:
      return ndisc_recv_ns(skb)
    case NDISC_NEIGHBOUR_ADVERTISEMENT:
      return ndisc_recv_na(skb)
    default:
      return SKB_DROP_REASON_NOT_SPECIFIED
  }
})

/** nothing is answered for others */
const pndisc_redo = kfunc('pndisc_redo', (skb: sk_buff): void => kfree_skb(skb))

const ndisc_netdev_event = kfunc('ndisc_netdev_event', (_nb: notifier_block, event: number, ptr: unknown): number => {
  const dev = netdev_notifier_info_to_dev(ptr)
  if (event === NETDEV_CHANGEADDR) neigh_changeaddr(nd_tbl, dev)
  else if (event === NETDEV_DOWN) neigh_ifdown(nd_tbl, dev)
  else if (event === NETDEV_CHANGE && !netif_carrier_ok(dev)) neigh_carrier_down(nd_tbl, dev)
  return 0
})

export const ndisc_init = kfunc('ndisc_init', (): number => {
  const skp: ref<sock | null> = { v: null }
  const err = inet_ctl_sock_create(skp, PF_INET6, SOCK_RAW, IPPROTO_ICMPV6, init_net)
  if (err < 0 || skp.v === null) return err
  ndisc_sk = skp.v
  net_ipv6(init_net).ndisc_sk = ndisc_sk
  inet6_sk(ndisc_sk).hop_limit = 255
  inet_clear_bit(INET_FLAGS_MC6_LOOP, ndisc_sk)
  const ops = { family: AF_INET6, solicit: ndisc_solicit, error_report: ndisc_error_report, output: neigh_resolve_output }
  ndisc_generic_ops = { ...ops, connected_output: neigh_connected_output }
  ndisc_hh_ops = { ...ops, connected_output: neigh_resolve_output }
  ndisc_direct_ops = {
    family: AF_INET6,
    solicit: null,
    error_report: null,
    output: neigh_direct_output,
    connected_output: neigh_direct_output,
  }
  nd_tbl = {
    ...neigh_table_defaults(),
    family: AF_INET6,
    entry_size: 0,
    key_len: 16,
    protocol: ETH_P_IPV6,
    hash: ndisc_hash,
    key_eq: ndisc_key_eq,
    constructor: ndisc_constructor,
    proxy_redo: pndisc_redo,
    is_multicast: ndisc_is_multicast,
    id: 'ndisc_cache',
    gc_interval: 30 * HZ,
    gc_thresh1: 128,
    gc_thresh2: 512,
    gc_thresh3: 1024,
  }
  const { parms } = nd_tbl
  parms.tbl = nd_tbl
  parms.reachable_time = 30 * HZ
  parms.data[NEIGH_VAR_MCAST_PROBES] = 3
  parms.data[NEIGH_VAR_UCAST_PROBES] = 3
  parms.data[NEIGH_VAR_RETRANS_TIME] = HZ
  parms.data[NEIGH_VAR_BASE_REACHABLE_TIME] = 30 * HZ
  parms.data[NEIGH_VAR_DELAY_PROBE_TIME] = 5 * HZ
  parms.data[NEIGH_VAR_INTERVAL_PROBE_TIME_MS] = 5 * HZ
  parms.data[NEIGH_VAR_GC_STALETIME] = 60 * HZ
  parms.data[NEIGH_VAR_QUEUE_LEN_BYTES] = SK_WMEM_MAX
  parms.data[NEIGH_VAR_PROXY_QLEN] = 64
  parms.data[NEIGH_VAR_ANYCAST_DELAY] = HZ
  parms.data[NEIGH_VAR_PROXY_DELAY] = Math.floor((8 * HZ) / 10)
  neigh_table_init(NEIGH_ND_TABLE, nd_tbl)
  register_netdevice_notifier({ notifier_call: ndisc_netdev_event, priority: -1 })
  return 0
})
