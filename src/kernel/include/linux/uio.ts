import type { page } from './mm_types.ts'

export const UIO_FASTIOV = 8
export const UIO_MAXIOV = 1024
/** INT_MAX & PAGE_MASK */
export const MAX_RW_COUNT = 0x7ffff000

export const ITER_UBUF = 0
export const ITER_IOVEC = 1
export const ITER_BVEC = 2
export const ITER_KVEC = 3
export const ITER_DISCARD = 6

export const ITER_SOURCE = 1
export const ITER_DEST = 0

/** a piece of user memory */
export interface iovec {
  iov_base: number
  iov_len: number
}
/** a piece of kernel memory */
export interface kvec {
  iov_base: Uint8Array
  iov_len: number
}
/** a piece of a page */
export interface bio_vec {
  bv_page: page
  bv_offset: number
  bv_len: number
}

export interface iov_iter_state {
  iov_offset: number
  count: number
  nr_segs: number
  seg: number
}

const no_iovec: readonly iovec[] = []
const no_kvec: readonly kvec[] = []
const no_bvec: readonly bio_vec[] = []

/**
 * include/linux/uio.h struct iov_iter. Where Linux moves a pointer along the vector, `seg` is the index of the segment at hand;
 * nr_segs counts those that are left, itself included.
 */
export class iov_iter {
  iter_type = ITER_UBUF
  nofault = false
  data_source = ITER_DEST
  iov_offset = 0
  count = 0
  nr_segs = 0
  seg = 0
  /** user address of an ITER_UBUF */
  ubuf = 0
  __iov: readonly iovec[] = no_iovec
  kvec: readonly kvec[] = no_kvec
  bvec: readonly bio_vec[] = no_bvec

  /** struct assignment */
  assign(from: iov_iter): void {
    this.iter_type = from.iter_type
    this.nofault = from.nofault
    this.data_source = from.data_source
    this.iov_offset = from.iov_offset
    this.count = from.count
    this.nr_segs = from.nr_segs
    this.seg = from.seg
    this.ubuf = from.ubuf
    this.__iov = from.__iov
    this.kvec = from.kvec
    this.bvec = from.bvec
  }
}

export const iter_is_ubuf = (i: iov_iter): boolean => i.iter_type === ITER_UBUF
export const iter_is_iovec = (i: iov_iter): boolean => i.iter_type === ITER_IOVEC
export const iov_iter_is_kvec = (i: iov_iter): boolean => i.iter_type === ITER_KVEC
export const iov_iter_is_bvec = (i: iov_iter): boolean => i.iter_type === ITER_BVEC
export const iov_iter_is_discard = (i: iov_iter): boolean => i.iter_type === ITER_DISCARD
export const user_backed_iter = (i: iov_iter): boolean => i.iter_type === ITER_UBUF || i.iter_type === ITER_IOVEC
export const iov_iter_count = (i: iov_iter): number => i.count

export const iov_iter_save_state = (i: iov_iter): iov_iter_state => ({
  iov_offset: i.iov_offset,
  count: i.count,
  nr_segs: i.nr_segs,
  seg: i.seg,
})
