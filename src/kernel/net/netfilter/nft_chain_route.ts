import { kfunc } from '../../../trace/kfunc.ts'
import { NF_INET_LOCAL_OUT, NFPROTO_INET, NFPROTO_IPV4, NFPROTO_IPV6 } from '../../include/generated/enums.ts'
import { module_init } from '../../include/linux/init.ts'
import { ip_hdr } from '../../include/linux/ip.ts'
import { NF_ACCEPT, NF_DROP_ERR, type nf_hook_state, type nf_hookfn } from '../../include/linux/netfilter.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { ipv6_stub } from '../../include/net/ipv6_stubs.ts'
import { NFT_CHAIN_T_ROUTE, type nft_chain, nft_pktinfo } from '../../include/net/netfilter/nf_tables.ts'
import { ip_route_me_harder } from '../ipv4/netfilter.ts'
import { nft_register_chain_type } from './nf_tables_api.ts'
import { nft_do_chain } from './nf_tables_core.ts'
import { nft_set_pktinfo_ipv4, nft_set_pktinfo_ipv6 } from './nft_chain_filter.ts'

const RTN_UNSPEC = 0

/** a chain that may send a packet another way: it is routed again when what routing looks at was changed */
const nf_route_table_hook4 = kfunc('nf_route_table_hook4', (priv: unknown, skb: sk_buff, state: nf_hook_state): number => {
  const pkt = new nft_pktinfo(skb, state)
  nft_set_pktinfo_ipv4(pkt)
  const { mark } = skb
  const { saddr, daddr, tos } = ip_hdr(skb)
  const ret = nft_do_chain(pkt, priv as nft_chain)
  if (ret !== NF_ACCEPT) return ret
  const iph = ip_hdr(skb)
  if (iph.saddr === saddr && iph.daddr === daddr && skb.mark === mark && iph.tos === tos) return ret
  const err = ip_route_me_harder(state.net, state.sk, skb, RTN_UNSPEC)
  return err < 0 ? NF_DROP_ERR(err) : ret
})

const nf_route_table_hook6 = kfunc('nf_route_table_hook6', (priv: unknown, skb: sk_buff, state: nf_hook_state): number => {
  const pkt = new nft_pktinfo(skb, state)
  nft_set_pktinfo_ipv6(pkt)
  const { mark } = skb
  const header = (): Uint8Array => skb.head.bytes.slice(skb.network_header, skb.network_header + 40)
  const before = header()
  const ret = nft_do_chain(pkt, priv as nft_chain)
  if (ret !== NF_ACCEPT) return ret
  const after = header()
  // version, traffic class and flow label; hop limit; addresses
  const same = after.every((b, i) => b === before[i] || (i >= 4 && i < 7))
  if (same && skb.mark === mark) return ret
  const err = ipv6_stub().ip6_route_me_harder(state.net, state.sk, skb)
  return err < 0 ? NF_DROP_ERR(err) : ret
})

const nf_route_table_inet = kfunc('nf_route_table_inet', (priv: unknown, skb: sk_buff, state: nf_hook_state): number => {
  if (state.pf === NFPROTO_IPV4) return nf_route_table_hook4(priv, skb, state)
  if (state.pf === NFPROTO_IPV6) return nf_route_table_hook6(priv, skb, state)
  return nft_do_chain(new nft_pktinfo(skb, state), priv as nft_chain)
})

module_init(() => {
  const type = (family: number, hook: nf_hookfn): void =>
    nft_register_chain_type({ name: 'route', type: NFT_CHAIN_T_ROUTE, family, hooks: { [NF_INET_LOCAL_OUT]: hook } })
  type(NFPROTO_IPV6, nf_route_table_hook6)
  type(NFPROTO_IPV4, nf_route_table_hook4)
  type(NFPROTO_INET, nf_route_table_inet)
})
