import { type CardEvent, traceCard, tracer, type Value } from '../trace/tracer.ts'

/** Which device a card belongs to: its events carry that name. */
export interface CardOwner {
  readonly name: string
  /** its network namespace, '' for the host's own */
  readonly netnsName: string
}

/** numbers by the names that a manual has for them */
export type Fields = Readonly<Record<string, Value>>

/** One descriptor as it lies in its ring, by the names of the card's manual. */
export interface DescriptorView {
  readonly index: number
  readonly fields: Fields
}

/** A ring as it is: what the driver has given to the card and the card not finished is from `head` up to `tail`. */
export interface RingView {
  readonly name: 'tx' | 'rx'
  readonly size: number
  readonly head: number
  readonly tail: number
  /** as many as are asked for, the newest last */
  readonly descriptors: readonly DescriptorView[]
}

/** What can be looked at in a card without changing it. */
export interface Inspectable {
  owner: CardOwner | null
  registers(): Map<string, number>
  /** both rings, of each at most `last` descriptors that were used last */
  rings(last: number): RingView[]
}

/** Says what a card was told or did, when somebody listens. */
export function say(
  owner: CardOwner | null,
  what: CardEvent['what'],
  name: string,
  index: number,
  fields: Fields,
  bytes: Uint8Array | null = null,
): void {
  if (tracer.on && owner !== null) traceCard({ device: owner.name, netns: owner.netnsName, what, name, index, fields, bytes })
}

export const nothing: Fields = {}

/** the names of the bits that are set, in the order of `names`: `DD EOP` */
export const bits = (value: number, names: readonly (readonly [string, number])[]): string =>
  names
    .filter(([, bit]) => (value & bit) !== 0)
    .map(([name]) => name)
    .join(' ')

/** an address of the card's: `0x10001240` */
export const address = (low: number, high: number): string => `0x${(high * 2 ** 32 + low).toString(16)}`
