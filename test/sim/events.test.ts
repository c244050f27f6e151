import fc from 'fast-check'
import { beforeEach, expect, test } from 'vitest'
import { clock } from '../../src/sim/clock.ts'
import { EventQueue, type SimEvent } from '../../src/sim/events.ts'

beforeEach(() => {
  clock.now = 0
})

test('events run in order of time, those of one moment in the order they were added, and cancelled ones never', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ at: fc.integer({ min: 0, max: 20 }), cancel: fc.boolean() }), { maxLength: 60 }), (list) => {
      clock.now = 0
      const q = new EventQueue()
      const ran: number[] = []
      const queued: SimEvent[] = list.map((e, i) => q.add(e.at, () => ran.push(i)))
      list.forEach((e, i) => {
        const event = queued[i]
        if (e.cancel && event !== undefined) q.cancel(event)
      })
      while (q.step());
      const expected = list
        .map((e, i) => ({ ...e, i }))
        .filter((e) => !e.cancel)
        .sort((a, b) => a.at - b.at || a.i - b.i)
        .map((e) => e.i)
      expect(ran).toEqual(expected)
    }),
  )
})

test('the clock moves to each event and never back', () => {
  const q = new EventQueue()
  const seen: number[] = []
  q.add(10, () => seen.push(clock.ns()))
  q.add(5, () => {
    seen.push(clock.ns())
    clock.advanceTo(30)
  })
  while (q.step());
  expect(seen).toEqual([5, 30])
})
