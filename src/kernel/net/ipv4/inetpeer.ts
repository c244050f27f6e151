import { random } from '../../../sim/random.ts'
import { kfunc } from '../../../trace/kfunc.ts'
import { HZ } from '../../include/generated/enums.ts'
import { GFP_ATOMIC, GFP_KERNEL, type kmem_cache, SLAB_HWCACHE_ALIGN, SLAB_PANIC } from '../../include/linux/slab.ts'
import { AF_INET, AF_INET6 } from '../../include/linux/socket.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import { clamp, type ref } from '../../include/linux/types.ts'
import { spin_lock_bh, spin_unlock_bh } from '../../kernel/locking/spinlock.ts'
import { call_rcu } from '../../kernel/rcu.ts'
import { jiffies } from '../../kernel/time/timer.ts'
import { kmalloc, kmem_cache_alloc, kmem_cache_create, kmem_cache_free } from '../../mm/slub.ts'

/** struct inetpeer_addr: a number for IPv4, 16 bytes for IPv6 */
export interface inetpeer_addr {
  family: number
  addr: number | Uint8Array
  vif: number
}

/** struct inet_peer: what is remembered of another host. Times in jiffies. */
export class inet_peer {
  readonly daddr: inetpeer_addr
  hash = 0
  rate_tokens = 0
  n_redirects = 0
  rate_last = 0
  rid = 0
  dtime = 0
  refcnt = 1
  left: inet_peer | null = null
  right: inet_peer | null = null

  constructor(daddr: inetpeer_addr) {
    this.daddr = daddr
  }
}

/**
 * struct inet_peer_base. A map takes the place of the red-black tree; `walk` is what a look-up passes on its way down, which is
 * what Linux collects as garbage.
 */
export class inet_peer_base {
  readonly peers: Map<string, inet_peer> = new Map<string, inet_peer>()
  readonly lock: spinlock_t = new spinlock_t()
  total = 0
}

const PEER_MAX_GC = 32
const INET_PEER_BYTES = 192
export let inet_peer_threshold = 0
export let inet_peer_minttl = 0
export let inet_peer_maxttl = 0
let peer_cachep: kmem_cache
let inetpeer_hash_key = 0

export const inet_peer_base_init = kfunc('inet_peer_base_init', (bp: inet_peer_base): void => {
  bp.peers.clear()
  bp.total = 0
})

export const inet_initpeers = kfunc('inet_initpeers', (): void => {
  // 1 % of a memory of 2 GiB
  inet_peer_threshold = clamp(Math.floor(2 ** 31 / (100 * INET_PEER_BYTES)), 4096, 65536 + 128)
  inet_peer_minttl = 120 * HZ
  inet_peer_maxttl = 10 * 60 * HZ
  inetpeer_hash_key = random.u32()
  peer_cachep = kmem_cache_create('inet_peer', INET_PEER_BYTES, 0, SLAB_HWCACHE_ALIGN | SLAB_PANIC, null)
})

const key_of = (daddr: inetpeer_addr): string => `${daddr.addr}/${daddr.vif}`

const lookup = kfunc(
  'lookup',
  (
    daddr: inetpeer_addr,
    dhash: number,
    base: inet_peer_base,
    seq: number,
    gc_stack: inet_peer[] | null,
    gc_cnt: ref<number>,
    parent_p: unknown,
    pp_p: unknown,
  ): inet_peer | null => {
    const p = base.peers.get(key_of(daddr))
    if (p !== undefined) {
      p.dtime = jiffies()
      return p
    }
    if (gc_stack !== null)
      for (const other of base.peers.values()) {
        // a tree of n entries is about log2(n) deep
        if (gc_cnt.v >= PEER_MAX_GC || gc_cnt.v > Math.log2(base.total + 1)) break
        gc_stack[gc_cnt.v++] = other
      }
    return null
  },
)

const inetpeer_free_rcu = (p: inet_peer): void => kmem_cache_free(peer_cachep, p)

const inet_peer_gc = kfunc('inet_peer_gc', (base: inet_peer_base, gc_stack: inet_peer[], gc_cnt: number): void => {
  const now = jiffies()
  const ttl =
    base.total >= inet_peer_threshold
      ? 0
      : inet_peer_maxttl -
        Math.floor((Math.floor((inet_peer_maxttl - inet_peer_minttl) / HZ) * base.total) / inet_peer_threshold) * HZ
  for (const p of gc_stack.slice(0, gc_cnt)) {
    if (now - p.dtime < ttl || p.refcnt !== 1) continue
    p.refcnt = 0
    base.peers.delete(key_of(p.daddr))
    base.total--
    call_rcu(p, inetpeer_free_rcu)
  }
})

/** what is known of a host; remembered from now on. The caller reads it under RCU and takes no reference. */
export const inet_getpeer = kfunc('inet_getpeer', (base: inet_peer_base, daddr: inetpeer_addr): inet_peer | null => {
  const dhash = inetpeer_hash_key
  const gc_cnt: ref<number> = { v: 0 }
  let p = lookup(daddr, dhash, base, 0, null, gc_cnt, null, null)
  if (p !== null) return p
  spin_lock_bh(base.lock)
  const gc_stack: inet_peer[] = []
  p = lookup(daddr, dhash, base, 0, gc_stack, gc_cnt, null, null)
  if (p === null) {
    p = new inet_peer(daddr)
    kmem_cache_alloc(peer_cachep, GFP_ATOMIC)
    p.hash = dhash
    p.dtime = jiffies()
    // long enough ago that the first count of tokens is as high as it can be
    p.rate_last = jiffies() - 60 * HZ
    base.peers.set(key_of(daddr), p)
    base.total++
  }
  if (gc_cnt.v) inet_peer_gc(base, gc_stack, gc_cnt.v)
  spin_unlock_bh(base.lock)
  return p
})

/** include/net/inetpeer.h */
export const inet_getpeer_v4 = kfunc('inet_getpeer_v4', (base: inet_peer_base, v4daddr: number, vif: number): inet_peer | null =>
  inet_getpeer(base, { family: AF_INET, addr: v4daddr, vif }),
)

export const inet_getpeer_v6 = kfunc('inet_getpeer_v6', (base: inet_peer_base, v6daddr: Uint8Array): inet_peer | null =>
  inet_getpeer(base, { family: AF_INET6, addr: v6daddr.slice(), vif: 0 }),
)

export const inet_putpeer = kfunc('inet_putpeer', (p: inet_peer): void => {
  if (--p.refcnt === 0) call_rcu(p, inetpeer_free_rcu)
})

const XRLIM_BURST_FACTOR = 6

/** whether one more message may go to a host: one in `timeout` jiffies, six at once */
export const inet_peer_xrlim_allow = kfunc('inet_peer_xrlim_allow', (peer: inet_peer | null, timeout: number): boolean => {
  if (peer === null) return true
  const now = jiffies()
  let token = peer.rate_tokens + now - peer.rate_last
  peer.rate_last = now
  if (token > XRLIM_BURST_FACTOR * timeout) token = XRLIM_BURST_FACTOR * timeout
  let rc = false
  if (token >= timeout) {
    token -= timeout
    rc = true
  }
  peer.rate_tokens = token
  return rc
})

export function new_inet_peer_base(): inet_peer_base {
  const bp = new inet_peer_base()
  kmalloc(24, GFP_KERNEL)
  inet_peer_base_init(bp)
  return bp
}
