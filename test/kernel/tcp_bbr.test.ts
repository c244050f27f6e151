import { describe, expect, test } from 'vitest'
import { listen } from '../../src/trace/tracer.ts'
import { play } from '../support/play.ts'

/* BBR: draft-cardwell-iccrg-bbr-congestion-control-00. Gains and windows are the draft's. */

const connect = `
l = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) @peer
bind(l, 10.0.0.2:8080) @peer
listen(l, 8) @peer
c = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)
setsockopt(c, SOL_TCP, TCP_CONGESTION, "bbr")
connect(c, 10.0.0.2:8080)
s = accept(l) @peer`

/** 20 mbit there, 20 ms there and back */
const path = `
hw eth0 e1000
ip addr add 10.0.0.1/24 dev eth0
ip -n peer addr add 10.0.0.2/24 dev eth0
tc qdisc add dev eth0 root netem delay 10ms rate 20mbit limit 2000
tc -n peer qdisc add dev eth0 root netem delay 10ms`

describe('selecting it', () => {
  test('it is a module: loaded when somebody names it, and an unknown name is refused', async () => {
    await play(`${path}\nsetsockopt(c, SOL_TCP, TCP_CONGESTION, "bbr")`, null, (p) => {
      p.line('c = socket(AF_INET, SOCK_STREAM, 0)')
      expect(p.line('setsockopt(c, SOL_TCP, TCP_CONGESTION, "vegas")')).toBe('-1 ENOENT')
      expect(p.line('setsockopt(c, SOL_TCP, TCP_CONGESTION, "bbr")')).toBe('0')
      const { value } = p.host.process.getsockopt(p.fd('c'), 6, 13, 16)
      expect(Buffer.from(value).toString('latin1').replace(/\0+$/, '')).toBe('bbr')
    })
  })

  test('two boots of one process: each has it only when asked', async () => {
    for (let i = 0; i < 2; i++)
      await play('c = socket(AF_INET, SOCK_STREAM, 0)\nsetsockopt(c, SOL_TCP, TCP_CONGESTION, "bbr")', null, (p) => {
        p.line('c = socket(AF_INET, SOCK_STREAM, 0)')
        expect(p.line('setsockopt(c, SOL_TCP, TCP_CONGESTION, "bbr")')).toBe('0')
      })
  })
})

describe('what it does', () => {
  interface Seen {
    modes: Set<string>
    /** of the last second */
    rate: number
    minRtt: number
    acked: number
  }

  /** sends for `ms` as fast as the socket takes it, and reads on the other side */
  async function transfer(ms: number): Promise<Seen> {
    const seen: Seen = { modes: new Set(), rate: 0, minRtt: 0, acked: 0 }
    await play(`${path}${connect}`, null, (p) => {
      p.line(`${path}${connect}`)
      p.line('setsockopt(c, SOL_SOCKET, SO_SNDBUF, 4000000)')
      listen({
        enter() {},
        exit() {},
        decision(fn, what, numbers) {
          if (fn === 'bbr_set_cwnd') {
            seen.modes.add(what)
            seen.minRtt = Number(numbers.min_rtt_us)
          }
          if (fn === 'bbr_set_pacing_rate') seen.rate = Number(numbers.bytes_per_sec) / Number(numbers.gain)
        },
      })
      for (let t = 0; t < ms; t += 20) {
        p.line('send(c, 400000, MSG_DONTWAIT)')
        p.line('sleep_ms(20)')
        const got = p.line('drain(s) @peer')
        if (t >= ms - 1000) seen.acked += Number(got)
      }
    })
    return seen
  }

  test('it finds the bottleneck: pacing at its rate, the round-trip time that it has when no queue is there', async () => {
    const seen = await transfer(1400)
    // 20 mbit are 2.5 MB/s of frames of 1514 bytes with 1448 of data; the pacing rate is a hundredth less
    const rate = (2.5e6 * 1448) / 1514
    expect(seen.acked).toBeGreaterThan(0.9 * rate)
    expect(seen.acked).toBeLessThan(1.01 * rate)
    expect(seen.rate).toBeGreaterThan(0.85 * rate)
    expect(seen.rate).toBeLessThan(1.15 * rate)
    expect(seen.minRtt).toBeGreaterThanOrEqual(20_000)
    expect(seen.minRtt).toBeLessThan(22_000)
    expect([...seen.modes]).toEqual(['startup', 'drain', 'probe bandwidth'])
  })
})
