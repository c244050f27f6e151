import { type Call, type TracedSkb, tracer, traceTime, type Value } from '../trace/tracer.ts'
import { type Format, frameBytes, isSkb } from './format.ts'
import type { Output } from './output.ts'
import { type Capture, captureOf, ETHERNET, sourceOf } from './pcapng_points.ts'
import { probed } from './probes.ts'
import { argument, showFields } from './values.ts'

const SECTION = 0x0a0d0d0a
const INTERFACE = 1
const NAMES = 4
const PACKET = 6

/** decisions that a packet's comments may have */
const COMMENTS = 8

const utf8 = new TextEncoder()

/** an option: code, length, value, padding to 32 bits */
function option(code: number, value: Uint8Array): Uint8Array {
  const b = new Uint8Array(4 + ((value.length + 3) & ~3))
  const d = new DataView(b.buffer)
  d.setUint16(0, code, true)
  d.setUint16(2, value.length, true)
  b.set(value, 4)
  return b
}
/** a text as an option, cut where its length would not fit */
const text = (code: number, value: string): Uint8Array => option(code, utf8.encode(value).subarray(0, 0xfffc))
const endOfOptions = new Uint8Array(4)

/** a block around its body: type and length before, length behind */
function block(type: number, parts: readonly Uint8Array[]): Uint8Array {
  const length = 12 + parts.reduce((n, p) => n + ((p.length + 3) & ~3), 0)
  const b = new Uint8Array(length)
  const d = new DataView(b.buffer)
  d.setUint32(0, type, true)
  d.setUint32(4, length, true)
  let at = 8
  for (const p of parts) {
    b.set(p, at)
    at += (p.length + 3) & ~3
  }
  d.setUint32(at, length, true)
  return b
}

interface PcapngOptions {
  /** what made the capture: the command line */
  readonly command: string
  readonly version: string
  readonly kernel: string
  /** `all`: besides the frames the buffers, at the entry of each layer's functions */
  readonly points: 'devices' | 'all'
  /** frames of this network namespace only, '' for the host's own; of all when it is not said */
  readonly netns?: string
}

/**
 * Frames as a capture that Wireshark and tcpdump read: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html. An interface
 * for each device, times in nanoseconds since boot, the number of the buffer as packet id.
 */
export class Pcapng implements Format {
  readonly #out: Output
  readonly #o: PcapngOptions
  readonly #interfaces = new Map<string, number>()
  /** addresses that have a name */
  readonly #named = new Set<string>()
  /** functions that run, while a call is recorded */
  readonly #stack: Call[] = []
  #recording = false
  #root: string | null = null
  #below = 0
  #decisions: string[] = []

  constructor(out: Output, options: PcapngOptions) {
    this.#out = out
    this.#o = options
    const fixed = new Uint8Array(16)
    const d = new DataView(fixed.buffer)
    d.setUint32(0, 0x1a2b3c4d, true)
    d.setUint16(4, 1, true)
    d.setBigInt64(8, -1n, true)
    out.writeBytes(
      block(SECTION, [
        fixed,
        text(1, options.command),
        text(3, `Linux ${options.kernel} (simulated)`),
        text(4, `skbtrace ${options.version}`),
        endOfOptions,
      ]),
    )
  }

  #interface(name: string, description: string, linktype: number): number {
    const key = `${name} ${linktype}`
    let n = this.#interfaces.get(key)
    if (n === undefined) {
      n = this.#interfaces.size
      this.#interfaces.set(key, n)
      const fixed = new Uint8Array(8)
      new DataView(fixed.buffer).setUint16(0, linktype, true)
      this.#out.writeBytes(
        block(INTERFACE, [fixed, text(2, name), text(3, description), option(9, Uint8Array.of(9)), endOfOptions]),
      )
    }
    return n
  }

  #packet(at: number, bytes: Uint8Array, length: number, flags: number, id: number, comments: readonly string[]): void {
    const fixed = new Uint8Array(20)
    const d = new DataView(fixed.buffer)
    const ns = BigInt(Math.floor(traceTime()))
    d.setUint32(0, at, true)
    d.setUint32(4, Number(ns >> 32n), true)
    d.setUint32(8, Number(ns & 0xffffffffn), true)
    d.setUint32(12, bytes.length, true)
    d.setUint32(16, length, true)
    const flag = new Uint8Array(4)
    flag[0] = flags
    const packet = new Uint8Array(8)
    new DataView(packet.buffer).setBigUint64(0, BigInt(id), true)
    const notes = comments.map((c) => text(1, c))
    this.#out.writeBytes(block(PACKET, [fixed, bytes, ...notes, option(2, flag), option(5, packet), endOfOptions]))
  }

  #takeDecisions(): string[] {
    const list = this.#decisions
    this.#decisions = []
    return list
  }

  /** whoever sends from an address has it: says so before the first such packet */
  #name(netns: string, direction: 'in' | 'out', bytes: Uint8Array): void {
    const source = direction === 'out' ? sourceOf(bytes) : null
    if (source === null) return
    const key = source.join('.')
    if (this.#named.has(key)) return
    this.#named.add(key)
    const name = source.length === 4 && source[0] === 127 ? 'localhost' : netns === '' ? 'host' : netns
    const value = new Uint8Array([...source, ...utf8.encode(name), 0])
    // a record is laid out like an option: type (1 IPv4, 2 IPv6), length, value; the empty one ends the list, and another the options
    const record = option(source.length === 4 ? 1 : 2, value)
    this.#out.writeBytes(block(NAMES, [record, endOfOptions, endOfOptions]))
  }

  frame(device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb): void {
    if (this.#o.netns !== undefined && netns !== this.#o.netns) return
    const bytes = frameBytes(skb)
    this.#name(netns, direction, bytes)
    const name = netns === '' ? device : `${netns}/${device}`
    const where = netns === '' ? `device ${device}` : `device ${device} in the network namespace ${netns}`
    const comments = this.#takeDecisions()
    const running = this.#stack[this.#stack.length - 1]
    if (running !== undefined) comments.unshift(`${running.fn.name}() ${direction === 'in' ? 'receives' : 'sends'} it`)
    const at = this.#interface(name, where, ETHERNET)
    this.#packet(at, bytes, bytes.length, (direction === 'in' ? 1 : 2) | receptionOf(bytes), skb.id, comments)
  }

  #point(call: Call, skb: TracedSkb): void {
    const capture: Capture | null = captureOf(call.fn, skb)
    if (capture === null) return
    const { netns } = tracer.execution
    if (this.#o.netns !== undefined && netns !== this.#o.netns) return
    const { fn } = call
    const name = netns === '' ? fn.name : `${netns}/${fn.name}`
    const { file, line } = fn.symbol
    const at = this.#interface(
      name,
      file === '' ? `function ${fn.name}` : `function ${fn.name}, ${file}:${line}`,
      capture.linktype,
    )
    const caller = this.#stack[this.#stack.length - 2]
    const comment = `${fn.name}()${caller === undefined ? '' : `, called by ${caller.fn.name}()`}${skb.owner === '' ? '' : `, of ${skb.owner}`}`
    const direction = capture.received ? 1 : 2
    this.#packet(at, capture.bytes.subarray(0, capture.made), capture.length, direction, skb.id, [
      comment,
      ...this.#takeDecisions(),
    ])
  }

  begin(_title: string, root: string | null): void {
    this.#recording = true
    this.#root = root
    this.#below = 0
    this.#stack.length = 0
    this.#decisions = []
  }
  end(): void {
    this.#recording = false
    this.#stack.length = 0
  }
  close(): void {}

  enter(call: Call, a?: unknown, b?: unknown, c?: unknown, d?: unknown, e?: unknown, f?: unknown): void {
    if (!this.#recording) return
    if (this.#root !== null && this.#below === 0 && call.fn.name !== this.#root) return
    this.#below++
    this.#stack.push(call)
    const { fn } = call
    if (this.#o.points !== 'all' || fn.skbArg < 0 || call.kind !== 'call' || !probed.has(fn.name)) return
    const skb = argument(fn.skbArg, a, b, c, d, e, f)
    if (isSkb(skb)) this.#point(call, skb)
  }

  exit(): void {
    if (this.#below === 0) return
    this.#below--
    this.#stack.pop()
  }

  decision(where: string, what: string, numbers: Readonly<Record<string, Value>>): void {
    if (this.#below === 0) return
    const n = showFields(numbers)
    this.#remember(`${where}: ${what}${n === '' ? '' : ` (${n})`}`)
  }

  /** for the next frame; the oldest go when there are too many */
  #remember(text: string): void {
    this.#decisions.push(text)
    if (this.#decisions.length > COMMENTS) this.#decisions.shift()
  }

  drop(_skb: TracedSkb, reason: string, where: string): void {
    if (this.#below > 0) this.#remember(`dropped: ${reason}${where === '' ? '' : ` in ${where}()`}`)
  }
}

/** bits 2 to 4 of a packet's flags: to one, to many, to all */
function receptionOf(frame: Uint8Array): number {
  if (frame.length < 6) return 0
  if (((frame[0] as number) & 1) === 0) return 1 << 2
  return frame.subarray(0, 6).every((b) => b === 0xff) ? 3 << 2 : 2 << 2
}
