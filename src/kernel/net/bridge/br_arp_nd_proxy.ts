import { kfunc } from '../../../trace/kfunc.ts'
import { IFF_NOARP } from '../../include/generated/enums.ts'
import { ARPOP_REQUEST } from '../../include/linux/if_arp.ts'
import { ETH_P_IP } from '../../include/linux/if_ether.ts'
import { ipv4_is_loopback, ipv4_is_multicast } from '../../include/linux/in.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { neigh_lookup, neigh_release } from '../core/neighbour.ts'
import { pskb_may_pull } from '../core/skbuff.ts'
import { arp_tbl } from '../ipv4/arp.ts'
import { BR_INPUT_SKB_CB, type net_bridge, type net_bridge_port } from './br_private.ts'

/** arphdr, two link addresses, two IPv4 addresses */
const ARP_HDR_LEN = 28

/** a bridge may answer for hosts behind ports that ask for it (proxy_arp): no port does */
export const br_do_proxy_suppress_arp = kfunc(
  'br_do_proxy_suppress_arp',
  (skb: sk_buff, br: net_bridge, _vid: number, _p: net_bridge_port | null): void => {
    BR_INPUT_SKB_CB(skb).proxyarp_replied = 0
    if (br.dev.flags & IFF_NOARP || !pskb_may_pull(skb, ARP_HDR_LEN)) return
    const b = skb.head.bytes
    const at = skb.network_header
    const be16 = (o: number): number => ((b[at + o] ?? 0) << 8) | (b[at + o + 1] ?? 0)
    if (be16(2) !== ETH_P_IP || b[at + 4] !== 6 || b[at + 5] !== 4) return
    const tip = ((be16(24) << 16) | be16(26)) >>> 0
    if (ipv4_is_loopback(tip) || ipv4_is_multicast(tip) || be16(6) !== ARPOP_REQUEST) return
    const n = neigh_lookup(arp_tbl, tip, br.dev)
    if (n !== null) neigh_release(n)
  },
)
