import { decodeIpv6, encodeIpv6 } from './addresses.ts'

/** A kind of value that rules compare: how it is written, and the bytes that it has in a register. */
export interface Datatype {
  /** what nft calls it in its errors */
  readonly name: string
  readonly size: number
  /** lies in a register as in a packet; false for the host's own numbers */
  readonly network: boolean
  /** null for a word that is no such value */
  readonly parse: (word: string) => Uint8Array | null
  readonly format: (bytes: Uint8Array) => string
  /** values are sets of bits: a list of them means any of these */
  readonly bits?: boolean
}

const big = (v: number, size: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => Math.floor(v / 2 ** (8 * (size - 1 - i))) & 0xff)
const little = (v: number, size: number): Uint8Array => big(v, size).reverse()
const fromBig = (b: Uint8Array): number => b.reduce((v, x) => v * 256 + x, 0)
const fromLittle = (b: Uint8Array): number => fromBig(Uint8Array.from(b).reverse())

const number = (word: string): number | null => (/^(0x[0-9a-f]+|\d+)$/i.test(word) ? Number(word) : null)

function named(
  name: string,
  size: number,
  network: boolean,
  names: Readonly<Record<string, number>>,
  format: (v: number) => string,
  bits = false,
): Datatype {
  const encode = network ? big : little
  return {
    name,
    size,
    network,
    bits,
    parse: (word) => {
      const v = (Object.hasOwn(names, word) ? names[word] : undefined) ?? number(word)
      return v === null || v >= 2 ** (8 * size) ? null : encode(v, size)
    },
    format: (b) => format(network ? fromBig(b) : fromLittle(b)),
  }
}
const nameIn = (names: Readonly<Record<string, number>>, v: number): string =>
  Object.entries(names).find(([, n]) => n === v)?.[0] ?? String(v)

const protocols = {
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  gre: 47,
  esp: 50,
  ah: 51,
  'ipv6-icmp': 58,
  icmpv6: 58,
  sctp: 132,
  udplite: 136,
}
const services = { ftp: 21, ssh: 22, telnet: 23, smtp: 25, domain: 53, http: 80, ntp: 123, https: 443 }
const families = { ipv4: 2, ipv6: 10 }
const etherTypes = { ip: 0x0800, arp: 0x0806, ip6: 0x86dd, vlan: 0x8100 }
const states = { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 }
const flags = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, ecn: 64, cwr: 128 }
const statuses = { expected: 1, 'seen-reply': 2, assured: 4, confirmed: 8, snat: 16, dnat: 32, dying: 512 }
const directions = { original: 0, reply: 1 }
const pkttypes = { host: 0, unicast: 0, broadcast: 1, multicast: 2, other: 3 }
export const icmpTypes = {
  'echo-reply': 0,
  'destination-unreachable': 3,
  'source-quench': 4,
  redirect: 5,
  'echo-request': 8,
  'time-exceeded': 11,
  'parameter-problem': 12,
  'timestamp-request': 13,
  'timestamp-reply': 14,
}
const icmpv6Types = {
  'destination-unreachable': 1,
  'packet-too-big': 2,
  'time-exceeded': 3,
  'parameter-problem': 4,
  'echo-request': 128,
  'echo-reply': 129,
  'nd-router-solicit': 133,
  'nd-router-advert': 134,
  'nd-neighbor-solicit': 135,
  'nd-neighbor-advert': 136,
}
const hex = (v: number): string => `0x${v.toString(16).padStart(8, '0')}`
const names =
  (of: Readonly<Record<string, number>>) =>
  (v: number): string =>
    nameIn(of, v)
const bitNames =
  (of: Readonly<Record<string, number>>) =>
  (v: number): string =>
    Object.entries(of)
      .filter(([, bit]) => (v & bit) !== 0)
      .map(([name]) => name)
      .join(',')

export const inet_proto = named('inet_proto', 1, true, protocols, names(protocols))
export const inet_service = named('inet_service', 2, true, services, String)
export const nf_proto = named('nf_proto', 1, true, families, names(families))
export const ether_type = named('ether_type', 2, true, etherTypes, names(etherTypes))
export const mark = named('mark', 4, false, {}, hex)
export const integer8 = named('integer', 1, true, {}, String)
export const integer16 = named('integer', 2, true, {}, String)
export const integer32 = named('integer', 4, true, {}, String)
export const host_integer = named('integer', 4, false, {}, String)
export const uid = named('uid', 4, false, { root: 0 }, String)
export const pkt_type = named('pkt_type', 1, true, pkttypes, names(pkttypes))
export const ct_state = named('ct_state', 4, false, states, bitNames(states), true)
export const ct_status = named('ct_status', 4, false, statuses, bitNames(statuses), true)
export const ct_dir = named('ct_dir', 1, true, directions, names(directions))
export const tcp_flag = named('tcp_flag', 1, true, flags, bitNames(flags), true)
export const icmp_type = named('icmp_type', 1, true, icmpTypes, names(icmpTypes))
export const icmpv6_type = named('icmpv6_type', 1, true, icmpv6Types, names(icmpv6Types))

export const ipv4_addr: Datatype = {
  name: 'ipv4_addr',
  size: 4,
  network: true,
  parse: (word) => {
    const p = word.split('.')
    return p.length === 4 && p.every((x) => /^\d{1,3}$/.test(x) && Number(x) < 256) ? Uint8Array.from(p, Number) : null
  },
  format: (b) => b.join('.'),
}
export const ipv6_addr: Datatype = { name: 'ipv6_addr', size: 16, network: true, parse: decodeIpv6, format: encodeIpv6 }

/** an interface's name, all 16 bytes; `eth*` compares what comes before the star */
export const ifname: Datatype = {
  name: 'ifname',
  size: 16,
  network: true,
  parse: (word) => {
    if (word.length > 15) return null
    const star = word.endsWith('*')
    const bytes = new Uint8Array(star ? word.length - 1 : 16)
    for (let i = 0; i < word.length - (star ? 1 : 0); i++) bytes[i] = word.charCodeAt(i)
    return bytes
  },
  format: (b) => {
    const text = String.fromCharCode(...b.filter((c) => c !== 0))
    return `"${b.length < 16 ? `${text}*` : text}"`
  },
}
