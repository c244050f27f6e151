import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { traceIndirect, tracer } from '../../../trace/tracer.ts'
import { get_random_u16 } from '../../drivers/char/random.ts'
import { SOCK_BROADCAST, TCP_ESTABLISHED } from '../../include/generated/enums.ts'
import { EACCES, EAFNOSUPPORT, EINVAL, ENETUNREACH } from '../../include/linux/errno.ts'
import { ipv4_is_multicast } from '../../include/linux/in.ts'
import { RTCF_BROADCAST } from '../../include/linux/in_route.ts'
import type { sockaddr } from '../../include/linux/net.ts'
import { AF_INET } from '../../include/linux/socket.ts'
import { IS_ERR } from '../../include/linux/types.ts'
import { flowi4 } from '../../include/net/flow.ts'
import { inet_sk } from '../../include/net/inet_sock.ts'
import type { sock } from '../../include/net/sock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { netif_index_is_l3_master } from '../core/dev.ts'
import {
  __sk_dst_get,
  lock_sock,
  release_sock,
  sk_dst_reset,
  sk_dst_set,
  sk_set_txhash,
  sock_flag,
  sock_net,
} from '../core/sock.ts'
import { reuseport_has_conns_set } from '../core/sock_reuseport.ts'
import { ip_route_connect, ip_route_output_ports, ip_rt_put, ip_sock_rt_tos } from './route.ts'

const SIZEOF_SOCKADDR_IN = 16

export const __ip4_datagram_connect = kfunc('__ip4_datagram_connect', (sk: sock, uaddr: sockaddr, addr_len: number): number => {
  const inet = inet_sk(sk)
  if (addr_len < SIZEOF_SOCKADDR_IN) return -EINVAL
  if (uaddr.sa_family !== AF_INET) return -EAFNOSUPPORT
  const daddr = uaddr.sin_addr
  const dport = uaddr.sin_port
  sk_dst_reset(sk)
  let oif = sk.sk_bound_dev_if
  let saddr = inet.inet_saddr
  if (ipv4_is_multicast(daddr)) {
    if (!oif || netif_index_is_l3_master(sock_net(sk), oif)) oif = inet.mc_index
    if (!saddr) saddr = inet.mc_addr
  } else if (!oif) oif = inet.uc_index
  const fl4 = inet.cork.fl
  const rt = ip_route_connect(fl4, daddr, saddr, oif, sk.sk_protocol, inet.inet_sport, dport, sk)
  if (IS_ERR(rt)) {
    if (rt === -ENETUNREACH) sock_net(sk).mib.ip.OutNoRoutes++
    return rt
  }
  if (rt.rt_flags & RTCF_BROADCAST && !sock_flag(sk, SOCK_BROADCAST)) {
    ip_rt_put(rt)
    return -EACCES
  }
  if (!inet.inet_saddr) inet.inet_saddr = fl4.saddr
  if (!inet.inet_rcv_saddr) {
    inet.inet_rcv_saddr = fl4.saddr
    const { rehash } = sk.sk_prot
    if (rehash !== undefined) {
      if (tracer.on) traceIndirect('sk->sk_prot->rehash', nameOf(rehash))
      rehash(sk)
    }
  }
  inet.inet_daddr = fl4.daddr
  inet.inet_dport = dport
  reuseport_has_conns_set(sk)
  sk.sk_state = TCP_ESTABLISHED
  sk_set_txhash(sk)
  inet.inet_id = get_random_u16()
  sk_dst_set(sk, rt)
  return 0
})

export const ip4_datagram_connect = kfunc('ip4_datagram_connect', (sk: sock, uaddr: sockaddr, addr_len: number): number => {
  lock_sock(sk)
  const res = __ip4_datagram_connect(sk, uaddr, addr_len)
  release_sock(sk)
  return res
})

/** a route that died while the socket was in use is looked up anew when it is let go */
export const ip4_datagram_release_cb = kfunc('ip4_datagram_release_cb', (sk: sock): void => {
  const inet = inet_sk(sk)
  rcu_read_lock()
  const dst = __sk_dst_get(sk)
  if (tracer.on && dst?.obsolete && dst.ops.check) traceIndirect('dst->ops->check', nameOf(dst.ops.check))
  if (dst === null || !dst.obsolete || dst.ops.check?.(dst, 0)) {
    rcu_read_unlock()
    return
  }
  const daddr = inet.inet_opt?.srr ? inet.inet_opt.faddr : inet.inet_daddr
  const rt = ip_route_output_ports(
    sock_net(sk),
    new flowi4(),
    sk,
    daddr,
    inet.inet_saddr,
    inet.inet_dport,
    inet.inet_sport,
    sk.sk_protocol,
    ip_sock_rt_tos(sk),
    sk.sk_bound_dev_if,
  )
  sk_dst_set(sk, IS_ERR(rt) ? null : rt)
  rcu_read_unlock()
})
