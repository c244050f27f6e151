import { NFPROTO_INET, NFPROTO_IPV4, NFPROTO_IPV6 } from '../../../kernel/include/generated/enums.ts'
import { NFT_REG_1, NFT_REG_2, NFT_REG_3, NFT_REG_4 } from '../../../kernel/include/net/netfilter/nf_tables.ts'
import { NF_NAT_MANIP_DST, NF_NAT_MANIP_SRC } from '../../../kernel/net/netfilter/nf_nat_core.ts'
import { nft_immediate } from '../../../kernel/net/netfilter/nft_immediate.ts'
import { nft_masq, nft_nat_expr } from '../../../kernel/net/netfilter/nft_nat.ts'
import type { Token } from './lexer.ts'
import { type Builder, value } from './match.ts'
import { handlers, needL3 } from './rule.ts'
import * as t from './types.ts'

const registers = [NFT_REG_1, NFT_REG_2, NFT_REG_3, NFT_REG_4] as const
const flagBits: Readonly<Record<string, number>> = { random: 4, persistent: 8, 'fully-random': 16 }

/** random,persistent */
function flags(b: Builder): { bits: number; text: string } {
  let bits = 0
  const words: string[] = []
  while (Object.hasOwn(flagBits, b.lx.peek)) {
    const { text } = b.lx.next()
    bits |= flagBits[text] ?? 0
    words.push(text)
    b.lx.take(',')
  }
  return { bits, text: words.length > 0 ? ` ${words.join(',')}` : '' }
}

/** loads the ends of a range into the next registers; @returns where they are */
function load(b: Builder, next: { at: number }, from: Uint8Array, to: Uint8Array | null): [number, number] {
  const put = (data: Uint8Array): number => {
    const reg = registers[next.at++] ?? NFT_REG_4
    b.exprs.push(nft_immediate(reg, data))
    return reg
  }
  const min = put(from)
  return [min, to === null ? min : put(to)]
}

/** 10.0.0.1, 10.0.0.1:8080, 10.0.0.1-10.0.0.9:1000-2000, :8080 */
function nat(b: Builder, word: Token, type: number): void {
  const { lx } = b
  if (b.table.family === NFPROTO_INET) {
    lx.take('ip')
    needL3(b, NFPROTO_IPV4, word)
  }
  if (b.table.family === NFPROTO_IPV6) lx.error('IPv6 is not translated on this host', word)
  lx.expect('to')
  const target = lx.next()
  const colon = target.text.lastIndexOf(':')
  const address = colon < 0 ? target.text : target.text.slice(0, colon)
  const port = colon < 0 ? '' : target.text.slice(colon + 1)
  const next = { at: 0 }
  let shown = ''
  let addr: [number, number] = [0, 0]
  let proto: [number, number] = [0, 0]
  if (address !== '') {
    const v = value(b, t.ipv4_addr, { ...target, text: address })
    addr = load(b, next, v.from, v.to)
    shown = v.text
  }
  if (port !== '') {
    if (b.l4 === 0) lx.error('transport protocol mapping is only valid after transport protocol match', target)
    const v = value(b, t.inet_service, { ...target, text: port })
    proto = load(b, next, v.from, v.to)
    shown += `:${v.text}`
  }
  const f = flags(b)
  b.exprs.push(nft_nat_expr(type, f.bits, addr[0], addr[1], proto[0], proto[1]))
  b.parts.push(`${word.text}${b.table.family === NFPROTO_INET ? ' ip' : ''} to ${shown}${f.text}`)
}

handlers.set('snat', (b, word) => nat(b, word, NF_NAT_MANIP_SRC))
handlers.set('dnat', (b, word) => nat(b, word, NF_NAT_MANIP_DST))
handlers.set('masquerade', (b, word) => {
  let proto: [number, number] = [0, 0]
  let shown = ''
  if (b.lx.take('to')) {
    const target = b.lx.next()
    if (b.l4 === 0) b.lx.error('transport protocol mapping is only valid after transport protocol match', word)
    const v = value(b, t.inet_service, { ...target, text: target.text.replace(/^:/, '') })
    proto = load(b, { at: 0 }, v.from, v.to)
    shown = ` to :${v.text}`
  }
  const f = flags(b)
  b.exprs.push(nft_masq(f.bits, proto[0], proto[1]))
  b.parts.push(`masquerade${shown}${f.text}`)
})
