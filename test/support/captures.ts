/** Captures made by hand, for readers of captures. */

interface CaptureOptions {
  little?: boolean
  nano?: boolean
  linktype?: number
  /** bytes of each packet that are kept */
  snaplen?: number
}

interface TimedPacket {
  /** seconds, and the rest in the capture's own unit */
  s: number
  rest: number
  bytes: Uint8Array
}

/** a pcap file */
export function pcap(packets: readonly TimedPacket[], o: CaptureOptions = {}): Uint8Array {
  const little = o.little ?? true
  const parts: Uint8Array[] = []
  const words = (...list: [2 | 4, number][]): void => {
    const b = new Uint8Array(list.reduce((n, [size]) => n + size, 0))
    const d = new DataView(b.buffer)
    let at = 0
    for (const [size, v] of list) {
      if (size === 2) d.setUint16(at, v, little)
      else d.setUint32(at, v, little)
      at += size
    }
    parts.push(b)
  }
  words(
    [4, o.nano === true ? 0xa1b23c4d : 0xa1b2c3d4],
    [2, 2],
    [2, 4],
    [4, 0],
    [4, 0],
    [4, o.snaplen ?? 65535],
    [4, o.linktype ?? 1],
  )
  for (const p of packets) {
    const kept = p.bytes.subarray(0, o.snaplen ?? 65535)
    words([4, p.s], [4, p.rest], [4, kept.length], [4, p.bytes.length])
    parts.push(kept)
  }
  return Buffer.concat(parts)
}

const sum = (b: Uint8Array): number => {
  let s = 0
  for (let i = 0; i < b.length; i += 2) s += ((b[i] ?? 0) << 8) | (b[i + 1] ?? 0)
  while (s > 0xffff) s = (s & 0xffff) + (s >> 16)
  return 0xffff - s
}

/** an IPv4 packet: RFC 791 */
export function ip4(protocol: number, from: readonly number[], to: readonly number[], payload: Uint8Array): Uint8Array {
  const h = Uint8Array.of(0x45, 0, 0, 0, 0, 7, 0x40, 0, 64, protocol, 0, 0, ...from, ...to)
  const d = new DataView(h.buffer)
  d.setUint16(2, 20 + payload.length)
  d.setUint16(10, sum(h))
  return Buffer.concat([h, payload])
}

/** a UDP datagram without a checksum: RFC 768 */
export function udp4(from: number, to: number, data: string): Uint8Array {
  const b = new Uint8Array(8 + data.length)
  const d = new DataView(b.buffer)
  d.setUint16(0, from)
  d.setUint16(2, to)
  d.setUint16(4, b.length)
  b.set(new TextEncoder().encode(data), 8)
  return b
}

export const ether = (to: string, from: string, type: number, payload: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from(to + from, 'hex'), Uint8Array.of(type >> 8, type & 0xff), payload])

/** who has `target`? RFC 826 */
export const arpRequest = (mac: string, sender: readonly number[], target: readonly number[]): Uint8Array =>
  ether(
    'ffffffffffff',
    mac,
    0x0806,
    Uint8Array.of(0, 1, 8, 0, 6, 4, 0, 1, ...Buffer.from(mac, 'hex'), ...sender, 0, 0, 0, 0, 0, 0, ...target),
  )
