import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { traceIndirect, tracer } from '../../../trace/tracer.ts'
import type { net } from '../../include/net/net_namespace.ts'
import {
  NFT_BREAK,
  type nft_expr,
  type nft_expr_ops,
  type nft_pktinfo,
  type nft_regs,
  nft_set,
  type nft_set_elem,
  type nft_set_ops,
} from '../../include/net/netfilter/nf_tables.ts'

const at = (set: nft_set, key: Uint8Array, from: number): nft_set_elem | null =>
  set.index.get(key.subarray(from, from + set.klen).join()) ?? null

export const nft_hash_lookup_fast = kfunc(
  'nft_hash_lookup_fast',
  (_n: net, set: nft_set, key: Uint8Array, from: number): nft_set_elem | null => at(set, key, from),
)
export const nft_hash_lookup = kfunc(
  'nft_hash_lookup',
  (_n: net, set: nft_set, key: Uint8Array, from: number): nft_set_elem | null => at(set, key, from),
)
export const nft_rhash_lookup = kfunc(
  'nft_rhash_lookup',
  (_n: net, set: nft_set, key: Uint8Array, from: number): nft_set_elem | null => at(set, key, from),
)
export const nft_bitmap_lookup = kfunc(
  'nft_bitmap_lookup',
  (_n: net, set: nft_set, key: Uint8Array, from: number): nft_set_elem | null => at(set, key, from),
)

/** memcmp() of a key with the bytes at `from` */
function cmp(a: Uint8Array, key: Uint8Array, from: number): number {
  for (let i = 0; i < a.length; i++) {
    const d = (a[i] as number) - (key[from + i] as number)
    if (d !== 0) return d
  }
  return 0
}

/** intervals, and what is neither of these */
export const nft_rbtree_lookup = kfunc(
  'nft_rbtree_lookup',
  (_n: net, set: nft_set, key: Uint8Array, from: number): nft_set_elem | null => {
    for (const e of set.elements) if (cmp(e.key, key, from) <= 0 && cmp(e.end ?? e.key, key, from) >= 0) return e
    return null
  },
)

const hash_fast: nft_set_ops = { name: 'hash', lookup: nft_hash_lookup_fast }
const hash: nft_set_ops = { name: 'hash', lookup: nft_hash_lookup }
const rhash: nft_set_ops = { name: 'hash', lookup: nft_rhash_lookup }
const bitmap: nft_set_ops = { name: 'bitmap', lookup: nft_bitmap_lookup }
const rbtree: nft_set_ops = { name: 'rbtree', lookup: nft_rbtree_lookup }

/**
 * The best kind of set: constant time, then the least that space grows with elements. `size`: how many there will be is known, as of an
 * anonymous set; only then a table of fixed size will do.
 */
export function nft_select_set_ops(klen: number, interval: boolean, map: boolean, size: boolean): nft_set_ops {
  if (interval) return rbtree
  if (klen <= 2 && !map) return bitmap
  if (!size) return rhash
  return klen === 4 ? hash_fast : hash
}

interface nft_lookup extends nft_expr {
  readonly set: nft_set
  readonly sreg: number
  readonly invert: boolean
}

const nft_set_do_lookup = kfunc(
  'nft_set_do_lookup',
  (n: net, set: nft_set, key: Uint8Array, from: number): nft_set_elem | null => {
    const { lookup } = set.ops
    if (tracer.on) traceIndirect('set->ops->lookup', nameOf(lookup))
    return lookup(n, set, key, from)
  },
)

export const nft_lookup_eval = kfunc('nft_lookup_eval', (expr: nft_expr, regs: nft_regs, pkt: nft_pktinfo): void => {
  const priv = expr as nft_lookup
  const ext = nft_set_do_lookup(pkt.state.net, priv.set, regs.data, priv.sreg)
  if ((ext !== null) === priv.invert) {
    regs.verdict.code = NFT_BREAK
    return
  }
  if (ext !== null && ext.verdict !== null) {
    regs.verdict.code = ext.verdict.code
    regs.verdict.chain = ext.verdict.chain
  }
})

const nft_lookup_ops: nft_expr_ops = {
  name: 'lookup',
  eval: nft_lookup_eval,
  init: (_ctx, expr) => {
    const { set } = expr as nft_lookup
    set.use++
    if (set.handle !== 0) return 0
    for (const { verdict } of (expr as nft_lookup).set.elements) if (verdict?.chain) verdict.chain.use++
    return 0
  },
  destroy: (_ctx, expr) => {
    const { set } = expr as nft_lookup
    set.use--
    if (set.handle !== 0) return
    for (const { verdict } of (expr as nft_lookup).set.elements) if (verdict?.chain) verdict.chain.use--
  },
}

/** an anonymous set with its elements, and the question whether the register is in it */
export function nft_lookup_expr(sreg: number, invert: boolean, klen: number, elements: readonly nft_set_elem[]): nft_expr {
  const interval = elements.some((e) => e.end !== null)
  const map = elements.some((e) => e.verdict !== null)
  const set = new nft_set(map ? '__map%d' : '__set%d', klen, nft_select_set_ops(klen, interval, map, true), elements)
  const e: nft_lookup = { ops: nft_lookup_ops, set, sreg, invert }
  return e
}

/** the question whether the register is in a set with a name */
export function nft_lookup_named(sreg: number, invert: boolean, set: nft_set): nft_expr {
  const e: nft_lookup = { ops: nft_lookup_ops, set, sreg, invert }
  return e
}
