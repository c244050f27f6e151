import type { sk_buff } from '../linux/skbuff.ts'
import type { kmem_cache } from '../linux/slab.ts'
import { spinlock_t } from '../linux/spinlock.ts'
import type { timer_list } from '../linux/timer.ts'
import { type sock, sock_common } from './sock.ts'

/** include/net/request_sock.h struct request_sock_ops */
export interface request_sock_ops {
  family: number
  obj_size: number
  slab_name: string
  slab: kmem_cache | null
  /** makes an empty request of the protocol's own kind */
  alloc: () => request_sock
  rtx_syn_ack: (sk: sock, req: request_sock) => number
  send_ack: (sk: sock, skb: sk_buff, req: request_sock) => void
  send_reset: (sk: sock | null, skb: sk_buff, reason: number) => void
  destructor: (req: request_sock) => void
  syn_ack_timeout: (req: request_sock) => void
}

/** struct request_sock */
export class request_sock extends sock_common {
  dl_next: request_sock | null = null
  mss = 0
  num_retrans = 0
  syncookie = 0
  num_timeout = 0
  ts_recent = 0
  rsk_timer!: timer_list
  rsk_ops!: request_sock_ops
  sk: sock | null = null
  saved_syn: unknown = null
  secid = 0
  peer_secid = 0
  timeout = 0

  get rsk_refcnt(): number {
    return this.skc_refcnt
  }
  set rsk_refcnt(v: number) {
    this.skc_refcnt = v
  }
  get rsk_listener(): sock | null {
    return this.skc_listener
  }
  set rsk_listener(v: sock | null) {
    this.skc_listener = v
  }
  get rsk_rcv_wnd(): number {
    return this.skc_rcv_wnd
  }
  set rsk_rcv_wnd(v: number) {
    this.skc_rcv_wnd = v
  }
  get rsk_window_clamp(): number {
    return this.skc_window_clamp
  }
  set rsk_window_clamp(v: number) {
    this.skc_window_clamp = v
  }
}

/** struct fastopen_queue: TCP Fast Open's share of a listener */
export class fastopen_queue {
  rskq_rst_head: request_sock | null = null
  rskq_rst_tail: request_sock | null = null
  readonly lock: spinlock_t = new spinlock_t()
  qlen = 0
  max_qlen = 0
  ctx: unknown = null
}

/** struct request_sock_queue: what a listener keeps of connections that nobody accepted yet */
export class request_sock_queue {
  readonly rskq_lock: spinlock_t = new spinlock_t()
  rskq_defer_accept = 0
  synflood_warned = 0
  qlen = 0
  young = 0
  rskq_accept_head: request_sock | null = null
  rskq_accept_tail: request_sock | null = null
  fastopenq: fastopen_queue = new fastopen_queue()
}

export const inet_reqsk = (sk: sock_common): request_sock => sk as unknown as request_sock
export const req_to_sk = (req: request_sock): sock => req as unknown as sock
