import type { Group, NameValue } from '../engine/types.ts'
import { flow, type Span } from './text.ts'

const pair = (v: NameValue): Span[] => [
  { text: `${v.name} `, dim: true },
  { text: v.value, bold: v.was !== null, color: v.was !== null ? 'yellow' : undefined },
]

/** socket, queues, rings, counters, clock: a group a paragraph; what `display` shows comes first */
export function stateLines(groups: readonly Group[], displays: readonly NameValue[], width: number, height: number): Span[][] {
  const out: Span[][] = displays.length > 0 ? flow(displays.map(pair), width, 3) : []
  for (const g of groups) {
    if (out.length >= height) break
    out.push(...flow([[{ text: g.title, bold: true }], ...g.rows.map(pair)], width, height - out.length))
  }
  return out.slice(0, height)
}
