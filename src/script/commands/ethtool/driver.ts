import type { e1000_adapter } from '../../../kernel/drivers/net/ethernet/intel/e1000/e1000_main.ts'
import type { virtnet_info } from '../../../kernel/drivers/net/virtio_net.ts'
import { type net_device, netdev_priv, rtnl_link_stats64 } from '../../../kernel/include/linux/netdevice.ts'
import { dev_get_iflink, dev_get_stats } from '../../../kernel/net/core/dev.ts'

/** the release that drivers without a version of their own report */
const RELEASE = '6.12.117'

/** What a driver's ethtool_ops say of a device. */
export interface Driver {
  name: string
  version: string
  firmware: string
  bus: string
  /** megabits a second; null: unknown */
  speed?: number | null
  port?: string
  /** `ethtool -S` */
  statistics?: (d: net_device) => [string, number][]
  /** `ethtool -g`: entries of the rings, at most and now */
  rings?: (d: net_device) => { most: [rx: number, tx: number]; now: [rx: number, tx: number] }
  /** `ethtool -l` */
  channels?: (d: net_device) => { separate: number | null; combined: number | null }
  /** `ethtool -c`, in its words */
  coalesce?: Readonly<Record<string, number>>
}

const e1000: Driver = {
  name: 'e1000',
  version: RELEASE,
  firmware: 'N/A',
  bus: '',
  speed: 1000,
  port: 'Twisted Pair',
  statistics: (d) => {
    const a = netdev_priv<e1000_adapter>(d)
    const c = a.hw.counters
    const s = dev_get_stats(d, new rtnl_link_stats64())
    const zero = (names: string): [string, number][] => names.split(' ').map((n) => [n, 0])
    return [
      ['rx_packets', c.gprc],
      ['tx_packets', c.gptc],
      ['rx_bytes', c.gorc],
      ['tx_bytes', c.gotc],
      ['rx_broadcast', c.bprc],
      ['tx_broadcast', c.bptc],
      ['rx_multicast', c.mprc],
      ['tx_multicast', c.mptc],
      ...zero('rx_errors tx_errors'),
      ['tx_dropped', s.tx_dropped],
      ['multicast', c.mprc],
      ...zero('collisions rx_length_errors rx_over_errors rx_crc_errors rx_frame_errors rx_no_buffer_count'),
      ['rx_missed_errors', c.mpc],
      ...zero(
        'tx_aborted_errors tx_carrier_errors tx_fifo_errors tx_heartbeat_errors tx_window_errors tx_abort_late_coll tx_deferred_ok ' +
          'tx_single_coll_ok tx_multi_coll_ok tx_timeout_count',
      ),
      ['tx_restart_queue', a.restart_queue],
      ...zero('rx_long_length_errors rx_short_length_errors rx_align_errors'),
      ['tx_tcp_seg_good', c.tsctc],
      ...zero('tx_tcp_seg_failed rx_flow_control_xon rx_flow_control_xoff tx_flow_control_xon tx_flow_control_xoff'),
      ['rx_long_byte_count', c.gorc],
      ...zero('rx_csum_offload_good rx_csum_offload_errors'),
      ['alloc_rx_buff_failed', a.alloc_rx_buff_failed],
      ...zero('tx_smbus rx_smbus dropped_smbus'),
    ]
  },
  rings: (d) => {
    const a = netdev_priv<e1000_adapter>(d)
    return { most: [4096, 4096], now: [a.rx_ring.count, a.tx_ring.count] }
  },
  coalesce: { 'rx-usecs': 3 },
}

const virtio_net: Driver = {
  name: 'virtio_net',
  version: '1.0.0',
  firmware: '',
  bus: '',
  speed: null,
  port: 'Other',
  statistics: (d) => {
    const { sq, rq } = netdev_priv<virtnet_info>(d)
    const rx: [string, number][] = [
      ['drops', 0],
      ['xdp_packets', 0],
      ['xdp_tx', 0],
      ['xdp_redirects', 0],
      ['xdp_drops', 0],
      ['kicks', rq.kicks],
    ]
    const tx: [string, number][] = [
      ['xdp_tx', 0],
      ['xdp_tx_drops', 0],
      ['kicks', sq.kicks],
      ['tx_timeouts', 0],
    ]
    const under = (prefix: string, list: [string, number][]): [string, number][] => list.map(([n, v]) => [`${prefix}_${n}`, v])
    return [...under('rx', rx), ...under('tx', tx), ...under('rx0', rx), ...under('tx0', tx)]
  },
  rings: (d) => {
    const { sq, rq } = netdev_priv<virtnet_info>(d)
    return { most: [rq.vq.num, sq.vq.num], now: [rq.vq.num, sq.vq.num] }
  },
  channels: () => ({ separate: null, combined: 1 }),
  coalesce: { 'rx-usecs': 0, 'rx-frames': 1, 'tx-usecs': 0, 'tx-frames': 1 },
}

const veth: Driver = {
  name: 'veth',
  version: '1.0',
  firmware: '',
  bus: '',
  speed: 10000,
  port: 'Twisted Pair',
  statistics: (d) => {
    const queues = d.real_num_rx_queues || 1
    const out: [string, number][] = [['peer_ifindex', dev_get_iflink(d)]]
    for (let i = 0; i < queues; i++)
      for (const n of ['xdp_packets', 'xdp_bytes', 'drops', 'xdp_redirect', 'xdp_drops', 'xdp_tx', 'xdp_tx_errors'])
        out.push([`rx_queue_${i}_${n}`, 0])
    for (let i = 0; i < queues; i++) for (const n of ['xdp_xmit', 'xdp_xmit_errors']) out.push([`tx_queue_${i}_${n}`, 0])
    return out
  },
  channels: (d) => ({ separate: d.num_tx_queues, combined: null }),
}

const plain: Readonly<Record<string, Driver>> = {
  veth,
  dummy: { name: 'dummy', version: RELEASE, firmware: '', bus: '' },
  bridge: { name: 'bridge', version: '2.3', firmware: 'N/A', bus: 'N/A', speed: null, port: 'Other' },
  vlan: { name: '802.1Q VLAN Support', version: '1.8', firmware: 'N/A', bus: '' },
  vxlan: { name: 'vxlan', version: '0.1', firmware: '', bus: '', speed: null, port: 'Other' },
}

/** the driver of a device; null for `lo`, which has none to speak of */
export function driverOf(d: net_device): Driver | null {
  const kind = d.rtnl_link_ops?.kind
  if (kind !== undefined) return Object.hasOwn(plain, kind) ? (plain[kind] ?? null) : null
  const priv = d.priv as Partial<e1000_adapter & virtnet_info> | null
  if (priv?.tx_ring !== undefined) return e1000
  return priv?.sq !== undefined ? virtio_net : null
}
