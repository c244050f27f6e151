import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sockaddrIn } from '../../src/host/abi.ts'
import { Host } from '../../src/host/host.ts'
import type { Process } from '../../src/host/process.ts'
import { live_objects } from '../../src/kernel/mm/slub.ts'

const LOOPBACK = 0x7f000001
const [AF_INET, SOCK_STREAM, SOCK_DGRAM, SOL_TCP] = [2, 1, 2, 6]
const MSG_DONTWAIT = 0x40
const EAGAIN = -11

/** a connected pair over 127.0.0.1 */
function connect(p: Process): { client: number; server: number; listener: number } {
  const listener = p.syscall('socket', AF_INET, SOCK_STREAM, 0)
  expect(p.bind(listener, sockaddrIn(LOOPBACK, 8080))).toBe(0)
  expect(p.syscall('listen', listener, 8)).toBe(0)
  const client = p.syscall('socket', AF_INET, SOCK_STREAM, 0)
  expect(p.connect(client, sockaddrIn(LOOPBACK, 8080))).toBe(0)
  const server = p.syscall('accept', listener, 0, 0)
  expect(server).toBeGreaterThanOrEqual(0)
  return { client, server, listener }
}

/** what was received by a call, [] when it would have blocked */
function receive(p: Process, fd: number, room: number): Uint8Array {
  const b = p.map(room, 'untouched')
  const n = p.syscall('recvfrom', fd, b.address, room, MSG_DONTWAIT, 0, 0)
  const out = n > 0 ? p.peek(b.address, n).slice() : new Uint8Array(0)
  p.unmap(b)
  if (n < 0) expect(n).toBe(EAGAIN)
  return out
}

/** bytes that differ at each place of a stream, so that a byte lost or doubled shows */
const stream = (from: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => ((from + i) * 2654435761) >>> 24)

type Step =
  | { do: 'send'; side: 0 | 1; size: number; more: boolean }
  | { do: 'recv'; side: 0 | 1; size: number }
  | { do: 'sleep'; ms: number }

const step = fc.oneof(
  fc.record({
    do: fc.constant('send' as const),
    side: fc.constantFrom(0 as const, 1 as const),
    size: fc.integer({ min: 1, max: 200_000 }),
    more: fc.boolean(),
  }),
  fc.record({
    do: fc.constant('recv' as const),
    side: fc.constantFrom(0 as const, 1 as const),
    size: fc.integer({ min: 1, max: 300_000 }),
  }),
  fc.record({ do: fc.constant('sleep' as const), ms: fc.integer({ min: 1, max: 500 }) }),
)

describe('TCP over loopback', () => {
  test('delivers every byte once and in order, whatever the sequence of sends, receives and pauses', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), fc.boolean(), (steps: Step[], nodelay) => {
        const host = new Host({ seed: 7 })
        const p = host.process
        const { client, server } = connect(p)
        if (nodelay) p.setsockopt(client, SOL_TCP, 1, new Uint8Array([1, 0, 0, 0]))
        const fds = [client, server]
        const sent = [0, 0]
        const got = [0, 0]
        const take = (side: number, room: number): number => {
          const bytes = receive(p, fds[side] ?? -1, room)
          expect(Buffer.compare(bytes, stream(got[side] ?? 0, bytes.length))).toBe(0)
          got[side] = (got[side] ?? 0) + bytes.length
          return bytes.length
        }
        for (const s of steps) {
          if (s.do === 'sleep') host.sleep(s.ms)
          else if (s.do === 'recv') take(s.side, s.size)
          else {
            const b = p.map(s.size, stream(sent[s.side] ?? 0, s.size))
            const n = p.syscall('sendto', fds[s.side] ?? -1, b.address, s.size, MSG_DONTWAIT | (s.more ? 0x8000 : 0), 0, 0)
            p.unmap(b)
            if (n > 0) sent[s.side] = (sent[s.side] ?? 0) + n
            else expect(n).toBe(EAGAIN)
          }
        }
        // corked data leaves at the latest when the connection is shut down
        p.syscall('shutdown', client, 1)
        p.syscall('shutdown', server, 1)
        for (let quiet = 0; quiet < 3; ) {
          const n = take(0, 1 << 20) + take(1, 1 << 20)
          quiet = n === 0 ? quiet + 1 : 0
          host.sleep(1000)
        }
        expect(got).toEqual([sent[1], sent[0]])
      }),
      { numRuns: 40, seed: 42 },
    )
  })

  test('frees every buffer and brings every counter back', () => {
    const host = new Host()
    const p = host.process
    const before = new Map(live_objects())
    const { client, server, listener } = connect(p)
    const b = p.map(100_000, 'pattern')
    p.syscall('sendto', client, b.address, b.length, 0, 0, 0)
    while (receive(p, server, 1 << 20).length > 0) host.sleep(10)
    for (const fd of [client, server, listener]) expect(p.syscall('close', fd)).toBe(0)
    // TIME_WAIT takes a minute
    host.sleep(70_000)
    // the route that the next hop keeps for the next socket, and the neighbour behind it, are caches and stay
    const left = [...live_objects()].filter(([name, n]) => n !== (before.get(name) ?? 0) && !/^(rtable|neighbour)$/.test(name))
    expect(left).toEqual([])
  })
})

describe('UDP over loopback', () => {
  test('delivers each datagram whole, in order', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 65_507 }), { minLength: 1, maxLength: 6 }), (sizes) => {
        const host = new Host({ seed: 3 })
        const p = host.process
        const r = p.syscall('socket', AF_INET, SOCK_DGRAM, 0)
        expect(p.bind(r, sockaddrIn(LOOPBACK, 5000))).toBe(0)
        const u = p.syscall('socket', AF_INET, SOCK_DGRAM, 0)
        for (const [i, size] of sizes.entries()) {
          const b = p.map(Math.max(size, 1), stream(i * 1000, Math.max(size, 1)))
          expect(p.sendto(u, b.address, size, 0, sockaddrIn(LOOPBACK, 5000))).toBe(size)
          p.unmap(b)
          const bytes = receive(p, r, 1 << 17)
          expect(Buffer.compare(bytes, stream(i * 1000, size))).toBe(0)
        }
      }),
      { numRuns: 30, seed: 1 },
    )
  })
})
