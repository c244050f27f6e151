import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracer } from '../../../trace/tracer.ts'
import { get_random_u32 } from '../../drivers/char/random.ts'
import { get_max_files } from '../../fs/file_table.ts'
import { touch_atime } from '../../fs/inode.ts'
import { inode_permission, kern_path, LOOKUP_FOLLOW, mknod_socket, path_get, path_put } from '../../fs/namei.ts'
import { mntget } from '../../fs/namespace.ts'
import {
  CHECKSUM_UNNECESSARY,
  MAX_SKB_FRAGS,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  MSG_OOB,
  MSG_PEEK,
  MSG_SPLICE_PAGES,
  MSG_TRUNC,
  MSG_WAITALL,
  PAGE_SIZE,
  SHUT_RD,
  SHUT_RDWR,
  SKB_DROP_REASON_SOCKET_CLOSE,
  SKB_DROP_REASON_UNIX_SKIP_OOB,
  SKB_MAX_ALLOC,
  SOCK_DEAD,
  SOCK_DGRAM,
  SOCK_PASSCRED,
  SOCK_PASSPIDFD,
  SOCK_PASSSEC,
  SOCK_RAW,
  SOCK_RCVTSTAMP,
  SOCK_SEQPACKET,
  SOCK_STREAM,
  SOCK_URGINLINE,
  SOCKWQ_ASYNC_WAITDATA,
  SS_CONNECTED,
  SS_UNCONNECTED,
  TCP_CLOSE,
  TCP_ESTABLISHED,
  TCP_LISTEN,
} from '../../include/generated/enums.ts'
import {
  EADDRINUSE,
  EAGAIN,
  ECONNREFUSED,
  ECONNRESET,
  EEXIST,
  EFAULT,
  EINVAL,
  EISCONN,
  EMSGSIZE,
  ENFILE,
  ENOMEM,
  ENOSPC,
  ENOTCONN,
  EOPNOTSUPP,
  EPERM,
  EPIPE,
  EPROTONOSUPPORT,
  EPROTOTYPE,
  ESOCKTNOSUPPORT,
} from '../../include/linux/errno.ts'
import { type inode, MAY_WRITE, O_NONBLOCK, type path, S_IFMT, S_IFSOCK } from '../../include/linux/fs.ts'
import { fs_initcall } from '../../include/linux/init.ts'
import { list_add, list_del } from '../../include/linux/list.ts'
import {
  type net_proto_family,
  type proto_ops,
  SOCK_INODE,
  SOCK_WAKE_SPACE,
  SOCK_WAKE_WAITD,
  type sockaddr,
  type socket,
} from '../../include/linux/net.ts'
import { TASK_INTERRUPTIBLE } from '../../include/linux/sched.ts'
import {
  __skb_queue_tail,
  __skb_unlink,
  type sk_buff,
  skb_peek,
  skb_peek_tail,
  skb_queue_empty,
  skb_queue_len,
} from '../../include/linux/skbuff.ts'
import { GFP_KERNEL, GFP_KERNEL_ACCOUNT } from '../../include/linux/slab.ts'
import { AF_UNIX, AF_UNSPEC, type msghdr, PF_UNIX, SO_PEERPIDFD, SOL_SOCKET } from '../../include/linux/socket.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import { IS_ERR, type ref } from '../../include/linux/types.ts'
import { EPOLLOUT, EPOLLWRBAND, EPOLLWRNORM, wait_queue_entry, wq_has_sleeper } from '../../include/linux/wait.ts'
import { type unix_address, unix_sk, unix_sock } from '../../include/net/af_unix.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { proto, proto_accept_arg, sock } from '../../include/net/sock.ts'
import { mutex_init, mutex_lock, mutex_lock_interruptible, mutex_unlock } from '../../kernel/locking/mutex.ts'
import { spin_lock, spin_unlock } from '../../kernel/locking/spinlock.ts'
import { get_pid, type pid, put_pid, task_tgid } from '../../kernel/pid.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { cond_resched, current, schedule_timeout, signal_pending } from '../../kernel/sched/core.ts'
import {
  autoremove_wake_function,
  finish_wait,
  init_waitqueue_head,
  prepare_to_wait,
  prepare_to_wait_exclusive,
  wake_up_interruptible,
  wake_up_interruptible_all,
  wake_up_interruptible_poll,
  wake_up_interruptible_sync_poll,
} from '../../kernel/sched/wait.ts'
import { SIGPIPE, send_sig } from '../../kernel/signal.ts'
import { shm_mnt } from '../../mm/shmem.ts'
import { __kmalloc_noprof, kfree, kmalloc } from '../../mm/slub.ts'
import { security_unix_may_send, security_unix_stream_connect } from '../../security/security.ts'
import {
  __skb_try_recv_datagram,
  __skb_wait_for_more_packets,
  skb_copy_datagram_from_iter,
  skb_copy_datagram_msg,
  skb_free_datagram,
  skb_recv_datagram,
} from '../core/datagram.ts'
import { sk_filter } from '../core/filter.ts'
import { scm_cookie, scm_destroy, scm_fp_dup, type scm_fp_list, scm_recv_unix, scm_send, scm_set_cred } from '../core/scm.ts'
import {
  __net_timestamp,
  consume_skb,
  kfree_skb,
  kfree_skb_reason,
  skb_dequeue,
  skb_put,
  skb_queue_purge,
  skb_queue_tail,
  skb_splice_from_iter,
  skb_unlink,
} from '../core/skbuff.ts'
import {
  proto_register,
  RCV_SHUTDOWN,
  SEND_SHUTDOWN,
  SHUTDOWN_MASK,
  sk_alloc,
  sk_error_report,
  sk_peek_offset,
  sk_peek_offset_bwd,
  sk_peek_offset_fwd,
  sk_send_sigurg,
  sk_set_peek_off,
  sk_sleep,
  sk_wake_async,
  sk_wake_async_rcu,
  sock_alloc_send_pskb,
  sock_alloc_send_skb,
  sock_error,
  sock_flag,
  sock_graft,
  sock_hold,
  sock_init_data,
  sock_intr_errno,
  sock_net,
  sock_no_accept,
  sock_no_listen,
  sock_orphan,
  sock_prot_inuse_add,
  sock_put,
  sock_rcvlowat,
  sock_rcvtimeo,
  sock_sndtimeo,
  sock_wfree,
  sock_wmalloc,
} from '../core/sock.ts'
import { __sock_recv_timestamp, sock_register } from '../socket.ts'
import {
  unix_add_edges,
  unix_del_edges,
  unix_destroy_fpl,
  unix_gc,
  unix_peek_fpl,
  unix_prepare_fpl,
  unix_tot_inflight,
  unix_update_edges,
  wait_for_unix_gc,
} from './garbage.ts'

const UNIX_HASH_MOD = 255
const UNIX_HASH_SIZE = 512
/** SKB_MAX_HEAD(0): a page without struct skb_shared_info */
const SKB_MAX_HEAD_0 = 4096 - 320
const PAGE_ALLOC_COSTLY_ORDER = 3
const UNIX_SKB_FRAGS_SZ = 32768
const SUN_PATH = 2
const SIZEOF_SOCKADDR_UN = 110
const POLL_IN = 1
const POLL_OUT = 2
const POLL_HUP = 6

/** skb->cb of AF_UNIX */
class unix_skb_parms {
  pid: pid | null = null
  uid = 0
  gid = 0
  fp: scm_fp_list | null = null
  secid = 0
  consumed = 0
}
const UNIXCB = (skb: sk_buff): unix_skb_parms => {
  if (skb.cb instanceof unix_skb_parms) return skb.cb
  const cb = new unix_skb_parms()
  skb.cb = cb
  return cb
}

interface unix_table {
  locks: spinlock_t[]
  buckets: Set<unix_sock>[]
}

let unix_nr_socks = 0
let bsd_socket_buckets: Set<unix_sock>[] = []
let bsd_socket_locks: spinlock_t[] = []
const fallback = new spinlock_t()

/** of a namespace, made when its first socket is */
function table(net: net): unix_table {
  let t = net.unx.table as unix_table | null
  if (t === null) {
    t = {
      locks: Array.from({ length: UNIX_HASH_SIZE }, () => new spinlock_t()),
      buckets: Array.from({ length: UNIX_HASH_SIZE }, () => new Set<unix_sock>()),
    }
    net.unx.table = t
  }
  return t
}
/** all of a namespace, bucket by bucket, as unix_diag shows them */
export const unix_sockets = (net: net): unix_sock[] =>
  ((net.unx.table as unix_table | null)?.buckets ?? []).flatMap((b) => [...b].reverse())
const table_lock = (net: net, hash: number): spinlock_t => table(net).locks[hash] ?? fallback

const unix_peer = (sk: sock): unix_sock | null => unix_sk(sk).peer
const unix_state_lock = (sk: sock): void => spin_lock(unix_sk(sk).lock)
const unix_state_unlock = (sk: sock): void => spin_unlock(unix_sk(sk).lock)
const the = (sock: socket): unix_sock => sock.sk as unix_sock
const passes = (sock: socket): boolean => (sock.flags & ((1 << SOCK_PASSCRED) | (1 << SOCK_PASSPIDFD))) !== 0

// ----------------------------------------------------------------------------- names

const unix_unbound_hash = kfunc('unix_unbound_hash', (sk: sock): number => ((sk.id >>> 8) ^ sk.id ^ sk.sk_type) & UNIX_HASH_MOD)
const unix_bsd_hash = kfunc('unix_bsd_hash', (i: inode): number => i.i_ino & UNIX_HASH_MOD)

const unix_abstract_hash = kfunc('unix_abstract_hash', (sunaddr: Uint8Array, addr_len: number, type: number): number => {
  let sum = 0
  for (let i = 0; i < addr_len; i++) sum += (sunaddr[i] ?? 0) << (i & 1 ? 8 : 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  let hash = ~sum & 0xffff
  hash ^= hash >> 8
  hash ^= type
  return UNIX_HASH_MOD + 1 + (hash & UNIX_HASH_MOD)
})

const unix_table_double_lock = kfunc('unix_table_double_lock', (net: net, hash1: number, hash2: number): void => {
  spin_lock(table_lock(net, Math.min(hash1, hash2)))
  if (hash1 !== hash2) spin_lock(table_lock(net, Math.max(hash1, hash2)))
})
const unix_table_double_unlock = kfunc('unix_table_double_unlock', (net: net, hash1: number, hash2: number): void => {
  spin_unlock(table_lock(net, hash1))
  if (hash1 !== hash2) spin_unlock(table_lock(net, hash2))
})

const unix_may_send = kfunc('unix_may_send', (sk: sock, osk: sock): boolean => unix_peer(osk) === null || unix_peer(osk) === sk)

const unix_recvq_full_lockless = kfunc(
  'unix_recvq_full_lockless',
  (sk: sock): boolean => skb_queue_len(sk.sk_receive_queue) > sk.sk_max_ack_backlog,
)

export const unix_peer_get = kfunc('unix_peer_get', (s: sock): unix_sock | null => {
  unix_state_lock(s)
  const peer = unix_peer(s)
  if (peer !== null) sock_hold(peer)
  unix_state_unlock(s)
  return peer
})

const unix_create_addr = kfunc('unix_create_addr', (sunaddr: Uint8Array, addr_len: number): unix_address => {
  const kmem = __kmalloc_noprof(8 + addr_len, GFP_KERNEL)
  return { refcnt: 1, len: addr_len, hash: 0, name: sunaddr.slice(0, addr_len), kmem }
})

const unix_release_addr = kfunc('unix_release_addr', (addr: unix_address): void => {
  if (--addr.refcnt === 0) kfree(addr.kmem)
})

const unix_validate_addr = kfunc('unix_validate_addr', (sunaddr: sockaddr, addr_len: number): number => {
  if (addr_len <= SUN_PATH || addr_len > SIZEOF_SOCKADDR_UN) return -EINVAL
  return sunaddr.sa_family === AF_UNIX ? 0 : -EINVAL
})

/** ends the path with a zero; the length of the address with it */
const unix_mkname_bsd = kfunc('unix_mkname_bsd', (sunaddr: sockaddr, addr_len: number): number => {
  sunaddr.bytes[addr_len] = 0
  return sunaddr.bytes.indexOf(0, SUN_PATH) + 1
})
const path_of = (sunaddr: sockaddr): string =>
  Buffer.from(sunaddr.bytes.subarray(SUN_PATH, sunaddr.bytes.indexOf(0, SUN_PATH))).toString('utf8')

const __unix_remove_socket = kfunc('__unix_remove_socket', (sk: unix_sock): void => {
  const bucket = sk.skc_node as Set<unix_sock> | null
  bucket?.delete(sk)
  sk.skc_node = null
})
const __unix_insert_socket = kfunc('__unix_insert_socket', (net: net, sk: unix_sock): void => {
  const bucket = table(net).buckets[sk.sk_hash]
  bucket?.add(sk)
  sk.skc_node = bucket ?? null
})
const __unix_set_addr_hash = kfunc('__unix_set_addr_hash', (net: net, sk: unix_sock, addr: unix_address, hash: number): void => {
  __unix_remove_socket(sk)
  sk.addr = addr
  sk.sk_hash = hash
  __unix_insert_socket(net, sk)
})
const unix_remove_socket = kfunc('unix_remove_socket', (net: net, sk: unix_sock): void => {
  spin_lock(table_lock(net, sk.sk_hash))
  __unix_remove_socket(sk)
  spin_unlock(table_lock(net, sk.sk_hash))
})
const unix_insert_unbound_socket = kfunc('unix_insert_unbound_socket', (net: net, sk: unix_sock): void => {
  spin_lock(table_lock(net, sk.sk_hash))
  __unix_insert_socket(net, sk)
  spin_unlock(table_lock(net, sk.sk_hash))
})
const unix_insert_bsd_socket = kfunc('unix_insert_bsd_socket', (sk: unix_sock): void => {
  const lock = bsd_socket_locks[sk.sk_hash] ?? fallback
  spin_lock(lock)
  bsd_socket_buckets[sk.sk_hash]?.add(sk)
  sk.bound_bsd = true
  spin_unlock(lock)
})
const unix_remove_bsd_socket = kfunc('unix_remove_bsd_socket', (sk: unix_sock): void => {
  if (!sk.bound_bsd) return
  const lock = bsd_socket_locks[sk.sk_hash] ?? fallback
  spin_lock(lock)
  bsd_socket_buckets[sk.sk_hash]?.delete(sk)
  spin_unlock(lock)
  sk.bound_bsd = false
})

const __unix_find_socket_byname = kfunc(
  '__unix_find_socket_byname',
  (net: net, sunname: Uint8Array, len: number, hash: number): unix_sock | null => {
    for (const s of table(net).buckets[hash] ?? []) {
      const { addr } = s
      if (addr !== null && addr.len === len && addr.name.every((b, i) => b === sunname[i])) return s
    }
    return null
  },
)
const unix_find_socket_byname = kfunc(
  'unix_find_socket_byname',
  (net: net, sunname: Uint8Array, len: number, hash: number): unix_sock | null => {
    spin_lock(table_lock(net, hash))
    const s = __unix_find_socket_byname(net, sunname, len, hash)
    if (s !== null) sock_hold(s)
    spin_unlock(table_lock(net, hash))
    return s
  },
)
const unix_find_socket_byinode = kfunc('unix_find_socket_byinode', (i: inode): unix_sock | null => {
  const hash = unix_bsd_hash(i)
  const lock = bsd_socket_locks[hash] ?? fallback
  let found: unix_sock | null = null
  spin_lock(lock)
  for (const s of bsd_socket_buckets[hash] ?? [])
    if (s.path.dentry?.d_inode === i) {
      sock_hold(s)
      found = s
      break
    }
  spin_unlock(lock)
  return found
})

// ----------------------------------------------------------------------------- waiting for a full peer

const __remove_wait_queue = (entry: wait_queue_entry): void => list_del(entry.entry)

const unix_dgram_peer_wake_relay = kfunc(
  'unix_dgram_peer_wake_relay',
  (q: wait_queue_entry, mode: number, flags: number, key: number): number => {
    const u = q.data as unix_sock
    __remove_wait_queue(q)
    waits_for.delete(u)
    if (u.sk_wq !== null) wake_up_interruptible_poll(sk_sleep(u), key)
    return 0
  },
)

/** peer_wake.private of a socket: whom it waits for */
let waits_for = new WeakMap<unix_sock, unix_sock>()

const unix_dgram_peer_wake_connect = kfunc('unix_dgram_peer_wake_connect', (sk: unix_sock, other: unix_sock): number => {
  let rc = 0
  spin_lock(other.peer_wait.lock)
  if (!waits_for.has(sk)) {
    waits_for.set(sk, other)
    list_add(sk.peer_wake.entry, other.peer_wait.head)
    rc = 1
  }
  spin_unlock(other.peer_wait.lock)
  return rc
})

const unix_dgram_peer_wake_disconnect = kfunc('unix_dgram_peer_wake_disconnect', (sk: unix_sock, other: unix_sock): void => {
  spin_lock(other.peer_wait.lock)
  if (waits_for.get(sk) === other) {
    __remove_wait_queue(sk.peer_wake)
    waits_for.delete(sk)
  }
  spin_unlock(other.peer_wait.lock)
})

const unix_dgram_peer_wake_disconnect_wakeup = kfunc(
  'unix_dgram_peer_wake_disconnect_wakeup',
  (sk: unix_sock, other: unix_sock): void => {
    unix_dgram_peer_wake_disconnect(sk, other)
    wake_up_interruptible_poll(sk_sleep(sk), EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND)
  },
)

const unix_dgram_peer_wake_me = kfunc('unix_dgram_peer_wake_me', (sk: unix_sock, other: unix_sock): number => {
  const connected = unix_dgram_peer_wake_connect(sk, other)
  if (unix_recvq_full_lockless(other) && !sock_flag(other, SOCK_DEAD)) return 1
  if (connected) unix_dgram_peer_wake_disconnect(sk, other)
  return 0
})

const unix_writable = kfunc(
  'unix_writable',
  (sk: sock, state: number): boolean => state !== TCP_LISTEN && sk.sk_wmem_alloc << 2 <= sk.sk_sndbuf,
)

const unix_write_space = kfunc('unix_write_space', (sk: sock): void => {
  rcu_read_lock()
  if (unix_writable(sk, sk.sk_state)) {
    const wq = sk.sk_wq
    if (wq !== null && wq_has_sleeper(wq.wait)) wake_up_interruptible_sync_poll(wq.wait, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND)
    sk_wake_async_rcu(sk, SOCK_WAKE_SPACE, POLL_OUT)
  }
  rcu_read_unlock()
})

const unix_dgram_disconnected = kfunc('unix_dgram_disconnected', (sk: unix_sock, other: unix_sock): void => {
  if (skb_queue_empty(sk.sk_receive_queue)) return
  skb_queue_purge(sk.sk_receive_queue)
  wake_up_interruptible_all(sk.peer_wait)
  if (!sock_flag(other, SOCK_DEAD) && unix_peer(other) === sk) {
    other.sk_err = ECONNRESET
    sk_error_report(other)
  }
})

// ----------------------------------------------------------------------------- life

const unix_sock_destructor = kfunc('unix_sock_destructor', (sk: sock): void => {
  const u = unix_sk(sk)
  skb_queue_purge(sk.sk_receive_queue)
  if (!sock_flag(sk, SOCK_DEAD)) return
  if (u.addr !== null) unix_release_addr(u.addr)
  unix_nr_socks--
  sock_prot_inuse_add(sock_net(sk), sk.sk_prot, -1)
})

const unix_skb_len = kfunc('unix_skb_len', (skb: sk_buff): number => skb.len - UNIXCB(skb).consumed)

const unix_release_sock = kfunc('unix_release_sock', (s: sock, embrion: number): void => {
  const sk = unix_sk(s)
  unix_remove_socket(sock_net(sk), sk)
  unix_remove_bsd_socket(sk)

  unix_state_lock(sk)
  sock_orphan(sk)
  sk.sk_shutdown = SHUTDOWN_MASK
  const { path } = sk
  sk.path = { mnt: null, dentry: null }
  const state = sk.sk_state
  sk.sk_state = TCP_CLOSE
  const skpair = sk.peer
  sk.peer = null
  unix_state_unlock(sk)
  sk.oob_skb = null
  wake_up_interruptible_all(sk.peer_wait)

  if (skpair !== null) {
    if (sk.sk_type === SOCK_STREAM || sk.sk_type === SOCK_SEQPACKET) {
      let skb = skb_peek(sk.sk_receive_queue)
      if (skb !== null && !unix_skb_len(skb)) skb = skb.next
      unix_state_lock(skpair)
      skpair.sk_shutdown = SHUTDOWN_MASK
      if (skb !== null || embrion) skpair.sk_err = ECONNRESET
      unix_state_unlock(skpair)
      if (tracer.on) traceIndirect('sk->sk_state_change', nameOf(skpair.sk_state_change))
      skpair.sk_state_change(skpair)
      sk_wake_async(skpair, SOCK_WAKE_WAITD, POLL_HUP)
    }
    unix_dgram_peer_wake_disconnect(sk, skpair)
    sock_put(skpair)
  }

  for (let skb = skb_dequeue(sk.sk_receive_queue); skb !== null; skb = skb_dequeue(sk.sk_receive_queue)) {
    if (state === TCP_LISTEN && skb.sk !== null) unix_release_sock(skb.sk, 1)
    kfree_skb_reason(skb, SKB_DROP_REASON_SOCKET_CLOSE)
  }
  if (path.dentry !== null) path_put(path)
  sock_put(sk)
  if (unix_tot_inflight) unix_gc()
})

const init_peercred = kfunc('init_peercred', (sk: sock): void => {
  sk.sk_peer_pid = get_pid(task_tgid(current))
  sk.sk_peer_cred = current.cred ?? { uid: current.uid, gid: current.gid }
})

const update_peercred = kfunc('update_peercred', (sk: sock): void => {
  spin_lock(sk.sk_peer_lock)
  const old_pid = sk.sk_peer_pid as pid | null
  init_peercred(sk)
  spin_unlock(sk.sk_peer_lock)
  put_pid(old_pid)
})

const copy_peercred = kfunc('copy_peercred', (sk: sock, peersk: sock): void => {
  spin_lock(sk.sk_peer_lock)
  sk.sk_peer_pid = get_pid(peersk.sk_peer_pid as pid | null)
  sk.sk_peer_cred = peersk.sk_peer_cred
  spin_unlock(sk.sk_peer_lock)
})

const unix_listen = kfunc('unix_listen', (sock: socket, backlog: number): number => {
  const sk = the(sock)
  if (sock.type !== SOCK_STREAM && sock.type !== SOCK_SEQPACKET) return -EOPNOTSUPP
  if (sk.addr === null) return -EINVAL
  let err = -EINVAL
  unix_state_lock(sk)
  if (sk.sk_state === TCP_CLOSE || sk.sk_state === TCP_LISTEN) {
    if (backlog > sk.sk_max_ack_backlog) wake_up_interruptible_all(sk.peer_wait)
    sk.sk_max_ack_backlog = backlog
    sk.sk_state = TCP_LISTEN
    update_peercred(sk)
    err = 0
  }
  unix_state_unlock(sk)
  return err
})

const unix_close = kfunc('unix_close', (sk: sock, timeout: number): void => {})
const unix_unhash = kfunc('unix_unhash', (sk: sock): void => {})

const unix_bpf_bypass_getsockopt = kfunc(
  'unix_bpf_bypass_getsockopt',
  (level: number, optname: number): boolean => level === SOL_SOCKET && optname === SO_PEERPIDFD,
)

export const unix_dgram_proto: proto = { name: 'UNIX', obj_size: 1088, alloc: () => new unix_sock() }
export const unix_stream_proto: proto = { name: 'UNIX-STREAM', obj_size: 1088, alloc: () => new unix_sock() }

const unix_create1 = kfunc('unix_create1', (net: net, sock: socket | null, kern: number, type: number): unix_sock | number => {
  unix_nr_socks++
  if (unix_nr_socks > 2 * get_max_files()) {
    unix_nr_socks--
    return -ENFILE
  }
  const s = sk_alloc(net, PF_UNIX, GFP_KERNEL, type === SOCK_STREAM ? unix_stream_proto : unix_dgram_proto, kern)
  if (s === null) {
    unix_nr_socks--
    return -ENOMEM
  }
  const sk = unix_sk(s)
  sock_init_data(sock, sk)
  sk.sk_hash = unix_unbound_hash(sk)
  sk.sk_allocation = GFP_KERNEL_ACCOUNT
  sk.sk_write_space = unix_write_space
  sk.sk_max_ack_backlog = net.unx.sysctl_max_dgram_qlen
  sk.sk_destruct = unix_sock_destructor
  mutex_init(sk.iolock)
  mutex_init(sk.bindlock)
  init_waitqueue_head(sk.peer_wait)
  sk.peer_wake.func = unix_dgram_peer_wake_relay
  sk.peer_wake.data = sk
  unix_insert_unbound_socket(net, sk)
  sock_prot_inuse_add(net, sk.sk_prot, 1)
  return sk
})

const unix_create = kfunc('unix_create', (net: net, sock: socket, protocol: number, kern: number): number => {
  if (protocol && protocol !== PF_UNIX) return -EPROTONOSUPPORT
  sock.state = SS_UNCONNECTED
  switch (sock.type) {
    case SOCK_STREAM:
      sock.ops = unix_stream_ops
      break
    case SOCK_RAW:
    case SOCK_DGRAM:
      sock.type = SOCK_DGRAM
      sock.ops = unix_dgram_ops
      break
    case SOCK_SEQPACKET:
      sock.ops = unix_seqpacket_ops
      break
    default:
      return -ESOCKTNOSUPPORT
  }
  const sk = unix_create1(net, sock, kern, sock.type)
  return IS_ERR(sk) ? sk : 0
})

const unix_release = kfunc('unix_release', (sock: socket): number => {
  const { sk } = sock
  if (sk === null) return 0
  if (tracer.on) traceIndirect('sk->sk_prot->close', nameOf(sk.sk_prot.close))
  sk.sk_prot.close?.(sk, 0)
  unix_release_sock(sk, 0)
  sock.sk = null
  return 0
})

// ----------------------------------------------------------------------------- bind and connect

const unix_find_bsd = kfunc('unix_find_bsd', (sunaddr: sockaddr, addr_len: number, type: number): unix_sock | number => {
  unix_mkname_bsd(sunaddr, addr_len)
  const path: path = { mnt: null, dentry: null }
  const failed = kern_path(path_of(sunaddr), LOOKUP_FOLLOW, path)
  if (failed) return failed
  const inode = path.dentry?.d_inode
  let sk: unix_sock | null = null
  let err = inode ? inode_permission(null, inode, MAY_WRITE) : 0
  if (err) {
    path_put(path)
    return err
  }
  err = -ECONNREFUSED
  if (inode && (inode.i_mode & S_IFMT) === S_IFSOCK) sk = unix_find_socket_byinode(inode)
  if (sk !== null) {
    if (sk.sk_type === type) {
      touch_atime(path)
      err = 0
    } else {
      err = -EPROTOTYPE
      sock_put(sk)
    }
  }
  path_put(path)
  return err || sk === null ? err : sk
})

const unix_find_abstract = kfunc(
  'unix_find_abstract',
  (net: net, sunaddr: sockaddr, addr_len: number, type: number): unix_sock | number => {
    const hash = unix_abstract_hash(sunaddr.bytes, addr_len, type)
    const sk = unix_find_socket_byname(net, sunaddr.bytes, addr_len, hash)
    if (sk === null) return -ECONNREFUSED
    if (sk.path.dentry !== null) touch_atime(sk.path)
    return sk
  },
)

const unix_find_other = kfunc(
  'unix_find_other',
  (net: net, sunaddr: sockaddr, addr_len: number, type: number): unix_sock | number =>
    sunaddr.bytes[SUN_PATH] ? unix_find_bsd(sunaddr, addr_len, type) : unix_find_abstract(net, sunaddr, addr_len, type),
)

/** gives a socket an abstract name of five hexadecimal digits */
const unix_autobind = kfunc('unix_autobind', (sk: unix_sock): number => {
  const net = sock_net(sk)
  const err = mutex_lock_interruptible(sk.bindlock)
  if (err) return err
  if (sk.addr === null) {
    const name = new Uint8Array(SUN_PATH + 6)
    name[0] = AF_UNIX
    const addr = unix_address_of(name, SUN_PATH + 16)
    const old_hash = sk.sk_hash
    let ordernum = get_random_u32()
    const lastnum = ordernum & 0xfffff
    while (true) {
      ordernum = (ordernum + 1) & 0xfffff
      addr.name.set(Buffer.from(ordernum.toString(16).padStart(5, '0')), SUN_PATH + 1)
      const new_hash = unix_abstract_hash(addr.name, addr.len, sk.sk_type)
      unix_table_double_lock(net, old_hash, new_hash)
      if (__unix_find_socket_byname(net, addr.name, addr.len, new_hash) === null) {
        __unix_set_addr_hash(net, sk, addr, new_hash)
        unix_table_double_unlock(net, old_hash, new_hash)
        break
      }
      unix_table_double_unlock(net, old_hash, new_hash)
      cond_resched()
      if (ordernum === lastnum) {
        unix_release_addr(addr)
        mutex_unlock(sk.bindlock)
        return -ENOSPC
      }
    }
  }
  mutex_unlock(sk.bindlock)
  return 0
})

const unix_address_of = (name: Uint8Array, size: number): unix_address => ({
  refcnt: 1,
  len: name.length,
  hash: 0,
  name,
  kmem: kmalloc(8 + size, GFP_KERNEL),
})

const unix_bind_bsd = kfunc('unix_bind_bsd', (sk: unix_sock, sunaddr: sockaddr, alen: number): number => {
  const net = sock_net(sk)
  const addr_len = unix_mkname_bsd(sunaddr, alen)
  const addr = unix_create_addr(sunaddr.bytes, addr_len)
  const mode = sk.sk_socket === null ? 0 : SOCK_INODE(sk.sk_socket).i_mode & 0o755
  const dentry = sk.addr === null ? mknod_socket(path_of(sunaddr), mode) : -EINVAL
  if (IS_ERR(dentry)) {
    unix_release_addr(addr)
    return dentry === -EEXIST ? -EADDRINUSE : dentry
  }
  const err = mutex_lock_interruptible(sk.bindlock)
  if (err) return err
  const old_hash = sk.sk_hash
  const new_hash = dentry.d_inode === null ? 0 : unix_bsd_hash(dentry.d_inode)
  unix_table_double_lock(net, old_hash, new_hash)
  dentry.d_count++
  sk.path = { mnt: mntget(shm_mnt), dentry }
  __unix_set_addr_hash(net, sk, addr, new_hash)
  unix_table_double_unlock(net, old_hash, new_hash)
  unix_insert_bsd_socket(sk)
  mutex_unlock(sk.bindlock)
  return 0
})

const unix_bind_abstract = kfunc('unix_bind_abstract', (sk: unix_sock, sunaddr: sockaddr, addr_len: number): number => {
  const net = sock_net(sk)
  const addr = unix_create_addr(sunaddr.bytes, addr_len)
  let err = mutex_lock_interruptible(sk.bindlock)
  if (!err) {
    if (sk.addr !== null) err = -EINVAL
    else {
      const old_hash = sk.sk_hash
      const new_hash = unix_abstract_hash(addr.name, addr.len, sk.sk_type)
      unix_table_double_lock(net, old_hash, new_hash)
      if (__unix_find_socket_byname(net, addr.name, addr.len, new_hash) !== null) err = -EADDRINUSE
      else __unix_set_addr_hash(net, sk, addr, new_hash)
      unix_table_double_unlock(net, old_hash, new_hash)
    }
    mutex_unlock(sk.bindlock)
  }
  if (err) unix_release_addr(addr)
  return err
})

const unix_bind = kfunc('unix_bind', (sock: socket, uaddr: sockaddr, addr_len: number): number => {
  const sk = the(sock)
  if (addr_len === SUN_PATH && uaddr.sa_family === AF_UNIX) return unix_autobind(sk)
  const err = unix_validate_addr(uaddr, addr_len)
  if (err) return err
  return uaddr.bytes[SUN_PATH] ? unix_bind_bsd(sk, uaddr, addr_len) : unix_bind_abstract(sk, uaddr, addr_len)
})

const unix_state_double_lock = kfunc('unix_state_double_lock', (sk1: unix_sock, sk2: unix_sock | null): void => {
  if (sk1 === sk2 || sk2 === null) {
    unix_state_lock(sk1)
    return
  }
  unix_state_lock(sk1.id < sk2.id ? sk1 : sk2)
  unix_state_lock(sk1.id < sk2.id ? sk2 : sk1)
})
const unix_state_double_unlock = kfunc('unix_state_double_unlock', (sk1: unix_sock, sk2: unix_sock | null): void => {
  unix_state_unlock(sk1)
  if (sk1 !== sk2 && sk2 !== null) unix_state_unlock(sk2)
})

const unix_dgram_connect = kfunc('unix_dgram_connect', (sock: socket, addr: sockaddr, alen: number, flags: number): number => {
  const sk = the(sock)
  let other: unix_sock | null = null
  if (alen < 2) return -EINVAL

  if (addr.sa_family !== AF_UNSPEC) {
    let err = unix_validate_addr(addr, alen)
    if (err) return err
    if (passes(sock) && sk.addr === null) {
      err = unix_autobind(sk)
      if (err) return err
    }
    while (true) {
      const found = unix_find_other(sock_net(sk), addr, alen, sock.type)
      if (IS_ERR(found)) return found
      other = found
      unix_state_double_lock(sk, other)
      if (!sock_flag(other, SOCK_DEAD)) break
      unix_state_double_unlock(sk, other)
      sock_put(other)
    }
    err = -EPERM
    if (unix_may_send(sk, other)) err = security_unix_may_send(sk.sk_socket, other.sk_socket)
    if (err) {
      unix_state_double_unlock(sk, other)
      sock_put(other)
      return err
    }
    sk.sk_state = TCP_ESTABLISHED
    other.sk_state = TCP_ESTABLISHED
  } else unix_state_double_lock(sk, null)

  const old_peer = sk.peer
  sk.peer = other
  if (old_peer === null) {
    unix_state_double_unlock(sk, other)
    return 0
  }
  if (other === null) sk.sk_state = TCP_CLOSE
  unix_dgram_peer_wake_disconnect_wakeup(sk, old_peer)
  unix_state_double_unlock(sk, other)
  if (other !== old_peer) {
    unix_dgram_disconnected(sk, old_peer)
    unix_state_lock(old_peer)
    if (old_peer.peer === null) old_peer.sk_state = TCP_CLOSE
    unix_state_unlock(old_peer)
  }
  sock_put(old_peer)
  return 0
})

const wait_entry = (): wait_queue_entry => new wait_queue_entry(current, autoremove_wake_function)

/** comes with the peer's state locked, leaves with it unlocked */
const unix_wait_for_peer = kfunc('unix_wait_for_peer', (other: unix_sock, timeout: number): number => {
  let timeo = timeout
  const wait = wait_entry()
  prepare_to_wait_exclusive(other.peer_wait, wait, TASK_INTERRUPTIBLE)
  const sched = !sock_flag(other, SOCK_DEAD) && !(other.sk_shutdown & RCV_SHUTDOWN) && unix_recvq_full_lockless(other)
  unix_state_unlock(other)
  if (sched) timeo = schedule_timeout(timeo)
  finish_wait(other.peer_wait, wait)
  return timeo
})

const unix_stream_connect = kfunc(
  'unix_stream_connect',
  (sock: socket, uaddr: sockaddr, addr_len: number, flags: number): number => {
    const sk = the(sock)
    const net = sock_net(sk)
    let err = unix_validate_addr(uaddr, addr_len)
    if (err) return err
    if (passes(sock) && sk.addr === null) {
      err = unix_autobind(sk)
      if (err) return err
    }
    let timeo = sock_sndtimeo(sk, flags & O_NONBLOCK)

    const made = unix_create1(net, null, 0, sock.type)
    if (IS_ERR(made)) return made
    const newsk = made
    const skb = sock_wmalloc(newsk, 1, 0, GFP_KERNEL)
    const fail = (error: number, other: unix_sock | null): number => {
      if (skb !== null) kfree_skb(skb)
      unix_release_sock(newsk, 0)
      if (other !== null) sock_put(other)
      return error
    }
    if (skb === null) return fail(-ENOMEM, null)

    let other: unix_sock
    while (true) {
      const found = unix_find_other(net, uaddr, addr_len, sk.sk_type)
      if (IS_ERR(found)) return fail(found, null)
      other = found
      unix_state_lock(other)
      if (sock_flag(other, SOCK_DEAD)) {
        unix_state_unlock(other)
        sock_put(other)
        continue
      }
      if (other.sk_state !== TCP_LISTEN || other.sk_shutdown & RCV_SHUTDOWN) {
        unix_state_unlock(other)
        return fail(-ECONNREFUSED, other)
      }
      if (!unix_recvq_full_lockless(other)) break
      if (!timeo) {
        unix_state_unlock(other)
        return fail(-EAGAIN, other)
      }
      timeo = unix_wait_for_peer(other, timeo)
      if (signal_pending(current)) return fail(sock_intr_errno(timeo), other)
      sock_put(other)
    }

    if (sk.sk_state !== TCP_CLOSE) {
      unix_state_unlock(other)
      return fail(sk.sk_state === TCP_ESTABLISHED ? -EISCONN : -EINVAL, other)
    }
    unix_state_lock(sk)
    err = security_unix_stream_connect(sk, other, newsk)
    if (err) {
      unix_state_unlock(sk)
      unix_state_unlock(other)
      return fail(err, other)
    }

    sock_hold(sk)
    newsk.peer = sk
    newsk.sk_state = TCP_ESTABLISHED
    newsk.sk_type = sk.sk_type
    init_peercred(newsk)
    newsk.listener = other
    newsk.sk_wq = newsk.peer_wq
    if (other.path.dentry !== null) {
      path_get(other.path)
      newsk.path = { ...other.path }
    }
    if (other.addr !== null) {
      other.addr.refcnt++
      newsk.addr = other.addr
    }
    copy_peercred(sk, other)
    sock.state = SS_CONNECTED
    sk.sk_state = TCP_ESTABLISHED
    sock_hold(newsk)
    sk.peer = newsk
    unix_state_unlock(sk)

    spin_lock(other.sk_receive_queue.lock)
    __skb_queue_tail(other.sk_receive_queue, skb)
    spin_unlock(other.sk_receive_queue.lock)
    unix_state_unlock(other)
    if (tracer.on) traceIndirect('other->sk_data_ready', nameOf(other.sk_data_ready))
    other.sk_data_ready(other)
    sock_put(other)
    return 0
  },
)

const unix_socketpair = kfunc('unix_socketpair', (socka: socket, sockb: socket): number => {
  const ska = the(socka)
  const skb = the(sockb)
  sock_hold(ska)
  sock_hold(skb)
  ska.peer = skb
  skb.peer = ska
  init_peercred(ska)
  init_peercred(skb)
  ska.sk_state = TCP_ESTABLISHED
  skb.sk_state = TCP_ESTABLISHED
  socka.state = SS_CONNECTED
  sockb.state = SS_CONNECTED
  return 0
})

const INHERITED = (1 << SOCK_PASSCRED) | (1 << SOCK_PASSPIDFD) | (1 << SOCK_PASSSEC)
const unix_sock_inherit_flags = kfunc('unix_sock_inherit_flags', (old: socket, sock: socket): void => {
  sock.flags |= old.flags & INHERITED
})

const unix_accept = kfunc('unix_accept', (sock: socket, newsock: socket, arg: proto_accept_arg): number => {
  const sk = the(sock)
  arg.err = -EOPNOTSUPP
  if (sock.type !== SOCK_STREAM && sock.type !== SOCK_SEQPACKET) return arg.err
  arg.err = -EINVAL
  if (sk.sk_state !== TCP_LISTEN) return arg.err

  const err = { v: 0 }
  const skb = skb_recv_datagram(sk, arg.flags & O_NONBLOCK ? MSG_DONTWAIT : 0, err)
  arg.err = err.v
  if (skb === null) {
    if (arg.err === 0) arg.err = -EINVAL
    return arg.err
  }
  const tsk = skb.sk as unix_sock
  skb_free_datagram(sk, skb)
  wake_up_interruptible(sk.peer_wait)

  unix_state_lock(tsk)
  unix_update_edges(tsk)
  newsock.state = SS_CONNECTED
  unix_sock_inherit_flags(sock, newsock)
  sock_graft(tsk, newsock)
  unix_state_unlock(tsk)
  return 0
})

const unix_getname = kfunc('unix_getname', (sock: socket, uaddr: sockaddr, peer: number): number => {
  let sk = the(sock)
  if (peer) {
    const other = unix_peer_get(sk)
    if (other === null) return -ENOTCONN
    sk = other
  } else sock_hold(sk)
  let err = SUN_PATH
  if (sk.addr === null) {
    uaddr.sa_family = AF_UNIX
    uaddr.bytes[SUN_PATH] = 0
  } else {
    err = sk.addr.len
    uaddr.bytes.set(sk.addr.name)
  }
  sock_put(sk)
  return err
})

// ----------------------------------------------------------------------------- files and credentials beside the data

const unix_attach_fds = kfunc('unix_attach_fds', (scm: scm_cookie, skb: sk_buff): number => {
  const { fp } = scm
  UNIXCB(skb).fp = fp
  scm.fp = null
  return fp !== null && unix_prepare_fpl(fp) ? -ENOMEM : 0
})

const unix_detach_fds = kfunc('unix_detach_fds', (scm: scm_cookie, skb: sk_buff): void => {
  const cb = UNIXCB(skb)
  scm.fp = cb.fp
  cb.fp = null
  if (scm.fp !== null) unix_destroy_fpl(scm.fp)
})

const unix_peek_fds = kfunc('unix_peek_fds', (scm: scm_cookie, skb: sk_buff): void => {
  scm.fp = scm_fp_dup(UNIXCB(skb).fp)
  unix_peek_fpl(scm.fp)
})

const unix_destruct_scm = kfunc('unix_destruct_scm', (skb: sk_buff): void => {
  const scm = new scm_cookie()
  const cb = UNIXCB(skb)
  scm.pid = cb.pid
  cb.pid = null
  if (cb.fp !== null) unix_detach_fds(scm, skb)
  scm_destroy(scm)
})

const unix_wfree = kfunc('unix_wfree', (skb: sk_buff): void => {
  unix_destruct_scm(skb)
  sock_wfree(skb)
})

const unix_scm_to_skb = kfunc('unix_scm_to_skb', (scm: scm_cookie, skb: sk_buff, send_fds: boolean): number => {
  const cb = UNIXCB(skb)
  cb.pid = get_pid(scm.pid)
  cb.uid = scm.creds.uid
  cb.gid = scm.creds.gid
  cb.fp = null
  cb.secid = scm.secid
  cb.consumed = 0
  const err = scm.fp !== null && send_fds ? unix_attach_fds(scm, skb) : 0
  skb.destructor = unix_wfree
  return err
})

const unix_passcred_enabled = kfunc(
  'unix_passcred_enabled',
  (sock: socket, other: sock): boolean => passes(sock) || other.sk_socket === null || passes(other.sk_socket),
)

const maybe_add_creds = kfunc('maybe_add_creds', (skb: sk_buff, sock: socket, other: sock): void => {
  const cb = UNIXCB(skb)
  if (cb.pid !== null) return
  if (unix_passcred_enabled(sock, other)) {
    cb.pid = get_pid(task_tgid(current))
    cb.uid = current.uid
    cb.gid = current.gid
  }
})

const unix_skb_scm_eq = kfunc('unix_skb_scm_eq', (skb: sk_buff, scm: scm_cookie): boolean => {
  const cb = UNIXCB(skb)
  return cb.pid === scm.pid && cb.uid === scm.creds.uid && cb.gid === scm.creds.gid && cb.secid === scm.secid
})

const scm_stat_add = kfunc('scm_stat_add', (sk: sock, skb: sk_buff): void => {
  const { fp } = UNIXCB(skb)
  if (fp?.count) {
    unix_sk(sk).scm_stat.nr_fds += fp.count
    unix_add_edges(fp, unix_sk(sk))
  }
})

const scm_stat_del = kfunc('scm_stat_del', (sk: sock, skb: sk_buff): void => {
  const { fp } = UNIXCB(skb)
  if (fp?.count) {
    unix_sk(sk).scm_stat.nr_fds -= fp.count
    unix_del_edges(fp)
  }
})

// ----------------------------------------------------------------------------- sending

const unix_dgram_sendmsg = kfunc('unix_dgram_sendmsg', (sock: socket, msg: msghdr, len: number): number => {
  const sk = the(sock)
  const scm = new scm_cookie()
  let other: unix_sock | null = null
  let skb: sk_buff | null = null
  let sunaddr: sockaddr | null = null

  let err = scm_send(sock, msg, scm, false)
  if (err < 0) return err
  wait_for_unix_gc(scm.fp)

  const fail = (error: number): number => {
    if (skb !== null) kfree_skb(skb)
    if (other !== null) sock_put(other)
    scm_destroy(scm)
    return error
  }
  if (msg.msg_flags & MSG_OOB) return fail(-EOPNOTSUPP)
  if (msg.msg_namelen && msg.msg_name !== null) {
    sunaddr = msg.msg_name
    err = unix_validate_addr(sunaddr, msg.msg_namelen)
    if (err) return fail(err)
  } else {
    other = unix_peer_get(sk)
    if (other === null) return fail(-ENOTCONN)
  }
  if (passes(sock) && sk.addr === null) {
    err = unix_autobind(sk)
    if (err) return fail(err)
  }
  if (len > sk.sk_sndbuf - 32) return fail(-EMSGSIZE)

  let data_len = 0
  if (len > SKB_MAX_ALLOC) {
    data_len = Math.min(len - SKB_MAX_ALLOC, MAX_SKB_FRAGS * PAGE_SIZE)
    data_len = Math.ceil(data_len / PAGE_SIZE) * PAGE_SIZE
  }
  const errcode = { v: 0 }
  skb = sock_alloc_send_pskb(sk, len - data_len, data_len, msg.msg_flags & MSG_DONTWAIT, errcode, PAGE_ALLOC_COSTLY_ORDER)
  if (skb === null) return fail(errcode.v)
  err = unix_scm_to_skb(scm, skb, true)
  if (err < 0) return fail(err)
  skb_put(skb, len - data_len)
  skb.data_len = data_len
  skb.len = len
  err = skb_copy_datagram_from_iter(skb, 0, msg.msg_iter, len)
  if (err) return fail(err)

  let timeo = sock_sndtimeo(sk, msg.msg_flags & MSG_DONTWAIT)
  while (true) {
    if (other === null) {
      if (sunaddr === null) return fail(-ECONNRESET)
      const found = unix_find_other(sock_net(sk), sunaddr, msg.msg_namelen, sk.sk_type)
      if (IS_ERR(found)) return fail(found)
      other = found
    }
    if (sk_filter(other, skb) < 0) return fail(len)

    let sk_locked = false
    unix_state_lock(other)
    const result = unix_dgram_deliver(sk, other, sk_locked, timeo)
    sk_locked = result.sk_locked
    if (result.what === 'dead') {
      other = null
      if (result.err) return fail(result.err)
      continue
    }
    if (result.what === 'wait') {
      timeo = unix_wait_for_peer(other, timeo)
      if (signal_pending(current)) return fail(sock_intr_errno(timeo))
      // Linux looks the peer up no more: the reference is still there
      continue
    }
    if (result.what === 'fail') {
      if (sk_locked) unix_state_unlock(sk)
      unix_state_unlock(other)
      return fail(result.err)
    }
    if (sk_locked) unix_state_unlock(sk)
    break
  }

  if (sock_flag(other, SOCK_RCVTSTAMP)) __net_timestamp(skb)
  maybe_add_creds(skb, sock, other)
  scm_stat_add(other, skb)
  skb_queue_tail(other.sk_receive_queue, skb)
  unix_state_unlock(other)
  if (tracer.on) traceIndirect('other->sk_data_ready', nameOf(other.sk_data_ready))
  other.sk_data_ready(other)
  sock_put(other)
  scm_destroy(scm)
  return len
})

interface delivery {
  what: 'go' | 'dead' | 'wait' | 'fail'
  err: number
  sk_locked: boolean
}

/** may the datagram go into the peer's queue? The peer's state is locked, and stays so but for `dead`. */
function unix_dgram_deliver(sk: unix_sock, other: unix_sock, locked: boolean, timeo: number): delivery {
  let sk_locked = locked
  while (true) {
    if (!unix_may_send(sk, other)) return { what: 'fail', err: -EPERM, sk_locked }
    if (sock_flag(other, SOCK_DEAD)) {
      unix_state_unlock(other)
      sock_put(other)
      if (!sk_locked) unix_state_lock(sk)
      let err = 0
      if (sk.sk_type === SOCK_SEQPACKET) {
        unix_state_unlock(sk)
        err = -EPIPE
      } else if (sk.peer === other) {
        sk.peer = null
        unix_dgram_peer_wake_disconnect_wakeup(sk, other)
        sk.sk_state = TCP_CLOSE
        unix_state_unlock(sk)
        unix_dgram_disconnected(sk, other)
        sock_put(other)
        err = -ECONNREFUSED
      } else unix_state_unlock(sk)
      return { what: 'dead', err, sk_locked: false }
    }
    if (other.sk_shutdown & RCV_SHUTDOWN) return { what: 'fail', err: -EPIPE, sk_locked }
    if (sk.sk_type !== SOCK_SEQPACKET) {
      const err = security_unix_may_send(sk.sk_socket, other.sk_socket)
      if (err) return { what: 'fail', err, sk_locked }
    }
    if (other === sk || other.peer === sk || !unix_recvq_full_lockless(other)) return { what: 'go', err: 0, sk_locked }
    if (tracer.on)
      decide('unix_dgram_sendmsg', timeo ? 'wait: the receiver is full' : 'refuse: the receiver is full', {
        queued: skb_queue_len(other.sk_receive_queue),
        max: other.sk_max_ack_backlog,
      })
    if (timeo) return { what: 'wait', err: 0, sk_locked }
    if (!sk_locked) {
      unix_state_unlock(other)
      unix_state_double_lock(sk, other)
    }
    if (sk.peer !== other || unix_dgram_peer_wake_me(sk, other)) return { what: 'fail', err: -EAGAIN, sk_locked: true }
    if (sk_locked) return { what: 'go', err: 0, sk_locked }
    sk_locked = true
  }
}

const queue_oob = kfunc(
  'queue_oob',
  (sock: socket, msg: msghdr, other: unix_sock, scm: scm_cookie, fds_sent: boolean): number => {
    const errcode = { v: 0 }
    const skb = sock_alloc_send_skb(the(sock), 1, msg.msg_flags & MSG_DONTWAIT, errcode)
    if (skb === null) return errcode.v
    let err = unix_scm_to_skb(scm, skb, !fds_sent)
    if (err < 0) {
      kfree_skb(skb)
      return err
    }
    skb_put(skb, 1)
    err = skb_copy_datagram_from_iter(skb, 0, msg.msg_iter, 1)
    if (err) {
      kfree_skb(skb)
      return err
    }
    unix_state_lock(other)
    if (sock_flag(other, SOCK_DEAD) || other.sk_shutdown & RCV_SHUTDOWN) {
      unix_state_unlock(other)
      kfree_skb(skb)
      return -EPIPE
    }
    maybe_add_creds(skb, sock, other)
    scm_stat_add(other, skb)
    spin_lock(other.sk_receive_queue.lock)
    other.oob_skb = skb
    __skb_queue_tail(other.sk_receive_queue, skb)
    spin_unlock(other.sk_receive_queue.lock)
    sk_send_sigurg(other)
    unix_state_unlock(other)
    if (tracer.on) traceIndirect('other->sk_data_ready', nameOf(other.sk_data_ready))
    other.sk_data_ready(other)
    return err
  },
)

const unix_stream_sendmsg = kfunc('unix_stream_sendmsg', (sock: socket, msg: msghdr, length: number): number => {
  const sk = the(sock)
  const scm = new scm_cookie()
  let len = length
  let sent = 0
  let fds_sent = false

  let err = scm_send(sock, msg, scm, false)
  if (err < 0) return err
  wait_for_unix_gc(scm.fp)

  const fail = (error: number): number => {
    scm_destroy(scm)
    return sent || error
  }
  const pipe_err = (): number => {
    if (sent === 0 && !(msg.msg_flags & MSG_NOSIGNAL)) send_sig(SIGPIPE, current, 0)
    return fail(-EPIPE)
  }
  if (msg.msg_flags & MSG_OOB) {
    if (!len) return fail(-EOPNOTSUPP)
    len--
  }
  if (msg.msg_namelen) return fail(sk.sk_state === TCP_ESTABLISHED ? -EISCONN : -EOPNOTSUPP)
  const other = sk.peer
  if (other === null) return fail(-ENOTCONN)
  if (sk.sk_shutdown & SEND_SHUTDOWN) return pipe_err()

  const errcode = { v: 0 }
  while (sent < len) {
    let size = len - sent
    let skb: sk_buff | null
    let data_len = 0
    if (msg.msg_flags & MSG_SPLICE_PAGES) skb = sock_alloc_send_pskb(sk, 0, 0, msg.msg_flags & MSG_DONTWAIT, errcode, 0)
    else {
      // two messages must fit, so that reader and writer can take turns
      size = Math.min(size, (sk.sk_sndbuf >> 1) - 64, SKB_MAX_HEAD_0 + UNIX_SKB_FRAGS_SZ)
      data_len = Math.max(0, size - SKB_MAX_HEAD_0)
      data_len = Math.min(size, Math.ceil(data_len / PAGE_SIZE) * PAGE_SIZE)
      skb = sock_alloc_send_pskb(sk, size - data_len, data_len, msg.msg_flags & MSG_DONTWAIT, errcode, PAGE_ALLOC_COSTLY_ORDER)
    }
    if (skb === null) return fail(errcode.v)

    err = unix_scm_to_skb(scm, skb, !fds_sent)
    if (err < 0) {
      kfree_skb(skb)
      return fail(err)
    }
    fds_sent = true

    if (msg.msg_flags & MSG_SPLICE_PAGES) {
      skb.ip_summed = CHECKSUM_UNNECESSARY
      err = skb_splice_from_iter(skb, msg.msg_iter, size, sk.sk_allocation)
      if (err < 0) {
        kfree_skb(skb)
        return fail(err)
      }
      size = err
      sk.sk_wmem_alloc += size
    } else {
      skb_put(skb, size - data_len)
      skb.data_len = data_len
      skb.len = size
      err = skb_copy_datagram_from_iter(skb, 0, msg.msg_iter, size)
      if (err) {
        kfree_skb(skb)
        return fail(err)
      }
    }

    unix_state_lock(other)
    if (sock_flag(other, SOCK_DEAD) || other.sk_shutdown & RCV_SHUTDOWN) {
      unix_state_unlock(other)
      kfree_skb(skb)
      return pipe_err()
    }
    maybe_add_creds(skb, sock, other)
    scm_stat_add(other, skb)
    skb_queue_tail(other.sk_receive_queue, skb)
    unix_state_unlock(other)
    if (tracer.on) traceIndirect('other->sk_data_ready', nameOf(other.sk_data_ready))
    other.sk_data_ready(other)
    sent += size
  }

  if (msg.msg_flags & MSG_OOB) {
    err = queue_oob(sock, msg, other, scm, fds_sent)
    if (err) return fail(err)
    sent++
  }
  scm_destroy(scm)
  return sent
})

const unix_seqpacket_sendmsg = kfunc('unix_seqpacket_sendmsg', (sock: socket, msg: msghdr, len: number): number => {
  const sk = the(sock)
  const err = sock_error(sk)
  if (err) return err
  if (sk.sk_state !== TCP_ESTABLISHED) return -ENOTCONN
  if (msg.msg_namelen) msg.msg_namelen = 0
  return unix_dgram_sendmsg(sock, msg, len)
})

// ----------------------------------------------------------------------------- receiving

const unix_seqpacket_recvmsg = kfunc(
  'unix_seqpacket_recvmsg',
  (sock: socket, msg: msghdr, size: number, flags: number): number =>
    the(sock).sk_state !== TCP_ESTABLISHED ? -ENOTCONN : unix_dgram_recvmsg(sock, msg, size, flags),
)

const unix_copy_addr = kfunc('unix_copy_addr', (msg: msghdr, sk: sock): void => {
  const { addr } = unix_sk(sk)
  if (addr !== null && msg.msg_name !== null) {
    msg.msg_namelen = addr.len
    msg.msg_name.bytes.set(addr.name)
  }
})

export const __unix_dgram_recvmsg = kfunc('__unix_dgram_recvmsg', (s: sock, msg: msghdr, room: number, flags: number): number => {
  const sk = unix_sk(s)
  const sock = sk.sk_socket
  if (flags & MSG_OOB || sock === null) return -EOPNOTSUPP
  const timeo = { v: sock_rcvtimeo(sk, flags & MSG_DONTWAIT) }
  const err = { v: 0 }
  const last: ref<sk_buff | null> = { v: null }
  const off = { v: 0 }
  let skb: sk_buff | null

  do {
    mutex_lock(sk.iolock)
    off.v = sk_peek_offset(sk, flags)
    skb = __skb_try_recv_datagram(sk, sk.sk_receive_queue, flags, off, err, last)
    if (skb !== null) {
      if (!(flags & MSG_PEEK)) scm_stat_del(sk, skb)
      break
    }
    mutex_unlock(sk.iolock)
    if (err.v !== -EAGAIN) break
  } while (timeo.v && !__skb_wait_for_more_packets(sk, sk.sk_receive_queue, err, timeo, last.v))

  if (skb === null) return sk.sk_type === SOCK_SEQPACKET && err.v === -EAGAIN && sk.sk_shutdown & RCV_SHUTDOWN ? 0 : err.v

  if (wq_has_sleeper(sk.peer_wait)) wake_up_interruptible_sync_poll(sk.peer_wait, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND)
  if (msg.msg_name !== null && skb.sk !== null) unix_copy_addr(msg, skb.sk)

  const skip = off.v
  let size = room
  if (size > skb.len - skip) size = skb.len - skip
  else if (size < skb.len - skip) msg.msg_flags |= MSG_TRUNC

  let ret = skb_copy_datagram_msg(skb, skip, msg, size)
  if (!ret) {
    if (sock_flag(sk, SOCK_RCVTSTAMP)) __sock_recv_timestamp(msg, sk, skb)
    const scm = new scm_cookie()
    const cb = UNIXCB(skb)
    scm_set_cred(scm, cb.pid, cb.uid, cb.gid)
    scm.secid = cb.secid
    if (!(flags & MSG_PEEK)) {
      if (cb.fp !== null) unix_detach_fds(scm, skb)
      sk_peek_offset_bwd(sk, skb.len)
    } else {
      sk_peek_offset_fwd(sk, size)
      if (cb.fp !== null) unix_peek_fds(scm, skb)
    }
    ret = flags & MSG_TRUNC ? skb.len - skip : size
    scm_recv_unix(sock, msg, scm, flags)
  }
  skb_free_datagram(sk, skb)
  mutex_unlock(sk.iolock)
  return ret
})

const unix_dgram_recvmsg = kfunc('unix_dgram_recvmsg', (sock: socket, msg: msghdr, size: number, flags: number): number =>
  __unix_dgram_recvmsg(the(sock), msg, size, flags),
)

const unix_stream_data_wait = kfunc(
  'unix_stream_data_wait',
  (sk: unix_sock, timeout: number, last: sk_buff | null, freezable: boolean): number => {
    let timeo = timeout
    const wait = wait_entry()
    unix_state_lock(sk)
    while (true) {
      prepare_to_wait(sk_sleep(sk), wait, TASK_INTERRUPTIBLE)
      const tail = skb_peek_tail(sk.sk_receive_queue)
      if (tail !== last || sk.sk_err || sk.sk_shutdown & RCV_SHUTDOWN || signal_pending(current) || !timeo) break
      if (sk.sk_wq !== null) sk.sk_wq.flags |= 1 << SOCKWQ_ASYNC_WAITDATA
      unix_state_unlock(sk)
      timeo = schedule_timeout(timeo)
      unix_state_lock(sk)
      if (sock_flag(sk, SOCK_DEAD)) break
      if (sk.sk_wq !== null) sk.sk_wq.flags &= ~(1 << SOCKWQ_ASYNC_WAITDATA)
    }
    finish_wait(sk_sleep(sk), wait)
    unix_state_unlock(sk)
    return timeo
  },
)

interface unix_stream_read_state {
  recv_actor: (skb: sk_buff, skip: number, chunk: number, state: unix_stream_read_state) => number
  socket: socket
  msg: msghdr | null
  size: number
  flags: number
}

const unix_stream_recv_urg = kfunc('unix_stream_recv_urg', (state: unix_stream_read_state): number => {
  const sk = the(state.socket)
  let read_skb: sk_buff | null = null
  mutex_lock(sk.iolock)
  unix_state_lock(sk)
  spin_lock(sk.sk_receive_queue.lock)
  const { oob_skb } = sk
  if (sock_flag(sk, SOCK_URGINLINE) || oob_skb === null) {
    spin_unlock(sk.sk_receive_queue.lock)
    unix_state_unlock(sk)
    mutex_unlock(sk.iolock)
    return -EINVAL
  }
  if (!(state.flags & MSG_PEEK)) {
    sk.oob_skb = null
    if (oob_skb.prev !== null && !unix_skb_len(oob_skb.prev)) {
      read_skb = oob_skb.prev
      __skb_unlink(read_skb, sk.sk_receive_queue)
    }
  }
  spin_unlock(sk.sk_receive_queue.lock)
  unix_state_unlock(sk)
  if (tracer.on) traceIndirect('state->recv_actor', nameOf(state.recv_actor))
  const chunk = state.recv_actor(oob_skb, 0, 1, state)
  if (!(state.flags & MSG_PEEK)) UNIXCB(oob_skb).consumed += 1
  mutex_unlock(sk.iolock)
  consume_skb(read_skb)
  if (chunk < 0) return -EFAULT
  if (state.msg !== null) state.msg.msg_flags |= MSG_OOB
  return 1
})

/** steps around the byte of MSG_OOB; null when the read ends before it. `last`: what a wait compares the queue's end with */
const manage_oob = kfunc(
  'manage_oob',
  (first: sk_buff, last: ref<sk_buff | null>, sk: unix_sock, flags: number, copied: number): sk_buff | null => {
    if (unix_skb_len(first) && first !== sk.oob_skb) return first
    let skb: sk_buff | null = first
    let read_skb: sk_buff | null = null
    let unread_skb: sk_buff | null = null
    spin_lock(sk.sk_receive_queue.lock)
    if (!unix_skb_len(skb)) {
      if (copied && (sk.oob_skb === null || skb === sk.oob_skb)) skb = null
      else if (flags & MSG_PEEK) {
        last.v = skb
        skb = skb.next
      } else {
        read_skb = skb
        skb = skb.next
        __skb_unlink(read_skb, sk.sk_receive_queue)
        last.v = skb
      }
    }
    if (skb !== null && skb === sk.oob_skb) {
      if (copied) skb = null
      else if (!(flags & MSG_PEEK)) {
        sk.oob_skb = null
        if (!sock_flag(sk, SOCK_URGINLINE)) {
          __skb_unlink(skb, sk.sk_receive_queue)
          unread_skb = skb
          skb = skb_peek(sk.sk_receive_queue)
          last.v = skb
        }
      } else if (!sock_flag(sk, SOCK_URGINLINE)) {
        last.v = skb
        skb = skb.next
      }
    }
    spin_unlock(sk.sk_receive_queue.lock)
    consume_skb(read_skb)
    kfree_skb_reason(unread_skb, SKB_DROP_REASON_UNIX_SKIP_OOB)
    return skb
  },
)

const unix_stream_read_generic = kfunc(
  'unix_stream_read_generic',
  (state: unix_stream_read_state, freezable: boolean): number => {
    const { socket: sock, msg, flags } = state
    const sk = the(sock)
    let { size } = state
    let check_creds = false
    let copied = 0
    let err = 0

    if (sk.sk_state !== TCP_ESTABLISHED) return -EINVAL
    if (flags & MSG_OOB) return unix_stream_recv_urg(state)
    const target = sock_rcvlowat(sk, flags & MSG_WAITALL, size)
    let timeo = sock_rcvtimeo(sk, flags & MSG_DONTWAIT)
    const scm = new scm_cookie()

    mutex_lock(sk.iolock)
    let skip = Math.max(sk_peek_offset(sk, flags), 0)
    let locked = false
    let skb: sk_buff | null = null
    const last: ref<sk_buff | null> = { v: null }
    let reading = true

    while (reading) {
      if (!locked) {
        unix_state_lock(sk)
        locked = true
        if (sock_flag(sk, SOCK_DEAD)) {
          err = -ECONNRESET
          break
        }
        skb = skb_peek(sk.sk_receive_queue)
        last.v = skb
      }
      // again:
      if (skb !== null) {
        skb = manage_oob(skb, last, sk, flags, copied)
        if (skb === null && (copied || !state.size)) break
      }
      if (skb === null) {
        if (copied >= target) break
        err = sock_error(sk)
        if (err) break
        if (sk.sk_shutdown & RCV_SHUTDOWN) break
        unix_state_unlock(sk)
        locked = false
        if (!timeo) {
          err = -EAGAIN
          break
        }
        mutex_unlock(sk.iolock)
        timeo = unix_stream_data_wait(sk, timeo, last.v, freezable)
        if (signal_pending(current)) {
          scm_destroy(scm)
          return copied || sock_intr_errno(timeo)
        }
        mutex_lock(sk.iolock)
        skip = Math.max(sk_peek_offset(sk, flags), 0)
        continue
      }
      while (skb !== null && skip >= unix_skb_len(skb)) {
        skip -= unix_skb_len(skb)
        last.v = skb
        skb = skb.next
      }
      if (skb === null) continue
      unix_state_unlock(sk)
      locked = false

      const cb = UNIXCB(skb)
      if (check_creds) {
        if (!unix_skb_scm_eq(skb, scm)) break
      } else if (passes(sock)) {
        scm_set_cred(scm, cb.pid, cb.uid, cb.gid)
        scm.secid = cb.secid
        check_creds = true
      }
      if (msg !== null && msg.msg_name !== null && skb.sk !== null) unix_copy_addr(msg, skb.sk)

      const room = Math.min(unix_skb_len(skb) - skip, size)
      if (tracer.on) traceIndirect('state->recv_actor', nameOf(state.recv_actor))
      const chunk = state.recv_actor(skb, skip, room, state)
      if (chunk < 0) {
        if (copied === 0) copied = -EFAULT
        break
      }
      copied += chunk
      size -= chunk

      if (!(flags & MSG_PEEK)) {
        cb.consumed += chunk
        sk_peek_offset_bwd(sk, chunk)
        if (cb.fp !== null) {
          scm_stat_del(sk, skb)
          unix_detach_fds(scm, skb)
        }
        if (unix_skb_len(skb)) break
        skb_unlink(skb, sk.sk_receive_queue)
        consume_skb(skb)
        if (scm.fp !== null) break
        reading = size > 0
      } else {
        if (cb.fp !== null) unix_peek_fds(scm, skb)
        sk_peek_offset_fwd(sk, chunk)
        if (cb.fp !== null) break
        skip = 0
        last.v = skb
        unix_state_lock(sk)
        locked = true
        skb = skb.next
        if (skb === null) break
      }
    }
    if (locked) unix_state_unlock(sk)
    mutex_unlock(sk.iolock)
    if (msg !== null) scm_recv_unix(sock, msg, scm, flags)
    else scm_destroy(scm)
    return copied || err
  },
)

const unix_stream_read_actor = kfunc(
  'unix_stream_read_actor',
  (skb: sk_buff, skip: number, chunk: number, state: unix_stream_read_state): number => {
    const ret = state.msg === null ? -EFAULT : skb_copy_datagram_msg(skb, UNIXCB(skb).consumed + skip, state.msg, chunk)
    return ret || chunk
  },
)

const unix_stream_recvmsg = kfunc('unix_stream_recvmsg', (sock: socket, msg: msghdr, size: number, flags: number): number =>
  unix_stream_read_generic({ recv_actor: unix_stream_read_actor, socket: sock, msg, size, flags }, true),
)

const unix_shutdown = kfunc('unix_shutdown', (sock: socket, how: number): number => {
  const sk = the(sock)
  if (how < SHUT_RD || how > SHUT_RDWR) return -EINVAL
  const mode = how + 1
  unix_state_lock(sk)
  sk.sk_shutdown |= mode
  const other = sk.peer
  if (other !== null) sock_hold(other)
  unix_state_unlock(sk)
  if (tracer.on) traceIndirect('sk->sk_state_change', nameOf(sk.sk_state_change))
  sk.sk_state_change(sk)

  if (other !== null && (sk.sk_type === SOCK_STREAM || sk.sk_type === SOCK_SEQPACKET)) {
    let peer_mode = 0
    other.sk_prot.unhash?.(other)
    if (mode & RCV_SHUTDOWN) peer_mode |= SEND_SHUTDOWN
    if (mode & SEND_SHUTDOWN) peer_mode |= RCV_SHUTDOWN
    unix_state_lock(other)
    other.sk_shutdown |= peer_mode
    unix_state_unlock(other)
    if (tracer.on) traceIndirect('sk->sk_state_change', nameOf(other.sk_state_change))
    other.sk_state_change(other)
    if (peer_mode === SHUTDOWN_MASK) sk_wake_async(other, SOCK_WAKE_WAITD, POLL_HUP)
    else if (peer_mode & RCV_SHUTDOWN) sk_wake_async(other, SOCK_WAKE_WAITD, POLL_IN)
  }
  if (other !== null) sock_put(other)
  return 0
})

// ----------------------------------------------------------------------------- tables

const base = {
  family: PF_UNIX,
  owner: null,
  release: unix_release,
  bind: unix_bind,
  socketpair: unix_socketpair,
  getname: unix_getname,
  shutdown: unix_shutdown,
}
let unix_stream_ops: proto_ops
let unix_dgram_ops: proto_ops
let unix_seqpacket_ops: proto_ops

const unix_family_ops: net_proto_family = { family: PF_UNIX, create: unix_create, owner: null }

fs_initcall(() => {
  unix_nr_socks = 0
  waits_for = new WeakMap()
  bsd_socket_buckets = Array.from({ length: UNIX_HASH_MOD + 1 }, () => new Set<unix_sock>())
  bsd_socket_locks = Array.from({ length: UNIX_HASH_MOD + 1 }, () => new spinlock_t())
  unix_stream_ops = {
    ...base,
    connect: unix_stream_connect,
    accept: unix_accept,
    listen: unix_listen,
    sendmsg: unix_stream_sendmsg,
    recvmsg: unix_stream_recvmsg,
    set_peek_off: sk_set_peek_off,
  }
  unix_dgram_ops = {
    ...base,
    connect: unix_dgram_connect,
    accept: sock_no_accept,
    listen: sock_no_listen,
    sendmsg: unix_dgram_sendmsg,
    recvmsg: unix_dgram_recvmsg,
    set_peek_off: sk_set_peek_off,
  }
  unix_seqpacket_ops = {
    ...base,
    connect: unix_stream_connect,
    accept: unix_accept,
    listen: unix_listen,
    sendmsg: unix_seqpacket_sendmsg,
    recvmsg: unix_seqpacket_recvmsg,
    set_peek_off: sk_set_peek_off,
  }
  unix_dgram_proto.close = unix_close
  unix_dgram_proto.bpf_bypass_getsockopt = unix_bpf_bypass_getsockopt
  unix_stream_proto.close = unix_close
  unix_stream_proto.unhash = unix_unhash
  unix_stream_proto.bpf_bypass_getsockopt = unix_bpf_bypass_getsockopt
  proto_register(unix_dgram_proto, 1)
  proto_register(unix_stream_proto, 1)
  sock_register(unix_family_ops)
})
