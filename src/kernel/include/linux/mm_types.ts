/** A page, or 2^order pages in a row (a compound page). `bytes` has all of them. */
export interface page {
  bytes: Uint8Array
  readonly order: number
  _refcount: number
  /** page frame number, for printing */
  readonly pfn: number
  /** page_is_pfmemalloc() */
  pfmemalloc: boolean
  /** belongs to the page cache of a file */
  mapping: unknown
  /** of a page inside a compound page, which is no object of its own otherwise: its first page, and how far it is from there */
  readonly head?: page
  readonly index?: number
}

/** include/linux/mm_types_task.h. `offset` and `size` in bytes; filled from the end towards 0 by some, from 0 by others. */
export class page_frag {
  page: page | null = null
  offset = 0
  size = 0
}
