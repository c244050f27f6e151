import { describe, expect, test } from 'vitest'
import { type Ran, runScenario } from '../support/scenario.ts'

/* ICMP echo: icmp(7), RFC 792. Ping sockets, and raw ones that see the same packets. */

/** p is a ping socket, which every group may have */
const withPing = (text: string): Promise<Ran> =>
  runScenario(`p = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)\n${text}`, (host) => {
    host.netns('').ipv4.ping_group_range = [0, 2147483647]
  })
const recv = (results: readonly string[]): string[] => results.filter((r) => r.startsWith('recv')).map((r) => r.slice(7))

describe('ping sockets', () => {
  test('are for nobody unless net.ipv4.ping_group_range says so', async () => {
    expect((await runScenario('socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)')).results).toEqual(['socket = -1 EACCES'])
  })

  test('send an echo request with an identifier and a checksum of the kernel, and get the reply without the IP header', async () => {
    const { results, frames } = await withPing(`bind(p, 0.0.0.0:77)
sendto(p, "\\x08\\0\\0\\0\\0\\0\\0\\x03hello!", 0, 127.0.0.1:0)
recv(p, 100, MSG_DONTWAIT)
recv(p, 100, MSG_DONTWAIT)`)
    expect(recv(results)).toEqual(['14', '-1 EAGAIN'])
    const icmp = frames.filter((f) => f.device === 'lo' && f.direction === 'out').map((f) => f.bytes.subarray(34))
    expect(icmp.map((b) => [b[0], ((b[4] ?? 0) << 8) | (b[5] ?? 0), b[7]])).toEqual([
      [8, 77, 3],
      [0, 77, 3],
    ])
    for (const b of icmp) {
      let s = 0
      for (let i = 0; i < b.length; i += 2) s += ((b[i] ?? 0) << 8) | (b[i + 1] ?? 0)
      expect(s % 0xffff).toBe(0)
    }
  })

  test.each([
    ['anything but an echo request', 'sendto(p, 64, 0, 127.0.0.1:0)', '-1 EINVAL'],
    ['less than a header', 'sendto(p, 4, 0, 127.0.0.1:0)', '-1 EINVAL'],
    ['no address', 'send(p, "\\x08\\0\\0\\0\\0\\0\\0\\0", 0)', '-1 EDESTADDRREQ'],
    ['no route', 'sendto(p, "\\x08\\0\\0\\0\\0\\0\\0\\0", 0, 192.0.2.1:0)', '-1 ENETUNREACH'],
  ])('refuse %s', async (_what, call, result) => {
    const { results } = await withPing(call)
    expect(results.at(-1)).toBe(`${call.split('(')[0]} = ${result}`)
  })

  test('two of one identifier: EADDRINUSE', async () => {
    const { results } = await withPing(`setsockopt(p, SOL_SOCKET, SO_REUSEADDR, 0)
bind(p, 0.0.0.0:77)
q = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)
bind(q, 0.0.0.0:78)
bind(q, 0.0.0.0:79)`)
    expect(results.slice(-3)).toEqual(['socket = fd', 'bind = 0', 'bind = -1 EINVAL'])
  })
})

describe('raw sockets', () => {
  test('see request and reply with their IP headers', async () => {
    const { results } = await runScenario(`r = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)
sendto(r, "\\x08\\0\\xf7\\xfd\\0\\x01\\0\\x01", 0, 127.0.0.1:0)
recv(r, 100, MSG_DONTWAIT)
recv(r, 100, MSG_DONTWAIT)
recv(r, 100, MSG_DONTWAIT)`)
    expect(recv(results)).toEqual(['28', '28', '-1 EAGAIN'])
  })

  test('with IP_HDRINCL: total length, identification, source and checksum are the kernel’s', async () => {
    const { results, frames } = await runScenario(`w = socket(AF_INET, SOCK_RAW, IPPROTO_RAW)
sendto(w, "\\x45\\0\\0\\0\\0\\0\\0\\0\\x40\\xfd\\0\\0\\0\\0\\0\\0\\x7f\\0\\0\\x01data", 0, 127.0.0.1:0)
sendto(w, 10, 0, 127.0.0.1:0)`)
    expect(results.slice(1)).toEqual(['sendto = 24', 'sendto = -1 EINVAL'])
    const ip = frames.find((f) => f.direction === 'out')?.bytes.subarray(14) ?? new Uint8Array()
    expect([(ip[2] ?? 0) * 256 + (ip[3] ?? 0), ...ip.subarray(12, 16)]).toEqual([24, 127, 0, 0, 1])
    let s = 0
    for (let i = 0; i < 20; i += 2) s += ((ip[i] ?? 0) << 8) | (ip[i + 1] ?? 0)
    expect(s % 0xffff).toBe(0)
  })
})
