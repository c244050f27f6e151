import { PRUNE, SHOW } from '../../formats/detail.ts'
import { isSkb } from '../../formats/format.ts'
import type { sock } from '../../kernel/include/net/sock.ts'
import { clock } from '../../sim/clock.ts'
import type { Call, CardEvent, Execution, Sink, TracedSkb, Value } from '../../trace/tracer.ts'
import { type Params, paramsOf } from './params.ts'
import {
  CARD,
  CONTEXT,
  COPY,
  DECISION,
  DROP,
  ENTER,
  EXIT,
  FRAME,
  FREE,
  INDIRECT,
  LINE,
  type Recording,
  TRACEPOINT,
} from './recording.ts'
import { brief, isRealSkb, isSock, isSocket, NAMELESS } from './structs.ts'

/** Ctrl-C, or something more urgent than going through known events again. */
export class Interrupted extends Error {}

/** Looks at the kernel while an event happens. It must change nothing. */
export interface Sampler {
  /** `kind` of event number `event`; of an entry and an exit, the frame is on the watcher's stack */
  sample(kind: number, event: number, w: Watcher): void
  /** event `event` and all that follow did not happen after all */
  truncate(event: number): void
}

/** events between two looks at whether somebody wants to stop it */
const OFTEN = 1024

/** for numbers that name themselves often: no text is made again */
const skbNumbers: string[] = []
const skbText = (id: number): string => {
  if (id > 1 << 16) return `skb ${id}`
  skbNumbers[id] ??= `skb ${id}`
  return skbNumbers[id]
}

/**
 * Listens to a run: counts its events, knows what is on the stack and which buffer and socket that is about, and hands each event to a
 * recording and to samplers. Numbering is the same in each execution of the same lines.
 */
export class Watcher implements Sink {
  /** number of the next event; during an event its own */
  event = 0
  /** frames on the stack */
  depth = 0
  readonly calls: Call[] = []
  readonly params: Params[] = []
  /** six arguments of each frame */
  readonly args: unknown[] = []
  readonly #skbs: (TracedSkb | null)[] = []
  readonly #sks: (sock | null)[] = []
  /** what the function returns that is being left */
  ret: unknown = undefined
  recording: Recording | null = null
  samplers: readonly Sampler[] = []
  /** the event at which `stop` is called */
  stopAt = -1
  stop: (() => void) | null = null
  /** asked now and then; may throw Interrupted */
  poll: ((event: number) => void) | null = null
  /** events of the entries of the frames on the stack */
  readonly #entries: number[] = []
  /** whether all below a frame is machinery */
  readonly #pruned: boolean[] = []
  /** depth at which what runs now began, under which lies what it interrupted */
  #floor = 0
  readonly #floors: { floor: number; before: Execution; at: number }[] = []

  /** the buffer that the innermost frames are about */
  get skb(): TracedSkb | null {
    return this.depth > this.#floor ? (this.#skbs[this.depth - 1] ?? null) : null
  }

  /** and the socket */
  get sk(): sock | null {
    return this.depth > this.#floor ? (this.#sks[this.depth - 1] ?? null) : null
  }

  skbAt(frame: number): TracedSkb | null {
    return this.#skbs[frame] ?? null
  }

  skAt(frame: number): sock | null {
    return this.#sks[frame] ?? null
  }

  /** what follows is numbered from 0: called in the middle of an event, with frames on the stack that the recording has not */
  rebase(): void {
    this.event = -1
    this.#entries.fill(-1)
  }

  /** a line of the session begins */
  line(number: number): void {
    this.depth = 0
    this.#floor = 0
    this.#floors.length = 0
    const r = this.recording
    if (r !== null) {
      r.lines.push(this.event)
      r.perNs = clock.perNs
      r.add(LINE, false, 0, number, 0, -1, -1, clock.now)
    }
    this.#happened(LINE)
  }

  #happened(kind: number): void {
    const n = this.event
    const { samplers } = this
    for (let i = 0; i < samplers.length; i++) samplers[i]?.sample(kind, n, this)
    if (n === this.stopAt) this.stop?.()
    if ((n & (OFTEN - 1)) === 0) this.poll?.(n)
    // unless the numbering began anew meanwhile
    this.event = this.event + 1
  }

  enter(call: Call, a?: unknown, b?: unknown, c?: unknown, d?: unknown, e?: unknown, f?: unknown): void {
    const at = this.depth
    const p = paramsOf(call.fn)
    const { args } = this
    const base = 6 * at
    args[base] = a
    args[base + 1] = b
    args[base + 2] = c
    args[base + 3] = d
    args[base + 4] = e
    args[base + 5] = f
    this.calls[at] = call
    this.params[at] = p
    this.#resolve(at, p)
    const r = this.recording
    if (r !== null) {
      const first = r.args.length
      for (let i = 0; i < p.names.length; i++) r.args.push(this.#number(r, args[base + i], p.types[i] ?? ''))
      this.#entries[at] = this.event
      const number = r.callNumber(call)
      const t = r.treatment(number)
      const pruned = at > 0 && this.#pruned[at - 1] === true
      this.#pruned[at] = pruned || t === PRUNE
      r.add(ENTER, pruned || t !== SHOW, at, number, first, at > 0 ? (this.#entries[at - 1] ?? -1) : -1, -1, clock.now)
    }
    this.depth = at + 1
    this.#happened(ENTER)
  }

  /** which buffer and which socket a frame is about: its own arguments, else what its caller was about */
  #resolve(at: number, p: Params): void {
    const inherits = at > this.#floor && !p.fresh
    const base = 6 * at
    const own = p.skb >= 0 ? this.args[base + p.skb] : null
    const skb = isRealSkb(own) || isSkb(own) ? own : null
    const above = inherits ? (this.#skbs[at - 1] ?? null) : null
    this.#skbs[at] = skb ?? above
    let sk: sock | null = null
    if (p.sk >= 0) {
      const v = this.args[base + p.sk]
      if (isSock(v)) sk = v
    }
    if (sk === null && p.socket >= 0) {
      const v = this.args[base + p.socket]
      if (isSocket(v)) sk = v.sk
    }
    if (sk === null && skb !== null && isRealSkb(skb)) sk = skb.sk
    this.#sks[at] = sk ?? (inherits ? (this.#sks[at - 1] ?? null) : null)
  }

  #number(r: Recording, v: unknown, type: string): number {
    if (typeof v === 'number') return r.pool.of(v)
    if (isRealSkb(v)) return r.pool.of(skbText(v.id))
    const b = brief(v)
    // an object that says nothing of itself: its pointer's type does
    return r.pool.of(b === NAMELESS ? `<${/struct (\w+)/.exec(type)?.[1] ?? '…'}>` : b)
  }

  exit(call: Call, ret: unknown): void {
    const at = this.depth - 1
    this.ret = ret
    const r = this.recording
    if (r !== null) {
      const entry = this.#entries[at] ?? -1
      r.link.set(entry, this.event)
      const value = ret === undefined || call.fn.symbol.returns === 'void' ? -1 : this.#number(r, ret, call.fn.symbol.returns)
      r.add(EXIT, r.hidden(entry), at, r.callNumber(call), value, at > 0 ? (this.#entries[at - 1] ?? -1) : -1, entry, clock.now)
    }
    this.#happened(EXIT)
    this.depth = at
    this.ret = undefined
    if (at > this.#floor) this.#returned(at - 1, this.params[at], ret)
  }

  /** what was made or found belongs to the function that asked for it, unless it has one already */
  #returned(at: number, p: Params | undefined, ret: unknown): void {
    if (p?.returnsSkb && this.params[at]?.skb === -1 && isRealSkb(ret)) this.#skbs[at] = ret
    else if (p?.returnsSock && this.params[at]?.sk === -1 && isSock(ret)) this.#sks[at] = ret
  }

  #note(kind: number, ref: string, aux: number): void {
    const r = this.recording
    if (r !== null) {
      const at = this.depth
      const pruned = at > 0 && this.#pruned[at - 1] === true
      r.add(kind, pruned, at, ref === '' ? 0 : r.pool.of(ref), aux, at > 0 ? (this.#entries[at - 1] ?? -1) : -1, -1, clock.now)
    }
    this.#happened(kind)
  }

  #text(v: string): number {
    return this.recording === null ? 0 : this.recording.pool.of(v)
  }

  copy(bytes: number, from: string, to: string): void {
    this.#note(COPY, this.recording === null ? '' : `${from} to ${to}`, bytes)
  }

  decision(where: string, what: string, numbers: Readonly<Record<string, Value>>): void {
    if (this.recording === null) this.#note(DECISION, '', 0)
    else this.#note(DECISION, `${where}: ${what}`, this.#text(fieldsText(numbers)))
  }

  drop(skb: TracedSkb, reason: string, where: string): void {
    this.#note(DROP, this.recording === null ? '' : `${reason}${where === '' ? '' : ` in ${where}`}`, skb.id)
  }

  tracepoint(system: string, name: string, fields: Readonly<Record<string, unknown>>): void {
    if (this.recording === null) this.#note(TRACEPOINT, '', 0)
    else this.#note(TRACEPOINT, `${system}:${name}`, this.#text(fieldsText(fields)))
  }

  indirect(pointer: string, target: string): void {
    this.#note(INDIRECT, this.recording === null ? '' : pointer, this.#text(target))
  }

  frame(device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb): void {
    const link = skb.mac_header !== 0xffff && skb.mac_header < skb.data ? skb.data - skb.mac_header : 0
    const { recording: r, event } = this
    this.#note(FRAME, r === null ? '' : `${device}${netns === '' ? '' : ` @${netns}`} ${direction}`, skb.len + link)
    // what is in its headers, in a number: a frame has no other use of the column
    r?.link.set(event, hash(skb.bytes, skb.data - link, Math.min(skb.tail, skb.data + 64)))
  }

  free(skb: TracedSkb): void {
    this.#note(FREE, '', skb.id)
  }

  card(e: CardEvent): void {
    if (this.recording === null) this.#note(CARD, '', 0)
    else {
      const where = `${e.device}${e.netns === '' ? '' : ` @${e.netns}`} ${e.what}${e.name === '' ? '' : ` ${e.name}`}`
      const text =
        e.bytes === null ? `${e.index}${e.what === 'register' ? '' : `: ${fieldsText(e.fields)}`}` : `${e.bytes.length} bytes`
      this.#note(CARD, where, this.#text(text))
    }
  }

  context(now: Execution, before: Execution): void {
    const top = this.#floors.at(-1)
    if (top !== undefined && top.before === now && top.at === this.depth) {
      this.#floors.pop()
      this.#floor = top.floor
    } else {
      this.#floors.push({ floor: this.#floor, before, at: this.depth })
      this.#floor = this.depth
    }
    const r = this.recording
    if (r !== null) {
      const n = r.executionNumber(now)
      r.context.put(this.event, n)
      const at = this.depth
      r.add(CONTEXT, false, at, n, 0, at > 0 ? (this.#entries[at - 1] ?? -1) : -1, -1, clock.now)
    }
    this.#happened(CONTEXT)
  }
}

/** FNV-1a, 32 bits */
function hash(bytes: Uint8Array, from: number, to: number): number {
  let h = 0x811c9dc5
  for (let i = from; i < to; i++) h = Math.imul(h ^ (bytes[i] ?? 0), 0x01000193)
  return h | 0
}

/** `len=4096, mss_now=32741` */
function fieldsText(fields: Readonly<Record<string, unknown>>): string {
  let out = ''
  for (const k in fields) out += `${out === '' ? '' : ', '}${k}=${brief(fields[k])}`
  return out
}
