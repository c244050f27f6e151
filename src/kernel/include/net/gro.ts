import type { sk_buff } from '../linux/skbuff.ts'

export const MAX_GRO_SKBS = 8
export const GRO_HASH_BUCKETS = 8
export const GRO_RECURSION_LIMIT = 15
/** napi_gro_cb.free */
export const NAPI_GRO_FREE = 1
export const NAPI_GRO_FREE_STOLEN_HEAD = 2

/** include/net/gro.h struct napi_gro_cb: what GRO keeps in skb->cb */
export class napi_gro_cb {
  /** where the packet's first bytes are, headers at least: in the head, or still in the first page */
  frag0: Uint8Array | null = null
  frag0_off = 0
  frag0_len = 0
  /** the buffer that was joined last */
  last: sk_buff | null = null
  /** jiffies */
  age = 0
  /** how far headers have been looked at, from skb->data */
  data_offset = 0
  /** nonzero: nothing can be joined to this one */
  flush = 0
  /** packets in one */
  count = 0
  proto = 0
  gro_remcsum_start = 0
  same_flow = 0
  encap_mark = 0
  csum_valid = 0
  csum_cnt = 0
  free = 0
  is_ipv6 = 0
  is_fou = 0
  ip_fixedid = 0
  recursion_counter = 0
  is_flist = 0
  csum = 0
  /** outer, inner */
  readonly network_offsets: [number, number] = [0, 0]

  /** the part that starts anew with each packet */
  zero(): void {
    this.gro_remcsum_start = 0
    this.same_flow = 0
    this.encap_mark = 0
    this.csum_valid = 0
    this.csum_cnt = 0
    this.free = 0
    this.is_ipv6 = 0
    this.is_fou = 0
    this.ip_fixedid = 0
    this.recursion_counter = 0
    this.is_flist = 0
  }
}

export function NAPI_GRO_CB(skb: sk_buff): napi_gro_cb {
  if (skb.cb instanceof napi_gro_cb) return skb.cb
  const cb = new napi_gro_cb()
  skb.cb = cb
  return cb
}
export const skb_gro_offset = (skb: sk_buff): number => NAPI_GRO_CB(skb).data_offset
export const skb_gro_len = (skb: sk_buff): number => skb.len - NAPI_GRO_CB(skb).data_offset
export const skb_gro_pull = (skb: sk_buff, len: number): void => {
  NAPI_GRO_CB(skb).data_offset += len
}
export const skb_gro_may_pull = (skb: sk_buff, hlen: number): boolean => hlen <= NAPI_GRO_CB(skb).frag0_len
export const skb_gro_receive_network_offset = (skb: sk_buff): number => {
  const cb = NAPI_GRO_CB(skb)
  return cb.network_offsets[cb.encap_mark ? 1 : 0]
}
