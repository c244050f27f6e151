import type { FrameState } from './state.ts'

/**
 * Frames as an `<svg>` element: a column for each end, an arrow for each frame, time (microseconds since the first) at the left. A
 * frame is called what is in it, without its IP header. `marked`: index of a frame that stands out, -1 for none.
 *
 * Uses nothing from outside itself: the HTML form carries this function's source.
 */
export function drawSequence(frames: readonly FrameState[], width: number, marked: number): string {
  const esc = (t: string): string => t.replace(/[<>&"]/g, (c) => `&#${c.charCodeAt(0)};`)
  const address = (e: string): string => e.replace(/^\[(.*)\]:\d+$/, '$1').replace(/^([\d.]+):\d+$/, '$1')
  let ends = [...new Set(frames.flatMap((f) => [f.from, f.to]))]
  let name = (e: string): string => e
  if (ends.length > 4) {
    name = address
    ends = [...new Set(ends.map(address))]
  }
  const left = 90
  const step = ends.length > 1 ? (width - left - 150) / (ends.length - 1) : 0
  const column = new Map(ends.map((e, i) => [e, left + 75 + i * step]))
  const first = frames[0]?.at ?? 0
  // names that would meet stand one below the other
  const places: { row: number; x: number; e: string }[] = []
  const taken: number[] = []
  for (const [e, at] of column) {
    const half = e.length * 3.7
    const x = Math.max(left + half, Math.min(at, width - half))
    let row = taken.findIndex((to) => to + 8 < x - half)
    if (row < 0) row = taken.push(0) - 1
    taken[row] = x + half
    places.push({ row, x, e })
  }
  const top = Math.max(0, taken.length - 1) * 15
  const height = top + 40 + frames.length * 34
  let out = ''
  for (const { row, x, e } of places) {
    const line = column.get(e) ?? x
    out += `<path d="M${line.toFixed(1)} ${row * 15 + 21}V${height - 6}" class="d-line"/>`
    out += `<text x="${x.toFixed(1)}" y="${row * 15 + 16}" class="d-text d-mid d-over">${esc(e)}</text>`
  }
  out += `<text x="${left - 12}" y="16" class="d-text d-soft d-end">us</text>`
  frames.forEach((f, i) => {
    const y = top + 54 + i * 34
    const a = column.get(name(f.from)) ?? left
    const b = column.get(name(f.to)) ?? left
    const text = f.text.replace(/^IPv[46] [^,]*, /, '')
    const label = name === address ? text : text.replace(/^(TCP|UDP) \d+ > \d+/, '$1')
    const most = Math.max(24, Math.floor((width - left) / 7.4))
    const short = label.length > most ? `${label.slice(0, most - 1)}…` : label
    out += `<g class="d-frame" data-frame="${i}"><title>${esc(`${f.direction} on ${f.device}: ${f.bytes} bytes, skb ${f.skb}. ${f.text}`)}</title>`
    out += `<rect x="0" y="${y - 24}" width="${width}" height="32" fill="transparent"/>`
    out += `<text x="${left - 12}" y="${y}" class="d-text d-soft d-end">${((f.at - first) / 1000).toFixed(3)}</text>`
    const end = a < b ? b - 2 : a > b ? b + 2 : a
    const head = a < b ? `M${end} ${y}l-9 -4v8z` : a > b ? `M${end} ${y}l9 -4v8z` : `M${a + 2} ${y}l9 -4v8z`
    out += `<path d="${a === b ? `M${a} ${y - 10}h40v10h-38` : `M${a} ${y}H${end}`}" class="d-arrow"/><path d="${head}" class="d-head"/>`
    out += `<text x="${(left + width) / 2}" y="${y - 6}" class="d-text d-mid d-over${i === marked ? ' d-fresh' : ''}">${esc(short)}</text></g>`
  })
  if (frames.length === 0) out += `<text x="10" y="20" class="d-text d-soft">no frame</text>`
  return `<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="sequence of ${frames.length} frames">${out}</svg>`
}
