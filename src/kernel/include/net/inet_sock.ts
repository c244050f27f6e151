import type { ipv6_pinfo } from '../linux/ipv6.ts'
import type { page_frag } from '../linux/mm_types.ts'
import type { sk_buff } from '../linux/skbuff.ts'
import type { dst_entry } from './dst.ts'
import { flowi4 } from './flow.ts'
import type { ip_options } from './ip.ts'
import { request_sock } from './request_sock.ts'
import { sock } from './sock.ts'

/** bits of inet_flags, include/net/inet_sock.h enum */
export const INET_FLAGS_PKTINFO = 0
export const INET_FLAGS_TTL = 1
export const INET_FLAGS_TOS = 2
export const INET_FLAGS_RECVOPTS = 3
export const INET_FLAGS_RETOPTS = 4
export const INET_FLAGS_PASSSEC = 5
export const INET_FLAGS_ORIGDSTADDR = 6
export const INET_FLAGS_CHECKSUM = 7
export const INET_FLAGS_RECVFRAGSIZE = 8
export const INET_FLAGS_RECVERR = 9
export const INET_FLAGS_RECVERR_RFC4884 = 10
export const INET_FLAGS_FREEBIND = 11
export const INET_FLAGS_HDRINCL = 12
export const INET_FLAGS_MC_LOOP = 13
export const INET_FLAGS_MC_ALL = 14
export const INET_FLAGS_TRANSPARENT = 15
export const INET_FLAGS_IS_ICSK = 16
export const INET_FLAGS_NODEFRAG = 17
export const INET_FLAGS_BIND_ADDRESS_NO_PORT = 18
export const INET_FLAGS_DEFER_CONNECT = 19
/** the first of those that only IPv6 uses: include/linux/ipv6.ts */
export const INET_FLAGS_MC6_LOOP = 20

/** struct inet_cork: what a corked datagram remembers between calls */
export class inet_cork {
  flags = 0
  addr = 0
  opt: ip_options | null = null
  fragsize = 0
  length = 0
  dst: dst_entry | null = null
  tx_flags = 0
  ttl = 0
  tos = 0
  priority = 0
  gso_size = 0
  ts_opt_id = 0
  transmit_time = 0
  mark = 0
}

/** struct inet_cork_full */
export class inet_cork_full {
  base: inet_cork = new inet_cork()
  readonly fl: flowi4 = new flowi4()
}

/** include/net/inet_sock.h struct inet_sock */
export class inet_sock extends sock {
  inet_flags = 0
  inet_saddr = 0
  uc_ttl = -1
  inet_sport = 0
  inet_opt: ip_options | null = null
  inet_id = 0
  tos = 0
  min_ttl = 0
  mc_ttl = 1
  pmtudisc = 0
  rcv_tos = 0
  convert_csum = 0
  uc_index = 0
  mc_index = 0
  mc_addr = 0
  local_port_range = 0
  mc_list: unknown = null
  cork: inet_cork_full = new inet_cork_full()
  /** of an IPv6 socket */
  pinet6: ipv6_pinfo | null = null

  get inet_daddr(): number {
    return this.skc_daddr
  }
  set inet_daddr(v: number) {
    this.skc_daddr = v
  }
  get inet_rcv_saddr(): number {
    return this.skc_rcv_saddr
  }
  set inet_rcv_saddr(v: number) {
    this.skc_rcv_saddr = v
  }
  get inet_dport(): number {
    return this.skc_dport
  }
  set inet_dport(v: number) {
    this.skc_dport = v
  }
  get inet_num(): number {
    return this.skc_num
  }
  set inet_num(v: number) {
    this.skc_num = v
  }
}

/** include/net/inet_sock.h struct inet_request_sock: a connection that has sent SYN and is no socket yet */
export class inet_request_sock extends request_sock {
  snd_wscale = 0
  rcv_wscale = 0
  tstamp_ok = 0
  sack_ok = 0
  wscale_ok = 0
  ecn_ok = 0
  acked = 0
  no_srccheck = 0
  smc_ok = 0
  ir_mark = 0
  ireq_opt: ip_options | null = null
  /** the SYN, when an IPv6 listener wants to know its options */
  pktopts: sk_buff | null = null

  get ir_loc_addr(): number {
    return this.skc_rcv_saddr
  }
  set ir_loc_addr(v: number) {
    this.skc_rcv_saddr = v
  }
  get ir_rmt_addr(): number {
    return this.skc_daddr
  }
  set ir_rmt_addr(v: number) {
    this.skc_daddr = v
  }
  get ir_num(): number {
    return this.skc_num
  }
  set ir_num(v: number) {
    this.skc_num = v
  }
  get ir_rmt_port(): number {
    return this.skc_dport
  }
  set ir_rmt_port(v: number) {
    this.skc_dport = v
  }
  get ir_iif(): number {
    return this.skc_bound_dev_if
  }
  set ir_iif(v: number) {
    this.skc_bound_dev_if = v
  }
}

export const inet_sk = (sk: sock): inet_sock => sk as inet_sock
export const inet_rsk = (req: request_sock): inet_request_sock => req as inet_request_sock
export const inet_test_bit = (nr: number, sk: sock): boolean => ((sk as inet_sock).inet_flags & (1 << nr)) !== 0
export const inet_set_bit = (nr: number, sk: sock): void => {
  ;(sk as inet_sock).inet_flags |= 1 << nr
}
export const inet_clear_bit = (nr: number, sk: sock): void => {
  ;(sk as inet_sock).inet_flags &= ~(1 << nr)
}
export const inet_assign_bit = (nr: number, sk: sock, val: boolean): void => (val ? inet_set_bit(nr, sk) : inet_clear_bit(nr, sk))

/** include/net/inet_sock.h: sources that are no address of this machine are allowed to some */
export const inet_sk_flowi_flags = (sk: sock): number =>
  inet_test_bit(INET_FLAGS_HDRINCL, sk) || inet_test_bit(INET_FLAGS_TRANSPARENT, sk) ? 1 : 0

export type { page_frag }
