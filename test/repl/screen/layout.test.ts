import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { allot, BELOW, layOut } from '../../../src/repl/screen/layout.ts'

describe('the layout', () => {
  it('never has as many rows as the screen, and panes that are as wide as it together', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 60, max: 300 }),
        fc.integer({ min: 16, max: 120 }),
        fc.record({ tree: fc.boolean(), skb: fc.boolean(), state: fc.boolean() }),
        fc.record({ guide: fc.integer({ min: 0, max: 9 }), menu: fc.integer({ min: 0, max: 6 }), keys: fc.constantFrom(0, 8) }),
        fc.integer({ min: -8, max: 20 }),
        (columns, rows, panes, wanted, higher) => {
          const around = allot(rows, wanted)
          const extra = around.guide + around.menu + around.keys
          expect(BELOW + extra).toBeLessThan(rows)
          const l = layOut({ columns, rows }, panes, extra, higher)
          if (l.height > 0) expect(l.height + BELOW + extra).toBeLessThan(rows)
          const shown = [l.tree, l.skb, l.state].filter((p) => p !== null)
          for (const p of shown) expect(p.height).toBeGreaterThanOrEqual(2)
          if (l.wide) {
            expect((l.tree?.width ?? 0) + Math.max(l.skb?.width ?? 0, l.state?.width ?? 0)).toBe(columns)
            expect((l.skb?.height ?? 0) + (l.state?.height ?? 0)).toBe(l.height)
          } else if (shown.length > 0) expect(shown.reduce((n, p) => n + p.height, 0)).toBe(l.height)
        },
      ),
      { seed: 1 },
    )
  })

  it('gives the panes more rows, or fewer, when they are asked to be higher or lower', () => {
    const height = (higher: number): number =>
      layOut({ columns: 80, rows: 40 }, { tree: true, skb: true, state: false }, 0, higher).height
    expect([height(2) - height(0), height(0) - height(-2)]).toEqual([2, 2])
  })

  it('shows call tree and buffer on 80x24, all three on 120x40', () => {
    const all = { tree: true, skb: true, state: true }
    const small = layOut({ columns: 80, rows: 24 }, { ...all, state: false }, 0)
    expect([small.wide, small.tree !== null, small.skb !== null]).toEqual([false, true, true])
    const large = layOut({ columns: 120, rows: 40 }, all, 0)
    expect([large.wide, large.tree !== null, large.skb !== null, large.state !== null]).toEqual([true, true, true, true])
  })
})
