import type { Host } from '../host/host.ts'
import { Process } from '../host/process.ts'
import { clock } from '../sim/clock.ts'
import { events, type SimEvent } from '../sim/events.ts'

const MSG_DONTWAIT = 0x40
/** bytes of its buffer */
const ROOM = 65536

/** The program at the other end: it looks at its socket now and then, and reads all there is. */
export class Reader {
  readonly process: Process
  socket = -1
  /** bytes that it has read since this was set to 0 */
  read = 0
  #room = 0
  #event: SimEvent | null = null

  constructor(host: Host, netns: string) {
    this.process = new Process(1235, 'reader', host.netns(netns))
  }

  /**
   * Begins to look, in `first` nanoseconds. `next` is told how many bytes a look has brought, and says in how many nanoseconds the next
   * one is; null: there is none.
   */
  start(first: number, next: (bytes: number) => number | null): void {
    this.stop()
    if (this.#room === 0) this.#room = this.process.map(ROOM, 'pattern').address
    this.#event = events.add(clock.ns() + first, () => {
      this.#event = null
      const n = this.#readAll()
      this.read += n
      const wait = next(n)
      if (wait !== null) this.start(wait, next)
    })
  }

  /** looks no more */
  stop(): void {
    if (this.#event !== null) events.cancel(this.#event)
    this.#event = null
  }

  #readAll(): number {
    let total = 0
    for (;;) {
      const n = this.process.syscall('recvfrom', this.socket, this.#room, ROOM, MSG_DONTWAIT, 0, 0)
      if (n <= 0) return total
      total += n
    }
  }
}
