import { kfunc } from '../../trace/kfunc.ts'
import { traceCopy } from '../../trace/tracer.ts'
import { EFAULT, EINVAL, ENOMEM } from '../include/linux/errno.ts'
import { access_ok } from '../include/linux/mm.ts'
import type { page } from '../include/linux/mm_types.ts'
import { GFP_KERNEL } from '../include/linux/slab.ts'
import { IS_ERR, type ref } from '../include/linux/types.ts'
import {
  type bio_vec,
  ITER_BVEC,
  ITER_IOVEC,
  ITER_KVEC,
  ITER_UBUF,
  type iov_iter,
  iov_iter_is_bvec,
  iov_iter_is_discard,
  iov_iter_is_kvec,
  type iov_iter_state,
  type iovec,
  iter_is_iovec,
  iter_is_ubuf,
  type kvec,
  MAX_RW_COUNT,
  UIO_MAXIOV,
  user_backed_iter,
} from '../include/linux/uio.ts'
import { FOLL_NOFAULT, FOLL_WRITE, get_user_pages_fast } from '../mm/gup.ts'
import { raw_copy_from_user, raw_copy_to_user } from '../mm/memory.ts'
import { kfree, kmalloc_array } from '../mm/slub.ts'
import { check_copy_size } from '../mm/usercopy.ts'

const PAGE_SIZE = 4096

type ustep = (iter_base: number, progress: number, len: number, priv: Uint8Array, priv2: unknown) => number
type kstep = (iter_base: Uint8Array, progress: number, len: number, priv: Uint8Array, priv2: unknown) => number

const copy_to_user_iter = kfunc(
  'copy_to_user_iter',
  (iter_to: number, progress: number, len: number, from: Uint8Array, priv2: unknown): number =>
    access_ok(iter_to, len) ? raw_copy_to_user(iter_to, from, progress, len) : len,
)

const copy_from_user_iter = kfunc(
  'copy_from_user_iter',
  (iter_from: number, progress: number, len: number, to: Uint8Array, priv2: unknown): number =>
    access_ok(iter_from, len) ? raw_copy_from_user(to, progress, iter_from, len) : len,
)

const memcpy_to_iter = kfunc(
  'memcpy_to_iter',
  (iter_to: Uint8Array, progress: number, len: number, from: Uint8Array, priv2: unknown): number => {
    iter_to.set(from.subarray(progress, progress + len))
    traceCopy(len, 'kernel', 'kernel')
    return 0
  },
)

const memcpy_from_iter = kfunc(
  'memcpy_from_iter',
  (iter_from: Uint8Array, progress: number, len: number, to: Uint8Array, priv2: unknown): number => {
    to.set(iter_from.subarray(0, len), progress)
    traceCopy(len, 'kernel', 'kernel')
    return 0
  },
)

const iterate_ubuf = kfunc(
  'iterate_ubuf',
  (iter: iov_iter, len: number, priv: Uint8Array, priv2: unknown, step: ustep): number => {
    const remain = step(iter.ubuf + iter.iov_offset, 0, len, priv, priv2)
    const progress = len - remain
    iter.iov_offset += progress
    iter.count -= progress
    return progress
  },
)

const iterate_iovec = kfunc(
  'iterate_iovec',
  (iter: iov_iter, size: number, priv: Uint8Array, priv2: unknown, step: ustep): number => {
    let len = size
    let p = iter.seg
    let progress = 0
    let skip = iter.iov_offset

    do {
      const v = iter.__iov[p]
      if (v === undefined) break
      const part = Math.min(len, v.iov_len - skip)
      if (part) {
        const consumed = part - step(v.iov_base + skip, progress, part, priv, priv2)
        progress += consumed
        skip += consumed
        len -= consumed
        if (skip < v.iov_len) break
      }
      p++
      skip = 0
    } while (len)

    iter.nr_segs -= p - iter.seg
    iter.seg = p
    iter.iov_offset = skip
    iter.count -= progress
    return progress
  },
)

const iterate_kvec = kfunc(
  'iterate_kvec',
  (iter: iov_iter, size: number, priv: Uint8Array, priv2: unknown, step: kstep): number => {
    let len = size
    let p = iter.seg
    let progress = 0
    let skip = iter.iov_offset

    do {
      const v = iter.kvec[p]
      if (v === undefined) break
      const part = Math.min(len, v.iov_len - skip)
      if (part) {
        const consumed = part - step(v.iov_base.subarray(skip), progress, part, priv, priv2)
        progress += consumed
        skip += consumed
        len -= consumed
        if (skip < v.iov_len) break
      }
      p++
      skip = 0
    } while (len)

    iter.nr_segs -= p - iter.seg
    iter.seg = p
    iter.iov_offset = skip
    iter.count -= progress
    return progress
  },
)

const iterate_bvec = kfunc(
  'iterate_bvec',
  (iter: iov_iter, size: number, priv: Uint8Array, priv2: unknown, step: kstep): number => {
    let len = size
    let p = iter.seg
    let progress = 0
    let skip = iter.iov_offset

    do {
      const v = iter.bvec[p]
      if (v === undefined) break
      const offset = v.bv_offset + skip
      const part = Math.min(len, v.bv_len - skip, PAGE_SIZE - (offset % PAGE_SIZE))
      const remain = step(v.bv_page.bytes.subarray(offset, offset + part), progress, part, priv, priv2)
      const consumed = part - remain
      len -= consumed
      progress += consumed
      skip += consumed
      if (skip >= v.bv_len) {
        skip = 0
        p++
      }
      if (remain) break
    } while (len)

    iter.nr_segs -= p - iter.seg
    iter.seg = p
    iter.iov_offset = skip
    iter.count -= progress
    return progress
  },
)

const iterate_discard = kfunc(
  'iterate_discard',
  (iter: iov_iter, len: number, priv: Uint8Array, priv2: unknown, step: kstep): number => {
    iter.count -= len
    return len
  },
)

/** include/linux/iov_iter.h: hands `len` bytes of the iterator to `step` piece by piece; returns the bytes that were taken */
export const iterate_and_advance2 = kfunc(
  'iterate_and_advance2',
  (iter: iov_iter, size: number, priv: Uint8Array, priv2: unknown, ustep: ustep, step: kstep): number => {
    const len = Math.min(iter.count, size)
    if (!len) return 0
    switch (iter.iter_type) {
      case ITER_UBUF:
        return iterate_ubuf(iter, len, priv, priv2, ustep)
      case ITER_IOVEC:
        return iterate_iovec(iter, len, priv, priv2, ustep)
      case ITER_BVEC:
        return iterate_bvec(iter, len, priv, priv2, step)
      case ITER_KVEC:
        return iterate_kvec(iter, len, priv, priv2, step)
      default:
        return iterate_discard(iter, len, priv, priv2, step)
    }
  },
)

export const iterate_and_advance = kfunc(
  'iterate_and_advance',
  (iter: iov_iter, len: number, priv: Uint8Array, ustep: ustep, step: kstep): number =>
    iterate_and_advance2(iter, len, priv, null, ustep, step),
)

export const iov_iter_init = kfunc(
  'iov_iter_init',
  (i: iov_iter, direction: number, iov: readonly iovec[], nr_segs: number, count: number): void => {
    i.iter_type = ITER_IOVEC
    i.nofault = false
    i.data_source = direction
    i.__iov = iov
    i.seg = 0
    i.nr_segs = nr_segs
    i.iov_offset = 0
    i.count = count
  },
)

export const iov_iter_ubuf = kfunc('iov_iter_ubuf', (i: iov_iter, direction: number, buf: number, count: number): void => {
  i.iter_type = ITER_UBUF
  i.nofault = false
  i.data_source = direction
  i.ubuf = buf
  i.seg = 0
  i.nr_segs = 1
  i.iov_offset = 0
  i.count = count
})

export const iov_iter_kvec = kfunc(
  'iov_iter_kvec',
  (i: iov_iter, direction: number, vec: readonly kvec[], nr_segs: number, count: number): void => {
    i.iter_type = ITER_KVEC
    i.nofault = false
    i.data_source = direction
    i.kvec = vec
    i.seg = 0
    i.nr_segs = nr_segs
    i.iov_offset = 0
    i.count = count
  },
)

export const iov_iter_bvec = kfunc(
  'iov_iter_bvec',
  (i: iov_iter, direction: number, bvec: readonly bio_vec[], nr_segs: number, count: number): void => {
    i.iter_type = ITER_BVEC
    i.nofault = false
    i.data_source = direction
    i.bvec = bvec
    i.seg = 0
    i.nr_segs = nr_segs
    i.iov_offset = 0
    i.count = count
  },
)

/**
 * Copies `bytes` from the start of `addr` to the iterator. Returns the bytes that were copied: fewer when user memory is bad.
 */
export const _copy_to_iter = kfunc('_copy_to_iter', (addr: Uint8Array, bytes: number, i: iov_iter): number =>
  i.data_source ? 0 : iterate_and_advance(i, bytes, addr, copy_to_user_iter, memcpy_to_iter),
)

const __copy_from_iter = kfunc('__copy_from_iter', (addr: Uint8Array, bytes: number, i: iov_iter): number =>
  iterate_and_advance(i, bytes, addr, copy_from_user_iter, memcpy_from_iter),
)

/** Copies `bytes` from the iterator to the start of `addr`. Returns the bytes that were copied: fewer when user memory is bad. */
export const _copy_from_iter = kfunc('_copy_from_iter', (addr: Uint8Array, bytes: number, i: iov_iter): number =>
  i.data_source ? __copy_from_iter(addr, bytes, i) : 0,
)

const copy_from_user_iter_nocache = kfunc(
  'copy_from_user_iter_nocache',
  (iter_from: number, progress: number, len: number, to: Uint8Array, priv2: unknown): number =>
    raw_copy_from_user(to, progress, iter_from, len),
)

export const _copy_from_iter_nocache = kfunc('_copy_from_iter_nocache', (addr: Uint8Array, bytes: number, i: iov_iter): number =>
  i.data_source ? iterate_and_advance(i, bytes, addr, copy_from_user_iter_nocache, memcpy_from_iter) : 0,
)

export const copy_to_iter = kfunc('copy_to_iter', (addr: Uint8Array, bytes: number, i: iov_iter): number =>
  check_copy_size(addr, bytes, true) ? _copy_to_iter(addr, bytes, i) : 0,
)

export const copy_from_iter = kfunc('copy_from_iter', (addr: Uint8Array, bytes: number, i: iov_iter): number =>
  check_copy_size(addr, bytes, false) ? _copy_from_iter(addr, bytes, i) : 0,
)

export const copy_to_iter_full = kfunc('copy_to_iter_full', (addr: Uint8Array, bytes: number, i: iov_iter): boolean => {
  const copied = copy_to_iter(addr, bytes, i)
  if (copied === bytes) return true
  iov_iter_revert(i, copied)
  return false
})

export const copy_from_iter_full = kfunc('copy_from_iter_full', (addr: Uint8Array, bytes: number, i: iov_iter): boolean => {
  const copied = copy_from_iter(addr, bytes, i)
  if (copied === bytes) return true
  iov_iter_revert(i, copied)
  return false
})

export const copy_from_iter_nocache = kfunc('copy_from_iter_nocache', (addr: Uint8Array, bytes: number, i: iov_iter): number =>
  check_copy_size(addr, bytes, false) ? _copy_from_iter_nocache(addr, bytes, i) : 0,
)

export const copy_from_iter_full_nocache = kfunc(
  'copy_from_iter_full_nocache',
  (addr: Uint8Array, bytes: number, i: iov_iter): boolean => {
    const copied = copy_from_iter_nocache(addr, bytes, i)
    if (copied === bytes) return true
    iov_iter_revert(i, copied)
    return false
  },
)

const page_copy_sane = kfunc(
  'page_copy_sane',
  (page: page, offset: number, n: number): boolean => n + offset <= PAGE_SIZE * 2 ** page.order,
)

/** the copy goes page by page, also through a compound page, as kmap_local_page() does */
export const copy_page_to_iter = kfunc('copy_page_to_iter', (page: page, offset: number, bytes: number, i: iov_iter): number => {
  let res = 0
  if (!page_copy_sane(page, offset, bytes)) return 0
  if (i.data_source) return 0
  while (true) {
    const at = offset + res
    const want = Math.min(bytes - res, PAGE_SIZE - (at % PAGE_SIZE))
    const n = _copy_to_iter(page.bytes.subarray(at, at + want), want, i)
    res += n
    if (res === bytes || !n) return res
  }
})

export const copy_page_from_iter = kfunc(
  'copy_page_from_iter',
  (page: page, offset: number, bytes: number, i: iov_iter): number => {
    let res = 0
    if (!page_copy_sane(page, offset, bytes)) return 0
    while (true) {
      const at = offset + res
      const want = Math.min(bytes - res, PAGE_SIZE - (at % PAGE_SIZE))
      const n = _copy_from_iter(page.bytes.subarray(at, at + want), want, i)
      res += n
      if (res === bytes || !n) return res
    }
  },
)

export const copy_page_from_iter_atomic = kfunc(
  'copy_page_from_iter_atomic',
  (page: page, offset: number, bytes: number, i: iov_iter): number => {
    if (!page_copy_sane(page, offset, bytes)) return 0
    if (!i.data_source) return 0
    return __copy_from_iter(page.bytes.subarray(offset, offset + bytes), bytes, i)
  },
)

const iov_iter_bvec_advance = kfunc('iov_iter_bvec_advance', (i: iov_iter, bytes: number): void => {
  if (!i.count) return
  i.count -= bytes
  let size = bytes + i.iov_offset
  while (i.nr_segs > 0) {
    const len = i.bvec[i.seg]?.bv_len ?? 0
    if (size < len) break
    size -= len
    i.seg++
    i.nr_segs--
  }
  i.iov_offset = size
})

const iov_iter_iovec_advance = kfunc('iov_iter_iovec_advance', (i: iov_iter, bytes: number): void => {
  if (!i.count) return
  i.count -= bytes
  const vec: readonly { iov_len: number }[] = i.iter_type === ITER_IOVEC ? i.__iov : i.kvec
  let size = bytes + i.iov_offset
  while (i.nr_segs > 0) {
    const len = vec[i.seg]?.iov_len ?? 0
    if (size < len) break
    size -= len
    i.seg++
    i.nr_segs--
  }
  i.iov_offset = size
})

export const iov_iter_advance = kfunc('iov_iter_advance', (i: iov_iter, bytes: number): void => {
  const size = Math.min(i.count, bytes)
  if (iter_is_ubuf(i)) {
    i.iov_offset += size
    i.count -= size
  } else if (iter_is_iovec(i) || iov_iter_is_kvec(i)) iov_iter_iovec_advance(i, size)
  else if (iov_iter_is_bvec(i)) iov_iter_bvec_advance(i, size)
  else if (iov_iter_is_discard(i)) i.count -= size
})

/** goes back by `unroll` bytes; no further than where the iterator started */
export const iov_iter_revert = kfunc('iov_iter_revert', (i: iov_iter, bytes: number): void => {
  let unroll = bytes
  if (!unroll || unroll > MAX_RW_COUNT) return
  i.count += unroll
  if (iov_iter_is_discard(i)) return
  if (unroll <= i.iov_offset) {
    i.iov_offset -= unroll
    return
  }
  unroll -= i.iov_offset
  while (i.seg > 0) {
    i.seg--
    i.nr_segs++
    const n =
      i.iter_type === ITER_BVEC
        ? (i.bvec[i.seg]?.bv_len ?? 0)
        : i.iter_type === ITER_IOVEC
          ? (i.__iov[i.seg]?.iov_len ?? 0)
          : (i.kvec[i.seg]?.iov_len ?? 0)
    if (unroll <= n) {
      i.iov_offset = n - unroll
      return
    }
    unroll -= n
  }
})

export const iov_iter_restore = kfunc('iov_iter_restore', (i: iov_iter, state: iov_iter_state): void => {
  i.iov_offset = state.iov_offset
  i.count = state.count
  if (iter_is_ubuf(i)) return
  i.seg = state.seg
  i.nr_segs = state.nr_segs
})

/** the address of the first segment that is not empty; `size.v` is cut to its length */
const first_iovec_segment = kfunc('first_iovec_segment', (i: iov_iter, size: ref<number>): number => {
  if (iter_is_ubuf(i)) return i.ubuf + i.iov_offset
  let skip = i.iov_offset
  for (let k = i.seg; k < i.seg + i.nr_segs; k++, skip = 0) {
    const v = i.__iov[k]
    const len = (v?.iov_len ?? 0) - skip
    if (v === undefined || !len) continue
    if (size.v > len) size.v = len
    return v.iov_base + skip
  }
  return 0
})

const want_pages_array = kfunc('want_pages_array', (res: page[], size: number, start: number, maxpages: number): number =>
  Math.min(Math.ceil((size + start) / PAGE_SIZE), maxpages),
)

const __iov_iter_get_pages_alloc = kfunc(
  '__iov_iter_get_pages_alloc',
  (i: iov_iter, pages: page[], size: number, maxpages: number, start: ref<number>): number => {
    const maxsize = { v: Math.min(size, i.count, MAX_RW_COUNT) }
    if (!maxsize.v) return 0
    let gup_flags = 0

    if (user_backed_iter(i)) {
      if (!i.data_source) gup_flags |= FOLL_WRITE
      if (i.nofault) gup_flags |= FOLL_NOFAULT
      const addr = first_iovec_segment(i, maxsize)
      start.v = addr % PAGE_SIZE
      const n = want_pages_array(pages, maxsize.v, start.v, maxpages)
      if (!n) return -ENOMEM
      const res = get_user_pages_fast(addr - start.v, n, gup_flags, pages)
      if (res <= 0) return res
      const got = Math.min(maxsize.v, res * PAGE_SIZE - start.v)
      iov_iter_advance(i, got)
      return got
    }
    if (iov_iter_is_bvec(i)) {
      const v = i.bvec[i.seg]
      if (v === undefined) return 0
      const skip = i.iov_offset
      const at = v.bv_offset + skip
      start.v = at
      const got = Math.min(maxsize.v, v.bv_len - skip)
      v.bv_page._refcount++
      pages[0] = v.bv_page
      i.count -= got
      i.iov_offset += got
      if (i.iov_offset === v.bv_len) {
        i.iov_offset = 0
        i.seg++
        i.nr_segs--
      }
      return got
    }
    return -EFAULT
  },
)

/** pins the pages of the next bytes: returns how many bytes; `pages` gets the pages, start.v the offset into the first */
export const iov_iter_get_pages2 = kfunc(
  'iov_iter_get_pages2',
  (i: iov_iter, pages: page[], maxsize: number, maxpages: number, start: ref<number>): number =>
    maxpages ? __iov_iter_get_pages_alloc(i, pages, maxsize, maxpages, start) : 0,
)

const word = new Uint8Array(16)
const wordView = new DataView(word.buffer)

/** a 64-bit number that may be a negative ssize_t */
const s64At = (offset: number): number => Number(wordView.getBigInt64(offset, true))

const copy_iovec_from_user = kfunc('copy_iovec_from_user', (iov: iovec[], uiov: number, nr_segs: number): number => {
  if (!access_ok(uiov, nr_segs * 16)) return -EFAULT
  for (let seg = 0; seg < nr_segs; seg++) {
    if (raw_copy_from_user(word, 0, uiov + seg * 16, 16)) return -EFAULT
    const iov_len = s64At(8)
    if (iov_len < 0) return -EINVAL
    iov[seg] = { iov_base: Number(wordView.getBigUint64(0, true)), iov_len }
  }
  return 0
})

const iovec_from_user_part_0 = kfunc(
  'iovec_from_user.part.0',
  (uvec: number, nr_segs: number, fast_segs: number, fast_iov: iovec[], compat: boolean): iovec[] | number => {
    let iov = fast_iov
    if (nr_segs > UIO_MAXIOV) return -EINVAL
    if (nr_segs > fast_segs) iov = kmalloc_array(nr_segs, 16, GFP_KERNEL) as iovec[]
    const ret = copy_iovec_from_user(iov, uvec, nr_segs)
    if (ret) {
      if (iov !== fast_iov) kfree(iov)
      return ret
    }
    return iov
  },
)

export const iovec_from_user = kfunc(
  'iovec_from_user',
  (uvec: number, nr_segs: number, fast_segs: number, fast_iov: iovec[], compat: boolean): iovec[] | number =>
    nr_segs === 0 ? fast_iov : iovec_from_user_part_0(uvec, nr_segs, fast_segs, fast_iov, compat),
)

const __import_iovec_ubuf = kfunc(
  '__import_iovec_ubuf',
  (type: number, uvec: number, iovp: ref<iovec[] | null>, i: iov_iter, compat: boolean): number => {
    const iov = iovp.v ?? []
    iovp.v = null
    let ret = copy_iovec_from_user(iov, uvec, 1)
    if (ret) return ret
    const first = iov[0]
    ret = import_ubuf(type, first?.iov_base ?? 0, first?.iov_len ?? 0, i)
    return ret ? ret : i.count
  },
)

export const __import_iovec = kfunc(
  '__import_iovec',
  (
    type: number,
    uvec: number,
    nr_segs: number,
    fast_segs: number,
    iovp: ref<iovec[] | null>,
    i: iov_iter,
    compat: boolean,
  ): number => {
    if (nr_segs === 1) return __import_iovec_ubuf(type, uvec, iovp, i, compat)

    const fast = iovp.v ?? []
    const iov = iovec_from_user(uvec, nr_segs, fast_segs, fast, compat)
    if (IS_ERR(iov)) {
      iovp.v = null
      return iov
    }
    let total_len = 0
    for (let seg = 0; seg < nr_segs; seg++) {
      const v = iov[seg]
      if (v === undefined) break
      if (!access_ok(v.iov_base, v.iov_len)) {
        if (iov !== fast) kfree(iov)
        iovp.v = null
        return -EFAULT
      }
      if (v.iov_len > MAX_RW_COUNT - total_len) v.iov_len = MAX_RW_COUNT - total_len
      total_len += v.iov_len
    }
    iov_iter_init(i, type, iov, nr_segs, total_len)
    iovp.v = iov === fast ? null : iov
    return total_len
  },
)

/**
 * Reads an array of struct iovec at `uvec` in user memory and sets the iterator up. iovp.v comes with the caller's array and leaves
 * with the one to kfree(), or null. Returns the bytes in all, or an error.
 */
export const import_iovec = kfunc(
  'import_iovec',
  (type: number, uvec: number, nr_segs: number, fast_segs: number, iovp: ref<iovec[] | null>, i: iov_iter): number =>
    __import_iovec(type, uvec, nr_segs, fast_segs, iovp, i, false),
)

export const import_ubuf = kfunc('import_ubuf', (rw: number, buf: number, size: number, i: iov_iter): number => {
  const len = Math.min(size, MAX_RW_COUNT)
  if (!access_ok(buf, len)) return -EFAULT
  iov_iter_ubuf(i, rw, buf, len)
  return 0
})

const iov_iter_extract_bvec_pages = kfunc(
  'iov_iter_extract_bvec_pages',
  (i: iov_iter, pages: page[], maxsize: number, maxpages: number, extraction_flags: number, offset0: ref<number>): number => {
    let skip = i.iov_offset
    let v: bio_vec | undefined
    let size = 0
    while (true) {
      if (i.nr_segs === 0) return 0
      v = i.bvec[i.seg]
      if (v === undefined) return 0
      size = Math.min(maxsize, v.bv_len - skip)
      if (size) break
      i.iov_offset = 0
      i.nr_segs--
      i.seg++
      skip = 0
    }
    skip += v.bv_offset
    // a compound page is one object: the offset counts from its start
    offset0.v = v.bv_page.order ? skip : skip % PAGE_SIZE
    const n = want_pages_array(pages, size, offset0.v, maxpages)
    if (!n) return -ENOMEM
    pages[0] = v.bv_page
    if (!v.bv_page.order) size = Math.min(size, PAGE_SIZE - offset0.v)
    iov_iter_advance(i, size)
    return size
  },
)

/** lists the pages of the next bytes without taking references (ITER_BVEC); returns how many bytes */
export const iov_iter_extract_pages = kfunc(
  'iov_iter_extract_pages',
  (i: iov_iter, pages: page[], max: number, maxpages: number, extraction_flags: number, offset0: ref<number>): number => {
    const maxsize = Math.min(max, i.count, MAX_RW_COUNT)
    if (!maxsize) return 0
    if (iov_iter_is_bvec(i)) return iov_iter_extract_bvec_pages(i, pages, maxsize, maxpages, extraction_flags, offset0)
    return -EFAULT
  },
)
