import { clock } from '../../sim/clock.ts'
import { InternalError, kfunc } from '../../trace/kfunc.ts'
import { PAGE_SIZE } from '../include/generated/enums.ts'
import { early_initcall } from '../include/linux/init.ts'
import type { page } from '../include/linux/mm_types.ts'
import { __GFP_COMP, __GFP_ZERO } from '../include/linux/slab.ts'
import { spinlock_t } from '../include/linux/spinlock.ts'
import { _raw_spin_trylock, _raw_spin_unlock } from '../kernel/locking/spinlock.ts'
import { object_in, PAGE_OBJECT } from './usercopy.ts'

const MAX_PAGE_ORDER = 10
/** how many pages of one order wait to be used again */
const KEPT = 256
const pcp_lock = new spinlock_t()

/** pages that were freed, by order: the next ones come from here */
let free_lists: page[][] = []
let next_pfn = 0
let live = 0

early_initcall(() => {
  free_lists = Array.from({ length: MAX_PAGE_ORDER + 1 }, () => [])
  next_pfn = 0x1000
  live = 0
  pcp_lock.locked = 0
})

/** pages in use: each of a compound page counts */
export const live_pages = (): number => live

/** 2^order pages of memory that was never used; for the page cache and the like, which do not come through the allocator */
export function new_page(bytes: Uint8Array, order: number): page {
  const p: page = { bytes, order, _refcount: 1, pfn: next_pfn, pfmemalloc: false, mapping: null }
  next_pfn += 1 << order
  object_in(bytes, PAGE_OBJECT)
  return p
}

const cond_accept_memory = kfunc('cond_accept_memory', (_zone: null, _order: number): boolean => false)
const __zone_watermark_ok = kfunc('__zone_watermark_ok', (_z: null, _order: number, _mark: number): boolean => true)
const prep_compound_page = kfunc('prep_compound_page', (_page: page, _order: number): void => {})

const get_page_from_freelist = kfunc(
  'get_page_from_freelist',
  (gfp_mask: number, order: number, alloc_flags: number, _ac: null): page => {
    cond_accept_memory(null, order)
    // a single page is taken as long as there are any: the watermark of its order need not be looked for
    if (order > 0) __zone_watermark_ok(null, order, 0)
    _raw_spin_trylock(pcp_lock)
    let p = free_lists[order]?.pop()
    _raw_spin_unlock(pcp_lock)
    if (p === undefined) p = new_page(new Uint8Array(PAGE_SIZE << order), order)
    else if (gfp_mask & __GFP_ZERO) p.bytes.fill(0)
    // init_on_alloc: whoever gets it finds zeroes
    clock.now += (PAGE_SIZE << order) >> 4
    live += 1 << order
    p._refcount = 1
    p.mapping = null
    if (order > 0 && gfp_mask & __GFP_COMP) prep_compound_page(p, order)
    return p
  },
)

export const __alloc_pages_noprof = kfunc(
  '__alloc_pages_noprof',
  (gfp: number, order: number, _preferred_nid: number, _nodemask: null): page => get_page_from_freelist(gfp, order, 0, null),
)

const policy_nodemask = kfunc('policy_nodemask', (_gfp: number, _pol: null, _ilx: number, _nid: number): null => null)

export const alloc_pages_mpol_noprof = kfunc(
  'alloc_pages_mpol_noprof',
  (gfp: number, order: number, pol: null, ilx: number, nid: number): page => {
    const nodemask = policy_nodemask(gfp, pol, ilx, nid)
    return __alloc_pages_noprof(gfp, order, nid, nodemask)
  },
)

/** 2^order pages, with one reference; memory never runs out here */
export const alloc_pages_noprof = kfunc(
  'alloc_pages_noprof',
  (gfp: number, order: number): page => alloc_pages_mpol_noprof(gfp, order, null, 0, -1),
)
export const alloc_pages = alloc_pages_noprof
export const alloc_page = (gfp: number): page => alloc_pages_noprof(gfp, 0)

const get_pfnblock_flags_mask = kfunc('get_pfnblock_flags_mask', (_page: page, _pfn: number, _mask: number): number => 0)

const free_unref_page_commit = kfunc(
  'free_unref_page_commit',
  (_zone: null, _pcp: null, p: page, _migratetype: number, order: number): void => {
    const list = free_lists[order]
    if (list !== undefined && list.length < KEPT) list.push(p)
  },
)

const free_tail_page_prepare = kfunc('free_tail_page_prepare', (_head_page: page, _page: number): number => 0)

export const free_unref_page = kfunc('free_unref_page', (p: page, order: number): void => {
  for (let i = 1; i < 1 << order; i++) free_tail_page_prepare(p, i)
  get_pfnblock_flags_mask(p, p.pfn, 7)
  live -= 1 << order
  _raw_spin_trylock(pcp_lock)
  free_unref_page_commit(null, null, p, 0, order)
  _raw_spin_unlock(pcp_lock)
})

export const __free_pages = kfunc('__free_pages', (p: page, order: number): void => {
  if (--p._refcount === 0) free_unref_page(p, order)
})

/** mm/memcontrol.c: the root group's pages are not counted */
const __mem_cgroup_uncharge = kfunc('__mem_cgroup_uncharge', (_folio: page): void => {})

export const __folio_put = kfunc('__folio_put', (p: page): void => {
  // what user memory or a file lent is not the allocator's
  if (p.mapping !== null) return
  __mem_cgroup_uncharge(p)
  free_unref_page(p, p.order)
})

// include/linux/mm.h
export const compound_head = (p: page): page => p.head ?? p
export const get_page = (p: page): void => {
  compound_head(p)._refcount++
}
export function put_page(pg: page): void {
  const p = compound_head(pg)
  if (--p._refcount > 0) return
  if (p._refcount < 0) throw new InternalError('a page was freed twice')
  __folio_put(p)
}
export const page_ref_count = (p: page): number => p._refcount
export const page_ref_sub = (p: page, nr: number): void => {
  p._refcount -= nr
}
export const page_ref_inc = get_page
export const page_count = page_ref_count
