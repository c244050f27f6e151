import { inet_sock } from '../net/inet_sock.ts'
import type { sock } from '../net/sock.ts'
import { get_be16, put_be16 } from './ip.ts'
import { list_head } from './list.ts'
import { type sk_buff, sk_buff_head } from './skbuff.ts'

export const SIZEOF_UDPHDR = 8

/** A UDP header in a packet: include/uapi/linux/udp.h. Numbers in host order. */
export class udphdr {
  readonly bytes: Uint8Array
  readonly at: number

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes
    this.at = at
  }

  get source(): number {
    return get_be16(this.bytes, this.at)
  }
  set source(v: number) {
    put_be16(this.bytes, this.at, v)
  }
  get dest(): number {
    return get_be16(this.bytes, this.at + 2)
  }
  set dest(v: number) {
    put_be16(this.bytes, this.at + 2, v)
  }
  get len(): number {
    return get_be16(this.bytes, this.at + 4)
  }
  set len(v: number) {
    put_be16(this.bytes, this.at + 4, v)
  }
  get check(): number {
    return get_be16(this.bytes, this.at + 6)
  }
  set check(v: number) {
    put_be16(this.bytes, this.at + 6, v)
  }
}

export const udp_hdr = (skb: sk_buff): udphdr => new udphdr(skb.head.bytes, skb.transport_header)

export const UDP_HTABLE_SIZE_MIN_PERNET = 128
export const UDP_HTABLE_SIZE_MIN = 256
export const UDP_HTABLE_SIZE_MAX = 65536
export const UDP_MAX_SEGMENTS = 128

// include/uapi/linux/udp.h
export const UDP_CORK = 1
export const UDP_ENCAP = 100
export const UDP_NO_CHECK6_TX = 101
export const UDP_NO_CHECK6_RX = 102
export const UDP_SEGMENT = 103
export const UDP_GRO = 104
export const UDPLITE_SEND_CSCOV = 10
export const UDPLITE_RECV_CSCOV = 11

/** bits of udp_flags */
export const UDP_FLAGS_CORK = 0
export const UDP_FLAGS_NO_CHECK6_TX = 1
export const UDP_FLAGS_NO_CHECK6_RX = 2
export const UDP_FLAGS_GRO_ENABLED = 3
export const UDP_FLAGS_ACCEPT_FRAGLIST = 4
export const UDP_FLAGS_ACCEPT_L4 = 5
export const UDP_FLAGS_ENCAP_ENABLED = 6
export const UDP_FLAGS_UDPLITE_SEND_CC = 7
export const UDP_FLAGS_UDPLITE_RECV_CC = 8

/** include/linux/udp.h struct udp_sock */
export class udp_sock extends inet_sock {
  udp_port_hash = 0
  udp_portaddr_hash = 0
  readonly udp_portaddr_node: list_head<sock> = new list_head<sock>(this)
  readonly udp_node: list_head<sock> = new list_head<sock>(this)
  udp_flags = 0
  /** AF_INET or AF_INET6 while frames are pending, else 0 */
  pending = 0
  encap_type = 0
  /** length of the pending frames with their header, bytes */
  len = 0
  gso_size = 0
  pcslen = 0
  pcrlen = 0
  encap_rcv: ((sk: sock, skb: sk_buff) => number) | null = null
  encap_err_rcv: ((sk: sock, skb: sk_buff, err: number, port: number, info: number, payload: number) => void) | null = null
  encap_err_lookup: ((sk: sock, skb: sk_buff) => number) | null = null
  encap_destroy: ((sk: sock) => void) | null = null
  /** what a tunnel does with the packets inside, for GRO */
  gro_receive: ((sk: sock, head: sk_buff[], skb: sk_buff) => sk_buff | null) | null = null
  gro_complete: ((sk: sock, skb: sk_buff, nhoff: number) => number) | null = null
  readonly reader_queue: sk_buff_head = new sk_buff_head()
  forward_deficit = 0
  forward_threshold = 0
  peeking_with_offset = false
}

export const udp_sk = (sk: sock): udp_sock => sk as udp_sock
export const udp_test_bit = (nr: number, sk: sock): boolean => ((sk as udp_sock).udp_flags & (1 << nr)) !== 0
export const udp_set_bit = (nr: number, sk: sock): void => {
  ;(sk as udp_sock).udp_flags |= 1 << nr
}
export const udp_clear_bit = (nr: number, sk: sock): void => {
  ;(sk as udp_sock).udp_flags &= ~(1 << nr)
}
export const udp_assign_bit = (nr: number, sk: sock, val: boolean): void => (val ? udp_set_bit(nr, sk) : udp_clear_bit(nr, sk))
export const udp_test_and_set_bit = (nr: number, sk: sock): boolean => {
  const was = udp_test_bit(nr, sk)
  udp_set_bit(nr, sk)
  return was
}
export const IS_UDPLITE = (sk: sock): boolean => sk.sk_protocol === 136
