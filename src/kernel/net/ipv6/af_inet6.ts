import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { traceIndirect, tracer } from '../../../trace/tracer.ts'
import {
  ETH_P_IPV6,
  IPPROTO_MAX,
  IPPROTO_RAW,
  RTN_BROADCAST,
  RTN_LOCAL,
  RTN_MULTICAST,
  SK_CAN_REUSE,
  SOCK_BINDADDR_LOCK,
  SOCK_BINDPORT_LOCK,
  SOCK_MAX,
  SOCK_RAW,
  SOCK_STREAM,
  TCP_CLOSE,
  TCPF_CLOSE,
  TCPF_SYN_SENT,
} from '../../include/generated/enums.ts'
import {
  EACCES,
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  EAGAIN,
  EFAULT,
  EINVAL,
  ENOBUFS,
  ENODEV,
  ENOIOCTLCMD,
  ENOTCONN,
  EPERM,
  EPROTONOSUPPORT,
  ESOCKTNOSUPPORT,
} from '../../include/linux/errno.ts'
import { IP_PMTUDISC_DONT, IP_PMTUDISC_WANT } from '../../include/linux/in.ts'
import {
  IPV6_ADDR_ANY,
  IPV6_ADDR_MAPPED,
  IPV6_ADDR_MULTICAST,
  ipv6_addr_any,
  LOOPBACK4_IPV6,
  SIN6_LEN_RFC2133,
  SIZEOF_SOCKADDR_IN6,
  s6_addr32,
} from '../../include/linux/in6.ts'
import {
  INET_FLAGS_MC6_ALL,
  INET_FLAGS_REPFLOW,
  INET_FLAGS_SNDFLOW,
  inet6_sk,
  ipv6_hdr,
  ipv6_pinfo,
  RXOPT_RXFLOW,
  RXOPT_RXHLIM,
  RXOPT_RXINFO,
  RXOPT_RXTCLASS,
  sk_v6_daddr,
  sk_v6_rcv_saddr,
} from '../../include/linux/ipv6.ts'
import type { proto_ops, sockaddr, socket } from '../../include/linux/net.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { GFP_KERNEL } from '../../include/linux/slab.ts'
import { AF_INET6, type msghdr, PF_INET6 } from '../../include/linux/socket.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import { IS_ERR } from '../../include/linux/types.ts'
import { flowi6 } from '../../include/net/flow.ts'
import {
  INET_FLAGS_BIND_ADDRESS_NO_PORT,
  INET_FLAGS_FREEBIND,
  INET_FLAGS_HDRINCL,
  INET_FLAGS_IS_ICSK,
  INET_FLAGS_MC_ALL,
  INET_FLAGS_MC_LOOP,
  INET_FLAGS_MC6_LOOP,
  INET_FLAGS_TRANSPARENT,
  inet_assign_bit,
  inet_set_bit,
  inet_sk,
  inet_test_bit,
} from '../../include/net/inet_sock.ts'
import type { inet_skb_parm } from '../../include/net/ip.ts'
import { ipv6_stub_set } from '../../include/net/ipv6_stubs.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { net_ipv6, netns_ipv6 } from '../../include/net/netns_ipv6.ts'
import type { proto, sock } from '../../include/net/sock.ts'
import { ns_capable } from '../../kernel/capability.ts'
import { spin_lock_bh, spin_unlock_bh } from '../../kernel/locking/spinlock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { raw_copy_to_user } from '../../mm/memory.ts'
import { security_sk_classify_flow } from '../../security/security.ts'
import { dev_add_pack, dev_get_by_index_rcu } from '../core/dev.ts'
import { register_pernet_subsys } from '../core/net_namespace.ts'
import { kfree_skb } from '../core/skbuff.ts'
import {
  __sk_dst_check,
  lock_sock,
  proto_register,
  release_sock,
  sk_alloc,
  sk_common_release,
  sk_set_peek_off,
  sock_common_getsockopt,
  sock_common_recvmsg,
  sock_common_setsockopt,
  sock_init_data,
  sock_net,
  sock_no_accept,
  sock_no_listen,
  sock_no_socketpair,
} from '../core/sock.ts'
import {
  BIND_FORCE_ADDRESS_NO_PORT,
  BIND_NO_CAP_NET_BIND_SERVICE,
  BIND_WITH_LOCK,
  inet_accept,
  inet_dgram_connect,
  inet_listen,
  inet_release,
  inet_reset_saddr,
  inet_send_prepare,
  inet_sendmsg,
  inet_shutdown,
  inet_sock_destruct,
  inet_splice_eof,
  inet_stream_connect,
} from '../ipv4/af_inet.ts'
import { inet_addr_type } from '../ipv4/fib_frontend.ts'
import { inet_init_csk_locks } from '../ipv4/inet_connection_sock.ts'
import { tcp_peek_len, tcp_read_sock, tcp_sendmsg_locked, tcp_set_rcvlowat, tcp_splice_read } from '../ipv4/tcp.ts'
import { udp_set_peek_off } from '../ipv4/udp.ts'
import { sock_register } from '../socket.ts'
import { addrconf_init, ipv6_chk_addr } from './addrconf.ts'
import { __ipv6_addr_needs_scope_id, ipv6_addr_type, ipv6_iface_scope_id } from './addrconf_core.ts'
import { ipv6_recv_error } from './datagram.ts'
import { fl6_update_dst, ipv6_exthdrs_init } from './exthdrs.ts'
import { icmpv6_init } from './icmp.ts'
import { inet6_ehashfn, inet6_hashtables_init } from './inet6_hashtables.ts'
import { fl6_free_socklist } from './ip6_flowlabel.ts'
import { ipv6_list_rcv, ipv6_rcv } from './ip6_input.ts'
import { ipv6_offload_init } from './ip6_offload.ts'
import { ip6_dst_lookup_flow } from './ip6_output.ts'
import { igmp6_init, igmp6_late_init, ipv6_sock_ac_close, ipv6_sock_mc_close } from './mcast.ts'
import { ndisc_init } from './ndisc.ts'
import { nf_send_reset6, nf_send_unreach6 } from './netfilter/nf_reject_ipv6.ts'
import { ip6_route_me_harder } from './netfilter.ts'
import { inet6_protos_init } from './protocol.ts'
import { rawv6_prot, rawv6_prot_init } from './raw.ts'
import { ipv6_frag_init } from './reassembly.ts'
import { ip6_dst_store, ip6_route_init, ip6_route_late_init } from './route.ts'
import { tcpv6_init, tcpv6_prot, tcpv6_prot_init } from './tcp_ipv6.ts'
import { udpv6_encap_enable, udpv6_init, udpv6_prot, udpv6_prot_init } from './udp.ts'
import { udpv6_offload_init } from './udp_offload.ts'

const SIZEOF_SA_FAMILY = 2
export const INET_PROTOSW_REUSE = 0x01
export const INET_PROTOSW_PERMANENT = 0x02
export const INET_PROTOSW_ICSK = 0x04
const CAP_NET_BIND_SERVICE = 10
const IPPROTO_IP = 0

interface inet_protosw {
  type: number
  protocol: number
  prot: proto
  ops: proto_ops
  flags: number
}
let inetsw6: inet_protosw[][] = []
let inetsw6_lock = new spinlock_t()

export const inet6_sock_destruct = kfunc('inet6_sock_destruct', (sk: sock): void => {
  inet6_cleanup_sock(sk)
  inet_sock_destruct(sk)
})

const CAP_NET_RAW = 13

const inet6_create = kfunc('inet6_create', (n: net, sock: socket, proto_no: number, kern: number): number => {
  let protocol = proto_no
  if (protocol < 0 || protocol >= IPPROTO_MAX) return -EINVAL
  let answer: inet_protosw | undefined
  let err = -ESOCKTNOSUPPORT
  rcu_read_lock()
  for (const sw of inetsw6[sock.type] ?? []) {
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
  if (!err && sock.type === SOCK_RAW && !kern && !ns_capable(null, CAP_NET_RAW)) err = -EPERM
  if (err || answer === undefined) {
    rcu_read_unlock()
    return err
  }
  sock.ops = answer.ops
  const { prot: answer_prot, flags: answer_flags } = answer
  rcu_read_unlock()

  const sk = sk_alloc(n, PF_INET6, GFP_KERNEL, answer_prot, kern)
  if (sk === null) return -ENOBUFS
  const inet = inet_sk(sk)
  const np = new ipv6_pinfo()
  inet.pinet6 = np
  sk.skc_v6_daddr = new Uint8Array(16)
  sk.skc_v6_rcv_saddr = new Uint8Array(16)

  sock_init_data(sock, sk)

  err = 0
  if (INET_PROTOSW_REUSE & answer_flags) sk.sk_reuse = SK_CAN_REUSE
  if (INET_PROTOSW_ICSK & answer_flags) inet_init_csk_locks(sk)
  inet_assign_bit(INET_FLAGS_IS_ICSK, sk, (INET_PROTOSW_ICSK & answer_flags) !== 0)
  if (sock.type === SOCK_RAW) {
    inet.inet_num = protocol
    if (protocol === IPPROTO_RAW) inet_set_bit(INET_FLAGS_HDRINCL, sk)
  }

  sk.sk_destruct = inet6_sock_destruct
  sk.sk_family = PF_INET6
  sk.sk_protocol = protocol
  if (sk.sk_prot.backlog_rcv !== undefined) sk.sk_backlog_rcv = sk.sk_prot.backlog_rcv

  inet_set_bit(INET_FLAGS_MC6_LOOP, sk)
  inet_set_bit(INET_FLAGS_MC6_ALL, sk)
  const v6 = net_ipv6(n)
  inet_assign_bit(INET_FLAGS_REPFLOW, sk, (v6.sysctl.flowlabel_reflect & 1) !== 0)
  sk.skc_ipv6only = v6.sysctl.bindv6only
  sk.sk_txrehash = n.core.sysctl_txrehash

  inet.uc_ttl = -1
  inet_set_bit(INET_FLAGS_MC_LOOP, sk)
  inet.mc_ttl = 1
  inet.mc_index = 0
  inet_set_bit(INET_FLAGS_MC_ALL, sk)
  inet.mc_list = null
  inet.rcv_tos = 0
  inet.pmtudisc = n.ipv4.sysctl_ip_no_pmtu_disc ? IP_PMTUDISC_DONT : IP_PMTUDISC_WANT

  if (inet.inet_num) {
    inet.inet_sport = inet.inet_num
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

export const __inet6_bind = kfunc('__inet6_bind', (sk: sock, uaddr: sockaddr, addr_len: number, flags: number): number => {
  const inet = inet_sk(sk)
  const np = inet6_sk(sk)
  const n = sock_net(sk)
  if (uaddr.sa_family !== AF_INET6) return -EAFNOSUPPORT
  const addr = uaddr.sin6_addr
  const addr_type = ipv6_addr_type(addr)
  if (addr_type & IPV6_ADDR_MULTICAST && sk.sk_type === SOCK_STREAM) return -EINVAL
  const snum = uaddr.sin_port
  if (
    !(flags & BIND_NO_CAP_NET_BIND_SERVICE) &&
    snum &&
    snum < n.ipv4.sysctl_ip_prot_sock &&
    !ns_capable(null, CAP_NET_BIND_SERVICE)
  )
    return -EACCES
  if (flags & BIND_WITH_LOCK) lock_sock(sk)
  const out = (err: number): number => {
    if (flags & BIND_WITH_LOCK) release_sock(sk)
    return err
  }
  if (sk.sk_state !== TCP_CLOSE || inet.inet_num) return out(-EINVAL)
  const saved_ipv6only = sk.skc_ipv6only
  let v4addr = 0
  if (addr_type === IPV6_ADDR_MAPPED) {
    if (sk.skc_ipv6only) return out(-EINVAL)
    v4addr = s6_addr32(addr, 3)
    const chk = inet_addr_type(n, v4addr)
    if (
      v4addr !== 0 &&
      chk !== RTN_LOCAL &&
      chk !== RTN_MULTICAST &&
      chk !== RTN_BROADCAST &&
      !n.ipv4.sysctl_ip_nonlocal_bind &&
      !inet_test_bit(INET_FLAGS_FREEBIND, sk) &&
      !inet_test_bit(INET_FLAGS_TRANSPARENT, sk)
    )
      return out(-EADDRNOTAVAIL)
  } else if (addr_type !== IPV6_ADDR_ANY) {
    rcu_read_lock()
    let dev: net_device | null = null
    if (__ipv6_addr_needs_scope_id(addr_type)) {
      if (addr_len >= SIZEOF_SOCKADDR_IN6 && uaddr.sin6_scope_id) sk.sk_bound_dev_if = uaddr.sin6_scope_id
      if (!sk.sk_bound_dev_if) {
        rcu_read_unlock()
        return out(-EINVAL)
      }
    }
    if (sk.sk_bound_dev_if) {
      dev = dev_get_by_index_rcu(n, sk.sk_bound_dev_if)
      if (dev === null) {
        rcu_read_unlock()
        return out(-ENODEV)
      }
    }
    v4addr = LOOPBACK4_IPV6
    if (
      !(addr_type & IPV6_ADDR_MULTICAST) &&
      !net_ipv6(n).sysctl.ip_nonlocal_bind &&
      !inet_test_bit(INET_FLAGS_FREEBIND, sk) &&
      !inet_test_bit(INET_FLAGS_TRANSPARENT, sk) &&
      !ipv6_chk_addr(n, addr, dev, 0)
    ) {
      rcu_read_unlock()
      return out(-EADDRNOTAVAIL)
    }
    rcu_read_unlock()
  }
  inet.inet_rcv_saddr = v4addr
  inet.inet_saddr = v4addr
  sk_v6_rcv_saddr(sk).set(addr)
  if (!(addr_type & IPV6_ADDR_MULTICAST)) np.saddr.set(addr)
  if (addr_type !== IPV6_ADDR_ANY && addr_type !== IPV6_ADDR_MAPPED) sk.skc_ipv6only = 1

  if (snum || !(inet_test_bit(INET_FLAGS_BIND_ADDRESS_NO_PORT, sk) || flags & BIND_FORCE_ADDRESS_NO_PORT)) {
    const { get_port } = sk.sk_prot
    if (tracer.on) traceIndirect('sk->sk_prot->get_port', nameOf(get_port))
    const err = get_port?.(sk, snum) ?? 0
    if (err) {
      sk.skc_ipv6only = saved_ipv6only
      inet_reset_saddr(sk)
      return out(err)
    }
  }
  if (addr_type !== IPV6_ADDR_ANY) sk.sk_userlocks |= SOCK_BINDADDR_LOCK
  if (snum) sk.sk_userlocks |= SOCK_BINDPORT_LOCK
  inet.inet_sport = inet.inet_num
  inet.inet_dport = 0
  inet.inet_daddr = 0
  return out(0)
})

export const inet6_bind_sk = kfunc('inet6_bind_sk', (sk: sock, uaddr: sockaddr, addr_len: number): number => {
  const { bind } = sk.sk_prot
  if (bind !== undefined) {
    if (tracer.on) traceIndirect('sk->sk_prot->bind', nameOf(bind))
    return bind(sk, uaddr, addr_len)
  }
  if (addr_len < SIN6_LEN_RFC2133) return -EINVAL
  return __inet6_bind(sk, uaddr, addr_len, BIND_WITH_LOCK)
})

export const inet6_bind = kfunc('inet6_bind', (sock: socket, uaddr: sockaddr, addr_len: number): number =>
  addr_len < SIZEOF_SA_FAMILY ? -EINVAL : inet6_bind_sk(sock.sk as sock, uaddr, addr_len),
)

export const inet6_release = kfunc('inet6_release', (sock: socket): number => {
  const { sk } = sock
  if (sk === null) return -EINVAL
  ipv6_sock_mc_close(sk)
  ipv6_sock_ac_close(sk)
  return inet_release(sock)
})

export const inet6_cleanup_sock = kfunc('inet6_cleanup_sock', (sk: sock): void => {
  const np = inet6_sk(sk)
  const { pktoptions, rxpmtu } = np
  np.pktoptions = null
  kfree_skb(pktoptions)
  np.rxpmtu = null
  kfree_skb(rxpmtu)
  fl6_free_socklist(sk)
  np.opt = null
})

export const inet6_getname = kfunc('inet6_getname', (sock: socket, uaddr: sockaddr, peer: number): number => {
  const sk = sock.sk as sock
  const inet = inet_sk(sk)
  const np = inet6_sk(sk)
  uaddr.bytes.fill(0, 0, SIZEOF_SOCKADDR_IN6)
  uaddr.sa_family = AF_INET6
  lock_sock(sk)
  if (peer) {
    if (!inet.inet_dport || ((1 << sk.sk_state) & (TCPF_CLOSE | TCPF_SYN_SENT) && peer === 1)) {
      release_sock(sk)
      return -ENOTCONN
    }
    uaddr.sin_port = inet.inet_dport
    uaddr.sin6_addr.set(sk_v6_daddr(sk))
    if (inet_test_bit(INET_FLAGS_SNDFLOW, sk)) uaddr.sin6_flowinfo = np.flow_label
  } else {
    uaddr.sin6_addr.set(ipv6_addr_any(sk_v6_rcv_saddr(sk)) ? np.saddr : sk_v6_rcv_saddr(sk))
    uaddr.sin_port = inet.inet_sport
  }
  release_sock(sk)
  uaddr.sin6_scope_id = ipv6_iface_scope_id(uaddr.sin6_addr, sk.sk_bound_dev_if)
  return SIZEOF_SOCKADDR_IN6
})

export const inet6_ioctl = kfunc('inet6_ioctl', (sock: socket, cmd: number, arg: number): number => {
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

export const inet6_sendmsg = kfunc('inet6_sendmsg', (sock: socket, msg: msghdr, size: number): number => {
  const sk = sock.sk as sock
  if (inet_send_prepare(sk)) return -EAGAIN
  const { sendmsg } = sk.sk_prot
  if (tracer.on) traceIndirect('prot->sendmsg', nameOf(sendmsg))
  return sendmsg === undefined ? -EINVAL : sendmsg(sk, msg, size)
})

export const inet6_recvmsg = kfunc('inet6_recvmsg', (sock: socket, msg: msghdr, size: number, flags: number): number => {
  const sk = sock.sk as sock
  const addr_len = { v: 0 }
  const { recvmsg } = sk.sk_prot
  if (tracer.on) traceIndirect('prot->recvmsg', nameOf(recvmsg))
  const err = recvmsg === undefined ? -EINVAL : recvmsg(sk, msg, size, flags, addr_len)
  if (err >= 0) msg.msg_namelen = addr_len.v
  return err
})

/** filled by inet6_init */
export const inet6_stream_ops: proto_ops = { family: PF_INET6 } as unknown as proto_ops
export const inet6_dgram_ops: proto_ops = { family: PF_INET6 } as unknown as proto_ops
export const inet6_sockraw_ops: proto_ops = { family: PF_INET6 } as unknown as proto_ops

export const inet6_register_protosw = kfunc('inet6_register_protosw', (p: inet_protosw): number => {
  spin_lock_bh(inetsw6_lock)
  const list = inetsw6[p.type]
  if (list !== undefined) {
    let at = 0
    while (at < list.length && (list[at] as inet_protosw).flags & INET_PROTOSW_PERMANENT) at++
    list.splice(at, 0, p)
  }
  spin_unlock_bh(inetsw6_lock)
  return 0
})

/** sees to it that a connection has a route; 0 or an error */
export const inet6_sk_rebuild_header = kfunc('inet6_sk_rebuild_header', (sk: sock): number => {
  const np = inet6_sk(sk)
  if (__sk_dst_check(sk, np.dst_cookie) !== null) return 0
  const inet = inet_sk(sk)
  const fl6 = new flowi6()
  fl6.flowi6_proto = sk.sk_protocol
  fl6.daddr.set(sk_v6_daddr(sk))
  fl6.saddr.set(np.saddr)
  fl6.flowlabel = np.flow_label
  fl6.flowi6_oif = sk.sk_bound_dev_if
  fl6.flowi6_mark = sk.sk_mark
  fl6.fl6_dport = inet.inet_dport
  fl6.fl6_sport = inet.inet_sport
  fl6.flowi6_uid = sk.sk_uid
  security_sk_classify_flow(sk, fl6)
  rcu_read_lock()
  const final_p = fl6_update_dst(fl6, np.opt, new Uint8Array(16))
  rcu_read_unlock()
  const dst = ip6_dst_lookup_flow(sock_net(sk), sk, fl6, final_p)
  if (IS_ERR(dst)) {
    sk.sk_route_caps = 0n
    sk.sk_err_soft = -dst
    return dst
  }
  ip6_dst_store(sk, dst, null, false)
  return 0
})

/** whether a packet has something that the socket wants to know of */
export const ipv6_opt_accepted = kfunc('ipv6_opt_accepted', (sk: sock, skb: sk_buff, _opt: inet_skb_parm): boolean => {
  const { rxopt } = inet6_sk(sk)
  if (!rxopt) return false
  return (
    (ipv6_hdr(skb).flowinfo !== 0 && (rxopt & RXOPT_RXFLOW) !== 0) ||
    (rxopt & (RXOPT_RXINFO | RXOPT_RXHLIM | RXOPT_RXTCLASS)) !== 0
  )
})

const inet6_net_init = kfunc('inet6_net_init', (n: net): number => {
  n.ipv6 = new netns_ipv6()
  return 0
})

function fill_operations(): void {
  const common: proto_ops = {
    family: PF_INET6,
    owner: null,
    release: inet6_release,
    bind: inet6_bind,
    connect: inet_dgram_connect,
    socketpair: sock_no_socketpair,
    accept: sock_no_accept,
    getname: inet6_getname,
    ioctl: inet6_ioctl,
    listen: sock_no_listen,
    shutdown: inet_shutdown,
    setsockopt: sock_common_setsockopt,
    getsockopt: sock_common_getsockopt,
    sendmsg: inet6_sendmsg,
    recvmsg: inet6_recvmsg,
  }
  Object.assign(inet6_stream_ops, common, {
    connect: inet_stream_connect,
    accept: inet_accept,
    listen: inet_listen,
    splice_eof: inet_splice_eof,
    splice_read: tcp_splice_read,
    set_peek_off: sk_set_peek_off,
    read_sock: tcp_read_sock,
    sendmsg_locked: tcp_sendmsg_locked,
    peek_len: tcp_peek_len,
    set_rcvlowat: tcp_set_rcvlowat,
  })
  Object.assign(inet6_dgram_ops, common, { set_peek_off: udp_set_peek_off })
  Object.assign(inet6_sockraw_ops, common, { sendmsg: inet_sendmsg, recvmsg: sock_common_recvmsg })
}

/**
 * Brings IPv6 up on this host, in the order of Linux. Not an initcall: the code is loaded when somebody asks for it, and then
 * it is called for each host that wants it.
 */
export function inet6_init(): void {
  inetsw6 = []
  for (let i = 0; i < SOCK_MAX; i++) inetsw6.push([])
  inetsw6_lock = new spinlock_t()
  fill_operations()
  inet6_protos_init()
  inet6_hashtables_init()
  ipv6_stub_set({ udpv6_encap_enable, inet6_ehashfn, ip6_route_me_harder, ipv6_recv_error, nf_send_reset6, nf_send_unreach6 })
  tcpv6_prot_init()
  udpv6_prot_init()
  rawv6_prot_init()
  proto_register(tcpv6_prot, 1)
  proto_register(udpv6_prot, 1)
  proto_register(rawv6_prot, 1)
  inet6_register_protosw({
    type: SOCK_RAW,
    protocol: IPPROTO_IP,
    prot: rawv6_prot,
    ops: inet6_sockraw_ops,
    flags: INET_PROTOSW_REUSE,
  })
  sock_register({ family: PF_INET6, create: inet6_create, owner: null })
  register_pernet_subsys({ init: inet6_net_init })
  icmpv6_init()
  ndisc_init()
  igmp6_init()
  ip6_route_init()
  addrconf_init()
  ip6_route_late_init()
  udpv6_init()
  tcpv6_init()
  udpv6_offload_init()
  ipv6_offload_init()
  ipv6_exthdrs_init()
  ipv6_frag_init()
  igmp6_late_init()
  dev_add_pack({
    type: ETH_P_IPV6,
    ignore_outgoing: false,
    dev: null,
    func: ipv6_rcv,
    list_func: ipv6_list_rcv,
    af_packet_net: null,
    af_packet_priv: null,
  })
}
