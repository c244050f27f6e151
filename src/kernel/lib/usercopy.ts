import { kfunc } from '../../trace/kfunc.ts'
import { EFAULT } from '../include/linux/errno.ts'
import { access_ok } from '../include/linux/mm.ts'
import { raw_copy_from_user, raw_copy_to_user } from '../mm/memory.ts'
import { check_copy_size } from '../mm/usercopy.ts'

/** Each returns the number of bytes that were not copied. */
export const _copy_from_user = kfunc('_copy_from_user', (to: Uint8Array, from: number, n: number): number =>
  access_ok(from, n) ? raw_copy_from_user(to, 0, from, n) : n,
)
export const _copy_to_user = kfunc('_copy_to_user', (to: number, from: Uint8Array, n: number): number =>
  access_ok(to, n) ? raw_copy_to_user(to, from, 0, n) : n,
)

/** of a size that the compiler does not know: the kernel's object is checked first. A fixed size uses _copy_from_user(). */
export const copy_from_user = (to: Uint8Array, from: number, n: number): number =>
  check_copy_size(to, n, false) ? _copy_from_user(to, from, n) : n
export const copy_to_user = (to: number, from: Uint8Array, n: number): number =>
  check_copy_size(from, n, true) ? _copy_to_user(to, from, n) : n

/** include/linux/sockptr.h: an option's value goes to the caller. Here that is always a program, so `dst` is an address in its memory. */
export const copy_to_sockptr = (dst: number, src: Uint8Array, size: number): number =>
  copy_to_user(dst, src, size) ? -EFAULT : 0

const word = new Uint8Array(8)
const view = new DataView(word.buffer)

/** writes a number of `size` bytes (1, 2, 4 or 8): 0 or -EFAULT */
export function put_user(x: number, ptr: number, size: number): number {
  if (size === 8) view.setBigInt64(0, BigInt(x), true)
  else view.setInt32(0, x, true)
  return access_ok(ptr, size) && raw_copy_to_user(ptr, word, 0, size) === 0 ? 0 : -EFAULT
}

/** reads an unsigned number of `size` bytes; -1 when it may not be read */
export function get_user(ptr: number, size: number): number {
  view.setBigUint64(0, 0n, true)
  if (!access_ok(ptr, size) || raw_copy_from_user(word, 0, ptr, size) !== 0) return -1
  return size === 8 ? Number(view.getBigUint64(0, true)) : view.getUint32(0, true)
}
