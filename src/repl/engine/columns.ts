/** Numbers that grow: the first 65536 by doubling, then in pieces, so that nothing large is ever copied. */

const SHIFT = 16
const PIECE = 1 << SHIFT
const MASK = PIECE - 1
const FIRST = 64

type Piece = Uint8Array | Uint16Array | Int32Array | Float64Array

/** One column of numbers. Reading beyond its end gives 0. */
export class Column<T extends Piece = Piece> {
  length = 0
  readonly #make: (length: number) => T
  readonly #pieces: T[] = []

  constructor(make: (length: number) => T) {
    this.#make = make
  }

  push(v: number): void {
    const i = this.length++
    let p = this.#pieces[i >> SHIFT]
    if (p === undefined) {
      p = this.#make(i === 0 ? FIRST : PIECE)
      this.#pieces.push(p)
    } else if (i === p.length && i < PIECE) {
      const larger = this.#make(2 * i)
      larger.set(p)
      p = larger
      this.#pieces[0] = p
    }
    p[i & MASK] = v
  }

  get(i: number): number {
    return this.#pieces[i >> SHIFT]?.[i & MASK] ?? 0
  }

  set(i: number, v: number): void {
    const p = this.#pieces[i >> SHIFT]
    if (p !== undefined) p[i & MASK] = v
  }

  /** forgets what is behind the first `length` */
  truncate(length: number): void {
    if (length >= this.length) return
    this.length = length
    this.#pieces.length = Math.ceil(length / PIECE)
  }

  /** index of the last value that is not above `v`, -1 when there is none; for a column that never falls */
  lastNotAbove(v: number): number {
    let low = 0
    let high = this.length
    while (low < high) {
      const mid = (low + high) >>> 1
      if (this.get(mid) <= v) low = mid + 1
      else high = mid
    }
    return low - 1
  }

  /** bytes that it takes */
  get bytes(): number {
    return this.#pieces.reduce((n, p) => n + p.byteLength, 0)
  }
}

// a column of that many bits for each number
export const u8 = (): Column<Uint8Array> => new Column((n) => new Uint8Array(n))
export const u16 = (): Column<Uint16Array> => new Column((n) => new Uint16Array(n))
export const i32 = (): Column<Int32Array> => new Column((n) => new Int32Array(n))
export const f64 = (): Column<Float64Array> => new Column((n) => new Float64Array(n))

/** Values by the event from which on they hold. Only changes are kept. */
export class Series {
  readonly #events = i32()
  readonly #values = f64()
  #last = Number.NaN

  /** how often it changed, the first value included */
  get length(): number {
    return this.#events.length
  }

  /** says what the value is at `event`; events never go back */
  put(event: number, value: number): void {
    if (value === this.#last) return
    this.#last = value
    this.#events.push(event)
    this.#values.push(value)
  }

  /** the value at `event`; undefined before the first */
  at(event: number): number | undefined {
    const i = this.#events.lastNotAbove(event)
    return i < 0 ? undefined : this.#values.get(i)
  }

  /** the event of change `i` */
  event(i: number): number {
    return this.#events.get(i)
  }

  /** the first change after `event`, -1 when there is none */
  after(event: number): number {
    const i = this.#events.lastNotAbove(event) + 1
    return i < this.#events.length ? this.#events.get(i) : -1
  }

  /** the last change before `event`, -1 when there is none */
  before(event: number): number {
    const i = this.#events.lastNotAbove(event - 1)
    return i < 0 ? -1 : this.#events.get(i)
  }

  /** forgets what happened at `event` and later */
  truncate(event: number): void {
    const n = this.#events.lastNotAbove(event - 1) + 1
    if (n >= this.#events.length) return
    this.#events.truncate(n)
    this.#values.truncate(n)
    this.#last = n === 0 ? Number.NaN : this.#values.get(n - 1)
  }

  get bytes(): number {
    return this.#events.bytes + this.#values.bytes
  }
}
