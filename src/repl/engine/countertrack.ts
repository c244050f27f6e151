import type { Host } from '../../host/host.ts'
import { Series } from './columns.ts'
import { LINE } from './recording.ts'
import type { StateGroup } from './statetrack.ts'
import type { Sampler } from './watcher.ts'

/** A number that only counts, somewhere in a host. */
interface Counter {
  /** '' for the host's own namespace */
  readonly netns: string
  /** `mib.tcp`, or a device */
  readonly of: string
  readonly name: string
}

const keyOf = (c: Counter): string => `${c.netns}\t${c.of}\t${c.name}`

/** the objects that have counters, by namespace and what they are */
function* objects(host: Host): Generator<{ netns: string; of: string; o: Record<string, unknown> }> {
  for (const netns of ['', ...host.netnsNames()]) {
    const net = host.netns(netns)
    for (const [of, o] of Object.entries(net.mib)) yield { netns, of, o: o as Record<string, unknown> }
    for (const dev of net.dev_base_head)
      yield { netns, of: `dev ${dev.name}`, o: dev.stats as unknown as Record<string, unknown> }
  }
}

/** counters that have counted anything: all begin with 0 */
export function countersOf(host: Host): Counter[] {
  const out: Counter[] = []
  for (const { netns, of, o } of objects(host))
    for (const name in o) if (typeof o[name] === 'number' && o[name] !== 0) out.push({ netns, of, name })
  return out
}

/** Some counters through the run. To look at all that there are at every event would take seconds: it is given those that count. */
export class CounterTrack implements Sampler {
  readonly #host: () => Host | null
  readonly #counters: readonly (Counter & { series: Series })[]
  readonly #keys: ReadonlySet<string>
  #bound: Host | null = null
  #objects: (Record<string, unknown> | null)[] = []
  /** device objects come and go with the lines; MIBs are there from boot */
  #missing = false

  constructor(counters: readonly Counter[], host: () => Host | null) {
    this.#host = host
    this.#counters = counters.map((c) => ({ ...c, series: new Series() }))
    this.#keys = new Set(counters.map(keyOf))
  }

  has(c: Counter): boolean {
    return this.#keys.has(keyOf(c))
  }

  #bind(host: Host): void {
    const all = new Map<string, Record<string, unknown>>()
    for (const { netns, of, o } of objects(host)) all.set(`${netns}\t${of}`, o)
    this.#objects = this.#counters.map((c) => all.get(`${c.netns}\t${c.of}`) ?? null)
    this.#missing = this.#objects.includes(null)
    this.#bound = host
  }

  sample(kind: number, event: number): void {
    const host = this.#host()
    if (host === null) return
    // with a line devices may have come
    if (host !== this.#bound || (kind === LINE && this.#missing)) this.#bind(host)
    for (let i = 0; i < this.#counters.length; i++) {
      const c = this.#counters[i]
      const v = c === undefined ? 0 : this.#objects[i]?.[c.name]
      if (typeof v === 'number') c?.series.put(event, v)
    }
  }

  at(event: number): StateGroup[] {
    const groups = new Map<string, StateGroup>()
    for (const c of this.#counters) {
      const v = c.series.at(event) ?? 0
      if (v === 0) continue
      const title = `counters: ${c.of}${c.netns === '' ? '' : ` @${c.netns}`}`
      const g = groups.get(title) ?? { title, rows: [] }
      g.rows.push({ name: c.name, value: String(v) })
      groups.set(title, g)
    }
    return [...groups.values()]
  }

  truncate(event: number): void {
    for (const c of this.#counters) c.series.truncate(event)
    this.#bound = null
  }

  get bytes(): number {
    return this.#counters.reduce((n, c) => n + c.series.bytes, 0)
  }
}
