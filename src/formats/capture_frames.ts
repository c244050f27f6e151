import type { CapturedPacket } from './capture_reader.ts'

/** A captured packet as an Ethernet frame. */
interface EthernetFrame {
  readonly bytes: Uint8Array
  /** bytes at its end that were not captured; they are zeros */
  readonly missing: number
  /** the link header was made up: the capture had another one, or none */
  readonly made: boolean
}

/** the most that a frame is made of */
const LONGEST = 65535 + 14

/** where a frame without addresses comes from: locally administered */
const STRANGER = Uint8Array.of(2, 0, 0, 0, 0, 1)

const IPV4 = 0x0800
const IPV6 = 0x86dd

/** the type of a packet that begins with an IP header; 0 when it does not */
const ipType = (b: Uint8Array, at: number): number => {
  const version = (b[at] ?? 0) >> 4
  return version === 4 ? IPV4 : version === 6 ? IPV6 : 0
}

/** address families of a loopback capture (BSD's, macOS's, Linux's), which is in the byte order of the machine */
const families: Readonly<Record<number, number>> = { 2: IPV4, 10: IPV6, 23: IPV6, 24: IPV6, 28: IPV6, 30: IPV6 }

/** bytes of the link header, and what type of packet comes behind */
function behind(p: CapturedPacket): { header: number; type: number } | string {
  const b = p.bytes
  const word = (at: number): number => ((b[at] ?? 0) << 8) | (b[at + 1] ?? 0)
  switch (p.linktype) {
    case 12:
    case 14:
    case 101:
    case 228:
    case 229:
      return { header: 0, type: ipType(b, 0) }
    case 0:
    case 108:
      return { header: 4, type: families[b[0] === 0 ? (b[3] ?? 0) : (b[0] ?? 0)] ?? 0 }
    case 113:
      return { header: 16, type: word(14) }
    case 276:
      return { header: 20, type: word(0) }
    default:
      return `link type ${p.linktype}`
  }
}

/**
 * The frame that a packet was, or would be on an Ethernet to `to`. A text says why it cannot be one: its link type.
 * What a capture with a limit left out is filled with zeros.
 */
export function toEthernet(p: CapturedPacket, to: Uint8Array): EthernetFrame | string {
  if (p.length > LONGEST) return `${p.length} bytes are no frame`
  if (p.linktype === 1) {
    const bytes = new Uint8Array(p.length)
    bytes.set(p.bytes)
    return { bytes, missing: p.length - p.bytes.length, made: false }
  }
  const link = behind(p)
  if (typeof link === 'string') return link
  if (p.length < link.header) return `${p.length} bytes are less than its link header`
  const bytes = new Uint8Array(14 + p.length - link.header)
  bytes.set(to)
  bytes.set(STRANGER, 6)
  bytes[12] = link.type >> 8
  bytes[13] = link.type & 0xff
  bytes.set(p.bytes.subarray(link.header), 14)
  return { bytes, missing: p.length - p.bytes.length, made: true }
}
