import { kfunc } from '../../../trace/kfunc.ts'
import * as C from '../../include/generated/enums.ts'
import { EINVAL } from '../../include/linux/errno.ts'
import { ip_hdr, iphdr } from '../../include/linux/ip.ts'
import {
  CHECKSUM_NONE,
  CHECKSUM_PARTIAL,
  SKBTX_ANY_TSTAMP,
  type sk_buff,
  skb_is_gso,
  skb_mac_header_len,
} from '../../include/linux/skbuff.ts'
import {
  TCP_FLAG_CWR,
  TCP_FLAG_FIN,
  TCP_FLAG_PSH,
  TCP_FLAG_RST,
  TCP_FLAG_SYN,
  TCP_FLAG_URG,
  TCPHDR_LEN,
  tcp_hdr,
  tcphdr,
} from '../../include/linux/tcp.ts'
import { DIV_ROUND_UP, IS_ERR } from '../../include/linux/types.ts'
import {
  NAPI_GRO_CB,
  skb_gro_len,
  skb_gro_may_pull,
  skb_gro_offset,
  skb_gro_pull,
  skb_gro_receive_network_offset,
} from '../../include/net/gro.ts'
import { before } from '../../include/net/tcp.ts'
import { csum_add, csum_fold, csum_replace4, csum_unfold } from '../../lib/checksum.ts'
import { skb_gso_ok } from '../core/dev.ts'
import {
  type gro_header,
  gro_receive_network_flush,
  inet_get_iif_sdif,
  inet_gro_compute_pseudo,
  skb_gro_checksum_validate,
  skb_gro_header,
  skb_gro_header_slow,
  skb_gro_network_header,
  skb_gro_receive,
  skb_gro_receive_list,
} from '../core/gro.ts'
import { gso_make_checksum, gso_reset_checksum } from '../core/gso.ts'
import {
  __skb_incr_checksum_unnecessary,
  __skb_pull,
  pskb_may_pull,
  skb_pagelen,
  skb_segment,
  skb_segment_list,
} from '../core/skbuff.ts'
import { inet_proto_csum_replace2, inet_proto_csum_replace4 } from '../core/utils.ts'
import { __inet_lookup_established, sock_gen_put } from './inet_hashtables.ts'
import { inet_add_offload } from './protocol.ts'
import { tcp_v4_check } from './tcp_inlines.ts'
import { __tcp_v4_send_check } from './tcp_ipv4.ts'
import { tcp_wfree } from './tcp_output.ts'

/** where the checksum lies in a TCP header */
const TCP_CHECK_OFFSET = 16

/** a time stamp was asked for one byte: the segment with that byte reports it */
const tcp_gso_tstamp = kfunc('tcp_gso_tstamp', (segs: sk_buff, gso_skb: sk_buff, first_seq: number, mss: number): void => {
  const flags = gso_skb.head.shinfo.tx_flags & SKBTX_ANY_TSTAMP
  const ts_seq = gso_skb.head.shinfo.tskey
  let seq = first_seq
  for (let skb: sk_buff | null = segs; skb !== null; skb = skb.next) {
    if (before(ts_seq, (seq + mss) >>> 0)) {
      skb.head.shinfo.tx_flags |= flags
      skb.head.shinfo.tskey = ts_seq
      return
    }
    seq = (seq + mss) >>> 0
  }
})

/** gives a segment the address and port that the first has now, and corrects both checksums */
const __tcpv4_gso_segment_csum = kfunc(
  '__tcpv4_gso_segment_csum',
  (seg: sk_buff, oldip: 'saddr' | 'daddr', newip: number, oldport: 'source' | 'dest', newport: number): void => {
    const th = tcp_hdr(seg)
    const iph = ip_hdr(seg)
    if (iph[oldip] === newip && th[oldport] === newport) return
    th.check = inet_proto_csum_replace4(th.check, seg, iph[oldip], newip, true)
    th.check = inet_proto_csum_replace2(th.check, seg, th[oldport], newport, false)
    th[oldport] = newport
    iph.check = csum_replace4(iph.check, iph[oldip], newip)
    iph[oldip] = newip
  },
)

const same_ends = (th: tcphdr, iph: iphdr, th2: tcphdr, iph2: iphdr): boolean =>
  th.source === th2.source && th.dest === th2.dest && iph.saddr === iph2.saddr && iph.daddr === iph2.daddr

const __tcpv4_gso_segment_list_csum = kfunc('__tcpv4_gso_segment_list_csum', (segs: sk_buff): sk_buff => {
  const th = tcp_hdr(segs)
  const iph = ip_hdr(segs)
  if (segs.next !== null && same_ends(th, iph, tcp_hdr(segs.next), ip_hdr(segs.next))) return segs
  for (let seg = segs.next; seg !== null; seg = seg.next) {
    __tcpv4_gso_segment_csum(seg, 'saddr', iph.saddr, 'source', th.source)
    __tcpv4_gso_segment_csum(seg, 'daddr', iph.daddr, 'dest', th.dest)
  }
  return segs
})

const __tcp4_gso_segment_list = kfunc('__tcp4_gso_segment_list', (skb: sk_buff, features: bigint): sk_buff | number => {
  const segs = skb_segment_list(skb, features, skb_mac_header_len(skb))
  return IS_ERR(segs) ? segs : __tcpv4_gso_segment_list_csum(segs)
})

const tcp4_gso_segment = kfunc('tcp4_gso_segment', (skb: sk_buff, features: bigint): sk_buff | number | null => {
  const { gso_type } = skb.head.shinfo
  if (!(gso_type & C.SKB_GSO_TCPV4)) return -EINVAL
  if (!pskb_may_pull(skb, TCPHDR_LEN)) return -EINVAL
  if (gso_type & C.SKB_GSO_FRAGLIST) {
    // joined by GRO as a list, and nothing has changed its lengths since
    if (skb_pagelen(skb) - tcp_hdr(skb).doff * 4 === skb.head.shinfo.gso_size && !(gso_type & C.SKB_GSO_DODGY))
      return __tcp4_gso_segment_list(skb, features)
    skb.ip_summed = CHECKSUM_NONE
  }
  if (skb.ip_summed !== CHECKSUM_PARTIAL) {
    const iph = ip_hdr(skb)
    tcp_hdr(skb).check = 0
    skb.ip_summed = CHECKSUM_PARTIAL
    __tcp_v4_send_check(skb, iph.saddr, iph.daddr)
  }
  return tcp_gso_segment(skb, features)
})

/** what a header's checksum, so far the pseudo header's sum, becomes when the length in it changes by `delta` */
const with_length = (check: number, delta: number): number => ~csum_fold(csum_add(csum_unfold(check), delta)) & 0xffff

/** cuts a TCP packet at its gso_size: numbers, flags and checksums of each segment */
export const tcp_gso_segment = kfunc('tcp_gso_segment', (gso_skb: sk_buff, features: bigint): sk_buff | number | null => {
  const thlen = tcp_hdr(gso_skb).doff * 4
  if (thlen < TCPHDR_LEN) return -EINVAL
  if (gso_skb.csum_start !== gso_skb.transport_header) return -EINVAL
  if (!pskb_may_pull(gso_skb, thlen)) return -EINVAL
  const oldlen = ~gso_skb.len >>> 0
  __skb_pull(gso_skb, thlen)

  const { shinfo } = gso_skb.head
  let mss = shinfo.gso_size
  if (gso_skb.len <= mss) return -EINVAL
  if (skb_gso_ok(gso_skb, features | BigInt(C.NETIF_F_GSO_ROBUST))) {
    // the device takes it whole; the number of segments may be a stranger's
    shinfo.gso_segs = DIV_ROUND_UP(gso_skb.len, mss)
    return null
  }

  const copy_destructor = gso_skb.destructor === tcp_wfree
  const { ooo_okay } = gso_skb
  gso_skb.ooo_okay = 0
  const segs = skb_segment(gso_skb, features)
  if (IS_ERR(segs)) return segs
  segs.ooo_okay = ooo_okay
  // what is still for GSO holds several segments
  if (skb_is_gso(segs)) mss *= segs.head.shinfo.gso_segs

  let skb = segs
  let th = tcp_hdr(skb)
  let { seq } = th
  if (shinfo.tx_flags & SKBTX_ANY_TSTAMP) tcp_gso_tstamp(segs, gso_skb, seq, mss)
  const newcheck = with_length(th.check, (oldlen + thlen + mss) >>> 0)
  let sum_truesize = 0
  while (skb.next !== null) {
    th.fin = 0
    th.psh = 0
    th.check = newcheck
    if (skb.ip_summed === CHECKSUM_PARTIAL) gso_reset_checksum(skb, ~newcheck >>> 0)
    else th.check = gso_make_checksum(skb, ~newcheck >>> 0)
    seq = (seq + mss) >>> 0
    if (copy_destructor) {
      skb.destructor = gso_skb.destructor
      skb.sk = gso_skb.sk
      sum_truesize += skb.truesize
    }
    skb = skb.next
    th = tcp_hdr(skb)
    th.seq = seq
    th.cwr = 0
  }

  // the segments are the socket's now: it hears of the last one being sent, not of the packet being cut
  if (copy_destructor) {
    const { sk, destructor } = gso_skb
    gso_skb.sk = skb.sk
    gso_skb.destructor = skb.destructor
    skb.sk = sk
    skb.destructor = destructor
    sum_truesize += skb.truesize
    if (sk !== null) sk.sk_wmem_alloc += sum_truesize - gso_skb.truesize
  }

  th.check = with_length(th.check, (oldlen + (skb.tail - skb.transport_header) + skb.data_len) >>> 0)
  if (skb.ip_summed === CHECKSUM_PARTIAL) gso_reset_checksum(skb, ~th.check >>> 0)
  else th.check = gso_make_checksum(skb, ~th.check >>> 0)
  return segs
})

/** the held packet of the same connection */
const tcp_gro_lookup = kfunc('tcp_gro_lookup', (head: sk_buff[], th: tcphdr): sk_buff | null => {
  for (const p of head) {
    const pcb = NAPI_GRO_CB(p)
    if (!pcb.same_flow) continue
    const th2 = tcp_hdr(p)
    if (th.source === th2.source && th.dest === th2.dest) return p
    pcb.same_flow = 0
  }
  return null
})

export const tcp_gro_pull_header = kfunc('tcp_gro_pull_header', (skb: sk_buff): tcphdr | null => {
  const off = skb_gro_offset(skb)
  let h = skb_gro_header(skb, off + TCPHDR_LEN, off)
  if (h === null) return null
  const thlen = new tcphdr(h.bytes, h.at).doff * 4
  if (thlen < TCPHDR_LEN) return null
  if (!skb_gro_may_pull(skb, off + thlen)) {
    h = skb_gro_header_slow(skb, off + thlen, off)
    if (h === null) return null
  }
  skb_gro_pull(skb, thlen)
  return new tcphdr(h.bytes, h.at)
})

/** whether two headers differ in an option */
function options_differ(th: tcphdr, th2: tcphdr): boolean {
  for (let i = TCPHDR_LEN; i < th.doff * 4; i++) if (th.bytes[th.off + i] !== th2.bytes[th2.off + i]) return true
  return false
}
const header = (th: tcphdr): gro_header => ({ bytes: th.bytes, at: th.off })

/** Joins a segment to the held one that it follows. Returns the held one when nothing more may be joined to it. */
export const tcp_gro_receive = kfunc('tcp_gro_receive', (head: sk_buff[], skb: sk_buff, th: tcphdr): sk_buff | null => {
  const cb = NAPI_GRO_CB(skb)
  const len = skb_gro_len(skb)
  const flags = th.flag_word
  let mss = 1
  const p = tcp_gro_lookup(head, th)
  if (p !== null) {
    const pcb = NAPI_GRO_CB(p)
    const th2 = tcp_hdr(p)
    let differ =
      (flags & TCP_FLAG_CWR) !== 0 ||
      ((flags ^ th2.flag_word) & ~(TCP_FLAG_CWR | TCP_FLAG_FIN | TCP_FLAG_PSH)) !== 0 ||
      th.ack_seq !== th2.ack_seq ||
      options_differ(th, th2)
    if (gro_receive_network_flush(header(th), header(th2), p)) differ = true
    mss = p.head.shinfo.gso_size
    if (skb_is_gso(skb) ? mss !== skb.head.shinfo.gso_size : len === 0 || len > mss) differ = true
    if ((th2.seq + skb_gro_len(p)) >>> 0 !== th.seq) differ = true
    if (p.decrypted !== skb.decrypted) differ = true
    if (pcb.is_flist) {
      if (
        flags !== th2.flag_word ||
        skb.ip_summed !== p.ip_summed ||
        skb.csum_level !== p.csum_level ||
        pcb.count >= 64 ||
        pcb.is_flist !== cb.is_flist
      )
        differ = true
      skb.network_header = skb.data + skb_gro_receive_network_offset(skb)
      if (differ || skb_gro_receive_list(p, skb)) mss = 1
    } else if (differ || skb_gro_receive(p, skb)) mss = 1
    else th2.flags |= th.flags & (C.TCPHDR_FIN | C.TCPHDR_PSH)
  }

  // the end of what was sent at once: it need not wait for more
  const short = skb_is_gso(skb) ? len !== cb.count * skb.head.shinfo.gso_size : len < mss
  const last = short || (flags & (TCP_FLAG_URG | TCP_FLAG_PSH | TCP_FLAG_RST | TCP_FLAG_SYN | TCP_FLAG_FIN)) !== 0
  if (last) cb.flush |= 1
  return p !== null && (!cb.same_flow || last) ? p : null
})

export const tcp_gro_complete = kfunc('tcp_gro_complete', (skb: sk_buff): void => {
  if (skb.encapsulation) skb.inner_transport_header = skb.transport_header
  skb.csum_start = skb.transport_header
  skb.csum_offset = TCP_CHECK_OFFSET
  skb.ip_summed = CHECKSUM_PARTIAL
  const { shinfo } = skb.head
  shinfo.gso_segs = NAPI_GRO_CB(skb).count
  if (tcp_hdr(skb).cwr) shinfo.gso_type |= C.SKB_GSO_TCP_ECN
})

/** a connection that does not end here is joined as a list */
const tcp4_check_fraglist_gro = kfunc('tcp4_check_fraglist_gro', (head: sk_buff[], skb: sk_buff, th: tcphdr): void => {
  const cb = NAPI_GRO_CB(skb)
  const p = tcp_gro_lookup(head, th)
  if (p !== null) {
    const pcb = NAPI_GRO_CB(p)
    if (!skb_is_gso(skb) || !pcb.is_flist) {
      cb.is_flist = pcb.is_flist
      return
    }
    if (pcb.count === 1) pcb.is_flist = 0
    cb.is_flist = 0
    return
  }
  const { dev } = skb
  if (dev === null) return
  const { iif, sdif } = inet_get_iif_sdif(skb)
  const { bytes, at } = skb_gro_network_header(skb)
  const iph = new iphdr(bytes, at)
  const net = dev.nd_net
  const { hashinfo } = net.ipv4.tcp_death_row
  const sk = __inet_lookup_established(net, hashinfo, iph.saddr, th.source, iph.daddr, th.dest, iif, sdif)
  cb.is_flist = sk === null && !skb_is_gso(skb) ? 1 : 0
  if (sk !== null) sock_gen_put(sk)
})

const tcp4_gro_receive = kfunc('tcp4_gro_receive', (head: sk_buff[], skb: sk_buff): sk_buff | null => {
  const cb = NAPI_GRO_CB(skb)
  const th = !cb.flush && skb_gro_checksum_validate(skb, C.IPPROTO_TCP, inet_gro_compute_pseudo) ? null : tcp_gro_pull_header(skb)
  if (th === null) {
    cb.flush = 1
    return null
  }
  if (skb.dev !== null && skb.dev.features & C.NETIF_F_GRO_FRAGLIST) tcp4_check_fraglist_gro(head, skb, th)
  return tcp_gro_receive(head, skb, th)
})

const tcp4_gro_complete = kfunc('tcp4_gro_complete', (skb: sk_buff, thoff: number): number => {
  const cb = NAPI_GRO_CB(skb)
  const { shinfo } = skb.head
  if (cb.is_flist) {
    shinfo.gso_type |= C.SKB_GSO_FRAGLIST | C.SKB_GSO_TCPV4
    shinfo.gso_segs = cb.count
    __skb_incr_checksum_unnecessary(skb)
    return 0
  }
  const iph = new iphdr(skb.head.bytes, skb.data + cb.network_offsets[skb.encapsulation ? 1 : 0])
  tcp_hdr(skb).check = ~tcp_v4_check(skb.len - thoff, iph.saddr, iph.daddr, 0) & 0xffff
  shinfo.gso_type |= C.SKB_GSO_TCPV4 | (cb.ip_fixedid ? C.SKB_GSO_TCP_FIXEDID : 0)
  tcp_gro_complete(skb)
  return 0
})

export const tcpv4_offload_init = kfunc('tcpv4_offload_init', (): number =>
  inet_add_offload(
    { callbacks: { gso_segment: tcp4_gso_segment, gro_receive: tcp4_gro_receive, gro_complete: tcp4_gro_complete } },
    C.IPPROTO_TCP,
  ),
)
