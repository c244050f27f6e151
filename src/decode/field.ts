/** One field of a header: where it is, what is in it, what that means. */
export interface Field {
  readonly name: string
  /** from the start of the bytes that were given, in bytes; a field of less than a byte has the byte that it begins in */
  readonly offset: number
  readonly length: number
  readonly value: number | string
  /** in words or in the usual notation: `127.0.0.1`, `PSH ACK`, `correct` */
  readonly meaning: string
}

/** A header (or what an option or a payload is): its fields in order. */
export interface Layer {
  readonly protocol: string
  readonly offset: number
  readonly length: number
  readonly fields: readonly Field[]
}

/** What a header says of the one that follows it. */
export interface Next {
  readonly protocol: Protocol | 'payload' | 'nothing'
  readonly offset: number
  /** where the datagram ends, by what its header says */
  readonly end: number
  readonly pseudo: PseudoHeader | null
}

/** What a transport's checksum covers besides its own bytes (RFC 793, RFC 8200). */
export interface PseudoHeader {
  /** sum of the 16-bit words of the addresses, protocol and length */
  readonly sum: number
  /** the header's own bytes are a fragment or an excerpt: a checksum over the whole cannot be verified */
  readonly partOnly: boolean
}

/** what a header is of */
export type Protocol = 'Ethernet' | 'VLAN' | 'ARP' | 'IPv4' | 'IPv6' | 'TCP' | 'UDP' | 'ICMP' | 'ICMPv6' | 'VXLAN'

/** A row of a header's table: name, first byte, bytes, then what to take of them and how to put it in words. */
export interface Row {
  readonly name: string
  readonly at: number
  readonly bytes: number
  /** bits to take, and how far they are from the right */
  readonly mask?: number
  readonly shift?: number
  readonly show?: (value: number, b: Bytes, base: number) => string
}

/** Bytes with a beginning and an end that reading never leaves. */
export class Bytes {
  readonly data: Uint8Array
  readonly end: number
  /** length of the whole, where `data` is only the beginning of it */
  readonly total: number

  constructor(data: Uint8Array, end = data.length, total = end) {
    this.data = data
    this.end = Math.min(end, data.length)
    this.total = total
  }

  u8(at: number): number {
    return this.data[at] ?? 0
  }
  u16(at: number): number {
    return (this.u8(at) << 8) | this.u8(at + 1)
  }
  u32(at: number): number {
    return this.u16(at) * 0x10000 + this.u16(at + 2)
  }
  number(at: number, bytes: number): number {
    let v = 0
    for (let i = 0; i < bytes; i++) v = v * 256 + this.u8(at + i)
    return v
  }
  hex(at: number, bytes: number): string {
    let out = ''
    for (let i = at; i < at + bytes && i < this.end; i++) out += this.u8(i).toString(16).padStart(2, '0')
    return out
  }
}

/** reads the rows of a table; a field that does not lie in the bytes as a whole is left out */
export function readTable(b: Bytes, base: number, table: readonly Row[]): Field[] {
  const out: Field[] = []
  for (const r of table) {
    const offset = base + r.at
    if (offset + r.bytes > b.end) continue
    let value = b.number(offset, r.bytes)
    if (r.shift !== undefined) value = Math.floor(value / 2 ** r.shift)
    if (r.mask !== undefined) value = (value & r.mask) >>> 0
    out.push({ name: r.name, offset, length: r.bytes, value, meaning: r.show?.(value, b, base) ?? String(value) })
  }
  return out
}

/** `0x08`: so many digits at least */
export const hex = (v: number, digits: number): string => `0x${v.toString(16).padStart(digits, '0')}`
export const hex16 = (v: number): string => hex(v, 4)
export const mac = (b: Bytes, at: number): string => (b.hex(at, 6).match(/../g) ?? []).join(':')
export const ipv4Address = (v: number): string => `${v >>> 24}.${(v >>> 16) & 255}.${(v >>> 8) & 255}.${v & 255}`

/** an IPv6 address as RFC 5952 writes it */
export function ipv6Address(b: Bytes, at: number): string {
  const words = Array.from({ length: 8 }, (_, i) => b.u16(at + 2 * i))
  if (words.slice(0, 5).every((w) => w === 0) && words[5] === 0xffff) return `::ffff:${ipv4Address(b.u32(at + 12))}`
  let best = 0
  let from = -1
  for (let i = 0; i < 8; i++) {
    let n = 0
    while (i + n < 8 && words[i + n] === 0) n++
    if (n > best && n > 1) {
      best = n
      from = i
    }
  }
  const text = (list: number[]): string => list.map((w) => w.toString(16)).join(':')
  return from < 0 ? text(words) : `${text(words.slice(0, from))}::${text(words.slice(from + best))}`
}

/** names of the bits that are set, from a table of mask and name */
export const bits = (v: number, table: readonly (readonly [number, string])[]): string =>
  table
    .filter(([m]) => (v & m) !== 0)
    .map(([, n]) => n)
    .join(' ') || 'none'
