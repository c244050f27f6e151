import { kfunc } from '../../../trace/kfunc.ts'
import { decide, tracer } from '../../../trace/tracer.ts'
import { get_random_bytes, get_random_u32_below, get_random_u32_inclusive } from '../../drivers/char/random.ts'
import {
  ARPHRD_ETHER,
  ARPHRD_LOOPBACK,
  HZ,
  IFF_LOOPBACK,
  IFF_MULTICAST,
  IFF_NO_ADDRCONF,
  IFF_NOARP,
  IFF_POINTOPOINT,
  IFF_UP,
  NEIGH_VAR_RETRANS_TIME,
  NETDEV_CHANGE,
  NETDEV_CHANGEMTU,
  NETDEV_DOWN,
  NETDEV_REGISTER,
  NETDEV_UNREGISTER,
  NETDEV_UP,
  RTN_MULTICAST,
  RTN_UNICAST,
  RTNH_F_DEAD,
  RTNH_F_LINKDOWN,
} from '../../include/generated/enums.ts'
import { EACCES, EADDRNOTAVAIL, EEXIST, EINVAL, ENOBUFS } from '../../include/linux/errno.ts'
import {
  addrconf_addr_solict_mult,
  IPV6_ADDR_ANY,
  IPV6_ADDR_COMPATv4,
  IPV6_ADDR_LOOPBACK,
  IPV6_ADDR_MAPPED,
  IPV6_ADDR_MULTICAST,
  IPV6_ADDR_SCOPE_LINKLOCAL,
  IPV6_ADDR_SCOPE_MASK,
  IPV6_MIN_MTU,
  in6,
  type in6_addr,
  in6addr_any,
  in6addr_interfacelocal_allnodes,
  in6addr_linklocal_allnodes,
  in6addr_linklocal_allrouters,
  in6addr_loopback,
  ipv6_addr_diff,
  ipv6_addr_equal,
  ipv6_addr_prefix,
  ipv6_prefix_equal,
} from '../../include/linux/in6.ts'
import { type net_device, netif_running } from '../../include/linux/netdevice.ts'
import {
  IFA_F_DADFAILED,
  IFA_F_DEPRECATED,
  IFA_F_NOPREFIXROUTE,
  IFA_F_PERMANENT,
  RTPROT_KERNEL,
} from '../../include/linux/rtnetlink.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import type { timer_list } from '../../include/linux/timer.ts'
import { IS_ERR } from '../../include/linux/types.ts'
import { delayed_work, type work_struct } from '../../include/linux/workqueue.ts'
import { __in6_dev_get } from '../../include/net/addrconf.ts'
import {
  IF_RA_RCVD,
  IF_READY,
  IF_RS_SENT,
  IFA_F_HOMEADDRESS,
  IFA_F_NODAD,
  IFA_F_OPTIMISTIC,
  IFA_F_TEMPORARY,
  IFA_F_TENTATIVE,
  IFA_HOST,
  IFA_LINK,
  INET6_IFADDR_STATE_DAD,
  INET6_IFADDR_STATE_DEAD,
  INET6_IFADDR_STATE_ERRDAD,
  INET6_IFADDR_STATE_PREDAD,
  inet6_dev,
  inet6_ifaddr,
  ipv6_devconf,
} from '../../include/net/if_inet6.ts'
import { fib6_config, RT6_TABLE_LOCAL, RT6_TABLE_MAIN, RTF_UP } from '../../include/net/ip6_fib.ts'
import { NEIGH_VAR } from '../../include/net/neighbour.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { net_ipv6 } from '../../include/net/netns_ipv6.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { jiffies, mod_timer, timer_delete, timer_setup } from '../../kernel/time/timer.ts'
import { cancel_delayed_work, INIT_DELAYED_WORK, mod_delayed_work } from '../../kernel/workqueue.ts'
import { netdev_notifier_info_to_dev, netif_oper_up, type notifier_block, register_netdevice_notifier } from '../core/dev.ts'
import { neigh_ifdown, neigh_parms_alloc } from '../core/neighbour.ts'
import { init_net } from '../core/net_namespace.ts'
import { l3mdev_master_dev_rcu, l3mdev_master_ifindex_rcu } from '../l3mdev/l3mdev.ts'
import { qdisc_tx_is_noop } from '../sched/sch_generic.ts'
import { __ipv6_addr_src_scope, __ipv6_addr_type } from './addrconf_core.ts'
import { ipv6_addr_label } from './addrlabel.ts'
import {
  ipv6_dev_mc_dec,
  ipv6_dev_mc_inc,
  ipv6_mc_dad_complete,
  ipv6_mc_destroy_dev,
  ipv6_mc_down,
  ipv6_mc_init_dev,
  ipv6_mc_up,
} from './mcast.ts'
import { nd_tbl, ndisc_send_na, ndisc_send_ns, ndisc_send_rs } from './ndisc.ts'
import {
  addrconf_f6i_alloc,
  ip6_del_rt,
  ip6_ins_rt,
  ip6_route_add,
  ip6_route_change,
  rt6_disable_ip,
  rt6_mtu_change,
  rt6_sync_up,
} from './route.ts'

const _INFINITY = 0xffffffff
const IP6_RT_PRIO_ADDRCONF = 256

export const in6_dev_get = kfunc('in6_dev_get', (dev: net_device): inet6_dev | null => {
  rcu_read_lock()
  const idev = __in6_dev_get(dev)
  if (idev !== null) idev.refcnt++
  rcu_read_unlock()
  return idev
})
export const in6_dev_put = kfunc('in6_dev_put', (idev: inet6_dev): void => {
  idev.refcnt--
})
export const in6_ifa_put = kfunc('in6_ifa_put', (ifp: inet6_ifaddr): void => {
  ifp.refcnt--
})

const __ipv6_chk_addr_and_flags = kfunc(
  '__ipv6_chk_addr_and_flags',
  (
    n: net,
    addr: in6_addr,
    in_dev: net_device | null,
    skip_dev_check: boolean,
    strict: number,
    banned_flags: number,
  ): net_device | null => {
    rcu_read_lock()
    let found: net_device | null = null
    const dev = skip_dev_check ? null : in_dev
    for (const ifp of net_ipv6(n).inet6_addr_lst) {
      const ndev = ifp.idev.dev
      const ifp_flags = ifp.flags & IFA_F_TENTATIVE && ifp.flags & IFA_F_OPTIMISTIC ? ifp.flags & ~IFA_F_TENTATIVE : ifp.flags
      if (
        ipv6_addr_equal(ifp.addr, addr) &&
        !(ifp_flags & banned_flags) &&
        (dev === null || ndev === dev || !(ifp.scope & (IFA_LINK | IFA_HOST) || strict))
      ) {
        found = ndev
        break
      }
    }
    rcu_read_unlock()
    return found
  },
)

export const ipv6_chk_addr_and_flags = kfunc(
  'ipv6_chk_addr_and_flags',
  (n: net, addr: in6_addr, dev: net_device | null, skip_dev_check: boolean, strict: number, banned_flags: number): number =>
    __ipv6_chk_addr_and_flags(n, addr, dev, skip_dev_check, strict, banned_flags) !== null ? 1 : 0,
)

/** whether an address is of this host, and of that device unless it is good for all */
export const ipv6_chk_addr = kfunc(
  'ipv6_chk_addr',
  (n: net, addr: in6_addr, dev: net_device | null, strict: number | boolean): number =>
    ipv6_chk_addr_and_flags(n, addr, dev, dev === null, strict ? 1 : 0, IFA_F_TENTATIVE),
)

export const ipv6_get_ifaddr = kfunc(
  'ipv6_get_ifaddr',
  (n: net, addr: in6_addr, dev: net_device | null, strict: number): inet6_ifaddr | null => {
    rcu_read_lock()
    let result: inet6_ifaddr | null = null
    for (const ifp of net_ipv6(n).inet6_addr_lst)
      if (
        ipv6_addr_equal(ifp.addr, addr) &&
        (dev === null || ifp.idev.dev === dev || !(ifp.scope & (IFA_LINK | IFA_HOST) || strict))
      ) {
        ifp.refcnt++
        result = ifp
        break
      }
    rcu_read_unlock()
    return result
  },
)

export const __ipv6_get_lladdr = kfunc('__ipv6_get_lladdr', (idev: inet6_dev, addr: in6_addr, banned_flags: number): number => {
  for (const ifp of idev.addr_list)
    if (ifp.scope === IFA_LINK && !(ifp.flags & banned_flags)) {
      addr.set(ifp.addr)
      return 0
    }
  return -EADDRNOTAVAIL
})

export const ipv6_get_lladdr = kfunc('ipv6_get_lladdr', (dev: net_device, addr: in6_addr, banned_flags: number): number => {
  rcu_read_lock()
  const idev = __in6_dev_get(dev)
  const err = idev === null ? -EADDRNOTAVAIL : __ipv6_get_lladdr(idev, addr, banned_flags)
  rcu_read_unlock()
  return err
})

// ---- the address to send from: RFC 6724, 5

const IPV6_SADDR_RULE_INIT = 0
const IPV6_SADDR_RULE_LOCAL = 1
const IPV6_SADDR_RULE_SCOPE = 2
const IPV6_SADDR_RULE_PREFERRED = 3
const IPV6_SADDR_RULE_HOA = 4
const IPV6_SADDR_RULE_OIF = 5
const IPV6_SADDR_RULE_LABEL = 6
const IPV6_SADDR_RULE_PRIVACY = 7
const IPV6_SADDR_RULE_ORCHID = 8
const IPV6_SADDR_RULE_PREFIX = 9
const IPV6_SADDR_RULE_NOT_OPTIMISTIC = 10
const IPV6_SADDR_RULE_MAX = 11
const IPV6_PREFER_SRC_TMP = 1
const IPV6_PREFER_SRC_PUBLIC = 2
const IPV6_PREFER_SRC_COA = 4

/** struct ipv6_saddr_score: an address, and by how many rules it was judged yet */
class ipv6_saddr_score {
  rule = -1
  addr_type = 0
  ifa: inet6_ifaddr | null = null
  scorebits = 0
  scopedist = 0
  matchlen = 0
}

/** struct ipv6_saddr_dst */
interface ipv6_saddr_dst {
  readonly addr: in6_addr
  readonly ifindex: number
  readonly scope: number
  readonly label: number
  readonly prefs: number
}

const ipv6_saddr_preferred = kfunc(
  'ipv6_saddr_preferred',
  (type: number): boolean => (type & (IPV6_ADDR_MAPPED | IPV6_ADDR_COMPATv4 | IPV6_ADDR_LOOPBACK)) !== 0,
)
/** use_optimistic is off unless somebody turns it on, which nobody can here */
const ipv6_use_optimistic_addr = kfunc('ipv6_use_optimistic_addr', (_n: net, _idev: inet6_dev): boolean => false)
/** 2001:10::/28 */
const ipv6_addr_orchid = kfunc('ipv6_addr_orchid', (a: in6_addr): boolean =>
  ipv6_prefix_equal(a, in6(0x20, 0x01, 0x00, 0x10), 28),
)

/** What one rule says of an address, more is better. The rules come in order, and what one has said is remembered. */
const ipv6_get_saddr_eval = kfunc(
  'ipv6_get_saddr_eval',
  (n: net, score: ipv6_saddr_score, dst: ipv6_saddr_dst, i: number): number => {
    if (i <= score.rule) {
      if (i === IPV6_SADDR_RULE_SCOPE) return score.scopedist
      if (i === IPV6_SADDR_RULE_PREFIX) return score.matchlen
      return (score.scorebits >> i) & 1
    }
    const { ifa } = score
    let ret = 0
    if (ifa !== null)
      switch (i) {
        case IPV6_SADDR_RULE_INIT:
          ret = 1
          break
        case IPV6_SADDR_RULE_LOCAL:
          ret = Number(ipv6_addr_equal(ifa.addr, dst.addr))
          break
        case IPV6_SADDR_RULE_SCOPE:
          // the smallest that reaches as far as the destination; if none does, the largest
          ret = __ipv6_addr_src_scope(score.addr_type)
          ret = ret >= dst.scope ? -ret : ret - 128
          score.scopedist = ret
          break
        case IPV6_SADDR_RULE_PREFERRED: {
          const avoid = IFA_F_DEPRECATED | (ipv6_use_optimistic_addr(n, ifa.idev) ? 0 : IFA_F_OPTIMISTIC)
          ret = Number(ipv6_saddr_preferred(score.addr_type) || !(ifa.flags & avoid))
          break
        }
        case IPV6_SADDR_RULE_HOA:
          ret = Number(!(ifa.flags & IFA_F_HOMEADDRESS)) ^ Number(!(dst.prefs & IPV6_PREFER_SRC_COA))
          break
        case IPV6_SADDR_RULE_OIF:
          ret = Number(dst.ifindex === 0 || dst.ifindex === ifa.idev.dev.ifindex)
          break
        case IPV6_SADDR_RULE_LABEL:
          ret = Number(ipv6_addr_label(n, ifa.addr, score.addr_type, ifa.idev.dev.ifindex) === dst.label)
          break
        case IPV6_SADDR_RULE_PRIVACY: {
          const told = dst.prefs & (IPV6_PREFER_SRC_PUBLIC | IPV6_PREFER_SRC_TMP)
          const preftmp = told ? (dst.prefs & IPV6_PREFER_SRC_TMP) !== 0 : ifa.idev.cnf.use_tempaddr >= 2
          ret = Number(!(ifa.flags & IFA_F_TEMPORARY)) ^ Number(preftmp)
          break
        }
        case IPV6_SADDR_RULE_ORCHID:
          ret = Number(ipv6_addr_orchid(ifa.addr) === ipv6_addr_orchid(dst.addr))
          break
        case IPV6_SADDR_RULE_PREFIX:
          ret = Math.min(ipv6_addr_diff(ifa.addr, dst.addr), ifa.prefix_len)
          score.matchlen = ret
          break
        case IPV6_SADDR_RULE_NOT_OPTIMISTIC:
          ret = Number(!(ifa.flags & IFA_F_OPTIMISTIC))
          break
        default:
      }
    if (ret) score.scorebits |= 1 << i
    score.rule = i
    return ret
  },
)

type two_scores = [ipv6_saddr_score, ipv6_saddr_score]

/** @returns which of the two scores is the best address so far; the other one is room for the next */
const __ipv6_dev_get_saddr = kfunc(
  '__ipv6_dev_get_saddr',
  (n: net, dst: ipv6_saddr_dst, idev: inet6_dev, scores: two_scores, best: number): number => {
    let hiscore_idx = best === 0 ? 0 : 1
    for (const ifa of idev.addr_list) {
      if (ifa.flags & IFA_F_TENTATIVE && !(ifa.flags & IFA_F_OPTIMISTIC)) continue
      const hiscore = scores[hiscore_idx === 0 ? 0 : 1]
      const score = scores[hiscore_idx === 0 ? 1 : 0]
      score.ifa = ifa
      score.addr_type = __ipv6_addr_type(ifa.addr)
      if (score.addr_type === IPV6_ADDR_ANY || score.addr_type & IPV6_ADDR_MULTICAST) continue
      score.rule = -1
      score.scorebits = 0
      for (let i = 0; i < IPV6_SADDR_RULE_MAX; i++) {
        const minihiscore = ipv6_get_saddr_eval(n, hiscore, dst, i)
        const miniscore = ipv6_get_saddr_eval(n, score, dst, i)
        if (minihiscore === miniscore) continue
        if (minihiscore < miniscore) hiscore_idx = 1 - hiscore_idx
        break
      }
    }
    return hiscore_idx
  },
)

/** within a VRF the device's own addresses come first, then those of the VRF device */
const ipv6_get_saddr_master = kfunc(
  'ipv6_get_saddr_master',
  (n: net, dst_dev: net_device, master: net_device, dst: ipv6_saddr_dst, scores: two_scores, best: number): number => {
    let hiscore_idx = best
    for (const dev of [dst_dev, master]) {
      const idev = __in6_dev_get(dev)
      if (idev !== null) hiscore_idx = __ipv6_dev_get_saddr(n, dst, idev, scores, hiscore_idx)
    }
    return hiscore_idx
  },
)

/** the address to send from; 0 or -EADDRNOTAVAIL */
export const ipv6_dev_get_saddr = kfunc(
  'ipv6_dev_get_saddr',
  (n: net, dst_dev: net_device | null, daddr: in6_addr, prefs: number, saddr: in6_addr): number => {
    const dst_type = __ipv6_addr_type(daddr)
    const ifindex = dst_dev?.ifindex ?? 0
    const scope = __ipv6_addr_src_scope(dst_type)
    const dst: ipv6_saddr_dst = { addr: daddr, ifindex, scope, label: ipv6_addr_label(n, daddr, dst_type, ifindex), prefs }
    const scores: two_scores = [new ipv6_saddr_score(), new ipv6_saddr_score()]
    let hiscore_idx = 0
    rcu_read_lock()
    const idev = dst_dev === null ? null : __in6_dev_get(dst_dev)
    // within the link, or for groups of it, only the link's own addresses will do
    if (
      dst_dev !== null &&
      (dst_type & IPV6_ADDR_MULTICAST || dst.scope <= IPV6_ADDR_SCOPE_LINKLOCAL || idev?.cnf.use_oif_addrs_only)
    ) {
      if (idev !== null) hiscore_idx = __ipv6_dev_get_saddr(n, dst, idev, scores, hiscore_idx)
    } else {
      const master = l3mdev_master_dev_rcu(dst_dev)
      if (master !== null && dst_dev !== null) hiscore_idx = ipv6_get_saddr_master(n, dst_dev, master, dst, scores, hiscore_idx)
      const hiscore = scores[hiscore_idx === 0 ? 0 : 1]
      if (master === null || hiscore.ifa === null || hiscore.scopedist < 0)
        for (const dev of n.dev_base_head) {
          if (l3mdev_master_ifindex_rcu(dev) !== (master?.ifindex ?? 0)) continue
          const other = __in6_dev_get(dev)
          if (other !== null) hiscore_idx = __ipv6_dev_get_saddr(n, dst, other, scores, hiscore_idx)
        }
    }
    const { ifa } = scores[hiscore_idx === 0 ? 0 : 1]
    if (ifa !== null) saddr.set(ifa.addr)
    rcu_read_unlock()
    return ifa === null ? -EADDRNOTAVAIL : 0
  },
)

const ipv6_add_dev = kfunc('ipv6_add_dev', (dev: net_device): inet6_dev | number => {
  if (dev.mtu < IPV6_MIN_MTU && dev !== dev.nd_net.loopback_dev) return -EINVAL
  const ndev = new inet6_dev(dev)
  ndev.cnf = Object.assign(new ipv6_devconf(), net_ipv6(dev.nd_net).devconf_dflt)
  ndev.cnf.mtu6 = dev.mtu
  const parms = neigh_parms_alloc(dev, nd_tbl)
  if (parms === null) return -ENOBUFS
  ndev.nd_parms = parms
  timer_setup(ndev.rs_timer, addrconf_rs_timer, 0)
  if (dev.flags & (IFF_NOARP | IFF_LOOPBACK)) ndev.cnf.accept_dad = -1
  if (netif_running(dev) && addrconf_link_ready(dev)) ndev.if_flags |= IF_READY
  ipv6_mc_init_dev(ndev)
  ndev.tstamp = jiffies()
  dev.ip6_ptr = ndev
  for (const group of [in6addr_interfacelocal_allnodes, in6addr_linklocal_allnodes]) ipv6_dev_mc_inc(dev, group)
  return ndev
})

const ipv6_find_idev = kfunc('ipv6_find_idev', (dev: net_device): inet6_dev | number => {
  const idev = __in6_dev_get(dev) ?? ipv6_add_dev(dev)
  if (IS_ERR(idev)) return idev
  if (dev.flags & IFF_UP) ipv6_mc_up(idev)
  return idev
})

const addrconf_join_solict = kfunc('addrconf_join_solict', (dev: net_device, addr: in6_addr): void => {
  if (dev.flags & (IFF_LOOPBACK | IFF_NOARP)) return
  const maddr = new Uint8Array(16)
  addrconf_addr_solict_mult(addr, maddr)
  ipv6_dev_mc_inc(dev, maddr)
})

const addrconf_leave_solict = kfunc('addrconf_leave_solict', (idev: inet6_dev, addr: in6_addr): void => {
  if (idev.dev.flags & (IFF_LOOPBACK | IFF_NOARP)) return
  const maddr = new Uint8Array(16)
  addrconf_addr_solict_mult(addr, maddr)
  ipv6_dev_mc_dec(idev.dev, maddr)
})

const ipv6_add_addr = kfunc(
  'ipv6_add_addr',
  (idev: inet6_dev, addr: in6_addr, plen: number, flags: number): inet6_ifaddr | number => {
    const n = idev.dev.nd_net
    const type = __ipv6_addr_type(addr)
    if (type === IPV6_ADDR_ANY || type & IPV6_ADDR_MULTICAST) return -EADDRNOTAVAIL
    if (idev.cnf.disable_ipv6) return -EACCES
    const v6 = net_ipv6(n)
    if (v6.inet6_addr_lst.some((i) => i.idev === idev && ipv6_addr_equal(i.addr, addr))) return -EEXIST
    const f6i = addrconf_f6i_alloc(n, idev, addr, false)
    if (IS_ERR(f6i)) return f6i
    const ifa = new inet6_ifaddr(addr, idev)
    ifa.prefix_len = plen
    ifa.scope = type & IPV6_ADDR_SCOPE_MASK
    ifa.flags = flags & IFA_F_NODAD ? flags : flags | IFA_F_TENTATIVE
    ifa.rt = f6i
    ifa.cstamp = ifa.tstamp = jiffies()
    v6.inet6_addr_lst.unshift(ifa)
    const scope = __ipv6_addr_src_scope(type)
    const at = idev.addr_list.findIndex((i) => __ipv6_addr_src_scope(__ipv6_addr_type(i.addr)) <= scope)
    idev.addr_list.splice(at < 0 ? idev.addr_list.length : at, 0, ifa)
    return ifa
  },
)

const addrconf_prefix_route = kfunc(
  'addrconf_prefix_route',
  (pfx: in6_addr, plen: number, metric: number, dev: net_device): void => {
    const cfg = new fib6_config()
    cfg.fc_table = RT6_TABLE_MAIN
    cfg.fc_metric = metric || IP6_RT_PRIO_ADDRCONF
    cfg.fc_ifindex = dev.ifindex
    cfg.fc_dst = new Uint8Array(16)
    ipv6_addr_prefix(cfg.fc_dst, pfx, plen)
    cfg.fc_dst_len = plen
    cfg.fc_flags = RTF_UP
    cfg.fc_nl_net = dev.nd_net
    cfg.fc_protocol = RTPROT_KERNEL
    cfg.fc_type = RTN_UNICAST
    ip6_route_add(cfg)
  },
)

/** the address may be used: its route goes in */
const ipv6_ifa_notify_new = (ifp: inet6_ifaddr): void => {
  const { dev } = ifp.idev
  if (ifp.rt !== null && ifp.rt.fib6_node === null) ip6_ins_rt(dev.nd_net, ifp.rt)
}

// ---- whether somebody else on the link has an address already: RFC 4862, 5.4

const addrconf_mod_dad_work = kfunc('addrconf_mod_dad_work', (ifp: inet6_ifaddr, delay: number): void => {
  if (ifp.dad_work === null) {
    ifp.dad_work = new delayed_work(addrconf_dad_work)
    INIT_DELAYED_WORK(ifp.dad_work)
    address_of.set(ifp.dad_work, ifp)
  }
  ifp.refcnt++
  if (mod_delayed_work(ifp.dad_work, delay)) in6_ifa_put(ifp)
})
const addrconf_del_dad_work = kfunc('addrconf_del_dad_work', (ifp: inet6_ifaddr): void => {
  if (ifp.dad_work !== null && cancel_delayed_work(ifp.dad_work)) in6_ifa_put(ifp)
})

/** container_of(): the address that a work is of */
const address_of = new WeakMap<work_struct, inet6_ifaddr>()

const addrconf_dad_kick = kfunc('addrconf_dad_kick', (ifp: inet6_ifaddr): void => {
  const { cnf } = ifp.idev
  const rand_num = ifp.flags & IFA_F_OPTIMISTIC ? 0 : get_random_u32_below(cnf.rtr_solicit_delay || 1)
  const nonce = new Uint8Array(6)
  get_random_bytes(nonce, nonce.length)
  ifp.dad_nonce = nonce
  ifp.dad_probes = cnf.dad_transmits
  addrconf_mod_dad_work(ifp, rand_num)
})

const addrconf_dad_begin = kfunc('addrconf_dad_begin', (ifp: inet6_ifaddr): void => {
  const { idev } = ifp
  const { dev } = idev
  addrconf_join_solict(dev, ifp.addr)
  if (ifp.state === INET6_IFADDR_STATE_DEAD) return
  if (
    dev.flags & (IFF_NOARP | IFF_LOOPBACK) ||
    (net_ipv6(dev.nd_net).devconf_all.accept_dad < 1 && idev.cnf.accept_dad < 1) ||
    !(ifp.flags & IFA_F_TENTATIVE) ||
    ifp.flags & IFA_F_NODAD
  ) {
    const send_na = (ifp.flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC)) === IFA_F_TENTATIVE
    const bump_id = (ifp.flags & IFA_F_TENTATIVE) !== 0
    ifp.flags &= ~(IFA_F_TENTATIVE | IFA_F_OPTIMISTIC | IFA_F_DADFAILED)
    addrconf_dad_completed(ifp, bump_id, send_na)
  } else if (!(idev.if_flags & IF_READY)) {
    // the link is not there yet: asked when it is
    ifp.refcnt++
    addrconf_dad_stop(ifp, false)
  } else addrconf_dad_kick(ifp)
})

const addrconf_dad_start = kfunc('addrconf_dad_start', (ifp: inet6_ifaddr): void => {
  if (ifp.state === INET6_IFADDR_STATE_DEAD) return
  ifp.state = INET6_IFADDR_STATE_PREDAD
  addrconf_mod_dad_work(ifp, 0)
})

const addrconf_dad_stop = kfunc('addrconf_dad_stop', (ifp: inet6_ifaddr, dad_failed: boolean): void => {
  if (dad_failed) ifp.flags |= IFA_F_DADFAILED
  if (ifp.flags & IFA_F_PERMANENT || !dad_failed) {
    addrconf_del_dad_work(ifp)
    ifp.flags |= IFA_F_TENTATIVE
    in6_ifa_put(ifp)
  } else ipv6_del_addr(ifp)
})

/** somebody else has it */
export const addrconf_dad_failure = kfunc('addrconf_dad_failure', (_skb: sk_buff, ifp: inet6_ifaddr): void => {
  if (ifp.state !== INET6_IFADDR_STATE_DAD) {
    in6_ifa_put(ifp)
    return
  }
  if (tracer.on) decide('addrconf_dad_failure', 'duplicate address', { dev: ifp.idev.dev.name })
  ifp.state = INET6_IFADDR_STATE_ERRDAD
  addrconf_mod_dad_work(ifp, 0)
  in6_ifa_put(ifp)
})

const addrconf_dad_work = kfunc('addrconf_dad_work', (w: work_struct): void => {
  const ifp = address_of.get(w)
  if (ifp === undefined) return
  const { idev } = ifp
  if (ifp.state === INET6_IFADDR_STATE_PREDAD) {
    ifp.state = INET6_IFADDR_STATE_DAD
    addrconf_dad_begin(ifp)
  } else if (ifp.state === INET6_IFADDR_STATE_ERRDAD) {
    ifp.refcnt++
    addrconf_dad_stop(ifp, true)
  } else if (ifp.state !== INET6_IFADDR_STATE_DEAD && !idev.dead && idev.if_flags & IF_READY) {
    if (ifp.dad_probes === 0) {
      // nobody spoke up
      const bump_id = (ifp.flags & IFA_F_TENTATIVE) !== 0
      ifp.flags &= ~(IFA_F_TENTATIVE | IFA_F_OPTIMISTIC | IFA_F_DADFAILED)
      addrconf_dad_completed(ifp, bump_id, false)
    } else {
      ifp.dad_probes--
      addrconf_mod_dad_work(ifp, Math.max(NEIGH_VAR(idev.nd_parms, NEIGH_VAR_RETRANS_TIME), HZ / 100))
      const mcaddr = new Uint8Array(16)
      addrconf_addr_solict_mult(ifp.addr, mcaddr)
      ndisc_send_ns(idev.dev, ifp.addr, mcaddr, in6addr_any, ifp.dad_nonce)
    }
  }
  in6_ifa_put(ifp)
})

/** the only usable address of the link: routers hear of it, and of the groups, from now on */
const ipv6_lonely_lladdr = kfunc('ipv6_lonely_lladdr', (ifp: inet6_ifaddr): boolean => {
  const { addr_list } = ifp.idev
  for (let i = addr_list.length - 1; i >= 0; i--) {
    const other = addr_list[i] as inet6_ifaddr
    if (other.scope > IFA_LINK) break
    if (
      other !== ifp &&
      other.scope === IFA_LINK &&
      (other.flags & (IFA_F_PERMANENT | IFA_F_TENTATIVE | IFA_F_OPTIMISTIC | IFA_F_DADFAILED)) === IFA_F_PERMANENT
    )
      return false
  }
  return true
})

const addrconf_dad_completed = kfunc('addrconf_dad_completed', (ifp: inet6_ifaddr, _bump_id: boolean, send_na: boolean): void => {
  const { idev } = ifp
  const { dev } = idev
  addrconf_del_dad_work(ifp)
  ipv6_ifa_notify_new(ifp)
  const send_mld = ifp.scope === IFA_LINK && ipv6_lonely_lladdr(ifp)
  const accept_ra = idev.cnf.forwarding ? idev.cnf.accept_ra === 2 : idev.cnf.accept_ra !== 0
  const send_rs = send_mld && accept_ra && idev.cnf.rtr_solicits !== 0 && !(dev.flags & (IFF_LOOPBACK | IFF_POINTOPOINT))
  if (send_mld) ipv6_mc_dad_complete(idev)
  if (send_na && (idev.cnf.ndisc_notify || net_ipv6(dev.nd_net).devconf_all.ndisc_notify))
    ndisc_send_na(dev, in6addr_linklocal_allnodes, ifp.addr, idev.cnf.forwarding !== 0, false, true, true)
  if (send_rs) {
    const lladdr = new Uint8Array(16)
    if (ipv6_get_lladdr(dev, lladdr, IFA_F_TENTATIVE)) return
    ndisc_send_rs(dev, lladdr, in6addr_linklocal_allrouters)
    idev.rs_interval = rfc3315_s14_backoff_init(idev.cnf.rtr_solicit_interval)
    idev.rs_probes = 1
    idev.if_flags |= IF_RS_SENT
    mod_timer(idev.rs_timer, jiffies() + idev.rs_interval)
  }
})

/** RFC 3315, 14: a tenth more or less, so that not all hosts ask at once */
const rfc3315_s14_backoff_init = (irt: number): number =>
  Math.floor((irt * (900_000 + get_random_u32_inclusive(0, 200_000))) / 1_000_000)
const rfc3315_s14_backoff_update = (rt: number, mrt: number): number => {
  const tmp = Math.floor((rt * (1_900_000 + get_random_u32_inclusive(0, 200_000))) / 1_000_000)
  return tmp > mrt ? Math.floor((mrt * (900_000 + get_random_u32_inclusive(0, 200_000))) / 1_000_000) : tmp
}

/** no router has answered: asked again, ever less often */
const addrconf_rs_timer = kfunc('addrconf_rs_timer', (t: timer_list): void => {
  const idev = t.owner as inet6_dev
  const { dev, cnf } = idev
  const lladdr = new Uint8Array(16)
  if (idev.dead || !(idev.if_flags & IF_READY) || !cnf.accept_ra || idev.if_flags & IF_RA_RCVD) return
  if (idev.rs_probes++ >= cnf.rtr_solicits && cnf.rtr_solicits >= 0) return
  if (ipv6_get_lladdr(dev, lladdr, IFA_F_TENTATIVE)) return
  ndisc_send_rs(dev, lladdr, in6addr_linklocal_allrouters)
  idev.rs_interval = rfc3315_s14_backoff_update(idev.rs_interval, cnf.rtr_solicit_max_interval)
  mod_timer(idev.rs_timer, jiffies() + (idev.rs_probes === cnf.rtr_solicits ? HZ : idev.rs_interval))
})

/** the link is there: addresses that waited for it are asked about now */
const addrconf_dad_run = kfunc('addrconf_dad_run', (idev: inet6_dev, restart: boolean): void => {
  for (const ifp of [...idev.addr_list])
    if ((ifp.flags & IFA_F_TENTATIVE && ifp.state === INET6_IFADDR_STATE_DAD) || restart) {
      if (restart) ifp.state = INET6_IFADDR_STATE_PREDAD
      addrconf_dad_kick(ifp)
    }
})

const addrconf_link_ready = kfunc(
  'addrconf_link_ready',
  (dev: net_device): boolean => netif_oper_up(dev) && !qdisc_tx_is_noop(dev),
)

/** `ip -6 addr add`; 0 or a negative errno */
export const inet6_addr_add = kfunc(
  'inet6_addr_add',
  (_n: net, dev: net_device, addr: in6_addr, plen: number, flags: number): number => {
    if (plen > 128) return -EINVAL
    const idev = addrconf_add_dev(dev)
    if (IS_ERR(idev)) return idev
    const ifp = ipv6_add_addr(idev, addr, plen, flags | IFA_F_PERMANENT)
    if (IS_ERR(ifp)) return ifp
    if (!(flags & IFA_F_NOPREFIXROUTE) && dev.flags & IFF_UP) addrconf_prefix_route(addr, plen, 0, dev)
    addrconf_dad_start(ifp)
    return 0
  },
)

const ipv6_del_addr = kfunc('ipv6_del_addr', (ifp: inet6_ifaddr): void => {
  const { idev } = ifp
  const { dev } = idev
  const v6 = net_ipv6(dev.nd_net)
  v6.inet6_addr_lst = v6.inet6_addr_lst.filter((i) => i !== ifp)
  const at = idev.addr_list.indexOf(ifp)
  if (at >= 0) idev.addr_list.splice(at, 1)
  ifp.state = INET6_IFADDR_STATE_DEAD
  addrconf_del_dad_work(ifp)
  addrconf_leave_solict(idev, ifp.addr)
  if (ifp.rt?.fib6_node) ip6_del_rt(dev.nd_net, ifp.rt, false)
})

/** `ip -6 addr del` */
export const inet6_addr_del = kfunc('inet6_addr_del', (n: net, dev: net_device, addr: in6_addr, plen: number): number => {
  const ifp = __in6_dev_get(dev)?.addr_list.find((i) => i.prefix_len === plen && ipv6_addr_equal(i.addr, addr))
  if (ifp === undefined) return -EADDRNOTAVAIL
  const { idev } = ifp
  ipv6_del_addr(ifp)
  if (!idev.addr_list.some((i) => i.prefix_len === plen && ipv6_prefix_equal(i.addr, addr, plen))) {
    const cfg = new fib6_config()
    cfg.fc_dst = addr.slice()
    cfg.fc_dst_len = plen
    cfg.fc_ifindex = dev.ifindex
    ip6_route_change(n, false, cfg)
  }
  return 0
})

const add_addr = kfunc('add_addr', (idev: inet6_dev, addr: in6_addr, plen: number): void => {
  const ifp = ipv6_add_addr(idev, addr, plen, IFA_F_PERMANENT)
  if (IS_ERR(ifp)) return
  ifp.flags &= ~IFA_F_TENTATIVE
  ipv6_ifa_notify_new(ifp)
})

const init_loopback = kfunc('init_loopback', (dev: net_device): void => {
  const idev = ipv6_find_idev(dev)
  if (!IS_ERR(idev)) add_addr(idev, in6addr_loopback, 128)
})

/** groups are reached through every device */
const addrconf_add_mroute = kfunc('addrconf_add_mroute', (dev: net_device): void => {
  const cfg = new fib6_config()
  cfg.fc_table = RT6_TABLE_LOCAL
  cfg.fc_metric = IP6_RT_PRIO_ADDRCONF
  cfg.fc_ifindex = dev.ifindex
  cfg.fc_dst_len = 8
  cfg.fc_dst = in6(0xff)
  cfg.fc_flags = RTF_UP
  cfg.fc_type = RTN_MULTICAST
  cfg.fc_nl_net = dev.nd_net
  cfg.fc_protocol = RTPROT_KERNEL
  ip6_route_add(cfg)
})

const addrconf_add_dev = kfunc('addrconf_add_dev', (dev: net_device): inet6_dev | number => {
  const idev = ipv6_find_idev(dev)
  if (IS_ERR(idev)) return idev
  if (idev.cnf.disable_ipv6) return -EACCES
  if (!(dev.flags & IFF_LOOPBACK)) addrconf_add_mroute(dev)
  return idev
})

const addrconf_add_linklocal = kfunc('addrconf_add_linklocal', (idev: inet6_dev, addr: in6_addr, flags: number): void => {
  const ifp = ipv6_add_addr(idev, addr, 64, flags | IFA_F_PERMANENT)
  if (IS_ERR(ifp)) return
  addrconf_prefix_route(addr, 64, 0, idev.dev)
  addrconf_dad_start(ifp)
})

/** fe80::/64 with the link address in it */
const addrconf_addr_gen = kfunc('addrconf_addr_gen', (idev: inet6_dev): void => {
  const { dev } = idev
  if (dev.priv_flags & IFF_NO_ADDRCONF) return
  const addr = in6(0xfe, 0x80)
  const mac = dev.dev_addr
  addr.set([(mac[0] as number) ^ 2, mac[1] as number, mac[2] as number, 0xff, 0xfe], 8)
  addr.set(mac.subarray(3, 6), 13)
  addrconf_add_linklocal(idev, addr, 0)
})

const addrconf_dev_config = kfunc('addrconf_dev_config', (dev: net_device): void => {
  if (dev.type !== ARPHRD_ETHER) return
  const idev = addrconf_add_dev(dev)
  if (IS_ERR(idev)) return
  addrconf_addr_gen(idev)
})

const addrconf_ifdown = kfunc('addrconf_ifdown', (dev: net_device, unregister: boolean): void => {
  rt6_disable_ip(dev, unregister ? NETDEV_UNREGISTER : NETDEV_DOWN)
  const idev = __in6_dev_get(dev)
  if (idev === null) return
  if (unregister) {
    idev.dead = 1
    dev.ip6_ptr = null
  }
  timer_delete(idev.rs_timer)
  const was_ready = (idev.if_flags & IF_READY) !== 0
  if (!unregister) idev.if_flags &= ~(IF_RS_SENT | IF_RA_RCVD | IF_READY)
  for (const ifp of [...idev.addr_list]) ipv6_del_addr(ifp)
  if (unregister) ipv6_mc_destroy_dev(idev)
  else if (was_ready) ipv6_mc_down(idev)
  idev.tstamp = jiffies()
  neigh_ifdown(nd_tbl, dev)
})

/** the device came up: an address that was given while it was down gets its routes now */
const fixup_permanent_addr = kfunc('fixup_permanent_addr', (n: net, idev: inet6_dev, ifp: inet6_ifaddr): number => {
  if (ifp.rt === null || ifp.rt.fib6_node === null) {
    const f6i = addrconf_f6i_alloc(n, idev, ifp.addr, false)
    if (IS_ERR(f6i)) return f6i
    ifp.rt = f6i
    ip6_ins_rt(n, f6i)
  }
  if (!(ifp.flags & IFA_F_NOPREFIXROUTE)) addrconf_prefix_route(ifp.addr, ifp.prefix_len, 0, idev.dev)
  return 0
})

const addrconf_permanent_addr = kfunc('addrconf_permanent_addr', (n: net, dev: net_device): void => {
  const idev = __in6_dev_get(dev)
  if (idev === null) return
  for (const ifp of [...idev.addr_list])
    if (ifp.flags & IFA_F_PERMANENT && fixup_permanent_addr(n, idev, ifp) < 0) ipv6_del_addr(ifp)
})

/** addrconf_notify() for NETDEV_UP and NETDEV_CHANGE: the device came up, or its link did */
function link_event(dev: net_device, event: number): void {
  let idev = __in6_dev_get(dev)
  if (idev?.cnf.disable_ipv6) return
  if (dev.priv_flags & IFF_NO_ADDRCONF) {
    if (event === NETDEV_UP && idev !== null && dev.flags & IFF_UP && dev.flags & IFF_MULTICAST) ipv6_mc_up(idev)
    return
  }
  if (event === NETDEV_UP) addrconf_permanent_addr(dev.nd_net, dev)
  if (!addrconf_link_ready(dev)) return
  if (event === NETDEV_UP) {
    if (idev === null && dev.mtu >= IPV6_MIN_MTU) {
      const made = ipv6_add_dev(dev)
      idev = IS_ERR(made) ? null : made
    }
  } else if (idev !== null && idev.if_flags & IF_READY) {
    // somebody else may be on the link now
    ipv6_mc_up(idev)
    rt6_sync_up(dev, RTNH_F_LINKDOWN)
    return
  }
  if (idev !== null) idev.if_flags |= IF_READY
  if (dev.type === ARPHRD_LOOPBACK) init_loopback(dev)
  else addrconf_dev_config(dev)
  if (idev === null) return
  addrconf_dad_run(idev, false)
  rt6_sync_up(dev, RTNH_F_DEAD | RTNH_F_LINKDOWN)
  idev.tstamp = jiffies()
}

export const addrconf_notify = kfunc('addrconf_notify', (_nb: notifier_block, event: number, ptr: unknown): number => {
  const dev = netdev_notifier_info_to_dev(ptr)
  const idev = __in6_dev_get(dev)
  switch (event) {
    case NETDEV_REGISTER:
      if (idev === null && dev.mtu >= IPV6_MIN_MTU) ipv6_add_dev(dev)
      break
    case NETDEV_CHANGEMTU:
      if (dev.mtu < IPV6_MIN_MTU) addrconf_ifdown(dev, true)
      else if (idev !== null) {
        rt6_mtu_change(dev, dev.mtu)
        idev.cnf.mtu6 = dev.mtu
      }
      break
    case NETDEV_UP:
    case NETDEV_CHANGE:
      link_event(dev, event)
      break
    case NETDEV_DOWN:
      addrconf_ifdown(dev, false)
      break
    case NETDEV_UNREGISTER:
      addrconf_ifdown(dev, true)
      break
    default:
  }
  return 1
})

export const addrconf_init = kfunc('addrconf_init', (): number => {
  const lo = init_net.loopback_dev
  if (lo !== null && __in6_dev_get(lo) === null) ipv6_add_dev(lo)
  register_netdevice_notifier({ notifier_call: addrconf_notify, priority: 0 })
  return 0
})
