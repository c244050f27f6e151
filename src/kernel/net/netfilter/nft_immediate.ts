import { kfunc } from '../../../trace/kfunc.ts'
import {
  NFT_REG_VERDICT,
  type nft_chain,
  type nft_expr,
  type nft_expr_ops,
  type nft_pktinfo,
  type nft_regs,
  type nft_verdict,
} from '../../include/net/netfilter/nf_tables.ts'

interface nft_immediate_expr extends nft_expr {
  readonly dreg: number
  readonly data: Uint8Array
  readonly verdict: nft_verdict
}

const nft_data_copy = kfunc('nft_data_copy', (regs: nft_regs, dreg: number, src: nft_immediate_expr): void => {
  if (dreg === NFT_REG_VERDICT) {
    regs.verdict.code = src.verdict.code
    regs.verdict.chain = src.verdict.chain
    return
  }
  if (src.data.length % 4) regs.data.fill(0, dreg, dreg + ((src.data.length + 3) & ~3))
  regs.data.set(src.data, dreg)
})

export const nft_immediate_eval = kfunc('nft_immediate_eval', (expr: nft_expr, regs: nft_regs, _pkt: nft_pktinfo): void => {
  const priv = expr as nft_immediate_expr
  nft_data_copy(regs, priv.dreg, priv)
})

const nft_imm_ops: nft_expr_ops = {
  name: 'immediate',
  eval: nft_immediate_eval,
  init: (_ctx, expr) => {
    const { chain } = (expr as nft_immediate_expr).verdict
    if (chain !== null) chain.use++
    return 0
  },
  destroy: (_ctx, expr) => {
    const { chain } = (expr as nft_immediate_expr).verdict
    if (chain !== null) chain.use--
  },
}

/** a verdict; `chain` for a jump or goto */
export const nft_verdict_expr = (code: number, chain: nft_chain | null = null): nft_expr => {
  const e: nft_immediate_expr = { ops: nft_imm_ops, dreg: NFT_REG_VERDICT, data: new Uint8Array(0), verdict: { code, chain } }
  return e
}
/** bytes into a register */
export const nft_immediate = (dreg: number, data: Uint8Array): nft_expr => {
  const e: nft_immediate_expr = { ops: nft_imm_ops, dreg, data, verdict: { code: 0, chain: null } }
  return e
}
