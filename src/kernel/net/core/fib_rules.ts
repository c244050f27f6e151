import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { traceIndirect, tracer } from '../../../trace/tracer.ts'
import { EAGAIN, EEXIST, ENOENT, ESRCH } from '../../include/linux/errno.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import type { flowi4 } from '../../include/net/flow.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'

export const FR_ACT_TO_TBL = 1
export const FR_ACT_GOTO = 2
export const FR_ACT_NOP = 3
export const FR_ACT_BLACKHOLE = 6
export const FR_ACT_UNREACHABLE = 7
export const FR_ACT_PROHIBIT = 8
export const FIB_RULE_INVERT = 2

/** struct fib_rule, with what IPv4 adds to it: struct fib4_rule */
export class fib_rule {
  pref = 0
  table = 0
  action = FR_ACT_TO_TBL
  flags = 0
  iifname = ''
  oifname = ''
  mark = 0
  mark_mask = 0
  uid_start = 0
  uid_end = 0xffffffff
  /** -1 for none */
  suppress_prefixlen = -1
  ip_proto = 0
  sport: [number, number] | null = null
  dport: [number, number] | null = null
  src = 0
  src_len = 0
  dst = 0
  dst_len = 0
  dscp = 0
  protocol = 0
  fr_net!: net
}

/** struct fib_lookup_arg */
export interface fib_lookup_arg {
  result: unknown
  flags: number
  rule: fib_rule | null
}

/** struct fib_rules_ops: the rules of one family in one namespace, by preference */
export interface fib_rules_ops {
  rules_list: fib_rule[]
  fro_net: net
  match: (rule: fib_rule, fl: flowi4, flags: number) => boolean
  action: (rule: fib_rule, fl: flowi4, flags: number, arg: fib_lookup_arg) => number
  suppress: (rule: fib_rule, flags: number, arg: fib_lookup_arg) => boolean
}

const index_of = (n: net, name: string): number => (n.dev_name_head.get(name) as net_device | undefined)?.ifindex ?? -1

const fib_rule_match = kfunc('fib_rule_match', (rule: fib_rule, ops: fib_rules_ops, fl: flowi4, flags: number): boolean => {
  let ret = false
  if (
    (rule.iifname === '' || index_of(ops.fro_net, rule.iifname) === fl.flowi4_iif) &&
    (rule.oifname === '' || index_of(ops.fro_net, rule.oifname) === fl.flowi4_oif) &&
    !((rule.mark ^ fl.flowi4_mark) & rule.mark_mask) &&
    fl.flowi4_uid >= rule.uid_start &&
    fl.flowi4_uid <= rule.uid_end
  ) {
    if (tracer.on) traceIndirect('ops->match', nameOf(ops.match))
    ret = ops.match(rule, fl, flags)
  }
  return rule.flags & FIB_RULE_INVERT ? !ret : ret
})

/** the first rule that fits and whose table has an answer */
export const fib_rules_lookup = kfunc(
  'fib_rules_lookup',
  (ops: fib_rules_ops, fl: flowi4, flags: number, arg: fib_lookup_arg): number => {
    rcu_read_lock()
    let err = -ESRCH
    for (const rule of ops.rules_list) {
      if (!fib_rule_match(rule, ops, fl, flags)) continue
      if (rule.action === FR_ACT_NOP) continue
      if (tracer.on) traceIndirect('ops->action', nameOf(ops.action))
      const answer = ops.action(rule, fl, flags, arg)
      if (!answer && ops.suppress(rule, flags, arg)) continue
      if (answer !== -EAGAIN) {
        arg.rule = rule
        err = answer
        break
      }
    }
    rcu_read_unlock()
    return err
  },
)

export const rule_key = (r: fib_rule): string =>
  JSON.stringify([
    r.pref,
    r.table,
    r.action,
    r.flags,
    r.iifname,
    r.oifname,
    r.mark,
    r.mark_mask,
    r.uid_start,
    r.uid_end,
    r.ip_proto,
    r.sport,
    r.dport,
    r.src,
    r.src_len,
    r.dst,
    r.dst_len,
    r.dscp,
    r.suppress_prefixlen,
  ])

/** before the first rule there is, when no preference was given */
export function fib_default_rule_pref(ops: fib_rules_ops): number {
  const second = ops.rules_list[1]
  return second?.pref ? second.pref - 1 : 0
}

export function fib_rule_insert(ops: fib_rules_ops, rule: fib_rule): number {
  if (ops.rules_list.some((r) => rule_key(r) === rule_key(rule))) return -EEXIST
  const at = ops.rules_list.findIndex((r) => r.pref > rule.pref)
  ops.rules_list.splice(at < 0 ? ops.rules_list.length : at, 0, rule)
  return 0
}
export function fib_rule_remove(ops: fib_rules_ops, fits: (rule: fib_rule) => boolean): number {
  const at = ops.rules_list.findIndex(fits)
  if (at < 0) return -ENOENT
  ops.rules_list.splice(at, 1)
  return 0
}
