import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { net_ipv6 } from '../../src/kernel/include/net/netns_ipv6.ts'
import type { Sink, TracedSkb } from '../../src/trace/tracer.ts'
import { readPcap } from '../support/pcap.ts'
import { type Play, play } from '../support/play.ts'
import { bytesOf } from '../support/scenario.ts'

/* IPv6 beside its sockets: MLDv2 (RFC 3810), duplicate addresses (RFC 4862), fragments and options (RFC 8200), raw sockets (RFC 3542). */

const hex = (b: Uint8Array): string => Buffer.from(b).toString('hex')

/** frames that leave, or arrive at, eth0 of the host's own namespace */
function capture(): Sink & { frames: Uint8Array[] } {
  const frames: Uint8Array[] = []
  return {
    frames,
    enter() {},
    exit() {},
    frame(device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb) {
      if (device !== 'lo' && netns === '' && direction === 'out') frames.push(bytesOf(skb))
    },
  }
}
const next = (f: Uint8Array): number => f[20] ?? 0
const isV6 = (f: Uint8Array): boolean => f[12] === 0x86 && f[13] === 0xdd
const icmpType = (f: Uint8Array): number => (next(f) === 0 ? (f[62] ?? 0) : (f[54] ?? 0))
const MLD2_REPORT = 143
const NS = 135
const reports = (frames: readonly Uint8Array[]): Uint8Array[] =>
  frames.filter((f) => isV6(f) && next(f) === 0 && icmpType(f) === MLD2_REPORT)

const lines = (p: Play, text: string): string =>
  text
    .trim()
    .split('\n')
    .reduce((_, l) => p.line(l), '')

const cards = `
hw eth0 e1000
ip -6 addr add fd00::1/64 dev eth0 nodad
ip -n peer -6 addr add fd00::2/64 dev eth0 nodad`

describe('multicast listener reports', () => {
  test('what the kernel said when its card came up and was given an address', async () => {
    const recorded = readPcap(join(import.meta.dirname, '../../fixtures/refs/e1000-tcp6-send-4096/wire.pcap')).map((f) => f.data)
    const sink = capture()
    await play(cards, sink, (p) => {
      lines(p, cards)
      p.line('sleep_ms(1500)')
    })
    // the groups of both addresses are in the first report. Which stands first hangs on when the link came up.
    const said = (f: Uint8Array): { header: string; records: string[] } => {
      const records: string[] = []
      for (let at = 70; at + 20 <= f.length; at += 20) records.push(hex(f.subarray(at, at + 20)))
      return { header: hex(f.subarray(0, 70)), records: records.sort() }
    }
    const [first = new Uint8Array(0)] = reports(sink.frames)
    const [real = new Uint8Array(0)] = reports(recorded)
    expect(said(first)).toEqual(said(real))
    // RFC 3810, 6.1: each change as often as the robustness variable says, and so the report for the address of the link
    expect(reports(sink.frames).length).toBe(reports(recorded).length)
  })

  test('a group that was joined while the device was down is in them all, as was recorded of a veth', async () => {
    const text = `
ip link add eth0 type veth peer name eth0 netns peer
ip -6 addr add fd00::1/64 dev eth0 nodad
ip link set eth0 up
ip -n peer link set eth0 up`
    const sink = capture()
    await play(text, sink, (p) => {
      lines(p, text)
      p.line('sleep_ms(2500)')
    })
    // for both addresses each, and twice: because the address of the link may be used, and because the groups are new
    expect(reports(sink.frames).map((f) => f[69])).toEqual([2, 2, 2, 2])
  })

  test('joining and leaving a group', async () => {
    const sink = capture()
    const text = `${cards}
u = socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP)`
    await play(text, sink, (p) => {
      lines(p, text)
      p.line('sleep_ms(1500)')
      sink.frames.length = 0
      // ff15::1234, by the interface of the route: struct ipv6_mreq
      const mreq = '{5631, 0, 0, 873594880, 0}'
      expect(p.line(`setsockopt(u, SOL_IPV6, IPV6_ADD_MEMBERSHIP, ${mreq})`)).toBe('0')
      expect(p.line(`setsockopt(u, SOL_IPV6, IPV6_ADD_MEMBERSHIP, ${mreq})`)).toBe('-1 EADDRINUSE')
      p.line('sleep_ms(1500)')
      expect(p.line(`setsockopt(u, SOL_IPV6, IPV6_DROP_MEMBERSHIP, ${mreq})`)).toBe('0')
      expect(p.line(`setsockopt(u, SOL_IPV6, IPV6_DROP_MEMBERSHIP, ${mreq})`)).toBe('-1 EADDRNOTAVAIL')
      p.line('sleep_ms(1500)')
    })
    const group = `${'ff15'.padEnd(28, '0')}1234`
    // type of the record (4: to exclude, that is joined; 3: to include nothing, that is left), then the group
    const records = reports(sink.frames).map((f) => ({ type: f[70], group: hex(f.subarray(74, 90)), count: f[69] }))
    expect(records).toEqual([4, 4, 3, 3].map((type) => ({ type, group, count: 1 })))
  })

  test("a card takes no frame for a group that it was not told of: the other end's reports are not heard", async () => {
    const heard: string[] = []
    const sink: Sink = {
      enter() {},
      exit() {},
      frame: (device, netns, direction, skb) => {
        if (netns === '' && direction === 'in' && device === 'eth0')
          heard.push(hex(skb.bytes.subarray(skb.network_header, skb.network_header + 40)))
      },
    }
    await play(cards, sink, (p) => {
      lines(p, cards)
      p.line('sleep_ms(2000)')
    })
    expect(heard).toEqual([])
  })
})

describe('duplicate address detection', () => {
  const text = `
ip link add eth0 type veth peer name eth0 netns peer
ip link set eth0 up
ip -n peer link set eth0 up
ip -n peer -6 addr add fd00::7/64 dev eth0 nodad
ip -6 addr add fd00::7/64 dev eth0
ip -6 addr add fd00::8/64 dev eth0`
  const IFA_F_TENTATIVE = 0x40
  const IFA_F_DADFAILED = 8

  test('an address that somebody has is not used; one that nobody has is, after a second', async () => {
    const sink = capture()
    await play(text, sink, (p) => {
      // the link is there on both sides before the addresses are given
      net_ipv6(p.host.netns('')).devconf_dflt.accept_dad = 1
      for (const l of text.trim().split('\n')) {
        p.line(l)
        if (l.includes('link set')) p.line('sleep_ms(2500)')
      }
      sink.frames.length = 0
      p.line('sleep_ms(4000)')
      const flags = (last: number): number =>
        net_ipv6(p.host.netns('')).inet6_addr_lst.find((a) => a.addr[15] === last)?.flags ?? -1
      expect(flags(7) & (IFA_F_TENTATIVE | IFA_F_DADFAILED)).toBe(IFA_F_TENTATIVE | IFA_F_DADFAILED)
      expect(flags(8) & (IFA_F_TENTATIVE | IFA_F_DADFAILED)).toBe(0)
    })
    const asked = sink.frames.filter((f) => isV6(f) && icmpType(f) === NS)
    expect(asked.map((f) => f[77]).sort()).toEqual([7, 8])
    // RFC 4862, 5.4.2: from the unspecified address; RFC 7527: with a nonce, and without a link address
    for (const f of asked) {
      expect(hex(f.subarray(22, 38))).toBe('0'.repeat(32))
      expect([f[78], f[79]]).toEqual([14, 1])
      expect(f.length).toBe(14 + 40 + 24 + 8)
    }
  })
})

describe('the address to send from: RFC 6724, 5', () => {
  const world = `
ip link add dummy0 type dummy
ip -6 addr add 2001:db8::1/64 dev dummy0 nodad
ip -6 addr add fd00::1/64 dev dummy0 nodad
ip link set dummy0 up
ip -6 route add ::/0 dev dummy0
u = socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP)`
  test.each([
    ['[fd00::9]', 'fd000000000000000000000000000001', 'the longest prefix'],
    ['[fd77::9]', 'fd000000000000000000000000000001', 'rule 6: unique local to unique local'],
    ['[2001:4860::9]', '20010db8000000000000000000000001', 'rule 6: global to global'],
    ['[2001:db8::1]', '20010db8000000000000000000000001', 'rule 1: itself'],
  ])('to %s', async (to, from) => {
    const sources: string[] = []
    const sink: Sink = {
      enter() {},
      exit() {},
      frame(_device, _netns, direction, skb) {
        const f = bytesOf(skb)
        if (direction === 'out' && isV6(f) && next(f) === 17) sources.push(hex(f.subarray(22, 38)))
      },
    }
    await play(world, sink, (p) => {
      lines(p, world)
      p.line(`sendto(u, 1, 0, ${to}:5000)`)
    })
    expect(sources).toEqual([from])
  })
})

test('a router that has no route says so where it drops', async () => {
  const text = `
ip link add eth0 type veth peer name eth0 netns peer
ip -6 addr add fd00::1/64 dev eth0 nodad
ip link set eth0 up
ip -n peer -6 addr add fd00::2/64 dev eth0 nodad
ip -n peer link set eth0 up
ip netns exec peer sysctl -qw net.ipv6.conf.all.forwarding=1
ip -6 route add fd99::/64 via fd00::2
u = socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP)`
  const reasons: string[] = []
  const sink: Sink = { enter() {}, exit() {}, drop: (_skb, reason) => reasons.push(reason) }
  await play(text, sink, (p) => {
    lines(p, text)
    p.line('sleep_ms(2500)')
    reasons.length = 0
    p.line('sendto(u, 1, 0, [fd99::1]:5000)')
    p.line('sleep_ms(500)')
  })
  expect(reasons).toEqual(['IP_INNOROUTES'])
})

describe('fragments', () => {
  const text = `
hw eth0 virtio_net
ip -6 addr add fd00::1/64 dev eth0 nodad
ip -n peer -6 addr add fd00::2/64 dev eth0 nodad
tc qdisc add dev eth0 root netem delay 10ms 5ms
r = socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP) @peer
bind(r, [fd00::2]:5000) @peer
u = socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP)
connect(u, [fd00::2]:5000)`

  test('arrive in any order and are one datagram again', async () => {
    await play(`${text}\nrecv(r, 1, 0)`, null, (p) => {
      lines(p, text)
      for (const n of [4000, 1453, 60000]) {
        expect(p.line(`send(u, ${n}, 0)`)).toBe(String(n))
        p.line('sleep_ms(100)')
        expect(p.line('recv(r, 65535, MSG_DONTWAIT) @peer')).toBe(String(n))
      }
      const { ip6 } = net_ipv6(p.host.netns('peer')).mib
      expect(ip6.get('ReasmOKs')).toBe(3)
      expect(ip6.get('ReasmFails') ?? 0).toBe(0)
    })
  })

  test('when one is lost, the others are given up after a minute, and the sender is told: RFC 8200, 4.5', async () => {
    // 4000 bytes go in three pieces; the last has 1112 of UDP's and its fragment header
    const lossy = `${text.replace('delay 10ms 5ms', 'delay 1ms')}
ip netns exec peer nft add table ip6 f
ip netns exec peer nft 'add chain ip6 f p { type filter hook prerouting priority 0; }'
ip netns exec peer nft add rule ip6 f p ip6 length 1120 drop`
    const heard: string[] = []
    const sink: Sink = {
      enter() {},
      exit() {},
      frame: (device, netns, direction, skb) => {
        const b = bytesOf(skb)
        if (netns === '' && direction === 'in' && device === 'eth0' && b[6] === 58) heard.push(`${b[40]} ${b[41]}`)
      },
    }
    await play(lossy, sink, (p) => {
      lines(p, lossy)
      p.line('send(u, 4000, 0)')
      const { mib } = net_ipv6(p.host.netns('peer'))
      p.line('sleep_ms(59000)')
      expect(mib.ip6.get('ReasmTimeout') ?? 0).toBe(0)
      // a timer that is so far off may be some seconds late
      p.line('sleep_ms(8000)')
      expect(mib.ip6.get('ReasmReqds')).toBe(2)
      expect(mib.ip6.get('ReasmTimeout')).toBe(1)
      expect(mib.ip6.get('ReasmFails')).toBe(1)
    })
    // RFC 4443, 3.3: time exceeded, code 1
    expect(heard).toContain('3 1')
  })
})

describe('options and raw sockets, to oneself', () => {
  const text = `
r = socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP)
bind(r, [::1]:5000)
u = socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP)`
  const lo = (frames: Uint8Array[]): Sink => ({
    enter() {},
    exit() {},
    frame: (device, _netns, direction, skb) => {
      if (device === 'lo' && direction === 'out') frames.push(bytesOf(skb))
    },
  })

  test('a header of destination options goes along, and is read; one that insists is refused with its place', async () => {
    const frames: Uint8Array[] = []
    await play(text, lo(frames), (p) => {
      lines(p, text)
      // six bytes of padding: 00 00 01 04 00 00 00 00
      expect(p.line('setsockopt(u, SOL_IPV6, IPV6_DSTOPTS, {67174400, 0})')).toBe('0')
      expect(p.line('sendto(u, 100, 0, [::1]:5000)')).toBe('100')
      expect(p.line('recv(r, 200, 0)')).toBe('100')
      // an option 0x80 that nobody knows: 00 00 80 04 00 00 00 00
      expect(p.line('setsockopt(u, SOL_IPV6, IPV6_DSTOPTS, {75497472, 0})')).toBe('0')
      expect(p.line('sendto(u, 100, 0, [::1]:5000)')).toBe('100')
      expect(p.line('recv(r, 200, MSG_DONTWAIT)')).toBe('-1 EAGAIN')
      // not a multiple of eight bytes
      expect(p.line('setsockopt(u, SOL_IPV6, IPV6_DSTOPTS, {1})')).toBe('-1 EINVAL')
    })
    const [first = new Uint8Array(0), second = new Uint8Array(0), error = new Uint8Array(0)] = frames
    expect(next(first)).toBe(60)
    expect(hex(first.subarray(54, 62))).toBe('1100010400000000')
    expect(next(second)).toBe(60)
    // RFC 8200, 4.2 and RFC 4443, 3.4: parameter problem, code 2, pointing at the option
    expect([icmpType(error), error[55], hex(error.subarray(58, 62))]).toEqual([4, 2, '0000002a'])
  })

  test("raw sockets get what is sent to their protocol; the checksum of ICMPv6 is the kernel's", async () => {
    const frames: Uint8Array[] = []
    const raw = `
a = socket(AF_INET6, SOCK_RAW, 200)
b = socket(AF_INET6, SOCK_RAW, 200)
i = socket(AF_INET6, SOCK_RAW, 58)`
    await play(raw, lo(frames), (p) => {
      lines(p, raw)
      expect(p.line('sendto(b, 512, 0, [::1]:0)')).toBe('512')
      expect(p.line('recv(a, 1000, 0)')).toBe('512')
      expect(p.line('sendto(b, 512, 0, [::1]:201)')).toBe('-1 EINVAL')
      expect(p.line('sendto(i, 65, 0, [::1]:0)')).toBe('65')
      expect(p.line('setsockopt(i, SOL_IPV6, 7, 2)')).toBe('-1 EINVAL')
      expect(p.line('connect(b, 127.0.0.1:1)')).toBe('-1 EAFNOSUPPORT')
    })
    const [, echo = new Uint8Array(0)] = frames
    // the pseudo header and the message add up to all ones: RFC 1071
    let sum = 65 + 58
    for (let i = 22; i < echo.length; i += 2) sum += ((echo[i] ?? 0) << 8) | (echo[i + 1] ?? 0)
    while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000)
    expect(sum).toBe(0xffff)
  })
})
