import { kfunc } from '../../../trace/kfunc.ts'
import { EBADMSG, ENOENT } from '../../include/linux/errno.ts'
import {
  NEXTHDR_AUTH,
  NEXTHDR_DEST,
  NEXTHDR_FRAGMENT,
  NEXTHDR_HOP,
  NEXTHDR_NONE,
  NEXTHDR_ROUTING,
} from '../../include/linux/in6.ts'
import { ipv6_hdr, SIZEOF_IPV6HDR } from '../../include/linux/ipv6.ts'
import { type sk_buff, skb_network_offset } from '../../include/linux/skbuff.ts'
import type { ref } from '../../include/linux/types.ts'

const EXTENSIONS: ReadonlySet<number> = new Set([
  NEXTHDR_HOP,
  NEXTHDR_ROUTING,
  NEXTHDR_FRAGMENT,
  NEXTHDR_AUTH,
  NEXTHDR_NONE,
  NEXTHDR_DEST,
])
// the build's tables leave out what this file inlined, ipv6_ext_hdr() among it: here it is asked without a call
const is_ext_hdr = (nexthdr: number): boolean => EXTENSIONS.has(nexthdr)
export const ipv6_ext_hdr = kfunc('ipv6_ext_hdr', is_ext_hdr)

/** what follows the extension headers: its offset, and its number in `nexthdrp`; -1 when the packet ends before */
export const ipv6_skip_exthdr = kfunc(
  'ipv6_skip_exthdr',
  (skb: sk_buff, first: number, nexthdrp: ref<number>, frag_offp: ref<number>): number => {
    const b = skb.head.bytes
    let start = first
    let nexthdr = nexthdrp.v
    frag_offp.v = 0
    while (is_ext_hdr(nexthdr)) {
      if (nexthdr === NEXTHDR_NONE) return -1
      const at = skb.data + start
      if (at + 2 > skb.tail) return -1
      let hdrlen = ((b[at + 1] ?? 0) + 1) << 3
      if (nexthdr === NEXTHDR_FRAGMENT) {
        frag_offp.v = ((b[at + 2] ?? 0) << 8) | (b[at + 3] ?? 0)
        if (frag_offp.v & ~7) break
        hdrlen = 8
      } else if (nexthdr === NEXTHDR_AUTH) hdrlen = ((b[at + 1] ?? 0) + 2) << 2
      nexthdr = b[at] ?? 0
      start += hdrlen
    }
    nexthdrp.v = nexthdr
    return start
  },
)

// what ipv6_find_hdr() is asked for, and what it says
export const IP6_FH_F_FRAG = 1
export const IP6_FH_F_AUTH = 2
export const IP6_FH_F_SKIP_RH = 4

const last = (nexthdr: number): boolean => !is_ext_hdr(nexthdr) || nexthdr === NEXTHDR_NONE

/**
 * Looks for the header `target`, for the transport header if that is negative. `offset`: of an IPv6 header to begin at, 0 for the
 * packet's; then where it was found, from skb.data. @returns the header's number or an error
 */
export const ipv6_find_hdr = kfunc(
  'ipv6_find_hdr',
  (skb: sk_buff, offset: ref<number>, target: number, fragoff: ref<number> | null, flags: ref<number> | null): number => {
    const { bytes } = skb.head
    const at = (i: number): number => bytes[skb.data + i] as number
    const there = (i: number, n: number): boolean => skb.data + i + n <= skb.tail
    let start = skb_network_offset(skb) + SIZEOF_IPV6HDR
    let { nexthdr } = ipv6_hdr(skb)
    if (fragoff !== null) fragoff.v = 0
    if (offset.v) {
      if (!there(offset.v, SIZEOF_IPV6HDR) || at(offset.v) >> 4 !== 6) return -EBADMSG
      start = offset.v + SIZEOF_IPV6HDR
      nexthdr = at(offset.v + 6)
    }
    let found: boolean
    do {
      found = nexthdr === target
      if (last(nexthdr)) {
        if (target < 0 || found) break
        return -ENOENT
      }
      if (!there(start, nexthdr === NEXTHDR_FRAGMENT || nexthdr === NEXTHDR_ROUTING ? 4 : 2)) return -EBADMSG
      if (nexthdr === NEXTHDR_ROUTING && flags !== null && flags.v & IP6_FH_F_SKIP_RH && at(start + 3) === 0) found = false
      let hdrlen = (at(start + 1) + 1) * 8
      if (nexthdr === NEXTHDR_FRAGMENT) {
        if (flags !== null) flags.v |= IP6_FH_F_FRAG
        const frag_off = ((at(start + 2) << 8) | at(start + 3)) & ~7
        if (frag_off) {
          const later = target < 0 && last(at(start))
          if (!later && !found) return -ENOENT
          if (fragoff !== null) fragoff.v = frag_off
          // the header itself is in the first fragment
          if (later) return at(start)
          break
        }
        hdrlen = 8
      } else if (nexthdr === NEXTHDR_AUTH) {
        if (flags !== null && flags.v & IP6_FH_F_AUTH && target < 0) break
        hdrlen = (at(start + 1) + 2) * 4
      }
      if (!found) {
        if (skb.len - start < hdrlen) return -EBADMSG
        nexthdr = at(start)
        start += hdrlen
      }
    } while (!found)
    offset.v = start
    return nexthdr
  },
)
