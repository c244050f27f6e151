import { kfunc } from '../../../trace/kfunc.ts'
import { HZ, IFF_BRIDGE_PORT, IFF_EBRIDGE, IPPROTO_IGMP } from '../../include/generated/enums.ts'
import { ETH_P_IP } from '../../include/linux/if_ether.ts'
import { ip_hdr } from '../../include/linux/ip.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'

export const BR_STATE_DISABLED = 0
export const BR_STATE_LISTENING = 1
export const BR_STATE_LEARNING = 2
export const BR_STATE_FORWARDING = 3
export const BR_STATE_BLOCKING = 4

// flags of a port
export const BR_HAIRPIN_MODE = 1 << 0
export const BR_LEARNING = 1 << 5
export const BR_FLOOD = 1 << 6
export const BR_PROMISC = 1 << 7
export const BR_MCAST_FLOOD = 1 << 11
export const BR_BCAST_FLOOD = 1 << 14
export const BR_ISOLATED = 1 << 16
export const BR_AUTO_MASK = BR_FLOOD | BR_LEARNING

// flags of an entry of the forwarding database
export const BR_FDB_LOCAL = 1 << 0
export const BR_FDB_STATIC = 1 << 1
export const BR_FDB_STICKY = 1 << 2
export const BR_FDB_ADDED_BY_USER = 1 << 3
export const BR_FDB_DYNAMIC_LEARNED = 1 << 10

export const BR_PKT_UNICAST = 0
export const BR_PKT_MULTICAST = 1
export const BR_PKT_BROADCAST = 2

export const BR_MCAST_DIR_RX = 0
export const BR_MCAST_DIR_TX = 1
export const BR_MAX_PORTS = 1 << 10
export const BR_DEFAULT_AGEING_TIME = 300 * HZ

/** struct net_bridge_fdb_entry: behind which port an address is; `dst` null for the bridge's own */
export class net_bridge_fdb_entry {
  addr: Uint8Array
  vlan_id: number
  dst: net_bridge_port | null
  flags: number
  /** jiffies */
  updated = 0
  used = 0

  constructor(addr: Uint8Array, vlan_id: number, dst: net_bridge_port | null, flags: number) {
    this.addr = addr
    this.vlan_id = vlan_id
    this.dst = dst
    this.flags = flags
  }
}

/** struct net_bridge_port */
export class net_bridge_port {
  readonly br: net_bridge
  readonly dev: net_device
  state = BR_STATE_DISABLED
  port_no = 0
  path_cost = 100
  priority = 0x80
  flags = BR_LEARNING | BR_FLOOD | BR_MCAST_FLOOD | BR_BCAST_FLOOD
  hwdom = 0
  /** nobody's frames are queued on it */
  group_fwd_mask = 0

  constructor(br: net_bridge, dev: net_device) {
    this.br = br
    this.dev = dev
  }
}

/** struct net_bridge */
export class net_bridge {
  readonly lock: spinlock_t = new spinlock_t()
  readonly hash_lock: spinlock_t = new spinlock_t()
  dev!: net_device
  /** the newest first, as list_add_rcu() leaves them */
  readonly port_list: net_bridge_port[] = []
  /** by address and VLAN */
  readonly fdb_hash_tbl: Map<string, net_bridge_fdb_entry> = new Map<string, net_bridge_fdb_entry>()
  fdb_n_learned = 0
  /** bridge_id.addr */
  bridge_id: Uint8Array = new Uint8Array(6)
  group_fwd_mask = 0
  ageing_time = BR_DEFAULT_AGEING_TIME
  auto_cnt = 0
  multicast_enabled = true
  mtu_set_by_user = false
}

/** struct br_input_skb_cb */
export class br_input_skb_cb {
  brdev: net_device | null = null
  frag_max_size = 0
  igmp = 0
  mrouters_only = 0
  proxyarp_replied = 0
  src_port_isolated = false
  promisc = false
  vlan_filtered = false
  src_hwdom = 0
}
export const BR_INPUT_SKB_CB = (skb: sk_buff): br_input_skb_cb => skb.cb as br_input_skb_cb

export const netif_is_bridge_master = (dev: net_device): boolean => (dev.priv_flags & IFF_EBRIDGE) !== 0
export const br_port_get_rcu = (dev: net_device): net_bridge_port | null =>
  dev.priv_flags & IFF_BRIDGE_PORT ? (dev.rx_handler_data as net_bridge_port) : null
export const br_port_get_rtnl = br_port_get_rcu
export const br_promisc_port = (p: net_bridge_port): boolean => (p.flags & BR_PROMISC) !== 0
export const br_auto_port = (p: net_bridge_port): boolean => (p.flags & BR_AUTO_MASK) === BR_AUTO_MASK

/** two isolated ports do not see each other's frames */
export const br_skb_isolated = kfunc(
  'br_skb_isolated',
  (to: net_bridge_port, skb: sk_buff): boolean => BR_INPUT_SKB_CB(skb).src_port_isolated && (to.flags & BR_ISOLATED) !== 0,
)

/** what IGMP message a frame carries, as br_multicast_rcv() found; 0 for none */
export const br_multicast_igmp_type = (skb: sk_buff): number => BR_INPUT_SKB_CB(skb).igmp

export const is_igmp = (skb: sk_buff): boolean => skb.protocol === ETH_P_IP && ip_hdr(skb).protocol === IPPROTO_IGMP

/** IPv6 may be switched off when it is loaded; here it is not */
export const ipv6_mod_enabled = kfunc('ipv6_mod_enabled', (): boolean => true)
