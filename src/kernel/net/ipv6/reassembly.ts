import { kfunc } from '../../../trace/kfunc.ts'
import { decide, tracer } from '../../../trace/tracer.ts'
import {
  HZ,
  SKB_DROP_REASON_DUP_FRAG,
  SKB_DROP_REASON_FRAG_REASM_TIMEOUT,
  SKB_DROP_REASON_NOT_SPECIFIED,
} from '../../include/generated/enums.ts'
import { EINPROGRESS, EINVAL, ENOENT, ENOMEM } from '../../include/linux/errno.ts'
import { ICMPV6_EXC_FRAGTIME, ICMPV6_HDR_FIELD, ICMPV6_HDR_INCOMP, ICMPV6_TIME_EXCEED } from '../../include/linux/icmpv6.ts'
import {
  IPV6_ADDR_LINKLOCAL,
  IPV6_ADDR_MULTICAST,
  IPV6_MAXPLEN,
  ipv6_addr_equal,
  NEXTHDR_FRAGMENT,
  s6_addr32,
} from '../../include/linux/in6.ts'
import { INET_ECN_MASK } from '../../include/linux/ip.ts'
import {
  IP6_MF,
  IP6_OFFSET,
  IP6CB,
  IP6SKB_FRAGMENTED,
  ipv6_hdr,
  type ipv6hdr,
  SIZEOF_FRAG_HDR,
  SIZEOF_IPV6HDR,
} from '../../include/linux/ipv6.ts'
import { jhash2 } from '../../include/linux/jhash.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import {
  CHECKSUM_COMPLETE,
  type sk_buff,
  skb_dst,
  skb_mac_header_was_set,
  skb_network_header_len,
  skb_network_offset,
  skb_transport_offset,
} from '../../include/linux/skbuff.ts'
import type { kmem_cache } from '../../include/linux/slab.ts'
import { from_timer, type timer_list } from '../../include/linux/timer.ts'
import type { ref } from '../../include/linux/types.ts'
import {
  type fqdir,
  type frag_v6_compare_key,
  INET_FRAG_COMPLETE,
  INET_FRAG_DROP,
  INET_FRAG_FIRST_IN,
  INET_FRAG_LAST_IN,
  IPFRAG_DUP,
  inet_frag_queue,
  type inet_frags,
} from '../../include/net/inet_frag.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { IP6_INC_STATS, net_ipv6 } from '../../include/net/netns_ipv6.ts'
import { spin_lock, spin_unlock } from '../../kernel/locking/spinlock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { csum_partial, csum_sub } from '../../lib/checksum.ts'
import { dev_get_by_index_rcu } from '../core/dev.ts'
import { skb_dst_drop } from '../core/dst.ts'
import { register_pernet_subsys } from '../core/net_namespace.ts'
import {
  kfree_skb,
  kfree_skb_reason,
  pskb_may_pull,
  pskb_pull,
  pskb_trim_rcsum,
  skb_orphan,
  skb_postpush_rcsum,
} from '../core/skbuff.ts'
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
} from '../ipv4/inet_fragment.ts'
import { ipv6_addr_type } from './addrconf_core.ts'
import { ipv6_skip_exthdr } from './exthdrs_core.ts'
import { icmpv6_param_prob, icmpv6_send } from './icmp.ts'
import { INET6_PROTO_NOPOLICY, inet6_add_protocol } from './protocol.ts'

const IP6_DEFRAG_LOCAL_DELIVER = 0
const IPV6_FRAG_TIMEOUT: number = 60 * HZ
const IPV6_FRAG_HIGH_THRESH: number = 4 * 1024 * 1024
const IPV6_FRAG_LOW_THRESH: number = 3 * 1024 * 1024

/** struct frag_queue */
class frag_queue extends inet_frag_queue {
  declare key: frag_v6_compare_key
  iif = 0
  nhoffset = 0
  ecn = 0
}

let ip6_frags: inet_frags

const ip6_frag_ecn = (hdr: ipv6hdr): number => 1 << (hdr.dsfield & INET_ECN_MASK)

/** the rest of a datagram did not come in time */
const ip6frag_expire_frag_queue = kfunc('ip6frag_expire_frag_queue', (n: net, fq: frag_queue): void => {
  const refs: ref<number> = { v: 1 }
  let head: sk_buff | null = null
  rcu_read_lock()
  spin_lock(fq.lock)
  if (!(fq.flags & INET_FRAG_COMPLETE)) {
    fq.flags |= INET_FRAG_DROP
    inet_frag_kill(fq, refs)
    if (fq.fqdir.dead) inet_frag_queue_flush(fq, 0)
    else {
      const dev = dev_get_by_index_rcu(n, fq.iif)
      if (dev !== null) {
        IP6_INC_STATS(n, 'ReasmFails')
        IP6_INC_STATS(n, 'ReasmTimeout')
        // whoever sent only later pieces would not know what an error is about
        if (fq.flags & INET_FRAG_FIRST_IN) head = inet_frag_pull_head(fq)
        if (head !== null) head.dev = dev
      }
    }
  }
  spin_unlock(fq.lock)
  if (head !== null) {
    icmpv6_send(head, ICMPV6_TIME_EXCEED, ICMPV6_EXC_FRAGTIME, 0)
    kfree_skb_reason(head, SKB_DROP_REASON_FRAG_REASM_TIMEOUT)
  }
  rcu_read_unlock()
  inet_frag_putn(fq, refs.v)
})

const ip6_frag_expire = kfunc('ip6_frag_expire', (t: timer_list): void => {
  const fq = from_timer<frag_queue>(t)
  ip6frag_expire_frag_queue(fq.fqdir.net, fq)
})

const fq_find = kfunc('fq_find', (n: net, id: number, hdr: ipv6hdr, iif: number): frag_queue | null => {
  const { saddr, daddr } = hdr
  const key: frag_v6_compare_key = {
    id,
    saddr: saddr.slice(),
    daddr: daddr.slice(),
    user: IP6_DEFRAG_LOCAL_DELIVER,
    iif: ipv6_addr_type(daddr) & (IPV6_ADDR_MULTICAST | IPV6_ADDR_LINKLOCAL) ? iif : 0,
  }
  return inet_frag_find(net_ipv6(n).fqdir as fqdir, key) as frag_queue | null
})

/** where the fragment header lies in the head, and what it says */
interface frag_hdr {
  at: number
  frag_off: number
  identification: number
}
function frag_hdr_of(skb: sk_buff): frag_hdr {
  const b = skb.head.bytes
  const at = skb.transport_header
  const word = (i: number): number => ((b[i] ?? 0) << 8) | (b[i + 1] ?? 0)
  return { at, frag_off: word(at + 2), identification: ((word(at + 4) << 16) | word(at + 6)) >>> 0 }
}

/** adds a fragment. 1: the datagram is complete and `skb` is it; else the fragment waits or was dropped. `prob_offset`: what was wrong with it */
const ip6_frag_queue = kfunc(
  'ip6_frag_queue',
  (n: net, fq: frag_queue, skb: sk_buff, fhdr: frag_hdr, nhoff: number, prob_offset: ref<number>, refs: ref<number>): number => {
    const drop = (err: number, reason: number): number => {
      kfree_skb_reason(skb, reason)
      return err
    }
    const discard_fq = (err: number): number => {
      inet_frag_kill(fq, refs)
      IP6_INC_STATS(n, 'ReasmFails')
      return drop(err, SKB_DROP_REASON_NOT_SPECIFIED)
    }
    if (fq.flags & INET_FRAG_COMPLETE) return drop(-ENOENT, SKB_DROP_REASON_DUP_FRAG)
    const hdr = ipv6_hdr(skb)
    const offset = fhdr.frag_off & IP6_OFFSET
    const behind = fhdr.at + SIZEOF_FRAG_HDR
    const end = offset + hdr.payload_len - (behind - skb.network_header - SIZEOF_IPV6HDR)
    if (end > IPV6_MAXPLEN) {
      prob_offset.v = fhdr.at + 2 - skb.network_header
      return -1
    }
    const ecn = ip6_frag_ecn(hdr)
    if (skb.ip_summed === CHECKSUM_COMPLETE)
      skb.csum = csum_sub(skb.csum, csum_partial(skb.head.bytes, skb.network_header, behind - skb.network_header, 0))
    if (!(fhdr.frag_off & IP6_MF)) {
      if (end < fq.len || (fq.flags & INET_FRAG_LAST_IN && end !== fq.len)) return discard_fq(-EINVAL)
      fq.flags |= INET_FRAG_LAST_IN
      fq.len = end
    } else {
      if (end & 7) {
        prob_offset.v = 4
        return -1
      }
      if (end > fq.len) {
        if (fq.flags & INET_FRAG_LAST_IN) return discard_fq(-EINVAL)
        fq.len = end
      }
    }
    if (end === offset) return discard_fq(-EINVAL)
    if (pskb_pull(skb, behind - skb.data) === null) return discard_fq(-ENOMEM)
    let err = pskb_trim_rcsum(skb, end - offset)
    if (err) return discard_fq(err)
    const { dev } = skb
    const prev_tail = fq.fragments_tail
    err = inet_frag_queue_insert(fq, skb, offset, end)
    if (err) {
      if (err === IPFRAG_DUP) return drop(-EINVAL, SKB_DROP_REASON_DUP_FRAG)
      IP6_INC_STATS(n, 'ReasmOverlaps')
      return discard_fq(-EINVAL)
    }
    if (dev !== null) fq.iif = dev.ifindex
    fq.stamp = skb.tstamp
    fq.tstamp_type = skb.tstamp_type
    fq.meat += skb.len
    fq.ecn |= ecn
    fq.fqdir.mem += skb.truesize
    const fragsize = skb.len - skb_network_offset(skb)
    if (fragsize > fq.max_size) fq.max_size = fragsize
    if (offset === 0) {
      fq.nhoffset = nhoff
      fq.flags |= INET_FRAG_FIRST_IN
    }
    if (tracer.on)
      decide('ip6_frag_queue', 'fragment', { offset, end, have: fq.meat, of: fq.flags & INET_FRAG_LAST_IN ? fq.len : '?' })
    if (fq.flags === (INET_FRAG_FIRST_IN | INET_FRAG_LAST_IN) && fq.meat === fq.len) {
      const { _skb_refdst, dst_noref } = skb
      skb._skb_refdst = null
      skb.dst_noref = false
      err = ip6_frag_reasm(fq, skb, prev_tail, dev, refs)
      skb._skb_refdst = _skb_refdst
      skb.dst_noref = dst_noref
      return err
    }
    skb_dst_drop(skb)
    skb_orphan(skb)
    return -EINPROGRESS
  },
)

/** makes one datagram of all fragments, in `skb`; the fragment header is taken out */
const ip6_frag_reasm = kfunc(
  'ip6_frag_reasm',
  (fq: frag_queue, skb: sk_buff, prev_tail: sk_buff | null, dev: net_device | null, refs: ref<number>): number => {
    const n = fq.fqdir.net
    const fail = (): number => {
      IP6_INC_STATS(n, 'ReasmFails')
      inet_frag_kill(fq, refs)
      return -1
    }
    inet_frag_kill(fq, refs)
    const ecn = ip_frag_ecn_table[fq.ecn] ?? 0
    if (ecn === 0xff) return fail()
    const reasm_data = inet_frag_reasm_prepare(fq, skb, prev_tail)
    if (reasm_data === null) return fail()
    const payload_len = -skb_network_offset(skb) - SIZEOF_IPV6HDR + fq.len - SIZEOF_FRAG_HDR
    if (payload_len > IPV6_MAXPLEN) return fail()
    const b = skb.head.bytes
    const { nhoffset } = fq
    b[skb.network_header + nhoffset] = b[skb.transport_header] ?? 0
    b.copyWithin(SIZEOF_FRAG_HDR, 0, skb.data - SIZEOF_FRAG_HDR)
    if (skb_mac_header_was_set(skb)) skb.mac_header += SIZEOF_FRAG_HDR
    skb.network_header += SIZEOF_FRAG_HDR
    skb.transport_header = skb.data
    inet_frag_reasm_finish(fq, skb, reasm_data, true)
    skb.dev = dev
    const hdr = ipv6_hdr(skb)
    hdr.payload_len = payload_len
    hdr.dsfield |= ecn
    const cb = IP6CB(skb)
    cb.nhoff = nhoffset
    cb.flags |= IP6SKB_FRAGMENTED
    cb.frag_max_size = fq.max_size
    skb_postpush_rcsum(skb, skb.network_header, skb_network_header_len(skb))
    IP6_INC_STATS(n, 'ReasmOKs')
    fq.rb_fragments = []
    fq.fragments_tail = null
    fq.last_run_head = null
    return 1
  },
)

/** RFC 8200, 4.5: a first fragment has all headers, up to that of the transport */
const ipv6frag_thdr_truncated = kfunc(
  'ipv6frag_thdr_truncated',
  (skb: sk_buff, start: number, nexthdrp: ref<number>): boolean => {
    const frag_off: ref<number> = { v: 0 }
    const offset = ipv6_skip_exthdr(skb, start, nexthdrp, frag_off)
    if (offset < 0) return true
    if (frag_off.v & IP6_OFFSET) return false
    const need = nexthdrp.v === 6 ? 20 : nexthdrp.v === 17 ? 8 : nexthdrp.v === 58 ? 8 : 0
    return offset + need > skb.len
  },
)

const ipv6_frag_rcv = kfunc('ipv6_frag_rcv', (skb: sk_buff): number => {
  const n = (skb_dst(skb)?.dev ?? (skb.dev as net_device)).nd_net
  const hdr = ipv6_hdr(skb)
  const cb = IP6CB(skb)
  const fail_hdr = (): number => {
    IP6_INC_STATS(n, 'InHdrErrors')
    icmpv6_param_prob(skb, ICMPV6_HDR_FIELD, skb_network_header_len(skb))
    return -1
  }
  if (cb.flags & IP6SKB_FRAGMENTED) return fail_hdr()
  IP6_INC_STATS(n, 'ReasmReqds')
  if (hdr.payload_len === 0) return fail_hdr()
  if (!pskb_may_pull(skb, skb_transport_offset(skb) + SIZEOF_FRAG_HDR)) return fail_hdr()
  const fhdr = frag_hdr_of(skb)
  if (!(fhdr.frag_off & (IP6_OFFSET | IP6_MF))) {
    // a datagram in one piece that says that it is a fragment
    skb.transport_header += SIZEOF_FRAG_HDR
    IP6_INC_STATS(n, 'ReasmOKs')
    cb.nhoff = fhdr.at - skb.network_header
    cb.flags |= IP6SKB_FRAGMENTED
    cb.frag_max_size = hdr.payload_len + SIZEOF_IPV6HDR
    return 1
  }
  if (ipv6frag_thdr_truncated(skb, skb_network_offset(skb) + SIZEOF_IPV6HDR, { v: hdr.nexthdr })) {
    IP6_INC_STATS(n, 'InHdrErrors')
    icmpv6_param_prob(skb, ICMPV6_HDR_INCOMP, 0)
    return -1
  }
  const iif = skb.dev?.ifindex ?? 0
  rcu_read_lock()
  const fq = fq_find(n, fhdr.identification, hdr, iif)
  if (fq !== null) {
    const prob_offset: ref<number> = { v: 0 }
    const refs: ref<number> = { v: 0 }
    spin_lock(fq.lock)
    fq.iif = iif
    const ret = ip6_frag_queue(n, fq, skb, fhdr, cb.nhoff, prob_offset, refs)
    spin_unlock(fq.lock)
    rcu_read_unlock()
    inet_frag_putn(fq, refs.v)
    if (prob_offset.v) {
      IP6_INC_STATS(n, 'InHdrErrors')
      icmpv6_param_prob(skb, ICMPV6_HDR_FIELD, prob_offset.v)
    }
    return ret
  }
  rcu_read_unlock()
  IP6_INC_STATS(n, 'ReasmFails')
  kfree_skb(skb)
  return -1
})

const hash_key = (k: frag_v6_compare_key): number => {
  const words = [0, 1, 2, 3].flatMap((i) => [s6_addr32(k.saddr, i), s6_addr32(k.daddr, i)])
  return jhash2([...words, k.user, k.id, k.iif], 0)
}
const ip6frag_key_hashfn = kfunc('ip6frag_key_hashfn', (key: frag_v6_compare_key, _len: number, _seed: number): number =>
  hash_key(key),
)
const ip6frag_obj_hashfn = kfunc('ip6frag_obj_hashfn', (q: inet_frag_queue, _len: number, _seed: number): number =>
  hash_key((q as frag_queue).key),
)
const ip6frag_obj_cmpfn = kfunc('ip6frag_obj_cmpfn', (key: frag_v6_compare_key, q: inet_frag_queue): number => {
  const k = (q as frag_queue).key
  return k.id === key.id &&
    k.user === key.user &&
    k.iif === key.iif &&
    ipv6_addr_equal(k.saddr, key.saddr) &&
    ipv6_addr_equal(k.daddr, key.daddr)
    ? 0
    : 1
})
const ip6frag_init = kfunc('ip6frag_init', (q: inet_frag_queue, key: frag_v6_compare_key): void => {
  const fq = q as frag_queue
  fq.key = key
  fq.ecn = 0
})

const ipv6_frags_init_net = kfunc('ipv6_frags_init_net', (n: net): number => {
  const d: ref<fqdir | null> = { v: null }
  const res = fqdir_init(d, ip6_frags, n)
  if (res < 0 || d.v === null) return res
  net_ipv6(n).fqdir = d.v
  d.v.high_thresh = IPV6_FRAG_HIGH_THRESH
  d.v.low_thresh = IPV6_FRAG_LOW_THRESH
  d.v.timeout = IPV6_FRAG_TIMEOUT
  return 0
})

export const ipv6_frag_init = kfunc('ipv6_frag_init', (): number => {
  ip6_frags = {
    qsize: 184,
    alloc: () => new frag_queue(),
    constructor_: ip6frag_init,
    destructor_: null,
    frag_expire: ip6_frag_expire,
    frags_cachep: null as unknown as kmem_cache,
    frags_cache_name: 'ip6-frags',
    hashfn: ip6frag_key_hashfn,
    obj_hashfn: ip6frag_obj_hashfn,
    obj_cmpfn: ip6frag_obj_cmpfn,
  }
  inet_frags_init(ip6_frags)
  inet6_add_protocol({ handler: ipv6_frag_rcv, flags: INET6_PROTO_NOPOLICY }, NEXTHDR_FRAGMENT)
  register_pernet_subsys({
    init: ipv6_frags_init_net,
    exit: (n: net): void => {
      const d = net_ipv6(n).fqdir
      if (d === null) return
      fqdir_pre_exit(d)
      fqdir_exit(d)
    },
  })
  return 0
})
