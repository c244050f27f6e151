import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracer } from '../../../trace/tracer.ts'
import {
  IFF_LOOPBACK,
  IFF_NOARP,
  IFF_UP,
  NETDEV_REGISTER,
  NUD_FAILED,
  NUD_VALID,
  SKB_DROP_REASON_IP_INADDRERRORS,
  SKB_DROP_REASON_IP_INNOROUTES,
  SKB_DROP_REASON_IP_OUTNOROUTES,
} from '../../include/generated/enums.ts'
import { EACCES, EAGAIN, EHOSTUNREACH, EINVAL, ENETDOWN, ENETUNREACH, ENODEV, ESRCH } from '../../include/linux/errno.ts'
import {
  ICMPV6_ADDR_UNREACH,
  ICMPV6_ADM_PROHIBITED,
  ICMPV6_DEST_UNREACH,
  ICMPV6_NOROUTE,
  icmpv6_is_err,
  SIZEOF_ICMP6HDR,
} from '../../include/linux/icmpv6.ts'
import {
  IPPROTO_ICMPV6,
  IPV6_ADDR_ANY,
  IPV6_ADDR_LINKLOCAL,
  IPV6_ADDR_LOOPBACK,
  IPV6_ADDR_MULTICAST,
  IPV6_ADDR_UNICAST,
  IPV6_MAXPLEN,
  IPV6_MIN_MTU,
  IPV6_PMTUDISC_DO,
  IPV6_PMTUDISC_INTERFACE,
  IPV6_PMTUDISC_OMIT,
  type in6_addr,
  in6addr_any,
  ipv6_addr_any,
  ipv6_addr_equal,
  ipv6_addr_is_multicast,
  ipv6_addr_prefix,
} from '../../include/linux/in6.ts'
import { IP6CB, IP6SKB_MULTIPATH, inet6_sk, ipv6_hdr, ipv6hdr, SIZEOF_IPV6HDR, sk_v6_daddr } from '../../include/linux/ipv6.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import {
  RTN_ANYCAST,
  RTN_BLACKHOLE,
  RTN_LOCAL,
  RTN_PROHIBIT,
  RTN_THROW,
  RTN_UNICAST,
  RTN_UNREACHABLE,
  RTNH_F_DEAD,
  RTNH_F_LINKDOWN,
  RTNH_F_ONLINK,
  RTPROT_BOOT,
  RTPROT_KERNEL,
} from '../../include/linux/rtnetlink.ts'
import { type sk_buff, skb_dst } from '../../include/linux/skbuff.ts'
import { AF_INET6 } from '../../include/linux/socket.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import { IS_ERR } from '../../include/linux/types.ts'
import { __in6_dev_get } from '../../include/net/addrconf.ts'
import {
  DST_NOCOUNT,
  DST_NOPOLICY,
  DST_OBSOLETE_FORCE_CHK,
  type dst_entry,
  dst_metric_locked,
  dst_metric_raw,
  dst_metrics,
  type dst_ops,
  RTAX_HOPLIMIT,
  RTAX_MTU,
} from '../../include/net/dst.ts'
import { FLOWI_FLAG_KNOWN_NH, flowi6, LOOPBACK_IFINDEX } from '../../include/net/flow.ts'
import type { inet6_dev } from '../../include/net/if_inet6.ts'
import {
  dst_rt6_info,
  fib6_config,
  fib6_info,
  type fib6_nh,
  type fib6_node,
  fib6_result,
  type fib6_table,
  IP6_RT_PRIO_USER,
  IPV6_DECODE_PREF,
  ip6_dst_idev,
  RT6_LOOKUP_F_DST_NOREF,
  RT6_LOOKUP_F_HAS_SADDR,
  RT6_LOOKUP_F_IFACE,
  RT6_LOOKUP_F_IGNORE_LINKSTATE,
  RT6_LOOKUP_F_REACHABLE,
  RT6_TABLE_LOCAL,
  RT6_TABLE_MAIN,
  RTF_ANYCAST,
  RTF_CACHE,
  RTF_DEFAULT,
  RTF_EXPIRES,
  RTF_GATEWAY,
  RTF_LOCAL,
  RTF_MODIFIED,
  RTF_NONEXTHOP,
  RTF_PCPU,
  RTF_REJECT,
  RTF_UP,
  rt6_info,
  rt6key,
} from '../../include/net/ip6_fib.ts'
import type { neighbour } from '../../include/net/neighbour.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { IP6_INC_STATS, net_ipv6 } from '../../include/net/netns_ipv6.ts'
import type { sock } from '../../include/net/sock.ts'
import { spin_lock_bh, spin_unlock_bh } from '../../kernel/locking/spinlock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { local_bh_disable, local_bh_enable } from '../../kernel/softirq.ts'
import { jiffies, time_after } from '../../kernel/time/timer.ts'
import { kmem_cache_create } from '../../mm/slub.ts'
import {
  dev_get_by_index_rcu,
  netdev_notifier_info_to_dev,
  netif_is_l3_master,
  type notifier_block,
  register_netdevice_notifier,
} from '../core/dev.ts'
import {
  dst_alloc,
  dst_cow_metrics_generic,
  dst_default_metrics,
  dst_dev_put,
  dst_discard,
  dst_discard_out,
  dst_hold,
  dst_hold_safe,
  dst_init_metrics,
  dst_metric_set,
  dst_mtu,
  dst_release,
  dst_release_immediate,
  dst_set_expires,
  skb_dst_drop,
  skb_dst_set_noref,
} from '../core/dst.ts'
import { FLOW_DISSECTOR_F_STOP_AT_ENCAP, flow_keys, KEY_IPV6_ADDRS, skb_flow_dissect_flow_keys } from '../core/flow_dissector.ts'
import { neigh_create } from '../core/neighbour.ts'
import { register_pernet_subsys } from '../core/net_namespace.ts'
import { kfree_skb, kfree_skb_reason } from '../core/skbuff.ts'
import { sk_dst_reset, sk_setup_caps } from '../core/sock.ts'
import { fib_multipath_hash_from_keys } from '../ipv4/fib_semantics.ts'
import { ip_dst_init_metrics, ip_dst_metrics_put } from '../ipv4/ip_output.ts'
import { l3mdev_master_dev_rcu, netif_is_l3_slave } from '../l3mdev/l3mdev.ts'
import { xfrm_lookup } from '../xfrm/xfrm_policy.ts'
import { in6_dev_get, in6_dev_put, ipv6_chk_addr, ipv6_dev_get_saddr } from './addrconf.ts'
import { ipv6_addr_type } from './addrconf_core.ts'
import { icmpv6_send } from './icmp.ts'
import {
  fib6_add,
  fib6_backtrack,
  fib6_check_expired,
  fib6_del,
  fib6_get_cookie_safe,
  fib6_get_table,
  fib6_info_hold_safe,
  fib6_info_release,
  fib6_new_table,
  fib6_node_lookup,
  fib6_routes,
  fib6_rule_lookup,
  fib6_tables_init,
  fib6_update_sernum,
  rt6_qualify_for_ecmp,
} from './ip6_fib.ts'
import { ip6_input, ip6_mc_input } from './ip6_input.ts'
import { ip6_forward, ip6_output } from './ip6_output.ts'
import { __ipv6_confirm_neigh, __ipv6_neigh_lookup, __ipv6_neigh_lookup_noref, nd_tbl } from './ndisc.ts'
import { __ip6_local_out } from './output_core.ts'

const IP6_MAX_MTU = 0xffff + SIZEOF_IPV6HDR
const GSO_BY_FRAGS = 0xffff
const SIZEOF_TCPHDR = 20
const RT6_NUD_FAIL_HARD = -3
const RT6_NUD_FAIL_PROBE = -2
const RT6_NUD_FAIL_DO_RR = -1
const RT6_NUD_SUCCEED = 1

// include/net/ip6_route.h and ip6_fib.h

export const rt6_need_strict = kfunc(
  'rt6_need_strict',
  (daddr: in6_addr): boolean => (ipv6_addr_type(daddr) & (IPV6_ADDR_MULTICAST | IPV6_ADDR_LINKLOCAL | IPV6_ADDR_LOOPBACK)) !== 0,
)
export const ip6_route_output = (n: net, sk: sock | null, fl6: flowi6): rt6_info => ip6_route_output_flags(n, sk, fl6, 0)

export const rt6_get_cookie = kfunc('rt6_get_cookie', (rt: rt6_info): number => {
  if (rt.sernum) return rt.sernum
  rcu_read_lock()
  const cookie = rt.from === null ? 0 : (fib6_get_cookie_safe(rt.from) ?? 0)
  rcu_read_unlock()
  return cookie
})

export const ip6_dst_store = kfunc(
  'ip6_dst_store',
  (sk: sock, dst: dst_entry, daddr: in6_addr | null, saddr_set: boolean): void => {
    const np = inet6_sk(sk)
    np.dst_cookie = rt6_get_cookie(dst_rt6_info(dst))
    sk_setup_caps(sk, dst)
    np.daddr_cache = daddr
    np.saddr_cache = saddr_set
  },
)

export const ip6_sk_dst_store_flow = kfunc('ip6_sk_dst_store_flow', (sk: sock, dst: dst_entry, fl6: flowi6): void => {
  const np = inet6_sk(sk)
  const daddr = sk_v6_daddr(sk)
  ip6_dst_store(sk, dst, ipv6_addr_equal(fl6.daddr, daddr) ? daddr : null, ipv6_addr_equal(fl6.saddr, np.saddr))
})

export const ipv6_unicast_destination = (skb: sk_buff): boolean =>
  (dst_rt6_info(skb_dst(skb) as dst_entry).rt6i_flags & RTF_LOCAL) !== 0

export const dst6_mtu = kfunc('dst6_mtu', (dst: dst_entry): number => {
  const { mtu } = dst.ops
  if (mtu === undefined) return 0
  if (tracer.on) traceIndirect('dst->ops->mtu', nameOf(mtu))
  return mtu(dst)
})
export const ip6_sk_accept_pmtu = (sk: sock): boolean => {
  const { pmtudisc } = inet6_sk(sk)
  return pmtudisc !== IPV6_PMTUDISC_INTERFACE && pmtudisc !== IPV6_PMTUDISC_OMIT
}
export const ip6_sk_ignore_df = (sk: sock): boolean => {
  const { pmtudisc } = inet6_sk(sk)
  return pmtudisc < IPV6_PMTUDISC_DO || pmtudisc === IPV6_PMTUDISC_OMIT
}
/** who gets the packet on the link */
export const rt6_nexthop = (rt: rt6_info, daddr: in6_addr): in6_addr => {
  if (rt.rt6i_flags & RTF_GATEWAY) return rt.rt6i_gateway
  return rt.rt6i_flags & RTF_CACHE ? rt.rt6i_dst.addr : daddr
}

export const ip6_dst_mtu_maybe_forward = kfunc('ip6_dst_mtu_maybe_forward', (dst: dst_entry, forwarding: boolean): number => {
  let mtu = 0
  if (!forwarding || dst_metric_locked(dst, RTAX_MTU)) mtu = dst_metric_raw(dst, RTAX_MTU)
  if (mtu === 0) {
    mtu = IPV6_MIN_MTU
    rcu_read_lock()
    const idev = __in6_dev_get(dst.dev as net_device)
    if (idev !== null) mtu = idev.cnf.mtu6
    rcu_read_unlock()
  }
  return Math.min(mtu, IP6_MAX_MTU)
})

/** the MTU as somebody set it, whatever a path turned out to carry: for the MSS that is announced */
const ip6_dst_mtu_configured = kfunc('ip6_dst_mtu_configured', (dst: dst_entry): number => {
  rcu_read_lock()
  let mtu = dst_rt6_info(dst).from?.fib6_pmtu ?? 0
  if (!mtu) {
    mtu = IPV6_MIN_MTU
    const idev = __in6_dev_get(dst.dev as net_device)
    if (idev !== null) mtu = Math.max(mtu, idev.cnf.mtu6)
  }
  rcu_read_unlock()
  return Math.min(mtu, IP6_MAX_MTU)
})

export const ip6_route_get_saddr = kfunc(
  'ip6_route_get_saddr',
  (n: net, f6i: fib6_info | null, daddr: in6_addr, prefs: number, l3mdev_index: number, saddr: in6_addr): number => {
    let err = 0
    rcu_read_lock()
    const l3mdev = l3mdev_index ? dev_get_by_index_rcu(n, l3mdev_index) : dev_get_by_index_rcu(n, 0)
    const dev = f6i !== null ? f6i.fib6_nh.fib_nh_dev : null
    const same_vrf = l3mdev === null || l3mdev_master_dev_rcu(dev) === l3mdev
    if (f6i?.fib6_prefsrc.plen && same_vrf) saddr.set(f6i.fib6_prefsrc.addr)
    else err = ipv6_dev_get_saddr(n, same_vrf ? dev : l3mdev, daddr, prefs, saddr)
    rcu_read_unlock()
    return err
  },
)

// net/ipv6/route.c

let rt6_uncached_list: Set<dst_entry> = new Set<dst_entry>()
let rt6_uncached_lock = new spinlock_t()

export const rt6_uncached_list_add = kfunc('rt6_uncached_list_add', (rt: rt6_info): void => {
  rt.rt_uncached_list = rt6_uncached_list
  spin_lock_bh(rt6_uncached_lock)
  rt6_uncached_list.add(rt)
  spin_unlock_bh(rt6_uncached_lock)
})
const rt6_uncached_list_del = kfunc('rt6_uncached_list_del', (rt: rt6_info): void => {
  if (rt.rt_uncached_list === null) return
  spin_lock_bh(rt6_uncached_lock)
  rt.rt_uncached_list.delete(rt)
  spin_unlock_bh(rt6_uncached_lock)
})

export const ip6_neigh_lookup = kfunc(
  'ip6_neigh_lookup',
  (gw: in6_addr, dev: net_device, skb: sk_buff | null, daddr: in6_addr | null): neighbour | null => {
    const to = !ipv6_addr_any(gw) ? gw : skb !== null ? ipv6_hdr(skb).daddr : daddr
    if (to === null) return null
    const known = __ipv6_neigh_lookup(dev, to)
    if (known !== null) return known
    const n = neigh_create(nd_tbl, to, dev)
    return IS_ERR(n) ? null : n
  },
)
const ip6_dst_neigh_lookup = kfunc(
  'ip6_dst_neigh_lookup',
  (dst: dst_entry, skb: sk_buff | null, daddr: number | Uint8Array | null): neighbour | null =>
    ip6_neigh_lookup(rt6_nexthop(dst_rt6_info(dst), in6addr_any), dst.dev as net_device, skb, daddr as in6_addr | null),
)
const ip6_confirm_neigh = kfunc('ip6_confirm_neigh', (dst: dst_entry, daddr_in: number | Uint8Array): void => {
  const dev = dst.dev as net_device
  const gw = rt6_nexthop(dst_rt6_info(dst), in6addr_any)
  const daddr = ipv6_addr_any(gw) ? (daddr_in as in6_addr) : gw
  if (dev.flags & (IFF_NOARP | IFF_LOOPBACK)) return
  if (ipv6_addr_is_multicast(daddr)) return
  __ipv6_confirm_neigh(dev, daddr)
})

const rt6_info_init = kfunc('rt6_info_init', (rt: rt6_info): void => {
  rt.from = null
  rt.sernum = 0
  rt.rt6i_idev = null
  rt.rt6i_flags = 0
})

export const ip6_dst_alloc = kfunc('ip6_dst_alloc', (n: net, dev: net_device, flags: number): rt6_info | null => {
  const rt = dst_alloc(net_ipv6(n).ip6_dst_ops, dev, DST_OBSOLETE_FORCE_CHK, flags) as rt6_info | null
  if (rt !== null) rt6_info_init(rt)
  return rt
})

const ip6_dst_destroy = kfunc('ip6_dst_destroy', (dst: dst_entry): void => {
  const rt = dst_rt6_info(dst)
  ip_dst_metrics_put(dst)
  rt6_uncached_list_del(rt)
  const idev = rt.rt6i_idev
  if (idev !== null) {
    rt.rt6i_idev = null
    in6_dev_put(idev)
  }
  const { from } = rt
  rt.from = null
  fib6_info_release(from)
})

const ip6_dst_ifdown = kfunc('ip6_dst_ifdown', (dst: dst_entry, _dev: net_device): void => {
  const rt = dst_rt6_info(dst)
  const { from } = rt
  rt.from = null
  fib6_info_release(from)
})

const __rt6_check_expired = (rt: rt6_info): boolean => (rt.rt6i_flags & RTF_EXPIRES) !== 0 && time_after(jiffies(), rt.expires)
const rt6_check_expired = kfunc('rt6_check_expired', (rt: rt6_info): boolean => {
  if (rt.rt6i_flags & RTF_EXPIRES) return time_after(jiffies(), rt.expires)
  return rt.from !== null && (rt.obsolete !== DST_OBSOLETE_FORCE_CHK || fib6_check_expired(rt.from))
})

const ip6_multipath_l3_keys = kfunc('ip6_multipath_l3_keys', (skb: sk_buff, keys: flow_keys, flkeys: flow_keys | null): void => {
  const outer = ipv6_hdr(skb)
  let key_iph = outer
  let found = flkeys
  if (outer.nexthdr === IPPROTO_ICMPV6) {
    // an error goes the way of the packet that it speaks of
    const inner = skb.transport_header + SIZEOF_ICMP6HDR
    const b = skb.head.bytes
    if (inner + SIZEOF_IPV6HDR <= skb.tail && icmpv6_is_err(b[skb.transport_header] ?? 0)) {
      key_iph = new ipv6hdr(b, inner)
      found = null
    }
  }
  keys.src.set(found?.src ?? key_iph.saddr)
  keys.dst.set(found?.dst ?? key_iph.daddr)
  keys.flow_label = found?.flow_label ?? key_iph.flowinfo & 0xfffff
  keys.ip_proto = found?.ip_proto ?? key_iph.nexthdr
})

/** 31 bits of a flow: its addresses and its label, with policy 1 its ports instead of that */
export const rt6_multipath_hash = kfunc(
  'rt6_multipath_hash',
  (n: net, fl6: flowi6, skb: sk_buff | null, flkeys: flow_keys | null): number => {
    const keys = new flow_keys()
    keys.addr_type = KEY_IPV6_ADDRS
    const by_ports = net_ipv6(n).sysctl.multipath_hash_policy === 1
    if (skb === null) {
      keys.src.set(fl6.saddr)
      keys.dst.set(fl6.daddr)
      keys.ip_proto = fl6.flowi6_proto
      if (by_ports) keys.ports = ((fl6.fl6_sport << 16) | fl6.fl6_dport) >>> 0
      else keys.flow_label = fl6.flowlabel & 0xfffff
    } else if (by_ports) {
      if (skb.l4_hash) return skb.hash >>> 1
      let found = flkeys
      if (found === null) {
        found = new flow_keys()
        skb_flow_dissect_flow_keys(skb, found, FLOW_DISSECTOR_F_STOP_AT_ENCAP)
      }
      keys.src.set(found.src)
      keys.dst.set(found.dst)
      keys.ports = found.ports
      keys.ip_proto = found.ip_proto
    } else ip6_multipath_l3_keys(skb, keys, flkeys)
    return fib_multipath_hash_from_keys(n, keys) >>> 1
  },
)

export const fib6_select_path = kfunc(
  'fib6_select_path',
  (n: net, res: fib6_result, fl6: flowi6, oif: number, have_oif_match: boolean, skb: sk_buff | null, strict: number): void => {
    let match = res.f6i as fib6_info
    if (match.fib6_nsiblings && !have_oif_match) {
      if (skb !== null) IP6CB(skb).flags |= IP6SKB_MULTIPATH
      if (!fl6.mp_hash) fl6.mp_hash = rt6_multipath_hash(n, fl6, skb, null)
      let first: fib6_info | null = match.fib6_node?.leaf ?? null
      while (first !== null && !(first.fib6_metric === match.fib6_metric && rt6_qualify_for_ecmp(first))) first = first.fib6_next
      if (first !== null) {
        if (fl6.mp_hash <= first.fib6_nh.fib_nh_upper_bound) {
          if (rt6_score_route(first.fib6_nh, first.fib6_flags, oif, strict) >= 0) match = first
        } else {
          for (const sibling of first.fib6_siblings) {
            if (fl6.mp_hash > sibling.fib6_nh.fib_nh_upper_bound) continue
            if (rt6_score_route(sibling.fib6_nh, sibling.fib6_flags, oif, strict) >= 0) match = sibling
            break
          }
        }
      }
      if (tracer.on) decide('fib6_select_path', 'path chosen by hash', { hash: fl6.mp_hash, siblings: match.fib6_nsiblings })
    }
    res.f6i = match
    res.nh = match.fib6_nh
  },
)

const __rt6_device_match = kfunc(
  '__rt6_device_match',
  (n: net, nh: fib6_nh, saddr: in6_addr, oif: number, flags: number): boolean => {
    if (nh.fib_nh_flags & RTNH_F_DEAD) return false
    const dev = nh.fib_nh_dev
    if (oif) return dev !== null && dev.ifindex === oif
    return ipv6_chk_addr(n, saddr, dev, flags & RT6_LOOKUP_F_IFACE) !== 0
  },
)

function from_f6i(res: fib6_result, f6i: fib6_info): void {
  res.f6i = f6i
  res.nh = f6i.fib6_nh
  res.fib6_type = f6i.fib6_type
  res.fib6_flags = f6i.fib6_flags
}

const rt6_device_match = kfunc(
  'rt6_device_match',
  (n: net, res: fib6_result, saddr: in6_addr, oif: number, flags: number): void => {
    const f6i = res.f6i as fib6_info
    if (!oif && ipv6_addr_any(saddr) && !(f6i.fib6_nh.fib_nh_flags & RTNH_F_DEAD)) {
      from_f6i(res, f6i)
      return
    }
    for (let sp: fib6_info | null = f6i; sp !== null; sp = sp.fib6_next)
      if (__rt6_device_match(n, sp.fib6_nh, saddr, oif, flags)) {
        from_f6i(res, sp)
        return
      }
    const dead = (oif && flags & RT6_LOOKUP_F_IFACE) || f6i.fib6_nh.fib_nh_flags & RTNH_F_DEAD
    from_f6i(res, dead ? net_ipv6(n).fib6_null_entry : f6i)
  },
)

/** asks a router that has not answered for long; at most once a minute */
const rt6_probe = kfunc('rt6_probe', (nh: fib6_nh): void => {
  if (!nh.fib_nh_gw_family) return
  const dev = nh.fib_nh_dev as net_device
  rcu_read_lock()
  const idev = __in6_dev_get(dev)
  const neigh = idev === null ? null : __ipv6_neigh_lookup_noref(dev, nh.fib_nh_gw6)
  if (
    idev !== null &&
    !(neigh !== null && neigh.nud_state & NUD_VALID) &&
    time_after(jiffies(), nh.last_probe + idev.cnf.rtr_probe_interval)
  )
    nh.last_probe = jiffies()
  rcu_read_unlock()
})

const rt6_check_neigh = kfunc('rt6_check_neigh', (nh: fib6_nh): number => {
  let ret = RT6_NUD_SUCCEED
  rcu_read_lock()
  const neigh = __ipv6_neigh_lookup_noref(nh.fib_nh_dev as net_device, nh.fib_nh_gw6)
  if (neigh !== null && !(neigh.nud_state & NUD_VALID) && neigh.nud_state & NUD_FAILED) ret = RT6_NUD_FAIL_PROBE
  rcu_read_unlock()
  return ret
})

const rt6_score_route = kfunc('rt6_score_route', (nh: fib6_nh, fib6_flags: number, oif: number, strict: number): number => {
  let m = 0
  if (!oif || nh.fib_nh_dev?.ifindex === oif) m = 2
  if (!m && strict & RT6_LOOKUP_F_IFACE) return RT6_NUD_FAIL_HARD
  m |= IPV6_DECODE_PREF(fib6_flags) << 2
  if (strict & RT6_LOOKUP_F_REACHABLE && !(fib6_flags & RTF_NONEXTHOP) && nh.fib_nh_gw_family) {
    const n = rt6_check_neigh(nh)
    if (n < 0) return n
  }
  return m
})

/** how good the best so far is, and whether the next look-up is to begin with another */
interface rr_state {
  mpri: number
  do_rr: boolean
  cont: fib6_info | null
}

const find_match = kfunc('find_match', (nh: fib6_nh, fib6_flags: number, oif: number, strict: number, s: rr_state): boolean => {
  if (nh.fib_nh_flags & RTNH_F_DEAD) return false
  const dev = nh.fib_nh_dev
  if (
    dev !== null &&
    __in6_dev_get(dev)?.cnf.ignore_routes_with_linkdown &&
    nh.fib_nh_flags & RTNH_F_LINKDOWN &&
    !(strict & RT6_LOOKUP_F_IGNORE_LINKSTATE)
  )
    return false
  let match_do_rr = false
  let m = rt6_score_route(nh, fib6_flags, oif, strict)
  if (m === RT6_NUD_FAIL_DO_RR) {
    match_do_rr = true
    m = 0
  } else if (m === RT6_NUD_FAIL_HARD) return false
  if (strict & RT6_LOOKUP_F_REACHABLE) rt6_probe(nh)
  if (m <= s.mpri) return false
  s.do_rr = match_do_rr
  s.mpri = m
  return true
})

const __find_rr_leaf = kfunc(
  '__find_rr_leaf',
  (
    f6i_start: fib6_info,
    nomatch: fib6_info | null,
    metric: number,
    res: fib6_result,
    want_cont: boolean,
    oif: number,
    strict: number,
    s: rr_state,
  ): void => {
    for (let f6i: fib6_info | null = f6i_start; f6i !== null && f6i !== nomatch; f6i = f6i.fib6_next) {
      if (want_cont && f6i.fib6_metric !== metric) {
        s.cont = f6i
        return
      }
      if (fib6_check_expired(f6i)) continue
      if (find_match(f6i.fib6_nh, f6i.fib6_flags, oif, strict, s)) from_f6i(res, f6i)
    }
  },
)

const find_rr_leaf = kfunc(
  'find_rr_leaf',
  (leaf: fib6_info, rr_head: fib6_info, oif: number, strict: number, res: fib6_result): boolean => {
    const s: rr_state = { mpri: -1, do_rr: false, cont: null }
    const metric = rr_head.fib6_metric
    __find_rr_leaf(rr_head, null, metric, res, true, oif, strict, s)
    __find_rr_leaf(leaf, rr_head, metric, res, true, oif, strict, s)
    if (res.f6i === null && s.cont !== null) __find_rr_leaf(s.cont, null, metric, res, false, oif, strict, s)
    return s.do_rr
  },
)

const rt6_select = kfunc('rt6_select', (n: net, fn: fib6_node, oif: number, res: fib6_result, strict: number): void => {
  const { leaf } = fn
  const { fib6_null_entry } = net_ipv6(n)
  res.f6i = null
  if (leaf !== null && leaf !== fib6_null_entry) {
    const rt0 = fn.rr_ptr ?? leaf
    if (fn.fn_bit === rt0.fib6_dst.plen && find_rr_leaf(leaf, rt0, oif, strict, res)) {
      let next = rt0.fib6_next
      if (next === null || next.fib6_metric !== rt0.fib6_metric) next = leaf
      if (next !== rt0) {
        spin_lock_bh(leaf.fib6_table.tb6_lock)
        if (next.fib6_node !== null) fn.rr_ptr = next
        spin_unlock_bh(leaf.fib6_table.tb6_lock)
      }
    }
  }
  if (res.f6i === null) from_f6i(res, fib6_null_entry)
})

/** the device that packets of the route leave by: local ones by lo */
const ip6_rt_get_dev_rcu = kfunc('ip6_rt_get_dev_rcu', (res: fib6_result): net_device => {
  const dev = res.nh.fib_nh_dev as net_device
  if (res.fib6_flags & (RTF_LOCAL | RTF_ANYCAST)) {
    if (netif_is_l3_slave(dev) && !rt6_need_strict((res.f6i as fib6_info).fib6_dst.addr))
      return l3mdev_master_dev_rcu(dev) ?? dev.nd_net.loopback_dev
    if (!netif_is_l3_master(dev)) return dev.nd_net.loopback_dev
  }
  return dev
})

const ip6_rt_type_to_error = (type: number): number => {
  switch (type) {
    case RTN_BLACKHOLE:
      return -EINVAL
    case RTN_UNREACHABLE:
      return -EHOSTUNREACH
    case RTN_PROHIBIT:
      return -EACCES
    case RTN_THROW:
      return -EAGAIN
  }
  return 0
}

const fib6_info_dst_flags = (f6i: fib6_info): number =>
  (f6i.dst_nocount ? DST_NOCOUNT : 0) | (f6i.dst_nopolicy ? DST_NOPOLICY : 0)

const ip6_rt_init_dst_reject = kfunc('ip6_rt_init_dst_reject', (rt: rt6_info, type: number): void => {
  rt.error = ip6_rt_type_to_error(type)
  switch (type) {
    case RTN_BLACKHOLE:
      rt.output = dst_discard_out
      rt.input = dst_discard
      break
    case RTN_PROHIBIT:
      rt.output = ip6_pkt_prohibit_out
      rt.input = ip6_pkt_prohibit
      break
    default:
      rt.output = ip6_pkt_discard_out
      rt.input = ip6_pkt_discard
  }
})

const ip6_rt_init_dst = kfunc('ip6_rt_init_dst', (rt: rt6_info, res: fib6_result): void => {
  if (res.fib6_flags & RTF_REJECT) {
    ip6_rt_init_dst_reject(rt, res.fib6_type)
    return
  }
  rt.error = 0
  rt.output = ip6_output
  if (res.fib6_type === RTN_LOCAL || res.fib6_type === RTN_ANYCAST) rt.input = ip6_input
  else if (ipv6_addr_type((res.f6i as fib6_info).fib6_dst.addr) & IPV6_ADDR_MULTICAST) rt.input = ip6_mc_input
  else rt.input = ip6_forward
  rt.lastuse = jiffies()
})

const rt6_set_from = kfunc('rt6_set_from', (rt: rt6_info, from: fib6_info): void => {
  rt.rt6i_flags &= ~RTF_EXPIRES
  rt.from = from
  ip_dst_init_metrics(rt, from.fib6_metrics)
})

const ip6_rt_copy_init = kfunc('ip6_rt_copy_init', (rt: rt6_info, res: fib6_result): void => {
  const { nh } = res
  const f6i = res.f6i as fib6_info
  ip6_rt_init_dst(rt, res)
  rt.rt6i_dst = new rt6key(f6i.fib6_dst.addr.slice(), f6i.fib6_dst.plen)
  rt.rt6i_idev = nh.fib_nh_dev !== null ? in6_dev_get(nh.fib_nh_dev) : null
  rt.rt6i_flags = res.fib6_flags
  if (nh.fib_nh_gw_family) {
    rt.rt6i_gateway = nh.fib_nh_gw6.slice()
    rt.rt6i_flags |= RTF_GATEWAY
  }
  rt6_set_from(rt, f6i)
  rt.rt6i_src = f6i.fib6_src
})

const ip6_hold_safe = kfunc('ip6_hold_safe', (n: net, rt: rt6_info): rt6_info => {
  if (dst_hold_safe(rt)) return rt
  dst_hold(net_ipv6(n).ip6_null_entry)
  return net_ipv6(n).ip6_null_entry
})

const ip6_create_rt_rcu = kfunc('ip6_create_rt_rcu', (res: fib6_result): rt6_info => {
  const dev = res.nh.fib_nh_dev as net_device
  const f6i = res.f6i as fib6_info
  if (fib6_info_hold_safe(f6i)) {
    const nrt = ip6_dst_alloc(dev.nd_net, dev, fib6_info_dst_flags(f6i))
    if (nrt !== null) {
      ip6_rt_copy_init(nrt, res)
      return nrt
    }
    fib6_info_release(f6i)
  }
  const null_entry = net_ipv6(dev.nd_net).ip6_null_entry
  dst_hold(null_entry)
  return null_entry
})

const ip6_pol_route_lookup = kfunc(
  'ip6_pol_route_lookup',
  (n: net, table: fib6_table, fl6: flowi6, skb: sk_buff | null, flags: number): rt6_info => {
    const res = new fib6_result()
    const { fib6_null_entry, ip6_null_entry } = net_ipv6(n)
    rcu_read_lock()
    let fn: fib6_node | null = fib6_node_lookup(table, fl6.daddr, fl6.saddr)
    for (; fn !== null; fn = fib6_backtrack(table, fn, fl6.saddr)) {
      res.f6i = fn.leaf ?? fib6_null_entry
      if (fn.leaf !== null) rt6_device_match(n, res, fl6.saddr, fl6.flowi6_oif, flags)
      if (res.f6i !== fib6_null_entry) break
    }
    let rt: rt6_info | null = null
    if (fn === null) {
      rt = ip6_null_entry
      dst_hold(rt)
    } else {
      if (!(res.fib6_flags & RTF_REJECT)) {
        fib6_select_path(n, res, fl6, fl6.flowi6_oif, fl6.flowi6_oif !== 0, skb, flags)
        rt = rt6_find_cached_rt(res, fl6.daddr, fl6.saddr)
        if (rt !== null) rt = ip6_hold_safe(n, rt)
      }
      rt ??= ip6_create_rt_rcu(res)
    }
    rcu_read_unlock()
    return rt
  },
)

/** a route of the caller's own; null when there is none */
export const rt6_lookup = kfunc(
  'rt6_lookup',
  (n: net, daddr: in6_addr, saddr: in6_addr | null, oif: number, skb: sk_buff | null, strict: number): rt6_info | null => {
    const fl6 = new flowi6()
    let flags = strict ? RT6_LOOKUP_F_IFACE : 0
    fl6.flowi6_oif = oif
    fl6.daddr.set(daddr)
    if (saddr !== null) {
      fl6.saddr.set(saddr)
      flags |= RT6_LOOKUP_F_HAS_SADDR
    }
    const dst = fib6_rule_lookup(n, fl6, skb, flags, ip6_pol_route_lookup)
    if (dst.error === 0) return dst
    dst_release(dst)
    return null
  },
)

const __ip6_ins_rt = kfunc('__ip6_ins_rt', (rt: fib6_info, n: net, nlflags: number): number => {
  const table = rt.fib6_table
  spin_lock_bh(table.tb6_lock)
  const err = fib6_add(table, rt, n, nlflags)
  spin_unlock_bh(table.tb6_lock)
  return err
})
export const ip6_ins_rt = kfunc('ip6_ins_rt', (n: net, rt: fib6_info): number => __ip6_ins_rt(rt, n, 0))

const rt6_is_gw_or_nonexthop = (res: fib6_result): boolean =>
  ((res.f6i as fib6_info).fib6_flags & RTF_NONEXTHOP) !== 0 || res.nh.fib_nh_gw_family !== 0

const ip6_rt_cache_alloc = kfunc(
  'ip6_rt_cache_alloc',
  (res: fib6_result, daddr: in6_addr, _saddr: in6_addr | null): rt6_info | null => {
    const f6i = res.f6i as fib6_info
    if (!fib6_info_hold_safe(f6i)) return null
    const dev = ip6_rt_get_dev_rcu(res)
    const rt = ip6_dst_alloc(dev.nd_net, dev, 0)
    if (rt === null) {
      fib6_info_release(f6i)
      return null
    }
    ip6_rt_copy_init(rt, res)
    rt.rt6i_flags |= RTF_CACHE
    rt.rt6i_dst = new rt6key(daddr.slice(), 128)
    if (!rt6_is_gw_or_nonexthop(res) && f6i.fib6_dst.plen !== 128 && ipv6_addr_equal(f6i.fib6_dst.addr, daddr))
      rt.rt6i_flags |= RTF_ANYCAST
    return rt
  },
)

const ip6_rt_pcpu_alloc = kfunc('ip6_rt_pcpu_alloc', (res: fib6_result): rt6_info | null => {
  const f6i = res.f6i as fib6_info
  const flags = fib6_info_dst_flags(f6i)
  if (!fib6_info_hold_safe(f6i)) return null
  rcu_read_lock()
  const dev = ip6_rt_get_dev_rcu(res)
  const pcpu_rt = ip6_dst_alloc(dev.nd_net, dev, flags | DST_NOCOUNT)
  rcu_read_unlock()
  if (pcpu_rt === null) {
    fib6_info_release(f6i)
    return null
  }
  ip6_rt_copy_init(pcpu_rt, res)
  pcpu_rt.rt6i_flags |= RTF_PCPU
  return pcpu_rt
})

const rt6_get_pcpu_route = kfunc('rt6_get_pcpu_route', (res: fib6_result): rt6_info | null => res.nh.rt6i_pcpu)
const rt6_make_pcpu_route = kfunc('rt6_make_pcpu_route', (_n: net, res: fib6_result): rt6_info | null => {
  const pcpu_rt = ip6_rt_pcpu_alloc(res)
  if (pcpu_rt !== null) res.nh.rt6i_pcpu = pcpu_rt
  return pcpu_rt
})

const __rt6_find_exception_rcu = kfunc('__rt6_find_exception_rcu', (nh: fib6_nh, daddr: in6_addr): rt6_info | null => {
  const bucket = nh.rt6i_exception_bucket
  if (bucket === null) return null
  for (const { rt6i } of bucket) if (ipv6_addr_equal(daddr, rt6i.rt6i_dst.addr)) return rt6i
  return null
})

/** what a router has said of this destination */
const rt6_find_cached_rt = kfunc(
  'rt6_find_cached_rt',
  (res: fib6_result, daddr: in6_addr, _saddr: in6_addr | null): rt6_info | null => {
    const rt = __rt6_find_exception_rcu(res.nh, daddr)
    return rt !== null && !rt6_check_expired(rt) ? rt : null
  },
)

const fib6_mtu = kfunc('fib6_mtu', (res: fib6_result): number => {
  let mtu = (res.f6i as fib6_info).fib6_pmtu
  if (!mtu) {
    rcu_read_lock()
    mtu = __in6_dev_get(res.nh.fib_nh_dev as net_device)?.cnf.mtu6 ?? IPV6_MIN_MTU
    rcu_read_unlock()
  }
  return Math.min(mtu, IP6_MAX_MTU)
})

const rt6_remove_exception = kfunc('rt6_remove_exception', (nh: fib6_nh, rt: rt6_info): void => {
  const b = nh.rt6i_exception_bucket
  if (b === null) return
  const at = b.findIndex((e) => e.rt6i === rt)
  if (at < 0) return
  b.splice(at, 1)
  const { from } = rt
  rt.from = null
  fib6_info_release(from)
  dst_dev_put(rt)
  dst_release(rt)
})

const rt6_insert_exception = kfunc('rt6_insert_exception', (nrt: rt6_info, res: fib6_result): number => {
  const f6i = res.f6i as fib6_info
  const { nh } = res
  if (dst_metric_raw(nrt, RTAX_MTU) >= fib6_mtu(res)) return -EINVAL
  const old = __rt6_find_exception_rcu(nh, nrt.rt6i_dst.addr)
  if (old !== null) rt6_remove_exception(nh, old)
  nh.rt6i_exception_bucket ??= []
  nh.rt6i_exception_bucket.unshift({ rt6i: nrt, stamp: jiffies() })
  spin_lock_bh(f6i.fib6_table.tb6_lock)
  fib6_update_sernum((nrt.dev as net_device).nd_net, f6i)
  spin_unlock_bh(f6i.fib6_table.tb6_lock)
  return 0
})

const rt6_remove_exception_rt = kfunc('rt6_remove_exception_rt', (rt: rt6_info): number => {
  const { from } = rt
  if (from === null || !(rt.rt6i_flags & RTF_CACHE)) return -EINVAL
  rt6_remove_exception(from.fib6_nh, rt)
  return 0
})

export const fib6_table_lookup = kfunc(
  'fib6_table_lookup',
  (n: net, table: fib6_table, oif: number, fl6: flowi6, res: fib6_result, strict_in: number): number => {
    const { fib6_null_entry } = net_ipv6(n)
    let strict = strict_in
    const saved_fn = fib6_node_lookup(table, fl6.daddr, fl6.saddr)
    let fn: fib6_node = saved_fn
    for (;;) {
      rt6_select(n, fn, oif, res, strict)
      if (res.f6i !== fib6_null_entry) break
      const up = fib6_backtrack(table, fn, fl6.saddr)
      if (up !== null) fn = up
      else if (strict & RT6_LOOKUP_F_REACHABLE) {
        // a router that does not answer is better than none
        strict &= ~RT6_LOOKUP_F_REACHABLE
        fn = saved_fn
      } else break
    }
    return 0
  },
)

export const ip6_pol_route = kfunc(
  'ip6_pol_route',
  (n: net, table: fib6_table, oif: number, fl6: flowi6, skb: sk_buff | null, flags: number): rt6_info => {
    const res = new fib6_result()
    const { devconf_all, fib6_null_entry, ip6_null_entry } = net_ipv6(n)
    let rt: rt6_info | null = null
    let strict = flags & (RT6_LOOKUP_F_IFACE | RT6_LOOKUP_F_IGNORE_LINKSTATE)
    if (devconf_all.forwarding === 0) strict |= RT6_LOOKUP_F_REACHABLE

    rcu_read_lock()

    fib6_table_lookup(n, table, oif, fl6, res, strict)
    if (res.f6i !== fib6_null_entry) {
      const have_oif_match = fl6.flowi6_iif === LOOPBACK_IFINDEX && oif === res.nh.fib_nh_dev?.ifindex
      fib6_select_path(n, res, fl6, oif, have_oif_match, skb, strict)

      rt = rt6_find_cached_rt(res, fl6.daddr, fl6.saddr)
      if (rt === null) {
        if (fl6.flowi6_flags & FLOWI_FLAG_KNOWN_NH && !res.nh.fib_nh_gw_family) {
          rt = ip6_rt_cache_alloc(res, fl6.daddr, null)
          if (rt !== null) {
            rt6_uncached_list_add(rt)
            rcu_read_unlock()
            return rt
          }
        } else {
          local_bh_disable()
          rt = rt6_get_pcpu_route(res) ?? rt6_make_pcpu_route(n, res)
          local_bh_enable()
        }
      }
    }
    rt ??= ip6_null_entry
    if (!(flags & RT6_LOOKUP_F_DST_NOREF)) rt = ip6_hold_safe(n, rt)

    rcu_read_unlock()
    if (tracer.on)
      decide('ip6_pol_route', rt === ip6_null_entry ? 'no route in this table' : 'route found', {
        table: table.tb6_id,
        plen: rt.rt6i_dst.plen,
        dev: rt.dev?.name ?? '',
      })
    return rt
  },
)

const ip6_pol_route_input = kfunc(
  'ip6_pol_route_input',
  (n: net, table: fib6_table, fl6: flowi6, skb: sk_buff | null, flags: number): rt6_info =>
    ip6_pol_route(n, table, fl6.flowi6_iif, fl6, skb, flags),
)

export const ip6_route_input_lookup = kfunc(
  'ip6_route_input_lookup',
  (n: net, _dev: net_device, fl6: flowi6, skb: sk_buff, flags_in: number): rt6_info => {
    const flags = rt6_need_strict(fl6.daddr) ? flags_in | RT6_LOOKUP_F_IFACE : flags_in
    return fib6_rule_lookup(n, fl6, skb, flags, ip6_pol_route_input)
  },
)

export const ip6_route_input = kfunc('ip6_route_input', (skb: sk_buff): void => {
  const iph = ipv6_hdr(skb)
  const dev = skb.dev as net_device
  const n = dev.nd_net
  const fl6 = new flowi6()
  fl6.flowi6_iif = dev.ifindex
  fl6.daddr.set(iph.daddr)
  fl6.saddr.set(iph.saddr)
  fl6.flowlabel = iph.flowinfo
  fl6.flowi6_mark = skb.mark
  fl6.flowi6_proto = iph.nexthdr
  if (fl6.flowi6_proto === IPPROTO_ICMPV6) fl6.mp_hash = rt6_multipath_hash(n, fl6, skb, null)
  skb_dst_drop(skb)
  skb_dst_set_noref(skb, ip6_route_input_lookup(n, dev, fl6, skb, RT6_LOOKUP_F_HAS_SADDR | RT6_LOOKUP_F_DST_NOREF))
})

const ip6_pol_route_output = kfunc(
  'ip6_pol_route_output',
  (n: net, table: fib6_table, fl6: flowi6, skb: sk_buff | null, flags: number): rt6_info =>
    ip6_pol_route(n, table, fl6.flowi6_oif, fl6, skb, flags),
)

const l3mdev_link_scope_lookup = kfunc('l3mdev_link_scope_lookup', (n: net, fl6: flowi6): null => {
  rcu_read_lock()
  if (fl6.flowi6_oif) dev_get_by_index_rcu(n, fl6.flowi6_oif)
  rcu_read_unlock()
  return null
})

const ip6_route_output_flags_noref = kfunc(
  'ip6_route_output_flags_noref',
  (n: net, sk: sock | null, fl6: flowi6, flags_in: number): rt6_info => {
    let flags = flags_in
    if (ipv6_addr_type(fl6.daddr) & (IPV6_ADDR_MULTICAST | IPV6_ADDR_LINKLOCAL)) l3mdev_link_scope_lookup(n, fl6)

    fl6.flowi6_iif = LOOPBACK_IFINDEX

    flags |= RT6_LOOKUP_F_DST_NOREF
    const any_src = ipv6_addr_any(fl6.saddr)
    if (sk?.sk_bound_dev_if || rt6_need_strict(fl6.daddr) || (fl6.flowi6_oif && any_src)) flags |= RT6_LOOKUP_F_IFACE

    if (!any_src) flags |= RT6_LOOKUP_F_HAS_SADDR
    else if (sk !== null) flags |= (inet6_sk(sk).srcprefs & 7) << 3

    return fib6_rule_lookup(n, fl6, null, flags, ip6_pol_route_output)
  },
)

/** the route to fl6.daddr, with a reference; its `error` says when there is none */
export const ip6_route_output_flags = kfunc(
  'ip6_route_output_flags',
  (n: net, sk: sock | null, fl6: flowi6, flags: number): rt6_info => {
    rcu_read_lock()
    let rt6 = ip6_route_output_flags_noref(n, sk, fl6, flags)
    if (rt6.rt_uncached_list === null && !dst_hold_safe(rt6)) {
      rt6 = net_ipv6(n).ip6_null_entry
      dst_hold(rt6)
    }
    rcu_read_unlock()
    return rt6
  },
)

const fib6_check = (f6i: fib6_info, cookie: number): boolean => fib6_get_cookie_safe(f6i) === cookie && !fib6_check_expired(f6i)

const rt6_check = kfunc('rt6_check', (rt: rt6_info, from: fib6_info | null, cookie: number): dst_entry | null => {
  if (from === null || fib6_get_cookie_safe(from) !== cookie) return null
  return rt6_check_expired(rt) ? null : rt
})

const rt6_dst_from_check = kfunc('rt6_dst_from_check', (rt: rt6_info, from: fib6_info, cookie: number): dst_entry | null =>
  !__rt6_check_expired(rt) && rt.obsolete === DST_OBSOLETE_FORCE_CHK && fib6_check(from, cookie) ? rt : null,
)

/** a cached route, if nothing has changed since its `cookie`; else null */
export const ip6_dst_check = kfunc('ip6_dst_check', (dst: dst_entry, cookie: number): dst_entry | null => {
  const rt = dst_rt6_info(dst)
  rcu_read_lock()
  const { from } = rt
  const ret =
    from !== null && (rt.rt6i_flags & RTF_PCPU || rt.rt_uncached_list !== null)
      ? rt6_dst_from_check(rt, from, cookie)
      : rt6_check(rt, from, cookie)
  rcu_read_unlock()
  return ret
})

const ip6_negative_advice = kfunc('ip6_negative_advice', (sk: sock, dst: dst_entry): void => {
  const rt = dst_rt6_info(dst)
  if (rt.rt6i_flags & RTF_CACHE) {
    rcu_read_lock()
    if (rt6_check_expired(rt)) {
      sk_dst_reset(sk)
      rt6_remove_exception_rt(rt)
    }
    rcu_read_unlock()
    return
  }
  sk_dst_reset(sk)
})

const ip6_link_failure = kfunc('ip6_link_failure', (skb: sk_buff): void => {
  icmpv6_send(skb, ICMPV6_DEST_UNREACH, ICMPV6_ADDR_UNREACH, 0)
  const rt = skb_dst(skb) as rt6_info | null
  if (rt === null) return
  rcu_read_lock()
  if (rt.rt6i_flags & RTF_CACHE) rt6_remove_exception_rt(rt)
  else if (rt.from?.fib6_node && rt.rt6i_flags & RTF_DEFAULT) rt.from.fib6_node.fn_sernum = -1
  rcu_read_unlock()
})

const rt6_update_expires = kfunc('rt6_update_expires', (rt0: rt6_info, timeout: number): void => {
  if (!(rt0.rt6i_flags & RTF_EXPIRES)) {
    rcu_read_lock()
    if (rt0.from !== null) rt0.expires = rt0.from.expires
    rcu_read_unlock()
  }
  dst_set_expires(rt0, timeout)
  rt0.rt6i_flags |= RTF_EXPIRES
})

const rt6_do_update_pmtu = kfunc('rt6_do_update_pmtu', (rt: rt6_info, mtu: number): void => {
  dst_metric_set(rt, RTAX_MTU, mtu)
  rt.rt6i_flags |= RTF_MODIFIED
  rt6_update_expires(rt, net_ipv6((rt.dev as net_device).nd_net).sysctl.ip6_rt_mtu_expires)
})

const __ip6_rt_update_pmtu = kfunc(
  '__ip6_rt_update_pmtu',
  (dst: dst_entry, sk: sock | null, iph: ipv6hdr | null, mtu: number, confirm_neigh: boolean): void => {
    const rt6 = dst_rt6_info(dst)
    const daddr = iph !== null ? iph.daddr : sk !== null ? sk_v6_daddr(sk) : null
    const saddr = iph !== null ? iph.saddr : sk !== null ? inet6_sk(sk).saddr : null
    if (confirm_neigh && daddr !== null) dst.ops.confirm_neigh?.(dst, daddr)
    if (mtu < IPV6_MIN_MTU || mtu >= dst6_mtu(dst)) return
    if (tracer.on) decide('__ip6_rt_update_pmtu', 'a router says less passes', { mtu })
    if (rt6.rt6i_flags & RTF_CACHE || !(rt6.rt6i_flags & RTF_PCPU || rt6.from !== null)) {
      rt6_do_update_pmtu(rt6, mtu)
    } else if (daddr !== null) {
      rcu_read_lock()
      if (rt6.from !== null) {
        const res = new fib6_result()
        from_f6i(res, rt6.from)
        const nrt6 = ip6_rt_cache_alloc(res, daddr, saddr)
        if (nrt6 !== null) {
          rt6_do_update_pmtu(nrt6, mtu)
          if (rt6_insert_exception(nrt6, res)) dst_release_immediate(nrt6)
        }
      }
      rcu_read_unlock()
    }
  },
)

const ip6_rt_update_pmtu = kfunc(
  'ip6_rt_update_pmtu',
  (dst: dst_entry, sk: sock | null, skb: sk_buff | null, mtu: number, confirm_neigh: boolean): void => {
    __ip6_rt_update_pmtu(dst, sk, skb !== null ? ipv6_hdr(skb) : null, mtu, confirm_neigh)
  },
)

export const ip6_update_pmtu = kfunc(
  'ip6_update_pmtu',
  (skb: sk_buff, n: net, mtu: number, oif: number, mark: number, uid: number): void => {
    const iph = new ipv6hdr(skb.head.bytes, skb.data)
    const fl6 = new flowi6()
    fl6.flowi6_oif = oif
    fl6.flowi6_mark = mark || (net_ipv6(n).sysctl.fwmark_reflect ? skb.mark : 0)
    fl6.daddr.set(iph.daddr)
    fl6.saddr.set(iph.saddr)
    fl6.flowlabel = iph.flowinfo
    fl6.flowi6_uid = uid
    const dst = ip6_route_output(n, null, fl6)
    if (!dst.error) __ip6_rt_update_pmtu(dst, null, iph, mtu, true)
    dst_release(dst)
  },
)

export const ip6_sk_update_pmtu = kfunc('ip6_sk_update_pmtu', (skb: sk_buff, sk: sock, mtu: number): void => {
  ip6_update_pmtu(skb, sk.sk_net, mtu, sk.sk_bound_dev_if, sk.sk_mark, sk.sk_uid)
})

/** redirects are not followed: the wire here has no router that sends one */
const rt6_do_redirect = kfunc('rt6_do_redirect', (_dst: dst_entry, _sk: sock | null, _skb: sk_buff): void => {})
export const ip6_redirect = kfunc('ip6_redirect', (_skb: sk_buff, _n: net, _oif: number, _mark: number, _uid: number): void => {})
export const ip6_sk_redirect = kfunc('ip6_sk_redirect', (skb: sk_buff, sk: sock): void => {
  ip6_redirect(skb, sk.sk_net, skb.dev?.ifindex ?? 0, sk.sk_mark, sk.sk_uid)
})

const ip6_default_advmss = kfunc('ip6_default_advmss', (dst: dst_entry): number => {
  const dev = dst.dev as net_device
  let mtu = ip6_dst_mtu_configured(dst)
  mtu -= SIZEOF_IPV6HDR + SIZEOF_TCPHDR
  rcu_read_lock()
  const { ip6_rt_min_advmss } = net_ipv6(dev.nd_net).sysctl
  if (mtu < ip6_rt_min_advmss) mtu = ip6_rt_min_advmss
  rcu_read_unlock()
  if (mtu > IPV6_MAXPLEN - SIZEOF_TCPHDR) mtu = Math.min(IPV6_MAXPLEN, GSO_BY_FRAGS - 1)
  return mtu
})

export const ip6_mtu = kfunc('ip6_mtu', (dst: dst_entry): number => ip6_dst_mtu_maybe_forward(dst, false))

/** a route for one message of neighbour discovery */
export const icmp6_dst_alloc = kfunc('icmp6_dst_alloc', (dev: net_device, fl6: flowi6): dst_entry | number => {
  const idev = in6_dev_get(dev)
  if (idev === null) return -ENODEV
  const rt = ip6_dst_alloc(dev.nd_net, dev, 0)
  if (rt === null) {
    in6_dev_put(idev)
    return -12
  }
  rt.input = ip6_input
  rt.output = ip6_output
  rt.rt6i_gateway = fl6.daddr.slice()
  rt.rt6i_dst = new rt6key(fl6.daddr.slice(), 128)
  rt.rt6i_idev = idev
  dst_metric_set(rt, RTAX_HOPLIMIT, 0)
  rt6_uncached_list_add(rt)
  return xfrm_lookup(dev.nd_net, rt, fl6, null, 0)
})

const ip6_dst_gc = kfunc('ip6_dst_gc', (_ops: dst_ops): void => {})

// ---- changes to the tables

const fib6_is_reject = (flags: number, dev: net_device | null, addr_type: number): boolean =>
  (flags & RTF_REJECT) !== 0 ||
  (dev !== null && (dev.flags & IFF_LOOPBACK) !== 0 && !(addr_type & IPV6_ADDR_LOOPBACK) && !(flags & (RTF_ANYCAST | RTF_LOCAL)))

/** a router must be reachable without another router; 0 or -EINVAL, -EHOSTUNREACH */
const ip6_validate_gw = kfunc(
  'ip6_validate_gw',
  (n: net, cfg: fib6_config, dev: net_device | null): { err: number; dev: net_device | null } => {
    const gwa_type = ipv6_addr_type(cfg.fc_gateway)
    if (dev !== null && ipv6_chk_addr(n, cfg.fc_gateway, dev, 0)) return { err: -EINVAL, dev }
    if (gwa_type !== (IPV6_ADDR_LINKLOCAL | IPV6_ADDR_UNICAST)) {
      if (!(gwa_type & IPV6_ADDR_UNICAST)) return { err: -EINVAL, dev }
      if (!(cfg.fc_flags & RTNH_F_ONLINK)) {
        const rt = rt6_lookup(n, cfg.fc_gateway, null, dev?.ifindex ?? 0, null, 1)
        if (rt === null) return { err: -EHOSTUNREACH, dev }
        const found = rt.rt6i_flags & RTF_LOCAL ? (rt.rt6i_idev?.dev ?? rt.dev) : rt.dev
        const gw = (rt.rt6i_flags & RTF_GATEWAY) !== 0
        dst_release(rt)
        if (gw || (dev !== null && dev !== found)) return { err: -EHOSTUNREACH, dev }
        return { err: 0, dev: found }
      }
    }
    if (dev === null) return { err: -EINVAL, dev }
    return { err: dev.flags & IFF_LOOPBACK ? -EINVAL : 0, dev }
  },
)

const fib6_nh_init = kfunc('fib6_nh_init', (n: net, nh: fib6_nh, cfg: fib6_config): number => {
  let dev: net_device | null = null
  if (cfg.fc_ifindex) {
    dev = dev_get_by_index_rcu(n, cfg.fc_ifindex)
    if (dev === null || __in6_dev_get(dev) === null) return -ENODEV
  }
  if (cfg.fc_flags & RTNH_F_ONLINK && (dev === null || !(dev.flags & IFF_UP))) return dev === null ? -ENODEV : -ENETDOWN
  const addr_type = ipv6_addr_type(cfg.fc_dst)
  if (fib6_is_reject(cfg.fc_flags, dev, addr_type)) {
    nh.fib_nh_dev = n.loopback_dev
    nh.fib_nh_oif = n.loopback_dev.ifindex
    return 0
  }
  if (cfg.fc_flags & RTF_GATEWAY) {
    const v = ip6_validate_gw(n, cfg, dev)
    if (v.err) return v.err
    dev = v.dev
    nh.fib_nh_gw6 = cfg.fc_gateway.slice()
    nh.fib_nh_gw_family = AF_INET6
  }
  if (dev === null) return -ENODEV
  if (__in6_dev_get(dev)?.cnf.disable_ipv6) return -EACCES
  if (!(dev.flags & IFF_UP) && !cfg.fc_ignore_dev_down) return -ENETDOWN
  nh.fib_nh_dev = dev
  nh.fib_nh_oif = dev.ifindex
  return 0
})

const ip6_route_info_create = kfunc('ip6_route_info_create', (cfg: fib6_config): fib6_info | number => {
  const n = cfg.fc_nl_net
  if (cfg.fc_dst_len > 128 || cfg.fc_src_len) return -EINVAL
  const table = fib6_new_table(n, cfg.fc_table || RT6_TABLE_MAIN)
  const rt = new fib6_info()
  rt.fib6_metrics = dst_default_metrics
  if (cfg.fc_mx !== null) {
    rt.fib6_metrics = new dst_metrics()
    rt.fib6_metrics.metrics = [...cfg.fc_mx]
    rt.fib6_metrics.refcnt = 1
  }
  rt.fib6_protocol = cfg.fc_protocol || RTPROT_BOOT
  rt.fib6_table = table
  rt.fib6_metric = cfg.fc_metric
  rt.fib6_type = cfg.fc_type || RTN_UNICAST
  rt.fib6_flags = cfg.fc_flags & ~RTF_GATEWAY
  const prefix = new Uint8Array(16)
  ipv6_addr_prefix(prefix, cfg.fc_dst, cfg.fc_dst_len)
  rt.fib6_dst = new rt6key(prefix, cfg.fc_dst_len)
  const err = fib6_nh_init(n, rt.fib6_nh, cfg)
  if (err) return err
  // what a packet on lo cannot have come from is refused, however it is written
  if (fib6_is_reject(rt.fib6_flags, rt.fib6_nh.fib_nh_dev, ipv6_addr_type(cfg.fc_dst))) rt.fib6_flags = RTF_REJECT | RTF_NONEXTHOP
  if (cfg.fc_prefsrc_set) {
    if (!ipv6_chk_addr(n, cfg.fc_prefsrc, rt.fib6_nh.fib_nh_dev, 0)) return -EINVAL
    rt.fib6_prefsrc = new rt6key(cfg.fc_prefsrc.slice(), 128)
  }
  return rt
})

export const ip6_route_add = kfunc('ip6_route_add', (cfg: fib6_config): number => {
  const rt = ip6_route_info_create(cfg)
  if (IS_ERR(rt)) return rt
  const err = __ip6_ins_rt(rt, cfg.fc_nl_net, cfg.fc_nlflags)
  fib6_info_release(rt)
  return err
})

export const ip6_del_rt = kfunc('ip6_del_rt', (n: net, rt: fib6_info, _skip_notify: boolean): number => {
  const { tb6_lock } = rt.fib6_table
  spin_lock_bh(tb6_lock)
  const err = fib6_del(rt, n)
  spin_unlock_bh(tb6_lock)
  return err
})

const ip6_route_del = kfunc('ip6_route_del', (cfg: fib6_config): number => {
  const n = cfg.fc_nl_net
  const table = fib6_get_table(n, cfg.fc_table)
  if (table === null) return -ESRCH
  for (const rt of fib6_routes(n)) {
    if (rt.fib6_table !== table || rt.fib6_dst.plen !== cfg.fc_dst_len) continue
    const want = new Uint8Array(16)
    ipv6_addr_prefix(want, cfg.fc_dst, cfg.fc_dst_len)
    if (!ipv6_addr_equal(rt.fib6_dst.addr, want)) continue
    if (cfg.fc_ifindex && rt.fib6_nh.fib_nh_dev?.ifindex !== cfg.fc_ifindex) continue
    if (cfg.fc_flags & RTF_GATEWAY && !ipv6_addr_equal(cfg.fc_gateway, rt.fib6_nh.fib_nh_gw6)) continue
    if (cfg.fc_metric && cfg.fc_metric !== rt.fib6_metric) continue
    if (cfg.fc_protocol && cfg.fc_protocol !== rt.fib6_protocol) continue
    return ip6_del_rt(n, rt, false)
  }
  return -ESRCH
})

/**
 * `ip -6 route add|append|replace|del`, as inet6_rtm_newroute and inet6_rtm_delroute do it once they have read the message.
 * Returns 0 or a negative errno.
 */
export function ip6_route_change(n: net, add: boolean, cfg: fib6_config): number {
  cfg.fc_nl_net = n
  if (!cfg.fc_table) cfg.fc_table = RT6_TABLE_MAIN
  if (!add) return ip6_route_del(cfg)
  if (cfg.fc_metric === 0) cfg.fc_metric = IP6_RT_PRIO_USER
  cfg.fc_flags |= RTF_UP
  if (cfg.fc_type === RTN_LOCAL) cfg.fc_flags |= RTF_LOCAL
  if (
    cfg.fc_type === RTN_BLACKHOLE ||
    cfg.fc_type === RTN_PROHIBIT ||
    cfg.fc_type === RTN_UNREACHABLE ||
    cfg.fc_type === RTN_THROW
  )
    cfg.fc_flags |= RTF_REJECT
  return ip6_route_add(cfg)
}

const ip6_pkt_drop = kfunc('ip6_pkt_drop', (skb: sk_buff, code: number, mib: string): number => {
  const dev = (skb_dst(skb) as dst_entry).dev as net_device
  const n = dev.nd_net
  const from = skb.dev as net_device
  if (netif_is_l3_master(from) || dev === n.loopback_dev) dev_get_by_index_rcu(n, IP6CB(skb).iif)
  let reason: number = SKB_DROP_REASON_IP_OUTNOROUTES
  if (mib === 'InNoRoutes' && ipv6_addr_type(ipv6_hdr(skb).daddr) === IPV6_ADDR_ANY) {
    reason = SKB_DROP_REASON_IP_INADDRERRORS
    IP6_INC_STATS(n, 'InAddrErrors')
  } else {
    if (mib === 'InNoRoutes') reason = SKB_DROP_REASON_IP_INNOROUTES
    IP6_INC_STATS(n, mib)
  }
  if (netif_is_l3_master(from)) skb_dst_drop(skb)
  icmpv6_send(skb, ICMPV6_DEST_UNREACH, code, 0)
  kfree_skb_reason(skb, reason)
  return 0
})
const ip6_pkt_discard = kfunc('ip6_pkt_discard', (skb: sk_buff): number => ip6_pkt_drop(skb, ICMPV6_NOROUTE, 'InNoRoutes'))
const ip6_pkt_discard_out = kfunc('ip6_pkt_discard_out', (_n: net, _sk: sock | null, skb: sk_buff): number => {
  skb.dev = (skb_dst(skb) as dst_entry).dev
  return ip6_pkt_drop(skb, ICMPV6_NOROUTE, 'OutNoRoutes')
})
const ip6_pkt_prohibit = kfunc('ip6_pkt_prohibit', (skb: sk_buff): number =>
  ip6_pkt_drop(skb, ICMPV6_ADM_PROHIBITED, 'InNoRoutes'),
)
const ip6_pkt_prohibit_out = kfunc('ip6_pkt_prohibit_out', (_n: net, _sk: sock | null, skb: sk_buff): number => {
  skb.dev = (skb_dst(skb) as dst_entry).dev
  return ip6_pkt_drop(skb, ICMPV6_ADM_PROHIBITED, 'OutNoRoutes')
})

/** the route to an address of this host */
export const addrconf_f6i_alloc = kfunc(
  'addrconf_f6i_alloc',
  (n: net, idev: inet6_dev, addr: in6_addr, anycast: boolean): fib6_info | number => {
    const cfg = new fib6_config()
    cfg.fc_table = RT6_TABLE_LOCAL
    cfg.fc_ifindex = idev.dev.ifindex
    cfg.fc_flags = RTF_UP | RTF_NONEXTHOP
    cfg.fc_dst = addr.slice()
    cfg.fc_dst_len = 128
    cfg.fc_protocol = RTPROT_KERNEL
    cfg.fc_nl_net = n
    cfg.fc_ignore_dev_down = true
    if (anycast) {
      cfg.fc_type = RTN_ANYCAST
      cfg.fc_flags |= RTF_ANYCAST
    } else {
      cfg.fc_type = RTN_LOCAL
      cfg.fc_flags |= RTF_LOCAL
    }
    const f6i = ip6_route_info_create(cfg)
    if (!IS_ERR(f6i)) {
      f6i.dst_nocount = true
      if (!anycast && (net_ipv6(n).devconf_all.disable_policy || idev.cnf.disable_policy)) f6i.dst_nopolicy = true
    }
    return f6i
  },
)

/** a device has come up, or its link has */
export const rt6_sync_up = kfunc('rt6_sync_up', (dev: net_device, nh_flags: number): void => {
  for (const rt of fib6_routes(dev.nd_net)) {
    if (rt.fib6_nh.fib_nh_dev !== dev || !(rt.fib6_nh.fib_nh_flags & nh_flags)) continue
    rt.fib6_nh.fib_nh_flags &= ~nh_flags
    fib6_update_sernum(dev.nd_net, rt)
  }
})

/** a device goes: its routes go with it */
export const rt6_disable_ip = kfunc('rt6_disable_ip', (dev: net_device, _event: number): void => {
  for (const rt of [...fib6_routes(dev.nd_net)]) if (rt.fib6_nh.fib_nh_dev === dev) ip6_del_rt(dev.nd_net, rt, false)
})

export const rt6_mtu_change = kfunc('rt6_mtu_change', (dev: net_device, mtu: number): void => {
  for (const rt of fib6_routes(dev.nd_net)) {
    if (rt.fib6_nh.fib_nh_dev !== dev) continue
    for (const e of [...(rt.fib6_nh.rt6i_exception_bucket ?? [])])
      if (dst_metric_raw(e.rt6i, RTAX_MTU) >= mtu) rt6_remove_exception(rt.fib6_nh, e.rt6i)
  }
})

const null_entry = (n: net, error: number, input: rt6_info['input'], output: rt6_info['output']): rt6_info => {
  const rt = new rt6_info()
  rt.ops = net_ipv6(n).ip6_dst_ops
  dst_init_metrics(rt, dst_default_metrics, true)
  rt.__rcuref = 1
  rt.obsolete = DST_OBSOLETE_FORCE_CHK
  rt.error = error
  rt.input = input
  rt.output = output
  rt.rt6i_flags = RTF_REJECT | RTF_NONEXTHOP
  return rt
}

const ip6_route_net_init = kfunc('ip6_route_net_init', (n: net): number => {
  const v6 = net_ipv6(n)
  Object.assign(v6.ip6_dst_ops, {
    family: AF_INET6,
    gc: ip6_dst_gc,
    gc_thresh: 1024,
    check: ip6_dst_check,
    default_advmss: ip6_default_advmss,
    mtu: ip6_mtu,
    cow_metrics: dst_cow_metrics_generic,
    destroy: ip6_dst_destroy,
    ifdown: ip6_dst_ifdown,
    negative_advice: ip6_negative_advice,
    link_failure: ip6_link_failure,
    update_pmtu: ip6_rt_update_pmtu,
    redirect: rt6_do_redirect,
    local_out: __ip6_local_out,
    neigh_lookup: ip6_dst_neigh_lookup,
    confirm_neigh: ip6_confirm_neigh,
    alloc: () => new rt6_info(),
    kmem_cachep: ip6_dst_cache,
    entries: 0,
  } satisfies dst_ops)
  const f = new fib6_info()
  f.fib6_metrics = dst_default_metrics
  f.fib6_flags = RTF_REJECT | RTF_NONEXTHOP
  f.fib6_protocol = RTPROT_KERNEL
  f.fib6_metric = 0xffffffff
  f.fib6_type = RTN_UNREACHABLE
  v6.fib6_null_entry = f
  v6.ip6_null_entry = null_entry(n, -ENETUNREACH, ip6_pkt_discard, ip6_pkt_discard_out)
  v6.ip6_prohibit_entry = null_entry(n, -EACCES, ip6_pkt_prohibit, ip6_pkt_prohibit_out)
  v6.ip6_blk_hole_entry = null_entry(n, -EINVAL, dst_discard, dst_discard_out)
  fib6_tables_init(n)
  return 0
})

/** the loopback device is there: what has no route lies with it */
const ip6_route_dev_notify = kfunc('ip6_route_dev_notify', (_nb: notifier_block, event: number, ptr: unknown): number => {
  const dev = netdev_notifier_info_to_dev(ptr)
  if (!(dev.flags & IFF_LOOPBACK) || event !== NETDEV_REGISTER) return 1
  const v6 = net_ipv6(dev.nd_net)
  v6.fib6_null_entry.fib6_nh.fib_nh_dev = dev
  for (const rt of [v6.ip6_null_entry, v6.ip6_prohibit_entry, v6.ip6_blk_hole_entry]) {
    rt.dev = dev
    rt.rt6i_idev = in6_dev_get(dev)
  }
  return 1
})

let ip6_dst_cache: unknown = null

export const ip6_route_init = kfunc('ip6_route_init', (): number => {
  rt6_uncached_list = new Set<dst_entry>()
  rt6_uncached_lock = new spinlock_t()
  ip6_dst_cache = kmem_cache_create('ip6_dst_cache', 256, 0, 0, null)
  register_pernet_subsys({ init: ip6_route_net_init })
  return 0
})

/** after addrconf: each device has its inet6_dev then */
export const ip6_route_late_init = (): void => {
  register_netdevice_notifier({ notifier_call: ip6_route_dev_notify, priority: -990 })
}

export { dst_mtu, ip6_dst_idev, ip6_pol_route_lookup }
