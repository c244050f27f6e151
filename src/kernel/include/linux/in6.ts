/** struct in6_addr: the 16 bytes. Whoever keeps one copies it. */
export type in6_addr = Uint8Array

export const SIZEOF_IN6_ADDR = 16
export const SIN6_LEN_RFC2133 = 24
export const SIZEOF_SOCKADDR_IN6 = 28

export const in6 = (...bytes: number[]): in6_addr => {
  const a = new Uint8Array(16)
  a.set(bytes)
  return a
}
const tail = (head: readonly number[], last: number): in6_addr => {
  const a = in6(...head)
  a[15] = last
  return a
}

export const in6addr_any: in6_addr = in6()
export const in6addr_loopback: in6_addr = tail([], 1)
export const in6addr_interfacelocal_allnodes: in6_addr = tail([0xff, 1], 1)
export const in6addr_linklocal_allnodes: in6_addr = tail([0xff, 2], 1)
export const in6addr_linklocal_allrouters: in6_addr = tail([0xff, 2], 2)
export const in6addr_mld2_all_mcr: in6_addr = tail([0xff, 2], 0x16)

// include/net/ipv6.h
export const IPV6_ADDR_ANY = 0x0000
export const IPV6_ADDR_UNICAST = 0x0001
export const IPV6_ADDR_MULTICAST = 0x0002
export const IPV6_ADDR_LOOPBACK = 0x0010
export const IPV6_ADDR_LINKLOCAL = 0x0020
export const IPV6_ADDR_SITELOCAL = 0x0040
export const IPV6_ADDR_COMPATv4 = 0x0080
export const IPV6_ADDR_SCOPE_MASK = 0x00f0
export const IPV6_ADDR_MAPPED = 0x1000
export const IPV6_ADDR_SCOPE_NODELOCAL = 1
export const IPV6_ADDR_SCOPE_LINKLOCAL = 2
export const IPV6_ADDR_SCOPE_SITELOCAL = 5
export const IPV6_ADDR_SCOPE_GLOBAL = 14

export const IPV6_FLOWINFO_MASK = 0x0fffffff
export const IPV6_FLOWLABEL_MASK = 0x000fffff
export const IPV6_FLOWLABEL_STATELESS_FLAG = 0x00080000
export const IPV6_TCLASS_SHIFT = 20

export const NEXTHDR_HOP = 0
export const NEXTHDR_TCP = 6
export const NEXTHDR_UDP = 17
export const NEXTHDR_IPV6 = 41
export const NEXTHDR_ROUTING = 43
export const NEXTHDR_FRAGMENT = 44
export const NEXTHDR_AUTH = 51
export const NEXTHDR_ICMP = 58
export const NEXTHDR_NONE = 59
export const NEXTHDR_DEST = 60

export const IPPROTO_ICMPV6 = 58
export const IPPROTO_HOPOPTS = 0

export const IPV6_MIN_MTU = 1280
export const IPV6_MAXPLEN = 65535
export const IPV6_DEFAULT_HOPLIMIT = 64
export const IPV6_DEFAULT_MCASTHOPS = 1

export const IPV6_PMTUDISC_DONT = 0
export const IPV6_PMTUDISC_WANT = 1
export const IPV6_PMTUDISC_DO = 2
export const IPV6_PMTUDISC_PROBE = 3
export const IPV6_PMTUDISC_INTERFACE = 4
export const IPV6_PMTUDISC_OMIT = 5

/** what an IPv6 socket has in the place of its IPv4 addresses: 127.0.0.6 */
export const LOOPBACK4_IPV6 = 0x7f000006

export const s6_addr32 = (a: in6_addr, i: number): number =>
  (((a[4 * i] as number) << 24) |
    ((a[4 * i + 1] as number) << 16) |
    ((a[4 * i + 2] as number) << 8) |
    (a[4 * i + 3] as number)) >>>
  0

export function ipv6_addr_equal(a: in6_addr, b: in6_addr): boolean {
  for (let i = 15; i >= 0; i--) if (a[i] !== b[i]) return false
  return true
}
export function ipv6_addr_any(a: in6_addr): boolean {
  for (let i = 0; i < 16; i++) if (a[i] !== 0) return false
  return true
}
export const ipv6_addr_loopback = (a: in6_addr): boolean => a[15] === 1 && ipv6_addr_equal(a, in6addr_loopback)
export const ipv6_addr_is_multicast = (a: in6_addr): boolean => a[0] === 0xff
export const IPV6_ADDR_MC_SCOPE = (a: in6_addr): number => (a[1] as number) & 0x0f
export function ipv6_addr_v4mapped(a: in6_addr): boolean {
  for (let i = 0; i < 10; i++) if (a[i] !== 0) return false
  return a[10] === 0xff && a[11] === 0xff
}
export function ipv6_addr_set_v4mapped(addr: number, v4mapped: in6_addr): void {
  v4mapped.fill(0, 0, 10)
  v4mapped[10] = 0xff
  v4mapped[11] = 0xff
  v4mapped[12] = addr >>> 24
  v4mapped[13] = addr >>> 16
  v4mapped[14] = addr >>> 8
  v4mapped[15] = addr
}
export function ipv6_prefix_equal(a: in6_addr, b: in6_addr, plen: number): boolean {
  const whole = plen >> 3
  for (let i = 0; i < whole; i++) if (a[i] !== b[i]) return false
  const rest = plen & 7
  return rest === 0 || (((a[whole] as number) ^ (b[whole] as number)) & (0xff00 >> rest) & 0xff) === 0
}
/** `pfx` becomes the first `plen` bits of `addr` */
export function ipv6_addr_prefix(pfx: in6_addr, addr: in6_addr, plen: number): void {
  const whole = plen >> 3
  const rest = plen & 7
  pfx.fill(0)
  pfx.set(addr.subarray(0, whole))
  if (rest !== 0) pfx[whole] = (addr[whole] as number) & (0xff00 >> rest)
}
/** the first bit that differs, 128 for none */
export function ipv6_addr_diff(a: in6_addr, b: in6_addr): number {
  for (let i = 0; i < 16; i++) {
    const x = (a[i] as number) ^ (b[i] as number)
    if (x !== 0) return 8 * i + Math.clz32(x) - 24
  }
  return 128
}
/** ff02::1:ffXX:XXXX */
export function addrconf_addr_solict_mult(addr: in6_addr, solicited: in6_addr): void {
  solicited.fill(0)
  solicited[0] = 0xff
  solicited[1] = 2
  solicited[11] = 1
  solicited[12] = 0xff
  solicited.set(addr.subarray(13, 16), 13)
}
export const ipv6_addr_is_solict_mult = (a: in6_addr): boolean =>
  a[0] === 0xff && a[1] === 2 && a[11] === 1 && a[12] === 0xff && ipv6_addr_any_between(a, 2, 11)
function ipv6_addr_any_between(a: in6_addr, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (a[i] !== 0) return false
  return true
}

/** an address as people write it: RFC 5952 */
export function in6_ntop(a: in6_addr): string {
  if (ipv6_addr_v4mapped(a)) return `::ffff:${a[12]}.${a[13]}.${a[14]}.${a[15]}`
  const words: number[] = []
  for (let i = 0; i < 16; i += 2) words.push(((a[i] as number) << 8) | (a[i + 1] as number))
  let at = -1
  let best = 1
  for (let i = 0; i < 8; i++) {
    let n = 0
    while (i + n < 8 && words[i + n] === 0) n++
    if (n > best) {
      at = i
      best = n
    }
  }
  const text = (from: number, to: number): string =>
    words
      .slice(from, to)
      .map((w) => w.toString(16))
      .join(':')
  return at < 0 ? text(0, 8) : `${text(0, at)}::${text(at + best, 8)}`
}

// options of the level SOL_IPV6
export const IPV6_UNICAST_HOPS = 16
export const IPV6_MULTICAST_IF = 17
export const IPV6_MULTICAST_HOPS = 18
export const IPV6_MULTICAST_LOOP = 19
export const IPV6_ADD_MEMBERSHIP = 20
export const IPV6_DROP_MEMBERSHIP = 21
export const IPV6_MTU_DISCOVER = 23
export const IPV6_MTU = 24
export const IPV6_RECVERR = 25
export const IPV6_V6ONLY = 26
export const IPV6_FLOWINFO = 11
export const IPV6_FLOWINFO_SEND = 33
export const IPV6_RECVPKTINFO = 49
export const IPV6_PKTINFO = 50
export const IPV6_RECVHOPLIMIT = 51
export const IPV6_HOPLIMIT = 52
export const IPV6_RECVPATHMTU = 60
export const IPV6_DONTFRAG = 62
export const IPV6_RECVTCLASS = 66
export const IPV6_TCLASS = 67
export const IPV6_MULTICAST_ALL = 29
export const IPV6_AUTOFLOWLABEL = 70
export const IPV6_MINHOPCOUNT = 73
