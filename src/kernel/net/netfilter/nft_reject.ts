import { kfunc } from '../../../trace/kfunc.ts'
import {
  NF_INET_FORWARD,
  NF_INET_LOCAL_IN,
  NF_INET_LOCAL_OUT,
  NF_INET_PRE_ROUTING,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
} from '../../include/generated/enums.ts'
import { EOPNOTSUPP } from '../../include/linux/errno.ts'
import { NF_DROP } from '../../include/linux/netfilter.ts'
import { ipv6_stub } from '../../include/net/ipv6_stubs.ts'
import {
  type nft_expr,
  type nft_expr_ops,
  nft_hook,
  nft_net,
  nft_pf,
  type nft_pktinfo,
  type nft_regs,
} from '../../include/net/netfilter/nf_tables.ts'
import { nf_send_reset, nf_send_unreach } from '../ipv4/netfilter/nf_reject_ipv4.ts'

export const NFT_REJECT_ICMP_UNREACH = 0
export const NFT_REJECT_TCP_RST = 1
export const NFT_REJECT_ICMPX_UNREACH = 2

interface nft_reject extends nft_expr {
  readonly type: number
  readonly icmp_code: number
}
/** codes of ICMP and of ICMPv6 for those that both have: no route, port, host, prohibited */
const icmp_code_v4 = [0, 3, 1, 13]
const icmp_code_v6 = [0, 4, 3, 1]

const nft_reject_icmp_code = kfunc('nft_reject_icmp_code', (code: number): number => icmp_code_v4[code] ?? 0)
const nft_reject_icmpv6_code = kfunc('nft_reject_icmpv6_code', (code: number): number => icmp_code_v6[code] ?? 0)

const answer4 = (priv: nft_reject, pkt: nft_pktinfo): void => {
  if (priv.type === NFT_REJECT_TCP_RST) nf_send_reset(nft_net(pkt), pkt.state.sk, pkt.skb, nft_hook(pkt))
  else {
    const code = priv.type === NFT_REJECT_ICMPX_UNREACH ? nft_reject_icmp_code(priv.icmp_code) : priv.icmp_code
    nf_send_unreach(pkt.skb, code, nft_hook(pkt))
  }
}
const answer6 = (priv: nft_reject, pkt: nft_pktinfo): void => {
  // a packet of IPv6 is there: so is IPv6
  const { nf_send_reset6, nf_send_unreach6 } = ipv6_stub()
  if (priv.type === NFT_REJECT_TCP_RST) nf_send_reset6(nft_net(pkt), pkt.state.sk, pkt.skb, nft_hook(pkt))
  else {
    const code = priv.type === NFT_REJECT_ICMPX_UNREACH ? nft_reject_icmpv6_code(priv.icmp_code) : priv.icmp_code
    nf_send_unreach6(nft_net(pkt), pkt.skb, code, nft_hook(pkt))
  }
}
const nft_reject_ipv4_eval = kfunc('nft_reject_ipv4_eval', (expr: nft_expr, regs: nft_regs, pkt: nft_pktinfo): void => {
  answer4(expr as nft_reject, pkt)
  regs.verdict.code = NF_DROP
})
const nft_reject_ipv6_eval = kfunc('nft_reject_ipv6_eval', (expr: nft_expr, regs: nft_regs, pkt: nft_pktinfo): void => {
  answer6(expr as nft_reject, pkt)
  regs.verdict.code = NF_DROP
})
const nft_reject_inet_eval = kfunc('nft_reject_inet_eval', (expr: nft_expr, regs: nft_regs, pkt: nft_pktinfo): void => {
  if (nft_pf(pkt) === NFPROTO_IPV4) answer4(expr as nft_reject, pkt)
  else if (nft_pf(pkt) === NFPROTO_IPV6) answer6(expr as nft_reject, pkt)
  regs.verdict.code = NF_DROP
})

const hooks = [NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT, NF_INET_PRE_ROUTING]
const ops = (evaluate: nft_expr_ops['eval']): nft_expr_ops => ({
  name: 'reject',
  eval: evaluate,
  validate: ({ chain }) => (chain === null || chain.ops === null || hooks.includes(chain.ops.hooknum) ? 0 : -EOPNOTSUPP),
})
const nft_reject_ipv4_ops = ops(nft_reject_ipv4_eval)
const nft_reject_ipv6_ops = ops(nft_reject_ipv6_eval)
const nft_reject_inet_ops = ops(nft_reject_inet_eval)

export const nft_reject_expr = (family: number, type: number, icmp_code: number): nft_expr => {
  const by_family =
    family === NFPROTO_IPV4 ? nft_reject_ipv4_ops : family === NFPROTO_IPV6 ? nft_reject_ipv6_ops : nft_reject_inet_ops
  const e: nft_reject = { ops: by_family, type, icmp_code }
  return e
}
