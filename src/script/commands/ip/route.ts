import { RTNH_F_ONLINK, RTNH_F_PERVASIVE } from '../../../kernel/include/generated/enums.ts'
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
import { fib_config } from '../../../kernel/include/net/ip_fib.ts'
import { fib_route_change } from '../../../kernel/net/ipv4/fib_frontend.ts'
import { fail, rtnl, type Words } from '../words.ts'
import { address, type Context, device, ip6, prefix, refuse6 } from './context.ts'
import { protocolOf, scopeOf, tableOf, typeOf } from './names.ts'

import { filter, getRoute, rows, showRoutes, typeWord } from './route_show.ts'

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
  if ('get'.startsWith(what)) return getRoute(c, w)
  if ('list'.startsWith(what) || 'show'.startsWith(what) || what === 'lst') return showRoutes(c, w)
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
      if (w.take('inet6')) fail('"via inet6" is not there on this host.')
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
