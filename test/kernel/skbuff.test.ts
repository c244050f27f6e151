import { beforeEach, describe, expect, it } from 'vitest'
import { do_initcalls } from '../../src/kernel/include/linux/init.ts'
import { type sk_buff, skb_headroom, skb_tailroom } from '../../src/kernel/include/linux/skbuff.ts'
import { GFP_ATOMIC, GFP_KERNEL } from '../../src/kernel/include/linux/slab.ts'
import { csum_fold, csum_partial } from '../../src/kernel/lib/checksum.ts'
import { alloc_pages_noprof, live_pages } from '../../src/kernel/mm/page_alloc.ts'
import { live_objects } from '../../src/kernel/mm/slub.ts'
import {
  __alloc_skb,
  __pskb_pull_tail,
  alloc_skb,
  alloc_skb_with_frags,
  kfree_skb,
  pskb_copy,
  pskb_expand_head,
  pskb_trim,
  SKB_ALLOC_FCLONE,
  skb_checksum,
  skb_clone,
  skb_cloned,
  skb_copy,
  skb_copy_bits,
  skb_fill_page_desc,
  skb_len_add,
  skb_linearize,
  skb_pull,
  skb_push,
  skb_put,
  skb_reserve,
  skb_shift,
  skb_split,
  skb_store_bits,
  skb_try_coalesce,
} from '../../src/kernel/net/core/skbuff.ts'
import { clock } from '../../src/sim/clock.ts'
import { events } from '../../src/sim/events.ts'
import { Random } from '../../src/sim/random.ts'

beforeEach(() => {
  clock.now = 0
  events.clear()
  do_initcalls()
})

function sure<T>(x: T | null): T {
  if (x === null) throw new Error('null')
  return x
}
function contents(skb: sk_buff): Uint8Array {
  const to = new Uint8Array(skb.len)
  expect(skb_copy_bits(skb, 0, to, 0, skb.len)).toBe(0)
  return to
}
/** a TCP-like buffer: all data in pages */
function paged(random: Random, frags: number): sk_buff {
  const skb = sure(__alloc_skb(320, GFP_KERNEL, SKB_ALLOC_FCLONE, -1))
  skb_reserve(skb, 320)
  for (let i = 0; i < frags; i++) {
    const p = alloc_pages_noprof(GFP_KERNEL, 0)
    const len = 1 + random.below(1500)
    const off = random.below(4096 - len)
    for (let k = 0; k < len; k++) p.bytes[off + k] = random.below(256)
    skb_fill_page_desc(skb, i, p, off, len)
    skb_len_add(skb, len)
  }
  return skb
}

describe('geometry', () => {
  it('is that of a TCP buffer', () => {
    const skb = sure(__alloc_skb(320, GFP_KERNEL, SKB_ALLOC_FCLONE, -1))
    skb_reserve(skb, 320)
    expect([skb.end, skb_headroom(skb), skb_tailroom(skb), skb.truesize]).toEqual([384, 320, 64, 960])
  })

  it('is that of larger ones', () => {
    const sizes = [385, 704, 1500, 1728, 4000].map((n) => {
      const skb = sure(alloc_skb(n, GFP_KERNEL))
      return [skb.end, skb.truesize]
    })
    expect(sizes).toEqual([
      [704, 1280],
      [704, 1280],
      [1728, 2304],
      [1728, 2304],
      [7872, 8448],
    ])
  })

  it('is checked', () => {
    const skb = sure(alloc_skb(100, GFP_KERNEL))
    expect(() => skb_put(skb, 385)).toThrow(/skb_over_panic/)
    const other = sure(alloc_skb(100, GFP_KERNEL))
    expect(() => skb_push(other, 1)).toThrow(/skb_under_panic/)
  })
})

describe('bytes', () => {
  it('survive put, push, pull, clone, copy, expansion, trimming and linearizing', () => {
    const random = new Random(11)
    for (let n = 0; n < 60; n++) {
      let skb = random.below(2) ? paged(random, 1 + random.below(5)) : sure(alloc_skb(400, GFP_KERNEL))
      if (skb.data === 0) {
        skb_reserve(skb, 100)
        const at = skb_put(skb, 1 + random.below(200))
        for (let i = at; i < skb.tail; i++) skb.head.bytes[i] = random.below(256)
      }
      let want = contents(skb)
      for (let step = 0; step < 12; step++) {
        switch (random.below(8)) {
          case 0: {
            const header = Uint8Array.from({ length: 8 }, () => random.below(256))
            if (skb_cloned(skb) || skb_headroom(skb) < 8) break
            skb.head.bytes.set(header, skb_push(skb, 8))
            want = Uint8Array.from([...header, ...want])
            break
          }
          case 1:
            if (skb.len - skb.data_len > 4) {
              skb_pull(skb, 4)
              want = want.slice(4)
            }
            break
          case 2: {
            const clone = sure(skb_clone(skb, GFP_ATOMIC))
            expect(contents(clone)).toEqual(want)
            kfree_skb(skb)
            skb = clone
            break
          }
          case 3: {
            const copy = sure(random.below(2) ? skb_copy(skb, GFP_ATOMIC) : pskb_copy(skb, GFP_ATOMIC))
            kfree_skb(skb)
            skb = copy
            break
          }
          case 4:
            expect(pskb_expand_head(skb, 64, random.below(100), GFP_ATOMIC)).toBe(0)
            break
          case 5:
            if (want.length > 2) {
              const len = want.length - random.below(want.length >> 1)
              expect(pskb_trim(skb, len)).toBe(0)
              want = want.slice(0, len)
            }
            break
          case 6:
            if (random.below(2)) expect(skb_linearize(skb)).toBe(0)
            else if (skb.data_len) __pskb_pull_tail(skb, 1 + random.below(skb.data_len))
            break
          default: {
            if (skb_cloned(skb) || want.length === 0) break
            const at = random.below(want.length)
            const b = Uint8Array.from({ length: Math.min(3, want.length - at) }, () => random.below(256))
            expect(skb_store_bits(skb, at, b, 0, b.length)).toBe(0)
            want.set(b, at)
          }
        }
        expect(contents(skb)).toEqual(want)
        expect(csum_fold(skb_checksum(skb, 0, skb.len, 0))).toBe(csum_fold(csum_partial(want, 0, want.length, 0)))
      }
      kfree_skb(skb)
    }
    expect([...live_objects()].filter(([name]) => /skb|kmalloc/.test(name))).toEqual([])
    expect(live_pages()).toBe(0)
  })

  it('are all there after a split and a shift', () => {
    const random = new Random(13)
    for (let n = 0; n < 100; n++) {
      const a = paged(random, 1 + random.below(6))
      const want = contents(a)
      const cut = random.below(want.length)
      const b = sure(__alloc_skb(320, GFP_ATOMIC, SKB_ALLOC_FCLONE, -1))
      skb_reserve(b, 320)
      skb_split(a, b, cut)
      expect([a.len, b.len]).toEqual([cut, want.length - cut])
      expect(contents(a)).toEqual(want.slice(0, cut))
      expect(contents(b)).toEqual(want.slice(cut))
      const clone = random.below(2) ? skb_clone(b, GFP_ATOMIC) : null
      const shift = Math.min(b.len, 1 + random.below(2000))
      const moved = cut > 0 ? skb_shift(a, b, shift) : 0
      expect([0, shift]).toContain(moved)
      expect(contents(a)).toEqual(want.slice(0, cut + moved))
      expect(contents(b)).toEqual(want.slice(cut + moved))
      if (clone !== null) {
        expect(contents(clone)).toEqual(want.slice(cut))
        kfree_skb(clone)
      }
      kfree_skb(a)
      kfree_skb(b)
    }
    expect([...live_objects()].filter(([name]) => /skb|kmalloc/.test(name))).toEqual([])
    expect(live_pages()).toBe(0)
  })

  it('are joined without being copied', () => {
    const random = new Random(17)
    const a = paged(random, 2)
    const b = paged(random, 3)
    const want = [...contents(a), ...contents(b)]
    const stolen = { v: false }
    const delta = { v: 0 }
    expect(skb_try_coalesce(a, b, stolen, delta)).toBe(true)
    expect(stolen.v).toBe(false)
    expect(delta.v).toBe(b.truesize - 960)
    expect([...contents(a)]).toEqual(want)
    kfree_skb(b)
    kfree_skb(a)
    expect(live_pages()).toBe(0)
  })
})

it('alloc_skb_with_frags takes the largest pages that fit', () => {
  const err = { v: 0 }
  const skb = sure(alloc_skb_with_frags(100, 40_000, 3, err, GFP_KERNEL))
  expect(skb.head.shinfo.frags.map((f) => [f.len, f.page.order])).toEqual([
    [32768, 3],
    [7232, 1],
  ])
  kfree_skb(skb)
  expect(live_pages()).toBe(0)
  expect(alloc_skb_with_frags(0, 18 * 4096, 0, err, GFP_KERNEL)).toBe(null)
  expect(err.v).toBe(-90)
})
