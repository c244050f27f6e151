import type { sk_buff } from '../linux/skbuff.ts'
import type { sockcm_cookie } from './sock.ts'

export const IPV4_MAX_PMTU = 65535
export const IPV4_MIN_MTU = 68

/** struct ip_options, and struct ip_options_rcu around it. Addresses in host order. */
export class ip_options {
  faddr = 0
  nexthop = 0
  /** bytes of `__data` that are used; a multiple of 4 */
  optlen = 0
  /** where in the header an option starts, counted from the header's first byte; 0 for none */
  srr = 0
  rr = 0
  ts = 0
  is_strictroute = 0
  srr_is_hit = 0
  is_changed = 0
  rr_needaddr = 0
  ts_needtime = 0
  ts_needaddr = 0
  router_alert = 0
  cipso = 0
  __data: Uint8Array = NO_OPTIONS

  reset(): void {
    this.faddr = 0
    this.nexthop = 0
    this.optlen = 0
    this.srr = 0
    this.rr = 0
    this.ts = 0
    this.is_strictroute = 0
    this.srr_is_hit = 0
    this.is_changed = 0
    this.rr_needaddr = 0
    this.ts_needtime = 0
    this.ts_needaddr = 0
    this.router_alert = 0
    this.cipso = 0
    this.__data = NO_OPTIONS
  }

  assign(o: ip_options): void {
    this.faddr = o.faddr
    this.nexthop = o.nexthop
    this.optlen = o.optlen
    this.srr = o.srr
    this.rr = o.rr
    this.ts = o.ts
    this.is_strictroute = o.is_strictroute
    this.srr_is_hit = o.srr_is_hit
    this.is_changed = o.is_changed
    this.rr_needaddr = o.rr_needaddr
    this.ts_needtime = o.ts_needtime
    this.ts_needaddr = o.ts_needaddr
    this.router_alert = o.router_alert
    this.cipso = o.cipso
  }
}
const NO_OPTIONS = new Uint8Array(0)

export {
  IP_CE,
  IP_DF,
  IP_MF,
  IP_OFFSET,
  IPSKB_DOREDIRECT,
  IPSKB_FORWARDED,
  IPSKB_FRAG_COMPLETE,
  IPSKB_FRAG_PMTU,
  IPSKB_L3SLAVE,
  IPSKB_MULTIPATH,
  IPSKB_NOPOLICY,
  IPSKB_REROUTED,
  IPSKB_XFRM_TRANSFORMED,
  IPSKB_XFRM_TUNNEL_SIZE,
} from '../generated/enums.ts'

/** struct inet_skb_parm: skb->cb while IP holds the buffer */
export class inet_skb_parm {
  iif = 0
  readonly opt: ip_options = new ip_options()
  flags = 0
  frag_max_size = 0
  /** struct inet6_skb_parm lies in the same place: where in the header the next one is named */
  nhoff = 0
  /** struct in_pktinfo overlays this one between input and recvmsg: the device's index and the address it came to */
  ipi_ifindex = 0
  ipi_spec_dst = 0
  /** struct udp_skb_cb: how many bytes the checksum covers, and whether that is less than all */
  cscov = 0
  partial_cov = 0
  /** struct udp_dev_scratch: what udp_recvmsg() wants to know without touching the buffer */
  scratch_stateless = false
  scratch_csum_unnecessary = false
  scratch_is_linear = false
  scratch_len = 0

  /** memset(IPCB(skb), 0, …) */
  reset(): void {
    this.iif = 0
    this.flags = 0
    this.frag_max_size = 0
    this.nhoff = 0
    const o = this.opt
    if (o.optlen !== 0 || o.faddr !== 0) o.reset()
  }

  assign(p: inet_skb_parm): void {
    this.iif = p.iif
    this.flags = p.flags
    this.frag_max_size = p.frag_max_size
    this.nhoff = p.nhoff
    this.ipi_ifindex = p.ipi_ifindex
    this.ipi_spec_dst = p.ipi_spec_dst
    this.cscov = p.cscov
    this.partial_cov = p.partial_cov
    this.scratch_stateless = p.scratch_stateless
    this.scratch_csum_unnecessary = p.scratch_csum_unnecessary
    this.scratch_is_linear = p.scratch_is_linear
    this.scratch_len = p.scratch_len
    if (p.opt.optlen !== 0 || this.opt.optlen !== 0) {
      this.opt.assign(p.opt)
      this.opt.__data = p.opt.__data
    }
  }
}

/** the IP view of skb->cb, made when it is first asked for */
export const IPCB = (skb: sk_buff): inet_skb_parm => (skb.inet_cb ??= new inet_skb_parm())
export const PKTINFO_SKB_CB = IPCB

/** struct ipcm_cookie: what the control messages of one sendmsg() ask for */
export class ipcm_cookie {
  sockc: sockcm_cookie = { transmit_time: 0, mark: 0, tsflags: 0 } as sockcm_cookie
  addr = 0
  oif = 0
  opt: ip_options | null = null
  protocol = 0
  ttl = 0
  /** -1: the socket's */
  tos = -1
  priority = 0
  gso_size = 0
}

/** struct ip_reply_arg. `iov` is the transport header and what follows it. */
export class ip_reply_arg {
  iov!: Uint8Array
  /** bytes of `iov` that are sent */
  iov_len = 0
  flags = 0
  csum = 0
  /** in 16-bit words from the start of `iov`; -1: no checksum */
  csumoffset = 0
  bound_dev_if = 0
  tos = 0
  uid = 0
}
export const IP_REPLY_ARG_NOSRCCHECK = 1

/** enslaved device's index; without CONFIG_NET_L3_MASTER_DEV users it stays 0 */
export const ipv4_l3mdev_skb = (flags: number): boolean => (flags & 128) !== 0
export const inet_sdif = (skb: sk_buff): number =>
  skb.inet_cb !== null && ipv4_l3mdev_skb(skb.inet_cb.flags) ? skb.inet_cb.iif : 0

export const FRAG_TIME_MS = 30000
export const IP_DEFRAG_LOCAL_DELIVER = 0
export const IP_DEFRAG_CALL_RA_CHAIN = 1
export const IPCORK_OPT = 1
export const IPCORK_TS_OPT_ID = 2
