import { type Call, type Execution, tracer, traceTime, type Value } from '../trace/tracer.ts'
import { ALL } from './contexts.ts'
import { type Format, isSkb } from './format.ts'
import type { GraphOptions } from './graph_options.ts'
import type { Output } from './output.ts'
import { ShownCalls } from './shown_calls.ts'
import { argument } from './values.ts'

/** Where functions run one inside the other: a task, or the softirqs or interrupts of a network namespace. */
export interface Track {
  /** '' is the host's own */
  readonly netns: string
  readonly kind: Execution['kind']
  /** of a task, 0 otherwise */
  readonly pid: number
  /** `client-1234`, `softirq` */
  readonly name: string
  /** what was done there so far, for forms that weigh calls */
  weight: number
}

/** A call that is shown, or may be. One object stands for all calls of its depth, one after the other. */
export interface Frame {
  call: Call
  track: Track
  /** nanoseconds since boot */
  start: number
  /** id of the buffer among its arguments, 0 for none; its length at the entry, and the buffer that it is a clone of */
  skb: number
  len: number
  cloneOf: number
}

/** nanoseconds since boot, whole: what function_graph counts in */
export const nowNs = (): number => Math.floor(traceTime())

/** everything that happens during a traced call, wherever */
const everywhere = (o: GraphOptions): GraphOptions => ({
  ...o,
  contexts: o.contexts ?? ALL,
  netns: o.netns ?? 'all',
})

/**
 * What forms have in common that show calls in another way than as lines: the calls that `function_graph` would show with these options,
 * one inside the other, each with the track of whoever runs it. A subclass gets `opened` and `closed`.
 */
export abstract class FrameFormat extends ShownCalls implements Format {
  protected readonly out: Output
  /** frames by depth; those above the current one are left over */
  protected readonly frames: Frame[] = []
  readonly #tracks = new Map<string, Track>()
  #execution: Execution | null = null
  #track: Track | null = null
  /** what happens after a call is shown too, as --netns wants it */
  readonly #goesOn: boolean
  #title = ''

  /** `all`: it has a place for each task and namespace, and shows them all unless the user wants less */
  constructor(out: Output, options: GraphOptions, all: boolean) {
    super(all ? everywhere(options) : options, false, false)
    this.out = out
    this.#goesOn = options.netns !== null
  }

  /** a call is shown; everything around it was said before */
  protected abstract frameOpened(frame: Frame, depth: number): void
  /** and is over */
  protected abstract frameClosed(frame: Frame, depth: number, ret: unknown): void
  /** a traced call begins to run: who makes it runs now. `shown`: what that one does is shown */
  protected abstract called(title: string, shown: boolean): void
  /** nothing more comes */
  abstract close(): void
  /** there is a track that was not there before */
  protected newTrack(_track: Track): void {}

  /** who runs now */
  protected get track(): Track {
    const e = tracer.execution
    if (e !== this.#execution || this.#track === null) {
      this.#execution = e
      this.#track = this.#find(e)
    }
    return this.#track
  }

  #find(e: Execution): Track {
    const pid = e.kind === 'task' ? e.pid : 0
    const key = `${e.kind} ${pid} ${e.netns}`
    let track = this.#tracks.get(key)
    if (track === undefined) {
      track = { netns: e.netns, kind: e.kind, pid, name: e.kind === 'task' ? `${e.comm}-${pid}` : e.kind, weight: 0 }
      this.#tracks.set(key, track)
      this.newTrack(track)
    }
    return track
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
    let frame = this.frames[depth]
    const start = this.starts[depth] as number
    if (frame === undefined) {
      frame = { call, track: this.track, start, skb: 0, len: 0, cloneOf: 0 }
      this.frames[depth] = frame
    } else {
      frame.call = call
      frame.track = this.track
      frame.start = start
      frame.skb = 0
    }
    if (call.fn.skbArg < 0) return
    const skb = argument(call.fn.skbArg, a, b, c, d, e, f)
    if (!isSkb(skb)) return
    frame.skb = skb.id
    frame.len = skb.len
    frame.cloneOf = skb.clone_of
  }

  protected override openTo(depth: number): void {
    for (let i = this.open; i < depth; i++) this.frameOpened(this.frames[i] as Frame, i)
    this.open = depth
  }

  protected override leaf(depth: number, ret: unknown): void {
    const frame = this.frames[depth] as Frame
    this.frameOpened(frame, depth)
    this.frameClosed(frame, depth, ret)
  }

  protected override closed(depth: number, ret: unknown): void {
    this.frameClosed(this.frames[depth] as Frame, depth, ret)
  }

  protected override note(): void {}
  protected override sees(): void {}

  begin(title: string, root: string | null): void {
    this.start(root)
    this.#title = root === null ? title.replace(/^> /, '') : ''
    if (tracer.execution.kind === 'task') this.#call()
  }

  override context(now: Execution, before: Execution): void {
    super.context(now, before)
    // the process that makes the call has only come to run now
    if (now.kind === 'task') this.#call()
  }

  #call(): void {
    if (this.#title !== '') this.called(this.#title, !this.muted)
    this.#title = ''
  }

  end(_result: string): void {
    this.stop()
    this.#title = ''
    if (!this.#goesOn) this.recording = false
  }
  indirect(pointer: string, target: string): void {
    this.pointer = pointer
    this.via = target
  }
  tracepoint?(system: string, name: string, fields: Readonly<Record<string, unknown>>): void
  decision?(where: string, what: string, numbers: Readonly<Record<string, Value>>): void
}
