/** include/linux/siphash.h: 128 bits, as four words, low half of each 64-bit word first */
export class siphash_key_t {
  readonly key: Uint32Array = new Uint32Array(4)
  /** the same memory, for get_random_bytes() */
  readonly bytes: Uint8Array = new Uint8Array(this.key.buffer)
}

export const siphash_key_is_zero = (key: siphash_key_t): boolean => key.key.every((w) => w === 0)
