import { kfunc } from '../../trace/kfunc.ts'
import type { page } from '../include/linux/mm_types.ts'
import type { skb_head } from '../include/linux/skbuff.ts'
import { skb_shared_info } from '../include/linux/skbuff.ts'
import { __GFP_COMP, __GFP_NORETRY, __GFP_NOWARN } from '../include/linux/slab.ts'
import { alloc_pages_noprof, free_unref_page } from './page_alloc.ts'

const PAGE_FRAG_CACHE_MAX_ORDER = 3

/** struct page_frag_cache: a run of pages that is handed out from its end in pieces */
export class page_frag_cache {
  va: page | null = null
  offset = 0
  pfmemalloc = false
}

const __page_frag_cache_refill = (nc: page_frag_cache, gfp_mask: number): page => {
  const p = alloc_pages_noprof(gfp_mask | __GFP_COMP | __GFP_NOWARN | __GFP_NORETRY, PAGE_FRAG_CACHE_MAX_ORDER)
  nc.va = p
  return p
}

/** a piece of `fragsz` bytes as a packet's head; it holds a reference to its page */
export const __page_frag_alloc_align = kfunc(
  '__page_frag_alloc_align',
  (nc: page_frag_cache, fragsz: number, gfp_mask: number, align_mask: number): skb_head => {
    let p = nc.va
    if (p === null) {
      p = __page_frag_cache_refill(nc, gfp_mask)
      nc.offset = p.bytes.length
    }
    let offset = nc.offset - fragsz
    if (offset < 0) {
      // the cache's own reference goes with the pages that it gives up
      if (--p._refcount === 0) free_unref_page(p, p.order)
      p = __page_frag_cache_refill(nc, gfp_mask)
      offset = p.bytes.length - fragsz
    }
    offset &= align_mask
    nc.offset = offset
    p._refcount++
    return { bytes: p.bytes.subarray(offset, offset + fragsz), shinfo: new skb_shared_info(), from: p, size: fragsz }
  },
)
export const page_frag_alloc = (nc: page_frag_cache, fragsz: number, gfp_mask: number): skb_head =>
  __page_frag_alloc_align(nc, fragsz, gfp_mask, ~0)

/** gives back a head that came from page_frag_alloc() */
export const page_frag_free = kfunc('page_frag_free', (head: skb_head): void => {
  const p = head.from as page
  if (--p._refcount === 0) free_unref_page(p, p.order)
})
