import { kfunc } from '../../../trace/kfunc.ts'
import { type sk_buff, skb_mac_header_was_set, skb_network_offset } from '../../include/linux/skbuff.ts'
import {
  NFT_BREAK,
  NFT_PKTINFO_L4PROTO,
  type nft_expr,
  type nft_expr_ops,
  type nft_pktinfo,
  type nft_regs,
  nft_thoff,
} from '../../include/net/netfilter/nf_tables.ts'
import { skb_copy_bits } from '../core/skbuff.ts'

export const NFT_PAYLOAD_LL_HEADER = 0
export const NFT_PAYLOAD_NETWORK_HEADER = 1
export const NFT_PAYLOAD_TRANSPORT_HEADER = 2

export interface nft_payload extends nft_expr {
  readonly base: number
  readonly offset: number
  readonly len: number
  readonly dreg: number
}

/** where the header lies from skb.data on; null when the packet has none */
function header(priv: nft_payload, skb: sk_buff, pkt: nft_pktinfo): number | null {
  switch (priv.base) {
    case NFT_PAYLOAD_LL_HEADER:
      return !skb_mac_header_was_set(skb) || skb.network_header <= skb.mac_header ? null : skb.mac_header - skb.data
    case NFT_PAYLOAD_NETWORK_HEADER:
      return skb_network_offset(skb)
    case NFT_PAYLOAD_TRANSPORT_HEADER:
      return !(pkt.flags & NFT_PKTINFO_L4PROTO) || pkt.fragoff ? null : nft_thoff(pkt)
  }
  return null
}

export const nft_payload_eval = kfunc('nft_payload_eval', (expr: nft_expr, regs: nft_regs, pkt: nft_pktinfo): void => {
  const priv = expr as nft_payload
  const { skb } = pkt
  if (priv.len % 4) regs.data.fill(0, priv.dreg + (priv.len & ~3), priv.dreg + ((priv.len + 3) & ~3))
  const at = header(priv, skb, pkt)
  if (at === null || skb_copy_bits(skb, at + priv.offset, regs.data, priv.dreg, priv.len) < 0) regs.verdict.code = NFT_BREAK
})

const nft_payload_ops: nft_expr_ops = { name: 'payload', eval: nft_payload_eval }
/** nft_do_chain evaluates it itself where the header lies in the head */
export const nft_payload_fast_ops: nft_expr_ops = { name: 'payload', eval: nft_payload_eval }

function nft_payload_select_ops(base: number, offset: number, len: number): nft_expr_ops {
  const fast = (len === 1 || len === 2 || len === 4) && offset % len === 0 && base !== NFT_PAYLOAD_LL_HEADER
  return fast ? nft_payload_fast_ops : nft_payload_ops
}
export const nft_payload_load = (base: number, offset: number, len: number, dreg: number): nft_expr => {
  const e: nft_payload = { ops: nft_payload_select_ops(base, offset, len), base, offset, len, dreg }
  return e
}
