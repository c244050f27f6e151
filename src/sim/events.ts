import { clock } from './clock.ts'

/** Something that will happen at a moment of virtual time. */
export interface SimEvent {
  /** nanoseconds since boot */
  readonly at: number
  readonly run: () => void
  /** place in the heap, -1 when not queued */
  slot: number
  readonly order: number
}

/**
 * The one queue of everything that happens by itself: timers, interrupts, the other end of a cable. A binary heap, ordered by
 * time and, for the same moment, by the order in which events were added.
 */
export class EventQueue {
  #heap: SimEvent[] = []
  #order = 0

  get size(): number {
    return this.#heap.length
  }

  /** when the next event is due, in nanoseconds; Infinity when there is none */
  next(): number {
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY
  }

  /** queues `run` for `at` nanoseconds since boot */
  add(at: number, run: () => void): SimEvent {
    const e: SimEvent = { at, run, slot: this.#heap.length, order: this.#order++ }
    this.#heap.push(e)
    this.#up(e.slot)
    return e
  }

  /** takes an event out again; one that has run or was cancelled already is left alone */
  cancel(e: SimEvent): void {
    const i = e.slot
    if (i < 0 || this.#heap[i] !== e) return
    e.slot = -1
    const last = this.#heap.pop()
    if (last === undefined || last === e) return
    this.#heap[i] = last
    last.slot = i
    this.#up(i)
    this.#down(last.slot)
  }

  /** runs the next event, moving the clock to it; false when there is none */
  step(): boolean {
    const e = this.#heap[0]
    if (e === undefined) return false
    this.cancel(e)
    clock.advanceTo(e.at)
    e.run()
    return true
  }

  clear(): void {
    this.#heap = []
    this.#order = 0
  }

  #less(a: SimEvent, b: SimEvent): boolean {
    return a.at < b.at || (a.at === b.at && a.order < b.order)
  }

  #swap(i: number, j: number): void {
    const a = this.#heap[i]
    const b = this.#heap[j]
    if (a === undefined || b === undefined) return
    this.#heap[i] = b
    this.#heap[j] = a
    b.slot = i
    a.slot = j
  }

  #up(start: number): void {
    for (let i = start; i > 0; ) {
      const parent = (i - 1) >> 1
      const a = this.#heap[i]
      const b = this.#heap[parent]
      if (a === undefined || b === undefined || !this.#less(a, b)) return
      this.#swap(i, parent)
      i = parent
    }
  }

  #down(start: number): void {
    for (let i = start; ; ) {
      let least = i
      for (const c of [2 * i + 1, 2 * i + 2]) {
        const a = this.#heap[c]
        const b = this.#heap[least]
        if (a !== undefined && b !== undefined && this.#less(a, b)) least = c
      }
      if (least === i) return
      this.#swap(i, least)
      i = least
    }
  }
}

/** the one event queue of the process; a boot empties it */
export const events = new EventQueue()
