import type { hrtimer } from '../linux/hrtimer.ts'
import { dotted } from '../linux/in.ts'
import { in6_ntop, in6addr_any } from '../linux/in6.ts'
import { list_head } from '../linux/list.ts'
import type { page_frag } from '../linux/mm_types.ts'
import type { proto_ops, sockaddr, socket, socket_wq } from '../linux/net.ts'
import type { net_device } from '../linux/netdevice.ts'
import { type sk_buff, sk_buff_head } from '../linux/skbuff.ts'
import type { msghdr } from '../linux/socket.ts'
import { spinlock_t } from '../linux/spinlock.ts'
import type { timer_list } from '../linux/timer.ts'
import { LARGE, type ref } from '../linux/types.ts'
import { wait_queue_head } from '../linux/wait.ts'
import type { dst_entry } from './dst.ts'
import type { net } from './net_namespace.ts'
import type { request_sock, request_sock_ops } from './request_sock.ts'

/**
 * What full sockets, request sockets and time-wait sockets share: include/net/sock.h. Addresses and ports are numbers in host
 * order (127.0.0.1 is 0x7f000001), also where Linux has __be32 and __be16.
 */
export class sock_common {
  skc_daddr = 0
  skc_rcv_saddr = 0
  skc_hash = LARGE
  skc_dport = 0
  skc_num = 0
  skc_family = 0
  skc_state = 0
  skc_reuse = 0
  skc_reuseport = 0
  skc_ipv6only = 0
  skc_net_refcnt = 0
  skc_bound_dev_if = 0
  skc_prot!: proto
  skc_net!: net
  skc_v6_daddr: Uint8Array | null = null
  skc_v6_rcv_saddr: Uint8Array | null = null
  skc_cookie = 0
  skc_flags = 0
  skc_listener: sock | null = null
  /** on a hash chain: the chain, null when unhashed */
  skc_node: unknown = null
  skc_nulls_next: sock_common | null = null
  skc_nulls_prev: sock_common | null = null
  /** on the owners' list of a bind bucket; empty when not bound */
  readonly skc_bind_node: list_head<sock_common> = new list_head<sock_common>(this)
  skc_tx_queue_mapping = 0xffff
  skc_rx_queue_mapping = 0xffff
  skc_incoming_cpu = 0
  skc_rcv_wnd = 0
  skc_tw_rcv_nxt = 0
  skc_refcnt = 0
  skc_rxhash = 0
  skc_window_clamp = 0
  skc_tw_snd_nxt = 0
  /** number of the socket, by first allocation; 0 for what is no full socket */
  id = 0

  get sk_state(): number {
    return this.skc_state
  }
  set sk_state(v: number) {
    this.skc_state = v
  }
  get sk_family(): number {
    return this.skc_family
  }
  set sk_family(v: number) {
    this.skc_family = v
  }
  get sk_num(): number {
    return this.skc_num
  }
  set sk_num(v: number) {
    this.skc_num = v
  }
  get sk_dport(): number {
    return this.skc_dport
  }
  set sk_dport(v: number) {
    this.skc_dport = v
  }
  get sk_daddr(): number {
    return this.skc_daddr
  }
  set sk_daddr(v: number) {
    this.skc_daddr = v
  }
  get sk_rcv_saddr(): number {
    return this.skc_rcv_saddr
  }
  set sk_rcv_saddr(v: number) {
    this.skc_rcv_saddr = v
  }
  get sk_reuse(): number {
    return this.skc_reuse
  }
  set sk_reuse(v: number) {
    this.skc_reuse = v
  }
  get sk_reuseport(): number {
    return this.skc_reuseport
  }
  set sk_reuseport(v: number) {
    this.skc_reuseport = v
  }
  get sk_bound_dev_if(): number {
    return this.skc_bound_dev_if
  }
  set sk_bound_dev_if(v: number) {
    this.skc_bound_dev_if = v
  }
  get sk_prot(): proto {
    return this.skc_prot
  }
  set sk_prot(v: proto) {
    this.skc_prot = v
  }
  get sk_net(): net {
    return this.skc_net
  }
  set sk_net(v: net) {
    this.skc_net = v
  }
  get sk_hash(): number {
    return this.skc_hash
  }
  set sk_hash(v: number) {
    this.skc_hash = v
  }
  get sk_flags(): number {
    return this.skc_flags
  }
  set sk_flags(v: number) {
    this.skc_flags = v
  }
  get sk_refcnt(): number {
    return this.skc_refcnt
  }
  set sk_refcnt(v: number) {
    this.skc_refcnt = v
  }
  get sk_net_refcnt(): number {
    return this.skc_net_refcnt
  }
  set sk_net_refcnt(v: number) {
    this.skc_net_refcnt = v
  }

  /** who it is, for traces: protocol, number, addresses */
  describe(): string {
    const name = `${this.skc_prot.name.toLowerCase()}#${this.id}`
    if (this.skc_family === 10 && this.skc_num !== 0) {
      const own = `${name} [${in6_ntop(this.skc_v6_rcv_saddr ?? in6addr_any)}]:${this.skc_num}`
      return this.skc_dport === 0 ? own : `${own} > [${in6_ntop(this.skc_v6_daddr ?? in6addr_any)}]:${this.skc_dport}`
    }
    if (this.skc_family !== 2 || this.skc_num === 0) return name
    const local = `${dotted(this.skc_rcv_saddr)}:${this.skc_num}`
    return this.skc_dport === 0 ? `${name} ${local}` : `${name} ${local} > ${dotted(this.skc_daddr)}:${this.skc_dport}`
  }
}

/** 127.0.0.1 for 0x7f000001 */

/** struct socket_lock_t */
export class socket_lock_t {
  readonly slock: spinlock_t = new spinlock_t()
  owned = 0
  /** who waits for the lock */
  readonly wq: wait_queue_head = new wait_queue_head()
}

/** include/net/sock.h struct sock. Macros such as sk_state that name a field of sock_common are accessors of sock_common. */
export class sock extends sock_common {
  sk_drops = 0
  sk_peek_off = -1
  readonly sk_error_queue: sk_buff_head = new sk_buff_head()
  readonly sk_receive_queue: sk_buff_head = new sk_buff_head()
  sk_backlog: { rmem_alloc: number; len: number; head: sk_buff | null; tail: sk_buff | null } = {
    rmem_alloc: 0,
    len: 0,
    head: null,
    tail: null,
  }
  sk_rx_dst: dst_entry | null = null
  sk_rx_dst_ifindex = 0
  sk_rx_dst_cookie = 0
  sk_ll_usec = 0
  sk_napi_id = 0
  sk_userlocks = 0
  sk_rcvbuf = 0
  sk_filter: unknown = null
  sk_wq: socket_wq | null = null
  sk_data_ready!: (sk: sock) => void
  sk_rcvtimeo = LARGE
  sk_rcvlowat = 0
  sk_err = 0
  sk_socket: socket | null = null
  sk_memcg: unknown = null
  sk_policy: [unknown, unknown] = [null, null]
  readonly sk_lock: socket_lock_t = new socket_lock_t()
  sk_reserved_mem = 0
  sk_forward_alloc = 0
  sk_tsflags = 0
  sk_write_pending = 0
  sk_omem_alloc = 0
  sk_sndbuf = 0
  sk_wmem_queued = 0
  /** one is the socket's own: sk_alloc sets it to 1 */
  sk_wmem_alloc = 0
  sk_tsq_flags = 0
  readonly sk_write_queue: sk_buff_head = new sk_buff_head()
  sk_dst_pending_confirm = 0
  sk_pacing_status = 0
  sk_frag!: page_frag
  sk_timer!: timer_list
  sk_pacing_rate = LARGE
  sk_zckey = 0
  sk_tskey = 0
  sk_max_pacing_rate = LARGE
  sk_sndtimeo = LARGE
  sk_priority = 0
  sk_mark = 0
  sk_dst_cache: dst_entry | null = null
  sk_route_caps = 0n
  sk_validate_xmit_skb: ((sk: sock, dev: net_device, skb: sk_buff) => sk_buff | null) | null = null
  sk_gso_type = 0
  sk_gso_max_segs = 0
  sk_gso_max_size = 0
  sk_allocation = 0
  sk_txhash = 0
  sk_pacing_shift = 0
  sk_use_task_frag = false
  sk_gso_disabled = 0
  sk_kern_sock = 0
  sk_no_check_tx = 0
  sk_no_check_rx = 0
  sk_shutdown = 0
  sk_type = 0
  sk_protocol = 0
  sk_lingertime = 0
  sk_prot_creator!: proto
  readonly sk_callback_lock: spinlock_t = new spinlock_t()
  sk_err_soft = 0
  sk_ack_backlog = 0
  sk_max_ack_backlog = 0
  sk_uid = 0
  readonly sk_peer_lock: spinlock_t = new spinlock_t()
  sk_bind_phc = 0
  sk_peer_pid: unknown = null
  sk_peer_cred: unknown = null
  sk_stamp = 0
  sk_disconnects = 0
  sk_txrehash = 0
  sk_clockid = 0
  /** SOF_TXTIME_* */
  sk_txtime_flags = 0
  sk_user_data: unknown = null
  sk_security: unknown = null
  sk_cgrp_data: unknown = null
  sk_state_change!: (sk: sock) => void
  sk_write_space!: (sk: sock) => void
  sk_error_report!: (sk: sock) => void
  sk_backlog_rcv!: (sk: sock, skb: sk_buff) => number
  sk_destruct: ((sk: sock) => void) | null = null
  sk_reuseport_cb: unknown = null

  /** its address as a pointer would print */
  kaddr = LARGE

  get netnsName(): string {
    return this.skc_net.name
  }
  /** memory of the socket in bytes, as `ss -m` shows it */
  counters(): Record<string, number> {
    const { sk_wmem_queued, sk_forward_alloc, sk_wmem_alloc, sk_rmem_alloc } = this
    return { sk_wmem_queued, sk_forward_alloc, sk_wmem_alloc, sk_rmem_alloc }
  }

  get sk_rmem_alloc(): number {
    return this.sk_backlog.rmem_alloc
  }
  set sk_rmem_alloc(v: number) {
    this.sk_backlog.rmem_alloc = v
  }
}

/** include/net/sock.h struct proto: what a transport protocol gives to the socket layer. Filled in an initcall. */
export interface proto {
  name: string
  close?: (sk: sock, timeout: number) => void
  pre_connect?: (sk: sock, uaddr: sockaddr, addr_len: number) => number
  connect?: (sk: sock, uaddr: sockaddr, addr_len: number) => number
  disconnect?: (sk: sock, flags: number) => number
  accept?: (sk: sock, arg: proto_accept_arg) => sock | null
  ioctl?: (sk: sock, cmd: number, karg: ref<number>) => number
  init?: (sk: sock) => number
  destroy?: (sk: sock) => void
  shutdown?: (sk: sock, how: number) => void
  setsockopt?: (sk: sock, level: number, optname: number, optval: Uint8Array, optlen: number) => number
  getsockopt?: (sk: sock, level: number, optname: number, optval: number, optlen: ref<number>) => number
  keepalive?: (sk: sock, valbool: number) => void
  sendmsg?: (sk: sock, msg: msghdr, len: number) => number
  recvmsg?: (sk: sock, msg: msghdr, len: number, flags: number, addr_len: ref<number>) => number
  splice_eof?: (sock: socket) => void
  bind?: (sk: sock, addr: sockaddr, addr_len: number) => number
  backlog_rcv?: (sk: sock, skb: sk_buff) => number
  bpf_bypass_getsockopt?: unknown
  release_cb?: (sk: sock) => void
  hash?: (sk: sock) => number
  unhash?: (sk: sock) => void
  rehash?: (sk: sock) => void
  get_port?: (sk: sock, snum: number) => number
  put_port?: (sk: sock) => void
  stream_memory_free?: (sk: sock, wake: number) => boolean
  sock_is_readable?: (sk: sock) => boolean
  enter_memory_pressure?: (sk: sock) => void
  leave_memory_pressure?: (sk: sock) => void
  memory_allocated?: ref<number>
  /** percpu cache of memory_allocated; one processor */
  per_cpu_fw_alloc?: ref<number>
  sockets_allocated?: ref<number>
  memory_pressure?: ref<number>
  sysctl_mem?: [number, number, number]
  sysctl_wmem?: [number, number, number]
  sysctl_rmem?: [number, number, number]
  sysctl_wmem_offset?: (n: net) => number
  sysctl_rmem_offset?: (n: net) => number
  max_header?: number
  no_autobind?: boolean
  /** where raw sockets of the protocol are found: union h in Linux */
  raw_hash?: { lock: spinlock_t; ht: list_head<sock>[] }
  /** makes an empty socket of the protocol's own size (obj_size in Linux) */
  alloc: () => sock
  obj_size: number
  slab_flags?: number
  slab?: unknown
  orphan_count?: ref<number>
  rsk_prot?: request_sock_ops
  /** timewait_sock_ops */
  twsk_prot?: unknown
  h?: unknown
  diag_destroy?: unknown
  /** number of sockets in use */
  inuse?: number
}

export interface proto_accept_arg {
  flags: number
  err: number
  is_empty: boolean
  kern: boolean
}

/** struct sockcm_cookie: what a send's control messages say of this datagram. transmit_time in nanoseconds. */
export class sockcm_cookie {
  transmit_time = 0
  mark = 0
  tsflags = 0
}

export type { hrtimer, proto_ops, request_sock }
