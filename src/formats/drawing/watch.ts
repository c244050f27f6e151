import type { Kfn, TracedSkb } from '../../trace/tracer.ts'
import { type SkbState, stateOf } from './state.ts'

/** bytes from `data` on that are looked at for changes: the headers */
const HEADERS = 128

interface Seen {
  geometry: number
  owner: string
  device: string
  bytes: number
}

const geometryOf = (s: TracedSkb): number => {
  let h = s.data
  for (const v of [
    s.len,
    s.data_len,
    s.tail,
    s.truesize,
    s.mac_header,
    s.network_header,
    s.transport_header,
    s.nr_frags,
    s.ip_summed,
    s.cloned,
  ])
    h = (Math.imul(h, 31) + v) | 0
  return h
}

function bytesPrint(s: TracedSkb): number {
  let h = 0
  const { bytes } = s
  for (let i = s.data, end = Math.min(s.tail, s.data + HEADERS); i < end; i++) h = Math.imul(h ^ (bytes[i] ?? 0), 0x01000193)
  return h
}

/** Tells when a buffer is no longer what it was when it was looked at last. It holds a few numbers of each buffer that lives. */
export class SkbWatch {
  readonly #seen = new Map<number, Seen>()

  /** the buffer as it is now, or null when nothing has changed; `fn` has it in hands */
  look(fn: Kfn, skb: TracedSkb): SkbState | null {
    const seen = this.#seen.get(skb.id)
    const geometry = geometryOf(skb)
    const bytes = bytesPrint(skb)
    if (seen === undefined) this.#seen.set(skb.id, { geometry, bytes, owner: skb.owner, device: skb.devName })
    else {
      if (seen.geometry === geometry && seen.bytes === bytes && seen.owner === skb.owner && seen.device === skb.devName)
        return null
      seen.geometry = geometry
      seen.bytes = bytes
      seen.owner = skb.owner
      seen.device = skb.devName
    }
    return stateOf(fn, skb)
  }

  forget(skb: TracedSkb): void {
    this.#seen.delete(skb.id)
  }
}
