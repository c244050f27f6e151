import { HZ } from '../generated/enums.ts'
import type { in6_addr } from '../linux/in6.ts'
import { mutex } from '../linux/mutex.ts'
import type { net_device } from '../linux/netdevice.ts'
import { spinlock_t } from '../linux/spinlock.ts'
import { timer_list } from '../linux/timer.ts'
import type { delayed_work } from '../linux/workqueue.ts'
import type { fib6_info } from './ip6_fib.ts'
import type { neigh_parms } from './neighbour.ts'

export const IF_RA_RCVD = 0x20
export const IF_RS_SENT = 0x10
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
  dad_transmits = 1
  accept_ra = 0
  rtr_solicits = -1
  rtr_solicit_interval: number = 4 * HZ
  rtr_solicit_max_interval: number = 3600 * HZ
  rtr_solicit_delay: number = HZ
  mldv2_unsolicited_report_interval: number = HZ
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
  state = INET6_IFADDR_STATE_PREDAD
  dad_probes = 0
  /** six bytes that say that a solicitation is our own, come back to us: RFC 7527 */
  dad_nonce: Uint8Array | null = null
  dad_work: delayed_work | null = null

  constructor(addr: in6_addr, idev: inet6_dev) {
    this.addr = addr.slice()
    this.idev = idev
  }
}

/** states of an address: enum of include/net/if_inet6.h */
export const INET6_IFADDR_STATE_PREDAD = 0
export const INET6_IFADDR_STATE_DAD = 1
export const INET6_IFADDR_STATE_POSTDAD = 2
export const INET6_IFADDR_STATE_ERRDAD = 3
export const INET6_IFADDR_STATE_DEAD = 4

/** ifmcaddr6.mca_flags */
export const MAF_LOADED = 0x04
export const MAF_NOREPORT = 0x08

/** struct ifmcaddr6: a group that a device is in. Nobody here asks for single sources: it has no lists of them. */
export class ifmcaddr6 {
  readonly mca_addr: in6_addr
  readonly idev: inet6_dev
  mca_users = 1
  mca_flags = 0
  /** MCAST_EXCLUDE: everything that is sent to the group */
  mca_sfmode = 0
  /** users in each mode, MCAST_EXCLUDE first */
  readonly mca_sfcount: [number, number] = [0, 0]
  /** how often a change has still to be reported */
  mca_crcount = 0

  constructor(addr: in6_addr, idev: inet6_dev) {
    this.mca_addr = addr.slice()
    this.idev = idev
  }
}

/** struct inet6_dev */
export class inet6_dev {
  readonly dev: net_device
  /** global addresses first, those of the link last */
  readonly addr_list: inet6_ifaddr[] = []
  mc_list: ifmcaddr6[] = []
  /** groups that were left, until that was reported often enough */
  mc_tomb: ifmcaddr6[] = []
  readonly mc_lock: mutex = new mutex()
  /** how often each report is sent: the link may lose one */
  mc_qrv = 2
  mc_ifc_count = 0
  mc_dad_count = 0
  mc_ifc_work!: delayed_work
  mc_dad_work!: delayed_work
  rs_timer: timer_list = new timer_list(this)
  rs_interval = 0
  rs_probes = 0
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
