import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracer } from '../../../trace/tracer.ts'
import { get_random_u32_below_const } from '../../drivers/char/random.ts'
import {
  HZ,
  IFF_LOOPBACK,
  IPPROTO_ICMP,
  IPPROTO_RAW,
  IPPROTO_TCP,
  IPPROTO_UDP,
  MSG_DONTWAIT,
  NET_RX_DROP,
  NET_RX_SUCCESS,
  PACKET_HOST,
  RT_SCOPE_LINK,
  RTN_BROADCAST,
  RTN_LOCAL,
  RTN_UNREACHABLE,
  SKB_DROP_REASON_ICMP_CSUM,
  SKB_DROP_REASON_INVALID_PROTO,
  SKB_DROP_REASON_IP_INHDR,
  SKB_DROP_REASON_NOMEM,
  SKB_DROP_REASON_NOT_SPECIFIED,
  SKB_DROP_REASON_PKT_TOO_SMALL,
  SKB_DROP_REASON_UNHANDLED_PROTO,
  SKB_DROP_REASON_XFRM_POLICY,
  SOCK_RAW,
  SOCK_USE_WRITE_QUEUE,
} from '../../include/generated/enums.ts'
import {
  ECONNREFUSED,
  EHOSTDOWN,
  EHOSTUNREACH,
  EMSGSIZE,
  ENETUNREACH,
  ENONET,
  ENOPROTOOPT,
  EOPNOTSUPP,
} from '../../include/linux/errno.ts'
import {
  ICMP_ADDRESS,
  ICMP_ADDRESSREPLY,
  ICMP_DEST_UNREACH,
  ICMP_ECHO,
  ICMP_ECHOREPLY,
  ICMP_EXC_FRAGTIME,
  ICMP_EXT_ECHO,
  ICMP_EXT_ECHOREPLY,
  ICMP_FRAG_NEEDED,
  ICMP_INFO_REPLY,
  ICMP_INFO_REQUEST,
  ICMP_PARAMETERPROB,
  ICMP_REDIRECT,
  ICMP_SOURCE_QUENCH,
  ICMP_TIME_EXCEEDED,
  ICMP_TIMESTAMP,
  ICMP_TIMESTAMPREPLY,
  icmp_hdr,
  icmphdr,
  NR_ICMP_TYPES,
  NR_ICMP_UNREACH,
  SIZEOF_ICMPHDR,
} from '../../include/linux/icmp.ts'
import { IP_PMTUDISC_DONT } from '../../include/linux/in.ts'
import { RTCF_BROADCAST, RTCF_LOCAL, RTCF_MULTICAST } from '../../include/linux/in_route.ts'
import { INET_DSCP_MASK, IPTOS_TOS_MASK, ip_hdr, iphdr, put_be32 } from '../../include/linux/ip.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import { CHECKSUM_NONE, type sk_buff, skb_dst, skb_network_offset, skb_peek } from '../../include/linux/skbuff.ts'
import { PF_INET } from '../../include/linux/socket.ts'
import { IS_ERR, type ref } from '../../include/linux/types.ts'
import type { dst_entry } from '../../include/net/dst.ts'
import { FLOWI_FLAG_ANYSRC, flowi4, flowi4_to_flowi, flowi4_to_flowi_common } from '../../include/net/flow.ts'
import { inet_sk } from '../../include/net/inet_sock.ts'
import { IP_OFFSET, IPCB, ip_options, ipcm_cookie } from '../../include/net/ip.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { dst_rtable, rt_is_input_route, type rtable, skb_rtable } from '../../include/net/route.ts'
import type { sock } from '../../include/net/sock.ts'
import { spin_trylock, spin_unlock } from '../../kernel/locking/spinlock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { local_bh_disable, local_bh_enable } from '../../kernel/softirq.ts'
import { jiffies } from '../../kernel/time/timer.ts'
import { csum_add, csum_block_add, csum_fold, csum_partial_copy_nocheck } from '../../lib/checksum.ts'
import { security_skb_classify_flow } from '../../security/security.ts'
import { dev_get_by_index_rcu } from '../core/dev.ts'
import { dst_release, dst4_mtu, skb_dstref_restore, skb_dstref_steal } from '../core/dst.ts'
import { init_net } from '../core/net_namespace.ts'
import {
  consume_skb,
  kfree_skb_reason,
  pskb_may_pull,
  pskb_pull,
  skb_checksum_simple_validate,
  skb_copy_and_csum_bits,
  skb_copy_bits,
} from '../core/skbuff.ts'
import { sock_net, sock_net_set, sock_net_uid, sock_set_flag } from '../core/sock.ts'
import { l3mdev_master_ifindex, l3mdev_master_ifindex_rcu } from '../l3mdev/l3mdev.ts'
import { nf_ct_attach } from '../netfilter/core.ts'
import {
  XFRM_LOOKUP_ICMP,
  XFRM_POLICY_IN,
  xfrm_decode_session_reverse,
  xfrm_lookup,
  xfrm4_policy_check,
} from '../xfrm/xfrm_policy.ts'
import { inet_ctl_sock_create, inet_current_timestamp } from './af_inet.ts'
import { inet_select_addr } from './devinet.ts'
import { fib_compute_spec_dst, inet_addr_type_dev_table } from './fib_frontend.ts'
import { inet_getpeer_v4, type inet_peer_base, inet_peer_xrlim_allow } from './inetpeer.ts'
import { __ip_options_echo } from './ip_options.ts'
import { type getfrag_t, ip_append_data, ip_flush_pending_frames, ip_push_pending_frames, ipcm_init } from './ip_output.ts'
import { ping_err, ping_rcv } from './ping.ts'
import { inet_protos } from './protocol.ts'
import { raw_icmp_error } from './raw.ts'
import {
  __ip_route_output_key,
  inet_iif,
  ip_route_input,
  ip_route_output_key,
  ip_route_output_key_hash,
  ip_rt_put,
  ipv4_redirect,
  ipv4_update_pmtu,
} from './route.ts'

const SKB_NOT_DROPPED_YET = 0
const IPTOS_PREC_INTERNETCONTROL = 0xc0
const INADDR_DUMMY = 0xc0000008
const SKB_TRUESIZE = (x: number): number => x + 256 + 320

/** struct icmp_bxm: what is being sent. `data` is the ICMP header and, for times, what follows it. */
interface icmp_bxm {
  skb: sk_buff
  offset: number
  data_len: number
  data: Uint8Array
  icmph: icmphdr
  head_len: number
  replyopts: ip_options
}

function new_icmp_bxm(skb: sk_buff): icmp_bxm {
  const data = new Uint8Array(SIZEOF_ICMPHDR + 12)
  return { skb, offset: 0, data_len: 0, data, icmph: new icmphdr(data, 0), head_len: SIZEOF_ICMPHDR, replyopts: new ip_options() }
}

/** by ICMP_*_UNREACH code: the error for the socket, and whether it ends a connection */
export const icmp_err_convert: readonly { errno: number; fatal: number }[] = [
  { errno: ENETUNREACH, fatal: 0 },
  { errno: EHOSTUNREACH, fatal: 0 },
  { errno: ENOPROTOOPT, fatal: 1 },
  { errno: ECONNREFUSED, fatal: 1 },
  { errno: EMSGSIZE, fatal: 0 },
  { errno: EOPNOTSUPP, fatal: 0 },
  { errno: ENETUNREACH, fatal: 1 },
  { errno: EHOSTDOWN, fatal: 1 },
  { errno: ENONET, fatal: 1 },
  { errno: ENETUNREACH, fatal: 1 },
  { errno: EHOSTUNREACH, fatal: 1 },
  { errno: ENETUNREACH, fatal: 0 },
  { errno: EHOSTUNREACH, fatal: 0 },
  { errno: EHOSTUNREACH, fatal: 1 },
  { errno: EHOSTUNREACH, fatal: 1 },
  { errno: EHOSTUNREACH, fatal: 1 },
]

interface icmp_control {
  handler: (skb: sk_buff) => number
  error: boolean
}
/** by ICMP type; filled by icmp_init */
let icmp_pointers: icmp_control[] = []

/** the one socket that ICMP sends with; it takes the namespace of each packet */
let ipv4_icmp_sk: sock

const icmp_xmit_lock = kfunc('icmp_xmit_lock', (n: net): sock | null => {
  const sk = ipv4_icmp_sk
  // taken already: the message that is being sent has failed, and the failure must not be reported
  if (!spin_trylock(sk.sk_lock.slock)) return null
  sock_net_set(sk, n)
  return sk
})

const icmp_xmit_unlock = kfunc('icmp_xmit_unlock', (sk: sock): void => {
  sock_net_set(sk, init_net)
  spin_unlock(sk.sk_lock.slock)
})

/** a token bucket for the whole namespace: sysctl_icmp_msgs_per_sec */
export const icmp_global_allow = kfunc('icmp_global_allow', (n: net): boolean => {
  const { ipv4 } = n
  if (ipv4.icmp_global_credit > 0) return true
  const now = jiffies()
  const delta = Math.min(now - ipv4.icmp_global_stamp, HZ)
  if (delta < HZ / 50) return false
  const incr = Math.floor((ipv4.sysctl_icmp_msgs_per_sec * delta) / HZ)
  if (!incr) return false
  ipv4.icmp_global_stamp = now
  ipv4.icmp_global_credit = Math.min(ipv4.icmp_global_credit + incr, ipv4.sysctl_icmp_msgs_burst)
  return true
})

/** takes a number of tokens that nobody can count on */
export const icmp_global_consume = kfunc('icmp_global_consume', (n: net): void => {
  const credits = get_random_u32_below_const(3)
  if (credits) n.ipv4.icmp_global_credit -= credits
})

const icmpv4_mask_allow = kfunc('icmpv4_mask_allow', (n: net, type: number, code: number): boolean => {
  if (type > NR_ICMP_TYPES) return true
  if (type === ICMP_DEST_UNREACH && code === ICMP_FRAG_NEEDED) return true
  return !((1 << type) & n.ipv4.sysctl_icmp_ratemask)
})

const icmpv4_global_allow = kfunc(
  'icmpv4_global_allow',
  (n: net, type: number, code: number, apply_ratelimit: ref<boolean>): boolean => {
    if (icmpv4_mask_allow(n, type, code)) return true
    if (icmp_global_allow(n)) {
      apply_ratelimit.v = true
      return true
    }
    n.mib.icmp.OutRateLimitGlobal++
    return false
  },
)

const icmpv4_xrlim_allow_part_0 = kfunc('icmpv4_xrlim_allow.part.0', (n: net, rt: rtable, fl4: flowi4): boolean => {
  let rc = true
  rcu_read_lock()
  const { dev } = rt
  if (dev === null || !(dev.flags & IFF_LOOPBACK)) {
    const peer = inet_getpeer_v4(n.ipv4.peers as inet_peer_base, fl4.daddr, l3mdev_master_ifindex_rcu(dev))
    rc = inet_peer_xrlim_allow(peer, n.ipv4.sysctl_icmp_ratelimit)
  }
  rcu_read_unlock()
  if (!rc) n.mib.icmp.OutRateLimitHost++
  else icmp_global_consume(n)
  return rc
})

const icmpv4_xrlim_allow = kfunc(
  'icmpv4_xrlim_allow',
  (n: net, rt: rtable, fl4: flowi4, _type: number, _code: number, apply_ratelimit: boolean): boolean =>
    apply_ratelimit ? icmpv4_xrlim_allow_part_0(n, rt, fl4) : true,
)

export const icmp_out_count = kfunc('icmp_out_count', (n: net, type: number): void => {
  const m = n.mib.icmp
  m.OutType[type] = (m.OutType[type] ?? 0) + 1
  m.OutMsgs++
})

const icmp_glue_bits = kfunc(
  'icmp_glue_bits',
  (from: icmp_bxm, to: Uint8Array, offset: number, len: number, odd: number, skb: sk_buff, to_off: number): number => {
    const csum = skb_copy_and_csum_bits(from.skb, from.offset + offset, to, to_off, len)
    skb.csum = csum_block_add(skb.csum, csum, odd)
    if (from.icmph.type <= NR_ICMP_TYPES && icmp_pointers[from.icmph.type]?.error) nf_ct_attach(skb, from.skb)
    return 0
  },
)

const icmp_push_reply = kfunc(
  'icmp_push_reply',
  (sk: sock, icmp_param: icmp_bxm, fl4: flowi4, ipc: ipcm_cookie, rt: ref<rtable | null>): void => {
    const { head_len } = icmp_param
    const getfrag = icmp_glue_bits as unknown as getfrag_t
    if (ip_append_data(sk, fl4, getfrag, icmp_param, icmp_param.data_len + head_len, head_len, ipc, rt, MSG_DONTWAIT) < 0) {
      sock_net(sk).mib.icmp.OutErrors++
      ip_flush_pending_frames(sk)
      return
    }
    const skb = skb_peek(sk.sk_write_queue)
    if (skb === null) return
    const icmph = icmp_hdr(skb)
    let csum = csum_partial_copy_nocheck(icmp_param.data, 0, icmph.bytes, icmph.at, head_len)
    for (let skb1: sk_buff | null = skb; skb1 !== null; skb1 = skb1.next) csum = csum_add(csum, skb1.csum)
    icmph.checksum = csum_fold(csum)
    skb.ip_summed = CHECKSUM_NONE
    ip_push_pending_frames(sk, fl4)
  },
)

const icmp_reply = kfunc('icmp_reply', (icmp_param: icmp_bxm, skb: sk_buff): void => {
  const in_rt = skb_rtable(skb) as rtable
  const n = (in_rt.dev as net_device).nd_net
  const mark = n.ipv4.sysctl_fwmark_reflect ? skb.mark : 0
  const { type, code } = icmp_param.icmph
  const apply_ratelimit: ref<boolean> = { v: false }
  if (__ip_options_echo(n, icmp_param.replyopts, skb, IPCB(skb).opt)) return
  local_bh_disable()
  const sk = icmpv4_global_allow(n, type, code, apply_ratelimit) ? icmp_xmit_lock(n) : null
  if (sk !== null) {
    const iph = ip_hdr(skb)
    icmp_param.icmph.checksum = 0
    const ipc = new ipcm_cookie()
    ipcm_init(ipc)
    inet_sk(sk).tos = iph.tos
    ipc.sockc.mark = mark
    let daddr = iph.saddr
    ipc.addr = daddr
    const saddr = fib_compute_spec_dst(skb)
    if (icmp_param.replyopts.optlen) {
      ipc.opt = icmp_param.replyopts
      if (ipc.opt.srr) daddr = icmp_param.replyopts.faddr
    }
    const fl4 = new flowi4()
    fl4.daddr = daddr
    fl4.saddr = saddr
    fl4.flowi4_mark = mark
    fl4.flowi4_uid = sock_net_uid(n, null)
    fl4.flowi4_tos = iph.tos & INET_DSCP_MASK
    fl4.flowi4_proto = IPPROTO_ICMP
    fl4.flowi4_oif = l3mdev_master_ifindex(skb.dev)
    security_skb_classify_flow(skb, flowi4_to_flowi_common(fl4))
    const rt = ip_route_output_key(n, fl4)
    if (!IS_ERR(rt)) {
      const rtp: ref<rtable | null> = { v: rt }
      if (icmpv4_xrlim_allow(n, rt, fl4, type, code, apply_ratelimit.v)) icmp_push_reply(sk, icmp_param, fl4, ipc, rtp)
      ip_rt_put(rtp.v)
    }
    icmp_xmit_unlock(sk)
  }
  local_bh_enable()
})

const icmp_get_route_lookup_dev = kfunc(
  'icmp_get_route_lookup_dev',
  (skb: sk_buff): net_device | null => skb.dev ?? skb_dst(skb)?.dev ?? null,
)

const icmp_route_lookup = kfunc(
  'icmp_route_lookup',
  (
    n: net,
    fl4: flowi4,
    skb_in: sk_buff,
    iph: iphdr,
    saddr: number,
    dscp: number,
    mark: number,
    type: number,
    code: number,
    param: icmp_bxm,
  ): rtable | number => {
    fl4.daddr = param.replyopts.srr ? param.replyopts.faddr : iph.saddr
    fl4.saddr = saddr
    fl4.flowi4_mark = mark
    fl4.flowi4_uid = sock_net_uid(n, null)
    fl4.flowi4_tos = dscp
    fl4.flowi4_proto = IPPROTO_ICMP
    fl4.fl4_icmp_type = type
    fl4.fl4_icmp_code = code
    const route_lookup_dev = icmp_get_route_lookup_dev(skb_in)
    fl4.flowi4_oif = l3mdev_master_ifindex(route_lookup_dev)
    security_skb_classify_flow(skb_in, flowi4_to_flowi_common(fl4))
    const rt = ip_route_output_key_hash(n, fl4, skb_in)
    if (IS_ERR(rt)) return rt
    const dst = xfrm_lookup(n, rt, flowi4_to_flowi(fl4), null, 0)
    if (IS_ERR(dst)) return dst
    if (dst !== rt) return dst_rtable(dst)
    if (route_lookup_dev !== null && inet_addr_type_dev_table(n, route_lookup_dev, fl4.daddr) === RTN_LOCAL) return rt
    return icmp_route_relookup(n, fl4, skb_in, dscp, route_lookup_dev, rt)
  },
)

/** an IPsec policy for the flow that the error speaks of would do for the error as well, so its way back is looked up. `rt`: if not */
function icmp_route_relookup(
  n: net,
  fl4: flowi4,
  skb_in: sk_buff,
  dscp: number,
  route_lookup_dev: net_device | null,
  rt: rtable,
): rtable {
  const fl4_dec = new flowi4()
  if (xfrm_decode_session_reverse(n, skb_in, fl4_dec, PF_INET)) return rt
  let rt2: rtable | number
  if (route_lookup_dev === null || inet_addr_type_dev_table(n, route_lookup_dev, fl4_dec.saddr) === RTN_LOCAL)
    rt2 = __ip_route_output_key(n, fl4_dec)
  else {
    const fl4_2 = Object.assign(new flowi4(), fl4_dec, { saddr: fl4_dec.daddr, daddr: fl4_dec.saddr })
    if (fl4_2.flowi4_proto === IPPROTO_TCP || fl4_2.flowi4_proto === IPPROTO_UDP)
      Object.assign(fl4_2, { fl4_sport: fl4_dec.fl4_dport, fl4_dport: fl4_dec.fl4_sport })
    fl4_2.flowi4_oif = l3mdev_master_ifindex(route_lookup_dev)
    fl4_2.flowi4_flags |= FLOWI_FLAG_ANYSRC
    const out = __ip_route_output_key(n, fl4_2)
    if (IS_ERR(out)) return rt
    const orefdst = skb_dstref_steal(skb_in)
    const err = ip_route_input(skb_in, fl4_dec.daddr, fl4_dec.saddr, dscp, out.dev as net_device)
    dst_release(out)
    const back = skb_rtable(skb_in)
    skb_dstref_steal(skb_in)
    skb_dstref_restore(skb_in, orefdst)
    if (err || back === null) return rt
    if (back.rt_type === RTN_LOCAL || back.rt_type === RTN_UNREACHABLE) {
      dst_release(back)
      return rt
    }
    rt2 = back
  }
  if (IS_ERR(rt2)) return rt
  const dst2 = xfrm_lookup(n, rt2, flowi4_to_flowi(fl4_dec), null, XFRM_LOOKUP_ICMP)
  if (IS_ERR(dst2)) return rt
  dst_release(rt)
  Object.assign(fl4, fl4_dec)
  return dst_rtable(dst2)
}

/** include/net/icmp.h */
export const icmp_send = kfunc('icmp_send', (skb_in: sk_buff, type: number, code: number, info: number): void => {
  __icmp_send(skb_in, type, code, info, IPCB(skb_in).opt)
})

/** tells the sender of `skb_in` what became of it. `info`: the second word of the header, host order. */
export const __icmp_send = kfunc(
  '__icmp_send',
  (skb_in: sk_buff, type: number, code: number, info: number, opt: ip_options): void => {
    const in_rt = skb_rtable(skb_in)
    if (in_rt === null) return
    rcu_read_lock()
    icmp_send_locked(skb_in, type, code, info, opt, in_rt)
    rcu_read_unlock()
  },
)

function icmp_send_locked(skb_in: sk_buff, type: number, code: number, info: number, opt: ip_options, in_rt: rtable): void {
  const from = in_rt.dev ?? skb_in.dev
  if (from === null) return
  const n = from.nd_net
  if (skb_in.network_header < 0 || skb_in.network_header + 20 > skb_in.tail) return
  const iph = ip_hdr(skb_in)
  if (skb_in.pkt_type !== PACKET_HOST) return
  if (in_rt.rt_flags & (RTCF_BROADCAST | RTCF_MULTICAST)) return
  if (iph.frag_off & IP_OFFSET) return
  const error = icmp_pointers[type]?.error ?? false
  if (error && iph.protocol === IPPROTO_ICMP) {
    // no error about an error
    const at = skb_in.network_header + iph.ihl * 4
    if (at >= skb_in.tail) return
    const inner = skb_in.head.bytes[at] ?? 0
    if (inner > NR_ICMP_TYPES || icmp_pointers[inner]?.error) return
  }
  local_bh_disable()
  icmp_send_bh(skb_in, type, code, info, opt, in_rt, n, iph, error)
  local_bh_enable()
}

function icmp_send_bh(
  skb_in: sk_buff,
  type: number,
  code: number,
  info: number,
  opt: ip_options,
  in_rt: rtable,
  n: net,
  iph: iphdr,
  error: boolean,
): void {
  const apply_ratelimit: ref<boolean> = { v: false }
  const { dev } = skb_in
  if (!(dev !== null && dev.flags & IFF_LOOPBACK) && !icmpv4_global_allow(n, type, code, apply_ratelimit)) {
    if (tracer.on) decide('__icmp_send', 'too many messages', { type, code })
    return
  }
  const sk = icmp_xmit_lock(n)
  if (sk === null) return
  let saddr = iph.daddr
  if (!(in_rt.rt_flags & RTCF_LOCAL)) {
    rcu_read_lock()
    const in_dev =
      rt_is_input_route(in_rt) && n.ipv4.sysctl_icmp_errors_use_inbound_ifaddr ? dev_get_by_index_rcu(n, inet_iif(skb_in)) : null
    saddr = in_dev !== null ? inet_select_addr(in_dev, iph.saddr, RT_SCOPE_LINK) : 0
    rcu_read_unlock()
  }
  const tos = error ? (iph.tos & IPTOS_TOS_MASK) | IPTOS_PREC_INTERNETCONTROL : iph.tos
  const mark = n.ipv4.sysctl_fwmark_reflect ? skb_in.mark : 0
  const icmp_param = new_icmp_bxm(skb_in)
  if (__ip_options_echo(n, icmp_param.replyopts, skb_in, opt) === 0) {
    const { icmph } = icmp_param
    icmph.type = type
    icmph.code = code
    icmph.gateway = info
    icmph.checksum = 0
    icmp_param.offset = skb_network_offset(skb_in)
    inet_sk(sk).tos = tos
    const ipc = new ipcm_cookie()
    ipcm_init(ipc)
    ipc.addr = iph.saddr
    ipc.opt = icmp_param.replyopts
    ipc.sockc.mark = mark
    const fl4 = new flowi4()
    const rt = icmp_route_lookup(n, fl4, skb_in, iph, saddr, tos & INET_DSCP_MASK, mark, type, code, icmp_param)
    if (!IS_ERR(rt)) {
      const rtp: ref<rtable | null> = { v: rt }
      if (icmpv4_xrlim_allow(n, rt, fl4, type, code, apply_ratelimit.v)) {
        // as much of the packet as goes into 576 bytes
        const room = Math.min(dst4_mtu(rt), 576) - (20 + icmp_param.replyopts.optlen) - SIZEOF_ICMPHDR
        if (room > 20) {
          icmp_param.data_len = Math.min(skb_in.len - icmp_param.offset, room)
          icmp_param.head_len = SIZEOF_ICMPHDR
          if (!fl4.saddr) fl4.saddr = INADDR_DUMMY
          icmp_push_reply(sk, icmp_param, fl4, ipc, rtp)
        }
      }
      ip_rt_put(rtp.v)
    }
  }
  icmp_xmit_unlock(sk)
}

const icmp_socket_deliver = kfunc('icmp_socket_deliver', (skb: sk_buff, info: number): void => {
  const iph = new iphdr(skb.head.bytes, skb.data)
  const { protocol } = iph
  if (!pskb_may_pull(skb, iph.ihl * 4 + 8) || protocol === IPPROTO_RAW) {
    ;(skb.dev as net_device).nd_net.mib.icmp.InErrors++
    return
  }
  raw_icmp_error(skb, protocol, info)
  const ipprot = inet_protos[protocol]
  if (ipprot?.err_handler) {
    if (tracer.on) traceIndirect('ipprot->err_handler', nameOf(ipprot.err_handler))
    ipprot.err_handler(skb, info)
  }
})

const icmp_tag_validation = kfunc('icmp_tag_validation', (proto: number): boolean => {
  rcu_read_lock()
  const ok = inet_protos[proto]?.icmp_strict_tag_validation ?? false
  rcu_read_unlock()
  return ok
})

const icmp_unreach = kfunc('icmp_unreach', (skb: sk_buff): number => {
  const n = ((skb_dst(skb) as dst_entry).dev as net_device).nd_net
  if (!pskb_may_pull(skb, 20)) {
    n.mib.icmp.InErrors++
    return SKB_DROP_REASON_NOT_SPECIFIED
  }
  const icmph = icmp_hdr(skb)
  const iph = new iphdr(skb.head.bytes, skb.data)
  let info = 0
  if (iph.ihl < 5) {
    n.mib.icmp.InErrors++
    return SKB_DROP_REASON_IP_INHDR
  }
  switch (icmph.type) {
    case ICMP_DEST_UNREACH:
      if ((icmph.code & 15) === ICMP_FRAG_NEEDED) {
        const no_pmtu_disc = n.ipv4.sysctl_ip_no_pmtu_disc
        if (no_pmtu_disc === 2) return SKB_NOT_DROPPED_YET
        if (no_pmtu_disc === 3 && !icmp_tag_validation(iph.protocol)) return SKB_NOT_DROPPED_YET
        if (no_pmtu_disc === 0 || no_pmtu_disc === 3) info = icmph.mtu
      }
      if (icmph.code > NR_ICMP_UNREACH) return SKB_NOT_DROPPED_YET
      break
    case ICMP_PARAMETERPROB:
      info = icmph.gateway >>> 24
      break
    case ICMP_TIME_EXCEEDED:
      if (icmph.code === ICMP_EXC_FRAGTIME) return SKB_NOT_DROPPED_YET
      break
  }
  if (
    !n.ipv4.sysctl_icmp_ignore_bogus_error_responses &&
    inet_addr_type_dev_table(n, skb.dev as net_device, iph.daddr) === RTN_BROADCAST
  )
    return SKB_NOT_DROPPED_YET
  icmp_socket_deliver(skb, info)
  return SKB_NOT_DROPPED_YET
})

const icmp_redirect = kfunc('icmp_redirect', (skb: sk_buff): number => {
  if (skb.len < 20) {
    ;(skb.dev as net_device).nd_net.mib.icmp.InErrors++
    return SKB_DROP_REASON_PKT_TOO_SMALL
  }
  if (!pskb_may_pull(skb, 20)) return SKB_DROP_REASON_NOMEM
  icmp_socket_deliver(skb, icmp_hdr(skb).gateway)
  return SKB_NOT_DROPPED_YET
})

const icmp_echo = kfunc('icmp_echo', (skb: sk_buff): number => {
  const n = ((skb_dst(skb) as dst_entry).dev as net_device).nd_net
  if (n.ipv4.sysctl_icmp_echo_ignore_all) return SKB_NOT_DROPPED_YET
  const icmp_param = new_icmp_bxm(skb)
  const h = icmp_hdr(skb)
  icmp_param.data.set(h.bytes.subarray(h.at, h.at + SIZEOF_ICMPHDR))
  icmp_param.data_len = skb.len
  // PROBE (RFC 8335) is off until a sysctl turns it on
  if (icmp_param.icmph.type !== ICMP_ECHO) return SKB_NOT_DROPPED_YET
  icmp_param.icmph.type = ICMP_ECHOREPLY
  icmp_reply(icmp_param, skb)
  return SKB_NOT_DROPPED_YET
})

const icmp_timestamp = kfunc('icmp_timestamp', (skb: sk_buff): number => {
  if (skb.len < 4) {
    ;((skb_dst(skb) as dst_entry).dev as net_device).nd_net.mib.icmp.InErrors++
    return SKB_DROP_REASON_PKT_TOO_SMALL
  }
  const icmp_param = new_icmp_bxm(skb)
  const now = inet_current_timestamp()
  put_be32(icmp_param.data, 12, now)
  put_be32(icmp_param.data, 16, now)
  skb_copy_bits(skb, 0, icmp_param.data, 8, 4)
  const h = icmp_hdr(skb)
  icmp_param.data.set(h.bytes.subarray(h.at, h.at + SIZEOF_ICMPHDR))
  icmp_param.icmph.type = ICMP_TIMESTAMPREPLY
  icmp_param.icmph.code = 0
  icmp_param.head_len = SIZEOF_ICMPHDR + 12
  icmp_reply(icmp_param, skb)
  return SKB_NOT_DROPPED_YET
})

const icmp_discard = kfunc('icmp_discard', (_skb: sk_buff): number => SKB_NOT_DROPPED_YET)

function rcv_error(n: net, skb: sk_buff, reason: number): number {
  n.mib.icmp.InErrors++
  kfree_skb_reason(skb, reason)
  return NET_RX_DROP
}

export const icmp_rcv = kfunc('icmp_rcv', (skb: sk_buff): number => {
  const rt = skb_rtable(skb) as rtable
  const n = (rt.dev as net_device).nd_net
  if (!xfrm4_policy_check(null, XFRM_POLICY_IN, skb)) {
    kfree_skb_reason(skb, SKB_DROP_REASON_XFRM_POLICY)
    return NET_RX_DROP
  }
  n.mib.icmp.InMsgs++
  if (skb_checksum_simple_validate(skb)) {
    n.mib.icmp.InCsumErrors++
    return rcv_error(n, skb, SKB_DROP_REASON_ICMP_CSUM)
  }
  if (pskb_pull(skb, SIZEOF_ICMPHDR) < 0) return rcv_error(n, skb, SKB_DROP_REASON_NOT_SPECIFIED)
  const { type } = icmp_hdr(skb)
  n.mib.icmp.InType[type] = (n.mib.icmp.InType[type] ?? 0) + 1
  let reason: number
  if (type === ICMP_EXT_ECHO) reason = icmp_echo(skb)
  else if (type === ICMP_EXT_ECHOREPLY) reason = ping_rcv(skb)
  else {
    if (type > NR_ICMP_TYPES) return rcv_error(n, skb, SKB_DROP_REASON_UNHANDLED_PROTO)
    if (rt.rt_flags & (RTCF_BROADCAST | RTCF_MULTICAST)) {
      if ((type === ICMP_ECHO || type === ICMP_TIMESTAMP) && n.ipv4.sysctl_icmp_echo_ignore_broadcasts)
        return rcv_error(n, skb, SKB_DROP_REASON_INVALID_PROTO)
      if (type !== ICMP_ECHO && type !== ICMP_TIMESTAMP && type !== ICMP_ADDRESS && type !== ICMP_ADDRESSREPLY)
        return rcv_error(n, skb, SKB_DROP_REASON_INVALID_PROTO)
    }
    const { handler } = icmp_pointers[type] as icmp_control
    if (tracer.on) traceIndirect('icmp_pointers[type].handler', nameOf(handler))
    reason = handler(skb)
  }
  if (!reason) {
    consume_skb(skb)
    return NET_RX_SUCCESS
  }
  kfree_skb_reason(skb, reason)
  return NET_RX_DROP
})

export const icmp_err = kfunc('icmp_err', (skb: sk_buff, info: number): number => {
  const iph = new iphdr(skb.head.bytes, skb.data)
  const offset = iph.ihl << 2
  const n = (skb.dev as net_device).nd_net
  const { type, code } = icmp_hdr(skb)
  if (skb.head.bytes[skb.data + offset] !== ICMP_ECHOREPLY) {
    ping_err(skb, offset, info)
    return 0
  }
  if (type === ICMP_DEST_UNREACH && code === ICMP_FRAG_NEEDED) ipv4_update_pmtu(skb, n, info, 0, IPPROTO_ICMP)
  else if (type === ICMP_REDIRECT) ipv4_redirect(skb, n, 0, IPPROTO_ICMP)
  return 0
})

export const icmp_init = kfunc('icmp_init', (): number => {
  const discard = (error: boolean): icmp_control => ({ handler: icmp_discard, error })
  const unreach: icmp_control = { handler: icmp_unreach, error: true }
  icmp_pointers = []
  for (let type = 0; type <= NR_ICMP_TYPES; type++) icmp_pointers.push(discard(type < ICMP_TIMESTAMPREPLY))
  icmp_pointers[ICMP_ECHOREPLY] = { handler: ping_rcv, error: false }
  icmp_pointers[ICMP_DEST_UNREACH] = unreach
  icmp_pointers[ICMP_SOURCE_QUENCH] = unreach
  icmp_pointers[ICMP_REDIRECT] = { handler: icmp_redirect, error: true }
  icmp_pointers[ICMP_ECHO] = { handler: icmp_echo, error: false }
  icmp_pointers[ICMP_TIME_EXCEEDED] = unreach
  icmp_pointers[ICMP_PARAMETERPROB] = unreach
  icmp_pointers[ICMP_TIMESTAMP] = { handler: icmp_timestamp, error: false }
  icmp_pointers[ICMP_INFO_REQUEST] = discard(false)
  icmp_pointers[ICMP_INFO_REPLY] = discard(false)

  const sk: ref<sock | null> = { v: null }
  const err = inet_ctl_sock_create(sk, PF_INET, SOCK_RAW, IPPROTO_ICMP, init_net)
  if (err < 0 || sk.v === null) return err
  ipv4_icmp_sk = sk.v
  // room for two messages of 64 KiB
  ipv4_icmp_sk.sk_sndbuf = 2 * SKB_TRUESIZE(64 * 1024)
  // the socket has no program that could wait for room
  sock_set_flag(ipv4_icmp_sk, SOCK_USE_WRITE_QUEUE)
  inet_sk(ipv4_icmp_sk).pmtudisc = IP_PMTUDISC_DONT
  return 0
})
