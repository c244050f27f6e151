import { kfunc } from '../../../trace/kfunc.ts'
import {
  CTINFO2DIR,
  IP_CT_UNTRACKED,
  NF_CT_STATE_BIT,
  NF_CT_STATE_INVALID_BIT,
  NF_CT_STATE_UNTRACKED_BIT,
  nf_ct_get,
  nf_ct_info,
  untracked,
} from '../../include/net/netfilter/nf_conntrack.ts'
import {
  NFT_BREAK,
  type nft_expr,
  type nft_expr_ops,
  type nft_pktinfo,
  nft_reg_load32,
  nft_reg_store8,
  nft_reg_store32,
  type nft_regs,
} from '../../include/net/netfilter/nf_tables.ts'
import { nf_ct_netns_get, nf_ct_netns_put } from './nf_conntrack_proto.ts'

// enum nft_ct_keys
export const NFT_CT_STATE = 0
export const NFT_CT_DIRECTION = 1
export const NFT_CT_STATUS = 2
export const NFT_CT_MARK = 3

interface nft_ct extends nft_expr {
  readonly key: number
  readonly reg: number
}

/** net/netfilter/nft_ct_fast.c */
export const nft_ct_get_fast_eval = kfunc('nft_ct_get_fast_eval', (expr: nft_expr, regs: nft_regs, pkt: nft_pktinfo): void => {
  const { key, reg: dest } = expr as nft_ct
  const ct = nf_ct_get(pkt.skb)
  const ctinfo = nf_ct_info(pkt.skb)
  if (key === NFT_CT_STATE) {
    if (ct !== null) nft_reg_store32(regs, dest, NF_CT_STATE_BIT(ctinfo))
    else nft_reg_store32(regs, dest, ctinfo === IP_CT_UNTRACKED ? NF_CT_STATE_UNTRACKED_BIT : NF_CT_STATE_INVALID_BIT)
    return
  }
  if (ct === null) regs.verdict.code = NFT_BREAK
  else if (key === NFT_CT_DIRECTION) nft_reg_store8(regs, dest, CTINFO2DIR(ctinfo))
  else if (key === NFT_CT_STATUS) nft_reg_store32(regs, dest, ct.status)
  else nft_reg_store32(regs, dest, ct.mark)
})

const nft_ct_set_eval = kfunc('nft_ct_set_eval', (expr: nft_expr, regs: nft_regs, pkt: nft_pktinfo): void => {
  const ct = nf_ct_get(pkt.skb)
  if (ct !== null) ct.mark = nft_reg_load32(regs, (expr as nft_ct).reg)
})
const nft_notrack_eval = kfunc('nft_notrack_eval', (_expr: nft_expr, _regs: nft_regs, pkt: nft_pktinfo): void => {
  // what is tracked already stays so
  if (pkt.skb._nfct === null) pkt.skb._nfct = untracked
})

const tracked = (name: string, evaluate: nft_expr_ops['eval']): nft_expr_ops => ({
  name,
  eval: evaluate,
  init: (ctx) => nf_ct_netns_get(ctx.net, ctx.family),
  destroy: (ctx) => nf_ct_netns_put(ctx.net, ctx.family),
})
const nft_ct_get_fast_ops = tracked('ct', nft_ct_get_fast_eval)
const nft_ct_set_ops = tracked('ct', nft_ct_set_eval)
const nft_notrack_ops: nft_expr_ops = { name: 'notrack', eval: nft_notrack_eval }

export const nft_ct_load = (key: number, reg: number): nft_expr => {
  const e: nft_ct = { ops: nft_ct_get_fast_ops, key, reg }
  return e
}
export const nft_ct_set = (key: number, reg: number): nft_expr => {
  const e: nft_ct = { ops: nft_ct_set_ops, key, reg }
  return e
}
export const nft_notrack = (): nft_expr => ({ ops: nft_notrack_ops })
