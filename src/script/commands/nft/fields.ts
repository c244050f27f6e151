import * as meta from '../../../kernel/net/netfilter/nft_meta.ts'
import * as t from './types.ts'

export const IPPROTO = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 } as const

/** where a header has a field: bytes from its start */
export interface Field {
  type: t.Datatype
  offset: number
}
/** of a header: its type, and its first byte */
export const field = (type: t.Datatype, offset: number): Field => ({ type, offset })

export const ip: Readonly<Record<string, Field>> = {
  length: field(t.integer16, 2),
  id: field(t.integer16, 4),
  ttl: field(t.integer8, 8),
  protocol: field(t.inet_proto, 9),
  checksum: field(t.integer16, 10),
  saddr: field(t.ipv4_addr, 12),
  daddr: field(t.ipv4_addr, 16),
}
export const ip6: Readonly<Record<string, Field>> = {
  length: field(t.integer16, 4),
  nexthdr: field(t.inet_proto, 6),
  hoplimit: field(t.integer8, 7),
  saddr: field(t.ipv6_addr, 8),
  daddr: field(t.ipv6_addr, 24),
}
const tcp: Readonly<Record<string, Field>> = {
  sport: field(t.inet_service, 0),
  dport: field(t.inet_service, 2),
  sequence: field(t.integer32, 4),
  ackseq: field(t.integer32, 8),
  flags: field(t.tcp_flag, 13),
  window: field(t.integer16, 14),
  checksum: field(t.integer16, 16),
  urgptr: field(t.integer16, 18),
}
const udp: Readonly<Record<string, Field>> = {
  sport: field(t.inet_service, 0),
  dport: field(t.inet_service, 2),
  length: field(t.integer16, 4),
  checksum: field(t.integer16, 6),
}
const icmp = (type: t.Datatype): Readonly<Record<string, Field>> => ({
  type: field(type, 0),
  code: field(t.integer8, 1),
  checksum: field(t.integer16, 2),
  id: field(t.integer16, 4),
  sequence: field(t.integer16, 6),
})
export const transport: Readonly<Record<string, [number, Readonly<Record<string, Field>>]>> = {
  tcp: [IPPROTO.tcp, tcp],
  udp: [IPPROTO.udp, udp],
  icmp: [IPPROTO.icmp, icmp(t.icmp_type)],
  icmpv6: [IPPROTO.icmpv6, icmp(t.icmpv6_type)],
}

/** what nft calls the keys of meta */
export const metaKeys: Readonly<Record<string, [number, t.Datatype | null, boolean]>> = {
  // key, type (null: a device), whether it is listed without "meta"
  length: [meta.NFT_META_LEN, t.host_integer, false],
  protocol: [meta.NFT_META_PROTOCOL, t.ether_type, false],
  priority: [meta.NFT_META_PRIORITY, t.mark, false],
  mark: [meta.NFT_META_MARK, t.mark, false],
  iif: [meta.NFT_META_IIF, null, true],
  oif: [meta.NFT_META_OIF, null, true],
  iifname: [meta.NFT_META_IIFNAME, t.ifname, true],
  oifname: [meta.NFT_META_OIFNAME, t.ifname, true],
  skuid: [meta.NFT_META_SKUID, t.uid, false],
  skgid: [meta.NFT_META_SKGID, t.uid, false],
  nfproto: [meta.NFT_META_NFPROTO, t.nf_proto, false],
  l4proto: [meta.NFT_META_L4PROTO, t.inet_proto, false],
  pkttype: [meta.NFT_META_PKTTYPE, t.pkt_type, false],
  cpu: [meta.NFT_META_CPU, t.host_integer, false],
}
