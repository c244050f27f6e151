import { NF_INET_NUMHOOKS } from '../../include/generated/enums.ts'
import { EBUSY, EEXIST, EINVAL, ENFILE, ENOENT, EOPNOTSUPP } from '../../include/linux/errno.ts'
import { NF_ACCEPT } from '../../include/linux/netfilter.ts'
import type { net } from '../../include/net/net_namespace.ts'
import {
  nft_chain,
  type nft_chain_type,
  type nft_ctx,
  type nft_expr,
  type nft_rule,
  nft_set,
  type nft_set_elem,
  nft_table,
} from '../../include/net/netfilter/nf_tables.ts'
import { nf_register_net_hook, nf_unregister_net_hook } from './core.ts'
import { nft_select_set_ops } from './nft_lookup.ts'

// What nfnetlink asks of nf_tables: tables, chains and rules come and go. Each request takes effect at once; the command looks
// after a batch that fails half-way.

/** struct nftables_pernet */
interface nftables_pernet {
  tables: nft_table[]
  table_handle: number
}
const ID = 'nf_tables'
export function nft_pernet(n: net): nftables_pernet {
  let p = n.gen.get(ID) as nftables_pernet | undefined
  if (p === undefined) {
    p = { tables: [], table_handle: 0 }
    n.gen.set(ID, p)
  }
  return p
}

const chain_types: nft_chain_type[] = []

export function nft_register_chain_type(ctype: nft_chain_type): void {
  const i = chain_types.findIndex((t) => t.family === ctype.family && t.name === ctype.name)
  if (i >= 0) chain_types[i] = ctype
  else chain_types.push(ctype)
}

export const nft_table_lookup = (n: net, family: number, name: string): nft_table | null =>
  nft_pernet(n).tables.find((t) => t.family === family && t.name === name) ?? null

/** @returns 0, also when the table is there already, unless `excl` */
export function nf_tables_newtable(n: net, family: number, name: string, excl: boolean): number {
  if (nft_table_lookup(n, family, name) !== null) return excl ? -EEXIST : 0
  const p = nft_pernet(n)
  p.tables.push(new nft_table(family, name, ++p.table_handle))
  return 0
}

/** a table goes with all that is in it */
export function nf_tables_deltable(n: net, table: nft_table): number {
  const p = nft_pernet(n)
  for (const chain of table.chains.values()) flush(n, chain)
  for (const chain of [...table.chains.values()]) remove(n, chain)
  p.tables = p.tables.filter((t) => t !== table)
  return 0
}

export interface base_chain {
  type: string
  hook: number
  priority: number
}

/** @returns 0, -EEXIST, -ENOENT for a type that does not exist, -EOPNOTSUPP for one that has not got that hook */
export function nf_tables_newchain(
  n: net,
  table: nft_table,
  name: string,
  base: base_chain | null,
  policy: number | null,
  excl: boolean,
): number {
  const there = table.chains.get(name)
  if (there !== undefined) {
    if (excl) return -EEXIST
    const { ops, type } = there
    const same = base === null || (type?.name === base.type && ops?.hooknum === base.hook && ops.priority === base.priority)
    if (!same) return -EEXIST
    if (policy !== null) {
      if (there.ops === null) return -EOPNOTSUPP
      there.policy = policy
    }
    return 0
  }
  const chain = new nft_chain(name, table, ++table.hgenerator)
  if (base !== null) {
    const type = chain_types.find((t) => t.family === table.family && t.name === base.type)
    if (type === undefined) return -ENOENT
    const hook = base.hook < NF_INET_NUMHOOKS ? type.hooks[base.hook] : undefined
    if (hook === undefined) return -EOPNOTSUPP
    // NAT needs the connection to be known: it cannot come before tracking
    if (type.name === 'nat' && base.priority <= -200) return -EOPNOTSUPP
    chain.type = type
    chain.policy = policy ?? NF_ACCEPT
    chain.ops = { hook, dev: null, priv: chain, pf: table.family, hooknum: base.hook, priority: base.priority }
    const err = nf_tables_register_hook(n, chain)
    if (err < 0) return err
  }
  table.chains.set(name, chain)
  return 0
}

function nf_tables_register_hook(n: net, chain: nft_chain): number {
  if (chain.ops === null || chain.type === null) return 0
  return chain.type.ops_register ? chain.type.ops_register(n, chain.ops) : nf_register_net_hook(n, chain.ops)
}
function nf_tables_unregister_hook(n: net, chain: nft_chain): void {
  if (chain.ops === null || chain.type === null) return
  if (chain.type.ops_unregister) chain.type.ops_unregister(n, chain.ops)
  else nf_unregister_net_hook(n, chain.ops)
}

function remove(n: net, chain: nft_chain): void {
  nf_tables_unregister_hook(n, chain)
  chain.table.chains.delete(chain.name)
}

export function nf_tables_delchain(n: net, chain: nft_chain): number {
  if (chain.use > 0) return -EBUSY
  flush(n, chain)
  remove(n, chain)
  return 0
}

/** `exprs` that need something of the kernel (connection tracking, a chain) take it now. @returns the handle, or an error */
export function nf_tables_newrule(n: net, chain: nft_chain, exprs: readonly nft_expr[], udata: unknown, at: number): number {
  const ctx: nft_ctx = { net: n, family: chain.table.family, table: chain.table, chain }
  for (const e of exprs) {
    const err = e.ops.validate?.(ctx, e) ?? 0
    if (err < 0) return err
  }
  for (const [i, e] of exprs.entries()) {
    const err = e.ops.init?.(ctx, e) ?? 0
    if (err < 0) {
      for (const done of exprs.slice(0, i)) done.ops.destroy?.(ctx, done)
      return err
    }
  }
  const rule: nft_rule = { handle: ++chain.table.hgenerator, exprs, udata }
  // a new list: whoever walks the old one goes on with it
  chain.rules = [...chain.rules.slice(0, at), rule, ...chain.rules.slice(at)]
  const err = loops(chain, chain, 0)
  if (err < 0) {
    nf_tables_delrule(n, chain, rule)
    return err
  }
  return rule.handle
}

/** chains that lead back to themselves are refused */
function loops(from: nft_chain, chain: nft_chain, depth: number): number {
  if (depth > 16) return -EINVAL
  for (const rule of chain.rules)
    for (const e of rule.exprs) {
      const next = (e as { verdict?: { chain: nft_chain | null } }).verdict?.chain ?? null
      if (next === null) continue
      if (next === from) return -EINVAL
      const err = loops(from, next, depth + 1)
      if (err < 0) return err
    }
  return 0
}

export function nf_tables_delrule(n: net, chain: nft_chain, rule: nft_rule): number {
  if (!chain.rules.includes(rule)) return -ENOENT
  const ctx: nft_ctx = { net: n, family: chain.table.family, table: chain.table, chain }
  chain.rules = chain.rules.filter((r) => r !== rule)
  for (const e of rule.exprs) e.ops.destroy?.(ctx, e)
  return 0
}

function flush(n: net, chain: nft_chain): void {
  for (const rule of chain.rules) nf_tables_delrule(n, chain, rule)
}
export const nft_delrule_by_chain = flush

/** struct nft_set_desc: what is known of a set before it has elements */
export interface set_desc {
  klen: number
  interval: boolean
  map: boolean
  /** how many elements it may have; 0: nobody said */
  size: number
}

/** @returns 0, also when a set of that name and kind is there already, unless `excl` */
export function nf_tables_newset(table: nft_table, name: string, desc: set_desc, udata: unknown, excl: boolean): number {
  const there = table.sets.get(name)
  if (there !== undefined) return excl || there.klen !== desc.klen ? -EEXIST : 0
  const ops = nft_select_set_ops(desc.klen, desc.interval, desc.map, desc.size > 0)
  const set = new nft_set(name, desc.klen, ops, [])
  set.handle = ++table.hgenerator
  set.udata = udata
  table.sets.set(name, set)
  return 0
}

/** @returns -EBUSY while a rule asks it */
export function nf_tables_delset(table: nft_table, set: nft_set): number {
  if (set.use > 0) return -EBUSY
  nf_tables_delsetelem(set, set.elements)
  table.sets.delete(set.name)
  return 0
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => a.every((v, i) => v === b[i])
const order = (a: Uint8Array, b: Uint8Array): number => {
  const i = a.findIndex((v, k) => v !== b[k])
  return i < 0 ? 0 : (a[i] as number) - (b[i] as number)
}
const sameElement = (a: nft_set_elem, b: nft_set_elem): boolean =>
  sameBytes(a.key, b.key) && (a.end === null ? b.end === null : b.end !== null && sameBytes(a.end, b.end))
const overlap = (a: nft_set_elem, b: nft_set_elem): boolean =>
  order(a.key, b.end ?? b.key) <= 0 && order(b.key, a.end ?? a.key) <= 0

/** what is there already stays as it is. @returns -EEXIST when it is there and `excl`, or an interval lies in the way; -ENFILE when it is full */
export function nf_tables_newsetelem(set: nft_set, elements: readonly nft_set_elem[], size: number, excl: boolean): number {
  const interval = set.ops.name === 'rbtree'
  for (const e of elements) {
    const there = set.elements.find((x) => sameElement(x, e))
    if (there !== undefined) {
      if (excl) return -EEXIST
      if (there.verdict?.code !== e.verdict?.code || there.verdict?.chain !== e.verdict?.chain) return -EEXIST
      continue
    }
    if (interval && set.elements.some((x) => overlap(x, e))) return -EEXIST
    if (size > 0 && set.elements.length >= size) return -ENFILE
    set.elements = [...set.elements, e]
    if (e.end === null) set.index.set(e.key.join(), e)
    if (e.verdict?.chain) e.verdict.chain.use++
  }
  return 0
}

/** @returns -ENOENT when one of them is not there */
export function nf_tables_delsetelem(set: nft_set, elements: readonly nft_set_elem[]): number {
  for (const e of elements) {
    const there = set.elements.find((x) => sameElement(x, e))
    if (there === undefined) return -ENOENT
    set.elements = set.elements.filter((x) => x !== there)
    if (there.end === null) set.index.delete(there.key.join())
    if (there.verdict?.chain) there.verdict.chain.use--
  }
  return 0
}
