import { kfunc } from '../../../trace/kfunc.ts'
import {
  NFT_BREAK,
  type nft_expr,
  type nft_expr_ops,
  type nft_pktinfo,
  type nft_regs,
} from '../../include/net/netfilter/nf_tables.ts'
import { nft_reg_cmp } from './nft_cmp.ts'

interface nft_range_expr extends nft_expr {
  readonly sreg: number
  /** true: outside of the range */
  readonly neq: boolean
  readonly from: Uint8Array
  readonly to: Uint8Array
}

export const nft_range_eval = kfunc('nft_range_eval', (expr: nft_expr, regs: nft_regs, _pkt: nft_pktinfo): void => {
  const priv = expr as nft_range_expr
  const inside = nft_reg_cmp(regs, priv.sreg, priv.from) >= 0 && nft_reg_cmp(regs, priv.sreg, priv.to) <= 0
  if (inside === priv.neq) regs.verdict.code = NFT_BREAK
})

const nft_range_ops: nft_expr_ops = { name: 'range', eval: nft_range_eval }
export const nft_range = (sreg: number, neq: boolean, from: Uint8Array, to: Uint8Array): nft_expr => {
  const e: nft_range_expr = { ops: nft_range_ops, sreg, neq, from, to }
  return e
}
