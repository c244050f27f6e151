import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracepoint, tracer } from '../../../trace/tracer.ts'
import * as C from '../../include/generated/enums.ts'
import { E2BIG, ENOENT, ENOMEM, ETOOMANYREFS } from '../../include/linux/errno.ts'
import { ETH_P_IP, ETH_P_IPV6 } from '../../include/linux/if_ether.ts'
import { __vlan_hwaccel_clear_tag } from '../../include/linux/if_vlan.ts'
import { iphdr } from '../../include/linux/ip.ts'
import { GRO_LEGACY_MAX_SIZE, type napi_struct, type net_device, type packet_offload } from '../../include/linux/netdevice.ts'
import {
  CHECKSUM_COMPLETE,
  CHECKSUM_NONE,
  CHECKSUM_PARTIAL,
  CHECKSUM_UNNECESSARY,
  MAX_SKB_FRAGS,
  type sk_buff,
  skb_checksum_start_offset,
  skb_headlen,
  skb_headroom,
  skb_is_gso,
  skb_reset_mac_len,
} from '../../include/linux/skbuff.ts'
import {
  GRO_HASH_BUCKETS,
  GRO_RECURSION_LIMIT,
  MAX_GRO_SKBS,
  NAPI_GRO_CB,
  NAPI_GRO_FREE,
  NAPI_GRO_FREE_STOLEN_HEAD,
  skb_gro_len,
  skb_gro_may_pull,
  skb_gro_offset,
  skb_gro_receive_network_offset,
} from '../../include/net/gro.ts'
import { IP_DF } from '../../include/net/ip.ts'
import type { sock } from '../../include/net/sock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { jiffies } from '../../kernel/time/timer.ts'
import { csum_add, csum_fold, csum_partial, csum_tcpudp_nofold } from '../../lib/checksum.ts'
import { eth_type_trans } from '../ethernet/eth.ts'
import { netif_is_l3_slave } from '../l3mdev/l3mdev.ts'
import { netdev_rx_csum_fault, netif_receive_skb_list_internal } from './dev.ts'
import { net_hotdata } from './hotdata.ts'
import { trace_rx_entry } from './net-traces.ts'
import {
  __kfree_skb,
  __napi_kfree_skb,
  __skb_header_release,
  __skb_incr_checksum_unnecessary,
  __skb_pull,
  __skb_push,
  kfree_skb,
  napi_alloc_skb,
  napi_skb_free_stolen_head,
  pskb_may_pull,
  SK_BUFF_SIZE,
  SKB_DATA_ALIGN,
  SKB_TRUESIZE,
  skb_checksum,
  skb_frag_unref,
  skb_has_frag_list,
  skb_head_frag_to_page_desc,
  skb_is_gso_tcp,
  skb_pull,
  skb_reserve,
  skb_zcopy,
} from './skbuff.ts'

/** a head's room for what GRO pulls out of pages, and what is kept before it */
const GRO_MAX_HEAD = 304
const NET_SKB_PAD = 64

// include/net/gro.h

const gro_recursion_inc_test = (skb: sk_buff): boolean => ++NAPI_GRO_CB(skb).recursion_counter === GRO_RECURSION_LIMIT

type gro_receive = (head: sk_buff[], skb: sk_buff) => sk_buff | null
/** the next layer's handler, unless headers follow headers for ever */
export const call_gro_receive = kfunc('call_gro_receive', (cb: gro_receive, head: sk_buff[], skb: sk_buff): sk_buff | null => {
  if (gro_recursion_inc_test(skb)) {
    NAPI_GRO_CB(skb).flush |= 1
    return null
  }
  return cb(head, skb)
})
type gro_receive_sk = (sk: sock, head: sk_buff[], skb: sk_buff) => sk_buff | null
/** the same for a tunnel's socket */
export const call_gro_receive_sk = kfunc(
  'call_gro_receive_sk',
  (cb: gro_receive_sk, sk: sock, head: sk_buff[], skb: sk_buff): sk_buff | null => {
    if (gro_recursion_inc_test(skb)) {
      NAPI_GRO_CB(skb).flush |= 1
      return null
    }
    if (tracer.on) traceIndirect('udp_sk(sk)->gro_receive', nameOf(cb))
    return cb(sk, head, skb)
  },
)
/** the same through a protocol's table: the macro indirect_call_gro_receive */
export function indirect_call_gro_receive(cb: gro_receive, head: sk_buff[], skb: sk_buff): sk_buff | null {
  if (gro_recursion_inc_test(skb)) {
    NAPI_GRO_CB(skb).flush |= 1
    return null
  }
  if (tracer.on) traceIndirect('ops->callbacks.gro_receive', nameOf(cb))
  return cb(head, skb)
}

/** a header in a packet: in which memory, and where in it */
export interface gro_header {
  bytes: Uint8Array
  at: number
}
const skb_gro_header_fast = (skb: sk_buff, offset: number): gro_header => {
  const cb = NAPI_GRO_CB(skb)
  return { bytes: cb.frag0 ?? skb.head.bytes, at: cb.frag0_off + offset }
}
export const skb_gro_header_slow = kfunc(
  'skb_gro_header_slow',
  (skb: sk_buff, hlen: number, offset: number): gro_header | null =>
    pskb_may_pull(skb, hlen) ? { bytes: skb.head.bytes, at: skb.data + offset } : null,
)
/** the header at `offset` of a packet that is `hlen` bytes long at least; null when it is not */
export const skb_gro_header = kfunc('skb_gro_header', (skb: sk_buff, hlen: number, offset: number): gro_header | null =>
  skb_gro_may_pull(skb, hlen) ? skb_gro_header_fast(skb, offset) : skb_gro_header_slow(skb, hlen, offset),
)
export const skb_gro_network_header = kfunc('skb_gro_network_header', (skb: sk_buff): gro_header => {
  const offset = skb_gro_receive_network_offset(skb)
  return skb_gro_may_pull(skb, skb_gro_offset(skb))
    ? skb_gro_header_fast(skb, offset)
    : { bytes: skb.head.bytes, at: skb.data + offset }
})

const wsum_negate = (val: number): number => -val >>> 0
/** takes `len` bytes out of the sum of what is left of the packet */
export const skb_gro_postpull_rcsum = kfunc('skb_gro_postpull_rcsum', (skb: sk_buff, start: gro_header, len: number): void => {
  const cb = NAPI_GRO_CB(skb)
  if (cb.csum_valid) cb.csum = wsum_negate(csum_partial(start.bytes, start.at, len, wsum_negate(cb.csum)))
})

const skb_at_gro_remcsum_start = (skb: sk_buff): boolean => NAPI_GRO_CB(skb).gro_remcsum_start === skb_gro_offset(skb)
const __skb_gro_checksum_validate_needed = kfunc(
  '__skb_gro_checksum_validate_needed',
  (skb: sk_buff, zero_okay: boolean, check: number): boolean =>
    (skb.ip_summed !== CHECKSUM_PARTIAL || skb_checksum_start_offset(skb) < skb_gro_offset(skb)) &&
    !skb_at_gro_remcsum_start(skb) &&
    NAPI_GRO_CB(skb).csum_cnt === 0 &&
    (!zero_okay || check !== 0),
)
const __skb_gro_checksum_validate_complete = kfunc(
  '__skb_gro_checksum_validate_complete',
  (skb: sk_buff, psum: number): number => {
    const cb = NAPI_GRO_CB(skb)
    if (cb.csum_valid && !csum_fold(csum_add(psum, cb.csum))) return 0
    cb.csum = psum
    return __skb_gro_checksum_complete(skb)
  },
)
const skb_gro_incr_csum_unnecessary = kfunc('skb_gro_incr_csum_unnecessary', (skb: sk_buff): void => {
  const cb = NAPI_GRO_CB(skb)
  if (cb.csum_cnt > 0) cb.csum_cnt--
  else __skb_incr_checksum_unnecessary(skb)
})
type compute_pseudo = (skb: sk_buff, proto: number) => number
function __skb_gro_checksum_validate(
  skb: sk_buff,
  proto: number,
  zero_okay: boolean,
  check: number,
  pseudo: compute_pseudo,
): number {
  const ret = __skb_gro_checksum_validate_needed(skb, zero_okay, check)
    ? __skb_gro_checksum_validate_complete(skb, pseudo(skb, proto))
    : 0
  if (!ret) skb_gro_incr_csum_unnecessary(skb)
  return ret
}
/** nonzero: the packet's checksum is wrong */
export const skb_gro_checksum_validate = (skb: sk_buff, proto: number, pseudo: compute_pseudo): number =>
  __skb_gro_checksum_validate(skb, proto, false, 0, pseudo)
export const skb_gro_checksum_validate_zero_check = (
  skb: sk_buff,
  proto: number,
  check: number,
  pseudo: compute_pseudo,
): number => __skb_gro_checksum_validate(skb, proto, true, check, pseudo)
export function skb_gro_checksum_try_convert(skb: sk_buff, proto: number, pseudo: compute_pseudo): void {
  const cb = NAPI_GRO_CB(skb)
  if (cb.csum_cnt !== 0 || cb.csum_valid) return
  cb.csum = ~pseudo(skb, proto) >>> 0
  cb.csum_valid = 1
}

export const skb_gro_flush_final = kfunc('skb_gro_flush_final', (skb: sk_buff, _pp: sk_buff | null, flush: number): void => {
  NAPI_GRO_CB(skb).flush |= flush
})

/** nonzero when two IPv4 headers differ in what one header cannot say for both */
export const inet_gro_flush = kfunc('inet_gro_flush', (iph: iphdr, iph2: iphdr, p: sk_buff, outer: boolean): number => {
  const cb = NAPI_GRO_CB(p)
  const ipid_offset = (iph.id - iph2.id) & 0xffff
  const df = iph.frag_off & IP_DF
  const flush = (iph.ttl ^ iph2.ttl) | (iph.tos ^ iph2.tos) | (df ^ (iph2.frag_off & IP_DF))
  if (flush || (outer && df)) return flush
  // the second packet shows whether identifications count or stand still
  if (cb.count === 1 && df && !ipid_offset) cb.ip_fixedid = 1
  return ipid_offset ^ (cb.ip_fixedid ? 0 : cb.count)
})

/** the traffic class and the hop limit must be the same */
const ipv6_gro_flush = kfunc('ipv6_gro_flush', (b: Uint8Array, at: number, b2: Uint8Array, at2: number): number =>
  b[at + 7] !== b2[at2 + 7] ||
  ((b[at] ?? 0) & 0x0f) !== ((b2[at2] ?? 0) & 0x0f) ||
  ((b[at + 1] ?? 0) & 0xf0) !== ((b2[at2 + 1] ?? 0) & 0xf0)
    ? 1
    : 0,
)

const __gro_receive_network_flush = kfunc(
  '__gro_receive_network_flush',
  (th: gro_header, th2: gro_header, p: sk_buff, diff: number, outer: boolean): number => {
    const iph = new iphdr(th.bytes, th.at - diff)
    if (iph.version === 6) return ipv6_gro_flush(th.bytes, th.at - diff, th2.bytes, th2.at - diff)
    return inet_gro_flush(iph, new iphdr(th2.bytes, th2.at - diff), p, outer)
  },
)
/** the same for all network headers before the transport's: `th` of the new packet, `th2` of the held one */
export const gro_receive_network_flush = kfunc(
  'gro_receive_network_flush',
  (th: gro_header, th2: gro_header, p: sk_buff): number => {
    const { encap_mark, network_offsets } = NAPI_GRO_CB(p)
    const off = p.transport_header - p.data
    let flush = __gro_receive_network_flush(th, th2, p, off - network_offsets[0], encap_mark !== 0)
    if (encap_mark) flush |= __gro_receive_network_flush(th, th2, p, off - network_offsets[1], false)
    return flush
  },
)

/** include/net/gro.h: from which device, and below which master, the packet came */
export const inet_get_iif_sdif = (skb: sk_buff): { iif: number; sdif: number } => {
  const { dev } = skb
  const iif = skb.skb_iif || (dev?.ifindex ?? 0)
  return dev !== null && netif_is_l3_slave(dev) ? { iif: dev.master?.ifindex ?? 0, sdif: iif } : { iif, sdif: 0 }
}
/** the sum of the pseudo header of a packet that GRO looks at */
export const inet_gro_compute_pseudo = kfunc('inet_gro_compute_pseudo', (skb: sk_buff, proto: number): number => {
  const { bytes, at } = skb_gro_network_header(skb)
  const iph = new iphdr(bytes, at)
  return csum_tcpudp_nofold(iph.saddr, iph.daddr, skb_gro_len(skb), proto, 0)
})

/** packets that are complete wait for each other a little, to be delivered as one list */
export const gro_normal_list = kfunc('gro_normal_list', (napi: napi_struct): void => {
  if (!napi.rx_count) return
  const list = napi.rx_list
  napi.rx_list = []
  napi.rx_count = 0
  netif_receive_skb_list_internal(list)
})
const gro_normal_one = kfunc('gro_normal_one', (napi: napi_struct, skb: sk_buff, segs: number): void => {
  napi.rx_list.push(skb)
  napi.rx_count += segs
  if (napi.rx_count >= net_hotdata.gro_normal_batch) gro_normal_list(napi)
})

// net/core/gro.c

/** who joins packets of an EtherType */
export const gro_find_receive_by_type = kfunc(
  'gro_find_receive_by_type',
  (type: number): packet_offload | null =>
    net_hotdata.offload_base.find((p) => p.type === type && p.callbacks.gro_receive !== undefined) ?? null,
)
export const gro_find_complete_by_type = kfunc(
  'gro_find_complete_by_type',
  (type: number): packet_offload | null =>
    net_hotdata.offload_base.find((p) => p.type === type && p.callbacks.gro_complete !== undefined) ?? null,
)

/** adds who cuts and joins packets of a type, before those of a larger number in `priority` */
export const dev_add_offload = kfunc('dev_add_offload', (po: packet_offload): void => {
  const { offload_base } = net_hotdata
  const at = offload_base.findIndex((elem) => po.priority < elem.priority)
  offload_base.splice(at < 0 ? offload_base.length : at, 0, po)
})

/** what `p` counts more, once the data of another buffer hangs at `lp`: itself, or the last buffer in its list */
function account(p: sk_buff, lp: sk_buff, len: number, delta_truesize: number, flags: number): void {
  for (const b of lp === p ? [p] : [p, lp]) {
    b.data_len += len
    b.truesize += delta_truesize
    b.len += len
    b.head.shinfo.flags |= flags
  }
}

/** Joins the data of `skb` to the end of `p`: as fragments when it can, else in its list. Nonzero when it must not. */
export const skb_gro_receive = kfunc('skb_gro_receive', (p: sk_buff, skb: sk_buff): number => {
  const cb = NAPI_GRO_CB(skb)
  const pcb = NAPI_GRO_CB(p)
  const skbinfo = skb.head.shinfo
  let offset = skb_gro_offset(skb)
  const headlen = skb_headlen(skb)
  const len = skb_gro_len(skb)

  if (p.pp_recycle !== skb.pp_recycle) return -ETOOMANYREFS
  if (skb_zcopy(p) !== null || skb_zcopy(skb) !== null) return -ETOOMANYREFS
  const { dev } = p
  const max = dev === null ? GRO_LEGACY_MAX_SIZE : p.protocol === ETH_P_IPV6 ? dev.gro_max_size : dev.gro_ipv4_max_size
  if (p.len + len >= max || cb.flush) return -E2BIG
  if (
    p.len + len >= GRO_LEGACY_MAX_SIZE &&
    (cb.proto !== C.IPPROTO_TCP || cb.encap_mark || p.encapsulation || (p.protocol !== ETH_P_IPV6 && p.protocol !== ETH_P_IP))
  )
    return -E2BIG

  const segs = cb.count
  const last = pcb.last ?? p
  const pinfo = last.head.shinfo
  const flags = skbinfo.flags & C.SKBFL_SHARED_FRAG
  let lp = last
  let delta_truesize: number

  if (headlen <= offset && pinfo.frags.length + skbinfo.frags.length <= MAX_SKB_FRAGS) {
    // all that is left is in pages: they change hands
    offset -= headlen
    const frags = skbinfo.frags.splice(0)
    const first = frags[0]
    if (first !== undefined) {
      first.offset += offset
      first.len -= offset
    }
    pinfo.frags.push(...frags)
    const new_truesize = SKB_TRUESIZE(skb.end)
    delta_truesize = skb.truesize - new_truesize
    skb.truesize = new_truesize
    skb.len -= skb.data_len
    skb.data_len = 0
    cb.free = NAPI_GRO_FREE
  } else if (headlen > offset && skb.head_frag && pinfo.frags.length + 1 + skbinfo.frags.length <= MAX_SKB_FRAGS) {
    // the head is a piece of a page itself
    const frag = skb_head_frag_to_page_desc(skb)
    frag.offset += offset
    frag.len -= offset
    pinfo.frags.push(frag, ...skbinfo.frags)
    const new_truesize = SKB_DATA_ALIGN(SK_BUFF_SIZE)
    delta_truesize = skb.truesize - new_truesize
    skb.truesize = new_truesize
    cb.free = NAPI_GRO_FREE_STOLEN_HEAD
  } else {
    if (headlen > offset + p.head.shinfo.gso_size) return -E2BIG
    skb.destructor = null
    skb.sk = null
    delta_truesize = skb.truesize
    if (offset > headlen) {
      const eat = offset - headlen
      const first = skbinfo.frags[0]
      if (first !== undefined) {
        first.offset += eat
        first.len -= eat
      }
      skb.data_len -= eat
      skb.len -= eat
      offset = headlen
    }
    __skb_pull(skb, offset)
    if (last === p) p.head.shinfo.frag_list = skb
    else last.next = skb
    pcb.last = skb
    __skb_header_release(skb)
    lp = p
  }

  pcb.count += segs
  account(p, lp, len, delta_truesize, flags)
  cb.same_flow = 1
  return 0
})

/** the same for packets that will only be forwarded: each keeps its own buffer, in a list */
export const skb_gro_receive_list = kfunc('skb_gro_receive_list', (p: sk_buff, skb: sk_buff): number => {
  const cb = NAPI_GRO_CB(skb)
  const pcb = NAPI_GRO_CB(p)
  if (p.len + skb.len >= 65536 || cb.flush) return -E2BIG
  if (!pskb_may_pull(skb, skb_gro_offset(skb))) {
    cb.flush = 1
    return -ENOMEM
  }
  if (pcb.last === p || pcb.last === null) p.head.shinfo.frag_list = skb
  else pcb.last.next = skb
  skb_pull(skb, skb_gro_offset(skb))
  pcb.last = skb
  pcb.count++
  skb.destructor = null
  skb.sk = null
  account(p, p, skb.len, skb.truesize, skb.head.shinfo.flags & C.SKBFL_SHARED_FRAG)
  cb.same_flow = 1
  return 0
})

/** nothing more will be joined to this packet: its headers get the values of the whole, and it goes up */
const napi_gro_complete = kfunc('napi_gro_complete', (napi: napi_struct, skb: sk_buff): void => {
  const { count } = NAPI_GRO_CB(skb)
  if (count === 1) skb.head.shinfo.gso_size = 0
  else {
    let err = -ENOENT
    skb.encapsulation = 0
    rcu_read_lock()
    for (const ptype of net_hotdata.offload_base) {
      const { gro_complete } = ptype.callbacks
      if (ptype.type !== skb.protocol || gro_complete === undefined) continue
      if (tracer.on) traceIndirect('ptype->callbacks.gro_complete', nameOf(gro_complete))
      err = gro_complete(skb, 0)
      break
    }
    rcu_read_unlock()
    if (err) {
      kfree_skb(skb)
      return
    }
  }
  if (tracer.on) decide('napi_gro_complete', `${count} received packets go up as one`, { count, len: skb.len })
  gro_normal_one(napi, skb, count)
})

/** lists of held packets have the newest first */
const __napi_gro_flush_chain = kfunc('__napi_gro_flush_chain', (napi: napi_struct, index: number, flush_old: boolean): void => {
  const chain = napi.gro_hash[index]
  if (chain === undefined) return
  for (let skb = chain.list.at(-1); skb !== undefined; skb = chain.list.at(-1)) {
    if (flush_old && NAPI_GRO_CB(skb).age === jiffies()) return
    chain.list.pop()
    napi_gro_complete(napi, skb)
    chain.count--
  }
  if (!chain.count) napi.gro_bitmask &= ~(1 << index)
})

/** lets go of what is held back; `flush_old`: of what came before this jiffy */
export const napi_gro_flush = kfunc('napi_gro_flush', (napi: napi_struct, flush_old: boolean): void => {
  const bitmask = napi.gro_bitmask
  for (let i = 0; i < GRO_HASH_BUCKETS; i++) if (bitmask & (1 << i)) __napi_gro_flush_chain(napi, i, flush_old)
})

function same_bytes(a: sk_buff, b: sk_buff, len: number): boolean {
  for (let i = 0; i < len; i++) if (a.head.bytes[a.mac_header + i] !== b.head.bytes[b.mac_header + i]) return false
  return true
}

/** marks those of the held packets that may be of the same flow, as far as the link's header and the hash tell */
const gro_list_prepare = kfunc('gro_list_prepare', (head: sk_buff[], skb: sk_buff): void => {
  const maclen = skb.dev?.hard_header_len ?? 0
  for (const p of head) {
    let same =
      p.hash === skb.hash &&
      p.dev === skb.dev &&
      p.vlan_proto === skb.vlan_proto &&
      p.vlan_tci === skb.vlan_tci &&
      p.head.shinfo.meta_len === skb.head.shinfo.meta_len &&
      same_bytes(p, skb, maclen)
    if (same && (skb.slow_gro || p.slow_gro)) same = p.sk === skb.sk && p._nfct === skb._nfct
    NAPI_GRO_CB(p).same_flow = same ? 1 : 0
  }
})

const skb_gro_reset_offset = kfunc('skb_gro_reset_offset', (skb: sk_buff, nhoff: number): void => {
  const cb = NAPI_GRO_CB(skb)
  const headlen = skb_headlen(skb)
  cb.network_offsets[0] = 0
  cb.data_offset = 0
  cb.frag0 = skb.head.bytes
  cb.frag0_off = skb.data
  cb.frag0_len = headlen
  cb.last = null
  if (headlen) return
  const frag0 = skb.head.shinfo.frags[0]
  if (frag0 !== undefined && (C.NET_IP_ALIGN === 0 || !((frag0.offset + nhoff) & 3))) {
    cb.frag0 = frag0.page.bytes
    cb.frag0_off = frag0.offset
    cb.frag0_len = Math.min(frag0.len, skb.end - skb.tail)
  }
})

/** headers that were looked at in the first page move to the head */
const gro_pull_from_frag0 = kfunc('gro_pull_from_frag0', (skb: sk_buff, grow: number): void => {
  const cb = NAPI_GRO_CB(skb)
  const frag = skb.head.shinfo.frags[0]
  if (cb.frag0 === null || frag === undefined) return
  skb.head.bytes.set(cb.frag0.subarray(cb.frag0_off, cb.frag0_off + grow), skb.tail)
  skb.data_len -= grow
  skb.tail += grow
  frag.offset += grow
  frag.len -= grow
  if (!frag.len) {
    skb_frag_unref(skb, 0)
    skb.head.shinfo.frags.shift()
  }
})
const gro_try_pull_from_frag0 = kfunc('gro_try_pull_from_frag0', (skb: sk_buff): void => {
  const grow = skb_gro_offset(skb) - skb_headlen(skb)
  if (grow > 0) gro_pull_from_frag0(skb, grow)
})

/** the number held stays: the caller adds one */
const gro_flush_oldest = kfunc('gro_flush_oldest', (napi: napi_struct, head: sk_buff[]): void => {
  const oldest = head.pop()
  if (oldest !== undefined) napi_gro_complete(napi, oldest)
})

const netif_elide_gro = (skb: sk_buff): boolean =>
  skb.dev === null || !(skb.dev.features & BigInt(C.NETIF_F_GRO)) || skb.dev.xdp_prog !== null

/** joins the packet to a held one, holds it, or says that it goes up alone: GRO_* */
const dev_gro_receive = kfunc('dev_gro_receive', (napi: napi_struct, skb: sk_buff): number => {
  const bucket = skb.hash & (GRO_HASH_BUCKETS - 1)
  const gro_list = napi.gro_hash[bucket]
  const cb = NAPI_GRO_CB(skb)
  const done = (ret: number): number => {
    if (gro_list?.count) napi.gro_bitmask |= 1 << bucket
    else napi.gro_bitmask &= ~(1 << bucket)
    return ret
  }
  const normal = (): number => {
    gro_try_pull_from_frag0(skb)
    return done(C.GRO_NORMAL)
  }
  if (gro_list === undefined || netif_elide_gro(skb)) return normal()

  gro_list_prepare(gro_list.list, skb)
  rcu_read_lock()
  const gro_receive = net_hotdata.offload_base.find((p) => p.type === skb.protocol && p.callbacks.gro_receive !== undefined)
    ?.callbacks.gro_receive
  if (gro_receive === undefined) {
    rcu_read_unlock()
    return normal()
  }
  skb.network_header = skb.data + skb_gro_offset(skb)
  skb_reset_mac_len(skb)
  cb.zero()
  cb.flush = skb_has_frag_list(skb) ? 1 : 0
  cb.count = 1
  if (skb_is_gso(skb)) {
    cb.count = skb.head.shinfo.gso_segs
    if (!skb_is_gso_tcp(skb) || skb.head.shinfo.gso_type & C.SKB_GSO_DODGY) cb.flush = 1
  }
  if (skb.ip_summed === CHECKSUM_COMPLETE) {
    cb.csum = skb.csum
    cb.csum_valid = 1
  } else if (skb.ip_summed === CHECKSUM_UNNECESSARY) cb.csum_cnt = skb.csum_level + 1

  if (tracer.on) traceIndirect('ptype->callbacks.gro_receive', nameOf(gro_receive))
  const pp = gro_receive(gro_list.list, skb)
  rcu_read_unlock()

  const { same_flow } = cb
  if (pp !== null) {
    gro_list.list.splice(gro_list.list.indexOf(pp), 1)
    napi_gro_complete(napi, pp)
    gro_list.count--
  }
  if (same_flow) return done(cb.free ? C.GRO_MERGED_FREE : C.GRO_MERGED)
  if (cb.flush) return normal()
  if (gro_list.count >= MAX_GRO_SKBS) gro_flush_oldest(napi, gro_list.list)
  else gro_list.count++
  gro_try_pull_from_frag0(skb)
  cb.age = jiffies()
  cb.last = skb
  if (!skb_is_gso(skb)) skb.head.shinfo.gso_size = skb_gro_len(skb)
  gro_list.list.unshift(skb)
  return done(C.GRO_HELD)
})

const napi_skb_finish = kfunc('napi_skb_finish', (napi: napi_struct, skb: sk_buff, ret: number): number => {
  if (ret === C.GRO_NORMAL) gro_normal_one(napi, skb, 1)
  else if (ret === C.GRO_MERGED_FREE) {
    if (NAPI_GRO_CB(skb).free === NAPI_GRO_FREE_STOLEN_HEAD) napi_skb_free_stolen_head(skb)
    else if (skb.fclone !== C.SKB_FCLONE_UNAVAILABLE) __kfree_skb(skb)
    else __napi_kfree_skb(skb, C.SKB_CONSUMED)
  }
  return ret
})

/** takes a packet from a driver's poll; returns what became of it, GRO_* */
export const napi_gro_receive = kfunc('napi_gro_receive', (napi: napi_struct, skb: sk_buff): number => {
  skb.napi_id = napi.napi_id
  if (tracer.on) trace_rx_entry('napi_gro_receive_entry', skb)
  skb_gro_reset_offset(skb, 0)
  const ret = napi_skb_finish(napi, skb, dev_gro_receive(napi, skb))
  if (tracer.on) tracepoint('net', 'napi_gro_receive_exit', { ret })
  return ret
})

/** the buffer stays with the poll, for the next packet */
const napi_reuse_skb = kfunc('napi_reuse_skb', (napi: napi_struct, skb: sk_buff): void => {
  __skb_pull(skb, skb_headlen(skb))
  skb_reserve(skb, NET_SKB_PAD - skb_headroom(skb))
  __vlan_hwaccel_clear_tag(skb)
  skb.dev = napi.dev
  skb.skb_iif = 0
  skb.pkt_type = C.PACKET_HOST
  skb.encapsulation = 0
  skb.ip_summed = CHECKSUM_NONE
  skb.head.shinfo.gso_type = 0
  skb.head.shinfo.gso_size = 0
  napi.skb = skb
})

/** an empty buffer for a driver that receives into pages: they become its fragments, see napi_gro_frags() */
export const napi_get_frags = kfunc('napi_get_frags', (napi: napi_struct): sk_buff | null => {
  napi.skb ??= napi_alloc_skb(napi, GRO_MAX_HEAD)
  return napi.skb
})

/** the link's header comes out of the first page */
const napi_frags_skb = kfunc('napi_frags_skb', (napi: napi_struct): sk_buff | null => {
  const { skb } = napi
  if (skb === null) return null
  napi.skb = null
  skb.mac_header = skb.data
  skb_gro_reset_offset(skb, C.ETH_HLEN)
  const cb = NAPI_GRO_CB(skb)
  if (!skb_gro_may_pull(skb, C.ETH_HLEN)) {
    if (skb_gro_header_slow(skb, C.ETH_HLEN, 0) === null) {
      napi_reuse_skb(napi, skb)
      return null
    }
  } else {
    if (cb.frag0 !== skb.head.bytes) gro_pull_from_frag0(skb, C.ETH_HLEN)
    cb.frag0_off += C.ETH_HLEN
    cb.frag0_len -= C.ETH_HLEN
  }
  const b = skb.head.bytes
  skb.protocol = ((b[skb.data + 12] ?? 0) << 8) | (b[skb.data + 13] ?? 0)
  __skb_pull(skb, C.ETH_HLEN)
  return skb
})
const napi_frags_finish = kfunc('napi_frags_finish', (napi: napi_struct, skb: sk_buff, ret: number): number => {
  if (ret === C.GRO_NORMAL || ret === C.GRO_HELD) {
    __skb_push(skb, C.ETH_HLEN)
    skb.protocol = eth_type_trans(skb, skb.dev as net_device)
    if (ret === C.GRO_NORMAL) gro_normal_one(napi, skb, 1)
  } else if (ret === C.GRO_MERGED_FREE) {
    if (NAPI_GRO_CB(skb).free === NAPI_GRO_FREE_STOLEN_HEAD) napi_skb_free_stolen_head(skb)
    else napi_reuse_skb(napi, skb)
  }
  return ret
})
/** takes the packet that a driver's poll made of napi_get_frags(); returns what became of it, GRO_* */
export const napi_gro_frags = kfunc('napi_gro_frags', (napi: napi_struct): number => {
  const skb = napi_frags_skb(napi)
  if (skb === null) return C.GRO_CONSUMED
  if (tracer.on) trace_rx_entry('napi_gro_frags_entry', skb)
  const ret = napi_frags_finish(napi, skb, dev_gro_receive(napi, skb))
  if (tracer.on) tracepoint('net', 'napi_gro_frags_exit', { ret })
  return ret
})

/** sums what GRO has not looked at yet; NAPI_GRO_CB(skb).csum holds the pseudo header's sum. 0 when right */
export const __skb_gro_checksum_complete = kfunc('__skb_gro_checksum_complete', (skb: sk_buff): number => {
  const cb = NAPI_GRO_CB(skb)
  const wsum = skb_checksum(skb, skb_gro_offset(skb), skb_gro_len(skb), 0)
  const sum = csum_fold(csum_add(cb.csum, wsum))
  if (!sum && skb.ip_summed === CHECKSUM_COMPLETE && !skb.csum_complete_sw) netdev_rx_csum_fault(skb.dev, skb)
  cb.csum = wsum
  cb.csum_valid = 1
  return sum
})
