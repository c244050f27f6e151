import type { Kfn, TracedSkb } from '../trace/tracer.ts'
import { bytesOf } from './format.ts'

/** link types: https://www.tcpdump.org/linktypes.html */
export const ETHERNET = 1
/** begins with an IPv4 or IPv6 header */
const RAW = 101
/** Wireshark's own: says which protocol comes, for a TCP header that has no IP header yet */
const UPPER_PDU = 252
const DISSECTOR_NAME = 12

/** A buffer on its way, as a packet of a capture. */
export interface Capture {
  readonly linktype: number
  readonly bytes: Uint8Array
  /** bytes at its beginning that are made: a header that comes later would be read as a damaged one */
  readonly made: number
  /** how long the packet is, with what is in no fragment of its own */
  readonly length: number
  readonly received: boolean
}

/** functions that get a buffer from below */
const RECEIVES = /(^|_)(rcv|rx|receive|deliver)(_|$)|tcp_ack/
const ETHERNET_HEADERS = new Set([14, 18, 22])

/** the headers and data that a buffer has in a function's hands; null for one that has nothing yet */
export function captureOf(fn: Kfn, skb: TracedSkb): Capture | null {
  const received = RECEIVES.test(fn.name)
  const { data, mac_header, network_header } = skb
  const ip = network_header > 0 && network_header < skb.tail ? (skb.bytes[network_header] as number) >> 4 : 0
  // going out, the link header is what stands before the IP header; coming in, it was taken off and is still there
  const link = received && mac_header !== 0xffff && mac_header < data ? mac_header : data
  if (ETHERNET_HEADERS.has(network_header - link)) return captured(ETHERNET, from(skb, link), skb.len + skb.data - link, received)
  if ((ip === 4 || ip === 6) && network_header <= data && skb.protocol !== 0x0806) {
    const bytes = from(skb, network_header)
    const length = skb.len + skb.data - network_header
    return {
      linktype: RAW,
      bytes,
      made: isFinished(skb, ip, length) ? bytes.length : Math.min(20, bytes.length),
      length,
      received,
    }
  }
  if (skb.len === 0) return null
  const protocol = skb.transport_header !== data ? 'data' : fn.symbol.file.includes('udp') ? 'udp' : 'tcp'
  const bytes = named(protocol, bytesOf(skb))
  return captured(UPPER_PDU, bytes, bytes.length, received)
}

const captured = (linktype: number, bytes: Uint8Array, length: number, received: boolean): Capture => ({
  linktype,
  bytes,
  made: bytes.length,
  length,
  received,
})

/** whether the headers are filled in: IPv4 writes its length when it hands the packet on, UDP its header last */
function isFinished(skb: TracedSkb, ip: number, length: number): boolean {
  const { bytes, network_header: n, transport_header: t } = skb
  const total = ((bytes[n + 2] as number) << 8) | (bytes[n + 3] as number)
  if (ip === 4 && total !== length && length <= 0xffff) return false
  const isUdp = t !== 0xffff && t > n && bytes[n + (ip === 4 ? 9 : 6)] === 17
  return !isUdp || bytes[t + 4] !== 0 || bytes[t + 5] !== 0
}

/** the bytes of a buffer from an offset before its data on */
function from(skb: TracedSkb, start: number): Uint8Array {
  const rest = bytesOf(skb)
  if (start >= skb.data) return rest
  const out = new Uint8Array(skb.data - start + rest.length)
  out.set(skb.bytes.subarray(start, skb.data))
  out.set(rest, skb.data - start)
  return out
}

/** tags in big endian, type and length, each padded to 32 bits; an empty one ends them */
function named(protocol: string, bytes: Uint8Array): Uint8Array {
  const name = new TextEncoder().encode(protocol)
  const length = (name.length + 3) & ~3
  const out = new Uint8Array(4 + length + 4 + bytes.length)
  const d = new DataView(out.buffer)
  d.setUint16(0, DISSECTOR_NAME)
  d.setUint16(2, length)
  out.set(name, 4)
  out.set(bytes, 4 + length + 4)
  return out
}

/** the address that an Ethernet frame's IP packet comes from; null for others */
export function sourceOf(frame: Uint8Array): Uint8Array | null {
  let at = 12
  let type = ((frame[at] ?? 0) << 8) | (frame[at + 1] ?? 0)
  while (type === 0x8100 || type === 0x88a8) {
    at += 4
    type = ((frame[at] ?? 0) << 8) | (frame[at + 1] ?? 0)
  }
  at += 2
  if (type === 0x0800 && frame.length >= at + 20) return known(frame.slice(at + 12, at + 16))
  if (type === 0x86dd && frame.length >= at + 40) return known(frame.slice(at + 8, at + 24))
  return null
}

/** an address that somebody has: not the one of those that have none yet */
const known = (address: Uint8Array): Uint8Array | null => (address.every((b) => b === 0) ? null : address)
