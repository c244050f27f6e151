import { decide, tracer } from '../../../trace/tracer.ts'
import { EINVAL } from '../../include/linux/errno.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import {
  NFT_BREAK,
  type nft_expr,
  type nft_expr_ops,
  type nft_pktinfo,
  type nft_regs,
} from '../../include/net/netfilter/nf_tables.ts'
import { spin_lock_bh, spin_unlock_bh } from '../../kernel/locking/spinlock.ts'
import { ktime_get_ns } from '../../kernel/time/timekeeping.ts'

// The build's tables do not have this file: what stands here in plain functions is a function of its own there.

/** what a burst is when nobody says: packets */
export const NFT_LIMIT_PKT_BURST_DEFAULT = 5

/** struct nft_limit and nft_limit_priv: a bucket of tokens, which are nanoseconds */
interface nft_limit extends nft_expr {
  readonly lock: spinlock_t
  last: number
  tokens: number
  readonly tokens_max: number
  /** in `nsecs` so many packets or bytes */
  readonly rate: number
  readonly nsecs: number
  readonly burst: number
  /** matches what is over the limit */
  readonly invert: boolean
  /** of a packet, for a limit of packets */
  readonly cost: number
}

function nft_limit_eval(priv: nft_limit, cost: number): boolean {
  spin_lock_bh(priv.lock)
  const now = ktime_get_ns()
  const tokens = Math.min(priv.tokens + now - priv.last, priv.tokens_max)
  priv.last = now
  const delta = tokens - cost
  priv.tokens = delta >= 0 ? delta : tokens
  spin_unlock_bh(priv.lock)
  if (tracer.on)
    decide('nft_limit_eval', delta >= 0 ? 'within the limit' : 'over the limit', { tokens_ns: tokens, cost_ns: cost })
  return delta >= 0 ? priv.invert : !priv.invert
}

const nft_limit_pkts_eval = (expr: nft_expr, regs: nft_regs, _pkt: nft_pktinfo): void => {
  const priv = expr as nft_limit
  if (nft_limit_eval(priv, priv.cost)) regs.verdict.code = NFT_BREAK
}

const nft_limit_bytes_eval = (expr: nft_expr, regs: nft_regs, pkt: nft_pktinfo): void => {
  const priv = expr as nft_limit
  if (nft_limit_eval(priv, Math.floor((priv.nsecs * pkt.skb.len) / priv.rate))) regs.verdict.code = NFT_BREAK
}

/** a limit begins to fill when its rule is there, and is full then */
const init: nft_expr_ops['init'] = (_ctx, expr) => {
  const priv = expr as nft_limit
  if (priv.rate === 0 || priv.nsecs === 0) return -EINVAL
  priv.last = ktime_get_ns()
  return 0
}
const nft_limit_pkts_ops: nft_expr_ops = { name: 'limit', eval: nft_limit_pkts_eval, init }
const nft_limit_bytes_ops: nft_expr_ops = { name: 'limit', eval: nft_limit_bytes_eval, init }

/** `rate` packets or bytes in `seconds`; `invert`: what is over that */
export function nft_limit_expr(bytes: boolean, rate: number, seconds: number, burst: number, invert: boolean): nft_expr {
  const nsecs = seconds * 1e9
  const cost = Math.floor(nsecs / Math.max(rate, 1))
  const tokens_max = bytes
    ? Math.floor((nsecs * (rate + burst)) / Math.max(rate, 1))
    : cost * (burst || NFT_LIMIT_PKT_BURST_DEFAULT)
  const e: nft_limit = {
    ops: bytes ? nft_limit_bytes_ops : nft_limit_pkts_ops,
    lock: new spinlock_t(),
    last: 0,
    tokens: tokens_max,
    tokens_max,
    rate,
    nsecs,
    burst,
    invert,
    cost,
  }
  return e
}
