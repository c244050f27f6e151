import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracer } from '../../../trace/tracer.ts'
import {
  IPPROTO_TCP,
  MAX_TCP_HEADER,
  PACKET_HOST,
  PKT_HASH_TYPE_L4,
  SKB_DROP_REASON_NO_SOCKET,
  SKB_DROP_REASON_NOT_SPECIFIED,
  SKB_DROP_REASON_PKT_TOO_SMALL,
  SKB_DROP_REASON_SOCKET_FILTER,
  SKB_DROP_REASON_TCP_CSUM,
  SKB_DROP_REASON_TCP_MINTTL,
  SKB_DROP_REASON_XFRM_POLICY,
  SKB_GSO_TCPV6,
  SOCK_RAW,
  SOCK_STREAM,
  TCP_CLOSE,
  TCP_ESTABLISHED,
  TCP_LISTEN,
  TCP_MTU_REDUCED_DEFERRED,
  TCP_NEW_SYN_RECV,
  TCP_SYN_RECV,
  TCP_SYN_SENT,
  TCP_TIME_WAIT,
  TCPF_CLOSE,
  TCPF_LISTEN,
  TCPOLEN_TIMESTAMP,
  TCPOLEN_TSTAMP_ALIGNED,
} from '../../include/generated/enums.ts'
import { EAFNOSUPPORT, EINVAL, ENETUNREACH, ENOENT } from '../../include/linux/errno.ts'
import { CLOCK_MONOTONIC } from '../../include/linux/hrtimer.ts'
import { ICMPV6_DEST_UNREACH, ICMPV6_NOROUTE, ICMPV6_PKT_TOOBIG, NDISC_REDIRECT } from '../../include/linux/icmpv6.ts'
import { ETH_P_IP } from '../../include/linux/if_ether.ts'
import {
  IPV6_ADDR_LINKLOCAL,
  IPV6_ADDR_MAPPED,
  IPV6_ADDR_MULTICAST,
  IPV6_FLOWINFO_MASK,
  IPV6_MIN_MTU,
  type in6_addr,
  in6addr_loopback,
  ipv6_addr_any,
  ipv6_addr_equal,
  ipv6_addr_set_v4mapped,
  ipv6_addr_v4mapped,
  LOOPBACK4_IPV6,
  SIN6_LEN_RFC2133,
  SIZEOF_SOCKADDR_IN6,
  s6_addr32,
} from '../../include/linux/in6.ts'
import { INET_ECN_ECT_0, INET_ECN_MASK, put_be32 } from '../../include/linux/ip.ts'
import {
  INET_FLAGS_RECVERR6,
  INET_FLAGS_REPFLOW,
  INET_FLAGS_SNDFLOW,
  IP6CB,
  inet6_iif,
  inet6_sdif,
  inet6_sk,
  inet6_test_bit,
  ipv6_hdr,
  ipv6hdr,
  RXOPT_RXFLOW,
  RXOPT_RXHLIM,
  RXOPT_RXINFO,
  RXOPT_RXOHLIM,
  RXOPT_RXOINFO,
  RXOPT_RXTCLASS,
  SIZEOF_IPV6HDR,
  sk_v6_daddr,
  sk_v6_rcv_saddr,
} from '../../include/linux/ipv6.ts'
import { type sockaddr, sockaddr_in } from '../../include/linux/net.ts'
import {
  CHECKSUM_PARTIAL,
  type sk_buff,
  skb_dst,
  skb_reset_transport_header,
  skb_shinfo,
  skb_transport_offset,
} from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC, SLAB_TYPESAFE_BY_RCU } from '../../include/linux/slab.ts'
import { AF_INET6, PF_INET6 } from '../../include/linux/socket.ts'
import { __tcp_hdrlen, tcp_flag_byte, tcp_hdr, tcphdr } from '../../include/linux/tcp.ts'
import { IS_ERR, type ref } from '../../include/linux/types.ts'
import type { dst_entry } from '../../include/net/dst.ts'
import { flowi_ip6, type flowi4, flowi6 } from '../../include/net/flow.ts'
import { type inet_connection_sock_af_ops, inet_csk } from '../../include/net/inet_connection_sock.ts'
import { type inet_request_sock, inet_rsk, inet_sk } from '../../include/net/inet_sock.ts'
import { inet_twsk, tcp_twsk, type timewait_sock_ops } from '../../include/net/inet_timewait_sock.ts'
import type { inet_skb_parm } from '../../include/net/ip.ts'
import { dst_rt6_info } from '../../include/net/ip6_fib.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { ICMP6_INC_STATS, IP6_INC_STATS, net_ipv6 } from '../../include/net/netns_ipv6.ts'
import { inet_reqsk, req_to_sk, type request_sock, type request_sock_ops } from '../../include/net/request_sock.ts'
import { SK_RST_REASON_TCP_TIMEWAIT_SOCKET, sk_rst_convert_drop_reason } from '../../include/net/rstreason.ts'
import type { proto, sock } from '../../include/net/sock.ts'
import {
  type tcp_request_sock_ops as af_specific_ops,
  between,
  TCP_SKB_CB,
  TCP_TW_ACK,
  TCP_TW_RST,
  TCP_TW_SYN,
  type tcp_fastopen_cookie,
  tcp_request_sock,
  tcp_rsk,
  type tcp_seq_and_ts_off,
  tcp_sk,
  tcp_sock,
} from '../../include/net/tcp.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { csum_ipv6_magic } from '../../lib/checksum.ts'
import { kfree } from '../../mm/slub.ts'
import { security_inet_conn_request, security_sk_classify_flow, security_skb_classify_flow } from '../../security/security.ts'
import { netif_index_is_l3_master } from '../core/dev.ts'
import { dst_check, dst_hold_safe, dst_release, skb_dst_dev_net_rcu, skb_dst_set, skb_dst_set_noref } from '../core/dst.ts'
import { register_pernet_subsys } from '../core/net_namespace.ts'
import { trace_tcp_bad_csum, trace_tcp_send_reset } from '../core/net-traces.ts'
import { reqsk_put, tcp_synack_window } from '../core/request_sock.ts'
import { secure_tcpv6_seq_and_ts_off } from '../core/secure_seq.ts'
import {
  __kfree_skb,
  alloc_skb,
  consume_skb,
  kfree_skb,
  nf_reset_ct,
  pskb_may_pull,
  sk_skb_reason_drop,
  skb_checksum_init,
  skb_push,
  skb_reserve,
  skb_set_delivery_time,
  skb_set_hash,
} from '../core/skbuff.ts'
import {
  __sk_dst_check,
  bh_lock_sock,
  bh_lock_sock_nested,
  bh_unlock_sock,
  sk_acceptq_is_full,
  sk_drops_add,
  sk_error_report,
  sk_fullsock,
  sk_incoming_cpu_update,
  sk_set_txhash,
  skb_clone_and_charge_r,
  sock_hold,
  sock_net_uid,
  sock_owned_by_user,
  sock_put,
  sock_rps_save_rxhash,
} from '../core/sock.ts'
import { reuseport_migrate_sock } from '../core/sock_reuseport.ts'
import { inet_ctl_sock_create, inet_sk_rebuild_header } from '../ipv4/af_inet.ts'
import {
  inet_csk_accept,
  inet_csk_get_port,
  inet_csk_prepare_forced_close,
  inet_csk_reqsk_queue_drop_and_put,
} from '../ipv4/inet_connection_sock.ts'
import {
  __inet_inherit_port,
  inet_bhash2_reset_saddr,
  inet_bhash2_update_saddr,
  inet_ehash_nolisten,
  inet_put_port,
  inet_unhash,
  ipv6_only_sock,
  sock_edemux,
} from '../ipv4/inet_hashtables.ts'
import { inet_twsk_deschedule_put, inet_twsk_put } from '../ipv4/inet_timewait_sock.ts'
import { ip_queue_xmit } from '../ipv4/ip_output.ts'
import {
  sysctl_tcp_mem,
  tcp_abort,
  tcp_close,
  tcp_disconnect,
  tcp_done,
  tcp_enter_memory_pressure,
  tcp_getsockopt,
  tcp_inbound_hash,
  tcp_init_sock,
  tcp_ioctl,
  tcp_leave_memory_pressure,
  tcp_memory_allocated,
  tcp_memory_per_cpu_fw_alloc,
  tcp_memory_pressure,
  tcp_orphan_count,
  tcp_recvmsg,
  tcp_sendmsg,
  tcp_set_state,
  tcp_setsockopt,
  tcp_shutdown,
  tcp_sockets_allocated,
  tcp_splice_eof,
} from '../ipv4/tcp.ts'
import { tcp_fastopen_defer_connect } from '../ipv4/tcp_fastopen.ts'
import {
  dst_tcp_usec_ts,
  INET_ECN_is_capable,
  tcp_bpf_ca_needs_ecn,
  tcp_checksum_complete,
  tcp_dst_advmss,
  tcp_listendrop,
  tcp_mss_clamp,
  tcp_parse_auth_options,
  tcp_rsk_tsval,
  tcp_segs_in,
  tcp_transmit_time,
  tcp_tw_tsval,
} from '../ipv4/tcp_inlines.ts'
import {
  tcp_conn_request,
  tcp_done_with_error,
  tcp_initialize_rcv_mss,
  tcp_rcv_established,
  tcp_rcv_state_process,
  tcp_simple_retransmit,
} from '../ipv4/tcp_input.ts'
import {
  inet_sk_rx_dst_set,
  sk_mark_napi_id,
  tcp_add_backlog,
  tcp_filter,
  tcp_ld_RTO_revert,
  tcp_md5_do_lookup,
  tcp_req_err,
  tcp_stream_memory_free,
  tcp_v4_conn_request,
  tcp_v4_connect,
  tcp_v4_destroy_sock,
  tcp_v4_do_rcv,
  tcp_v4_mtu_reduced,
  tcp_v4_send_check,
  tcp_v4_syn_recv_sock,
} from '../ipv4/tcp_ipv4.ts'
import {
  tcp_ca_openreq_child,
  tcp_check_req,
  tcp_child_process,
  tcp_create_openreq_child,
  tcp_timewait_state_process,
  tcp_twsk_destructor,
} from '../ipv4/tcp_minisocks.ts'
import { tcp_connect, tcp_make_synack, tcp_mtu_to_mss, tcp_release_cb, tcp_rtx_synack, tcp_sync_mss } from '../ipv4/tcp_output.ts'
import { tcp_set_keepalive, tcp_syn_ack_timeout } from '../ipv4/tcp_timer.ts'
import { l3mdev_master_ifindex_by_index } from '../l3mdev/l3mdev.ts'
import { XFRM_POLICY_IN, xfrm6_policy_check } from '../xfrm/xfrm_policy.ts'
import { ipv6_addr_type } from './addrconf_core.ts'
import {
  INET_PROTOSW_ICSK,
  INET_PROTOSW_PERMANENT,
  inet6_register_protosw,
  inet6_sk_rebuild_header,
  inet6_stream_ops,
  ipv6_opt_accepted,
} from './af_inet6.ts'
import { ipv6_icmp_error } from './datagram.ts'
import { fl6_update_dst, ipv6_dup_options } from './exthdrs.ts'
import { icmpv6_err_convert } from './icmp.ts'
import { inet6_csk_addr2sockaddr, inet6_csk_route_req, inet6_csk_update_pmtu, inet6_csk_xmit } from './inet6_connection_sock.ts'
import {
  __inet6_lookup_established,
  __inet6_lookup_skb,
  inet6_hash,
  inet6_hash_connect,
  inet6_lookup_listener,
} from './inet6_hashtables.ts'
import { ip6_compute_pseudo } from './ip6_checksum.ts'
import { ip6_dst_lookup_flow, ip6_make_flowinfo, ip6_xmit } from './ip6_output.ts'
import { ip6_min_hopcount, ipv6_getsockopt, ipv6_setsockopt } from './ipv6_sockglue.ts'
import { INET6_PROTO_FINAL, INET6_PROTO_NOPOLICY, inet6_add_protocol } from './protocol.ts'
import {
  dst6_mtu,
  ip6_dst_store,
  ip6_sk_accept_pmtu,
  ipv6_unicast_destination,
  rt6_get_cookie,
  rt6_need_strict,
} from './route.ts'
import { cookie_v6_check, cookie_v6_init_sequence } from './syncookies.ts'

const SIZEOF_TCPHDR = 20
const TCP_CHECK_OFFSET = 16
const TCPOPT_NOP = 1
const TCPOPT_TIMESTAMP = 8
const INADDR_LOOPBACK = 0x7f000001
const FLOWLABEL_REFLECT_TCP_RESET = 2
/** include/net/ip.h: a device's queue that is full tells nobody */
const net_xmit_eval = (e: number): number => (e === 2 ? 0 : e)

export const tcpv6_prot: proto = { name: 'TCPv6', alloc: () => new tcp_sock(), obj_size: 2520 }

/** TCP_SKB_CB(skb)->header.h6 */
const tcp_v6_iif = (skb: sk_buff): number => TCP_SKB_CB(skb).h4.iif

// include/net/ip6_checksum.h

export const tcp_v6_check = kfunc('tcp_v6_check', (len: number, saddr: in6_addr, daddr: in6_addr, base: number): number =>
  csum_ipv6_magic(saddr, daddr, len, IPPROTO_TCP, base),
)

/** leaves the sum of the pseudo header in the segment, and the rest to the device or to skb_checksum_help() */
export const __tcp_v6_send_check = kfunc('__tcp_v6_send_check', (skb: sk_buff, saddr: in6_addr, daddr: in6_addr): void => {
  const th = tcp_hdr(skb)
  th.check = ~tcp_v6_check(skb.len, saddr, daddr, 0) & 0xffff
  skb.csum_start = skb.transport_header
  skb.csum_offset = TCP_CHECK_OFFSET
})

// net/ipv6/tcp_ipv6.c

/** a connected socket remembers the route of what it receives */
const inet6_sk_rx_dst_set = kfunc('inet6_sk_rx_dst_set', (sk: sock, skb: sk_buff): void => {
  const dst = skb_dst(skb)
  if (dst !== null && dst_hold_safe(dst)) {
    sk.sk_rx_dst = dst
    sk.sk_rx_dst_ifindex = skb.skb_iif
    sk.sk_rx_dst_cookie = rt6_get_cookie(dst_rt6_info(dst))
  }
})

const tcp_v6_init_seq_and_ts_off = kfunc('tcp_v6_init_seq_and_ts_off', (n: net, skb: sk_buff): tcp_seq_and_ts_off => {
  const hdr = ipv6_hdr(skb)
  const th = tcp_hdr(skb)
  return secure_tcpv6_seq_and_ts_off(n, hdr.daddr, hdr.saddr, th.dest, th.source)
})

const tcp_v6_pre_connect = kfunc('tcp_v6_pre_connect', (_sk: sock, _uaddr: sockaddr, addr_len: number): number =>
  addr_len < SIN6_LEN_RFC2133 ? -EINVAL : 0,
)

/** sends a SYN; 0 or an error */
const tcp_v6_connect = kfunc('tcp_v6_connect', (sk: sock, usin: sockaddr, addr_len: number): number => {
  const tp = tcp_sk(sk)
  const np = inet6_sk(sk)
  const n = sk.sk_net
  const err_ref = { v: 0 }
  let err: number

  if (addr_len < SIN6_LEN_RFC2133) return -EINVAL
  if (usin.sa_family !== AF_INET6) return -EAFNOSUPPORT

  const fl6 = new flowi6()
  if (inet6_test_bit(INET_FLAGS_SNDFLOW, sk)) {
    fl6.flowlabel = usin.sin6_flowinfo & IPV6_FLOWINFO_MASK
    // a label that nobody has leased: IPV6_FLOWLABEL_MGR is refused
    if (fl6.flowlabel & 0xfffff) return -EINVAL
  }

  const to = usin.sin6_addr
  // connect() to :: means loopback
  if (ipv6_addr_any(to)) {
    if (ipv6_addr_v4mapped(sk_v6_rcv_saddr(sk))) ipv6_addr_set_v4mapped(INADDR_LOOPBACK, to)
    else to.set(in6addr_loopback)
  }

  const addr_type = ipv6_addr_type(to)
  if (addr_type & IPV6_ADDR_MULTICAST) return -ENETUNREACH

  if (addr_type & IPV6_ADDR_LINKLOCAL) {
    if (addr_len >= SIZEOF_SOCKADDR_IN6 && usin.sin6_scope_id) {
      if (sk.sk_bound_dev_if && sk.sk_bound_dev_if !== usin.sin6_scope_id) return -EINVAL
      sk.sk_bound_dev_if = usin.sin6_scope_id
    }
    // an address of the link needs a link
    if (!sk.sk_bound_dev_if) return -EINVAL
  }

  if (tp.rx_opt.ts_recent_stamp && !ipv6_addr_equal(sk_v6_daddr(sk), to)) {
    tp.rx_opt.ts_recent = 0
    tp.rx_opt.ts_recent_stamp = 0
    tp.write_seq = 0
  }

  sk_v6_daddr(sk).set(to)
  np.flow_label = fl6.flowlabel

  failure: {
    if (addr_type & IPV6_ADDR_MAPPED) {
      const exthdrlen = tp.icsk_ext_hdr_len
      if (ipv6_only_sock(sk)) return -ENETUNREACH

      tp.icsk_af_ops = ipv6_mapped
      sk.sk_backlog_rcv = tcp_v4_do_rcv
      err = tcp_v4_connect(sk, sockaddr_in(s6_addr32(to, 3), usin.sin_port), 16)
      if (err) {
        tp.icsk_ext_hdr_len = exthdrlen
        tp.icsk_af_ops = ipv6_specific
        sk.sk_backlog_rcv = tcp_v6_do_rcv
        break failure
      }
      np.saddr.set(sk_v6_rcv_saddr(sk))
      return err
    }

    let saddr: in6_addr | null = ipv6_addr_any(sk_v6_rcv_saddr(sk)) ? null : sk_v6_rcv_saddr(sk)

    fl6.flowi6_proto = IPPROTO_TCP
    fl6.daddr.set(sk_v6_daddr(sk))
    fl6.saddr.set(saddr ?? np.saddr)
    fl6.flowlabel = ip6_make_flowinfo(np.tclass, np.flow_label)
    fl6.flowi6_oif = sk.sk_bound_dev_if
    fl6.flowi6_mark = sk.sk_mark
    fl6.fl6_dport = usin.sin_port
    fl6.fl6_sport = tp.inet_sport
    fl6.flowi6_uid = sk.sk_uid

    const { opt } = np
    const final_p = fl6_update_dst(fl6, opt, new Uint8Array(16))

    security_sk_classify_flow(sk, fl6)

    const dst = ip6_dst_lookup_flow(n, sk, fl6, final_p)
    if (IS_ERR(dst)) {
      err = dst
      break failure
    }

    tp.tcp_usec_ts = dst_tcp_usec_ts(dst) ? 1 : 0
    const tcp_death_row = n.ipv4.tcp_death_row

    if (saddr === null) {
      saddr = fl6.saddr
      err = inet_bhash2_update_saddr(sk, saddr, AF_INET6)
      if (err) break failure
    }

    np.saddr.set(saddr)
    tp.inet_rcv_saddr = LOOPBACK4_IPV6

    sk.sk_gso_type = SKB_GSO_TCPV6
    ip6_dst_store(sk, dst, null, false)

    tp.icsk_ext_hdr_len = 0
    if (opt !== null) tp.icsk_ext_hdr_len = opt.opt_flen + opt.opt_nflen

    tp.rx_opt.mss_clamp = IPV6_MIN_MTU - SIZEOF_TCPHDR - SIZEOF_IPV6HDR

    tp.inet_dport = usin.sin_port

    tcp_set_state(sk, TCP_SYN_SENT)
    late_failure: {
      err = inet6_hash_connect(tcp_death_row, sk)
      if (err) break late_failure

      sk_set_txhash(sk)

      if (!tp.repair) {
        const st = secure_tcpv6_seq_and_ts_off(n, np.saddr, sk_v6_daddr(sk), tp.inet_sport, tp.inet_dport)
        if (!tp.write_seq) tp.write_seq = st.seq
        tp.tsoffset = st.ts_off
      }

      if (tcp_fastopen_defer_connect(sk, err_ref)) return err_ref.v
      err = err_ref.v
      if (err) break late_failure

      err = tcp_connect(sk)
      if (err) break late_failure
      return 0
    }
    tcp_set_state(sk, TCP_CLOSE)
    inet_bhash2_reset_saddr(sk)
  }
  tp.inet_dport = 0
  sk.sk_route_caps = 0n
  return err
})

/** a router could not pass a packet on: the path's MTU is tp.mtu_info now */
const tcp_v6_mtu_reduced = kfunc('tcp_v6_mtu_reduced', (sk: sock): void => {
  if ((1 << sk.sk_state) & (TCPF_LISTEN | TCPF_CLOSE)) return
  const tp = tcp_sk(sk)
  const mtu = tp.mtu_info
  if (tcp_mtu_to_mss(sk, mtu) >= tp.mss_cache) return

  const dst = inet6_csk_update_pmtu(sk, mtu)
  if (dst === null) return

  const dmtu = dst6_mtu(dst)
  if (tp.icsk_pmtu_cookie > dmtu) {
    tcp_sync_mss(sk, dmtu)
    tcp_simple_retransmit(sk)
  }
})

/** an ICMPv6 error about a segment; skb.data is at the IP header of what was sent, its TCP header `offset` bytes behind */
const tcp_v6_err = kfunc(
  'tcp_v6_err',
  (skb: sk_buff, _opt: inet_skb_parm, type: number, code: number, offset: number, info: number): number => {
    if (skb.dev === null) return 0
    const hdr = new ipv6hdr(skb.head.bytes, skb.data)
    const th = new tcphdr(skb.head.bytes, skb.data + offset)
    const n = skb.dev.nd_net
    const err_ref = { v: 0 }

    const { hashinfo } = n.ipv4.tcp_death_row
    const sk = __inet6_lookup_established(n, hashinfo, hdr.daddr, th.dest, hdr.saddr, th.source, skb.dev.ifindex, inet6_sdif(skb))
    if (sk === null) {
      ICMP6_INC_STATS(n, 'InErrors')
      return -ENOENT
    }
    if (sk.sk_state === TCP_TIME_WAIT) {
      inet_twsk_put(inet_twsk(sk))
      return 0
    }
    const { seq } = th
    const fatal = icmpv6_err_convert(type, code, err_ref) !== 0
    const err = err_ref.v
    if (sk.sk_state === TCP_NEW_SYN_RECV) {
      tcp_req_err(sk, seq, fatal)
      return 0
    }

    bh_lock_sock(sk)
    out: {
      if (sock_owned_by_user(sk) && type !== ICMPV6_PKT_TOOBIG) n.mib.linux.LockDroppedIcmps++
      if (sk.sk_state === TCP_CLOSE) break out

      const np = inet6_sk(sk)
      if (ip6_min_hopcount.on && ipv6_hdr(skb).hop_limit < np.min_hopcount) {
        n.mib.linux.TCPMinTTLDrop++
        break out
      }

      const tp = tcp_sk(sk)
      const fastopen = tp.fastopen_rsk
      const snd_una = fastopen !== null ? tcp_rsk(fastopen).snt_isn : tp.snd_una
      if (sk.sk_state !== TCP_LISTEN && !between(seq, snd_una, tp.snd_nxt)) {
        n.mib.linux.OutOfWindowIcmps++
        break out
      }

      if (type === NDISC_REDIRECT) {
        if (!sock_owned_by_user(sk)) {
          const dst = __sk_dst_check(sk, np.dst_cookie)
          if (dst !== null) dst.ops.redirect?.(dst, sk, skb)
        }
        break out
      }

      if (type === ICMPV6_PKT_TOOBIG) {
        if (sk.sk_state === TCP_LISTEN) break out
        if (!ip6_sk_accept_pmtu(sk)) break out
        if (info < IPV6_MIN_MTU) break out
        tp.mtu_info = info
        if (!sock_owned_by_user(sk)) tcp_v6_mtu_reduced(sk)
        else if (!(sk.sk_tsq_flags & (1 << TCP_MTU_REDUCED_DEFERRED))) {
          sk.sk_tsq_flags |= 1 << TCP_MTU_REDUCED_DEFERRED
          sock_hold(sk)
        }
        break out
      }

      if ((sk.sk_state === TCP_SYN_SENT || sk.sk_state === TCP_SYN_RECV) && !(fastopen !== null && fastopen.sk === null)) {
        ipv6_icmp_error(sk, skb, err, th.dest, info, th.off)
        if (!sock_owned_by_user(sk)) tcp_done_with_error(sk, err)
        else sk.sk_err_soft = err
        break out
      }
      if (sk.sk_state !== TCP_LISTEN && fastopen === null && type === ICMPV6_DEST_UNREACH && code === ICMPV6_NOROUTE)
        tcp_ld_RTO_revert(sk, seq)

      if (!sock_owned_by_user(sk) && inet6_test_bit(INET_FLAGS_RECVERR6, sk)) {
        sk.sk_err = err
        sk_error_report(sk)
      } else {
        sk.sk_err_soft = err
      }
    }
    bh_unlock_sock(sk)
    sock_put(sk)
    return 0
  },
)

const ir_v6_loc_addr = (ireq: inet_request_sock): in6_addr => sk_v6_rcv_saddr(ireq)
const ir_v6_rmt_addr = (ireq: inet_request_sock): in6_addr => sk_v6_daddr(ireq)

const tcp_v6_send_synack = kfunc(
  'tcp_v6_send_synack',
  (
    sk: sock,
    dst: dst_entry | null,
    fl: flowi4,
    req: request_sock,
    foc: tcp_fastopen_cookie | null,
    synack_type: number,
    syn_skb: sk_buff | null,
  ): number => {
    const ireq = inet_rsk(req)
    const np = inet6_sk(sk)
    const fl6 = flowi_ip6(fl)
    let err = -12

    const route = dst ?? inet6_csk_route_req(sk, fl6, req, IPPROTO_TCP)
    if (route === null) return err

    const skb = tcp_make_synack(sk, route, req, foc, synack_type, syn_skb)

    if (skb !== null) {
      __tcp_v6_send_check(skb, ir_v6_loc_addr(ireq), ir_v6_rmt_addr(ireq))

      fl6.daddr.set(ir_v6_rmt_addr(ireq))
      if (inet6_test_bit(INET_FLAGS_REPFLOW, sk) && ireq.pktopts !== null)
        fl6.flowlabel = ipv6_hdr(ireq.pktopts).flowinfo & 0xfffff

      let { tclass } = np
      if (sk.sk_net.ipv4.sysctl_tcp_reflect_tos) tclass = (tcp_rsk(req).syn_tos & ~INET_ECN_MASK) | (tclass & INET_ECN_MASK)
      if (!INET_ECN_is_capable(tclass) && tcp_bpf_ca_needs_ecn(req_to_sk(req))) tclass |= INET_ECN_ECT_0

      rcu_read_lock()
      err = ip6_xmit(sk, skb, fl6, skb.mark || sk.sk_mark, np.opt, tclass, sk.sk_priority)
      rcu_read_unlock()
      err = net_xmit_eval(err)
    }
    return err
  },
)

const tcp_v6_reqsk_destructor = kfunc('tcp_v6_reqsk_destructor', (req: request_sock): void => {
  kfree(null)
  consume_skb(inet_rsk(req).pktopts)
  inet_rsk(req).pktopts = null
})

const tcp_v6_md5_do_lookup = kfunc('tcp_v6_md5_do_lookup', (sk: sock, _addr: in6_addr, l3index: number): null =>
  tcp_md5_do_lookup(sk, l3index, 0, AF_INET6),
)

const tcp_v6_md5_lookup = kfunc('tcp_v6_md5_lookup', (sk: sock, addr_sk: sock): null => {
  const l3index = l3mdev_master_ifindex_by_index(sk.sk_net, addr_sk.sk_bound_dev_if)
  return tcp_v6_md5_do_lookup(sk, sk_v6_daddr(addr_sk), l3index)
})

const tcp_v6_init_req = kfunc('tcp_v6_init_req', (req: request_sock, sk_listener: sock, skb: sk_buff, tw_isn: number): void => {
  const ireq = inet_rsk(req)
  const np = inet6_sk(sk_listener)
  const hdr = ipv6_hdr(skb)

  ireq.skc_v6_daddr = hdr.saddr.slice()
  ireq.skc_v6_rcv_saddr = hdr.daddr.slice()

  // an address of the link means something on that link only
  if (!sk_listener.sk_bound_dev_if && ipv6_addr_type(ir_v6_rmt_addr(ireq)) & IPV6_ADDR_LINKLOCAL) ireq.ir_iif = tcp_v6_iif(skb)

  if (
    !tw_isn &&
    (ipv6_opt_accepted(sk_listener, skb, TCP_SKB_CB(skb).h4) ||
      np.rxopt & (RXOPT_RXINFO | RXOPT_RXOINFO | RXOPT_RXHLIM | RXOPT_RXOHLIM) ||
      inet6_test_bit(INET_FLAGS_REPFLOW, sk_listener))
  ) {
    skb.users++
    ireq.pktopts = skb
  }
})

const tcp_v6_route_req = kfunc(
  'tcp_v6_route_req',
  (sk: sock, skb: sk_buff, fl: flowi4, req: request_sock, tw_isn: number): dst_entry | null => {
    tcp_v6_init_req(req, sk, skb, tw_isn)

    if (security_inet_conn_request(sk, skb, req)) return null

    return inet6_csk_route_req(sk, flowi_ip6(fl), req, IPPROTO_TCP)
  },
)

export const tcp6_request_sock_ops: request_sock_ops = {
  family: AF_INET6,
  obj_size: 304,
  slab_name: 'request_sock_TCPv6',
  slab: null,
  alloc: () => new tcp_request_sock(),
} as unknown as request_sock_ops

export const tcp_request_sock_ipv6_ops: af_specific_ops = {
  mss_clamp: IPV6_MIN_MTU - SIZEOF_TCPHDR - SIZEOF_IPV6HDR,
} as unknown as af_specific_ops

/** what tcp_v6_send_response is to say; Linux passes each by itself */
interface response {
  seq: number
  ack: number
  win: number
  tsval: number
  tsecr: number
  oif: number
  rst: number
  tclass: number
  label: number
  priority: number
  txhash: number
}

/** sends a segment without a socket: a reset, or an ACK of a TIME_WAIT or a request */
const tcp_v6_send_response = kfunc('tcp_v6_send_response', (sk: sock | null, skb: sk_buff, r: response): void => {
  const n = sk !== null ? sk.sk_net : skb_dst_dev_net_rcu(skb)
  let tot_len = SIZEOF_TCPHDR
  const ctl_sk = net_ipv6(n).tcp_sk as sock
  const th = tcp_hdr(skb)
  let mark = 0
  let { oif } = r

  if (r.tsecr) tot_len += TCPOLEN_TSTAMP_ALIGNED

  const buff = alloc_skb(MAX_TCP_HEADER, GFP_ATOMIC)
  if (buff === null) return
  skb_reserve(buff, MAX_TCP_HEADER)

  const at = skb_push(buff, tot_len)
  skb_reset_transport_header(buff)
  const b = buff.head.bytes
  b.fill(0, at, at + tot_len)
  const t1 = tcp_hdr(buff)
  t1.dest = th.source
  t1.source = th.dest
  t1.doff = tot_len / 4
  t1.seq = r.seq
  t1.ack_seq = r.ack
  t1.ack = !r.rst || !th.ack ? 1 : 0
  t1.rst = r.rst
  t1.window = r.win

  if (r.tsecr) {
    put_be32(b, at + SIZEOF_TCPHDR, (TCPOPT_NOP << 24) | (TCPOPT_NOP << 16) | (TCPOPT_TIMESTAMP << 8) | TCPOLEN_TIMESTAMP)
    put_be32(b, at + SIZEOF_TCPHDR + 4, r.tsval)
    put_be32(b, at + SIZEOF_TCPHDR + 8, r.tsecr)
  }

  const hdr = ipv6_hdr(skb)
  const fl6 = new flowi6()
  fl6.daddr.set(hdr.saddr)
  fl6.saddr.set(hdr.daddr)
  fl6.flowlabel = r.label

  buff.ip_summed = CHECKSUM_PARTIAL

  __tcp_v6_send_check(buff, fl6.saddr, fl6.daddr)

  fl6.flowi6_proto = IPPROTO_TCP
  if (rt6_need_strict(fl6.daddr) && !oif) fl6.flowi6_oif = tcp_v6_iif(skb)
  else {
    if (!oif && netif_index_is_l3_master(n, skb.skb_iif)) oif = skb.skb_iif
    fl6.flowi6_oif = oif
  }

  if (sk !== null) {
    mark = sk.sk_state === TCP_TIME_WAIT ? inet_twsk(sk).tw_mark : sk.sk_mark
    skb_set_delivery_time(buff, tcp_transmit_time(sk), 1)
  }
  // the flow label comes from it
  if (r.txhash) skb_set_hash(buff, r.txhash, PKT_HASH_TYPE_L4)
  fl6.flowi6_mark = (net_ipv6(n).sysctl.fwmark_reflect ? skb.mark : 0) || mark
  fl6.fl6_dport = t1.dest
  fl6.fl6_sport = t1.source
  fl6.flowi6_uid = sock_net_uid(n, sk !== null && sk_fullsock(sk) ? sk : null)
  security_skb_classify_flow(skb, fl6)

  const dst = ip6_dst_lookup_flow(n, sk !== null && sk.sk_state !== TCP_TIME_WAIT ? sk : ctl_sk, fl6, null)
  if (!IS_ERR(dst)) {
    skb_dst_set(buff, dst)
    ip6_xmit(ctl_sk, buff, fl6, fl6.flowi6_mark, null, r.tclass & ~INET_ECN_MASK, r.priority)
    n.mib.tcp.OutSegs++
    if (r.rst) n.mib.tcp.OutRsts++
    return
  }

  kfree_skb(buff)
})

const md5_hash = { v: 0 }
const aoh = { v: 0 }

/** answers `skb` with a reset; `sk` is a socket, a TIME_WAIT, or null when there is none */
const tcp_v6_send_reset = kfunc('tcp_v6_send_reset', (sk: sock | null, skb: sk_buff, reason: number): void => {
  const th = tcp_hdr(skb)
  const ipv6h = ipv6_hdr(skb)
  let seq = 0
  let ack_seq = 0
  let label = 0
  let priority = 0
  let txhash = 0
  let oif = 0

  if (th.rst) return

  // a socket was found: the packet was for this machine
  if (sk === null && !ipv6_unicast_destination(skb)) return

  const n = sk !== null ? sk.sk_net : skb_dst_dev_net_rcu(skb)
  if (tcp_parse_auth_options(th, md5_hash, aoh)) return
  rcu_read_lock()
  if (sk !== null && sk_fullsock(sk)) {
    tcp_v6_md5_do_lookup(sk, ipv6h.saddr, 0)
  } else if (md5_hash.v >= 0) {
    rcu_read_unlock()
    return
  }

  if (th.ack) seq = th.ack_seq
  else ack_seq = (th.seq + th.syn + th.fin + skb.len - (th.doff << 2)) >>> 0

  if (sk !== null) {
    oif = sk.sk_bound_dev_if
    if (sk_fullsock(sk)) {
      if (inet6_test_bit(INET_FLAGS_REPFLOW, sk)) label = ipv6h.flowinfo & 0xfffff
      priority = sk.sk_priority
      txhash = sk.sk_txhash
    }
    if (sk.sk_state === TCP_TIME_WAIT) {
      const tw = inet_twsk(sk)
      label = tw.tw_flowlabel
      priority = tw.tw_priority
      txhash = tw.tw_txhash
    }
  } else if (net_ipv6(n).sysctl.flowlabel_reflect & FLOWLABEL_REFLECT_TCP_RESET) label = ipv6h.flowinfo & 0xfffff

  if (tracer.on) trace_tcp_send_reset(sk, skb, reason, sk !== null && sk_fullsock(sk))

  const tclass = ipv6h.dsfield
  tcp_v6_send_response(sk, skb, { seq, ack: ack_seq, win: 0, tsval: 0, tsecr: 0, oif, rst: 1, tclass, label, priority, txhash })
  rcu_read_unlock()
})

const tcp_v6_send_ack = kfunc('tcp_v6_send_ack', (sk: sock, skb: sk_buff, r: response): void => {
  tcp_v6_send_response(sk, skb, r)
})

const tcp_v6_timewait_ack = kfunc('tcp_v6_timewait_ack', (sk: sock, skb: sk_buff): void => {
  const tw = tcp_twsk(sk)
  tcp_v6_send_ack(sk, skb, {
    seq: tw.tw_snd_nxt,
    ack: tw.tw_rcv_nxt,
    win: tw.tw_rcv_wnd >>> tw.tw_rcv_wscale,
    tsval: tcp_tw_tsval(tw),
    tsecr: tw.tw_ts_recent,
    oif: tw.tw_bound_dev_if,
    rst: 0,
    tclass: tw.tw_tclass,
    label: tw.tw_flowlabel,
    priority: tw.tw_priority,
    txhash: tw.tw_txhash,
  })
  inet_twsk_put(tw)
})

const tcp_v6_reqsk_send_ack = kfunc('tcp_v6_reqsk_send_ack', (sk: sock, skb: sk_buff, req: request_sock): void => {
  const treq = tcp_rsk(req)
  tcp_v6_send_ack(sk, skb, {
    // with fast open `sk` is the child
    seq: sk.sk_state === TCP_LISTEN ? (treq.snt_isn + 1) >>> 0 : tcp_sk(sk).snd_nxt,
    ack: treq.rcv_nxt,
    win: tcp_synack_window(req) >>> inet_rsk(req).rcv_wscale,
    tsval: tcp_rsk_tsval(treq),
    tsecr: req.ts_recent,
    oif: sk.sk_bound_dev_if,
    rst: 0,
    tclass: ipv6_hdr(skb).dsfield,
    label: 0,
    priority: sk.sk_priority,
    txhash: treq.txhash,
  })
})

const tcp_v6_cookie_check = kfunc('tcp_v6_cookie_check', (sk: sock, skb: sk_buff): sock | null =>
  tcp_hdr(skb).syn ? sk : cookie_v6_check(sk, skb),
)

const tcp_v6_conn_request = kfunc('tcp_v6_conn_request', (sk: sock, skb: sk_buff): number => {
  if (skb.protocol === ETH_P_IP) return tcp_v4_conn_request(sk, skb)

  if (!ipv6_unicast_destination(skb)) {
    tcp_listendrop(sk)
    return 0
  }

  if (ipv6_addr_v4mapped(ipv6_hdr(skb).saddr)) {
    IP6_INC_STATS(sk.sk_net, 'InHdrErrors')
    return 0
  }

  return tcp_conn_request(tcp6_request_sock_ops, tcp_request_sock_ipv6_ops, sk, skb)
})

const tcp_v6_restore_cb = kfunc('tcp_v6_restore_cb', (skb: sk_buff): void => {
  IP6CB(skb).assign(TCP_SKB_CB(skb).h4)
})

/** the child of an IPv6 listener that speaks IPv4 */
const tcp_v6_mapped_child_init = kfunc('tcp_v6_mapped_child_init', (newsk: sock, sk: sock): void => {
  const newinet = inet_sk(newsk)
  const newnp = inet6_sk(sk).clone()
  newinet.pinet6 = newnp
  newnp.saddr.set(sk_v6_rcv_saddr(newsk))
  inet_csk(newsk).icsk_af_ops = ipv6_mapped
  newsk.sk_backlog_rcv = tcp_v4_do_rcv
  newnp.mcast_oif = newinet.mc_index
  newnp.mcast_hops = newinet.mc_ttl
  newnp.rcv_flowinfo = 0
  if (inet6_test_bit(INET_FLAGS_REPFLOW, sk)) newnp.flow_label = 0
})

/** the handshake is done: makes the socket; own_req.v says whether it got the request's place in the hash table */
const tcp_v6_syn_recv_sock = kfunc(
  'tcp_v6_syn_recv_sock',
  (
    sk: sock,
    skb: sk_buff,
    req: request_sock,
    dst_in: dst_entry | null,
    req_unhash: request_sock | null,
    own_req: ref<boolean>,
    _opt_child_init: ((newsk: sock, sk: sock) => void) | null,
  ): sock | null => {
    const np = inet6_sk(sk)
    const n = sk.sk_net
    const found_dup_sk = { v: false }
    let dst = dst_in

    if (skb.protocol === ETH_P_IP) return tcp_v4_syn_recv_sock(sk, skb, req, dst, req_unhash, own_req, tcp_v6_mapped_child_init)

    const ireq = inet_rsk(req)

    if (sk_acceptq_is_full(sk)) {
      n.mib.linux.ListenOverflows++
      if (tracer.on)
        decide('tcp_v6_syn_recv_sock', 'accept queue full', { queued: sk.sk_ack_backlog, backlog: sk.sk_max_ack_backlog })
      dst_release(dst)
      tcp_listendrop(sk)
      return null
    }

    if (dst === null) {
      dst = inet6_csk_route_req(sk, new flowi6(), req, IPPROTO_TCP)
      if (dst === null) {
        tcp_listendrop(sk)
        return null
      }
    }

    let newsk = tcp_create_openreq_child(sk, req, skb)
    if (newsk === null) {
      dst_release(dst)
      tcp_listendrop(sk)
      return null
    }

    newsk.sk_gso_type = SKB_GSO_TCPV6
    inet6_sk_rx_dst_set(newsk, skb)

    const newtp = tcp_sk(newsk)
    const newnp = np.clone()
    newtp.pinet6 = newnp
    newtp.inet_opt = null

    ip6_dst_store(newsk, dst, null, false)

    sk_v6_daddr(newsk).set(ir_v6_rmt_addr(ireq))
    newnp.saddr.set(ir_v6_loc_addr(ireq))
    sk_v6_rcv_saddr(newsk).set(ir_v6_loc_addr(ireq))
    newsk.sk_bound_dev_if = ireq.ir_iif

    const hdr = ipv6_hdr(skb)
    newnp.mcast_oif = tcp_v6_iif(skb)
    newnp.mcast_hops = hdr.hop_limit
    newnp.rcv_flowinfo = hdr.flowinfo
    if (inet6_test_bit(INET_FLAGS_REPFLOW, sk)) newnp.flow_label = hdr.flowinfo & 0xfffff

    if (n.ipv4.sysctl_tcp_reflect_tos) newnp.tclass = tcp_rsk(req).syn_tos & ~INET_ECN_MASK

    let { opt } = np
    if (opt !== null) {
      opt = ipv6_dup_options(newsk, opt)
      newnp.opt = opt
    }
    newtp.icsk_ext_hdr_len = 0
    if (opt !== null) newtp.icsk_ext_hdr_len = opt.opt_nflen + opt.opt_flen

    tcp_ca_openreq_child(newsk, dst)

    tcp_sync_mss(newsk, dst6_mtu(dst))
    newtp.advmss = tcp_mss_clamp(tcp_sk(sk), tcp_dst_advmss(dst))

    tcp_initialize_rcv_mss(newsk)

    newtp.inet_daddr = LOOPBACK4_IPV6
    newtp.inet_saddr = LOOPBACK4_IPV6
    newtp.inet_rcv_saddr = LOOPBACK4_IPV6

    const l3index = l3mdev_master_ifindex_by_index(n, ireq.ir_iif)
    tcp_v6_md5_do_lookup(sk, sk_v6_daddr(newsk), l3index)

    if (__inet_inherit_port(sk, newsk) < 0) {
      inet_csk_prepare_forced_close(newsk)
      tcp_done(newsk)
      tcp_listendrop(sk)
      return null
    }
    own_req.v = inet_ehash_nolisten(newsk, req_unhash, found_dup_sk)
    if (own_req.v) {
      // tcp_move_syn()
      newtp.saved_syn = req.saved_syn
      req.saved_syn = null

      // the options of the SYN, when the socket wants them
      if (ireq.pktopts !== null) {
        newnp.pktoptions = skb_clone_and_charge_r(ireq.pktopts, newsk)
        consume_skb(ireq.pktopts)
        ireq.pktopts = null
        if (newnp.pktoptions !== null) tcp_v6_restore_cb(newnp.pktoptions)
      }
    } else if (req_unhash === null && found_dup_sk.v) {
      bh_unlock_sock(newsk)
      sock_put(newsk)
      newsk = null
    }
    return newsk
  },
)

function dst_ops_check(dst: dst_entry, cookie: number): dst_entry | null {
  const { check } = dst.ops
  if (tracer.on) traceIndirect('dst->ops->check', nameOf(check))
  return check === undefined ? dst : check(dst, cookie)
}

/** keeps the options that came with the last segment, for IPV6_PKTOPTIONS */
function latch_pktoptions(sk: sock, skb: sk_buff): void {
  const np = inet6_sk(sk)
  const tp = tcp_sk(sk)
  let opt_skb: sk_buff | null = skb
  if (TCP_SKB_CB(skb).end_seq === tp.rcv_nxt && !((1 << sk.sk_state) & (TCPF_CLOSE | TCPF_LISTEN))) {
    if (np.rxopt & (RXOPT_RXINFO | RXOPT_RXOINFO)) np.mcast_oif = tcp_v6_iif(skb)
    if (np.rxopt & (RXOPT_RXHLIM | RXOPT_RXOHLIM)) np.mcast_hops = ipv6_hdr(skb).hop_limit
    if (np.rxopt & (RXOPT_RXFLOW | RXOPT_RXTCLASS)) np.rcv_flowinfo = ipv6_hdr(skb).flowinfo
    if (inet6_test_bit(INET_FLAGS_REPFLOW, sk)) np.flow_label = ipv6_hdr(skb).flowinfo & 0xfffff
    const old = np.pktoptions
    if (ipv6_opt_accepted(sk, skb, TCP_SKB_CB(skb).h4)) {
      tcp_v6_restore_cb(skb)
      np.pktoptions = skb
    } else {
      __kfree_skb(skb)
      np.pktoptions = null
    }
    opt_skb = old
  }
  consume_skb(opt_skb)
}

/** a segment for `sk`, which is locked unless it listens; also the way out of the backlog */
export const tcp_v6_do_rcv = kfunc('tcp_v6_do_rcv', (sk: sock, skb: sk_buff): number => {
  const np = inet6_sk(sk)
  let opt_skb: sk_buff | null = null
  let reason: number

  if (skb.protocol === ETH_P_IP) return tcp_v4_do_rcv(sk, skb)

  if (np.rxopt && !((1 << sk.sk_state) & (TCPF_LISTEN | TCPF_CLOSE))) opt_skb = skb_clone_and_charge_r(skb, sk)

  if (sk.sk_state === TCP_ESTABLISHED) {
    const dst = sk.sk_rx_dst

    sock_rps_save_rxhash(sk, skb)
    sk_mark_napi_id(sk, skb)
    if (dst !== null) {
      if (sk.sk_rx_dst_ifindex !== skb.skb_iif || dst_ops_check(dst, sk.sk_rx_dst_cookie) === null) {
        sk.sk_rx_dst = null
        dst_release(dst)
      }
    }

    tcp_rcv_established(sk, skb)
    if (opt_skb !== null) latch_pktoptions(sk, opt_skb)
    return 0
  }

  discard: {
    if (tcp_checksum_complete(skb)) {
      reason = SKB_DROP_REASON_TCP_CSUM
      if (tracer.on) trace_tcp_bad_csum(skb)
      sk.sk_net.mib.tcp.InCsumErrors++
      sk.sk_net.mib.tcp.InErrs++
      break discard
    }

    reset: {
      if (sk.sk_state === TCP_LISTEN) {
        const nsk = tcp_v6_cookie_check(sk, skb)

        if (nsk !== sk) {
          if (nsk !== null) {
            reason = tcp_child_process(sk, nsk, skb)
            if (reason) break reset
          }
          return 0
        }
      } else {
        sock_rps_save_rxhash(sk, skb)
      }

      reason = tcp_rcv_state_process(sk, skb)
      if (reason) break reset
      if (opt_skb !== null) latch_pktoptions(sk, opt_skb)
      return 0
    }
    tcp_v6_send_reset(sk, skb, sk_rst_convert_drop_reason(reason))
  }
  if (opt_skb !== null) __kfree_skb(opt_skb)
  sk_skb_reason_drop(sk, skb, reason)
  return 0
})

const tcp_v6_fill_cb = kfunc('tcp_v6_fill_cb', (skb: sk_buff, hdr: ipv6hdr, th: tcphdr): void => {
  const cb = TCP_SKB_CB(skb)
  cb.h4.assign(IP6CB(skb))

  cb.seq = th.seq
  cb.end_seq = (cb.seq + th.syn + th.fin + skb.len - th.doff * 4) >>> 0
  cb.ack_seq = th.ack_seq
  cb.tcp_flags = tcp_flag_byte(th)
  cb.ip_dsfield = hdr.dsfield
  cb.sacked = 0
  cb.has_rxtstamp = skb.tstamp || skb_shinfo(skb).hwtstamps ? 1 : 0
})

// what tcp_v6_rcv goes on with
const DISCARD_IT = 0
const CSUM_ERROR = 1
const BAD_PACKET = 2
const NO_TCP_SOCKET = 3
const DO_TIME_WAIT = 4
const PROCESS = 5
const DISCARD_AND_RELSE = 6

const refcounted = { v: false }
const drop_reason = { v: 0 }

/** a TCP segment from IPv6; skb.data is at the TCP header */
export const tcp_v6_rcv = kfunc('tcp_v6_rcv', (skb: sk_buff): number => {
  if (skb.dev === null) return 0
  const n = skb.dev.nd_net
  const sdif = inet6_sdif(skb)
  const dif = inet6_iif(skb)
  let sk: sock | null = null
  let isn = 0
  let next = DISCARD_IT
  // kept here while softirqs may nest
  let counted = false
  let reason = SKB_DROP_REASON_NOT_SPECIFIED

  receive: {
    if (skb.pkt_type !== PACKET_HOST) break receive

    n.mib.tcp.InSegs++

    if (!pskb_may_pull(skb, SIZEOF_TCPHDR)) break receive

    const doff = (skb.head.bytes[skb.data + 12] ?? 0) >> 4
    if (doff < SIZEOF_TCPHDR / 4) {
      reason = SKB_DROP_REASON_PKT_TOO_SMALL
      next = BAD_PACKET
      break receive
    }
    if (!pskb_may_pull(skb, doff * 4)) break receive

    if (skb_checksum_init(skb, IPPROTO_TCP, ip6_compute_pseudo)) {
      next = CSUM_ERROR
      break receive
    }
    next = PROCESS
  }

  let th = new tcphdr(skb.head.bytes, skb.data)
  let hdr = ipv6_hdr(skb)

  while (next === PROCESS) {
    const { hashinfo } = n.ipv4.tcp_death_row
    sk = __inet6_lookup_skb(hashinfo, skb, __tcp_hdrlen(th), th.source, th.dest, inet6_iif(skb), sdif, refcounted)
    counted = refcounted.v
    if (sk === null) {
      next = NO_TCP_SOCKET
      break
    }

    if (sk.sk_state === TCP_TIME_WAIT) {
      next = DO_TIME_WAIT
      break
    }

    if (sk.sk_state === TCP_NEW_SYN_RECV) {
      const req = inet_reqsk(sk)
      const req_stolen = { v: false }
      let nsk: sock | null = null

      sk = req.rsk_listener as sock
      if (!xfrm6_policy_check(sk, XFRM_POLICY_IN, skb)) reason = SKB_DROP_REASON_XFRM_POLICY
      else reason = tcp_inbound_hash(sk, req, skb, hdr.saddr, hdr.daddr, AF_INET6, dif, sdif)
      if (reason) {
        sk_drops_add(sk, skb)
        reqsk_put(req)
        next = DISCARD_IT
        break
      }
      if (tcp_checksum_complete(skb)) {
        reqsk_put(req)
        next = CSUM_ERROR
        break
      }
      if (sk.sk_state !== TCP_LISTEN) {
        nsk = reuseport_migrate_sock(sk, req_to_sk(req), skb)
        if (nsk === null) {
          inet_csk_reqsk_queue_drop_and_put(sk, req)
          continue
        }
        sk = nsk
      } else {
        sock_hold(sk)
      }
      counted = true
      nsk = null
      if (!tcp_filter(sk, skb)) {
        th = new tcphdr(skb.head.bytes, skb.data)
        hdr = ipv6_hdr(skb)
        tcp_v6_fill_cb(skb, hdr, th)
        nsk = tcp_check_req(sk, skb, req, false, req_stolen)
      } else {
        reason = SKB_DROP_REASON_SOCKET_FILTER
      }
      if (nsk === null) {
        reqsk_put(req)
        if (req_stolen.v) {
          tcp_v6_restore_cb(skb)
          sock_put(sk)
          continue
        }
        next = DISCARD_AND_RELSE
        break
      }
      nf_reset_ct(skb)
      if (nsk === sk) {
        reqsk_put(req)
        tcp_v6_restore_cb(skb)
      } else {
        reason = tcp_child_process(sk, nsk, skb)
        if (reason) {
          tcp_v6_send_reset(nsk, skb, sk_rst_convert_drop_reason(reason))
          next = DISCARD_AND_RELSE
          break
        }
        sock_put(sk)
        return 0
      }
    }
    break
  }

  for (;;) {
    if (next === PROCESS && sk !== null) {
      if (ip6_min_hopcount.on && hdr.hop_limit < inet6_sk(sk).min_hopcount) {
        n.mib.linux.TCPMinTTLDrop++
        reason = SKB_DROP_REASON_TCP_MINTTL
        next = DISCARD_AND_RELSE
        break
      }

      if (!xfrm6_policy_check(sk, XFRM_POLICY_IN, skb)) {
        reason = SKB_DROP_REASON_XFRM_POLICY
        next = DISCARD_AND_RELSE
        break
      }

      reason = tcp_inbound_hash(sk, null, skb, hdr.saddr, hdr.daddr, AF_INET6, dif, sdif)
      if (reason) {
        next = DISCARD_AND_RELSE
        break
      }

      nf_reset_ct(skb)

      if (tcp_filter(sk, skb)) {
        reason = SKB_DROP_REASON_SOCKET_FILTER
        next = DISCARD_AND_RELSE
        break
      }
      th = new tcphdr(skb.head.bytes, skb.data)
      hdr = ipv6_hdr(skb)
      tcp_v6_fill_cb(skb, hdr, th)
      TCP_SKB_CB(skb).tcp_tw_isn = isn

      skb.dev = null

      let ret = 0
      if (sk.sk_state === TCP_LISTEN) {
        ret = tcp_v6_do_rcv(sk, skb)
        if (counted) sock_put(sk)
        return ret ? -1 : 0
      }

      sk_incoming_cpu_update(sk)

      bh_lock_sock_nested(sk)
      tcp_segs_in(tcp_sk(sk), skb)
      if (!sock_owned_by_user(sk)) {
        ret = tcp_v6_do_rcv(sk, skb)
      } else {
        drop_reason.v = reason
        if (tcp_add_backlog(sk, skb, drop_reason)) {
          reason = drop_reason.v
          next = DISCARD_AND_RELSE
          break
        }
      }
      bh_unlock_sock(sk)
      if (counted) sock_put(sk)
      return ret ? -1 : 0
    }

    if (next === DO_TIME_WAIT && sk !== null) {
      const tw = inet_twsk(sk)
      next = DISCARD_IT
      if (!xfrm6_policy_check(null, XFRM_POLICY_IN, skb)) {
        reason = SKB_DROP_REASON_XFRM_POLICY
        inet_twsk_put(tw)
        break
      }

      tcp_v6_fill_cb(skb, hdr, th)

      if (tcp_checksum_complete(skb)) {
        inet_twsk_put(tw)
        next = CSUM_ERROR
        break
      }
      const tw_isn = { v: 0 }
      const status = tcp_timewait_state_process(tw, skb, th, tw_isn)
      if (status === TCP_TW_SYN) {
        const { hashinfo } = n.ipv4.tcp_death_row
        const { saddr, daddr } = ipv6_hdr(skb)
        const sk2 = inet6_lookup_listener(
          n,
          hashinfo,
          skb,
          __tcp_hdrlen(th),
          saddr,
          th.source,
          daddr,
          th.dest,
          tcp_v6_iif(skb),
          sdif,
        )
        if (sk2 !== null) {
          inet_twsk_deschedule_put(tw)
          sk = sk2
          tcp_v6_restore_cb(skb)
          counted = false
          isn = tw_isn.v
          next = PROCESS
          continue
        }
      }
      if (status === TCP_TW_SYN || status === TCP_TW_ACK) {
        tcp_v6_timewait_ack(sk, skb)
      } else if (status === TCP_TW_RST) {
        tcp_v6_send_reset(sk, skb, SK_RST_REASON_TCP_TIMEWAIT_SOCKET)
        inet_twsk_deschedule_put(tw)
      }
    }
    break
  }

  if (next === NO_TCP_SOCKET) {
    reason = SKB_DROP_REASON_NO_SOCKET
    if (xfrm6_policy_check(null, XFRM_POLICY_IN, skb)) {
      tcp_v6_fill_cb(skb, hdr, th)

      if (tcp_checksum_complete(skb)) next = CSUM_ERROR
      else tcp_v6_send_reset(null, skb, sk_rst_convert_drop_reason(reason))
    }
  }
  if (next === CSUM_ERROR) {
    reason = SKB_DROP_REASON_TCP_CSUM
    if (tracer.on) trace_tcp_bad_csum(skb)
    n.mib.tcp.InCsumErrors++
  }
  if (next === CSUM_ERROR || next === BAD_PACKET) n.mib.tcp.InErrs++
  if (next === DISCARD_AND_RELSE && sk !== null) {
    sk_drops_add(sk, skb)
    if (counted) sock_put(sk)
  }
  sk_skb_reason_drop(sk, skb, reason || SKB_DROP_REASON_NOT_SPECIFIED)
  return 0
})

/** finds the connection of a packet before its route: a connected socket knows the route */
export const tcp_v6_early_demux = kfunc('tcp_v6_early_demux', (skb: sk_buff): void => {
  if (skb.dev === null) return
  const n = skb.dev.nd_net

  if (skb.pkt_type !== PACKET_HOST) return

  if (!pskb_may_pull(skb, skb_transport_offset(skb) + SIZEOF_TCPHDR)) return

  const hdr = ipv6_hdr(skb)
  const th = tcp_hdr(skb)

  if (th.doff < SIZEOF_TCPHDR / 4) return

  const { hashinfo } = n.ipv4.tcp_death_row
  const sk = __inet6_lookup_established(n, hashinfo, hdr.saddr, th.source, hdr.daddr, th.dest, inet6_iif(skb), inet6_sdif(skb))
  if (sk === null) return
  skb.sk = sk
  skb.destructor = sock_edemux
  if (!sk_fullsock(sk)) return
  let dst = sk.sk_rx_dst
  if (dst !== null) dst = dst_check(dst, sk.sk_rx_dst_cookie)
  if (dst !== null && sk.sk_rx_dst_ifindex === skb.skb_iif) skb_dst_set_noref(skb, dst)
})

const tcp6_timewait_sock_ops: timewait_sock_ops = {
  twsk_slab: null,
  twsk_slab_name: 'tw_sock_TCPv6',
  twsk_obj_size: 256,
  twsk_destructor: null,
}

export const tcp_v6_send_check = kfunc('tcp_v6_send_check', (sk: sock, skb: sk_buff): void => {
  __tcp_v6_send_check(skb, sk_v6_rcv_saddr(sk), sk_v6_daddr(sk))
})

/** filled by tcpv6_init */
export const ipv6_specific: inet_connection_sock_af_ops = {
  net_header_len: SIZEOF_IPV6HDR,
} as unknown as inet_connection_sock_af_ops
/** IPv4 by way of an IPv6 socket */
export const ipv6_mapped: inet_connection_sock_af_ops = { net_header_len: 20 } as unknown as inet_connection_sock_af_ops

const tcp_v6_init_sock = kfunc('tcp_v6_init_sock', (sk: sock): number => {
  const icsk = inet_csk(sk)

  tcp_init_sock(sk)

  icsk.icsk_af_ops = ipv6_specific

  return 0
})

/** gives the tables their functions; before proto_register() */
export function tcpv6_prot_init(): void {
  tcp6_timewait_sock_ops.twsk_slab = null
  tcp6_timewait_sock_ops.twsk_destructor = tcp_twsk_destructor
  const rsk: Partial<request_sock_ops> = {
    slab: null,
    rtx_syn_ack: tcp_rtx_synack,
    send_ack: tcp_v6_reqsk_send_ack,
    destructor: tcp_v6_reqsk_destructor,
    send_reset: tcp_v6_send_reset,
    syn_ack_timeout: tcp_syn_ack_timeout,
  }
  Object.assign(tcp6_request_sock_ops, rsk)
  const treq: Partial<af_specific_ops> = {
    req_md5_lookup: tcp_v6_md5_lookup,
    cookie_init_seq: cookie_v6_init_sequence,
    route_req: tcp_v6_route_req,
    init_seq_and_ts_off: tcp_v6_init_seq_and_ts_off,
    send_synack: tcp_v6_send_synack,
  }
  Object.assign(tcp_request_sock_ipv6_ops, treq)
  const af: inet_connection_sock_af_ops = {
    queue_xmit: inet6_csk_xmit,
    send_check: tcp_v6_send_check,
    rebuild_header: inet6_sk_rebuild_header,
    sk_rx_dst_set: inet6_sk_rx_dst_set,
    conn_request: tcp_v6_conn_request,
    syn_recv_sock: tcp_v6_syn_recv_sock,
    net_header_len: SIZEOF_IPV6HDR,
    setsockopt: ipv6_setsockopt,
    getsockopt: ipv6_getsockopt,
    addr2sockaddr: inet6_csk_addr2sockaddr,
    mtu_reduced: tcp_v6_mtu_reduced,
  }
  Object.assign(ipv6_specific, af)
  Object.assign(ipv6_mapped, af, {
    queue_xmit: ip_queue_xmit,
    send_check: tcp_v4_send_check,
    rebuild_header: inet_sk_rebuild_header,
    sk_rx_dst_set: inet_sk_rx_dst_set,
    net_header_len: 20,
    mtu_reduced: tcp_v4_mtu_reduced,
  })
  const p: Omit<proto, 'name' | 'alloc' | 'obj_size'> = {
    close: tcp_close,
    pre_connect: tcp_v6_pre_connect,
    connect: tcp_v6_connect,
    disconnect: tcp_disconnect,
    accept: inet_csk_accept,
    ioctl: tcp_ioctl,
    init: tcp_v6_init_sock,
    destroy: tcp_v4_destroy_sock,
    shutdown: tcp_shutdown,
    setsockopt: tcp_setsockopt,
    getsockopt: tcp_getsockopt,
    keepalive: tcp_set_keepalive,
    recvmsg: tcp_recvmsg,
    sendmsg: tcp_sendmsg,
    splice_eof: tcp_splice_eof,
    backlog_rcv: tcp_v6_do_rcv,
    release_cb: tcp_release_cb,
    hash: inet6_hash,
    unhash: inet_unhash,
    get_port: inet_csk_get_port,
    put_port: inet_put_port,
    enter_memory_pressure: tcp_enter_memory_pressure,
    leave_memory_pressure: tcp_leave_memory_pressure,
    stream_memory_free: tcp_stream_memory_free,
    sockets_allocated: tcp_sockets_allocated,
    orphan_count: tcp_orphan_count,
    memory_allocated: tcp_memory_allocated,
    per_cpu_fw_alloc: tcp_memory_per_cpu_fw_alloc,
    memory_pressure: tcp_memory_pressure,
    sysctl_mem: sysctl_tcp_mem,
    sysctl_wmem_offset: (n) => n.ipv4.sysctl_tcp_wmem[0],
    sysctl_rmem_offset: (n) => n.ipv4.sysctl_tcp_rmem[0],
    max_header: MAX_TCP_HEADER,
    slab_flags: SLAB_TYPESAFE_BY_RCU,
    twsk_prot: tcp6_timewait_sock_ops,
    rsk_prot: tcp6_request_sock_ops,
    h: null,
    no_autobind: true,
    diag_destroy: tcp_abort,
    inuse: 0,
  }
  Object.assign(tcpv6_prot, p)
}

const tcpv6_net_init = kfunc('tcpv6_net_init', (n: net): number => {
  const skp: ref<sock | null> = { v: null }
  const res = inet_ctl_sock_create(skp, PF_INET6, SOCK_RAW, IPPROTO_TCP, n)
  if (!res && skp.v !== null) {
    net_ipv6(n).tcp_sk = skp.v
    skp.v.sk_clockid = CLOCK_MONOTONIC
  }
  return res
})

export const tcpv6_init = kfunc('tcpv6_init', (): number => {
  inet6_add_protocol(
    { handler: tcp_v6_rcv, err_handler: tcp_v6_err, flags: INET6_PROTO_NOPOLICY | INET6_PROTO_FINAL },
    IPPROTO_TCP,
  )
  inet6_register_protosw({
    type: SOCK_STREAM,
    protocol: IPPROTO_TCP,
    prot: tcpv6_prot,
    ops: inet6_stream_ops,
    flags: INET_PROTOSW_PERMANENT | INET_PROTOSW_ICSK,
  })
  return register_pernet_subsys({ init: tcpv6_net_init })
})
