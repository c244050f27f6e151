import { put16, sum16 } from '../hardware/checksum.ts'

/** Who sends a datagram to whom: MAC addresses, IPv4 addresses and ports in host order. */
export interface UdpFlow {
  readonly sourceMac: Uint8Array
  readonly destMac: Uint8Array
  readonly source: number
  readonly dest: number
  readonly sourcePort: number
  readonly destPort: number
}

/** Ethernet, IPv4 and UDP headers */
export const HEADERS = 42

/** what a card has to be told to make the UDP checksum: where the bytes begin that it is over, and where it goes, from there */
export const CSUM_START = 34
export const CSUM_OFFSET = 6

/**
 * A UDP datagram as a frame, as a program writes it that does without the kernel's: RFC 768, RFC 791, without options, not to be
 * fragmented. `partial`: the UDP checksum holds the sum of the pseudo-header only, for a card to finish, and the IPv4 checksum is
 * zero, for the card to make.
 */
export function writeUdpFrame(frame: Uint8Array, flow: UdpFlow, id: number, payload: Uint8Array, partial: boolean): void {
  frame.set(flow.destMac, 0)
  frame.set(flow.sourceMac, 6)
  const d = new DataView(frame.buffer, frame.byteOffset, frame.length)
  const length = 8 + payload.length
  d.setUint16(12, 0x0800)
  d.setUint16(14, 0x4500)
  d.setUint16(16, 20 + length)
  d.setUint16(18, id & 0xffff)
  d.setUint16(20, 0x4000)
  d.setUint16(22, 0x4011)
  d.setUint16(24, 0)
  d.setUint32(26, flow.source)
  d.setUint32(30, flow.dest)
  d.setUint16(34, flow.sourcePort)
  d.setUint16(36, flow.destPort)
  d.setUint16(38, length)
  d.setUint16(40, 0)
  frame.set(payload, HEADERS)
  const pseudo = sum16(frame, 26, 34) + 17 + length
  if (partial) put16(frame, 40, fold(pseudo))
  else {
    put16(frame, 24, ~sum16(frame, 14, 34) & 0xffff)
    put16(frame, 40, ~fold(pseudo + sum16(frame, 34, HEADERS + payload.length)) & 0xffff || 0xffff)
  }
}

const fold = (sum: number): number => {
  let s = sum
  while (s > 0xffff) s = (s & 0xffff) + Math.floor(s / 0x10000)
  return s
}
