import { checksum, sum16 } from './checksum.ts'
import {
  type Bytes,
  bits,
  type Field,
  hex,
  hex16,
  ipv4Address,
  ipv6Address,
  type Next,
  type Protocol,
  type Row,
  readTable,
} from './field.ts'

const protocols: Readonly<Record<number, string>> = {
  0: 'hop-by-hop',
  1: 'ICMP',
  2: 'IGMP',
  4: 'IPIP',
  6: 'TCP',
  17: 'UDP',
  41: 'IPv6',
  43: 'routing',
  44: 'fragment',
  47: 'GRE',
  50: 'ESP',
  51: 'AH',
  58: 'ICMPv6',
  59: 'no next header',
  60: 'destination options',
  132: 'SCTP',
}
const follows: Readonly<Record<number, Protocol>> = { 1: 'ICMP', 4: 'IPv4', 6: 'TCP', 17: 'UDP', 41: 'IPv6', 58: 'ICMPv6' }
const protocol = (v: number): string => protocols[v] ?? String(v)
const ecn = ['not ECT', 'ECT(1)', 'ECT(0)', 'CE']

const table: readonly Row[] = [
  { name: 'version', at: 0, bytes: 1, shift: 4 },
  { name: 'ihl', at: 0, bytes: 1, mask: 15, show: (v) => `${v} (${4 * v} bytes)` },
  { name: 'dscp', at: 1, bytes: 1, shift: 2 },
  { name: 'ecn', at: 1, bytes: 1, mask: 3, show: (v) => ecn[v] ?? '' },
  { name: 'tot_len', at: 2, bytes: 2 },
  { name: 'id', at: 4, bytes: 2, show: hex16 },
  {
    name: 'flags',
    at: 6,
    bytes: 2,
    shift: 13,
    show: (v) =>
      bits(v, [
        [4, 'reserved'],
        [2, 'DF'],
        [1, 'MF'],
      ]),
  },
  { name: 'frag_off', at: 6, bytes: 2, mask: 0x1fff, show: (v) => (v === 0 ? '0' : `${v} (byte ${8 * v})`) },
  { name: 'ttl', at: 8, bytes: 1 },
  { name: 'protocol', at: 9, bytes: 1, show: protocol },
  { name: 'check', at: 10, bytes: 2, show: (v, b, o) => `${hex16(v)} ${checksum(b, o + 10, o, o + 4 * (b.u8(o) & 15))}` },
  { name: 'saddr', at: 12, bytes: 4, show: ipv4Address },
  { name: 'daddr', at: 16, bytes: 4, show: ipv4Address },
]

const optionNames: Readonly<Record<number, string>> = {
  0: 'end',
  1: 'nop',
  7: 'record route',
  68: 'timestamp',
  130: 'security',
  131: 'loose source route',
  134: 'CIPSO',
  136: 'stream id',
  137: 'strict source route',
  148: 'router alert',
}

function options(b: Bytes, from: number, to: number): Field[] {
  const out: Field[] = []
  for (let at = from; at < to && at < b.end; ) {
    const kind = b.u8(at)
    const length = kind < 2 ? 1 : b.u8(at + 1)
    const name = optionNames[kind] ?? `option ${kind}`
    if (length < 1 || (kind > 1 && length < 2) || at + length > to) {
      out.push({ name, offset: at, length: to - at, value: b.hex(at, to - at), meaning: 'length is wrong' })
      break
    }
    let meaning = ''
    if (kind === 7 || kind === 131 || kind === 137) {
      const addresses: string[] = []
      for (let a = at + 3; a + 4 <= at + length; a += 4) addresses.push(ipv4Address(b.u32(a)))
      meaning = `pointer ${b.u8(at + 2)} ${addresses.join(' ')}`
    } else if (length > 2) meaning = b.hex(at + 2, length - 2)
    out.push({ name, offset: at, length, value: kind, meaning })
    at += length
    if (kind === 0) break
  }
  return out
}

/** RFC 791, section 3.1 */
export function ipv4(b: Bytes, at: number): { fields: Field[]; length: number; next: Next } {
  const length = 4 * (b.u8(at) & 15)
  const fields = readTable(b, at, table)
  if (length > 20) fields.push(...options(b, at + 20, at + length))
  const total = b.u16(at + 2)
  const end = total === 0 ? b.total : Math.min(b.total, at + total)
  const fragment = b.u16(at + 6) & 0x3fff
  const proto = b.u8(at + 9)
  const payload = total === 0 ? b.total - at - length : total - length
  const next = (fragment & 0x1fff) !== 0 || length < 20 ? undefined : follows[proto]
  return {
    fields,
    length: Math.max(20, length),
    next: {
      protocol: next ?? 'payload',
      offset: at + Math.max(20, length),
      end,
      pseudo: { sum: sum16(b, at + 12, at + 20, proto + payload), partOnly: fragment !== 0 || at + total > b.total },
    },
  }
}

const table6: readonly Row[] = [
  { name: 'version', at: 0, bytes: 1, shift: 4 },
  { name: 'tclass', at: 0, bytes: 2, shift: 4, mask: 0xff, show: (v) => hex(v, 2) },
  { name: 'flowlabel', at: 0, bytes: 4, mask: 0xfffff, show: (v) => hex(v, 5) },
  { name: 'payload_len', at: 4, bytes: 2 },
  { name: 'nexthdr', at: 6, bytes: 1, show: protocol },
  { name: 'hop_limit', at: 7, bytes: 1 },
  { name: 'saddr', at: 8, bytes: 16, show: (_, b, o) => ipv6Address(b, o + 8) },
  { name: 'daddr', at: 24, bytes: 16, show: (_, b, o) => ipv6Address(b, o + 24) },
]

/** headers that may stand between the fixed header and the payload: RFC 8200, section 4 */
const extension = new Set([0, 43, 44, 60, 51])

/** RFC 8200, section 3 */
export function ipv6(b: Bytes, at: number): { fields: Field[]; length: number; next: Next } {
  const fields = readTable(b, at, table6)
  const payload = b.u16(at + 4)
  const end = payload === 0 ? b.total : Math.min(b.total, at + 40 + payload)
  let proto = b.u8(at + 6)
  let o = at + 40
  let fragment = 0
  while (extension.has(proto) && o + 8 <= b.end) {
    const size = proto === 44 ? 8 : proto === 51 ? 4 * (b.u8(o + 1) + 2) : 8 * (b.u8(o + 1) + 1)
    if (proto === 44) fragment = b.u16(o + 2) & 0xfff9
    fields.push({
      name: protocol(proto),
      offset: o,
      length: size,
      value: proto,
      meaning:
        proto === 44
          ? `offset ${b.u16(o + 2) & 0xfff8}${(b.u16(o + 2) & 1) !== 0 ? ', more follow' : ''}, id ${hex(b.u32(o + 4), 8)}`
          : b.hex(o + 2, size - 2),
    })
    proto = b.u8(o)
    o += size
  }
  const length = end - o
  return {
    fields,
    length: o - at,
    next: {
      protocol: (fragment & 0xfff8) !== 0 ? 'payload' : (follows[proto] ?? 'payload'),
      offset: o,
      end,
      pseudo: {
        sum: sum16(b, at + 8, at + 40, proto + (length % 65536) + Math.floor(length / 65536)),
        partOnly: fragment !== 0 || at + 40 + payload > b.total,
      },
    },
  }
}
