/**
 * The table that ss(8) prints when its output is no terminal: a column is as wide as its widest field, and lines are filled up with
 * blanks. A field may have a line break in it; it counts as one character then, as in iproute2's misc/ss.c.
 */

const layout: readonly { header: string; right?: boolean; before: string }[] = [
  { header: 'Netid', before: '' },
  { header: 'State', before: ' ' },
  { header: 'Recv-Q', before: ' ' },
  { header: 'Send-Q', before: ' ' },
  { header: 'Local Address:', right: true, before: ' ' },
  { header: 'Port', before: '' },
  { header: 'Peer Address:', right: true, before: ' ' },
  { header: 'Port', before: '' },
  { header: 'Process', before: '' },
]

/** netid, state, queues, local address and port, the peer's, and the rest */
export type Row = readonly [string, string, string, string, string, string, string, string, string]

/** the table that ss prints, its columns as wide as they have to be */
export function render(rows: readonly Row[], o: { netid: boolean; state: boolean; header: boolean }): string {
  const shown = layout.map((c, i) => ({ ...c, i })).filter(({ i }) => (i !== 0 || o.netid) && (i !== 1 || o.state))
  const heading = layout.map((c) => c.header) as unknown as Row
  // lengths of queues are printed with %-6d
  const padded = rows.map((r) => r.map((text, i) => (i === 2 || i === 3 ? text.padEnd(6) : text)) as unknown as Row)
  const lines = o.header ? [heading, ...padded] : padded
  const widest = shown.map(({ i }) => Math.max(0, ...lines.map((r) => (r[i] ?? '').length)))
  const first = widest.findIndex((w) => w > 0)
  return lines
    .map((r) => {
      let out = ''
      shown.forEach(({ i, right, before }, k) => {
        const text = r[i] ?? ''
        const lead = k > first ? before : ''
        const fill = ' '.repeat(Math.max(0, (widest[k] ?? 0) - text.length))
        out += right === true ? lead + fill + text : lead + text + fill
      })
      return `${out}\n`
    })
    .join('')
}
