import { kfunc } from '../../../trace/kfunc.ts'
import { RTNH_F_DEAD, RTNH_F_LINKDOWN } from '../../include/generated/enums.ts'
import { EAGAIN, EEXIST, ENOENT, ESRCH } from '../../include/linux/errno.ts'
import { IPTOS_RT_MASK } from '../../include/linux/ip.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import {
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  RT_SCOPE_NOWHERE,
  RT_TABLE_LOCAL,
} from '../../include/linux/rtnetlink.ts'
import { GFP_KERNEL, type kmem_cache, SLAB_PANIC } from '../../include/linux/slab.ts'
import { IS_ERR } from '../../include/linux/types.ts'
import type { flowi4 } from '../../include/net/flow.ts'
import {
  FIB_LOOKUP_IGNORE_LINKSTATE,
  FIB_LOOKUP_NOREF,
  fib_alias,
  type fib_config,
  type fib_nh_common,
  type fib_result,
  fib_table,
} from '../../include/net/ip_fib.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { call_rcu } from '../../kernel/rcu.ts'
import { kfree, kmem_cache_alloc, kmem_cache_create, kmem_cache_free, kzalloc } from '../../mm/slub.ts'
import { ip_ignore_linkdown } from './devinet.ts'
import { fib_create_info, fib_info_nhc, fib_metrics_match, fib_nh_match, fib_props, fib_release_info } from './fib_semantics.ts'
import { rt_cache_flush } from './route.ts'

const KEYLENGTH = 32
const FA_S_ACCESSED = 1

/**
 * struct trie. Linux keeps the routes in a level-compressed trie; what a look-up does is the same with one table for each prefix
 * length: try the longest first. `leaf[slen]` holds the routes to each prefix of 32 - slen bits, `slens` the lengths in use.
 */
export class trie {
  readonly leaf: (Map<number, fib_alias[]> | null)[] = new Array<Map<number, fib_alias[]> | null>(KEYLENGTH + 1).fill(null)
  slens: number[] = []

  list(key: number, slen: number): fib_alias[] | undefined {
    return this.leaf[slen]?.get(key)
  }
  add(key: number, slen: number, fa: fib_alias, at: number): void {
    let m = this.leaf[slen] ?? null
    if (m === null) {
      m = new Map()
      this.leaf[slen] = m
      this.slens.push(slen)
      this.slens.sort((a, b) => a - b)
    }
    const l = m.get(key)
    if (l === undefined) m.set(key, [fa])
    else l.splice(at, 0, fa)
  }
  remove(key: number, slen: number, fa: fib_alias): void {
    const m = this.leaf[slen]
    const l = m?.get(key)
    if (!m || l === undefined) return
    const i = l.indexOf(fa)
    if (i >= 0) l.splice(i, 1)
    if (l.length === 0) m.delete(key)
    if (m.size === 0) {
      this.leaf[slen] = null
      this.slens = this.slens.filter((s) => s !== slen)
    }
  }
}

let fn_alias_kmem: kmem_cache

const mask_of = (slen: number): number => (slen === 32 ? 0 : (0xffffffff << slen) >>> 0)
const fib_dscp_masked_match = (dscp: number, fl4: flowi4): boolean => dscp === (fl4.flowi4_tos & IPTOS_RT_MASK)

const alias_free_mem_rcu = (fa: fib_alias): void => call_rcu(fa, (f) => kmem_cache_free(fn_alias_kmem, f))

/** whether a next hop can be used for this packet: alive, and by the device that was asked for */
export const fib_lookup_good_nhc = kfunc('fib_lookup_good_nhc', (nhc: fib_nh_common, fib_flags: number, flp: flowi4): boolean => {
  if (nhc.nhc_flags & RTNH_F_DEAD) return false
  if (
    ip_ignore_linkdown(nhc.nhc_dev as net_device) &&
    nhc.nhc_flags & RTNH_F_LINKDOWN &&
    !(fib_flags & FIB_LOOKUP_IGNORE_LINKSTATE)
  )
    return false
  return !(flp.flowi4_oif && flp.flowi4_oif !== nhc.nhc_oif)
})

/** the longest prefix that fits `flp`; -EAGAIN: none in this table */
export const fib_table_lookup = kfunc(
  'fib_table_lookup',
  (tb: fib_table, flp: flowi4, res: fib_result, fib_flags: number): number => {
    const t = tb.tb_data as trie
    const { daddr } = flp
    for (const slen of t.slens) {
      const key = (daddr & mask_of(slen)) >>> 0
      const leaf = t.list(key, slen)
      if (leaf === undefined) continue
      for (const fa of leaf) {
        const fi = fa.fa_info
        if (fa.fa_dscp && !fib_dscp_masked_match(fa.fa_dscp, flp)) continue
        if (fi.fib_dead) continue
        if (fi.fib_scope < flp.flowi4_scope) continue
        fa.fa_state |= FA_S_ACCESSED
        const err = fib_props[fa.fa_type]?.error ?? 0
        if (err < 0) return err
        if (fi.fib_flags & RTNH_F_DEAD) continue
        for (let nhsel = 0; nhsel < fi.fib_nh.length; nhsel++) {
          const nhc = fib_info_nhc(fi, nhsel)
          if (!fib_lookup_good_nhc(nhc, fib_flags, flp)) continue
          if (!(fib_flags & FIB_LOOKUP_NOREF)) fi.fib_clntref++
          res.prefix = key
          res.prefixlen = KEYLENGTH - fa.fa_slen
          res.nh_sel = nhsel
          res.nhc = nhc
          res.type = fa.fa_type
          res.scope = fi.fib_scope
          res.dscp = fa.fa_dscp
          res.fi = fi
          res.table = tb
          res.fa_head = leaf
          return err
        }
      }
    }
    return -EAGAIN
  },
)

/** the first route of the list that is not before (dscp, prio); null: behind all of the table */
const fib_find_alias = kfunc(
  'fib_find_alias',
  (
    fah: fib_alias[] | undefined,
    slen: number,
    dscp: number,
    prio: number,
    tb_id: number,
    find_first: boolean,
  ): fib_alias | null => {
    if (fah === undefined) return null
    for (const fa of fah) {
      if (fa.tb_id > tb_id) continue
      if (fa.tb_id !== tb_id) break
      if (find_first) return fa
      if (fa.fa_dscp > dscp) continue
      if (fa.fa_info.fib_priority >= prio || fa.fa_dscp < dscp) return fa
    }
    return null
  },
)

function new_alias(from: Partial<fib_alias>): fib_alias {
  const fa = new fib_alias()
  kmem_cache_alloc(fn_alias_kmem, GFP_KERNEL)
  return Object.assign(fa, from)
}

/** before `fa`, or behind the last of its table: the list is sorted by table, largest first */
const fib_insert_alias = kfunc(
  'fib_insert_alias',
  (t: trie, tp: null, l: fib_alias[] | null, new_fa: fib_alias, fa: fib_alias | null, key: number): number => {
    let at = 0
    if (l !== null) {
      if (fa !== null) at = l.indexOf(fa)
      else {
        at = l.findIndex((last) => new_fa.tb_id > last.tb_id)
        if (at < 0) at = l.length
      }
    }
    t.add(key, new_fa.fa_slen, new_fa, at)
    return 0
  },
)

/** adds a route. -EEXIST with NLM_F_EXCL, or when the very same is there */
export const fib_table_insert = kfunc('fib_table_insert', (n: net, tb: fib_table, cfg: fib_config, _extack: null): number => {
  const t = tb.tb_data as trie
  const slen = KEYLENGTH - cfg.fc_dst_len
  const key = (cfg.fc_dst & mask_of(slen)) >>> 0
  const dscp = cfg.fc_dscp
  const fi = fib_create_info(cfg, null)
  if (IS_ERR(fi)) return fi
  const release = (err: number): number => {
    fib_release_info(fi)
    return err
  }
  const l = t.list(key, slen)
  let fa = fib_find_alias(l, slen, dscp, fi.fib_priority, tb.tb_id, false)
  if (l !== undefined && fa !== null && fa.fa_dscp === dscp && fa.fa_info.fib_priority === fi.fib_priority) {
    if (cfg.fc_nlflags & NLM_F_EXCL) return release(-EEXIST)
    const fa_first = fa
    let fa_match: fib_alias | null = null
    fa = null
    for (const x of l.slice(l.indexOf(fa_first))) {
      fa = x
      if (x.tb_id !== tb.tb_id || x.fa_dscp !== dscp || x.fa_info.fib_priority !== fi.fib_priority) break
      if (x.fa_type === cfg.fc_type && x.fa_info === fi) {
        fa_match = x
        break
      }
      fa = null
    }
    if (cfg.fc_nlflags & NLM_F_REPLACE) {
      if (fa_match !== null) return release(fa_first === fa_match ? 0 : -EEXIST)
      const state = fa_first.fa_state
      const fa_new = new_alias({
        fa_dscp: fa_first.fa_dscp,
        fa_info: fi,
        fa_type: cfg.fc_type,
        fa_state: state & ~FA_S_ACCESSED,
        fa_slen: fa_first.fa_slen,
        tb_id: tb.tb_id,
      })
      l[l.indexOf(fa_first)] = fa_new
      alias_free_mem_rcu(fa_first)
      fib_release_info(fa_first.fa_info)
      if (state & FA_S_ACCESSED) rt_cache_flush(n)
      return 0
    }
    if (fa_match !== null) return release(-EEXIST)
    if (!(cfg.fc_nlflags & NLM_F_APPEND)) fa = fa_first
  }
  if (!(cfg.fc_nlflags & NLM_F_CREATE)) return release(-ENOENT)
  const new_fa = new_alias({ fa_info: fi, fa_dscp: dscp, fa_type: cfg.fc_type, fa_slen: slen, tb_id: tb.tb_id })
  fib_insert_alias(t, null, l ?? null, new_fa, fa, key)
  if (!cfg.fc_dst_len) tb.tb_num_default++
  rt_cache_flush(n)
  return 0
})

/** takes a route out that fits what `cfg` says; -ESRCH when there is none */
export const fib_table_delete = kfunc('fib_table_delete', (n: net, tb: fib_table, cfg: fib_config, _extack: null): number => {
  const t = tb.tb_data as trie
  const slen = KEYLENGTH - cfg.fc_dst_len
  const key = (cfg.fc_dst & mask_of(slen)) >>> 0
  const l = t.list(key, slen)
  const first = fib_find_alias(l, slen, cfg.fc_dscp, 0, tb.tb_id, false)
  if (l === undefined || first === null) return -ESRCH
  for (const fa of l.slice(l.indexOf(first))) {
    const fi = fa.fa_info
    if (fa.tb_id !== tb.tb_id || fa.fa_dscp !== cfg.fc_dscp) break
    if (
      (cfg.fc_type && fa.fa_type !== cfg.fc_type) ||
      (cfg.fc_scope !== RT_SCOPE_NOWHERE && fi.fib_scope !== cfg.fc_scope) ||
      (cfg.fc_prefsrc && fi.fib_prefsrc !== cfg.fc_prefsrc) ||
      (cfg.fc_protocol && fi.fib_protocol !== cfg.fc_protocol) ||
      fib_nh_match(n, cfg, fi, null) !== 0 ||
      !fib_metrics_match(cfg, fi)
    )
      continue
    if (!cfg.fc_dst_len) tb.tb_num_default--
    t.remove(key, slen, fa)
    if (fa.fa_state & FA_S_ACCESSED) rt_cache_flush(n)
    fib_release_info(fi)
    alias_free_mem_rcu(fa)
    return 0
  }
  return -ESRCH
})

function* aliases(t: trie): Generator<[key: number, slen: number, fa: fib_alias]> {
  for (const slen of [...t.slens])
    for (const [key, l] of [...(t.leaf[slen] ?? [])]) for (const fa of [...l]) yield [key, slen, fa]
}

/** takes the dead routes of this table out, or all with an error as well; how many there were */
export const fib_table_flush = kfunc('fib_table_flush', (n: net, tb: fib_table, flush_all: boolean): number => {
  const t = tb.tb_data as trie
  let found = 0
  for (const [key, slen, fa] of aliases(t)) {
    const fi = fa.fa_info
    const dead = (fi.fib_flags & RTNH_F_DEAD) !== 0
    const error = (fib_props[fa.fa_type]?.error ?? 0) !== 0
    if (tb.tb_id !== fa.tb_id || (!dead && !error)) continue
    if (!flush_all && error && !dead) continue
    t.remove(key, slen, fa)
    fib_release_info(fi)
    alias_free_mem_rcu(fa)
    found++
  }
  return found
})

/** every route of a table, by prefix: for `ip route` */
export function* fib_table_walk(tb: fib_table): Generator<{ dst: number; dst_len: number; fa: fib_alias }> {
  for (const [dst, slen, fa] of aliases(tb.tb_data as trie))
    if (fa.tb_id === tb.tb_id) yield { dst, dst_len: KEYLENGTH - slen, fa }
}

/** takes out what was copied to a local table of its own */
export const fib_table_flush_external = kfunc('fib_table_flush_external', (tb: fib_table): void => {
  const t = tb.tb_data as trie
  for (const [key, slen, fa] of aliases(t))
    if (tb.tb_id !== fa.tb_id) {
      t.remove(key, slen, fa)
      alias_free_mem_rcu(fa)
    }
})

const own_data = new WeakSet<fib_table>()

/** a table; with `alias` it lives in the other's trie, which spares a look-up while there are no rules */
export const fib_trie_table = kfunc('fib_trie_table', (id: number, alias: fib_table | null): fib_table => {
  const tb = new fib_table()
  kzalloc(alias !== null ? 56 : 104, GFP_KERNEL)
  tb.tb_id = id
  tb.tb_num_default = 0
  if (alias === null) own_data.add(tb)
  tb.tb_data = alias !== null ? alias.tb_data : new trie()
  return tb
})

/** the local table gets a trie of its own: rules may now look there first */
export const fib_trie_unmerge = kfunc('fib_trie_unmerge', (oldtb: fib_table): fib_table => {
  if (own_data.has(oldtb)) return oldtb
  const local_tb = fib_trie_table(RT_TABLE_LOCAL, null)
  const lt = local_tb.tb_data as trie
  for (const [key, slen, fa] of aliases(oldtb.tb_data as trie)) {
    if (fa.tb_id !== local_tb.tb_id) continue
    fib_insert_alias(lt, null, lt.list(key, slen) ?? null, new_alias(fa), null, key)
  }
  return local_tb
})

export const fib_free_table = kfunc('fib_free_table', (tb: fib_table): void => call_rcu(tb, (t) => kfree(t)))

export const fib_trie_init = kfunc('fib_trie_init', (): void => {
  fn_alias_kmem = kmem_cache_create('ip_fib_alias', 56, 0, SLAB_PANIC, null)
})
