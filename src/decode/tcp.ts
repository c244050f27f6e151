import { transportChecksum } from './checksum.ts'
import { type Bytes, bits, type Field, hex16, type Next, type PseudoHeader, type Row, readTable } from './field.ts'

const flagNames = [
  [0x100, 'AE'],
  [0x80, 'CWR'],
  [0x40, 'ECE'],
  [0x20, 'URG'],
  [0x10, 'ACK'],
  [8, 'PSH'],
  [4, 'RST'],
  [2, 'SYN'],
  [1, 'FIN'],
] as const

const table: readonly Row[] = [
  { name: 'source', at: 0, bytes: 2 },
  { name: 'dest', at: 2, bytes: 2 },
  { name: 'seq', at: 4, bytes: 4 },
  { name: 'ack_seq', at: 8, bytes: 4 },
  { name: 'doff', at: 12, bytes: 1, shift: 4, show: (v) => `${v} (${4 * v} bytes)` },
  { name: 'flags', at: 12, bytes: 2, mask: 0x1ff, show: (v) => bits(v, flagNames) },
  { name: 'window', at: 14, bytes: 2 },
]
const urgent: readonly Row[] = [{ name: 'urg_ptr', at: 18, bytes: 2 }]

interface Option {
  name: string
  meaning: (b: Bytes, at: number, length: number) => string
}

const pairs = (b: Bytes, at: number, length: number): string => {
  const out: string[] = []
  for (let o = at + 2; o + 8 <= at + length; o += 8) out.push(`${b.u32(o)}-${b.u32(o + 4)}`)
  return out.join(' ')
}

/** by option kind: https://www.iana.org/assignments/tcp-parameters */
const optionTable: Readonly<Record<number, Option>> = {
  0: { name: 'eol', meaning: () => '' },
  1: { name: 'nop', meaning: () => '' },
  2: { name: 'mss', meaning: (b, at) => String(b.u16(at + 2)) },
  3: { name: 'wscale', meaning: (b, at) => `${b.u8(at + 2)} (multiply by ${2 ** b.u8(at + 2)})` },
  4: { name: 'sackOK', meaning: () => '' },
  5: { name: 'sack', meaning: pairs },
  8: { name: 'TS', meaning: (b, at) => `val ${b.u32(at + 2)} ecr ${b.u32(at + 6)}` },
  19: { name: 'md5', meaning: (b, at, n) => b.hex(at + 2, n - 2) },
  28: { name: 'uto', meaning: (b, at) => `${b.u16(at + 2) & 0x7fff} ${(b.u16(at + 2) & 0x8000) !== 0 ? 'min' : 's'}` },
  29: { name: 'ao', meaning: (b, at, n) => b.hex(at + 2, n - 2) },
  30: { name: 'mptcp', meaning: (b, at, n) => `subtype ${b.u8(at + 2) >> 4} ${b.hex(at + 2, n - 2)}` },
  34: { name: 'fastopen', meaning: (b, at, n) => (n === 2 ? 'request' : `cookie ${b.hex(at + 2, n - 2)}`) },
  253: { name: 'exp1', meaning: (b, at, n) => b.hex(at + 2, n - 2) },
  254: { name: 'exp2', meaning: (b, at, n) => b.hex(at + 2, n - 2) },
}

function tcpOptions(b: Bytes, from: number, to: number): Field[] {
  const out: Field[] = []
  for (let at = from; at < to && at < b.end; ) {
    const kind = b.u8(at)
    const option = optionTable[kind]
    const name = option?.name ?? `option ${kind}`
    const length = kind < 2 ? 1 : b.u8(at + 1)
    if ((kind > 1 && length < 2) || at + length > to) {
      out.push({ name, offset: at, length: to - at, value: b.hex(at, to - at), meaning: 'length is wrong' })
      break
    }
    out.push({ name, offset: at, length, value: kind, meaning: option?.meaning(b, at, length) ?? b.hex(at + 2, length - 2) })
    at += length
    if (kind === 0) break
  }
  return out
}

/** RFC 9293, section 3.1 */
export function tcp(
  b: Bytes,
  at: number,
  end: number,
  pseudo: PseudoHeader | null,
): { fields: Field[]; length: number; next: Next } {
  const length = Math.max(20, 4 * (b.u8(at + 12) >> 4))
  const fields = readTable(b, at, table)
  if (at + 18 <= b.end) {
    const value = b.u16(at + 16)
    fields.push({
      name: 'check',
      offset: at + 16,
      length: 2,
      value,
      meaning: `${hex16(value)} ${transportChecksum(b, at + 16, at, end, pseudo, false)}`,
    })
  }
  fields.push(...readTable(b, at, urgent))
  if (length > 20) fields.push(...tcpOptions(b, at + 20, Math.min(at + length, end)))
  return { fields, length, next: { protocol: 'payload', offset: at + length, end, pseudo: null } }
}
