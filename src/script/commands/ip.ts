// what `ip` can make devices of
import '../../kernel/drivers/net/dummy.ts'
import '../../kernel/drivers/net/veth.ts'
import '../../kernel/net/8021q/vlan.ts'
import '../../kernel/net/8021q/vlan_dev.ts'
import '../../kernel/net/bridge/br.ts'
import type { Host } from '../../host/host.ts'
import { load_modules } from '../../kernel/include/linux/init.ts'
import { failed, type HostCommand, loadedCommand, type Outcome, ok } from '../command.ts'
import { ipAddress } from './ip/address.ts'
import { type Context, netnsOf } from './ip/context.ts'
import { ipLink } from './ip/link.ts'
import { ipNeighbour } from './ip/neigh.ts'
import { ipNetns } from './ip/netns.ts'
import { ipRoute } from './ip/route.ts'
import { ipRule } from './ip/rule.ts'
import { byPrefix, CommandFailure, fail, Words } from './words.ts'

type Handler = (c: Context, w: Words) => string

const objects: readonly (readonly [string, Handler | null])[] = [
  ['address', ipAddress],
  ['addrlabel', null],
  ['maddress', null],
  ['route', ipRoute],
  ['rule', ipRule],
  ['neighbor', ipNeighbour],
  ['neighbour', ipNeighbour],
  ['ntable', null],
  ['link', ipLink],
  ['tunnel', null],
  ['tuntap', null],
  ['tcpmetrics', null],
  ['token', null],
  ['monitor', null],
  ['xfrm', null],
  ['mroute', null],
  ['mrule', null],
  ['netns', ipNetns],
  ['netconf', null],
  ['vrf', null],
  ['sr', null],
  ['nexthop', null],
  ['mptcp', null],
]

/** ip(8): links, addresses, routes, rules, neighbours and namespaces */
export const ip: HostCommand = (host, words, netns) => {
  load_modules()
  const c: Context = {
    host,
    net: host.netns(netns),
    family: 0,
    stats: 0,
    details: 0,
    oneline: false,
    brief: false,
    numeric: false,
    json: false,
    pretty: false,
  }
  const w = new Words(words, 1)
  let where = netns
  try {
    while (w.peek.startsWith('-')) where = option(c, w, where)
    if (w.done) fail('Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }', 255)
    const name = w.next()
    const object = objects.find(([n]) => n.startsWith(name))
    if (object === undefined) fail(`Object "${name}" is unknown, try "ip help".`)
    const [full, handler] = object
    if (handler === null) fail(`Object "${full}" is not there on this host.`)
    if (full === 'netns' && byPrefix([['exec', true]], w.peek) && !w.done) {
      w.next()
      return exec(host, w)
    }
    return ok(handler(c, w))
  } catch (e) {
    if (e instanceof CommandFailure) return failed(`${e.message}\n`, e.status)
    throw e
  }
}

/** options of the real one that change nothing here, or that this host cannot follow */
const absent = new Set([
  '-a',
  '-all',
  '-b',
  '-batch',
  '-c',
  '-color',
  '-force',
  '-h',
  '-human',
  '-iec',
  '-l',
  '-loops',
  '-r',
  '-resolve',
  '-rc',
  '-t',
  '-ts',
  '-timestamp',
  '-tshort',
  '-0',
  '-B',
  '-M',
  '-V',
  '-Version',
  '-echo',
])

function option(c: Context, w: Words, where: string): string {
  const o = w.next().replace(/^--/, '-')
  switch (o) {
    case '-4':
      c.family = 4
      break
    case '-6':
      c.family = 6
      break
    case '-s':
    case '-stats':
    case '-statistics':
      c.stats++
      break
    case '-d':
    case '-details':
      c.details++
      break
    case '-o':
    case '-oneline':
      c.oneline = true
      break
    case '-br':
    case '-brief':
      c.brief = true
      break
    case '-j':
    case '-json':
      c.json = true
      break
    case '-p':
    case '-pretty':
      c.pretty = true
      break
    case '-N':
    case '-Numeric':
      c.numeric = true
      break
    case '-f':
    case '-family': {
      const f = w.next()
      if (f !== 'inet' && f !== 'inet6') w.invalid(f, 'invalid protocol family')
      c.family = f === 'inet' ? 4 : 6
      break
    }
    case '-n':
    case '-netns': {
      const name = w.next()
      const n = netnsOf(c.host, name)
      if (n === null) fail(`Cannot open network namespace "${name}": No such file or directory`)
      c.net = n
      return name
    }
    default:
      if (absent.has(o)) fail(`Option "${o}" is not there on this host.`, 255)
      fail(`Option "${o}" is unknown, try "ip -help".`, 255)
  }
  return where
}

/** `ip netns exec NAME CMD …`: the command runs there */
function exec(host: Host, w: Words): Outcome {
  const name = w.next()
  if (netnsOf(host, name) === null) fail(`Cannot open network namespace "${name}": No such file or directory`)
  if (w.done) fail('No command specified', 255)
  const command = loadedCommand(w.peek)
  if (command === null) fail(`exec of "${w.peek}" failed: No such file or directory`)
  return command(host, w.rest, name)
}
