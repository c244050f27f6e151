import { type Call, type TracedSkb, traceTime } from '../trace/tracer.ts'
import { globs } from './detail.ts'
import { drawGeometry } from './drawing/geometry.ts'
import { drawHeaders } from './drawing/headers.ts'
import { drawSequence } from './drawing/sequence.ts'
import { type FrameState, frameOf, type SkbState } from './drawing/state.ts'
import { standalone } from './drawing/style.ts'
import { SkbWatch } from './drawing/watch.ts'
import { type Format, isSkb } from './format.ts'
import { type Output, OutputError } from './output.ts'
import { argument } from './values.ts'

export type Diagram = 'geometry' | 'headers' | 'sequence'

interface SvgOptions {
  /** the sk_buff's buffer, its headers, or the frames of the host's devices in sequence */
  diagram: Diagram
  /** the function (or glob) at whose entry the buffer is drawn, the first time it has one; '' for the last before a driver has it */
  at: string
}

const WIDTH = 760
/** the last function before a driver has the buffer */
const LAST = 'dev_hard_start_xmit'
/** frames in one picture, at most */
const MOST = 200

/** One drawing as a file of its own, with colours for light and dark. */
export class Svg implements Format {
  readonly #out: Output
  readonly #o: SvgOptions
  readonly #wanted: (name: string) => boolean
  readonly #watch = new SkbWatch()
  readonly #last = new Map<number, SkbState>()
  readonly #frames: FrameState[] = []
  #left = 0
  #now: SkbState | null = null
  #before: SkbState | null = null
  #recording = false

  constructor(out: Output, options: SvgOptions) {
    this.#out = out
    this.#o = options
    this.#wanted = globs([options.at === '' ? LAST : options.at]) ?? (() => false)
  }

  begin(): void {
    this.#recording = true
  }
  end(): void {
    this.#recording = false
  }

  enter(call: Call, a?: unknown, b?: unknown, c?: unknown, d?: unknown, e?: unknown, f?: unknown): void {
    const { fn } = call
    if (!this.#recording || this.#now !== null || fn.skbArg < 0 || this.#o.diagram === 'sequence') return
    const skb = argument(fn.skbArg, a, b, c, d, e, f)
    if (!isSkb(skb)) return
    const before = this.#last.get(skb.id) ?? null
    const state = this.#watch.look(fn, skb)
    if (state !== null) this.#last.set(skb.id, state)
    if (!this.#wanted(fn.name)) return
    this.#now = state ?? before
    this.#before = state === null ? null : before
  }
  exit(): void {}

  frame(device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb): void {
    if (netns !== '' || this.#o.diagram !== 'sequence') return
    if (this.#frames.length < MOST) this.#frames.push(frameOf(Math.floor(traceTime()), device, netns, direction, skb))
    else this.#left++
  }

  free(skb: TracedSkb): void {
    this.#watch.forget(skb)
    this.#last.delete(skb.id)
  }

  /** @throws OutputError when there is nothing to draw */
  close(): void {
    if (this.#o.diagram === 'sequence') {
      if (this.#frames.length === 0)
        throw new OutputError(`${this.#out.name}: no frame left or reached the host: nothing to draw`)
      const more = this.#left > 0 ? `<!-- ${this.#left} more frames are not drawn -->\n` : ''
      this.#out.write(`${standalone(drawSequence(this.#frames, WIDTH, -1))}\n${more}`)
      return
    }
    const at = this.#o.at === '' ? LAST : this.#o.at
    if (this.#now === null)
      throw new OutputError(`${this.#out.name}: no sk_buff came to ${at}: --at FUNCTION names the function to draw it at`)
    const svg =
      this.#o.diagram === 'geometry' ? drawGeometry(this.#now, this.#before, WIDTH) : drawHeaders(this.#now.parts, WIDTH)
    this.#out.write(`${standalone(svg)}\n`)
  }
}
