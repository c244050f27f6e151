import { kfunc } from '../../../trace/kfunc.ts'
import {
  ETH_P_IPV6,
  MSG_CONFIRM,
  MSG_DONTWAIT,
  MSG_ERRQUEUE,
  MSG_MORE,
  MSG_OOB,
  MSG_PROBE,
  MSG_TRUNC,
  NET_RX_DROP,
  NF_INET_LOCAL_OUT,
  NFPROTO_IPV6,
  SKB_DROP_REASON_SKB_CSUM,
  SKB_DROP_REASON_XFRM_POLICY,
  SOCK_RAW,
  TCP_CLOSE,
  TCP_ESTABLISHED,
} from '../../include/generated/enums.ts'
import {
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  EAGAIN,
  EDESTADDRREQ,
  EFAULT,
  EHOSTUNREACH,
  EINVAL,
  EMSGSIZE,
  ENOBUFS,
  ENODEV,
  ENOPROTOOPT,
  EOPNOTSUPP,
} from '../../include/linux/errno.ts'
import { ICMPV6_PKT_TOOBIG, NDISC_REDIRECT } from '../../include/linux/icmpv6.ts'
import {
  IPPROTO_ICMPV6,
  IPV6_ADDR_ANY,
  IPV6_ADDR_MAPPED,
  IPV6_ADDR_MULTICAST,
  IPV6_FLOWINFO_MASK,
  IPV6_PMTUDISC_DO,
  type in6_addr,
  ipv6_addr_any,
  ipv6_addr_equal,
  ipv6_addr_is_multicast,
  LOOPBACK4_IPV6,
  SIN6_LEN_RFC2133,
  SIZEOF_SOCKADDR_IN6,
} from '../../include/linux/in6.ts'
import {
  INET_FLAGS_RECVERR6,
  INET_FLAGS_SNDFLOW,
  inet6_iif,
  inet6_sdif,
  inet6_sk,
  inet6_test_bit,
  ipcm6_cookie,
  ipv6_hdr,
  SIZEOF_IPV6HDR,
  sk_v6_daddr,
  sk_v6_rcv_saddr,
} from '../../include/linux/ipv6.ts'
import { list_head } from '../../include/linux/list.ts'
import type { sockaddr } from '../../include/linux/net.ts'
import { LL_RESERVED_SPACE, type net_device } from '../../include/linux/netdevice.ts'
import {
  CHECKSUM_COMPLETE,
  CHECKSUM_NONE,
  CHECKSUM_PARTIAL,
  CHECKSUM_UNNECESSARY,
  type sk_buff,
  skb_network_header_len,
  skb_peek,
  skb_reset_network_header,
  skb_transport_offset,
} from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import { AF_INET6, type msghdr, SOL_IPV6 } from '../../include/linux/socket.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import { INT_MAX, IS_ERR, type ref } from '../../include/linux/types.ts'
import type { dst_entry } from '../../include/net/dst.ts'
import { FLOWI_FLAG_KNOWN_NH, flowi6 } from '../../include/net/flow.ts'
import { INET_FLAGS_HDRINCL, inet_assign_bit, inet_sk, inet_sock, inet_test_bit } from '../../include/net/inet_sock.ts'
import type { rt6_info } from '../../include/net/ip6_fib.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { IP6_INC_STATS } from '../../include/net/netns_ipv6.ts'
import type { proto, sock } from '../../include/net/sock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import {
  CSUM_MANGLED_0,
  csum_add,
  csum_block_add,
  csum_ipv6_magic,
  csum_partial_copy_nocheck,
  csum_sub,
} from '../../lib/checksum.ts'
import { _copy_from_iter } from '../../lib/iov_iter.ts'
import { copy_to_sockptr } from '../../lib/usercopy.ts'
import { security_sk_classify_flow } from '../../security/security.ts'
import {
  skb_copy_and_csum_datagram_msg,
  skb_copy_datagram_msg,
  skb_free_datagram,
  skb_kill_datagram,
  skb_recv_datagram,
} from '../core/datagram.ts'
import { dev_get_by_index_rcu } from '../core/dev.ts'
import { dst_confirm_neigh, dst_output, dst_release, skb_dst_drop, skb_dst_set } from '../core/dst.ts'
import {
  __skb_checksum_complete,
  kfree_skb,
  nf_reset_ct,
  sk_skb_reason_drop,
  skb_checksum_complete,
  skb_clone,
  skb_copy_bits,
  skb_csum_unnecessary,
  skb_postpull_rcsum,
  skb_put,
  skb_reserve,
  skb_set_dst_pending_confirm,
  skb_store_bits,
} from '../core/skbuff.ts'
import {
  lock_sock,
  release_sock,
  sk_common_release,
  sk_error_report,
  sock_alloc_send_skb,
  sock_net,
  sock_queue_rcv_skb_reason,
  sock_recv_cmsgs,
} from '../core/sock.ts'
import { inet_bound_dev_eq } from '../ipv4/inet_hashtables.ts'
import { type getfrag_t, ip_generic_getfrag } from '../ipv4/ip_output.ts'
import { raw_hash_sk, raw_unhash_sk } from '../ipv4/raw.ts'
import { __udp_disconnect } from '../ipv4/udp.ts'
import { NF_HOOK } from '../netfilter/core.ts'
import { XFRM_POLICY_IN, xfrm6_policy_check } from '../xfrm/xfrm_policy.ts'
import { ipv6_chk_addr } from './addrconf.ts'
import { __ipv6_addr_needs_scope_id, __ipv6_addr_type, ipv6_addr_type, ipv6_iface_scope_id } from './addrconf_core.ts'
import {
  ip6_datagram_connect_v6_only,
  ip6_datagram_recv_common_ctl,
  ip6_datagram_recv_specific_ctl,
  ip6_datagram_send_ctl,
  ipv6_icmp_error,
  ipv6_local_error,
  ipv6_recv_error,
} from './datagram.ts'
import { fl6_update_dst } from './exthdrs.ts'
import { icmpv6_err_convert } from './icmp.ts'
import {
  ip6_append_data,
  ip6_dst_lookup_flow,
  ip6_flush_pending_frames,
  ip6_make_flowinfo,
  ip6_push_pending_frames,
  net_xmit_errno,
} from './ip6_output.ts'
import { ipv6_getsockopt, ipv6_setsockopt } from './ipv6_sockglue.ts'
import { inet6_mc_check } from './mcast.ts'
import { ip6_dst_hoplimit } from './output_core.ts'
import { ip6_sk_redirect, ip6_sk_update_pmtu } from './route.ts'

const RAW_HTABLE_SIZE = 256
const IPPROTO_RAW = 255
const SOL_RAW = 255
const SOL_ICMPV6 = 58
const ICMPV6_FILTER = 1
const IPV6_CHECKSUM = 7
const IPV6_HDRINCL = 36

/** struct raw6_sock. `checksum`: the kernel puts one at `offset`. `filter` has a bit for each ICMPv6 type that is not wanted. */
class raw6_sock extends inet_sock {
  checksum = 0
  offset = 0
  readonly filter: Uint32Array = new Uint32Array(8)
  readonly raw_node: list_head<sock> = new list_head<sock>(this)
}
const raw6_sk = (sk: sock): raw6_sock => sk as raw6_sock

/** struct raw_hashinfo: sockets by protocol; made anew with IPv6 */
export let raw_v6_hashinfo: { lock: spinlock_t; ht: list_head<sock>[] }

const raw_hashfunc = (_n: net, proto: number): number => proto & (RAW_HTABLE_SIZE - 1)

export const raw_v6_match = kfunc(
  'raw_v6_match',
  (n: net, sk: sock, num: number, loc_addr: in6_addr, rmt_addr: in6_addr, dif: number, sdif: number): boolean => {
    const daddr = sk_v6_daddr(sk)
    if (
      inet_sk(sk).inet_num !== num ||
      sock_net(sk) !== n ||
      (!ipv6_addr_any(daddr) && !ipv6_addr_equal(daddr, rmt_addr)) ||
      !inet_bound_dev_eq(n.ipv4.sysctl_raw_l3mdev_accept !== 0, sk.sk_bound_dev_if, dif, sdif)
    )
      return false
    const own = sk_v6_rcv_saddr(sk)
    return (
      ipv6_addr_any(own) ||
      ipv6_addr_equal(own, loc_addr) ||
      (ipv6_addr_is_multicast(loc_addr) && inet6_mc_check(sk, loc_addr, rmt_addr))
    )
  },
)

const icmpv6_filter = kfunc('icmpv6_filter', (sk: sock, skb: sk_buff): number => {
  const at = skb.data + skb_transport_offset(skb)
  if (at + 8 > skb.tail) return 1
  const type = skb.head.bytes[at] ?? 0
  return ((raw6_sk(sk).filter[type >> 5] ?? 0) >>> (type & 31)) & 1
})

function each(n: net, nexthdr: number, body: (sk: sock) => void): void {
  const hlist = raw_v6_hashinfo.ht[raw_hashfunc(n, nexthdr)] as list_head<sock>
  for (let p = hlist.next; p !== hlist; p = p.next) body(p.owner as sock)
}

const ipv6_raw_deliver = kfunc('ipv6_raw_deliver', (skb: sk_buff, nexthdr: number): boolean => {
  const n = (skb.dev as net_device).nd_net
  const { saddr, daddr } = ipv6_hdr(skb)
  let delivered = false
  rcu_read_lock()
  each(n, nexthdr, (sk) => {
    if (!raw_v6_match(n, sk, nexthdr, daddr, saddr, inet6_iif(skb), inet6_sdif(skb))) return
    if (sk.sk_rmem_alloc >= sk.sk_rcvbuf) {
      sk.sk_drops++
      return
    }
    delivered = true
    if (nexthdr === IPPROTO_ICMPV6 && icmpv6_filter(sk, skb)) return
    const clone = skb_clone(skb, GFP_ATOMIC)
    if (clone !== null) rawv6_rcv(sk, clone)
  })
  rcu_read_unlock()
  return delivered
})

/** gives copies of a packet to the raw sockets of its protocol; whether there was one */
export const raw6_local_deliver = kfunc('raw6_local_deliver', (skb: sk_buff, nexthdr: number): boolean =>
  ipv6_raw_deliver(skb, nexthdr),
)

const rawv6_bind = kfunc('rawv6_bind', (sk: sock, addr: sockaddr, addr_len: number): number => {
  const inet = inet_sk(sk)
  const n = sock_net(sk)
  if (addr_len < SIN6_LEN_RFC2133 || addr.sa_family !== AF_INET6) return -EINVAL
  const { sin6_addr } = addr
  const addr_type = ipv6_addr_type(sin6_addr)
  if (addr_type === IPV6_ADDR_MAPPED) return -EADDRNOTAVAIL
  const bind = (): number => {
    if (sk.sk_state !== TCP_CLOSE) return -EINVAL
    let v4addr = 0
    if (addr_type !== IPV6_ADDR_ANY) {
      let dev: net_device | null = null
      if (__ipv6_addr_needs_scope_id(addr_type)) {
        if (addr_len >= SIZEOF_SOCKADDR_IN6 && addr.sin6_scope_id) sk.sk_bound_dev_if = addr.sin6_scope_id
        if (!sk.sk_bound_dev_if) return -EINVAL
      }
      if (sk.sk_bound_dev_if) {
        dev = dev_get_by_index_rcu(n, sk.sk_bound_dev_if)
        if (dev === null) return -ENODEV
      }
      v4addr = LOOPBACK4_IPV6
      if (!(addr_type & IPV6_ADDR_MULTICAST) && !ipv6_chk_addr(n, sin6_addr, dev, 0)) return -EADDRNOTAVAIL
    }
    inet.inet_rcv_saddr = v4addr
    inet.inet_saddr = v4addr
    sk_v6_rcv_saddr(sk).set(sin6_addr)
    if (!(addr_type & IPV6_ADDR_MULTICAST)) inet6_sk(sk).saddr.set(sin6_addr)
    return 0
  }
  lock_sock(sk)
  rcu_read_lock()
  const err = bind()
  rcu_read_unlock()
  release_sock(sk)
  return err
})

const rawv6_err = kfunc('rawv6_err', (sk: sock, skb: sk_buff, type: number, code: number, offset: number, info: number): void => {
  const recverr = inet6_test_bit(INET_FLAGS_RECVERR6, sk)
  if (!recverr && sk.sk_state !== TCP_ESTABLISHED) return
  const err: ref<number> = { v: 0 }
  let harderr = icmpv6_err_convert(type, code, err) !== 0
  if (type === ICMPV6_PKT_TOOBIG) {
    ip6_sk_update_pmtu(skb, sk, info)
    harderr = inet6_sk(sk).pmtudisc === IPV6_PMTUDISC_DO
  }
  if (type === NDISC_REDIRECT) {
    ip6_sk_redirect(skb, sk)
    return
  }
  if (recverr) ipv6_icmp_error(sk, skb, err.v, 0, info, skb.data + (inet_test_bit(INET_FLAGS_HDRINCL, sk) ? 0 : offset))
  if (recverr || harderr) {
    sk.sk_err = err.v
    sk_error_report(sk)
  }
})

/** tells the raw sockets of a protocol of an ICMPv6 error; skb.data is at the packet that it speaks of */
export const raw6_icmp_error = kfunc(
  'raw6_icmp_error',
  (skb: sk_buff, nexthdr: number, type: number, code: number, inner_offset: number, info: number): void => {
    const n = (skb.dev as net_device).nd_net
    const b = skb.head.bytes
    const saddr = b.subarray(skb.data + 8, skb.data + 24)
    const daddr = b.subarray(skb.data + 24, skb.data + 40)
    rcu_read_lock()
    each(n, nexthdr, (sk) => {
      if (raw_v6_match(n, sk, nexthdr, saddr, daddr, inet6_iif(skb), inet6_sdif(skb)))
        rawv6_err(sk, skb, type, code, inner_offset, info)
    })
    rcu_read_unlock()
  },
)

const drop = (sk: sock, skb: sk_buff, reason: number): number => {
  sk.sk_drops++
  sk_skb_reason_drop(sk, skb, reason)
  return NET_RX_DROP
}

const rawv6_rcv_skb = kfunc('rawv6_rcv_skb', (sk: sock, skb: sk_buff): number => {
  if (raw6_sk(sk).checksum && skb_checksum_complete(skb)) return drop(sk, skb, SKB_DROP_REASON_SKB_CSUM)
  skb_dst_drop(skb)
  const reason: ref<number> = { v: 0 }
  if (sock_queue_rcv_skb_reason(sk, skb, reason) < 0) {
    sk_skb_reason_drop(sk, skb, reason.v)
    return NET_RX_DROP
  }
  return 0
})

export const rawv6_rcv = kfunc('rawv6_rcv', (sk: sock, skb: sk_buff): number => {
  const { inet_num } = inet_sk(sk)
  if (!xfrm6_policy_check(sk, XFRM_POLICY_IN, skb)) return drop(sk, skb, SKB_DROP_REASON_XFRM_POLICY)
  nf_reset_ct(skb)
  if (!raw6_sk(sk).checksum) skb.ip_summed = CHECKSUM_UNNECESSARY
  const { saddr, daddr } = ipv6_hdr(skb)
  if (skb.ip_summed === CHECKSUM_COMPLETE) {
    skb_postpull_rcsum(skb, skb.network_header, skb_network_header_len(skb))
    if (!csum_ipv6_magic(saddr, daddr, skb.len, inet_num, skb.csum)) skb.ip_summed = CHECKSUM_UNNECESSARY
  }
  if (!skb_csum_unnecessary(skb)) skb.csum = ~csum_ipv6_magic(saddr, daddr, skb.len, inet_num, 0) & 0xffff
  if (inet_test_bit(INET_FLAGS_HDRINCL, sk) && skb_checksum_complete(skb)) return drop(sk, skb, SKB_DROP_REASON_SKB_CSUM)
  rawv6_rcv_skb(sk, skb)
  return 0
})

const rawv6_recvmsg = kfunc(
  'rawv6_recvmsg',
  (sk: sock, msg: msghdr, len: number, flags: number, addr_len: ref<number>): number => {
    if (flags & MSG_OOB) return -EOPNOTSUPP
    if (flags & MSG_ERRQUEUE) return ipv6_recv_error(sk, msg, len, addr_len)
    const errp: ref<number> = { v: 0 }
    const skb = skb_recv_datagram(sk, flags, errp)
    if (skb === null) return errp.v
    const copied = Math.min(skb.len, len)
    if (copied < skb.len) msg.msg_flags |= MSG_TRUNC
    let err: number
    let bad = false
    if (skb_csum_unnecessary(skb)) err = skb_copy_datagram_msg(skb, 0, msg, copied)
    else if (msg.msg_flags & MSG_TRUNC) {
      bad = __skb_checksum_complete(skb) !== 0
      err = bad ? 0 : skb_copy_datagram_msg(skb, 0, msg, copied)
    } else {
      err = skb_copy_and_csum_datagram_msg(skb, 0, msg)
      bad = err === -EINVAL
    }
    if (bad) {
      skb_kill_datagram(sk, skb, flags)
      return flags & MSG_DONTWAIT ? -EAGAIN : -EHOSTUNREACH
    }
    if (!err) {
      const sin6 = msg.msg_name
      if (sin6 !== null) {
        sin6.clear()
        sin6.sa_family = AF_INET6
        sin6.sin6_addr.set(ipv6_hdr(skb).saddr)
        sin6.sin6_scope_id = ipv6_iface_scope_id(sin6.sin6_addr, inet6_iif(skb))
        addr_len.v = SIZEOF_SOCKADDR_IN6
      }
      sock_recv_cmsgs(msg, sk, skb)
      if (inet6_sk(sk).rxopt) {
        ip6_datagram_recv_common_ctl(sk, msg, skb)
        ip6_datagram_recv_specific_ctl(sk, msg, skb)
      }
    }
    const result = flags & MSG_TRUNC ? skb.len : copied
    skb_free_datagram(sk, skb)
    return err || result
  },
)

/** puts the checksum where the program wants it, over all pieces, and sends them */
const rawv6_push_pending_frames = kfunc('rawv6_push_pending_frames', (sk: sock, fl6: flowi6, rp: raw6_sock): number => {
  if (!rp.checksum) return ip6_push_pending_frames(sk)
  const first = skb_peek(sk.sk_write_queue)
  if (first === null) return 0
  const total_len = inet_sk(sk).cork.base.length - (inet6_sk(sk).cork.opt?.opt_flen ?? 0)
  let { offset } = rp
  if (offset >= total_len - 1) {
    ip6_flush_pending_frames(sk)
    return -EINVAL
  }
  let skb = first
  let sum = 0
  let found = false
  for (let s: sk_buff | null = first; s !== null; s = s.next === null || s.next === first ? null : s.next) {
    sum = csum_add(sum, s.csum)
    if (found) continue
    const len = s.len - skb_transport_offset(s)
    if (offset >= len) offset -= len
    else {
      skb = s
      found = true
    }
  }
  offset += skb_transport_offset(skb)
  const old = new Uint8Array(2)
  const err = skb_copy_bits(skb, offset, old, 0, 2)
  if (err < 0) {
    ip6_flush_pending_frames(sk)
    return err
  }
  const there = ((old[0] ?? 0) << 8) | (old[1] ?? 0)
  if (there) sum = csum_sub(sum, there)
  const csum = csum_ipv6_magic(fl6.saddr, fl6.daddr, total_len, fl6.flowi6_proto, sum)
  const put = csum === 0 && fl6.flowi6_proto === 17 ? CSUM_MANGLED_0 : csum
  skb_store_bits(skb, offset, Uint8Array.of(put >> 8, put), 0, 2)
  return ip6_push_pending_frames(sk)
})

/** the program wrote the IPv6 header itself */
const rawv6_send_hdrinc = kfunc(
  'rawv6_send_hdrinc',
  (
    sk: sock,
    msg: msghdr,
    length: number,
    fl6: flowi6,
    dstp: ref<dst_entry | null>,
    flags: number,
    ipc6: ipcm6_cookie,
  ): number => {
    const n = sock_net(sk)
    const rt = dstp.v as rt6_info
    const dev = rt.dev as net_device
    if (length > dev.mtu) {
      ipv6_local_error(sk, EMSGSIZE, fl6, dev.mtu)
      return -EMSGSIZE
    }
    if (length < SIZEOF_IPV6HDR) return -EINVAL
    if (flags & MSG_PROBE) return 0
    const discard = (err: number): number => {
      IP6_INC_STATS(n, 'OutDiscards')
      return err === -ENOBUFS && !inet6_test_bit(INET_FLAGS_RECVERR6, sk) ? 0 : err
    }
    const hlen = LL_RESERVED_SPACE(dev)
    const errp: ref<number> = { v: 0 }
    const skb = sock_alloc_send_skb(sk, length + hlen + dev.needed_tailroom + 15, flags & MSG_DONTWAIT, errp)
    if (skb === null) return discard(errp.v)
    skb_reserve(skb, hlen)
    skb.protocol = ETH_P_IPV6
    skb.priority = sk.sk_priority
    skb.mark = ipc6.sockc.mark
    const at = skb_put(skb, length)
    skb_reset_network_header(skb)
    skb.ip_summed = CHECKSUM_NONE
    if (flags & MSG_CONFIRM) skb_set_dst_pending_confirm(skb, 1)
    skb.transport_header = skb.network_header
    if (_copy_from_iter(skb.head.bytes.subarray(at, at + length), length, msg.msg_iter) !== length) {
      kfree_skb(skb)
      return discard(-EFAULT)
    }
    skb_dst_set(skb, rt)
    dstp.v = null
    rcu_read_lock()
    IP6_INC_STATS(n, 'OutRequests')
    let err = NF_HOOK(NFPROTO_IPV6, NF_INET_LOCAL_OUT, n, sk, skb, null, dev, dst_output)
    if (err > 0) err = net_xmit_errno(err)
    rcu_read_unlock()
    return err ? discard(err) : 0
  },
)

/** struct raw6_frag_vec: what was read of the message to see type and code, and the rest */
interface raw6_frag_vec {
  msg: msghdr
  hlen: number
  readonly c: Uint8Array
}

const rawv6_probe_proto_opt = kfunc('rawv6_probe_proto_opt', (rfv: raw6_frag_vec, fl6: flowi6): number => {
  if (fl6.flowi6_proto !== IPPROTO_ICMPV6) return 0
  rfv.hlen = 2
  if (_copy_from_iter(rfv.c, rfv.hlen, rfv.msg.msg_iter) !== rfv.hlen) return -EFAULT
  fl6.fl6_icmp_type = rfv.c[0] ?? 0
  fl6.fl6_icmp_code = rfv.c[1] ?? 0
  return 0
})

const raw6_getfrag = kfunc(
  'raw6_getfrag',
  (rfv: raw6_frag_vec, to: Uint8Array, offset: number, len: number, odd: number, skb: sk_buff, to_off: number): number => {
    let at = offset
    let left = len
    let dest = to_off
    let o = odd
    if (at < rfv.hlen) {
      const copy = Math.min(rfv.hlen - at, left)
      if (skb.ip_summed === CHECKSUM_PARTIAL) to.set(rfv.c.subarray(at, at + copy), dest)
      else skb.csum = csum_block_add(skb.csum, csum_partial_copy_nocheck(rfv.c, at, to, dest, copy), o)
      o = 0
      at += copy
      dest += copy
      left -= copy
      if (!left) return 0
    }
    return ip_generic_getfrag(rfv.msg, to, at - rfv.hlen, left, o, skb, dest)
  },
)

const rawv6_sendmsg = kfunc('rawv6_sendmsg', (sk: sock, msg: msghdr, len: number): number => {
  const inet = inet_sk(sk)
  const np = inet6_sk(sk)
  const n = sock_net(sk)
  const sin6 = msg.msg_name
  if (len > INT_MAX) return -EMSGSIZE
  if (msg.msg_flags & MSG_OOB) return -EOPNOTSUPP
  const hdrincl = inet_test_bit(INET_FLAGS_HDRINCL, sk)
  const fl6 = new flowi6()
  fl6.flowi6_mark = sk.sk_mark
  fl6.flowi6_uid = sk.sk_uid
  const ipc6 = new ipcm6_cookie()
  ipc6.sockc.mark = sk.sk_mark
  let daddr: in6_addr
  let proto: number
  if (sin6 !== null) {
    if (msg.msg_namelen < SIN6_LEN_RFC2133) return -EINVAL
    if (sin6.sa_family && sin6.sa_family !== AF_INET6) return -EAFNOSUPPORT
    proto = sin6.sin_port
    if (!proto) proto = inet.inet_num
    else if (proto !== inet.inet_num && inet.inet_num !== IPPROTO_RAW) return -EINVAL
    if (proto > 255) return -EINVAL
    daddr = sin6.sin6_addr
    if (inet_test_bit(INET_FLAGS_SNDFLOW, sk)) fl6.flowlabel = sin6.sin6_flowinfo & IPV6_FLOWINFO_MASK
    if (sk.sk_state === TCP_ESTABLISHED && ipv6_addr_equal(daddr, sk_v6_daddr(sk))) daddr = sk_v6_daddr(sk)
    if (msg.msg_namelen >= SIZEOF_SOCKADDR_IN6 && sin6.sin6_scope_id && __ipv6_addr_needs_scope_id(__ipv6_addr_type(daddr)))
      fl6.flowi6_oif = sin6.sin6_scope_id
  } else {
    if (sk.sk_state !== TCP_ESTABLISHED) return -EDESTADDRREQ
    proto = inet.inet_num
    daddr = sk_v6_daddr(sk)
    fl6.flowlabel = np.flow_label
  }
  if (fl6.flowi6_oif === 0) fl6.flowi6_oif = sk.sk_bound_dev_if
  if (msg.msg_controllen) {
    const err = ip6_datagram_send_ctl(n, sk, msg, fl6, ipc6)
    if (err < 0) return err
  }
  if (ipc6.opt === null) {
    rcu_read_lock()
    ipc6.opt = np.opt
    rcu_read_unlock()
  }
  fl6.flowi6_proto = proto
  fl6.flowi6_mark = ipc6.sockc.mark
  const rfv: raw6_frag_vec = { msg, hlen: 0, c: new Uint8Array(4) }
  if (!hdrincl) {
    const err = rawv6_probe_proto_opt(rfv, fl6)
    if (err) return err
  }
  if (!ipv6_addr_any(daddr)) fl6.daddr.set(daddr)
  else fl6.daddr[15] = 1
  if (ipv6_addr_any(fl6.saddr) && !ipv6_addr_any(np.saddr)) fl6.saddr.set(np.saddr)
  const final_p = fl6_update_dst(fl6, ipc6.opt, new Uint8Array(16))
  if (!fl6.flowi6_oif) fl6.flowi6_oif = ipv6_addr_is_multicast(fl6.daddr) ? np.mcast_oif : np.ucast_oif
  security_sk_classify_flow(sk, fl6)
  if (hdrincl) fl6.flowi6_flags |= FLOWI_FLAG_KNOWN_NH
  if (ipc6.tclass <= 0) ipc6.tclass = np.tclass
  fl6.flowlabel = ip6_make_flowinfo(ipc6.tclass, fl6.flowlabel)
  const dst = ip6_dst_lookup_flow(n, sk, fl6, final_p)
  if (IS_ERR(dst)) return dst
  if (ipc6.hlimit < 0) {
    const hlimit = ipv6_addr_is_multicast(fl6.daddr) ? np.mcast_hops : np.hop_limit
    ipc6.hlimit = hlimit < 0 ? ip6_dst_hoplimit(dst) : hlimit
  }
  const dstp: ref<dst_entry | null> = { v: dst }
  if (msg.msg_flags & MSG_CONFIRM && msg.msg_flags & MSG_PROBE) {
    dst_confirm_neigh(dst, fl6.daddr)
    if (!len) {
      dst_release(dst)
      return 0
    }
  }
  let err: number
  if (hdrincl) err = rawv6_send_hdrinc(sk, msg, len, fl6, dstp, msg.msg_flags, ipc6)
  else {
    lock_sock(sk)
    err = ip6_append_data(sk, raw6_getfrag as unknown as getfrag_t, rfv, len, 0, ipc6, fl6, dst as rt6_info, msg.msg_flags)
    if (err) ip6_flush_pending_frames(sk)
    else if (!(msg.msg_flags & MSG_MORE)) err = rawv6_push_pending_frames(sk, fl6, raw6_sk(sk))
    release_sock(sk)
  }
  if (dstp.v !== null) dst_release(dstp.v)
  return err < 0 ? err : len
})

const int_of = (b: Uint8Array): number => (b[0] ?? 0) | ((b[1] ?? 0) << 8) | ((b[2] ?? 0) << 16) | ((b[3] ?? 0) << 24)

const do_rawv6_setsockopt = kfunc(
  'do_rawv6_setsockopt',
  (sk: sock, level: number, optname: number, optval: Uint8Array, optlen: number): number => {
    const rp = raw6_sk(sk)
    if (optlen < 4) return -EINVAL
    const val = int_of(optval)
    switch (optname) {
      case IPV6_HDRINCL:
        if (sk.sk_type !== SOCK_RAW) return -EINVAL
        inet_assign_bit(INET_FLAGS_HDRINCL, sk, val !== 0)
        return 0
      case IPV6_CHECKSUM:
        // RFC 3542, 3.1: that of ICMPv6 is the kernel's
        if (inet_sk(sk).inet_num === IPPROTO_ICMPV6 && level === SOL_IPV6) return -EINVAL
        if (val > 0 && val & 1) return -EINVAL
        rp.checksum = val < 0 ? 0 : 1
        if (val >= 0) rp.offset = val
        return 0
    }
    return -ENOPROTOOPT
  },
)

const own_option = (level: number, optname: number): boolean =>
  level === SOL_RAW || (level === SOL_IPV6 && (optname === IPV6_CHECKSUM || optname === IPV6_HDRINCL))

const rawv6_setsockopt = kfunc(
  'rawv6_setsockopt',
  (sk: sock, level: number, optname: number, optval: Uint8Array, optlen: number): number => {
    if (level === SOL_ICMPV6) {
      if (inet_sk(sk).inet_num !== IPPROTO_ICMPV6) return -EOPNOTSUPP
      if (optname !== ICMPV6_FILTER) return -ENOPROTOOPT
      new Uint8Array(raw6_sk(sk).filter.buffer).set(optval.subarray(0, Math.min(optlen, 32)))
      return 0
    }
    return own_option(level, optname)
      ? do_rawv6_setsockopt(sk, level, optname, optval, optlen)
      : ipv6_setsockopt(sk, level, optname, optval, optlen)
  },
)

const rawv6_getsockopt = kfunc(
  'rawv6_getsockopt',
  (sk: sock, level: number, optname: number, optval: number, optlen: ref<number>): number => {
    const rp = raw6_sk(sk)
    const put = (bytes: Uint8Array): number => {
      optlen.v = Math.min(optlen.v, bytes.length)
      return copy_to_sockptr(optval, bytes, optlen.v)
    }
    if (level === SOL_ICMPV6) {
      if (inet_sk(sk).inet_num !== IPPROTO_ICMPV6) return -EOPNOTSUPP
      return optname === ICMPV6_FILTER ? put(new Uint8Array(rp.filter.buffer)) : -ENOPROTOOPT
    }
    if (!own_option(level, optname)) return ipv6_getsockopt(sk, level, optname, optval, optlen)
    if (optname !== IPV6_CHECKSUM && optname !== IPV6_HDRINCL) return -ENOPROTOOPT
    const val = optname === IPV6_HDRINCL ? (inet_test_bit(INET_FLAGS_HDRINCL, sk) ? 1 : 0) : rp.checksum ? rp.offset : -1
    return put(Uint8Array.of(val, val >> 8, val >> 16, val >> 24))
  },
)

const rawv6_close = kfunc('rawv6_close', (sk: sock, _timeout: number): void => sk_common_release(sk))

const raw6_destroy = kfunc('raw6_destroy', (sk: sock): void => {
  lock_sock(sk)
  ip6_flush_pending_frames(sk)
  release_sock(sk)
})

const rawv6_init_sk = kfunc('rawv6_init_sk', (sk: sock): number => {
  const rp = raw6_sk(sk)
  if (inet_sk(sk).inet_num === IPPROTO_ICMPV6) {
    rp.checksum = 1
    rp.offset = 2
  }
  return 0
})

export const rawv6_prot: proto = { name: 'RAWv6', alloc: () => new raw6_sock(), obj_size: 1216 }

export function rawv6_prot_init(): void {
  raw_v6_hashinfo = { lock: new spinlock_t(), ht: [] }
  for (let i = 0; i < RAW_HTABLE_SIZE; i++) raw_v6_hashinfo.ht.push(new list_head<sock>())
  Object.assign(rawv6_prot, {
    close: rawv6_close,
    destroy: raw6_destroy,
    connect: ip6_datagram_connect_v6_only,
    disconnect: __udp_disconnect,
    init: rawv6_init_sk,
    setsockopt: rawv6_setsockopt,
    getsockopt: rawv6_getsockopt,
    sendmsg: rawv6_sendmsg,
    recvmsg: rawv6_recvmsg,
    bind: rawv6_bind,
    backlog_rcv: rawv6_rcv_skb,
    hash: raw_hash_sk,
    unhash: raw_unhash_sk,
    raw_hash: raw_v6_hashinfo,
    inuse: 0,
  } satisfies Partial<proto>)
}
