import { createReadStream, statSync } from 'node:fs'
import { Readable } from 'node:stream'
import { decompressionOf } from '../../formats/compression.ts'
import type { Format } from '../../formats/format.ts'
import { JsonlReader, TraceError } from '../../formats/jsonl_reader.ts'
import { reasonOf } from '../../formats/output.ts'
import { loadEverything } from '../../script/everything.ts'
import { type Debugger, UserError } from './debugger.ts'
import { Watcher } from './watcher.ts'

/** A saved trace as something to walk in: a watcher with a format's face, to which the trace is played. */
class Player extends Watcher implements Format {
  readonly #d: Debugger

  constructor(d: Debugger) {
    super()
    this.#d = d
    this.recording = d.session.recording
    this.samplers = [d.session.skbs]
  }

  begin(title: string): void {
    this.line(this.#d.session.adopt(title))
  }

  end(result: string): void {
    this.#d.session.adopted(result)
  }

  close(): void {}
}

/** the bytes of a file, decompressed where they are compressed */
async function* chunksOf(file: string): AsyncGenerator<Uint8Array> {
  const raw = createReadStream(file)[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  const first = await raw.next()
  if (first.done === true) return
  const all = async function* (): AsyncGenerator<Buffer> {
    yield first.value
    for (let c = await raw.next(); c.done !== true; c = await raw.next()) yield c.value
  }
  const undo = decompressionOf(first.value)
  if (typeof undo === 'string') throw new UserError(`${file}: ${undo}`)
  if (undo === null) yield* all()
  else
    yield* Readable.from(all())
      .on('error', (e) => undo.destroy(e))
      .pipe(undo) as AsyncIterable<Buffer>
}

/**
 * Opens a trace that was saved as jsonl: its events are all there is to see.
 * @throws UserError naming the file and the place
 */
export async function openTrace(d: Debugger, file: string): Promise<void> {
  try {
    if (!statSync(file).isFile()) throw new UserError(`${file}: not a file`)
  } catch (e) {
    throw e instanceof UserError ? e : new UserError(`${file}: ${reasonOf(e)}`)
  }
  await loadEverything()
  const reader = new JsonlReader(() => new Player(d))
  try {
    for await (const chunk of chunksOf(file)) reader.feed(chunk)
    reader.finish()
  } catch (e) {
    if (e instanceof TraceError) throw new UserError(`${file}:${e.line}: ${e.message}`)
    if (e instanceof UserError) throw e
    throw new UserError(`${file}: ${reasonOf(e)}`)
  }
  d.refresh()
  d.cursor = 0
}
