import type { Call } from '../trace/tracer.ts'
import type { Frame, Track } from './frames.ts'
import type { Output } from './output.ts'
import type { FormatOptions } from './registry.ts'
import { Spool } from './spool.ts'
import { type Open, WeighedFormat } from './weigh.ts'

/** A shown call: a frame of the file, and whether its beginning is written; one that weighs nothing is never written. */
interface Slice {
  readonly frame: number
  readonly at: number
  written: boolean
}

/** Events of one track. */
interface Profile {
  readonly name: string
  readonly events: Spool
  count: number
  /** weight of the track that was nobody's: between two outermost calls */
  gaps: number
  end: number
}

/**
 * A profile for https://www.speedscope.app, one for each task, and for the softirqs and interrupts of each network namespace:
 * https://www.speedscope.app/file-format-schema.json. The axis is what is weighed; calls stand in the order in which they were made.
 */
export class Speedscope extends WeighedFormat<Slice> {
  readonly #frames: string[] = []
  readonly #numbers = new Map<string, number>()
  readonly #profiles = new Map<Track, Profile>()
  readonly #exporter: string
  readonly #name: string

  constructor(out: Output, options: FormatOptions) {
    super(out, options)
    this.#exporter = `skbtrace ${options.version}`
    this.#name = options.command
  }

  #frame(call: Call): number {
    const { name, symbol } = call.fn
    const shown = call.kind === 'inlined' ? `${name} [inlined]` : name
    let n = this.#numbers.get(shown)
    if (n === undefined) {
      n = this.#frames.length
      this.#numbers.set(shown, n)
      const place = symbol.file === '' ? {} : { file: symbol.file, line: symbol.line }
      this.#frames.push(JSON.stringify({ name: shown, ...place }))
    }
    return n
  }

  #profile(track: Track): Profile {
    let p = this.#profiles.get(track)
    if (p === undefined) {
      p = { name: `${track.netns === '' ? 'host' : track.netns} ${track.name}`, events: new Spool(), count: 0, gaps: 0, end: 0 }
      this.#profiles.set(track, p)
    }
    return p
  }

  protected override begins(frame: Frame, stack: readonly Open<Slice>[], start: number): Slice {
    const p = this.#profile(frame.track)
    if (stack.length === 0) p.gaps = start - p.end
    return { frame: this.#frame(frame.call), at: start - p.gaps, written: false }
  }

  protected override ends(_open: Open<Slice>, stack: readonly Open<Slice>[], track: Track, total: number): void {
    const p = this.#profile(track)
    if (total === 0) return
    for (const { what } of stack) {
      if (what.written) continue
      what.written = true
      this.#event(p, 'O', what.frame, what.at)
    }
    const { what } = stack[stack.length - 1] as Open<Slice>
    p.end = what.at + total
    this.#event(p, 'C', what.frame, p.end)
  }

  #event(p: Profile, type: 'O' | 'C', frame: number, at: number): void {
    p.events.write(`${p.count++ === 0 ? '' : ','}\n{"type":"${type}","frame":${frame},"at":${at}}`)
  }

  override close(): void {
    const { out } = this
    const unit = this.weight === 'bytes' ? 'bytes' : 'none'
    const head = { exporter: this.#exporter, name: this.#name, activeProfileIndex: 0 }
    out.write(`{"$schema":"https://www.speedscope.app/file-format-schema.json",${JSON.stringify(head).slice(1, -1)},"profiles":[`)
    let first = true
    for (const p of this.#profiles.values()) {
      if (p.count === 0) continue
      out.write(`${first ? '' : ','}\n{"type":"evented","name":${JSON.stringify(p.name)},"unit":"${unit}","events":[`)
      first = false
      p.events.drain(out)
      out.write(`],"startValue":0,"endValue":${p.end}}`)
    }
    out.write(`],\n"shared":{"frames":[\n${this.#frames.join(',\n')}]}}\n`)
  }
}
