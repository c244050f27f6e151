import { kfunc } from '../../../trace/kfunc.ts'
import type { netdev_features_t } from '../../include/linux/netdevice.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import type { ref } from '../../include/linux/types.ts'

/** no packet here has passed through IPsec */
export const validate_xmit_xfrm = kfunc(
  'validate_xmit_xfrm',
  (skb: sk_buff, _features: netdev_features_t, _again: ref<boolean>): sk_buff | null => skb,
)
