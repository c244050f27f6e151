import { get_be16, get_be32, put_be16, put_be32 } from './ip.ts'
import type { sk_buff } from './skbuff.ts'

export const SIZEOF_ICMPHDR = 8

/** An ICMP header in a packet: include/uapi/linux/icmp.h. Numbers in host order. */
export class icmphdr {
  readonly bytes: Uint8Array
  readonly at: number

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes
    this.at = at
  }

  get type(): number {
    return this.bytes[this.at] as number
  }
  set type(v: number) {
    this.bytes[this.at] = v
  }
  get code(): number {
    return this.bytes[this.at + 1] as number
  }
  set code(v: number) {
    this.bytes[this.at + 1] = v
  }
  get checksum(): number {
    return get_be16(this.bytes, this.at + 2)
  }
  set checksum(v: number) {
    put_be16(this.bytes, this.at + 2, v)
  }
  /** un.gateway, or the second word whatever it means */
  get gateway(): number {
    return get_be32(this.bytes, this.at + 4)
  }
  set gateway(v: number) {
    put_be32(this.bytes, this.at + 4, v)
  }
  /** un.echo.id */
  get id(): number {
    return get_be16(this.bytes, this.at + 4)
  }
  set id(v: number) {
    put_be16(this.bytes, this.at + 4, v)
  }
  /** un.echo.sequence; un.frag.mtu lies here too */
  get sequence(): number {
    return get_be16(this.bytes, this.at + 6)
  }
  set sequence(v: number) {
    put_be16(this.bytes, this.at + 6, v)
  }
  get mtu(): number {
    return get_be16(this.bytes, this.at + 6)
  }
}

export const icmp_hdr = (skb: sk_buff): icmphdr => new icmphdr(skb.head.bytes, skb.transport_header)

export const ICMP_ECHOREPLY = 0
export const ICMP_DEST_UNREACH = 3
export const ICMP_SOURCE_QUENCH = 4
export const ICMP_REDIRECT = 5
export const ICMP_ECHO = 8
export const ICMP_TIME_EXCEEDED = 11
export const ICMP_PARAMETERPROB = 12
export const ICMP_TIMESTAMP = 13
export const ICMP_TIMESTAMPREPLY = 14
export const ICMP_INFO_REQUEST = 15
export const ICMP_INFO_REPLY = 16
export const ICMP_ADDRESS = 17
export const ICMP_ADDRESSREPLY = 18
export const NR_ICMP_TYPES = 18
export const ICMP_NET_UNREACH = 0
export const ICMP_HOST_UNREACH = 1
export const ICMP_PROT_UNREACH = 2
export const ICMP_PORT_UNREACH = 3
export const ICMP_FRAG_NEEDED = 4
export const ICMP_SR_FAILED = 5
export const ICMP_NET_UNKNOWN = 6
export const ICMP_HOST_UNKNOWN = 7
export const ICMP_HOST_ISOLATED = 8
export const ICMP_NET_ANO = 9
export const ICMP_HOST_ANO = 10
export const ICMP_NET_UNR_TOS = 11
export const ICMP_HOST_UNR_TOS = 12
export const ICMP_PKT_FILTERED = 13
export const ICMP_PREC_VIOLATION = 14
export const ICMP_PREC_CUTOFF = 15
export const NR_ICMP_UNREACH = 15
export const ICMP_REDIR_NET = 0
export const ICMP_REDIR_HOST = 1
export const ICMP_EXC_TTL = 0
export const ICMP_EXC_FRAGTIME = 1
export const ICMP_EXT_ECHO = 42
export const ICMP_EXT_ECHOREPLY = 43

export const icmp_is_err = (type: number): boolean =>
  type === ICMP_DEST_UNREACH ||
  type === ICMP_SOURCE_QUENCH ||
  type === ICMP_REDIRECT ||
  type === ICMP_TIME_EXCEEDED ||
  type === ICMP_PARAMETERPROB
