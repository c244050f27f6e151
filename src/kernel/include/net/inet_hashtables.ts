import { list_head } from '../linux/list.ts'
import type { kmem_cache } from '../linux/slab.ts'
import { spinlock_t } from '../linux/spinlock.ts'
import type { net } from './net_namespace.ts'
import type { sock, sock_common } from './sock.ts'

/** A chain of a socket hash table: the sockets themselves are linked (skc_nulls_next, skc_nulls_prev). */
export class hlist_nulls_head {
  first: sock_common | null = null
}

/** links `sk` in at the front: sockets that came last are found first */
export function hlist_nulls_add_head_rcu(sk: sock_common, h: hlist_nulls_head): void {
  const { first } = h
  sk.skc_nulls_next = first
  sk.skc_nulls_prev = null
  if (first !== null) first.skc_nulls_prev = sk
  h.first = sk
  sk.skc_node = h
}

export function hlist_nulls_add_tail_rcu(sk: sock_common, h: hlist_nulls_head): void {
  let last = h.first
  while (last !== null && last.skc_nulls_next !== null) last = last.skc_nulls_next
  if (last === null) {
    hlist_nulls_add_head_rcu(sk, h)
    return
  }
  last.skc_nulls_next = sk
  sk.skc_nulls_prev = last
  sk.skc_nulls_next = null
  sk.skc_node = h
}

/** unlinks; `sk` is unhashed afterwards (skc_node is null) */
export function hlist_nulls_del_init_rcu(sk: sock_common): void {
  const h = sk.skc_node as hlist_nulls_head | null
  if (h === null) return
  const { skc_nulls_next: next, skc_nulls_prev: prev } = sk
  if (prev === null) h.first = next
  else prev.skc_nulls_next = next
  if (next !== null) next.skc_nulls_prev = prev
  sk.skc_nulls_next = null
  sk.skc_nulls_prev = null
  sk.skc_node = null
}

/** struct inet_bind_bucket: who is bound to one port. fastreuse, fastreuseport: what a newcomer may rely on without a walk. */
export class inet_bind_bucket {
  ib_net: net
  l3mdev = 0
  port = 0
  fastreuse = 0
  fastreuseport = 0
  fastuid = 0
  fast_v6_rcv_saddr: Uint8Array | null = null
  fast_rcv_saddr = 0
  fast_sk_family = 0
  fast_ipv6_only = false
  readonly node: list_head<inet_bind_bucket> = new list_head<inet_bind_bucket>(this)
  readonly bhash2: list_head<inet_bind2_bucket> = new list_head<inet_bind2_bucket>()

  constructor(net: net) {
    this.ib_net = net
  }
}

/** struct inet_bind2_bucket: who is bound to one port and address */
export class inet_bind2_bucket {
  ib_net: net
  l3mdev = 0
  port = 0
  addr_type = 0
  rcv_saddr = 0
  v6_rcv_saddr: Uint8Array | null = null
  readonly node: list_head<inet_bind2_bucket> = new list_head<inet_bind2_bucket>(this)
  readonly bhash_node: list_head<inet_bind2_bucket> = new list_head<inet_bind2_bucket>(this)
  readonly owners: list_head<sock_common> = new list_head<sock_common>()

  constructor(net: net) {
    this.ib_net = net
  }
}

export const ib_net = (ib: inet_bind_bucket): net => ib.ib_net
export const ib2_net = (ib: inet_bind2_bucket): net => ib.ib_net

/** struct inet_bind_hashbucket: T is inet_bind_bucket in bhash, inet_bind2_bucket in bhash2 */
export class inet_bind_hashbucket<T> {
  readonly lock: spinlock_t = new spinlock_t()
  readonly chain: list_head<T> = new list_head<T>()
}

export class inet_listen_hashbucket {
  readonly lock: spinlock_t = new spinlock_t()
  readonly nulls_head: hlist_nulls_head = new hlist_nulls_head()
}

export const FASTREUSEPORT_ANY = 1
export const FASTREUSEPORT_STRICT = 2

/** struct inet_hashinfo. Sizes are powers of two. Buckets and locks are made when they are first asked for. */
export class inet_hashinfo {
  ehash: (hlist_nulls_head | undefined)[] = []
  ehash_locks: (spinlock_t | undefined)[] = []
  ehash_mask = 0
  ehash_locks_mask = 0
  bind_bucket_cachep: kmem_cache | null = null
  bhash: (inet_bind_hashbucket<inet_bind_bucket> | undefined)[] = []
  bind2_bucket_cachep: kmem_cache | null = null
  bhash2: (inet_bind_hashbucket<inet_bind2_bucket> | undefined)[] = []
  bhash_size = 0
  lhash2_mask = 0
  lhash2: (inet_listen_hashbucket | undefined)[] = []
  pernet = false
}

/** the hash function that inet_lookup_reuseport is given */
export type inet_ehashfn_t = (net: net, laddr: number, lport: number, faddr: number, fport: number) => number

export type { sock }
