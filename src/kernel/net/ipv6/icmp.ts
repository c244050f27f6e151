import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { traceIndirect, tracer } from '../../../trace/tracer.ts'
import {
  IFF_LOOPBACK,
  IPPROTO_RAW,
  MSG_DONTWAIT,
  PACKET_HOST,
  SKB_CONSUMED,
  SKB_DROP_REASON_ICMP_CSUM,
  SKB_DROP_REASON_IPV6_BAD_EXTHDR,
  SKB_DROP_REASON_NOT_SPECIFIED,
  SKB_DROP_REASON_PKT_TOO_SMALL,
  SKB_DROP_REASON_XFRM_POLICY,
  SOCK_RAW,
} from '../../include/generated/enums.ts'
import { EACCES, ECONNREFUSED, EHOSTUNREACH, EMSGSIZE, ENETUNREACH, EPROTO } from '../../include/linux/errno.ts'
import {
  ICMPV6_DEST_UNREACH,
  ICMPV6_ECHO_REPLY,
  ICMPV6_ECHO_REQUEST,
  ICMPV6_INFOMSG_MASK,
  ICMPV6_PARAMPROB,
  ICMPV6_PKT_TOOBIG,
  ICMPV6_TIME_EXCEED,
  ICMPV6_UNK_OPTION,
  icmp6_hdr,
  icmp6hdr,
  NDISC_NEIGHBOUR_ADVERTISEMENT,
  NDISC_NEIGHBOUR_SOLICITATION,
  NDISC_REDIRECT,
  NDISC_ROUTER_ADVERTISEMENT,
  NDISC_ROUTER_SOLICITATION,
  SIZEOF_ICMP6HDR,
} from '../../include/linux/icmpv6.ts'
import {
  IPPROTO_ICMPV6,
  IPV6_ADDR_ANY,
  IPV6_ADDR_MULTICAST,
  IPV6_MIN_MTU,
  type in6_addr,
  ipv6_addr_is_multicast,
} from '../../include/linux/in6.ts'
import { IP6CB, inet6_sk, ipcm6_cookie, ipv6_hdr, type ipv6_pinfo, ipv6hdr, SIZEOF_IPV6HDR } from '../../include/linux/ipv6.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import { type sk_buff, skb_dst, skb_peek } from '../../include/linux/skbuff.ts'
import { AF_INET6, PF_INET6 } from '../../include/linux/socket.ts'
import { IS_ERR, type ref } from '../../include/linux/types.ts'
import type { dst_entry } from '../../include/net/dst.ts'
import { flowi_ip6, flowi4, flowi6 } from '../../include/net/flow.ts'
import type { inet_skb_parm } from '../../include/net/ip.ts'
import type { rt6_info } from '../../include/net/ip6_fib.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { ICMP6_INC_STATS, IP6_INC_STATS, net_ipv6 } from '../../include/net/netns_ipv6.ts'
import type { sock } from '../../include/net/sock.ts'
import { spin_trylock, spin_unlock } from '../../kernel/locking/spinlock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { local_bh_disable, local_bh_enable } from '../../kernel/softirq.ts'
import { csum_add, csum_block_add, csum_ipv6_magic, csum_partial } from '../../lib/checksum.ts'
import { security_sk_classify_flow, security_skb_classify_flow } from '../../security/security.ts'
import { dev_get_by_index, dev_put } from '../core/dev.ts'
import { dst_release } from '../core/dst.ts'
import { init_net } from '../core/net_namespace.ts'
import {
  consume_skb,
  kfree_skb,
  kfree_skb_reason,
  pskb_may_pull,
  pskb_pull,
  skb_checksum_validate,
  skb_copy_and_csum_bits,
} from '../core/skbuff.ts'
import { sock_net, sock_net_set, sock_net_uid } from '../core/sock.ts'
import { inet_ctl_sock_create } from '../ipv4/af_inet.ts'
import { icmp_global_allow, icmp_global_consume } from '../ipv4/icmp.ts'
import { inet_getpeer_v6, inet_peer_base, inet_peer_xrlim_allow } from '../ipv4/inetpeer.ts'
import type { getfrag_t } from '../ipv4/ip_output.ts'
import { ping_rcv } from '../ipv4/ping.ts'
import { l3mdev_master_ifindex } from '../l3mdev/l3mdev.ts'
import { nf_ct_attach } from '../netfilter/core.ts'
import {
  XFRM_LOOKUP_ICMP,
  XFRM_POLICY_IN,
  xfrm_decode_session_reverse,
  xfrm_lookup,
  xfrm6_policy_check,
} from '../xfrm/xfrm_policy.ts'
import { ipv6_chk_addr, ipv6_dev_get_saddr } from './addrconf.ts'
import { __ipv6_addr_needs_scope_id, ipv6_addr_type } from './addrconf_core.ts'
import { ipv6_chk_acast_addr_src } from './anycast.ts'
import { ipv6_ext_hdr, ipv6_skip_exthdr } from './exthdrs_core.ts'
import { ip6_compute_pseudo } from './ip6_checksum.ts'
import { ip6_append_data, ip6_dst_lookup, ip6_flush_pending_frames, ip6_push_pending_frames } from './ip6_output.ts'
import { ndisc_rcv } from './ndisc.ts'
import { ip6_dst_hoplimit } from './output_core.ts'
import { INET6_PROTO_FINAL, INET6_PROTO_NOPOLICY, inet6_add_protocol, inet6_protos } from './protocol.ts'
import { raw6_icmp_error } from './raw.ts'
import { ip6_route_output, ip6_update_pmtu, rt6_multipath_hash } from './route.ts'
import { seg6_icmp_srh } from './seg6.ts'

const ICMPV6_MSG_MAX = 255

/** by namespace there would be one for each processor: the socket that ICMPv6 sends with */
let ipv6_icmp_sk: sock

interface icmpv6_msg {
  skb: sk_buff
  offset: number
  type: number
}

const tab_unreach: readonly { err: number; fatal: number }[] = [
  { err: ENETUNREACH, fatal: 0 },
  { err: EACCES, fatal: 1 },
  { err: EHOSTUNREACH, fatal: 0 },
  { err: EHOSTUNREACH, fatal: 0 },
  { err: ECONNREFUSED, fatal: 1 },
  { err: EACCES, fatal: 1 },
  { err: EACCES, fatal: 1 },
]

/** what an error is to a socket; whether it ends a connection */
export const icmpv6_err_convert = kfunc('icmpv6_err_convert', (type: number, code: number, err: ref<number>): number => {
  err.v = EPROTO
  switch (type) {
    case ICMPV6_DEST_UNREACH: {
      const t = tab_unreach[code]
      if (t === undefined) return 1
      err.v = t.err
      return t.fatal
    }
    case ICMPV6_PKT_TOOBIG:
      err.v = EMSGSIZE
      return 0
    case ICMPV6_PARAMPROB:
      err.v = EPROTO
      return 1
    case ICMPV6_TIME_EXCEED:
      err.v = EHOSTUNREACH
      return 0
    default:
      return 0
  }
})

const icmpv6_xmit_lock = kfunc('icmpv6_xmit_lock', (n: net): sock | null => {
  const sk = ipv6_icmp_sk
  // taken already: the message that is being sent has failed, and the failure must not be reported
  if (!spin_trylock(sk.sk_lock.slock)) return null
  sock_net_set(sk, n)
  return sk
})

const icmpv6_xmit_unlock = kfunc('icmpv6_xmit_unlock', (sk: sock): void => {
  sock_net_set(sk, init_net)
  spin_unlock(sk.sk_lock.slock)
})

/** no error about an error */
const is_ineligible = kfunc('is_ineligible', (skb: sk_buff): boolean => {
  const start = skb.network_header + SIZEOF_IPV6HDR - skb.data
  if (skb.len < start) return true
  const nexthdr: ref<number> = { v: ipv6_hdr(skb).nexthdr }
  const frag_off: ref<number> = { v: 0 }
  const ptr = ipv6_skip_exthdr(skb, start, nexthdr, frag_off)
  if (ptr < 0 || nexthdr.v !== IPPROTO_ICMPV6) return false
  // a later fragment does not say what it is of
  if (skb.data + ptr >= skb.tail) return frag_off.v === 0
  return !((skb.head.bytes[skb.data + ptr] ?? 0) & ICMPV6_INFOMSG_MASK)
})

const icmpv6_getfrag = kfunc(
  'icmpv6_getfrag',
  (msg: icmpv6_msg, to: Uint8Array, offset: number, len: number, odd: number, skb: sk_buff, to_off: number): number => {
    const csum = skb_copy_and_csum_bits(msg.skb, msg.offset + offset, to, to_off, len)
    skb.csum = csum_block_add(skb.csum, csum, odd)
    if (!(msg.type & ICMPV6_INFOMSG_MASK)) nf_ct_attach(skb, msg.skb)
    return 0
  },
)

export const icmpv6_push_pending_frames = kfunc(
  'icmpv6_push_pending_frames',
  (sk: sock, fl6: flowi6, thdr: icmp6hdr, len: number): void => {
    const skb = skb_peek(sk.sk_write_queue)
    if (skb === null) return
    const icmp6h = icmp6_hdr(skb)
    icmp6h.bytes.set(thdr.bytes.subarray(thdr.at, thdr.at + SIZEOF_ICMP6HDR), icmp6h.at)
    icmp6h.icmp6_cksum = 0
    let csum = csum_partial(icmp6h.bytes, icmp6h.at, SIZEOF_ICMP6HDR, skb.next === null ? skb.csum : 0)
    for (let s: sk_buff | null = skb.next === null ? null : skb; s !== null; s = s.next) csum = csum_add(csum, s.csum)
    icmp6h.icmp6_cksum = csum_ipv6_magic(fl6.saddr, fl6.daddr, len, fl6.flowi6_proto, csum)
    ip6_push_pending_frames(sk)
  },
)

export const icmpv6_flow_init = kfunc(
  'icmpv6_flow_init',
  (sk: sock, fl6: flowi6, type: number, saddr: in6_addr, daddr: in6_addr, oif: number): void => {
    fl6.assign(new flowi6())
    fl6.saddr.set(saddr)
    fl6.daddr.set(daddr)
    fl6.flowi6_proto = IPPROTO_ICMPV6
    fl6.fl6_icmp_type = type
    fl6.fl6_icmp_code = 0
    fl6.flowi6_oif = oif
    security_sk_classify_flow(sk, fl6)
  },
)

/** which kinds are not limited: all but errors, and the one that path MTU discovery lives on */
const icmpv6_mask_allow = kfunc('icmpv6_mask_allow', (_n: net, type: number): boolean => {
  if (type > ICMPV6_MSG_MAX || type === ICMPV6_PKT_TOOBIG) return true
  return (type & ICMPV6_INFOMSG_MASK) !== 0
})

const icmpv6_global_allow = kfunc('icmpv6_global_allow', (n: net, type: number, apply_ratelimit: ref<boolean>): boolean => {
  if (icmpv6_mask_allow(n, type)) return true
  if (icmp_global_allow(n)) {
    apply_ratelimit.v = true
    return true
  }
  ICMP6_INC_STATS(n, 'OutRateLimitGlobal')
  return false
})

/** not more than one error a second, more to a larger net, to one host */
const icmpv6_xrlim_allow = kfunc(
  'icmpv6_xrlim_allow',
  (sk: sock, _type: number, fl6: flowi6, apply_ratelimit: boolean): boolean => {
    if (!apply_ratelimit) return true
    const n = sock_net(sk)
    const dst = ip6_route_output(n, sk, fl6)
    let res = false
    if (dst.error) IP6_INC_STATS(n, 'OutNoRoutes')
    else if (dst.dev !== null && dst.dev.flags & IFF_LOOPBACK) res = true
    else {
      const { plen } = dst.rt6i_dst
      const tmo = net_ipv6(n).sysctl.icmpv6_time >> (plen < 128 ? (128 - plen) >> 5 : 0)
      rcu_read_lock()
      res = inet_peer_xrlim_allow(inet_getpeer_v6(peers_of(n), fl6.daddr), tmo)
      rcu_read_unlock()
    }
    if (res) icmp_global_consume(n)
    else ICMP6_INC_STATS(n, 'OutRateLimitHost')
    dst_release(dst)
    return res
  },
)

const peers = new WeakMap<net, inet_peer_base>()
/** net->ipv6.peers */
function peers_of(n: net): inet_peer_base {
  let base = peers.get(n)
  if (base === undefined) {
    base = new inet_peer_base()
    peers.set(n, base)
  }
  return base
}

/** whether the route back says which address to send from */
const icmpv6_rt_has_prefsrc = kfunc('icmpv6_rt_has_prefsrc', (sk: sock, _type: number, fl6: flowi6): boolean => {
  const dst = ip6_route_output(sock_net(sk), sk, fl6)
  let res = false
  if (!dst.error) {
    rcu_read_lock()
    res = (dst.from?.fib6_prefsrc.plen ?? 0) > 0
    rcu_read_unlock()
  }
  dst_release(dst)
  return res
})

const icmpv6_route_lookup = kfunc('icmpv6_route_lookup', (n: net, skb: sk_buff, sk: sock, fl6: flowi6): dst_entry | number => {
  const first: ref<dst_entry | null> = { v: null }
  const err = ip6_dst_lookup(n, sk, first, fl6)
  if (err || first.v === null) return err || -ENETUNREACH
  const dst = xfrm_lookup(n, first.v, fl6, sk, 0)
  if (IS_ERR(dst) || dst !== first.v) return dst
  // an IPsec policy for the flow that the error speaks of would do for the error as well, so its way back is looked up
  const fl2 = new flowi4()
  const dst2: ref<dst_entry | null> = { v: null }
  if (xfrm_decode_session_reverse(n, skb, fl2, AF_INET6)) return dst
  if (ip6_dst_lookup(n, sk, dst2, flowi_ip6(fl2)) || dst2.v === null) return dst
  const other = xfrm_lookup(n, dst2.v, fl2, sk, XFRM_LOOKUP_ICMP)
  if (IS_ERR(other)) return dst
  dst_release(dst)
  return other
})

/** the message itself, and behind it `len` bytes of the packet; false: there was no room */
function append_and_push(n: net, sk: sock, fl6: flowi6, dst: dst_entry, msg: icmpv6_msg, icmp6h: icmp6hdr, len: number): boolean {
  const ipc6 = new ipcm6_cookie()
  ipc6.hlimit = ip6_sk_dst_hoplimit(inet6_sk(sk), fl6, dst)
  ipc6.tclass = 0
  const err = ip6_append_data(
    sk,
    icmpv6_getfrag as unknown as getfrag_t,
    msg,
    len + SIZEOF_ICMP6HDR,
    SIZEOF_ICMP6HDR,
    ipc6,
    fl6,
    dst as rt6_info,
    MSG_DONTWAIT,
  )
  if (err) {
    ICMP6_INC_STATS(n, 'OutErrors')
    ip6_flush_pending_frames(sk)
  } else icmpv6_push_pending_frames(sk, fl6, icmp6h, len + SIZEOF_ICMP6HDR)
  return !err
}

/** include/net/ip6_route.h */
const ip6_sk_dst_hoplimit = kfunc('ip6_sk_dst_hoplimit', (np: ipv6_pinfo, fl6: flowi6, dst: dst_entry): number => {
  const hlimit = ipv6_addr_is_multicast(fl6.daddr) ? np.mcast_hops : np.hop_limit
  return hlimit < 0 ? ip6_dst_hoplimit(dst) : hlimit
})

/** tells the sender of `skb` what became of it. `info`: the second word of the header. */
export const icmp6_send = kfunc('icmp6_send', (skb: sk_buff, type: number, code: number, info: number): void => {
  if (skb.network_header < 0 || skb.network_header + SIZEOF_IPV6HDR > skb.tail || skb.dev === null) return
  rcu_read_lock()
  icmp6_send_locked(skb, skb.dev, type, code, info)
  rcu_read_unlock()
})

/** what icmp6_send() does between taking the lock and its label `out` */
function icmp6_send_locked(skb: sk_buff, dev: net_device, type: number, code: number, info: number): void {
  const n = dev.nd_net
  const hdr = ipv6_hdr(skb)
  let saddr: in6_addr | null = null
  const dst_type = ipv6_addr_type(hdr.daddr)
  if (ipv6_chk_addr(n, hdr.daddr, dev, 0) || ipv6_chk_acast_addr_src(n, dev, hdr.daddr)) saddr = hdr.daddr
  if (dst_type & IPV6_ADDR_MULTICAST || skb.pkt_type !== PACKET_HOST) {
    if (type !== ICMPV6_PKT_TOOBIG && !(type === ICMPV6_PARAMPROB && code === ICMPV6_UNK_OPTION)) return
    saddr = null
  }
  const src_type = ipv6_addr_type(hdr.saddr)
  const iif = __ipv6_addr_needs_scope_id(src_type) ? icmp6_iif(skb, dev) : l3mdev_master_ifindex(dev)
  if (src_type === IPV6_ADDR_ANY || src_type & IPV6_ADDR_MULTICAST || is_ineligible(skb)) return

  local_bh_disable()
  const apply_ratelimit = { v: false }
  if (dev.flags & IFF_LOOPBACK || icmpv6_global_allow(n, type, apply_ratelimit)) {
    const sk = icmpv6_xmit_lock(n)
    if (sk !== null) {
      icmp6_send_with(sk, skb, dev, { type, code, info, iif, saddr, apply_ratelimit: apply_ratelimit.v })
      icmpv6_xmit_unlock(sk)
    }
  }
  local_bh_enable()
}

interface icmp6_error {
  type: number
  code: number
  info: number
  iif: number
  saddr: in6_addr | null
  apply_ratelimit: boolean
}

/** what it does while it holds the socket */
function icmp6_send_with(sk: sock, skb: sk_buff, dev: net_device, e: icmp6_error): void {
  const n = dev.nd_net
  const fl6 = new flowi6()
  fl6.flowi6_proto = IPPROTO_ICMPV6
  fl6.daddr.set(ipv6_hdr(skb).saddr)
  if (e.saddr !== null) fl6.saddr.set(e.saddr)
  else if (!icmpv6_rt_has_prefsrc(sk, e.type, fl6)) {
    const in_netdev = dev_get_by_index(n, IP6CB(skb).iif)
    if (in_netdev !== null) {
      ipv6_dev_get_saddr(n, in_netdev, fl6.daddr, inet6_sk(sk).srcprefs, fl6.saddr)
      dev_put(in_netdev)
    }
  }
  fl6.flowi6_oif = e.iif
  fl6.fl6_icmp_type = e.type
  fl6.fl6_icmp_code = e.code
  fl6.flowi6_uid = sock_net_uid(n, null)
  fl6.mp_hash = rt6_multipath_hash(n, fl6, skb, null)
  security_skb_classify_flow(skb, fl6)
  if (!icmpv6_xrlim_allow(sk, e.type, fl6, e.apply_ratelimit)) return
  const icmp6h = new icmp6hdr(new Uint8Array(SIZEOF_ICMP6HDR), 0)
  icmp6h.icmp6_type = e.type
  icmp6h.icmp6_code = e.code
  icmp6h.data32 = e.info
  const dst = icmpv6_route_lookup(n, skb, sk, fl6)
  if (IS_ERR(dst)) return
  const offset = skb.network_header - skb.data
  const len = Math.min(skb.len - offset, IPV6_MIN_MTU - SIZEOF_IPV6HDR - SIZEOF_ICMP6HDR)
  if (len >= 0) append_and_push(n, sk, fl6, dst, { skb, offset, type: e.type }, icmp6h, len)
  dst_release(dst)
}

/** where a packet came in: on the loopback device it is told by its route */
const icmp6_iif = (skb: sk_buff, dev: net_device): number =>
  dev.flags & IFF_LOOPBACK ? (skb_dst(skb)?.dev?.ifindex ?? dev.ifindex) : dev.ifindex

/** include/linux/icmpv6.h */
export const icmpv6_send = kfunc('icmpv6_send', (skb: sk_buff, type: number, code: number, info: number): void =>
  icmp6_send(skb, type, code, info),
)

/** says which byte of a packet was not understood, and drops it */
export const icmpv6_param_prob_reason = kfunc(
  'icmpv6_param_prob_reason',
  (skb: sk_buff, code: number, pos: number, reason: number): void => {
    icmp6_send(skb, ICMPV6_PARAMPROB, code, pos)
    kfree_skb_reason(skb, reason)
  },
)
/** include/linux/icmpv6.h */
export const icmpv6_param_prob = kfunc('icmpv6_param_prob', (skb: sk_buff, code: number, pos: number): void =>
  icmpv6_param_prob_reason(skb, code, pos, SKB_DROP_REASON_NOT_SPECIFIED),
)

const icmpv6_echo_reply = kfunc('icmpv6_echo_reply', (skb: sk_buff): number => {
  const n = (skb.dev as net_device).nd_net
  const { saddr, daddr } = ipv6_hdr(skb)
  const mcast = ipv6_addr_is_multicast(daddr)
  let reason: number = SKB_DROP_REASON_NOT_SPECIFIED
  if (mcast && net_ipv6(n).sysctl.icmpv6_echo_ignore_multicast) return reason
  const in_hdr = icmp6_hdr(skb)
  const tmp = new icmp6hdr(in_hdr.bytes.slice(in_hdr.at, in_hdr.at + SIZEOF_ICMP6HDR), 0)
  tmp.icmp6_type = ICMPV6_ECHO_REPLY
  const fl6 = new flowi6()
  fl6.flowi6_proto = IPPROTO_ICMPV6
  fl6.daddr.set(saddr)
  if (!mcast) fl6.saddr.set(daddr)
  fl6.flowi6_oif = __ipv6_addr_needs_scope_id(ipv6_addr_type(saddr)) ? (skb.dev as net_device).ifindex : 0
  fl6.fl6_icmp_type = ICMPV6_ECHO_REPLY
  fl6.flowi6_uid = sock_net_uid(n, null)
  security_skb_classify_flow(skb, fl6)
  local_bh_disable()
  const sk = icmpv6_xmit_lock(n)
  if (sk !== null) {
    const found: ref<dst_entry | null> = { v: null }
    const err = ip6_dst_lookup(n, sk, found, fl6)
    const dst = err || found.v === null ? -ENETUNREACH : xfrm_lookup(n, found.v, fl6, sk, 0)
    if (!IS_ERR(dst)) {
      const apply_ratelimit = { v: false }
      const { dev } = skb
      if (
        (dev === null || dev.flags & IFF_LOOPBACK || icmpv6_global_allow(n, ICMPV6_ECHO_REPLY, apply_ratelimit)) &&
        icmpv6_xrlim_allow(sk, ICMPV6_ECHO_REPLY, fl6, apply_ratelimit.v)
      )
        if (append_and_push(n, sk, fl6, dst, { skb, offset: 0, type: ICMPV6_ECHO_REPLY }, tmp, skb.len)) reason = SKB_CONSUMED
      dst_release(dst)
    }
    icmpv6_xmit_unlock(sk)
  }
  local_bh_enable()
  return reason
})

/** hands an error to the protocol whose packet it speaks of */
export const icmpv6_notify = kfunc('icmpv6_notify', (skb: sk_buff, type: number, code: number, info: number): number => {
  const n = (skb.dev as net_device).nd_net
  const bad = (reason: number): number => {
    ICMP6_INC_STATS(n, 'InErrors')
    return reason
  }
  if (!pskb_may_pull(skb, SIZEOF_IPV6HDR)) return bad(SKB_DROP_REASON_PKT_TOO_SMALL)
  seg6_icmp_srh(skb, IP6CB(skb))
  const nexthdr: ref<number> = { v: new ipv6hdr(skb.head.bytes, skb.data).nexthdr }
  let inner_offset = SIZEOF_IPV6HDR
  if (ipv6_ext_hdr(nexthdr.v)) {
    inner_offset = ipv6_skip_exthdr(skb, inner_offset, nexthdr, { v: 0 })
    if (inner_offset < 0) return bad(SKB_DROP_REASON_IPV6_BAD_EXTHDR)
  }
  if (!pskb_may_pull(skb, inner_offset + 8)) return bad(SKB_DROP_REASON_PKT_TOO_SMALL)
  if (nexthdr.v === IPPROTO_RAW) return bad(SKB_DROP_REASON_NOT_SPECIFIED)
  const err_handler = inet6_protos[nexthdr.v]?.err_handler
  if (err_handler !== undefined) {
    if (tracer.on) traceIndirect('ipprot->err_handler', nameOf(err_handler))
    err_handler(skb, IP6CB(skb), type, code, inner_offset, info)
  }
  raw6_icmp_error(skb, nexthdr.v, type, code, inner_offset, info)
  return SKB_CONSUMED
})

export const icmpv6_rcv = kfunc('icmpv6_rcv', (skb: sk_buff): number => {
  const dev = skb.dev as net_device
  const n = dev.nd_net
  if (!xfrm6_policy_check(null, XFRM_POLICY_IN, skb)) {
    kfree_skb_reason(skb, SKB_DROP_REASON_XFRM_POLICY)
    return 0
  }
  ICMP6_INC_STATS(n, 'InMsgs')
  if (skb_checksum_validate(skb, IPPROTO_ICMPV6, ip6_compute_pseudo)) {
    ICMP6_INC_STATS(n, 'InCsumErrors')
    ICMP6_INC_STATS(n, 'InErrors')
    kfree_skb_reason(skb, SKB_DROP_REASON_ICMP_CSUM)
    return 0
  }
  if (pskb_pull(skb, SIZEOF_ICMP6HDR) === null) {
    ICMP6_INC_STATS(n, 'InErrors')
    kfree_skb(skb)
    return 0
  }
  const hdr = icmp6_hdr(skb)
  const type = hdr.icmp6_type
  ICMP6_INC_STATS(n, `InType${type}`)
  let reason: number = SKB_DROP_REASON_NOT_SPECIFIED
  switch (type) {
    case ICMPV6_ECHO_REQUEST:
      if (!net_ipv6(n).sysctl.icmpv6_echo_ignore_all) reason = icmpv6_echo_reply(skb)
      break
    case ICMPV6_ECHO_REPLY:
      reason = ping_rcv(skb)
      break
    case ICMPV6_PKT_TOOBIG:
    case ICMPV6_DEST_UNREACH:
    case ICMPV6_TIME_EXCEED:
    case ICMPV6_PARAMPROB:
      if (type === ICMPV6_PKT_TOOBIG && !pskb_may_pull(skb, SIZEOF_IPV6HDR)) ICMP6_INC_STATS(n, 'InErrors')
      else reason = icmpv6_notify(skb, type, hdr.icmp6_code, icmp6_hdr(skb).data32)
      break
    case NDISC_ROUTER_SOLICITATION:
    case NDISC_ROUTER_ADVERTISEMENT:
    case NDISC_NEIGHBOUR_SOLICITATION:
    case NDISC_NEIGHBOUR_ADVERTISEMENT:
    case NDISC_REDIRECT:
      reason = ndisc_rcv(skb)
      break
    default:
      // an error of a kind that is not known yet is for the protocol as well
      if (!(type & ICMPV6_INFOMSG_MASK)) reason = icmpv6_notify(skb, type, hdr.icmp6_code, hdr.data32)
  }
  if (reason) kfree_skb_reason(skb, reason)
  else consume_skb(skb)
  return 0
})

/** an error that concerns no protocol's state but the route's */
const icmpv6_err = kfunc(
  'icmpv6_err',
  (skb: sk_buff, _opt: inet_skb_parm, type: number, _code: number, _offset: number, info: number): number => {
    const n = (skb.dev as net_device).nd_net
    if (type === ICMPV6_PKT_TOOBIG) ip6_update_pmtu(skb, n, info, 0, 0, sock_net_uid(n, null))
    return 0
  },
)

export const icmpv6_init = kfunc('icmpv6_init', (): number => {
  const skp: ref<sock | null> = { v: null }
  const err = inet_ctl_sock_create(skp, PF_INET6, SOCK_RAW, IPPROTO_ICMPV6, init_net)
  if (err < 0 || skp.v === null) return err
  ipv6_icmp_sk = skp.v
  return inet6_add_protocol(
    { handler: icmpv6_rcv, err_handler: icmpv6_err, flags: INET6_PROTO_NOPOLICY | INET6_PROTO_FINAL },
    IPPROTO_ICMPV6,
  )
})
