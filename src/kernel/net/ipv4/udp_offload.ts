import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { traceIndirect, tracer } from '../../../trace/tracer.ts'
import * as C from '../../include/generated/enums.ts'
import { EINVAL } from '../../include/linux/errno.ts'
import { ip_hdr, iphdr } from '../../include/linux/ip.ts'
import { ipv6_hdr } from '../../include/linux/ipv6.ts'
import {
  CHECKSUM_NONE,
  CHECKSUM_PARTIAL,
  CHECKSUM_UNNECESSARY,
  SKBTX_ANY_TSTAMP,
  type sk_buff,
  skb_is_gso,
  skb_mac_header_len,
  skb_reset_mac_header,
  skb_set_network_header,
  skb_set_transport_header,
} from '../../include/linux/skbuff.ts'
import { DIV_ROUND_UP, IS_ERR } from '../../include/linux/types.ts'
import { SIZEOF_UDPHDR, UDP_FLAGS_GRO_ENABLED, udp_hdr, udp_sk, udp_test_bit, udphdr } from '../../include/linux/udp.ts'
import { NAPI_GRO_CB, skb_gro_len, skb_gro_offset, skb_gro_pull, skb_gro_receive_network_offset } from '../../include/net/gro.ts'
import type { sock } from '../../include/net/sock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import {
  CSUM_MANGLED_0,
  csum_add,
  csum_fold,
  csum_ipv6_magic,
  csum_replace4,
  csum_sub,
  csum_tcpudp_magic,
  csum16_add,
  csum16_sub,
} from '../../lib/checksum.ts'
import { skb_gso_ok } from '../core/dev.ts'
import {
  call_gro_receive,
  call_gro_receive_sk,
  type gro_header,
  gro_receive_network_flush,
  inet_get_iif_sdif,
  inet_gro_compute_pseudo,
  skb_gro_checksum_try_convert,
  skb_gro_checksum_validate_zero_check,
  skb_gro_flush_final,
  skb_gro_header,
  skb_gro_network_header,
  skb_gro_postpull_rcsum,
  skb_gro_receive,
  skb_gro_receive_list,
} from '../core/gro.ts'
import { gso_make_checksum, gso_reset_checksum, skb_gso_error_unwind, skb_mac_gso_segment } from '../core/gso.ts'
import {
  __skb_incr_checksum_unnecessary,
  __skb_linearize,
  __skb_pull,
  __skb_push,
  pskb_may_pull,
  SKB_GSO_CB,
  skb_checksum,
  skb_pagelen,
  skb_pull,
  skb_reset_inner_headers,
  skb_segment,
  skb_segment_list,
  skb_tnl_header_len,
} from '../core/skbuff.ts'
import { sock_wfree } from '../core/sock.ts'
import { inet_proto_csum_replace2, inet_proto_csum_replace4 } from '../core/utils.ts'
import { inet_add_offload } from './protocol.ts'
import { __udp4_lib_lookup, udp_encap_needed, type udp_table_t, udp4_lib_lookup_skb } from './udp.ts'

/** where the checksum lies in a UDP header */
const UDP_CHECK_OFFSET = 6

type gso_segment = (skb: sk_buff, features: bigint) => sk_buff | number | null

/** cuts the packet inside a tunnel, and gives each segment the outer headers with its own length and checksum */
const __skb_udp_tunnel_segment = kfunc(
  '__skb_udp_tunnel_segment',
  (
    outer: sk_buff,
    feat: bigint,
    gso_inner_segment: gso_segment,
    new_protocol: number,
    is_ipv6: boolean,
  ): sk_buff | number | null => {
    const tnl_hlen = outer.inner_mac_header - outer.transport_header
    const { mac_header: mac_offset, protocol, mac_len, dev } = outer
    if (!pskb_may_pull(outer, tnl_hlen)) return -EINVAL
    const first = udp_hdr(outer)
    const { gso_type } = outer.head.shinfo
    // what the header says of the length may be more than 16 bits hold: the sum is made without it
    const partial = csum_sub(first.check, gso_type & C.SKB_GSO_PARTIAL ? first.len : outer.len)

    outer.encapsulation = 0
    SKB_GSO_CB(outer).encap_level = 0
    __skb_pull(outer, tnl_hlen)
    skb_reset_mac_header(outer)
    outer.network_header = outer.inner_network_header
    outer.transport_header = outer.inner_transport_header
    outer.mac_len = outer.inner_network_header - outer.data
    outer.protocol = new_protocol

    const need_csum = (gso_type & C.SKB_GSO_UDP_TUNNEL_CSUM) !== 0
    outer.encap_hdr_csum = need_csum ? 1 : 0
    const own = is_ipv6 ? C.NETIF_F_IPV6_CSUM : C.NETIF_F_IP_CSUM
    const offload_csum = need_csum && dev !== null && (dev.features & BigInt(C.NETIF_F_HW_CSUM | own)) !== 0n
    const features = dev === null ? feat : feat & dev.hw_enc_features

    if (tracer.on) traceIndirect('gso_inner_segment', nameOf(gso_inner_segment))
    const segs = gso_inner_segment(outer, features)
    if (segs === null || IS_ERR(segs)) {
      skb_gso_error_unwind(outer, protocol, tnl_hlen, mac_offset, mac_len)
      return segs
    }
    const gso_partial = (segs.head.shinfo.gso_type & C.SKB_GSO_PARTIAL) !== 0
    const outer_hlen = skb_tnl_header_len(outer)
    const udp_offset = outer_hlen - tnl_hlen
    for (let skb: sk_buff | null = segs; skb !== null; skb = skb.next) {
      if (skb.ip_summed === CHECKSUM_PARTIAL) {
        skb_reset_inner_headers(skb)
        skb.encapsulation = 1
      }
      skb.mac_len = mac_len
      skb.protocol = protocol
      __skb_push(skb, outer_hlen)
      skb_reset_mac_header(skb)
      skb_set_network_header(skb, mac_len)
      skb_set_transport_header(skb, udp_offset)
      const len = skb.len - udp_offset
      const uh = udp_hdr(skb)
      uh.len = gso_partial && skb_is_gso(skb) ? skb.head.shinfo.gso_size + SKB_GSO_CB(skb).mac_offset - uh.at : len
      if (!need_csum) continue
      uh.check = ~csum_fold(csum_add(partial, len)) & 0xffff
      if (skb.encapsulation || !offload_csum) uh.check = gso_make_checksum(skb, ~uh.check >>> 0) || CSUM_MANGLED_0
      else {
        skb.ip_summed = CHECKSUM_PARTIAL
        skb.csum_start = skb.transport_header
        skb.csum_offset = UDP_CHECK_OFFSET
      }
    }
    return segs
  },
)

/** a packet in a UDP tunnel; what is inside is Ethernet */
export const skb_udp_tunnel_segment = kfunc(
  'skb_udp_tunnel_segment',
  (skb: sk_buff, features: bigint, is_ipv6: boolean): sk_buff | number | null => {
    rcu_read_lock()
    const segs = __skb_udp_tunnel_segment(skb, features, skb_mac_gso_segment, skb.inner_protocol, is_ipv6)
    rcu_read_unlock()
    return segs
  },
)

const __udpv4_gso_segment_csum = kfunc(
  '__udpv4_gso_segment_csum',
  (seg: sk_buff, oldip: 'saddr' | 'daddr', newip: number, oldport: 'source' | 'dest', newport: number): void => {
    const uh = udp_hdr(seg)
    const iph = ip_hdr(seg)
    if (iph[oldip] === newip && uh[oldport] === newport) return
    if (uh.check) {
      uh.check = inet_proto_csum_replace4(uh.check, seg, iph[oldip], newip, true)
      uh.check = inet_proto_csum_replace2(uh.check, seg, uh[oldport], newport, false)
      if (!uh.check) uh.check = CSUM_MANGLED_0
    }
    uh[oldport] = newport
    iph.check = csum_replace4(iph.check, iph[oldip], newip)
    iph[oldip] = newip
  },
)

const __udpv4_gso_segment_list_csum = kfunc('__udpv4_gso_segment_list_csum', (segs: sk_buff): sk_buff => {
  const uh = udp_hdr(segs)
  const iph = ip_hdr(segs)
  if (segs.next !== null) {
    const uh2 = udp_hdr(segs.next)
    const iph2 = ip_hdr(segs.next)
    if (uh.dest === uh2.dest && uh.source === uh2.source && iph.daddr === iph2.daddr && iph.saddr === iph2.saddr) return segs
  }
  for (let seg = segs.next; seg !== null; seg = seg.next) {
    __udpv4_gso_segment_csum(seg, 'saddr', iph.saddr, 'source', uh.source)
    __udpv4_gso_segment_csum(seg, 'daddr', iph.daddr, 'dest', uh.dest)
  }
  return segs
})

/** IPv6 addresses and ports are not translated here: all segments still have those of the first, and sums that are good */
const __udpv6_gso_segment_list_csum = kfunc('__udpv6_gso_segment_list_csum', (segs: sk_buff): sk_buff => segs)

const __udp_gso_segment_list = kfunc(
  '__udp_gso_segment_list',
  (skb: sk_buff, features: bigint, is_ipv6: boolean): sk_buff | number => {
    const mss = skb.head.shinfo.gso_size
    const segs = skb_segment_list(skb, features, skb_mac_header_len(skb))
    if (IS_ERR(segs)) return segs
    udp_hdr(segs).len = SIZEOF_UDPHDR + mss
    return is_ipv6 ? __udpv6_gso_segment_list_csum(segs) : __udpv4_gso_segment_list_csum(segs)
  },
)

/** include/net/udp.h: a UDP packet's checksum, `base` being the sum of what it covers */
const udp_v4_check = kfunc('udp_v4_check', (len: number, saddr: number, daddr: number, base: number): number =>
  csum_tcpudp_magic(saddr, daddr, len, C.IPPROTO_UDP, base),
)

/** cuts what UDP_SEGMENT or GRO left whole into datagrams of gso_size; null when the device does that */
export const __udp_gso_segment = kfunc(
  '__udp_gso_segment',
  (gso_skb: sk_buff, feat: bigint, is_ipv6: boolean): sk_buff | number | null => {
    const { sk } = gso_skb
    const { shinfo } = gso_skb.head
    let features = feat
    let mss = shinfo.gso_size
    if (gso_skb.len <= SIZEOF_UDPHDR + mss) return -EINVAL
    if (gso_skb.csum_start !== gso_skb.transport_header && !(shinfo.gso_type & C.SKB_GSO_FRAGLIST)) return -EINVAL
    // without a checksum to complete, the device would not know what it has before it
    if (gso_skb.ip_summed !== CHECKSUM_PARTIAL) features &= ~BigInt(C.NETIF_F_GSO_UDP_L4 + C.NETIF_F_CSUM_MASK)
    if (skb_gso_ok(gso_skb, features | BigInt(C.NETIF_F_GSO_ROBUST))) {
      shinfo.gso_segs = DIV_ROUND_UP(gso_skb.len - SIZEOF_UDPHDR, mss)
      return null
    }

    if (shinfo.gso_type & C.SKB_GSO_FRAGLIST) {
      if (skb_pagelen(gso_skb) - SIZEOF_UDPHDR === shinfo.gso_size && !(shinfo.gso_type & C.SKB_GSO_DODGY))
        return __udp_gso_segment_list(gso_skb, features, is_ipv6)
      const ret = __skb_linearize(gso_skb)
      if (ret) return ret
      gso_skb.csum_start = gso_skb.transport_header
      gso_skb.csum_offset = UDP_CHECK_OFFSET
      gso_skb.ip_summed = CHECKSUM_PARTIAL
      const iph = ip_hdr(gso_skb)
      const ip6h = ipv6_hdr(gso_skb)
      udp_hdr(gso_skb).check =
        ~(is_ipv6
          ? csum_ipv6_magic(ip6h.saddr, ip6h.daddr, gso_skb.len, C.IPPROTO_UDP, 0)
          : udp_v4_check(gso_skb.len, iph.saddr, iph.daddr, 0)) & 0xffff
    }

    skb_pull(gso_skb, SIZEOF_UDPHDR)
    // each segment is charged to the socket below, the last not twice
    const copy_dtor = gso_skb.destructor === sock_wfree
    if (copy_dtor) {
      gso_skb.destructor = null
      gso_skb.sk = null
    }
    const segs = skb_segment(gso_skb, features)
    if (IS_ERR(segs)) {
      if (copy_dtor) {
        gso_skb.destructor = sock_wfree
        gso_skb.sk = sk
      }
      return segs
    }
    if (skb_is_gso(segs)) mss *= segs.head.shinfo.gso_segs

    let seg = segs
    let uh = udp_hdr(seg)
    seg.head.shinfo.tskey = gso_skb.head.shinfo.tskey
    seg.head.shinfo.tx_flags |= gso_skb.head.shinfo.tx_flags & SKBTX_ANY_TSTAMP
    let newlen = SIZEOF_UDPHDR + mss
    let check = csum16_add(csum16_sub(uh.check, uh.len), newlen)
    let sum_truesize = 0
    for (;;) {
      if (copy_dtor) {
        seg.destructor = sock_wfree
        seg.sk = sk
        sum_truesize += seg.truesize
      }
      if (seg.next === null) break
      uh.len = newlen
      uh.check = check
      if (seg.ip_summed === CHECKSUM_PARTIAL) gso_reset_checksum(seg, ~check >>> 0)
      else uh.check = gso_make_checksum(seg, ~check >>> 0) || CSUM_MANGLED_0
      seg = seg.next
      uh = udp_hdr(seg)
    }

    newlen = seg.tail - seg.transport_header + seg.data_len
    check = csum16_add(csum16_sub(uh.check, uh.len), newlen)
    uh.len = newlen
    uh.check = check
    if (seg.ip_summed === CHECKSUM_PARTIAL) gso_reset_checksum(seg, ~check >>> 0)
    else uh.check = gso_make_checksum(seg, ~check >>> 0) || CSUM_MANGLED_0

    // the checksums are good now: __skb_gso_segment() asks the packet that was cut
    if (gso_skb.ip_summed === CHECKSUM_NONE) gso_skb.ip_summed = CHECKSUM_UNNECESSARY
    if (copy_dtor && sk !== null) sk.sk_wmem_alloc += sum_truesize - gso_skb.truesize
    return segs
  },
)

const udp4_ufo_fragment = kfunc('udp4_ufo_fragment', (skb: sk_buff, feat: bigint): sk_buff | number | null => {
  const { gso_type, gso_size } = skb.head.shinfo
  let features = feat
  if (skb.encapsulation && gso_type & (C.SKB_GSO_UDP_TUNNEL | C.SKB_GSO_UDP_TUNNEL_CSUM))
    return skb_udp_tunnel_segment(skb, features, false)
  if (!(gso_type & (C.SKB_GSO_UDP | C.SKB_GSO_UDP_L4))) return -EINVAL
  if (!pskb_may_pull(skb, SIZEOF_UDPHDR)) return -EINVAL
  if (gso_type & C.SKB_GSO_UDP_L4) return __udp_gso_segment(skb, features, false)
  if (skb.len <= gso_size) return -EINVAL

  // fragments of one datagram: its checksum covers all of them, so it is made before
  const uh = udp_hdr(skb)
  const iph = ip_hdr(skb)
  uh.check = 0
  const csum = skb_checksum(skb, 0, skb.len, 0)
  uh.check = udp_v4_check(skb.len, iph.saddr, iph.daddr, csum) || CSUM_MANGLED_0
  skb.ip_summed = CHECKSUM_UNNECESSARY
  if (!skb.encap_hdr_csum) features |= BigInt(C.NETIF_F_HW_CSUM)
  return skb_segment(skb, features)
})

const UDP_GRO_CNT_MAX = 64
const ports_differ = (uh: udphdr, uh2: udphdr): boolean => uh.source !== uh2.source || uh.dest !== uh2.dest
const header = (uh: udphdr): gro_header => ({ bytes: uh.bytes, at: uh.at })

export const udp_gro_udphdr = kfunc('udp_gro_udphdr', (skb: sk_buff): udphdr | null => {
  const off = skb_gro_offset(skb)
  const h = skb_gro_header(skb, off + SIZEOF_UDPHDR, off)
  return h === null ? null : new udphdr(h.bytes, h.at)
})

/** joins a datagram to the held ones of the same ports and length; a shorter one is the last */
const udp_gro_receive_segment = kfunc('udp_gro_receive_segment', (head: sk_buff[], skb: sk_buff): sk_buff | null => {
  const cb = NAPI_GRO_CB(skb)
  const uh = udp_gro_udphdr(skb)
  if (uh === null || !uh.check) {
    cb.flush = 1
    return null
  }
  const ulen = uh.len
  if (ulen <= SIZEOF_UDPHDR || ulen !== skb_gro_len(skb)) {
    cb.flush = 1
    return null
  }
  skb_gro_pull(skb, SIZEOF_UDPHDR)
  for (const p of head) {
    const pcb = NAPI_GRO_CB(p)
    if (!pcb.same_flow) continue
    const uh2 = udp_hdr(p)
    if (ports_differ(uh, uh2)) {
      pcb.same_flow = 0
      continue
    }
    if (cb.is_flist !== pcb.is_flist) {
      cb.flush = 1
      return p
    }
    const flush = gro_receive_network_flush(header(uh), header(uh2), p)
    let ret = 0
    if (ulen > uh2.len || flush) return p
    if (cb.is_flist) {
      if (!pskb_may_pull(skb, skb_gro_offset(skb)) || skb.ip_summed !== p.ip_summed || skb.csum_level !== p.csum_level) {
        cb.flush = 1
        return null
      }
      skb.network_header = skb.data + skb_gro_receive_network_offset(skb)
      ret = skb_gro_receive_list(p, skb)
    } else {
      skb_gro_postpull_rcsum(skb, header(uh), SIZEOF_UDPHDR)
      ret = skb_gro_receive(p, skb)
    }
    return ret || ulen !== uh2.len || pcb.count >= UDP_GRO_CNT_MAX ? p : null
  }
  return null
})

/** datagrams are joined only where somebody asked for it: a socket (UDP_GRO), or who set the device up to forward */
export const udp_gro_receive = kfunc(
  'udp_gro_receive',
  (head: sk_buff[], skb: sk_buff, uh: udphdr, sk: sock | null): sk_buff | null => {
    const cb = NAPI_GRO_CB(skb)
    const features = skb.dev?.features ?? 0n
    const tunnel = sk === null ? null : udp_sk(sk).gro_receive
    cb.is_flist = 0
    if (sk !== null && tunnel !== null) {
      // a sum that nobody has made yet cannot be made for the outer packet alone
      const unsummed = uh.check && skb.ip_summed !== CHECKSUM_PARTIAL && cb.csum_cnt === 0 && !cb.csum_valid
      if (!cb.encap_mark && !unsummed) {
        const off = skb_gro_offset(skb)
        cb.encap_mark = 1
        for (const p of head) {
          const pcb = NAPI_GRO_CB(p)
          const uh2 = new udphdr(p.head.bytes, p.data + off)
          if (pcb.same_flow && (ports_differ(uh, uh2) || !uh.check !== !uh2.check)) pcb.same_flow = 0
        }
        skb_gro_pull(skb, SIZEOF_UDPHDR)
        skb_gro_postpull_rcsum(skb, header(uh), SIZEOF_UDPHDR)
        const pp = call_gro_receive_sk(tunnel, sk, head, skb)
        skb_gro_flush_final(skb, pp, 0)
        return pp
      }
    } else if (!skb.encapsulation) {
      const enabled = sk !== null && udp_test_bit(UDP_FLAGS_GRO_ENABLED, sk)
      if (features & C.NETIF_F_GRO_FRAGLIST) cb.is_flist = enabled ? 0 : 1
      if ((sk === null && features & C.NETIF_F_GRO_UDP_FWD) || enabled || cb.is_flist)
        return call_gro_receive(udp_gro_receive_segment, head, skb)
    }
    skb_gro_flush_final(skb, null, 1)
    return null
  },
)

const udp4_gro_lookup_skb = kfunc('udp4_gro_lookup_skb', (skb: sk_buff, sport: number, dport: number): sock | null => {
  const { dev } = skb
  if (dev === null) return null
  const { bytes, at } = skb_gro_network_header(skb)
  const iph = new iphdr(bytes, at)
  const net = dev.nd_net
  const { iif, sdif } = inet_get_iif_sdif(skb)
  return __udp4_lib_lookup(net, iph.saddr, sport, iph.daddr, dport, iif, sdif, net.ipv4.udp_table as udp_table_t, null)
})

const udp4_gro_receive = kfunc('udp4_gro_receive', (head: sk_buff[], skb: sk_buff): sk_buff | null => {
  const cb = NAPI_GRO_CB(skb)
  const uh = udp_gro_udphdr(skb)
  if (uh === null) {
    cb.flush = 1
    return null
  }
  if (!cb.flush) {
    if (skb_gro_checksum_validate_zero_check(skb, C.IPPROTO_UDP, uh.check, inet_gro_compute_pseudo)) {
      cb.flush = 1
      return null
    }
    if (uh.check) skb_gro_checksum_try_convert(skb, C.IPPROTO_UDP, inet_gro_compute_pseudo)
  }
  cb.is_ipv6 = 0
  const sk = udp_encap_needed() ? udp4_gro_lookup_skb(skb, uh.source, uh.dest) : null
  return udp_gro_receive(head, skb, uh, sk)
})

const udp_gro_complete_segment = kfunc('udp_gro_complete_segment', (skb: sk_buff): number => {
  skb.csum_start = skb.transport_header
  skb.csum_offset = UDP_CHECK_OFFSET
  skb.ip_summed = CHECKSUM_PARTIAL
  skb.head.shinfo.gso_segs = NAPI_GRO_CB(skb).count
  skb.head.shinfo.gso_type |= C.SKB_GSO_UDP_L4
  if (skb.encapsulation) skb.inner_transport_header = skb.transport_header
  return 0
})

type udp_lookup_t = (skb: sk_buff, sport: number, dport: number) => sock | null
export const udp_gro_complete = kfunc('udp_gro_complete', (skb: sk_buff, nhoff: number, lookup: udp_lookup_t): number => {
  const uh = new udphdr(skb.head.bytes, skb.data + nhoff)
  uh.len = skb.len - nhoff
  const sk = lookup(skb, uh.source, uh.dest)
  const tunnel = sk === null ? null : udp_sk(sk).gro_complete
  if (sk === null || tunnel === null) return udp_gro_complete_segment(skb)
  skb.head.shinfo.gso_type = uh.check ? C.SKB_GSO_UDP_TUNNEL_CSUM : C.SKB_GSO_UDP_TUNNEL
  NAPI_GRO_CB(skb).encap_mark = 0
  skb.encapsulation = 1
  if (tracer.on) traceIndirect('udp_sk(sk)->gro_complete', nameOf(tunnel))
  return tunnel(sk, skb, nhoff + SIZEOF_UDPHDR)
})

const udp4_gro_complete = kfunc('udp4_gro_complete', (skb: sk_buff, nhoff: number): number => {
  const cb = NAPI_GRO_CB(skb)
  const uh = new udphdr(skb.head.bytes, skb.data + nhoff)
  if (cb.is_flist && !cb.encap_mark) {
    uh.len = skb.len - nhoff
    skb.head.shinfo.gso_type |= C.SKB_GSO_FRAGLIST | C.SKB_GSO_UDP_L4
    skb.head.shinfo.gso_segs = cb.count
    __skb_incr_checksum_unnecessary(skb)
    return 0
  }
  if (uh.check) {
    const iph = new iphdr(skb.head.bytes, skb.data + cb.network_offsets[skb.encapsulation ? 1 : 0])
    uh.check = ~udp_v4_check(skb.len - nhoff, iph.saddr, iph.daddr, 0) & 0xffff
  }
  return udp_gro_complete(skb, nhoff, udp4_lib_lookup_skb)
})

export const udpv4_offload_init = kfunc('udpv4_offload_init', (): number =>
  inet_add_offload(
    { callbacks: { gso_segment: udp4_ufo_fragment, gro_receive: udp4_gro_receive, gro_complete: udp4_gro_complete } },
    C.IPPROTO_UDP,
  ),
)
