import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracer } from '../../../trace/tracer.ts'
import { get_random_u16 } from '../../drivers/char/random.ts'
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, NF_INET_LOCAL_IN, NF_INET_POST_ROUTING } from '../../include/generated/enums.ts'
import { module_init } from '../../include/linux/init.ts'
import { NF_ACCEPT, NF_DROP, type nf_hook_ops, type nf_hook_state } from '../../include/linux/netfilter.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import type { net } from '../../include/net/net_namespace.ts'
import {
  CTINFO2DIR,
  IP_CT_DIR_ORIGINAL,
  IP_CT_DIR_REPLY,
  IP_CT_NEW,
  IP_CT_RELATED,
  IP_CT_RELATED_REPLY,
  IPS_DST_NAT,
  IPS_DST_NAT_DONE,
  IPS_NAT_MASK,
  IPS_SRC_NAT,
  IPS_SRC_NAT_DONE,
  type nf_conn,
  nf_conntrack_tuple,
  nf_ct_get,
  nf_ct_info,
  nf_ct_is_confirmed,
  nf_ct_tuple_equal,
  nf_inet_addr_cmp,
} from '../../include/net/netfilter/nf_conntrack.ts'
import { spin_lock_bh, spin_unlock_bh } from '../../kernel/locking/spinlock.ts'
import { nf_register_net_hooks, nf_unregister_net_hooks } from './core.ts'
import { nf_conntrack_tuple_taken, nf_ct_invert_tuple, nf_ct_kill_acct, nf_nat_hook_set } from './nf_conntrack_core.ts'
import { in_vrf_postrouting } from './nf_conntrack_proto.ts'
import { nf_nat_manip_pkt } from './nf_nat_proto.ts'

export const NF_NAT_MANIP_SRC = 0
export const NF_NAT_MANIP_DST = 1
export const NF_NAT_RANGE_MAP_IPS = 1
export const NF_NAT_RANGE_PROTO_SPECIFIED = 2
export const NF_NAT_RANGE_PROTO_RANDOM_ALL = 4 | 16
const MAX_ATTEMPTS = 128

export const HOOK2MANIP = (hooknum: number): number =>
  hooknum === NF_INET_POST_ROUTING || hooknum === NF_INET_LOCAL_IN ? NF_NAT_MANIP_SRC : NF_NAT_MANIP_DST
export const nf_nat_initialized = (ct: nf_conn, manip: number): boolean =>
  (ct.status & (manip === NF_NAT_MANIP_SRC ? IPS_SRC_NAT_DONE : IPS_DST_NAT_DONE)) !== 0

/** struct nf_nat_range2: addresses and ports to choose from */
export interface nf_nat_range2 {
  flags: number
  min_addr: readonly number[]
  max_addr: readonly number[]
  min_proto: number
  max_proto: number
}

/** connections by their first source */
let nf_nat_bysource: nf_conn[] = []
let nf_nat_lock = new spinlock_t()
module_init(() => {
  nf_nat_bysource = []
  nf_nat_lock = new spinlock_t()
  nf_nat_hook_set({
    remove_nat_bysrc: (ct) => {
      nf_nat_bysource = nf_nat_bysource.filter((c) => c !== ct)
    },
  })
})

const nf_nat_used_tuple = kfunc('nf_nat_used_tuple', (tuple: nf_conntrack_tuple, ignored: nf_conn): boolean => {
  const reply = new nf_conntrack_tuple()
  nf_ct_invert_tuple(reply, tuple)
  return nf_conntrack_tuple_taken(reply, ignored)
})
const nf_nat_used_tuple_new = kfunc('nf_nat_used_tuple_new', (tuple: nf_conntrack_tuple, ignored: nf_conn): boolean =>
  nf_nat_used_tuple(tuple, ignored),
)

const port_of = (t: nf_conntrack_tuple, manip: number): number =>
  manip === NF_NAT_MANIP_SRC || t.protonum === IPPROTO_ICMP ? t.src_u : t.dst_u
const l4proto_in_range = (t: nf_conntrack_tuple, manip: number, range: nf_nat_range2): boolean => {
  const port = port_of(t, manip)
  return port >= range.min_proto && port <= range.max_proto
}
const nf_in_range = kfunc('nf_in_range', (t: nf_conntrack_tuple, range: nf_nat_range2): boolean => {
  if (range.flags & NF_NAT_RANGE_MAP_IPS) {
    const ip = t.src[0] as number
    if (ip < (range.min_addr[0] ?? 0) || ip > (range.max_addr[0] ?? 0)) return false
  }
  return !(range.flags & NF_NAT_RANGE_PROTO_SPECIFIED) || l4proto_in_range(t, NF_NAT_MANIP_SRC, range)
})

const find_appropriate_src = kfunc(
  'find_appropriate_src',
  (n: net, tuple: nf_conntrack_tuple, result: nf_conntrack_tuple, range: nf_nat_range2): boolean => {
    for (const ct of nf_nat_bysource) {
      const t = ct.tuplehash[0].tuple
      if (ct.ct_net !== n || t.protonum !== tuple.protonum || t.src_u !== tuple.src_u || !nf_inet_addr_cmp(t.src, tuple.src))
        continue
      nf_ct_invert_tuple(result, ct.tuplehash[1].tuple)
      for (let i = 0; i < 4; i++) result.dst[i] = tuple.dst[i] as number
      result.dst_u = tuple.dst_u
      if (nf_in_range(result, range)) return true
    }
    return false
  },
)

/** spreads connections over the addresses of the range by who talks to whom */
function find_best_ips_proto(tuple: nf_conntrack_tuple, range: nf_nat_range2, manip: number): void {
  if (!(range.flags & NF_NAT_RANGE_MAP_IPS)) return
  const addr = manip === NF_NAT_MANIP_SRC ? tuple.src : tuple.dst
  const [min = 0] = range.min_addr
  const dist = (range.max_addr[0] ?? 0) - min + 1
  const j = (Math.imul(tuple.src[0] as number, 0x9e3779b1) ^ (tuple.dst[0] as number)) >>> 0
  addr[0] = dist <= 1 ? min : min + Math.floor((j * dist) / 0x100000000)
}

/** another port, where this one is taken */
function nf_nat_l4proto_unique_tuple(tuple: nf_conntrack_tuple, range: nf_nat_range2, manip: number, ct: nf_conn): void {
  if (![IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP].includes(tuple.protonum)) return
  const source = manip === NF_NAT_MANIP_SRC || tuple.protonum === IPPROTO_ICMP
  const port = port_of(tuple, manip)
  let min = range.min_proto
  let size = range.max_proto - min + 1
  if (!(range.flags & NF_NAT_RANGE_PROTO_SPECIFIED)) {
    if (!source) return
    if (tuple.protonum === IPPROTO_ICMP) [min, size] = [0, 65536]
    else if (port >= 1024) [min, size] = [1024, 64512]
    else [min, size] = port < 512 ? [1, 511] : [600, 424]
  }
  const first = range.flags & NF_NAT_RANGE_PROTO_RANDOM_ALL || manip !== NF_NAT_MANIP_DST ? get_random_u16() : 0
  for (let i = 0; i < Math.min(size, MAX_ATTEMPTS); i++) {
    const p = min + ((first + i) % size)
    if (source) tuple.src_u = p
    else tuple.dst_u = p
    if (!nf_nat_used_tuple(tuple, ct)) return
  }
}

const get_unique_tuple = kfunc(
  'get_unique_tuple',
  (tuple: nf_conntrack_tuple, orig_tuple: nf_conntrack_tuple, range: nf_nat_range2, ct: nf_conn, maniptype: number): void => {
    const random = (range.flags & NF_NAT_RANGE_PROTO_RANDOM_ALL) !== 0
    if (maniptype === NF_NAT_MANIP_SRC && !random) {
      if (nf_in_range(orig_tuple, range)) {
        if (!nf_nat_used_tuple_new(orig_tuple, ct)) {
          tuple.assign(orig_tuple)
          return
        }
      } else if (find_appropriate_src(ct.ct_net, orig_tuple, tuple, range) && !nf_nat_used_tuple(tuple, ct)) return
    }
    tuple.assign(orig_tuple)
    find_best_ips_proto(tuple, range, maniptype)
    if (!random) {
      if (range.flags & NF_NAT_RANGE_PROTO_SPECIFIED) {
        if (l4proto_in_range(tuple, maniptype, range) && (range.min_proto === range.max_proto || !nf_nat_used_tuple(tuple, ct)))
          return
      } else if (!nf_nat_used_tuple(tuple, ct)) return
    }
    nf_nat_l4proto_unique_tuple(tuple, range, maniptype, ct)
  },
)

/** decides what the connection's packets are turned into; @returns a verdict */
export const nf_nat_setup_info = kfunc('nf_nat_setup_info', (ct: nf_conn, range: nf_nat_range2, maniptype: number): number => {
  if (nf_ct_is_confirmed(ct)) return NF_ACCEPT
  if (nf_nat_initialized(ct, maniptype)) return NF_DROP
  const curr_tuple = new nf_conntrack_tuple()
  const new_tuple = new nf_conntrack_tuple()
  nf_ct_invert_tuple(curr_tuple, ct.tuplehash[1].tuple)
  get_unique_tuple(new_tuple, curr_tuple, range, ct, maniptype)
  if (!nf_ct_tuple_equal(new_tuple, curr_tuple)) {
    nf_ct_invert_tuple(ct.tuplehash[1].tuple, new_tuple)
    ct.tuplehash[1].tuple.dir = IP_CT_DIR_REPLY
    ct.status |= maniptype === NF_NAT_MANIP_SRC ? IPS_SRC_NAT : IPS_DST_NAT
    if (tracer.on)
      decide('nf_nat_setup_info', maniptype === NF_NAT_MANIP_SRC ? 'new source' : 'new destination', {
        port: port_of(new_tuple, maniptype),
      })
  }
  if (maniptype === NF_NAT_MANIP_SRC) {
    spin_lock_bh(nf_nat_lock)
    nf_nat_bysource.unshift(ct)
    spin_unlock_bh(nf_nat_lock)
  }
  ct.status |= maniptype === NF_NAT_MANIP_DST ? IPS_DST_NAT_DONE : IPS_SRC_NAT_DONE
  return NF_ACCEPT
})

/** no rule wanted anything: the connection keeps what it has */
const __nf_nat_alloc_null_binding = kfunc('__nf_nat_alloc_null_binding', (ct: nf_conn, manip: number): number => {
  const { tuple } = ct.tuplehash[1]
  const ip = [...(manip === NF_NAT_MANIP_SRC ? tuple.dst : tuple.src)]
  return nf_nat_setup_info(ct, { flags: NF_NAT_RANGE_MAP_IPS, min_addr: ip, max_addr: ip, min_proto: 0, max_proto: 0 }, manip)
})
const nf_nat_alloc_null_binding = kfunc('nf_nat_alloc_null_binding', (ct: nf_conn, hooknum: number): number =>
  __nf_nat_alloc_null_binding(ct, HOOK2MANIP(hooknum)),
)

/** changes the packet as was decided for its connection */
const nf_nat_packet = kfunc('nf_nat_packet', (ct: nf_conn, ctinfo: number, hooknum: number, skb: sk_buff): number => {
  const mtype = HOOK2MANIP(hooknum)
  const dir = CTINFO2DIR(ctinfo)
  let statusbit = mtype === NF_NAT_MANIP_SRC ? IPS_SRC_NAT : IPS_DST_NAT
  if (dir === IP_CT_DIR_REPLY) statusbit ^= IPS_NAT_MASK
  return ct.status & statusbit ? nf_nat_manip_pkt(skb, ct, mtype, dir) : NF_ACCEPT
})

/** struct nf_nat_lookup_hook_priv: the chains of type nat at a hook */
export interface nf_nat_lookup_hook_priv {
  entries: nf_hook_ops[]
}

export const nf_nat_inet_fn = kfunc('nf_nat_inet_fn', (priv: unknown, skb: sk_buff, state: nf_hook_state): number => {
  const maniptype = HOOK2MANIP(state.hook)
  const ct = nf_ct_get(skb)
  if (ct === null || in_vrf_postrouting(state)) return NF_ACCEPT
  const ctinfo = nf_ct_info(skb)
  const starts = ctinfo === IP_CT_NEW || ctinfo === IP_CT_RELATED || ctinfo === IP_CT_RELATED_REPLY
  if (starts && !nf_nat_initialized(ct, maniptype)) {
    for (const e of (priv as nf_nat_lookup_hook_priv).entries) {
      if (tracer.on) traceIndirect('e->hooks[i].hook', nameOf(e.hook))
      const ret = e.hook(e.priv, skb, state)
      if (ret !== NF_ACCEPT) return ret
      if (nf_nat_initialized(ct, maniptype)) break
    }
    if (!nf_nat_initialized(ct, maniptype)) {
      const ret = nf_nat_alloc_null_binding(ct, state.hook)
      if (ret !== NF_ACCEPT) return ret
    }
  } else if (
    // it was masqueraded, and leaves by another device now
    ct.nat !== null &&
    ct.nat.masq_index !== 0 &&
    state.hook === NF_INET_POST_ROUTING &&
    CTINFO2DIR(ctinfo) === IP_CT_DIR_ORIGINAL &&
    ct.nat.masq_index !== state.out?.ifindex
  ) {
    nf_ct_kill_acct(ct, ctinfo, skb)
    return NF_DROP
  }
  return nf_nat_packet(ct, ctinfo, state.hook, skb)
})

const registered = new WeakMap<net, { ops: nf_hook_ops[]; users: number }>()
/** a chain of type nat comes: the first one brings NAT's own hooks */
export function nf_nat_register_fn(n: net, ops: nf_hook_ops, orig_nat_ops: readonly nf_hook_ops[]): number {
  const r = registered.get(n) ?? { ops: [], users: 0 }
  registered.set(n, r)
  if (r.ops.length === 0) {
    const made = orig_nat_ops.map((o) => ({ ...o, priv: { entries: [] } }))
    const err = nf_register_net_hooks(n, made, made.length)
    if (err < 0) return err
    r.ops = made
  }
  const at = r.ops.find((o) => o.hooknum === ops.hooknum)
  if (at === undefined) return -22
  const p = at.priv as nf_nat_lookup_hook_priv
  const i = p.entries.findIndex((e) => e.priority >= ops.priority)
  p.entries = i < 0 ? [...p.entries, ops] : [...p.entries.slice(0, i), ops, ...p.entries.slice(i)]
  r.users++
  return 0
}
export function nf_nat_unregister_fn(n: net, ops: nf_hook_ops): void {
  const r = registered.get(n)
  if (r === undefined || r.users === 0) return
  for (const o of r.ops) {
    const p = o.priv as nf_nat_lookup_hook_priv
    p.entries = p.entries.filter((e) => e !== ops)
  }
  if (--r.users > 0) return
  nf_unregister_net_hooks(n, r.ops, r.ops.length)
  r.ops = []
}
