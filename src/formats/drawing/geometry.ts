import type { SkbState } from './state.ts'

/**
 * An sk_buff's buffer as an `<svg>` element: headroom, headers, data and tailroom from `head` to `end`, its page fragments, and the
 * pointers into it. Cells are wide enough for their words, not to scale. What is not as in `before` is marked.
 *
 * Uses nothing from outside itself: the HTML form carries this function's source.
 */
export function drawGeometry(s: SkbState, before: SkbState | null, width: number): string {
  const esc = (t: string): string => t.replace(/[<>&"]/g, (c) => `&#${c.charCodeAt(0)};`)
  const kind = (p: string): string =>
    p === 'Ethernet' || p === 'VLAN' || p === 'ARP'
      ? 'link'
      : p.startsWith('IP')
        ? 'net'
        : p === 'payload' || p === 'data'
          ? 'payload'
          : 'transport'
  type Cell = { name: string; bytes: number; kind: string; from: number }
  const cells: Cell[] = [{ name: 'headroom', bytes: s.data, kind: 'room', from: 0 }]
  let at = s.data
  for (const p of s.parts) {
    if (p.fields.length === 0) continue
    const n = Math.min(p.length, s.tail - at)
    if (n <= 0) continue
    cells.push({ name: p.protocol, bytes: n, kind: kind(p.protocol), from: at })
    at += n
  }
  if (at < s.tail || cells.length === 1) cells.push({ name: 'data', bytes: s.tail - at, kind: 'payload', from: at })
  cells.push({ name: 'tailroom', bytes: s.end - s.tail, kind: 'room', from: s.tail })

  const least = cells.map((c) => Math.max(c.name.length, String(c.bytes).length) * 7.4 + 14)
  const spare = Math.max(0, width - 2 - least.reduce((a, b) => a + b, 0))
  const weight = cells.map((c) => Math.sqrt(c.bytes))
  const sum = weight.reduce((a, b) => a + b, 0) || 1
  const widths = least.map((w, i) => w + (spare * (weight[i] ?? 0)) / sum)
  const total = Math.max(
    width,
    widths.reduce((a, b) => a + b, 2),
  )

  let out = ''
  const text = (x: number, y: number, t: string, c = ''): void => {
    out += `<text x="${x.toFixed(1)}" y="${y}" class="d-text ${c}">${esc(t)}</text>`
  }

  // where an offset from head lies: only the borders of cells are asked for
  const borders = new Map<number, number>()
  let x = 1
  cells.forEach((c, i) => {
    const w = widths[i] ?? 0
    if (!borders.has(c.from)) borders.set(c.from, x)
    out += `<rect x="${x.toFixed(1)}" y="34" width="${w.toFixed(1)}" height="40" class="d-cell d-${c.kind}"/>`
    text(x + w / 2, 50, c.name, 'd-mid')
    text(x + w / 2, 66, String(c.bytes), 'd-mid d-soft')
    x += w
    borders.set(c.from + c.bytes, x)
  })
  // pointers: above the bar the header offsets, below it head, data, tail, end
  const pointer = (offset: number | null, name: string, above: boolean, old: number | null | undefined, row: number): void => {
    const px = offset === null ? undefined : borders.get(offset)
    if (px === undefined || offset === null) return
    const y = above ? 34 : 74
    const to = above ? 20 - row * 12 : 84 + row * 14
    out += `<path d="M${px.toFixed(1)} ${y}V${to}" class="d-line"/>`
    const label = `${name} ${offset}`
    const right = px + label.length * 7.4 + 4 > total
    text(
      right ? px - 3 : px + 3,
      to + 6,
      label,
      `${right ? 'd-end ' : ''}${before !== null && old !== offset ? 'd-fresh' : 'd-soft'}`,
    )
  }
  const above = [
    ['mac', s.mac, before?.mac],
    ['network', s.network, before?.network],
    ['transport', s.transport, before?.transport],
  ] as const
  // two at one place, or close together, take turns
  let lastX = -1000
  let row = 0
  for (const [name, offset, old] of above) {
    const px = offset === null ? undefined : borders.get(offset)
    if (px === undefined) continue
    row = px - lastX < 110 ? 1 - row : 0
    lastX = px
    pointer(offset, name, true, old, row)
  }
  lastX = -1000
  row = 0
  for (const [name, offset, old] of [
    ['head', 0, 0],
    ['data', s.data, before?.data],
    ['tail', s.tail, before?.tail],
    ['end', s.end, before?.end],
  ] as const) {
    const px = borders.get(offset) ?? 0
    row = px - lastX < 90 ? (row + 1) % 3 : 0
    lastX = px
    pointer(offset, name, false, old, row)
  }
  let y = 134
  if (s.frags.length > 0) {
    const shown = s.frags.slice(0, 8)
    const more = s.frags.length - shown.length
    let fx = 1
    for (const [i, n] of shown.entries()) {
      const w = Math.max(84, Math.min(150, n / 80))
      out += `<rect x="${fx}" y="${y}" width="${w.toFixed(1)}" height="40" class="d-cell d-payload"/>`
      text(fx + w / 2, y + 16, `frag ${i}`, 'd-mid')
      text(fx + w / 2, y + 32, String(n), `d-mid ${before !== null && before.frags[i] !== n ? 'd-fresh' : 'd-soft'}`)
      fx += w + 6
      if (fx + 90 > total && i < shown.length - 1) {
        fx = 1
        y += 46
      }
    }
    if (more > 0) text(fx, y + 24, `… ${more} more`)
    y += 56
  }
  const numbers: [string, unknown, unknown][] = [
    [`len ${s.len}`, s.len, before?.len],
    [`data_len ${s.dataLen}`, s.dataLen, before?.dataLen],
    [`truesize ${s.truesize}`, s.truesize, before?.truesize],
    [`checksum ${s.checksum}`, s.checksum, before?.checksum],
  ]
  if (s.gsoSize > 0) numbers.push([`gso ${s.gsoSegs} x ${s.gsoSize}`, s.gsoSize, before?.gsoSize])
  let nx = 1
  for (const [t, now, old] of numbers) {
    const w = t.length * 7.4 + 18
    if (nx + w > total) {
      nx = 1
      y += 18
    }
    text(nx, y, t, before !== null && now !== old ? 'd-fresh' : 'd-soft')
    nx += w
  }
  const height = y + 10
  return `<svg viewBox="0 0 ${total.toFixed(0)} ${height}" width="${total.toFixed(0)}" height="${height}" role="img" aria-label="sk_buff ${s.id}: len ${s.len}, headroom ${s.data}, tailroom ${s.end - s.tail}">${out}</svg>`
}
