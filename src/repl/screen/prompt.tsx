import { Box, Text } from 'ink'
import type { ReactElement } from 'react'
import type { Candidate } from '../engine/types.ts'
import type { Editor } from './editor.ts'
import { Line } from './lines.tsx'
import { highlight, type Span } from './text.ts'

import { PROMPT } from './words.ts'

/** the part of a long line that is in sight, with the cursor in it, as pieces */
function promptSpans(e: Editor, width: number): Span[] {
  const head: Span[] = [
    e.search === null
      ? { text: PROMPT, color: 'green', bold: true }
      : e.text.includes(e.search)
        ? { text: `(search '${e.search}') `, color: 'yellow' }
        : { text: `(search '${e.search}': no line has that) `, color: 'red' },
  ]
  const room = Math.max(8, width - head.reduce((n, s) => n + s.text.length, 0) - 1)
  const from = e.cursor < room ? 0 : e.cursor - room + 1
  const out = [...head]
  let at = 0
  for (const s of highlight(e.text)) {
    // cut to what is in sight, and in two where the cursor stands
    for (const c of Array.from(s.text)) {
      const i = at
      at += c.length
      if (i < from || i >= from + room) continue
      const last = out[out.length - 1]
      const here = i === e.cursor
      if (
        !here &&
        last !== undefined &&
        last.inverse !== true &&
        last.color === s.color &&
        last.dim === s.dim &&
        out.length > head.length
      )
        out[out.length - 1] = { ...last, text: last.text + c }
      else out.push({ ...s, text: c, inverse: here })
    }
  }
  if (e.cursor >= e.text.length) out.push({ text: ' ', inverse: true })
  return out
}

/** The line that is typed, and what could stand at its cursor. */
export function Prompt({
  editor,
  width,
  menu,
  chosen,
}: {
  editor: Editor
  width: number
  /** candidates that are shown below the line */
  menu: readonly Candidate[]
  /** which of them Tab has put in, -1 for none */
  chosen: number
}): ReactElement {
  const longest = Math.max(0, ...menu.map((c) => c.text.length))
  return (
    <Box flexDirection="column">
      <Line spans={promptSpans(editor, width)} />
      {menu.map((c, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a row of the screen is what its place says
        <Text key={i} wrap="truncate-end">
          <Text inverse={i === chosen}>{`  ${c.text.padEnd(longest)} `}</Text>
          <Text dimColor>{` ${c.hint}`}</Text>
        </Text>
      ))}
    </Box>
  )
}
