import { type Bytes, bits, type Field, hex16, mac, type Next, type Protocol, type Row, readTable } from './field.ts'

const etherTypes: Readonly<Record<number, string>> = {
  2048: 'IPv4',
  2054: 'ARP',
  33024: '802.1Q',
  34984: '802.1ad',
  34525: 'IPv6',
  35020: 'LLDP',
  34887: 'MPLS',
}
const follows: Readonly<Record<number, Protocol>> = { 2048: 'IPv4', 2054: 'ARP', 33024: 'VLAN', 34984: 'VLAN', 34525: 'IPv6' }

/** `0x0800 IPv4`; below 0x600 it is a length (IEEE 802.3) */
export const etherType = (v: number): string => `${hex16(v)} ${v < 0x600 ? 'length' : (etherTypes[v] ?? 'unknown')}`

const table: readonly Row[] = [
  { name: 'dst', at: 0, bytes: 6, show: (_, b, o) => mac(b, o) },
  { name: 'src', at: 6, bytes: 6, show: (_, b, o) => mac(b, o + 6) },
  { name: 'type', at: 12, bytes: 2, show: etherType },
]

/** IEEE 802.3 with a type field: RFC 894 */
export function ethernet(b: Bytes, at: number): { fields: Field[]; length: number; next: Next } {
  return {
    fields: readTable(b, at, table),
    length: 14,
    next: { protocol: follows[b.u16(at + 12)] ?? 'payload', offset: at + 14, end: b.total, pseudo: null },
  }
}

const vlanTable: readonly Row[] = [
  { name: 'pcp', at: 0, bytes: 2, shift: 13, mask: 7 },
  { name: 'dei', at: 0, bytes: 2, shift: 12, mask: 1 },
  { name: 'vid', at: 0, bytes: 2, mask: 0xfff },
  { name: 'type', at: 2, bytes: 2, show: etherType },
]

/** IEEE 802.1Q tag */
export function vlan(b: Bytes, at: number): { fields: Field[]; length: number; next: Next } {
  return {
    fields: readTable(b, at, vlanTable),
    length: 4,
    next: { protocol: follows[b.u16(at + 2)] ?? 'payload', offset: at + 4, end: b.total, pseudo: null },
  }
}

const vxlanTable: readonly Row[] = [
  { name: 'flags', at: 0, bytes: 1, show: (v) => bits(v, [[8, 'I']]) },
  { name: 'vni', at: 4, bytes: 3 },
]

/** RFC 7348, section 5 */
export function vxlan(b: Bytes, at: number): { fields: Field[]; length: number; next: Next } {
  return {
    fields: readTable(b, at, vxlanTable),
    length: 8,
    next: { protocol: 'Ethernet', offset: at + 8, end: b.total, pseudo: null },
  }
}
