// include/linux/slab.h and gfp_types.h

export const ___GFP_DMA = 0x01
export const __GFP_HIGHMEM = 0x02
export const __GFP_HIGH = 0x20
export const __GFP_IO = 0x40
export const __GFP_FS = 0x80
export const __GFP_ZERO = 0x100
export const __GFP_DIRECT_RECLAIM = 0x400
export const __GFP_KSWAPD_RECLAIM = 0x800
export const __GFP_WRITE = 0x1000
export const __GFP_NOWARN = 0x2000
export const __GFP_RETRY_MAYFAIL = 0x4000
export const __GFP_NOFAIL = 0x8000
export const __GFP_NORETRY = 0x10000
export const __GFP_MEMALLOC = 0x20000
export const __GFP_COMP = 0x40000
export const __GFP_NOMEMALLOC = 0x80000
export const __GFP_HARDWALL = 0x100000
export const __GFP_THISNODE = 0x200000
export const __GFP_ACCOUNT = 0x400000
export const __GFP_MOVABLE = 0x08
export const __GFP_RECLAIM = __GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM
export const GFP_ATOMIC = __GFP_HIGH | __GFP_KSWAPD_RECLAIM
export const GFP_KERNEL = __GFP_RECLAIM | __GFP_IO | __GFP_FS
export const GFP_KERNEL_ACCOUNT = GFP_KERNEL | __GFP_ACCOUNT
export const GFP_NOWAIT = __GFP_KSWAPD_RECLAIM | __GFP_NOWARN
export const GFP_NOIO = __GFP_RECLAIM
export const GFP_USER = __GFP_RECLAIM | __GFP_IO | __GFP_FS | __GFP_HARDWALL
export const GFP_HIGHUSER = GFP_USER | __GFP_HIGHMEM
export const GFP_HIGHUSER_MOVABLE = GFP_HIGHUSER | __GFP_MOVABLE

export const SLAB_HWCACHE_ALIGN = 0x2000
export const SLAB_TYPESAFE_BY_RCU = 0x80000
export const SLAB_PANIC = 0x40000
export const SLAB_RECLAIM_ACCOUNT = 0x20000
export const SLAB_ACCOUNT = 0x4000000
export const NUMA_NO_NODE = -1

/** struct kmem_cache: sizes in bytes, and how many of its objects are alive */
export class kmem_cache {
  readonly name: string
  readonly object_size: number
  readonly flags: number
  /** an object in use is counted here; a leak test asks for it */
  live = 0
  readonly ctor: ((object: unknown) => void) | null

  constructor(name: string, object_size: number, flags: number, ctor: ((object: unknown) => void) | null) {
    this.name = name
    this.object_size = object_size
    this.flags = flags
    this.ctor = ctor
  }
}
