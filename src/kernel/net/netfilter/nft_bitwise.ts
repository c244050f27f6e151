import { kfunc } from '../../../trace/kfunc.ts'
import type { nft_expr, nft_expr_ops, nft_pktinfo, nft_regs } from '../../include/net/netfilter/nf_tables.ts'

export interface nft_bitwise_expr extends nft_expr {
  readonly sreg: number
  readonly dreg: number
  readonly mask: Uint8Array
  readonly xor: Uint8Array
}

/** dreg = (sreg & mask) ^ xor, byte by byte */
export function nft_bitwise_apply(priv: nft_bitwise_expr, regs: nft_regs): void {
  const { data } = regs
  const { mask, xor, sreg, dreg } = priv
  for (let i = 0; i < mask.length; i++) data[dreg + i] = ((data[sreg + i] as number) & (mask[i] as number)) ^ (xor[i] as number)
}

export const nft_bitwise_eval = kfunc('nft_bitwise_eval', (expr: nft_expr, regs: nft_regs, _pkt: nft_pktinfo): void => {
  nft_bitwise_apply(expr as nft_bitwise_expr, regs)
})

const nft_bitwise_ops: nft_expr_ops = { name: 'bitwise', eval: nft_bitwise_eval }
/** nft_do_chain evaluates it itself */
export const nft_bitwise_fast_ops: nft_expr_ops = { name: 'bitwise', eval: nft_bitwise_eval }

export const nft_bitwise = (sreg: number, dreg: number, mask: Uint8Array, xor: Uint8Array): nft_expr => {
  const e: nft_bitwise_expr = { ops: mask.length === 4 ? nft_bitwise_fast_ops : nft_bitwise_ops, sreg, dreg, mask, xor }
  return e
}
