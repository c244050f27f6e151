import {
  ICSK_TIME_LOSS_PROBE,
  ICSK_TIME_PROBE0,
  ICSK_TIME_REO_TIMEOUT,
  ICSK_TIME_RETRANS,
  IPPROTO_TCP,
  TCP_LISTEN,
  TCP_NEW_SYN_RECV,
  TCP_SYN_RECV,
  TCP_TIME_WAIT,
} from '../../include/generated/enums.ts'
import { in6addr_any } from '../../include/linux/in6.ts'
import { SOCK_INODE } from '../../include/linux/net.ts'
import { AF_INET6 } from '../../include/linux/socket.ts'
import { type timer_list, timer_pending } from '../../include/linux/timer.ts'
import { inet_csk } from '../../include/net/inet_connection_sock.ts'
import { inet_sk } from '../../include/net/inet_sock.ts'
import { inet_twsk } from '../../include/net/inet_timewait_sock.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { request_sock } from '../../include/net/request_sock.ts'
import type { sock, sock_common } from '../../include/net/sock.ts'
import { tcp_sk } from '../../include/net/tcp.ts'
import { jiffies, jiffies_to_msecs } from '../../kernel/time/timer.ts'
import { sock_gen_cookie } from '../core/sock_diag.ts'
import { raw_v4_hashinfo } from './raw.ts'
import { tcp_get_info, tcp_info } from './tcp.ts'
import { tcp_hashinfo } from './tcp_ipv4.ts'
import { type udp_hslot, udp_rqueue_get, type udp_table_t } from './udp.ts'

/** struct inet_diag_msg and its attributes: what the kernel says of a socket. Nothing of it is traced. Times in milliseconds. */
export interface inet_diag_msg {
  /** null for what is no whole socket: a request, TIME-WAIT */
  readonly sk: sock | null
  readonly family: number
  readonly state: number
  /** 0 off, 1 on, 2 keepalive, 3 timewait, 4 persist */
  readonly timer: number
  readonly retrans: number
  readonly expires: number
  readonly saddr: number | Uint8Array
  readonly sport: number
  readonly daddr: number | Uint8Array
  readonly dport: number
  readonly ifindex: number
  readonly rqueue: number
  readonly wqueue: number
  readonly uid: number
  readonly inode: number
  readonly cookie: number
}

export type Transport = 'tcp' | 'udp' | 'raw'

const ms = (expires: number): number => Math.max(0, jiffies_to_msecs(expires - jiffies()))
const pending = (t: timer_list): boolean => timer_pending(t)

function addresses(c: sock_common): Pick<inet_diag_msg, 'family' | 'saddr' | 'daddr' | 'ifindex' | 'dport'> {
  const v6 = c.skc_family === AF_INET6
  return {
    family: c.skc_family,
    saddr: v6 ? (c.skc_v6_rcv_saddr ?? in6addr_any) : c.skc_rcv_saddr,
    daddr: v6 ? (c.skc_v6_daddr ?? in6addr_any) : c.skc_daddr,
    dport: c.skc_dport,
    ifindex: c.skc_bound_dev_if,
  }
}

/** inet_sk_diag_fill() */
function of_socket(sk: sock, transport: Transport): inet_diag_msg {
  let timer = 0
  let retrans = 0
  let expires = 0
  let rqueue = sk.sk_rmem_alloc
  let wqueue = sk.sk_wmem_alloc - 1
  if (transport === 'udp') rqueue = udp_rqueue_get(sk)
  if (transport === 'tcp') {
    const icsk = inet_csk(sk)
    const tp = tcp_sk(sk)
    if ([ICSK_TIME_RETRANS, ICSK_TIME_REO_TIMEOUT, ICSK_TIME_LOSS_PROBE].includes(icsk.icsk_pending)) {
      timer = 1
      retrans = icsk.icsk_retransmits
      expires = ms(icsk.icsk_timeout)
    } else if (icsk.icsk_pending === ICSK_TIME_PROBE0) {
      timer = 4
      retrans = icsk.icsk_probes_out
      expires = ms(icsk.icsk_timeout)
    } else if (pending(sk.sk_timer)) {
      timer = 2
      retrans = icsk.icsk_probes_out
      expires = ms(sk.sk_timer.expires)
    }
    const listening = sk.sk_state === TCP_LISTEN
    rqueue = listening ? sk.sk_ack_backlog : Math.max(0, (tp.rcv_nxt - tp.copied_seq) | 0)
    wqueue = listening ? sk.sk_max_ack_backlog : (tp.write_seq - tp.snd_una) >>> 0
  }
  return {
    ...addresses(sk),
    sk,
    state: sk.sk_state,
    sport: transport === 'raw' ? inet_sk(sk).inet_num : sk.skc_num,
    dport: transport === 'raw' && sk.skc_dport === 0 ? 0 : sk.skc_dport,
    timer,
    retrans,
    expires,
    rqueue,
    wqueue,
    uid: sk.sk_uid,
    inode: sk.sk_socket === null ? 0 : SOCK_INODE(sk.sk_socket).i_ino,
    cookie: sock_gen_cookie(sk),
  }
}

/** inet_twsk_diag_fill() and inet_req_diag_fill() */
function of_remains(c: sock_common): inet_diag_msg {
  const tw = c.skc_state === TCP_TIME_WAIT ? inet_twsk(c) : null
  const req = tw === null ? (c as request_sock) : null
  return {
    ...addresses(c),
    sk: null,
    state: tw?.tw_substate ?? TCP_SYN_RECV,
    sport: c.skc_num,
    timer: tw === null ? 1 : 3,
    retrans: req?.num_retrans ?? 0,
    expires: ms((tw?.tw_timer ?? req?.rsk_timer)?.expires ?? jiffies()),
    rqueue: 0,
    wqueue: 0,
    uid: 0,
    inode: 0,
    cookie: sock_gen_cookie(c as sock),
  }
}

/** the sockets of one protocol and family in a namespace, in the order of the tables that they are found in */
export function inet_diag_dump(n: net, transport: Transport, family: number): inet_diag_msg[] {
  const out: inet_diag_msg[] = []
  const mine = (c: sock_common): boolean => c.skc_net === n && c.skc_family === family
  if (transport === 'tcp') {
    for (const b of Object.values(tcp_hashinfo.lhash2))
      for (let c = b?.nulls_head.first ?? null; c !== null; c = c.skc_nulls_next)
        if (mine(c)) out.push(of_socket(c as sock, transport))
    for (const b of Object.values(tcp_hashinfo.ehash))
      for (let c = b?.first ?? null; c !== null; c = c.skc_nulls_next)
        if (mine(c))
          out.push(
            c.skc_state === TCP_TIME_WAIT || c.skc_state === TCP_NEW_SYN_RECV ? of_remains(c) : of_socket(c as sock, transport),
          )
  } else {
    const chains =
      transport === 'udp'
        ? Object.values((n.ipv4.udp_table as udp_table_t).hash).flatMap((s: udp_hslot | undefined) =>
            s === undefined ? [] : [s.head],
          )
        : raw_v4_hashinfo.ht
    for (const chain of chains) for (const sk of chain) if (mine(sk)) out.push(of_socket(sk, transport))
  }
  return out
}

/** sk_get_meminfo(), in the order of SK_MEMINFO_*: r, rb, t, tb, f, w, o, bl, d. Bytes, and packets dropped. */
export const sk_get_meminfo = (sk: sock): number[] => [
  sk.sk_rmem_alloc,
  sk.sk_rcvbuf,
  sk.sk_wmem_alloc - 1,
  sk.sk_sndbuf,
  sk.sk_forward_alloc,
  sk.sk_wmem_queued,
  sk.sk_omem_alloc,
  sk.sk_backlog.len,
  sk.sk_drops,
]

/** struct tcp_info of a socket and the name of its congestion control */
export function tcp_diag_info(sk: sock): { info: DataView; ca: string; bbr: bbr_numbers | null } | null {
  if (sk.sk_protocol !== IPPROTO_TCP) return null
  const info = new tcp_info()
  tcp_get_info(sk, info)
  const { icsk_ca_ops } = inet_csk(sk)
  const get = (icsk_ca_ops as { get_info?: (sk: sock) => unknown } | null)?.get_info
  const bbr = sk.sk_state === TCP_LISTEN ? null : (get?.(sk) as bbr_numbers | undefined)
  return { info: new DataView(info.bytes.buffer), ca: icsk_ca_ops?.name ?? '', bbr: bbr ?? null }
}

/** struct tcp_bbr_info: bytes a second, microseconds, and gains in 256ths */
export interface bbr_numbers {
  bbr_bw: number
  bbr_min_rtt: number
  bbr_pacing_gain: number
  bbr_cwnd_gain: number
}
