import { describe, expect, it } from 'vitest'
import {
  csum_add,
  csum_block_add,
  csum_block_sub,
  csum_fold,
  csum_partial,
  csum_partial_copy_nocheck,
  csum_replace2,
  csum_replace4,
  csum_sub,
  csum_tcpudp_magic,
  ip_fast_csum,
} from '../../src/kernel/lib/checksum.ts'
import { Random } from '../../src/sim/random.ts'

const bytes = (...b: number[]): Uint8Array => Uint8Array.from(b)
/** the definition, word by word */
function slow(b: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < b.length; i += 2) {
    sum += ((b[i] ?? 0) << 8) + (b[i + 1] ?? 0)
    sum = (sum & 0xffff) + (sum >>> 16)
  }
  return sum
}

describe('the Internet checksum', () => {
  it('is what RFC 1071 works out', () => {
    const b = bytes(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7)
    expect(csum_partial(b, 0, 8, 0)).toBe(0x2ddf0)
    expect(csum_fold(csum_partial(b, 0, 8, 0))).toBe(~0xddf2 & 0xffff)
  })

  it('of an IP header with its checksum is 0', () => {
    const header = bytes(0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7)
    expect(ip_fast_csum(header, 0, 5)).toBe(0xb861)
    header[10] = 0xb8
    header[11] = 0x61
    expect(ip_fast_csum(header, 0, 5)).toBe(0)
  })

  it('adds the pseudo header', () => {
    const datagram = bytes(0, 80, 0, 81, 0, 12, 0, 0, 1, 2, 3, 4)
    const pseudo = bytes(127, 0, 0, 1, 127, 0, 0, 1, 0, 17, 0, 12)
    const all = slow(pseudo) + slow(datagram)
    expect(csum_tcpudp_magic(0x7f000001, 0x7f000001, 12, 17, csum_partial(datagram, 0, 12, 0))).toBe(csum_fold(all))
  })

  it('agrees with the definition for any bytes, in any pieces', () => {
    const random = new Random(7)
    for (let n = 0; n < 300; n++) {
      const b = Uint8Array.from({ length: random.below(200) + 1 }, () => random.below(256))
      const whole = csum_partial(b, 0, b.length, 0)
      expect(csum_fold(whole)).toBe(csum_fold(slow(b)))
      const cut = random.below(b.length + 1)
      const tail = csum_partial(b, cut, b.length - cut, 0)
      const joined = csum_block_add(csum_partial(b, 0, cut, 0), tail, cut)
      expect(csum_fold(joined)).toBe(csum_fold(whole))
      // 0 and 0xffff are the same number in ones' complement
      expect(csum_fold(csum_block_sub(whole, tail, cut)) % 0xffff).toBe(csum_fold(csum_partial(b, 0, cut, 0)) % 0xffff)
      const copy = new Uint8Array(b.length + 3)
      expect(csum_partial_copy_nocheck(b, 0, copy, 3, b.length)).toBe(whole)
      expect(copy.subarray(3)).toEqual(b)
    }
  })

  it('is changed without summing again', () => {
    const b = bytes(0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc)
    const check = csum_fold(csum_partial(b, 0, 6, 0))
    b[2] = 0xff
    b[3] = 0x01
    expect(csum_replace2(check, 0x5678, 0xff01)).toBe(csum_fold(csum_partial(b, 0, 6, 0)))
    b.set([1, 2, 3, 4], 0)
    expect(csum_replace4(csum_replace2(check, 0x5678, 0xff01), 0x1234ff01, 0x01020304)).toBe(csum_fold(csum_partial(b, 0, 6, 0)))
    expect(csum_fold(csum_sub(csum_add(1, 0xffff0000), 0xffff0000))).toBe(csum_fold(1))
  })
})
