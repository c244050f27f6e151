import { describe, expect, test } from 'vitest'
import type { Sink, TracedSkb } from '../../src/trace/tracer.ts'
import { type Play, play } from '../support/play.ts'
import { bytesOf } from '../support/scenario.ts'

/* TCP Fast Open: RFC 7413 */

const SYN = 2
const ACK = 16

interface Segment {
  out: boolean
  flags: number
  payload: number
  /** of the option with kind 34: null for none, otherwise how long the cookie is, with its bytes */
  cookie: string | null
}

function segment(f: Uint8Array, out: boolean): Segment {
  const doff = ((f[46] ?? 0) >> 4) * 4
  let cookie: string | null = null
  for (let at = 54; at < 34 + doff; ) {
    const kind = f[at] ?? 0
    if (kind === 0) break
    const length = kind === 1 ? 1 : (f[at + 1] ?? 1)
    if (kind === 34) cookie = Buffer.from(f.subarray(at + 2, at + length)).toString('hex')
    at += length
  }
  const total = ((f[16] ?? 0) << 8) | (f[17] ?? 0)
  return { out, flags: (f[47] ?? 0) & 0x3f, payload: total - 20 - doff, cookie }
}

/** what both cards send in TCP over IPv4 */
function capture(): Sink & { segments: Segment[] } {
  const segments: Segment[] = []
  return {
    segments,
    enter() {},
    exit() {},
    frame(device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb) {
      if (device !== 'eth0' || direction !== 'out') return
      const f = bytesOf(skb)
      if (f[12] === 8 && f[13] === 0 && f[23] === 6) segments.push(segment(f, netns === ''))
    },
  }
}

const lines = (p: Play, text: string): void => {
  for (const l of text.trim().split('\n')) p.line(l)
}

/** 50 ms there and back, so that what waits for a handshake is told from what does not */
const hosts = `
hw eth0 e1000
ip addr add 10.0.0.1/24 dev eth0
ip -n peer addr add 10.0.0.2/24 dev eth0
ip netns exec peer sysctl -qw net.ipv4.tcp_fastopen=3
tc -n peer qdisc add dev eth0 root netem delay 50ms
l = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) @peer
bind(l, 10.0.0.2:8080) @peer
setsockopt(l, SOL_TCP, TCP_FASTOPEN, 5) @peer
listen(l, 8) @peer
c = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)`

const first = `
sendto(c, 1000, MSG_FASTOPEN, 10.0.0.2:8080)
s = accept(l) @peer
sleep_ms(200)
close(c)
sleep_ms(300)`

const syns = (segments: readonly Segment[]): Segment[] => segments.filter((s) => s.flags & SYN)

describe('without a cookie', () => {
  test('the SYN asks for one and carries no data; the SYN-ACK brings it; the data follows', async () => {
    const sink = capture()
    await play(hosts + first, sink, (p) => {
      lines(p, hosts)
      lines(p, first)
    })
    const [syn, synack] = syns(sink.segments)
    expect(syn).toEqual({ out: true, flags: SYN, payload: 0, cookie: '' })
    expect(synack).toMatchObject({ out: false, flags: SYN | ACK, payload: 0 })
    // 4.1.1: 4 to 16 bytes; Linux makes 8
    expect(synack?.cookie).toMatch(/^[0-9a-f]{16}$/)
    expect(sink.segments.filter((s) => s.out && s.payload > 0).map((s) => s.payload)).toEqual([1000])
  })
})

describe('with a cookie', () => {
  const second = `
d = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)
sendto(d, 4000, MSG_FASTOPEN|MSG_DONTWAIT, 10.0.0.2:8080)`

  test('the SYN carries it with the first data, and the server has that before the handshake is over', async () => {
    const sink = capture()
    await play(hosts + first + second, sink, (p) => {
      lines(p, hosts)
      lines(p, first)
      const cookie = syns(sink.segments)[1]?.cookie
      sink.segments.length = 0
      lines(p, second)
      // the call does not wait, and no answer can be back before 50 ms
      expect(p.line('t = accept(l) @peer')).toBe('fd')
      const early = Number(p.line('recv(t, 8000, MSG_DONTWAIT) @peer'))
      expect(sink.segments.filter((s) => !s.out)).toEqual([])
      const [syn] = syns(sink.segments)
      expect(syn).toMatchObject({ flags: SYN, cookie, payload: early })
      expect(early).toBeGreaterThan(1000)
      p.line('sleep_ms(200)')
      const [, synack] = syns(sink.segments)
      // it is not given again, as the one that was shown is good
      expect(synack).toEqual({ out: false, flags: SYN | ACK, payload: 0, cookie: null })
      expect(sink.segments.filter((x) => x.out).reduce((n, x) => n + x.payload, 0)).toBe(early)
    })
  })

  test('TCP_FASTOPEN_CONNECT: connect() says nothing, the first send() does all', async () => {
    const sink = capture()
    const text = `${hosts}${first}
d = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)
setsockopt(d, SOL_TCP, TCP_FASTOPEN_CONNECT, 1)`
    await play(text, sink, (p) => {
      lines(p, text)
      sink.segments.length = 0
      expect(p.line('connect(d, 10.0.0.2:8080)')).toBe('0')
      expect(sink.segments).toEqual([])
      expect(p.line('send(d, 300, MSG_DONTWAIT)')).toBe('300')
      expect(sink.segments).toEqual([{ out: true, flags: SYN, payload: 300, cookie: expect.stringMatching(/^[0-9a-f]{16}$/) }])
    })
  })

  test('one that is none of the server’s: it acknowledges the SYN alone, gives a good one, and the data comes again', async () => {
    const sink = capture()
    const third = `
ip netns exec peer sysctl -qw net.ipv4.tcp_fastopen_key=00000001-00000002-00000003-00000004
${second.trim()}`
    await play(hosts + first + third, sink, (p) => {
      lines(p, hosts)
      lines(p, first)
      sink.segments.length = 0
      lines(p, third)
      p.line('sleep_ms(400)')
      const [syn, synack] = syns(sink.segments)
      expect(syn?.payload).toBeGreaterThan(0)
      expect(synack?.cookie).toMatch(/^[0-9a-f]{16}$/)
      expect(synack?.cookie).not.toBe(syn?.cookie)
      p.line('t = accept(l) @peer')
      expect(p.line('recv(t, 8000, MSG_DONTWAIT) @peer')).toBe(String(syn?.payload))
    })
  })
})
