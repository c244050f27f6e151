import type { siphash_key_t } from '../include/linux/siphash.ts'

// SipHash-2-4 of short messages: Aumasson and Bernstein, https://www.aumasson.jp/siphash/siphash.pdf. 64-bit words are pairs of
// 32-bit ones. Each function returns the low 32 bits, all that most callers keep; siphash_high() has the rest of the last hash.

const v = new Int32Array(8)
let high = 0

/** the upper 32 bits of the hash that was made last */
export const siphash_high = (): number => high

/** v[a] += v[b] */
function add(a: number, b: number): void {
  const lo = ((v[a] as number) >>> 0) + ((v[b] as number) >>> 0)
  v[a + 1] = (v[a + 1] as number) + (v[b + 1] as number) + (lo > 0xffffffff ? 1 : 0)
  v[a] = lo
}
/** v[a] = rol(v[a], n) ^ v[b], n below 32 */
function rotXor(a: number, n: number, b: number): void {
  const lo = v[a] as number
  const hi = v[a + 1] as number
  v[a] = ((lo << n) | (hi >>> (32 - n))) ^ (v[b] as number)
  v[a + 1] = ((hi << n) | (lo >>> (32 - n))) ^ (v[b + 1] as number)
}
function swap(a: number): void {
  const lo = v[a] as number
  v[a] = v[a + 1] as number
  v[a + 1] = lo
}

function round(): void {
  add(0, 2)
  rotXor(2, 13, 0)
  swap(0)
  add(4, 6)
  rotXor(6, 16, 4)
  add(0, 6)
  rotXor(6, 21, 0)
  add(4, 2)
  rotXor(2, 17, 4)
  swap(4)
}

function start(key: siphash_key_t): void {
  const [k0 = 0, k1 = 0, k2 = 0, k3 = 0] = key.key
  v[0] = 0x70736575 ^ k0
  v[1] = 0x736f6d65 ^ k1
  v[2] = 0x6e646f6d ^ k2
  v[3] = 0x646f7261 ^ k3
  v[4] = 0x6e657261 ^ k0
  v[5] = 0x6c796765 ^ k1
  v[6] = 0x79746573 ^ k2
  v[7] = 0x74656462 ^ k3
}

function word(lo: number, hi: number): void {
  v[6] = (v[6] as number) ^ lo
  v[7] = (v[7] as number) ^ hi
  round()
  round()
  v[0] = (v[0] as number) ^ lo
  v[1] = (v[1] as number) ^ hi
}

/** the last word has the rest of the message, and its length in bytes on top */
function finish(lo: number, hi: number, len: number): number {
  word(lo, hi | (len << 24))
  v[4] = (v[4] as number) ^ 0xff
  for (let i = 0; i < 4; i++) round()
  high = ((v[1] as number) ^ (v[3] as number) ^ (v[5] as number) ^ (v[7] as number)) >>> 0
  return ((v[0] as number) ^ (v[2] as number) ^ (v[4] as number) ^ (v[6] as number)) >>> 0
}

export function siphash_1u32(first: number, key: siphash_key_t): number {
  start(key)
  return finish(first, 0, 4)
}
export function siphash_3u32(a: number, b: number, c: number, key: siphash_key_t): number {
  start(key)
  word(a, b)
  return finish(c, 0, 12)
}
export function siphash_4u32(a: number, b: number, c: number, d: number, key: siphash_key_t): number {
  start(key)
  word(a, b)
  word(c, d)
  return finish(0, 0, 16)
}
/** of any number of bytes */
export function siphash(data: Uint8Array, len: number, key: siphash_key_t): number {
  start(key)
  let i = 0
  const at = (k: number): number => (k < len ? (data[k] ?? 0) : 0)
  const le32 = (k: number): number => at(k) | (at(k + 1) << 8) | (at(k + 2) << 16) | (at(k + 3) << 24)
  for (; i + 8 <= len; i += 8) word(le32(i), le32(i + 4))
  return finish(le32(i), le32(i + 4) & 0xffffff, len)
}
