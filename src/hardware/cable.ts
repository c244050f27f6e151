import { clock } from '../sim/clock.ts'
import { events } from '../sim/events.ts'
import { Random } from '../sim/random.ts'

/** What a card asks of the other one for a frame: parts that it leaves to be done, as between two cards of a virtual machine. */
export interface Unfinished {
  /** the checksum at `start + offset` is not made yet */
  readonly needsCsum: boolean
  readonly csumStart: number
  readonly csumOffset: number
  /** type and size of the segments that a large packet is made of, 0 for none */
  readonly gsoType: number
  readonly gsoSize: number
  readonly hdrLen: number
}

/** A frame without its check sequence. */
export interface Frame {
  readonly bytes: Uint8Array
  readonly unfinished: Unfinished | null
}

/** One end of a cable, as the cable sees the card. */
export interface Port {
  receive(frame: Frame): void
}

/** What a cable does to frames. Rates in bits a second, times in nanoseconds, shares from 0 to 1. */
interface CableOptions {
  rate: number
  delay: number
  loss: number
  duplicate: number
  reorder: number
  corrupt: number
  seed: number
}

const perfect: CableOptions = {
  rate: Number.POSITIVE_INFINITY,
  delay: 0,
  loss: 0,
  duplicate: 0,
  reorder: 0,
  corrupt: 0,
  seed: 1,
}

/** preamble, check sequence and gap between frames: bytes that a frame takes on the wire besides its own */
const OVERHEAD = 24

/** Joins two cards. Without a rate and a delay a frame is there at once, as between the cards of the recordings. */
export class Cable {
  options: Readonly<CableOptions>
  readonly #ports: [Port | null, Port | null] = [null, null]
  /** when each direction is free again */
  readonly #busy: [number, number] = [0, 0]
  #random: Random
  /** counted for each direction */
  readonly frames: [number, number] = [0, 0]
  readonly lost: [number, number] = [0, 0]

  constructor(options: Partial<CableOptions> = {}) {
    this.options = { ...perfect, ...options }
    this.#random = new Random(this.options.seed)
  }

  /** another cable between the same cards; what is on the way in it arrives */
  set(options: Partial<CableOptions>): void {
    this.options = { ...this.options, ...options }
    this.#random = new Random(this.options.seed)
  }

  plug(end: 0 | 1, port: Port | null): void {
    this.#ports[end] = port
  }

  /** whether something is plugged in at the other end */
  carrier(end: 0 | 1): boolean {
    return this.#ports[1 - end] !== null
  }

  /** @returns whether it will arrive */
  send(end: 0 | 1, frame: Frame): boolean {
    const o = this.options
    this.frames[end]++
    if (o.loss > 0 && this.#chance(o.loss)) {
      this.lost[end]++
      return false
    }
    let { bytes } = frame
    if (o.corrupt > 0 && this.#chance(o.corrupt)) {
      bytes = bytes.slice()
      const i = this.#random.below(bytes.length)
      bytes[i] = (bytes[i] ?? 0) ^ (1 << this.#random.below(8))
    }
    const sent: Frame = bytes === frame.bytes ? frame : { bytes, unfinished: frame.unfinished }
    let delay = o.delay
    if (Number.isFinite(o.rate)) {
      const start = Math.max(clock.ns(), this.#busy[end])
      const done = start + Math.ceil(((bytes.length + OVERHEAD) * 8e9) / o.rate)
      this.#busy[end] = done
      delay += done - clock.ns()
    }
    if (o.reorder > 0 && this.#chance(o.reorder)) delay = Math.max(0, delay - o.delay)
    this.#deliver(end, sent, delay)
    if (o.duplicate > 0 && this.#chance(o.duplicate)) this.#deliver(end, sent, delay)
    return true
  }

  #deliver(end: 0 | 1, frame: Frame, delay: number): void {
    const to = end === 0 ? 1 : 0
    if (delay === 0) this.#ports[to]?.receive(frame)
    else events.add(clock.ns() + delay, () => this.#ports[to]?.receive(frame))
  }

  #chance(share: number): boolean {
    return this.#random.u32() < share * 0x100000000
  }
}
