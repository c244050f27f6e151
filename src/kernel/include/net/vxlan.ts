import type { socket } from '../linux/net.ts'
import type { net_device } from '../linux/netdevice.ts'
import { spinlock_t } from '../linux/spinlock.ts'
import type { timer_list } from '../linux/timer.ts'
import { dst_cache } from './dst_cache.ts'
import type { gro_cells } from './gro_cells.ts'
import type { net } from './net_namespace.ts'

// include/net/vxlan.h

export const VXLAN_N_VID = 1 << 24
/** the header of UDP and of VXLAN */
export const VXLAN_HLEN = 16
/** "the VNI is valid": the only flag of RFC 7348 */
export const VXLAN_HF_VNI = 0x08000000

export const VXLAN_F_LEARN = 0x01
export const VXLAN_F_UDP_ZERO_CSUM_TX = 0x40
export const VXLAN_F_TTL_INHERIT = 0x10000
export const VXLAN_F_LOCALBYPASS = 0x80000

export const VXLAN_DF_UNSET = 0
export const VXLAN_DF_SET = 1
export const VXLAN_DF_INHERIT = 2

/** struct vxlan_config; addresses and ports in host order, 0 for none */
export class vxlan_config {
  remote_ip = 0
  saddr = 0
  vni = 0
  remote_ifindex = 0
  mtu = 0
  dst_port = 0
  port_min = 0
  port_max = 0
  tos = 0
  ttl = 0
  flags = 0
  /** seconds */
  age_interval = 0
  addrmax = 0
  no_share = false
  df = VXLAN_DF_UNSET
}

/** struct vxlan_rdst: a remote end */
export class vxlan_rdst {
  remote_ip = 0
  remote_port = 0
  remote_vni = 0
  remote_ifindex = 0
  remote_dev: net_device | null = null
  readonly dst_cache: dst_cache = new dst_cache()
}

/** struct vxlan_fdb: behind which remote ends a MAC address is. Times in jiffies. */
export interface vxlan_fdb {
  updated: number
  used: number
  readonly remotes: vxlan_rdst[]
  readonly eth_addr: Uint8Array
  /** NUD_* */
  state: number
  readonly vni: number
  /** NTF_* */
  flags: number
}

/** struct vxlan_sock: the UDP socket that devices of one port share */
export interface vxlan_sock {
  readonly sock: socket
  refcnt: number
  readonly flags: number
  readonly vni_list: Map<number, vxlan_dev[]>
}

/** struct vxlan_dev: what netdev_priv() of a VXLAN device is */
export class vxlan_dev {
  readonly dev: net_device
  net!: net
  cfg: vxlan_config = new vxlan_config()
  readonly default_dst: vxlan_rdst = new vxlan_rdst()
  vn4_sock: vxlan_sock | null = null
  readonly gro_cells: gro_cells = { cells: null }
  age_timer!: timer_list
  addrcnt = 0
  readonly hash_lock: spinlock_t = new spinlock_t()
  /** by MAC address, as a number */
  readonly fdb_head: Map<number, vxlan_fdb> = new Map<number, vxlan_fdb>()

  constructor(dev: net_device) {
    this.dev = dev
  }
}

/** what the outer headers take: IPv4, UDP, VXLAN, and the Ethernet header inside */
export const VXLAN_HEADROOM = 20 + 8 + 8 + 14
