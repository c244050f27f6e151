import { kfunc } from '../../../trace/kfunc.ts'
import {
  HZ,
  RTN_LOCAL,
  SKB_DROP_REASON_DUP_FRAG,
  SKB_DROP_REASON_FRAG_REASM_TIMEOUT,
  SKB_DROP_REASON_FRAG_TOO_FAR,
  SKB_DROP_REASON_NOT_SPECIFIED,
} from '../../include/generated/enums.ts'
import { E2BIG, EINPROGRESS, EINVAL, ENOENT, ENOMEM, ETIMEDOUT } from '../../include/linux/errno.ts'
import { ICMP_EXC_FRAGTIME, ICMP_TIME_EXCEEDED } from '../../include/linux/icmp.ts'
import { INET_ECN_MASK, ip_hdr, ip_hdrlen, type iphdr } from '../../include/linux/ip.ts'
import { jhash_3words } from '../../include/linux/jhash.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import { CHECKSUM_NONE, CHECKSUM_UNNECESSARY, type sk_buff, skb_dst, skb_network_offset } from '../../include/linux/skbuff.ts'
import type { kmem_cache } from '../../include/linux/slab.ts'
import { from_timer, type timer_list } from '../../include/linux/timer.ts'
import type { ref } from '../../include/linux/types.ts'
import {
  type fqdir,
  type frag_v4_compare_key,
  INET_FRAG_COMPLETE,
  INET_FRAG_DROP,
  INET_FRAG_FIRST_IN,
  INET_FRAG_LAST_IN,
  IPFRAG_DUP,
  inet_frag_queue,
  type inet_frags,
} from '../../include/net/inet_frag.ts'
import {
  IP_DEFRAG_LOCAL_DELIVER,
  IP_DF,
  IP_MF,
  IP_OFFSET,
  IPCB,
  IPSKB_FRAG_COMPLETE,
  IPSKB_FRAG_PMTU,
} from '../../include/net/ip.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { type rtable, skb_rtable } from '../../include/net/route.ts'
import { spin_lock, spin_unlock } from '../../kernel/locking/spinlock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { jiffies, mod_timer } from '../../kernel/time/timer.ts'
import { dev_get_by_index_rcu } from '../core/dev.ts'
import { skb_dst_drop } from '../core/dst.ts'
import { register_pernet_subsys } from '../core/net_namespace.ts'
import { kfree_skb, kfree_skb_reason, pskb_pull, pskb_trim_rcsum, skb_orphan } from '../core/skbuff.ts'
import { l3mdev_master_ifindex_rcu } from '../l3mdev/l3mdev.ts'
import { icmp_send } from './icmp.ts'
import {
  fqdir_exit,
  fqdir_init,
  fqdir_pre_exit,
  inet_frag_find,
  inet_frag_kill,
  inet_frag_pull_head,
  inet_frag_putn,
  inet_frag_queue_flush,
  inet_frag_queue_insert,
  inet_frag_reasm_finish,
  inet_frag_reasm_prepare,
  inet_frags_init,
  ip_frag_ecn_table,
} from './inet_fragment.ts'
import { inet_getpeer_v4, type inet_peer, type inet_peer_base, inet_putpeer } from './inetpeer.ts'
import { ip_send_check } from './ip_output.ts'
import { ip_route_input_noref } from './route.ts'

/** users of reassembly that tell nobody when it fails, unless the datagram was for this host */
const IP_DEFRAG_CONNTRACK_IN = 2
const IP_DEFRAG_CONNTRACK_IN_END = 2 + 0xffff
const IP_DEFRAG_CONNTRACK_BRIDGE_IN = 2 + 2 * 0x10000
const IP_DEFRAG_CONNTRACK_BRIDGE_IN_END = IP_DEFRAG_CONNTRACK_BRIDGE_IN + 0xffff
const IP_DEFRAG_AF_PACKET = IP_DEFRAG_CONNTRACK_BRIDGE_IN_END + 4

/** struct ipq */
class ipq extends inet_frag_queue {
  declare key: frag_v4_compare_key
  ecn = 0
  max_df_size = 0
  iif = 0
  rid = 0
  peer: inet_peer | null = null
}

let ip4_frags: inet_frags

const ip4_frag_ecn = (tos: number): number => 1 << (tos & INET_ECN_MASK)

const ip4_frag_init = kfunc('ip4_frag_init', (q: inet_frag_queue, key: frag_v4_compare_key): void => {
  const qp = q as ipq
  q.key = key
  qp.ecn = 0
  let p: inet_peer | null = null
  if (q.fqdir.max_dist) {
    rcu_read_lock()
    p = inet_getpeer_v4(q.fqdir.net.ipv4.peers as inet_peer_base, key.saddr, key.vif)
    if (p !== null) p.refcnt++
    rcu_read_unlock()
  }
  qp.peer = p
})

const ip4_frag_free = kfunc('ip4_frag_free', (q: inet_frag_queue): void => {
  const { peer } = q as ipq
  if (peer !== null) inet_putpeer(peer)
})

const frag_expire_skip_icmp = kfunc('frag_expire_skip_icmp', (user: number): boolean => {
  return (
    user === IP_DEFRAG_AF_PACKET ||
    (user >= IP_DEFRAG_CONNTRACK_IN && user <= IP_DEFRAG_CONNTRACK_IN_END) ||
    (user >= IP_DEFRAG_CONNTRACK_BRIDGE_IN && user <= IP_DEFRAG_CONNTRACK_BRIDGE_IN_END)
  )
})

/** the rest of a datagram did not come in time */
const ip_expire = kfunc('ip_expire', (t: timer_list): void => {
  const qp = from_timer<ipq>(t)
  const n = qp.fqdir.net
  const refs: ref<number> = { v: 1 }
  let head: sk_buff | null = null
  let send = false
  rcu_read_lock()
  spin_lock(qp.lock)
  if (!(qp.flags & INET_FRAG_COMPLETE)) {
    qp.flags |= INET_FRAG_DROP
    inet_frag_kill(qp, refs)
    if (qp.fqdir.dead) inet_frag_queue_flush(qp, 0)
    else {
      n.mib.ip.ReasmFails++
      n.mib.ip.ReasmTimeout++
      if (qp.flags & INET_FRAG_FIRST_IN) head = inet_frag_pull_head(qp)
      if (head !== null) {
        const dev = dev_get_by_index_rcu(n, qp.iif)
        head.dev = dev
        if (dev !== null) {
          const iph = ip_hdr(head)
          send =
            ip_route_input_noref(head, iph.daddr, iph.saddr, iph.tos, dev) === 0 &&
            !(frag_expire_skip_icmp(qp.key.user) && (skb_rtable(head) as rtable).rt_type !== RTN_LOCAL)
        }
      }
    }
  }
  spin_unlock(qp.lock)
  if (send && head !== null) icmp_send(head, ICMP_TIME_EXCEEDED, ICMP_EXC_FRAGTIME, 0)
  rcu_read_unlock()
  kfree_skb_reason(head, SKB_DROP_REASON_FRAG_REASM_TIMEOUT)
  inet_frag_putn(qp, refs.v)
})

const ip_find = kfunc('ip_find', (n: net, iph: iphdr, user: number, vif: number): ipq | null => {
  const key: frag_v4_compare_key = { saddr: iph.saddr, daddr: iph.daddr, user, vif, id: iph.id, protocol: iph.protocol }
  return inet_frag_find(n.ipv4.fqdir as fqdir, key) as ipq | null
})

const ip_frag_too_far = kfunc('ip_frag_too_far', (qp: ipq): boolean => {
  const { peer } = qp
  const max = qp.fqdir.max_dist
  if (peer === null || !max) return false
  const start = qp.rid
  const end = ++peer.rid
  qp.rid = end
  const rc = qp.fragments_tail !== null && end - start > max
  if (rc) qp.fqdir.net.mib.ip.ReasmFails++
  return rc
})

const ip_frag_reinit = kfunc('ip_frag_reinit', (qp: ipq): number => {
  if (!mod_timer(qp.timer, jiffies() + qp.fqdir.timeout)) {
    qp.refcnt++
    return -ETIMEDOUT
  }
  inet_frag_queue_flush(qp, SKB_DROP_REASON_FRAG_TOO_FAR)
  qp.flags = 0
  qp.len = 0
  qp.meat = 0
  qp.iif = 0
  qp.ecn = 0
  return 0
})

/** adds a fragment. 0: the datagram is complete and `skb` is it; -EINPROGRESS: it waits; else it was dropped */
const ip_frag_queue = kfunc('ip_frag_queue', (qp: ipq, skb: sk_buff, refs: ref<number>): number => {
  const n = qp.fqdir.net
  const drop = (err: number, reason: number): number => {
    kfree_skb_reason(skb, reason)
    return err
  }
  const discard_qp = (err: number): number => {
    inet_frag_kill(qp, refs)
    n.mib.ip.ReasmFails++
    return drop(err, SKB_DROP_REASON_NOT_SPECIFIED)
  }
  if (qp.flags & INET_FRAG_COMPLETE) return drop(-ENOENT, SKB_DROP_REASON_DUP_FRAG)
  if (!(IPCB(skb).flags & IPSKB_FRAG_COMPLETE) && ip_frag_too_far(qp)) {
    const err = ip_frag_reinit(qp)
    if (err) {
      inet_frag_kill(qp, refs)
      return drop(err, SKB_DROP_REASON_NOT_SPECIFIED)
    }
  }
  const ecn = ip4_frag_ecn(ip_hdr(skb).tos)
  const { frag_off } = ip_hdr(skb)
  const flags = frag_off & ~IP_OFFSET
  const offset = (frag_off & IP_OFFSET) << 3
  const ihl = ip_hdrlen(skb)
  let end = offset + skb.len - skb_network_offset(skb) - ihl
  if ((flags & IP_MF) === 0) {
    if (end < qp.len || (qp.flags & INET_FRAG_LAST_IN && end !== qp.len)) return discard_qp(-EINVAL)
    qp.flags |= INET_FRAG_LAST_IN
    qp.len = end
  } else {
    if (end & 7) {
      end &= ~7
      if (skb.ip_summed !== CHECKSUM_UNNECESSARY) skb.ip_summed = CHECKSUM_NONE
    }
    if (end > qp.len) {
      if (qp.flags & INET_FRAG_LAST_IN) return discard_qp(-EINVAL)
      qp.len = end
    }
  }
  if (end === offset) return discard_qp(-EINVAL)
  if (pskb_pull(skb, skb_network_offset(skb) + ihl) < 0) return discard_qp(-ENOMEM)
  let err = pskb_trim_rcsum(skb, end - offset)
  if (err) return discard_qp(err)
  const { dev } = skb
  const prev_tail = qp.fragments_tail
  err = inet_frag_queue_insert(qp, skb, offset, end)
  if (err) {
    if (err === IPFRAG_DUP) return drop(-EINVAL, SKB_DROP_REASON_DUP_FRAG)
    n.mib.ip.ReasmOverlaps++
    return discard_qp(-EINVAL)
  }
  if (dev !== null) qp.iif = dev.ifindex
  qp.stamp = skb.tstamp
  qp.tstamp_type = skb.tstamp_type
  qp.meat += skb.len
  qp.ecn |= ecn
  qp.fqdir.mem += skb.truesize
  if (offset === 0) qp.flags |= INET_FRAG_FIRST_IN
  const fragsize = skb.len + ihl
  if (fragsize > qp.max_size) qp.max_size = fragsize
  if (ip_hdr(skb).frag_off & IP_DF && fragsize > qp.max_df_size) qp.max_df_size = fragsize
  if (qp.flags === (INET_FRAG_FIRST_IN | INET_FRAG_LAST_IN) && qp.meat === qp.len) {
    const { _skb_refdst, dst_noref } = skb
    skb._skb_refdst = null
    skb.dst_noref = false
    err = ip_frag_reasm(qp, skb, prev_tail, dev, refs)
    skb._skb_refdst = _skb_refdst
    skb.dst_noref = dst_noref
    if (err) inet_frag_kill(qp, refs)
    return err
  }
  skb_dst_drop(skb)
  skb_orphan(skb)
  return -EINPROGRESS
})

const ip_frag_coalesce_ok = kfunc('ip_frag_coalesce_ok', (qp: ipq): boolean => qp.key.user === IP_DEFRAG_LOCAL_DELIVER)

/** makes one datagram of all fragments, in `skb` */
const ip_frag_reasm = kfunc(
  'ip_frag_reasm',
  (qp: ipq, skb: sk_buff, prev_tail: sk_buff | null, dev: net_device | null, refs: ref<number>): number => {
    const n = qp.fqdir.net
    const fail = (err: number): number => {
      n.mib.ip.ReasmFails++
      return err
    }
    inet_frag_kill(qp, refs)
    const ecn = ip_frag_ecn_table[qp.ecn] ?? 0
    if (ecn === 0xff) return fail(-EINVAL)
    const reasm_data = inet_frag_reasm_prepare(qp, skb, prev_tail)
    if (reasm_data === null) return fail(-ENOMEM)
    const len = ip_hdrlen(skb) + qp.len
    if (len > 65535) return fail(-E2BIG)
    inet_frag_reasm_finish(qp, skb, reasm_data, ip_frag_coalesce_ok(qp))
    skb.dev = dev
    IPCB(skb).frag_max_size = Math.max(qp.max_df_size, qp.max_size)
    const iph = ip_hdr(skb)
    iph.tot_len = len
    iph.tos |= ecn
    // a datagram of which the largest piece must not be fragmented must not be as a whole
    if (qp.max_df_size === qp.max_size) {
      IPCB(skb).flags |= IPSKB_FRAG_PMTU
      iph.frag_off = IP_DF
    } else iph.frag_off = 0
    ip_send_check(iph)
    n.mib.ip.ReasmOKs++
    qp.rb_fragments = []
    qp.fragments_tail = null
    qp.last_run_head = null
    return 0
  },
)

/** takes a fragment; 0 when `skb` is the whole datagram now, otherwise it is gone */
export const ip_defrag = kfunc('ip_defrag', (n: net, skb: sk_buff, user: number): number => {
  n.mib.ip.ReasmReqds++
  rcu_read_lock()
  const dev = skb.dev ?? skb_dst(skb)?.dev ?? null
  const vif = l3mdev_master_ifindex_rcu(dev)
  const qp = ip_find(n, ip_hdr(skb), user, vif)
  if (qp !== null) {
    const refs: ref<number> = { v: 0 }
    spin_lock(qp.lock)
    const ret = ip_frag_queue(qp, skb, refs)
    spin_unlock(qp.lock)
    rcu_read_unlock()
    inet_frag_putn(qp, refs.v)
    return ret
  }
  rcu_read_unlock()
  n.mib.ip.ReasmFails++
  kfree_skb(skb)
  return -ENOMEM
})

const hash_key = (k: frag_v4_compare_key): number =>
  jhash_3words(k.saddr, k.daddr, ((k.id << 16) | k.protocol) ^ (k.user << 8) ^ k.vif, 0) >>> 0

const ip4_key_hashfn = kfunc('ip4_key_hashfn', (key: frag_v4_compare_key, _len: number, _seed: number): number => hash_key(key))
const ip4_obj_hashfn = kfunc('ip4_obj_hashfn', (q: inet_frag_queue, _len: number, _seed: number): number =>
  hash_key((q as ipq).key),
)
const ip4_obj_cmpfn = kfunc('ip4_obj_cmpfn', (key: frag_v4_compare_key, q: inet_frag_queue): number => {
  const k = (q as ipq).key
  return k.saddr === key.saddr &&
    k.daddr === key.daddr &&
    k.user === key.user &&
    k.vif === key.vif &&
    k.id === key.id &&
    k.protocol === key.protocol
    ? 0
    : 1
})

const ipv4_frags_init_net = kfunc('ipv4_frags_init_net', (n: net): number => {
  const d: ref<fqdir | null> = { v: null }
  const res = fqdir_init(d, ip4_frags, n)
  if (res < 0 || d.v === null) return res
  n.ipv4.fqdir = d.v
  d.v.high_thresh = 4 * 1024 * 1024
  d.v.low_thresh = 3 * 1024 * 1024
  d.v.timeout = 30 * HZ
  d.v.max_dist = 64
  return 0
})

export const ipfrag_init = kfunc('ipfrag_init', (): void => {
  ip4_frags = {
    qsize: 200,
    alloc: () => new ipq(),
    constructor_: ip4_frag_init,
    destructor_: ip4_frag_free,
    frag_expire: ip_expire,
    frags_cachep: null as unknown as kmem_cache,
    frags_cache_name: 'ip4-frags',
    hashfn: ip4_key_hashfn,
    obj_hashfn: ip4_obj_hashfn,
    obj_cmpfn: ip4_obj_cmpfn,
  }
  inet_frags_init(ip4_frags)
  register_pernet_subsys({
    init: ipv4_frags_init_net,
    exit: (n: net): void => {
      fqdir_pre_exit(n.ipv4.fqdir as fqdir)
      fqdir_exit(n.ipv4.fqdir as fqdir)
    },
  })
})
