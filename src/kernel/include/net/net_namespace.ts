import { HZ, NF_INET_NUMHOOKS } from '../generated/enums.ts'
import type { ipv4_devconf } from '../linux/inetdevice.ts'
import type { net_device } from '../linux/netdevice.ts'
import type { nf_hook_entries } from '../linux/netfilter.ts'
import { siphash_key_t } from '../linux/siphash.ts'
import { spinlock_t } from '../linux/spinlock.ts'
import { LARGE } from '../linux/types.ts'
import { inet_timewait_death_row } from './inet_timewait_sock.ts'
import type { tcp_congestion_ops } from './tcp.ts'

/** Ip and IpExt of /proc/net/snmp and /proc/net/netstat */
export class ipstats_mib {
  InReceives = 0
  InHdrErrors = 0
  InAddrErrors = 0
  ForwDatagrams = 0
  InUnknownProtos = 0
  InDiscards = 0
  InDelivers = 0
  OutRequests = 0
  OutDiscards = 0
  OutNoRoutes = 0
  ReasmTimeout = 0
  ReasmReqds = 0
  ReasmOKs = 0
  ReasmFails = 0
  FragOKs = 0
  FragFails = 0
  FragCreates = 0
  OutTransmits = 0
  InNoRoutes = 0
  InTruncatedPkts = 0
  InMcastPkts = 0
  OutMcastPkts = 0
  InBcastPkts = 0
  OutBcastPkts = 0
  InOctets = 0
  OutOctets = 0
  InMcastOctets = 0
  OutMcastOctets = 0
  InBcastOctets = 0
  OutBcastOctets = 0
  InCsumErrors = 0
  InNoECTPkts = 0
  InECT1Pkts = 0
  InECT0Pkts = 0
  InCEPkts = 0
  ReasmOverlaps = 0
}

/** Tcp of /proc/net/snmp */
export class tcp_mib {
  RtoAlgorithm = 0
  RtoMin = 0
  RtoMax = 0
  MaxConn = 0
  ActiveOpens = 0
  PassiveOpens = 0
  AttemptFails = 0
  EstabResets = 0
  CurrEstab = 0
  InSegs = 0
  OutSegs = 0
  RetransSegs = 0
  InErrs = 0
  OutRsts = 0
  InCsumErrors = 0
}

/** Udp of /proc/net/snmp */
export class udp_mib {
  InDatagrams = 0
  NoPorts = 0
  InErrors = 0
  OutDatagrams = 0
  RcvbufErrors = 0
  SndbufErrors = 0
  InCsumErrors = 0
  IgnoredMulti = 0
  MemErrors = 0
}

/** TcpExt of /proc/net/netstat */
export class linux_mib {
  SyncookiesSent = 0
  SyncookiesRecv = 0
  SyncookiesFailed = 0
  EmbryonicRsts = 0
  PruneCalled = 0
  RcvPruned = 0
  OfoPruned = 0
  OutOfWindowIcmps = 0
  LockDroppedIcmps = 0
  ArpFilter = 0
  TW = 0
  TWRecycled = 0
  TWKilled = 0
  PAWSActive = 0
  PAWSEstab = 0
  DelayedACKs = 0
  DelayedACKLocked = 0
  DelayedACKLost = 0
  ListenOverflows = 0
  ListenDrops = 0
  TCPHPHits = 0
  TCPPureAcks = 0
  TCPHPAcks = 0
  TCPRenoRecovery = 0
  TCPSackRecovery = 0
  TCPSACKReneging = 0
  TCPSACKReorder = 0
  TCPRenoReorder = 0
  TCPTSReorder = 0
  TCPFullUndo = 0
  TCPPartialUndo = 0
  TCPDSACKUndo = 0
  TCPLossUndo = 0
  TCPLostRetransmit = 0
  TCPRenoFailures = 0
  TCPSackFailures = 0
  TCPLossFailures = 0
  TCPFastRetrans = 0
  TCPSlowStartRetrans = 0
  TCPTimeouts = 0
  TCPLossProbes = 0
  TCPLossProbeRecovery = 0
  TCPRenoRecoveryFail = 0
  TCPSackRecoveryFail = 0
  TCPRcvCollapsed = 0
  TCPBacklogCoalesce = 0
  TCPDSACKOldSent = 0
  TCPDSACKOfoSent = 0
  TCPDSACKRecv = 0
  TCPDSACKOfoRecv = 0
  TCPAbortOnData = 0
  TCPAbortOnClose = 0
  TCPAbortOnMemory = 0
  TCPAbortOnTimeout = 0
  TCPAbortOnLinger = 0
  TCPAbortFailed = 0
  TCPMemoryPressures = 0
  TCPMemoryPressuresChrono = 0
  TCPSACKDiscard = 0
  TCPDSACKIgnoredOld = 0
  TCPDSACKIgnoredNoUndo = 0
  TCPSpuriousRTOs = 0
  TCPMD5NotFound = 0
  TCPMD5Unexpected = 0
  TCPMD5Failure = 0
  TCPSackShifted = 0
  TCPSackMerged = 0
  TCPSackShiftFallback = 0
  TCPBacklogDrop = 0
  PFMemallocDrop = 0
  TCPMinTTLDrop = 0
  TCPDeferAcceptDrop = 0
  IPReversePathFilter = 0
  TCPTimeWaitOverflow = 0
  TCPReqQFullDoCookies = 0
  TCPReqQFullDrop = 0
  TCPRetransFail = 0
  TCPRcvCoalesce = 0
  TCPOFOQueue = 0
  TCPOFODrop = 0
  TCPOFOMerge = 0
  TCPChallengeACK = 0
  TCPSYNChallenge = 0
  TCPFastOpenActive = 0
  TCPFastOpenActiveFail = 0
  TCPFastOpenPassive = 0
  TCPFastOpenPassiveFail = 0
  TCPFastOpenListenOverflow = 0
  TCPFastOpenCookieReqd = 0
  TCPFastOpenBlackhole = 0
  TCPSpuriousRtxHostQueues = 0
  BusyPollRxPackets = 0
  TCPAutoCorking = 0
  TCPFromZeroWindowAdv = 0
  TCPToZeroWindowAdv = 0
  TCPWantZeroWindowAdv = 0
  TCPSynRetrans = 0
  TCPOrigDataSent = 0
  TCPHystartTrainDetect = 0
  TCPHystartTrainCwnd = 0
  TCPHystartDelayDetect = 0
  TCPHystartDelayCwnd = 0
  TCPACKSkippedSynRecv = 0
  TCPACKSkippedPAWS = 0
  TCPACKSkippedSeq = 0
  TCPACKSkippedFinWait2 = 0
  TCPACKSkippedTimeWait = 0
  TCPACKSkippedChallenge = 0
  TCPWinProbe = 0
  TCPKeepAlive = 0
  TCPMTUPFail = 0
  TCPMTUPSuccess = 0
  TCPDelivered = 0
  TCPDeliveredCE = 0
  TCPAckCompressed = 0
  TCPZeroWindowDrop = 0
  TCPRcvQDrop = 0
  TCPWqueueTooBig = 0
  TCPFastOpenPassiveAltKey = 0
  TcpTimeoutRehash = 0
  TcpDuplicateDataRehash = 0
  TCPDSACKRecvSegs = 0
  TCPDSACKIgnoredDubious = 0
  TCPMigrateReqSuccess = 0
  TCPMigrateReqFailure = 0
  TCPPLBRehash = 0
  TCPAORequired = 0
  TCPAOBad = 0
  TCPAOKeyNotFound = 0
  TCPAOGood = 0
  TCPAODroppedIcmps = 0
}

/** Icmp of /proc/net/snmp; IcmpMsg by type */
export class icmp_mib {
  InMsgs = 0
  InErrors = 0
  OutMsgs = 0
  OutErrors = 0
  InCsumErrors = 0
  OutRateLimitGlobal = 0
  OutRateLimitHost = 0
  InType: number[] = new Array<number>(256).fill(0)
  OutType: number[] = new Array<number>(256).fill(0)
}

/** include/net/netns/mib.h: one counter a name, as /proc/net/snmp and /proc/net/netstat print it */
export class netns_mib {
  readonly ip: ipstats_mib = new ipstats_mib()
  readonly icmp: icmp_mib = new icmp_mib()
  readonly tcp: tcp_mib = new tcp_mib()
  readonly udp: udp_mib = new udp_mib()
  readonly linux: linux_mib = new linux_mib()
}

/** include/net/netns/core.h */
export class netns_core {
  sysctl_somaxconn = 4096
  sysctl_optmem_max = 131072
  sysctl_txrehash = 1
  /** sockets in use */
  prot_inuse: { all: number } = { all: 0 }
}

/** include/net/netns/unix.h */
export class netns_unix {
  sysctl_max_dgram_qlen = 10
  /** struct unix_table: net/unix/af_unix.ts */
  table: unknown = null
}

/** include/net/netns/netfilter.h: the hooks of each family, by hook number; null where there is none */
export class netns_nf {
  hooks_ipv4: (nf_hook_entries | null)[] = new Array<nf_hook_entries | null>(NF_INET_NUMHOOKS).fill(null)
  hooks_ipv6: (nf_hook_entries | null)[] = new Array<nf_hook_entries | null>(NF_INET_NUMHOOKS).fill(null)
  hooks_arp: (nf_hook_entries | null)[] = new Array<nf_hook_entries | null>(3).fill(null)
  hooks_bridge: (nf_hook_entries | null)[] = new Array<nf_hook_entries | null>(NF_INET_NUMHOOKS).fill(null)
}

/** include/net/netns/ipv4.h. Values are those that Linux sets at boot; times in jiffies unless the name has a unit. */
export class netns_ipv4 {
  sysctl_tcp_early_retrans = 3
  sysctl_tcp_tso_win_divisor = 3
  sysctl_tcp_tso_rtt_log = 9
  sysctl_tcp_autocorking = 1
  sysctl_tcp_min_snd_mss = 48
  sysctl_tcp_notsent_lowat = 0xffffffff
  sysctl_tcp_limit_output_bytes = 16 * 65536
  sysctl_tcp_min_rtt_wlen = 300
  sysctl_tcp_wmem: [number, number, number] = [4096, 16384, 4194304]
  sysctl_ip_fwd_use_pmtu = 0
  sysctl_tcp_moderate_rcvbuf = 1
  sysctl_ip_early_demux = 1
  sysctl_tcp_early_demux = 1
  sysctl_tcp_reordering = 3
  sysctl_tcp_rmem: [number, number, number] = [4096, 131072, 6291456]
  sysctl_tcp_shrink_window = 0
  sysctl_icmp_echo_ignore_all = 0
  sysctl_icmp_echo_enable_probe = 0
  sysctl_icmp_echo_ignore_broadcasts = 1
  sysctl_icmp_ignore_bogus_error_responses = 1
  sysctl_icmp_errors_use_inbound_ifaddr = 0
  sysctl_icmp_ratelimit = HZ
  sysctl_icmp_ratemask = 0x1818
  sysctl_icmp_msgs_per_sec = 1000
  sysctl_icmp_msgs_burst = 50
  sysctl_tcp_ecn = 2
  sysctl_tcp_ecn_fallback = 1
  sysctl_ip_default_ttl = 64
  sysctl_ip_no_pmtu_disc = 0
  sysctl_ip_fwd_update_priority = 1
  sysctl_ip_nonlocal_bind = 0
  sysctl_ip_autobind_reuse = 0
  sysctl_ip_dynaddr = 0
  sysctl_raw_l3mdev_accept = 0
  sysctl_udp_early_demux = 1
  sysctl_nexthop_compat_mode = 1
  sysctl_fwmark_reflect = 0
  sysctl_tcp_fwmark_accept = 0
  sysctl_tcp_l3mdev_accept = 0
  sysctl_tcp_mtu_probing = 0
  sysctl_tcp_mtu_probe_floor = 48
  sysctl_tcp_base_mss = 1024
  sysctl_tcp_probe_threshold = 8
  sysctl_tcp_probe_interval = 600
  sysctl_tcp_keepalive_time = 7200 * HZ
  sysctl_tcp_keepalive_intvl = 75 * HZ
  sysctl_tcp_keepalive_probes = 9
  sysctl_tcp_syn_retries = 6
  sysctl_tcp_synack_retries = 5
  sysctl_tcp_syncookies = 1
  sysctl_tcp_migrate_req = 0
  sysctl_tcp_comp_sack_nr = 44
  sysctl_tcp_backlog_ack_defer = 1
  sysctl_tcp_pingpong_thresh = 1
  sysctl_tcp_retries1 = 3
  sysctl_tcp_retries2 = 15
  sysctl_tcp_orphan_retries = 0
  sysctl_tcp_tw_reuse = 2
  sysctl_tcp_fin_timeout = 60 * HZ
  sysctl_tcp_sack = 1
  sysctl_tcp_window_scaling = 1
  sysctl_tcp_timestamps = 1
  sysctl_tcp_rto_min_us = 200_000
  sysctl_tcp_recovery = 1
  sysctl_tcp_thin_linear_timeouts = 0
  sysctl_tcp_slow_start_after_idle = 1
  sysctl_tcp_retrans_collapse = 1
  sysctl_tcp_stdurg = 0
  sysctl_tcp_rfc1337 = 0
  sysctl_tcp_abort_on_overflow = 0
  sysctl_tcp_fack = 0
  sysctl_tcp_max_reordering = 300
  sysctl_tcp_adv_win_scale = 1
  sysctl_tcp_dsack = 1
  sysctl_tcp_app_win = 31
  sysctl_tcp_frto = 2
  sysctl_tcp_nometrics_save = 0
  sysctl_tcp_no_ssthresh_metrics_save = 1
  sysctl_tcp_workaround_signed_windows = 0
  sysctl_tcp_challenge_ack_limit = 0x7fffffff
  sysctl_tcp_min_tso_segs = 2
  sysctl_tcp_reflect_tos = 0
  sysctl_tcp_invalid_ratelimit = HZ / 2
  sysctl_tcp_pacing_ss_ratio = 200
  sysctl_tcp_pacing_ca_ratio = 120
  sysctl_tcp_child_ehash_entries = 0
  sysctl_tcp_comp_sack_delay_ns = 1_000_000
  sysctl_tcp_comp_sack_slack_ns = 100_000
  sysctl_max_syn_backlog = 128
  sysctl_tcp_fastopen = 1
  sysctl_tcp_fastopen_blackhole_timeout = 0
  sysctl_tcp_plb_enabled = 0
  sysctl_tcp_plb_idle_rehash_rounds = 3
  sysctl_tcp_plb_rehash_rounds = 12
  sysctl_tcp_plb_suspend_rto_sec = 60
  sysctl_tcp_plb_cong_thresh = 128
  sysctl_udp_wmem_min = 4096
  sysctl_udp_rmem_min = 4096
  sysctl_fib_notify_on_flag_change = 0
  sysctl_tcp_syn_linear_timeouts = 4
  sysctl_udp_l3mdev_accept = 0
  sysctl_igmp_llm_reports = 1
  sysctl_igmp_max_memberships = 20
  sysctl_igmp_max_msf = 10
  sysctl_igmp_qrv = 2
  sysctl_udp_child_hash_entries = 0
  sysctl_local_reserved_ports: Set<number> = new Set<number>()
  sysctl_ip_prot_sock = 1024
  sysctl_fib_multipath_hash_fields = 7
  sysctl_fib_multipath_use_neigh = 0
  sysctl_fib_multipath_hash_policy = 0
  /** 0: one for the whole machine, made of random bits */
  sysctl_fib_multipath_hash_seed = 0

  icmp_global_credit = 0
  icmp_global_stamp = 0
  readonly tcp_death_row: inet_timewait_death_row = new inet_timewait_death_row()
  /** struct udp_table: net/ipv4/udp.ts */
  udp_table: unknown = null
  devconf_all!: ipv4_devconf
  devconf_dflt!: ipv4_devconf
  ra_chain: unknown = null
  rules_ops: unknown = null
  /** struct fib_table: include/net/ip_fib.ts */
  fib_main: unknown = null
  fib_default: unknown = null
  fib_has_custom_rules = false
  fib_has_custom_local_routes = false
  fib_offload_disabled = false
  fib_num_tclassid_users = 0
  /** by table number */
  fib_table_hash: unknown = null
  /** struct inet_peer_base: net/ipv4/inetpeer.ts */
  peers: unknown = null
  /** struct fqdir: fragments being put together */
  fqdir: unknown = null
  ip_rt_min_pmtu = 512 + 20 + 20
  ip_rt_mtu_expires = 600 * HZ
  ip_rt_min_advmss = 256
  ip_local_ports: { range: [number, number]; warned: boolean } = { range: [32768, 60999], warned: false }
  ping_group_range: [number, number] = [1, 0]
  tcp_congestion_control!: tcp_congestion_ops
  tcp_fastopen_ctx: unknown = null
  tfo_active_disable_times = 0
  tfo_active_disable_stamp = 0
  tcp_challenge_timestamp = 0
  tcp_challenge_count = 0
  dev_addr_genid = 0
  fib_seq = 0
  rt_genid = 0
  /** siphash key */
  ip_id_key: siphash_key_t = new siphash_key_t()
}

/** include/net/net_namespace.h struct net */
export class net {
  /** the host's name of it; '' for the first */
  name = ''
  ns: { inum: number; count: number } = { inum: 0, count: 1 }
  dev_base_seq = 1
  ifindex = 0
  fnhe_genid = 0
  readonly dev_base_head: net_device[] = []
  readonly dev_by_index: Map<number, net_device> = new Map<number, net_device>()
  readonly dev_name_head: Map<string, net_device> = new Map<string, net_device>()
  hash_mix = LARGE
  loopback_dev!: net_device
  readonly rules_mod_lock: spinlock_t = new spinlock_t()
  readonly core: netns_core = new netns_core()
  readonly mib: netns_mib = new netns_mib()
  readonly ipv4: netns_ipv4 = new netns_ipv4()
  /** include/net/netns/ipv6.h, when there is IPv6 */
  ipv6: unknown = null
  readonly unx: netns_unix = new netns_unix()
  readonly nf: netns_nf = new netns_nf()
  /** packet sockets; taps that want frames of this namespace */
  readonly packet: { sklist: unknown[] } = { sklist: [] }
  readonly xfrm: { policy_count: number[]; policy_default: number[] } = {
    policy_count: [0, 0, 0, 0, 0, 0],
    policy_default: [0, 0, 0],
  }
  /** net_generic(): by the name of a module */
  readonly gen: Map<string, unknown> = new Map<string, unknown>()
  net_cookie = 0
  /** icmp_sk and others that are one for each processor in Linux */
  readonly ctl_sock: Map<string, unknown> = new Map<string, unknown>()
}

export const net_eq = (a: net, b: net): boolean => a === b
export const net_hash_mix = (n: net): number => n.hash_mix
