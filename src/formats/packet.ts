import type { Layer, Protocol } from '../decode/decode.ts'
import type { Kfn, TracedSkb } from '../trace/tracer.ts'

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

/** what the bytes at `data` are, as far as the header offsets say so; `layer`: of the function that has the buffer */
export function firstHeader(skb: TracedSkb, layer: string): Protocol | null {
  const { data, bytes } = skb
  if (skb.tail <= data) return null
  if (skb.mac_header !== 0xffff && skb.mac_header === data && skb.network_header > data) return 'Ethernet'
  if (skb.network_header === data && (data > 0 || skb.protocol !== 0)) {
    const version = (bytes[data] as number) >> 4
    return version === 4 ? 'IPv4' : version === 6 ? 'IPv6' : bytes[data] === 0 && skb.protocol === 0x0806 ? 'ARP' : null
  }
  if (skb.transport_header !== 0xffff && skb.transport_header === data) {
    const n = skb.network_header
    const proto =
      n > 0 && n < data && (bytes[n] as number) >> 4 === 4
        ? bytes[n + 9]
        : layer === 'TCP'
          ? 6
          : layer === 'UDP'
            ? 17
            : layer === 'ICMP'
              ? 1
              : 0
    return proto === 6 ? 'TCP' : proto === 17 ? 'UDP' : proto === 1 ? 'ICMP' : null
  }
  return null
}

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
