import { NF_ACCEPT, NF_DROP } from '../../../kernel/include/linux/netfilter.ts'
import type { net } from '../../../kernel/include/net/net_namespace.ts'
import {
  NFT_CONTINUE,
  NFT_GOTO,
  NFT_JUMP,
  NFT_REG_1,
  NFT_RETURN,
  type nft_expr,
  type nft_set_elem,
  type nft_table,
  type nft_verdict,
} from '../../../kernel/include/net/netfilter/nf_tables.ts'
import { nft_bitwise } from '../../../kernel/net/netfilter/nft_bitwise.ts'
import { nft_byteorder_hton } from '../../../kernel/net/netfilter/nft_byteorder.ts'
import {
  NFT_CMP_EQ,
  NFT_CMP_GT,
  NFT_CMP_GTE,
  NFT_CMP_LT,
  NFT_CMP_LTE,
  NFT_CMP_NEQ,
  nft_cmp,
} from '../../../kernel/net/netfilter/nft_cmp.ts'
import { nft_lookup_expr } from '../../../kernel/net/netfilter/nft_lookup.ts'
import { nft_range } from '../../../kernel/net/netfilter/nft_range.ts'
import type { Lexer, Token } from './lexer.ts'
import * as t from './types.ts'

/** a rule as it is listed: fixed words, and counters that are read when they are printed */
export type Part = string | (() => string)

/** A rule that is being read. */
export interface Builder {
  readonly lx: Lexer
  readonly net: net
  readonly table: nft_table
  readonly exprs: nft_expr[]
  readonly parts: Part[]
  /** what the rule has made sure of already: NFPROTO_* and IPPROTO_*, 0 for nothing */
  l3: number
  l4: number
}

/** the question whether the register holds an element of a set or map with a name, set by what reads those */
export const named: {
  lookup: (b: Builder, word: Token, type: t.Datatype, invert: boolean, map: boolean) => nft_expr
} = { lookup: (b, word) => b.lx.error('No such file or directory', word) }

const operators: Readonly<Record<string, number>> = {
  '==': NFT_CMP_EQ,
  eq: NFT_CMP_EQ,
  '!=': NFT_CMP_NEQ,
  ne: NFT_CMP_NEQ,
  '<': NFT_CMP_LT,
  lt: NFT_CMP_LT,
  '<=': NFT_CMP_LTE,
  le: NFT_CMP_LTE,
  '>': NFT_CMP_GT,
  gt: NFT_CMP_GT,
  '>=': NFT_CMP_GTE,
  ge: NFT_CMP_GTE,
}
const symbols = ['', '!= ', '< ', '<= ', '> ', '>= ']

interface Value {
  from: Uint8Array
  to: Uint8Array | null
  text: string
  /** of an address: 10.0.0.0/8 */
  prefix: number | null
}

/** 22, 1000-2000, 10.0.0.0/24 */
export function value(b: Builder, type: t.Datatype, word: Token): Value {
  const { text } = word
  const single = type.parse(text)
  if (single !== null) return { from: single, to: null, text: type.format(single), prefix: null }
  const slash = text.indexOf('/')
  if (slash > 0 && (type === t.ipv4_addr || type === t.ipv6_addr)) {
    const address = type.parse(text.slice(0, slash))
    const prefix = /^\d+$/.test(text.slice(slash + 1)) ? Number(text.slice(slash + 1)) : -1
    if (address === null || prefix < 0 || prefix > type.size * 8) b.lx.error(`Could not parse ${type.name}`, word)
    const from = address.map((x, i) => x & maskByte(prefix, i))
    const to = from.map((x, i) => x | (~maskByte(prefix, i) & 0xff))
    const host = prefix === type.size * 8
    return {
      from,
      to: host ? null : to,
      text: host ? type.format(from) : `${type.format(from)}/${prefix}`,
      prefix: host ? null : prefix,
    }
  }
  const dash = text.indexOf('-', 1)
  const from = dash > 0 ? type.parse(text.slice(0, dash)) : null
  const to = dash > 0 ? type.parse(text.slice(dash + 1)) : null
  if (from === null || to === null) {
    if (type === t.inet_service && /^[a-z]/i.test(text))
      b.lx.error('Could not resolve service: Servname not found in nss-services file', word)
    if (type === t.inet_proto && /^[a-z]/i.test(text)) b.lx.error('Could not resolve protocol name', word)
    if (type === t.ipv4_addr || type === t.ipv6_addr) b.lx.error(`Could not resolve hostname: Name or service not known`, word)
    b.lx.error(`Could not parse ${type.name}`, word)
  }
  return { from, to, text: `${type.format(from)}-${type.format(to)}`, prefix: null }
}
const maskByte = (prefix: number, i: number): number => (0xff << (8 - Math.min(8, Math.max(0, prefix - 8 * i)))) & 0xff

/** a key, what is compared with it, and the words of the listing */
export function match(b: Builder, label: string, type: t.Datatype, load: (len: number) => nft_expr): void {
  const { lx } = b
  if (lx.take('vmap')) {
    verdictMap(b, label, type, load)
    return
  }
  let mask: Uint8Array | null = null
  let maskText = ''
  if (lx.take('&', 'and')) {
    const bits = flagsOf(b, type)
    mask = bits.bytes
    maskText = `& ${bits.text} `
  }
  const op = Object.hasOwn(operators, lx.peek) ? (operators[lx.next().text] ?? 0) : -1
  const cmp = op < 0 ? NFT_CMP_EQ : op
  const shown = `${label} ${maskText}${maskText && cmp === NFT_CMP_EQ ? '== ' : symbols[cmp]}`
  if (lx.peek.startsWith('@')) {
    const word = lx.next()
    const lookup = named.lookup(b, word, type, cmp === NFT_CMP_NEQ, false)
    b.exprs.push(load(type.size), lookup)
    b.parts.push(`${shown}${word.text}`)
    return
  }
  if (lx.peek === '{') {
    const elements = set(b, type)
    b.exprs.push(
      load(type.size),
      nft_lookup_expr(
        NFT_REG_1,
        cmp === NFT_CMP_NEQ,
        type.size,
        elements.map((e) => e.element),
      ),
    )
    b.parts.push(`${shown}{ ${elements.map((e) => e.text).join(', ')} }`)
    return
  }
  if (mask !== null || type.bits) {
    const bits = flagsOf(b, type)
    b.exprs.push(load(type.size))
    const zero = new Uint8Array(type.size)
    if (mask !== null) b.exprs.push(nft_bitwise(NFT_REG_1, NFT_REG_1, mask, zero), nft_cmp(NFT_REG_1, cmp, bits.bytes))
    // `ct state new` asks whether the bit is among those that are set
    else if (op < 0) b.exprs.push(nft_bitwise(NFT_REG_1, NFT_REG_1, bits.bytes, zero), nft_cmp(NFT_REG_1, NFT_CMP_NEQ, zero))
    else if (cmp === NFT_CMP_NEQ && bits.list)
      b.exprs.push(nft_bitwise(NFT_REG_1, NFT_REG_1, bits.bytes, zero), nft_cmp(NFT_REG_1, NFT_CMP_EQ, zero))
    else b.exprs.push(nft_cmp(NFT_REG_1, cmp, bits.bytes))
    b.parts.push(`${op === NFT_CMP_EQ && mask === null ? `${label} == ` : shown}${bits.text}`)
    return
  }
  const v = value(b, type, lx.next())
  const bytes = (x: Uint8Array): Uint8Array => (type.network ? x : Uint8Array.from(x).reverse())
  const toNetwork = (): void => {
    if (!type.network) b.exprs.push(nft_byteorder_hton(NFT_REG_1, type.size))
  }
  if (v.to === null) {
    b.exprs.push(load(v.from.length))
    if (cmp > NFT_CMP_NEQ) toNetwork()
    b.exprs.push(nft_cmp(NFT_REG_1, cmp, cmp > NFT_CMP_NEQ ? bytes(v.from) : v.from))
  } else if (v.prefix !== null && v.prefix % 8 === 0 && v.prefix > 0) {
    // nft reads no more of the header than the prefix has
    b.exprs.push(load(v.prefix / 8), nft_cmp(NFT_REG_1, cmp, v.from.slice(0, v.prefix / 8)))
  } else if (v.prefix !== null) {
    const { prefix } = v
    const netmask = v.from.map((_, i) => maskByte(prefix, i))
    b.exprs.push(
      load(type.size),
      nft_bitwise(NFT_REG_1, NFT_REG_1, netmask, new Uint8Array(type.size)),
      nft_cmp(NFT_REG_1, cmp, v.from),
    )
  } else {
    b.exprs.push(load(type.size))
    toNetwork()
    if (cmp === NFT_CMP_NEQ) b.exprs.push(nft_range(NFT_REG_1, true, bytes(v.from), bytes(v.to)))
    else b.exprs.push(nft_cmp(NFT_REG_1, NFT_CMP_GTE, bytes(v.from)), nft_cmp(NFT_REG_1, NFT_CMP_LTE, bytes(v.to)))
  }
  b.parts.push(`${shown}${v.text}`)
}

/** established,related or syn|ack or (syn | ack): all bits together */
function flagsOf(b: Builder, type: t.Datatype): { bytes: Uint8Array; text: string; list: boolean } {
  const bytes = new Uint8Array(type.size)
  const paren = b.lx.take('(')
  const words: string[] = []
  let separator = ','
  do {
    const word = b.lx.next()
    const v = type.parse(word.text)
    if (v === null) b.lx.error(`Could not parse ${type.name}`, word)
    for (const [i, x] of v.entries()) bytes[i] = (bytes[i] ?? 0) | x
    words.push(type.format(v))
    if (b.lx.peek === '|') separator = ' | '
  } while (b.lx.take(',', '|'))
  if (paren) b.lx.expect(')')
  const text = words.join(separator)
  return { bytes, text: paren ? `(${text})` : text, list: words.length > 1 }
}

function set(b: Builder, type: t.Datatype): { element: nft_set_elem; text: string }[] {
  const out: { element: nft_set_elem; text: string }[] = []
  b.lx.expect('{')
  do {
    if (b.lx.peek === '}') break
    const v = value(b, type, b.lx.next())
    out.push({ element: { key: v.from, end: v.to, verdict: null }, text: v.text })
  } while (b.lx.take(','))
  b.lx.expect('}')
  return out.sort((x, y) => compareKeys(x.element.key, y.element.key, type))
}

/** the order in which nft lists a set's elements; negative when `x` is the smaller one */
export function compareKeys(x: Uint8Array, y: Uint8Array, { network }: t.Datatype): number {
  for (let k = 0; k < x.length; k++) {
    const i = network ? k : x.length - 1 - k
    const d = (x[i] ?? 0) - (y[i] ?? 0)
    if (d !== 0) return d
  }
  return 0
}

function verdictMap(b: Builder, label: string, type: t.Datatype, load: (len: number) => nft_expr): void {
  if (b.lx.peek.startsWith('@')) {
    const word = b.lx.next()
    const lookup = named.lookup(b, word, type, false, true)
    b.exprs.push(load(type.size), lookup)
    b.parts.push(`${label} vmap ${word.text}`)
    return
  }
  const elements: { element: nft_set_elem; text: string }[] = []
  b.lx.expect('{')
  do {
    if (b.lx.peek === '}') break
    const word = b.lx.next()
    // `80:accept` may be written without spaces
    const colon = word.text.endsWith(':') ? word.text.length - 1 : -1
    const v = value(b, type, colon > 0 ? { ...word, text: word.text.slice(0, colon) } : word)
    if (colon < 0) b.lx.expect(':')
    const verdict = verdictOf(b, b.lx.next())
    if (verdict === null) b.lx.unexpected('verdict')
    elements.push({ element: { key: v.from, end: v.to, verdict: verdict.verdict }, text: `${v.text} : ${verdict.text}` })
  } while (b.lx.take(','))
  b.lx.expect('}')
  b.exprs.push(
    load(type.size),
    nft_lookup_expr(
      NFT_REG_1,
      false,
      type.size,
      elements.map((e) => e.element),
    ),
  )
  b.parts.push(`${label} vmap { ${elements.map((e) => e.text).join(', ')} }`)
}

/** null for a word that is no verdict */
export function verdictOf(b: Builder, word: Token): { verdict: nft_verdict; text: string } | null {
  const plain = (code: number): { verdict: nft_verdict; text: string } => ({ verdict: { code, chain: null }, text: word.text })
  switch (word.text) {
    case 'accept':
      return plain(NF_ACCEPT)
    case 'drop':
      return plain(NF_DROP)
    case 'continue':
      return plain(NFT_CONTINUE)
    case 'return':
      return plain(NFT_RETURN)
    case 'jump':
    case 'goto': {
      const name = b.lx.next()
      const chain = b.table.chains.get(name.text)
      if (chain === undefined || chain.ops !== null) b.lx.error('Could not process rule: No such file or directory', name)
      return { verdict: { code: word.text === 'jump' ? NFT_JUMP : NFT_GOTO, chain }, text: `${word.text} ${name.text}` }
    }
  }
  return null
}
