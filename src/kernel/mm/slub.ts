import { clock } from '../../sim/clock.ts'
import { kfunc } from '../../trace/kfunc.ts'
import { PAGE_SIZE } from '../include/generated/enums.ts'
import { early_initcall } from '../include/linux/init.ts'
import { type skb_head, skb_shared_info } from '../include/linux/skbuff.ts'
import { ___GFP_DMA, __GFP_ACCOUNT, kmem_cache } from '../include/linux/slab.ts'
import { object_in, SLAB_OBJECT } from './usercopy.ts'

// Objects of the simulation are JavaScript's: an allocation counts, and gives the memory of packet heads, which are recycled.

const caches: kmem_cache[] = []
/** heads that were freed, by size: the next ones come from here */
let free_heads = new Map<number, skb_head[]>()
let kmalloc_caches = new Map<number, kmem_cache>()

early_initcall(() => {
  caches.length = 0
  free_heads = new Map()
  kmalloc_caches = new Map()
})

/** how many objects of each cache are in use, by the cache's name; those of none are left out */
export function live_objects(): Map<string, number> {
  const live = new Map<string, number>()
  for (const s of caches) if (s.live !== 0) live.set(s.name, (live.get(s.name) ?? 0) + s.live)
  return live
}

export function kmem_cache_create(
  name: string,
  size: number,
  _align: number,
  flags: number,
  ctor: ((object: unknown) => void) | null,
): kmem_cache {
  const s = new kmem_cache(name, size, flags, ctor)
  caches.push(s)
  return s
}
export const kmem_cache_size = kfunc('kmem_cache_size', (s: kmem_cache): number => s.object_size)

/** `true` stands for the object: what it is in the simulation is the caller's */
export const kmem_cache_alloc_noprof = kfunc('kmem_cache_alloc_noprof', (s: kmem_cache, _gfpflags: number): true => {
  s.live++
  return true
})
export const kmem_cache_alloc_node_noprof = kfunc(
  'kmem_cache_alloc_node_noprof',
  (s: kmem_cache, _gfpflags: number, _node: number): true => {
    s.live++
    return true
  },
)
export const kmem_cache_alloc_lru_noprof = kfunc(
  'kmem_cache_alloc_lru_noprof',
  (s: kmem_cache, _lru: unknown, _gfpflags: number): true => {
    s.live++
    return true
  },
)
/** `size` objects at once; returns how many it got */
export const kmem_cache_alloc_bulk_noprof = kfunc(
  'kmem_cache_alloc_bulk_noprof',
  (s: kmem_cache, _flags: number, size: number, _p: unknown): number => {
    s.live += size
    return size
  },
)
export const kmem_cache_free = kfunc('kmem_cache_free', (s: kmem_cache, _x: unknown): void => {
  s.live--
})
export const kmem_cache_free_bulk = kfunc('kmem_cache_free_bulk', (s: kmem_cache, size: number, _p: unknown): void => {
  s.live -= size
})
export const kmem_cache_alloc = kmem_cache_alloc_noprof
export const kmem_cache_zalloc = kmem_cache_alloc_noprof
export const kmem_cache_alloc_node = kmem_cache_alloc_node_noprof
export const kmem_cache_alloc_lru = kmem_cache_alloc_lru_noprof

// kmalloc: powers of two, and 96 and 192
const KMALLOC_MAX_CACHE_SIZE = 2 * PAGE_SIZE
const KMALLOC_MAX_SIZE = 4 * 1024 * 1024
/** flags that lead away from the ordinary kmalloc caches */
export const KMALLOC_NOT_NORMAL_BITS = ___GFP_DMA | __GFP_ACCOUNT | 0x10

/** the size of the object that a request for `size` bytes gets */
export const kmalloc_size_roundup = kfunc('kmalloc_size_roundup', (size: number): number => {
  if (size === 0) return 0
  if (size <= KMALLOC_MAX_CACHE_SIZE) return kmalloc_class(size)
  if (size <= KMALLOC_MAX_SIZE) return order_size(size)
  return size
})

function kmalloc_class(size: number): number {
  if (size <= 8) return 8
  if (size > 64 && size <= 96) return 96
  if (size > 128 && size <= 192) return 192
  return 2 ** (32 - Math.clz32(size - 1))
}
/** larger ones are whole pages, in powers of two */
const order_size = (size: number): number => 2 ** Math.max(12, 32 - Math.clz32(size - 1))

function kmalloc_slab(size: number): kmem_cache {
  const object_size = size <= KMALLOC_MAX_CACHE_SIZE ? kmalloc_class(Math.max(size, 1)) : order_size(size)
  let s = kmalloc_caches.get(object_size)
  if (s === undefined) {
    s = kmem_cache_create(`kmalloc-${object_size >= 1024 ? `${object_size / 1024}k` : object_size}`, object_size, 0, 0, null)
    kmalloc_caches.set(object_size, s)
  }
  return s
}

/** What kmalloc() returns: give it to kfree(). What is kept in it is the caller's own object. */
export class kmalloced {
  readonly from: kmem_cache
  constructor(from: kmem_cache) {
    this.from = from
  }
}

export const __kmalloc_noprof = kfunc(
  '__kmalloc_noprof',
  (size: number, _flags: number): kmalloced => new kmalloced(kmalloc_slab(size)),
)
export const __kmalloc_node_noprof = kfunc(
  '__kmalloc_node_noprof',
  (size: number, _flags: number, _node: number): kmalloced => new kmalloced(kmalloc_slab(size)),
)
export const __kmalloc_cache_noprof = kfunc(
  '__kmalloc_cache_noprof',
  (s: kmem_cache, _gfpflags: number, _size: number): kmalloced => new kmalloced(s),
)
/** kmalloc() of a size that the compiler knows */
export const kmalloc = (size: number, flags: number): kmalloced => __kmalloc_cache_noprof(kmalloc_slab(size), flags, size)
export const kzalloc = kmalloc
export const kmalloc_noprof = kmalloc
export const kzalloc_noprof = kmalloc
/** of a number of elements that it does not: an array, for the caller to fill */
export const kmalloc_array = (n: number, size: number, flags: number): unknown[] => {
  __kmalloc_noprof(n * size, flags)
  return []
}
export const kcalloc = kmalloc_array
export const kvmalloc = (size: number, flags: number): kmalloced => __kvmalloc_node_noprof(size, flags, -1)
export const kvzalloc = kvmalloc
const __kvmalloc_node_noprof = kfunc(
  '__kvmalloc_node_noprof',
  (size: number, flags: number, node: number): kmalloced => __kmalloc_node_noprof(size, flags, node),
)

/** memory for a packet: what __alloc_skb() asks kmalloc for. `size` is one of kmalloc's sizes. */
export const __kmalloc_node_track_caller_noprof = kfunc(
  '__kmalloc_node_track_caller_noprof',
  (size: number, _flags: number, _node: number, _caller: number): skb_head => {
    const s = kmalloc_slab(size)
    s.live++
    clock.now += size >> 4
    return take_head(s, size)
  },
)

/** a copy of `bytes`, to be given back with kfree(); mm/util.c */
export const kmemdup = kfunc('kmemdup_noprof', (bytes: Uint8Array, flags: number): skb_head => {
  const head = __kmalloc_node_track_caller_noprof(kmalloc_class(bytes.length), flags, -1, 0)
  head.bytes.set(bytes)
  return head
})

/** the bytes of an object of `s`, from those that were freed last; zeroed, as CONFIG_INIT_ON_ALLOC_DEFAULT_ON has it */
export function take_head(s: kmem_cache, size: number): skb_head {
  const head = free_heads.get(size)?.pop()
  if (head !== undefined && head.from === s) {
    head.bytes.fill(0)
    return head
  }
  const bytes = new Uint8Array(size)
  object_in(bytes, SLAB_OBJECT)
  return { bytes, shinfo: new skb_shared_info(), from: s, size }
}

/** how many heads of one size wait to be used again */
const KEPT = 1024

/** a packet's head goes back to where the next one comes from; anything else is JavaScript's to collect */
export const kfree = kfunc('kfree', (object: unknown): void => {
  if (object === null || typeof object !== 'object' || !('shinfo' in object)) return
  const head = object as skb_head
  ;(head.from as kmem_cache).live--
  const list = free_heads.get(head.size)
  if (list === undefined) free_heads.set(head.size, [head])
  else if (list.length < KEPT) list.push(head)
})

export const kvfree = kfunc('kvfree', (addr: unknown): void => {
  kfree(addr)
})
