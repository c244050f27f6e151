import type { net } from '../net/net_namespace.ts'
import type { proto_accept_arg, sock } from '../net/sock.ts'
import type { file, inode } from './fs.ts'
import type { pipe_inode_info } from './pipe_fs_i.ts'
import type { sk_buff } from './skbuff.ts'
import type { msghdr } from './socket.ts'
import { LARGE, type ref } from './types.ts'
import { wait_queue_head } from './wait.ts'

/** sizeof(struct sockaddr_storage) */
export const SOCKADDR_STORAGE_SIZE = 128

/**
 * struct sockaddr_storage: an address of any family as user space lays it out, 128 bytes. Accessors give ports and IPv4 addresses in
 * host order.
 */
export class sockaddr {
  readonly bytes: Uint8Array = new Uint8Array(SOCKADDR_STORAGE_SIZE)

  #u8(i: number): number {
    return this.bytes[i] ?? 0
  }
  #be32(i: number): number {
    return ((this.#u8(i) << 24) | (this.#u8(i + 1) << 16) | (this.#u8(i + 2) << 8) | this.#u8(i + 3)) >>> 0
  }
  #put32(i: number, v: number): void {
    const b = this.bytes
    b[i] = v >>> 24
    b[i + 1] = v >>> 16
    b[i + 2] = v >>> 8
    b[i + 3] = v
  }
  get sa_family(): number {
    return this.#u8(0) | (this.#u8(1) << 8)
  }
  set sa_family(v: number) {
    this.bytes[0] = v
    this.bytes[1] = v >> 8
  }
  /** also sin6_port */
  get sin_port(): number {
    return (this.#u8(2) << 8) | this.#u8(3)
  }
  set sin_port(v: number) {
    this.bytes[2] = v >> 8
    this.bytes[3] = v
  }
  get sin_addr(): number {
    return this.#be32(4)
  }
  set sin_addr(v: number) {
    this.#put32(4, v)
  }
  get sin6_flowinfo(): number {
    return this.#be32(4)
  }
  set sin6_flowinfo(v: number) {
    this.#put32(4, v)
  }
  /** the 16 bytes themselves, not a copy */
  get sin6_addr(): Uint8Array {
    return this.bytes.subarray(8, 24)
  }
  get sin6_scope_id(): number {
    return (this.#u8(24) | (this.#u8(25) << 8) | (this.#u8(26) << 16) | (this.#u8(27) << 24)) >>> 0
  }
  set sin6_scope_id(v: number) {
    this.bytes[24] = v
    this.bytes[25] = v >> 8
    this.bytes[26] = v >> 16
    this.bytes[27] = v >>> 24
  }
  /** the 108 bytes themselves, not a copy */
  get sun_path(): Uint8Array {
    return this.bytes.subarray(2, 110)
  }

  clear(): void {
    this.bytes.fill(0)
  }
  copy(from: sockaddr): void {
    this.bytes.set(from.bytes)
  }
}
export type sockaddr_storage = sockaddr

/** an IPv4 address, as a program would fill it in; `addr` and `port` in host order */
export function sockaddr_in(addr: number, port: number): sockaddr {
  const a = new sockaddr()
  a.sa_family = 2
  a.sin_port = port
  a.sin_addr = addr
  return a
}

/** include/linux/net.h struct socket_wq */
export class socket_wq {
  readonly wait: wait_queue_head = new wait_queue_head()
  fasync_list: unknown = null
  /** bits SOCKWQ_ASYNC_NOSPACE and SOCKWQ_ASYNC_WAITDATA */
  flags = 0
}

/** include/linux/net.h struct socket. `flags` holds bits (1 << SOCK_NOSPACE …). */
export class socket {
  state = 0
  type = 0
  flags = 0
  file: file | null = null
  sk: sock | null = null
  ops: proto_ops | null = null
  readonly wq: socket_wq = new socket_wq()
  /** the inode beside it: SOCK_INODE(sock) */
  inode!: inode
  /** its address as a pointer would print */
  kaddr = LARGE
}

export const SOCK_INODE = (sock: socket): inode => sock.inode
export const SOCKET_I = (i: inode): socket => i.i_private as socket

/** include/linux/net.h struct proto_ops: what a family gives to the socket layer. Filled in an initcall. */
export interface proto_ops {
  family: number
  owner?: unknown
  release: (sock: socket) => number
  bind: (sock: socket, uaddr: sockaddr, addr_len: number) => number
  connect: (sock: socket, uaddr: sockaddr, addr_len: number, flags: number) => number
  socketpair: (sock1: socket, sock2: socket) => number
  accept: (sock: socket, newsock: socket, arg: proto_accept_arg) => number
  /** returns the length of the address, or an error */
  getname: (sock: socket, uaddr: sockaddr, peer: number) => number
  ioctl?: (sock: socket, cmd: number, arg: number) => number
  listen: (sock: socket, backlog: number) => number
  shutdown: (sock: socket, how: number) => number
  setsockopt?: (sock: socket, level: number, optname: number, optval: Uint8Array, optlen: number) => number
  getsockopt?: (sock: socket, level: number, optname: number, optval: number, optlen: ref<number>) => number
  sendmsg: (sock: socket, msg: msghdr, size: number) => number
  recvmsg: (sock: socket, msg: msghdr, size: number, flags: number) => number
  splice_read?: (sock: socket, ppos: ref<number> | null, pipe: pipe_inode_info, len: number, flags: number) => number
  splice_eof?: (sock: socket) => void
  set_peek_off?: (sk: sock, val: number) => number
  peek_len?: (sock: socket) => number
  read_sock?: unknown
  read_skb?: (sk: sock, recv_actor: (sk: sock, skb: sk_buff) => number) => number
  sendmsg_locked?: (sk: sock, msg: msghdr, size: number) => number
  set_rcvlowat?: (sk: sock, val: number) => number
}

/** include/linux/net.h struct net_proto_family */
export interface net_proto_family {
  family: number
  create: (net: net, sock: socket, protocol: number, kern: number) => number
  owner?: unknown
}

/** sock_wake_async(): include/linux/net.h */
export const SOCK_WAKE_IO = 0
export const SOCK_WAKE_WAITD = 1
export const SOCK_WAKE_SPACE = 2
export const SOCK_WAKE_URG = 3
