import { transportChecksum } from './checksum.ts'
import { type Bytes, type Field, hex16, type Next, type PseudoHeader, type Row, readTable } from './field.ts'

const table: readonly Row[] = [
  { name: 'source', at: 0, bytes: 2 },
  { name: 'dest', at: 2, bytes: 2 },
  { name: 'len', at: 4, bytes: 2 },
]

const VXLAN_PORT = 4789

/** RFC 768 */
export function udp(
  b: Bytes,
  at: number,
  end: number,
  pseudo: PseudoHeader | null,
): { fields: Field[]; length: number; next: Next } {
  const fields = readTable(b, at, table)
  const said = b.u16(at + 4)
  const to = said === 0 ? end : Math.min(end, at + said)
  if (at + 8 <= b.end) {
    const value = b.u16(at + 6)
    fields.push({
      name: 'check',
      offset: at + 6,
      length: 2,
      value,
      meaning: `${hex16(value)} ${transportChecksum(b, at + 6, at, to, pseudo, true)}`,
    })
  }
  const vxlan = b.u16(at + 2) === VXLAN_PORT && (b.u8(at + 8) & 8) !== 0 && to - at >= 8 + 8 + 14
  return { fields, length: 8, next: { protocol: vxlan ? 'VXLAN' : 'payload', offset: at + 8, end: to, pseudo: null } }
}
