import { netTreatment, SHOW, type Treatment } from '../../formats/detail.ts'
import type { Call, Execution } from '../../trace/tracer.ts'
import { f64, i32, Series, u8, u16 } from './columns.ts'
import type { EventKind } from './types.ts'

export const LINE = 0
export const ENTER = 1
export const EXIT = 2
export const COPY = 3
export const DECISION = 4
export const DROP = 5
export const TRACEPOINT = 6
export const INDIRECT = 7
export const CONTEXT = 8
export const FRAME = 9
export const FREE = 10
export const CARD = 11
/** bit of a kind: only locks, memory and the like, see netTreatment() */
const HIDDEN = 0x80

export const kindNames: readonly EventKind[] = [
  'line',
  'enter',
  'exit',
  'copy',
  'decision',
  'drop',
  'tracepoint',
  'indirect',
  'context',
  'frame',
  'free',
  'card',
]

/** Values that are kept once, each with a number. */
export class Pool {
  readonly #values: (number | string)[] = []
  readonly #index = new Map<number | string, number>()

  of(v: number | string): number {
    let i = this.#index.get(v)
    if (i === undefined) {
      i = this.#values.length
      this.#values.push(v)
      this.#index.set(v, i)
    }
    return i
  }

  get(i: number): number | string {
    return this.#values[i] ?? ''
  }

  text(i: number): string {
    return String(this.#values[i] ?? '')
  }

  /** about what it takes: a slot, an entry of the index, and characters */
  get bytes(): number {
    let n = 0
    for (const v of this.#values) n += 48 + (typeof v === 'string' ? v.length + 16 : 0)
    return n
  }
}

/**
 * A run, event by event, in columns: 27 bytes an event and 4 an argument. What an event has beyond its kind:
 *
 * | kind       | ref                      | aux                     | parent, link                                     |
 * | ---------- | ------------------------ | ----------------------- | ------------------------------------------------ |
 * | enter      | call                     | first argument          | event of the frame around it; its exit, or -1    |
 * | exit       | call                     | result, -1 for none     | event of the frame around it; its entry          |
 * | copy       | text: from, to           | bytes                   | the frame it happens in; -1                      |
 * | decision   | text: where, what        | text: numbers           |                                                  |
 * | drop       | text: reason, where      | number of the buffer    |                                                  |
 * | tracepoint | text: system:name        | text: fields            |                                                  |
 * | indirect   | text: pointer            | text: target            |                                                  |
 * | context    | number of the execution  |                         |                                                  |
 * | frame      | text: device, direction  | length                  | link: a hash of its first bytes                  |
 * | free       |                          | number of the buffer    |                                                  |
 * | card       | text: device, what, name | text: index, fields     |                                                  |
 * | line       | number of the line       |                         |                                                  |
 */
export class Recording {
  readonly #kind = u8()
  readonly depth = u16()
  readonly ref = i32()
  readonly aux = i32()
  readonly parent = i32()
  readonly link = i32()
  /** instructions since boot */
  readonly time = f64()
  readonly args = i32()
  readonly pool: Pool = new Pool()
  readonly calls: Call[] = []
  readonly #treatments: Treatment[] = []
  readonly #callIndex = new Map<Call, number>()
  readonly executions: Execution[] = []
  /** who runs, by number in `executions` */
  readonly context: Series = new Series()
  /** events of the beginnings of lines */
  readonly lines: number[] = []
  /** instructions to a nanosecond */
  perNs = 3

  /** events there are */
  get length(): number {
    return this.#kind.length
  }

  callNumber(call: Call): number {
    let n = this.#callIndex.get(call)
    if (n === undefined) {
      n = this.calls.length
      this.calls.push(call)
      this.#treatments.push(netTreatment(call.fn, call.kind))
      this.#callIndex.set(call, n)
    }
    return n
  }

  executionNumber(e: Execution): number {
    const i = this.executions.findIndex(
      (x) => x === e || (x.kind === e.kind && x.pid === e.pid && x.comm === e.comm && x.netns === e.netns),
    )
    return i >= 0 ? i : this.executions.push(e) - 1
  }

  /** whether a call is shown at detail `net`, left out, or left out with all below it */
  treatment(callNumber: number): Treatment {
    return this.#treatments[callNumber] ?? SHOW
  }

  add(kind: number, hidden: boolean, depth: number, ref: number, aux: number, parent: number, link: number, time: number): void {
    this.#kind.push(hidden ? kind | HIDDEN : kind)
    this.depth.push(depth)
    this.ref.push(ref)
    this.aux.push(aux)
    this.parent.push(parent)
    this.link.push(link)
    this.time.push(time)
  }

  kind(event: number): number {
    return this.#kind.get(event) & ~HIDDEN
  }

  /** locks, memory and the like, and what happens below them */
  hidden(event: number): boolean {
    return (this.#kind.get(event) & HIDDEN) !== 0
  }

  /** the call of an entry or an exit */
  call(event: number): Call | undefined {
    return this.calls[this.ref.get(event)]
  }

  /** the entry of the function that an event belongs to: its own, or the one around it; -1 outside of all */
  frameOf(event: number): number {
    switch (this.kind(event)) {
      case ENTER:
        return event
      case EXIT:
        return this.link.get(event)
      case LINE:
        return -1
      default:
        return event < this.length ? this.parent.get(event) : -1
    }
  }

  /** the line that an event belongs to, from 1; behind the last event the last line; 0 when there is none */
  lineOf(event: number): number {
    let low = 0
    let high = this.lines.length
    while (low < high) {
      const mid = (low + high) >>> 1
      if ((this.lines[mid] ?? 0) <= event) low = mid + 1
      else high = mid
    }
    return low
  }

  /** arguments of an entry */
  argsOf(event: number): (number | string)[] {
    const at = this.aux.get(event)
    const n = Math.min(6, this.call(event)?.fn.symbol.params.length ?? 0)
    return Array.from({ length: n }, (_, i) => this.pool.get(this.args.get(at + i)))
  }

  /** nanoseconds since boot, with fractions */
  ns(event: number): number {
    return this.time.get(Math.min(event, this.length - 1)) / this.perNs
  }

  executionAt(event: number): Execution | undefined {
    const n = this.context.at(event)
    return n === undefined ? undefined : this.executions[n]
  }

  /** forgets `event` and all that follows; only whole lines may go, so that every entry that stays has its exit */
  truncate(event: number): void {
    let args = this.args.length
    for (let i = event; i < this.length; i++)
      if (this.kind(i) === ENTER) {
        args = this.aux.get(i)
        break
      }
    this.args.truncate(args)
    for (const c of [this.#kind, this.depth, this.ref, this.aux, this.parent, this.link, this.time]) c.truncate(event)
    this.context.truncate(event)
    while ((this.lines.at(-1) ?? -1) >= event) this.lines.pop()
  }

  /** bytes that it takes, about */
  get bytes(): number {
    const columns = [this.#kind, this.depth, this.ref, this.aux, this.parent, this.link, this.time, this.args]
    return columns.reduce((n, c) => n + c.bytes, 0) + this.context.bytes + this.pool.bytes
  }
}
