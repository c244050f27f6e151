import { kfunc } from '../../../trace/kfunc.ts'
import type { nft_expr, nft_expr_ops, nft_pktinfo, nft_regs } from '../../include/net/netfilter/nf_tables.ts'

interface nft_byteorder extends nft_expr {
  readonly reg: number
  readonly len: number
}

export const nft_byteorder_eval = kfunc('nft_byteorder_eval', (expr: nft_expr, regs: nft_regs, _pkt: nft_pktinfo): void => {
  const { reg, len } = expr as nft_byteorder
  regs.data.subarray(reg, reg + len).reverse()
})

const nft_byteorder_ops: nft_expr_ops = { name: 'byteorder', eval: nft_byteorder_eval }
/** the host's order into the network's, in place */
export const nft_byteorder_hton = (reg: number, len: number): nft_expr => {
  const e: nft_byteorder = { ops: nft_byteorder_ops, reg, len }
  return e
}
