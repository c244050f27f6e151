import { describe, expect, it } from 'vitest'
import type { Setting } from '../../src/cli/paths/stage.ts'
import { table } from '../../src/cli/paths/table.ts'
import { ways } from '../../src/cli/paths/ways.ts'

const setting = (given: Partial<Setting> = {}): Setting => ({
  bytes: 65_536,
  device: 'e1000',
  mtu: 1500,
  offload: '',
  set: [],
  seed: 1,
  ...given,
})

async function run(name: string, s: Setting) {
  const way = ways.find((w) => w.name === name)
  if (way === undefined) throw new Error(name)
  return way.run(s)
}

describe('paths', () => {
  it('fits a screen of 80 columns and 24 lines, with the prompt below it', async () => {
    const s = setting({ offload: 'tso off' })
    const rows = []
    for (const way of ways) rows.push({ way, result: await way.run(s) })
    const text = table(s, rows).trimEnd().split('\n')
    expect(Math.max(...text.map((l) => l.length))).toBeLessThan(80)
    expect(text.length).toBeLessThan(24)
    expect(text[1]?.trim().split(/\s+/)).toEqual(['send', 'zerocopy', 'sendfile', 'udp', 'udp_seg', 'packet', 'bypass'])
    for (const line of text.slice(2, 20)) expect(line.slice(16).trim().split(/\s+/)).toHaveLength(7)
  })

  it('keeps large numbers apart', async () => {
    const s = setting({ bytes: 1 << 20, mtu: 576 })
    const rows = []
    for (const way of ways) if (/^(udp_segment|packet|bypass)$/.test(way.name)) rows.push({ way, result: await way.run(s) })
    const text = table(s, rows).split('\n')
    for (const line of text.slice(2, 20)) expect(line.slice(16).trim().split(/\s+/)).toHaveLength(3)
    // the other host cannot read that fast: what did not arrive was dropped there, and the table says so
    expect(text.join('\n')).toMatch(/udp_segment: [\d,]+ of 1,048,576 bytes arrived; dropped on the way:\sSOCKET_RCVBUFF/)
  })

  it('counts the time that a queue holds a packet back, and waits for it', async () => {
    const s = setting({ set: ['tc qdisc replace dev eth0 root netem delay 100ms'] })
    for (const name of ['udp', 'send']) {
      const { arrived, taken } = await run(name, s)
      expect([name, arrived]).toEqual([name, 65_536])
      expect(taken.firstFrame).toBeGreaterThan(99.9e6)
    }
  })

  it('takes as long as the rate of the queue says', async () => {
    const s = setting({ set: ['tc qdisc replace dev eth0 root tbf rate 10mbit burst 2k latency 1s'] })
    const { arrived, taken } = await run('udp', s)
    expect(arrived).toBe(65_536)
    // 45 frames of 42 + 1472 bytes at most; what the bucket held in the beginning went for nothing
    expect(taken.lastFrame).toBeGreaterThan(((taken.fetched - 2048 - 1514) * 8) / 10e-3)
    expect(taken.lastFrame).toBeLessThan((taken.fetched * 8) / 10e-3)
  })

  it('brings everything over TCP, and says what was lost on the way', async () => {
    const s = setting({ set: ['tc qdisc replace dev eth0 root netem loss 20%'] })
    const { arrived, taken } = await run('send', s)
    expect(arrived).toBe(65_536)
    expect(taken.drops.size).toBeGreaterThan(0)
  })

  it('counts of a program that drives the card itself what the model says, and nothing of the kernel', async () => {
    const { taken } = await run('bypass', setting())
    expect([taken.calls, taken.functions, taken.systemCalls, taken.skbs]).toEqual([0, 0, 0, 0])
    // docs/paths.md: 60 for headers and 90 for a descriptor, 60 for telling the card of at most 32 frames, a byte's sixteenth to copy it
    expect(taken.instructions).toBe(45 * (60 + 90) + 2 * 60 + 65_536 / 16)
  })
})
