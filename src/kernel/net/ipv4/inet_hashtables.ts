import { random } from '../../../sim/random.ts'
import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracer } from '../../../trace/tracer.ts'
import { get_random_u32_below_const } from '../../drivers/char/random.ts'
import {
  IPPROTO_TCP,
  IPPROTO_UDP,
  SOCK_BINDADDR_LOCK,
  SOCK_DEAD,
  SOCK_RCU_FREE,
  TCP_CLOSE,
  TCP_LISTEN,
  TCP_NEW_SYN_RECV,
  TCP_TIME_WAIT,
} from '../../include/generated/enums.ts'
import { EADDRNOTAVAIL, ENOENT } from '../../include/linux/errno.ts'
import {
  IPV6_ADDR_ANY,
  IPV6_ADDR_MAPPED,
  type in6_addr,
  in6addr_any,
  ipv6_addr_any,
  ipv6_addr_equal,
  ipv6_addr_set_v4mapped,
  ipv6_addr_v4mapped,
  s6_addr32,
} from '../../include/linux/in6.ts'
import { core_initcall } from '../../include/linux/init.ts'
import { ip_hdr } from '../../include/linux/ip.ts'
import { sk_v6_daddr, sk_v6_rcv_saddr } from '../../include/linux/ipv6.ts'
import { jhash_1word, jhash_3words, jhash2 } from '../../include/linux/jhash.ts'
import { list_add, list_del, list_empty } from '../../include/linux/list.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC, type kmem_cache } from '../../include/linux/slab.ts'
import { AF_INET, AF_INET6, PF_INET } from '../../include/linux/socket.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import { IS_ERR, type ref, roundup_pow_of_two } from '../../include/linux/types.ts'
import { inet_csk } from '../../include/net/inet_connection_sock.ts'
import {
  hlist_nulls_add_head_rcu,
  hlist_nulls_add_tail_rcu,
  hlist_nulls_del_init_rcu,
  hlist_nulls_head,
  ib_net,
  ib2_net,
  inet_bind_bucket,
  inet_bind_hashbucket,
  inet_bind2_bucket,
  type inet_ehashfn_t,
  type inet_hashinfo,
  inet_listen_hashbucket,
} from '../../include/net/inet_hashtables.ts'
import { inet_sk } from '../../include/net/inet_sock.ts'
import { type inet_timewait_death_row, type inet_timewait_sock, inet_twsk } from '../../include/net/inet_timewait_sock.ts'
import { ipv6_stub } from '../../include/net/ipv6_stubs.ts'
import { type net, net_eq, net_hash_mix } from '../../include/net/net_namespace.ts'
import { inet_reqsk } from '../../include/net/request_sock.ts'
import type { sock, sock_common } from '../../include/net/sock.ts'
import { spin_lock, spin_lock_bh, spin_unlock, spin_unlock_bh } from '../../kernel/locking/spinlock.ts'
import { local_bh_disable, local_bh_enable } from '../../kernel/softirq.ts'
import { siphash_high } from '../../lib/siphash.ts'
import { kmem_cache_alloc_noprof, kmem_cache_free } from '../../mm/slub.ts'
import { reqsk_free, skb_steal_sock } from '../core/request_sock.ts'
import { secure_ipv4_port_ephemeral } from '../core/secure_seq.ts'
import { register_sock_gen_put, sk_free, sk_fullsock, sock_i_uid, sock_prot_inuse_add, sock_set_flag } from '../core/sock.ts'
import { reuseport_add_sock, reuseport_alloc, reuseport_select_sock, reuseport_stop_listen_sock } from '../core/sock_reuseport.ts'
import { ipv6_addr_type } from '../ipv6/addrconf_core.ts'
import { l3mdev_master_ifindex_by_index } from '../l3mdev/l3mdev.ts'
import { inet_reset_saddr, inet_sk_set_state } from './af_inet.ts'
import {
  bind_bucket_find,
  inet_csk_destroy_sock,
  inet_csk_update_fastreuse,
  inet_rcv_saddr_any,
  inet_rcv_saddr_equal,
  inet_sk_get_local_port_range,
} from './inet_connection_sock.ts'
import { inet_twsk_bind_unhash, inet_twsk_deschedule_put, inet_twsk_free } from './inet_timewait_sock.ts'
import { inet_iif } from './route.ts'
import { tcp_twsk_unique } from './tcp_ipv4.ts'

/** CONFIG_INET_TABLE_PERTURB_ORDER is 16 */
const INET_TABLE_PERTURB_SIZE = 1 << 16

let inet_ehash_secret = 0
/** how far the next connection to a destination starts behind the last; entries are made at first use */
let table_perturb = new Map<number, number>()

core_initcall(() => {
  inet_ehash_secret = random.u32()
  table_perturb = new Map<number, number>()
  register_sock_gen_put(sock_gen_put, sock_edemux)
})

// include/net/inet_hashtables.h, inet_sock.h, ip.h

type bhead = inet_bind_hashbucket<inet_bind_bucket>
type bhead2 = inet_bind_hashbucket<inet_bind2_bucket>

export const tcp_or_dccp_get_hashinfo = (sk: sock_common): inet_hashinfo => sk.skc_net.ipv4.tcp_death_row.hashinfo

export const inet_lhash2_bucket = (h: inet_hashinfo, hash: number): inet_listen_hashbucket =>
  (h.lhash2[hash & h.lhash2_mask] ??= new inet_listen_hashbucket())

export const inet_ehash_bucket = (h: inet_hashinfo, hash: number): hlist_nulls_head =>
  (h.ehash[hash & h.ehash_mask] ??= new hlist_nulls_head())

export const inet_ehash_lockp = (h: inet_hashinfo, hash: number): spinlock_t =>
  (h.ehash_locks[hash & h.ehash_locks_mask] ??= new spinlock_t())

/** a bucket of bhash, by its number */
export const inet_bhash_bucket = (h: inet_hashinfo, i: number): bhead =>
  (h.bhash[i] ??= new inet_bind_hashbucket<inet_bind_bucket>())
const inet_bhash2_bucket = (h: inet_hashinfo, hash: number): bhead2 =>
  (h.bhash2[hash & (h.bhash_size - 1)] ??= new inet_bind_hashbucket<inet_bind2_bucket>())

export const inet_bhashfn = (net: net, lport: number, bhash_size: number): number =>
  (lport + net_hash_mix(net)) & (bhash_size - 1)

export const ipv4_portaddr_hash = (net: net, saddr: number, port: number): number => jhash_1word(saddr, net_hash_mix(net)) ^ port

/** include/net/ipv6.h */
export function ipv6_portaddr_hash(net: net, addr6: in6_addr, port: number): number {
  const mix = net_hash_mix(net)
  if (ipv6_addr_any(addr6)) return jhash_1word(0, mix) ^ port
  if (ipv6_addr_v4mapped(addr6)) return jhash_1word(s6_addr32(addr6, 3), mix) ^ port
  return jhash2([s6_addr32(addr6, 0), s6_addr32(addr6, 1), s6_addr32(addr6, 2), s6_addr32(addr6, 3)], mix) ^ port
}

/** of the address that the socket receives for, of either family */
const portaddr_hash = (net: net, sk: sock_common, port: number): number =>
  sk.skc_family === AF_INET6
    ? ipv6_portaddr_hash(net, sk_v6_rcv_saddr(sk), port)
    : ipv4_portaddr_hash(net, sk.skc_rcv_saddr, port)

export const inet_bhashfn_portaddr = (hinfo: inet_hashinfo, sk: sock_common, net: net, port: number): bhead2 =>
  inet_bhash2_bucket(hinfo, portaddr_hash(net, sk, port))

export const inet_use_hash2_on_bind = (sk: sock_common): boolean => {
  if (sk.skc_family === AF_INET6) {
    const addr = sk_v6_rcv_saddr(sk)
    if (ipv6_addr_any(addr)) return false
    if (!ipv6_addr_v4mapped(addr)) return true
  }
  return sk.skc_rcv_saddr !== 0
}

export const ipv6_only_sock = (sk: sock_common): boolean => sk.skc_ipv6only !== 0

export const inet_is_local_reserved_port = (net: net, port: number): boolean => net.ipv4.sysctl_local_reserved_ports.has(port)

export const inet_sk_bound_l3mdev = kfunc('inet_sk_bound_l3mdev', (sk: sock): number => {
  const net = sk.sk_net
  if (!net.ipv4.sysctl_tcp_l3mdev_accept) return l3mdev_master_ifindex_by_index(net, sk.sk_bound_dev_if)
  return 0
})

export const inet_bound_dev_eq = (l3mdev_accept: boolean, bound_dev_if: number, dif: number, sdif: number): boolean => {
  if (!bound_dev_if) return !sdif || l3mdev_accept
  return bound_dev_if === dif || bound_dev_if === sdif
}

export const inet_sk_bound_dev_eq = (net: net, bound_dev_if: number, dif: number, sdif: number): boolean =>
  inet_bound_dev_eq(net.ipv4.sysctl_tcp_l3mdev_accept !== 0, bound_dev_if, dif, sdif)

/** whether `sk` is the other end of (saddr, sport) at (daddr, hnum) */
const inet_match = (
  net: net,
  sk: sock_common,
  saddr: number,
  daddr: number,
  sport: number,
  hnum: number,
  dif: number,
  sdif: number,
): boolean =>
  net_eq(sk.skc_net, net) &&
  sk.skc_dport === sport &&
  sk.skc_num === hnum &&
  sk.skc_daddr === saddr &&
  sk.skc_rcv_saddr === daddr &&
  inet_sk_bound_dev_eq(net, sk.skc_bound_dev_if, dif, sdif)

/** the same for IPv6 */
export const inet6_match = (
  net: net,
  sk: sock_common,
  saddr: in6_addr,
  daddr: in6_addr,
  sport: number,
  hnum: number,
  dif: number,
  sdif: number,
): boolean =>
  net_eq(sk.skc_net, net) &&
  sk.skc_family === AF_INET6 &&
  sk.skc_dport === sport &&
  sk.skc_num === hnum &&
  ipv6_addr_equal(sk_v6_daddr(sk), saddr) &&
  ipv6_addr_equal(sk_v6_rcv_saddr(sk), daddr) &&
  inet_sk_bound_dev_eq(net, sk.skc_bound_dev_if, dif, sdif)

/** an IPv6 socket that speaks IPv4 has the address mapped, too */
export const sk_daddr_set = (sk: sock, addr: number): void => {
  sk.skc_daddr = addr
  if (sk.skc_v6_daddr !== null) ipv6_addr_set_v4mapped(addr, sk.skc_v6_daddr)
}
export const sk_rcv_saddr_set = (sk: sock, addr: number): void => {
  sk.skc_rcv_saddr = addr
  if (sk.skc_v6_rcv_saddr !== null) ipv6_addr_set_v4mapped(addr, sk.skc_v6_rcv_saddr)
}

/** a look-up that found no connection may find a listener, of which no reference is taken */
export function __inet_lookup(
  net: net,
  hashinfo: inet_hashinfo,
  skb: sk_buff | null,
  doff: number,
  saddr: number,
  sport: number,
  daddr: number,
  dport: number,
  dif: number,
  sdif: number,
  refcounted: ref<boolean>,
): sock | null {
  const sk = __inet_lookup_established(net, hashinfo, saddr, sport, daddr, dport, dif, sdif)
  refcounted.v = true
  if (sk !== null) return sk
  refcounted.v = false
  return __inet_lookup_listener(net, hashinfo, skb, doff, saddr, sport, daddr, dport, dif, sdif)
}

export const inet_lookup_listener = kfunc(
  'inet_lookup_listener',
  (
    net: net,
    hashinfo: inet_hashinfo,
    skb: sk_buff | null,
    doff: number,
    saddr: number,
    sport: number,
    daddr: number,
    dport: number,
    dif: number,
    sdif: number,
  ): sock | null => __inet_lookup_listener(net, hashinfo, skb, doff, saddr, sport, daddr, dport, dif, sdif),
)

const prefetched: ref<boolean> = { v: false }

/** a buffer that was handed to its socket already (early demultiplexing) */
export const inet_steal_sock = kfunc(
  'inet_steal_sock',
  (
    net: net,
    skb: sk_buff,
    doff: number,
    saddr: number,
    sport: number,
    daddr: number,
    dport: number,
    refcounted: ref<boolean>,
    ehashfn: inet_ehashfn_t,
  ): sock | null => {
    const sk = skb_steal_sock(skb, refcounted, prefetched)
    if (sk === null) return null

    if (!prefetched.v || !sk_fullsock(sk)) return sk

    if (sk.sk_protocol === IPPROTO_TCP) {
      if (sk.sk_state !== TCP_LISTEN) return sk
    } else if (sk.sk_protocol === IPPROTO_UDP) {
      if (sk.sk_state !== TCP_CLOSE) return sk
    } else {
      return sk
    }

    return inet_lookup_reuseport(net, sk, skb, doff, saddr, sport, daddr, dport, ehashfn) ?? sk
  },
)

/** the socket of a packet; refcounted.v says whether the caller must put it */
export const __inet_lookup_skb = kfunc(
  '__inet_lookup_skb',
  (
    hashinfo: inet_hashinfo,
    skb: sk_buff,
    doff: number,
    sport: number,
    dport: number,
    sdif: number,
    refcounted: ref<boolean>,
  ): sock | null => {
    const dev = skb._skb_refdst?.dev ?? skb.dev
    if (dev === null) return null
    const net = dev.nd_net
    const { saddr, daddr } = ip_hdr(skb)

    const sk = inet_steal_sock(net, skb, doff, saddr, sport, daddr, dport, refcounted, inet_ehashfn)
    if (sk !== null) return sk

    return __inet_lookup(net, hashinfo, skb, doff, saddr, sport, daddr, dport, inet_iif(skb), sdif, refcounted)
  },
)

// net/ipv4/inet_hashtables.c

export const inet_ehashfn = kfunc(
  'inet_ehashfn',
  (net: net, laddr: number, lport: number, faddr: number, fport: number): number =>
    jhash_3words(laddr, faddr, (lport << 16) | fport, inet_ehash_secret + net_hash_mix(net)),
)

const sk_ehashfn = kfunc('sk_ehashfn', (sk: sock_common): number => {
  if (sk.skc_family === AF_INET6 && sk.skc_v6_daddr !== null && !ipv6_addr_v4mapped(sk.skc_v6_daddr))
    return ipv6_stub().inet6_ehashfn(sk.skc_net, sk_v6_rcv_saddr(sk), sk.skc_num, sk_v6_daddr(sk), sk.skc_dport)
  return inet_ehashfn(sk.skc_net, sk.skc_rcv_saddr, sk.skc_num, sk.skc_daddr, sk.skc_dport)
})

export const inet_bind_bucket_create = kfunc(
  'inet_bind_bucket_create',
  (cachep: kmem_cache | null, net: net, head: bhead, snum: number, l3mdev: number): inet_bind_bucket => {
    kmem_cache_alloc_noprof(cachep as kmem_cache, GFP_ATOMIC)
    const tb = new inet_bind_bucket(net)
    tb.l3mdev = l3mdev
    tb.port = snum
    list_add(tb.node, head.chain)
    return tb
  },
)

/** frees the bucket, if nobody is bound there any more */
export const inet_bind_bucket_destroy = kfunc(
  'inet_bind_bucket_destroy',
  (cachep: kmem_cache | null, tb: inet_bind_bucket): void => {
    if (list_empty(tb.bhash2)) {
      list_del(tb.node)
      kmem_cache_free(cachep as kmem_cache, tb)
    }
  },
)

export const inet_bind_bucket_match = kfunc(
  'inet_bind_bucket_match',
  (tb: inet_bind_bucket, net: net, port: number, l3mdev: number): boolean =>
    net_eq(ib_net(tb), net) && tb.port === port && tb.l3mdev === l3mdev,
)

const inet_bind2_bucket_init = kfunc(
  'inet_bind2_bucket_init',
  (tb2: inet_bind2_bucket, net: net, head: bhead2, tb: inet_bind_bucket, sk: sock): void => {
    tb2.ib_net = net
    tb2.l3mdev = tb.l3mdev
    tb2.port = tb.port
    if (sk.sk_family === AF_INET6) {
      tb2.addr_type = ipv6_addr_type(sk_v6_rcv_saddr(sk))
      tb2.v6_rcv_saddr = sk_v6_rcv_saddr(sk).slice()
    } else {
      // v6_rcv_saddr would be the same, mapped
      tb2.addr_type = IPV6_ADDR_MAPPED
    }
    tb2.rcv_saddr = sk.sk_rcv_saddr
    list_add(tb2.node, head.chain)
    list_add(tb2.bhash_node, tb.bhash2)
  },
)

export const inet_bind2_bucket_create = kfunc(
  'inet_bind2_bucket_create',
  (cachep: kmem_cache | null, net: net, head: bhead2, tb: inet_bind_bucket, sk: sock): inet_bind2_bucket => {
    kmem_cache_alloc_noprof(cachep as kmem_cache, GFP_ATOMIC)
    const tb2 = new inet_bind2_bucket(net)
    inet_bind2_bucket_init(tb2, net, head, tb, sk)
    return tb2
  },
)

export const inet_bind2_bucket_destroy = kfunc(
  'inet_bind2_bucket_destroy',
  (cachep: kmem_cache | null, tb: inet_bind2_bucket): void => {
    if (list_empty(tb.owners)) {
      list_del(tb.node)
      list_del(tb.bhash_node)
      kmem_cache_free(cachep as kmem_cache, tb)
    }
  },
)

const inet_bind2_bucket_addr_match = kfunc('inet_bind2_bucket_addr_match', (tb2: inet_bind2_bucket, sk: sock): boolean => {
  if (sk.sk_family === AF_INET6) {
    const addr = sk_v6_rcv_saddr(sk)
    if (tb2.v6_rcv_saddr !== null) return ipv6_addr_equal(tb2.v6_rcv_saddr, addr)
    return ipv6_addr_v4mapped(addr) && s6_addr32(addr, 3) === tb2.rcv_saddr
  }
  return tb2.addr_type === IPV6_ADDR_MAPPED && tb2.rcv_saddr === sk.sk_rcv_saddr
})

export const inet_bind_hash = kfunc(
  'inet_bind_hash',
  (sk: sock, tb: inet_bind_bucket, tb2: inet_bind2_bucket, port: number): void => {
    inet_sk(sk).inet_num = port
    inet_csk(sk).icsk_bind_hash = tb
    inet_csk(sk).icsk_bind2_hash = tb2
    list_add(sk.skc_bind_node, tb2.owners)
  },
)

const __inet_put_port = kfunc('__inet_put_port', (sk: sock): void => {
  const hashinfo = tcp_or_dccp_get_hashinfo(sk)
  const icsk = inet_csk(sk)
  const net = sk.sk_net

  const head = inet_bhash_bucket(hashinfo, inet_bhashfn(net, icsk.inet_num, hashinfo.bhash_size))
  const head2 = inet_bhashfn_portaddr(hashinfo, sk, net, icsk.inet_num)

  spin_lock(head.lock)
  const tb = icsk.icsk_bind_hash
  icsk.icsk_bind_hash = null
  icsk.inet_num = 0

  spin_lock(head2.lock)
  const tb2 = icsk.icsk_bind2_hash
  if (tb2 !== null) {
    list_del(sk.skc_bind_node)
    icsk.icsk_bind2_hash = null
    inet_bind2_bucket_destroy(hashinfo.bind2_bucket_cachep, tb2)
  }
  spin_unlock(head2.lock)

  if (tb !== null) inet_bind_bucket_destroy(hashinfo.bind_bucket_cachep, tb)
  spin_unlock(head.lock)
})

export const inet_put_port = kfunc('inet_put_port', (sk: sock): void => {
  local_bh_disable()
  __inet_put_port(sk)
  local_bh_enable()
})

/** a child is bound where its listener is; 0 or -ENOENT */
export const __inet_inherit_port = kfunc('__inet_inherit_port', (sk: sock, child: sock): number => {
  const table = tcp_or_dccp_get_hashinfo(sk)
  const port = inet_sk(child).inet_num
  const net = sk.sk_net
  let update_fastreuse = false

  const head = inet_bhash_bucket(table, inet_bhashfn(net, port, table.bhash_size))
  const head2 = inet_bhashfn_portaddr(table, child, net, port)

  spin_lock(head.lock)
  spin_lock(head2.lock)
  let tb = inet_csk(sk).icsk_bind_hash
  let tb2 = inet_csk(sk).icsk_bind2_hash
  if (tb === null || tb2 === null) {
    spin_unlock(head2.lock)
    spin_unlock(head.lock)
    return -ENOENT
  }
  const redirected = tb.port !== port
  if (redirected || !inet_bind2_bucket_addr_match(tb2, child)) {
    const l3mdev = inet_sk_bound_l3mdev(sk)

    if (redirected) {
      // a transparent proxy: the listener has another port than the client asked for
      tb = bind_bucket_find(head, net, port, l3mdev) ?? inet_bind_bucket_create(table.bind_bucket_cachep, net, head, port, l3mdev)
      update_fastreuse = true
    }
    tb2 =
      inet_bind2_bucket_find(head2, net, port, l3mdev, child) ??
      inet_bind2_bucket_create(table.bind2_bucket_cachep, net, head2, tb, child)
  }
  if (update_fastreuse) inet_csk_update_fastreuse(tb, child)
  inet_bind_hash(child, tb, tb2, port)
  spin_unlock(head2.lock)
  spin_unlock(head.lock)

  return 0
})

const inet_lhash2_bucket_sk = kfunc(
  'inet_lhash2_bucket_sk',
  (h: inet_hashinfo, sk: sock): inet_listen_hashbucket =>
    inet_lhash2_bucket(h, portaddr_hash(sk.sk_net, sk, inet_sk(sk).inet_num)),
)

const compute_score = kfunc(
  'compute_score',
  (sk: sock_common, net: net, hnum: number, daddr: number, dif: number, sdif: number): number => {
    let score = -1

    if (net_eq(sk.skc_net, net) && sk.skc_num === hnum && !ipv6_only_sock(sk)) {
      if (sk.skc_rcv_saddr !== daddr) return -1

      if (!inet_sk_bound_dev_eq(net, sk.skc_bound_dev_if, dif, sdif)) return -1
      score = sk.skc_bound_dev_if ? 2 : 1

      if (sk.skc_family === PF_INET) score++
      // the one processor
      if (sk.skc_incoming_cpu === 0) score++
    }
    return score
  },
)

export const inet_lookup_reuseport = kfunc(
  'inet_lookup_reuseport',
  (
    net: net,
    sk: sock,
    skb: sk_buff | null,
    doff: number,
    saddr: number,
    sport: number,
    daddr: number,
    hnum: number,
    ehashfn: inet_ehashfn_t,
  ): sock | null => {
    if (!sk.sk_reuseport) return null
    const phash = ehashfn(net, daddr, hnum, saddr, sport)
    return reuseport_select_sock(sk, phash, skb, doff)
  },
)

const inet_lhash2_lookup = kfunc(
  'inet_lhash2_lookup',
  (
    net: net,
    ilb2: inet_listen_hashbucket,
    skb: sk_buff | null,
    doff: number,
    saddr: number,
    sport: number,
    daddr: number,
    hnum: number,
    dif: number,
    sdif: number,
  ): sock | null => {
    let result: sock | null = null
    let hiscore = 0

    for (let sk = ilb2.nulls_head.first; sk !== null; sk = sk.skc_nulls_next) {
      const score = compute_score(sk, net, hnum, daddr, dif, sdif)
      if (score > hiscore) {
        result = inet_lookup_reuseport(net, sk as sock, skb, doff, saddr, sport, daddr, hnum, inet_ehashfn)
        if (result !== null) return result

        result = sk as sock
        hiscore = score
      }
    }
    return result
  },
)

export const __inet_lookup_listener = kfunc(
  '__inet_lookup_listener',
  (
    net: net,
    hashinfo: inet_hashinfo,
    skb: sk_buff | null,
    doff: number,
    saddr: number,
    sport: number,
    daddr: number,
    hnum: number,
    dif: number,
    sdif: number,
  ): sock | null => {
    let ilb2 = inet_lhash2_bucket(hashinfo, ipv4_portaddr_hash(net, daddr, hnum))

    let result = inet_lhash2_lookup(net, ilb2, skb, doff, saddr, sport, daddr, hnum, dif, sdif)
    if (result === null) {
      ilb2 = inet_lhash2_bucket(hashinfo, ipv4_portaddr_hash(net, 0, hnum))
      result = inet_lhash2_lookup(net, ilb2, skb, doff, saddr, sport, 0, hnum, dif, sdif)
    }
    return IS_ERR(result) ? null : result
  },
)

/** puts a reference to whatever the hash tables hold */
export const sock_gen_put = kfunc('sock_gen_put', (sk: sock_common): void => {
  if (--sk.skc_refcnt !== 0) return

  if (sk.skc_state === TCP_TIME_WAIT) inet_twsk_free(inet_twsk(sk))
  else if (sk.skc_state === TCP_NEW_SYN_RECV) reqsk_free(inet_reqsk(sk))
  else sk_free(sk as sock)
})

export const sock_edemux = kfunc('sock_edemux', (skb: sk_buff): void => {
  if (skb.sk !== null) sock_gen_put(skb.sk)
})

/** a connection, a request or a TIME_WAIT, with a reference; null for none */
export const __inet_lookup_established = kfunc(
  '__inet_lookup_established',
  (
    net: net,
    hashinfo: inet_hashinfo,
    saddr: number,
    sport: number,
    daddr: number,
    hnum: number,
    dif: number,
    sdif: number,
  ): sock | null => {
    const hash = inet_ehashfn(net, daddr, hnum, saddr, sport)
    const head = inet_ehash_bucket(hashinfo, hash)

    for (let sk = head.first; sk !== null; sk = sk.skc_nulls_next) {
      if (sk.skc_hash !== hash) continue
      if (inet_match(net, sk, saddr, daddr, sport, hnum, dif, sdif)) {
        if (sk.skc_refcnt === 0) return null
        sk.skc_refcnt++
        return sk as sock
      }
    }
    return null
  },
)

/**
 * Hashes `sk` with the local port `lport`, when no connection with these addresses and ports exists. A TIME_WAIT of the same may be
 * taken over: it is handed back through `twp`, or descheduled when that is null.
 * @returns 0 or -EADDRNOTAVAIL
 */
export const __inet_check_established = kfunc(
  '__inet_check_established',
  (death_row: inet_timewait_death_row, sk: sock, lport: number, twp: ref<inet_timewait_sock | null> | null): number => {
    const hinfo = death_row.hashinfo
    const inet = inet_sk(sk)
    const daddr = inet.inet_rcv_saddr
    const saddr = inet.inet_daddr
    const dif = sk.sk_bound_dev_if
    const net = sk.sk_net
    const sdif = l3mdev_master_ifindex_by_index(net, dif)
    const hash = inet_ehashfn(net, daddr, lport, saddr, inet.inet_dport)
    const head = inet_ehash_bucket(hinfo, hash)
    const lock = inet_ehash_lockp(hinfo, hash)
    let tw: inet_timewait_sock | null = null

    spin_lock(lock)

    for (let sk2 = head.first; sk2 !== null; sk2 = sk2.skc_nulls_next) {
      if (sk2.skc_hash !== hash) continue

      if (inet_match(net, sk2, saddr, daddr, inet.inet_dport, lport, dif, sdif)) {
        if (sk2.skc_state === TCP_TIME_WAIT) {
          tw = inet_twsk(sk2)
          if (sk.sk_protocol === IPPROTO_TCP && tcp_twsk_unique(sk, sk2 as sock, twp)) break
        }
        spin_unlock(lock)
        return -EADDRNOTAVAIL
      }
    }

    inet.inet_num = lport
    inet.inet_sport = lport
    sk.sk_hash = hash
    hlist_nulls_add_head_rcu(sk, head)
    if (tw !== null) {
      sk_nulls_del_node_init_rcu(tw)
      net.mib.linux.TWRecycled++
    }
    spin_unlock(lock)
    sock_prot_inuse_add(net, sk.sk_prot, 1)

    if (twp !== null) twp.v = tw
    else if (tw !== null) inet_twsk_deschedule_put(tw)
    return 0
  },
)

/** include/net/sock.h: the hash table held a reference */
export function sk_nulls_del_node_init_rcu(sk: sock_common): boolean {
  if (sk.skc_node === null) return false
  hlist_nulls_del_init_rcu(sk)
  sk.skc_refcnt--
  return true
}

/** `new_` takes the place of `old` in its chain, and its reference goes */
function sk_nulls_replace_node_init_rcu(old: sock_common, new_: sock_common): boolean {
  const h = old.skc_node as hlist_nulls_head | null
  if (h === null) return false
  const { skc_nulls_next: next, skc_nulls_prev: prev } = old
  new_.skc_nulls_next = next
  new_.skc_nulls_prev = prev
  new_.skc_node = h
  if (prev === null) h.first = new_
  else prev.skc_nulls_next = new_
  if (next !== null) next.skc_nulls_prev = new_
  old.skc_node = null
  old.skc_nulls_next = null
  old.skc_nulls_prev = null
  old.skc_refcnt--
  return true
}

/** 64 bits */
const inet_sk_port_offset = kfunc('inet_sk_port_offset', (sk: sock): bigint => {
  const inet = inet_sk(sk)
  const low = secure_ipv4_port_ephemeral(inet.inet_rcv_saddr, inet.inet_daddr, inet.inet_dport)

  return (BigInt(siphash_high()) << 32n) | BigInt(low)
})

const inet_ehash_lookup_by_sk = kfunc('inet_ehash_lookup_by_sk', (sk: sock_common, list: hlist_nulls_head): boolean => {
  const sdif = sk.skc_bound_dev_if
  const dif = sk.skc_bound_dev_if
  const net = sk.skc_net

  for (let esk = list.first; esk !== null; esk = esk.skc_nulls_next) {
    if (esk.skc_hash !== sk.skc_hash) continue
    if (sk.skc_family === AF_INET6) {
      if (inet6_match(net, esk, sk_v6_daddr(sk), sk_v6_rcv_saddr(sk), sk.skc_dport, sk.skc_num, dif, sdif)) return true
    } else if (inet_match(net, esk, sk.skc_daddr, sk.skc_rcv_saddr, sk.skc_dport, sk.skc_num, dif, sdif)) return true
  }
  return false
})

/**
 * Puts `sk` into ehash, in the place of `osk` (a request, a TIME_WAIT) when that is not null.
 * @returns false when osk was gone, or when there is one like it and found_dup_sk asks about that
 */
export const inet_ehash_insert = kfunc(
  'inet_ehash_insert',
  (sk: sock_common, osk: sock_common | null, found_dup_sk: ref<boolean> | null): boolean => {
    const hashinfo = tcp_or_dccp_get_hashinfo(sk)
    let ret = true

    sk.skc_hash = sk_ehashfn(sk)
    const list = inet_ehash_bucket(hashinfo, sk.skc_hash)
    const lock = inet_ehash_lockp(hashinfo, sk.skc_hash)

    spin_lock(lock)
    if (osk !== null) {
      ret = sk_nulls_replace_node_init_rcu(osk, sk)
      spin_unlock(lock)
      return ret
    }

    if (found_dup_sk !== null) {
      found_dup_sk.v = inet_ehash_lookup_by_sk(sk, list)
      if (found_dup_sk.v) ret = false
    }

    if (ret) hlist_nulls_add_head_rcu(sk, list)

    spin_unlock(lock)

    return ret
  },
)

export const inet_ehash_nolisten = kfunc(
  'inet_ehash_nolisten',
  (sk: sock, osk: sock_common | null, found_dup_sk: ref<boolean> | null): boolean => {
    const ok = inet_ehash_insert(sk, osk, found_dup_sk)

    if (ok) {
      sock_prot_inuse_add(sk.sk_net, sk.sk_prot, 1)
    } else {
      if (sk.sk_prot.orphan_count !== undefined) sk.sk_prot.orphan_count.v++
      inet_sk_set_state(sk, TCP_CLOSE)
      sock_set_flag(sk, SOCK_DEAD)
      inet_csk_destroy_sock(sk)
    }
    return ok
  },
)

const inet_reuseport_add_sock = kfunc('inet_reuseport_add_sock', (sk: sock, ilb: inet_listen_hashbucket): number => {
  const tb = inet_csk(sk).icsk_bind_hash
  const uid = sock_i_uid(sk)

  for (let sk2 = ilb.nulls_head.first as sock | null; sk2 !== null; sk2 = sk2.skc_nulls_next as sock | null) {
    if (
      sk2 !== sk &&
      sk2.sk_family === sk.sk_family &&
      ipv6_only_sock(sk2) === ipv6_only_sock(sk) &&
      sk2.sk_bound_dev_if === sk.sk_bound_dev_if &&
      inet_csk(sk2).icsk_bind_hash === tb &&
      sk2.sk_reuseport &&
      uid === sock_i_uid(sk2) &&
      inet_rcv_saddr_equal(sk, sk2, false)
    )
      return reuseport_add_sock(sk, sk2, inet_rcv_saddr_any(sk))
  }

  return reuseport_alloc(sk, inet_rcv_saddr_any(sk))
})

export const __inet_hash = kfunc('__inet_hash', (sk: sock, osk: sock_common | null): number => {
  const hashinfo = tcp_or_dccp_get_hashinfo(sk)
  let err = 0

  if (sk.sk_state !== TCP_LISTEN) {
    local_bh_disable()
    inet_ehash_nolisten(sk, osk, null)
    local_bh_enable()
    return 0
  }
  const ilb2 = inet_lhash2_bucket_sk(hashinfo, sk)

  spin_lock(ilb2.lock)
  if (sk.sk_reuseport) err = inet_reuseport_add_sock(sk, ilb2)
  if (!err) {
    sock_set_flag(sk, SOCK_RCU_FREE)
    if (sk.sk_reuseport && sk.sk_family !== AF_INET) hlist_nulls_add_tail_rcu(sk, ilb2.nulls_head)
    else hlist_nulls_add_head_rcu(sk, ilb2.nulls_head)
    sock_prot_inuse_add(sk.sk_net, sk.sk_prot, 1)
  }
  spin_unlock(ilb2.lock)

  return err
})

export const inet_hash = kfunc('inet_hash', (sk: sock): number => {
  if (sk.sk_state !== TCP_CLOSE) return __inet_hash(sk, null)
  return 0
})

export const inet_unhash = kfunc('inet_unhash', (sk: sock): void => {
  const hashinfo = tcp_or_dccp_get_hashinfo(sk)

  if (sk.skc_node === null) return

  if (sk.sk_state === TCP_LISTEN) {
    const ilb2 = inet_lhash2_bucket_sk(hashinfo, sk)
    spin_lock(ilb2.lock)

    if (sk.sk_reuseport_cb !== null) reuseport_stop_listen_sock(sk)

    hlist_nulls_del_init_rcu(sk)
    sock_prot_inuse_add(sk.sk_net, sk.sk_prot, -1)
    spin_unlock(ilb2.lock)
  } else {
    const lock = inet_ehash_lockp(hashinfo, sk.sk_hash)

    spin_lock_bh(lock)
    hlist_nulls_del_init_rcu(sk)
    sock_prot_inuse_add(sk.sk_net, sk.sk_prot, -1)
    spin_unlock_bh(lock)
  }
})

const inet_bind2_bucket_match = kfunc(
  'inet_bind2_bucket_match',
  (tb: inet_bind2_bucket, net: net, port: number, l3mdev: number, sk: sock): boolean => {
    if (!net_eq(ib2_net(tb), net) || tb.port !== port || tb.l3mdev !== l3mdev) return false

    return inet_bind2_bucket_addr_match(tb, sk)
  },
)

export const inet_bind2_bucket_match_addr_any = kfunc(
  'inet_bind2_bucket_match_addr_any',
  (tb: inet_bind2_bucket, net: net, port: number, l3mdev: number, sk: sock): boolean => {
    if (!net_eq(ib2_net(tb), net) || tb.port !== port || tb.l3mdev !== l3mdev) return false
    if (tb.addr_type === IPV6_ADDR_ANY) return true
    if (tb.addr_type !== IPV6_ADDR_MAPPED) return false
    if (sk.sk_family === AF_INET6 && !ipv6_addr_v4mapped(sk_v6_rcv_saddr(sk))) return false
    return tb.rcv_saddr === 0
  },
)

/** the lock of the bucket is held */
export const inet_bind2_bucket_find = kfunc(
  'inet_bind2_bucket_find',
  (head: bhead2, net: net, port: number, l3mdev: number, sk: sock): inet_bind2_bucket | null => {
    for (let p = head.chain.next; p !== head.chain; p = p.next) {
      if (p.owner !== null && inet_bind2_bucket_match(p.owner, net, port, l3mdev, sk)) return p.owner
    }
    return null
  },
)

export const inet_bhash2_addr_any_hashbucket = kfunc(
  'inet_bhash2_addr_any_hashbucket',
  (sk: sock, net: net, port: number): bhead2 =>
    inet_bhash2_bucket(
      tcp_or_dccp_get_hashinfo(sk),
      sk.sk_family === AF_INET6 ? ipv6_portaddr_hash(net, in6addr_any, port) : ipv4_portaddr_hash(net, 0, port),
    ),
)

/** an IPv4 address as a number, an IPv6 address as 16 bytes */
type saddr_t = number | in6_addr

const inet_update_saddr = kfunc('inet_update_saddr', (sk: sock, saddr: saddr_t, _family: number): void => {
  if (typeof saddr === 'number') {
    inet_sk(sk).inet_saddr = saddr
    sk_rcv_saddr_set(sk, saddr)
  } else {
    sk_v6_rcv_saddr(sk).set(saddr)
  }
})

const __inet_bhash2_update_saddr = kfunc(
  '__inet_bhash2_update_saddr',
  (sk: sock, saddr: saddr_t, family: number, reset: boolean): number => {
    const hinfo = tcp_or_dccp_get_hashinfo(sk)
    const icsk = inet_csk(sk)
    const l3mdev = inet_sk_bound_l3mdev(sk)
    const port = icsk.inet_num
    const net = sk.sk_net
    const old = icsk.icsk_bind2_hash

    if (old === null) {
      if (reset) inet_reset_saddr(sk)
      else inet_update_saddr(sk, saddr, family)

      return 0
    }

    // first, so that a failure leaves the tables as they are
    kmem_cache_alloc_noprof(hinfo.bind2_bucket_cachep as kmem_cache, GFP_ATOMIC)
    const new_tb2 = new inet_bind2_bucket(net)

    const head = inet_bhash_bucket(hinfo, inet_bhashfn(net, port, hinfo.bhash_size))
    let head2 = inet_bhashfn_portaddr(hinfo, sk, net, port)

    spin_lock_bh(head.lock)

    spin_lock(head2.lock)
    list_del(sk.skc_bind_node)
    inet_bind2_bucket_destroy(hinfo.bind2_bucket_cachep, old)
    spin_unlock(head2.lock)

    if (reset) inet_reset_saddr(sk)
    else inet_update_saddr(sk, saddr, family)

    head2 = inet_bhashfn_portaddr(hinfo, sk, net, port)

    spin_lock(head2.lock)
    let tb2 = inet_bind2_bucket_find(head2, net, port, l3mdev, sk)
    if (tb2 === null) {
      tb2 = new_tb2
      inet_bind2_bucket_init(tb2, net, head2, icsk.icsk_bind_hash as inet_bind_bucket, sk)
    }
    icsk.icsk_bind2_hash = tb2
    list_add(sk.skc_bind_node, tb2.owners)
    spin_unlock(head2.lock)

    spin_unlock_bh(head.lock)

    if (tb2 !== new_tb2) kmem_cache_free(hinfo.bind2_bucket_cachep as kmem_cache, new_tb2)

    return 0
  },
)

/** the socket has a source address now (`saddr`); it moves to the bucket of that */
export const inet_bhash2_update_saddr = kfunc('inet_bhash2_update_saddr', (sk: sock, saddr: saddr_t, family: number): number =>
  __inet_bhash2_update_saddr(sk, saddr, family, false),
)

export const inet_bhash2_reset_saddr = kfunc('inet_bhash2_reset_saddr', (sk: sock): void => {
  if (!(sk.sk_userlocks & SOCK_BINDADDR_LOCK)) __inet_bhash2_update_saddr(sk, 0, 0, true)
})

const perturb = (index: number): number => {
  let v = table_perturb.get(index)
  if (v === undefined) {
    v = random.u32()
    table_perturb.set(index, v)
  }
  return v
}

type check_established_t = (
  death_row: inet_timewait_death_row,
  sk: sock,
  lport: number,
  twp: ref<inet_timewait_sock | null> | null,
) => number

/** `port_offset`: where the search for a free port starts, 64 bits (RFC 6056, 3.3.4); of no use when the socket is bound */
export const __inet_hash_connect = kfunc(
  '__inet_hash_connect',
  (death_row: inet_timewait_death_row, sk: sock, port_offset: bigint, check_established: check_established_t): number => {
    const hinfo = death_row.hashinfo
    const net = sk.sk_net
    let port = inet_sk(sk).inet_num

    if (port) {
      local_bh_disable()
      if (tracer.on) traceIndirect('check_established', nameOf(check_established))
      const ret = check_established(death_row, sk, port, null)
      local_bh_enable()
      return ret
    }

    const l3mdev = inet_sk_bound_l3mdev(sk)
    const twp: ref<inet_timewait_sock | null> = { v: null }
    const low = { v: 0 }
    const high = { v: 0 }
    const local_ports = inet_sk_get_local_port_range(sk, low, high)
    const step = local_ports ? 1 : 2

    high.v++
    let remaining = high.v - low.v
    if (!local_ports && remaining > 1) remaining &= ~1

    const offset64 = BigInt.asUintN(64, port_offset)
    const index = Number(offset64 & BigInt(INET_TABLE_PERTURB_SIZE - 1))

    let offset = (perturb(index) + Number(offset64 >> 32n)) >>> 0
    offset %= remaining

    if (!local_ports) offset &= ~1
    for (;;) {
      port = low.v + offset
      for (let i = 0; i < remaining; i += step, port += step) {
        if (port >= high.v) port -= remaining
        if (inet_is_local_reserved_port(net, port)) continue
        const head = inet_bhash_bucket(hinfo, inet_bhashfn(net, port, hinfo.bhash_size))
        spin_lock_bh(head.lock)

        // addresses need no look: the check against connections is precise
        let tb = bind_bucket_find(head, net, port, l3mdev)
        if (tb !== null) {
          if (tracer.on) traceIndirect('check_established', nameOf(check_established))
          if (tb.fastreuse >= 0 || tb.fastreuseport >= 0 || check_established(death_row, sk, port, twp)) {
            spin_unlock_bh(head.lock)
            continue
          }
        } else {
          tb = inet_bind_bucket_create(hinfo.bind_bucket_cachep, net, head, port, l3mdev)
          tb.fastreuse = -1
          tb.fastreuseport = -1
        }

        const head2 = inet_bhashfn_portaddr(hinfo, sk, net, port)
        spin_lock(head2.lock)

        const tb2 =
          inet_bind2_bucket_find(head2, net, port, l3mdev, sk) ??
          inet_bind2_bucket_create(hinfo.bind2_bucket_cachep, net, head2, tb, sk)

        i = Math.max(i, get_random_u32_below_const(8) * step)
        table_perturb.set(index, (perturb(index) + i + step) >>> 0)
        if (tracer.on) decide('__inet_hash_connect', 'source port chosen', { port, low: low.v, high: high.v - 1 })

        inet_bind_hash(sk, tb, tb2, port)

        const tw = twp.v
        if (sk.skc_node === null) {
          inet_sk(sk).inet_sport = port
          inet_ehash_nolisten(sk, tw, null)
        }
        if (tw !== null) inet_twsk_bind_unhash(tw, hinfo)

        spin_unlock(head2.lock)
        spin_unlock(head.lock)

        if (tw !== null) inet_twsk_deschedule_put(tw)
        local_bh_enable()
        return 0
      }

      if (local_ports) break
      offset++
      if (!(offset & 1 && remaining > 1)) break
    }
    return -EADDRNOTAVAIL
  },
)

export const inet_hash_connect = kfunc('inet_hash_connect', (death_row: inet_timewait_death_row, sk: sock): number => {
  let port_offset = 0n

  if (!inet_sk(sk).inet_num) port_offset = inet_sk_port_offset(sk)
  return __inet_hash_connect(death_row, sk, port_offset, __inet_check_established)
})

/** makes the tables of `h`; `entries` in ehash and bhash, a power of two */
export function inet_hashinfo_init(h: inet_hashinfo, entries: number): void {
  const n = roundup_pow_of_two(entries)
  h.ehash = new Array<hlist_nulls_head | undefined>(n)
  h.ehash_mask = n - 1
  inet_ehash_locks_alloc(h)
  h.bhash_size = n
  h.bhash = new Array<bhead | undefined>(n)
  h.bhash2 = new Array<bhead2 | undefined>(n)
  h.pernet = false
}

export const inet_hashinfo2_init = kfunc(
  'inet_hashinfo2_init',
  (h: inet_hashinfo, _name: string, numentries: number, _scale: number, _low_limit: number, high_limit: number): void => {
    const n = roundup_pow_of_two(numentries || high_limit)
    h.lhash2 = []
    h.lhash2_mask = n - 1
  },
)

export const inet_ehash_locks_alloc = kfunc('inet_ehash_locks_alloc', (h: inet_hashinfo): number => {
  // a page of locks, no more than there are buckets
  const nblocks = Math.min(1024, h.ehash_mask + 1)
  h.ehash_locks = new Array<spinlock_t | undefined>(nblocks)
  h.ehash_locks_mask = nblocks - 1
  return 0
})
