import { RTNH_F_DEAD, RTNH_F_LINKDOWN, RTNH_F_ONLINK, RTNH_F_PERVASIVE } from '../../../kernel/include/generated/enums.ts'
import { dotted } from '../../../kernel/include/linux/in.ts'
import { RTCF_BROADCAST, RTCF_LOCAL, RTCF_MULTICAST } from '../../../kernel/include/linux/in_route.ts'
import {
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
  RTN_UNICAST,
  RTPROT_BOOT,
} from '../../../kernel/include/linux/rtnetlink.ts'
import { AF_INET } from '../../../kernel/include/linux/socket.ts'
import { IS_ERR } from '../../../kernel/include/linux/types.ts'
import { flowi4 } from '../../../kernel/include/net/flow.ts'
import type { fib_alias, fib_nh_common, fib_table } from '../../../kernel/include/net/ip_fib.ts'
import { fib_get_table } from '../../../kernel/net/ipv4/fib_frontend.ts'
import { fib_table_walk } from '../../../kernel/net/ipv4/fib_trie.ts'
import { ip_route_output_key, ip_rt_put } from '../../../kernel/net/ipv4/route.ts'
import type { Json } from '../json.ts'
import { errorText, fail, type Words } from '../words.ts'
import { asJson, type Context, device, prefix } from './context.ts'
import { protocolName, protocolOf, scopeName, scopeOf, tableName, tableOf, typeName, typeOf } from './names.ts'

/** the same, where a type has to stand */
export const typeWord = (w: Words, word: string): number => typeOf(word) ?? w.invalid(word, '"type" value is invalid')

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

/** which routes `ip route show` is asked for */
export function filter(c: Context, w: Words): Wanted {
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

/** those of a namespace, table by table */
export function rows(c: Context, f: Wanted): Row[] {
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

/** `ip route show` */
export function showRoutes(c: Context, w: Words): string {
  const f = filter(c, w)
  if (f.table !== null && ![RT_TABLE_MAIN, RT_TABLE_LOCAL, 253].includes(f.table) && fib_get_table(c.net, f.table) === null)
    fail('Error: ipv4: FIB table does not exist.\nDump terminated', 2)
  const found = rows(c, f)
  if (c.json)
    return asJson(
      c,
      found.map((r) => routeJson(c, r, f)),
    )
  return found.map((r) => line(c, r, f)).join('')
}

/** `ip -j route`: one route */
function routeJson(c: Context, r: Row, f: Wanted): Json {
  const { fa } = r
  const fi = fa.fa_info
  const single = fi.fib_nh.length === 1 ? fi.fib_nh[0] : undefined
  const hop = (nh: fib_nh_common): { [key: string]: Json | undefined } => ({
    gateway: nh.nhc_gw_family ? dotted(nh.nhc_gw4) : undefined,
    dev: nh.nhc_dev?.name,
  })
  const metrics = metricValues(fi.fib_metrics.metrics)
  return {
    type: fa.fa_type !== RTN_UNICAST || c.details > 0 ? typeName(fa.fa_type) : undefined,
    dst: destination(r),
    tos: fa.fa_dscp ? `0x${fa.fa_dscp.toString(16).padStart(2, '0')}` : undefined,
    ...(single === undefined ? {} : hop(single)),
    table: (r.table !== RT_TABLE_MAIN || c.details > 0) && f.table === null ? tableName(r.table) : undefined,
    protocol: fi.fib_protocol !== RTPROT_BOOT || c.details > 0 ? protocolName(fi.fib_protocol) : undefined,
    scope: fi.fib_scope !== RT_SCOPE_UNIVERSE || c.details > 0 ? scopeName(fi.fib_scope) : undefined,
    prefsrc: fi.fib_prefsrc ? dotted(fi.fib_prefsrc) : undefined,
    metric: fi.fib_priority || undefined,
    flags: single === undefined ? [] : flagsOf(single),
    metrics: metrics.length === 0 ? undefined : [Object.fromEntries(metrics.map(([name, , v]) => [name, v]))],
    nexthops:
      single === undefined && fi.fib_nh.length > 0
        ? fi.fib_nh.map((nh) => ({ ...hop(nh), weight: nh.nhc_weight, flags: flagsOf(nh) }))
        : undefined,
  }
}

const destination = (r: Row): string =>
  r.length === 0 ? 'default' : r.length === 32 ? dotted(r.dst) : `${dotted(r.dst)}/${r.length}`

function line(c: Context, r: Row, f: Wanted): string {
  const { fa } = r
  const fi = fa.fa_info
  const single = fi.fib_nh.length === 1 ? fi.fib_nh[0] : undefined
  const out: string[] = []
  if (fa.fa_type !== RTN_UNICAST || c.details > 0) out.push(typeName(fa.fa_type))
  out.push(destination(r))
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
      text += `${c.oneline ? '\\' : '\n'}\tnexthop${via} dev ${nh.nhc_dev?.name ?? '*'} weight ${nh.nhc_weight} ${flags.join('')}`
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
/** name, whether it is locked, and the value in the unit that is shown */
function metricValues(m: ArrayLike<number>): [name: string, locked: boolean, value: number][] {
  const lock = m[RTAX_LOCK - 1] ?? 0
  return metricNames.flatMap(([name, i]) => {
    const v = m[i - 1] ?? 0
    const unit = name === 'rtt' ? 8 : name === 'rttvar' ? 4 : 1
    return v ? [[name, ((lock >> i) & 1) === 1, v / unit]] : []
  })
}
const times = new Set(['rtt', 'rttvar', 'rto_min'])
const metricsOf = (m: ArrayLike<number>): string[] =>
  metricValues(m).map(([name, locked, v]) => `${name}${locked ? ' lock' : ''} ${v}${times.has(name) ? 'ms' : ''}`)

/** `ip route get ADDR [from A] [oif D] [mark M]`: what a packet would take */
export function getRoute(c: Context, w: Words): string {
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
  const row: Json = {
    type: type === RTN_UNICAST ? undefined : typeName(type),
    dst: dotted(to),
    from: from ? dotted(from) : undefined,
    gateway: rt.rt_uses_gateway && rt.rt_gw_family === AF_INET ? dotted(rt.rt_gw4) : undefined,
    dev: rt.dev?.name,
    prefsrc: from ? undefined : dotted(fl4.saddr),
    mark: fl4.flowi4_mark ? fl4.flowi4_mark : undefined,
    flags: [],
    uid: fl4.flowi4_uid,
    cache: flags,
    metrics: rt.rt_pmtu ? [{ mtu: rt.rt_pmtu }] : undefined,
  }
  ip_rt_put(rt)
  if (c.json) return asJson(c, [row])
  return `${out.join(' ')} ${c.oneline ? '\\' : '\n'}    cache ${flags.length > 0 ? `<${flags.join(',')}> ` : ''}${mtu}\n`
}
