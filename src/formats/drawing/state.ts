import { decode } from '../../decode/decode.ts'
import type { Kfn, TracedSkb } from '../../trace/tracer.ts'
import { bytesOf, frameBytes } from '../format.ts'
import { firstHeader, layerOf, summary, summed } from '../packet.ts'

/** bytes of a buffer that are drawn and taken apart: all headers, and where the payload begins */
const EXCERPT = 144

/** name, first byte (counted from `data`), bytes, what it means */
type FieldMark = readonly [name: string, offset: number, length: number, meaning: string]

/** A header in a buffer, or its payload. */
export interface Part {
  protocol: string
  /** from `data` on */
  offset: number
  length: number
  fields: FieldMark[]
}

/** An sk_buff as it was at one moment: what a drawing needs, as plain values. Offsets count from `head`, null where unset. */
export interface SkbState {
  id: number
  cloneOf: number
  len: number
  dataLen: number
  truesize: number
  data: number
  tail: number
  end: number
  mac: number | null
  network: number | null
  transport: number | null
  protocol: number
  checksum: string
  cloned: boolean
  gsoSize: number
  gsoSegs: number
  owner: string
  device: string
  /** bytes in each page fragment */
  frags: number[]
  /** the first bytes from `data` on, in hex */
  hex: string
  parts: Part[]
}

/** A frame that a device sent or received. Time in nanoseconds since boot. */
export interface FrameState {
  at: number
  device: string
  netns: string
  direction: 'in' | 'out'
  skb: number
  bytes: number
  from: string
  to: string
  text: string
  hex: string
  parts: Part[]
}

const unset = (offset: number): number | null => (offset === 0xffff ? null : offset)
const hexOf = (b: Uint8Array): string => Buffer.from(b.buffer, b.byteOffset, b.byteLength).toString('hex')

function partsOf(bytes: Uint8Array, first: Parameters<typeof decode>[1], length: number): Part[] {
  return decode(bytes, first, length).map((l) => ({
    protocol: l.protocol,
    offset: l.offset,
    length: l.length,
    fields: l.fields.map((f) => [f.name, f.offset, f.length, f.meaning] as const),
  }))
}

/** a buffer as `fn` has it in hands */
export function stateOf(fn: Kfn, skb: TracedSkb): SkbState {
  const bytes = bytesOf(skb, Math.min(skb.len, EXCERPT))
  const first = firstHeader(skb, layerOf(fn))
  return {
    id: skb.id,
    cloneOf: skb.clone_of,
    len: skb.len,
    dataLen: skb.data_len,
    truesize: skb.truesize,
    data: skb.data,
    tail: skb.tail,
    end: skb.end,
    mac: unset(skb.mac_header),
    network: unset(skb.network_header),
    transport: unset(skb.transport_header),
    protocol: skb.protocol,
    checksum: summed[skb.ip_summed] ?? String(skb.ip_summed),
    cloned: skb.cloned !== 0,
    gsoSize: skb.gso_size,
    gsoSegs: skb.gso_segs,
    owner: skb.owner,
    device: skb.devName,
    frags: Array.from({ length: skb.nr_frags }, (_, i) => skb.frag(i).length),
    hex: hexOf(bytes),
    parts: first === null ? [] : partsOf(bytes, first, skb.len),
  }
}

/** a frame on the wire of a device */
export function frameOf(at: number, device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb): FrameState {
  const bytes = frameBytes(skb)
  const layers = decode(bytes, 'Ethernet', bytes.length)
  const get = (names: readonly string[]): string =>
    layers.flatMap((l) => l.fields).find((f) => names.includes(f.name))?.meaning ?? ''
  const end = (address: string, name: string): string => {
    const l = layers.find((p) => p.protocol === 'TCP' || p.protocol === 'UDP')
    const port = l?.fields.find((x) => x.name === name)?.meaning
    return port === undefined ? address : `${address.includes(':') ? `[${address}]` : address}:${port}`
  }
  return {
    at,
    device,
    netns,
    direction,
    skb: skb.id,
    bytes: bytes.length,
    from: end(get(['saddr', 'spa']) || get(['src']), 'source'),
    to: end(get(['daddr', 'tpa']) || get(['dst']), 'dest'),
    text: summary(layers),
    hex: hexOf(bytes.subarray(0, EXCERPT)),
    parts: partsOf(bytes.subarray(0, EXCERPT), 'Ethernet', bytes.length),
  }
}
