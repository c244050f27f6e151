import type { net } from '../../../kernel/include/net/net_namespace.ts'
import { NFT_REG_1, type nft_set, type nft_set_elem, type nft_table } from '../../../kernel/include/net/netfilter/nf_tables.ts'
import {
  nf_tables_delset,
  nf_tables_delsetelem,
  nf_tables_newset,
  nf_tables_newsetelem,
} from '../../../kernel/net/netfilter/nf_tables_api.ts'
import { nft_lookup_named } from '../../../kernel/net/netfilter/nft_lookup.ts'
import { errorText } from '../words.ts'
import type { Lexer, Token } from './lexer.ts'
import { type Builder, compareKeys, named, value, verdictOf } from './match.ts'
import * as t from './types.ts'

/** what a set with a name was given: how it is listed, and how its elements are read */
interface Given {
  type: t.Datatype
  map: boolean
  interval: boolean
  size: number
  text: Map<nft_set_elem, string>
}
const given = (set: nft_set): Given => set.udata as Given

const types: Readonly<Record<string, t.Datatype>> = {
  ipv4_addr: t.ipv4_addr,
  ipv6_addr: t.ipv6_addr,
  inet_proto: t.inet_proto,
  inet_service: t.inet_service,
  mark: t.mark,
  ifname: t.ifname,
  icmp_type: t.icmp_type,
  icmpv6_type: t.icmpv6_type,
}

const builder = (lx: Lexer, n: net, table: nft_table): Builder => ({ lx, net: n, table, exprs: [], parts: [], l3: 0, l4: 0 })

const refuse = (lx: Lexer, err: number, word: Token | null): void => {
  if (err < 0) lx.error(`Could not process rule: ${errorText(-err)}`, word)
}

/** `{ 10.0.0.1, 10.0.0.0/8, 80 : accept }` into a set that is there */
function read(b: Builder, set: nft_set): { element: nft_set_elem; text: string }[] {
  const { type, map, interval } = given(set)
  const out: { element: nft_set_elem; text: string }[] = []
  b.lx.expect('{')
  do {
    if (b.lx.peek === '}') break
    const word = b.lx.next('element')
    const colon = map && word.text.endsWith(':') ? word.text.length - 1 : -1
    const v = value(b, type, colon > 0 ? { ...word, text: word.text.slice(0, colon) } : word)
    if (v.to !== null && !interval)
      b.lx.error("You must add 'flags interval' to your set declaration if you want to add interval elements", word)
    let verdict: ReturnType<typeof verdictOf> = null
    if (map && (colon > 0 || b.lx.take(':'))) {
      verdict = verdictOf(b, b.lx.next('verdict'))
      if (verdict === null) b.lx.unexpected('verdict')
    }
    const element = { key: v.from, end: v.to, verdict: verdict?.verdict ?? null }
    out.push({ element, text: verdict === null ? v.text : `${v.text} : ${verdict.text}` })
  } while (b.lx.take(','))
  b.lx.expect('}')
  return out
}

function insert(b: Builder, set: nft_set, excl: boolean, word: Token): void {
  const all = read(b, set)
  for (const { element, text } of all) {
    refuse(b.lx, nf_tables_newsetelem(set, [element], given(set).size, excl), word)
    if (set.elements.includes(element)) given(set).text.set(element, text)
  }
}

/** `set NAME { type ipv4_addr; flags interval; size 10; elements = { … }; }`, and `map NAME { type inet_service : verdict; … }` */
export function newSet(lx: Lexer, n: net, table: nft_table, map: boolean, excl: boolean): void {
  const word = lx.next('name')
  const b = builder(lx, n, table)
  lx.expect('{')
  let type: t.Datatype | null = null
  let interval = false
  let size = 0
  let made: nft_set | null = null
  const make = (): nft_set => {
    if (type === null) lx.error(`${map ? 'map' : 'set'} definition does not specify key`, word)
    const udata: Given = { type, map, interval, size, text: new Map() }
    refuse(lx, nf_tables_newset(table, word.text, { klen: type.size, interval, map, size }, udata, excl), word)
    return table.sets.get(word.text) ?? lx.error('No such file or directory', word)
  }
  while (!lx.take('}')) {
    if (lx.take(';')) continue
    const what = lx.next('type, flags, size or elements')
    switch (what.text) {
      case 'type': {
        const name = lx.next('type')
        type = Object.hasOwn(types, name.text) ? (types[name.text] ?? null) : null
        if (type === null) lx.error(`unknown datatype ${name.text}`, name)
        if (lx.peek === '.') lx.error('concatenations are not there on this host', name)
        if (map) {
          lx.expect(':')
          const to = lx.next('verdict')
          if (to.text !== 'verdict') lx.error(`maps to ${to.text} are not there on this host`, to)
        }
        break
      }
      case 'flags':
        do {
          const flag = lx.next('interval')
          if (flag.text === 'interval') interval = true
          else if (flag.text !== 'constant') lx.error(`sets with the flag ${flag.text} are not there on this host`, flag)
        } while (lx.take(','))
        break
      case 'size':
        size = Number(lx.next('number').text)
        break
      case 'comment':
        lx.next()
        break
      case 'elements':
        lx.expect('=')
        made = make()
        insert(b, made, excl, what)
        break
      default:
        lx.error(`syntax error, unexpected ${what.text}`, what)
    }
  }
  if (made === null) make()
}

/** the set of that name, which has to be there */
export function setOf(lx: Lexer, table: nft_table): { set: nft_set; word: Token } {
  const word = lx.next('set')
  const set = table.sets.get(word.text) ?? lx.error('No such file or directory', word)
  return { set, word }
}

/** `add element ip t s { … }` */
export function addElements(lx: Lexer, n: net, table: nft_table, excl: boolean): void {
  const { set, word } = setOf(lx, table)
  insert(builder(lx, n, table), set, excl, word)
}

/** `delete element ip t s { … }` */
export function deleteElements(lx: Lexer, n: net, table: nft_table): void {
  const { set, word } = setOf(lx, table)
  const elements = read(builder(lx, n, table), set).map((e) => e.element)
  refuse(lx, nf_tables_delsetelem(set, elements), word)
}

/** `delete set` */
export function deleteSet(lx: Lexer, table: nft_table): void {
  const { set, word } = setOf(lx, table)
  refuse(lx, nf_tables_delset(table, set), word)
}

/** `flush set` */
export const flushSet = (lx: Lexer, table: nft_table): void => {
  const { set } = setOf(lx, table)
  nf_tables_delsetelem(set, set.elements)
}

/** the set as nft lists it, inside its table */
export function setText(set: nft_set, handle: string): string {
  const { type, map, interval, size, text } = given(set)
  const lines = [`type ${type.name}${map ? ' : verdict' : ''}`]
  if (size > 0) lines.push(`size ${size}`)
  if (interval) lines.push('flags interval')
  const byKey = [...set.elements].sort((a, b) => compareKeys(a.key, b.key, type))
  if (byKey.length > 0) lines.push(`elements = { ${byKey.map((e) => text.get(e) ?? type.format(e.key)).join(', ')} }`)
  return `\t${map ? 'map' : 'set'} ${set.name} {${handle}\n${lines.map((l) => `\t\t${l}\n`).join('')}\t}\n`
}

// `ip saddr @name`, `tcp dport vmap @name`
named.lookup = (b, word, type, invert, map) => {
  const set = b.table.sets.get(word.text.slice(1)) ?? b.lx.error('No such file or directory', word)
  const g = given(set)
  if (g.map !== map) b.lx.error(`${set.name} is a ${g.map ? 'map' : 'set'}`, word)
  if (g.type.size !== type.size) b.lx.error(`datatype mismatch, expected ${type.name}, expression has type ${g.type.name}`, word)
  return nft_lookup_named(NFT_REG_1, invert, set)
}
