import {
  IFF_ALLMULTI,
  IFF_DYNAMIC,
  IFF_MULTICAST,
  IFF_NOARP,
  IFF_NOTRAILERS,
  IFF_PROMISC,
  IFF_UP,
} from '../../../kernel/include/generated/enums.ts'
import type { rtnl_link_attrs } from '../../../kernel/include/net/rtnetlink.ts'
import { dev_valid_name } from '../../../kernel/net/core/dev.ts'
import { rtnl_changelink, rtnl_dellink, rtnl_newlink, rtnl_setlink } from '../../../kernel/net/core/rtnetlink.ts'
import { fail, rtnl, type Words } from '../words.ts'
import { type Context, device, netnsOf } from './context.ts'
import { kindData } from './link_kinds.ts'
import { showLinks } from './link_show.ts'

const USAGE = 255

/** `ip link add|set|delete|show` */
export function ipLink(c: Context, w: Words): string {
  const what = w.done ? 'show' : w.next()
  if ('add'.startsWith(what)) return add(c, w)
  if ('set'.startsWith(what) || 'change'.startsWith(what)) return set(c, w)
  if ('delete'.startsWith(what)) return del(c, w)
  if ('show'.startsWith(what) || 'lst'.startsWith(what) || 'list'.startsWith(what)) return showLinks(c, w)
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
function parse(c: Context, w: Words, adding: boolean): Request {
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
