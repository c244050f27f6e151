import { clock } from '../../sim/clock.ts'
import { kfunc } from '../../trace/kfunc.ts'
import { traceCopy } from '../../trace/tracer.ts'

// The Internet checksum, RFC 1071. A sum (__wsum) is an unsigned 32-bit number of 16-bit words in network order, carries included;
// a checksum (__sum16) is what stands in the header, as a number.

/** the sum of `len` bytes, not yet folded: exact up to 2^53 */
function add_words(bytes: Uint8Array, offset: number, len: number, start: number): number {
  let sum = start
  let i = offset
  const end8 = offset + (len & ~7)
  const b = bytes
  for (; i < end8; i += 8)
    sum +=
      (((b[i] as number) + (b[i + 2] as number) + (b[i + 4] as number) + (b[i + 6] as number)) << 8) +
      (b[i + 1] as number) +
      (b[i + 3] as number) +
      (b[i + 5] as number) +
      (b[i + 7] as number)
  const end = offset + len
  for (; i + 1 < end; i += 2) sum += ((b[i] as number) << 8) + (b[i + 1] as number)
  if (i < end) sum += (b[i] as number) << 8
  return sum
}

/** carries that went beyond 32 bits come back in at the end */
const fold32 = (sum: number): number => {
  let s = sum
  while (s > 0xffffffff) s = (s % 0x100000000) + Math.floor(s / 0x100000000)
  return s
}

/** adds the 16-bit words of `len` bytes from `offset` on to `wsum` */
export const csum_partial = kfunc('csum_partial', (buff: Uint8Array, offset: number, len: number, wsum: number): number => {
  clock.now += len >> 4
  return fold32(add_words(buff, offset, len, wsum))
})

/** copies and sums */
export const csum_partial_copy_nocheck = kfunc(
  'csum_partial_copy_nocheck',
  (src: Uint8Array, src_off: number, dst: Uint8Array, dst_off: number, len: number): number => {
    dst.set(src.subarray(src_off, src_off + len), dst_off)
    traceCopy(len, 'kernel', 'kernel')
    return fold32(add_words(src, src_off, len, 0))
  },
)

/** the sum of bytes, without the traced function around it: for a copy that sums on the way */
export const do_csum = (buff: Uint8Array, offset: number, len: number): number => fold32(add_words(buff, offset, len, 0))

/** 16 bits of a sum, complemented: what a header carries */
export function csum_fold(sum: number): number {
  let s = (sum >>> 16) + (sum & 0xffff)
  s = (s >>> 16) + (s & 0xffff)
  return ~s & 0xffff
}

/** the checksum of an IP header of `ihl` words of 32 bits */
export const ip_fast_csum = (iph: Uint8Array, offset: number, ihl: number): number =>
  csum_fold(fold32(add_words(iph, offset, ihl * 4, 0)))

/** adds the pseudo header of TCP or UDP to a sum. Addresses and length are numbers. */
export const csum_tcpudp_nofold = (saddr: number, daddr: number, len: number, proto: number, sum: number): number =>
  fold32(saddr + daddr + len + proto + sum)
export const csum_tcpudp_magic = (saddr: number, daddr: number, len: number, proto: number, sum: number): number =>
  csum_fold(fold32(saddr + daddr + len + proto + sum))

/** with IPv6 addresses, 16 bytes each */
export const csum_ipv6_magic = kfunc(
  'csum_ipv6_magic',
  (saddr: Uint8Array, daddr: Uint8Array, len: number, proto: number, csum: number): number =>
    csum_fold(fold32(add_words(daddr, 0, 16, add_words(saddr, 0, 16, len + proto + csum)))),
)

export const ip_compute_csum = (buff: Uint8Array, offset: number, len: number): number =>
  csum_fold(fold32(add_words(buff, offset, len, 0)))

// include/net/checksum.h
export function csum_add(csum: number, addend: number): number {
  const s = csum + addend
  return s > 0xffffffff ? s - 0xffffffff : s
}
export const csum_sub = (csum: number, addend: number): number => csum_add(csum, ~addend >>> 0)
export function csum16_add(csum: number, addend: number): number {
  const s = csum + addend
  return (s & 0xffff) + (s >>> 16)
}
export const csum16_sub = (csum: number, addend: number): number => csum16_add(csum, ~addend & 0xffff)
/** a sum of bytes that start at an odd place: each byte was in the other half of its word */
export const csum_shift = (sum: number, offset: number): number => (offset & 1 ? ((sum >>> 8) | (sum << 24)) >>> 0 : sum)
export const csum_block_add = (csum: number, csum2: number, offset: number): number => csum_add(csum, csum_shift(csum2, offset))
export const csum_block_sub = (csum: number, csum2: number, offset: number): number => csum_block_add(csum, ~csum2 >>> 0, offset)
export const csum_unfold = (n: number): number => n
/** -0 of ones' complement: a checksum of 0 that must not look like none */
export const CSUM_MANGLED_0 = 0xffff
/** what becomes of the checksum `check` when the word `from` turns into `to` */
export const csum_replace2 = (check: number, from: number, to: number): number =>
  ~csum16_add(csum16_sub(~check & 0xffff, from), to) & 0xffff
export const csum_replace4 = (check: number, from: number, to: number): number =>
  csum_fold(csum_add(csum_sub(~check & 0xffff, from), to))
export const csum_replace_by_diff = (check: number, diff: number): number => csum_fold(csum_add(diff, ~check & 0xffff))
export const remcsum_unadjust = csum_replace_by_diff
