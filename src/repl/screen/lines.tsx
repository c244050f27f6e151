import { Box, Text } from 'ink'
import type { ReactElement } from 'react'
import type { Span } from './text.ts'

/** Lines of styled pieces, one row each: they were made to fit, nothing wraps. */
export function Lines({ lines }: { lines: readonly (readonly Span[])[] }): ReactElement {
  return (
    <Box flexDirection="column">
      {lines.map((spans, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a row of the screen is what its place says
        <Line key={i} spans={spans} />
      ))}
    </Box>
  )
}

export function Line({ spans }: { spans: readonly Span[] }): ReactElement {
  if (spans.length === 0) return <Text> </Text>
  return (
    <Text wrap="truncate-end">
      {spans.map((s, i) => (
        <Text
          // biome-ignore lint/suspicious/noArrayIndexKey: a piece of a row is what its place says
          key={i}
          color={s.color}
          bold={s.bold}
          dimColor={s.dim}
          italic={s.italic}
          inverse={s.inverse}
        >
          {s.text}
        </Text>
      ))}
    </Text>
  )
}
