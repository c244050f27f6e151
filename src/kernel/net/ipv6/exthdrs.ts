import { kfunc } from '../../../trace/kfunc.ts'
import {
  SKB_DROP_REASON_IP_INHDR,
  SKB_DROP_REASON_PKT_TOO_SMALL,
  SKB_DROP_REASON_UNHANDLED_PROTO,
} from '../../include/generated/enums.ts'
import { ICMPV6_HDR_FIELD, ICMPV6_UNK_OPTION } from '../../include/linux/icmpv6.ts'
import {
  IPV6_MAXPLEN,
  type in6_addr,
  ipv6_addr_is_multicast,
  NEXTHDR_DEST,
  NEXTHDR_HOP,
  NEXTHDR_NONE,
} from '../../include/linux/in6.ts'
import { get_be32 } from '../../include/linux/ip.ts'
import {
  IP6CB,
  IP6SKB_HOPBYHOP,
  IP6SKB_JUMBOGRAM,
  IP6SKB_ROUTERALERT,
  ipv6_hdr,
  ipv6_txoptions,
  SIZEOF_IPV6HDR,
} from '../../include/linux/ipv6.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import { type sk_buff, skb_network_header_len, skb_transport_offset } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import type { flowi6 } from '../../include/net/flow.ts'
import { IP6_INC_STATS } from '../../include/net/netns_ipv6.ts'
import type { sock } from '../../include/net/sock.ts'
import { kmalloc } from '../../mm/slub.ts'
import { kfree_skb, kfree_skb_reason, pskb_may_pull, pskb_trim_rcsum, skb_push } from '../core/skbuff.ts'
import { sock_kmalloc } from '../core/sock.ts'
import { icmpv6_param_prob_reason } from './icmp.ts'
import { INET6_PROTO_NOPOLICY, inet6_add_protocol } from './protocol.ts'

// Routing headers are neither sent nor followed: IPV6_RTHDR is refused by setsockopt(), as Linux does for those of type 0.

/** with a routing header, the first router is what the route is looked up for; else null */
export const fl6_update_dst = kfunc(
  'fl6_update_dst',
  (fl6: flowi6, opt: ipv6_txoptions | null, orig: in6_addr): in6_addr | null => {
    if (opt === null || opt.srcrt === null) return null
    orig.set(fl6.daddr)
    fl6.daddr.set(opt.srcrt.subarray(8, 24))
    return orig
  },
)

export const ipv6_dup_options = kfunc('ipv6_dup_options', (_sk: sock, opt: ipv6_txoptions): ipv6_txoptions => {
  kmalloc(opt.tot_len, 0)
  const opt2 = new ipv6_txoptions()
  Object.assign(opt2, opt, { refcnt: 1 })
  return opt2
})

export const ipv6_fixup_options = kfunc(
  'ipv6_fixup_options',
  (_opt_space: ipv6_txoptions | null, opt: ipv6_txoptions | null): ipv6_txoptions | null => opt,
)

// ---- headers that come in

const IPV6_TLV_PAD1 = 0
const IPV6_TLV_PADN = 1
const IPV6_TLV_ROUTERALERT = 5
const IPV6_TLV_JUMBO = 0xc2
/** RFC 8504, 5.3: how many options a header may have, and how much padding */
const IP6_DEFAULT_MAX_OPTS = 8
const MAX_PADDING = 7

const extlen_of = (skb: sk_buff): number => ((skb.head.bytes[skb.transport_header + 1] ?? 0) + 1) << 3

/** the two highest bits of an option say what happens when it is not known */
const ip6_tlvopt_unknown = kfunc('ip6_tlvopt_unknown', (skb: sk_buff, optoff: number, disallow_unknowns: boolean): boolean => {
  const action = (skb.head.bytes[skb.network_header + optoff] ?? 0) >> 6
  if (!disallow_unknowns && action === 0) return true
  if (action === 2 || (action === 3 && !ipv6_addr_is_multicast(ipv6_hdr(skb).daddr)))
    icmpv6_param_prob_reason(skb, ICMPV6_UNK_OPTION, optoff, SKB_DROP_REASON_UNHANDLED_PROTO)
  else kfree_skb_reason(skb, SKB_DROP_REASON_UNHANDLED_PROTO)
  return false
})

const ipv6_hop_ra = kfunc('ipv6_hop_ra', (skb: sk_buff, optoff: number): boolean => {
  if (skb.head.bytes[skb.network_header + optoff + 1] === 2) {
    IP6CB(skb).flags |= IP6SKB_ROUTERALERT
    return true
  }
  kfree_skb_reason(skb, SKB_DROP_REASON_IP_INHDR)
  return false
})

/** a payload of more than 65535 bytes: RFC 2675 */
const ipv6_hop_jumbo = kfunc('ipv6_hop_jumbo', (skb: sk_buff, optoff: number): boolean => {
  const at = skb.network_header + optoff
  const pkt_len = get_be32(skb.head.bytes, at + 2)
  if (skb.head.bytes[at + 1] !== 4 || (optoff & 3) !== 2) {
    kfree_skb_reason(skb, SKB_DROP_REASON_IP_INHDR)
    return false
  }
  if (pkt_len <= IPV6_MAXPLEN || ipv6_hdr(skb).payload_len) {
    icmpv6_param_prob_reason(skb, ICMPV6_HDR_FIELD, pkt_len <= IPV6_MAXPLEN ? optoff + 2 : optoff, SKB_DROP_REASON_IP_INHDR)
    return false
  }
  if (pkt_len > skb.len - SIZEOF_IPV6HDR || pskb_trim_rcsum(skb, pkt_len + SIZEOF_IPV6HDR)) {
    kfree_skb_reason(skb, SKB_DROP_REASON_PKT_TOO_SMALL)
    return false
  }
  IP6CB(skb).flags |= IP6SKB_JUMBOGRAM
  return true
})

/** goes through the options of a header; false: the packet was dropped */
const ip6_parse_tlv = kfunc('ip6_parse_tlv', (hopbyhop: boolean, skb: sk_buff, max_count: number): boolean => {
  const b = skb.head.bytes
  const nh = skb.network_header
  let len = extlen_of(skb) - 2
  let off = skb_network_header_len(skb) + 2
  let tlv_count = 0
  let padlen = 0
  const bad = (): false => {
    kfree_skb_reason(skb, SKB_DROP_REASON_IP_INHDR)
    return false
  }
  while (len > 0) {
    const kind = b[nh + off]
    if (kind === IPV6_TLV_PAD1) {
      if (++padlen > MAX_PADDING) return bad()
      off++
      len--
      continue
    }
    const optlen = (b[nh + off + 1] ?? 0) + 2
    if (len < 2 || optlen > len) return bad()
    if (kind === IPV6_TLV_PADN) {
      padlen += optlen
      if (padlen > MAX_PADDING) return bad()
      for (let i = 2; i < optlen; i++) if (b[nh + off + i]) return bad()
    } else {
      if (++tlv_count > max_count) return bad()
      let ok: boolean
      if (hopbyhop && kind === IPV6_TLV_ROUTERALERT) ok = ipv6_hop_ra(skb, off)
      else if (hopbyhop && kind === IPV6_TLV_JUMBO) ok = ipv6_hop_jumbo(skb, off)
      else ok = ip6_tlvopt_unknown(skb, off, false)
      if (!ok) return false
      padlen = 0
    }
    off += optlen
    len -= optlen
  }
  return len === 0 || bad()
})

/** the header's bytes are there */
const whole = (skb: sk_buff): boolean =>
  pskb_may_pull(skb, skb_transport_offset(skb) + 8) && pskb_may_pull(skb, skb_transport_offset(skb) + extlen_of(skb))

/** looks at a hop-by-hop header. 1: the packet goes on; -1: it was dropped */
export const ipv6_parse_hopopts = kfunc('ipv6_parse_hopopts', (skb: sk_buff): number => {
  if (!whole(skb)) {
    kfree_skb(skb)
    return -1
  }
  const extlen = extlen_of(skb)
  IP6CB(skb).flags |= IP6SKB_HOPBYHOP
  if (!ip6_parse_tlv(true, skb, IP6_DEFAULT_MAX_OPTS)) return -1
  skb.transport_header += extlen
  IP6CB(skb).nhoff = SIZEOF_IPV6HDR
  return 1
})

const ipv6_destopt_rcv = kfunc('ipv6_destopt_rcv', (skb: sk_buff): number => {
  const n = (skb.dev as net_device).nd_net
  if (!whole(skb)) {
    IP6_INC_STATS(n, 'InHdrErrors')
    kfree_skb(skb)
    return -1
  }
  const extlen = extlen_of(skb)
  const at = skb_network_header_len(skb)
  if (!ip6_parse_tlv(false, skb, IP6_DEFAULT_MAX_OPTS)) {
    IP6_INC_STATS(n, 'InHdrErrors')
    return -1
  }
  skb.transport_header += extlen
  IP6CB(skb).nhoff = at
  return 1
})

/** a packet that ends here: RFC 8200, 4.7 */
const dst_discard_none = (skb: sk_buff): number => {
  kfree_skb(skb)
  return 0
}

export const ipv6_exthdrs_init = kfunc('ipv6_exthdrs_init', (): number => {
  inet6_add_protocol({ handler: ipv6_destopt_rcv, flags: INET6_PROTO_NOPOLICY }, NEXTHDR_DEST)
  inet6_add_protocol({ handler: dst_discard_none, flags: INET6_PROTO_NOPOLICY }, NEXTHDR_NONE)
  return 0
})

// ---- headers that a socket puts into what it sends

export const IPV6_HOPOPTS = 54
export const IPV6_RTHDRDSTOPTS = 55
export const IPV6_DSTOPTS = 59

/** in front of what is there; @returns the number of the new first header */
const ipv6_push_exthdr = kfunc('ipv6_push_exthdr', (skb: sk_buff, proto: number, type: number, opt: Uint8Array): number => {
  const at = skb_push(skb, opt.length)
  skb.head.bytes.set(opt, at)
  skb.head.bytes[at] = proto
  return type
})

/** headers that every fragment has: what routers look at */
export const ipv6_push_nfrag_opts = kfunc(
  'ipv6_push_nfrag_opts',
  (skb: sk_buff, opt: ipv6_txoptions, proto: { v: number }, _daddr: in6_addr, _saddr: in6_addr): void => {
    if (opt.dst0opt !== null && opt.srcrt !== null) proto.v = ipv6_push_exthdr(skb, proto.v, NEXTHDR_DEST, opt.dst0opt)
    if (opt.hopopt !== null) proto.v = ipv6_push_exthdr(skb, proto.v, NEXTHDR_HOP, opt.hopopt)
  },
)
/** headers that are fragmented with the rest */
export const ipv6_push_frag_opts = kfunc(
  'ipv6_push_frag_opts',
  (skb: sk_buff, opt: ipv6_txoptions, proto: { v: number }): void => {
    if (opt.dst1opt !== null) proto.v = ipv6_push_exthdr(skb, proto.v, NEXTHDR_DEST, opt.dst1opt)
  },
)

/** the options with one of them exchanged, or taken out; null when none is left */
export const ipv6_renew_options = kfunc(
  'ipv6_renew_options',
  (sk: sock, opt: ipv6_txoptions | null, newtype: number, newopt: Uint8Array | null): ipv6_txoptions | null => {
    const next = (type: number, old: Uint8Array | null | undefined): Uint8Array | null =>
      newtype === type ? newopt : (old ?? null)
    const opt2 = new ipv6_txoptions()
    opt2.hopopt = next(IPV6_HOPOPTS, opt?.hopopt)
    opt2.dst0opt = next(IPV6_RTHDRDSTOPTS, opt?.dst0opt)
    opt2.srcrt = opt?.srcrt ?? null
    opt2.dst1opt = next(IPV6_DSTOPTS, opt?.dst1opt)
    opt2.opt_nflen = (opt2.hopopt?.length ?? 0) + (opt2.dst0opt?.length ?? 0) + (opt2.srcrt?.length ?? 0)
    opt2.opt_flen = opt2.dst1opt?.length ?? 0
    if (opt2.opt_nflen + opt2.opt_flen === 0) return null
    opt2.tot_len = SIZEOF_TXOPTIONS + opt2.opt_nflen + opt2.opt_flen
    sock_kmalloc(sk, opt2.tot_len, GFP_ATOMIC)
    return opt2
  },
)
const SIZEOF_TXOPTIONS = 64
