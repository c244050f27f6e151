import { type inet_sock, inet_test_bit } from '../net/inet_sock.ts'
import type { sock } from '../net/sock.ts'
import type { in6_addr } from './in6.ts'
import { IPV6_PMTUDISC_WANT } from './in6.ts'
import { get_be16, put_be16 } from './ip.ts'
import type { sk_buff } from './skbuff.ts'

export const SIZEOF_IPV6HDR = 40
export const SIZEOF_FRAG_HDR = 8
/** offsetof(struct ipv6hdr, nexthdr) */
export const IPV6HDR_NEXTHDR = 6

/** An IPv6 header in a packet. Numbers in host order; addresses are the bytes themselves, not copies. */
export class ipv6hdr {
  readonly bytes: Uint8Array
  readonly at: number

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes
    this.at = at
  }
  get version(): number {
    return (this.bytes[this.at] as number) >> 4
  }
  /** traffic class: ipv6_get_dsfield() */
  get dsfield(): number {
    return (get_be16(this.bytes, this.at) >> 4) & 0xff
  }
  /** ipv6_change_dsfield() */
  set dsfield(v: number) {
    const b = this.bytes
    const i = this.at
    b[i] = 0x60 | (v >> 4)
    b[i + 1] = ((v & 0x0f) << 4) | ((b[i + 1] as number) & 0x0f)
  }
  /** traffic class and flow label: ip6_flowinfo() */
  get flowinfo(): number {
    const b = this.bytes
    const i = this.at
    return (((b[i] as number) & 0x0f) << 24) | ((b[i + 1] as number) << 16) | ((b[i + 2] as number) << 8) | (b[i + 3] as number)
  }
  /** the first word: version 6, class, label */
  flow_hdr(tclass: number, flowlabel: number): void {
    const b = this.bytes
    const i = this.at
    b[i] = 0x60 | (tclass >> 4)
    b[i + 1] = ((tclass & 0x0f) << 4) | (flowlabel >> 16)
    b[i + 2] = flowlabel >> 8
    b[i + 3] = flowlabel
  }
  get payload_len(): number {
    return get_be16(this.bytes, this.at + 4)
  }
  set payload_len(v: number) {
    put_be16(this.bytes, this.at + 4, v)
  }
  get nexthdr(): number {
    return this.bytes[this.at + 6] as number
  }
  set nexthdr(v: number) {
    this.bytes[this.at + 6] = v
  }
  get hop_limit(): number {
    return this.bytes[this.at + 7] as number
  }
  set hop_limit(v: number) {
    this.bytes[this.at + 7] = v
  }
  get saddr(): in6_addr {
    return this.bytes.subarray(this.at + 8, this.at + 24)
  }
  set saddr(v: in6_addr) {
    this.bytes.set(v, this.at + 8)
  }
  get daddr(): in6_addr {
    return this.bytes.subarray(this.at + 24, this.at + 40)
  }
  set daddr(v: in6_addr) {
    this.bytes.set(v, this.at + 24)
  }
}

export const ipv6_hdr = (skb: sk_buff): ipv6hdr => new ipv6hdr(skb.head.bytes, skb.network_header)
export const ipv6_payload_len = (skb: sk_buff, ip6: ipv6hdr): number => {
  const len = ip6.payload_len
  return len || skb.head.shinfo.gso_size === 0 || ip6.nexthdr !== 0
    ? len
    : skb.len - (skb.network_header - skb.data) - SIZEOF_IPV6HDR
}

/** struct inet6_cork */
export class inet6_cork {
  opt: ipv6_txoptions | null = null
  hop_limit = 0
  tclass = 0
  dontfrag = false
}

/** struct ipv6_txoptions: extension headers that a socket puts into what it sends. Lengths in bytes. */
export class ipv6_txoptions {
  refcnt = 1
  tot_len = 0
  opt_flen = 0
  opt_nflen = 0
  hopopt: Uint8Array | null = null
  dst0opt: Uint8Array | null = null
  srcrt: Uint8Array | null = null
  dst1opt: Uint8Array | null = null
}

/** struct ipv6_pinfo: what an IPv6 socket has besides struct inet_sock */
export class ipv6_pinfo {
  saddr: in6_addr = new Uint8Array(16)
  sticky_pktinfo: { ipi6_ifindex: number; ipi6_addr: in6_addr } = { ipi6_ifindex: 0, ipi6_addr: new Uint8Array(16) }
  daddr_cache: in6_addr | null = null
  saddr_cache = false
  flow_label = 0
  frag_size = 0
  hop_limit = -1
  mcast_hops = 1
  ucast_oif = 0
  mcast_oif = 0
  /** bits of rxopt */
  rxopt = 0
  srcprefs = 0
  pmtudisc: number = IPV6_PMTUDISC_WANT
  min_hopcount = 0
  tclass = 0
  rcv_flowinfo = 0
  dst_cookie = 0
  ipv6_mc_list: unknown = null
  ipv6_ac_list: unknown = null
  opt: ipv6_txoptions | null = null
  pktoptions: sk_buff | null = null
  rxpmtu: sk_buff | null = null
  readonly cork: inet6_cork = new inet6_cork()

  /** memcpy(newnp, np, sizeof(*np)) */
  clone(): ipv6_pinfo {
    const n = new ipv6_pinfo()
    n.saddr.set(this.saddr)
    n.sticky_pktinfo = { ipi6_ifindex: this.sticky_pktinfo.ipi6_ifindex, ipi6_addr: this.sticky_pktinfo.ipi6_addr.slice() }
    n.saddr_cache = this.saddr_cache
    n.flow_label = this.flow_label
    n.frag_size = this.frag_size
    n.hop_limit = this.hop_limit
    n.mcast_hops = this.mcast_hops
    n.ucast_oif = this.ucast_oif
    n.mcast_oif = this.mcast_oif
    n.rxopt = this.rxopt
    n.srcprefs = this.srcprefs
    n.pmtudisc = this.pmtudisc
    n.min_hopcount = this.min_hopcount
    n.tclass = this.tclass
    n.rcv_flowinfo = this.rcv_flowinfo
    n.dst_cookie = this.dst_cookie
    return n
  }
}

/** bits of ipv6_pinfo.rxopt */
export const RXOPT_SRCRT = 1
export const RXOPT_OSRCRT = 2
export const RXOPT_RXINFO = 4
export const RXOPT_RXOINFO = 8
export const RXOPT_RXHLIM = 16
export const RXOPT_RXOHLIM = 32
export const RXOPT_HOPOPTS = 64
export const RXOPT_OHOPOPTS = 128
export const RXOPT_DSTOPTS = 256
export const RXOPT_ODSTOPTS = 512
export const RXOPT_RXFLOW = 1024
export const RXOPT_RXTCLASS = 2048
export const RXOPT_RXPMTU = 4096
export const RXOPT_RXORIGDSTADDR = 8192
export const RXOPT_RECVFRAGSIZE = 16384

/** bits of inet_flags that only IPv6 uses */
export { INET_FLAGS_MC6_LOOP } from '../net/inet_sock.ts'
export const INET_FLAGS_RECVERR6_RFC4884 = 21
export const INET_FLAGS_MC6_ALL = 22
export const INET_FLAGS_AUTOFLOWLABEL_SET = 23
export const INET_FLAGS_AUTOFLOWLABEL = 24
export const INET_FLAGS_DONTFRAG = 25
export const INET_FLAGS_RECVERR6 = 26
export const INET_FLAGS_REPFLOW = 27
export const INET_FLAGS_RTALERT_ISOLATE = 28
export const INET_FLAGS_SNDFLOW = 29
export const INET_FLAGS_RTALERT = 30
export const inet6_test_bit = inet_test_bit

export const inet6_sk = (sk: sock): ipv6_pinfo => (sk as inet_sock).pinet6 as ipv6_pinfo
/** the address that the socket receives for, and that it is connected to; IPv6 sockets have both */
export const sk_v6_rcv_saddr = (sk: { skc_v6_rcv_saddr: Uint8Array | null }): in6_addr => sk.skc_v6_rcv_saddr as in6_addr
export const sk_v6_daddr = (sk: { skc_v6_daddr: Uint8Array | null }): in6_addr => sk.skc_v6_daddr as in6_addr

// struct inet6_skb_parm overlays inet_skb_parm: IPCB(skb) serves both
export { IPCB as IP6CB } from '../net/ip.ts'
/** of a fragment header's second word */
export const IP6_MF = 1
export const IP6_OFFSET = 0xfff8
export const IP6SKB_FORWARDED = 2
export const IP6SKB_REROUTED = 4
export const IP6SKB_ROUTERALERT = 8
export const IP6SKB_FRAGMENTED = 16
export const IP6SKB_HOPBYHOP = 32
export const IP6SKB_L3SLAVE = 64
export const IP6SKB_JUMBOGRAM = 128
export const IP6SKB_FAKEJUMBO = 512
export const IP6SKB_MULTIPATH = 1024
export const inet6_iif = (skb: sk_buff): number => skb.inet_cb?.iif ?? 0
export const inet6_sdif = (_skb: sk_buff): number => 0

/** struct ipcm6_cookie */
export class ipcm6_cookie {
  sockc: { transmit_time: number; mark: number; tsflags: number } = { transmit_time: 0, mark: 0, tsflags: 0 }
  hlimit = -1
  tclass = 0
  gso_size = 0
  dontfrag = false
  opt: ipv6_txoptions | null = null
}
