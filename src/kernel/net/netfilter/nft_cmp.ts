import { kfunc } from '../../../trace/kfunc.ts'
import {
  NFT_BREAK,
  type nft_expr,
  type nft_expr_ops,
  type nft_pktinfo,
  type nft_regs,
} from '../../include/net/netfilter/nf_tables.ts'

export const NFT_CMP_EQ = 0
export const NFT_CMP_NEQ = 1
export const NFT_CMP_LT = 2
export const NFT_CMP_LTE = 3
export const NFT_CMP_GT = 4
export const NFT_CMP_GTE = 5

export interface nft_cmp_expr extends nft_expr {
  readonly sreg: number
  readonly op: number
  readonly data: Uint8Array
}

/** memcmp() of a register */
export function nft_reg_cmp(regs: nft_regs, sreg: number, data: Uint8Array): number {
  for (let i = 0; i < data.length; i++) {
    const d = (regs.data[sreg + i] as number) - (data[i] as number)
    if (d !== 0) return d
  }
  return 0
}

function holds(op: number, d: number): boolean {
  switch (op) {
    case NFT_CMP_EQ:
      return d === 0
    case NFT_CMP_NEQ:
      return d !== 0
    case NFT_CMP_LT:
      return d < 0
    case NFT_CMP_LTE:
      return d <= 0
    case NFT_CMP_GT:
      return d > 0
    default:
      return d >= 0
  }
}

export const nft_cmp_eval = kfunc('nft_cmp_eval', (expr: nft_expr, regs: nft_regs, _pkt: nft_pktinfo): void => {
  const priv = expr as nft_cmp_expr
  if (!holds(priv.op, nft_reg_cmp(regs, priv.sreg, priv.data))) regs.verdict.code = NFT_BREAK
})

const nft_cmp_ops: nft_expr_ops = { name: 'cmp', eval: nft_cmp_eval }
// these two nft_do_chain evaluates itself
export const nft_cmp_fast_ops: nft_expr_ops = { name: 'cmp', eval: nft_cmp_eval }
export const nft_cmp16_fast_ops: nft_expr_ops = { name: 'cmp', eval: nft_cmp_eval }

const nft_cmp_select_ops = (op: number, len: number): nft_expr_ops => {
  if (op === NFT_CMP_EQ || op === NFT_CMP_NEQ) {
    if (len <= 4) return nft_cmp_fast_ops
    if (len <= 16) return nft_cmp16_fast_ops
  }
  return nft_cmp_ops
}
export const nft_cmp = (sreg: number, op: number, data: Uint8Array): nft_expr => {
  const e: nft_cmp_expr = { ops: nft_cmp_select_ops(op, data.length), sreg, op, data }
  return e
}
