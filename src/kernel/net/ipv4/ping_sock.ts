import { kfunc } from '../../../trace/kfunc.ts'
import {
  IPPROTO_ICMP,
  MSG_CONFIRM,
  MSG_ERRQUEUE,
  MSG_OOB,
  MSG_PROBE,
  MSG_TRUNC,
  RTN_BROADCAST,
  RTN_LOCAL,
  RTN_MULTICAST,
  SOCK_BINDADDR_LOCK,
  SOCK_BINDPORT_LOCK,
  SOCK_BROADCAST,
  SOCK_DGRAM,
  SOCK_RCU_FREE,
  TCP_ESTABLISHED,
} from '../../include/generated/enums.ts'
import {
  EACCES,
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  EDESTADDRREQ,
  EFAULT,
  EHOSTUNREACH,
  EINVAL,
  EMSGSIZE,
  ENETUNREACH,
  EOPNOTSUPP,
  EPROTO,
  EREMOTEIO,
} from '../../include/linux/errno.ts'
import {
  ICMP_DEST_UNREACH,
  ICMP_FRAG_NEEDED,
  ICMP_PARAMETERPROB,
  ICMP_REDIRECT,
  ICMP_SOURCE_QUENCH,
  icmp_hdr,
  icmphdr,
  NR_ICMP_UNREACH,
  SIZEOF_ICMPHDR,
} from '../../include/linux/icmp.ts'
import { IP_PMTUDISC_DONT, ipv4_is_multicast } from '../../include/linux/in.ts'
import { RTCF_BROADCAST } from '../../include/linux/in_route.ts'
import { ip_hdr } from '../../include/linux/ip.ts'
import type { sockaddr } from '../../include/linux/net.ts'
import { RT_TABLE_LOCAL } from '../../include/linux/rtnetlink.ts'
import { CHECKSUM_NONE, type sk_buff, skb_peek } from '../../include/linux/skbuff.ts'
import { AF_INET, AF_UNSPEC, type msghdr } from '../../include/linux/socket.ts'
import { IS_ERR, type ref } from '../../include/linux/types.ts'
import { flowi4, flowi4_init_output, flowi4_to_flowi_common } from '../../include/net/flow.ts'
import {
  INET_FLAGS_FREEBIND,
  INET_FLAGS_RECVERR,
  INET_FLAGS_TRANSPARENT,
  inet_sk,
  inet_sock,
  inet_test_bit,
} from '../../include/net/inet_sock.ts'
import { ipcm_cookie } from '../../include/net/ip.ts'
import type { rtable } from '../../include/net/route.ts'
import type { proto, sock } from '../../include/net/sock.ts'
import { spin_lock, spin_unlock } from '../../kernel/locking/spinlock.ts'
import { declare_module } from '../../kernel/module/kmod.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { csum_fold, csum_partial } from '../../lib/checksum.ts'
import { kfree } from '../../mm/slub.ts'
import { security_sk_classify_flow } from '../../security/security.ts'
import { memcpy_from_msg, skb_copy_datagram_msg, skb_free_datagram, skb_recv_datagram } from '../core/datagram.ts'
import { netif_index_is_l3_master } from '../core/dev.ts'
import { dst_confirm_neigh } from '../core/dst.ts'
import { csum_and_copy_from_iter_full } from '../core/skbuff.ts'
import {
  lock_sock,
  proto_register,
  release_sock,
  sk_common_release,
  sk_dst_reset,
  sk_error_report,
  sock_flag,
  sock_net,
  sock_prot_inuse_add,
  sock_recv_timestamp,
  sock_set_flag,
} from '../core/sock.ts'
import { l3mdev_fib_table_by_index } from '../l3mdev/l3mdev.ts'
import { inet_recv_error, inet_register_protosw, inet_sockraw_ops } from './af_inet.ts'
import { ip4_datagram_connect, ip4_datagram_release_cb } from './datagram.ts'
import { inet_addr_type_table } from './fib_frontend.ts'
import { icmp_err_convert } from './icmp.ts'
import {
  get_rttos,
  type getfrag_t,
  ip_append_data,
  ip_flush_pending_frames,
  ip_push_pending_frames,
  ip_sendmsg_scope,
  ipcm_init_sk,
} from './ip_output.ts'
import { inet_cmsg_flags, ip_cmsg_recv, ip_cmsg_send, ip_getsockopt, ip_icmp_error, ip_setsockopt } from './ip_sockglue.ts'
import { ping_queue_rcv_skb, ping_supported, ping_table, register_ping_err } from './ping.ts'
import { inet_sk_flowi_flags, ip_route_output_flow, ip_rt_put, ipv4_sk_redirect, ipv4_sk_update_pmtu } from './route.ts'
import { __udp_disconnect } from './udp.ts'

const SIZEOF_SOCKADDR_IN = 16
const INET_PROTOSW_REUSE = 1

const others = (ident: number): sock[] => ping_table.hash.get(ident) ?? []

/** `ident` 0: any that is free */
const ping_get_port = kfunc('ping_get_port', (sk: sock, wanted: number): number => {
  const n = sock_net(sk)
  const isk = inet_sk(sk)
  let ident = wanted
  let taken = false
  spin_lock(ping_table.lock)
  if (ident === 0) {
    for (let i = 0; i < 1 << 16 && ident === 0; i++) {
      ping_table.rover = (ping_table.rover + 1) & 0xffff || 1
      if (!others(ping_table.rover).some((sk2) => sock_net(sk2) === n)) ident = ping_table.rover
    }
    taken = ident === 0
  } else taken = others(ident).some((sk2) => sock_net(sk2) === n && sk2 !== sk && (!sk2.sk_reuse || !sk.sk_reuse))
  if (!taken) {
    isk.inet_num = ident
    if (sk.skc_node === null) {
      sk.skc_node = ping_table
      sk.skc_refcnt++
      ping_table.hash.set(ident, [sk, ...others(ident)])
      sock_set_flag(sk, SOCK_RCU_FREE)
      sock_prot_inuse_add(n, sk.sk_prot, 1)
    }
  }
  spin_unlock(ping_table.lock)
  return taken ? -EADDRINUSE : 0
})

const ping_unhash = kfunc('ping_unhash', (sk: sock): void => {
  const isk = inet_sk(sk)
  spin_lock(ping_table.lock)
  if (sk.skc_node !== null) {
    sk.skc_node = null
    sk.skc_refcnt--
    ping_table.hash.set(
      isk.inet_num,
      others(isk.inet_num).filter((s) => s !== sk),
    )
    isk.inet_num = 0
    isk.inet_sport = 0
    sock_prot_inuse_add(sock_net(sk), sk.sk_prot, -1)
  }
  spin_unlock(ping_table.lock)
})

/** only members of the groups of net.ipv4.ping_group_range may have one: by default nobody, not even root */
const ping_init_sock = kfunc('ping_init_sock', (sk: sock): number => {
  const [low, high] = sock_net(sk).ipv4.ping_group_range
  return low <= 0 && 0 <= high ? 0 : -EACCES
})
const ping_close = kfunc('ping_close', (sk: sock, _timeout: number): void => sk_common_release(sk))
const ping_pre_connect = kfunc('ping_pre_connect', (_sk: sock, _uaddr: sockaddr, addr_len: number): number =>
  addr_len < SIZEOF_SOCKADDR_IN ? -EINVAL : 0,
)

const ping_check_bind_addr = kfunc(
  'ping_check_bind_addr',
  (sk: sock, isk: inet_sock, uaddr: sockaddr, addr_len: number): number => {
    const n = sock_net(sk)
    if (addr_len < SIZEOF_SOCKADDR_IN) return -EINVAL
    if (uaddr.sa_family !== AF_INET && !(uaddr.sa_family === AF_UNSPEC && uaddr.sin_addr === 0)) return -EAFNOSUPPORT
    if (uaddr.sin_addr === 0) return 0
    const tb_id = l3mdev_fib_table_by_index(n, sk.sk_bound_dev_if) || RT_TABLE_LOCAL
    const type = inet_addr_type_table(n, uaddr.sin_addr, tb_id)
    const nonlocal =
      n.ipv4.sysctl_ip_nonlocal_bind !== 0 ||
      inet_test_bit(INET_FLAGS_FREEBIND, isk) ||
      inet_test_bit(INET_FLAGS_TRANSPARENT, isk)
    if (type === RTN_MULTICAST || type === RTN_BROADCAST || (type !== RTN_LOCAL && !nonlocal)) return -EADDRNOTAVAIL
    return 0
  },
)

/** the port of the address is the identifier of the echo requests */
const ping_bind = kfunc('ping_bind', (sk: sock, uaddr: sockaddr, addr_len: number): number => {
  const isk = inet_sk(sk)
  let err = ping_check_bind_addr(sk, isk, uaddr, addr_len)
  if (err) return err
  lock_sock(sk)
  const snum = uaddr.sin_port
  if (isk.inet_num !== 0) err = -EINVAL
  else if (ping_get_port(sk, snum) !== 0) err = -EADDRINUSE
  else {
    isk.inet_saddr = uaddr.sin_addr
    isk.inet_rcv_saddr = uaddr.sin_addr
    if (isk.inet_rcv_saddr) sk.sk_userlocks |= SOCK_BINDADDR_LOCK
    if (snum) sk.sk_userlocks |= SOCK_BINDPORT_LOCK
    isk.inet_sport = isk.inet_num
    isk.inet_daddr = 0
    isk.inet_dport = 0
    sk_dst_reset(sk)
  }
  release_sock(sk)
  return err
})

/** tells the program of an error to its echo request, whose ICMP header is at `icmph` of the head */
function ping_report(sk: sock, skb: sk_buff, icmph: number, info: number): void {
  const { type, code } = icmp_hdr(skb)
  let err = EHOSTUNREACH
  let harderr = 0
  if (type === ICMP_SOURCE_QUENCH) err = EREMOTEIO
  else if (type === ICMP_PARAMETERPROB) {
    err = EPROTO
    harderr = 1
  } else if (type === ICMP_DEST_UNREACH) {
    if (code === ICMP_FRAG_NEEDED) {
      ipv4_sk_update_pmtu(skb, sk, info)
      if (inet_sk(sk).pmtudisc === IP_PMTUDISC_DONT) return
      err = EMSGSIZE
      harderr = 1
    } else if (code <= NR_ICMP_UNREACH) {
      harderr = icmp_err_convert[code]?.fatal ?? 0
      err = icmp_err_convert[code]?.errno ?? err
    }
  } else if (type === ICMP_REDIRECT) {
    ipv4_sk_redirect(skb, sk)
    err = EREMOTEIO
  }
  if (inet_test_bit(INET_FLAGS_RECVERR, sk)) ip_icmp_error(sk, skb, err, 0, info, icmph)
  else if (!harderr || sk.sk_state !== TCP_ESTABLISHED) return
  sk.sk_err = err
  sk_error_report(sk)
}

/** struct pingfakehdr: the header to send, the message, and the sum of what was copied so far */
interface pingfakehdr {
  readonly icmph: icmphdr
  readonly msg: msghdr
  readonly wcheck: ref<number>
}

const ping_getfrag = kfunc(
  'ping_getfrag',
  (pfh: pingfakehdr, to: Uint8Array, _offset: number, fraglen: number, _odd: number, _skb: sk_buff, to_off: number): number =>
    csum_and_copy_from_iter_full(to.subarray(to_off), fraglen, pfh.wcheck, pfh.msg.msg_iter) ? 0 : -EFAULT,
)

const ping_v4_push_pending_frames = kfunc('ping_v4_push_pending_frames', (sk: sock, pfh: pingfakehdr, fl4: flowi4): number => {
  const skb = skb_peek(sk.sk_write_queue)
  if (skb === null) return 0
  const { bytes } = pfh.icmph
  pfh.icmph.checksum = csum_fold(csum_partial(bytes, 0, SIZEOF_ICMPHDR, pfh.wcheck.v))
  skb.head.bytes.set(bytes, icmp_hdr(skb).at)
  skb.ip_summed = CHECKSUM_NONE
  return ip_push_pending_frames(sk, fl4)
})

/** takes the ICMP header off the message and looks at it */
const ping_common_sendmsg = kfunc(
  'ping_common_sendmsg',
  (family: number, msg: msghdr, len: number, user_icmph: Uint8Array, icmph_len: number): number => {
    if (len > 0xffff) return -EMSGSIZE
    if (len < icmph_len) return -EINVAL
    if (msg.msg_flags & MSG_OOB) return -EOPNOTSUPP
    if (memcpy_from_msg(user_icmph, msg, icmph_len)) return -EFAULT
    return ping_supported(family, user_icmph[0] ?? 0, user_icmph[1] ?? 0) ? 0 : -EINVAL
  },
)

const ping_v4_sendmsg = kfunc('ping_v4_sendmsg', (sk: sock, msg: msghdr, len: number): number => {
  const n = sock_net(sk)
  const inet = inet_sk(sk)
  const user_icmph = new icmphdr(new Uint8Array(SIZEOF_ICMPHDR), 0)
  let err = ping_common_sendmsg(AF_INET, msg, len, user_icmph.bytes, SIZEOF_ICMPHDR)
  if (err) return err
  let daddr: number
  if (msg.msg_name !== null) {
    if (msg.msg_namelen < SIZEOF_SOCKADDR_IN) return -EINVAL
    if (msg.msg_name.sa_family !== AF_INET) return -EAFNOSUPPORT
    daddr = msg.msg_name.sin_addr
  } else {
    if (sk.sk_state !== TCP_ESTABLISHED) return -EDESTADDRREQ
    daddr = inet.inet_daddr
  }
  const ipc = new ipcm_cookie()
  ipcm_init_sk(ipc, inet)
  let free = false
  const rtp: ref<rtable | null> = { v: null }
  const done = (e: number): number => {
    ip_rt_put(rtp.v)
    if (free) kfree(ipc.opt)
    return e || len
  }
  if (msg.msg_controllen) {
    err = ip_cmsg_send(sk, msg, ipc, false)
    if (err) {
      kfree(ipc.opt)
      return err
    }
    if (ipc.opt !== null) free = true
  }
  if (ipc.opt === null) {
    rcu_read_lock()
    ipc.opt = inet.inet_opt
    rcu_read_unlock()
  }
  let saddr = ipc.addr
  ipc.addr = daddr
  let faddr = daddr
  if (ipc.opt?.srr) {
    if (!daddr) return done(-EINVAL)
    ;({ faddr } = ipc.opt)
  }
  const tos = get_rttos(ipc, inet)
  const scope = ip_sendmsg_scope(inet, ipc, msg)
  if (ipv4_is_multicast(daddr)) {
    if (!ipc.oif || netif_index_is_l3_master(n, ipc.oif)) ipc.oif = inet.mc_index
    if (!saddr) saddr = inet.mc_addr
  } else if (!ipc.oif) ipc.oif = inet.uc_index
  const fl4 = new flowi4()
  flowi4_init_output(
    fl4,
    ipc.oif,
    ipc.sockc.mark,
    tos,
    scope,
    sk.sk_protocol,
    inet_sk_flowi_flags(sk),
    faddr,
    saddr,
    0,
    0,
    sk.sk_uid,
  )
  fl4.fl4_icmp_type = user_icmph.type
  fl4.fl4_icmp_code = user_icmph.code
  security_sk_classify_flow(sk, flowi4_to_flowi_common(fl4))
  const rt = ip_route_output_flow(n, fl4, sk)
  if (IS_ERR(rt)) {
    if (rt === -ENETUNREACH) n.mib.ip.OutNoRoutes++
    return done(rt)
  }
  rtp.v = rt
  if (rt.rt_flags & RTCF_BROADCAST && !sock_flag(sk, SOCK_BROADCAST)) return done(-EACCES)
  if (msg.msg_flags & MSG_CONFIRM) {
    if (msg.msg_flags & MSG_PROBE) dst_confirm_neigh(rt, fl4.daddr)
    if (msg.msg_flags & MSG_PROBE && !len) return done(0)
  }
  if (!ipc.addr) ipc.addr = fl4.daddr
  lock_sock(sk)
  const icmph = new icmphdr(new Uint8Array(SIZEOF_ICMPHDR), 0)
  icmph.type = user_icmph.type
  icmph.code = user_icmph.code
  icmph.id = inet.inet_sport
  icmph.sequence = user_icmph.sequence
  const pfh: pingfakehdr = { icmph, msg, wcheck: { v: 0 } }
  err = ip_append_data(sk, fl4, ping_getfrag as unknown as getfrag_t, pfh, len, SIZEOF_ICMPHDR, ipc, rtp, msg.msg_flags)
  if (err) ip_flush_pending_frames(sk)
  else err = ping_v4_push_pending_frames(sk, pfh, fl4)
  release_sock(sk)
  return done(err)
})

const ping_recvmsg = kfunc('ping_recvmsg', (sk: sock, msg: msghdr, len: number, flags: number, addr_len: ref<number>): number => {
  if (flags & MSG_OOB) return -EOPNOTSUPP
  if (flags & MSG_ERRQUEUE) return inet_recv_error(sk, msg, len, addr_len)
  const errp: ref<number> = { v: 0 }
  const skb = skb_recv_datagram(sk, flags, errp)
  if (skb === null) return errp.v
  let copied = skb.len
  if (copied > len) {
    msg.msg_flags |= MSG_TRUNC
    copied = len
  }
  const err = skb_copy_datagram_msg(skb, 0, msg, copied)
  if (!err) {
    sock_recv_timestamp(msg, sk, skb)
    const sin = msg.msg_name
    if (sin !== null) {
      sin.clear()
      sin.sa_family = AF_INET
      sin.sin_addr = ip_hdr(skb).saddr
      addr_len.v = SIZEOF_SOCKADDR_IN
    }
    if (inet_cmsg_flags(inet_sk(sk))) ip_cmsg_recv(msg, skb)
  }
  skb_free_datagram(sk, skb)
  return err || copied
})

const ping_prot: proto = { name: 'PING', obj_size: 1000, alloc: () => new inet_sock() }

function ping_init(): number {
  Object.assign(ping_prot, {
    init: ping_init_sock,
    close: ping_close,
    pre_connect: ping_pre_connect,
    connect: ip4_datagram_connect,
    disconnect: __udp_disconnect,
    setsockopt: ip_setsockopt,
    getsockopt: ip_getsockopt,
    sendmsg: ping_v4_sendmsg,
    recvmsg: ping_recvmsg,
    bind: ping_bind,
    backlog_rcv: ping_queue_rcv_skb,
    release_cb: ip4_datagram_release_cb,
    unhash: ping_unhash,
    get_port: ping_get_port,
    put_port: ping_unhash,
  } satisfies Partial<proto>)
  proto_register(ping_prot, 1)
  register_ping_err(ping_report)
  inet_register_protosw({
    type: SOCK_DGRAM,
    protocol: IPPROTO_ICMP,
    prot: ping_prot,
    ops: inet_sockraw_ops,
    flags: INET_PROTOSW_REUSE,
  })
  return 0
}
declare_module('net-pf-2-proto-1-type-2', ping_init)
