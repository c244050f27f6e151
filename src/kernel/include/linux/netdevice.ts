import type { dst_entry } from '../net/dst.ts'
import type { hh_cache, neigh_parms, neighbour } from '../net/neighbour.ts'
import type { net } from '../net/net_namespace.ts'
import type { rtnl_link_ops } from '../net/rtnetlink.ts'
import type { Qdisc } from '../net/sch_generic.ts'
import type { sock } from '../net/sock.ts'
import { list_head } from './list.ts'
import type { netdev_features_t } from './netdev_features.ts'
import type { nf_hook_entries } from './netfilter.ts'
import { type sk_buff, sk_buff_head } from './skbuff.ts'
import { spinlock_t } from './spinlock.ts'
import type { ref } from './types.ts'

export type { netdev_features_t }

/** addr_assign_type: where a device's address is from */
export const NET_ADDR_PERM = 0
export const NET_ADDR_RANDOM = 1
export const NET_ADDR_STOLEN = 2
export const NET_ADDR_SET = 3
export const IFNAMSIZ = 16
export const TSO_LEGACY_MAX_SIZE = 65536
export const TSO_MAX_SIZE = 0xffffffff
export const TSO_MAX_SEGS = 0xffff
export const GRO_LEGACY_MAX_SIZE = 65536
export const DEFAULT_TX_QUEUE_LEN = 1000

/** struct packet_type: who wants frames of a type */
export interface packet_type {
  /** EtherType, or ETH_P_ALL */
  type: number
  ignore_outgoing: boolean
  dev: net_device | null
  func: (skb: sk_buff, dev: net_device, pt: packet_type, orig_dev: net_device) => number
  /** the same for packets that came together */
  list_func?: (head: sk_buff[], pt: packet_type, orig_dev: net_device | null) => void
  id_match?: (ptype: packet_type, sk: sock) => boolean
  af_packet_net: net | null
  af_packet_priv: unknown
}

/** struct offload_callbacks: how a protocol cuts large packets, and how it joins small ones */
export interface offload_callbacks {
  /** a list of segments through `next`, null when the packet may stay as it is, or an error */
  gso_segment?: (skb: sk_buff, features: netdev_features_t) => sk_buff | number | null
  /** the packet of `head` that has to be given up now, if any */
  gro_receive?: (head: sk_buff[], skb: sk_buff) => sk_buff | null
  gro_complete?: (skb: sk_buff, nhoff: number) => number
}

/** struct packet_offload: the same for the packets of an EtherType */
export interface packet_offload {
  type: number
  priority: number
  callbacks: offload_callbacks
}

/** struct header_ops: how a link layer writes its header */
export interface header_ops {
  create: (skb: sk_buff, dev: net_device, type: number, daddr: Uint8Array | null, saddr: Uint8Array | null, len: number) => number
  parse?: (skb: sk_buff, haddr: Uint8Array) => number
  cache?: (neigh: neighbour, hh: hh_cache, type: number) => number
  cache_update?: (hh: hh_cache, dev: net_device, haddr: Uint8Array) => void
  validate?: (ll_header: Uint8Array, len: number) => boolean
  parse_protocol?: (skb: sk_buff) => number
}

/** struct net_device_ops */
export interface net_device_ops {
  ndo_init?: (dev: net_device) => number
  ndo_uninit?: (dev: net_device) => void
  ndo_open?: (dev: net_device) => number
  ndo_stop?: (dev: net_device) => number
  ndo_start_xmit: (skb: sk_buff, dev: net_device) => number
  ndo_features_check?: (skb: sk_buff, dev: net_device, features: netdev_features_t) => netdev_features_t
  ndo_select_queue?: (dev: net_device, skb: sk_buff, sb_dev: net_device | null) => number
  ndo_set_rx_mode?: (dev: net_device) => void
  ndo_set_mac_address?: (dev: net_device, addr: Uint8Array) => number
  ndo_validate_addr?: (dev: net_device) => number
  ndo_change_mtu?: (dev: net_device, new_mtu: number) => number
  ndo_neigh_setup?: (dev: net_device, parms: neigh_parms) => number
  ndo_tx_timeout?: (dev: net_device, txqueue: number) => void
  ndo_get_stats64?: (dev: net_device, stats: rtnl_link_stats64) => void
  ndo_fix_features?: (dev: net_device, features: netdev_features_t) => netdev_features_t
  ndo_set_features?: (dev: net_device, features: netdev_features_t) => number
  ndo_get_iflink?: (dev: net_device) => number
  ndo_vlan_rx_add_vid?: (dev: net_device, proto: number, vid: number) => number
  ndo_vlan_rx_kill_vid?: (dev: net_device, proto: number, vid: number) => number
  ndo_change_rx_flags?: (dev: net_device, flags: number) => void
  ndo_change_carrier?: (dev: net_device, new_carrier: boolean) => number
  ndo_add_slave?: (dev: net_device, slave: net_device, extack: null) => number
  ndo_del_slave?: (dev: net_device, slave: net_device) => number
  ndo_set_rx_headroom?: (dev: net_device, needed_headroom: number) => void
  ndo_get_peer_dev?: (dev: net_device) => net_device | null
}

export class rtnl_link_stats64 {
  rx_packets = 0
  tx_packets = 0
  rx_bytes = 0
  tx_bytes = 0
  rx_errors = 0
  tx_errors = 0
  rx_dropped = 0
  tx_dropped = 0
  multicast = 0
  collisions = 0
}

/** packets that the stack dropped on account of a device */
export class net_device_core_stats {
  rx_dropped = 0
  tx_dropped = 0
  rx_nohandler = 0
  rx_otherhost_dropped = 0
}
export const SIZEOF_NET_DEVICE_CORE_STATS = 32

/** struct netdev_queue: one transmit queue of a device */
export class netdev_queue {
  dev: net_device
  qdisc: Qdisc | null = null
  qdisc_sleeping: Qdisc | null = null
  tx_maxrate = 0
  trans_timeout = 0
  readonly _xmit_lock: spinlock_t = new spinlock_t()
  xmit_lock_owner = -1
  /** jiffies */
  trans_start = 0
  /** __QUEUE_STATE_* bits */
  state = 0
  /** byte queue limits, for drivers that use them */
  dql = {
    num_queued: 0,
    adj_limit: 0,
    last_obj_cnt: 0,
    limit: 0,
    num_completed: 0,
    prev_ovlimit: 0,
    prev_num_queued: 0,
    prev_last_obj_cnt: 0,
    lowest_slack: 0xffffffff,
    slack_start_time: 0,
    max_limit: 0x7fffffff,
    min_limit: 0,
    slack_hold_time: 250,
  }

  constructor(dev: net_device) {
    this.dev = dev
  }

  describe(): string {
    return `${this.dev.name} tx-${Math.max(0, this.dev._tx.indexOf(this))}`
  }
  get netnsName(): string {
    return this.dev.nd_net.name
  }
  /** bytes that the card has and has not sent yet, and its byte queue limit, as in /sys/class/net/DEV/queues/tx-N/byte_queue_limits */
  counters(): Record<string, number> {
    return { inflight: this.dql.num_queued - this.dql.num_completed, limit: this.dql.limit }
  }
}

/** struct napi_struct: a source of received packets that is polled in the softirq */
export class napi_struct {
  readonly poll_list: list_head<napi_struct> = new list_head<napi_struct>(this)
  /** NAPI_STATE_* bits */
  state = 0
  weight = 0
  defer_hard_irqs_count = 0
  gro_bitmask = 0
  poll!: (napi: napi_struct, weight: number) => number
  dev!: net_device
  /** packets that GRO holds, the newest first, by their hash */
  gro_hash: { list: sk_buff[]; count: number }[] = []
  skb: sk_buff | null = null
  rx_list: sk_buff[] = []
  rx_count = 0
  napi_id = 0
  irq = 0
}

/** struct softnet_data: a processor's receive queue; there is one processor */
export class softnet_data {
  readonly poll_list: list_head<napi_struct> = new list_head<napi_struct>()
  readonly process_queue: sk_buff_head = new sk_buff_head()
  processed = 0
  time_squeeze = 0
  in_net_rx_action = false
  output_queue: Qdisc | null = null
  output_queue_tail: Qdisc | null = null
  completion_queue: sk_buff | null = null
  xmit: { recursion: number; more: number } = { recursion: 0, more: 0 }
  received_rps = 0
  readonly input_pkt_queue: sk_buff_head = new sk_buff_head()
  readonly backlog: napi_struct = new napi_struct()
  dropped = 0
  readonly defer_lock: spinlock_t = new spinlock_t()
  defer_list: sk_buff | null = null
  defer_count = 0
}

export const NETDEV_PCPU_STAT_NONE = 0
export const NETDEV_PCPU_STAT_LSTATS = 1
export const NETDEV_PCPU_STAT_TSTATS = 2
export const NETDEV_PCPU_STAT_DSTATS = 3

/** include/linux/netdevice.h struct net_device */
export class net_device {
  name = ''
  ifindex = 0
  /** IFF_* (uapi) */
  flags = 0
  /** IFF_* (enum netdev_priv_flags) */
  priv_flags = 0
  lltx = false
  netns_immutable = false
  netdev_ops!: net_device_ops
  header_ops: header_ops | null = null
  ethtool_ops: unknown = null
  xfrmdev_ops: unknown = null
  l3mdev_ops: unknown = null
  rtnl_link_ops: rtnl_link_ops | null = null
  _tx: netdev_queue[] = []
  num_tx_queues = 0
  real_num_tx_queues = 0
  num_rx_queues = 0
  real_num_rx_queues = 0
  num_tc = 0
  gso_partial_features = 0n
  gso_max_size = 0
  gso_ipv4_max_size = 0
  gso_max_segs = 0
  tso_max_size = 0
  tso_max_segs = 0
  gro_max_size = 0
  gro_ipv4_max_size = 0
  mtu = 0
  min_mtu = 0
  max_mtu = 0
  needed_headroom = 0
  needed_tailroom = 0
  hard_header_len = 0
  min_header_len = 0
  /** __LINK_STATE_* bits */
  state = 0
  features: netdev_features_t = 0n
  hw_features: netdev_features_t = 0n
  wanted_features: netdev_features_t = 0n
  vlan_features: netdev_features_t = 0n
  hw_enc_features: netdev_features_t = 0n
  mpls_features: netdev_features_t = 0n
  mangleid_features: netdev_features_t = 0n
  type = 0
  addr_len = 0
  dev_addr: Uint8Array = new Uint8Array(6)
  perm_addr: Uint8Array = new Uint8Array(6)
  broadcast: Uint8Array = new Uint8Array(6)
  addr_assign_type = 0
  neigh_priv_len = 0
  nd_net!: net
  /** struct in_device: net/ipv4/devinet.ts */
  ip_ptr: unknown = null
  ip6_ptr: unknown = null
  vlan_info: unknown = null
  /** the frame handlers of this device only */
  ptype_all: packet_type[] = []
  ptype_specific: packet_type[] = []
  rx_handler: ((pskb: ref<sk_buff>) => number) | null = null
  rx_handler_data: unknown = null
  readonly napi_list: list_head<napi_struct> = new list_head<napi_struct>()
  gro_flush_timeout = 0
  napi_defer_hard_irqs = 0
  nf_hooks_ingress: nf_hook_entries | null = null
  nf_hooks_egress: nf_hook_entries | null = null
  /** tc filters and programs of clsact */
  tcx_ingress: unknown = null
  tcx_egress: unknown = null
  xdp_prog: unknown = null
  qdisc: Qdisc | null = null
  tx_queue_len = 0
  readonly qdisc_hash: Qdisc[] = []
  readonly tx_global_lock: spinlock_t = new spinlock_t()
  readonly addr_list_lock: spinlock_t = new spinlock_t()
  watchdog_timeo = 0
  promiscuity = 0
  /** groups of the link that somebody wants, in hexadecimal, and by how many: net/core/dev_addr_lists.ts */
  readonly mc: Map<string, number> = new Map()
  /** IFF_PROMISC and IFF_ALLMULTI as the user set them */
  gflags = 0
  allmulti = 0
  pcpu_stat_type = NETDEV_PCPU_STAT_NONE
  /** lstats, tstats and dstats: totals over the one processor */
  readonly stats: rtnl_link_stats64 = new rtnl_link_stats64()
  /** made when the device drops a packet for the first time */
  core_stats: net_device_core_stats | null = null
  reg_state = 0
  dev_refcnt = 0
  needs_free_netdev = false
  priv_destructor: ((dev: net_device) => void) | null = null
  group = 0
  operstate = 0
  master: net_device | null = null
  /** adj_list: devices above this one (a bridge, a VLAN), and below */
  readonly upper: net_device[] = []
  readonly lower: net_device[] = []
  /** it has an event that linkwatch has not seen to yet */
  link_watch = false
  link_mode = 0
  fcoe_mtu = false
  threaded = false
  /** the driver's own: netdev_priv() */
  priv: unknown = null

  get netnsName(): string {
    return this.nd_net.name
  }
}

export const netdev_get_tx_queue = (dev: net_device, index: number): netdev_queue => {
  const q = dev._tx[index]
  if (q === undefined) throw new RangeError(`${dev.name}: no queue ${index}`)
  return q
}
export const dev_net = (dev: net_device): net => dev.nd_net
export const netdev_priv = <T>(dev: net_device): T => dev.priv as T
export const netif_running = (dev: net_device): boolean => (dev.state & 1) !== 0
/** headroom that is enough for the link header of any device */
export const LL_MAX_HEADER = 128
/** include/linux/netdevice.h LL_RESERVED_SPACE: headroom for the link header, rounded up to 16 and 16 more */
export const LL_RESERVED_SPACE = (dev: net_device): number => ((dev.hard_header_len + dev.needed_headroom) & ~15) + 16
export const HH_DATA_MOD = 16
export const HH_DATA_OFF = (len: number): number => 16 - (((len - 1) & 15) + 1)
export const HH_DATA_ALIGN = (len: number): number => (len + 15) & ~15

export type { dst_entry }
