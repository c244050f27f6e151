import * as F from '../../../kernel/include/linux/netdev_features.ts'
import type { net_device, netdev_features_t } from '../../../kernel/include/linux/netdevice.ts'
import { __netdev_update_features } from '../../../kernel/net/core/dev.ts'
import { type Outcome, ok } from '../../command.ts'
import { fail } from '../words.ts'

/** the kernel's names, in the order of the bits: net/ethtool/common.c netdev_features_strings */
const features: readonly (readonly [string, netdev_features_t])[] = [
  ['tx-scatter-gather', F.NETIF_F_SG],
  ['tx-checksum-ipv4', F.NETIF_F_IP_CSUM],
  ['tx-checksum-ip-generic', F.NETIF_F_HW_CSUM],
  ['tx-checksum-ipv6', F.NETIF_F_IPV6_CSUM],
  ['highdma', F.NETIF_F_HIGHDMA],
  ['tx-scatter-gather-fraglist', F.NETIF_F_FRAGLIST],
  ['tx-vlan-hw-insert', F.NETIF_F_HW_VLAN_CTAG_TX],
  ['rx-vlan-hw-parse', F.NETIF_F_HW_VLAN_CTAG_RX],
  ['rx-vlan-filter', F.NETIF_F_HW_VLAN_CTAG_FILTER],
  ['vlan-challenged', F.NETIF_F_VLAN_CHALLENGED],
  ['tx-generic-segmentation', F.NETIF_F_GSO],
  ['rx-gro', F.NETIF_F_GRO],
  ['rx-lro', F.NETIF_F_LRO],
  ['tx-tcp-segmentation', F.NETIF_F_TSO],
  ['tx-gso-robust', F.NETIF_F_GSO_ROBUST],
  ['tx-tcp-ecn-segmentation', F.NETIF_F_TSO_ECN],
  ['tx-tcp-mangleid-segmentation', F.NETIF_F_TSO_MANGLEID],
  ['tx-tcp6-segmentation', F.NETIF_F_TSO6],
  ['tx-fcoe-segmentation', F.NETIF_F_FSO],
  ['tx-gre-segmentation', F.NETIF_F_GSO_GRE],
  ['tx-gre-csum-segmentation', F.NETIF_F_GSO_GRE_CSUM],
  ['tx-ipxip4-segmentation', F.NETIF_F_GSO_IPXIP4],
  ['tx-ipxip6-segmentation', F.NETIF_F_GSO_IPXIP6],
  ['tx-udp_tnl-segmentation', F.NETIF_F_GSO_UDP_TUNNEL],
  ['tx-udp_tnl-csum-segmentation', F.NETIF_F_GSO_UDP_TUNNEL_CSUM],
  ['tx-gso-partial', F.NETIF_F_GSO_PARTIAL],
  ['tx-tunnel-remcsum-segmentation', F.NETIF_F_GSO_TUNNEL_REMCSUM],
  ['tx-sctp-segmentation', F.NETIF_F_GSO_SCTP],
  ['tx-esp-segmentation', F.NETIF_F_GSO_ESP],
  ['tx-udp-segmentation', F.NETIF_F_GSO_UDP_L4],
  ['tx-gso-list', F.NETIF_F_GSO_FRAGLIST],
  ['tx-checksum-fcoe-crc', F.NETIF_F_FCOE_CRC],
  ['tx-checksum-sctp', F.NETIF_F_SCTP_CRC],
  ['rx-ntuple-filter', F.NETIF_F_NTUPLE],
  ['rx-hashing', F.NETIF_F_RXHASH],
  ['rx-checksum', F.NETIF_F_RXCSUM],
  ['tx-nocache-copy', F.NETIF_F_NOCACHE_COPY],
  ['loopback', F.NETIF_F_LOOPBACK],
  ['rx-fcs', F.NETIF_F_RXFCS],
  ['rx-all', F.NETIF_F_RXALL],
  ['tx-vlan-stag-hw-insert', F.NETIF_F_HW_VLAN_STAG_TX],
  ['rx-vlan-stag-hw-parse', F.NETIF_F_HW_VLAN_STAG_RX],
  ['rx-vlan-stag-filter', F.NETIF_F_HW_VLAN_STAG_FILTER],
  ['l2-fwd-offload', F.NETIF_F_HW_L2FW_DOFFLOAD],
  ['hw-tc-offload', F.NETIF_F_HW_TC],
  ['esp-hw-offload', F.NETIF_F_HW_ESP],
  ['esp-tx-csum-hw-offload', F.NETIF_F_HW_ESP_TX_CSUM],
  ['rx-udp_tunnel-port-offload', F.NETIF_F_RX_UDP_TUNNEL_PORT],
  ['tls-hw-tx-offload', F.NETIF_F_HW_TLS_TX],
  ['tls-hw-rx-offload', F.NETIF_F_HW_TLS_RX],
  ['rx-gro-hw', F.NETIF_F_GRO_HW],
  ['tls-hw-record', F.NETIF_F_HW_TLS_RECORD],
  ['rx-gro-list', F.NETIF_F_GRO_FRAGLIST],
  ['macsec-hw-offload', F.NETIF_F_HW_MACSEC],
  ['rx-udp-gro-forwarding', F.NETIF_F_GRO_UDP_FWD],
  ['hsr-tag-ins-offload', F.NETIF_F_HW_HSR_TAG_INS],
  ['hsr-tag-rm-offload', F.NETIF_F_HW_HSR_TAG_RM],
  ['hsr-fwd-offload', F.NETIF_F_HW_HSR_FWD],
  ['hsr-dup-offload', F.NETIF_F_HW_HSR_DUP],
]

/** the names that ethtool(8) has from before: each stands for some of the kernel's, first those that it switches */
const legacy: readonly { short: string; long: string; bits: netdev_features_t }[] = [
  { short: 'rx', long: 'rx-checksumming', bits: F.NETIF_F_RXCSUM },
  { short: 'tx', long: 'tx-checksumming', bits: F.NETIF_F_CSUM_MASK | F.NETIF_F_FCOE_CRC | F.NETIF_F_SCTP_CRC },
  { short: 'sg', long: 'scatter-gather', bits: F.NETIF_F_SG | F.NETIF_F_FRAGLIST },
  { short: 'tso', long: 'tcp-segmentation-offload', bits: F.NETIF_F_ALL_TSO },
  { short: 'gso', long: 'generic-segmentation-offload', bits: F.NETIF_F_GSO },
  { short: 'gro', long: 'generic-receive-offload', bits: F.NETIF_F_GRO },
  { short: 'lro', long: 'large-receive-offload', bits: F.NETIF_F_LRO },
  { short: 'rxvlan', long: 'rx-vlan-offload', bits: F.NETIF_F_HW_VLAN_CTAG_RX },
  { short: 'txvlan', long: 'tx-vlan-offload', bits: F.NETIF_F_HW_VLAN_CTAG_TX },
  { short: 'ntuple', long: 'ntuple-filters', bits: F.NETIF_F_NTUPLE },
  { short: 'rxhash', long: 'receive-hashing', bits: F.NETIF_F_RXHASH },
]
/** where `ethtool -k` says the checksums apart: the order of the kernel's bits is another */
const checksums = ['tx-checksum-ipv4', 'tx-checksum-ip-generic', 'tx-checksum-ipv6', 'tx-checksum-fcoe-crc', 'tx-checksum-sctp']

const bitsOf = (word: string): netdev_features_t | null =>
  legacy.find((l) => l.short === word || l.long === word)?.bits ?? features.find(([name]) => name === word)?.[1] ?? null

/** what can be asked for; the rest is fixed */
const changeable = (dev: net_device): netdev_features_t => dev.hw_features

/** ethtool -K: what is wanted; the rest follows from the features' dependencies */
export function changeFeatures(dev: net_device, words: readonly string[]): Outcome {
  let wanted = dev.wanted_features
  let asked = 0n
  /** asked for, and cannot be changed */
  let fixed = 0n
  for (let i = 0; i < words.length; i += 2) {
    const [name = '', value] = words.slice(i, i + 2)
    const bits = bitsOf(name)
    if (bits === null) fail('netlink error: bit name not found (offset 56)\nnetlink error: Operation not supported', 92)
    if (value !== 'on' && value !== 'off') fail(`ethtool: bad command line argument(s)\nFor more information run ethtool -h`, 1)
    const mine = bits & changeable(dev)
    // a name for several features may be used when one of them can be changed
    if (mine === 0n) {
      if (((dev.features & bits) !== 0n) === (value === 'on')) continue
      fixed |= bits
      continue
    }
    wanted = value === 'on' ? wanted | mine : wanted & ~mine
    asked |= mine
  }
  const before = dev.features
  dev.wanted_features = wanted
  __netdev_update_features(dev)
  const got = dev.features
  wanted = (wanted & ~fixed) | (~dev.features & fixed)
  const missed = ((got ^ wanted) & asked) | fixed
  const other = (before ^ got) & ~asked
  if (missed === 0n && other === 0n) return ok()
  // what was asked for and did not happen, and what happened besides
  const text = `Actual changes:\n${features
    .filter(([, bit]) => (before ^ got) & bit || missed & bit)
    .map(
      ([name, bit]) =>
        `${name}: ${got & bit ? 'on' : 'off'}${missed & bit ? ' [requested ' : ''}${missed & bit ? `${wanted & bit ? 'on' : 'off'}]` : ''}${other & bit ? ' [not requested]' : ''}\n`,
    )
    .join('')}`
  return missed !== 0n && got === before
    ? { status: 1, stdout: text, stderr: 'Could not change any device features\n' }
    : ok(text)
}

/** `ethtool -k` */
export function showFeatures(dev: net_device): string {
  const fixed = (bits: netdev_features_t): string => (bits & changeable(dev) ? '' : ' [fixed]')
  const on = (bits: netdev_features_t): string => (dev.features & bits ? 'on' : 'off')
  let out = `Features for ${dev.name}:\n`
  const shown = new Set<string>()
  for (const l of legacy) {
    const parts = features.filter(([, bit]) => l.bits & bit)
    if (l.short === 'tx') parts.sort(([a], [b]) => checksums.indexOf(a) - checksums.indexOf(b))
    if (parts.length === 1) {
      shown.add(parts[0]?.[0] ?? '')
      out += `${l.long}: ${on(l.bits)}${fixed(l.bits)}\n`
      continue
    }
    out += `${l.long}: ${on(l.bits)}\n`
    for (const [name, bit] of parts) {
      shown.add(name)
      out += `\t${name}: ${on(bit)}${fixed(bit)}\n`
    }
  }
  for (const [name, bit] of features) if (!shown.has(name)) out += `${name}: ${on(bit)}${fixed(bit)}\n`
  return out
}
