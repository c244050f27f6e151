import { kfunc } from '../../../trace/kfunc.ts'
import { decide, tracer } from '../../../trace/tracer.ts'
import { HZ, IPPROTO_TCP, NF_INET_PRE_ROUTING } from '../../include/generated/enums.ts'
import { get_be32 } from '../../include/linux/ip.ts'
import { NF_ACCEPT, NF_DROP, NF_REPEAT, type nf_hook_state } from '../../include/linux/netfilter.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { tcphdr } from '../../include/linux/tcp.ts'
import {
  CTINFO2DIR,
  IP_CT_DIR_ORIGINAL,
  IP_CT_DIR_REPLY,
  IPS_ASSURED,
  IPS_FIXED_TIMEOUT,
  IPS_SEEN_REPLY,
  ip_ct_tcp,
  ip_ct_tcp_state,
  type nf_conn,
  nf_ct_is_confirmed,
  nf_ct_state,
} from '../../include/net/netfilter/nf_conntrack.ts'
import { spin_lock_bh, spin_unlock_bh } from '../../kernel/locking/spinlock.ts'
import { jiffies } from '../../kernel/time/timer.ts'
import { skb_header_pointer } from '../core/skbuff.ts'
import { nf_ct_kill, nf_ct_kill_acct, nf_ct_refresh_acct } from './nf_conntrack_core.ts'
import { nf_checksum } from './utils.ts'

// enum tcp_conntrack
const sNO = 0
export const sSS = 1
const sSR = 2
const sES = 3
const sFW = 4
const sCW = 5
const sLA = 6
export const sTW = 7
const sCL = 8
const sS2 = 9
const sIV = 10
const sIG = 11
const RETRANS = 10
const UNACK = 11

/** jiffies, by state; the last two for retransmissions and for data that nobody acknowledged */
const timeouts = [0, 120, 60, 432000, 120, 60, 30, 120, 10, 120, 300, 300].map((s) => s * HZ)
const timeout_of = (state: number): number => timeouts[state] ?? 0

// what a segment is to the tracker
const SYN = 0
const SYNACK = 1
const FIN = 2
const ACK = 3
const RST = 4
const NONE = 5

const WINDOW_SCALE = 0x01
const SACK_PERM = 0x02
const CLOSE_INIT = 0x04
const BE_LIBERAL = 0x08
const DATA_UNACKNOWLEDGED = 0x10
const MAXACK_SET = 0x20
const EXP_CHALLENGE_ACK = 0x40
const SIMULTANEOUS_OPEN = 0x80

/** the next state by direction, segment and state: RFC 9293 as somebody between the two ends sees it */
const tcp_conntracks: readonly (readonly (readonly number[])[])[] = [
  [
    [sSS, sSS, sIG, sIG, sIG, sIG, sIG, sSS, sSS, sS2],
    [sIV, sIV, sSR, sIV, sIV, sIV, sIV, sIV, sIV, sSR],
    [sIV, sIV, sFW, sFW, sLA, sLA, sLA, sTW, sCL, sIV],
    [sES, sIV, sES, sES, sCW, sCW, sTW, sTW, sCL, sIV],
    [sIV, sCL, sCL, sCL, sCL, sCL, sCL, sCL, sCL, sCL],
    [sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV],
  ],
  [
    [sIV, sS2, sIV, sIV, sIV, sIV, sIV, sSS, sIV, sS2],
    [sIV, sSR, sIG, sIG, sIG, sIG, sIG, sIG, sIG, sSR],
    [sIV, sIV, sFW, sFW, sLA, sLA, sLA, sTW, sCL, sIV],
    [sIV, sIG, sSR, sES, sCW, sCW, sTW, sTW, sCL, sIG],
    [sIV, sCL, sCL, sCL, sCL, sCL, sCL, sCL, sCL, sCL],
    [sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV],
  ],
]

const before = (a: number, b: number): boolean => ((a - b) | 0) < 0
const after = (a: number, b: number): boolean => before(b, a)
const u32 = (v: number): number => v >>> 0

const get_conntrack_index = kfunc('get_conntrack_index', (th: tcphdr): number => {
  if (th.rst) return RST
  if (th.syn) return th.ack ? SYNACK : SYN
  if (th.fin) return FIN
  return th.ack ? ACK : NONE
})
const segment_seq_plus_len = (seq: number, len: number, dataoff: number, th: tcphdr): number =>
  u32(seq + len - dataoff - th.doff * 4 + (th.syn ? 1 : 0) + (th.fin ? 1 : 0))

const MAXACKWINCONST = 66000
const MAXACKWINDOW = (sender: ip_ct_tcp_state): number => Math.max(sender.td_maxwin, MAXACKWINCONST)

const options = new Uint8Array(40)
/** calls `found` with each option: its kind, and where its length and value lie */
function each_option(
  skb: sk_buff,
  dataoff: number,
  th: tcphdr,
  found: (b: Uint8Array, o: number, kind: number, size: number) => void,
): void {
  const length = th.doff * 4 - 20
  if (length <= 0) return
  const at = skb_header_pointer(skb, dataoff + 20, length, options)
  if (at === -2) return
  const b = at < 0 ? options : skb.head.bytes
  let o = Math.max(at, 0)
  const end = o + length
  while (o < end) {
    const kind = b[o] as number
    if (kind === 0) return
    if (kind === 1) {
      o++
      continue
    }
    const size = o + 1 < end ? (b[o + 1] as number) : 0
    if (size < 2 || o + size > end) return
    found(b, o, kind, size)
    o += size
  }
}

const tcp_options = kfunc('tcp_options', (skb: sk_buff, dataoff: number, th: tcphdr, state: ip_ct_tcp_state): void => {
  if (th.doff === 5) return
  state.td_scale = 0
  state.flags &= BE_LIBERAL
  each_option(skb, dataoff, th, (b, o, kind, size) => {
    if (kind === 4 && size === 2) state.flags |= SACK_PERM
    else if (kind === 3 && size === 3) {
      state.td_scale = Math.min(b[o + 2] as number, 14)
      state.flags |= WINDOW_SCALE
    }
  })
})

/** the right edge of the highest block that is acknowledged out of order */
const tcp_sack = kfunc('tcp_sack', (skb: sk_buff, dataoff: number, th: tcphdr, sack: number): number => {
  let top = sack
  each_option(skb, dataoff, th, (b, o, kind, size) => {
    if (kind !== 5 || size < 10 || (size - 2) % 8) return
    for (let i = 2; i < size; i += 8) {
      const right = get_be32(b, o + i + 4)
      if (after(right, top)) top = right
    }
  })
  return top
})

const tcp_init_sender = kfunc(
  'tcp_init_sender',
  (
    sender: ip_ct_tcp_state,
    receiver: ip_ct_tcp_state,
    skb: sk_buff,
    dataoff: number,
    th: tcphdr,
    end: number,
    win: number,
    dir: number,
  ): void => {
    sender.td_end = end
    sender.td_maxend = end
    sender.td_maxwin = win === 0 ? 1 : win
    tcp_options(skb, dataoff, th, sender)
    // both ends must want to scale
    if (dir === IP_CT_DIR_REPLY && !(sender.flags & receiver.flags & WINDOW_SCALE)) {
      sender.td_scale = 0
      receiver.td_scale = 0
    }
  },
)

const NFCT_TCP_IGNORE = 0
const NFCT_TCP_INVALID = 1
const NFCT_TCP_ACCEPT = 2
const nf_tcp_store_invalid = kfunc('nf_tcp_store_invalid', (ct: nf_conn, sender: ip_ct_tcp_state, ret: number): number =>
  sender.flags & BE_LIBERAL || nf_ct_state(ct.ct_net).tcp_be_liberal ? NFCT_TCP_ACCEPT : ret,
)

/** NAT changes no sequence numbers here: there are no helpers that would rewrite payload */
const nf_ct_seq_offset = kfunc('nf_ct_seq_offset', (_ct: nf_conn, _dir: number, _seq: number): number => 0)

const tcp_in_window = kfunc(
  'tcp_in_window',
  (ct: nf_conn, dir: number, index: number, skb: sk_buff, dataoff: number, th: tcphdr): number => {
    const state = ct.tcp
    const sender = state.seen[dir === 0 ? 0 : 1]
    const receiver = state.seen[dir === 0 ? 1 : 0]
    let { seq } = th
    let ack = th.ack_seq
    let sack = ack
    const win_raw = th.window
    let win = win_raw
    let end = segment_seq_plus_len(seq, skb.len, dataoff, th)
    if (receiver.flags & SACK_PERM) sack = tcp_sack(skb, dataoff, th, sack)
    const receiver_offset = nf_ct_seq_offset(ct, 1 - dir, u32(ack - 1))
    ack = u32(ack - receiver_offset)
    sack = u32(sack - receiver_offset)

    if (sender.td_maxwin === 0) {
      if (th.syn) {
        tcp_init_sender(sender, receiver, skb, dataoff, th, end, win, dir)
        if (!th.ack) return NFCT_TCP_ACCEPT
      } else {
        sender.td_end = end
        const swin = win << sender.td_scale
        sender.td_maxwin = swin === 0 ? 1 : swin
        sender.td_maxend = u32(end + sender.td_maxwin)
        if (receiver.td_maxwin === 0) {
          receiver.td_end = sack
          receiver.td_maxend = sack
        } else if (sack === u32(receiver.td_end + 1)) receiver.td_end = u32(receiver.td_end + 1)
      }
    } else if (th.syn && after(end, sender.td_end) && (state.state === sSS || state.state === sSR)) {
      tcp_init_sender(sender, receiver, skb, dataoff, th, end, win, dir)
      if (dir === IP_CT_DIR_REPLY && !th.ack) return NFCT_TCP_ACCEPT
    }
    if (!th.ack || (th.rst && ack === 0)) {
      ack = receiver.td_end
      sack = ack
    }
    if (th.rst && seq === 0 && state.state === sSS) {
      seq = sender.td_end
      end = seq
    }
    if (!before(seq, u32(sender.td_maxend + 1))) {
      const overshot = u32(end - sender.td_maxend + 1)
      const ack_ok = after(sack, u32(receiver.td_end - MAXACKWINDOW(sender) - 1))
      const in_recv_win = receiver.td_maxwin !== 0 && after(end, u32(sender.td_end - receiver.td_maxwin - 1))
      if (in_recv_win && ack_ok && overshot <= receiver.td_maxwin && before(sack, u32(receiver.td_end + 1))) {
        sender.td_end = end
        sender.flags |= DATA_UNACKNOWLEDGED
        return nf_tcp_store_invalid(ct, sender, NFCT_TCP_IGNORE)
      }
      return nf_tcp_store_invalid(ct, sender, NFCT_TCP_INVALID)
    }
    if (!before(sack, u32(receiver.td_end + 1))) return nf_tcp_store_invalid(ct, sender, NFCT_TCP_INVALID)
    if (receiver.td_maxwin !== 0 && !after(end, u32(sender.td_end - receiver.td_maxwin - 1)))
      return nf_tcp_store_invalid(ct, sender, NFCT_TCP_IGNORE)
    if (!after(sack, u32(receiver.td_end - MAXACKWINDOW(sender) - 1))) return nf_tcp_store_invalid(ct, sender, NFCT_TCP_IGNORE)

    if (!th.syn) win = u32(win << sender.td_scale)
    const swin = u32(win + (sack - ack))
    if (sender.td_maxwin < swin) sender.td_maxwin = swin
    if (after(end, sender.td_end)) {
      sender.td_end = end
      sender.flags |= DATA_UNACKNOWLEDGED
    }
    if (th.ack && (!(sender.flags & MAXACK_SET) || after(ack, sender.td_maxack))) {
      sender.td_maxack = ack
      sender.flags |= MAXACK_SET
    }
    if (receiver.td_maxwin !== 0 && after(end, sender.td_maxend)) receiver.td_maxwin += u32(end - sender.td_maxend)
    if (after(u32(sack + win), u32(receiver.td_maxend - 1))) {
      receiver.td_maxend = u32(sack + win)
      if (win === 0) receiver.td_maxend = u32(receiver.td_maxend + 1)
    }
    if (ack === receiver.td_end) receiver.flags &= ~DATA_UNACKNOWLEDGED
    if (index === ACK) {
      const again =
        state.last_dir === dir &&
        state.last_seq === seq &&
        state.last_ack === ack &&
        state.last_end === end &&
        state.last_win === win_raw
      state.last_dir = dir
      state.last_seq = seq
      state.last_ack = ack
      state.last_end = end
      state.last_win = win_raw
      state.retrans = again ? state.retrans + 1 : 0
    }
    return NFCT_TCP_ACCEPT
  },
)

/** SYN, FIN, RST, PSH, ACK, URG that make sense together, without PSH, ECE and CWR */
const valid_flags = new Set([0x02, 0x22, 0x12, 0x32, 0x04, 0x14, 0x34, 0x11, 0x31, 0x10, 0x30])
const tcp_error = kfunc('tcp_error', (th: tcphdr, skb: sk_buff, dataoff: number, state: nf_hook_state): boolean => {
  if (th.doff < 5 || skb.len - dataoff < th.doff * 4) return true
  const { hook, net: n, pf } = state
  if (nf_ct_state(n).sysctl_checksum && hook === NF_INET_PRE_ROUTING && nf_checksum(skb, hook, dataoff, IPPROTO_TCP, pf))
    return true
  return !valid_flags.has(th.flags & ~0xc8)
})

const tcp_new = kfunc('tcp_new', (ct: nf_conn, skb: sk_buff, dataoff: number, th: tcphdr, _state: nf_hook_state): boolean => {
  const new_state = tcp_conntracks[0]?.[get_conntrack_index(th)]?.[sNO] ?? sIV
  if (new_state >= sIV) return false
  if (new_state !== sSS && !nf_ct_state(ct.ct_net).tcp_loose) return false
  const tcp = new ip_ct_tcp()
  ct.tcp = tcp
  const [seen] = tcp.seen
  seen.td_end = segment_seq_plus_len(th.seq, skb.len, dataoff, th)
  seen.td_maxwin = th.window === 0 ? 1 : th.window
  if (new_state === sSS) {
    seen.td_maxend = seen.td_end
    tcp_options(skb, dataoff, th, seen)
  } else {
    // in the middle of a connection: its options are not known
    seen.td_maxend = u32(seen.td_end + seen.td_maxwin)
    for (const s of tcp.seen) s.flags = SACK_PERM | BE_LIBERAL
  }
  tcp.last_index = NONE
  return true
})

const tcp_can_early_drop = (ct: nf_conn): boolean => [sFW, sLA, sTW, sCL, sCW].includes(ct.tcp.state)

export const nf_conntrack_tcp_set_closing = kfunc('nf_conntrack_tcp_set_closing', (ct: nf_conn): void => {
  if (!nf_ct_is_confirmed(ct)) return
  spin_lock_bh(ct.lock)
  const old_state = ct.tcp.state
  ct.tcp.state = sCL
  if (old_state !== sCL && !(ct.status & IPS_FIXED_TIMEOUT)) ct.timeout = timeout_of(sCL) + jiffies()
  spin_unlock_bh(ct.lock)
})

const nf_tcp_handle_invalid = kfunc('nf_tcp_handle_invalid', (ct: nf_conn, dir: number, index: number): boolean => {
  const { tcp } = ct
  if (!(ct.status & IPS_ASSURED) || ct.status & IPS_FIXED_TIMEOUT || (index !== RST && index !== FIN)) return false
  if (tcp.last_dir === dir || (tcp.last_index !== FIN && tcp.last_index !== RST)) {
    tcp.last_index = index
    tcp.last_dir = dir
    return false
  }
  const expires = ct.timeout - jiffies()
  if (expires < 120 * HZ || expires <= timeout_of(UNACK)) return false
  ct.timeout = timeout_of(UNACK) + jiffies()
  return true
})

/** a reset that closes the connection: whether its numbers need not be looked at; null for one that is no good */
function reset_in_window(ct: nf_conn, dir: number, th: tcphdr, old_state: number): { skip: boolean; keep: boolean } | null {
  const { tcp } = ct
  if (tcp_can_early_drop(ct)) return { skip: true, keep: false }
  const other = tcp.seen[dir === 0 ? 1 : 0]
  const established = tcp.state === sES
  let keep = false
  if (other.flags & MAXACK_SET && tcp.last_index !== SYN) {
    const { seq } = th
    if (seq === 0 && !established) return { skip: false, keep }
    if (before(seq, other.td_maxack) && !nf_ct_state(ct.ct_net).tcp_ignore_invalid_rst) return null
    if (!established || seq === other.td_maxack) return { skip: false, keep }
    if (tcp.last_index === ACK && tcp.last_dir === dir && seq === tcp.last_end) return { skip: false, keep }
    keep = true
  }
  const answers =
    (ct.status & IPS_SEEN_REPLY && tcp.last_index === SYN && tcp.last_dir !== dir) ||
    (!(ct.status & IPS_ASSURED) && tcp.last_index === ACK)
  if (answers && th.ack_seq === tcp.last_end) return { skip: true, keep }
  const challenge = old_state === sSS && tcp.last_index === ACK && tcp.last_dir === IP_CT_DIR_REPLY && th.seq === tcp.last_ack
  return { skip: challenge, keep }
}

const header = new Uint8Array(20)
/** moves the connection on; below 0 for a segment that does not belong */
export const nf_conntrack_tcp_packet = kfunc(
  'nf_conntrack_tcp_packet',
  (ct: nf_conn, skb: sk_buff, dataoff: number, ctinfo: number, state: nf_hook_state): number => {
    const at = skb_header_pointer(skb, dataoff, 20, header)
    if (at === -2) return -NF_ACCEPT
    const th = at < 0 ? new tcphdr(header, 0) : new tcphdr(skb.head.bytes, at)
    if (tcp_error(th, skb, dataoff, state)) return -NF_ACCEPT
    if (!nf_ct_is_confirmed(ct) && !tcp_new(ct, skb, dataoff, th, state)) return -NF_ACCEPT

    spin_lock_bh(ct.lock)
    const { tcp } = ct
    let old_state = tcp.state
    const dir = CTINFO2DIR(ctinfo)
    const index = get_conntrack_index(th)
    let new_state = tcp_conntracks[dir]?.[index]?.[old_state] ?? sIV
    let in_window = false
    if (new_state === sSS && old_state >= sTW) {
      const aborted = (tcp.seen[0].flags | tcp.seen[1].flags) & CLOSE_INIT || (tcp.last_dir === dir && tcp.last_index === RST)
      if (aborted) {
        spin_unlock_bh(ct.lock)
        return nf_ct_kill(ct) ? -NF_REPEAT : NF_DROP
      }
      new_state = sIG
    }
    if (new_state === sIG) {
      if (index !== SYNACK || tcp.last_index !== SYN || tcp.last_dir === dir || th.ack_seq !== tcp.last_end) {
        ignored(ct, skb, dataoff, th, dir, index, old_state)
        spin_unlock_bh(ct.lock)
        return NF_ACCEPT
      }
      // it answers a SYN that was let through: the two ends agree, and so do we now
      old_state = sSS
      new_state = sSR
      const seen = tcp.seen[tcp.last_dir === 0 ? 0 : 1]
      seen.td_end = tcp.last_end
      seen.td_maxend = tcp.last_end
      seen.td_maxwin = tcp.last_win === 0 ? 1 : tcp.last_win
      seen.td_scale = tcp.last_wscale
      tcp.last_flags &= ~EXP_CHALLENGE_ACK
      seen.flags = tcp.last_flags
      const mine = tcp.seen[dir === 0 ? 0 : 1]
      Object.assign(mine, new ip_ct_tcp_state(), { flags: mine.flags & BE_LIBERAL })
    } else if (new_state === sIV) {
      spin_unlock_bh(ct.lock)
      if (tracer.on) decide('nf_conntrack_tcp_packet', 'no such segment in this state', { index, dir, state: old_state })
      return -NF_ACCEPT
    } else if (new_state === sTW) {
      const challenge = old_state === sLA && index === ACK && tcp.last_dir !== dir && tcp.last_index === SYN
      if (challenge && tcp.last_flags & EXP_CHALLENGE_ACK) {
        tcp.last_flags &= ~EXP_CHALLENGE_ACK
        spin_unlock_bh(ct.lock)
        return NF_ACCEPT
      }
    } else if (new_state === sS2) tcp.last_flags |= SIMULTANEOUS_OPEN
    else if (new_state === sSR) {
      if (dir === IP_CT_DIR_REPLY && index === ACK && tcp.last_flags & SIMULTANEOUS_OPEN) new_state = sES
    } else if (new_state === sCL && index === RST) {
      const rst = reset_in_window(ct, dir, th, old_state)
      if (rst === null) {
        spin_unlock_bh(ct.lock)
        return -NF_ACCEPT
      }
      in_window = rst.skip
      if (rst.keep) new_state = old_state
    }

    const res = in_window ? NFCT_TCP_ACCEPT : tcp_in_window(ct, dir, index, skb, dataoff, th)
    if (res !== NFCT_TCP_ACCEPT) {
      if (res === NFCT_TCP_INVALID) nf_tcp_handle_invalid(ct, dir, index)
      spin_unlock_bh(ct.lock)
      if (tracer.on) decide('nf_conntrack_tcp_packet', 'outside of the window', { dir, seq: th.seq, ack: th.ack_seq })
      return res === NFCT_TCP_IGNORE ? NF_ACCEPT : -NF_ACCEPT
    }
    tcp.last_index = index
    tcp.last_dir = dir
    tcp.state = new_state
    if (old_state !== new_state && new_state === sFW) tcp.seen[dir === 0 ? 0 : 1].flags |= CLOSE_INIT

    let timeout = timeout_of(new_state)
    const unacked = (tcp.seen[0].flags | tcp.seen[1].flags) & DATA_UNACKNOWLEDGED
    if (tcp.retrans >= nf_ct_state(ct.ct_net).tcp_max_retrans && timeout > timeout_of(RETRANS)) timeout = timeout_of(RETRANS)
    else if ((unacked || (index === RST && new_state === sES)) && timeout > timeout_of(UNACK)) timeout = timeout_of(UNACK)
    else if (tcp.last_win === 0 && timeout > timeout_of(RETRANS)) timeout = timeout_of(RETRANS)
    spin_unlock_bh(ct.lock)

    if (!(ct.status & IPS_SEEN_REPLY)) {
      if (th.rst) {
        nf_ct_kill_acct(ct, ctinfo, skb)
        return NF_ACCEPT
      }
      if (index === SYN && old_state === sSS) return NF_ACCEPT
      if (new_state === sES && timeout > timeout_of(UNACK)) timeout = timeout_of(UNACK)
    } else if (!(ct.status & IPS_ASSURED) && (old_state === sSR || old_state === sES) && new_state === sES)
      ct.status |= IPS_ASSURED
    nf_ct_refresh_acct(ct, ctinfo, skb, timeout)
    return NF_ACCEPT
  },
)

/** a segment that may be right, if it is we who are wrong: what it says is kept for its answer */
function ignored(ct: nf_conn, skb: sk_buff, dataoff: number, th: tcphdr, dir: number, index: number, old_state: number): void {
  const { tcp } = ct
  tcp.last_index = index
  tcp.last_dir = dir
  tcp.last_seq = th.seq
  tcp.last_end = segment_seq_plus_len(th.seq, skb.len, dataoff, th)
  tcp.last_win = th.window
  if (index === SYN && dir === IP_CT_DIR_ORIGINAL) {
    const seen = new ip_ct_tcp_state()
    tcp.last_flags = 0
    tcp.last_wscale = 0
    tcp_options(skb, dataoff, th, seen)
    if (seen.flags & WINDOW_SCALE) {
      tcp.last_flags |= WINDOW_SCALE
      tcp.last_wscale = seen.td_scale
    }
    if (seen.flags & SACK_PERM) tcp.last_flags |= SACK_PERM
    if (old_state === sLA) tcp.last_flags |= EXP_CHALLENGE_ACK
  }
  if (old_state === sSS && index === ACK && dir === IP_CT_DIR_REPLY) tcp.last_ack = th.ack_seq
}
