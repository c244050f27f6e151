import { kfunc } from '../../../trace/kfunc.ts'
import { decide, tracer } from '../../../trace/tracer.ts'
import { get_random_u32_below } from '../../drivers/char/random.ts'
import {
  ARPHRD_ETHER,
  ETH_P_IPV6,
  IFF_UP,
  NETDEV_RESEND_IGMP,
  NF_INET_LOCAL_OUT,
  NFPROTO_IPV6,
  PAGE_SIZE,
  SOCK_RAW,
} from '../../include/generated/enums.ts'
import { EADDRINUSE, EADDRNOTAVAIL, EINVAL, ENODEV, ENOENT, ENOMEM, ESRCH } from '../../include/linux/errno.ts'
import { ARPHRD_FDDI, ARPHRD_IEEE802 } from '../../include/linux/if_arp.ts'
import {
  IPPROTO_ICMPV6,
  IPV6_ADDR_MC_SCOPE,
  IPV6_ADDR_SCOPE_LINKLOCAL,
  IPV6_MIN_MTU,
  type in6_addr,
  in6addr_any,
  in6addr_linklocal_allnodes,
  in6addr_mld2_all_mcr,
  ipv6_addr_any,
  ipv6_addr_equal,
  ipv6_addr_is_multicast,
  NEXTHDR_HOP,
} from '../../include/linux/in6.ts'
import { INET_FLAGS_MC6_ALL, inet6_sk, ipv6_hdr, SIZEOF_IPV6HDR } from '../../include/linux/ipv6.ts'
import { LL_RESERVED_SPACE, type net_device } from '../../include/linux/netdevice.ts'
import { type sk_buff, skb_reset_network_header } from '../../include/linux/skbuff.ts'
import { GFP_KERNEL } from '../../include/linux/slab.ts'
import { PF_INET6 } from '../../include/linux/socket.ts'
import { IS_ERR, type ref } from '../../include/linux/types.ts'
import { delayed_work, type work_struct } from '../../include/linux/workqueue.ts'
import { __in6_dev_get } from '../../include/net/addrconf.ts'
import { flowi6 } from '../../include/net/flow.ts'
import { IFA_F_TENTATIVE, ifmcaddr6, type inet6_dev, MAF_LOADED, MAF_NOREPORT } from '../../include/net/if_inet6.ts'
import { inet_test_bit } from '../../include/net/inet_sock.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { ICMP6_INC_STATS, IP6_INC_STATS, net_ipv6 } from '../../include/net/netns_ipv6.ts'
import type { sock } from '../../include/net/sock.ts'
import { mutex_lock, mutex_unlock } from '../../kernel/locking/mutex.ts'
import { kfree_rcu, rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { cancel_delayed_work, INIT_DELAYED_WORK, mod_delayed_work } from '../../kernel/workqueue.ts'
import { csum_ipv6_magic, csum_partial } from '../../lib/checksum.ts'
import { kzalloc } from '../../mm/slub.ts'
import {
  __dev_get_by_index,
  dev_get_by_index,
  dev_put,
  netdev_notifier_info_to_dev,
  type notifier_block,
  register_netdevice_notifier,
} from '../core/dev.ts'
import { dev_mc_add, dev_mc_del } from '../core/dev_addr_lists.ts'
import { dst_output, dst_release, skb_dst_set } from '../core/dst.ts'
import { init_net } from '../core/net_namespace.ts'
import { alloc_skb, kfree_skb, skb_availroom, skb_put, skb_put_data, skb_reserve, skb_tailroom_reserve } from '../core/skbuff.ts'
import { lock_sock, release_sock, skb_set_owner_w, sock_kfree_s, sock_kmalloc, sock_net } from '../core/sock.ts'
import { inet_ctl_sock_create } from '../ipv4/af_inet.ts'
import { MCAST_EXCLUDE, MCAST_INCLUDE } from '../ipv4/igmp.ts'
import { NF_HOOK } from '../netfilter/core.ts'
import { in6_dev_get, in6_dev_put, ipv6_get_lladdr } from './addrconf.ts'
import { icmpv6_flow_init } from './icmp.ts'
import { icmp6_dst_alloc, rt6_lookup } from './route.ts'

// Reports of multicast listeners, version 2: RFC 3810. No router asks here: hosts speak of themselves when they join and leave.

const ICMPV6_MLD2_REPORT = 143
const MLD2_CHANGE_TO_INCLUDE = 3
const MLD2_CHANGE_TO_EXCLUDE = 4
const MLD2_ALLOW_NEW_SOURCES = 5
const MLD2_MODE_IS_INCLUDE = 1
const MLD2_MODE_IS_EXCLUDE = 2
const SIZEOF_MLD2_REPORT = 8
const SIZEOF_MLD2_GREC = 20
const TC_PRIO_CONTROL = 7
/** a hop-by-hop header: routers, look at this; and padding */
const ROUTER_ALERT = Uint8Array.of(IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0)
/** what a socket's membership takes of its memory */
const SIZEOF_MC_SOCKLIST = 56
/** how often a change is reported: net.ipv6.mld_qrv */
const sysctl_mld_qrv = 2

/** struct ipv6_mc_socklist: a group that a socket is in */
interface ipv6_mc_socklist {
  next: ipv6_mc_socklist | null
  readonly addr: in6_addr
  readonly ifindex: number
  readonly sfmode: number
}
const first_of = (sk: sock): ipv6_mc_socklist | null => inet6_sk(sk).ipv6_mc_list as ipv6_mc_socklist | null

/** whether a router of the first version was heard; nobody here asks */
const mld_in_v1_mode = kfunc('mld_in_v1_mode', (_idev: inet6_dev): boolean => false)

const unsolicited_report_interval = kfunc('unsolicited_report_interval', (idev: inet6_dev): number =>
  Math.max(1, idev.cnf.mldv2_unsolicited_report_interval),
)

// ---- the groups of a socket

const __ipv6_sock_mc_join = kfunc('__ipv6_sock_mc_join', (sk: sock, ifindex: number, addr: in6_addr, mode: number): number => {
  const n = sock_net(sk)
  if (!ipv6_addr_is_multicast(addr)) return -EINVAL
  for (let mc = first_of(sk); mc !== null; mc = mc.next)
    if ((ifindex === 0 || mc.ifindex === ifindex) && ipv6_addr_equal(mc.addr, addr)) return -EADDRINUSE
  if (sock_kmalloc(sk, SIZEOF_MC_SOCKLIST, GFP_KERNEL) === null) return -ENOMEM
  let dev: net_device | null = null
  if (ifindex === 0) {
    rcu_read_lock()
    const rt = rt6_lookup(n, addr, null, 0, null, 0)
    if (rt !== null) {
      dev = rt.dev
      dst_release(rt)
    }
    rcu_read_unlock()
  } else dev = dev_get_by_index(n, ifindex)
  const err = dev === null ? -ENODEV : __ipv6_dev_mc_inc(dev, addr, mode)
  if (dev !== null && ifindex !== 0) dev_put(dev)
  if (err || dev === null) {
    sock_kfree_s(sk, {}, SIZEOF_MC_SOCKLIST)
    return err
  }
  inet6_sk(sk).ipv6_mc_list = { next: first_of(sk), addr: addr.slice(), ifindex: dev.ifindex, sfmode: mode }
  return 0
})

/** IPV6_ADD_MEMBERSHIP. `ifindex` 0: by the route to the group. @returns -EADDRINUSE, -ENODEV, -EINVAL */
export const ipv6_sock_mc_join = kfunc('ipv6_sock_mc_join', (sk: sock, ifindex: number, addr: in6_addr): number =>
  __ipv6_sock_mc_join(sk, ifindex, addr, MCAST_EXCLUDE),
)

const ip6_mc_leave_src = kfunc('ip6_mc_leave_src', (_sk: sock, iml: ipv6_mc_socklist, idev: inet6_dev | null): number => {
  if (idev === null) return -ENODEV
  mutex_lock(idev.mc_lock)
  const err = ip6_mc_del_src(idev, iml.addr, iml.sfmode)
  mutex_unlock(idev.mc_lock)
  return err
})

function forget(sk: sock, mc: ipv6_mc_socklist): void {
  sk.sk_omem_alloc -= SIZEOF_MC_SOCKLIST
  kfree_rcu(mc)
}

const __ipv6_sock_mc_drop = kfunc('__ipv6_sock_mc_drop', (sk: sock, mc: ipv6_mc_socklist): void => {
  const dev = dev_get_by_index(sock_net(sk), mc.ifindex)
  if (dev !== null) {
    const idev = in6_dev_get(dev)
    ip6_mc_leave_src(sk, mc, idev)
    if (idev !== null) {
      __ipv6_dev_mc_dec(idev, mc.addr)
      in6_dev_put(idev)
    }
    dev_put(dev)
  } else ip6_mc_leave_src(sk, mc, null)
  forget(sk, mc)
})

/** IPV6_DROP_MEMBERSHIP. @returns -EADDRNOTAVAIL when the socket is not in that group */
export const ipv6_sock_mc_drop = kfunc('ipv6_sock_mc_drop', (sk: sock, ifindex: number, addr: in6_addr): number => {
  if (!ipv6_addr_is_multicast(addr)) return -EINVAL
  let prev: ipv6_mc_socklist | null = null
  for (let mc = first_of(sk); mc !== null; mc = mc.next) {
    if ((ifindex === 0 || mc.ifindex === ifindex) && ipv6_addr_equal(mc.addr, addr)) {
      if (prev === null) inet6_sk(sk).ipv6_mc_list = mc.next
      else prev.next = mc.next
      __ipv6_sock_mc_drop(sk, mc)
      return 0
    }
    prev = mc
  }
  return -EADDRNOTAVAIL
})

const __ipv6_sock_mc_close = kfunc('__ipv6_sock_mc_close', (sk: sock): void => {
  for (let mc = first_of(sk); mc !== null; mc = first_of(sk)) {
    inet6_sk(sk).ipv6_mc_list = mc.next
    const dev = __dev_get_by_index(sock_net(sk), mc.ifindex)
    const idev = dev === null ? null : __in6_dev_get(dev)
    ip6_mc_leave_src(sk, mc, idev)
    if (idev !== null) __ipv6_dev_mc_dec(idev, mc.addr)
    forget(sk, mc)
  }
})

/** a socket goes: it leaves all its groups */
export const ipv6_sock_mc_close = kfunc('ipv6_sock_mc_close', (sk: sock): void => {
  if (first_of(sk) === null) return
  lock_sock(sk)
  __ipv6_sock_mc_close(sk)
  release_sock(sk)
})
export const ipv6_sock_ac_close = kfunc('ipv6_sock_ac_close', (_sk: sock): void => {})

/** whether a socket wants what was sent to a group */
export const inet6_mc_check = kfunc('inet6_mc_check', (sk: sock, mc_addr: in6_addr, _src_addr: in6_addr): boolean => {
  rcu_read_lock()
  let mc = first_of(sk)
  while (mc !== null && !ipv6_addr_equal(mc.addr, mc_addr)) mc = mc.next
  rcu_read_unlock()
  return mc === null ? inet_test_bit(INET_FLAGS_MC6_ALL, sk) : mc.sfmode === MCAST_EXCLUDE
})

// ---- the groups of a device

/** include/net/if_inet6.h and ndisc.h: the link address of a group */
export const ndisc_mc_map = kfunc('ndisc_mc_map', (addr: in6_addr, buf: Uint8Array, dev: net_device, dir: number): number => {
  if (dev.type === ARPHRD_ETHER || dev.type === ARPHRD_IEEE802 || dev.type === ARPHRD_FDDI) {
    buf[0] = 0x33
    buf[1] = 0x33
    buf.set(addr.subarray(12, 16), 2)
    return 0
  }
  if (!dir) return -EINVAL
  buf.set(dev.broadcast.subarray(0, dev.addr_len))
  return 0
})

const igmp6_group_added = kfunc('igmp6_group_added', (mc: ifmcaddr6): void => {
  const { dev } = mc.idev
  if (IPV6_ADDR_MC_SCOPE(mc.mca_addr) < IPV6_ADDR_SCOPE_LINKLOCAL) return
  if (!(mc.mca_flags & MAF_LOADED)) {
    mc.mca_flags |= MAF_LOADED
    const buf = new Uint8Array(32)
    if (ndisc_mc_map(mc.mca_addr, buf, dev, 0) === 0) dev_mc_add(dev, buf)
  }
  if (!(dev.flags & IFF_UP) || mc.mca_flags & MAF_NOREPORT) return
  if (mc.mca_sfmode === MCAST_EXCLUDE) mc.mca_crcount = mc.idev.mc_qrv
  mld_ifc_event(mc.idev)
})

const igmp6_leave_group = kfunc('igmp6_leave_group', (ma: ifmcaddr6): void => {
  mld_add_delrec(ma.idev, ma)
  mld_ifc_event(ma.idev)
})

const igmp6_group_dropped = kfunc('igmp6_group_dropped', (mc: ifmcaddr6): void => {
  if (IPV6_ADDR_MC_SCOPE(mc.mca_addr) < IPV6_ADDR_SCOPE_LINKLOCAL) return
  if (mc.mca_flags & MAF_LOADED) {
    mc.mca_flags &= ~MAF_LOADED
    const buf = new Uint8Array(32)
    if (ndisc_mc_map(mc.mca_addr, buf, mc.idev.dev, 0) === 0) dev_mc_del(mc.idev.dev, buf)
  }
  if (mc.mca_flags & MAF_NOREPORT) return
  if (!mc.idev.dead) igmp6_leave_group(mc)
})

const mld_add_delrec = kfunc('mld_add_delrec', (idev: inet6_dev, im: ifmcaddr6): void => {
  kzalloc(208, GFP_KERNEL)
  const pmc = new ifmcaddr6(im.mca_addr, idev)
  idev.refcnt++
  pmc.mca_crcount = idev.mc_qrv
  pmc.mca_sfmode = im.mca_sfmode
  idev.mc_tomb.unshift(pmc)
})

/** who comes back before his leaving was reported has not left */
const mld_del_delrec = kfunc('mld_del_delrec', (idev: inet6_dev, im: ifmcaddr6): void => {
  const at = idev.mc_tomb.findIndex((t) => ipv6_addr_equal(t.mca_addr, im.mca_addr))
  const pmc = idev.mc_tomb[at]
  if (pmc === undefined) return
  idev.mc_tomb.splice(at, 1)
  if (im.mca_sfmode !== MCAST_INCLUDE) im.mca_crcount = idev.mc_qrv
  in6_dev_put(pmc.idev)
  kfree_rcu(pmc)
})

const mld_clear_delrec = kfunc('mld_clear_delrec', (idev: inet6_dev): void => {
  for (const pmc of idev.mc_tomb) {
    in6_dev_put(pmc.idev)
    kfree_rcu(pmc)
  }
  idev.mc_tomb = []
})

const slot = (mode: number): 0 | 1 => (mode === MCAST_EXCLUDE ? MCAST_EXCLUDE : MCAST_INCLUDE)

const mca_alloc = kfunc('mca_alloc', (idev: inet6_dev, addr: in6_addr, mode: number): ifmcaddr6 => {
  kzalloc(208, GFP_KERNEL)
  const mc = new ifmcaddr6(addr, idev)
  mc.mca_sfmode = mode
  mc.mca_sfcount[slot(mode)] = 1
  if (ipv6_addr_equal(addr, in6addr_linklocal_allnodes) || IPV6_ADDR_MC_SCOPE(addr) < IPV6_ADDR_SCOPE_LINKLOCAL)
    mc.mca_flags |= MAF_NOREPORT
  return mc
})

/** a user's mode counts; what the device asks for follows from all of them */
function sf_changed(idev: inet6_dev, pmc: ifmcaddr6): void {
  const mode = pmc.mca_sfcount[MCAST_EXCLUDE] ? MCAST_EXCLUDE : pmc.mca_sfcount[MCAST_INCLUDE] ? MCAST_INCLUDE : pmc.mca_sfmode
  if (mode === pmc.mca_sfmode) return
  pmc.mca_sfmode = mode
  pmc.mca_crcount = idev.mc_qrv
  mld_ifc_event(idev)
}

const ip6_mc_add_src = kfunc('ip6_mc_add_src', (idev: inet6_dev, pmca: in6_addr, sfmode: number): number => {
  const pmc = idev.mc_list.find((mc) => ipv6_addr_equal(mc.mca_addr, pmca))
  if (pmc === undefined) return -ESRCH
  pmc.mca_sfcount[slot(sfmode)]++
  sf_changed(idev, pmc)
  return 0
})

const ip6_mc_del_src = kfunc('ip6_mc_del_src', (idev: inet6_dev, pmca: in6_addr, sfmode: number): number => {
  const pmc = idev.mc_list.find((mc) => ipv6_addr_equal(mc.mca_addr, pmca))
  if (pmc === undefined) return -ESRCH
  if (!pmc.mca_sfcount[slot(sfmode)]) return -EINVAL
  pmc.mca_sfcount[slot(sfmode)]--
  sf_changed(idev, pmc)
  return 0
})

const __ipv6_dev_mc_inc = kfunc('__ipv6_dev_mc_inc', (dev: net_device, addr: in6_addr, mode: number): number => {
  const idev = in6_dev_get(dev)
  if (idev === null) return -EINVAL
  mutex_lock(idev.mc_lock)
  let err = 0
  const old = idev.mc_list.find((mc) => ipv6_addr_equal(mc.mca_addr, addr))
  if (idev.dead) err = -ENODEV
  else if (old !== undefined) {
    old.mca_users++
    ip6_mc_add_src(idev, addr, mode)
  } else {
    const mc = mca_alloc(idev, addr, mode)
    idev.mc_list.unshift(mc)
    mld_del_delrec(idev, mc)
    igmp6_group_added(mc)
    mutex_unlock(idev.mc_lock)
    return 0
  }
  mutex_unlock(idev.mc_lock)
  in6_dev_put(idev)
  return err
})

/** one user more of a group on a device */
export const ipv6_dev_mc_inc = kfunc('ipv6_dev_mc_inc', (dev: net_device, addr: in6_addr): number =>
  __ipv6_dev_mc_inc(dev, addr, MCAST_EXCLUDE),
)

const ma_put = kfunc('ma_put', (mc: ifmcaddr6): void => {
  in6_dev_put(mc.idev)
  kfree_rcu(mc)
})

const __ipv6_dev_mc_dec = kfunc('__ipv6_dev_mc_dec', (idev: inet6_dev, addr: in6_addr): number => {
  mutex_lock(idev.mc_lock)
  const at = idev.mc_list.findIndex((mc) => ipv6_addr_equal(mc.mca_addr, addr))
  const ma = idev.mc_list[at]
  if (ma === undefined || --ma.mca_users > 0) {
    mutex_unlock(idev.mc_lock)
    return ma === undefined ? -ENOENT : 0
  }
  idev.mc_list.splice(at, 1)
  igmp6_group_dropped(ma)
  mutex_unlock(idev.mc_lock)
  ma_put(ma)
  return 0
})

export const ipv6_dev_mc_dec = kfunc('ipv6_dev_mc_dec', (dev: net_device, addr: in6_addr): number => {
  const idev = in6_dev_get(dev)
  if (idev === null) return -ENODEV
  const err = __ipv6_dev_mc_dec(idev, addr)
  in6_dev_put(idev)
  return err
})

/** whether the device wants what `src_addr` (null, ::: anybody) sends to the group */
export const ipv6_chk_mcast_addr = kfunc(
  'ipv6_chk_mcast_addr',
  (dev: net_device, group: in6_addr, src_addr: in6_addr | null): boolean => {
    rcu_read_lock()
    const mc = __in6_dev_get(dev)?.mc_list.find((g) => ipv6_addr_equal(g.mca_addr, group))
    const rv = mc !== undefined && (src_addr === null || ipv6_addr_any(src_addr) || mc.mca_sfcount[MCAST_EXCLUDE] !== 0)
    rcu_read_unlock()
    return rv
  },
)

// ---- when reports are due

const mld_ifc_start_work = kfunc('mld_ifc_start_work', (idev: inet6_dev, delay: number): void => {
  const tv = get_random_u32_below(delay)
  idev.refcnt++
  if (mod_delayed_work(idev.mc_ifc_work, tv + 2)) in6_dev_put(idev)
})
const mld_ifc_stop_work = kfunc('mld_ifc_stop_work', (idev: inet6_dev): void => {
  idev.mc_ifc_count = 0
  if (cancel_delayed_work(idev.mc_ifc_work)) idev.refcnt--
})
const mld_dad_start_work = kfunc('mld_dad_start_work', (idev: inet6_dev, delay: number): void => {
  const tv = get_random_u32_below(delay)
  idev.refcnt++
  if (mod_delayed_work(idev.mc_dad_work, tv + 2)) in6_dev_put(idev)
})
const mld_dad_stop_work = kfunc('mld_dad_stop_work', (idev: inet6_dev): void => {
  if (cancel_delayed_work(idev.mc_dad_work)) idev.refcnt--
})

// ---- what they say

const ip6_mc_hdr = kfunc(
  'ip6_mc_hdr',
  (sk: sock, skb: sk_buff, dev: net_device, saddr: in6_addr, daddr: in6_addr, proto: number, len: number): void => {
    skb.protocol = ETH_P_IPV6
    skb.dev = dev
    skb_reset_network_header(skb)
    skb_put(skb, SIZEOF_IPV6HDR)
    const hdr = ipv6_hdr(skb)
    hdr.flow_hdr(0, 0)
    hdr.payload_len = len
    hdr.nexthdr = proto
    hdr.hop_limit = inet6_sk(sk).hop_limit
    hdr.saddr = saddr
    hdr.daddr = daddr
  },
)

const mld_newpack = kfunc('mld_newpack', (idev: inet6_dev, mtu: number): sk_buff | null => {
  const { dev } = idev
  const hlen = LL_RESERVED_SPACE(dev)
  const tlen = dev.needed_tailroom
  const skb = alloc_skb(Math.min(mtu, PAGE_SIZE / 2) + hlen + tlen, GFP_KERNEL)
  if (skb === null) return null
  skb.priority = TC_PRIO_CONTROL
  skb_reserve(skb, hlen)
  skb_tailroom_reserve(skb, mtu, tlen)
  rcu_read_lock()
  skb_set_owner_w(skb, igmp_sk)
  const addr = new Uint8Array(16)
  const saddr = ipv6_get_lladdr(dev, addr, IFA_F_TENTATIVE) ? in6addr_any : addr
  ip6_mc_hdr(igmp_sk, skb, dev, saddr, in6addr_mld2_all_mcr, NEXTHDR_HOP, 0)
  rcu_read_unlock()
  skb_put_data(skb, ROUTER_ALERT, ROUTER_ALERT.length)
  skb.transport_header = skb.tail
  const at = skb_put(skb, SIZEOF_MLD2_REPORT)
  skb.head.bytes.fill(0, at, at + SIZEOF_MLD2_REPORT)
  skb.head.bytes[at] = ICMPV6_MLD2_REPORT
  return skb
})

const mld_sendpack = kfunc('mld_sendpack', (skb: sk_buff): void => {
  const dev = skb.dev as net_device
  const n = dev.nd_net
  rcu_read_lock()
  IP6_INC_STATS(n, 'OutRequests')
  const ip6 = ipv6_hdr(skb)
  const { saddr, daddr } = ip6
  const b = skb.head.bytes
  const at = skb.transport_header
  const mldlen = skb.tail - at
  ip6.payload_len = skb.tail - skb.network_header - SIZEOF_IPV6HDR
  const sum = csum_ipv6_magic(saddr, daddr, mldlen, IPPROTO_ICMPV6, csum_partial(b, at, mldlen, 0))
  b[at + 2] = sum >> 8
  b[at + 3] = sum
  const fl6 = new flowi6()
  icmpv6_flow_init(igmp_sk, fl6, ICMPV6_MLD2_REPORT, saddr, daddr, dev.ifindex)
  const dst = icmp6_dst_alloc(dev, fl6)
  let err: number
  if (IS_ERR(dst)) {
    err = dst
    kfree_skb(skb)
  } else {
    skb_dst_set(skb, dst)
    if (tracer.on) decide('mld_sendpack', 'multicast listener report', { records: ((b[at + 6] ?? 0) << 8) | (b[at + 7] ?? 0) })
    err = NF_HOOK(NFPROTO_IPV6, NF_INET_LOCAL_OUT, n, igmp_sk, skb, null, dev, dst_output)
  }
  if (!err) {
    ICMP6_INC_STATS(n, `OutType${ICMPV6_MLD2_REPORT}`)
    ICMP6_INC_STATS(n, 'OutMsgs')
  } else IP6_INC_STATS(n, 'OutDiscards')
  rcu_read_unlock()
})

const add_grhead = kfunc('add_grhead', (in_skb: sk_buff | null, pmc: ifmcaddr6, type: number, mtu: number): sk_buff | null => {
  const skb = in_skb ?? mld_newpack(pmc.idev, mtu)
  if (skb === null) return null
  const at = skb_put(skb, SIZEOF_MLD2_GREC)
  const b = skb.head.bytes
  b.fill(0, at, at + 4)
  b[at] = type
  b.set(pmc.mca_addr, at + 4)
  const ngrec = skb.transport_header + 6
  const records = (((b[ngrec] ?? 0) << 8) | (b[ngrec + 1] ?? 0)) + 1
  b[ngrec] = records >> 8
  b[ngrec + 1] = records
  return skb
})

/** a group's record, if it has to be said; `crsend`: whether anything changed or not */
const add_grec = kfunc(
  'add_grec',
  (
    in_skb: sk_buff | null,
    pmc: ifmcaddr6,
    type: number,
    _gdeleted: number,
    _sdeleted: number,
    crsend: number,
  ): sk_buff | null => {
    let skb = in_skb
    const { mtu } = pmc.idev.dev
    if (pmc.mca_flags & MAF_NOREPORT || mtu < IPV6_MIN_MTU) return skb
    const isquery = type === MLD2_MODE_IS_INCLUDE || type === MLD2_MODE_IS_EXCLUDE
    if (type !== MLD2_ALLOW_NEW_SOURCES && (pmc.mca_crcount || isquery || crsend)) {
      if (skb !== null && skb_availroom(skb) < SIZEOF_MLD2_GREC) {
        mld_sendpack(skb)
        skb = null
      }
      skb = add_grhead(skb, pmc, type, mtu)
    }
    return skb
  },
)

const mld_send_report = kfunc('mld_send_report', (idev: inet6_dev, one: ifmcaddr6 | null): void => {
  let skb: sk_buff | null = null
  for (const pmc of one === null ? idev.mc_list : [one]) {
    if (pmc.mca_flags & MAF_NOREPORT) continue
    skb = add_grec(skb, pmc, pmc.mca_sfcount[MCAST_EXCLUDE] ? MLD2_MODE_IS_EXCLUDE : MLD2_MODE_IS_INCLUDE, 0, 0, 0)
  }
  if (skb !== null) mld_sendpack(skb)
})

/** reports what has changed: groups that were left, then those that were joined */
const mld_send_cr = kfunc('mld_send_cr', (idev: inet6_dev): void => {
  let skb: sk_buff | null = null
  for (const pmc of [...idev.mc_tomb]) {
    if (pmc.mca_crcount) {
      if (pmc.mca_sfmode === MCAST_EXCLUDE) skb = add_grec(skb, pmc, MLD2_CHANGE_TO_INCLUDE, 1, 0, 0)
      pmc.mca_crcount--
    }
    if (pmc.mca_crcount === 0) {
      idev.mc_tomb.splice(idev.mc_tomb.indexOf(pmc), 1)
      in6_dev_put(pmc.idev)
      kfree_rcu(pmc)
    }
  }
  for (const pmc of idev.mc_list)
    if (pmc.mca_crcount) {
      skb = add_grec(skb, pmc, pmc.mca_sfmode === MCAST_EXCLUDE ? MLD2_CHANGE_TO_EXCLUDE : MLD2_CHANGE_TO_INCLUDE, 0, 0, 0)
      pmc.mca_crcount--
    }
  if (skb !== null) mld_sendpack(skb)
})

/** the link address may be used from now on: reports before that came from nobody, and routers may have ignored them */
const mld_send_initial_cr_part_0 = kfunc('mld_send_initial_cr.part.0', (idev: inet6_dev): void => {
  let skb: sk_buff | null = null
  for (const pmc of idev.mc_list)
    skb = add_grec(skb, pmc, pmc.mca_sfcount[MCAST_EXCLUDE] ? MLD2_CHANGE_TO_EXCLUDE : MLD2_ALLOW_NEW_SOURCES, 0, 0, 1)
  if (skb !== null) mld_sendpack(skb)
})
const mld_send_initial_cr = kfunc('mld_send_initial_cr', (idev: inet6_dev): void => {
  if (!mld_in_v1_mode(idev)) mld_send_initial_cr_part_0(idev)
})

export const ipv6_mc_dad_complete = kfunc('ipv6_mc_dad_complete', (idev: inet6_dev): void => {
  mutex_lock(idev.mc_lock)
  idev.mc_dad_count = idev.mc_qrv
  if (idev.mc_dad_count) {
    mld_send_initial_cr(idev)
    idev.mc_dad_count--
    if (idev.mc_dad_count) mld_dad_start_work(idev, unsolicited_report_interval(idev))
  }
  mutex_unlock(idev.mc_lock)
})

/** container_of(): the device that a work is of */
const device_of = new WeakMap<work_struct, inet6_dev>()

const mld_dad_work = kfunc('mld_dad_work', (work: work_struct): void => {
  const idev = device_of.get(work)
  if (idev === undefined) return
  mutex_lock(idev.mc_lock)
  mld_send_initial_cr(idev)
  if (idev.mc_dad_count) {
    idev.mc_dad_count--
    if (idev.mc_dad_count) mld_dad_start_work(idev, unsolicited_report_interval(idev))
  }
  mutex_unlock(idev.mc_lock)
  in6_dev_put(idev)
})

const mld_ifc_work = kfunc('mld_ifc_work', (work: work_struct): void => {
  const idev = device_of.get(work)
  if (idev === undefined) return
  mutex_lock(idev.mc_lock)
  mld_send_cr(idev)
  if (idev.mc_ifc_count) {
    idev.mc_ifc_count--
    if (idev.mc_ifc_count) mld_ifc_start_work(idev, unsolicited_report_interval(idev))
  }
  mutex_unlock(idev.mc_lock)
  in6_dev_put(idev)
})

const mld_ifc_event = kfunc('mld_ifc_event', (idev: inet6_dev): void => {
  idev.mc_ifc_count = idev.mc_qrv
  mld_ifc_start_work(idev, 1)
})

// ---- a device comes and goes

export const ipv6_mc_down = kfunc('ipv6_mc_down', (idev: inet6_dev): void => {
  mutex_lock(idev.mc_lock)
  for (const i of idev.mc_list) igmp6_group_dropped(i)
  mld_ifc_stop_work(idev)
  mutex_unlock(idev.mc_lock)
  mld_dad_stop_work(idev)
})

const ipv6_mc_reset = kfunc('ipv6_mc_reset', (idev: inet6_dev): void => {
  idev.mc_qrv = sysctl_mld_qrv
})

/** the device came up, or somebody may be new on its link: it says again what it listens to */
export const ipv6_mc_up = kfunc('ipv6_mc_up', (idev: inet6_dev): void => {
  ipv6_mc_reset(idev)
  mutex_lock(idev.mc_lock)
  for (const i of idev.mc_list) {
    mld_del_delrec(idev, i)
    igmp6_group_added(i)
  }
  mutex_unlock(idev.mc_lock)
})

export const ipv6_mc_init_dev = kfunc('ipv6_mc_init_dev', (idev: inet6_dev): void => {
  idev.mc_ifc_work = new delayed_work(mld_ifc_work)
  idev.mc_dad_work = new delayed_work(mld_dad_work)
  for (const work of [idev.mc_ifc_work, idev.mc_dad_work]) {
    INIT_DELAYED_WORK(work)
    device_of.set(work, idev)
  }
  ipv6_mc_reset(idev)
})

export const ipv6_mc_destroy_dev = kfunc('ipv6_mc_destroy_dev', (idev: inet6_dev): void => {
  ipv6_mc_down(idev)
  mutex_lock(idev.mc_lock)
  mld_clear_delrec(idev)
  mutex_unlock(idev.mc_lock)
  __ipv6_dev_mc_dec(idev, in6addr_linklocal_allnodes)
  mutex_lock(idev.mc_lock)
  for (let i = idev.mc_list.shift(); i !== undefined; i = idev.mc_list.shift()) ma_put(i)
  mutex_unlock(idev.mc_lock)
})

const ipv6_mc_rejoin_groups = kfunc('ipv6_mc_rejoin_groups', (idev: inet6_dev): void => {
  mutex_lock(idev.mc_lock)
  mld_send_report(idev, null)
  mutex_unlock(idev.mc_lock)
})

const ipv6_mc_netdev_event = kfunc('ipv6_mc_netdev_event', (_nb: notifier_block, event: number, ptr: unknown): number => {
  const idev = __in6_dev_get(netdev_notifier_info_to_dev(ptr))
  if (event === NETDEV_RESEND_IGMP && idev !== null) ipv6_mc_rejoin_groups(idev)
  return 0
})

/** the socket that reports are sent with: as with ICMPv6's, one for all namespaces */
let igmp_sk: sock

const igmp6_net_init = kfunc('igmp6_net_init', (n: net): number => {
  if (n !== init_net) return 0
  const skp: ref<sock | null> = { v: null }
  const err = inet_ctl_sock_create(skp, PF_INET6, SOCK_RAW, IPPROTO_ICMPV6, n)
  if (err < 0 || skp.v === null) return err
  igmp_sk = skp.v
  inet6_sk(igmp_sk).hop_limit = 1
  net_ipv6(n).igmp_sk = igmp_sk
  return 0
})

export const igmp6_init = kfunc('igmp6_init', (): number => igmp6_net_init(init_net))
export const igmp6_late_init = kfunc('igmp6_late_init', (): number => {
  register_netdevice_notifier({ notifier_call: ipv6_mc_netdev_event, priority: 0 })
  return 0
})
