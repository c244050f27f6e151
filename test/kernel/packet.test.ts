import { describe, expect, test } from 'vitest'
import { play } from '../support/play.ts'
import { runScenario } from '../support/scenario.ts'

/* AF_PACKET as packet(7) has it, and the errors of net/packet/af_packet.c. */

const veth = `
ip link add eth0 type veth peer name eth1
ip link set eth1 netns peer
ip addr add 10.0.0.1/24 dev eth0
ip link set eth0 up
ip -n peer addr add 10.0.0.2/24 dev eth1
ip -n peer link set eth1 up
`
/** results of the calls of one name */
const of = (results: readonly string[], call: string): string[] =>
  results.filter((r) => r.startsWith(`${call} = `)).map((r) => r.slice(call.length + 3))
const ethertype = (frame: Uint8Array): number => ((frame[12] ?? 0) << 8) | (frame[13] ?? 0)

describe('sending', () => {
  test('SOCK_DGRAM: the kernel writes the link header, to the broadcast address, as IPv4', async () => {
    const { results, frames } = await runScenario(`${veth}
p = socket(AF_PACKET, SOCK_DGRAM, 0)
sendto(p, 100, 0, dev:eth0)`)
    expect(of(results, 'sendto')).toEqual(['100'])
    const [frame] = frames.filter((f) => f.device === 'eth0' && f.direction === 'out')
    expect(frame?.bytes.length).toBe(114)
    expect([...(frame?.bytes.subarray(0, 6) ?? [])]).toEqual([255, 255, 255, 255, 255, 255])
    expect(ethertype(frame?.bytes ?? new Uint8Array())).toBe(0x0800)
    expect([...(frame?.bytes.subarray(14, 20) ?? [])]).toEqual([0, 1, 2, 3, 4, 5])
  })

  test('SOCK_RAW: what the program writes is the frame', async () => {
    const { frames } = await runScenario(`${veth}
p = socket(AF_PACKET, SOCK_RAW, 0)
sendto(p, "\\xff\\xff\\xff\\xff\\xff\\xff\\x02\\0\\0\\0\\0\\x01\\x88\\xb5hello", 0, dev:eth0)`)
    const [frame] = frames.filter((f) => f.device === 'eth0' && f.direction === 'out')
    expect(Buffer.from(frame?.bytes ?? []).toString('hex')).toBe('ffffffffffff02000000000188b568656c6c6f')
  })

  test.each([
    ['a frame above the MTU', 'sendto(p, 1515, 0, dev:eth0)', '-1 EMSGSIZE'],
    ['one shorter than a link header', 'sendto(p, 10, 0, dev:eth0)', '-1 EINVAL'],
    ['no address, and not bound', 'send(p, 100, 0)', '-1 ENXIO'],
    ['memory that is not there', 'sendto(p, EFAULT/100, 0, dev:eth0)', '-1 EFAULT'],
    ['as large as it may be', 'sendto(p, 1514, 0, dev:eth0)', '1514'],
  ])('%s', async (_what, call, result) => {
    const { results } = await runScenario(`${veth}p = socket(AF_PACKET, SOCK_RAW, 0)\n${call}`)
    expect(results.at(-1)).toBe(`${call.split('(')[0]} = ${result}`)
  })

  test('a device that is down: ENETDOWN', async () => {
    const { results } = await runScenario(`${veth}p = socket(AF_PACKET, SOCK_RAW, 0)
ip link set eth0 down
sendto(p, 100, 0, dev:eth0)`)
    expect(results.at(-1)).toBe('sendto = -1 ENETDOWN')
  })

  test('PACKET_QDISC_BYPASS: past a queue that would drop everything', async () => {
    const run = async (bypass: number): Promise<number> => {
      const { wire } = await runScenario(`hw eth0 e1000
tc qdisc add dev eth0 root netem loss 100%
p = socket(AF_PACKET, SOCK_DGRAM, 0)
setsockopt(p, SOL_PACKET, PACKET_QDISC_BYPASS, ${bypass})
sendto(p, 100, 0, dev:eth0)`)
      return wire.length
    }
    expect([await run(0), await run(1)]).toEqual([0, 1])
  })
})

describe('receiving', () => {
  const talk = `
u = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)
r = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP) @peer
bind(r, 10.0.0.2:9) @peer
sendto(u, 100, 0, 10.0.0.2:9)
sleep_ms(10)
`
  test('ETH_P_ALL sees what goes out and comes in; SOCK_RAW with the link header, SOCK_DGRAM without', async () => {
    const { results } = await runScenario(`${veth}
a = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL))
d = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP)) @peer
${talk}
recv(a, 2000, MSG_DONTWAIT)
recv(a, 2000, MSG_DONTWAIT)
recv(a, 2000, MSG_DONTWAIT)
recv(a, 2000, MSG_DONTWAIT)
recv(d, 2000, MSG_DONTWAIT)
recv(r, 2000, MSG_DONTWAIT)`)
    // who has, the answer, the datagram; ARP is 28 bytes, IPv4 and UDP 28 more than their data
    expect(of(results, 'recv')).toEqual(['42', '42', '142', '-1 EAGAIN', '128', '100'])
  })

  test('PACKET_IGNORE_OUTGOING; MSG_TRUNC says the whole length', async () => {
    const { results } = await runScenario(`${veth}
a = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL))
setsockopt(a, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
${talk}
recv(a, 10, MSG_TRUNC|MSG_DONTWAIT)
recv(a, 2000, MSG_DONTWAIT)`)
    expect(of(results, 'recv')).toEqual(['42', '-1 EAGAIN'])
  })

  test('a socket does not see its own frames; bound, it sees its device and type only', async () => {
    const { results } = await runScenario(`${veth}
a = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL))
b = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL))
bind(b, dev:eth0)
x = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ARP))
sendto(a, 100, 0, dev:eth0)
recv(a, 2000, MSG_DONTWAIT)
recv(x, 2000, MSG_DONTWAIT)
${talk}
recv(b, 2000, MSG_DONTWAIT)
recv(b, 2000, MSG_DONTWAIT)`)
    // b's address says IPv4: the datagram goes out, and is not for a hook of one type; nothing IPv4 comes in
    expect(of(results, 'recv')).toEqual(['-1 EAGAIN', '-1 EAGAIN', '-1 EAGAIN', '-1 EAGAIN'])
  })

  test('a tap in another namespace hears nothing', async () => {
    const { results } = await runScenario(`a = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)) @peer
u = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)
sendto(u, 100, 0, 127.0.0.1:9)
sleep_ms(10)
recv(a, 2000, MSG_DONTWAIT)`)
    expect(results.at(-1)).toBe('recv = -1 EAGAIN')
  })
})

test('what such a socket cannot do', async () => {
  const { results } = await runScenario(`p = socket(AF_PACKET, SOCK_STREAM, 0)
p = socket(AF_PACKET, SOCK_RAW, 0)
connect(p, 127.0.0.1:9)
listen(p, 1)
shutdown(p, SHUT_WR)
setsockopt(p, SOL_PACKET, PACKET_VERSION, 7)
close(p)`)
  expect(results).toEqual([
    'socket = -1 ESOCKTNOSUPPORT',
    'socket = fd',
    'connect = -1 EOPNOTSUPP',
    'listen = -1 EOPNOTSUPP',
    'shutdown = -1 EOPNOTSUPP',
    'setsockopt = -1 EINVAL',
    'close = 0',
  ])
})

describe('getsockopt', () => {
  const SOL_PACKET = 263
  const PACKET_HDRLEN = 11
  const int = (x: number): Uint8Array => Uint8Array.of(x, 0, 0, 0)

  test('PACKET_HDRLEN is asked with a version of the ring, and answers with the size of its header', async () => {
    await play('p = socket(AF_PACKET, SOCK_RAW, 0)', null, (p) => {
      p.line('p = socket(AF_PACKET, SOCK_RAW, 0)')
      const { process } = p.host
      const header = (version: number): number =>
        process.with((lend) => {
          const value = lend(int(version))
          const ret = process.syscall('getsockopt', p.fd('p'), SOL_PACKET, PACKET_HDRLEN, value, lend(int(4)))
          return ret < 0 ? ret : (process.peek(value, 1)[0] ?? 0)
        })
      // struct tpacket_hdr, tpacket2_hdr, tpacket3_hdr; there is no fourth
      expect([0, 1, 2, 3].map(header)).toEqual([32, 32, 48, -22])
    })
  })

  test.each([
    ['a packet socket', 'AF_PACKET, SOCK_RAW, 0', SOL_PACKET, 8],
    ['any socket', 'AF_INET, SOCK_STREAM, IPPROTO_TCP', 1, 7],
    ['TCP', 'AF_INET, SOCK_STREAM, IPPROTO_TCP', 6, 11],
    ['IP', 'AF_INET, SOCK_DGRAM, IPPROTO_UDP', 0, 2],
  ])('into memory that is not there: EFAULT, of %s', async (_what, made, level, option) => {
    const line = `p = socket(${made})`
    await play(line, null, (p) => {
      p.line(line)
      const { process } = p.host
      const nowhere = process.unreadable(4).address
      expect(process.with((lend) => process.syscall('getsockopt', p.fd('p'), level, option, nowhere, lend(int(4))))).toBe(-14)
    })
  })
})
