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
import { dev_get_flags, dev_get_iflink, dev_get_stats } from '../../../kernel/net/core/dev.ts'
import type { Json } from '../json.ts'
import { fail, type Words } from '../words.ts'
import { asJson, type Context, colons, device } from './context.ts'
import { detailsJson, detailsOf } from './link_kinds.ts'

/** what a line of `ip link` or `ip addr` is asked for */
interface Filter {
  dev: net_device | null
  up: boolean
  master: net_device | null
  type: string | null
  label: string | null
  scope: string | null
}

/** which devices `ip link show` or `ip addr show` is asked for */
export function parseFilter(c: Context, w: Words, addresses: boolean): Filter {
  const f: Filter = { dev: null, up: false, master: null, type: null, label: null, scope: null }
  while (!w.done) {
    const word = w.next()
    if (word === 'up') f.up = true
    else if (word === 'master') f.master = device(c, w.next())
    else if (word === 'type') f.type = w.next()
    else if (addresses && word === 'label') f.label = w.next()
    else if (addresses && word === 'scope') f.scope = w.next()
    else if (['group', 'vrf', 'nomaster', 'scope', 'to', 'dynamic', 'permanent', 'novf'].includes(word))
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

/** those of a namespace, by number */
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

/** `ip link show` */
export function showLinks(c: Context, w: Words): string {
  const devices = selected(c, parseFilter(c, w, false))
  if (c.json)
    return asJson(
      c,
      devices.map((d) =>
        c.brief ? briefJson(d) : { ...linkJson(c, d, true, true), ...(c.stats > 0 ? statisticsJson(c, d) : {}) },
      ),
    )
  return devices.map((d) => (c.brief ? briefLink(d) : `${linkLine(c, d, true)}${c.stats > 0 ? statistics(c, d) : ''}\n`)).join('')
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

function flagList(d: net_device): string[] {
  const flags = dev_get_flags(d)
  const names = flags & IFF_UP && !(flags & IFF_RUNNING) ? ['NO-CARRIER'] : []
  for (const [bit, name] of flagNames) if (flags & bit) names.push(name)
  const below = lowerIn(d)
  if (below !== null && !(below.flags & IFF_UP)) names.push('M-DOWN')
  return names
}
const linkFlags = (d: net_device): string => `<${flagList(d).join(',')}>`

const lowerIn = (d: net_device): net_device | null => {
  const i = dev_get_iflink(d)
  const below = i === d.ifindex || linkNet(d) !== d.nd_net ? undefined : d.nd_net.dev_by_index.get(i)
  return below ?? null
}
const linkNet = (d: net_device): net_device['nd_net'] => d.rtnl_link_ops?.get_link_net?.(d) ?? d.nd_net
const isTied = (d: net_device): boolean => {
  const i = dev_get_iflink(d)
  return i !== 0 && (i !== d.ifindex || linkNet(d) !== d.nd_net)
}

/** eth0@if2: a device on, or tied to, another */
const linkName = (d: net_device): string => (isTied(d) ? `${d.name}@${lowerIn(d)?.name ?? `if${dev_get_iflink(d)}`}` : d.name)

const states = ['UNKNOWN', 'NOTPRESENT', 'DOWN', 'LOWERLAYERDOWN', 'TESTING', 'DORMANT', 'UP']
const operstate = (d: net_device): string => (d.flags & IFF_UP ? (states[d.operstate] ?? 'UNKNOWN') : 'DOWN')

const groupOf = (d: net_device): string => (d.group === 0 ? 'default' : String(d.group))
const layerOf = (d: net_device): string => (d.type === ARPHRD_LOOPBACK ? 'loopback' : 'ether')
const elsewhere = (d: net_device): boolean => dev_get_iflink(d) !== 0 && linkNet(d) !== d.nd_net

/** the first line, without a line break at its end; `link`: for `ip link`, not `ip addr` */
export function headLine(d: net_device, link: boolean): string {
  const qdisc = d.qdisc?.ops?.id ?? 'noop'
  const master = d.master === null ? '' : `master ${d.master.name} `
  const mode = link ? 'mode DEFAULT ' : ''
  const qlen = d.tx_queue_len ? `qlen ${d.tx_queue_len}` : ''
  return (
    `${d.ifindex}: ${linkName(d)}: ${linkFlags(d)} mtu ${d.mtu} qdisc ${qdisc} ${master}state ${operstate(d)} ` +
    `${mode}group ${groupOf(d)} ${qlen}`
  )
}

/** both lines and the details of a link, without a line break at their end */
export function linkLine(c: Context, d: net_device, link: boolean): string {
  const n = linkNet(d)
  const peer = elsewhere(d) ? (n.name === '' ? ' link-netnsid 0' : ` link-netns ${n.name}`) : ''
  return (
    `${headLine(d, link)}${breakOf(c)}    link/${layerOf(d)} ${colons(d.dev_addr)} brd ${colons(d.broadcast)}` +
    `${peer}${c.details > 0 ? detailsOf(d, link).replaceAll('\n', breakOf(c)) : ''}`
  )
}

/** what stands between the lines of one device */
export const breakOf = (c: Context): string => (c.oneline ? '\\' : '\n')

type Members = Record<string, Json | undefined>

/** `layer`: with what the link layer has, which `ip -4 addr` leaves out */
export function linkJson(c: Context, d: net_device, link: boolean, layer: boolean): Members {
  const n = linkNet(d)
  const away = elsewhere(d)
  const tied: Members = !isTied(d)
    ? {}
    : away
      ? { link_index: dev_get_iflink(d) }
      : { link: lowerIn(d)?.name ?? `if${dev_get_iflink(d)}` }
  return {
    ifindex: d.ifindex,
    ...tied,
    ifname: d.name,
    flags: flagList(d),
    mtu: d.mtu,
    qdisc: d.qdisc?.ops?.id ?? 'noop',
    master: d.master?.name,
    operstate: operstate(d),
    linkmode: link ? 'DEFAULT' : undefined,
    group: groupOf(d),
    txqlen: d.tx_queue_len || undefined,
    ...(layer
      ? {
          link_type: layerOf(d),
          address: colons(d.dev_addr),
          broadcast: colons(d.broadcast),
          link_netnsid: away && n.name === '' ? 0 : undefined,
          link_netns: away && n.name !== '' ? n.name : undefined,
          ...(c.details > 0 ? detailsJson(d, link) : {}),
        }
      : {}),
  }
}

/** name and state, as -br has them */
export const briefHead = (d: net_device): string => `${linkName(d).padEnd(16)} ${operstate(d).padEnd(14)} `
const briefLink = (d: net_device): string => `${briefHead(d)}${colons(d.dev_addr)} ${linkFlags(d)} \n`
/** the same for -j */
export const briefHeadJson = (d: net_device): Members => ({
  link: isTied(d) ? (lowerIn(d)?.name ?? undefined) : undefined,
  ifname: d.name,
  operstate: operstate(d),
})
const briefJson = (d: net_device): Members => ({ ...briefHeadJson(d), address: colons(d.dev_addr), flags: flagList(d) })

/** a table of counters: headings and numbers, each column as wide as the wider of the two */
function table(c: Context, title: string, names: string[], values: number[], widths: number[], tail: string): string {
  const nl = breakOf(c)
  const heads = names.map((n, i) => n.padStart((widths[i] ?? 0) - (i === 0 ? title.length + 2 : 0)))
  const numbers = values.map((v, i) => `${String(v).padStart(widths[i] ?? 0)} `)
  return `${nl}    ${title}: ${heads.join(' ')}${tail}${nl}    ${numbers.join('')}`
}

/** `ip -s`: counters of a device, each line headed by a line break; `-s -s`: of its errors too */
export function statistics(c: Context, d: net_device): string {
  const s = dev_get_stats(d, new rtnl_link_stats64())
  const rx = [s.rx_bytes, s.rx_packets, s.rx_errors, s.rx_dropped, 0, s.multicast]
  const tx = [s.tx_bytes, s.tx_packets, s.tx_errors, s.tx_dropped, 0, s.collisions]
  const widths = [10, 7, 6, 7, 7, 7].map((n, i) => Math.max(n, String(rx[i]).length, String(tx[i]).length))
  const names = (last: string[]): string[] => ['bytes', 'packets', 'errors', 'dropped', ...last]
  let out = table(c, 'RX', names(['missed', 'mcast']), rx, widths, ' '.repeat(11))
  if (c.stats > 1) out += errors(c, 'RX', ['length', 'crc', 'frame', 'fifo', 'overrun'], [0, 0, 0, 0, 0], widths)
  out += table(c, 'TX', names(['carrier', 'collsns']), tx, widths, ' '.repeat(11))
  if (c.stats > 1) out += errors(c, 'TX', ['aborted', 'fifo', 'window', 'heartbt', 'transns'], [0, 0, 0, 0, 0], widths)
  return out
}

function errors(c: Context, title: string, names: string[], values: number[], widths: number[]): string {
  const nl = breakOf(c)
  const [first = 0, ...rest] = widths
  const w = [first + (rest[0] ?? 0) + 1, ...rest.slice(1)]
  const heads = names.map((n, i) => n.padStart(i === 0 ? (w[0] ?? 0) - title.length - 9 : (w[i] ?? 0)))
  return `${nl}    ${title} errors: ${heads.join(' ')}${nl}    ${values.map((v, i) => `${String(v).padStart(w[i] ?? 0)} `).join('')}`
}

/** the counters of -s -j; -s -s has the errors one by one */
export function statisticsJson(c: Context, d: net_device): Members {
  const s = dev_get_stats(d, new rtnl_link_stats64())
  const more = (names: string[]): Members => (c.stats > 1 ? Object.fromEntries(names.map((n) => [n, 0])) : {})
  return {
    stats64: {
      rx: {
        bytes: s.rx_bytes,
        packets: s.rx_packets,
        errors: s.rx_errors,
        dropped: s.rx_dropped,
        over_errors: 0,
        multicast: s.multicast,
        ...more(['length_errors', 'crc_errors', 'frame_errors', 'fifo_errors', 'missed_errors']),
      },
      tx: {
        bytes: s.tx_bytes,
        packets: s.tx_packets,
        errors: s.tx_errors,
        dropped: s.tx_dropped,
        carrier_errors: 0,
        collisions: s.collisions,
        ...more(['aborted_errors', 'fifo_errors', 'window_errors', 'heartbeat_errors', 'carrier_changes']),
      },
    },
  }
}
