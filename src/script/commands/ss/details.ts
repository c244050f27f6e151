import type { sock } from '../../../kernel/include/net/sock.ts'
import type { inet_diag_msg } from '../../../kernel/net/ipv4/inet_diag.ts'
import { sk_get_meminfo, tcp_diag_info } from '../../../kernel/net/ipv4/inet_diag.ts'

const TCP_LISTEN = 10
const U32_MAX = 0xffffffff
const U64_MAX = 0xffffffffffffffffn

/** printf's %g, and %.3g */
function g(v: number, digits = 6): string {
  if (v === 0) return '0'
  const exponent = Math.floor(Math.log10(Math.abs(Number(v.toPrecision(digits)))))
  if (exponent >= digits || exponent < -4) {
    const [m = '', e = ''] = v.toExponential(digits - 1).split('e')
    return `${Number(m)}e${e.startsWith('-') ? '-' : '+'}${e.replace(/^[+-]/, '').padStart(2, '0')}`
  }
  return String(Number(v.toPrecision(digits)))
}

const units = ['', 'K', 'M', 'G', 'T']
/** bits a second: whole with -n, else with a unit */
function rate(bits: number, numeric: boolean): string {
  if (numeric) return `${Math.round(bits)}`
  let i = 0
  let v = bits
  while (v >= 1000 && i < units.length - 1) {
    v /= 1000
    i++
  }
  return `${g(v, 3)}${units[i]}`
}

/** print_ms_timer(): 1min20sec, 1.040ms, 200ms */
function milliseconds(timeout: number): string {
  let secs = Math.floor(timeout / 1000)
  const minutes = Math.floor(secs / 60)
  let ms = timeout % 1000
  secs %= 60
  let out = ''
  if (minutes) {
    ms = 0
    out += `${minutes}min`
    if (minutes > 9) secs = 0
  }
  if (secs) {
    if (secs > 9) ms = 0
    out += `${secs}${ms ? '.' : 'sec'}`
  }
  if (ms) out += `${String(ms).padStart(3, '0')}ms`
  return out
}

const timers = ['off', 'on', 'keepalive', 'timewait', 'persist']
/** `timer:(on,200ms,0)`, of -o; '' when none runs */
export const timer = (d: inet_diag_msg): string =>
  d.timer === 0 ? '' : ` timer:(${timers[d.timer] ?? 'unknown'},${milliseconds(d.expires)},${d.retrans})`

/** `skmem:(r0,rb131072,...)`, of -m */
export function memory(sk: sock | null): string {
  if (sk === null) return ''
  const m = sk_get_meminfo(sk)
  return ` skmem:(${['r', 'rb', 't', 'tb', 'f', 'w', 'o', 'bl', 'd'].map((k, i) => `${k}${m[i]}`).join(',')})`
}

/** what `ss -i` says of a TCP socket, word by word in the order of tcp_stats_print() */
export function tcpInfo(d: inet_diag_msg, o: { options: boolean; numeric: boolean }): string {
  const got = d.sk === null ? null : tcp_diag_info(d.sk)
  if (got === null) return ''
  const { info, ca, bbr } = got
  const u8 = (at: number): number => info.getUint8(at)
  const u32 = (at: number): number => info.getUint32(at, true)
  const u64 = (at: number): number => Number(info.getBigUint64(at, true))
  const out: string[] = []
  const word = (name: string, v: number | string): void => {
    if (v !== 0 && v !== '') out.push(` ${name}:${v}`)
  }
  const seconds = (us: number): number => us / 1000
  const flags = u8(5)
  if (o.options) {
    if (flags & 1) out.push(' ts')
    if (flags & 2) out.push(' sack')
    if (flags & 8) out.push(' ecn')
    if (flags & 16) out.push(' ecnseen')
    if (flags & 32) out.push(' fastopen')
  }
  if (ca !== '') out.push(` ${ca}`)
  if (flags & 4) out.push(` wscale:${u8(6) & 15},${u8(6) >> 4}`)
  const rto = u32(8)
  // three seconds is what a connection begins with
  if (rto !== 0 && rto !== 3_000_000) out.push(` rto:${g(seconds(rto))}`)
  word('backoff', u8(4))
  const rtt = u32(68)
  if (rtt !== 0) out.push(` rtt:${g(seconds(rtt))}/${g(seconds(u32(72)))}`)
  if (u32(12) !== 0) out.push(` ato:${g(seconds(u32(12)))}`)
  const mss = u32(16)
  const cwnd = u32(80)
  word('mss', mss)
  word('pmtu', u32(60))
  word('rcvmss', u32(20))
  word('advmss', u32(84))
  word('cwnd', cwnd)
  if (u32(76) < 0xffff) word('ssthresh', u32(76))
  word('bytes_sent', u64(200))
  word('bytes_retrans', u64(208))
  word('bytes_acked', u64(120))
  word('bytes_received', u64(128))
  word('segs_out', u32(136))
  word('segs_in', u32(140))
  word('data_segs_out', u32(156))
  word('data_segs_in', u32(152))
  if (bbr !== null) {
    out.push(` bbr:(bw:${rate(bbr.bbr_bw * 8, o.numeric)}bps,mrtt:${g(bbr.bbr_min_rtt / 1000)}`)
    if (bbr.bbr_pacing_gain) out.push(`,pacing_gain:${g(bbr.bbr_pacing_gain / 256)}`)
    if (bbr.bbr_cwnd_gain) out.push(`,cwnd_gain:${g(bbr.bbr_cwnd_gain / 256)}`)
    out.push(')')
  }
  const bps = (name: string, bits: number): void => {
    if (bits > 0) out.push(` ${name} ${rate(bits, o.numeric)}bps`)
  }
  if (rtt > 0 && mss && cwnd) bps('send', (cwnd * mss * 8_000_000) / rtt)
  word('lastsnd', u32(44))
  word('lastrcv', u32(52))
  word('lastack', u32(56))
  if (info.getBigUint64(104, true) !== U64_MAX) {
    bps('pacing_rate', u64(104) * 8)
    if (info.getBigUint64(112, true) !== U64_MAX && u64(104) > 0) out.push(`/${rate(u64(112) * 8, o.numeric)}bps`)
  }
  bps('delivery_rate', u64(160) * 8)
  word('delivered', u32(192))
  word('delivered_ce', u32(196))
  if (u8(7) & 1) out.push(' app_limited')
  const busy = u64(168)
  if (busy !== 0) {
    out.push(` busy:${Math.floor(busy / 1000)}ms`)
    for (const [name, v] of [
      ['rwnd_limited', u64(176)],
      ['sndbuf_limited', u64(184)],
    ] as const)
      if (v !== 0) out.push(` ${name}:${Math.floor(v / 1000)}ms(${((100 * v) / busy).toFixed(1)}%)`)
  }
  word('unacked', u32(24))
  if (u32(36) || u32(100)) out.push(` retrans:${u32(36)}/${u32(100)}`)
  word('lost', u32(32))
  if (d.state !== TCP_LISTEN) word('sacked', u32(28))
  word('dsack_dups', u32(216))
  if (u32(88) !== 3) out.push(` reordering:${u32(88)}`)
  word('reord_seen', u32(220))
  if (u32(92) !== 0) out.push(` rcv_rtt:${g(seconds(u32(92)))}`)
  word('rcv_space', u32(96))
  word('rcv_ssthresh', u32(64))
  word('notsent', u32(144))
  if (u32(148) !== 0 && u32(148) !== U32_MAX) out.push(` minrtt:${g(seconds(u32(148)))}`)
  word('rcv_ooopack', u32(224))
  word('snd_wnd', u32(228))
  return out.join('')
}
