import type { Call, CardEvent, Execution, Sink, TracedSkb, Value } from '../trace/tracer.ts'

/** A sink that writes something for a person or a program: what every file of this folder makes. */
export interface Format extends Sink {
  /**
   * A call begins that is to be shown. `title`: `> send(c, 4096, 0)`, as it was written. `root`: only what runs below this function
   * belongs to it (a timer, which no system call starts); null for a system call.
   */
  begin(title: string, root: string | null): void
  /** The call is over. `result`: `4096` or `-1 EPIPE` */
  end(result: string): void
  /** Something for who reads it, outside of a call: what a command printed. Forms for programs leave it out. */
  remark?(text: string): void
  /** Nothing more comes. */
  close(): void
}

/** Hands every event to each of several formats. */
export class Tee implements Format {
  readonly #to: readonly Format[]
  /** only there when one of them wants it: the kernel does not work out numbers for nobody */
  readonly counters?: NonNullable<Sink['counters']>

  constructor(to: readonly Format[]) {
    this.#to = to
    const wanted = to.filter((s) => s.counters !== undefined)
    if (wanted.length > 0)
      this.counters = (of, netns, values) => {
        for (const s of wanted) s.counters?.(of, netns, values)
      }
  }

  begin(title: string, root: string | null): void {
    for (const s of this.#to) s.begin(title, root)
  }
  end(result: string): void {
    for (const s of this.#to) s.end(result)
  }
  close(): void {
    for (const s of this.#to) s.close()
  }
  enter(call: Call, a?: unknown, b?: unknown, c?: unknown, d?: unknown, e?: unknown, f?: unknown): void {
    for (const s of this.#to) s.enter(call, a, b, c, d, e, f)
  }
  exit(call: Call, ret: unknown): void {
    for (const s of this.#to) s.exit(call, ret)
  }
  copy(bytes: number, from: string, to: string): void {
    for (const s of this.#to) s.copy?.(bytes, from, to)
  }
  decision(where: string, what: string, numbers: Readonly<Record<string, Value>>): void {
    for (const s of this.#to) s.decision?.(where, what, numbers)
  }
  drop(skb: TracedSkb, reason: string, where: string): void {
    for (const s of this.#to) s.drop?.(skb, reason, where)
  }
  tracepoint(system: string, name: string, fields: Readonly<Record<string, unknown>>): void {
    for (const s of this.#to) s.tracepoint?.(system, name, fields)
  }
  indirect(pointer: string, target: string): void {
    for (const s of this.#to) s.indirect?.(pointer, target)
  }
  context(now: Execution, before: Execution): void {
    for (const s of this.#to) s.context?.(now, before)
  }
  frame(device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb): void {
    for (const s of this.#to) s.frame?.(device, netns, direction, skb)
  }
  free(skb: TracedSkb): void {
    for (const s of this.#to) s.free?.(skb)
  }
  remark(text: string): void {
    for (const s of this.#to) s.remark?.(text)
  }
  card(event: CardEvent): void {
    for (const s of this.#to) s.card?.(event)
  }
}

/** The bytes of a whole buffer, head and fragments, at most `limit` of them. */
export function bytesOf(skb: TracedSkb, limit = skb.len): Uint8Array {
  const linear = skb.bytes.subarray(skb.data, Math.min(skb.tail, skb.data + limit))
  if (skb.nr_frags === 0 || linear.length >= limit) return linear
  const out = new Uint8Array(Math.min(limit, skb.len))
  out.set(linear)
  let at = linear.length
  for (let i = 0; i < skb.nr_frags && at < out.length; i++) {
    const frag = skb.frag(i)
    out.set(frag.subarray(0, out.length - at), at)
    at += frag.length
  }
  return out.subarray(0, Math.min(at, out.length))
}

/** the whole frame, with its link header: what is received has it before `data`; a tag that rides beside the frame is put in */
export function frameBytes(skb: TracedSkb): Uint8Array {
  const behind = bytesOf(skb)
  const pulled = skb.mac_header < skb.data ? skb.data - skb.mac_header : 0
  if (pulled === 0 && skb.vlan_proto === 0) return behind
  const tag = skb.vlan_proto === 0 ? 0 : 4
  const out = new Uint8Array(pulled + behind.length + tag)
  const whole = new Uint8Array(pulled + behind.length)
  whole.set(skb.bytes.subarray(skb.data - pulled, skb.data))
  whole.set(behind, pulled)
  if (tag === 0) return whole
  out.set(whole.subarray(0, 12))
  out.set([skb.vlan_proto >> 8, skb.vlan_proto & 0xff, skb.vlan_tci >> 8, skb.vlan_tci & 0xff], 12)
  out.set(whole.subarray(12), 16)
  return out
}

/** an argument or a result that is an sk_buff */
export const isSkb = (v: unknown): v is TracedSkb =>
  typeof v === 'object' && v !== null && 'truesize' in v && 'transport_header' in v
