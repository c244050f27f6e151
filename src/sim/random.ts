/** xoshiro128**: small, fast and the same on every machine. https://prng.di.unimi.it/xoshiro128starstar.c */
export class Random {
  #s = new Uint32Array(4)

  constructor(seed: number) {
    this.seed(seed)
  }

  seed(seed: number): void {
    // splitmix32 spreads a small seed over the whole state
    let z = seed >>> 0
    for (let i = 0; i < 4; i++) {
      z = (z + 0x9e3779b9) >>> 0
      let t = z ^ (z >>> 16)
      t = Math.imul(t, 0x21f0aaad)
      t ^= t >>> 15
      t = Math.imul(t, 0x735a2d97)
      this.#s[i] = t ^ (t >>> 15)
    }
  }

  /** 32 random bits, unsigned */
  u32(): number {
    const s = this.#s
    const [s0 = 0, s1 = 0, s2 = 0, s3 = 0] = s
    const x = Math.imul(s1, 5)
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0
    const t = s1 << 9
    s[2] = s2 ^ s0
    s[3] = s3 ^ s1
    s[1] = s1 ^ (s[2] ?? 0)
    s[0] = s0 ^ (s[3] ?? 0)
    s[2] = (s[2] ?? 0) ^ t
    const r = s[3] ?? 0
    s[3] = (r << 11) | (r >>> 21)
    return result
  }

  /** a whole number from 0 to `below - 1` */
  below(below: number): number {
    return Math.floor((this.u32() / 0x100000000) * below)
  }
}

/** the one source of randomness of the process; a boot seeds it */
export const random = new Random(1)
