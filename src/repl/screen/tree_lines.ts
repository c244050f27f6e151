import type { TreeRow } from '../engine/types.ts'
import { clip, type Span } from './text.ts'

const duration = (ns: number): string =>
  ns < 0 ? '' : ns >= 1e7 ? `${(ns / 1e6).toFixed(1)} ms` : `${(ns / 1000).toFixed(3)} us`

/** the rows of the call tree; deep ones are moved left, as far as the cursor's row needs */
export function treeLines(rows: readonly TreeRow[], width: number): Span[][] {
  const cursor = rows.find((r) => r.cursor)
  const least = Math.min(...rows.map((r) => r.indent))
  const room = Math.max(4, Math.floor((width - 14) / 4))
  const shift = Math.max(least, (cursor?.indent ?? 0) - room)
  return rows.map((r) => {
    const time = duration(r.ns).padStart(10)
    const mark = r.cursor ? '>' : r.breakpoint > 0 ? '*' : ' '
    const pad = '  '.repeat(Math.max(0, r.indent - shift))
    const spans: Span[] = [
      { text: `${time} `, dim: true },
      { text: `${mark} `, color: r.cursor ? 'yellow' : 'red', bold: true },
      { text: r.indent < shift ? '‹' : pad, dim: true },
    ]
    if (r.kind === 'enter' || r.kind === 'exit') {
      const ghost = r.call === 'inlined' ? '~' : r.call === 'notrace' ? '-' : ''
      spans.push({
        text: `${ghost}${r.name}`,
        bold: r.cursor,
        italic: ghost !== '',
        dim: ghost !== '' && !r.cursor,
        inverse: r.cursor,
      })
      spans.push({ text: r.cursor || r.text.length < 40 ? `(${r.text})` : '()', dim: true })
      if (r.ret !== '') spans.push({ text: ` = ${r.ret}`, color: r.ret.startsWith('-') ? 'red' : 'gray' })
      if (r.folded > 0) spans.push({ text: ` +${r.folded}`, dim: true })
    } else if (r.kind === 'line')
      spans.push({ text: r.text === '' ? r.name : r.text, color: 'cyan', bold: true, inverse: r.cursor })
    else
      spans.push({
        text: `${r.name} ${r.text}`,
        color: r.kind === 'drop' ? 'red' : r.kind === 'frame' ? 'blue' : 'gray',
        inverse: r.cursor,
      })
    return clip(spans, width)
  })
}
