import type { Cable } from '../../../../../../hardware/cable.ts'
import {
  CTRL_VME,
  E1000Card,
  ICR_LSC,
  ICR_RXDMT0,
  ICR_RXT0,
  ICR_TXDW,
  MTA_SIZE,
  multicast_hash,
  RCTL_LPE,
  RCTL_MPE,
  RCTL_UPE,
  RCTL_VFE,
  REG,
  STATUS_LU,
} from '../../../../../../hardware/e1000.ts'
import { kfunc, nameOf } from '../../../../../../trace/kfunc.ts'
import { traceCopy, traceIndirect, tracer } from '../../../../../../trace/tracer.ts'
import {
  ETH_HLEN,
  ETH_ZLEN,
  HZ,
  IFF_ALLMULTI,
  IFF_PROMISC,
  IPPROTO_TCP,
  NETDEV_TX_BUSY,
  NETDEV_TX_OK,
  SKB_GSO_TCPV6,
} from '../../../../../include/generated/enums.ts'
import { EBUSY, EINVAL } from '../../../../../include/linux/errno.ts'
import { ETH_FRAME_LEN, ETH_P_8021Q, ETH_P_IP, ETH_P_IPV6 } from '../../../../../include/linux/if_ether.ts'
import {
  __vlan_hwaccel_put_tag,
  eth_type_vlan,
  skb_vlan_tag_get,
  skb_vlan_tag_present,
} from '../../../../../include/linux/if_vlan.ts'
import { iphdr } from '../../../../../include/linux/ip.ts'
import type { page } from '../../../../../include/linux/mm_types.ts'
import * as F from '../../../../../include/linux/netdev_features.ts'
import {
  napi_struct,
  type net_device,
  type net_device_ops,
  type netdev_features_t,
  netdev_get_tx_queue,
  netdev_priv,
  netif_running,
} from '../../../../../include/linux/netdevice.ts'
import {
  CHECKSUM_NONE,
  CHECKSUM_PARTIAL,
  CHECKSUM_UNNECESSARY,
  MAX_SKB_FRAGS,
  type sk_buff,
  skb_checksum_start_offset,
  type skb_head,
  skb_headlen,
  skb_is_gso,
  skb_network_offset,
  skb_shinfo,
  skb_transport_offset,
} from '../../../../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../../../../include/linux/slab.ts'
import { delayed_work } from '../../../../../include/linux/workqueue.ts'
import type { net } from '../../../../../include/net/net_namespace.ts'
import {
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
  dma_alloc_coherent,
  type dma_device,
  dma_free_coherent,
  dma_map_page_attrs,
  dma_map_single,
  dma_space,
  dma_unmap_page_attrs,
  dma_unmap_single,
} from '../../../../../kernel/dma/mapping.ts'
import { irq_desc, raise_irq } from '../../../../../kernel/irq/handle.ts'
import { jiffies } from '../../../../../kernel/time/timer.ts'
import { cancel_delayed_work, INIT_DELAYED_WORK, schedule_delayed_work } from '../../../../../kernel/workqueue.ts'
import { csum_tcpudp_magic } from '../../../../../lib/checksum.ts'
import { alloc_page, put_page } from '../../../../../mm/page_alloc.ts'
import {
  __napi_schedule,
  dev_kfree_skb_any,
  napi_complete_done,
  napi_disable,
  napi_enable,
  napi_schedule_prep,
  netdev_completed_queue,
  netdev_reset_queue,
  netdev_sent_queue,
  netdev_xmit_more,
  netif_carrier_off,
  netif_carrier_ok,
  netif_carrier_on,
  netif_napi_add,
  netif_queue_stopped,
  netif_start_queue,
  netif_stop_queue,
  netif_wake_queue,
  netif_xmit_stopped,
  register_netdev,
  vlan_get_protocol_and_depth,
} from '../../../../../net/core/dev.ts'
import { dev_mc_list } from '../../../../../net/core/dev_addr_lists.ts'
import { napi_get_frags, napi_gro_frags, napi_gro_receive } from '../../../../../net/core/gro.ts'
import {
  __skb_pad,
  __skb_put,
  kfree_skb,
  napi_alloc_skb,
  napi_build_skb,
  napi_consume_skb,
  netdev_alloc_frag,
  pskb_trim,
  skb_cow_head,
  skb_fill_page_desc,
  skb_free_frag,
  skb_put,
  skb_put_data,
  skb_reserve,
  skb_trim,
} from '../../../../../net/core/skbuff.ts'
import { skb_tx_timestamp } from '../../../../../net/core/timestamping.ts'
import { alloc_etherdev_mqs, eth_mac_addr, eth_type_trans, eth_validate_addr } from '../../../../../net/ethernet/eth.ts'

const E1000_DEFAULT_TXD = 256
const E1000_DEFAULT_RXD = 256
const DESC_SIZE = 16
const MAXIMUM_ETHERNET_VLAN_SIZE = 1522
const ETH_FCS_LEN = 4
const ETH_DATA_LEN = 1500
const MAX_JUMBO_FRAME_SIZE = 0x3f00
const E1000_HEADROOM = 64
const E1000_MAX_TXD_PWR = 12
const E1000_MAX_DATA_PER_TXD = 1 << E1000_MAX_TXD_PWR
const TX_WAKE_THRESHOLD = 32
const E1000_RX_BUFFER_WRITE = 16
/** frames up to this size are copied into small buffers, and their ring buffer stays */
const copybreak = 256
const SHINFO = 320

const E1000_TXD_CMD_EOP = 0x01000000
const E1000_TXD_CMD_IFCS = 0x02000000
const E1000_TXD_CMD_RS = 0x08000000
const E1000_TXD_CMD_DEXT = 0x20000000
const E1000_TXD_CMD_IDE = 0x80000000
const E1000_TXD_CMD_TCP = 0x01000000
const E1000_TXD_CMD_IP = 0x02000000
const E1000_TXD_CMD_TSE = 0x04000000
const E1000_TXD_DTYP_D = 0x00100000
const E1000_TXD_STAT_DD = 1
const E1000_TXD_POPTS_IXSM = 1
const E1000_TXD_POPTS_TXSM = 2
const E1000_TXD_CMD_VLE = 0x40000000
const E1000_TX_FLAGS_CSUM = 1
const E1000_TX_FLAGS_VLAN = 2
const E1000_TX_FLAGS_VLAN_MASK = 0xffff0000
const E1000_TX_FLAGS_VLAN_SHIFT = 16
const E1000_TX_FLAGS_TSO = 4
const E1000_TX_FLAGS_IPV4 = 8
const E1000_RXD_STAT_DD = 1
const E1000_RXD_STAT_EOP = 2
const E1000_RXD_STAT_IXSM = 4
const E1000_RXD_STAT_TCPCS = 0x20
const E1000_RXD_STAT_VP = 8
const E1000_RXBUFFER_2048 = 2048
const PAGE_SIZE = 4096
const E1000_RXD_ERR_TCPE = 0x20
const E1000_RXD_ERR_FRAME_ERR_MASK = 0x97
const IMS_ENABLE_MASK = ICR_RXT0 | ICR_TXDW | ICR_RXDMT0 | 0x08 | ICR_LSC
const RCTL_EN = 2
// of e1000_param.c, in microseconds
const DEFAULT_TIDV = 8
const DEFAULT_TADV = 32
const DEFAULT_RDTR = 0
const DEFAULT_RADV = 8
const TCTL_EN = 2

interface e1000_tx_buffer {
  skb: sk_buff | null
  dma: number
  time_stamp: number
  length: number
  next_to_watch: number
  mapped_as_page: boolean
  segs: number
  bytecount: number
}
interface e1000_tx_ring {
  desc: DataView
  dma: number
  count: number
  next_to_use: number
  next_to_clean: number
  buffer_info: e1000_tx_buffer[]
  last_tx_tso: boolean
}
interface e1000_rx_buffer {
  data: skb_head | null
  /** instead of it, for frames above 1500 bytes */
  page: page | null
  dma: number
}
interface e1000_rx_ring {
  desc: DataView
  dma: number
  count: number
  next_to_use: number
  next_to_clean: number
  buffer_info: e1000_rx_buffer[]
  /** a frame of which the end is to come */
  rx_skb_top: sk_buff | null
}

/** the driver's own part of a device: struct e1000_adapter */
export interface e1000_adapter {
  netdev: net_device
  pdev: dma_device
  hw: E1000Card
  irq: irq_desc
  napi: napi_struct
  tx_ring: e1000_tx_ring
  rx_ring: e1000_rx_ring
  rx_buffer_len: number
  txd_cmd: number
  down: boolean
  readonly watchdog_task: delayed_work
  readonly active_vlans: Set<number>
  clean_rx: (adapter: e1000_adapter, rx_ring: e1000_rx_ring, work_done: { v: number }, work_to_do: number) => boolean
  alloc_rx_buf: (adapter: e1000_adapter, rx_ring: e1000_rx_ring, cleaned_count: number) => void
  restart_queue: number
  alloc_rx_buff_failed: number
  discarding: boolean
  rx_csum: boolean
  total_tx_bytes: number
  total_tx_packets: number
  total_rx_bytes: number
  total_rx_packets: number
  itr: number
  tx_itr: number
  rx_itr: number
}

const E1000_DESC_UNUSED = (r: { count: number; next_to_use: number; next_to_clean: number }): number =>
  (r.next_to_clean > r.next_to_use ? 0 : r.count) + r.next_to_clean - r.next_to_use - 1

const skb_tcp_all_headers = (skb: sk_buff): number =>
  skb_transport_offset(skb) + ((skb.head.bytes[skb.transport_header + 12] ?? 0) >> 4) * 4

// ---- transmit

const e1000_unmap_and_free_tx_resource = kfunc(
  'e1000_unmap_and_free_tx_resource',
  (adapter: e1000_adapter, b: e1000_tx_buffer, budget: number): void => {
    if (b.dma) {
      if (b.mapped_as_page) dma_unmap_page_attrs(adapter.pdev, b.dma, b.length, DMA_TO_DEVICE, 0)
      else dma_unmap_single(adapter.pdev, b.dma, b.length, DMA_TO_DEVICE)
      b.dma = 0
    }
    if (b.skb !== null) {
      napi_consume_skb(b.skb, budget)
      b.skb = null
    }
    b.time_stamp = 0
  },
)

/** a descriptor that says how the packet behind it is to be cut. @returns 1 when there is one, negative for an error */
const e1000_tso = kfunc(
  'e1000_tso',
  (_adapter: e1000_adapter, tx_ring: e1000_tx_ring, skb: sk_buff, protocol: number): number => {
    if (!skb_is_gso(skb)) return 0
    const err = skb_cow_head(skb, 0)
    if (err < 0) return err
    const hdr_len = skb_tcp_all_headers(skb)
    const mss = skb_shinfo(skb).gso_size
    const b = skb.head.bytes
    const tcp = skb.transport_header
    let cmd_length = 0
    let ipcse = 0
    if (protocol === ETH_P_IP) {
      const iph = new iphdr(b, skb.network_header)
      iph.tot_len = 0
      iph.check = 0
      const sum = ~csum_tcpudp_magic(iph.saddr, iph.daddr, 0, IPPROTO_TCP, 0) & 0xffff
      b[tcp + 16] = sum >> 8
      b[tcp + 17] = sum
      cmd_length = E1000_TXD_CMD_IP
      ipcse = skb_transport_offset(skb) - 1
    } else if (skb_shinfo(skb).gso_type & SKB_GSO_TCPV6) ipcse = 0
    cmd_length |= E1000_TXD_CMD_DEXT | E1000_TXD_CMD_TSE | E1000_TXD_CMD_TCP | (skb.len - hdr_len)
    let i = tx_ring.next_to_use
    const d = tx_ring.desc
    const at = i * DESC_SIZE
    d.setUint8(at, skb_network_offset(skb))
    d.setUint8(at + 1, skb_network_offset(skb) + 10)
    d.setUint16(at + 2, ipcse, true)
    d.setUint8(at + 4, skb_transport_offset(skb))
    d.setUint8(at + 5, skb_transport_offset(skb) + 16)
    d.setUint16(at + 6, 0, true)
    d.setUint32(at + 8, cmd_length, true)
    d.setUint8(at + 12, 0)
    d.setUint8(at + 13, hdr_len)
    d.setUint16(at + 14, mss, true)
    const info = tx_ring.buffer_info[i] as e1000_tx_buffer
    info.time_stamp = jiffies()
    info.next_to_watch = i
    if (++i === tx_ring.count) i = 0
    tx_ring.next_to_use = i
    return 1
  },
)

/** a descriptor that says where the checksum of the packet behind it goes */
const e1000_tx_csum = kfunc(
  'e1000_tx_csum',
  (_adapter: e1000_adapter, tx_ring: e1000_tx_ring, skb: sk_buff, protocol: number): boolean => {
    if (skb.ip_summed !== CHECKSUM_PARTIAL) return false
    let cmd_len = E1000_TXD_CMD_DEXT
    const next = skb.head.bytes[skb.network_header + (protocol === ETH_P_IPV6 ? 6 : 9)]
    if ((protocol === ETH_P_IP || protocol === ETH_P_IPV6) && next === IPPROTO_TCP) cmd_len |= E1000_TXD_CMD_TCP
    const css = skb_checksum_start_offset(skb)
    let i = tx_ring.next_to_use
    const d = tx_ring.desc
    const at = i * DESC_SIZE
    d.setUint32(at, 0, true)
    d.setUint8(at + 4, css)
    d.setUint8(at + 5, css + skb.csum_offset)
    d.setUint16(at + 6, 0, true)
    d.setUint32(at + 8, cmd_len, true)
    d.setUint32(at + 12, 0, true)
    const info = tx_ring.buffer_info[i] as e1000_tx_buffer
    info.time_stamp = jiffies()
    info.next_to_watch = i
    if (++i === tx_ring.count) i = 0
    tx_ring.next_to_use = i
    return true
  },
)

/** gives the card the packet's memory, a piece for each descriptor. @returns how many there are */
const e1000_tx_map = kfunc(
  'e1000_tx_map',
  (
    adapter: e1000_adapter,
    tx_ring: e1000_tx_ring,
    skb: sk_buff,
    first: number,
    max_per_txd: number,
    nr_frags: number,
    mss: number,
  ): number => {
    let len = skb_headlen(skb)
    let offset = 0
    let count = 0
    let i = tx_ring.next_to_use
    while (len) {
      const b = tx_ring.buffer_info[i] as e1000_tx_buffer
      let size = Math.min(len, max_per_txd)
      // errata: a linear packet behind a large one, and the last piece of a large one, are written back too early
      if (!skb.data_len && tx_ring.last_tx_tso && !skb_is_gso(skb)) {
        tx_ring.last_tx_tso = false
        size -= 4
      }
      if (mss && !nr_frags && size === len && size > 8) size -= 4
      b.length = size
      b.time_stamp = jiffies()
      b.mapped_as_page = false
      b.dma = dma_map_single(adapter.pdev, skb.head, skb.data + offset, size, DMA_TO_DEVICE)
      b.next_to_watch = i
      len -= size
      offset += size
      count++
      if (len && ++i === tx_ring.count) i = 0
    }
    for (let f = 0; f < nr_frags; f++) {
      const frag = skb_shinfo(skb).frags[f]
      if (frag === undefined) break
      len = frag.len
      offset = 0
      while (len) {
        if (++i === tx_ring.count) i = 0
        const b = tx_ring.buffer_info[i] as e1000_tx_buffer
        let size = Math.min(len, max_per_txd)
        if (mss && f === nr_frags - 1 && size === len && size > 8) size -= 4
        b.length = size
        b.time_stamp = jiffies()
        b.mapped_as_page = true
        b.dma = dma_map_page_attrs(adapter.pdev, frag.page, frag.offset + offset, size, DMA_TO_DEVICE, 0)
        b.next_to_watch = i
        len -= size
        offset += size
        count++
      }
    }
    const segs = skb_shinfo(skb).gso_segs || 1
    const last = tx_ring.buffer_info[i] as e1000_tx_buffer
    last.skb = skb
    last.segs = segs
    last.bytecount = (segs - 1) * skb_headlen(skb) + skb.len
    ;(tx_ring.buffer_info[first] as e1000_tx_buffer).next_to_watch = i
    return count
  },
)

/** writes the descriptors of the pieces that e1000_tx_map() made */
const e1000_tx_queue = kfunc(
  'e1000_tx_queue',
  (adapter: e1000_adapter, tx_ring: e1000_tx_ring, tx_flags: number, count: number): void => {
    let txd_upper = 0
    let txd_lower = E1000_TXD_CMD_IFCS
    if (tx_flags & E1000_TX_FLAGS_TSO) {
      txd_lower |= E1000_TXD_CMD_DEXT | E1000_TXD_DTYP_D | E1000_TXD_CMD_TSE
      txd_upper |= E1000_TXD_POPTS_TXSM << 8
      if (tx_flags & E1000_TX_FLAGS_IPV4) txd_upper |= E1000_TXD_POPTS_IXSM << 8
    }
    if (tx_flags & E1000_TX_FLAGS_CSUM) {
      txd_lower |= E1000_TXD_CMD_DEXT | E1000_TXD_DTYP_D
      txd_upper |= E1000_TXD_POPTS_TXSM << 8
    }
    if (tx_flags & E1000_TX_FLAGS_VLAN) {
      txd_lower |= E1000_TXD_CMD_VLE
      txd_upper |= tx_flags & E1000_TX_FLAGS_VLAN_MASK
    }
    let i = tx_ring.next_to_use
    const d = tx_ring.desc
    let at = 0
    while (count--) {
      const b = tx_ring.buffer_info[i] as e1000_tx_buffer
      at = i * DESC_SIZE
      d.setUint32(at, b.dma >>> 0, true)
      d.setUint32(at + 4, Math.floor(b.dma / 2 ** 32), true)
      d.setUint32(at + 8, txd_lower | b.length, true)
      d.setUint32(at + 12, txd_upper, true)
      if (++i === tx_ring.count) i = 0
    }
    d.setUint32(at + 8, d.getUint32(at + 8, true) | adapter.txd_cmd, true)
    tx_ring.next_to_use = i
  },
)

const __e1000_maybe_stop_tx = kfunc('__e1000_maybe_stop_tx', (netdev: net_device, size: number): number => {
  const adapter = netdev_priv<e1000_adapter>(netdev)
  netif_stop_queue(netdev)
  if (E1000_DESC_UNUSED(adapter.tx_ring) < size) return -EBUSY
  netif_start_queue(netdev)
  adapter.restart_queue++
  return 0
})
const e1000_maybe_stop_tx = kfunc('e1000_maybe_stop_tx', (netdev: net_device, tx_ring: e1000_tx_ring, size: number): number =>
  E1000_DESC_UNUSED(tx_ring) >= size ? 0 : __e1000_maybe_stop_tx(netdev, size),
)

const TXD_USE_COUNT = (s: number, x: number): number => (s + (1 << x) - 1) >> x

/** include/linux/etherdevice.h: short frames are padded here, as the card's own padding has an erratum */
const eth_skb_pad = (skb: sk_buff): number => {
  if (skb.len >= ETH_ZLEN) return 0
  const pad = ETH_ZLEN - skb.len
  if (__skb_pad(skb, pad, true)) return -1
  __skb_put(skb, pad)
  return 0
}

export const e1000_xmit_frame = kfunc('e1000_xmit_frame', (skb: sk_buff, netdev: net_device): number => {
  const adapter = netdev_priv<e1000_adapter>(netdev)
  const { tx_ring } = adapter
  let max_per_txd = E1000_MAX_DATA_PER_TXD
  let max_txd_pwr = E1000_MAX_TXD_PWR
  let tx_flags = 0
  const len = skb_headlen(skb)
  const protocol = eth_type_vlan(skb.protocol) ? vlan_get_protocol_and_depth(skb, skb.protocol, null) : skb.protocol
  if (eth_skb_pad(skb)) return NETDEV_TX_OK

  const mss = skb_shinfo(skb).gso_size
  if (mss) {
    max_per_txd = Math.min(mss << 2, max_per_txd)
    max_txd_pwr = 31 - Math.clz32(max_per_txd)
  }
  let count = 0
  if (mss || skb.ip_summed === CHECKSUM_PARTIAL) count++
  count++
  if (!skb.data_len && tx_ring.last_tx_tso && !skb_is_gso(skb)) count++
  count += TXD_USE_COUNT(len, max_txd_pwr)
  const { frags } = skb_shinfo(skb)
  for (const f of frags) count += TXD_USE_COUNT(f.len, max_txd_pwr)
  if (e1000_maybe_stop_tx(netdev, tx_ring, count + 2)) return NETDEV_TX_BUSY

  if (skb_vlan_tag_present(skb)) tx_flags |= E1000_TX_FLAGS_VLAN | (skb_vlan_tag_get(skb) << E1000_TX_FLAGS_VLAN_SHIFT)
  const first = tx_ring.next_to_use
  const tso = e1000_tso(adapter, tx_ring, skb, protocol)
  if (tso < 0) {
    dev_kfree_skb_any(skb)
    return NETDEV_TX_OK
  }
  if (tso) {
    tx_ring.last_tx_tso = true
    tx_flags |= E1000_TX_FLAGS_TSO
  } else if (e1000_tx_csum(adapter, tx_ring, skb, protocol)) tx_flags |= E1000_TX_FLAGS_CSUM
  if (protocol === ETH_P_IP) tx_flags |= E1000_TX_FLAGS_IPV4

  count = e1000_tx_map(adapter, tx_ring, skb, first, max_per_txd, frags.length, mss)
  if (count) {
    netdev_sent_queue(netdev, skb.len)
    skb_tx_timestamp(skb)
    e1000_tx_queue(adapter, tx_ring, tx_flags, count)
    e1000_maybe_stop_tx(netdev, tx_ring, MAX_SKB_FRAGS + 7)
    if (!netdev_xmit_more() || netif_xmit_stopped(netdev_get_tx_queue(netdev, 0))) adapter.hw.write(REG.TDT, tx_ring.next_to_use)
  } else {
    dev_kfree_skb_any(skb)
    tx_ring.next_to_use = first
  }
  return NETDEV_TX_OK
})

// ---- interrupt and poll

const e1000_irq_enable = kfunc('e1000_irq_enable', (adapter: e1000_adapter): void => {
  adapter.hw.write(REG.IMS, IMS_ENABLE_MASK)
})
const e1000_irq_disable = kfunc('e1000_irq_disable', (adapter: e1000_adapter): void => {
  adapter.hw.write(REG.IMC, ~0)
})

const e1000_intr = kfunc('e1000_intr', (_irq: number, data: net_device): number => {
  const adapter = netdev_priv<e1000_adapter>(data)
  const icr = adapter.hw.read(REG.ICR)
  if (!icr) return 0
  if (adapter.down) return 1
  if (icr & ICR_LSC) schedule_delayed_work(adapter.watchdog_task, 1)
  adapter.hw.write(REG.IMC, ~0)
  if (napi_schedule_prep(adapter.napi)) {
    adapter.total_tx_bytes = 0
    adapter.total_tx_packets = 0
    adapter.total_rx_bytes = 0
    adapter.total_rx_packets = 0
    __napi_schedule(adapter.napi)
  } else if (!adapter.down) e1000_irq_enable(adapter)
  return 1
})

const e1000_clean_tx_irq = kfunc('e1000_clean_tx_irq', (adapter: e1000_adapter, tx_ring: e1000_tx_ring): boolean => {
  const { netdev } = adapter
  const d = tx_ring.desc
  let i = tx_ring.next_to_clean
  let eop = (tx_ring.buffer_info[i] as e1000_tx_buffer).next_to_watch
  let count = 0
  let bytes_compl = 0
  let pkts_compl = 0
  while (d.getUint32(eop * DESC_SIZE + 12, true) & E1000_TXD_STAT_DD && count < tx_ring.count) {
    for (let cleaned = false; !cleaned; count++) {
      const b = tx_ring.buffer_info[i] as e1000_tx_buffer
      cleaned = i === eop
      if (cleaned) {
        adapter.total_tx_packets += b.segs
        adapter.total_tx_bytes += b.bytecount
        netdev.stats.tx_packets += b.segs
        netdev.stats.tx_bytes += b.bytecount
        if (b.skb !== null) {
          bytes_compl += b.skb.len
          pkts_compl++
        }
      }
      e1000_unmap_and_free_tx_resource(adapter, b, 64)
      d.setUint32(i * DESC_SIZE + 12, 0, true)
      if (++i === tx_ring.count) i = 0
    }
    eop = (tx_ring.buffer_info[i] as e1000_tx_buffer).next_to_watch
  }
  tx_ring.next_to_clean = i
  netdev_completed_queue(netdev, pkts_compl, bytes_compl)
  if (count && netif_carrier_ok(netdev) && E1000_DESC_UNUSED(tx_ring) >= TX_WAKE_THRESHOLD)
    if (netif_queue_stopped(netdev) && !adapter.down) {
      netif_wake_queue(netdev)
      adapter.restart_queue++
    }
  return count < tx_ring.count
})

const e1000_rx_checksum = kfunc(
  'e1000_rx_checksum',
  (_adapter: e1000_adapter, status: number, errors: number, skb: sk_buff): void => {
    skb.ip_summed = CHECKSUM_NONE
    if (status & E1000_RXD_STAT_IXSM || errors & E1000_RXD_ERR_TCPE || !(status & E1000_RXD_STAT_TCPCS)) return
    skb.ip_summed = CHECKSUM_UNNECESSARY
  },
)

const e1000_receive_skb = kfunc(
  'e1000_receive_skb',
  (adapter: e1000_adapter, status: number, vlan: number, skb: sk_buff): void => {
    skb.protocol = eth_type_trans(skb, adapter.netdev)
    if (status & E1000_RXD_STAT_VP) __vlan_hwaccel_put_tag(skb, ETH_P_8021Q, vlan)
    napi_gro_receive(adapter.napi, skb)
  },
)

const e1000_alloc_rx_skb = kfunc('e1000_alloc_rx_skb', (adapter: e1000_adapter, bufsz: number): sk_buff | null => {
  const skb = napi_alloc_skb(adapter.napi, bufsz)
  if (skb === null) adapter.alloc_rx_buff_failed++
  return skb
})
const e1000_copybreak = kfunc(
  'e1000_copybreak',
  (adapter: e1000_adapter, _b: e1000_rx_buffer, length: number, data: Uint8Array): sk_buff | null => {
    if (length > copybreak) return null
    const skb = e1000_alloc_rx_skb(adapter, length)
    if (skb !== null) {
      skb_put_data(skb, data, length)
      traceCopy(length, 'ring buffer', 'skb head')
    }
    return skb
  },
)

const e1000_frag_len = (a: e1000_adapter): number => ((a.rx_buffer_len + E1000_HEADROOM + 63) & ~63) + SHINFO
const e1000_alloc_frag = kfunc('e1000_alloc_frag', (a: e1000_adapter): skb_head => netdev_alloc_frag(e1000_frag_len(a)))

const e1000_clean_rx_irq = kfunc(
  'e1000_clean_rx_irq',
  (adapter: e1000_adapter, rx_ring: e1000_rx_ring, work_done: { v: number }, work_to_do: number): boolean => {
    const { netdev } = adapter
    const d = rx_ring.desc
    let i = rx_ring.next_to_clean
    let cleaned_count = 0
    let cleaned = false
    while (d.getUint8(i * DESC_SIZE + 12) & E1000_RXD_STAT_DD) {
      if (work_done.v >= work_to_do) break
      work_done.v++
      const at = i * DESC_SIZE
      const b = rx_ring.buffer_info[i] as e1000_rx_buffer
      const status = d.getUint8(at + 12)
      const errors = d.getUint8(at + 13)
      let length = d.getUint16(at + 8, true)
      const data = b.data as skb_head
      let skb = e1000_copybreak(adapter, b, length, data.bytes.subarray(E1000_HEADROOM))
      if (skb === null) {
        skb = napi_build_skb(data, e1000_frag_len(adapter))
        skb_reserve(skb, E1000_HEADROOM)
        dma_unmap_single(adapter.pdev, b.dma, adapter.rx_buffer_len, DMA_FROM_DEVICE)
        b.dma = 0
        b.data = null
      }
      if (++i === rx_ring.count) i = 0
      cleaned = true
      cleaned_count++
      if (!(status & E1000_RXD_STAT_EOP)) adapter.discarding = true
      if (adapter.discarding) {
        kfree_skb(skb)
        if (status & E1000_RXD_STAT_EOP) adapter.discarding = false
      } else if (errors & E1000_RXD_ERR_FRAME_ERR_MASK) kfree_skb(skb)
      else {
        length -= ETH_FCS_LEN
        adapter.total_rx_bytes += length
        adapter.total_rx_packets++
        netdev.stats.rx_bytes += length
        netdev.stats.rx_packets++
        if (b.data === null) skb_put(skb, length)
        else skb_trim(skb, length)
        e1000_rx_checksum(adapter, status, errors, skb)
        e1000_receive_skb(adapter, status, d.getUint16(at + 14, true), skb)
      }
      d.setUint8(at + 12, 0)
      if (cleaned_count >= E1000_RX_BUFFER_WRITE) {
        if (tracer.on) traceIndirect('adapter->alloc_rx_buf', nameOf(adapter.alloc_rx_buf))
        adapter.alloc_rx_buf(adapter, rx_ring, cleaned_count)
        cleaned_count = 0
      }
    }
    rx_ring.next_to_clean = i
    cleaned_count = E1000_DESC_UNUSED(rx_ring)
    if (cleaned_count) {
      if (tracer.on) traceIndirect('adapter->alloc_rx_buf', nameOf(adapter.alloc_rx_buf))
      adapter.alloc_rx_buf(adapter, rx_ring, cleaned_count)
    }
    return cleaned
  },
)

/** gives the card buffers in the place of those that it filled */
const e1000_alloc_rx_buffers = kfunc(
  'e1000_alloc_rx_buffers',
  (adapter: e1000_adapter, rx_ring: e1000_rx_ring, cleaned_count: number): void => {
    let i = rx_ring.next_to_use
    while (cleaned_count--) {
      const b = rx_ring.buffer_info[i] as e1000_rx_buffer
      if (b.data === null) {
        b.data = e1000_alloc_frag(adapter)
        b.dma = dma_map_single(adapter.pdev, b.data, E1000_HEADROOM, adapter.rx_buffer_len, DMA_FROM_DEVICE)
      }
      rx_ring.desc.setUint32(i * DESC_SIZE, b.dma >>> 0, true)
      rx_ring.desc.setUint32(i * DESC_SIZE + 4, Math.floor(b.dma / 2 ** 32), true)
      if (++i === rx_ring.count) i = 0
    }
    if (rx_ring.next_to_use === i) return
    rx_ring.next_to_use = i
    adapter.hw.write(REG.RDT, i === 0 ? rx_ring.count - 1 : i - 1)
  },
)

// ---- frames above 1500 bytes are received into pages

/** the page is the packet's now */
const e1000_consume_page = kfunc('e1000_consume_page', (bi: e1000_rx_buffer, skb: sk_buff, length: number): void => {
  bi.page = null
  skb.len += length
  skb.data_len += length
  skb.truesize += PAGE_SIZE
})

const e1000_clean_jumbo_rx_irq = kfunc(
  'e1000_clean_jumbo_rx_irq',
  (adapter: e1000_adapter, rx_ring: e1000_rx_ring, work_done: { v: number }, work_to_do: number): boolean => {
    const { netdev } = adapter
    const d = rx_ring.desc
    let i = rx_ring.next_to_clean
    let cleaned_count = 0
    let cleaned = false
    let total_rx_bytes = 0
    let total_rx_packets = 0
    while (d.getUint8(i * DESC_SIZE + 12) & E1000_RXD_STAT_DD) {
      if (work_done.v >= work_to_do) break
      work_done.v++
      const at = i * DESC_SIZE
      const b = rx_ring.buffer_info[i] as e1000_rx_buffer
      const status = d.getUint8(at + 12)
      const errors = d.getUint8(at + 13)
      const length = d.getUint16(at + 8, true)
      const vlan = d.getUint16(at + 14, true)
      const p = b.page as page
      if (++i === rx_ring.count) i = 0
      cleaned = true
      cleaned_count++
      dma_unmap_page_attrs(adapter.pdev, b.dma, adapter.rx_buffer_len, DMA_FROM_DEVICE, 0)
      b.dma = 0
      d.setUint8(at + 12, 0)
      const top = rx_ring.rx_skb_top
      if (status & E1000_RXD_STAT_EOP && errors & E1000_RXD_ERR_FRAME_ERR_MASK) {
        if (top !== null) dev_kfree_skb_any(top)
        rx_ring.rx_skb_top = null
      } else if (status & E1000_RXD_STAT_EOP && top === null && length <= copybreak) {
        const skb = e1000_alloc_rx_skb(adapter, length - ETH_FCS_LEN)
        if (skb === null) break
        skb.head.bytes.set(p.bytes.subarray(0, length - ETH_FCS_LEN), skb.tail)
        skb_put(skb, length - ETH_FCS_LEN)
        traceCopy(length - ETH_FCS_LEN, 'ring buffer', 'skb head')
        e1000_rx_checksum(adapter, status, errors, skb)
        total_rx_bytes += skb.len
        total_rx_packets++
        e1000_receive_skb(adapter, status, vlan, skb)
      } else {
        const skb = top ?? napi_get_frags(adapter.napi)
        if (skb === null) {
          adapter.alloc_rx_buff_failed++
          break
        }
        skb_fill_page_desc(skb, skb_shinfo(skb).frags.length, p, 0, length)
        e1000_consume_page(b, skb, length)
        if (!(status & E1000_RXD_STAT_EOP)) rx_ring.rx_skb_top = skb
        else {
          rx_ring.rx_skb_top = null
          e1000_rx_checksum(adapter, status, errors, skb)
          total_rx_bytes += skb.len - ETH_FCS_LEN
          pskb_trim(skb, skb.len - ETH_FCS_LEN)
          total_rx_packets++
          if (status & E1000_RXD_STAT_VP) __vlan_hwaccel_put_tag(skb, ETH_P_8021Q, vlan)
          napi_gro_frags(adapter.napi)
        }
      }
      if (cleaned_count >= E1000_RX_BUFFER_WRITE) {
        if (tracer.on) traceIndirect('adapter->alloc_rx_buf', nameOf(adapter.alloc_rx_buf))
        adapter.alloc_rx_buf(adapter, rx_ring, cleaned_count)
        cleaned_count = 0
      }
    }
    rx_ring.next_to_clean = i
    cleaned_count = E1000_DESC_UNUSED(rx_ring)
    if (cleaned_count) {
      if (tracer.on) traceIndirect('adapter->alloc_rx_buf', nameOf(adapter.alloc_rx_buf))
      adapter.alloc_rx_buf(adapter, rx_ring, cleaned_count)
    }
    adapter.total_rx_packets += total_rx_packets
    adapter.total_rx_bytes += total_rx_bytes
    netdev.stats.rx_bytes += total_rx_bytes
    netdev.stats.rx_packets += total_rx_packets
    return cleaned
  },
)

const e1000_alloc_jumbo_rx_buffers = kfunc(
  'e1000_alloc_jumbo_rx_buffers',
  (adapter: e1000_adapter, rx_ring: e1000_rx_ring, cleaned_count: number): void => {
    let i = rx_ring.next_to_use
    while (cleaned_count--) {
      const b = rx_ring.buffer_info[i] as e1000_rx_buffer
      b.page ??= alloc_page(GFP_ATOMIC)
      if (!b.dma) b.dma = dma_map_page_attrs(adapter.pdev, b.page, 0, adapter.rx_buffer_len, DMA_FROM_DEVICE, 0)
      rx_ring.desc.setUint32(i * DESC_SIZE, b.dma >>> 0, true)
      rx_ring.desc.setUint32(i * DESC_SIZE + 4, Math.floor(b.dma / 2 ** 32), true)
      if (++i === rx_ring.count) i = 0
    }
    if (rx_ring.next_to_use === i) return
    rx_ring.next_to_use = i
    adapter.hw.write(REG.RDT, i === 0 ? rx_ring.count - 1 : i - 1)
  },
)

const lowest_latency = 0
const low_latency = 1
const bulk_latency = 2
const e1000_update_itr = kfunc(
  'e1000_update_itr',
  (_adapter: e1000_adapter, itr_setting: number, packets: number, bytes: number): number => {
    if (packets === 0) return itr_setting
    const each = bytes / packets
    switch (itr_setting) {
      case lowest_latency:
        return each > 8000 ? bulk_latency : packets < 5 && bytes > 512 ? low_latency : itr_setting
      case low_latency:
        if (bytes > 10000)
          return each > 8000 || packets < 10 || each > 1200 ? bulk_latency : packets > 35 ? lowest_latency : itr_setting
        return each > 2000 ? bulk_latency : packets <= 2 && bytes < 512 ? lowest_latency : itr_setting
      default:
        return (bytes > 25000 ? packets > 35 : bytes < 6000) ? low_latency : itr_setting
    }
  },
)
/** interrupts a second, as ITR wants them: in units of 256 ns between two */
const itr_register = (itr: number): number => Math.floor(1e9 / (itr * 256))
const e1000_set_itr = kfunc('e1000_set_itr', (adapter: e1000_adapter): void => {
  adapter.tx_itr = e1000_update_itr(adapter, adapter.tx_itr, adapter.total_tx_packets, adapter.total_tx_bytes)
  if (adapter.tx_itr === lowest_latency) adapter.tx_itr = low_latency
  adapter.rx_itr = e1000_update_itr(adapter, adapter.rx_itr, adapter.total_rx_packets, adapter.total_rx_bytes)
  if (adapter.rx_itr === lowest_latency) adapter.rx_itr = low_latency
  const current = Math.max(adapter.rx_itr, adapter.tx_itr)
  let new_itr = current === lowest_latency ? 70000 : current === low_latency ? 20000 : 4000
  if (new_itr === adapter.itr) return
  if (new_itr > adapter.itr) new_itr = Math.min(adapter.itr + (new_itr >> 2), new_itr)
  adapter.itr = new_itr
  adapter.hw.write(REG.ITR, itr_register(new_itr))
})

const e1000_clean = kfunc('e1000_clean', (napi: napi_struct, budget: number): number => {
  const adapter = netdev_priv<e1000_adapter>(napi.dev)
  const work_done = { v: 0 }
  const tx_clean_complete = e1000_clean_tx_irq(adapter, adapter.tx_ring)
  if (tracer.on) traceIndirect('adapter->clean_rx', nameOf(adapter.clean_rx))
  adapter.clean_rx(adapter, adapter.rx_ring, work_done, budget)
  if (!tx_clean_complete || work_done.v === budget) return budget
  if (napi_complete_done(napi, work_done.v)) {
    e1000_set_itr(adapter)
    if (!adapter.down) e1000_irq_enable(adapter)
  }
  return work_done.v
})

// ---- up and down

const tx_ring = (adapter: e1000_adapter): void => {
  const { bytes, dma } = dma_alloc_coherent(adapter.pdev, E1000_DEFAULT_TXD * DESC_SIZE)
  adapter.tx_ring = {
    desc: new DataView(bytes.buffer),
    dma,
    count: E1000_DEFAULT_TXD,
    next_to_use: 0,
    next_to_clean: 0,
    buffer_info: Array.from({ length: E1000_DEFAULT_TXD }, () => ({
      skb: null,
      dma: 0,
      time_stamp: 0,
      length: 0,
      next_to_watch: 0,
      mapped_as_page: false,
      segs: 0,
      bytecount: 0,
    })),
    last_tx_tso: false,
  }
}
const rx_ring = (adapter: e1000_adapter): void => {
  const { bytes, dma } = dma_alloc_coherent(adapter.pdev, E1000_DEFAULT_RXD * DESC_SIZE)
  adapter.rx_ring = {
    desc: new DataView(bytes.buffer),
    dma,
    count: E1000_DEFAULT_RXD,
    next_to_use: 0,
    next_to_clean: 0,
    buffer_info: Array.from({ length: E1000_DEFAULT_RXD }, () => ({ data: null, page: null, dma: 0 })),
    rx_skb_top: null,
  }
}

/** which frames the card takes that are not sent to its own address: bits of a hash of the group's address */
const e1000_set_rx_mode = kfunc('e1000_set_rx_mode', (netdev: net_device): void => {
  const { hw } = netdev_priv<e1000_adapter>(netdev)
  const rctl = hw.read(REG.RCTL) & ~(RCTL_UPE | RCTL_MPE)
  hw.write(REG.RCTL, rctl | (netdev.flags & IFF_PROMISC ? RCTL_UPE | RCTL_MPE : netdev.flags & IFF_ALLMULTI ? RCTL_MPE : 0))
  const mta = new Uint32Array(MTA_SIZE)
  for (const addr of dev_mc_list(netdev)) {
    const hash = multicast_hash(addr)
    mta[hash >> 5] = (mta[hash >> 5] ?? 0) | (1 << (hash & 0x1f))
  }
  for (let i = MTA_SIZE - 1; i >= 0; i--) hw.write(REG.MTA + 4 * i, mta[i] ?? 0)
})

/** whether the card puts tags into frames and takes them off */
const __e1000_vlan_mode = kfunc('__e1000_vlan_mode', (adapter: e1000_adapter, features: netdev_features_t): void => {
  const ctrl = adapter.hw.read(REG.CTRL)
  adapter.hw.write(REG.CTRL, features & F.NETIF_F_HW_VLAN_CTAG_RX ? ctrl | CTRL_VME : ctrl & ~CTRL_VME)
})
const e1000_vlan_mode = kfunc('e1000_vlan_mode', (netdev: net_device, features: netdev_features_t): void => {
  const adapter = netdev_priv<e1000_adapter>(netdev)
  if (!adapter.down) e1000_irq_disable(adapter)
  __e1000_vlan_mode(adapter, features)
  if (!adapter.down) e1000_irq_enable(adapter)
})
const e1000_vlan_filter_on_off = kfunc('e1000_vlan_filter_on_off', (adapter: e1000_adapter, filter_on: boolean): void => {
  const { hw, netdev } = adapter
  if (!adapter.down) e1000_irq_disable(adapter)
  __e1000_vlan_mode(adapter, netdev.features)
  const rctl = hw.read(REG.RCTL) & ~RCTL_VFE
  hw.write(REG.RCTL, filter_on && !(netdev.flags & IFF_PROMISC) ? rctl | RCTL_VFE : rctl)
  if (!adapter.down) e1000_irq_enable(adapter)
})
const vfta = (hw: E1000Card, vid: number, on: boolean): void => {
  const reg = REG.VFTA + 4 * (vid >> 5)
  const bit = 1 << (vid & 0x1f)
  hw.write(reg, on ? hw.read(reg) | bit : hw.read(reg) & ~bit)
}
const e1000_vlan_rx_add_vid = kfunc('e1000_vlan_rx_add_vid', (netdev: net_device, _proto: number, vid: number): number => {
  const adapter = netdev_priv<e1000_adapter>(netdev)
  if (adapter.active_vlans.size === 0) e1000_vlan_filter_on_off(adapter, true)
  vfta(adapter.hw, vid, true)
  adapter.active_vlans.add(vid)
  return 0
})
const e1000_vlan_rx_kill_vid = kfunc('e1000_vlan_rx_kill_vid', (netdev: net_device, _proto: number, vid: number): number => {
  const adapter = netdev_priv<e1000_adapter>(netdev)
  vfta(adapter.hw, vid, false)
  adapter.active_vlans.delete(vid)
  if (adapter.active_vlans.size === 0) e1000_vlan_filter_on_off(adapter, false)
  return 0
})
const e1000_restore_vlan = kfunc('e1000_restore_vlan', (adapter: e1000_adapter): void => {
  if (adapter.active_vlans.size === 0) return
  e1000_vlan_filter_on_off(adapter, true)
  for (const vid of adapter.active_vlans) e1000_vlan_rx_add_vid(adapter.netdev, ETH_P_8021Q, vid)
})

const e1000_configure = kfunc('e1000_configure', (adapter: e1000_adapter): void => {
  const { hw } = adapter
  hw.write(REG.TDBAL, adapter.tx_ring.dma)
  hw.write(REG.TDLEN, adapter.tx_ring.count * DESC_SIZE)
  hw.write(REG.TDH, 0)
  hw.write(REG.TCTL, TCTL_EN)
  hw.write(REG.TDT, 0)
  hw.write(REG.TIDV, DEFAULT_TIDV)
  hw.write(REG.TADV, DEFAULT_TADV)
  adapter.txd_cmd = (E1000_TXD_CMD_EOP | E1000_TXD_CMD_IFCS | E1000_TXD_CMD_RS | E1000_TXD_CMD_IDE) >>> 0
  hw.write(REG.RDBAL, adapter.rx_ring.dma)
  hw.write(REG.RDLEN, adapter.rx_ring.count * DESC_SIZE)
  hw.write(REG.RDH, 0)
  hw.write(REG.RDT, 0)
  hw.write(REG.RDTR, DEFAULT_RDTR)
  hw.write(REG.RADV, DEFAULT_RADV)
  hw.write(REG.ITR, itr_register(adapter.itr))
  e1000_set_rx_mode(adapter.netdev)
  e1000_restore_vlan(adapter)
  const jumbo = adapter.netdev.mtu > ETH_DATA_LEN
  const kept = hw.read(REG.RCTL) & (RCTL_UPE | RCTL_MPE | RCTL_VFE)
  hw.write(REG.RCTL, RCTL_EN | kept | (jumbo ? RCTL_LPE : 0))
  adapter.clean_rx = jumbo ? e1000_clean_jumbo_rx_irq : e1000_clean_rx_irq
  adapter.alloc_rx_buf = jumbo ? e1000_alloc_jumbo_rx_buffers : e1000_alloc_rx_buffers
  adapter.alloc_rx_buf(adapter, adapter.rx_ring, E1000_DESC_UNUSED(adapter.rx_ring))
})

/** the card as it is after power-on: the link has to be found anew */
const e1000_reset = kfunc('e1000_reset', (adapter: e1000_adapter): void => {
  adapter.hw.negotiate()
})

const e1000_has_link = kfunc(
  'e1000_has_link',
  (adapter: e1000_adapter): boolean => (adapter.hw.read(REG.STATUS) & STATUS_LU) !== 0,
)

/** round_jiffies(2 * HZ): whole seconds */
const WATCHDOG = 2 * HZ
/**
 * Looks whether there is a link. While there is none it looks again, however soon the card says that it has found one: the work
 * that waits is not queued a second time. With a link it would go on, to count and to see whether the card hangs: nothing does here.
 */
const e1000_watchdog = kfunc('e1000_watchdog', (adapter: e1000_adapter): void => {
  if (e1000_has_link(adapter)) netif_carrier_on(adapter.netdev)
  else {
    netif_carrier_off(adapter.netdev)
    if (!adapter.down) schedule_delayed_work(adapter.watchdog_task, WATCHDOG)
  }
})

const e1000_open = kfunc('e1000_open', (netdev: net_device): number => {
  const adapter = netdev_priv<e1000_adapter>(netdev)
  tx_ring(adapter)
  rx_ring(adapter)
  netdev_reset_queue(netdev)
  e1000_configure(adapter)
  adapter.hw.interrupt = () => raise_irq(adapter.irq)
  // what a task does between two packets took longer in the recordings, under their tracer, than the card's throttle
  adapter.hw.throttled = () => tracer.execution.kind !== 'task'
  adapter.down = false
  napi_enable(adapter.napi)
  e1000_irq_enable(adapter)
  netif_start_queue(netdev)
  // an interrupt of the driver's own starts the watchdog
  adapter.hw.write(REG.ICS, ICR_LSC)
  return 0
})

/** rings as they were made: nothing in them, nothing done */
const e1000_clean_all_tx_rings = kfunc('e1000_clean_all_tx_rings', (adapter: e1000_adapter): void => {
  for (const b of adapter.tx_ring.buffer_info) e1000_unmap_and_free_tx_resource(adapter, b, 0)
  netdev_reset_queue(adapter.netdev)
  const ring = adapter.tx_ring
  for (const b of ring.buffer_info) b.next_to_watch = 0
  for (let i = 0; i < ring.count * DESC_SIZE; i += 4) ring.desc.setUint32(i, 0)
  ring.next_to_use = 0
  ring.next_to_clean = 0
  ring.last_tx_tso = false
})
const e1000_clean_all_rx_rings = kfunc('e1000_clean_all_rx_rings', (adapter: e1000_adapter): void => {
  const ring = adapter.rx_ring
  for (const b of ring.buffer_info) {
    if (b.dma && b.page !== null) dma_unmap_page_attrs(adapter.pdev, b.dma, adapter.rx_buffer_len, DMA_FROM_DEVICE, 0)
    else if (b.dma) dma_unmap_single(adapter.pdev, b.dma, adapter.rx_buffer_len, DMA_FROM_DEVICE)
    if (b.data !== null) skb_free_frag(b.data)
    if (b.page !== null) put_page(b.page)
    b.data = null
    b.page = null
    b.dma = 0
  }
  // what was half received
  const half = adapter.napi.skb ?? ring.rx_skb_top
  if (half !== null) kfree_skb(half)
  adapter.napi.skb = null
  ring.rx_skb_top = null
  for (let i = 0; i < ring.count * DESC_SIZE; i += 4) ring.desc.setUint32(i, 0)
  ring.next_to_use = 0
  ring.next_to_clean = 0
})

const e1000_down = kfunc('e1000_down', (adapter: e1000_adapter): void => {
  const { hw, netdev } = adapter
  adapter.down = true
  hw.write(REG.RCTL, hw.read(REG.RCTL) & ~RCTL_EN)
  netif_stop_queue(netdev)
  hw.write(REG.TCTL, 0)
  netif_carrier_off(netdev)
  napi_disable(adapter.napi)
  e1000_irq_disable(adapter)
  cancel_delayed_work(adapter.watchdog_task)
  e1000_reset(adapter)
  e1000_clean_all_tx_rings(adapter)
  e1000_clean_all_rx_rings(adapter)
})
const e1000_up = kfunc('e1000_up', (adapter: e1000_adapter): number => {
  e1000_configure(adapter)
  adapter.down = false
  napi_enable(adapter.napi)
  e1000_irq_enable(adapter)
  netif_wake_queue(adapter.netdev)
  adapter.hw.write(REG.ICS, ICR_LSC)
  return 0
})

const e1000_close = kfunc('e1000_close', (netdev: net_device): number => {
  const adapter = netdev_priv<e1000_adapter>(netdev)
  e1000_down(adapter)
  dma_free_coherent(adapter.pdev, adapter.tx_ring.dma)
  dma_free_coherent(adapter.pdev, adapter.rx_ring.dma)
  return 0
})

/** the rings' buffers are of another size then: the card stops for a moment */
const e1000_change_mtu = kfunc('e1000_change_mtu', (netdev: net_device, new_mtu: number): number => {
  const adapter = netdev_priv<e1000_adapter>(netdev)
  const max_frame = new_mtu + ETH_HLEN + ETH_FCS_LEN
  const running = netif_running(netdev)
  if (running) e1000_down(adapter)
  if (max_frame === ETH_FRAME_LEN + ETH_FCS_LEN || max_frame === MAXIMUM_ETHERNET_VLAN_SIZE)
    adapter.rx_buffer_len = MAXIMUM_ETHERNET_VLAN_SIZE
  else adapter.rx_buffer_len = max_frame <= E1000_RXBUFFER_2048 ? E1000_RXBUFFER_2048 : PAGE_SIZE
  netdev.mtu = new_mtu
  if (running) e1000_up(adapter)
  return 0
})

const e1000_fix_features = kfunc(
  'e1000_fix_features',
  (_netdev: net_device, features: netdev_features_t): netdev_features_t =>
    features & F.NETIF_F_HW_VLAN_CTAG_RX ? features | F.NETIF_F_HW_VLAN_CTAG_TX : features & ~F.NETIF_F_HW_VLAN_CTAG_TX,
)
const e1000_set_features = kfunc('e1000_set_features', (netdev: net_device, features: netdev_features_t): number => {
  const adapter = netdev_priv<e1000_adapter>(netdev)
  if ((features ^ netdev.features) & F.NETIF_F_HW_VLAN_CTAG_RX) e1000_vlan_mode(netdev, features)
  adapter.rx_csum = (features & F.NETIF_F_RXCSUM) !== 0n
  netdev.features = features
  return 1
})

const e1000_netdev_ops: net_device_ops = {
  ndo_open: e1000_open,
  ndo_stop: e1000_close,
  ndo_start_xmit: e1000_xmit_frame,
  ndo_set_rx_mode: e1000_set_rx_mode,
  ndo_set_mac_address: eth_mac_addr,
  ndo_validate_addr: eth_validate_addr,
  ndo_change_mtu: e1000_change_mtu,
  ndo_fix_features: e1000_fix_features,
  ndo_set_features: e1000_set_features,
  ndo_vlan_rx_add_vid: e1000_vlan_rx_add_vid,
  ndo_vlan_rx_kill_vid: e1000_vlan_rx_kill_vid,
}

/** finds a card at the end of a cable and makes the device `name` of it in a namespace; negative for an error */
export function e1000_probe(n: net, name: string, mac: Uint8Array, cable: Cable, end: 0 | 1): net_device | number {
  const netdev = alloc_etherdev_mqs(0, 1, 1)
  if (netdev === null) return -EINVAL
  netdev.nd_net = n
  netdev.name = name
  const irq = new irq_desc(name, () => e1000_intr(0, netdev), netdev)
  const adapter: e1000_adapter = {
    netdev,
    pdev: { name: '0000:00:03.0' },
    hw: new E1000Card(dma_space, cable, end),
    irq,
    napi: new napi_struct(),
    rx_buffer_len: MAXIMUM_ETHERNET_VLAN_SIZE,
    txd_cmd: 0,
    down: true,
    watchdog_task: new delayed_work(() => e1000_watchdog(adapter)),
    active_vlans: new Set<number>(),
    restart_queue: 0,
    alloc_rx_buff_failed: 0,
    discarding: false,
    rx_csum: false,
    total_tx_bytes: 0,
    total_tx_packets: 0,
    total_rx_bytes: 0,
    total_rx_packets: 0,
    itr: 20000,
    tx_itr: low_latency,
    rx_itr: low_latency,
  } as unknown as e1000_adapter
  netdev.priv = adapter
  adapter.hw.owner = netdev
  INIT_DELAYED_WORK(adapter.watchdog_task)
  netdev.netdev_ops = e1000_netdev_ops
  netif_napi_add(netdev, adapter.napi, e1000_clean)
  // 82540EM: no TSO over IPv6
  netdev.hw_features = F.NETIF_F_SG | F.NETIF_F_HW_CSUM | F.NETIF_F_HW_VLAN_CTAG_RX
  netdev.features = F.NETIF_F_HW_VLAN_CTAG_TX | F.NETIF_F_HW_VLAN_CTAG_FILTER
  netdev.hw_features |= F.NETIF_F_TSO
  netdev.features |= netdev.hw_features
  netdev.hw_features |= F.NETIF_F_RXCSUM | F.NETIF_F_RXALL | F.NETIF_F_RXFCS
  netdev.features |= F.NETIF_F_HIGHDMA
  netdev.vlan_features |= F.NETIF_F_HIGHDMA | F.NETIF_F_TSO | F.NETIF_F_HW_CSUM | F.NETIF_F_SG
  netdev.min_mtu = ETH_ZLEN - ETH_HLEN
  netdev.max_mtu = MAX_JUMBO_FRAME_SIZE - (ETH_HLEN + ETH_FCS_LEN)
  netdev.dev_addr = mac.slice()
  netdev.mtu = ETH_DATA_LEN
  netif_carrier_off(netdev)
  adapter.hw.write(REG.VET, ETH_P_8021Q)
  e1000_reset(adapter)
  const err = register_netdev(netdev)
  if (err < 0) return err
  e1000_vlan_filter_on_off(adapter, false)
  return netdev
}
