import { kfunc } from '../../../trace/kfunc.ts'
import {
  NF_INET_FORWARD,
  NF_INET_LOCAL_IN,
  NF_INET_LOCAL_OUT,
  NF_INET_POST_ROUTING,
  NF_INET_PRE_ROUTING,
  NFPROTO_INET,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
} from '../../include/generated/enums.ts'
import { module_init } from '../../include/linux/init.ts'
import { ip_hdr } from '../../include/linux/ip.ts'
import type { nf_hook_state, nf_hookfn } from '../../include/linux/netfilter.ts'
import { type sk_buff, skb_network_offset } from '../../include/linux/skbuff.ts'
import {
  NFT_CHAIN_T_DEFAULT,
  NFT_PKTINFO_L4PROTO,
  type nft_chain,
  type nft_chain_type,
  nft_pktinfo,
} from '../../include/net/netfilter/nf_tables.ts'
import { nft_register_chain_type } from './nf_tables_api.ts'
import { nft_do_chain } from './nf_tables_core.ts'

const IP_OFFSET = 0x1fff
const SIZEOF_IPV6HDR = 40
// extension headers that may come before the transport header
const NEXTHDR_HOP = 0
const NEXTHDR_ROUTING = 43
const NEXTHDR_FRAGMENT = 44
const NEXTHDR_AUTH = 51
const NEXTHDR_DEST = 60

export const nft_set_pktinfo_ipv4 = kfunc('nft_set_pktinfo_ipv4', (pkt: nft_pktinfo): void => {
  const ip = ip_hdr(pkt.skb)
  pkt.flags = NFT_PKTINFO_L4PROTO
  pkt.tprot = ip.protocol
  pkt.thoff = ip.ihl * 4 + skb_network_offset(pkt.skb)
  pkt.fragoff = ip.frag_off & IP_OFFSET
})

/** finds the transport header behind the extension headers */
export const nft_set_pktinfo_ipv6 = kfunc('nft_set_pktinfo_ipv6', (pkt: nft_pktinfo): void => {
  const { bytes } = pkt.skb.head
  let at = pkt.skb.network_header
  let nexthdr = bytes[at + 6] as number
  at += SIZEOF_IPV6HDR
  let fragoff = 0
  for (; fragoff === 0; ) {
    let len: number
    if (nexthdr === NEXTHDR_FRAGMENT) {
      fragoff = (((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)) & 0xfff8
      len = 8
    } else if (nexthdr === NEXTHDR_HOP || nexthdr === NEXTHDR_ROUTING || nexthdr === NEXTHDR_DEST)
      len = ((bytes[at + 1] as number) + 1) * 8
    else if (nexthdr === NEXTHDR_AUTH) len = ((bytes[at + 1] as number) + 2) * 4
    else break
    nexthdr = bytes[at] as number
    at += len
  }
  if (at > pkt.skb.tail) return
  pkt.flags = NFT_PKTINFO_L4PROTO
  pkt.tprot = nexthdr
  pkt.thoff = at - pkt.skb.data
  pkt.fragoff = fragoff
})

const nft_do_chain_ipv4 = kfunc('nft_do_chain_ipv4', (priv: unknown, skb: sk_buff, state: nf_hook_state): number => {
  const pkt = new nft_pktinfo(skb, state)
  nft_set_pktinfo_ipv4(pkt)
  return nft_do_chain(pkt, priv as nft_chain)
})
const nft_do_chain_ipv6 = kfunc('nft_do_chain_ipv6', (priv: unknown, skb: sk_buff, state: nf_hook_state): number => {
  const pkt = new nft_pktinfo(skb, state)
  nft_set_pktinfo_ipv6(pkt)
  return nft_do_chain(pkt, priv as nft_chain)
})
const nft_do_chain_inet = kfunc('nft_do_chain_inet', (priv: unknown, skb: sk_buff, state: nf_hook_state): number => {
  const pkt = new nft_pktinfo(skb, state)
  if (state.pf === NFPROTO_IPV4) nft_set_pktinfo_ipv4(pkt)
  else if (state.pf === NFPROTO_IPV6) nft_set_pktinfo_ipv6(pkt)
  return nft_do_chain(pkt, priv as nft_chain)
})

const everywhere = (hook: nf_hookfn): nft_chain_type['hooks'] => ({
  [NF_INET_LOCAL_IN]: hook,
  [NF_INET_LOCAL_OUT]: hook,
  [NF_INET_FORWARD]: hook,
  [NF_INET_PRE_ROUTING]: hook,
  [NF_INET_POST_ROUTING]: hook,
})

module_init(() => {
  const type = (family: number, hook: nf_hookfn): void =>
    nft_register_chain_type({ name: 'filter', type: NFT_CHAIN_T_DEFAULT, family, hooks: everywhere(hook) })
  type(NFPROTO_IPV4, nft_do_chain_ipv4)
  type(NFPROTO_IPV6, nft_do_chain_ipv6)
  type(NFPROTO_INET, nft_do_chain_inet)
})
