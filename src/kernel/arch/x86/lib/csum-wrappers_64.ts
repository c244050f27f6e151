import { kfunc } from '../../../../trace/kfunc.ts'
import { access_ok } from '../../../include/linux/mm.ts'
import { do_csum } from '../../../lib/checksum.ts'
import { raw_copy_from_user, raw_copy_to_user } from '../../../mm/memory.ts'

/** a sum of 0 says that the memory could not be reached: one that is right is never 0 but the other zero */
const valid = (sum: number): number => (sum === 0 ? 0xffffffff : sum)

/** copies `len` bytes from user memory and returns their sum; 0 when it could not */
export const csum_and_copy_from_user = kfunc(
  'csum_and_copy_from_user',
  (src: number, dst: Uint8Array, dst_off: number, len: number): number => {
    if (!access_ok(src, len) || raw_copy_from_user(dst, dst_off, src, len) !== 0) return 0
    return valid(do_csum(dst, dst_off, len))
  },
)
export const csum_and_copy_to_user = kfunc(
  'csum_and_copy_to_user',
  (src: Uint8Array, src_off: number, dst: number, len: number): number => {
    if (!access_ok(dst, len) || raw_copy_to_user(dst, src, src_off, len) !== 0) return 0
    return valid(do_csum(src, src_off, len))
  },
)
