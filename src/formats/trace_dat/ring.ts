/**
 * Pages of a CPU's ring buffer as the kernel hands them out and trace-cmd stores them (include/linux/ring_buffer.h): a page begins with
 * the time of its first event and the number of bytes in use; an event with a word of five bits of length and 27 of time since the one
 * before. All little-endian, times in nanoseconds.
 */

export const PAGE = 4096
const PAGE_WORDS = PAGE / 4
const HEADER_WORDS = 4
const PAGES = 16
/** of type_len */
const MAX_SMALL = 28
const TIME_EXTEND = 30
const DELTAS = 2 ** 27

/** Pages of one processor's ring buffer: Linux, kernel/trace/ring_buffer.c. */
export class RingPages {
  /** takes pages that are full, or the last one; what it is given is used again afterwards */
  readonly #write: (pages: Uint8Array) => void
  readonly words = new Uint32Array(PAGES * PAGE_WORDS)
  readonly bytes = new Uint8Array(this.words.buffer)
  #page = 0
  #at = 0
  #last = 0
  entries = 0

  constructor(write: (pages: Uint8Array) => void) {
    this.#write = write
  }

  /** room for an event of so many words at `ns`; where its payload begins, as an index into `words` */
  reserve(words: number, ns: number): number {
    let extra = words > MAX_SMALL ? 2 : 1
    let delta = ns - this.#last
    if (delta < 0) delta = 0
    if (delta >= DELTAS) extra += 2
    if (this.#at === 0 || this.#at + words + extra > this.#page + PAGE_WORDS) {
      this.#next(this.#at === 0 ? ns : this.#last + delta)
      extra = words > MAX_SMALL ? 2 : 1
      delta = 0
    }
    this.#last += delta
    this.entries++
    const w = this.words
    let at = this.#at
    if (delta >= DELTAS) {
      w[at++] = (delta % DELTAS) * 32 + TIME_EXTEND
      w[at++] = Math.floor(delta / DELTAS)
      delta = 0
    }
    if (words > MAX_SMALL) {
      w[at++] = delta * 32
      w[at++] = 4 * (words + 1)
    } else w[at++] = delta * 32 + words
    this.#at = at + words
    return at
  }

  #next(ns: number): void {
    if (this.#at !== 0) {
      this.#commit()
      this.#page += PAGE_WORDS
      if (this.#page === this.words.length) this.#flush()
    }
    const w = this.words
    w[this.#page] = ns % 2 ** 32
    w[this.#page + 1] = Math.floor(ns / 2 ** 32)
    this.#at = this.#page + HEADER_WORDS
    this.#last = ns
  }

  #commit(): void {
    const w = this.words
    w[this.#page + 2] = 4 * (this.#at - this.#page - HEADER_WORDS)
    w[this.#page + 3] = 0
    w.fill(0, this.#at, this.#page + PAGE_WORDS)
  }

  #flush(): void {
    this.#write(this.bytes.subarray(0, 4 * this.#page))
    this.#page = 0
  }

  /** hands over the last page too */
  finish(): void {
    if (this.#at === 0) return
    this.#commit()
    this.#page += PAGE_WORDS
    this.#flush()
    this.#at = 0
  }
}
