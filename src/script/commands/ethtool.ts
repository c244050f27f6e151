import { load_modules } from '../../kernel/include/linux/init.ts'
import * as F from '../../kernel/include/linux/netdev_features.ts'
import type { net_device, netdev_features_t } from '../../kernel/include/linux/netdevice.ts'
import { __netdev_update_features } from '../../kernel/net/core/dev.ts'
import { failed, type HostCommand, type Outcome, ok } from '../command.ts'
import { CommandFailure, fail } from './words.ts'

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
  ['tx-generic-segmentation', F.NETIF_F_GSO],
  ['rx-gro', F.NETIF_F_GRO],
  ['rx-gro-hw', F.NETIF_F_GRO_HW],
  ['rx-lro', F.NETIF_F_LRO],
  ['tx-tcp-segmentation', F.NETIF_F_TSO],
  ['tx-gso-robust', F.NETIF_F_GSO_ROBUST],
  ['tx-tcp-ecn-segmentation', F.NETIF_F_TSO_ECN],
  ['tx-tcp-mangleid-segmentation', F.NETIF_F_TSO_MANGLEID],
  ['tx-tcp6-segmentation', F.NETIF_F_TSO6],
  ['tx-udp-segmentation', F.NETIF_F_GSO_UDP_L4],
  ['tx-gso-list', F.NETIF_F_GSO_FRAGLIST],
  ['rx-checksum', F.NETIF_F_RXCSUM],
  ['tx-nocache-copy', F.NETIF_F_NOCACHE_COPY],
  ['loopback', F.NETIF_F_LOOPBACK],
  ['rx-fcs', F.NETIF_F_RXFCS],
  ['rx-all', F.NETIF_F_RXALL],
  ['rx-gro-list', F.NETIF_F_GRO_FRAGLIST],
  ['rx-udp-gro-forwarding', F.NETIF_F_GRO_UDP_FWD],
]

/** the names that ethtool(8) has from before: each stands for some of the kernel's, first those that it switches */
const legacy: readonly { short: string; long: string; bits: netdev_features_t }[] = [
  { short: 'rx', long: 'rx-checksumming', bits: F.NETIF_F_RXCSUM },
  { short: 'tx', long: 'tx-checksumming', bits: F.NETIF_F_CSUM_MASK },
  { short: 'sg', long: 'scatter-gather', bits: F.NETIF_F_SG | F.NETIF_F_FRAGLIST },
  { short: 'tso', long: 'tcp-segmentation-offload', bits: F.NETIF_F_ALL_TSO },
  { short: 'gso', long: 'generic-segmentation-offload', bits: F.NETIF_F_GSO },
  { short: 'gro', long: 'generic-receive-offload', bits: F.NETIF_F_GRO },
  { short: 'lro', long: 'large-receive-offload', bits: F.NETIF_F_LRO },
  { short: 'rxvlan', long: 'rx-vlan-offload', bits: F.NETIF_F_HW_VLAN_CTAG_RX },
  { short: 'txvlan', long: 'tx-vlan-offload', bits: F.NETIF_F_HW_VLAN_CTAG_TX },
]

const bitsOf = (word: string): netdev_features_t | null =>
  legacy.find((l) => l.short === word || l.long === word)?.bits ?? features.find(([name]) => name === word)?.[1] ?? null

/** include/linux/netdev_features.h NETIF_F_NEVER_CHANGE, NETIF_F_ETHTOOL_BITS: what cannot be asked for */
const changeable = (dev: net_device): netdev_features_t => dev.hw_features

/** ethtool -K: what is wanted; the rest follows from the features' dependencies */
function change(dev: net_device, words: readonly string[]): string {
  let wanted = dev.wanted_features
  let asked = 0n
  for (let i = 0; i < words.length; i += 2) {
    const [name = '', value] = words.slice(i, i + 2)
    const bits = bitsOf(name)
    if (bits === null) fail(`ethtool: bad command line argument(s)\nFor more information run ethtool -h`, 1)
    if (value !== 'on' && value !== 'off') fail(`ethtool: bad command line argument(s)\nFor more information run ethtool -h`, 1)
    const mine = bits & changeable(dev)
    // a name for several features may be used when one of them can be changed
    if (mine === 0n) {
      if (((dev.features & bits) !== 0n) === (value === 'on')) continue
      fail(`Could not change any device features`, 1)
    }
    wanted = value === 'on' ? wanted | mine : wanted & ~mine
    asked |= mine
  }
  const before = dev.features
  dev.wanted_features = wanted
  __netdev_update_features(dev)
  const got = dev.features
  const missed = (got ^ wanted) & asked
  const other = (before ^ got) & ~asked
  if (missed === 0n && other === 0n) return ''
  if (missed !== 0n && got === before) fail('Could not change any device features', 1)
  // what was asked for and did not happen, and what happened besides
  return `Actual changes:\n${features
    .filter(([, bit]) => (before ^ got) & bit || missed & bit)
    .map(
      ([name, bit]) =>
        `${name}: ${got & bit ? 'on' : 'off'}${missed & bit ? ' [requested ' : ''}${missed & bit ? `${wanted & bit ? 'on' : 'off'}]` : ''}${other & bit ? ' [not requested]' : ''}\n`,
    )
    .join('')}`
}

function show(dev: net_device): string {
  const fixed = (bits: netdev_features_t): string => (bits & changeable(dev) ? '' : ' [fixed]')
  const on = (bits: netdev_features_t): string => (dev.features & bits ? 'on' : 'off')
  let out = `Features for ${dev.name}:\n`
  const shown = new Set<string>()
  for (const l of legacy) {
    const parts = features.filter(([, bit]) => l.bits & bit)
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

/** ethtool(8): features of a device */
export const ethtool: HostCommand = (host, words, netns): Outcome => {
  load_modules()
  const [, option = '', name = '', ...rest] = words
  const showing = ['-k', '--show-features', '--show-offload'].includes(option)
  const changing = ['-K', '--features', '--offload'].includes(option)
  if (!showing && !changing)
    return failed(`ethtool: ${option === '' ? 'bad command line argument(s)' : `option '${option}' is not there: -k and -K are`}`)
  const dev = host.netns(netns).dev_name_head.get(name)
  if (dev === undefined) return failed(`netlink error: no device matches name (offset 24)\nnetlink error: No such device`)
  if (showing) return ok(show(dev))
  if (rest.length === 0) return failed('ethtool: bad command line argument(s)\nFor more information run ethtool -h')
  try {
    return ok(change(dev, rest))
  } catch (e) {
    if (e instanceof CommandFailure) return failed(e.message, e.status)
    throw e
  }
}
