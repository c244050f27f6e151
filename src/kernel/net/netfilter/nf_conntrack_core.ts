import { kfunc } from '../../../trace/kfunc.ts'
import { decide, tracer } from '../../../trace/tracer.ts'
import { get_random_bytes, get_random_u32_below_const } from '../../drivers/char/random.ts'
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, NFPROTO_IPV4, NFPROTO_IPV6 } from '../../include/generated/enums.ts'
import { ENOMEM } from '../../include/linux/errno.ts'
import { module_init } from '../../include/linux/init.ts'
import { get_be16, get_be32 } from '../../include/linux/ip.ts'
import { NF_ACCEPT, NF_DROP, NF_REPEAT, type nf_hook_state } from '../../include/linux/netfilter.ts'
import { siphash_key_t } from '../../include/linux/siphash.ts'
import { type sk_buff, skb_network_offset } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC, type kmem_cache } from '../../include/linux/slab.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import { IS_ERR, type ref } from '../../include/linux/types.ts'
import { type net, net_hash_mix } from '../../include/net/net_namespace.ts'
import {
  CTINFO2DIR,
  IP_CT_DIR_ORIGINAL,
  IP_CT_DIR_REPLY,
  IP_CT_ESTABLISHED,
  IP_CT_ESTABLISHED_REPLY,
  IP_CT_NEW,
  IP_CT_RELATED,
  IP_CT_RELATED_REPLY,
  IPS_CONFIRMED,
  IPS_DYING,
  IPS_EXPECTED,
  IPS_FIXED_TIMEOUT,
  IPS_SEEN_REPLY,
  IPS_SRC_NAT_DONE,
  nf_conn,
  nf_conntrack_tuple,
  type nf_conntrack_tuple_hash,
  nf_ct_get,
  nf_ct_info,
  nf_ct_is_confirmed,
  nf_ct_is_dying,
  nf_ct_net,
  nf_ct_protonum,
  nf_ct_set,
  nf_ct_state,
  nf_ct_tuple_equal,
} from '../../include/net/netfilter/nf_conntrack.ts'
import { spin_lock, spin_unlock } from '../../kernel/locking/spinlock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { local_bh_disable, local_bh_enable } from '../../kernel/softirq.ts'
import { jiffies } from '../../kernel/time/timer.ts'
import { siphash } from '../../lib/siphash.ts'
import { kmem_cache_alloc, kmem_cache_create, kmem_cache_free } from '../../mm/slub.ts'
import { skb_header_pointer } from '../core/skbuff.ts'
import { nf_ct_hook_set } from './core.ts'
import {
  icmp_pkt_to_tuple,
  nf_conntrack_icmp_packet,
  nf_conntrack_icmpv4_error,
  nf_conntrack_invert_icmp_tuple,
} from './nf_conntrack_proto_icmp.ts'
import { nf_conntrack_tcp_packet, nf_conntrack_tcp_set_closing } from './nf_conntrack_proto_tcp.ts'
import { nf_conntrack_udp_packet } from './nf_conntrack_proto_udp.ts'

const CONNTRACK_LOCKS = 1024
const MIN_CHAINLEN = 50
const MAX_CHAINLEN = 30
const HTABLE_SIZE = 65536
const SIZEOF_NF_CONN = 256

let nf_conntrack_hash = new Map<number, nf_conntrack_tuple_hash[]>()
let nf_conntrack_locks = new Map<number, spinlock_t>()
let nf_conntrack_hash_rnd: siphash_key_t | null = null
let nf_conntrack_cachep!: kmem_cache
/** what NAT wants to be told of connections that go */
let nf_nat_hook: { remove_nat_bysrc: (ct: nf_conn) => void } | null = null
export const nf_nat_hook_set = (hook: typeof nf_nat_hook): void => {
  nf_nat_hook = hook
}

module_init(() => {
  nf_conntrack_hash = new Map()
  nf_conntrack_locks = new Map()
  nf_conntrack_hash_rnd = null
  nf_conntrack_cachep = kmem_cache_create('nf_conntrack', SIZEOF_NF_CONN, 0, 0, null)
  nf_ct_hook_set({
    attach: nf_conntrack_attach,
    destroy: (nfct) => nf_ct_destroy(nfct as nf_conn),
    set_closing: (nfct) => {
      const ct = nfct as nf_conn
      if (nf_ct_protonum(ct) === IPPROTO_TCP) nf_conntrack_tcp_set_closing(ct)
    },
  })
})

const nfct_time_stamp = (): number => jiffies()
const nf_ct_is_expired = (ct: nf_conn): boolean => ct.timeout <= nfct_time_stamp()
export const nf_ct_put = (ct: nf_conn): void => {
  if (--ct.use === 0) nf_ct_destroy(ct)
}

const lock_of = (h: number): spinlock_t => {
  const i = h % CONNTRACK_LOCKS
  let lock = nf_conntrack_locks.get(i)
  if (lock === undefined) {
    lock = new spinlock_t()
    nf_conntrack_locks.set(i, lock)
  }
  return lock
}
const nf_conntrack_lock = kfunc('nf_conntrack_lock', (lock: spinlock_t): void => {
  spin_lock(lock)
})
const nf_conntrack_double_unlock = kfunc('nf_conntrack_double_unlock', (h1: number, h2: number): void => {
  spin_unlock(lock_of(h1))
  if (h1 % CONNTRACK_LOCKS !== h2 % CONNTRACK_LOCKS) spin_unlock(lock_of(h2))
})
/** always in the same order, so that two processors do not wait for each other */
const nf_conntrack_double_lock = kfunc('nf_conntrack_double_lock', (h1: number, h2: number): boolean => {
  const a = h1 % CONNTRACK_LOCKS
  const b = h2 % CONNTRACK_LOCKS
  nf_conntrack_lock(lock_of(Math.min(a, b)))
  if (a !== b) spin_lock(lock_of(Math.max(a, b)))
  return false
})

const key = new siphash_key_t()
const words = new Uint8Array(40)
const view = new DataView(words.buffer)
export const hash_conntrack_raw = kfunc('hash_conntrack_raw', (tuple: nf_conntrack_tuple, zoneid: number, n: net): number => {
  if (nf_conntrack_hash_rnd === null) {
    nf_conntrack_hash_rnd = new siphash_key_t()
    get_random_bytes(nf_conntrack_hash_rnd.bytes, 16)
  }
  key.key.set(nf_conntrack_hash_rnd.key)
  key.key[0] = ((key.key[0] as number) ^ zoneid) >>> 0
  key.key[2] = ((key.key[2] as number) ^ net_hash_mix(n)) >>> 0
  for (let i = 0; i < 4; i++) {
    view.setUint32(4 * i, tuple.src[i] as number)
    view.setUint32(20 + 4 * i, tuple.dst[i] as number)
  }
  view.setUint16(16, tuple.src_u)
  view.setUint16(18, tuple.l3num, true)
  view.setUint16(36, tuple.dst_u)
  words[38] = tuple.protonum
  return siphash(words, 39, key) >>> 0
})
const scale_hash = (hash: number): number => Math.floor((hash * HTABLE_SIZE) / 0x100000000)
const hash_conntrack = kfunc('hash_conntrack', (n: net, tuple: nf_conntrack_tuple, zoneid: number): number =>
  scale_hash(hash_conntrack_raw(tuple, zoneid, n)),
)

const buffer = new Uint8Array(64)
/** 4 bytes of ports, wherever they lie */
const nf_ct_get_tuple_ports = kfunc(
  'nf_ct_get_tuple_ports',
  (skb: sk_buff, dataoff: number, tuple: nf_conntrack_tuple): boolean => {
    const at = skb_header_pointer(skb, dataoff, 4, buffer)
    if (at === -2) return false
    const b = at < 0 ? buffer : skb.head.bytes
    const o = Math.max(at, 0)
    tuple.src_u = get_be16(b, o)
    tuple.dst_u = get_be16(b, o + 2)
    return true
  },
)

export const nf_ct_get_tuple = kfunc(
  'nf_ct_get_tuple',
  (skb: sk_buff, nhoff: number, dataoff: number, l3num: number, protonum: number, n: net, tuple: nf_conntrack_tuple): boolean => {
    tuple.src.fill(0)
    tuple.dst.fill(0)
    tuple.src_u = 0
    tuple.dst_u = 0
    tuple.l3num = l3num
    const count = l3num === NFPROTO_IPV4 ? 1 : l3num === NFPROTO_IPV6 ? 4 : 0
    if (count === 0) return true
    const at = skb_header_pointer(skb, nhoff + (count === 1 ? 12 : 8), count * 8, buffer)
    if (at === -2) return false
    const b = at < 0 ? buffer : skb.head.bytes
    const o = Math.max(at, 0)
    for (let i = 0; i < count; i++) {
      tuple.src[i] = get_be32(b, o + 4 * i)
      tuple.dst[i] = get_be32(b, o + 4 * (count + i))
    }
    tuple.protonum = protonum
    tuple.dir = IP_CT_DIR_ORIGINAL
    switch (protonum) {
      case IPPROTO_ICMP:
        return icmp_pkt_to_tuple(skb, dataoff, n, tuple)
      case IPPROTO_TCP:
      case IPPROTO_UDP:
      case 132: // SCTP
      case 136: // UDP-Lite
        return nf_ct_get_tuple_ports(skb, dataoff, tuple)
    }
    return true
  },
)

const ipv4_get_l4proto = kfunc('ipv4_get_l4proto', (skb: sk_buff, nhoff: number, protonum: ref<number>): number => {
  const at = skb_header_pointer(skb, nhoff, 20, buffer)
  if (at === -2) return -1
  const b = at < 0 ? buffer : skb.head.bytes
  const o = Math.max(at, 0)
  if (get_be16(b, o + 6) & 0x1fff) return -1
  const dataoff = nhoff + ((b[o] as number) & 15) * 4
  protonum.v = b[o + 9] as number
  return dataoff > skb.len ? -1 : dataoff
})
const get_l4proto = kfunc('get_l4proto', (skb: sk_buff, nhoff: number, pf: number, l4num: ref<number>): number => {
  l4num.v = 0
  return pf === NFPROTO_IPV4 ? ipv4_get_l4proto(skb, nhoff, l4num) : -1
})
export const nf_ct_get_tuplepr = kfunc(
  'nf_ct_get_tuplepr',
  (skb: sk_buff, nhoff: number, l3num: number, n: net, tuple: nf_conntrack_tuple): boolean => {
    const protonum: ref<number> = { v: 0 }
    const protoff = get_l4proto(skb, nhoff, l3num, protonum)
    return protoff > 0 && nf_ct_get_tuple(skb, nhoff, protoff, l3num, protonum.v, n, tuple)
  },
)

/** what the answer looks like */
export const nf_ct_invert_tuple = kfunc(
  'nf_ct_invert_tuple',
  (inverse: nf_conntrack_tuple, orig: nf_conntrack_tuple): boolean => {
    inverse.l3num = orig.l3num
    for (let i = 0; i < 4; i++) {
      inverse.src[i] = orig.dst[i] as number
      inverse.dst[i] = orig.src[i] as number
    }
    inverse.dir = orig.dir === IP_CT_DIR_ORIGINAL ? IP_CT_DIR_REPLY : IP_CT_DIR_ORIGINAL
    inverse.protonum = orig.protonum
    if (orig.protonum === IPPROTO_ICMP) return nf_conntrack_invert_icmp_tuple(inverse, orig)
    inverse.src_u = orig.dst_u
    inverse.dst_u = orig.src_u
    return true
  },
)

const nf_ct_remove_expectations = kfunc('nf_ct_remove_expectations', (_ct: nf_conn): void => {})
export const nf_ct_destroy = kfunc('nf_ct_destroy', (ct: nf_conn): void => {
  nf_ct_remove_expectations(ct)
  nf_conntrack_free(ct)
})

function unhash(h: nf_conntrack_tuple_hash): void {
  const chain = nf_conntrack_hash.get(h.bucket)
  if (chain !== undefined) {
    const rest = chain.filter((x) => x !== h)
    if (rest.length > 0) nf_conntrack_hash.set(h.bucket, rest)
    else nf_conntrack_hash.delete(h.bucket)
  }
  h.bucket = -1
}

const __nf_ct_delete_from_lists = kfunc('__nf_ct_delete_from_lists', (ct: nf_conn): void => {
  const n = nf_ct_net(ct)
  const hash = hash_conntrack(n, ct.tuplehash[0].tuple, 0)
  const reply_hash = hash_conntrack(n, ct.tuplehash[1].tuple, 0)
  nf_conntrack_double_lock(hash, reply_hash)
  for (const h of ct.tuplehash) unhash(h)
  nf_conntrack_double_unlock(hash, reply_hash)
})
const nf_ct_helper_destroy = kfunc('nf_ct_helper_destroy', (_ct: nf_conn): void => {})
export const nf_ct_delete = kfunc('nf_ct_delete', (ct: nf_conn, _portid: number, _report: number): boolean => {
  if (ct.status & IPS_DYING) return false
  ct.status |= IPS_DYING
  nf_ct_helper_destroy(ct)
  local_bh_disable()
  __nf_ct_delete_from_lists(ct)
  local_bh_enable()
  nf_ct_put(ct)
  return true
})
export const nf_ct_kill = (ct: nf_conn): boolean => nf_ct_delete(ct, 0, 0)

const nf_ct_key_equal = (h: nf_conntrack_tuple_hash, tuple: nf_conntrack_tuple, n: net): boolean =>
  nf_ct_tuple_equal(tuple, h.tuple) && nf_ct_is_confirmed(h.ct) && h.ct.ct_net === n

const nf_ct_gc_expired = kfunc('nf_ct_gc_expired.part.0', (ct: nf_conn): void => {
  ct.use++
  if (nf_ct_is_expired(ct) && nf_ct_is_confirmed(ct) && !nf_ct_is_dying(ct)) nf_ct_kill(ct)
  nf_ct_put(ct)
})

function find(n: net, tuple: nf_conntrack_tuple, bucket: number, ignored: nf_conn | null): nf_conntrack_tuple_hash | null {
  for (const h of nf_conntrack_hash.get(bucket) ?? []) {
    if (h.ct === ignored) continue
    if (nf_ct_is_expired(h.ct)) {
      nf_ct_gc_expired(h.ct)
      continue
    }
    if (nf_ct_key_equal(h, tuple, n)) return h
  }
  return null
}

const __nf_conntrack_find_get = kfunc(
  '__nf_conntrack_find_get',
  (n: net, _zone: number, tuple: nf_conntrack_tuple, hash: number): nf_conntrack_tuple_hash | null => {
    const h = find(n, tuple, scale_hash(hash), null)
    if (h !== null) h.ct.use++
    return h
  },
)
/** the connection of a tuple, with a reference for the caller */
export const nf_conntrack_find_get = kfunc(
  'nf_conntrack_find_get',
  (n: net, zone: number, tuple: nf_conntrack_tuple): nf_conntrack_tuple_hash | null => {
    rcu_read_lock()
    const h = __nf_conntrack_find_get(n, zone, tuple, hash_conntrack_raw(tuple, zone, n))
    rcu_read_unlock()
    return h
  },
)

const __nf_conntrack_hash_insert = kfunc('__nf_conntrack_hash_insert', (ct: nf_conn, hash: number, reply_hash: number): void => {
  const add = (h: nf_conntrack_tuple_hash, bucket: number): void => {
    h.bucket = bucket
    nf_conntrack_hash.set(bucket, [h, ...(nf_conntrack_hash.get(bucket) ?? [])])
  }
  add(ct.tuplehash[0], hash)
  add(ct.tuplehash[1], reply_hash)
})

/** accounting is off unless net.netfilter.nf_conntrack_acct says otherwise: nothing has counters then */
const nf_ct_acct_add = kfunc('nf_ct_acct_add', (_ct: nf_conn, _dir: number, _packets: number, _bytes: number): void => {})
const nf_ct_acct_update = kfunc('nf_ct_acct_update', (ct: nf_conn, dir: number, bytes: number): void => {
  nf_ct_acct_add(ct, dir, 1, bytes)
})

const __nf_conntrack_insert_prepare = kfunc('__nf_conntrack_insert_prepare', (ct: nf_conn): void => {
  ct.use++
})

/** another packet of the same connection was faster: this one takes that connection, where the protocol can bear it */
const nf_ct_resolve_clash = kfunc(
  'nf_ct_resolve_clash',
  (skb: sk_buff, h: nf_conntrack_tuple_hash, _reply_hash: number): number => {
    const loser = nf_ct_get(skb)
    const { ct } = h
    const stat = nf_ct_state(ct.ct_net).stat
    const same =
      loser !== null &&
      nf_ct_tuple_equal(ct.tuplehash[0].tuple, loser.tuplehash[0].tuple) &&
      nf_ct_tuple_equal(ct.tuplehash[1].tuple, loser.tuplehash[1].tuple)
    if (!same || nf_ct_protonum(ct) === IPPROTO_TCP) {
      stat.drop++
      stat.insert_failed++
      return NF_DROP
    }
    const ctinfo = nf_ct_info(skb)
    ct.use++
    nf_ct_put(loser)
    nf_ct_set(skb, ct, ctinfo)
    stat.clash_resolve++
    return NF_ACCEPT
  },
)

/** the packet that makes a connection leaves: from now on others find the connection */
export const __nf_conntrack_confirm = kfunc('__nf_conntrack_confirm', (skb: sk_buff): number => {
  const ct = nf_ct_get(skb)
  if (ct === null || CTINFO2DIR(nf_ct_info(skb)) !== IP_CT_DIR_ORIGINAL) return NF_ACCEPT
  const n = nf_ct_net(ct)
  local_bh_disable()
  const hash = scale_hash(ct.hash)
  const reply_hash = hash_conntrack(n, ct.tuplehash[1].tuple, 0)
  nf_conntrack_double_lock(hash, reply_hash)
  const leave = (ret: number): number => {
    nf_conntrack_double_unlock(hash, reply_hash)
    local_bh_enable()
    return ret
  }
  const { stat } = nf_ct_state(n)
  if (nf_ct_is_confirmed(ct)) return leave(NF_DROP)
  if (nf_ct_is_dying(ct)) {
    stat.insert_failed++
    return leave(NF_DROP)
  }
  const max_chainlen = MIN_CHAINLEN + get_random_u32_below_const(MAX_CHAINLEN)
  for (const [bucket, dir] of [
    [hash, 0],
    [reply_hash, 1],
  ] as const) {
    const chain = nf_conntrack_hash.get(bucket) ?? []
    const clash = chain.find((h) => nf_ct_key_equal(h, ct.tuplehash[dir].tuple, n))
    if (clash !== undefined) return leave(nf_ct_resolve_clash(skb, clash, reply_hash))
    if (chain.length > max_chainlen) {
      stat.chaintoolong++
      stat.insert_failed++
      return leave(NF_DROP)
    }
  }
  ct.timeout += nfct_time_stamp()
  __nf_conntrack_insert_prepare(ct)
  __nf_conntrack_hash_insert(ct, hash, reply_hash)
  ct.status |= IPS_CONFIRMED
  return leave(NF_ACCEPT)
})
export const nf_conntrack_confirm = kfunc('nf_conntrack_confirm', (skb: sk_buff): number => {
  const ct = nf_ct_get(skb)
  return ct === null || nf_ct_is_confirmed(ct) ? NF_ACCEPT : __nf_conntrack_confirm(skb)
})

/** whether another connection has that tuple already: NAT must find a free one */
export const nf_conntrack_tuple_taken = kfunc(
  'nf_conntrack_tuple_taken',
  (tuple: nf_conntrack_tuple, ignored_conntrack: nf_conn): boolean => {
    const n = nf_ct_net(ignored_conntrack)
    rcu_read_lock()
    const h = find(n, tuple, hash_conntrack(n, tuple, 0), ignored_conntrack)
    rcu_read_unlock()
    return h !== null && !nf_ct_tuple_equal(ignored_conntrack.tuplehash[0].tuple, h.ct.tuplehash[0].tuple)
  },
)

const __nf_conntrack_alloc = kfunc(
  '__nf_conntrack_alloc',
  (n: net, _zone: number, orig: nf_conntrack_tuple, repl: nf_conntrack_tuple, gfp: number, hash: number): nf_conn | number => {
    nf_ct_state(n).count++
    kmem_cache_alloc(nf_conntrack_cachep, gfp)
    const ct = new nf_conn(n)
    ct.tuplehash[0].tuple.assign(orig)
    ct.tuplehash[1].tuple.assign(repl)
    ct.hash = hash
    return ct
  },
)
export const nf_conntrack_free = kfunc('nf_conntrack_free', (ct: nf_conn): void => {
  rcu_read_lock()
  if (ct.status & IPS_SRC_NAT_DONE && nf_nat_hook !== null) nf_nat_hook.remove_nat_bysrc(ct)
  rcu_read_unlock()
  kmem_cache_free(nf_conntrack_cachep, ct)
  nf_ct_state(ct.ct_net).count--
})

/** nobody listens for events: no connection has room for them */
const nf_ct_ecache_ext_add = kfunc(
  'nf_ct_ecache_ext_add',
  (_ct: nf_conn, _ctmask: number, _expmask: number, _gfp: number): boolean => true,
)

const init_conntrack = kfunc(
  'init_conntrack',
  (n: net, tuple: nf_conntrack_tuple, _skb: sk_buff, _dataoff: number, hash: number): nf_conntrack_tuple_hash | number | null => {
    const repl_tuple = new nf_conntrack_tuple()
    if (!nf_ct_invert_tuple(repl_tuple, tuple)) return null
    const ct = __nf_conntrack_alloc(n, 0, tuple, repl_tuple, GFP_ATOMIC, hash)
    if (typeof ct === 'number') return ct
    if (!nf_ct_ecache_ext_add(ct, 0, 0, GFP_ATOMIC)) return -ENOMEM
    ct.use = 1
    if (tracer.on)
      decide('init_conntrack', 'a new connection', { protonum: tuple.protonum, sport: tuple.src_u, dport: tuple.dst_u })
    return ct.tuplehash[0]
  },
)

const resolve_normal_ct = kfunc(
  'resolve_normal_ct',
  (skb: sk_buff, dataoff: number, protonum: number, state: nf_hook_state): number => {
    const tuple = new nf_conntrack_tuple()
    if (!nf_ct_get_tuple(skb, skb_network_offset(skb), dataoff, state.pf, protonum, state.net, tuple)) return 0
    const hash = hash_conntrack_raw(tuple, 0, state.net)
    const h = __nf_conntrack_find_get(state.net, 0, tuple, hash) ?? init_conntrack(state.net, tuple, skb, dataoff, hash)
    if (h === null) return 0
    if (IS_ERR(h)) return h
    const { ct } = h
    let ctinfo: number
    if (h.tuple.dir === IP_CT_DIR_REPLY) ctinfo = IP_CT_ESTABLISHED_REPLY
    else if (ct.status & IPS_SEEN_REPLY) ctinfo = IP_CT_ESTABLISHED
    else ctinfo = ct.status & IPS_EXPECTED ? IP_CT_RELATED : IP_CT_NEW
    nf_ct_set(skb, ct, ctinfo)
    return 0
  },
)

const nf_conntrack_handle_icmp = kfunc(
  'nf_conntrack_handle_icmp',
  (skb: sk_buff, dataoff: number, protonum: number, state: nf_hook_state): number => {
    if (state.pf !== NFPROTO_IPV4 || protonum !== IPPROTO_ICMP) return NF_ACCEPT
    const ret = nf_conntrack_icmpv4_error(null, skb, dataoff, state)
    if (ret <= 0) nf_ct_state(state.net).stat.error++
    return ret
  },
)

const GENERIC_TIMEOUT = 600 * 250
const generic_packet = kfunc('generic_packet', (ct: nf_conn, skb: sk_buff, ctinfo: number): number => {
  nf_ct_refresh_acct(ct, ctinfo, skb, GENERIC_TIMEOUT)
  return NF_ACCEPT
})

const nf_conntrack_handle_packet = kfunc(
  'nf_conntrack_handle_packet',
  (ct: nf_conn, skb: sk_buff, dataoff: number, ctinfo: number, state: nf_hook_state): number => {
    switch (nf_ct_protonum(ct)) {
      case IPPROTO_TCP:
        return nf_conntrack_tcp_packet(ct, skb, dataoff, ctinfo, state)
      case IPPROTO_UDP:
        return nf_conntrack_udp_packet(ct, skb, dataoff, ctinfo, state)
      case IPPROTO_ICMP:
        return nf_conntrack_icmp_packet(ct, skb, ctinfo, state)
    }
    return generic_packet(ct, skb, ctinfo)
  },
)

/** finds or makes the packet's connection, and lets the protocol judge */
export const nf_conntrack_in = kfunc('nf_conntrack_in', (skb: sk_buff, state: nf_hook_state): number => {
  // seen before (it came through loopback), or not to be tracked
  if (skb._nfct !== null) return NF_ACCEPT
  const protonum: ref<number> = { v: 0 }
  const { stat } = nf_ct_state(state.net)
  const dataoff = get_l4proto(skb, skb_network_offset(skb), state.pf, protonum)
  if (dataoff <= 0) {
    stat.invalid++
    return NF_ACCEPT
  }
  if (protonum.v === IPPROTO_ICMP) {
    const ret = nf_conntrack_handle_icmp(skb, dataoff, protonum.v, state)
    if (ret <= 0) return -ret
    if (skb._nfct !== null) return ret
  }
  for (;;) {
    if (resolve_normal_ct(skb, dataoff, protonum.v, state) < 0) {
      stat.drop++
      return NF_DROP
    }
    const ct = nf_ct_get(skb)
    if (ct === null) {
      stat.invalid++
      return NF_ACCEPT
    }
    const ctinfo = nf_ct_info(skb)
    const ret = nf_conntrack_handle_packet(ct, skb, dataoff, ctinfo, state)
    if (ret > 0) {
      if (ctinfo === IP_CT_ESTABLISHED_REPLY) ct.status |= IPS_SEEN_REPLY
      return ret
    }
    nf_ct_put(ct)
    skb._nfct = null
    if (ret === -NF_REPEAT) continue
    if (tracer.on) decide('nf_conntrack_in', 'invalid packet', { protonum: protonum.v })
    stat.invalid++
    if (ret === NF_DROP) stat.drop++
    return -ret
  }
})

export const __nf_ct_refresh_acct = kfunc(
  '__nf_ct_refresh_acct',
  (ct: nf_conn, ctinfo: number, extra_jiffies: number, bytes: number): void => {
    if (!(ct.status & IPS_FIXED_TIMEOUT)) ct.timeout = nf_ct_is_confirmed(ct) ? extra_jiffies + nfct_time_stamp() : extra_jiffies
    if (bytes) nf_ct_acct_update(ct, CTINFO2DIR(ctinfo), bytes)
  },
)
export const nf_ct_refresh_acct = kfunc(
  'nf_ct_refresh_acct',
  (ct: nf_conn, ctinfo: number, skb: sk_buff, extra_jiffies: number): void => {
    __nf_ct_refresh_acct(ct, ctinfo, extra_jiffies, skb.len)
  },
)
export const nf_ct_kill_acct = kfunc('nf_ct_kill_acct', (ct: nf_conn, ctinfo: number, skb: sk_buff): boolean => {
  nf_ct_acct_update(ct, CTINFO2DIR(ctinfo), skb.len)
  return nf_ct_delete(ct, 0, 0)
})

/** an error about a packet belongs to the packet's connection */
const nf_conntrack_attach = kfunc('nf_conntrack_attach', (nskb: sk_buff, skb: sk_buff): void => {
  const ct = nf_ct_get(skb)
  if (ct === null) return
  nf_ct_set(nskb, ct, CTINFO2DIR(nf_ct_info(skb)) === IP_CT_DIR_ORIGINAL ? IP_CT_RELATED_REPLY : IP_CT_RELATED)
  ct.use++
})
