import type { in6_addr } from '../linux/in6.ts'
import type { sk_buff } from '../linux/skbuff.ts'
import type { kmem_cache } from '../linux/slab.ts'
import { spinlock_t } from '../linux/spinlock.ts'
import { timer_list } from '../linux/timer.ts'
import { work_struct } from '../linux/workqueue.ts'
import type { net } from './net_namespace.ts'

export const INET_FRAG_FIRST_IN = 1
export const INET_FRAG_LAST_IN = 2
export const INET_FRAG_COMPLETE = 4
export const INET_FRAG_HASH_DEAD = 8
export const INET_FRAG_DROP = 16
export const IPFRAG_OK = 0
export const IPFRAG_DUP = 1
export const IPFRAG_OVERLAP = 2
export const IPFRAG_ECN_NOT_ECT = 1
export const IPFRAG_ECN_ECT_1 = 2
export const IPFRAG_ECN_ECT_0 = 4
export const IPFRAG_ECN_CE = 8

/** struct frag_v4_compare_key: which datagram a fragment belongs to */
export interface frag_v4_compare_key {
  saddr: number
  daddr: number
  user: number
  vif: number
  id: number
  protocol: number
}

/** struct frag_v6_compare_key */
export interface frag_v6_compare_key {
  saddr: in6_addr
  daddr: in6_addr
  user: number
  id: number
  iif: number
}
export type frag_compare_key = frag_v4_compare_key | frag_v6_compare_key

/** struct fqdir: the incomplete datagrams of a namespace. Bytes and jiffies. */
export class fqdir {
  high_thresh = 0
  low_thresh = 0
  timeout = 0
  max_dist = 0
  readonly f: inet_frags
  readonly net: net
  dead = false
  readonly rhashtable: Map<number, inet_frag_queue[]> = new Map<number, inet_frag_queue[]>()
  mem = 0
  /** how large the table is, and the work that makes it smaller: struct rhashtable */
  rht_size = 64
  readonly rht_work: work_struct = new work_struct(() => {
    let n = 0
    for (const list of this.rhashtable.values()) n += list.length
    this.rht_size = Math.max(4, n === 0 ? 0 : 2 ** Math.ceil(Math.log2((n * 3) / 2)))
  })

  constructor(f: inet_frags, n: net) {
    this.f = f
    this.net = n
  }
}

/** struct inet_frag_queue: one datagram that is being put together */
export class inet_frag_queue {
  key!: frag_compare_key
  readonly timer: timer_list = new timer_list(this)
  readonly lock: spinlock_t = new spinlock_t()
  refcnt = 0
  /** heads of runs of adjacent fragments, by offset: a red-black tree in Linux */
  rb_fragments: sk_buff[] = []
  fragments_tail: sk_buff | null = null
  last_run_head: sk_buff | null = null
  stamp = 0
  len = 0
  meat = 0
  tstamp_type = 0
  flags = 0
  max_size = 0
  fqdir!: fqdir
}

/** struct inet_frags: what is particular to IPv4 or IPv6 */
export interface inet_frags {
  qsize: number
  alloc: () => inet_frag_queue
  constructor_(q: inet_frag_queue, arg: frag_compare_key): void
  destructor_: ((q: inet_frag_queue) => void) | null
  frag_expire: (t: timer_list) => void
  frags_cachep: kmem_cache
  frags_cache_name: string
  hashfn(key: frag_compare_key, len: number, seed: number): number
  obj_hashfn(q: inet_frag_queue, len: number, seed: number): number
  obj_cmpfn(key: frag_compare_key, q: inet_frag_queue): number
}

/** struct ipfrag_skb_cb, beside IPCB(skb) */
export class ipfrag_skb_cb {
  next_frag: sk_buff | null = null
  frag_run_len = 0
  ip_defrag_offset = 0
}
export const FRAG_CB = (skb: sk_buff): ipfrag_skb_cb => {
  if (skb.cb instanceof ipfrag_skb_cb) return skb.cb
  const cb = new ipfrag_skb_cb()
  skb.cb = cb
  return cb
}
