import { kfunc } from '../../../trace/kfunc.ts'
import type { nft_expr, nft_expr_ops, nft_pktinfo, nft_regs } from '../../include/net/netfilter/nf_tables.ts'
import { local_bh_disable, local_bh_enable } from '../../kernel/softirq.ts'

export interface nft_counter extends nft_expr {
  packets: number
  bytes: number
}

const nft_counter_do_eval = kfunc('nft_counter_do_eval', (priv: nft_counter, _regs: nft_regs, pkt: nft_pktinfo): void => {
  local_bh_disable()
  priv.bytes += pkt.skb.len
  priv.packets++
  local_bh_enable()
})

export const nft_counter_eval = kfunc('nft_counter_eval', (expr: nft_expr, regs: nft_regs, pkt: nft_pktinfo): void => {
  nft_counter_do_eval(expr as nft_counter, regs, pkt)
})

const nft_counter_ops: nft_expr_ops = { name: 'counter', eval: nft_counter_eval }
export const nft_counter_expr = (packets: number, bytes: number): nft_counter => ({ ops: nft_counter_ops, packets, bytes })
