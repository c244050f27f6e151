import { kfunc } from '../../../trace/kfunc.ts'
import { EAGAIN, EEXIST, ENOENT } from '../../include/linux/errno.ts'
import { type in6_addr, ipv6_addr_equal, ipv6_addr_prefix, ipv6_prefix_equal } from '../../include/linux/in6.ts'
import { NLM_F_APPEND, NLM_F_EXCL, NLM_F_REPLACE } from '../../include/linux/rtnetlink.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import type { flowi6 } from '../../include/net/flow.ts'
import {
  type fib6_config,
  type fib6_info,
  fib6_node,
  fib6_table,
  RT6_LOOKUP_F_DST_NOREF,
  RT6_TABLE_LOCAL,
  RT6_TABLE_MAIN,
  RTF_EXPIRES,
  RTN_ROOT,
  RTN_RTINFO,
  RTN_TL_ROOT,
  type rt6_info,
} from '../../include/net/ip6_fib.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { net_ipv6 } from '../../include/net/netns_ipv6.ts'
import { jiffies, time_after } from '../../kernel/time/timer.ts'
import { dst_dev_put, dst_hold, dst_release } from '../core/dst.ts'

/** what fib6_rule_lookup() asks each table with */
export type pol_lookup_t = (n: net, table: fib6_table, fl6: flowi6, skb: sk_buff | null, flags: number) => rt6_info

export const fib6_check_expired = (f6i: fib6_info): boolean =>
  (f6i.fib6_flags & RTF_EXPIRES) !== 0 && time_after(jiffies(), f6i.expires)
export const fib6_info_hold_safe = (f6i: fib6_info): boolean => {
  if (f6i.fib6_ref === 0) return false
  f6i.fib6_ref++
  return true
}
export const fib6_info_release = (f6i: fib6_info | null): void => {
  if (f6i !== null) f6i.fib6_ref--
}
export const fib6_get_cookie_safe = (f6i: fib6_info): number | null => f6i.fib6_node?.fn_sernum ?? null

const fib6_new_sernum = (n: net): number => net_ipv6(n).fib6_sernum++

export const fib6_get_table = kfunc(
  'fib6_get_table',
  (n: net, id: number): fib6_table | null => net_ipv6(n).tables.get(id || RT6_TABLE_MAIN) ?? null,
)

export const fib6_new_table = kfunc('fib6_new_table', (n: net, id: number): fib6_table => {
  const { tables } = net_ipv6(n)
  const known = tables.get(id || RT6_TABLE_MAIN)
  if (known !== undefined) return known
  const t = new fib6_table(id)
  t.tb6_root.fn_flags = RTN_ROOT | RTN_TL_ROOT | RTN_RTINFO
  t.tb6_root.leaf = net_ipv6(n).fib6_null_entry
  tables.set(id, t)
  return t
})

export const fib6_tables_init = (n: net): void => {
  net_ipv6(n).fib6_main_tbl = fib6_new_table(n, RT6_TABLE_MAIN)
  net_ipv6(n).fib6_local_tbl = fib6_new_table(n, RT6_TABLE_LOCAL)
}

/** the longest prefix that has `addr`, as the walk down and up the tree finds it; null for none */
const fib6_node_lookup_1 = kfunc('fib6_node_lookup_1', (table: fib6_table, addr: in6_addr): fib6_node | null => {
  for (const fn of table.nodes) if (ipv6_prefix_equal(fn.addr, addr, fn.fn_bit)) return fn
  return null
})

export const fib6_node_lookup = kfunc(
  'fib6_node_lookup',
  (table: fib6_table, daddr: in6_addr, _saddr: in6_addr): fib6_node => fib6_node_lookup_1(table, daddr) ?? table.tb6_root,
)

/** the next shorter prefix that has the address; null from the root */
export const fib6_backtrack = kfunc('fib6_backtrack', (table: fib6_table, fn: fib6_node, _saddr: in6_addr): fib6_node | null => {
  if (fn.fn_flags & RTN_TL_ROOT) return null
  for (const pn of table.nodes) if (pn.fn_bit < fn.fn_bit && ipv6_prefix_equal(pn.addr, fn.addr, pn.fn_bit)) return pn
  return table.tb6_root
})

/** routes that were looked up before this change are looked up anew */
function __fib6_update_sernum_upto_root(rt: fib6_info, sernum: number): void {
  const fn = rt.fib6_node
  if (fn === null) return
  fn.fn_sernum = sernum
  rt.fib6_table.tb6_root.fn_sernum = sernum
  for (const pn of rt.fib6_table.nodes)
    if (pn.fn_bit < fn.fn_bit && ipv6_prefix_equal(pn.addr, fn.addr, pn.fn_bit)) pn.fn_sernum = sernum
}
export const fib6_update_sernum = kfunc('fib6_update_sernum', (n: net, rt: fib6_info): void => {
  if (rt.fib6_node !== null) rt.fib6_node.fn_sernum = fib6_new_sernum(n)
})

const rt6_qualify_for_ecmp = (f6i: fib6_info): boolean => !(f6i.fib6_flags & 0x00040000) && f6i.fib6_nh.fib_nh_gw_family !== 0

export { rt6_qualify_for_ecmp }

const rt6_duplicate_nexthop = (a: fib6_info, b: fib6_info): boolean =>
  a.fib6_nh.fib_nh_dev === b.fib6_nh.fib_nh_dev && ipv6_addr_equal(a.fib6_nh.fib_nh_gw6, b.fib6_nh.fib_nh_gw6)

/** finds or makes the node of the prefix */
const fib6_add_1 = kfunc('fib6_add_1', (n: net, table: fib6_table, addr: in6_addr, plen: number): fib6_node => {
  if (plen === 0) return table.tb6_root
  let at = 0
  for (; at < table.nodes.length; at++) {
    const fn = table.nodes[at] as fib6_node
    if (fn.fn_bit < plen) break
    if (fn.fn_bit === plen && ipv6_prefix_equal(fn.addr, addr, plen)) return fn
  }
  const prefix = new Uint8Array(16)
  ipv6_addr_prefix(prefix, addr, plen)
  const fn = new fib6_node(prefix, plen)
  fn.fn_sernum = fib6_new_sernum(n)
  table.nodes.splice(at, 0, fn)
  return fn
})

function rebalance(siblings: readonly fib6_info[]): void {
  let total = 0
  for (const s of siblings) total += s.fib6_nh.fib_nh_weight
  let w = 0
  for (const s of siblings) {
    w += s.fib6_nh.fib_nh_weight
    s.fib6_nh.fib_nh_upper_bound = Math.round((w / total) * 0x80000000) - 1
  }
}

const fib6_purge_rt = kfunc('fib6_purge_rt', (rt: fib6_info, _fn: fib6_node, _n: net): void => {
  rt.fib6_destroying = true
  const { fib6_nh: nh } = rt
  const pcpu = nh.rt6i_pcpu
  if (pcpu !== null) {
    pcpu.from = null
    nh.rt6i_pcpu = null
    dst_dev_put(pcpu)
    dst_release(pcpu)
  }
  nh.rt6i_exception_bucket = null
})

const fib6_add_rt2node = kfunc('fib6_add_rt2node', (n: net, fn: fib6_node, rt: fib6_info, nlflags: number): number => {
  const null_entry = net_ipv6(n).fib6_null_entry
  let prev: fib6_info | null = null
  let iter: fib6_info | null = fn.leaf === null_entry ? null : fn.leaf
  const replace = (nlflags & NLM_F_REPLACE) !== 0
  const rt_can_ecmp = rt6_qualify_for_ecmp(rt)
  let found = false
  let sibling: fib6_info | null = null
  for (; iter !== null; prev = iter, iter = iter.fib6_next) {
    if (iter.fib6_metric === rt.fib6_metric) {
      if (nlflags & NLM_F_EXCL) return -EEXIST
      if (replace) {
        found = true
        break
      }
      if (rt6_duplicate_nexthop(iter, rt)) return -EEXIST
      if (rt_can_ecmp && rt6_qualify_for_ecmp(iter) && (nlflags & NLM_F_APPEND || nlflags === 0)) sibling ??= iter
    }
    if (iter.fib6_metric > rt.fib6_metric) break
  }
  const link = (f: fib6_info | null): void => {
    if (prev === null) fn.leaf = f
    else prev.fib6_next = f
  }
  if (prev === null) fn.rr_ptr = null
  if (found && iter !== null) {
    rt.fib6_next = iter.fib6_next
    link(rt)
    iter.fib6_node = null
    fib6_purge_rt(iter, fn, n)
    if (fn.rr_ptr === iter) fn.rr_ptr = null
  } else {
    if (sibling !== null) {
      const all = [sibling, ...sibling.fib6_siblings, rt]
      for (const s of all) s.fib6_siblings = all.filter((o) => o !== s)
      rebalance(all)
    }
    rt.fib6_next = iter
    link(rt)
  }
  rt.fib6_ref++
  rt.fib6_node = fn
  fn.fn_flags |= RTN_RTINFO
  return 0
})

export const fib6_add = kfunc('fib6_add', (table: fib6_table, rt: fib6_info, n: net, nlflags: number): number => {
  const fn = fib6_add_1(n, table, rt.fib6_dst.addr, rt.fib6_dst.plen)
  const err = fib6_add_rt2node(n, fn, rt, nlflags)
  if (!err) __fib6_update_sernum_upto_root(rt, fib6_new_sernum(n))
  return err
})

export const fib6_del = kfunc('fib6_del', (rt: fib6_info, n: net): number => {
  const fn = rt.fib6_node
  const { fib6_table: table } = rt
  if (fn === null || rt === net_ipv6(n).fib6_null_entry) return -ENOENT
  let prev: fib6_info | null = null
  for (let iter = fn.leaf; iter !== null; prev = iter, iter = iter.fib6_next) {
    if (iter !== rt) continue
    if (prev === null) fn.leaf = rt.fib6_next
    else prev.fib6_next = rt.fib6_next
    break
  }
  if (fn.rr_ptr === rt) fn.rr_ptr = null
  for (const s of rt.fib6_siblings) {
    s.fib6_siblings = s.fib6_siblings.filter((o) => o !== rt)
    rebalance([s, ...s.fib6_siblings])
  }
  __fib6_update_sernum_upto_root(rt, fib6_new_sernum(n))
  rt.fib6_node = null
  if (fn.leaf === null) {
    if (fn.fn_flags & RTN_TL_ROOT) fn.leaf = net_ipv6(n).fib6_null_entry
    else table.nodes = table.nodes.filter((o) => o !== fn)
  }
  fib6_purge_rt(rt, fn, n)
  return 0
})

/** every route of every table, most specific prefixes first */
export function* fib6_routes(n: net): Generator<fib6_info> {
  for (const t of net_ipv6(n).tables.values())
    for (const fn of [...t.nodes, t.tb6_root])
      for (let rt = fn.leaf; rt !== null; rt = rt.fib6_next) if (rt !== net_ipv6(n).fib6_null_entry) yield rt
}

const ip6_rt_put_flags = (rt: rt6_info, flags: number): void => {
  if (!(flags & RT6_LOOKUP_F_DST_NOREF) || rt.rt_uncached_list !== null) dst_release(rt)
}

/** the tables by priority: first local, then main */
export const fib6_rule_lookup = kfunc(
  'fib6_rule_lookup',
  (n: net, fl6: flowi6, skb: sk_buff | null, flags: number, lookup: pol_lookup_t): rt6_info => {
    const v6 = net_ipv6(n)
    let rt = lookup(n, v6.fib6_local_tbl, fl6, skb, flags)
    if (rt !== v6.ip6_null_entry && rt.error !== -EAGAIN) return rt
    ip6_rt_put_flags(rt, flags)
    rt = lookup(n, v6.fib6_main_tbl, fl6, skb, flags)
    if (rt.error !== -EAGAIN) return rt
    ip6_rt_put_flags(rt, flags)
    if (!(flags & RT6_LOOKUP_F_DST_NOREF)) dst_hold(v6.ip6_null_entry)
    return v6.ip6_null_entry
  },
)

export type { fib6_config }
