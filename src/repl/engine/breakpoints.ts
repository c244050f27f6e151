import { globs } from '../../formats/detail.ts'
import type { Kfn } from '../../trace/tracer.ts'
import { COPY, DECISION, DROP, ENTER, FRAME, type Recording } from './recording.ts'
import { type Compiled, HitTrack, type ScopeOf, WatchTrack } from './tracks.ts'

/** events that a breakpoint may wait for, besides functions: its word and the kinds */
export const eventWords: Readonly<Record<string, { kinds: readonly number[]; hint: string }>> = {
  drop: { kinds: [DROP], hint: 'a buffer is dropped' },
  copy: { kinds: [COPY], hint: 'payload is copied' },
  frame: { kinds: [FRAME], hint: 'a frame goes out on a device, or comes in' },
  decision: { kinds: [DECISION], hint: 'the kernel chooses' },
}

/** A breakpoint or a watchpoint: where the cursor stops. */
export class Breakpoint {
  readonly id: number
  /** as the user wrote it: `tcp_*`, `drop`, `tp.snd_cwnd` */
  readonly spec: string
  readonly watch: Compiled | null
  readonly temporary: boolean
  readonly #kinds: readonly number[]
  readonly #fn: ((name: string) => boolean) | null
  condition: Compiled | null = null
  enabled = true
  /** so many hits more are passed over */
  ignore = 0
  hits = 0
  /** where it hits, once the run was gone through for it; null for one that the columns alone can tell */
  track: HitTrack | WatchTrack | null = null
  /** by call number of the recording: whether it is about that function */
  #calls: boolean[] = []
  #recording: Recording | null = null

  constructor(id: number, spec: string, watch: Compiled | null, temporary: boolean) {
    this.id = id
    this.spec = spec
    this.watch = watch
    this.temporary = temporary
    const word = Object.hasOwn(eventWords, spec) ? eventWords[spec] : undefined
    this.#kinds = watch !== null ? [] : (word?.kinds ?? [ENTER])
    this.#fn = watch === null && word === undefined ? globs([spec]) : null
  }

  get what(): string {
    return this.watch !== null ? 'watchpoint' : 'breakpoint'
  }

  /** needs the run to be gone through: a watch, or one with a condition */
  makeTrack(scope: ScopeOf): void {
    if (this.watch !== null) this.track = new WatchTrack(this.watch, scope)
    else if (this.condition !== null) {
      const fn = this.#fn
      this.track = new HitTrack({ kinds: this.#kinds, fn: fn === null ? null : (k: Kfn) => fn(k.name) }, this.condition, scope)
    } else this.track = null
  }

  /** whether it is about that event, its condition apart */
  #candidate(r: Recording, event: number): boolean {
    const kind = r.kind(event)
    if (!this.#kinds.includes(kind)) return false
    if (kind !== ENTER || this.#fn === null) return true
    if (this.#recording !== r) {
      this.#recording = r
      this.#calls = []
    }
    while (this.#calls.length < r.calls.length) this.#calls.push(this.#fn(r.calls[this.#calls.length]?.fn.name ?? ''))
    return this.#calls[r.ref.get(event)] ?? false
  }

  /** whether it hits at `event` */
  hitsAt(r: Recording, event: number): boolean {
    if (this.track !== null) {
      const i = this.track.hits.lastNotAbove(event)
      return i >= 0 && this.track.hits.get(i) === event
    }
    return event < r.length && this.#candidate(r, event)
  }

  /** the first hit behind `from` and not behind `to`; -1 for none */
  after(r: Recording, from: number, to: number): number {
    if (this.track !== null) {
      const { hits } = this.track
      const i = hits.lastNotAbove(from) + 1
      const at = i < hits.length ? hits.get(i) : -1
      return at >= 0 && at <= to ? at : -1
    }
    const end = Math.min(to, r.length - 1)
    for (let i = from + 1; i <= end; i++) if (this.#candidate(r, i)) return i
    return -1
  }

  /** the last hit before `from` and not before `to`; -1 for none */
  before(r: Recording, from: number, to: number): number {
    if (this.track !== null) {
      const { hits } = this.track
      const i = hits.lastNotAbove(from - 1)
      const at = i >= 0 ? hits.get(i) : -1
      return at >= to ? at : -1
    }
    for (let i = Math.min(from, r.length) - 1; i >= to; i--) if (this.#candidate(r, i)) return i
    return -1
  }
}
