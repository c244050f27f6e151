import { RTNH_F_DEAD, RTNH_F_LINKDOWN, RTNH_F_ONLINK, RTNH_F_PERVASIVE } from '../../../kernel/include/generated/enums.ts'
import { RTCF_BROADCAST, RTCF_LOCAL, RTCF_MULTICAST } from '../../../kernel/include/linux/in_route.ts'
import {
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_NOWHERE,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
  RTAX_ADVMSS,
  RTAX_CWND,
  RTAX_HOPLIMIT,
  RTAX_INITCWND,
  RTAX_INITRWND,
  RTAX_LOCK,
  RTAX_MTU,
  RTAX_QUICKACK,
  RTAX_REORDERING,
  RTAX_RTO_MIN,
  RTAX_RTT,
  RTAX_RTTVAR,
  RTAX_SSTHRESH,
  RTAX_WINDOW,
  RTN_ANYCAST,
  RTN_BROADCAST,
  RTN_LOCAL,
  RTN_MULTICAST,
  RTN_NAT,
  RTN_UNICAST,
  RTN_UNSPEC,
  RTPROT_BOOT,
} from '../../../kernel/include/linux/rtnetlink.ts'
import { AF_INET } from '../../../kernel/include/linux/socket.ts'
import { IS_ERR } from '../../../kernel/include/linux/types.ts'
import { flowi4 } from '../../../kernel/include/net/flow.ts'
import { type fib_alias, fib_config, type fib_nh_common, type fib_table } from '../../../kernel/include/net/ip_fib.ts'
import { fib_get_table, fib_route_change } from '../../../kernel/net/ipv4/fib_frontend.ts'
import { fib_table_walk } from '../../../kernel/net/ipv4/fib_trie.ts'
import { ip_route_output_key, ip_rt_put } from '../../../kernel/net/ipv4/route.ts'
import { errorText, fail, rtnl, type Words } from '../words.ts'
import { address, type Context, device, dotted, ip6, prefix, refuse6 } from './context.ts'
import { protocolName, protocolOf, scopeName, scopeOf, tableName, tableOf, typeName, typeOf } from './names.ts'

const USAGE = 255

/** `ip route add|del|change|replace|append|prepend|get|show|flush` */
export function ipRoute(c: Context, w: Words): string {
  const what = w.done ? 'show' : w.next()
  if (c.family === 6) {
    if (ip6.route === null || !['add', 'del', 'delete'].includes(what)) fail(`"ip -6 route ${what}" is not there on this host.`)
    return ip6.route(c, w, what === 'add')
  }
  if ('add'.startsWith(what)) return change(c, w, NLM_F_CREATE | NLM_F_EXCL)
  if ('change'.startsWith(what) || what === 'chg') return change(c, w, NLM_F_REPLACE)
  if ('replace'.startsWith(what)) return change(c, w, NLM_F_CREATE | NLM_F_REPLACE)
  if ('prepend'.startsWith(what)) return change(c, w, NLM_F_CREATE)
  if ('append'.startsWith(what)) return change(c, w, NLM_F_CREATE | NLM_F_APPEND)
  if ('test'.startsWith(what)) return change(c, w, NLM_F_EXCL)
  if ('delete'.startsWith(what)) return change(c, w, null)
  if ('get'.startsWith(what)) return get(c, w)
  if ('list'.startsWith(what) || 'show'.startsWith(what) || what === 'lst') return show(c, w)
  if ('flush'.startsWith(what)) return flush(c, w)
  if (['save', 'restore', 'showdump'].some((o) => o.startsWith(what))) fail(`"ip route ${what}" is not there on this host.`)
  fail(`Command "${what}" is unknown, try "ip route help".`, USAGE)
}

/** words for metrics, by RTAX_ */
const metrics: Readonly<Record<string, number>> = {
  mtu: RTAX_MTU,
  window: RTAX_WINDOW,
  rtt: RTAX_RTT,
  rttvar: RTAX_RTTVAR,
  ssthresh: RTAX_SSTHRESH,
  cwnd: RTAX_CWND,
  advmss: RTAX_ADVMSS,
  reordering: RTAX_REORDERING,
  hoplimit: RTAX_HOPLIMIT,
  initcwnd: RTAX_INITCWND,
  initrwnd: RTAX_INITRWND,
  rto_min: RTAX_RTO_MIN,
  quickack: RTAX_QUICKACK,
}
const lockable = new Set(['mtu', 'window', 'rtt', 'rttvar', 'ssthresh', 'cwnd', 'reordering', 'hoplimit'])

/** 200ms, 1s or a number, in the unit that the kernel keeps: 1 / `perMs` ms */
function time(w: Words, perMs: number): number {
  const word = w.next()
  const m = /^(\d+(?:\.\d+)?)(s|sec|secs|ms|msec|msecs)?$/.exec(word)
  if (m === null) w.invalid(word, 'time value is invalid')
  const [, n, unit = ''] = m
  if (unit === '') return Number(n)
  return Math.round(Number(n) * (unit.startsWith('s') ? 1000 : 1) * perMs)
}

type Hop = NonNullable<fib_config['fc_mp']>[number]

function nexthop(c: Context, w: Words): Hop {
  const hop: Hop = { rtnh_ifindex: 0, rtnh_hops: 0, rtnh_flags: 0, gw4: 0, flow: 0 }
  while (!w.done && w.peek !== 'nexthop') {
    const word = w.next()
    if (word === 'via') {
      w.take('inet')
      hop.gw4 = address(w)
    } else if (word === 'dev') hop.rtnh_ifindex = device(c, w.next()).ifindex
    else if (word === 'weight') {
      const weight = w.number('"weight" is invalid')
      if (weight === 0 || weight > 256) w.invalid(String(weight), '"weight" is invalid')
      hop.rtnh_hops = weight - 1
    } else if (word === 'onlink') hop.rtnh_flags |= RTNH_F_ONLINK
    else if (word === 'pervasive') hop.rtnh_flags |= RTNH_F_PERVASIVE
    else fail(`Error: "nexthop" or end of line is expected instead of "${word}"`, 1)
  }
  return hop
}

/** `flags` null: delete */
function change(c: Context, w: Words, flags: number | null): string {
  const cfg = new fib_config()
  const adding = flags !== null
  cfg.fc_nlflags = flags ?? 0
  cfg.fc_protocol = adding ? RTPROT_BOOT : 0
  cfg.fc_scope = adding ? RT_SCOPE_UNIVERSE : RT_SCOPE_NOWHERE
  cfg.fc_type = adding ? RTN_UNICAST : RTN_UNSPEC
  let scopeSaid = false
  let tableSaid = false
  let dst: { address: number; length: number } | null = null
  let dev: string | null = null
  let lock = 0
  const mx = new Map<number, number>()
  while (!w.done) {
    const word = w.next()
    const rtax = Object.hasOwn(metrics, word) ? metrics[word] : undefined
    if (rtax !== undefined) {
      if (lockable.has(word) && w.take('lock')) lock |= 1 << rtax
      if (word === 'rtt') mx.set(rtax, time(w, 8))
      else if (word === 'rttvar') mx.set(rtax, time(w, 4))
      else if (word === 'rto_min') {
        mx.set(rtax, time(w, 1))
        lock |= 1 << RTAX_RTO_MIN
      } else mx.set(rtax, w.number(`"${word}" value is invalid`))
    } else if (word === 'src') cfg.fc_prefsrc = address(w)
    else if (word === 'via') {
      if (w.take('inet6')) fail('Error: IPv6 is not there yet')
      w.take('inet')
      cfg.fc_gw4 = address(w)
      cfg.fc_gw_family = AF_INET
    } else if (word === 'tos' || word === 'dsfield') {
      const v = w.next()
      const tos = /^(0x[0-9a-f]+|[0-9a-f]+)$/i.test(v)
        ? Number.parseInt(v.replace(/^0x/i, ''), 16)
        : w.invalid(v, '"tos" value is invalid')
      cfg.fc_dscp = tos & 0xff
    } else if (word === 'metric' || word === 'priority' || word === 'preference')
      cfg.fc_priority = w.number('"metric" value is invalid')
    else if (word === 'scope') {
      const s = w.next()
      cfg.fc_scope = scopeOf(s) ?? w.invalid(s, '"scope" value is invalid')
      scopeSaid = true
    } else if (word === 'protocol' || word === 'proto') {
      const p = w.next()
      cfg.fc_protocol = protocolOf(p) ?? w.invalid(p, '"protocol" value is invalid')
    } else if (word === 'table') {
      const t = w.next()
      cfg.fc_table = tableOf(t) ?? w.invalid(t, '"table" value is invalid')
      tableSaid = true
    } else if (word === 'dev' || word === 'oif') dev = w.next()
    else if (word === 'onlink') cfg.fc_flags |= RTNH_F_ONLINK
    else if (word === 'nexthop') {
      cfg.fc_mp ??= []
      cfg.fc_mp.push(nexthop(c, w))
    } else if (word === 'type') cfg.fc_type = typeWord(w, w.next())
    else if (
      [
        'from',
        'nhid',
        'encap',
        'realms',
        'mark',
        'features',
        'congctl',
        'fastopen_no_cookie',
        'equalize',
        'pref',
        'expires',
        'ttl-propagate',
      ].includes(word)
    )
      fail(`Error: "${word}" is not there on this host.`)
    else {
      const type = word === 'to' ? null : typeOf(word)
      if (type !== null && word !== 'default') {
        cfg.fc_type = type
        w.take('to')
      } else if (word !== 'to') w.back()
      if (dst !== null) w.garbage('to', w.peek)
      if (w.done) fail('Command line is not complete. Try option "help"', USAGE)
      refuse6(w.peek)
      dst = prefix(w)
    }
  }
  if (dst !== null) {
    cfg.fc_dst = dst.address
    cfg.fc_dst_len = dst.length
  }
  if (dev !== null) cfg.fc_oif = device(c, dev).ifindex
  if (lock) mx.set(RTAX_LOCK, lock)
  if (mx.size > 0) cfg.fc_mx = mx
  if (!tableSaid && [RTN_LOCAL, RTN_BROADCAST, RTN_NAT, RTN_ANYCAST].includes(cfg.fc_type)) cfg.fc_table = RT_TABLE_LOCAL
  if (!scopeSaid) {
    if (cfg.fc_type === RTN_LOCAL || cfg.fc_type === RTN_NAT) cfg.fc_scope = RT_SCOPE_HOST
    else if ([RTN_BROADCAST, RTN_MULTICAST, RTN_ANYCAST].includes(cfg.fc_type)) cfg.fc_scope = RT_SCOPE_LINK
    else if (cfg.fc_type === RTN_UNICAST || cfg.fc_type === RTN_UNSPEC) {
      if (!adding) cfg.fc_scope = RT_SCOPE_NOWHERE
      else if (!cfg.fc_gw_family && cfg.fc_mp === null) cfg.fc_scope = RT_SCOPE_LINK
    }
  }
  rtnl(() => fib_route_change(c.net, adding, cfg))
  return ''
}

const typeWord = (w: Words, word: string): number => typeOf(word) ?? w.invalid(word, '"type" value is invalid')

// ---- showing

interface Wanted {
  /** null: all of them */
  table: number | null
  dev: number
  proto: number | null
  type: number | null
  scope: number | null
  root: { address: number; length: number } | null
  match: { address: number; length: number } | null
  exact: { address: number; length: number } | null
}

function filter(c: Context, w: Words): Wanted {
  const f: Wanted = { table: RT_TABLE_MAIN, dev: 0, proto: null, type: null, scope: null, root: null, match: null, exact: null }
  while (!w.done) {
    const word = w.next()
    if (word === 'table') {
      const t = w.next()
      f.table = t === 'all' ? null : (tableOf(t) ?? w.invalid(t, 'table id value is invalid'))
    } else if (word === 'dev' || word === 'oif') f.dev = device(c, w.next()).ifindex
    else if (word === 'proto' || word === 'protocol') {
      const p = w.next()
      f.proto = protocolOf(p) ?? w.invalid(p, 'invalid "protocol"')
    } else if (word === 'type') f.type = typeWord(w, w.next())
    else if (word === 'scope') {
      const s = w.next()
      f.scope = scopeOf(s) ?? w.invalid(s, 'invalid "scope"')
    } else if (word === 'root') f.root = prefix(w)
    else if (word === 'match') f.match = prefix(w)
    else if (word === 'exact') f.exact = prefix(w)
    else if (['vrf', 'cached', 'cloned', 'tos', 'dsfield', 'metric', 'iif', 'via', 'src', 'realms', 'from'].includes(word))
      fail(`Error: "${word}" is not there on this host.`)
    else {
      const type = word === 'to' ? null : typeOf(word)
      if (type !== null && word !== 'default') {
        f.type = type
        if (w.done) continue
      } else if (word !== 'to') w.back()
      f.exact = prefix(w)
    }
  }
  return f
}

interface Row {
  table: number
  dst: number
  length: number
  fa: fib_alias
}

const within = (address: number, of: { address: number; length: number }): boolean =>
  of.length === 0 || (address ^ of.address) >>> (32 - of.length) === 0

function rows(c: Context, f: Wanted): Row[] {
  const ids = f.table === null ? [...(c.net.ipv4.fib_table_hash as Map<number, fib_table>).keys()] : [f.table]
  const all = ids.flatMap((table) => {
    const tb = fib_get_table(c.net, table)
    return tb === null ? [] : [...fib_table_walk(tb)].map((r, i) => ({ table, dst: r.dst, length: r.dst_len, fa: r.fa, i }))
  })
  const hash = (id: number): number => id & 0xff
  return all
    .sort((a, b) => hash(a.table) - hash(b.table) || a.dst - b.dst || b.length - a.length || a.i - b.i)
    .filter(({ dst, length, fa }) => {
      const fi = fa.fa_info
      return (
        (f.dev === 0 || fi.fib_nh.some((nh) => nh.nhc_oif === f.dev)) &&
        (f.proto === null || fi.fib_protocol === f.proto) &&
        (f.type === null || fa.fa_type === f.type) &&
        (f.scope === null || fi.fib_scope === f.scope) &&
        (f.root === null || (length >= f.root.length && within(dst, f.root))) &&
        (f.match === null || (length <= f.match.length && within(f.match.address, { address: dst, length }))) &&
        (f.exact === null || (length === f.exact.length && dst === f.exact.address))
      )
    })
}

function show(c: Context, w: Words): string {
  const f = filter(c, w)
  if (f.table !== null && ![RT_TABLE_MAIN, RT_TABLE_LOCAL, 253].includes(f.table) && fib_get_table(c.net, f.table) === null)
    fail('Error: ipv4: FIB table does not exist.\nDump terminated', 2)
  return rows(c, f)
    .map((r) => line(c, r, f))
    .join('')
}

function line(c: Context, r: Row, f: Wanted): string {
  const { fa } = r
  const fi = fa.fa_info
  const single = fi.fib_nh.length === 1 ? fi.fib_nh[0] : undefined
  const out: string[] = []
  if (fa.fa_type !== RTN_UNICAST || c.details > 0) out.push(typeName(fa.fa_type))
  out.push(r.length === 0 ? 'default' : r.length === 32 ? dotted(r.dst) : `${dotted(r.dst)}/${r.length}`)
  if (fa.fa_dscp) out.push(`tos 0x${fa.fa_dscp.toString(16).padStart(2, '0')}`)
  if (single?.nhc_gw_family) out.push(`via ${dotted(single.nhc_gw4)}`)
  if (single !== undefined && single.nhc_dev !== null && f.dev === 0) out.push(`dev ${single.nhc_dev.name}`)
  if ((r.table !== RT_TABLE_MAIN || c.details > 0) && f.table === null) out.push(`table ${tableName(r.table)}`)
  if (fi.fib_protocol !== RTPROT_BOOT || c.details > 0) out.push(`proto ${protocolName(fi.fib_protocol)}`)
  if (fi.fib_scope !== RT_SCOPE_UNIVERSE || c.details > 0) out.push(`scope ${scopeName(fi.fib_scope)}`)
  if (fi.fib_prefsrc) out.push(`src ${dotted(fi.fib_prefsrc)}`)
  if (fi.fib_priority) out.push(`metric ${fi.fib_priority}`)
  if (single !== undefined) out.push(...flagsOf(single))
  out.push(...metricsOf(fi.fib_metrics.metrics))
  let text = `${out.join(' ')} `
  if (single === undefined)
    for (const nh of fi.fib_nh) {
      const via = nh.nhc_gw_family ? ` via ${dotted(nh.nhc_gw4)}` : ''
      const flags = flagsOf(nh).map((x) => `${x} `)
      text += `\n\tnexthop${via} dev ${nh.nhc_dev?.name ?? '*'} weight ${nh.nhc_weight} ${flags.join('')}`
    }
  return `${text}\n`
}

const flagsOf = (nh: fib_nh_common): string[] => {
  const out: string[] = []
  if (nh.nhc_flags & RTNH_F_DEAD) out.push('dead')
  if (nh.nhc_flags & RTNH_F_ONLINK) out.push('onlink')
  if (nh.nhc_flags & RTNH_F_PERVASIVE) out.push('pervasive')
  if (nh.nhc_flags & RTNH_F_LINKDOWN) out.push('linkdown')
  return out
}

const metricNames: readonly (readonly [string, number])[] = [
  ['mtu', RTAX_MTU],
  ['window', RTAX_WINDOW],
  ['rtt', RTAX_RTT],
  ['rttvar', RTAX_RTTVAR],
  ['ssthresh', RTAX_SSTHRESH],
  ['cwnd', RTAX_CWND],
  ['advmss', RTAX_ADVMSS],
  ['reordering', RTAX_REORDERING],
  ['hoplimit', RTAX_HOPLIMIT],
  ['initcwnd', RTAX_INITCWND],
  ['rto_min', RTAX_RTO_MIN],
  ['initrwnd', RTAX_INITRWND],
  ['quickack', RTAX_QUICKACK],
]
const metricsOf = (m: ArrayLike<number>): string[] => {
  const lock = m[RTAX_LOCK - 1] ?? 0
  return metricNames.flatMap(([name, i]) => {
    const v = m[i - 1] ?? 0
    if (!v) return []
    const shown = name === 'rtt' ? `${v / 8}ms` : name === 'rttvar' ? `${v / 4}ms` : name === 'rto_min' ? `${v}ms` : String(v)
    return [`${name}${(lock >> i) & 1 ? ' lock' : ''} ${shown}`]
  })
}

function flush(c: Context, w: Words): string {
  if (w.done) fail('"ip route flush" requires arguments.')
  if (w.peek === 'cache') return ''
  const f = filter(c, w)
  for (const r of rows(c, f)) {
    const cfg = new fib_config()
    cfg.fc_dst = r.dst
    cfg.fc_dst_len = r.length
    cfg.fc_table = r.table
    cfg.fc_type = r.fa.fa_type
    cfg.fc_scope = r.fa.fa_info.fib_scope
    cfg.fc_priority = r.fa.fa_info.fib_priority
    cfg.fc_dscp = r.fa.fa_dscp
    cfg.fc_protocol = r.fa.fa_info.fib_protocol
    rtnl(() => fib_route_change(c.net, false, cfg))
  }
  return ''
}

/** `ip route get ADDR [from A] [oif D] [mark M]`: what a packet would take */
function get(c: Context, w: Words): string {
  const fl4 = new flowi4()
  let to: number | null = null
  while (!w.done) {
    const word = w.next()
    if (word === 'from') fl4.saddr = prefix(w).address
    else if (word === 'oif' || word === 'dev') fl4.flowi4_oif = device(c, w.next()).ifindex
    else if (word === 'mark') fl4.flowi4_mark = w.number('invalid mark value')
    else if (word === 'uid') fl4.flowi4_uid = w.number('invalid UID value')
    else if (word === 'tos' || word === 'dsfield') fl4.flowi4_tos = Number.parseInt(w.next(), 16)
    else if (['iif', 'vrf', 'notify', 'connected', 'ipproto', 'sport', 'dport', 'fibmatch'].includes(word))
      fail(`Error: "${word}" is not there on this host.`)
    else {
      if (word !== 'to') w.back()
      to = prefix(w).address
    }
  }
  if (to === null) fail('need at least a destination address')
  const from = fl4.saddr
  fl4.daddr = to
  const rt = ip_route_output_key(c.net, fl4)
  if (IS_ERR(rt)) fail(`RTNETLINK answers: ${errorText(-rt)}`, 2)
  const out: string[] = []
  const type = rt.rt_type
  if (type !== RTN_UNICAST) out.push(typeName(type))
  out.push(dotted(to))
  if (from) out.push(`from ${dotted(from)}`)
  if (rt.rt_uses_gateway && rt.rt_gw_family === AF_INET) out.push(`via ${dotted(rt.rt_gw4)}`)
  out.push(`dev ${rt.dev?.name ?? ''}`)
  if (!from) out.push(`src ${dotted(fl4.saddr)}`)
  if (fl4.flowi4_mark) out.push(`mark 0x${fl4.flowi4_mark.toString(16)}`)
  out.push(`uid ${fl4.flowi4_uid}`)
  const flags = [
    [RTCF_LOCAL, 'local'],
    [RTCF_BROADCAST, 'broadcast'],
    [RTCF_MULTICAST, 'multicast'],
  ].flatMap(([bit, name]) => ((rt.rt_flags & Number(bit)) !== 0 ? [String(name)] : []))
  const mtu = rt.rt_pmtu ? `mtu ${rt.rt_pmtu} ` : ''
  ip_rt_put(rt)
  return `${out.join(' ')} \n    cache ${flags.length > 0 ? `<${flags.join(',')}> ` : ''}${mtu}\n`
}
