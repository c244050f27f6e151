import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { traceIndirect, tracer } from '../../../trace/tracer.ts'
import { ETH_P_IPV6, MSG_ERRQUEUE, MSG_TRUNC, TCP_ESTABLISHED } from '../../include/generated/enums.ts'
import { EAFNOSUPPORT, EAGAIN, EINVAL } from '../../include/linux/errno.ts'
import { SKB_EXT_ERR } from '../../include/linux/errqueue.ts'
import { icmp6_hdr, SIZEOF_ICMP6HDR } from '../../include/linux/icmpv6.ts'
import {
  IPV6_ADDR_MAPPED,
  IPV6_ADDR_MULTICAST,
  IPV6_DONTFRAG,
  IPV6_FLOWLABEL_MASK,
  IPV6_HOPLIMIT,
  IPV6_PKTINFO,
  IPV6_RECVERR,
  IPV6_TCLASS,
  type in6_addr,
  in6addr_loopback,
  ipv6_addr_any,
  ipv6_addr_is_multicast,
  ipv6_addr_set_v4mapped,
  ipv6_addr_v4mapped,
  LOOPBACK4_IPV6,
  SIN6_LEN_RFC2133,
  SIZEOF_SOCKADDR_IN6,
  s6_addr32,
} from '../../include/linux/in6.ts'
import { get_be32, ip_hdr } from '../../include/linux/ip.ts'
import {
  INET_FLAGS_RECVERR6,
  inet6_iif,
  inet6_sk,
  type ipcm6_cookie,
  ipv6_hdr,
  RXOPT_RXHLIM,
  RXOPT_RXINFO,
  RXOPT_RXTCLASS,
  SIZEOF_IPV6HDR,
  sk_v6_daddr,
  sk_v6_rcv_saddr,
} from '../../include/linux/ipv6.ts'
import { sockaddr } from '../../include/linux/net.ts'
import { type sk_buff, skb_reset_network_header, skb_reset_transport_header } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import {
  AF_INET,
  AF_INET6,
  CMSG_DATA,
  CMSG_LEN,
  CMSG_OK,
  for_each_cmsghdr,
  type msghdr,
  SOL_IPV6,
} from '../../include/linux/socket.ts'
import { IS_ERR, type ref } from '../../include/linux/types.ts'
import { flowi6 } from '../../include/net/flow.ts'
import { inet_sk, inet_test_bit } from '../../include/net/inet_sock.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { sock } from '../../include/net/sock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { security_sk_classify_flow } from '../../security/security.ts'
import { skb_copy_datagram_msg } from '../core/datagram.ts'
import { put_cmsg } from '../core/scm.ts'
import {
  __skb_pull,
  alloc_skb,
  consume_skb,
  kfree_skb,
  skb_clone,
  skb_pull,
  skb_put,
  sock_dequeue_err_skb,
  sock_queue_err_skb,
} from '../core/skbuff.ts'
import { __sk_dst_get, lock_sock, release_sock, sk_set_txhash, sock_net, sock_recv_timestamp } from '../core/sock.ts'
import { reuseport_has_conns_set } from '../core/sock_reuseport.ts'
import { __ip4_datagram_connect } from '../ipv4/datagram.ts'
import { ipv6_chk_addr } from './addrconf.ts'
import { __ipv6_addr_needs_scope_id, ipv6_addr_type } from './addrconf_core.ts'
import { fl6_update_dst } from './exthdrs.ts'
import { ip6_dst_lookup_flow, ip6_make_flowinfo } from './ip6_output.ts'
import { ip6_sk_dst_store_flow } from './route.ts'

const SO_EE_ORIGIN_LOCAL = 1
const SO_EE_ORIGIN_ICMP6 = 3
const int_bytes = (v: number): Uint8Array => new Uint8Array([v, v >> 8, v >> 16, v >> 24])

const ip6_datagram_flow_key_init = kfunc('ip6_datagram_flow_key_init', (fl6: flowi6, sk: sock): void => {
  const inet = inet_sk(sk)
  const np = inet6_sk(sk)
  let oif = sk.sk_bound_dev_if
  fl6.assign(new flowi6())
  fl6.flowi6_proto = sk.sk_protocol
  fl6.daddr.set(sk_v6_daddr(sk))
  fl6.saddr.set(np.saddr)
  fl6.flowi6_mark = sk.sk_mark
  fl6.fl6_dport = inet.inet_dport
  fl6.fl6_sport = inet.inet_sport
  fl6.flowlabel = ip6_make_flowinfo(np.tclass, np.flow_label)
  fl6.flowi6_uid = sk.sk_uid
  if (!oif) oif = np.sticky_pktinfo.ipi6_ifindex
  if (!oif) oif = ipv6_addr_is_multicast(fl6.daddr) ? np.mcast_oif : np.ucast_oif
  fl6.flowi6_oif = oif
  security_sk_classify_flow(sk, fl6)
})

export const ip6_datagram_dst_update = kfunc('ip6_datagram_dst_update', (sk: sock, fix_sk_saddr: boolean): number => {
  const inet = inet_sk(sk)
  const np = inet6_sk(sk)
  const fl6 = new flowi6()
  ip6_datagram_flow_key_init(fl6, sk)
  rcu_read_lock()
  const final_p = fl6_update_dst(fl6, np.opt, new Uint8Array(16))
  rcu_read_unlock()
  const dst = ip6_dst_lookup_flow(sock_net(sk), sk, fl6, final_p)
  if (IS_ERR(dst)) return dst
  if (fix_sk_saddr) {
    if (ipv6_addr_any(np.saddr)) np.saddr.set(fl6.saddr)
    if (ipv6_addr_any(sk_v6_rcv_saddr(sk))) {
      sk_v6_rcv_saddr(sk).set(fl6.saddr)
      inet.inet_rcv_saddr = LOOPBACK4_IPV6
      const { rehash } = sk.sk_prot
      if (rehash !== undefined) {
        if (tracer.on) traceIndirect('sk->sk_prot->rehash', nameOf(rehash))
        rehash(sk)
      }
    }
  }
  ip6_sk_dst_store_flow(sk, dst, fl6)
  return 0
})

export const ip6_datagram_release_cb = kfunc('ip6_datagram_release_cb', (sk: sock): void => {
  if (ipv6_addr_v4mapped(sk_v6_daddr(sk))) return
  rcu_read_lock()
  const dst = __sk_dst_get(sk)
  if (tracer.on && dst?.obsolete && dst.ops.check) traceIndirect('dst->ops->check', nameOf(dst.ops.check))
  if (dst === null || !dst.obsolete || dst.ops.check?.(dst, inet6_sk(sk).dst_cookie)) {
    rcu_read_unlock()
    return
  }
  rcu_read_unlock()
  ip6_datagram_dst_update(sk, false)
})

const SIN6_ADDR_V4 = (a: in6_addr): number => s6_addr32(a, 3)

export const __ip6_datagram_connect = kfunc('__ip6_datagram_connect', (sk: sock, usin: sockaddr, addr_len: number): number => {
  const inet = inet_sk(sk)
  const np = inet6_sk(sk)
  const connect4 = (sin: sockaddr): number => {
    if (sk.skc_ipv6only) return -EAFNOSUPPORT
    return __ip4_datagram_connect(sk, sin, 16)
  }
  const mapped = (): void => {
    ipv6_addr_set_v4mapped(inet.inet_daddr, sk_v6_daddr(sk))
    if (ipv6_addr_any(np.saddr) || ipv6_addr_v4mapped(np.saddr)) ipv6_addr_set_v4mapped(inet.inet_saddr, np.saddr)
    if (ipv6_addr_any(sk_v6_rcv_saddr(sk)) || ipv6_addr_v4mapped(sk_v6_rcv_saddr(sk))) {
      ipv6_addr_set_v4mapped(inet.inet_rcv_saddr, sk_v6_rcv_saddr(sk))
      sk.sk_prot.rehash?.(sk)
    }
  }
  if (usin.sa_family === AF_INET) {
    const err = connect4(usin)
    if (!err) mapped()
    return err
  }
  if (addr_len < SIN6_LEN_RFC2133) return -EINVAL
  if (usin.sa_family !== AF_INET6) return -EAFNOSUPPORT
  const daddr = usin.sin6_addr
  if (ipv6_addr_any(daddr)) {
    if (ipv6_addr_v4mapped(sk_v6_rcv_saddr(sk))) ipv6_addr_set_v4mapped(0x7f000001, daddr)
    else daddr.set(in6addr_loopback)
  }
  const addr_type = ipv6_addr_type(daddr)
  if (addr_type & IPV6_ADDR_MAPPED) {
    const sin = new sockaddr()
    sin.sa_family = AF_INET
    sin.sin_addr = SIN6_ADDR_V4(daddr)
    sin.sin_port = usin.sin_port
    const err = connect4(sin)
    if (!err) mapped()
    return err
  }
  if (__ipv6_addr_needs_scope_id(addr_type)) {
    if (addr_len >= SIZEOF_SOCKADDR_IN6 && usin.sin6_scope_id) {
      if (sk.sk_bound_dev_if && sk.sk_bound_dev_if !== usin.sin6_scope_id) return -EINVAL
      sk.sk_bound_dev_if = usin.sin6_scope_id
    }
    if (!sk.sk_bound_dev_if && addr_type & IPV6_ADDR_MULTICAST) sk.sk_bound_dev_if = np.mcast_oif
    if (!sk.sk_bound_dev_if) return -EINVAL
  }
  const old_daddr = sk_v6_daddr(sk).slice()
  const old_dport = inet.inet_dport
  sk_v6_daddr(sk).set(daddr)
  np.flow_label = usin.sin6_flowinfo & IPV6_FLOWLABEL_MASK & 0
  inet.inet_dport = usin.sin_port
  const err = ip6_datagram_dst_update(sk, true)
  if (err) {
    sk_v6_daddr(sk).set(old_daddr)
    inet.inet_dport = old_dport
    return err
  }
  reuseport_has_conns_set(sk)
  sk.sk_state = TCP_ESTABLISHED
  sk_set_txhash(sk)
  return 0
})

export const ip6_datagram_connect = kfunc('ip6_datagram_connect', (sk: sock, uaddr: sockaddr, addr_len: number): number => {
  lock_sock(sk)
  const res = __ip6_datagram_connect(sk, uaddr, addr_len)
  release_sock(sk)
  return res
})

/** a raw socket does not speak IPv4 */
export const ip6_datagram_connect_v6_only = kfunc(
  'ip6_datagram_connect_v6_only',
  (sk: sock, uaddr: sockaddr, addr_len: number): number =>
    uaddr.sa_family === AF_INET6 ? ip6_datagram_connect(sk, uaddr, addr_len) : -EAFNOSUPPORT,
)

/** keeps an error message for recvmsg(MSG_ERRQUEUE). `payload`: where the data of the packet begins that it speaks of */
export const ipv6_icmp_error = kfunc(
  'ipv6_icmp_error',
  (sk: sock, in_skb: sk_buff, err: number, port: number, info: number, payload: number): void => {
    if (!inet_test_bit(INET_FLAGS_RECVERR6, sk)) return
    const skb = skb_clone(in_skb, GFP_ATOMIC)
    if (skb === null) return
    skb.cb = null
    skb.protocol = ETH_P_IPV6
    const serr = SKB_EXT_ERR(skb)
    const icmph = icmp6_hdr(skb)
    serr.ee_errno = err
    serr.ee_origin = SO_EE_ORIGIN_ICMP6
    serr.ee_type = icmph.icmp6_type
    serr.ee_code = icmph.icmp6_code
    serr.ee_pad = 0
    serr.ee_info = info
    serr.ee_data = 0
    serr.addr_offset = icmph.at + SIZEOF_ICMP6HDR + 24 - skb.network_header
    serr.port = port
    if (skb_pull(skb, payload - skb.data) >= 0) {
      skb_reset_transport_header(skb)
      if (sock_queue_err_skb(sk, skb) === 0) return
    }
    kfree_skb(skb)
  },
)

export const ipv6_local_error = kfunc('ipv6_local_error', (sk: sock, err: number, fl6: flowi6, info: number): void => {
  if (!inet_test_bit(INET_FLAGS_RECVERR6, sk)) return
  const skb = alloc_skb(SIZEOF_IPV6HDR, GFP_ATOMIC)
  if (skb === null) return
  skb.protocol = ETH_P_IPV6
  skb_put(skb, SIZEOF_IPV6HDR)
  skb_reset_network_header(skb)
  ipv6_hdr(skb).daddr = fl6.daddr
  const serr = SKB_EXT_ERR(skb)
  serr.ee_errno = err
  serr.ee_origin = SO_EE_ORIGIN_LOCAL
  serr.ee_type = 0
  serr.ee_code = 0
  serr.ee_pad = 0
  serr.ee_info = info
  serr.ee_data = 0
  serr.addr_offset = 24
  serr.port = fl6.fl6_dport
  __skb_pull(skb, skb.tail - skb.data)
  skb_reset_transport_header(skb)
  if (sock_queue_err_skb(sk, skb)) kfree_skb(skb)
})

/** IPV6_RECVPATHMTU is taken note of; the message of it is not made */
export const ipv6_local_rxpmtu = kfunc('ipv6_local_rxpmtu', (_sk: sock, _fl6: flowi6, _mtu: number): void => {})

/** recvmsg(MSG_ERRQUEUE) */
export const ipv6_recv_error = kfunc('ipv6_recv_error', (sk: sock, msg: msghdr, len: number, addr_len: ref<number>): number => {
  const skb = sock_dequeue_err_skb(sk)
  if (skb === null) return -EAGAIN
  let copied = skb.len
  if (copied > len) {
    msg.msg_flags |= MSG_TRUNC
    copied = len
  }
  const err = skb_copy_datagram_msg(skb, 0, msg, copied)
  if (err) {
    kfree_skb(skb)
    return err
  }
  sock_recv_timestamp(msg, sk, skb)
  const serr = SKB_EXT_ERR(skb)
  const sin = msg.msg_name
  const v6 = skb.protocol === ETH_P_IPV6
  if (sin !== null) {
    const at = skb.network_header + serr.addr_offset
    sin.clear()
    sin.sa_family = AF_INET6
    sin.sin_port = serr.port
    if (v6) sin.sin6_addr.set(skb.head.bytes.subarray(at, at + 16))
    else ipv6_addr_set_v4mapped(get_be32(skb.head.bytes, at), sin.sin6_addr)
    addr_len.v = SIZEOF_SOCKADDR_IN6
  }
  const errhdr = new Uint8Array(16 + SIZEOF_SOCKADDR_IN6)
  errhdr.set(int_bytes(serr.ee_errno))
  errhdr[4] = serr.ee_origin
  errhdr[5] = serr.ee_type
  errhdr[6] = serr.ee_code
  errhdr[7] = serr.ee_pad
  errhdr.set(int_bytes(serr.ee_info), 8)
  errhdr.set(int_bytes(serr.ee_data), 12)
  if (serr.ee_origin !== SO_EE_ORIGIN_LOCAL) {
    errhdr[16] = AF_INET6
    if (v6) {
      errhdr.set(ipv6_hdr(skb).saddr, 24)
      ip6_datagram_recv_common_ctl(sk, msg, skb)
      ip6_datagram_recv_specific_ctl(sk, msg, skb)
    } else ipv6_addr_set_v4mapped(ip_hdr(skb).saddr, errhdr.subarray(24, 40))
  }
  put_cmsg(msg, SOL_IPV6, IPV6_RECVERR, errhdr.length, errhdr)
  msg.msg_flags |= MSG_ERRQUEUE
  consume_skb(skb)
  return copied
})

export const ip6_datagram_recv_common_ctl = kfunc('ip6_datagram_recv_common_ctl', (sk: sock, msg: msghdr, skb: sk_buff): void => {
  if (!(inet6_sk(sk).rxopt & RXOPT_RXINFO)) return
  const info = new Uint8Array(20)
  if (skb.protocol === ETH_P_IPV6) info.set(ipv6_hdr(skb).daddr)
  else ipv6_addr_set_v4mapped(ip_hdr(skb).daddr, info.subarray(0, 16))
  info.set(int_bytes(inet6_iif(skb)), 16)
  put_cmsg(msg, SOL_IPV6, IPV6_PKTINFO, 20, info)
})

export const ip6_datagram_recv_specific_ctl = kfunc(
  'ip6_datagram_recv_specific_ctl',
  (sk: sock, msg: msghdr, skb: sk_buff): void => {
    const { rxopt } = inet6_sk(sk)
    const hdr = ipv6_hdr(skb)
    if (rxopt & RXOPT_RXHLIM) put_cmsg(msg, SOL_IPV6, IPV6_HOPLIMIT, 4, int_bytes(hdr.hop_limit))
    if (rxopt & RXOPT_RXTCLASS) put_cmsg(msg, SOL_IPV6, IPV6_TCLASS, 4, int_bytes(hdr.dsfield))
  },
)

/** control messages of sendmsg(): hop limit, class, whether to fragment, and the source */
export const ip6_datagram_send_ctl = kfunc(
  'ip6_datagram_send_ctl',
  (n: net, _sk: sock, msg: msghdr, fl6: flowi6, ipc6: ipcm6_cookie): number => {
    for (const cmsg of for_each_cmsghdr(msg)) {
      if (!CMSG_OK(msg, cmsg)) return -EINVAL
      if (cmsg.cmsg_level !== SOL_IPV6) continue
      const b = CMSG_DATA(cmsg)
      const v = (b[0] ?? 0) | ((b[1] ?? 0) << 8) | ((b[2] ?? 0) << 16) | ((b[3] ?? 0) << 24)
      switch (cmsg.cmsg_type) {
        case IPV6_PKTINFO: {
          if (cmsg.cmsg_len < CMSG_LEN(20)) return -EINVAL
          const ifindex = (b[16] ?? 0) | ((b[17] ?? 0) << 8)
          if (ifindex) fl6.flowi6_oif = ifindex
          const addr = b.subarray(0, 16)
          if (!ipv6_addr_any(addr)) {
            if (!ipv6_chk_addr(n, addr, null, 0)) return -EINVAL
            fl6.saddr.set(addr)
          }
          break
        }
        case IPV6_HOPLIMIT:
          if (cmsg.cmsg_len !== CMSG_LEN(4) || v < -1 || v > 0xff) return -EINVAL
          ipc6.hlimit = v
          break
        case IPV6_TCLASS:
          if (cmsg.cmsg_len !== CMSG_LEN(4) || v < -1 || v > 0xff) return -EINVAL
          ipc6.tclass = v
          break
        case IPV6_DONTFRAG:
          if (cmsg.cmsg_len !== CMSG_LEN(4) || v < 0 || v > 1) return -EINVAL
          ipc6.dontfrag = v !== 0
          break
        default:
          return -EINVAL
      }
    }
    return 0
  },
)
