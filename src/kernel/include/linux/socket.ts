import type { sockaddr } from './net.ts'
import type { sk_buff, ubuf_info } from './skbuff.ts'
import { iov_iter } from './uio.ts'

export const AF_UNSPEC = 0
export const AF_UNIX = 1
export const AF_LOCAL = 1
export const AF_INET = 2
export const AF_BRIDGE = 7
export const AF_INET6 = 10
export const AF_NETLINK = 16
export const AF_PACKET = 17
export const NPROTO = 46
export const PF_UNSPEC = 0
export const PF_UNIX = 1
export const PF_LOCAL = 1
export const PF_INET = 2
export const PF_INET6 = 10
export const PF_NETLINK = 16
export const PF_PACKET = 17

export const SOMAXCONN = 4096

export const SOL_IP = 0
export const SOL_SOCKET = 1
export const SOL_TCP = 6
export const SOL_UDP = 17
export const SOL_IPV6 = 41
export const SOL_RAW = 255
export const SOL_PACKET = 263

// include/uapi/asm-generic/socket.h
export const SO_DEBUG = 1
export const SO_REUSEADDR = 2
export const SO_TYPE = 3
export const SO_ERROR = 4
export const SO_DONTROUTE = 5
export const SO_BROADCAST = 6
export const SO_SNDBUF = 7
export const SO_RCVBUF = 8
export const SO_KEEPALIVE = 9
export const SO_OOBINLINE = 10
export const SO_NO_CHECK = 11
export const SO_PRIORITY = 12
export const SO_LINGER = 13
export const SO_BSDCOMPAT = 14
export const SO_REUSEPORT = 15
export const SO_PASSCRED = 16
export const SO_PEERCRED = 17
export const SO_RCVLOWAT = 18
export const SO_SNDLOWAT = 19
export const SO_RCVTIMEO_OLD = 20
export const SO_SNDTIMEO_OLD = 21
export const SO_BINDTODEVICE = 25
export const SO_ATTACH_FILTER = 26
export const SO_DETACH_FILTER = 27
export const SO_PEERNAME = 28
export const SO_TIMESTAMP_OLD = 29
export const SO_ACCEPTCONN = 30
export const SO_PEERSEC = 31
export const SO_SNDBUFFORCE = 32
export const SO_RCVBUFFORCE = 33
export const SO_PASSSEC = 34
export const SO_TIMESTAMPNS_OLD = 35
export const SO_MARK = 36
export const SO_TIMESTAMPING_OLD = 37
export const SO_PROTOCOL = 38
export const SO_DOMAIN = 39
export const SO_RXQ_OVFL = 40
export const SO_WIFI_STATUS = 41
export const SO_PEEK_OFF = 42
export const SO_NOFCS = 43
export const SO_LOCK_FILTER = 44
export const SO_SELECT_ERR_QUEUE = 45
export const SO_BUSY_POLL = 46
export const SO_MAX_PACING_RATE = 47
export const SO_BPF_EXTENSIONS = 48
export const SO_INCOMING_CPU = 49
export const SO_ATTACH_BPF = 50
export const SO_ATTACH_REUSEPORT_CBPF = 51
export const SO_ATTACH_REUSEPORT_EBPF = 52
export const SO_CNX_ADVICE = 53
export const SO_MEMINFO = 55
export const SO_INCOMING_NAPI_ID = 56
export const SO_COOKIE = 57
export const SO_PEERGROUPS = 59
export const SO_ZEROCOPY = 60
export const SO_TXTIME = 61
export const SO_BINDTOIFINDEX = 62
export const SO_TIMESTAMP_NEW = 63
export const SO_TIMESTAMPNS_NEW = 64
export const SO_TIMESTAMPING_NEW = 65
export const SO_RCVTIMEO_NEW = 66
export const SO_SNDTIMEO_NEW = 67
export const SO_DETACH_REUSEPORT_BPF = 68
export const SO_PREFER_BUSY_POLL = 69
export const SO_BUSY_POLL_BUDGET = 70
export const SO_NETNS_COOKIE = 71
export const SO_BUF_LOCK = 72
export const SO_RESERVE_MEM = 73
export const SO_TXREHASH = 74
export const SO_RCVMARK = 75
export const SO_PASSPIDFD = 76
export const SO_PEERPIDFD = 77

export const SCM_RIGHTS = 1
export const SCM_CREDENTIALS = 2
export const SCM_SECURITY = 3
export const SCM_PIDFD = 4
export const SCM_TXTIME = SO_TXTIME

/**
 * include/linux/socket.h struct msghdr. msg_control are the kernel's own bytes of a send; msg_control_user is the address in user
 * memory that a receive fills (msg_control_is_user). msg_controllen: bytes there, or bytes left.
 */
export class msghdr {
  msg_name: sockaddr | null = null
  msg_namelen = 0
  msg_inq = 0
  readonly msg_iter: iov_iter = new iov_iter()
  msg_control: Uint8Array | null = null
  msg_control_user = 0
  msg_control_is_user = false
  msg_get_inq = 0
  msg_flags = 0
  msg_controllen = 0
  msg_iocb: unknown = null
  msg_ubuf: ubuf_info | null = null
  sg_from_iter: ((skb: sk_buff, from: iov_iter, length: number) => number) | null = null
}

export const msg_data_left = (msg: msghdr): number => msg.msg_iter.count

/** struct user_msghdr on x86-64: name 0, namelen 8, iov 16, iovlen 24, control 32, controllen 40, flags 48 */
export const SIZEOF_USER_MSGHDR = 56
export const USER_MSGHDR_NAMELEN = 8
export const USER_MSGHDR_CONTROLLEN = 40
export const USER_MSGHDR_FLAGS = 48
/** struct mmsghdr: user_msghdr, msg_len at 56 */
export const SIZEOF_MMSGHDR = 64

/** a struct user_msghdr that was read; pointers are addresses in user memory */
export interface user_msghdr {
  msg_name: number
  msg_namelen: number
  msg_iov: number
  msg_iovlen: number
  msg_control: number
  msg_controllen: number
  msg_flags: number
}

export const SIZEOF_CMSGHDR = 16
export const CMSG_ALIGN = (len: number): number => (len + 7) & ~7
export const CMSG_SPACE = (len: number): number => SIZEOF_CMSGHDR + CMSG_ALIGN(len)
export const CMSG_LEN = (len: number): number => SIZEOF_CMSGHDR + len

/** a control message inside msg_control */
export class cmsghdr {
  readonly bytes: Uint8Array
  /** where it starts */
  readonly offset: number

  constructor(bytes: Uint8Array, offset: number) {
    this.bytes = bytes
    this.offset = offset
  }
  #i32(i: number): number {
    const b = this.bytes
    const o = this.offset + i
    return (b[o] ?? 0) | ((b[o + 1] ?? 0) << 8) | ((b[o + 2] ?? 0) << 16) | ((b[o + 3] ?? 0) << 24)
  }
  get cmsg_len(): number {
    return (this.#i32(0) >>> 0) + (this.#i32(4) >>> 0) * 0x100000000
  }
  get cmsg_level(): number {
    return this.#i32(8)
  }
  get cmsg_type(): number {
    return this.#i32(12)
  }
}

/** the message's data: cmsg_len - 16 bytes, as far as they are there */
export const CMSG_DATA = (cmsg: cmsghdr): Uint8Array =>
  cmsg.bytes.subarray(cmsg.offset + SIZEOF_CMSGHDR, cmsg.offset + Math.max(cmsg.cmsg_len, SIZEOF_CMSGHDR))

export const CMSG_FIRSTHDR = (msg: msghdr): cmsghdr | null =>
  msg.msg_control !== null && msg.msg_controllen >= SIZEOF_CMSGHDR ? new cmsghdr(msg.msg_control, 0) : null

export const CMSG_OK = (msg: msghdr, cmsg: cmsghdr): boolean =>
  cmsg.cmsg_len >= SIZEOF_CMSGHDR && cmsg.cmsg_len <= msg.msg_controllen - cmsg.offset

export function CMSG_NXTHDR(msg: msghdr, cmsg: cmsghdr): cmsghdr | null {
  const next = cmsg.offset + Math.ceil(cmsg.cmsg_len / 8) * 8
  return next + SIZEOF_CMSGHDR > msg.msg_controllen ? null : new cmsghdr(cmsg.bytes, next)
}

/** include/linux/socket.h for_each_cmsghdr */
export function* for_each_cmsghdr(msg: msghdr): Generator<cmsghdr> {
  for (let cmsg = CMSG_FIRSTHDR(msg); cmsg !== null; cmsg = CMSG_NXTHDR(msg, cmsg)) yield cmsg
}

/** include/linux/socket.h struct ucred */
export interface ucred {
  pid: number
  uid: number
  gid: number
}
