import { type Call, type Execution, tracer, type Value } from '../trace/tracer.ts'
import { type Frame, FrameFormat, nowNs } from './frames.ts'
import type { Output } from './output.ts'
import type { FormatOptions } from './registry.ts'
import { funcgraphEntry, funcgraphExit, print, tracepoints } from './trace_dat/events.ts'
import { headBytes } from './trace_dat/head.ts'
import { COMMON, type EventLayout } from './trace_dat/layout.ts'
import { encode } from './trace_dat/record.ts'
import { PAGE, RingPages } from './trace_dat/ring.ts'
import { HIGH, Symbols } from './trace_dat/symbols.ts'
import { showFields } from './values.ts'

/** pages that are kept until the end, when the head is known; of a longer trace room is left for the head */
const KEPT = 8 << 20
const ROOM = 256 * PAGE
/** tracepoints that wait for a line to be decided at most */
const WAITING = 4096

// enum trace_flag_type
const IRQS_OFF = 0x01
const HARDIRQ = 0x08
const SOFTIRQ = 0x10

const flagsOf = (e: Execution): number => (e.kind === 'softirq' ? SOFTIRQ : e.kind === 'hardirq' ? HARDIRQ | IRQS_OFF : 0)

/** a record that stands between frames and is not written yet */
interface Point {
  id: number
  ns: number
  flags: number
  pid: number
  payload: Uint8Array
}

const byName = new Map(tracepoints.map((e) => [`${e.system}:${e.name}`, e]))
const utf8 = new TextEncoder()

/**
 * A trace.dat of version 6, which trace-cmd and KernelShark open: https://man7.org/linux/man-pages/man5/trace-cmd.dat.v6.5.html. The calls
 * are those of `function_graph --view ftrace` with the same options, as funcgraph_entry and funcgraph_exit; between them the
 * tracepoints, and as what was written into trace_marker the traced call, its result, and with `--why` what the kernel decided.
 */
export class TraceDat extends FrameFormat {
  readonly #why: boolean
  readonly #kernel: string
  readonly #symbols = new Symbols()
  readonly #ring: RingPages
  readonly #comms = new Map<number, string>()
  #kept: Uint8Array[] | null = []
  #size = 0
  #execution: Execution | null = null
  #flags = 0
  #pid = 0
  // of frames, by depth
  readonly #pids: number[] = []
  readonly #frameFlags: number[] = []
  /** how many points had come before it */
  readonly #before: number[] = []
  readonly #addresses: (number | undefined)[] = []
  #points: Point[] = []
  /** what was written when a call began and nobody ran yet, and whose call it was */
  #title: Point | null = null
  #caller = -1
  /** points that have been written */
  #written = 0

  constructor(out: Output, options: FormatOptions) {
    super(out, { ...options.graph, view: 'ftrace' }, false)
    this.#why = options.graph.why
    this.#kernel = options.kernel
    this.#ring = new RingPages((pages) => this.#store(pages))
  }

  #store(pages: Uint8Array): void {
    this.#size += pages.length
    if (this.#kept === null) {
      this.out.writeBytes(pages)
      return
    }
    this.#kept.push(pages.slice())
    if (this.#size <= KEPT) return
    this.out.writeBytes(new Uint8Array(ROOM))
    for (const p of this.#kept) this.out.writeBytes(p)
    this.#kept = null
  }

  /** who runs: what each record begins with */
  #now(): void {
    const e = tracer.execution
    if (e === this.#execution) return
    this.#execution = e
    this.#flags = flagsOf(e)
    this.#pid = e.pid
    this.#comms.set(e.pid, e.comm)
  }

  protected override called(): void {
    this.#now()
    this.#caller = this.#pid
    // nobody ran yet when it was written what the call is
    if (this.#title !== null) this.#title.pid = this.#pid
    this.#title = null
  }

  protected override pushed(depth: number, call: Call): void {
    super.pushed(depth, call, null, null, null, null, null, null)
    this.#now()
    this.#pids[depth] = this.#pid
    this.#frameFlags[depth] = this.#flags
    this.#before[depth] = this.#written + this.#points.length
  }

  #address(frame: Frame): number {
    const { id, name } = frame.call.fn
    let a = this.#addresses[id]
    if (a === undefined) {
      while (this.#addresses.length < id) this.#addresses.push(undefined)
      a = this.#symbols.lookup(name)
      this.#addresses[id] = a
    }
    return a
  }

  protected override frameOpened(frame: Frame, depth: number): void {
    this.#flush((this.#before[depth] as number) - this.#written)
    const at = this.#ring.reserve(5, frame.start)
    const w = this.#ring.words
    w[at] = funcgraphEntry.id | ((this.#frameFlags[depth] as number) << 16)
    w[at + 1] = this.#pids[depth] as number
    w[at + 2] = this.#address(frame)
    w[at + 3] = HIGH
    w[at + 4] = depth
  }

  protected override frameClosed(frame: Frame, depth: number): void {
    this.#flush(this.#points.length)
    const ns = nowNs()
    const { start } = frame
    const at = this.#ring.reserve(10, ns)
    const w = this.#ring.words
    w[at] = funcgraphExit.id | ((this.#frameFlags[depth] as number) << 16)
    w[at + 1] = this.#pids[depth] as number
    w[at + 2] = this.#address(frame)
    w[at + 3] = HIGH
    w[at + 4] = depth
    w[at + 5] = 0
    w[at + 6] = start % 2 ** 32
    w[at + 7] = Math.floor(start / 2 ** 32)
    w[at + 8] = ns % 2 ** 32
    w[at + 9] = Math.floor(ns / 2 ** 32)
  }

  override tracepoint(system: string, name: string, fields: Readonly<Record<string, unknown>>): void {
    if (!this.said) return
    const e = byName.get(`${system}:${name}`)
    if (e !== undefined) this.#point(e, encode(e, fields, this.#symbols))
  }

  override decision(where: string, what: string, numbers: Readonly<Record<string, Value>>): void {
    if (!this.#why || !this.said) return
    const n = showFields(numbers)
    this.#mark(where, `${what}${n === '' ? '' : ` (${n})`}`)
  }

  #point(e: EventLayout, payload: Uint8Array): void {
    this.#now()
    this.#points.push({ id: e.id, ns: nowNs(), flags: this.#flags, pid: this.#pid, payload: payload.slice() })
    if (this.#points.length > WAITING) this.#flush(this.#points.length)
  }

  /** what the kernel prints for a text that was written into trace_marker by `where` */
  #mark(where: string, text: string): void {
    const t = utf8.encode(`${text}\n`).subarray(0, 1000)
    const payload = new Uint8Array((8 + t.length + 1 + 3) & ~3)
    const v = new DataView(payload.buffer)
    v.setUint32(0, this.#symbols.lookup(where), true)
    v.setUint32(4, HIGH, true)
    payload.set(t, 8)
    this.#point(print, payload)
  }

  /** writes the first so many points that wait */
  #flush(count: number): void {
    if (count <= 0) return
    for (const p of this.#points.splice(0, count)) {
      const at = this.#ring.reserve((COMMON + p.payload.length) >> 2, p.ns)
      this.#ring.words[at] = p.id | (p.flags << 16)
      this.#ring.words[at + 1] = p.pid
      this.#ring.bytes.set(p.payload, 4 * at + COMMON)
    }
    this.#written += count
  }

  override begin(title: string, root: string | null): void {
    this.#mark('tracing_mark_write', title)
    this.#caller = tracer.execution.pid
    this.#title = this.#points.at(-1) ?? null
    super.begin(title, root)
  }

  override end(result: string): void {
    super.end(result)
    this.#mark('tracing_mark_write', `= ${result}`)
    const last = this.#points.at(-1)
    if (last !== undefined) last.pid = this.#caller
    this.#title = null
    this.#flush(this.#points.length)
  }

  override close(): void {
    this.#flush(this.#points.length)
    this.#ring.finish()
    const head = headBytes({
      ftrace: [funcgraphEntry, funcgraphExit, print],
      tracepoints,
      kallsyms: this.#symbols.kallsyms(),
      cmdlines: [...this.#comms]
        .sort((a, b) => a[0] - b[0])
        .map(([pid, comm]) => `${pid} ${comm}\n`)
        .join(''),
      uname: `Linux skbtrace ${this.#kernel} #1 SMP PREEMPT_DYNAMIC x86_64`,
      clock: 'local global counter uptime perf [mono] mono_raw boot x86-tsc\n',
      cpustat: `CPU: 0\nentries: 0\noverrun: 0\ncommit overrun: 0\nbytes: ${this.#size}\ndropped events: 0\nread events: ${this.#ring.entries}\n`,
      offset: this.#kept === null ? ROOM : 0,
      size: this.#size,
    })
    if (this.#kept === null) {
      if (head.length > ROOM) throw new Error(`the head of a trace.dat has ${head.length} bytes, more than there is room for`)
      this.out.patch(0, head)
      return
    }
    this.out.writeBytes(head)
    for (const p of this.#kept) this.out.writeBytes(p)
    this.#kept = []
  }
}
