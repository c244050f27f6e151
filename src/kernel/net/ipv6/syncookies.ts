import { kfunc } from '../../../trace/kfunc.ts'
import { type in6_addr, s6_addr32 } from '../../include/linux/in6.ts'
import { ipv6_hdr } from '../../include/linux/ipv6.ts'
import { jhash2 } from '../../include/linux/jhash.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { tcp_hdr } from '../../include/linux/tcp.ts'
import type { ref } from '../../include/linux/types.ts'
import type { sock } from '../../include/net/sock.ts'
import { tcp_cookie_time } from '../ipv4/tcp_inlines.ts'

const msstab = [1280 - 60, 1480 - 60, 1500 - 60, 9000 - 60]
const COOKIEBITS = 24
const COOKIEMASK = 0xffffff

const cookie_hash = kfunc('cookie_hash', (saddr: in6_addr, daddr: in6_addr, ports: number, count: number, c: number): number =>
  jhash2([0, 1, 2, 3].flatMap((i) => [s6_addr32(saddr, i), s6_addr32(daddr, i)]).concat([ports, count]), c),
)

const secure_tcp_syn_cookie = kfunc(
  'secure_tcp_syn_cookie',
  (saddr: in6_addr, daddr: in6_addr, sport: number, dport: number, sseq: number, data: number): number => {
    const ports = ((sport << 16) | dport) >>> 0
    const count = tcp_cookie_time()
    return (
      (cookie_hash(saddr, daddr, ports, 0, 0) +
        sseq +
        ((count << COOKIEBITS) >>> 0) +
        ((cookie_hash(saddr, daddr, ports, count, 1) + data) & COOKIEMASK)) >>>
      0
    )
  },
)

/** `mssp`: what the other end can take, made one of the few that the cookie can tell */
export const cookie_v6_init_sequence = kfunc('cookie_v6_init_sequence', (skb: sk_buff, mssp: ref<number>): number => {
  const { saddr, daddr } = ipv6_hdr(skb)
  const th = tcp_hdr(skb)
  let mssind = msstab.length - 1
  while (mssind > 0 && mssp.v < (msstab[mssind] as number)) mssind--
  mssp.v = msstab[mssind] as number
  return secure_tcp_syn_cookie(saddr, daddr, th.source, th.dest, th.seq, mssind)
})

/** no SYN is answered with a cookie before the queue overflows: what comes back here is none */
export const cookie_v6_check = kfunc('cookie_v6_check', (sk: sock, _skb: sk_buff): sock | null => sk)
