import { kfunc, nameOf } from '../../trace/kfunc.ts'
import { traceIndirect, tracepoint, tracer } from '../../trace/tracer.ts'
import type { pt_regs } from '../arch/x86/entry/common.ts'
import { class_fd_constructor, class_fd_destructor, fd_install, get_unused_fd_flags, put_unused_fd } from '../fs/file.ts'
import { alloc_file_pseudo, fput } from '../fs/file_table.ts'
import { get_next_ino, iput, new_inode_pseudo } from '../fs/inode.ts'
import { stream_open } from '../fs/open.ts'
import { splice_to_socket } from '../fs/splice.ts'
import {
  MSG_BATCH,
  MSG_CMSG_CLOEXEC,
  MSG_CMSG_COMPAT,
  MSG_DONTWAIT,
  MSG_EOR,
  MSG_ERRQUEUE,
  MSG_INTERNAL_SENDMSG_FLAGS,
  MSG_OOB,
  MSG_WAITFORONE,
  PACKET_OUTGOING,
  SKBTX_HW_TSTAMP,
  SKBTX_HW_TSTAMP_USE_CYCLES,
  SKBTX_SCHED_TSTAMP,
  SKBTX_SW_TSTAMP,
  SOCK_CLOEXEC,
  SOCK_CUSTOM_SOCKOPT,
  SOCK_MAX,
  SOCK_NONBLOCK,
  SOCK_PACKET,
  SOCK_RCVMARK,
  SOCK_RCVTSTAMP,
  SOCK_RCVTSTAMPNS,
  SOCK_RXQ_OVFL,
  SOCK_SEQPACKET,
  SOCK_TSTAMP_NEW,
  SOCK_TYPE_MASK,
  SOCKWQ_ASYNC_NOSPACE,
  SOCKWQ_ASYNC_WAITDATA,
  SS_UNCONNECTED,
} from '../include/generated/enums.ts'
import {
  EAFNOSUPPORT,
  EAGAIN,
  EBADF,
  ECONNABORTED,
  EEXIST,
  EFAULT,
  EINVAL,
  EMSGSIZE,
  ENFILE,
  ENOBUFS,
  ENOTSOCK,
  EOPNOTSUPP,
  ESPIPE,
} from '../include/linux/errno.ts'
import { SKB_EXT_ERR } from '../include/linux/errqueue.ts'
import {
  type cred,
  FMODE_NOWAIT,
  type file,
  type file_operations,
  IOCB_NOWAIT,
  inode,
  type kiocb,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  S_IFSOCK,
  S_IRWXUGO,
  super_block,
  type super_operations,
  vfsmount,
} from '../include/linux/fs.ts'
import { core_initcall } from '../include/linux/init.ts'
import {
  type net_proto_family,
  SOCK_INODE,
  SOCK_WAKE_IO,
  SOCK_WAKE_SPACE,
  SOCK_WAKE_URG,
  SOCK_WAKE_WAITD,
  SOCKADDR_STORAGE_SIZE,
  SOCKET_I,
  sockaddr,
  socket,
  type socket_wq,
} from '../include/linux/net.ts'
import {
  SOF_TIMESTAMPING_BIND_PHC,
  SOF_TIMESTAMPING_OPT_RX_FILTER,
  SOF_TIMESTAMPING_RX_SOFTWARE,
  SOF_TIMESTAMPING_SOFTWARE,
  SOF_TIMESTAMPING_TX_HARDWARE,
  SOF_TIMESTAMPING_TX_SCHED,
  SOF_TIMESTAMPING_TX_SOFTWARE,
} from '../include/linux/net_tstamp.ts'
import type { pipe_inode_info } from '../include/linux/pipe_fs_i.ts'
import type { sk_buff } from '../include/linux/skbuff.ts'
import { GFP_KERNEL, type kmem_cache, SLAB_ACCOUNT, SLAB_HWCACHE_ALIGN, SLAB_RECLAIM_ACCOUNT } from '../include/linux/slab.ts'
import {
  msg_data_left,
  msghdr,
  NPROTO,
  PF_INET,
  PF_PACKET,
  SIZEOF_CMSGHDR,
  SIZEOF_MMSGHDR,
  SIZEOF_USER_MSGHDR,
  SO_MARK,
  SO_RXQ_OVFL,
  SO_TIMESTAMP_NEW,
  SO_TIMESTAMP_OLD,
  SO_TIMESTAMPING_NEW,
  SO_TIMESTAMPING_OLD,
  SO_TIMESTAMPNS_NEW,
  SO_TIMESTAMPNS_OLD,
  SOL_SOCKET,
  USER_MSGHDR_CONTROLLEN,
  USER_MSGHDR_FLAGS,
  USER_MSGHDR_NAMELEN,
  type user_msghdr,
} from '../include/linux/socket.ts'
import { spinlock_t } from '../include/linux/spinlock.ts'
import { INT_MAX, IS_ERR, NSEC_PER_SEC, type ref, U32_MAX } from '../include/linux/types.ts'
import {
  ITER_DEST,
  ITER_SOURCE,
  type iov_iter,
  iov_iter_count,
  type iovec,
  type kvec,
  UIO_FASTIOV,
  UIO_MAXIOV,
} from '../include/linux/uio.ts'
import type { net } from '../include/net/net_namespace.ts'
import type { proto_accept_arg, sock } from '../include/net/sock.ts'
import { down_write, up_write } from '../kernel/locking/rwsem.ts'
import { spin_lock, spin_unlock } from '../kernel/locking/spinlock.ts'
import { request_module } from '../kernel/module/kmod.ts'
import { __module_get, module_put, try_module_get } from '../kernel/module/main.ts'
import { rcu_read_lock, rcu_read_unlock } from '../kernel/rcu.ts'
import { cond_resched, current } from '../kernel/sched/core.ts'
import { init_waitqueue_head } from '../kernel/sched/wait.ts'
import { import_iovec, import_ubuf, iov_iter_kvec } from '../lib/iov_iter.ts'
import { _copy_from_user, copy_from_user, copy_to_user, get_user, put_user } from '../lib/usercopy.ts'
import { kfree, kmem_cache_alloc_lru_noprof, kmem_cache_create, kmem_cache_free } from '../mm/slub.ts'
import {
  security_socket_accept,
  security_socket_bind,
  security_socket_connect,
  security_socket_create,
  security_socket_getpeername,
  security_socket_getsockname,
  security_socket_getsockopt,
  security_socket_listen,
  security_socket_post_create,
  security_socket_recvmsg,
  security_socket_sendmsg,
  security_socket_setsockopt,
  security_socket_shutdown,
  security_socket_socketpair,
} from '../security/security.ts'
import { put_cmsg } from './core/scm.ts'
import { __net_timestamp } from './core/skbuff.ts'
import {
  lock_sock,
  release_sock,
  sk_getsockopt,
  sock_error,
  sock_flag,
  sock_kfree_s,
  sock_kmalloc,
  sock_net,
  sock_recv_timestamp,
  sock_setsockopt,
} from './core/sock.ts'

const SCM_TIMESTAMPING_OPT_STATS = 54
const CTL_ON_STACK = SIZEOF_CMSGHDR + 20

let net_families: (net_proto_family | null)[] = []
const net_family_lock = new spinlock_t()
let sock_inode_cachep: kmem_cache
let sock_mnt: vfsmount
let sockets = 0

// ----------------------------------------------------------------------------- addresses and user memory

/** copies an address of `ulen` bytes from user memory; EINVAL for a length that no address has, EFAULT */
export const move_addr_to_kernel = kfunc('move_addr_to_kernel', (uaddr: number, ulen: number, kaddr: sockaddr): number => {
  if (ulen < 0 || ulen > SOCKADDR_STORAGE_SIZE) return -EINVAL
  if (ulen === 0) return 0
  if (copy_from_user(kaddr.bytes, uaddr, ulen)) return -EFAULT
  return 0
})

/** copies an address to the user and its full length over the length that the user gave room for */
const move_addr_to_user = kfunc('move_addr_to_user', (kaddr: sockaddr, klen: number, uaddr: number, ulen: number): number => {
  const given = get_user(ulen, 4)
  if (given === -1) return -EFAULT
  const len = Math.min(given | 0, klen)
  if (len < 0) return -EINVAL
  if (len && copy_to_user(uaddr, kaddr.bytes, len)) return -EFAULT
  return put_user(klen, ulen, 4)
})

// ----------------------------------------------------------------------------- sockfs

const sock_alloc_inode = kfunc('sock_alloc_inode', (sb: super_block): inode | null => {
  kmem_cache_alloc_lru_noprof(sock_inode_cachep, null, GFP_KERNEL)
  const i = new inode()
  const sock = new socket()
  init_waitqueue_head(sock.wq.wait)
  sock.state = SS_UNCONNECTED
  sock.inode = i
  sock.kaddr = 0xffff888040000000 + ++sockets * 0x1000
  i.i_private = sock
  return i
})

const sock_free_inode = kfunc('sock_free_inode', (inode: inode): void => kmem_cache_free(sock_inode_cachep, inode))

const sockfs_ops: super_operations = { alloc_inode: sock_alloc_inode, free_inode: sock_free_inode }
const sockfs_dentry_operations = { d_dname: (d: { d_inode: inode | null }) => `socket:[${d.d_inode?.i_ino ?? 0}]` }

const socket_file_ops: file_operations = { name: 'socket_file_ops' }

/** opens a file for the socket; on failure the socket is released */
export const sock_alloc_file = kfunc('sock_alloc_file', (sock: socket, flags: number, dname: string | null): file | number => {
  const file = alloc_file_pseudo(
    SOCK_INODE(sock),
    sock_mnt,
    dname ?? sock.sk?.sk_prot_creator.name ?? '',
    O_RDWR | (flags & O_NONBLOCK),
    socket_file_ops,
  )
  if (IS_ERR(file)) {
    sock_release(sock)
    return file
  }
  file.f_mode |= FMODE_NOWAIT
  sock.file = file
  file.private_data = sock
  stream_open(SOCK_INODE(sock), file)
  return file
})

const sock_map_fd = kfunc('sock_map_fd', (sock: socket, flags: number): number => {
  const fd = get_unused_fd_flags(flags)
  if (fd < 0) {
    sock_release(sock)
    return fd
  }
  const newfile = sock_alloc_file(sock, flags, null)
  if (!IS_ERR(newfile)) {
    fd_install(fd, newfile)
    return fd
  }
  put_unused_fd(fd)
  return newfile
})

/** the socket of an open file; null when it is something else */
export const sock_from_file = kfunc('sock_from_file', (file: file): socket | null =>
  file.f_op === socket_file_ops ? (file.private_data as socket) : null,
)

export const sock_alloc = kfunc('sock_alloc', (): socket | null => {
  const i = new_inode_pseudo(sock_mnt.mnt_sb)
  if (i === null) return null
  const sock = SOCKET_I(i)
  i.i_ino = get_next_ino()
  i.i_mode = S_IFSOCK | S_IRWXUGO
  const cred = current.cred as cred | null
  i.i_uid = cred?.fsuid ?? 0
  i.i_gid = cred?.fsgid ?? 0
  return sock
})

const __sock_release = kfunc('__sock_release', (sock: socket, inode: inode | null): void => {
  const { ops } = sock
  if (ops !== null) {
    const { owner } = ops
    if (inode !== null) down_write(inode.i_rwsem)
    if (tracer.on) traceIndirect('sock->ops->release', nameOf(ops.release))
    ops.release(sock)
    sock.sk = null
    if (inode !== null) up_write(inode.i_rwsem)
    sock.ops = null
    module_put(owner)
  }
  if (sock.file === null) {
    iput(SOCK_INODE(sock))
    return
  }
  sock.file = null
})

export const sock_release = kfunc('sock_release', (sock: socket): void => __sock_release(sock, null))

const sock_close = kfunc('sock_close', (inode: inode, filp: file): number => {
  __sock_release(SOCKET_I(inode), inode)
  return 0
})

// ----------------------------------------------------------------------------- sending and receiving

const sock_sendmsg_nosec = kfunc('sock_sendmsg_nosec', (sock: socket, msg: msghdr): number => {
  const { ops } = sock
  if (ops === null) return -EOPNOTSUPP
  if (tracer.on) traceIndirect('sock->ops->sendmsg', nameOf(ops.sendmsg))
  const ret = ops.sendmsg(sock, msg, msg_data_left(msg))
  if (tracer.on && sock.sk !== null)
    tracepoint('sock', 'sock_send_length', {
      sk: sock.sk.kaddr,
      family: sock.sk.sk_family,
      protocol: sock.sk.sk_protocol,
      ret,
      flags: 0,
    })
  return ret
})

const __sock_sendmsg = kfunc('__sock_sendmsg', (sock: socket, msg: msghdr): number => {
  const err = security_socket_sendmsg(sock, msg, msg_data_left(msg))
  return err ? err : sock_sendmsg_nosec(sock, msg)
})

export const sock_sendmsg = kfunc('sock_sendmsg', (sock: socket, msg: msghdr): number => {
  const save_addr = msg.msg_name
  const save_len = msg.msg_namelen
  if (save_addr !== null) {
    const address = new sockaddr()
    address.copy(save_addr)
    msg.msg_name = address
  }
  const ret = __sock_sendmsg(sock, msg)
  msg.msg_name = save_addr
  msg.msg_namelen = save_len
  return ret
})

export const kernel_sendmsg = kfunc(
  'kernel_sendmsg',
  (sock: socket, msg: msghdr, vec: kvec[], num: number, size: number): number => {
    iov_iter_kvec(msg.msg_iter, ITER_SOURCE, vec, num, size)
    return sock_sendmsg(sock, msg)
  },
)

const sock_recvmsg_nosec = kfunc('sock_recvmsg_nosec', (sock: socket, msg: msghdr, flags: number): number => {
  const { ops } = sock
  if (ops === null) return -EOPNOTSUPP
  if (tracer.on) traceIndirect('sock->ops->recvmsg', nameOf(ops.recvmsg))
  const ret = ops.recvmsg(sock, msg, msg_data_left(msg), flags)
  if (tracer.on && sock.sk !== null)
    tracepoint('sock', 'sock_recv_length', {
      sk: sock.sk.kaddr,
      family: sock.sk.sk_family,
      protocol: sock.sk.sk_protocol,
      ret,
      flags,
    })
  return ret
})

export const sock_recvmsg = kfunc('sock_recvmsg', (sock: socket, msg: msghdr, flags: number): number => {
  const err = security_socket_recvmsg(sock, msg, msg_data_left(msg), flags)
  return err ? err : sock_recvmsg_nosec(sock, msg, flags)
})

export const kernel_recvmsg = kfunc(
  'kernel_recvmsg',
  (sock: socket, msg: msghdr, vec: kvec[], num: number, size: number, flags: number): number => {
    msg.msg_control_is_user = false
    iov_iter_kvec(msg.msg_iter, ITER_DEST, vec, num, size)
    return sock_recvmsg(sock, msg, flags)
  },
)

const sock_splice_read = kfunc(
  'sock_splice_read',
  (file: file, ppos: ref<number> | null, pipe: pipe_inode_info, len: number, flags: number): number => {
    const sock = file.private_data as socket
    const splice_read = sock.ops?.splice_read
    if (!splice_read) return -EINVAL
    return splice_read(sock, ppos, pipe, len, flags)
  },
)

const sock_splice_eof = kfunc('sock_splice_eof', (file: file): void => {
  const sock = file.private_data as socket
  sock.ops?.splice_eof?.(sock)
})

const sock_read_iter = kfunc('sock_read_iter', (iocb: kiocb, to: iov_iter): number => {
  const file = iocb.ki_filp
  const sock = file.private_data as socket
  const msg = new msghdr()
  msg.msg_iter.assign(to)
  msg.msg_iocb = iocb
  if (file.f_flags & O_NONBLOCK || iocb.ki_flags & IOCB_NOWAIT) msg.msg_flags = MSG_DONTWAIT
  if (iocb.ki_pos !== 0) return -ESPIPE
  if (!iov_iter_count(to)) return 0
  const res = sock_recvmsg(sock, msg, msg.msg_flags)
  to.assign(msg.msg_iter)
  return res
})

const sock_write_iter = kfunc('sock_write_iter', (iocb: kiocb, from: iov_iter): number => {
  const file = iocb.ki_filp
  const sock = file.private_data as socket
  const msg = new msghdr()
  msg.msg_iter.assign(from)
  msg.msg_iocb = iocb
  if (iocb.ki_pos !== 0) return -ESPIPE
  if (file.f_flags & O_NONBLOCK || iocb.ki_flags & IOCB_NOWAIT) msg.msg_flags = MSG_DONTWAIT
  if (sock.type === SOCK_SEQPACKET) msg.msg_flags |= MSG_EOR
  const res = __sock_sendmsg(sock, msg)
  from.assign(msg.msg_iter)
  return res
})

const sock_fasync = kfunc('sock_fasync', (fd: number, filp: file, on: number): number => {
  const { sk } = filp.private_data as socket
  if (sk === null) return -EINVAL
  lock_sock(sk)
  release_sock(sk)
  return 0
})

/** tells processes that asked for signals (F_SETOWN); none of the simulation does, so the list is always empty */
export const sock_wake_async = kfunc('sock_wake_async', (wq: socket_wq | null, how: number, band: number): number => {
  if (wq === null || wq.fasync_list === null) return -1
  switch (how) {
    case SOCK_WAKE_WAITD:
      if (wq.flags & (1 << SOCKWQ_ASYNC_WAITDATA)) break
      break
    case SOCK_WAKE_SPACE:
      wq.flags &= ~(1 << SOCKWQ_ASYNC_NOSPACE)
      break
    case SOCK_WAKE_IO:
    case SOCK_WAKE_URG:
      break
  }
  return 0
})

// ----------------------------------------------------------------------------- time stamps

/** which time stamps a packet is to collect: bits of SOF_TIMESTAMPING_* to bits of SKBTX_* */
export const __sock_tx_timestamp = kfunc('__sock_tx_timestamp', (tsflags: number, tx_flags: ref<number>): void => {
  let flags = tx_flags.v
  if (tsflags & SOF_TIMESTAMPING_TX_HARDWARE) {
    flags |= SKBTX_HW_TSTAMP
    if (tsflags & SOF_TIMESTAMPING_BIND_PHC) flags |= SKBTX_HW_TSTAMP_USE_CYCLES
  }
  if (tsflags & SOF_TIMESTAMPING_TX_SOFTWARE) flags |= SKBTX_SW_TSTAMP
  if (tsflags & SOF_TIMESTAMPING_TX_SCHED) flags |= SKBTX_SCHED_TSTAMP
  tx_flags.v = flags
})

/** two 64-bit numbers: struct timespec, or struct timeval when `unit` is 1000 */
function put_time(v: Uint8Array, at: number, ns: number, unit: number): void {
  const view = new DataView(v.buffer)
  view.setBigInt64(at, BigInt(Math.floor(ns / NSEC_PER_SEC)), true)
  view.setBigInt64(at + 8, BigInt(Math.floor((ns % NSEC_PER_SEC) / unit)), true)
}

export const __sock_recv_timestamp = kfunc('__sock_recv_timestamp', (msg: msghdr, sk: sock, skb: sk_buff): void => {
  const need_software_tstamp = sock_flag(sk, SOCK_RCVTSTAMP)
  const new_tstamp = sock_flag(sk, SOCK_TSTAMP_NEW)
  const tsflags = sk.sk_tsflags
  if (need_software_tstamp && skb.tstamp === 0) __net_timestamp(skb)
  if (need_software_tstamp) {
    const v = new Uint8Array(16)
    if (!sock_flag(sk, SOCK_RCVTSTAMPNS)) {
      put_time(v, 0, skb.tstamp, 1000)
      put_cmsg(msg, SOL_SOCKET, new_tstamp ? SO_TIMESTAMP_NEW : SO_TIMESTAMP_OLD, 16, v)
    } else {
      put_time(v, 0, skb.tstamp, 1)
      put_cmsg(msg, SOL_SOCKET, new_tstamp ? SO_TIMESTAMPNS_NEW : SO_TIMESTAMPNS_OLD, 16, v)
    }
  }
  if (
    tsflags & SOF_TIMESTAMPING_SOFTWARE &&
    (tsflags & SOF_TIMESTAMPING_RX_SOFTWARE || skb_is_err_queue(skb) || !(tsflags & SOF_TIMESTAMPING_OPT_RX_FILTER)) &&
    skb.tstamp
  ) {
    const tss = new Uint8Array(48)
    put_time(tss, 0, skb.tstamp, 1)
    put_cmsg(msg, SOL_SOCKET, new_tstamp ? SO_TIMESTAMPING_NEW : SO_TIMESTAMPING_OLD, 48, tss)
    if (skb_is_err_queue(skb) && skb.len && SKB_EXT_ERR(skb).opt_stats)
      put_cmsg(msg, SOL_SOCKET, SCM_TIMESTAMPING_OPT_STATS, skb.len, skb.bytes.subarray(skb.data, skb.tail))
  }
})

const skb_is_err_queue = kfunc('skb_is_err_queue', (skb: sk_buff): boolean => skb.pkt_type === PACKET_OUTGOING)

/** there is no wireless card */
export const __sock_recv_wifi_status = kfunc('__sock_recv_wifi_status', (msg: msghdr, sk: sock, skb: sk_buff): void => {})

const sock_recv_drops = kfunc('sock_recv_drops', (msg: msghdr, sk: sock, skb: sk_buff): void => {
  if (sock_flag(sk, SOCK_RXQ_OVFL) && sk.sk_drops) put_cmsg(msg, SOL_SOCKET, SO_RXQ_OVFL, 4, le32(sk.sk_drops))
})

const sock_recv_mark = kfunc('sock_recv_mark', (msg: msghdr, sk: sock, skb: sk_buff): void => {
  if (sock_flag(sk, SOCK_RCVMARK)) put_cmsg(msg, SOL_SOCKET, SO_MARK, 4, le32(skb.mark))
})

function le32(x: number): Uint8Array {
  const b = new Uint8Array(4)
  new DataView(b.buffer).setUint32(0, x, true)
  return b
}

export const __sock_recv_cmsgs = kfunc('__sock_recv_cmsgs', (msg: msghdr, sk: sock, skb: sk_buff): void => {
  sock_recv_timestamp(msg, sk, skb)
  sock_recv_drops(msg, sk, skb)
  sock_recv_mark(msg, sk, skb)
})

// ----------------------------------------------------------------------------- socket, socketpair

export const __sock_create = kfunc(
  '__sock_create',
  (net: net, fam: number, type: number, protocol: number, res: ref<socket | null>, kern: number): number => {
    let family = fam
    if (family < 0 || family >= NPROTO) return -EAFNOSUPPORT
    if (type < 0 || type >= SOCK_MAX) return -EINVAL
    if (family === PF_INET && type === SOCK_PACKET) family = PF_PACKET

    let err = security_socket_create(family, type, protocol, kern)
    if (err) return err
    const sock = sock_alloc()
    if (sock === null) return -ENFILE
    sock.type = type

    if (!net_families[family]) request_module(`net-pf-${family}`)
    rcu_read_lock()
    const pf = net_families[family] ?? null
    if (pf === null || !try_module_get(pf.owner)) {
      rcu_read_unlock()
      sock_release(sock)
      return -EAFNOSUPPORT
    }
    rcu_read_unlock()

    if (tracer.on) traceIndirect('pf->create', nameOf(pf.create))
    err = pf.create(net, sock, protocol, kern)
    if (err < 0) {
      sock.sk = null
      sock.ops = null
      module_put(pf.owner)
      sock_release(sock)
      return err
    }
    try_module_get(sock.ops?.owner)
    module_put(pf.owner)
    err = security_socket_post_create(sock, family, type, protocol, kern)
    if (err) {
      sock_release(sock)
      return err
    }
    res.v = sock
    return 0
  },
)

export const sock_create = kfunc(
  'sock_create',
  (family: number, type: number, protocol: number, res: ref<socket | null>): number =>
    __sock_create(current.net, family, type, protocol, res, 0),
)

export const sock_create_kern = kfunc(
  'sock_create_kern',
  (net: net, family: number, type: number, protocol: number, res: ref<socket | null>): number =>
    __sock_create(net, family, type, protocol, res, 1),
)

/** bind(2) and shutdown(2) of a socket of the kernel's own */
export const kernel_bind = kfunc('kernel_bind', (sock: socket, addr: sockaddr, addrlen: number): number => {
  const bind = sock.ops?.bind
  if (bind === undefined) return -EOPNOTSUPP
  if (tracer.on) traceIndirect('sock->ops->bind', nameOf(bind))
  return bind(sock, addr, addrlen)
})
export const kernel_sock_shutdown = kfunc('kernel_sock_shutdown', (sock: socket, how: number): number => {
  const shutdown = sock.ops?.shutdown
  if (shutdown === undefined) return -EOPNOTSUPP
  if (tracer.on) traceIndirect('sock->ops->shutdown', nameOf(shutdown))
  return shutdown(sock, how)
})

const __sys_socket_create = kfunc('__sys_socket_create', (family: number, type: number, protocol: number): socket | number => {
  if (type & ~SOCK_TYPE_MASK & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) return -EINVAL
  const sock: ref<socket | null> = { v: null }
  const retval = sock_create(family, type & SOCK_TYPE_MASK, protocol, sock)
  return retval < 0 || sock.v === null ? retval : sock.v
})

/** a place for BPF programs to change the protocol */
const update_socket_protocol = kfunc(
  'update_socket_protocol',
  (family: number, type: number, protocol: number): number => protocol,
)

export const __sys_socket = kfunc('__sys_socket', (family: number, type: number, protocol: number): number => {
  const sock = __sys_socket_create(family, type, update_socket_protocol(family, type, protocol))
  if (IS_ERR(sock)) return sock
  return sock_map_fd(sock, type & ~SOCK_TYPE_MASK & (O_CLOEXEC | O_NONBLOCK))
})

export const __sys_socketpair = kfunc(
  '__sys_socketpair',
  (family: number, typ: number, protocol: number, usockvec: number): number => {
    const flags = typ & ~SOCK_TYPE_MASK
    if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) return -EINVAL
    const type = typ & SOCK_TYPE_MASK

    const fd1 = get_unused_fd_flags(flags)
    if (fd1 < 0) return fd1
    const fd2 = get_unused_fd_flags(flags)
    if (fd2 < 0) {
      put_unused_fd(fd1)
      return fd2
    }
    const err = socketpair_on(fd1, fd2, family, type, flags, protocol, usockvec)
    if (err) {
      put_unused_fd(fd2)
      put_unused_fd(fd1)
    }
    return err
  },
)

function socketpair_on(
  fd1: number,
  fd2: number,
  family: number,
  type: number,
  flags: number,
  protocol: number,
  usockvec: number,
): number {
  const s1: ref<socket | null> = { v: null }
  const s2: ref<socket | null> = { v: null }
  let err = put_user(fd1, usockvec, 4)
  if (err) return err
  err = put_user(fd2, usockvec + 4, 4)
  if (err) return err
  err = sock_create(family, type, protocol, s1)
  if (err < 0 || s1.v === null) return err
  const sock1 = s1.v
  err = sock_create(family, type, protocol, s2)
  if (err < 0 || s2.v === null) {
    sock_release(sock1)
    return err
  }
  const sock2 = s2.v
  err = security_socket_socketpair(sock1, sock2)
  if (!err && sock1.ops !== null) {
    if (tracer.on) traceIndirect('sock->ops->socketpair', nameOf(sock1.ops.socketpair))
    err = sock1.ops.socketpair(sock1, sock2)
  }
  if (err) {
    sock_release(sock2)
    sock_release(sock1)
    return err
  }
  const newfile1 = sock_alloc_file(sock1, flags, null)
  if (IS_ERR(newfile1)) {
    sock_release(sock2)
    return newfile1
  }
  const newfile2 = sock_alloc_file(sock2, flags, null)
  if (IS_ERR(newfile2)) {
    fput(newfile1)
    return newfile2
  }
  fd_install(fd1, newfile1)
  fd_install(fd2, newfile2)
  return 0
}

// ----------------------------------------------------------------------------- bind, listen, accept, connect, names

const __sys_bind_socket = kfunc('__sys_bind_socket', (sock: socket, address: sockaddr, addrlen: number): number => {
  const err = security_socket_bind(sock, address, addrlen)
  if (err || sock.ops === null) return err
  if (tracer.on) traceIndirect('sock->ops->bind', nameOf(sock.ops.bind))
  return sock.ops.bind(sock, address, addrlen)
})

export const __sys_bind = kfunc('__sys_bind', (fd: number, umyaddr: number, addrlen: number): number => {
  const f = class_fd_constructor(fd)
  if (f === null) return -EBADF
  const sock = sock_from_file(f)
  let err = -ENOTSOCK
  if (sock !== null) {
    const address = new sockaddr()
    err = move_addr_to_kernel(umyaddr, addrlen, address)
    if (!err) err = __sys_bind_socket(sock, address, addrlen)
  }
  class_fd_destructor(f)
  return err
})

const __sys_listen_socket = kfunc('__sys_listen_socket', (sock: socket, backlog: number): number => {
  if (sock.sk === null || sock.ops === null) return -EINVAL
  const somaxconn = sock_net(sock.sk).core.sysctl_somaxconn
  const n = backlog >>> 0 > somaxconn ? somaxconn : backlog
  const err = security_socket_listen(sock, n)
  if (err) return err
  if (tracer.on) traceIndirect('sock->ops->listen', nameOf(sock.ops.listen))
  return sock.ops.listen(sock, n)
})

export const __sys_listen = kfunc('__sys_listen', (fd: number, backlog: number): number => {
  const f = class_fd_constructor(fd)
  if (f === null) return -EBADF
  const sock = sock_from_file(f)
  const err = sock === null ? -ENOTSOCK : __sys_listen_socket(sock, backlog)
  class_fd_destructor(f)
  return err
})

export const do_accept = kfunc(
  'do_accept',
  (file: file, arg: proto_accept_arg, upeer_sockaddr: number, upeer_addrlen: number, flags: number): file | number => {
    const sock = sock_from_file(file)
    if (sock === null) return -ENOTSOCK
    const newsock = sock_alloc()
    if (newsock === null) return -ENFILE
    const { ops, sk } = sock
    if (ops === null || sk === null) return -EINVAL
    newsock.type = sock.type
    newsock.ops = ops
    __module_get(ops.owner)

    const newfile = sock_alloc_file(newsock, flags, sk.sk_prot_creator.name)
    if (IS_ERR(newfile)) return newfile
    let err = security_socket_accept(sock, newsock)
    if (!err) {
      arg.flags |= sock.file?.f_flags ?? 0
      if (tracer.on) traceIndirect('sock->ops->accept', nameOf(ops.accept))
      err = ops.accept(sock, newsock, arg)
    }
    if (err >= 0 && upeer_sockaddr) {
      const address = new sockaddr()
      const len = ops.getname(newsock, address, 2)
      err = len < 0 ? -ECONNABORTED : move_addr_to_user(address, len, upeer_sockaddr, upeer_addrlen)
    }
    if (err < 0) {
      fput(newfile)
      return err
    }
    return newfile
  },
)

const __sys_accept4_file = kfunc(
  '__sys_accept4_file',
  (file: file, upeer_sockaddr: number, upeer_addrlen: number, flags: number): number => {
    if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) return -EINVAL
    const newfd = get_unused_fd_flags(flags)
    if (newfd < 0) return newfd
    const arg: proto_accept_arg = { flags: 0, err: 0, is_empty: false, kern: false }
    const newfile = do_accept(file, arg, upeer_sockaddr, upeer_addrlen, flags)
    if (IS_ERR(newfile)) {
      put_unused_fd(newfd)
      return newfile
    }
    fd_install(newfd, newfile)
    return newfd
  },
)

export const __sys_accept4 = kfunc(
  '__sys_accept4',
  (fd: number, upeer_sockaddr: number, upeer_addrlen: number, flags: number): number => {
    const f = class_fd_constructor(fd)
    if (f === null) return -EBADF
    const ret = __sys_accept4_file(f, upeer_sockaddr, upeer_addrlen, flags)
    class_fd_destructor(f)
    return ret
  },
)

const __sys_connect_file = kfunc(
  '__sys_connect_file',
  (file: file, address: sockaddr, addrlen: number, file_flags: number): number => {
    const sock = sock_from_file(file)
    if (sock === null) return -ENOTSOCK
    const err = security_socket_connect(sock, address, addrlen)
    if (err || sock.ops === null) return err
    if (tracer.on) traceIndirect('sock->ops->connect', nameOf(sock.ops.connect))
    return sock.ops.connect(sock, address, addrlen, file.f_flags | file_flags)
  },
)

export const __sys_connect = kfunc('__sys_connect', (fd: number, uservaddr: number, addrlen: number): number => {
  const f = class_fd_constructor(fd)
  if (f === null) return -EBADF
  const address = new sockaddr()
  let ret = move_addr_to_kernel(uservaddr, addrlen, address)
  if (!ret) ret = __sys_connect_file(f, address, addrlen, 0)
  class_fd_destructor(f)
  return ret
})

export const __sys_getsockname = kfunc('__sys_getsockname', (fd: number, usockaddr: number, usockaddr_len: number): number => {
  const f = class_fd_constructor(fd)
  if (f === null) return -EBADF
  const sock = sock_from_file(f)
  let err = -ENOTSOCK
  if (sock !== null && sock.ops !== null) {
    err = security_socket_getsockname(sock)
    if (!err) {
      const address = new sockaddr()
      err = sock.ops.getname(sock, address, 0)
      if (err >= 0) err = move_addr_to_user(address, err, usockaddr, usockaddr_len)
    }
  }
  class_fd_destructor(f)
  return err
})

export const __sys_getpeername = kfunc('__sys_getpeername', (fd: number, usockaddr: number, usockaddr_len: number): number => {
  const f = class_fd_constructor(fd)
  if (f === null) return -EBADF
  const sock = sock_from_file(f)
  let err = -ENOTSOCK
  if (sock !== null && sock.ops !== null) {
    err = security_socket_getpeername(sock)
    if (!err) {
      const address = new sockaddr()
      err = sock.ops.getname(sock, address, 1)
      if (err >= 0) err = move_addr_to_user(address, err, usockaddr, usockaddr_len)
    }
  }
  class_fd_destructor(f)
  return err
})

// ----------------------------------------------------------------------------- send, recv

export const __sys_sendto = kfunc(
  '__sys_sendto',
  (fd: number, buff: number, len: number, uflags: number, addr: number, addr_len: number): number => {
    const msg = new msghdr()
    let err = import_ubuf(ITER_SOURCE, buff, len, msg.msg_iter)
    if (err) return err
    const f = class_fd_constructor(fd)
    if (f === null) return -EBADF
    const sock = sock_from_file(f)
    if (sock === null) {
      class_fd_destructor(f)
      return -ENOTSOCK
    }
    if (addr) {
      const address = new sockaddr()
      err = move_addr_to_kernel(addr, addr_len, address)
      if (err < 0) {
        class_fd_destructor(f)
        return err
      }
      msg.msg_name = address
      msg.msg_namelen = addr_len
    }
    let flags = uflags & ~MSG_INTERNAL_SENDMSG_FLAGS
    if (f.f_flags & O_NONBLOCK) flags |= MSG_DONTWAIT
    msg.msg_flags = flags
    err = __sock_sendmsg(sock, msg)
    class_fd_destructor(f)
    return err
  },
)

export const __sys_recvfrom = kfunc(
  '__sys_recvfrom',
  (fd: number, ubuf: number, size: number, uflags: number, addr: number, addr_len: number): number => {
    const msg = new msghdr()
    if (addr) msg.msg_name = new sockaddr()
    let err = import_ubuf(ITER_DEST, ubuf, size, msg.msg_iter)
    if (err) return err
    const f = class_fd_constructor(fd)
    if (f === null) return -EBADF
    const sock = sock_from_file(f)
    err = -ENOTSOCK
    if (sock !== null) {
      let flags = uflags
      if (f.f_flags & O_NONBLOCK) flags |= MSG_DONTWAIT
      err = sock_recvmsg(sock, msg, flags)
      if (err >= 0 && msg.msg_name !== null) {
        const err2 = move_addr_to_user(msg.msg_name, msg.msg_namelen, addr, addr_len)
        if (err2 < 0) err = err2
      }
    }
    class_fd_destructor(f)
    return err
  },
)

// ----------------------------------------------------------------------------- socket options

const sock_use_custom_sol_socket = kfunc(
  'sock_use_custom_sol_socket',
  (sock: socket): boolean => (sock.flags & (1 << SOCK_CUSTOM_SOCKOPT)) !== 0,
)

/** longest value that any option takes */
const OPTLEN_MAX = 65536

export const do_sock_setsockopt = kfunc(
  'do_sock_setsockopt',
  (sock: socket, compat: boolean, level: number, optname: number, user_optval: number, optlen: number): number => {
    if (optlen < 0) return -EINVAL
    let err = security_socket_setsockopt(sock, level, optname)
    if (err) return err
    const { ops } = sock
    // the options read user memory themselves in Linux; too short a value is told before a bad address
    const optval = new Uint8Array(Math.min(optlen, OPTLEN_MAX))
    if (optval.length && _copy_from_user(optval, user_optval, optval.length) && optlen >= 4) err = -EFAULT
    else if (level === SOL_SOCKET && !sock_use_custom_sol_socket(sock))
      err = sock_setsockopt(sock, level, optname, optval, optlen)
    else if (!ops?.setsockopt) err = -EOPNOTSUPP
    else {
      if (tracer.on) traceIndirect('sock->ops->setsockopt', nameOf(ops.setsockopt))
      err = ops.setsockopt(sock, level, optname, optval, optlen)
    }
    kfree(null)
    return err
  },
)

export const __sys_setsockopt = kfunc(
  '__sys_setsockopt',
  (fd: number, level: number, optname: number, user_optval: number, optlen: number): number => {
    const f = class_fd_constructor(fd)
    if (f === null) return -EBADF
    const sock = sock_from_file(f)
    const err = sock === null ? -ENOTSOCK : do_sock_setsockopt(sock, false, level, optname, user_optval, optlen)
    class_fd_destructor(f)
    return err
  },
)

export const do_sock_getsockopt = kfunc(
  'do_sock_getsockopt',
  (sock: socket, compat: boolean, level: number, optname: number, user_optval: number, user_optlen: number): number => {
    let err = security_socket_getsockopt(sock, level, optname)
    if (err) return err
    const room = get_user(user_optlen, 4)
    if (room === -1) return -EFAULT
    const optlen = { v: room | 0 }
    if (optlen.v < 0) return -EINVAL
    const { ops, sk } = sock
    if (level === SOL_SOCKET && sk !== null) err = sk_getsockopt(sk, level, optname, user_optval, optlen)
    else if (ops?.getsockopt) {
      if (tracer.on) traceIndirect('sock->ops->getsockopt', nameOf(ops.getsockopt))
      err = ops.getsockopt(sock, level, optname, user_optval, optlen)
    } else err = -EOPNOTSUPP
    if (err < 0) return err
    return put_user(optlen.v, user_optlen, 4) ? -EFAULT : err
  },
)

export const __sys_getsockopt = kfunc(
  '__sys_getsockopt',
  (fd: number, level: number, optname: number, optval: number, optlen: number): number => {
    const f = class_fd_constructor(fd)
    if (f === null) return -EBADF
    const sock = sock_from_file(f)
    const err = sock === null ? -ENOTSOCK : do_sock_getsockopt(sock, false, level, optname, optval, optlen)
    class_fd_destructor(f)
    return err
  },
)

const __sys_shutdown_sock = kfunc('__sys_shutdown_sock', (sock: socket, how: number): number => {
  const err = security_socket_shutdown(sock, how)
  if (err || sock.ops === null) return err
  if (tracer.on) traceIndirect('sock->ops->shutdown', nameOf(sock.ops.shutdown))
  return sock.ops.shutdown(sock, how)
})

export const __sys_shutdown = kfunc('__sys_shutdown', (fd: number, how: number): number => {
  const f = class_fd_constructor(fd)
  if (f === null) return -EBADF
  const sock = sock_from_file(f)
  const err = sock === null ? -ENOTSOCK : __sys_shutdown_sock(sock, how)
  class_fd_destructor(f)
  return err
})

// ----------------------------------------------------------------------------- sendmsg, recvmsg

interface used_address {
  name: sockaddr
  name_len: number
}

/** null for `save_addr` where the address is to be sent to, and is read at once */
const __copy_msghdr = kfunc('__copy_msghdr', (kmsg: msghdr, msg: user_msghdr, save_addr: ref<number> | null): number => {
  kmsg.msg_control_is_user = true
  kmsg.msg_get_inq = 0
  kmsg.msg_control_user = msg.msg_control
  kmsg.msg_control = null
  kmsg.msg_controllen = msg.msg_controllen
  kmsg.msg_flags = msg.msg_flags

  kmsg.msg_namelen = msg.msg_name ? msg.msg_namelen : 0
  if (kmsg.msg_namelen < 0) return -EINVAL
  if (kmsg.msg_namelen > SOCKADDR_STORAGE_SIZE) kmsg.msg_namelen = SOCKADDR_STORAGE_SIZE
  if (save_addr !== null) save_addr.v = msg.msg_name

  if (msg.msg_name && kmsg.msg_namelen) {
    if (save_addr === null && kmsg.msg_name !== null) {
      const err = move_addr_to_kernel(msg.msg_name, kmsg.msg_namelen, kmsg.msg_name)
      if (err < 0) return err
    }
  } else {
    kmsg.msg_name = null
    kmsg.msg_namelen = 0
  }
  if (msg.msg_iovlen > UIO_MAXIOV) return -EMSGSIZE
  kmsg.msg_iocb = null
  kmsg.msg_ubuf = null
  return 0
})

const umsg_bytes = new Uint8Array(SIZEOF_USER_MSGHDR)
const umsg_view = new DataView(umsg_bytes.buffer)
const u64At = (offset: number): number => Number(umsg_view.getBigUint64(offset, true))

const copy_msghdr_from_user = kfunc(
  'copy_msghdr_from_user',
  (kmsg: msghdr, umsg: number, save_addr: ref<number> | null, iov: ref<iovec[] | null>): number => {
    if (_copy_from_user(umsg_bytes, umsg, SIZEOF_USER_MSGHDR)) return -EFAULT
    const msg: user_msghdr = {
      msg_name: u64At(0),
      msg_namelen: umsg_view.getInt32(8, true),
      msg_iov: u64At(16),
      msg_iovlen: u64At(24),
      msg_control: u64At(32),
      msg_controllen: u64At(40),
      msg_flags: umsg_view.getUint32(48, true),
    }
    let err = __copy_msghdr(kmsg, msg, save_addr)
    if (err) return err
    err = import_iovec(save_addr ? ITER_DEST : ITER_SOURCE, msg.msg_iov, msg.msg_iovlen, UIO_FASTIOV, iov, kmsg.msg_iter)
    return Math.min(err, 0)
  },
)

function same_address(used: used_address, msg: msghdr): boolean {
  if (msg.msg_name === null || used.name_len !== msg.msg_namelen) return false
  for (let i = 0; i < used.name_len; i++) if (used.name.bytes[i] !== msg.msg_name.bytes[i]) return false
  return true
}

const ____sys_sendmsg = kfunc(
  '____sys_sendmsg',
  (sock: socket, msg_sys: msghdr, uflags: number, used_address: used_address | null, allowed_msghdr_flags: number): number => {
    let ctl_buf: Uint8Array | null = null
    if (msg_sys.msg_controllen > INT_MAX) return -ENOBUFS
    let flags = uflags | (msg_sys.msg_flags & allowed_msghdr_flags)
    const ctl_len = msg_sys.msg_controllen
    let err: number

    if (ctl_len) {
      let ctl: Uint8Array
      if (ctl_len > CTL_ON_STACK) {
        const kept = sock.sk === null ? null : sock_kmalloc(sock.sk, ctl_len, GFP_KERNEL)
        if (kept === null) return -ENOBUFS
        ctl = ctl_buf = new Uint8Array(ctl_len)
      } else ctl = new Uint8Array(ctl_len)
      if (copy_from_user(ctl, msg_sys.msg_control_user, ctl_len)) {
        if (ctl_buf !== null && sock.sk !== null) sock_kfree_s(sock.sk, ctl_buf, ctl_len)
        return -EFAULT
      }
      msg_sys.msg_control = ctl
      msg_sys.msg_control_is_user = false
    }
    flags &= ~MSG_INTERNAL_SENDMSG_FLAGS
    msg_sys.msg_flags = flags
    if ((sock.file?.f_flags ?? 0) & O_NONBLOCK) msg_sys.msg_flags |= MSG_DONTWAIT

    // sendmmsg() to the same destination again: the security modules have been asked already
    if (used_address !== null && same_address(used_address, msg_sys)) err = sock_sendmsg_nosec(sock, msg_sys)
    else {
      err = __sock_sendmsg(sock, msg_sys)
      if (used_address !== null && err >= 0) {
        used_address.name_len = msg_sys.msg_namelen
        if (msg_sys.msg_name !== null) used_address.name.copy(msg_sys.msg_name)
      }
    }
    if (ctl_buf !== null && sock.sk !== null) sock_kfree_s(sock.sk, ctl_buf, ctl_len)
    return err
  },
)

const sendmsg_copy_msghdr = kfunc(
  'sendmsg_copy_msghdr',
  (msg: msghdr, umsg: number, flags: number, iov: ref<iovec[] | null>): number => {
    const err = copy_msghdr_from_user(msg, umsg, null, iov)
    return Math.min(err, 0)
  },
)

const ___sys_sendmsg = kfunc(
  '___sys_sendmsg',
  (
    sock: socket,
    msg: number,
    msg_sys: msghdr,
    flags: number,
    used_address: used_address | null,
    allowed_msghdr_flags: number,
  ): number => {
    const iov: ref<iovec[] | null> = { v: [] }
    msg_sys.msg_name = new sockaddr()
    let err = sendmsg_copy_msghdr(msg_sys, msg, flags, iov)
    if (err < 0) return err
    err = ____sys_sendmsg(sock, msg_sys, flags, used_address, allowed_msghdr_flags)
    kfree(iov.v)
    return err
  },
)

export const __sys_sendmsg = kfunc(
  '__sys_sendmsg',
  (fd: number, msg: number, flags: number, forbid_cmsg_compat: boolean): number => {
    if (forbid_cmsg_compat && flags & MSG_CMSG_COMPAT) return -EINVAL
    const f = class_fd_constructor(fd)
    if (f === null) return -EBADF
    const sock = sock_from_file(f)
    const err = sock === null ? -ENOTSOCK : ___sys_sendmsg(sock, msg, new msghdr(), flags, null, 0)
    class_fd_destructor(f)
    return err
  },
)

export const __sys_sendmmsg = kfunc(
  '__sys_sendmmsg',
  (fd: number, mmsg: number, uvlen: number, oflags: number, forbid_cmsg_compat: boolean): number => {
    if (forbid_cmsg_compat && oflags & MSG_CMSG_COMPAT) return -EINVAL
    const vlen = Math.min(uvlen, UIO_MAXIOV)
    let datagrams = 0
    const f = class_fd_constructor(fd)
    if (f === null) return -EBADF
    const sock = sock_from_file(f)
    if (sock === null) {
      class_fd_destructor(f)
      return -ENOTSOCK
    }
    const used_address: used_address = { name: new sockaddr(), name_len: U32_MAX }
    const msg_sys = new msghdr()
    let entry = mmsg
    let err = 0
    let flags = oflags | MSG_BATCH

    while (datagrams < vlen) {
      if (datagrams === vlen - 1) flags = oflags
      err = ___sys_sendmsg(sock, entry, msg_sys, flags, used_address, MSG_EOR)
      if (err < 0) break
      err = put_user(err, entry + SIZEOF_USER_MSGHDR, 4)
      if (err) break
      entry += SIZEOF_MMSGHDR
      ++datagrams
      if (msg_data_left(msg_sys)) break
      cond_resched()
    }
    class_fd_destructor(f)
    return datagrams !== 0 ? datagrams : err
  },
)

const recvmsg_copy_msghdr = kfunc(
  'recvmsg_copy_msghdr',
  (msg: msghdr, umsg: number, flags: number, uaddr: ref<number>, iov: ref<iovec[] | null>): number => {
    const err = copy_msghdr_from_user(msg, umsg, uaddr, iov)
    return Math.min(err, 0)
  },
)

const ____sys_recvmsg = kfunc(
  '____sys_recvmsg',
  (sock: socket, msg_sys: msghdr, msg: number, uaddr: number, uflags: number, nosec: number): number => {
    const addr = new sockaddr()
    let flags = uflags
    msg_sys.msg_name = addr
    const cmsg_ptr = msg_sys.msg_control_user
    msg_sys.msg_flags = flags & (MSG_CMSG_CLOEXEC | MSG_CMSG_COMPAT)
    msg_sys.msg_namelen = 0
    if ((sock.file?.f_flags ?? 0) & O_NONBLOCK) flags |= MSG_DONTWAIT

    const len = nosec ? sock_recvmsg_nosec(sock, msg_sys, flags) : sock_recvmsg(sock, msg_sys, flags)
    if (len < 0) return len
    if (uaddr) {
      const err = move_addr_to_user(addr, msg_sys.msg_namelen, uaddr, msg + USER_MSGHDR_NAMELEN)
      if (err < 0) return err
    }
    let err = put_user(msg_sys.msg_flags & ~MSG_CMSG_COMPAT, msg + USER_MSGHDR_FLAGS, 4)
    if (err) return err
    err = put_user(msg_sys.msg_control_user - cmsg_ptr, msg + USER_MSGHDR_CONTROLLEN, 8)
    return err ? err : len
  },
)

const ___sys_recvmsg = kfunc(
  '___sys_recvmsg',
  (sock: socket, msg: number, msg_sys: msghdr, flags: number, nosec: number): number => {
    const iov: ref<iovec[] | null> = { v: [] }
    const uaddr = { v: 0 }
    let err = recvmsg_copy_msghdr(msg_sys, msg, flags, uaddr, iov)
    if (err < 0) return err
    err = ____sys_recvmsg(sock, msg_sys, msg, uaddr.v, flags, nosec)
    kfree(iov.v)
    return err
  },
)

export const __sys_recvmsg = kfunc(
  '__sys_recvmsg',
  (fd: number, msg: number, flags: number, forbid_cmsg_compat: boolean): number => {
    if (forbid_cmsg_compat && flags & MSG_CMSG_COMPAT) return -EINVAL
    const f = class_fd_constructor(fd)
    if (f === null) return -EBADF
    const sock = sock_from_file(f)
    const err = sock === null ? -ENOTSOCK : ___sys_recvmsg(sock, msg, new msghdr(), flags, 0)
    class_fd_destructor(f)
    return err
  },
)

/** without a timeout only */
const do_recvmmsg = kfunc('do_recvmmsg', (fd: number, mmsg: number, vlen: number, uflags: number, timeout: unknown): number => {
  const f = class_fd_constructor(fd)
  if (f === null) return -EBADF
  const sock = sock_from_file(f)
  if (sock === null) {
    class_fd_destructor(f)
    return -ENOTSOCK
  }
  let flags = uflags
  let err = 0
  if (!(flags & MSG_ERRQUEUE) && sock.sk !== null) {
    err = sock_error(sock.sk)
    if (err) {
      class_fd_destructor(f)
      return err
    }
  }
  let entry = mmsg
  let datagrams = 0
  const msg_sys = new msghdr()
  while (datagrams < vlen) {
    err = ___sys_recvmsg(sock, entry, msg_sys, flags & ~MSG_WAITFORONE, datagrams)
    if (err < 0) break
    err = put_user(err, entry + SIZEOF_USER_MSGHDR, 4)
    if (err) break
    entry += SIZEOF_MMSGHDR
    ++datagrams
    if (flags & MSG_WAITFORONE) flags |= MSG_DONTWAIT
    if (msg_sys.msg_flags & MSG_OOB) break
    cond_resched()
  }
  class_fd_destructor(f)
  if (err === 0) return datagrams
  if (datagrams === 0) return err
  if (err !== -EAGAIN && sock.sk !== null) sock.sk.sk_err = -err
  return datagrams
})

export const __sys_recvmmsg = kfunc(
  '__sys_recvmmsg',
  (fd: number, mmsg: number, vlen: number, flags: number, timeout: number, timeout32: number): number =>
    do_recvmmsg(fd, mmsg, vlen, flags, null),
)

// ----------------------------------------------------------------------------- system calls

const __do_sys_socket = kfunc('__do_sys_socket', (family: number, type: number, protocol: number): number =>
  __sys_socket(family, type, protocol),
)
const __se_sys_socket = kfunc('__se_sys_socket', (family: number, type: number, protocol: number): number =>
  __do_sys_socket(family | 0, type | 0, protocol | 0),
)
export const __x64_sys_socket = kfunc('__x64_sys_socket', (regs: pt_regs): number => __se_sys_socket(regs.di, regs.si, regs.dx))

const __do_sys_socketpair = kfunc(
  '__do_sys_socketpair',
  (family: number, type: number, protocol: number, usockvec: number): number =>
    __sys_socketpair(family, type, protocol, usockvec),
)
const __se_sys_socketpair = kfunc(
  '__se_sys_socketpair',
  (family: number, type: number, protocol: number, usockvec: number): number =>
    __do_sys_socketpair(family | 0, type | 0, protocol | 0, usockvec),
)
export const __x64_sys_socketpair = kfunc('__x64_sys_socketpair', (regs: pt_regs): number =>
  __se_sys_socketpair(regs.di, regs.si, regs.dx, regs.r10),
)

const __do_sys_bind = kfunc('__do_sys_bind', (fd: number, umyaddr: number, addrlen: number): number =>
  __sys_bind(fd, umyaddr, addrlen),
)
const __se_sys_bind = kfunc('__se_sys_bind', (fd: number, umyaddr: number, addrlen: number): number =>
  __do_sys_bind(fd | 0, umyaddr, addrlen | 0),
)
export const __x64_sys_bind = kfunc('__x64_sys_bind', (regs: pt_regs): number => __se_sys_bind(regs.di, regs.si, regs.dx))

const __do_sys_listen = kfunc('__do_sys_listen', (fd: number, backlog: number): number => __sys_listen(fd, backlog))
const __se_sys_listen = kfunc('__se_sys_listen', (fd: number, backlog: number): number => __do_sys_listen(fd | 0, backlog | 0))
export const __x64_sys_listen = kfunc('__x64_sys_listen', (regs: pt_regs): number => __se_sys_listen(regs.di, regs.si))

const __do_sys_accept4 = kfunc(
  '__do_sys_accept4',
  (fd: number, upeer_sockaddr: number, upeer_addrlen: number, flags: number): number =>
    __sys_accept4(fd, upeer_sockaddr, upeer_addrlen, flags),
)
const __se_sys_accept4 = kfunc(
  '__se_sys_accept4',
  (fd: number, upeer_sockaddr: number, upeer_addrlen: number, flags: number): number =>
    __do_sys_accept4(fd | 0, upeer_sockaddr, upeer_addrlen, flags | 0),
)
export const __x64_sys_accept4 = kfunc('__x64_sys_accept4', (regs: pt_regs): number =>
  __se_sys_accept4(regs.di, regs.si, regs.dx, regs.r10),
)

const __do_sys_accept = kfunc('__do_sys_accept', (fd: number, upeer_sockaddr: number, upeer_addrlen: number): number =>
  __sys_accept4(fd, upeer_sockaddr, upeer_addrlen, 0),
)
const __se_sys_accept = kfunc('__se_sys_accept', (fd: number, upeer_sockaddr: number, upeer_addrlen: number): number =>
  __do_sys_accept(fd | 0, upeer_sockaddr, upeer_addrlen),
)
export const __x64_sys_accept = kfunc('__x64_sys_accept', (regs: pt_regs): number => __se_sys_accept(regs.di, regs.si, regs.dx))

const __do_sys_connect = kfunc('__do_sys_connect', (fd: number, uservaddr: number, addrlen: number): number =>
  __sys_connect(fd, uservaddr, addrlen),
)
const __se_sys_connect = kfunc('__se_sys_connect', (fd: number, uservaddr: number, addrlen: number): number =>
  __do_sys_connect(fd | 0, uservaddr, addrlen | 0),
)
export const __x64_sys_connect = kfunc('__x64_sys_connect', (regs: pt_regs): number =>
  __se_sys_connect(regs.di, regs.si, regs.dx),
)

const __do_sys_getsockname = kfunc('__do_sys_getsockname', (fd: number, usockaddr: number, usockaddr_len: number): number =>
  __sys_getsockname(fd, usockaddr, usockaddr_len),
)
const __se_sys_getsockname = kfunc('__se_sys_getsockname', (fd: number, usockaddr: number, usockaddr_len: number): number =>
  __do_sys_getsockname(fd | 0, usockaddr, usockaddr_len),
)
export const __x64_sys_getsockname = kfunc('__x64_sys_getsockname', (regs: pt_regs): number =>
  __se_sys_getsockname(regs.di, regs.si, regs.dx),
)

const __do_sys_getpeername = kfunc('__do_sys_getpeername', (fd: number, usockaddr: number, usockaddr_len: number): number =>
  __sys_getpeername(fd, usockaddr, usockaddr_len),
)
const __se_sys_getpeername = kfunc('__se_sys_getpeername', (fd: number, usockaddr: number, usockaddr_len: number): number =>
  __do_sys_getpeername(fd | 0, usockaddr, usockaddr_len),
)
export const __x64_sys_getpeername = kfunc('__x64_sys_getpeername', (regs: pt_regs): number =>
  __se_sys_getpeername(regs.di, regs.si, regs.dx),
)

const __do_sys_sendto = kfunc(
  '__do_sys_sendto',
  (fd: number, buff: number, len: number, flags: number, addr: number, addr_len: number): number =>
    __sys_sendto(fd, buff, len, flags, addr, addr_len),
)
const __se_sys_sendto = kfunc(
  '__se_sys_sendto',
  (fd: number, buff: number, len: number, flags: number, addr: number, addr_len: number): number =>
    __do_sys_sendto(fd | 0, buff, len, flags >>> 0, addr, addr_len | 0),
)
export const __x64_sys_sendto = kfunc('__x64_sys_sendto', (regs: pt_regs): number =>
  __se_sys_sendto(regs.di, regs.si, regs.dx, regs.r10, regs.r8, regs.r9),
)

const __do_sys_send = kfunc('__do_sys_send', (fd: number, buff: number, len: number, flags: number): number =>
  __sys_sendto(fd, buff, len, flags, 0, 0),
)
const __se_sys_send = kfunc('__se_sys_send', (fd: number, buff: number, len: number, flags: number): number =>
  __do_sys_send(fd | 0, buff, len, flags >>> 0),
)
export const __x64_sys_send = kfunc('__x64_sys_send', (regs: pt_regs): number =>
  __se_sys_send(regs.di, regs.si, regs.dx, regs.r10),
)

const __do_sys_recvfrom = kfunc(
  '__do_sys_recvfrom',
  (fd: number, ubuf: number, size: number, flags: number, addr: number, addr_len: number): number =>
    __sys_recvfrom(fd, ubuf, size, flags, addr, addr_len),
)
const __se_sys_recvfrom = kfunc(
  '__se_sys_recvfrom',
  (fd: number, ubuf: number, size: number, flags: number, addr: number, addr_len: number): number =>
    __do_sys_recvfrom(fd | 0, ubuf, size, flags >>> 0, addr, addr_len),
)
export const __x64_sys_recvfrom = kfunc('__x64_sys_recvfrom', (regs: pt_regs): number =>
  __se_sys_recvfrom(regs.di, regs.si, regs.dx, regs.r10, regs.r8, regs.r9),
)

const __do_sys_recv = kfunc('__do_sys_recv', (fd: number, ubuf: number, size: number, flags: number): number =>
  __sys_recvfrom(fd, ubuf, size, flags, 0, 0),
)
const __se_sys_recv = kfunc('__se_sys_recv', (fd: number, ubuf: number, size: number, flags: number): number =>
  __do_sys_recv(fd | 0, ubuf, size, flags >>> 0),
)
export const __x64_sys_recv = kfunc('__x64_sys_recv', (regs: pt_regs): number =>
  __se_sys_recv(regs.di, regs.si, regs.dx, regs.r10),
)

const __do_sys_setsockopt = kfunc(
  '__do_sys_setsockopt',
  (fd: number, level: number, optname: number, optval: number, optlen: number): number =>
    __sys_setsockopt(fd, level, optname, optval, optlen),
)
const __se_sys_setsockopt = kfunc(
  '__se_sys_setsockopt',
  (fd: number, level: number, optname: number, optval: number, optlen: number): number =>
    __do_sys_setsockopt(fd | 0, level | 0, optname | 0, optval, optlen | 0),
)
export const __x64_sys_setsockopt = kfunc('__x64_sys_setsockopt', (regs: pt_regs): number =>
  __se_sys_setsockopt(regs.di, regs.si, regs.dx, regs.r10, regs.r8),
)

const __do_sys_getsockopt = kfunc(
  '__do_sys_getsockopt',
  (fd: number, level: number, optname: number, optval: number, optlen: number): number =>
    __sys_getsockopt(fd, level, optname, optval, optlen),
)
const __se_sys_getsockopt = kfunc(
  '__se_sys_getsockopt',
  (fd: number, level: number, optname: number, optval: number, optlen: number): number =>
    __do_sys_getsockopt(fd | 0, level | 0, optname | 0, optval, optlen),
)
export const __x64_sys_getsockopt = kfunc('__x64_sys_getsockopt', (regs: pt_regs): number =>
  __se_sys_getsockopt(regs.di, regs.si, regs.dx, regs.r10, regs.r8),
)

const __do_sys_shutdown = kfunc('__do_sys_shutdown', (fd: number, how: number): number => __sys_shutdown(fd, how))
const __se_sys_shutdown = kfunc('__se_sys_shutdown', (fd: number, how: number): number => __do_sys_shutdown(fd | 0, how | 0))
export const __x64_sys_shutdown = kfunc('__x64_sys_shutdown', (regs: pt_regs): number => __se_sys_shutdown(regs.di, regs.si))

const __do_sys_sendmsg = kfunc('__do_sys_sendmsg', (fd: number, msg: number, flags: number): number =>
  __sys_sendmsg(fd, msg, flags, true),
)
const __se_sys_sendmsg = kfunc('__se_sys_sendmsg', (fd: number, msg: number, flags: number): number =>
  __do_sys_sendmsg(fd | 0, msg, flags >>> 0),
)
export const __x64_sys_sendmsg = kfunc('__x64_sys_sendmsg', (regs: pt_regs): number =>
  __se_sys_sendmsg(regs.di, regs.si, regs.dx),
)

const __do_sys_sendmmsg = kfunc('__do_sys_sendmmsg', (fd: number, mmsg: number, vlen: number, flags: number): number =>
  __sys_sendmmsg(fd, mmsg, vlen, flags, true),
)
const __se_sys_sendmmsg = kfunc('__se_sys_sendmmsg', (fd: number, mmsg: number, vlen: number, flags: number): number =>
  __do_sys_sendmmsg(fd | 0, mmsg, vlen >>> 0, flags >>> 0),
)
export const __x64_sys_sendmmsg = kfunc('__x64_sys_sendmmsg', (regs: pt_regs): number =>
  __se_sys_sendmmsg(regs.di, regs.si, regs.dx, regs.r10),
)

const __do_sys_recvmsg = kfunc('__do_sys_recvmsg', (fd: number, msg: number, flags: number): number =>
  __sys_recvmsg(fd, msg, flags, true),
)
const __se_sys_recvmsg = kfunc('__se_sys_recvmsg', (fd: number, msg: number, flags: number): number =>
  __do_sys_recvmsg(fd | 0, msg, flags >>> 0),
)
export const __x64_sys_recvmsg = kfunc('__x64_sys_recvmsg', (regs: pt_regs): number =>
  __se_sys_recvmsg(regs.di, regs.si, regs.dx),
)

const __do_sys_recvmmsg = kfunc(
  '__do_sys_recvmmsg',
  (fd: number, mmsg: number, vlen: number, flags: number, timeout: number): number =>
    __sys_recvmmsg(fd, mmsg, vlen, flags, timeout, 0),
)
const __se_sys_recvmmsg = kfunc(
  '__se_sys_recvmmsg',
  (fd: number, mmsg: number, vlen: number, flags: number, timeout: number): number =>
    __do_sys_recvmmsg(fd | 0, mmsg, vlen >>> 0, flags >>> 0, timeout),
)
export const __x64_sys_recvmmsg = kfunc('__x64_sys_recvmmsg', (regs: pt_regs): number =>
  __se_sys_recvmmsg(regs.di, regs.si, regs.dx, regs.r10, regs.r8),
)

/** adds a protocol family, from an initcall; EEXIST */
export const sock_register = kfunc('sock_register', (ops: net_proto_family): number => {
  if (ops.family >= NPROTO) return -ENOBUFS
  spin_lock(net_family_lock)
  const err = net_families[ops.family] ? -EEXIST : 0
  if (!err) net_families[ops.family] = ops
  spin_unlock(net_family_lock)
  return err
})

core_initcall(() => {
  net_families = new Array(NPROTO).fill(null)
  sockets = 0
  sock_inode_cachep = kmem_cache_create(
    'sock_inode_cache',
    768,
    0,
    SLAB_HWCACHE_ALIGN | SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT,
    null,
  )
  sock_mnt = new vfsmount(new super_block('sockfs', sockfs_ops, sockfs_dentry_operations))
  socket_file_ops.read_iter = sock_read_iter
  socket_file_ops.write_iter = sock_write_iter
  socket_file_ops.release = sock_close
  socket_file_ops.fasync = sock_fasync
  socket_file_ops.splice_write = splice_to_socket
  socket_file_ops.splice_read = sock_splice_read
  socket_file_ops.splice_eof = sock_splice_eof
})

export type { sock }
