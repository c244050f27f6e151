import type { TracedSkb } from '../../trace/tracer.ts'
import { type Column, i32, Series } from './columns.ts'
import { FREE, Pool } from './recording.ts'
import { BYTES } from './types.ts'
import type { Sampler, Watcher } from './watcher.ts'

/** bytes of a head that are looked at: its headroom, headers and what a view shows of the data behind them */
const WINDOW = 1024
const PIECE = 1 << 20

/** Bytes that are kept, one after the other. */
class ByteStore {
  readonly #pieces: Uint8Array[] = []
  #room = 0

  /** where they are: for `get` */
  put(bytes: Uint8Array): number {
    const n = bytes.length
    if (n > this.#room) {
      this.#pieces.push(new Uint8Array(PIECE))
      this.#room = PIECE
    }
    const at = PIECE - this.#room
    this.#pieces.at(-1)?.set(bytes, at)
    this.#room -= n
    return (this.#pieces.length - 1) * PIECE + at
  }

  get(at: number, length: number): Uint8Array {
    const i = at % PIECE
    return this.#pieces[(at - i) / PIECE]?.subarray(i, i + length) ?? new Uint8Array(0)
  }

  get bytes(): number {
    return this.#pieces.length * PIECE
  }
}

const columns = [
  'id',
  'len',
  'data_len',
  'truesize',
  'data',
  'tail',
  'end',
  'mac_header',
  'network_header',
  'transport_header',
  'protocol',
  'ip_summed',
  'cloned',
  'clone_of',
  'gso_size',
  'gso_segs',
  'nr_frags',
  'vlan_proto',
  'vlan_tci',
] as const
type Field = (typeof columns)[number]

/** A buffer as it was at an event. Offsets count from `head`. */
export type SkbState = Record<Field, number> & {
  owner: string
  devName: string
  /** lengths of the fragments */
  frags: number[]
  /** the first of the head's bytes */
  head: Uint8Array
  /** the first bytes of the fragments */
  payload: Uint8Array
}

/** what was seen of a buffer last */
interface Live {
  row: number
  key: unknown
  dev: string
  view: Uint8Array
  source: Uint8Array
  seen: Uint8Array
  values: Int32Array
}

/**
 * The buffer that the stack is about, event by event: its geometry, owner and bytes. A row for each change, which says what is
 * different from the row before of the same buffer.
 */
export class SkbTrack implements Sampler {
  readonly #cells: Record<Field, Column> = Object.fromEntries(columns.map((c) => [c, i32()])) as unknown as Record<Field, Column>
  readonly #event = i32()
  readonly #owner = i32()
  readonly #dev = i32()
  readonly #frags = i32()
  readonly #previous = i32()
  /** of the head's bytes, those from `from` on are different: so many, kept there */
  readonly #from = i32()
  readonly #length = i32()
  readonly #at = i32()
  readonly #payloadAt = i32()
  readonly #payloadLength = i32()
  readonly #texts = new Pool()
  #store = new ByteStore()
  /** row + 1 of the buffer at hand, 0 for none */
  readonly #current = new Series()
  readonly #live = new Map<number, Live>()
  #lastPayload = { at: 0, bytes: new Uint8Array(0) }

  sample(kind: number, event: number, w: Watcher): void {
    const { skb } = w
    if (skb === null) this.#current.put(event, 0)
    else this.#current.put(event, this.#row(event, skb) + 1)
    if (kind === FREE) this.#sweep()
  }

  /** what is freed is not told by object here: rows of buffers that nobody has seen for long are let go */
  #sweep(): void {
    if (this.#live.size < 4096) return
    for (const id of this.#live.keys()) {
      this.#live.delete(id)
      if (this.#live.size <= 2048) return
    }
  }

  #row(event: number, skb: TracedSkb): number {
    const key = (skb as { sk?: unknown }).sk ?? skb.owner
    let l = this.#live.get(skb.id)
    if (l !== undefined && l.key === key && same(l.values, skb) && l.dev === skb.devName) {
      if (skb.bytes !== l.source || l.view.length !== Math.min(WINDOW, skb.end)) this.#look(l, skb)
      const [from, to] = difference(l.seen, l.view)
      if (from >= to) return l.row
      return this.#push(event, skb, l, key, from, to, false)
    }
    if (l === undefined) {
      l = {
        row: -1,
        key,
        dev: '',
        view: new Uint8Array(0),
        source: new Uint8Array(0),
        seen: new Uint8Array(0),
        values: new Int32Array(columns.length),
      }
      this.#live.set(skb.id, l)
      this.#look(l, skb)
      // a fresh buffer of which nothing was seen yet: all of it is news
      return this.#push(event, skb, l, key, 0, l.view.length, true)
    }
    if (skb.bytes !== l.source || l.view.length !== Math.min(WINDOW, skb.end)) this.#look(l, skb)
    const [from, to] = difference(l.seen, l.view)
    const payload = skb.data_len !== l.values[2] || skb.nr_frags !== l.values[16] || skb.data !== l.values[4]
    return this.#push(event, skb, l, key, from, to, payload)
  }

  #look(l: Live, skb: TracedSkb): void {
    l.source = skb.bytes
    l.view = skb.bytes.subarray(0, Math.min(WINDOW, skb.end))
    if (l.seen.length !== l.view.length) {
      const seen = new Uint8Array(l.view.length)
      seen.set(l.seen.subarray(0, seen.length))
      l.seen = seen
    }
  }

  #push(event: number, skb: TracedSkb, l: Live, key: unknown, from: number, to: number, payload: boolean): number {
    const row = this.#event.length
    this.#event.push(event)
    columns.forEach((c, i) => {
      const v = skb[c]
      l.values[i] = v
      this.#cells[c].push(v)
    })
    l.key = key
    l.dev = skb.devName
    this.#owner.push(this.#texts.of(skb.owner))
    this.#dev.push(this.#texts.of(skb.devName))
    this.#previous.push(l.row)
    const n = Math.max(0, to - from)
    this.#from.push(from)
    this.#length.push(n)
    this.#at.push(n === 0 ? 0 : this.#store.put(l.view.subarray(from, to)))
    if (n > 0) l.seen.set(l.view.subarray(from, to), from)
    if (payload || l.row < 0) {
      this.#frags.push(this.#texts.of(Array.from({ length: skb.nr_frags }, (_, i) => skb.frag(i).length).join(' ')))
      const bytes = payloadOf(skb)
      this.#payloadAt.push(this.#keep(bytes))
      this.#payloadLength.push(bytes.length)
    } else {
      this.#frags.push(this.#frags.get(l.row))
      this.#payloadAt.push(this.#payloadAt.get(l.row))
      this.#payloadLength.push(this.#payloadLength.get(l.row))
    }
    l.row = row
    return row
  }

  /** most payloads are like the one before */
  #keep(bytes: Uint8Array): number {
    const last = this.#lastPayload
    if (bytes.length <= last.bytes.length && Buffer.compare(bytes, last.bytes.subarray(0, bytes.length)) === 0) return last.at
    const at = this.#store.put(bytes)
    this.#lastPayload = { at, bytes: bytes.slice() }
    return at
  }

  /** the buffer at hand at `event`, null for none */
  at(event: number): SkbState | null {
    const row = (this.#current.at(event) ?? 0) - 1
    return row < 0 ? null : this.#state(row)
  }

  /** the buffer number `id` as it was seen last at or before `event`; null when it was not seen yet */
  of(id: number, event: number): SkbState | null {
    for (let row = this.#event.lastNotAbove(event); row >= 0; row--) if (this.#cells.id.get(row) === id) return this.#state(row)
    return null
  }

  /** numbers of the buffers that were seen at or before `event` */
  seen(event: number): number[] {
    const ids = new Set<number>()
    const rows = this.#event.lastNotAbove(event)
    for (let row = 0; row <= rows; row++) ids.add(this.#cells.id.get(row))
    return [...ids].sort((a, b) => a - b)
  }

  #state(row: number): SkbState {
    const state = Object.fromEntries(columns.map((c) => [c, this.#cells[c].get(row)])) as Record<Field, number>
    const head = new Uint8Array(Math.min(WINDOW, state.end))
    // newest first: what is filled in already stays
    const chain: number[] = []
    for (let r = row; r >= 0; r = this.#previous.get(r)) chain.push(r)
    for (const r of chain.reverse()) {
      const from = this.#from.get(r)
      const bytes = this.#store.get(this.#at.get(r), this.#length.get(r))
      if (from < head.length) head.set(bytes.subarray(0, head.length - from), from)
    }
    const frags = this.#texts.text(this.#frags.get(row))
    return {
      ...state,
      owner: this.#texts.text(this.#owner.get(row)),
      devName: this.#texts.text(this.#dev.get(row)),
      frags: frags === '' ? [] : frags.split(' ').map(Number),
      head,
      payload: this.#store.get(this.#payloadAt.get(row), this.#payloadLength.get(row)).slice(),
    }
  }

  truncate(event: number): void {
    const n = this.#event.lastNotAbove(event - 1) + 1
    const all = [this.#event, this.#owner, this.#dev, this.#frags, this.#previous, this.#from, this.#length, this.#at]
    for (const c of [...all, this.#payloadAt, this.#payloadLength, ...Object.values(this.#cells)]) c.truncate(n)
    this.#current.truncate(event)
    this.#live.clear()
  }

  get bytes(): number {
    const all = [this.#event, this.#owner, this.#dev, this.#frags, this.#previous, this.#from, this.#length, this.#at]
    const cells: Column[] = [...all, this.#payloadAt, this.#payloadLength, ...Object.values(this.#cells)]
    return cells.reduce((n, c) => n + c.bytes, 0) + this.#store.bytes + this.#current.bytes + this.#texts.bytes
  }
}

function same(v: Int32Array, skb: TracedSkb): boolean {
  return (
    v[1] === skb.len &&
    v[4] === skb.data &&
    v[5] === skb.tail &&
    v[2] === skb.data_len &&
    v[3] === skb.truesize &&
    v[6] === skb.end &&
    v[7] === skb.mac_header &&
    v[8] === skb.network_header &&
    v[9] === skb.transport_header &&
    v[10] === skb.protocol &&
    v[11] === skb.ip_summed &&
    v[12] === skb.cloned &&
    v[14] === skb.gso_size &&
    v[15] === skb.gso_segs &&
    v[16] === skb.nr_frags &&
    v[17] === skb.vlan_proto &&
    v[18] === skb.vlan_tci
  )
}

/** the first and behind the last byte that differ */
function difference(a: Uint8Array, b: Uint8Array): [number, number] {
  if (Buffer.compare(a, b) === 0) return [0, 0]
  let from = 0
  let to = b.length
  while (from < to && a[from] === b[from]) from++
  while (to > from && a[to - 1] === b[to - 1]) to--
  return [from, to]
}

/** the first bytes of the fragments, as far as a view shows them */
function payloadOf(skb: TracedSkb): Uint8Array {
  const linear = skb.tail - skb.data
  const room = Math.max(0, Math.min(BYTES - linear, skb.data_len))
  const out = new Uint8Array(room)
  for (let i = 0, at = 0; i < skb.nr_frags && at < room; i++) {
    const f = skb.frag(i)
    out.set(f.subarray(0, room - at), at)
    at += f.length
  }
  return out
}
