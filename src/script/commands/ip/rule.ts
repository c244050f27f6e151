import { dotted } from '../../../kernel/include/linux/in.ts'
import '../../../kernel/net/ipv4/fib_rules.ts'
import {
  FIB_RULE_INVERT,
  FR_ACT_BLACKHOLE,
  FR_ACT_PROHIBIT,
  FR_ACT_TO_TBL,
  FR_ACT_UNREACHABLE,
  fib_rule,
} from '../../../kernel/net/core/fib_rules.ts'
import { fib4_rule_add, fib4_rule_del, fib4_rules } from '../../../kernel/net/ipv4/fib_rules.ts'
import type { Json } from '../json.ts'
import { fail, rtnl, type Words } from '../words.ts'
import { asJson, type Context, prefix } from './context.ts'
import { tableName, tableOf } from './names.ts'

const USAGE = 255
const actions: Readonly<Record<string, number>> = {
  blackhole: FR_ACT_BLACKHOLE,
  unreachable: FR_ACT_UNREACHABLE,
  prohibit: FR_ACT_PROHIBIT,
}
const protocols: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17 }

/** `ip rule list|add|delete|flush` */
export function ipRule(c: Context, w: Words): string {
  const what = w.done ? 'list' : w.next()
  if (c.family === 6) fail('"ip -6 rule" is not there on this host.')
  if ('list'.startsWith(what) || 'lst'.startsWith(what) || 'show'.startsWith(what)) return list(c)
  if ('add'.startsWith(what)) return change(c, w, true)
  if ('delete'.startsWith(what)) return change(c, w, false)
  if ('flush'.startsWith(what) || 'save'.startsWith(what) || 'restore'.startsWith(what))
    fail(`"ip rule ${what}" is not there on this host.`)
  fail(`Command "${what}" is unknown, try "ip rule help".`, USAGE)
}

/** 80 or 80-90 */
function ports(w: Words): [number, number] {
  const word = w.next()
  const m = /^(\d+)(?:-(\d+))?$/.exec(word)
  if (m === null) w.invalid(word, 'invalid port range')
  return [Number(m[1]), Number(m[2] ?? m[1])]
}

function change(c: Context, w: Words, adding: boolean): string {
  const rule = new fib_rule()
  const said: (keyof fib_rule)[] = []
  rule.pref = -1
  const set = <K extends keyof fib_rule>(field: K, value: fib_rule[K]): void => {
    rule[field] = value
    said.push(field)
  }
  while (!w.done) {
    const word = w.next()
    if (word === 'not') set('flags', rule.flags | FIB_RULE_INVERT)
    else if (word === 'from') {
      const p = prefix(w)
      set('src', p.address)
      set('src_len', p.length)
    } else if (word === 'to') {
      const p = prefix(w)
      set('dst', p.address)
      set('dst_len', p.length)
    } else if (word === 'preference' || word === 'order' || word === 'priority' || word === 'pref')
      set('pref', w.number('preference value is invalid'))
    else if (word === 'tos' || word === 'dsfield') set('dscp', Number.parseInt(w.next(), 16) & 0xff)
    else if (word === 'fwmark') {
      const v = w.next()
      const m = /^(0x[0-9a-f]+|\d+)(?:\/(0x[0-9a-f]+|\d+))?$/i.exec(v)
      if (m === null) w.invalid(v, 'fwmark value is invalid')
      set('mark', Number(m[1]))
      set('mark_mask', m[2] === undefined ? 0xffffffff : Number(m[2]))
    } else if (word === 'table' || word === 'lookup') {
      const t = w.next()
      set('table', tableOf(t) ?? w.invalid(t, 'invalid table ID'))
    } else if (word === 'suppress_prefixlength' || word === 'sup_pl')
      set('suppress_prefixlen', w.number('suppress_prefixlength value is invalid'))
    else if (word === 'dev' || word === 'iif') set('iifname', w.next())
    else if (word === 'oif') set('oifname', w.next())
    else if (word === 'ipproto') {
      const p = w.next()
      set('ip_proto', protocols[p] ?? (/^\d+$/.test(p) ? Number(p) : w.invalid(p, 'invalid "ipproto" value')))
    } else if (word === 'sport') set('sport', ports(w))
    else if (word === 'dport') set('dport', ports(w))
    else if (word === 'uidrange') {
      const [a, b] = w.next().split('-').map(Number)
      set('uid_start', a ?? 0)
      set('uid_end', b ?? 0xffffffff)
    } else if (word === 'type' || Object.hasOwn(actions, word)) {
      const t = word === 'type' ? w.next() : word
      set('action', actions[t] ?? w.invalid(t, 'Failed to parse rule type'))
    } else fail(`Error: "${word}" is not there on this host.`)
  }
  if (adding && !said.includes('table') && rule.action === FR_ACT_TO_TBL) rule.table = 254
  rtnl(() => (adding ? fib4_rule_add(c.net, rule) : fib4_rule_del(c.net, rule, said)))
  return ''
}

const hex = (v: number): string => `0x${v.toString(16)}`
const protocolOf = (p: number): string => Object.keys(protocols).find((k) => protocols[k] === p) ?? String(p)
const actionOf = (r: fib_rule): string => Object.keys(actions).find((k) => actions[k] === r.action) ?? ''

/** the three that every namespace begins with are the kernel's own; `ip rule add` does not say whose a rule is */
const ownerOf = (r: fib_rule): string =>
  [0, 32766, 32767].includes(r.pref) && !r.src_len && !r.dst_len && !r.mark && !r.iifname && !r.oifname ? 'kernel' : 'unspec'

function ruleJson(c: Context, r: fib_rule): Json {
  const range = (name: string, x: [number, number] | null): Record<string, Json> =>
    x === null ? {} : x[0] === x[1] ? { [name]: x[0] } : { [`${name}_start`]: x[0], [`${name}_end`]: x[1] }
  return {
    priority: r.pref,
    not: r.flags & FIB_RULE_INVERT ? null : undefined,
    src: r.src_len ? dotted(r.src) : 'all',
    srclen: r.src_len && r.src_len !== 32 ? r.src_len : undefined,
    dst: r.dst_len ? dotted(r.dst) : undefined,
    dstlen: r.dst_len && r.dst_len !== 32 ? r.dst_len : undefined,
    tos: r.dscp ? hex(r.dscp) : undefined,
    fwmark: r.mark || r.mark_mask ? hex(r.mark) : undefined,
    fwmask: (r.mark || r.mark_mask) && r.mark_mask !== 0xffffffff ? hex(r.mark_mask) : undefined,
    iif: r.iifname || undefined,
    oif: r.oifname || undefined,
    ...(r.uid_start || r.uid_end !== 0xffffffff ? { uid_start: r.uid_start, uid_end: r.uid_end } : {}),
    ipproto: r.ip_proto ? protocolOf(r.ip_proto) : undefined,
    ...range('sport', r.sport),
    ...range('dport', r.dport),
    table: r.action === FR_ACT_TO_TBL ? tableName(r.table) : undefined,
    suppress_prefixlen: r.suppress_prefixlen >= 0 ? r.suppress_prefixlen : undefined,
    action: r.action === FR_ACT_TO_TBL ? undefined : actionOf(r),
    protocol: c.details > 0 ? ownerOf(r) : undefined,
  }
}

function list(c: Context): string {
  const rules = fib4_rules(c.net).rules_list
  return c.json
    ? asJson(
        c,
        rules.map((r) => ruleJson(c, r)),
      )
    : rules.map((r) => line(c, r)).join('')
}

function line(c: Context, r: fib_rule): string {
  const p = (a: number, len: number): string => (len === 0 ? 'all' : len === 32 ? dotted(a) : `${dotted(a)}/${len}`)
  const out = [`${r.flags & FIB_RULE_INVERT ? 'not ' : ''}from ${p(r.src, r.src_len)}`]
  if (r.dst_len) out.push(`to ${p(r.dst, r.dst_len)}`)
  if (r.dscp) out.push(`tos ${hex(r.dscp)}`)
  if (r.mark || r.mark_mask) out.push(`fwmark ${hex(r.mark)}${r.mark_mask === 0xffffffff ? '' : `/${hex(r.mark_mask)}`}`)
  if (r.iifname) out.push(`iif ${r.iifname}`)
  if (r.oifname) out.push(`oif ${r.oifname}`)
  if (r.uid_start || r.uid_end !== 0xffffffff) out.push(`uidrange ${r.uid_start}-${r.uid_end}`)
  if (r.ip_proto) out.push(`ipproto ${protocolOf(r.ip_proto)}`)
  const range = (x: [number, number]): string => (x[0] === x[1] ? String(x[0]) : `${x[0]}-${x[1]}`)
  if (r.sport) out.push(`sport ${range(r.sport)}`)
  if (r.dport) out.push(`dport ${range(r.dport)}`)
  if (r.action === FR_ACT_TO_TBL) out.push(`lookup ${tableName(r.table)}`)
  else out.push(actionOf(r))
  if (r.suppress_prefixlen >= 0) out.push(`suppress_prefixlength ${r.suppress_prefixlen}`)
  if (c.details > 0) out.push(`proto ${ownerOf(r)}`)
  return `${r.pref}:\t${out.join(' ')}\n`
}
