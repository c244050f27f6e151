import type { Host } from '../../../host/host.ts'
import { dotted } from '../../../kernel/include/linux/in.ts'
import { in6_ntop } from '../../../kernel/include/linux/in6.ts'
import { SOCK_INODE } from '../../../kernel/include/linux/net.ts'
import { skb_peek } from '../../../kernel/include/linux/skbuff.ts'
import type { net } from '../../../kernel/include/net/net_namespace.ts'
import type { sock } from '../../../kernel/include/net/sock.ts'
import { skb_peek_next } from '../../../kernel/net/core/skbuff.ts'
import { sock_gen_cookie } from '../../../kernel/net/core/sock_diag.ts'
import { inet_diag_dump, type inet_diag_msg, type Transport } from '../../../kernel/net/ipv4/inet_diag.ts'
import { sock_from_file } from '../../../kernel/net/socket.ts'
import { unix_sockets } from '../../../kernel/net/unix/af_unix.ts'
import type { Row } from './columns.ts'
import { memory, tcpInfo, timer } from './details.ts'
import { type Filter, stateNames } from './filter.ts'

/** the tables of sockets, in the order in which ss shows them */
export const databases = ['p_raw', 'p_dgr', 'u_str', 'u_dgr', 'u_seq', 'raw', 'udp', 'tcp'] as const
export type Database = (typeof databases)[number]

/** what is to be shown, and how much of it */
export interface Wanted {
  wanted: Set<Database>
  /** 0: both */
  family: 0 | 4 | 6
  numeric: boolean
  options: boolean
  details: boolean
  memory: boolean
  processes: boolean
  info: boolean
  oneline: boolean
  filter: Filter
}

const AF_INET = 2
const AF_INET6 = 10
const LISTEN = 10
const CLOSE = 7

/** names of /etc/protocols for raw sockets; there are no names of ports on this host */
const protocols: Readonly<Record<number, string>> = {
  1: 'icmp',
  2: 'igmp',
  6: 'tcp',
  17: 'udp',
  47: 'gre',
  58: 'ipv6-icmp',
  132: 'sctp',
}

/** who has a descriptor for a socket: ` users:(("name",pid=1,fd=3))` */
function users(host: Host, sk: sock | null): string {
  if (sk === null) return ''
  const { task } = host.process
  const found = (task.files?.fdt.fd ?? []).flatMap((f, fd) =>
    f !== null && f !== undefined && sock_from_file(f)?.sk === sk ? [`("${task.comm}",pid=${task.pid},fd=${fd})`] : [],
  )
  return found.length === 0 ? '' : ` users:(${found.reverse().join(',')})`
}

const shutdown = (mask: number): string => ` ${mask & 1 ? '-' : '<'}-${mask & 2 ? '-' : '>'}`

function host_of(a: number | Uint8Array, v6only: boolean): string {
  if (typeof a === 'number') return dotted(a)
  return !v6only && a.every((b) => b === 0) ? '*' : `[${in6_ntop(a)}]`
}

function inetRow(host: Host, n: net, d: inet_diag_msg, transport: Transport, o: Wanted): Row {
  const v6only = d.sk?.skc_ipv6only === 1
  const port = (p: number): string => {
    if (p === 0) return '*'
    return transport === 'raw' && !o.numeric ? (protocols[p] ?? String(p)) : String(p)
  }
  const dev = d.ifindex === 0 ? '' : `%${n.dev_by_index.get(d.ifindex)?.name ?? d.ifindex}`
  let rest = o.processes ? users(host, d.sk) : ''
  if (o.options) rest += timer(d)
  if (o.details) {
    if (d.uid) rest += ` uid:${d.uid}`
    rest += ` ino:${d.inode} sk:${d.cookie.toString(16)}`
    if (d.sk !== null) {
      if (d.sk.sk_mark) rest += ` fwmark:0x${d.sk.sk_mark.toString(16)}`
      rest += ' cgroup:/'
      if (d.family === AF_INET6) rest += ` v6only:${v6only ? 1 : 0}`
      rest += shutdown(d.sk.sk_shutdown)
    }
  }
  if (o.memory || (o.info && transport !== 'udp')) {
    if (!o.oneline) rest += '\n\t'
    if (o.memory) rest += memory(d.sk)
    if (o.info) rest += tcpInfo(d, o)
  }
  return [
    transport,
    stateNames[d.state] ?? 'UNKNOWN',
    String(d.rqueue),
    String(d.wqueue),
    `${host_of(d.saddr, v6only)}${dev}:`,
    port(d.sport),
    `${host_of(d.daddr, v6only)}:`,
    port(d.dport),
    rest,
  ]
}

/** bytes that can be read: of a stream all, of datagrams the first one's */
function waiting(sk: sock): number {
  let bytes = 0
  for (let skb = skb_peek(sk.sk_receive_queue); skb !== null; skb = skb_peek_next(skb, sk.sk_receive_queue)) {
    bytes += skb.len
    if (sk.sk_type === 2) break
  }
  return bytes
}

const kinds: Readonly<Record<number, Database>> = { 1: 'u_str', 2: 'u_dgr', 5: 'u_seq' }

function unixRows(host: Host, n: net, o: Wanted): Row[] {
  const inode = (sk: sock | null): number => (sk?.sk_socket === null || sk === null ? 0 : SOCK_INODE(sk.sk_socket).i_ino)
  return unix_sockets(n).flatMap((u) => {
    const kind = kinds[u.sk_type] ?? 'u_str'
    if (!o.wanted.has(kind) || !shows(o, u.sk_state) || !o.filter.test({ saddr: null, sport: 0, daddr: null, dport: 0 }))
      return []
    const listening = u.sk_state === LISTEN
    let rest = o.processes ? users(host, u) : ''
    if (o.memory) rest += memory(u)
    if (o.details) rest += shutdown(u.sk_shutdown)
    return [
      [
        kind,
        stateNames[u.sk_state] ?? 'UNKNOWN',
        String(listening ? u.sk_receive_queue.qlen : waiting(u)),
        String(listening ? u.sk_max_ack_backlog : u.sk_wmem_alloc - 1),
        `${pathOf(u.addr) || '*'} `,
        String(inode(u)),
        '* ',
        String(inode(u.peer)),
        rest,
      ] as const,
    ]
  })
}

/** the name in a struct sockaddr_un; zero bytes of an abstract one as @ */
function pathOf(addr: { name: Uint8Array; len: number } | null): string {
  if (addr === null || addr.len <= 2) return ''
  const bytes = [...addr.name.subarray(2, addr.len)]
  const abstract = bytes[0] === 0
  const text = String.fromCharCode(...bytes)
  return abstract ? text.replaceAll('\0', '@') : text.replace(/\0.*$/s, '')
}

function packetRows(host: Host, n: net, o: Wanted): Row[] {
  return (n.packet.sklist as (sock & { ifindex: number; num: number })[]).flatMap((sk) => {
    const kind: Database = sk.sk_type === 3 ? 'p_raw' : 'p_dgr'
    if (!o.wanted.has(kind) || !shows(o, CLOSE)) return []
    const dev = sk.ifindex === 0 ? '*' : (n.dev_by_index.get(sk.ifindex)?.name ?? String(sk.ifindex))
    const names: Readonly<Record<number, string>> = { 3: '*', 2048: 'ip', 34525: 'ipv6', 2054: 'arp' }
    let rest = o.processes ? users(host, sk) : ''
    if (o.details)
      rest += ` ino:${sk.sk_socket === null ? 0 : SOCK_INODE(sk.sk_socket).i_ino} sk:${sock_gen_cookie(sk).toString(16)}`
    if (o.memory) rest += memory(sk)
    return [[kind, 'UNCONN', String(sk.sk_rmem_alloc), '0', `${names[sk.num] ?? `[${sk.num}]`}:`, dev, '*', '', rest] as const]
  })
}

const shows = (o: Wanted, state: number): boolean => (((o.filter.states ?? 0) >> state) & 1) !== 0

/** a row for each socket that is asked for */
export function list(host: Host, n: net, o: Wanted): Row[] {
  const rows: Row[] = []
  if (o.family === 0) rows.push(...packetRows(host, n, o), ...unixRows(host, n, o))
  for (const transport of ['raw', 'udp', 'tcp'] as const) {
    if (!o.wanted.has(transport)) continue
    for (const family of [AF_INET, AF_INET6]) {
      if ((o.family === 4 && family !== AF_INET) || (o.family === 6 && family !== AF_INET6)) continue
      for (const d of inet_diag_dump(n, transport, family))
        if (shows(o, d.state) && o.filter.test(d)) rows.push(inetRow(host, n, d, transport, o))
    }
  }
  return rows
}
