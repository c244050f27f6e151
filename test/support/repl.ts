import { LocalEngine } from '../../src/repl/engine/engine.ts'
import type { Reply } from '../../src/repl/engine/types.ts'

/** An engine in this process, asked line by line. */
export function makeRepl(interactive = false): {
  engine: LocalEngine
  does: (line: string) => Promise<string>
  replies: (line: string) => Promise<Reply>
} {
  const engine = new LocalEngine({ seed: 1, interactive, width: 200 })
  return {
    engine,
    /** what a line printed; a mistake is `error: …` */
    does: async (line) => {
      const r = await engine.submit(line)
      return r.blocks.map((b) => (b.kind === 'error' ? `error: ${b.text}` : b.text)).join('\n')
    },
    replies: (line) => engine.submit(line),
  }
}
