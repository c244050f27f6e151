import type { Cable } from '../../../hardware/cable.ts'
import { VIRTIO_NET_HDR_LEN, VirtioNetCard } from '../../../hardware/virtio_net.ts'
import { kfunc } from '../../../trace/kfunc.ts'
import { traceCopy } from '../../../trace/tracer.ts'
import { ETH_HLEN, IFF_ALLMULTI, IFF_PROMISC, NETDEV_TX_OK } from '../../include/generated/enums.ts'
import { EINVAL, ENOMEM } from '../../include/linux/errno.ts'
import { type page, page_frag } from '../../include/linux/mm_types.ts'
import * as F from '../../include/linux/netdev_features.ts'
import {
  napi_struct,
  type net_device,
  type net_device_ops,
  netdev_get_tx_queue,
  netdev_priv,
} from '../../include/linux/netdevice.ts'
import {
  CHECKSUM_UNNECESSARY,
  MAX_SKB_FRAGS,
  type sk_buff,
  skb_headroom,
  skb_shared_info,
  skb_shinfo,
  skb_tailroom,
} from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import { ALIGN, clamp } from '../../include/linux/types.ts'
import { work_struct } from '../../include/linux/workqueue.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { dma_space } from '../../kernel/dma/mapping.ts'
import { irq_desc, on_other_side, raise_irq } from '../../kernel/irq/handle.ts'
import { schedule_work } from '../../kernel/workqueue.ts'
import { put_page } from '../../mm/page_alloc.ts'
import {
  __napi_schedule,
  __netdev_tx_sent_queue,
  __netif_tx_lock,
  __netif_tx_unlock,
  dev_kfree_skb_any,
  napi_complete_done,
  napi_disable,
  napi_enable,
  napi_schedule_prep,
  netdev_tx_completed_queue,
  netdev_xmit_more,
  netif_carrier_off,
  netif_carrier_on,
  netif_napi_add,
  netif_tx_stop_queue,
  netif_tx_wake_queue,
  passthru_features_check,
  register_netdev,
} from '../../net/core/dev.ts'
import { dev_mc_list } from '../../net/core/dev_addr_lists.ts'
import { napi_gro_receive } from '../../net/core/gro.ts'
import {
  __skb_pull,
  __skb_push,
  build_skb,
  kfree_skb,
  napi_alloc_skb,
  napi_consume_skb,
  type scatterlist,
  skb_add_rx_frag,
  skb_can_coalesce,
  skb_coalesce_rx_frag,
  skb_get_queue_mapping,
  skb_header_cloned,
  skb_put,
  skb_put_data,
  skb_record_rx_queue,
  skb_reserve,
  skb_to_sgvec,
} from '../../net/core/skbuff.ts'
import { skb_page_frag_refill } from '../../net/core/sock.ts'
import { skb_tx_timestamp } from '../../net/core/timestamping.ts'
import { alloc_etherdev_mqs, eth_mac_addr, eth_type_trans, eth_validate_addr } from '../../net/ethernet/eth.ts'
import {
  virtqueue,
  virtqueue_add_inbuf_ctx,
  virtqueue_add_outbuf,
  virtqueue_disable_cb,
  virtqueue_enable_cb_delayed,
  virtqueue_enable_cb_prepare,
  virtqueue_get_buf,
  virtqueue_get_buf_ctx,
  virtqueue_get_vring_size,
  virtqueue_kick_prepare,
  virtqueue_notify,
  virtqueue_poll,
  vp_notify,
  vring_interrupt,
} from '../virtio/virtio_ring.ts'
import { VIRTIO_NET_HDR_F_DATA_VALID, virtio_net_hdr_from_skb, virtio_net_hdr_to_skb } from './virtio_net_hdr.ts'

const QUEUE_SIZE = 256
const GOOD_COPY_LEN = 128
const GOOD_PACKET_LEN = 1518
const PAGE_SIZE = 4096
const SHINFO = 320
const ETH_DATA_LEN = 1500

interface send_queue {
  vq: virtqueue
  napi: napi_struct
  bytes: number
  packets: number
  stop: number
  wake: number
  kicks: number
}
/** a receive buffer: where it lies in its page, and how much of it there is */
interface rx_buf {
  page: page
  offset: number
  truesize: number
}
interface receive_queue {
  vq: virtqueue
  napi: napi_struct
  alloc_frag: page_frag
  min_buf_len: number
  /** average length of packets, times 64 */
  mrg_avg_pkt_len: number
  bytes: number
  packets: number
  kicks: number
  calls: number
}
/** struct virtnet_info: one pair of queues */
export interface virtnet_info {
  dev: net_device
  card: VirtioNetCard
  hdr_len: number
  sq: send_queue
  rq: receive_queue
  rx_mode_work: work_struct | null
}

// ---- transmit

const __free_old_xmit = kfunc(
  '__free_old_xmit',
  (
    sq: send_queue,
    txq: ReturnType<typeof netdev_get_tx_queue>,
    in_napi: boolean,
    stats: { packets: number; bytes: number },
  ): void => {
    const len = { v: 0 }
    for (let ptr = virtqueue_get_buf(sq.vq, len); ptr !== null; ptr = virtqueue_get_buf(sq.vq, len)) {
      const skb = ptr as sk_buff
      stats.packets++
      stats.bytes += skb.len
      napi_consume_skb(skb, in_napi ? 1 : 0)
    }
    netdev_tx_completed_queue(txq, stats.packets, stats.bytes)
  },
)
const free_old_xmit = kfunc(
  'free_old_xmit',
  (sq: send_queue, txq: ReturnType<typeof netdev_get_tx_queue>, in_napi: boolean): void => {
    const stats = { packets: 0, bytes: 0 }
    __free_old_xmit(sq, txq, in_napi, stats)
    if (!stats.packets) return
    sq.bytes += stats.bytes
    sq.packets += stats.packets
    txq.dev.stats.tx_bytes += stats.bytes
    txq.dev.stats.tx_packets += stats.packets
  },
)

const check_sq_full_and_disable = kfunc(
  'check_sq_full_and_disable',
  (_vi: virtnet_info, dev: net_device, sq: send_queue): void => {
    if (sq.vq.num_free >= 2 + MAX_SKB_FRAGS) return
    netif_tx_stop_queue(netdev_get_tx_queue(dev, 0))
    sq.stop++
    if (!virtqueue_enable_cb_delayed(sq.vq)) virtqueue_napi_schedule(sq.napi, sq.vq)
  },
)

const xmit_skb = kfunc('xmit_skb', (vi: virtnet_info, sq: send_queue, skb: sk_buff, _orphan: boolean): number => {
  const { hdr_len } = vi
  const can_push = !(skb.data & 1) && !skb_header_cloned(skb) && skb_headroom(skb) >= hdr_len
  const bytes = new Uint8Array(VIRTIO_NET_HDR_LEN)
  if (virtio_net_hdr_from_skb(skb, new DataView(bytes.buffer), true, false, 0)) return -EINVAL
  const sg: scatterlist[] = []
  let num_sg: number
  if (can_push) {
    skb.head.bytes.set(bytes, skb.data - hdr_len)
    __skb_push(skb, hdr_len)
    num_sg = skb_to_sgvec(skb, sg, 0, skb.len, 0)
    if (num_sg < 0) return num_sg
    __skb_pull(skb, hdr_len)
  } else {
    sg[0] = { mem: { bytes }, offset: 0, length: hdr_len }
    num_sg = skb_to_sgvec(skb, sg, 0, skb.len, 1)
    if (num_sg < 0) return num_sg
    num_sg++
  }
  return virtqueue_add_outbuf(sq.vq, sg, num_sg, skb, GFP_ATOMIC)
})

const start_xmit = kfunc('start_xmit', (skb: sk_buff, dev: net_device): number => {
  const vi = netdev_priv<virtnet_info>(dev)
  const { sq } = vi
  const txq = netdev_get_tx_queue(dev, skb_get_queue_mapping(skb))
  const xmit_more = netdev_xmit_more()
  do {
    virtqueue_disable_cb(sq.vq)
    free_old_xmit(sq, txq, false)
  } while (!xmit_more && !virtqueue_enable_cb_delayed(sq.vq))
  skb_tx_timestamp(skb)
  if (xmit_skb(vi, sq, skb, false)) {
    dev.stats.tx_errors++
    dev.stats.tx_dropped++
    dev_kfree_skb_any(skb)
    return NETDEV_TX_OK
  }
  check_sq_full_and_disable(vi, dev, sq)
  if (__netdev_tx_sent_queue(txq, skb.len, xmit_more)) if (virtqueue_kick_prepare(sq.vq) && virtqueue_notify(sq.vq)) sq.kicks++
  return NETDEV_TX_OK
})

// ---- interrupt and poll

const virtqueue_napi_schedule = kfunc('virtqueue_napi_schedule', (napi: napi_struct, vq: virtqueue): void => {
  if (!napi_schedule_prep(napi)) return
  virtqueue_disable_cb(vq)
  __napi_schedule(napi)
})
const virtqueue_napi_complete = kfunc(
  'virtqueue_napi_complete',
  (napi: napi_struct, vq: virtqueue, processed: number): boolean => {
    const opaque = virtqueue_enable_cb_prepare(vq)
    if (napi_complete_done(napi, processed)) {
      if (!virtqueue_poll(vq, opaque)) return true
      virtqueue_napi_schedule(napi, vq)
    } else virtqueue_disable_cb(vq)
    return false
  },
)
const skb_xmit_done = kfunc('skb_xmit_done', (vq: virtqueue): void => {
  const { sq } = netdev_priv<virtnet_info>(vq_dev(vq))
  virtqueue_disable_cb(vq)
  virtqueue_napi_schedule(sq.napi, vq)
})
const skb_recv_done = kfunc('skb_recv_done', (rvq: virtqueue): void => {
  const { rq } = netdev_priv<virtnet_info>(vq_dev(rvq))
  rq.calls++
  virtqueue_napi_schedule(rq.napi, rvq)
})
const devices = new WeakMap<virtqueue, net_device>()
const vq_dev = (vq: virtqueue): net_device => devices.get(vq) as net_device

const wake_if_room = (sq: send_queue, txq: ReturnType<typeof netdev_get_tx_queue>): void => {
  if (sq.vq.num_free < 2 + MAX_SKB_FRAGS) return
  if (txq.state & 1) sq.wake++
  netif_tx_wake_queue(txq)
}

const virtnet_poll_tx = kfunc('virtnet_poll_tx', (napi: napi_struct, budget: number): number => {
  const { sq } = netdev_priv<virtnet_info>(napi.dev)
  const txq = netdev_get_tx_queue(napi.dev, 0)
  __netif_tx_lock(txq, 0)
  virtqueue_disable_cb(sq.vq)
  free_old_xmit(sq, txq, budget > 0)
  wake_if_room(sq, txq)
  const opaque = virtqueue_enable_cb_prepare(sq.vq)
  const done = napi_complete_done(napi, 0)
  if (!done) virtqueue_disable_cb(sq.vq)
  __netif_tx_unlock(txq)
  if (done && virtqueue_poll(sq.vq, opaque) && napi_schedule_prep(napi)) {
    __netif_tx_lock(txq, 0)
    virtqueue_disable_cb(sq.vq)
    __netif_tx_unlock(txq)
    __napi_schedule(napi)
  }
  return 0
})

const virtnet_poll_cleantx = kfunc('virtnet_poll_cleantx', (rq: receive_queue, budget: number): void => {
  const { sq } = netdev_priv<virtnet_info>(vq_dev(rq.vq))
  const txq = netdev_get_tx_queue(vq_dev(rq.vq), 0)
  if (txq._xmit_lock.locked) return
  __netif_tx_lock(txq, 0)
  do {
    virtqueue_disable_cb(sq.vq)
    free_old_xmit(sq, txq, budget > 0)
  } while (!virtqueue_enable_cb_delayed(sq.vq))
  wake_if_room(sq, txq)
  __netif_tx_unlock(txq)
})

/** how large the next receive buffers are: as packets were on average */
const get_mergeable_buf_len = kfunc('get_mergeable_buf_len', (rq: receive_queue, _avg: unknown, _room: number): number =>
  ALIGN(VIRTIO_NET_HDR_LEN + clamp(Math.floor(rq.mrg_avg_pkt_len / 64), rq.min_buf_len, PAGE_SIZE - VIRTIO_NET_HDR_LEN), 64),
)
const add_recvbuf_mergeable = kfunc('add_recvbuf_mergeable', (_vi: virtnet_info, rq: receive_queue, gfp: number): number => {
  const { alloc_frag } = rq
  let len = get_mergeable_buf_len(rq, null, 0)
  if (!skb_page_frag_refill(len, alloc_frag, gfp)) return -ENOMEM
  const p = alloc_frag.page as page
  const { offset } = alloc_frag
  p._refcount++
  alloc_frag.offset += len
  const hole = alloc_frag.size - alloc_frag.offset
  if (hole < len) {
    len += hole
    alloc_frag.offset += hole
  }
  const buf: rx_buf = { page: p, offset, truesize: len }
  const err = virtqueue_add_inbuf_ctx(rq.vq, [{ mem: p, offset, length: len }], 1, buf, null, gfp)
  if (err < 0) put_page(p)
  return err
})
const try_fill_recv = kfunc('try_fill_recv', (vi: virtnet_info, rq: receive_queue, gfp: number): boolean => {
  let err: number
  do {
    err = add_recvbuf_mergeable(vi, rq, gfp)
    if (err) break
  } while (rq.vq.num_free)
  if (virtqueue_kick_prepare(rq.vq) && virtqueue_notify(rq.vq)) rq.kicks++
  return err !== -ENOMEM
})

const virtnet_build_skb = kfunc('virtnet_build_skb', (buf: rx_buf, headroom: number, len: number): sk_buff => {
  const { page: p, offset, truesize } = buf
  const head = { bytes: p.bytes.subarray(offset, offset + truesize), shinfo: new skb_shared_info(), from: p, size: truesize }
  const skb = build_skb(head, truesize)
  skb_reserve(skb, headroom)
  skb_put(skb, len)
  return skb
})

/** a packet out of its first buffer: copied when it is short, around the buffer when there is room behind, else its pages */
const page_to_skb = kfunc('page_to_skb', (vi: virtnet_info, rq: receive_queue, buf: rx_buf, length: number): sk_buff | null => {
  let len = length - vi.hdr_len
  let offset = buf.offset + vi.hdr_len
  const tailroom = buf.truesize - vi.hdr_len - len
  if (len > GOOD_COPY_LEN && tailroom >= SHINFO) return virtnet_build_skb(buf, vi.hdr_len, len)
  const skb = napi_alloc_skb(rq.napi, GOOD_COPY_LEN)
  if (skb === null) return null
  const copy = len <= skb_tailroom(skb) ? len : ETH_HLEN
  skb_put_data(skb, buf.page.bytes.subarray(offset, offset + copy), copy)
  traceCopy(copy, 'ring buffer', 'skb head')
  len -= copy
  offset += copy
  if (len) skb_add_rx_frag(skb, 0, buf.page, offset, len, buf.truesize)
  else put_page(buf.page)
  return skb
})

const virtnet_skb_append_frag = kfunc(
  'virtnet_skb_append_frag',
  (skb: sk_buff, _curr_skb: sk_buff, p: page, offset: number, len: number, truesize: number): sk_buff | null => {
    const n = skb_shinfo(skb).frags.length
    if (n === MAX_SKB_FRAGS) return null
    if (skb_can_coalesce(skb, n, p, offset)) {
      put_page(p)
      skb_coalesce_rx_frag(skb, n - 1, len, truesize)
    } else skb_add_rx_frag(skb, n, p, offset, len, truesize)
    return skb
  },
)

const receive_mergeable = kfunc(
  'receive_mergeable',
  (dev: net_device, vi: virtnet_info, rq: receive_queue, buf: rx_buf, len: number): sk_buff | null => {
    let num_buf = (buf.page.bytes[buf.offset + 10] ?? 0) | ((buf.page.bytes[buf.offset + 11] ?? 0) << 8)
    const skb = page_to_skb(vi, rq, buf, len)
    while (--num_buf > 0) {
      const l = { v: 0 }
      const next = virtqueue_get_buf_ctx(rq.vq, l) as rx_buf | null
      if (next === null) {
        dev.stats.rx_errors++
        break
      }
      rq.bytes += l.v
      dev.stats.rx_bytes += l.v
      if (skb === null || virtnet_skb_append_frag(skb, skb, next.page, next.offset, l.v, next.truesize) === null)
        put_page(next.page)
    }
    if (skb !== null) {
      // ewma_pkt_len_add(): a new one counts for 1/64
      const add = skb.len * 64
      rq.mrg_avg_pkt_len = rq.mrg_avg_pkt_len ? rq.mrg_avg_pkt_len - Math.floor(rq.mrg_avg_pkt_len / 64) + skb.len : add
    }
    return skb
  },
)

const virtnet_receive_done = kfunc(
  'virtnet_receive_done',
  (vi: virtnet_info, rq: receive_queue, skb: sk_buff, hdr: DataView): void => {
    if (hdr.getUint8(0) & VIRTIO_NET_HDR_F_DATA_VALID) skb.ip_summed = CHECKSUM_UNNECESSARY
    if (virtio_net_hdr_to_skb(skb, hdr)) {
      vi.dev.stats.rx_errors++
      kfree_skb(skb)
      return
    }
    skb_record_rx_queue(skb, 0)
    skb.protocol = eth_type_trans(skb, vi.dev)
    napi_gro_receive(rq.napi, skb)
  },
)

const receive_buf = kfunc('receive_buf', (vi: virtnet_info, rq: receive_queue, buf: rx_buf, len: number): void => {
  if (len < vi.hdr_len + ETH_HLEN) {
    vi.dev.stats.rx_errors++
    put_page(buf.page)
    return
  }
  const header = buf.page.bytes.slice(buf.offset, buf.offset + VIRTIO_NET_HDR_LEN)
  const skb = receive_mergeable(vi.dev, vi, rq, buf, len)
  if (skb !== null) virtnet_receive_done(vi, rq, skb, new DataView(header.buffer))
})

const virtnet_receive = kfunc('virtnet_receive', (vi: virtnet_info, rq: receive_queue, budget: number): number => {
  let packets = 0
  const len = { v: 0 }
  while (packets < budget) {
    const buf = virtqueue_get_buf_ctx(rq.vq, len) as rx_buf | null
    if (buf === null) break
    rq.bytes += len.v - vi.hdr_len
    vi.dev.stats.rx_bytes += len.v - vi.hdr_len
    receive_buf(vi, rq, buf, len.v)
    packets++
  }
  if (rq.vq.num_free > Math.min(budget, virtqueue_get_vring_size(rq.vq)) / 2) try_fill_recv(vi, rq, GFP_ATOMIC)
  rq.packets += packets
  vi.dev.stats.rx_packets += packets
  return packets
})

const virtnet_poll = kfunc('virtnet_poll', (napi: napi_struct, budget: number): number => {
  const vi = netdev_priv<virtnet_info>(napi.dev)
  const { rq } = vi
  if (budget) virtqueue_disable_cb(rq.vq)
  virtnet_poll_cleantx(rq, budget)
  const received = virtnet_receive(vi, rq, budget)
  if (received < budget) virtqueue_napi_complete(napi, rq.vq, received)
  return received
})

// ---- up and down

const virtnet_open = kfunc('virtnet_open', (dev: net_device): number => {
  const vi = netdev_priv<virtnet_info>(dev)
  try_fill_recv(vi, vi.rq, GFP_ATOMIC)
  vi.card.rx = vi.rq.vq.device
  vi.card.tx = vi.sq.vq.device
  napi_enable(vi.rq.napi)
  virtqueue_napi_schedule(vi.rq.napi, vi.rq.vq)
  napi_enable(vi.sq.napi)
  netif_carrier_on(dev)
  return 0
})
const virtnet_close = kfunc('virtnet_close', (dev: net_device): number => {
  const vi = netdev_priv<virtnet_info>(dev)
  vi.card.rx = null
  napi_disable(vi.sq.napi)
  napi_disable(vi.rq.napi)
  netif_carrier_off(dev)
  return 0
})

const virtnet_rx_mode_work = kfunc('virtnet_rx_mode_work', (work: work_struct): void => {
  const dev = rx_mode_works.get(work)
  if (dev === undefined) return
  // the control queue carries this in Linux; the card is told at once
  const { card } = netdev_priv<virtnet_info>(dev)
  card.allmulti = (dev.flags & (IFF_PROMISC | IFF_ALLMULTI)) !== 0
  card.groups = dev_mc_list(dev)
})
/** container_of(): the device that a work is of */
const rx_mode_works = new WeakMap<work_struct, net_device>()

const virtnet_set_rx_mode = kfunc('virtnet_set_rx_mode', (dev: net_device): void => {
  const vi = netdev_priv<virtnet_info>(dev)
  if (vi.rx_mode_work === null) {
    vi.rx_mode_work = new work_struct(virtnet_rx_mode_work)
    rx_mode_works.set(vi.rx_mode_work, dev)
  }
  schedule_work(vi.rx_mode_work)
})

const virtnet_netdev: net_device_ops = {
  ndo_open: virtnet_open,
  ndo_stop: virtnet_close,
  ndo_start_xmit: start_xmit,
  ndo_set_rx_mode: virtnet_set_rx_mode,
  ndo_validate_addr: eth_validate_addr,
  ndo_set_mac_address: eth_mac_addr,
  ndo_features_check: passthru_features_check,
}

/** finds a card at the end of a cable and makes the device `name` of it in a namespace; negative for an error */
export function virtnet_probe(n: net, name: string, mac: Uint8Array, cable: Cable, end: 0 | 1): net_device | number {
  const dev = alloc_etherdev_mqs(0, 1, 1)
  if (dev === null) return -ENOMEM
  dev.nd_net = n
  dev.name = name
  const card = new VirtioNetCard(dma_space, cable, end)
  card.later = on_other_side
  card.owner = dev
  const rvq = new virtqueue('input.0', 0, QUEUE_SIZE, true, skb_recv_done, vp_notify)
  const svq = new virtqueue('output.0', 1, QUEUE_SIZE, true, skb_xmit_done, vp_notify)
  rvq.priv = () => card.notify('rx')
  svq.priv = () => card.notify('tx')
  for (const vq of [rvq, svq]) {
    devices.set(vq, dev)
    const irq = new irq_desc(`${name}-${vq.name}`, () => vring_interrupt(0, vq), dev)
    vq.device.interrupt = () => raise_irq(irq)
  }
  const vi: virtnet_info = {
    dev,
    card,
    hdr_len: VIRTIO_NET_HDR_LEN,
    sq: { vq: svq, napi: new napi_struct(), bytes: 0, packets: 0, stop: 0, wake: 0, kicks: 0 },
    rq: {
      vq: rvq,
      napi: new napi_struct(),
      alloc_frag: new page_frag(),
      min_buf_len: GOOD_PACKET_LEN,
      mrg_avg_pkt_len: 0,
      bytes: 0,
      packets: 0,
      kicks: 0,
      calls: 0,
    },
    rx_mode_work: null,
  }
  dev.priv = vi
  dev.netdev_ops = virtnet_netdev
  netif_napi_add(dev, vi.rq.napi, virtnet_poll)
  netif_napi_add(dev, vi.sq.napi, virtnet_poll_tx)
  dev.features = F.NETIF_F_HIGHDMA
  dev.hw_features |= F.NETIF_F_HW_CSUM | F.NETIF_F_SG
  dev.features |= F.NETIF_F_HW_CSUM | F.NETIF_F_SG
  dev.hw_features |= F.NETIF_F_TSO | F.NETIF_F_TSO_ECN | F.NETIF_F_TSO6 | F.NETIF_F_GSO_UDP_L4
  dev.features |= F.NETIF_F_GSO_ROBUST
  dev.features |= dev.hw_features & F.NETIF_F_ALL_TSO
  dev.features |= F.NETIF_F_RXCSUM | F.NETIF_F_GRO_HW
  dev.hw_features |= F.NETIF_F_GRO_HW
  dev.vlan_features = dev.features
  dev.min_mtu = 68
  dev.max_mtu = 65535
  dev.mtu = ETH_DATA_LEN
  dev.needed_headroom = vi.hdr_len
  dev.dev_addr = mac.slice()
  netif_carrier_off(dev)
  const err = register_netdev(dev)
  return err < 0 ? err : dev
}
