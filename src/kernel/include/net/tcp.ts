import type { hrtimer } from '../linux/hrtimer.ts'
import { list_head } from '../linux/list.ts'
import type { rb_root } from '../linux/rbtree.ts'
import type { sk_buff, ubuf_info } from '../linux/skbuff.ts'
import type { msghdr } from '../linux/socket.ts'
import { LARGE, type ref } from '../linux/types.ts'
import type { dst_entry } from './dst.ts'
import type { flowi4 } from './flow.ts'
import { inet_connection_sock } from './inet_connection_sock.ts'
import { inet_request_sock } from './inet_sock.ts'
import { inet_skb_parm } from './ip.ts'
import type { net } from './net_namespace.ts'
import type { request_sock } from './request_sock.ts'
import type { sock } from './sock.ts'

/** include/linux/tcp.h struct tcp_options_received */
export class tcp_options_received {
  ts_recent_stamp = 0
  ts_recent = 0
  rcv_tsval = 0
  rcv_tsecr = 0
  saw_tstamp = 0
  tstamp_ok = 0
  dsack = 0
  wscale_ok = 0
  sack_ok = 0
  smc_ok = 0
  snd_wscale = 0
  rcv_wscale = 0
  saw_unknown = 0
  num_sacks = 0
  user_mss = 0
  mss_clamp = 0
}

export interface tcp_sack_block {
  start_seq: number
  end_seq: number
}

/** include/net/tcp.h struct tcp_skb_cb: skb->cb while TCP holds the buffer */
export class tcp_skb_cb {
  seq = LARGE
  end_seq = LARGE
  tcp_tw_isn = 0
  tcp_gso_segs = 0
  tcp_gso_size = 0
  tcp_flags = 0
  sacked = 0
  ip_dsfield = 0
  txstamp_ack = 0
  eor = 0
  has_rxtstamp = 0
  ack_seq = LARGE
  tx = { is_app_limited: 0, delivered_ce: 0, delivered: 0, first_tx_mstamp: 0, delivered_mstamp: 0 }
  h4: inet_skb_parm = new inet_skb_parm()
}

/** the TCP view of skb->cb, made when it is first asked for */
export const TCP_SKB_CB = (skb: sk_buff): tcp_skb_cb => (skb.tcp_cb ??= new tcp_skb_cb())

/** struct tcp_rack */
export class tcp_rack {
  mstamp = 0
  rtt_us = 0
  end_seq = LARGE
  last_delivered = 0
  reo_wnd_steps = 0
  reo_wnd_persist = 0
  dsack_seen = 0
  advanced = 0
}

/** include/linux/win_minmax.h */
export interface minmax_sample {
  t: number
  v: number
}
export class minmax {
  s: [minmax_sample, minmax_sample, minmax_sample] = [
    { t: 0, v: 0 },
    { t: 0, v: 0 },
    { t: 0, v: 0 },
  ]
}

/**
 * include/linux/tcp.h struct tcp_sock. Sequence numbers and windows are unsigned 32-bit numbers; *_mstamp in microseconds,
 * tcp_clock_cache and tcp_wstamp_ns in nanoseconds, srtt_us in eighths of a microsecond, mdev and rttvar in quarters.
 */
export class tcp_sock extends inet_connection_sock {
  max_window = 0
  rcv_ssthresh = 0
  reordering = 0
  notsent_lowat = 0
  gso_segs = 0
  lost_skb_hint: sk_buff | null = null
  retransmit_skb_hint: sk_buff | null = null
  tsoffset = 0
  snd_wnd = 0
  mss_cache = 0
  snd_cwnd = 0
  prr_out = 0
  lost_out = 0
  sacked_out = 0
  tcp_header_len = 0
  scaling_ratio = 0
  chrono_type = 0
  repair = 0
  tcp_usec_ts = 0
  is_sack_reneg = 0
  is_cwnd_limited = 0
  copied_seq = LARGE
  rcv_tstamp = 0
  snd_wl1 = LARGE
  tlp_high_seq = 0
  rttvar_us = 0
  retrans_out = 0
  advmss = 0
  urg_data = 0
  lost = 0
  rtt_min: minmax = new minmax()
  out_of_order_queue!: rb_root<sk_buff>
  snd_ssthresh = 0
  recvmsg_inq = 0
  segs_out = 0
  data_segs_out = 0
  bytes_sent = 0
  snd_sml = LARGE
  chrono_start = 0
  chrono_stat: [number, number, number] = [0, 0, 0]
  write_seq = LARGE
  pushed_seq = LARGE
  lsndtime = 0
  mdev_us = 0
  rtt_seq = LARGE
  tcp_wstamp_ns = LARGE
  tsorted_sent_queue: list_head<sk_buff> = new list_head<sk_buff>()
  highest_sack: sk_buff | null = null
  ecn_flags = 0
  nonagle = 0
  rate_app_limited = 0
  pred_flags = LARGE
  tcp_clock_cache = LARGE
  tcp_mstamp = 0
  rcv_nxt = LARGE
  snd_nxt = LARGE
  snd_una = LARGE
  window_clamp = 0
  srtt_us = 0
  packets_out = 0
  snd_up = LARGE
  delivered = 0
  delivered_ce = 0
  app_limited = LARGE
  rcv_wnd = 0
  rx_opt: tcp_options_received = new tcp_options_received()
  bytes_received = 0
  segs_in = 0
  data_segs_in = 0
  rcv_wup = LARGE
  max_packets_out = 0
  cwnd_usage_seq = 0
  rate_delivered = 0
  rate_interval_us = 0
  rcv_rtt_last_tsecr = 0
  first_tx_mstamp = 0
  delivered_mstamp = 0
  bytes_acked = 0
  rcv_rtt_est = { rtt_us: 0, seq: 0, time: 0 }
  rcvq_space = { space: 0, seq: 0, time: 0 }
  dsack_dups = 0
  compressed_ack_rcv_nxt = 0
  tsq_node: list_head<tcp_sock> = new list_head<tcp_sock>(this)
  rack: tcp_rack = new tcp_rack()
  compressed_ack = 0
  dup_ack_counter = 0
  tlp_retrans = 0
  thin_lto = 0
  fastopen_connect = 0
  fastopen_no_cookie = 0
  fastopen_client_fail = 0
  frto = 0
  repair_queue = 0
  save_syn = 0
  syn_data = 0
  syn_fastopen = 0
  syn_fastopen_exp = 0
  syn_fastopen_ch = 0
  syn_data_acked = 0
  keepalive_probes = 0
  tcp_tx_delay = 0
  mdev_max_us = 0
  reord_seen = 0
  snd_cwnd_cnt = 0
  snd_cwnd_clamp = LARGE
  snd_cwnd_used = 0
  snd_cwnd_stamp = 0
  prior_cwnd = 0
  prr_delivered = 0
  last_oow_ack_time = 0
  pacing_timer!: hrtimer
  compressed_ack_timer!: hrtimer
  ooo_last_skb: sk_buff | null = null
  duplicate_sack: tcp_sack_block[] = [{ start_seq: 0, end_seq: 0 }]
  selective_acks: tcp_sack_block[] = [0, 1, 2, 3].map(() => ({ start_seq: 0, end_seq: 0 }))
  recv_sack_cache: tcp_sack_block[] = [0, 1, 2, 3].map(() => ({ start_seq: 0, end_seq: 0 }))
  lost_cnt_hint = 0
  prior_ssthresh = 0
  high_seq = 0
  retrans_stamp = 0
  undo_marker = 0
  undo_retrans = 0
  bytes_retrans = 0
  total_retrans = 0
  rto_stamp = 0
  total_rto = 0
  total_rto_recoveries = 0
  total_rto_time = 0
  urg_seq = 0
  keepalive_time = 0
  keepalive_intvl = 0
  linger2 = 0
  bpf_sock_ops_cb_flags = 0
  timeout_rehash = 0
  rcv_ooopack = 0
  mtu_probe = { probe_seq_start: 0, probe_seq_end: 0 }
  plb_rehash = 0
  mtu_info = 0
  fastopen_req: tcp_fastopen_request | null = null
  fastopen_rsk: request_sock | null = null
  saved_syn: unknown = null
  /** segments sent and not acknowledged, by sequence number: sk->tcp_rtx_queue in Linux */
  tcp_rtx_queue!: rb_root<sk_buff>

  override counters(): Record<string, number> {
    const { snd_cwnd, snd_ssthresh, packets_out, sacked_out, lost_out, retrans_out } = this
    return { snd_cwnd, snd_ssthresh, in_flight: packets_out - sacked_out - lost_out + retrans_out, ...super.counters() }
  }
}

/** include/linux/tcp.h struct tcp_request_sock */
export class tcp_request_sock extends inet_request_sock {
  af_specific: tcp_request_sock_ops | null = null
  snt_synack = 0
  tfo_listener = false
  is_mptcp = false
  req_usec_ts = 0
  txhash = 0
  rcv_isn = LARGE
  snt_isn = LARGE
  ts_off = 0
  snt_tsval_first = 0
  snt_tsval_last = 0
  last_oow_ack_time = 0
  rcv_nxt = LARGE
  syn_tos = 0
}

/** include/net/secure_seq.h union tcp_seq_and_ts_off */
export interface tcp_seq_and_ts_off {
  seq: number
  ts_off: number
}

/** include/net/tcp.h struct tcp_request_sock_ops. Filled in an initcall. */
export interface tcp_request_sock_ops {
  mss_clamp: number
  /** null: no key for that peer */
  req_md5_lookup: (sk: sock, addr_sk: sock) => unknown
  cookie_init_seq?: (skb: sk_buff, mss: ref<number>) => number
  route_req: (sk: sock, skb: sk_buff, fl: flowi4, req: request_sock, tw_isn: number) => dst_entry | null
  init_seq_and_ts_off: (net: net, skb: sk_buff) => tcp_seq_and_ts_off
  send_synack: (
    sk: sock,
    dst: dst_entry | null,
    fl: flowi4,
    req: request_sock,
    foc: tcp_fastopen_cookie | null,
    synack_type: number,
    syn_skb: sk_buff | null,
  ) => number
}

/** include/linux/tcp.h struct tcp_fastopen_cookie. `len` is -1 when the option is left out, 0 when a cookie is asked for. */
export class tcp_fastopen_cookie {
  val: Uint8Array = new Uint8Array(16)
  len = 0
  exp = false
}

/** include/net/tcp.h struct tcp_fastopen_request */
export class tcp_fastopen_request {
  cookie: tcp_fastopen_cookie = new tcp_fastopen_cookie()
  data: msghdr | null = null
  size = 0
  copied = 0
  uarg: ubuf_info | null = null
}

/** include/net/tcp.h struct tcp_key: which key signs; there is none in this simulation (TCP_KEY_NONE) */
export interface tcp_key {
  type: number
}
export const TCP_KEY_NONE = 0

/** enum tcp_synack_type */
export const TCP_SYNACK_NORMAL = 0
export const TCP_SYNACK_FASTOPEN = 1
export const TCP_SYNACK_COOKIE = 2

/** tcp_sock.urg_data */
export const TCP_URG_VALID = 0x0100
export const TCP_URG_NOTYET = 0x0200
export const TCP_URG_READ = 0x0400

/** tcp_sock.ecn_flags */
export const TCP_ECN_OK = 1
export const TCP_ECN_QUEUE_CWR = 2
export const TCP_ECN_DEMAND_CWR = 4
export const TCP_ECN_SEEN = 8

/** net.ipv4.tcp_fastopen */
export const TFO_CLIENT_ENABLE = 1
export const TFO_SERVER_ENABLE = 2
export const TFO_CLIENT_NO_COOKIE = 4
export const TFO_SERVER_COOKIE_NOT_REQD = 0x200
export const TFO_SERVER_WO_SOCKOPT1 = 0x400
export const TCP_FASTOPEN_COOKIE_MIN = 4
export const TCP_FASTOPEN_COOKIE_MAX = 16
export const TCP_FASTOPEN_COOKIE_SIZE = 8

/** tcp_options_received.sack_ok: include/linux/tcp.h */
export const TCP_SACK_SEEN = 1
export const TCP_DSACK_SEEN = 4

export const TCP_CA_NAME_MAX = 16
export const TCP_ULP_NAME_MAX = 16
export const TCP_CA_UNSPEC = 0
export const TCP_CONG_NON_RESTRICTED = 1
export const TCP_CONG_NEEDS_ECN = 2
export const TCPF_CA_Open = 1
export const TCPF_CA_Disorder = 2
export const TCPF_CA_CWR = 4
export const TCPF_CA_Recovery = 8
export const TCPF_CA_Loss = 16

/** in_ack_event() */
export const CA_ACK_SLOWPATH = 1
export const CA_ACK_WIN_UPDATE = 2
export const CA_ACK_ECE = 4

export const TCP_MSS_DEFAULT = 536
/** jiffies: half a second, when the own host has no room for a packet */
export const TCP_RESOURCE_PROBE_INTERVAL = 125
export const TCP_RMEM_TO_WIN_SCALE = 8
export const TCP_PAWS_MSL = 60
export const TCP_PAWS_WINDOW = 1
export const TCP_PAWS_WRAP: number = Math.trunc(0x7fffffff / 1_000_000)
export const TCPCB_DELIVERED_CE_MASK: number = (1 << 20) - 1
/** states of a connection that may be asked to close: include/net/tcp_states.h */
export const TCP_STATE_MASK = 0xf
export const TCP_ACTION_FIN: number = 1 << 7

/** enum tcp_tw_status */
export const TCP_TW_SUCCESS = 0
export const TCP_TW_RST = 1
export const TCP_TW_ACK = 2
export const TCP_TW_SYN = 3

/** why a rate sample was taken: include/net/tcp.h struct rate_sample */
export class rate_sample {
  prior_mstamp = 0
  prior_delivered = 0
  prior_delivered_ce = 0
  delivered = 0
  delivered_ce = 0
  interval_us = 0
  snd_interval_us = 0
  rcv_interval_us = 0
  rtt_us = 0
  losses = 0
  acked_sacked = 0
  prior_in_flight = 0
  last_end_seq = 0
  is_app_limited = false
  is_retrans = false
  is_ack_delayed = false
}

/** include/net/tcp.h struct ack_sample */
export interface ack_sample {
  pkts_acked: number
  rtt_us: number
  in_flight: number
}

/** include/net/tcp.h struct tcp_congestion_ops */
export interface tcp_congestion_ops {
  name: string
  key: number
  flags: number
  ssthresh: (sk: sock) => number
  cong_avoid?: (sk: sock, ack: number, acked: number) => void
  set_state?: (sk: sock, new_state: number) => void
  cwnd_event?: (sk: sock, ev: number) => void
  in_ack_event?: (sk: sock, flags: number) => void
  pkts_acked?: (sk: sock, sample: ack_sample) => void
  min_tso_segs?: (sk: sock) => number
  cong_control?: (sk: sock, ack: number, flag: number, rs: rate_sample) => void
  undo_cwnd: (sk: sock) => number
  sndbuf_expand?: (sk: sock) => number
  get_info?: unknown
  init?: (sk: sock) => void
  release?: (sk: sock) => void
}

export const tcp_sk = (sk: sock): tcp_sock => sk as tcp_sock
export const tcp_rsk = (req: request_sock): tcp_request_sock => req as tcp_request_sock

/** sequence numbers wrap: include/net/tcp.h */
export const before = (seq1: number, seq2: number): boolean => ((seq1 - seq2) | 0) < 0
export const after = (seq2: number, seq1: number): boolean => before(seq1, seq2)
/** s2 <= s1 <= s3 */
export const between = (seq1: number, seq2: number, seq3: number): boolean => (seq3 - seq2) >>> 0 >= (seq1 - seq2) >>> 0
