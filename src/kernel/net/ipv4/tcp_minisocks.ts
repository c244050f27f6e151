import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracer } from '../../../trace/tracer.ts'
import {
  HZ,
  SKB_NOT_DROPPED_YET,
  SOCK_KEEPOPEN,
  SOCK_RCVBUF_LOCK,
  TCP_CA_Open,
  TCP_FIN_WAIT2,
  TCP_RTO_MAX,
  TCP_SYN_RECV,
  TCP_TIME_WAIT,
  TCP_TIMEWAIT_LEN,
  TCP_TS_HZ,
  TCPOLEN_TSTAMP_ALIGNED,
} from '../../include/generated/enums.ts'
import { IPV6_FLOWLABEL_MASK } from '../../include/linux/in6.ts'
import { inet6_sk, sk_v6_daddr, sk_v6_rcv_saddr } from '../../include/linux/ipv6.ts'
import { list_head } from '../../include/linux/list.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import { AF_INET6 } from '../../include/linux/socket.ts'
import { TCP_FLAG_ACK, TCP_FLAG_RST, TCP_FLAG_SYN, tcp_flag_word, tcp_hdr, type tcphdr } from '../../include/linux/tcp.ts'
import { type ref, USEC_PER_MSEC, USEC_PER_SEC } from '../../include/linux/types.ts'
import { type dst_entry, RTAX_CC_ALGO, RTAX_INITRWND, RTAX_WINDOW } from '../../include/net/dst.ts'
import { inet_csk } from '../../include/net/inet_connection_sock.ts'
import { INET_FLAGS_TRANSPARENT, inet_rsk, inet_test_bit } from '../../include/net/inet_sock.ts'
import { type inet_timewait_sock, type tcp_timewait_sock, tcp_twsk, twsk_net } from '../../include/net/inet_timewait_sock.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { req_to_sk, type request_sock } from '../../include/net/request_sock.ts'
import { SK_RST_REASON_INVALID_SYN } from '../../include/net/rstreason.ts'
import type { sock } from '../../include/net/sock.ts'
import {
  after,
  before,
  TCP_CA_UNSPEC,
  TCP_ECN_OK,
  TCP_MSS_DEFAULT,
  TCP_SKB_CB,
  TCP_TW_ACK,
  TCP_TW_RST,
  TCP_TW_SUCCESS,
  TCP_TW_SYN,
  tcp_options_received,
  tcp_rsk,
  tcp_sk,
  type tcp_sock,
} from '../../include/net/tcp.ts'
import { try_module_get } from '../../kernel/module/main.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { ktime_get_seconds } from '../../kernel/time/timekeeping.ts'
import { jiffies, mod_timer_pending } from '../../kernel/time/timer.ts'
import { minmax_reset } from '../../lib/win_minmax.ts'
import { dst_metric } from '../core/dst.ts'
import { reqsk_fastopen_remove, reqsk_queue_removed, tcp_synack_window } from '../core/request_sock.ts'
import {
  __sk_add_backlog,
  bh_unlock_sock,
  sk_rx_queue_set,
  sock_flag,
  sock_owned_by_user,
  sock_put,
  sock_rps_save_rxhash,
} from '../core/sock.ts'
import {
  inet_csk_clone_lock,
  inet_csk_complete_hashdance,
  inet_csk_reqsk_queue_drop,
  inet_csk_reqsk_queue_drop_and_put,
  inet_csk_reset_keepalive_timer,
  inet_rtx_syn_ack,
  reqsk_timeout,
} from './inet_connection_sock.ts'
import {
  inet_twsk_alloc,
  inet_twsk_deschedule_put,
  inet_twsk_hashdance_schedule,
  inet_twsk_purge,
  inet_twsk_put,
  inet_twsk_reschedule,
} from './inet_timewait_sock.ts'
import { tcp_done } from './tcp.ts'
import { tcp_bpf_clone } from './tcp_bpf.ts'
import { tcp_assign_congestion_control, tcp_ca_find_key, tcp_set_ca_state } from './tcp_cong.ts'
import {
  keepalive_time_when,
  tcp_ca_dst_locked,
  tcp_clock_ms,
  tcp_clock_us,
  tcp_dst_advmss,
  tcp_full_space,
  tcp_init_wl,
  tcp_jiffies32,
  tcp_mss_clamp,
  tcp_paws_reject,
  tcp_receive_window,
  tcp_rwnd_init_bpf,
  tcp_segs_in,
} from './tcp_inlines.ts'
import {
  tcp_oow_rate_limited,
  tcp_parse_options,
  tcp_rcv_state_process,
  tcp_reqsk_send_challenge_ack,
  tcp_reset,
  tcp_synack_rtt_meas,
} from './tcp_input.ts'
import { tcp_hashinfo } from './tcp_ipv4.ts'
import { tcp_update_metrics } from './tcp_metrics.ts'
import { tcp_select_initial_window } from './tcp_output.ts'
import { tcp_init_xmit_timers } from './tcp_timer.ts'

const SIZEOF_TCPHDR = 20

const tcp_in_window = kfunc('tcp_in_window', (seq: number, end_seq: number, s_win: number, e_win: number): boolean => {
  if (seq === s_win) return true
  if (after(end_seq, s_win) && before(seq, e_win)) return true
  return seq === e_win && seq === end_seq
})

/** answers a segment outside the window, unless that was done too often */
const tcp_timewait_check_oow_rate_limit = kfunc(
  'tcp_timewait_check_oow_rate_limit',
  (tw: inet_timewait_sock, skb: sk_buff, mib_idx: 'TCPACKSkippedFinWait2' | 'TCPACKSkippedTimeWait'): number => {
    const tcptw = tcp_twsk(tw)
    last_oow_ack_time.v = tcptw.tw_last_oow_ack_time
    const limited = tcp_oow_rate_limited(twsk_net(tw), skb, mib_idx, last_oow_ack_time)
    tcptw.tw_last_oow_ack_time = last_oow_ack_time.v
    if (!limited) return TCP_TW_ACK

    inet_twsk_put(tw)
    return TCP_TW_SUCCESS
  },
)
const last_oow_ack_time: ref<number> = { v: 0 }

const twsk_rcv_nxt_update = kfunc('twsk_rcv_nxt_update', (tcptw: tcp_timewait_sock, seq: number, _rcv_nxt: number): void => {
  tcptw.tw_rcv_nxt = seq
})

/**
 * A segment for a connection in TIME_WAIT, or in a FIN_WAIT2 that no process waits for. `tw_isn` is set for TCP_TW_SYN: the first
 * sequence number that the new connection shall use.
 */
export const tcp_timewait_state_process = kfunc(
  'tcp_timewait_state_process',
  (tw: inet_timewait_sock, skb: sk_buff, th: tcphdr, tw_isn: ref<number>): number => {
    const tcptw = tcp_twsk(tw)
    const { rst } = th
    const cb = TCP_SKB_CB(skb)
    const rcv_nxt = tcptw.tw_rcv_nxt
    const tmp_opt = new tcp_options_received()
    let paws_reject = false

    const ts_recent_stamp = tcptw.tw_ts_recent_stamp
    if (th.doff > SIZEOF_TCPHDR >> 2 && ts_recent_stamp) {
      tcp_parse_options(twsk_net(tw), skb, tmp_opt, 0, null)

      if (tmp_opt.saw_tstamp) {
        if (tmp_opt.rcv_tsecr) tmp_opt.rcv_tsecr = (tmp_opt.rcv_tsecr - tcptw.tw_ts_offset) >>> 0
        tmp_opt.ts_recent = tcptw.tw_ts_recent
        tmp_opt.ts_recent_stamp = ts_recent_stamp
        paws_reject = tcp_paws_reject(tmp_opt, rst)
      }
    }

    if (tw.tw_substate === TCP_FIN_WAIT2) {
      if (paws_reject || !tcp_in_window(cb.seq, cb.end_seq, rcv_nxt, (rcv_nxt + tcptw.tw_rcv_wnd) >>> 0))
        return tcp_timewait_check_oow_rate_limit(tw, skb, 'TCPACKSkippedFinWait2')

      if (rst) {
        inet_twsk_deschedule_put(tw)
        return TCP_TW_SUCCESS
      }

      if (th.syn && !before(cb.seq, rcv_nxt)) return TCP_TW_RST

      if (!th.ack || !after(cb.end_seq, rcv_nxt) || cb.end_seq === cb.seq) {
        inet_twsk_put(tw)
        return TCP_TW_SUCCESS
      }

      // data that nobody will read
      if (!th.fin || cb.end_seq !== (rcv_nxt + 1) >>> 0) return TCP_TW_RST

      tw.tw_substate = TCP_TIME_WAIT
      twsk_rcv_nxt_update(tcptw, cb.end_seq, rcv_nxt)

      if (tmp_opt.saw_tstamp) {
        tcptw.tw_ts_recent_stamp = ktime_get_seconds()
        tcptw.tw_ts_recent = tmp_opt.rcv_tsval
      }

      inet_twsk_reschedule(tw, TCP_TIMEWAIT_LEN)
      return TCP_TW_ACK
    }

    if (!paws_reject && cb.seq === rcv_nxt && (cb.seq === cb.end_seq || rst)) {
      // in the window: a reset or an ACK without data
      if (rst) {
        if (!twsk_net(tw).ipv4.sysctl_tcp_rfc1337) {
          inet_twsk_deschedule_put(tw)
          return TCP_TW_SUCCESS
        }
      } else {
        inet_twsk_reschedule(tw, TCP_TIMEWAIT_LEN)
      }

      if (tmp_opt.saw_tstamp) {
        tcptw.tw_ts_recent = tmp_opt.rcv_tsval
        tcptw.tw_ts_recent_stamp = ktime_get_seconds()
      }

      inet_twsk_put(tw)
      return TCP_TW_SUCCESS
    }

    // a new connection, if it cannot be an old duplicate
    if (
      th.syn &&
      !rst &&
      !th.ack &&
      !paws_reject &&
      (after(cb.seq, rcv_nxt) || (tmp_opt.saw_tstamp && ((tcptw.tw_ts_recent - tmp_opt.rcv_tsval) | 0) < 0))
    ) {
      let isn = (tcptw.tw_snd_nxt + 65535 + 2) >>> 0
      if (isn === 0) isn++
      tw_isn.v = isn
      return TCP_TW_SYN
    }

    if (paws_reject) twsk_net(tw).mib.linux.PAWSEstab++

    if (!rst) {
      // a SYN without ACK may be an old one or a good one with a smaller sequence number: it does not prolong the wait
      if (paws_reject || th.ack) inet_twsk_reschedule(tw, TCP_TIMEWAIT_LEN)

      return tcp_timewait_check_oow_rate_limit(tw, skb, 'TCPACKSkippedTimeWait')
    }
    inet_twsk_put(tw)
    return TCP_TW_SUCCESS
  },
)

/** keys for signatures (MD5) would be copied here */
const tcp_time_wait_init = kfunc('tcp_time_wait_init', (_sk: sock, _tcptw: tcp_timewait_sock): void => {})

/** turns a socket into a TIME_WAIT, or a FIN_WAIT2 without a process, for at least `timeo` jiffies, and ends the socket */
export const tcp_time_wait = kfunc('tcp_time_wait', (sk: sock, state: number, timeo: number): void => {
  const tp = tcp_sk(sk)
  const net = sk.sk_net
  const tw = inet_twsk_alloc(sk, net.ipv4.tcp_death_row, state)

  if (tw !== null) {
    const tcptw = tcp_twsk(tw)
    const rto = (tp.icsk_rto << 2) - (tp.icsk_rto >> 1)

    tw.tw_transparent = inet_test_bit(INET_FLAGS_TRANSPARENT, sk) ? 1 : 0
    tw.tw_mark = sk.sk_mark
    tw.tw_priority = sk.sk_priority
    tw.tw_rcv_wscale = tp.rx_opt.rcv_wscale
    tcptw.tw_rcv_nxt = tp.rcv_nxt
    tcptw.tw_snd_nxt = tp.snd_nxt
    tcptw.tw_rcv_wnd = tcp_receive_window(tp)
    tcptw.tw_ts_recent = tp.rx_opt.ts_recent
    tcptw.tw_ts_recent_stamp = tp.rx_opt.ts_recent_stamp
    tcptw.tw_ts_offset = tp.tsoffset
    tw.tw_usec_ts = tp.tcp_usec_ts
    tcptw.tw_last_oow_ack_time = 0
    tcptw.tw_tx_delay = tp.tcp_tx_delay
    tw.tw_txhash = sk.sk_txhash
    if (sk.sk_family === AF_INET6) {
      const np = inet6_sk(sk)
      tw.skc_v6_daddr = sk_v6_daddr(sk).slice()
      tw.skc_v6_rcv_saddr = sk_v6_rcv_saddr(sk).slice()
      tw.tw_tclass = np.tclass
      tw.tw_flowlabel = np.flow_label & IPV6_FLOWLABEL_MASK
      tw.skc_ipv6only = sk.skc_ipv6only
    }

    tcp_time_wait_init(sk, tcptw)

    if (timeo < rto) timeo = rto

    if (state === TCP_TIME_WAIT) timeo = TCP_TIMEWAIT_LEN

    inet_twsk_hashdance_schedule(tw, sk, net.ipv4.tcp_death_row.hashinfo, timeo)
  } else {
    net.mib.linux.TCPTimeWaitOverflow++
  }

  tcp_update_metrics(sk)
  tcp_done(sk)
})

export const tcp_twsk_destructor = kfunc('tcp_twsk_destructor', (_sk: sock): void => {})

/** `net_exit_list`: the namespaces that go */
export const tcp_twsk_purge = kfunc('tcp_twsk_purge', (net_exit_list: readonly net[]): void => {
  let purged_once = false

  for (const net of net_exit_list) {
    const { hashinfo } = net.ipv4.tcp_death_row
    if (hashinfo.pernet) {
      inet_twsk_purge(hashinfo)
    } else if (!purged_once) {
      inet_twsk_purge(tcp_hashinfo)
      purged_once = true
    }
  }
})

/** the window that the SYN-ACK will offer */
export const tcp_openreq_init_rwin = kfunc(
  'tcp_openreq_init_rwin',
  (req: request_sock, sk_listener: sock, dst: dst_entry): void => {
    const ireq = inet_rsk(req)
    const tp = tcp_sk(sk_listener)
    let full_space = tcp_full_space(sk_listener)
    const rcv_wscale = { v: 0 }
    const rsk_rcv_wnd = { v: req.rsk_rcv_wnd }

    const mss = tcp_mss_clamp(tp, tcp_dst_advmss(dst))
    req.rsk_window_clamp = tp.window_clamp || dst_metric(dst, RTAX_WINDOW)

    if (sk_listener.sk_userlocks & SOCK_RCVBUF_LOCK && (req.rsk_window_clamp > full_space || req.rsk_window_clamp === 0))
      req.rsk_window_clamp = full_space

    let rcv_wnd = tcp_rwnd_init_bpf(req_to_sk(req))
    if (rcv_wnd === 0) rcv_wnd = dst_metric(dst, RTAX_INITRWND)
    else if (full_space < rcv_wnd * mss) full_space = rcv_wnd * mss

    const rsk_window_clamp = { v: req.rsk_window_clamp }
    tcp_select_initial_window(
      sk_listener,
      full_space,
      mss - (ireq.tstamp_ok ? TCPOLEN_TSTAMP_ALIGNED : 0),
      rsk_rcv_wnd,
      rsk_window_clamp,
      ireq.wscale_ok,
      rcv_wscale,
      rcv_wnd,
    )
    req.rsk_rcv_wnd = rsk_rcv_wnd.v
    req.rsk_window_clamp = rsk_window_clamp.v
    ireq.rcv_wscale = rcv_wscale.v
  },
)

const tcp_ecn_openreq_child = kfunc('tcp_ecn_openreq_child', (tp: tcp_sock, req: request_sock): void => {
  tp.ecn_flags = inet_rsk(req).ecn_ok ? TCP_ECN_OK : 0
})

export const tcp_ca_openreq_child = kfunc('tcp_ca_openreq_child', (sk: sock, dst: dst_entry): void => {
  const icsk = inet_csk(sk)
  const ca_key = dst_metric(dst, RTAX_CC_ALGO)
  let ca_got_dst = false

  if (ca_key !== TCP_CA_UNSPEC) {
    rcu_read_lock()
    const ca = tcp_ca_find_key(ca_key)
    if (ca !== null && try_module_get(null)) {
      icsk.icsk_ca_dst_locked = tcp_ca_dst_locked(dst) ? 1 : 0
      icsk.icsk_ca_ops = ca
      ca_got_dst = true
    }
    rcu_read_unlock()
  }

  if (!ca_got_dst && (!icsk.icsk_ca_setsockopt || !try_module_get(null))) tcp_assign_congestion_control(sk)

  tcp_set_ca_state(sk, TCP_CA_Open)
})

/** the full socket of a connection whose handshake is done: what the listener has, and what the request learned */
export const tcp_create_openreq_child = kfunc(
  'tcp_create_openreq_child',
  (sk: sock, req: request_sock, skb: sk_buff): sock | null => {
    const newsk = inet_csk_clone_lock(sk, req, GFP_ATOMIC)
    if (newsk === null) return null

    const ireq = inet_rsk(req)
    const treq = tcp_rsk(req)
    const newtp = tcp_sk(newsk)
    const { rx_opt } = newtp

    newtp.pred_flags = 0

    let seq = (treq.rcv_isn + 1) >>> 0
    newtp.rcv_wup = seq
    newtp.copied_seq = seq
    newtp.rcv_nxt = seq
    newtp.segs_in = 1

    seq = (treq.snt_isn + 1) >>> 0
    newtp.snd_sml = newtp.snd_una = seq
    newtp.snd_nxt = seq
    newtp.snd_up = seq

    newtp.tsq_node = new list_head<tcp_sock>(newtp)
    newtp.tsorted_sent_queue = new list_head<sk_buff>()

    tcp_init_wl(newtp, treq.rcv_isn)

    minmax_reset(newtp.rtt_min, tcp_jiffies32(), 0xffffffff)
    newtp.icsk_ack.lrcvtime = tcp_jiffies32()

    newtp.lsndtime = tcp_jiffies32()
    newsk.sk_txhash = treq.txhash
    newtp.total_retrans = req.num_retrans

    tcp_init_xmit_timers(newsk)
    newtp.write_seq = newtp.pushed_seq = (treq.snt_isn + 1) >>> 0

    if (sock_flag(newsk, SOCK_KEEPOPEN)) inet_csk_reset_keepalive_timer(newsk, keepalive_time_when(newtp))

    rx_opt.tstamp_ok = ireq.tstamp_ok
    rx_opt.sack_ok = ireq.sack_ok
    newtp.window_clamp = req.rsk_window_clamp
    newtp.rcv_ssthresh = req.rsk_rcv_wnd
    newtp.rcv_wnd = req.rsk_rcv_wnd
    rx_opt.wscale_ok = ireq.wscale_ok
    if (rx_opt.wscale_ok) {
      rx_opt.snd_wscale = ireq.snd_wscale
      rx_opt.rcv_wscale = ireq.rcv_wscale
    } else {
      rx_opt.snd_wscale = rx_opt.rcv_wscale = 0
      newtp.window_clamp = Math.min(newtp.window_clamp, 65535)
    }
    newtp.snd_wnd = (tcp_hdr(skb).window << rx_opt.snd_wscale) >>> 0
    newtp.max_window = newtp.snd_wnd

    if (rx_opt.tstamp_ok) {
      newtp.tcp_usec_ts = treq.req_usec_ts
      rx_opt.ts_recent = req.ts_recent
      rx_opt.ts_recent_stamp = ktime_get_seconds()
      newtp.tcp_header_len = SIZEOF_TCPHDR + TCPOLEN_TSTAMP_ALIGNED
    } else {
      newtp.tcp_usec_ts = 0
      rx_opt.ts_recent_stamp = 0
      newtp.tcp_header_len = SIZEOF_TCPHDR
    }
    if (req.num_timeout) {
      newtp.total_rto = req.num_timeout
      newtp.undo_marker = treq.snt_isn
      if (newtp.tcp_usec_ts) {
        newtp.retrans_stamp = treq.snt_synack >>> 0
        newtp.total_rto_time = Math.trunc(((tcp_clock_us() - newtp.retrans_stamp) >>> 0) / USEC_PER_MSEC)
      } else {
        newtp.retrans_stamp = Math.floor(treq.snt_synack / (USEC_PER_SEC / TCP_TS_HZ)) >>> 0
        newtp.total_rto_time = (tcp_clock_ms() - newtp.retrans_stamp) >>> 0
      }
      newtp.total_rto_recoveries = 1
    }
    newtp.tsoffset = treq.ts_off
    if (skb.len >= TCP_MSS_DEFAULT + newtp.tcp_header_len) newtp.icsk_ack.last_seg_size = skb.len - newtp.tcp_header_len
    rx_opt.mss_clamp = req.mss
    tcp_ecn_openreq_child(newtp, req)
    newtp.fastopen_req = null
    newtp.fastopen_rsk = null

    tcp_bpf_clone(sk, newsk)

    sk.sk_net.mib.tcp.PassiveOpens++

    return newsk
  },
)

/**
 * A segment for a connection whose handshake is not done. `sk` is the listener, or with fast open the child.
 * @returns the child when the handshake is done now, `sk` for what the listener shall answer with a reset, null when that was all.
 * req_stolen.v: somebody else has finished the request.
 */
export const tcp_check_req = kfunc(
  'tcp_check_req',
  (sk: sock, skb: sk_buff, req: request_sock, fastopen: boolean, req_stolen: ref<boolean>): sock | null => {
    const tmp_opt = new tcp_options_received()
    const th = tcp_hdr(skb)
    const net = sk.sk_net
    const treq = tcp_rsk(req)
    const cb = TCP_SKB_CB(skb)
    const own_req = { v: false }
    let flg = tcp_flag_word(th) & (TCP_FLAG_RST | TCP_FLAG_SYN | TCP_FLAG_ACK)
    let paws_reject = false

    if (th.doff > SIZEOF_TCPHDR >> 2) {
      tcp_parse_options(net, skb, tmp_opt, 0, null)

      if (tmp_opt.saw_tstamp) {
        tmp_opt.ts_recent = req.ts_recent
        if (tmp_opt.rcv_tsecr) tmp_opt.rcv_tsecr = (tmp_opt.rcv_tsecr - treq.ts_off) >>> 0
        // the true stamp was not kept: this is about when
        tmp_opt.ts_recent_stamp = ktime_get_seconds() - Math.trunc(reqsk_timeout(req, TCP_RTO_MAX) / HZ)
        paws_reject = tcp_paws_reject(tmp_opt, th.rst)
      }
    }

    // the SYN again
    if (cb.seq === treq.rcv_isn && flg === TCP_FLAG_SYN && !paws_reject) {
      if (!oow_rate_limited(net, skb, req) && !inet_rtx_syn_ack(sk, req)) {
        const expires = jiffies() + reqsk_timeout(req, TCP_RTO_MAX)
        if (!fastopen) mod_timer_pending(req.rsk_timer, expires)
        else req.rsk_timer.expires = expires
      }
      return null
    }

    // acknowledges what was never sent: the listener answers
    if (flg & TCP_FLAG_ACK && !(flg & TCP_FLAG_RST) && !fastopen && cb.ack_seq !== (treq.snt_isn + 1) >>> 0) return sk

    if (paws_reject || !tcp_in_window(cb.seq, cb.end_seq, treq.rcv_nxt, (treq.rcv_nxt + tcp_synack_window(req)) >>> 0)) {
      if (!(flg & TCP_FLAG_RST) && !oow_rate_limited(net, skb, req)) {
        if (tracer.on) traceIndirect('req->rsk_ops->send_ack', nameOf(req.rsk_ops.send_ack))
        req.rsk_ops.send_ack(sk, skb, req)
      }
      if (paws_reject) net.mib.linux.PAWSEstab++
      return null
    }

    // the SYN itself lies before the window
    if (cb.seq === treq.rcv_isn) flg &= ~TCP_FLAG_SYN

    // RFC 5961, 3.2
    if (flg & TCP_FLAG_RST && cb.seq !== treq.rcv_nxt) {
      tcp_reqsk_send_challenge_ack(sk, skb, req)
      return null
    }

    if (flg & (TCP_FLAG_RST | TCP_FLAG_SYN)) {
      net.mib.tcp.AttemptFails++
      return embryonic_reset(sk, skb, req, fastopen, flg, req_stolen)
    }

    if (!(flg & TCP_FLAG_ACK)) return null

    if (fastopen) return sk

    // TCP_DEFER_ACCEPT waits for data
    if (req.num_timeout < inet_csk(sk).icsk_accept_queue.rskq_defer_accept && cb.end_seq === (treq.rcv_isn + 1) >>> 0) {
      inet_rsk(req).acked = 1
      net.mib.linux.TCPDeferAcceptDrop++
      if (tracer.on) decide('tcp_check_req', 'ACK dropped: TCP_DEFER_ACCEPT waits for data', { num_timeout: req.num_timeout })
      return null
    }

    const { syn_recv_sock } = inet_csk(sk).icsk_af_ops
    if (tracer.on) traceIndirect('icsk->icsk_af_ops->syn_recv_sock', nameOf(syn_recv_sock))
    const child = syn_recv_sock(sk, skb, req, null, req, own_req, null)
    if (child === null) {
      if (sk !== req.rsk_listener) net.mib.linux.TCPMigrateReqFailure++

      if (!net.ipv4.sysctl_tcp_abort_on_overflow) {
        inet_rsk(req).acked = 1
        return null
      }
      return embryonic_reset(sk, skb, req, fastopen, flg, req_stolen)
    }

    if (own_req.v && tmp_opt.saw_tstamp && !after(cb.seq, treq.rcv_nxt)) tcp_sk(child).rx_opt.ts_recent = tmp_opt.rcv_tsval

    if (own_req.v && rsk_drop_req(req)) {
      reqsk_queue_removed(inet_csk(req.rsk_listener as sock).icsk_accept_queue, req)
      inet_csk_reqsk_queue_drop_and_put(req.rsk_listener as sock, req)
      return child
    }

    sock_rps_save_rxhash(child, skb)
    tcp_synack_rtt_meas(child, req)
    req_stolen.v = !own_req.v
    return inet_csk_complete_hashdance(sk, child, req, own_req.v)
  },
)

function oow_rate_limited(net: net, skb: sk_buff, req: request_sock): boolean {
  const treq = tcp_rsk(req)
  last_oow_ack_time.v = treq.last_oow_ack_time
  const limited = tcp_oow_rate_limited(net, skb, 'TCPACKSkippedSynRecv', last_oow_ack_time)
  treq.last_oow_ack_time = last_oow_ack_time.v
  return limited
}

/** MPTCP may have taken the request over */
const rsk_drop_req = (req: request_sock): boolean => tcp_rsk(req).is_mptcp

function embryonic_reset(
  sk: sock,
  skb: sk_buff,
  req: request_sock,
  fastopen: boolean,
  flg: number,
  req_stolen: ref<boolean>,
): null {
  if (!(flg & TCP_FLAG_RST)) {
    if (tracer.on) traceIndirect('req->rsk_ops->send_reset', nameOf(req.rsk_ops.send_reset))
    req.rsk_ops.send_reset(sk, skb, SK_RST_REASON_INVALID_SYN)
  } else if (fastopen) {
    reqsk_fastopen_remove(sk, req, true)
    tcp_reset(sk, skb)
  }
  if (!fastopen) {
    const unlinked = inet_csk_reqsk_queue_drop(sk, req)

    if (unlinked) sk.sk_net.mib.linux.EmbryonicRsts++
    req_stolen.v = !unlinked
  }
  return null
}

/** the last segment of a handshake goes to the new socket, which is locked and held; both end here */
export const tcp_child_process = kfunc('tcp_child_process', (parent: sock, child: sock, skb: sk_buff): number => {
  let reason = SKB_NOT_DROPPED_YET
  const state = child.sk_state

  // sk_mark_napi_id_set()
  sk_rx_queue_set(child, skb)
  child.sk_napi_id = skb.napi_id

  tcp_segs_in(tcp_sk(child), skb)
  if (!sock_owned_by_user(child)) {
    reason = tcp_rcv_state_process(child, skb)
    if (state === TCP_SYN_RECV && child.sk_state !== state) {
      if (tracer.on) traceIndirect('sk->sk_data_ready', nameOf(parent.sk_data_ready))
      parent.sk_data_ready(parent)
    }
  } else {
    __sk_add_backlog(child, skb)
  }

  bh_unlock_sock(child)
  sock_put(child)
  return reason
})
