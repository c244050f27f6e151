import { kfunc } from '../../../trace/kfunc.ts'
import { SKBTX_SW_TSTAMP } from '../../include/generated/enums.ts'
import { type sk_buff, skb_shinfo } from '../../include/linux/skbuff.ts'
import { skb_tstamp_tx } from './skbuff.ts'

/** no device here has a PHY with a clock */
export const skb_clone_tx_timestamp = kfunc('skb_clone_tx_timestamp', (_skb: sk_buff): void => {})
export const skb_defer_rx_timestamp = kfunc('skb_defer_rx_timestamp', (_skb: sk_buff): boolean => false)

/** include/linux/skbuff.h: drivers call it as they hand a packet to the hardware */
export const skb_tx_timestamp = kfunc('skb_tx_timestamp', (skb: sk_buff): void => {
  skb_clone_tx_timestamp(skb)
  if (skb_shinfo(skb).tx_flags & SKBTX_SW_TSTAMP) skb_tstamp_tx(skb, null)
})
