import { type Call, type CardEvent, type TracedSkb, tracer, traceTime, type Value } from '../trace/tracer.ts'
import { abstime, decorated, duration, FILL, indent, proc } from './columns.ts'
import type { Running } from './contexts.ts'
import { Folding } from './folding.ts'
import type { Format } from './format.ts'
import { framesOf, GraphNames, repeats, WIDTH } from './graph_lines.ts'
import { type Annotator, type GraphOptions, headings, type Paint } from './graph_options.ts'
import type { Output } from './output.ts'
import { ShownCalls } from './shown_calls.ts'
import { Turns } from './turns.ts'
import { showArgs, showFields, showReturn } from './values.ts'
import { isBareAck } from './watch.ts'

export * from './graph_options.ts'

const DURATIONS: string[] = new Array(1 << 12).fill('')

/**
 * Prints calls as ftrace's function_graph tracer does. A function's line is kept back until it is known whether it calls
 * anything that is printed; so nothing but the stack is kept in memory.
 */
export class FunctionGraph extends ShownCalls implements Format {
  readonly #out: Output
  readonly #annotator: Annotator | null
  readonly #paint: Paint | null
  /** args, places or indirect calls: a line's text is not the same each time */
  readonly #dynamic: boolean
  /** a context begins at the margin, and what only hands on has no line */
  readonly #flat: boolean
  /** for somebody who reads it from top to bottom, in a narrow window */
  readonly #story: boolean
  readonly #folding: Folding | null
  readonly #names: GraphNames
  readonly #args: string[] = []
  /** how far each frame's line is indented; a frame without a line of its own has that of the one around it */
  readonly #levels: number[] = []
  readonly #hidden: boolean[] = []
  #title = ''
  /** when the last call was over, in nanoseconds */
  #ended = 0
  #head = ''
  /** what runs, from line to line */
  readonly #turns: Turns
  /** the frame whose last line was printed */
  #ending = 0
  /** a note was printed last, and wants a line that ends it */
  #noted = false

  constructor(out: Output, options: GraphOptions, annotator: Annotator | null = null, paint: Paint | null = null) {
    super(options, annotator !== null, annotator !== null)
    this.#out = out
    this.#annotator = annotator
    this.#paint = paint
    this.#names = new GraphNames(options.tail, paint)
    this.#dynamic = options.args || options.places || this.source
    this.#flat = annotator !== null
    this.#turns = new Turns(this.#flat)
    this.#story = this.#flat && this.path && !options.args && !options.places
    this.#folding =
      options.fold && annotator !== null && this.path
        ? new Folding({
            out: (t) => this.#out.write(t),
            tally: () => annotator.frames,
            again: repeats,
            before: (from, to) => this.#short(from, to),
          })
        : null
    this.#setHead()
  }

  /** ftrace's heading of the columns */
  heading(): void {
    this.#out.write(headings(this.o))
  }

  begin(title: string, root: string | null): void {
    this.#title = title
    this.#endNote()
    if (this.o.resultFirst) this.#out.hold()
    else this.#emit(`# ${title}\n`)
    this.start(root)
    this.#turns.forget()
    this.#annotator?.begin()
    this.#setHead()
  }

  end(result: string): void {
    this.stop()
    this.#ended = traceTime()
    this.#held()
    this.#endNote()
    this.#folding?.reset()
    const totals = this.#annotator?.totals() ?? ''
    if (totals !== '') this.#out.write(totals)
    if (this.o.resultFirst) this.#out.release(`# ${this.#title} = ${result}\n`)
    else this.#out.write(`# = ${result}\n`)
    this.#turns.forget()
  }

  /** whatever else there is to say, as comments */
  remark(text: string): void {
    this.#held()
    this.#endNote()
    this.#folding?.reset()
    for (const line of text.replace(/\n$/, '').split('\n')) this.#out.write(`# ${line}`.trimEnd().concat('\n'))
  }

  close(): void {
    this.#held()
    this.#endNote()
    this.#folding?.reset()
  }

  #emit(text: string): void {
    if (this.#folding === null) this.#out.write(text)
    else this.#folding.write(text)
  }

  #setHead(): void {
    const { comm, pid } = tracer.execution
    const cpu = this.o.cpu ? ' 0) ' : ''
    this.#head = this.o.proc ? cpu + proc(comm, pid) : cpu
  }

  // ---- lines

  protected pushed(depth: number, call: Call, a: unknown, b: unknown, c: unknown, d: unknown, e: unknown, f: unknown): void {
    if (this.#dynamic) this.#args[depth] = this.#about(call, a, b, c, d, e, f)
  }

  /** prints the first line of each frame up to `depth` that does not have it yet */
  protected openTo(depth: number, quiet: boolean): void {
    for (let i = this.open; i < depth; i++) {
      const hidden = this.#flat && this.handsOn(i)
      const level = this.#place(i, hidden)
      if (hidden) continue
      const call = this.calls[i] as Call
      this.#lineOf(i)
      this.#folding?.begin(call.fn.name)
      this.#emit(this.#named(i, FILL, level, this.#names.of(call).open, ') {'))
    }
    this.open = depth
    if (this.#annotator === null || quiet) return
    // the buffer as it is now, just before whatever is printed next
    for (let i = depth - 1; i >= 0; i--)
      if ((this.ids[i] as number) !== 0) {
        this.note(i)
        return
      }
  }

  protected leaf(i: number, ret: unknown): void {
    const call = this.calls[i] as Call
    const level = this.#place(i, false)
    this.#lineOf(i)
    this.#folding?.begin(call.fn.name)
    let text = this.#named(i, this.#took(i), level, this.#names.of(call).leaf, ');')
    const copied = this.copied[i] as number
    if (this.source && copied > 0) {
      const more = `${text.slice(0, -1)} /* copies ${copied} bytes`
      text = `${more}${this.#story && more.length + (this.copies[i] as string).length > WIDTH - 5 ? '' : `, ${this.copies[i]}`} */\n`
    }
    if (this.o.retval) {
      const r = showReturn(call.fn, ret, this.o.retvalHex)
      if (r !== '') text = `${text.slice(0, -1)} /* ${r} */\n`
    }
    this.#emit(text)
    this.#ending = i
    this.#folding?.end()
  }

  protected closed(i: number, ret: unknown): void {
    if (this.#hidden[i] === true) return
    const call = this.calls[i] as Call
    let text = this.#names.of(call).close
    if (this.o.retval) {
      const r = showReturn(call.fn, ret, this.o.retvalHex)
      if (r !== '') text = `} /* ${call.fn.name} ${r} */\n`
    }
    this.#lineOf(i)
    this.#folding?.closing()
    const line = this.#prefix(Math.floor(traceTime())) + this.#took(i) + indent(this.#levels[i] as number) + text
    this.#emit(
      this.#story && this.#paint === null && line.length - 1 > WIDTH ? `${line.slice(0, line.indexOf('}') + 1)}\n` : line,
    )
    this.#ending = i
    this.#folding?.end()
  }

  /** a call that is as one was before, in a line; with the frames that went by, from and to */
  #short(from: number, to: number): string {
    const i = this.#ending
    const call = this.calls[i] as Call
    const name = this.#names.of(call).leaf.slice(0, -2)
    const frames = framesOf(from, to)
    const line = `${this.#prefix(this.starts[i] as number)}${this.#took(i)}${indent(this.#levels[i] as number)}${name}`
    return `${line} { ... } /* as before${frames === '' ? '' : `, ${frames}`} */\n`
  }

  /** something else than what it came on top of: another process, or a softirq; an interrupt stands where it came */
  #atMargin(now: Running, below: Running): boolean {
    if (now === below || now.execution.kind === 'hardirq') return false
    return now.execution.kind !== below.execution.kind || now.thread.pid !== below.thread.pid
  }

  /** how far a frame's line is indented, from those around it */
  #place(i: number, hidden: boolean): number {
    const level =
      i === 0 || (this.#flat && this.#atMargin(this.who[i] as Running, this.who[i - 1] as Running))
        ? 0
        : (this.#levels[i - 1] as number) + (this.#hidden[i - 1] === true ? 0 : 1)
    this.#levels[i] = level
    this.#hidden[i] = hidden
    return level
  }

  /** a function's first line, with arguments, place and pointer */
  #named(i: number, took: string, level: number, text: string, end: string): string {
    const head = this.#prefix(this.starts[i] as number)
    const before = head + (this.o.duration ? took : '') + indent(level)
    const more = this.#dynamic ? (this.#args[i] as string) : ''
    if (more === '') return before + text
    const whole = before + decorated(text, more, end)
    if (!this.#story || whole.length - 1 <= WIDTH) return whole
    // too wide: the pointer has a line of its own
    const pointer = more.slice(more.indexOf('\t') + 1)
    const column = head.length + (this.o.duration ? FILL.length : 0)
    const spaces = Math.min(2 * level, Math.max(0, WIDTH - column - pointer.length))
    return `${head}${this.o.duration ? FILL : ''}${' '.repeat(spaces)}${pointer}\n${before}${text}`
  }

  #prefix(at: number): string {
    return this.o.abstime ? abstime(at) + this.#head : this.#head
  }

  #took(i: number): string {
    if (!this.o.duration) return ''
    const ns = Math.floor(traceTime()) - (this.starts[i] as number)
    let text = DURATIONS[ns]
    if (text === undefined || text === '' || this.o.overhead || this.#paint !== null) {
      text = duration(ns, this.o.overhead)
      if (this.#paint !== null) text = this.#paint.time(text)
      else if (ns < DURATIONS.length && !this.o.overhead) DURATIONS[ns] = text
    }
    return text
  }

  /** what stands in a function's line besides its name: arguments, then (after a tab) the place and the pointer */
  #about(call: Call, a: unknown, b: unknown, c: unknown, d: unknown, e: unknown, f: unknown): string {
    let after = this.via === call.fn.name ? `/* ${this.pointer} */` : ''
    if (this.o.places && call.line > 0) {
      const from = this.stack[this.stack.length - 2]
      if (from !== undefined) after = `[${from.fn.symbol.file}:${call.line}]${after === '' ? '' : ` ${after}`}`
    }
    if (this.o.args) return `${showArgs(call.fn, a, b, c, d, e, f)}\t${after}`
    return after === '' ? '' : `\t${after}`
  }

  // ---- who runs

  /** before a line of a frame: what was held back, and whose line it is */
  #lineOf(i: number): void {
    this.#held()
    this.#endNote()
    let to = this.who[i] as Running
    if (to === this.#turns.last) return
    // a softirq works for this namespace and that: what it does it for stands above all of it
    if (this.#flat && i >= this.open)
      for (let j = i + 1; j < this.depth; j++) {
        const inner = this.who[j] as Running
        if (inner.execution.kind !== to.execution.kind || inner.thread !== to.thread) break
        to = inner
      }
    if (to !== this.#turns.last) this.#goOn(to, i < this.open)
  }

  /** the next line is of something else; `back`: it ends what was begun */
  #goOn(to: Running, back: boolean): void {
    this.#folding?.next()
    for (const { line, mark } of this.#turns.to(to, back)) {
      if (mark !== '') this.#folding?.mark(mark)
      this.#emit(mark !== '' ? line : this.#prefix(Math.floor(traceTime())) + line)
    }
    if (this.o.proc) this.#setHead()
  }

  // ---- between the lines

  protected note(i: number): void {
    const skb = this.skbs[i]
    const call = this.calls[i]
    if (this.#annotator === null || skb === null || skb === undefined || call === undefined || skb.id !== this.ids[i]) return
    if (!this.isHelperFrame(i)) this.#writeNote(this.#annotator.inHands(call.fn, skb))
  }

  protected sees(skb: TracedSkb): void {
    this.#annotator?.seen(skb)
  }

  #writeNote(note: string): void {
    if (note === '') return
    this.#held()
    this.#emit(`#\n${note}`)
    this.#noted = true
  }

  #endNote(): void {
    if (!this.#noted) return
    this.#noted = false
    this.#emit('#\n')
  }

  /** what the annotator counts instead of telling it one by one */
  #held(): void {
    const text = this.#annotator?.held() ?? ''
    if (text === '') return
    if (!this.#noted) this.#emit('#\n')
    this.#emit(text)
    this.#noted = true
  }

  /** a line of its own inside the graph, as ftrace prints what a program wrote to trace_marker */
  #comment(text: string): void {
    this.openTo(this.depth, false)
    this.#lineOf(this.depth - 1)
    const c = `/* ${text} */`
    const d = this.depth - 1
    const level = (this.#levels[d] as number) + (this.#hidden[d] === true ? 0 : 1)
    this.#emit(
      `${this.#prefix(Math.floor(traceTime())) + (this.o.duration ? FILL : '') + indent(level) + (this.#paint === null ? c : this.#paint.comment(c))}\n`,
    )
  }

  indirect(pointer: string, target: string): void {
    this.pointer = pointer
    this.via = target
  }

  decision(where: string, what: string, numbers: Readonly<Record<string, Value>>): void {
    if (!this.o.why || !this.audible || this.quiet || this.depth === 0) return
    const n = showFields(numbers)
    this.#comment(`${where}: ${what}${n === '' ? '' : ` (${n})`}`)
    this.#folding?.mark(`${where}: ${what}`)
  }

  override copy(bytes: number, from: string, to: string): void {
    super.copy(bytes, from, to)
    if (this.recording && this.running.frames) this.#annotator?.copied(bytes, from, to)
  }

  /** as ftrace prints an event in the middle of a graph */
  tracepoint(_system: string, name: string, fields: Readonly<Record<string, unknown>>): void {
    if (!this.source || this.o.detail !== 'full' || !this.audible || this.depth === 0) return
    this.#comment(`${name}: ${showFields(fields)}`)
  }

  override free(skb: TracedSkb): void {
    this.#annotator?.freed(skb)
    super.free(skb)
  }

  frame(device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb): void {
    if (!this.recording || !this.running.frames || !this.#there(netns)) return
    const note = this.#annotator?.frame(device, netns, direction, skb) ?? ''
    if (note === '') return
    if (this.audible && !isBareAck(skb)) this.openTo(this.depth, false)
    this.#writeNote(note)
  }

  /** whether a device of that namespace is wanted */
  #there(netns: string): boolean {
    return this.o.netns === null || this.o.netns === 'all' || this.o.netns === netns
  }

  drop(skb: TracedSkb, reason: string, where: string): void {
    if (!this.recording) this.#out.write(this.#annotator?.late(skb, reason, where, traceTime() - this.#ended) ?? '')
    if (!this.recording || !this.running.frames) return
    const note = this.#annotator?.drop(skb, reason, where) ?? ''
    if (note !== '') {
      if (this.audible) this.openTo(this.depth, false)
      // one that gets lost is like no other
      this.#folding?.mark(`drop ${skb.id}`)
      this.#writeNote(note)
    } else if (this.source && this.audible && this.depth > 0)
      this.#comment(`drop: skb ${skb.id} ${reason}${where === '' ? '' : ` (${where})`}`)
  }

  card(event: CardEvent): void {
    if (this.#annotator === null || !this.recording || !this.running.frames || !this.#there(event.netns)) return
    if (this.quiet && event.what !== 'lost') return
    const note = this.#annotator.card(event)
    if (note === '') return
    // also where the functions that talk to the card are left out
    if (!this.muted) {
      this.want()
      this.openTo(this.depth, false)
      if (this.depth > 0 && this.who[this.depth - 1] !== this.#turns.last) this.#lineOf(this.depth - 1)
    }
    if (!this.#noted || event.what === 'register') this.#emit('#\n')
    this.#emit(note)
    this.#noted = true
  }
}
