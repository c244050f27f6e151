import { NEIGH_VAR_LOCKTIME } from '../generated/enums.ts'
import { list_head } from '../linux/list.ts'
import type { net_device } from '../linux/netdevice.ts'
import { type sk_buff, sk_buff_head } from '../linux/skbuff.ts'
import { type seqlock_t, spinlock_t } from '../linux/spinlock.ts'
import type { timer_list } from '../linux/timer.ts'
import type { net } from './net_namespace.ts'

export {
  NEIGH_ARP_TABLE,
  NEIGH_ND_TABLE,
  NEIGH_VAR_ANYCAST_DELAY,
  NEIGH_VAR_APP_PROBES,
  NEIGH_VAR_BASE_REACHABLE_TIME,
  NEIGH_VAR_DELAY_PROBE_TIME,
  NEIGH_VAR_GC_STALETIME,
  NEIGH_VAR_INTERVAL_PROBE_TIME_MS,
  NEIGH_VAR_LOCKTIME,
  NEIGH_VAR_MCAST_PROBES,
  NEIGH_VAR_MCAST_REPROBES,
  NEIGH_VAR_PROXY_DELAY,
  NEIGH_VAR_PROXY_QLEN,
  NEIGH_VAR_QUEUE_LEN_BYTES,
  NEIGH_VAR_RETRANS_TIME,
  NEIGH_VAR_UCAST_PROBES,
  NUD_CONNECTED,
  NUD_DELAY,
  NUD_FAILED,
  NUD_IN_TIMER,
  NUD_INCOMPLETE,
  NUD_NOARP,
  NUD_NONE,
  NUD_PERMANENT,
  NUD_PROBE,
  NUD_REACHABLE,
  NUD_STALE,
  NUD_VALID,
} from '../generated/enums.ts'

export const NEIGH_UPDATE_F_OVERRIDE = 1
export const NEIGH_UPDATE_F_WEAK_OVERRIDE = 2
export const NEIGH_UPDATE_F_OVERRIDE_ISROUTER = 4
export const NEIGH_UPDATE_F_USE = 8
export const NEIGH_UPDATE_F_MANAGED = 16
export const NEIGH_UPDATE_F_EXT_LEARNED = 32
export const NEIGH_UPDATE_F_ISROUTER = 64
export const NEIGH_UPDATE_F_ADMIN = 128

export const NTF_USE = 1
export const NTF_SELF = 2
export const NTF_MASTER = 4
export const NTF_PROXY = 8
export const NTF_EXT_LEARNED = 16
export const NTF_OFFLOADED = 32
export const NTF_STICKY = 64
export const NTF_ROUTER = 128
export const NTF_OLD_MASK = 0xff
export const NTF_EXT_SHIFT = 8
export const NTF_EXT_MANAGED = 1
export const NTF_MANAGED = 256

// messages about neighbours and about entries of a bridge: include/uapi/linux/neighbour.h
export const RTM_NEWNEIGH = 28
export const RTM_DELNEIGH = 29
export const RTM_GETNEIGH = 30
export const RTNLGRP_NEIGH = 3
export const NDA_DST = 1
export const NDA_LLADDR = 2
export const NDA_CACHEINFO = 3
export const NDA_PROBES = 4
export const NDA_VLAN = 5
export const NDA_PORT = 6
export const NDA_VNI = 7
export const NDA_IFINDEX = 8
export const NDA_MASTER = 9
export const NDA_LINK_NETNSID = 10
export const NDA_PROTOCOL = 12
export const NDA_FLAGS_EXT = 15
export const SIZEOF_NDMSG = 12
export const SIZEOF_NDA_CACHEINFO = 16

/** struct ndmsg, over zeros */
export function put_ndmsg(
  b: Uint8Array,
  at: number,
  family: number,
  ifindex: number,
  state: number,
  flags: number,
  type: number,
): void {
  b[at] = family
  new DataView(b.buffer, b.byteOffset).setInt32(at + 4, ifindex, true)
  b[at + 8] = state
  b[at + 10] = flags
  b[at + 11] = type
}

/** an IPv4 address as a number, an IPv6 address as 16 bytes */
export type neigh_key = number | Uint8Array

/** struct hh_cache: a link header, ready to be put before a packet */
export class hh_cache {
  hh_len = 0
  readonly hh_lock: seqlock_t = new spinlock_t()
  /** right-aligned to 16 bytes, as Linux keeps it */
  hh_data: Uint8Array = new Uint8Array(32)
}

/** struct neigh_parms. Times in jiffies. */
export class neigh_parms {
  net: net | null = null
  dev: net_device | null = null
  neigh_setup: ((n: neighbour) => number) | null = null
  tbl!: neigh_table
  dead = 0
  refcnt = 1
  reachable_time = 0
  qlen = 0
  data: number[] = new Array<number>(NEIGH_VAR_LOCKTIME + 1).fill(0)
  /** which of `data` somebody has set */
  data_state = 0
}

export const NEIGH_VAR = (p: neigh_parms, attr: number): number => p.data[attr] ?? 0

/** struct neigh_ops */
export interface neigh_ops {
  family: number
  solicit: ((neigh: neighbour, skb: sk_buff | null) => void) | null
  error_report: ((neigh: neighbour, skb: sk_buff) => void) | null
  output: (neigh: neighbour, skb: sk_buff) => number
  connected_output: (neigh: neighbour, skb: sk_buff) => number
}

/** struct neighbour: who has an address on a link. Times in jiffies. */
export class neighbour {
  next: neighbour | null = null
  tbl: neigh_table
  parms!: neigh_parms
  confirmed = 0
  updated = 0
  readonly lock: spinlock_t = new spinlock_t()
  refcnt = 1
  arp_queue_len_bytes = 0
  readonly arp_queue: sk_buff_head = new sk_buff_head()
  timer!: timer_list
  used = 0
  probes = 0
  nud_state = 0
  type = 0
  dead = 0
  protocol = 0
  flags = 0
  readonly ha_lock: seqlock_t = new spinlock_t()
  ha: Uint8Array = new Uint8Array(32)
  readonly hh: hh_cache = new hh_cache()
  output!: (neigh: neighbour, skb: sk_buff) => number
  ops!: neigh_ops
  readonly gc_list: list_head<neighbour> = new list_head<neighbour>(this)
  readonly managed_list: list_head<neighbour> = new list_head<neighbour>(this)
  dev!: net_device
  primary_key: neigh_key = 0

  constructor(tbl: neigh_table) {
    this.tbl = tbl
  }

  get netnsName(): string {
    return this.dev.nd_net.name
  }
}

export interface pneigh_entry {
  net: net
  dev: net_device | null
  flags: number
  protocol: number
  key: neigh_key
}

export interface neigh_hash_table {
  hash_buckets: (neighbour | null)[]
  hash_shift: number
  hash_rnd: number[]
}

export interface neigh_statistics {
  allocs: number
  destroys: number
  hash_grows: number
  res_failed: number
  lookups: number
  hits: number
  rcv_probes_mcast: number
  rcv_probes_ucast: number
  periodic_gc_runs: number
  forced_gc_runs: number
  unres_discards: number
  table_fulls: number
}

/** struct neigh_table: the owner fills the first part and calls neigh_table_init() with it */
export interface neigh_table {
  family: number
  entry_size: number
  key_len: number
  protocol: number
  hash: (pkey: neigh_key, dev: net_device, hash_rnd: number[]) => number
  key_eq: (n: neighbour, pkey: neigh_key) => boolean
  constructor: (n: neighbour) => number
  pconstructor?: (n: pneigh_entry) => number
  pdestructor?: (n: pneigh_entry) => void
  proxy_redo: (skb: sk_buff) => void
  is_multicast: (pkey: neigh_key) => number
  id: string
  parms: neigh_parms
  gc_interval: number
  gc_thresh1: number
  gc_thresh2: number
  gc_thresh3: number

  parms_list: neigh_parms[]
  last_flush: number
  proxy_timer: timer_list | null
  proxy_queue: sk_buff_head
  entries: number
  gc_entries: number
  gc_list: list_head<neighbour>
  managed_list: list_head<neighbour>
  lock: spinlock_t
  last_rand: number
  stats: neigh_statistics
  nht: neigh_hash_table
  phash_buckets: pneigh_entry[]
}

/** what an owner need not say about its table */
export const neigh_table_defaults = (): Omit<
  neigh_table,
  'family' | 'entry_size' | 'key_len' | 'protocol' | 'hash' | 'key_eq' | 'constructor' | 'proxy_redo' | 'is_multicast' | 'id'
> => ({
  parms: new neigh_parms(),
  gc_interval: 0,
  gc_thresh1: 0,
  gc_thresh2: 0,
  gc_thresh3: 0,
  parms_list: [],
  last_flush: 0,
  proxy_timer: null,
  proxy_queue: new sk_buff_head(),
  entries: 0,
  gc_entries: 0,
  gc_list: new list_head<neighbour>(),
  managed_list: new list_head<neighbour>(),
  lock: new spinlock_t(),
  last_rand: 0,
  stats: {
    allocs: 0,
    destroys: 0,
    hash_grows: 0,
    res_failed: 0,
    lookups: 0,
    hits: 0,
    rcv_probes_mcast: 0,
    rcv_probes_ucast: 0,
    periodic_gc_runs: 0,
    forced_gc_runs: 0,
    unres_discards: 0,
    table_fulls: 0,
  },
  nht: { hash_buckets: [], hash_shift: 0, hash_rnd: [] },
  phash_buckets: [],
})

export const neigh_key_eq32 = (n: neighbour, pkey: neigh_key): boolean => n.primary_key === pkey
export function neigh_key_eq128(n: neighbour, pkey: neigh_key): boolean {
  const a = n.primary_key as Uint8Array
  const b = pkey as Uint8Array
  for (let i = 0; i < 16; i++) if (a[i] !== b[i]) return false
  return true
}
