import type { Bytes, PseudoHeader } from './field.ts'

/** sum of big-endian 16-bit words, RFC 1071; an odd last byte is padded */
export function sum16(b: Bytes, from: number, to: number, start = 0): number {
  let s = start
  for (let i = from; i + 1 < to; i += 2) s += b.u16(i)
  if ((to - from) % 2 === 1) s += b.u8(to - 1) << 8
  return fold(s)
}

function fold(s: number): number {
  let v = s
  while (v > 0xffff) v = (v % 0x10000) + Math.floor(v / 0x10000)
  return v
}

/** `sum`: over everything, the checksum itself included; all ones when it is right */
function judge(sum: number, found: number, zeroMeansNone: boolean): string {
  if (sum === 0xffff) return 'correct'
  const right = ~fold(sum - found + 0xffff) & 0xffff
  // a UDP checksum that comes out as zero is sent as its complement
  return `wrong, should be 0x${(zeroMeansNone && right === 0 ? 0xffff : right).toString(16).padStart(4, '0')}`
}

/** what is to be said of a checksum over `from`..`to` that is kept in the two bytes at `at` */
export function checksum(b: Bytes, at: number, from: number, to: number): string {
  if (to > b.end) return 'not verified, bytes are missing'
  const sum = sum16(b, from, to)
  // a header that is still being written: the sum comes last
  return b.u16(at) === 0 && sum !== 0xffff ? 'not set' : judge(sum, b.u16(at), false)
}

/**
 * The same over a pseudo header, as TCP and UDP have it. When the field has only the sum of the pseudo header, the checksum is
 * left to the device: the kernel's CHECKSUM_PARTIAL.
 */
export function transportChecksum(
  b: Bytes,
  at: number,
  from: number,
  to: number,
  pseudo: PseudoHeader | null,
  zeroMeansNone: boolean,
): string {
  const found = b.u16(at)
  if (zeroMeansNone && found === 0 && pseudo !== null) return 'none'
  if (pseudo === null) return 'not verified, no addresses'
  if (found === pseudo.sum) return 'partial (the device adds the rest)'
  if (pseudo.partOnly || to > b.end) return 'not verified, bytes are missing'
  return judge(sum16(b, from, to, pseudo.sum), found, zeroMeansNone)
}
