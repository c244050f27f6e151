import { writeSync } from 'node:fs'
import { type Format, Tee } from '../formats/format.ts'
import type { Call } from '../trace/tracer.ts'
import type { Expected } from './outputs.ts'

/** milliseconds that a run takes before anything is said, and between two lines */
const PATIENCE = 1000
const OFTEN = 200
/** events between two looks at the clock */
const LOOK = 4096

const now = (): number => performance.now()

/** `1.2 M` */
function count(n: number): string {
  if (n < 1e4) return String(Math.round(n))
  return n < 1e6 ? `${Math.round(n / 1e3)} k` : n < 1e9 ? `${(n / 1e6).toFixed(1)} M` : `${(n / 1e9).toFixed(2)} G`
}

/** Says on the terminal behind standard error how far a long run is. Passes everything on. */
export class Progress extends Tee {
  readonly #expected: Expected
  readonly #start = now()
  #events = 0
  #look = LOOK
  #next = PATIENCE
  #calls = 0
  #bytes = 0
  #shown = false

  constructor(to: Format, expected: Expected) {
    super([to])
    this.#expected = expected
  }

  #lookAtClock(): void {
    this.#look = LOOK
    const ms = now() - this.#start
    if (ms < this.#next) return
    this.#next = ms + OFTEN
    this.#shown = true
    const part = this.#part()
    const percent = part === null ? '' : `${Math.floor(100 * Math.min(1, part))} %, `
    this.#say(`\r\x1b[K${percent}${count(this.#events)} events, ${count((1000 * this.#events) / ms)}/s`)
  }

  /** how much is done, from 0 to 1; null when nobody knows */
  #part(): number | null {
    const { bytes, calls, done } = this.#expected
    if (done !== undefined) return done()
    if (bytes !== undefined && bytes > 0) return this.#bytes / bytes
    return calls !== undefined && calls > 0 ? this.#calls / calls : null
  }

  #say(text: string): void {
    try {
      writeSync(2, text)
    } catch {
      // a terminal that is gone wants to know nothing
    }
  }

  /** takes the line away again */
  done(): void {
    if (this.#shown) this.#say('\r\x1b[K')
    this.#shown = false
    this.#next = Number.POSITIVE_INFINITY
  }

  override end(result: string): void {
    this.#calls++
    super.end(result)
  }
  override enter(call: Call, a?: unknown, b?: unknown, c?: unknown, d?: unknown, e?: unknown, f?: unknown): void {
    this.#events++
    if (--this.#look === 0) this.#lookAtClock()
    super.enter(call, a, b, c, d, e, f)
  }
  override exit(call: Call, ret: unknown): void {
    this.#events++
    super.exit(call, ret)
  }
  override copy(bytes: number, from: string, to: string): void {
    if (from.startsWith('user')) this.#bytes += bytes
    super.copy(bytes, from, to)
  }
}
