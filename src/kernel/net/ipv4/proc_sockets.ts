import {
  NUD_NOARP,
  RTN_BROADCAST,
  RTN_MULTICAST,
  RTN_PROHIBIT,
  RTN_UNREACHABLE,
  TCP_LISTEN,
} from '../../include/generated/enums.ts'
import { dotted } from '../../include/linux/in.ts'
import { fs_initcall } from '../../include/linux/init.ts'
import { be32, hex, proc_create_net, seq_line } from '../../include/linux/proc_fs.ts'
import { RT_TABLE_MAIN, RTAX_ADVMSS, RTAX_RTT, RTAX_WINDOW } from '../../include/linux/rtnetlink.ts'
import { AF_INET, AF_INET6 } from '../../include/linux/socket.ts'
import { inet_csk } from '../../include/net/inet_connection_sock.ts'
import { NUD_PERMANENT, NUD_VALID, type neighbour } from '../../include/net/neighbour.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { tcp_sk } from '../../include/net/tcp.ts'
import { neigh_for_each } from '../core/neighbour.ts'
import { arp_tbl } from './arp.ts'
import { fib_get_table } from './fib_frontend.ts'
import { fib_table_walk } from './fib_trie.ts'
import { inet_csk_in_pingpong_mode } from './inet_connection_sock.ts'
import { inet_diag_dump, type inet_diag_msg, type Transport } from './inet_diag.ts'
import { tcp_in_initial_slowstart, tcp_snd_cwnd } from './tcp_inlines.ts'

// what net/ipv4/tcp_ipv4.c, udp.c, raw.c, arp.c and fib_trie.c print below /proc/net; hidden pointers are zero

const POINTER = '0'.repeat(16)
/** jiffies are four milliseconds, USER_HZ ticks are ten */
const clock_t = (ms: number): number => Math.floor(ms / 10)

const place = (a: number | Uint8Array, port: number): string => {
  if (typeof a === 'number') return `${be32(a)}:${hex(port, 4)}`
  const v = new DataView(a.buffer, a.byteOffset, 16)
  return `${[0, 4, 8, 12].map((o) => be32(v.getUint32(o))).join('')}:${hex(port, 4)}`
}

function head(d: inet_diag_msg, slot: number, width: number): string {
  return (
    `${String(slot).padStart(width)}: ${place(d.saddr, d.sport)} ${place(d.daddr, d.dport)} ${hex(d.state, 2)} ` +
    `${hex(d.state === TCP_LISTEN ? 0 : d.wqueue, 8)}:${hex(d.rqueue, 8)} ` +
    `${hex(d.timer, 2)}:${hex(d.timer === 0 ? 0 : clock_t(d.expires), 8)}`
  )
}

function tcp_line(d: inet_diag_msg, slot: number): string {
  const v6 = d.family === AF_INET6
  const rest = (): string => {
    const { sk } = d
    if (sk === null) return `${hex(0, 8)} ${'0'.padStart(5)} ${'0'.padStart(8)} 0 3 ${POINTER}`
    const icsk = inet_csk(sk)
    const tp = tcp_sk(sk)
    const start = `${hex(icsk.icsk_retransmits, 8)} ${String(d.uid).padStart(5)} ${String(icsk.icsk_probes_out).padStart(8)} ${d.inode} `
    const quick = (icsk.icsk_ack.quick << 1) | (inet_csk_in_pingpong_mode(sk) ? 1 : 0)
    const last =
      d.state === TCP_LISTEN ? icsk.icsk_accept_queue.fastopenq.max_qlen : tcp_in_initial_slowstart(tp) ? -1 : tp.snd_ssthresh
    return `${start}${sk.skc_refcnt} ${POINTER} ${clock_t(icsk.icsk_rto * 4)} ${clock_t(icsk.icsk_ack.ato * 4)} ${quick} ${tcp_snd_cwnd(tp)} ${last}`
  }
  const line = `${head(d, slot, 4)} ${rest()}`
  return v6 ? `${line}\n` : seq_line(line, 149)
}

const titles = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'
const titles6 =
  '  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'

const tcp4_seq_show = (n: net): string =>
  seq_line(titles, 149) +
  inet_diag_dump(n, 'tcp', AF_INET)
    .map((d, i) => tcp_line(d, i))
    .join('')
const tcp6_seq_show = (n: net): string | null =>
  n.ipv6 === null
    ? null
    : `${titles6}\n${inet_diag_dump(n, 'tcp', AF_INET6)
        .map((d, i) => tcp_line(d, i))
        .join('')}`

/** datagram sockets: `slot` is the bucket that they are found in */
function dgram_line(d: inet_diag_msg, slot: number, width: number): string {
  const start = `${head(d, slot, width)} ${hex(0, 8)} ${String(d.uid).padStart(5)} ${'0'.padStart(8)} ${d.inode} `
  return `${start}${d.sk?.skc_refcnt ?? 0} ${POINTER} ${d.sk?.sk_drops ?? 0}`
}
/** lines of raw sockets are not filled up */
const dgram4 =
  (transport: Transport, slot: (d: inet_diag_msg) => number) =>
  (n: net): string => {
    const raw = transport === 'raw'
    const line = (text: string): string => (raw ? `${text}\n` : seq_line(text, 127))
    return (
      line(`${raw ? '' : ' '}${titles} ref pointer drops`) +
      inet_diag_dump(n, transport, AF_INET)
        .map((d) => line(dgram_line(d, slot(d), raw ? 4 : 5)))
        .join('')
    )
  }
const dgram6 =
  (transport: Transport, slot: (d: inet_diag_msg) => number) =>
  (n: net): string | null =>
    n.ipv6 === null
      ? null
      : `${titles6} ref pointer drops\n${inet_diag_dump(n, transport, AF_INET6)
          .map((d) => `${dgram_line(d, slot(d), 5)}\n`)
          .join('')}`

// ---- arp

function arp_seq_show(n: net): string {
  let out = 'IP address       HW type     Flags       HW address            Mask     Device\n'
  neigh_for_each(
    arp_tbl,
    (e: neighbour) => {
      if (e.dev.nd_net !== n || e.nud_state & NUD_NOARP || e.nud_state === 0) return
      const flags = e.nud_state & NUD_PERMANENT ? 6 : e.nud_state & NUD_VALID ? 2 : 0
      const ip = dotted(e.primary_key as number)
      const mac = [...e.ha.subarray(0, e.dev.addr_len)].map((b) => b.toString(16).padStart(2, '0')).join(':')
      const x = (v: number): string => `0x${v.toString(16).padEnd(10)}`
      out += `${ip.padEnd(16)} ${x(e.dev.type)}${x(flags)}${mac.padEnd(17)}     *        ${e.dev.name}\n`
    },
    null,
  )
  return out
}

// ---- route

const RTF_UP = 1
const RTF_GATEWAY = 2
const RTF_HOST = 4
const RTF_REJECT = 0x200

function fib_route_seq_show(n: net): string {
  let out = seq_line('Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT', 127)
  const tb = fib_get_table(n, RT_TABLE_MAIN)
  const rows = tb === null ? [] : [...fib_table_walk(tb)]
  rows.sort((a, b) => a.dst - b.dst || b.dst_len - a.dst_len)
  for (const { dst, dst_len, fa } of rows) {
    if (fa.fa_type === RTN_BROADCAST || fa.fa_type === RTN_MULTICAST) continue
    const fi = fa.fa_info
    const [nh] = fi.fib_nh
    const mask = dst_len === 0 ? 0 : (0xffffffff << (32 - dst_len)) >>> 0
    let flags = RTF_UP
    if (fa.fa_type === RTN_UNREACHABLE || fa.fa_type === RTN_PROHIBIT) flags = RTF_REJECT | RTF_UP
    if (nh?.nhc_gw4) flags |= RTF_GATEWAY
    if (mask === 0xffffffff) flags |= RTF_HOST
    const metric = (i: number): number => fi.fib_metrics.metrics[i - 1] ?? 0
    const advmss = metric(RTAX_ADVMSS)
    out += seq_line(
      `${nh?.nhc_dev?.name ?? '*'}\t${be32(dst)}\t${be32(nh?.nhc_gw4 ?? 0)}\t${hex(flags, 4)}\t0\t0\t${fi.fib_priority}\t${be32(mask)}\t` +
        `${advmss ? advmss + 40 : 0}\t${metric(RTAX_WINDOW)}\t${metric(RTAX_RTT) >> 3}`,
      127,
    )
  }
  return out
}

fs_initcall(() => {
  const mask = (n: net): number => (n.ipv4.udp_table as { mask: number }).mask
  const bucket = (d: inet_diag_msg): number => (d.sk === null ? 0 : (d.sport + d.sk.skc_net.hash_mix) & mask(d.sk.skc_net))
  const protocol = (d: inet_diag_msg): number => d.sport
  proc_create_net('tcp', tcp4_seq_show)
  proc_create_net('tcp6', tcp6_seq_show)
  proc_create_net('udp', dgram4('udp', bucket))
  proc_create_net('udp6', dgram6('udp', bucket))
  proc_create_net('raw', dgram4('raw', protocol))
  proc_create_net('arp', arp_seq_show)
  proc_create_net('route', fib_route_seq_show)
})
