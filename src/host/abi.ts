/** Structures of the x86-64 system call interface, as a program lays them out in its memory. Little endian, ports in network order. */

const view = (n: number): [Uint8Array, DataView] => {
  const b = new Uint8Array(n)
  return [b, new DataView(b.buffer)]
}

/** struct sockaddr_in, 16 bytes. `address` and `port` in host order. */
export function sockaddrIn(address: number, port: number): Uint8Array {
  const [b, d] = view(16)
  d.setUint16(0, 2, true)
  d.setUint16(2, port)
  d.setUint32(4, address)
  return b
}

/** struct sockaddr_in6, 28 bytes; `address` are the 16 bytes of it */
export function sockaddrIn6(address: Uint8Array, port: number): Uint8Array {
  const [b, d] = view(28)
  d.setUint16(0, 10, true)
  d.setUint16(2, port)
  b.set(address, 8)
  return b
}

/** struct sockaddr_un: the family and as much of the path as is used; a first `@` stands for the zero byte of an abstract name */
export function sockaddrUn(path: string): Uint8Array {
  const name = Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : `${path}\0`, 'utf8')
  const [b, d] = view(2 + name.length)
  d.setUint16(0, 1, true)
  b.set(name, 2)
  return b
}

/**
 * struct sockaddr_ll, 20 bytes: frames that carry `protocol` (an EtherType in host order), by the device `ifindex`, to `address`, the 6
 * bytes of a MAC address
 */
export function sockaddrLl(ifindex: number, protocol: number, address: Uint8Array): Uint8Array {
  const [b, d] = view(20)
  d.setUint16(0, 17, true)
  d.setUint16(2, protocol)
  d.setInt32(4, ifindex, true)
  b[11] = address.length
  b.set(address, 12)
  return b
}

/** an array of struct iovec, 16 bytes each */
export function iovecs(list: readonly { base: number; length: number }[]): Uint8Array {
  const [b, d] = view(16 * list.length)
  list.forEach((v, i) => {
    d.setBigUint64(16 * i, BigInt(v.base), true)
    d.setBigUint64(16 * i + 8, BigInt(v.length), true)
  })
  return b
}

/** What a struct msghdr says; addresses and lengths in bytes. */
export interface MessageHeader {
  name: number
  nameLength: number
  iov: number
  iovCount: number
  control: number
  controlLength: number
  flags: number
}

/** sizeof(struct user_msghdr) and of struct mmsghdr, which adds msg_len */
export const MSGHDR_SIZE = 56
export const MMSGHDR_SIZE = 64

/** struct user_msghdr, 56 bytes */
export function msghdr(m: MessageHeader): Uint8Array {
  const [b, d] = view(MSGHDR_SIZE)
  d.setBigUint64(0, BigInt(m.name), true)
  d.setUint32(8, m.nameLength, true)
  d.setBigUint64(16, BigInt(m.iov), true)
  d.setBigUint64(24, BigInt(m.iovCount), true)
  d.setBigUint64(32, BigInt(m.control), true)
  d.setBigUint64(40, BigInt(m.controlLength), true)
  d.setUint32(48, m.flags, true)
  return b
}

/** one struct cmsghdr with its data, padded to 8 bytes */
export function cmsg(level: number, type: number, data: Uint8Array): Uint8Array {
  const length = 16 + data.length
  const [b, d] = view((length + 7) & ~7)
  d.setBigUint64(0, BigInt(length), true)
  d.setUint32(8, level, true)
  d.setUint32(12, type, true)
  b.set(data, 16)
  return b
}

/** ints one after the other: an option's value, struct linger */
export function ints(...values: number[]): Uint8Array {
  const [b, d] = view(4 * values.length)
  values.forEach((v, i) => {
    d.setInt32(4 * i, v, true)
  })
  return b
}

/** struct timeval, 16 bytes */
export function timeval(seconds: number, microseconds: number): Uint8Array {
  const [b, d] = view(16)
  d.setBigInt64(0, BigInt(seconds), true)
  d.setBigInt64(8, BigInt(microseconds), true)
  return b
}

/** Numbers of the system calls on x86-64: arch/x86/entry/syscalls/syscall_64.tbl. */
export const syscallNumbers = {
  read: 0,
  write: 1,
  close: 3,
  readv: 19,
  writev: 20,
  pipe: 22,
  dup: 32,
  sendfile: 40,
  socket: 41,
  connect: 42,
  accept: 43,
  sendto: 44,
  recvfrom: 45,
  sendmsg: 46,
  recvmsg: 47,
  shutdown: 48,
  bind: 49,
  listen: 50,
  getsockname: 51,
  getpeername: 52,
  socketpair: 53,
  setsockopt: 54,
  getsockopt: 55,
  fcntl: 72,
  accept4: 288,
  pipe2: 293,
  recvmmsg: 299,
  sendmmsg: 307,
} as const

/** of the system calls that a process can make */
export type SyscallName = keyof typeof syscallNumbers
