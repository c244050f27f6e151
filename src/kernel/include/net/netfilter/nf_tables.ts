import type { nf_hook_ops, nf_hook_state } from '../../linux/netfilter.ts'
import type { sk_buff } from '../../linux/skbuff.ts'
import type { net } from '../net_namespace.ts'

/** include/uapi/linux/netfilter/nf_tables.h. Verdicts below 0 are nf_tables' own. */
export const NFT_CONTINUE = -1
export const NFT_BREAK = -2
export const NFT_JUMP = -3
export const NFT_GOTO = -4
export const NFT_RETURN = -5

/** Registers are places in regs.data, in bytes: the verdict register comes first. */
export const NFT_REG_VERDICT = 0
export const NFT_REG_1 = 16
export const NFT_REG_2 = 32
export const NFT_REG_3 = 48
export const NFT_REG_4 = 64
const NFT_REG_BYTES = 80
export const NFT_JUMP_STACK_SIZE = 16

export const NFT_PKTINFO_L4PROTO = 1

export interface nft_verdict {
  code: number
  chain: nft_chain | null
}

/** What the expressions of a rule hand to each other. Values of packets lie in network order, the host's own in little-endian. */
export class nft_regs {
  readonly data: Uint8Array = new Uint8Array(NFT_REG_BYTES)
  readonly verdict: nft_verdict = { code: NFT_CONTINUE, chain: null }
}

export class nft_pktinfo {
  readonly skb: sk_buff
  readonly state: nf_hook_state
  flags = 0
  tprot = 0
  fragoff = 0
  thoff = 0

  constructor(skb: sk_buff, state: nf_hook_state) {
    this.skb = skb
    this.state = state
  }
}

export const nft_net = (pkt: nft_pktinfo): net => pkt.state.net
export const nft_hook = (pkt: nft_pktinfo): number => pkt.state.hook
export const nft_pf = (pkt: nft_pktinfo): number => pkt.state.pf
export const nft_thoff = (pkt: nft_pktinfo): number => pkt.thoff

export function nft_reg_store8(regs: nft_regs, dreg: number, v: number): void {
  regs.data.fill(0, dreg, dreg + 4)
  regs.data[dreg] = v
}
/** big-endian, as ports and protocols are */
export function nft_reg_store_be16(regs: nft_regs, dreg: number, v: number): void {
  regs.data.fill(0, dreg, dreg + 4)
  regs.data[dreg] = v >>> 8
  regs.data[dreg + 1] = v
}
export function nft_reg_store32(regs: nft_regs, dreg: number, v: number): void {
  const { data } = regs
  data[dreg] = v
  data[dreg + 1] = v >>> 8
  data[dreg + 2] = v >>> 16
  data[dreg + 3] = v >>> 24
}
export const nft_reg_load32 = (regs: nft_regs, sreg: number): number => {
  const b = regs.data
  return (
    ((b[sreg] as number) | ((b[sreg + 1] as number) << 8) | ((b[sreg + 2] as number) << 16) | ((b[sreg + 3] as number) << 24)) >>>
    0
  )
}
export const nft_reg_load_be16 = (regs: nft_regs, sreg: number): number =>
  ((regs.data[sreg] as number) << 8) | (regs.data[sreg + 1] as number)
export const nft_reg_load_be32 = (regs: nft_regs, sreg: number): number =>
  ((nft_reg_load_be16(regs, sreg) << 16) | nft_reg_load_be16(regs, sreg + 2)) >>> 0

/** struct nft_ctx: whom a change of rules is about */
export interface nft_ctx {
  net: net
  family: number
  table: nft_table
  chain: nft_chain | null
}

/** struct nft_expr_ops. `init` and `destroy` are told when a rule with the expression comes and goes. */
export interface nft_expr_ops {
  readonly name: string
  readonly eval: (expr: nft_expr, regs: nft_regs, pkt: nft_pktinfo) => void
  readonly init?: (ctx: nft_ctx, expr: nft_expr) => number
  readonly destroy?: (ctx: nft_ctx, expr: nft_expr) => void
  readonly validate?: (ctx: nft_ctx, expr: nft_expr) => number
}

/** struct nft_expr: an expression of a rule with its private part */
export interface nft_expr {
  readonly ops: nft_expr_ops
}

export interface nft_rule {
  readonly handle: number
  readonly exprs: readonly nft_expr[]
  /** the rule as it was given, for those that list it: nft keeps it in the rule's user data */
  readonly udata: unknown
}

export const NFT_CHAIN_T_DEFAULT = 0
export const NFT_CHAIN_T_ROUTE = 1
export const NFT_CHAIN_T_NAT = 2

export interface nft_chain_type {
  readonly name: string
  readonly type: number
  readonly family: number
  /** by hook number; a hook that the type does not know has none */
  readonly hooks: Readonly<Record<number, nf_hook_ops['hook']>>
  readonly ops_register?: (n: net, ops: nf_hook_ops) => number
  readonly ops_unregister?: (n: net, ops: nf_hook_ops) => void
}

/** struct nft_chain, and struct nft_base_chain when `type` is there */
export class nft_chain {
  readonly name: string
  readonly table: nft_table
  readonly handle: number
  rules: readonly nft_rule[] = []
  /** rules and set elements that lead here */
  use = 0
  type: nft_chain_type | null = null
  /** NF_ACCEPT or NF_DROP */
  policy = 1
  ops: nf_hook_ops | null = null

  constructor(name: string, table: nft_table, handle: number) {
    this.name = name
    this.table = table
    this.handle = handle
  }
}

/** An element of a set: `end` for an interval, `data` for what a map has at it. */
export interface nft_set_elem {
  readonly key: Uint8Array
  readonly end: Uint8Array | null
  readonly verdict: nft_verdict | null
}

export interface nft_set_ops {
  readonly name: string
  readonly lookup: (n: net, set: nft_set, key: Uint8Array, at: number) => nft_set_elem | null
}

export class nft_set {
  readonly name: string
  readonly klen: number
  readonly ops: nft_set_ops
  elements: readonly nft_set_elem[]
  /** 0 for an anonymous set, which its rule holds alone */
  handle = 0
  /** rules that ask it */
  use = 0
  /** what lists a set with a name: its type and flags as they were given */
  udata: unknown = null
  /** elements by key, read as a number of the host */
  readonly index: Map<string, nft_set_elem> = new Map()

  constructor(name: string, klen: number, ops: nft_set_ops, elements: readonly nft_set_elem[]) {
    this.name = name
    this.klen = klen
    this.ops = ops
    this.elements = elements
    for (const e of elements) if (e.end === null) this.index.set(e.key.join(), e)
  }
}

export class nft_table {
  readonly family: number
  readonly name: string
  readonly handle: number
  readonly chains: Map<string, nft_chain> = new Map()
  readonly sets: Map<string, nft_set> = new Map()
  /** handles of chains and rules are counted by table */
  hgenerator = 0
  dormant = false

  constructor(family: number, name: string, handle: number) {
    this.family = family
    this.name = name
    this.handle = handle
  }
}
