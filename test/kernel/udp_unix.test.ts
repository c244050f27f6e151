import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { cmsg, iovecs, msghdr, sockaddrIn } from '../../src/host/abi.ts'
import { Host } from '../../src/host/host.ts'
import type { Process } from '../../src/host/process.ts'
import { live_objects } from '../../src/kernel/mm/slub.ts'
import { Runner } from '../../src/script/runner.ts'
import { parseScenario } from '../../src/script/scenario.ts'
import { type TracedSkb, listen as trace } from '../../src/trace/tracer.ts'

/* Datagrams: UDP (RFC 768), ICMP (RFC 792, 1122), raw and AF_UNIX sockets, and pipes, as Linux's manual pages have them. */

const [AF_INET, SOCK_DGRAM, SOCK_RAW, IPPROTO_ICMP] = [2, 2, 3, 1]
const [SOL_IP, SOL_SOCKET, SOL_UDP] = [0, 1, 17]
const [MSG_DONTWAIT, MSG_ERRQUEUE] = [0x40, 0x2000]
const [EAGAIN, ECONNREFUSED] = [-11, -111]
const LOOPBACK = 0x7f000001

let host: Host
let p: Process
/** the IP packets that went out on `lo`, without the Ethernet header */
let wire: Uint8Array[]

beforeEach(() => {
  host = new Host({ seed: 3 })
  p = host.process
  wire = []
  const sent = (skb: TracedSkb): void => {
    const linear = skb.bytes.slice(skb.data + 14, skb.tail)
    wire.push(Buffer.concat([linear, ...Array.from({ length: skb.nr_frags }, (_, i) => skb.frag(i))]))
  }
  trace({ enter: () => {}, exit: () => {}, frame: (_device, _netns, direction, skb) => direction === 'out' && sent(skb) })
})
afterEach(() => trace(null))

/** runs a scenario; what its recorded calls returned */
function run(text: string): string[] {
  const out: string[] = []
  new Runner(host, { begin: () => {}, end: (r) => out.push(r) }).run(parseScenario(text))
  return out
}

/** a scenario with its results: `send(u, 1, 0) = 1`; all but `x = call()` are looked at */
function expectRun(text: string): void {
  const lines = text
    .split('\n')
    .map((l) => l.trim())
    .filter((l) => l !== '')
  const wanted: string[] = []
  const program = lines.map((l) => {
    const m = /^(?!\w+ = )(.*\)) = (.+)$/.exec(l)
    if (m === null) return l
    wanted.push(`${m[1]} = ${m[2]}`)
    return `> ${m[1]}`
  })
  const got = run(program.join('\n'))
  expect(program.filter((l) => l.startsWith('> ')).map((l, i) => `${l.slice(2)} = ${got[i]}`)).toEqual(wanted)
}

const udp = (port = 0): number => {
  const fd = p.syscall('socket', AF_INET, SOCK_DGRAM, 0)
  if (port !== 0) expect(p.bind(fd, sockaddrIn(LOOPBACK, port))).toBe(0)
  return fd
}
const send = (fd: number, bytes: Uint8Array, port: number, address = LOOPBACK): number =>
  p.with((lend) => p.sendto(fd, lend(bytes), bytes.length, 0, sockaddrIn(address, port)))
const int = (v: number): Uint8Array => new Uint8Array(new Int32Array([v]).buffer)

interface Received {
  result: number
  bytes: Uint8Array
  from: Uint8Array
  flags: number
  /** `level/type` and the data of each control message */
  control: Map<string, Uint8Array>
}
function recvmsg(fd: number, room: number, flags = MSG_DONTWAIT): Received {
  return p.with((lend) => {
    const [buffer, name, control] = [
      lend(new Uint8Array(Math.max(room, 1))),
      lend(new Uint8Array(128)),
      lend(new Uint8Array(512)),
    ]
    const header = lend(
      msghdr({
        name,
        nameLength: 128,
        iov: lend(iovecs([{ base: buffer, length: room }])),
        iovCount: 1,
        control,
        controlLength: 512,
        flags: 0,
      }),
    )
    const result = p.syscall('recvmsg', fd, header, flags)
    const h = new DataView(p.peek(header, 56).slice().buffer)
    const length = result < 0 ? 0 : Number(h.getBigUint64(40, true))
    const raw = p.peek(control, 512).slice()
    const messages = new Map<string, Uint8Array>()
    const d = new DataView(raw.buffer)
    for (let at = 0; at + 16 <= length; ) {
      const n = Number(d.getBigUint64(at, true))
      messages.set(`${d.getUint32(at + 8, true)}/${d.getUint32(at + 12, true)}`, raw.slice(at + 16, at + n))
      at += (n + 7) & ~7
    }
    return {
      result,
      bytes: p.peek(buffer, Math.max(0, Math.min(result, room))).slice(),
      from: p.peek(name, h.getUint32(8, true)).slice(),
      flags: h.getUint32(48, true),
      control: messages,
    }
  })
}
const counters = () => host.netns('').mib

describe('UDP', () => {
  test('a datagram is one message: what does not fit is lost, MSG_TRUNC tells its length, MSG_PEEK leaves it', () => {
    expectRun(`
      r = socket(AF_INET, SOCK_DGRAM, 0)
      bind(r, 127.0.0.1:5000) = 0
      u = socket(AF_INET, SOCK_DGRAM, 0)
      connect(u, 127.0.0.1:5000) = 0
      send(u, 100, 0) = 100
      writev(u, [10,20,30]) = 60
      sendmsg(u, [1,2], 0) = 3
      sendmmsg(u, [10,20,30], 0) = 3
      send(u, 0, 0) = 0
      recv(r, 40, MSG_PEEK) = 40
      recv(r, 40, 0) = 40
      recv(r, 5, MSG_TRUNC) = 60
      readv(r, [1,1]) = 2
      read(r, 100) = 10
      recvmsg(r, [15,15], 0) = 20
      recv(r, 100, 0) = 30
      recv(r, 100, 0) = 0
      recv(r, 100, MSG_DONTWAIT) = -1 EAGAIN
    `)
    expect(counters().udp.InDatagrams).toBe(7)
    expect(counters().udp.OutDatagrams).toBe(7)
  })

  test('refuses what cannot be sent', () => {
    expectRun(`
      u = socket(AF_INET, SOCK_DGRAM, 0)
      send(u, 100, 0) = -1 EDESTADDRREQ
      sendto(u, 100, 0, 127.0.0.1:0) = -1 EINVAL
      sendto(u, 100, 0, 10.9.9.9:5000) = -1 ENETUNREACH
      sendto(u, 100, MSG_OOB, 127.0.0.1:5000) = -1 EOPNOTSUPP
      sendto(u, 100, 0, 127.255.255.255:5000) = -1 EACCES
      sendto(u, 65508, 0, 127.0.0.1:5000) = -1 EMSGSIZE
      sendto(u, 65536, 0, 127.0.0.1:5000) = -1 EMSGSIZE
      sendto(u, EFAULT/100, 0, 127.0.0.1:5000) = -1 EFAULT
      setsockopt(u, SOL_SOCKET, SO_BROADCAST, 1) = 0
      sendto(u, 100, 0, 127.255.255.255:5000) = 100
      connect(u, 127.0.0.1:5000) = 0
      shutdown(u, SHUT_WR) = 0
      send(u, 100, 0) = -1 EPIPE
    `)
    expect(wire.filter((f) => f[9] === 17)).toHaveLength(1)
  })

  test('the largest datagram, 65507 bytes, crosses lo in one packet', () => {
    const r = udp(5000)
    const bytes = Uint8Array.from({ length: 65507 }, (_, i) => (i * 7) >>> 3)
    expect(send(udp(), bytes, 5000)).toBe(65507)
    expect(wire).toHaveLength(1)
    expect(wire[0]).toHaveLength(65535)
    const got = recvmsg(r, 65507)
    expect(got.result).toBe(65507)
    expect(Buffer.compare(got.bytes, bytes)).toBe(0)
  })

  test('MSG_MORE and UDP_CORK collect one datagram, whose checksum is right', () => {
    const cork = `
      r = socket(AF_INET, SOCK_DGRAM, 0)
      bind(r, 127.0.0.1:5000) = 0
      u = socket(AF_INET, SOCK_DGRAM, 0)
      sendto(u, 101, MSG_MORE, 127.0.0.1:5000) = 101
      sendto(u, 100, MSG_MORE, 127.0.0.1:5000) = 100
      recv(r, 1000, MSG_DONTWAIT) = -1 EAGAIN
      sendto(u, 49, 0, 127.0.0.1:5000) = 49
      recv(r, 1000, MSG_DONTWAIT) = 250
      setsockopt(u, SOL_UDP, UDP_CORK, 1) = 0
      sendto(u, 33, 0, 127.0.0.1:5000) = 33
      send(u, 7, 0) = 7
      recv(r, 1000, MSG_DONTWAIT) = -1 EAGAIN
      setsockopt(u, SOL_UDP, UDP_CORK, 0) = 0
      recv(r, 1000, MSG_DONTWAIT) = 40`
    expectRun(cork)
    expect(wire).toHaveLength(2)
    for (const f of wire) {
      const view = new DataView(f.buffer, f.byteOffset)
      const udpLength = view.getUint16(24)
      let sum = 17 + udpLength
      for (let i = 12; i < 20; i += 2) sum += view.getUint16(i)
      for (let i = 20; i < f.length; i += 2) sum += i + 1 < f.length ? view.getUint16(i) : (f[i] ?? 0) << 8
      while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
      expect(sum).toBe(0xffff)
    }
    expect(counters().udp.InCsumErrors).toBe(0)
  })

  test('goes back to no peer with AF_UNSPEC, to another address with sendto, to 127.0.0.1 for 0.0.0.0', () => {
    expectRun(`
      a = socket(AF_INET, SOCK_DGRAM, 0)
      bind(a, 0.0.0.0:5000) = 0
      b = socket(AF_INET, SOCK_DGRAM, 0)
      bind(b, 127.0.0.1:5001) = 0
      u = socket(AF_INET, SOCK_DGRAM, 0)
      connect(u, 127.0.0.1:5001) = 0
      sendto(u, 10, 0, 127.0.0.1:5000) = 10
      send(u, 20, 0) = 20
      recv(a, 100, MSG_DONTWAIT) = 10
      recv(b, 100, MSG_DONTWAIT) = 20
      connect(u, AF_UNSPEC) = 0
      send(u, 10, 0) = -1 EDESTADDRREQ
      sendto(u, 11, 0, 0.0.0.0:5000) = 11
      sendto(u, 12, 0, 127.7.7.7:5000) = 12
      recv(a, 100, MSG_DONTWAIT) = 11
      recv(a, 100, MSG_DONTWAIT) = 12
    `)
  })

  test('a connected socket takes datagrams of its peer only', () => {
    const [a, b, c] = [udp(5001), udp(5002), udp(5003)]
    expect(p.connect(a, sockaddrIn(LOOPBACK, 5002))).toBe(0)
    expect(send(c, new Uint8Array(5), 5001)).toBe(5)
    expect(send(b, new Uint8Array(6), 5001)).toBe(6)
    const got = recvmsg(a, 100)
    expect(got.result).toBe(6)
    expect([...got.from.subarray(0, 8)]).toEqual([2, 0, 5002 >> 8, 5002 & 255, 127, 0, 0, 1])
    expect(recvmsg(a, 100).result).toBe(EAGAIN)
    expect(counters().udp.NoPorts).toBe(1)
  })

  test('a full receive buffer drops, and counts it', () => {
    const before = live_objects()
    const r = udp(5000)
    p.setsockopt(r, SOL_SOCKET, 8, int(2304))
    const u = udp()
    for (let i = 0; i < 10; i++) expect(send(u, new Uint8Array(1000), 5000)).toBe(1000)
    let taken = 0
    while (recvmsg(r, 1000).result === 1000) taken++
    expect(taken).toBeGreaterThan(0)
    expect(taken).toBeLessThan(10)
    expect(counters().udp.RcvbufErrors).toBe(10 - taken)
    expect(counters().udp.InErrors).toBe(10 - taken)
    // room again
    expect(send(u, new Uint8Array(1000), 5000)).toBe(1000)
    expect(recvmsg(r, 1000).result).toBe(1000)
    expect(p.syscall('close', r) + p.syscall('close', u)).toBe(0)
    host.sleep(2000)
    expect(live_objects().get('kmalloc-2k') ?? 0).toBe(before.get('kmalloc-2k') ?? 0)
  })

  test('UDP_SEGMENT sends one packet down, and datagrams of that size arrive', () => {
    expectRun(`
      r = socket(AF_INET, SOCK_DGRAM, 0)
      bind(r, 127.0.0.1:5000) = 0
      u = socket(AF_INET, SOCK_DGRAM, 0)
      sendmsg(u, 2500, 0, UDP_SEGMENT=1000, 127.0.0.1:5000) = 2500
      recv(r, 9000, 0) = 1000
      recv(r, 9000, 0) = 1000
      recv(r, 9000, 0) = 500
      setsockopt(r, SOL_UDP, UDP_GRO, 1) = 0
      connect(u, 127.0.0.1:5000) = 0
      setsockopt(u, SOL_UDP, UDP_SEGMENT, 500) = 0
      send(u, 1200, 0) = 1200
    `)
    expect(wire).toHaveLength(2)
  })

  test('with UDP_GRO a train stays together, and says the size of its parts', () => {
    const r = udp(5000)
    const u = udp()
    expect(p.setsockopt(r, SOL_UDP, 104, int(1))).toBe(0)
    expect(p.setsockopt(u, SOL_UDP, 103, int(500))).toBe(0)
    expect(send(u, new Uint8Array(1200), 5000)).toBe(1200)
    const got = recvmsg(r, 9000)
    expect(got.result).toBe(1200)
    expect(new DataView((got.control.get('17/104') as Uint8Array).buffer).getInt32(0, true)).toBe(500)
  })

  test('TTL and TOS come from options, or for one datagram from control messages', () => {
    const r = udp(5000)
    for (const option of [12, 13]) p.setsockopt(r, SOL_IP, option, int(1))
    const u = udp()
    p.setsockopt(u, SOL_IP, 2, int(7))
    p.setsockopt(u, SOL_IP, 1, int(0x10))
    expect(send(u, new Uint8Array(1), 5000)).toBe(1)
    p.with((lend) => {
      const control = Buffer.concat([cmsg(SOL_IP, 2, int(9)), cmsg(SOL_IP, 1, int(8))])
      expect(p.msg('sendmsg', u, [{ address: lend(new Uint8Array(2)), length: 2 }], 0, sockaddrIn(LOOPBACK, 5000), control)).toBe(
        2,
      )
    })
    expect(wire.map((f) => [f[1], f[8]])).toEqual([
      [0x10, 7],
      [8, 9],
    ])
    const [first, second] = [recvmsg(r, 10), recvmsg(r, 10)]
    expect([first.control.get('0/2')?.[0], first.control.get('0/1')?.[0]]).toEqual([7, 0x10])
    expect([second.control.get('0/2')?.[0], second.control.get('0/1')?.[0]]).toEqual([9, 8])
  })

  test('IP_PKTINFO tells the interface and both addresses', () => {
    const r = p.syscall('socket', AF_INET, SOCK_DGRAM, 0)
    p.bind(r, sockaddrIn(0, 5000))
    p.setsockopt(r, SOL_IP, 8, int(1))
    expect(send(udp(), new Uint8Array(1), 5000, 0x7f010203)).toBe(1)
    const info = recvmsg(r, 10).control.get('0/8')
    expect([...(info ?? [])]).toEqual([1, 0, 0, 0, 127, 1, 2, 3, 127, 1, 2, 3])
  })

  test('SO_REUSEPORT shares a port, without it the second bind fails', () => {
    const bound = (reuse: number): number => {
      const fd = p.syscall('socket', AF_INET, SOCK_DGRAM, 0)
      p.setsockopt(fd, SOL_SOCKET, 15, int(reuse))
      return p.bind(fd, sockaddrIn(LOOPBACK, 5000)) === 0 ? fd : -1
    }
    const [a, b] = [bound(1), bound(1)]
    expect(a).toBeGreaterThan(0)
    expect(b).toBeGreaterThan(0)
    expect(bound(0)).toBe(-1)
    // each sender has its receiver, and every datagram one
    for (let i = 0; i < 20; i++) {
      const u = udp()
      for (let k = 0; k < 2; k++) send(u, new Uint8Array([i]), 5000)
    }
    const take = (fd: number): number[] => {
      const seen: number[] = []
      for (let g = recvmsg(fd, 1); g.result === 1; g = recvmsg(fd, 1)) seen.push(g.bytes[0] ?? -1)
      return seen
    }
    const [ofA, ofB] = [take(a), take(b)]
    expect(ofA.length + ofB.length).toBe(40)
    expect(ofA.length).toBeGreaterThan(0)
    expect(ofB.length).toBeGreaterThan(0)
    expect(ofA.filter((i) => ofB.includes(i))).toEqual([])
  })

  test('a group reaches each of its members on lo', () => {
    expectRun(`
      r = socket(AF_INET, SOCK_DGRAM, 0)
      bind(r, 0.0.0.0:5000) = 0
      q = socket(AF_INET, SOCK_DGRAM, 0)
      bind(q, 0.0.0.0:5000) = 0
      u = socket(AF_INET, SOCK_DGRAM, 0)
      sendto(u, 100, 0, 224.1.1.1:5000) = -1 ENETUNREACH
      setsockopt(u, SOL_IP, IP_MULTICAST_IF, {0,0,1}) = 0
      sendto(u, 100, 0, 224.1.1.1:5000) = 100
      recv(r, 100, MSG_DONTWAIT) = -1 EAGAIN
      setsockopt(r, SOL_IP, IP_ADD_MEMBERSHIP, {16843232,0,1}) = 0
      setsockopt(r, SOL_IP, IP_ADD_MEMBERSHIP, {16843232,0,1}) = -1 EADDRINUSE
      setsockopt(q, SOL_IP, IP_ADD_MEMBERSHIP, {16843232,0,1}) = 0
      sendto(u, 90, 0, 224.1.1.1:5000) = 90
      recv(r, 100, MSG_DONTWAIT) = 90
      recv(q, 100, MSG_DONTWAIT) = 90
      setsockopt(q, SOL_IP, IP_DROP_MEMBERSHIP, {16843232,0,1}) = 0
      setsockopt(q, SOL_IP, IP_DROP_MEMBERSHIP, {16843232,0,1}) = -1 EADDRNOTAVAIL
      close(r) = 0
      sendto(u, 80, 0, 224.1.1.1:5000) = 80
      recv(q, 100, MSG_DONTWAIT) = -1 EAGAIN
    `)
    expect(wire.every((f) => f[8] === 1)).toBe(true)
  })

  test('sendfile sends datagrams of the file', () => {
    expectRun(`
      r = socket(AF_INET, SOCK_DGRAM, 0)
      bind(r, 127.0.0.1:5000) = 0
      u = socket(AF_INET, SOCK_DGRAM, 0)
      connect(u, 127.0.0.1:5000) = 0
      f = open("/tmp/f", 6000)
      sendfile(u, f, 6000) = 6000
      recv(r, 9000, 0) = 6000
      recv(r, 9000, MSG_DONTWAIT) = -1 EAGAIN
    `)
  })
})

describe('ICMP errors', () => {
  test('a closed port is answered with the header and data that caused it (RFC 792, 1122 4.1.3.1)', () => {
    const u = udp(40000)
    const payload = Uint8Array.from({ length: 100 }, (_, i) => i)
    expect(p.connect(u, sockaddrIn(LOOPBACK, 5001))).toBe(0)
    p.with((lend) => {
      expect(p.sendto(u, lend(payload), 100, 0, null)).toBe(100)
      expect(p.sendto(u, lend(payload), 100, 0, null)).toBe(ECONNREFUSED)
      // the error was told once
      expect(p.sendto(u, lend(payload), 100, 0, null)).toBe(100)
    })
    const icmp = wire[1] as Uint8Array
    expect(icmp[9]).toBe(IPPROTO_ICMP)
    expect([icmp[20], icmp[21]]).toEqual([3, 3])
    const quoted = icmp.subarray(28)
    expect(quoted).toHaveLength(128)
    expect(Buffer.compare(quoted, wire[0] as Uint8Array)).toBe(0)
    expect(icmp[1]).toBe(0xc0)
    expect(counters().udp.NoPorts).toBe(2)
    expect(counters().icmp.OutType[3]).toBe(2)
    expect(counters().icmp.InType[3]).toBe(2)
  })

  test('an unconnected socket hears nothing of it, unless it asked with IP_RECVERR', () => {
    const u = udp()
    expect(send(u, new Uint8Array(10), 7777)).toBe(10)
    expect(send(u, new Uint8Array(10), 7777)).toBe(10)
    expect(recvmsg(u, 100).result).toBe(EAGAIN)
    expect(p.setsockopt(u, SOL_IP, 11, int(1))).toBe(0)
    expect(send(u, new Uint8Array([1, 2, 3]), 7777)).toBe(3)
    const got = recvmsg(u, 100, MSG_ERRQUEUE)
    expect([...got.bytes]).toEqual([1, 2, 3])
    expect(got.flags & MSG_ERRQUEUE).toBe(MSG_ERRQUEUE)
    // whom it was for
    expect([...got.from.subarray(2, 8)]).toEqual([7777 >> 8, 7777 & 255, 127, 0, 0, 1])
    // sock_extended_err: errno, origin ICMP, type 3, code 3; then who says so
    const e = got.control.get('0/11') as Uint8Array
    expect([...e.subarray(0, 8)]).toEqual([111, 0, 0, 0, 2, 3, 3, 0])
    expect([...e.subarray(16, 24)]).toEqual([2, 0, 0, 0, 127, 0, 0, 1])
    expect(recvmsg(u, 100, MSG_ERRQUEUE).result).toBe(EAGAIN)
  })

  test('EMSGSIZE with IP_RECVERR is queued with the limit', () => {
    const u = udp()
    p.setsockopt(u, SOL_IP, 11, int(1))
    expect(send(u, new Uint8Array(65508), 5000)).toBe(-90)
    const e = recvmsg(u, 100, MSG_ERRQUEUE).control.get('0/11') as Uint8Array
    // origin local; ee_info is the largest packet
    expect([...e.subarray(0, 8)]).toEqual([90, 0, 0, 0, 1, 0, 0, 0])
    expect(new DataView(e.buffer).getUint32(8, true)).toBeGreaterThan(65000)
  })
})

describe('raw sockets', () => {
  const icmpSum = (b: Uint8Array): number => {
    let sum = 0
    for (let i = 0; i < b.length; i += 2) sum += ((b[i] ?? 0) << 8) | (b[i + 1] ?? 0)
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
    return ~sum & 0xffff
  }

  test('an echo request comes back as an echo reply with the same data (RFC 792)', () => {
    const r = p.syscall('socket', AF_INET, SOCK_RAW, IPPROTO_ICMP)
    const request = Uint8Array.from({ length: 64 }, (_, i) => i)
    request.set([8, 0, 0, 0, 0x12, 0x34, 0, 1])
    const sum = icmpSum(request)
    request.set([sum >> 8, sum & 255], 2)
    expect(send(r, request, 0)).toBe(64)
    // a raw socket gets the IP header too; it sees its own request first
    const [asked, reply] = [recvmsg(r, 200), recvmsg(r, 200)]
    expect(asked.result).toBe(84)
    expect(Buffer.compare(asked.bytes.subarray(20), request)).toBe(0)
    expect(reply.result).toBe(84)
    expect(reply.bytes[20]).toBe(0)
    expect(icmpSum(reply.bytes.subarray(20))).toBe(0)
    expect(Buffer.compare(reply.bytes.subarray(24), request.subarray(4))).toBe(0)
    expect(recvmsg(r, 200).result).toBe(EAGAIN)
    expect(counters().icmp.InType[8]).toBe(1)
    expect(counters().icmp.OutType[0]).toBe(1)
    expect(counters().icmp.InType[0]).toBe(1)
  })

  test('a wrong checksum is counted and not answered', () => {
    const r = p.syscall('socket', AF_INET, SOCK_RAW, IPPROTO_ICMP)
    const request = new Uint8Array(64)
    request[0] = 8
    expect(send(r, request, 0)).toBe(64)
    expect(counters().icmp.InCsumErrors).toBe(1)
    expect(counters().icmp.OutType[0]).toBe(0)
    expect(wire).toHaveLength(1)
  })

  test('a protocol that nobody listens to is answered with protocol unreachable', () => {
    const r = p.syscall('socket', AF_INET, SOCK_RAW, 253)
    expect(send(r, new Uint8Array(8), 0)).toBe(8)
    // its own copy is enough: the packet had a taker
    expect(wire).toHaveLength(1)
    expect(p.syscall('close', r)).toBe(0)
    const other = p.syscall('socket', AF_INET, SOCK_RAW, 255)
    const packet = new Uint8Array(28)
    packet.set([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 252, 0, 0, 0, 0, 0, 0, 127, 0, 0, 1])
    expect(send(other, packet, 0)).toBe(28)
    const [mine, icmp] = [wire[1] as Uint8Array, wire[2] as Uint8Array]
    // the kernel fills in source, identification and checksum
    expect([...mine.subarray(12, 16)]).toEqual([127, 0, 0, 1])
    expect(icmpSum(mine.subarray(0, 20))).toBe(0)
    expect([icmp[20], icmp[21]]).toEqual([3, 2])
  })

  test('what raw sockets refuse', () => {
    expectRun(`
      r = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)
      socket(AF_INET, SOCK_RAW, 0) = -1 EPROTONOSUPPORT
      send(r, 64, 0) = -1 EDESTADDRREQ
      sendto(r, 70000, 0, 127.0.0.1:0) = -1 EMSGSIZE
      sendto(r, 64, MSG_OOB, 127.0.0.1:0) = -1 EOPNOTSUPP
      sendto(r, 1, 0, 127.0.0.1:0) = -1 EFAULT
      setsockopt(r, SOL_IP, IP_HDRINCL, 1) = 0
      sendto(r, 64, 0, 127.0.0.1:0) = -1 EINVAL
    `)
  })
})

describe('AF_UNIX', () => {
  test('datagrams keep their boundaries and know their sender', () => {
    expectRun(`
      a = socket(AF_UNIX, SOCK_DGRAM, 0)
      bind(a, "/tmp/s") = 0
      b = socket(AF_UNIX, SOCK_DGRAM, 0)
      bind(b, "@abstract") = 0
      send(b, 10, 0) = -1 ENOTCONN
      sendto(b, 10, 0, "/tmp/none") = -1 ENOENT
      connect(b, "/tmp") = -1 ECONNREFUSED
      connect(b, "/tmp/s/x") = -1 ENOTDIR
      sendto(b, 10, 0, "@none") = -1 ECONNREFUSED
      sendto(b, 10, 0, "/tmp/s") = 10
      connect(b, "/tmp/s") = 0
      send(b, 20, 0) = 20
      send(b, 0, 0) = 0
      send(b, 10, MSG_OOB) = -1 EOPNOTSUPP
      send(b, 300000, 0) = -1 EMSGSIZE
      send(b, EFAULT/10, 0) = -1 EFAULT
      recv(a, 5, MSG_PEEK) = 5
      recv(a, 5, MSG_TRUNC) = 10
      recv(a, 100, 0) = 20
      recv(a, 100, 0) = 0
      recv(a, 100, MSG_DONTWAIT) = -1 EAGAIN
      close(a) = 0
      send(b, 10, 0) = -1 ECONNREFUSED
      send(b, 10, 0) = -1 ENOTCONN
    `)
  })

  test('a datagram socket with a peer takes nothing of others', () => {
    expectRun(`
      a = socket(AF_UNIX, SOCK_DGRAM, 0)
      bind(a, "@a") = 0
      b = socket(AF_UNIX, SOCK_DGRAM, 0)
      bind(b, "@b") = 0
      connect(a, "@b") = 0
      c = socket(AF_UNIX, SOCK_DGRAM, 0)
      sendto(c, 10, 0, "@a") = -1 EPERM
      connect(c, "@a") = -1 EPERM
      sendto(b, 10, 0, "@a") = 10
      bind(c, "@a") = -1 EADDRINUSE
    `)
  })

  test('a receiver takes net.unix.max_dgram_qlen datagrams and one', () => {
    const got = run(`
      a = socket(AF_UNIX, SOCK_DGRAM, 0)
      bind(a, "@a")
      b = socket(AF_UNIX, SOCK_DGRAM, 0)
      ${'> sendto(b, 10, MSG_DONTWAIT, "@a")\n'.repeat(13)}`)
    expect(got.filter((r) => r === '10')).toHaveLength(11)
    expect(got.slice(11)).toEqual(['-1 EAGAIN', '-1 EAGAIN'])
  })

  test('a stream runs full, ends and breaks', () => {
    expectRun(`
      socketpair(AF_UNIX, SOCK_STREAM) = 0
      send(p0, 500000, MSG_DONTWAIT) = 219264
      send(p0, 500000, MSG_DONTWAIT) = -1 EAGAIN
      recv(p1, 400000, 0) = 219264
      writev(p0, [100,200]) = 300
      sendmsg(p0, [1,2], 0) = 3
      recv(p1, 50, MSG_PEEK) = 50
      recv(p1, 1000, 0) = 303
      sendto(p0, 100, 0, "/tmp/x") = -1 EISCONN
      shutdown(p0, SHUT_WR) = 0
      send(p0, 100, 0) = -1 EPIPE
      recv(p1, 100, 0) = 0
      send(p1, 100, 0) = 100
      close(p0) = 0
      send(p1, 100, 0) = -1 EPIPE
      recv(p1, 100, 0) = -1 ECONNRESET
      recv(p1, 100, 0) = 0
    `)
  })

  test('the byte of MSG_OOB is read beside the stream, and a read stops at its place', () => {
    expectRun(`
      socketpair(AF_UNIX, SOCK_STREAM) = 0
      recv(p1, 1, MSG_OOB) = -1 EINVAL
      send(p0, 10, 0) = 10
      send(p0, 5, MSG_OOB) = 5
      send(p0, 3, 0) = 3
      recv(p1, 100, MSG_PEEK) = 14
      recv(p1, 1, MSG_OOB) = 1
      recv(p1, 1, MSG_OOB) = -1 EINVAL
      recv(p1, 100, 0) = 14
      recv(p1, 100, 0) = 3
      recv(p1, 100, MSG_DONTWAIT) = -1 EAGAIN
      send(p0, 0, MSG_OOB) = -1 EOPNOTSUPP
    `)
  })

  test('seqpacket: a connection with boundaries', () => {
    expectRun(`
      s = socket(AF_UNIX, SOCK_SEQPACKET, 0)
      bind(s, "/tmp/q") = 0
      listen(s, 1) = 0
      t = socket(AF_UNIX, SOCK_SEQPACKET, 0)
      send(t, 10, 0) = -1 ENOTCONN
      x = socket(AF_UNIX, SOCK_STREAM, 0)
      connect(x, "/tmp/q") = -1 EPROTOTYPE
      connect(t, "/tmp/q") = 0
      v = accept(s)
      send(t, 100, 0) = 100
      send(t, 50, 0) = 50
      recv(v, 20, 0) = 20
      recv(v, 200, 0) = 50
      close(v) = 0
      send(t, 10, 0) = -1 EPIPE
      recv(t, 10, 0) = 0
    `)
  })

  test('sendfile into a stream', () => {
    expectRun(`
      socketpair(AF_UNIX, SOCK_STREAM) = 0
      f = open("/tmp/f", 10000)
      sendfile(p0, f, 6000) = 6000
      sendfile(p0, f, 6000) = 4000
      sendfile(p0, f, 6000) = 0
      recv(p1, 20000, 0) = 10000
    `)
  })

  test('nothing is left of sockets that are closed with data in flight', () => {
    const before = live_objects()
    run(`
      socketpair(AF_UNIX, SOCK_STREAM)
      send(p0, 100000, 0)
      send(p1, 10, MSG_OOB)
      close(p0)
      close(p1)
      a = socket(AF_UNIX, SOCK_DGRAM)
      bind(a, "@a")
      sendto(a, 60000, 0, "@a")
      close(a)
      r = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)
      sendto(r, 64, 0, 127.0.0.1:0)
      close(r)
      u = socket(AF_INET, SOCK_DGRAM)
      bind(u, 127.0.0.1:5000)
      sendto(u, 60000, MSG_MORE, 127.0.0.1:5000)
      close(u)
      sleep_ms(2000)`)
    const after = live_objects()
    for (const name of [
      'skbuff_head_cache',
      'skbuff_small_head',
      'UNIX',
      'UNIX-STREAM',
      'RAW',
      'UDP',
      'sock_inode_cache',
      'filp',
    ])
      expect(`${name} ${after.get(name) ?? 0}`).toBe(`${name} ${before.get(name) ?? 0}`)
  })
})

describe('pipes', () => {
  test('hold 64 KiB, know no messages and no socket calls', () => {
    expectRun(`
      pipe() = 0
      write(p1, 100) = 100
      write(p1, 5000) = 5000
      read(p0, 50) = 50
      read(p0, 9000) = 5050
      send(p1, 100, 0) = -1 ENOTSOCK
      recv(p0, 100, 0) = -1 ENOTSOCK
      f = open("/tmp/f", 10000)
      sendfile(p1, f, 6000) = 6000
      read(p0, 9000) = 6000
      fcntl(p1, F_SETFL, O_NONBLOCK) = 0
      fcntl(p1, F_GETFL) = 2049
      write(p1, 70000) = 65536
      write(p1, 1) = -1 EAGAIN
      read(p1, 10) = -1 EBADF
      write(p0, 10) = -1 EBADF
      close(p0) = 0
      write(p1, 10) = -1 EPIPE
    `)
  })
})
