import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { HZ } from '../../src/kernel/include/generated/enums.ts'
import { INITIAL_JIFFIES } from '../../src/kernel/kernel/time/timer.ts'
import { bictcp, bictcp_update, cubic_root, cubic_scale } from '../../src/kernel/net/ipv4/tcp_cubic.ts'
import { clock } from '../../src/sim/clock.ts'

beforeAll(() => cubic_scale())

describe('cubic_root', () => {
  it('is within one per cent, or one, of the cube root', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 52, noNaN: true }), (bits) => {
        const a = Math.floor(2 ** bits)
        expect(Math.abs(cubic_root(a) - Math.cbrt(a))).toBeLessThanOrEqual(Math.max(1, 0.01 * Math.cbrt(a)))
      }),
      { numRuns: 2000 },
    )
  })
  it('never falls when its argument grows by a half', () => {
    for (let a = 1; a < 2 ** 51; a = Math.ceil(a * 1.1))
      expect(cubic_root(Math.ceil(a * 1.5))).toBeGreaterThanOrEqual(cubic_root(a))
  })
})

/** sets the clock to so many jiffies since boot */
const at = (jiffies: number): void => {
  clock.now = jiffies * (1e9 / HZ) * clock.perNs
}

describe('the cubic window', () => {
  // RFC 9438: W_cubic(t) = C * (t - K)^3 + W_max, K = cbrt((W_max - cwnd) / C). The kernel's C is 41 * 10 / 1024.
  const C = 410 / 1024

  it('follows RFC 9438 within rounding', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 20, max: 5000 }),
        fc.double({ min: 0.3, max: 0.9, noNaN: true }),
        fc.integer({ min: 2, max: 20 * HZ }),
        (w_max, share, t) => {
          const ca = new bictcp()
          const start = Math.max(4, Math.floor(w_max * share))
          ca.last_max_cwnd = w_max
          at(1000)
          bictcp_update(ca, start, 1)
          expect(ca.epoch_start).toBe(INITIAL_JIFFIES + 1000)
          const K = Math.cbrt((w_max - start) / C)
          expect(ca.bic_K / 1024).toBeCloseTo(K, -Math.log10(0.02 * K + 0.002))

          at(1000 + t)
          // TCP friendliness would hide the curve
          ca.tcp_cwnd = 0
          ca.ack_cnt = 0
          bictcp_update(ca, start, 0)
          const target = C * (t / HZ - K) ** 3 + w_max
          // the slope of the curve times what K may be off, and a packet of rounding
          const slack = 3 * C * (t / HZ - K) ** 2 * (0.02 * K + 0.002) + 2
          if (target - slack > start) {
            const least = Math.floor(start / (target + slack - start))
            const most = Math.floor(start / Math.max(1, target - slack - start))
            expect(ca.cnt).toBeGreaterThanOrEqual(Math.max(2, least))
            expect(ca.cnt).toBeLessThanOrEqual(Math.max(2, most))
          }
        },
      ),
    )
  })

  it('grows by half a window in a round trip at most, however much time passed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 100_000 }), fc.integer({ min: 0, max: 200_000 }), (cwnd, t) => {
        const ca = new bictcp()
        at(10)
        bictcp_update(ca, cwnd, 1)
        at(20 + t)
        bictcp_update(ca, cwnd, 1)
        expect(ca.cnt).toBeGreaterThanOrEqual(2)
        expect(Number.isInteger(ca.cnt)).toBe(true)
      }),
    )
  })

  it('is computed once in a jiffy', () => {
    const ca = new bictcp()
    at(50)
    bictcp_update(ca, 100, 1)
    const { last_time, last_cwnd } = ca
    bictcp_update(ca, 101, 1)
    expect(ca.last_time).toBe(last_time)
    expect(ca.last_cwnd).toBe(last_cwnd)
  })
})
