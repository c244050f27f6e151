import { createInterface } from 'node:readline'
import type { Engine } from '../engine/types.ts'
import { addToHistory, historyFile, readHistory } from './history.ts'
import { type Tour, tourLines } from './tour.ts'
import { PROMPT_TEXT } from './words.ts'

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
    const reply = await engine.submit(line)
    for (const b of reply.blocks) say(b.text)
    return reply.quit
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
    prompt: PROMPT_TEXT,
    history: readHistory(file).reverse(),
    completer: (line: string, done: (e: Error | null, r: [string[], string]) => void) => {
      engine.complete(line, line.length).then(
        ({ from, candidates }) => done(null, [candidates.map((c) => c.text), line.slice(from)]),
        (e: Error) => done(e, [[], line]),
      )
    },
  })
  let running = false
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
    let quit = false
    if (tour !== null && line.trim() === '') await next()
    else quit = await tell(line)
    running = false
    if (quit) break
    rl.prompt()
  }
  rl.close()
  await engine.close()
}
