import { InternalError, kfunc } from '../../trace/kfunc.ts'

// where kernel memory lies that is copied from or to user memory: the check looks at the address, here at the buffer
export const STACK_OBJECT = 0
export const SLAB_OBJECT = 1
export const PAGE_OBJECT = 2
export const VMALLOC_OBJECT = 3

const NOT_STACK = 0
const GOOD_STACK = 2

const where = new WeakMap<ArrayBufferLike, number>()

/** says where a buffer lies; one of which nothing was said is on the stack */
export function object_in(bytes: Uint8Array, kind: number): void {
  where.set(bytes.buffer, kind)
}

let kind = STACK_OBJECT

const check_stack_object = kfunc('check_stack_object', (_obj: Uint8Array, _len: number): number =>
  kind === STACK_OBJECT ? GOOD_STACK : NOT_STACK,
)
export const is_vmalloc_addr = kfunc('is_vmalloc_addr', (x: Uint8Array): boolean => where.get(x.buffer) === VMALLOC_OBJECT)
const __virt_addr_valid = kfunc('__virt_addr_valid', (_x: Uint8Array): boolean => true)
const __check_heap_object = kfunc(
  '__check_heap_object',
  (_ptr: Uint8Array, _n: number, _slab: null, _to_user: boolean): void => {},
)

const check_heap_object = (ptr: Uint8Array, n: number, to_user: boolean): void => {
  if (is_vmalloc_addr(ptr)) return
  if (!__virt_addr_valid(ptr)) return
  if (kind === SLAB_OBJECT) __check_heap_object(ptr, n, null, to_user)
}

/** CONFIG_HARDENED_USERCOPY: the copy must stay inside one object of the kernel */
export const __check_object_size = kfunc('__check_object_size', (ptr: Uint8Array, n: number, to_user: boolean): void => {
  if (n === 0) return
  if (n > ptr.length) throw new InternalError(`a copy of ${n} bytes does not fit into an object of ${ptr.length}`)
  kind = where.get(ptr.buffer) ?? STACK_OBJECT
  if (check_stack_object(ptr, n) !== NOT_STACK) return
  check_heap_object(ptr, n, to_user)
})

/** check_object_size() of a size that the compiler does not know */
export const check_object_size = __check_object_size

/** include/linux/thread_info.h; `is_source`: the kernel's object is copied to user memory */
export const check_copy_size = (addr: Uint8Array, bytes: number, is_source: boolean): boolean => {
  __check_object_size(addr, bytes, is_source)
  return true
}
