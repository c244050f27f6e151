import { kfunc } from '../../../trace/kfunc.ts'
import {
  IPPROTO_RAW,
  MSG_CTRUNC,
  MSG_ERRQUEUE,
  MSG_TRUNC,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_STREAM,
} from '../../include/generated/enums.ts'
import {
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAGAIN,
  EINVAL,
  ENOBUFS,
  ENOPROTOOPT,
  ENOTCONN,
  EOPNOTSUPP,
  EPERM,
  EPROTO,
} from '../../include/linux/errno.ts'
import { SKB_EXT_ERR, SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_LOCAL, type sock_exterr_skb } from '../../include/linux/errqueue.ts'
import { icmp_hdr, SIZEOF_ICMPHDR } from '../../include/linux/icmp.ts'
import * as IN from '../../include/linux/in.ts'
import { core_initcall } from '../../include/linux/init.ts'
import { get_be32, INET_ECN_MASK, ip_hdr, put_be32 } from '../../include/linux/ip.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import {
  CHECKSUM_COMPLETE,
  type sk_buff,
  skb_reset_network_header,
  skb_reset_transport_header,
  skb_transport_offset,
} from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC, GFP_KERNEL } from '../../include/linux/slab.ts'
import {
  AF_INET,
  CMSG_DATA,
  CMSG_LEN,
  CMSG_OK,
  for_each_cmsghdr,
  msghdr,
  SIZEOF_CMSGHDR,
  SOL_IP,
  SOL_SOCKET,
} from '../../include/linux/socket.ts'
import type { ref } from '../../include/linux/types.ts'
import { LOOPBACK_IFINDEX } from '../../include/net/flow.ts'
import { inet_csk } from '../../include/net/inet_connection_sock.ts'
import * as F from '../../include/net/inet_sock.ts'
import {
  inet_assign_bit,
  inet_clear_bit,
  inet_set_bit,
  inet_sk,
  type inet_sock,
  inet_test_bit,
} from '../../include/net/inet_sock.ts'
import { IPCB, ip_options, type ipcm_cookie, ipv4_l3mdev_skb, PKTINFO_SKB_CB } from '../../include/net/ip.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { skb_rtable } from '../../include/net/route.ts'
import type { sock } from '../../include/net/sock.ts'
import { call_rcu, kfree_rcu, rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { csum_sub } from '../../lib/checksum.ts'
import { copy_to_sockptr } from '../../lib/usercopy.ts'
import { kfree, kmalloc } from '../../mm/slub.ts'
import { skb_copy_datagram_msg } from '../core/datagram.ts'
import { dev_get_by_index, dev_put } from '../core/dev.ts'
import { dst_release, dst4_mtu, skb_dst_drop } from '../core/dst.ts'
import { put_cmsg } from '../core/scm.ts'
import {
  __skb_pull,
  alloc_skb,
  consume_skb,
  kfree_skb,
  skb_checksum,
  skb_clone,
  skb_errqueue_purge,
  skb_pull,
  skb_put,
  sock_dequeue_err_skb,
  sock_queue_err_skb,
} from '../core/skbuff.ts'
import {
  __sock_cmsg_send,
  sk_dst_get,
  sk_dst_reset,
  sock_hold,
  sock_net,
  sock_put,
  sock_recv_timestamp,
  sockopt_lock_sock,
  sockopt_release_sock,
} from '../core/sock.ts'
import { l3mdev_master_ifindex } from '../l3mdev/l3mdev.ts'
import { ip_dev_find } from './devinet.ts'
import { fib_compute_spec_dst } from './fib_frontend.ts'
import { ip_mc_join_group, ip_mc_leave_group, type ip_mreqn } from './igmp.ts'
import type { ip_ra_chain } from './ip_input.ts'
import { __ip_options_echo, ip_options_get, ip_options_undo } from './ip_options.ts'
import { inet_iif, rt_tos2priority } from './route.ts'

const INET_FLAGS_RTALERT = 30
const SOF_TIMESTAMPING_OPT_CMSG = 1 << 10

/** static key: some socket looks at the TTL of what it receives */
export const ip4_min_ttl: { on: boolean } = { on: false }
core_initcall(() => {
  ip4_min_ttl.on = false
})

const bit = (nr: number): number => 1 << nr
const IP_CMSG_ALL =
  bit(F.INET_FLAGS_PKTINFO) |
  bit(F.INET_FLAGS_TTL) |
  bit(F.INET_FLAGS_TOS) |
  bit(F.INET_FLAGS_RECVOPTS) |
  bit(F.INET_FLAGS_RETOPTS) |
  bit(F.INET_FLAGS_PASSSEC) |
  bit(F.INET_FLAGS_ORIGDSTADDR) |
  bit(F.INET_FLAGS_CHECKSUM) |
  bit(F.INET_FLAGS_RECVFRAGSIZE)
/** which control messages a socket wants with what it receives */
export const inet_cmsg_flags = (inet: inet_sock): number => inet.inet_flags & IP_CMSG_ALL

function int_bytes(v: number): Uint8Array {
  return new Uint8Array([v, v >> 8, v >> 16, v >> 24])
}
const get_int = (b: Uint8Array, o = 0): number =>
  (b[o] ?? 0) | ((b[o + 1] ?? 0) << 8) | ((b[o + 2] ?? 0) << 16) | ((b[o + 3] ?? 0) << 24)

const ip_cmsg_recv_pktinfo = kfunc('ip_cmsg_recv_pktinfo', (msg: msghdr, skb: sk_buff): void => {
  const info = new Uint8Array(12)
  const p = PKTINFO_SKB_CB(skb)
  info.set(int_bytes(p.ipi_ifindex))
  put_be32(info, 4, p.ipi_spec_dst)
  put_be32(info, 8, ip_hdr(skb).daddr)
  put_cmsg(msg, SOL_IP, IN.IP_PKTINFO, 12, info)
})

const ip_cmsg_recv_ttl = kfunc('ip_cmsg_recv_ttl', (msg: msghdr, skb: sk_buff): void => {
  put_cmsg(msg, SOL_IP, IN.IP_TTL, 4, int_bytes(ip_hdr(skb).ttl))
})

const ip_cmsg_recv_tos = kfunc('ip_cmsg_recv_tos', (msg: msghdr, skb: sk_buff): void => {
  put_cmsg(msg, SOL_IP, IN.IP_TOS, 1, new Uint8Array([ip_hdr(skb).tos]))
})

const ip_cmsg_recv_opts = kfunc('ip_cmsg_recv_opts', (msg: msghdr, skb: sk_buff): void => {
  const { optlen } = IPCB(skb).opt
  if (optlen === 0) return
  const at = skb.network_header + 20
  put_cmsg(msg, SOL_IP, IN.IP_RECVOPTS, optlen, skb.head.bytes.slice(at, at + optlen))
})

const ip_cmsg_recv_retopts = kfunc('ip_cmsg_recv_retopts', (n: net, msg: msghdr, skb: sk_buff): void => {
  if (IPCB(skb).opt.optlen === 0) return
  const opt = new ip_options()
  if (__ip_options_echo(n, opt, skb, IPCB(skb).opt)) {
    msg.msg_flags |= MSG_CTRUNC
    return
  }
  ip_options_undo(opt)
  put_cmsg(msg, SOL_IP, IN.IP_RETOPTS, opt.optlen, opt.__data.slice(0, opt.optlen))
})

const ip_cmsg_recv_fragsize = kfunc('ip_cmsg_recv_fragsize', (msg: msghdr, skb: sk_buff): void => {
  const val = IPCB(skb).frag_max_size
  if (val !== 0) put_cmsg(msg, SOL_IP, IN.IP_RECVFRAGSIZE, 4, int_bytes(val))
})

const ip_cmsg_recv_checksum = kfunc('ip_cmsg_recv_checksum', (msg: msghdr, skb: sk_buff, tlen: number, offset: number): void => {
  let { csum } = skb
  if (skb.ip_summed !== CHECKSUM_COMPLETE) return
  if (offset !== 0) csum = csum_sub(csum, skb_checksum(skb, skb_transport_offset(skb) + tlen, offset, 0))
  put_cmsg(msg, SOL_IP, IN.IP_CHECKSUM, 4, int_bytes(csum))
})

const ip_cmsg_recv_security = kfunc('ip_cmsg_recv_security', (_msg: msghdr, _skb: sk_buff): void => {})

const ip_cmsg_recv_dstaddr = kfunc('ip_cmsg_recv_dstaddr', (msg: msghdr, skb: sk_buff): void => {
  const at = skb.transport_header
  if (at + 4 > skb.tail) return
  const sin = new Uint8Array(16)
  sin[0] = AF_INET
  sin.set(skb.head.bytes.subarray(at + 2, at + 4), 2)
  put_be32(sin, 4, ip_hdr(skb).daddr)
  put_cmsg(msg, SOL_IP, IN.IP_ORIGDSTADDR, 16, sin)
})

/** the control messages that the socket asked for. `tlen`: transport header; `offset`: bytes of payload skipped by a peek */
export const ip_cmsg_recv_offset = kfunc(
  'ip_cmsg_recv_offset',
  (msg: msghdr, sk: sock, skb: sk_buff, tlen: number, offset: number): void => {
    const flags = inet_cmsg_flags(inet_sk(sk))
    if (flags & bit(F.INET_FLAGS_PKTINFO)) ip_cmsg_recv_pktinfo(msg, skb)
    if (flags & bit(F.INET_FLAGS_TTL)) ip_cmsg_recv_ttl(msg, skb)
    if (flags & bit(F.INET_FLAGS_TOS)) ip_cmsg_recv_tos(msg, skb)
    if (flags & bit(F.INET_FLAGS_RECVOPTS)) ip_cmsg_recv_opts(msg, skb)
    if (flags & bit(F.INET_FLAGS_RETOPTS)) ip_cmsg_recv_retopts(sock_net(sk), msg, skb)
    if (flags & bit(F.INET_FLAGS_PASSSEC)) ip_cmsg_recv_security(msg, skb)
    if (flags & bit(F.INET_FLAGS_ORIGDSTADDR)) ip_cmsg_recv_dstaddr(msg, skb)
    if (flags & bit(F.INET_FLAGS_CHECKSUM)) ip_cmsg_recv_checksum(msg, skb, tlen, offset)
    if (flags & bit(F.INET_FLAGS_RECVFRAGSIZE)) ip_cmsg_recv_fragsize(msg, skb)
  },
)

/** include/net/ip.h */
export const ip_cmsg_recv = kfunc('ip_cmsg_recv', (msg: msghdr, skb: sk_buff): void => {
  ip_cmsg_recv_offset(msg, skb.sk as sock, skb, 0, 0)
})

/** reads the control messages of a send */
export const ip_cmsg_send = kfunc('ip_cmsg_send', (sk: sock, msg: msghdr, ipc: ipcm_cookie, _allow_ipv6: boolean): number => {
  const n = sock_net(sk)
  for (const cmsg of for_each_cmsghdr(msg)) {
    if (!CMSG_OK(msg, cmsg)) return -EINVAL
    if (cmsg.cmsg_level === SOL_SOCKET) {
      const err = __sock_cmsg_send(sk, cmsg, ipc.sockc)
      if (err) return err
      continue
    }
    if (cmsg.cmsg_level !== SOL_IP) continue
    const data = CMSG_DATA(cmsg)
    const len = cmsg.cmsg_len
    switch (cmsg.cmsg_type) {
      case IN.IP_RETOPTS: {
        const opt: ref<ip_options | null> = { v: ipc.opt }
        const err = ip_options_get(n, opt, data, Math.min(len - SIZEOF_CMSGHDR, 40))
        ipc.opt = opt.v
        if (err) return err
        break
      }
      case IN.IP_PKTINFO: {
        if (len !== CMSG_LEN(12)) return -EINVAL
        const ifindex = get_int(data)
        if (ifindex) ipc.oif = ifindex
        ipc.addr = get_be32(data, 4)
        break
      }
      case IN.IP_TTL: {
        if (len !== CMSG_LEN(4)) return -EINVAL
        const val = get_int(data)
        if (val < 1 || val > 255) return -EINVAL
        ipc.ttl = val
        break
      }
      case IN.IP_TOS: {
        if (len !== CMSG_LEN(4) && len !== CMSG_LEN(1)) return -EINVAL
        const val = len === CMSG_LEN(4) ? get_int(data) : (data[0] ?? 0)
        if (val < 0 || val > 255) return -EINVAL
        ipc.tos = val
        ipc.priority = rt_tos2priority(val)
        break
      }
      case IN.IP_PROTOCOL: {
        if (len !== CMSG_LEN(4)) return -EINVAL
        const val = get_int(data)
        if (val < 1 || val > 255) return -EINVAL
        ipc.protocol = val
        break
      }
      default:
        return -EINVAL
    }
  }
  return 0
})

const ip_ra_destroy_rcu = kfunc('ip_ra_destroy_rcu', (ra: ip_ra_chain): void => {
  sock_put(ra.sk)
  kfree(ra)
})

/** begins or ends a raw socket's interest in packets with the router alert option */
export const ip_ra_control = kfunc('ip_ra_control', (sk: sock, on: number, destructor: ((sk: sock) => void) | null): number => {
  const { ipv4 } = sock_net(sk)
  if (sk.sk_type !== SOCK_RAW || inet_sk(sk).inet_num === IPPROTO_RAW) return -EINVAL
  if (on) kmalloc(48, GFP_KERNEL)
  let prev: ip_ra_chain | null = null
  for (let ra = ipv4.ra_chain as ip_ra_chain | null; ra !== null; ra = ra.next) {
    if (ra.sk === sk) {
      if (on) return -EADDRINUSE
      if (prev === null) ipv4.ra_chain = ra.next
      else prev.next = ra.next
      ra.destructor?.(sk)
      call_rcu(ra, ip_ra_destroy_rcu)
      return 0
    }
    prev = ra
  }
  if (!on) return -ENOBUFS
  const new_ra: ip_ra_chain = { next: null, sk, destructor }
  if (prev === null) ipv4.ra_chain = new_ra
  else prev.next = new_ra
  sock_hold(sk)
  return 0
})

/** puts an ICMP error on the socket's error queue. `payload`: where the transport's data begins, an offset in the head. */
export const ip_icmp_error = kfunc(
  'ip_icmp_error',
  (sk: sock, in_skb: sk_buff, err: number, port: number, info: number, payload: number): void => {
    const skb = skb_clone(in_skb, GFP_ATOMIC)
    if (skb === null) return
    skb.cb = null
    const serr = SKB_EXT_ERR(skb)
    const icmph = icmp_hdr(skb)
    serr.ee_errno = err
    serr.ee_origin = SO_EE_ORIGIN_ICMP
    serr.ee_type = icmph.type
    serr.ee_code = icmph.code
    serr.ee_pad = 0
    serr.ee_info = info
    serr.ee_data = 0
    serr.addr_offset = icmph.at + SIZEOF_ICMPHDR + 16 - skb.network_header
    serr.port = port
    if (skb_pull(skb, payload - skb.data) >= 0) {
      skb_reset_transport_header(skb)
      if (sock_queue_err_skb(sk, skb) === 0) return
    }
    kfree_skb(skb)
  },
)

/** the same for what went wrong on this host */
export const ip_local_error = kfunc(
  'ip_local_error',
  (sk: sock, err: number, daddr: number, port: number, info: number): void => {
    if (!inet_test_bit(F.INET_FLAGS_RECVERR, sk)) return
    const skb = alloc_skb(20, GFP_ATOMIC)
    if (skb === null) return
    skb_put(skb, 20)
    skb_reset_network_header(skb)
    ip_hdr(skb).daddr = daddr
    const serr = SKB_EXT_ERR(skb)
    serr.ee_errno = err
    serr.ee_origin = SO_EE_ORIGIN_LOCAL
    serr.ee_type = 0
    serr.ee_code = 0
    serr.ee_pad = 0
    serr.ee_info = info
    serr.ee_data = 0
    serr.addr_offset = 16
    serr.port = port
    __skb_pull(skb, skb.tail - skb.data)
    skb_reset_transport_header(skb)
    if (sock_queue_err_skb(sk, skb)) kfree_skb(skb)
  },
)

const ipv4_datagram_support_addr = kfunc('ipv4_datagram_support_addr', (serr: sock_exterr_skb): boolean => {
  return serr.ee_origin === SO_EE_ORIGIN_ICMP || serr.ee_origin === SO_EE_ORIGIN_LOCAL || serr.port !== 0
})

const ipv4_datagram_support_cmsg = kfunc('ipv4_datagram_support_cmsg', (sk: sock, skb: sk_buff, ee_origin: number): boolean => {
  if (ee_origin === SO_EE_ORIGIN_ICMP) return true
  if (ee_origin === SO_EE_ORIGIN_LOCAL) return false
  const info = PKTINFO_SKB_CB(skb)
  if (!(sk.sk_tsflags & SOF_TIMESTAMPING_OPT_CMSG) || !info.ipi_ifindex) return false
  info.ipi_spec_dst = ip_hdr(skb).saddr
  return true
})

/** recvmsg(MSG_ERRQUEUE): the packet that failed, and in a control message why */
export const ip_recv_error = kfunc('ip_recv_error', (sk: sock, msg: msghdr, len: number, addr_len: ref<number>): number => {
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
  if (sin !== null && ipv4_datagram_support_addr(serr)) {
    sin.clear()
    sin.sa_family = AF_INET
    sin.sin_addr = get_be32(skb.head.bytes, skb.network_header + serr.addr_offset)
    sin.sin_port = serr.port
    addr_len.v = 16
  }
  const errhdr = new Uint8Array(32)
  errhdr.set(int_bytes(serr.ee_errno))
  errhdr[4] = serr.ee_origin
  errhdr[5] = serr.ee_type
  errhdr[6] = serr.ee_code
  errhdr[7] = serr.ee_pad
  errhdr.set(int_bytes(serr.ee_info), 8)
  errhdr.set(int_bytes(serr.ee_data), 12)
  if (ipv4_datagram_support_cmsg(sk, skb, serr.ee_origin)) {
    errhdr[16] = AF_INET
    put_be32(errhdr, 20, ip_hdr(skb).saddr)
    if (inet_cmsg_flags(inet_sk(sk))) ip_cmsg_recv(msg, skb)
  }
  put_cmsg(msg, SOL_IP, IN.IP_RECVERR, 32, errhdr)
  msg.msg_flags |= MSG_ERRQUEUE
  consume_skb(skb)
  return copied
})

export const __ip_sock_set_tos = kfunc('__ip_sock_set_tos', (sk: sock, v: number): void => {
  const old_tos = inet_sk(sk).tos
  const val = (sk.sk_type === SOCK_STREAM ? (v & ~INET_ECN_MASK) | (old_tos & INET_ECN_MASK) : v) & 0xff
  if (old_tos !== val) {
    inet_sk(sk).tos = val
    sk.sk_priority = rt_tos2priority(val)
    sk_dst_reset(sk)
  }
})

export const ip_sock_set_tos = kfunc('ip_sock_set_tos', (sk: sock, val: number): void => {
  sockopt_lock_sock(sk)
  __ip_sock_set_tos(sk, val)
  sockopt_release_sock(sk)
})

export const ip_sock_set_mtu_discover = kfunc('ip_sock_set_mtu_discover', (sk: sock, val: number): number => {
  if (val < IN.IP_PMTUDISC_DONT || val > IN.IP_PMTUDISC_OMIT) return -EINVAL
  inet_sk(sk).pmtudisc = val
  return 0
})

/** struct ip_mreqn or the shorter struct ip_mreq; an in_addr alone is the interface's address */
function read_mreq(optval: Uint8Array, optlen: number): ip_mreqn {
  if (optlen >= 12)
    return { imr_multiaddr: get_be32(optval, 0), imr_address: get_be32(optval, 4), imr_ifindex: get_int(optval, 8) }
  if (optlen >= 8) return { imr_multiaddr: get_be32(optval, 0), imr_address: get_be32(optval, 4), imr_ifindex: 0 }
  return { imr_multiaddr: 0, imr_address: get_be32(optval, 0), imr_ifindex: 0 }
}

function set_options(sk: sock, optval: Uint8Array, optlen: number): number {
  const inet = inet_sk(sk)
  if (optlen > 40) return -EINVAL
  const opt: ref<ip_options | null> = { v: null }
  const err = ip_options_get(sock_net(sk), opt, optval, optlen)
  if (err) return err
  const old = inet.inet_opt
  if (inet_test_bit(F.INET_FLAGS_IS_ICSK, sk)) {
    const icsk = inet_csk(sk)
    if (old !== null) icsk.icsk_ext_hdr_len -= old.optlen
    if (opt.v !== null) icsk.icsk_ext_hdr_len += opt.v.optlen
    icsk.icsk_sync_mss(sk, icsk.icsk_pmtu_cookie)
  }
  inet.inet_opt = opt.v
  if (old !== null) kfree_rcu(old)
  return 0
}

function set_unicast_if(sk: sock, val: number, optlen: number): number {
  if (optlen !== 4) return -EINVAL
  // the index lies in network order
  const ifindex = ((val >>> 24) | ((val >>> 8) & 0xff00) | ((val << 8) & 0xff0000) | (val << 24)) >>> 0
  if (ifindex === 0) {
    inet_sk(sk).uc_index = 0
    return 0
  }
  const dev = dev_get_by_index(sock_net(sk), ifindex)
  if (dev === null) return -EADDRNOTAVAIL
  const midx = l3mdev_master_ifindex(dev)
  dev_put(dev)
  if (sk.sk_bound_dev_if && midx !== sk.sk_bound_dev_if) return -EINVAL
  inet_sk(sk).uc_index = ifindex
  return 0
}

function set_multicast_if(sk: sock, optval: Uint8Array, optlen: number): number {
  const inet = inet_sk(sk)
  if (sk.sk_type === SOCK_STREAM || optlen < 4) return -EINVAL
  const mreq = read_mreq(optval, optlen)
  let dev: net_device | null
  if (!mreq.imr_ifindex) {
    if (mreq.imr_address === 0) {
      inet.mc_index = 0
      inet.mc_addr = 0
      return 0
    }
    dev = ip_dev_find(sock_net(sk), mreq.imr_address)
    if (dev !== null) mreq.imr_ifindex = dev.ifindex
  } else dev = dev_get_by_index(sock_net(sk), mreq.imr_ifindex)
  if (dev === null) return -EADDRNOTAVAIL
  const midx = l3mdev_master_ifindex(dev)
  dev_put(dev)
  if (sk.sk_bound_dev_if && mreq.imr_ifindex !== sk.sk_bound_dev_if && midx !== sk.sk_bound_dev_if) return -EINVAL
  inet.mc_index = mreq.imr_ifindex
  inet.mc_addr = mreq.imr_address
  return 0
}

/** options that are one bit, and which */
const FLAG_OF: Readonly<Record<number, number>> = {
  [IN.IP_PKTINFO]: F.INET_FLAGS_PKTINFO,
  [IN.IP_RECVTTL]: F.INET_FLAGS_TTL,
  [IN.IP_RECVTOS]: F.INET_FLAGS_TOS,
  [IN.IP_RECVOPTS]: F.INET_FLAGS_RECVOPTS,
  [IN.IP_RETOPTS]: F.INET_FLAGS_RETOPTS,
  [IN.IP_PASSSEC]: F.INET_FLAGS_PASSSEC,
  [IN.IP_RECVORIGDSTADDR]: F.INET_FLAGS_ORIGDSTADDR,
  [IN.IP_CHECKSUM]: F.INET_FLAGS_CHECKSUM,
  [IN.IP_RECVFRAGSIZE]: F.INET_FLAGS_RECVFRAGSIZE,
  [IN.IP_RECVERR]: F.INET_FLAGS_RECVERR,
  [IN.IP_RECVERR_RFC4884]: F.INET_FLAGS_RECVERR_RFC4884,
  [IN.IP_FREEBIND]: F.INET_FLAGS_FREEBIND,
  [IN.IP_HDRINCL]: F.INET_FLAGS_HDRINCL,
  [IN.IP_MULTICAST_LOOP]: F.INET_FLAGS_MC_LOOP,
  [IN.IP_MULTICAST_ALL]: F.INET_FLAGS_MC_ALL,
  [IN.IP_TRANSPARENT]: F.INET_FLAGS_TRANSPARENT,
  [IN.IP_NODEFRAG]: F.INET_FLAGS_NODEFRAG,
  [IN.IP_BIND_ADDRESS_NO_PORT]: F.INET_FLAGS_BIND_ADDRESS_NO_PORT,
  [IN.IP_ROUTER_ALERT]: INET_FLAGS_RTALERT,
}

export const do_ip_setsockopt = kfunc(
  'do_ip_setsockopt',
  (sk: sock, _level: number, optname: number, optval: Uint8Array, optlen: number): number => {
    const inet = inet_sk(sk)
    let val = 0
    if (optlen >= 4) val = get_int(optval)
    else if (optlen >= 1) val = optval[0] ?? 0
    const set = (flag: number): number => {
      inet_assign_bit(flag, sk, val !== 0)
      return 0
    }
    switch (optname) {
      case IN.IP_ROUTER_ALERT: {
        const ret = ip_ra_control(sk, val ? 1 : 0, null)
        if (ret === 0) set(INET_FLAGS_RTALERT)
        return ret
      }
      case IN.IP_PKTINFO:
      case IN.IP_RECVTTL:
      case IN.IP_RECVTOS:
      case IN.IP_RECVOPTS:
      case IN.IP_RETOPTS:
      case IN.IP_PASSSEC:
      case IN.IP_RECVORIGDSTADDR:
      case IN.IP_BIND_ADDRESS_NO_PORT:
        return set(FLAG_OF[optname] as number)
      case IN.IP_RECVFRAGSIZE:
        if (sk.sk_type !== SOCK_RAW && sk.sk_type !== SOCK_DGRAM) return -EINVAL
        return set(F.INET_FLAGS_RECVFRAGSIZE)
      case IN.IP_RECVERR:
        set(F.INET_FLAGS_RECVERR)
        if (!val) skb_errqueue_purge(sk.sk_error_queue)
        return 0
      case IN.IP_RECVERR_RFC4884:
        if (val < 0 || val > 1) return -EINVAL
        return set(F.INET_FLAGS_RECVERR_RFC4884)
      case IN.IP_FREEBIND:
      case IN.IP_MULTICAST_LOOP:
      case IN.IP_TRANSPARENT:
        if (optlen < 1) return -EINVAL
        return set(FLAG_OF[optname] as number)
      case IN.IP_HDRINCL:
      case IN.IP_NODEFRAG:
        if (sk.sk_type !== SOCK_RAW) return -ENOPROTOOPT
        return set(FLAG_OF[optname] as number)
      case IN.IP_MULTICAST_ALL:
        if (optlen < 1 || (val !== 0 && val !== 1)) return -EINVAL
        return set(F.INET_FLAGS_MC_ALL)
      case IN.IP_TTL:
        if (optlen < 1 || (val !== -1 && (val < 1 || val > 255))) return -EINVAL
        inet.uc_ttl = val
        return 0
      case IN.IP_MINTTL:
        if (optlen < 1 || val < 0 || val > 255) return -EINVAL
        if (val) ip4_min_ttl.on = true
        inet.min_ttl = val
        return 0
      case IN.IP_MULTICAST_TTL:
        if (sk.sk_type === SOCK_STREAM || optlen < 1) return -EINVAL
        if (val === -1) val = 1
        if (val < 0 || val > 255) return -EINVAL
        inet.mc_ttl = val
        return 0
      case IN.IP_MTU_DISCOVER:
        return ip_sock_set_mtu_discover(sk, val)
      case IN.IP_TOS:
        ip_sock_set_tos(sk, val)
        return 0
      case IN.IP_LOCAL_PORT_RANGE: {
        const lo = val & 0xffff
        const hi = val >>> 16
        if (optlen !== 4 || (lo !== 0 && hi !== 0 && lo > hi)) return -EINVAL
        inet.local_port_range = val >>> 0
        return 0
      }
    }

    let err = 0
    sockopt_lock_sock(sk)
    switch (optname) {
      case IN.IP_OPTIONS:
        err = set_options(sk, optval, optlen)
        break
      case IN.IP_CHECKSUM:
        if (val && !inet_test_bit(F.INET_FLAGS_CHECKSUM, sk)) {
          inet.convert_csum++
          inet_set_bit(F.INET_FLAGS_CHECKSUM, sk)
        } else if (!val && inet_test_bit(F.INET_FLAGS_CHECKSUM, sk)) {
          if (inet.convert_csum > 0) inet.convert_csum--
          inet_clear_bit(F.INET_FLAGS_CHECKSUM, sk)
        }
        break
      case IN.IP_UNICAST_IF:
        err = set_unicast_if(sk, val, optlen)
        break
      case IN.IP_MULTICAST_IF:
        err = set_multicast_if(sk, optval, optlen)
        break
      case IN.IP_ADD_MEMBERSHIP:
      case IN.IP_DROP_MEMBERSHIP:
        if (inet_test_bit(F.INET_FLAGS_IS_ICSK, sk)) err = -EPROTO
        else if (optlen < 8) err = -EINVAL
        else {
          const mreq = read_mreq(optval, optlen)
          err = optname === IN.IP_ADD_MEMBERSHIP ? ip_mc_join_group(sk, mreq) : ip_mc_leave_group(sk, mreq)
        }
        break
      case IN.IP_IPSEC_POLICY:
      case IN.IP_XFRM_POLICY:
        err = -EPERM
        break
      default:
        err = -ENOPROTOOPT
    }
    sockopt_release_sock(sk)
    return err
  },
)

/** keeps what recvmsg() may want of the route, and drops the route */
export const ipv4_pktinfo_prepare = kfunc('ipv4_pktinfo_prepare', (sk: sock, skb: sk_buff, drop_dst: boolean): void => {
  const pktinfo = PKTINFO_SKB_CB(skb)
  const rt = skb_rtable(skb)
  if (inet_test_bit(F.INET_FLAGS_PKTINFO, sk) && rt !== null) {
    // struct in_pktinfo lies over inet_skb_parm: its index is the device that the packet came in by
    const cb = IPCB(skb)
    pktinfo.ipi_ifindex = cb.iif
    if (pktinfo.ipi_ifindex === LOOPBACK_IFINDEX) pktinfo.ipi_ifindex = inet_iif(skb)
    else if (ipv4_l3mdev_skb(cb.flags) && rt.rt_iif) pktinfo.ipi_ifindex = rt.rt_iif
    pktinfo.ipi_spec_dst = fib_compute_spec_dst(skb)
  } else {
    pktinfo.ipi_ifindex = 0
    pktinfo.ipi_spec_dst = 0
  }
  if (drop_dst) skb_dst_drop(skb)
})

export const ip_setsockopt = kfunc(
  'ip_setsockopt',
  (sk: sock, level: number, optname: number, optval: Uint8Array, optlen: number): number => {
    if (level !== SOL_IP) return -ENOPROTOOPT
    return do_ip_setsockopt(sk, level, optname, optval, optlen)
  },
)

const copy_to = (optval: number, optlen: ref<number>, from: Uint8Array, len: number): number => {
  optlen.v = len
  return copy_to_sockptr(optval, from, len)
}

export const do_ip_getsockopt = kfunc(
  'do_ip_getsockopt',
  (sk: sock, level: number, optname: number, optval: number, optlen: ref<number>): number => {
    const inet = inet_sk(sk)
    if (level !== SOL_IP) return -EOPNOTSUPP
    const len = optlen.v
    if (len < 0) return -EINVAL
    const copyval = (val: number): number =>
      len < 4 && len > 0 && val >= 0 && val <= 255
        ? copy_to(optval, optlen, new Uint8Array([val]), 1)
        : copy_to(optval, optlen, int_bytes(val), Math.min(4, len))
    const flag = FLAG_OF[optname]
    if (flag !== undefined) return copyval(inet_test_bit(flag, sk) ? 1 : 0)
    switch (optname) {
      case IN.IP_TTL:
        return copyval(inet.uc_ttl < 0 ? sock_net(sk).ipv4.sysctl_ip_default_ttl : inet.uc_ttl)
      case IN.IP_MINTTL:
        return copyval(inet.min_ttl)
      case IN.IP_MULTICAST_TTL:
        return copyval(inet.mc_ttl)
      case IN.IP_MTU_DISCOVER:
        return copyval(inet.pmtudisc)
      case IN.IP_TOS:
        return copyval(inet.tos)
      case IN.IP_OPTIONS: {
        const opt = new ip_options()
        rcu_read_lock()
        if (inet.inet_opt !== null) {
          opt.assign(inet.inet_opt)
          opt.__data = inet.inet_opt.__data.slice()
        }
        rcu_read_unlock()
        if (opt.optlen === 0) {
          optlen.v = 0
          return 0
        }
        ip_options_undo(opt)
        return copy_to(optval, optlen, opt.__data, Math.min(len, opt.optlen))
      }
      case IN.IP_MTU: {
        let val = 0
        const dst = sk_dst_get(sk)
        if (dst !== null) {
          val = dst4_mtu(dst)
          dst_release(dst)
        }
        return val ? copyval(val) : -ENOTCONN
      }
      case IN.IP_PKTOPTIONS: {
        if (sk.sk_type !== SOCK_STREAM) return -ENOPROTOOPT
        const msg = new msghdr()
        msg.msg_control_is_user = true
        msg.msg_control_user = optval
        msg.msg_controllen = len
        if (inet_test_bit(F.INET_FLAGS_PKTINFO, sk)) {
          const info = new Uint8Array(12)
          info.set(int_bytes(inet.mc_index))
          put_be32(info, 4, inet.inet_rcv_saddr)
          put_be32(info, 8, inet.inet_rcv_saddr)
          put_cmsg(msg, SOL_IP, IN.IP_PKTINFO, 12, info)
        }
        if (inet_test_bit(F.INET_FLAGS_TTL, sk)) put_cmsg(msg, SOL_IP, IN.IP_TTL, 4, int_bytes(inet.mc_ttl))
        if (inet_test_bit(F.INET_FLAGS_TOS, sk)) put_cmsg(msg, SOL_IP, IN.IP_TOS, 4, int_bytes(inet.rcv_tos))
        optlen.v = len - msg.msg_controllen
        return 0
      }
      case IN.IP_UNICAST_IF: {
        const b = new Uint8Array(4)
        put_be32(b, 0, inet.uc_index)
        return copyval(get_int(b))
      }
      case IN.IP_MULTICAST_IF: {
        const addr = new Uint8Array(4)
        put_be32(addr, 0, inet.mc_addr)
        return copy_to(optval, optlen, addr, Math.min(len, 4))
      }
      case IN.IP_LOCAL_PORT_RANGE:
        return copyval(inet.local_port_range | 0)
    }
    sockopt_lock_sock(sk)
    const known = optname === IN.IP_PROTOCOL
    sockopt_release_sock(sk)
    return known ? copyval(inet.inet_num) : -ENOPROTOOPT
  },
)

export const ip_getsockopt = kfunc(
  'ip_getsockopt',
  (sk: sock, level: number, optname: number, optval: number, optlen: ref<number>): number =>
    do_ip_getsockopt(sk, level, optname, optval, optlen),
)
