import { ENTER, EXIT, LINE, type Recording } from './recording.ts'

/** What of the call tree counts as a place to stop at, and is a row of it. */
export interface Shown {
  /** `net`: without locks, memory, timers and what is below them */
  detail: 'net' | 'full'
  /** `ftrace`: without what was inlined or has no tracing site */
  view: 'source' | 'ftrace'
}

/** Moves through a recording. Every function gives an event, or -1 when there is none that way; `length` is the end. */
export class Walk {
  readonly recording: Recording
  readonly #shown: Shown

  constructor(recording: Recording, shown: Shown) {
    this.recording = recording
    this.#shown = shown
  }

  /** an entry that is shown */
  entry(event: number): boolean {
    return this.recording.kind(event) === ENTER && this.frameShown(event)
  }

  /** whether the frame of an entry or exit is shown */
  frameShown(event: number): boolean {
    const r = this.recording
    return (
      (this.#shown.detail === 'full' || !r.hidden(event)) && (this.#shown.view === 'source' || (r.call(event)?.visible ?? false))
    )
  }

  #stop(event: number): boolean {
    const kind = this.recording.kind(event)
    return kind === LINE || (kind === ENTER && this.frameShown(event))
  }

  /** the next function that begins */
  step(from: number): number {
    const { length } = this.recording
    for (let i = from + 1; i < length; i++) if (this.#stop(i)) return i
    return length
  }

  /** the next function that begins once the one at hand is over. `other`: another one than that */
  next(from: number, other = false): number {
    const r = this.recording
    const { length } = r
    if (from >= length) return -1
    if (r.kind(from) === LINE) return this.#nextLine(from)
    const own = r.frameOf(from)
    const name = own < 0 ? undefined : r.call(own)?.fn
    // shown frames that are open, below the one that the cursor is in
    let open = own >= 0 && r.kind(from) !== EXIT ? 1 : 0
    for (let i = from + 1; i < length; i++) {
      const kind = r.kind(i)
      if (kind === LINE) return i
      if (kind === ENTER) {
        if (!this.frameShown(i)) continue
        if (open <= 0 && !(other && r.call(i)?.fn === name)) return i
        open++
      } else if (kind === EXIT && (this.frameShown(i) || r.link.get(i) === own)) open--
    }
    return length
  }

  #nextLine(from: number): number {
    const r = this.recording
    return r.lines[r.lineOf(from)] ?? r.length
  }

  /** the previous function that began */
  reverseStep(from: number): number {
    for (let i = from - 1; i >= 0; i--) if (this.#stop(i)) return i
    return -1
  }

  /** the previous function that began, but none of those that the one before called */
  reverseNext(from: number): number {
    const r = this.recording
    if (from < r.length && r.kind(from) === LINE) return r.lineOf(from) >= 2 ? (r.lines[r.lineOf(from) - 2] ?? -1) : -1
    const own = from < r.length && r.kind(from) === EXIT ? r.link.get(from) : -1
    let open = own >= 0 ? 1 : 0
    for (let i = Math.min(from, r.length) - 1; i >= 0; i--) {
      const kind = r.kind(i)
      if (kind === LINE) return i
      if (kind === EXIT) {
        if (this.frameShown(i)) open++
      } else if (kind === ENTER && (this.frameShown(i) || i === own)) {
        open--
        if (open <= 0) return i
      }
    }
    return -1
  }

  /** where the function at hand is over; from there, where its caller is; of a line, where the next begins */
  finish(from: number): number {
    const r = this.recording
    if (from >= r.length) return -1
    let frame = r.frameOf(from)
    // from its end on, it is the caller that is to finish
    if (r.kind(from) === EXIT) frame = r.parent.get(frame)
    if (frame < 0) return this.#nextLine(from)
    const end = r.link.get(frame)
    return end < 0 ? r.length : end
  }

  /** where the function at hand began; from there, where its caller did */
  reverseFinish(from: number): number {
    const r = this.recording
    const frame = r.frameOf(from)
    if (frame >= 0 && frame !== from) return frame
    for (let f = frame < 0 ? -1 : r.parent.get(frame); f >= 0; f = r.parent.get(f)) if (this.frameShown(f)) return f
    const line = r.lines[r.lineOf(from) - 1]
    return line === undefined || line === from ? -1 : line
  }

  /** frames on the stack at an event, innermost first: their entries */
  stack(event: number): number[] {
    const out: number[] = []
    const r = this.recording
    for (let f = r.frameOf(event); f >= 0; f = r.parent.get(f)) out.push(f)
    return out
  }

  /** how many shown frames are around an event */
  indent(event: number): number {
    let n = 0
    const r = this.recording
    if (event >= r.length) return 0
    for (let f = r.parent.get(event); f >= 0; f = r.parent.get(f)) if (this.frameShown(f)) n++
    return n
  }
}
