import { expect } from 'vitest'
import * as C from '../../src/kernel/include/generated/enums.ts'
import { ip_hdr } from '../../src/kernel/include/linux/ip.ts'
import { net_device } from '../../src/kernel/include/linux/netdevice.ts'
import {
  CHECKSUM_PARTIAL,
  type sk_buff,
  skb_reset_network_header,
  skb_reset_transport_header,
} from '../../src/kernel/include/linux/skbuff.ts'
import { GFP_KERNEL } from '../../src/kernel/include/linux/slab.ts'
import { tcp_hdr } from '../../src/kernel/include/linux/tcp.ts'
import { udp_hdr } from '../../src/kernel/include/linux/udp.ts'
import { alloc_pages_noprof } from '../../src/kernel/mm/page_alloc.ts'
import {
  __alloc_skb,
  SKB_ALLOC_FCLONE,
  skb_copy_bits,
  skb_fill_page_desc,
  skb_len_add,
  skb_push,
  skb_put,
  skb_reserve,
} from '../../src/kernel/net/core/skbuff.ts'

// packets made by hand: Ethernet, IPv4, TCP or UDP, larger than a frame may be

const SADDR = 0x0a000001
const DADDR = 0x0a000002
export const SEQ = 0xfffff000 // wraps on the way
export const ID = 0xfffe // so does this
export const MAC = 14
export const OPTIONS = 12

export function sure(x: sk_buff | number | null): sk_buff {
  if (x === null || typeof x === 'number') throw new Error(`no buffer: ${x}`)
  return x
}
export const payload = (n: number): Uint8Array => Uint8Array.from({ length: n }, (_, i) => (i * 131 + (i >> 8)) & 0xff)
export const contents = (skb: sk_buff): Uint8Array => {
  const to = new Uint8Array(skb.len)
  expect(skb_copy_bits(skb, 0, to, 0, skb.len)).toBe(0)
  return to
}

/** RFC 1071, the slow way */
export function sum16(bytes: Uint8Array): number {
  let s = 0
  for (let i = 0; i < bytes.length; i += 2) s += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)
  while (s > 0xffff) s = (s & 0xffff) + Math.floor(s / 0x10000)
  return s
}
export const pseudo = (proto: number, len: number): Uint8Array => {
  const b = new Uint8Array(16)
  new DataView(b.buffer).setUint32(0, SADDR)
  new DataView(b.buffer).setUint32(4, DADDR)
  new DataView(b.buffer).setUint32(8, len)
  b[15] = proto
  return b
}
export const joined = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts))

/** the payload of a packet in pages, as TCP and ip_append_data() leave it; `pieces` cut it where pages end */
function withPayload(data: Uint8Array, linear: number, pieces: number, fclone: number): sk_buff {
  const skb = sure(__alloc_skb(320 + linear, GFP_KERNEL, fclone, -1))
  skb_reserve(skb, 320)
  skb.head.bytes.set(data.subarray(0, linear), skb_put(skb, linear))
  const rest = data.subarray(linear)
  const size = Math.ceil(rest.length / pieces)
  for (let i = 0; i < pieces && rest.length > 0; i++) {
    const piece = rest.subarray(i * size, (i + 1) * size)
    const p = alloc_pages_noprof(GFP_KERNEL, 3)
    p.bytes.set(piece, 8 + i)
    skb_fill_page_desc(skb, i, p, 8 + i, piece.length)
    skb_len_add(skb, piece.length)
    skb.truesize += piece.length
  }
  return skb
}

function ipAndEthernet(skb: sk_buff, protocol: number): void {
  skb_push(skb, 20)
  skb_reset_network_header(skb)
  const iph = ip_hdr(skb)
  iph.set_version_ihl_tos(4, 5, 0)
  iph.tot_len = skb.len
  iph.id = ID
  iph.frag_off = C.IP_DF
  iph.ttl = 64
  iph.protocol = protocol
  iph.saddr = SADDR
  iph.daddr = DADDR
  iph.check = ~sum16(contents(skb).subarray(0, 20)) & 0xffff
  const mac = skb_push(skb, MAC)
  skb.head.bytes.set([2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4, 8, 0], mac)
  skb.mac_header = skb.data
  skb.mac_len = MAC
  skb.protocol = 0x0800
  skb.dev = new net_device()
}

export interface Tcp {
  data: Uint8Array
  mss: number
  linear?: number
  pieces?: number
}
export function tcp({ data, mss, linear = 0, pieces = 1 }: Tcp): sk_buff {
  const skb = withPayload(data, linear, pieces, SKB_ALLOC_FCLONE)
  skb_push(skb, 20 + OPTIONS)
  skb_reset_transport_header(skb)
  const th = tcp_hdr(skb)
  th.source = 40000
  th.dest = 8080
  th.seq = SEQ
  th.ack_seq = 77
  th.doff = (20 + OPTIONS) / 4
  th.flags = C.TCPHDR_ACK | C.TCPHDR_PSH | C.TCPHDR_FIN | C.TCPHDR_CWR
  th.window = 502
  skb.head.bytes.set([1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8], skb.data + 20)
  th.check = sum16(pseudo(C.IPPROTO_TCP, skb.len))
  skb.csum_start = skb.transport_header
  skb.csum_offset = 16
  skb.ip_summed = CHECKSUM_PARTIAL
  const s = skb.head.shinfo
  s.gso_size = mss
  s.gso_type = C.SKB_GSO_TCPV4
  s.gso_segs = Math.ceil(data.length / mss)
  ipAndEthernet(skb, C.IPPROTO_TCP)
  return skb
}
export function udp(data: Uint8Array, gso_size: number, pieces = 1): sk_buff {
  const skb = withPayload(data, 0, pieces, 0)
  skb_push(skb, 8)
  skb_reset_transport_header(skb)
  const uh = udp_hdr(skb)
  uh.source = 40000
  uh.dest = 5000
  uh.len = skb.len
  uh.check = sum16(pseudo(C.IPPROTO_UDP, skb.len))
  skb.csum_start = skb.transport_header
  skb.csum_offset = 6
  skb.ip_summed = CHECKSUM_PARTIAL
  const s = skb.head.shinfo
  s.gso_size = gso_size
  s.gso_type = C.SKB_GSO_UDP_L4
  s.gso_segs = Math.ceil(data.length / gso_size)
  ipAndEthernet(skb, C.IPPROTO_UDP)
  return skb
}

export const listOf = (first: sk_buff): sk_buff[] => {
  const out: sk_buff[] = []
  for (let s: sk_buff | null = first; s !== null; s = s.next) out.push(s)
  expect(first.prev).toBe(out.at(-1))
  return out
}
