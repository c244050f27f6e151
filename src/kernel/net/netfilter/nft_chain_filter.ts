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
import { IP6_FH_F_AUTH, ipv6_find_hdr } from '../ipv6/exthdrs_core.ts'
import { nft_register_chain_type } from './nf_tables_api.ts'
import { nft_do_chain } from './nf_tables_core.ts'

const IP_OFFSET = 0x1fff

export const nft_set_pktinfo_ipv4 = kfunc('nft_set_pktinfo_ipv4', (pkt: nft_pktinfo): void => {
  const ip = ip_hdr(pkt.skb)
  pkt.flags = NFT_PKTINFO_L4PROTO
  pkt.tprot = ip.protocol
  pkt.thoff = ip.ihl * 4 + skb_network_offset(pkt.skb)
  pkt.fragoff = ip.frag_off & IP_OFFSET
})

/** finds the transport header behind the extension headers */
export const nft_set_pktinfo_ipv6 = kfunc('nft_set_pktinfo_ipv6', (pkt: nft_pktinfo): void => {
  const thoff = { v: 0 }
  const frag_off = { v: 0 }
  const protohdr = ipv6_find_hdr(pkt.skb, thoff, -1, frag_off, { v: IP6_FH_F_AUTH })
  if (protohdr < 0 || thoff.v > 0xffff) return
  pkt.flags = NFT_PKTINFO_L4PROTO
  pkt.tprot = protohdr
  pkt.thoff = thoff.v
  pkt.fragoff = frag_off.v
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
