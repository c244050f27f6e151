import { get_be16, put_be16 } from './ip.ts'
import type { sk_buff } from './skbuff.ts'

export const SIZEOF_ARPHDR = 8

/** The fixed part of an ARP packet: include/uapi/linux/if_arp.h. Numbers in host order. */
export class arphdr {
  readonly bytes: Uint8Array
  readonly at: number

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes
    this.at = at
  }

  get ar_hrd(): number {
    return get_be16(this.bytes, this.at)
  }
  set ar_hrd(v: number) {
    put_be16(this.bytes, this.at, v)
  }
  get ar_pro(): number {
    return get_be16(this.bytes, this.at + 2)
  }
  set ar_pro(v: number) {
    put_be16(this.bytes, this.at + 2, v)
  }
  get ar_hln(): number {
    return this.bytes[this.at + 4] as number
  }
  set ar_hln(v: number) {
    this.bytes[this.at + 4] = v
  }
  get ar_pln(): number {
    return this.bytes[this.at + 5] as number
  }
  set ar_pln(v: number) {
    this.bytes[this.at + 5] = v
  }
  get ar_op(): number {
    return get_be16(this.bytes, this.at + 6)
  }
  set ar_op(v: number) {
    put_be16(this.bytes, this.at + 6, v)
  }
}

export const arp_hdr = (skb: sk_buff): arphdr => new arphdr(skb.head.bytes, skb.network_header)
export const arp_hdr_len = (dev: { addr_len: number }): number => SIZEOF_ARPHDR + (dev.addr_len + 4) * 2

export const ARPOP_REQUEST = 1
export const ARPOP_REPLY = 2
export {
  ARPHRD_ETHER,
  ARPHRD_IPGRE,
  ARPHRD_LOOPBACK,
  ARPHRD_NONE,
  ARPHRD_SIT,
  ARPHRD_TUNNEL,
  ARPHRD_VOID,
} from '../generated/enums.ts'
export const ARPHRD_AX25 = 3
export const ARPHRD_NETROM = 0
export const ARPHRD_INFINIBAND = 32
export const ARPHRD_IEEE802 = 6
export const ARPHRD_IEEE1394 = 24
export const ARPHRD_FDDI = 774
