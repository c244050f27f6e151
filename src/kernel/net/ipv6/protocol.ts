import { kfunc } from '../../../trace/kfunc.ts'
import type { offload_callbacks } from '../../include/linux/netdevice.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import type { inet_skb_parm } from '../../include/net/ip.ts'

export const INET6_PROTO_NOPOLICY = 1
export const INET6_PROTO_FINAL = 2

/** struct inet6_protocol: who takes packets of a protocol. The handler's result above 0: go on with that next header. */
export interface inet6_protocol {
  handler: (skb: sk_buff) => number
  /** `offset`: from skb.data to the header of the protocol in the packet that the error speaks of */
  err_handler?: (skb: sk_buff, opt: inet_skb_parm, type: number, code: number, offset: number, info: number) => number
  flags: number
}
export interface inet6_offload {
  callbacks: offload_callbacks
  flags?: number
}

export let inet6_protos: (inet6_protocol | null)[] = []
export let inet6_offloads: (inet6_offload | null)[] = []

export function inet6_protos_init(): void {
  inet6_protos = new Array<inet6_protocol | null>(256).fill(null)
  inet6_offloads = new Array<inet6_offload | null>(256).fill(null)
}

/** 0, or -1 when the number is taken */
export const inet6_add_protocol = kfunc('inet6_add_protocol', (prot: inet6_protocol, protocol: number): number => {
  if (inet6_protos[protocol]) return -1
  inet6_protos[protocol] = prot
  return 0
})
export const inet6_add_offload = kfunc('inet6_add_offload', (prot: inet6_offload, protocol: number): number => {
  if (inet6_offloads[protocol]) return -1
  inet6_offloads[protocol] = prot
  return 0
})
