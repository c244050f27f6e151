import type { Layer, Protocol } from '../decode/decode.ts'
import type { Kfn } from '../trace/tracer.ts'

/** What a buffer's bytes are, by who has it in hands and by its header offsets; and a packet in one line. */

const layers: readonly (readonly [RegExp, string])[] = [
  [/(\/tcp|tcp\.h)/, 'TCP'],
  [/(\/udp|udp\.h)/, 'UDP'],
  [/\/icmp/, 'ICMP'],
  [/(ipv4\/(ip_|route|raw)|net\/ip\.h|net\/dst\.h|ipv6\/ip6_)/, 'IP'],
  [/(^drivers\/net)/, 'driver'],
  [/^net\/sched\/|sch_generic/, 'qdisc'],
  [/(neighbour|arp)/, 'neighbour'],
  [/net\/core\/dev|netdevice\.h|ethernet/, 'device'],
  [/^net\/unix/, 'AF_UNIX'],
  [/(^net\/socket\.c|af_inet|net\/core\/sock|net\/sock\.h|stream\.c)/, 'socket'],
]

const known: (string | undefined)[] = []

/** the part of the stack that a function belongs to, by its file; '' for a helper of all of them */
export function layerOf(fn: Kfn): string {
  let layer = known[fn.id]
  if (layer === undefined) {
    while (known.length <= fn.id) known.push(undefined)
    layer = layers.find(([test]) => test.test(fn.symbol.file))?.[1] ?? ''
    known[fn.id] = layer
  }
  return layer
}

/** What is needed of a buffer to tell which header its data begins with. Offsets count from the start of `bytes`; 0xffff: not set. */
interface Headers {
  readonly bytes: Uint8Array
  readonly data: number
  readonly tail: number
  readonly mac_header: number
  readonly network_header: number
  readonly transport_header: number
  readonly protocol: number
}

/** by the number that IPv4 and IPv6 headers have for them */
const transports: ReadonlyMap<number, Protocol> = new Map([
  [1, 'ICMP'],
  [6, 'TCP'],
  [17, 'UDP'],
  [58, 'ICMPv6'],
])
/** by who has them in hands, where there is no such header yet */
const byLayer: ReadonlyMap<string, Protocol> = new Map([
  ['TCP', 'TCP'],
  ['UDP', 'UDP'],
  ['ICMP', 'ICMP'],
])

/**
 * The header that lies at `data`, as far as the offsets and the bytes say; null when that is payload, or nothing yet. `layer`: of the
 * function that has the buffer; null when nobody knows.
 */
export function firstHeader(skb: Headers, layer: string | null): Protocol | null {
  const { bytes, data, network_header: n } = skb
  if (skb.tail <= data) return null
  if (skb.mac_header !== 0xffff && skb.mac_header === data && n > data) return 'Ethernet'
  const version = (bytes[n] ?? 0) >> 4
  if (n === data && (data > 0 || skb.protocol !== 0))
    return version === 4 ? 'IPv4' : version === 6 ? 'IPv6' : bytes[n] === 0 && skb.protocol === 0x0806 ? 'ARP' : null
  if (skb.transport_header === 0xffff || skb.transport_header !== data) return null
  if (n > 0 && n < data && (version === 4 || version === 6))
    return transports.get(bytes[version === 4 ? n + 9 : n + 6] ?? 0) ?? null
  // TCP writes its header before there is one in front
  if (layer !== null) return byLayer.get(layer) ?? null
  const doff = (bytes[data + 12] ?? 0) >> 4
  if (doff >= 5 && data + doff * 4 <= skb.tail) return 'TCP'
  return skb.tail - data >= 8 ? 'UDP' : null
}

/** who has worked out a buffer's checksum, by its ip_summed: CHECKSUM_NONE and so on */
export const summed: readonly string[] = ['none', 'unnecessary', 'complete', 'partial']

/** `IPv4 127.0.0.1 > 127.0.0.1, TCP 40000 > 8080 ACK, seq 1, ack 2`: what a frame is, without its link header */
export function summary(parts: readonly Layer[]): string {
  const get = (p: Layer, name: string): string => p.fields.find((f) => f.name === name)?.meaning ?? ''
  return parts
    .filter((p) => p.protocol !== 'Ethernet')
    .map((p) => {
      if (p.protocol === 'TCP')
        return `TCP ${get(p, 'source')} > ${get(p, 'dest')} ${get(p, 'flags')}, seq ${get(p, 'seq')}, ack ${get(p, 'ack_seq')}`
      if (p.protocol === 'UDP') return `UDP ${get(p, 'source')} > ${get(p, 'dest')}`
      if (p.protocol.startsWith('IPv')) return `${p.protocol} ${get(p, 'saddr')} > ${get(p, 'daddr')}`
      if (p.protocol === 'ARP') return `ARP ${get(p, 'op')} ${get(p, 'spa')} > ${get(p, 'tpa')}`
      if (p.protocol.startsWith('ICMP')) return `${p.protocol} ${get(p, 'type')}, ${get(p, 'code')}`
      return p.protocol === 'payload' ? `${p.length} bytes of payload` : p.protocol
    })
    .join(', ')
}
