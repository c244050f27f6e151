import { InternalError, kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracepoint, tracer } from '../../../trace/tracer.ts'
import { get_random_u16 } from '../../drivers/char/random.ts'
import {
  HZ,
  ICSK_TIME_RETRANS,
  IPPROTO_TCP,
  MAX_TCP_HEADER,
  PACKET_HOST,
  SKB_DROP_REASON_NO_SOCKET,
  SKB_DROP_REASON_NOT_SPECIFIED,
  SKB_DROP_REASON_PKT_TOO_SMALL,
  SKB_DROP_REASON_SOCKET_BACKLOG,
  SKB_DROP_REASON_SOCKET_FILTER,
  SKB_DROP_REASON_TCP_CSUM,
  SKB_DROP_REASON_TCP_MINTTL,
  SKB_DROP_REASON_XFRM_POLICY,
  SKB_GSO_TCPV4,
  SOCK_RAW,
  SOCK_USE_WRITE_QUEUE,
  TCP_CLOSE,
  TCP_ESTABLISHED,
  TCP_FIN_WAIT2,
  TCP_LISTEN,
  TCP_MTU_REDUCED_DEFERRED,
  TCP_NEW_SYN_RECV,
  TCP_RTO_MAX,
  TCP_RTO_MIN,
  TCP_SYN_RECV,
  TCP_SYN_SENT,
  TCP_TIME_WAIT,
  TCP_TIMEOUT_INIT,
  TCPF_CLOSE,
  TCPF_LISTEN,
  TCPHDR_ACK,
  TCPHDR_CWR,
  TCPHDR_ECE,
  TCPHDR_RST,
  TCPHDR_SYN,
  TCPHDR_URG,
  TCPOLEN_TIMESTAMP,
  TCPOLEN_TSTAMP_ALIGNED,
} from '../../include/generated/enums.ts'
import { EAFNOSUPPORT, EHOSTUNREACH, EINVAL, EMSGSIZE, ENETUNREACH, ENOENT, EPROTO } from '../../include/linux/errno.ts'
import { CLOCK_MONOTONIC } from '../../include/linux/hrtimer.ts'
import {
  ICMP_DEST_UNREACH,
  ICMP_FRAG_NEEDED,
  ICMP_HOST_UNREACH,
  ICMP_NET_UNREACH,
  ICMP_PARAMETERPROB,
  ICMP_REDIRECT,
  ICMP_SOURCE_QUENCH,
  ICMP_TIME_EXCEEDED,
  icmp_hdr,
  NR_ICMP_UNREACH,
} from '../../include/linux/icmp.ts'
import { IP_PMTUDISC_DO, IP_PMTUDISC_DONT, ipv4_is_loopback } from '../../include/linux/in.ts'
import { RTCF_BROADCAST, RTCF_MULTICAST } from '../../include/linux/in_route.ts'
import { core_initcall } from '../../include/linux/init.ts'
import { INET_ECN_ECT_0, INET_ECN_MASK, ip_hdr, iphdr } from '../../include/linux/ip.ts'
import type { sockaddr } from '../../include/linux/net.ts'
import { RTN_LOCAL } from '../../include/linux/rtnetlink.ts'
import { type sk_buff, skb_dst, skb_shinfo, skb_transport_offset } from '../../include/linux/skbuff.ts'
import { SLAB_ACCOUNT, SLAB_HWCACHE_ALIGN, SLAB_PANIC, SLAB_TYPESAFE_BY_RCU } from '../../include/linux/slab.ts'
import { AF_INET, PF_INET } from '../../include/linux/socket.ts'
import { __tcp_hdrlen, tcp_flag_byte, tcp_hdr, tcphdr } from '../../include/linux/tcp.ts'
import { IS_ERR, type ref, time_after32, U32_MAX } from '../../include/linux/types.ts'
import type { dst_entry } from '../../include/net/dst.ts'
import { flowi4, LOOPBACK_IFINDEX } from '../../include/net/flow.ts'
import { type inet_connection_sock_af_ops, inet_csk } from '../../include/net/inet_connection_sock.ts'
import { inet_hashinfo } from '../../include/net/inet_hashtables.ts'
import { INET_FLAGS_RECVERR, inet_rsk, inet_sk, inet_test_bit } from '../../include/net/inet_sock.ts'
import { type inet_timewait_sock, inet_twsk, tcp_twsk, type timewait_sock_ops } from '../../include/net/inet_timewait_sock.ts'
import { IP_REPLY_ARG_NOSRCCHECK, IPCB, inet_sdif, ip_options, ip_reply_arg } from '../../include/net/ip.ts'
import { type net, net_eq } from '../../include/net/net_namespace.ts'
import { inet_reqsk, req_to_sk, type request_sock, type request_sock_ops } from '../../include/net/request_sock.ts'
import { skb_rtable } from '../../include/net/route.ts'
import { SK_RST_REASON_TCP_TIMEWAIT_SOCKET, sk_rst_convert_drop_reason } from '../../include/net/rstreason.ts'
import type { proto, sock } from '../../include/net/sock.ts'
import {
  type tcp_request_sock_ops as af_specific_ops,
  before,
  between,
  TCP_MSS_DEFAULT,
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
import { module_put, try_module_get } from '../../kernel/module/main.ts'
import { kfree_rcu, rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { local_bh_disable, local_bh_enable } from '../../kernel/softirq.ts'
import { ktime_get_seconds } from '../../kernel/time/timekeeping.ts'
import { jiffies_to_usecs, usecs_to_jiffies } from '../../kernel/time/timer.ts'
import { csum_tcpudp_nofold } from '../../lib/checksum.ts'
import { xa_destroy, xa_find, xarray } from '../../lib/xarray.ts'
import { kmem_cache_create } from '../../mm/slub.ts'
import { security_inet_conn_request } from '../../security/security.ts'
import { dst_check, dst_hold_safe, dst_release, dst4_mtu, skb_dst_set_noref } from '../core/dst.ts'
import { sk_filter_trim_cap } from '../core/filter.ts'
import { init_net, register_pernet_subsys } from '../core/net_namespace.ts'
import { tp_tcp_event_sk, trace_tcp_bad_csum, trace_tcp_send_reset } from '../core/net-traces.ts'
import { reqsk_put, tcp_synack_window } from '../core/request_sock.ts'
import { secure_tcp_seq_and_ts_off } from '../core/secure_seq.ts'
import {
  __skb_pull,
  __skb_push,
  kfree_skb_partial,
  nf_reset_ct,
  pskb_may_pull,
  sk_skb_reason_drop,
  skb_checksum_init,
  skb_condense,
  skb_rbtree_purge,
  skb_try_coalesce,
} from '../core/skbuff.ts'
import {
  __sk_dst_check,
  bh_lock_sock,
  bh_lock_sock_nested,
  bh_unlock_sock,
  sk_acceptq_is_full,
  sk_add_backlog,
  sk_drops_add,
  sk_error_report,
  sk_fullsock,
  sk_incoming_cpu_update,
  sk_rx_queue_update,
  sk_set_txhash,
  sk_setup_caps,
  sk_sockets_allocated_dec,
  sock_hold,
  sock_net_uid,
  sock_owned_by_user,
  sock_put,
  sock_rps_save_rxhash,
  sock_set_flag,
} from '../core/sock.ts'
import { reuseport_migrate_sock } from '../core/sock_reuseport.ts'
import { l3mdev_master_ifindex_by_index } from '../l3mdev/l3mdev.ts'
import { XFRM_POLICY_IN, xfrm_sk_clone_policy, xfrm_sk_free_policy, xfrm4_policy_check } from '../xfrm/xfrm_policy.ts'
import { inet_ctl_sock_create, inet_sk_rebuild_header } from './af_inet.ts'
import { icmp_err_convert } from './icmp.ts'
import {
  inet_csk_accept,
  inet_csk_addr2sockaddr,
  inet_csk_get_port,
  inet_csk_prepare_forced_close,
  inet_csk_reqsk_queue_drop,
  inet_csk_reqsk_queue_drop_and_put,
  inet_csk_reset_xmit_timer,
  inet_csk_route_child_sock,
  inet_csk_route_req,
  inet_csk_rto_backoff,
  inet_csk_update_pmtu,
} from './inet_connection_sock.ts'
import {
  __inet_inherit_port,
  __inet_lookup_established,
  __inet_lookup_skb,
  inet_bhash2_reset_saddr,
  inet_bhash2_update_saddr,
  inet_ehash_nolisten,
  inet_hash,
  inet_hash_connect,
  inet_hashinfo_init,
  inet_hashinfo2_init,
  inet_lookup_listener,
  inet_put_port,
  inet_unhash,
  sk_daddr_set,
  sk_rcv_saddr_set,
  sock_edemux,
} from './inet_hashtables.ts'
import { inet_twsk_deschedule_put, inet_twsk_put } from './inet_timewait_sock.ts'
import { __ip_options_echo } from './ip_options.ts'
import { ip_build_and_send_pkt, ip_dont_fragment, ip_queue_xmit, ip_send_unicast_reply, ip_sk_accept_pmtu } from './ip_output.ts'
import { ip_getsockopt, ip_icmp_error, ip_setsockopt, ip4_min_ttl } from './ip_sockglue.ts'
import { inet_iif, ip_route_connect, ip_route_newports, ip_rt_put } from './route.ts'
import { cookie_v4_check, cookie_v4_init_sequence } from './syncookies.ts'
import {
  sysctl_tcp_mem,
  tcp_abort,
  tcp_close,
  tcp_disconnect,
  tcp_done,
  tcp_enter_memory_pressure,
  tcp_free_fastopen_req,
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
  tcp_write_queue_purge,
} from './tcp.ts'
import { tcp_cleanup_congestion_control, tcp_reno } from './tcp_cong.ts'
import {
  tcp_fastopen_active_disable_ofo_check,
  tcp_fastopen_ctx_destroy,
  tcp_fastopen_defer_connect,
  tcp_fastopen_destroy_cipher,
} from './tcp_fastopen.ts'
import {
  __tcp_set_rto,
  dst_tcp_usec_ts,
  INET_ECN_is_capable,
  inet_sk_transparent,
  tcp_bpf_ca_needs_ecn,
  tcp_checksum_complete,
  tcp_cleanup_skb,
  tcp_clear_xmit_timers,
  tcp_dst_advmss,
  tcp_listendrop,
  tcp_mss_clamp,
  tcp_notsent_lowat,
  tcp_parse_auth_options,
  tcp_rsk_tsval,
  tcp_rtx_queue_head,
  tcp_saved_syn_free,
  tcp_segs_in,
  tcp_skb_can_collapse_rx,
  tcp_skb_timestamp_us,
  tcp_transmit_time,
  tcp_tw_tsval,
  tcp_v4_check,
} from './tcp_inlines.ts'
import {
  tcp_conn_request,
  tcp_done_with_error,
  tcp_initialize_rcv_mss,
  tcp_rcv_established,
  tcp_rcv_state_process,
  tcp_simple_retransmit,
} from './tcp_input.ts'
import {
  tcp_ca_openreq_child,
  tcp_check_req,
  tcp_child_process,
  tcp_create_openreq_child,
  tcp_timewait_state_process,
  tcp_twsk_destructor,
  tcp_twsk_purge,
} from './tcp_minisocks.ts'
import { tcp_connect, tcp_make_synack, tcp_mstamp_refresh, tcp_release_cb, tcp_rtx_synack, tcp_sync_mss } from './tcp_output.ts'
import { tcp_retransmit_timer, tcp_set_keepalive, tcp_syn_ack_timeout } from './tcp_timer.ts'
import { tcp_cleanup_ulp } from './tcp_ulp.ts'

const SIZEOF_SOCKADDR_IN = 16
const SIZEOF_TCPHDR = 20
const TCP_CHECK_OFFSET = 16
const TCPOPT_NOP = 1
const TCPOPT_TIMESTAMP = 8
const TFO_CLIENT_ENABLE = 1
/** buckets of the connection table: what Linux makes of half a gigabyte of memory */
const TCP_EHASH_ENTRIES = 4096

export let tcp_hashinfo: inet_hashinfo = new inet_hashinfo()

/** sends what no socket sends: resets, and ACKs of TIME_WAIT and of handshakes. One for the one processor. */
let ipv4_tcp_sk: sock | null = null

export const tcp_prot: proto = { name: 'TCP', alloc: () => new tcp_sock(), obj_size: 2368 }

core_initcall(() => {
  tcp_hashinfo = new inet_hashinfo()
  inet_hashinfo2_init(tcp_hashinfo, 'tcp_listen_portaddr_hash', 0, 17, 0, 64 * 1024)
  inet_hashinfo_init(tcp_hashinfo, TCP_EHASH_ENTRIES)
  const flags = SLAB_HWCACHE_ALIGN | SLAB_PANIC | SLAB_ACCOUNT
  tcp_hashinfo.bind_bucket_cachep = kmem_cache_create('tcp_bind_bucket', 112, 0, flags, null)
  tcp_hashinfo.bind2_bucket_cachep = kmem_cache_create('tcp_bind2_bucket', 80, 0, flags, null)
  ipv4_tcp_sk = null
  fill_operations()
})

const tcp_v4_init_seq_and_ts_off = kfunc('tcp_v4_init_seq_and_ts_off', (net: net, skb: sk_buff): tcp_seq_and_ts_off => {
  const iph = ip_hdr(skb)
  const th = tcp_hdr(skb)
  return secure_tcp_seq_and_ts_off(net, iph.daddr, iph.saddr, th.dest, th.source)
})

/** whether a connection may take the place of a TIME_WAIT: 1 with the sequence number to go on from, else 0 */
export const tcp_twsk_unique = kfunc(
  'tcp_twsk_unique',
  (sk: sock, sktw: sock, twp: ref<inet_timewait_sock | null> | null): number => {
    let reuse = sk.sk_net.ipv4.sysctl_tcp_tw_reuse
    const tcptw = tcp_twsk(sktw)
    const tp = tcp_sk(sk)

    if (tcptw.tw_substate === TCP_FIN_WAIT2) reuse = 0

    if (reuse === 2) {
      const loopback =
        tcptw.tw_bound_dev_if === LOOPBACK_IFINDEX || ipv4_is_loopback(tcptw.tw_daddr) || ipv4_is_loopback(tcptw.tw_rcv_saddr)
      if (!loopback) reuse = 0
    }

    const ts_recent_stamp = tcptw.tw_ts_recent_stamp
    if (ts_recent_stamp && (twp === null || (reuse && time_after32(ktime_get_seconds(), ts_recent_stamp)))) {
      if (sktw.skc_refcnt === 0) return 0
      sktw.skc_refcnt++

      if (!tp.repair) {
        let seq = (tcptw.tw_snd_nxt + 65535 + 2) >>> 0

        if (!seq) seq = 1
        tp.write_seq = seq
        tp.rx_opt.ts_recent = tcptw.tw_ts_recent
        tp.rx_opt.ts_recent_stamp = ts_recent_stamp
      }
      if (tracer.on) decide('tcp_twsk_unique', 'TIME_WAIT taken over', { reuse, seq: tp.write_seq })
      return 1
    }
    return 0
  },
)

const tcp_v4_pre_connect = kfunc('tcp_v4_pre_connect', (_sk: sock, _uaddr: sockaddr, addr_len: number): number =>
  addr_len < SIZEOF_SOCKADDR_IN ? -EINVAL : 0,
)

/** sends a SYN; 0 or an error */
export const tcp_v4_connect = kfunc('tcp_v4_connect', (sk: sock, uaddr: sockaddr, addr_len: number): number => {
  const tp = tcp_sk(sk)
  const net = sk.sk_net
  const err_ref = { v: 0 }
  let err: number

  if (addr_len < SIZEOF_SOCKADDR_IN) return -EINVAL

  if (uaddr.sa_family !== AF_INET) return -EAFNOSUPPORT

  let daddr = uaddr.sin_addr
  let nexthop = daddr
  const { inet_opt } = tp
  if (inet_opt?.srr) {
    if (!daddr) return -EINVAL
    nexthop = inet_opt.faddr
  }

  const orig_sport = tp.inet_sport
  const orig_dport = uaddr.sin_port
  const fl4 = tp.cork.fl
  let rt = ip_route_connect(fl4, nexthop, tp.inet_saddr, sk.sk_bound_dev_if, IPPROTO_TCP, orig_sport, orig_dport, sk)
  if (IS_ERR(rt)) {
    if (rt === -ENETUNREACH) net.mib.ip.OutNoRoutes++
    return rt
  }

  if (rt.rt_flags & (RTCF_MULTICAST | RTCF_BROADCAST)) {
    ip_rt_put(rt)
    return -ENETUNREACH
  }

  if (!inet_opt?.srr) daddr = fl4.daddr

  const tcp_death_row = net.ipv4.tcp_death_row

  if (!tp.inet_saddr) {
    err = inet_bhash2_update_saddr(sk, fl4.saddr, AF_INET)
    if (err) {
      ip_rt_put(rt)
      return err
    }
  } else {
    sk_rcv_saddr_set(sk, tp.inet_saddr)
  }

  if (tp.rx_opt.ts_recent_stamp && tp.inet_daddr !== daddr) {
    tp.rx_opt.ts_recent = 0
    tp.rx_opt.ts_recent_stamp = 0
    if (!tp.repair) tp.write_seq = 0
  }

  tp.inet_dport = uaddr.sin_port
  sk_daddr_set(sk, daddr)

  tp.icsk_ext_hdr_len = 0
  if (inet_opt !== null) tp.icsk_ext_hdr_len = inet_opt.optlen

  tp.rx_opt.mss_clamp = TCP_MSS_DEFAULT

  failure: {
    // the source port may not be known yet: nobody else can get in between, the socket is locked
    tcp_set_state(sk, TCP_SYN_SENT)
    err = inet_hash_connect(tcp_death_row, sk)
    if (err) break failure

    sk_set_txhash(sk)

    rt = ip_route_newports(fl4, rt, orig_sport, orig_dport, tp.inet_sport, tp.inet_dport, sk)
    if (IS_ERR(rt)) {
      err = rt
      break failure
    }
    tp.tcp_usec_ts = dst_tcp_usec_ts(rt) ? 1 : 0
    sk.sk_gso_type = SKB_GSO_TCPV4
    sk_setup_caps(sk, rt)
    rt = 0

    if (!tp.repair) {
      const st = secure_tcp_seq_and_ts_off(net, tp.inet_saddr, tp.inet_daddr, tp.inet_sport, uaddr.sin_port)
      if (!tp.write_seq) tp.write_seq = st.seq
      tp.tsoffset = st.ts_off
    }

    tp.inet_id = get_random_u16()

    if (tcp_fastopen_defer_connect(sk, err_ref)) return err_ref.v
    err = err_ref.v
    if (err) break failure

    err = tcp_connect(sk)

    if (err) break failure

    return 0
  }
  // out of the hash table, and the local port is free again
  tcp_set_state(sk, TCP_CLOSE)
  inet_bhash2_reset_saddr(sk)
  ip_rt_put(IS_ERR(rt) ? null : rt)
  sk.sk_route_caps = 0n
  tp.inet_dport = 0
  return err
})

/** a router could not pass a packet on: the path's MTU is tp.mtu_info now */
export const tcp_v4_mtu_reduced = kfunc('tcp_v4_mtu_reduced', (sk: sock): void => {
  const inet = inet_sk(sk)

  if ((1 << sk.sk_state) & (TCPF_LISTEN | TCPF_CLOSE)) return
  const mtu = tcp_sk(sk).mtu_info
  const dst = inet_csk_update_pmtu(sk, mtu)
  if (dst === null) return

  const dmtu = dst4_mtu(dst)
  if (mtu < dmtu && ip_dont_fragment(sk, dst)) sk.sk_err_soft = EMSGSIZE

  if (inet.pmtudisc !== IP_PMTUDISC_DONT && ip_sk_accept_pmtu(sk) && inet_csk(sk).icsk_pmtu_cookie > dmtu) {
    tcp_sync_mss(sk, dmtu)
    tcp_simple_retransmit(sk)
  }
})

const do_redirect = kfunc('do_redirect', (skb: sk_buff, sk: sock): void => {
  const dst = __sk_dst_check(sk, 0)

  if (dst !== null) dst.ops.redirect?.(dst, sk, skb)
})

/** an ICMP error about a handshake that is not done */
export const tcp_req_err = kfunc('tcp_req_err', (sk: sock, seq: number, abort: boolean): void => {
  const req = inet_reqsk(sk)
  const net = sk.sk_net

  if (seq !== tcp_rsk(req).snt_isn) {
    net.mib.linux.OutOfWindowIcmps++
  } else if (abort && req.rsk_listener !== null) {
    inet_csk_reqsk_queue_drop(req.rsk_listener, req)
    tcp_listendrop(req.rsk_listener)
  }
  reqsk_put(req)
})

/** RFC 6069: a route was missing, so that a timeout says nothing about congestion */
export const tcp_ld_RTO_revert = kfunc('tcp_ld_RTO_revert', (sk: sock, seq: number): void => {
  const icsk = inet_csk(sk)
  const tp = tcp_sk(sk)

  if (sock_owned_by_user(sk)) return

  if (seq !== tp.snd_una || !icsk.icsk_retransmits || !icsk.icsk_backoff) return

  const skb = tcp_rtx_queue_head(sk)
  if (skb === null) return

  icsk.icsk_backoff--
  icsk.icsk_rto = tp.srtt_us ? __tcp_set_rto(tp) : TCP_TIMEOUT_INIT
  icsk.icsk_rto = inet_csk_rto_backoff(icsk, TCP_RTO_MAX)

  tcp_mstamp_refresh(tp)
  const delta_us = (tp.tcp_mstamp - tcp_skb_timestamp_us(skb)) >>> 0
  const remaining = icsk.icsk_rto - usecs_to_jiffies(delta_us)

  if (remaining > 0) inet_csk_reset_xmit_timer(sk, ICSK_TIME_RETRANS, remaining, TCP_RTO_MAX)
  else tcp_retransmit_timer(sk)
})

/** an ICMP error about a segment; skb.data is at the IP header of what was sent, `info` the next hop's MTU */
export const tcp_v4_err = kfunc('tcp_v4_err', (skb: sk_buff, info: number): number => {
  const iph = new iphdr(skb.head.bytes, skb.data)
  const th = new tcphdr(skb.head.bytes, skb.data + (iph.ihl << 2))
  if (skb.dev === null) return 0
  const net = skb.dev.nd_net
  const { type, code } = icmp_hdr(skb)
  const { hashinfo } = net.ipv4.tcp_death_row
  let err: number

  const sk = __inet_lookup_established(net, hashinfo, iph.daddr, th.dest, iph.saddr, th.source, inet_iif(skb), 0)
  if (sk === null) {
    net.mib.icmp.InErrors++
    return -ENOENT
  }
  if (sk.sk_state === TCP_TIME_WAIT) {
    inet_twsk_put(inet_twsk(sk))
    return 0
  }
  const { seq } = th
  if (sk.sk_state === TCP_NEW_SYN_RECV) {
    tcp_req_err(
      sk,
      seq,
      type === ICMP_PARAMETERPROB ||
        type === ICMP_TIME_EXCEEDED ||
        (type === ICMP_DEST_UNREACH && (code === ICMP_NET_UNREACH || code === ICMP_HOST_UNREACH)),
    )
    return 0
  }

  bh_lock_sock(sk)
  out: {
    if (sock_owned_by_user(sk) && !(type === ICMP_DEST_UNREACH && code === ICMP_FRAG_NEEDED)) net.mib.linux.LockDroppedIcmps++
    if (sk.sk_state === TCP_CLOSE) break out

    if (ip4_min_ttl.on && iph.ttl < inet_sk(sk).min_ttl) {
      net.mib.linux.TCPMinTTLDrop++
      break out
    }

    const tp = tcp_sk(sk)
    const fastopen = tp.fastopen_rsk
    const snd_una = fastopen !== null ? tcp_rsk(fastopen).snt_isn : tp.snd_una
    if (sk.sk_state !== TCP_LISTEN && !between(seq, snd_una, tp.snd_nxt)) {
      net.mib.linux.OutOfWindowIcmps++
      break out
    }

    switch (type) {
      case ICMP_REDIRECT:
        if (!sock_owned_by_user(sk)) do_redirect(skb, sk)
        break out
      case ICMP_SOURCE_QUENCH:
        break out
      case ICMP_PARAMETERPROB:
        err = EPROTO
        break
      case ICMP_DEST_UNREACH:
        if (code > NR_ICMP_UNREACH) break out

        if (code === ICMP_FRAG_NEEDED) {
          if (sk.sk_state === TCP_LISTEN) break out

          tp.mtu_info = info
          if (!sock_owned_by_user(sk)) {
            tcp_v4_mtu_reduced(sk)
          } else if (!(sk.sk_tsq_flags & (1 << TCP_MTU_REDUCED_DEFERRED))) {
            sk.sk_tsq_flags |= 1 << TCP_MTU_REDUCED_DEFERRED
            sock_hold(sk)
          }
          break out
        }

        err = icmp_err_convert[code]?.errno ?? 0
        if (fastopen === null && (code === ICMP_NET_UNREACH || code === ICMP_HOST_UNREACH)) tcp_ld_RTO_revert(sk, seq)
        break
      case ICMP_TIME_EXCEEDED:
        err = EHOSTUNREACH
        break
      default:
        break out
    }

    // a fast open child that was accepted is as good as connected
    if ((sk.sk_state === TCP_SYN_SENT || sk.sk_state === TCP_SYN_RECV) && !(fastopen !== null && fastopen.sk === null)) {
      ip_icmp_error(sk, skb, err, th.dest, info, th.off)

      if (!sock_owned_by_user(sk)) tcp_done_with_error(sk, err)
      else sk.sk_err_soft = err
      break out
    }

    // connected: trying goes on until time is up, unless the program asked to be told (IP_RECVERR)
    if (!sock_owned_by_user(sk) && inet_test_bit(INET_FLAGS_RECVERR, sk)) {
      sk.sk_err = err
      sk_error_report(sk)
    } else {
      sk.sk_err_soft = err
    }
  }
  bh_unlock_sock(sk)
  sock_put(sk)
  return 0
})

/** leaves the sum of the pseudo header in the segment, and the rest to the device or to skb_checksum_help() */
export const __tcp_v4_send_check = kfunc('__tcp_v4_send_check', (skb: sk_buff, saddr: number, daddr: number): void => {
  const th = tcp_hdr(skb)

  th.check = ~tcp_v4_check(skb.len, saddr, daddr, 0) & 0xffff
  skb.csum_start = skb.transport_header
  skb.csum_offset = TCP_CHECK_OFFSET
})

export const tcp_v4_send_check = kfunc('tcp_v4_send_check', (sk: sock, skb: sk_buff): void => {
  const inet = inet_sk(sk)

  __tcp_v4_send_check(skb, inet.inet_saddr, inet.inet_daddr)
})

const md5_hash = { v: 0 }
const aoh = { v: 0 }

/** include/net/ip.h: the sum of a packet's pseudo header */
const inet_compute_pseudo = kfunc('inet_compute_pseudo', (skb: sk_buff, proto: number): number => {
  const iph = ip_hdr(skb)
  return csum_tcpudp_nofold(iph.saddr, iph.daddr, skb.len, proto, 0)
})

const reset_bytes = new Uint8Array(SIZEOF_TCPHDR + 40)

/** answers `skb` with a reset; `sk` is a socket, a TIME_WAIT, or null when there is none */
export const tcp_v4_send_reset = kfunc('tcp_v4_send_reset', (sk: sock | null, skb: sk_buff, reason: number): void => {
  const th = tcp_hdr(skb)
  const iph = ip_hdr(skb)
  let transmit_time = 0
  let txhash = 0

  if (th.rst) return

  // a socket was found: the packet was for this machine
  if (sk === null && skb_rtable(skb)?.rt_type !== RTN_LOCAL) return

  reset_bytes.fill(0)
  const rep = new tcphdr(reset_bytes, 0)
  rep.dest = th.source
  rep.source = th.dest
  rep.doff = SIZEOF_TCPHDR / 4
  rep.rst = 1

  if (th.ack) {
    rep.seq = th.ack_seq
  } else {
    rep.ack = 1
    rep.ack_seq = (th.seq + th.syn + th.fin + skb.len - (th.doff << 2)) >>> 0
  }

  const arg = new ip_reply_arg()
  arg.iov = reset_bytes
  arg.iov_len = SIZEOF_TCPHDR

  const dev = skb_dst(skb)?.dev ?? skb.dev
  const net = sk !== null ? sk.sk_net : dev !== null ? dev.nd_net : null
  if (net === null) return

  if (tcp_parse_auth_options(th, md5_hash, aoh)) return
  if (aoh.v >= 0) return

  rcu_read_lock()
  // no socket has a key: a signed segment without one is not answered
  if (!(sk !== null && sk_fullsock(sk)) && md5_hash.v >= 0) {
    rcu_read_unlock()
    return
  }

  arg.csum = csum_tcpudp_nofold(iph.daddr, iph.saddr, arg.iov_len, IPPROTO_TCP, 0)
  arg.csumoffset = TCP_CHECK_OFFSET / 2
  arg.flags = sk !== null && inet_sk_transparent(sk) ? IP_REPLY_ARG_NOSRCCHECK : 0

  if (sk !== null) arg.bound_dev_if = sk.sk_bound_dev_if

  if (tracer.on) trace_tcp_send_reset(sk, skb, reason, sk !== null && sk_fullsock(sk))

  arg.tos = iph.tos
  arg.uid = sock_net_uid(net, sk !== null && sk_fullsock(sk) ? sk : null)
  local_bh_disable()
  const ctl_sk = ipv4_tcp_sk as sock

  ctl_sk.sk_net = net
  if (sk !== null) {
    if (sk.sk_state === TCP_TIME_WAIT) {
      const tw = inet_twsk(sk)
      ctl_sk.sk_mark = tw.tw_mark
      ctl_sk.sk_priority = tw.tw_priority
      txhash = tw.tw_txhash
    } else {
      ctl_sk.sk_mark = sk.sk_mark
      ctl_sk.sk_priority = sk.sk_priority
      txhash = sk.sk_txhash
    }
    transmit_time = tcp_transmit_time(sk)
    xfrm_sk_clone_policy(ctl_sk, sk)
  } else {
    ctl_sk.sk_mark = 0
    ctl_sk.sk_priority = 0
  }
  ip_send_unicast_reply(ctl_sk, skb, TCP_SKB_CB(skb).h4.opt, iph.saddr, iph.daddr, arg, arg.iov_len, transmit_time, txhash)

  xfrm_sk_free_policy(ctl_sk)
  ctl_sk.sk_net = init_net
  net.mib.tcp.OutSegs++
  net.mib.tcp.OutRsts++
  local_bh_enable()
  rcu_read_unlock()
})

const put32 = (b: Uint8Array, at: number, v: number): void => {
  b[at] = v >>> 24
  b[at + 1] = v >>> 16
  b[at + 2] = v >>> 8
  b[at + 3] = v
}

/** what tcp_v4_send_ack is to say; Linux passes each by itself */
interface ack_reply {
  seq: number
  ack: number
  win: number
  tsval: number
  tsecr: number
  oif: number
  reply_flags: number
  tos: number
  txhash: number
}
const ack_reply: ack_reply = { seq: 0, ack: 0, win: 0, tsval: 0, tsecr: 0, oif: 0, reply_flags: 0, tos: 0, txhash: 0 }

/** an ACK that no socket sends, for a TIME_WAIT or a request */
const tcp_v4_send_ack = kfunc('tcp_v4_send_ack', (sk: sock, skb: sk_buff, r: ack_reply): void => {
  const th = tcp_hdr(skb)
  const iph = ip_hdr(skb)
  const net = sk.sk_net
  const bytes = new Uint8Array(SIZEOF_TCPHDR + 40)
  const rep = new tcphdr(bytes, 0)
  const arg = new ip_reply_arg()

  arg.iov = bytes
  arg.iov_len = SIZEOF_TCPHDR
  if (r.tsecr) {
    put32(bytes, SIZEOF_TCPHDR, (TCPOPT_NOP << 24) | (TCPOPT_NOP << 16) | (TCPOPT_TIMESTAMP << 8) | TCPOLEN_TIMESTAMP)
    put32(bytes, SIZEOF_TCPHDR + 4, r.tsval)
    put32(bytes, SIZEOF_TCPHDR + 8, r.tsecr)
    arg.iov_len += TCPOLEN_TSTAMP_ALIGNED
  }

  rep.dest = th.source
  rep.source = th.dest
  rep.doff = arg.iov_len / 4
  rep.seq = r.seq
  rep.ack_seq = r.ack
  rep.ack = 1
  rep.window = r.win

  arg.flags = r.reply_flags
  arg.csum = csum_tcpudp_nofold(iph.daddr, iph.saddr, arg.iov_len, IPPROTO_TCP, 0)
  arg.csumoffset = TCP_CHECK_OFFSET / 2
  if (r.oif) arg.bound_dev_if = r.oif
  arg.tos = r.tos
  arg.uid = sock_net_uid(net, sk_fullsock(sk) ? sk : null)
  local_bh_disable()
  const ctl_sk = ipv4_tcp_sk as sock
  ctl_sk.sk_net = net
  if (sk.sk_state === TCP_TIME_WAIT) {
    ctl_sk.sk_mark = inet_twsk(sk).tw_mark
    ctl_sk.sk_priority = inet_twsk(sk).tw_priority
  } else {
    ctl_sk.sk_mark = sk.sk_mark
    ctl_sk.sk_priority = sk.sk_priority
  }
  const transmit_time = tcp_transmit_time(sk)
  ip_send_unicast_reply(ctl_sk, skb, TCP_SKB_CB(skb).h4.opt, iph.saddr, iph.daddr, arg, arg.iov_len, transmit_time, r.txhash)

  ctl_sk.sk_net = init_net
  net.mib.tcp.OutSegs++
  local_bh_enable()
})

const tcp_v4_timewait_ack = kfunc('tcp_v4_timewait_ack', (sk: sock, skb: sk_buff): void => {
  const tw = tcp_twsk(sk)
  const r = ack_reply

  r.seq = tw.tw_snd_nxt
  r.ack = tw.tw_rcv_nxt
  r.win = tw.tw_rcv_wnd >>> tw.tw_rcv_wscale
  r.tsval = tcp_tw_tsval(tw)
  r.tsecr = tw.tw_ts_recent
  r.oif = tw.tw_bound_dev_if
  r.reply_flags = tw.tw_transparent ? IP_REPLY_ARG_NOSRCCHECK : 0
  r.tos = tw.tw_tos
  r.txhash = tw.tw_txhash
  tcp_v4_send_ack(sk, skb, r)

  inet_twsk_put(tw)
})

const tcp_v4_reqsk_send_ack = kfunc('tcp_v4_reqsk_send_ack', (sk: sock, skb: sk_buff, req: request_sock): void => {
  const ireq = inet_rsk(req)
  const treq = tcp_rsk(req)
  const r = ack_reply

  // with fast open `sk` is the child
  r.seq = sk.sk_state === TCP_LISTEN ? (treq.snt_isn + 1) >>> 0 : tcp_sk(sk).snd_nxt
  r.ack = treq.rcv_nxt
  r.win = tcp_synack_window(req) >>> ireq.rcv_wscale
  r.tsval = tcp_rsk_tsval(treq)
  r.tsecr = req.ts_recent
  r.oif = 0
  r.reply_flags = ireq.no_srccheck ? IP_REPLY_ARG_NOSRCCHECK : 0
  r.tos = ip_hdr(skb).tos
  r.txhash = treq.txhash
  tcp_v4_send_ack(sk, skb, r)
})

/** include/net/ip.h: a device's queue that is full tells nobody */
const net_xmit_eval = (e: number): number => (e === 2 ? 0 : e)

const tcp_v4_send_synack = kfunc(
  'tcp_v4_send_synack',
  (
    sk: sock,
    dst: dst_entry | null,
    _fl: flowi4,
    req: request_sock,
    foc: tcp_fastopen_cookie | null,
    synack_type: number,
    syn_skb: sk_buff | null,
  ): number => {
    const ireq = inet_rsk(req)
    let err = -1

    const route = dst ?? inet_csk_route_req(sk, new flowi4(), req)
    if (route === null) return -1

    const skb = tcp_make_synack(sk, route, req, foc, synack_type, syn_skb)

    if (skb !== null) {
      __tcp_v4_send_check(skb, ireq.ir_loc_addr, ireq.ir_rmt_addr)

      let { tos } = inet_sk(sk)

      if (sk.sk_net.ipv4.sysctl_tcp_reflect_tos) tos = (tcp_rsk(req).syn_tos & ~INET_ECN_MASK) | (tos & INET_ECN_MASK)

      if (!INET_ECN_is_capable(tos) && tcp_bpf_ca_needs_ecn(req_to_sk(req))) tos |= INET_ECN_ECT_0

      rcu_read_lock()
      err = ip_build_and_send_pkt(skb, sk, ireq.ir_loc_addr, ireq.ir_rmt_addr, ireq.ireq_opt, tos)
      rcu_read_unlock()
      err = net_xmit_eval(err)
    }
    return err
  },
)

const tcp_v4_reqsk_destructor = kfunc('tcp_v4_reqsk_destructor', (req: request_sock): void => {
  const ireq = inet_rsk(req)
  if (ireq.ireq_opt !== null) kfree_rcu(ireq.ireq_opt)
  ireq.ireq_opt = null
})

/** include/net/tcp.h: no socket has a key, the static key is off */
export const tcp_md5_do_lookup = kfunc(
  'tcp_md5_do_lookup',
  (_sk: sock, _l3index: number, _addr: number, _family: number): null => null,
)

export const tcp_v4_md5_lookup = kfunc('tcp_v4_md5_lookup', (sk: sock, addr_sk: sock): null => {
  const l3index = l3mdev_master_ifindex_by_index(sk.sk_net, addr_sk.sk_bound_dev_if)
  return tcp_md5_do_lookup(sk, l3index, addr_sk.sk_daddr, AF_INET)
})

/** include/net/tcp.h: the options of a SYN, turned round for the way back */
export const tcp_v4_save_options = kfunc('tcp_v4_save_options', (net: net, skb: sk_buff): ip_options | null => {
  const { opt } = TCP_SKB_CB(skb).h4
  if (!opt.optlen) return null

  const dopt = new ip_options()
  return __ip_options_echo(net, dopt, skb, opt) ? null : dopt
})

const tcp_v4_init_req = kfunc('tcp_v4_init_req', (req: request_sock, sk_listener: sock, skb: sk_buff): void => {
  const ireq = inet_rsk(req)
  const iph = ip_hdr(skb)

  ireq.ir_loc_addr = iph.daddr
  ireq.ir_rmt_addr = iph.saddr
  ireq.ireq_opt = tcp_v4_save_options(sk_listener.sk_net, skb)
})

const tcp_v4_route_req = kfunc(
  'tcp_v4_route_req',
  (sk: sock, skb: sk_buff, fl: flowi4, req: request_sock, _tw_isn: number): dst_entry | null => {
    tcp_v4_init_req(req, sk, skb)

    if (security_inet_conn_request(sk, skb, req)) return null

    return inet_csk_route_req(sk, fl, req)
  },
)

export const tcp_request_sock_ops: request_sock_ops = {
  family: PF_INET,
  obj_size: 304,
  slab_name: 'request_sock_TCP',
  slab: null,
  alloc: () => new tcp_request_sock(),
} as unknown as request_sock_ops

export const tcp_request_sock_ipv4_ops: af_specific_ops = { mss_clamp: TCP_MSS_DEFAULT } as unknown as af_specific_ops

export const tcp_v4_conn_request = kfunc('tcp_v4_conn_request', (sk: sock, skb: sk_buff): number => {
  const rt = skb_rtable(skb)
  if (rt !== null && rt.rt_flags & (RTCF_BROADCAST | RTCF_MULTICAST)) {
    tcp_listendrop(sk)
    return 0
  }

  return tcp_conn_request(tcp_request_sock_ops, tcp_request_sock_ipv4_ops, sk, skb)
})

/** the handshake is done: makes the socket; own_req.v says whether it got the request's place in the hash table */
export const tcp_v4_syn_recv_sock = kfunc(
  'tcp_v4_syn_recv_sock',
  (
    sk: sock,
    skb: sk_buff,
    req: request_sock,
    dst: dst_entry | null,
    req_unhash: request_sock | null,
    own_req: ref<boolean>,
    opt_child_init: ((newsk: sock, sk: sock) => void) | null,
  ): sock | null => {
    const net = sk.sk_net
    const found_dup_sk = { v: false }

    if (sk_acceptq_is_full(sk)) {
      net.mib.linux.ListenOverflows++
      if (tracer.on)
        decide('tcp_v4_syn_recv_sock', 'accept queue full', { queued: sk.sk_ack_backlog, backlog: sk.sk_max_ack_backlog })
      dst_release(dst)
      tcp_listendrop(sk)
      return null
    }

    let newsk = tcp_create_openreq_child(sk, req, skb)
    if (newsk === null) {
      dst_release(dst)
      tcp_listendrop(sk)
      return null
    }

    newsk.sk_gso_type = SKB_GSO_TCPV4
    inet_sk_rx_dst_set(newsk, skb)

    const newtp = tcp_sk(newsk)
    const ireq = inet_rsk(req)
    const iph = ip_hdr(skb)
    sk_daddr_set(newsk, ireq.ir_rmt_addr)
    sk_rcv_saddr_set(newsk, ireq.ir_loc_addr)
    newsk.sk_bound_dev_if = ireq.ir_iif
    newtp.inet_saddr = ireq.ir_loc_addr
    const inet_opt = ireq.ireq_opt
    newtp.inet_opt = inet_opt
    newtp.mc_index = inet_iif(skb)
    newtp.mc_ttl = iph.ttl
    newtp.rcv_tos = iph.tos
    newtp.icsk_ext_hdr_len = 0
    if (inet_opt !== null) newtp.icsk_ext_hdr_len = inet_opt.optlen
    newtp.inet_id = get_random_u16()

    if (net.ipv4.sysctl_tcp_reflect_tos) newtp.tos = tcp_rsk(req).syn_tos & ~INET_ECN_MASK

    put_and_exit: {
      // with SYN cookies the route is there already
      const route = dst ?? inet_csk_route_child_sock(sk, newsk, req)
      if (route === null) break put_and_exit
      sk_setup_caps(newsk, route)

      opt_child_init?.(newsk, sk)
      tcp_ca_openreq_child(newsk, route)

      tcp_sync_mss(newsk, dst4_mtu(route))
      newtp.advmss = tcp_mss_clamp(tcp_sk(sk), tcp_dst_advmss(route))

      tcp_initialize_rcv_mss(newsk)

      const l3index = l3mdev_master_ifindex_by_index(net, ireq.ir_iif)
      tcp_md5_do_lookup(sk, l3index, newtp.inet_daddr, AF_INET)

      if (__inet_inherit_port(sk, newsk) < 0) break put_and_exit
      own_req.v = inet_ehash_nolisten(newsk, req_unhash, found_dup_sk)
      if (own_req.v) {
        // tcp_move_syn()
        newtp.saved_syn = req.saved_syn
        req.saved_syn = null
        ireq.ireq_opt = null
      } else {
        newtp.inet_opt = null

        if (req_unhash === null && found_dup_sk.v) {
          bh_unlock_sock(newsk)
          sock_put(newsk)
          newsk = null
        }
      }
      return newsk
    }
    newtp.inet_opt = null
    inet_csk_prepare_forced_close(newsk)
    tcp_done(newsk)
    tcp_listendrop(sk)
    return null
  },
)

const tcp_v4_cookie_check = kfunc('tcp_v4_cookie_check', (sk: sock, skb: sk_buff): sock | null =>
  tcp_hdr(skb).syn ? sk : cookie_v4_check(sk, skb),
)

/** a segment for `sk`, which is locked unless it listens; also the way out of the backlog */
export const tcp_v4_do_rcv = kfunc('tcp_v4_do_rcv', (sk: sock, skb: sk_buff): number => {
  let reason: number
  let rsk = sk

  if (sk.sk_state === TCP_ESTABLISHED) {
    const dst = sk.sk_rx_dst

    sock_rps_save_rxhash(sk, skb)
    sk_mark_napi_id(sk, skb)
    if (dst !== null) {
      if (sk.sk_rx_dst_ifindex !== skb.skb_iif || dst_ops_check(dst) === null) {
        sk.sk_rx_dst = null
        dst_release(dst)
      }
    }
    tcp_rcv_established(sk, skb)
    return 0
  }

  if (tcp_checksum_complete(skb)) {
    reason = SKB_DROP_REASON_TCP_CSUM
    if (tracer.on) trace_tcp_bad_csum(skb)
    sk.sk_net.mib.tcp.InCsumErrors++
    sk.sk_net.mib.tcp.InErrs++
    sk_skb_reason_drop(sk, skb, reason)
    return 0
  }

  reset: {
    if (sk.sk_state === TCP_LISTEN) {
      const nsk = tcp_v4_cookie_check(sk, skb)

      if (nsk === null) return 0
      if (nsk !== sk) {
        reason = tcp_child_process(sk, nsk, skb)
        if (reason) {
          rsk = nsk
          break reset
        }
        return 0
      }
    } else {
      sock_rps_save_rxhash(sk, skb)
    }

    reason = tcp_rcv_state_process(sk, skb)
    if (reason) break reset
    return 0
  }
  tcp_v4_send_reset(rsk, skb, sk_rst_convert_drop_reason(reason))
  sk_skb_reason_drop(sk, skb, reason)
  return 0
})

function dst_ops_check(dst: dst_entry): dst_entry | null {
  const { check } = dst.ops
  if (tracer.on) traceIndirect('dst->ops->check', nameOf(check))
  return check === undefined ? dst : check(dst, 0)
}

/** finds the connection of a packet before its route: a connected socket knows the route */
export const tcp_v4_early_demux = kfunc('tcp_v4_early_demux', (skb: sk_buff): number => {
  if (skb.dev === null) return 0
  const net = skb.dev.nd_net

  if (skb.pkt_type !== PACKET_HOST) return 0

  if (!pskb_may_pull(skb, skb_transport_offset(skb) + SIZEOF_TCPHDR)) return 0

  const iph = ip_hdr(skb)
  const th = tcp_hdr(skb)

  if (th.doff < SIZEOF_TCPHDR / 4) return 0

  const { hashinfo } = net.ipv4.tcp_death_row
  const sk = __inet_lookup_established(net, hashinfo, iph.saddr, th.source, iph.daddr, th.dest, skb.skb_iif, inet_sdif(skb))
  if (sk !== null) {
    skb.sk = sk
    skb.destructor = sock_edemux
    if (sk_fullsock(sk)) {
      let dst = sk.sk_rx_dst

      if (dst !== null) dst = dst_check(dst, 0)
      if (dst !== null && sk.sk_rx_dst_ifindex === skb.skb_iif) skb_dst_set_noref(skb, dst)
    }
  }
  return 0
})

/** include/net/busy_poll.h: which receive queue the connection's packets come from */
export function sk_mark_napi_id(sk: sock, skb: sk_buff): void {
  if (sk.sk_napi_id !== skb.napi_id) sk.sk_napi_id = skb.napi_id
  sk_rx_queue_update(sk, skb)
}

/** whether the options of two headers are the same bytes */
function same_options(a: tcphdr, b: tcphdr, len: number): boolean {
  for (let i = SIZEOF_TCPHDR; i < len; i++) if (a.bytes[a.off + i] !== b.bytes[b.off + i]) return false
  return true
}

const fragstolen = { v: false }
const delta = { v: 0 }

/** a process has the socket locked: the segment waits, joined to the last one when it goes on where that ends */
export const tcp_add_backlog = kfunc('tcp_add_backlog', (sk: sock, skb: sk_buff, reason: ref<number>): boolean => {
  skb_condense(skb)

  tcp_cleanup_skb(skb)

  if (tcp_checksum_complete(skb)) {
    bh_unlock_sock(sk)
    if (tracer.on) trace_tcp_bad_csum(skb)
    reason.v = SKB_DROP_REASON_TCP_CSUM
    sk.sk_net.mib.tcp.InCsumErrors++
    sk.sk_net.mib.tcp.InErrs++
    return true
  }

  const { tail } = sk.sk_backlog
  no_coalesce: {
    if (tail === null) break no_coalesce
    const th = new tcphdr(skb.head.bytes, skb.data)
    const thtail = new tcphdr(tail.head.bytes, tail.data)
    const hdrlen = th.doff * 4
    const cb = TCP_SKB_CB(skb)
    const tcb = TCP_SKB_CB(tail)

    if (
      tcb.end_seq !== cb.seq ||
      tcb.ip_dsfield !== cb.ip_dsfield ||
      (tcb.tcp_flags | cb.tcp_flags) & (TCPHDR_SYN | TCPHDR_RST | TCPHDR_URG) ||
      !(tcb.tcp_flags & cb.tcp_flags & TCPHDR_ACK) ||
      (tcb.tcp_flags ^ cb.tcp_flags) & (TCPHDR_ECE | TCPHDR_CWR) ||
      !tcp_skb_can_collapse_rx(tail, skb) ||
      thtail.doff !== th.doff ||
      !same_options(thtail, th, hdrlen)
    )
      break no_coalesce

    __skb_pull(skb, hdrlen)

    let shinfo = skb_shinfo(skb)
    const gso_size = shinfo.gso_size || skb.len
    const gso_segs = shinfo.gso_segs || 1

    shinfo = skb_shinfo(tail)
    const tail_gso_size = shinfo.gso_size || tail.len - hdrlen
    const tail_gso_segs = shinfo.gso_segs || 1

    if (skb_try_coalesce(tail, skb, fragstolen, delta)) {
      tcb.end_seq = cb.end_seq

      if (!before(cb.ack_seq, tcb.ack_seq)) {
        tcb.ack_seq = cb.ack_seq
        thtail.window = th.window
      }

      // header prediction must not take a FIN for data
      thtail.fin |= th.fin
      tcb.tcp_flags |= cb.tcp_flags

      if (cb.has_rxtstamp) {
        tcb.has_rxtstamp = 1
        tail.tstamp = skb.tstamp
        skb_shinfo(tail).hwtstamps = skb_shinfo(skb).hwtstamps
      }

      shinfo.gso_size = Math.max(gso_size, tail_gso_size)
      shinfo.gso_segs = Math.min(gso_segs + tail_gso_segs, 0xffff)

      sk.sk_backlog.len += delta.v
      sk.sk_net.mib.linux.TCPBacklogCoalesce++
      if (tracer.on)
        decide('tcp_add_backlog', 'joined to the last segment of the backlog', { len: skb.len, gso_segs: shinfo.gso_segs })
      kfree_skb_partial(skb, fragstolen.v)
      return false
    }
    __skb_push(skb, hdrlen)
  }

  // twice the receive buffer, half of the send buffer (for ACKs), and something for the owner to collapse
  const limit = Math.min(sk.sk_rcvbuf * 2 + (sk.sk_sndbuf >>> 1) + 64 * 1024, 0xffffffff)

  if (sk_add_backlog(sk, skb, limit)) {
    bh_unlock_sock(sk)
    reason.v = SKB_DROP_REASON_SOCKET_BACKLOG
    sk.sk_net.mib.linux.TCPBacklogDrop++
    return true
  }
  return false
})

export const tcp_filter = kfunc('tcp_filter', (sk: sock, skb: sk_buff): number => {
  const doff = (skb.head.bytes[skb.data + 12] ?? 0) >> 4

  return sk_filter_trim_cap(sk, skb, doff * 4)
})

const tcp_v4_restore_cb = kfunc('tcp_v4_restore_cb', (skb: sk_buff): void => {
  IPCB(skb).assign(TCP_SKB_CB(skb).h4)
})

const tcp_v4_fill_cb = kfunc('tcp_v4_fill_cb', (skb: sk_buff, iph: iphdr, th: tcphdr): void => {
  const cb = TCP_SKB_CB(skb)
  cb.h4.assign(IPCB(skb))

  cb.seq = th.seq
  cb.end_seq = (cb.seq + th.syn + th.fin + skb.len - th.doff * 4) >>> 0
  cb.ack_seq = th.ack_seq
  cb.tcp_flags = tcp_flag_byte(th)
  cb.ip_dsfield = iph.tos
  cb.sacked = 0
  cb.has_rxtstamp = skb.tstamp || skb_shinfo(skb).hwtstamps ? 1 : 0
})

// what tcp_v4_rcv goes on with
const DISCARD_IT = 0
const CSUM_ERROR = 1
const BAD_PACKET = 2
const NO_TCP_SOCKET = 3
const DO_TIME_WAIT = 4
const PROCESS = 5
const DISCARD_AND_RELSE = 6

const refcounted = { v: false }
const drop_reason = { v: 0 }

/** a TCP segment from IP; skb.data is at the TCP header */
export const tcp_v4_rcv = kfunc('tcp_v4_rcv', (skb: sk_buff): number => {
  if (skb.dev === null) return 0
  const net = skb.dev.nd_net
  const sdif = inet_sdif(skb)
  const dif = inet_iif(skb)
  let sk: sock | null = null
  let isn = 0
  let next = DISCARD_IT
  // kept here while softirqs may nest
  let counted = false
  let reason = SKB_DROP_REASON_NOT_SPECIFIED

  receive: {
    if (skb.pkt_type !== PACKET_HOST) break receive

    net.mib.tcp.InSegs++

    if (!pskb_may_pull(skb, SIZEOF_TCPHDR)) break receive

    const doff = (skb.head.bytes[skb.data + 12] ?? 0) >> 4
    if (doff < SIZEOF_TCPHDR / 4) {
      reason = SKB_DROP_REASON_PKT_TOO_SMALL
      next = BAD_PACKET
      break receive
    }
    if (!pskb_may_pull(skb, doff * 4)) break receive

    if (skb_checksum_init(skb, IPPROTO_TCP, inet_compute_pseudo)) {
      next = CSUM_ERROR
      break receive
    }
    next = PROCESS
  }

  let th = new tcphdr(skb.head.bytes, skb.data)
  let iph = ip_hdr(skb)

  while (next === PROCESS) {
    const { hashinfo } = net.ipv4.tcp_death_row
    sk = __inet_lookup_skb(hashinfo, skb, __tcp_hdrlen(th), th.source, th.dest, sdif, refcounted)
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
      if (!xfrm4_policy_check(sk, XFRM_POLICY_IN, skb)) reason = SKB_DROP_REASON_XFRM_POLICY
      else reason = tcp_inbound_hash(sk, req, skb, iph.saddr, iph.daddr, AF_INET, dif, sdif)
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
        iph = ip_hdr(skb)
        tcp_v4_fill_cb(skb, iph, th)
        nsk = tcp_check_req(sk, skb, req, false, req_stolen)
      } else {
        reason = SKB_DROP_REASON_SOCKET_FILTER
      }
      if (nsk === null) {
        reqsk_put(req)
        if (req_stolen.v) {
          tcp_v4_restore_cb(skb)
          sock_put(sk)
          continue
        }
        next = DISCARD_AND_RELSE
        break
      }
      nf_reset_ct(skb)
      if (nsk === sk) {
        reqsk_put(req)
        tcp_v4_restore_cb(skb)
      } else {
        reason = tcp_child_process(sk, nsk, skb)
        if (reason) {
          tcp_v4_send_reset(nsk, skb, sk_rst_convert_drop_reason(reason))
          next = DISCARD_AND_RELSE
          break
        }
        sock_put(sk)
        return 0
      }
    }
    break
  }

  isn = 0
  for (;;) {
    if (next === PROCESS && sk !== null) {
      if (ip4_min_ttl.on && iph.ttl < inet_sk(sk).min_ttl) {
        net.mib.linux.TCPMinTTLDrop++
        reason = SKB_DROP_REASON_TCP_MINTTL
        next = DISCARD_AND_RELSE
        break
      }

      if (!xfrm4_policy_check(sk, XFRM_POLICY_IN, skb)) {
        reason = SKB_DROP_REASON_XFRM_POLICY
        next = DISCARD_AND_RELSE
        break
      }

      reason = tcp_inbound_hash(sk, null, skb, iph.saddr, iph.daddr, AF_INET, dif, sdif)
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
      iph = ip_hdr(skb)
      tcp_v4_fill_cb(skb, iph, th)
      TCP_SKB_CB(skb).tcp_tw_isn = isn

      skb.dev = null

      let ret = 0
      if (sk.sk_state === TCP_LISTEN) {
        ret = tcp_v4_do_rcv(sk, skb)
        if (counted) sock_put(sk)
        return ret
      }

      sk_incoming_cpu_update(sk)

      bh_lock_sock_nested(sk)
      tcp_segs_in(tcp_sk(sk), skb)
      if (!sock_owned_by_user(sk)) {
        ret = tcp_v4_do_rcv(sk, skb)
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
      return ret
    }

    if (next === DO_TIME_WAIT && sk !== null) {
      const tw = inet_twsk(sk)
      next = DISCARD_IT
      if (!xfrm4_policy_check(null, XFRM_POLICY_IN, skb)) {
        reason = SKB_DROP_REASON_XFRM_POLICY
        inet_twsk_put(tw)
        break
      }

      tcp_v4_fill_cb(skb, iph, th)

      if (tcp_checksum_complete(skb)) {
        inet_twsk_put(tw)
        next = CSUM_ERROR
        break
      }
      const tw_isn = { v: 0 }
      const status = tcp_timewait_state_process(tw, skb, th, tw_isn)
      if (status === TCP_TW_SYN) {
        const { hashinfo } = net.ipv4.tcp_death_row
        const sk2 = inet_lookup_listener(
          net,
          hashinfo,
          skb,
          __tcp_hdrlen(th),
          iph.saddr,
          th.source,
          iph.daddr,
          th.dest,
          inet_iif(skb),
          sdif,
        )
        if (sk2 !== null) {
          inet_twsk_deschedule_put(tw)
          sk = sk2
          tcp_v4_restore_cb(skb)
          counted = false
          isn = tw_isn.v
          next = PROCESS
          continue
        }
      }
      if (status === TCP_TW_SYN || status === TCP_TW_ACK) {
        tcp_v4_timewait_ack(sk, skb)
      } else if (status === TCP_TW_RST) {
        tcp_v4_send_reset(sk, skb, SK_RST_REASON_TCP_TIMEWAIT_SOCKET)
        inet_twsk_deschedule_put(tw)
      }
    }
    break
  }

  if (next === NO_TCP_SOCKET) {
    reason = SKB_DROP_REASON_NO_SOCKET
    if (xfrm4_policy_check(null, XFRM_POLICY_IN, skb)) {
      tcp_v4_fill_cb(skb, iph, th)

      if (tcp_checksum_complete(skb)) next = CSUM_ERROR
      else tcp_v4_send_reset(null, skb, sk_rst_convert_drop_reason(reason))
    }
  }
  if (next === CSUM_ERROR) {
    reason = SKB_DROP_REASON_TCP_CSUM
    if (tracer.on) trace_tcp_bad_csum(skb)
    net.mib.tcp.InCsumErrors++
  }
  if (next === CSUM_ERROR || next === BAD_PACKET) net.mib.tcp.InErrs++
  if (next === DISCARD_AND_RELSE && sk !== null) {
    sk_drops_add(sk, skb)
    if (counted) sock_put(sk)
  }
  sk_skb_reason_drop(sk, skb, reason || SKB_DROP_REASON_NOT_SPECIFIED)
  return 0
})

const tcp_timewait_sock_ops: timewait_sock_ops = {
  twsk_slab: null,
  twsk_slab_name: 'tw_sock_TCP',
  twsk_obj_size: 256,
  twsk_destructor: null,
}

/** a connected socket remembers the route of what it receives */
export const inet_sk_rx_dst_set = kfunc('inet_sk_rx_dst_set', (sk: sock, skb: sk_buff): void => {
  const dst = skb_dst(skb)

  if (dst !== null && dst_hold_safe(dst)) {
    sk.sk_rx_dst = dst
    sk.sk_rx_dst_ifindex = skb.skb_iif
  }
})

/** filled in an initcall */
export const ipv4_specific: inet_connection_sock_af_ops = { net_header_len: 20 } as unknown as inet_connection_sock_af_ops

const tcp_v4_init_sock = kfunc('tcp_v4_init_sock', (sk: sock): number => {
  const icsk = inet_csk(sk)

  tcp_init_sock(sk)

  icsk.icsk_af_ops = ipv4_specific

  return 0
})

/** sk->sk_user_frags of every socket: no page of a device is ever lent to the user here */
const sk_user_frags = new xarray<never>()

const tcp_release_user_frags = kfunc('tcp_release_user_frags', (_sk: sock): void => {
  xa_find(sk_user_frags, 0, U32_MAX)
})

export const tcp_v4_destroy_sock = kfunc('tcp_v4_destroy_sock', (sk: sock): void => {
  const tp = tcp_sk(sk)

  tcp_release_user_frags(sk)
  xa_destroy(sk_user_frags)

  if (tracer.on) tracepoint('tcp', 'tcp_destroy_sock', tp_tcp_event_sk(sk))

  tcp_clear_xmit_timers(sk)

  tcp_cleanup_congestion_control(sk)

  tcp_cleanup_ulp(sk)

  tcp_write_queue_purge(sk)

  tcp_fastopen_active_disable_ofo_check(sk)

  skb_rbtree_purge(tp.out_of_order_queue)

  if (tp.icsk_bind_hash !== null) inet_put_port(sk)

  tcp_free_fastopen_req(tp)
  tcp_fastopen_destroy_cipher(sk)
  tcp_saved_syn_free(tp)

  sk_sockets_allocated_dec(sk)
})

/** `wake` is 1 when the question is whether to wake a writer: not before half of the limit is free */
export const tcp_stream_memory_free = kfunc('tcp_stream_memory_free', (sk: sock, wake: number): boolean => {
  const tp = tcp_sk(sk)
  const notsent_bytes = (tp.write_seq - tp.snd_nxt) >>> 0

  return (notsent_bytes << wake) >>> 0 < tcp_notsent_lowat(tp)
})

/** the tables name functions of other files: an initcall fills them */
function fill_operations(): void {
  tcp_timewait_sock_ops.twsk_slab = null
  tcp_timewait_sock_ops.twsk_destructor = tcp_twsk_destructor
  const rsk: Partial<request_sock_ops> = {
    slab: null,
    rtx_syn_ack: tcp_rtx_synack,
    send_ack: tcp_v4_reqsk_send_ack,
    destructor: tcp_v4_reqsk_destructor,
    send_reset: tcp_v4_send_reset,
    syn_ack_timeout: tcp_syn_ack_timeout,
  }
  Object.assign(tcp_request_sock_ops, rsk)
  const treq: Partial<af_specific_ops> = {
    req_md5_lookup: tcp_v4_md5_lookup,
    cookie_init_seq: cookie_v4_init_sequence,
    route_req: tcp_v4_route_req,
    init_seq_and_ts_off: tcp_v4_init_seq_and_ts_off,
    send_synack: tcp_v4_send_synack,
  }
  Object.assign(tcp_request_sock_ipv4_ops, treq)
  const af: inet_connection_sock_af_ops = {
    queue_xmit: ip_queue_xmit,
    send_check: tcp_v4_send_check,
    rebuild_header: inet_sk_rebuild_header,
    sk_rx_dst_set: inet_sk_rx_dst_set,
    conn_request: tcp_v4_conn_request,
    syn_recv_sock: tcp_v4_syn_recv_sock,
    net_header_len: 20,
    setsockopt: ip_setsockopt,
    getsockopt: ip_getsockopt,
    addr2sockaddr: inet_csk_addr2sockaddr,
    mtu_reduced: tcp_v4_mtu_reduced,
  }
  Object.assign(ipv4_specific, af)
}

/** gives tcp_prot its operations; the counters it points to are made by the initcalls of tcp.ts */
export function tcp_prot_init(): void {
  const p: Omit<proto, 'name' | 'alloc' | 'obj_size'> = {
    close: tcp_close,
    pre_connect: tcp_v4_pre_connect,
    connect: tcp_v4_connect,
    disconnect: tcp_disconnect,
    accept: inet_csk_accept,
    ioctl: tcp_ioctl,
    init: tcp_v4_init_sock,
    destroy: tcp_v4_destroy_sock,
    shutdown: tcp_shutdown,
    setsockopt: tcp_setsockopt,
    getsockopt: tcp_getsockopt,
    keepalive: tcp_set_keepalive,
    recvmsg: tcp_recvmsg,
    sendmsg: tcp_sendmsg,
    splice_eof: tcp_splice_eof,
    backlog_rcv: tcp_v4_do_rcv,
    release_cb: tcp_release_cb,
    hash: inet_hash,
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
    twsk_prot: tcp_timewait_sock_ops,
    rsk_prot: tcp_request_sock_ops,
    h: null,
    no_autobind: true,
    diag_destroy: tcp_abort,
    inuse: 0,
  }
  Object.assign(tcp_prot, p)
}

const tcp_sk_exit = kfunc('tcp_sk_exit', (_net: net): void => {
  module_put(null)
})

const tcp_set_hashinfo = kfunc('tcp_set_hashinfo', (net: net): void => {
  const ehash_entries = tcp_hashinfo.ehash_mask + 1

  net.ipv4.tcp_death_row.hashinfo = tcp_hashinfo
  net.ipv4.tcp_death_row.sysctl_max_tw_buckets = ehash_entries / 2
  net.ipv4.sysctl_max_syn_backlog = Math.max(128, ehash_entries / 128)
})

/** settings of a new namespace */
export const tcp_sk_init = kfunc('tcp_sk_init', (net: net): number => {
  const { ipv4 } = net

  ipv4.sysctl_tcp_ecn = 2
  ipv4.sysctl_tcp_ecn_fallback = 1

  ipv4.sysctl_tcp_base_mss = 1024
  ipv4.sysctl_tcp_min_snd_mss = 48
  ipv4.sysctl_tcp_probe_threshold = 8
  ipv4.sysctl_tcp_probe_interval = 600
  ipv4.sysctl_tcp_mtu_probe_floor = 48

  ipv4.sysctl_tcp_keepalive_time = 120 * 60 * HZ
  ipv4.sysctl_tcp_keepalive_probes = 9
  ipv4.sysctl_tcp_keepalive_intvl = 75 * HZ

  ipv4.sysctl_tcp_syn_retries = 6
  ipv4.sysctl_tcp_synack_retries = 5
  ipv4.sysctl_tcp_syncookies = 1
  ipv4.sysctl_tcp_reordering = 3
  ipv4.sysctl_tcp_retries1 = 3
  ipv4.sysctl_tcp_retries2 = 15
  ipv4.sysctl_tcp_orphan_retries = 0
  ipv4.sysctl_tcp_fin_timeout = 60 * HZ
  ipv4.sysctl_tcp_notsent_lowat = 0xffffffff
  ipv4.sysctl_tcp_tw_reuse = 2
  ipv4.sysctl_tcp_no_ssthresh_metrics_save = 1

  ipv4.tcp_death_row.tw_refcount = 1
  tcp_set_hashinfo(net)

  ipv4.sysctl_tcp_sack = 1
  ipv4.sysctl_tcp_window_scaling = 1
  ipv4.sysctl_tcp_timestamps = 1
  ipv4.sysctl_tcp_early_retrans = 3
  ipv4.sysctl_tcp_recovery = 1
  ipv4.sysctl_tcp_slow_start_after_idle = 1
  ipv4.sysctl_tcp_retrans_collapse = 1
  ipv4.sysctl_tcp_max_reordering = 300
  ipv4.sysctl_tcp_dsack = 1
  ipv4.sysctl_tcp_app_win = 31
  ipv4.sysctl_tcp_adv_win_scale = 1
  ipv4.sysctl_tcp_frto = 2
  ipv4.sysctl_tcp_moderate_rcvbuf = 1
  ipv4.sysctl_tcp_tso_win_divisor = 3
  ipv4.sysctl_tcp_limit_output_bytes = 16 * 65536
  ipv4.sysctl_tcp_challenge_ack_limit = 0x7fffffff
  ipv4.sysctl_tcp_min_tso_segs = 2
  ipv4.sysctl_tcp_tso_rtt_log = 9
  ipv4.sysctl_tcp_min_rtt_wlen = 300
  ipv4.sysctl_tcp_autocorking = 1
  ipv4.sysctl_tcp_invalid_ratelimit = HZ / 2
  ipv4.sysctl_tcp_pacing_ss_ratio = 200
  ipv4.sysctl_tcp_pacing_ca_ratio = 120
  if (!net_eq(net, init_net)) {
    const { sysctl_tcp_rmem: r, sysctl_tcp_wmem: w } = init_net.ipv4
    ipv4.sysctl_tcp_rmem = [r[0], r[1], r[2]]
    ipv4.sysctl_tcp_wmem = [w[0], w[1], w[2]]
  }
  ipv4.sysctl_tcp_comp_sack_delay_ns = 1_000_000
  ipv4.sysctl_tcp_comp_sack_slack_ns = 100_000
  ipv4.sysctl_tcp_comp_sack_nr = 44
  ipv4.sysctl_tcp_backlog_ack_defer = 1
  ipv4.sysctl_tcp_fastopen = TFO_CLIENT_ENABLE
  ipv4.sysctl_tcp_fastopen_blackhole_timeout = 0
  ipv4.tfo_active_disable_times = 0

  ipv4.sysctl_tcp_plb_enabled = 0
  ipv4.sysctl_tcp_plb_idle_rehash_rounds = 3
  ipv4.sysctl_tcp_plb_rehash_rounds = 12
  ipv4.sysctl_tcp_plb_suspend_rto_sec = 60
  ipv4.sysctl_tcp_plb_cong_thresh = 128

  const ca = init_net.ipv4.tcp_congestion_control
  if (!net_eq(net, init_net) && try_module_get(null)) ipv4.tcp_congestion_control = ca
  else ipv4.tcp_congestion_control = tcp_reno

  ipv4.sysctl_tcp_syn_linear_timeouts = 4
  ipv4.sysctl_tcp_shrink_window = 0

  ipv4.sysctl_tcp_pingpong_thresh = 1
  ipv4.sysctl_tcp_rto_min_us = jiffies_to_usecs(TCP_RTO_MIN)

  return 0
})

const tcp_sk_exit_batch = kfunc('tcp_sk_exit_batch', (net_exit_list: readonly net[]): void => {
  tcp_twsk_purge(net_exit_list)

  for (const net of net_exit_list) {
    net.ipv4.tcp_death_row.tw_refcount--
    tcp_fastopen_ctx_destroy(net)
  }
})

/** the sockets that answer for no socket, and the settings of namespaces */
export const tcp_v4_init = kfunc('tcp_v4_init', (): void => {
  const skp: ref<sock | null> = { v: null }
  const res = inet_ctl_sock_create(skp, PF_INET, SOCK_RAW, IPPROTO_TCP, init_net)
  const sk = skp.v
  if (res || sk === null) throw new InternalError('Failed to create the TCP control socket.')
  sock_set_flag(sk, SOCK_USE_WRITE_QUEUE)

  // no fragments, and the identification 0 that goes with that
  inet_sk(sk).pmtudisc = IP_PMTUDISC_DO
  sk.sk_clockid = CLOCK_MONOTONIC
  ipv4_tcp_sk = sk
  register_pernet_subsys({ init: tcp_sk_init, exit: tcp_sk_exit, exit_batch: tcp_sk_exit_batch })
})
