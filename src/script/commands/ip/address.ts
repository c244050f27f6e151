import { dotted } from '../../../kernel/include/linux/in.ts'
import { __in_dev_get_rtnl, type in_ifaddr } from '../../../kernel/include/linux/inetdevice.ts'
import type { net_device } from '../../../kernel/include/linux/netdevice.ts'
import { IFA_F_PERMANENT, IFA_F_SECONDARY, RT_SCOPE_HOST, RT_SCOPE_UNIVERSE } from '../../../kernel/include/linux/rtnetlink.ts'
import { inet_add_addr, inet_del_addr } from '../../../kernel/net/ipv4/devinet.ts'
import type { Json } from '../json.ts'
import { fail, rtnl, type Words } from '../words.ts'
import { type Address6, address, asJson, type Context, device, ip6, prefix, refuse6 } from './context.ts'
import {
  breakOf,
  briefHead,
  briefHeadJson,
  headLine,
  linkJson,
  linkLine,
  parseFilter,
  selected,
  statistics,
  statisticsJson,
} from './link_show.ts'
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
  const scope = f.scope === null ? null : (scopeOf(f.scope) ?? w.invalid(f.scope, 'invalid scope'))
  let out = ''
  const rows: Json[] = []
  for (const d of selected(c, f)) {
    const list = (c.family === 6 ? [] : [...addressesOf(d)]).filter(
      (ifa) => (f.label === null || ifa.ifa_label === f.label) && (scope === null || ifa.ifa_scope === scope),
    )
    const six =
      c.family === 4 || ip6.list === null
        ? []
        : ip6.list(d).filter((a) => f.label === null && (scope === null || a.scope === scope))
    if ((c.family !== 0 || f.label !== null || scope !== null) && list.length + six.length === 0) continue
    if (c.json) {
      const addresses: Json[] = [...list.map((ifa) => addressJson(ifa, c.brief)), ...six.map((a) => address6Json(a, c.brief))]
      rows.push(
        c.brief
          ? { ...briefHeadJson(d), addr_info: addresses }
          : {
              ...linkJson(c, d, false, c.family === 0),
              addr_info: addresses,
              ...(c.stats > 0 ? statisticsJson(c, d) : {}),
            },
      )
      continue
    }
    if (c.brief) {
      out += `${briefHead(d)}${[...list.map(text), ...six.map((a) => a.text)].map((t) => `${t} `).join('')}\n`
      continue
    }
    // one family only: the link's own line has no addresses of the link layer
    if (!c.oneline) out += `${c.family === 0 || c.details > 0 ? linkLine(c, d, false) : headLine(d, false)}\n`
    for (const ifa of list) out += addressLines(c, d, ifa)
    for (const a of six)
      out +=
        `${c.oneline ? `${d.ifindex}: ${d.name}    ` : '    '}inet6 ${a.text} scope ${scopeName(a.scope)}${a.nodad ? ' nodad' : ''} ${breakOf(c)}` +
        '       valid_lft forever preferred_lft forever\n'
    if (c.stats > 0 && !c.oneline) out += `${statistics(c, d).slice(1)}\n`
  }
  return c.json ? asJson(c, rows) : out
}

/** every address here is for ever */
const FOREVER = { valid_life_time: 0xffffffff, preferred_life_time: 0xffffffff }

const addressJson = (ifa: in_ifaddr, brief: boolean): Json => ({
  family: brief ? undefined : 'inet',
  local: dotted(ifa.ifa_local),
  address: ifa.ifa_local === ifa.ifa_address ? undefined : dotted(ifa.ifa_address),
  prefixlen: ifa.ifa_prefixlen,
  ...(brief
    ? {}
    : {
        broadcast: ifa.ifa_broadcast ? dotted(ifa.ifa_broadcast) : undefined,
        scope: scopeName(ifa.ifa_scope),
        secondary: ifa.ifa_flags & IFA_F_SECONDARY ? true : undefined,
        dynamic: ifa.ifa_flags & IFA_F_PERMANENT ? undefined : true,
        label: ifa.ifa_label,
        ...FOREVER,
      }),
})
const address6Json = (a: Address6, brief: boolean): Json => {
  const [local = '', length = '0'] = a.text.split('/')
  const short = { local, prefixlen: Number(length) }
  return brief ? short : { family: 'inet6', ...short, scope: scopeName(a.scope), nodad: a.nodad || undefined, ...FOREVER }
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
  return (
    `${head}inet ${text(ifa)}${brd} scope ${scopeName(ifa.ifa_scope)} ${secondary}${dynamic}${ifa.ifa_label}${breakOf(c)}` +
    '       valid_lft forever preferred_lft forever\n'
  )
}
