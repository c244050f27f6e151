import { beforeEach, describe, expect, it } from 'vitest'
import { Host } from '../../src/host/host.ts'
import * as C from '../../src/kernel/include/generated/enums.ts'
import * as F from '../../src/kernel/include/linux/netdev_features.ts'
import { napi_struct, net_device } from '../../src/kernel/include/linux/netdevice.ts'
import { CHECKSUM_NONE, CHECKSUM_PARTIAL, CHECKSUM_UNNECESSARY, type sk_buff } from '../../src/kernel/include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../src/kernel/include/linux/slab.ts'
import { udp_hdr } from '../../src/kernel/include/linux/udp.ts'
import { alloc_pages_noprof, live_pages } from '../../src/kernel/mm/page_alloc.ts'
import { netif_napi_add } from '../../src/kernel/net/core/dev.ts'
import { gro_normal_list, napi_gro_flush, napi_gro_receive } from '../../src/kernel/net/core/gro.ts'
import { __skb_gso_segment } from '../../src/kernel/net/core/gso.ts'
import {
  alloc_skb,
  kfree_skb,
  kfree_skb_list,
  napi_alloc_skb,
  skb_fill_page_desc,
  skb_len_add,
  skb_push,
  skb_put,
} from '../../src/kernel/net/core/skbuff.ts'
import { eth_type_trans } from '../../src/kernel/net/ethernet/eth.ts'
import { visibleCalls } from '../support/calls.ts'
import { contents, joined, listOf, payload, sure, type Tcp, tcp, udp } from '../support/packets.ts'

let dev: net_device
let napi: napi_struct
/** what came out of GRO */
let up: sk_buff[]

beforeEach(() => {
  const host = new Host()
  dev = new net_device()
  dev.nd_net = host.netns('')
  dev.name = 'card0'
  dev.dev_addr = Uint8Array.from([2, 2, 2, 2, 2, 2])
  dev.hard_header_len = 14
  dev.addr_len = 6
  dev.features = F.NETIF_F_GRO
  dev.gro_max_size = 65536
  dev.gro_ipv4_max_size = 65536
  up = []
  dev.rx_handler = (pskb) => {
    up.push(pskb.v)
    return C.RX_HANDLER_CONSUMED
  }
  napi = new napi_struct()
  netif_napi_add(dev, napi, () => 0)
})

/** the frames of a large packet, as a wire carries them */
function framesOf(skb: sk_buff): Uint8Array[] {
  const segs = sure(__skb_gso_segment(skb, F.NETIF_F_SG, true))
  const frames = listOf(segs).map(contents)
  kfree_skb_list(segs)
  kfree_skb(skb)
  return frames
}
const frames = (what: Tcp): Uint8Array[] => framesOf(tcp(what))

/** how drivers put a frame into a buffer: in a piece of a page, in memory of its own, or only in pages */
const buffers: Record<string, (frame: Uint8Array) => sk_buff> = {
  'the head is a piece of a page': (frame) => {
    const skb = sure(napi_alloc_skb(napi, frame.length))
    skb.head.bytes.set(frame, skb_put(skb, frame.length))
    return skb
  },
  'the head is memory of its own': (frame) => {
    const skb = sure(alloc_skb(frame.length, GFP_ATOMIC))
    skb.head.bytes.set(frame, skb_put(skb, frame.length))
    return skb
  },
  'all but the first headers is in a page': (frame) => {
    const skb = sure(napi_alloc_skb(napi, 128))
    skb.head.bytes.set(frame.subarray(0, 14), skb_put(skb, 14))
    const p = alloc_pages_noprof(GFP_ATOMIC, 1)
    p.bytes.set(frame.subarray(14), 64)
    skb_fill_page_desc(skb, 0, p, 64, frame.length - 14)
    skb_len_add(skb, frame.length - 14)
    skb.truesize += 4096
    return skb
  },
}
const linear = buffers['the head is a piece of a page'] as (frame: Uint8Array) => sk_buff

function receive(frame: Uint8Array, make = linear, summed = CHECKSUM_UNNECESSARY): number {
  const skb = make(frame)
  skb.dev = dev
  skb.protocol = eth_type_trans(skb, dev)
  skb.ip_summed = summed
  return napi_gro_receive(napi, skb)
}
function finish(): void {
  napi_gro_flush(napi, false)
  gro_normal_list(napi)
}

/** with its link header in front again, as forwarding leaves it */
function pushed(skb: sk_buff): sk_buff {
  skb_push(skb, 14)
  return skb
}
function lengthOf(list: sk_buff | null): number {
  let n = 0
  for (let s = list; s !== null; s = s.next) n++
  return n
}

describe('TCP', () => {
  it.each(Object.entries(buffers))('joins what was cut: %s', (_, make) => {
    const before = live_pages()
    const what: Tcp = { data: payload(5000), mss: 1448 }
    const whole = tcp(what)
    const was = contents(whole).subarray(14)
    const cut = framesOf(whole)
    for (const f of cut) receive(f, make, CHECKSUM_NONE)
    finish()
    expect(up.length).toBe(1)
    const skb = up[0] as sk_buff
    expect([skb.len, skb.gso_size, skb.gso_segs]).toEqual([was.length, 1448, 4])
    expect(skb.head.shinfo.gso_type).toBe(C.SKB_GSO_TCPV4 | C.SKB_GSO_TCP_ECN)
    expect([skb.ip_summed, skb.csum_start, skb.csum_offset]).toEqual([CHECKSUM_PARTIAL, skb.transport_header, 16])
    // the same packet as was sent: addresses, numbers, flags, pseudo header's sum, data
    expect(Buffer.compare(contents(skb), was)).toBe(0)

    // and cut again it makes the same frames
    const again = sure(__skb_gso_segment(pushed(skb), F.NETIF_F_SG, false))
    for (const [i, f] of listOf(again).map(contents).entries()) expect(Buffer.compare(f, cut[i] ?? new Uint8Array(0))).toBe(0)
    kfree_skb_list(again)
    kfree_skb(skb)
    // the 32 KiB that small heads are cut from stay in stock
    expect(live_pages() - before).toBeLessThanOrEqual(8)
  })

  it('holds a packet until it is full, ends or the poll does', () => {
    const [a, b, c, d] = frames({ data: payload(5000), mss: 1448 }) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array]
    expect([receive(a), receive(b), receive(c)]).toEqual([C.GRO_HELD, C.GRO_MERGED_FREE, C.GRO_MERGED_FREE])
    expect([napi.gro_bitmask, napi.rx_count, up.length]).toEqual([1, 0, 0])
    // PSH and FIN
    expect(receive(d)).toBe(C.GRO_MERGED_FREE)
    expect([napi.gro_bitmask, napi.rx_count, up.length]).toEqual([0, 4, 0])
    finish()
    expect(up.map((s) => s.gso_segs)).toEqual([4])
  })

  it('delivers eight at once', () => {
    for (let i = 0; i < 8; i++) {
      expect(up.length).toBe(0)
      receive(frames({ data: payload(1500), mss: 1448 })[1] as Uint8Array)
    }
    expect(up.length).toBe(8)
  })

  it('does not join what is out of order, of another connection, or wrong', () => {
    const [a, b, c] = frames({ data: payload(4344), mss: 1448 }) as [Uint8Array, Uint8Array, Uint8Array]
    receive(a)
    receive(c)
    finish()
    expect(up.map((s) => s.gso_size)).toEqual([0, 0])
    up = []
    const other = b.slice()
    other[35] = (other[35] ?? 0) ^ 1 // the port
    receive(a)
    receive(other)
    finish()
    expect(up.length).toBe(2)
    up = []
    const broken = b.slice()
    broken[100] = (broken[100] ?? 0) ^ 1
    expect([receive(a, linear, CHECKSUM_NONE), receive(broken, linear, CHECKSUM_NONE)]).toEqual([C.GRO_HELD, C.GRO_NORMAL])
    finish()
    expect(up.map((s) => s.len)).toEqual([b.length - 14, a.length - 14])
    up = []
    const fragment = b.slice()
    fragment[20] = 0x20 // more fragments
    receive(a)
    expect(receive(fragment)).toBe(C.GRO_NORMAL)
  })

  it('does not join beyond 64 KiB', () => {
    // the numbers of the frames run over the limit of one packet
    for (const f of frames({ data: payload(100_000), mss: 1448, pieces: 5 })) receive(f)
    finish()
    expect(up.length).toBeGreaterThan(1)
    expect(Math.max(...up.map((s) => s.len))).toBeLessThan(65536)
    const data = joined(...up.map((s) => contents(s).subarray(52)))
    expect(Buffer.compare(data, payload(100_000))).toBe(0)
  })

  it('leaves all alone when the device says so', () => {
    dev.features = 0n
    for (const f of frames({ data: payload(4344), mss: 1448 })) expect(receive(f)).toBe(C.GRO_NORMAL)
    finish()
    expect(up.map((s) => s.gso_size)).toEqual([0, 0, 0])
  })

  it('joins what another host will get as a list, each in its own buffer', () => {
    dev.features |= F.NETIF_F_GRO_FRAGLIST
    const cut = frames({ data: payload(4344), mss: 1448 })
    // headers are not rewritten: only equal ones go together
    for (const f of cut) f[47] = C.TCPHDR_ACK
    for (const f of cut) receive(f)
    finish()
    expect(up.map((s) => [s.gso_size, s.gso_segs, s.head.shinfo.gso_type])).toEqual([
      [1448, 3, C.SKB_GSO_TCPV4 | C.SKB_GSO_FRAGLIST],
    ])
    const skb = up[0] as sk_buff
    expect(lengthOf(skb.head.shinfo.frag_list)).toBe(2)
    const again = sure(__skb_gso_segment(pushed(skb), F.NETIF_F_SG | F.NETIF_F_FRAGLIST, true))
    expect(again).toBe(skb)
    for (const [i, f] of listOf(again).map(contents).entries()) expect(Buffer.compare(f, cut[i] ?? new Uint8Array(0))).toBe(0)
  })

  it('sends lists to the protocol as lists', () => {
    dev.rx_handler = null
    const calls = visibleCalls(() => {
      for (const f of frames({ data: payload(4344), mss: 1448 })) receive(f)
      finish()
    })
    const at = calls.findIndex((c) => c.trim() === 'netif_receive_skb_list_internal')
    const names = calls.slice(at).map((c) => c.trim())
    expect(names.filter((n) => /list|sublist/.test(n)).slice(0, 4)).toEqual([
      'netif_receive_skb_list_internal',
      '__netif_receive_skb_list_core',
      'ip_list_rcv',
      'ip_sublist_rcv',
    ])
  })
})

describe('UDP', () => {
  const cut = (): Uint8Array[] => framesOf(udp(payload(2500), 1000))

  it('is not joined unless asked for', () => {
    for (const f of cut()) expect(receive(f)).toBe(C.GRO_NORMAL)
    finish()
    expect(up.length).toBe(3)
  })

  it('is joined for whoever forwards it', () => {
    dev.features |= F.NETIF_F_GRO_UDP_FWD
    const whole = udp(payload(2500), 1000)
    const was = contents(whole).subarray(14)
    const cut = framesOf(whole)
    // the short one is the last
    expect(cut.map((f) => receive(f, linear, CHECKSUM_NONE))).toEqual([C.GRO_HELD, C.GRO_MERGED_FREE, C.GRO_MERGED_FREE])
    expect([napi.gro_bitmask, napi.rx_count]).toEqual([0, 3])
    finish()
    const skb = up[0] as sk_buff
    expect([skb.gso_size, skb.gso_segs, skb.head.shinfo.gso_type]).toEqual([1000, 3, C.SKB_GSO_UDP_L4])
    expect(udp_hdr(skb).len).toBe(2508)
    expect(Buffer.compare(contents(skb), was)).toBe(0)
    const again = sure(__skb_gso_segment(pushed(skb), F.NETIF_F_SG, false))
    for (const [i, f] of listOf(again).map(contents).entries()) expect(Buffer.compare(f, cut[i] ?? new Uint8Array(0))).toBe(0)
  })
})
