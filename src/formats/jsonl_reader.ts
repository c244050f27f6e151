import { clock } from '../sim/clock.ts'
import { declaredFunctions } from '../trace/kfunc.ts'
import { type Call, type Context, type Execution, type Kfn, outside, resolveCall, tracer, type Value } from '../trace/tracer.ts'
import type { Format } from './format.ts'
import { LAYOUT } from './jsonl.ts'
import { FrameBuffer, type SavedBuffer, SavedBuffers } from './jsonl_saved.ts'
import { Decoder } from './jsonl_values.ts'

/** What was read is not a trace, or damaged; `message` says what is wrong, `line` where, from 1. */
export class TraceError extends Error {
  readonly line: number

  constructor(message: string, line: number) {
    super(message)
    this.line = line
  }
}

/** bytes of the longest line that is read: a frame of 512 KiB in hexadecimal, and much room */
const LONGEST = 1 << 24
/** functions that are running at the same time: the kernel's stack would not have room for as many */
const DEEPEST = 10_000
/** tasks, softirqs and interrupts that are remembered */
const EXECUTIONS = 10_000

/** the run that a trace is of, from its first line */
interface TraceHeader {
  readonly version: string
  readonly kernel: string
  readonly command: string
  readonly seed: number
  readonly resultFirst: boolean
  readonly wholeHost: boolean
  /** it has what happened between calls */
  readonly between: boolean
}

type Line = Readonly<Record<string, unknown>>

const kinds = ['task', 'softirq', 'hardirq', 'idle'] as const
const cardEvents = ['register', 'descriptor', 'header', 'wire', 'lost'] as const

/** shows what a line has where something else is wanted */
const found = (v: unknown): string => {
  const text = v === undefined ? 'nothing' : JSON.stringify(v)
  return text.length > 40 ? `${text.slice(0, 37)}...` : text
}

/** Plays a saved trace to a format: every event with the clock, the call and the buffers as they were. */
export class JsonlReader {
  readonly #open: (header: TraceHeader) => Format
  readonly #each: (line: string) => void
  #to: Format | null = null
  #line = 0
  readonly #functions = new Map<string, Kfn>()
  /** those that some caller has inlined in one place and calls in another, as they are where they are inlined */
  readonly #inlined = new Map<string, Kfn>()
  readonly #decoder = new Decoder()
  readonly #buffers = new SavedBuffers()
  readonly #executions = new Map<number, Execution>()
  readonly #calls: Call[] = []
  readonly #views: (SavedBuffer | null)[] = []
  #inCall = false
  #between = false
  #began = false
  #ended = false
  /** what is read last has no end of line */
  #cut = false
  #pieces: Uint8Array[] = []
  #length = 0
  /** events that were played so far */
  events = 0

  /**
   * `open` is told what the first line says and returns what the events are played to. `each` gets the lines themselves, when they
   * are known to be good. All kernel functions have to be loaded.
   */
  constructor(open: (header: TraceHeader) => Format, each: (line: string) => void = () => {}) {
    this.#open = open
    this.#each = each
    for (const fn of declaredFunctions()) (fn.inlinedWhereBoth ? this.#inlined : this.#functions).set(fn.name, fn)
  }

  /** @throws TraceError */
  feed(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const end = bytes.indexOf(10, at)
      const piece = bytes.subarray(at, end < 0 ? bytes.length : end)
      this.#length += piece.length
      if (this.#length > LONGEST) this.#fail(`longer than ${LONGEST} bytes`, this.#line + 1)
      if (end < 0) {
        this.#pieces.push(Uint8Array.from(piece))
        return
      }
      this.#complete(piece)
      at = end + 1
    }
  }

  /** nothing more comes; the format is closed by whoever opened it. @throws TraceError */
  finish(): void {
    this.#cut = this.#length > 0
    if (this.#cut) this.#complete(new Uint8Array(0))
    if (this.#to === null) this.#fail('empty, not a trace', 1)
    if (!this.#ended) this.#fail('the trace ends here, without its last line: it was cut off', this.#line)
  }

  #complete(last: Uint8Array): void {
    const bytes = this.#pieces.length === 0 ? last : Buffer.concat([...this.#pieces, last])
    this.#pieces = []
    this.#length = 0
    this.#line++
    this.#read(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'))
  }

  #fail(message: string, line = this.#line): never {
    throw new TraceError(message, line)
  }

  #read(text: string): void {
    if (text.trim() === '') return
    let o: unknown
    try {
      o = JSON.parse(text)
    } catch {
      this.#fail(
        this.#to === null
          ? 'not a trace of skbtrace (jsonl)'
          : this.#cut
            ? 'the trace ends in the middle of this line: it was cut off'
            : 'not JSON',
      )
    }
    if (typeof o !== 'object' || o === null || Array.isArray(o)) this.#fail(`wants an object, not ${found(o)}`)
    const line = o as Line
    if (this.#to === null) {
      this.#first(line)
    } else {
      if (this.#ended) this.#fail('comes behind the last line of the trace')
      this.#event(this.#to, line)
    }
    this.#each(text)
  }

  #first(o: Line): void {
    if (o.type !== 'skbtrace') this.#fail('not a trace of skbtrace: its first line is not {"type":"skbtrace",...}')
    if (o.layout !== LAYOUT) this.#fail(`has the layout ${found(o.layout)}; this skbtrace reads layout ${LAYOUT}`)
    const perNs = this.#number(o, 'instructions_per_ns', 0.001, 1e6)
    clock.perNs = perNs
    clock.now = 0
    this.#between = o.between_calls === true
    this.#to = this.#open({
      version: this.#text(o, 'version'),
      kernel: this.#text(o, 'kernel'),
      command: this.#text(o, 'command'),
      seed: this.#number(o, 'seed', 0, Number.MAX_SAFE_INTEGER),
      resultFirst: o.result_first === true,
      wholeHost: o.whole_host === true,
      between: this.#between,
    })
  }

  #event(to: Format, o: Line): void {
    this.events++
    if (o.ts !== undefined) {
      const now = Math.round(this.#number(o, 'ts', 0, 1e15) * clock.perNs)
      if (now < clock.now) this.#fail(`goes back in time: ts ${found(o.ts)}`)
      clock.now = now
    }
    const inCall = this.#inCall
    switch (o.type) {
      case 'skb':
        return
      case 'end':
        if (inCall) this.#fail('the trace ends inside of a call')
        this.#ended = true
        return
      case 'call':
        if (inCall) this.#fail('a call begins before the one before it has its result')
        this.#inCall = this.#began = true
        this.#leaveAll()
        tracer.execution = this.#execution(o)
        to.begin(`> ${this.#text(o, 'title')}`, o.root === undefined ? null : this.#text(o, 'root'))
        return
      case 'frame':
        this.#frame(to, o)
        return
      case 'free':
        this.#free(to, o)
        return
      case 'remark':
        to.remark?.(this.#text(o, 'text'))
        return
      case 'buffer':
      case 'drop':
        this.#inside(to, o)
        return
      case 'result':
        if (!inCall) this.#fail('a result outside of a call')
        this.#inside(to, o)
        return
      case 'enter':
      case 'exit':
      case 'copy':
      case 'decision':
      case 'tracepoint':
      case 'counters':
      case 'card':
      case 'indirect':
      case 'context':
        if (!inCall && !(this.#between && this.#began)) this.#fail(`'${o.type}' outside of a call`)
        this.#inside(to, o)
        return
      default:
        this.#fail(`there are no lines of type ${found(o.type)}`)
    }
  }

  #inside(to: Format, o: Line): void {
    switch (o.type) {
      case 'enter':
        this.#enter(to, o)
        break
      case 'exit':
        this.#exit(to, o)
        break
      case 'buffer':
        this.#buffers.update(o, (message) => this.#fail(message))
        break
      case 'result':
        to.end(this.#text(o, 'result'))
        this.#leaveAll()
        this.#inCall = false
        break
      case 'copy':
        to.copy?.(this.#number(o, 'bytes', 0, Number.MAX_SAFE_INTEGER), this.#text(o, 'from'), this.#text(o, 'to'))
        break
      case 'decision':
        to.decision?.(this.#text(o, 'fn'), this.#text(o, 'what'), this.#fields(o, 'numbers') as Record<string, Value>)
        break
      case 'drop':
        to.drop?.(this.#buffer(o), this.#text(o, 'reason'), this.#text(o, 'fn'))
        break
      case 'tracepoint':
        to.tracepoint?.(this.#text(o, 'system'), this.#text(o, 'name'), this.#fields(o, 'fields'))
        break
      case 'counters':
        to.counters?.(this.#text(o, 'of'), this.#text(o, 'netns'), this.#fields(o, 'values') as Record<string, number>)
        break
      case 'card':
        to.card?.({
          device: this.#text(o, 'device'),
          netns: this.#text(o, 'netns'),
          what: this.#oneOf(o, 'what', cardEvents),
          name: this.#text(o, 'name'),
          index: this.#number(o, 'index', 0, 0xffffffff),
          fields: this.#fields(o, 'fields') as Record<string, Value>,
          bytes: o.bytes === undefined ? null : this.#bytes(o, 'bytes'),
        })
        break
      case 'indirect':
        to.indirect?.(this.#text(o, 'pointer'), this.#text(o, 'target'))
        break
      case 'context': {
        const before = tracer.execution
        tracer.execution = this.#execution(o)
        to.context?.(tracer.execution, before)
      }
    }
  }

  /** what did not return by now never will */
  #leaveAll(): void {
    for (const v of this.#views.splice(0)) this.#buffers.left(v)
    this.#calls.length = 0
  }

  // ---- calls ----

  #function(name: string): Kfn {
    return this.#functions.get(name) ?? this.#fail(`no function of the kernel is named ${found(name)}`)
  }

  /** `tcp_sendmsg_locked>tcp_push`: a function of the image, and the inlined ones on the way; '' for what calls a first frame */
  #context(path: string): Context {
    if (path === '') return outside
    const [real = '', ...inlined] = path.split('>')
    let at = this.#function(real).root
    for (const name of inlined) at = this.#call(name, at, 'inlined').context
    return at
  }

  #call(name: string, from: Context, kind: unknown): Call {
    const call = callFrom(this.#function(name), from)
    const twin = call.kind !== kind && kind === 'inlined' ? this.#inlined.get(name) : undefined
    return twin === undefined ? call : callFrom(twin, from)
  }

  #enter(to: Format, o: Line): void {
    const depth = this.#calls.length
    if (o.depth !== depth) this.#fail(`depth ${found(o.depth)} where ${depth} functions are running`)
    if (depth >= DEEPEST) this.#fail(`more than ${DEEPEST} functions are running`)
    const from = o.from === undefined ? (this.#calls[depth - 1]?.context ?? outside) : this.#context(this.#text(o, 'from'))
    const call = this.#call(this.#text(o, 'fn'), from, o.kind)
    const { fn } = call
    if (o.kind !== call.kind) this.#fail(`${fn.name} is ${found(o.kind)} here, where this skbtrace has it as '${call.kind}'`)
    const args: unknown[] = []
    if (o.args !== undefined) for (const v of Object.values(this.#object(o, 'args'))) args.push(this.#value(v))
    this.#calls.push(call)
    const arg = fn.skbArg >= 0 ? this.#buffers.isOne(args[fn.skbArg]) : null
    this.#views.push(arg)
    if (arg !== null) arg.views++
    to.enter(call, args[0], args[1], args[2], args[3], args[4], args[5])
  }

  #exit(to: Format, o: Line): void {
    const call = this.#calls.pop()
    if (call === undefined) this.#fail('a function returns that was not entered')
    if (o.fn !== call.fn.name) this.#fail(`${found(o.fn)} returns where ${call.fn.name} is running`)
    to.exit(call, this.#value(o.ret))
    this.#buffers.left(this.#views.pop() ?? null)
  }

  // ---- buffers ----

  #frame(to: Format, o: Line): void {
    const bytes = this.#bytes(o, 'bytes')
    const direction = this.#oneOf(o, 'direction', ['in', 'out'] as const)
    const id = this.#number(o, 'id', 0, Number.MAX_SAFE_INTEGER)
    const len = this.#number(o, 'len', 0, 0xffffffff)
    const known = this.#inCall || (this.#between && this.#began) ? this.#buffers.byId(id) : undefined
    to.frame?.(this.#text(o, 'device'), this.#text(o, 'netns'), direction, known ?? new FrameBuffer(id, len, bytes))
  }

  #free(to: Format, o: Line): void {
    const id = this.#number(o, 'id', 0, Number.MAX_SAFE_INTEGER)
    to.free?.(this.#buffers.byId(id) ?? new FrameBuffer(id, 0, new Uint8Array(0)))
    this.#buffers.freed(id)
  }

  #buffer(o: Line): SavedBuffer {
    const id = this.#number(o, 'id', 0, Number.MAX_SAFE_INTEGER)
    return this.#buffers.byId(id) ?? this.#fail(`buffer ${id} was not described before`)
  }

  // ---- values ----

  #value(v: unknown): unknown {
    if (typeof v === 'object' && v !== null) this.#fail(`${found(v)} is no value of an argument`)
    return this.#decoder.decode(v, (address) => this.#buffers.at(address))
  }

  #fields(o: Line, name: string): Record<string, unknown> {
    const out: Record<string, unknown> = {}
    const from = this.#object(o, name)
    for (const key in from) out[key] = this.#value(from[key])
    return out
  }

  #object(o: Line, name: string): Line {
    const v = o[name]
    if (typeof v !== 'object' || v === null || Array.isArray(v)) this.#fail(`'${name}' has to be an object, not ${found(v)}`)
    return v as Line
  }

  #text(o: Line, name: string): string {
    const v = o[name]
    if (typeof v !== 'string') this.#fail(`'${name}' has to be a text, not ${found(v)}`)
    return v
  }

  #number(o: Line, name: string, least: number, most: number): number {
    const v = o[name]
    if (typeof v !== 'number' || v < least || v > most)
      this.#fail(`'${name}' has to be a number from ${least} to ${most}, not ${found(v)}`)
    return v
  }

  #oneOf<T extends string>(o: Line, name: string, list: readonly T[]): T {
    return list.find((v) => v === o[name]) ?? this.#fail(`'${name}' has to be one of ${list.join(', ')}, not ${found(o[name])}`)
  }

  #bytes(o: Line, name: string): Uint8Array {
    const v = this.#text(o, name)
    const bytes = Buffer.from(v, 'hex')
    if (v.length !== 2 * bytes.length) this.#fail(`'${name}' is not bytes in hexadecimal`)
    return bytes
  }

  /** who runs: the same object when it is the same one as before */
  #execution(o: Line): Execution {
    const run = this.#number(o, 'run', 0, Number.MAX_SAFE_INTEGER)
    const kind = this.#oneOf(o, 'kind', kinds)
    const comm = this.#text(o, 'comm')
    const pid = this.#number(o, 'pid', 0, 0x7fffffff)
    const netns = this.#text(o, 'netns')
    let e = this.#executions.get(run)
    if (e === undefined || e.kind !== kind || e.comm !== comm || e.pid !== pid || e.netns !== netns)
      e = { kind, comm, pid, netns }
    // the one that was not seen for the longest time is first
    this.#executions.delete(run)
    this.#executions.set(run, e)
    if (this.#executions.size > EXECUTIONS) this.#executions.delete(this.#executions.keys().next().value ?? 0)
    return e
  }
}

function callFrom(fn: Kfn, from: Context): Call {
  let call = from.calls.get(fn)
  if (call === undefined) {
    call = resolveCall(from, fn)
    from.calls.set(fn, call)
  }
  return call
}
