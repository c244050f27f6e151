import type { SkbLayer, SkbView } from '../engine/types.ts'
import { clip, flow, type Span } from './text.ts'

const colours: Readonly<Record<string, Span['color']>> = {
  Ethernet: 'green',
  VLAN: 'green',
  ARP: 'green',
  IPv4: 'cyan',
  IPv6: 'cyan',
  TCP: 'yellow',
  UDP: 'yellow',
  ICMP: 'yellow',
  ICMPv6: 'yellow',
  VXLAN: 'green',
}
const colourOf = (protocol: string): Span['color'] => colours[protocol]

const layerAt = (layers: readonly SkbLayer[], i: number): SkbLayer | undefined =>
  layers.find((l) => i >= l.offset && i < l.offset + l.length)

/** `|headroom 268|IPv4 20|TCP 32|tailroom 64| + frag 4096`, as the text form draws it */
function geometry(s: SkbView): Span[] {
  const spans: Span[] = [{ text: '|', dim: true }]
  for (const c of s.cells)
    spans.push(
      { text: `${c.name} ${c.length}`, color: colourOf(c.name), bold: c.changed, inverse: c.changed },
      { text: '|', dim: true },
    )
  if (s.frags.length > 0) {
    const list = s.frags.length > 4 ? `${s.frags.slice(0, 3).join(' ')} ...` : s.frags.join(' ')
    spans.push({ text: ` + ${s.frags.length > 1 ? `${s.frags.length} frags` : 'frag'} ${list}` })
  }
  return spans
}

/** a dump of the bytes; those that changed stand out. 16 bytes a row, or 8 where there is no room for them */
function dump(s: SkbView, width: number, rows: number): Span[][] {
  const per = width >= 75 ? 16 : 8
  const fresh = (i: number): boolean => s.changed.some(([from, to]) => i >= from && i < to)
  const out: Span[][] = []
  for (let at = 0; at < s.bytes.length && out.length < rows; at += per) {
    const line: Span[] = [{ text: `${at.toString(16).padStart(4, '0')} `, dim: true }]
    let ascii = ''
    for (let i = at; i < at + per; i++) {
      const b = s.bytes[i]
      if (b === undefined) {
        line.push({ text: '   ' })
        continue
      }
      const changed = fresh(i)
      line.push(
        { text: ' ' },
        {
          text: b.toString(16).padStart(2, '0'),
          color: colourOf(layerAt(s.layers, i)?.protocol ?? ''),
          bold: changed,
          inverse: changed,
        },
      )
      ascii += b >= 32 && b < 127 ? String.fromCharCode(b) : '.'
    }
    line.push({ text: `  ${ascii}`, dim: true })
    out.push(clip(line, width))
  }
  return out
}

/** the buffer in `height` rows: who it is, its shape, its numbers, its fields and its bytes, what changed marked */
export function skbLines(s: SkbView, width: number, height: number): Span[][] {
  const out: Span[][] = [clip([{ text: s.title, bold: true }], width)]
  out.push(...flow([geometry(s)], width, 1))
  const numbers = s.fields.map((f): Span[] => [
    { text: `${f.name} `, dim: true },
    { text: f.value, bold: f.was !== null, color: f.was !== null ? 'yellow' : undefined },
  ])
  out.push(...flow(numbers, width, height >= 9 ? 2 : 1))
  const left = Math.max(0, height - out.length)
  // headers in bytes, and what they mean: the fields of the changed layer first
  const headers = s.layers.filter((l) => l.fields.length > 0)
  const bytes = dump(s, width, Math.max(1, Math.ceil(left / 2)))
  const words: Span[][] = []
  const order = [...headers].sort((a, b) => Number(b.fields.some((f) => f.changed)) - Number(a.fields.some((f) => f.changed)))
  for (const l of order)
    words.push(
      [{ text: l.protocol, color: colourOf(l.protocol), bold: true }],
      ...l.fields.map((f): Span[] => [
        { text: `${f.name} `, dim: true },
        { text: f.text, bold: f.changed, color: f.changed ? 'yellow' : undefined },
      ]),
    )
  const fields = flow(words, width, Math.max(0, left - bytes.length))
  return [...out, ...bytes, ...fields].slice(0, height)
}
