/** struct ethhdr as a view over the bytes of a frame */
export class ethhdr {
  bytes: Uint8Array
  off: number

  constructor(bytes: Uint8Array, off: number) {
    this.bytes = bytes
    this.off = off
  }

  at(bytes: Uint8Array, off: number): this {
    this.bytes = bytes
    this.off = off
    return this
  }
  get h_dest(): Uint8Array {
    return this.bytes.subarray(this.off, this.off + 6)
  }
  get h_source(): Uint8Array {
    return this.bytes.subarray(this.off + 6, this.off + 12)
  }
  get h_proto(): number {
    const { bytes: b, off } = this
    return ((b[off + 12] ?? 0) << 8) | (b[off + 13] ?? 0)
  }
  set h_proto(v: number) {
    this.bytes[this.off + 12] = v >> 8
    this.bytes[this.off + 13] = v
  }
}

export {
  ARPHRD_ETHER,
  ARPHRD_LOOPBACK,
  ETH_ALEN,
  ETH_DATA_LEN,
  ETH_FRAME_LEN,
  ETH_HLEN,
  ETH_MAX_MTU,
  ETH_MIN_MTU,
  ETH_P_8021AD,
  ETH_P_8021Q,
  ETH_P_ALL,
  ETH_P_ARP,
  ETH_P_IP,
  ETH_P_IPV6,
  ETH_P_PAE,
  ETH_P_TEB,
} from '../generated/enums.ts'

export const ETH_P_XDSA = 0xf8
export const ETH_P_802_2 = 4
export const ETH_P_802_3 = 1
export const ETH_P_802_3_MIN = 0x600

export const is_zero_ether_addr = (a: Uint8Array): boolean =>
  ((a[0] ?? 0) | (a[1] ?? 0) | (a[2] ?? 0) | (a[3] ?? 0) | (a[4] ?? 0) | (a[5] ?? 0)) === 0
export const is_multicast_ether_addr = (a: Uint8Array): boolean => ((a[0] ?? 0) & 1) !== 0
export const is_broadcast_ether_addr = (a: Uint8Array): boolean =>
  ((a[0] ?? 0) & (a[1] ?? 0) & (a[2] ?? 0) & (a[3] ?? 0) & (a[4] ?? 0) & (a[5] ?? 0)) === 0xff
export const is_valid_ether_addr = (a: Uint8Array): boolean => !is_multicast_ether_addr(a) && !is_zero_ether_addr(a)
export function ether_addr_equal(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < 6; i++) if (a[i] !== b[i]) return false
  return true
}
/** the Ethernet type or, for 802.3 frames, a length */
export const eth_proto_is_802_3 = (proto: number): boolean => proto >= ETH_P_802_3_MIN
