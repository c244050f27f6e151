import { etherType } from './ethernet.ts'
import { type Bytes, type Field, ipv4Address, mac, type Next, type Row, readTable } from './field.ts'

const operations: Readonly<Record<number, string>> = { 1: 'request', 2: 'reply', 3: 'RARP request', 4: 'RARP reply' }

const table: readonly Row[] = [
  { name: 'hrd', at: 0, bytes: 2, show: (v) => (v === 1 ? 'Ethernet' : String(v)) },
  { name: 'pro', at: 2, bytes: 2, show: etherType },
  { name: 'hln', at: 4, bytes: 1 },
  { name: 'pln', at: 5, bytes: 1 },
  { name: 'op', at: 6, bytes: 2, show: (v) => operations[v] ?? String(v) },
  { name: 'sha', at: 8, bytes: 6, show: (_, b, o) => mac(b, o + 8) },
  { name: 'spa', at: 14, bytes: 4, show: ipv4Address },
  { name: 'tha', at: 18, bytes: 6, show: (_, b, o) => mac(b, o + 18) },
  { name: 'tpa', at: 24, bytes: 4, show: ipv4Address },
]

/** RFC 826, for Ethernet and IPv4 */
export function arp(b: Bytes, at: number): { fields: Field[]; length: number; next: Next } {
  return {
    fields: readTable(b, at, table),
    length: 28,
    next: { protocol: 'nothing', offset: at + 28, end: at + 28, pseudo: null },
  }
}
