import type { timer_list } from '../linux/timer.ts'
import type { inet_bind_bucket, inet_bind2_bucket, inet_hashinfo } from './inet_hashtables.ts'
import type { net } from './net_namespace.ts'
import { type sock, sock_common } from './sock.ts'

/** include/net/netns/ipv4.h struct inet_timewait_death_row */
export class inet_timewait_death_row {
  tw_refcount = 1
  hashinfo!: inet_hashinfo
  sysctl_max_tw_buckets = 0
}

/** struct inet_timewait_sock: what is left of a closed connection. Found in the hash tables like a socket; see sk_fullsock(). */
export class inet_timewait_sock extends sock_common {
  tw_dr!: inet_timewait_death_row
  tw_mark = 0
  tw_substate = 0
  tw_rcv_wscale = 0
  tw_sport = 0
  tw_transparent = 0
  tw_flowlabel = 0
  tw_usec_ts = 0
  tw_tos = 0
  tw_tclass = 0
  tw_txhash = 0
  tw_priority = 0
  tw_timer!: timer_list
  tw_tb: inet_bind_bucket | null = null
  tw_tb2: inet_bind2_bucket | null = null

  get tw_family(): number {
    return this.skc_family
  }
  get tw_state(): number {
    return this.skc_state
  }
  get tw_bound_dev_if(): number {
    return this.skc_bound_dev_if
  }
  get tw_daddr(): number {
    return this.skc_daddr
  }
  get tw_rcv_saddr(): number {
    return this.skc_rcv_saddr
  }
  get tw_dport(): number {
    return this.skc_dport
  }
  get tw_num(): number {
    return this.skc_num
  }
}

/** include/linux/tcp.h struct tcp_timewait_sock */
export class tcp_timewait_sock extends inet_timewait_sock {
  tw_rcv_wnd = 0
  tw_ts_offset = 0
  tw_ts_recent = 0
  tw_last_oow_ack_time = 0
  tw_ts_recent_stamp = 0
  tw_tx_delay = 0

  get tw_rcv_nxt(): number {
    return this.skc_tw_rcv_nxt
  }
  set tw_rcv_nxt(v: number) {
    this.skc_tw_rcv_nxt = v
  }
  get tw_snd_nxt(): number {
    return this.skc_tw_snd_nxt
  }
  set tw_snd_nxt(v: number) {
    this.skc_tw_snd_nxt = v
  }
}

/** include/net/timewait_sock.h struct timewait_sock_ops */
export interface timewait_sock_ops {
  twsk_slab: unknown
  twsk_slab_name: string
  twsk_obj_size: number
  twsk_destructor: ((sk: sock) => void) | null
}

export const inet_twsk = (sk: sock | sock_common): inet_timewait_sock => sk as unknown as inet_timewait_sock
export const tcp_twsk = (sk: sock | sock_common): tcp_timewait_sock => sk as unknown as tcp_timewait_sock
export const twsk_net = (tw: inet_timewait_sock): net => tw.skc_net
