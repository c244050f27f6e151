import { arp } from './arp.ts'
import { ethernet, vlan, vxlan } from './ethernet.ts'
import { Bytes, type Field, type Layer, type Next, type Protocol, type PseudoHeader } from './field.ts'
import { icmp, icmpv6 } from './icmp.ts'
import { ipv4, ipv6 } from './ip.ts'
import { tcp } from './tcp.ts'
import { udp } from './udp.ts'

export type { Field, Layer, Protocol } from './field.ts'

type Header = { fields: Field[]; length: number; next: Next }

function header(p: Protocol, b: Bytes, at: number, end: number, pseudo: PseudoHeader | null): Header {
  switch (p) {
    case 'Ethernet':
      return ethernet(b, at)
    case 'VLAN':
      return vlan(b, at)
    case 'VXLAN':
      return vxlan(b, at)
    case 'ARP':
      return arp(b, at)
    case 'IPv4':
      return ipv4(b, at)
    case 'IPv6':
      return ipv6(b, at)
    case 'TCP':
      return tcp(b, at, end, pseudo)
    case 'UDP':
      return udp(b, at, end, pseudo)
    case 'ICMP':
      return icmp(b, at, end)
    case 'ICMPv6':
      return icmpv6(b, at, end, pseudo)
  }
}

/** bytes that a header must have for its first fields to be read at all */
const least: Readonly<Record<Protocol, number>> = {
  Ethernet: 14,
  VLAN: 4,
  VXLAN: 8,
  ARP: 8,
  IPv4: 20,
  IPv6: 40,
  TCP: 8,
  UDP: 8,
  ICMP: 8,
  ICMPv6: 8,
}

/**
 * Takes a packet apart, from a first header on. `total`: the length of the whole packet, when `data` is only its beginning. What
 * follows the last header that is known is a layer `payload` without fields. Nothing in the bytes makes it throw.
 */
export function decode(data: Uint8Array, first: Protocol, total = data.length): Layer[] {
  const b = new Bytes(data, data.length, total)
  const out: Layer[] = []
  let p: Protocol | 'payload' | 'nothing' = first
  let at = 0
  let end = total
  let pseudo: PseudoHeader | null = null
  while (p !== 'payload' && p !== 'nothing' && at < b.end && out.length < 16) {
    if (Math.min(b.end, end) - at < least[p]) {
      p = 'payload'
      break
    }
    const h = header(p, b, at, end, pseudo)
    out.push({ protocol: p, offset: at, length: Math.min(h.length, total - at), fields: h.fields })
    p = h.next.protocol
    at = h.next.offset
    end = Math.min(h.next.end, total)
    pseudo = h.next.pseudo
  }
  if (p === 'payload' && end > at) out.push({ protocol: 'payload', offset: at, length: end - at, fields: [] })
  if (end < total && at <= end) out.push({ protocol: 'padding', offset: end, length: total - end, fields: [] })
  return out
}

/** the field of that name, for tests and summaries */
export const fieldOf = (l: Layer | undefined, name: string): Field | undefined => l?.fields.find((f) => f.name === name)
