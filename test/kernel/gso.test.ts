import { beforeEach, describe, expect, it } from 'vitest'
import * as C from '../../src/kernel/include/generated/enums.ts'
import { EINVAL, EPROTONOSUPPORT } from '../../src/kernel/include/linux/errno.ts'
import { do_initcalls } from '../../src/kernel/include/linux/init.ts'
import { ip_hdr, type iphdr } from '../../src/kernel/include/linux/ip.ts'
import * as F from '../../src/kernel/include/linux/netdev_features.ts'
import {
  CHECKSUM_COMPLETE,
  CHECKSUM_NONE,
  CHECKSUM_PARTIAL,
  type sk_buff,
  skb_headlen,
} from '../../src/kernel/include/linux/skbuff.ts'
import { tcp_hdr } from '../../src/kernel/include/linux/tcp.ts'
import { udp_hdr } from '../../src/kernel/include/linux/udp.ts'
import { inet_skb_parm } from '../../src/kernel/include/net/ip.ts'
import type { sock } from '../../src/kernel/include/net/sock.ts'
import { tcp_sock } from '../../src/kernel/include/net/tcp.ts'
import { live_pages } from '../../src/kernel/mm/page_alloc.ts'
import { live_objects } from '../../src/kernel/mm/slub.ts'
import { skb_checksum_help } from '../../src/kernel/net/core/dev.ts'
import { __skb_gso_segment, skb_gso_validate_mac_len, skb_gso_validate_network_len } from '../../src/kernel/net/core/gso.ts'
import { __skb_linearize, consume_skb, kfree_skb_list } from '../../src/kernel/net/core/skbuff.ts'
import { sock_wfree } from '../../src/kernel/net/core/sock.ts'
import { tcp_wfree } from '../../src/kernel/net/ipv4/tcp_output.ts'
import '../../src/kernel/kernel.ts'
import { clock } from '../../src/sim/clock.ts'
import { events } from '../../src/sim/events.ts'
import { recordedCalls, visibleCalls } from '../support/calls.ts'
import {
  contents,
  ID,
  joined,
  listOf,
  MAC,
  OPTIONS,
  payload,
  pseudo,
  SEQ,
  sum16,
  sure,
  type Tcp,
  tcp,
  udp,
} from '../support/packets.ts'

/** a card that gathers pages and sums, but does not segment; and one that can do nothing */
const SUMS = F.NETIF_F_SG | F.NETIF_F_HW_CSUM
const NOTHING = 0n

beforeEach(() => {
  clock.now = 0
  events.clear()
  do_initcalls()
})

/** the checksum field of a segment, completed in software where it was left to the device, makes its bytes sum up to -0 */
function checkSums(seg: sk_buff, protocol: number, summed: number): void {
  expect(seg.ip_summed).toBe(summed)
  expect(sum16(contents(seg).subarray(MAC, MAC + 20))).toBe(0xffff)
  if (summed === CHECKSUM_PARTIAL) expect(skb_checksum_help(seg)).toBe(0)
  const l4 = contents(seg).subarray(MAC + 20)
  expect(sum16(joined(pseudo(protocol, l4.length), l4))).toBe(0xffff)
}
const checkIp = (iph: iphdr, i: number, len: number): void => {
  expect([iph.version, iph.ihl, iph.id, iph.frag_off, iph.tot_len]).toEqual([4, 5, (ID + i) & 0xffff, C.IP_DF, len])
}

const tcpCases: [string, Tcp, bigint][] = [
  ['pages', { data: payload(4096), mss: 1448, pieces: 3 }, SUMS],
  ['one byte too many', { data: payload(1449), mss: 1448 }, SUMS],
  ['data in the head', { data: payload(5000), mss: 1000, linear: 2500, pieces: 2 }, SUMS],
  ['more than a header of 64 KiB can say', { data: payload(100_001), mss: 47168, pieces: 5 }, SUMS],
  ['pages, sums in software', { data: payload(4097), mss: 1447, pieces: 4 }, F.NETIF_F_SG],
  ['data in the head, sums in software', { data: payload(3001), mss: 999, linear: 1500, pieces: 2 }, F.NETIF_F_SG],
  ['copied', { data: payload(4097), mss: 1447, pieces: 4 }, NOTHING],
  ['copied, sums left to the device', { data: payload(4097), mss: 1447, pieces: 4 }, F.NETIF_F_HW_CSUM],
]

describe('TCP segmentation', () => {
  it.each(tcpCases)('makes frames that TCP could have sent: %s', (_, what, features) => {
    const before = live_pages()
    const skb = tcp(what)
    const segs = listOf(sure(__skb_gso_segment(skb, features, true)))
    expect(segs.length).toBe(Math.ceil(what.data.length / what.mss))
    // the network header is where the packet's was
    expect([skb.data, skb.mac_header]).toEqual([320 - 66, 320 - 66])
    const got: Uint8Array[] = []
    for (const [i, seg] of segs.entries()) {
      const last = i === segs.length - 1
      const bytes = contents(seg)
      const th = tcp_hdr(seg)
      const length = last ? what.data.length - i * what.mss : what.mss
      expect(seg.len).toBe(MAC + 20 + 20 + OPTIONS + length)
      expect([seg.mac_header - seg.data, seg.network_header - seg.data, seg.transport_header - seg.data]).toEqual([0, 14, 34])
      expect([seg.mac_len, seg.protocol, seg.head.shinfo.gso_size]).toEqual([14, 0x0800, 0])
      expect([...bytes.subarray(0, 14)]).toEqual([2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4, 8, 0])
      checkIp(ip_hdr(seg), i, seg.len - MAC)
      expect([th.source, th.dest, th.ack_seq, th.doff, th.window]).toEqual([40000, 8080, 77, 8, 502])
      expect(th.seq).toBe((SEQ + i * what.mss) >>> 0)
      expect(th.flags).toBe(C.TCPHDR_ACK | (last ? C.TCPHDR_PSH | C.TCPHDR_FIN : 0) | (i === 0 ? C.TCPHDR_CWR : 0))
      expect([...bytes.subarray(54, 66)]).toEqual([1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8])
      // pages are shared when the device gathers them, copied when it does not
      if (!(features & F.NETIF_F_SG)) expect(seg.data_len).toBe(0)
      else if (i > 0 && !what.linear) expect(skb_headlen(seg)).toBe(66)
      checkSums(seg, C.IPPROTO_TCP, features & F.NETIF_F_HW_CSUM ? CHECKSUM_PARTIAL : CHECKSUM_NONE)
      got.push(bytes.subarray(66))
    }
    expect(Buffer.compare(joined(...got), what.data)).toBe(0)
    consume_skb(skb)
    kfree_skb_list(segs[0] ?? null)
    expect(live_pages()).toBe(before)
    expect([...live_objects()].filter(([name, n]) => /skbuff/.test(name) && n > 0)).toEqual([])
  })

  it('moves what the socket is charged with from the packet to its segments', () => {
    const skb = tcp({ data: payload(4096), mss: 1448, pieces: 2 })
    const sk = new tcp_sock() as sock
    sk.sk_wmem_alloc = 1 + skb.truesize
    skb.sk = sk
    skb.destructor = tcp_wfree
    skb.ooo_okay = 1
    const segs = listOf(sure(__skb_gso_segment(skb, SUMS, true)))
    expect([skb.sk, skb.destructor]).toEqual([null, null])
    expect(segs.map((s) => [s.sk, s.destructor, s.ooo_okay])).toEqual(segs.map((_, i) => [sk, tcp_wfree, i === 0 ? 1 : 0]))
    consume_skb(skb)
    expect(sk.sk_wmem_alloc).toBe(1 + segs.reduce((n, s) => n + s.truesize, 0))
    for (const s of segs) {
      s.next = null
      consume_skb(s)
    }
    expect(sk.sk_wmem_alloc).toBe(1)
  })

  it('leaves a packet of another owner to its last segment', () => {
    const skb = tcp({ data: payload(4096), mss: 1448 })
    const sk = new tcp_sock() as sock
    sk.sk_write_space = () => {}
    const { truesize } = skb
    sk.sk_wmem_alloc = 1 + truesize
    skb.sk = sk
    skb.destructor = sock_wfree
    const segs = listOf(sure(__skb_gso_segment(skb, SUMS, true)))
    expect(segs.map((s) => s.sk)).toEqual([null, null, sk])
    expect(segs.at(-1)?.truesize).toBe(truesize)
    consume_skb(skb)
    kfree_skb_list(segs[0] ?? null)
    expect(sk.sk_wmem_alloc).toBe(1)
  })

  it('says no when the device takes the packet whole, and puts the packet back as it was', () => {
    const skb = tcp({ data: payload(4096), mss: 1448 })
    skb.head.shinfo.gso_segs = 0
    const was = [skb.data, skb.len, skb.network_header, skb.mac_header]
    expect(__skb_gso_segment(skb, SUMS | F.NETIF_F_TSO, true)).toBe(null)
    expect([skb.data, skb.len, skb.network_header, skb.mac_header]).toEqual(was)
    expect(skb.head.shinfo.gso_segs).toBe(3)
  })

  it('fills in a checksum that nobody has begun', () => {
    const skb = tcp({ data: payload(3000), mss: 1448 })
    tcp_hdr(skb).check = 0x1234
    skb.ip_summed = CHECKSUM_COMPLETE
    // not in the way to a device: there it would be an error
    for (const seg of listOf(sure(__skb_gso_segment(skb, NOTHING, false)))) checkSums(seg, C.IPPROTO_TCP, CHECKSUM_NONE)
  })

  it('refuses what it cannot cut', () => {
    const udpType = tcp({ data: payload(3000), mss: 1448 })
    udpType.head.shinfo.gso_type = C.SKB_GSO_UDP_L4
    expect(__skb_gso_segment(udpType, SUMS, true)).toBe(-EINVAL)
    const short = tcp({ data: payload(1000), mss: 1448 })
    expect(__skb_gso_segment(short, SUMS, true)).toBe(-EINVAL)
    const icmp = tcp({ data: payload(3000), mss: 1448 })
    ip_hdr(icmp).protocol = C.IPPROTO_ICMP
    expect(__skb_gso_segment(icmp, SUMS, true)).toBe(-EPROTONOSUPPORT)
    const arp = tcp({ data: payload(3000), mss: 1448 })
    arp.protocol = 0x0806
    expect(__skb_gso_segment(arp, SUMS, true)).toBe(-EPROTONOSUPPORT)
  })

  it('knows how large the segments will be', () => {
    const skb = tcp({ data: payload(4096), mss: 1448 })
    expect([1499, 1500].map((mtu) => skb_gso_validate_network_len(skb, mtu))).toEqual([false, true])
    expect([1513, 1514].map((len) => skb_gso_validate_mac_len(skb, len))).toEqual([false, true])
  })
})

describe('UDP segmentation', () => {
  const cases: [string, number, number, bigint][] = [
    ['sums left to the device', 3000, 1000, SUMS],
    ['a short one at the end', 3001, 1000, SUMS],
    ['sums in software', 3001, 999, F.NETIF_F_SG],
    ['copied', 3001, 999, NOTHING],
  ]
  it.each(cases)('makes datagrams: %s', (_, length, size, features) => {
    const data = payload(length)
    const skb = udp(data, size, 2)
    const segs = listOf(sure(__skb_gso_segment(skb, features, true)))
    const got: Uint8Array[] = []
    for (const [i, seg] of segs.entries()) {
      const n = Math.min(size, length - i * size)
      expect(seg.len).toBe(MAC + 28 + n)
      checkIp(ip_hdr(seg), i, 28 + n)
      expect([udp_hdr(seg).source, udp_hdr(seg).dest, udp_hdr(seg).len]).toEqual([40000, 5000, 8 + n])
      checkSums(seg, C.IPPROTO_UDP, features & F.NETIF_F_HW_CSUM ? CHECKSUM_PARTIAL : CHECKSUM_NONE)
      got.push(contents(seg).subarray(42))
    }
    expect(Buffer.compare(joined(...got), data)).toBe(0)
  })

  it('charges each datagram to the socket', () => {
    const skb = udp(payload(3000), 1000)
    const sk = new tcp_sock() as sock
    sk.sk_write_space = () => {}
    sk.sk_wmem_alloc = 1 + skb.truesize
    skb.sk = sk
    skb.destructor = sock_wfree
    const segs = listOf(sure(__skb_gso_segment(skb, SUMS, true)))
    expect(segs.map((s) => s.sk)).toEqual([sk, sk, sk])
    consume_skb(skb)
    expect(sk.sk_wmem_alloc).toBe(1 + segs.reduce((n, s) => n + s.truesize, 0))
    kfree_skb_list(segs[0] ?? null)
    expect(sk.sk_wmem_alloc).toBe(1)
  })

  it('cuts a datagram that is too large into fragments', () => {
    const data = payload(4000)
    const skb = udp(data, 1480)
    skb.head.shinfo.gso_type = C.SKB_GSO_UDP
    ip_hdr(skb).frag_off = 0
    const segs = listOf(sure(__skb_gso_segment(skb, NOTHING | F.NETIF_F_SG, true)))
    expect(segs.map((s) => ip_hdr(s).frag_off)).toEqual([C.IP_MF, C.IP_MF | 185, 370])
    expect(segs.map((s) => ip_hdr(s).id)).toEqual([ID, ID, ID])
    const whole = joined(...segs.map((s) => contents(s).subarray(34)))
    expect(Buffer.compare(whole.subarray(8), data)).toBe(0)
    expect(sum16(joined(pseudo(C.IPPROTO_UDP, whole.length), whole))).toBe(0xffff)
  })
})

describe('calls are those of the recordings', () => {
  it.each([
    ['e1000-tcp4-tso-off', SUMS],
    ['virtio-tcp4-offloads-off', NOTHING],
  ])('%s', (name, features) => {
    const skb = tcp({ data: payload(2896), mss: 1448 })
    const calls = visibleCalls(() => void __skb_gso_segment(skb, features, true))
    // the slab had run out of objects when the second was recorded
    expect(calls).toEqual(recordedCalls(name, '__skb_gso_segment').filter((l) => l.trim() !== '___slab_alloc'))
  })

  it('veth-udp4-gso', () => {
    const skb = udp(payload(3000), 1000)
    skb.inet_cb = new inet_skb_parm()
    const calls = visibleCalls(() => void __skb_gso_segment(skb, F.NETIF_F_SG | F.NETIF_F_IP_CSUM | F.NETIF_F_IPV6_CSUM, false))
    expect(calls).toEqual(recordedCalls('veth-udp4-gso', '__skb_gso_segment'))
  })
})

describe('linear packets', () => {
  it('come from pages', () => {
    const skb = tcp({ data: payload(3000), mss: 1448, pieces: 2 })
    const was = contents(skb)
    expect(__skb_linearize(skb)).toBe(0)
    expect([skb.data_len, skb_headlen(skb)]).toEqual([0, was.length])
    expect(Buffer.compare(contents(skb), was)).toBe(0)
  })
})
