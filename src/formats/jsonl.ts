import { clock } from '../sim/clock.ts'
import { type Call, type CardEvent, type Execution, outside, type TracedSkb, tracer, type Value } from '../trace/tracer.ts'
import { type Format, frameBytes, isSkb } from './format.ts'
import { BufferLog } from './jsonl_buffers.ts'
import { encode, encodeFields } from './jsonl_values.ts'
import type { Output } from './output.ts'
import { probed } from './probes.ts'
import { argument, paramsOf } from './values.ts'

/** of the layout of the lines: a reader refuses another one */
export const LAYOUT = 1

const LINEAR = 128
const unset = (offset: number): number | null => (offset === 0xffff ? null : offset)
const hexBytes = (b: Uint8Array): string => Buffer.from(b.buffer, b.byteOffset, b.byteLength).toString('hex')

/** what the lines of a call have in common, made once */
interface Texts {
  readonly enter: string
  readonly exit: string
  readonly params: readonly string[]
  readonly isVoid: boolean
  readonly probed: boolean
}

/** where a call is made from: the function of the image, then the inlined ones on the way; '' for a first frame */
const fromText = (call: Call): string => (call.from.real === null ? '' : [call.from.real.name, ...call.from.path].join('>'))

interface JsonlOptions {
  readonly command: string
  readonly version: string
  readonly kernel: string
  readonly seed: number
  /** how a graph has the headings of calls, which depends on the verb: resultFirst */
  readonly graph: {
    readonly resultFirst: boolean
    /** not null: what happens between calls is shown as well, from the first on */
    readonly netns: string | null
  }
  readonly wholeHost: boolean
}

/**
 * Every event as a JSON object on a line of its own, for other programs, and with all that another format could need to be made
 * from it. Outside of a recorded call nothing is written but frames, freed buffers and the calls themselves. Times are nanoseconds since boot; an
 * instruction takes a part of one, so that they have fractions.
 */
export class Jsonl implements Format {
  readonly #out: Output
  readonly #buffers = new BufferLog()
  readonly #texts = new Map<Call, Texts>()
  #call = 0
  /** between begin() and end() */
  #inCall = false
  /** what happens is written */
  #recording = false
  readonly #between: boolean
  /** numbers of buffers by first appearance in a `skb` line; those that were freed since are forgotten */
  readonly #numbers = new Map<number, number>()
  #skbs = 0
  readonly #stack: Call[] = []
  #softirqs = 0
  readonly #runs = new WeakMap<Execution, number>()
  #lastRun = 0
  #root: string | null = null
  #below = 0
  /** an indirect call outside of what is recorded: perhaps that of the root */
  #pointer = ''
  #target = ''
  #now = -1
  #time = '0'

  constructor(out: Output, options: JsonlOptions) {
    this.#out = out
    this.#between = options.graph.netns !== null
    this.#line({
      type: 'skbtrace',
      layout: LAYOUT,
      version: options.version,
      kernel: options.kernel,
      command: options.command,
      seed: options.seed,
      result_first: options.graph.resultFirst,
      whole_host: options.wholeHost,
      between_calls: options.graph.netns !== null,
      instructions_per_ns: clock.perNs,
    })
  }

  #line(o: object): void {
    this.#out.write(`${JSON.stringify(o)}\n`)
  }

  /** nanoseconds, with as many decimals as it takes to tell one instruction from the next */
  #ts(): string {
    const { now, perNs } = clock
    if (now === this.#now) return this.#time
    this.#now = now
    const ns = Math.floor(now / perNs)
    const rest = now - ns * perNs
    this.#time = rest === 0 ? `${ns}` : perNs === 3 ? `${ns}${rest === 1 ? '.333' : '.667'}` : `${now / perNs}`
    return this.#time
  }

  /** `run` numbers whatever runs: it is the same one when the processor comes back to it */
  #who(e: Execution): string {
    let n = this.#runs.get(e)
    if (n === undefined) {
      n = ++this.#lastRun
      this.#runs.set(e, n)
    }
    return `"run":${n},"kind":"${e.kind}","comm":${JSON.stringify(e.comm)},"pid":${e.pid},"netns":${JSON.stringify(e.netns)}`
  }

  begin(title: string, root: string | null): void {
    this.#call++
    this.#recording = true
    this.#inCall = true
    this.#buffers.end()
    this.#stack.length = 0
    this.#below = 0
    this.#softirqs = 0
    this.#root = root
    this.#pointer = this.#target = ''
    this.#out.write(
      `{"type":"call","call":${this.#call},"title":${JSON.stringify(title.replace(/^> /, ''))},"ts":${this.#ts()},${this.#who(tracer.execution)}${root === null ? '' : `,"root":${JSON.stringify(root)}`}}\n`,
    )
  }

  end(result: string): void {
    this.#out.write(
      `${this.#buffers.changes(this.#ts())}{"type":"result","call":${this.#call},"ts":${this.#ts()},"result":${JSON.stringify(result)}}\n`,
    )
    this.#buffers.end()
    this.#stack.length = 0
    this.#below = 0
    this.#inCall = false
    this.#recording = this.#between
  }

  remark(text: string): void {
    this.#line({ type: 'remark', ts: Number(this.#ts()), text })
  }

  close(): void {
    this.#line({ type: 'end', calls: this.#call })
  }

  #silent(): boolean {
    return !this.#recording || (this.#root !== null && this.#below === 0)
  }

  #textsOf(call: Call): Texts {
    let t = this.#texts.get(call)
    if (t === undefined) {
      const { fn, kind, line } = call
      const what = `"fn":"${fn.name}","kind":"${kind}"`
      t = {
        enter: `,${what}${line > 0 ? `,"line":${line}` : ''},"depth":`,
        exit: `,${what},"depth":`,
        params: paramsOf(fn)
          .slice(0, 6)
          .map((p, i, all) => `"${all.findIndex((q) => q.name === p.name) === i ? p.name.replace(/\W/g, '') : `arg${i}`}":`),
        isVoid: fn.symbol.returns === 'void',
        probed: fn.skbArg >= 0 && kind === 'call' && probed.has(fn.name),
      }
      this.#texts.set(call, t)
    }
    return t
  }

  enter(call: Call, a?: unknown, b?: unknown, c?: unknown, d?: unknown, e?: unknown, f?: unknown): void {
    if (!this.#recording) return
    const { fn } = call
    if (fn.name === 'handle_softirqs') this.#softirqs++
    const texts = this.#textsOf(call)
    if (this.#root === null || this.#below > 0 || fn.name === this.#root) {
      if (this.#root !== null && this.#below++ === 0 && this.#target === fn.name)
        this.#line({ type: 'indirect', ts: Number(this.#ts()), pointer: this.#pointer, target: this.#target })
      this.#enter(call, texts, a, b, c, d, e, f)
    }
    // probes see a buffer whoever runs: while a timer is waited for, the other end as well
    if (!texts.probed || !this.#inCall) return
    const skb = argument(fn.skbArg, a, b, c, d, e, f)
    if (isSkb(skb)) this.#skb(fn.name, skb)
  }

  #enter(call: Call, texts: Texts, a: unknown, b: unknown, c: unknown, d: unknown, e: unknown, f: unknown): void {
    const ts = this.#ts()
    const { skbArg } = call.fn
    let before = this.#buffers.changes(ts)
    let arg: TracedSkb | null = null
    let args = ''
    const { params } = texts
    for (let i = 0; i < params.length; i++) {
      const v = argument(i, a, b, c, d, e, f)
      if (typeof v === 'object' && isSkb(v)) {
        if (i === skbArg) arg = v
        else before += this.#buffers.show(ts, v)
      }
      args += `${i === 0 ? ',"args":{' : ','}${params[i]}${typeof v === 'number' && Number.isFinite(v) ? v : encode(v)}`
    }
    before += this.#buffers.enter(ts, arg)
    const depth = this.#stack.length
    const expected = depth === 0 ? outside : this.#stack[depth - 1]?.context
    const from = call.from === expected || (depth === 0 && call.from.real === null) ? '' : `,"from":"${fromText(call)}"`
    this.#stack.push(call)
    this.#out.write(`${before}{"type":"enter","ts":${ts}${texts.enter}${depth}${from}${args === '' ? '' : `${args}}`}}\n`)
  }

  #skb(fn: string, skb: TracedSkb): void {
    let n = this.#numbers.get(skb.id)
    if (n === undefined) {
      n = ++this.#skbs
      this.#numbers.set(skb.id, n)
    }
    this.#line({
      type: 'skb',
      call: this.#call,
      ts: Number(this.#ts()),
      fn,
      softirq: this.#softirqs > 0 || tracer.execution.kind === 'softirq',
      skb: n,
      len: skb.len,
      data_len: skb.data_len,
      truesize: skb.truesize,
      headroom: skb.data,
      tail: skb.tail,
      end: skb.end,
      mac_header: unset(skb.mac_header),
      network_header: unset(skb.network_header),
      transport_header: unset(skb.transport_header),
      protocol: `0x${skb.protocol.toString(16).padStart(4, '0')}`,
      ip_summed: skb.ip_summed,
      cloned: skb.cloned,
      linear: hexBytes(skb.bytes.subarray(skb.data, Math.min(skb.tail, skb.data + LINEAR))),
    })
  }

  exit(call: Call, ret: unknown): void {
    if (!this.#recording) return
    if (call.fn.name === 'handle_softirqs') this.#softirqs--
    if (this.#root !== null) {
      if (this.#below === 0) return
      this.#below--
    }
    const texts = this.#textsOf(call)
    const ts = this.#ts()
    let before = this.#buffers.changes(ts, true)
    if (typeof ret === 'object' && isSkb(ret)) before += this.#buffers.show(ts, ret)
    this.#stack.pop()
    const value = ret === undefined || texts.isVoid ? '' : `,"ret":${encode(ret)}`
    this.#out.write(`${before}{"type":"exit","ts":${ts}${texts.exit}${this.#stack.length}${value}}\n`)
    this.#buffers.exit()
  }

  /** a line about what happened just now, after what has changed since the last */
  #event(type: string, rest: string): void {
    const ts = this.#ts()
    this.#out.write(`${this.#buffers.changes(ts)}{"type":"${type}","ts":${ts}${rest}}\n`)
  }

  copy(bytes: number, from: string, to: string): void {
    this.#buffers.copied()
    if (!this.#silent()) this.#event('copy', `,"bytes":${bytes},"from":${JSON.stringify(from)},"to":${JSON.stringify(to)}`)
  }

  decision(where: string, what: string, numbers: Readonly<Record<string, Value>>): void {
    if (!this.#silent())
      this.#event('decision', `,"fn":${JSON.stringify(where)},"what":${JSON.stringify(what)},"numbers":${encodeFields(numbers)}`)
  }

  drop(skb: TracedSkb, reason: string, where: string): void {
    this.#out.write(this.#buffers.show(this.#ts(), skb))
    this.#event('drop', `,"fn":${JSON.stringify(where)},"reason":${JSON.stringify(reason)},"id":${skb.id},"len":${skb.len}`)
  }

  tracepoint(system: string, name: string, fields: Readonly<Record<string, unknown>>): void {
    if (!this.#silent()) this.#event('tracepoint', `,"system":"${system}","name":"${name}","fields":${encodeFields(fields)}`)
  }

  counters(of: string, netns: string, values: Readonly<Record<string, number>>): void {
    if (!this.#silent())
      this.#event('counters', `,"of":${JSON.stringify(of)},"netns":${JSON.stringify(netns)},"values":${encodeFields(values)}`)
  }

  card(e: CardEvent): void {
    if (this.#silent()) return
    const bytes = e.bytes === null ? '' : `,"bytes":"${hexBytes(e.bytes)}"`
    this.#event(
      'card',
      `,"device":${JSON.stringify(e.device)},"netns":${JSON.stringify(e.netns)},"what":"${e.what}","name":${JSON.stringify(e.name)},"index":${e.index},"fields":${encodeFields(e.fields)}${bytes}`,
    )
  }

  indirect(pointer: string, target: string): void {
    this.#pointer = pointer
    this.#target = target
    if (!this.#silent()) this.#event('indirect', `,"pointer":${JSON.stringify(pointer)},"target":${JSON.stringify(target)}`)
  }

  context(now: Execution): void {
    if (!this.#recording) return
    this.#event('context', `,${this.#who(now)}`)
  }

  frame(device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb): void {
    if (this.#recording) this.#out.write(this.#buffers.show(this.#ts(), skb))
    this.#event(
      'frame',
      `,"device":${JSON.stringify(device)},"netns":${JSON.stringify(netns)},"direction":"${direction}","id":${skb.id},"len":${skb.len},"bytes":"${hexBytes(frameBytes(skb))}"`,
    )
  }

  free(skb: TracedSkb): void {
    this.#numbers.delete(skb.id)
    this.#event('free', `,"id":${skb.id}`)
    this.#buffers.freed(skb.id)
  }
}
