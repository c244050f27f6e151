import { clock } from '../sim/clock.ts'
import { type Edge, type KernelSymbol, parseEdges } from './facts.ts'

/** A declared kernel function. */
export interface Kfn {
  readonly id: number
  readonly name: string
  readonly symbol: KernelSymbol
  /** where its own calls are looked up, when it is really called */
  readonly root: Context
  /** which argument is the sk_buff (`struct sk_buff *`), -1 for none */
  readonly skbArg: number
  /** a caller that has it inlined in one place and calls it in another has it inlined here */
  readonly inlinedWhereBoth: boolean
}

/** `call`: a frame of its own; `inlined`: a ghost, ftrace cannot see it; `notrace`: real, but without a tracing site. */
export type CallKind = 'call' | 'inlined' | 'notrace'

/** One function as reached from one place: found once for a caller and a callee, then kept. */
export interface Call {
  readonly fn: Kfn
  readonly kind: CallKind
  /** ftrace sees it */
  readonly visible: boolean
  /** the line that it is called from, in the file of the caller; 0 where the build does not say */
  readonly line: number
  /** a jump, not a call: the caller has left the stack by then */
  readonly tail: boolean
  /** whether the tables have this pair; an indirect call has none */
  readonly known: boolean
  /** where it is made */
  readonly from: Context
  readonly context: Context
  /** own instructions, charged before and after what it calls */
  readonly before: number
  readonly after: number
}

/** Where a call is made from: a function of the image and the inlined functions on the way. */
export class Context {
  readonly real: Kfn | null
  readonly path: readonly string[]
  /** the function that runs: the innermost of the inlined ones, or `real` */
  readonly fn: Kfn | null
  #calls: Map<Kfn, Call> | null = null

  constructor(real: Kfn | null, path: readonly string[], fn: Kfn | null = real) {
    this.real = real
    this.path = path
    this.fn = fn
  }

  /** the calls that were made from there; most functions make none */
  get calls(): Map<Kfn, Call> {
    this.#calls ??= new Map()
    return this.#calls
  }
}

/** Who runs: a process, an interrupt, the softirq that a call raised, or nobody. */
export interface Execution {
  readonly kind: 'task' | 'softirq' | 'hardirq' | 'idle'
  readonly comm: string
  readonly pid: number
  readonly netns: string
}

/** What the formats need of an sk_buff. Offsets count from the start of `bytes`; a header that is not set is 0xffff. */
export interface TracedSkb {
  /** a number for each buffer, by first allocation */
  readonly id: number
  readonly len: number
  readonly data_len: number
  readonly truesize: number
  /** bytes of the head buffer, from `head` to the end of the allocation */
  readonly bytes: Uint8Array
  readonly data: number
  readonly tail: number
  readonly end: number
  readonly mac_header: number
  readonly network_header: number
  readonly transport_header: number
  readonly protocol: number
  readonly ip_summed: number
  readonly cloned: number
  /** id of the buffer that this one was cloned from, 0 for none */
  readonly clone_of: number
  /** a name for who owns it: the socket's description, or '' */
  readonly owner: string
  /** the socket itself, to tell quickly whether the owner is another one */
  readonly sk?: object | null
  readonly devName: string
  readonly gso_size: number
  readonly gso_segs: number
  readonly nr_frags: number
  /** a VLAN tag that rides beside the frame; vlan_proto 0 for none */
  readonly vlan_proto: number
  readonly vlan_tci: number
  /** the queue that it is on, null for none */
  readonly list: object | null
  /** the bytes of page fragment `i` */
  frag(i: number): Uint8Array
}

/** of a decision's numbers or a tracepoint's fields */
export type Value = string | number | boolean | null

/** What a card was told and what it did, in the words of its manual. */
export interface CardEvent {
  readonly device: string
  /** network namespace of the device, '' for the host's own */
  readonly netns: string
  /**
   * `register`: the driver wrote one; `descriptor`: the card reads one that the driver wrote, or wrote back what it received; `header`:
   * what virtio has before a frame; `wire`: a frame goes out on the cable; `lost`: one gets lost there or finds no room in the card
   */
  readonly what: 'register' | 'descriptor' | 'header' | 'wire' | 'lost'
  /** of a register (`TDT`), of the descriptor's ring (`tx`, `rx`); '' for a frame */
  readonly name: string
  /** of the descriptor in its ring, the value of the register; 0 for a frame */
  readonly index: number
  /** of a descriptor, by the names of the manual */
  readonly fields: Readonly<Record<string, Value>>
  /** of a frame, null otherwise; valid during the call only */
  readonly bytes: Uint8Array | null
}

/** Receives everything that happens. Each argument is valid during the call only. Times are nanoseconds since boot. */
export interface Sink {
  enter(call: Call, a?: unknown, b?: unknown, c?: unknown, d?: unknown, e?: unknown, f?: unknown): void
  exit(call: Call, ret: unknown): void
  /** bytes were copied: from user memory to a page, from a page to user memory, inside the kernel */
  copy?(bytes: number, from: string, to: string): void
  /** the kernel chose: where, what, and the numbers it chose by */
  decision?(where: string, what: string, numbers: Readonly<Record<string, Value>>): void
  drop?(skb: TracedSkb, reason: string, where: string): void
  tracepoint?(system: string, name: string, fields: Readonly<Record<string, unknown>>): void
  /** an indirect call: the pointer's name and the function that it holds */
  indirect?(pointer: string, target: string): void
  /** the processor now runs something else */
  context?(now: Execution, before: Execution): void
  /** a frame went out on a device, or came in */
  frame?(device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb): void
  /** a buffer was freed for good */
  free?(skb: TracedSkb): void
  /**
   * Numbers of a socket, a queue or a device, as they are now: `tcp#4 127.0.0.1:40000 > 127.0.0.1:8080`, { snd_cwnd: 10, … }. Said at
   * places where they may have changed, also when they have not.
   */
  counters?(of: string, netns: string, values: Readonly<Record<string, number>>): void
  /** a card's rings, registers and frames */
  card?(event: CardEvent): void
}

const nobody: Execution = { kind: 'idle', comm: 'swapper/0', pid: 0, netns: '' }

/**
 * The state of the tracer. One object with a fixed shape: `kfunc` reads it on every call.
 */
export const tracer = {
  /** somebody listens */
  on: false,
  sink: null as Sink | null,
  context: new Context(null, []),
  execution: nobody as Execution,
}

const boot = tracer.context

/** Starts sending events to `sink`; null stops. */
export function listen(sink: Sink | null): void {
  tracer.sink = sink
  tracer.on = sink !== null
}

/** Forgets what a run that was cut off left behind. */
export function resetTracer(): void {
  tracer.context = boot
  tracer.execution = nobody
}

/** A first frame: an interrupt or a system call does not continue what ran before. */
export function runAs<T>(execution: Execution, body: () => T): T {
  const { context, execution: before } = tracer
  tracer.context = boot
  switchTo(execution)
  const result = body()
  tracer.context = context
  switchTo(before)
  return result
}

function switchTo(now: Execution): void {
  const before = tracer.execution
  tracer.execution = now
  if (tracer.on && now !== before) tracer.sink?.context?.(now, before)
}

/**
 * The processor goes on with something else in the middle of what it does: with a softirq on top of a task, with the work of another
 * namespace. @returns what endWork() goes back to
 */
export function beginWork(kind: Execution['kind'], netns: string): Execution {
  const before = tracer.execution
  if (before.kind !== kind || before.netns !== netns) switchTo({ kind, comm: before.comm, pid: before.pid, netns })
  return before
}

/** nobody runs: the task that did sleeps. @returns what endWork() goes back to */
export function beginIdle(): Execution {
  const before = tracer.execution
  switchTo(nobody)
  return before
}

/** what was interrupted goes on: it is what `beginWork` has returned */
export function endWork(before: Execution): void {
  if (tracer.execution !== before) switchTo(before)
}

/** the namespace of what a timer or the like was made for, '' where that does not say */
export const netnsOf = (owner: unknown): string =>
  typeof owner === 'object' && owner !== null && 'netnsName' in owner && typeof owner.netnsName === 'string'
    ? owner.netnsName
    : ''

/** nanoseconds since boot, with fractions */
export const traceTime = (): number => clock.now / clock.perNs

/** own instructions of a function that was never measured */
const UNMEASURED = 20

/** A call as the build's tables have it. Where it stands is looked up when somebody asks. */
class Resolved implements Call {
  readonly fn: Kfn
  readonly kind: CallKind
  readonly visible: boolean
  readonly known: boolean
  readonly context: Context
  readonly before: number
  readonly after: number
  readonly from: Context

  constructor(from: Context, fn: Kfn) {
    const edges = from.real === null ? '' : findEdges(from.real.symbol.calls, from.path, fn.name)
    const { symbol } = fn
    const inlined = edges === '' ? symbol.kind === 'inline-only' : !anyCalled(edges) || (fn.inlinedWhereBoth && anyInlined(edges))
    this.fn = fn
    this.kind = inlined ? 'inlined' : symbol.ftrace ? 'call' : 'notrace'
    this.visible = this.kind === 'call'
    this.known = edges !== ''
    this.context = inlined ? new Context(from.real, [...from.path, fn.name], fn) : fn.root
    const own = inlined ? 0 : symbol.cost || UNMEASURED
    this.before = own >> 1
    this.after = own - this.before
    this.from = from
  }

  #edges(): Edge[] {
    const { real, path } = this.from
    return real === null ? [] : parseEdges(findEdges(real.symbol.calls, path, this.fn.name))
  }

  get line(): number {
    for (const e of this.#edges()) {
      const [line] = this.kind === 'inlined' ? e.inlined : e.called
      if (line !== undefined) return line
    }
    return 0
  }

  get tail(): boolean {
    return this.kind !== 'inlined' && this.#edges().some((e) => e.tail)
  }
}

/** whether one of these rows (`path|lines, inlined|lines, called|tail;`) is a real call */
function anyCalled(edges: string): boolean {
  for (let at = 0; at < edges.length; at = edges.indexOf(';', at) + 1) {
    at = edges.indexOf('|', edges.indexOf('|', at) + 1)
    if (edges[at + 1] !== '|') return true
  }
  return false
}

/** whether one of these rows was inlined somewhere */
const anyInlined = (edges: string): boolean => parseEdges(edges).some((e) => e.inlined.length > 0)

/** Finds out, once, what the call of `fn` from `from` is in that build of the kernel. */
export const resolveCall = (from: Context, fn: Kfn): Call => new Resolved(from, fn)

/** where a first frame is called from: an interrupt, a system call */
export const outside = boot

/**
 * The row for `path > callee` among the calls of a function, '' when there is none. Where the build has no such path (an inlined function
 * between the two that skbtrace does not name apart, or a compiler that moved a block), the row that shares the longest tail of the
 * path is taken, then all rows of the callee.
 */
function findEdges(calls: string, path: readonly string[], callee: string): string {
  for (let skip = 0; skip <= path.length; skip++) {
    let key = ';'
    for (let i = skip; i < path.length; i++) key += `${path[i]}>`
    const at = calls.indexOf(`${key}${callee}|`)
    if (at >= 0) return calls.slice(at + 1, calls.indexOf(';', at + 1) + 1)
  }
  let all = ''
  const end = `>${callee}|`
  for (let at = calls.indexOf(end); at >= 0; at = calls.indexOf(end, at + 1))
    all += calls.slice(at + 1, calls.indexOf(';', at) + 1)
  return all
}

/** Says that bytes were copied, and takes the time that it takes: about an instruction for each 16 bytes. */
export function traceCopy(bytes: number, from: string, to: string): void {
  clock.now += bytes >> 4
  if (tracer.on) tracer.sink?.copy?.(bytes, from, to)
}

/** Says what the kernel chose and by which numbers. Guard a call whose numbers cost something with `tracer.on`. */
export function decide(where: string, what: string, numbers: Readonly<Record<string, Value>>): void {
  if (tracer.on) tracer.sink?.decision?.(where, what, numbers)
}

/** a buffer is thrown away; `where`: by which function */
export function traceDrop(skb: TracedSkb, reason: string, where: string): void {
  if (tracer.on) tracer.sink?.drop?.(skb, reason, where)
}

/** a tracepoint fires, with the kernel's fields */
export function tracepoint(system: string, name: string, fields: Readonly<Record<string, unknown>>): void {
  if (tracer.on) tracer.sink?.tracepoint?.(system, name, fields)
}

/** Says which function a pointer holds, just before it is called. */
export function traceIndirect(pointer: string, target: string): void {
  if (tracer.on) tracer.sink?.indirect?.(pointer, target)
}

/** a device sends or receives a frame */
export function traceFrame(device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb): void {
  if (tracer.on) tracer.sink?.frame?.(device, netns, direction, skb)
}

/** What has numbers that one may want to see as curves over time. */
interface Counted {
  describe(): string
  /** the name of its network namespace, '' for the host's own */
  readonly netnsName: string
  counters(): Readonly<Record<string, number>>
}

/** Says what the numbers of a socket or queue are now. Costs nothing when nobody draws curves. */
export function traceCounters(of: Counted): void {
  if (tracer.on && tracer.sink?.counters !== undefined) tracer.sink.counters(of.describe(), of.netnsName, of.counters())
}

/** For cards: guard it with `tracer.on`, its argument costs something. */
export function traceCard(event: CardEvent): void {
  if (tracer.on) tracer.sink?.card?.(event)
}

/** a buffer is given back */
export function traceFree(skb: TracedSkb): void {
  if (tracer.on) tracer.sink?.free?.(skb)
}
