import { random } from '../../../sim/random.ts'
import { kfunc } from '../../../trace/kfunc.ts'
import { early_initcall } from '../../include/linux/init.ts'

// The kernel's generator: ChaCha20 (RFC 8439) with a key that is replaced at each use, and numbers kept in stock from it. The
// first key comes from the seed of the simulation; it is never reseeded.

const CHACHA_KEY_SIZE = 32
const CHACHA_BLOCK_SIZE = 64
const STOCK_BYTES = (CHACHA_BLOCK_SIZE * 3) / 2

let key = new Uint32Array(8)
const block = new Uint32Array(16)
const blockBytes = new Uint8Array(block.buffer)
const state = new Uint32Array(16)

/** numbers in stock; used up when `position` is at the end */
class batch {
  readonly entropy: Uint8Array = new Uint8Array(STOCK_BYTES)
  readonly words: Uint32Array = new Uint32Array(this.entropy.buffer)
  readonly shorts: Uint16Array = new Uint16Array(this.entropy.buffer)
  position = STOCK_BYTES
}
let batch_u8 = new batch()
let batch_u16 = new batch()
let batch_u32 = new batch()
let batch_u64 = new batch()

early_initcall(() => {
  key = new Uint32Array(8)
  for (let i = 0; i < 8; i++) key[i] = random.u32()
  batch_u8 = new batch()
  batch_u16 = new batch()
  batch_u32 = new batch()
  batch_u64 = new batch()
  // by the time that programs run, the kernel has used random numbers for a while
  for (const b of [batch_u8, batch_u16, batch_u32]) {
    refill(b.entropy)
    b.position = 0
  }
})

function refill(to: Uint8Array): void {
  for (let i = 0; i < to.length; i++) to[i] = random.u32() & 0xff
}

const x = new Uint32Array(16)

function quarter(a: number, b: number, c: number, d: number): void {
  let xa = x[a] as number
  let xb = x[b] as number
  let xc = x[c] as number
  let xd = x[d] as number
  xa = (xa + xb) | 0
  xd ^= xa
  xd = (xd << 16) | (xd >>> 16)
  xc = (xc + xd) | 0
  xb ^= xc
  xb = (xb << 12) | (xb >>> 20)
  xa = (xa + xb) | 0
  xd ^= xa
  xd = (xd << 8) | (xd >>> 24)
  xc = (xc + xd) | 0
  xb ^= xc
  xb = (xb << 7) | (xb >>> 25)
  x[a] = xa
  x[b] = xb
  x[c] = xc
  x[d] = xd
}

function rounds(n: number): void {
  for (let i = 0; i < n; i += 2) {
    quarter(0, 4, 8, 12)
    quarter(1, 5, 9, 13)
    quarter(2, 6, 10, 14)
    quarter(3, 7, 11, 15)
    quarter(0, 5, 10, 15)
    quarter(1, 6, 11, 12)
    quarter(2, 7, 8, 13)
    quarter(3, 4, 9, 14)
  }
}

const chacha_permute = kfunc('chacha_permute', (_x: Uint32Array, nrounds: number): void => {
  rounds(nrounds)
})

/** 64 bytes into `stream`; counts the block */
const chacha_block_generic = kfunc('chacha_block_generic', (st: Uint32Array, stream: Uint32Array, nrounds: number): void => {
  x.set(st)
  chacha_permute(x, nrounds)
  for (let i = 0; i < 16; i++) stream[i] = (x[i] as number) + (st[i] as number)
  st[12] = (st[12] as number) + 1
})

const crng_fast_key_erasure = kfunc(
  'crng_fast_key_erasure',
  (k: Uint32Array, chacha_state: Uint32Array, random_data: Uint8Array, random_data_len: number): void => {
    chacha_state[0] = 0x61707865
    chacha_state[1] = 0x3320646e
    chacha_state[2] = 0x79622d32
    chacha_state[3] = 0x6b206574
    chacha_state.set(k, 4)
    chacha_state.fill(0, 12)
    chacha_block_generic(chacha_state, block, 20)
    k.set(block.subarray(0, 8))
    random_data.set(blockBytes.subarray(CHACHA_KEY_SIZE, CHACHA_KEY_SIZE + random_data_len))
  },
)

const crng_make_state = kfunc(
  'crng_make_state',
  (chacha_state: Uint32Array, random_data: Uint8Array, random_data_len: number): void => {
    crng_fast_key_erasure(key, chacha_state, random_data, random_data_len)
  },
)

const _get_random_bytes = kfunc('_get_random_bytes', (buf: Uint8Array, len: number): void => {
  if (len === 0) return
  let done = Math.min(CHACHA_KEY_SIZE, len)
  crng_make_state(state, buf, done)
  while (done < len) {
    const n = Math.min(len - done, CHACHA_BLOCK_SIZE)
    chacha_block_generic(state, block, 20)
    buf.set(blockBytes.subarray(0, n), done)
    done += n
  }
})

/** fills `len` bytes of `buf` */
export const get_random_bytes = kfunc('get_random_bytes', (buf: Uint8Array, len: number): void => {
  _get_random_bytes(buf, len)
})

/**
 * The words that `get_random_bytes` puts into a large table at boot. Nobody watches that, and few of them are ever used: each is
 * worked out when it is read.
 */
export class random_table {
  readonly #first = new Uint32Array(CHACHA_KEY_SIZE / 4)
  readonly #state = new Uint32Array(16)

  constructor() {
    crng_make_state(this.#state, new Uint8Array(this.#first.buffer), CHACHA_KEY_SIZE)
  }

  u32(i: number): number {
    const at = i - this.#first.length
    if (at < 0) return this.#first[i] as number
    const word = at & 15
    x.set(this.#state)
    const counter = (x[12] as number) + (at >> 4)
    x[12] = counter
    rounds(20)
    return ((x[word] as number) + (word === 12 ? counter : (this.#state[word] as number))) >>> 0
  }
}

export const get_random_u8 = kfunc('get_random_u8', (): number => {
  const b = batch_u8
  if (b.position >= STOCK_BYTES) {
    _get_random_bytes(b.entropy, STOCK_BYTES)
    b.position = 0
  }
  return b.entropy[b.position++] as number
})
export const get_random_u16 = kfunc('get_random_u16', (): number => {
  const b = batch_u16
  if (b.position >= STOCK_BYTES) {
    _get_random_bytes(b.entropy, STOCK_BYTES)
    b.position = 0
  }
  const r = b.shorts[b.position >> 1] as number
  b.position += 2
  return r
})
export const get_random_u32 = kfunc('get_random_u32', (): number => {
  const b = batch_u32
  if (b.position >= STOCK_BYTES) {
    _get_random_bytes(b.entropy, STOCK_BYTES)
    b.position = 0
  }
  const r = b.words[b.position >> 2] as number
  b.position += 4
  return r
})
/** 53 random bits */
export const get_random_u64 = kfunc('get_random_u64', (): number => {
  const b = batch_u64
  if (b.position >= STOCK_BYTES) {
    _get_random_bytes(b.entropy, STOCK_BYTES)
    b.position = 0
  }
  const i = b.position >> 2
  b.position += 8
  return (b.words[i] as number) + ((b.words[i + 1] as number) & 0x1fffff) * 0x100000000
})
export const get_random_long = get_random_u64

/** a whole number below `ceil`, each as likely as the next: Lemire, https://doi.org/10.1145/3230636 */
export const __get_random_u32_below = kfunc('__get_random_u32_below', (ceil: number): number => {
  let rand = get_random_u32()
  if (ceil === 0) return rand
  let product = BigInt(ceil) * BigInt(rand)
  if (Number(product & 0xffffffffn) < ceil) {
    const bound = (0x100000000 - ceil) % ceil
    while (Number(product & 0xffffffffn) < bound) {
      rand = get_random_u32()
      product = BigInt(ceil) * BigInt(rand)
    }
  }
  return Number(product >> 32n)
})

/** include/linux/random.h, for a `ceil` that the compiler does not know */
export const get_random_u32_below = (ceil: number): number => __get_random_u32_below(ceil)

/** the same for a constant: no more random bits than it needs */
export function get_random_u32_below_const(ceil: number): number {
  if (ceil <= 1) return 0
  for (;;) {
    if (ceil <= 0x100) {
      const mult = ceil * get_random_u8()
      if ((mult & 0xff) >= 0x100 % ceil) return mult >>> 8
    } else if (ceil <= 0x10000) {
      const mult = ceil * get_random_u16()
      if ((mult & 0xffff) >= 0x10000 % ceil) return mult >>> 16
    } else {
      const mult = BigInt(ceil) * BigInt(get_random_u32())
      if (Number(mult & 0xffffffffn) >= 0x100000000 % ceil) return Number(mult >> 32n)
    }
  }
}
export const get_random_u32_inclusive = (floor: number, ceil: number): number => floor + get_random_u32_below(ceil - floor + 1)
