import type { Part } from './state.ts'

/**
 * Headers as an `<svg>` element, drawn as RFC 791 draws them: 32 bits a row, each field a box with its name and meaning. Fields that
 * share a byte share the bytes of all of them, in order.
 */
export function drawHeaders(parts: readonly Part[], width: number): string {
  const esc = (t: string): string => t.replace(/[<>&"]/g, (c) => `&#${c.charCodeAt(0)};`)
  const cell = (width - 20) / 4
  const high = 38
  let y = 0
  let out = ''
  const text = (x: number, ty: number, t: string, room: number, c: string): void => {
    const most = Math.max(1, Math.floor(room / 7.4))
    out += `<text x="${x.toFixed(1)}" y="${ty}" class="d-text ${c}">${esc(t.length > most ? `${t.slice(0, Math.max(1, most - 1))}…` : t)}</text>`
  }
  const kind = (p: string): string =>
    p === 'Ethernet' || p === 'VLAN' || p === 'ARP' ? 'link' : p.startsWith('IP') ? 'net' : 'transport'
  for (const p of parts) {
    if (p.fields.length === 0) continue
    text(1, y + 16, `${p.protocol}, ${p.length} bytes`, width, '')
    y += 24
    const rows = Math.ceil(p.length / 4)
    const groups: { from: number; to: number; fields: (typeof p.fields)[number][] }[] = []
    for (const f of p.fields) {
      const begin = f[1] - p.offset
      const last = groups[groups.length - 1]
      if (last !== undefined && begin < last.to) {
        last.to = Math.max(last.to, begin + f[2])
        last.fields.push(f)
      } else groups.push({ from: begin, to: begin + f[2], fields: [f] })
    }
    for (const { from: begin, to: end, fields } of groups) {
      const weight = fields.reduce((n, f) => n + f[2], 0)
      // a field that goes over a row's end is drawn in each row that it has bytes in, its words in the first
      for (let from = begin; from < end; ) {
        const to = Math.min(end, from - (from % 4) + 4)
        const top = y + Math.floor(from / 4) * high
        let fx = 10 + (from % 4) * cell
        for (const f of fields) {
          const w = ((to - from) * cell * f[2]) / weight
          out += `<rect x="${fx.toFixed(1)}" y="${top}" width="${w.toFixed(1)}" height="${high}" class="d-cell d-${kind(p.protocol)}"/>`
          if (from === begin) {
            text(fx + w / 2, top + 15, f[0], w - 6, 'd-mid')
            text(fx + w / 2, top + 31, f[3], w - 6, 'd-mid d-soft')
          }
          fx += w
        }
        from = to
      }
    }
    y += rows * high + 14
  }
  if (out === '') {
    out = '<text x="10" y="20" class="d-text d-soft">no headers yet</text>'
    y = 30
  }
  return `<svg viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" role="img" aria-label="headers: ${parts.map((p) => p.protocol).join(', ')}">${out}</svg>`
}
