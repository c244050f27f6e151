import { beforeEach, describe, expect, test } from 'vitest'
import { Cable } from '../../src/hardware/cable.ts'
import { E1000Card, ICR_RXT0, ICR_TXDW, REG } from '../../src/hardware/e1000.ts'
import { dma_space } from '../../src/kernel/kernel/dma/mapping.ts'
import { clock } from '../../src/sim/clock.ts'
import { events } from '../../src/sim/events.ts'

/*
 * Interrupt throttling: 13.4.18 of the manual (ITR counts in 256 ns), and what the recorded card did on top of that (QEMU's
 * hw/net/e1000.c): never more than 7813 interrupts a second. In fixtures/refs/e1000-tcp4-send-64000/wire.pcap acknowledgements
 * come in twos, 125 to 132 us apart.
 */
let card: E1000Card
let taken: number[]
const start = 1e9

beforeEach(() => {
  events.clear()
  clock.now = 0
  clock.advanceTo(start)
  card = new E1000Card(dma_space, new Cable(), 0)
  taken = []
  // a driver that serves at once what it is told of
  card.interrupt = () => {
    taken.push(clock.ns() - start)
    card.read(REG.ICR)
  }
  card.write(REG.IMS, ICR_RXT0 | ICR_TXDW)
})

const causes = (bits: number, ...at: number[]): void => {
  for (const ns of at) events.add(start + ns, () => card.write(REG.ICS, bits))
  while (events.step());
}

describe('interrupts of the 82540EM', () => {
  test('the first is there at once, those soon after it become one', () => {
    causes(ICR_RXT0, 0, 1000, 50_000, 127_000)
    expect(taken).toEqual([0, 128_000])
  })

  test('after the pause the next is there at once again', () => {
    causes(ICR_RXT0, 0, 500_000, 900_000)
    expect(taken).toEqual([0, 500_000, 900_000])
  })

  test('ITR makes the pause longer, not shorter', () => {
    card.write(REG.ITR, 976)
    causes(ICR_RXT0, 0, 1000)
    expect(taken).toEqual([0, 976 * 256])
    card.write(REG.ITR, 195)
    taken = []
    causes(ICR_RXT0, 1_000_000, 1_001_000)
    expect(taken).toEqual([1_000_000, 1_128_000])
  })

  test('a receive delay counts when RDTR turns it on', () => {
    card.write(REG.ITR, 4000)
    card.write(REG.RADV, 300)
    causes(ICR_RXT0, 0, 1000)
    expect(taken).toEqual([0, 4000 * 256])
    card.write(REG.RDTR, 1)
    taken = []
    causes(ICR_RXT0, 5_000_000, 5_001_000)
    expect(taken).toEqual([5_000_000, 5_000_000 + 300 * 1024])
  })

  test('nothing is lost: a cause that is masked in the pause is told of when it is unmasked behind it', () => {
    causes(ICR_RXT0, 0)
    card.write(REG.IMC, ~0)
    card.write(REG.ICS, ICR_TXDW)
    while (events.step());
    expect(taken).toEqual([0])
    clock.advanceTo(start + 200_000)
    card.write(REG.IMS, ICR_TXDW)
    expect(taken).toEqual([0, 200_000])
  })

  test('who knows better can have it at once', () => {
    card.throttled = () => false
    causes(ICR_RXT0, 0, 1000, 2000)
    expect(taken).toEqual([0, 1000, 2000])
  })
})
