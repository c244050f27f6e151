import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sockaddrIn, sockaddrUn } from '../../src/host/abi.ts'
import { Host } from '../../src/host/host.ts'
import type { Process, UserBuffer } from '../../src/host/process.ts'
import { live_objects } from '../../src/kernel/mm/slub.ts'
import { tcp_prot } from '../../src/kernel/net/ipv4/tcp_ipv4.ts'
import { type TracedSkb, listen as trace } from '../../src/trace/tracer.ts'

/* A socket from socket(2) to close(2): results, states of RFC 9293 3.3.2, FIN or RST on the wire, and nothing left behind. */

const [AF_UNIX, AF_INET, SOCK_STREAM, SOCK_DGRAM, SOCK_NONBLOCK] = [1, 2, 1, 2, 0o4000]
const [SHUT_RD, SHUT_WR, SHUT_RDWR] = [0, 1, 2]
const [SOL_SOCKET, SO_REUSEADDR, SO_ERROR, SO_KEEPALIVE, SO_LINGER] = [1, 2, 4, 9, 13]
const [SOL_TCP, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_LINGER2, TCP_INFO, TCP_USER_TIMEOUT] = [6, 4, 5, 6, 8, 11, 18]
const MSG_DONTWAIT = 0x40
const [EBADF, EAGAIN, EINVAL, EPIPE, EADDRINUSE, EADDRNOTAVAIL] = [-9, -11, -22, -32, -98, -99]
const [ECONNRESET, EISCONN, ENOTCONN, ETIMEDOUT, ECONNREFUSED, EALREADY, EINPROGRESS] = [-104, -106, -107, -110, -111, -114, -115]
const states = [
  '',
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'FIN_WAIT1',
  'FIN_WAIT2',
  'TIME_WAIT',
  'CLOSE',
  'CLOSE_WAIT',
  'LAST_ACK',
  'LISTEN',
  'CLOSING',
]

const LOOPBACK = 0x7f000001
const at = (port: number): Uint8Array => sockaddrIn(LOOPBACK, port)

let host: Host
let p: Process
let before: Map<string, number>
let wire: string[]

/** the flags of each TCP segment on `lo`, with the port that it came from: `8080 RA` */
function watch(skb: TracedSkb): void {
  const tcp = skb.data + 14 + 20
  if (skb.bytes[skb.data + 14 + 9] !== 6) return
  const flags = skb.bytes[tcp + 13] ?? 0
  const port = ((skb.bytes[tcp] ?? 0) << 8) | (skb.bytes[tcp + 1] ?? 0)
  wire.push(`${port} ${['F', 'S', 'R', 'P', 'A'].filter((_, i) => flags & (1 << i)).join('')}`)
}

beforeEach(() => {
  host = new Host({ seed: 5 })
  p = host.process
  before = live_objects()
  wire = []
  trace({ enter: () => {}, exit: () => {}, frame: (_device, _netns, direction, skb) => direction === 'out' && watch(skb) })
})
afterEach(() => trace(null))

const socket = (type = SOCK_STREAM, family = AF_INET): number => p.syscall('socket', family, type, 0)
const close = (...fds: number[]): void => {
  for (const fd of fds) expect(p.syscall('close', fd)).toBe(0)
}
const state = (fd: number): string => states[p.getsockopt(fd, SOL_TCP, TCP_INFO, 256).value[0] ?? 0] ?? '?'
const int = (value: number): Uint8Array => new Uint8Array([value & 0xff, value >> 8, 0, 0])
const set = (fd: number, level: number, option: number, value: number): void => {
  expect(p.setsockopt(fd, level, option, int(value))).toBe(0)
}
const linger = (fd: number, seconds: number): void => {
  expect(p.setsockopt(fd, SOL_SOCKET, SO_LINGER, new Uint8Array([1, 0, 0, 0, seconds, 0, 0, 0]))).toBe(0)
}
const soError = (fd: number): number => {
  const { value } = p.getsockopt(fd, SOL_SOCKET, SO_ERROR, 4)
  return -new DataView(value.buffer, value.byteOffset).getInt32(0, true)
}
function withBuffer(length: number, body: (b: UserBuffer) => number): number {
  const b = p.map(length, 'pattern')
  const n = body(b)
  p.unmap(b)
  return n
}
const send = (fd: number, length: number): number =>
  withBuffer(length, (b) => p.syscall('sendto', fd, b.address, length, MSG_DONTWAIT, 0, 0))
const recv = (fd: number, length: number): number =>
  withBuffer(length, (b) => p.syscall('recvfrom', fd, b.address, length, MSG_DONTWAIT, 0, 0))

function listen(port = 8080, backlog = 8): number {
  const fd = socket()
  set(fd, SOL_SOCKET, SO_REUSEADDR, 1)
  expect(p.bind(fd, at(port))).toBe(0)
  expect(p.syscall('listen', fd, backlog)).toBe(0)
  return fd
}
/** a connected pair, the client's port being 40000 */
function connected(): { l: number; c: number; s: number } {
  const l = listen()
  const c = socket()
  expect(p.bind(c, at(40000))).toBe(0)
  expect(p.connect(c, at(8080))).toBe(0)
  const s = p.syscall('accept', l, 0, 0)
  expect(s).toBeGreaterThan(2)
  wire.length = 0
  return { l, c, s }
}
/** everything is as before the test, `ms` later; routes and neighbours are caches */
function nothingLeft(ms: number): void {
  host.sleep(ms)
  const now = live_objects()
  const left = [...new Set([...now.keys(), ...before.keys()])].filter((k) => (now.get(k) ?? 0) !== (before.get(k) ?? 0))
  expect(
    left
      .filter((name) => !/^(rtable|neighbour|tcp_metrics)/.test(name))
      .map((k) => `${k} ${before.get(k) ?? 0} -> ${now.get(k) ?? 0}`),
  ).toEqual([])
  expect(host.netns('').mib.tcp.CurrEstab).toBe(0)
  expect(tcp_prot.sockets_allocated?.v).toBe(0)
  expect(tcp_prot.orphan_count?.v).toBe(0)
  expect((tcp_prot.memory_allocated?.v ?? 0) + (tcp_prot.per_cpu_fw_alloc?.v ?? 0)).toBe(0)
}
/** a minute, and two seconds more: so coarse is the timer wheel for timers of a minute */
const TIME_WAIT = 63_000
const SOON = 1_000

describe('close(2) of a TCP socket', () => {
  test('that was never connected, bound or listening sends nothing', () => {
    const bound = socket()
    expect(p.bind(bound, at(8080))).toBe(0)
    close(socket(), bound, listen(8081))
    expect(wire).toEqual([])
    expect(p.syscall('close', bound)).toBe(EBADF)
    nothingLeft(SOON)
  })

  test('sends FIN, and the end that closes first is in TIME-WAIT for a minute', () => {
    const { l, c, s } = connected()
    close(c)
    expect(wire).toEqual(['40000 FA'])
    expect(state(s)).toBe('CLOSE_WAIT')
    expect(recv(s, 10)).toBe(0)
    close(s, l)
    host.sleep(SOON)
    expect(wire.join()).not.toContain('R')
    expect(wire.filter((w) => w.includes('F'))).toEqual(['40000 FA', '8080 FA'])
    expect(live_objects().get('tw_sock_TCP')).toBe(1)
    host.sleep(58_000)
    expect(live_objects().get('tw_sock_TCP')).toBe(1)
    nothingLeft(4_000)
  })

  test('sends RST when received bytes were never read (RFC 2525 2.17)', () => {
    const { l, c, s } = connected()
    expect(send(c, 1000)).toBe(1000)
    expect(recv(s, 400)).toBe(400)
    wire.length = 0
    close(s)
    expect(wire).toEqual(['8080 RA'])
    expect(state(c)).toBe('CLOSE')
    expect(recv(c, 10)).toBe(ECONNRESET)
    expect(recv(c, 10)).toBe(0)
    expect(send(c, 10)).toBe(EPIPE)
    close(c, l)
    nothingLeft(SOON)
  })

  test('that has only a FIN unread sends FIN', () => {
    const { l, c, s } = connected()
    expect(p.syscall('shutdown', c, SHUT_WR)).toBe(0)
    wire.length = 0
    close(s)
    expect(wire[0]).toBe('8080 FA')
    close(c, l)
    nothingLeft(TIME_WAIT)
  })

  test('with SO_LINGER {1, 0} sends RST and skips TIME-WAIT', () => {
    const { l, c, s } = connected()
    linger(c, 0)
    close(c)
    expect(wire).toEqual(['40000 RA'])
    expect(soError(s)).toBe(ECONNRESET)
    expect(send(s, 10)).toBe(EPIPE)
    close(s, l)
    nothingLeft(SOON)
  })

  test('with SO_LINGER {1, 5} waits for the FIN to be acknowledged, five seconds at most', () => {
    const { l, c, s } = connected()
    linger(c, 5)
    expect(send(c, 1000)).toBe(1000)
    close(c)
    expect(wire.filter((w) => w.includes('F'))).toEqual(['40000 FA'])
    expect(recv(s, 2000)).toBe(1000)
    close(s, l)
    nothingLeft(TIME_WAIT)
  })

  test('leaves what was sent before to be read, and answers later data with RST', () => {
    const { l, c, s } = connected()
    expect(send(c, 100)).toBe(100)
    close(c)
    expect(recv(s, 200)).toBe(100)
    expect(recv(s, 200)).toBe(0)
    wire.length = 0
    expect(send(s, 10)).toBe(10)
    host.sleep(10)
    expect(wire.at(-1)).toMatch(/^40000 R/)
    expect(send(s, 10)).toBe(EPIPE)
    close(s, l)
    nothingLeft(TIME_WAIT)
  })

  test('of an orphan in FIN-WAIT-2 ends after tcp_fin_timeout, and at once with a negative TCP_LINGER2', () => {
    const { l, c, s } = connected()
    close(c)
    host.sleep(100)
    expect(state(s)).toBe('CLOSE_WAIT')
    expect(live_objects().get('tw_sock_TCP')).toBe(1)
    host.sleep(TIME_WAIT)
    expect(live_objects().get('tw_sock_TCP') ?? 0).toBe(0)
    // nobody knows the connection any more
    close(s)
    host.sleep(10)
    expect(wire.at(-1)).toBe('40000 R')
    close(l)
    nothingLeft(SOON)

    const again = connected()
    expect(p.setsockopt(again.c, SOL_TCP, TCP_LINGER2, new Uint8Array([255, 255, 255, 255]))).toBe(0)
    expect(p.syscall('shutdown', again.c, SHUT_WR)).toBe(0)
    host.sleep(300)
    expect(state(again.c)).toBe('FIN_WAIT2')
    wire.length = 0
    close(again.c)
    expect(wire).toEqual(['40000 RA'])
    close(again.s, again.l)
    nothingLeft(SOON)
  })

  test('of a listener resets the connections that nobody accepted', () => {
    const l = listen()
    const clients = [socket(), socket()]
    for (const c of clients) expect(p.connect(c, at(8080))).toBe(0)
    wire.length = 0
    close(l)
    expect(wire).toEqual(['8080 RA', '8080 RA'])
    for (const c of clients) expect(recv(c, 10)).toBe(ECONNRESET)
    close(...clients)
    nothingLeft(SOON)
  })

  test('of both ends, one after the other, needs no RST', () => {
    const { l, c, s } = connected()
    close(c, s, l)
    host.sleep(SOON)
    expect(wire.filter((w) => w.includes('F')).sort()).toEqual(['40000 FA', '8080 FA'])
    nothingLeft(TIME_WAIT)
  })
})

describe('shutdown(2)', () => {
  test('goes through the states of RFC 9293 figure 12', () => {
    const { l, c, s } = connected()
    expect(p.syscall('shutdown', c, SHUT_WR)).toBe(0)
    expect(wire).toEqual(['40000 FA'])
    expect(send(c, 1)).toBe(EPIPE)
    host.sleep(300)
    expect([state(c), state(s)]).toEqual(['FIN_WAIT2', 'CLOSE_WAIT'])
    // the other direction stays open
    expect(send(s, 10)).toBe(10)
    expect(recv(c, 20)).toBe(10)
    expect(p.syscall('shutdown', s, SHUT_WR)).toBe(0)
    host.sleep(300)
    expect([state(c), state(s)]).toEqual(['CLOSE', 'CLOSE'])
    expect(p.syscall('shutdown', s, SHUT_WR)).toBe(ENOTCONN)
    close(c, s, l)
    nothingLeft(TIME_WAIT)
  })

  test('SHUT_RD tells nobody and only ends the reader', () => {
    const { l, c, s } = connected()
    expect(p.syscall('shutdown', c, SHUT_RD)).toBe(0)
    expect(wire).toEqual([])
    expect(recv(c, 10)).toBe(0)
    expect(send(c, 10)).toBe(10)
    expect(recv(s, 10)).toBe(10)
    close(c, s, l)
    nothingLeft(TIME_WAIT)
  })

  test('ends a listener, which can listen again', () => {
    const l = listen()
    expect(p.syscall('shutdown', l, SHUT_RDWR)).toBe(0)
    expect(state(l)).toBe('CLOSE')
    expect(p.syscall('accept', l, 0, 0)).toBe(EINVAL)
    expect(p.syscall('listen', l, 1)).toBe(0)
    close(l)
    nothingLeft(SOON)
  })

  test('of what is not connected or no direction fails', () => {
    const c = socket()
    expect(p.syscall('shutdown', c, SHUT_WR)).toBe(ENOTCONN)
    expect(p.syscall('shutdown', c, 3)).toBe(EINVAL)
    const u = socket(SOCK_DGRAM)
    expect(p.syscall('shutdown', u, SHUT_RDWR)).toBe(ENOTCONN)
    close(c, u)
    nothingLeft(SOON)
  })
})

describe('connect(2)', () => {
  test('to a port where nobody listens gets RST: ECONNREFUSED', () => {
    const c = socket()
    expect(p.bind(c, at(40000))).toBe(0)
    expect(p.connect(c, at(1))).toBe(ECONNREFUSED)
    expect(wire).toEqual(['40000 S', '1 RA'])
    expect(state(c)).toBe('CLOSE')
    const l = listen()
    expect(p.connect(c, at(8080))).toBe(0)
    expect(p.connect(c, at(8080))).toBe(EISCONN)
    close(c, l)
    nothingLeft(TIME_WAIT)
  })

  test('without blocking is in progress, and says later how it went', () => {
    const l = listen()
    const c = socket(SOCK_STREAM | SOCK_NONBLOCK)
    expect(p.connect(c, at(8080))).toBe(EINPROGRESS)
    expect(soError(c)).toBe(-0)
    expect(p.connect(c, at(8080))).toBe(0)
    expect(p.connect(c, at(8080))).toBe(EISCONN)
    const r = socket(SOCK_STREAM | SOCK_NONBLOCK)
    expect(p.connect(r, at(1))).toBe(EINPROGRESS)
    expect(soError(r)).toBe(ECONNREFUSED)
    close(c, r, l)
    nothingLeft(TIME_WAIT)
  })

  test('to a full backlog repeats its SYN after 1 s and gets in when there is room', () => {
    const l = listen(8080, 0)
    const first = socket()
    expect(p.connect(first, at(8080))).toBe(0)
    const c = socket(SOCK_STREAM | SOCK_NONBLOCK)
    wire.length = 0
    expect(p.connect(c, at(8080))).toBe(EINPROGRESS)
    expect(p.connect(c, at(8080))).toBe(EALREADY)
    expect(send(c, 10)).toBe(EAGAIN)
    host.sleep(900)
    expect(wire).toHaveLength(1)
    host.sleep(200)
    expect(wire).toHaveLength(2)
    expect(state(c)).toBe('SYN_SENT')
    const s = p.syscall('accept', l, 0, 0)
    host.sleep(2100)
    expect(state(c)).toBe('ESTABLISHED')
    close(first, c, s, l)
    nothingLeft(TIME_WAIT)
  })

  test('given up: the SYN goes out no more', () => {
    const l = listen(8080, 0)
    const first = socket()
    expect(p.connect(first, at(8080))).toBe(0)
    const c = socket(SOCK_STREAM | SOCK_NONBLOCK)
    expect(p.connect(c, at(8080))).toBe(EINPROGRESS)
    close(c)
    wire.length = 0
    host.sleep(5000)
    expect(wire).toEqual([])
    close(first, l)
    nothingLeft(TIME_WAIT)
  })
})

describe('ports', () => {
  test('of a listener are taken, of TIME-WAIT free for those who set SO_REUSEADDR', () => {
    const { l, c, s } = connected()
    const other = socket()
    expect(p.bind(other, at(8080))).toBe(EADDRINUSE)
    set(other, SOL_SOCKET, SO_REUSEADDR, 1)
    expect(p.bind(other, at(8080))).toBe(EADDRINUSE)
    expect(p.bind(other, sockaddrIn(0x0a010101, 80))).toBe(EADDRNOTAVAIL)
    // the server's end closes first and keeps the port
    close(s)
    close(c)
    close(l)
    const plain = socket()
    expect(p.bind(plain, at(8080))).toBe(EADDRINUSE)
    expect(p.bind(other, at(8080))).toBe(0)
    expect(p.bind(other, at(8081))).toBe(EINVAL)
    host.sleep(TIME_WAIT)
    close(other)
    expect(p.bind(plain, at(8080))).toBe(0)
    close(plain)
    nothingLeft(SOON)
  })

  test('of a connection in TIME-WAIT serve the next one between the same addresses', () => {
    const l = listen()
    const connectFrom40000 = (): number => {
      const c = socket()
      set(c, SOL_SOCKET, SO_REUSEADDR, 1)
      expect(p.bind(c, at(40000))).toBe(0)
      expect(p.connect(c, at(8080))).toBe(0)
      return c
    }
    const c = connectFrom40000()
    const s = p.syscall('accept', l, 0, 0)
    close(c, s)
    expect(live_objects().get('tw_sock_TCP')).toBe(1)
    const again = connectFrom40000()
    expect(state(again)).toBe('ESTABLISHED')
    host.sleep(SOON)
    expect(live_objects().get('tw_sock_TCP') ?? 0).toBe(0)
    close(again, l)
    nothingLeft(TIME_WAIT)
  })

  test('of a connection that did not set SO_REUSEADDR are taken while it is in TIME-WAIT', () => {
    const { l, c, s } = connected()
    close(c, s, l)
    const again = socket()
    set(again, SOL_SOCKET, SO_REUSEADDR, 1)
    expect(p.bind(again, at(40000))).toBe(EADDRINUSE)
    host.sleep(TIME_WAIT)
    expect(p.bind(again, at(40000))).toBe(0)
    close(again)
    nothingLeft(SOON)
  })
})

describe('timers of a connection', () => {
  test('keepalive asks after TCP_KEEPIDLE, and the other end answers', () => {
    const { l, c, s } = connected()
    set(c, SOL_SOCKET, SO_KEEPALIVE, 1)
    set(c, SOL_TCP, TCP_KEEPIDLE, 2)
    set(c, SOL_TCP, TCP_KEEPINTVL, 1)
    set(c, SOL_TCP, TCP_KEEPCNT, 2)
    host.sleep(1900)
    expect(wire).toEqual([])
    host.sleep(200)
    expect(wire).toEqual(['40000 A', '8080 A'])
    host.sleep(2000)
    expect(wire).toHaveLength(4)
    expect(state(c)).toBe('ESTABLISHED')
    close(c, s, l)
    nothingLeft(TIME_WAIT)
  })

  test('TCP_USER_TIMEOUT ends a SYN that nobody answers with ETIMEDOUT', () => {
    const l = listen(8080, 0)
    const first = socket()
    expect(p.connect(first, at(8080))).toBe(0)
    const c = socket(SOCK_STREAM | SOCK_NONBLOCK)
    expect(p.setsockopt(c, SOL_TCP, TCP_USER_TIMEOUT, new Uint8Array([0xd0, 7, 0, 0]))).toBe(0)
    expect(p.connect(c, at(8080))).toBe(EINPROGRESS)
    host.sleep(10_000)
    expect(soError(c)).toBe(ETIMEDOUT)
    close(first, c, l)
    nothingLeft(TIME_WAIT)
  })
})

describe('other files', () => {
  test('UDP: unread datagrams go with the socket, and the next one finds nobody', () => {
    const r = socket(SOCK_DGRAM)
    expect(p.bind(r, at(5000))).toBe(0)
    const u = socket(SOCK_DGRAM)
    expect(p.connect(u, at(5000))).toBe(0)
    expect(send(u, 100)).toBe(100)
    close(r)
    expect(send(u, 100)).toBe(100)
    expect(send(u, 100)).toBe(ECONNREFUSED)
    expect(p.syscall('shutdown', u, SHUT_RDWR)).toBe(0)
    expect(send(u, 10)).toBe(EPIPE)
    expect(withBuffer(10, (b) => p.syscall('recvfrom', u, b.address, 10, 0, 0, 0))).toBe(0)
    close(u)
    nothingLeft(SOON)
  })

  test('AF_UNIX streams: unread data resets the peer, an orderly close ends it', () => {
    for (const unread of [true, false]) {
      const { result, fds } = p.pair((fd) => p.syscall('socketpair', AF_UNIX, SOCK_STREAM, 0, fd))
      expect(result).toBe(0)
      expect(send(fds[0], 100)).toBe(100)
      if (!unread) expect(recv(fds[1], 100)).toBe(100)
      close(fds[1])
      expect(recv(fds[0], 10)).toBe(unread ? ECONNRESET : 0)
      expect(send(fds[0], 10)).toBe(EPIPE)
      close(fds[0])
    }
    nothingLeft(SOON)
  })

  test('AF_UNIX listeners: connections that nobody accepted are reset', () => {
    const l = socket(SOCK_STREAM, AF_UNIX)
    expect(p.bind(l, sockaddrUn('@lifecycle'))).toBe(0)
    expect(p.syscall('listen', l, 4)).toBe(0)
    const c = socket(SOCK_STREAM, AF_UNIX)
    expect(p.connect(c, sockaddrUn('@lifecycle'))).toBe(0)
    expect(p.connect(c, sockaddrUn('@lifecycle'))).toBe(EISCONN)
    close(l)
    expect(recv(c, 10)).toBe(ECONNRESET)
    const late = socket(SOCK_STREAM, AF_UNIX)
    expect(p.connect(late, sockaddrUn('@lifecycle'))).toBe(ECONNREFUSED)
    close(c, late)
    nothingLeft(SOON)
  })

  test('AF_UNIX datagrams to a socket that is gone are refused', () => {
    const { fds } = p.pair((fd) => p.syscall('socketpair', AF_UNIX, SOCK_DGRAM, 0, fd))
    expect(send(fds[0], 100)).toBe(100)
    close(fds[1])
    expect(send(fds[0], 100)).toBe(ECONNREFUSED)
    expect(send(fds[0], 100)).toBe(ENOTCONN)
    close(fds[0])
    nothingLeft(SOON)
  })

  test('pipes: end of file without writers, EPIPE without readers', () => {
    const a = p.pair((fd) => p.syscall('pipe', fd)).fds
    const read = (fd: number): number => withBuffer(10, (b) => p.syscall('read', fd, b.address, 10))
    const write = (fd: number): number => withBuffer(10, (b) => p.syscall('write', fd, b.address, 10))
    expect(write(a[1])).toBe(10)
    close(a[1])
    expect(read(a[0])).toBe(10)
    expect(read(a[0])).toBe(0)
    close(a[0])
    const b = p.pair((fd) => p.syscall('pipe', fd)).fds
    close(b[0])
    expect(write(b[1])).toBe(EPIPE)
    close(b[1])
    nothingLeft(SOON)
  })

  test('the lowest free descriptor is the next one', () => {
    const fds = [socket(), socket(), socket()]
    close(fds[1] ?? -1)
    expect(socket()).toBe(fds[1])
    close(...fds)
    nothingLeft(SOON)
  })
})

describe('any order of calls', () => {
  const slot = fc.integer({ min: 0, max: 5 })
  const port = fc.constantFrom(8080, 8081)
  const op = fc.oneof(
    fc.record({ call: fc.constant('socket' as const), slot }),
    fc.record({ call: fc.constant('listen' as const), slot, port, backlog: fc.integer({ min: 0, max: 2 }) }),
    fc.record({ call: fc.constant('bind' as const), slot, port }),
    fc.record({ call: fc.constant('connect' as const), slot, port }),
    fc.record({ call: fc.constant('connect' as const), slot, port }),
    fc.record({ call: fc.constant('accept' as const), slot, to: slot }),
    fc.record({ call: fc.constant('accept' as const), slot, to: slot }),
    fc.record({ call: fc.constant('send' as const), slot, size: fc.integer({ min: 1, max: 200_000 }) }),
    fc.record({ call: fc.constant('recv' as const), slot, size: fc.integer({ min: 1, max: 200_000 }) }),
    fc.record({ call: fc.constant('shutdown' as const), slot, how: fc.integer({ min: 0, max: 2 }) }),
    fc.record({ call: fc.constant('linger' as const), slot, seconds: fc.constantFrom(0, 1) }),
    fc.record({ call: fc.constant('disconnect' as const), slot }),
    fc.record({ call: fc.constant('close' as const), slot }),
    fc.record({ call: fc.constant('sleep' as const), ms: fc.constantFrom(1, 50, 300, 2000) }),
  )

  test('leaves nothing behind', () => {
    fc.assert(
      fc.property(fc.array(op, { maxLength: 40 }), (ops) => {
        host = new Host({ seed: 9 })
        p = host.process
        before = live_objects()
        const fds = [0, 0, 0, 0, 0, 0].map(() => socket(SOCK_STREAM | SOCK_NONBLOCK))
        for (const o of ops) {
          if (o.call === 'sleep') {
            host.sleep(o.ms)
            continue
          }
          const fd = fds[o.slot] ?? -1
          switch (o.call) {
            case 'socket':
              close(fd)
              fds[o.slot] = socket(SOCK_STREAM | SOCK_NONBLOCK)
              break
            case 'bind':
            case 'listen':
              p.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, int(1))
              p.bind(fd, at(o.port))
              if (o.call === 'listen') p.syscall('listen', fd, o.backlog)
              break
            case 'connect':
              p.connect(fd, at(o.port))
              break
            case 'disconnect':
              p.connect(fd, new Uint8Array(16))
              break
            case 'accept': {
              const child = p.syscall('accept4', fd, 0, 0, SOCK_NONBLOCK)
              if (child < 0) break
              close(fds[o.to] ?? -1)
              fds[o.to] = child
              break
            }
            case 'send':
              send(fd, o.size)
              break
            case 'recv':
              recv(fd, o.size)
              break
            case 'shutdown':
              p.syscall('shutdown', fd, o.how)
              break
            case 'linger':
              linger(fd, o.seconds)
              break
            case 'close':
              close(fd)
              fds[o.slot] = socket(SOCK_STREAM | SOCK_NONBLOCK)
          }
        }
        close(...fds)
        // what a closed socket could not deliver is tried again for some minutes
        nothingLeft(20 * 60_000)
      }),
      { numRuns: 60, seed: 42 },
    )
  })
})
