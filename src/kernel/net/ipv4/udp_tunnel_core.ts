import { kfunc } from '../../../trace/kfunc.ts'
import { IPPROTO_UDP, SOCK_DGRAM } from '../../include/generated/enums.ts'
import { ELOOP, ENETUNREACH } from '../../include/linux/errno.ts'
import { sockaddr_in, type socket } from '../../include/linux/net.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import { type sk_buff, skb_reset_transport_header } from '../../include/linux/skbuff.ts'
import { AF_INET } from '../../include/linux/socket.ts'
import { IS_ERR, type ref } from '../../include/linux/types.ts'
import { SIZEOF_UDPHDR, udp_hdr, udp_sk, type udp_sock } from '../../include/linux/udp.ts'
import type { dst_cache } from '../../include/net/dst_cache.ts'
import { flowi4 } from '../../include/net/flow.ts'
import { INET_FLAGS_MC_LOOP, inet_clear_bit, inet_sk } from '../../include/net/inet_sock.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { rtable } from '../../include/net/route.ts'
import type { sock } from '../../include/net/sock.ts'
import { synchronize_rcu } from '../../kernel/rcu.ts'
import { dst_cache_get_ip4, dst_cache_set_ip4 } from '../core/dst_cache.ts'
import { __skb_push } from '../core/skbuff.ts'
import { sock_bindtoindex } from '../core/sock.ts'
import { kernel_bind, kernel_sock_shutdown, sock_create_kern, sock_release } from '../socket.ts'
import { iptunnel_xmit } from './ip_tunnel_core.ts'
import { ip_route_output_key, ip_rt_put } from './route.ts'
import { udp_set_csum, udp_tunnel_encap_enable } from './udp.ts'

const SHUT_RDWR = 2
const INET_DSCP_MASK = 0xfc
const SIZEOF_SOCKADDR_IN = 16

/** struct udp_port_cfg: IPv4's part. Addresses and ports in host order. */
export interface udp_port_cfg {
  local_ip: number
  local_udp_port: number
  bind_ifindex: number
  use_udp_checksums: boolean
}

/** struct udp_tunnel_sock_cfg */
export interface udp_tunnel_sock_cfg {
  sk_user_data: unknown
  encap_type: number
  encap_rcv: NonNullable<udp_sock['encap_rcv']>
  encap_err_lookup: NonNullable<udp_sock['encap_err_lookup']>
  gro_receive: NonNullable<udp_sock['gro_receive']>
  gro_complete: NonNullable<udp_sock['gro_complete']>
}

/** a socket of the kernel's own, bound to the tunnel's port; an error in its place */
export const udp_sock_create4 = kfunc('udp_sock_create4', (n: net, cfg: udp_port_cfg): socket | number => {
  const ref: ref<socket | null> = { v: null }
  let err = sock_create_kern(n, AF_INET, SOCK_DGRAM, 0, ref)
  const sock = ref.v
  if (err < 0 || sock === null) return err
  const sk = sock.sk as sock
  if (cfg.bind_ifindex) err = sock_bindtoindex(sk, cfg.bind_ifindex, true)
  if (err >= 0) err = kernel_bind(sock, sockaddr_in(cfg.local_ip, cfg.local_udp_port), SIZEOF_SOCKADDR_IN)
  if (err < 0) {
    kernel_sock_shutdown(sock, SHUT_RDWR)
    sock_release(sock)
    return err
  }
  sk.sk_no_check_tx = cfg.use_udp_checksums ? 0 : 1
  return sock
})

/** gives what the socket receives to the tunnel */
export const setup_udp_tunnel_sock = kfunc('setup_udp_tunnel_sock', (_n: net, sock: socket, cfg: udp_tunnel_sock_cfg): void => {
  const sk = sock.sk as sock
  const up = udp_sk(sk)
  inet_clear_bit(INET_FLAGS_MC_LOOP, sk)
  inet_sk(sk).convert_csum++
  sk.sk_user_data = cfg.sk_user_data
  up.encap_type = cfg.encap_type
  up.encap_rcv = cfg.encap_rcv
  up.encap_err_lookup = cfg.encap_err_lookup
  up.gro_receive = cfg.gro_receive
  up.gro_complete = cfg.gro_complete
  udp_tunnel_encap_enable(sk)
})

/** puts the outer UDP header before a packet, and lets the outer IPv4 header follow. Ports and addresses in host order. */
export const udp_tunnel_xmit_skb = kfunc(
  'udp_tunnel_xmit_skb',
  (rt: rtable, sk: sock, skb: sk_buff, src: number, dst: number, ip: outer_ip, src_port: number, dst_port: number): void => {
    __skb_push(skb, SIZEOF_UDPHDR)
    skb_reset_transport_header(skb)
    const uh = udp_hdr(skb)
    uh.dest = dst_port
    uh.source = src_port
    uh.len = skb.len & 0xffff
    skb.inet_cb = null
    udp_set_csum(ip.nocheck, skb, src, dst, skb.len)
    iptunnel_xmit(sk, rt, skb, src, dst, IPPROTO_UDP, ip.tos, ip.ttl, ip.df, ip.xnet)
  },
)

/** what the outer header says; in Linux these are parameters of their own */
export interface outer_ip {
  tos: number
  ttl: number
  df: number
  /** the outer packet is in another namespace than the inner one */
  xnet: boolean
  /** no UDP checksum */
  nocheck: boolean
}

export const udp_tunnel_sock_release = kfunc('udp_tunnel_sock_release', (sock: socket): void => {
  if (sock.sk !== null) sock.sk.sk_user_data = null
  synchronize_rcu()
  kernel_sock_shutdown(sock, SHUT_RDWR)
  sock_release(sock)
})

/** struct ip_tunnel_key, IPv4's part */
export interface ip_tunnel_key {
  src: number
  dst: number
}

/** the route to a tunnel's other end, from the cache when it is there; in `saddr` the outer source address */
export const udp_tunnel_dst_lookup = kfunc(
  'udp_tunnel_dst_lookup',
  (
    skb: sk_buff,
    dev: net_device,
    n: net,
    oif: number,
    saddr: ref<number>,
    key: ip_tunnel_key,
    sport: number,
    dport: number,
    tos: number,
    cache: dst_cache | null,
  ): rtable | number => {
    if (cache !== null) {
      const cached = dst_cache_get_ip4(cache, saddr)
      if (cached !== null) return cached
    }
    const fl4 = new flowi4()
    fl4.flowi4_mark = skb.mark
    fl4.flowi4_proto = IPPROTO_UDP
    fl4.flowi4_oif = oif
    fl4.daddr = key.dst
    fl4.saddr = key.src
    fl4.fl4_dport = dport
    fl4.fl4_sport = sport
    fl4.flowi4_tos = tos & INET_DSCP_MASK
    const rt = ip_route_output_key(n, fl4)
    if (IS_ERR(rt)) return -ENETUNREACH
    if (rt.dev === dev) {
      ip_rt_put(rt)
      return -ELOOP
    }
    if (cache !== null) dst_cache_set_ip4(cache, rt, fl4.saddr)
    saddr.v = fl4.saddr
    return rt
  },
)
