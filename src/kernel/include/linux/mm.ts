import type { page } from './mm_types.ts'

/**
 * What a mapping of user memory holds: given bytes, byte i is i & 0xff, pages that come to be when they are first touched, or
 * nothing that may be touched.
 */
export type mapping = Uint8Array | 'pattern' | 'untouched' | 'none'

/**
 * struct vm_area_struct: one buffer of a program. `vm_start` and `vm_end` are those of the buffer, not rounded to pages: what lies
 * around it in the same pages is of no interest, only that it is mapped.
 */
export class vm_area_struct {
  readonly vm_start: number
  readonly vm_end: number
  /** its contents; null while it has a pattern or starts without pages */
  bytes: Uint8Array | null
  readonly pattern: boolean
  /** the huge page that it lies in, once somebody pinned it */
  folio: page | null = null
  readonly writable: boolean
  /** of a mapping that started without: its pages, by number from the one of vm_start */
  readonly pages: (page | null)[] = []

  constructor(start: number, length: number, contents: mapping, writable: boolean) {
    this.vm_start = start
    this.vm_end = start + length
    this.bytes = typeof contents === 'string' ? null : contents
    this.pattern = contents === 'pattern'
    this.writable = writable
  }
}

/** struct mm_struct: the user memory of a process. Buffers lie where malloc() puts them: 16 bytes into a page. */
export class mm_struct {
  /** by address; they do not overlap */
  readonly vmas: vm_area_struct[] = []
  readonly mmap_lock: { readers: number; writer: number } = { readers: 0, writer: 0 }
  /** where the next buffer is put */
  top = 0x7f5c80000000
  /** found last: most calls use one buffer */
  last: vm_area_struct | null = null
  pinned_vm = 0
}

/** the lowest address that is not the program's: TASK_SIZE_MAX */
export const TASK_SIZE_MAX = 0x7ffffffff000
/** access_ok(): the range lies in user space, mapped or not */
export const access_ok = (addr: number, size: number): boolean =>
  addr >= 0 && size <= TASK_SIZE_MAX && addr <= TASK_SIZE_MAX - size
