import type { neigh_parms } from '../net/neighbour.ts'
import type { net } from '../net/net_namespace.ts'
import type { net_device } from './netdevice.ts'
import { spinlock_t } from './spinlock.ts'
import type { timer_list } from './timer.ts'
import { LARGE } from './types.ts'

// include/uapi/linux/ip.h: numbers of the settings of a device
export const IPV4_DEVCONF_FORWARDING = 1
export const IPV4_DEVCONF_MC_FORWARDING = 2
export const IPV4_DEVCONF_PROXY_ARP = 3
export const IPV4_DEVCONF_ACCEPT_REDIRECTS = 4
export const IPV4_DEVCONF_SECURE_REDIRECTS = 5
export const IPV4_DEVCONF_SEND_REDIRECTS = 6
export const IPV4_DEVCONF_SHARED_MEDIA = 7
export const IPV4_DEVCONF_RP_FILTER = 8
export const IPV4_DEVCONF_ACCEPT_SOURCE_ROUTE = 9
export const IPV4_DEVCONF_BOOTP_RELAY = 10
export const IPV4_DEVCONF_LOG_MARTIANS = 11
export const IPV4_DEVCONF_TAG = 12
export const IPV4_DEVCONF_ARPFILTER = 13
export const IPV4_DEVCONF_MEDIUM_ID = 14
export const IPV4_DEVCONF_NOXFRM = 15
export const IPV4_DEVCONF_NOPOLICY = 16
export const IPV4_DEVCONF_FORCE_IGMP_VERSION = 17
export const IPV4_DEVCONF_ARP_ANNOUNCE = 18
export const IPV4_DEVCONF_ARP_IGNORE = 19
export const IPV4_DEVCONF_PROMOTE_SECONDARIES = 20
export const IPV4_DEVCONF_ARP_ACCEPT = 21
export const IPV4_DEVCONF_ARP_NOTIFY = 22
export const IPV4_DEVCONF_ACCEPT_LOCAL = 23
export const IPV4_DEVCONF_SRC_VMARK = 24
export const IPV4_DEVCONF_PROXY_ARP_PVLAN = 25
export const IPV4_DEVCONF_ROUTE_LOCALNET = 26
export const IPV4_DEVCONF_IGMPV2_UNSOLICITED_REPORT_INTERVAL = 27
export const IPV4_DEVCONF_IGMPV3_UNSOLICITED_REPORT_INTERVAL = 28
export const IPV4_DEVCONF_IGNORE_ROUTES_WITH_LINKDOWN = 29
export const IPV4_DEVCONF_DROP_UNICAST_IN_L2_MULTICAST = 30
export const IPV4_DEVCONF_DROP_GRATUITOUS_ARP = 31
export const IPV4_DEVCONF_BC_FORWARDING = 32
export const IPV4_DEVCONF_ARP_EVICT_NOCARRIER = 33
export const IPV4_DEVCONF_MAX = 33

/** struct ipv4_devconf: `data` is indexed by IPV4_DEVCONF_* itself, `state` says which were set by hand */
export class ipv4_devconf {
  readonly data: Int32Array = new Int32Array(IPV4_DEVCONF_MAX + 1)
  readonly state: Uint8Array = new Uint8Array(IPV4_DEVCONF_MAX + 1)

  copy_from(from: ipv4_devconf): void {
    this.data.set(from.data)
    this.state.set(from.state)
  }
}

/** struct in_ifaddr. Addresses in host order. */
export class in_ifaddr {
  ifa_next: in_ifaddr | null = null
  ifa_dev!: in_device
  ifa_local = 0
  ifa_address = 0
  ifa_mask = LARGE
  ifa_rt_priority = 0
  ifa_broadcast = 0
  ifa_scope = 0
  ifa_prefixlen = 0
  ifa_proto = 0
  ifa_flags = 0
  ifa_label = ''
  ifa_valid_lft = LARGE
  ifa_preferred_lft = LARGE
  ifa_cstamp = 0
  ifa_tstamp = 0
  /** in the hash of addresses of its namespace */
  hashed = false
}

/** a group that a device listens to: struct ip_mc_list */
export class ip_mc_list {
  readonly interface: in_device
  readonly multiaddr: number
  users = 1
  next_rcu: ip_mc_list | null = null
  sfmode = 0
  /** users of each mode: MCAST_INCLUDE, MCAST_EXCLUDE */
  readonly sfcount: [number, number] = [0, 0]
  readonly sources: { sf_inaddr: number; sf_count: [number, number] }[] = []
  loaded = 0
  /** how often its change is still to be reported */
  crcount = 0
  /** of deleted groups: in_device.mc_tomb */
  next: ip_mc_list | null = null
  readonly lock: spinlock_t = new spinlock_t()

  constructor(in_dev: in_device, addr: number) {
    this.interface = in_dev
    this.multiaddr = addr
  }
}

/** struct in_device: what IPv4 keeps of a device */
export class in_device {
  readonly dev: net_device
  refcnt = 0
  dead = 0
  ifa_list: in_ifaddr | null = null
  mc_list: ip_mc_list | null = null
  mc_count = 0
  /** groups that were left, until that is reported */
  mc_tomb: ip_mc_list | null = null
  readonly mc_tomb_lock: spinlock_t = new spinlock_t()
  mr_qrv = 0
  mr_ifc_count = 0
  mr_gq_timer: timer_list | null = null
  mr_ifc_timer: timer_list | null = null
  arp_parms!: neigh_parms
  readonly cnf: ipv4_devconf = new ipv4_devconf()

  constructor(dev: net_device) {
    this.dev = dev
  }
}

export const IN_DEV_CONF_GET = (in_dev: in_device, attr: number): number => in_dev.cnf.data[attr] as number
export const IN_DEV_CONF_SET = (in_dev: in_device, attr: number, val: number): void => {
  in_dev.cnf.state[attr] = 1
  in_dev.cnf.data[attr] = val
}
const all = (n: net, attr: number): number => (n.ipv4.devconf_all as ipv4_devconf).data[attr] as number
export const IPV4_DEVCONF_ALL_RO = all
export const IN_DEV_NET_ORCONF = (in_dev: in_device, n: net, attr: number): boolean =>
  all(n, attr) !== 0 || IN_DEV_CONF_GET(in_dev, attr) !== 0
export const IN_DEV_ORCONF = (in_dev: in_device, attr: number): boolean => IN_DEV_NET_ORCONF(in_dev, in_dev.dev.nd_net, attr)
export const IN_DEV_ANDCONF = (in_dev: in_device, attr: number): boolean =>
  all(in_dev.dev.nd_net, attr) !== 0 && IN_DEV_CONF_GET(in_dev, attr) !== 0
export const IN_DEV_MAXCONF = (in_dev: in_device, attr: number): number =>
  Math.max(all(in_dev.dev.nd_net, attr), IN_DEV_CONF_GET(in_dev, attr))
export const IN_DEV_FORWARD = (in_dev: in_device): boolean => IN_DEV_CONF_GET(in_dev, IPV4_DEVCONF_FORWARDING) !== 0
export const IN_DEV_RX_REDIRECTS = (in_dev: in_device): boolean =>
  IN_DEV_FORWARD(in_dev)
    ? IN_DEV_ANDCONF(in_dev, IPV4_DEVCONF_ACCEPT_REDIRECTS)
    : IN_DEV_ORCONF(in_dev, IPV4_DEVCONF_ACCEPT_REDIRECTS)
export const IN_DEV_TX_REDIRECTS = (in_dev: in_device): boolean => IN_DEV_ORCONF(in_dev, IPV4_DEVCONF_SEND_REDIRECTS)

export const inet_ifa_match = (addr: number, ifa: in_ifaddr): boolean => ((addr ^ ifa.ifa_address) & ifa.ifa_mask) === 0

/** dev->ip_ptr, which a caller that may not know of IPv4 holds as unknown */
export const __in_dev_get_rcu = (dev: net_device): in_device | null => dev.ip_ptr as in_device | null
export const __in_dev_get_rtnl = __in_dev_get_rcu
