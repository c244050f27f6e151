import { type TracedSkb, traceTime } from '../trace/tracer.ts'
import { type Format, frameBytes } from './format.ts'
import type { Output } from './output.ts'

/** pcap with nanoseconds: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html */
const NANOSECONDS = 0xa1b23c4d
const ETHERNET = 1
/** bytes of a packet that a reader has to be prepared for: what libpcap takes at most */
const SNAPLEN = 262144

/** The frames of the host's own network namespace, in the older form that has no interfaces, directions or comments. */
export class Pcap implements Format {
  readonly #out: Output

  constructor(out: Output) {
    this.#out = out
    const b = new Uint8Array(24)
    const d = new DataView(b.buffer)
    d.setUint32(0, NANOSECONDS, true)
    d.setUint16(4, 2, true)
    d.setUint16(6, 4, true)
    d.setUint32(16, SNAPLEN, true)
    d.setUint32(20, ETHERNET, true)
    out.writeBytes(b)
  }

  frame(_device: string, netns: string, _direction: 'in' | 'out', skb: TracedSkb): void {
    if (netns !== '') return
    const whole = frameBytes(skb)
    const bytes = whole.subarray(0, SNAPLEN)
    const ns = Math.floor(traceTime())
    const head = new Uint8Array(16)
    const d = new DataView(head.buffer)
    d.setUint32(0, Math.floor(ns / 1e9), true)
    d.setUint32(4, ns % 1e9, true)
    d.setUint32(8, bytes.length, true)
    d.setUint32(12, whole.length, true)
    this.#out.writeBytes(head)
    this.#out.writeBytes(bytes)
  }

  begin(): void {}
  end(): void {}
  enter(): void {}
  exit(): void {}
  close(): void {}
}
