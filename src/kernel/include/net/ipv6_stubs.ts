import type { in6_addr } from '../linux/in6.ts'
import type { sk_buff } from '../linux/skbuff.ts'
import type { msghdr } from '../linux/socket.ts'
import type { ref } from '../linux/types.ts'
import type { net } from './net_namespace.ts'
import type { sock } from './sock.ts'

/** What IPv6 gives to code that serves both families. IPv6 is loaded when somebody asks for it: this is there then. */
export interface ipv6_stubs {
  udpv6_encap_enable: () => void
  inet6_ehashfn: (n: net, laddr: in6_addr, lport: number, faddr: in6_addr, fport: number) => number
  ipv6_recv_error: (sk: sock, msg: msghdr, len: number, addr_len: ref<number>) => number
  ip6_route_me_harder: (n: net, sk: sock | null, skb: sk_buff) => number
  nf_send_reset6: (n: net, sk: sock | null, oldskb: sk_buff, hook: number) => void
  nf_send_unreach6: (n: net, skb: sk_buff, code: number, hook: number) => void
}

let stubs: ipv6_stubs | null = null

/** only for sockets of AF_INET6: whoever has one has loaded IPv6 */
export const ipv6_stub = (): ipv6_stubs => stubs as ipv6_stubs
export const ipv6_stub_set = (s: ipv6_stubs): void => {
  stubs = s
}
