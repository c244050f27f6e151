// include/uapi/linux/if_packet.h

// options of SOL_PACKET
export const PACKET_ADD_MEMBERSHIP = 1
export const PACKET_DROP_MEMBERSHIP = 2
export const PACKET_STATISTICS = 6
export const PACKET_AUXDATA = 8
export const PACKET_ORIGDEV = 9
export const PACKET_VERSION = 10
export const PACKET_HDRLEN = 11
export const PACKET_RESERVE = 12
export const PACKET_LOSS = 14
export const PACKET_VNET_HDR = 15
export const PACKET_TX_TIMESTAMP = 16
export const PACKET_TIMESTAMP = 17
export const PACKET_FANOUT = 18
export const PACKET_TX_HAS_OFF = 19
export const PACKET_QDISC_BYPASS = 20
export const PACKET_IGNORE_OUTGOING = 23
export const PACKET_VNET_HDR_SZ = 24
export const PACKET_COPY_THRESH = 7

export const PACKET_MR_MULTICAST = 0
export const PACKET_MR_PROMISC = 1
export const PACKET_MR_ALLMULTI = 2
export const PACKET_MR_UNICAST = 3

export const TP_STATUS_USER = 1
export const TP_STATUS_CSUMNOTREADY = 1 << 3
export const TP_STATUS_VLAN_VALID = 1 << 4
export const TP_STATUS_VLAN_TPID_VALID = 1 << 6
export const TP_STATUS_CSUM_VALID = 1 << 7
export const TP_STATUS_GSO_TCP = 1 << 8

/** sizeof(struct sockaddr_ll), and where its address begins */
export const SIZEOF_SOCKADDR_LL = 20
export const SLL_ADDR = 12

/**
 * struct sockaddr_ll over the bytes of a sockaddr: family, protocol (big-endian), ifindex, hatype, pkttype, halen, and up to 8 bytes of
 * address
 */
export class sockaddr_ll {
  readonly bytes: Uint8Array
  readonly #d: DataView

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#d = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
  get sll_family(): number {
    return this.#d.getUint16(0, true)
  }
  set sll_family(v: number) {
    this.#d.setUint16(0, v, true)
  }
  get sll_protocol(): number {
    return this.#d.getUint16(2)
  }
  set sll_protocol(v: number) {
    this.#d.setUint16(2, v)
  }
  get sll_ifindex(): number {
    return this.#d.getInt32(4, true)
  }
  set sll_ifindex(v: number) {
    this.#d.setInt32(4, v, true)
  }
  get sll_hatype(): number {
    return this.#d.getUint16(8, true)
  }
  set sll_hatype(v: number) {
    this.#d.setUint16(8, v, true)
  }
  get sll_pkttype(): number {
    return this.#d.getUint8(10)
  }
  set sll_pkttype(v: number) {
    this.#d.setUint8(10, v)
  }
  get sll_halen(): number {
    return this.#d.getUint8(11)
  }
  set sll_halen(v: number) {
    this.#d.setUint8(11, v)
  }
  /** the 8 bytes themselves, not a copy */
  get sll_addr(): Uint8Array {
    return this.bytes.subarray(SLL_ADDR, SLL_ADDR + 8)
  }
}
