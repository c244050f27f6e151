import {
  ARPHRD_LOOPBACK,
  IFF_ALLMULTI,
  IFF_AUTOMEDIA,
  IFF_BROADCAST,
  IFF_DEBUG,
  IFF_DORMANT,
  IFF_DYNAMIC,
  IFF_ECHO,
  IFF_LOOPBACK,
  IFF_LOWER_UP,
  IFF_MASTER,
  IFF_MULTICAST,
  IFF_NOARP,
  IFF_NOTRAILERS,
  IFF_POINTOPOINT,
  IFF_PORTSEL,
  IFF_PROMISC,
  IFF_RUNNING,
  IFF_SLAVE,
  IFF_UP,
} from '../../../kernel/include/generated/enums.ts'
import { type net_device, rtnl_link_stats64 } from '../../../kernel/include/linux/netdevice.ts'
import type { rtnl_link_attrs } from '../../../kernel/include/net/rtnetlink.ts'
import { dev_get_flags, dev_get_iflink, dev_get_stats, dev_valid_name } from '../../../kernel/net/core/dev.ts'
import { rtnl_changelink, rtnl_dellink, rtnl_newlink, rtnl_setlink } from '../../../kernel/net/core/rtnetlink.ts'
import { fail, rtnl, type Words } from '../words.ts'
import { type Context, colons, device, netnsOf } from './context.ts'
import { detailsOf, kindData } from './link_kinds.ts'

const USAGE = 255

/** `ip link add|set|delete|show` */
export function ipLink(c: Context, w: Words): string {
  const what = w.done ? 'show' : w.next()
  if ('add'.startsWith(what)) return add(c, w)
  if ('set'.startsWith(what) || 'change'.startsWith(what)) return set(c, w)
  if ('delete'.startsWith(what)) return del(c, w)
  if ('show'.startsWith(what) || 'lst'.startsWith(what) || 'list'.startsWith(what)) return show(c, w)
  if (['replace', 'xstats', 'afstats', 'property'].some((o) => o.startsWith(what)))
    fail(`"ip link ${what}" is not there on this host.`)
  fail(`Command "${what}" is unknown, try "ip link help".`, USAGE)
}

/** what iplink_parse() gathers */
interface Request {
  dev: string | null
  name: string | null
  type: string | null
  tb: rtnl_link_attrs
}

const flagWords: Readonly<Record<string, number>> = {
  multicast: IFF_MULTICAST,
  allmulticast: IFF_ALLMULTI,
  promisc: IFF_PROMISC,
  trailers: IFF_NOTRAILERS,
  arp: IFF_NOARP,
  dynamic: IFF_DYNAMIC,
}

/** reads up to `type KIND`, whose own words follow, or to the end */
export function parse(c: Context, w: Words, adding: boolean): Request {
  const r: Request = { dev: null, name: null, type: null, tb: {} }
  const { tb } = r
  const flag = (bit: number, on: boolean): void => {
    tb.ifi_change = (tb.ifi_change ?? 0) | bit
    tb.ifi_flags = on ? (tb.ifi_flags ?? 0) | bit : (tb.ifi_flags ?? 0) & ~bit
  }
  while (!w.done) {
    const word = w.next()
    if (word === 'up') flag(IFF_UP, true)
    else if (word === 'down') flag(IFF_UP, false)
    else if (word === 'name') {
      r.name = w.next()
      if (!dev_valid_name(r.name)) w.invalid(r.name, '"name" not a valid ifname')
    } else if (word === 'index') tb.ifi_index = w.number('Invalid "index" value')
    else if (word === 'link') tb.link = device(c, w.next()).ifindex
    else if (word === 'address') tb.address = w.lladdr()
    else if (word === 'broadcast' || word === 'brd') tb.broadcast = w.lladdr()
    else if (word === 'txqueuelen' || word === 'qlen' || word === 'txqlen') tb.txqlen = w.number('Invalid "txqueuelen" value')
    else if (word === 'mtu') tb.mtu = w.number('Invalid "mtu" value')
    else if (word === 'netns') {
      const name = w.next()
      const n = netnsOf(c.host, name)
      if (n === null) w.invalid(name, 'Invalid "netns" value')
      tb.net = n
    } else if (Object.hasOwn(flagWords, word)) {
      const on = w.onOff(word)
      const inverted = word === 'arp' || word === 'trailers'
      flag(flagWords[word] ?? 0, on !== inverted)
    } else if (word === 'carrier') tb.carrier = w.onOff('carrier')
    else if (word === 'group') {
      const g = w.next()
      tb.group = g === 'default' ? 0 : Number(g)
      if (!Number.isInteger(tb.group)) w.invalid(g, 'Invalid "group" value')
    } else if (word === 'master') {
      const name = w.next()
      const master = c.net.dev_name_head.get(name)
      if (master === undefined) w.invalid(name, 'Device does not exist')
      tb.master = master.ifindex
    } else if (word === 'nomaster') tb.master = 0
    else if (word === 'numtxqueues') tb.num_tx_queues = w.number('Invalid "numtxqueues" value')
    else if (word === 'numrxqueues') tb.num_rx_queues = w.number('Invalid "numrxqueues" value')
    else if (word === 'gso_max_size') tb.gso_max_size = w.number('Invalid "gso_max_size" value')
    else if (word === 'gso_max_segs') tb.gso_max_segs = w.number('Invalid "gso_max_segs" value')
    else if (word === 'gro_max_size') tb.gro_max_size = w.number('Invalid "gro_max_size" value')
    else if (word === 'gso_ipv4_max_size') tb.gso_ipv4_max_size = w.number('Invalid "gso_ipv4_max_size" value')
    else if (word === 'gro_ipv4_max_size') tb.gro_ipv4_max_size = w.number('Invalid "gro_ipv4_max_size" value')
    else if (word === 'type') {
      r.type = w.next()
      break
    } else if (['alias', 'vf', 'mode', 'state', 'addrgenmode', 'link-netnsid', 'protodown', 'xdp', 'bond_slave'].includes(word))
      fail(`Error: "${word}" is not there on this host.`)
    else {
      const name = word === 'dev' ? w.next() : word
      if (r.dev !== null) w.garbage('dev', name)
      if (!dev_valid_name(name)) w.invalid(name, '"dev" not a valid ifname')
      r.dev = name
    }
  }
  if (adding) r.name ??= r.dev
  return r
}

function add(c: Context, w: Words): string {
  const r = parse(c, w, true)
  if (r.type === null) fail('Not enough information: "type" argument is required', USAGE)
  if (r.name !== null) r.tb.ifname = r.name
  const data = kindData(c, r.type, w, r.tb, (words) => parse(c, words, true), true)
  const { type } = r
  rtnl(() => rtnl_newlink(c.net, type, r.tb, data))
  return ''
}

function set(c: Context, w: Words): string {
  if (w.peek === 'group') fail('Error: "group" as what to change is not there on this host.')
  const r = parse(c, w, false)
  if (r.dev === null) fail('Not enough of information: "dev" argument is required.', USAGE)
  const dev = device(c, r.dev)
  if (r.name !== null && r.name !== dev.name) r.tb.ifname = r.name
  if (r.type === null) {
    rtnl(() => rtnl_setlink(dev, r.tb))
    return ''
  }
  const { type } = r
  const data = kindData(c, type, w, r.tb, (words) => parse(c, words, true), false)
  rtnl(() => rtnl_changelink(dev, type, r.tb, data))
  rtnl(() => rtnl_setlink(dev, r.tb))
  return ''
}

function del(c: Context, w: Words): string {
  const r = parse(c, w, false)
  if (r.dev === null) fail('Not enough of information: "dev" argument is required.', USAGE)
  const dev = device(c, r.dev)
  rtnl(() => rtnl_dellink(dev))
  return ''
}

// ---- showing

/** what a line of `ip link` or `ip addr` is asked for */
export interface Filter {
  dev: net_device | null
  up: boolean
  master: net_device | null
  type: string | null
  /** what stands behind, for `ip addr` */
  to: { address: number; length: number } | null
  scope: number | null
  label: string | null
}

export function parseFilter(c: Context, w: Words, addresses: boolean): Filter {
  const f: Filter = { dev: null, up: false, master: null, type: null, to: null, scope: null, label: null }
  while (!w.done) {
    const word = w.next()
    if (word === 'up') f.up = true
    else if (word === 'master') f.master = device(c, w.next())
    else if (word === 'type') f.type = w.next()
    else if (addresses && word === 'label') f.label = w.next()
    else if (['group', 'vrf', 'nomaster', 'scope', 'to', 'dynamic', 'permanent'].includes(word))
      fail(`Error: "${word}" is not there on this host.`)
    else {
      const name = word === 'dev' ? w.next() : word
      if (f.dev !== null) w.garbage('dev', name)
      const dev = c.net.dev_name_head.get(name)
      if (dev === undefined) fail(`Device "${name}" does not exist.`)
      f.dev = dev
    }
  }
  return f
}

export const selected = (c: Context, f: Filter): net_device[] =>
  [...c.net.dev_base_head]
    .sort((a, b) => a.ifindex - b.ifindex)
    .filter(
      (d) =>
        (f.dev === null || d === f.dev) &&
        (!f.up || d.flags & IFF_UP) &&
        (f.master === null || d.master === f.master) &&
        (f.type === null || d.rtnl_link_ops?.kind === f.type),
    )

function show(c: Context, w: Words): string {
  return selected(c, parseFilter(c, w, false))
    .map((d) => (c.brief ? briefLink(c, d) : `${linkLine(c, d, true)}${c.stats > 0 ? statistics(d) : ''}`))
    .join('')
}

const flagNames: readonly (readonly [number, string])[] = [
  [IFF_LOOPBACK, 'LOOPBACK'],
  [IFF_BROADCAST, 'BROADCAST'],
  [IFF_POINTOPOINT, 'POINTOPOINT'],
  [IFF_MULTICAST, 'MULTICAST'],
  [IFF_NOARP, 'NOARP'],
  [IFF_ALLMULTI, 'ALLMULTI'],
  [IFF_PROMISC, 'PROMISC'],
  [IFF_MASTER, 'MASTER'],
  [IFF_SLAVE, 'SLAVE'],
  [IFF_DEBUG, 'DEBUG'],
  [IFF_DYNAMIC, 'DYNAMIC'],
  [IFF_AUTOMEDIA, 'AUTOMEDIA'],
  [IFF_PORTSEL, 'PORTSEL'],
  [IFF_NOTRAILERS, 'NOTRAILERS'],
  [IFF_UP, 'UP'],
  [IFF_LOWER_UP, 'LOWER_UP'],
  [IFF_DORMANT, 'DORMANT'],
  [IFF_ECHO, 'ECHO'],
]

/** dev_get_flags() as programs get it: promiscuity and groups only where the user asked for them */
function userFlags(d: net_device): number {
  return (dev_get_flags(d) & ~(IFF_PROMISC | IFF_ALLMULTI)) | (d.gflags & (IFF_PROMISC | IFF_ALLMULTI))
}

export function linkFlags(d: net_device): string {
  const flags = userFlags(d)
  const names = flags & IFF_UP && !(flags & IFF_RUNNING) ? ['NO-CARRIER'] : []
  for (const [bit, name] of flagNames) if (flags & bit) names.push(name)
  const below = lowerIn(d)
  if (below !== null && !(below.flags & IFF_UP)) names.push('M-DOWN')
  return `<${names.join(',')}>`
}

const lowerIn = (d: net_device): net_device | null => {
  const i = dev_get_iflink(d)
  const below = i === d.ifindex || linkNet(d) !== d.nd_net ? undefined : d.nd_net.dev_by_index.get(i)
  return below ?? null
}
const linkNet = (d: net_device): net_device['nd_net'] => d.rtnl_link_ops?.get_link_net?.(d) ?? d.nd_net

/** eth0@if2: a device on, or tied to, another */
export function linkName(d: net_device): string {
  const i = dev_get_iflink(d)
  if ((i === d.ifindex && linkNet(d) === d.nd_net) || i === 0) return d.name
  return `${d.name}@${lowerIn(d)?.name ?? `if${i}`}`
}

const states = ['UNKNOWN', 'NOTPRESENT', 'DOWN', 'LOWERLAYERDOWN', 'TESTING', 'DORMANT', 'UP']
export const operstate = (d: net_device): string => (d.flags & IFF_UP ? (states[d.operstate] ?? 'UNKNOWN') : 'DOWN')

export function linkLine(c: Context, d: net_device, link: boolean): string {
  const nl = c.oneline ? '\\' : '\n'
  const qdisc = d.qdisc?.ops?.id ?? 'noop'
  const master = d.master === null ? '' : `master ${d.master.name} `
  const mode = link ? 'mode DEFAULT ' : ''
  const qlen = d.tx_queue_len ? `qlen ${d.tx_queue_len}` : ''
  const group = d.group === 0 ? 'default' : String(d.group)
  const loop = d.type === ARPHRD_LOOPBACK
  const n = linkNet(d)
  const i = dev_get_iflink(d)
  const peer = i !== 0 && n !== d.nd_net ? (n.name === '' ? ' link-netnsid 0' : ` link-netns ${n.name}`) : ''
  return (
    `${d.ifindex}: ${linkName(d)}: ${linkFlags(d)} mtu ${d.mtu} qdisc ${qdisc} ${master}state ${operstate(d)} ` +
    `${mode}group ${group} ${qlen}${nl}    link/${loop ? 'loopback' : 'ether'} ${colons(d.dev_addr)} brd ${colons(d.broadcast)}` +
    `${peer}${c.details > 0 ? detailsOf(c, d) : ''}\n`
  )
}

const briefLink = (_c: Context, d: net_device): string =>
  `${linkName(d).padEnd(16)} ${operstate(d).padEnd(14)} ${colons(d.dev_addr)} ${linkFlags(d)} \n`

export function statistics(d: net_device): string {
  const s = dev_get_stats(d, new rtnl_link_stats64())
  const rx = [s.rx_bytes, s.rx_packets, s.rx_errors, s.rx_dropped, 0, s.multicast]
  const tx = [s.tx_bytes, s.tx_packets, s.tx_errors, s.tx_dropped, 0, s.collisions]
  const widths = [10, 7, 6, 7, 7, 7].map((n, i) => Math.max(n, String(rx[i]).length, String(tx[i]).length))
  const numbers = (row: number[]): string => `    ${row.map((v, i) => `${String(v).padStart(widths[i] ?? 0)} `).join('')}`
  const head = (what: string, names: string[]): string =>
    `    ${what}: ${names.map((n, i) => n.padStart((widths[i] ?? 0) - (i === 0 ? 4 : 0))).join(' ')}${' '.repeat(11)}`
  return [
    head('RX', ['bytes', 'packets', 'errors', 'dropped', 'missed', 'mcast']),
    numbers(rx),
    head('TX', ['bytes', 'packets', 'errors', 'dropped', 'carrier', 'collsns']),
    numbers(tx),
    '',
  ].join('\n')
}
