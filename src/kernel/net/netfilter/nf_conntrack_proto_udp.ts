import { kfunc } from '../../../trace/kfunc.ts'
import { HZ, IPPROTO_UDP, NF_INET_PRE_ROUTING } from '../../include/generated/enums.ts'
import { get_be16 } from '../../include/linux/ip.ts'
import { NF_ACCEPT, type nf_hook_state } from '../../include/linux/netfilter.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import {
  IPS_ASSURED,
  IPS_CONFIRMED,
  IPS_NAT_CLASH,
  IPS_SEEN_REPLY,
  type nf_conn,
  nf_ct_state,
} from '../../include/net/netfilter/nf_conntrack.ts'
import { jiffies } from '../../kernel/time/timer.ts'
import { skb_header_pointer } from '../core/skbuff.ts'
import { nf_ct_refresh_acct } from './nf_conntrack_core.ts'
import { nf_checksum } from './utils.ts'

const UNREPLIED = 30 * HZ
const REPLIED = 120 * HZ
const header = new Uint8Array(8)

const udp_error = kfunc('udp_error', (skb: sk_buff, dataoff: number, state: nf_hook_state): boolean => {
  const udplen = skb.len - dataoff
  const at = skb_header_pointer(skb, dataoff, 8, header)
  if (at === -2) return true
  const b = at < 0 ? header : skb.head.bytes
  const o = Math.max(at, 0)
  const len = get_be16(b, o + 4)
  if (len > udplen || len < 8) return true
  if (get_be16(b, o + 6) === 0) return false
  return (
    state.hook === NF_INET_PRE_ROUTING &&
    nf_ct_state(state.net).sysctl_checksum !== 0 &&
    nf_checksum(skb, state.hook, dataoff, IPPROTO_UDP, state.pf) !== 0
  )
})

export const nf_conntrack_udp_packet = kfunc(
  'nf_conntrack_udp_packet',
  (ct: nf_conn, skb: sk_buff, dataoff: number, ctinfo: number, state: nf_hook_state): number => {
    if (udp_error(skb, dataoff, state)) return -NF_ACCEPT
    const { status } = ct
    if (!(status & IPS_CONFIRMED)) ct.udp_stream_ts = 2 * HZ + jiffies()
    if (!(status & IPS_SEEN_REPLY)) {
      nf_ct_refresh_acct(ct, ctinfo, skb, UNREPLIED)
      return NF_ACCEPT
    }
    // packets both ways for two seconds: a stream, which is kept for longer
    const active = jiffies() > ct.udp_stream_ts
    nf_ct_refresh_acct(ct, ctinfo, skb, active ? REPLIED : UNREPLIED)
    if (active && !(status & (IPS_NAT_CLASH | IPS_ASSURED))) ct.status |= IPS_ASSURED
    return NF_ACCEPT
  },
)
