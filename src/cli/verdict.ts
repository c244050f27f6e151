import { decode, type Layer } from '../decode/decode.ts'
import { type Format, frameBytes, Tee } from '../formats/format.ts'
import { type Call, type TracedSkb, tracer } from '../trace/tracer.ts'

/** the functions that take a packet for a protocol; the last one that ran is as far as it came */
const takers: ReadonlyMap<string, string> = new Map([
  ['__netif_receive_skb_core', 'the device layer'],
  ['arp_rcv', 'ARP'],
  ['ip_rcv_core', 'IPv4'],
  ['ip_forward', 'IPv4 forwarding'],
  ['ip_local_deliver', 'IPv4'],
  ['ip_defrag', 'IPv4 reassembly'],
  ['icmp_rcv', 'ICMP'],
  ['tcp_v4_rcv', 'TCP'],
  ['udp_rcv', 'UDP'],
  ['raw_rcv', 'a raw socket'],
  ['packet_rcv', 'a packet socket'],
  ['ip6_rcv_core', 'IPv6'],
  ['ip6_forward', 'IPv6 forwarding'],
  ['ipv6_frag_rcv', 'IPv6 reassembly'],
  ['icmpv6_rcv', 'ICMPv6'],
  ['tcp_v6_rcv', 'TCP'],
  ['udpv6_rcv', 'UDP'],
  ['br_handle_frame', 'the bridge'],
  ['vlan_do_receive', 'VLAN'],
])

/** a socket: it can say who it is */
interface Described {
  describe(): string
}
const describes = (v: unknown): v is Described =>
  typeof v === 'object' && v !== null && 'describe' in v && typeof v.describe === 'function'

/** Watches what becomes of one frame, for its heading. Passes everything on. */
export class Verdict extends Tee {
  #device = ''
  #root: string | null = null
  /** functions that run below the root */
  #below = 0
  #taken = ''
  #ran = false
  #told = ''
  #drops: string[] = []
  #answers: string[] = []
  /** the socket that a function was given last */
  #socket: Described | null = null

  constructor(to: Format) {
    super([to])
  }

  /** a frame comes in by `device` of the host's own namespace; `root`: below this function it is received */
  start(device: string, root: string | null): void {
    this.#device = device
    this.#root = root
    this.#below = 0
    this.#taken = this.#told = ''
    this.#ran = false
    this.#drops = []
    this.#answers = []
    this.#socket = null
  }

  override enter(call: Call, a?: unknown, b?: unknown, c?: unknown, d?: unknown, e?: unknown, f?: unknown): void {
    const { fn } = call
    if (this.#below > 0 || this.#root === null || fn.name === this.#root) this.#below++
    if (this.#below > 0 && tracer.execution.netns === '') {
      this.#ran = true
      const taker = takers.get(fn.name)
      // an answer is on its way out, or in at the other end, when it was made: the packet itself came no further
      if (taker !== undefined && this.#answers.length === 0) this.#taken = taker
      const owner = describes(a) ? a : describes(b) ? b : null
      if (owner !== null) this.#socket = owner
    }
    super.enter(call, a, b, c, d, e, f)
  }

  override exit(call: Call, ret: unknown): void {
    if (this.#below > 0) this.#below--
    super.exit(call, ret)
  }

  override indirect(pointer: string, target: string): void {
    if (this.#below > 0 && tracer.execution.netns === '' && pointer.includes('data_ready'))
      this.#told = this.#socket?.describe() ?? 'a socket'
    super.indirect(pointer, target)
  }

  override drop(skb: TracedSkb, reason: string, where: string): void {
    if (this.#below > 0 && tracer.execution.netns === '') this.#drops.push(where === '' ? reason : `${reason} in ${where}`)
    super.drop(skb, reason, where)
  }

  override frame(device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb): void {
    if (direction === 'out' && netns === '' && this.#below > 0) {
      const bytes = frameBytes(skb)
      const by = device === this.#device ? '' : ` by ${device}`
      this.#answers.push(`${bytes.length} bytes out${by}, ${describeFrame(bytes)}`)
    }
    super.frame(device, netns, direction, skb)
  }

  /** what became of it, in a few words */
  text(): string {
    const parts: string[] = []
    if (!this.#ran) return 'the card does not take it'
    const drops = [...new Set(this.#drops)].join(', ')
    if (drops !== '' && this.#told === '' && this.#answers.length === 0)
      return `${this.#taken === '' ? 'dropped' : `${this.#taken} drops it`}: ${drops}`
    if (this.#taken !== '') parts.push(`${this.#taken} takes it`)
    if (this.#told !== '') parts.push(`${this.#told} is told`)
    for (const a of this.#answers.slice(0, 3)) parts.push(a)
    if (this.#answers.length > 3) parts.push(`${this.#answers.length - 3} more frames out`)
    if (drops !== '') parts.push(`dropped: ${drops}`)
    return parts.length === 0 ? 'nothing more' : parts.join('; ')
  }
}

const get = (l: Layer, name: string): string => l.fields.find((f) => f.name === name)?.meaning ?? ''

/** `ARP request 10.0.0.2 > 10.0.0.1`, `TCP 10.0.0.1:80 > 10.0.0.2:4000 SYN|ACK` */
export function describeFrame(bytes: Uint8Array): string {
  const layers = decode(bytes, 'Ethernet')
  const ip = layers.find((l) => l.protocol === 'IPv4' || l.protocol === 'IPv6')
  // an ICMP error has a piece of another packet behind it
  const top = layers.find((l) => /^(ARP|TCP|UDP|ICMP)/.test(l.protocol))
  const last = top ?? layers.filter((l) => l.fields.length > 0).at(-1)
  if (last === undefined) return 'no frame'
  const ends = ip === undefined ? ['', ''] : [get(ip, 'saddr'), get(ip, 'daddr')]
  switch (last.protocol) {
    case 'ARP':
      return `ARP ${get(last, 'op')} ${get(last, 'spa')} > ${get(last, 'tpa')}`
    case 'TCP':
      return `TCP ${ends[0]}:${get(last, 'source')} > ${ends[1]}:${get(last, 'dest')} ${get(last, 'flags')}`
    case 'UDP':
      return `UDP ${ends[0]}:${get(last, 'source')} > ${ends[1]}:${get(last, 'dest')}`
    case 'ICMP':
    case 'ICMPv6':
      return `${last.protocol} ${get(last, 'type')} ${ends[0]} > ${ends[1]}`
    default:
      return ip === undefined ? last.protocol : `${last.protocol} ${ends[0]} > ${ends[1]}`
  }
}
