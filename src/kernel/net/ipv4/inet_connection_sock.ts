import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracer } from '../../../trace/tracer.ts'
import { get_random_u32_below } from '../../drivers/char/random.ts'
import {
  HZ,
  ICSK_ACK_SCHED,
  ICSK_ACK_TIMER,
  ICSK_TIME_DACK,
  ICSK_TIME_LOSS_PROBE,
  ICSK_TIME_PROBE0,
  ICSK_TIME_REO_TIMEOUT,
  ICSK_TIME_RETRANS,
  IPPROTO_TCP,
  SK_CAN_REUSE,
  SK_FORCE_REUSE,
  SOCK_DEAD,
  SOCK_RCU_FREE,
  TCP_CLOSE,
  TCP_LISTEN,
  TCP_NEW_SYN_RECV,
  TCP_RTO_MAX,
  TCP_SYN_RECV,
  TCP_TIME_WAIT,
  TCP_TIMEOUT_INIT,
} from '../../include/generated/enums.ts'
import { EADDRINUSE, EAGAIN, EINVAL } from '../../include/linux/errno.ts'
import {
  IPV6_ADDR_ANY,
  IPV6_ADDR_MAPPED,
  type in6_addr,
  in6addr_any,
  ipv6_addr_any,
  ipv6_addr_equal,
} from '../../include/linux/in6.ts'
import { sk_v6_rcv_saddr } from '../../include/linux/ipv6.ts'
import { list_empty } from '../../include/linux/list.ts'
import type { sockaddr } from '../../include/linux/net.ts'
import { TASK_INTERRUPTIBLE } from '../../include/linux/sched.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC, type kmem_cache } from '../../include/linux/slab.ts'
import { AF_INET, AF_INET6 } from '../../include/linux/socket.ts'
import { from_timer, TIMER_PINNED, timer_list } from '../../include/linux/timer.ts'
import { IS_ERR, type ref } from '../../include/linux/types.ts'
import { wait_queue_entry } from '../../include/linux/wait.ts'
import type { dst_entry } from '../../include/net/dst.ts'
import type { flowi4 } from '../../include/net/flow.ts'
import { flowi4_init_output, flowi4_to_flowi_common } from '../../include/net/flow.ts'
import { type inet_connection_sock, inet_csk } from '../../include/net/inet_connection_sock.ts'
import {
  FASTREUSEPORT_ANY,
  FASTREUSEPORT_STRICT,
  hlist_nulls_del_init_rcu,
  type inet_bind_bucket,
  type inet_bind_hashbucket,
  type inet_bind2_bucket,
} from '../../include/net/inet_hashtables.ts'
import { inet_rsk, inet_sk, inet_sk_flowi_flags } from '../../include/net/inet_sock.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { req_to_sk, type request_sock, type request_sock_ops, request_sock_queue } from '../../include/net/request_sock.ts'
import type { proto_accept_arg, sock, sock_common } from '../../include/net/sock.ts'
import { tcp_rsk, tcp_sk } from '../../include/net/tcp.ts'
import { spin_lock, spin_lock_bh, spin_unlock, spin_unlock_bh } from '../../kernel/locking/spinlock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { current, schedule_timeout, signal_pending } from '../../kernel/sched/core.ts'
import { autoremove_wake_function, finish_wait, prepare_to_wait_exclusive } from '../../kernel/sched/wait.ts'
import { local_bh_disable, local_bh_enable } from '../../kernel/softirq.ts'
import { jiffies, mod_timer, timer_delete_sync, timer_setup } from '../../kernel/time/timer.ts'
import { kmem_cache_alloc_noprof, kmem_cache_free } from '../../mm/slub.ts'
import { security_inet_csk_clone, security_req_classify_flow } from '../../security/security.ts'
import {
  reqsk_put,
  reqsk_queue_added,
  reqsk_queue_alloc,
  reqsk_queue_empty,
  reqsk_queue_len,
  reqsk_queue_len_young,
  reqsk_queue_remove,
  reqsk_queue_removed,
} from '../core/request_sock.ts'
import {
  __sk_dst_check,
  bh_lock_sock,
  bh_unlock_sock,
  lock_sock,
  release_sock,
  sk_acceptq_added,
  sk_clone_lock,
  sk_dst_reset,
  sk_reset_timer,
  sk_setup_caps,
  sk_sleep,
  sk_stop_timer,
  sk_stop_timer_sync,
  sock_hold,
  sock_i_uid,
  sock_intr_errno,
  sock_orphan,
  sock_put,
  sock_rcvtimeo,
  sock_reset_flag,
  sock_set_flag,
} from '../core/sock.ts'
import { reuseport_migrate_sock, type sock_reuseport } from '../core/sock_reuseport.ts'
import { sk_stream_kill_queues } from '../core/stream.ts'
import { ipv6_addr_type } from '../ipv6/addrconf_core.ts'
import { l3mdev_master_ifindex_by_index } from '../l3mdev/l3mdev.ts'
import { xfrm_sk_free_policy } from '../xfrm/xfrm_policy.ts'
import { inet_sk_set_state, inet_sk_state_store } from './af_inet.ts'
import {
  inet_bhash_bucket,
  inet_bhash2_addr_any_hashbucket,
  inet_bhashfn,
  inet_bhashfn_portaddr,
  inet_bind_bucket_create,
  inet_bind_bucket_destroy,
  inet_bind_bucket_match,
  inet_bind_hash,
  inet_bind2_bucket_create,
  inet_bind2_bucket_destroy,
  inet_bind2_bucket_find,
  inet_bind2_bucket_match_addr_any,
  inet_ehash_insert,
  inet_ehash_lockp,
  inet_is_local_reserved_port,
  inet_sk_bound_l3mdev,
  inet_use_hash2_on_bind,
  ipv6_only_sock,
  tcp_or_dccp_get_hashinfo,
} from './inet_hashtables.ts'
import { ip_route_output_flow, ip_route_output_ports, ip_rt_put, ip_sock_rt_scope, ip_sock_rt_tos } from './route.ts'

/** include/uapi/asm-generic/fcntl.h */
const O_NONBLOCK = 0o4000
const U8_MAX = 0xff

// include/net/inet_connection_sock.h

export const inet_csk_schedule_ack = (sk: sock): void => {
  inet_csk(sk).icsk_ack.pending |= ICSK_ACK_SCHED
}

export const inet_csk_ack_scheduled = (sk: sock): boolean => (inet_csk(sk).icsk_ack.pending & ICSK_ACK_SCHED) !== 0

export const inet_csk_delack_init = kfunc('inet_csk_delack_init', (sk: sock): void => {
  const ack = inet_csk(sk).icsk_ack
  ack.pending = 0
  ack.quick = 0
  ack.pingpong = 0
  ack.retry = 0
  ack.ato = 0
  ack.lrcv_flowlabel = 0
  ack.dst_quick_ack = 0
  ack.timeout = 0
  ack.lrcvtime = 0
  ack.last_seg_size = 0
  ack.rcv_mss = 0
})

/** disarms a timer; the wheel's entry stays and finds nothing to do when it fires */
export const inet_csk_clear_xmit_timer = kfunc('inet_csk_clear_xmit_timer', (sk: sock, what: number): void => {
  const icsk = inet_csk(sk)

  if (what === ICSK_TIME_RETRANS || what === ICSK_TIME_PROBE0) {
    icsk.icsk_pending = 0
  } else if (what === ICSK_TIME_DACK) {
    icsk.icsk_ack.pending = 0
    icsk.icsk_ack.retry = 0
  }
})

/** arms a timer `when` jiffies from now, at most `max_when` */
export const inet_csk_reset_xmit_timer = kfunc(
  'inet_csk_reset_xmit_timer',
  (sk: sock, what: number, when: number, max_when: number): void => {
    const icsk = inet_csk(sk)

    if (when > max_when) when = max_when

    if (
      what === ICSK_TIME_RETRANS ||
      what === ICSK_TIME_PROBE0 ||
      what === ICSK_TIME_LOSS_PROBE ||
      what === ICSK_TIME_REO_TIMEOUT
    ) {
      icsk.icsk_pending = what
      icsk.icsk_timeout = jiffies() + when
      if (tracer.on) decide('inet_csk_reset_xmit_timer', 'timer armed', { timer: timer_name(what), ms: (when * 1000) / HZ })
      sk_reset_timer(sk, icsk.icsk_retransmit_timer, icsk.icsk_timeout)
    } else if (what === ICSK_TIME_DACK) {
      icsk.icsk_ack.pending |= ICSK_ACK_TIMER
      icsk.icsk_ack.timeout = jiffies() + when
      if (tracer.on) decide('inet_csk_reset_xmit_timer', 'timer armed', { timer: 'delayed ACK', ms: (when * 1000) / HZ })
      sk_reset_timer(sk, icsk.icsk_delack_timer, icsk.icsk_ack.timeout)
    }
  },
)

function timer_name(what: number): string {
  switch (what) {
    case ICSK_TIME_RETRANS:
      return 'retransmit'
    case ICSK_TIME_PROBE0:
      return 'zero window probe'
    case ICSK_TIME_LOSS_PROBE:
      return 'tail loss probe'
    default:
      return 'reordering'
  }
}

export const inet_csk_rto_backoff = (icsk: inet_connection_sock, max_when: number): number =>
  Math.min(icsk.icsk_rto * 2 ** icsk.icsk_backoff, max_when)

export const inet_csk_reqsk_queue_added = kfunc('inet_csk_reqsk_queue_added', (sk: sock): void => {
  reqsk_queue_added(inet_csk(sk).icsk_accept_queue)
})

export const inet_csk_reqsk_queue_len = (sk: sock): number => reqsk_queue_len(inet_csk(sk).icsk_accept_queue)

export const inet_csk_reqsk_queue_is_full = (sk: sock): boolean => inet_csk_reqsk_queue_len(sk) > sk.sk_max_ack_backlog

export const reqsk_timeout = (req: request_sock, max_timeout: number): number =>
  Math.min(req.timeout * 2 ** req.num_timeout, max_timeout)

export const inet_csk_enter_pingpong_mode = (sk: sock): void => {
  inet_csk(sk).icsk_ack.pingpong = sk.sk_net.ipv4.sysctl_tcp_pingpong_thresh
}

export const inet_csk_exit_pingpong_mode = (sk: sock): void => {
  inet_csk(sk).icsk_ack.pingpong = 0
}

export const inet_csk_in_pingpong_mode = (sk: sock): boolean =>
  inet_csk(sk).icsk_ack.pingpong >= sk.sk_net.ipv4.sysctl_tcp_pingpong_thresh

export const inet_csk_inc_pingpong_cnt = (sk: sock): void => {
  const { icsk_ack } = inet_csk(sk)
  if (icsk_ack.pingpong < U8_MAX) icsk_ack.pingpong++
}

export const inet_init_csk_locks = (_sk: sock): void => {}

// include/net/inet_sock.h

/** the mark that a connection takes over from its SYN */
export const inet_request_mark = (sk: sock, skb: sk_buff): number =>
  !sk.sk_mark && sk.sk_net.ipv4.sysctl_tcp_fwmark_accept ? skb.mark : sk.sk_mark

export const inet_request_bound_dev_if = kfunc('inet_request_bound_dev_if', (sk: sock, skb: sk_buff): number => {
  const { sk_bound_dev_if } = sk
  if (!sk_bound_dev_if && sk.sk_net.ipv4.sysctl_tcp_l3mdev_accept) return l3mdev_master_ifindex_by_index(sk.sk_net, skb.skb_iif)
  return sk_bound_dev_if
})

// net/ipv4/inet_connection_sock.c

const ipv4_rcv_saddr_equal = (
  sk1_rcv_saddr: number,
  sk2_rcv_saddr: number,
  sk2_ipv6only: boolean,
  match_sk1_wildcard: boolean,
  match_sk2_wildcard: boolean,
): boolean => {
  if (sk2_ipv6only) return false
  if (sk1_rcv_saddr === sk2_rcv_saddr) return true
  return (match_sk1_wildcard && sk1_rcv_saddr === 0) || (match_sk2_wildcard && sk2_rcv_saddr === 0)
}

const ipv6_rcv_saddr_equal = kfunc(
  'ipv6_rcv_saddr_equal',
  (
    sk1_rcv_saddr6: in6_addr,
    sk2_rcv_saddr6: in6_addr | null,
    sk1_rcv_saddr: number,
    sk2_rcv_saddr: number,
    sk1_ipv6only: boolean,
    sk2_ipv6only: boolean,
    match_sk1_wildcard: boolean,
    match_sk2_wildcard: boolean,
  ): boolean => {
    const addr_type = ipv6_addr_type(sk1_rcv_saddr6)
    const addr_type2 = sk2_rcv_saddr6 !== null ? ipv6_addr_type(sk2_rcv_saddr6) : IPV6_ADDR_MAPPED

    // both speak IPv4
    if (addr_type === IPV6_ADDR_MAPPED && addr_type2 === IPV6_ADDR_MAPPED)
      return ipv4_rcv_saddr_equal(sk1_rcv_saddr, sk2_rcv_saddr, sk2_ipv6only, match_sk1_wildcard, match_sk2_wildcard)

    if (addr_type === IPV6_ADDR_ANY && addr_type2 === IPV6_ADDR_ANY) return true
    if (addr_type2 === IPV6_ADDR_ANY && match_sk2_wildcard && !(sk2_ipv6only && addr_type === IPV6_ADDR_MAPPED)) return true
    if (addr_type === IPV6_ADDR_ANY && match_sk1_wildcard && !(sk1_ipv6only && addr_type2 === IPV6_ADDR_MAPPED)) return true
    return sk2_rcv_saddr6 !== null && ipv6_addr_equal(sk1_rcv_saddr6, sk2_rcv_saddr6)
  },
)

const inet6_rcv_saddr = (sk: sock_common): in6_addr | null => (sk.skc_family === AF_INET6 ? sk_v6_rcv_saddr(sk) : null)

/** whether two sockets receive for a common address; `match_wildcard`: 0.0.0.0 has one in common with every other */
export const inet_rcv_saddr_equal = kfunc(
  'inet_rcv_saddr_equal',
  (sk: sock_common, sk2: sock_common, match_wildcard: boolean): boolean =>
    sk.skc_family === AF_INET6
      ? ipv6_rcv_saddr_equal(
          sk_v6_rcv_saddr(sk),
          inet6_rcv_saddr(sk2),
          sk.skc_rcv_saddr,
          sk2.skc_rcv_saddr,
          ipv6_only_sock(sk),
          ipv6_only_sock(sk2),
          match_wildcard,
          match_wildcard,
        )
      : ipv4_rcv_saddr_equal(sk.skc_rcv_saddr, sk2.skc_rcv_saddr, ipv6_only_sock(sk2), match_wildcard, match_wildcard),
)

export const inet_rcv_saddr_any = kfunc('inet_rcv_saddr_any', (sk: sock): boolean =>
  sk.sk_family === AF_INET6 ? ipv6_addr_any(sk_v6_rcv_saddr(sk)) : sk.sk_rcv_saddr === 0,
)

/** the ports for who asks for none; true when the socket has a range of its own (IP_LOCAL_PORT_RANGE) */
export const inet_sk_get_local_port_range = kfunc(
  'inet_sk_get_local_port_range',
  (sk: sock, low: ref<number>, high: ref<number>): boolean => {
    let [lo, hi] = sk.sk_net.ipv4.ip_local_ports.range
    let local_range = false

    const sk_range = inet_sk(sk).local_port_range
    if (sk_range) {
      const sk_lo = sk_range & 0xffff
      const sk_hi = sk_range >>> 16

      if (lo <= sk_lo && sk_lo <= hi) lo = sk_lo
      if (lo <= sk_hi && sk_hi <= hi) hi = sk_hi
      local_range = true
    }

    low.v = lo
    high.v = hi
    return local_range
  },
)

const inet_bind_conflict = kfunc(
  'inet_bind_conflict',
  (sk: sock, sk2: sock_common, sk_uid: number, relax: boolean, reuseport_cb_ok: boolean, reuseport_ok: boolean): boolean => {
    if (sk === sk2) return false

    const bound_dev_if2 = sk2.skc_bound_dev_if

    if (!sk.sk_bound_dev_if || !bound_dev_if2 || sk.sk_bound_dev_if === bound_dev_if2) {
      if (sk.sk_reuse && sk2.skc_reuse && sk2.skc_state !== TCP_LISTEN) {
        if (
          !relax ||
          (!reuseport_ok &&
            sk.sk_reuseport &&
            sk2.skc_reuseport &&
            reuseport_cb_ok &&
            (sk2.skc_state === TCP_TIME_WAIT || sk_uid === sock_i_uid(sk2 as sock)))
        )
          return true
      } else if (
        !reuseport_ok ||
        !sk.sk_reuseport ||
        !sk2.skc_reuseport ||
        !reuseport_cb_ok ||
        (sk2.skc_state !== TCP_TIME_WAIT && sk_uid !== sock_i_uid(sk2 as sock))
      ) {
        return true
      }
    }
    return false
  },
)

const __inet_bhash2_conflict = kfunc(
  '__inet_bhash2_conflict',
  (sk: sock, sk2: sock_common, sk_uid: number, relax: boolean, reuseport_cb_ok: boolean, reuseport_ok: boolean): boolean => {
    if (ipv6_only_sock(sk2) && sk.sk_family === AF_INET) return false
    return inet_bind_conflict(sk, sk2, sk_uid, relax, reuseport_cb_ok, reuseport_ok)
  },
)

const inet_bhash2_conflict = kfunc(
  'inet_bhash2_conflict',
  (
    sk: sock,
    tb2: inet_bind2_bucket,
    sk_uid: number,
    relax: boolean,
    reuseport_cb_ok: boolean,
    reuseport_ok: boolean,
  ): boolean => {
    for (let p = tb2.owners.next; p !== tb2.owners; p = p.next) {
      if (p.owner !== null && __inet_bhash2_conflict(sk, p.owner, sk_uid, relax, reuseport_cb_ok, reuseport_ok)) return true
    }
    return false
  },
)

const reuseport_ok_of = (sk: sock): boolean => {
  const cb = sk.sk_reuseport_cb as sock_reuseport | null
  return cb === null || cb.num_closed_socks !== 0
}

/** the locks of both buckets are held; `tb2` is null when nobody has bound that very address */
const inet_csk_bind_conflict = kfunc(
  'inet_csk_bind_conflict',
  (sk: sock, tb: inet_bind_bucket, tb2: inet_bind2_bucket | null, relax: boolean, reuseport_ok: boolean): boolean => {
    const uid = sock_i_uid(sk)

    rcu_read_lock()
    const reuseport_cb_ok = reuseport_ok_of(sk)
    rcu_read_unlock()

    // a wildcard of others has been looked at before
    if (inet_use_hash2_on_bind(sk))
      return tb2 !== null && inet_bhash2_conflict(sk, tb2, uid, relax, reuseport_cb_ok, reuseport_ok)

    for (let b = tb.bhash2.next; b !== tb.bhash2; b = b.next) {
      const owners = b.owner?.owners
      if (owners === undefined) continue
      for (let p = owners.next; p !== owners; p = p.next) {
        const sk2 = p.owner
        if (sk2 === null || !inet_bind_conflict(sk, sk2, uid, relax, reuseport_cb_ok, reuseport_ok)) continue
        if (inet_rcv_saddr_equal(sk, sk2, true)) return true
      }
    }
    return false
  },
)

/** whether somebody has bound the port for any address in a way that excludes `sk` */
const inet_bhash2_addr_any_conflict = kfunc(
  'inet_bhash2_addr_any_conflict',
  (sk: sock, port: number, l3mdev: number, relax: boolean, reuseport_ok: boolean): boolean => {
    const uid = sock_i_uid(sk)
    const net = sk.sk_net
    let conflict = false

    rcu_read_lock()
    const reuseport_cb_ok = reuseport_ok_of(sk)
    rcu_read_unlock()

    const head2 = inet_bhash2_addr_any_hashbucket(sk, net, port)

    spin_lock(head2.lock)

    for (let p = head2.chain.next; p !== head2.chain; p = p.next) {
      const tb2 = p.owner
      if (tb2 === null || !inet_bind2_bucket_match_addr_any(tb2, net, port, l3mdev, sk)) continue
      if (!inet_bhash2_conflict(sk, tb2, uid, relax, reuseport_cb_ok, reuseport_ok)) continue
      conflict = true
      break
    }

    spin_unlock(head2.lock)

    return conflict
  },
)

type head1 = inet_bind_hashbucket<inet_bind_bucket>
type head2 = inet_bind_hashbucket<inet_bind2_bucket>

/** looks for a free port, odd ones first; the locks of both buckets are held when there was one, else null is returned */
const inet_csk_find_open_port = kfunc(
  'inet_csk_find_open_port',
  (
    sk: sock,
    tb_ret: ref<inet_bind_bucket | null>,
    tb2_ret: ref<inet_bind2_bucket | null>,
    head2_ret: ref<head2 | null>,
    port_ret: ref<number>,
  ): head1 | null => {
    const hinfo = tcp_or_dccp_get_hashinfo(sk)
    const net = sk.sk_net
    const low = { v: 0 }
    const high = { v: 0 }
    let relax = false
    let attempt_half = 0

    const l3mdev = inet_sk_bound_l3mdev(sk)
    for (;;) {
      attempt_half = sk.sk_reuse === SK_CAN_REUSE ? 1 : 0
      for (;;) {
        inet_sk_get_local_port_range(sk, low, high)
        high.v++
        if (high.v - low.v < 4) attempt_half = 0
        if (attempt_half) {
          const half = low.v + (((high.v - low.v) >> 2) << 1)
          if (attempt_half === 1) high.v = half
          else low.v = half
        }
        let remaining = high.v - low.v
        if (remaining > 1) remaining &= ~1

        let offset = get_random_u32_below(remaining)
        // connect() prefers the even ones
        offset |= 1

        do {
          let port = low.v + offset
          for (let i = 0; i < remaining; i += 2, port += 2) {
            if (port >= high.v) port -= remaining
            if (inet_is_local_reserved_port(net, port)) continue
            const head = inet_bhash_bucket(hinfo, inet_bhashfn(net, port, hinfo.bhash_size))
            spin_lock_bh(head.lock)
            next_port: {
              if (inet_use_hash2_on_bind(sk) && inet_bhash2_addr_any_conflict(sk, port, l3mdev, relax, false)) break next_port

              const head2 = inet_bhashfn_portaddr(hinfo, sk, net, port)
              spin_lock(head2.lock)
              const tb2 = inet_bind2_bucket_find(head2, net, port, l3mdev, sk)
              const tb = bind_bucket_find(head, net, port, l3mdev)
              if (tb !== null && inet_csk_bind_conflict(sk, tb, tb2, relax, false)) {
                spin_unlock(head2.lock)
                break next_port
              }
              port_ret.v = port
              tb_ret.v = tb
              tb2_ret.v = tb2
              head2_ret.v = head2
              return head
            }
            spin_unlock_bh(head.lock)
          }
          offset--
        } while (!(offset & 1))

        if (attempt_half !== 1) break
        attempt_half = 2
      }
      if (!net.ipv4.sysctl_ip_autobind_reuse || relax) return null
      // connections to different destinations may still share a port
      relax = true
    }
  },
)

/** walks a chain of bhash, as inet_bind_bucket_for_each does */
export function bind_bucket_find(head: head1, net: net, port: number, l3mdev: number): inet_bind_bucket | null {
  for (let p = head.chain.next; p !== head.chain; p = p.next) {
    if (p.owner !== null && inet_bind_bucket_match(p.owner, net, port, l3mdev)) return p.owner
  }
  return null
}

const sk_reuseport_match = kfunc('sk_reuseport_match', (tb: inet_bind_bucket, sk: sock): boolean => {
  const uid = sock_i_uid(sk)

  if (tb.fastreuseport <= 0) return false
  if (!sk.sk_reuseport) return false
  if (sk.sk_reuseport_cb !== null) return false
  if (tb.fastuid !== uid) return false
  if (tb.fastreuseport === FASTREUSEPORT_ANY) return true
  if (tb.fast_sk_family === AF_INET6)
    return ipv6_rcv_saddr_equal(
      tb.fast_v6_rcv_saddr ?? in6addr_any,
      inet6_rcv_saddr(sk),
      tb.fast_rcv_saddr,
      sk.sk_rcv_saddr,
      tb.fast_ipv6_only,
      ipv6_only_sock(sk),
      true,
      false,
    )
  return ipv4_rcv_saddr_equal(tb.fast_rcv_saddr, sk.sk_rcv_saddr, ipv6_only_sock(sk), true, false)
})

function set_fastreuseport(tb: inet_bind_bucket, sk: sock, uid: number, how: number): void {
  tb.fastreuseport = how
  tb.fastuid = uid
  tb.fast_rcv_saddr = sk.sk_rcv_saddr
  tb.fast_ipv6_only = ipv6_only_sock(sk)
  tb.fast_sk_family = sk.sk_family
  tb.fast_v6_rcv_saddr = sk.skc_v6_rcv_saddr?.slice() ?? null
}

export const inet_csk_update_fastreuse = kfunc('inet_csk_update_fastreuse', (tb: inet_bind_bucket, sk: sock): void => {
  const uid = sock_i_uid(sk)
  const reuse = sk.sk_reuse && sk.sk_state !== TCP_LISTEN

  if (list_empty(tb.bhash2)) {
    tb.fastreuse = reuse ? 1 : 0
    if (sk.sk_reuseport) set_fastreuseport(tb, sk, uid, FASTREUSEPORT_ANY)
    else tb.fastreuseport = 0
  } else {
    if (!reuse) tb.fastreuse = 0
    if (sk.sk_reuseport) {
      // no conflict now, but whoever comes next must be like this one
      if (!sk_reuseport_match(tb, sk)) set_fastreuseport(tb, sk, uid, FASTREUSEPORT_STRICT)
    } else {
      tb.fastreuseport = 0
    }
  }
})

/**
 * Binds `sk` to the local port `snum`, or to one of the kernel's choice when that is 0.
 * @returns 0 or -EADDRINUSE
 */
export const inet_csk_get_port = kfunc('inet_csk_get_port', (sk: sock, snum: number): number => {
  const hinfo = tcp_or_dccp_get_hashinfo(sk)
  const reuse = sk.sk_reuse && sk.sk_state !== TCP_LISTEN
  const net = sk.sk_net
  const tb_ret: ref<inet_bind_bucket | null> = { v: null }
  const tb2_ret: ref<inet_bind2_bucket | null> = { v: null }
  const head2_ret: ref<head2 | null> = { v: null }
  const port_ret = { v: snum }
  let found_port = false
  let check_bind_conflict = true
  let bhash_created = false
  let bhash2_created = false
  let ret = -EADDRINUSE
  let head: head1 | null

  const l3mdev = inet_sk_bound_l3mdev(sk)

  if (!snum) {
    head = inet_csk_find_open_port(sk, tb_ret, tb2_ret, head2_ret, port_ret)
    if (head === null) return ret
    found_port = true
  } else {
    head = inet_bhash_bucket(hinfo, inet_bhashfn(net, snum, hinfo.bhash_size))
    spin_lock_bh(head.lock)
    tb_ret.v = bind_bucket_find(head, net, snum, l3mdev)
  }
  const port = port_ret.v
  let tb = tb_ret.v
  let tb2 = tb2_ret.v
  let head2 = head2_ret.v

  fail_unlock: {
    if (!found_port || tb === null || tb2 === null) {
      if (tb === null) {
        tb = inet_bind_bucket_create(hinfo.bind_bucket_cachep, net, head, port, l3mdev)
        bhash_created = true
      }

      if (!found_port) {
        if (!list_empty(tb.bhash2)) {
          if (sk.sk_reuse === SK_FORCE_REUSE || (tb.fastreuse > 0 && reuse) || sk_reuseport_match(tb, sk))
            check_bind_conflict = false
        }

        if (check_bind_conflict && inet_use_hash2_on_bind(sk)) {
          if (inet_bhash2_addr_any_conflict(sk, port, l3mdev, true, true)) break fail_unlock
        }

        head2 = inet_bhashfn_portaddr(hinfo, sk, net, port)
        spin_lock(head2.lock)
        tb2 = inet_bind2_bucket_find(head2, net, port, l3mdev, sk)
      }

      if (tb2 === null) {
        tb2 = inet_bind2_bucket_create(hinfo.bind2_bucket_cachep, net, head2 as head2, tb, sk)
        bhash2_created = true
      }

      if (!found_port && check_bind_conflict) {
        if (inet_csk_bind_conflict(sk, tb, tb2, true, true)) break fail_unlock
      }
    }

    inet_csk_update_fastreuse(tb, sk)

    if (inet_csk(sk).icsk_bind_hash === null) inet_bind_hash(sk, tb, tb2, port)
    ret = 0
  }
  if (ret && tracer.on) decide('inet_csk_get_port', 'port in use', { port, reuseaddr: sk.sk_reuse, reuseport: sk.sk_reuseport })
  if (ret) {
    if (bhash2_created && tb2 !== null) inet_bind2_bucket_destroy(hinfo.bind2_bucket_cachep, tb2)
    if (bhash_created && tb !== null) inet_bind_bucket_destroy(hinfo.bind_bucket_cachep, tb)
  }
  if (head2 !== null) spin_unlock(head2.lock)
  spin_unlock_bh(head.lock)
  return ret
})

/** sleeps until a connection is ready; 0, or -EINVAL (no listener any more), -EAGAIN, -ERESTARTSYS, -EINTR */
const inet_csk_wait_for_connect = kfunc('inet_csk_wait_for_connect', (sk: sock, timeo: number): number => {
  const icsk = inet_csk(sk)
  const wait = new wait_queue_entry(current, autoremove_wake_function)
  const wq = sk_sleep(sk)
  let err: number

  for (;;) {
    prepare_to_wait_exclusive(wq, wait, TASK_INTERRUPTIBLE)
    release_sock(sk)
    if (reqsk_queue_empty(icsk.icsk_accept_queue)) timeo = schedule_timeout(timeo)
    lock_sock(sk)
    err = 0
    if (!reqsk_queue_empty(icsk.icsk_accept_queue)) break
    err = -EINVAL
    if (sk.sk_state !== TCP_LISTEN) break
    err = sock_intr_errno(timeo)
    if (signal_pending(current)) break
    err = -EAGAIN
    if (!timeo) break
  }
  finish_wait(wq, wait)
  return err
})

/** takes the oldest connection that is ready; null with arg.err when there is none to have */
export const inet_csk_accept = kfunc('inet_csk_accept', (sk: sock, arg: proto_accept_arg): sock | null => {
  const icsk = inet_csk(sk)
  const queue = icsk.icsk_accept_queue
  let req: request_sock | null = null
  let newsk: sock | null = null
  let error: number

  lock_sock(sk)

  out_err: {
    error = -EINVAL
    if (sk.sk_state !== TCP_LISTEN) break out_err

    if (reqsk_queue_empty(queue)) {
      const timeo = sock_rcvtimeo(sk, (arg.flags & O_NONBLOCK) !== 0)

      error = -EAGAIN
      if (!timeo) break out_err

      error = inet_csk_wait_for_connect(sk, timeo)
      if (error) break out_err
    }
    req = reqsk_queue_remove(queue, sk) as request_sock
    arg.is_empty = reqsk_queue_empty(queue)
    newsk = req.sk
    error = 0

    if (sk.sk_protocol === IPPROTO_TCP && tcp_rsk(req).tfo_listener) {
      spin_lock_bh(queue.fastopenq.lock)
      const waiting = tcp_rsk(req).tfo_listener
      if (waiting) req.sk = null
      spin_unlock_bh(queue.fastopenq.lock)
      // the last ACK of the handshake frees it
      if (waiting) req = null
    }
  }
  if (error) arg.err = error
  release_sock(sk)
  // memory of sockets is charged to no control group here: mem_cgroup_sockets_enabled is off
  if (req !== null) reqsk_put(req)

  if (newsk !== null) inet_init_csk_locks(newsk)

  return newsk
})

export const inet_csk_init_xmit_timers = kfunc(
  'inet_csk_init_xmit_timers',
  (
    sk: sock,
    retransmit_handler: (t: timer_list) => void,
    delack_handler: (t: timer_list) => void,
    keepalive_handler: (t: timer_list) => void,
  ): void => {
    const icsk = inet_csk(sk)

    icsk.icsk_retransmit_timer = new timer_list(sk)
    icsk.icsk_delack_timer = new timer_list(sk)
    icsk.icsk_keepalive_timer = new timer_list(sk)
    timer_setup(icsk.icsk_retransmit_timer, retransmit_handler, 0)
    timer_setup(icsk.icsk_delack_timer, delack_handler, 0)
    timer_setup(icsk.icsk_keepalive_timer, keepalive_handler, 0)
    icsk.icsk_pending = icsk.icsk_ack.pending = 0
  },
)

export const inet_csk_clear_xmit_timers = kfunc('inet_csk_clear_xmit_timers', (sk: sock): void => {
  const icsk = inet_csk(sk)

  icsk.icsk_pending = icsk.icsk_ack.pending = 0

  sk_stop_timer(sk, icsk.icsk_retransmit_timer)
  sk_stop_timer(sk, icsk.icsk_delack_timer)
  sk_stop_timer(sk, icsk.icsk_keepalive_timer)
})

export const inet_csk_clear_xmit_timers_sync = kfunc('inet_csk_clear_xmit_timers_sync', (sk: sock): void => {
  const icsk = inet_csk(sk)

  icsk.icsk_pending = icsk.icsk_ack.pending = 0

  sk_stop_timer_sync(sk, icsk.icsk_retransmit_timer)
  sk_stop_timer_sync(sk, icsk.icsk_delack_timer)
  sk_stop_timer_sync(sk, icsk.icsk_keepalive_timer)
})

export const inet_csk_delete_keepalive_timer = kfunc('inet_csk_delete_keepalive_timer', (sk: sock): void => {
  sk_stop_timer(sk, inet_csk(sk).icsk_keepalive_timer)
})

/** `len` in jiffies from now */
export const inet_csk_reset_keepalive_timer = kfunc('inet_csk_reset_keepalive_timer', (sk: sock, len: number): void => {
  sk_reset_timer(sk, inet_csk(sk).icsk_keepalive_timer, jiffies() + len)
})

export const inet_csk_route_req = kfunc('inet_csk_route_req', (sk: sock, fl4: flowi4, req: request_sock): dst_entry | null => {
  const ireq = inet_rsk(req)
  const net = ireq.skc_net

  rcu_read_lock()
  const opt = ireq.ireq_opt

  flowi4_init_output(
    fl4,
    ireq.ir_iif,
    ireq.ir_mark,
    ip_sock_rt_tos(sk),
    ip_sock_rt_scope(sk),
    sk.sk_protocol,
    inet_sk_flowi_flags(sk),
    opt?.srr ? opt.faddr : ireq.ir_rmt_addr,
    ireq.ir_loc_addr,
    ireq.ir_rmt_port,
    ireq.ir_num,
    sk.sk_uid,
  )
  security_req_classify_flow(req, flowi4_to_flowi_common(fl4))
  const rt = ip_route_output_flow(net, fl4, sk)
  no_route: {
    if (IS_ERR(rt)) break no_route
    if (opt?.is_strictroute && rt.rt_uses_gateway) {
      ip_rt_put(rt)
      break no_route
    }
    rcu_read_unlock()
    return rt
  }
  rcu_read_unlock()
  net.mib.ip.OutNoRoutes++
  return null
})

export const inet_csk_route_child_sock = kfunc(
  'inet_csk_route_child_sock',
  (sk: sock, newsk: sock, req: request_sock): dst_entry | null => {
    const ireq = inet_rsk(req)
    const net = ireq.skc_net
    const opt = ireq.ireq_opt
    const fl4 = inet_sk(newsk).cork.fl

    flowi4_init_output(
      fl4,
      ireq.ir_iif,
      ireq.ir_mark,
      ip_sock_rt_tos(sk),
      ip_sock_rt_scope(sk),
      sk.sk_protocol,
      inet_sk_flowi_flags(sk),
      opt?.srr ? opt.faddr : ireq.ir_rmt_addr,
      ireq.ir_loc_addr,
      ireq.ir_rmt_port,
      ireq.ir_num,
      sk.sk_uid,
    )
    security_req_classify_flow(req, flowi4_to_flowi_common(fl4))
    const rt = ip_route_output_flow(net, fl4, sk)
    no_route: {
      if (IS_ERR(rt)) break no_route
      if (opt?.is_strictroute && rt.rt_uses_gateway) {
        ip_rt_put(rt)
        break no_route
      }
      return rt
    }
    net.mib.ip.OutNoRoutes++
    return null
  },
)

/** whether the request is given up, and whether SYN-ACK is sent again */
const syn_ack_recalc = kfunc(
  'syn_ack_recalc',
  (
    req: request_sock,
    max_syn_ack_retries: number,
    rskq_defer_accept: number,
    expire: ref<boolean>,
    resend: ref<boolean>,
  ): void => {
    const { acked } = inet_rsk(req)
    if (!rskq_defer_accept) {
      expire.v = req.num_timeout >= max_syn_ack_retries
      resend.v = true
      return
    }
    expire.v = req.num_timeout >= max_syn_ack_retries && (!acked || req.num_timeout >= rskq_defer_accept)
    // an ACK came, data did not: the last chance is at the end of the deferring period
    resend.v = !acked || req.num_timeout >= rskq_defer_accept - 1
  },
)

export const inet_rtx_syn_ack = kfunc('inet_rtx_syn_ack', (parent: sock, req: request_sock): number => {
  if (tracer.on) traceIndirect('req->rsk_ops->rtx_syn_ack', nameOf(req.rsk_ops.rtx_syn_ack))
  const err = req.rsk_ops.rtx_syn_ack(parent, req)

  if (!err) req.num_retrans++
  return err
})

const reqsk_alloc_noprof = kfunc(
  'reqsk_alloc_noprof',
  (ops: request_sock_ops, sk_listener: sock, attach_listener: boolean): request_sock | null => {
    if (!kmem_cache_alloc_noprof(ops.slab as kmem_cache, GFP_ATOMIC)) return null
    const req = ops.alloc()
    req.rsk_listener = null
    if (attach_listener) {
      if (sk_listener.sk_refcnt === 0) {
        kmem_cache_free(ops.slab as kmem_cache, req)
        return null
      }
      sk_listener.sk_refcnt++
      req.rsk_listener = sk_listener
    }
    req.rsk_ops = ops
    req.skc_prot = sk_listener.sk_prot
    req.rsk_refcnt = 0
    return req
  },
)

/** an embryo of a connection: a SYN has come */
export const inet_reqsk_alloc = kfunc(
  'inet_reqsk_alloc',
  (ops: request_sock_ops, sk_listener: sock, attach_listener: boolean): request_sock | null => {
    const req = reqsk_alloc_noprof(ops, sk_listener, attach_listener)

    if (req !== null) {
      inet_rsk(req).ireq_opt = null
      req.skc_cookie = 0
      req.skc_state = TCP_NEW_SYN_RECV
      req.skc_net = sk_listener.sk_net
      req.skc_family = sk_listener.sk_family
      req.timeout = TCP_TIMEOUT_INIT
    }
    return req
  },
)

/** moves a request to another listener of its group (SO_REUSEPORT) */
const inet_reqsk_clone = kfunc('inet_reqsk_clone', (req: request_sock, sk: sock): request_sock | null => {
  if (!kmem_cache_alloc_noprof(req.rsk_ops.slab as kmem_cache, GFP_ATOMIC)) {
    sk.sk_net.mib.linux.TCPMigrateReqFailure++
    sock_put(sk)
    return null
  }
  const nreq = req.rsk_ops.alloc()
  const { skc_bind_node: _bind, ...fields } = req
  Object.assign(nreq, fields)
  nreq.skc_node = null
  nreq.skc_nulls_next = null
  nreq.skc_nulls_prev = null
  nreq.rsk_timer = new timer_list(nreq)
  nreq.rsk_listener = sk

  if (sk.sk_protocol === IPPROTO_TCP && tcp_rsk(nreq).tfo_listener) {
    const { fastopenq } = inet_csk(sk).icsk_accept_queue
    spin_lock_bh(fastopenq.lock)
    fastopenq.qlen++
    spin_unlock_bh(fastopenq.lock)
    if (nreq.sk !== null) tcp_sk(nreq.sk).fastopen_rsk = nreq
  }
  return nreq
})

const reqsk_queue_migrated = kfunc('reqsk_queue_migrated', (queue: request_sock_queue, req: request_sock): void => {
  if (req.num_timeout === 0) queue.young++
  queue.qlen++
})

const reqsk_migrate_reset = kfunc('reqsk_migrate_reset', (req: request_sock): void => {
  req.saved_syn = null
  inet_rsk(req).ireq_opt = null
})

const reqsk_queue_unlink = kfunc('reqsk_queue_unlink', (req: request_sock): boolean => {
  let found = false

  if (req.skc_node !== null) {
    const hashinfo = tcp_or_dccp_get_hashinfo(req)
    const lock = inet_ehash_lockp(hashinfo, req.skc_hash)

    spin_lock(lock)
    if (req.skc_node !== null) {
      hlist_nulls_del_init_rcu(req)
      found = true
    }
    spin_unlock(lock)
  }
  return found
})

const __inet_csk_reqsk_queue_drop = kfunc(
  '__inet_csk_reqsk_queue_drop',
  (sk: sock, req: request_sock, from_timer: boolean): boolean => {
    const unlinked = reqsk_queue_unlink(req)

    if (!from_timer && timer_delete_sync(req.rsk_timer)) reqsk_put(req)

    if (unlinked) {
      reqsk_queue_removed(inet_csk(sk).icsk_accept_queue, req)
      reqsk_put(req)
    }
    return unlinked
  },
)

export const inet_csk_reqsk_queue_drop = kfunc('inet_csk_reqsk_queue_drop', (sk: sock, req: request_sock): boolean =>
  __inet_csk_reqsk_queue_drop(sk, req, false),
)

export const inet_csk_reqsk_queue_drop_and_put = kfunc(
  'inet_csk_reqsk_queue_drop_and_put',
  (sk: sock, req: request_sock): void => {
    inet_csk_reqsk_queue_drop(sk, req)
    reqsk_put(req)
  },
)

/** the last ACK of a handshake did not come in time */
const reqsk_timer_handler = kfunc('reqsk_timer_handler', (t: timer_list): void => {
  const oreq = from_timer<request_sock>(t)
  let req = oreq
  let nreq: request_sock | null = null
  let sk_listener = req.rsk_listener as sock
  const expire = { v: false }
  const resend = { v: false }

  drop: {
    if (sk_listener.sk_state !== TCP_LISTEN) {
      const nsk = reuseport_migrate_sock(sk_listener, req_to_sk(req), null)
      if (nsk === null) break drop

      nreq = inet_reqsk_clone(req, nsk)
      if (nreq === null) break drop

      nreq.rsk_refcnt = 2 + 1
      timer_setup(nreq.rsk_timer, reqsk_timer_handler, TIMER_PINNED)
      reqsk_queue_migrated(inet_csk(nsk).icsk_accept_queue, req)

      req = nreq
      sk_listener = nsk
    }

    const icsk = inet_csk(sk_listener)
    const net = sk_listener.sk_net
    let max_syn_ack_retries = icsk.icsk_syn_retries || net.ipv4.sysctl_tcp_synack_retries
    const queue = icsk.icsk_accept_queue
    const qlen = reqsk_queue_len(queue)
    // half of the room is for young requests: old ones give way
    if (qlen << 1 > Math.max(8, sk_listener.sk_max_ack_backlog)) {
      let young = reqsk_queue_len_young(queue) << 1

      while (max_syn_ack_retries > 2) {
        if (qlen < young) break
        max_syn_ack_retries--
        young <<= 1
      }
    }
    syn_ack_recalc(req, max_syn_ack_retries, queue.rskq_defer_accept, expire, resend)
    if (tracer.on)
      decide('reqsk_timer_handler', expire.v ? 'handshake given up' : resend.v ? 'SYN-ACK sent again' : 'waiting for data', {
        timeouts: req.num_timeout,
        max_syn_ack_retries,
        qlen,
      })
    if (tracer.on) traceIndirect('req->rsk_ops->syn_ack_timeout', nameOf(req.rsk_ops.syn_ack_timeout))
    req.rsk_ops.syn_ack_timeout(req)
    if (!expire.v && (!resend.v || !inet_rtx_syn_ack(sk_listener, req) || inet_rsk(req).acked)) {
      if (req.num_timeout++ === 0) queue.young--
      mod_timer(req.rsk_timer, jiffies() + reqsk_timeout(req, TCP_RTO_MAX))

      if (nreq === null) return

      if (!inet_ehash_insert(nreq, oreq, null)) {
        __inet_csk_reqsk_queue_drop(sk_listener, nreq, false)
        no_ownership(queue, nreq)
        break drop
      }

      net.mib.linux.TCPMigrateReqSuccess++
      reqsk_migrate_reset(oreq)
      reqsk_queue_removed(inet_csk(oreq.rsk_listener as sock).icsk_accept_queue, oreq)
      reqsk_put(oreq)

      reqsk_put(nreq)
      return
    }

    if (nreq !== null) {
      net.mib.linux.TCPMigrateReqFailure++
      reqsk_put(nreq)
      no_ownership(queue, nreq)
    }
  }
  __inet_csk_reqsk_queue_drop(oreq.rsk_listener as sock, oreq, true)
  reqsk_put(oreq)
})

/** the copy of a request that lost the race: gives up its two references */
function no_ownership(queue: request_sock_queue, nreq: request_sock): void {
  reqsk_migrate_reset(nreq)
  reqsk_queue_removed(queue, nreq)
  reqsk_put(nreq)
  reqsk_put(nreq)
}

const reqsk_queue_hash_req = kfunc('reqsk_queue_hash_req', (req: request_sock, timeout: number): boolean => {
  const found_dup_sk = { v: false }

  if (!inet_ehash_insert(req, null, found_dup_sk)) return false

  req.rsk_timer = new timer_list(req)
  timer_setup(req.rsk_timer, reqsk_timer_handler, TIMER_PINNED)
  mod_timer(req.rsk_timer, jiffies() + timeout)

  // the hash table, the timer, and the caller
  req.rsk_refcnt = 2 + 1
  return true
})

/** `timeout` in jiffies, until SYN-ACK is sent again; false when the connection is being made already */
export const inet_csk_reqsk_queue_hash_add = kfunc(
  'inet_csk_reqsk_queue_hash_add',
  (sk: sock, req: request_sock, timeout: number): boolean => {
    if (!reqsk_queue_hash_req(req, timeout)) return false

    inet_csk_reqsk_queue_added(sk)
    return true
  },
)

const inet_clone_ulp = kfunc('inet_clone_ulp', (_req: request_sock, newsk: sock, _priority: number): void => {
  const icsk = inet_csk(newsk)

  if (icsk.icsk_ulp_ops === null) return
  // no ULP (kTLS) is simulated
})

/** the child of a listener, locked; it goes on as SYN_RECV */
export const inet_csk_clone_lock = kfunc('inet_csk_clone_lock', (sk: sock, req: request_sock, priority: number): sock | null => {
  const newsk = sk_clone_lock(sk, priority)

  if (newsk !== null) {
    const newicsk = inet_csk(newsk)
    const ireq = inet_rsk(req)

    inet_sk_set_state(newsk, TCP_SYN_RECV)
    newicsk.icsk_bind_hash = null
    newicsk.icsk_bind2_hash = null

    newicsk.inet_dport = ireq.ir_rmt_port
    newicsk.inet_num = ireq.ir_num
    newicsk.inet_sport = ireq.ir_num

    // a listener is freed after a grace period, a child is not
    sock_reset_flag(newsk, SOCK_RCU_FREE)

    newicsk.mc_list = null

    newsk.sk_mark = ireq.ir_mark
    newsk.skc_cookie = ireq.skc_cookie

    newicsk.icsk_retransmits = 0
    newicsk.icsk_backoff = 0
    newicsk.icsk_probes_out = 0
    newicsk.icsk_probes_tstamp = 0

    newicsk.icsk_accept_queue = new request_sock_queue()

    inet_clone_ulp(req, newsk, priority)

    security_inet_csk_clone(newsk, req)
  }
  return newsk
})

/** nobody uses the socket any more: not a process, not the hash tables */
export const inet_csk_destroy_sock = kfunc('inet_csk_destroy_sock', (sk: sock): void => {
  const { sk_prot } = sk
  if (tracer.on) traceIndirect('sk->sk_prot->destroy', nameOf(sk_prot.destroy))
  sk_prot.destroy?.(sk)

  sk_stream_kill_queues(sk)

  xfrm_sk_free_policy(sk)

  if (sk_prot.orphan_count !== undefined) sk_prot.orphan_count.v--

  sock_put(sk)
})

export const inet_csk_prepare_for_destroy_sock = kfunc('inet_csk_prepare_for_destroy_sock', (sk: sock): void => {
  if (sk.sk_protocol === IPPROTO_TCP) tcp_sk(sk).bpf_sock_ops_cb_flags = 0
  sock_set_flag(sk, SOCK_DEAD)
  if (sk.sk_prot.orphan_count !== undefined) sk.sk_prot.orphan_count.v++
})

/** undoes a child that was just made: the caller closes it then */
export const inet_csk_prepare_forced_close = kfunc('inet_csk_prepare_forced_close', (sk: sock): void => {
  bh_unlock_sock(sk)
  sock_put(sk)
  inet_csk_prepare_for_destroy_sock(sk)
  inet_sk(sk).inet_num = 0
})

const inet_ulp_can_listen = kfunc('inet_ulp_can_listen', (_sk: sock): number => 0)

export const inet_csk_listen_start = kfunc('inet_csk_listen_start', (sk: sock): number => {
  const icsk = inet_csk(sk)

  let err = inet_ulp_can_listen(sk)
  if (err) return err

  reqsk_queue_alloc(icsk.icsk_accept_queue)

  sk.sk_ack_backlog = 0
  inet_csk_delack_init(sk)

  inet_sk_state_store(sk, TCP_LISTEN)
  const { sk_prot } = sk
  if (tracer.on) traceIndirect('sk->sk_prot->get_port', nameOf(sk_prot.get_port))
  err = sk_prot.get_port?.(sk, icsk.inet_num) ?? 0
  if (!err) {
    icsk.inet_sport = icsk.inet_num

    sk_dst_reset(sk)
    if (tracer.on) traceIndirect('sk->sk_prot->hash', nameOf(sk_prot.hash))
    err = sk_prot.hash?.(sk) ?? 0

    if (!err) return 0
  }

  inet_sk_set_state(sk, TCP_CLOSE)
  return err
})

/** a connection that nobody will accept */
const inet_child_forget = kfunc('inet_child_forget', (sk: sock, req: request_sock, child: sock): void => {
  const { sk_prot } = sk
  if (tracer.on) traceIndirect('sk->sk_prot->disconnect', nameOf(sk_prot.disconnect))
  sk_prot.disconnect?.(child, O_NONBLOCK)

  sock_orphan(child)

  if (sk_prot.orphan_count !== undefined) sk_prot.orphan_count.v++

  if (sk.sk_protocol === IPPROTO_TCP && tcp_rsk(req).tfo_listener) tcp_sk(child).fastopen_rsk = null
  inet_csk_destroy_sock(child)
})

/** the connection stands: accept() may have it. Null when there is no listener any more. */
export const inet_csk_reqsk_queue_add = kfunc(
  'inet_csk_reqsk_queue_add',
  (sk: sock, req: request_sock, child: sock): sock | null => {
    const queue = inet_csk(sk).icsk_accept_queue
    let ret: sock | null = child

    spin_lock(queue.rskq_lock)
    if (sk.sk_state !== TCP_LISTEN) {
      inet_child_forget(sk, req, child)
      ret = null
    } else {
      req.sk = child
      req.dl_next = null
      if (queue.rskq_accept_head === null) queue.rskq_accept_head = req
      else if (queue.rskq_accept_tail !== null) queue.rskq_accept_tail.dl_next = req
      queue.rskq_accept_tail = req
      sk_acceptq_added(sk)
    }
    spin_unlock(queue.rskq_lock)
    return ret
  },
)

/** the request leaves the hash table (its child is there already) and goes to the accept queue */
export const inet_csk_complete_hashdance = kfunc(
  'inet_csk_complete_hashdance',
  (sk: sock, child: sock, req: request_sock, own_req: boolean): sock | null => {
    child_put: {
      if (!own_req) break child_put
      const listener = req.rsk_listener as sock
      inet_csk_reqsk_queue_drop(listener, req)
      reqsk_queue_removed(inet_csk(listener).icsk_accept_queue, req)

      if (sk !== listener) {
        // another listener of the group was chosen
        sock_hold(sk)
        const nreq = inet_reqsk_clone(req, sk)
        if (nreq === null) {
          inet_child_forget(sk, req, child)
          break child_put
        }

        nreq.rsk_refcnt = 1
        if (inet_csk_reqsk_queue_add(sk, nreq, child) !== null) {
          sk.sk_net.mib.linux.TCPMigrateReqSuccess++
          reqsk_migrate_reset(req)
          reqsk_put(req)
          return child
        }

        sk.sk_net.mib.linux.TCPMigrateReqFailure++
        reqsk_migrate_reset(nreq)
        reqsk_put(nreq)
      } else if (inet_csk_reqsk_queue_add(sk, req, child) !== null) {
        return child
      }
    }
    bh_unlock_sock(child)
    sock_put(child)
    return null
  },
)

/** a listener closes: connections that nobody accepted are reset */
export const inet_csk_listen_stop = kfunc('inet_csk_listen_stop', (sk: sock): void => {
  const queue = inet_csk(sk).icsk_accept_queue
  let req: request_sock | null

  for (req = reqsk_queue_remove(queue, sk); req !== null; req = reqsk_queue_remove(queue, sk)) {
    const child = req.sk as sock

    local_bh_disable()
    bh_lock_sock(child)
    sock_hold(child)

    const nsk = reuseport_migrate_sock(sk, child, null)
    const nreq = nsk === null ? null : inet_reqsk_clone(req, nsk)
    if (nsk !== null && nreq !== null) {
      nreq.rsk_refcnt = 1

      rcu_read_lock()
      if (inet_csk_reqsk_queue_add(nsk, nreq, child) !== null) {
        nsk.sk_net.mib.linux.TCPMigrateReqSuccess++
        reqsk_migrate_reset(req)
        if (tracer.on) traceIndirect('sk->sk_data_ready', nameOf(nsk.sk_data_ready))
        nsk.sk_data_ready(nsk)
      } else {
        nsk.sk_net.mib.linux.TCPMigrateReqFailure++
        reqsk_migrate_reset(nreq)
        reqsk_put(nreq)
      }
      rcu_read_unlock()
    } else {
      inet_child_forget(sk, req, child)
    }
    reqsk_put(req)
    bh_unlock_sock(child)
    local_bh_enable()
    sock_put(child)
  }
  if (queue.fastopenq.rskq_rst_head !== null) {
    spin_lock_bh(queue.fastopenq.lock)
    req = queue.fastopenq.rskq_rst_head
    queue.fastopenq.rskq_rst_head = null
    spin_unlock_bh(queue.fastopenq.lock)
    while (req !== null) {
      const next: request_sock | null = req.dl_next
      reqsk_put(req)
      req = next
    }
  }
})

export const inet_csk_addr2sockaddr = kfunc('inet_csk_addr2sockaddr', (sk: sock, uaddr: sockaddr): void => {
  const inet = inet_sk(sk)

  uaddr.sa_family = AF_INET
  uaddr.sin_addr = inet.inet_daddr
  uaddr.sin_port = inet.inet_dport
})

const inet_csk_rebuild_route = kfunc('inet_csk_rebuild_route', (sk: sock, fl4: flowi4): dst_entry | null => {
  const inet = inet_sk(sk)
  let daddr = inet.inet_daddr

  rcu_read_lock()
  const { inet_opt } = inet
  if (inet_opt?.srr) daddr = inet_opt.faddr
  const rt = ip_route_output_ports(
    sk.sk_net,
    fl4,
    sk,
    daddr,
    inet.inet_saddr,
    inet.inet_dport,
    inet.inet_sport,
    sk.sk_protocol,
    ip_sock_rt_tos(sk),
    sk.sk_bound_dev_if,
  )
  const dst = IS_ERR(rt) ? null : rt
  if (dst !== null) sk_setup_caps(sk, dst)
  rcu_read_unlock()

  return dst
})

/** a router said that `mtu` is the most that passes; returns the route, null when there is none */
export const inet_csk_update_pmtu = kfunc('inet_csk_update_pmtu', (sk: sock, mtu: number): dst_entry | null => {
  let dst = __sk_dst_check(sk, 0)
  const inet = inet_sk(sk)

  if (dst === null) {
    dst = inet_csk_rebuild_route(sk, inet.cork.fl)
    if (dst === null) return null
  }
  if (tracer.on) traceIndirect('dst->ops->update_pmtu', nameOf(dst.ops.update_pmtu))
  dst.ops.update_pmtu?.(dst, sk, null, mtu, true)

  dst = __sk_dst_check(sk, 0)
  if (dst === null) dst = inet_csk_rebuild_route(sk, inet.cork.fl)
  return dst
})
