import { kfunc } from '../../../trace/kfunc.ts'
import { SKB_DROP_REASON_NO_SOCKET, SKB_DROP_REASON_NOMEM } from '../../include/generated/enums.ts'
import { icmp_hdr } from '../../include/linux/icmp.ts'
import { ETH_P_IP } from '../../include/linux/if_ether.ts'
import { core_initcall } from '../../include/linux/init.ts'
import { ip_hdr } from '../../include/linux/ip.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import { AF_INET } from '../../include/linux/socket.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import type { ref } from '../../include/linux/types.ts'
import { inet_sk } from '../../include/net/inet_sock.ts'
import { inet_sdif } from '../../include/net/ip.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { sock } from '../../include/net/sock.ts'
import { sk_skb_reason_drop, skb_clone, skb_push } from '../core/skbuff.ts'
import { sock_net, sock_queue_rcv_skb_reason } from '../core/sock.ts'
import { inet_iif } from './route.ts'

// What every kernel does with echo replies and errors. The sockets themselves are in ping_sock.ts, which is loaded when one is made.

/** struct ping_table: sockets by identifier */
export let ping_table: { readonly lock: spinlock_t; readonly hash: Map<number, sock[]>; rover: number }
/** what a socket does with an error, once there are any */
let report: ((sk: sock, skb: sk_buff, icmph: number, info: number) => void) | null = null
export const register_ping_err = (f: NonNullable<typeof report>): void => {
  report = f
}
core_initcall(() => {
  ping_table = { lock: new spinlock_t(), hash: new Map(), rover: 0 }
})

const ICMP_ECHO = 8
const ICMP_EXT_ECHO = 42
/** echo requests are all that such a socket may send */
export const ping_supported = (family: number, type: number, code: number): boolean =>
  family === AF_INET && (type === ICMP_ECHO || type === ICMP_EXT_ECHO) && code === 0

const ping_lookup = kfunc('ping_lookup', (n: net, skb: sk_buff, ident: number): sock | null => {
  if (skb.protocol !== ETH_P_IP) return null
  const dif = inet_iif(skb)
  const sdif = inet_sdif(skb)
  for (const sk of ping_table.hash.get(ident) ?? []) {
    const { inet_rcv_saddr, sk_bound_dev_if } = inet_sk(sk)
    if (sock_net(sk) !== n || (inet_rcv_saddr && inet_rcv_saddr !== ip_hdr(skb).daddr)) continue
    if (sk_bound_dev_if && sk_bound_dev_if !== dif && sk_bound_dev_if !== sdif) continue
    return sk
  }
  return null
})

const __ping_queue_rcv_skb = kfunc('__ping_queue_rcv_skb', (sk: sock, skb: sk_buff): number => {
  const reason: ref<number> = { v: 0 }
  if (sock_queue_rcv_skb_reason(sk, skb, reason) >= 0) return 0
  sk_skb_reason_drop(sk, skb, reason.v)
  return reason.v
})
export const ping_queue_rcv_skb = kfunc('ping_queue_rcv_skb', (sk: sock, skb: sk_buff): number =>
  __ping_queue_rcv_skb(sk, skb) ? -1 : 0,
)

/** an answer to an echo request; the reason why nobody took it, or 0 */
export const ping_rcv = kfunc('ping_rcv', (skb: sk_buff): number => {
  const icmph = icmp_hdr(skb)
  skb_push(skb, skb.data - icmph.at)
  const sk = ping_lookup((skb.dev as net_device).nd_net, skb, icmph.id)
  if (sk === null) return SKB_DROP_REASON_NO_SOCKET
  const skb2 = skb_clone(skb, GFP_ATOMIC)
  return skb2 === null ? SKB_DROP_REASON_NOMEM : __ping_queue_rcv_skb(sk, skb2)
})

/** an error to an ICMP packet of this host's; that begins at `offset` of the data */
export const ping_err = kfunc('ping_err', (skb: sk_buff, offset: number, info: number): void => {
  const b = skb.head.bytes
  const at = skb.data + offset
  if (!ping_supported(AF_INET, b[at] ?? 0, b[at + 1] ?? 0)) return
  const sk = ping_lookup((skb.dev as net_device).nd_net, skb, ((b[at + 4] ?? 0) << 8) | (b[at + 5] ?? 0))
  if (sk !== null) report?.(sk, skb, at, info)
})
