import type { Call, CardEvent, TracedSkb, Value } from '../trace/tracer.ts'
import { frameBytes, isSkb } from './format.ts'
import { type Frame, FrameFormat, nowNs, type Track } from './frames.ts'
import type { Output } from './output.ts'
import type { FormatOptions } from './registry.ts'
import { KINDS } from './shown_calls.ts'
import { argument, showReturn } from './values.ts'

/** microseconds, as the format counts, of nanoseconds */
const us = (ns: number): string => `${Math.floor(ns / 1000)}${THOUSANDTHS[ns % 1000]}`
const THOUSANDTHS = Array.from({ length: 1000 }, (_, i) => `.${String(i).padStart(3, '0')}`)

/** ids of threads that are no task are above each pid's: no two are the same, of whatever process */
const NO_TASK = 5_000_000
const ORDER = { task: 0, softirq: 1, hardirq: 2, idle: 3 }

/** frames on the way whose arrival is waited for, at most */
const ON_THE_WAY = 1024
/** what no congestion window is: ssthresh before the first loss */
const INFINITE = 0x7fffffff

interface Text {
  readonly head: string
  readonly args: string
}

/** A thread of the file: a track. */
interface Thread {
  readonly pid: number
  readonly tid: number
  /** both, as each event has them */
  readonly ids: string
  /** slices that are open there, and the number of the outermost one */
  depth: number
  root: number
}

/** where a buffer was last seen: a place inside a slice */
interface Place {
  pid: number
  tid: number
  ns: number
  /** the number of the outermost slice of its track */
  root: number
}

/**
 * Trace events in JSON, which ui.perfetto.dev and chrome://tracing open:
 * https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU. A network namespace is a process; its tasks,
 * softirqs and interrupts are threads; a call is a slice. Arrows follow a buffer where it is cloned, goes to another thread, or over a
 * cable. Counters are those of sockets and queues. Times are nanoseconds since boot, written as microseconds.
 */
export class Perfetto extends FrameFormat {
  #first = true
  readonly #pids = new Map<string, number>()
  readonly #named = new Set<string>()
  readonly #last = new Map<number, Place>()
  /** frames on a cable by what is in them: where they come from */
  readonly #onCable = new Map<string, Place[]>()
  #cables = 0
  /** where each device was last handed a frame */
  readonly #out = new Map<string, Place>()
  #arrows = 0
  #roots = 0
  readonly #threads = new Map<Track, Thread>()
  #track: Track | null = null
  #now: Thread | null = null
  readonly #texts: (Text | undefined)[] = []
  /** of counters, what was said last */
  readonly #values = new Map<string, Map<string, number>>()
  #call: Thread | null = null

  constructor(out: Output, options: FormatOptions) {
    super(out, options.graph, true)
    const about = { command: options.command, version: options.version, kernel: `Linux ${options.kernel}`, seed: options.seed }
    out.write(`{"displayTimeUnit":"ns","otherData":${JSON.stringify(about)},"traceEvents":[`)
  }

  #event(text: string): void {
    this.out.write(this.#first ? `\n{${text}}` : `,\n{${text}}`)
    this.#first = false
  }

  #pid(netns: string): number {
    let pid = this.#pids.get(netns)
    if (pid === undefined) {
      pid = this.#pids.size + 1
      this.#pids.set(netns, pid)
      const name = netns === '' ? 'host' : `netns ${netns}`
      this.#event(`"ph":"M","name":"process_name","pid":${pid},"tid":0,"args":{"name":${JSON.stringify(name)}}`)
      this.#event(`"ph":"M","name":"process_sort_index","pid":${pid},"tid":0,"args":{"sort_index":${pid}}`)
    }
    return pid
  }

  #thread(track: Track): Thread {
    if (track === this.#track && this.#now !== null) return this.#now
    let t = this.#threads.get(track)
    if (t === undefined) {
      const pid = this.#pid(track.netns)
      const tid = track.kind === 'task' ? track.pid : NO_TASK + 10 * pid + ORDER[track.kind]
      t = { pid, tid, ids: `"pid":${pid},"tid":${tid}`, depth: 0, root: 0 }
      this.#threads.set(track, t)
    }
    this.#track = track
    this.#now = t
    return t
  }

  #place(track: Track, ns: number, root: number): Place {
    const { pid, tid } = this.#thread(track)
    return { pid, tid, ns, root }
  }

  protected override newTrack(track: Track): void {
    const { ids } = this.#thread(track)
    if (this.#named.has(ids)) return
    this.#named.add(ids)
    this.#event(`"ph":"M","name":"thread_name",${ids},"args":{"name":${JSON.stringify(track.name)}}`)
    this.#event(`"ph":"M","name":"thread_sort_index",${ids},"args":{"sort_index":${ORDER[track.kind]}}`)
  }

  /** the part of a slice that is the same each time, and where its arguments begin */
  #text({ fn, kind }: Call): Text {
    const i = 3 * fn.id + KINDS[kind]
    let t = this.#texts[i]
    if (t === undefined) {
      while (this.#texts.length <= i) this.#texts.push(undefined)
      const { file, line } = fn.symbol
      const cat = file === '' ? 'kernel' : file.replace(/\/[^/]*$/, '')
      const args = [...(file === '' ? [] : [`"src":"${file}:${line}"`]), ...(kind === 'call' ? [] : [`"kind":"${kind}"`])].join(
        ',',
      )
      t = { head: `"ph":"B","name":"${fn.name}","cat":"${cat}",`, args }
      this.#texts[i] = t
    }
    return t
  }

  protected override frameOpened(frame: Frame, depth: number): void {
    const { call, track, start, skb } = frame
    const thread = this.#thread(track)
    if (thread.depth++ === 0) thread.root = ++this.#roots
    const { head, args } = this.#text(call)
    const more = skb === 0 ? '' : `${args === '' ? '' : ','}"skb":${skb},"len":${frame.len}`
    this.#event(`${head}${thread.ids},"ts":${us(start)}${args === '' && more === '' ? '' : `,"args":{${args}${more}}`}`)
    if (skb !== 0) this.#follow(frame, depth, this.#place(track, start, thread.root))
  }

  protected override frameClosed(frame: Frame, _depth: number, ret: unknown): void {
    const thread = this.#thread(frame.track)
    thread.depth--
    const r = returned(frame.call, ret)
    this.#event(`"ph":"E",${thread.ids},"ts":${us(nowNs())}${r === '' ? '' : `,"args":{"ret":${JSON.stringify(r)}}`}`)
  }

  /** the traced call, around what it does: on the thread of who makes it */
  protected override called(title: string, shown: boolean): void {
    if (!shown) return
    this.#call = this.#thread(this.track)
    this.#event(`"ph":"B","name":${JSON.stringify(title)},"cat":"syscall",${this.#call.ids},"ts":${us(nowNs())}`)
  }

  /** draws an arrow to here from where the buffer was before, unless that is the same piece of work */
  #follow(frame: Frame, depth: number, here: Place): void {
    const id = frame.skb
    const before = this.#last.get(id)
    if (before === undefined && frame.cloneOf !== 0) {
      const original = this.#last.get(frame.cloneOf)
      if (original !== undefined) this.#arrow('clone', original, here)
    } else if (before !== undefined && before.root !== here.root && !this.#around(frame, depth)) this.#arrow('skb', before, here)
    this.#last.set(id, here)
  }

  /** whether a frame around this one, on the same track, has the same buffer */
  #around(frame: Frame, depth: number): boolean {
    for (let i = depth - 1; i >= 0; i--) {
      const f = this.frames[i]
      if (f !== undefined && f.track === frame.track && f.skb === frame.skb) return true
    }
    return false
  }

  #arrow(name: string, from: Place, to: Place): void {
    const id = ++this.#arrows
    const ends = `"name":"${name}","cat":"skb","id":${id}`
    this.#event(`"ph":"s",${ends},"pid":${from.pid},"tid":${from.tid},"ts":${us(from.ns)}`)
    this.#event(`"ph":"f","bp":"e",${ends},"pid":${to.pid},"tid":${to.tid},"ts":${us(to.ns)}`)
  }

  /** a point on the thread that runs */
  #instant(name: string, cat: string, args: string): void {
    const { ids } = this.#thread(this.track)
    this.#event(`"ph":"i","s":"t","name":${JSON.stringify(name)},"cat":"${cat}",${ids},"ts":${us(nowNs())},"args":${args}`)
  }

  override decision(where: string, what: string, numbers: Readonly<Record<string, Value>>): void {
    if (!this.said) return
    this.#instant(what, 'decision', JSON.stringify({ fn: where, ...numbers }))
  }

  override copy(bytes: number, from: string, to: string): void {
    super.copy(bytes, from, to)
    if (this.said) this.#instant(`copy ${bytes} bytes`, 'copy', JSON.stringify({ bytes, from, to }))
  }

  drop(skb: TracedSkb, reason: string, where: string): void {
    if (this.said) this.#instant(`drop ${reason}`, 'drop', JSON.stringify({ skb: skb.id, len: skb.len, fn: where }))
  }

  frame(device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb): void {
    if (!this.said) return
    this.#instant(`${device} ${direction} ${skb.len} bytes`, 'frame', JSON.stringify({ device, netns, direction, skb: skb.id }))
    if (direction === 'out') this.#out.set(`${netns} ${device}`, this.#place(this.track, nowNs(), 0))
  }

  card(e: CardEvent): void {
    if (!this.said || e.what !== 'wire' || e.bytes === null) return
    // a card that sends later than it was told to: the arrow begins where it was told
    const told = this.track.kind === 'idle' ? this.#out.get(`${e.netns} ${e.device}`) : undefined
    const place = told ?? this.#place(this.track, nowNs(), 0)
    const key = fingerprint(e.bytes)
    const list = this.#onCable.get(key)
    if (list === undefined) this.#onCable.set(key, [place])
    else list.push(place)
    if (++this.#cables <= ON_THE_WAY) return
    for (const [oldest, places] of this.#onCable) {
      this.#cables -= places.length
      this.#onCable.delete(oldest)
      break
    }
  }

  protected override pushed(
    depth: number,
    call: Call,
    a: unknown,
    b: unknown,
    c: unknown,
    d: unknown,
    e: unknown,
    f: unknown,
  ): void {
    super.pushed(depth, call, a, b, c, d, e, f)
    if (this.#cables === 0) return
    const id = this.frames[depth]?.skb ?? 0
    if (id === 0 || this.#last.has(id)) return
    // a buffer that was never seen: with the bytes of a frame on a cable, that is where it comes from
    const skb = argument(call.fn.skbArg, a, b, c, d, e, f)
    if (!isSkb(skb) || skb.clone_of !== 0) return
    const key = fingerprint(frameBytes(skb))
    const list = this.#onCable.get(key)
    const from = list?.shift()
    if (list === undefined || from === undefined) return
    this.#cables--
    if (list.length === 0) this.#onCable.delete(key)
    this.#last.set(id, from)
  }

  counters(of: string, netns: string, values: Readonly<Record<string, number>>): void {
    if (!this.said) return
    const key = `${netns} ${of}`
    let before = this.#values.get(key)
    if (before === undefined) {
      before = new Map()
      this.#values.set(key, before)
    }
    for (const name in values) {
      const v = values[name] as number
      if (v === before.get(name) || v === INFINITE) continue
      before.set(name, v)
      this.#event(
        `"ph":"C","name":${JSON.stringify(`${of} ${name}`)},"pid":${this.#pid(netns)},"tid":0,"ts":${us(nowNs())},"args":{"value":${v}}`,
      )
    }
  }

  override free(skb: TracedSkb): void {
    super.free(skb)
    this.#last.delete(skb.id)
  }

  override end(result: string): void {
    super.end(result)
    if (this.#call === null) return
    this.#event(`"ph":"E",${this.#call.ids},"ts":${us(nowNs())},"args":{"result":${JSON.stringify(result)}}`)
    this.#call = null
  }

  override close(): void {
    this.out.write('\n]}\n')
  }
}

/** a result in words: of pointers to anything but a buffer there is nothing to say, unless they are null */
function returned(call: Call, ret: unknown): string {
  if (isSkb(ret)) return `skb ${ret.id}`
  if ((typeof ret === 'object' && ret !== null) || typeof ret === 'function') return ''
  return showReturn(call.fn, ret, false).slice(4)
}

/** frames with the same bytes have the same */
function fingerprint(b: Uint8Array): string {
  let h = 0x811c9dc5
  for (let i = 0; i < b.length; i++) h = Math.imul(h ^ (b[i] as number), 0x01000193)
  return `${b.length} ${h >>> 0}`
}
