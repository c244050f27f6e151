import { kfunc } from '../../../trace/kfunc.ts'
import { decide, tracer } from '../../../trace/tracer.ts'
import { HZ, TCP_NEW_SYN_RECV, TCP_TIME_WAIT } from '../../include/generated/enums.ts'
import { list_add, list_del } from '../../include/linux/list.ts'
import { GFP_ATOMIC, type kmem_cache } from '../../include/linux/slab.ts'
import { from_timer, timer_list } from '../../include/linux/timer.ts'
import { inet_csk } from '../../include/net/inet_connection_sock.ts'
import { hlist_nulls_del_init_rcu, type hlist_nulls_head, type inet_hashinfo } from '../../include/net/inet_hashtables.ts'
import { INET_FLAGS_TRANSPARENT, inet_sk, inet_test_bit } from '../../include/net/inet_sock.ts'
import {
  type inet_timewait_death_row,
  type inet_timewait_sock,
  inet_twsk,
  tcp_timewait_sock,
  type timewait_sock_ops,
  twsk_net,
} from '../../include/net/inet_timewait_sock.ts'
import { inet_reqsk } from '../../include/net/request_sock.ts'
import type { sock, sock_common } from '../../include/net/sock.ts'
import { spin_lock, spin_unlock } from '../../kernel/locking/spinlock.ts'
import { __module_get, module_put } from '../../kernel/module/main.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { local_bh_disable, local_bh_enable } from '../../kernel/softirq.ts'
import { jiffies, mod_timer, mod_timer_pending, timer_setup, timer_shutdown_sync } from '../../kernel/time/timer.ts'
import { kmem_cache_alloc_noprof, kmem_cache_free } from '../../mm/slub.ts'
import { sock_prot_inuse_add } from '../core/sock.ts'
import { inet_csk_reqsk_queue_drop_and_put } from './inet_connection_sock.ts'
import {
  inet_bhash_bucket,
  inet_bhashfn,
  inet_bhashfn_portaddr,
  inet_bind_bucket_destroy,
  inet_bind2_bucket_destroy,
  inet_ehash_lockp,
  sk_nulls_del_node_init_rcu,
} from './inet_hashtables.ts'

/** the locks of the bind buckets are held */
export const inet_twsk_bind_unhash = kfunc('inet_twsk_bind_unhash', (tw: inet_timewait_sock, hashinfo: inet_hashinfo): void => {
  const { tw_tb: tb, tw_tb2: tb2 } = tw

  if (tb === null || tb2 === null) return

  list_del(tw.skc_bind_node)
  tw.tw_tb = null
  tw.tw_tb2 = null
  inet_bind2_bucket_destroy(hashinfo.bind2_bucket_cachep, tb2)
  inet_bind_bucket_destroy(hashinfo.bind_bucket_cachep, tb)

  tw.skc_refcnt--
})

const inet_twsk_kill = kfunc('inet_twsk_kill', (tw: inet_timewait_sock): void => {
  const { hashinfo } = tw.tw_dr
  const net = twsk_net(tw)
  const lock = inet_ehash_lockp(hashinfo, tw.skc_hash)

  spin_lock(lock)
  sk_nulls_del_node_init_rcu(tw)
  spin_unlock(lock)

  const bhead = inet_bhash_bucket(hashinfo, inet_bhashfn(net, tw.skc_num, hashinfo.bhash_size))
  const bhead2 = inet_bhashfn_portaddr(hashinfo, tw, net, tw.skc_num)

  spin_lock(bhead.lock)
  spin_lock(bhead2.lock)
  inet_twsk_bind_unhash(tw, hashinfo)
  spin_unlock(bhead2.lock)
  spin_unlock(bhead.lock)

  tw.tw_dr.tw_refcount--
  inet_twsk_put(tw)
})

const twsk_destructor = kfunc('twsk_destructor', (sk: inet_timewait_sock): void => {
  const ops = sk.skc_prot.twsk_prot as timewait_sock_ops
  ops.twsk_destructor?.(sk as unknown as sock)
})

export const inet_twsk_free = kfunc('inet_twsk_free', (tw: inet_timewait_sock): void => {
  const ops = tw.skc_prot.twsk_prot as timewait_sock_ops
  twsk_destructor(tw)
  kmem_cache_free(ops.twsk_slab as kmem_cache, tw)
  module_put(null)
})

export const inet_twsk_put = kfunc('inet_twsk_put', (tw: inet_timewait_sock): void => {
  if (--tw.skc_refcnt === 0) inet_twsk_free(tw)
})

const inet_twsk_schedule = kfunc('inet_twsk_schedule', (tw: inet_timewait_sock, timeo: number): void => {
  __inet_twsk_schedule(tw, timeo, false)
})

/** `tw` takes the place of `sk` in the tables, for `timeo` jiffies */
export const inet_twsk_hashdance_schedule = kfunc(
  'inet_twsk_hashdance_schedule',
  (tw: inet_timewait_sock, sk: sock, hashinfo: inet_hashinfo, timeo: number): void => {
    const icsk = inet_csk(sk)
    const net = twsk_net(tw)
    const lock = inet_ehash_lockp(hashinfo, sk.sk_hash)
    const bhead = inet_bhash_bucket(hashinfo, inet_bhashfn(net, icsk.inet_num, hashinfo.bhash_size))
    const bhead2 = inet_bhashfn_portaddr(hashinfo, sk, net, icsk.inet_num)

    local_bh_disable()
    spin_lock(bhead.lock)
    spin_lock(bhead2.lock)

    tw.tw_tb = icsk.icsk_bind_hash
    tw.tw_tb2 = icsk.icsk_bind2_hash
    if (tw.tw_tb2 !== null) list_add(tw.skc_bind_node, tw.tw_tb2.owners)

    spin_unlock(bhead2.lock)
    spin_unlock(bhead.lock)

    spin_lock(lock)

    // bhash, ehash and the timer
    tw.skc_refcnt = 3

    const h = sk.skc_node as hlist_nulls_head | null
    if (h !== null) {
      const { skc_nulls_next: next, skc_nulls_prev: prev } = sk
      hlist_nulls_del_init_rcu(sk)
      tw.skc_node = h
      tw.skc_nulls_next = next
      tw.skc_nulls_prev = prev
      if (prev === null) h.first = tw
      else prev.skc_nulls_next = tw
      if (next !== null) next.skc_nulls_prev = tw
    }
    sock_prot_inuse_add(sk.sk_net, sk.sk_prot, -1)

    inet_twsk_schedule(tw, timeo)

    spin_unlock(lock)
    local_bh_enable()
  },
)

const tw_timer_handler = kfunc('tw_timer_handler', (t: timer_list): void => {
  inet_twsk_kill(from_timer<inet_timewait_sock>(t))
})

/** null when there are too many (net.ipv4.tcp_max_tw_buckets) */
export const inet_twsk_alloc = kfunc(
  'inet_twsk_alloc',
  (sk: sock, dr: inet_timewait_death_row, state: number): inet_timewait_sock | null => {
    if (dr.tw_refcount - 1 >= dr.sysctl_max_tw_buckets) return null

    const ops = sk.sk_prot_creator.twsk_prot as timewait_sock_ops
    kmem_cache_alloc_noprof(ops.twsk_slab as kmem_cache, GFP_ATOMIC)
    const tw = new tcp_timewait_sock()
    const inet = inet_sk(sk)

    tw.tw_dr = dr
    tw.skc_daddr = inet.inet_daddr
    tw.skc_rcv_saddr = inet.inet_rcv_saddr
    tw.skc_bound_dev_if = sk.sk_bound_dev_if
    tw.tw_tos = inet.tos
    tw.skc_num = inet.inet_num
    tw.skc_state = TCP_TIME_WAIT
    tw.tw_substate = state
    tw.tw_sport = inet.inet_sport
    tw.skc_dport = inet.inet_dport
    tw.skc_family = sk.sk_family
    tw.skc_reuse = sk.sk_reuse
    tw.skc_reuseport = sk.sk_reuseport
    tw.skc_hash = sk.sk_hash
    tw.skc_ipv6only = 0
    tw.tw_transparent = inet_test_bit(INET_FLAGS_TRANSPARENT, sk) ? 1 : 0
    tw.skc_prot = sk.sk_prot_creator
    tw.skc_cookie = sk.skc_cookie
    tw.skc_net = sk.sk_net
    tw.tw_timer = new timer_list(tw)
    timer_setup(tw.tw_timer, tw_timer_handler, 0)
    tw.skc_refcnt = 0

    __module_get(null)
    return tw
  },
)

/** ends a TIME_WAIT early; takes the caller's reference */
export const inet_twsk_deschedule_put = kfunc('inet_twsk_deschedule_put', (tw: inet_timewait_sock): void => {
  const lock = inet_ehash_lockp(tw.tw_dr.hashinfo, tw.skc_hash)

  // whoever is arming the timer has the lock
  spin_lock(lock)
  spin_unlock(lock)

  if (timer_shutdown_sync(tw.tw_timer)) inet_twsk_kill(tw)
  inet_twsk_put(tw)
})

export const __inet_twsk_schedule = kfunc(
  '__inet_twsk_schedule',
  (tw: inet_timewait_sock, timeo: number, rearm: boolean): void => {
    if (tracer.on) decide('__inet_twsk_schedule', rearm ? 'TIME_WAIT again' : 'TIME_WAIT', { ms: (timeo * 1000) / HZ })
    if (!rearm) {
      const { linux } = twsk_net(tw).mib
      if (timeo <= 4 * HZ) linux.TWKilled++
      else linux.TW++
      mod_timer(tw.tw_timer, jiffies() + timeo)
      tw.tw_dr.tw_refcount++
    } else {
      mod_timer_pending(tw.tw_timer, jiffies() + timeo)
    }
  },
)

export const inet_twsk_reschedule = kfunc('inet_twsk_reschedule', (tw: inet_timewait_sock, timeo: number): void => {
  __inet_twsk_schedule(tw, timeo, true)
})

/** a namespace goes: with it what is no full socket any more, or not yet */
export const inet_twsk_purge = kfunc('inet_twsk_purge', (hashinfo: inet_hashinfo): void => {
  for (const head of hashinfo.ehash) {
    if (head === undefined || head.first === null) continue

    rcu_read_lock()
    for (let sk: sock_common | null = head.first; sk !== null; ) {
      const state = sk.skc_state
      if ((state !== TCP_TIME_WAIT && state !== TCP_NEW_SYN_RECV) || sk.skc_net.ns.count !== 0 || sk.skc_refcnt === 0) {
        sk = sk.skc_nulls_next
        continue
      }
      sk.skc_refcnt++

      rcu_read_unlock()
      local_bh_disable()
      if (state === TCP_TIME_WAIT) {
        inet_twsk_deschedule_put(inet_twsk(sk))
      } else {
        const req = inet_reqsk(sk)
        if (req.rsk_listener !== null) inet_csk_reqsk_queue_drop_and_put(req.rsk_listener, req)
      }
      local_bh_enable()
      rcu_read_lock()
      sk = head.first
    }
    rcu_read_unlock()
  }
})
