import { random } from '../../../sim/random.ts'
import { kfunc } from '../../../trace/kfunc.ts'
import { IPPROTO_TCP, IPPROTO_UDP, TCP_CLOSE, TCP_LISTEN, TCP_TIME_WAIT } from '../../include/generated/enums.ts'
import { EADDRNOTAVAIL } from '../../include/linux/errno.ts'
import { type in6_addr, in6addr_any, ipv6_addr_equal, s6_addr32 } from '../../include/linux/in6.ts'
import { inet6_iif, ipv6_hdr, sk_v6_daddr, sk_v6_rcv_saddr } from '../../include/linux/ipv6.ts'
import { jhash_3words, jhash2 } from '../../include/linux/jhash.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { PF_INET6 } from '../../include/linux/socket.ts'
import { IS_ERR, type ref } from '../../include/linux/types.ts'
import { hlist_nulls_add_head_rcu, type inet_hashinfo, type inet_listen_hashbucket } from '../../include/net/inet_hashtables.ts'
import { inet_sk } from '../../include/net/inet_sock.ts'
import { type inet_timewait_death_row, type inet_timewait_sock, inet_twsk } from '../../include/net/inet_timewait_sock.ts'
import { type net, net_eq, net_hash_mix } from '../../include/net/net_namespace.ts'
import type { sock, sock_common } from '../../include/net/sock.ts'
import { spin_lock, spin_unlock } from '../../kernel/locking/spinlock.ts'
import { siphash_high } from '../../lib/siphash.ts'
import { skb_steal_sock } from '../core/request_sock.ts'
import { secure_ipv6_port_ephemeral } from '../core/secure_seq.ts'
import { sk_fullsock, sock_prot_inuse_add } from '../core/sock.ts'
import { reuseport_select_sock } from '../core/sock_reuseport.ts'
import {
  __inet_hash,
  __inet_hash_connect,
  inet_ehash_bucket,
  inet_ehash_lockp,
  inet_lhash2_bucket,
  inet_sk_bound_dev_eq,
  inet6_match,
  ipv6_portaddr_hash,
  sk_nulls_del_node_init_rcu,
} from '../ipv4/inet_hashtables.ts'
import { inet_twsk_deschedule_put } from '../ipv4/inet_timewait_sock.ts'
import { tcp_twsk_unique } from '../ipv4/tcp_ipv4.ts'
import { l3mdev_master_ifindex_by_index } from '../l3mdev/l3mdev.ts'

/** the hash function that inet6_lookup_reuseport is given */
export type inet6_ehashfn_t = (n: net, laddr: in6_addr, lport: number, faddr: in6_addr, fport: number) => number

let inet6_ehash_secret = 0
let tcp_ipv6_hash_secret = 0

export function inet6_hashtables_init(): void {
  inet6_ehash_secret = random.u32()
  tcp_ipv6_hash_secret = random.u32()
}

/** include/net/ipv6.h */
export const __ipv6_addr_jhash = (a: in6_addr, initval: number): number =>
  jhash2([s6_addr32(a, 0), s6_addr32(a, 1), s6_addr32(a, 2), s6_addr32(a, 3)], initval)
export const __inet6_ehashfn = (lhash: number, lport: number, fhash: number, fport: number, initval: number): number =>
  jhash_3words(lhash, fhash, (lport << 16) | fport, initval)

export const inet6_ehashfn = kfunc(
  'inet6_ehashfn',
  (n: net, laddr: in6_addr, lport: number, faddr: in6_addr, fport: number): number =>
    __inet6_ehashfn(
      s6_addr32(laddr, 3),
      lport,
      __ipv6_addr_jhash(faddr, tcp_ipv6_hash_secret),
      fport,
      inet6_ehash_secret + net_hash_mix(n),
    ),
)

/** a connection, a request or a TIME_WAIT, with a reference; null for none */
export const __inet6_lookup_established = kfunc(
  '__inet6_lookup_established',
  (
    n: net,
    hashinfo: inet_hashinfo,
    saddr: in6_addr,
    sport: number,
    daddr: in6_addr,
    hnum: number,
    dif: number,
    sdif: number,
  ): sock | null => {
    const hash = inet6_ehashfn(n, daddr, hnum, saddr, sport)
    for (let sk = inet_ehash_bucket(hashinfo, hash).first; sk !== null; sk = sk.skc_nulls_next) {
      if (sk.skc_hash !== hash || !inet6_match(n, sk, saddr, daddr, sport, hnum, dif, sdif)) continue
      if (sk.skc_refcnt === 0) return null
      sk.skc_refcnt++
      return sk as sock
    }
    return null
  },
)

const compute_score = kfunc(
  'compute_score',
  (sk: sock_common, n: net, hnum: number, daddr: in6_addr, dif: number, sdif: number): number => {
    if (!net_eq(sk.skc_net, n) || sk.skc_num !== hnum || sk.skc_family !== PF_INET6) return -1
    if (!ipv6_addr_equal(sk_v6_rcv_saddr(sk), daddr)) return -1
    if (!inet_sk_bound_dev_eq(n, sk.skc_bound_dev_if, dif, sdif)) return -1
    let score = sk.skc_bound_dev_if ? 2 : 1
    if (sk.skc_incoming_cpu === 0) score++
    return score
  },
)

export const inet6_lookup_reuseport = kfunc(
  'inet6_lookup_reuseport',
  (
    n: net,
    sk: sock,
    skb: sk_buff | null,
    doff: number,
    saddr: in6_addr,
    sport: number,
    daddr: in6_addr,
    hnum: number,
    ehashfn: inet6_ehashfn_t,
  ): sock | null => {
    if (!sk.sk_reuseport) return null
    return reuseport_select_sock(sk, ehashfn(n, daddr, hnum, saddr, sport), skb, doff)
  },
)

const inet6_lhash2_lookup = kfunc(
  'inet6_lhash2_lookup',
  (
    n: net,
    ilb2: inet_listen_hashbucket,
    skb: sk_buff | null,
    doff: number,
    saddr: in6_addr,
    sport: number,
    daddr: in6_addr,
    hnum: number,
    dif: number,
    sdif: number,
  ): sock | null => {
    let result: sock | null = null
    let hiscore = 0
    for (let sk = ilb2.nulls_head.first; sk !== null; sk = sk.skc_nulls_next) {
      const score = compute_score(sk, n, hnum, daddr, dif, sdif)
      if (score <= hiscore) continue
      result = inet6_lookup_reuseport(n, sk as sock, skb, doff, saddr, sport, daddr, hnum, inet6_ehashfn)
      if (result !== null) return result
      result = sk as sock
      hiscore = score
    }
    return result
  },
)

export const inet6_lookup_listener = kfunc(
  'inet6_lookup_listener',
  (
    n: net,
    hashinfo: inet_hashinfo,
    skb: sk_buff | null,
    doff: number,
    saddr: in6_addr,
    sport: number,
    daddr: in6_addr,
    hnum: number,
    dif: number,
    sdif: number,
  ): sock | null => {
    let ilb2 = inet_lhash2_bucket(hashinfo, ipv6_portaddr_hash(n, daddr, hnum))
    let result = inet6_lhash2_lookup(n, ilb2, skb, doff, saddr, sport, daddr, hnum, dif, sdif)
    if (result === null) {
      ilb2 = inet_lhash2_bucket(hashinfo, ipv6_portaddr_hash(n, in6addr_any, hnum))
      result = inet6_lhash2_lookup(n, ilb2, skb, doff, saddr, sport, in6addr_any, hnum, dif, sdif)
    }
    return IS_ERR(result) ? null : result
  },
)

const prefetched: ref<boolean> = { v: false }

/** a buffer that was handed to its socket already (early demultiplexing) */
export const inet6_steal_sock = kfunc(
  'inet6_steal_sock',
  (
    n: net,
    skb: sk_buff,
    doff: number,
    saddr: in6_addr,
    sport: number,
    daddr: in6_addr,
    dport: number,
    refcounted: ref<boolean>,
    ehashfn: inet6_ehashfn_t,
  ): sock | null => {
    const sk = skb_steal_sock(skb, refcounted, prefetched)
    if (sk === null) return null
    if (!prefetched.v || !sk_fullsock(sk)) return sk
    if (sk.sk_protocol === IPPROTO_TCP) {
      if (sk.sk_state !== TCP_LISTEN) return sk
    } else if (sk.sk_protocol === IPPROTO_UDP) {
      if (sk.sk_state !== TCP_CLOSE) return sk
    } else return sk
    return inet6_lookup_reuseport(n, sk, skb, doff, saddr, sport, daddr, dport, ehashfn) ?? sk
  },
)

const __inet6_lookup = kfunc(
  '__inet6_lookup',
  (
    n: net,
    hashinfo: inet_hashinfo,
    skb: sk_buff,
    doff: number,
    saddr: in6_addr,
    sport: number,
    daddr: in6_addr,
    hnum: number,
    dif: number,
    sdif: number,
  ): { sk: sock | null; refcounted: boolean } => {
    const sk = __inet6_lookup_established(n, hashinfo, saddr, sport, daddr, hnum, dif, sdif)
    if (sk !== null) return { sk, refcounted: true }
    return { sk: inet6_lookup_listener(n, hashinfo, skb, doff, saddr, sport, daddr, hnum, dif, sdif), refcounted: false }
  },
)

/** the socket of a packet; refcounted.v says whether the caller must put it */
export const __inet6_lookup_skb = kfunc(
  '__inet6_lookup_skb',
  (
    hashinfo: inet_hashinfo,
    skb: sk_buff,
    doff: number,
    sport: number,
    dport: number,
    iif: number,
    sdif: number,
    refcounted: ref<boolean>,
  ): sock | null => {
    const dev = skb._skb_refdst?.dev ?? skb.dev
    if (dev === null) return null
    const n = dev.nd_net
    const { saddr, daddr } = ipv6_hdr(skb)
    const sk = inet6_steal_sock(n, skb, doff, saddr, sport, daddr, dport, refcounted, inet6_ehashfn)
    if (sk !== null) return sk
    const found = __inet6_lookup(n, hashinfo, skb, doff, saddr, sport, daddr, dport, iif, sdif)
    refcounted.v = found.refcounted
    return found.sk
  },
)

/** as __inet_check_established, which see */
const __inet6_check_established = kfunc(
  '__inet6_check_established',
  (death_row: inet_timewait_death_row, sk: sock, lport: number, twp: ref<inet_timewait_sock | null> | null): number => {
    const hinfo = death_row.hashinfo
    const inet = inet_sk(sk)
    const daddr = sk_v6_rcv_saddr(sk)
    const saddr = sk_v6_daddr(sk)
    const dif = sk.sk_bound_dev_if
    const n = sk.sk_net
    const sdif = l3mdev_master_ifindex_by_index(n, dif)
    const hash = inet6_ehashfn(n, daddr, lport, saddr, inet.inet_dport)
    const head = inet_ehash_bucket(hinfo, hash)
    const lock = inet_ehash_lockp(hinfo, hash)
    let tw: inet_timewait_sock | null = null

    spin_lock(lock)
    for (let sk2 = head.first; sk2 !== null; sk2 = sk2.skc_nulls_next) {
      if (sk2.skc_hash !== hash || !inet6_match(n, sk2, saddr, daddr, inet.inet_dport, lport, dif, sdif)) continue
      if (sk2.skc_state === TCP_TIME_WAIT) {
        tw = inet_twsk(sk2)
        if (sk.sk_protocol === IPPROTO_TCP && tcp_twsk_unique(sk, sk2 as sock, twp)) break
      }
      spin_unlock(lock)
      return -EADDRNOTAVAIL
    }

    inet.inet_num = lport
    inet.inet_sport = lport
    sk.sk_hash = hash
    hlist_nulls_add_head_rcu(sk, head)
    if (tw !== null) {
      sk_nulls_del_node_init_rcu(tw)
      n.mib.linux.TWRecycled++
    }
    spin_unlock(lock)
    sock_prot_inuse_add(n, sk.sk_prot, 1)

    if (twp !== null) twp.v = tw
    else if (tw !== null) inet_twsk_deschedule_put(tw)
    return 0
  },
)

const inet6_sk_port_offset = kfunc('inet6_sk_port_offset', (sk: sock): bigint => {
  const low = secure_ipv6_port_ephemeral(sk_v6_rcv_saddr(sk), sk_v6_daddr(sk), inet_sk(sk).inet_dport)
  return (BigInt(siphash_high()) << 32n) | BigInt(low)
})

export const inet6_hash_connect = kfunc('inet6_hash_connect', (death_row: inet_timewait_death_row, sk: sock): number => {
  let port_offset = 0n
  if (!inet_sk(sk).inet_num) port_offset = inet6_sk_port_offset(sk)
  return __inet_hash_connect(death_row, sk, port_offset, __inet6_check_established)
})

export const inet6_hash = kfunc('inet6_hash', (sk: sock): number => (sk.sk_state !== TCP_CLOSE ? __inet_hash(sk, null) : 0))

export { inet6_iif }
