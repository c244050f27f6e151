import { kfunc } from '../../../trace/kfunc.ts'
import { CHECKSUM_COMPLETE, CHECKSUM_PARTIAL, type sk_buff } from '../../include/linux/skbuff.ts'
import { csum_add, csum_fold, csum_replace4, csum_sub } from '../../lib/checksum.ts'

/** what the checksum `sum` of a TCP or UDP header becomes when a word that it covers changes; `pseudohdr`: one of an address */
export const inet_proto_csum_replace4 = kfunc(
  'inet_proto_csum_replace4',
  (sum: number, skb: sk_buff, from: number, to: number, pseudohdr: boolean): number => {
    if (skb.ip_summed !== CHECKSUM_PARTIAL) {
      if (skb.ip_summed === CHECKSUM_COMPLETE && pseudohdr) skb.csum = ~csum_add(csum_sub(~skb.csum >>> 0, from), to) >>> 0
      return csum_replace4(sum, from, to)
    }
    // the field holds the sum of the pseudo header, not complemented
    return pseudohdr ? ~csum_fold(csum_add(csum_sub(sum, from), to)) & 0xffff : sum
  },
)

/** include/net/checksum.h */
export const inet_proto_csum_replace2 = kfunc(
  'inet_proto_csum_replace2',
  (sum: number, skb: sk_buff, from: number, to: number, pseudohdr: boolean): number =>
    inet_proto_csum_replace4(sum, skb, from, to, pseudohdr),
)
