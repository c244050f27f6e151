import type { sk_buff } from './skbuff.ts'

/** sizeof(struct tcphdr): a header without options */
export const TCPHDR_LEN = 20

/** the 32-bit word with data offset, flags and window, in host order: include/uapi/linux/tcp.h */
export const TCP_FLAG_CWR = 0x00800000
export const TCP_FLAG_ECE = 0x00400000
export const TCP_FLAG_URG = 0x00200000
export const TCP_FLAG_ACK = 0x00100000
export const TCP_FLAG_PSH = 0x00080000
export const TCP_FLAG_RST = 0x00040000
export const TCP_FLAG_SYN = 0x00020000
export const TCP_FLAG_FIN = 0x00010000
export const TCP_RESERVED_BITS = 0x0f000000
export const TCP_DATA_OFFSET = 0xf0000000

/** A view of a TCP header at `off` in `bytes`. Numbers are in host order. */
export class tcphdr {
  readonly bytes: Uint8Array
  readonly off: number

  constructor(bytes: Uint8Array, off: number) {
    this.bytes = bytes
    this.off = off
  }

  #get16(i: number): number {
    const b = this.bytes
    const o = this.off + i
    return ((b[o] ?? 0) << 8) | (b[o + 1] ?? 0)
  }
  #put16(i: number, v: number): void {
    const b = this.bytes
    const o = this.off + i
    b[o] = v >> 8
    b[o + 1] = v
  }
  #get32(i: number): number {
    const b = this.bytes
    const o = this.off + i
    return (((b[o] ?? 0) << 24) | ((b[o + 1] ?? 0) << 16) | ((b[o + 2] ?? 0) << 8) | (b[o + 3] ?? 0)) >>> 0
  }
  #put32(i: number, v: number): void {
    const b = this.bytes
    const o = this.off + i
    b[o] = v >>> 24
    b[o + 1] = v >>> 16
    b[o + 2] = v >>> 8
    b[o + 3] = v
  }
  #flag(mask: number): number {
    return ((this.bytes[this.off + 13] ?? 0) & mask) !== 0 ? 1 : 0
  }
  #setFlag(mask: number, v: number): void {
    const o = this.off + 13
    const old = this.bytes[o] ?? 0
    this.bytes[o] = v ? old | mask : old & ~mask
  }

  get source(): number {
    return this.#get16(0)
  }
  set source(v: number) {
    this.#put16(0, v)
  }
  get dest(): number {
    return this.#get16(2)
  }
  set dest(v: number) {
    this.#put16(2, v)
  }
  get seq(): number {
    return this.#get32(4)
  }
  set seq(v: number) {
    this.#put32(4, v)
  }
  get ack_seq(): number {
    return this.#get32(8)
  }
  set ack_seq(v: number) {
    this.#put32(8, v)
  }
  /** header length in words of 4 bytes */
  get doff(): number {
    return (this.bytes[this.off + 12] ?? 0) >> 4
  }
  set doff(v: number) {
    const o = this.off + 12
    this.bytes[o] = ((this.bytes[o] ?? 0) & 0x0f) | (v << 4)
  }
  /** the four reserved bits below the data offset */
  get res1(): number {
    return (this.bytes[this.off + 12] ?? 0) & 0x0f
  }
  /** all eight flags: TCPHDR_* */
  get flags(): number {
    return this.bytes[this.off + 13] ?? 0
  }
  set flags(v: number) {
    this.bytes[this.off + 13] = v
  }
  /** data offset, flags and window: tcp_flag_word() */
  get flag_word(): number {
    return this.#get32(12)
  }
  get fin(): number {
    return this.#flag(0x01)
  }
  set fin(v: number) {
    this.#setFlag(0x01, v)
  }
  get syn(): number {
    return this.#flag(0x02)
  }
  set syn(v: number) {
    this.#setFlag(0x02, v)
  }
  get rst(): number {
    return this.#flag(0x04)
  }
  set rst(v: number) {
    this.#setFlag(0x04, v)
  }
  get psh(): number {
    return this.#flag(0x08)
  }
  set psh(v: number) {
    this.#setFlag(0x08, v)
  }
  get ack(): number {
    return this.#flag(0x10)
  }
  set ack(v: number) {
    this.#setFlag(0x10, v)
  }
  get urg(): number {
    return this.#flag(0x20)
  }
  set urg(v: number) {
    this.#setFlag(0x20, v)
  }
  get ece(): number {
    return this.#flag(0x40)
  }
  set ece(v: number) {
    this.#setFlag(0x40, v)
  }
  get cwr(): number {
    return this.#flag(0x80)
  }
  set cwr(v: number) {
    this.#setFlag(0x80, v)
  }
  get window(): number {
    return this.#get16(14)
  }
  set window(v: number) {
    this.#put16(14, v)
  }
  get check(): number {
    return this.#get16(16)
  }
  set check(v: number) {
    this.#put16(16, v)
  }
  get urg_ptr(): number {
    return this.#get16(18)
  }
  set urg_ptr(v: number) {
    this.#put16(18, v)
  }
}

export const tcp_hdr = (skb: sk_buff): tcphdr => new tcphdr(skb.head.bytes, skb.transport_header)
export const tcp_flag_word = (th: tcphdr): number => th.flag_word
export const tcp_flag_byte = (th: tcphdr): number => th.flags
export const __tcp_hdrlen = (th: tcphdr): number => th.doff * 4
/** bytes of the header with its options, read without making a view */
export const tcp_hdrlen = (skb: sk_buff): number => ((skb.head.bytes[skb.transport_header + 12] ?? 0) >> 4) * 4
/** bytes from skb->data to the payload */
export const skb_tcp_all_headers = (skb: sk_buff): number => skb.transport_header - skb.data + tcp_hdrlen(skb)

/** setsockopt(SOL_TCP, …): include/uapi/linux/tcp.h */
export const TCP_NODELAY = 1
export const TCP_MAXSEG = 2
export const TCP_CORK = 3
export const TCP_KEEPIDLE = 4
export const TCP_KEEPINTVL = 5
export const TCP_KEEPCNT = 6
export const TCP_SYNCNT = 7
export const TCP_LINGER2 = 8
export const TCP_DEFER_ACCEPT = 9
export const TCP_WINDOW_CLAMP = 10
export const TCP_INFO = 11
export const TCP_QUICKACK = 12
export const TCP_CONGESTION = 13
export const TCP_MD5SIG = 14
export const TCP_THIN_LINEAR_TIMEOUTS = 16
export const TCP_THIN_DUPACK = 17
export const TCP_USER_TIMEOUT = 18
export const TCP_REPAIR = 19
export const TCP_REPAIR_QUEUE = 20
export const TCP_QUEUE_SEQ = 21
export const TCP_REPAIR_OPTIONS = 22
export const TCP_FASTOPEN = 23
export const TCP_TIMESTAMP = 24
export const TCP_NOTSENT_LOWAT = 25
export const TCP_CC_INFO = 26
export const TCP_SAVE_SYN = 27
export const TCP_SAVED_SYN = 28
export const TCP_REPAIR_WINDOW = 29
export const TCP_FASTOPEN_CONNECT = 30
export const TCP_ULP = 31
export const TCP_MD5SIG_EXT = 32
export const TCP_FASTOPEN_KEY = 33
export const TCP_FASTOPEN_NO_COOKIE = 34
export const TCP_ZEROCOPY_RECEIVE = 35
export const TCP_INQ = 36
export const TCP_CM_INQ = TCP_INQ
export const TCP_TX_DELAY = 37
export const TCP_AO_ADD_KEY = 38
export const TCP_AO_DEL_KEY = 39
export const TCP_AO_INFO = 40
export const TCP_AO_GET_KEYS = 41
export const TCP_AO_REPAIR = 42
export const TCP_IS_MPTCP = 43

export const TCP_REPAIR_ON = 1
export const TCP_REPAIR_OFF = 0
export const TCP_REPAIR_OFF_NO_WP = -1
export const TCP_NO_QUEUE = 0
export const TCP_RECV_QUEUE = 1
export const TCP_SEND_QUEUE = 2

/** tcp_info.tcpi_options */
export const TCPI_OPT_TIMESTAMPS = 1
export const TCPI_OPT_SACK = 2
export const TCPI_OPT_WSCALE = 4
export const TCPI_OPT_ECN = 8
export const TCPI_OPT_ECN_SEEN = 16
export const TCPI_OPT_SYN_DATA = 32
export const TCPI_OPT_USEC_TS = 64
export const TCPI_OPT_TFO_CHILD = 128

/** sizeof(struct tcp_info) */
export const TCP_INFO_SIZE = 248
