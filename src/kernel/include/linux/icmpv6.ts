import { get_be16, get_be32, put_be16, put_be32 } from './ip.ts'
import type { sk_buff } from './skbuff.ts'

export const SIZEOF_ICMP6HDR = 8

/** An ICMPv6 header in a packet. Numbers in host order. */
export class icmp6hdr {
  readonly bytes: Uint8Array
  readonly at: number

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes
    this.at = at
  }
  get icmp6_type(): number {
    return this.bytes[this.at] as number
  }
  set icmp6_type(v: number) {
    this.bytes[this.at] = v
  }
  get icmp6_code(): number {
    return this.bytes[this.at + 1] as number
  }
  set icmp6_code(v: number) {
    this.bytes[this.at + 1] = v
  }
  get icmp6_cksum(): number {
    return get_be16(this.bytes, this.at + 2)
  }
  set icmp6_cksum(v: number) {
    put_be16(this.bytes, this.at + 2, v)
  }
  /** icmp6_mtu, icmp6_pointer, the flags of neighbour advertisements */
  get data32(): number {
    return get_be32(this.bytes, this.at + 4)
  }
  set data32(v: number) {
    put_be32(this.bytes, this.at + 4, v)
  }
}
export const icmp6_hdr = (skb: sk_buff): icmp6hdr => new icmp6hdr(skb.head.bytes, skb.transport_header)

export const ICMPV6_DEST_UNREACH = 1
export const ICMPV6_PKT_TOOBIG = 2
export const ICMPV6_TIME_EXCEED = 3
export const ICMPV6_PARAMPROB = 4
export const ICMPV6_INFOMSG_MASK = 0x80
export const ICMPV6_ECHO_REQUEST = 128
export const ICMPV6_ECHO_REPLY = 129
export const ICMPV6_MGM_QUERY = 130
export const ICMPV6_MGM_REPORT = 131
export const ICMPV6_MGM_REDUCTION = 132
export const NDISC_ROUTER_SOLICITATION = 133
export const NDISC_ROUTER_ADVERTISEMENT = 134
export const NDISC_NEIGHBOUR_SOLICITATION = 135
export const NDISC_NEIGHBOUR_ADVERTISEMENT = 136
export const NDISC_REDIRECT = 137
export const ICMPV6_MLD2_REPORT = 143
export const ICMPV6_EXT_ECHO_REQUEST = 160
export const ICMPV6_MSG_MAX = 255
export const ICMPV6_NOROUTE = 0
export const ICMPV6_ADM_PROHIBITED = 1
export const ICMPV6_NOT_NEIGHBOUR = 2
export const ICMPV6_ADDR_UNREACH = 3
export const ICMPV6_PORT_UNREACH = 4
export const ICMPV6_EXC_HOPLIMIT = 0
export const ICMPV6_EXC_FRAGTIME = 1
export const ICMPV6_HDR_FIELD = 0
export const ICMPV6_HDR_INCOMP = 3
export const ICMPV6_UNK_NEXTHDR = 1
export const ICMPV6_UNK_OPTION = 2
export const icmpv6_is_err = (type: number): boolean => type >= ICMPV6_DEST_UNREACH && type <= ICMPV6_PARAMPROB
