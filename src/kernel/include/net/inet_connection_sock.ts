import type { sockaddr } from '../linux/net.ts'
import type { sk_buff } from '../linux/skbuff.ts'
import type { timer_list } from '../linux/timer.ts'
import type { ref } from '../linux/types.ts'
import type { dst_entry } from './dst.ts'
import type { flowi } from './flow.ts'
import type { inet_bind_bucket, inet_bind2_bucket } from './inet_hashtables.ts'
import { inet_sock } from './inet_sock.ts'
import { type request_sock, request_sock_queue } from './request_sock.ts'
import type { sock } from './sock.ts'
import type { tcp_congestion_ops } from './tcp.ts'

/** include/net/inet_connection_sock.h struct inet_connection_sock_af_ops. Filled in an initcall. */
export interface inet_connection_sock_af_ops {
  queue_xmit: (sk: sock, skb: sk_buff, fl: flowi) => number
  send_check: (sk: sock, skb: sk_buff) => void
  rebuild_header: (sk: sock) => number
  sk_rx_dst_set: (sk: sock, skb: sk_buff) => void
  conn_request: (sk: sock, skb: sk_buff) => number
  syn_recv_sock: (
    sk: sock,
    skb: sk_buff,
    req: request_sock,
    dst: dst_entry | null,
    req_unhash: request_sock | null,
    own_req: ref<boolean>,
    opt_child_init: ((newsk: sock, sk: sock) => void) | null,
  ) => sock | null
  net_header_len: number
  setsockopt: (sk: sock, level: number, optname: number, optval: Uint8Array, optlen: number) => number
  getsockopt: (sk: sock, level: number, optname: number, optval: number, optlen: ref<number>) => number
  addr2sockaddr?: (sk: sock, addr: sockaddr) => void
  mtu_reduced: (sk: sock) => void
}

/** struct inet_connection_sock. Timers in jiffies. */
export class inet_connection_sock extends inet_sock {
  icsk_accept_queue: request_sock_queue = new request_sock_queue()
  icsk_bind_hash: inet_bind_bucket | null = null
  icsk_bind2_hash: inet_bind2_bucket | null = null
  icsk_timeout = 0
  icsk_retransmit_timer!: timer_list
  icsk_delack_timer!: timer_list
  icsk_keepalive_timer!: timer_list
  icsk_rto = 0
  icsk_rto_min = 0
  icsk_delack_max = 0
  icsk_pmtu_cookie = 0
  icsk_ca_ops!: tcp_congestion_ops
  icsk_af_ops!: inet_connection_sock_af_ops
  icsk_ulp_ops: unknown = null
  icsk_clean_acked: ((sk: sock, acked: number) => void) | null = null
  icsk_sync_mss!: (sk: sock, pmtu: number) => number
  icsk_ca_state = 0
  icsk_ca_initialized = 0
  icsk_ca_setsockopt = 0
  icsk_ca_dst_locked = 0
  icsk_retransmits = 0
  icsk_pending = 0
  icsk_backoff = 0
  icsk_syn_retries = 0
  icsk_probes_out = 0
  icsk_ext_hdr_len = 0
  icsk_ack = {
    pending: 0,
    quick: 0,
    pingpong: 0,
    retry: 0,
    ato: 0,
    lrcv_flowlabel: 0,
    dst_quick_ack: 0,
    timeout: 0,
    lrcvtime: 0,
    last_seg_size: 0,
    rcv_mss: 0,
  }
  icsk_mtup = { search_high: 0, search_low: 0, probe_size: 0, enabled: 0, probe_timestamp: 0 }
  icsk_probes_tstamp = 0
  icsk_user_timeout = 0
  /** the congestion control's own: struct bictcp and the like */
  icsk_ca_priv: unknown = null
}

export const inet_csk = (sk: sock): inet_connection_sock => sk as inet_connection_sock
