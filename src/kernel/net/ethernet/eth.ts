import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { traceIndirect, tracer } from '../../../trace/tracer.ts'
import { get_random_bytes } from '../../drivers/char/random.ts'
import {
  ARPHRD_ETHER,
  ETH_DATA_LEN,
  ETH_MIN_MTU,
  IFF_BROADCAST,
  IFF_LIVE_ADDR_CHANGE,
  IFF_LOOPBACK,
  IFF_MULTICAST,
  IFF_NOARP,
  IFF_TX_SKB_SHARING,
  PACKET_BROADCAST,
  PACKET_MULTICAST,
  PACKET_OTHERHOST,
} from '../../include/generated/enums.ts'
import { EADDRNOTAVAIL, EBUSY, ENOSYS } from '../../include/linux/errno.ts'
import {
  ETH_ALEN,
  ETH_HLEN,
  ETH_P_802_2,
  ETH_P_802_3,
  eth_proto_is_802_3,
  ethhdr,
  is_valid_ether_addr,
} from '../../include/linux/if_ether.ts'
import { core_initcall } from '../../include/linux/init.ts'
import { HH_DATA_OFF, type header_ops, NET_ADDR_RANDOM, type net_device, netif_running } from '../../include/linux/netdevice.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { NAPI_GRO_CB, skb_gro_offset, skb_gro_pull } from '../../include/net/gro.ts'
import type { hh_cache, neighbour } from '../../include/net/neighbour.ts'
import { alloc_netdev_mqs } from '../core/dev.ts'
import {
  gro_find_complete_by_type,
  gro_find_receive_by_type,
  indirect_call_gro_receive,
  skb_gro_flush_final,
  skb_gro_header,
  skb_gro_postpull_rcsum,
} from '../core/gro.ts'
import { skb_pull_inline, skb_push } from '../core/skbuff.ts'

const u8 = (b: Uint8Array, i: number): number => b[i] ?? 0

/** Writes the link header before the packet. @returns its length, negative when the destination is not known */
export const eth_header = kfunc(
  'eth_header',
  (skb: sk_buff, dev: net_device, type: number, daddr: Uint8Array | null, saddr: Uint8Array | null, len: number): number => {
    const at = skb_push(skb, ETH_HLEN)
    const b = skb.head.bytes
    const proto = type !== ETH_P_802_3 && type !== ETH_P_802_2 ? type : len
    b[at + 12] = proto >> 8
    b[at + 13] = proto
    const source = saddr ?? dev.dev_addr
    for (let i = 0; i < ETH_ALEN; i++) b[at + ETH_ALEN + i] = source[i] ?? 0
    if (daddr !== null) {
      for (let i = 0; i < ETH_ALEN; i++) b[at + i] = daddr[i] ?? 0
      return ETH_HLEN
    }
    if (dev.flags & (IFF_LOOPBACK | IFF_NOARP)) {
      b.fill(0, at, at + ETH_ALEN)
      return ETH_HLEN
    }
    return -ETH_HLEN
  },
)

const eth_skb_pull_mac = kfunc('eth_skb_pull_mac', (skb: sk_buff): number => {
  const at = skb.data
  skb_pull_inline(skb, ETH_HLEN)
  return at
})

const eth_skb_pkt_type = kfunc('eth_skb_pkt_type', (skb: sk_buff, dev: net_device): void => {
  const b = skb.head.bytes
  const at = skb.mac_header
  let same = true
  for (let i = 0; i < ETH_ALEN; i++) if (b[at + i] !== dev.dev_addr[i]) same = false
  if (same) return
  if (u8(b, at) & 1) {
    let broadcast = true
    for (let i = 0; i < ETH_ALEN; i++) if (b[at + i] !== dev.broadcast[i]) broadcast = false
    skb.pkt_type = broadcast ? PACKET_BROADCAST : PACKET_MULTICAST
  } else skb.pkt_type = PACKET_OTHERHOST
})

/** Takes the link header off a received frame. @returns the protocol that it carries */
export const eth_type_trans = kfunc('eth_type_trans', (skb: sk_buff, dev: net_device): number => {
  skb.dev = dev
  skb.mac_header = skb.data
  const at = eth_skb_pull_mac(skb)
  eth_skb_pkt_type(skb, dev)
  const b = skb.head.bytes
  const h_proto = (u8(b, at + 12) << 8) | u8(b, at + 13)
  if (eth_proto_is_802_3(h_proto)) return h_proto
  // Novell's IPX over raw 802.3 starts with 0xffff, which is no 802.2 address
  if (u8(b, skb.data) === 0xff && u8(b, skb.data + 1) === 0xff) return ETH_P_802_3
  return ETH_P_802_2
})

export const eth_header_parse = kfunc('eth_header_parse', (skb: sk_buff, haddr: Uint8Array): number => {
  haddr.set(skb.head.bytes.subarray(skb.mac_header + ETH_ALEN, skb.mac_header + 2 * ETH_ALEN))
  return ETH_ALEN
})

/** keeps a finished header with the neighbour */
export const eth_header_cache = kfunc('eth_header_cache', (neigh: neighbour, hh: hh_cache, type: number): number => {
  if (type === ETH_P_802_3) return -1
  const off = HH_DATA_OFF(ETH_HLEN)
  hh.hh_data.set(neigh.ha.subarray(0, ETH_ALEN), off)
  hh.hh_data.set(neigh.dev.dev_addr.subarray(0, ETH_ALEN), off + ETH_ALEN)
  hh.hh_data[off + 12] = type >> 8
  hh.hh_data[off + 13] = type
  hh.hh_len = ETH_HLEN
  return 0
})

export const eth_header_cache_update = kfunc(
  'eth_header_cache_update',
  (hh: hh_cache, _dev: net_device, haddr: Uint8Array): void => {
    hh.hh_data.set(haddr.subarray(0, ETH_ALEN), HH_DATA_OFF(ETH_HLEN))
  },
)

export const eth_header_parse_protocol = kfunc('eth_header_parse_protocol', (skb: sk_buff): number => eth_hdr(skb).h_proto)

export const eth_prepare_mac_addr_change = kfunc('eth_prepare_mac_addr_change', (dev: net_device, addr: Uint8Array): number => {
  if (!(dev.priv_flags & IFF_LIVE_ADDR_CHANGE) && netif_running(dev)) return -EBUSY
  return is_valid_ether_addr(addr) ? 0 : -EADDRNOTAVAIL
})
export const eth_hw_addr_set = (dev: net_device, addr: Uint8Array): void => {
  dev.dev_addr = addr.slice(0, ETH_ALEN)
}
/** include/linux/etherdevice.h: a made-up address, locally administered */
export const eth_hw_addr_random = kfunc('eth_hw_addr_random', (dev: net_device): void => {
  dev.addr_assign_type = NET_ADDR_RANDOM
  const addr = new Uint8Array(ETH_ALEN)
  get_random_bytes(addr, ETH_ALEN)
  addr[0] = (u8(addr, 0) & 0xfe) | 2
  eth_hw_addr_set(dev, addr)
})
export const eth_commit_mac_addr_change = kfunc('eth_commit_mac_addr_change', (dev: net_device, addr: Uint8Array): void =>
  eth_hw_addr_set(dev, addr),
)
export const eth_mac_addr = kfunc('eth_mac_addr', (dev: net_device, addr: Uint8Array): number => {
  const ret = eth_prepare_mac_addr_change(dev, addr)
  if (ret < 0) return ret
  eth_commit_mac_addr_change(dev, addr)
  return 0
})
export const eth_validate_addr = kfunc('eth_validate_addr', (dev: net_device): number =>
  is_valid_ether_addr(dev.dev_addr) ? 0 : -EADDRNOTAVAIL,
)

const hdr = new ethhdr(new Uint8Array(ETH_HLEN), 0)
/** the link header, where mac_header points; one view, moved by the next call */
export const eth_hdr = (skb: sk_buff): ethhdr => hdr.at(skb.head.bytes, skb.mac_header)

const ethertype = (b: Uint8Array, at: number): number => (u8(b, at + 12) << 8) | u8(b, at + 13)

/** GRO of an Ethernet frame inside a packet: asks those who know what the frame carries */
export const eth_gro_receive = kfunc('eth_gro_receive', (head: sk_buff[], skb: sk_buff): sk_buff | null => {
  let pp: sk_buff | null = null
  let flush = 1
  const off_eth = skb_gro_offset(skb)
  const eh = skb_gro_header(skb, off_eth + ETH_HLEN, off_eth)
  if (eh !== null) {
    flush = 0
    for (const p of head) {
      const cb = NAPI_GRO_CB(p)
      for (let i = 0; i < ETH_HLEN; i++) if (eh.bytes[eh.at + i] !== p.head.bytes[p.data + off_eth + i]) cb.same_flow = 0
    }
    const gro_receive = gro_find_receive_by_type(ethertype(eh.bytes, eh.at))?.callbacks.gro_receive
    if (gro_receive === undefined) flush = 1
    else {
      skb_gro_pull(skb, ETH_HLEN)
      skb_gro_postpull_rcsum(skb, eh, ETH_HLEN)
      pp = indirect_call_gro_receive(gro_receive, head, skb)
    }
  }
  skb_gro_flush_final(skb, pp, flush)
  return pp
})
export const eth_gro_complete = kfunc('eth_gro_complete', (skb: sk_buff, nhoff: number): number => {
  if (skb.encapsulation) skb.inner_mac_header = skb.data + nhoff
  const gro_complete = gro_find_complete_by_type(ethertype(skb.head.bytes, skb.data + nhoff))?.callbacks.gro_complete
  if (gro_complete === undefined) return -ENOSYS
  if (tracer.on) traceIndirect('ptype->callbacks.gro_complete', nameOf(gro_complete))
  return gro_complete(skb, nhoff + ETH_HLEN)
})

/** filled at boot */
export let eth_header_ops: header_ops

core_initcall(() => {
  eth_header_ops = {
    create: eth_header,
    parse: eth_header_parse,
    cache: eth_header_cache,
    cache_update: eth_header_cache_update,
    parse_protocol: eth_header_parse_protocol,
  }
})

/** an Ethernet device's usual properties */
export const ether_setup = kfunc('ether_setup', (dev: net_device): void => {
  dev.header_ops = eth_header_ops
  dev.type = ARPHRD_ETHER
  dev.hard_header_len = ETH_HLEN
  dev.min_header_len = ETH_HLEN
  dev.mtu = ETH_DATA_LEN
  dev.min_mtu = ETH_MIN_MTU
  dev.max_mtu = ETH_DATA_LEN
  dev.addr_len = ETH_ALEN
  dev.tx_queue_len = 1000
  dev.flags = IFF_BROADCAST | IFF_MULTICAST
  dev.priv_flags |= IFF_TX_SKB_SHARING
  dev.broadcast = new Uint8Array(ETH_ALEN).fill(0xff)
})

export const alloc_etherdev_mqs = kfunc(
  'alloc_etherdev_mqs',
  (sizeof_priv: number, txqs: number, rxqs: number): net_device | null =>
    alloc_netdev_mqs(sizeof_priv, 'eth%d', 0, ether_setup, txqs, rxqs),
)
