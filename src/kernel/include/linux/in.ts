/** Options and address classes of IPv4: include/uapi/linux/in.h, include/linux/in.h. Addresses are numbers in host order. */
export const IP_TOS = 1
export const IP_TTL = 2
export const IP_HDRINCL = 3
export const IP_OPTIONS = 4
export const IP_ROUTER_ALERT = 5
export const IP_RECVOPTS = 6
export const IP_RETOPTS = 7
export const IP_PKTINFO = 8
export const IP_PKTOPTIONS = 9
export const IP_MTU_DISCOVER = 10
export const IP_RECVERR = 11
export const IP_RECVTTL = 12
export const IP_RECVTOS = 13
export const IP_MTU = 14
export const IP_FREEBIND = 15
export const IP_IPSEC_POLICY = 16
export const IP_XFRM_POLICY = 17
export const IP_PASSSEC = 18
export const IP_TRANSPARENT = 19
export const IP_ORIGDSTADDR = 20
export const IP_RECVORIGDSTADDR = IP_ORIGDSTADDR
export const IP_MINTTL = 21
export const IP_NODEFRAG = 22
export const IP_CHECKSUM = 23
export const IP_BIND_ADDRESS_NO_PORT = 24
export const IP_RECVFRAGSIZE = 25
export const IP_RECVERR_RFC4884 = 26
export const IP_PMTUDISC_DONT = 0
export const IP_PMTUDISC_WANT = 1
export const IP_PMTUDISC_DO = 2
export const IP_PMTUDISC_PROBE = 3
export const IP_PMTUDISC_INTERFACE = 4
export const IP_PMTUDISC_OMIT = 5
export const IP_MULTICAST_IF = 32
export const IP_MULTICAST_TTL = 33
export const IP_MULTICAST_LOOP = 34
export const IP_ADD_MEMBERSHIP = 35
export const IP_DROP_MEMBERSHIP = 36
export const IP_UNBLOCK_SOURCE = 37
export const IP_BLOCK_SOURCE = 38
export const IP_ADD_SOURCE_MEMBERSHIP = 39
export const IP_DROP_SOURCE_MEMBERSHIP = 40
export const IP_MSFILTER = 41
export const MCAST_JOIN_GROUP = 42
export const MCAST_BLOCK_SOURCE = 43
export const MCAST_UNBLOCK_SOURCE = 44
export const MCAST_LEAVE_GROUP = 45
export const MCAST_JOIN_SOURCE_GROUP = 46
export const MCAST_LEAVE_SOURCE_GROUP = 47
export const MCAST_MSFILTER = 48
export const IP_MULTICAST_ALL = 49
export const IP_UNICAST_IF = 50
export const IP_LOCAL_PORT_RANGE = 51
export const IP_PROTOCOL = 52

export const INADDR_ANY = 0
export const INADDR_BROADCAST = 0xffffffff
export const INADDR_LOOPBACK = 0x7f000001
export const INADDR_ALLHOSTS_GROUP = 0xe0000001
export const INADDR_ALLSNOOPERS_GROUP = 0xe000006a
export const IGMPV3_ALL_MCR = 0xe0000016
export const IN_LOOPBACKNET = 127
export const ipv4_is_loopback = (addr: number): boolean => addr >>> 24 === 127
export const ipv4_is_multicast = (addr: number): boolean => addr >>> 28 === 14
export const ipv4_is_local_multicast = (addr: number): boolean => addr >>> 8 === 0xe00000
export const ipv4_is_lbcast = (addr: number): boolean => addr === 0xffffffff
export const ipv4_is_zeronet = (addr: number): boolean => addr === 0
/** the mask of a prefix of `logmask` bits */
export const inet_make_mask = (logmask: number): number => (logmask ? ~((1 << (32 - logmask)) - 1) >>> 0 : 0)

/** `127.0.0.1`, as the kernel's %pI4 prints it */
export const dotted = (a: number): string => `${a >>> 24}.${(a >>> 16) & 255}.${(a >>> 8) & 255}.${a & 255}`
