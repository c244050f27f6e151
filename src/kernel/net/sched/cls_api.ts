import { kfunc } from '../../../trace/kfunc.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'

export const TC_ACT_UNSPEC = -1

/**
 * What a chain of filters says of a packet: nothing, as there are no filters on this host (`tc filter` is refused by name).
 * @returns TC_ACT_*, TC_ACT_UNSPEC when none matched
 */
export const tcf_classify = kfunc(
  'tcf_classify',
  (_skb: sk_buff, _block: null, _tp: null, _res: null, _compat_mode: boolean): number => TC_ACT_UNSPEC,
)
