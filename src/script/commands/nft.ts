import '../../kernel/net/netfilter/nft_chain_filter.ts'
import '../../kernel/net/netfilter/nft_chain_route.ts'
import './nft/conntrack.ts'
import './nft/limit.ts'
import './nft/nat.ts'
import './nft/reject.ts'
import type { Host } from '../../host/host.ts'
import { NFPROTO_INET, NFPROTO_IPV4, NFPROTO_IPV6 } from '../../kernel/include/generated/enums.ts'
import { load_modules } from '../../kernel/include/linux/init.ts'
import { NF_ACCEPT, NF_DROP } from '../../kernel/include/linux/netfilter.ts'
import type { net } from '../../kernel/include/net/net_namespace.ts'
import type { nft_chain, nft_rule, nft_table } from '../../kernel/include/net/netfilter/nf_tables.ts'
import {
  type base_chain,
  nf_tables_delchain,
  nf_tables_delrule,
  nf_tables_deltable,
  nf_tables_newchain,
  nf_tables_newrule,
  nf_tables_newtable,
  nft_delrule_by_chain,
  nft_pernet,
  nft_table_lookup,
} from '../../kernel/net/netfilter/nf_tables_api.ts'
import { failed, type HostCommand, ok } from '../command.ts'
import { Lexer, NftError, type Token } from './nft/lexer.ts'
import { families, familyName, handle, hooks, hookText, type Listing, priorities, tableText } from './nft/listing.ts'
import type { Builder } from './nft/match.ts'
import { rule } from './nft/rule.ts'
import { addElements, deleteElements, deleteSet, flushSet, newSet, setOf, setText } from './nft/sets.ts'
import { errorText } from './words.ts'

/** the options of nft that change nothing here, and those that a list heeds */
interface Session extends Listing {
  host: Host
  net: net
  lx: Lexer
  out: string
}

/** nft(8): tables, chains and rules of nf_tables */
export const nft: HostCommand = (host, words, netns) => {
  load_modules()
  let handles = false
  let stateless = false
  let at = 1
  for (; (words[at] ?? '').startsWith('-'); at++) {
    const option = words[at] ?? ''
    if (option === '-a' || option === '--handle') handles = true
    else if (option === '-s' || option === '--stateless') stateless = true
    else if (option === '-n' || option === '-nn' || option === '--numeric' || option === '-y') continue
    else return failed(`nft: option ${option} is not there on this host\n`)
  }
  const line = words.slice(at).join(' ')
  if (line.trim() === '') return failed('Usage: nft [ options ] [ cmds... ]\n')
  try {
    const s: Session = { host, net: host.netns(netns), lx: new Lexer(line), handles, stateless, out: '' }
    while (!s.lx.done) {
      if (s.lx.take(';')) continue
      command(s)
      if (!s.lx.done) s.lx.expect(';')
    }
    return ok(s.out)
  } catch (e) {
    if (e instanceof NftError) return failed(e.message)
    throw e
  }
}

function command(s: Session): void {
  const { lx } = s
  switch (lx.peek) {
    case 'add':
    case 'create':
    case 'insert':
    case 'replace': {
      const verb = lx.next().text
      add(s, verb)
      return
    }
    case 'table':
    case 'chain':
    case 'rule':
    case 'set':
    case 'map':
    case 'element':
      add(s, 'add')
      return
    case 'delete':
    case 'destroy': {
      const verb = lx.next().text
      remove(s, verb === 'destroy')
      return
    }
    case 'flush':
      lx.next()
      flush(s)
      return
    case 'list':
      lx.next()
      list(s)
      return
  }
  lx.unexpected('add, delete, flush or list')
}

function family(lx: Lexer): number {
  if (!Object.hasOwn(families, lx.peek)) return NFPROTO_IPV4
  const word = lx.next()
  const f = families[word.text] ?? 0
  if (f !== NFPROTO_IPV4 && f !== NFPROTO_IPV6 && f !== NFPROTO_INET)
    lx.error(`tables of family ${word.text} are not there on this host`, word)
  return f
}

/** @throws NftError with the kernel's answer */
function check(lx: Lexer, err: number, word: Token | null): number {
  return err < 0 ? lx.error(`Could not process rule: ${errorText(-err)}`, word) : err
}
function tableOf(s: Session): { table: nft_table; word: Token } {
  const f = family(s.lx)
  const word = s.lx.next()
  const table = nft_table_lookup(s.net, f, word.text)
  if (table === null) s.lx.error('No such file or directory', word)
  return { table, word }
}
function chainOf(s: Session): { table: nft_table; chain: nft_chain; word: Token } {
  const { table } = tableOf(s)
  const word = s.lx.next()
  const chain = table.chains.get(word.text)
  if (chain === undefined) s.lx.error('No such file or directory', word)
  return { table, chain, word }
}

function add(s: Session, verb: string): void {
  const { lx } = s
  const what = lx.next('table, chain, rule, set, map or element').text
  switch (what) {
    case 'set':
    case 'map':
      newSet(lx, s.net, tableOf(s).table, what === 'map', verb === 'create')
      return
    case 'element':
      addElements(lx, s.net, tableOf(s).table, verb === 'create')
      return
    case 'table': {
      const f = family(lx)
      const word = lx.next()
      check(lx, nf_tables_newtable(s.net, f, word.text, verb === 'create'), word)
      if (lx.take('{')) tableBlock(s, f, word.text)
      return
    }
    case 'chain': {
      const { table } = tableOf(s)
      chain(s, table, lx.next(), verb === 'create')
      return
    }
    case 'rule': {
      const { table, chain: c } = chainOf(s)
      newRule(s, table, c, verb)
      return
    }
    default:
      lx.unexpected('table, chain, rule, set, map or element')
  }
}

function tableBlock(s: Session, f: number, name: string): void {
  const table = nft_table_lookup(s.net, f, name)
  if (table === null) return
  while (!s.lx.take('}')) {
    if (s.lx.take(';')) continue
    if (s.lx.peek === 'set' || s.lx.peek === 'map') {
      newSet(s.lx, s.net, table, s.lx.next().text === 'map', false)
      continue
    }
    if (!s.lx.take('chain')) s.lx.unexpected('chain, set or map')
    chain(s, table, s.lx.next(), false)
  }
}

/** `{ type filter hook output priority 0; policy drop; }`, and rules when it is written inside a table */
function chain(s: Session, table: nft_table, word: Token, excl: boolean): void {
  const { lx } = s
  let base: base_chain | null = null
  let policy: number | null = null
  const hold = (): nft_chain => {
    check(lx, nf_tables_newchain(s.net, table, word.text, base, policy, excl), word)
    const c = table.chains.get(word.text)
    return c ?? lx.error('No such file or directory', word)
  }
  if (!lx.take('{')) {
    hold()
    return
  }
  let made: nft_chain | null = null
  while (!lx.take('}')) {
    if (lx.take(';')) continue
    if (lx.peek === 'type' && made === null) base = hookSpec(lx)
    else if (lx.peek === 'policy' && made === null) policy = policySpec(lx)
    else if (lx.take('comment')) lx.next()
    else {
      made ??= hold()
      newRule(s, table, made, 'add')
    }
  }
  if (made === null) hold()
}

function hookSpec(lx: Lexer): base_chain {
  lx.expect('type')
  const type = lx.next()
  if (type.text !== 'filter' && type.text !== 'nat' && type.text !== 'route') lx.error(`unknown chain type`, type)
  lx.expect('hook')
  const word = lx.next()
  const hook = Object.hasOwn(hooks, word.text) ? hooks[word.text] : undefined
  if (hook === undefined) lx.error(`unknown chain hook`, word)
  lx.expect('priority')
  return { type: type.text, hook, priority: priority(lx) }
}

/** 0, -100, filter, filter + 10, filter - 5 */
function priority(lx: Lexer): number {
  const word = lx.next()
  if (/^-?\d+$/.test(word.text)) return Number(word.text)
  const m = /^([a-z]+)([+-]\d+)?$/.exec(word.text)
  const name = m?.[1] ?? ''
  if (!Object.hasOwn(priorities, name)) lx.error(`priority '${word.text}' is invalid in this context`, word)
  let p = (priorities[name] ?? 0) + Number(m?.[2] ?? 0)
  if (lx.peek === '+' || lx.peek === '-') {
    const sign = lx.next().text === '+' ? 1 : -1
    p += sign * Number(lx.next().text)
  }
  return p
}

function policySpec(lx: Lexer): number {
  lx.expect('policy')
  const word = lx.next()
  if (word.text === 'accept') return NF_ACCEPT
  if (word.text === 'drop') return NF_DROP
  lx.error(`syntax error, unexpected ${word.text}, expecting accept or drop`, word)
}

function newRule(s: Session, table: nft_table, c: nft_chain, verb: string): void {
  const { lx, net: n } = s
  let at = verb === 'insert' ? 0 : c.rules.length
  let old: nft_rule | null = null
  if (lx.peek === 'handle' || lx.peek === 'position' || lx.peek === 'index') {
    const what = lx.next().text
    const word = lx.next('number')
    const found = what === 'index' ? Number(word.text) : c.rules.findIndex((r) => r.handle === Number(word.text))
    if (c.rules[found] === undefined) check(lx, -2, word)
    at = verb === 'insert' || verb === 'replace' ? found : found + 1
    if (verb === 'replace') old = c.rules[found] ?? null
  }
  const first = lx.done ? null : { text: '', from: lx.line.length - lx.line.trimEnd().length, to: lx.line.length, quoted: false }
  const b: Builder = { lx, net: n, table, exprs: [], parts: [], l3: 0, l4: 0 }
  rule(b)
  check(lx, nf_tables_newrule(n, c, b.exprs, b.parts, at), first)
  if (old !== null) nf_tables_delrule(n, c, old)
}

function remove(s: Session, quiet: boolean): void {
  const { lx } = s
  const kind = lx.next('table, chain or rule').text
  try {
    if (kind === 'table') {
      const { table } = tableOf(s)
      nf_tables_deltable(s.net, table)
      return
    }
    if (kind === 'set' || kind === 'map') {
      deleteSet(lx, tableOf(s).table)
      return
    }
    if (kind === 'element') {
      deleteElements(lx, s.net, tableOf(s).table)
      return
    }
    if (kind === 'chain') {
      const { chain: c, word } = chainOf(s)
      check(lx, nf_tables_delchain(s.net, c), word)
      return
    }
    if (kind === 'rule') {
      const { chain: c } = chainOf(s)
      lx.expect('handle')
      const word = lx.next('number')
      const r = c.rules.find((x) => x.handle === Number(word.text))
      if (r === undefined) check(lx, -2, word)
      else nf_tables_delrule(s.net, c, r)
      return
    }
  } catch (e) {
    if (quiet && e instanceof NftError && e.message.includes('No such file')) return
    throw e
  }
  lx.unexpected('table, chain or rule')
}

function flush(s: Session): void {
  const { lx } = s
  switch (lx.next('ruleset, table or chain').text) {
    case 'ruleset': {
      const only = Object.hasOwn(families, lx.peek) ? family(lx) : 0
      for (const t of [...nft_pernet(s.net).tables]) if (only === 0 || t.family === only) nf_tables_deltable(s.net, t)
      return
    }
    case 'table': {
      const { table } = tableOf(s)
      for (const c of table.chains.values()) nft_delrule_by_chain(s.net, c)
      return
    }
    case 'chain':
      nft_delrule_by_chain(s.net, chainOf(s).chain)
      return
    case 'set':
    case 'map':
      flushSet(lx, tableOf(s).table)
      return
  }
  lx.unexpected('ruleset, table or chain')
}

function list(s: Session): void {
  const { lx } = s
  const { tables } = nft_pernet(s.net)
  switch (lx.next('ruleset, tables, table, chains or chain').text) {
    case 'ruleset': {
      const only = Object.hasOwn(families, lx.peek) ? family(lx) : 0
      s.out += tables
        .filter((t) => only === 0 || t.family === only)
        .map((t) => tableText(s, t, [...t.chains.values()]))
        .join('')
      return
    }
    case 'tables':
      s.out += tables.map((t) => `table ${familyName(t.family)} ${t.name}\n`).join('')
      return
    case 'table': {
      const { table } = tableOf(s)
      s.out += tableText(s, table, [...table.chains.values()])
      return
    }
    case 'set':
    case 'map': {
      const { table } = tableOf(s)
      const { set } = setOf(lx, table)
      s.out += `table ${familyName(table.family)} ${table.name} {\n${setText(set, handle(s, set.handle))}}\n`
      return
    }
    case 'chains':
      s.out += tables
        .map(
          (t) =>
            `table ${familyName(t.family)} ${t.name} {\n${[...t.chains.values()].map((c) => `\tchain ${c.name} {\n${hookText(c)}\t}\n`).join('')}}\n`,
        )
        .join('')
      return
    case 'chain': {
      const { table, chain: c } = chainOf(s)
      s.out += tableText(s, table, [c])
      return
    }
  }
  lx.unexpected('ruleset, tables, table, chains or chain')
}
