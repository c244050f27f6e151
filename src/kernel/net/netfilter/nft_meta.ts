import { kfunc } from '../../../trace/kfunc.ts'
import { get_random_u32 } from '../../drivers/char/random.ts'
import { PACKET_LOOPBACK } from '../../include/generated/enums.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import {
  NFT_BREAK,
  NFT_PKTINFO_L4PROTO,
  type nft_expr,
  type nft_expr_ops,
  nft_pf,
  type nft_pktinfo,
  nft_reg_load32,
  nft_reg_store_be16,
  nft_reg_store8,
  nft_reg_store32,
  type nft_regs,
} from '../../include/net/netfilter/nf_tables.ts'

// enum nft_meta_keys
export const NFT_META_LEN = 0
export const NFT_META_PROTOCOL = 1
export const NFT_META_PRIORITY = 2
export const NFT_META_MARK = 3
export const NFT_META_IIF = 4
export const NFT_META_OIF = 5
export const NFT_META_IIFNAME = 6
export const NFT_META_OIFNAME = 7
export const NFT_META_IIFTYPE = 8
export const NFT_META_OIFTYPE = 9
export const NFT_META_SKUID = 10
export const NFT_META_SKGID = 11
export const NFT_META_NFTRACE = 12
export const NFT_META_NFPROTO = 15
export const NFT_META_L4PROTO = 16
export const NFT_META_PKTTYPE = 19
export const NFT_META_CPU = 20
export const NFT_META_PRANDOM = 24

interface nft_meta extends nft_expr {
  readonly key: number
  /** destination of a load, source of a set */
  readonly reg: number
}

const IFNAMSIZ = 16
function nft_meta_store_ifname(regs: nft_regs, dest: number, dev: net_device | null): void {
  regs.data.fill(0, dest, dest + IFNAMSIZ)
  const name = dev?.name ?? ''
  for (let i = 0; i < name.length && i < IFNAMSIZ - 1; i++) regs.data[dest + i] = name.charCodeAt(i)
}

const nft_meta_get_eval_ifname = kfunc(
  'nft_meta_get_eval_ifname',
  (key: number, regs: nft_regs, dest: number, pkt: nft_pktinfo): boolean => {
    const dev = key === NFT_META_IIF || key === NFT_META_IIFNAME || key === NFT_META_IIFTYPE ? pkt.state.in : pkt.state.out
    switch (key) {
      case NFT_META_IIFNAME:
      case NFT_META_OIFNAME:
        nft_meta_store_ifname(regs, dest, dev)
        return true
      case NFT_META_IIF:
      case NFT_META_OIF:
        nft_reg_store32(regs, dest, dev?.ifindex ?? 0)
        return true
      default:
        if (dev === null) return false
        regs.data.fill(0, dest, dest + 4)
        regs.data[dest] = dev.type
        regs.data[dest + 1] = dev.type >>> 8
        return true
    }
  },
)

const nft_meta_get_eval_skugid = kfunc(
  'nft_meta_get_eval_skugid',
  (_key: number, regs: nft_regs, dest: number, pkt: nft_pktinfo): boolean => {
    const { sk } = pkt.skb
    if (sk === null || sk.sk_socket === null) return false
    nft_reg_store32(regs, dest, 0)
    return true
  },
)

const nft_meta_get_eval_pkttype_lo = kfunc(
  'nft_meta_get_eval_pkttype_lo',
  (_pkt: nft_pktinfo, regs: nft_regs, dest: number): boolean => {
    nft_reg_store8(regs, dest, PACKET_LOOPBACK)
    return true
  },
)

export const nft_meta_get_eval = kfunc('nft_meta_get_eval', (expr: nft_expr, regs: nft_regs, pkt: nft_pktinfo): void => {
  const { key, reg: dest } = expr as nft_meta
  const { skb } = pkt
  switch (key) {
    case NFT_META_LEN:
      nft_reg_store32(regs, dest, skb.len)
      return
    case NFT_META_PROTOCOL:
      nft_reg_store_be16(regs, dest, skb.protocol)
      return
    case NFT_META_NFPROTO:
      nft_reg_store8(regs, dest, nft_pf(pkt))
      return
    case NFT_META_L4PROTO:
      if (!(pkt.flags & NFT_PKTINFO_L4PROTO)) break
      nft_reg_store8(regs, dest, pkt.tprot)
      return
    case NFT_META_PRIORITY:
      nft_reg_store32(regs, dest, skb.priority)
      return
    case NFT_META_MARK:
      nft_reg_store32(regs, dest, skb.mark)
      return
    case NFT_META_IIF:
    case NFT_META_OIF:
    case NFT_META_IIFNAME:
    case NFT_META_OIFNAME:
    case NFT_META_IIFTYPE:
    case NFT_META_OIFTYPE:
      if (!nft_meta_get_eval_ifname(key, regs, dest, pkt)) break
      return
    case NFT_META_SKUID:
    case NFT_META_SKGID:
      if (!nft_meta_get_eval_skugid(key, regs, dest, pkt)) break
      return
    case NFT_META_PKTTYPE:
      if (skb.pkt_type !== PACKET_LOOPBACK) nft_reg_store8(regs, dest, skb.pkt_type)
      else if (!nft_meta_get_eval_pkttype_lo(pkt, regs, dest)) break
      return
    case NFT_META_CPU:
      nft_reg_store32(regs, dest, 0)
      return
    case NFT_META_PRANDOM:
      nft_reg_store32(regs, dest, get_random_u32())
      return
  }
  regs.verdict.code = NFT_BREAK
})

export const nft_meta_set_eval = kfunc('nft_meta_set_eval', (expr: nft_expr, regs: nft_regs, pkt: nft_pktinfo): void => {
  const { key, reg: sreg } = expr as nft_meta
  const value = nft_reg_load32(regs, sreg)
  switch (key) {
    case NFT_META_MARK:
      pkt.skb.mark = value
      break
    case NFT_META_PRIORITY:
      pkt.skb.priority = value
      break
    case NFT_META_NFTRACE:
      pkt.skb.nf_trace = value & 0xff ? 1 : 0
      break
  }
})

const nft_meta_get_ops: nft_expr_ops = { name: 'meta', eval: nft_meta_get_eval }
const nft_meta_set_ops: nft_expr_ops = { name: 'meta', eval: nft_meta_set_eval }

export const nft_meta_load = (key: number, reg: number): nft_expr => {
  const e: nft_meta = { ops: nft_meta_get_ops, key, reg }
  return e
}
export const nft_meta_set = (key: number, reg: number): nft_expr => {
  const e: nft_meta = { ops: nft_meta_set_ops, key, reg }
  return e
}
