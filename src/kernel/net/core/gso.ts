import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { traceIndirect, tracer } from '../../../trace/tracer.ts'
import * as C from '../../include/generated/enums.ts'
import { EINVAL, EPROTONOSUPPORT } from '../../include/linux/errno.ts'
import {
  CHECKSUM_NONE,
  CHECKSUM_PARTIAL,
  CHECKSUM_UNNECESSARY,
  type sk_buff,
  skb_headlen,
  skb_headroom,
  skb_reset_mac_header,
  skb_reset_mac_len,
  skb_reset_transport_header,
} from '../../include/linux/skbuff.ts'
import { IS_ERR, type ref } from '../../include/linux/types.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { csum_fold, csum_partial } from '../../lib/checksum.ts'
import { skb_gso_ok, skb_network_protocol, skb_warn_bad_offload } from './dev.ts'
import { net_hotdata } from './hotdata.ts'
import { __skb_pull, __skb_push, GSO_BY_FRAGS, SKB_GSO_CB, skb_cow_head, skb_is_gso_sctp, skb_push } from './skbuff.ts'

// include/net/gso.h

/** handlers of the network layer may nest: tunnels */
export const gso_recursion_inc_test = kfunc(
  'gso_recursion_inc_test',
  (skb: sk_buff, limit: number): boolean => ++SKB_GSO_CB(skb).recursion_counter > limit,
)
/** notes that the sum of what is behind the pseudo header is still to be made, by the device */
export const gso_reset_checksum = kfunc('gso_reset_checksum', (skb: sk_buff, res: number): void => {
  const cb = SKB_GSO_CB(skb)
  cb.csum = res
  cb.csum_start = skb.csum_start
})
/** the checksum of a segment: that of its data was made when it was cut, the header's is added. The field holds the pseudo header's sum */
export const gso_make_checksum = kfunc('gso_make_checksum', (skb: sk_buff, res: number): number => {
  const cb = SKB_GSO_CB(skb)
  const csum_start = skb.transport_header
  const plen = cb.csum_start - csum_start
  const partial = cb.csum
  cb.csum = res
  cb.csum_start = csum_start
  return csum_fold(csum_partial(skb.head.bytes, csum_start, plen, partial))
})

/** puts a packet back as it was, whose inner one could not be cut */
export const skb_gso_error_unwind = kfunc(
  'skb_gso_error_unwind',
  (skb: sk_buff, protocol: number, pulled_hlen: number, mac_offset: number, mac_len: number): void => {
    skb.protocol = protocol
    skb.encapsulation = 1
    skb_push(skb, pulled_hlen)
    skb_reset_transport_header(skb)
    skb.mac_header = mac_offset
    skb.network_header = skb.mac_header + mac_len
    skb.mac_len = mac_len
  },
)

// net/core/gso.c

/** lets the first that knows packets of this type cut it */
function segment_by_type(skb: sk_buff, features: bigint, type: number): sk_buff | number | null {
  for (const ptype of net_hotdata.offload_base) {
    const { gso_segment } = ptype.callbacks
    if (ptype.type !== type || gso_segment === undefined) continue
    if (tracer.on) traceIndirect('ptype->callbacks.gso_segment', nameOf(gso_segment))
    return gso_segment(skb, features)
  }
  return -EPROTONOSUPPORT
}

export const skb_eth_gso_segment = kfunc(
  'skb_eth_gso_segment',
  (skb: sk_buff, features: bigint, type: number): sk_buff | number | null => {
    rcu_read_lock()
    const segs = segment_by_type(skb, features, type)
    rcu_read_unlock()
    return segs
  },
)

export const skb_mac_gso_segment = kfunc('skb_mac_gso_segment', (skb: sk_buff, features: bigint): sk_buff | number | null => {
  const vlan_depth: ref<number> = { v: skb.mac_len }
  const type = skb_network_protocol(skb, vlan_depth)
  if (!type) return -EINVAL
  __skb_pull(skb, vlan_depth.v)
  rcu_read_lock()
  const segs = segment_by_type(skb, features, type)
  rcu_read_unlock()
  __skb_push(skb, skb.data - skb.mac_header)
  return segs
})

const skb_needs_check = kfunc('skb_needs_check', (skb: sk_buff, tx_path: boolean): boolean =>
  tx_path ? skb.ip_summed !== CHECKSUM_PARTIAL && skb.ip_summed !== CHECKSUM_UNNECESSARY : skb.ip_summed === CHECKSUM_NONE,
)

/** cuts a packet into what the device can take; a list through `next`, null when it may stay as it is, or an error */
export const __skb_gso_segment = kfunc(
  '__skb_gso_segment',
  (skb: sk_buff, feat: bigint, tx_path: boolean): sk_buff | number | null => {
    let features = feat
    if (skb_needs_check(skb, tx_path)) {
      const err = skb_cow_head(skb, 0)
      if (err < 0) return err
    }
    if (features & BigInt(C.NETIF_F_GSO_PARTIAL)) {
      const { dev } = skb
      const partial = BigInt(C.NETIF_F_GSO_ROBUST) | (dev === null ? 0n : dev.features & dev.gso_partial_features)
      if (!skb_gso_ok(skb, features | partial)) features &= ~BigInt(C.NETIF_F_GSO_PARTIAL)
    }
    const cb = SKB_GSO_CB(skb)
    cb.mac_offset = skb_headroom(skb)
    cb.encap_level = 0
    cb.recursion_counter = 0
    skb_reset_mac_header(skb)
    skb_reset_mac_len(skb)
    const segs = skb_mac_gso_segment(skb, features)
    if (segs !== skb && skb_needs_check(skb, tx_path) && !IS_ERR(segs)) skb_warn_bad_offload(skb)
    return segs
  },
)
export const skb_gso_segment = kfunc('skb_gso_segment', (skb: sk_buff, features: bigint): sk_buff | number | null =>
  __skb_gso_segment(skb, features, true),
)

/** length of the TCP header at `offset` of the head */
const tcp_header_len = (skb: sk_buff, offset: number): number => ((skb.head.bytes[offset + 12] ?? 0) >> 4) * 4

const skb_gso_transport_seglen = kfunc('skb_gso_transport_seglen', (skb: sk_buff): number => {
  const { gso_type, gso_size } = skb.head.shinfo
  const tcp = (gso_type & (C.SKB_GSO_TCPV4 | C.SKB_GSO_TCPV6)) !== 0
  let thlen = 0
  if (skb.encapsulation) {
    thlen = skb.inner_transport_header - skb.transport_header
    if (tcp) thlen += tcp_header_len(skb, skb.inner_transport_header)
  } else if (tcp) thlen = tcp_header_len(skb, skb.transport_header)
  else if (skb_is_gso_sctp(skb)) thlen = 12
  else if (gso_type & C.SKB_GSO_UDP_L4) thlen = 8
  return thlen + gso_size
})
const skb_gso_network_seglen = kfunc('skb_gso_network_seglen', (skb: sk_buff): number => {
  const hdr_len = skb.transport_header - skb.network_header
  return hdr_len + skb_gso_transport_seglen(skb)
})
const skb_gso_mac_seglen = kfunc('skb_gso_mac_seglen', (skb: sk_buff): number => {
  const hdr_len = skb.transport_header - skb.mac_header
  return hdr_len + skb_gso_transport_seglen(skb)
})
const skb_gso_size_check = kfunc('skb_gso_size_check', (skb: sk_buff, seg_len: number, max_len: number): boolean => {
  const { shinfo } = skb.head
  if (shinfo.gso_size !== GSO_BY_FRAGS) return seg_len <= max_len
  for (let iter = shinfo.frag_list; iter !== null; iter = iter.next)
    if (seg_len - GSO_BY_FRAGS + skb_headlen(iter) > max_len) return false
  return true
})

/** whether the segments of a packet fit into `mtu` bytes, the network header counted */
export const skb_gso_validate_network_len = kfunc('skb_gso_validate_network_len', (skb: sk_buff, mtu: number): boolean =>
  skb_gso_size_check(skb, skb_gso_network_seglen(skb), mtu),
)
/** the same with the link's header */
export const skb_gso_validate_mac_len = kfunc('skb_gso_validate_mac_len', (skb: sk_buff, len: number): boolean =>
  skb_gso_size_check(skb, skb_gso_mac_seglen(skb), len),
)
