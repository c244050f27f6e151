import { type Call, type Execution, type TracedSkb, tracer, traceTime, type Value } from '../trace/tracer.ts'
import { type Format, frameBytes, isSkb } from './format.ts'
import type { Output } from './output.ts'
import { show, showReturn } from './values.ts'

/** functions whose buffer is shown at their entry: those that the recordings in fixtures/refs probed */
export const probed: ReadonlySet<string> = new Set(
  `__tcp_transmit_skb tcp_v4_send_check ip_local_out __ip_local_out ip_output ip_mc_output ip_finish_output2 __dev_queue_xmit
  sch_direct_xmit validate_xmit_skb loopback_xmit veth_xmit dummy_xmit e1000_xmit_frame netif_rx_internal ip_rcv ip_local_deliver
  tcp_v4_rcv tcp_v4_do_rcv tcp_rcv_established udp_rcv ip6_output ip6_finish_output2 ipv6_rcv tcp_v6_rcv ip_send_skb udp_send_skb
  sk_skb_reason_drop __kfree_skb neigh_resolve_output arp_xmit tcp_ack packet_xmit br_dev_xmit vlan_dev_hard_start_xmit
  fq_codel_enqueue pfifo_fast_enqueue fq_enqueue`.split(/\s+/),
)

const LINEAR = 128
const unset = (offset: number): number | null => (offset === 0xffff ? null : offset)
const hexBytes = (b: Uint8Array): string => Buffer.from(b.buffer, b.byteOffset, b.byteLength).toString('hex')

function plain(v: unknown): Value {
  if (typeof v === 'string' || typeof v === 'number' || typeof v === 'boolean' || v === null) return v
  return v === undefined ? null : show(v, true)
}
const plainFields = (fields: Readonly<Record<string, unknown>>): Record<string, Value> =>
  Object.fromEntries(Object.entries(fields).map(([k, v]) => [k, plain(v)]))

/**
 * Every event as a JSON object on a line of its own, for other programs. Outside of a recorded call nothing is written but the
 * calls themselves. Times are nanoseconds since boot.
 */
export class Jsonl implements Format {
  readonly #out: Output
  #call = 0
  #recording = false
  /** numbers of buffers by first appearance in a `skb` line; those that were freed since are forgotten */
  readonly #numbers = new Map<number, number>()
  #skbs = 0
  #depth = 0
  #softirqs = 0
  #root: string | null = null
  #below = 0
  /** probes by id of the function */
  readonly #probes: boolean[] = []

  constructor(out: Output) {
    this.#out = out
  }

  #line(o: object): void {
    this.#out.write(`${JSON.stringify(o)}\n`)
  }

  begin(title: string, root: string | null): void {
    this.#call++
    this.#recording = true
    this.#depth = 0
    this.#below = 0
    this.#softirqs = 0
    this.#root = root
    this.#line({
      type: 'call',
      call: this.#call,
      title: title.replace(/^> /, ''),
      ts: Math.floor(traceTime()),
      pid: tracer.execution.pid,
      comm: tracer.execution.comm,
    })
  }

  end(result: string): void {
    this.#line({ type: 'result', call: this.#call, result, ts: Math.floor(traceTime()) })
    this.#recording = false
  }

  close(): void {}

  #silent(): boolean {
    return !this.#recording || (this.#root !== null && this.#below === 0)
  }

  enter(call: Call, a?: unknown, b?: unknown, c?: unknown, d?: unknown, e?: unknown, f?: unknown): void {
    if (!this.#recording) return
    const { fn } = call
    if (fn.name === 'handle_softirqs') this.#softirqs++
    if (this.#root === null || this.#below > 0 || fn.name === this.#root) {
      if (this.#root !== null) this.#below++
      this.#out.write(
        `{"type":"enter","ts":${Math.floor(traceTime())},"fn":"${fn.name}","kind":"${call.kind}","depth":${this.#depth++},"line":${call.line}}\n`,
      )
    }
    // probes see a buffer whoever runs: while a timer is waited for, the other end as well
    if (fn.skbArg < 0 || call.kind !== 'call') return
    let probe = this.#probes[fn.id]
    if (probe === undefined) {
      while (this.#probes.length <= fn.id) this.#probes.push(undefined as unknown as boolean)
      probe = probed.has(fn.name)
      this.#probes[fn.id] = probe
    }
    if (!probe) return
    const skb = [a, b, c, d, e, f][fn.skbArg]
    if (isSkb(skb)) this.#skb(fn.name, skb)
  }

  #skb(fn: string, skb: TracedSkb): void {
    let n = this.#numbers.get(skb.id)
    if (n === undefined) {
      n = ++this.#skbs
      this.#numbers.set(skb.id, n)
    }
    this.#line({
      type: 'skb',
      call: this.#call,
      ts: Math.floor(traceTime()),
      fn,
      softirq: this.#softirqs > 0 || tracer.execution.kind === 'softirq',
      skb: n,
      len: skb.len,
      data_len: skb.data_len,
      truesize: skb.truesize,
      headroom: skb.data,
      tail: skb.tail,
      end: skb.end,
      mac_header: unset(skb.mac_header),
      network_header: unset(skb.network_header),
      transport_header: unset(skb.transport_header),
      protocol: `0x${skb.protocol.toString(16).padStart(4, '0')}`,
      ip_summed: skb.ip_summed,
      cloned: skb.cloned,
      linear: hexBytes(skb.bytes.subarray(skb.data, Math.min(skb.tail, skb.data + LINEAR))),
    })
  }

  exit(call: Call, ret: unknown): void {
    if (!this.#recording) return
    if (call.fn.name === 'handle_softirqs') this.#softirqs--
    if (this.#root !== null) {
      if (this.#below === 0) return
      this.#below--
    }
    this.#depth--
    const r = showReturn(call.fn, ret, false)
    this.#out.write(
      `{"type":"exit","ts":${Math.floor(traceTime())},"fn":"${call.fn.name}","kind":"${call.kind}","depth":${this.#depth}${r === '' ? '' : `,"ret":"${r.slice(4)}"`}}\n`,
    )
  }

  copy(bytes: number, from: string, to: string): void {
    if (!this.#silent()) this.#line({ type: 'copy', ts: Math.floor(traceTime()), bytes, from, to })
  }

  decision(where: string, what: string, numbers: Readonly<Record<string, Value>>): void {
    if (!this.#silent()) this.#line({ type: 'decision', ts: Math.floor(traceTime()), fn: where, what, numbers })
  }

  drop(skb: TracedSkb, reason: string, where: string): void {
    if (!this.#silent()) this.#line({ type: 'drop', ts: Math.floor(traceTime()), fn: where, reason, id: skb.id, len: skb.len })
  }

  tracepoint(system: string, name: string, fields: Readonly<Record<string, unknown>>): void {
    if (!this.#silent())
      this.#line({ type: 'tracepoint', ts: Math.floor(traceTime()), system, name, fields: plainFields(fields) })
  }

  indirect(pointer: string, target: string): void {
    if (!this.#silent()) this.#line({ type: 'indirect', ts: Math.floor(traceTime()), pointer, target })
  }

  context(now: Execution): void {
    if (!this.#silent())
      this.#line({ type: 'context', ts: Math.floor(traceTime()), kind: now.kind, comm: now.comm, pid: now.pid, netns: now.netns })
  }

  frame(device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb): void {
    if (this.#silent()) return
    this.#line({
      type: 'frame',
      ts: Math.floor(traceTime()),
      device,
      netns,
      direction,
      id: skb.id,
      len: skb.len,
      bytes: hexBytes(frameBytes(skb)),
    })
  }

  free(skb: TracedSkb): void {
    this.#numbers.delete(skb.id)
    if (!this.#silent()) this.#line({ type: 'free', ts: Math.floor(traceTime()), id: skb.id })
  }
}
