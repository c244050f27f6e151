import { fs_initcall } from '../../include/linux/init.ts'
import { proc_create_net } from '../../include/linux/proc_fs.ts'
import { AF_INET6 } from '../../include/linux/socket.ts'
import type { inet6_dev } from '../../include/net/if_inet6.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { net_ipv6 } from '../../include/net/netns_ipv6.ts'
import { sock_prot_inuse_get } from '../ipv4/proc.ts'

const ip6 =
  'InReceives InHdrErrors InTooBigErrors InNoRoutes InAddrErrors InUnknownProtos InTruncatedPkts InDiscards InDelivers ' +
  'OutForwDatagrams OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates ' +
  'InMcastPkts OutMcastPkts InOctets OutOctets InMcastOctets OutMcastOctets InBcastOctets OutBcastOctets InNoECTPkts InECT1Pkts ' +
  'InECT0Pkts InCEPkts OutTransmits'
const icmp6 = 'InMsgs InErrors OutMsgs OutErrors InCsumErrors OutRateLimitHost'
const udp6 = 'InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors'
const udplite6 = 'InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors MemErrors'

/** ICMPv6 messages that have a counter by name, by type */
const icmp6type2name: readonly (readonly [number, string])[] = [
  [1, 'DestUnreachs'],
  [2, 'PktTooBigs'],
  [3, 'TimeExcds'],
  [4, 'ParmProblems'],
  [128, 'Echos'],
  [129, 'EchoReplies'],
  [130, 'GroupMembQueries'],
  [131, 'GroupMembResponses'],
  [132, 'GroupMembReductions'],
  [133, 'RouterSolicits'],
  [134, 'RouterAdvertisements'],
  [135, 'NeighborSolicits'],
  [136, 'NeighborAdvertisements'],
  [137, 'Redirects'],
  [143, 'MLDv2Reports'],
]

const line = (name: string, v: number): string => `${name.padEnd(32)}\t${v}\n`

function snmp6_seq_show(n: net): string | null {
  if (n.ipv6 === null) return null
  const { mib } = net_ipv6(n)
  const list = (prefix: string, names: string, of: Map<string, number>): string =>
    names
      .split(' ')
      .map((k) => line(`${prefix}${k}`, of.get(k) ?? 0))
      .join('')
  let types = ''
  for (const dir of ['In', 'Out'])
    for (const [type, name] of icmp6type2name) types += line(`Icmp6${dir}${name}`, mib.icmp6.get(`${dir}Type${type}`) ?? 0)
  for (const dir of ['In', 'Out'])
    for (let t = 0; t < 256; t++) {
      const v = mib.icmp6.get(`${dir}Type${t}`) ?? 0
      if (v) types += line(`Icmp6${dir}Type${t}`, v)
    }
  return (
    list('Ip6', ip6, mib.ip6) +
    list('Icmp6', icmp6, mib.icmp6) +
    types +
    list('Udp6', udp6, mib.udp6) +
    list('UdpLite6', udplite6, new Map())
  )
}

function sockstat6_seq_show(n: net): string | null {
  if (n.ipv6 === null) return null
  const inuse = (t: 'tcp' | 'udp' | 'raw'): number => sock_prot_inuse_get(n, t, AF_INET6)
  return `TCP6: inuse ${inuse('tcp')}\nUDP6: inuse ${inuse('udp')}\nUDPLITE6: inuse 0\nRAW6: inuse ${inuse('raw')}\nFRAG6: inuse 0 memory 0\n`
}

/** net/ipv6/addrconf.c: address, index, prefix length, scope and flags in hexadecimal */
function if6_seq_show(n: net): string | null {
  if (n.ipv6 === null) return null
  const hex = (v: number): string => v.toString(16).padStart(2, '0')
  return n.dev_base_head
    .flatMap((dev) => (dev.ip6_ptr as inet6_dev | null)?.addr_list ?? [])
    .map(
      (ifa) =>
        `${[...ifa.addr].map(hex).join('')} ${hex(ifa.idev.dev.ifindex)} ${hex(ifa.prefix_len)} ${hex(ifa.scope)} ` +
        `${hex(ifa.flags & 0xff)} ${ifa.idev.dev.name.padStart(8)}\n`,
    )
    .join('')
}

fs_initcall(() => {
  proc_create_net('snmp6', snmp6_seq_show)
  proc_create_net('sockstat6', sockstat6_seq_show)
  proc_create_net('if_inet6', if6_seq_show)
})
