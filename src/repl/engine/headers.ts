import type { Protocol } from '../../decode/decode.ts'

/** What is needed of a buffer to tell which header its data begins with. Offsets count from the start of `bytes`. */
interface Headers {
  readonly bytes: Uint8Array
  readonly data: number
  readonly tail: number
  readonly mac_header: number
  readonly network_header: number
  readonly transport_header: number
  readonly protocol: number
}

const transports: Readonly<Record<number, Protocol>> = { 1: 'ICMP', 6: 'TCP', 17: 'UDP', 58: 'ICMPv6' }

/** the header that lies at `data`, as far as the offsets and the bytes say; null when that is payload, or nothing yet */
export function firstProtocol(skb: Headers): Protocol | null {
  const { bytes, data, network_header: n } = skb
  if (skb.tail <= data) return null
  if (skb.mac_header !== 0xffff && skb.mac_header === data && n > data) return 'Ethernet'
  const version = (bytes[n] ?? 0) >> 4
  if (n === data && (data > 0 || skb.protocol !== 0))
    return version === 4 ? 'IPv4' : version === 6 ? 'IPv6' : skb.protocol === 0x0806 ? 'ARP' : null
  if (skb.transport_header !== 0xffff && skb.transport_header === data) {
    if (n > 0 && n < data && (version === 4 || version === 6))
      return transports[bytes[version === 4 ? n + 9 : n + 6] ?? 0] ?? null
    // no network header in front yet: TCP writes its own before, and says so by its ports and length
    const doff = (bytes[data + 12] ?? 0) >> 4
    if (doff >= 5 && data + doff * 4 <= skb.tail) return 'TCP'
    return skb.tail - data >= 8 ? 'UDP' : null
  }
  return null
}
