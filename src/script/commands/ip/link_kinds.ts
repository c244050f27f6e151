import { ETH_P_8021AD, ETH_P_8021Q } from '../../../kernel/include/linux/if_ether.ts'
import { vlan_dev_priv } from '../../../kernel/include/linux/if_vlan.ts'
import type { net_device } from '../../../kernel/include/linux/netdevice.ts'
import type { rtnl_link_attrs } from '../../../kernel/include/net/rtnetlink.ts'
import type { vlan_attrs } from '../../../kernel/net/8021q/vlan.ts'
import type { br_info } from '../../../kernel/net/bridge/br.ts'
import type { Json } from '../json.ts'
import { fail, type Words } from '../words.ts'
import { bridgeData, bridgeSlave } from './bridge.ts'
import type { Context } from './context.ts'

const USAGE = 255

interface Parsed {
  name: string | null
  type: string | null
  tb: rtnl_link_attrs
}
type ParseLink = (w: Words) => Parsed

/** A kind of device: how its words are read, and what `ip -d link` says of it. */
interface Kind {
  parse: (c: Context, w: Words, tb: rtnl_link_attrs, parseLink: ParseLink) => unknown
  details?: (d: net_device) => string
  /** of a device that this kind of device is the master of, with a line break before it */
  slave?: (d: net_device) => string
  /** the same as IFLA_INFO_DATA has it, for -j */
  json?: (d: net_device) => Members
}
type Members = Record<string, Json | undefined>

const unknownWord = (kind: string, word: string): never => fail(`${kind}: unknown command "${word}"?`, USAGE)

const vlanProtocol = (d: net_device): string => (vlan_dev_priv(d).vlan_proto === ETH_P_8021AD ? '802.1ad' : '802.1Q')
const vlanFlags = (d: net_device): string[] =>
  [
    [1, 'REORDER_HDR'],
    [2, 'GVRP'],
    [8, 'MVRP'],
    [4, 'LOOSE_BINDING'],
    [16, 'BRIDGE_BINDING'],
  ].flatMap(([b, n]) => (vlan_dev_priv(d).flags & Number(b) ? [String(n)] : []))

const kinds: Readonly<Record<string, Kind>> = {
  veth: {
    parse: (_c, w, _tb, parseLink) => {
      if (w.done) return { peer: null }
      const word = w.next()
      if (word !== 'peer') fail('Usage: ip link <options> type veth [peer <options>]', USAGE)
      const peer = parseLink(w)
      if (peer.name !== null) peer.tb.ifname = peer.name
      return { peer: peer.tb }
    },
  },
  dummy: {
    parse: (_c, w) => {
      if (!w.done) w.garbage('dev', w.peek)
      return null
    },
  },
  bridge: {
    parse: (_c, w) => {
      const info: br_info = {}
      while (!w.done) {
        const word = w.next()
        if (word === 'ageing_time') info.ageing_time = w.number('invalid ageing_time')
        else if (word === 'mcast_snooping') info.mcast_snooping = w.number('invalid mcast_snooping') !== 0
        else if (word === 'group_fwd_mask') info.group_fwd_mask = w.number('invalid group_fwd_mask')
        else if (word === 'forward_delay' || word === 'hello_time' || word === 'max_age' || word === 'priority')
          w.number(`invalid ${word}`)
        else if (word === 'stp_state' || word === 'vlan_filtering') {
          if (w.number(`invalid ${word}`) !== 0) fail(`Error: "${word} 1" is not there on this host.`)
        } else unknownWord('bridge', word)
      }
      return info
    },
    details: (d) =>
      bridgeData(d)
        .map(([text, , v]) => ` ${text} ${text.endsWith('_timer') ? '   0.00' : v}`)
        .join(''),
    json: (d) => Object.fromEntries(bridgeData(d).map(([, key, v]) => [key, v])),
    slave: bridgeSlave,
  },
  vlan: {
    parse: (_c, w) => {
      const info: vlan_attrs = {}
      const bit: Readonly<Record<string, number>> = { reorder_hdr: 1, gvrp: 2, loose_binding: 4, mvrp: 8, bridge_binding: 16 }
      const maps = (): [number, number][] => {
        const out: [number, number][] = []
        for (let m = /^(\d+):(\d+)$/.exec(w.peek); m !== null; m = /^(\d+):(\d+)$/.exec(w.peek)) {
          out.push([Number(m[1]), Number(m[2])])
          w.next()
        }
        return out
      }
      while (!w.done) {
        const word = w.next()
        if (word === 'id') info.id = w.number('id is invalid')
        else if (word === 'protocol') {
          const p = w.next().toLowerCase()
          if (p === '802.1q' || p === '8021q') info.protocol = ETH_P_8021Q
          else if (p === '802.1ad' || p === '8021ad') info.protocol = ETH_P_8021AD
          else w.invalid(p, 'protocol is invalid')
        } else if (word === 'ingress-qos-map') info.ingress_qos = maps()
        else if (word === 'egress-qos-map') info.egress_qos = maps()
        else if (Object.hasOwn(bit, word)) {
          const on = w.onOff(word)
          info.flags ??= { flags: 0, mask: 0 }
          const b = bit[word] ?? 0
          info.flags.mask |= b
          if (on) info.flags.flags |= b
        } else unknownWord('vlan', word)
      }
      return info
    },
    details: (d) => ` protocol ${vlanProtocol(d)} id ${vlan_dev_priv(d).vlan_id} <${vlanFlags(d).join(',')}>`,
    json: (d) => ({ protocol: vlanProtocol(d), id: vlan_dev_priv(d).vlan_id, flags: vlanFlags(d) }),
  },
}

/** more kinds, from files of their own */
const more = new Map<string, Kind>()
/** a kind of device whose code is loaded only when somebody names it */
export function registerKind(name: string, kind: Kind): void {
  more.set(name, kind)
}
const kindOf = (name: string): Kind | undefined => more.get(name) ?? (Object.hasOwn(kinds, name) ? kinds[name] : undefined)

/** what stands behind `type KIND`, as IFLA_INFO_DATA */
export function kindData(
  c: Context,
  type: string,
  w: Words,
  tb: rtnl_link_attrs,
  parseLink: ParseLink,
  _adding: boolean,
): unknown {
  const kind = kindOf(type)
  // the kernel has the last word on what it does not know
  return kind === undefined ? null : kind.parse(c, w, tb, parseLink)
}

/** values of IFLA_* in the order in which `ip -d` prints them */
const limits = (d: net_device): [text: string, key: string, value: number][] => [
  ['numtxqueues', 'num_tx_queues', d.num_tx_queues],
  ['numrxqueues', 'num_rx_queues', d.num_rx_queues],
  ['gso_max_size', 'gso_max_size', d.gso_max_size],
  ['gso_max_segs', 'gso_max_segs', d.gso_max_segs],
  ['tso_max_size', 'tso_max_size', d.tso_max_size],
  ['tso_max_segs', 'tso_max_segs', d.tso_max_segs],
  ['gro_max_size', 'gro_max_size', d.gro_max_size],
]

/** how addresses of the link are made, which only IPv6 has to say */
const genmode = (d: net_device, link: boolean): string => (link && d.ip6_ptr !== null ? 'eui64' : '')

/** `ip -d`: what follows the addresses of the link layer; `link`: for `ip link` */
export function detailsOf(d: net_device, link: boolean): string {
  const kind = d.rtnl_link_ops?.kind
  const own = kind === undefined ? '' : `\n    ${kind}${kindOf(kind)?.details?.(d) ?? ''} `
  const slave = d.master === null ? '' : (kindOf(d.master.rtnl_link_ops?.kind ?? '')?.slave?.(d) ?? '')
  const mode = genmode(d, link)
  return (
    ` promiscuity ${d.promiscuity}  allmulti ${d.allmulti} minmtu ${d.min_mtu} maxmtu ${d.max_mtu} ${own}${slave}` +
    (mode === '' ? '' : `addrgenmode ${mode} `) +
    limits(d)
      .map(([text, , v]) => `${text} ${v} `)
      .join('')
  )
}

/** the same for -j */
export function detailsJson(d: net_device, link: boolean): Members {
  const kind = d.rtnl_link_ops?.kind
  return {
    promiscuity: d.promiscuity,
    allmulti: d.allmulti,
    min_mtu: d.min_mtu,
    max_mtu: d.max_mtu,
    linkinfo: kind === undefined ? undefined : { info_kind: kind, info_data: kindOf(kind)?.json?.(d) },
    inet6_addr_gen_mode: genmode(d, link) || undefined,
    ...Object.fromEntries(limits(d).map(([, key, v]) => [key, v])),
  }
}

export { unknownWord }
