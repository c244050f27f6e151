import { random } from '../../../sim/random.ts'
import { kfunc } from '../../../trace/kfunc.ts'
import { decide, tracer } from '../../../trace/tracer.ts'
import {
  ETH_P_IP,
  IPPROTO_UDP,
  MSG_CONFIRM,
  MSG_ERRQUEUE,
  MSG_MORE,
  MSG_PEEK,
  MSG_PROBE,
  MSG_TRUNC,
  PACKET_HOST,
  SKB_DROP_REASON_NO_SOCKET,
  SKB_DROP_REASON_NOT_SPECIFIED,
  SKB_DROP_REASON_PKT_TOO_SMALL,
  SKB_DROP_REASON_PROTO_MEM,
  SKB_DROP_REASON_SOCKET_FILTER,
  SKB_DROP_REASON_SOCKET_RCVBUFF,
  SKB_DROP_REASON_UDP_CSUM,
  SKB_DROP_REASON_XFRM_POLICY,
  SKB_GSO_UDP_L4,
  SOCK_DEAD,
  SOCK_DGRAM,
  SOCK_NOSPACE,
  SOCK_SUPPORT_ZC,
  TCP_ESTABLISHED,
} from '../../include/generated/enums.ts'
import {
  EAFNOSUPPORT,
  EDESTADDRREQ,
  EINVAL,
  EIO,
  EMSGSIZE,
  ENETUNREACH,
  ENOBUFS,
  ENOENT,
  ENOMEM,
} from '../../include/linux/errno.ts'
import { ICMPV6_DEST_UNREACH, ICMPV6_PKT_TOOBIG, ICMPV6_PORT_UNREACH, NDISC_REDIRECT } from '../../include/linux/icmpv6.ts'
import {
  IPV6_FLOWINFO_MASK,
  IPV6_FLOWLABEL_MASK,
  IPV6_PMTUDISC_DONT,
  type in6_addr,
  in6addr_any,
  in6addr_loopback,
  ipv6_addr_any,
  ipv6_addr_equal,
  ipv6_addr_is_multicast,
  ipv6_addr_set_v4mapped,
  ipv6_addr_v4mapped,
  SIN6_LEN_RFC2133,
  SIZEOF_SOCKADDR_IN6,
  s6_addr32,
} from '../../include/linux/in6.ts'
import { ip_hdr } from '../../include/linux/ip.ts'
import {
  INET_FLAGS_RECVERR6,
  INET_FLAGS_SNDFLOW,
  inet6_iif,
  inet6_sdif,
  inet6_sk,
  ipcm6_cookie,
  ipv6_hdr,
  ipv6hdr,
  sk_v6_daddr,
  sk_v6_rcv_saddr,
} from '../../include/linux/ipv6.ts'
import { sockaddr } from '../../include/linux/net.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import {
  CHECKSUM_COMPLETE,
  CHECKSUM_NONE,
  CHECKSUM_PARTIAL,
  type sk_buff,
  skb_dst,
  skb_mac_offset,
  skb_network_header_len,
  skb_queue_empty,
  skb_shinfo,
  skb_transport_offset,
} from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import { AF_INET, AF_INET6, type msghdr, PF_INET6, SOL_SOCKET, SOL_UDP } from '../../include/linux/socket.ts'
import { DIV_ROUND_UP, INT_MAX, IS_ERR, type ref } from '../../include/linux/types.ts'
import {
  SIZEOF_UDPHDR,
  UDP_FLAGS_CORK,
  UDP_FLAGS_GRO_ENABLED,
  UDP_FLAGS_NO_CHECK6_RX,
  UDP_FLAGS_NO_CHECK6_TX,
  UDP_MAX_SEGMENTS,
  udp_hdr,
  udp_sk,
  udp_sock,
  udp_test_bit,
  udphdr,
} from '../../include/linux/udp.ts'
import type { dst_entry } from '../../include/net/dst.ts'
import { flowi_ip6, flowi6 } from '../../include/net/flow.ts'
import { NAPI_GRO_CB } from '../../include/net/gro.ts'
import { type inet_cork, inet_cork_full, inet_sk, inet_test_bit } from '../../include/net/inet_sock.ts'
import type { inet_skb_parm } from '../../include/net/ip.ts'
import type { rt6_info } from '../../include/net/ip6_fib.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { ICMP6_INC_STATS, UDP6_INC_STATS } from '../../include/net/netns_ipv6.ts'
import type { proto, sock } from '../../include/net/sock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { cond_resched } from '../../kernel/sched/core.ts'
import { CSUM_MANGLED_0, csum_add, csum_ipv6_magic } from '../../lib/checksum.ts'
import { security_sk_classify_flow } from '../../security/security.ts'
import { __sk_queue_drop_skb, skb_copy_and_csum_datagram_msg, skb_copy_datagram_msg } from '../core/datagram.ts'
import { dst_check, dst_confirm_neigh, dst_release, skb_dst_drop, skb_dst_set_noref } from '../core/dst.ts'
import { sk_filter_trim_cap } from '../core/filter.ts'
import { inet_get_iif_sdif } from '../core/gro.ts'
import { trace_udp_fail_queue_rcv_skb } from '../core/net-traces.ts'
import {
  __skb_pull,
  __skb_push,
  consume_skb,
  kfree_skb,
  nf_reset_ct,
  pskb_may_pull,
  pskb_trim_rcsum,
  sk_skb_reason_drop,
  skb_checksum,
  skb_checksum_complete_unset,
  skb_checksum_init_zero_check,
  skb_checksum_try_convert,
  skb_clone,
} from '../core/skbuff.ts'
import {
  lock_sock,
  release_sock,
  sk_error_report,
  sk_incoming_cpu_update,
  sk_peek_offset,
  sock_net,
  sock_net_uid,
  sock_pfree,
  sock_put,
  sock_recv_cmsgs,
  sock_rps_save_rxhash,
  sock_set_flag,
} from '../core/sock.ts'
import { reuseport_has_conns } from '../core/sock_reuseport.ts'
import { inet6_match, ipv6_portaddr_hash } from '../ipv4/inet_hashtables.ts'
import { type getfrag_t, ip_generic_getfrag } from '../ipv4/ip_output.ts'
import {
  __skb_recv_udp,
  __udp_enqueue_schedule_skb,
  __udp_lib_checksum_complete,
  copy_linear_skb,
  skb_consume_udp,
  UDP_SKB_CB,
  udp_cmsg_recv,
  udp_cmsg_send,
  udp_csum,
  udp_csum_pull_header,
  udp_destruct_common,
  udp_flush_pending_frames,
  udp_hashslot,
  udp_hashslot2,
  type udp_hslot,
  udp_lib_checksum_complete,
  udp_lib_get_port,
  udp_lib_getsockopt,
  udp_lib_init_sock,
  udp_lib_rehash,
  udp_lib_setsockopt,
  udp_post_segment_fix_csum,
  udp_prot,
  udp_push_pending_frames,
  udp_rcv_segment,
  udp_sendmsg,
  udp_sk_bound_dev_eq,
  udp_sk_rx_dst_set,
  udp_skb_destructor,
  type udp_table_t,
  udp_unexpected_gso,
} from '../ipv4/udp.ts'
import { XFRM_POLICY_IN, xfrm6_policy_check } from '../xfrm/xfrm_policy.ts'
import { __ipv6_addr_needs_scope_id, __ipv6_addr_type, ipv6_iface_scope_id } from './addrconf_core.ts'
import { INET_PROTOSW_PERMANENT, inet6_dgram_ops, inet6_register_protosw, inet6_sock_destruct } from './af_inet6.ts'
import {
  ip6_datagram_connect,
  ip6_datagram_recv_common_ctl,
  ip6_datagram_recv_specific_ctl,
  ip6_datagram_release_cb,
  ip6_datagram_send_ctl,
  ipv6_icmp_error,
  ipv6_recv_error,
} from './datagram.ts'
import { fl6_update_dst } from './exthdrs.ts'
import { icmpv6_err_convert, icmpv6_send } from './icmp.ts'
import { __inet6_ehashfn, __ipv6_addr_jhash, inet6_lookup_reuseport, inet6_steal_sock } from './inet6_hashtables.ts'
import { ip6_compute_pseudo } from './ip6_checksum.ts'
import { ip6_protocol_deliver_rcu } from './ip6_input.ts'
import {
  ip6_append_data,
  ip6_finish_skb,
  ip6_flush_pending_frames,
  ip6_make_flowinfo,
  ip6_make_skb,
  ip6_send_skb,
  ip6_sk_dst_lookup_flow,
} from './ip6_output.ts'
import { ipv6_getsockopt, ipv6_setsockopt } from './ipv6_sockglue.ts'
import { inet6_mc_check } from './mcast.ts'
import { ip6_dst_hoplimit } from './output_core.ts'
import { INET6_PROTO_FINAL, INET6_PROTO_NOPOLICY, inet6_add_protocol } from './protocol.ts'
import {
  ip6_redirect,
  ip6_sk_accept_pmtu,
  ip6_sk_redirect,
  ip6_sk_update_pmtu,
  ip6_update_pmtu,
  rt6_get_cookie,
} from './route.ts'

let udp6_ehash_secret = 0

const udp6_ehashfn = kfunc('udp6_ehashfn', (_n: net, laddr: in6_addr, lport: number, faddr: in6_addr, fport: number): number =>
  __inet6_ehashfn(s6_addr32(laddr, 3), lport, __ipv6_addr_jhash(faddr, udp6_ehash_secret), fport, udp6_ehash_secret),
)

const udp_v6_get_port = kfunc('udp_v6_get_port', (sk: sock, snum: number): number => {
  const n = sock_net(sk)
  const hash2_nulladdr = ipv6_portaddr_hash(n, in6addr_any, snum) & 0xffff
  udp_sk(sk).udp_portaddr_hash = ipv6_portaddr_hash(n, sk_v6_rcv_saddr(sk), 0) & 0xffff
  return udp_lib_get_port(sk, snum, hash2_nulladdr)
})

const udp_v6_rehash = kfunc('udp_v6_rehash', (sk: sock): void => {
  udp_lib_rehash(sk, ipv6_portaddr_hash(sock_net(sk), sk_v6_rcv_saddr(sk), inet_sk(sk).inet_num) & 0xffff)
})

/** in C a static function of this name is in both udp.c files */
const compute_score = kfunc(
  'compute_score',
  (sk: sock, n: net, saddr: in6_addr, sport: number, daddr: in6_addr, hnum: number, dif: number, sdif: number): number => {
    if (sk.skc_net !== n || udp_sk(sk).udp_port_hash !== hnum || sk.sk_family !== PF_INET6) return -1
    if (!ipv6_addr_equal(sk_v6_rcv_saddr(sk), daddr)) return -1
    let score = 0
    if (sk.skc_dport) {
      if (sk.skc_dport !== sport) return -1
      score++
    }
    if (!ipv6_addr_any(sk_v6_daddr(sk))) {
      if (!ipv6_addr_equal(sk_v6_daddr(sk), saddr)) return -1
      score++
    }
    if (!udp_sk_bound_dev_eq(n, sk.skc_bound_dev_if, dif, sdif)) return -1
    score++
    if (sk.skc_incoming_cpu === 0) score++
    return score
  },
)

const udp6_lib_lookup2 = kfunc(
  'udp6_lib_lookup2',
  (
    n: net,
    saddr: in6_addr,
    sport: number,
    daddr: in6_addr,
    hnum: number,
    dif: number,
    sdif: number,
    hslot2: udp_hslot,
    skb: sk_buff | null,
  ): sock | null => {
    const { head } = hslot2
    let result: sock | null = null
    let badness = -1
    for (let p = head.next; p !== head; p = p.next) {
      const sk = p.owner as sock
      const score = compute_score(sk, n, saddr, sport, daddr, hnum, dif, sdif)
      if (score <= badness) continue
      badness = score
      if (sk.sk_state === TCP_ESTABLISHED || skb === null) {
        result = sk
        continue
      }
      result = inet6_lookup_reuseport(n, sk, skb, SIZEOF_UDPHDR, saddr, sport, daddr, hnum, udp6_ehashfn)
      if (result === null) {
        result = sk
        continue
      }
      if (!reuseport_has_conns(sk)) return result
      badness = Math.max(badness, compute_score(result, n, saddr, sport, daddr, hnum, dif, sdif))
    }
    return result
  },
)

/** the socket for a packet: bound to the address before bound to any */
export const __udp6_lib_lookup = kfunc(
  '__udp6_lib_lookup',
  (
    n: net,
    saddr: in6_addr,
    sport: number,
    daddr: in6_addr,
    dport: number,
    dif: number,
    sdif: number,
    udptable: udp_table_t,
    skb: sk_buff | null,
  ): sock | null => {
    const own = udp_hashslot2(udptable, ipv6_portaddr_hash(n, daddr, dport))
    const result = udp6_lib_lookup2(n, saddr, sport, daddr, dport, dif, sdif, own, skb)
    if (result !== null) return result
    const any = udp_hashslot2(udptable, ipv6_portaddr_hash(n, in6addr_any, dport))
    return udp6_lib_lookup2(n, saddr, sport, in6addr_any, dport, dif, sdif, any, skb)
  },
)

/** the socket of a packet that GRO has joined */
export const udp6_lib_lookup_skb = kfunc('udp6_lib_lookup_skb', (skb: sk_buff, sport: number, dport: number): sock | null => {
  const iph = new ipv6hdr(skb.head.bytes, skb.data + NAPI_GRO_CB(skb).network_offsets[skb.encapsulation ? 1 : 0])
  const n = (skb.dev as net_device).nd_net
  const { iif, sdif } = inet_get_iif_sdif(skb)
  return __udp6_lib_lookup(n, iph.saddr, sport, iph.daddr, dport, iif, sdif, n.ipv4.udp_table as udp_table_t, null)
})

/** include/net/ip6_checksum.h: a UDP packet's checksum, `base` being the sum of what it covers */
export const udp_v6_check = kfunc('udp_v6_check', (len: number, saddr: in6_addr, daddr: in6_addr, base: number): number =>
  csum_ipv6_magic(saddr, daddr, len, IPPROTO_UDP, base),
)

let udpv6_encap_needed_key = 0
export const udpv6_encap_needed = (): boolean => udpv6_encap_needed_key > 0
export const udpv6_encap_enable = kfunc('udpv6_encap_enable', (): void => {
  udpv6_encap_needed_key++
})

const __udp6_lib_lookup_skb = kfunc(
  '__udp6_lib_lookup_skb',
  (skb: sk_buff, sport: number, dport: number, udptable: udp_table_t): sock | null => {
    const { saddr, daddr } = ipv6_hdr(skb)
    const n = (skb.dev as net_device).nd_net
    return __udp6_lib_lookup(n, saddr, sport, daddr, dport, inet6_iif(skb), inet6_sdif(skb), udptable, skb)
  },
)

export const udpv6_recvmsg = kfunc(
  'udpv6_recvmsg',
  (sk: sock, msg: msghdr, len: number, flags: number, addr_len: ref<number>): number => {
    const sin6 = msg.msg_name
    const peeking = (flags & MSG_PEEK) !== 0
    const n = sock_net(sk)
    if (flags & MSG_ERRQUEUE) return ipv6_recv_error(sk, msg, len, addr_len)
    const errp: ref<number> = { v: 0 }
    const off: ref<number> = { v: 0 }
    for (;;) {
      off.v = sk_peek_offset(sk, flags)
      const skb = __skb_recv_udp(sk, flags, off, errp)
      if (skb === null) return errp.v
      const cb = UDP_SKB_CB(skb)
      const ulen = cb.scratch_len
      let copied = len
      if (copied > ulen - off.v) copied = ulen - off.v
      else if (copied < ulen) msg.msg_flags |= MSG_TRUNC
      const is_udp4 = skb.protocol === ETH_P_IP
      let checksum_valid = false
      let bad = false
      let err = 0
      if (copied < ulen || peeking) {
        checksum_valid = cb.scratch_csum_unnecessary || !__udp_lib_checksum_complete(skb)
        bad = !checksum_valid
      }
      if (!bad) {
        if (checksum_valid || cb.scratch_csum_unnecessary) {
          err = cb.scratch_is_linear
            ? copy_linear_skb(skb, copied, off.v, msg.msg_iter)
            : skb_copy_datagram_msg(skb, off.v, msg, copied)
        } else {
          err = skb_copy_and_csum_datagram_msg(skb, off.v, msg)
          bad = err === -EINVAL
        }
      }
      if (bad) {
        if (!__sk_queue_drop_skb(sk, udp_sk(sk).reader_queue, skb, flags, udp_skb_destructor)) {
          UDP6_INC_STATS(n, 'InCsumErrors')
          UDP6_INC_STATS(n, 'InErrors')
        }
        kfree_skb(skb)
        cond_resched()
        msg.msg_flags &= ~MSG_TRUNC
        continue
      }
      if (err) {
        if (!peeking) {
          sk.sk_drops++
          UDP6_INC_STATS(n, 'InErrors')
        }
        kfree_skb(skb)
        return err
      }
      if (!peeking) UDP6_INC_STATS(n, 'InDatagrams')
      sock_recv_cmsgs(msg, sk, skb)
      if (sin6 !== null) {
        sin6.clear()
        sin6.sa_family = AF_INET6
        sin6.sin_port = udp_hdr(skb).source
        if (is_udp4) ipv6_addr_set_v4mapped(ip_hdr(skb).saddr, sin6.sin6_addr)
        else {
          sin6.sin6_addr.set(ipv6_hdr(skb).saddr)
          sin6.sin6_scope_id = ipv6_iface_scope_id(sin6.sin6_addr, inet6_iif(skb))
        }
        addr_len.v = SIZEOF_SOCKADDR_IN6
      }
      if (udp_test_bit(UDP_FLAGS_GRO_ENABLED, sk)) udp_cmsg_recv(msg, sk, skb)
      if (inet6_sk(sk).rxopt) {
        ip6_datagram_recv_common_ctl(sk, msg, skb)
        if (!is_udp4) ip6_datagram_recv_specific_ctl(sk, msg, skb)
      }
      err = flags & MSG_TRUNC ? ulen : copied
      skb_consume_udp(sk, skb, peeking ? -err : err)
      return err
    }
  },
)

/** an error came back: `offset` leads to the UDP header of what this host sent */
const udpv6_err_update_exception = kfunc(
  'udpv6_err_update_exception',
  (n: net, skb: sk_buff, type: number, info: number): void => {
    const ifindex = skb.dev?.ifindex ?? 0
    if (type === ICMPV6_PKT_TOOBIG) ip6_update_pmtu(skb, n, info, ifindex, 0, sock_net_uid(n, null))
    else if (type === NDISC_REDIRECT) ip6_redirect(skb, n, ifindex, 0, sock_net_uid(n, null))
  },
)

const __udp6_lib_err = kfunc(
  '__udp6_lib_err',
  (
    skb: sk_buff,
    _opt: inet_skb_parm,
    type: number,
    code: number,
    offset: number,
    info: number,
    udptable: udp_table_t,
  ): number => {
    const dev = skb.dev as net_device
    const n = dev.nd_net
    const hdr = new ipv6hdr(skb.head.bytes, skb.data)
    const uh = new udphdr(skb.head.bytes, skb.data + offset)
    udpv6_err_update_exception(n, skb, type, info)
    const sk = __udp6_lib_lookup(n, hdr.daddr, uh.dest, hdr.saddr, uh.source, inet6_iif(skb), inet6_sdif(skb), udptable, null)
    if (sk === null) {
      ICMP6_INC_STATS(n, 'InErrors')
      return -ENOENT
    }
    const err: ref<number> = { v: 0 }
    let harderr = icmpv6_err_convert(type, code, err) !== 0
    if (type === ICMPV6_PKT_TOOBIG) {
      if (!ip6_sk_accept_pmtu(sk)) return 0
      ip6_sk_update_pmtu(skb, sk, info)
      if (inet6_sk(sk).pmtudisc !== IPV6_PMTUDISC_DONT) harderr = true
    }
    if (type === NDISC_REDIRECT) {
      ip6_sk_redirect(skb, sk)
      return 0
    }
    if (!inet_test_bit(INET_FLAGS_RECVERR6, sk)) {
      if (!harderr || sk.sk_state !== TCP_ESTABLISHED) return 0
    } else ipv6_icmp_error(sk, skb, err.v, uh.dest, info, uh.at + SIZEOF_UDPHDR)
    sk.sk_err = err.v
    sk_error_report(sk)
    return 0
  },
)

const table_of = (n: net): udp_table_t => n.ipv4.udp_table as udp_table_t

const udpv6_err = kfunc(
  'udpv6_err',
  (skb: sk_buff, opt: inet_skb_parm, type: number, code: number, offset: number, info: number): number =>
    __udp6_lib_err(skb, opt, type, code, offset, info, table_of((skb.dev as net_device).nd_net)),
)

const __udpv6_queue_rcv_skb = kfunc('__udpv6_queue_rcv_skb', (sk: sock, skb: sk_buff): number => {
  if (!ipv6_addr_any(sk_v6_daddr(sk))) {
    sock_rps_save_rxhash(sk, skb)
    sk_incoming_cpu_update(sk)
  }
  const rc = __udp_enqueue_schedule_skb(sk, skb)
  if (rc >= 0) return 0
  const n = sock_net(sk)
  const nomem = rc === -ENOMEM
  UDP6_INC_STATS(n, nomem ? 'RcvbufErrors' : 'MemErrors')
  UDP6_INC_STATS(n, 'InErrors')
  if (tracer.on) trace_udp_fail_queue_rcv_skb(rc, sk, skb)
  sk_skb_reason_drop(sk, skb, nomem ? SKB_DROP_REASON_SOCKET_RCVBUFF : SKB_DROP_REASON_PROTO_MEM)
  return -1
})

const udpv6_queue_rcv_one_skb = kfunc('udpv6_queue_rcv_one_skb', (sk: sock, skb: sk_buff): number => {
  const n = sock_net(sk)
  const drop = (reason: number): number => {
    UDP6_INC_STATS(n, 'InErrors')
    sk.sk_drops++
    sk_skb_reason_drop(sk, skb, reason)
    return -1
  }
  if (!xfrm6_policy_check(sk, XFRM_POLICY_IN, skb)) return drop(SKB_DROP_REASON_XFRM_POLICY)
  nf_reset_ct(skb)
  if (sk.sk_filter !== null && udp_lib_checksum_complete(skb)) {
    UDP6_INC_STATS(n, 'InCsumErrors')
    return drop(SKB_DROP_REASON_UDP_CSUM)
  }
  if (sk_filter_trim_cap(sk, skb, SIZEOF_UDPHDR)) return drop(SKB_DROP_REASON_SOCKET_FILTER)
  udp_csum_pull_header(skb)
  skb_dst_drop(skb)
  return __udpv6_queue_rcv_skb(sk, skb)
})

const udpv6_queue_rcv_skb = kfunc('udpv6_queue_rcv_skb', (sk: sock, skb: sk_buff): number => {
  if (!udp_unexpected_gso(sk, skb)) return udpv6_queue_rcv_one_skb(sk, skb)
  __skb_push(skb, -skb_mac_offset(skb))
  for (let seg = udp_rcv_segment(sk, skb, false); seg !== null; ) {
    const next: sk_buff | null = seg.next
    seg.next = null
    __skb_pull(seg, skb_transport_offset(seg))
    udp_post_segment_fix_csum(seg)
    const { dev } = seg
    const ret = udpv6_queue_rcv_one_skb(sk, seg)
    if (ret > 0) ip6_protocol_deliver_rcu((dev as net_device).nd_net, seg, ret, true)
    seg = next
  }
  return 0
})

const __udp_v6_is_mcast_sock = kfunc(
  '__udp_v6_is_mcast_sock',
  (
    n: net,
    sk: sock,
    _loc_port: number,
    loc_addr: in6_addr,
    rmt_port: number,
    rmt_addr: in6_addr,
    dif: number,
    sdif: number,
    hnum: number,
  ): boolean => {
    const inet = inet_sk(sk)
    return (
      sock_net(sk) === n &&
      udp_sk(sk).udp_port_hash === hnum &&
      sk.sk_family === PF_INET6 &&
      !(inet.inet_dport && inet.inet_dport !== rmt_port) &&
      (ipv6_addr_any(sk_v6_daddr(sk)) || ipv6_addr_equal(sk_v6_daddr(sk), rmt_addr)) &&
      udp_sk_bound_dev_eq(n, sk.sk_bound_dev_if, dif, sdif) &&
      (ipv6_addr_any(sk_v6_rcv_saddr(sk)) || ipv6_addr_equal(sk_v6_rcv_saddr(sk), loc_addr)) &&
      inet6_mc_check(sk, loc_addr, rmt_addr)
    )
  },
)

const __udp6_lib_mcast_deliver = kfunc(
  '__udp6_lib_mcast_deliver',
  (n: net, skb: sk_buff, saddr: in6_addr, daddr: in6_addr, udptable: udp_table_t, _proto: number): number => {
    const uh = udp_hdr(skb)
    const { head } = udp_hashslot(udptable, n, uh.dest)
    const dif = inet6_iif(skb)
    let first: sock | null = null
    for (let p = head.next; p !== head; ) {
      const sk = p.owner as sock
      p = p.next
      if (!__udp_v6_is_mcast_sock(n, sk, uh.dest, daddr, uh.source, saddr, dif, 0, uh.dest)) continue
      if (first === null) {
        first = sk
        continue
      }
      const nskb = skb_clone(skb, GFP_ATOMIC)
      if (nskb === null) {
        sk.sk_drops++
        UDP6_INC_STATS(n, 'RcvbufErrors')
        continue
      }
      if (udpv6_queue_rcv_skb(sk, nskb) > 0) consume_skb(nskb)
    }
    if (first !== null) {
      if (udpv6_queue_rcv_skb(first, skb) > 0) consume_skb(skb)
    } else {
      kfree_skb(skb)
      UDP6_INC_STATS(n, 'IgnoredMulti')
    }
    return 0
  },
)

const udp6_sk_rx_dst_set = kfunc('udp6_sk_rx_dst_set', (sk: sock, dst: dst_entry): void => {
  if (udp_sk_rx_dst_set(sk, dst)) sk.sk_rx_dst_cookie = rt6_get_cookie(dst as rt6_info)
})

const udp6_csum_init = kfunc('udp6_csum_init', (skb: sk_buff, uh: udphdr, proto: number): number => {
  const cb = UDP_SKB_CB(skb)
  cb.partial_cov = 0
  cb.cscov = skb.len
  const err = skb_checksum_init_zero_check(skb, proto, uh.check, ip6_compute_pseudo)
  if (err) return err
  if (skb.ip_summed === CHECKSUM_COMPLETE && !skb.csum_valid) {
    if (skb.csum_complete_sw) return 1
    skb_checksum_complete_unset(skb)
  }
  return 0
})

const udp6_unicast_rcv_skb = kfunc('udp6_unicast_rcv_skb', (sk: sock, skb: sk_buff, uh: udphdr): number => {
  if (inet_sk(sk).convert_csum && uh.check) skb_checksum_try_convert(skb, IPPROTO_UDP, ip6_compute_pseudo)
  const ret = udpv6_queue_rcv_skb(sk, skb)
  return Math.max(ret, 0)
})

const __udp6_lib_rcv = kfunc('__udp6_lib_rcv', (skb: sk_buff, udptable: udp_table_t, proto: number): number => {
  const n = (skb.dev as net_device).nd_net
  let sk: sock | null = null
  const drop = (reason: number): number => {
    UDP6_INC_STATS(n, 'InErrors')
    sk_skb_reason_drop(sk, skb, reason)
    return 0
  }
  const csum_error = (): number => {
    UDP6_INC_STATS(n, 'InCsumErrors')
    return drop(SKB_DROP_REASON_UDP_CSUM)
  }
  if (!pskb_may_pull(skb, SIZEOF_UDPHDR)) return drop(SKB_DROP_REASON_NOT_SPECIFIED)
  const { saddr, daddr } = ipv6_hdr(skb)
  let uh = udp_hdr(skb)
  let ulen = uh.len
  if (ulen > skb.len) return drop(SKB_DROP_REASON_PKT_TOO_SMALL)
  if (ulen === 0) ulen = skb.len
  if (ulen < SIZEOF_UDPHDR) return drop(SKB_DROP_REASON_PKT_TOO_SMALL)
  if (ulen < skb.len) {
    if (pskb_trim_rcsum(skb, ulen)) return drop(SKB_DROP_REASON_PKT_TOO_SMALL)
    uh = udp_hdr(skb)
  }
  if (udp6_csum_init(skb, uh, proto)) return csum_error()
  const refcounted: ref<boolean> = { v: false }
  // without a checksum a packet is only for a socket that allows that
  const wanted = (s: sock): boolean => uh.check !== 0 || udp_test_bit(UDP_FLAGS_NO_CHECK6_RX, s)
  sk = inet6_steal_sock(n, skb, SIZEOF_UDPHDR, saddr, uh.source, daddr, uh.dest, refcounted, udp6_ehashfn)
  if (sk !== null) {
    const dst = skb_dst(skb)
    if (sk.sk_rx_dst !== dst && dst !== null) udp6_sk_rx_dst_set(sk, dst)
    if (!wanted(sk)) {
      if (refcounted.v) sock_put(sk)
      return csum_error()
    }
    const ret = udp6_unicast_rcv_skb(sk, skb, uh)
    if (refcounted.v) sock_put(sk)
    return ret
  }
  if (ipv6_addr_is_multicast(daddr)) return __udp6_lib_mcast_deliver(n, skb, saddr, daddr, udptable, proto)
  sk = __udp6_lib_lookup_skb(skb, uh.source, uh.dest, udptable)
  if (sk !== null) return wanted(sk) ? udp6_unicast_rcv_skb(sk, skb, uh) : csum_error()
  if (!uh.check) return csum_error()
  if (!xfrm6_policy_check(null, XFRM_POLICY_IN, skb)) return drop(SKB_DROP_REASON_NOT_SPECIFIED)
  nf_reset_ct(skb)
  if (udp_lib_checksum_complete(skb)) return csum_error()
  UDP6_INC_STATS(n, 'NoPorts')
  if (tracer.on) decide('__udp6_lib_rcv', 'nobody listens', { dport: uh.dest })
  icmpv6_send(skb, ICMPV6_DEST_UNREACH, ICMPV6_PORT_UNREACH, 0)
  sk_skb_reason_drop(sk, skb, SKB_DROP_REASON_NO_SOCKET)
  return 0
})

const __udp6_lib_demux_lookup = kfunc(
  '__udp6_lib_demux_lookup',
  (
    n: net,
    loc_port: number,
    loc_addr: in6_addr,
    rmt_port: number,
    rmt_addr: in6_addr,
    dif: number,
    sdif: number,
  ): sock | null => {
    const hslot2 = udp_hashslot2(table_of(n), ipv6_portaddr_hash(n, loc_addr, loc_port))
    const sk = hslot2.head.next.owner
    return sk !== null && sk.sk_state === TCP_ESTABLISHED && inet6_match(n, sk, rmt_addr, loc_addr, rmt_port, loc_port, dif, sdif)
      ? sk
      : null
  },
)

export const udp_v6_early_demux = kfunc('udp_v6_early_demux', (skb: sk_buff): void => {
  const dev = skb.dev as net_device
  if (!pskb_may_pull(skb, skb_transport_offset(skb) + SIZEOF_UDPHDR)) return
  const uh = udp_hdr(skb)
  if (skb.pkt_type !== PACKET_HOST) return
  const { saddr, daddr } = ipv6_hdr(skb)
  const sk = __udp6_lib_demux_lookup(dev.nd_net, uh.dest, daddr, uh.source, saddr, dev.ifindex, inet6_sdif(skb))
  if (sk === null) return
  skb.sk = sk
  skb.destructor = sock_pfree
  let dst = sk.sk_rx_dst
  if (dst !== null) dst = dst_check(dst, sk.sk_rx_dst_cookie)
  if (dst !== null) skb_dst_set_noref(skb, dst)
})

const udpv6_rcv = kfunc('udpv6_rcv', (skb: sk_buff): number =>
  __udp6_lib_rcv(skb, table_of((skb.dev as net_device).nd_net), IPPROTO_UDP),
)

const udp_v6_flush_pending_frames = kfunc('udp_v6_flush_pending_frames', (sk: sock): void => {
  const up = udp_sk(sk)
  if (up.pending === AF_INET) udp_flush_pending_frames(sk)
  else if (up.pending) {
    up.len = 0
    up.pending = 0
    ip6_flush_pending_frames(sk)
  }
})

const udpv6_pre_connect = kfunc('udpv6_pre_connect', (sk: sock, uaddr: sockaddr, addr_len: number): number => {
  if (addr_len < SIZEOF_SA_FAMILY) return -EINVAL
  if (uaddr.sa_family === AF_INET) {
    if (sk.skc_ipv6only) return -EAFNOSUPPORT
    return addr_len < SIZEOF_SOCKADDR_IN ? -EINVAL : 0
  }
  return addr_len < SIN6_LEN_RFC2133 ? -EINVAL : 0
})
const SIZEOF_SA_FAMILY = 2
const SIZEOF_SOCKADDR_IN = 16

const udp6_hwcsum_outgoing = kfunc(
  'udp6_hwcsum_outgoing',
  (_sk: sock, skb: sk_buff, saddr: in6_addr, daddr: in6_addr, len: number): void => {
    const uh = udp_hdr(skb)
    if (skb_shinfo(skb).frag_list === null) {
      skb.csum_start = skb.transport_header
      skb.csum_offset = 6
      uh.check = ~csum_ipv6_magic(saddr, daddr, len, IPPROTO_UDP, 0) & 0xffff
      return
    }
    const offset = skb_transport_offset(skb)
    let csum = 0
    let hlen = skb.len - offset
    for (let frag = skb_shinfo(skb).frag_list; frag !== null; frag = frag.next) {
      csum = csum_add(csum, frag.csum)
      hlen -= frag.len
    }
    csum = skb_checksum(skb, offset, hlen, csum)
    skb.ip_summed = CHECKSUM_NONE
    uh.check = csum_ipv6_magic(saddr, daddr, len, IPPROTO_UDP, csum) || CSUM_MANGLED_0
  },
)

const udp_v6_send_skb = kfunc('udp_v6_send_skb', (skb: sk_buff, fl6: flowi6, cork: inet_cork): number => {
  const sk = skb.sk as sock
  const n = sock_net(sk)
  const offset = skb_transport_offset(skb)
  const len = skb.len - offset
  const datalen = len - SIZEOF_UDPHDR
  const uh = udp_hdr(skb)
  uh.source = fl6.fl6_sport
  uh.dest = fl6.fl6_dport
  uh.len = len
  uh.check = 0
  const fail = (err: number): number => {
    kfree_skb(skb)
    return err
  }
  let gso = false
  const { gso_size } = cork
  if (gso_size) {
    const hlen = skb_network_header_len(skb) + SIZEOF_UDPHDR
    if (hlen + Math.min(datalen, gso_size) > cork.fragsize) return fail(-EMSGSIZE)
    if (datalen > gso_size * UDP_MAX_SEGMENTS || udp_test_bit(UDP_FLAGS_NO_CHECK6_TX, sk)) return fail(-EINVAL)
    if ((skb_dst(skb) as dst_entry).xfrm !== null) return fail(-EIO)
    if (datalen > gso_size) {
      const shinfo = skb_shinfo(skb)
      shinfo.gso_size = gso_size
      shinfo.gso_type = SKB_GSO_UDP_L4
      shinfo.gso_segs = DIV_ROUND_UP(datalen, gso_size)
      gso = true
    }
  }
  if (!gso && udp_test_bit(UDP_FLAGS_NO_CHECK6_TX, sk)) skb.ip_summed = CHECKSUM_NONE
  else if (gso || skb.ip_summed === CHECKSUM_PARTIAL) udp6_hwcsum_outgoing(sk, skb, fl6.saddr, fl6.daddr, len)
  else uh.check = csum_ipv6_magic(fl6.saddr, fl6.daddr, len, fl6.flowi6_proto, udp_csum(skb)) || CSUM_MANGLED_0
  let err = ip6_send_skb(skb)
  if (err) {
    if (err === -ENOBUFS && !inet_test_bit(INET_FLAGS_RECVERR6, sk)) {
      UDP6_INC_STATS(n, 'SndbufErrors')
      err = 0
    }
  } else UDP6_INC_STATS(n, 'OutDatagrams')
  return err
})

const udp_v6_push_pending_frames = kfunc('udp_v6_push_pending_frames', (sk: sock): number => {
  const up = udp_sk(sk)
  if (up.pending === AF_INET) return udp_push_pending_frames(sk)
  const skb = ip6_finish_skb(sk)
  const { cork } = inet_sk(sk)
  const err = skb === null ? 0 : udp_v6_send_skb(skb, flowi_ip6(cork.fl), cork.base)
  up.len = 0
  up.pending = 0
  return err
})

const udp6_getfrag = (): getfrag_t => ip_generic_getfrag as unknown as getfrag_t

export const udpv6_sendmsg = kfunc('udpv6_sendmsg', (sk: sock, msg: msghdr, len: number): number => {
  const up = udp_sk(sk)
  const inet = inet_sk(sk)
  const np = inet6_sk(sk)
  const n = sock_net(sk)
  const sin6 = msg.msg_name
  const corkreq = udp_test_bit(UDP_FLAGS_CORK, sk) || (msg.msg_flags & MSG_MORE) !== 0
  const ipc6 = new ipcm6_cookie()
  ipc6.gso_size = up.gso_size
  ipc6.sockc.mark = sk.sk_mark
  let addr_len = msg.msg_namelen
  let daddr: in6_addr | null = null
  const fl6 = new flowi6()

  if (sin6 !== null) {
    if (addr_len < SIZEOF_SA_FAMILY) return -EINVAL
    if (sin6.sa_family === AF_INET6) {
      if (addr_len < SIN6_LEN_RFC2133) return -EINVAL
      daddr = sin6.sin6_addr
      if (ipv6_addr_any(daddr) && ipv6_addr_v4mapped(np.saddr)) ipv6_addr_set_v4mapped(0x7f000001, daddr)
    } else if (sin6.sa_family === AF_INET) {
      if (sk.skc_ipv6only) return -ENETUNREACH
      return udp_sendmsg(sk, msg, len)
    } else if (sin6.sa_family === 0) {
      msg.msg_name = null
      msg.msg_namelen = addr_len = 0
    } else return -EINVAL
  } else if (!up.pending) {
    if (sk.sk_state !== TCP_ESTABLISHED) return -EDESTADDRREQ
    daddr = sk_v6_daddr(sk)
  }
  if (daddr !== null && ipv6_addr_v4mapped(daddr)) {
    const sin = new sockaddr()
    sin.sa_family = AF_INET
    sin.sin_port = sin6 !== null ? sin6.sin_port : inet.inet_dport
    sin.sin_addr = s6_addr32(daddr, 3)
    if (sk.skc_ipv6only) return -ENETUNREACH
    msg.msg_name = sin
    msg.msg_namelen = SIZEOF_SOCKADDR_IN
    return udp_sendmsg(sk, msg, len)
  }
  if (len > INT_MAX - SIZEOF_UDPHDR) return -EMSGSIZE
  if (up.pending) {
    if (up.pending === AF_INET) return udp_sendmsg(sk, msg, len)
    lock_sock(sk)
    if (up.pending) {
      const err = append_data(sk, msg, len, ipc6, flowi_ip6(inet.cork.fl), null, corkreq, len)
      // the cork holds the route
      dst_release(null)
      return err
    }
    release_sock(sk)
  }
  const ulen = len + SIZEOF_UDPHDR
  let connected = false
  if (sin6 !== null && daddr !== null) {
    if (sin6.sin_port === 0) return -EINVAL
    fl6.fl6_dport = sin6.sin_port
    if (inet_test_bit(INET_FLAGS_SNDFLOW, sk)) fl6.flowlabel = sin6.sin6_flowinfo & IPV6_FLOWINFO_MASK & ~IPV6_FLOWLABEL_MASK
    if (sk.sk_state === TCP_ESTABLISHED && ipv6_addr_equal(daddr, sk_v6_daddr(sk))) daddr = sk_v6_daddr(sk)
    if (addr_len >= SIZEOF_SOCKADDR_IN6 && sin6.sin6_scope_id && __ipv6_addr_needs_scope_id(__ipv6_addr_type(daddr)))
      fl6.flowi6_oif = sin6.sin6_scope_id
  } else {
    if (sk.sk_state !== TCP_ESTABLISHED) return -EDESTADDRREQ
    fl6.fl6_dport = inet.inet_dport
    daddr = sk_v6_daddr(sk)
    fl6.flowlabel = np.flow_label
    connected = true
  }
  if (!fl6.flowi6_oif) fl6.flowi6_oif = sk.sk_bound_dev_if
  if (!fl6.flowi6_oif) fl6.flowi6_oif = np.sticky_pktinfo.ipi6_ifindex
  fl6.flowi6_uid = sk.sk_uid
  if (msg.msg_controllen) {
    const gso_size: ref<number> = { v: ipc6.gso_size }
    let err = udp_cmsg_send(sk, msg, gso_size)
    ipc6.gso_size = gso_size.v
    if (err > 0) {
      err = ip6_datagram_send_ctl(n, sk, msg, fl6, ipc6)
      connected = false
    }
    if (err < 0) return err
  }
  if (ipc6.opt === null) {
    rcu_read_lock()
    ipc6.opt = np.opt
    rcu_read_unlock()
  }
  fl6.flowi6_proto = sk.sk_protocol
  fl6.flowi6_mark = ipc6.sockc.mark
  fl6.daddr.set(daddr)
  if (ipv6_addr_any(fl6.saddr) && !ipv6_addr_any(np.saddr)) fl6.saddr.set(np.saddr)
  fl6.fl6_sport = inet.inet_sport
  if (ipv6_addr_any(fl6.daddr)) fl6.daddr.set(in6addr_loopback)
  const final_p = fl6_update_dst(fl6, ipc6.opt, new Uint8Array(16))
  if (final_p !== null) connected = false
  if (!fl6.flowi6_oif && ipv6_addr_is_multicast(fl6.daddr)) {
    fl6.flowi6_oif = np.mcast_oif
    connected = false
  } else if (!fl6.flowi6_oif) fl6.flowi6_oif = np.ucast_oif
  security_sk_classify_flow(sk, fl6)
  if (ipc6.tclass <= 0) ipc6.tclass = np.tclass
  fl6.flowlabel = ip6_make_flowinfo(ipc6.tclass, fl6.flowlabel & IPV6_FLOWLABEL_MASK)
  const dst = ip6_sk_dst_lookup_flow(sk, fl6, final_p, connected)
  if (IS_ERR(dst)) return dst
  if (ipc6.hlimit < 0) {
    const hlimit = ipv6_addr_is_multicast(fl6.daddr) ? np.mcast_hops : np.hop_limit
    ipc6.hlimit = hlimit < 0 ? ip6_dst_hoplimit(dst) : hlimit
  }
  const out = (err: number): number => {
    if (!err) return len
    if (err === -ENOBUFS || (sk.sk_socket !== null && sk.sk_socket.flags & (1 << SOCK_NOSPACE))) UDP6_INC_STATS(n, 'SndbufErrors')
    return err
  }
  if (msg.msg_flags & MSG_CONFIRM) {
    if (msg.msg_flags & MSG_PROBE) dst_confirm_neigh(dst, fl6.daddr)
    if (msg.msg_flags & MSG_PROBE && !len) {
      dst_release(dst)
      return 0
    }
  }
  if (!corkreq) {
    const cork = new inet_cork_full()
    flowi_ip6(cork.fl).assign(fl6)
    const skb = ip6_make_skb(sk, udp6_getfrag(), msg, ulen, SIZEOF_UDPHDR, ipc6, dst as rt6_info, msg.msg_flags, cork)
    if (skb === null) return out(0)
    return out(IS_ERR(skb) ? skb : udp_v6_send_skb(skb, flowi_ip6(cork.fl), cork.base))
  }
  lock_sock(sk)
  if (up.pending) {
    release_sock(sk)
    dst_release(dst)
    return -EINVAL
  }
  up.pending = AF_INET6
  const err = append_data(sk, msg, ulen, ipc6, fl6, dst as rt6_info, corkreq, len)
  dst_release(dst)
  return err
})

/** adds to the corked datagram, and sends it when it is complete. Unlocks the socket. */
function append_data(
  sk: sock,
  msg: msghdr,
  ulen: number,
  ipc6: ipcm6_cookie,
  fl6: flowi6,
  rt: rt6_info | null,
  corkreq: boolean,
  len: number,
): number {
  const up = udp_sk(sk)
  up.len += ulen
  const flags = corkreq ? msg.msg_flags | MSG_MORE : msg.msg_flags
  let err = ip6_append_data(sk, udp6_getfrag(), msg, ulen, SIZEOF_UDPHDR, ipc6, fl6, rt, flags)
  if (err) udp_v6_flush_pending_frames(sk)
  else if (!corkreq) err = udp_v6_push_pending_frames(sk)
  else if (skb_queue_empty(sk.sk_write_queue)) up.pending = 0
  release_sock(sk)
  return err || len
}

const udpv6_destruct_sock = kfunc('udpv6_destruct_sock', (sk: sock): void => {
  udp_destruct_common(sk)
  inet6_sock_destruct(sk)
})

const udpv6_init_sock = kfunc('udpv6_init_sock', (sk: sock): number => {
  udp_lib_init_sock(sk)
  sk.sk_destruct = udpv6_destruct_sock
  if (sk.sk_socket !== null) sk.sk_socket.flags |= 1 << SOCK_SUPPORT_ZC
  return 0
})

const udpv6_destroy_sock = kfunc('udpv6_destroy_sock', (sk: sock): void => {
  lock_sock(sk)
  sock_set_flag(sk, SOCK_DEAD)
  udp_v6_flush_pending_frames(sk)
  release_sock(sk)
})

const udpv6_setsockopt = kfunc(
  'udpv6_setsockopt',
  (sk: sock, level: number, optname: number, optval: Uint8Array, optlen: number): number =>
    level === SOL_UDP || level === SOL_SOCKET
      ? udp_lib_setsockopt(sk, level, optname, optval, optlen, udp_v6_push_pending_frames)
      : ipv6_setsockopt(sk, level, optname, optval, optlen),
)
const udpv6_getsockopt = kfunc(
  'udpv6_getsockopt',
  (sk: sock, level: number, optname: number, optval: number, optlen: ref<number>): number =>
    level === SOL_UDP
      ? udp_lib_getsockopt(sk, level, optname, optval, optlen)
      : ipv6_getsockopt(sk, level, optname, optval, optlen),
)

export const udpv6_prot: proto = { name: 'UDPv6', alloc: () => new udp_sock(), obj_size: 1472 }

export function udpv6_prot_init(): void {
  Object.assign(udpv6_prot, udp_prot, {
    name: 'UDPv6',
    obj_size: 1472,
    pre_connect: udpv6_pre_connect,
    connect: ip6_datagram_connect,
    init: udpv6_init_sock,
    destroy: udpv6_destroy_sock,
    setsockopt: udpv6_setsockopt,
    getsockopt: udpv6_getsockopt,
    sendmsg: udpv6_sendmsg,
    recvmsg: udpv6_recvmsg,
    release_cb: ip6_datagram_release_cb,
    rehash: udp_v6_rehash,
    get_port: udp_v6_get_port,
    splice_eof: undefined,
    slab: undefined,
    inuse: 0,
  })
}

export const udpv6_init = kfunc('udpv6_init', (): number => {
  udpv6_encap_needed_key = 0
  udp6_ehash_secret = random.u32()
  inet6_add_protocol({ handler: udpv6_rcv, err_handler: udpv6_err, flags: INET6_PROTO_NOPOLICY | INET6_PROTO_FINAL }, IPPROTO_UDP)
  return inet6_register_protosw({
    type: SOCK_DGRAM,
    protocol: IPPROTO_UDP,
    prot: udpv6_prot,
    ops: inet6_dgram_ops,
    flags: INET_PROTOSW_PERMANENT,
  })
})
