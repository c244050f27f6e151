import { IFF_LOWER_UP, IFF_RUNNING, IFF_UP } from '../../kernel/include/generated/enums.ts'
import { type net_device, netdev_get_tx_queue, rtnl_link_stats64 } from '../../kernel/include/linux/netdevice.ts'
import type { net } from '../../kernel/include/net/net_namespace.ts'
import { dev_get_iflink, dev_get_stats, netif_carrier_ok } from '../../kernel/net/core/dev.ts'
import { colons } from './ip/context.ts'

/** a file, a directory, or what is wrong with reading it */
export type Entry = { text: string } | { directory: true } | { error: string }

const states = ['unknown', 'notpresent', 'down', 'lowerlayerdown', 'testing', 'dormant', 'up']

/** the counters of struct rtnl_link_stats64; those that no device here has are zero */
const statistics =
  'collisions multicast rx_bytes rx_compressed rx_crc_errors rx_dropped rx_errors rx_fifo_errors rx_frame_errors rx_length_errors ' +
  'rx_missed_errors rx_nohandler rx_over_errors rx_packets tx_aborted_errors tx_bytes tx_carrier_errors tx_compressed tx_dropped ' +
  'tx_errors tx_fifo_errors tx_heartbeat_errors tx_packets tx_window_errors'

const invalid = { error: 'Invalid argument' }
const decimal = (v: number): Entry => ({ text: `${v}\n` })

const attributes: Readonly<Record<string, (d: net_device) => Entry>> = {
  addr_assign_type: (d) => decimal(d.addr_assign_type),
  addr_len: (d) => decimal(d.addr_len),
  address: (d) => ({ text: `${colons(d.dev_addr.subarray(0, d.addr_len))}\n` }),
  broadcast: (d) => ({ text: `${colons(d.broadcast.subarray(0, d.addr_len))}\n` }),
  carrier: (d) => (d.flags & IFF_UP ? decimal(netif_carrier_ok(d) ? 1 : 0) : invalid),
  dormant: (d) => (d.flags & IFF_UP ? decimal(0) : invalid),
  flags: (d) => ({ text: `0x${(d.flags & ~(IFF_RUNNING | IFF_LOWER_UP)).toString(16)}\n` }),
  gro_flush_timeout: (d) => decimal(d.gro_flush_timeout),
  ifindex: (d) => decimal(d.ifindex),
  iflink: (d) => decimal(dev_get_iflink(d)),
  link_mode: (d) => decimal(d.link_mode),
  mtu: (d) => decimal(d.mtu),
  napi_defer_hard_irqs: (d) => decimal(d.napi_defer_hard_irqs),
  netdev_group: (d) => decimal(d.group),
  operstate: (d) => ({ text: `${d.flags & IFF_UP ? (states[d.operstate] ?? 'unknown') : 'down'}\n` }),
  tx_queue_len: (d) => decimal(d.tx_queue_len),
  type: (d) => decimal(d.type),
}

/** /sys/class/net/DEV/queues/tx-N/byte_queue_limits, in bytes */
const queueLimits: Readonly<Record<string, (d: net_device, i: number) => number>> = {
  inflight: (d, i) => netdev_get_tx_queue(d, i).dql.num_queued - netdev_get_tx_queue(d, i).dql.num_completed,
  limit: (d, i) => netdev_get_tx_queue(d, i).dql.limit,
  limit_max: (d, i) => netdev_get_tx_queue(d, i).dql.max_limit,
  limit_min: (d, i) => netdev_get_tx_queue(d, i).dql.min_limit,
}

/** what /sys/class/net has at `DEV/…`; null for nothing */
export function sysClassNet(n: net, parts: readonly string[]): Entry | null {
  const [name = '', what, ...rest] = parts
  const d = n.dev_name_head.get(name)
  if (d === undefined) return null
  if (what === undefined) return { directory: true }
  if (what === 'statistics') {
    const [k] = rest
    if (k === undefined) return { directory: true }
    if (rest.length > 1 || !statistics.split(' ').includes(k)) return null
    if (k === 'rx_nohandler') return decimal(d.core_stats?.rx_nohandler ?? 0)
    const s = dev_get_stats(d, new rtnl_link_stats64()) as unknown as Readonly<Record<string, number>>
    return decimal(s[k] ?? 0)
  }
  if (what === 'queues') {
    const [q, group, k] = rest
    if (q === undefined) return { directory: true }
    const i = Number(/^tx-(\d+)$/.exec(q)?.[1] ?? -1)
    if (i < 0 || i >= d.real_num_tx_queues) return null
    if (group === undefined || (group === 'byte_queue_limits' && k === undefined)) return { directory: true }
    const of = group === 'byte_queue_limits' && k !== undefined && Object.hasOwn(queueLimits, k) ? queueLimits[k] : undefined
    return of === undefined || rest.length > 3 ? null : decimal(of(d, i))
  }
  return Object.hasOwn(attributes, what) && rest.length === 0 ? (attributes[what]?.(d) ?? null) : null
}
