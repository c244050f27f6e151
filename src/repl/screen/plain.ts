import { createInterface } from 'node:readline'
import type { Engine } from '../engine/types.ts'
import { addToHistory, historyFile, readHistory } from './history.ts'
import { type Tour, tourLines } from './tour.ts'
import { PROMPT } from './words.ts'

/**
 * The same session as lines that are typed and lines that are printed, one after the other, nothing redrawn: for terminals that are
 * narrow or dumb, and for those who have their screen read to them.
 */
export async function plain(engine: Engine, tour: Tour | null, width: number): Promise<void> {
  const file = historyFile()
  const say = (text: string): void => {
    process.stdout.write(`${text}\n`)
  }
  const tell = async (line: string): Promise<boolean> => {
    try {
      const reply = await engine.submit(line)
      // what a short word stands for is said again with what came of it
      for (const b of reply.blocks) if (b.kind !== 'echo') say(b.text)
      return reply.quit
    } catch (e) {
      say(`skbtrace failed: ${e instanceof Error ? e.message : String(e)}`)
      return false
    }
  }
  let stop = -1
  /** on to the next stop of the tour: its lines, then its words */
  const next = async (): Promise<void> => {
    if (tour === null || stop + 1 >= tour.stops.length) return
    stop++
    for (const line of tour.stops[stop]?.lines ?? []) await engine.submit(line)
    for (const spans of tourLines(tour, stop, width, 'Enter: on')) say(spans.map((s) => s.text).join(''))
  }
  await next()
  const rl = createInterface({
    input: process.stdin,
    output: process.stdout,
    prompt: PROMPT,
    history: readHistory(file).reverse(),
    completer: (line: string, done: (e: Error | null, r: [string[], string]) => void) => {
      engine.complete(line, line.length).then(
        ({ from, candidates }) => done(null, [candidates.map((c) => c.text), line.slice(from)]),
        (e: Error) => done(e, [[], line]),
      )
    },
  })
  let running = false
  let left = false
  rl.on('SIGINT', () => {
    if (running) engine.interrupt()
    else {
      say('')
      rl.write(null, { ctrl: true, name: 'u' })
      rl.prompt()
    }
  })
  rl.prompt()
  for await (const line of rl) {
    if (line.trim() !== '') addToHistory(file, line)
    running = true
    if (tour !== null && line.trim() === '') await next()
    else left = await tell(line)
    running = false
    if (left) break
    rl.prompt()
  }
  // Ctrl-D leaves the cursor behind the prompt
  if (!left) say('')
  rl.close()
  await engine.close()
}
