import { kfunc } from '../../../trace/kfunc.ts'
import {
  NF_INET_LOCAL_IN,
  NF_INET_LOCAL_OUT,
  NF_INET_POST_ROUTING,
  NF_INET_PRE_ROUTING,
  NFPROTO_INET,
  NFPROTO_IPV4,
} from '../../include/generated/enums.ts'
import { EOPNOTSUPP } from '../../include/linux/errno.ts'
import { module_init } from '../../include/linux/init.ts'
import { ip_hdr } from '../../include/linux/ip.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import { NF_ACCEPT, NF_DROP, type nf_hook_state } from '../../include/linux/netfilter.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { nf_ct_get } from '../../include/net/netfilter/nf_conntrack.ts'
import {
  NFT_CHAIN_T_NAT,
  type nft_chain,
  type nft_ctx,
  type nft_expr,
  type nft_expr_ops,
  nft_pktinfo,
  nft_reg_load_be16,
  nft_reg_load_be32,
  type nft_regs,
} from '../../include/net/netfilter/nf_tables.ts'
import { rt_nexthop, type rtable, skb_rtable } from '../../include/net/route.ts'
import { inet_select_addr } from '../ipv4/devinet.ts'
import { nf_ct_netns_get, nf_ct_netns_put } from './nf_conntrack_proto.ts'
import {
  NF_NAT_MANIP_SRC,
  NF_NAT_RANGE_MAP_IPS,
  NF_NAT_RANGE_PROTO_SPECIFIED,
  type nf_nat_range2,
  nf_nat_setup_info,
} from './nf_nat_core.ts'
import { nf_nat_ipv4_register_fn, nf_nat_ipv4_unregister_fn } from './nf_nat_proto.ts'
import { nft_register_chain_type } from './nf_tables_api.ts'
import { nft_do_chain } from './nf_tables_core.ts'
import { nft_set_pktinfo_ipv4 } from './nft_chain_filter.ts'

// The build's tables do not have nft_chain_nat.c: what stands here in plain functions is a function of its own there.
// Chains of type nat (net/netfilter/nft_chain_nat.c), and the statements that only stand in them.

const nft_nat_do_chain = (priv: unknown, skb: sk_buff, state: nf_hook_state): number => {
  const pkt = new nft_pktinfo(skb, state)
  nft_set_pktinfo_ipv4(pkt)
  return nft_do_chain(pkt, priv as nft_chain)
}
module_init(() => {
  for (const family of [NFPROTO_IPV4, NFPROTO_INET])
    nft_register_chain_type({
      name: 'nat',
      type: NFT_CHAIN_T_NAT,
      family,
      hooks: {
        [NF_INET_PRE_ROUTING]: nft_nat_do_chain,
        [NF_INET_POST_ROUTING]: nft_nat_do_chain,
        [NF_INET_LOCAL_OUT]: nft_nat_do_chain,
        [NF_INET_LOCAL_IN]: nft_nat_do_chain,
      },
      ops_register: nf_nat_ipv4_register_fn,
      ops_unregister: nf_nat_ipv4_unregister_fn,
    })
})

/** net/netfilter/nf_nat_masquerade.c: the source becomes the address of the device that the packet leaves by */
const nf_nat_masquerade_ipv4 = kfunc(
  'nf_nat_masquerade_ipv4',
  (skb: sk_buff, _hooknum: number, range: nf_nat_range2, out: net_device): number => {
    const ct = nf_ct_get(skb)
    if (ct === null) return NF_ACCEPT
    if (ct.tuplehash[0].tuple.src[0] === 0) return NF_ACCEPT
    const newsrc = inet_select_addr(out, rt_nexthop(skb_rtable(skb) as rtable, ip_hdr(skb).daddr), 0)
    if (newsrc === 0) return NF_DROP
    ct.nat = { masq_index: out.ifindex }
    const addr = [newsrc, 0, 0, 0]
    return nf_nat_setup_info(
      ct,
      { ...range, flags: range.flags | NF_NAT_RANGE_MAP_IPS, min_addr: addr, max_addr: addr },
      NF_NAT_MANIP_SRC,
    )
  },
)

interface nft_nat extends nft_expr {
  /** NF_NAT_MANIP_* */
  readonly type: number
  readonly flags: number
  /** registers, 0 for none */
  readonly addr_min: number
  readonly addr_max: number
  readonly proto_min: number
  readonly proto_max: number
}
const none: readonly number[] = [0, 0, 0, 0]
function range_of(priv: nft_nat, regs: nft_regs): nf_nat_range2 {
  const addr = (reg: number): readonly number[] => (reg ? [nft_reg_load_be32(regs, reg), 0, 0, 0] : none)
  return {
    flags: priv.flags,
    min_addr: addr(priv.addr_min),
    max_addr: addr(priv.addr_max),
    min_proto: priv.proto_min ? nft_reg_load_be16(regs, priv.proto_min) : 0,
    max_proto: priv.proto_max ? nft_reg_load_be16(regs, priv.proto_max) : 0,
  }
}

const nft_masq_eval = kfunc('nft_masq_eval', (expr: nft_expr, regs: nft_regs, pkt: nft_pktinfo): void => {
  const { out, hook } = pkt.state
  if (out !== null) regs.verdict.code = nf_nat_masquerade_ipv4(pkt.skb, hook, range_of(expr as nft_nat, regs), out)
})
const nft_nat_eval = kfunc('nft_nat_eval', (expr: nft_expr, regs: nft_regs, pkt: nft_pktinfo): void => {
  const priv = expr as nft_nat
  const ct = nf_ct_get(pkt.skb)
  if (ct !== null) regs.verdict.code = nf_nat_setup_info(ct, range_of(priv, regs), priv.type)
})

/** only in a chain of type nat, at a hook where the packet can be changed that way */
function validate(ctx: nft_ctx, hooks: readonly number[]): number {
  const { chain } = ctx
  if (chain === null || chain.ops === null || chain.type === null) return 0
  return chain.type.type === NFT_CHAIN_T_NAT && hooks.includes(chain.ops.hooknum) ? 0 : -EOPNOTSUPP
}
const tracked = (name: string, evaluate: nft_expr_ops['eval'], hooks: (e: nft_nat) => readonly number[]): nft_expr_ops => ({
  name,
  eval: evaluate,
  validate: (ctx, expr) => validate(ctx, hooks(expr as nft_nat)),
  init: (ctx) => nf_ct_netns_get(ctx.net, ctx.family),
  destroy: (ctx) => nf_ct_netns_put(ctx.net, ctx.family),
})
const nft_masq_ops = tracked('masq', nft_masq_eval, () => [NF_INET_POST_ROUTING])
const nft_nat_ops = tracked('nat', nft_nat_eval, (e) =>
  e.type === NF_NAT_MANIP_SRC ? [NF_INET_POST_ROUTING, NF_INET_LOCAL_IN] : [NF_INET_PRE_ROUTING, NF_INET_LOCAL_OUT],
)

export function nft_masq(flags: number, proto_min: number, proto_max: number): nft_expr {
  const all = flags | (proto_min ? NF_NAT_RANGE_PROTO_SPECIFIED : 0)
  const e: nft_nat = { ops: nft_masq_ops, type: NF_NAT_MANIP_SRC, flags: all, addr_min: 0, addr_max: 0, proto_min, proto_max }
  return e
}
export function nft_nat_expr(
  type: number,
  flags: number,
  addr_min: number,
  addr_max: number,
  proto_min: number,
  proto_max: number,
): nft_expr {
  const all = flags | (addr_min ? NF_NAT_RANGE_MAP_IPS : 0) | (proto_min ? NF_NAT_RANGE_PROTO_SPECIFIED : 0)
  const e: nft_nat = { ops: nft_nat_ops, type, flags: all, addr_min, addr_max, proto_min, proto_max }
  return e
}
