import { beforeEach, describe, expect, it } from 'vitest'
import { do_initcalls } from '../../src/kernel/include/linux/init.ts'
import { timer_list, timer_pending } from '../../src/kernel/include/linux/timer.ts'
import { jiffies, mod_timer, TICK_NSEC, timer_delete, timer_setup, wheel_expiry } from '../../src/kernel/kernel/time/timer.ts'
import { clock } from '../../src/sim/clock.ts'
import { events } from '../../src/sim/events.ts'
import { Random } from '../../src/sim/random.ts'

beforeEach(() => {
  clock.now = 0
  events.clear()
  do_initcalls()
})

function timer(run: () => void): timer_list {
  const t = new timer_list()
  timer_setup(t, run, 0)
  return t
}

describe('the timer wheel', () => {
  it('is exact for a quarter of a second, then coarser by eight at each level', () => {
    const clk = 75_000
    for (let d = 0; d < 63; d++) expect(wheel_expiry(clk + d, clk)).toBe(clk + d + 1)
    for (let lvl = 1; lvl < 8; lvl++) {
      const granularity = 8 ** lvl
      for (const d of [63 * 8 ** (lvl - 1), 63 * 8 ** lvl - 1]) {
        const expiry = wheel_expiry(clk + d, clk)
        expect(expiry % granularity).toBe(0)
        expect(expiry).toBeGreaterThan(clk + d)
        expect(expiry).toBeLessThanOrEqual(clk + d + granularity)
      }
    }
    expect(wheel_expiry(clk - 5, clk)).toBe(clk)
  })

  it('never fires early, nor later than its level allows', () => {
    const random = new Random(5)
    let left = 0
    for (let i = 0; i < 500; i++) {
      const delta = random.below(8 ** (1 + random.below(5)))
      const expires = jiffies() + delta
      left++
      const t = timer(() => {
        left--
        expect(jiffies()).toBeGreaterThan(expires)
        expect(jiffies() - expires).toBeLessThanOrEqual(3 + delta / 6)
        expect(timer_pending(t)).toBe(false)
      })
      expect(mod_timer(t, expires)).toBe(0)
      if (i % 5 === 0) clock.advanceTo(clock.ns() + random.below(3) * TICK_NSEC)
      while (events.next() <= clock.ns()) events.step()
    }
    while (events.step()) {}
    expect(left).toBe(0)
  })

  it('moves and deletes a pending timer', () => {
    const fired: string[] = []
    const a = timer(() => fired.push('a'))
    const b = timer(() => fired.push('b'))
    const c = timer(() => {
      fired.push('c')
      timer_delete(b)
    })
    const now = jiffies()
    expect(mod_timer(a, now + 10)).toBe(0)
    expect(mod_timer(a, now + 20)).toBe(1)
    expect(mod_timer(a, now + 20)).toBe(1)
    mod_timer(b, now + 5)
    mod_timer(c, now + 5)
    expect(events.size).toBe(2)
    while (events.step()) {}
    // those of one tick run newest first
    expect(fired).toEqual(['c', 'a'])
    expect(timer_delete(a)).toBe(0)
  })

  it('re-arms itself', () => {
    let n = 0
    const t: timer_list = timer(() => {
      if (++n < 5) mod_timer(t, jiffies() + 2)
    })
    mod_timer(t, jiffies() + 2)
    while (events.step()) {}
    expect(n).toBe(5)
  })
})
