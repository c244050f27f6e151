import { clock } from '../sim/clock.ts'
import { type Edge, edgesOf, type Symbol } from './facts.ts'

/** A declared kernel function. */
export interface Kfn {
  readonly id: number
  readonly name: string
  readonly symbol: Symbol
  /** where its own calls are looked up, when it is really called */
  readonly root: Context
  /** which argument is the sk_buff (`struct sk_buff *`), -1 for none */
  readonly skbArg: number
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
  readonly context: Context
  /** own instructions, charged before and after what it calls */
  readonly before: number
  readonly after: number
}

/** Where a call is made from: a function of the image and the inlined functions on the way. */
export class Context {
  readonly calls = new Map<Kfn, Call>()
  readonly real: Kfn | null
  readonly path: readonly string[]

  constructor(real: Kfn | null, path: readonly string[]) {
    this.real = real
    this.path = path
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
  readonly devName: string
  readonly gso_size: number
  readonly gso_segs: number
  readonly nr_frags: number
  /** the bytes of page fragment `i` */
  frag(i: number): Uint8Array
}

export type Value = string | number | boolean | null

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
  /** a frame was put on a device's wire */
  frame?(device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb): void
  /** a buffer was freed for good */
  free?(skb: TracedSkb): void
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

/** nanoseconds since boot, with fractions */
export const traceTime = (): number => clock.now / clock.perNs

/** own instructions of a function that was never measured */
const UNMEASURED = 20

/** Finds out, once, what the call of `fn` from `from` is in that build of the kernel. */
export function resolveCall(from: Context, fn: Kfn): Call {
  const edge = from.real === null ? undefined : findEdge(from.real.name, from.path, fn.name)
  const { symbol } = fn
  const inlined = edge === undefined ? symbol.kind === 'inline-only' : edge.called.length === 0 && edge.inlined.length > 0
  const kind: CallKind = inlined ? 'inlined' : symbol.ftrace ? 'call' : 'notrace'
  const own = inlined ? 0 : symbol.cost || UNMEASURED
  const before = own >> 1
  return {
    fn,
    kind,
    visible: kind === 'call',
    line: (inlined ? edge?.inlined[0] : edge?.called[0]) ?? 0,
    tail: !inlined && (edge?.tail ?? false),
    known: edge !== undefined,
    context: inlined ? new Context(from.real, [...from.path, fn.name]) : fn.root,
    before,
    after: own - before,
  }
}

/**
 * The row of the tables for `path > callee` in `caller`. Where the build has no such path (an inlined function between the two
 * that skbtrace does not name apart, or a compiler that moved a block), the row that shares the longest tail of the path is taken,
 * then any row of the callee.
 */
function findEdge(caller: string, path: readonly string[], callee: string): Edge | undefined {
  const rows = edgesOf(caller)
  for (let skip = 0; skip <= path.length; skip++) {
    const hit = rows.get([...path.slice(skip), callee].join('>'))
    if (hit !== undefined) return hit
  }
  let inlined: number[] = []
  let called: number[] = []
  let tail = false
  for (const [key, e] of rows) {
    if (key !== callee && !key.endsWith(`>${callee}`)) continue
    inlined = inlined.concat(e.inlined)
    called = called.concat(e.called)
    tail ||= e.tail
  }
  return inlined.length + called.length > 0 ? { inlined, called, tail } : undefined
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

export function traceDrop(skb: TracedSkb, reason: string, where: string): void {
  if (tracer.on) tracer.sink?.drop?.(skb, reason, where)
}

export function tracepoint(system: string, name: string, fields: Readonly<Record<string, unknown>>): void {
  if (tracer.on) tracer.sink?.tracepoint?.(system, name, fields)
}

/** Says which function a pointer holds, just before it is called. */
export function traceIndirect(pointer: string, target: string): void {
  if (tracer.on) tracer.sink?.indirect?.(pointer, target)
}

export function traceFrame(device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb): void {
  if (tracer.on) tracer.sink?.frame?.(device, netns, direction, skb)
}

export function traceFree(skb: TracedSkb): void {
  if (tracer.on) tracer.sink?.free?.(skb)
}
