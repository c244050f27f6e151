import { inlinedHere, kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracepoint, tracer } from '../../../trace/tracer.ts'
import { get_random_u32, get_random_u32_below } from '../../drivers/char/random.ts'
import {
  HZ,
  IFF_LOOPBACK,
  MAX_ADDR_LEN,
  NEIGH_VAR_APP_PROBES,
  NEIGH_VAR_BASE_REACHABLE_TIME,
  NEIGH_VAR_DELAY_PROBE_TIME,
  NEIGH_VAR_MCAST_PROBES,
  NEIGH_VAR_MCAST_REPROBES,
  NEIGH_VAR_PROXY_DELAY,
  NEIGH_VAR_PROXY_QLEN,
  NEIGH_VAR_QUEUE_LEN_BYTES,
  NEIGH_VAR_RETRANS_TIME,
  NEIGH_VAR_UCAST_PROBES,
  NET_XMIT_DROP,
  NUD_CONNECTED,
  NUD_DELAY,
  NUD_FAILED,
  NUD_IN_TIMER,
  NUD_INCOMPLETE,
  NUD_NOARP,
  NUD_NONE,
  NUD_PERMANENT,
  NUD_PROBE,
  NUD_REACHABLE,
  NUD_STALE,
  NUD_VALID,
  SKB_DROP_REASON_NEIGH_DEAD,
  SKB_DROP_REASON_NEIGH_FAILED,
  SKB_DROP_REASON_NEIGH_QUEUEFULL,
} from '../../include/generated/enums.ts'
import { EEXIST, EINVAL, EMSGSIZE, ENETDOWN, ENOBUFS, ENOENT, EPERM } from '../../include/linux/errno.ts'
import { dotted } from '../../include/linux/in.ts'
import { in6_ntop } from '../../include/linux/in6.ts'
import { core_initcall } from '../../include/linux/init.ts'
import { list_add_tail, list_del, list_empty } from '../../include/linux/list.ts'
import { dev_net, HH_DATA_ALIGN, HH_DATA_MOD, type net_device, netif_running } from '../../include/linux/netdevice.ts'
import { NL_SET_ERR_MSG } from '../../include/linux/netlink.ts'
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST } from '../../include/linux/rtnetlink.ts'
import {
  __skb_dequeue,
  __skb_queue_tail,
  __skb_unlink,
  type sk_buff,
  skb_dst,
  skb_headroom,
  skb_network_offset,
  skb_peek_tail,
} from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import { AF_INET, AF_INET6 } from '../../include/linux/socket.ts'
import { timer_list } from '../../include/linux/timer.ts'
import { IS_ERR } from '../../include/linux/types.ts'
import { DST_OBSOLETE_DEAD } from '../../include/net/dst.ts'
import {
  type hh_cache,
  NDA_CACHEINFO,
  NDA_DST,
  NDA_FLAGS_EXT,
  NDA_LLADDR,
  NDA_PROBES,
  NDA_PROTOCOL,
  NEIGH_UPDATE_F_ADMIN,
  NEIGH_UPDATE_F_EXT_LEARNED,
  NEIGH_UPDATE_F_ISROUTER,
  NEIGH_UPDATE_F_MANAGED,
  NEIGH_UPDATE_F_OVERRIDE,
  NEIGH_UPDATE_F_OVERRIDE_ISROUTER,
  NEIGH_UPDATE_F_USE,
  NEIGH_UPDATE_F_WEAK_OVERRIDE,
  NEIGH_VAR,
  NTF_EXT_LEARNED,
  NTF_EXT_SHIFT,
  NTF_MANAGED,
  NTF_OLD_MASK,
  NTF_ROUTER,
  type neigh_hash_table,
  type neigh_key,
  neigh_parms,
  type neigh_table,
  neighbour,
  type pneigh_entry,
  put_ndmsg,
  RTM_DELNEIGH,
  RTM_GETNEIGH,
  RTM_NEWNEIGH,
  RTNLGRP_NEIGH,
  SIZEOF_NDA_CACHEINFO,
  SIZEOF_NDMSG,
} from '../../include/net/neighbour.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { nla_total_size, nlmsg_total_size, u32_bytes } from '../../include/net/netlink.ts'
import {
  read_lock_bh,
  read_unlock_bh,
  write_lock,
  write_lock_bh,
  write_seqlock,
  write_seqlock_bh,
  write_sequnlock,
  write_sequnlock_bh,
  write_unlock,
  write_unlock_bh,
} from '../../kernel/locking/spinlock.ts'
import { call_rcu, kfree_rcu, rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { local_bh_enable } from '../../kernel/softirq.ts'
import { ktime_get_ns } from '../../kernel/time/timekeeping.ts'
import {
  del_timer,
  jiffies,
  jiffies_to_clock_t,
  mod_timer,
  time_after,
  time_before,
  time_before_eq,
  timer_setup,
} from '../../kernel/time/timer.ts'
import { __kmalloc_noprof, kfree } from '../../mm/slub.ts'
import { __nlmsg_put, nla_put, nlmsg_end } from '../netlink/af_netlink.ts'
import { dev_hard_header, dev_hold, dev_put, dev_queue_xmit } from './dev.ts'
import { dst_neigh_lookup_skb, skb_dst_drop, skb_dst_force } from './dst.ts'
import { init_net } from './net_namespace.ts'
import { call_netevent_notifiers, NETEVENT_NEIGH_UPDATE } from './netevent.ts'
import { rtnl_notify } from './rtnetlink.ts'
import {
  __skb_pull,
  __skb_push,
  __skb_queue_purge,
  alloc_skb,
  consume_skb,
  kfree_skb,
  kfree_skb_reason,
  skb_clone,
} from './skbuff.ts'

const NEIGH_NUM_HASH_RND = 4
const SIZEOF_NEIGHBOUR = 368
/** no sooner than that after the jiffy at hand: a retransmission, a probe */
const MIN_WAIT = HZ / 100

let neigh_tables: (neigh_table | null)[] = []
core_initcall(() => {
  neigh_tables = []
})

export const neigh_hold = (n: neighbour): void => {
  n.refcnt++
}
const release = (n: neighbour): void => {
  if (--n.refcnt === 0) neigh_destroy(n)
}
export const neigh_release = kfunc('neigh_release', release)
export const neigh_release_inlined = inlinedHere(neigh_release, release)

/** a random time between half of `base` and one and a half of it */
export const neigh_rand_reach_time = kfunc('neigh_rand_reach_time', (base: number): number =>
  base ? get_random_u32_below(base) + (base >> 1) : 0,
)

const neigh_blackhole = kfunc('neigh_blackhole', (_neigh: neighbour, skb: sk_buff): number => {
  kfree_skb(skb)
  return -ENETDOWN
})

const neigh_cleanup_and_release = kfunc('neigh_cleanup_and_release', (neigh: neighbour): void => {
  __neigh_notify(neigh, RTM_DELNEIGH, 0, 0)
  call_netevent_notifiers(NETEVENT_NEIGH_UPDATE, neigh)
  neigh_release(neigh)
})

const neigh_mark_dead = kfunc('neigh_mark_dead', (n: neighbour): void => {
  n.dead = 1
  if (!list_empty(n.gc_list)) {
    list_del(n.gc_list)
    n.tbl.gc_entries--
  }
  if (!list_empty(n.managed_list)) list_del(n.managed_list)
})

const neigh_update_gc_list = kfunc('neigh_update_gc_list', (n: neighbour): void => {
  write_lock_bh(n.tbl.lock)
  write_lock(n.lock)
  if (!n.dead) {
    const exempt_from_gc = (n.nud_state & NUD_PERMANENT) !== 0 || (n.flags & NTF_EXT_LEARNED) !== 0
    const on_gc_list = !list_empty(n.gc_list)
    if (exempt_from_gc && on_gc_list) {
      list_del(n.gc_list)
      n.tbl.gc_entries--
    } else if (!exempt_from_gc && !on_gc_list) {
      list_add_tail(n.gc_list, n.tbl.gc_list)
      n.tbl.gc_entries++
    }
  }
  write_unlock(n.lock)
  write_unlock_bh(n.tbl.lock)
})

function bucket_of(tbl: neigh_table, nht: neigh_hash_table, key: neigh_key, dev: net_device): number {
  if (tracer.on) traceIndirect('tbl->hash', nameOf(tbl.hash))
  return tbl.hash(key, dev, nht.hash_rnd) >>> (32 - nht.hash_shift)
}

function unlink(nht: neigh_hash_table, bucket: number, n: neighbour): void {
  let p = nht.hash_buckets[bucket] ?? null
  if (p === n) {
    nht.hash_buckets[bucket] = n.next
    return
  }
  while (p !== null && p.next !== n) p = p.next
  if (p !== null) p.next = n.next
}

const neigh_del = kfunc('neigh_del', (n: neighbour, nht: neigh_hash_table, bucket: number): boolean => {
  let retval = false
  write_lock(n.lock)
  if (n.refcnt === 1) {
    unlink(nht, bucket, n)
    neigh_mark_dead(n)
    retval = true
  }
  write_unlock(n.lock)
  if (retval) neigh_cleanup_and_release(n)
  return retval
})

export const neigh_remove_one = kfunc('neigh_remove_one', (ndel: neighbour, tbl: neigh_table): boolean => {
  const bucket = bucket_of(tbl, tbl.nht, ndel.primary_key, ndel.dev)
  for (let n = tbl.nht.hash_buckets[bucket] ?? null; n !== null; n = n.next) if (n === ndel) return neigh_del(n, tbl.nht, bucket)
  return false
})

const neigh_forced_gc = kfunc('neigh_forced_gc', (tbl: neigh_table): number => {
  const max_clean = tbl.gc_entries - tbl.gc_thresh2
  const tmax = ktime_get_ns() + 1_000_000
  const tref = jiffies() - 5 * HZ
  let shrunk = 0
  let loop = 0
  tbl.stats.forced_gc_runs++
  write_lock_bh(tbl.lock)
  for (const n of tbl.gc_list) {
    if (n.refcnt !== 1) continue
    write_lock(n.lock)
    const remove =
      n.nud_state === NUD_FAILED || n.nud_state === NUD_NOARP || tbl.is_multicast(n.primary_key) !== 0 || n.updated < tref
    write_unlock(n.lock)
    if (remove && neigh_remove_one(n, tbl)) shrunk++
    if (shrunk >= max_clean) break
    if (++loop === 16) {
      if (ktime_get_ns() > tmax) {
        write_unlock_bh(tbl.lock)
        return shrunk
      }
      loop = 0
    }
  }
  tbl.last_flush = jiffies()
  write_unlock_bh(tbl.lock)
  return shrunk
})

const neigh_add_timer = kfunc('neigh_add_timer', (n: neighbour, when: number): void => {
  neigh_hold(n)
  if (time_before(n.used, n.confirmed)) n.used = n.confirmed
  mod_timer(n.timer, when)
})

const neigh_del_timer = kfunc('neigh_del_timer', (n: neighbour): number => {
  if (n.nud_state & NUD_IN_TIMER && del_timer(n.timer)) {
    neigh_release(n)
    return 1
  }
  return 0
})

const neigh_flush_dev = kfunc('neigh_flush_dev', (tbl: neigh_table, dev: net_device | null, skip_perm: boolean): void => {
  const { nht } = tbl
  for (let i = 0; i < nht.hash_buckets.length; i++) {
    for (let n = nht.hash_buckets[i] ?? null, next: neighbour | null = null; n !== null; n = next) {
      next = n.next
      if ((dev !== null && n.dev !== dev) || (skip_perm && n.nud_state & NUD_PERMANENT)) continue
      unlink(nht, i, n)
      write_lock(n.lock)
      neigh_del_timer(n)
      neigh_mark_dead(n)
      if (n.refcnt !== 1) {
        // somebody still sends through it
        __skb_queue_purge(n.arp_queue)
        n.arp_queue_len_bytes = 0
        n.output = neigh_blackhole
        n.nud_state = n.nud_state & NUD_VALID ? NUD_NOARP : NUD_NONE
      }
      write_unlock(n.lock)
      neigh_cleanup_and_release(n)
    }
  }
})

export const neigh_changeaddr = kfunc('neigh_changeaddr', (tbl: neigh_table, dev: net_device): void => {
  write_lock_bh(tbl.lock)
  neigh_flush_dev(tbl, dev, false)
  write_unlock_bh(tbl.lock)
})

const __neigh_ifdown = kfunc('__neigh_ifdown', (tbl: neigh_table, dev: net_device | null, skip_perm: boolean): number => {
  write_lock_bh(tbl.lock)
  neigh_flush_dev(tbl, dev, skip_perm)
  tbl.phash_buckets = tbl.phash_buckets.filter((n) => (dev !== null && n.dev !== dev) || (skip_perm && n.flags & NUD_PERMANENT))
  write_unlock_bh(tbl.lock)
  for (let skb = __skb_dequeue(tbl.proxy_queue); skb !== null; skb = __skb_dequeue(tbl.proxy_queue)) {
    dev_put(skb.dev)
    kfree_skb(skb)
  }
  if (tbl.proxy_timer !== null) del_timer(tbl.proxy_timer)
  return 0
})
export const neigh_carrier_down = kfunc('neigh_carrier_down', (tbl: neigh_table, dev: net_device): number =>
  __neigh_ifdown(tbl, dev, true),
)
export const neigh_ifdown = kfunc('neigh_ifdown', (tbl: neigh_table, dev: net_device | null): number =>
  __neigh_ifdown(tbl, dev, false),
)

export const neigh_parms_clone = (parms: neigh_parms): neigh_parms => {
  parms.refcnt++
  return parms
}
const neigh_parms_put = (parms: neigh_parms): void => {
  if (--parms.refcnt === 0) kfree(parms)
}

const neigh_alloc = kfunc(
  'neigh_alloc',
  (tbl: neigh_table, dev: net_device, flags: number, exempt_from_gc: boolean): neighbour | null => {
    const now = jiffies()
    if (!exempt_from_gc) {
      const entries = tbl.gc_entries++
      if (entries >= tbl.gc_thresh3 || (entries >= tbl.gc_thresh2 && time_after(now, tbl.last_flush + 5 * HZ))) {
        if (!neigh_forced_gc(tbl) && entries >= tbl.gc_thresh3) {
          tbl.stats.table_fulls++
          tbl.gc_entries--
          return null
        }
      }
    }
    __kmalloc_noprof(tbl.entry_size + dev.neigh_priv_len, GFP_ATOMIC)
    const n = new neighbour(tbl)
    n.updated = now
    n.used = now
    n.nud_state = NUD_NONE
    n.output = neigh_blackhole
    n.flags = flags
    n.parms = neigh_parms_clone(tbl.parms)
    n.timer = new timer_list(n)
    timer_setup(n.timer, neigh_timer_handler, 0)
    tbl.stats.allocs++
    n.refcnt = 1
    n.dead = 1
    tbl.entries++
    return n
  },
)

const neigh_get_hash_rnd = (): number => (get_random_u32() | 1) >>> 0

const neigh_hash_alloc = kfunc('neigh_hash_alloc', (shift: number): neigh_hash_table => {
  const hash_rnd: number[] = []
  for (let i = 0; i < NEIGH_NUM_HASH_RND; i++) hash_rnd.push(neigh_get_hash_rnd())
  return { hash_buckets: new Array<neighbour | null>(1 << shift).fill(null), hash_shift: shift, hash_rnd }
})
const neigh_hash_free_rcu = kfunc('neigh_hash_free_rcu', (nht: neigh_hash_table): void => kfree(nht))

const neigh_hash_grow = kfunc('neigh_hash_grow', (tbl: neigh_table, new_shift: number): neigh_hash_table => {
  tbl.stats.hash_grows++
  const old_nht = tbl.nht
  const new_nht = neigh_hash_alloc(new_shift)
  for (const head of old_nht.hash_buckets)
    for (let n = head, next: neighbour | null = null; n !== null; n = next) {
      next = n.next
      const hash = bucket_of(tbl, new_nht, n.primary_key, n.dev)
      n.next = new_nht.hash_buckets[hash] ?? null
      new_nht.hash_buckets[hash] = n
    }
  tbl.nht = new_nht
  call_rcu(old_nht, neigh_hash_free_rcu)
  return new_nht
})

/** for callers inside RCU; takes no reference */
export const ___neigh_lookup_noref = kfunc(
  '___neigh_lookup_noref',
  (
    tbl: neigh_table,
    key_eq: (n: neighbour, pkey: neigh_key) => boolean,
    hash: (pkey: neigh_key, dev: net_device, hash_rnd: number[]) => number,
    pkey: neigh_key,
    dev: net_device,
  ): neighbour | null => {
    const { nht } = tbl
    // who knows his table hands over functions that are inlined instead
    const pointers = tracer.on && hash === tbl.hash
    if (pointers) traceIndirect('tbl->hash', nameOf(hash))
    const hash_val = hash(pkey, dev, nht.hash_rnd) >>> (32 - nht.hash_shift)
    for (let n = nht.hash_buckets[hash_val] ?? null; n !== null; n = n.next) {
      if (n.dev !== dev) continue
      if (pointers) traceIndirect('tbl->key_eq', nameOf(key_eq))
      if (key_eq(n, pkey)) return n
    }
    return null
  },
)
export const __neigh_lookup_noref = kfunc(
  '__neigh_lookup_noref',
  (tbl: neigh_table, pkey: neigh_key, dev: net_device): neighbour | null =>
    ___neigh_lookup_noref(tbl, tbl.key_eq, tbl.hash, pkey, dev),
)

export const neigh_lookup = kfunc('neigh_lookup', (tbl: neigh_table, pkey: neigh_key, dev: net_device): neighbour | null => {
  tbl.stats.lookups++
  rcu_read_lock()
  const n = __neigh_lookup_noref(tbl, pkey, dev)
  if (n !== null) {
    n.refcnt++
    tbl.stats.hits++
  }
  rcu_read_unlock()
  return n
})

const same_key = (a: neigh_key, b: neigh_key): boolean => {
  if (typeof a === 'number' || typeof b === 'number') return a === b
  return a.length === b.length && a.every((v, i) => v === b[i])
}

/** the new entry (or one that was there already), or an error in its place */
const ___neigh_create = kfunc(
  '___neigh_create',
  (
    tbl: neigh_table,
    pkey: neigh_key,
    dev: net_device,
    flags: number,
    exempt_from_gc: boolean,
    want_ref: boolean,
  ): neighbour | number => {
    const n = neigh_alloc(tbl, dev, flags, exempt_from_gc)
    if (tracer.on)
      tracepoint('neigh', 'neigh_create', {
        family: tbl.family,
        dev: dev.name,
        entries: tbl.gc_entries,
        created: n !== null,
        gc_exempt: exempt_from_gc,
        primary_key4: typeof pkey === 'number' ? dotted(pkey) : '0.0.0.0',
        primary_key6: typeof pkey === 'number' ? '::' : in6_ntop(pkey),
      })
    if (n === null) return -ENOBUFS
    n.primary_key = typeof pkey === 'number' ? pkey : pkey.slice()
    n.dev = dev
    dev_hold(dev)
    const give_up = (rc: neighbour | number): neighbour | number => {
      if (!exempt_from_gc) tbl.gc_entries--
      neigh_release(n)
      return rc
    }
    if (tracer.on) traceIndirect('tbl->constructor', nameOf(tbl.constructor))
    let error = tbl.constructor(n)
    if (error < 0) return give_up(error)
    if (n.parms.neigh_setup !== null) {
      error = n.parms.neigh_setup(n)
      if (error < 0) return give_up(error)
    }
    n.confirmed = jiffies() - (NEIGH_VAR(n.parms, NEIGH_VAR_BASE_REACHABLE_TIME) << 1)

    write_lock_bh(tbl.lock)
    let { nht } = tbl
    if (tbl.entries > 1 << nht.hash_shift) nht = neigh_hash_grow(tbl, nht.hash_shift + 1)
    const hash_val = bucket_of(tbl, nht, n.primary_key, dev)
    if (n.parms.dead) {
      write_unlock_bh(tbl.lock)
      return give_up(-EINVAL)
    }
    for (let n1 = nht.hash_buckets[hash_val] ?? null; n1 !== null; n1 = n1.next) {
      if (n1.dev !== dev || !same_key(n1.primary_key, n.primary_key)) continue
      if (want_ref) neigh_hold(n1)
      write_unlock_bh(tbl.lock)
      return give_up(n1)
    }
    n.dead = 0
    if (!exempt_from_gc) list_add_tail(n.gc_list, tbl.gc_list)
    if (n.flags & NTF_MANAGED) list_add_tail(n.managed_list, tbl.managed_list)
    if (want_ref) neigh_hold(n)
    n.next = nht.hash_buckets[hash_val] ?? null
    nht.hash_buckets[hash_val] = n
    write_unlock_bh(tbl.lock)
    return n
  },
)

export const __neigh_create = kfunc(
  '__neigh_create',
  (tbl: neigh_table, pkey: neigh_key, dev: net_device, want_ref: boolean): neighbour | number =>
    ___neigh_create(tbl, pkey, dev, 0, (dev.flags & IFF_LOOPBACK) !== 0, want_ref),
)
export const neigh_create = kfunc('neigh_create', (tbl: neigh_table, pkey: neigh_key, dev: net_device): neighbour | number =>
  __neigh_create(tbl, pkey, dev, true),
)

export const __neigh_lookup = kfunc(
  '__neigh_lookup',
  (tbl: neigh_table, pkey: neigh_key, dev: net_device, creat: number | boolean): neighbour | null => {
    const n = neigh_lookup(tbl, pkey, dev)
    if (n !== null || !creat) return n
    const made = neigh_create(tbl, pkey, dev)
    return IS_ERR(made) ? null : made
  },
)
export const __neigh_lookup_errno = kfunc(
  '__neigh_lookup_errno',
  (tbl: neigh_table, pkey: neigh_key, dev: net_device): neighbour | number =>
    neigh_lookup(tbl, pkey, dev) ?? neigh_create(tbl, pkey, dev),
)

// ---- answering for others

const find_proxy = (tbl: neigh_table, n: net, pkey: neigh_key, dev: net_device | null): pneigh_entry | null =>
  tbl.phash_buckets.find((p) => same_key(p.key, pkey) && p.net === n && (p.dev === dev || p.dev === null)) ?? null

export const __pneigh_lookup = kfunc(
  '__pneigh_lookup',
  (tbl: neigh_table, n: net, pkey: neigh_key, dev: net_device): pneigh_entry | null => find_proxy(tbl, n, pkey, dev),
)

export const pneigh_lookup = kfunc(
  'pneigh_lookup',
  (tbl: neigh_table, n: net, pkey: neigh_key, dev: net_device | null, creat: number): pneigh_entry | null => {
    read_lock_bh(tbl.lock)
    const found = find_proxy(tbl, n, pkey, dev)
    read_unlock_bh(tbl.lock)
    if (found !== null || !creat) return found
    const entry: pneigh_entry = { net: n, dev, flags: 0, protocol: 0, key: pkey }
    if (tbl.pconstructor && tbl.pconstructor(entry) !== 0) return null
    write_lock_bh(tbl.lock)
    tbl.phash_buckets.unshift(entry)
    write_unlock_bh(tbl.lock)
    return entry
  },
)

export const pneigh_delete = kfunc(
  'pneigh_delete',
  (tbl: neigh_table, n: net, pkey: neigh_key, dev: net_device | null): number => {
    write_lock_bh(tbl.lock)
    const i = tbl.phash_buckets.findIndex((p) => same_key(p.key, pkey) && p.dev === dev && p.net === n)
    const [entry] = i < 0 ? [] : tbl.phash_buckets.splice(i, 1)
    write_unlock_bh(tbl.lock)
    if (entry === undefined) return -ENOENT
    tbl.pdestructor?.(entry)
    return 0
  },
)

// ---- life of an entry

export const neigh_destroy = kfunc('neigh_destroy', (neigh: neighbour): void => {
  neigh.tbl.stats.destroys++
  if (!neigh.dead) return
  neigh_del_timer(neigh)
  write_lock_bh(neigh.lock)
  __skb_queue_purge(neigh.arp_queue)
  write_unlock_bh(neigh.lock)
  neigh.arp_queue_len_bytes = 0
  dev_put(neigh.dev)
  neigh_parms_put(neigh.parms)
  neigh.tbl.entries--
  kfree_rcu(neigh)
})

const neigh_suspect = kfunc('neigh_suspect', (neigh: neighbour): void => {
  neigh.output = neigh.ops.output
})
const neigh_connect = kfunc('neigh_connect', (neigh: neighbour): void => {
  neigh.output = neigh.ops.connected_output
})

const neigh_max_probes = (n: neighbour): number =>
  NEIGH_VAR(n.parms, NEIGH_VAR_UCAST_PROBES) +
  NEIGH_VAR(n.parms, NEIGH_VAR_APP_PROBES) +
  NEIGH_VAR(n.parms, n.nud_state & NUD_PROBE ? NEIGH_VAR_MCAST_REPROBES : NEIGH_VAR_MCAST_PROBES)

/** nobody answered: those who wait for the address are told */
const neigh_invalidate = kfunc('neigh_invalidate', (neigh: neighbour): void => {
  neigh.tbl.stats.res_failed++
  neigh.updated = jiffies()
  while (neigh.nud_state === NUD_FAILED) {
    const skb = __skb_dequeue(neigh.arp_queue)
    if (skb === null) break
    write_unlock(neigh.lock)
    if (neigh.ops.error_report !== null) {
      if (tracer.on) traceIndirect('neigh->ops->error_report', nameOf(neigh.ops.error_report))
      neigh.ops.error_report(neigh, skb)
    }
    write_lock(neigh.lock)
  }
  __skb_queue_purge(neigh.arp_queue)
  neigh.arp_queue_len_bytes = 0
})

/** asks on the wire; unlocks the entry */
const neigh_probe = kfunc('neigh_probe', (neigh: neighbour): void => {
  let skb = skb_peek_tail(neigh.arp_queue)
  if (skb !== null) skb = skb_clone(skb, GFP_ATOMIC)
  write_unlock(neigh.lock)
  if (neigh.ops.solicit !== null) {
    if (tracer.on) traceIndirect('neigh->ops->solicit', nameOf(neigh.ops.solicit))
    neigh.ops.solicit(neigh, skb)
  }
  neigh.probes++
  consume_skb(skb)
})

const set_state = (neigh: neighbour, nud_state: number): void => {
  neigh.nud_state = nud_state
  neigh.updated = jiffies()
}

const neigh_timer_handler = kfunc('neigh_timer_handler', (t: timer_list): void => {
  const neigh = t.owner as neighbour
  let notify = false
  write_lock(neigh.lock)
  const state = neigh.nud_state
  const now = jiffies()
  let next = now + HZ
  let locked = true
  if (state & NUD_IN_TIMER) {
    const delay = NEIGH_VAR(neigh.parms, NEIGH_VAR_DELAY_PROBE_TIME)
    const retrans = Math.max(NEIGH_VAR(neigh.parms, NEIGH_VAR_RETRANS_TIME), MIN_WAIT)
    if (state & NUD_REACHABLE) {
      if (time_before_eq(now, neigh.confirmed + neigh.parms.reachable_time)) next = neigh.confirmed + neigh.parms.reachable_time
      else if (time_before_eq(now, neigh.used + delay)) {
        set_state(neigh, NUD_DELAY)
        neigh_suspect(neigh)
        next = now + delay
      } else {
        set_state(neigh, NUD_STALE)
        neigh_suspect(neigh)
        notify = true
      }
    } else if (state & NUD_DELAY) {
      if (time_before_eq(now, neigh.confirmed + delay)) {
        set_state(neigh, NUD_REACHABLE)
        neigh_connect(neigh)
        notify = true
        next = neigh.confirmed + neigh.parms.reachable_time
      } else {
        set_state(neigh, NUD_PROBE)
        neigh.probes = 0
        notify = true
        next = now + retrans
      }
    } else next = now + retrans

    if (neigh.nud_state & (NUD_INCOMPLETE | NUD_PROBE) && neigh.probes >= neigh_max_probes(neigh)) {
      neigh.nud_state = NUD_FAILED
      notify = true
      neigh_invalidate(neigh)
    } else {
      if (neigh.nud_state & NUD_IN_TIMER) {
        if (time_before(next, jiffies() + MIN_WAIT)) next = jiffies() + MIN_WAIT
        if (!mod_timer(neigh.timer, next)) neigh_hold(neigh)
      }
      if (neigh.nud_state & (NUD_INCOMPLETE | NUD_PROBE)) {
        neigh_probe(neigh)
        locked = false
      }
    }
  }
  if (locked) write_unlock(neigh.lock)
  if (notify) neigh_update_notify(neigh, 0)
  neigh_release(neigh)
})

/** Something is to be sent to an entry that is not known to be good. @returns 1 when the packet waits or is gone, 0 when it may go */
export const __neigh_event_send = kfunc(
  '__neigh_event_send',
  (neigh: neighbour, skb: sk_buff | null, immediate_ok: boolean): number => {
    let rc = 0
    let immediate_probe = false
    write_lock_bh(neigh.lock)
    if (!(neigh.nud_state & (NUD_CONNECTED | NUD_DELAY | NUD_PROBE))) {
      if (neigh.dead) {
        if (!(neigh.nud_state & NUD_STALE)) {
          write_unlock_bh(neigh.lock)
          if (skb !== null) kfree_skb_reason(skb, SKB_DROP_REASON_NEIGH_DEAD)
          return 1
        }
      } else {
        const { parms } = neigh
        if (!(neigh.nud_state & (NUD_STALE | NUD_INCOMPLETE))) {
          if (NEIGH_VAR(parms, NEIGH_VAR_MCAST_PROBES) + NEIGH_VAR(parms, NEIGH_VAR_APP_PROBES) === 0) {
            set_state(neigh, NUD_FAILED)
            write_unlock_bh(neigh.lock)
            if (skb !== null) kfree_skb_reason(skb, SKB_DROP_REASON_NEIGH_FAILED)
            return 1
          }
          neigh.probes = NEIGH_VAR(parms, NEIGH_VAR_UCAST_PROBES)
          neigh_del_timer(neigh)
          set_state(neigh, NUD_INCOMPLETE)
          let next = neigh.updated + 1
          if (immediate_ok) {
            immediate_probe = true
            next = neigh.updated + Math.max(NEIGH_VAR(parms, NEIGH_VAR_RETRANS_TIME), MIN_WAIT)
          }
          neigh_add_timer(neigh, next)
        } else if (neigh.nud_state & NUD_STALE) {
          neigh_del_timer(neigh)
          set_state(neigh, NUD_DELAY)
          neigh_add_timer(neigh, jiffies() + NEIGH_VAR(parms, NEIGH_VAR_DELAY_PROBE_TIME))
        }
        if (neigh.nud_state === NUD_INCOMPLETE) {
          if (skb !== null) {
            while (neigh.arp_queue_len_bytes + skb.truesize > NEIGH_VAR(parms, NEIGH_VAR_QUEUE_LEN_BYTES)) {
              const buff = __skb_dequeue(neigh.arp_queue)
              if (buff === null) break
              neigh.arp_queue_len_bytes -= buff.truesize
              kfree_skb_reason(buff, SKB_DROP_REASON_NEIGH_QUEUEFULL)
              neigh.tbl.stats.unres_discards++
            }
            skb_dst_force(skb)
            __skb_queue_tail(neigh.arp_queue, skb)
            neigh.arp_queue_len_bytes += skb.truesize
            if (tracer.on)
              decide('__neigh_event_send', 'waits for the address', {
                queued: neigh.arp_queue.qlen,
                bytes: neigh.arp_queue_len_bytes,
              })
          }
          rc = 1
        }
      }
    }
    if (immediate_probe) neigh_probe(neigh)
    else write_unlock(neigh.lock)
    local_bh_enable()
    return rc
  },
)

export const neigh_event_send_probe = kfunc(
  'neigh_event_send_probe',
  (neigh: neighbour, skb: sk_buff | null, immediate_ok: boolean): number => {
    const now = jiffies()
    if (neigh.used !== now) neigh.used = now
    if (!(neigh.nud_state & (NUD_CONNECTED | NUD_DELAY | NUD_PROBE))) return __neigh_event_send(neigh, skb, immediate_ok)
    return 0
  },
)
export const neigh_event_send = kfunc('neigh_event_send', (neigh: neighbour, skb: sk_buff | null): number =>
  neigh_event_send_probe(neigh, skb, true),
)

const neigh_update_hhs = kfunc('neigh_update_hhs', (neigh: neighbour): void => {
  const update = neigh.dev.header_ops?.cache_update
  const { hh } = neigh
  if (!update || !hh.hh_len) return
  write_seqlock_bh(hh.hh_lock)
  update(hh, neigh.dev, neigh.ha)
  write_sequnlock_bh(hh.hh_lock)
})

const neigh_update_flags = (neigh: neighbour, flags: number, c: change): void => {
  if (!(flags & NEIGH_UPDATE_F_ADMIN)) return
  const ndm = (flags & NEIGH_UPDATE_F_EXT_LEARNED ? NTF_EXT_LEARNED : 0) | (flags & NEIGH_UPDATE_F_MANAGED ? NTF_MANAGED : 0)
  const changed = (neigh.flags ^ ndm) & (NTF_EXT_LEARNED | NTF_MANAGED)
  if (!changed) return
  neigh.flags ^= changed
  c.notify = true
  c.gc_update = (changed & NTF_EXT_LEARNED) !== 0
}

const same_address = (a: Uint8Array, b: Uint8Array, len: number): boolean => {
  for (let i = 0; i < len; i++) if (a[i] !== b[i]) return false
  return true
}

/** sends what waited for the address, through the entry that the route has now */
function send_waiting(neigh: neighbour): void {
  while (neigh.nud_state & NUD_VALID) {
    const skb = __skb_dequeue(neigh.arp_queue)
    if (skb === null) break
    write_unlock_bh(neigh.lock)
    rcu_read_lock()
    const dst = skb_dst(skb)
    const n2 = dst !== null && dst.obsolete !== DST_OBSOLETE_DEAD ? dst_neigh_lookup_skb(dst, skb) : null
    const n1 = n2 ?? neigh
    if (tracer.on) traceIndirect('n1->output', nameOf(n1.output))
    n1.output(n1, skb)
    if (n2 !== null) neigh_release(n2)
    rcu_read_unlock()
    write_lock_bh(neigh.lock)
  }
  __skb_queue_purge(neigh.arp_queue)
  neigh.arp_queue_len_bytes = 0
}

/** what an update does to an entry, besides its error */
interface change {
  /** the new state, as it came out */
  state: number
  gc_update: boolean
  update_isrouter: boolean
  notify: boolean
}

/** the part of __neigh_update() under the entry's lock; 0 or an error */
function apply_update(neigh: neighbour, addr: Uint8Array | null, flags: number, c: change): number {
  const { dev } = neigh
  const old = neigh.nud_state
  let lladdr = addr
  if (neigh.dead) {
    c.state = old
    return -EPERM
  }
  if (!(flags & NEIGH_UPDATE_F_ADMIN) && old & (NUD_NOARP | NUD_PERMANENT)) return -EPERM
  neigh_update_flags(neigh, flags, c)
  if (flags & (NEIGH_UPDATE_F_USE | NEIGH_UPDATE_F_MANAGED)) {
    c.state = old & ~NUD_PERMANENT
    neigh.nud_state = c.state
    return 0
  }
  if (!(c.state & NUD_VALID)) {
    neigh_del_timer(neigh)
    if (old & NUD_CONNECTED) neigh_suspect(neigh)
    neigh.nud_state = c.state
    c.notify = (old & NUD_VALID) !== 0
    if (old & (NUD_INCOMPLETE | NUD_PROBE) && c.state & NUD_FAILED) {
      neigh_invalidate(neigh)
      c.notify = true
    }
    return 0
  }
  if (!dev.addr_len) lladdr = neigh.ha
  else if (lladdr !== null) {
    if (old & NUD_VALID && same_address(lladdr, neigh.ha, dev.addr_len)) lladdr = neigh.ha
  } else {
    if (!(old & NUD_VALID)) return -EINVAL
    lladdr = neigh.ha
  }
  if (c.state & NUD_CONNECTED) neigh.confirmed = jiffies()
  c.update_isrouter = (flags & NEIGH_UPDATE_F_OVERRIDE_ISROUTER) !== 0
  if (old & NUD_VALID) {
    if (lladdr !== neigh.ha && !(flags & NEIGH_UPDATE_F_OVERRIDE)) {
      c.update_isrouter = false
      if (!(flags & NEIGH_UPDATE_F_WEAK_OVERRIDE && old & NUD_CONNECTED)) return 0
      lladdr = neigh.ha
      c.state = NUD_STALE
    } else if (lladdr === neigh.ha && c.state === NUD_STALE && !(flags & NEIGH_UPDATE_F_ADMIN)) c.state = old
  }
  if (c.state !== old || lladdr !== neigh.ha) neigh.updated = jiffies()
  if (c.state !== old) {
    neigh_del_timer(neigh)
    if (c.state & NUD_PROBE) neigh.probes = 0
    if (c.state & NUD_IN_TIMER) neigh_add_timer(neigh, jiffies() + (c.state & NUD_REACHABLE ? neigh.parms.reachable_time : 0))
    neigh.nud_state = c.state
    c.notify = true
  }
  if (lladdr !== neigh.ha) {
    write_seqlock(neigh.ha_lock)
    neigh.ha.set(lladdr.subarray(0, dev.addr_len))
    write_sequnlock(neigh.ha_lock)
    neigh_update_hhs(neigh)
    if (!(c.state & NUD_CONNECTED)) neigh.confirmed = jiffies() - (NEIGH_VAR(neigh.parms, NEIGH_VAR_BASE_REACHABLE_TIME) << 1)
    c.notify = true
  }
  if (c.state === old) return 0
  if (c.state & NUD_CONNECTED) neigh_connect(neigh)
  else neigh_suspect(neigh)
  if (!(old & NUD_VALID)) send_waiting(neigh)
  return 0
}

const __neigh_update = kfunc(
  '__neigh_update',
  (neigh: neighbour, addr: Uint8Array | null, state: number, flags: number, nlmsg_pid: number): number => {
    const c: change = { state, gc_update: false, update_isrouter: false, notify: false }
    write_lock_bh(neigh.lock)
    const old = neigh.nud_state
    const err = apply_update(neigh, addr, flags, c)
    if (c.update_isrouter && (neigh.flags ^ (flags & NEIGH_UPDATE_F_ISROUTER ? NTF_ROUTER : 0)) & NTF_ROUTER) {
      neigh.flags ^= NTF_ROUTER
      c.notify = true
    }
    write_unlock_bh(neigh.lock)
    if ((c.state ^ old) & NUD_PERMANENT || c.gc_update) neigh_update_gc_list(neigh)
    if (c.notify) neigh_update_notify(neigh, nlmsg_pid)
    return err
  },
)

/**
 * What was learned of a neighbour: its address (null when that is not said) and its new state.
 * @param flags NEIGH_UPDATE_F_*
 */
export const neigh_update = kfunc(
  'neigh_update',
  (neigh: neighbour, lladdr: Uint8Array | null, new_: number, flags: number, nlmsg_pid: number): number =>
    __neigh_update(neigh, lladdr, new_, flags, nlmsg_pid),
)

export const neigh_event_ns = kfunc(
  'neigh_event_ns',
  (tbl: neigh_table, lladdr: Uint8Array | null, saddr: neigh_key, dev: net_device): neighbour | null => {
    const neigh = __neigh_lookup(tbl, saddr, dev, lladdr !== null || !dev.addr_len)
    if (neigh !== null) neigh_update(neigh, lladdr, NUD_STALE, NEIGH_UPDATE_F_OVERRIDE, 0)
    return neigh
  },
)

/** a packet came back: the address is good */
export const neigh_confirm = kfunc('neigh_confirm', (n: neighbour | null): void => {
  if (n === null) return
  const now = jiffies()
  if (n.confirmed !== now) n.confirmed = now
})

// ---- telling those who watch neighbours (`ip monitor neigh`)

const key_bytes = (key: neigh_key): Uint8Array =>
  typeof key === 'number' ? new Uint8Array([key >>> 24, key >>> 16, key >>> 8, key]) : key

const neigh_fill_info = kfunc(
  'neigh_fill_info',
  (skb: sk_buff, neigh: neighbour, pid: number, seq: number, type: number, flags: number): number => {
    const now = jiffies()
    const ndm = __nlmsg_put(skb, pid, seq, type, SIZEOF_NDMSG, flags)
    put_ndmsg(skb.head.bytes, ndm, neigh.ops.family, neigh.dev.ifindex, 0, neigh.flags & NTF_OLD_MASK, neigh.type)
    if (nla_put(skb, NDA_DST, neigh.tbl.key_len, key_bytes(neigh.primary_key))) return -EMSGSIZE
    read_lock_bh(neigh.lock)
    skb.head.bytes[ndm + 8] = neigh.nud_state
    if (neigh.nud_state & NUD_VALID && nla_put(skb, NDA_LLADDR, neigh.dev.addr_len, neigh.ha) < 0) {
      read_unlock_bh(neigh.lock)
      return -EMSGSIZE
    }
    const used = jiffies_to_clock_t(now - neigh.used)
    const confirmed = jiffies_to_clock_t(now - neigh.confirmed)
    const updated = jiffies_to_clock_t(now - neigh.updated)
    const { refcnt } = neigh
    read_unlock_bh(neigh.lock)
    if (
      nla_put(skb, NDA_PROBES, 4, u32_bytes(neigh.probes)) ||
      nla_put(skb, NDA_CACHEINFO, SIZEOF_NDA_CACHEINFO, u32_bytes(confirmed, used, updated, refcnt - 1))
    )
      return -EMSGSIZE
    if (neigh.protocol && nla_put(skb, NDA_PROTOCOL, 1, new Uint8Array([neigh.protocol]))) return -EMSGSIZE
    const ext = neigh.flags >>> NTF_EXT_SHIFT
    if (ext && nla_put(skb, NDA_FLAGS_EXT, 4, u32_bytes(ext))) return -EMSGSIZE
    nlmsg_end(skb, ndm)
    return 0
  },
)

/** room for what neigh_fill_info() may put: NDA_DST, _LLADDR, _CACHEINFO, _PROBES, _FLAGS_EXT, _PROTOCOL */
const neigh_nlmsg_size = (): number =>
  SIZEOF_NDMSG +
  2 * nla_total_size(MAX_ADDR_LEN) +
  nla_total_size(SIZEOF_NDA_CACHEINFO) +
  2 * nla_total_size(4) +
  nla_total_size(1)

const __neigh_notify = kfunc('__neigh_notify', (n: neighbour, type: number, flags: number, pid: number): void => {
  rcu_read_lock()
  const skb = alloc_skb(nlmsg_total_size(neigh_nlmsg_size()), GFP_ATOMIC)
  if (skb !== null) {
    if (neigh_fill_info(skb, n, pid, 0, type, flags) < 0) kfree_skb(skb)
    else rtnl_notify(skb, dev_net(n.dev), 0, RTNLGRP_NEIGH, null, GFP_ATOMIC)
  }
  rcu_read_unlock()
})

const neigh_update_notify = kfunc('neigh_update_notify', (neigh: neighbour, nlmsg_pid: number): void => {
  call_netevent_notifiers(NETEVENT_NEIGH_UPDATE, neigh)
  __neigh_notify(neigh, RTM_NEWNEIGH, 0, nlmsg_pid)
})

/** asks a program for the address (sysctl app_solicit) */
export const neigh_app_ns = kfunc('neigh_app_ns', (n: neighbour): void => __neigh_notify(n, RTM_GETNEIGH, NLM_F_REQUEST, 0))

// ---- sending through a neighbour

const neigh_hh_init = kfunc('neigh_hh_init', (n: neighbour): void => {
  const cache = n.dev.header_ops?.cache
  write_lock_bh(n.lock)
  if (cache && !n.hh.hh_len) {
    if (tracer.on) traceIndirect('dev->header_ops->cache', nameOf(cache))
    cache(n, n.hh, n.tbl.protocol)
  }
  write_unlock_bh(n.lock)
})

/** slow and careful: finds out the address first where it must */
export const neigh_resolve_output = kfunc('neigh_resolve_output', (neigh: neighbour, skb: sk_buff): number => {
  if (neigh_event_send(neigh, skb)) return 0
  const { dev } = neigh
  if (dev.header_ops?.cache && !neigh.hh.hh_len) neigh_hh_init(neigh)
  __skb_pull(skb, skb_network_offset(skb))
  const err = dev_hard_header(skb, dev, skb.protocol, neigh.ha, null, skb.len)
  if (err >= 0) return dev_queue_xmit(skb)
  kfree_skb(skb)
  return -EINVAL
})

/** for devices whose headers cannot be kept */
export const neigh_connected_output = kfunc('neigh_connected_output', (neigh: neighbour, skb: sk_buff): number => {
  const { dev } = neigh
  __skb_pull(skb, skb_network_offset(skb))
  const err = dev_hard_header(skb, dev, skb.protocol, neigh.ha, null, skb.len)
  if (err >= 0) return dev_queue_xmit(skb)
  kfree_skb(skb)
  return -EINVAL
})

export const neigh_direct_output = kfunc('neigh_direct_output', (_neigh: neighbour, skb: sk_buff): number => dev_queue_xmit(skb))

/** puts the header that is kept with the neighbour before the packet */
export const neigh_hh_output = kfunc('neigh_hh_output', (hh: hh_cache, skb: sk_buff): number => {
  const { hh_len, hh_data } = hh
  const hh_alen = hh_len <= HH_DATA_MOD ? HH_DATA_MOD : HH_DATA_ALIGN(hh_len)
  if (skb_headroom(skb) < hh_alen) {
    kfree_skb(skb)
    return NET_XMIT_DROP
  }
  const b = skb.head.bytes
  const at = skb.data - hh_alen
  for (let i = 0; i < hh_alen; i++) b[at + i] = hh_data[i] ?? 0
  __skb_push(skb, hh_len)
  return dev_queue_xmit(skb)
})

export const neigh_output = kfunc('neigh_output', (n: neighbour, skb: sk_buff, skip_cache: boolean): number => {
  if (!skip_cache && n.nud_state & NUD_CONNECTED && n.hh.hh_len) return neigh_hh_output(n.hh, skb)
  if (tracer.on) traceIndirect('n->output', nameOf(n.output))
  return n.output(n, skb)
})

export const neigh_ha_snapshot = (dst: Uint8Array, n: neighbour, dev: net_device): void => dst.set(n.ha.subarray(0, dev.addr_len))

// ---- answering for others, later

interface neighbour_cb {
  sched_next: number
}

const neigh_parms_qlen_dec = kfunc('neigh_parms_qlen_dec', (dev: net_device, family: number): void => {
  rcu_read_lock()
  const p = neigh_get_dev_parms_rcu(dev, family)
  if (p !== null) p.qlen--
  rcu_read_unlock()
})

/** in_device and inet6_dev keep the parameters of their device: arp_parms, nd_parms */
const neigh_get_dev_parms_rcu = (dev: net_device, family: number): neigh_parms | null => {
  if (family === AF_INET) return (dev.ip_ptr as { arp_parms?: neigh_parms } | null)?.arp_parms ?? null
  if (family === AF_INET6) return (dev.ip6_ptr as { nd_parms?: neigh_parms } | null)?.nd_parms ?? null
  return null
}

const neigh_proxy_process = kfunc('neigh_proxy_process', (t: timer_list): void => {
  const tbl = t.owner as neigh_table
  const now = jiffies()
  let sched_next = 0
  for (let skb = tbl.proxy_queue.first, n: sk_buff | null = null; skb !== null; skb = n) {
    n = skb.next
    const tdif = (skb.cb as neighbour_cb).sched_next - now
    if (tdif <= 0) {
      const dev = skb.dev as net_device
      neigh_parms_qlen_dec(dev, tbl.family)
      __skb_unlink(skb, tbl.proxy_queue)
      if (netif_running(dev)) {
        rcu_read_lock()
        tbl.proxy_redo(skb)
        rcu_read_unlock()
      } else kfree_skb(skb)
      dev_put(dev)
    } else if (!sched_next || tdif < sched_next) sched_next = tdif
  }
  del_timer(t)
  if (sched_next) mod_timer(t, jiffies() + sched_next)
})

export const pneigh_enqueue = kfunc('pneigh_enqueue', (tbl: neigh_table, p: neigh_parms, skb: sk_buff): void => {
  const proxy_delay = NEIGH_VAR(p, NEIGH_VAR_PROXY_DELAY)
  let sched_next = jiffies() + (proxy_delay ? get_random_u32_below(proxy_delay) : 0)
  const timer = tbl.proxy_timer
  if (p.qlen > NEIGH_VAR(p, NEIGH_VAR_PROXY_QLEN) || timer === null) {
    kfree_skb(skb)
    return
  }
  skb.cb = { sched_next }
  if (del_timer(timer)) sched_next = Math.min(sched_next, timer.expires)
  skb_dst_drop(skb)
  dev_hold(skb.dev as net_device)
  __skb_queue_tail(tbl.proxy_queue, skb)
  p.qlen++
  mod_timer(timer, sched_next)
})

// ---- parameters and tables

export const neigh_parms_alloc = kfunc('neigh_parms_alloc', (dev: net_device, tbl: neigh_table): neigh_parms | null => {
  const p = new neigh_parms()
  p.tbl = tbl
  p.data = [...tbl.parms.data]
  p.reachable_time = neigh_rand_reach_time(NEIGH_VAR(p, NEIGH_VAR_BASE_REACHABLE_TIME))
  p.neigh_setup = tbl.parms.neigh_setup
  p.dev = dev
  p.net = dev_net(dev)
  dev_hold(dev)
  if (dev.netdev_ops.ndo_neigh_setup?.(dev, p)) {
    dev_put(dev)
    return null
  }
  write_lock_bh(tbl.lock)
  tbl.parms_list.push(p)
  write_unlock_bh(tbl.lock)
  return p
})

const neigh_rcu_free_parms = kfunc('neigh_rcu_free_parms', (parms: neigh_parms): void => neigh_parms_put(parms))

export const neigh_parms_release = kfunc('neigh_parms_release', (tbl: neigh_table, parms: neigh_parms | null): void => {
  if (parms === null || parms === tbl.parms) return
  write_lock_bh(tbl.lock)
  const i = tbl.parms_list.indexOf(parms)
  if (i >= 0) tbl.parms_list.splice(i, 1)
  parms.dead = 1
  write_unlock_bh(tbl.lock)
  dev_put(parms.dev)
  call_rcu(parms, neigh_rcu_free_parms)
})
export const __neigh_parms_put = (parms: neigh_parms): void => {
  parms.refcnt--
}

/**
 * Makes a table ready. Entries are not swept away from time to time as in Linux (below gc_thresh1 of them none would be), so that
 * a simulation in which nothing happens any more comes to its end.
 * @param index NEIGH_ARP_TABLE or NEIGH_ND_TABLE
 */
export const neigh_table_init = kfunc('neigh_table_init', (index: number, tbl: neigh_table): void => {
  const now = jiffies()
  tbl.parms.tbl = tbl
  tbl.parms_list.push(tbl.parms)
  tbl.parms.net = init_net
  tbl.parms.refcnt = 1
  tbl.parms.reachable_time = neigh_rand_reach_time(NEIGH_VAR(tbl.parms, NEIGH_VAR_BASE_REACHABLE_TIME))
  tbl.parms.qlen = 0
  tbl.nht = neigh_hash_alloc(3)
  if (!tbl.entry_size) tbl.entry_size = SIZEOF_NEIGHBOUR + ((tbl.key_len + 7) & ~7)
  tbl.proxy_timer = new timer_list(tbl)
  timer_setup(tbl.proxy_timer, neigh_proxy_process, 0)
  tbl.last_flush = now
  tbl.last_rand = now + tbl.parms.reachable_time * 20
  neigh_tables[index] = tbl
})

/** `ip neigh add|change|replace`. @param ndm_flags NTF_*; @param nlmsg_flags NLM_F_CREATE, _EXCL, _REPLACE */
export const neigh_add = kfunc(
  'neigh_add',
  (
    tbl: neigh_table,
    dev: net_device,
    dst: neigh_key,
    lladdr: Uint8Array | null,
    ndm_state: number,
    ndm_flags: number,
    nlmsg_flags: number,
  ): number => {
    let flags = NEIGH_UPDATE_F_ADMIN | NEIGH_UPDATE_F_OVERRIDE | NEIGH_UPDATE_F_OVERRIDE_ISROUTER
    if (lladdr !== null && lladdr.length < dev.addr_len) {
      NL_SET_ERR_MSG(null, 'Invalid link address')
      return -EINVAL
    }
    let neigh: neighbour | number | null = neigh_lookup(tbl, dst, dev)
    if (neigh === null) {
      const exempt_from_gc = (ndm_state & NUD_PERMANENT) !== 0 || (ndm_flags & NTF_EXT_LEARNED) !== 0
      if (!(nlmsg_flags & NLM_F_CREATE)) return -ENOENT
      neigh = ___neigh_create(tbl, dst, dev, ndm_flags & (NTF_EXT_LEARNED | NTF_MANAGED), exempt_from_gc, true)
      if (IS_ERR(neigh)) return neigh
    } else {
      if (nlmsg_flags & NLM_F_EXCL) {
        neigh_release(neigh)
        return -EEXIST
      }
      if (!(nlmsg_flags & NLM_F_REPLACE)) flags &= ~(NEIGH_UPDATE_F_OVERRIDE | NEIGH_UPDATE_F_OVERRIDE_ISROUTER)
    }
    if (ndm_flags & NTF_ROUTER) flags |= NEIGH_UPDATE_F_ISROUTER
    const err = __neigh_update(neigh, lladdr, ndm_state, flags, 0)
    neigh_release(neigh)
    return err
  },
)

/** `ip neigh del` */
export const neigh_delete = kfunc('neigh_delete', (tbl: neigh_table, dev: net_device, dst: neigh_key): number => {
  const neigh = neigh_lookup(tbl, dst, dev)
  if (neigh === null) return -ENOENT
  const err = __neigh_update(neigh, null, NUD_FAILED, NEIGH_UPDATE_F_OVERRIDE | NEIGH_UPDATE_F_ADMIN, 0)
  write_lock_bh(tbl.lock)
  neigh_release(neigh)
  neigh_remove_one(neigh, tbl)
  write_unlock_bh(tbl.lock)
  return err
})

export const neigh_for_each = kfunc(
  'neigh_for_each',
  (tbl: neigh_table, cb: (n: neighbour, cookie: unknown) => void, cookie: unknown): void => {
    rcu_read_lock()
    for (const head of tbl.nht.hash_buckets) for (let n = head; n !== null; n = n.next) cb(n, cookie)
    rcu_read_unlock()
  },
)
