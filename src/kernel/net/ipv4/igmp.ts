import { kfunc } from '../../../trace/kfunc.ts'
import { get_random_u32_below } from '../../drivers/char/random.ts'
import { IP_DF, IPPROTO_IGMP } from '../../include/generated/enums.ts'
import { EADDRINUSE, EADDRNOTAVAIL, EINVAL, ENOBUFS, ENODEV } from '../../include/linux/errno.ts'
import { IGMPV3_ALL_MCR, INADDR_ALLHOSTS_GROUP, ipv4_is_local_multicast, ipv4_is_multicast } from '../../include/linux/in.ts'
import {
  __in_dev_get_rtnl,
  IPV4_DEVCONF_IGMPV3_UNSOLICITED_REPORT_INTERVAL,
  type in_device,
  ip_mc_list,
} from '../../include/linux/inetdevice.ts'
import { ip_hdr } from '../../include/linux/ip.ts'
import { LL_RESERVED_SPACE, type net_device } from '../../include/linux/netdevice.ts'
import { type sk_buff, skb_reset_network_header } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC, GFP_KERNEL } from '../../include/linux/slab.ts'
import { timer_list } from '../../include/linux/timer.ts'
import { IS_ERR } from '../../include/linux/types.ts'
import { flowi4 } from '../../include/net/flow.ts'
import { INET_FLAGS_MC_ALL, inet_sk, inet_test_bit } from '../../include/net/inet_sock.ts'
import { IPV4_MIN_MTU } from '../../include/net/ip.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { sock } from '../../include/net/sock.ts'
import { spin_lock_bh, spin_unlock_bh } from '../../kernel/locking/spinlock.ts'
import { kfree_rcu, rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { jiffies, mod_timer, msecs_to_jiffies, timer_delete, timer_setup } from '../../kernel/time/timer.ts'
import { ip_compute_csum } from '../../lib/checksum.ts'
import { kfree, kzalloc } from '../../mm/slub.ts'
import { dev_mc_add, dev_mc_del } from '../core/dev_addr_lists.ts'
import { skb_dst_set } from '../core/dst.ts'
import { alloc_skb, kfree_skb, skb_put, skb_reserve, skb_tailroom_reserve } from '../core/skbuff.ts'
import { sock_kmalloc, sock_net } from '../core/sock.ts'
import { arp_mc_map } from './arp.ts'
import { __ip_dev_find, in_dev_put, inetdev_by_index } from './devinet.ts'
import { ip_local_out, ip_select_ident } from './ip_output.ts'
import { ip_route_output, ip_route_output_ports, ip_rt_put } from './route.ts'

export const MCAST_EXCLUDE = 0
export const MCAST_INCLUDE = 1

/** struct ip_mreqn: a group, and the interface by address or number */
export interface ip_mreqn {
  imr_multiaddr: number
  imr_address: number
  imr_ifindex: number
}

/** struct ip_mc_socklist: a group that a socket is in; `sl` are the sources that its mode speaks of */
export interface ip_mc_socklist {
  next_rcu: ip_mc_socklist | null
  multi: ip_mreqn
  sfmode: number
  sflist: number[]
}

const find = (in_dev: in_device, addr: number): ip_mc_list | null => {
  for (let im = in_dev.mc_list; im !== null; im = im.next_rcu) if (im.multiaddr === addr) return im
  return null
}

// ---- reports: IGMPv3, RFC 3376. There is no querier here: hosts speak of themselves when they join and leave.

const IGMPV3_HOST_MEMBERSHIP_REPORT = 0x22
const IGMPV3_CHANGE_TO_INCLUDE = 3
const IGMPV3_CHANGE_TO_EXCLUDE = 4
const IGMPV3_REPORT_SIZE = 8
const IGMPV3_GREC_SIZE = 8
/** an IP header with the router alert option */
const IP_HLEN = 24
const IPOPT_RA = 148
const TC_PRIO_CONTROL = 7

const qrv = (in_dev: in_device): number => in_dev.mr_qrv || in_dev.dev.nd_net.ipv4.sysctl_igmp_qrv
const silent = (n: net, addr: number): boolean =>
  addr === INADDR_ALLHOSTS_GROUP || (ipv4_is_local_multicast(addr) && !n.ipv4.sysctl_igmp_llm_reports)

const unsolicited_report_interval = kfunc('unsolicited_report_interval', (in_dev: in_device): number =>
  Math.max(1, msecs_to_jiffies(in_dev.cnf.data[IPV4_DEVCONF_IGMPV3_UNSOLICITED_REPORT_INTERVAL] ?? 1000)),
)

const igmp_ifc_start_timer = kfunc('igmp_ifc_start_timer', (in_dev: in_device, delay: number): void => {
  in_dev.refcnt++
  const tv = get_random_u32_below(delay)
  if (in_dev.mr_ifc_timer !== null && mod_timer(in_dev.mr_ifc_timer, jiffies() + tv + 2)) in_dev_put(in_dev)
})

const igmpv3_get_srcaddr = kfunc('igmpv3_get_srcaddr', (dev: net_device, fl4: flowi4): number => {
  const in_dev = __in_dev_get_rtnl(dev)
  for (let ifa = in_dev?.ifa_list ?? null; ifa !== null; ifa = ifa.ifa_next) if (fl4.saddr === ifa.ifa_local) return fl4.saddr
  return 0
})

const igmpv3_newpack = kfunc('igmpv3_newpack', (dev: net_device, mtu: number): sk_buff | null => {
  const n = dev.nd_net
  const hlen = LL_RESERVED_SPACE(dev)
  const skb = alloc_skb(mtu + hlen + dev.needed_tailroom, GFP_ATOMIC)
  if (skb === null) return null
  skb.priority = TC_PRIO_CONTROL
  const fl4 = new flowi4()
  const rt = ip_route_output_ports(n, fl4, null, IGMPV3_ALL_MCR, 0, 0, 0, IPPROTO_IGMP, 0, dev.ifindex)
  if (IS_ERR(rt)) {
    kfree_skb(skb)
    return null
  }
  skb_dst_set(skb, rt)
  skb.dev = dev
  skb_reserve(skb, hlen)
  skb_tailroom_reserve(skb, mtu, dev.needed_tailroom)
  skb_reset_network_header(skb)
  skb_put(skb, IP_HLEN)
  const b = skb.head.bytes
  const at = skb.network_header
  b.fill(0, at, at + IP_HLEN)
  b[at] = 0x46
  b[at + 1] = 0xc0
  const iph = ip_hdr(skb)
  iph.frag_off = IP_DF
  iph.ttl = 1
  iph.daddr = fl4.daddr
  rcu_read_lock()
  const saddr = igmpv3_get_srcaddr(dev, fl4)
  rcu_read_unlock()
  ip_hdr(skb).saddr = saddr
  ip_hdr(skb).protocol = IPPROTO_IGMP
  ip_select_ident(n, skb, null)
  b[at + 20] = IPOPT_RA
  b[at + 21] = 4
  skb.transport_header = at + IP_HLEN
  skb_put(skb, IGMPV3_REPORT_SIZE)
  b.fill(0, skb.transport_header, skb.tail)
  b[skb.transport_header] = IGMPV3_HOST_MEMBERSHIP_REPORT
  return skb
})

const igmpv3_sendpack = kfunc('igmpv3_sendpack', (skb: sk_buff): number => {
  const at = skb.transport_header
  const b = skb.head.bytes
  const sum = ip_compute_csum(b, at, skb.tail - at)
  b[at + 2] = sum >> 8
  b[at + 3] = sum
  return ip_local_out((skb.dev as net_device).nd_net, skb.sk, skb)
})

/** adds a record of one group, in a new packet when the last one is full */
const add_grec = kfunc('add_grec', (given: sk_buff | null, pmc: ip_mc_list, type: number): sk_buff | null => {
  const { dev } = pmc.interface
  if (silent(dev.nd_net, pmc.multiaddr) || dev.mtu < IPV4_MIN_MTU || !pmc.crcount) return given
  let skb = given
  if (skb !== null && skb.end - skb.tail - skb.reserved_tailroom < IGMPV3_GREC_SIZE) {
    igmpv3_sendpack(skb)
    skb = null
  }
  skb ??= igmpv3_newpack(dev, dev.mtu)
  if (skb === null) return null
  const at = skb.tail
  skb_put(skb, IGMPV3_GREC_SIZE)
  const b = skb.head.bytes
  b.fill(0, at, at + IGMPV3_GREC_SIZE)
  b[at] = type
  for (let i = 0; i < 4; i++) b[at + 4 + i] = pmc.multiaddr >>> (24 - 8 * i)
  const ngrec = ((b[skb.transport_header + 6] ?? 0) << 8) + (b[skb.transport_header + 7] ?? 0) + 1
  b[skb.transport_header + 6] = ngrec >> 8
  b[skb.transport_header + 7] = ngrec
  return skb
})

/** reports what changed: groups that were left, and groups that were joined */
const igmpv3_send_cr = kfunc('igmpv3_send_cr', (in_dev: in_device): void => {
  let skb: sk_buff | null = null
  rcu_read_lock()
  spin_lock_bh(in_dev.mc_tomb_lock)
  let prev: ip_mc_list | null = null
  for (let pmc = in_dev.mc_tomb; pmc !== null; pmc = pmc.next) {
    if (pmc.crcount) {
      if (pmc.sfmode === MCAST_EXCLUDE) skb = add_grec(skb, pmc, IGMPV3_CHANGE_TO_INCLUDE)
      pmc.crcount--
    }
    if (pmc.crcount) prev = pmc
    else {
      if (prev === null) in_dev.mc_tomb = pmc.next
      else prev.next = pmc.next
      in_dev_put(pmc.interface)
      kfree(pmc)
    }
  }
  spin_unlock_bh(in_dev.mc_tomb_lock)
  for (let pmc = in_dev.mc_list; pmc !== null; pmc = pmc.next_rcu) {
    spin_lock_bh(pmc.lock)
    if (pmc.crcount) {
      skb = add_grec(skb, pmc, pmc.sfmode === MCAST_EXCLUDE ? IGMPV3_CHANGE_TO_EXCLUDE : IGMPV3_CHANGE_TO_INCLUDE)
      pmc.crcount--
    }
    spin_unlock_bh(pmc.lock)
  }
  rcu_read_unlock()
  if (skb !== null) igmpv3_sendpack(skb)
})

/** from_timer(): the device that a timer is of */
const ifc_timers = new WeakMap<timer_list, in_device>()

const igmp_ifc_timer_expire = kfunc('igmp_ifc_timer_expire', (t: timer_list): void => {
  const in_dev = ifc_timers.get(t)
  if (in_dev === undefined) return
  igmpv3_send_cr(in_dev)
  if (in_dev.mr_ifc_count) {
    in_dev.mr_ifc_count--
    igmp_ifc_start_timer(in_dev, unsolicited_report_interval(in_dev))
  }
  in_dev_put(in_dev)
})

const igmp_ifc_event = kfunc('igmp_ifc_event', (in_dev: in_device): void => {
  in_dev.mr_ifc_count = qrv(in_dev)
  igmp_ifc_start_timer(in_dev, 1)
})

/** tells the card which frames are wanted */
const ip_mc_filter_add = kfunc('ip_mc_filter_add', (in_dev: in_device, addr: number): void => {
  const buf = new Uint8Array(32)
  if (arp_mc_map(addr, buf, in_dev.dev, 0) === 0) dev_mc_add(in_dev.dev, buf)
})
const ip_mc_filter_del = kfunc('ip_mc_filter_del', (in_dev: in_device, addr: number): void => {
  const buf = new Uint8Array(32)
  if (arp_mc_map(addr, buf, in_dev.dev, 0) === 0) dev_mc_del(in_dev.dev, buf)
})

const igmp_group_added = kfunc('igmp_group_added', (im: ip_mc_list): void => {
  const in_dev = im.interface
  if (!im.loaded) {
    im.loaded = 1
    ip_mc_filter_add(in_dev, im.multiaddr)
  }
  if (silent(in_dev.dev.nd_net, im.multiaddr) || in_dev.dead) return
  if (im.sfmode === MCAST_EXCLUDE) im.crcount = qrv(in_dev)
  igmp_ifc_event(in_dev)
})

const igmpv3_add_delrec = kfunc('igmpv3_add_delrec', (in_dev: in_device, im: ip_mc_list, gfp: number): void => {
  kzalloc(144, gfp)
  const pmc = new ip_mc_list(in_dev, im.multiaddr)
  in_dev.refcnt++
  pmc.crcount = qrv(in_dev)
  pmc.sfmode = im.sfmode
  pmc.next = in_dev.mc_tomb
  in_dev.mc_tomb = pmc
})
const igmpv3_del_delrec = kfunc('igmpv3_del_delrec', (in_dev: in_device, im: ip_mc_list): void => {
  let prev: ip_mc_list | null = null
  for (let pmc = in_dev.mc_tomb; pmc !== null; pmc = pmc.next) {
    if (pmc.multiaddr === im.multiaddr) {
      if (prev === null) in_dev.mc_tomb = pmc.next
      else prev.next = pmc.next
      im.crcount = qrv(in_dev)
      in_dev_put(pmc.interface)
      kfree(pmc)
      return
    }
    prev = pmc
  }
})

const __igmp_group_dropped = kfunc('__igmp_group_dropped', (im: ip_mc_list, gfp: number): void => {
  const in_dev = im.interface
  if (im.loaded) {
    im.loaded = 0
    ip_mc_filter_del(in_dev, im.multiaddr)
  }
  if (silent(in_dev.dev.nd_net, im.multiaddr) || in_dev.dead) return
  igmpv3_add_delrec(in_dev, im, gfp)
  igmp_ifc_event(in_dev)
})

// ---- the groups of a device

const ____ip_mc_inc_group = kfunc('____ip_mc_inc_group', (in_dev: in_device, addr: number, mode: number, gfp: number): void => {
  const slot = mode === MCAST_EXCLUDE ? MCAST_EXCLUDE : MCAST_INCLUDE
  const im = find(in_dev, addr)
  if (im !== null) {
    im.users++
    im.sfcount[slot]++
    return
  }
  kzalloc(144, gfp)
  const fresh = new ip_mc_list(in_dev, addr)
  in_dev.refcnt++
  fresh.sfmode = mode
  fresh.sfcount[slot] = 1
  fresh.next_rcu = in_dev.mc_list
  in_dev.mc_list = fresh
  in_dev.mc_count++
  igmpv3_del_delrec(in_dev, fresh)
  igmp_group_added(fresh)
})
/** one user more of a group on a device */
export const __ip_mc_inc_group = kfunc('__ip_mc_inc_group', (in_dev: in_device, addr: number, gfp: number): void =>
  ____ip_mc_inc_group(in_dev, addr, MCAST_EXCLUDE, gfp),
)
export const ip_mc_inc_group = kfunc('ip_mc_inc_group', (in_dev: in_device, addr: number): void =>
  __ip_mc_inc_group(in_dev, addr, GFP_KERNEL),
)

export const __ip_mc_dec_group = kfunc('__ip_mc_dec_group', (in_dev: in_device, addr: number, gfp: number): void => {
  let prev: ip_mc_list | null = null
  for (let im = in_dev.mc_list; im !== null; im = im.next_rcu) {
    if (im.multiaddr === addr) {
      if (--im.users === 0) {
        if (prev === null) in_dev.mc_list = im.next_rcu
        else prev.next_rcu = im.next_rcu
        in_dev.mc_count--
        __igmp_group_dropped(im, gfp)
        in_dev.refcnt--
        kfree_rcu(im)
      }
      return
    }
    prev = im
  }
})

export const ip_mc_init_dev = kfunc('ip_mc_init_dev', (in_dev: in_device): void => {
  in_dev.mc_list = null
  const timer = new timer_list()
  timer_setup(timer, igmp_ifc_timer_expire, 0)
  ifc_timers.set(timer, in_dev)
  in_dev.mr_ifc_timer = timer
})
/** the device came up: it is in the group of all hosts, and says again what else it is in */
export const ip_mc_up = kfunc('ip_mc_up', (in_dev: in_device): void => {
  ip_mc_inc_group(in_dev, INADDR_ALLHOSTS_GROUP)
  for (let pmc = in_dev.mc_list; pmc !== null; pmc = pmc.next_rcu) {
    igmpv3_del_delrec(in_dev, pmc)
    igmp_group_added(pmc)
  }
})
export const ip_mc_down = kfunc('ip_mc_down', (in_dev: in_device): void => {
  for (let pmc = in_dev.mc_list; pmc !== null; pmc = pmc.next_rcu) pmc.loaded = 0
  in_dev.mr_ifc_count = 0
  if (in_dev.mr_ifc_timer !== null && timer_delete(in_dev.mr_ifc_timer)) in_dev_put(in_dev)
  __ip_mc_dec_group(in_dev, INADDR_ALLHOSTS_GROUP, GFP_KERNEL)
})
export const ip_mc_unmap = kfunc('ip_mc_unmap', (_in_dev: in_device): void => {})
export const ip_mc_remap = kfunc('ip_mc_remap', (_in_dev: in_device): void => {})
export const ip_mc_destroy_dev = kfunc('ip_mc_destroy_dev', (in_dev: in_device): void => {
  ip_mc_down(in_dev)
  for (let im = in_dev.mc_list; im !== null; im = in_dev.mc_list) {
    in_dev.mc_list = im.next_rcu
    in_dev.mc_count--
    in_dev.refcnt--
    kfree_rcu(im)
  }
})

const ip_mc_find_dev = kfunc('ip_mc_find_dev', (n: net, imr: ip_mreqn): in_device | null => {
  let dev: net_device | null = null
  if (imr.imr_ifindex) return inetdev_by_index(n, imr.imr_ifindex)
  if (imr.imr_address) {
    dev = __ip_dev_find(n, imr.imr_address, false)
    if (dev === null) return null
  }
  if (dev === null) {
    const rt = ip_route_output(n, imr.imr_multiaddr, 0, 0, 0, 0)
    if (!IS_ERR(rt)) {
      dev = rt.dev
      ip_rt_put(rt)
    }
  }
  if (dev === null) return null
  imr.imr_ifindex = dev.ifindex
  return __in_dev_get_rtnl(dev)
})

const __ip_mc_join_group = kfunc('__ip_mc_join_group', (sk: sock, imr: ip_mreqn, mode: number): number => {
  const inet = inet_sk(sk)
  const n = sock_net(sk)
  if (!ipv4_is_multicast(imr.imr_multiaddr)) return -EINVAL
  const in_dev = ip_mc_find_dev(n, imr)
  if (in_dev === null) return -ENODEV
  let count = 0
  for (let i = inet.mc_list as ip_mc_socklist | null; i !== null; i = i.next_rcu) {
    if (i.multi.imr_multiaddr === imr.imr_multiaddr && i.multi.imr_ifindex === imr.imr_ifindex) return -EADDRINUSE
    count++
  }
  if (count >= n.ipv4.sysctl_igmp_max_memberships) return -ENOBUFS
  if (sock_kmalloc(sk, 48, GFP_KERNEL) === null) return -ENOBUFS
  const iml: ip_mc_socklist = { next_rcu: inet.mc_list as ip_mc_socklist | null, multi: { ...imr }, sfmode: mode, sflist: [] }
  inet.mc_list = iml
  ip_mc_inc_group(in_dev, imr.imr_multiaddr)
  return 0
})

export const ip_mc_join_group = kfunc('ip_mc_join_group', (sk: sock, imr: ip_mreqn): number =>
  __ip_mc_join_group(sk, imr, MCAST_EXCLUDE),
)

export const ip_mc_leave_group = kfunc('ip_mc_leave_group', (sk: sock, imr: ip_mreqn): number => {
  const inet = inet_sk(sk)
  const in_dev = ip_mc_find_dev(sock_net(sk), imr)
  if (!imr.imr_ifindex && !imr.imr_address && in_dev === null) return -ENODEV
  let prev: ip_mc_socklist | null = null
  for (let iml = inet.mc_list as ip_mc_socklist | null; iml !== null; iml = iml.next_rcu) {
    if (iml.multi.imr_multiaddr === imr.imr_multiaddr && (!imr.imr_ifindex || iml.multi.imr_ifindex === imr.imr_ifindex)) {
      if (prev === null) inet.mc_list = iml.next_rcu
      else prev.next_rcu = iml.next_rcu
      if (in_dev !== null) __ip_mc_dec_group(in_dev, imr.imr_multiaddr, GFP_KERNEL)
      sk.sk_omem_alloc -= 48
      kfree_rcu(iml)
      return 0
    }
    prev = iml
  }
  return -EADDRNOTAVAIL
})

/** a socket goes: it leaves all its groups */
export const ip_mc_drop_socket = kfunc('ip_mc_drop_socket', (sk: sock): void => {
  const inet = inet_sk(sk)
  if (inet.mc_list === null) return
  for (let iml = inet.mc_list as ip_mc_socklist | null; iml !== null; iml = inet.mc_list as ip_mc_socklist | null) {
    inet.mc_list = iml.next_rcu
    const in_dev = inetdev_by_index(sock_net(sk), iml.multi.imr_ifindex)
    if (in_dev !== null) __ip_mc_dec_group(in_dev, iml.multi.imr_multiaddr, GFP_KERNEL)
    sk.sk_omem_alloc -= 48
    kfree_rcu(iml)
  }
})

/** whether a socket wants what was sent to a group */
export const ip_mc_sf_allow = kfunc(
  'ip_mc_sf_allow',
  (sk: sock, loc_addr: number, rmt_addr: number, dif: number, sdif: number): boolean => {
    if (!ipv4_is_multicast(loc_addr)) return true
    rcu_read_lock()
    let ret = inet_test_bit(INET_FLAGS_MC_ALL, sk)
    for (let pmc = inet_sk(sk).mc_list as ip_mc_socklist | null; pmc !== null; pmc = pmc.next_rcu) {
      const { imr_multiaddr, imr_ifindex } = pmc.multi
      if (imr_multiaddr !== loc_addr || (imr_ifindex !== dif && !(sdif && imr_ifindex === sdif))) continue
      const listed = pmc.sflist.includes(rmt_addr)
      ret = pmc.sflist.length === 0 ? pmc.sfmode === MCAST_EXCLUDE : pmc.sfmode === MCAST_INCLUDE ? listed : !listed
      break
    }
    rcu_read_unlock()
    return ret
  },
)

/** whether a device listens to a group, and to this source */
export const ip_check_mc_rcu = kfunc(
  'ip_check_mc_rcu',
  (in_dev: in_device, mc_addr: number, src_addr: number, proto: number): number => {
    const im = find(in_dev, mc_addr)
    if (im === null) return 0
    if (proto === IPPROTO_IGMP) return 1
    if (src_addr) {
      const psf = im.sources.find((s) => s.sf_inaddr === src_addr)
      if (psf !== undefined)
        return psf.sf_count[MCAST_INCLUDE] || psf.sf_count[MCAST_EXCLUDE] !== im.sfcount[MCAST_EXCLUDE] ? 1 : 0
      return im.sfcount[MCAST_EXCLUDE] !== 0 ? 1 : 0
    }
    return 1
  },
)

export const igmp_mc_init = kfunc('igmp_mc_init', (): number => 0)
