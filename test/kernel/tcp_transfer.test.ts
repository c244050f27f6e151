import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { bytesOf } from '../../src/formats/format.ts'
import { ints, sockaddrIn } from '../../src/host/abi.ts'
import { Host } from '../../src/host/host.ts'
import type { Process } from '../../src/host/process.ts'
import { live_objects } from '../../src/kernel/mm/slub.ts'
import { Runner } from '../../src/script/runner.ts'
import { parseScenario, ScenarioError } from '../../src/script/scenario.ts'
import { listen, type Sink, traceTime } from '../../src/trace/tracer.ts'

/** a TCP segment as it went over `lo`; sequence numbers count from the SYN of their direction, the first byte is 1 */
interface Segment {
  /** milliseconds since the first frame */
  ms: number
  /** from the client, which has port 40000 or above */
  up: boolean
  seq: number
  ack: number
  flags: string
  window: number
  urgent: number
  payload: Uint8Array
  ipLength: number
  /** kinds of the options */
  options: number[]
  timestamps: { value: number; echo: number } | null
}

const FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG']

/** Runs a scenario; what its calls returned and what was on the wire. */
class Lab implements Sink {
  readonly host = new Host({ seed: 5 })
  readonly results: string[] = []
  readonly wire: Segment[] = []
  readonly #start = new Map<boolean, number>()
  #epoch = -1
  #failed: unknown = null
  #runner = new Runner(this.host, { begin: () => {}, end: (r) => void this.results.push(r) })

  enter(): void {}
  exit(): void {}
  frame(_device: string, _netns: string, _direction: string, skb: Parameters<NonNullable<Sink['frame']>>[3]): void {
    const b = bytesOf(skb).slice()
    const d = new DataView(b.buffer)
    const ip = 14
    const tcp = ip + ((b[ip] ?? 0) & 15) * 4
    const ipLength = d.getUint16(ip + 2)
    const header = ((b[tcp + 12] ?? 0) >> 4) * 4
    const up = d.getUint16(tcp) >= 32768
    const now = traceTime() / 1e6
    if (this.#epoch < 0) this.#epoch = now
    if ((b[tcp + 13] ?? 0) & 2) this.#start.set(up, d.getUint32(tcp + 4))
    const options: number[] = []
    let timestamps: Segment['timestamps'] = null
    for (let at = tcp + 20; at < tcp + header && b[at] !== 0; ) {
      const kind = b[at] ?? 0
      if (kind !== 1) options.push(kind)
      if (kind === 8) timestamps = { value: d.getUint32(at + 2), echo: d.getUint32(at + 6) }
      at += kind === 1 ? 1 : Math.max(2, b[at + 1] ?? 2)
    }
    this.wire.push({
      ms: now - this.#epoch,
      up,
      seq: (d.getUint32(tcp + 4) - (this.#start.get(up) ?? 0)) >>> 0,
      ack: (d.getUint32(tcp + 8) - (this.#start.get(!up) ?? 0)) >>> 0,
      flags: FLAGS.filter((_, i) => ((b[tcp + 13] ?? 0) >> i) & 1).join(' '),
      window: d.getUint16(tcp + 14),
      urgent: d.getUint16(tcp + 18),
      payload: b.subarray(tcp + header, ip + ipLength),
      ipLength,
      options,
      timestamps,
    })
  }

  /** the results of the calls of `text`; what it sent is in `wire` */
  run(text: string): string[] {
    this.results.length = 0
    this.wire.length = 0
    listen(this)
    try {
      // every call but these is recorded, so that its result is known
      for (const s of parseScenario(text.replace(/^(?=\w+\()(?!drain|sleep_ms|timer)/gm, '> '))) this.#runner.step(s)
    } catch (e) {
      this.#failed = e
      throw e
    } finally {
      listen(null)
    }
    return [...this.results]
  }

  get failed(): unknown {
    return this.#failed
  }

  get process(): Process {
    return this.host.process
  }

  fd(name: string): number {
    return this.#runner.variables.get(name) ?? -1
  }

  /** a member of struct tcp_info, by its offset */
  info(name: string, offset: number): number {
    const { value } = this.process.getsockopt(this.fd(name), 6, 11, 232)
    return new DataView(value.buffer, value.byteOffset).getUint32(offset, true)
  }

  /** segments with data of the client */
  get data(): Segment[] {
    return this.wire.filter((s) => s.up && s.payload.length > 0)
  }
}

const TCPI_SND_CWND = 80
const TCPI_SND_SSTHRESH = 76

const connected = (before = '', after = ''): string => `l = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)
bind(l, 127.0.0.1:8080)
listen(l, 8)
c = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)
bind(c, 127.0.0.1:40000)
${before}
connect(c, 127.0.0.1:8080)
s = accept(l)
${after}`

let lab: Lab
beforeEach(() => {
  lab = new Lab()
})

/** a connection whose wire starts afresh */
function open(before = '', after = ''): void {
  lab.run(connected(before, after))
}
const sum = (list: readonly Segment[]): number => list.reduce((n, s) => n + s.payload.length, 0)

describe('what a call returns', () => {
  test('a buffer that may not be read: EFAULT, and the connection lives on', () => {
    open()
    expect(
      lab.run('send(c, EFAULT/4096, 0)\nwrite(c, EFAULT/1)\nsend(c, 100, 0)\nrecv(s, EFAULT/50, 0)\nrecv(s, 200, 0)'),
    ).toEqual(['-1 EFAULT', '-1 EFAULT', '100', '-1 EFAULT', '100'])
    expect(sum(lab.data)).toBe(100)
  })

  test('a message that is readable in part goes as far as it is', () => {
    open()
    const p = lab.process
    const b = p.map(1000, 'pattern')
    expect(p.msg('sendmsg', lab.fd('c'), [b, p.unreadable(500)], 0, null, null)).toBe(-14)
    expect(p.vector('writev', lab.fd('c'), [b, b])).toBe(2000)
    expect(lab.run('recv(s, 4000, 0)')).toEqual(['2000'])
    // what a page fragment of 32 KiB takes is sent or refused as a whole
    expect(
      lab.run('sendmsg(c, [100,EFAULT/100], 0)\nsendmsg(c, [40000,EFAULT/100], 0)\nwritev(c, [EFAULT/1,100])').slice(0, 3),
    ).toEqual(['-1 EFAULT', '32768', '-1 EFAULT'])
  })

  test('no room without blocking: what fits, then EAGAIN; room again when the reader has read', () => {
    open()
    const [first, second, third] = lab.run(
      'send(c, 10000000, MSG_DONTWAIT)\nsend(c, 1000, MSG_DONTWAIT)\nrecv(c, 1, MSG_DONTWAIT)\ndrain(s)\nsleep_ms(50)\nsend(c, 1000, MSG_DONTWAIT)',
    )
    expect(Number(first)).toBeGreaterThan(100_000)
    expect([second, third, lab.results[3]]).toEqual(['-1 EAGAIN', '-1 EAGAIN', '1000'])
  })

  test('SO_SNDTIMEO ends a wait; without it a wait that nobody ends is an error of the scenario', () => {
    open('', 'setsockopt(c, SOL_SOCKET, SO_SNDBUF, 5000)\nsetsockopt(c, SOL_SOCKET, SO_SNDTIMEO, {0,100000})')
    const [part, rest] = lab.run('send(c, 10000000, 0)\nsend(c, 10000000, 0)')
    expect(Number(part)).toBeGreaterThan(0)
    expect(rest).toBe('-1 EAGAIN')
    lab.run('setsockopt(c, SOL_SOCKET, SO_SNDTIMEO, {0,0})')
    expect(() => lab.run('send(c, 10000000, 0)')).toThrow(ScenarioError)
    expect(String(lab.failed)).toContain('would wait for ever')
  })

  test('a blocking send waits until ACKs make room, and sends everything', () => {
    open('', 'setsockopt(c, SOL_SOCKET, SO_SNDBUF, 5000)')
    expect(lab.run('send(c, 100000, 0)')).toEqual(['100000'])
    expect(sum(lab.data)).toBe(100_000)
  })

  test('end of stream, broken pipe, reset', () => {
    open()
    expect(
      lab.run('shutdown(c, SHUT_WR)\nrecv(s, 10, 0)\nrecv(s, 10, 0)\nsend(c, 10, 0)\nsend(s, 10, 0)\nrecv(c, 10, 0)'),
    ).toEqual(['0', '0', '0', '-1 EPIPE', '10', '10'])
    lab = new Lab()
    open('', 'setsockopt(s, SOL_SOCKET, SO_LINGER, {1,0})\nclose(s)')
    expect(lab.run('recv(c, 10, 0)\nrecv(c, 10, 0)\nsend(c, 10, 0)')).toEqual(['-1 ECONNRESET', '0', '-1 EPIPE'])
  })

  test('nothing sent, nothing received', () => {
    open()
    expect(lab.run('send(c, 0, 0)\nwrite(c, 0)\nsendmsg(c, [0,0], 0)\nrecv(s, 0, MSG_DONTWAIT)')).toEqual([
      '0',
      '0',
      '0',
      '-1 EAGAIN',
    ])
    expect(lab.data).toEqual([])
    expect(lab.run('send(c, 5, 0)\nrecv(s, 0, 0)\nrecv(s, 9, 0)')).toEqual(['5', '0', '5'])
  })

  test('MSG_PEEK leaves the data, MSG_TRUNC drops it, MSG_WAITALL collects it', () => {
    open('', 'send(c, 4096, 0)')
    expect(
      lab.run(
        'recv(s, 1000, MSG_PEEK)\nrecv(s, 9000, MSG_PEEK)\nrecv(s, 1000, 0)\nrecv(s, 96, MSG_TRUNC)\nrecv(s, 3000, MSG_WAITALL)\nsend(c, 9, 0)\nrecv(s, 10, MSG_WAITALL|MSG_DONTWAIT)',
      ),
    ).toEqual(['1000', '4096', '1000', '96', '3000', '9', '9'])
  })

  test('SO_PEEK_OFF moves with the peeks', () => {
    open('', 'send(c, 300, 0)\nsetsockopt(s, SOL_SOCKET, SO_PEEK_OFF, 0)')
    const p = lab.process
    const b = p.map(300, 'untouched')
    const peek = (n: number): number[] => {
      const got = p.syscall('recvfrom', lab.fd('s'), b.address, n, 2, 0, 0)
      return [got, p.peek(b.address, 1)[0] ?? -1]
    }
    expect([peek(100), peek(100), peek(300)]).toEqual([
      [100, 0],
      [100, 100],
      [100, 200],
    ])
  })

  test('sendfile sends what the file has, from where it stands', () => {
    open('', 'f = open("/tmp/f", 20000)')
    expect(lab.run('sendfile(c, f, 16384)\nsendfile(c, f, 100000)\nsendfile(c, f, 100)')).toEqual(['16384', '3616', '0'])
    expect(Buffer.concat(lab.data.map((s) => s.payload))).toEqual(Buffer.from(Array.from({ length: 20_000 }, (_, i) => i & 0xff)))
  })
})

describe('what goes over the wire', () => {
  test.each([1, 1448, 32_768, 65_483, 65_484, 65_536, 100_000, 1_000_000])('%i bytes, each once and in order', (n) => {
    open()
    expect(lab.run(`send(c, ${n}, 0)\nsleep_ms(5)\n${'drain(s)\nsleep_ms(300)\n'.repeat(20)}`)).toEqual([String(n)])
    let next = 1
    for (const s of lab.data) {
      if (s.seq + s.payload.length <= next) continue
      expect(s.seq).toBe(next)
      expect(s.ipLength).toBeLessThanOrEqual(65_535)
      next = s.seq + s.payload.length
    }
    expect(next).toBe(n + 1)
  })

  test('RFC 7323: every segment has a timestamp and echoes the last one in order', () => {
    open()
    lab.run('send(c, 100, 0)\nsend(s, 100, 0)')
    const [first, ack] = lab.wire
    expect(lab.wire.every((s) => s.timestamps !== null)).toBe(true)
    expect(ack?.timestamps?.echo).toBe(first?.timestamps?.value)
  })

  test('RFC 1122 4.2.3.4: no segment has more than half of the largest window of the receiver', () => {
    open('setsockopt(l, SOL_SOCKET, SO_RCVBUF, 8192)')
    lab.run('send(c, 20000, MSG_DONTWAIT)')
    const window = 8192
    expect(lab.data[0]?.payload.length).toBe(window / 2)
    expect(Math.max(...lab.data.map((s) => s.payload.length))).toBeLessThanOrEqual(window / 2)
  })

  test('TCP_MAXSEG: segments are of whole MSS, less the timestamp option, but the last', () => {
    open('setsockopt(c, SOL_TCP, TCP_MAXSEG, 536)')
    lab.run('send(c, 10000, 0)')
    for (const s of lab.data.slice(0, -1)) expect(s.payload.length % 524).toBe(0)
    expect(sum(lab.data)).toBe(10_000)
    // RFC 6928: ten segments at first
    const beforeAck = lab.data.filter((s) => s.ms === lab.data[0]?.ms)
    expect(sum(beforeAck)).toBeLessThanOrEqual(10 * 524)
  })

  test('Nagle: one small segment is on the way at most; TCP_NODELAY sends each at once', () => {
    open()
    lab.run('send(c, 10, 0)\n'.repeat(40))
    let acked = 1
    let sent = 1
    for (const s of lab.wire) {
      if (!s.up) acked = s.ack
      else if (s.payload.length > 0) {
        expect(sent).toBe(acked)
        sent = s.seq + s.payload.length
      }
    }
    lab = new Lab()
    open('', 'setsockopt(c, SOL_TCP, TCP_NODELAY, 1)')
    // as many as the congestion window has room for, while the ACKs of the last ones wait
    lab.run('send(c, 10, 0)\n'.repeat(12))
    expect(lab.data.map((s) => s.payload.length)).toEqual(Array.from({ length: 12 }, () => 10))
  })

  test('TCP_CORK and MSG_MORE hold the data back; uncorking lets it go in one segment', () => {
    open('', 'setsockopt(c, SOL_TCP, TCP_CORK, 1)')
    lab.run('send(c, 100, 0)\nsend(c, 200, 0)\nsleep_ms(100)')
    expect(lab.data).toEqual([])
    lab.run('setsockopt(c, SOL_TCP, TCP_CORK, 0)')
    expect(lab.data.map((s) => s.payload.length)).toEqual([300])
    lab.run('send(c, 100, MSG_MORE)\nsend(c, 200, MSG_MORE)')
    expect(lab.data).toEqual([])
    lab.run('send(c, 300, 0)')
    expect(lab.data.map((s) => s.payload.length)).toEqual([600])
    expect(lab.data[0]?.flags).toBe('PSH ACK')
  })

  test('tcp(7): corked data goes after 200 ms at the latest', () => {
    open('', 'setsockopt(c, SOL_TCP, TCP_CORK, 1)')
    lab.run('send(c, 100, 0)\nsleep_ms(190)')
    expect(lab.data).toEqual([])
    lab.run('sleep_ms(30)')
    expect(lab.data.map((s) => s.payload.length)).toEqual([100])
  })

  test('MSG_OOB: URG, the pointer behind the byte; the byte is read apart and leaves the stream', () => {
    open()
    expect(
      lab.run('send(c, 100, MSG_OOB)\nrecv(s, 200, 0)\nrecv(s, 1, MSG_OOB)\nrecv(s, 1, MSG_OOB)\nrecv(s, 200, MSG_DONTWAIT)'),
    ).toEqual(['100', '99', '1', '-1 EINVAL', '-1 EAGAIN'])
    expect(lab.data.map((s) => [s.flags, s.urgent])).toEqual([['PSH ACK URG', 100]])
    expect(
      lab.run('setsockopt(s, SOL_SOCKET, SO_OOBINLINE, 1)\nsend(c, 5, MSG_OOB)\nrecv(s, 9, 0)\nrecv(s, 9, MSG_DONTWAIT)'),
    ).toEqual(['0', '5', '4', '1'])
  })

  test('data both ways rides with the ACKs', () => {
    open('', 'send(c, 100, 0)\nrecv(s, 100, 0)\nsend(s, 100, 0)\nrecv(c, 100, 0)')
    lab.run('send(c, 50, 0)\nrecv(s, 50, 0)\nsend(s, 60, 0)\nrecv(c, 60, 0)')
    const answer = lab.wire.filter((s) => !s.up)
    expect(answer.map((s) => [s.payload.length, s.ack])).toEqual([[60, 151]])
  })

  test('MSG_FASTOPEN without a cookie: asks for one in the SYN, and the data goes when the connection stands', () => {
    lab.run(
      'l = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)\nbind(l, 127.0.0.1:8080)\nlisten(l, 8)\nc = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)',
    )
    expect(lab.run('sendto(c, 100, MSG_FASTOPEN, 127.0.0.1:8080)')).toEqual(['100'])
    const [syn, synack, third] = lab.wire
    expect(syn?.flags).toBe('SYN')
    expect(syn?.options).toContain(34)
    expect(syn?.payload.length).toBe(0)
    // the server is not told to serve it: net.ipv4.tcp_fastopen is 1
    expect(synack?.options).not.toContain(34)
    expect(third?.payload.length).toBe(100)
  })

  test('RFC 7413: a server with Fast Open gives a cookie; the next SYN brings it, and data that is accepted at once', () => {
    lab.host.netns('').ipv4.sysctl_tcp_fastopen = 3
    lab.run(
      'l = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)\nbind(l, 127.0.0.1:8080)\nsetsockopt(l, SOL_TCP, TCP_FASTOPEN, 5)\nlisten(l, 8)',
    )
    const call =
      'x = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)\nsendto(x, 100, MSG_FASTOPEN, 127.0.0.1:8080)\ns = accept(l)\nrecv(s, 200, 0)'
    lab.run(call)
    expect(lab.wire[0]).toMatchObject({ flags: 'SYN', payload: { length: 0 } })
    expect(lab.wire[1]).toMatchObject({ flags: 'SYN ACK', ack: 1 })
    expect(lab.wire[1]?.options).toContain(34)
    expect(lab.run(call)).toEqual(['100', '100'])
    expect(lab.wire[0]).toMatchObject({ flags: 'SYN', payload: { length: 100 } })
    expect(lab.wire[0]?.options).toContain(34)
    expect(lab.wire[1]).toMatchObject({ flags: 'SYN ACK', ack: 101 })
    expect(sum(lab.data)).toBe(100)
  })

  test('MSG_ZEROCOPY over loopback: copied on the way up, so that the sender may change its buffer', () => {
    open('', 'setsockopt(c, SOL_SOCKET, SO_ZEROCOPY, 1)')
    const p = lab.process
    const text = new Uint8Array(20_000).fill(7)
    const b = p.map(text.length, text)
    expect(p.syscall('sendto', lab.fd('c'), b.address, b.length, 0x4000000, 0, 0)).toBe(20_000)
    p.unmap(b)
    const to = p.map(30_000, 'untouched')
    expect(p.syscall('recvfrom', lab.fd('s'), to.address, 30_000, 0, 0, 0)).toBe(20_000)
    expect(p.peek(to.address, 20_000)).toEqual(text)
    // the notification, once
    expect(lab.run('recvmsg(c, 10, MSG_ERRQUEUE)\nrecvmsg(c, 10, MSG_ERRQUEUE)')).toEqual(['0', '-1 EAGAIN'])
  })
})

describe('timers, in virtual time', () => {
  test('an answer that does not come within 40 ms lets the delayed ACK go', () => {
    // the exchange before makes the connection interactive
    open('', 'send(c, 100, 0)\nrecv(s, 100, 0)\nsend(s, 100, 0)\nrecv(c, 100, 0)')
    lab.run('send(c, 10, 0)\nrecv(s, 10, 0)\nsleep_ms(100)')
    const [data, ack, ...more] = lab.wire
    expect(more).toEqual([])
    expect(ack).toMatchObject({ up: false, flags: 'ACK', ack: 111 })
    const delay = (ack?.ms ?? 0) - (data?.ms ?? 0)
    // a tick is 4 ms
    expect(delay).toBeGreaterThanOrEqual(36)
    expect(delay).toBeLessThanOrEqual(48)
  })

  test('RFC 6298 5.5, RFC 8985: a probe, then retransmissions, each after twice the time', () => {
    open('', 'setsockopt(s, SOL_SOCKET, SO_RCVBUF, 4096)')
    // the receiver takes the first segment and has no memory for the second
    lab.run('send(c, 60000, MSG_DONTWAIT)\nsleep_ms(10000)')
    const lost = lab.data.filter((s) => s.seq === lab.data[1]?.seq)
    expect(lost.length).toBeGreaterThanOrEqual(5)
    const times = lost.map((s) => s.ms)
    const gaps = times.slice(1).map((t, i) => t - (times[i] ?? 0))
    expect(gaps[0]).toBeGreaterThanOrEqual(200)
    expect(gaps[0]).toBeLessThanOrEqual(220)
    for (let i = 2; i < gaps.length; i++) expect((gaps[i] ?? 0) / (gaps[i - 1] ?? 1)).toBeCloseTo(2, 0)
    const rest = lab.run('recv(s, 40000, 0)\nsleep_ms(10000)\n'.repeat(5))
    expect(rest[0]).toBe('32741')
    expect(rest.reduce((n, r) => n + Number(r), 0)).toBe(60_000)
  })

  test('RFC 9293 3.8.6.1: a window that is closed is probed at growing intervals, until it opens', () => {
    open('setsockopt(l, SOL_SOCKET, SO_RCVBUF, 8192)', 'send(c, 100000, MSG_DONTWAIT)')
    lab.run('sleep_ms(20000)')
    const closed = lab.wire.findIndex((s) => !s.up && s.window === 0)
    const probes = lab.wire.slice(closed).filter((s) => s.up)
    expect(closed).toBeGreaterThan(0)
    expect(probes.length).toBeGreaterThanOrEqual(4)
    const gaps = probes.slice(1).map((s, i) => s.ms - (probes[i]?.ms ?? 0))
    for (let i = 1; i < gaps.length; i++) expect(gaps[i]).toBeGreaterThan((gaps[i - 1] ?? 0) * 1.5)
    expect(sum(probes)).toBe(0)
    lab.run('drain(s)\nsleep_ms(60000)\ndrain(s)\nsleep_ms(1000)')
    expect(sum(lab.data)).toBeGreaterThan(0)
  })

  test('TCP_USER_TIMEOUT gives up: ETIMEDOUT', () => {
    open(
      '',
      'setsockopt(c, SOL_TCP, TCP_USER_TIMEOUT, 1000)\nsetsockopt(s, SOL_SOCKET, SO_RCVBUF, 4096)\nsend(c, 60000, MSG_DONTWAIT)',
    )
    expect(lab.run('sleep_ms(900)\nsend(c, 1, MSG_DONTWAIT)\nsleep_ms(3000)\nsend(c, 1, 0)\nsend(c, 1, 0)')).toEqual([
      '1',
      '-1 ETIMEDOUT',
      '-1 EPIPE',
    ])
  })

  test('RFC 9293 3.8.4: a keep-alive after TCP_KEEPIDLE, one byte before the window, answered by an ACK', () => {
    open('', 'setsockopt(c, SOL_TCP, TCP_KEEPIDLE, 1)\nsetsockopt(c, SOL_SOCKET, SO_KEEPALIVE, 1)')
    lab.run('sleep_ms(900)')
    expect(lab.wire).toEqual([])
    lab.run('sleep_ms(200)')
    expect(lab.wire.map((s) => [s.up, s.flags, s.seq, s.payload.length])).toEqual([
      [true, 'ACK', 0, 0],
      [false, 'ACK', 1, 0],
    ])
  })

  test.each(['cubic', 'reno'])('%s: slow start doubles, RFC 5681 4.1: an idle connection starts anew', (cc) => {
    open(`setsockopt(c, SOL_TCP, TCP_MAXSEG, 536)\nsetsockopt(c, SOL_TCP, TCP_CONGESTION, "${cc}")`)
    expect(lab.info('c', TCPI_SND_CWND)).toBe(10)
    lab.run('send(c, 30000, 0)\ndrain(s)\nsleep_ms(50)\n'.repeat(12))
    const grown = lab.info('c', TCPI_SND_CWND)
    expect(grown).toBeGreaterThan(20)
    expect(lab.info('c', TCPI_SND_SSTHRESH)).toBe(0x7fffffff)
    lab.run('sleep_ms(20000)\nsend(c, 100, 0)')
    expect(lab.info('c', TCPI_SND_CWND)).toBeLessThanOrEqual(11)
    // nothing was lost: it may grow as fast as before
    expect(lab.info('c', TCPI_SND_SSTHRESH)).toBe(0x7fffffff)
  })
})

describe('any options and calls', () => {
  const side = fc.constantFrom(0 as const, 1 as const)
  const value = (max: number): fc.Arbitrary<number> => fc.oneof(fc.constant(1), fc.integer({ min: 1, max }))
  const option = fc.oneof(
    fc.record({ level: fc.constant(6), name: fc.constantFrom(1, 3, 12), value: fc.constantFrom(0, 1) }),
    fc.record({ level: fc.constant(1), name: fc.constantFrom(7, 8), value: value(300_000) }),
    fc.record({ level: fc.constant(1), name: fc.constant(60), value: fc.constant(1) }),
    fc.record({ level: fc.constant(6), name: fc.constantFrom(10, 25), value: value(100_000) }),
  )
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('send' as const),
        side,
        size: value(300_000),
        flags: fc.constantFrom(0, 0, 0x8000, 0x4000000, 0x80),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('recv' as const),
        side,
        size: value(500_000),
        flags: fc.constantFrom(0, 0, 2, 0x100),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('sleep' as const), ms: fc.constantFrom(1, 50, 250, 1000) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('set' as const), side, option }) },
  )
  const MSG_DONTWAIT = 0x40

  test('every byte arrives, and nothing is left behind', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 25 }),
        fc.option(fc.integer({ min: 88, max: 9000 })),
        fc.boolean(),
        (steps, mss, reno) => {
          const host = new Host({ seed: 9 })
          const p = host.process
          const before = new Map(live_objects())
          const l = p.syscall('socket', 2, 1, 0)
          expect(p.bind(l, sockaddrIn(0x7f000001, 8080))).toBe(0)
          p.syscall('listen', l, 8)
          const c = p.syscall('socket', 2, 1, 0)
          if (mss !== null) p.setsockopt(c, 6, 2, ints(mss))
          if (reno) p.setsockopt(c, 6, 13, Buffer.from('reno'))
          expect(p.connect(c, sockaddrIn(0x7f000001, 8080))).toBe(0)
          const fds = [c, p.syscall('accept', l, 0, 0)]
          const sent = [0, 0]
          const got = [0, 0]
          const stream = (from: number, n: number): Uint8Array =>
            Uint8Array.from({ length: n }, (_, i) => ((from + i) * 2654435761) >>> 24)
          const take = (at: number, room: number, flags: number): number => {
            const b = p.map(room, 'untouched')
            const n = p.syscall('recvfrom', fds[at] ?? -1, b.address, room, MSG_DONTWAIT | flags, 0, 0)
            const bytes = n > 0 ? p.peek(b.address, n) : new Uint8Array(0)
            p.unmap(b)
            if (n < 0) expect(n).toBe(-11)
            // MSG_TRUNC leaves the buffer as it was
            if (!(flags & 0x20)) expect(Buffer.compare(bytes, stream(got[at] ?? 0, bytes.length))).toBe(0)
            if (!(flags & 2)) got[at] = (got[at] ?? 0) + bytes.length
            return bytes.length
          }
          for (const s of steps) {
            if (s.do === 'sleep') host.sleep(s.ms)
            else if (s.do === 'recv') take(s.side, s.size, s.flags === 0x100 ? 0x100 : s.flags)
            else if (s.do === 'set') p.setsockopt(fds[s.side] ?? -1, s.option.level, s.option.name, ints(s.option.value))
            else {
              const b = p.map(s.size, stream(sent[s.side] ?? 0, s.size))
              const n = p.syscall('sendto', fds[s.side] ?? -1, b.address, s.size, MSG_DONTWAIT | s.flags, 0, 0)
              p.unmap(b)
              if (n > 0) sent[s.side] = (sent[s.side] ?? 0) + n
              else expect(n).toBe(-11)
            }
            host.runDue()
          }
          for (const fd of fds) p.syscall('shutdown', fd, 1)
          for (let quiet = 0; quiet < 8; ) {
            quiet = take(0, 1 << 20, 0) + take(1, 1 << 20, 0) === 0 ? quiet + 1 : 0
            host.sleep(quiet > 3 ? 20_000 : 1000)
          }
          expect(got).toEqual([sent[1], sent[0]])
          for (const fd of [...fds, l]) expect(p.syscall('close', fd)).toBe(0)
          host.sleep(130_000)
          // routes stay in the FIB's cache, bind buckets and metrics go with their timers
          const left = [...live_objects()].filter(
            ([name, n]) => n !== (before.get(name) ?? 0) && !/^neigh|^rtable|^pid|^page_frag/.test(name),
          )
          expect(left).toEqual([])
        },
      ),
      { numRuns: 40, seed: 11 },
    )
  })
})
