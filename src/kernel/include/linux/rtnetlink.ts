/** include/uapi/linux/rtnetlink.h: metrics of a route. `dst._metrics[RTAX_MTU - 1]`. */
export const RTAX_UNSPEC = 0
export const RTAX_LOCK = 1
export const RTAX_MTU = 2
export const RTAX_WINDOW = 3
export const RTAX_RTT = 4
export const RTAX_RTTVAR = 5
export const RTAX_SSTHRESH = 6
export const RTAX_CWND = 7
export const RTAX_ADVMSS = 8
export const RTAX_REORDERING = 9
export const RTAX_HOPLIMIT = 10
export const RTAX_INITCWND = 11
export const RTAX_FEATURES = 12
export const RTAX_RTO_MIN = 13
export const RTAX_INITRWND = 14
export const RTAX_QUICKACK = 15
export const RTAX_CC_ALGO = 16
export const RTAX_FASTOPEN_NO_COOKIE = 17
export const RTAX_MAX = 17

export const RTAX_FEATURE_ECN = 1
export const RTAX_FEATURE_TCP_USEC_TS = 16

/** kinds of a route, its scope, who put it there, and its table */
export {
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_NOWHERE,
  RT_SCOPE_SITE,
  RT_SCOPE_UNIVERSE,
  RTN_ANYCAST,
  RTN_BLACKHOLE,
  RTN_BROADCAST,
  RTN_LOCAL,
  RTN_MULTICAST,
  RTN_NAT,
  RTN_PROHIBIT,
  RTN_THROW,
  RTN_UNICAST,
  RTN_UNREACHABLE,
  RTN_UNSPEC,
  RTN_XRESOLVE,
  RTNH_F_DEAD,
  RTNH_F_LINKDOWN,
  RTNH_F_OFFLOAD,
  RTNH_F_ONLINK,
  RTNH_F_PERVASIVE,
  RTNH_F_TRAP,
  RTNH_F_UNRESOLVED,
} from '../generated/enums.ts'
export const RTN_MAX = 11
export const RTPROT_UNSPEC = 0
export const RTPROT_REDIRECT = 1
export const RTPROT_KERNEL = 2
export const RTPROT_BOOT = 3
export const RTPROT_STATIC = 4
export const RT_TABLE_UNSPEC = 0
export const RT_TABLE_COMPAT = 252
export const RT_TABLE_DEFAULT = 253
export const RT_TABLE_MAIN = 254
export const RT_TABLE_LOCAL = 255
export const RTM_F_NOTIFY = 0x100
export const RTM_F_CLONED = 0x200
export const NLM_F_REQUEST = 1
export const NLM_F_REPLACE = 0x100
export const NLM_F_EXCL = 0x200
export const NLM_F_CREATE = 0x400
export const NLM_F_APPEND = 0x800
export const IFA_F_SECONDARY = 1
export const IFA_F_DADFAILED = 8
export const IFA_F_DEPRECATED = 0x20
export const IFA_F_PERMANENT = 0x80
export const IFA_F_NOPREFIXROUTE = 0x200
export const IFA_F_MCAUTOJOIN = 0x400
