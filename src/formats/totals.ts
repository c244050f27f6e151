import type { TracedSkb } from '../trace/tracer.ts'
import { wrap } from './wrap.ts'

interface Count {
  times: number
  bytes: number
}

const count = (of: Map<string, Count>, key: string, bytes: number): void => {
  const c = of.get(key)
  if (c === undefined) of.set(key, { times: 1, bytes })
  else {
    c.times++
    c.bytes += bytes
  }
}

const some = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`

/** What a call came to: buffers, copies, frames and losses. */
export class Totals {
  /** buffers are numbered as they are made: the newest before the call, and now */
  #before = 0
  #newest = 0
  readonly #copies = new Map<string, Count>()
  readonly #out = new Map<string, Count>()
  readonly #wire = new Map<string, Count>()
  readonly #drops = new Map<string, Count>()

  begin(): void {
    this.#before = this.#newest
    for (const m of [this.#copies, this.#out, this.#wire, this.#drops]) m.clear()
  }

  seen(skb: TracedSkb): void {
    if (skb.id > this.#newest) this.#newest = skb.id
  }

  copied(bytes: number, from: string, to: string): void {
    count(this.#copies, `${from} to ${to}`, bytes)
  }

  /** a frame that a device was given to send */
  sent(device: string, netns: string, bytes: number): void {
    count(this.#out, `${device}${netns === '' ? '' : ` in ${netns}`}`, bytes)
  }

  /** one that a card put on the cable */
  wire(device: string, netns: string, bytes: number): void {
    count(this.#wire, `${device}${netns === '' ? '' : ` in ${netns}`}`, bytes)
  }

  dropped(skb: TracedSkb, reason: string, where: string): void {
    count(this.#drops, `${reason}${where === '' ? '' : ` in ${where}`}`, skb.len)
  }

  /** '' when there is nothing to count */
  text(): string {
    const parts: string[] = []
    const made = this.#newest - this.#before
    if (made > 0) parts.push(`${some(made, 'skb')} made`)
    for (const [what, c] of this.#copies)
      parts.push(`${some(c.bytes, 'byte')} copied ${what}${c.times > 1 ? ` in ${c.times} pieces` : ''}`)
    for (const [device, c] of this.#out) {
      const cable = this.#wire.get(device)
      const split = cable !== undefined && cable.times !== c.times ? `, ${cable.times} on the wire` : ''
      parts.push(`${some(c.times, 'frame')} (${some(c.bytes, 'byte')}) out on ${device}${split}`)
    }
    for (const [why, c] of this.#drops) parts.push(`${some(c.times, 'skb')} dropped: ${why}`)
    return parts.length === 0 ? '' : wrap('# ', parts.join(', '))
  }
}
