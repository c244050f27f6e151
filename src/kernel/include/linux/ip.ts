import type { sk_buff } from './skbuff.ts'

const get16 = (b: Uint8Array, o: number): number => ((b[o] as number) << 8) | (b[o + 1] as number)
const get32 = (b: Uint8Array, o: number): number =>
  (((b[o] as number) << 24) | ((b[o + 1] as number) << 16) | ((b[o + 2] as number) << 8) | (b[o + 3] as number)) >>> 0
const put16 = (b: Uint8Array, o: number, v: number): void => {
  b[o] = v >>> 8
  b[o + 1] = v
}
const put32 = (b: Uint8Array, o: number, v: number): void => {
  b[o] = v >>> 24
  b[o + 1] = v >>> 16
  b[o + 2] = v >>> 8
  b[o + 3] = v
}

/** big-endian numbers at an offset, as they lie in a packet */
export { get16 as get_be16, get32 as get_be32, put16 as put_be16, put32 as put_be32 }

/** An IPv4 header in a packet: include/uapi/linux/ip.h. Numbers in host order. */
export class iphdr {
  readonly bytes: Uint8Array
  /** where it starts in `bytes` */
  readonly at: number

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes
    this.at = at
  }

  get version(): number {
    return (this.bytes[this.at] as number) >> 4
  }
  /** in 32-bit words */
  get ihl(): number {
    return (this.bytes[this.at] as number) & 15
  }
  set ihl(v: number) {
    this.bytes[this.at] = ((this.bytes[this.at] as number) & 0xf0) | v
  }
  get tos(): number {
    return this.bytes[this.at + 1] as number
  }
  set tos(v: number) {
    this.bytes[this.at + 1] = v
  }
  get tot_len(): number {
    return get16(this.bytes, this.at + 2)
  }
  set tot_len(v: number) {
    put16(this.bytes, this.at + 2, v)
  }
  get id(): number {
    return get16(this.bytes, this.at + 4)
  }
  set id(v: number) {
    put16(this.bytes, this.at + 4, v)
  }
  /** flags and offset: IP_DF, IP_MF, IP_OFFSET */
  get frag_off(): number {
    return get16(this.bytes, this.at + 6)
  }
  set frag_off(v: number) {
    put16(this.bytes, this.at + 6, v)
  }
  get ttl(): number {
    return this.bytes[this.at + 8] as number
  }
  set ttl(v: number) {
    this.bytes[this.at + 8] = v
  }
  get protocol(): number {
    return this.bytes[this.at + 9] as number
  }
  set protocol(v: number) {
    this.bytes[this.at + 9] = v
  }
  get check(): number {
    return get16(this.bytes, this.at + 10)
  }
  set check(v: number) {
    put16(this.bytes, this.at + 10, v)
  }
  get saddr(): number {
    return get32(this.bytes, this.at + 12)
  }
  set saddr(v: number) {
    put32(this.bytes, this.at + 12, v)
  }
  get daddr(): number {
    return get32(this.bytes, this.at + 16)
  }
  set daddr(v: number) {
    put32(this.bytes, this.at + 16, v)
  }
  /** version, length of the header and type of service at one go */
  set_version_ihl_tos(version: number, ihl: number, tos: number): void {
    this.bytes[this.at] = (version << 4) | ihl
    this.bytes[this.at + 1] = tos
  }
}

export const SIZEOF_IPHDR = 20

export const ip_hdr = (skb: sk_buff): iphdr => new iphdr(skb.head.bytes, skb.network_header)
export const ip_is_fragment = (iph: iphdr): boolean => (iph.frag_off & (0x2000 | 0x1fff)) !== 0
/** length of the datagram; a GSO packet that is too long for the field says 0 there */
export const iph_totlen = (skb: sk_buff, iph: iphdr): number => {
  const len = iph.tot_len
  return len || skb.head.shinfo.gso_size === 0 ? len : skb.len - (skb.network_header - skb.data)
}
export const ip_hdrlen = (skb: sk_buff): number => ((skb.head.bytes[skb.network_header] as number) & 15) * 4

// include/uapi/linux/ip.h
export const IPTOS_TOS_MASK = 0x1e
export const IPTOS_TOS = (tos: number): number => tos & IPTOS_TOS_MASK
export const IPTOS_RT_MASK = IPTOS_TOS_MASK & ~3
export const INET_DSCP_MASK = 0xfc
export const IPOPT_COPY = 0x80
export const IPOPT_COPIED = (o: number): boolean => (o & IPOPT_COPY) !== 0
export const IPOPT_END = 0
export const IPOPT_NOOP = 1
export const IPOPT_SEC = 2 | IPOPT_COPY
export const IPOPT_LSRR = 3 | IPOPT_COPY
export const IPOPT_TIMESTAMP = 4 | 0x40
export const IPOPT_CIPSO = 6 | IPOPT_COPY
export const IPOPT_RR = 7
export const IPOPT_SID = 8 | IPOPT_COPY
export const IPOPT_SSRR = 9 | IPOPT_COPY
export const IPOPT_RA = 20 | IPOPT_COPY
export const MAXTTL = 255
export const IPDEFTTL = 64
export const IPOPT_OPTVAL = 0
export const IPOPT_OLEN = 1
export const IPOPT_OFFSET = 2
export const IPOPT_MINOFF = 4
export const MAX_IPOPTLEN = 40
export const IPOPT_TS_TSONLY = 0
export const IPOPT_TS_TSANDADDR = 1
export const IPOPT_TS_PRESPEC = 3

// include/net/inet_ecn.h
export const INET_ECN_NOT_ECT = 0
export const INET_ECN_ECT_1 = 1
export const INET_ECN_ECT_0 = 2
export const INET_ECN_CE = 3
export const INET_ECN_MASK = 3
