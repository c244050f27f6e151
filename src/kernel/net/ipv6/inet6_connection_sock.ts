import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { traceIndirect, tracer } from '../../../trace/tracer.ts'
import type { in6_addr } from '../../include/linux/in6.ts'
import { inet6_sk, sk_v6_daddr, sk_v6_rcv_saddr } from '../../include/linux/ipv6.ts'
import type { sockaddr } from '../../include/linux/net.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { AF_INET6 } from '../../include/linux/socket.ts'
import { IS_ERR } from '../../include/linux/types.ts'
import type { dst_entry } from '../../include/net/dst.ts'
import { type flowi, flowi6 } from '../../include/net/flow.ts'
import { inet_rsk, inet_sk } from '../../include/net/inet_sock.ts'
import type { request_sock } from '../../include/net/request_sock.ts'
import type { sock } from '../../include/net/sock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { security_req_classify_flow, security_sk_classify_flow } from '../../security/security.ts'
import { skb_dst_set_noref } from '../core/dst.ts'
import { kfree_skb } from '../core/skbuff.ts'
import { __sk_dst_check } from '../core/sock.ts'
import { ipv6_iface_scope_id } from './addrconf_core.ts'
import { fl6_update_dst } from './exthdrs.ts'
import { ip6_dst_lookup_flow, ip6_xmit } from './ip6_output.ts'
import { ip6_dst_store } from './route.ts'

export const inet6_csk_route_req = kfunc(
  'inet6_csk_route_req',
  (sk: sock, fl6: flowi6, req: request_sock, proto: number): dst_entry | null => {
    const ireq = inet_rsk(req)
    const np = inet6_sk(sk)

    fl6.assign(new flowi6())
    fl6.flowi6_proto = proto
    fl6.daddr.set(sk_v6_daddr(ireq))
    rcu_read_lock()
    const final_p = fl6_update_dst(fl6, np.opt, new Uint8Array(16))
    rcu_read_unlock()
    fl6.saddr.set(sk_v6_rcv_saddr(ireq))
    fl6.flowi6_oif = ireq.ir_iif
    fl6.flowi6_mark = ireq.ir_mark
    fl6.fl6_dport = ireq.ir_rmt_port
    fl6.fl6_sport = ireq.ir_num
    fl6.flowi6_uid = sk.sk_uid
    security_req_classify_flow(req, fl6)

    const dst = ip6_dst_lookup_flow(sk.sk_net, sk, fl6, final_p)
    return IS_ERR(dst) ? null : dst
  },
)

export const inet6_csk_addr2sockaddr = kfunc('inet6_csk_addr2sockaddr', (sk: sock, sin6: sockaddr): void => {
  sin6.sa_family = AF_INET6
  sin6.sin6_addr.set(sk_v6_daddr(sk))
  sin6.sin_port = inet_sk(sk).inet_dport
  sin6.sin6_flowinfo = 0
  sin6.sin6_scope_id = ipv6_iface_scope_id(sin6.sin6_addr, sk.sk_bound_dev_if)
})

const __inet6_csk_dst_check = kfunc('__inet6_csk_dst_check', (sk: sock, cookie: number): dst_entry | null =>
  __sk_dst_check(sk, cookie),
)

const inet6_csk_route_socket = kfunc('inet6_csk_route_socket', (sk: sock, fl6: flowi6): dst_entry | number => {
  const inet = inet_sk(sk)
  const np = inet6_sk(sk)

  fl6.flowi6_proto = sk.sk_protocol
  fl6.daddr.set(sk_v6_daddr(sk))
  fl6.saddr.set(np.saddr)
  fl6.flowlabel = np.flow_label
  fl6.flowi6_oif = sk.sk_bound_dev_if
  fl6.flowi6_mark = sk.sk_mark
  fl6.fl6_sport = inet.inet_sport
  fl6.fl6_dport = inet.inet_dport
  fl6.flowi6_uid = sk.sk_uid
  security_sk_classify_flow(sk, fl6)

  rcu_read_lock()
  const final_p: in6_addr | null = fl6_update_dst(fl6, np.opt, NOWHERE)
  rcu_read_unlock()

  let dst: dst_entry | number | null = __inet6_csk_dst_check(sk, np.dst_cookie)
  if (dst === null) {
    dst = ip6_dst_lookup_flow(sk.sk_net, sk, fl6, final_p)
    if (!IS_ERR(dst)) ip6_dst_store(sk, dst, null, false)
  }
  return dst
})
/** where fl6_update_dst() keeps the last address when there is a routing header */
const NOWHERE: in6_addr = new Uint8Array(16)

/** sends a segment of a connection */
export const inet6_csk_xmit = kfunc('inet6_csk_xmit', (sk: sock, skb: sk_buff, _fl_unused: flowi): number => {
  const np = inet6_sk(sk)
  const fl6 = new flowi6()

  const dst = inet6_csk_route_socket(sk, fl6)
  if (IS_ERR(dst)) {
    sk.sk_err_soft = -dst
    sk.sk_route_caps = 0n
    kfree_skb(skb)
    return dst
  }

  rcu_read_lock()
  skb_dst_set_noref(skb, dst)

  // the first router may stand there
  fl6.daddr.set(sk_v6_daddr(sk))

  const res = ip6_xmit(sk, skb, fl6, sk.sk_mark, np.opt, np.tclass, sk.sk_priority)
  rcu_read_unlock()
  return res
})

/** a router said that `mtu` is the most that passes; returns the route, null when there is none */
export const inet6_csk_update_pmtu = kfunc('inet6_csk_update_pmtu', (sk: sock, mtu: number): dst_entry | null => {
  let dst = inet6_csk_route_socket(sk, new flowi6())
  if (IS_ERR(dst)) return null
  if (tracer.on) traceIndirect('dst->ops->update_pmtu', nameOf(dst.ops.update_pmtu))
  dst.ops.update_pmtu?.(dst, sk, null, mtu, true)

  dst = inet6_csk_route_socket(sk, new flowi6())
  return IS_ERR(dst) ? null : dst
})
