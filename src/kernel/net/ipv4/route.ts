import { kfunc } from '../../../trace/kfunc.ts'
import { decide, tracer } from '../../../trace/tracer.ts'
import { get_random_bytes, get_random_u32_below, get_random_u32_below_const, random_table } from '../../drivers/char/random.ts'
import {
  ETH_P_IP,
  HZ,
  IFF_BRIDGE_PORT,
  IFF_L3MDEV_MASTER,
  IFF_L3MDEV_SLAVE,
  IFF_LOOPBACK,
  IFF_UP,
  IPPROTO_ICMP,
  IPPROTO_IGMP,
  IPPROTO_RAW,
  NUD_VALID,
  RTN_BROADCAST,
  RTN_LOCAL,
  RTN_MULTICAST,
  RTN_UNICAST,
  RTN_UNREACHABLE,
  SKB_DROP_REASON_IP_INADDRERRORS,
  SKB_DROP_REASON_IP_INNOROUTES,
  SKB_DROP_REASON_NOT_SPECIFIED,
  SOCK_LOCALROUTE,
} from '../../include/generated/enums.ts'
import { EACCES, EHOSTUNREACH, EINVAL, ENETUNREACH, ENOBUFS, ENODEV } from '../../include/linux/errno.ts'
import {
  ICMP_DEST_UNREACH,
  ICMP_HOST_UNREACH,
  ICMP_NET_UNREACH,
  ICMP_PKT_FILTERED,
  ICMP_REDIR_HOST,
  ICMP_REDIRECT,
  icmp_hdr,
  icmp_is_err,
} from '../../include/linux/icmp.ts'
import {
  ipv4_is_lbcast,
  ipv4_is_local_multicast,
  ipv4_is_loopback,
  ipv4_is_multicast,
  ipv4_is_zeronet,
} from '../../include/linux/in.ts'
import { RTCF_BROADCAST, RTCF_LOCAL, RTCF_MULTICAST, RTCF_REDIRECTED } from '../../include/linux/in_route.ts'
import {
  __in_dev_get_rcu,
  IN_DEV_ANDCONF,
  IN_DEV_FORWARD,
  IN_DEV_NET_ORCONF,
  IN_DEV_ORCONF,
  IN_DEV_RX_REDIRECTS,
  IN_DEV_TX_REDIRECTS,
  IPV4_DEVCONF_ALL_RO,
  IPV4_DEVCONF_BC_FORWARDING,
  IPV4_DEVCONF_MC_FORWARDING,
  IPV4_DEVCONF_NOPOLICY,
  IPV4_DEVCONF_NOXFRM,
  IPV4_DEVCONF_PROXY_ARP_PVLAN,
  IPV4_DEVCONF_ROUTE_LOCALNET,
  IPV4_DEVCONF_SECURE_REDIRECTS,
  IPV4_DEVCONF_SHARED_MEDIA,
  type in_device,
} from '../../include/linux/inetdevice.ts'
import { get_be32, INET_DSCP_MASK, IPTOS_TOS, ip_hdr, iphdr, put_be32 } from '../../include/linux/ip.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import { RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_UNIVERSE, RTAX_HOPLIMIT } from '../../include/linux/rtnetlink.ts'
import { siphash_key_is_zero, siphash_key_t } from '../../include/linux/siphash.ts'
import { type sk_buff, skb_dst } from '../../include/linux/skbuff.ts'
import { type kmem_cache, SLAB_HWCACHE_ALIGN, SLAB_PANIC } from '../../include/linux/slab.ts'
import { AF_INET } from '../../include/linux/socket.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import { IS_ERR, type ref } from '../../include/linux/types.ts'
import {
  DST_NOXFRM,
  DST_OBSOLETE_FORCE_CHK,
  DST_OBSOLETE_KILL,
  type dst_entry,
  dst_metric_raw,
  type dst_metrics,
  type dst_ops,
} from '../../include/net/dst.ts'
import {
  FLOWI_FLAG_ANYSRC,
  FLOWI_FLAG_KNOWN_NH,
  flowi4,
  flowi4_init_output,
  flowi4_to_flowi,
  flowi4_to_flowi_common,
  flowi4_update_output,
  LOOPBACK_IFINDEX,
} from '../../include/net/flow.ts'
import { INET_FLAGS_HDRINCL, INET_FLAGS_TRANSPARENT, inet_sk, inet_test_bit } from '../../include/net/inet_sock.ts'
import { IPCB, IPSKB_DOREDIRECT, IPSKB_MULTIPATH, IPSKB_NOPOLICY, IPV4_MAX_PMTU, ip_options } from '../../include/net/ip.ts'
import {
  FIB_RES_DEV,
  FIB_RES_OIF,
  FNHE_HASH_SHIFT,
  FNHE_HASH_SIZE,
  FNHE_RECLAIM_DEPTH,
  type fib_info,
  type fib_nh_common,
  type fib_nh_exception,
  fib_result,
} from '../../include/net/ip_fib.ts'
import type { neighbour } from '../../include/net/neighbour.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { dst_rtable, rt_is_input_route, rt_is_output_route, rt_nexthop, rtable, skb_rtable } from '../../include/net/route.ts'
import type { sock } from '../../include/net/sock.ts'
import { spin_lock_bh, spin_unlock_bh } from '../../kernel/locking/spinlock.ts'
import { kfree_rcu, rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { jiffies } from '../../kernel/time/timer.ts'
import { siphash_1u32, siphash_3u32 } from '../../lib/siphash.ts'
import { kmem_cache_create } from '../../mm/slub.ts'
import { security_sk_classify_flow } from '../../security/security.ts'
import { __dev_get_by_index, dev_get_by_index_rcu } from '../core/dev.ts'
import {
  dst_alloc,
  dst_blackhole_check,
  dst_blackhole_cow_metrics,
  dst_blackhole_mtu,
  dst_blackhole_redirect,
  dst_blackhole_update_pmtu,
  dst_check,
  dst_dev_put,
  dst_hold,
  dst_hold_safe,
  dst_release,
  dst_set_expires,
  skb_dst_copy,
  skb_dst_drop,
  skb_dst_force,
  skb_dst_set,
  skb_dst_set_noref,
} from '../core/dst.ts'
import { FLOW_DISSECTOR_F_STOP_AT_ENCAP, flow_keys, skb_flow_dissect_flow_keys } from '../core/flow_dissector.ts'
import { __neigh_create, neigh_create, neigh_event_send, neigh_release } from '../core/neighbour.ts'
import { register_pernet_subsys } from '../core/net_namespace.ts'
import { kfree_skb, kfree_skb_reason, pskb_network_may_pull } from '../core/skbuff.ts'
import {
  bh_lock_sock,
  bh_unlock_sock,
  sk_dst_get,
  sk_dst_reset,
  sk_dst_set,
  sock_flag,
  sock_net,
  sock_net_uid,
  sock_owned_by_user,
} from '../core/sock.ts'
import { l3mdev_master_dev_rcu, l3mdev_master_ifindex_rcu } from '../l3mdev/l3mdev.ts'
import { xfrm_init, xfrm_lookup_route, xfrm4_init } from '../xfrm/xfrm_policy.ts'
import { __ipv4_confirm_neigh, __ipv4_neigh_lookup, __ipv4_neigh_lookup_noref, arp_tbl } from './arp.ts'
import { __ip_dev_find, devinet_init, inet_addr_onlink, inet_select_addr } from './devinet.ts'
import { fib_lookup, fib_validate_source, inet_addr_type, ip_fib_check_default, ip_fib_init } from './fib_frontend.ts'
import {
  fib_info_nhc,
  fib_info_num_path,
  fib_multipath_hash_from_keys,
  fib_result_prefsrc,
  fib_select_multipath,
  fib_select_path,
} from './fib_semantics.ts'
import { __icmp_send, icmp_send } from './icmp.ts'
import { ip_check_mc_rcu } from './igmp.ts'
import { inet_getpeer_v4, type inet_peer_base, new_inet_peer_base } from './inetpeer.ts'
import { ip_forward } from './ip_forward.ts'
import { ip_local_deliver } from './ip_input.ts'
import { __ip_options_compile } from './ip_options.ts'
import {
  __ip_local_out,
  ip_dst_init_metrics,
  ip_dst_metrics_put,
  ip_dst_mtu_configured,
  ip_dst_mtu_maybe_forward,
  ip_mc_output,
  ip_mtu_locked,
  ip_output,
  ip_sk_accept_pmtu,
} from './ip_output.ts'

const RT_GC_TIMEOUT = 300 * HZ
const ip_rt_redirect_number = 9
const ip_rt_redirect_load = Math.floor(HZ / 50)
const ip_rt_redirect_silence = ip_rt_redirect_load << (ip_rt_redirect_number + 1)
const ip_rt_error_cost = HZ
const ip_rt_error_burst = 5 * HZ
const ip_rt_gc_timeout = RT_GC_TIMEOUT
const MAXINT = 0x7fffffff

/** struct rt_cache_stat, of /proc/net/stat/rt_cache */
export let rt_cache_stat = {
  in_slow_tot: 0,
  in_slow_mc: 0,
  in_no_route: 0,
  in_brd: 0,
  in_martian_dst: 0,
  in_martian_src: 0,
  out_slow_tot: 0,
  out_slow_mc: 0,
}
let ipv4_dst_ops: dst_ops
let _ipv4_dst_blackhole_ops: dst_ops
let fnhe_lock: spinlock_t
let rt_uncached_list: { lock: spinlock_t; head: Set<dst_entry> }
let fnhe_hash_key: siphash_key_t

const BESTEFFORT = 0
const BULK = 2
const INTERACTIVE_BULK = 4
const INTERACTIVE = 6
/** the priority of a packet by its type of service */
export const ip_tos2prio: readonly number[] = [
  ...[BESTEFFORT, BESTEFFORT, BESTEFFORT, BESTEFFORT],
  ...[BULK, BULK, BULK, BULK],
  ...[INTERACTIVE, INTERACTIVE, INTERACTIVE, INTERACTIVE],
  ...[INTERACTIVE_BULK, INTERACTIVE_BULK, INTERACTIVE_BULK, INTERACTIVE_BULK],
]
export const rt_tos2priority = (tos: number): number => ip_tos2prio[IPTOS_TOS(tos) >> 1] ?? 0

// include/net/route.h

export const ip_sock_rt_scope = (sk: sock): number => (sock_flag(sk, SOCK_LOCALROUTE) ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE)
export const ip_sock_rt_tos = (sk: sock): number => inet_sk(sk).tos & INET_DSCP_MASK
const inet_sk_flowi_flags = (sk: sock): number =>
  inet_test_bit(INET_FLAGS_TRANSPARENT, sk) || inet_test_bit(INET_FLAGS_HDRINCL, sk) ? FLOWI_FLAG_ANYSRC : 0

export { inet_sk_flowi_flags }

export const ip_rt_put = kfunc('ip_rt_put', (rt: rtable | null): void => dst_release(rt))

/** the device that a packet came in by, as a program may see it */
export const inet_iif = (skb: sk_buff): number => {
  const rt = skb_rtable(skb)
  return rt?.rt_iif ? rt.rt_iif : skb.skb_iif
}

export const ip4_dst_hoplimit = kfunc('ip4_dst_hoplimit', (dst: dst_entry): number => {
  let hoplimit = dst_metric_raw(dst, RTAX_HOPLIMIT)
  if (hoplimit === 0) {
    rcu_read_lock()
    hoplimit = (dst.dev as net_device).nd_net.ipv4.sysctl_ip_default_ttl
    rcu_read_unlock()
  }
  return hoplimit
})

export const ip_neigh_gw4 = kfunc('ip_neigh_gw4', (dev: net_device, daddr: number): neighbour | number => {
  const neigh = __ipv4_neigh_lookup_noref(dev, daddr)
  return neigh === null ? __neigh_create(arp_tbl, daddr, dev, false) : neigh
})

export const ip_neigh_for_gw = kfunc(
  'ip_neigh_for_gw',
  (rt: rtable, skb: sk_buff, _is_v6gw: ref<boolean>): neighbour | number => {
    const dev = rt.dev as net_device
    return rt.rt_gw_family === AF_INET ? ip_neigh_gw4(dev, rt.rt_gw4) : ip_neigh_gw4(dev, ip_hdr(skb).daddr)
  },
)

export const __ip_route_output_key = kfunc('__ip_route_output_key', (n: net, flp: flowi4): rtable | number =>
  ip_route_output_key_hash(n, flp, null),
)
export const ip_route_output_key = kfunc('ip_route_output_key', (n: net, flp: flowi4): rtable | number =>
  ip_route_output_flow(n, flp, null),
)

export const ip_route_output = kfunc(
  'ip_route_output',
  (n: net, daddr: number, saddr: number, tos: number, oif: number, scope: number): rtable | number => {
    const fl4 = new flowi4()
    fl4.flowi4_oif = oif
    fl4.flowi4_tos = tos
    fl4.flowi4_scope = scope
    fl4.daddr = daddr
    fl4.saddr = saddr
    return ip_route_output_key(n, fl4)
  },
)

export const ip_route_output_ports = kfunc(
  'ip_route_output_ports',
  (
    n: net,
    fl4: flowi4,
    sk: sock | null,
    daddr: number,
    saddr: number,
    dport: number,
    sport: number,
    proto: number,
    tos: number,
    oif: number,
  ): rtable | number => {
    flowi4_init_output(
      fl4,
      oif,
      sk !== null ? sk.sk_mark : 0,
      tos,
      sk !== null ? ip_sock_rt_scope(sk) : RT_SCOPE_UNIVERSE,
      proto,
      sk !== null ? inet_sk_flowi_flags(sk) : 0,
      daddr,
      saddr,
      dport,
      sport,
      sock_net_uid(n, sk),
    )
    if (sk !== null) security_sk_classify_flow(sk, flowi4_to_flowi_common(fl4))
    return ip_route_output_flow(n, fl4, sk)
  },
)

export const ip_route_connect_init = kfunc(
  'ip_route_connect_init',
  (fl4: flowi4, dst: number, src: number, oif: number, protocol: number, sport: number, dport: number, sk: sock): void => {
    flowi4_init_output(
      fl4,
      oif,
      sk.sk_mark,
      ip_sock_rt_tos(sk),
      ip_sock_rt_scope(sk),
      protocol,
      inet_test_bit(INET_FLAGS_TRANSPARENT, sk) ? FLOWI_FLAG_ANYSRC : 0,
      dst,
      src,
      dport,
      sport,
      sk.sk_uid,
    )
  },
)

/** the route of a connection: what is not known yet (source address) is filled into `fl4` */
export const ip_route_connect = kfunc(
  'ip_route_connect',
  (
    fl4: flowi4,
    dst: number,
    src: number,
    oif: number,
    protocol: number,
    sport: number,
    dport: number,
    sk: sock,
  ): rtable | number => {
    const n = sock_net(sk)
    ip_route_connect_init(fl4, dst, src, oif, protocol, sport, dport, sk)
    if (!dst || !src) {
      const rt = __ip_route_output_key(n, fl4)
      if (IS_ERR(rt)) return rt
      ip_rt_put(rt)
      flowi4_update_output(fl4, oif, fl4.daddr, fl4.saddr)
    }
    security_sk_classify_flow(sk, flowi4_to_flowi_common(fl4))
    return ip_route_output_flow(n, fl4, sk)
  },
)

/** the same again once the ports are known, if that makes a difference */
export const ip_route_newports = kfunc(
  'ip_route_newports',
  (fl4: flowi4, rt: rtable, orig_sport: number, orig_dport: number, sport: number, dport: number, sk: sock): rtable | number => {
    if (sport === orig_sport && dport === orig_dport) return rt
    fl4.fl4_dport = dport
    fl4.fl4_sport = sport
    ip_rt_put(rt)
    flowi4_update_output(fl4, sk.sk_bound_dev_if, fl4.daddr, fl4.saddr)
    security_sk_classify_flow(sk, flowi4_to_flowi_common(fl4))
    return ip_route_output_flow(sock_net(sk), fl4, sk)
  },
)

export const ip_route_input = kfunc(
  'ip_route_input',
  (skb: sk_buff, dst: number, src: number, dscp: number, devin: net_device): number => {
    rcu_read_lock()
    let err = ip_route_input_noref(skb, dst, src, dscp, devin)
    if (!err) {
      skb_dst_force(skb)
      if (skb_dst(skb) === null) err = -EINVAL
    }
    rcu_read_unlock()
    return err
  },
)

// net/ipv4/route.c

const rt_genid_ipv4 = (n: net): number => n.ipv4.rt_genid
const fnhe_genid = (n: net): number => n.fnhe_genid

const rt_is_expired = kfunc('rt_is_expired', (rth: rtable): boolean => {
  rcu_read_lock()
  const res = rth.rt_genid !== rt_genid_ipv4((rth.dev as net_device).nd_net)
  rcu_read_unlock()
  return res
})

/** no route that was handed out before is valid any more */
export const rt_cache_flush = kfunc('rt_cache_flush', (n: net): void => {
  n.ipv4.rt_genid++
})

const ipv4_neigh_lookup = kfunc(
  'ipv4_neigh_lookup',
  (dst: dst_entry, skb: sk_buff | null, daddr: number | Uint8Array | null): neighbour | number | null => {
    const rt = dst_rtable(dst)
    rcu_read_lock()
    const dev = dst.dev as net_device
    const n =
      rt.rt_gw_family === AF_INET
        ? ip_neigh_gw4(dev, rt.rt_gw4)
        : ip_neigh_gw4(dev, skb !== null ? ip_hdr(skb).daddr : (daddr as number))
    if (!IS_ERR(n)) n.refcnt++
    rcu_read_unlock()
    return n
  },
)

const ipv4_confirm_neigh = kfunc('ipv4_confirm_neigh', (dst: dst_entry, daddr: number | Uint8Array): void => {
  const rt = dst_rtable(dst)
  let pkey = daddr as number
  if (rt.rt_gw_family === AF_INET) pkey = rt.rt_gw4
  else if (!daddr || rt.rt_flags & (RTCF_MULTICAST | RTCF_BROADCAST | RTCF_LOCAL)) return
  __ipv4_confirm_neigh(dst.dev as net_device, pkey)
})

/** generators of packet identifiers, by hash; each begins somewhere and forgets when it was used last */
let ip_idents: Map<number, number>
let ip_idents_boot: random_table
let ip_tstamps: Map<number, number>
let ip_idents_mask = 0

const ip_idents_reserve = kfunc('ip_idents_reserve', (hash: number, segs: number): number => {
  const bucket = hash & ip_idents_mask
  const now = jiffies()
  const old = ip_tstamps.get(bucket) ?? 0
  let delta = 0
  if (old !== now) {
    ip_tstamps.set(bucket, now)
    delta = get_random_u32_below((now - old) >>> 0)
  }
  const id = ip_idents.get(bucket) ?? ip_idents_boot.u32(bucket)
  ip_idents.set(bucket, (id + segs + delta) >>> 0)
  return (id + delta) >>> 0
})

export const __ip_select_ident = kfunc('__ip_select_ident', (n: net, iph: iphdr, segs: number): void => {
  const key = n.ipv4.ip_id_key
  if (siphash_key_is_zero(key)) get_random_bytes(key.bytes, 16)
  const hash = siphash_3u32(iph.daddr, iph.saddr, iph.protocol, key)
  iph.id = ip_idents_reserve(hash, segs) & 0xffff
})

const __build_flow_key = kfunc(
  '__build_flow_key',
  (
    n: net,
    fl4: flowi4,
    sk: sock | null,
    iph: iphdr,
    oif: number,
    tos: number,
    prot: number,
    mark: number,
    flow_flags: number,
  ): void => {
    const s = sk !== null
    flowi4_init_output(
      fl4,
      s ? sk.sk_bound_dev_if : oif,
      s ? sk.sk_mark : mark,
      (s ? ip_sock_rt_tos(sk) : tos) & INET_DSCP_MASK,
      s ? ip_sock_rt_scope(sk) : RT_SCOPE_UNIVERSE,
      s ? (inet_test_bit(INET_FLAGS_HDRINCL, sk) ? IPPROTO_RAW : sk.sk_protocol) : prot,
      flow_flags,
      iph.daddr,
      iph.saddr,
      0,
      0,
      sock_net_uid(n, sk),
    )
  },
)

const build_skb_flow_key = kfunc('build_skb_flow_key', (fl4: flowi4, skb: sk_buff, sk: sock | null): void => {
  const dev = skb.dev as net_device
  const iph = ip_hdr(skb)
  __build_flow_key(dev.nd_net, fl4, sk, iph, dev.ifindex, iph.tos, iph.protocol, skb.mark, 0)
})

const build_sk_flow_key = kfunc('build_sk_flow_key', (fl4: flowi4, sk: sock): void => {
  const inet = inet_sk(sk)
  rcu_read_lock()
  flowi4_init_output(
    fl4,
    sk.sk_bound_dev_if,
    sk.sk_mark,
    ip_sock_rt_tos(sk),
    ip_sock_rt_scope(sk),
    inet_test_bit(INET_FLAGS_HDRINCL, sk) ? IPPROTO_RAW : sk.sk_protocol,
    inet_sk_flowi_flags(sk),
    inet.inet_opt?.srr ? inet.inet_opt.faddr : inet.inet_daddr,
    inet.inet_saddr,
    0,
    0,
    sk.sk_uid,
  )
  rcu_read_unlock()
})

const ip_rt_build_flow_key = kfunc('ip_rt_build_flow_key', (fl4: flowi4, sk: sock | null, skb: sk_buff | null): void => {
  if (skb !== null) build_skb_flow_key(fl4, skb, sk)
  else if (sk !== null) build_sk_flow_key(fl4, sk)
})

const fnhe_flush_routes = kfunc('fnhe_flush_routes', (fnhe: fib_nh_exception): void => {
  let rt = fnhe.fnhe_rth_input
  if (rt !== null) {
    fnhe.fnhe_rth_input = null
    dst_dev_put(rt)
    dst_release(rt)
  }
  rt = fnhe.fnhe_rth_output
  if (rt !== null) {
    fnhe.fnhe_rth_output = null
    dst_dev_put(rt)
    dst_release(rt)
  }
})

function unlink_fnhe(hash: (fib_nh_exception | null)[], hval: number, fnhe: fib_nh_exception): void {
  const first = hash[hval] ?? null
  if (first === fnhe) hash[hval] = fnhe.fnhe_next
  else for (let p = first; p !== null; p = p.fnhe_next) if (p.fnhe_next === fnhe) p.fnhe_next = fnhe.fnhe_next
}

const fnhe_remove_oldest = kfunc('fnhe_remove_oldest', (hash: (fib_nh_exception | null)[], hval: number): void => {
  let oldest: fib_nh_exception | null = null
  for (let fnhe = hash[hval] ?? null; fnhe !== null; fnhe = fnhe.fnhe_next)
    if (oldest === null || fnhe.fnhe_stamp < oldest.fnhe_stamp) oldest = fnhe
  if (oldest === null) return
  // without an address nobody binds to it any more
  oldest.fnhe_daddr = 0
  fnhe_flush_routes(oldest)
  unlink_fnhe(hash, hval, oldest)
  kfree_rcu(oldest)
})

const fnhe_hashfun = kfunc('fnhe_hashfun', (daddr: number): number => {
  if (siphash_key_is_zero(fnhe_hash_key)) get_random_bytes(fnhe_hash_key.bytes, 16)
  return siphash_1u32(daddr, fnhe_hash_key) >>> (32 - FNHE_HASH_SHIFT)
})

const fill_route_from_fnhe = kfunc('fill_route_from_fnhe', (rt: rtable, fnhe: fib_nh_exception): void => {
  rt.rt_pmtu = fnhe.fnhe_pmtu
  rt.rt_mtu_locked = fnhe.fnhe_mtu_locked ? 1 : 0
  rt.expires = fnhe.fnhe_expires
  if (fnhe.fnhe_gw) {
    rt.rt_flags |= RTCF_REDIRECTED
    rt.rt_uses_gateway = 1
    rt.rt_gw_family = AF_INET
    rt.rt_gw4 = fnhe.fnhe_gw
  }
})

const update_or_create_fnhe = kfunc(
  'update_or_create_fnhe',
  (nhc: fib_nh_common, daddr: number, gw: number, pmtu: number, lock: boolean, expires: number): void => {
    const genid = fnhe_genid((nhc.nhc_dev as net_device).nd_net)
    const hval = fnhe_hashfun(daddr)
    spin_lock_bh(fnhe_lock)
    nhc.nhc_exceptions ??= new Array<fib_nh_exception | null>(FNHE_HASH_SIZE).fill(null)
    const hash = nhc.nhc_exceptions
    let depth = 0
    let fnhe = hash[hval] ?? null
    for (; fnhe !== null && fnhe.fnhe_daddr !== daddr; fnhe = fnhe.fnhe_next) depth++
    if (fnhe !== null) {
      fnhe.fnhe_genid = genid
      if (gw) fnhe.fnhe_gw = gw
      if (pmtu) {
        fnhe.fnhe_pmtu = pmtu
        fnhe.fnhe_mtu_locked = lock
      }
      fnhe.fnhe_expires = Math.max(1, expires)
      if (fnhe.fnhe_rth_input !== null) fill_route_from_fnhe(fnhe.fnhe_rth_input, fnhe)
      if (fnhe.fnhe_rth_output !== null) fill_route_from_fnhe(fnhe.fnhe_rth_output, fnhe)
    } else {
      // a depth that nobody can guess
      const max_depth = FNHE_RECLAIM_DEPTH + get_random_u32_below_const(FNHE_RECLAIM_DEPTH)
      for (; depth > max_depth; depth--) fnhe_remove_oldest(hash, hval)
      fnhe = {
        fnhe_next: hash[hval] ?? null,
        fnhe_genid: genid,
        fnhe_daddr: daddr,
        fnhe_pmtu: pmtu,
        fnhe_mtu_locked: lock,
        fnhe_gw: gw,
        fnhe_expires: Math.max(1, expires),
        fnhe_rth_input: null,
        fnhe_rth_output: null,
        fnhe_stamp: 0,
      }
      hash[hval] = fnhe
      // whoever holds a route of this next hop has to look again
      if (nhc.nhc_rth_input !== null) nhc.nhc_rth_input.obsolete = DST_OBSOLETE_KILL
      if (nhc.nhc_pcpu_rth_output !== null) nhc.nhc_pcpu_rth_output.obsolete = DST_OBSOLETE_KILL
    }
    fnhe.fnhe_stamp = jiffies()
    spin_unlock_bh(fnhe_lock)
  },
)

/** the first hop's MTU became `new_mtu`: what was learnt of the path may not exceed it, and may follow it up */
export const fnhe_update_pmtu = kfunc('fnhe_update_pmtu', (fnhe: fib_nh_exception, new_mtu: number, orig: number): void => {
  spin_lock_bh(fnhe_lock)
  if (fnhe.fnhe_mtu_locked) {
    if (new_mtu <= fnhe.fnhe_pmtu) {
      fnhe.fnhe_pmtu = new_mtu
      fnhe.fnhe_mtu_locked = false
    }
  } else if (new_mtu < fnhe.fnhe_pmtu || orig === fnhe.fnhe_pmtu) fnhe.fnhe_pmtu = new_mtu
  spin_unlock_bh(fnhe_lock)
})

const __ip_do_redirect = kfunc('__ip_do_redirect', (rt: rtable, skb: sk_buff, fl4: flowi4, kill_route: boolean): void => {
  const new_gw = icmp_hdr(skb).gateway
  const old_gw = ip_hdr(skb).saddr
  const dev = skb.dev as net_device
  if ((icmp_hdr(skb).code & 7) > 3) return
  if (rt.rt_gw_family !== AF_INET || rt.rt_gw4 !== old_gw) return
  const in_dev = __in_dev_get_rcu(dev)
  if (in_dev === null) return
  const n = dev.nd_net
  if (
    new_gw === old_gw ||
    !IN_DEV_RX_REDIRECTS(in_dev) ||
    ipv4_is_multicast(new_gw) ||
    ipv4_is_lbcast(new_gw) ||
    ipv4_is_zeronet(new_gw)
  )
    return
  if (!IN_DEV_ORCONF(in_dev, IPV4_DEVCONF_SHARED_MEDIA)) {
    if (!inet_addr_onlink(in_dev, new_gw, old_gw)) return
    if (IN_DEV_ORCONF(in_dev, IPV4_DEVCONF_SECURE_REDIRECTS) && ip_fib_check_default(new_gw, dev)) return
  } else if (inet_addr_type(n, new_gw) !== RTN_UNICAST) return
  const neigh = __ipv4_neigh_lookup(rt.dev as net_device, new_gw) ?? neigh_create(arp_tbl, new_gw, rt.dev as net_device)
  if (IS_ERR(neigh)) return
  if (!(neigh.nud_state & NUD_VALID)) neigh_event_send(neigh, null)
  else {
    const res = new fib_result()
    if (fib_lookup(n, fl4, res, 0) === 0) {
      fib_select_path(n, res, fl4, skb)
      update_or_create_fnhe(res.nhc as fib_nh_common, fl4.daddr, new_gw, 0, false, jiffies() + ip_rt_gc_timeout)
    }
    if (kill_route) rt.obsolete = DST_OBSOLETE_KILL
  }
  neigh_release(neigh)
})

const inner_iphdr = (skb: sk_buff): iphdr => new iphdr(skb.head.bytes, skb.data)

const ip_do_redirect = kfunc('ip_do_redirect', (dst: dst_entry, sk: sock | null, skb: sk_buff): void => {
  const iph = inner_iphdr(skb)
  const dev = skb.dev as net_device
  const fl4 = new flowi4()
  __build_flow_key(dev.nd_net, fl4, sk, iph, dev.ifindex, iph.tos, iph.protocol, skb.mark, 0)
  __ip_do_redirect(dst_rtable(dst), skb, fl4, true)
})

const ipv4_negative_advice = kfunc('ipv4_negative_advice', (sk: sock, dst: dst_entry): void => {
  const rt = dst_rtable(dst)
  if (dst.obsolete > 0 || rt.rt_flags & RTCF_REDIRECTED || rt.expires) sk_dst_reset(sk)
})

/** tells a host of a better first hop, less and less often if it will not hear */
export const ip_rt_send_redirect = kfunc('ip_rt_send_redirect', (skb: sk_buff): void => {
  const rt = skb_rtable(skb) as rtable
  const dev = rt.dev as net_device
  rcu_read_lock()
  const in_dev = __in_dev_get_rcu(dev)
  if (in_dev === null || !IN_DEV_TX_REDIRECTS(in_dev)) {
    rcu_read_unlock()
    return
  }
  const vif = l3mdev_master_ifindex_rcu(dev)
  const peer = inet_getpeer_v4(dev.nd_net.ipv4.peers as inet_peer_base, ip_hdr(skb).saddr, vif)
  if (peer === null) {
    rcu_read_unlock()
    return
  }
  const now = jiffies()
  if (now > peer.rate_last + ip_rt_redirect_silence) {
    peer.rate_tokens = 0
    peer.n_redirects = 0
  }
  if (peer.n_redirects >= ip_rt_redirect_number) peer.rate_last = now
  else if (peer.n_redirects === 0 || now > peer.rate_last + ip_rt_redirect_load * 2 ** peer.n_redirects) {
    icmp_send(skb, ICMP_REDIRECT, ICMP_REDIR_HOST, rt_nexthop(rt, ip_hdr(skb).daddr))
    peer.rate_last = jiffies()
    peer.n_redirects++
  }
  rcu_read_unlock()
})

/** the input of a route that leads nowhere */
const ip_error = kfunc('ip_error', (skb: sk_buff): number => {
  const rt = skb_rtable(skb) as rtable
  let dev: net_device | null = skb.dev as net_device
  let reason = SKB_DROP_REASON_NOT_SPECIFIED
  if (dev.priv_flags & IFF_L3MDEV_MASTER) dev = __dev_get_by_index(dev.nd_net, IPCB(skb).iif)
  const in_dev = dev === null ? null : __in_dev_get_rcu(dev)
  if (in_dev === null) {
    kfree_skb_reason(skb, reason)
    return 0
  }
  const n = (rt.dev as net_device).nd_net
  let code = -1
  if (!IN_DEV_FORWARD(in_dev)) {
    if (rt.error === EHOSTUNREACH) {
      reason = SKB_DROP_REASON_IP_INADDRERRORS
      n.mib.ip.InAddrErrors++
    } else if (rt.error === ENETUNREACH) {
      reason = SKB_DROP_REASON_IP_INNOROUTES
      n.mib.ip.InNoRoutes++
    }
  } else if (rt.error === EHOSTUNREACH) code = ICMP_HOST_UNREACH
  else if (rt.error === ENETUNREACH) {
    code = ICMP_NET_UNREACH
    reason = SKB_DROP_REASON_IP_INNOROUTES
    n.mib.ip.InNoRoutes++
  } else if (rt.error === EACCES) code = ICMP_PKT_FILTERED
  if (code >= 0) {
    rcu_read_lock()
    const peer = inet_getpeer_v4(
      n.ipv4.peers as inet_peer_base,
      ip_hdr(skb).saddr,
      l3mdev_master_ifindex_rcu(skb.dev as net_device),
    )
    let send = true
    if (peer !== null) {
      const now = jiffies()
      peer.rate_tokens = Math.min(peer.rate_tokens + now - peer.rate_last, ip_rt_error_burst)
      peer.rate_last = now
      if (peer.rate_tokens >= ip_rt_error_cost) peer.rate_tokens -= ip_rt_error_cost
      else send = false
    }
    rcu_read_unlock()
    if (send) icmp_send(skb, ICMP_DEST_UNREACH, code, 0)
  }
  kfree_skb_reason(skb, reason)
  return 0
})

const __ip_rt_update_pmtu = kfunc('__ip_rt_update_pmtu', (rt: rtable, fl4: flowi4, new_mtu: number): void => {
  if (ip_mtu_locked(rt)) return
  const old_mtu = ipv4_mtu(rt)
  if (old_mtu < new_mtu) return
  rcu_read_lock()
  const n = (rt.dev as net_device).nd_net
  let mtu = new_mtu
  let lock = false
  if (mtu < n.ipv4.ip_rt_min_pmtu) {
    lock = true
    mtu = Math.min(old_mtu, n.ipv4.ip_rt_min_pmtu)
  }
  const { ip_rt_mtu_expires } = n.ipv4
  if (!(rt.rt_pmtu === mtu && !lock && jiffies() < rt.expires - ip_rt_mtu_expires / 2)) {
    const res = new fib_result()
    if (fib_lookup(n, fl4, res, 0) === 0) {
      fib_select_path(n, res, fl4, null)
      const fi = res.fi as fib_info
      if (fib_info_num_path(fi) > 1)
        for (let nhsel = 0; nhsel < fib_info_num_path(fi); nhsel++)
          update_or_create_fnhe(fib_info_nhc(fi, nhsel), fl4.daddr, 0, mtu, lock, jiffies() + ip_rt_mtu_expires)
      else update_or_create_fnhe(res.nhc as fib_nh_common, fl4.daddr, 0, mtu, lock, jiffies() + ip_rt_mtu_expires)
    }
  }
  rcu_read_unlock()
})

const ip_rt_update_pmtu = kfunc(
  'ip_rt_update_pmtu',
  (dst: dst_entry, sk: sock | null, skb: sk_buff | null, mtu: number, _confirm_neigh: boolean): void => {
    const fl4 = new flowi4()
    ip_rt_build_flow_key(fl4, sk, skb)
    // bridged encapsulations are looked up without the port
    if (skb !== null && (skb.dev as net_device).priv_flags & IFF_BRIDGE_PORT) fl4.flowi4_oif = 0
    __ip_rt_update_pmtu(dst_rtable(dst), fl4, mtu)
  },
)

export const ipv4_update_pmtu = kfunc(
  'ipv4_update_pmtu',
  (skb: sk_buff, n: net, mtu: number, oif: number, protocol: number): void => {
    const iph = inner_iphdr(skb)
    const fl4 = new flowi4()
    __build_flow_key(n, fl4, null, iph, oif, iph.tos, protocol, n.ipv4.sysctl_fwmark_reflect ? skb.mark : 0, 0)
    const rt = __ip_route_output_key(n, fl4)
    if (!IS_ERR(rt)) {
      __ip_rt_update_pmtu(rt, fl4, mtu)
      ip_rt_put(rt)
    }
  },
)

const __ipv4_sk_update_pmtu = kfunc('__ipv4_sk_update_pmtu', (skb: sk_buff, sk: sock, mtu: number): void => {
  const n = sock_net(sk)
  const fl4 = new flowi4()
  __build_flow_key(n, fl4, sk, inner_iphdr(skb), 0, 0, 0, 0, 0)
  if (!fl4.flowi4_mark) fl4.flowi4_mark = n.ipv4.sysctl_fwmark_reflect ? skb.mark : 0
  const rt = __ip_route_output_key(n, fl4)
  if (!IS_ERR(rt)) {
    __ip_rt_update_pmtu(rt, fl4, mtu)
    ip_rt_put(rt)
  }
})

/** a router said that the path carries `mtu` bytes only */
export const ipv4_sk_update_pmtu = kfunc('ipv4_sk_update_pmtu', (skb: sk_buff, sk: sock, mtu: number): void => {
  const n = sock_net(sk)
  let odst: dst_entry | null = null
  const update = (): void => {
    if (!ip_sk_accept_pmtu(sk)) return
    odst = sk_dst_get(sk)
    if (sock_owned_by_user(sk) || odst === null) {
      __ipv4_sk_update_pmtu(skb, sk, mtu)
      return
    }
    const fl4 = new flowi4()
    __build_flow_key(n, fl4, sk, inner_iphdr(skb), 0, 0, 0, 0, 0)
    let is_new = false
    let rt: rtable | number = dst_rtable(odst)
    if (odst.obsolete && !odst.ops.check?.(odst, 0)) {
      rt = ip_route_output_flow(n, fl4, sk)
      if (IS_ERR(rt)) return
      is_new = true
    }
    __ip_rt_update_pmtu(rt, fl4, mtu)
    if (dst_check(rt, 0) === null) {
      if (is_new) dst_release(rt)
      rt = ip_route_output_flow(n, fl4, sk)
      if (IS_ERR(rt)) return
      is_new = true
    }
    if (is_new) sk_dst_set(sk, rt)
  }
  bh_lock_sock(sk)
  update()
  bh_unlock_sock(sk)
  dst_release(odst)
})

export const ipv4_redirect = kfunc('ipv4_redirect', (skb: sk_buff, n: net, oif: number, protocol: number): void => {
  const iph = inner_iphdr(skb)
  const fl4 = new flowi4()
  __build_flow_key(n, fl4, null, iph, oif, iph.tos, protocol, 0, 0)
  const rt = __ip_route_output_key(n, fl4)
  if (!IS_ERR(rt)) {
    __ip_do_redirect(rt, skb, fl4, false)
    ip_rt_put(rt)
  }
})

export const ipv4_sk_redirect = kfunc('ipv4_sk_redirect', (skb: sk_buff, sk: sock): void => {
  const n = sock_net(sk)
  const fl4 = new flowi4()
  __build_flow_key(n, fl4, sk, inner_iphdr(skb), 0, 0, 0, 0, 0)
  const rt = __ip_route_output_key(n, fl4)
  if (!IS_ERR(rt)) {
    __ip_do_redirect(rt, skb, fl4, false)
    ip_rt_put(rt)
  }
})

/** null when the route has to be looked up again */
export const ipv4_dst_check = kfunc('ipv4_dst_check', (dst: dst_entry, _cookie: number): dst_entry | null =>
  dst.obsolete !== DST_OBSOLETE_FORCE_CHK || rt_is_expired(dst_rtable(dst)) ? null : dst,
)

const ipv4_send_dest_unreach = kfunc('ipv4_send_dest_unreach', (skb: sk_buff): void => {
  if (!pskb_network_may_pull(skb, 20)) return
  const iph = ip_hdr(skb)
  if (iph.version !== 4 || iph.ihl < 5) return
  const opt = new ip_options()
  if (iph.ihl > 5) {
    if (!pskb_network_may_pull(skb, iph.ihl * 4)) return
    opt.optlen = iph.ihl * 4 - 20
    rcu_read_lock()
    const dev = skb.dev ?? (skb_rtable(skb)?.dev as net_device)
    const res = __ip_options_compile(dev.nd_net, opt, skb, null)
    rcu_read_unlock()
    if (res) return
  }
  __icmp_send(skb, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0, opt)
})

const ipv4_link_failure = kfunc('ipv4_link_failure', (skb: sk_buff): void => {
  ipv4_send_dest_unreach(skb)
  const rt = skb_rtable(skb)
  if (rt !== null) dst_set_expires(rt, 0)
})

/** the output of an input route: nobody should ever get here */
const ip_rt_bug = kfunc('ip_rt_bug', (_n: net, _sk: sock | null, skb: sk_buff): number => {
  kfree_skb(skb)
  return 0
})

/** writes the address that this host has towards the packet's destination to `b[at…]` */
export const ip_rt_get_source = kfunc('ip_rt_get_source', (b: Uint8Array, skb: sk_buff, rt: rtable, at: number): void => {
  let src: number
  if (rt_is_output_route(rt)) src = ip_hdr(skb).saddr
  else {
    const iph = ip_hdr(skb)
    const dev = rt.dev as net_device
    const res = new fib_result()
    const fl4 = new flowi4()
    fl4.daddr = iph.daddr
    fl4.saddr = iph.saddr
    fl4.flowi4_tos = iph.tos & INET_DSCP_MASK
    fl4.flowi4_oif = dev.ifindex
    fl4.flowi4_iif = (skb.dev as net_device).ifindex
    fl4.flowi4_mark = skb.mark
    rcu_read_lock()
    if (fib_lookup(dev.nd_net, fl4, res, 0) === 0) src = fib_result_prefsrc(dev.nd_net, res)
    else src = inet_select_addr(dev, rt_nexthop(rt, iph.daddr), RT_SCOPE_UNIVERSE)
    rcu_read_unlock()
  }
  put_be32(b, at, src)
})

/** the MSS that a connection may announce, bytes */
export const ipv4_default_advmss = kfunc('ipv4_default_advmss', (dst: dst_entry): number => {
  const header_size = 20 + 20
  rcu_read_lock()
  const n = (dst.dev as net_device).nd_net
  const advmss = Math.max(ip_dst_mtu_configured(dst) - header_size, n.ipv4.ip_rt_min_advmss)
  rcu_read_unlock()
  return Math.min(advmss, IPV4_MAX_PMTU - header_size)
})

export const ipv4_mtu = kfunc('ipv4_mtu', (dst: dst_entry): number => ip_dst_mtu_maybe_forward(dst, false))

const ip_del_fnhe = kfunc('ip_del_fnhe', (nhc: fib_nh_common, daddr: number): void => {
  const hval = fnhe_hashfun(daddr)
  spin_lock_bh(fnhe_lock)
  const hash = nhc.nhc_exceptions
  for (let fnhe = hash?.[hval] ?? null; fnhe !== null && hash !== null; fnhe = fnhe.fnhe_next)
    if (fnhe.fnhe_daddr === daddr) {
      unlink_fnhe(hash, hval, fnhe)
      fnhe.fnhe_daddr = 0
      fnhe_flush_routes(fnhe)
      kfree_rcu(fnhe)
      break
    }
  spin_unlock_bh(fnhe_lock)
})

const find_exception = kfunc('find_exception', (nhc: fib_nh_common, daddr: number): fib_nh_exception | null => {
  const hash = nhc.nhc_exceptions
  if (hash === null) return null
  const hval = fnhe_hashfun(daddr)
  for (let fnhe = hash[hval] ?? null; fnhe !== null; fnhe = fnhe.fnhe_next) {
    if (fnhe.fnhe_daddr !== daddr) continue
    if (fnhe.fnhe_expires && jiffies() > fnhe.fnhe_expires) {
      ip_del_fnhe(nhc, daddr)
      break
    }
    return fnhe
  }
  return null
})

const rt_bind_exception = kfunc(
  'rt_bind_exception',
  (rt: rtable, fnhe: fib_nh_exception, daddr: number, do_cache: boolean): boolean => {
    let ret = false
    spin_lock_bh(fnhe_lock)
    if (daddr === fnhe.fnhe_daddr) {
      const genid = fnhe_genid((rt.dev as net_device).nd_net)
      const input = rt_is_input_route(rt)
      let orig = input ? fnhe.fnhe_rth_input : fnhe.fnhe_rth_output
      if (fnhe.fnhe_genid !== genid) {
        fnhe.fnhe_genid = genid
        fnhe.fnhe_gw = 0
        fnhe.fnhe_pmtu = 0
        fnhe.fnhe_expires = 0
        fnhe.fnhe_mtu_locked = false
        fnhe_flush_routes(fnhe)
        orig = null
      }
      fill_route_from_fnhe(rt, fnhe)
      if (!rt.rt_gw4) {
        rt.rt_gw4 = daddr
        rt.rt_gw_family = AF_INET
      }
      if (do_cache) {
        dst_hold(rt)
        if (input) fnhe.fnhe_rth_input = rt
        else fnhe.fnhe_rth_output = rt
        if (orig !== null) {
          dst_dev_put(orig)
          dst_release(orig)
        }
        ret = true
      }
      fnhe.fnhe_stamp = jiffies()
    }
    spin_unlock_bh(fnhe_lock)
    return ret
  },
)

const rt_cache_route = kfunc('rt_cache_route', (nhc: fib_nh_common, rt: rtable): boolean => {
  const input = rt_is_input_route(rt)
  const orig = input ? nhc.nhc_rth_input : nhc.nhc_pcpu_rth_output
  dst_hold(rt)
  if (input) nhc.nhc_rth_input = rt
  else nhc.nhc_pcpu_rth_output = rt
  if (orig !== null) {
    rt_add_uncached_list(orig)
    dst_release(orig)
  }
  return true
})

/** routes that no next hop keeps: they are found again when their device goes */
export const rt_add_uncached_list = kfunc('rt_add_uncached_list', (rt: rtable): void => {
  const ul = rt_uncached_list
  rt.rt_uncached_list = ul.head
  spin_lock_bh(ul.lock)
  ul.head.add(rt)
  spin_unlock_bh(ul.lock)
})

export const rt_del_uncached_list = kfunc('rt_del_uncached_list', (rt: rtable): void => {
  const ul = rt.rt_uncached_list
  if (ul === null) return
  spin_lock_bh(rt_uncached_list.lock)
  ul.delete(rt)
  spin_unlock_bh(rt_uncached_list.lock)
})

const ipv4_dst_destroy = kfunc('ipv4_dst_destroy', (dst: dst_entry): void => {
  ip_dst_metrics_put(dst)
  rt_del_uncached_list(dst_rtable(dst))
})

export const rt_flush_dev = kfunc('rt_flush_dev', (dev: net_device): void => {
  const ul = rt_uncached_list
  if (ul.head.size === 0) return
  spin_lock_bh(ul.lock)
  for (const rt of ul.head)
    if (rt.dev === dev) {
      rt.dev = dev.nd_net.loopback_dev
      ul.head.delete(rt)
    }
  spin_unlock_bh(ul.lock)
})

const rt_cache_valid = kfunc('rt_cache_valid', (rt: rtable | null): boolean => {
  return rt !== null && rt.obsolete === DST_OBSOLETE_FORCE_CHK && !rt_is_expired(rt)
})

const set_class_tag = (rt: rtable, tag: number): void => {
  if (!(rt.tclassid & 0xffff)) rt.tclassid |= tag & 0xffff
  if (!(rt.tclassid & 0xffff0000)) rt.tclassid |= tag & 0xffff0000
}

const rt_set_nexthop = kfunc(
  'rt_set_nexthop',
  (
    rt: rtable,
    daddr: number,
    res: fib_result,
    fnhe: fib_nh_exception | null,
    fi: fib_info | null,
    type: number,
    itag: number,
    do_cache: boolean,
  ): void => {
    if (fi !== null) {
      const nhc = res.nhc as fib_nh_common
      let cached = false
      if (nhc.nhc_gw_family && nhc.nhc_scope === RT_SCOPE_LINK) {
        rt.rt_uses_gateway = 1
        rt.rt_gw_family = nhc.nhc_gw_family
        rt.rt_gw4 = nhc.nhc_gw4
      }
      ip_dst_init_metrics(rt, fi.fib_metrics)
      if (nhc.nhc_family === AF_INET) rt.tclassid = nhc.nh_tclassid
      rt.lwtstate = nhc.nhc_lwtstate
      if (fnhe !== null) cached = rt_bind_exception(rt, fnhe, daddr, do_cache)
      else if (do_cache) cached = rt_cache_route(nhc, rt)
      if (!cached) {
        if (!rt.rt_gw4) {
          rt.rt_gw_family = AF_INET
          rt.rt_gw4 = daddr
        }
        rt_add_uncached_list(rt)
      }
    } else rt_add_uncached_list(rt)
    set_class_tag(rt, res.tclassid)
    set_class_tag(rt, itag)
  },
)

export const rt_dst_alloc = kfunc(
  'rt_dst_alloc',
  (dev: net_device, flags: number, type: number, noxfrm: boolean): rtable | null => {
    const rt = dst_alloc(ipv4_dst_ops, dev, DST_OBSOLETE_FORCE_CHK, noxfrm ? DST_NOXFRM : 0) as rtable | null
    if (rt !== null) {
      rt.rt_genid = rt_genid_ipv4(dev.nd_net)
      rt.rt_flags = flags
      rt.rt_type = type
      rt.rt_is_input = 0
      rt.rt_iif = 0
      rt.rt_pmtu = 0
      rt.rt_mtu_locked = 0
      rt.rt_uses_gateway = 0
      rt.rt_gw_family = 0
      rt.rt_gw4 = 0
      rt.output = ip_output
      if (flags & RTCF_LOCAL) rt.input = ip_local_deliver
    }
    return rt
  },
)

export const rt_dst_clone = kfunc('rt_dst_clone', (dev: net_device, rt: rtable): rtable | null => {
  const new_rt = dst_alloc(ipv4_dst_ops, dev, DST_OBSOLETE_FORCE_CHK, rt.flags) as rtable | null
  if (new_rt !== null) {
    new_rt.rt_genid = rt_genid_ipv4(dev.nd_net)
    new_rt.rt_flags = rt.rt_flags
    new_rt.rt_type = rt.rt_type
    new_rt.rt_is_input = rt.rt_is_input
    new_rt.rt_iif = rt.rt_iif
    new_rt.rt_pmtu = rt.rt_pmtu
    new_rt.rt_mtu_locked = rt.rt_mtu_locked
    new_rt.rt_gw_family = rt.rt_gw_family
    new_rt.rt_gw4 = rt.rt_gw4
    new_rt.input = rt.input
    new_rt.output = rt.output
    new_rt.error = rt.error
    new_rt.lastuse = jiffies()
    new_rt.lwtstate = rt.lwtstate
  }
  return new_rt
})

export const ip_mc_validate_source = kfunc(
  'ip_mc_validate_source',
  (
    skb: sk_buff,
    daddr: number,
    saddr: number,
    tos: number,
    dev: net_device,
    in_dev: in_device | null,
    itag: ref<number>,
  ): number => {
    if (in_dev === null) return -EINVAL
    if (ipv4_is_multicast(saddr) || ipv4_is_lbcast(saddr) || skb.protocol !== ETH_P_IP) return -EINVAL
    if (ipv4_is_loopback(saddr) && !IN_DEV_ORCONF(in_dev, IPV4_DEVCONF_ROUTE_LOCALNET)) return -EINVAL
    if (ipv4_is_zeronet(saddr)) {
      if (!ipv4_is_local_multicast(daddr) && ip_hdr(skb).protocol !== IPPROTO_IGMP) return -EINVAL
      return 0
    }
    const err = fib_validate_source(skb, saddr, 0, tos, 0, dev, in_dev, itag)
    return Math.min(err, 0)
  },
)

const ip_route_input_mc = kfunc(
  'ip_route_input_mc',
  (skb: sk_buff, daddr: number, saddr: number, tos: number, dev: net_device, our: number): number => {
    const in_dev = __in_dev_get_rcu(dev) as in_device
    const itag: ref<number> = { v: 0 }
    const err = ip_mc_validate_source(skb, daddr, saddr, tos, dev, in_dev, itag)
    if (err) return err
    if (IN_DEV_ORCONF(in_dev, IPV4_DEVCONF_NOPOLICY)) IPCB(skb).flags |= IPSKB_NOPOLICY
    const rth = rt_dst_alloc(dev.nd_net.loopback_dev, our ? RTCF_MULTICAST | RTCF_LOCAL : RTCF_MULTICAST, RTN_MULTICAST, false)
    if (rth === null) return -ENOBUFS
    rth.tclassid = itag.v
    rth.output = ip_rt_bug
    rth.rt_is_input = 1
    rt_cache_stat.in_slow_mc++
    skb_dst_drop(skb)
    skb_dst_set(skb, rth)
    return 0
  },
)

const ip_handle_martian_source = kfunc(
  'ip_handle_martian_source',
  (dev: net_device, in_dev: in_device, skb: sk_buff, daddr: number, saddr: number): void => {
    rt_cache_stat.in_martian_src++
    if (tracer.on) decide('ip_handle_martian_source', 'martian source', { saddr, daddr, dev: dev.name })
  },
)

const __mkroute_input = kfunc(
  '__mkroute_input',
  (skb: sk_buff, res: fib_result, in_dev: in_device, daddr: number, saddr: number, tos: number): number => {
    const nhc = res.nhc as fib_nh_common
    const dev = nhc.nhc_dev as net_device
    const itag: ref<number> = { v: 0 }
    const out_dev = __in_dev_get_rcu(dev)
    if (out_dev === null) return -EINVAL
    const err = fib_validate_source(skb, saddr, daddr, tos, FIB_RES_OIF(res), in_dev.dev, in_dev, itag)
    if (err < 0) {
      ip_handle_martian_source(in_dev.dev, in_dev, skb, daddr, saddr)
      return err
    }
    const do_cache = res.fi !== null && !itag.v
    if (out_dev === in_dev && err && IN_DEV_TX_REDIRECTS(out_dev) && skb.protocol === ETH_P_IP) {
      const gw = nhc.nhc_gw_family === AF_INET ? nhc.nhc_gw4 : 0
      if (IN_DEV_ORCONF(out_dev, IPV4_DEVCONF_SHARED_MEDIA) || inet_addr_onlink(out_dev, saddr, gw))
        IPCB(skb).flags |= IPSKB_DOREDIRECT
    }
    // ARP asks too: it gets no route back to where the question came from
    if (skb.protocol !== ETH_P_IP && out_dev === in_dev && !IN_DEV_ORCONF(in_dev, IPV4_DEVCONF_PROXY_ARP_PVLAN)) return -EINVAL
    if (IN_DEV_ORCONF(in_dev, IPV4_DEVCONF_NOPOLICY)) IPCB(skb).flags |= IPSKB_NOPOLICY
    const fnhe = find_exception(nhc, daddr)
    if (do_cache) {
      const cached = fnhe !== null ? fnhe.fnhe_rth_input : nhc.nhc_rth_input
      if (cached !== null && rt_cache_valid(cached)) {
        skb_dst_set_noref(skb, cached)
        return 0
      }
    }
    const rth = rt_dst_alloc(out_dev.dev, 0, res.type, IN_DEV_ORCONF(out_dev, IPV4_DEVCONF_NOXFRM))
    if (rth === null) return -ENOBUFS
    rth.rt_is_input = 1
    rt_cache_stat.in_slow_tot++
    rth.input = ip_forward
    rt_set_nexthop(rth, daddr, res, fnhe, res.fi, res.type, itag.v, do_cache)
    skb_dst_set(skb, rth)
    return 0
  },
)

const ip_multipath_l3_keys = kfunc('ip_multipath_l3_keys', (skb: sk_buff, hash_keys: flow_keys): void => {
  const outer = ip_hdr(skb)
  hash_keys.set_v4addrs(outer.saddr, outer.daddr)
  if (outer.protocol !== IPPROTO_ICMP || outer.frag_off & 0x1fff) return
  // an error goes the way of the packet that it speaks of
  const o = skb.network_header + outer.ihl * 4
  const b = skb.head.bytes
  if (o + 28 > skb.tail || !icmp_is_err(b[o] ?? 0)) return
  hash_keys.set_v4addrs(get_be32(b, o + 8 + 12), get_be32(b, o + 8 + 16))
})

/** spreads flows over next hops: by addresses (policy 0), or by ports as well (policy 1) */
export const fib_multipath_hash = kfunc(
  'fib_multipath_hash',
  (n: net, fl4: flowi4 | null, skb: sk_buff | null, flkeys: flow_keys | null): number => {
    const keys = new flow_keys()
    if (n.ipv4.sysctl_fib_multipath_hash_policy === 1) {
      if (skb !== null) {
        if (skb.l4_hash) return skb.hash >>> 1
        let from = flkeys
        if (from === null) {
          from = new flow_keys()
          skb_flow_dissect_flow_keys(skb, from, FLOW_DISSECTOR_F_STOP_AT_ENCAP)
        }
        keys.set_v4addrs(get_be32(from.src, 0), get_be32(from.dst, 0))
        keys.ports = from.ports
        keys.ip_proto = from.ip_proto
      } else if (fl4 !== null) {
        keys.set_v4addrs(fl4.saddr, fl4.daddr)
        keys.ports = ((fl4.fl4_sport << 16) | fl4.fl4_dport) >>> 0
        keys.ip_proto = fl4.flowi4_proto
      }
    } else if (skb !== null) ip_multipath_l3_keys(skb, keys)
    else if (fl4 !== null) keys.set_v4addrs(fl4.saddr, fl4.daddr)
    const mhash = fib_multipath_hash_from_keys(n, keys)
    return (mhash ^ (fl4?.flowi4_multipath_hash ?? 0)) >>> 1
  },
)

const ip_mkroute_input = kfunc(
  'ip_mkroute_input',
  (
    skb: sk_buff,
    res: fib_result,
    in_dev: in_device,
    daddr: number,
    saddr: number,
    tos: number,
    hkeys: flow_keys | null,
  ): number => {
    if (res.fi !== null && fib_info_num_path(res.fi) > 1) {
      const h = fib_multipath_hash(res.fi.fib_net, null, skb, hkeys)
      fib_select_multipath(res, h)
      IPCB(skb).flags |= IPSKB_MULTIPATH
    }
    return __mkroute_input(skb, res, in_dev, daddr, saddr, tos)
  },
)

/** takes the route of the packet before this one, which went to the same address */
export const ip_route_use_hint = kfunc(
  'ip_route_use_hint',
  (skb: sk_buff, daddr: number, saddr: number, tos: number, dev: net_device, hint: sk_buff): number => {
    const in_dev = __in_dev_get_rcu(dev)
    const rt = skb_rtable(hint) as rtable
    if (in_dev === null) return -EINVAL
    let err = -EINVAL
    if (
      ipv4_is_multicast(saddr) ||
      ipv4_is_lbcast(saddr) ||
      ipv4_is_zeronet(saddr) ||
      (ipv4_is_loopback(saddr) && !IN_DEV_NET_ORCONF(in_dev, dev.nd_net, IPV4_DEVCONF_ROUTE_LOCALNET))
    ) {
      ip_handle_martian_source(dev, in_dev, skb, daddr, saddr)
      return err
    }
    if (rt.rt_flags & RTCF_LOCAL) {
      err = fib_validate_source(skb, saddr, daddr, tos & INET_DSCP_MASK, 0, dev, in_dev, { v: 0 })
      if (err < 0) {
        ip_handle_martian_source(dev, in_dev, skb, daddr, saddr)
        return err
      }
    }
    skb_dst_copy(skb, hint)
    return 0
  },
)

const ip_rt_get_dev = kfunc('ip_rt_get_dev', (n: net, res: fib_result): net_device => {
  const nhc = res.fi !== null ? res.nhc : null
  return (nhc !== null ? l3mdev_master_dev_rcu(nhc.nhc_dev as net_device) : null) ?? n.loopback_dev
})

/** where ip_route_input_slow goes when it has looked the address up */
type After = 'brd_input' | 'local_input' | 'no_route' | 'make_route' | 'martian_source' | 'martian_destination'

/** finds what to do with a packet that came in without a route: deliver, forward or refuse it */
const ip_route_input_slow = kfunc(
  'ip_route_input_slow',
  (skb: sk_buff, daddr: number, saddr: number, tos: number, dev: net_device, res: fib_result): number => {
    const in_dev = __in_dev_get_rcu(dev)
    const n = dev.nd_net
    let err = -EINVAL
    let flags = 0
    const itag: ref<number> = { v: 0 }
    let do_cache = true
    if (in_dev === null) return err
    skb_dst_drop(skb)

    let next: After
    if (ipv4_is_multicast(saddr) || ipv4_is_lbcast(saddr)) next = 'martian_source'
    else {
      res.fi = null
      res.table = null
      const localnet = (): boolean => IN_DEV_NET_ORCONF(in_dev, n, IPV4_DEVCONF_ROUTE_LOCALNET)
      if (ipv4_is_lbcast(daddr) || (saddr === 0 && daddr === 0)) next = 'brd_input'
      else if (ipv4_is_zeronet(saddr)) next = 'martian_source'
      else if (ipv4_is_zeronet(daddr)) next = 'martian_destination'
      else if (ipv4_is_loopback(daddr) && !localnet()) next = 'martian_destination'
      else if (!ipv4_is_loopback(daddr) && ipv4_is_loopback(saddr) && !localnet()) next = 'martian_source'
      else {
        const fl4 = new flowi4()
        fl4.flowi4_iif = dev.ifindex
        fl4.flowi4_mark = skb.mark
        fl4.flowi4_tos = tos
        fl4.flowi4_scope = RT_SCOPE_UNIVERSE
        fl4.daddr = daddr
        fl4.saddr = saddr
        fl4.flowi4_uid = sock_net_uid(n, null)
        err = fib_lookup(n, fl4, res, 0)
        if (err !== 0) {
          if (!IN_DEV_FORWARD(in_dev)) err = -EHOSTUNREACH
          next = 'no_route'
        } else if (res.type === RTN_BROADCAST) {
          if (IN_DEV_ANDCONF(in_dev, IPV4_DEVCONF_BC_FORWARDING)) next = 'make_route'
          else {
            if (IPV4_DEVCONF_ALL_RO(n, IPV4_DEVCONF_BC_FORWARDING)) do_cache = false
            next = 'brd_input'
          }
        } else if (res.type === RTN_LOCAL) {
          err = fib_validate_source(skb, saddr, daddr, tos, 0, dev, in_dev, itag)
          next = err < 0 ? 'martian_source' : 'local_input'
        } else if (!IN_DEV_FORWARD(in_dev)) {
          err = -EHOSTUNREACH
          next = 'no_route'
        } else next = res.type !== RTN_UNICAST ? 'martian_destination' : 'make_route'
      }
    }

    if (next === 'make_route') return ip_mkroute_input(skb, res, in_dev, daddr, saddr, tos, null)
    if (next === 'brd_input') {
      if (skb.protocol !== ETH_P_IP) return -EINVAL
      if (!ipv4_is_zeronet(saddr)) {
        err = fib_validate_source(skb, saddr, 0, tos, 0, dev, in_dev, itag)
        if (err < 0) next = 'martian_source'
      }
      if (next === 'brd_input') {
        flags |= RTCF_BROADCAST
        res.type = RTN_BROADCAST
        rt_cache_stat.in_brd++
      }
    }
    if (next === 'martian_source') {
      ip_handle_martian_source(dev, in_dev, skb, daddr, saddr)
      return err
    }
    if (next === 'martian_destination') {
      rt_cache_stat.in_martian_dst++
      return -EINVAL
    }
    if (next === 'no_route') {
      rt_cache_stat.in_no_route++
      res.type = RTN_UNREACHABLE
      res.fi = null
      res.table = null
    }

    if (IN_DEV_ORCONF(in_dev, IPV4_DEVCONF_NOPOLICY)) IPCB(skb).flags |= IPSKB_NOPOLICY
    do_cache = do_cache && res.fi !== null && !itag.v
    if (do_cache) {
      const cached = (res.nhc as fib_nh_common).nhc_rth_input
      if (cached !== null && rt_cache_valid(cached)) {
        skb_dst_set_noref(skb, cached)
        return 0
      }
    }
    const rth = rt_dst_alloc(ip_rt_get_dev(n, res), flags | RTCF_LOCAL, res.type, false)
    if (rth === null) return -ENOBUFS
    rth.output = ip_rt_bug
    rth.tclassid = itag.v
    rth.rt_is_input = 1
    rt_cache_stat.in_slow_tot++
    if (res.type === RTN_UNREACHABLE) {
      rth.input = ip_error
      rth.error = -err
      rth.rt_flags &= ~RTCF_LOCAL
    }
    if (do_cache) {
      const nhc = res.nhc as fib_nh_common
      rth.lwtstate = nhc.nhc_lwtstate
      if (!rt_cache_route(nhc, rth)) rt_add_uncached_list(rth)
    }
    skb_dst_set(skb, rth)
    return 0
  },
)

const ip_route_input_rcu_part_0 = kfunc(
  'ip_route_input_rcu.part.0',
  (skb: sk_buff, daddr: number, saddr: number, tos: number, dev: net_device, res: fib_result): number => {
    const in_dev = __in_dev_get_rcu(dev)
    if (in_dev === null) return -EINVAL
    let our = ip_check_mc_rcu(in_dev, daddr, saddr, ip_hdr(skb).protocol)
    if (!our && dev.priv_flags & IFF_L3MDEV_SLAVE) {
      const l3_in_dev = __in_dev_get_rcu(skb.dev as net_device)
      if (l3_in_dev !== null) our = ip_check_mc_rcu(l3_in_dev, daddr, saddr, ip_hdr(skb).protocol)
    }
    if (our || (!ipv4_is_local_multicast(daddr) && IN_DEV_ANDCONF(in_dev, IPV4_DEVCONF_MC_FORWARDING)))
      return ip_route_input_mc(skb, daddr, saddr, tos, dev, our)
    return -EINVAL
  },
)

const ip_route_input_rcu = kfunc(
  'ip_route_input_rcu',
  (skb: sk_buff, daddr: number, saddr: number, tos: number, dev: net_device, res: fib_result): number =>
    ipv4_is_multicast(daddr)
      ? ip_route_input_rcu_part_0(skb, daddr, saddr, tos, dev, res)
      : ip_route_input_slow(skb, daddr, saddr, tos, dev, res),
)

/** gives a packet that came in its route, borrowed under RCU. -EXDEV: the source may not come from there */
export const ip_route_input_noref = kfunc(
  'ip_route_input_noref',
  (skb: sk_buff, daddr: number, saddr: number, tos: number, dev: net_device): number => {
    rcu_read_lock()
    const err = ip_route_input_rcu(skb, daddr, saddr, tos & INET_DSCP_MASK, dev, new fib_result())
    rcu_read_unlock()
    return err
  },
)

const __mkroute_output = kfunc(
  '__mkroute_output',
  (res: fib_result, fl4: flowi4, orig_oif: number, dev_out: net_device, rt_flags: number): rtable | number => {
    let { fi, type } = res
    let flags = rt_flags
    const in_dev = __in_dev_get_rcu(dev_out)
    if (in_dev === null) return -EINVAL
    if (
      !IN_DEV_ORCONF(in_dev, IPV4_DEVCONF_ROUTE_LOCALNET) &&
      ipv4_is_loopback(fl4.saddr) &&
      !(dev_out.flags & IFF_LOOPBACK) &&
      !(dev_out.priv_flags & IFF_L3MDEV_MASTER)
    )
      return -EINVAL
    if (ipv4_is_lbcast(fl4.daddr)) {
      type = RTN_BROADCAST
      fi = null
    } else if (ipv4_is_multicast(fl4.daddr)) type = RTN_MULTICAST
    else if (ipv4_is_zeronet(fl4.daddr)) return -EINVAL
    if (dev_out.flags & IFF_LOOPBACK) flags |= RTCF_LOCAL

    let do_cache = true
    if (type === RTN_BROADCAST) flags |= RTCF_BROADCAST | RTCF_LOCAL
    else if (type === RTN_MULTICAST) {
      flags |= RTCF_MULTICAST | RTCF_LOCAL
      if (!ip_check_mc_rcu(in_dev, fl4.daddr, fl4.saddr, fl4.flowi4_proto)) flags &= ~RTCF_LOCAL
      else do_cache = false
      // no gateway for groups, even where only the default route leads there
      if (fi !== null && res.prefixlen < 4) fi = null
    } else if (type === RTN_LOCAL && orig_oif !== 0 && orig_oif !== dev_out.ifindex) {
      // the route tells its receiver a device that others would not want
      do_cache = false
    }

    let fnhe: fib_nh_exception | null = null
    do_cache = do_cache && fi !== null
    if (fi !== null) {
      const nhc = res.nhc as fib_nh_common
      fnhe = find_exception(nhc, fl4.daddr)
      if (do_cache) {
        if (fnhe === null && fl4.flowi4_flags & FLOWI_FLAG_KNOWN_NH && !(nhc.nhc_gw_family && nhc.nhc_scope === RT_SCOPE_LINK))
          do_cache = false
        else {
          const rth = fnhe !== null ? fnhe.fnhe_rth_output : nhc.nhc_pcpu_rth_output
          if (rt_cache_valid(rth) && rth !== null && dst_hold_safe(rth)) {
            if (tracer.on)
              decide('__mkroute_output', 'route from the cache of the next hop', { daddr: fl4.daddr, dev: dev_out.name })
            return rth
          }
        }
      }
    }

    const rth = rt_dst_alloc(dev_out, flags, type, IN_DEV_ORCONF(in_dev, IPV4_DEVCONF_NOXFRM))
    if (rth === null) return -ENOBUFS
    rth.rt_iif = orig_oif
    rt_cache_stat.out_slow_tot++
    if (flags & (RTCF_BROADCAST | RTCF_MULTICAST) && flags & RTCF_LOCAL && !(dev_out.flags & IFF_LOOPBACK)) {
      rth.output = ip_mc_output
      rt_cache_stat.out_slow_mc++
    }
    rt_set_nexthop(rth, fl4.daddr, res, fnhe, fi, type, 0, do_cache)
    return rth
  },
)

/** looks a route up; the key `fl4` gets source address and device. A negative errno when there is none. */
export const ip_route_output_key_hash = kfunc(
  'ip_route_output_key_hash',
  (n: net, fl4: flowi4, skb: sk_buff | null): rtable | number => {
    const res = new fib_result()
    fl4.flowi4_iif = LOOPBACK_IFINDEX
    fl4.flowi4_tos &= INET_DSCP_MASK
    rcu_read_lock()
    const rth = ip_route_output_key_hash_rcu(n, fl4, res, skb)
    rcu_read_unlock()
    return rth
  },
)

export const ip_route_output_key_hash_rcu = kfunc(
  'ip_route_output_key_hash_rcu',
  (n: net, fl4: flowi4, res: fib_result, skb: sk_buff | null): rtable | number => {
    let dev_out: net_device | null = null
    let orig_oif = fl4.flowi4_oif
    let flags = 0
    if (fl4.saddr) {
      if (ipv4_is_multicast(fl4.saddr) || ipv4_is_lbcast(fl4.saddr)) return -EINVAL
      if (fl4.flowi4_oif === 0 && (ipv4_is_multicast(fl4.daddr) || ipv4_is_lbcast(fl4.daddr))) {
        // a group is reached by the device whose address the sender has taken
        dev_out = __ip_dev_find(n, fl4.saddr, false)
        if (dev_out === null) return -ENETUNREACH
        fl4.flowi4_oif = dev_out.ifindex
        return __mkroute_output(res, fl4, orig_oif, dev_out, flags)
      }
      if (!(fl4.flowi4_flags & FLOWI_FLAG_ANYSRC) && __ip_dev_find(n, fl4.saddr, false) === null) return -ENETUNREACH
    }
    if (fl4.flowi4_oif) {
      dev_out = dev_get_by_index_rcu(n, fl4.flowi4_oif)
      if (dev_out === null) return -ENODEV
      if (!(dev_out.flags & IFF_UP) || __in_dev_get_rcu(dev_out) === null) return -ENETUNREACH
      if (ipv4_is_local_multicast(fl4.daddr) || ipv4_is_lbcast(fl4.daddr) || fl4.flowi4_proto === IPPROTO_IGMP) {
        if (!fl4.saddr) fl4.saddr = inet_select_addr(dev_out, 0, RT_SCOPE_LINK)
        return __mkroute_output(res, fl4, orig_oif, dev_out, flags)
      }
      if (!fl4.saddr) {
        if (ipv4_is_multicast(fl4.daddr)) fl4.saddr = inet_select_addr(dev_out, 0, fl4.flowi4_scope)
        else if (!fl4.daddr) fl4.saddr = inet_select_addr(dev_out, 0, RT_SCOPE_HOST)
      }
    }
    if (!fl4.daddr) {
      fl4.daddr = fl4.saddr
      if (!fl4.daddr) {
        fl4.daddr = 0x7f000001
        fl4.saddr = 0x7f000001
      }
      dev_out = n.loopback_dev
      fl4.flowi4_oif = LOOPBACK_IFINDEX
      res.type = RTN_LOCAL
      flags |= RTCF_LOCAL
      return __mkroute_output(res, fl4, orig_oif, dev_out, flags)
    }
    const err = fib_lookup(n, fl4, res, 0)
    if (err) {
      res.fi = null
      res.table = null
      if (dev_out !== null && fl4.flowi4_oif && (ipv4_is_multicast(fl4.daddr) || !fl4.flowi4_l3mdev)) {
        // a device was asked for: it is assumed that the destination is on its link
        if (fl4.saddr === 0) fl4.saddr = inet_select_addr(dev_out, 0, RT_SCOPE_LINK)
        res.type = RTN_UNICAST
        return __mkroute_output(res, fl4, orig_oif, dev_out, flags)
      }
      return err
    }
    if (res.type === RTN_LOCAL) {
      if (!fl4.saddr) fl4.saddr = (res.fi as fib_info).fib_prefsrc || fl4.daddr
      dev_out = l3mdev_master_dev_rcu(FIB_RES_DEV(res) as net_device) ?? n.loopback_dev
      // the receiver is told the device that has the address, though the packet goes over lo
      orig_oif = FIB_RES_OIF(res)
      fl4.flowi4_oif = dev_out.ifindex
      flags |= RTCF_LOCAL
    } else {
      fib_select_path(n, res, fl4, skb)
      dev_out = FIB_RES_DEV(res) as net_device
    }
    return __mkroute_output(res, fl4, orig_oif, dev_out, flags)
  },
)

export const ip_route_output_flow = kfunc('ip_route_output_flow', (n: net, flp4: flowi4, sk: sock | null): rtable | number => {
  const rt = __ip_route_output_key(n, flp4)
  if (IS_ERR(rt)) return rt
  if (!flp4.flowi4_proto) return rt
  flp4.flowi4_oif = (rt.dev as net_device).ifindex
  return xfrm_lookup_route(n, rt, flowi4_to_flowi(flp4), sk, 0) as rtable | number
})

/** the metrics of a route are its fib_info's: nobody writes to them here */
const ipv4_cow_metrics = kfunc('ipv4_cow_metrics', (_dst: dst_entry, _old: dst_metrics): number[] | null => null)

const IDENTS = 32768

export const ip_rt_init = kfunc('ip_rt_init', (): number => {
  ip_idents_mask = IDENTS - 1
  ip_idents = new Map()
  ip_idents_boot = new random_table()
  ip_tstamps = new Map()
  fnhe_lock = new spinlock_t()
  rt_uncached_list = { lock: new spinlock_t(), head: new Set() }
  fnhe_hash_key = new siphash_key_t()
  rt_cache_stat = {
    in_slow_tot: 0,
    in_slow_mc: 0,
    in_no_route: 0,
    in_brd: 0,
    in_martian_dst: 0,
    in_martian_src: 0,
    out_slow_tot: 0,
    out_slow_mc: 0,
  }
  const kmem_cachep: kmem_cache = kmem_cache_create('rtable', 192, 0, SLAB_HWCACHE_ALIGN | SLAB_PANIC, null)
  ipv4_dst_ops = {
    family: AF_INET,
    alloc: () => new rtable(),
    check: ipv4_dst_check,
    default_advmss: ipv4_default_advmss,
    mtu: ipv4_mtu,
    cow_metrics: ipv4_cow_metrics,
    destroy: ipv4_dst_destroy,
    negative_advice: ipv4_negative_advice,
    link_failure: ipv4_link_failure,
    update_pmtu: ip_rt_update_pmtu,
    redirect: ip_do_redirect,
    local_out: __ip_local_out,
    neigh_lookup: ipv4_neigh_lookup,
    confirm_neigh: ipv4_confirm_neigh,
    gc_thresh: MAXINT,
    kmem_cachep,
    entries: 0,
  }
  _ipv4_dst_blackhole_ops = {
    family: AF_INET,
    alloc: () => new rtable(),
    default_advmss: ipv4_default_advmss,
    neigh_lookup: ipv4_neigh_lookup,
    check: dst_blackhole_check,
    cow_metrics: dst_blackhole_cow_metrics,
    update_pmtu: dst_blackhole_update_pmtu,
    redirect: dst_blackhole_redirect,
    mtu: dst_blackhole_mtu,
    kmem_cachep,
    entries: 0,
  }
  devinet_init()
  ip_fib_init()
  xfrm_init()
  xfrm4_init()
  register_pernet_subsys({
    init: (n: net): number => {
      n.ipv4.ip_rt_min_pmtu = 512 + 20 + 20
      n.ipv4.ip_rt_mtu_expires = 10 * 60 * HZ
      n.ipv4.ip_rt_min_advmss = 256
      n.ipv4.rt_genid = 0
      n.fnhe_genid = 0
      n.ipv4.peers = new_inet_peer_base()
      return 0
    },
  })
  return 0
})
