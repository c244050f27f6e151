import { kfunc } from '../../../trace/kfunc.ts'
import { core_initcall } from '../../include/linux/init.ts'
import type { offload_callbacks } from '../../include/linux/netdevice.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'

/** include/net/protocol.h struct net_protocol: who takes packets of a protocol. Below 0: that protocol instead. */
export interface net_protocol {
  handler: (skb: sk_buff) => number
  err_handler: ((skb: sk_buff, info: number) => number) | null
  no_policy: boolean
  icmp_strict_tag_validation: boolean
}

/** struct net_offload: who cuts and joins packets of a protocol */
export interface net_offload {
  callbacks: offload_callbacks
}

export const MAX_INET_PROTOS = 256

/** by protocol number */
export let inet_protos: (net_protocol | null)[] = []
export let inet_offloads: (net_offload | null)[] = []

/** 0, or -1 when the number is taken */
export const inet_add_protocol = kfunc('inet_add_protocol', (prot: net_protocol, protocol: number): number => {
  if (inet_protos[protocol]) return -1
  inet_protos[protocol] = prot
  return 0
})

export const inet_add_offload = kfunc('inet_add_offload', (prot: net_offload, protocol: number): number => {
  if (inet_offloads[protocol]) return -1
  inet_offloads[protocol] = prot
  return 0
})

core_initcall(() => {
  inet_protos = new Array<net_protocol | null>(MAX_INET_PROTOS).fill(null)
  inet_offloads = new Array<net_offload | null>(MAX_INET_PROTOS).fill(null)
})
