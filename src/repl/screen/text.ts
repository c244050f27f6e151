/** A piece of a line and how it looks. */
export interface Span {
  text: string
  color?: 'cyan' | 'green' | 'yellow' | 'magenta' | 'red' | 'blue' | 'gray'
  bold?: boolean
  dim?: boolean
  italic?: boolean
  inverse?: boolean
}

const widthOf = (spans: readonly Span[]): number => spans.reduce((n, s) => n + s.text.length, 0)

/** cuts a line at `width` columns; `…` says that it was cut */
export function clip(spans: readonly Span[], width: number): Span[] {
  if (widthOf(spans) <= width) return [...spans]
  const out: Span[] = []
  let left = width - 1
  for (const s of spans) {
    if (left <= 0) break
    out.push({ ...s, text: s.text.slice(0, left) })
    left -= s.text.length
  }
  return [...out, { text: '…', dim: true }]
}

/** puts pieces one after the other into lines of `width` columns, two spaces between them, at most `most` lines */
export function flow(pieces: readonly Span[][], width: number, most: number): Span[][] {
  const lines: Span[][] = []
  let line: Span[] = []
  for (const p of pieces) {
    const gap = line.length === 0 ? 0 : 2
    if (line.length > 0 && widthOf(line) + gap + widthOf(p) > width) {
      lines.push(line)
      if (lines.length === most) return lines
      line = []
    }
    if (line.length > 0) line.push({ text: '  ' })
    line.push(...p)
  }
  if (line.length > 0) lines.push(line)
  return lines.slice(0, most).map((l) => clip(l, width))
}

const WORD =
  /(#.*$)|("(?:[^"\\]|\\.)*"?)|\b(0x[0-9a-f]+|\d+(?:\.\d+)*(?:ms|us|ns|s|k|m|g)?)\b|\b(AF_\w+|SOCK_\w+|SOL_\w+|SO_\w+|MSG_\w+|TCP_\w+|UDP_\w+|IP_\w+|IPV6_\w+|IPPROTO_\w+)\b/gi

/** a line of the session with its words coloured: the verb, numbers, texts, constants, comments */
export function highlight(line: string): Span[] {
  const verb = /^\s*(?:>\s*)?(?:\w+\s*=\s*)?[\w/-]+/.exec(line)?.[0] ?? ''
  const out: Span[] = verb === '' ? [] : [{ text: verb, color: 'cyan' }]
  const rest = line.slice(verb.length)
  let at = 0
  for (const m of rest.matchAll(WORD)) {
    if (m.index > at) out.push({ text: rest.slice(at, m.index) })
    const [all, comment, string, number] = m
    out.push(
      comment !== undefined
        ? { text: all, dim: true }
        : string !== undefined
          ? { text: all, color: 'yellow' }
          : number !== undefined
            ? { text: all, color: 'magenta' }
            : { text: all, color: 'green' },
    )
    at = m.index + all.length
  }
  if (at < rest.length) out.push({ text: rest.slice(at) })
  return out
}
