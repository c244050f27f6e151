import type { Call } from '../trace/tracer.ts'
import { type Frame, FrameFormat, type Track } from './frames.ts'
import type { Output } from './output.ts'
import type { FormatOptions } from './registry.ts'

/** A shown call that is not over yet. `T` is what the form needs to know of it. */
export interface Open<T> {
  readonly what: T
  /** weight of the track when it began */
  readonly start: number
  /** weight of the shown calls inside, so far */
  inside: number
}

/**
 * Calls with a weight: the instructions that they take themselves and in what is not shown of what they call, or the bytes that are
 * copied there, or one for each call. Sleeping weighs nothing. Each track has a weight of its own, which only grows.
 */
export abstract class WeighedFormat<T> extends FrameFormat {
  readonly weight: FormatOptions['weight']
  /** of frames, by depth: the weight of their track when they began */
  readonly #starts: number[] = []
  readonly #stacks = new Map<Track, Open<T>[]>()

  constructor(out: Output, options: FormatOptions) {
    super(out, options.graph, true)
    this.weight = options.weight
  }

  /** what is to be known of a call that begins inside the calls of `stack` */
  protected abstract begins(frame: Frame, stack: readonly Open<T>[], start: number): T
  /** a call is over, and still the last of `stack`: its weight with all inside, and without what was shown of it */
  protected abstract ends(open: Open<T>, stack: readonly Open<T>[], track: Track, total: number, self: number): void

  protected override pushed(depth: number, call: Call): void {
    super.pushed(depth, call, null, null, null, null, null, null)
    this.#starts[depth] = this.track.weight
  }

  protected override called(): void {}

  protected override frameOpened(frame: Frame, depth: number): void {
    const { track } = frame
    let stack = this.#stacks.get(track)
    if (stack === undefined) {
      stack = []
      this.#stacks.set(track, stack)
    }
    const start = this.weight === 'calls' ? track.weight++ : (this.#starts[depth] as number)
    stack.push({ what: this.begins(frame, stack, start), start, inside: 0 })
  }

  protected override frameClosed(frame: Frame): void {
    const { track } = frame
    const stack = this.#stacks.get(track)
    const open = stack?.at(-1)
    if (stack === undefined || open === undefined) return
    const total = track.weight - open.start
    this.ends(open, stack, track, total, total - open.inside)
    stack.pop()
    const around = stack.at(-1)
    if (around !== undefined) around.inside += total
  }

  override enter(call: Call, a?: unknown, b?: unknown, c?: unknown, d?: unknown, e?: unknown, f?: unknown): void {
    super.enter(call, a, b, c, d, e, f)
    if (call.before > 0 && this.weight === 'instructions' && this.said) this.track.weight += call.before
  }

  override exit(call: Call, ret: unknown): void {
    if (call.after > 0 && this.weight === 'instructions' && this.said) this.track.weight += call.after
    super.exit(call, ret)
  }

  override copy(bytes: number, from: string, to: string): void {
    super.copy(bytes, from, to)
    if (!this.said) return
    if (this.weight === 'bytes') this.track.weight += bytes
    // an instruction copies 16 bytes
    else if (this.weight === 'instructions') this.track.weight += bytes >> 4
  }
}
