import { kfunc } from '../../../trace/kfunc.ts'
import { EAFNOSUPPORT, ENOENT } from '../../include/linux/errno.ts'
import { get_be32, INET_ECN_MASK, ip_hdr } from '../../include/linux/ip.ts'
import { type sk_buff, skb_dst } from '../../include/linux/skbuff.ts'
import { AF_INET, AF_INET6 } from '../../include/linux/socket.ts'
import { IS_ERR } from '../../include/linux/types.ts'
import type { dst_entry } from '../../include/net/dst.ts'
import { type flowi, flowi_ip6, type flowi4, type flowi6 } from '../../include/net/flow.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { sock } from '../../include/net/sock.ts'
import { security_xfrm_decode_session } from '../../security/security.ts'
import { dst_release } from '../core/dst.ts'
import { __skb_flow_dissect, FLOW_DISSECTOR_F_STOP_AT_ENCAP, flow_keys, xfrm_session_dissector } from '../core/flow_dissector.ts'

// There are no IPsec policies: the questions are asked, and everything may pass as it is.

export const XFRM_POLICY_IN = 0
export const XFRM_POLICY_OUT = 1
export const XFRM_POLICY_FWD = 2
export const XFRM_LOOKUP_ICMP = 1
const XFRM_LOOKUP_QUEUE = 2
const XFRM_LOOKUP_KEEP_DST_REF = 4

export const xfrm_init = (): void => {}
export const xfrm4_init = (): void => {}

export const xfrm_lookup_with_ifid = kfunc(
  'xfrm_lookup_with_ifid',
  (_n: net, dst_orig: dst_entry, _fl: unknown, _sk: sock | null, flags: number, _if_id: number): dst_entry | number => {
    if (!(flags & XFRM_LOOKUP_ICMP)) return dst_orig
    // only a policy could let an error through by the flow that it speaks of
    dst_release(null)
    if (!(flags & XFRM_LOOKUP_KEEP_DST_REF)) dst_release(dst_orig)
    return -ENOENT
  },
)
export const xfrm_lookup = kfunc(
  'xfrm_lookup',
  (n: net, dst_orig: dst_entry, fl: unknown, sk: sock | null, flags: number): dst_entry | number =>
    xfrm_lookup_with_ifid(n, dst_orig, fl, sk, flags, 0),
)
export const xfrm_lookup_route = kfunc(
  'xfrm_lookup_route',
  (n: net, dst_orig: dst_entry, fl: unknown, sk: sock | null, flags: number): dst_entry | number => {
    // Linux calls xfrm_lookup(), which the compiler inlined; the build's table of inlined calls leaves net/xfrm out
    const dst = xfrm_lookup_with_ifid(n, dst_orig, fl, sk, flags | XFRM_LOOKUP_QUEUE | XFRM_LOOKUP_KEEP_DST_REF, 0)
    if (IS_ERR(dst)) dst_release(dst_orig)
    return dst
  },
)

/** ports are of the first fragment only, as the dissector finds them */
function decode_session4(skb: sk_buff, keys: flow_keys, fl4: flowi4, reverse: boolean): void {
  const src = get_be32(keys.src, 0)
  const dst = get_be32(keys.dst, 0)
  fl4.saddr = reverse ? dst : src
  fl4.daddr = reverse ? src : dst
  fl4.fl4_sport = reverse ? keys.ports & 0xffff : keys.ports >>> 16
  fl4.fl4_dport = reverse ? keys.ports >>> 16 : keys.ports & 0xffff
  fl4.flowi4_proto = keys.ip_proto
  fl4.flowi4_tos = ip_hdr(skb).tos & ~INET_ECN_MASK
}
function decode_session6(keys: flow_keys, fl6: flowi6, reverse: boolean): void {
  fl6.saddr.set(reverse ? keys.dst : keys.src)
  fl6.daddr.set(reverse ? keys.src : keys.dst)
  fl6.fl6_sport = reverse ? keys.ports & 0xffff : keys.ports >>> 16
  fl6.fl6_dport = reverse ? keys.ports >>> 16 : keys.ports & 0xffff
  fl6.flowi6_proto = keys.ip_proto
}
/** the flow that a packet belongs to, `reverse`: that of its answers */
const __xfrm_decode_session = kfunc(
  '__xfrm_decode_session',
  (n: net, skb: sk_buff, fl: flowi, family: number, reverse: number): number => {
    const keys = new flow_keys()
    __skb_flow_dissect(n, skb, xfrm_session_dissector, keys, FLOW_DISSECTOR_F_STOP_AT_ENCAP)
    const oif = reverse ? skb.skb_iif : (skb_dst(skb)?.dev?.ifindex ?? 0)
    if (family === AF_INET) {
      decode_session4(skb, keys, fl, reverse !== 0)
      fl.flowi4_mark = skb.mark
      fl.flowi4_oif = oif
    } else if (family === AF_INET6) {
      const fl6 = flowi_ip6(fl)
      decode_session6(keys, fl6, reverse !== 0)
      fl6.flowi6_mark = skb.mark
      fl6.flowi6_oif = oif
    } else return -EAFNOSUPPORT
    return security_xfrm_decode_session(skb, fl.flowi4_secid)
  },
)
export const xfrm_decode_session = kfunc('xfrm_decode_session', (n: net, skb: sk_buff, fl: flowi, family: number): number =>
  __xfrm_decode_session(n, skb, fl, family, 0),
)
export const xfrm_decode_session_reverse = kfunc(
  'xfrm_decode_session_reverse',
  (n: net, skb: sk_buff, fl: flowi, family: number): number => __xfrm_decode_session(n, skb, fl, family, 1),
)

const __xfrm_check_nopolicy = kfunc(
  '__xfrm_check_nopolicy',
  (n: net, _skb: sk_buff, dir: number): boolean => n.xfrm.policy_count[dir] === 0,
)
const __xfrm_policy_check2 = kfunc(
  '__xfrm_policy_check2',
  (_sk: sock | null, dir: number, skb: sk_buff, _family: number, _reverse: number): boolean =>
    skb.dev === null || __xfrm_check_nopolicy(skb.dev.nd_net, skb, dir),
)
export const xfrm_policy_check = kfunc(
  'xfrm_policy_check',
  (sk: sock | null, dir: number, skb: sk_buff, family: number): boolean => __xfrm_policy_check2(sk, dir, skb, family, 0),
)
export const xfrm4_policy_check = kfunc('xfrm4_policy_check', (sk: sock | null, dir: number, skb: sk_buff): boolean =>
  xfrm_policy_check(sk, dir, skb, 2),
)
export const xfrm6_policy_check = kfunc('xfrm6_policy_check', (sk: sock | null, dir: number, skb: sk_buff): boolean =>
  xfrm_policy_check(sk, dir, skb, 10),
)
export const xfrm4_policy_check_reverse = kfunc(
  'xfrm4_policy_check_reverse',
  (sk: sock | null, dir: number, skb: sk_buff): boolean => __xfrm_policy_check2(sk, dir, skb, 2, 1),
)
export const xfrm4_route_forward = kfunc('xfrm4_route_forward', (_skb: sk_buff): boolean => true)
export const xfrm_sk_clone_policy = kfunc('xfrm_sk_clone_policy', (sk: sock, _osk: sock): number => {
  sk.sk_policy = [null, null]
  return 0
})
export const xfrm_sk_free_policy = kfunc('xfrm_sk_free_policy', (_sk: sock): void => {})
