import { kfunc } from '../../../trace/kfunc.ts'
import { SKB_DROP_REASON_NO_SOCKET } from '../../include/generated/enums.ts'
import { icmp_hdr } from '../../include/linux/icmp.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { sock } from '../../include/net/sock.ts'
import { skb_push } from '../core/skbuff.ts'

/** no program here opens a ping socket: the table is empty */
const ping_lookup = kfunc('ping_lookup', (_n: net, _skb: sk_buff, _ident: number): sock | null => null)

/** an answer to an echo request; the reason why nobody took it */
export const ping_rcv = kfunc('ping_rcv', (skb: sk_buff): number => {
  const icmph = icmp_hdr(skb)
  skb_push(skb, skb.data - icmph.at)
  ping_lookup((skb.dev as net_device).nd_net, skb, icmph.id)
  return SKB_DROP_REASON_NO_SOCKET
})

export const ping_err = kfunc('ping_err', (skb: sk_buff, offset: number, _info: number): void => {
  const b = skb.head.bytes
  const at = skb.data + offset + 4
  ping_lookup((skb.dev as net_device).nd_net, skb, ((b[at] ?? 0) << 8) | (b[at + 1] ?? 0))
})
