import { nf_conntrack, type nfct_ref } from '../../linux/netfilter.ts'
import type { sk_buff } from '../../linux/skbuff.ts'
import { spinlock_t } from '../../linux/spinlock.ts'
import type { net } from '../net_namespace.ts'

// enum ip_conntrack_info: how a packet belongs to its connection. The others are replies.
export const IP_CT_ESTABLISHED = 0
export const IP_CT_RELATED = 1
export const IP_CT_NEW = 2
export const IP_CT_IS_REPLY = 3
export const IP_CT_ESTABLISHED_REPLY = 3
export const IP_CT_RELATED_REPLY = 4
export const IP_CT_UNTRACKED = 7

export const IP_CT_DIR_ORIGINAL = 0
export const IP_CT_DIR_REPLY = 1
export const CTINFO2DIR = (ctinfo: number): number => (ctinfo >= IP_CT_IS_REPLY ? IP_CT_DIR_REPLY : IP_CT_DIR_ORIGINAL)

export const NF_CT_STATE_INVALID_BIT = 1
export const NF_CT_STATE_BIT = (ctinfo: number): number => 1 << ((ctinfo % IP_CT_IS_REPLY) + 1)
export const NF_CT_STATE_UNTRACKED_BIT = 1 << 6

// enum ip_conntrack_status
export const IPS_EXPECTED = 1 << 0
export const IPS_SEEN_REPLY = 1 << 1
export const IPS_ASSURED = 1 << 2
export const IPS_CONFIRMED = 1 << 3
export const IPS_SRC_NAT = 1 << 4
export const IPS_DST_NAT = 1 << 5
export const IPS_NAT_MASK = IPS_SRC_NAT | IPS_DST_NAT
export const IPS_SEQ_ADJUST = 1 << 6
export const IPS_SRC_NAT_DONE = 1 << 7
export const IPS_DST_NAT_DONE = 1 << 8
export const IPS_NAT_DONE_MASK = IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE
export const IPS_DYING = 1 << 9
export const IPS_FIXED_TIMEOUT = 1 << 10
export const IPS_NAT_CLASH = 1 << 12

/** struct nf_conntrack_tuple: one direction of a connection. Of an IPv4 address only the first word is used. */
export class nf_conntrack_tuple {
  l3num = 0
  readonly src: number[] = [0, 0, 0, 0]
  /** port, or the id of an ICMP echo */
  src_u = 0
  readonly dst: number[] = [0, 0, 0, 0]
  /** port, or type and code of ICMP, type in the upper half */
  dst_u = 0
  protonum = 0
  dir = 0

  assign(t: nf_conntrack_tuple): void {
    this.l3num = t.l3num
    this.src_u = t.src_u
    this.dst_u = t.dst_u
    this.protonum = t.protonum
    this.dir = t.dir
    for (let i = 0; i < 4; i++) {
      this.src[i] = t.src[i] as number
      this.dst[i] = t.dst[i] as number
    }
  }
}

export const nf_inet_addr_cmp = (a: readonly number[], b: readonly number[]): boolean =>
  a[0] === b[0] && a[1] === b[1] && a[2] === b[2] && a[3] === b[3]
/** the direction is not part of it */
export const nf_ct_tuple_equal = (a: nf_conntrack_tuple, b: nf_conntrack_tuple): boolean =>
  a.src_u === b.src_u &&
  a.dst_u === b.dst_u &&
  a.protonum === b.protonum &&
  a.l3num === b.l3num &&
  nf_inet_addr_cmp(a.src, b.src) &&
  nf_inet_addr_cmp(a.dst, b.dst)

export class nf_conntrack_tuple_hash {
  readonly tuple: nf_conntrack_tuple = new nf_conntrack_tuple()
  readonly ct: nf_conn
  /** the bucket that it stands in, -1 for none */
  bucket = -1

  constructor(ct: nf_conn, dir: number) {
    this.ct = ct
    this.tuple.dir = dir
  }
}

/** struct ip_ct_tcp_state: what one end has shown of itself */
export class ip_ct_tcp_state {
  td_end = 0
  td_maxend = 0
  td_maxwin = 0
  td_maxack = 0
  td_scale = 0
  flags = 0
}
export class ip_ct_tcp {
  seen: [ip_ct_tcp_state, ip_ct_tcp_state] = [new ip_ct_tcp_state(), new ip_ct_tcp_state()]
  state = 0
  last_dir = 0
  retrans = 0
  last_index = 0
  last_seq = 0
  last_ack = 0
  last_end = 0
  last_win = 0
  last_wscale = 0
  last_flags = 0
}

export class nf_conn extends nf_conntrack {
  readonly lock: spinlock_t = new spinlock_t()
  /** in jiffies; relative until the connection is confirmed */
  timeout = 0
  readonly tuplehash: readonly [nf_conntrack_tuple_hash, nf_conntrack_tuple_hash]
  status = 0
  readonly ct_net: net
  mark = 0
  /** the hash of the first packet, for the time when the connection is confirmed */
  hash = 0
  tcp = new ip_ct_tcp()
  udp_stream_ts = 0
  /** struct nf_conn_nat: there when NAT has to know the device that a masquerade goes by */
  nat: { masq_index: number } | null = null
  /** nat_bysource */
  bysource = -1
  readonly #refs: readonly nfct_ref[]

  constructor(n: net) {
    super()
    this.ct_net = n
    this.tuplehash = [new nf_conntrack_tuple_hash(this, IP_CT_DIR_ORIGINAL), new nf_conntrack_tuple_hash(this, IP_CT_DIR_REPLY)]
    this.#refs = [0, 1, 2, 3, 4].map((ctinfo) => ({ ct: this, ctinfo }))
  }

  /** what a packet that belongs to it like this carries */
  ref(ctinfo: number): nfct_ref {
    return this.#refs[ctinfo] ?? { ct: this, ctinfo }
  }
}

/** of a packet that is not to be tracked */
export const untracked: nfct_ref = { ct: null, ctinfo: IP_CT_UNTRACKED }

/** the packet's connection; null for none. How it belongs to it: nf_ct_info() */
export const nf_ct_get = (skb: sk_buff): nf_conn | null => (skb._nfct === null ? null : (skb._nfct.ct as nf_conn | null))
export const nf_ct_info = (skb: sk_buff): number => (skb._nfct === null ? 0 : skb._nfct.ctinfo)
/** the reference is the caller's */
export const nf_ct_set = (skb: sk_buff, ct: nf_conn, ctinfo: number): void => {
  skb._nfct = ct.ref(ctinfo)
}
export const nf_ct_is_confirmed = (ct: nf_conn): boolean => (ct.status & IPS_CONFIRMED) !== 0
export const nf_ct_is_dying = (ct: nf_conn): boolean => (ct.status & IPS_DYING) !== 0
export const nf_ct_protonum = (ct: nf_conn): number => ct.tuplehash[0].tuple.protonum
export const nf_ct_net = (ct: nf_conn): net => ct.ct_net

/** struct nf_conntrack_net and struct netns_ct: what connection tracking keeps of a namespace */
export class nf_conntrack_net {
  count = 0
  users4 = 0
  users6 = 0
  sysctl_checksum = 1
  sysctl_log_invalid = 0
  sysctl_acct = 0
  tcp_loose = 1
  tcp_be_liberal = 0
  tcp_max_retrans = 3
  tcp_ignore_invalid_rst = 0
  readonly stat = {
    found: 0,
    invalid: 0,
    insert: 0,
    insert_failed: 0,
    drop: 0,
    early_drop: 0,
    error: 0,
    search_restart: 0,
    clash_resolve: 0,
    chaintoolong: 0,
  }
}
const ID = 'nf_conntrack'
/** something in the namespace asked for connection tracking */
export const nf_conntrack_loaded = (n: net): boolean => n.gen.has(ID)
export function nf_ct_state(n: net): nf_conntrack_net {
  let c = n.gen.get(ID) as nf_conntrack_net | undefined
  if (c === undefined) {
    c = new nf_conntrack_net()
    n.gen.set(ID, c)
  }
  return c
}
