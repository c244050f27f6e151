import type { hrtimer } from '../linux/hrtimer.ts'
import { list_head } from '../linux/list.ts'
import type { rb_root } from '../linux/rbtree.ts'
import type { sk_buff } from '../linux/skbuff.ts'
import { inet_connection_sock } from './inet_connection_sock.ts'
import { inet_request_sock } from './inet_sock.ts'
import { inet_skb_parm } from './ip.ts'
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
  seq = 0
  end_seq = 0
  tcp_tw_isn = 0
  tcp_gso_segs = 0
  tcp_gso_size = 0
  tcp_flags = 0
  sacked = 0
  ip_dsfield = 0
  txstamp_ack = 0
  eor = 0
  has_rxtstamp = 0
  ack_seq = 0
  tx = { is_app_limited: 0, delivered_ce: 0, delivered: 0, first_tx_mstamp: 0, delivered_mstamp: 0 }
  h4: inet_skb_parm = new inet_skb_parm()
}

/** the TCP view of skb->cb, made when it is first asked for */
export const TCP_SKB_CB = (skb: sk_buff): tcp_skb_cb => (skb.tcp_cb ??= new tcp_skb_cb())

/** struct tcp_rack */
export class tcp_rack {
  mstamp = 0
  rtt_us = 0
  end_seq = 0
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
  copied_seq = 0
  rcv_tstamp = 0
  snd_wl1 = 0
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
  snd_sml = 0
  chrono_start = 0
  chrono_stat: [number, number, number] = [0, 0, 0]
  write_seq = 0
  pushed_seq = 0
  lsndtime = 0
  mdev_us = 0
  rtt_seq = 0
  tcp_wstamp_ns = 0
  tsorted_sent_queue: list_head<sk_buff> = new list_head<sk_buff>()
  highest_sack: sk_buff | null = null
  ecn_flags = 0
  nonagle = 0
  rate_app_limited = 0
  pred_flags = 0
  tcp_clock_cache = 0
  tcp_mstamp = 0
  rcv_nxt = 0
  snd_nxt = 0
  snd_una = 0
  window_clamp = 0
  srtt_us = 0
  packets_out = 0
  snd_up = 0
  delivered = 0
  delivered_ce = 0
  app_limited = 0
  rcv_wnd = 0
  rx_opt: tcp_options_received = new tcp_options_received()
  bytes_received = 0
  segs_in = 0
  data_segs_in = 0
  rcv_wup = 0
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
  snd_cwnd_clamp = 0
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
  fastopen_req: { data: unknown; size: number; copied: number; cookie: Uint8Array } | null = null
  fastopen_rsk: request_sock | null = null
  saved_syn: unknown = null
  /** segments sent and not acknowledged, by sequence number: sk->tcp_rtx_queue in Linux */
  tcp_rtx_queue!: rb_root<sk_buff>
}

/** include/linux/tcp.h struct tcp_request_sock */
export class tcp_request_sock extends inet_request_sock {
  af_specific: tcp_request_sock_ops | null = null
  snt_synack = 0
  tfo_listener = false
  is_mptcp = false
  req_usec_ts = 0
  txhash = 0
  rcv_isn = 0
  snt_isn = 0
  ts_off = 0
  snt_tsval_first = 0
  snt_tsval_last = 0
  last_oow_ack_time = 0
  rcv_nxt = 0
  syn_tos = 0
}

/** include/net/tcp.h struct tcp_request_sock_ops; see tcp_ipv4.c for the parameters */
export interface tcp_request_sock_ops {
  mss_clamp: number
  req_md5_lookup: (sk: sock, addr_sk: sock) => unknown
  route_req: (...args: never[]) => unknown
  init_seq_and_ts_off: (...args: never[]) => unknown
  send_synack: (...args: never[]) => number
}

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
