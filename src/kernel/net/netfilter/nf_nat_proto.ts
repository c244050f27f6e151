import { kfunc } from '../../../trace/kfunc.ts'
import {
  IPPROTO_ICMP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  NF_INET_LOCAL_IN,
  NF_INET_LOCAL_OUT,
  NF_INET_POST_ROUTING,
  NF_INET_PRE_ROUTING,
  NFPROTO_INET,
  NFPROTO_IPV4,
} from '../../include/generated/enums.ts'
import { EHOSTUNREACH, EINVAL, ENOMEM } from '../../include/linux/errno.ts'
import { icmphdr } from '../../include/linux/icmp.ts'
import { ip_hdr, ip_hdrlen, iphdr } from '../../include/linux/ip.ts'
import {
  NF_ACCEPT,
  NF_DROP,
  NF_VERDICT_QBITS,
  type nf_hook_ops,
  type nf_hook_state,
  type nf_hookfn,
} from '../../include/linux/netfilter.ts'
import { CHECKSUM_PARTIAL, type sk_buff, skb_dst, skb_headroom } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import { AF_INET } from '../../include/linux/socket.ts'
import { tcphdr } from '../../include/linux/tcp.ts'
import { IS_ERR } from '../../include/linux/types.ts'
import { udphdr } from '../../include/linux/udp.ts'
import { flowi4 } from '../../include/net/flow.ts'
import type { net } from '../../include/net/net_namespace.ts'
import {
  CTINFO2DIR,
  IP_CT_DIR_ORIGINAL,
  IP_CT_DIR_REPLY,
  IP_CT_RELATED,
  IP_CT_RELATED_REPLY,
  IPS_DST_NAT,
  IPS_NAT_MASK,
  IPS_SRC_NAT,
  type nf_conn,
  nf_conntrack_tuple,
  nf_ct_get,
  nf_ct_info,
  nf_ct_protonum,
} from '../../include/net/netfilter/nf_conntrack.ts'
import { CSUM_MANGLED_0, csum_fold, csum_replace4 } from '../../lib/checksum.ts'
import { dst_hold_safe, skb_dst_drop, skb_dst_set } from '../core/dst.ts'
import { pskb_expand_head, skb_checksum, skb_ensure_writable, skb_orphan } from '../core/skbuff.ts'
import { sock_net } from '../core/sock.ts'
import { inet_proto_csum_replace2, inet_proto_csum_replace4 } from '../core/utils.ts'
import { ip_route_me_harder } from '../ipv4/netfilter.ts'
import { inet_sk_transparent } from '../ipv4/tcp_inlines.ts'
import { xfrm_decode_session, xfrm_lookup } from '../xfrm/xfrm_policy.ts'
import { nf_ct_invert_tuple } from './nf_conntrack_core.ts'
import { HOOK2MANIP, NF_NAT_MANIP_SRC, nf_nat_inet_fn, nf_nat_register_fn, nf_nat_unregister_fn } from './nf_nat_core.ts'
import { nf_ip_checksum } from './utils.ts'

const NF_IP_PRI_NAT_DST = -100
const NF_IP_PRI_NAT_SRC = 100
const RTN_UNSPEC = 0

/** the checksum of a transport header, after the address that it covers changes */
const nf_csum_update = kfunc(
  'nf_csum_update',
  (skb: sk_buff, iphdroff: number, check: number, t: nf_conntrack_tuple, maniptype: number): number => {
    const iph = new iphdr(skb.head.bytes, skb.data + iphdroff)
    const src = maniptype === NF_NAT_MANIP_SRC
    return inet_proto_csum_replace4(check, skb, src ? iph.saddr : iph.daddr, (src ? t.src[0] : t.dst[0]) as number, true)
  },
)

const udp_manip_pkt = kfunc(
  'udp_manip_pkt',
  (skb: sk_buff, iphdroff: number, hdroff: number, tuple: nf_conntrack_tuple, maniptype: number): boolean => {
    if (skb_ensure_writable(skb, hdroff + 8)) return false
    const hdr = new udphdr(skb.head.bytes, skb.data + hdroff)
    const src = maniptype === NF_NAT_MANIP_SRC
    const newport = src ? tuple.src_u : tuple.dst_u
    if (hdr.check) {
      hdr.check = nf_csum_update(skb, iphdroff, hdr.check, tuple, maniptype)
      hdr.check = inet_proto_csum_replace2(hdr.check, skb, src ? hdr.source : hdr.dest, newport, false) || CSUM_MANGLED_0
    }
    if (src) hdr.source = newport
    else hdr.dest = newport
    return true
  },
)

const tcp_manip_pkt = kfunc(
  'tcp_manip_pkt',
  (skb: sk_buff, iphdroff: number, hdroff: number, tuple: nf_conntrack_tuple, maniptype: number): boolean => {
    // a header that an ICMP error quotes may have 8 bytes only
    const hdrsize = skb.len >= hdroff + 20 ? 20 : 8
    if (skb_ensure_writable(skb, hdroff + hdrsize)) return false
    const hdr = new tcphdr(skb.head.bytes, skb.data + hdroff)
    const src = maniptype === NF_NAT_MANIP_SRC
    const newport = src ? tuple.src_u : tuple.dst_u
    const oldport = src ? hdr.source : hdr.dest
    if (src) hdr.source = newport
    else hdr.dest = newport
    if (hdrsize < 20) return true
    hdr.check = nf_csum_update(skb, iphdroff, hdr.check, tuple, maniptype)
    hdr.check = inet_proto_csum_replace2(hdr.check, skb, oldport, newport, false)
    return true
  },
)

const echoes = new Set([8, 0, 13, 14, 15, 16, 17, 18])
const icmp_manip_pkt = kfunc(
  'icmp_manip_pkt',
  (skb: sk_buff, _iphdroff: number, hdroff: number, tuple: nf_conntrack_tuple, _maniptype: number): boolean => {
    if (skb_ensure_writable(skb, hdroff + 8)) return false
    const hdr = new icmphdr(skb.head.bytes, skb.data + hdroff)
    if (!echoes.has(hdr.type)) return true
    hdr.checksum = inet_proto_csum_replace2(hdr.checksum, skb, hdr.id, tuple.src_u, false)
    hdr.id = tuple.src_u
    return true
  },
)

const l4proto_manip_pkt = kfunc(
  'l4proto_manip_pkt',
  (skb: sk_buff, iphdroff: number, hdroff: number, tuple: nf_conntrack_tuple, maniptype: number): boolean => {
    switch (tuple.protonum) {
      case IPPROTO_TCP:
        return tcp_manip_pkt(skb, iphdroff, hdroff, tuple, maniptype)
      case IPPROTO_UDP:
        return udp_manip_pkt(skb, iphdroff, hdroff, tuple, maniptype)
      case IPPROTO_ICMP:
        return icmp_manip_pkt(skb, iphdroff, hdroff, tuple, maniptype)
    }
    return true
  },
)

const nf_nat_ipv4_manip_pkt = kfunc(
  'nf_nat_ipv4_manip_pkt',
  (skb: sk_buff, iphdroff: number, target: nf_conntrack_tuple, maniptype: number): boolean => {
    if (skb_ensure_writable(skb, iphdroff + 20)) return false
    const hdroff = iphdroff + new iphdr(skb.head.bytes, skb.data + iphdroff).ihl * 4
    if (!l4proto_manip_pkt(skb, iphdroff, hdroff, target, maniptype)) return false
    const iph = new iphdr(skb.head.bytes, skb.data + iphdroff)
    if (maniptype === NF_NAT_MANIP_SRC) {
      const to = target.src[0] as number
      iph.check = csum_replace4(iph.check, iph.saddr, to)
      iph.saddr = to
    } else {
      const to = target.dst[0] as number
      iph.check = csum_replace4(iph.check, iph.daddr, to)
      iph.daddr = to
    }
    return true
  },
)

/** makes the packet look like the inverse of the other direction */
export const nf_nat_manip_pkt = kfunc('nf_nat_manip_pkt', (skb: sk_buff, ct: nf_conn, mtype: number, dir: number): number => {
  const target = new nf_conntrack_tuple()
  nf_ct_invert_tuple(target, ct.tuplehash[dir === 0 ? 1 : 0].tuple)
  return target.l3num === NFPROTO_IPV4 && nf_nat_ipv4_manip_pkt(skb, 0, target, mtype) ? NF_ACCEPT : NF_DROP
})

/** an ICMP error speaks of a packet as it was before NAT, or after: so does what it quotes */
const nf_nat_icmp_reply_translation = kfunc(
  'nf_nat_icmp_reply_translation',
  (skb: sk_buff, ct: nf_conn, ctinfo: number, hooknum: number): number => {
    const dir = CTINFO2DIR(ctinfo)
    const manip = HOOK2MANIP(hooknum)
    const hdrlen = ip_hdrlen(skb)
    if (skb_ensure_writable(skb, hdrlen + 28) || nf_ip_checksum(skb, hooknum, hdrlen, IPPROTO_ICMP)) return 0
    let statusbit = manip === NF_NAT_MANIP_SRC ? IPS_SRC_NAT : IPS_DST_NAT
    if (dir === IP_CT_DIR_REPLY) statusbit ^= IPS_NAT_MASK
    if (!(ct.status & statusbit)) return 1
    const other = ct.tuplehash[dir === IP_CT_DIR_ORIGINAL ? 1 : 0].tuple
    if (!nf_nat_ipv4_manip_pkt(skb, hdrlen + 8, other, 1 - manip)) return 0
    if (skb.ip_summed !== CHECKSUM_PARTIAL) {
      const icmp = new icmphdr(skb.head.bytes, skb.data + hdrlen)
      icmp.checksum = 0
      icmp.checksum = csum_fold(skb_checksum(skb, hdrlen, skb.len - hdrlen, 0))
    }
    const target = new nf_conntrack_tuple()
    nf_ct_invert_tuple(target, other)
    target.protonum = IPPROTO_ICMP
    return nf_nat_ipv4_manip_pkt(skb, 0, target, manip) ? 1 : 0
  },
)

const nf_nat_ipv4_fn = kfunc('nf_nat_ipv4_fn', (priv: unknown, skb: sk_buff, state: nf_hook_state): number => {
  const ct = nf_ct_get(skb)
  if (ct === null) return NF_ACCEPT
  const ctinfo = nf_ct_info(skb)
  if ((ctinfo === IP_CT_RELATED || ctinfo === IP_CT_RELATED_REPLY) && ip_hdr(skb).protocol === IPPROTO_ICMP)
    return nf_nat_icmp_reply_translation(skb, ct, ctinfo, state.hook) ? NF_ACCEPT : NF_DROP
  return nf_nat_inet_fn(priv, skb, state)
})

const nf_nat_ipv4_pre_routing = kfunc('nf_nat_ipv4_pre_routing', (priv: unknown, skb: sk_buff, state: nf_hook_state): number => {
  const { daddr } = ip_hdr(skb)
  const ret = nf_nat_ipv4_fn(priv, skb, state)
  if (ret === NF_ACCEPT && daddr !== ip_hdr(skb).daddr) skb_dst_drop(skb)
  return ret
})

const nf_nat_inet_port_was_mangled = (skb: sk_buff, sport: number): boolean => {
  const ct = nf_ct_get(skb)
  if (ct === null || CTINFO2DIR(nf_ct_info(skb)) !== IP_CT_DIR_ORIGINAL) return false
  const proto = nf_ct_protonum(ct)
  return (proto === IPPROTO_TCP || proto === IPPROTO_UDP) && ct.tuplehash[1].tuple.dst_u !== sport
}
const nf_nat_ipv4_local_in = kfunc('nf_nat_ipv4_local_in', (priv: unknown, skb: sk_buff, state: nf_hook_state): number => {
  const { saddr } = ip_hdr(skb)
  const { sk } = skb
  const ret = nf_nat_ipv4_fn(priv, skb, state)
  if (ret !== NF_ACCEPT || sk === null || inet_sk_transparent(sk)) return ret
  // early demux looked for the source as it was before
  if (saddr !== ip_hdr(skb).saddr || nf_nat_inet_port_was_mangled(skb, sk.sk_dport)) skb_orphan(skb)
  return ret
})

const drop_err = (err: number): number => (-err << NF_VERDICT_QBITS) | NF_DROP

/** IPsec's policies are asked again, by the new addresses */
const nf_xfrm_me_harder = kfunc('nf_xfrm_me_harder', (n: net, skb: sk_buff, family: number): number => {
  const fl = new flowi4()
  const err = xfrm_decode_session(n, skb, fl, family)
  if (err < 0) return err
  const old = skb_dst(skb)
  if (old === null || !dst_hold_safe(old)) return -EHOSTUNREACH
  const sk = skb.sk !== null && sock_net(skb.sk) === n ? skb.sk : null
  const dst = xfrm_lookup(n, old, fl, sk, 0)
  if (IS_ERR(dst)) return dst
  skb_dst_drop(skb)
  skb_dst_set(skb, dst)
  const hh_len = dst.dev?.hard_header_len ?? 0
  const room = skb_headroom(skb)
  return room < hh_len && pskb_expand_head(skb, hh_len - room, 0, GFP_ATOMIC) ? -ENOMEM : 0
})

const nf_nat_ipv4_out = kfunc('nf_nat_ipv4_out', (priv: unknown, skb: sk_buff, state: nf_hook_state): number => {
  const ret = nf_nat_ipv4_fn(priv, skb, state)
  const ct = nf_ct_get(skb)
  if (ret !== NF_ACCEPT || ct === null) return ret
  const dir = CTINFO2DIR(nf_ct_info(skb)) === IP_CT_DIR_REPLY ? 1 : 0
  const { tuple } = ct.tuplehash[dir]
  const other = ct.tuplehash[dir ? 0 : 1].tuple
  if (tuple.src[0] === other.dst[0] && (tuple.protonum === IPPROTO_ICMP || tuple.src_u === other.dst_u)) return ret
  const err = nf_xfrm_me_harder(state.net, skb, AF_INET)
  return err < 0 ? drop_err(err) : ret
})

const nf_nat_ipv4_local_fn = kfunc('nf_nat_ipv4_local_fn', (priv: unknown, skb: sk_buff, state: nf_hook_state): number => {
  const ret = nf_nat_ipv4_fn(priv, skb, state)
  const ct = nf_ct_get(skb)
  if (ret !== NF_ACCEPT || ct === null) return ret
  const dir = CTINFO2DIR(nf_ct_info(skb)) === IP_CT_DIR_REPLY ? 1 : 0
  const { tuple } = ct.tuplehash[dir]
  const other = ct.tuplehash[dir ? 0 : 1].tuple
  let err = 0
  if (tuple.dst[0] !== other.src[0]) err = ip_route_me_harder(state.net, state.sk, skb, RTN_UNSPEC)
  else if (tuple.protonum !== IPPROTO_ICMP && tuple.dst_u !== other.src_u) err = nf_xfrm_me_harder(state.net, skb, AF_INET)
  return err < 0 ? drop_err(err) : ret
})

const op = (hook: nf_hookfn, hooknum: number, priority: number): nf_hook_ops => ({
  hook,
  dev: null,
  priv: null,
  pf: NFPROTO_IPV4,
  hooknum,
  priority,
})
const nf_nat_ipv4_ops: readonly nf_hook_ops[] = [
  op(nf_nat_ipv4_pre_routing, NF_INET_PRE_ROUTING, NF_IP_PRI_NAT_DST),
  op(nf_nat_ipv4_out, NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC),
  op(nf_nat_ipv4_local_fn, NF_INET_LOCAL_OUT, NF_IP_PRI_NAT_DST),
  op(nf_nat_ipv4_local_in, NF_INET_LOCAL_IN, NF_IP_PRI_NAT_SRC),
]

/** of tables ip and inet; IPv6 is not translated */
export const nf_nat_ipv4_register_fn = (n: net, ops: nf_hook_ops): number =>
  ops.pf === NFPROTO_IPV4 || ops.pf === NFPROTO_INET ? nf_nat_register_fn(n, ops, nf_nat_ipv4_ops) : -EINVAL
export const nf_nat_ipv4_unregister_fn = (n: net, ops: nf_hook_ops): void => nf_nat_unregister_fn(n, ops)
