import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracer } from '../../../trace/tracer.ts'
import { SKB_DROP_REASON_NETFILTER_DROP } from '../../include/generated/enums.ts'
import { EPERM } from '../../include/linux/errno.ts'
import { NF_ACCEPT, NF_DROP, NF_QUEUE, NF_STOLEN, NF_VERDICT_MASK, NF_VERDICT_QBITS } from '../../include/linux/netfilter.ts'
import { type sk_buff, skb_headlen } from '../../include/linux/skbuff.ts'
import {
  NFT_BREAK,
  NFT_CONTINUE,
  NFT_GOTO,
  NFT_JUMP,
  NFT_JUMP_STACK_SIZE,
  NFT_PKTINFO_L4PROTO,
  type nft_chain,
  type nft_expr,
  type nft_pktinfo,
  nft_regs,
  type nft_rule,
  nft_thoff,
} from '../../include/net/netfilter/nf_tables.ts'
import { kfree_skb_reason } from '../core/skbuff.ts'
import { nft_bitwise_apply, type nft_bitwise_expr, nft_bitwise_fast_ops } from './nft_bitwise.ts'
import { NFT_CMP_NEQ, type nft_cmp_expr, nft_cmp_fast_ops, nft_cmp16_fast_ops, nft_reg_cmp } from './nft_cmp.ts'
import { NFT_PAYLOAD_NETWORK_HEADER, type nft_payload, nft_payload_fast_ops } from './nft_payload.ts'

/** include/linux/netfilter.h: the packet is dropped here and now, and whoever sent it is told `err` */
const NF_DROP_REASON = kfunc('NF_DROP_REASON', (skb: sk_buff, reason: number, err: number): number => {
  kfree_skb_reason(skb, reason)
  return (err << NF_VERDICT_QBITS) | NF_STOLEN
})

const nft_bitwise_fast_eval = kfunc('nft_bitwise_fast_eval', (expr: nft_expr, regs: nft_regs): void => {
  nft_bitwise_apply(expr as nft_bitwise_expr, regs)
})

function cmp_eval(priv: nft_cmp_expr, regs: nft_regs): void {
  const differs = nft_reg_cmp(regs, priv.sreg, priv.data) !== 0
  if (differs !== (priv.op === NFT_CMP_NEQ)) regs.verdict.code = NFT_BREAK
}
const nft_cmp_fast_eval = kfunc('nft_cmp_fast_eval', (expr: nft_expr, regs: nft_regs): void => {
  cmp_eval(expr as nft_cmp_expr, regs)
})
const nft_cmp16_fast_eval = kfunc('nft_cmp16_fast_eval', (expr: nft_expr, regs: nft_regs): void => {
  cmp_eval(expr as nft_cmp_expr, regs)
})

const nft_payload_fast_eval = kfunc('nft_payload_fast_eval', (expr: nft_expr, regs: nft_regs, pkt: nft_pktinfo): boolean => {
  const priv = expr as nft_payload
  const { skb } = pkt
  let ptr: number
  if (priv.base === NFT_PAYLOAD_NETWORK_HEADER) ptr = skb.network_header
  else {
    if (!(pkt.flags & NFT_PKTINFO_L4PROTO)) return false
    ptr = skb.data + nft_thoff(pkt)
  }
  ptr += priv.offset
  if (ptr + priv.len > skb.data + skb_headlen(skb)) return false
  regs.data.fill(0, priv.dreg, priv.dreg + 4)
  for (let i = 0; i < priv.len; i++) regs.data[priv.dreg + i] = skb.head.bytes[ptr + i] as number
  return true
})

const expr_call_ops_eval = kfunc('expr_call_ops_eval', (expr: nft_expr, regs: nft_regs, pkt: nft_pktinfo): void => {
  if (tracer.on) traceIndirect('expr->ops->eval', nameOf(expr.ops.eval))
  expr.ops.eval(expr, regs, pkt)
})

function nft_rule_eval(rule: nft_rule, regs: nft_regs, pkt: nft_pktinfo): void {
  for (const expr of rule.exprs) {
    const { ops } = expr
    if (ops === nft_cmp_fast_ops) nft_cmp_fast_eval(expr, regs)
    else if (ops === nft_cmp16_fast_ops) nft_cmp16_fast_eval(expr, regs)
    else if (ops === nft_bitwise_fast_ops) nft_bitwise_fast_eval(expr, regs)
    else if (ops !== nft_payload_fast_ops || !nft_payload_fast_eval(expr, regs, pkt)) expr_call_ops_eval(expr, regs, pkt)
    if (regs.verdict.code !== NFT_CONTINUE) return
  }
}

/** walks the rules of a chain, and of those that it leads to; @returns the verdict for the packet */
export const nft_do_chain = kfunc('nft_do_chain', (pkt: nft_pktinfo, priv: nft_chain): number => {
  const basechain = priv
  const regs = new nft_regs()
  const { verdict } = regs
  const jumpstack: { rules: readonly nft_rule[]; at: number }[] = []
  let { rules } = basechain
  let at = 0
  for (;;) {
    verdict.code = NFT_CONTINUE
    for (; at < rules.length; at++) {
      const rule = rules[at]
      if (rule === undefined) break
      nft_rule_eval(rule, regs, pkt)
      if (verdict.code === NFT_BREAK) verdict.code = NFT_CONTINUE
      else if (verdict.code !== NFT_CONTINUE) break
    }
    const { code } = verdict
    if (code >= 0)
      switch (code & NF_VERDICT_MASK) {
        case NF_ACCEPT:
        case NF_QUEUE:
        case NF_STOLEN:
          return code
        case NF_DROP:
          if (tracer.on) decide('nft_do_chain', 'a rule drops', { handle: rules[at]?.handle ?? 0 })
          return NF_DROP_REASON(pkt.skb, SKB_DROP_REASON_NETFILTER_DROP, EPERM)
      }
    if ((code === NFT_JUMP || code === NFT_GOTO) && verdict.chain !== null) {
      if (code === NFT_JUMP) {
        if (jumpstack.length >= NFT_JUMP_STACK_SIZE) return NF_DROP
        jumpstack.push({ rules, at: at + 1 })
      }
      rules = verdict.chain.rules
      at = 0
      continue
    }
    // NFT_CONTINUE, NFT_RETURN: back to where the jump was, or out of the base chain
    const back = jumpstack.pop()
    if (back === undefined) break
    rules = back.rules
    at = back.at
  }
  if (basechain.policy === NF_DROP) {
    if (tracer.on) decide('nft_do_chain', 'the policy drops', { hook: pkt.state.hook })
    return NF_DROP_REASON(pkt.skb, SKB_DROP_REASON_NETFILTER_DROP, EPERM)
  }
  return basechain.policy
})
