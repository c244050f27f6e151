import { decode } from '../decode/decode.ts'
import type { TracedSkb } from '../trace/tracer.ts'
import { frameBytes } from './format.ts'
import { type Frame, FrameFormat, type Track } from './frames.ts'
import { Flow } from './mermaid/flow.ts'
import { Sequence } from './mermaid/sequence.ts'
import type { Output } from './output.ts'
import { layerOf, summary } from './packet.ts'
import type { FormatOptions } from './registry.ts'

/**
 * A diagram in Mermaid's language, https://mermaid.js.org, for Markdown: a sequence of which layer calls which and which frames go over the
 * wire, or a flow chart of the functions. It is written at the end, since its participants come first; it is cut, and says so, when it
 * gets too long to be read, and takes no more memory then. In a file whose name ends in `.md` it has its fence around it.
 */
export class Mermaid extends FrameFormat {
  readonly #title: string
  readonly #fence: boolean
  readonly #flow: Flow | null
  readonly #sequence = new Sequence()
  // of frames, by depth: those that are shown
  readonly #tracks: Track[] = []
  readonly #at: string[] = []
  /** whose call it is, and the layer that took it */
  #program = ''
  #first = ''
  /** where something was shown last */
  #here = ''

  constructor(out: Output, options: FormatOptions) {
    super(out, options.graph, true)
    this.#title = options.command
    this.#fence = /\.md(\.\w+)?$/.test(out.name)
    this.#flow = options.diagram === 'flow' ? new Flow() : null
  }

  protected override frameOpened(frame: Frame, depth: number): void {
    const { track } = frame
    if (this.#flow !== null) this.#flow.opened(frame, depth, this.#tracks)
    else this.#step(frame, depth)
    this.#tracks[depth] = track
  }

  /** a message, where a function of another layer is called */
  #step(frame: Frame, depth: number): void {
    const { track, call } = frame
    const s = this.#sequence
    const around = depth > 0 && this.#tracks[depth - 1] === track ? (this.#at[depth - 1] ?? '') : ''
    const layer = layerOf(call.fn)
    // an inlined function of a header is part of whoever has it there
    const own = layer !== '' && (around === '' || call.kind !== 'inlined')
    const to = own ? s.participant(track.netns, layer, false) : around
    const text = frame.skb === 0 ? `${call.fn.name}()` : `${call.fn.name}() skb ${frame.skb}, ${frame.len} bytes`
    if (around === '' && track.kind === 'task') {
      const program = s.participant(track.netns, track.name, true)
      if (program === this.#program && this.#first === '') this.#first = to === '' ? program : to
      if (to !== '') s.call(program, to, text)
      this.#at[depth] = to === '' ? program : to
    } else {
      if (around === '' && to !== '') s.note(to, track.kind)
      else if (to !== around) s.call(around, to, text)
      this.#at[depth] = to
    }
    if (this.#at[depth] !== '') this.#here = this.#at[depth] ?? ''
  }

  protected override frameClosed(_frame: Frame, depth: number): void {
    const outer = depth > 0 ? this.#at[depth - 1] : ''
    if (outer !== undefined && outer !== '') this.#here = outer
  }

  #remark(text: string): void {
    if (this.#flow === null && this.#here !== '') this.#sequence.note(this.#here, text)
  }

  override copy(bytes: number, from: string, to: string): void {
    super.copy(bytes, from, to)
    if (this.said) this.#remark(`copies ${bytes} bytes, ${from} to ${to}`)
  }

  drop(_skb: TracedSkb, reason: string, where: string): void {
    if (this.said) this.#remark(`drop: ${reason}${where === '' ? '' : ` (${where})`}`)
  }

  frame(device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb): void {
    if (this.#flow !== null || !this.said) return
    // how it got there is part of the story
    if (this.audible && !this.quiet) this.openTo(this.depth)
    const at = this.#sequence.participant(netns, 'device', false)
    const bytes = frameBytes(skb)
    const layers = decode(bytes, 'Ethernet', bytes.length).map((l) => summary([l]))
    this.#sequence.frame(device === 'lo' ? null : direction, at, [`${device} ${direction}`, ...layers.filter((l) => l !== '')])
  }

  override free(skb: TracedSkb): void {
    super.free(skb)
    this.#flow?.freed(skb.id)
  }

  protected override called(title: string, shown: boolean): void {
    this.#program = this.#first = this.#here = ''
    if (!shown || this.#flow !== null) return
    this.#program = this.#sequence.participant(this.track.netns, this.track.name, true)
    this.#sequence.note(this.#program, title)
  }

  override end(result: string): void {
    super.end(result)
    if (this.#program !== '') this.#sequence.result(this.#first === '' ? this.#program : this.#first, this.#program, result)
    this.#program = ''
  }

  override close(): void {
    const text = (this.#flow ?? this.#sequence).text(this.#title)
    this.out.write(this.#fence ? `\`\`\`mermaid\n${text}\`\`\`\n` : text)
  }
}
