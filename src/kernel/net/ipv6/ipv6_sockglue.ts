import { kfunc } from '../../../trace/kfunc.ts'
import { SOCK_RAW, SOCK_STREAM, TCPF_CLOSE, TCPF_LISTEN } from '../../include/generated/enums.ts'
import { EINVAL, ENODEV, ENOPROTOOPT, ENOTCONN, EPERM, EPROTO } from '../../include/linux/errno.ts'
import {
  IPV6_ADD_MEMBERSHIP,
  IPV6_AUTOFLOWLABEL,
  IPV6_DEFAULT_HOPLIMIT,
  IPV6_DEFAULT_MCASTHOPS,
  IPV6_DONTFRAG,
  IPV6_DROP_MEMBERSHIP,
  IPV6_FLOWINFO,
  IPV6_FLOWINFO_SEND,
  IPV6_MIN_MTU,
  IPV6_MINHOPCOUNT,
  IPV6_MTU,
  IPV6_MTU_DISCOVER,
  IPV6_MULTICAST_ALL,
  IPV6_MULTICAST_HOPS,
  IPV6_MULTICAST_IF,
  IPV6_MULTICAST_LOOP,
  IPV6_PMTUDISC_DONT,
  IPV6_PMTUDISC_OMIT,
  IPV6_RECVERR,
  IPV6_RECVHOPLIMIT,
  IPV6_RECVPATHMTU,
  IPV6_RECVPKTINFO,
  IPV6_RECVTCLASS,
  IPV6_TCLASS,
  IPV6_UNICAST_HOPS,
  IPV6_V6ONLY,
  LOOPBACK4_IPV6,
} from '../../include/linux/in6.ts'
import {
  INET_FLAGS_AUTOFLOWLABEL,
  INET_FLAGS_AUTOFLOWLABEL_SET,
  INET_FLAGS_DONTFRAG,
  INET_FLAGS_MC6_ALL,
  INET_FLAGS_RECVERR6,
  INET_FLAGS_SNDFLOW,
  inet6_sk,
  type ipv6_txoptions,
  RXOPT_RXFLOW,
  RXOPT_RXHLIM,
  RXOPT_RXINFO,
  RXOPT_RXPMTU,
  RXOPT_RXTCLASS,
} from '../../include/linux/ipv6.ts'
import { SOL_IP, SOL_IPV6 } from '../../include/linux/socket.ts'
import type { ref } from '../../include/linux/types.ts'
import { inet_csk } from '../../include/net/inet_connection_sock.ts'
import {
  INET_FLAGS_IS_ICSK,
  INET_FLAGS_MC6_LOOP,
  inet_assign_bit,
  inet_set_bit,
  inet_sk,
  inet_test_bit,
} from '../../include/net/inet_sock.ts'
import type { sock } from '../../include/net/sock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { copy_to_sockptr } from '../../lib/usercopy.ts'
import { dev_get_by_index } from '../core/dev.ts'
import { dst_mtu } from '../core/dst.ts'
import { __skb_queue_purge } from '../core/skbuff.ts'
import {
  __sk_dst_get,
  sk_dst_reset,
  sock_net,
  sockopt_lock_sock,
  sockopt_ns_capable,
  sockopt_release_sock,
} from '../core/sock.ts'
import { ip_getsockopt, ip_setsockopt } from '../ipv4/ip_sockglue.ts'
import { IPV6_DSTOPTS, IPV6_HOPOPTS, IPV6_RTHDRDSTOPTS, ipv6_renew_options } from './exthdrs.ts'
import { ip6_autoflowlabel } from './ip6_output.ts'
import { ipv6_sock_mc_drop, ipv6_sock_mc_join } from './mcast.ts'
import { ip6_dst_hoplimit } from './output_core.ts'
/** static key: some socket wants a least hop limit */
export const ip6_min_hopcount = { on: false }

const int_of = (b: Uint8Array): number => (b[0] ?? 0) | ((b[1] ?? 0) << 8) | ((b[2] ?? 0) << 16) | ((b[3] ?? 0) << 24)

/** options of the level IPV6 that are one bit of rxopt */
const RXOPT: Readonly<Record<number, number>> = {
  [IPV6_RECVPKTINFO]: RXOPT_RXINFO,
  [IPV6_RECVHOPLIMIT]: RXOPT_RXHLIM,
  [IPV6_RECVTCLASS]: RXOPT_RXTCLASS,
  [IPV6_RECVPATHMTU]: RXOPT_RXPMTU,
  [IPV6_FLOWINFO]: RXOPT_RXFLOW,
}

const CAP_NET_RAW = 13

/** the socket's options take effect with the next packet */
const ipv6_update_options = kfunc('ipv6_update_options', (sk: sock, opt: ipv6_txoptions | null): ipv6_txoptions | null => {
  if (inet_test_bit(INET_FLAGS_IS_ICSK, sk)) {
    const icsk = inet_csk(sk)
    if (opt !== null && !((1 << sk.sk_state) & (TCPF_LISTEN | TCPF_CLOSE)) && inet_sk(sk).inet_daddr !== LOOPBACK4_IPV6) {
      icsk.icsk_ext_hdr_len = opt.opt_flen + opt.opt_nflen
      icsk.icsk_sync_mss(sk, icsk.icsk_pmtu_cookie)
    }
  }
  const np = inet6_sk(sk)
  const old = np.opt
  np.opt = opt
  sk_dst_reset(sk)
  return old
})

/** a header that goes into every packet; without bytes it is taken out again: RFC 3542 */
const ipv6_set_opt_hdr = kfunc('ipv6_set_opt_hdr', (sk: sock, optname: number, optval: Uint8Array, optlen: number): number => {
  if (!sockopt_ns_capable(null, CAP_NET_RAW)) return -EPERM
  let made: Uint8Array | null = null
  if (optlen > 0) {
    if (optlen < 2 || optlen & 7 || optlen > 8 * 255) return -EINVAL
    const len = ((optval[1] ?? 0) + 1) << 3
    if (len > optlen) return -EINVAL
    made = optval.slice(0, len)
  }
  const old = ipv6_update_options(sk, ipv6_renew_options(sk, inet6_sk(sk).opt, optname, made))
  if (old !== null) sk.sk_omem_alloc -= old.tot_len
  return 0
})

const do_ipv6_setsockopt = kfunc(
  'do_ipv6_setsockopt',
  (sk: sock, _level: number, optname: number, optval: Uint8Array, optlen: number): number => {
    const np = inet6_sk(sk)
    if (optname === IPV6_HOPOPTS || optname === IPV6_RTHDRDSTOPTS || optname === IPV6_DSTOPTS) {
      sockopt_lock_sock(sk)
      const err = ipv6_set_opt_hdr(sk, optname, optval, optlen)
      sockopt_release_sock(sk)
      return err
    }
    if (optlen < 4) return -EINVAL
    const val = int_of(optval)
    const valbool = val !== 0
    let retv = 0
    sockopt_lock_sock(sk)
    const bit = RXOPT[optname]
    if (bit !== undefined) np.rxopt = valbool ? np.rxopt | bit : np.rxopt & ~bit
    else
      switch (optname) {
        case IPV6_V6ONLY:
          if (inet_sk(sk).inet_num) retv = -EINVAL
          else sk.skc_ipv6only = valbool ? 1 : 0
          break
        case IPV6_UNICAST_HOPS:
          if (val > 255 || val < -1) retv = -EINVAL
          else np.hop_limit = val
          break
        case IPV6_MULTICAST_HOPS:
          if (sk.sk_type === SOCK_STREAM) retv = -ENOPROTOOPT
          else if (val > 255 || val < -1) retv = -EINVAL
          else np.mcast_hops = val === -1 ? IPV6_DEFAULT_MCASTHOPS : val
          break
        case IPV6_MULTICAST_IF:
          if (sk.sk_type === SOCK_STREAM) retv = -ENOPROTOOPT
          else if (val && dev_get_by_index(sock_net(sk), val) === null) retv = -ENODEV
          else np.mcast_oif = val
          break
        case IPV6_MULTICAST_ALL:
          inet_assign_bit(INET_FLAGS_MC6_ALL, sk, valbool)
          break
        case IPV6_ADD_MEMBERSHIP:
        case IPV6_DROP_MEMBERSHIP: {
          // struct ipv6_mreq: a group, and an interface by number
          if (optlen < 20) retv = -EINVAL
          else if (inet_test_bit(INET_FLAGS_IS_ICSK, sk)) retv = -EPROTO
          else {
            const group = optval.slice(0, 16)
            const ifindex = int_of(optval.subarray(16))
            retv = optname === IPV6_ADD_MEMBERSHIP ? ipv6_sock_mc_join(sk, ifindex, group) : ipv6_sock_mc_drop(sk, ifindex, group)
          }
          break
        }
        case IPV6_MULTICAST_LOOP:
          if (val !== 0 && val !== 1) retv = -EINVAL
          else inet_assign_bit(INET_FLAGS_MC6_LOOP, sk, valbool)
          break
        case IPV6_TCLASS: {
          if (val < -1 || val > 255) {
            retv = -EINVAL
            break
          }
          let tclass = val === -1 ? 0 : val
          if (sk.sk_type === SOCK_STREAM) tclass = (tclass & ~3) | (np.tclass & 3)
          if (np.tclass !== tclass) {
            np.tclass = tclass
            sk_dst_reset(sk)
          }
          break
        }
        case IPV6_MTU_DISCOVER:
          if (val < IPV6_PMTUDISC_DONT || val > IPV6_PMTUDISC_OMIT) retv = -EINVAL
          else np.pmtudisc = val
          break
        case IPV6_MTU:
          if (val && val < IPV6_MIN_MTU) retv = -EINVAL
          else np.frag_size = val
          break
        case IPV6_RECVERR:
          inet_assign_bit(INET_FLAGS_RECVERR6, sk, valbool)
          if (!val) __skb_queue_purge(sk.sk_error_queue)
          break
        case IPV6_DONTFRAG:
          inet_assign_bit(INET_FLAGS_DONTFRAG, sk, valbool)
          break
        case IPV6_MINHOPCOUNT:
          if (val < 0 || val > 255) retv = -EINVAL
          else {
            if (val) ip6_min_hopcount.on = true
            np.min_hopcount = val
          }
          break
        case IPV6_FLOWINFO_SEND:
          inet_assign_bit(INET_FLAGS_SNDFLOW, sk, valbool)
          break
        case IPV6_AUTOFLOWLABEL:
          inet_assign_bit(INET_FLAGS_AUTOFLOWLABEL, sk, valbool)
          inet_set_bit(INET_FLAGS_AUTOFLOWLABEL_SET, sk)
          break
        default:
          retv = -ENOPROTOOPT
      }
    sockopt_release_sock(sk)
    return retv
  },
)

export const ipv6_setsockopt = kfunc(
  'ipv6_setsockopt',
  (sk: sock, level: number, optname: number, optval: Uint8Array, optlen: number): number => {
    if (level === SOL_IP && sk.sk_type !== SOCK_RAW) return ip_setsockopt(sk, level, optname, optval, optlen)
    return level === SOL_IPV6 ? do_ipv6_setsockopt(sk, level, optname, optval, optlen) : -ENOPROTOOPT
  },
)

const do_ipv6_getsockopt = kfunc(
  'do_ipv6_getsockopt',
  (sk: sock, _level: number, optname: number, optval: number, optlen: ref<number>): number => {
    const np = inet6_sk(sk)
    let val = 0
    const flag = (f: number): number => (inet_test_bit(f, sk) ? 1 : 0)
    const bit = RXOPT[optname]
    if (bit !== undefined) val = np.rxopt & bit ? 1 : 0
    else
      switch (optname) {
        case IPV6_V6ONLY:
          val = sk.skc_ipv6only ? 1 : 0
          break
        case IPV6_UNICAST_HOPS: {
          val = np.hop_limit
          if (val < 0) {
            rcu_read_lock()
            const dst = __sk_dst_get(sk)
            val = dst === null ? IPV6_DEFAULT_HOPLIMIT : ip6_dst_hoplimit(dst)
            rcu_read_unlock()
          }
          break
        }
        case IPV6_MULTICAST_HOPS:
          val = np.mcast_hops
          break
        case IPV6_MULTICAST_LOOP:
          val = flag(INET_FLAGS_MC6_LOOP)
          break
        case IPV6_TCLASS:
          val = np.tclass
          break
        case IPV6_MTU_DISCOVER:
          val = np.pmtudisc
          break
        case IPV6_MTU: {
          rcu_read_lock()
          const dst = __sk_dst_get(sk)
          if (dst !== null) val = dst_mtu(dst)
          rcu_read_unlock()
          if (!val) return -ENOTCONN
          break
        }
        case IPV6_RECVERR:
          val = flag(INET_FLAGS_RECVERR6)
          break
        case IPV6_DONTFRAG:
          val = flag(INET_FLAGS_DONTFRAG)
          break
        case IPV6_MINHOPCOUNT:
          val = np.min_hopcount
          break
        case IPV6_FLOWINFO_SEND:
          val = flag(INET_FLAGS_SNDFLOW)
          break
        case IPV6_AUTOFLOWLABEL:
          val = ip6_autoflowlabel(sock_net(sk), sk) ? 1 : 0
          break
        default:
          return -ENOPROTOOPT
      }
    const len = Math.min(4, optlen.v)
    optlen.v = len
    return copy_to_sockptr(optval, new Uint8Array([val, val >> 8, val >> 16, val >> 24]), len)
  },
)

export const ipv6_getsockopt = kfunc(
  'ipv6_getsockopt',
  (sk: sock, level: number, optname: number, optval: number, optlen: ref<number>): number => {
    if (level === SOL_IP && sk.sk_type !== SOCK_RAW) return ip_getsockopt(sk, level, optname, optval, optlen)
    return level === SOL_IPV6 ? do_ipv6_getsockopt(sk, level, optname, optval, optlen) : -ENOPROTOOPT
  },
)
