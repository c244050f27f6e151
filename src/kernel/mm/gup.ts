import { kfunc } from '../../trace/kfunc.ts'
import { PAGE_SIZE } from '../include/generated/enums.ts'
import { EFAULT, EINVAL } from '../include/linux/errno.ts'
import type { page } from '../include/linux/mm_types.ts'
import { rcu_read_lock, rcu_read_unlock } from '../kernel/rcu.ts'
import { user_page } from './memory.ts'
import { compound_head } from './page_alloc.ts'

export const FOLL_WRITE = 1 << 0
export const FOLL_GET = 1 << 1
export const FOLL_NOFAULT = 1 << 7
export const FOLL_PIN = 1 << 19
export const FOLL_LONGTERM = 1 << 8

const is_valid_gup_args = kfunc(
  'is_valid_gup_args',
  (_pages: page[], _locked: null, gup_flags: number, to_set: number): boolean => {
    const all = gup_flags | to_set
    return (all & (FOLL_PIN | FOLL_GET)) !== (FOLL_PIN | FOLL_GET)
  },
)

const try_grab_folio_fast = kfunc('try_grab_folio_fast', (_page: page, _refs: number, _flags: number): void => {
  rcu_read_lock()
  rcu_read_unlock()
})
const gup_fast_folio_allowed = kfunc('gup_fast_folio_allowed', (_folio: page, _flags: number): boolean => true)

const gup_fast_fallback = kfunc(
  'gup_fast_fallback',
  (start: number, nr_pages: number, gup_flags: number, pages: page[]): number => {
    let nr = 0
    let last: page | null = null
    for (; nr < nr_pages; nr++) {
      const p = user_page(start + nr * PAGE_SIZE, (gup_flags & FOLL_WRITE) !== 0)
      if (p === null) break
      const head = compound_head(p)
      // a huge page is one entry of the page table: all its pages are taken at once
      if (head === p || head !== last) {
        try_grab_folio_fast(head, 1, gup_flags)
        gup_fast_folio_allowed(head, gup_flags)
      }
      head._refcount++
      last = head
      pages[nr] = p
    }
    return nr > 0 ? nr : -EFAULT
  },
)

/** takes a reference to each page from `start` on; returns how many it got, or -EFAULT */
export const get_user_pages_fast = kfunc(
  'get_user_pages_fast',
  (start: number, nr_pages: number, gup_flags: number, pages: page[]): number =>
    is_valid_gup_args(pages, null, gup_flags, FOLL_GET)
      ? gup_fast_fallback(start, nr_pages, gup_flags | FOLL_GET, pages)
      : -EINVAL,
)
