import { __in_dev_get_rtnl, type in_ifaddr } from '../../../kernel/include/linux/inetdevice.ts'
import type { net_device } from '../../../kernel/include/linux/netdevice.ts'
import { IFA_F_PERMANENT, IFA_F_SECONDARY, RT_SCOPE_HOST, RT_SCOPE_UNIVERSE } from '../../../kernel/include/linux/rtnetlink.ts'
import { inet_add_addr, inet_del_addr } from '../../../kernel/net/ipv4/devinet.ts'
import { fail, rtnl, type Words } from '../words.ts'
import { address, type Context, device, dotted, ip6, prefix, refuse6 } from './context.ts'
import { linkLine, linkName, operstate, parseFilter, selected, statistics } from './link.ts'
import { scopeName, scopeOf } from './names.ts'

const USAGE = 255

/** `ip addr add|del|flush|show` */
export function ipAddress(c: Context, w: Words): string {
  const what = w.done ? 'show' : w.next()
  if ('add'.startsWith(what)) return change(c, w, true)
  if ('delete'.startsWith(what)) return change(c, w, false)
  if ('show'.startsWith(what) || 'list'.startsWith(what) || 'lst'.startsWith(what)) return show(c, w)
  if ('flush'.startsWith(what)) return flush(c, w)
  if (['change', 'chg', 'replace', 'save', 'restore', 'showdump'].some((o) => o.startsWith(what)))
    fail(`"ip address ${what}" is not there on this host.`)
  fail(`Command "${what}" is unknown, try "ip address help".`, USAGE)
}

function change(c: Context, w: Words, adding: boolean): string {
  let local: { address: number; length: number; explicit: boolean } | null = null
  let peer: { address: number; length: number; explicit: boolean } | null = null
  let broadcast: number | null = null
  let fill = 0
  let scope: number | null = null
  let label: string | null = null
  let dev: string | null = null
  if (c.family === 6) return ip6.address?.(c, w, adding) ?? fail('Error: IPv6 is not there')
  while (!w.done) {
    const word = w.next()
    if (word === 'peer' || word === 'remote') peer = prefix(w)
    else if (word === 'broadcast' || word === 'brd') {
      if (w.take('+')) fill = 1
      else if (w.take('-')) fill = -1
      else broadcast = address(w)
    } else if (word === 'scope') {
      const s = w.next()
      scope = scopeOf(s) ?? w.invalid(s, 'invalid scope value.')
    } else if (word === 'dev') dev = w.next()
    else if (word === 'label') label = w.next()
    else if (
      [
        'anycast',
        'valid_lft',
        'preferred_lft',
        'metric',
        'priority',
        'preference',
        'home',
        'nodad',
        'noprefixroute',
        'autojoin',
        'mngtmpaddr',
        'proto',
      ].includes(word)
    )
      fail(`Error: "${word}" is not there on this host.`)
    else {
      if (word !== 'local') w.back()
      if (local !== null) w.garbage('local', w.next())
      refuse6(w.peek)
      local = prefix(w)
    }
  }
  if (dev === null) fail('Not enough information: "dev" argument is required.', USAGE)
  if (local === null) fail('Not enough information: "local" argument is required.', USAGE)
  if (label !== null && !label.startsWith(dev)) fail(`"dev" (${dev}) must match "label" (${label}).`, 1)
  const d = device(c, dev)
  const plen = peer?.length ?? local.length
  const { address: a } = local
  if (fill !== 0 && plen < 31) {
    const mask = (0xffffffff << (32 - plen)) >>> 0
    broadcast = fill > 0 ? (a | ~mask) >>> 0 : (a & mask) >>> 0
  }
  const s = scope ?? (a >>> 24 === 127 ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE)
  rtnl(() => (adding ? inet_add_addr(d, a, plen, broadcast ?? 0, peer?.address ?? 0, s) : inet_del_addr(d, a, plen)))
  if (adding && label !== null)
    for (const ifa of addressesOf(d)) if (ifa.ifa_local === a && ifa.ifa_prefixlen === plen) ifa.ifa_label = label
  return ''
}

function* addressesOf(d: net_device): Generator<in_ifaddr> {
  const in_dev = __in_dev_get_rtnl(d)
  for (let ifa = in_dev?.ifa_list ?? null; ifa !== null; ifa = ifa.ifa_next) yield ifa
}

function flush(c: Context, w: Words): string {
  const f = parseFilter(c, w, true)
  if (f.dev === null) fail('Flush requires arguments.')
  for (const d of selected(c, f))
    for (const ifa of [...addressesOf(d)]) if (ifa.hashed) rtnl(() => inet_del_addr(d, ifa.ifa_local, ifa.ifa_prefixlen))
  return ''
}

function show(c: Context, w: Words): string {
  const f = parseFilter(c, w, true)
  let out = ''
  for (const d of selected(c, f)) {
    const list = c.family === 6 ? [] : [...addressesOf(d)].filter((ifa) => f.label === null || ifa.ifa_label === f.label)
    if (c.family !== 0 && list.length === 0) continue
    if (c.brief) {
      const line = `${linkName(d).padEnd(16)} ${operstate(d).padEnd(14)} ${list.map((ifa) => `${text(ifa)} `).join('')}`
      out += `${line}\n`
      continue
    }
    // one family only: the link's own line has no addresses of the link layer
    const head = c.family === 0 ? linkLine(c, d, false) : `${linkLine(c, d, false).split(/\n/)[0]}\n`
    if (!c.oneline) out += head
    for (const ifa of list) out += addressLines(c, d, ifa)
    if (c.stats > 0 && !c.oneline) out += statistics(d)
  }
  return out
}

const text = (ifa: in_ifaddr): string =>
  ifa.ifa_local === ifa.ifa_address
    ? `${dotted(ifa.ifa_local)}/${ifa.ifa_prefixlen}`
    : `${dotted(ifa.ifa_local)} peer ${dotted(ifa.ifa_address)}/${ifa.ifa_prefixlen}`

function addressLines(c: Context, d: net_device, ifa: in_ifaddr): string {
  const brd = ifa.ifa_broadcast ? ` brd ${dotted(ifa.ifa_broadcast)}` : ''
  const secondary = ifa.ifa_flags & IFA_F_SECONDARY ? 'secondary ' : ''
  const dynamic = ifa.ifa_flags & IFA_F_PERMANENT ? '' : 'dynamic '
  const head = c.oneline ? `${d.ifindex}: ${d.name}    ` : '    '
  const nl = c.oneline ? '\\' : '\n'
  return (
    `${head}inet ${text(ifa)}${brd} scope ${scopeName(ifa.ifa_scope)} ${secondary}${dynamic}${ifa.ifa_label}${nl}` +
    '       valid_lft forever preferred_lft forever\n'
  )
}
