import { kfunc } from '../../../trace/kfunc.ts'
import { HZ, IPPROTO_ICMP, NF_INET_PRE_ROUTING, NFPROTO_IPV4 } from '../../include/generated/enums.ts'
import { get_be16, ip_hdr } from '../../include/linux/ip.ts'
import { NF_ACCEPT, type nf_hook_state } from '../../include/linux/netfilter.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import type { net } from '../../include/net/net_namespace.ts'
import {
  IP_CT_DIR_REPLY,
  IP_CT_IS_REPLY,
  IP_CT_RELATED,
  type nf_conn,
  nf_conntrack_tuple,
  nf_ct_set,
  nf_ct_state,
} from '../../include/net/netfilter/nf_conntrack.ts'
import { skb_header_pointer } from '../core/skbuff.ts'
import {
  nf_conntrack_find_get,
  nf_ct_get_tuplepr,
  nf_ct_invert_tuple,
  nf_ct_put,
  nf_ct_refresh_acct,
} from './nf_conntrack_core.ts'
import { nf_ip_checksum } from './utils.ts'

const TIMEOUT = 30 * HZ
const NR_ICMP_TYPES = 18
// questions and their answers
const answers: Readonly<Record<number, number>> = { 8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17 }
const questions = new Set([8, 13, 15, 17])
/** unreachable, source quench, redirect, time exceeded, parameter problem */
const errors = new Set([3, 4, 5, 11, 12])
const header = new Uint8Array(8)

export const icmp_pkt_to_tuple = kfunc(
  'icmp_pkt_to_tuple',
  (skb: sk_buff, dataoff: number, _n: net, tuple: nf_conntrack_tuple): boolean => {
    const at = skb_header_pointer(skb, dataoff, 8, header)
    if (at === -2) return false
    const b = at < 0 ? header : skb.head.bytes
    const o = Math.max(at, 0)
    tuple.dst_u = get_be16(b, o)
    tuple.src_u = get_be16(b, o + 4)
    return true
  },
)

export const nf_conntrack_invert_icmp_tuple = kfunc(
  'nf_conntrack_invert_icmp_tuple',
  (tuple: nf_conntrack_tuple, orig: nf_conntrack_tuple): boolean => {
    const type = answers[orig.dst_u >> 8]
    if (type === undefined) return false
    tuple.src_u = orig.src_u
    tuple.dst_u = (type << 8) | (orig.dst_u & 0xff)
    return true
  },
)

export const nf_conntrack_icmp_packet = kfunc(
  'nf_conntrack_icmp_packet',
  (ct: nf_conn, skb: sk_buff, ctinfo: number, state: nf_hook_state): number => {
    if (state.pf !== NFPROTO_IPV4 || !questions.has(ct.tuplehash[0].tuple.dst_u >> 8)) return -NF_ACCEPT
    nf_ct_refresh_acct(ct, ctinfo, skb, TIMEOUT)
    return NF_ACCEPT
  },
)

/** an error belongs to the connection whose packet it quotes */
const nf_conntrack_inet_error = kfunc(
  'nf_conntrack_inet_error',
  (_tmpl: null, skb: sk_buff, dataoff: number, state: nf_hook_state, _l4proto: number, outer_daddr: number): number => {
    const origtuple = new nf_conntrack_tuple()
    const innertuple = new nf_conntrack_tuple()
    if (!nf_ct_get_tuplepr(skb, dataoff, state.pf, state.net, origtuple)) return -NF_ACCEPT
    if (!nf_ct_invert_tuple(innertuple, origtuple)) return -NF_ACCEPT
    const h = nf_conntrack_find_get(state.net, 0, innertuple)
    if (h === null) return -NF_ACCEPT
    if (h.tuple.dst[0] !== outer_daddr) {
      nf_ct_put(h.ct)
      return -NF_ACCEPT
    }
    nf_ct_set(skb, h.ct, h.tuple.dir === IP_CT_DIR_REPLY ? IP_CT_RELATED + IP_CT_IS_REPLY : IP_CT_RELATED)
    return NF_ACCEPT
  },
)

export const nf_conntrack_icmpv4_error = kfunc(
  'nf_conntrack_icmpv4_error',
  (tmpl: null, skb: sk_buff, dataoff: number, state: nf_hook_state): number => {
    const at = skb_header_pointer(skb, dataoff, 8, header)
    if (at === -2) return -NF_ACCEPT
    const type = (at < 0 ? header : skb.head.bytes)[Math.max(at, 0)] as number
    const wrong =
      nf_ct_state(state.net).sysctl_checksum !== 0 &&
      state.hook === NF_INET_PRE_ROUTING &&
      nf_ip_checksum(skb, state.hook, dataoff, IPPROTO_ICMP) !== 0
    if (wrong || type > NR_ICMP_TYPES) return -NF_ACCEPT
    if (!errors.has(type)) return NF_ACCEPT
    return nf_conntrack_inet_error(tmpl, skb, dataoff + 8, state, IPPROTO_ICMP, ip_hdr(skb).daddr)
  },
)
