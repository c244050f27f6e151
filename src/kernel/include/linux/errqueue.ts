import type { sk_buff } from './skbuff.ts'

/** include/linux/errqueue.h: what the error queue of a socket keeps with a buffer (skb->cb) */
export class sock_exterr_skb {
  ee_errno = 0
  ee_origin = 0
  ee_type = 0
  ee_code = 0
  ee_pad = 0
  ee_info = 0
  ee_data = 0
  addr_offset = 0
  port = 0
  opt_stats = 0
}

export const SO_EE_ORIGIN_NONE = 0
export const SO_EE_ORIGIN_LOCAL = 1
export const SO_EE_ORIGIN_ICMP = 2
export const SO_EE_ORIGIN_ICMP6 = 3
export const SO_EE_ORIGIN_TXSTATUS = 4
export const SO_EE_ORIGIN_TIMESTAMPING = 4
export const SO_EE_ORIGIN_ZEROCOPY = 5
export const SO_EE_ORIGIN_TXTIME = 6
export const SO_EE_CODE_ZEROCOPY_COPIED = 1

export const SKB_EXT_ERR = (skb: sk_buff): sock_exterr_skb => {
  if (skb.cb instanceof sock_exterr_skb) return skb.cb
  const e = new sock_exterr_skb()
  skb.cb = e
  return e
}
