import { expect, it } from 'vitest'
import { siphash_key_t } from '../../src/kernel/include/linux/siphash.ts'
import { siphash, siphash_1u32, siphash_3u32, siphash_4u32, siphash_high } from '../../src/kernel/lib/siphash.ts'

const key = new siphash_key_t()
key.bytes.set(Array.from({ length: 16 }, (_, i) => i))

it('gives the hash of the paper that describes it', () => {
  const message = Uint8Array.from({ length: 15 }, (_, i) => i)
  expect(siphash(message, 15, key)).toBe(0x49be45e5)
  expect(siphash_high()).toBe(0xa129ca61)
})

it('hashes words as their bytes', () => {
  const bytes = new Uint8Array(Uint32Array.of(0xdeadbeef, 2, 0x80000003, 4).buffer)
  expect(siphash_1u32(0xdeadbeef, key)).toBe(siphash(bytes, 4, key))
  expect(siphash_3u32(0xdeadbeef, 2, 0x80000003, key)).toBe(siphash(bytes, 12, key))
  expect(siphash_4u32(0xdeadbeef, 2, 0x80000003, 4, key)).toBe(siphash(bytes, 16, key))
})
