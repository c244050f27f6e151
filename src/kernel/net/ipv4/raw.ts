import { kfunc } from '../../../trace/kfunc.ts'
import {
  ETH_P_IP,
  IPPROTO_ICMP,
  IPPROTO_RAW,
  MSG_CONFIRM,
  MSG_DONTWAIT,
  MSG_ERRQUEUE,
  MSG_MORE,
  MSG_OOB,
  MSG_PROBE,
  MSG_TRUNC,
  NET_RX_DROP,
  NET_RX_SUCCESS,
  NET_XMIT_CN,
  NF_INET_LOCAL_OUT,
  NFPROTO_IPV4,
  RTN_BROADCAST,
  RTN_LOCAL,
  RTN_MULTICAST,
  SKB_DROP_REASON_XFRM_POLICY,
  SOCK_BROADCAST,
  SOCK_RCU_FREE,
  TCP_CLOSE,
  TCP_ESTABLISHED,
} from '../../include/generated/enums.ts'
import {
  EACCES,
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  EDESTADDRREQ,
  EFAULT,
  EHOSTUNREACH,
  EINVAL,
  EMSGSIZE,
  ENOBUFS,
  ENOIOCTLCMD,
  ENOPROTOOPT,
  EOPNOTSUPP,
  EPROTO,
} from '../../include/linux/errno.ts'
import {
  ICMP_DEST_UNREACH,
  ICMP_FRAG_NEEDED,
  ICMP_PARAMETERPROB,
  ICMP_REDIRECT,
  ICMP_SOURCE_QUENCH,
  icmp_hdr,
  NR_ICMP_UNREACH,
} from '../../include/linux/icmp.ts'
import { IP_PMTUDISC_DONT, ipv4_is_lbcast, ipv4_is_multicast } from '../../include/linux/in.ts'
import { RTCF_BROADCAST } from '../../include/linux/in_route.ts'
import { core_initcall } from '../../include/linux/init.ts'
import { ip_hdr, iphdr } from '../../include/linux/ip.ts'
import { list_add, list_del, list_head } from '../../include/linux/list.ts'
import type { sockaddr } from '../../include/linux/net.ts'
import { LL_RESERVED_SPACE, type net_device } from '../../include/linux/netdevice.ts'
import { RT_TABLE_LOCAL } from '../../include/linux/rtnetlink.ts'
import {
  CHECKSUM_NONE,
  CHECKSUM_PARTIAL,
  type sk_buff,
  skb_network_offset,
  skb_peek,
  skb_reset_network_header,
  skb_transport_offset,
} from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import { AF_INET, type msghdr, SOL_RAW } from '../../include/linux/socket.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import { IS_ERR, type ref } from '../../include/linux/types.ts'
import { FLOWI_FLAG_KNOWN_NH, flowi4, flowi4_init_output, flowi4_to_flowi_common } from '../../include/net/flow.ts'
import {
  INET_FLAGS_FREEBIND,
  INET_FLAGS_HDRINCL,
  INET_FLAGS_RECVERR,
  INET_FLAGS_TRANSPARENT,
  inet_sk,
  inet_sock,
  inet_test_bit,
} from '../../include/net/inet_sock.ts'
import { inet_sdif, ipcm_cookie } from '../../include/net/ip.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { rtable } from '../../include/net/route.ts'
import type { proto, sock, sockcm_cookie } from '../../include/net/sock.ts'
import { spin_lock, spin_lock_bh, spin_unlock, spin_unlock_bh } from '../../kernel/locking/spinlock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { csum_block_add, csum_partial_copy_nocheck, ip_fast_csum } from '../../lib/checksum.ts'
import { _copy_from_iter, copy_from_iter_full } from '../../lib/iov_iter.ts'
import { copy_to_sockptr } from '../../lib/usercopy.ts'
import { kfree } from '../../mm/slub.ts'
import { security_sk_classify_flow } from '../../security/security.ts'
import { skb_copy_datagram_msg, skb_free_datagram, skb_recv_datagram } from '../core/datagram.ts'
import { netif_index_is_l3_master } from '../core/dev.ts'
import { dst_confirm_neigh, dst_output, skb_dst_set } from '../core/dst.ts'
import {
  kfree_skb,
  nf_reset_ct,
  sk_skb_reason_drop,
  skb_clone,
  skb_push,
  skb_put,
  skb_reserve,
  skb_set_delivery_type_by_clockid,
  skb_set_dst_pending_confirm,
} from '../core/skbuff.ts'
import {
  __sock_put,
  lock_sock,
  release_sock,
  sk_common_release,
  sk_dst_reset,
  sk_error_report,
  sk_wmem_alloc_get,
  skb_setup_tx_timestamp,
  sock_alloc_send_skb,
  sock_flag,
  sock_hold,
  sock_net,
  sock_prot_inuse_add,
  sock_queue_rcv_skb_reason,
  sock_recv_cmsgs,
  sock_set_flag,
} from '../core/sock.ts'
import { l3mdev_fib_table_by_index, l3mdev_master_ifindex_by_index } from '../l3mdev/l3mdev.ts'
import { NF_HOOK } from '../netfilter/core.ts'
import { XFRM_POLICY_IN, xfrm4_policy_check } from '../xfrm/xfrm_policy.ts'
import { ip4_datagram_connect, ip4_datagram_release_cb } from './datagram.ts'
import { inet_addr_type_table } from './fib_frontend.ts'
import { icmp_err_convert, icmp_out_count } from './icmp.ts'
import { ip_mc_sf_allow } from './igmp.ts'
import { inet_bound_dev_eq } from './inet_hashtables.ts'
import {
  get_rttos,
  type getfrag_t,
  ip_append_data,
  ip_flush_pending_frames,
  ip_generic_getfrag,
  ip_push_pending_frames,
  ip_select_ident,
  ip_sendmsg_scope,
  ipcm_init_sk,
} from './ip_output.ts'
import {
  inet_cmsg_flags,
  ip_cmsg_recv,
  ip_cmsg_send,
  ip_getsockopt,
  ip_icmp_error,
  ip_local_error,
  ip_ra_control,
  ip_recv_error,
  ip_setsockopt,
  ipv4_pktinfo_prepare,
} from './ip_sockglue.ts'
import { inet_iif, inet_sk_flowi_flags, ip_route_output_flow, ip_rt_put, ipv4_sk_redirect, ipv4_sk_update_pmtu } from './route.ts'
import { __udp_disconnect } from './udp.ts'

const RAW_HTABLE_SIZE = 256
const ICMP_FILTER = 1
const SIOCINQ = 0x541b
const SIOCOUTQ = 0x5411
const SIZEOF_SOCKADDR_IN = 16

/** struct raw_sock; `filter` has a bit for each ICMP type that the program does not want */
class raw_sock extends inet_sock {
  filter = 0
  readonly raw_node: list_head<sock> = new list_head<sock>(this)
}
const raw_sk = (sk: sock): raw_sock => sk as raw_sock

/** struct raw_hashinfo: sockets by protocol */
export let raw_v4_hashinfo: { lock: spinlock_t; ht: list_head<sock>[] }

const raw_hashfunc = (_n: net, proto: number): number => proto & (RAW_HTABLE_SIZE - 1)

export const raw_hash_sk = kfunc('raw_hash_sk', (sk: sock): number => {
  const h = sk.sk_prot.raw_hash ?? raw_v4_hashinfo
  const hlist = h.ht[raw_hashfunc(sock_net(sk), inet_sk(sk).inet_num)] as list_head<sock>
  spin_lock(h.lock)
  sock_hold(sk)
  list_add(raw_sk(sk).raw_node, hlist)
  sk.skc_node = hlist
  sock_set_flag(sk, SOCK_RCU_FREE)
  spin_unlock(h.lock)
  sock_prot_inuse_add(sock_net(sk), sk.sk_prot, 1)
  return 0
})

export const raw_unhash_sk = kfunc('raw_unhash_sk', (sk: sock): void => {
  const h = sk.sk_prot.raw_hash ?? raw_v4_hashinfo
  spin_lock(h.lock)
  if (sk.skc_node !== null) {
    list_del(raw_sk(sk).raw_node)
    sk.skc_node = null
    __sock_put(sk)
    sock_prot_inuse_add(sock_net(sk), sk.sk_prot, -1)
  }
  spin_unlock(h.lock)
})

export const raw_v4_match = kfunc(
  'raw_v4_match',
  (n: net, sk: sock, num: number, raddr: number, laddr: number, dif: number, sdif: number): boolean => {
    const inet = inet_sk(sk)
    return (
      sock_net(sk) === n &&
      inet.inet_num === num &&
      !(inet.inet_daddr && inet.inet_daddr !== raddr) &&
      !(inet.inet_rcv_saddr && inet.inet_rcv_saddr !== laddr) &&
      inet_bound_dev_eq(n.ipv4.sysctl_raw_l3mdev_accept !== 0, sk.sk_bound_dev_if, dif, sdif)
    )
  },
)

const icmp_filter = kfunc('icmp_filter', (sk: sock, skb: sk_buff): boolean => {
  const at = skb.data + skb_transport_offset(skb)
  if (at + 8 > skb.tail) return true
  const type = skb.head.bytes[at] ?? 0
  return type < 32 && ((1 << type) & raw_sk(sk).filter) !== 0
})

const raw_v4_input = kfunc('raw_v4_input', (n: net, skb: sk_buff, iph: iphdr, hash: number): boolean => {
  const sdif = inet_sdif(skb)
  const dif = inet_iif(skb)
  let delivered = false
  const hlist = raw_v4_hashinfo.ht[hash] as list_head<sock>
  rcu_read_lock()
  for (let p = hlist.next; p !== hlist; p = p.next) {
    const sk = p.owner as sock
    if (!raw_v4_match(n, sk, iph.protocol, iph.saddr, iph.daddr, dif, sdif)) continue
    if (sk.sk_rmem_alloc >= sk.sk_rcvbuf) {
      sk.sk_drops++
      continue
    }
    delivered = true
    if (
      (iph.protocol !== IPPROTO_ICMP || !icmp_filter(sk, skb)) &&
      ip_mc_sf_allow(sk, iph.daddr, iph.saddr, (skb.dev as net_device).ifindex, sdif)
    ) {
      const clone = skb_clone(skb, GFP_ATOMIC)
      if (clone !== null) raw_rcv(sk, clone)
    }
  }
  rcu_read_unlock()
  return delivered
})

/** gives copies of a packet to the raw sockets of its protocol; whether there was one */
export const raw_local_deliver = kfunc('raw_local_deliver', (skb: sk_buff, protocol: number): boolean => {
  const n = (skb.dev as net_device).nd_net
  return raw_v4_input(n, skb, ip_hdr(skb), raw_hashfunc(n, protocol))
})

const raw_err = kfunc('raw_err', (sk: sock, skb: sk_buff, info: number): void => {
  const inet = inet_sk(sk)
  const { type, code } = icmp_hdr(skb)
  let harderr = 0
  let err = 0
  if (type === ICMP_DEST_UNREACH && code === ICMP_FRAG_NEEDED) ipv4_sk_update_pmtu(skb, sk, info)
  else if (type === ICMP_REDIRECT) {
    ipv4_sk_redirect(skb, sk)
    return
  }
  const recverr = inet_test_bit(INET_FLAGS_RECVERR, sk)
  if (!recverr && sk.sk_state !== TCP_ESTABLISHED) return
  switch (type) {
    case ICMP_SOURCE_QUENCH:
      return
    case ICMP_PARAMETERPROB:
      err = EPROTO
      harderr = 1
      break
    case ICMP_DEST_UNREACH:
      err = EHOSTUNREACH
      if (code > NR_ICMP_UNREACH) break
      if (code === ICMP_FRAG_NEEDED) {
        harderr = inet.pmtudisc !== IP_PMTUDISC_DONT ? 1 : 0
        err = EMSGSIZE
      } else {
        err = icmp_err_convert[code]?.errno ?? EHOSTUNREACH
        harderr = icmp_err_convert[code]?.fatal ?? 0
      }
      break
    default:
      err = EHOSTUNREACH
  }
  if (recverr) {
    const iph = new iphdr(skb.head.bytes, skb.data)
    const payload = inet_test_bit(INET_FLAGS_HDRINCL, sk) ? skb.data : skb.data + (iph.ihl << 2)
    ip_icmp_error(sk, skb, err, 0, info, payload)
  }
  if (recverr || harderr) {
    sk.sk_err = err
    sk_error_report(sk)
  }
})

export const raw_icmp_error = kfunc('raw_icmp_error', (skb: sk_buff, protocol: number, info: number): void => {
  const dev = skb.dev as net_device
  const n = dev.nd_net
  const sdif = inet_sdif(skb)
  const hlist = raw_v4_hashinfo.ht[raw_hashfunc(n, protocol)] as list_head<sock>
  rcu_read_lock()
  for (let p = hlist.next; p !== hlist; p = p.next) {
    const iph = new iphdr(skb.head.bytes, skb.data)
    if (raw_v4_match(n, p.owner as sock, iph.protocol, iph.daddr, iph.saddr, dev.ifindex, sdif))
      raw_err(p.owner as sock, skb, info)
  }
  rcu_read_unlock()
})

const raw_rcv_skb = kfunc('raw_rcv_skb', (sk: sock, skb: sk_buff): number => {
  const reason: ref<number> = { v: 0 }
  ipv4_pktinfo_prepare(sk, skb, true)
  if (sock_queue_rcv_skb_reason(sk, skb, reason) < 0) {
    sk_skb_reason_drop(sk, skb, reason.v)
    return NET_RX_DROP
  }
  return NET_RX_SUCCESS
})

export const raw_rcv = kfunc('raw_rcv', (sk: sock, skb: sk_buff): number => {
  if (!xfrm4_policy_check(sk, XFRM_POLICY_IN, skb)) {
    sk.sk_drops++
    sk_skb_reason_drop(sk, skb, SKB_DROP_REASON_XFRM_POLICY)
    return NET_RX_DROP
  }
  nf_reset_ct(skb)
  skb_push(skb, -skb_network_offset(skb))
  raw_rcv_skb(sk, skb)
  return 0
})

const raw_send_hdrinc = kfunc(
  'raw_send_hdrinc',
  (sk: sock, fl4: flowi4, msg: msghdr, length: number, rtp: ref<rtable | null>, flags: number, sockc: sockcm_cookie): number => {
    const inet = inet_sk(sk)
    const n = sock_net(sk)
    const rt = rtp.v as rtable
    const dev = rt.dev as net_device
    if (length > dev.mtu) {
      ip_local_error(sk, EMSGSIZE, fl4.daddr, inet.inet_dport, dev.mtu)
      return -EMSGSIZE
    }
    if (length < 20) return -EINVAL
    if (flags & MSG_PROBE) return 0
    const fail = (err: number): number => {
      n.mib.ip.OutDiscards++
      return err === -ENOBUFS && !inet_test_bit(INET_FLAGS_RECVERR, sk) ? 0 : err
    }
    const hlen = LL_RESERVED_SPACE(dev)
    const errp: ref<number> = { v: 0 }
    const skb = sock_alloc_send_skb(sk, length + hlen + dev.needed_tailroom + 15, flags & MSG_DONTWAIT, errp)
    if (skb === null) return fail(errp.v)
    skb_reserve(skb, hlen)
    skb.protocol = ETH_P_IP
    skb.priority = sk.sk_priority
    skb.mark = sockc.mark
    skb_set_delivery_type_by_clockid(skb, sockc.transmit_time, sk.sk_clockid)
    skb_dst_set(skb, rt)
    rtp.v = null
    skb_reset_network_header(skb)
    const iph = ip_hdr(skb)
    const at = skb_put(skb, length)
    skb.ip_summed = CHECKSUM_NONE
    skb_setup_tx_timestamp(skb, sockc.tsflags)
    if (flags & MSG_CONFIRM) skb_set_dst_pending_confirm(skb, 1)
    skb.transport_header = skb.network_header
    if (!copy_from_iter_full(skb.head.bytes.subarray(at, at + length), length, msg.msg_iter)) {
      kfree_skb(skb)
      return fail(-EFAULT)
    }
    const iphlen = iph.ihl * 4
    if (iphlen > length || iphlen < 20) {
      kfree_skb(skb)
      return fail(-EINVAL)
    }
    if (!iph.saddr) iph.saddr = fl4.saddr
    iph.check = 0
    iph.tot_len = length
    if (!iph.id) ip_select_ident(n, skb, null)
    iph.check = ip_fast_csum(iph.bytes, iph.at, iph.ihl)
    skb.transport_header += iphlen
    if (iph.protocol === IPPROTO_ICMP && length >= iphlen + 8) icmp_out_count(n, icmp_hdr(skb).type)
    const ret = NF_HOOK(NFPROTO_IPV4, NF_INET_LOCAL_OUT, n, sk, skb, null, dev, dst_output)
    if (ret > 0 && ret === NET_XMIT_CN) return 0
    if (ret) return fail(ret > 0 ? -ENOBUFS : ret)
    return 0
  },
)

/** struct raw_frag_vec: the message, and its first bytes, which were read already */
interface raw_frag_vec {
  msg: msghdr
  hdr: Uint8Array
  hlen: number
}

const raw_probe_proto_opt = kfunc('raw_probe_proto_opt', (rfv: raw_frag_vec, fl4: flowi4): number => {
  if (fl4.flowi4_proto !== IPPROTO_ICMP) return 0
  rfv.hlen = 2
  // of a size that the compiler knows, so there is nothing to check at run time
  if (_copy_from_iter(rfv.hdr, rfv.hlen, rfv.msg.msg_iter) !== rfv.hlen) return -EFAULT
  fl4.fl4_icmp_type = rfv.hdr[0] ?? 0
  fl4.fl4_icmp_code = rfv.hdr[1] ?? 0
  return 0
})

const raw_getfrag = kfunc(
  'raw_getfrag',
  (rfv: raw_frag_vec, to: Uint8Array, offset: number, len: number, odd: number, skb: sk_buff, to_off: number): number => {
    let at = offset
    let left = len
    let dest = to_off
    let o = odd
    if (at < rfv.hlen) {
      const copy = Math.min(rfv.hlen - at, left)
      if (skb.ip_summed === CHECKSUM_PARTIAL) to.set(rfv.hdr.subarray(at, at + copy), dest)
      else skb.csum = csum_block_add(skb.csum, csum_partial_copy_nocheck(rfv.hdr, at, to, dest, copy), o)
      o = 0
      at += copy
      dest += copy
      left -= copy
      if (!left) return 0
    }
    at -= rfv.hlen
    return ip_generic_getfrag(rfv.msg, to, at, left, o, skb, dest)
  },
)

const raw_sendmsg = kfunc('raw_sendmsg', (sk: sock, msg: msghdr, len: number): number => {
  const inet = inet_sk(sk)
  const n = sock_net(sk)
  if (len > 0xffff) return -EMSGSIZE
  const hdrincl = inet_test_bit(INET_FLAGS_HDRINCL, sk)
  if (msg.msg_flags & MSG_OOB) return -EOPNOTSUPP
  let daddr: number
  if (msg.msg_namelen && msg.msg_name !== null) {
    if (msg.msg_namelen < SIZEOF_SOCKADDR_IN) return -EINVAL
    if (msg.msg_name.sa_family !== AF_INET && msg.msg_name.sa_family) return -EAFNOSUPPORT
    daddr = msg.msg_name.sin_addr
  } else {
    if (sk.sk_state !== TCP_ESTABLISHED) return -EDESTADDRREQ
    daddr = inet.inet_daddr
  }
  const ipc = new ipcm_cookie()
  ipcm_init_sk(ipc, inet)
  if (hdrincl) ipc.protocol = IPPROTO_RAW
  let free = false
  let err = 0
  const rtp: ref<rtable | null> = { v: null }
  const done = (e: number): number => {
    if (free) kfree(ipc.opt)
    ip_rt_put(rtp.v)
    return e < 0 ? e : len
  }
  if (msg.msg_controllen) {
    err = ip_cmsg_send(sk, msg, ipc, false)
    if (err) {
      kfree(ipc.opt)
      return err
    }
    if (ipc.opt !== null) free = true
  }
  let saddr = ipc.addr
  ipc.addr = daddr
  if (ipc.opt === null) {
    rcu_read_lock()
    ipc.opt = inet.inet_opt
    rcu_read_unlock()
  }
  if (ipc.opt !== null) {
    if (hdrincl) return done(-EINVAL)
    if (ipc.opt.srr) {
      if (!daddr) return done(-EINVAL)
      daddr = ipc.opt.faddr
    }
  }
  const tos = get_rttos(ipc, inet)
  const scope = ip_sendmsg_scope(inet, ipc, msg)
  const { uc_index } = inet
  if (ipv4_is_multicast(daddr)) {
    if (!ipc.oif || netif_index_is_l3_master(n, ipc.oif)) ipc.oif = inet.mc_index
    if (!saddr) saddr = inet.mc_addr
  } else if (!ipc.oif) ipc.oif = uc_index
  else if (ipv4_is_lbcast(daddr) && uc_index && ipc.oif !== uc_index && ipc.oif === l3mdev_master_ifindex_by_index(n, uc_index))
    ipc.oif = uc_index
  const fl4 = new flowi4()
  flowi4_init_output(
    fl4,
    ipc.oif,
    ipc.sockc.mark,
    tos,
    scope,
    hdrincl ? ipc.protocol : sk.sk_protocol,
    inet_sk_flowi_flags(sk) | (hdrincl ? FLOWI_FLAG_KNOWN_NH : 0),
    daddr,
    saddr,
    0,
    0,
    sk.sk_uid,
  )
  const rfv: raw_frag_vec = { msg, hdr: new Uint8Array(2), hlen: 0 }
  if (!hdrincl) {
    err = raw_probe_proto_opt(rfv, fl4)
    if (err) return done(err)
  }
  security_sk_classify_flow(sk, flowi4_to_flowi_common(fl4))
  const rt = ip_route_output_flow(n, fl4, sk)
  if (IS_ERR(rt)) return done(rt)
  rtp.v = rt
  if (rt.rt_flags & RTCF_BROADCAST && !sock_flag(sk, SOCK_BROADCAST)) return done(-EACCES)
  if (msg.msg_flags & MSG_CONFIRM) {
    if (msg.msg_flags & MSG_PROBE) dst_confirm_neigh(rt, fl4.daddr)
    if (msg.msg_flags & MSG_PROBE && !len) return done(0)
  }
  if (hdrincl) return done(raw_send_hdrinc(sk, fl4, msg, len, rtp, msg.msg_flags, ipc.sockc))
  if (!ipc.addr) ipc.addr = fl4.daddr
  lock_sock(sk)
  err = ip_append_data(sk, fl4, raw_getfrag as unknown as getfrag_t, rfv, len, 0, ipc, rtp, msg.msg_flags)
  if (err) ip_flush_pending_frames(sk)
  else if (!(msg.msg_flags & MSG_MORE)) {
    err = ip_push_pending_frames(sk, fl4)
    if (err === -ENOBUFS && !inet_test_bit(INET_FLAGS_RECVERR, sk)) err = 0
  }
  release_sock(sk)
  return done(err)
})

const raw_close = kfunc('raw_close', (sk: sock, _timeout: number): void => {
  ip_ra_control(sk, 0, null)
  sk_common_release(sk)
})

const raw_destroy = kfunc('raw_destroy', (sk: sock): void => {
  lock_sock(sk)
  ip_flush_pending_frames(sk)
  release_sock(sk)
})

/** include/net/inet_sock.h */
const inet_addr_valid_or_nonlocal = (n: net, inet: inet_sock, addr: number, type: number): boolean =>
  n.ipv4.sysctl_ip_nonlocal_bind !== 0 ||
  inet_test_bit(INET_FLAGS_FREEBIND, inet) ||
  inet_test_bit(INET_FLAGS_TRANSPARENT, inet) ||
  addr === 0 ||
  type === RTN_LOCAL ||
  type === RTN_MULTICAST ||
  type === RTN_BROADCAST

const raw_bind = kfunc('raw_bind', (sk: sock, addr: sockaddr, addr_len: number): number => {
  const inet = inet_sk(sk)
  const n = sock_net(sk)
  const bind = (): number => {
    if (sk.sk_state !== TCP_CLOSE || addr_len < SIZEOF_SOCKADDR_IN) return -EINVAL
    const tb_id = (sk.sk_bound_dev_if && l3mdev_fib_table_by_index(n, sk.sk_bound_dev_if)) || RT_TABLE_LOCAL
    const type = inet_addr_type_table(n, addr.sin_addr, tb_id)
    if (!inet_addr_valid_or_nonlocal(n, inet, addr.sin_addr, type)) return -EADDRNOTAVAIL
    inet.inet_rcv_saddr = addr.sin_addr
    inet.inet_saddr = type === RTN_MULTICAST || type === RTN_BROADCAST ? 0 : addr.sin_addr
    sk_dst_reset(sk)
    return 0
  }
  lock_sock(sk)
  const ret = bind()
  release_sock(sk)
  return ret
})

const raw_recvmsg = kfunc('raw_recvmsg', (sk: sock, msg: msghdr, len: number, flags: number, addr_len: ref<number>): number => {
  if (flags & MSG_OOB) return -EOPNOTSUPP
  if (flags & MSG_ERRQUEUE) return ip_recv_error(sk, msg, len, addr_len)
  const errp: ref<number> = { v: 0 }
  const skb = skb_recv_datagram(sk, flags, errp)
  if (skb === null) return errp.v
  let copied = skb.len
  if (len < copied) {
    msg.msg_flags |= MSG_TRUNC
    copied = len
  }
  const err = skb_copy_datagram_msg(skb, 0, msg, copied)
  if (!err) {
    sock_recv_cmsgs(msg, sk, skb)
    const sin = msg.msg_name
    if (sin !== null) {
      sin.clear()
      sin.sa_family = AF_INET
      sin.sin_addr = ip_hdr(skb).saddr
      addr_len.v = SIZEOF_SOCKADDR_IN
    }
    if (inet_cmsg_flags(inet_sk(sk))) ip_cmsg_recv(msg, skb)
    if (flags & MSG_TRUNC) copied = skb.len
  }
  skb_free_datagram(sk, skb)
  return err || copied
})

const raw_sk_init = kfunc('raw_sk_init', (sk: sock): number => {
  if (inet_sk(sk).inet_num === IPPROTO_ICMP) raw_sk(sk).filter = 0
  return 0
})

const raw_setsockopt = kfunc(
  'raw_setsockopt',
  (sk: sock, level: number, optname: number, optval: Uint8Array, optlen: number): number => {
    if (level !== SOL_RAW) return ip_setsockopt(sk, level, optname, optval, optlen)
    if (optname !== ICMP_FILTER) return -ENOPROTOOPT
    if (inet_sk(sk).inet_num !== IPPROTO_ICMP) return -EOPNOTSUPP
    const b = new Uint8Array(4)
    b.set(optval.subarray(0, Math.min(optlen, 4)))
    raw_sk(sk).filter = new DataView(b.buffer).getUint32(0, true)
    return 0
  },
)

const raw_getsockopt = kfunc(
  'raw_getsockopt',
  (sk: sock, level: number, optname: number, optval: number, optlen: ref<number>): number => {
    if (level !== SOL_RAW) return ip_getsockopt(sk, level, optname, optval, optlen)
    if (optname !== ICMP_FILTER) return -ENOPROTOOPT
    if (inet_sk(sk).inet_num !== IPPROTO_ICMP) return -EOPNOTSUPP
    if (optlen.v < 0) return -EINVAL
    optlen.v = Math.min(optlen.v, 4)
    const b = new Uint8Array(4)
    new DataView(b.buffer).setUint32(0, raw_sk(sk).filter >>> 0, true)
    return copy_to_sockptr(optval, b, optlen.v)
  },
)

const raw_ioctl = kfunc('raw_ioctl', (sk: sock, cmd: number, karg: ref<number>): number => {
  if (cmd === SIOCOUTQ) karg.v = sk_wmem_alloc_get(sk)
  else if (cmd === SIOCINQ) {
    spin_lock_bh(sk.sk_receive_queue.lock)
    karg.v = skb_peek(sk.sk_receive_queue)?.len ?? 0
    spin_unlock_bh(sk.sk_receive_queue.lock)
  } else return -ENOIOCTLCMD
  return 0
})

export const raw_abort = kfunc('raw_abort', (sk: sock, err: number): number => {
  lock_sock(sk)
  sk.sk_err = err
  sk_error_report(sk)
  __udp_disconnect(sk, 0)
  release_sock(sk)
  return 0
})

export const raw_prot: proto = { name: 'RAW', alloc: (): sock => new raw_sock(), obj_size: 1008 }

core_initcall(() => {
  Object.assign(raw_prot, {
    close: raw_close,
    destroy: raw_destroy,
    connect: ip4_datagram_connect,
    disconnect: __udp_disconnect,
    ioctl: raw_ioctl,
    init: raw_sk_init,
    setsockopt: raw_setsockopt,
    getsockopt: raw_getsockopt,
    sendmsg: raw_sendmsg,
    recvmsg: raw_recvmsg,
    bind: raw_bind,
    backlog_rcv: raw_rcv_skb,
    release_cb: ip4_datagram_release_cb,
    hash: raw_hash_sk,
    unhash: raw_unhash_sk,
    diag_destroy: raw_abort,
    inuse: 0,
  } satisfies Partial<proto>)
  raw_v4_hashinfo = { lock: new spinlock_t(), ht: [] }
  for (let i = 0; i < RAW_HTABLE_SIZE; i++) raw_v4_hashinfo.ht.push(new list_head<sock>())
})

export const raw_init = kfunc('raw_init', (): void => {})
