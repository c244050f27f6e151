import { checksum, transportChecksum } from './checksum.ts'
import {
  type Bytes,
  type Field,
  hex16,
  ipv4Address,
  ipv6Address,
  type Next,
  type PseudoHeader,
  type Row,
  readTable,
} from './field.ts'

const types: Readonly<Record<number, string>> = {
  0: 'echo reply',
  3: 'destination unreachable',
  4: 'source quench',
  5: 'redirect',
  8: 'echo request',
  11: 'time exceeded',
  12: 'parameter problem',
  13: 'timestamp request',
  14: 'timestamp reply',
}
const unreachable = [
  'network unreachable',
  'host unreachable',
  'protocol unreachable',
  'port unreachable',
  'fragmentation needed',
  'source route failed',
  'network unknown',
  'host unknown',
  'source host isolated',
  'network prohibited',
  'host prohibited',
  'network unreachable for TOS',
  'host unreachable for TOS',
  'packet filtered',
  'precedence violation',
  'precedence cut off',
]
const codes: Readonly<Record<number, readonly string[]>> = {
  3: unreachable,
  5: ['for the network', 'for the host', 'for TOS and network', 'for TOS and host'],
  11: ['TTL in transit', 'fragment reassembly'],
}
/** types that quote the header of the packet they are about */
const quoting = new Set([3, 4, 5, 11, 12])

const head: readonly Row[] = [
  { name: 'type', at: 0, bytes: 1, show: (v) => `${v} ${types[v] ?? ''}`.trim() },
  { name: 'code', at: 1, bytes: 1, show: (v, b, o) => `${v} ${codes[b.u8(o)]?.[v] ?? ''}`.trim() },
]
const echo: readonly Row[] = [
  { name: 'id', at: 4, bytes: 2 },
  { name: 'sequence', at: 6, bytes: 2 },
]

/** RFC 792; the packet that an error quotes is decoded as well */
export function icmp(b: Bytes, at: number, end: number): { fields: Field[]; length: number; next: Next } {
  const fields = readTable(b, at, head)
  const value = b.u16(at + 2)
  fields.push({ name: 'checksum', offset: at + 2, length: 2, value, meaning: `${hex16(value)} ${checksum(b, at + 2, at, end)}` })
  const type = b.u8(at)
  if (type === 0 || type === 8) fields.push(...readTable(b, at, echo))
  else if (type === 3 && b.u8(at + 1) === 4) fields.push(...readTable(b, at, [{ name: 'mtu', at: 6, bytes: 2 }]))
  else if (type === 5) fields.push(...readTable(b, at, [{ name: 'gateway', at: 4, bytes: 4, show: ipv4Address }]))
  const quotes = quoting.has(type) && end - at >= 8 + 20
  return { fields, length: 8, next: { protocol: quotes ? 'IPv4' : 'payload', offset: at + 8, end, pseudo: null } }
}

const types6: Readonly<Record<number, string>> = {
  1: 'destination unreachable',
  2: 'packet too big',
  3: 'time exceeded',
  4: 'parameter problem',
  128: 'echo request',
  129: 'echo reply',
  133: 'router solicitation',
  134: 'router advertisement',
  135: 'neighbour solicitation',
  136: 'neighbour advertisement',
  143: 'multicast listener report',
}
const head6: readonly Row[] = [
  { name: 'type', at: 0, bytes: 1, show: (v) => `${v} ${types6[v] ?? ''}`.trim() },
  { name: 'code', at: 1, bytes: 1 },
]

/** RFC 4443, and the target of RFC 4861's neighbour messages */
export function icmpv6(
  b: Bytes,
  at: number,
  end: number,
  pseudo: PseudoHeader | null,
): { fields: Field[]; length: number; next: Next } {
  const fields = readTable(b, at, head6)
  const value = b.u16(at + 2)
  fields.push({
    name: 'checksum',
    offset: at + 2,
    length: 2,
    value,
    meaning: `${hex16(value)} ${transportChecksum(b, at + 2, at, end, pseudo, false)}`,
  })
  const type = b.u8(at)
  if (type === 128 || type === 129) fields.push(...readTable(b, at, echo))
  else if (type === 2) fields.push(...readTable(b, at, [{ name: 'mtu', at: 4, bytes: 4 }]))
  if (type === 135 || type === 136) {
    fields.push(...readTable(b, at, [{ name: 'target', at: 8, bytes: 16, show: (_, x, o) => ipv6Address(x, o + 8) }]))
    return { fields, length: 24, next: { protocol: 'payload', offset: at + 24, end, pseudo: null } }
  }
  return {
    fields,
    length: 8,
    next: { protocol: type < 5 && end - at >= 48 ? 'IPv6' : 'payload', offset: at + 8, end, pseudo: null },
  }
}
