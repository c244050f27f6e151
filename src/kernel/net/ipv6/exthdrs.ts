import { kfunc } from '../../../trace/kfunc.ts'
import type { in6_addr } from '../../include/linux/in6.ts'
import { ipv6_txoptions } from '../../include/linux/ipv6.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import type { flowi6 } from '../../include/net/flow.ts'
import type { sock } from '../../include/net/sock.ts'
import { kmalloc } from '../../mm/slub.ts'

// Sockets here send no extension headers but fragments: IPV6_RTHDR and its like are refused by setsockopt().

/** with a routing header, the first router is what the route is looked up for; else null */
export const fl6_update_dst = kfunc(
  'fl6_update_dst',
  (fl6: flowi6, opt: ipv6_txoptions | null, orig: in6_addr): in6_addr | null => {
    if (opt === null || opt.srcrt === null) return null
    orig.set(fl6.daddr)
    fl6.daddr.set(opt.srcrt.subarray(8, 24))
    return orig
  },
)

export const ipv6_dup_options = kfunc('ipv6_dup_options', (_sk: sock, opt: ipv6_txoptions): ipv6_txoptions => {
  kmalloc(opt.tot_len, 0)
  const opt2 = new ipv6_txoptions()
  Object.assign(opt2, opt, { refcnt: 1 })
  return opt2
})

export const ipv6_fixup_options = kfunc(
  'ipv6_fixup_options',
  (_opt_space: ipv6_txoptions | null, opt: ipv6_txoptions | null): ipv6_txoptions | null => opt,
)

const ipv6_ext_hdrs: ReadonlySet<number> = new Set([0, 43, 44, 51, 59, 60])
export const ipv6_ext_hdr = (nexthdr: number): boolean => ipv6_ext_hdrs.has(nexthdr)

/** what follows the extension headers: its offset, and its number in `nexthdrp`; -1 when the packet ends before */
export const ipv6_skip_exthdr = kfunc(
  'ipv6_skip_exthdr',
  (skb: sk_buff, first: number, nexthdrp: { v: number }, frag_offp: { v: number }): number => {
    const b = skb.head.bytes
    let start = first
    let nexthdr = nexthdrp.v
    frag_offp.v = 0
    while (ipv6_ext_hdr(nexthdr)) {
      if (nexthdr === 59) return -1
      const at = skb.data + start
      if (at + 2 > skb.tail) return -1
      let hdrlen = ((b[at + 1] ?? 0) + 1) << 3
      if (nexthdr === 44) {
        frag_offp.v = ((b[at + 2] ?? 0) << 8) | (b[at + 3] ?? 0)
        if (frag_offp.v & ~7) break
        hdrlen = 8
      } else if (nexthdr === 51) hdrlen = ((b[at + 1] ?? 0) + 2) << 2
      nexthdr = b[at] ?? 0
      start += hdrlen
    }
    nexthdrp.v = nexthdr
    return start
  },
)

/** no option of a hop-by-hop header is known: the packet passes when none insists. -1: it was dropped */
export const ipv6_parse_hopopts = kfunc('ipv6_parse_hopopts', (skb: sk_buff): number => {
  const at = skb.transport_header
  skb.transport_header = at + (((skb.head.bytes[at + 1] ?? 0) + 1) << 3)
  if (skb.inet_cb !== null) skb.inet_cb.nhoff = 40
  return 1
})
