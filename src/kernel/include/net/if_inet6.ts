import type { in6_addr } from '../linux/in6.ts'
import type { net_device } from '../linux/netdevice.ts'
import { spinlock_t } from '../linux/spinlock.ts'
import type { fib6_info } from './ip6_fib.ts'
import type { neigh_parms } from './neighbour.ts'

export const IF_READY = 0x80000000
export const IFA_HOST = 0x0010
export const IFA_LINK = 0x0020
export const IFA_SITE = 0x0040
export const IFA_F_TEMPORARY = 0x01
export const IFA_F_NODAD = 0x02
export const IFA_F_OPTIMISTIC = 0x04
export const IFA_F_HOMEADDRESS = 0x10
export const IFA_F_TENTATIVE = 0x40

/** struct ipv6_devconf: settings of a device, as in /proc/sys/net/ipv6/conf */
export class ipv6_devconf {
  disable_ipv6 = 0
  hop_limit = 64
  mtu6 = 1280
  forwarding = 0
  accept_dad = 0
  dad_transmits = 0
  accept_ra = 1
  rtr_solicits = -1
  rtr_probe_interval = 0
  use_tempaddr = 0
  proxy_ndp = 0
  accept_source_route = 0
  use_oif_addrs_only = 0
  ignore_routes_with_linkdown = 0
  drop_unicast_in_l2_multicast = 0
  drop_unsolicited_na = 0
  force_tllao = 0
  ndisc_tclass = 0
  ndisc_notify = 0
  disable_policy = 0
  addr_gen_mode = 0
}

/** struct inet6_ifaddr: an address of a device */
export class inet6_ifaddr {
  readonly addr: in6_addr
  prefix_len = 0
  rt_priority = 0
  flags = 0
  scope = 0
  refcnt = 1
  valid_lft = 0xffffffff
  prefered_lft = 0xffffffff
  cstamp = 0
  tstamp = 0
  peer_addr: in6_addr = new Uint8Array(16)
  idev: inet6_dev
  rt: fib6_info | null = null
  readonly lock: spinlock_t = new spinlock_t()

  constructor(addr: in6_addr, idev: inet6_dev) {
    this.addr = addr.slice()
    this.idev = idev
  }
}

/** struct ifmcaddr6: a group that a device is in */
export interface ifmcaddr6 {
  mca_addr: in6_addr
  mca_users: number
}

/** struct inet6_dev */
export class inet6_dev {
  readonly dev: net_device
  /** global addresses first, those of the link last */
  readonly addr_list: inet6_ifaddr[] = []
  readonly mc_list: ifmcaddr6[] = []
  if_flags = 0
  dead = 0
  refcnt = 1
  nd_parms!: neigh_parms
  cnf: ipv6_devconf = new ipv6_devconf()
  tstamp = 0
  readonly lock: spinlock_t = new spinlock_t()

  constructor(dev: net_device) {
    this.dev = dev
  }
}
