import { type Call, type Execution, type Kfn, type TracedSkb, tracer, traceTime, type Value } from '../trace/tracer.ts'
import {
  carriesMessage,
  globs,
  isGlue,
  isHelper,
  isMachinery,
  makesSkb,
  netTreatment,
  PRUNE,
  SHOW,
  SKIP,
  type Treatment,
} from './detail.ts'
import { type Format, isSkb } from './format.ts'
import type { Output } from './output.ts'
import { showArgs, showFields, showReturn } from './values.ts'

export interface GraphOptions {
  /** `source`: as the source reads, with the functions that the compiler inlined; `ftrace`: what that kernel's tracer can see */
  view: 'source' | 'ftrace'
  /** `path`: what carries the packet; `net`: without machinery; `full`: everything */
  detail: 'path' | 'net' | 'full'
  /** ftrace's set_graph_function, set_graph_notrace (globs) and max_graph_depth (0: no limit) */
  graphFunction: readonly string[]
  notrace: readonly string[]
  maxDepth: number
  /** ftrace's funcgraph-… options */
  abstime: boolean
  cpu: boolean
  proc: boolean
  overhead: boolean
  duration: boolean
  irqs: boolean
  tail: boolean
  retval: boolean
  retvalHex: boolean
  args: boolean
  /** the place that a function is called from, `[net/ipv4/tcp.c:1357]` */
  places: boolean
  /** what the kernel decided, and the numbers it decided by */
  why: boolean
  /** the heading of a call has its result: what is below it has to wait until that is known */
  resultFirst: boolean
}

export const defaults: GraphOptions = {
  view: 'source',
  detail: 'path',
  graphFunction: [],
  notrace: [],
  maxDepth: 0,
  abstime: false,
  cpu: true,
  proc: false,
  overhead: false,
  duration: true,
  irqs: true,
  tail: true,
  retval: false,
  retvalHex: false,
  args: false,
  places: false,
  why: false,
  resultFirst: false,
}

/** What a format adds between the lines of a graph. Each returns whole lines, or '' for nothing. */
export interface Annotator {
  /** `fn`, whose line was printed, has this buffer in its hands: what has changed since it was shown last */
  inHands(fn: Kfn, skb: TracedSkb): string
  freed(skb: TracedSkb): void
  frame(device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb): string
  drop(skb: TracedSkb, reason: string, where: string): string
}

/** Puts the colours of a terminal around a line's parts. */
export interface Paint {
  ghost(text: string): string
  comment(text: string): string
  time(text: string): string
}

const INDENT: string[] = ['']
const indent = (depth: number): string => {
  for (let i = INDENT.length; i <= depth; i++) INDENT.push(`${INDENT[i - 1]}  `)
  return INDENT[depth] ?? ''
}

const FILL = '              |  '
const DURATIONS: string[] = new Array(1 << 16).fill('')

const mark = (ns: number): string =>
  ns > 1e9 ? '$' : ns > 1e8 ? '@' : ns > 1e7 ? '*' : ns > 1e6 ? '#' : ns > 1e5 ? '!' : ns > 1e4 ? '+' : ' '

/** the DURATION column: microseconds in seven digits */
function duration(ns: number, overhead: boolean): string {
  const us = String(Math.floor(ns / 1000))
  const digits = Math.min(3, Math.max(0, 7 - us.length))
  const text =
    us.length < 7 && digits > 0
      ? `${us}.${String(ns % 1000)
          .padStart(3, '0')
          .slice(0, digits)}`
      : us
  return `${overhead ? mark(ns) : ' '} ${`${text} us `.padEnd(12)}|  `
}

/** a name as the graph prints it: its line when it begins, when it calls nothing, when it ends */
interface Names {
  open: string
  leaf: string
  close: string
}

const KINDS = { call: 0, inlined: 1, notrace: 2 }

/**
 * Prints calls as ftrace's function_graph tracer does. A function's line is kept back until it is known whether it calls
 * anything that is printed; so nothing but the stack is kept in memory.
 */
export class FunctionGraph implements Format {
  readonly #out: Output
  readonly #o: GraphOptions
  readonly #annotator: Annotator | null
  readonly #paint: Paint | null
  readonly #path: boolean
  readonly #source: boolean
  /** args, places or indirect calls: a line's text is not the same each time */
  readonly #dynamic: boolean
  readonly #maxDepth: number
  readonly #notrace: ((name: string) => boolean) | null
  readonly #onlyBelow: ((name: string) => boolean) | null
  #root: ((name: string) => boolean) | null = null
  readonly #treatments: number[] = []
  readonly #names: (Names | undefined)[] = []
  readonly #helpers: number[] = []
  /** of a function: 1 has the message among its arguments, 2 returns a buffer */
  readonly #traits: number[] = []
  readonly #execution: { pid: number; muted: boolean } = { pid: -1, muted: false }

  // the frames that are shown or may be, outermost first; those below #open have their line printed
  #depth = 0
  #open = 0
  readonly #calls: Call[] = []
  readonly #starts: number[] = []
  readonly #args: string[] = []
  /** bytes that were copied there, and from where to where */
  readonly #copied: number[] = []
  readonly #copies: string[] = []
  // for detail `path` and annotations
  readonly #skbs: (TracedSkb | null)[] = []
  readonly #ids: number[] = []
  readonly #prints: number[] = []
  readonly #owners: string[] = []
  readonly #lists: (object | null)[] = []
  readonly #flags: number[] = []

  #pruned = 0
  #muted = false
  #recording = false
  #title = ''
  #head = ''
  #via = ''
  #pointer = ''
  #newest = 0
  /** lines of the graph so far, and when a note was printed last: two notes in a row share the line between them */
  #lines = 0
  #noted = -1
  readonly #stack: Call[] = []

  constructor(out: Output, options: GraphOptions, annotator: Annotator | null = null, paint: Paint | null = null) {
    this.#out = out
    this.#o = options
    this.#annotator = annotator
    this.#paint = paint
    this.#path = options.detail === 'path'
    this.#source = options.view === 'source'
    this.#dynamic = options.args || options.places || this.#source
    this.#maxDepth = options.maxDepth > 0 ? options.maxDepth : Number.POSITIVE_INFINITY
    this.#notrace = globs(options.notrace)
    this.#onlyBelow = globs(options.graphFunction)
    this.#root = this.#onlyBelow
    this.#setHead()
  }

  /** ftrace's heading of the columns */
  heading(): void {
    this.#out.write(headings(this.#o))
  }

  begin(title: string, root: string | null): void {
    this.#title = title
    if (this.#o.resultFirst) this.#out.hold()
    else this.#out.write(`# ${title}\n`)
    this.#root = root === null ? this.#onlyBelow : (name) => name === root
    this.#depth = this.#open = this.#pruned = 0
    this.#stack.length = 0
    this.#newest = 0
    this.#via = this.#pointer = ''
    this.#muted = false
    const { execution } = tracer
    this.#execution.pid = root !== null ? -2 : execution.kind === 'task' ? execution.pid : -1
    this.#recording = true
    this.#setHead()
  }

  end(result: string): void {
    // a call that never came back leaves its frames open
    this.#depth = this.#open
    while (this.#depth > 0) this.#closeLine(--this.#depth, undefined)
    this.#open = 0
    this.#recording = false
    if (this.#o.resultFirst) this.#out.release(`# ${this.#title} = ${result}\n`)
    else this.#out.write(`# = ${result}\n`)
  }

  close(): void {}

  #setHead(): void {
    const { comm, pid } = tracer.execution
    const cpu = this.#o.cpu ? ' 0) ' : ''
    if (!this.#o.proc) this.#head = cpu
    else {
      const who = `${comm.slice(0, 7)}-${pid}`
      const spaces = Math.max(0, 14 - who.length)
      this.#head = `${cpu}${' '.repeat(spaces >> 1)}${who}${' '.repeat(spaces - (spaces >> 1))} | `
    }
  }

  #treatment(call: Call): Treatment {
    const i = 3 * call.fn.id + KINDS[call.kind]
    const known = this.#treatments[i]
    if (known !== undefined) return known as Treatment
    while (this.#treatments.length <= i) this.#treatments.push(undefined as unknown as number)
    const t = this.#classify(call)
    this.#treatments[i] = t
    return t
  }

  #classify(call: Call): Treatment {
    const { fn, kind } = call
    if (this.#notrace?.(fn.name)) return PRUNE
    if (!this.#source && !call.visible) return SKIP
    if (this.#o.detail === 'full') return SHOW
    return this.#path && isGlue(fn, kind) ? SKIP : netTreatment(fn, kind)
  }

  #texts(call: Call): Names {
    const i = 3 * call.fn.id + KINDS[call.kind]
    let t = this.#names[i]
    if (t === undefined) {
      while (this.#names.length <= i) this.#names.push(undefined)
      const plain = (call.kind === 'inlined' ? '~' : call.kind === 'notrace' ? '-' : '') + call.fn.name
      const name = call.kind === 'call' || this.#paint === null ? plain : this.#paint.ghost(plain)
      const close = this.#o.tail ? `} /* ${plain} */\n` : '}\n'
      t = {
        open: `${name}() {\n`,
        leaf: `${name}();\n`,
        close: this.#paint === null ? close : `${this.#paint.comment(close.trimEnd())}\n`,
      }
      this.#names[i] = t
    }
    return t
  }

  enter(call: Call, a?: unknown, b?: unknown, c?: unknown, d?: unknown, e?: unknown, f?: unknown): void {
    if (!this.#recording || this.#muted) return
    if (this.#o.places) this.#stack.push(call)
    if (this.#pruned > 0) {
      this.#pruned++
      return
    }
    const t = this.#treatment(call)
    if (t === SKIP) return
    const depth = this.#depth
    if (depth === 0 && this.#root !== null && !this.#root(call.fn.name)) return
    if (t === PRUNE || depth >= this.#maxDepth) {
      this.#pruned = 1
      return
    }
    if (this.#path || this.#annotator !== null) {
      this.#enterWatched(call, a, b, c, d, e, f)
      return
    }
    if (this.#open < depth) this.#openTo(depth)
    this.#calls[depth] = call
    this.#starts[depth] = Math.floor(traceTime())
    this.#copied[depth] = 0
    if (this.#dynamic) this.#args[depth] = this.#about(call, a, b, c, d, e, f)
    this.#depth = depth + 1
  }

  exit(call: Call, ret: unknown): void {
    if (!this.#recording || this.#muted) return
    if (this.#o.places) this.#stack.pop()
    if (this.#pruned > 0) {
      this.#pruned--
      return
    }
    const depth = this.#depth - 1
    if (depth < 0 || this.#treatment(call) === SKIP) return
    if (this.#path || this.#annotator !== null) this.#exitWatched(depth, ret)
    else if (this.#open > depth) this.#closeLine(depth, ret)
    else this.#leafLine(depth, ret)
    this.#depth = depth
    if (this.#open > depth) this.#open = depth
  }

  /** prints the first line of each frame up to `depth` that does not have it yet */
  #openTo(depth: number, quiet = false): void {
    for (let i = this.#open; i < depth; i++) {
      const call = this.#calls[i] as Call
      let text = this.#texts(call).open
      if (this.#dynamic) {
        const more = this.#args[i] as string
        if (more !== '') text = decorated(text, more, ') {')
      }
      this.#out.write(this.#prefix(this.#starts[i] as number) + (this.#o.duration ? FILL : '') + indent(i) + text)
    }
    this.#open = depth
    if (this.#annotator === null || quiet) return
    // the buffer as it is now, just before whatever is printed next
    for (let i = depth - 1; i >= 0; i--)
      if ((this.#ids[i] as number) !== 0) {
        this.#note(i)
        return
      }
  }

  /** what the annotator has to say of the buffer that a frame was handed */
  #note(i: number): void {
    const skb = this.#skbs[i]
    const call = this.#calls[i]
    if (this.#annotator === null || skb === null || skb === undefined || call === undefined || skb.id !== this.#ids[i]) return
    if (((this.#flags[i] as number) & HELPER) === 0) this.#writeNote(this.#annotator.inHands(call.fn, skb))
  }

  #writeNote(note: string): void {
    if (note === '') return
    this.#out.write(this.#noted === this.#lines && note.startsWith('#\n') ? note.slice(2) : note)
    this.#noted = this.#lines
  }

  #prefix(at: number): string {
    this.#lines++
    return this.#o.abstime ? abstime(at) + this.#head : this.#head
  }

  #took(i: number): string {
    if (!this.#o.duration) return ''
    const ns = Math.floor(traceTime()) - (this.#starts[i] as number)
    let text = DURATIONS[ns]
    if (text === undefined || text === '' || this.#o.overhead || this.#paint !== null) {
      text = duration(ns, this.#o.overhead)
      if (this.#paint !== null) text = this.#paint.time(text)
      else if (ns < DURATIONS.length && !this.#o.overhead) DURATIONS[ns] = text
    }
    return text
  }

  #leafLine(i: number, ret: unknown): void {
    const call = this.#calls[i] as Call
    let text = this.#texts(call).leaf
    if (this.#dynamic) {
      const more = this.#args[i] as string
      if (more !== '') text = decorated(text, more, ');')
    }
    if (this.#source && (this.#copied[i] as number) > 0)
      text = `${text.slice(0, -1)} /* copies ${this.#copied[i]} bytes, ${this.#copies[i]} */\n`
    if (this.#o.retval) {
      const r = showReturn(call.fn, ret, this.#o.retvalHex)
      if (r !== '') text = `${text.slice(0, -1)} /* ${r} */\n`
    }
    this.#out.write(this.#prefix(this.#starts[i] as number) + this.#took(i) + indent(i) + text)
  }

  #closeLine(i: number, ret: unknown): void {
    const call = this.#calls[i] as Call
    let text = this.#texts(call).close
    if (this.#o.retval) {
      const r = showReturn(call.fn, ret, this.#o.retvalHex)
      if (r !== '') text = `} /* ${call.fn.name} ${r} */\n`
    }
    this.#out.write(this.#prefix(Math.floor(traceTime())) + this.#took(i) + indent(i) + text)
  }

  /** a line of its own inside the graph, as ftrace prints what a program wrote to trace_marker */
  #comment(text: string): void {
    this.#openTo(this.#depth)
    const c = `/* ${text} */`
    this.#out.write(
      `${this.#prefix(Math.floor(traceTime())) + (this.#o.duration ? FILL : '') + indent(this.#depth) + (this.#paint === null ? c : this.#paint.comment(c))}\n`,
    )
  }

  /** what stands in a function's line besides its name: arguments, then (after a tab) the place and the pointer */
  #about(call: Call, a: unknown, b: unknown, c: unknown, d: unknown, e: unknown, f: unknown): string {
    let after = ''
    if (this.#via !== '') {
      if (this.#via === call.fn.name) after = `/* ${this.#pointer} */`
      this.#via = ''
    }
    if (this.#o.places && call.line > 0) {
      const from = this.#stack[this.#stack.length - 2]
      if (from !== undefined) after = `[${from.fn.symbol.file}:${call.line}]${after === '' ? '' : ` ${after}`}`
    }
    if (this.#o.args) return `${showArgs(call.fn, a, b, c, d, e, f)}\t${after}`
    return after === '' ? '' : `\t${after}`
  }

  indirect(pointer: string, target: string): void {
    this.#pointer = pointer
    this.#via = target
  }

  decision(where: string, what: string, numbers: Readonly<Record<string, Value>>): void {
    if (!this.#o.why || !this.#recording || this.#muted || this.#pruned > 0 || this.#depth === 0) return
    const n = showFields(numbers)
    this.#comment(`${where}: ${what}${n === '' ? '' : ` (${n})`}`)
  }

  context(now: Execution, before: Execution): void {
    if (!this.#recording) return
    const e = this.#execution
    // a section shows the process that made the call, and the interrupts and softirqs that came on top of it
    if (e.pid === -1 && now.kind === 'task') e.pid = now.pid
    const muted = e.pid >= 0 && (now.pid !== e.pid || (now.kind === 'hardirq' && !this.#o.irqs))
    if (muted !== this.#muted) this.#muted = muted
    if (this.#o.proc) this.#setHead()
    if (muted || this.#depth === 0 || this.#path) return
    if (now.kind === 'hardirq') this.#arrow('==========>')
    else if (before.kind === 'hardirq' && before.pid === now.pid) this.#arrow('<==========')
  }

  #arrow(text: string): void {
    this.#openTo(this.#depth)
    this.#out.write(`${this.#prefix(Math.floor(traceTime()))}  ${text} |\n`)
  }

  // ---- detail `path`, and what the annotator adds: buffers are watched on their way ----

  #traitsOf(fn: Kfn): number {
    let t = this.#traits[fn.id]
    if (t === undefined) {
      while (this.#traits.length <= fn.id) this.#traits.push(undefined as unknown as number)
      t = (carriesMessage(fn) ? 1 : 0) | (makesSkb(fn) ? 2 : 0)
      this.#traits[fn.id] = t
    }
    return t
  }

  #isHelper(call: Call): boolean {
    const i = 3 * call.fn.id + KINDS[call.kind]
    let h = this.#helpers[i]
    if (h === undefined) {
      while (this.#helpers.length <= i) this.#helpers.push(undefined as unknown as number)
      h = isHelper(call.fn, call.kind) || isMachinery(call.fn) ? 1 : 0
      this.#helpers[i] = h
    }
    return h === 1
  }

  #enterWatched(call: Call, a: unknown, b: unknown, c: unknown, d: unknown, e: unknown, f: unknown): void {
    const { fn } = call
    let skb: TracedSkb | null = null
    if (fn.skbArg >= 0) {
      const v =
        fn.skbArg === 0
          ? a
          : fn.skbArg === 1
            ? b
            : fn.skbArg === 2
              ? c
              : fn.skbArg === 3
                ? d
                : fn.skbArg === 4
                  ? e
                  : fn.skbArg === 5
                    ? f
                    : null
      if (isSkb(v)) skb = v
    }
    if (this.#path && skb !== null && isBareAck(skb)) {
      // an answer, not the message
      this.#pruned = 1
      return
    }
    const depth = this.#depth
    if (!this.#path && this.#open < depth) this.#openTo(depth)
    this.#calls[depth] = call
    this.#starts[depth] = Math.floor(traceTime())
    this.#copied[depth] = 0
    let flags = this.#traitsOf(fn)
    if (this.#isHelper(call)) flags |= HELPER
    // the receiving socket is told
    if (this.#via === fn.name && this.#pointer.includes('data_ready')) flags |= WANTED
    if (this.#dynamic) this.#args[depth] = this.#about(call, a, b, c, d, e, f)
    this.#via = ''
    this.#flags[depth] = flags
    this.#skbs[depth] = skb
    this.#ids[depth] = skb === null ? 0 : skb.id
    this.#depth = depth + 1
    if (skb === null) return
    if (this.#path) {
      this.#prints[depth] = fingerprint(skb)
      this.#owners[depth] = skb.owner
      this.#lists[depth] = skb.list
    }
  }

  #exitWatched(depth: number, ret: unknown): void {
    const flags = this.#flags[depth] as number
    const skb = this.#skbs[depth]
    const same = skb !== null && skb !== undefined && skb.id === this.#ids[depth]
    if (this.#path) {
      if (
        (flags & 2) !== 0 &&
        isSkb(ret) &&
        ret.id > this.#newest &&
        depth > 0 &&
        ((this.#flags[depth - 1] as number) & 2) === 0
      ) {
        if (this.#isNews(depth, ret)) this.#flags[depth] = flags | WANTED
        this.#newest = ret.id
      } else if (
        (flags & HELPER) === 0 &&
        same &&
        (fingerprint(skb) !== this.#prints[depth] || skb.owner !== this.#owners[depth] || skb.list !== this.#lists[depth])
      )
        this.#mark(depth)
    }
    if (this.#open > depth) {
      if (same) this.#note(depth)
      this.#closeLine(depth, ret)
    } else if (!this.#path || ((this.#flags[depth] as number) & WANTED) !== 0) {
      // what the function itself did to the buffer is told behind its line
      this.#openTo(depth, same && (flags & HELPER) === 0)
      this.#leafLine(depth, ret)
      if (same) this.#note(depth)
    }
    this.#skbs[depth] = null
    this.#ids[depth] = 0
  }

  /** whether a buffer that a function returns is one for the message: made where the message is, or a clone of one on its way */
  #isNews(depth: number, skb: TracedSkb): boolean {
    for (let i = depth; i >= 0; i--) {
      const id = this.#ids[i] as number
      if (id !== 0) return skb.clone_of !== 0 && skb.clone_of === id
      if (((this.#flags[i] as number) & 1) !== 0) return true
    }
    return false
  }

  /** a frame where something happened gets a line; an inlined part of a function that has the buffer itself does not */
  #mark(depth: number): void {
    let i = depth
    while (
      i > 0 &&
      this.#calls[i]?.kind === 'inlined' &&
      this.#ids[i - 1] === this.#ids[i] &&
      ((this.#flags[i - 1] as number) & HELPER) === 0
    )
      i--
    this.#flags[i] = (this.#flags[i] as number) | WANTED
  }

  /** the innermost frame that works on that buffer for itself is worth a line */
  #want(from: number, id: number): void {
    for (let i = from; i >= 0; i--)
      if (this.#ids[i] === id && ((this.#flags[i] as number) & HELPER) === 0) {
        this.#flags[i] = (this.#flags[i] as number) | WANTED
        return
      }
  }

  copy(bytes: number, from: string, to: string): void {
    if (!this.#recording || this.#muted || this.#pruned > 0 || this.#depth === 0) return
    let at = this.#depth - 1
    if (this.#path) {
      let i = at
      while (i > 0 && ((this.#flags[i] as number) & HELPER) !== 0) i--
      at = Math.min(i + 1, at)
      this.#flags[at] = (this.#flags[at] as number) | WANTED
    }
    if (!this.#source) return
    this.#copied[at] = (this.#copied[at] as number) + bytes
    this.#copies[at] = `${from} to ${to}`
  }

  /** as ftrace prints an event in the middle of a graph */
  tracepoint(_system: string, name: string, fields: Readonly<Record<string, unknown>>): void {
    if (!this.#source || this.#o.detail !== 'full' || !this.#recording || this.#muted || this.#pruned > 0 || this.#depth === 0)
      return
    this.#comment(`${name}: ${showFields(fields)}`)
  }

  free(skb: TracedSkb): void {
    this.#annotator?.freed(skb)
    if (!this.#path || !this.#recording || this.#muted || this.#pruned > 0) return
    this.#want(this.#depth - 1, skb.id)
  }

  frame(device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb): void {
    if (!this.#recording) return
    const note = this.#annotator?.frame(device, netns, direction, skb) ?? ''
    if (note === '') return
    if (!this.#muted && this.#pruned === 0) this.#openTo(this.#depth)
    this.#writeNote(note)
  }

  drop(skb: TracedSkb, reason: string, where: string): void {
    if (!this.#recording || this.#muted || this.#pruned > 0) return
    const note = this.#annotator?.drop(skb, reason, where) ?? ''
    if (note !== '') {
      this.#openTo(this.#depth)
      this.#writeNote(note)
    } else if (this.#source && this.#depth > 0) this.#comment(`drop: skb ${skb.id} ${reason}${where === '' ? '' : ` (${where})`}`)
  }
}

const HELPER = 16
const WANTED = 32

/** a line's text with arguments put between the brackets and the rest behind */
function decorated(text: string, more: string, end: string): string {
  const tab = more.indexOf('\t')
  const args = more.slice(0, tab)
  const after = more.slice(tab + 1)
  const at = text.lastIndexOf(`(${end}`)
  return `${text.slice(0, at + 1)}${args}${end}${after === '' ? '' : `  ${after}`}\n`
}

function abstime(ns: number): string {
  const s = Math.floor(ns / 1e9)
  return `${String(s).padStart(5)}.${String(Math.floor((ns - s * 1e9) / 1000)).padStart(6, '0')} |  `
}

/** an acknowledgement without data: nothing of the message is in it */
function isBareAck(skb: TracedSkb): boolean {
  // the kernel's own mark, skb_set_tcp_pure_ack()
  if (skb.truesize === 2) return true
  const n = skb.network_header
  const b = skb.bytes
  if (
    skb.protocol !== 0x0800 ||
    skb.data_len > 0 ||
    n === 0 ||
    n + 40 > skb.tail ||
    (b[n] as number) >> 4 !== 4 ||
    b[n + 9] !== 6
  )
    return false
  const ip = ((b[n] as number) & 15) * 4
  const t = n + ip
  const total = ((b[n + 2] as number) << 8) | (b[n + 3] as number)
  return b[t + 13] === 0x10 && total === ip + ((b[t + 12] as number) >> 4) * 4
}

/** a number that changes when a buffer's shape or its first bytes do */
function fingerprint(skb: TracedSkb): number {
  let h = Math.imul(Math.imul(skb.data + 31 * skb.len, 31) + skb.data_len, 31)
  const end = Math.min(skb.tail, skb.data + 64)
  const { bytes } = skb
  for (let i = skb.data; i < end; i++) h = Math.imul(h ^ (bytes[i] as number), 0x01000193)
  return h
}

/** the comment lines above a graph */
export function headings(o: GraphOptions): string {
  const names = (o.abstime ? '     TIME       ' : '') + (o.cpu ? ' CPU' : '') + (o.proc ? '  TASK/PID       ' : '')
  const bars = (o.abstime ? '      |         ' : '') + (o.cpu ? ' |  ' : '') + (o.proc ? '   |    |        ' : '')
  let text = `# tracer: function_graph\n#\n#${names}${o.duration ? '  DURATION   ' : ''}               FUNCTION CALLS\n`
  text += `#${bars}${o.duration ? '   |   |      ' : ''}               |   |   |   |\n`
  if (o.view === 'source') text += '# ~ inlined by the compiler, - without a tracing site: ftrace shows neither\n'
  return text
}
