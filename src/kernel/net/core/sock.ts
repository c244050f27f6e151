import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceCounters, traceIndirect, tracepoint, tracer } from '../../../trace/tracer.ts'
import { get_random_u32 } from '../../drivers/char/random.ts'
import * as C from '../../include/generated/enums.ts'
import * as E from '../../include/linux/errno.ts'
import { SKB_EXT_ERR } from '../../include/linux/errqueue.ts'
import type { file } from '../../include/linux/fs.ts'
import { hrtimer } from '../../include/linux/hrtimer.ts'
import { core_initcall } from '../../include/linux/init.ts'
import { list_head } from '../../include/linux/list.ts'
import { page_frag } from '../../include/linux/mm_types.ts'
import {
  SOCK_INODE,
  SOCK_WAKE_IO,
  SOCK_WAKE_SPACE,
  SOCK_WAKE_URG,
  SOCK_WAKE_WAITD,
  sockaddr,
  type socket,
  type socket_wq,
} from '../../include/linux/net.ts'
import * as TS from '../../include/linux/net_tstamp.ts'
import {
  NETIF_F_GSO,
  NETIF_F_GSO_MASK,
  NETIF_F_GSO_SOFTWARE,
  NETIF_F_HW_CSUM,
  NETIF_F_NOCACHE_COPY,
  NETIF_F_SG,
} from '../../include/linux/netdev_features.ts'
import { IFNAMSIZ, type net_device } from '../../include/linux/netdevice.ts'
import { rb_root } from '../../include/linux/rbtree.ts'
import { TASK_INTERRUPTIBLE, TASK_UNINTERRUPTIBLE, type task_struct } from '../../include/linux/sched.ts'
import {
  __skb_queue_tail,
  CHECKSUM_NONE,
  type sk_buff,
  sk_buff_head,
  skb_peek_tail,
  skb_shinfo,
} from '../../include/linux/skbuff.ts'
import {
  __GFP_COMP,
  __GFP_DIRECT_RECLAIM,
  __GFP_MEMALLOC,
  __GFP_NORETRY,
  __GFP_NOWARN,
  __GFP_ZERO,
  GFP_ATOMIC,
  GFP_KERNEL,
  type kmem_cache,
  SLAB_ACCOUNT,
  SLAB_HWCACHE_ALIGN,
} from '../../include/linux/slab.ts'
import type { cmsghdr, msghdr } from '../../include/linux/socket.ts'
import * as S from '../../include/linux/socket.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import { timer_list } from '../../include/linux/timer.ts'
import { DIV_ROUND_UP, MAX_SCHEDULE_TIMEOUT, NSEC_PER_SEC, type ref, USEC_PER_SEC } from '../../include/linux/types.ts'
import type { iov_iter } from '../../include/linux/uio.ts'
import {
  EPOLLERR,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDBAND,
  EPOLLRDNORM,
  EPOLLWRBAND,
  EPOLLWRNORM,
  wait_queue_entry,
  wait_queue_head,
  waitqueue_active,
  wq_has_sleeper,
} from '../../include/linux/wait.ts'
import { type dst_entry, RTAX_QUICKACK } from '../../include/net/dst.ts'
import { inet_csk } from '../../include/net/inet_connection_sock.ts'
import { INET_FLAGS_MC_LOOP, INET_FLAGS_MC6_LOOP, inet_test_bit } from '../../include/net/inet_sock.ts'
import type { neighbour } from '../../include/net/neighbour.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { proto, proto_accept_arg, sock, sockcm_cookie } from '../../include/net/sock.ts'
import { tcp_sk } from '../../include/net/tcp.ts'
import { capable, ns_capable } from '../../kernel/capability.ts'
import { cgroup_sk_alloc, cgroup_sk_clone, cgroup_sk_free } from '../../kernel/cgroup/cgroup.ts'
import {
  read_lock_bh,
  read_unlock_bh,
  spin_lock,
  spin_lock_bh,
  spin_lock_irqsave,
  spin_unlock,
  spin_unlock_bh,
  spin_unlock_irqrestore,
  write_lock_bh,
  write_unlock_bh,
} from '../../kernel/locking/spinlock.ts'
import { module_put, try_module_get } from '../../kernel/module/main.ts'
import { type pid, put_pid } from '../../kernel/pid.ts'
import { call_rcu, rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { cond_resched, current, schedule, schedule_timeout, signal_pending } from '../../kernel/sched/core.ts'
import {
  add_wait_queue,
  autoremove_wake_function,
  finish_wait,
  init_waitqueue_head,
  prepare_to_wait,
  prepare_to_wait_exclusive,
  remove_wait_queue,
  wait_woken,
  wake_up,
  wake_up_interruptible_all,
  wake_up_interruptible_poll,
  wake_up_interruptible_sync_poll,
  woken_wake_function,
} from '../../kernel/sched/wait.ts'
import { in_interrupt } from '../../kernel/softirq.ts'
import { del_timer, del_timer_sync, mod_timer, timer_setup } from '../../kernel/time/timer.ts'
import { make_kuid } from '../../kernel/user_namespace.ts'
import { csum_block_add } from '../../lib/checksum.ts'
import { copy_from_iter_full, copy_from_iter_full_nocache } from '../../lib/iov_iter.ts'
import { copy_to_sockptr } from '../../lib/usercopy.ts'
import { mem_cgroup_sk_alloc, mem_cgroup_sk_free } from '../../mm/memcontrol.ts'
import { alloc_pages, page_ref_count, put_page } from '../../mm/page_alloc.ts'
import { __kmalloc_noprof, kfree, kmem_cache_alloc, kmem_cache_create, kmem_cache_free } from '../../mm/slub.ts'
import {
  security_sk_alloc,
  security_sk_clone,
  security_sk_free,
  security_sock_graft,
  security_socket_getpeersec_stream,
} from '../../security/security.ts'
import {
  __sock_recv_cmsgs,
  __sock_recv_timestamp,
  __sock_recv_wifi_status,
  __sock_tx_timestamp,
  sock_from_file,
  sock_wake_async,
} from '../socket.ts'
import { xfrm_sk_clone_policy, xfrm_sk_free_policy } from '../xfrm/xfrm_policy.ts'
import { bpf_sk_storage_clone, bpf_sk_storage_free } from './bpf_sk_storage.ts'
import { skb_copy_datagram_msg } from './datagram.ts'
import { dev_get_by_name_rcu, dev_recursion_level, net_disable_timestamp, net_enable_timestamp, netdev_get_name } from './dev.ts'
import { dst_metric, dst_release, skb_dst_force } from './dst.ts'
import { sk_filter, sk_filter_trim_cap } from './filter.ts'
import { net_hotdata } from './hotdata.ts'
import { neigh_confirm } from './neighbour.ts'
import { put_net } from './net_namespace.ts'
import { tp_sock_addrs } from './net-traces.ts'
import { put_cmsg } from './scm.ts'
import {
  __kfree_skb,
  alloc_skb,
  alloc_skb_with_frags,
  csum_and_copy_from_iter_full,
  kfree_skb,
  skb_clone,
  skb_len_add,
  skb_orphan,
  sock_dequeue_err_skb,
} from './skbuff.ts'
import { sock_diag_broadcast_destroy, sock_diag_has_destroy_listeners, sock_gen_cookie } from './sock_diag.ts'
import { reuseport_detach_prog, reuseport_update_incoming_cpu } from './sock_reuseport.ts'

const PAGE_SHIFT = C.PAGE_SHIFT
const PAGE_SIZE = C.PAGE_SIZE
const HZ = C.HZ
/** ~0UL: "no limit" for rates */
export const ULONG_MAX = 2 ** 64
export const SHUTDOWN_MASK = 3
export const RCV_SHUTDOWN = 1
export const SEND_SHUTDOWN = 2
export const NO_QUEUE_MAPPING = 0xffff
export const SKB_FRAG_PAGE_ORDER = 3
const POLL_IN = 1
const POLL_OUT = 2
const POLL_ERR = 4
const POLL_PRI = 5
const CAP_NET_ADMIN = 12
const CAP_NET_RAW = 13

export let sysctl_wmem_max = C.SK_WMEM_MAX
export let sysctl_rmem_max = C.SK_RMEM_MAX
export let sysctl_wmem_default = C.SK_WMEM_MAX
export let sysctl_rmem_default = C.SK_RMEM_MAX
export let sysctl_tstamp_allow_data = 1
/** static key: sockets that may use the emergency reserves; swap over the network only */
let memalloc_socks_key = false
let next_sock_id = 1
let proto_list: proto[] = []

core_initcall(() => {
  sysctl_wmem_max = C.SK_WMEM_MAX
  sysctl_rmem_max = C.SK_RMEM_MAX
  sysctl_wmem_default = C.SK_WMEM_MAX
  sysctl_rmem_default = C.SK_RMEM_MAX
  sysctl_tstamp_allow_data = 1
  memalloc_socks_key = false
  next_sock_id = 1
  proto_list = []
})

/** /proc/sys/net/core: values in bytes */
export function sysctl_net_core_set(name: string, value: number): boolean {
  switch (name) {
    case 'wmem_max':
      sysctl_wmem_max = value
      return true
    case 'rmem_max':
      sysctl_rmem_max = value
      return true
    case 'wmem_default':
      sysctl_wmem_default = value
      return true
    case 'rmem_default':
      sysctl_rmem_default = value
      return true
    case 'tstamp_allow_data':
      sysctl_tstamp_allow_data = value
      return true
  }
  return false
}

// ---- include/net/sock.h: accessors

export const sock_net = (sk: sock): net => sk.skc_net
export const sock_net_set = (sk: sock, n: net): void => {
  sk.skc_net = n
}
export const sock_flag = (sk: sock, flag: number): boolean => (sk.skc_flags & (1 << flag)) !== 0
export const sock_set_flag = (sk: sock, flag: number): void => {
  sk.skc_flags |= 1 << flag
}
export const sock_reset_flag = (sk: sock, flag: number): void => {
  sk.skc_flags &= ~(1 << flag)
}
export const sock_valbool_flag = (sk: sock, bit: number, valbool: boolean): void =>
  valbool ? sock_set_flag(sk, bit) : sock_reset_flag(sk, bit)
/** static key and flag: sk_memalloc_socks() */
export const sk_memalloc_socks = (): boolean => memalloc_socks_key
/** full sockets have all the fields of struct sock; request and time-wait sockets do not */
export const sk_fullsock = (sk: sock): boolean => ((1 << sk.skc_state) & ~(C.TCPF_TIME_WAIT | C.TCPF_NEW_SYN_RECV)) !== 0
export const sk_listener = (sk: sock): boolean => ((1 << sk.skc_state) & (C.TCPF_LISTEN | C.TCPF_NEW_SYN_RECV)) !== 0
export const sk_is_inet = (sk: sock): boolean => sk.skc_family === S.AF_INET || sk.skc_family === S.AF_INET6
export const sk_is_tcp = (sk: sock): boolean => sk_is_inet(sk) && sk.sk_type === C.SOCK_STREAM && sk.sk_protocol === C.IPPROTO_TCP
export const sk_is_udp = (sk: sock): boolean => sk_is_inet(sk) && sk.sk_type === C.SOCK_DGRAM && sk.sk_protocol === C.IPPROTO_UDP
export const sk_is_refcounted = (sk: sock): boolean => !sk_fullsock(sk) || !sock_flag(sk, C.SOCK_RCU_FREE)
export const sk_unhashed = (sk: sock): boolean => sk.skc_node === null
export const sk_hashed = (sk: sock): boolean => sk.skc_node !== null
export const sk_gfp_mask = (sk: sock, gfp_mask: number): number => gfp_mask | (sk.sk_allocation & __GFP_MEMALLOC)
export const sk_acceptq_removed = (sk: sock): void => {
  sk.sk_ack_backlog--
}
export const sk_acceptq_added = (sk: sock): void => {
  sk.sk_ack_backlog++
}
export const sk_acceptq_is_full = (sk: sock): boolean => sk.sk_ack_backlog > sk.sk_max_ack_backlog
export const sk_stream_min_wspace = (sk: sock): number => sk.sk_wmem_queued >> 1
export const sk_stream_wspace = (sk: sock): number => sk.sk_sndbuf - sk.sk_wmem_queued
export const sk_wmem_alloc_get = (sk: sock): number => sk.sk_wmem_alloc - 1
export const sk_rmem_alloc_get = (sk: sock): number => sk.sk_backlog.rmem_alloc
export const sk_has_account = (sk: sock): boolean => sk.skc_prot.memory_allocated !== undefined
export const sk_mem_pages = (amt: number): number => Math.floor((amt + PAGE_SIZE - 1) / PAGE_SIZE)
export const sk_sleep = (sk: sock): wait_queue_head => {
  if (sk.sk_wq === null) throw new TypeError(`${sk.describe()}: no wait queue`)
  return sk.sk_wq.wait
}
export const sk_set_socket = (sk: sock, s: socket | null): void => {
  sk.sk_socket = s
}
export const sock_owned_by_user = (sk: sock): boolean => sk.sk_lock.owned !== 0
export const sock_owned_by_user_nocheck = sock_owned_by_user
export const bh_lock_sock = (sk: sock): void => spin_lock(sk.sk_lock.slock)
export const bh_lock_sock_nested = (sk: sock): void => spin_lock(sk.sk_lock.slock)
export const bh_unlock_sock = (sk: sock): void => spin_unlock(sk.sk_lock.slock)
export const sock_rcvtimeo = (sk: sock, noblock: boolean | number): number => (noblock ? 0 : sk.sk_rcvtimeo)
export const sock_sndtimeo = (sk: sock, noblock: boolean | number): number => (noblock ? 0 : sk.sk_sndtimeo)
export const sock_rcvlowat = (sk: sock, waitall: boolean | number, len: number): number =>
  (waitall ? len : Math.min(sk.sk_rcvlowat, len)) || 1
export const sock_intr_errno = (timeo: number): number => (timeo === MAX_SCHEDULE_TIMEOUT ? -E.ERESTARTSYS : -E.EINTR)
export const sock_writeable = (sk: sock): boolean => sk.sk_wmem_alloc < sk.sk_sndbuf >> 1
export const sock_write_timestamp = (sk: sock, kt: number): void => {
  sk.sk_stamp = kt
}
export const skb_sk_is_prefetched = (skb: sk_buff): boolean => skb.destructor === sock_pfree
export const sk_tx_queue_set = (sk: sock, tx_queue: number): void => {
  if (tx_queue < NO_QUEUE_MAPPING) sk.skc_tx_queue_mapping = tx_queue
}
export const sk_tx_queue_clear = (sk: sock): void => {
  sk.skc_tx_queue_mapping = NO_QUEUE_MAPPING
}
export const sk_tx_queue_get = (sk: sock | null): number =>
  sk !== null && sk.skc_tx_queue_mapping !== NO_QUEUE_MAPPING ? sk.skc_tx_queue_mapping : -1
export const sk_rx_queue_clear = (sk: sock): void => {
  sk.skc_rx_queue_mapping = NO_QUEUE_MAPPING
}
/** skb->queue_mapping counts from 1 on receive, 0 says that it was not recorded */
export const sk_rx_queue_set = (sk: sock, skb: sk_buff): void => {
  if (skb.queue_mapping !== 0) sk.skc_rx_queue_mapping = skb.queue_mapping - 1
}
export const sk_rx_queue_update = sk_rx_queue_set
export const sk_incoming_cpu_update = (sk: sock): void => {
  sk.skc_incoming_cpu = 0
}
export const sock_rps_save_rxhash = (sk: sock, skb: sk_buff): void => {
  sk.skc_rxhash = skb.hash
}
export const sock_rps_reset_rxhash = (sk: sock): void => {
  sk.skc_rxhash = 0
}
export const sock_prot_inuse_add = (_n: net, prot: proto, val: number): void => {
  prot.inuse = (prot.inuse ?? 0) + val
}
export const sock_inuse_add = (n: net, val: number): void => {
  n.core.prot_inuse.all += val
}
export const sock_inuse_get = (n: net): number => n.core.prot_inuse.all
export const sk_node_init = (sk: sock): void => {
  sk.skc_node = null
}
export const sock_skb_set_dropcount = (_sk: sock, _skb: sk_buff): void => {}
export const sk_drops_add = (sk: sock, skb: sk_buff): void => {
  sk.sk_drops += Math.max(1, skb.gso_segs)
}
export const sock_net_uid = (n: net, sk: sock | null): number => (sk === null ? make_kuid(null, 0) : sk.sk_uid)
const SOCKWQ_FASYNC_ONLY = (1 << C.SOCKWQ_ASYNC_NOSPACE) | (1 << C.SOCKWQ_ASYNC_WAITDATA)
export const sk_set_bit = (nr: number, sk: sock): void => {
  if ((SOCKWQ_FASYNC_ONLY >> nr) & 1 && !sock_flag(sk, C.SOCK_FASYNC)) return
  if (sk.sk_wq !== null) sk.sk_wq.flags |= 1 << nr
}
export const sk_clear_bit = (nr: number, sk: sock): void => {
  if ((SOCKWQ_FASYNC_ONLY >> nr) & 1 && !sock_flag(sk, C.SOCK_FASYNC)) return
  if (sk.sk_wq !== null) sk.sk_wq.flags &= ~(1 << nr)
}
const set_nospace = (sk: sock): void => {
  if (sk.sk_socket !== null) sk.sk_socket.flags |= 1 << C.SOCK_NOSPACE
}

// ---- reference counts

export const sock_hold = (sk: sock): void => {
  sk.skc_refcnt++
}
/** gives back a reference that is not the last */
export const __sock_put = (sk: sock): void => {
  sk.skc_refcnt--
}
export const refcount_inc_not_zero_sk = (sk: sock): boolean => {
  if (sk.skc_refcnt === 0) return false
  sk.skc_refcnt++
  return true
}
export const sock_put = kfunc('sock_put', (sk: sock): void => {
  if (--sk.skc_refcnt === 0) sk_free(sk)
})

// ---- memory accounting: include/net/proto_memory.h, include/net/sock.h. Amounts in pages, sizes in bytes.

export const sk_has_memory_pressure = (sk: sock): boolean => sk.skc_prot.memory_pressure !== undefined
export const proto_memory_pressure = (prot: proto): boolean => prot.memory_pressure !== undefined && prot.memory_pressure.v !== 0
export const sk_under_global_memory_pressure = (sk: sock): boolean => proto_memory_pressure(sk.skc_prot)
/** no memory cgroup limits sockets: mem_cgroup_sk_enabled() is false */
export const sk_under_memory_pressure = sk_under_global_memory_pressure
export const proto_memory_allocated = (prot: proto): number => Math.max(0, prot.memory_allocated?.v ?? 0)
export const sk_memory_allocated = (sk: sock): number => proto_memory_allocated(sk.skc_prot)
export const sk_prot_mem_limits = (sk: sock, index: 0 | 1 | 2): number => sk.skc_prot.sysctl_mem?.[index] ?? 0

function proto_memory_pcpu_drain(prot: proto): void {
  const { per_cpu_fw_alloc: cached, memory_allocated: total } = prot
  if (cached === undefined || total === undefined) return
  total.v += cached.v
  cached.v = 0
}
export function sk_memory_allocated_add(sk: sock, val: number): void {
  const cached = sk.skc_prot.per_cpu_fw_alloc
  if (cached === undefined) return
  cached.v += val
  if (cached.v >= net_hotdata.sysctl_mem_pcpu_rsv) proto_memory_pcpu_drain(sk.skc_prot)
}
export function sk_memory_allocated_sub(sk: sock, val: number): void {
  const cached = sk.skc_prot.per_cpu_fw_alloc
  if (cached === undefined) return
  cached.v -= val
  if (cached.v <= -net_hotdata.sysctl_mem_pcpu_rsv) proto_memory_pcpu_drain(sk.skc_prot)
}
export const sk_sockets_allocated_inc = (sk: sock): void => {
  if (sk.skc_prot.sockets_allocated) sk.skc_prot.sockets_allocated.v++
}
export const sk_sockets_allocated_dec = (sk: sock): void => {
  if (sk.skc_prot.sockets_allocated) sk.skc_prot.sockets_allocated.v--
}
export const sk_sockets_allocated_read_positive = (sk: sock): number => Math.max(0, sk.skc_prot.sockets_allocated?.v ?? 0)
export const sk_wmem_queued_add = (sk: sock, val: number): void => {
  sk.sk_wmem_queued += val
  if (tracer.on) traceCounters(sk)
}
export const sk_forward_alloc_add = (sk: sock, val: number): void => {
  sk.sk_forward_alloc += val
  if (tracer.on) traceCounters(sk)
}
export const sk_get_wmem0 = (sk: sock, prot: proto): number => prot.sysctl_wmem_offset?.(sk.skc_net) ?? prot.sysctl_wmem?.[0] ?? 0
export const sk_get_rmem0 = (sk: sock, prot: proto): number => prot.sysctl_rmem_offset?.(sk.skc_net) ?? prot.sysctl_rmem?.[0] ?? 0

export function sk_unused_reserved_mem(sk: sock): number {
  if (sk.sk_reserved_mem === 0) return 0
  return Math.max(0, sk.sk_reserved_mem - sk.sk_wmem_queued - sk.sk_rmem_alloc)
}

export const sk_wmem_schedule = kfunc('sk_wmem_schedule', (sk: sock, size: number): boolean => {
  if (!sk_has_account(sk)) return true
  const delta = size - sk.sk_forward_alloc
  return delta <= 0 || __sk_mem_schedule(sk, delta, C.SK_MEM_SEND) !== 0
})

export const __sk_rmem_schedule = kfunc('__sk_rmem_schedule', (sk: sock, size: number, pfmemalloc: boolean): boolean => {
  if (!sk_has_account(sk)) return true
  const delta = size - sk.sk_forward_alloc
  return delta <= 0 || __sk_mem_schedule(sk, delta, C.SK_MEM_RECV) !== 0 || pfmemalloc
})

export const sk_rmem_schedule = kfunc('sk_rmem_schedule', (sk: sock, skb: sk_buff, size: number): boolean =>
  __sk_rmem_schedule(sk, size, skb.pfmemalloc !== 0),
)

export const sk_mem_reclaim = kfunc('sk_mem_reclaim', (sk: sock): void => {
  if (!sk_has_account(sk)) return
  const reclaimable = sk.sk_forward_alloc - sk_unused_reserved_mem(sk)
  if (reclaimable >= PAGE_SIZE) __sk_mem_reclaim(sk, reclaimable)
})

export const sk_mem_reclaim_final = kfunc('sk_mem_reclaim_final', (sk: sock): void => {
  sk.sk_reserved_mem = 0
  sk_mem_reclaim(sk)
})

export const sk_mem_charge = kfunc('sk_mem_charge', (sk: sock, size: number): void => {
  if (!sk_has_account(sk)) return
  sk.sk_forward_alloc -= size
  if (tracer.on) traceCounters(sk)
})

export const sk_mem_uncharge = kfunc('sk_mem_uncharge', (sk: sock, size: number): void => {
  if (!sk_has_account(sk)) return
  sk.sk_forward_alloc += size
  sk_mem_reclaim(sk)
  if (tracer.on) traceCounters(sk)
})

export const sk_stream_moderate_sndbuf = kfunc('sk_stream_moderate_sndbuf', (sk: sock): void => {
  if (sk.sk_userlocks & C.SOCK_SNDBUF_LOCK) return
  const val = Math.max(Math.min(sk.sk_sndbuf, sk.sk_wmem_queued >> 1), sk_unused_reserved_mem(sk))
  sk.sk_sndbuf = Math.max(val, C.SOCK_MIN_SNDBUF)
})

export const __sk_stream_memory_free = kfunc('__sk_stream_memory_free', (sk: sock, wake: number): boolean => {
  if (sk.sk_wmem_queued >= sk.sk_sndbuf) return false
  const { stream_memory_free } = sk.skc_prot
  if (stream_memory_free === undefined) return true
  if (tracer.on) traceIndirect('sk->sk_prot->stream_memory_free', nameOf(stream_memory_free))
  return stream_memory_free(sk, wake)
})

export const sk_stream_memory_free = kfunc('sk_stream_memory_free', (sk: sock): boolean => __sk_stream_memory_free(sk, 0))

export const __sk_stream_is_writeable = kfunc(
  '__sk_stream_is_writeable',
  (sk: sock, wake: number): boolean => sk_stream_wspace(sk) >= sk_stream_min_wspace(sk) && __sk_stream_memory_free(sk, wake),
)

export const sk_page_frag = kfunc('sk_page_frag', (sk: sock): page_frag => {
  if (sk.sk_use_task_frag) return current.task_frag
  return (sk.sk_frag ??= new page_frag())
})

export const sk_enter_memory_pressure = kfunc('sk_enter_memory_pressure', (sk: sock): void => {
  const { enter_memory_pressure } = sk.skc_prot
  if (enter_memory_pressure === undefined) return
  if (tracer.on) traceIndirect('sk->sk_prot->enter_memory_pressure', nameOf(enter_memory_pressure))
  enter_memory_pressure(sk)
})

export const sk_leave_memory_pressure = kfunc('sk_leave_memory_pressure', (sk: sock): void => {
  const prot = sk.skc_prot
  if (prot.leave_memory_pressure) {
    if (tracer.on) traceIndirect('sk->sk_prot->leave_memory_pressure', nameOf(prot.leave_memory_pressure))
    prot.leave_memory_pressure(sk)
  } else if (prot.memory_pressure && prot.memory_pressure.v !== 0) prot.memory_pressure.v = 0
})

/** Whether `pfrag` has room for `sz` bytes, after getting a new page (32 KiB when there is one) where it must. */
export const skb_page_frag_refill = kfunc('skb_page_frag_refill', (sz: number, pfrag: page_frag, gfp: number): boolean => {
  if (pfrag.page !== null) {
    if (page_ref_count(pfrag.page) === 1) {
      pfrag.offset = 0
      return true
    }
    if (pfrag.offset + sz <= pfrag.size) return true
    put_page(pfrag.page)
  }
  pfrag.offset = 0
  pfrag.page = alloc_pages((gfp & ~__GFP_DIRECT_RECLAIM) | __GFP_COMP | __GFP_NOWARN | __GFP_NORETRY, SKB_FRAG_PAGE_ORDER)
  pfrag.size = PAGE_SIZE << SKB_FRAG_PAGE_ORDER
  return true
})

export const sk_page_frag_refill = kfunc('sk_page_frag_refill', (sk: sock, pfrag: page_frag): boolean => {
  if (skb_page_frag_refill(32, pfrag, sk.sk_allocation)) return true
  sk_enter_memory_pressure(sk)
  sk_stream_moderate_sndbuf(sk)
  return false
})

/** Takes `amt` pages of the protocol's budget; 1 when the socket may have them, 0 when not. */
export const __sk_mem_raise_allocated = kfunc(
  '__sk_mem_raise_allocated',
  (sk: sock, size: number, amt: number, kind: number): number => {
    const prot = sk.skc_prot
    sk_memory_allocated_add(sk, amt)
    const allocated = sk_memory_allocated(sk)
    if (allocated <= sk_prot_mem_limits(sk, 0)) {
      sk_leave_memory_pressure(sk)
      return 1
    }
    if (allocated > sk_prot_mem_limits(sk, 1)) sk_enter_memory_pressure(sk)
    if (allocated <= sk_prot_mem_limits(sk, 2)) {
      // every socket gets its minimum under pressure
      if (kind === C.SK_MEM_RECV) {
        if (sk.sk_rmem_alloc < sk_get_rmem0(sk, prot)) return 1
      } else {
        const wmem0 = sk_get_wmem0(sk, prot)
        if (sk.sk_type === C.SOCK_STREAM) {
          if (sk.sk_wmem_queued < wmem0) return 1
        } else if (sk.sk_wmem_alloc < wmem0) return 1
      }
      if (sk_has_memory_pressure(sk)) {
        if (!sk_under_global_memory_pressure(sk)) return 1
        const alloc = sk_sockets_allocated_read_positive(sk)
        if (sk_prot_mem_limits(sk, 2) > alloc * sk_mem_pages(sk.sk_wmem_queued + sk.sk_rmem_alloc + sk.sk_forward_alloc)) return 1
      }
    }
    if (tracer.on)
      decide('__sk_mem_raise_allocated', 'over the limit of the protocol', { allocated, limit: sk_prot_mem_limits(sk, 2), amt })
    if (kind === C.SK_MEM_SEND && sk.sk_type === C.SOCK_STREAM) {
      sk_stream_moderate_sndbuf(sk)
      // a socket that is under its own limit could not wait: it has to fail
      if (sk.sk_wmem_queued + size >= sk.sk_sndbuf) return 1
    }
    if (tracer.on)
      tracepoint('sock', 'sock_exceed_buf_limit', {
        name: prot.name,
        sysctl_mem: ([0, 1, 2] as const).map((i) => sk_prot_mem_limits(sk, i)).join(','),
        allocated,
        sysctl_rmem: sk_get_rmem0(sk, prot),
        rmem_alloc: sk.sk_rmem_alloc,
        sysctl_wmem: sk_get_wmem0(sk, prot),
        wmem_alloc: sk.sk_wmem_alloc,
        wmem_queued: sk.sk_wmem_queued,
        kind,
      })
    sk_memory_allocated_sub(sk, amt)
    return 0
  },
)

export const __sk_mem_schedule = kfunc('__sk_mem_schedule', (sk: sock, size: number, kind: number): number => {
  const amt = sk_mem_pages(size)
  sk.sk_forward_alloc += amt << PAGE_SHIFT
  const ret = __sk_mem_raise_allocated(sk, size, amt, kind)
  if (ret === 0) sk.sk_forward_alloc -= amt << PAGE_SHIFT
  return ret
})

export const __sk_mem_reduce_allocated = kfunc('__sk_mem_reduce_allocated', (sk: sock, amount: number): void => {
  sk_memory_allocated_sub(sk, amount)
  if (sk_under_global_memory_pressure(sk) && sk_memory_allocated(sk) < sk_prot_mem_limits(sk, 0)) sk_leave_memory_pressure(sk)
})

/** @param amount bytes; what is no whole page stays with the socket */
export const __sk_mem_reclaim = kfunc('__sk_mem_reclaim', (sk: sock, amount: number): void => {
  const pages = amount >> PAGE_SHIFT
  sk.sk_forward_alloc -= pages << PAGE_SHIFT
  __sk_mem_reduce_allocated(sk, pages)
})

export const sk_set_peek_off = kfunc('sk_set_peek_off', (sk: sock, val: number): number => {
  sk.sk_peek_off = val
  return 0
})
export const sk_peek_offset = (sk: sock, flags: number): number => (flags & C.MSG_PEEK ? sk.sk_peek_off : 0)
export const sk_peek_offset_bwd = (sk: sock, val: number): void => {
  const off = sk.sk_peek_off
  if (off >= 0) sk.sk_peek_off = Math.max(off - val, 0)
}
export const sk_peek_offset_fwd = (sk: sock, val: number): void => sk_peek_offset_bwd(sk, -val)

// ---- the lock and the backlog

export const lock_sock_nested = kfunc('lock_sock_nested', (sk: sock, _subclass: number): void => {
  spin_lock_bh(sk.sk_lock.slock)
  if (sk.sk_lock.owned) __lock_sock(sk)
  sk.sk_lock.owned = 1
  spin_unlock_bh(sk.sk_lock.slock)
})

export const lock_sock = kfunc('lock_sock', (sk: sock): void => lock_sock_nested(sk, 0))

export const __lock_sock = kfunc('__lock_sock', (sk: sock): void => {
  const wait = new wait_queue_entry(current, autoremove_wake_function)
  for (;;) {
    prepare_to_wait_exclusive(sk.sk_lock.wq, wait, TASK_UNINTERRUPTIBLE)
    spin_unlock_bh(sk.sk_lock.slock)
    schedule()
    spin_lock_bh(sk.sk_lock.slock)
    if (!sk.sk_lock.owned) break
  }
  finish_wait(sk.sk_lock.wq, wait)
})

export const __release_sock = kfunc('__release_sock', (sk: sock): void => {
  const { sk_backlog } = sk
  let nb = 0
  for (let skb = sk_backlog.head; skb !== null; skb = sk_backlog.head) {
    sk_backlog.head = null
    sk_backlog.tail = null
    spin_unlock_bh(sk.sk_lock.slock)
    for (let next: sk_buff | null = skb; next !== null; ) {
      const one: sk_buff = next
      next = one.next
      one.next = null
      sk_backlog_rcv(sk, one)
      if (next !== null && (++nb & 15) === 0) cond_resched()
    }
    spin_lock_bh(sk.sk_lock.slock)
  }
  sk_backlog.len = 0
})

const release_cb = (sk: sock): void => {
  const cb = sk.skc_prot.release_cb
  if (cb === undefined) return
  if (tracer.on) traceIndirect('sk->sk_prot->release_cb', nameOf(cb))
  cb(sk)
}

export const __sk_flush_backlog = kfunc('__sk_flush_backlog', (sk: sock): void => {
  spin_lock_bh(sk.sk_lock.slock)
  __release_sock(sk)
  release_cb(sk)
  spin_unlock_bh(sk.sk_lock.slock)
})

export const sk_flush_backlog = kfunc('sk_flush_backlog', (sk: sock): boolean => {
  if (sk.sk_backlog.tail === null) return false
  __sk_flush_backlog(sk)
  return true
})

export const sock_release_ownership = kfunc('sock_release_ownership', (sk: sock): void => {
  sk.sk_lock.owned = 0
})

export const release_sock = kfunc('release_sock', (sk: sock): void => {
  spin_lock_bh(sk.sk_lock.slock)
  if (sk.sk_backlog.tail !== null) __release_sock(sk)
  release_cb(sk)
  sock_release_ownership(sk)
  if (waitqueue_active(sk.sk_lock.wq)) wake_up(sk.sk_lock.wq)
  spin_unlock_bh(sk.sk_lock.slock)
})

/** false: the spin lock is held and bottom halves are off; true: the socket is owned as by lock_sock() */
export const __lock_sock_fast = kfunc('__lock_sock_fast', (sk: sock): boolean => {
  spin_lock_bh(sk.sk_lock.slock)
  if (!sk.sk_lock.owned) return false
  __lock_sock(sk)
  sk.sk_lock.owned = 1
  spin_unlock_bh(sk.sk_lock.slock)
  return true
})
export const lock_sock_fast = kfunc('lock_sock_fast', (sk: sock): boolean => __lock_sock_fast(sk))
export const unlock_sock_fast = kfunc('unlock_sock_fast', (sk: sock, slow: boolean): void => {
  if (slow) release_sock(sk)
  else spin_unlock_bh(sk.sk_lock.slock)
})

export const sk_rcvqueues_full = (sk: sock, limit: number): boolean => sk.sk_backlog.len + sk.sk_rmem_alloc > limit

export const __sk_add_backlog = kfunc('__sk_add_backlog', (sk: sock, skb: sk_buff): void => {
  skb_dst_force(skb)
  const { sk_backlog } = sk
  if (sk_backlog.tail === null) sk_backlog.head = skb
  else sk_backlog.tail.next = skb
  sk_backlog.tail = skb
  skb.next = null
})

/** @param limit bytes, receive queue included */
export const sk_add_backlog = kfunc('sk_add_backlog', (sk: sock, skb: sk_buff, limit: number): number => {
  if (sk_rcvqueues_full(sk, limit)) return -E.ENOBUFS
  if (skb.pfmemalloc !== 0 && !sock_flag(sk, C.SOCK_MEMALLOC)) return -E.ENOMEM
  __sk_add_backlog(sk, skb)
  sk.sk_backlog.len += skb.truesize
  return 0
})

export const sk_backlog_rcv = kfunc('sk_backlog_rcv', (sk: sock, skb: sk_buff): number => {
  if (tracer.on) traceIndirect('sk->sk_backlog_rcv', nameOf(sk.sk_backlog_rcv))
  return sk.sk_backlog_rcv(sk, skb)
})

/**
 * include/net/sock.h sk_wait_event: unlocks, sleeps on `wait` unless `condition` holds by then, and locks again.
 * @returns the condition, or -EPIPE when the socket was disconnected meanwhile
 */
export function sk_wait_event(sk: sock, timeo: ref<number>, condition: () => boolean, wait: wait_queue_entry): number {
  const disconnects = sk.sk_disconnects
  release_sock(sk)
  if (!condition()) timeo.v = wait_woken(wait, TASK_INTERRUPTIBLE, timeo.v)
  lock_sock(sk)
  if (disconnects !== sk.sk_disconnects) return -E.EPIPE
  return condition() ? 1 : 0
}

/** @param skb the last buffer that was seen on the receive queue */
export const sk_wait_data = kfunc('sk_wait_data', (sk: sock, timeo: ref<number>, skb: sk_buff | null): number => {
  const wait = new wait_queue_entry(current, woken_wake_function)
  add_wait_queue(sk_sleep(sk), wait)
  sk_set_bit(C.SOCKWQ_ASYNC_WAITDATA, sk)
  const rc = sk_wait_event(sk, timeo, () => skb_peek_tail(sk.sk_receive_queue) !== skb, wait)
  sk_clear_bit(C.SOCKWQ_ASYNC_WAITDATA, sk)
  remove_wait_queue(sk_sleep(sk), wait)
  return rc
})

// ---- allocation

const sock_lock_init = kfunc('sock_lock_init', (sk: sock): void => {
  sk.sk_lock.owned = 0
  init_waitqueue_head(sk.sk_lock.wq)
  sk.sk_lock.slock.locked = 0
})

const sk_prot_alloc = kfunc('sk_prot_alloc', (prot: proto, priority: number, family: number): sock | null => {
  const slab = prot.slab as kmem_cache | null | undefined
  if (slab) kmem_cache_alloc(slab, priority & ~__GFP_ZERO)
  else __kmalloc_noprof(prot.obj_size, priority)
  const sk = prot.alloc()
  if (security_sk_alloc(sk, family, priority) !== 0) {
    if (slab) kmem_cache_free(slab, sk)
    else kfree(sk)
    return null
  }
  if (!try_module_get(null)) return null
  sk.id = next_sock_id++
  sk.kaddr = 0xffff888003000000 + sk.id * 4096
  return sk
})

const sk_prot_free = kfunc('sk_prot_free', (prot: proto, sk: sock): void => {
  const slab = prot.slab as kmem_cache | null | undefined
  cgroup_sk_free(sk)
  mem_cgroup_sk_free(sk)
  security_sk_free(sk)
  if (slab) kmem_cache_free(slab, sk)
  else kfree(sk)
  module_put(null)
})

/** net_cls and net_prio cgroups: there are none, looking that up takes the lock all the same */
const task_cls_classid = kfunc('task_cls_classid', (_p: task_struct): number => {
  if (in_interrupt()) return 0
  rcu_read_lock()
  rcu_read_unlock()
  return 0
})
const task_netprioidx = kfunc('task_netprioidx', (_p: task_struct): number => {
  rcu_read_lock()
  rcu_read_unlock()
  return 0
})
export const sock_update_classid = kfunc('sock_update_classid', (_skcd: unknown): void => {
  task_cls_classid(current)
})
export const sock_update_netprioidx = kfunc('sock_update_netprioidx', (_skcd: unknown): void => {
  task_netprioidx(current)
})

/** a socket that came with a message now belongs to the receiver's control groups */
export const __receive_sock = kfunc('__receive_sock', (file: file): void => {
  const sk = sock_from_file(file)?.sk
  if (!sk) return
  sock_update_netprioidx(sk.sk_cgrp_data)
  sock_update_classid(sk.sk_cgrp_data)
})

export const sk_alloc = kfunc('sk_alloc', (n: net, family: number, priority: number, prot: proto, kern: number): sock | null => {
  const sk = sk_prot_alloc(prot, priority | __GFP_ZERO, family)
  if (sk === null) return null
  sk.skc_family = family
  sk.skc_prot = prot
  sk.sk_prot_creator = prot
  sk.sk_kern_sock = kern
  sock_lock_init(sk)
  sk.skc_net_refcnt = kern ? 0 : 1
  if (sk.skc_net_refcnt) {
    n.ns.count++
    sock_inuse_add(n, 1)
  }
  sk.skc_net = n
  sk.sk_wmem_alloc = 1
  mem_cgroup_sk_alloc(sk)
  cgroup_sk_alloc(sk)
  sock_update_classid(sk.sk_cgrp_data)
  sock_update_netprioidx(sk.sk_cgrp_data)
  sk_tx_queue_clear(sk)
  return sk
})

const __sk_destruct = kfunc('__sk_destruct', (sk: sock): void => {
  const n = sk.skc_net
  if (sk.sk_destruct !== null) {
    if (tracer.on) traceIndirect('sk->sk_destruct', nameOf(sk.sk_destruct))
    sk.sk_destruct(sk)
  }
  sk.sk_filter = null
  sock_disable_timestamp(sk, C.SK_FLAGS_TIMESTAMP)
  bpf_sk_storage_free(sk)
  const frag = sk.sk_frag as page_frag | undefined
  if (frag?.page) {
    put_page(frag.page)
    frag.page = null
  }
  sk.sk_peer_cred = null
  put_pid(sk.sk_peer_pid as pid | null)
  sk.sk_peer_pid = null
  if (sk.skc_net_refcnt) put_net(n)
  sk_prot_free(sk.sk_prot_creator, sk)
})

export const sk_destruct = kfunc('sk_destruct', (sk: sock): void => {
  if (sock_flag(sk, C.SOCK_RCU_FREE) || sk.sk_reuseport_cb !== null) call_rcu(sk, __sk_destruct)
  else __sk_destruct(sk)
})

export const __sk_free = kfunc('__sk_free', (sk: sock): void => {
  if (sk.skc_net_refcnt) sock_inuse_add(sk.skc_net, -1)
  if (sk.skc_net_refcnt && sock_diag_has_destroy_listeners(sk)) sock_diag_broadcast_destroy(sk)
  else sk_destruct(sk)
})

/** sk_wmem_alloc counts one for the socket itself: buffers on their way keep it alive */
export const sk_free = kfunc('sk_free', (sk: sock): void => {
  if (--sk.sk_wmem_alloc === 0) __sk_free(sk)
})

const sk_init_common = kfunc('sk_init_common', (sk: sock): void => {
  skb_queue_head_clear(sk.sk_receive_queue)
  skb_queue_head_clear(sk.sk_write_queue)
  skb_queue_head_clear(sk.sk_error_queue)
})

function skb_queue_head_clear(q: sk_buff_head): void {
  q.first = null
  q.last = null
  q.qlen = 0
}

/** between sk_dontcopy_begin and sk_dontcopy_end in Linux, and what names the object itself */
const dontcopy = new Set([
  'skc_node',
  'skc_nulls_next',
  'skc_nulls_prev',
  'skc_tx_queue_mapping',
  'skc_rx_queue_mapping',
  'skc_incoming_cpu',
  'skc_rcv_wnd',
  'skc_tw_rcv_nxt',
  'skc_refcnt',
  'sk_security',
  'id',
  'kaddr',
])

type Fields = Record<string, unknown>

/**
 * memcpy() of a struct: numbers and pointers as they are; what lies inside the struct by value, except for locks, lists and
 * timers, which their owner sets up again.
 */
function copy_struct(to: Fields, from: Fields, skip: ReadonlySet<string> | null): void {
  for (const key of Object.keys(from)) {
    if (skip?.has(key)) continue
    const v = from[key]
    if (typeof v !== 'object' || v === null) {
      to[key] = v
      continue
    }
    if (v instanceof spinlock_t || v instanceof list_head || v instanceof wait_queue_head || v instanceof sk_buff_head) continue
    if (v instanceof timer_list) to[key] = new timer_list(to)
    else if (v instanceof hrtimer) to[key] = new hrtimer(to)
    else if (v instanceof rb_root) to[key] = new rb_root()
    else if (v instanceof page_frag) to[key] = new page_frag()
    else {
      const inside = to[key]
      if (Array.isArray(v) && Array.isArray(inside))
        to[key] = v.map((x) => (typeof x === 'object' && x !== null && !('destructor' in x) ? { ...x } : x))
      else if (typeof inside === 'object' && inside !== null) copy_struct(inside as Fields, v as Fields, null)
      else to[key] = v
    }
  }
}

const sock_copy = kfunc('sock_copy', (nsk: sock, osk: sock): void => {
  copy_struct(nsk as unknown as Fields, osk as unknown as Fields, dontcopy)
  // these lie in struct sock itself
  nsk.skc_v6_daddr = osk.skc_v6_daddr?.slice() ?? null
  nsk.skc_v6_rcv_saddr = osk.skc_v6_rcv_saddr?.slice() ?? null
  security_sk_clone(osk, nsk)
})

/** The copy is locked: whoever calls must bh_unlock_sock() it. */
export const sk_clone_lock = kfunc('sk_clone_lock', (sk: sock, priority: number): sock | null => {
  const prot = sk.skc_prot
  const newsk = sk_prot_alloc(prot, priority, sk.skc_family)
  if (newsk === null) return null
  sock_copy(newsk, sk)
  newsk.sk_prot_creator = prot
  if (newsk.skc_net_refcnt) {
    newsk.skc_net.ns.count++
    sock_inuse_add(newsk.skc_net, 1)
  }
  sk_node_init(newsk)
  sock_lock_init(newsk)
  bh_lock_sock(newsk)
  newsk.sk_backlog.head = null
  newsk.sk_backlog.tail = null
  newsk.sk_backlog.len = 0
  newsk.sk_rmem_alloc = 0
  newsk.sk_wmem_alloc = 1
  newsk.sk_omem_alloc = 0
  sk_init_common(newsk)
  newsk.sk_dst_cache = null
  newsk.sk_dst_pending_confirm = 0
  newsk.sk_wmem_queued = 0
  newsk.sk_forward_alloc = 0
  newsk.sk_reserved_mem = 0
  newsk.sk_drops = 0
  newsk.sk_userlocks = sk.sk_userlocks & ~C.SOCK_BINDPORT_LOCK
  newsk.sk_zckey = 0
  sock_reset_flag(newsk, C.SOCK_DONE)
  newsk.sk_memcg = null
  cgroup_sk_clone(newsk)
  rcu_read_lock()
  newsk.sk_filter = sk.sk_filter
  rcu_read_unlock()
  if (xfrm_sk_clone_policy(newsk, sk) !== 0) {
    sk_free_unlock_clone(newsk)
    return null
  }
  newsk.sk_reuseport_cb = null
  if (bpf_sk_storage_clone(sk, newsk) !== 0) {
    sk_free_unlock_clone(newsk)
    return null
  }
  newsk.sk_err = 0
  newsk.sk_err_soft = 0
  newsk.sk_priority = 0
  newsk.skc_incoming_cpu = 0
  newsk.skc_refcnt = 2
  sk_set_socket(newsk, null)
  sk_tx_queue_clear(newsk)
  newsk.sk_wq = null
  if (newsk.skc_prot.sockets_allocated) sk_sockets_allocated_inc(newsk)
  if (sock_needs_netstamp(sk) && newsk.skc_flags & C.SK_FLAGS_TIMESTAMP) net_enable_timestamp()
  return newsk
})

export const sk_free_unlock_clone = kfunc('sk_free_unlock_clone', (sk: sock): void => {
  sk.sk_destruct = null
  bh_unlock_sock(sk)
  sk_free(sk)
})

// ---- routes

export const __sk_dst_get = (sk: sock): dst_entry | null => sk.sk_dst_cache

export const sk_dst_get = kfunc('sk_dst_get', (sk: sock): dst_entry | null => {
  rcu_read_lock()
  const dst = sk.sk_dst_cache
  if (dst !== null) dst.__rcuref++
  rcu_read_unlock()
  return dst
})

export const __sk_dst_set = kfunc('__sk_dst_set', (sk: sock, dst: dst_entry | null): void => {
  sk_tx_queue_clear(sk)
  sk.sk_dst_pending_confirm = 0
  const old_dst = sk.sk_dst_cache
  sk.sk_dst_cache = dst
  dst_release(old_dst)
})

export const sk_dst_set = kfunc('sk_dst_set', (sk: sock, dst: dst_entry | null): void => {
  sk_tx_queue_clear(sk)
  sk.sk_dst_pending_confirm = 0
  const old_dst = sk.sk_dst_cache
  sk.sk_dst_cache = dst
  dst_release(old_dst)
})

export const __sk_dst_reset = kfunc('__sk_dst_reset', (sk: sock): void => __sk_dst_set(sk, null))
export const sk_dst_reset = kfunc('sk_dst_reset', (sk: sock): void => sk_dst_set(sk, null))
export const sk_dst_confirm = (sk: sock): void => {
  if (!sk.sk_dst_pending_confirm) sk.sk_dst_pending_confirm = 1
}

const still_good = (dst: dst_entry, cookie: number): boolean => {
  const { check } = dst.ops
  if (check === undefined) return true
  if (tracer.on) traceIndirect('dst->ops->check', nameOf(check))
  return check(dst, cookie) !== null
}

export const __sk_dst_check = kfunc('__sk_dst_check', (sk: sock, cookie: number): dst_entry | null => {
  const dst = sk.sk_dst_cache
  if (dst?.obsolete && !still_good(dst, cookie)) {
    sk_tx_queue_clear(sk)
    sk.sk_dst_pending_confirm = 0
    sk.sk_dst_cache = null
    dst_release(dst)
    return null
  }
  return dst
})

export const sk_dst_check = kfunc('sk_dst_check', (sk: sock, cookie: number): dst_entry | null => {
  const dst = sk_dst_get(sk)
  if (dst?.obsolete && !still_good(dst, cookie)) {
    sk_dst_reset(sk)
    dst_release(dst)
    return null
  }
  return dst
})

export const __dst_negative_advice = kfunc('__dst_negative_advice', (sk: sock): void => {
  const dst = sk.sk_dst_cache
  const negative_advice = dst?.ops.negative_advice
  if (!dst || !negative_advice) return
  if (tracer.on) traceIndirect('dst->ops->negative_advice', nameOf(negative_advice))
  negative_advice(sk, dst)
})
export const dst_negative_advice = kfunc('dst_negative_advice', (sk: sock): void => {
  sk_rethink_txhash(sk)
  __dst_negative_advice(sk)
})

export const net_tx_rndhash = kfunc('net_tx_rndhash', (): number => get_random_u32() || 1)
export const sk_set_txhash = kfunc('sk_set_txhash', (sk: sock): void => {
  sk.sk_txhash = net_tx_rndhash()
})
export const sk_rethink_txhash = kfunc('sk_rethink_txhash', (sk: sock): boolean => {
  if (sk.sk_txhash && sk.sk_txrehash === C.SOCK_TXREHASH_ENABLED) {
    sk_set_txhash(sk)
    return true
  }
  return false
})

export const sock_confirm_neigh = kfunc('sock_confirm_neigh', (skb: sk_buff, n: neighbour): void => {
  if (!skb.dst_pending_confirm) return
  const { sk } = skb
  if (sk?.sk_dst_pending_confirm) sk.sk_dst_pending_confirm = 0
  neigh_confirm(n)
})

/** include/linux/netdevice.h net_gso_ok: may packets of this kind be handed down whole? */
export const net_gso_ok = (features: bigint, gso_type: number): boolean => {
  const feature = BigInt(gso_type) << BigInt(C.NETIF_F_GSO_SHIFT)
  return (features & feature) === feature
}
export const sk_can_gso = (sk: sock): boolean => net_gso_ok(sk.sk_route_caps, sk.sk_gso_type)

const sk_dst_gso_max_size = kfunc('sk_dst_gso_max_size', (sk: sock, dev: net_device): number => {
  let max_size = sk.skc_family === S.AF_INET6 ? dev.gso_max_size : dev.gso_ipv4_max_size
  if (max_size > C.GSO_LEGACY_MAX_SIZE && !sk_is_tcp(sk)) max_size = C.GSO_LEGACY_MAX_SIZE
  return max_size - (C.MAX_TCP_HEADER + 1)
})

/** Finds out what the device behind `dst` can do for this socket, and caches the route. */
export const sk_setup_caps = kfunc('sk_setup_caps', (sk: sock, dst: dst_entry): void => {
  let max_segs = 1
  rcu_read_lock()
  const dev = dst.dev as net_device
  let caps = dev.features
  if (sk_is_tcp(sk)) {
    caps |= NETIF_F_GSO
    inet_csk(sk).icsk_ack.dst_quick_ack = dst_metric(dst, RTAX_QUICKACK)
  }
  if (caps & NETIF_F_GSO) caps |= NETIF_F_GSO_SOFTWARE
  if (sk.sk_gso_disabled) caps &= ~NETIF_F_GSO_MASK
  sk.sk_route_caps = caps
  if (sk_can_gso(sk)) {
    if (dst.header_len) sk.sk_route_caps &= ~NETIF_F_GSO_MASK
    else {
      sk.sk_route_caps |= NETIF_F_SG | NETIF_F_HW_CSUM
      sk.sk_gso_max_size = sk_dst_gso_max_size(sk, dev)
      max_segs = Math.max(dev.gso_max_segs, 1)
    }
  }
  sk.sk_gso_max_segs = max_segs
  sk_dst_set(sk, dst)
  rcu_read_unlock()
})

export const sk_mc_loop = kfunc('sk_mc_loop', (sk: sock | null): boolean => {
  if (dev_recursion_level()) return false
  if (sk === null) return true
  return inet_test_bit(sk.skc_family === S.AF_INET ? INET_FLAGS_MC_LOOP : INET_FLAGS_MC6_LOOP, sk)
})

// ---- who owns a buffer

const sock_def_write_space_wfree = kfunc('sock_def_write_space_wfree', (sk: sock): void => {
  if (!sock_writeable(sk)) return
  const wq = sk.sk_wq
  if (wq !== null && waitqueue_active(wq.wait)) wake_up_interruptible_sync_poll(wq.wait, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND)
  sk_wake_async_rcu(sk, SOCK_WAKE_SPACE, POLL_OUT)
})

export const sock_wfree = kfunc('sock_wfree', (skb: sk_buff): void => {
  const sk = skb.sk as sock
  let len = skb.truesize
  if (!sock_flag(sk, C.SOCK_USE_WRITE_QUEUE)) {
    const { sk_write_space } = sk
    if (sock_flag(sk, C.SOCK_RCU_FREE) && sk_write_space === sock_def_write_space) {
      rcu_read_lock()
      sk.sk_wmem_alloc -= len
      const free = sk.sk_wmem_alloc === 0
      sock_def_write_space_wfree(sk)
      rcu_read_unlock()
      if (free) __sk_free(sk)
      return
    }
    // one stays until the callback has run
    sk.sk_wmem_alloc -= len - 1
    if (tracer.on) traceIndirect('sk->sk_write_space', nameOf(sk_write_space))
    sk_write_space(sk)
    len = 1
  }
  sk.sk_wmem_alloc -= len
  if (sk.sk_wmem_alloc === 0) __sk_free(sk)
})

export const __sock_wfree = kfunc('__sock_wfree', (skb: sk_buff): void => {
  const sk = skb.sk as sock
  sk.sk_wmem_alloc -= skb.truesize
  if (sk.sk_wmem_alloc === 0) __sk_free(sk)
})

export const skb_set_hash_from_sk = kfunc('skb_set_hash_from_sk', (skb: sk_buff, sk: sock): void => {
  if (sk.sk_txhash) {
    skb.l4_hash = 1
    skb.hash = sk.sk_txhash
  }
})

/** what releases any kind of socket: net/ipv4/inet_hashtables.ts registers its sock_gen_put and sock_edemux */
let sock_gen_put: (sk: sock) => void = (sk) => sock_put(sk)
export let sock_edemux: (skb: sk_buff) => void = (skb) => sock_efree(skb)
export function register_sock_gen_put(put: (sk: sock) => void, edemux: (skb: sk_buff) => void): void {
  sock_gen_put = put
  sock_edemux = edemux
}

export const skb_set_owner_w = kfunc('skb_set_owner_w', (skb: sk_buff, sk: sock): void => {
  skb_orphan(skb)
  skb.sk = sk
  if (!sk_fullsock(sk)) {
    skb.destructor = sock_edemux
    sock_hold(sk)
    return
  }
  skb.destructor = sock_wfree
  skb_set_hash_from_sk(skb, sk)
  sk.sk_wmem_alloc += skb.truesize
})

export const sock_rfree = kfunc('sock_rfree', (skb: sk_buff): void => {
  const sk = skb.sk as sock
  const len = skb.truesize
  sk.sk_backlog.rmem_alloc -= len
  sk_mem_uncharge(sk, len)
})

export const sock_efree = kfunc('sock_efree', (skb: sk_buff): void => sock_put(skb.sk as sock))

/** for a socket that was looked up before it was needed and of which no reference may be held */
export const sock_pfree = kfunc('sock_pfree', (skb: sk_buff): void => {
  const sk = skb.sk as sock
  if (!sk_is_refcounted(sk)) return
  sock_gen_put(sk)
})

export const skb_set_owner_r = kfunc('skb_set_owner_r', (skb: sk_buff, sk: sock): void => {
  skb_orphan(skb)
  skb.sk = sk
  skb.destructor = sock_rfree
  sk.sk_backlog.rmem_alloc += skb.truesize
  sk_mem_charge(sk, skb.truesize)
})

export const skb_set_owner_sk_safe = kfunc('skb_set_owner_sk_safe', (skb: sk_buff, sk: sock | null): boolean => {
  if (sk === null || !refcount_inc_not_zero_sk(sk)) return false
  skb_orphan(skb)
  skb.destructor = sock_efree
  skb.sk = sk
  return true
})

export const skb_clone_and_charge_r = kfunc('skb_clone_and_charge_r', (skb: sk_buff, sk: sock): sk_buff | null => {
  const copy = skb_clone(skb, sk_gfp_mask(sk, GFP_ATOMIC))
  if (copy === null) return null
  if (sk_rmem_schedule(sk, copy, copy.truesize)) {
    skb_set_owner_r(copy, sk)
    return copy
  }
  __kfree_skb(copy)
  return null
})

/** TCP's own destructor; net/ipv4/tcp_output.ts registers it */
let tcp_wfree: ((skb: sk_buff) => void) | null = null
export function register_tcp_wfree(wfree: (skb: sk_buff) => void): void {
  tcp_wfree = wfree
}
/** is the buffer charged to a socket that sends it? */
export const is_skb_wmem = (skb: sk_buff): boolean =>
  skb.destructor !== null && (skb.destructor === sock_wfree || skb.destructor === __sock_wfree || skb.destructor === tcp_wfree)

export const skb_orphan_partial = kfunc('skb_orphan_partial', (skb: sk_buff): void => {
  // a pure ACK of TCP has a truesize of 2: it may as well keep its owner
  if (skb.truesize === 2) return
  const ours = skb.destructor !== null && (skb.destructor === sock_wfree || skb.destructor === tcp_wfree)
  if (!skb.decrypted && ours && skb_set_owner_sk_safe(skb, skb.sk)) return
  skb_orphan(skb)
})

export const sk_validate_xmit_skb = kfunc('sk_validate_xmit_skb', (skb: sk_buff, dev: net_device): sk_buff | null => {
  const { sk } = skb
  if (sk !== null && sk_fullsock(sk) && sk.sk_validate_xmit_skb !== null) return sk.sk_validate_xmit_skb(sk, dev, skb)
  if (skb.decrypted) {
    kfree_skb(skb)
    return null
  }
  return skb
})

export const sock_wmalloc = kfunc('sock_wmalloc', (sk: sock, size: number, force: number, priority: number): sk_buff | null => {
  if (!force && sk.sk_wmem_alloc >= sk.sk_sndbuf) return null
  const skb = alloc_skb(size, priority)
  if (skb !== null) skb_set_owner_w(skb, sk)
  return skb
})

const sock_ofree = kfunc('sock_ofree', (skb: sk_buff): void => {
  if (skb.sk !== null) skb.sk.sk_omem_alloc -= skb.truesize
})

/** SKB_TRUESIZE(x): what a buffer for x bytes is charged */
const SKB_TRUESIZE = (x: number): number => x + 256 + 320

export const sock_omalloc = kfunc('sock_omalloc', (sk: sock, size: number, priority: number): sk_buff | null => {
  if (sk.sk_omem_alloc + SKB_TRUESIZE(size) > sk.skc_net.core.sysctl_optmem_max) return null
  const skb = alloc_skb(size, priority)
  if (skb === null) return null
  sk.sk_omem_alloc += skb.truesize
  skb.sk = sk
  skb.destructor = sock_ofree
  return skb
})

/** Accounts `size` bytes of option memory; what is kept there is the caller's own object. @returns null when there is no more */
export const sock_kmalloc = kfunc('sock_kmalloc', (sk: sock, size: number, priority: number): unknown => {
  const optmem_max = sk.skc_net.core.sysctl_optmem_max
  if (size > optmem_max || sk.sk_omem_alloc + size >= optmem_max) return null
  sk.sk_omem_alloc += size
  return __kmalloc_noprof(size, priority)
})

const __sock_kfree_s = kfunc('__sock_kfree_s', (sk: sock, mem: unknown, size: number, _nullify: boolean): void => {
  kfree(mem)
  sk.sk_omem_alloc -= size
})
export const sock_kfree_s = kfunc('sock_kfree_s', (sk: sock, mem: unknown, size: number): void =>
  __sock_kfree_s(sk, mem, size, false),
)

const sock_wait_for_wmem = kfunc('sock_wait_for_wmem', (sk: sock, timeo: number): number => {
  const wait = new wait_queue_entry(current, autoremove_wake_function)
  let left = timeo
  sk_clear_bit(C.SOCKWQ_ASYNC_NOSPACE, sk)
  while (left !== 0) {
    if (signal_pending(current)) break
    set_nospace(sk)
    prepare_to_wait(sk_sleep(sk), wait, TASK_INTERRUPTIBLE)
    if (sk.sk_wmem_alloc < sk.sk_sndbuf) break
    if (sk.sk_shutdown & SEND_SHUTDOWN) break
    if (sk.sk_err) break
    left = schedule_timeout(left)
  }
  finish_wait(sk_sleep(sk), wait)
  return left
})

/** A buffer with room for `header_len` bytes and pages for `data_len`, charged to the socket; waits for room unless `noblock`. */
export const sock_alloc_send_pskb = kfunc(
  'sock_alloc_send_pskb',
  (
    sk: sock,
    header_len: number,
    data_len: number,
    noblock: number,
    errcode: ref<number>,
    max_page_order: number,
  ): sk_buff | null => {
    let timeo = sock_sndtimeo(sk, noblock)
    for (;;) {
      const err = sock_error(sk)
      if (err !== 0) {
        errcode.v = err
        return null
      }
      if (sk.sk_shutdown & SEND_SHUTDOWN) {
        errcode.v = -E.EPIPE
        return null
      }
      if (sk_wmem_alloc_get(sk) < sk.sk_sndbuf) break
      sk_set_bit(C.SOCKWQ_ASYNC_NOSPACE, sk)
      set_nospace(sk)
      if (tracer.on)
        decide('sock_alloc_send_pskb', timeo ? 'wait: the send buffer is full' : 'refuse: the send buffer is full', {
          wmem_alloc: sk_wmem_alloc_get(sk),
          sndbuf: sk.sk_sndbuf,
        })
      if (timeo === 0) {
        errcode.v = -E.EAGAIN
        return null
      }
      if (signal_pending(current)) {
        errcode.v = sock_intr_errno(timeo)
        return null
      }
      timeo = sock_wait_for_wmem(sk, timeo)
    }
    const skb = alloc_skb_with_frags(header_len, data_len, max_page_order, errcode, sk.sk_allocation)
    if (skb !== null) skb_set_owner_w(skb, sk)
    return skb
  },
)

export const sock_alloc_send_skb = kfunc(
  'sock_alloc_send_skb',
  (sk: sock, size: number, noblock: number, errcode: ref<number>): sk_buff | null =>
    sock_alloc_send_pskb(sk, size, 0, noblock, errcode, 0),
)

// ---- receive queue

export const __sock_queue_rcv_skb = kfunc('__sock_queue_rcv_skb', (sk: sock, skb: sk_buff): number => {
  const list = sk.sk_receive_queue
  if (sk.sk_rmem_alloc >= sk.sk_rcvbuf) {
    sk.sk_drops++
    if (tracer.on)
      tracepoint('sock', 'sock_rcvqueue_full', { rmem_alloc: sk.sk_rmem_alloc, truesize: skb.truesize, sk_rcvbuf: sk.sk_rcvbuf })
    return -E.ENOMEM
  }
  if (!sk_rmem_schedule(sk, skb, skb.truesize)) {
    sk.sk_drops++
    return -E.ENOBUFS
  }
  skb.dev = null
  skb_set_owner_r(skb, sk)
  skb_dst_force(skb)
  const flags = spin_lock_irqsave(list.lock)
  sock_skb_set_dropcount(sk, skb)
  __skb_queue_tail(list, skb)
  spin_unlock_irqrestore(list.lock, flags)
  if (!sock_flag(sk, C.SOCK_DEAD)) {
    if (tracer.on) traceIndirect('sk->sk_data_ready', nameOf(sk.sk_data_ready))
    sk.sk_data_ready(sk)
  }
  return 0
})

export const sock_queue_rcv_skb_reason = kfunc(
  'sock_queue_rcv_skb_reason',
  (sk: sock, skb: sk_buff, reason: ref<number> | null): number => {
    let err = sk_filter(sk, skb)
    let drop_reason = C.SKB_DROP_REASON_SOCKET_FILTER as number
    if (err === 0) {
      err = __sock_queue_rcv_skb(sk, skb)
      if (err === -E.ENOMEM) drop_reason = C.SKB_DROP_REASON_SOCKET_RCVBUFF
      else if (err === -E.ENOBUFS) drop_reason = C.SKB_DROP_REASON_PROTO_MEM
      else drop_reason = 0
    }
    if (reason !== null) reason.v = drop_reason
    return err
  },
)
export const sock_queue_rcv_skb = kfunc('sock_queue_rcv_skb', (sk: sock, skb: sk_buff): number =>
  sock_queue_rcv_skb_reason(sk, skb, null),
)

export const __sk_receive_skb = kfunc(
  '__sk_receive_skb',
  (sk: sock, skb: sk_buff, nested: number, trim_cap: number, refcounted: boolean): number => {
    let rc: number = C.NET_RX_SUCCESS
    let discard = sk_filter_trim_cap(sk, skb, trim_cap) !== 0
    if (!discard) {
      skb.dev = null
      if (sk_rcvqueues_full(sk, sk.sk_rcvbuf)) {
        sk.sk_drops++
        discard = true
      }
    }
    if (!discard) {
      if (nested) bh_lock_sock_nested(sk)
      else bh_lock_sock(sk)
      if (!sock_owned_by_user(sk)) rc = sk_backlog_rcv(sk, skb)
      else if (sk_add_backlog(sk, skb, sk.sk_rcvbuf) !== 0) {
        bh_unlock_sock(sk)
        sk.sk_drops++
        discard = true
      }
      if (!discard) bh_unlock_sock(sk)
    }
    if (discard) kfree_skb(skb)
    if (refcounted) sock_put(sk)
    return rc
  },
)

// ---- copying user data into a buffer

export const skb_do_copy_data_nocache = kfunc(
  'skb_do_copy_data_nocache',
  (sk: sock, skb: sk_buff, from: iov_iter, to: Uint8Array, to_off: number, copy: number, offset: number): number => {
    if (skb.ip_summed === CHECKSUM_NONE) {
      const csum: ref<number> = { v: 0 }
      if (!csum_and_copy_from_iter_full(to.subarray(to_off, to_off + copy), copy, csum, from)) return -E.EFAULT
      skb.csum = csum_block_add(skb.csum, csum.v, offset)
    } else if (sk.sk_route_caps & NETIF_F_NOCACHE_COPY) {
      if (!copy_from_iter_full_nocache(to.subarray(to_off, to_off + copy), copy, from)) return -E.EFAULT
    } else if (!copy_from_iter_full(to.subarray(to_off, to_off + copy), copy, from)) return -E.EFAULT
    return 0
  },
)

export const skb_copy_to_page_nocache = kfunc(
  'skb_copy_to_page_nocache',
  (sk: sock, from: iov_iter, skb: sk_buff, page: { bytes: Uint8Array }, off: number, copy: number): number => {
    const err = skb_do_copy_data_nocache(sk, skb, from, page.bytes, off, copy, skb.len)
    if (err !== 0) return err
    skb_len_add(skb, copy)
    sk_wmem_queued_add(sk, copy)
    sk_mem_charge(sk, copy)
    return 0
  },
)

// ---- callbacks

const skwq_has_sleeper = (wq: socket_wq | null): wq is socket_wq => wq !== null && wq_has_sleeper(wq.wait)

export const sk_wake_async = kfunc('sk_wake_async', (sk: sock, how: number, band: number): void => {
  if (!sock_flag(sk, C.SOCK_FASYNC)) return
  rcu_read_lock()
  sock_wake_async(sk.sk_wq, how, band)
  rcu_read_unlock()
})
export const sk_wake_async_rcu = kfunc('sk_wake_async_rcu', (sk: sock, how: number, band: number): void => {
  if (sock_flag(sk, C.SOCK_FASYNC)) sock_wake_async(sk.sk_wq, how, band)
})

export const sock_def_wakeup = kfunc('sock_def_wakeup', (sk: sock): void => {
  rcu_read_lock()
  const wq = sk.sk_wq
  if (skwq_has_sleeper(wq)) wake_up_interruptible_all(wq.wait)
  rcu_read_unlock()
})

export const sock_def_error_report = kfunc('sock_def_error_report', (sk: sock): void => {
  rcu_read_lock()
  const wq = sk.sk_wq
  if (skwq_has_sleeper(wq)) wake_up_interruptible_poll(wq.wait, EPOLLERR)
  sk_wake_async_rcu(sk, SOCK_WAKE_IO, POLL_ERR)
  rcu_read_unlock()
})

export const sock_def_readable = kfunc('sock_def_readable', (sk: sock): void => {
  if (tracer.on)
    tracepoint('sock', 'sk_data_ready', {
      skaddr: sk.kaddr,
      family: sk.skc_family,
      protocol: sk.sk_protocol,
      ip: tracer.context.real?.name ?? '',
    })
  rcu_read_lock()
  const wq = sk.sk_wq
  if (skwq_has_sleeper(wq)) wake_up_interruptible_sync_poll(wq.wait, EPOLLIN | EPOLLPRI | EPOLLRDNORM | EPOLLRDBAND)
  sk_wake_async_rcu(sk, SOCK_WAKE_WAITD, POLL_IN)
  rcu_read_unlock()
})

export const sock_def_write_space = kfunc('sock_def_write_space', (sk: sock): void => {
  rcu_read_lock()
  if (sock_writeable(sk)) {
    const wq = sk.sk_wq
    if (skwq_has_sleeper(wq)) wake_up_interruptible_sync_poll(wq.wait, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND)
    sk_wake_async_rcu(sk, SOCK_WAKE_SPACE, POLL_OUT)
  }
  rcu_read_unlock()
})

export const sock_def_destruct = kfunc('sock_def_destruct', (_sk: sock): void => {})

/** nobody owns a socket's file (F_SETOWN): send_sigurg() finds no process */
export const sk_send_sigurg = kfunc('sk_send_sigurg', (sk: sock): void => {
  if (sk.sk_socket?.file && send_sigurg(sk.sk_socket.file)) sk_wake_async(sk, SOCK_WAKE_URG, POLL_PRI)
})
const send_sigurg = kfunc('send_sigurg', (_file: unknown): number => 0)

export const sk_error_report = kfunc('sk_error_report', (sk: sock): void => {
  if (tracer.on) traceIndirect('sk->sk_error_report', nameOf(sk.sk_error_report))
  sk.sk_error_report(sk)
  if (tracer.on && sk_is_inet(sk))
    tracepoint('sock', 'inet_sk_error_report', { error: sk.sk_err, protocol: sk.sk_protocol, ...tp_sock_addrs(sk) })
})

export const sock_error = (sk: sock): number => {
  const err = sk.sk_err
  if (err === 0) return 0
  sk.sk_err = 0
  return -err
}

// ---- timers. `expires` in jiffies

export const sk_reset_timer = kfunc('sk_reset_timer', (sk: sock, timer: timer_list, expires: number): void => {
  if (!mod_timer(timer, expires)) sock_hold(sk)
})
export const sk_stop_timer = kfunc('sk_stop_timer', (sk: sock, timer: timer_list): void => {
  if (del_timer(timer)) __sock_put(sk)
})
export const sk_stop_timer_sync = kfunc('sk_stop_timer_sync', (sk: sock, timer: timer_list): void => {
  if (del_timer_sync(timer)) __sock_put(sk)
})

// ---- setting up

/** sk_timer has a function only where a protocol gives it one */
const no_timer = (): void => {}

export const sock_init_data_uid = kfunc('sock_init_data_uid', (sock: socket | null, sk: sock, uid: number): void => {
  sk_init_common(sk)
  sk.sk_timer = new timer_list(sk)
  timer_setup(sk.sk_timer, no_timer, 0)
  sk.sk_allocation = GFP_KERNEL
  sk.sk_rcvbuf = sysctl_rmem_default
  sk.sk_sndbuf = sysctl_wmem_default
  sk.skc_state = C.TCP_CLOSE
  sk.sk_use_task_frag = true
  sk_set_socket(sk, sock)
  sock_set_flag(sk, C.SOCK_ZAPPED)
  if (sock !== null) {
    sk.sk_type = sock.type
    sk.sk_wq = sock.wq
    sock.sk = sk
  } else sk.sk_wq = null
  sk.sk_uid = uid
  sk.sk_state_change = sock_def_wakeup
  sk.sk_data_ready = sock_def_readable
  sk.sk_write_space = sock_def_write_space
  sk.sk_error_report = sock_def_error_report
  sk.sk_destruct = sock_def_destruct
  sk.sk_frag = new page_frag()
  sk.sk_peek_off = -1
  sk.sk_peer_pid = null
  sk.sk_peer_cred = null
  sk.sk_write_pending = 0
  sk.sk_rcvlowat = 1
  sk.sk_rcvtimeo = MAX_SCHEDULE_TIMEOUT
  sk.sk_sndtimeo = MAX_SCHEDULE_TIMEOUT
  sk.sk_stamp = -NSEC_PER_SEC
  sk.sk_zckey = 0
  sk.sk_napi_id = 0
  sk.sk_ll_usec = 0
  sk.sk_max_pacing_rate = ULONG_MAX
  sk.sk_pacing_rate = ULONG_MAX
  sk.sk_pacing_shift = 10
  sk.skc_incoming_cpu = -1
  sk_rx_queue_clear(sk)
  sk.skc_refcnt = 1
  sk.sk_drops = 0
})

export const sock_init_data = kfunc('sock_init_data', (sock: socket | null, sk: sock): void => {
  const uid = sock !== null ? SOCK_INODE(sock).i_uid : make_kuid(null, 0)
  sock_init_data_uid(sock, sk, uid)
})

export const sock_orphan = kfunc('sock_orphan', (sk: sock): void => {
  write_lock_bh(sk.sk_callback_lock)
  sock_set_flag(sk, C.SOCK_DEAD)
  sk_set_socket(sk, null)
  sk.sk_wq = null
  write_unlock_bh(sk.sk_callback_lock)
})

export const sock_graft = kfunc('sock_graft', (sk: sock, parent: socket): void => {
  write_lock_bh(sk.sk_callback_lock)
  sk.sk_wq = parent.wq
  parent.sk = sk
  sk_set_socket(sk, parent)
  sk.sk_uid = SOCK_INODE(parent).i_uid
  security_sock_graft(sk, parent)
  write_unlock_bh(sk.sk_callback_lock)
})

export const sock_i_uid = kfunc('sock_i_uid', (sk: sock): number => {
  read_lock_bh(sk.sk_callback_lock)
  const uid = sk.sk_socket !== null ? SOCK_INODE(sk.sk_socket).i_uid : 0
  read_unlock_bh(sk.sk_callback_lock)
  return uid
})

const sock_needs_netstamp = (sk: sock): boolean => sk.skc_family !== S.AF_UNSPEC && sk.skc_family !== S.AF_UNIX

const sock_disable_timestamp = kfunc('sock_disable_timestamp', (sk: sock, flags: number): void => {
  if ((sk.skc_flags & flags) === 0) return
  sk.skc_flags &= ~flags
  if (sock_needs_netstamp(sk) && !(sk.skc_flags & C.SK_FLAGS_TIMESTAMP)) net_disable_timestamp()
})

export const sock_enable_timestamp = kfunc('sock_enable_timestamp', (sk: sock, flag: number): void => {
  if (sock_flag(sk, flag)) return
  const previous_flags = sk.skc_flags
  sock_set_flag(sk, flag)
  if (sock_needs_netstamp(sk) && !(previous_flags & C.SK_FLAGS_TIMESTAMP)) net_enable_timestamp()
})

const __sock_set_timestamps = kfunc('__sock_set_timestamps', (sk: sock, val: boolean, new_: boolean, ns: boolean): void => {
  if (val) {
    sock_valbool_flag(sk, C.SOCK_TSTAMP_NEW, new_)
    sock_valbool_flag(sk, C.SOCK_RCVTSTAMPNS, ns)
    sock_set_flag(sk, C.SOCK_RCVTSTAMP)
    sock_enable_timestamp(sk, C.SOCK_TIMESTAMP)
  } else {
    sock_reset_flag(sk, C.SOCK_RCVTSTAMP)
    sock_reset_flag(sk, C.SOCK_RCVTSTAMPNS)
  }
})

export const sock_set_timestamp = kfunc('sock_set_timestamp', (sk: sock, optname: number, valbool: boolean): void => {
  switch (optname) {
    case S.SO_TIMESTAMP_OLD:
      __sock_set_timestamps(sk, valbool, false, false)
      break
    case S.SO_TIMESTAMP_NEW:
      __sock_set_timestamps(sk, valbool, true, false)
      break
    case S.SO_TIMESTAMPNS_OLD:
      __sock_set_timestamps(sk, valbool, false, true)
      break
    case S.SO_TIMESTAMPNS_NEW:
      __sock_set_timestamps(sk, valbool, true, true)
      break
  }
})

export const sock_set_timestamping = kfunc(
  'sock_set_timestamping',
  (sk: sock, optname: number, timestamping: { flags: number; bind_phc: number }): number => {
    const val = timestamping.flags
    if (val & ~TS.SOF_TIMESTAMPING_MASK) return -E.EINVAL
    if (val & TS.SOF_TIMESTAMPING_OPT_ID_TCP && !(val & TS.SOF_TIMESTAMPING_OPT_ID)) return -E.EINVAL
    if (val & TS.SOF_TIMESTAMPING_OPT_ID && !(sk.sk_tsflags & TS.SOF_TIMESTAMPING_OPT_ID)) {
      if (sk_is_tcp(sk)) {
        if ((1 << sk.skc_state) & (C.TCPF_CLOSE | C.TCPF_LISTEN)) return -E.EINVAL
        sk.sk_tskey = val & TS.SOF_TIMESTAMPING_OPT_ID_TCP ? tcp_sk(sk).write_seq : tcp_sk(sk).snd_una
      } else sk.sk_tskey = 0
    }
    if (val & TS.SOF_TIMESTAMPING_OPT_STATS && !(val & TS.SOF_TIMESTAMPING_OPT_TSONLY)) return -E.EINVAL
    // no device here has clocks of its own
    if (val & TS.SOF_TIMESTAMPING_BIND_PHC) return sk.skc_bound_dev_if ? -E.EINVAL : -E.EOPNOTSUPP
    sk.sk_tsflags = val
    sock_valbool_flag(sk, C.SOCK_TSTAMP_NEW, optname === S.SO_TIMESTAMPING_NEW)
    if (val & TS.SOF_TIMESTAMPING_RX_SOFTWARE) sock_enable_timestamp(sk, C.SOCK_TIMESTAMPING_RX_SOFTWARE)
    else sock_disable_timestamp(sk, 1 << C.SOCK_TIMESTAMPING_RX_SOFTWARE)
    return 0
  },
)

// ---- socket options

const i32 = (b: Uint8Array, o: number): number =>
  (b[o] ?? 0) | ((b[o + 1] ?? 0) << 8) | ((b[o + 2] ?? 0) << 16) | ((b[o + 3] ?? 0) << 24)
const u32 = (b: Uint8Array, o: number): number => i32(b, o) >>> 0
/** a signed 64-bit number, as far as a double holds it */
const s64 = (b: Uint8Array, o: number): number => u32(b, o) + i32(b, o + 4) * 0x100000000
const u64 = (b: Uint8Array, o: number): number => u32(b, o) + u32(b, o + 4) * 0x100000000
const put32 = (b: Uint8Array, o: number, v: number): void => {
  b[o] = v
  b[o + 1] = v >> 8
  b[o + 2] = v >> 16
  b[o + 3] = v >> 24
}
const put64 = (b: Uint8Array, o: number, v: number): void => {
  put32(b, o, (v % 0x100000000) | 0)
  put32(b, o + 4, Math.floor(v / 0x100000000) | 0)
}

/** writes a timeout (jiffies) as seconds and microseconds; returns the size */
export const sock_get_timeout = kfunc('sock_get_timeout', (timeo: number, optval: Uint8Array, _old_timeval: boolean): number => {
  const infinite = timeo === MAX_SCHEDULE_TIMEOUT
  put64(optval, 0, infinite ? 0 : Math.floor(timeo / HZ))
  put64(optval, 8, infinite ? 0 : ((timeo % HZ) * USEC_PER_SEC) / HZ)
  return 16
})

export const sock_copy_user_timeval = kfunc(
  'sock_copy_user_timeval',
  (tv: { tv_sec: number; tv_usec: number }, optval: Uint8Array, optlen: number, _old_timeval: boolean): number => {
    if (optlen < 16) return -E.EINVAL
    tv.tv_sec = s64(optval, 0)
    tv.tv_usec = s64(optval, 8)
    return 0
  },
)

const sock_set_timeout = kfunc(
  'sock_set_timeout',
  (timeo_p: ref<number>, optval: Uint8Array, optlen: number, old_timeval: boolean): number => {
    const tv = { tv_sec: 0, tv_usec: 0 }
    const err = sock_copy_user_timeval(tv, optval, optlen, old_timeval)
    if (err !== 0) return err
    if (tv.tv_usec < 0 || tv.tv_usec >= USEC_PER_SEC) return -E.EDOM
    if (tv.tv_sec < 0) {
      timeo_p.v = 0
      return 0
    }
    timeo_p.v = MAX_SCHEDULE_TIMEOUT
    if ((tv.tv_sec || tv.tv_usec) && tv.tv_sec < MAX_SCHEDULE_TIMEOUT / HZ - 1)
      timeo_p.v = tv.tv_sec * HZ + DIV_ROUND_UP(tv.tv_usec, USEC_PER_SEC / HZ)
    return 0
  },
)

const sock_bindtoindex_locked = kfunc('sock_bindtoindex_locked', (sk: sock, ifindex: number): number => {
  if (sk.skc_bound_dev_if && !ns_capable(null, CAP_NET_RAW)) return -E.EPERM
  if (ifindex < 0) return -E.EINVAL
  sk.skc_bound_dev_if = ifindex
  sk.skc_prot.rehash?.(sk)
  sk_dst_reset(sk)
  return 0
})

export const sock_bindtoindex = kfunc('sock_bindtoindex', (sk: sock, ifindex: number, lock_sk: boolean): number => {
  if (lock_sk) lock_sock(sk)
  const ret = sock_bindtoindex_locked(sk, ifindex)
  if (lock_sk) release_sock(sk)
  return ret
})

const sock_setbindtodevice = kfunc('sock_setbindtodevice', (sk: sock, optval: Uint8Array, optlen: number): number => {
  if (optlen < 0) return -E.EINVAL
  let devname = ''
  for (let i = 0; i < Math.min(optlen, IFNAMSIZ - 1) && optval[i]; i++) devname += String.fromCharCode(optval[i] ?? 0)
  let index = 0
  if (devname !== '') {
    rcu_read_lock()
    const dev = dev_get_by_name_rcu(sk.skc_net, devname)
    if (dev !== null) index = dev.ifindex
    rcu_read_unlock()
    if (dev === null) return -E.ENODEV
  }
  sockopt_lock_sock(sk)
  const ret = sock_bindtoindex_locked(sk, index)
  sockopt_release_sock(sk)
  return ret
})

const sock_getbindtodevice = kfunc(
  'sock_getbindtodevice',
  (sk: sock, optval: number, optlen: ref<number>, len: number): number => {
    if (sk.skc_bound_dev_if === 0) {
      optlen.v = 0
      return 0
    }
    if (len < IFNAMSIZ) return -E.EINVAL
    const name: ref<string> = { v: '' }
    const ret = netdev_get_name(sk.skc_net, name, sk.skc_bound_dev_if)
    if (ret !== 0) return ret
    const devname = new Uint8Array(IFNAMSIZ)
    for (let i = 0; i < name.v.length; i++) devname[i] = name.v.charCodeAt(i)
    optlen.v = name.v.length + 1
    return copy_to_sockptr(optval, devname, optlen.v)
  },
)

export const sock_set_priority = kfunc('sock_set_priority', (sk: sock, priority: number): void => {
  sk.sk_priority = priority
})
const __sock_set_rcvbuf = kfunc('__sock_set_rcvbuf', (sk: sock, val: number): void => {
  sk.sk_userlocks |= C.SOCK_RCVBUF_LOCK
  // doubled: programs think of bytes of data, the limit counts the buffers around them too
  sk.sk_rcvbuf = Math.max(Math.min(val, 0x3fffffff) * 2, C.SOCK_MIN_RCVBUF)
})
const __sock_set_mark = kfunc('__sock_set_mark', (sk: sock, val: number): void => {
  if (val === sk.sk_mark) return
  sk.sk_mark = val
  sk_dst_reset(sk)
})

export const sockopt_lock_sock = kfunc('sockopt_lock_sock', (sk: sock): void => lock_sock(sk))
export const sockopt_release_sock = kfunc('sockopt_release_sock', (sk: sock): void => release_sock(sk))
export const sockopt_ns_capable = kfunc('sockopt_ns_capable', (ns: unknown, cap: number): boolean => ns_capable(ns, cap))
export const sockopt_capable = kfunc('sockopt_capable', (cap: number): boolean => capable(cap))

const set_sndbuf = (sk: sock, val: number): void => {
  sk.sk_userlocks |= C.SOCK_SNDBUF_LOCK
  sk.sk_sndbuf = Math.max(Math.min(val, 0x3fffffff) * 2, C.SOCK_MIN_SNDBUF)
  if (tracer.on) traceIndirect('sk->sk_write_space', nameOf(sk.sk_write_space))
  sk.sk_write_space(sk)
}
const assign_sock_flag = (sock: socket | null, bit: number, on: boolean): void => {
  if (sock === null) return
  if (on) sock.flags |= 1 << bit
  else sock.flags &= ~(1 << bit)
}

export const sk_setsockopt = kfunc(
  'sk_setsockopt',
  (sk: sock, _level: number, optname: number, optval: Uint8Array, optlen: number): number => {
    const sock = sk.sk_socket
    if (optname === S.SO_BINDTODEVICE) return sock_setbindtodevice(sk, optval, optlen)
    if (optlen < 4) return -E.EINVAL
    let val = i32(optval, 0)
    const valbool = val !== 0
    let ret = 0

    switch (optname) {
      case S.SO_PRIORITY:
        if ((val >= 0 && val <= 6) || sockopt_ns_capable(null, CAP_NET_RAW) || sockopt_ns_capable(null, CAP_NET_ADMIN)) {
          sock_set_priority(sk, val)
          return 0
        }
        return -E.EPERM
      case S.SO_PASSSEC:
        assign_sock_flag(sock, C.SOCK_PASSSEC, valbool)
        return 0
      case S.SO_PASSCRED:
        assign_sock_flag(sock, C.SOCK_PASSCRED, valbool)
        return 0
      case S.SO_PASSPIDFD:
        assign_sock_flag(sock, C.SOCK_PASSPIDFD, valbool)
        return 0
      case S.SO_TYPE:
      case S.SO_PROTOCOL:
      case S.SO_DOMAIN:
      case S.SO_ERROR:
        return -E.ENOPROTOOPT
      case S.SO_BUSY_POLL:
        if (val < 0) return -E.EINVAL
        sk.sk_ll_usec = val
        return 0
      case S.SO_PREFER_BUSY_POLL:
        return valbool && !sockopt_capable(CAP_NET_ADMIN) ? -E.EPERM : 0
      case S.SO_BUSY_POLL_BUDGET:
        if (val > 8 && !sockopt_capable(CAP_NET_ADMIN)) return -E.EPERM
        return val < 0 || val > 0xffff ? -E.EINVAL : 0
      case S.SO_MAX_PACING_RATE: {
        let ulval = val === -1 ? ULONG_MAX : val >>> 0
        if (optlen >= 8) ulval = u64(optval, 0)
        if (ulval !== ULONG_MAX && sk.sk_pacing_status === C.SK_PACING_NONE) sk.sk_pacing_status = C.SK_PACING_NEEDED
        sk.sk_max_pacing_rate = ulval
        if (ulval < sk.sk_pacing_rate) sk.sk_pacing_rate = ulval
        return 0
      }
      case S.SO_TXREHASH:
        if (val < -1 || val > 1) return -E.EINVAL
        if ((val & 0xff) === C.SOCK_TXREHASH_DEFAULT) val = sk.skc_net.core.sysctl_txrehash
        sk.sk_txrehash = val & 0xff
        return 0
      case S.SO_PEEK_OFF: {
        const set_peek_off = sock?.ops?.set_peek_off
        return set_peek_off ? set_peek_off(sk, val) : -E.EOPNOTSUPP
      }
    }

    sockopt_lock_sock(sk)
    switch (optname) {
      case S.SO_DEBUG:
        if (val && !sockopt_capable(CAP_NET_ADMIN)) ret = -E.EACCES
        else sock_valbool_flag(sk, C.SOCK_DBG, valbool)
        break
      case S.SO_REUSEADDR:
        sk.skc_reuse = valbool ? C.SK_CAN_REUSE : C.SK_NO_REUSE
        break
      case S.SO_REUSEPORT:
        if (valbool && !sk_is_inet(sk)) ret = -E.EOPNOTSUPP
        else sk.skc_reuseport = valbool ? 1 : 0
        break
      case S.SO_DONTROUTE:
        sock_valbool_flag(sk, C.SOCK_LOCALROUTE, valbool)
        sk_dst_reset(sk)
        break
      case S.SO_BROADCAST:
        sock_valbool_flag(sk, C.SOCK_BROADCAST, valbool)
        break
      case S.SO_SNDBUF:
        // compared as unsigned: a negative value is a huge one
        set_sndbuf(sk, Math.min(val >>> 0, sysctl_wmem_max))
        break
      case S.SO_SNDBUFFORCE:
        if (!sockopt_capable(CAP_NET_ADMIN)) ret = -E.EPERM
        else set_sndbuf(sk, Math.max(val, 0))
        break
      case S.SO_RCVBUF:
        __sock_set_rcvbuf(sk, Math.min(val >>> 0, sysctl_rmem_max))
        break
      case S.SO_RCVBUFFORCE:
        if (!sockopt_capable(CAP_NET_ADMIN)) ret = -E.EPERM
        else __sock_set_rcvbuf(sk, Math.max(val, 0))
        break
      case S.SO_KEEPALIVE:
        if (tracer.on) traceIndirect('sk->sk_prot->keepalive', nameOf(sk.skc_prot.keepalive))
        sk.skc_prot.keepalive?.(sk, valbool ? 1 : 0)
        sock_valbool_flag(sk, C.SOCK_KEEPOPEN, valbool)
        break
      case S.SO_OOBINLINE:
        sock_valbool_flag(sk, C.SOCK_URGINLINE, valbool)
        break
      case S.SO_NO_CHECK:
        sk.sk_no_check_tx = valbool ? 1 : 0
        break
      case S.SO_LINGER:
        if (optlen < 8) ret = -E.EINVAL
        else if (val === 0) sock_reset_flag(sk, C.SOCK_LINGER)
        else {
          const t_sec = i32(optval, 4)
          sk.sk_lingertime = t_sec < 0 || t_sec >= MAX_SCHEDULE_TIMEOUT / HZ ? MAX_SCHEDULE_TIMEOUT : t_sec * HZ
          sock_set_flag(sk, C.SOCK_LINGER)
        }
        break
      case S.SO_BSDCOMPAT:
        break
      case S.SO_TIMESTAMP_OLD:
      case S.SO_TIMESTAMP_NEW:
      case S.SO_TIMESTAMPNS_OLD:
      case S.SO_TIMESTAMPNS_NEW:
        sock_set_timestamp(sk, optname, valbool)
        break
      case S.SO_TIMESTAMPING_NEW:
      case S.SO_TIMESTAMPING_OLD:
        ret = sock_set_timestamping(sk, optname, { flags: val, bind_phc: optlen === 8 ? i32(optval, 4) : 0 })
        break
      case S.SO_RCVLOWAT: {
        if (val < 0) val = 0x7fffffff
        const set_rcvlowat = sock?.ops?.set_rcvlowat
        if (set_rcvlowat) ret = set_rcvlowat(sk, val)
        else sk.sk_rcvlowat = val || 1
        break
      }
      case S.SO_RCVTIMEO_OLD:
      case S.SO_RCVTIMEO_NEW: {
        const timeo: ref<number> = { v: sk.sk_rcvtimeo }
        ret = sock_set_timeout(timeo, optval, optlen, optname === S.SO_RCVTIMEO_OLD)
        sk.sk_rcvtimeo = timeo.v
        break
      }
      case S.SO_SNDTIMEO_OLD:
      case S.SO_SNDTIMEO_NEW: {
        const timeo: ref<number> = { v: sk.sk_sndtimeo }
        ret = sock_set_timeout(timeo, optval, optlen, optname === S.SO_SNDTIMEO_OLD)
        sk.sk_sndtimeo = timeo.v
        break
      }
      case S.SO_ATTACH_FILTER:
      case S.SO_ATTACH_BPF:
      case S.SO_ATTACH_REUSEPORT_CBPF:
      case S.SO_ATTACH_REUSEPORT_EBPF:
        // no BPF programs in this simulation
        ret = -E.EINVAL
        break
      case S.SO_DETACH_REUSEPORT_BPF:
        ret = reuseport_detach_prog(sk)
        break
      case S.SO_DETACH_FILTER:
        ret = -E.ENOENT
        break
      case S.SO_LOCK_FILTER:
        if (sock_flag(sk, C.SOCK_FILTER_LOCKED) && !valbool) ret = -E.EPERM
        else sock_valbool_flag(sk, C.SOCK_FILTER_LOCKED, valbool)
        break
      case S.SO_MARK:
        if (!sockopt_ns_capable(null, CAP_NET_RAW) && !sockopt_ns_capable(null, CAP_NET_ADMIN)) ret = -E.EPERM
        else __sock_set_mark(sk, val >>> 0)
        break
      case S.SO_RCVMARK:
        sock_valbool_flag(sk, C.SOCK_RCVMARK, valbool)
        break
      case S.SO_RXQ_OVFL:
        sock_valbool_flag(sk, C.SOCK_RXQ_OVFL, valbool)
        break
      case S.SO_WIFI_STATUS:
        sock_valbool_flag(sk, C.SOCK_WIFI_STATUS, valbool)
        break
      case S.SO_NOFCS:
        sock_valbool_flag(sk, C.SOCK_NOFCS, valbool)
        break
      case S.SO_SELECT_ERR_QUEUE:
        sock_valbool_flag(sk, C.SOCK_SELECT_ERR_QUEUE, valbool)
        break
      case S.SO_INCOMING_CPU:
        reuseport_update_incoming_cpu(sk, val)
        break
      case S.SO_CNX_ADVICE:
        if (val === 1) dst_negative_advice(sk)
        break
      case S.SO_ZEROCOPY:
        if (!sk_is_inet(sk) || !(sk_is_tcp(sk) || (sk.sk_type === C.SOCK_DGRAM && sk.sk_protocol === C.IPPROTO_UDP)))
          ret = -E.EOPNOTSUPP
        else if (val < 0 || val > 1) ret = -E.EINVAL
        else sock_valbool_flag(sk, C.SOCK_ZEROCOPY, valbool)
        break
      case S.SO_TXTIME: {
        const flags = u32(optval, 4)
        if (optlen !== 8 || flags & ~TS.SOF_TXTIME_FLAGS_MASK) ret = -E.EINVAL
        else if (val !== 1 && !sockopt_ns_capable(null, CAP_NET_ADMIN)) ret = -E.EPERM
        else if (val !== 0 && val !== 1 && val !== 11) ret = -E.EINVAL
        else {
          sock_valbool_flag(sk, C.SOCK_TXTIME, true)
          sk.sk_clockid = val
          sk.sk_txtime_flags = flags
        }
        break
      }
      case S.SO_BINDTOIFINDEX:
        ret = sock_bindtoindex_locked(sk, val)
        break
      case S.SO_BUF_LOCK:
        if (val & ~C.SOCK_BUF_LOCK_MASK) ret = -E.EINVAL
        else sk.sk_userlocks = val | (sk.sk_userlocks & ~C.SOCK_BUF_LOCK_MASK)
        break
      case S.SO_RESERVE_MEM:
        if (val < 0 || val > 1 << 30) ret = -E.EINVAL
        // memory is reserved in a memory cgroup only
        else if (val > sk.sk_reserved_mem) ret = -E.EOPNOTSUPP
        break
      default:
        ret = -E.ENOPROTOOPT
    }
    sockopt_release_sock(sk)
    return ret
  },
)

export const sock_setsockopt = kfunc(
  'sock_setsockopt',
  (sock: socket, level: number, optname: number, optval: Uint8Array, optlen: number): number =>
    sk_setsockopt(sock.sk as sock, level, optname, optval, optlen),
)

export const sk_get_meminfo = kfunc('sk_get_meminfo', (sk: sock, mem: number[]): void => {
  mem.length = 0
  mem.push(sk_rmem_alloc_get(sk), sk.sk_rcvbuf, sk_wmem_alloc_get(sk), sk.sk_sndbuf, sk.sk_forward_alloc)
  mem.push(sk.sk_wmem_queued, sk.sk_omem_alloc, sk.sk_backlog.len, sk.sk_drops)
})

const scratch = new Uint8Array(16)

export const sk_getsockopt = kfunc(
  'sk_getsockopt',
  (sk: sock, _level: number, optname: number, optval: number, optlen: ref<number>): number => {
    const sock = sk.sk_socket
    let len = optlen.v
    if (len < 0) return -E.EINVAL
    let lv = 4
    let val = 0
    const v = scratch
    v.fill(0)
    const flag = (bit: number): number => (sock_flag(sk, bit) ? 1 : 0)

    switch (optname) {
      case S.SO_DEBUG:
        val = flag(C.SOCK_DBG)
        break
      case S.SO_DONTROUTE:
        val = flag(C.SOCK_LOCALROUTE)
        break
      case S.SO_BROADCAST:
        val = flag(C.SOCK_BROADCAST)
        break
      case S.SO_SNDBUF:
        val = sk.sk_sndbuf
        break
      case S.SO_RCVBUF:
        val = sk.sk_rcvbuf
        break
      case S.SO_REUSEADDR:
        val = sk.skc_reuse
        break
      case S.SO_REUSEPORT:
        val = sk.skc_reuseport
        break
      case S.SO_KEEPALIVE:
        val = flag(C.SOCK_KEEPOPEN)
        break
      case S.SO_TYPE:
        val = sk.sk_type
        break
      case S.SO_PROTOCOL:
        val = sk.sk_protocol
        break
      case S.SO_DOMAIN:
        val = sk.skc_family
        break
      case S.SO_ERROR:
        val = -sock_error(sk)
        if (val === 0) {
          val = sk.sk_err_soft
          sk.sk_err_soft = 0
        }
        break
      case S.SO_OOBINLINE:
        val = flag(C.SOCK_URGINLINE)
        break
      case S.SO_NO_CHECK:
        val = sk.sk_no_check_tx
        break
      case S.SO_PRIORITY:
        val = sk.sk_priority
        break
      case S.SO_LINGER:
        lv = 8
        val = flag(C.SOCK_LINGER)
        put32(v, 4, Math.floor(sk.sk_lingertime / HZ) | 0)
        break
      case S.SO_BSDCOMPAT:
        break
      case S.SO_TIMESTAMP_OLD:
        val = flag(C.SOCK_RCVTSTAMP) && !flag(C.SOCK_TSTAMP_NEW) && !flag(C.SOCK_RCVTSTAMPNS) ? 1 : 0
        break
      case S.SO_TIMESTAMPNS_OLD:
        val = flag(C.SOCK_RCVTSTAMPNS) && !flag(C.SOCK_TSTAMP_NEW) ? 1 : 0
        break
      case S.SO_TIMESTAMP_NEW:
        val = flag(C.SOCK_RCVTSTAMP) && flag(C.SOCK_TSTAMP_NEW)
        break
      case S.SO_TIMESTAMPNS_NEW:
        val = flag(C.SOCK_RCVTSTAMPNS) && flag(C.SOCK_TSTAMP_NEW)
        break
      case S.SO_TIMESTAMPING_OLD:
      case S.SO_TIMESTAMPING_NEW:
        lv = 8
        if (optname === S.SO_TIMESTAMPING_OLD || flag(C.SOCK_TSTAMP_NEW)) {
          val = sk.sk_tsflags
          put32(v, 4, sk.sk_bind_phc)
        }
        break
      case S.SO_RCVTIMEO_OLD:
      case S.SO_RCVTIMEO_NEW:
        lv = sock_get_timeout(sk.sk_rcvtimeo, v, optname === S.SO_RCVTIMEO_OLD)
        val = i32(v, 0)
        break
      case S.SO_SNDTIMEO_OLD:
      case S.SO_SNDTIMEO_NEW:
        lv = sock_get_timeout(sk.sk_sndtimeo, v, optname === S.SO_SNDTIMEO_OLD)
        val = i32(v, 0)
        break
      case S.SO_RCVLOWAT:
        val = sk.sk_rcvlowat
        break
      case S.SO_SNDLOWAT:
        val = 1
        break
      case S.SO_PASSCRED:
        val = ((sock?.flags ?? 0) >> C.SOCK_PASSCRED) & 1
        break
      case S.SO_PASSPIDFD:
        val = ((sock?.flags ?? 0) >> C.SOCK_PASSPIDFD) & 1
        break
      case S.SO_PASSSEC:
        val = ((sock?.flags ?? 0) >> C.SOCK_PASSSEC) & 1
        break
      case S.SO_PEERCRED: {
        if (len > 12) len = 12
        spin_lock(sk.sk_peer_lock)
        const cred = sk.sk_peer_cred as { uid?: number; gid?: number } | null
        const pid = sk.sk_peer_pid as { pid?: number } | number | null
        put32(v, 0, typeof pid === 'number' ? pid : (pid?.pid ?? 0))
        put32(v, 4, cred?.uid ?? -1)
        put32(v, 8, cred?.gid ?? -1)
        spin_unlock(sk.sk_peer_lock)
        optlen.v = len
        return copy_to_sockptr(optval, v, len)
      }
      case S.SO_PEERPIDFD:
      case S.SO_PEERGROUPS:
        return -E.ENODATA
      case S.SO_PEERNAME: {
        const address = new sockaddr()
        if (sock === null || sock.ops === null) return -E.ENOTCONN
        lv = sock.ops.getname(sock, address, 2)
        if (lv < 0) return -E.ENOTCONN
        if (lv < len) return -E.EINVAL
        optlen.v = len
        return copy_to_sockptr(optval, address.bytes, len)
      }
      case S.SO_ACCEPTCONN:
        val = sk.skc_state === C.TCP_LISTEN ? 1 : 0
        break
      case S.SO_PEERSEC:
        return sock === null ? -E.ENOPROTOOPT : security_socket_getpeersec_stream(sock, optval, optlen, len)
      case S.SO_MARK:
        val = sk.sk_mark
        break
      case S.SO_RCVMARK:
        val = flag(C.SOCK_RCVMARK)
        break
      case S.SO_RXQ_OVFL:
        val = flag(C.SOCK_RXQ_OVFL)
        break
      case S.SO_WIFI_STATUS:
        val = flag(C.SOCK_WIFI_STATUS)
        break
      case S.SO_PEEK_OFF:
        if (!sock?.ops?.set_peek_off) return -E.EOPNOTSUPP
        val = sk.sk_peek_off
        break
      case S.SO_NOFCS:
        val = flag(C.SOCK_NOFCS)
        break
      case S.SO_BINDTODEVICE:
        return sock_getbindtodevice(sk, optval, optlen, len)
      case S.SO_ATTACH_FILTER:
        optlen.v = 0
        return 0
      case S.SO_LOCK_FILTER:
        val = flag(C.SOCK_FILTER_LOCKED)
        break
      case S.SO_BPF_EXTENSIONS:
        val = 64
        break
      case S.SO_SELECT_ERR_QUEUE:
        val = flag(C.SOCK_SELECT_ERR_QUEUE)
        break
      case S.SO_BUSY_POLL:
        val = sk.sk_ll_usec
        break
      case S.SO_PREFER_BUSY_POLL:
        break
      case S.SO_MAX_PACING_RATE: {
        const rate = sk.sk_max_pacing_rate
        const all = rate >= ULONG_MAX
        val = all || rate > 0xffffffff ? -1 : rate
        if (len >= 8) {
          lv = 8
          if (all) v.fill(0xff, 0, 8)
          else put64(v, 0, rate)
          val = i32(v, 0)
        }
        break
      }
      case S.SO_INCOMING_CPU:
        val = sk.skc_incoming_cpu
        break
      case S.SO_MEMINFO: {
        const meminfo: number[] = []
        sk_get_meminfo(sk, meminfo)
        len = Math.min(len, meminfo.length * 4)
        const all = new Uint8Array(meminfo.length * 4)
        for (let i = 0; i < meminfo.length; i++) put32(all, 4 * i, meminfo[i] ?? 0)
        optlen.v = len
        return copy_to_sockptr(optval, all, len)
      }
      case S.SO_INCOMING_NAPI_ID:
        val = sk.sk_napi_id < 2 ? 0 : sk.sk_napi_id
        break
      case S.SO_COOKIE:
        lv = 8
        if (len < lv) return -E.EINVAL
        put64(v, 0, sock_gen_cookie(sk))
        val = i32(v, 0)
        break
      case S.SO_ZEROCOPY:
        val = flag(C.SOCK_ZEROCOPY)
        break
      case S.SO_TXTIME:
        lv = 8
        val = sk.sk_clockid
        put32(v, 4, sk.sk_txtime_flags)
        break
      case S.SO_BINDTOIFINDEX:
        val = sk.skc_bound_dev_if
        break
      case S.SO_NETNS_COOKIE:
        lv = 8
        if (len !== lv) return -E.EINVAL
        put64(v, 0, sk.skc_net.net_cookie)
        val = i32(v, 0)
        break
      case S.SO_BUF_LOCK:
        val = sk.sk_userlocks & C.SOCK_BUF_LOCK_MASK
        break
      case S.SO_RESERVE_MEM:
        val = sk.sk_reserved_mem
        break
      case S.SO_TXREHASH:
        val = sk.sk_txrehash
        break
      default:
        return -E.ENOPROTOOPT
    }
    put32(v, 0, val)
    if (len > lv) len = lv
    optlen.v = len
    return copy_to_sockptr(optval, v, len)
  },
)

// ---- control messages and timestamps

export const sockcm_init = (sockc: sockcm_cookie, sk: sock): void => {
  sockc.transmit_time = 0
  sockc.mark = 0
  sockc.tsflags = sk.sk_tsflags
}

export const __sock_cmsg_send = kfunc('__sock_cmsg_send', (sk: sock, cmsg: cmsghdr, sockc: sockcm_cookie): number => {
  switch (cmsg.cmsg_type) {
    case S.SO_MARK:
      if (!ns_capable(null, CAP_NET_RAW) && !ns_capable(null, CAP_NET_ADMIN)) return -E.EPERM
      if (cmsg.cmsg_len !== S.CMSG_LEN(4)) return -E.EINVAL
      sockc.mark = u32(S.CMSG_DATA(cmsg), 0)
      return 0
    case S.SO_TIMESTAMPING_OLD:
    case S.SO_TIMESTAMPING_NEW: {
      if (cmsg.cmsg_len !== S.CMSG_LEN(4)) return -E.EINVAL
      const tsflags = u32(S.CMSG_DATA(cmsg), 0)
      if (tsflags & ~TS.SOF_TIMESTAMPING_TX_RECORD_MASK) return -E.EINVAL
      sockc.tsflags = (sockc.tsflags & ~TS.SOF_TIMESTAMPING_TX_RECORD_MASK) | tsflags
      return 0
    }
    case S.SCM_TXTIME:
      if (!sock_flag(sk, C.SOCK_TXTIME)) return -E.EINVAL
      if (cmsg.cmsg_len !== S.CMSG_LEN(8)) return -E.EINVAL
      sockc.transmit_time = u64(S.CMSG_DATA(cmsg), 0)
      return 0
    case S.SCM_RIGHTS:
    case S.SCM_CREDENTIALS:
      return 0
    default:
      return -E.EINVAL
  }
})

export const sock_cmsg_send = kfunc('sock_cmsg_send', (sk: sock, msg: msghdr, sockc: sockcm_cookie): number => {
  for (const cmsg of S.for_each_cmsghdr(msg)) {
    if (!S.CMSG_OK(msg, cmsg)) return -E.EINVAL
    if (cmsg.cmsg_level !== S.SOL_SOCKET) continue
    const ret = __sock_cmsg_send(sk, cmsg, sockc)
    if (ret !== 0) return ret
  }
  return 0
})

export const sock_recv_timestamp = kfunc('sock_recv_timestamp', (msg: msghdr, sk: sock, skb: sk_buff): void => {
  const tsflags = sk.sk_tsflags
  const kt = skb.tstamp
  if (
    sock_flag(sk, C.SOCK_RCVTSTAMP) ||
    tsflags & TS.SOF_TIMESTAMPING_RX_SOFTWARE ||
    (kt && tsflags & TS.SOF_TIMESTAMPING_SOFTWARE) ||
    (skb_shinfo(skb).hwtstamps && tsflags & TS.SOF_TIMESTAMPING_RAW_HARDWARE)
  )
    __sock_recv_timestamp(msg, sk, skb)
  else sock_write_timestamp(sk, kt)
  if (sock_flag(sk, C.SOCK_WIFI_STATUS)) __sock_recv_wifi_status(msg, sk, skb)
})

const FLAGS_RECV_CMSGS = (1 << C.SOCK_RXQ_OVFL) | (1 << C.SOCK_RCVTSTAMP) | (1 << C.SOCK_RCVMARK)
const TSFLAGS_ANY = TS.SOF_TIMESTAMPING_SOFTWARE | TS.SOF_TIMESTAMPING_RAW_HARDWARE

export const sock_recv_cmsgs = kfunc('sock_recv_cmsgs', (msg: msghdr, sk: sock, skb: sk_buff): void => {
  if (sk.skc_flags & FLAGS_RECV_CMSGS || sk.sk_tsflags & TSFLAGS_ANY) __sock_recv_cmsgs(msg, sk, skb)
  else if (sock_flag(sk, C.SOCK_TIMESTAMP)) sock_write_timestamp(sk, skb.tstamp)
  else if (sk.sk_stamp === -NSEC_PER_SEC) sock_write_timestamp(sk, 0)
})

/** @param tx_flags SKBTX_* bits, added to; @param tskey where the number of this send goes, or null */
export const _sock_tx_timestamp = kfunc(
  '_sock_tx_timestamp',
  (sk: sock, tsflags: number, tx_flags: ref<number>, tskey: ref<number> | null): void => {
    if (tsflags) {
      __sock_tx_timestamp(tsflags, tx_flags)
      if (tsflags & TS.SOF_TIMESTAMPING_OPT_ID && tskey !== null && tsflags & TS.SOF_TIMESTAMPING_TX_RECORD_MASK)
        tskey.v = sk.sk_tskey++
    }
    if (sock_flag(sk, C.SOCK_WIFI_STATUS)) tx_flags.v |= C.SKBTX_WIFI_STATUS
  },
)
export const sock_tx_timestamp = kfunc('sock_tx_timestamp', (sk: sock, tsflags: number, tx_flags: ref<number>): void =>
  _sock_tx_timestamp(sk, tsflags, tx_flags, null),
)
export const skb_setup_tx_timestamp = kfunc('skb_setup_tx_timestamp', (skb: sk_buff, tsflags: number): void => {
  const shinfo = skb_shinfo(skb)
  const tx_flags = { v: shinfo.tx_flags }
  const tskey = { v: shinfo.tskey }
  _sock_tx_timestamp(skb.sk as sock, tsflags, tx_flags, tskey)
  shinfo.tx_flags = tx_flags.v
  shinfo.tskey = tskey.v
})

export const sock_recv_errqueue = kfunc(
  'sock_recv_errqueue',
  (sk: sock, msg: msghdr, len: number, level: number, type: number): number => {
    const skb = sock_dequeue_err_skb(sk)
    if (skb === null) return -E.EAGAIN
    let copied = skb.len
    if (copied > len) {
      msg.msg_flags |= C.MSG_TRUNC
      copied = len
    }
    let err = skb_copy_datagram_msg(skb, 0, msg, copied)
    if (err === 0) {
      sock_recv_timestamp(msg, sk, skb)
      const e = SKB_EXT_ERR(skb)
      const ee = new Uint8Array(16)
      put32(ee, 0, e.ee_errno)
      ee[4] = e.ee_origin
      ee[5] = e.ee_type
      ee[6] = e.ee_code
      put32(ee, 8, e.ee_info)
      put32(ee, 12, e.ee_data)
      put_cmsg(msg, level, type, 16, ee)
      msg.msg_flags |= C.MSG_ERRQUEUE
      err = copied
    }
    kfree_skb(skb)
    return err
  },
)

// ---- what families use as they are

export const sock_no_connect = kfunc(
  'sock_no_connect',
  (_sock: socket, _saddr: sockaddr, _len: number, _flags: number): number => -E.EOPNOTSUPP,
)
export const sock_no_socketpair = kfunc('sock_no_socketpair', (_sock1: socket, _sock2: socket): number => -E.EOPNOTSUPP)
export const sock_no_accept = kfunc(
  'sock_no_accept',
  (_sock: socket, _newsock: socket, _arg: proto_accept_arg): number => -E.EOPNOTSUPP,
)
export const sock_no_ioctl = kfunc('sock_no_ioctl', (_sock: socket, _cmd: number, _arg: number): number => -E.EOPNOTSUPP)
export const sock_no_listen = kfunc('sock_no_listen', (_sock: socket, _backlog: number): number => -E.EOPNOTSUPP)
export const sock_no_shutdown = (_sock: socket, _how: number): number => -E.EOPNOTSUPP
export const sock_no_sendmsg_locked = kfunc(
  'sock_no_sendmsg_locked',
  (_sk: sock, _m: msghdr, _len: number): number => -E.EOPNOTSUPP,
)
export const sock_no_recvmsg = kfunc(
  'sock_no_recvmsg',
  (_sock: socket, _m: msghdr, _len: number, _flags: number): number => -E.EOPNOTSUPP,
)

export const sock_common_getsockopt = kfunc(
  'sock_common_getsockopt',
  (sock: socket, level: number, optname: number, optval: number, optlen: ref<number>): number => {
    const sk = sock.sk as sock
    const { getsockopt } = sk.skc_prot
    if (getsockopt === undefined) return -E.EOPNOTSUPP
    if (tracer.on) traceIndirect('sk->sk_prot->getsockopt', nameOf(getsockopt))
    return getsockopt(sk, level, optname, optval, optlen)
  },
)

export const sock_common_setsockopt = kfunc(
  'sock_common_setsockopt',
  (sock: socket, level: number, optname: number, optval: Uint8Array, optlen: number): number => {
    const sk = sock.sk as sock
    const { setsockopt } = sk.skc_prot
    if (setsockopt === undefined) return -E.EOPNOTSUPP
    if (tracer.on) traceIndirect('sk->sk_prot->setsockopt', nameOf(setsockopt))
    return setsockopt(sk, level, optname, optval, optlen)
  },
)

export const sock_common_recvmsg = kfunc(
  'sock_common_recvmsg',
  (sock: socket, msg: msghdr, size: number, flags: number): number => {
    const sk = sock.sk as sock
    const addr_len: ref<number> = { v: 0 }
    const { recvmsg } = sk.skc_prot
    if (recvmsg === undefined) return -E.EOPNOTSUPP
    if (tracer.on) traceIndirect('sk->sk_prot->recvmsg', nameOf(recvmsg))
    const err = recvmsg(sk, msg, size, flags, addr_len)
    if (err >= 0) msg.msg_namelen = addr_len.v
    return err
  },
)

export const sk_common_release = kfunc('sk_common_release', (sk: sock): void => {
  const { destroy, unhash } = sk.skc_prot
  if (destroy) {
    if (tracer.on) traceIndirect('sk->sk_prot->destroy', nameOf(destroy))
    destroy(sk)
  }
  if (unhash) {
    if (tracer.on) traceIndirect('sk->sk_prot->unhash', nameOf(unhash))
    unhash(sk)
  }
  if (sk.sk_socket !== null) sk.sk_socket.sk = null
  sock_orphan(sk)
  xfrm_sk_free_policy(sk)
  sock_put(sk)
})

// ---- protocols

const req_prot_init = kfunc('req_prot_init', (prot: proto): number => {
  const { rsk_prot } = prot
  if (!rsk_prot) return 0
  rsk_prot.slab_name = `request_sock_${prot.name}`
  rsk_prot.slab = kmem_cache_create(rsk_prot.slab_name, rsk_prot.obj_size, 0, SLAB_ACCOUNT | (prot.slab_flags ?? 0), null)
  return 0
})

const tw_prot_init = kfunc('tw_prot_init', (prot: proto): number => {
  const twsk_prot = prot.twsk_prot as { twsk_slab: unknown; twsk_slab_name: string; twsk_obj_size: number } | undefined
  if (!twsk_prot) return 0
  twsk_prot.twsk_slab_name = `tw_sock_${prot.name}`
  twsk_prot.twsk_slab = kmem_cache_create(
    twsk_prot.twsk_slab_name,
    twsk_prot.twsk_obj_size,
    0,
    SLAB_ACCOUNT | (prot.slab_flags ?? 0),
    null,
  )
  return 0
})

export const proto_register = kfunc('proto_register', (prot: proto, alloc_slab: number): number => {
  if (prot.memory_allocated && (!prot.sysctl_mem || !prot.per_cpu_fw_alloc)) return -E.EINVAL
  if (alloc_slab) {
    prot.slab = kmem_cache_create(prot.name, prot.obj_size, 0, SLAB_HWCACHE_ALIGN | SLAB_ACCOUNT | (prot.slab_flags ?? 0), null)
    req_prot_init(prot)
    tw_prot_init(prot)
  }
  prot.inuse = 0
  proto_list.push(prot)
  return 0
})
