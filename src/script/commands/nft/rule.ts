import { NFPROTO_INET, NFPROTO_IPV4, NFPROTO_IPV6 } from '../../../kernel/include/generated/enums.ts'
import { NFT_REG_1, type nft_expr } from '../../../kernel/include/net/netfilter/nf_tables.ts'
import { __dev_get_by_index, __dev_get_by_name } from '../../../kernel/net/core/dev.ts'
import { NFT_CMP_EQ, nft_cmp } from '../../../kernel/net/netfilter/nft_cmp.ts'
import { nft_counter_expr } from '../../../kernel/net/netfilter/nft_counter.ts'
import { nft_immediate, nft_verdict_expr } from '../../../kernel/net/netfilter/nft_immediate.ts'
import * as meta from '../../../kernel/net/netfilter/nft_meta.ts'
import {
  NFT_PAYLOAD_LL_HEADER,
  NFT_PAYLOAD_NETWORK_HEADER,
  NFT_PAYLOAD_TRANSPORT_HEADER,
  nft_payload_load,
} from '../../../kernel/net/netfilter/nft_payload.ts'
import { type Field, field, IPPROTO, ip, ip6, metaKeys, transport } from './fields.ts'
import type { Token } from './lexer.ts'
import { type Builder, match, value, verdictOf } from './match.ts'
import * as t from './types.ts'

/** statements and matches of connection tracking, NAT and reject, each under its first word */
type Handler = (b: Builder, word: Token) => void
export const handlers: Map<string, Handler> = new Map()

const payload = (base: number, offset: number, len: number): nft_expr => nft_payload_load(base, offset, len, NFT_REG_1)

/** makes sure that the packet is of that family before its header is read */
export function needL3(b: Builder, pf: number, word: Token): void {
  const known = b.table.family === NFPROTO_INET ? b.l3 : b.table.family
  const name = (f: number): string => (f === NFPROTO_IPV4 ? 'ip' : 'ip6')
  if (known === pf) return
  if (known !== 0) b.lx.error(`conflicting protocols specified: ${name(known)} vs. ${name(pf)}`, word)
  b.exprs.push(meta.nft_meta_load(meta.NFT_META_NFPROTO, NFT_REG_1), nft_cmp(NFT_REG_1, NFT_CMP_EQ, Uint8Array.of(pf)))
  b.l3 = pf
}
/** the same for the transport's protocol */
export function needL4(b: Builder, proto: number, word: Token): void {
  if (b.l4 === proto) return
  if (b.l4 !== 0)
    b.lx.error(
      `conflicting protocols specified: ${t.inet_proto.format(Uint8Array.of(b.l4))} vs. ${t.inet_proto.format(Uint8Array.of(proto))}`,
      word,
    )
  b.exprs.push(meta.nft_meta_load(meta.NFT_META_L4PROTO, NFT_REG_1), nft_cmp(NFT_REG_1, NFT_CMP_EQ, Uint8Array.of(proto)))
  b.l4 = proto
}

/** a device by name or number: rules keep its number */
const deviceType = (b: Builder): t.Datatype => ({
  name: 'iface_index',
  size: 4,
  network: false,
  parse: (word) => {
    const index = /^\d+$/.test(word) ? Number(word) : (__dev_get_by_name(b.net, word)?.ifindex ?? 0)
    return index === 0 ? null : Uint8Array.of(index & 0xff, (index >> 8) & 0xff, (index >> 16) & 0xff, index >>> 24)
  },
  format: (x) => {
    const index = (x[0] ?? 0) | ((x[1] ?? 0) << 8) | ((x[2] ?? 0) << 16)
    const dev = __dev_get_by_index(b.net, index)
    return dev === null ? String(index) : `"${dev.name}"`
  },
})

function metaStatement(b: Builder, word: Token): void {
  const key = Object.hasOwn(metaKeys, word.text) ? metaKeys[word.text] : undefined
  if (key === undefined) b.lx.error(`syntax error, unexpected ${word.text}`, word)
  const [id, type, bare] = key
  const label = bare ? word.text : `meta ${word.text}`
  const datatype = type ?? deviceType(b)
  if (b.lx.take('set')) {
    if (id !== meta.NFT_META_MARK && id !== meta.NFT_META_PRIORITY) b.lx.error(`meta key ${word.text} cannot be set`, word)
    const v = value(b, datatype, b.lx.next())
    b.exprs.push(nft_immediate(NFT_REG_1, v.from), meta.nft_meta_set(id, NFT_REG_1))
    b.parts.push(`${label} set ${v.text}`)
    return
  }
  const before = b.exprs.length
  match(b, label, datatype, () => meta.nft_meta_load(id, NFT_REG_1))
  // a plain comparison tells what the packet is: what follows needs not ask again
  const [, cmp] = b.exprs.slice(before)
  const data = (cmp as { data?: Uint8Array; op?: number } | undefined)?.data
  if (b.exprs.length !== before + 2 || data === undefined || (cmp as { op?: number }).op !== NFT_CMP_EQ) return
  if (id === meta.NFT_META_L4PROTO) b.l4 = data[0] ?? 0
  if (id === meta.NFT_META_NFPROTO) b.l3 = data[0] ?? 0
}

function header(b: Builder, word: Token, base: number, fields: Readonly<Record<string, Field>>): void {
  const name = b.lx.next()
  const f = Object.hasOwn(fields, name.text) ? fields[name.text] : undefined
  if (f === undefined) b.lx.error(`syntax error, unexpected ${name.text}`, name)
  match(b, `${word.text} ${name.text}`, f.type, (len) => payload(base, f.offset, len))
}

/** reads the statements of a rule to its end */
export function rule(b: Builder): void {
  const { lx } = b
  if (lx.ended) lx.unexpected('statement')
  while (!lx.ended) {
    const word = lx.next()
    const own = word.quoted ? undefined : handlers.get(word.text)
    if (own !== undefined) own(b, word)
    else statement(b, word)
  }
}

function statement(b: Builder, word: Token): void {
  const { lx } = b
  switch (word.text) {
    case 'counter': {
      let packets = 0
      let bytes = 0
      while (lx.peek === 'packets' || lx.peek === 'bytes') {
        const which = lx.next().text
        const n = Number(lx.next().text)
        if (which === 'packets') packets = n
        else bytes = n
      }
      const e = nft_counter_expr(packets, bytes)
      b.exprs.push(e)
      b.parts.push(() => `counter packets ${e.packets} bytes ${e.bytes}`)
      return
    }
    case 'log':
    case 'queue':
    case 'dup':
    case 'fwd':
    case 'quota':
    case 'synproxy':
    case 'tproxy':
      lx.error(`the statement ${word.text} is not there on this host`, word)
      break
    case 'comment':
      b.parts.push(`comment "${lx.next().text}"`)
      return
    case 'meta':
      metaStatement(b, lx.next())
      return
    case 'ip':
      needL3(b, NFPROTO_IPV4, word)
      header(b, word, NFT_PAYLOAD_NETWORK_HEADER, ip)
      return
    case 'ip6':
      needL3(b, NFPROTO_IPV6, word)
      header(b, word, NFT_PAYLOAD_NETWORK_HEADER, ip6)
      return
    case 'th':
      header(b, word, NFT_PAYLOAD_TRANSPORT_HEADER, { sport: field(t.inet_service, 0), dport: field(t.inet_service, 2) })
      return
    case 'ether': {
      const name = lx.next()
      if (name.text !== 'type') lx.error(`ether ${name.text} is not there on this host`, name)
      match(b, 'ether type', t.ether_type, (len) => payload(NFT_PAYLOAD_LL_HEADER, 12, len))
      return
    }
  }
  const l4 = Object.hasOwn(transport, word.text) ? transport[word.text] : undefined
  if (l4 !== undefined) {
    const [proto, fields] = l4
    if (proto === IPPROTO.icmp) needL3Silently(b, NFPROTO_IPV4)
    if (proto === IPPROTO.icmpv6) needL3Silently(b, NFPROTO_IPV6)
    needL4(b, proto, word)
    header(b, word, NFT_PAYLOAD_TRANSPORT_HEADER, fields)
    return
  }
  if (Object.hasOwn(metaKeys, word.text)) {
    metaStatement(b, word)
    return
  }
  const verdict = verdictOf(b, word) ?? lx.error(`syntax error, unexpected ${word.text}`, word)
  b.exprs.push(nft_verdict_expr(verdict.verdict.code, verdict.verdict.chain))
  b.parts.push(verdict.text)
}

/** icmp in a table of both families: nft asks for the family by way of the protocol number only where that is enough */
function needL3Silently(b: Builder, pf: number): void {
  if (b.table.family !== NFPROTO_INET || b.l3 === pf) return
  b.exprs.push(meta.nft_meta_load(meta.NFT_META_NFPROTO, NFT_REG_1), nft_cmp(NFT_REG_1, NFT_CMP_EQ, Uint8Array.of(pf)))
  b.l3 = pf
}
