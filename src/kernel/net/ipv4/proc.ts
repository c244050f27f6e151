import { IPV4_DEVCONF_ALL_RO, IPV4_DEVCONF_FORWARDING } from '../../include/linux/inetdevice.ts'
import { fs_initcall } from '../../include/linux/init.ts'
import { proc_create_net } from '../../include/linux/proc_fs.ts'
import { AF_INET } from '../../include/linux/socket.ts'
import type { fqdir } from '../../include/net/inet_frag.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { sock_inuse_get } from '../core/sock.ts'
import { inet_diag_dump, type Transport } from './inet_diag.ts'
import { tcp_memory_allocated, tcp_orphan_count, tcp_sockets_allocated } from './tcp.ts'
import { udp_memory_allocated } from './udp.ts'

/** ICMP messages that have a counter by name: icmpmibmap, with their types */
const icmpmibmap: readonly (readonly [string, number])[] = [
  ['DestUnreachs', 3],
  ['TimeExcds', 11],
  ['ParmProbs', 12],
  ['SrcQuenchs', 4],
  ['Redirects', 5],
  ['Echos', 8],
  ['EchoReps', 0],
  ['Timestamps', 13],
  ['TimestampReps', 14],
  ['AddrMasks', 17],
  ['AddrMaskReps', 18],
]

/** a line of names and a line of values */
const pair = (head: string, items: readonly (readonly [string, number])[]): string =>
  `${head}: ${items.map(([k]) => k).join(' ')}\n${head}: ${items.map(([, v]) => v).join(' ')}\n`

type Items = [string, number][]
/** the fields of a MIB stand in the order in which /proc prints them */
const items = (mib: object): Items => Object.entries(mib) as Items

/** struct ipstats_mib has both: what /proc/net/snmp prints ends with OutTransmits */
function ip_items(n: net): { ip: Items; ext: Items } {
  const all = items(n.mib.ip)
  const cut = all.findIndex(([k]) => k === 'OutTransmits') + 1
  return { ip: all.slice(0, cut), ext: all.slice(cut) }
}

function icmp_put(n: net): string {
  const { icmp } = n.mib
  const named = (dir: 'In' | 'Out', of: number[]): Items => icmpmibmap.map(([name, type]) => [`${dir}${name}`, of[type] ?? 0])
  return pair('Icmp', [
    ['InMsgs', icmp.InMsgs],
    ['InErrors', icmp.InErrors],
    ['InCsumErrors', icmp.InCsumErrors],
    ...named('In', icmp.InType),
    ['OutMsgs', icmp.OutMsgs],
    ['OutErrors', icmp.OutErrors],
    ['OutRateLimitGlobal', icmp.OutRateLimitGlobal],
    ['OutRateLimitHost', icmp.OutRateLimitHost],
    ...named('Out', icmp.OutType),
  ])
}

/** only the types that were seen, sixteen to a line */
function icmpmsg_put(n: net): string {
  const { icmp } = n.mib
  const seen: Items = []
  for (const [dir, of] of [
    ['In', icmp.InType],
    ['Out', icmp.OutType],
  ] as const)
    of.forEach((v, type) => {
      if (v) seen.push([`${dir}Type${type}`, v])
    })
  let out = ''
  for (let i = 0; i < seen.length; i += 16) out += pair('IcmpMsg', seen.slice(i, i + 16))
  return out
}

const RTO_MIN_MS = 200
const RTO_MAX_MS = 120_000

function snmp_seq_show(n: net): string {
  const { tcp, udp } = n.mib
  const lite: Items = items(udp).map(([k]) => [k, 0])
  const fixed: Readonly<Record<string, number>> = { RtoAlgorithm: 1, RtoMin: RTO_MIN_MS, RtoMax: RTO_MAX_MS, MaxConn: -1 }
  return (
    pair('Ip', [
      ['Forwarding', IPV4_DEVCONF_ALL_RO(n, IPV4_DEVCONF_FORWARDING) ? 1 : 2],
      ['DefaultTTL', n.ipv4.sysctl_ip_default_ttl],
      ...ip_items(n).ip,
    ]) +
    icmp_put(n) +
    icmpmsg_put(n) +
    pair(
      'Tcp',
      items(tcp).map(([k, v]) => [k, fixed[k] ?? v]),
    ) +
    pair('Udp', items(udp)) +
    pair('UdpLite', lite)
  )
}

const netstat_seq_show = (n: net): string => pair('TcpExt', items(n.mib.linux)) + pair('IpExt', ip_items(n).ext)

/** sockets of a protocol that are in its tables, without requests and what is left in TIME-WAIT */
export const sock_prot_inuse_get = (n: net, transport: Transport, family: number): number =>
  inet_diag_dump(n, transport, family).filter((d) => d.sk !== null).length

function sockstat_seq_show(n: net): string {
  const d = n.ipv4.fqdir as fqdir
  let frags = 0
  for (const list of d.rhashtable.values()) frags += list.length
  return (
    `sockets: used ${sock_inuse_get(n)}\n` +
    `TCP: inuse ${sock_prot_inuse_get(n, 'tcp', AF_INET)} orphan ${tcp_orphan_count.v} tw ${n.ipv4.tcp_death_row.tw_refcount - 1} ` +
    `alloc ${tcp_sockets_allocated.v} mem ${tcp_memory_allocated.v}\n` +
    `UDP: inuse ${sock_prot_inuse_get(n, 'udp', AF_INET)} mem ${udp_memory_allocated.v}\n` +
    'UDPLITE: inuse 0\n' +
    `RAW: inuse ${sock_prot_inuse_get(n, 'raw', AF_INET)}\n` +
    `FRAG: inuse ${frags} memory ${d.mem}\n`
  )
}

fs_initcall(() => {
  proc_create_net('snmp', snmp_seq_show)
  proc_create_net('netstat', netstat_seq_show)
  proc_create_net('sockstat', sockstat_seq_show)
})
