import { kfunc } from '../../../trace/kfunc.ts'
import { EACCES, EAGAIN, EINVAL, ENETUNREACH, ESRCH } from '../../include/linux/errno.ts'
import { inet_make_mask } from '../../include/linux/in.ts'
import { module_init } from '../../include/linux/init.ts'
import { IPTOS_RT_MASK } from '../../include/linux/ip.ts'
import { RT_TABLE_DEFAULT, RT_TABLE_LOCAL, RT_TABLE_MAIN } from '../../include/linux/rtnetlink.ts'
import type { flowi4 } from '../../include/net/flow.ts'
import type { fib_result } from '../../include/net/ip_fib.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import {
  FR_ACT_PROHIBIT,
  FR_ACT_TO_TBL,
  FR_ACT_UNREACHABLE,
  fib_default_rule_pref,
  type fib_lookup_arg,
  fib_rule,
  fib_rule_insert,
  fib_rule_remove,
  fib_rules_lookup,
  type fib_rules_ops,
} from '../core/fib_rules.ts'
import { l3mdev_update_flow } from '../l3mdev/l3mdev.ts'
import { fib_get_table, fib_rules_register, fib_unmerge } from './fib_frontend.ts'
import { fib_table_lookup } from './fib_trie.ts'
import { rt_cache_flush } from './route.ts'

const __fib_lookup = kfunc('__fib_lookup', (n: net, flp: flowi4, res: fib_result, flags: number): number => {
  const arg: fib_lookup_arg = { result: res, flags, rule: null }
  l3mdev_update_flow(n, flp)
  const err = fib_rules_lookup(fib4_rules(n), flp, 0, arg)
  res.tclassid = 0
  return err === -ESRCH ? -ENETUNREACH : err
})

const fib4_rule_action = kfunc('fib4_rule_action', (rule: fib_rule, flp: flowi4, _flags: number, arg: fib_lookup_arg): number => {
  if (rule.action === FR_ACT_UNREACHABLE) return -ENETUNREACH
  if (rule.action === FR_ACT_PROHIBIT) return -EACCES
  if (rule.action !== FR_ACT_TO_TBL) return -EINVAL
  let err = -EAGAIN
  rcu_read_lock()
  const tbl = fib_get_table(rule.fr_net, rule.table)
  if (tbl !== null) err = fib_table_lookup(tbl, flp, arg.result as fib_result, arg.flags)
  rcu_read_unlock()
  return err
})

const fib4_rule_suppress = kfunc(
  'fib4_rule_suppress',
  (rule: fib_rule, _flags: number, arg: fib_lookup_arg): boolean =>
    (arg.result as fib_result).prefixlen <= rule.suppress_prefixlen,
)

const in_range = (r: [number, number] | null, port: number): boolean => r === null || (port >= r[0] && port <= r[1])

const fib4_rule_match = kfunc('fib4_rule_match', (r: fib_rule, fl4: flowi4, _flags: number): boolean => {
  if ((fl4.saddr ^ r.src) & inet_make_mask(r.src_len) || (fl4.daddr ^ r.dst) & inet_make_mask(r.dst_len)) return false
  if (r.dscp && r.dscp !== (fl4.flowi4_tos & IPTOS_RT_MASK)) return false
  if (r.ip_proto && r.ip_proto !== fl4.flowi4_proto) return false
  return in_range(r.sport, fl4.fl4_sport) && in_range(r.dport, fl4.fl4_dport)
})

/** the rules of a namespace, with the three that every one begins with */
export function fib4_rules(n: net): fib_rules_ops {
  let ops = n.ipv4.rules_ops as fib_rules_ops | null
  if (ops === null) {
    ops = { rules_list: [], fro_net: n, match: fib4_rule_match, action: fib4_rule_action, suppress: fib4_rule_suppress }
    for (const [pref, table] of [
      [0, RT_TABLE_LOCAL],
      [0x7ffe, RT_TABLE_MAIN],
      [0x7fff, RT_TABLE_DEFAULT],
    ] as const) {
      const rule = new fib_rule()
      rule.pref = pref
      rule.table = table
      rule.protocol = 2
      rule.fr_net = n
      ops.rules_list.push(rule)
    }
    n.ipv4.rules_ops = ops
  }
  return ops
}

/** `ip rule add`; `pref` -1 when none was given */
export function fib4_rule_add(n: net, rule: fib_rule): number {
  const ops = fib4_rules(n)
  const err = fib_unmerge(n)
  if (err) return err
  rule.fr_net = n
  if (rule.pref < 0) rule.pref = fib_default_rule_pref(ops)
  const ret = fib_rule_insert(ops, rule)
  if (ret) return ret
  n.ipv4.fib_has_custom_rules = true
  rt_cache_flush(n)
  return 0
}

/** `ip rule del`: the first rule that has what was said; `said` are the fields that count */
export function fib4_rule_del(n: net, wanted: fib_rule, said: readonly (keyof fib_rule)[]): number {
  const ops = fib4_rules(n)
  const err = fib_unmerge(n)
  if (err) return err
  const ret = fib_rule_remove(ops, (r) => said.every((f) => JSON.stringify(r[f]) === JSON.stringify(wanted[f])))
  if (ret) return ret
  n.ipv4.fib_has_custom_rules = true
  rt_cache_flush(n)
  return 0
}

module_init(() => fib_rules_register(__fib_lookup))
