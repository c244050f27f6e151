import { kfunc } from '../../../trace/kfunc.ts'
import {
  IPPROTO_TCP,
  IPPROTO_UDP,
  SKB_GSO_DODGY,
  SKB_GSO_TCP_ECN,
  SKB_GSO_TCPV4,
  SKB_GSO_TCPV6,
  SKB_GSO_UDP_L4,
} from '../../include/generated/enums.ts'
import { EINVAL } from '../../include/linux/errno.ts'
import { ETH_P_IP, ETH_P_IPV6 } from '../../include/linux/if_ether.ts'
import {
  CHECKSUM_PARTIAL,
  CHECKSUM_UNNECESSARY,
  type sk_buff,
  skb_checksum_start_offset,
  skb_headlen,
  skb_is_gso,
  skb_reset_mac_header,
  skb_set_transport_header,
  skb_shinfo,
  skb_transport_offset,
} from '../../include/linux/skbuff.ts'
import { dev_parse_header_protocol } from '../../net/core/dev.ts'
import { flow_keys, skb_flow_dissect_flow_keys_basic } from '../../net/core/flow_dissector.ts'
import { pskb_may_pull, skb_partial_csum_set } from '../../net/core/skbuff.ts'

// struct virtio_net_hdr: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset; include/uapi/linux/virtio_net.h
export const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1
export const VIRTIO_NET_HDR_F_DATA_VALID = 2
export const VIRTIO_NET_HDR_GSO_NONE = 0
export const VIRTIO_NET_HDR_GSO_TCPV4 = 1
export const VIRTIO_NET_HDR_GSO_UDP = 3
export const VIRTIO_NET_HDR_GSO_TCPV6 = 4
export const VIRTIO_NET_HDR_GSO_UDP_L4 = 5
export const VIRTIO_NET_HDR_GSO_ECN = 0x80
/** sizes of struct virtio_net_hdr and of virtio_net_hdr_mrg_rxbuf */
export const SIZEOF_VIRTIO_NET_HDR = 10
export const SIZEOF_VIRTIO_NET_HDR_MRG_RXBUF = 12

const TCP_MIN_GSO_SIZE = 8
const UDP_CHECK = 6
const TCP_CHECK = 16
const UDP_MAX_SEGMENTS = 128
const GSO_BY_FRAGS = 0xffff

const virtio_net_hdr_match_proto = (protocol: number, gso_type: number): boolean => {
  switch (gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_TCPV4:
      return protocol === ETH_P_IP
    case VIRTIO_NET_HDR_GSO_TCPV6:
      return protocol === ETH_P_IPV6
    case VIRTIO_NET_HDR_GSO_UDP:
    case VIRTIO_NET_HDR_GSO_UDP_L4:
      return protocol === ETH_P_IP || protocol === ETH_P_IPV6
  }
  return false
}

/** include/linux/virtio_net.h: the protocol that the kind of large packet tells, when nothing else does */
export const virtio_net_hdr_set_proto = kfunc('virtio_net_hdr_set_proto', (skb: sk_buff, hdr: DataView): void => {
  if (skb.protocol) return
  switch (hdr.getUint8(1) & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_TCPV4:
    case VIRTIO_NET_HDR_GSO_UDP:
    case VIRTIO_NET_HDR_GSO_UDP_L4:
      skb.protocol = ETH_P_IP
      break
    case VIRTIO_NET_HDR_GSO_TCPV6:
      skb.protocol = ETH_P_IPV6
      break
  }
})

/** include/linux/virtio_net.h: what the sending side left to be done. @returns negative when that makes no sense */
export const virtio_net_hdr_to_skb = kfunc('virtio_net_hdr_to_skb', (skb: sk_buff, hdr: DataView): number => {
  const flags = hdr.getUint8(0)
  const type = hdr.getUint8(1) & ~VIRTIO_NET_HDR_GSO_ECN
  let size = hdr.getUint16(4, true)
  let gso_type = 0
  let thlen = 0
  let ip_proto = 0
  let nh_min_len = 20
  if (hdr.getUint8(1) !== VIRTIO_NET_HDR_GSO_NONE) {
    if (type === VIRTIO_NET_HDR_GSO_TCPV4) gso_type = SKB_GSO_TCPV4
    else if (type === VIRTIO_NET_HDR_GSO_TCPV6) gso_type = SKB_GSO_TCPV6
    else if (type === VIRTIO_NET_HDR_GSO_UDP_L4) gso_type = SKB_GSO_UDP_L4
    else return -EINVAL
    ip_proto = type === VIRTIO_NET_HDR_GSO_UDP_L4 ? IPPROTO_UDP : IPPROTO_TCP
    thlen = type === VIRTIO_NET_HDR_GSO_UDP_L4 ? 8 : 20
    if (type === VIRTIO_NET_HDR_GSO_TCPV6) nh_min_len = 40
    if (hdr.getUint8(1) & VIRTIO_NET_HDR_GSO_ECN) gso_type |= SKB_GSO_TCP_ECN
    if (size === 0) return -EINVAL
  }
  skb_reset_mac_header(skb)
  let p_off = 0
  if (flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
    const start = hdr.getUint16(6, true)
    const off = hdr.getUint16(8, true)
    if (!pskb_may_pull(skb, start + Math.max(thlen, off + 2))) return -EINVAL
    if (!skb_partial_csum_set(skb, start, off)) return -EINVAL
    if (skb_transport_offset(skb) < nh_min_len) return -EINVAL
    p_off = skb_transport_offset(skb) + thlen
    if (!pskb_may_pull(skb, p_off)) return -EINVAL
  } else if (gso_type && skb.network_header) {
    if (!skb.protocol) {
      const protocol = dev_parse_header_protocol(skb)
      if (!protocol) virtio_net_hdr_set_proto(skb, hdr)
      else if (!virtio_net_hdr_match_proto(protocol, hdr.getUint8(1))) return -EINVAL
      else skb.protocol = protocol
    }
    const keys = new flow_keys()
    if (!skb_flow_dissect_flow_keys_basic(null, skb, keys)) return -EINVAL
    p_off = keys.thoff + thlen
    if (!pskb_may_pull(skb, p_off) || keys.ip_proto !== ip_proto) return -EINVAL
    skb_set_transport_header(skb, keys.thoff)
  } else if (gso_type) {
    p_off = nh_min_len + thlen
    if (!pskb_may_pull(skb, p_off)) return -EINVAL
  }
  if (!gso_type) return 0
  if (gso_type & SKB_GSO_UDP_L4) {
    if (!(flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || skb.csum_offset !== UDP_CHECK) return -EINVAL
    if (skb.len - p_off > size * UDP_MAX_SEGMENTS || gso_type !== SKB_GSO_UDP_L4) return -EINVAL
  } else {
    if (skb.ip_summed === CHECKSUM_PARTIAL && skb.csum_offset !== TCP_CHECK) return -EINVAL
    size = Math.max(size, TCP_MIN_GSO_SIZE)
  }
  if (size === GSO_BY_FRAGS) return -EINVAL
  // what fits into one segment is none of a larger packet
  if (skb.len - p_off <= size) return 0
  const shinfo = skb_shinfo(skb)
  shinfo.gso_size = size
  shinfo.gso_type = gso_type | SKB_GSO_DODGY
  shinfo.gso_segs = 0
  return 0
})

/** include/linux/virtio_net.h: says in `hdr` what is left to be done of a packet. @returns negative when that cannot be said */
export const virtio_net_hdr_from_skb = kfunc(
  'virtio_net_hdr_from_skb',
  (skb: sk_buff, hdr: DataView, _little_endian: boolean, has_data_valid: boolean, vlan_hlen: number): number => {
    for (let i = 0; i < hdr.byteLength; i++) hdr.setUint8(i, 0)
    if (skb_is_gso(skb)) {
      const { gso_size, gso_type } = skb_shinfo(skb)
      hdr.setUint16(2, skb_headlen(skb), true)
      hdr.setUint16(4, gso_size, true)
      let type: number
      if (gso_type & SKB_GSO_TCPV4) type = VIRTIO_NET_HDR_GSO_TCPV4
      else if (gso_type & SKB_GSO_TCPV6) type = VIRTIO_NET_HDR_GSO_TCPV6
      else if (gso_type & SKB_GSO_UDP_L4) type = VIRTIO_NET_HDR_GSO_UDP_L4
      else return -EINVAL
      hdr.setUint8(1, gso_type & SKB_GSO_TCP_ECN ? type | VIRTIO_NET_HDR_GSO_ECN : type)
    }
    if (skb.ip_summed === CHECKSUM_PARTIAL) {
      hdr.setUint8(0, VIRTIO_NET_HDR_F_NEEDS_CSUM)
      hdr.setUint16(6, skb_checksum_start_offset(skb) + vlan_hlen, true)
      hdr.setUint16(8, skb.csum_offset, true)
    } else if (has_data_valid && skb.ip_summed === CHECKSUM_UNNECESSARY) hdr.setUint8(0, VIRTIO_NET_HDR_F_DATA_VALID)
    return 0
  },
)
