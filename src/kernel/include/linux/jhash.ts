/** Bob Jenkins' hash of a few 32-bit words: include/linux/jhash.h, http://burtleburtle.net/bob/hash/ */
export const JHASH_INITVAL = 0xdeadbeef

const rol32 = (x: number, n: number): number => (x << n) | (x >>> (32 - n))

function __jhash_nwords(a: number, b: number, c: number, initval: number): number {
  a = (a + initval) | 0
  b = (b + initval) | 0
  c = (c + initval) | 0
  // __jhash_final
  c = ((c ^ b) - rol32(b, 14)) | 0
  a = ((a ^ c) - rol32(c, 11)) | 0
  b = ((b ^ a) - rol32(a, 25)) | 0
  c = ((c ^ b) - rol32(b, 16)) | 0
  a = ((a ^ c) - rol32(c, 4)) | 0
  b = ((b ^ a) - rol32(a, 14)) | 0
  c = ((c ^ b) - rol32(b, 24)) | 0
  return c >>> 0
}

/** jhash2(): any number of words */
export function jhash2(k: readonly number[], initval: number): number {
  const init = JHASH_INITVAL + (k.length << 2) + initval
  let a = init | 0
  let b = a
  let c = a
  let i = 0
  let left = k.length
  for (; left > 3; left -= 3, i += 3) {
    a = (a + (k[i] ?? 0)) | 0
    b = (b + (k[i + 1] ?? 0)) | 0
    c = (c + (k[i + 2] ?? 0)) | 0
    // __jhash_mix
    a = ((a - c) ^ rol32(c, 4)) | 0
    c = (c + b) | 0
    b = ((b - a) ^ rol32(a, 6)) | 0
    a = (a + c) | 0
    c = ((c - b) ^ rol32(b, 8)) | 0
    b = (b + a) | 0
    a = ((a - c) ^ rol32(c, 16)) | 0
    c = (c + b) | 0
    b = ((b - a) ^ rol32(a, 19)) | 0
    a = (a + c) | 0
    c = ((c - b) ^ rol32(b, 4)) | 0
    b = (b + a) | 0
  }
  if (left === 0) return c >>> 0
  return __jhash_nwords(
    (a + (k[i] ?? 0)) | 0,
    left > 1 ? (b + (k[i + 1] ?? 0)) | 0 : b,
    left > 2 ? (c + (k[i + 2] ?? 0)) | 0 : c,
    0,
  )
}

export const jhash_3words = (a: number, b: number, c: number, initval: number): number =>
  __jhash_nwords(a, b, c, initval + JHASH_INITVAL + (3 << 2))
export const jhash_1word = (a: number, initval: number): number => __jhash_nwords(a, 0, 0, initval + JHASH_INITVAL + (1 << 2))
