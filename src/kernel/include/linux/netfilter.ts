import type { net } from '../net/net_namespace.ts'
import type { sock } from '../net/sock.ts'
import type { net_device } from './netdevice.ts'
import type { sk_buff } from './skbuff.ts'

export const NF_DROP = 0
export const NF_ACCEPT = 1
export const NF_STOLEN = 2
export const NF_QUEUE = 3
export const NF_REPEAT = 4
export const NF_STOP = 5
export const NF_VERDICT_MASK = 0xff
export const NF_VERDICT_QBITS = 16
/** a drop that tells the sender why: a negative error */
export const NF_DROP_ERR = (x: number): number => (-x << NF_VERDICT_QBITS) | NF_DROP

/** struct nf_conntrack: the head of what connection tracking knows of a connection */
export class nf_conntrack {
  /** refcount_t: packets and tables that hold it */
  use = 0
}

/** skb->_nfct: a connection and how the packet belongs to it (IP_CT_*), which Linux keeps in the pointer's low bits. There is one
 * object of each pair, so that two packets can be compared by it. */
export interface nfct_ref {
  readonly ct: nf_conntrack | null
  readonly ctinfo: number
}

export type nf_okfn = (n: net, sk: sock | null, skb: sk_buff) => number

/** struct nf_hook_state: what a hook is told */
export interface nf_hook_state {
  hook: number
  pf: number
  in: net_device | null
  out: net_device | null
  sk: sock | null
  net: net
  okfn: nf_okfn
}

export type nf_hookfn = (priv: unknown, skb: sk_buff, state: nf_hook_state) => number

/** struct nf_hook_ops: what is registered */
export interface nf_hook_ops {
  hook: nf_hookfn
  dev: net_device | null
  priv: unknown
  pf: number
  hooknum: number
  priority: number
}

/** struct nf_hook_entries: the hooks of one place, by priority */
export interface nf_hook_entries {
  hooks: { hook: nf_hookfn; priv: unknown; ops: nf_hook_ops }[]
}
