import { clock } from '../../sim/clock.ts'
import type { Call, CardEvent, Execution, Sink, TracedSkb } from '../../trace/tracer.ts'

/** functions that add up bytes for a checksum, and which of their arguments (here) says how many */
const SUMS: ReadonlyMap<string, number> = new Map([
  ['csum_partial', 2],
  ['csum_and_copy_from_user', 3],
  ['csum_and_copy_to_user', 3],
  ['csum_partial_copy_nocheck', 4],
])
/** every new buffer comes by one of these, inlined or not, and never by two of them */
const NEW_SKB: ReadonlySet<string> = new Set(['__alloc_skb', '__build_skb', '__napi_build_skb'])

/** What one way of sending took on the sending host, from the call until all is freed. */
export interface Taken {
  /** functions that were really called, how often and how many different ones */
  calls: number
  functions: number
  /** functions that the compiler inlined: not in `calls` */
  inlined: number
  systemCalls: number
  /** that the processor took, for copies and sums too */
  instructions: number
  /** bytes, by from and to: `user > kernel` */
  copies: Map<string, number>
  /** bytes that the processor added up for a checksum */
  summed: number
  skbs: number
  clones: number
  pages: number
  /** transmit descriptors that were written, and writes of the register behind them */
  descriptors: number
  doorbells: number
  frames: number
  /** bytes of those frames that the card fetched by itself */
  fetched: number
  interrupts: number
  /** buffers and frames that were dropped, here, on the cable and on the other host, by reason */
  drops: Map<string, number>
  /** nanoseconds from the first call on, null when no frame went out */
  firstFrame: number | null
  lastFrame: number | null
}

/** Counts what the host's own namespace does; what the other end does on the same processor is not the sender's. */
export class Meter implements Sink {
  readonly taken: Taken = {
    calls: 0,
    functions: 0,
    inlined: 0,
    systemCalls: 0,
    instructions: 0,
    copies: new Map(),
    summed: 0,
    skbs: 0,
    clones: 0,
    pages: 0,
    descriptors: 0,
    doorbells: 0,
    frames: 0,
    fetched: 0,
    interrupts: 0,
    drops: new Map(),
    firstFrame: null,
    lastFrame: null,
  }
  readonly #seen = new Set<number>()
  readonly #start = clock.now
  /** the host runs, and since when */
  #own = false
  #since = 0
  /** since when the other end has the processor, -1 when it has not; how long it had it so far */
  #away = -1
  #foreign = 0

  enter(call: Call, a?: unknown, b?: unknown, c?: unknown, d?: unknown, e?: unknown): void {
    if (!this.#own) return
    const { fn } = call
    const { name } = fn
    const t = this.taken
    if (NEW_SKB.has(name)) t.skbs++
    if (call.kind === 'inlined') {
      t.inlined++
      return
    }
    t.calls++
    if (!this.#seen.has(fn.id)) {
      this.#seen.add(fn.id)
      t.functions++
    }
    if (name.startsWith('__x64_sys_')) t.systemCalls++
    else if (name === 'skb_clone') t.clones++
    else if (name === '__alloc_pages_noprof') t.pages += 1 << Number(b)
    else {
      const length = SUMS.get(name)
      if (length !== undefined) t.summed += Number([a, b, c, d, e][length])
    }
  }
  exit(): void {}

  copy(bytes: number, from: string, to: string): void {
    if (!this.#own) return
    const key = `${from} to ${to}`
    this.taken.copies.set(key, (this.taken.copies.get(key) ?? 0) + bytes)
  }

  drop(_skb: TracedSkb, reason: string): void {
    this.#drop(reason)
  }

  #drop(reason: string): void {
    this.taken.drops.set(reason, (this.taken.drops.get(reason) ?? 0) + 1)
  }

  context(now: Execution, before: Execution): void {
    const at = clock.now
    if (this.#own) this.taken.instructions += at - this.#since
    const other = now.netns !== ''
    // both ends share a processor here: what the other one does in the middle of the sender's work takes the sender no time. While
    // the sender sleeps it does: that is what the sender waits for
    if (other && this.#own) this.#away = at
    else if (!other && this.#away >= 0) {
      this.#foreign += at - this.#away
      this.#away = -1
    }
    this.#own = !other && now.kind !== 'idle'
    this.#since = at
    if (this.#own && now.kind === 'hardirq' && before.kind !== 'hardirq') this.taken.interrupts++
  }

  card(e: CardEvent): void {
    if (e.what === 'lost') this.#drop(String(e.fields.where))
    if (e.netns !== '') return
    const t = this.taken
    if (e.what === 'descriptor' && e.name === 'tx') t.descriptors++
    else if (e.what === 'register') t.doorbells++
    else if (e.what === 'wire') {
      const at = (clock.now - this.#start - this.#foreign) / clock.perNs
      t.frames++
      t.fetched += e.bytes?.length ?? 0
      t.firstFrame ??= at
      t.lastFrame = at
    }
  }
}
