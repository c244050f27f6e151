import { random } from '../../../sim/random.ts'
import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracer } from '../../../trace/tracer.ts'
import { get_random_u32 } from '../../drivers/char/random.ts'
import {
  IPPROTO_UDP,
  MSG_CONFIRM,
  MSG_DONTWAIT,
  MSG_ERRQUEUE,
  MSG_MORE,
  MSG_OOB,
  MSG_PEEK,
  MSG_PROBE,
  MSG_TRUNC,
  NETIF_F_IP_CSUM,
  NETIF_F_IPV6_CSUM,
  NETIF_F_SG,
  PACKET_HOST,
  PACKET_LOOPBACK,
  PACKET_MULTICAST,
  PAGE_SHIFT,
  PAGE_SIZE,
  SKB_DROP_REASON_NO_SOCKET,
  SKB_DROP_REASON_NOT_SPECIFIED,
  SKB_DROP_REASON_PKT_TOO_SMALL,
  SKB_DROP_REASON_PROTO_MEM,
  SKB_DROP_REASON_SOCKET_FILTER,
  SKB_DROP_REASON_SOCKET_RCVBUFF,
  SKB_DROP_REASON_UDP_CSUM,
  SKB_DROP_REASON_XFRM_POLICY,
  SKB_GSO_FRAGLIST,
  SKB_GSO_UDP,
  SKB_GSO_UDP_L4,
  SKB_GSO_UDP_TUNNEL,
  SKB_GSO_UDP_TUNNEL_CSUM,
  SOCK_BINDADDR_LOCK,
  SOCK_BINDPORT_LOCK,
  SOCK_BROADCAST,
  SOCK_CUSTOM_SOCKOPT,
  SOCK_DEAD,
  SOCK_NOSPACE,
  SOCK_RCU_FREE,
  SOCK_SUPPORT_ZC,
  TCP_CLOSE,
  TCP_ESTABLISHED,
} from '../../include/generated/enums.ts'
import {
  EACCES,
  EADDRINUSE,
  EAFNOSUPPORT,
  EAGAIN,
  EDESTADDRREQ,
  EFAULT,
  EHOSTUNREACH,
  EINVAL,
  EIO,
  EMSGSIZE,
  ENETUNREACH,
  ENOBUFS,
  ENOENT,
  ENOIOCTLCMD,
  ENOMEM,
  ENOPROTOOPT,
  EOPNOTSUPP,
  EPROTO,
} from '../../include/linux/errno.ts'
import {
  ICMP_DEST_UNREACH,
  ICMP_FRAG_NEEDED,
  ICMP_PARAMETERPROB,
  ICMP_PORT_UNREACH,
  ICMP_REDIRECT,
  ICMP_SOURCE_QUENCH,
  icmp_hdr,
  NR_ICMP_UNREACH,
} from '../../include/linux/icmp.ts'
import { IP_PMTUDISC_DONT, ipv4_is_lbcast, ipv4_is_multicast } from '../../include/linux/in.ts'
import { RTCF_BROADCAST, RTCF_MULTICAST } from '../../include/linux/in_route.ts'
import { __in_dev_get_rcu, type in_device } from '../../include/linux/inetdevice.ts'
import { core_initcall } from '../../include/linux/init.ts'
import { INET_DSCP_MASK, ip_hdr, iphdr } from '../../include/linux/ip.ts'
import { list_add, list_del, list_head } from '../../include/linux/list.ts'
import type { sockaddr, socket } from '../../include/linux/net.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import { RT_SCOPE_LINK } from '../../include/linux/rtnetlink.ts'
import {
  __skb_dequeue,
  __skb_queue_tail,
  __skb_unlink,
  CHECKSUM_COMPLETE,
  CHECKSUM_NONE,
  CHECKSUM_PARTIAL,
  type sk_buff,
  type sk_buff_head,
  skb_dst,
  skb_is_gso,
  skb_is_nonlinear,
  skb_mac_offset,
  skb_network_header_len,
  skb_peek,
  skb_queue_empty,
  skb_queue_splice_tail_init,
  skb_shinfo,
  skb_transport_offset,
} from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import {
  AF_INET,
  AF_INET6,
  AF_UNSPEC,
  CMSG_DATA,
  CMSG_LEN,
  CMSG_OK,
  type cmsghdr,
  for_each_cmsghdr,
  type msghdr,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SOL_SOCKET,
  SOL_UDP,
} from '../../include/linux/socket.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import { DIV_ROUND_UP, INT_MAX, IS_ERR, type ref } from '../../include/linux/types.ts'
import {
  IS_UDPLITE,
  SIZEOF_UDPHDR,
  UDP_CORK,
  UDP_ENCAP,
  UDP_FLAGS_ACCEPT_FRAGLIST,
  UDP_FLAGS_ACCEPT_L4,
  UDP_FLAGS_CORK,
  UDP_FLAGS_ENCAP_ENABLED,
  UDP_FLAGS_GRO_ENABLED,
  UDP_FLAGS_NO_CHECK6_RX,
  UDP_FLAGS_NO_CHECK6_TX,
  UDP_GRO,
  UDP_MAX_SEGMENTS,
  UDP_NO_CHECK6_RX,
  UDP_NO_CHECK6_TX,
  UDP_SEGMENT,
  UDPLITE_RECV_CSCOV,
  UDPLITE_SEND_CSCOV,
  udp_assign_bit,
  udp_clear_bit,
  udp_hdr,
  udp_set_bit,
  udp_sk,
  udp_sock,
  udp_test_and_set_bit,
  udp_test_bit,
  udphdr,
} from '../../include/linux/udp.ts'
import type { dst_entry } from '../../include/net/dst.ts'
import { flowi4, flowi4_init_output, flowi4_to_flowi_common } from '../../include/net/flow.ts'
import { NAPI_GRO_CB } from '../../include/net/gro.ts'
import { INET_FLAGS_RECVERR, inet_cork, inet_sk, inet_test_bit } from '../../include/net/inet_sock.ts'
import { IPCB, inet_sdif, type inet_skb_parm, ipcm_cookie } from '../../include/net/ip.ts'
import { ipv6_stub } from '../../include/net/ipv6_stubs.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { dst_rtable, type rtable, skb_rtable } from '../../include/net/route.ts'
import type { proto, sock } from '../../include/net/sock.ts'
import { spin_lock, spin_lock_bh, spin_unlock, spin_unlock_bh } from '../../kernel/locking/spinlock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { cond_resched } from '../../kernel/sched/core.ts'
import { CSUM_MANGLED_0, csum_add, csum_partial, csum_tcpudp_magic, csum_tcpudp_nofold } from '../../lib/checksum.ts'
import { copy_to_iter_full } from '../../lib/iov_iter.ts'
import { copy_to_sockptr } from '../../lib/usercopy.ts'
import { kfree } from '../../mm/slub.ts'
import { security_sk_classify_flow } from '../../security/security.ts'
import {
  __sk_queue_drop_skb,
  __skb_try_recv_from_queue,
  __skb_wait_for_more_packets,
  skb_copy_and_csum_datagram_msg,
  skb_copy_datagram_msg,
} from '../core/datagram.ts'
import { netif_index_is_l3_master } from '../core/dev.ts'
import { dst_check, dst_clone, dst_confirm_neigh, dst_hold_safe, dst_release, skb_dst_set_noref } from '../core/dst.ts'
import { sk_filter_trim_cap } from '../core/filter.ts'
import { inet_get_iif_sdif } from '../core/gro.ts'
import { __skb_gso_segment } from '../core/gso.ts'
import { register_pernet_subsys } from '../core/net_namespace.ts'
import { trace_udp_fail_queue_rcv_skb } from '../core/net-traces.ts'
import { put_cmsg } from '../core/scm.ts'
import {
  __consume_stateless_skb,
  __skb_checksum_complete,
  __skb_checksum_complete_head,
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
  skb_condense,
  skb_csum_unnecessary,
  skb_ext_reset,
  skb_has_frag_list,
  skb_pull_rcsum,
  skb_release_head_state,
  skb_shared,
  skb_unref,
} from '../core/skbuff.ts'
import {
  __sk_mem_reduce_allocated,
  __sk_mem_schedule,
  __sock_put,
  lock_sock,
  lock_sock_fast,
  release_sock,
  sk_common_release,
  sk_dst_check,
  sk_dst_reset,
  sk_dst_set,
  sk_error_report,
  sk_forward_alloc_add,
  sk_hashed,
  sk_incoming_cpu_update,
  sk_peek_offset,
  sk_peek_offset_bwd,
  sk_rmem_alloc_get,
  sk_set_peek_off,
  sk_setsockopt,
  sk_unhashed,
  sk_wmem_alloc_get,
  sock_error,
  sock_flag,
  sock_hold,
  sock_i_uid,
  sock_net,
  sock_pfree,
  sock_prot_inuse_add,
  sock_put,
  sock_rcvtimeo,
  sock_recv_cmsgs,
  sock_rps_reset_rxhash,
  sock_rps_save_rxhash,
  sock_set_flag,
  sock_skb_set_dropcount,
  sockopt_lock_sock,
  sockopt_release_sock,
  unlock_sock_fast,
} from '../core/sock.ts'
import { reuseport_add_sock, reuseport_alloc, reuseport_detach_sock, reuseport_has_conns } from '../core/sock_reuseport.ts'
import { l3mdev_master_ifindex_by_index } from '../l3mdev/l3mdev.ts'
import { XFRM_POLICY_IN, xfrm4_policy_check } from '../xfrm/xfrm_policy.ts'
import { inet_reset_saddr, inet_sock_destruct } from './af_inet.ts'
import { ip4_datagram_connect, ip4_datagram_release_cb } from './datagram.ts'
import { icmp_err_convert, icmp_send } from './icmp.ts'
import { ip_check_mc_rcu, ip_mc_sf_allow } from './igmp.ts'
import { inet_rcv_saddr_any, inet_rcv_saddr_equal, inet_sk_get_local_port_range } from './inet_connection_sock.ts'
import {
  inet_bound_dev_eq,
  inet_is_local_reserved_port,
  inet_lookup_reuseport,
  inet_steal_sock,
  inet_use_hash2_on_bind,
  ipv4_portaddr_hash,
  ipv6_only_sock,
} from './inet_hashtables.ts'
import { ip_protocol_deliver_rcu } from './ip_input.ts'
import {
  get_rttos,
  type getfrag_t,
  ip_append_data,
  ip_finish_skb,
  ip_flush_pending_frames,
  ip_generic_getfrag,
  ip_make_skb,
  ip_send_skb,
  ip_sendmsg_scope,
  ipcm_init_sk,
} from './ip_output.ts'
import {
  inet_cmsg_flags,
  ip_cmsg_recv_offset,
  ip_cmsg_send,
  ip_getsockopt,
  ip_icmp_error,
  ip_recv_error,
  ip_setsockopt,
  ipv4_pktinfo_prepare,
} from './ip_sockglue.ts'
import {
  inet_iif,
  inet_sk_flowi_flags,
  ip_mc_validate_source,
  ip_route_output_flow,
  ip_rt_put,
  ipv4_redirect,
  ipv4_sk_redirect,
  ipv4_sk_update_pmtu,
  ipv4_update_pmtu,
} from './route.ts'

const SIZEOF_SOCKADDR_IN = 16
const SIOCINQ = 0x541b
const SIOCOUTQ = 0x5411
const SK_MEM_RECV = 1
const USHRT_MAX = 0xffff
const MAX_UDP_PORTS = 65536
const UDP_TABLE_SLOTS = 1024

/** struct udp_hslot */
export class udp_hslot {
  readonly head: list_head<sock> = new list_head<sock>()
  count = 0
  readonly lock: spinlock_t = new spinlock_t()
}

/** struct udp_table: sockets by local port (hash), and by port and address (hash2). Slots are made when first used. */
export class udp_table_t {
  readonly hash: (udp_hslot | undefined)[] = []
  readonly hash2: (udp_hslot | undefined)[] = []
  readonly mask: number
  readonly log: number

  constructor(slots: number) {
    this.mask = slots - 1
    this.log = 31 - Math.clz32(slots)
  }
}

export let udp_table: udp_table_t
export let udp_memory_allocated: ref<number> = { v: 0 }
let udp_memory_per_cpu_fw_alloc: ref<number> = { v: 0 }
export let sysctl_udp_mem: [number, number, number] = [0, 0, 0]
/** static key: some socket carries a tunnel, or wants GRO */
let udp_encap_needed_key = 0
let udp_ehash_secret = 0
let udp_busylocks: spinlock_t[] = []

// include/net/udp.h and include/linux/udp.h

export const UDP_SKB_CB = (skb: sk_buff): inet_skb_parm => IPCB(skb)
const udp_hashfn = (n: net, num: number, mask: number): number => (num + n.hash_mix) & mask
const slot_of = (table: (udp_hslot | undefined)[], i: number): udp_hslot => (table[i] ??= new udp_hslot())
export const udp_hashslot = (t: udp_table_t, n: net, num: number): udp_hslot => slot_of(t.hash, udp_hashfn(n, num, t.mask))
export const udp_hashslot2 = (t: udp_table_t, hash: number): udp_hslot => slot_of(t.hash2, hash & t.mask)

export const udp_v4_check = (len: number, saddr: number, daddr: number, base: number): number =>
  csum_tcpudp_magic(saddr, daddr, len, IPPROTO_UDP, base)

export const __udp_lib_checksum_complete = kfunc('__udp_lib_checksum_complete', (skb: sk_buff): number => {
  const { cscov } = UDP_SKB_CB(skb)
  return cscov === skb.len ? __skb_checksum_complete(skb) : __skb_checksum_complete_head(skb, cscov)
})
export const udp_lib_checksum_complete = kfunc('udp_lib_checksum_complete', (skb: sk_buff): boolean => {
  return !skb_csum_unnecessary(skb) && __udp_lib_checksum_complete(skb) !== 0
})

export const udp_csum = kfunc('udp_csum', (skb: sk_buff): number => {
  let csum = csum_partial(skb.head.bytes, skb.transport_header, SIZEOF_UDPHDR, skb.csum)
  for (let frag = skb_shinfo(skb).frag_list; frag !== null; frag = frag.next) csum = csum_add(csum, frag.csum)
  return csum
})

export const udp_csum_pull_header = kfunc('udp_csum_pull_header', (skb: sk_buff): void => {
  if (!skb.csum_valid && skb.ip_summed === CHECKSUM_NONE)
    skb.csum = csum_partial(skb.head.bytes, skb.data, SIZEOF_UDPHDR, skb.csum)
  skb_pull_rcsum(skb, SIZEOF_UDPHDR)
  UDP_SKB_CB(skb).cscov -= SIZEOF_UDPHDR
})

export const udp_lib_init_sock = kfunc('udp_lib_init_sock', (sk: sock): void => {
  udp_sk(sk).forward_threshold = sk.sk_rcvbuf >> 2
  if (sk.sk_socket !== null) sk.sk_socket.flags |= 1 << SOCK_CUSTOM_SOCKOPT
})

export const udp_lib_hash = kfunc('udp_lib_hash', (_sk: sock): number => 0)

export const udp_lib_close = kfunc('udp_lib_close', (sk: sock, _timeout: number): void => sk_common_release(sk))

export const udp_rqueue_get = (sk: sock): number => sk_rmem_alloc_get(sk) - udp_sk(sk).forward_deficit

export const udp_sk_bound_dev_eq = (n: net, bound_dev_if: number, dif: number, sdif: number): boolean =>
  inet_bound_dev_eq(n.ipv4.sysctl_udp_l3mdev_accept !== 0, bound_dev_if, dif, sdif)

export const udp_set_peek_off = kfunc('udp_set_peek_off', (sk: sock, val: number): number => {
  sk_set_peek_off(sk, val)
  udp_sk(sk).peeking_with_offset = val >= 0
  return 0
})

export const udp_cmsg_recv = kfunc('udp_cmsg_recv', (msg: msghdr, _sk: sock, skb: sk_buff): void => {
  const { gso_type, gso_size } = skb_shinfo(skb)
  if (gso_type & SKB_GSO_UDP_L4) put_cmsg(msg, SOL_UDP, UDP_GRO, 4, new Uint8Array([gso_size, gso_size >> 8, 0, 0]))
})

export const udp_encap_needed = (): boolean => udp_encap_needed_key > 0

/** a segmented packet for a socket that wants one datagram at a time */
export const udp_unexpected_gso = kfunc('udp_unexpected_gso', (sk: sock, skb: sk_buff): boolean => {
  if (!skb_is_gso(skb)) return false
  const { gso_type } = skb_shinfo(skb)
  if (gso_type & SKB_GSO_UDP_L4 && !udp_test_bit(UDP_FLAGS_ACCEPT_L4, sk)) return true
  if (gso_type & SKB_GSO_FRAGLIST && !udp_test_bit(UDP_FLAGS_ACCEPT_FRAGLIST, sk)) return true
  const tunnelled = gso_type & (SKB_GSO_UDP_TUNNEL | SKB_GSO_UDP_TUNNEL_CSUM)
  return udp_encap_needed() && udp_sk(sk).encap_rcv !== null && !tunnelled
})

export const copy_linear_skb = kfunc(
  'copy_linear_skb',
  (skb: sk_buff, len: number, off: number, to: msghdr['msg_iter']): number => {
    const at = skb.data + off
    return copy_to_iter_full(skb.head.bytes.subarray(at, at + len), len, to) ? 0 : -EFAULT
  },
)

/** cuts a segmented packet into datagrams; null: it was dropped */
export const udp_rcv_segment = kfunc('udp_rcv_segment', (sk: sock, skb: sk_buff, _ipv4: boolean): sk_buff | null => {
  const { gso_type, gso_segs } = skb_shinfo(skb)
  const drop = (count: number): null => {
    sk.sk_drops += count
    sock_net(sk).mib.udp.InErrors += count
    kfree_skb(skb)
    return null
  }
  if (gso_type & SKB_GSO_UDP) return drop(1)
  let features = BigInt(NETIF_F_SG)
  if (!inet_sk(sk).convert_csum) features |= BigInt(NETIF_F_IP_CSUM) | BigInt(NETIF_F_IPV6_CSUM)
  if (skb.pkt_type === PACKET_LOOPBACK) skb.ip_summed = CHECKSUM_PARTIAL
  const segs = __skb_gso_segment(skb, features, false)
  if (segs === null || IS_ERR(segs)) return drop(gso_segs)
  consume_skb(skb)
  return segs
})

export const udp_post_segment_fix_csum = kfunc('udp_post_segment_fix_csum', (skb: sk_buff): void => {
  UDP_SKB_CB(skb).cscov = skb.len
  if (skb.ip_summed === CHECKSUM_NONE && !skb.csum_valid) skb.csum_valid = 1
})

// net/ipv4/udp.c

const udp_get_table_prot = kfunc('udp_get_table_prot', (sk: sock): udp_table_t => sock_net(sk).ipv4.udp_table as udp_table_t)

/** with a bitmap, all ports of the chain that are taken; without, whether `num` is */
const udp_lib_lport_inuse = kfunc(
  'udp_lib_lport_inuse',
  (n: net, num: number, hslot: udp_hslot, bitmap: Uint8Array | null, sk: sock, log: number): number => {
    const uid = sock_i_uid(sk)
    for (let p = hslot.head.next; p !== hslot.head; p = p.next) {
      const sk2 = p.owner as sock
      if (
        sock_net(sk2) === n &&
        sk2 !== sk &&
        (bitmap !== null || udp_sk(sk2).udp_port_hash === num) &&
        (!sk2.sk_reuse || !sk.sk_reuse) &&
        (!sk2.sk_bound_dev_if || !sk.sk_bound_dev_if || sk2.sk_bound_dev_if === sk.sk_bound_dev_if) &&
        inet_rcv_saddr_equal(sk, sk2, true)
      ) {
        if (sk2.sk_reuseport && sk.sk_reuseport && sk.sk_reuseport_cb === null && uid === sock_i_uid(sk2)) {
          if (bitmap === null) return 0
        } else {
          if (bitmap === null) return 1
          bitmap[udp_sk(sk2).udp_port_hash >> log] = 1
        }
      }
    }
    return 0
  },
)

const udp_lib_lport_inuse2 = kfunc('udp_lib_lport_inuse2', (n: net, num: number, hslot2: udp_hslot, sk: sock): number => {
  const uid = sock_i_uid(sk)
  let res = 0
  spin_lock(hslot2.lock)
  for (let p = hslot2.head.next; p !== hslot2.head; p = p.next) {
    const sk2 = p.owner as sock
    if (
      sock_net(sk2) === n &&
      sk2 !== sk &&
      udp_sk(sk2).udp_port_hash === num &&
      (!sk2.sk_reuse || !sk.sk_reuse) &&
      (!sk2.sk_bound_dev_if || !sk.sk_bound_dev_if || sk2.sk_bound_dev_if === sk.sk_bound_dev_if) &&
      inet_rcv_saddr_equal(sk, sk2, true)
    ) {
      res = sk2.sk_reuseport && sk.sk_reuseport && sk.sk_reuseport_cb === null && uid === sock_i_uid(sk2) ? 0 : 1
      break
    }
  }
  spin_unlock(hslot2.lock)
  return res
})

const udp_reuseport_add_sock = kfunc('udp_reuseport_add_sock', (sk: sock, hslot: udp_hslot): number => {
  const n = sock_net(sk)
  const uid = sock_i_uid(sk)
  for (let p = hslot.head.next; p !== hslot.head; p = p.next) {
    const sk2 = p.owner as sock
    if (
      sock_net(sk2) === n &&
      sk2 !== sk &&
      sk2.sk_family === sk.sk_family &&
      ipv6_only_sock(sk2) === ipv6_only_sock(sk) &&
      udp_sk(sk2).udp_port_hash === udp_sk(sk).udp_port_hash &&
      sk2.sk_bound_dev_if === sk.sk_bound_dev_if &&
      sk2.sk_reuseport &&
      uid === sock_i_uid(sk2) &&
      inet_rcv_saddr_equal(sk, sk2, false)
    )
      return reuseport_add_sock(sk, sk2, inet_rcv_saddr_any(sk))
  }
  return reuseport_alloc(sk, inet_rcv_saddr_any(sk))
})

/** finds a port for a socket that wants any: the number, with its chain locked; 0 when all are taken */
function any_port(sk: sock, n: net, udptable: udp_table_t): number {
  const low: ref<number> = { v: 0 }
  const high: ref<number> = { v: 0 }
  inet_sk_get_local_port_range(sk, low, high)
  const remaining = high.v - low.v + 1
  let rand = get_random_u32()
  let first = (Math.floor((rand * remaining) / 0x100000000) + low.v) & 0xffff
  // an odd multiple of the size of the table: all ports of a chain, in an order of its own
  rand = Math.imul(rand | 1, udptable.mask + 1) & 0xffff
  const last = (first + udptable.mask + 1) & 0xffff
  const bitmap = new Uint8Array(MAX_UDP_PORTS >> udptable.log)
  do {
    const hslot = udp_hashslot(udptable, n, first)
    bitmap.fill(0)
    spin_lock_bh(hslot.lock)
    udp_lib_lport_inuse(n, 0, hslot, bitmap, sk, udptable.log)
    let snum = first
    do {
      if (low.v <= snum && snum <= high.v && !bitmap[snum >> udptable.log] && !inet_is_local_reserved_port(n, snum)) return snum
      snum = (snum + rand) & 0xffff
    } while (snum !== first)
    spin_unlock_bh(hslot.lock)
    cond_resched()
    first = (first + 1) & 0xffff
  } while (first !== last)
  return 0
}

/** binds to a port, 0 for any. 0 or -EADDRINUSE. */
export const udp_lib_get_port = kfunc('udp_lib_get_port', (sk: sock, port: number, hash2_nulladdr: number): number => {
  const udptable = udp_get_table_prot(sk)
  const n = sock_net(sk)
  const up = udp_sk(sk)
  let snum = port
  let hslot: udp_hslot
  if (!snum) {
    snum = any_port(sk, n, udptable)
    if (!snum) return -EADDRINUSE
    hslot = udp_hashslot(udptable, n, snum)
  } else {
    hslot = udp_hashslot(udptable, n, snum)
    spin_lock_bh(hslot.lock)
    let inuse = -1
    if (inet_use_hash2_on_bind(sk) && hslot.count > 10) {
      const slot2 = (up.udp_portaddr_hash ^ snum) & udptable.mask
      const null2 = hash2_nulladdr & udptable.mask
      const hslot2 = udp_hashslot2(udptable, slot2)
      if (hslot.count >= hslot2.count) {
        inuse = udp_lib_lport_inuse2(n, snum, hslot2, sk)
        if (!inuse && null2 !== slot2) inuse = udp_lib_lport_inuse2(n, snum, udp_hashslot2(udptable, null2), sk)
      }
    }
    if (inuse < 0) inuse = udp_lib_lport_inuse(n, snum, hslot, null, sk, 0)
    if (inuse) {
      spin_unlock_bh(hslot.lock)
      return -EADDRINUSE
    }
  }
  inet_sk(sk).inet_num = snum
  up.udp_port_hash = snum
  up.udp_portaddr_hash = (up.udp_portaddr_hash ^ snum) & 0xffff
  if (sk_unhashed(sk)) {
    if (sk.sk_reuseport && udp_reuseport_add_sock(sk, hslot)) {
      inet_sk(sk).inet_num = 0
      up.udp_port_hash = 0
      up.udp_portaddr_hash = (up.udp_portaddr_hash ^ snum) & 0xffff
      spin_unlock_bh(hslot.lock)
      return -EADDRINUSE
    }
    sock_set_flag(sk, SOCK_RCU_FREE)
    sock_hold(sk)
    list_add(up.udp_node, hslot.head)
    sk.skc_node = hslot
    hslot.count++
    sock_prot_inuse_add(n, sk.sk_prot, 1)
    const hslot2 = udp_hashslot2(udptable, up.udp_portaddr_hash)
    spin_lock(hslot2.lock)
    list_add(up.udp_portaddr_node, hslot2.head)
    hslot2.count++
    spin_unlock(hslot2.lock)
  }
  spin_unlock_bh(hslot.lock)
  return 0
})

export const udp_v4_get_port = kfunc('udp_v4_get_port', (sk: sock, snum: number): number => {
  const n = sock_net(sk)
  const hash2_nulladdr = ipv4_portaddr_hash(n, 0, snum) & 0xffff
  udp_sk(sk).udp_portaddr_hash = ipv4_portaddr_hash(n, inet_sk(sk).inet_rcv_saddr, 0) & 0xffff
  return udp_lib_get_port(sk, snum, hash2_nulladdr)
})

const compute_score = kfunc(
  'compute_score',
  (sk: sock, n: net, saddr: number, sport: number, daddr: number, hnum: number, dif: number, sdif: number): number => {
    if (sk.skc_net !== n || udp_sk(sk).udp_port_hash !== hnum || ipv6_only_sock(sk)) return -1
    if (sk.skc_rcv_saddr !== daddr) return -1
    let score = sk.skc_family === AF_INET ? 2 : 1
    if (sk.skc_daddr) {
      if (sk.skc_daddr !== saddr) return -1
      score += 4
    }
    if (sk.skc_dport) {
      if (sk.skc_dport !== sport) return -1
      score += 4
    }
    if (!udp_sk_bound_dev_eq(n, sk.skc_bound_dev_if, dif, sdif)) return -1
    if (sk.skc_bound_dev_if) score += 4
    if (sk.skc_incoming_cpu === 0) score++
    return score
  },
)

export const udp_ehashfn = kfunc('udp_ehashfn', (n: net, laddr: number, lport: number, faddr: number, fport: number): number => {
  let h = Math.imul(laddr ^ udp_ehash_secret ^ n.hash_mix, 0x9e3779b1)
  h = Math.imul(h ^ (h >>> 15) ^ faddr, 0x85ebca77)
  return Math.imul(h ^ (h >>> 13) ^ ((lport << 16) | fport), 0xc2b2ae3d) >>> 0
})

const udp4_lib_lookup1 = kfunc(
  'udp4_lib_lookup1',
  (
    n: net,
    saddr: number,
    sport: number,
    daddr: number,
    hnum: number,
    dif: number,
    sdif: number,
    udptable: udp_table_t,
  ): sock | null => {
    const { head } = udp_hashslot(udptable, n, hnum)
    let result: sock | null = null
    let badness = 0
    for (let p = head.next; p !== head; p = p.next) {
      const sk = p.owner as sock
      const score = compute_score(sk, n, saddr, sport, daddr, hnum, dif, sdif)
      if (score > badness) {
        result = sk
        badness = score
      }
    }
    return result
  },
)

const udp4_lib_lookup2 = kfunc(
  'udp4_lib_lookup2',
  (
    n: net,
    saddr: number,
    sport: number,
    daddr: number,
    hnum: number,
    dif: number,
    sdif: number,
    hslot2: udp_hslot,
    skb: sk_buff | null,
  ): sock | null => {
    const { head } = hslot2
    let result: sock | null = null
    let badness = 0
    for (let p = head.next; p !== head; p = p.next) {
      const sk = p.owner as sock
      const score = compute_score(sk, n, saddr, sport, daddr, hnum, dif, sdif)
      if (score <= badness) continue
      badness = score
      if (sk.sk_state === TCP_ESTABLISHED) {
        result = sk
        continue
      }
      result = inet_lookup_reuseport(n, sk, skb, SIZEOF_UDPHDR, saddr, sport, daddr, hnum, udp_ehashfn)
      if (result === null) {
        result = sk
        continue
      }
      // a group of which some are connected is scored one by one
      if (!reuseport_has_conns(sk)) return result
      const rescore = compute_score(result, n, saddr, sport, daddr, hnum, dif, sdif)
      if (rescore > badness) badness = rescore
    }
    return result
  },
)

/** the socket for a packet: connected before bound to the address before any address */
export const __udp4_lib_lookup = kfunc(
  '__udp4_lib_lookup',
  (
    n: net,
    saddr: number,
    sport: number,
    daddr: number,
    dport: number,
    dif: number,
    sdif: number,
    udptable: udp_table_t,
    skb: sk_buff | null,
  ): sock | null => {
    const hslot2 = udp_hashslot2(udptable, ipv4_portaddr_hash(n, daddr, dport))
    let result = udp4_lib_lookup2(n, saddr, sport, daddr, dport, dif, sdif, hslot2, skb)
    if (result !== null) return result
    const any2 = udp_hashslot2(udptable, ipv4_portaddr_hash(n, 0, dport))
    result = udp4_lib_lookup2(n, saddr, sport, 0, dport, dif, sdif, any2, skb)
    if (result !== null) return result
    return udp4_lib_lookup1(n, saddr, sport, daddr, dport, dif, sdif, udptable)
  },
)

const __udp4_lib_lookup_skb = kfunc(
  '__udp4_lib_lookup_skb',
  (skb: sk_buff, sport: number, dport: number, udptable: udp_table_t): sock | null => {
    const iph = ip_hdr(skb)
    const n = (skb.dev as net_device).nd_net
    return __udp4_lib_lookup(n, iph.saddr, sport, iph.daddr, dport, inet_iif(skb), inet_sdif(skb), udptable, skb)
  },
)

/** for a packet that GRO is joining: it has not been through IP input */
export const udp4_lib_lookup_skb = kfunc('udp4_lib_lookup_skb', (skb: sk_buff, sport: number, dport: number): sock | null => {
  const iph = new iphdr(skb.head.bytes, skb.data + NAPI_GRO_CB(skb).network_offsets[skb.encapsulation ? 1 : 0])
  const n = (skb.dev as net_device).nd_net
  const { iif, sdif } = inet_get_iif_sdif(skb)
  return __udp4_lib_lookup(n, iph.saddr, sport, iph.daddr, dport, iif, sdif, n.ipv4.udp_table as udp_table_t, null)
})
export const udp4_lib_lookup = kfunc(
  'udp4_lib_lookup',
  (n: net, saddr: number, sport: number, daddr: number, dport: number, dif: number): sock | null => {
    const sk = __udp4_lib_lookup(n, saddr, sport, daddr, dport, dif, 0, n.ipv4.udp_table as udp_table_t, null)
    if (sk !== null) sock_hold(sk)
    return sk
  },
)

const __udp_is_mcast_sock = kfunc(
  '__udp_is_mcast_sock',
  (
    n: net,
    sk: sock,
    _loc_port: number,
    loc_addr: number,
    rmt_port: number,
    rmt_addr: number,
    dif: number,
    sdif: number,
    hnum: number,
  ): boolean => {
    const inet = inet_sk(sk)
    return (
      sock_net(sk) === n &&
      udp_sk(sk).udp_port_hash === hnum &&
      !(inet.inet_daddr && inet.inet_daddr !== rmt_addr) &&
      !(inet.inet_dport !== rmt_port && inet.inet_dport) &&
      !(inet.inet_rcv_saddr && inet.inet_rcv_saddr !== loc_addr) &&
      !ipv6_only_sock(sk) &&
      udp_sk_bound_dev_eq(n, sk.sk_bound_dev_if, dif, sdif) &&
      ip_mc_sf_allow(sk, loc_addr, rmt_addr, dif, sdif)
    )
  },
)

export const udp_encap_enable = kfunc('udp_encap_enable', (): void => {
  udp_encap_needed_key++
})
export const udp_tunnel_encap_enable = kfunc('udp_tunnel_encap_enable', (sk: sock): void => {
  if (udp_test_and_set_bit(UDP_FLAGS_ENCAP_ENABLED, sk)) return
  if (sk.sk_family === AF_INET6) ipv6_stub().udpv6_encap_enable()
  udp_encap_enable()
})

/** of an error, the socket of a tunnel whose packet it was: what was sent came from another port than the tunnel's own */
const __udp4_lib_err_encap = kfunc(
  '__udp4_lib_err_encap',
  (
    n: net,
    iph: iphdr,
    uh: udphdr,
    udptable: udp_table_t,
    own: sock | null,
    skb: sk_buff,
    _info: number,
  ): sock | number | null => {
    const { network_header, transport_header } = skb
    skb.network_header = skb.data
    skb.transport_header = skb.data + (iph.ihl << 2)
    let sk = own
    if (sk !== null) {
      const lookup = udp_sk(sk).encap_err_lookup
      if (lookup?.(sk, skb)) sk = null
    } else {
      const { ifindex } = skb.dev as net_device
      sk = __udp4_lib_lookup(n, iph.daddr, uh.source, iph.saddr, uh.dest, ifindex, 0, udptable, null)
      const lookup = sk === null ? null : udp_sk(sk).encap_err_lookup
      if (sk !== null && (lookup === null || lookup(sk, skb))) sk = null
    }
    skb.transport_header = transport_header
    skb.network_header = network_header
    return sk ?? -ENOENT
  },
)

/** a router or a host could not deliver what this host sent: `skb` begins with the header of that packet */
export const __udp4_lib_err = kfunc('__udp4_lib_err', (skb: sk_buff, info: number, udptable: udp_table_t): number => {
  const dev = skb.dev as net_device
  const n = dev.nd_net
  const iph = new iphdr(skb.head.bytes, skb.data)
  const uh = new udphdr(skb.head.bytes, skb.data + (iph.ihl << 2))
  const { type, code } = icmp_hdr(skb)
  let sk = __udp4_lib_lookup(n, iph.daddr, uh.dest, iph.saddr, uh.source, dev.ifindex, inet_sdif(skb), udptable, null)
  let tunnel = false
  if (sk === null || udp_sk(sk).encap_type) {
    const found: sock | number | null = udp_encap_needed_key ? __udp4_lib_err_encap(n, iph, uh, udptable, sk, skb, info) : -ENOENT
    if (found === null) return 0
    if (IS_ERR(found)) {
      n.mib.icmp.InErrors++
      return found
    }
    sk = found
    tunnel = true
  }
  let err: number
  let harderr = 0
  switch (type) {
    case ICMP_SOURCE_QUENCH:
      return 0
    case ICMP_PARAMETERPROB:
      err = EPROTO
      harderr = 1
      break
    case ICMP_DEST_UNREACH:
      if (code === ICMP_FRAG_NEEDED) {
        ipv4_sk_update_pmtu(skb, sk, info)
        if (inet_sk(sk).pmtudisc === IP_PMTUDISC_DONT) return 0
        err = EMSGSIZE
        harderr = 1
        break
      }
      err = EHOSTUNREACH
      if (code <= NR_ICMP_UNREACH) {
        harderr = icmp_err_convert[code]?.fatal ?? 0
        err = icmp_err_convert[code]?.errno ?? err
      }
      break
    case ICMP_REDIRECT:
      ipv4_sk_redirect(skb, sk)
      return 0
    default:
      err = EHOSTUNREACH
  }
  if (tunnel) {
    udp_sk(sk).encap_err_rcv?.(sk, skb, err, uh.dest, info, uh.at + SIZEOF_UDPHDR)
    return 0
  }
  if (!inet_test_bit(INET_FLAGS_RECVERR, sk)) {
    if (!harderr || sk.sk_state !== TCP_ESTABLISHED) return 0
  } else ip_icmp_error(sk, skb, err, uh.dest, info, uh.at + SIZEOF_UDPHDR)
  sk.sk_err = err
  sk_error_report(sk)
  return 0
})

export const udp_err = kfunc('udp_err', (skb: sk_buff, info: number): number => {
  const { type, code } = icmp_hdr(skb)
  const n = (skb.dev as net_device).nd_net
  if (type === ICMP_DEST_UNREACH && code === ICMP_FRAG_NEEDED) ipv4_update_pmtu(skb, n, info, 0, IPPROTO_UDP)
  else if (type === ICMP_REDIRECT) ipv4_redirect(skb, n, 0, IPPROTO_UDP)
  return __udp4_lib_err(skb, info, n.ipv4.udp_table as udp_table_t)
})

export const udp_flush_pending_frames = kfunc('udp_flush_pending_frames', (sk: sock): void => {
  const up = udp_sk(sk)
  if (up.pending) {
    up.len = 0
    up.pending = 0
    ip_flush_pending_frames(sk)
  }
})

/** include/linux/skbuff.h: the outer sum, from the inner one that the device will make: what that covers sums up to its pseudo header */
const lco_csum = kfunc('lco_csum', (skb: sk_buff): number => {
  const b = skb.head.bytes
  const { csum_start, transport_header } = skb
  const check = ((b[csum_start + skb.csum_offset] ?? 0) << 8) | (b[csum_start + skb.csum_offset + 1] ?? 0)
  return csum_partial(b, transport_header, csum_start - transport_header, ~check >>> 0)
})

/** the checksum of a tunnel's UDP header, left to the device where that is possible */
export const udp_set_csum = kfunc(
  'udp_set_csum',
  (nocheck: boolean, skb: sk_buff, saddr: number, daddr: number, len: number): void => {
    const uh = udp_hdr(skb)
    if (nocheck) uh.check = 0
    else if (skb_is_gso(skb)) uh.check = ~udp_v4_check(len, saddr, daddr, 0) & 0xffff
    else if (skb.ip_summed === CHECKSUM_PARTIAL) {
      uh.check = 0
      uh.check = udp_v4_check(len, saddr, daddr, lco_csum(skb)) || CSUM_MANGLED_0
    } else {
      skb.ip_summed = CHECKSUM_PARTIAL
      skb.csum_start = skb.transport_header
      skb.csum_offset = UDP_CHECK_OFFSET
      uh.check = ~udp_v4_check(len, saddr, daddr, 0) & 0xffff
    }
  },
)
const UDP_CHECK_OFFSET = 6

/** prepares the checksum for the device; computes it when the packet lies in several buffers */
export const udp4_hwcsum = kfunc('udp4_hwcsum', (skb: sk_buff, src: number, dst: number): void => {
  const uh = udp_hdr(skb)
  const offset = skb_transport_offset(skb)
  const len = skb.len - offset
  if (!skb_has_frag_list(skb)) {
    skb.csum_start = skb.transport_header
    skb.csum_offset = 6
    uh.check = ~csum_tcpudp_magic(src, dst, len, IPPROTO_UDP, 0) & 0xffff
    return
  }
  let hlen = len
  let csum = 0
  for (let frag = skb_shinfo(skb).frag_list; frag !== null; frag = frag.next) {
    csum = csum_add(csum, frag.csum)
    hlen -= frag.len
  }
  csum = skb_checksum(skb, offset, hlen, csum)
  skb.ip_summed = CHECKSUM_NONE
  uh.check = csum_tcpudp_magic(src, dst, len, IPPROTO_UDP, csum) || CSUM_MANGLED_0
})

const udp_send_skb = kfunc('udp_send_skb', (skb: sk_buff, fl4: flowi4, cork: inet_cork): number => {
  const sk = skb.sk as sock
  const n = sock_net(sk)
  const offset = skb_transport_offset(skb)
  const len = skb.len - offset
  const datalen = len - SIZEOF_UDPHDR
  const uh = udp_hdr(skb)
  uh.source = inet_sk(sk).inet_sport
  uh.dest = fl4.fl4_dport
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
    if (datalen > gso_size * UDP_MAX_SEGMENTS) return fail(-EINVAL)
    if (sk.sk_no_check_tx) return fail(-EINVAL)
    if (IS_UDPLITE(sk) || (skb_dst(skb) as dst_entry).xfrm !== null) return fail(-EIO)
    if (datalen > gso_size) {
      const shinfo = skb_shinfo(skb)
      shinfo.gso_size = gso_size
      shinfo.gso_type = SKB_GSO_UDP_L4
      shinfo.gso_segs = DIV_ROUND_UP(datalen, gso_size)
      gso = true
      if (tracer.on) decide('udp_send_skb', 'segments left to GSO', { datalen, gso_size, gso_segs: shinfo.gso_segs })
    }
  }
  if (gso || (skb.ip_summed === CHECKSUM_PARTIAL && !sk.sk_no_check_tx)) udp4_hwcsum(skb, fl4.saddr, fl4.daddr)
  else if (sk.sk_no_check_tx) skb.ip_summed = CHECKSUM_NONE
  else {
    const csum = udp_csum(skb)
    uh.check = csum_tcpudp_magic(fl4.saddr, fl4.daddr, len, sk.sk_protocol, csum) || CSUM_MANGLED_0
  }
  let err = ip_send_skb(n, skb)
  if (err) {
    if (err === -ENOBUFS && !inet_test_bit(INET_FLAGS_RECVERR, sk)) {
      n.mib.udp.SndbufErrors++
      err = 0
    }
  } else n.mib.udp.OutDatagrams++
  return err
})

/** sends what was corked, as one datagram. The socket is locked. */
export const udp_push_pending_frames = kfunc('udp_push_pending_frames', (sk: sock): number => {
  const up = udp_sk(sk)
  const inet = inet_sk(sk)
  const fl4 = inet.cork.fl
  const skb = ip_finish_skb(sk, fl4)
  const err = skb === null ? 0 : udp_send_skb(skb, fl4, inet.cork.base)
  up.len = 0
  up.pending = 0
  return err
})

const __udp_cmsg_send = kfunc('__udp_cmsg_send', (cmsg: cmsghdr, gso_size: ref<number>): number => {
  if (cmsg.cmsg_type !== UDP_SEGMENT || cmsg.cmsg_len !== CMSG_LEN(2)) return -EINVAL
  const data = CMSG_DATA(cmsg)
  gso_size.v = (data[0] ?? 0) | ((data[1] ?? 0) << 8)
  return 0
})

/** 1: there are messages for other layers; below 0: one makes no sense */
export const udp_cmsg_send = kfunc('udp_cmsg_send', (_sk: sock, msg: msghdr, gso_size: ref<number>): number => {
  let need_ip = 0
  for (const cmsg of for_each_cmsghdr(msg)) {
    if (!CMSG_OK(msg, cmsg)) return -EINVAL
    if (cmsg.cmsg_level !== SOL_UDP) {
      need_ip = 1
      continue
    }
    const err = __udp_cmsg_send(cmsg, gso_size)
    if (err) return err
  }
  return need_ip
})

/** ip_generic_getfrag as __ip_append_data takes it; asked for when it is there, the files import each other */
const udp_getfrag = (): getfrag_t => ip_generic_getfrag as unknown as getfrag_t

/** what udp_sendmsg returns: the length, or the error; a full send buffer is counted */
function sent(sk: sock, len: number, err: number): number {
  if (!err) return len
  if (err === -ENOBUFS || (sk.sk_socket !== null && sk.sk_socket.flags & (1 << SOCK_NOSPACE))) sock_net(sk).mib.udp.SndbufErrors++
  return err
}

export const udp_sendmsg = kfunc('udp_sendmsg', (sk: sock, msg: msghdr, len: number): number => {
  const inet = inet_sk(sk)
  const up = udp_sk(sk)
  const n = sock_net(sk)
  const usin = msg.msg_name
  const corkreq = udp_test_bit(UDP_FLAGS_CORK, sk) || (msg.msg_flags & MSG_MORE) !== 0
  if (len > 0xffff) return -EMSGSIZE
  if (msg.msg_flags & MSG_OOB) return -EOPNOTSUPP

  const rtp: ref<rtable | null> = { v: null }
  if (up.pending) {
    lock_sock(sk)
    if (up.pending) {
      if (up.pending !== AF_INET) {
        release_sock(sk)
        return -EINVAL
      }
      const err = append_data(sk, msg, len, new ipcm_cookie(), rtp, corkreq)
      ip_rt_put(rtp.v)
      return sent(sk, len, err)
    }
    release_sock(sk)
  }
  const ulen = len + SIZEOF_UDPHDR

  let daddr: number
  let dport: number
  let connected = false
  if (usin !== null) {
    if (msg.msg_namelen < SIZEOF_SOCKADDR_IN) return -EINVAL
    if (usin.sa_family !== AF_INET && usin.sa_family !== AF_UNSPEC) return -EAFNOSUPPORT
    daddr = usin.sin_addr
    dport = usin.sin_port
    if (dport === 0) return -EINVAL
  } else {
    if (sk.sk_state !== TCP_ESTABLISHED) return -EDESTADDRREQ
    daddr = inet.inet_daddr
    dport = inet.inet_dport
    connected = true
  }

  const ipc = new ipcm_cookie()
  ipcm_init_sk(ipc, inet)
  ipc.gso_size = up.gso_size
  let free = false
  if (msg.msg_controllen) {
    const gso_size: ref<number> = { v: ipc.gso_size }
    let err = udp_cmsg_send(sk, msg, gso_size)
    ipc.gso_size = gso_size.v
    if (err > 0) {
      err = ip_cmsg_send(sk, msg, ipc, sk.sk_family === AF_INET6)
      connected = false
    }
    if (err < 0) {
      kfree(ipc.opt)
      return err
    }
    if (ipc.opt !== null) free = true
  }
  if (ipc.opt === null) {
    rcu_read_lock()
    ipc.opt = inet.inet_opt
    rcu_read_unlock()
  }

  let saddr = ipc.addr
  let faddr = daddr
  ipc.addr = daddr
  const out_free = (err: number): number => {
    if (free) kfree(ipc.opt)
    return sent(sk, len, err)
  }
  const out = (err: number): number => {
    ip_rt_put(rtp.v)
    return out_free(err)
  }
  if (ipc.opt?.srr) {
    if (!daddr) return out_free(-EINVAL)
    faddr = ipc.opt.faddr
    connected = false
  }
  const tos = get_rttos(ipc, inet)
  const scope = ip_sendmsg_scope(inet, ipc, msg)
  if (scope === RT_SCOPE_LINK) connected = false

  const { uc_index } = inet
  if (ipv4_is_multicast(daddr)) {
    if (!ipc.oif || netif_index_is_l3_master(n, ipc.oif)) ipc.oif = inet.mc_index
    if (!saddr) saddr = inet.mc_addr
    connected = false
  } else if (!ipc.oif) ipc.oif = uc_index
  else if (ipv4_is_lbcast(daddr) && uc_index && ipc.oif !== uc_index && ipc.oif === l3mdev_master_ifindex_by_index(n, uc_index))
    ipc.oif = uc_index

  let fl4 = inet.cork.fl
  if (connected) {
    const dst = sk_dst_check(sk, 0)
    rtp.v = dst === null ? null : dst_rtable(dst)
  }
  if (tracer.on)
    decide('udp_sendmsg', rtp.v === null ? 'route looked up' : 'route of the connection', { daddr, dport, connected, corkreq })
  if (rtp.v === null) {
    fl4 = new flowi4()
    flowi4_init_output(
      fl4,
      ipc.oif,
      ipc.sockc.mark,
      tos,
      scope,
      sk.sk_protocol,
      inet_sk_flowi_flags(sk),
      faddr,
      saddr,
      dport,
      inet.inet_sport,
      sk.sk_uid,
    )
    security_sk_classify_flow(sk, flowi4_to_flowi_common(fl4))
    const rt = ip_route_output_flow(n, fl4, sk)
    if (IS_ERR(rt)) {
      if (rt === -ENETUNREACH) n.mib.ip.OutNoRoutes++
      return out(rt)
    }
    rtp.v = rt
    if (rt.rt_flags & RTCF_BROADCAST && !sock_flag(sk, SOCK_BROADCAST)) return out(-EACCES)
    if (connected) sk_dst_set(sk, dst_clone(rt))
  }

  if (msg.msg_flags & MSG_CONFIRM) {
    if (msg.msg_flags & MSG_PROBE) dst_confirm_neigh(rtp.v, fl4.daddr)
    if (msg.msg_flags & MSG_PROBE && !len) return out(0)
  }
  saddr = fl4.saddr
  if (!ipc.addr) {
    daddr = fl4.daddr
    ipc.addr = daddr
  }

  if (!corkreq) {
    const cork = new inet_cork()
    const skb = ip_make_skb(sk, fl4, udp_getfrag(), msg, ulen, SIZEOF_UDPHDR, ipc, rtp, cork, msg.msg_flags)
    if (skb === null) return out(0)
    return out(IS_ERR(skb) ? skb : udp_send_skb(skb, fl4, cork))
  }

  lock_sock(sk)
  if (up.pending) {
    // corked by somebody else meanwhile
    release_sock(sk)
    return out(-EINVAL)
  }
  fl4 = inet.cork.fl
  fl4.daddr = daddr
  fl4.saddr = saddr
  fl4.fl4_dport = dport
  fl4.fl4_sport = inet.inet_sport
  up.pending = AF_INET
  return out(append_data(sk, msg, ulen, ipc, rtp, corkreq))
})

/** adds to the corked datagram, and sends it when it is complete. Unlocks the socket. */
function append_data(sk: sock, msg: msghdr, ulen: number, ipc: ipcm_cookie, rtp: ref<rtable | null>, corkreq: boolean): number {
  const up = udp_sk(sk)
  const { cork } = inet_sk(sk)
  up.len += ulen
  const flags = corkreq ? msg.msg_flags | MSG_MORE : msg.msg_flags
  let err = ip_append_data(sk, cork.fl, udp_getfrag(), msg, ulen, SIZEOF_UDPHDR, ipc, rtp, flags)
  if (err) udp_flush_pending_frames(sk)
  else if (!corkreq) err = udp_push_pending_frames(sk)
  else if (skb_queue_empty(sk.sk_write_queue)) up.pending = 0
  release_sock(sk)
  return err
}

/** the end of a sendfile(): what waits for more will get none */
export const udp_splice_eof = kfunc('udp_splice_eof', (sock: socket): void => {
  const sk = sock.sk as sock
  const up = udp_sk(sk)
  if (!up.pending || udp_test_bit(UDP_FLAGS_CORK, sk)) return
  lock_sock(sk)
  if (up.pending && !udp_test_bit(UDP_FLAGS_CORK, sk)) udp_push_pending_frames(sk)
  release_sock(sk)
})

const udp_try_make_stateless = kfunc('udp_try_make_stateless', (skb: sk_buff): boolean => {
  if (skb.active_extensions !== 0) skb_ext_reset(skb)
  return true
})

/** dev_scratch lies where `dev` was: from here on the packet has no device */
const udp_set_dev_scratch = kfunc('udp_set_dev_scratch', (skb: sk_buff): void => {
  const cb = UDP_SKB_CB(skb)
  skb.dev = null
  skb.dev_scratch = skb.truesize
  cb.scratch_len = skb.len
  cb.scratch_csum_unnecessary = skb_csum_unnecessary(skb)
  cb.scratch_is_linear = !skb_is_nonlinear(skb)
  cb.scratch_stateless = udp_try_make_stateless(skb)
})

const udp_skb_csum_unnecessary_set = (skb: sk_buff): void => {
  if (!skb_shared(skb)) UDP_SKB_CB(skb).scratch_csum_unnecessary = true
}

/** gives back memory that a receive freed, in one go with what earlier ones left */
const udp_rmem_release = kfunc(
  'udp_rmem_release',
  (sk: sock, freed: number, partial: number, rx_queue_lock_held: boolean): void => {
    const up = udp_sk(sk)
    let size = freed
    if (partial) {
      up.forward_deficit += size
      size = up.forward_deficit
      if (size < up.forward_threshold && !skb_queue_empty(up.reader_queue)) return
    } else size += up.forward_deficit
    up.forward_deficit = 0
    const sk_queue = sk.sk_receive_queue
    if (!rx_queue_lock_held) spin_lock(sk_queue.lock)
    const amt = Math.floor((size + sk.sk_forward_alloc - partial) / PAGE_SIZE) * PAGE_SIZE
    sk_forward_alloc_add(sk, size - amt)
    if (amt) __sk_mem_reduce_allocated(sk, amt / 2 ** PAGE_SHIFT)
    sk.sk_backlog.rmem_alloc -= size
    // spares the next receive the lock of the queue
    skb_queue_splice_tail_init(sk_queue, up.reader_queue)
    if (!rx_queue_lock_held) spin_unlock(sk_queue.lock)
  },
)

export const udp_skb_destructor = kfunc('udp_skb_destructor', (sk: sock, skb: sk_buff): void => {
  udp_rmem_release(sk, skb.dev_scratch, 1, false)
})

const udp_skb_dtor_locked = kfunc('udp_skb_dtor_locked', (sk: sock, skb: sk_buff): void => {
  udp_rmem_release(sk, skb.dev_scratch, 1, true)
})

const busylock_acquire = kfunc('busylock_acquire', (ptr: sock): spinlock_t => {
  const busy = udp_busylocks[ptr.id & 15] as spinlock_t
  spin_lock(busy)
  return busy
})
const busylock_release = kfunc('busylock_release', (busy: spinlock_t | null): void => {
  if (busy !== null) spin_unlock(busy)
})

const udp_rmem_schedule = kfunc('udp_rmem_schedule', (sk: sock, size: number): number => {
  const delta = size - sk.sk_forward_alloc
  return delta > 0 && !__sk_mem_schedule(sk, delta, SK_MEM_RECV) ? -ENOBUFS : 0
})

/** puts a datagram on the receive queue and wakes the reader. -ENOMEM: the queue is full; -ENOBUFS: UDP has no memory left */
export const __udp_enqueue_schedule_skb = kfunc('__udp_enqueue_schedule_skb', (sk: sock, skb: sk_buff): number => {
  const list = sk.sk_receive_queue
  const rmem = sk.sk_backlog.rmem_alloc
  const rcvbuf = sk.sk_rcvbuf
  let size = skb.truesize
  let busy: spinlock_t | null = null
  // one packet is always taken, however small the buffer
  if (rmem + size > rcvbuf && (rcvbuf > INT_MAX >> 1 || rmem > rcvbuf)) {
    if (tracer.on) decide('__udp_enqueue_schedule_skb', 'receive buffer full', { rmem, size, rcvbuf })
    sk.sk_drops++
    busylock_release(busy)
    return -ENOMEM
  }
  if (rmem > rcvbuf >> 1) {
    skb_condense(skb)
    size = skb.truesize
    busy = busylock_acquire(sk)
  }
  udp_set_dev_scratch(skb)
  sk.sk_backlog.rmem_alloc += size
  spin_lock(list.lock)
  const err = udp_rmem_schedule(sk, size)
  if (err) {
    spin_unlock(list.lock)
    sk.sk_backlog.rmem_alloc -= skb.truesize
    sk.sk_drops++
    busylock_release(busy)
    return err
  }
  sk_forward_alloc_add(sk, -size)
  sock_skb_set_dropcount(sk, skb)
  __skb_queue_tail(list, skb)
  spin_unlock(list.lock)
  if (!sock_flag(sk, SOCK_DEAD)) {
    if (tracer.on) traceIndirect('sk->sk_data_ready', nameOf(sk.sk_data_ready))
    sk.sk_data_ready(sk)
  }
  busylock_release(busy)
  return 0
})

export const udp_destruct_common = kfunc('udp_destruct_common', (sk: sock): void => {
  const up = udp_sk(sk)
  let total = 0
  skb_queue_splice_tail_init(sk.sk_receive_queue, up.reader_queue)
  for (let skb = __skb_dequeue(up.reader_queue); skb !== null; skb = __skb_dequeue(up.reader_queue)) {
    total += skb.truesize
    kfree_skb(skb)
  }
  udp_rmem_release(sk, total, 0, true)
})

const udp_destruct_sock = kfunc('udp_destruct_sock', (sk: sock): void => {
  udp_destruct_common(sk)
  inet_sock_destruct(sk)
})

export const udp_init_sock = kfunc('udp_init_sock', (sk: sock): number => {
  udp_lib_init_sock(sk)
  sk.sk_destruct = udp_destruct_sock
  if (sk.sk_socket !== null) sk.sk_socket.flags |= 1 << SOCK_SUPPORT_ZC
  return 0
})

export const skb_consume_udp = kfunc('skb_consume_udp', (sk: sock, skb: sk_buff, len: number): void => {
  if (udp_sk(sk).peeking_with_offset) sk_peek_offset_bwd(sk, len)
  if (!skb_unref(skb)) return
  if (!UDP_SKB_CB(skb).scratch_stateless) skb_release_head_state(skb)
  __consume_stateless_skb(skb)
})

const __first_packet_length = kfunc(
  '__first_packet_length',
  (sk: sock, rcvq: sk_buff_head, total: ref<number>): sk_buff | null => {
    for (let skb = skb_peek(rcvq); skb !== null; skb = skb_peek(rcvq)) {
      if (!udp_lib_checksum_complete(skb)) {
        udp_skb_csum_unnecessary_set(skb)
        return skb
      }
      const m = sock_net(sk).mib.udp
      m.InCsumErrors++
      m.InErrors++
      sk.sk_drops++
      __skb_unlink(skb, rcvq)
      total.v += skb.truesize
      kfree_skb(skb)
    }
    return null
  },
)

/** length of the first good datagram in the queue, -1 for none */
const first_packet_length = kfunc('first_packet_length', (sk: sock): number => {
  const rcvq = udp_sk(sk).reader_queue
  const sk_queue = sk.sk_receive_queue
  const total: ref<number> = { v: 0 }
  spin_lock_bh(rcvq.lock)
  let skb = __first_packet_length(sk, rcvq, total)
  if (skb === null && !skb_queue_empty(sk_queue)) {
    spin_lock(sk_queue.lock)
    skb_queue_splice_tail_init(sk_queue, rcvq)
    spin_unlock(sk_queue.lock)
    skb = __first_packet_length(sk, rcvq, total)
  }
  const res = skb === null ? -1 : skb.len
  if (total.v) udp_rmem_release(sk, total.v, 1, false)
  spin_unlock_bh(rcvq.lock)
  return res
})

export const udp_ioctl = kfunc('udp_ioctl', (sk: sock, cmd: number, karg: ref<number>): number => {
  if (cmd === SIOCOUTQ) karg.v = sk_wmem_alloc_get(sk)
  else if (cmd === SIOCINQ) karg.v = Math.max(0, first_packet_length(sk))
  else return -ENOIOCTLCMD
  return 0
})

/** the next datagram, waited for unless MSG_DONTWAIT. Null: err.v says why; 0 is the end. */
export const __skb_recv_udp = kfunc(
  '__skb_recv_udp',
  (sk: sock, flags: number, off: ref<number>, err: ref<number>): sk_buff | null => {
    const sk_queue = sk.sk_receive_queue
    const queue = udp_sk(sk).reader_queue
    const timeo: ref<number> = { v: sock_rcvtimeo(sk, flags & MSG_DONTWAIT) }
    const last: ref<sk_buff | null> = { v: null }
    const error: ref<number> = { v: 0 }
    do {
      error.v = sock_error(sk)
      if (error.v) break
      error.v = -EAGAIN
      do {
        spin_lock_bh(queue.lock)
        let skb = __skb_try_recv_from_queue(sk, queue, flags, off, err, last)
        if (skb !== null) {
          if (!(flags & MSG_PEEK)) udp_skb_destructor(sk, skb)
          spin_unlock_bh(queue.lock)
          return skb
        }
        if (skb_queue_empty(sk_queue)) {
          spin_unlock_bh(queue.lock)
          break
        }
        spin_lock(sk_queue.lock)
        skb_queue_splice_tail_init(sk_queue, queue)
        skb = __skb_try_recv_from_queue(sk, queue, flags, off, err, last)
        if (skb !== null && !(flags & MSG_PEEK)) udp_skb_dtor_locked(sk, skb)
        spin_unlock(sk_queue.lock)
        spin_unlock_bh(queue.lock)
        if (skb !== null) return skb
      } while (!skb_queue_empty(sk_queue))
      // the reader queue may still hold what was only peeked at
    } while (timeo.v && !__skb_wait_for_more_packets(sk, sk_queue, error, timeo, null))
    err.v = error.v
    return null
  },
)

export const udp_recvmsg = kfunc(
  'udp_recvmsg',
  (sk: sock, msg: msghdr, len: number, flags: number, addr_len: ref<number>): number => {
    const sin = msg.msg_name
    const peeking = (flags & MSG_PEEK) !== 0
    const m = sock_net(sk).mib.udp
    if (flags & MSG_ERRQUEUE) return ip_recv_error(sk, msg, len, addr_len)
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

      // what is not read as a whole is summed before it is copied
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
          m.InCsumErrors++
          m.InErrors++
        }
        kfree_skb(skb)
        cond_resched()
        msg.msg_flags &= ~MSG_TRUNC
        continue
      }
      if (err) {
        if (!peeking) {
          sk.sk_drops++
          m.InErrors++
        }
        kfree_skb(skb)
        return err
      }
      if (!peeking) m.InDatagrams++
      sock_recv_cmsgs(msg, sk, skb)
      if (sin !== null) {
        sin.clear()
        sin.sa_family = AF_INET
        sin.sin_port = udp_hdr(skb).source
        sin.sin_addr = ip_hdr(skb).saddr
        addr_len.v = SIZEOF_SOCKADDR_IN
      }
      if (udp_test_bit(UDP_FLAGS_GRO_ENABLED, sk)) udp_cmsg_recv(msg, sk, skb)
      if (inet_cmsg_flags(inet_sk(sk))) ip_cmsg_recv_offset(msg, sk, skb, SIZEOF_UDPHDR, off.v)
      err = flags & MSG_TRUNC ? ulen : copied
      skb_consume_udp(sk, skb, peeking ? -err : err)
      return err
    }
  },
)

export const udp_pre_connect = kfunc('udp_pre_connect', (_sk: sock, _uaddr: sockaddr, addr_len: number): number =>
  addr_len < SIZEOF_SOCKADDR_IN ? -EINVAL : 0,
)

export const __udp_disconnect = kfunc('__udp_disconnect', (sk: sock, _flags: number): number => {
  const inet = inet_sk(sk)
  sk.sk_state = TCP_CLOSE
  inet.inet_daddr = 0
  inet.inet_dport = 0
  sock_rps_reset_rxhash(sk)
  sk.sk_bound_dev_if = 0
  if (!(sk.sk_userlocks & SOCK_BINDADDR_LOCK)) {
    inet_reset_saddr(sk)
    const { rehash } = sk.sk_prot
    if (rehash !== undefined && sk.sk_userlocks & SOCK_BINDPORT_LOCK) {
      if (tracer.on) traceIndirect('sk->sk_prot->rehash', nameOf(rehash))
      rehash(sk)
    }
  }
  if (!(sk.sk_userlocks & SOCK_BINDPORT_LOCK)) {
    const { unhash } = sk.sk_prot
    if (tracer.on) traceIndirect('sk->sk_prot->unhash', nameOf(unhash))
    unhash?.(sk)
    inet.inet_sport = 0
  }
  sk_dst_reset(sk)
  return 0
})

export const udp_disconnect = kfunc('udp_disconnect', (sk: sock, flags: number): number => {
  lock_sock(sk)
  __udp_disconnect(sk, flags)
  release_sock(sk)
  return 0
})

export const udp_lib_unhash = kfunc('udp_lib_unhash', (sk: sock): void => {
  if (!sk_hashed(sk)) return
  const udptable = udp_get_table_prot(sk)
  const up = udp_sk(sk)
  const hslot = udp_hashslot(udptable, sock_net(sk), up.udp_port_hash)
  const hslot2 = udp_hashslot2(udptable, up.udp_portaddr_hash)
  spin_lock_bh(hslot.lock)
  if (sk.sk_reuseport_cb !== null) reuseport_detach_sock(sk)
  if (sk.skc_node !== null) {
    list_del(up.udp_node)
    sk.skc_node = null
    __sock_put(sk)
    hslot.count--
    inet_sk(sk).inet_num = 0
    sock_prot_inuse_add(sock_net(sk), sk.sk_prot, -1)
    spin_lock(hslot2.lock)
    list_del(up.udp_portaddr_node)
    hslot2.count--
    spin_unlock(hslot2.lock)
  }
  spin_unlock_bh(hslot.lock)
})

/** the socket's own address has changed */
export const udp_lib_rehash = kfunc('udp_lib_rehash', (sk: sock, newhash: number): void => {
  if (!sk_hashed(sk)) return
  const udptable = udp_get_table_prot(sk)
  const up = udp_sk(sk)
  const hslot2 = udp_hashslot2(udptable, up.udp_portaddr_hash)
  const nhslot2 = udp_hashslot2(udptable, newhash)
  up.udp_portaddr_hash = newhash
  if (hslot2 === nhslot2 && sk.sk_reuseport_cb === null) return
  const hslot = udp_hashslot(udptable, sock_net(sk), up.udp_port_hash)
  spin_lock_bh(hslot.lock)
  if (sk.sk_reuseport_cb !== null) reuseport_detach_sock(sk)
  if (hslot2 !== nhslot2) {
    spin_lock(hslot2.lock)
    list_del(up.udp_portaddr_node)
    hslot2.count--
    spin_unlock(hslot2.lock)
    spin_lock(nhslot2.lock)
    list_add(up.udp_portaddr_node, nhslot2.head)
    nhslot2.count++
    spin_unlock(nhslot2.lock)
  }
  spin_unlock_bh(hslot.lock)
})

export const udp_v4_rehash = kfunc('udp_v4_rehash', (sk: sock): void => {
  const inet = inet_sk(sk)
  udp_lib_rehash(sk, ipv4_portaddr_hash(sock_net(sk), inet.inet_rcv_saddr, inet.inet_num) & 0xffff)
})

const __udp_queue_rcv_skb = kfunc('__udp_queue_rcv_skb', (sk: sock, skb: sk_buff): number => {
  if (inet_sk(sk).inet_daddr) {
    sock_rps_save_rxhash(sk, skb)
    sk_incoming_cpu_update(sk)
  }
  const rc = __udp_enqueue_schedule_skb(sk, skb)
  if (rc >= 0) return 0
  const m = sock_net(sk).mib.udp
  let reason: number
  if (rc === -ENOMEM) {
    m.RcvbufErrors++
    reason = SKB_DROP_REASON_SOCKET_RCVBUFF
  } else {
    m.MemErrors++
    reason = SKB_DROP_REASON_PROTO_MEM
  }
  m.InErrors++
  if (tracer.on) trace_udp_fail_queue_rcv_skb(rc, sk, skb)
  sk_skb_reason_drop(sk, skb, reason)
  return -1
})

/** -1: dropped; 0: queued; above 0: a tunnel's packet, of that protocol */
const udp_queue_rcv_one_skb = kfunc('udp_queue_rcv_one_skb', (sk: sock, skb: sk_buff): number => {
  const up = udp_sk(sk)
  const m = sock_net(sk).mib.udp
  const drop = (reason: number): number => {
    m.InErrors++
    sk.sk_drops++
    sk_skb_reason_drop(sk, skb, reason)
    return -1
  }
  const csum_error = (): number => {
    m.InCsumErrors++
    return drop(SKB_DROP_REASON_UDP_CSUM)
  }
  if (!xfrm4_policy_check(sk, XFRM_POLICY_IN, skb)) return drop(SKB_DROP_REASON_XFRM_POLICY)
  nf_reset_ct(skb)
  if (udp_encap_needed_key && up.encap_type) {
    const { encap_rcv } = up
    if (encap_rcv !== null) {
      if (udp_lib_checksum_complete(skb)) return csum_error()
      if (tracer.on) traceIndirect('up->encap_rcv', nameOf(encap_rcv))
      const ret = encap_rcv(sk, skb)
      if (ret <= 0) {
        m.InDatagrams++
        return -ret
      }
    }
  }
  if (sk.sk_filter !== null && udp_lib_checksum_complete(skb)) return csum_error()
  if (sk_filter_trim_cap(sk, skb, SIZEOF_UDPHDR)) return drop(SKB_DROP_REASON_SOCKET_FILTER)
  udp_csum_pull_header(skb)
  ipv4_pktinfo_prepare(sk, skb, true)
  return __udp_queue_rcv_skb(sk, skb)
})

const udp_queue_rcv_skb = kfunc('udp_queue_rcv_skb', (sk: sock, skb: sk_buff): number => {
  if (!udp_unexpected_gso(sk, skb)) return udp_queue_rcv_one_skb(sk, skb)
  __skb_push(skb, -skb_mac_offset(skb))
  for (let seg = udp_rcv_segment(sk, skb, true); seg !== null; ) {
    const next: sk_buff | null = seg.next
    seg.next = null
    __skb_pull(seg, skb_transport_offset(seg))
    udp_post_segment_fix_csum(seg)
    const { dev } = seg
    const ret = udp_queue_rcv_one_skb(sk, seg)
    if (ret > 0) ip_protocol_deliver_rcu((dev as net_device).nd_net, seg, ret)
    seg = next
  }
  return 0
})

export const udp_sk_rx_dst_set = kfunc('udp_sk_rx_dst_set', (sk: sock, dst: dst_entry): boolean => {
  if (!dst_hold_safe(dst)) return false
  const old = sk.sk_rx_dst
  sk.sk_rx_dst = dst
  dst_release(old)
  return old !== dst
})

const __udp4_lib_mcast_deliver = kfunc(
  '__udp4_lib_mcast_deliver',
  (n: net, skb: sk_buff, uh: udphdr, saddr: number, daddr: number, udptable: udp_table_t, _proto: number): number => {
    const hnum = uh.dest
    const sport = uh.source
    const dif = (skb.dev as net_device).ifindex
    const sdif = inet_sdif(skb)
    const slot = udp_hashslot(udptable, n, hnum)
    const by_address = slot.count > 10
    const own = by_address ? udp_hashslot2(udptable, ipv4_portaddr_hash(n, daddr, hnum)) : slot
    const any = by_address ? udp_hashslot2(udptable, ipv4_portaddr_hash(n, 0, hnum)) : slot
    let first: sock | null = null
    for (const { head } of own === any ? [own] : [own, any])
      for (let p = head.next; p !== head; ) {
        const sk = p.owner as sock
        p = p.next
        if (!__udp_is_mcast_sock(n, sk, hnum, daddr, sport, saddr, dif, sdif, hnum)) continue
        if (first === null) {
          first = sk
          continue
        }
        const nskb = skb_clone(skb, GFP_ATOMIC)
        if (nskb === null) {
          sk.sk_drops++
          n.mib.udp.RcvbufErrors++
          n.mib.udp.InErrors++
          continue
        }
        if (udp_queue_rcv_skb(sk, nskb) > 0) consume_skb(nskb)
      }
    if (first !== null) {
      if (udp_queue_rcv_skb(first, skb) > 0) consume_skb(skb)
    } else {
      kfree_skb(skb)
      n.mib.udp.IgnoredMulti++
    }
    return 0
  },
)

/** include/net/ip.h */
const inet_compute_pseudo = (skb: sk_buff, proto: number): number => {
  const iph = ip_hdr(skb)
  return csum_tcpudp_nofold(iph.saddr, iph.daddr, skb.len, proto, 0)
}

/** 0: the checksum is right, or will be known when the payload is read */
const udp4_csum_init = kfunc('udp4_csum_init', (skb: sk_buff, uh: udphdr, proto: number): number => {
  const cb = UDP_SKB_CB(skb)
  cb.partial_cov = 0
  cb.cscov = skb.len
  const err = skb_checksum_init_zero_check(skb, proto, uh.check, inet_compute_pseudo)
  if (err) return err
  if (skb.ip_summed === CHECKSUM_COMPLETE && !skb.csum_valid) {
    if (skb.csum_complete_sw) return 1
    skb_checksum_complete_unset(skb)
  }
  return 0
})

const udp_unicast_rcv_skb = kfunc('udp_unicast_rcv_skb', (sk: sock, skb: sk_buff, uh: udphdr): number => {
  if (inet_sk(sk).convert_csum && uh.check) skb_checksum_try_convert(skb, IPPROTO_UDP, inet_compute_pseudo)
  const ret = udp_queue_rcv_skb(sk, skb)
  return ret > 0 ? -ret : 0
})

export const __udp4_lib_rcv = kfunc('__udp4_lib_rcv', (skb: sk_buff, udptable: udp_table_t, proto: number): number => {
  const n = (skb.dev as net_device).nd_net
  const rt = skb_rtable(skb) as rtable
  let sk: sock | null = null
  const drop = (reason: number): number => {
    n.mib.udp.InErrors++
    sk_skb_reason_drop(sk, skb, reason)
    return 0
  }
  const csum_error = (): number => {
    n.mib.udp.InCsumErrors++
    return drop(SKB_DROP_REASON_UDP_CSUM)
  }
  if (!pskb_may_pull(skb, SIZEOF_UDPHDR)) return drop(SKB_DROP_REASON_NOT_SPECIFIED)
  let uh = udp_hdr(skb)
  const ulen = uh.len
  const { saddr, daddr } = ip_hdr(skb)
  if (ulen > skb.len) return drop(SKB_DROP_REASON_PKT_TOO_SMALL)
  if (proto === IPPROTO_UDP) {
    if (ulen < SIZEOF_UDPHDR || pskb_trim_rcsum(skb, ulen)) return drop(SKB_DROP_REASON_PKT_TOO_SMALL)
    uh = udp_hdr(skb)
  }
  if (udp4_csum_init(skb, uh, proto)) return csum_error()
  const refcounted: ref<boolean> = { v: false }
  sk = inet_steal_sock(n, skb, SIZEOF_UDPHDR, saddr, uh.source, daddr, uh.dest, refcounted, udp_ehashfn)
  if (sk !== null) {
    const dst = skb_dst(skb)
    if (sk.sk_rx_dst !== dst && dst !== null) udp_sk_rx_dst_set(sk, dst)
    const ret = udp_unicast_rcv_skb(sk, skb, uh)
    if (refcounted.v) sock_put(sk)
    return ret
  }
  if (rt.rt_flags & (RTCF_BROADCAST | RTCF_MULTICAST)) return __udp4_lib_mcast_deliver(n, skb, uh, saddr, daddr, udptable, proto)
  sk = __udp4_lib_lookup_skb(skb, uh.source, uh.dest, udptable)
  if (sk !== null) return udp_unicast_rcv_skb(sk, skb, uh)
  if (!xfrm4_policy_check(null, XFRM_POLICY_IN, skb)) return drop(SKB_DROP_REASON_NOT_SPECIFIED)
  nf_reset_ct(skb)
  if (udp_lib_checksum_complete(skb)) return csum_error()
  n.mib.udp.NoPorts++
  if (tracer.on) decide('__udp4_lib_rcv', 'nobody listens', { dport: uh.dest, daddr })
  icmp_send(skb, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0)
  sk_skb_reason_drop(sk, skb, SKB_DROP_REASON_NO_SOCKET)
  return 0
})

const __udp4_lib_mcast_demux_lookup = kfunc(
  '__udp4_lib_mcast_demux_lookup',
  (n: net, loc_port: number, loc_addr: number, rmt_port: number, rmt_addr: number, dif: number, sdif: number): sock | null => {
    const hslot = udp_hashslot(n.ipv4.udp_table as udp_table_t, n, loc_port)
    if (hslot.count > 10) return null
    let result: sock | null = null
    for (let p = hslot.head.next; p !== hslot.head; p = p.next) {
      const sk = p.owner as sock
      if (!__udp_is_mcast_sock(n, sk, loc_port, loc_addr, rmt_port, rmt_addr, dif, sdif, loc_port)) continue
      if (result !== null) return null
      result = sk
    }
    return result
  },
)

const __udp4_lib_demux_lookup = kfunc(
  '__udp4_lib_demux_lookup',
  (n: net, loc_port: number, loc_addr: number, rmt_port: number, rmt_addr: number, dif: number, sdif: number): sock | null => {
    const hslot2 = udp_hashslot2(n.ipv4.udp_table as udp_table_t, ipv4_portaddr_hash(n, loc_addr, loc_port))
    // only the first of the chain: a longer search costs more than the route
    const sk = hslot2.head.next.owner
    if (
      sk === null ||
      sk.skc_net !== n ||
      sk.skc_daddr !== rmt_addr ||
      sk.skc_rcv_saddr !== loc_addr ||
      sk.skc_dport !== rmt_port ||
      sk.skc_num !== loc_port
    )
      return null
    return inet_bound_dev_eq(true, sk.skc_bound_dev_if, dif, sdif) ? sk : null
  },
)

/** finds a connected socket before the route: the socket remembers the route of what it gets */
export const udp_v4_early_demux = kfunc('udp_v4_early_demux', (skb: sk_buff): number => {
  const dev = skb.dev as net_device
  const n = dev.nd_net
  const dif = dev.ifindex
  const sdif = inet_sdif(skb)
  let in_dev: in_device | null = null
  let sk: sock | null = null
  if (!pskb_may_pull(skb, skb_transport_offset(skb) + SIZEOF_UDPHDR)) return 0
  const iph = ip_hdr(skb)
  const uh = udp_hdr(skb)
  if (skb.pkt_type === PACKET_MULTICAST) {
    in_dev = __in_dev_get_rcu(dev)
    if (in_dev === null || !ip_check_mc_rcu(in_dev, iph.daddr, iph.saddr, iph.protocol)) return 0
    sk = __udp4_lib_mcast_demux_lookup(n, uh.dest, iph.daddr, uh.source, iph.saddr, dif, sdif)
  } else if (skb.pkt_type === PACKET_HOST) sk = __udp4_lib_demux_lookup(n, uh.dest, iph.daddr, uh.source, iph.saddr, dif, sdif)
  if (sk === null) return 0
  skb.sk = sk
  skb.destructor = sock_pfree
  let dst = sk.sk_rx_dst
  if (dst !== null) dst = dst_check(dst, 0)
  if (dst !== null) {
    skb_dst_set_noref(skb, dst)
    if (!inet_sk(sk).inet_daddr && in_dev !== null)
      return ip_mc_validate_source(skb, iph.daddr, iph.saddr, iph.tos & INET_DSCP_MASK, dev, in_dev, { v: 0 })
  }
  return 0
})

export const udp_rcv = kfunc('udp_rcv', (skb: sk_buff): number =>
  __udp4_lib_rcv(skb, (skb.dev as net_device).nd_net.ipv4.udp_table as udp_table_t, IPPROTO_UDP),
)

export const udp_destroy_sock = kfunc('udp_destroy_sock', (sk: sock): void => {
  const up = udp_sk(sk)
  const slow = lock_sock_fast(sk)
  sock_set_flag(sk, SOCK_DEAD)
  udp_flush_pending_frames(sk)
  unlock_sock_fast(sk, slow)
  if (udp_encap_needed_key) {
    if (up.encap_type) up.encap_destroy?.(sk)
    if (udp_test_bit(UDP_FLAGS_ENCAP_ENABLED, sk)) udp_encap_needed_key--
  }
})

const get_int = (b: Uint8Array): number => (b[0] ?? 0) | ((b[1] ?? 0) << 8) | ((b[2] ?? 0) << 16) | ((b[3] ?? 0) << 24)

export const udp_lib_setsockopt = kfunc(
  'udp_lib_setsockopt',
  (
    sk: sock,
    level: number,
    optname: number,
    optval: Uint8Array,
    optlen: number,
    push_pending_frames: (sk: sock) => number,
  ): number => {
    const up = udp_sk(sk)
    if (level === SOL_SOCKET) {
      const err = sk_setsockopt(sk, level, optname, optval, optlen)
      if (optname === SO_RCVBUF || optname === SO_RCVBUFFORCE) {
        sockopt_lock_sock(sk)
        up.forward_threshold = sk.sk_rcvbuf >> 2
        sockopt_release_sock(sk)
      }
      return err
    }
    if (optlen < 4) return -EINVAL
    const val = get_int(optval)
    switch (optname) {
      case UDP_CORK:
        if (val !== 0) udp_set_bit(UDP_FLAGS_CORK, sk)
        else {
          udp_clear_bit(UDP_FLAGS_CORK, sk)
          lock_sock(sk)
          if (tracer.on) traceIndirect('push_pending_frames', nameOf(push_pending_frames))
          push_pending_frames(sk)
          release_sock(sk)
        }
        return 0
      case UDP_ENCAP:
        // no tunnel protocol is there to take the packets
        if (val !== 0 && val !== 2 && val !== 3) return -ENOPROTOOPT
        up.encap_type = val
        udp_tunnel_encap_enable(sk)
        return 0
      case UDP_NO_CHECK6_TX:
        udp_assign_bit(UDP_FLAGS_NO_CHECK6_TX, sk, val !== 0)
        return 0
      case UDP_NO_CHECK6_RX:
        udp_assign_bit(UDP_FLAGS_NO_CHECK6_RX, sk, val !== 0)
        return 0
      case UDP_SEGMENT:
        if (val < 0 || val > USHRT_MAX) return -EINVAL
        up.gso_size = val
        return 0
      case UDP_GRO:
        if (val) udp_tunnel_encap_enable(sk)
        udp_assign_bit(UDP_FLAGS_GRO_ENABLED, sk, val !== 0)
        udp_assign_bit(UDP_FLAGS_ACCEPT_L4, sk, val !== 0)
        return 0
      default:
        return -ENOPROTOOPT
    }
  },
)

export const udp_setsockopt = kfunc(
  'udp_setsockopt',
  (sk: sock, level: number, optname: number, optval: Uint8Array, optlen: number): number =>
    level === SOL_UDP || level === SOL_SOCKET
      ? udp_lib_setsockopt(sk, level, optname, optval, optlen, udp_push_pending_frames)
      : ip_setsockopt(sk, level, optname, optval, optlen),
)

export const udp_lib_getsockopt = kfunc(
  'udp_lib_getsockopt',
  (sk: sock, _level: number, optname: number, optval: number, optlen: ref<number>): number => {
    const up = udp_sk(sk)
    if (optlen.v < 0) return -EINVAL
    const len = Math.min(optlen.v, 4)
    let val: number
    switch (optname) {
      case UDP_CORK:
        val = udp_test_bit(UDP_FLAGS_CORK, sk) ? 1 : 0
        break
      case UDP_ENCAP:
        val = up.encap_type
        break
      case UDP_NO_CHECK6_TX:
        val = udp_test_bit(UDP_FLAGS_NO_CHECK6_TX, sk) ? 1 : 0
        break
      case UDP_NO_CHECK6_RX:
        val = udp_test_bit(UDP_FLAGS_NO_CHECK6_RX, sk) ? 1 : 0
        break
      case UDP_SEGMENT:
        val = up.gso_size
        break
      case UDP_GRO:
        val = udp_test_bit(UDP_FLAGS_GRO_ENABLED, sk) ? 1 : 0
        break
      case UDPLITE_SEND_CSCOV:
        val = up.pcslen
        break
      case UDPLITE_RECV_CSCOV:
        val = up.pcrlen
        break
      default:
        return -ENOPROTOOPT
    }
    optlen.v = len
    return copy_to_sockptr(optval, new Uint8Array([val, val >> 8, val >> 16, val >> 24]), len)
  },
)

export const udp_getsockopt = kfunc(
  'udp_getsockopt',
  (sk: sock, level: number, optname: number, optval: number, optlen: ref<number>): number =>
    level === SOL_UDP
      ? udp_lib_getsockopt(sk, level, optname, optval, optlen)
      : ip_getsockopt(sk, level, optname, optval, optlen),
)

export const udp_abort = kfunc('udp_abort', (sk: sock, err: number): number => {
  lock_sock(sk)
  if (!sock_flag(sk, SOCK_DEAD)) {
    sk.sk_err = err
    sk_error_report(sk)
    __udp_disconnect(sk, 0)
  }
  release_sock(sk)
  return 0
})

export const udp_prot: proto = { name: 'UDP', alloc: (): sock => new udp_sock(), obj_size: 1152 }

core_initcall(() => {
  udp_memory_allocated = { v: 0 }
  udp_memory_per_cpu_fw_alloc = { v: 0 }
  udp_encap_needed_key = 0
  udp_ehash_secret = random.u32()
  Object.assign(udp_prot, {
    close: udp_lib_close,
    pre_connect: udp_pre_connect,
    connect: ip4_datagram_connect,
    disconnect: udp_disconnect,
    ioctl: udp_ioctl,
    init: udp_init_sock,
    destroy: udp_destroy_sock,
    setsockopt: udp_setsockopt,
    getsockopt: udp_getsockopt,
    sendmsg: udp_sendmsg,
    recvmsg: udp_recvmsg,
    splice_eof: udp_splice_eof,
    release_cb: ip4_datagram_release_cb,
    hash: udp_lib_hash,
    unhash: udp_lib_unhash,
    rehash: udp_v4_rehash,
    get_port: udp_v4_get_port,
    put_port: udp_lib_unhash,
    memory_allocated: udp_memory_allocated,
    per_cpu_fw_alloc: udp_memory_per_cpu_fw_alloc,
    sysctl_mem: sysctl_udp_mem,
    sysctl_wmem_offset: (n: net): number => n.ipv4.sysctl_udp_wmem_min,
    sysctl_rmem_offset: (n: net): number => n.ipv4.sysctl_udp_rmem_min,
    diag_destroy: udp_abort,
    inuse: 0,
  } satisfies Partial<proto>)
})

/** buffer pages of a machine with 2 GiB */
const NR_FREE_BUFFER_PAGES = 490_000

export const udp_init = kfunc('udp_init', (): void => {
  udp_table = new udp_table_t(UDP_TABLE_SLOTS)
  const limit = Math.max(Math.floor(NR_FREE_BUFFER_PAGES / 8), 128)
  const low = Math.floor(limit / 4) * 3
  sysctl_udp_mem = [low, limit, low * 2]
  udp_prot.sysctl_mem = sysctl_udp_mem
  udp_busylocks = []
  for (let i = 0; i < 16; i++) udp_busylocks.push(new spinlock_t())
  register_pernet_subsys({
    init: (n: net): number => {
      n.ipv4.sysctl_udp_rmem_min = PAGE_SIZE
      n.ipv4.sysctl_udp_wmem_min = PAGE_SIZE
      n.ipv4.sysctl_udp_l3mdev_accept = 0
      n.ipv4.udp_table = udp_table
      return 0
    },
  })
})
