import { expect, test } from 'vitest'
import { sockaddrIn } from '../../src/host/abi.ts'
import { Host } from '../../src/host/host.ts'
import { Process } from '../../src/host/process.ts'
import { clock } from '../../src/sim/clock.ts'
import { events } from '../../src/sim/events.ts'

const LOOPBACK = 0x7f000001
const MSG_DONTWAIT = 0x40
const [SOL_SOCKET, SO_RCVBUF, SOL_TCP, TCP_MAXSEG] = [1, 8, 6, 2]
const int = (v: number): Uint8Array => Uint8Array.from([v, v >> 8, v >> 16, v >> 24])

interface Case {
  bytes: number
  /** microseconds between two looks of the reader, and how much it takes at a time and at a look */
  every?: number
  chunk?: number
  look?: number
  rcvbuf?: number
  mss?: number
}
/** one process sends all in one call, another reads: virtual milliseconds until all is read, and what the kernel counted */
function run({ bytes, every = 20, chunk = 65536, look = Infinity, rcvbuf, mss }: Case) {
  const host = new Host()
  const p = host.process
  const listener = p.syscall('socket', 2, 1, 0)
  p.bind(listener, sockaddrIn(LOOPBACK, 8080))
  if (rcvbuf !== undefined) p.setsockopt(listener, SOL_SOCKET, SO_RCVBUF, int(rcvbuf))
  p.syscall('listen', listener, 8)
  const c = p.syscall('socket', 2, 1, 0)
  if (mss !== undefined) p.setsockopt(c, SOL_TCP, TCP_MAXSEG, int(mss))
  p.connect(c, sockaddrIn(LOOPBACK, 8080))
  const s = p.syscall('accept', listener, 0, 0)
  const reader = new Process(2, 'reader', host.netns(''))
  reader.task.files = p.task.files
  const room = reader.map(chunk, 'pattern').address
  let got = 0
  const arm = (): void => {
    events.add(clock.ns() + every * 1000, () => {
      for (let n = 1, turn = 0; n > 0 && turn < look; turn += n) {
        n = reader.syscall('recvfrom', s, room, chunk, MSG_DONTWAIT, 0, 0)
        if (n > 0) got += n
      }
      if (got < bytes) arm()
    })
  }
  arm()
  const start = clock.ns()
  expect(p.syscall('sendto', c, p.map(bytes, 'pattern').address, bytes, 0, 0, 0)).toBe(bytes)
  while (got < bytes && clock.ns() < start + 60e9) host.sleep(1)
  expect(got).toBe(bytes)
  const { tcp, linux } = host.netns('').mib
  return {
    ms: (clock.ns() - start) / 1e6,
    retransmitted: tcp.RetransSegs,
    timeouts: linux.TCPTimeouts,
    probes: linux.TCPWinProbe,
  }
}

test.each<[string, Case]>([
  ['packets that the loopback does not take whole are cut', { bytes: 16 << 20 }],
  ['small segments', { bytes: 16 << 20, mss: 536 }],
  ['a small receive buffer', { bytes: 8 << 20, rcvbuf: 65536 }],
])('a large send does not stall: %s', (_, what) => {
  const { ms, ...counts } = run(what)
  expect(what.bytes / ms / 1e6).toBeGreaterThan(0.5) // GB/s
  expect(counts).toEqual({ retransmitted: 0, timeouts: 0, probes: 0 })
})

test('a slow reader sets the pace, by the window', () => {
  const { ms, ...counts } = run({ bytes: 2 << 20, every: 1000, chunk: 8192, look: 8192 })
  expect(ms).toBeGreaterThan(200)
  expect(ms).toBeLessThan(300)
  expect(counts).toEqual({ retransmitted: 0, timeouts: 0, probes: 0 })
})
