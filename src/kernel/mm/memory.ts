import { kfunc } from '../../trace/kfunc.ts'
import { traceCopy } from '../../trace/tracer.ts'
import { PAGE_SIZE } from '../include/generated/enums.ts'
import { early_initcall } from '../include/linux/init.ts'
import { type mapping, type mm_struct, vm_area_struct } from '../include/linux/mm.ts'
import type { page } from '../include/linux/mm_types.ts'
import type { rw_semaphore } from '../include/linux/mutex.ts'
import { __GFP_ZERO, GFP_HIGHUSER_MOVABLE } from '../include/linux/slab.ts'
import { spinlock_t } from '../include/linux/spinlock.ts'
import { down_read_trylock, up_read } from '../kernel/locking/mutex.ts'
import { _raw_spin_lock, _raw_spin_unlock } from '../kernel/locking/spinlock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../kernel/rcu.ts'
import { current } from '../kernel/sched/core.ts'
import { alloc_pages_mpol_noprof, new_page, put_page } from './page_alloc.ts'

const page_table_lock = new spinlock_t()
const MALLOC_HEADER = 16

early_initcall(() => {
  page_table_lock.locked = 0
})

/**
 * Maps `length` bytes into a process. Returns the address: of memory that nothing has touched where malloc() would have it, 16 bytes
 * into a page; of memory that holds data the start of a page, as mmap() gives it. `none` is an address that the process may not touch.
 */
export function do_mmap(mm: mm_struct, length: number, contents: mapping, writable: boolean): number {
  const start = mm.top + (contents === 'untouched' ? MALLOC_HEADER : 0)
  // a page between two buffers belongs to neither
  mm.top = (Math.floor((start + length) / PAGE_SIZE) + 2) * PAGE_SIZE
  if (contents !== 'none') mm.vmas.push(new vm_area_struct(start, length, contents, writable))
  return start
}

/** takes the mapping at `address` away; its pages go back */
export function do_munmap(mm: mm_struct, address: number): void {
  let i = mm.vmas.length - 1
  while (i >= 0 && mm.vmas[i]?.vm_start !== address) i--
  const vma = mm.vmas[i]
  if (vma === undefined) return
  mm.vmas.splice(i, 1)
  if (mm.last === vma) mm.last = null
  for (const p of vma.pages) if (p) put_page(p)
}

/** the mapping that `addr` lies in; what is in front of a buffer in its first page counts as its own */
function lookup(mm: mm_struct, addr: number): vm_area_struct | null {
  const { last } = mm
  if (last !== null && addr >= last.vm_start && addr < last.vm_end) return last
  let lo = 0
  let hi = mm.vmas.length
  while (lo < hi) {
    const mid = (lo + hi) >> 1
    if ((mm.vmas[mid]?.vm_end ?? 0) <= addr) lo = mid + 1
    else hi = mid
  }
  const vma = mm.vmas[lo]
  if (vma === undefined || vma.vm_start - page_offset(vma.vm_start) > addr) return null
  mm.last = vma
  return vma
}

/** page number of `addr` counted from the page that the mapping starts in */
const page_index = (vma: vm_area_struct, addr: number): number =>
  Math.floor(addr / PAGE_SIZE) - Math.floor(vma.vm_start / PAGE_SIZE)
const page_offset = (addr: number): number => addr % PAGE_SIZE
/** whether it has pages of its own from the start, without a fault */
const populated = (vma: vm_area_struct): boolean => vma.bytes !== null || vma.pattern

// --- page faults -------------------------------------------------------------------------------------------------------------

const find_vma = kfunc('find_vma', (mm: mm_struct, addr: number): vm_area_struct | null => {
  rcu_read_lock()
  const vma = lookup(mm, addr)
  rcu_read_unlock()
  return vma
})

const lock_mm_and_find_vma = kfunc('lock_mm_and_find_vma', (mm: mm_struct, addr: number, _regs: null): vm_area_struct | null => {
  down_read_trylock(mm.mmap_lock as rw_semaphore)
  const vma = find_vma(mm, addr)
  if (vma === null) up_read(mm.mmap_lock as rw_semaphore)
  return vma
})

const __pte_offset_map = kfunc('__pte_offset_map', (_pmd: null, _addr: number, _pmdvalp: null): void => {
  // held until pte_unmap()
  rcu_read_lock()
})
const pte_offset_map_nolock = kfunc('pte_offset_map_nolock', (_mm: mm_struct, pmd: null, addr: number, _ptlp: null): void => {
  __pte_offset_map(pmd, addr, null)
})
const __pte_offset_map_lock = kfunc('__pte_offset_map_lock', (_mm: mm_struct, pmd: null, addr: number, _ptlp: null): void => {
  __pte_offset_map(pmd, addr, null)
  _raw_spin_lock(page_table_lock)
})

const __vmf_anon_prepare = kfunc('__vmf_anon_prepare', (_vma: vm_area_struct): number => 0)
const get_vma_policy = kfunc('get_vma_policy', (_vma: vm_area_struct, _addr: number, _order: number, _ilx: null): null => null)
const vma_alloc_folio_noprof = kfunc(
  'vma_alloc_folio_noprof',
  (gfp: number, order: number, vma: vm_area_struct, addr: number): page => {
    const pol = get_vma_policy(vma, addr, order, null)
    return alloc_pages_mpol_noprof(gfp, order, pol, 0, -1)
  },
)
const get_mem_cgroup_from_mm = kfunc('get_mem_cgroup_from_mm', (_mm: mm_struct): void => {
  rcu_read_lock()
  rcu_read_unlock()
})
const __mem_cgroup_charge = kfunc('__mem_cgroup_charge', (_folio: page, mm: mm_struct, _gfp: number): number => {
  get_mem_cgroup_from_mm(mm)
  return 0
})
const __folio_throttle_swaprate = kfunc('__folio_throttle_swaprate', (_folio: page, _gfp: number): void => {})
const pte_mkwrite = kfunc('pte_mkwrite', (_pte: number, _vma: vm_area_struct): void => {})
const __cgroup_rstat_updated = kfunc('__cgroup_rstat_updated', (_cgrp: null, _cpu: number): void => {})
const __mod_node_page_state = kfunc('__mod_node_page_state', (_pgdat: null, _item: number, _delta: number): void => {})
const __mod_memcg_lruvec_state = kfunc('__mod_memcg_lruvec_state', (_lruvec: null, _idx: number, _val: number): void => {
  __cgroup_rstat_updated(null, 0)
})
const __lruvec_stat_mod_folio = kfunc('__lruvec_stat_mod_folio', (_folio: page, idx: number, val: number): void => {
  rcu_read_lock()
  __mod_node_page_state(null, idx, val)
  __mod_memcg_lruvec_state(null, idx, val)
  rcu_read_unlock()
})
const __folio_mod_stat = kfunc('__folio_mod_stat', (folio: page, nr: number, _nr_pmdmapped: number): void => {
  __lruvec_stat_mod_folio(folio, 0, nr)
})
const folio_add_new_anon_rmap = kfunc(
  'folio_add_new_anon_rmap',
  (folio: page, _vma: vm_area_struct, _address: number, _flags: number): void => {
    __folio_mod_stat(folio, 1, 0)
  },
)
const __folio_batch_add_and_move = kfunc('__folio_batch_add_and_move', (_fbatch: null, _folio: page): void => {})
const folio_add_lru = kfunc('folio_add_lru', (folio: page): void => {
  __folio_batch_add_and_move(null, folio)
})
const folio_add_lru_vma = kfunc('folio_add_lru_vma', (folio: page, _vma: vm_area_struct): void => {
  folio_add_lru(folio)
})

const do_anonymous_page = kfunc('do_anonymous_page', (vma: vm_area_struct, mm: mm_struct, address: number): number => {
  __vmf_anon_prepare(vma)
  const folio = vma_alloc_folio_noprof(GFP_HIGHUSER_MOVABLE | __GFP_ZERO, 0, vma, address)
  __mem_cgroup_charge(folio, mm, 0)
  __folio_throttle_swaprate(folio, 0)
  pte_mkwrite(0, vma)
  __pte_offset_map_lock(mm, null, address, null)
  folio_add_new_anon_rmap(folio, vma, address, 0)
  folio_add_lru_vma(folio, vma)
  vma.pages[page_index(vma, address)] = folio
  _raw_spin_unlock(page_table_lock)
  rcu_read_unlock()
  return 0
})

const __handle_mm_fault = kfunc('__handle_mm_fault', (vma: vm_area_struct, address: number, _flags: number): number => {
  const mm = current.mm as mm_struct
  pte_offset_map_nolock(mm, null, address, null)
  rcu_read_unlock()
  return do_anonymous_page(vma, mm, address)
})

const mem_cgroup_from_task = kfunc('mem_cgroup_from_task', (_p: unknown): null => null)
const __count_memcg_events = kfunc('__count_memcg_events', (_memcg: null, _idx: number, _count: number): void => {
  __cgroup_rstat_updated(null, 0)
})

const handle_mm_fault = kfunc('handle_mm_fault', (vma: vm_area_struct, address: number, flags: number, _regs: null): number => {
  const ret = __handle_mm_fault(vma, address, flags)
  rcu_read_lock()
  const memcg = mem_cgroup_from_task(current)
  __count_memcg_events(memcg, 0, 1)
  rcu_read_unlock()
  return ret
})

const search_exception_tables = kfunc('search_exception_tables', (_addr: number): number => 1)
const ex_handler_uaccess = kfunc(
  'ex_handler_uaccess',
  (_fixup: number, _regs: null, _trapnr: number, _fault_address: number): boolean => true,
)
const fixup_exception = kfunc(
  'fixup_exception',
  (_regs: null, trapnr: number, _error_code: number, fault_addr: number): boolean =>
    ex_handler_uaccess(search_exception_tables(0), null, trapnr, fault_addr),
)
const kernelmode_fixup_or_oops = kfunc('kernelmode_fixup_or_oops', (_regs: null, error_code: number, address: number): void => {
  fixup_exception(null, 14, error_code, address)
})
const __bad_area_nosemaphore = kfunc('__bad_area_nosemaphore', (_regs: null, error_code: number, address: number): void => {
  kernelmode_fixup_or_oops(null, error_code, address)
})
const bad_area_nosemaphore = kfunc('bad_area_nosemaphore', (_regs: null, error_code: number, address: number): void => {
  __bad_area_nosemaphore(null, error_code, address)
})

const FAULT_FLAG_WRITE = 1

/** The processor faulted on a user address inside the kernel: false when the copy must stop there. arch/x86/mm/fault.c */
function do_user_addr_fault(address: number, write: boolean): boolean {
  const { mm } = current
  if (mm === null) return false
  const vma = lock_mm_and_find_vma(mm, address, null)
  if (vma === null || (write && !vma.writable)) {
    if (vma !== null) up_read(mm.mmap_lock as rw_semaphore)
    bad_area_nosemaphore(null, write ? 2 : 0, address)
    return false
  }
  handle_mm_fault(vma, address, write ? FAULT_FLAG_WRITE : 0, null)
  up_read(mm.mmap_lock as rw_semaphore)
  return true
}

// --- copies ------------------------------------------------------------------------------------------------------------------

/** the mapping of `addr` with its page present, after a page fault if need be; null when that was in vain */
function touch(addr: number, write: boolean): vm_area_struct | null {
  const { mm } = current
  if (mm === null) return null
  const vma = lookup(mm, addr)
  if (vma !== null && (populated(vma) || vma.pages[page_index(vma, addr)]) && (!write || vma.writable)) return vma
  return do_user_addr_fault(addr, write) ? lookup(mm, addr) : null
}

const pattern = new Uint8Array(8192)
for (let i = 0; i < 256; i++) pattern[i] = i
for (let n = 256; n < pattern.length; n *= 2) pattern.copyWithin(n, 0, n)

/** copies `n` bytes that are present, inside one page unless the mapping has `bytes` */
function read_user(vma: vm_area_struct, from: number, to: Uint8Array, to_off: number, n: number): void {
  const at = from - vma.vm_start
  if (vma.bytes !== null) to.set(vma.bytes.subarray(at, at + n), to_off)
  else if (vma.pattern) to.set(pattern.subarray(at & 0xff, (at & 0xff) + n), to_off)
  else {
    const offset = page_offset(from)
    const p = vma.pages[page_index(vma, from)]
    if (p) to.set(p.bytes.subarray(offset, offset + n), to_off)
  }
}

/** copies from user memory; returns the number of bytes that could not be read */
export function raw_copy_from_user(to: Uint8Array, to_off: number, from: number, n: number): number {
  let done = 0
  while (done < n) {
    const addr = from + done
    const vma = touch(addr, false)
    if (vma === null) break
    let chunk = Math.min(n - done, vma.vm_end - addr)
    if (vma.bytes === null) chunk = Math.min(chunk, PAGE_SIZE - page_offset(addr))
    read_user(vma, addr, to, to_off + done, chunk)
    done += chunk
  }
  if (done > 0) traceCopy(done, 'user', 'kernel')
  return n - done
}

/** the contents of a mapping as bytes that can be written to */
function contents(vma: vm_area_struct): Uint8Array {
  if (vma.bytes !== null) return vma.bytes
  const bytes = new Uint8Array(vma.vm_end - vma.vm_start)
  for (let at = 0; at < bytes.length; at += pattern.length) bytes.set(pattern.subarray(0, bytes.length - at), at)
  vma.bytes = bytes
  return bytes
}

/** copies to user memory; returns the number of bytes that could not be written */
export function raw_copy_to_user(to: number, from: Uint8Array, from_off: number, n: number): number {
  let done = 0
  while (done < n) {
    const addr = to + done
    const vma = touch(addr, true)
    if (vma === null) break
    let chunk = Math.min(n - done, vma.vm_end - addr)
    if (populated(vma)) contents(vma).set(from.subarray(from_off + done, from_off + done + chunk), addr - vma.vm_start)
    else {
      chunk = Math.min(chunk, PAGE_SIZE - page_offset(addr))
      vma.pages[page_index(vma, addr)]?.bytes.set(from.subarray(from_off + done, from_off + done + chunk), page_offset(addr))
    }
    done += chunk
  }
  if (done > 0) traceCopy(done, 'kernel', 'user')
  return n - done
}

/**
 * For get_user_pages(): the page at `addr`, after a fault if need be, without a reference; null when it may not be touched. A
 * buffer that a program filled lies in a huge page, as large ones do: what comes back has a `head` then.
 */
export function user_page(addr: number, write: boolean): page | null {
  const vma = touch(addr, write)
  if (vma === null) return null
  if (!populated(vma)) return vma.pages[page_index(vma, addr)] ?? null
  if (vma.folio === null) {
    const old = contents(vma)
    const start = page_offset(vma.vm_start)
    const order = Math.max(9, 32 - Math.clz32(Math.ceil((start + old.length) / PAGE_SIZE) - 1))
    const bytes = new Uint8Array(Math.ceil((start + old.length) / PAGE_SIZE) * PAGE_SIZE)
    bytes.set(old, start)
    vma.bytes = bytes.subarray(start, start + old.length)
    vma.folio = new_page(bytes, order)
    vma.folio.mapping = vma
  }
  const { folio } = vma
  const index = page_index(vma, addr)
  return {
    bytes: folio.bytes.subarray(index * PAGE_SIZE, (index + 1) * PAGE_SIZE),
    order: 0,
    _refcount: 0,
    pfn: folio.pfn + index,
    pfmemalloc: false,
    mapping: vma,
    head: folio,
    index,
  }
}

/** what a process would read at `address`, without a fault: pages that were never touched read as zeros */
export function peek_user(mm: mm_struct, address: number, length: number): Uint8Array {
  const out = new Uint8Array(length)
  for (let done = 0; done < length; ) {
    const addr = address + done
    const chunk = Math.min(length - done, PAGE_SIZE - page_offset(addr))
    const vma = lookup(mm, addr)
    if (vma !== null && (populated(vma) || vma.pages[page_index(vma, addr)])) {
      const n = Math.min(chunk, vma.vm_end - addr)
      read_user(vma, addr, out, done, n)
    }
    done += chunk
  }
  return out
}
