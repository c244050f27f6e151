import { type TracedSkb, traceTime } from '../trace/tracer.ts'
import { type Format, frameBytes } from './format.ts'
import type { Output } from './output.ts'

const SECTION = 0x0a0d0d0a
const INTERFACE = 1
const PACKET = 6
const LINKTYPE_ETHERNET = 1

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
const text = (code: number, value: string): Uint8Array => option(code, utf8.encode(value))
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

export interface PcapngOptions {
  /** what made the capture: the command line */
  comment: string
  application: string
  /** devices of this network namespace only, '' for the host's own; all when it is not said */
  netns?: string
}

/**
 * Frames as a capture that Wireshark and tcpdump read: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html. An interface
 * for each device, times in nanoseconds since boot, the number of the buffer as packet id.
 */
export class Pcapng implements Format {
  readonly #out: Output
  readonly #interfaces = new Map<string, number>()
  readonly #netns: string | undefined

  constructor(out: Output, options: PcapngOptions) {
    this.#out = out
    this.#netns = options.netns
    const fixed = new Uint8Array(16)
    const d = new DataView(fixed.buffer)
    d.setUint32(0, 0x1a2b3c4d, true)
    d.setUint16(4, 1, true)
    d.setBigInt64(8, -1n, true)
    out.writeBytes(
      block(SECTION, [
        fixed,
        text(1, options.comment),
        text(3, 'Linux 6.12.117 (simulated)'),
        text(4, options.application),
        endOfOptions,
      ]),
    )
  }

  #interface(device: string, netns: string): number {
    const name = netns === '' ? device : `${netns}/${device}`
    let n = this.#interfaces.get(name)
    if (n === undefined) {
      n = this.#interfaces.size
      this.#interfaces.set(name, n)
      const fixed = new Uint8Array(8)
      new DataView(fixed.buffer).setUint16(0, LINKTYPE_ETHERNET, true)
      const where = netns === '' ? `device ${device}` : `device ${device} in the network namespace ${netns}`
      this.#out.writeBytes(block(INTERFACE, [fixed, text(2, name), text(3, where), option(9, Uint8Array.of(9)), endOfOptions]))
    }
    return n
  }

  frame(device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb): void {
    if (this.#netns !== undefined && netns !== this.#netns) return
    const at = this.#interface(device, netns)
    const bytes = frameBytes(skb)
    const fixed = new Uint8Array(20)
    const d = new DataView(fixed.buffer)
    const ns = BigInt(Math.floor(traceTime()))
    d.setUint32(0, at, true)
    d.setUint32(4, Number(ns >> 32n), true)
    d.setUint32(8, Number(ns & 0xffffffffn), true)
    d.setUint32(12, bytes.length, true)
    d.setUint32(16, bytes.length, true)
    const flags = new Uint8Array(4)
    flags[0] = direction === 'in' ? 1 : 2
    const id = new Uint8Array(8)
    new DataView(id.buffer).setBigUint64(0, BigInt(skb.id), true)
    this.#out.writeBytes(block(PACKET, [fixed, bytes, option(2, flags), option(5, id), endOfOptions]))
  }

  enter(): void {}
  exit(): void {}
  begin(): void {}
  end(): void {}
  close(): void {}
}
