import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { traceIndirect, tracepoint, tracer } from '../../../trace/tracer.ts'
import {
  IPPROTO_ICMP,
  IPPROTO_IP,
  IPPROTO_MAX,
  IPPROTO_RAW,
  IPPROTO_TCP,
  IPPROTO_UDP,
  MSG_ERRQUEUE,
  SK_CAN_REUSE,
  SKB_GSO_PARTIAL,
  SKB_GSO_TCP_FIXEDID,
  SKB_GSO_UDP,
  SOCK_BINDADDR_LOCK,
  SOCK_BINDPORT_LOCK,
  SOCK_DEAD,
  SOCK_DGRAM,
  SOCK_LINGER,
  SOCK_MAX,
  SOCK_RAW,
  SOCK_STREAM,
  SOCK_SUPPORT_ZC,
  SS_CONNECTED,
  SS_CONNECTING,
  SS_DISCONNECTING,
  SS_UNCONNECTED,
  TCP_CLOSE,
  TCP_LISTEN,
  TCP_SYN_SENT,
  TCPF_CLOSE,
  TCPF_LISTEN,
  TCPF_SYN_RECV,
  TCPF_SYN_SENT,
} from '../../include/generated/enums.ts'
import {
  EACCES,
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  EAGAIN,
  EALREADY,
  ECONNABORTED,
  EFAULT,
  EINPROGRESS,
  EINVAL,
  EISCONN,
  ENOIOCTLCMD,
  ENOMEM,
  ENOSYS,
  ENOTCONN,
  EPERM,
  EPIPE,
  EPROTONOSUPPORT,
  ESOCKTNOSUPPORT,
} from '../../include/linux/errno.ts'
import { ETH_P_IP } from '../../include/linux/if_ether.ts'
import { INADDR_ANY, IP_PMTUDISC_DONT, IP_PMTUDISC_WANT } from '../../include/linux/in.ts'
import { fs_initcall } from '../../include/linux/init.ts'
import { ip_hdr, ip_is_fragment, iphdr, SIZEOF_IPHDR } from '../../include/linux/ip.ts'
import type { net_proto_family, proto_ops, sockaddr, socket } from '../../include/linux/net.ts'
import type { netdev_features_t, packet_type } from '../../include/linux/netdevice.ts'
import { RT_TABLE_LOCAL, RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST } from '../../include/linux/rtnetlink.ts'
import { TASK_INTERRUPTIBLE } from '../../include/linux/sched.ts'
import {
  type sk_buff,
  skb_is_gso,
  skb_reset_mac_len,
  skb_reset_network_header,
  skb_reset_transport_header,
  skb_shinfo,
} from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC, GFP_KERNEL } from '../../include/linux/slab.ts'
import { AF_INET, AF_INET6, AF_UNSPEC, type msghdr, PF_INET } from '../../include/linux/socket.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import { IS_ERR, MSEC_PER_SEC, NSEC_PER_MSEC, type ref } from '../../include/linux/types.ts'
import { wait_queue_entry } from '../../include/linux/wait.ts'
import { NAPI_GRO_CB, skb_gro_len, skb_gro_offset, skb_gro_pull } from '../../include/net/gro.ts'
import { inet_csk } from '../../include/net/inet_connection_sock.ts'
import {
  INET_FLAGS_BIND_ADDRESS_NO_PORT,
  INET_FLAGS_DEFER_CONNECT,
  INET_FLAGS_FREEBIND,
  INET_FLAGS_HDRINCL,
  INET_FLAGS_IS_ICSK,
  INET_FLAGS_MC_ALL,
  INET_FLAGS_MC_LOOP,
  INET_FLAGS_NODEFRAG,
  INET_FLAGS_TRANSPARENT,
  inet_assign_bit,
  inet_clear_bit,
  inet_set_bit,
  inet_sk,
  type inet_sock,
  inet_test_bit,
} from '../../include/net/inet_sock.ts'
import { IP_DF, IP_MF } from '../../include/net/ip.ts'
import { ipv6_stub } from '../../include/net/ipv6_stubs.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { proto, proto_accept_arg, sock } from '../../include/net/sock.ts'
import { TFO_SERVER_ENABLE, TFO_SERVER_WO_SOCKOPT1, tcp_sk } from '../../include/net/tcp.ts'
import { ns_capable } from '../../kernel/capability.ts'
import { spin_lock_bh, spin_unlock_bh } from '../../kernel/locking/spinlock.ts'
import { request_module } from '../../kernel/module/kmod.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { current, signal_pending } from '../../kernel/sched/core.ts'
import { add_wait_queue, remove_wait_queue, wait_woken, woken_wake_function } from '../../kernel/sched/wait.ts'
import { ktime_get_real_ts64 } from '../../kernel/time/timekeeping.ts'
import { csum_replace2, ip_fast_csum } from '../../lib/checksum.ts'
import { raw_copy_to_user } from '../../mm/memory.ts'
import { dev_add_pack } from '../core/dev.ts'
import { dst_release } from '../core/dst.ts'
import { dev_add_offload, indirect_call_gro_receive, skb_gro_flush_final, skb_gro_header } from '../core/gro.ts'
import { gso_recursion_inc_test } from '../core/gso.ts'
import { register_pernet_subsys } from '../core/net_namespace.ts'
import { tp_sock_addrs } from '../core/net-traces.ts'
import { __skb_pull, __skb_queue_purge, pskb_may_pull, SKB_GSO_CB, skb_reset_inner_headers } from '../core/skbuff.ts'
import {
  __sk_dst_check,
  lock_sock,
  proto_register,
  register_sock_gen_put,
  release_sock,
  sk_alloc,
  sk_common_release,
  sk_dst_reset,
  sk_mem_reclaim_final,
  sk_set_peek_off,
  sk_setup_caps,
  sk_sleep,
  sock_common_getsockopt,
  sock_common_setsockopt,
  sock_error,
  sock_flag,
  sock_graft,
  sock_init_data,
  sock_intr_errno,
  sock_no_accept,
  sock_no_listen,
  sock_no_socketpair,
  sock_sndtimeo,
} from '../core/sock.ts'
import { l3mdev_fib_table_by_index } from '../l3mdev/l3mdev.ts'
import { sock_create_kern, sock_register } from '../socket.ts'
import { arp_init } from './arp.ts'
import { inet_addr_type_table } from './fib_frontend.ts'
import { icmp_err, icmp_init, icmp_rcv } from './icmp.ts'
import { ip_mc_drop_socket } from './igmp.ts'
import { inet_csk_listen_start, inet_init_csk_locks } from './inet_connection_sock.ts'
import { inet_bhash2_update_saddr, sock_edemux, sock_gen_put } from './inet_hashtables.ts'
import { ipfrag_init } from './ip_fragment.ts'
import { ip_list_rcv, ip_rcv } from './ip_input.ts'
import { ip_init, ip_send_check, iph_set_totlen } from './ip_output.ts'
import { ip_recv_error } from './ip_sockglue.ts'
import { inet_add_protocol, inet_offloads, type net_protocol } from './protocol.ts'
import { raw_init, raw_prot } from './raw.ts'
import { ip_route_connect, ip_route_output_ports, ip_rt_put, ip_sock_rt_tos } from './route.ts'
import { tcp_init, tcp_peek_len, tcp_read_sock, tcp_sendmsg_locked, tcp_set_rcvlowat, tcp_splice_read } from './tcp.ts'
import { tcp_fastopen_init_key_once } from './tcp_fastopen.ts'
import { BPF_SOCK_OPS_TCP_LISTEN_CB, tcp_call_bpf } from './tcp_inlines.ts'
import { tcp_prot, tcp_prot_init, tcp_v4_err, tcp_v4_init, tcp_v4_rcv } from './tcp_ipv4.ts'
import { tcpv4_offload_init } from './tcp_offload.ts'
import { udp_err, udp_init, udp_prot, udp_rcv } from './udp.ts'
import { udpv4_offload_init } from './udp_offload.ts'

/** include/uapi/asm-generic/fcntl.h */
const O_NONBLOCK = 0o4000
const SIZEOF_SOCKADDR_IN = 16
const SIZEOF_SA_FAMILY = 2
const SHUTDOWN_MASK = 3
const RCV_SHUTDOWN = 1
const CAP_NET_BIND_SERVICE = 10
const CAP_NET_RAW = 13
const PF_EXITING = 0x00000004

// include/net/inet_common.h
export const BIND_FORCE_ADDRESS_NO_PORT = 1 << 0
export const BIND_WITH_LOCK = 1 << 1
export const BIND_FROM_BPF = 1 << 2
export const BIND_NO_CAP_NET_BIND_SERVICE = 1 << 3

// include/net/protocol.h
const INET_PROTOSW_REUSE = 0x01
const INET_PROTOSW_PERMANENT = 0x02
const INET_PROTOSW_ICSK = 0x04

/** struct inet_protosw: what a type and a protocol of socket() mean */
interface inet_protosw {
  type: number
  protocol: number
  prot: proto
  ops: proto_ops
  flags: number
}

/** by type, in the order in which they are tried */
let inetsw: inet_protosw[][] = []
let inetsw_lock = new spinlock_t()

export const inet_reset_saddr = kfunc('inet_reset_saddr', (sk: sock): void => {
  const inet = inet_sk(sk)
  inet.inet_rcv_saddr = inet.inet_saddr = 0
  if (sk.sk_family === AF_INET6) {
    sk.skc_v6_rcv_saddr?.fill(0)
    inet.pinet6?.saddr.fill(0)
  }
})

/** nobody refers to the socket any more */
export const inet_sock_destruct = kfunc('inet_sock_destruct', (sk: sock): void => {
  __skb_queue_purge(sk.sk_receive_queue)
  __skb_queue_purge(sk.sk_error_queue)

  sk_mem_reclaim_final(sk)

  // Linux complains about these and keeps the memory
  if (sk.sk_type === SOCK_STREAM && sk.sk_state !== TCP_CLOSE) return
  if (!sock_flag(sk, SOCK_DEAD)) return

  inet_sk(sk).inet_opt = null
  dst_release(sk.sk_dst_cache)
  dst_release(sk.sk_rx_dst)
})

/** an unbound socket gets a port of the kernel's choice; 0 or -EAGAIN */
const inet_autobind = kfunc('inet_autobind', (sk: sock): number => {
  lock_sock(sk)
  const inet = inet_sk(sk)
  if (!inet.inet_num) {
    const { get_port } = sk.sk_prot
    if (tracer.on) traceIndirect('sk->sk_prot->get_port', nameOf(get_port))
    if (get_port?.(sk, 0)) {
      release_sock(sk)
      return -EAGAIN
    }
    inet.inet_sport = inet.inet_num
  }
  release_sock(sk)
  return 0
})

/** include/linux/tcp.h */
const fastopen_queue_tune = kfunc('fastopen_queue_tune', (sk: sock, backlog: number): void => {
  inet_csk(sk).icsk_accept_queue.fastopenq.max_qlen = Math.min(backlog, sk.sk_net.core.sysctl_somaxconn)
})

export const __inet_listen_sk = kfunc('__inet_listen_sk', (sk: sock, backlog: number): number => {
  const old_state = sk.sk_state

  if (!((1 << old_state) & (TCPF_CLOSE | TCPF_LISTEN))) return -EINVAL

  sk.sk_max_ack_backlog = backlog
  // a socket that listens already gets another backlog, no more
  if (old_state !== TCP_LISTEN) {
    const net = sk.sk_net
    const tcp_fastopen = net.ipv4.sysctl_tcp_fastopen
    if (
      tcp_fastopen & TFO_SERVER_WO_SOCKOPT1 &&
      tcp_fastopen & TFO_SERVER_ENABLE &&
      !inet_csk(sk).icsk_accept_queue.fastopenq.max_qlen
    ) {
      fastopen_queue_tune(sk, backlog)
      tcp_fastopen_init_key_once(net)
    }

    const err = inet_csk_listen_start(sk)
    if (err) return err

    tcp_call_bpf(sk, BPF_SOCK_OPS_TCP_LISTEN_CB, 0, null)
  }
  return 0
})

export const inet_listen = kfunc('inet_listen', (sock: socket, backlog: number): number => {
  const sk = sock.sk as sock
  let err = -EINVAL

  lock_sock(sk)

  if (sock.state === SS_UNCONNECTED && sock.type === SOCK_STREAM) err = __inet_listen_sk(sk, backlog)

  release_sock(sk)
  return err
})

/** gives `sock` its struct sock; -ESOCKTNOSUPPORT, -EPROTONOSUPPORT, -EPERM, -ENOMEM */
const inet_create = kfunc('inet_create', (net: net, sock: socket, protocol: number, kern: number): number => {
  let answer: inet_protosw | undefined
  let err: number

  if (protocol < 0 || protocol >= IPPROTO_MAX) return -EINVAL

  sock.state = SS_UNCONNECTED

  // built in there, but its code is loaded here when a program names it
  if (protocol === IPPROTO_ICMP && sock.type === SOCK_DGRAM)
    request_module(`net-pf-${PF_INET}-proto-${protocol}-type-${sock.type}`)
  err = -ESOCKTNOSUPPORT
  rcu_read_lock()
  for (const sw of inetsw[sock.type] ?? []) {
    answer = sw
    err = 0
    if (protocol === sw.protocol) {
      if (protocol !== IPPROTO_IP) break
    } else {
      if (protocol === IPPROTO_IP) {
        protocol = sw.protocol
        break
      }
      if (sw.protocol === IPPROTO_IP) break
    }
    err = -EPROTONOSUPPORT
  }

  if (err || answer === undefined) {
    // no module has it either
    rcu_read_unlock()
    return err
  }

  if (sock.type === SOCK_RAW && !kern && !ns_capable(null, CAP_NET_RAW)) {
    rcu_read_unlock()
    return -EPERM
  }

  sock.ops = answer.ops
  const { prot: answer_prot, flags: answer_flags } = answer
  rcu_read_unlock()

  const sk = sk_alloc(net, PF_INET, GFP_KERNEL, answer_prot, kern)
  if (sk === null) return -ENOMEM

  err = 0
  if (INET_PROTOSW_REUSE & answer_flags) sk.sk_reuse = SK_CAN_REUSE

  if (INET_PROTOSW_ICSK & answer_flags) inet_init_csk_locks(sk)

  const inet = inet_sk(sk)
  inet_assign_bit(INET_FLAGS_IS_ICSK, sk, (INET_PROTOSW_ICSK & answer_flags) !== 0)

  inet_clear_bit(INET_FLAGS_NODEFRAG, sk)

  if (sock.type === SOCK_RAW) {
    inet.inet_num = protocol
    if (protocol === IPPROTO_RAW) inet_set_bit(INET_FLAGS_HDRINCL, sk)
  }

  inet.pmtudisc = net.ipv4.sysctl_ip_no_pmtu_disc ? IP_PMTUDISC_DONT : IP_PMTUDISC_WANT

  inet.inet_id = 0

  sock_init_data(sock, sk)

  sk.sk_destruct = inet_sock_destruct
  sk.sk_protocol = protocol
  if (sk.sk_prot.backlog_rcv !== undefined) sk.sk_backlog_rcv = sk.sk_prot.backlog_rcv
  sk.sk_txrehash = net.core.sysctl_txrehash

  inet.uc_ttl = -1
  inet_set_bit(INET_FLAGS_MC_LOOP, sk)
  inet.mc_ttl = 1
  inet_set_bit(INET_FLAGS_MC_ALL, sk)
  inet.mc_index = 0
  inet.mc_list = null
  inet.rcv_tos = 0

  if (inet.inet_num) {
    inet.inet_sport = inet.inet_num
    if (tracer.on) traceIndirect('sk->sk_prot->hash', nameOf(sk.sk_prot.hash))
    err = sk.sk_prot.hash?.(sk) ?? 0
  }

  const { init } = sk.sk_prot
  if (!err && init !== undefined) {
    if (tracer.on) traceIndirect('sk->sk_prot->init', nameOf(init))
    err = init(sk)
  }
  if (err) {
    sk_common_release(sk)
    sock.sk = null
  }
  return err
})

/** close(): the struct socket goes, the connection may live on for a while */
export const inet_release = kfunc('inet_release', (sock: socket): number => {
  const { sk } = sock

  if (sk !== null) {
    ip_mc_drop_socket(sk)

    let timeout = 0
    if (sock_flag(sk, SOCK_LINGER) && !(current.flags & PF_EXITING)) timeout = sk.sk_lingertime
    const { close } = sk.sk_prot
    if (tracer.on) traceIndirect('sk->sk_prot->close', nameOf(close))
    close?.(sk, timeout)
    sock.sk = null
  }
  return 0
})

export const inet_bind_sk = kfunc('inet_bind_sk', (sk: sock, uaddr: sockaddr, addr_len: number): number => {
  const { bind } = sk.sk_prot
  if (bind !== undefined) {
    if (tracer.on) traceIndirect('sk->sk_prot->bind', nameOf(bind))
    return bind(sk, uaddr, addr_len)
  }
  if (addr_len < SIZEOF_SOCKADDR_IN) return -EINVAL

  return __inet_bind(sk, uaddr, addr_len, BIND_WITH_LOCK)
})

export const inet_bind = kfunc('inet_bind', (sock: socket, uaddr: sockaddr, addr_len: number): number =>
  inet_bind_sk(sock.sk as sock, uaddr, addr_len),
)

/** include/net/inet_sock.h: some may bind to addresses that this machine has not */
const inet_can_nonlocal_bind = (net: net, inet: inet_sock): boolean =>
  net.ipv4.sysctl_ip_nonlocal_bind !== 0 ||
  inet_test_bit(INET_FLAGS_FREEBIND, inet) ||
  inet_test_bit(INET_FLAGS_TRANSPARENT, inet)

const inet_addr_valid_or_nonlocal = (net: net, inet: inet_sock, addr: number, type: number): boolean =>
  inet_can_nonlocal_bind(net, inet) ||
  addr === INADDR_ANY ||
  type === RTN_LOCAL ||
  type === RTN_MULTICAST ||
  type === RTN_BROADCAST

/** 0, -EAFNOSUPPORT, -EADDRNOTAVAIL (no such address here), -EACCES, -EINVAL (bound already), -EADDRINUSE */
export const __inet_bind = kfunc('__inet_bind', (sk: sock, uaddr: sockaddr, _addr_len: number, flags: number): number => {
  const inet = inet_sk(sk)
  const net = sk.sk_net
  const addr = uaddr.sin_addr

  // some programs leave the family 0
  if (uaddr.sa_family !== AF_INET && (uaddr.sa_family !== AF_UNSPEC || addr !== INADDR_ANY)) return -EAFNOSUPPORT

  const tb_id = l3mdev_fib_table_by_index(net, sk.sk_bound_dev_if) || RT_TABLE_LOCAL
  const chk_addr_ret = inet_addr_type_table(net, addr, tb_id)

  if (!inet_addr_valid_or_nonlocal(net, inet, addr, chk_addr_ret)) return -EADDRNOTAVAIL

  const snum = uaddr.sin_port
  if (
    !(flags & BIND_NO_CAP_NET_BIND_SERVICE) &&
    snum &&
    snum < net.ipv4.sysctl_ip_prot_sock &&
    !ns_capable(null, CAP_NET_BIND_SERVICE)
  )
    return -EACCES

  if (flags & BIND_WITH_LOCK) lock_sock(sk)

  let err = -EINVAL
  out_release_sock: {
    if (sk.sk_state !== TCP_CLOSE || inet.inet_num) break out_release_sock

    // the one is used for look-ups, the other for sending
    inet.inet_rcv_saddr = inet.inet_saddr = addr
    if (chk_addr_ret === RTN_MULTICAST || chk_addr_ret === RTN_BROADCAST) inet.inet_saddr = 0

    if (snum || !(inet_test_bit(INET_FLAGS_BIND_ADDRESS_NO_PORT, sk) || flags & BIND_FORCE_ADDRESS_NO_PORT)) {
      const { get_port } = sk.sk_prot
      if (tracer.on) traceIndirect('sk->sk_prot->get_port', nameOf(get_port))
      err = get_port?.(sk, snum) ?? 0
      if (err) {
        inet.inet_saddr = inet.inet_rcv_saddr = 0
        break out_release_sock
      }
    }

    if (inet.inet_rcv_saddr) sk.sk_userlocks |= SOCK_BINDADDR_LOCK
    if (snum) sk.sk_userlocks |= SOCK_BINDPORT_LOCK
    inet.inet_sport = inet.inet_num
    inet.inet_daddr = 0
    inet.inet_dport = 0
    sk_dst_reset(sk)
    err = 0
  }
  if (flags & BIND_WITH_LOCK) release_sock(sk)
  return err
})

export const inet_dgram_connect = kfunc(
  'inet_dgram_connect',
  (sock: socket, uaddr: sockaddr, addr_len: number, flags: number): number => {
    const sk = sock.sk as sock
    const prot = sk.sk_prot

    if (addr_len < SIZEOF_SA_FAMILY) return -EINVAL

    if (uaddr.sa_family === AF_UNSPEC) {
      if (tracer.on) traceIndirect('sk->sk_prot->disconnect', nameOf(prot.disconnect))
      return prot.disconnect?.(sk, flags) ?? 0
    }

    if (!inet_sk(sk).inet_num && inet_autobind(sk)) return -EAGAIN
    if (tracer.on) traceIndirect('sk->sk_prot->connect', nameOf(prot.connect))
    return prot.connect?.(sk, uaddr, addr_len) ?? 0
  },
)

/** sleeps until the handshake is over; the time that is left */
const inet_wait_for_connect = kfunc('inet_wait_for_connect', (sk: sock, timeo: number, writebias: number): number => {
  const wait = new wait_queue_entry(current, woken_wake_function)

  add_wait_queue(sk_sleep(sk), wait)
  sk.sk_write_pending += writebias

  while ((1 << sk.sk_state) & (TCPF_SYN_SENT | TCPF_SYN_RECV)) {
    release_sock(sk)
    timeo = wait_woken(wait, TASK_INTERRUPTIBLE, timeo)
    lock_sock(sk)
    if (signal_pending(current) || !timeo) break
  }
  remove_wait_queue(sk_sleep(sk), wait)
  sk.sk_write_pending -= writebias
  return timeo
})

/** `uaddr` is null when a fast open connection that was put off (TCP_FASTOPEN_CONNECT) begins with its first write */
export const __inet_stream_connect = kfunc(
  '__inet_stream_connect',
  (sock: socket, uaddr: sockaddr | null, addr_len: number, flags: number, is_sendmsg: number): number => {
    const sk = sock.sk as sock
    const prot = sk.sk_prot
    let err: number

    if (uaddr !== null) {
      if (addr_len < SIZEOF_SA_FAMILY) return -EINVAL

      if (uaddr.sa_family === AF_UNSPEC) {
        sk.sk_disconnects++
        if (tracer.on) traceIndirect('sk->sk_prot->disconnect', nameOf(prot.disconnect))
        err = prot.disconnect?.(sk, flags) ?? 0
        sock.state = err ? SS_DISCONNECTING : SS_UNCONNECTED
        return err
      }
    }

    switch (sock.state) {
      case SS_CONNECTED:
        return -EISCONN
      case SS_CONNECTING:
        if (inet_test_bit(INET_FLAGS_DEFER_CONNECT, sk)) err = is_sendmsg ? -EINPROGRESS : -EISCONN
        else err = -EALREADY
        break
      case SS_UNCONNECTED:
        if (sk.sk_state !== TCP_CLOSE) return -EISCONN

        if (tracer.on) traceIndirect('sk->sk_prot->connect', nameOf(prot.connect))
        err = prot.connect === undefined || uaddr === null ? -EINVAL : prot.connect(sk, uaddr, addr_len)
        if (err < 0) return err

        sock.state = SS_CONNECTING

        if (!err && inet_test_bit(INET_FLAGS_DEFER_CONNECT, sk)) return err

        err = -EINPROGRESS
        break
      default:
        return -EINVAL
    }

    const timeo = sock_sndtimeo(sk, (flags & O_NONBLOCK) !== 0)

    if ((1 << sk.sk_state) & (TCPF_SYN_SENT | TCPF_SYN_RECV)) {
      const writebias = sk.sk_protocol === IPPROTO_TCP && tcp_sk(sk).fastopen_req?.data ? 1 : 0
      const dis = sk.sk_disconnects

      if (!timeo || !inet_wait_for_connect(sk, timeo, writebias)) return err

      err = sock_intr_errno(timeo)
      if (signal_pending(current)) return err

      if (dis !== sk.sk_disconnects) return -EPIPE
    }

    // a reset, a timeout, an ICMP error, or somebody else disconnected
    if (sk.sk_state === TCP_CLOSE) {
      err = sock_error(sk) || -ECONNABORTED
      sock.state = SS_UNCONNECTED
      sk.sk_disconnects++
      if (tracer.on) traceIndirect('sk->sk_prot->disconnect', nameOf(prot.disconnect))
      if (prot.disconnect?.(sk, flags)) sock.state = SS_DISCONNECTING
      return err
    }

    sock.state = SS_CONNECTED
    return 0
  },
)

export const inet_stream_connect = kfunc(
  'inet_stream_connect',
  (sock: socket, uaddr: sockaddr, addr_len: number, flags: number): number => {
    const sk = sock.sk as sock

    lock_sock(sk)
    const err = __inet_stream_connect(sock, uaddr, addr_len, flags, 0)
    release_sock(sk)
    return err
  },
)

/** receive flow steering is off: its static key */
const sock_rps_record_flow = kfunc('sock_rps_record_flow', (_sk: sock): void => {})

export const __inet_accept = kfunc('__inet_accept', (sock: socket, newsock: socket, newsk: sock): void => {
  sock_rps_record_flow(newsk)

  if (sock.flags & (1 << SOCK_SUPPORT_ZC)) newsock.flags |= 1 << SOCK_SUPPORT_ZC
  sock_graft(newsk, newsock)

  newsock.state = SS_CONNECTED
})

export const inet_accept = kfunc('inet_accept', (sock: socket, newsock: socket, arg: proto_accept_arg): number => {
  const sk1 = sock.sk as sock
  const { accept } = sk1.sk_prot

  arg.err = -EINVAL
  if (tracer.on) traceIndirect('sk->sk_prot->accept', nameOf(accept))
  const sk2 = accept?.(sk1, arg) ?? null
  if (sk2 === null) return arg.err

  lock_sock(sk2)
  __inet_accept(sock, newsock, sk2)
  release_sock(sk2)
  return 0
})

/** the address of this end, or with `peer` of the other; its length, or -ENOTCONN */
export const inet_getname = kfunc('inet_getname', (sock: socket, uaddr: sockaddr, peer: number): number => {
  const sk = sock.sk as sock
  const inet = inet_sk(sk)

  uaddr.sa_family = AF_INET
  lock_sock(sk)
  if (peer) {
    if (!inet.inet_dport || ((1 << sk.sk_state) & (TCPF_CLOSE | TCPF_SYN_SENT) && peer === 1)) {
      release_sock(sk)
      return -ENOTCONN
    }
    uaddr.sin_port = inet.inet_dport
    uaddr.sin_addr = inet.inet_daddr
  } else {
    uaddr.sin_port = inet.inet_sport
    uaddr.sin_addr = inet.inet_rcv_saddr || inet.inet_saddr
  }
  release_sock(sk)
  uaddr.bytes.fill(0, 8, SIZEOF_SOCKADDR_IN)
  return SIZEOF_SOCKADDR_IN
})

export const inet_send_prepare = kfunc('inet_send_prepare', (sk: sock): number => {
  sock_rps_record_flow(sk)

  if (!inet_sk(sk).inet_num && !sk.sk_prot.no_autobind && inet_autobind(sk)) return -EAGAIN

  return 0
})

export const inet_sendmsg = kfunc('inet_sendmsg', (sock: socket, msg: msghdr, size: number): number => {
  const sk = sock.sk as sock

  if (inet_send_prepare(sk)) return -EAGAIN

  const { sendmsg } = sk.sk_prot
  if (tracer.on) traceIndirect('sk->sk_prot->sendmsg', nameOf(sendmsg))
  return sendmsg === undefined ? -EINVAL : sendmsg(sk, msg, size)
})

export const inet_splice_eof = kfunc('inet_splice_eof', (sock: socket): void => {
  const sk = sock.sk as sock

  if (inet_send_prepare(sk)) return

  const { splice_eof } = sk.sk_prot
  if (splice_eof === undefined) return
  if (tracer.on) traceIndirect('sk->sk_prot->splice_eof', nameOf(splice_eof))
  splice_eof(sock)
})

export const inet_recvmsg = kfunc('inet_recvmsg', (sock: socket, msg: msghdr, size: number, flags: number): number => {
  const sk = sock.sk as sock
  const addr_len = { v: 0 }

  if (!(flags & MSG_ERRQUEUE)) sock_rps_record_flow(sk)

  const { recvmsg } = sk.sk_prot
  if (tracer.on) traceIndirect('sk->sk_prot->recvmsg', nameOf(recvmsg))
  const err = recvmsg === undefined ? -EINVAL : recvmsg(sk, msg, size, flags, addr_len)
  if (err >= 0) msg.msg_namelen = addr_len.v
  return err
})

/** `how`: SHUT_RD 0, SHUT_WR 1, SHUT_RDWR 2 */
export const inet_shutdown = kfunc('inet_shutdown', (sock: socket, how: number): number => {
  const sk = sock.sk as sock
  const { sk_prot } = sk
  let err = 0

  // now the bits RCV_SHUTDOWN and SEND_SHUTDOWN
  how++
  if (how & ~SHUTDOWN_MASK || !how) return -EINVAL

  lock_sock(sk)
  if (sock.state === SS_CONNECTING) {
    if ((1 << sk.sk_state) & (TCPF_SYN_SENT | TCPF_SYN_RECV | TCPF_CLOSE)) sock.state = SS_DISCONNECTING
    else sock.state = SS_CONNECTED
  }

  const state = sk.sk_state
  if (state === TCP_SYN_SENT || (state === TCP_LISTEN && how & RCV_SHUTDOWN)) {
    if (tracer.on) traceIndirect('sk->sk_prot->disconnect', nameOf(sk_prot.disconnect))
    err = sk_prot.disconnect?.(sk, O_NONBLOCK) ?? 0
    sock.state = err ? SS_DISCONNECTING : SS_UNCONNECTED
  } else if (state !== TCP_LISTEN) {
    if (state === TCP_CLOSE) err = -ENOTCONN
    sk.sk_shutdown |= how
    if (sk_prot.shutdown !== undefined) {
      if (tracer.on) traceIndirect('sk->sk_prot->shutdown', nameOf(sk_prot.shutdown))
      sk_prot.shutdown(sk, how)
    }
  }

  if (tracer.on) traceIndirect('sk->sk_state_change', nameOf(sk.sk_state_change))
  sk.sk_state_change(sk)
  release_sock(sk)
  return err
})

/** what concerns the socket itself; addresses and routes are set by other ways here */
export const inet_ioctl = kfunc('inet_ioctl', (sock: socket, cmd: number, arg: number): number => {
  const sk = sock.sk as sock
  const { ioctl } = sk.sk_prot
  if (ioctl === undefined) return -ENOIOCTLCMD
  const karg = { v: 0 }
  if (tracer.on) traceIndirect('sk->sk_prot->ioctl', nameOf(ioctl))
  const err = ioctl(sk, cmd, karg)
  if (err) return err
  const bytes = new Uint8Array(new Int32Array([karg.v]).buffer)
  return raw_copy_to_user(arg, bytes, 0, bytes.length) ? -EFAULT : 0
})

/** filled by inet_init */
export const inet_stream_ops: proto_ops = { family: PF_INET } as unknown as proto_ops
export const inet_dgram_ops: proto_ops = { family: PF_INET } as unknown as proto_ops
export const inet_sockraw_ops: proto_ops = { family: PF_INET } as unknown as proto_ops

export const inet_register_protosw = kfunc('inet_register_protosw', (p: inet_protosw): void => {
  spin_lock_bh(inetsw_lock)
  const list = inetsw[p.type]
  if (list !== undefined) {
    // behind the permanent ones, before the others
    let at = 0
    while (at < list.length && (list[at] as inet_protosw).flags & INET_PROTOSW_PERMANENT) at++
    list.splice(at, 0, p)
  }
  spin_unlock_bh(inetsw_lock)
})

/** include/net/sock.h */
const __sk_prot_rehash = kfunc('__sk_prot_rehash', (sk: sock): number => {
  sk.sk_prot.unhash?.(sk)
  return sk.sk_prot.hash?.(sk) ?? 0
})

/** a SYN that could not be routed: perhaps with another source address */
const inet_sk_reselect_saddr = kfunc('inet_sk_reselect_saddr', (sk: sock): number => {
  const inet = inet_sk(sk)
  const old_saddr = inet.inet_saddr
  const { inet_opt } = inet
  const daddr = inet_opt?.srr ? inet_opt.faddr : inet.inet_daddr
  const fl4 = inet.cork.fl
  const rt = ip_route_connect(fl4, daddr, 0, sk.sk_bound_dev_if, sk.sk_protocol, inet.inet_sport, inet.inet_dport, sk)
  if (IS_ERR(rt)) return rt

  const new_saddr = fl4.saddr

  if (new_saddr === old_saddr) {
    sk_setup_caps(sk, rt)
    return 0
  }

  const err = inet_bhash2_update_saddr(sk, new_saddr, AF_INET)
  if (err) {
    ip_rt_put(rt)
    return err
  }

  sk_setup_caps(sk, rt)

  return __sk_prot_rehash(sk)
})

/** sees to it that a connection has a route; 0 or an error */
export const inet_sk_rebuild_header = kfunc('inet_sk_rebuild_header', (sk: sock): number => {
  const inet = inet_sk(sk)

  if (__sk_dst_check(sk, 0) !== null) return 0

  rcu_read_lock()
  const { inet_opt } = inet
  let daddr = inet.inet_daddr
  if (inet_opt?.srr) daddr = inet_opt.faddr
  rcu_read_unlock()
  const rt = ip_route_output_ports(
    sk.sk_net,
    inet.cork.fl,
    sk,
    daddr,
    inet.inet_saddr,
    inet.inet_dport,
    inet.inet_sport,
    sk.sk_protocol,
    ip_sock_rt_tos(sk),
    sk.sk_bound_dev_if,
  )
  if (!IS_ERR(rt)) {
    sk_setup_caps(sk, rt)
    return 0
  }

  let err: number = rt
  sk.sk_route_caps = 0n
  if (!sk.sk_net.ipv4.sysctl_ip_dynaddr || sk.sk_state !== TCP_SYN_SENT || sk.sk_userlocks & SOCK_BINDADDR_LOCK) {
    sk.sk_err_soft = -err
  } else {
    err = inet_sk_reselect_saddr(sk)
    if (err !== 0) sk.sk_err_soft = -err
  }
  return err
})

function trace_inet_sock_set_state(sk: sock, oldstate: number, newstate: number): void {
  tracepoint('sock', 'inet_sock_set_state', {
    skaddr: sk.kaddr,
    oldstate,
    newstate,
    protocol: sk.sk_protocol,
    ...tp_sock_addrs(sk),
  })
}

export const inet_sk_set_state = kfunc('inet_sk_set_state', (sk: sock, state: number): void => {
  if (tracer.on) trace_inet_sock_set_state(sk, sk.sk_state, state)
  sk.sk_state = state
})

export const inet_sk_state_store = kfunc('inet_sk_state_store', (sk: sock, newstate: number): void => {
  if (tracer.on) trace_inet_sock_set_state(sk, sk.sk_state, newstate)
  sk.sk_state = newstate
})

/** milliseconds since midnight, for the timestamp option */
export const inet_current_timestamp = kfunc('inet_current_timestamp', (): number => {
  const ts = { tv_sec: 0, tv_nsec: 0 }

  ktime_get_real_ts64(ts)
  return (ts.tv_sec % 86400) * MSEC_PER_SEC + Math.floor(ts.tv_nsec / NSEC_PER_MSEC)
})

export const inet_recv_error = kfunc('inet_recv_error', (sk: sock, msg: msghdr, len: number, addr_len: ref<number>): number =>
  sk.sk_family === AF_INET ? ip_recv_error(sk, msg, len, addr_len) : ipv6_stub().ipv6_recv_error(sk, msg, len, addr_len),
)

/** a socket of the kernel's own; input never finds it */
export const inet_ctl_sock_create = kfunc(
  'inet_ctl_sock_create',
  (skp: ref<sock | null>, family: number, type: number, protocol: number, net: net): number => {
    const sockp: ref<socket | null> = { v: null }
    const rc = sock_create_kern(net, family, type, protocol, sockp)
    const sk = sockp.v?.sk ?? null

    if (rc === 0 && sk !== null) {
      skp.v = sk
      sk.sk_allocation = GFP_ATOMIC
      sk.sk_use_task_frag = false
      sk.sk_prot.unhash?.(sk)
    }
    return rc
  },
)

/** defaults of a namespace */
const inet_init_net = kfunc('inet_init_net', (net: net): number => {
  const { ipv4 } = net
  ipv4.ip_local_ports.range = [32768, 60999]
  ipv4.ping_group_range = [1, 0]
  ipv4.sysctl_ip_default_ttl = 64
  ipv4.sysctl_ip_fwd_update_priority = 1
  ipv4.sysctl_ip_dynaddr = 0
  ipv4.sysctl_ip_early_demux = 1
  ipv4.sysctl_udp_early_demux = 1
  ipv4.sysctl_tcp_early_demux = 1
  ipv4.sysctl_nexthop_compat_mode = 1
  ipv4.sysctl_ip_prot_sock = 1024
  ipv4.sysctl_igmp_max_memberships = 20
  ipv4.sysctl_igmp_max_msf = 10
  ipv4.sysctl_igmp_llm_reports = 1
  ipv4.sysctl_igmp_qrv = 2
  ipv4.sysctl_fib_notify_on_flag_change = 0
  return 0
})

/** tunnels in IPv4: how many headers may follow each other */
const IP_TUNNEL_RECURSION_LIMIT = 5

/** cuts an IPv4 packet: its transport cuts, each segment gets its identification, length and checksum here */
export const inet_gso_segment = kfunc('inet_gso_segment', (skb: sk_buff, feat: netdev_features_t): sk_buff | number | null => {
  let features = feat
  let udpfrag = false
  let fixedid = false
  let offset = 0

  skb_reset_network_header(skb)
  if (gso_recursion_inc_test(skb, IP_TUNNEL_RECURSION_LIMIT)) return -EINVAL
  const nhoff = skb.network_header - skb.mac_header
  if (!pskb_may_pull(skb, SIZEOF_IPHDR)) return -EINVAL
  const head_iph = ip_hdr(skb)
  const ihl = head_iph.ihl * 4
  if (ihl < SIZEOF_IPHDR) return -EINVAL
  let { id } = head_iph
  const proto = head_iph.protocol
  if (!pskb_may_pull(skb, ihl)) return -EINVAL
  __skb_pull(skb, ihl)

  const gso_cb = SKB_GSO_CB(skb)
  const encap = gso_cb.encap_level > 0
  if (encap && skb.dev !== null) features &= skb.dev.hw_enc_features
  gso_cb.encap_level += ihl
  skb_reset_transport_header(skb)

  if (!skb.encapsulation || encap) {
    const { gso_type } = skb_shinfo(skb)
    udpfrag = (gso_type & SKB_GSO_UDP) !== 0
    fixedid = (gso_type & SKB_GSO_TCP_FIXEDID) !== 0
    // one identification for all is right only where nobody may fragment them
    if (fixedid && !(ip_hdr(skb).frag_off & IP_DF)) return -EPROTONOSUPPORT
  }

  let segs: sk_buff | number | null = -EPROTONOSUPPORT
  const gso_segment = inet_offloads[proto]?.callbacks.gso_segment
  if (gso_segment !== undefined) {
    if (tracer.on) traceIndirect('ops->callbacks.gso_segment', nameOf(gso_segment))
    segs = gso_segment(skb, features)
    if (segs === null) skb.network_header = skb.mac_header + nhoff
  }
  if (segs === null || IS_ERR(segs)) return segs

  const gso_partial = (skb_shinfo(segs).gso_type & SKB_GSO_PARTIAL) !== 0
  for (let seg: sk_buff | null = segs; seg !== null; seg = seg.next) {
    const at = seg.mac_header + nhoff
    const iph = new iphdr(seg.head.bytes, at)
    let tot_len = seg.len - nhoff
    if (udpfrag) {
      iph.frag_off = (offset >> 3) | (seg.next !== null ? IP_MF : 0)
      offset += seg.len - nhoff - ihl
    } else if (skb_is_gso(seg)) {
      if (!fixedid) {
        iph.id = id & 0xffff
        id += skb_shinfo(seg).gso_segs
      }
      // what the device cuts further has one segment's length in the header
      if (gso_partial) tot_len = skb_shinfo(seg).gso_size + SKB_GSO_CB(seg).mac_offset - at
    } else if (!fixedid) iph.id = id++ & 0xffff
    iph.tot_len = tot_len
    ip_send_check(iph)
    if (encap) skb_reset_inner_headers(seg)
    seg.network_header = at
    skb_reset_mac_len(seg)
  }
  return segs
})

/** looks whether an IPv4 packet may be joined to one of those held, as far as this header tells, and asks its transport */
export const inet_gro_receive = kfunc('inet_gro_receive', (head: sk_buff[], skb: sk_buff): sk_buff | null => {
  const cb = NAPI_GRO_CB(skb)
  let pp: sk_buff | null = null
  let flush = 1
  const off = skb_gro_offset(skb)
  const h = skb_gro_header(skb, off + SIZEOF_IPHDR, off)
  if (h !== null) {
    const iph = new iphdr(h.bytes, h.at)
    const proto = iph.protocol
    const gro_receive = inet_offloads[proto]?.callbacks.gro_receive
    const plain = iph.version === 4 && iph.ihl === 5 && !ip_is_fragment(iph)
    if (gro_receive !== undefined && plain && !ip_fast_csum(h.bytes, h.at, 5)) {
      cb.proto = proto
      flush = ((iph.tot_len ^ skb_gro_len(skb)) | (iph.frag_off & ~IP_DF)) & 0xffff
      for (const p of head) {
        const pcb = NAPI_GRO_CB(p)
        if (!pcb.same_flow) continue
        const iph2 = new iphdr(p.head.bytes, p.data + off)
        if (iph.protocol !== iph2.protocol || iph.saddr !== iph2.saddr || iph.daddr !== iph2.daddr) pcb.same_flow = 0
      }
      cb.flush |= flush
      cb.network_offsets[cb.encap_mark ? 1 : 0] = off
      skb_gro_pull(skb, SIZEOF_IPHDR)
      skb.transport_header = skb.data + skb_gro_offset(skb)
      pp = indirect_call_gro_receive(gro_receive, head, skb)
    }
  }
  skb_gro_flush_final(skb, pp, flush)
  return pp
})

/** gives a packet that was joined the header of the whole */
export const inet_gro_complete = kfunc('inet_gro_complete', (skb: sk_buff, nhoff: number): number => {
  const iph = new iphdr(skb.head.bytes, skb.data + nhoff)
  const totlen = iph.tot_len
  if (skb.encapsulation) {
    skb.inner_protocol = ETH_P_IP
    skb.inner_network_header = skb.data + nhoff
  }
  iph_set_totlen(iph, skb.len - nhoff)
  iph.check = csum_replace2(iph.check, totlen, iph.tot_len)
  const gro_complete = inet_offloads[iph.protocol]?.callbacks.gro_complete
  if (gro_complete === undefined) return -ENOSYS
  if (tracer.on) traceIndirect('ops->callbacks.gro_complete', nameOf(gro_complete))
  return gro_complete(skb, nhoff + SIZEOF_IPHDR)
})

function ipv4_offload_init(): void {
  udpv4_offload_init()
  tcpv4_offload_init()
  dev_add_offload({
    type: ETH_P_IP,
    priority: 0,
    callbacks: { gso_segment: inet_gso_segment, gro_receive: inet_gro_receive, gro_complete: inet_gro_complete },
  })
}
fs_initcall(ipv4_offload_init)

function fill_operations(): void {
  const common: proto_ops = {
    family: PF_INET,
    owner: null,
    release: inet_release,
    bind: inet_bind,
    connect: inet_dgram_connect,
    socketpair: sock_no_socketpair,
    accept: sock_no_accept,
    getname: inet_getname,
    ioctl: inet_ioctl,
    listen: sock_no_listen,
    shutdown: inet_shutdown,
    setsockopt: sock_common_setsockopt,
    getsockopt: sock_common_getsockopt,
    sendmsg: inet_sendmsg,
    recvmsg: inet_recvmsg,
    splice_eof: inet_splice_eof,
  }
  const stream: proto_ops = {
    ...common,
    connect: inet_stream_connect,
    accept: inet_accept,
    listen: inet_listen,
    splice_read: tcp_splice_read,
    set_peek_off: sk_set_peek_off,
    read_sock: tcp_read_sock,
    sendmsg_locked: tcp_sendmsg_locked,
    peek_len: tcp_peek_len,
    set_rcvlowat: tcp_set_rcvlowat,
  }
  Object.assign(inet_stream_ops, stream)
  Object.assign(inet_dgram_ops, common, { set_peek_off: sk_set_peek_off })
  Object.assign(inet_sockraw_ops, common)
}

const inet_family_ops: net_proto_family = { family: PF_INET, create: inet_create, owner: null }

/** the protocols of IPv4, from the socket down to the packet's type, in the order in which Linux brings them up */
export function inet_init(): void {
  inetsw = []
  inetsw_lock = new spinlock_t()
  fill_operations()
  tcp_prot_init()
  register_sock_gen_put(sock_gen_put, sock_edemux)

  proto_register(tcp_prot, 1)
  proto_register(udp_prot, 1)
  proto_register(raw_prot, 1)

  sock_register(inet_family_ops)

  const icmp_protocol: net_protocol = {
    handler: icmp_rcv,
    err_handler: icmp_err,
    no_policy: true,
    icmp_strict_tag_validation: false,
  }
  inet_add_protocol(icmp_protocol, IPPROTO_ICMP)
  const udp_protocol: net_protocol = {
    handler: udp_rcv,
    err_handler: udp_err,
    no_policy: true,
    icmp_strict_tag_validation: false,
  }
  inet_add_protocol(udp_protocol, IPPROTO_UDP)
  const tcp_protocol: net_protocol = {
    handler: tcp_v4_rcv,
    err_handler: tcp_v4_err,
    no_policy: true,
    icmp_strict_tag_validation: true,
  }
  inet_add_protocol(tcp_protocol, IPPROTO_TCP)

  for (let i = 0; i < SOCK_MAX; i++) inetsw.push([])
  inet_register_protosw({
    type: SOCK_STREAM,
    protocol: IPPROTO_TCP,
    prot: tcp_prot,
    ops: inet_stream_ops,
    flags: INET_PROTOSW_PERMANENT | INET_PROTOSW_ICSK,
  })
  inet_register_protosw({
    type: SOCK_DGRAM,
    protocol: IPPROTO_UDP,
    prot: udp_prot,
    ops: inet_dgram_ops,
    flags: INET_PROTOSW_PERMANENT,
  })
  inet_register_protosw({
    type: SOCK_RAW,
    protocol: IPPROTO_IP,
    prot: raw_prot,
    ops: inet_sockraw_ops,
    flags: INET_PROTOSW_REUSE,
  })

  arp_init()
  ip_init()
  tcp_init()
  tcp_v4_init()
  udp_init()
  raw_init()
  icmp_init()
  register_pernet_subsys({ init: inet_init_net })
  ipfrag_init()

  const ip_packet_type: packet_type = {
    type: ETH_P_IP,
    ignore_outgoing: false,
    dev: null,
    func: ip_rcv,
    list_func: ip_list_rcv,
    af_packet_net: null,
    af_packet_priv: null,
  }
  dev_add_pack(ip_packet_type)
}
fs_initcall(inet_init)
