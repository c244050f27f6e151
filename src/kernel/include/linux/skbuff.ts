import type { TracedSkb } from '../../../trace/tracer.ts'
import type { dst_entry } from '../net/dst.ts'
import type { inet_skb_parm } from '../net/ip.ts'
import type { sock } from '../net/sock.ts'
import type { tcp_skb_cb } from '../net/tcp.ts'
import { list_head } from './list.ts'
import type { page } from './mm_types.ts'
import type { net_device } from './netdevice.ts'
import type { nfct_ref } from './netfilter.ts'
import { rb_node } from './rbtree.ts'
import { spinlock_t } from './spinlock.ts'
import { LARGE } from './types.ts'

export const CHECKSUM_NONE = 0
export const CHECKSUM_UNNECESSARY = 1
export const CHECKSUM_COMPLETE = 2
export const CHECKSUM_PARTIAL = 3

/** a header offset that was not set */
export const HEADER_UNSET = 0xffff

export const MAX_SKB_FRAGS = 17

/** A piece of a page: include/linux/skbuff.h skb_frag_t. `offset` and `len` in bytes. */
export interface skb_frag {
  page: page
  offset: number
  len: number
}

/** What lies behind the data of a head buffer, shared by all clones. */
export class skb_shared_info {
  flags = 0
  meta_len = 0
  tx_flags = 0
  gso_size = 0
  gso_segs = 0
  gso_type = 0
  tskey = 0
  frag_list: sk_buff | null = null
  hwtstamps = 0
  /** low half: users of the data; high half (1 << 16 each): users that do not need the header */
  dataref = 1
  destructor_arg: unknown = null
  frags: skb_frag[] = []

  get nr_frags(): number {
    return this.frags.length
  }
}

/** What to call about memory that user space lent: include/linux/skbuff.h struct ubuf_info_ops */
export interface ubuf_info_ops {
  /** one user less; when it was the last, user space gets its memory back. `success` false: the bytes were copied after all */
  complete: (skb: sk_buff | null, uarg: ubuf_info, success: boolean) => void
  link_skb?: (skb: sk_buff, uarg: ubuf_info) => number
}

/** struct ubuf_info, with what MSG_ZEROCOPY keeps around it (struct ubuf_info_msgzc) */
export class ubuf_info {
  ops: ubuf_info_ops
  refcnt = 1
  flags = 0
  /** number of the first send call that it stands for, and of how many */
  id = 0
  len = 0
  zerocopy: boolean | number = true
  bytelen = 0
  /** pages counted against RLIMIT_MEMLOCK */
  mmp_pages = 0
  /** the buffer in whose cb it lies: the notification */
  skb: sk_buff | null = null

  constructor(ops: ubuf_info_ops) {
    this.ops = ops
  }
}

export const SKBFL_ZEROCOPY_FRAG = 3
export const SKBFL_ALL_ZEROCOPY = 0x1f
export const SKBTX_HW_TSTAMP_NETDEV = 32
export const SKBTX_ANY_SW_TSTAMP = 66
export const SKBTX_ANY_TSTAMP = 75

/** struct sk_buff_fclones: a buffer made with room for one clone beside it, and how many of the two are in use */
export interface sk_buff_fclones {
  readonly skb1: sk_buff
  skb2: sk_buff | null
  fclone_ref: number
}

/** include/net/gso.h struct skb_gso_cb */
export class skb_gso_cb {
  /** mac_offset while the segmentation is under way, then data_offset */
  mac_offset = 0
  encap_level = 0
  csum = 0
  csum_start = 0
  recursion_counter = 0
}

/** The memory of a head: its bytes, and the shared info that in Linux lies at `end`. */
export interface skb_head {
  bytes: Uint8Array
  readonly shinfo: skb_shared_info
  /** which allocator gets it back: skb_small_head_cache, kmalloc of that size, or a page fragment */
  readonly from: unknown
  readonly size: number
}

/**
 * include/linux/skbuff.h. `data`, `tail` and `end` are offsets from the start of `head`, in bytes. Fields have Linux's names; what
 * is a bit there is a boolean or a number here. `cb` is one object for each protocol that uses it.
 */
export class sk_buff implements TracedSkb {
  next: sk_buff | null = null
  prev: sk_buff | null = null
  /** the queue that it is on, for checks; null when on none */
  list: sk_buff_head | null = null
  dev: net_device | null = null
  dev_scratch = 0
  sk: sock | null = null
  /** nanoseconds */
  tstamp = LARGE
  tstamp_type = 0
  _skb_refdst: dst_entry | null = null
  /** the reference to the route is borrowed under RCU: SKB_DST_NOREF */
  dst_noref = false
  destructor: ((skb: sk_buff) => void) | null = null
  readonly tcp_tsorted_anchor: list_head<sk_buff> = new list_head<sk_buff>(this)
  readonly rbnode: rb_node<sk_buff> = new rb_node<sk_buff>(this)
  _nfct: nfct_ref | null = null

  len = 0
  data_len = 0
  mac_len = 0
  hdr_len = 0
  queue_mapping = 0
  cloned = 0
  nohdr = 0
  fclone = 0
  peeked = 0
  head_frag = 0
  pfmemalloc = 0
  pp_recycle = 0
  active_extensions = 0
  extensions: unknown = null

  pkt_type = 0
  ignore_df = 0
  dst_pending_confirm = 0
  ip_summed = 0
  ooo_okay = 0
  tc_at_ingress = 0
  csum_complete_sw = 0
  csum_level = 0
  l4_hash = 0
  sw_hash = 0
  encapsulation = 0
  /** the outer header's checksum is wanted: software has to sum up */
  encap_hdr_csum = 0
  csum_valid = 0
  nf_trace = 0
  redirected = 0
  decrypted = 0
  slow_gro = 0
  csum_not_inet = 0
  unreadable = 0
  tc_skip_classify = 0
  alloc_cpu = 0
  csum = 0
  csum_start = 0
  csum_offset = 0
  priority = 0
  skb_iif = 0
  hash = 0
  vlan_proto = 0
  vlan_tci = 0
  napi_id = 0
  secmark = 0
  mark = 0
  reserved_tailroom = 0
  inner_protocol = 0
  inner_transport_header = 0
  inner_network_header = 0
  inner_mac_header = 0
  protocol = 0
  transport_header = HEADER_UNSET
  network_header = 0
  mac_header = HEADER_UNSET
  data = 0
  tail = 0
  end = 0
  head: skb_head
  truesize = 0
  users = 1

  /** skb->cb, one view for each user of it */
  tcp_cb: tcp_skb_cb | null = null
  inet_cb: inet_skb_parm | null = null
  /** qdisc_skb_cb(skb)->pkt_len: bytes on the wire with all segments' headers */
  pkt_len = 0
  /** AF_UNIX, datagram peeking, queue disciplines: whoever holds the buffer */
  cb: unknown = null

  /** number of the buffer, by first allocation */
  id = 0
  /** its address as a pointer would print */
  kaddr = LARGE
  clone_of = 0
  /** the allocation that it shares with its clone, see skb_clone */
  fclones: sk_buff_fclones | null = null
  gso_cb: skb_gso_cb | null = null

  constructor(head: skb_head) {
    this.head = head
  }

  get bytes(): Uint8Array {
    return this.head.bytes
  }
  get gso_size(): number {
    return this.head.shinfo.gso_size
  }
  get gso_segs(): number {
    return this.head.shinfo.gso_segs
  }
  get nr_frags(): number {
    return this.head.shinfo.frags.length
  }
  get owner(): string {
    return this.sk === null ? '' : this.sk.describe()
  }
  get devName(): string {
    return this.dev === null || typeof this.dev !== 'object' ? '' : this.dev.name
  }
  frag(i: number): Uint8Array {
    const f = this.head.shinfo.frags[i]
    return f === undefined ? new Uint8Array(0) : f.page.bytes.subarray(f.offset, f.offset + f.len)
  }
}

/** A queue of buffers. Linux rings them through the head; here `first` and `last` are null when it is empty. */
export class sk_buff_head {
  first: sk_buff | null = null
  last: sk_buff | null = null
  qlen = 0
  readonly lock: spinlock_t = new spinlock_t()
}

export const skb_shinfo = (skb: sk_buff): skb_shared_info => skb.head.shinfo
export const skb_headroom = (skb: sk_buff): number => skb.data
export const skb_tailroom = (skb: sk_buff): number => (skb.data_len ? 0 : skb.end - skb.tail)
export const skb_headlen = (skb: sk_buff): number => skb.len - skb.data_len
export const skb_is_nonlinear = (skb: sk_buff): boolean => skb.data_len !== 0
export const skb_is_gso = (skb: sk_buff): boolean => skb.head.shinfo.gso_size !== 0
export const skb_end_offset = (skb: sk_buff): number => skb.end

export const skb_dst = (skb: sk_buff): dst_entry | null => skb._skb_refdst

export const skb_mac_header_was_set = (skb: sk_buff): boolean => skb.mac_header !== HEADER_UNSET
export const skb_transport_header_was_set = (skb: sk_buff): boolean => skb.transport_header !== HEADER_UNSET
export const skb_reset_mac_header = (skb: sk_buff): void => {
  skb.mac_header = skb.data
}
export const skb_reset_network_header = (skb: sk_buff): void => {
  skb.network_header = skb.data
}
export const skb_reset_transport_header = (skb: sk_buff): void => {
  skb.transport_header = skb.data
}
export const skb_set_network_header = (skb: sk_buff, offset: number): void => {
  skb.network_header = skb.data + offset
}
export const skb_set_transport_header = (skb: sk_buff, offset: number): void => {
  skb.transport_header = skb.data + offset
}
export const skb_reset_mac_len = (skb: sk_buff): void => {
  skb.mac_len = skb.network_header - skb.mac_header
}
export const skb_transport_offset = (skb: sk_buff): number => skb.transport_header - skb.data
export const skb_network_offset = (skb: sk_buff): number => skb.network_header - skb.data
export const skb_mac_offset = (skb: sk_buff): number => skb.mac_header - skb.data
export const skb_network_header_len = (skb: sk_buff): number => skb.transport_header - skb.network_header
export const skb_mac_header_len = (skb: sk_buff): number => skb.network_header - skb.mac_header
export const skb_checksum_start_offset = (skb: sk_buff): number => skb.csum_start - skb.data

export const skb_queue_empty = (q: sk_buff_head): boolean => q.first === null
export const skb_queue_len = (q: sk_buff_head): number => q.qlen
export const skb_peek = (q: sk_buff_head): sk_buff | null => q.first
export const skb_peek_tail = (q: sk_buff_head): sk_buff | null => q.last
export const skb_queue_is_last = (q: sk_buff_head, skb: sk_buff): boolean => q.last === skb

/** include/linux/skbuff.h __skb_insert: between two neighbours, null for the ends of the queue */
export function __skb_insert(skb: sk_buff, prev: sk_buff | null, next: sk_buff | null, list: sk_buff_head): void {
  skb.prev = prev
  skb.next = next
  if (prev === null) list.first = skb
  else prev.next = skb
  if (next === null) list.last = skb
  else next.prev = skb
  skb.list = list
  list.qlen++
}
export const __skb_queue_head = (list: sk_buff_head, skb: sk_buff): void => __skb_insert(skb, null, list.first, list)
export const __skb_queue_tail = (list: sk_buff_head, skb: sk_buff): void => __skb_insert(skb, list.last, null, list)
export const __skb_queue_after = (list: sk_buff_head, prev: sk_buff, skb: sk_buff): void =>
  __skb_insert(skb, prev, prev.next, list)
export const __skb_queue_before = (list: sk_buff_head, next: sk_buff, skb: sk_buff): void =>
  __skb_insert(skb, next.prev, next, list)

export function __skb_unlink(skb: sk_buff, list: sk_buff_head): void {
  if (skb.prev === null) list.first = skb.next
  else skb.prev.next = skb.next
  if (skb.next === null) list.last = skb.prev
  else skb.next.prev = skb.prev
  skb.next = null
  skb.prev = null
  skb.list = null
  list.qlen--
}
export function __skb_dequeue(list: sk_buff_head): sk_buff | null {
  const skb = list.first
  if (skb !== null) __skb_unlink(skb, list)
  return skb
}
export function skb_queue_splice_tail_init(list: sk_buff_head, head: sk_buff_head): void {
  for (let skb = __skb_dequeue(list); skb !== null; skb = __skb_dequeue(list)) __skb_queue_tail(head, skb)
}
