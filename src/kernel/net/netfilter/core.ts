import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracer } from '../../../trace/tracer.ts'
import {
  NF_INET_INGRESS,
  NF_INET_LOCAL_IN,
  NF_INET_LOCAL_OUT,
  NFPROTO_ARP,
  NFPROTO_BRIDGE,
  NFPROTO_INET,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
  NFPROTO_NETDEV,
  NFPROTO_NUMPROTO,
  SKB_DROP_REASON_NETFILTER_DROP,
} from '../../include/generated/enums.ts'
import { EOPNOTSUPP, EPERM } from '../../include/linux/errno.ts'
import { core_initcall } from '../../include/linux/init.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import {
  NF_ACCEPT,
  NF_DROP,
  NF_STOLEN,
  NF_VERDICT_MASK,
  NF_VERDICT_QBITS,
  type nf_conntrack,
  type nf_hook_entries,
  type nf_hook_ops,
  type nf_hook_state,
  type nf_okfn,
} from '../../include/linux/netfilter.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { sock } from '../../include/net/sock.ts'
import { call_rcu, rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { kfree_skb_reason } from '../core/skbuff.ts'

const NF_MAX_HOOKS = 8
/** the static keys: how many hooks there are anywhere, in any namespace, by pf * NF_MAX_HOOKS + hook */
const nf_hooks_needed = new Int32Array(NFPROTO_NUMPROTO * NF_MAX_HOOKS)

core_initcall(() => {
  nf_hooks_needed.fill(0)
  elsewhere.fill(0)
  nf_ct_hook = null
  nf_hooks_elsewhere(true)
})

/** the part of those counts that is other namespaces': 1 where one has a hook */
const elsewhere = new Int32Array(NFPROTO_NUMPROTO * NF_MAX_HOOKS)

/** Whether hooks of another namespace keep these keys on, as a container host has them; a machine of its own has none. */
export function nf_hooks_elsewhere(on: boolean): void {
  for (const pf of [NFPROTO_IPV4, NFPROTO_IPV6])
    for (const hook of [NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT]) {
      const key = pf * NF_MAX_HOOKS + hook
      const now = on ? 1 : 0
      nf_hooks_needed[key] = (nf_hooks_needed[key] ?? 0) + now - (elsewhere[key] ?? 0)
      elsewhere[key] = now
    }
}

function hooks_of(n: net, pf: number): (nf_hook_entries | null)[] | null {
  switch (pf) {
    case NFPROTO_IPV4:
      return n.nf.hooks_ipv4
    case NFPROTO_IPV6:
      return n.nf.hooks_ipv6
    case NFPROTO_ARP:
      return n.nf.hooks_arp
    case NFPROTO_BRIDGE:
      return n.nf.hooks_bridge
  }
  return null
}

const NF_DROP_GETERR = (verdict: number): number => -(verdict >> NF_VERDICT_QBITS)

/** @returns 1 when the packet may go on, 0 or an error when somebody else has it now */
export const nf_hook_slow = kfunc(
  'nf_hook_slow',
  (skb: sk_buff, state: nf_hook_state, e: nf_hook_entries, start: number): number => {
    for (let s = start; s < e.hooks.length; s++) {
      const entry = e.hooks[s]
      if (entry === undefined) break
      if (tracer.on) traceIndirect('entry->hook', nameOf(entry.hook))
      const verdict = entry.hook(entry.priv, skb, state)
      switch (verdict & NF_VERDICT_MASK) {
        case NF_ACCEPT:
          break
        case NF_DROP:
          if (tracer.on) decide('nf_hook_slow', 'dropped by a hook', { hook: state.hook, pf: state.pf })
          kfree_skb_reason(skb, SKB_DROP_REASON_NETFILTER_DROP)
          return NF_DROP_GETERR(verdict) || -EPERM
        case NF_STOLEN:
          return NF_DROP_GETERR(verdict)
        default:
          // NF_QUEUE: no program takes packets from a queue; as without a listener, the packet is dropped
          kfree_skb_reason(skb, SKB_DROP_REASON_NETFILTER_DROP)
          return 0
      }
    }
    return 1
  },
)

export const nf_hook = kfunc(
  'nf_hook',
  (
    pf: number,
    hook: number,
    n: net,
    sk: sock | null,
    skb: sk_buff,
    indev: net_device | null,
    outdev: net_device | null,
    okfn: nf_okfn,
  ): number => {
    if (nf_hooks_needed[pf * NF_MAX_HOOKS + hook] === 0) return 1
    let ret = 1
    rcu_read_lock()
    const head = hooks_of(n, pf)?.[hook] ?? null
    if (head !== null) ret = nf_hook_slow(skb, { hook, pf, in: indev, out: outdev, sk, net: n, okfn }, head, 0)
    rcu_read_unlock()
    return ret
  },
)

export const NF_HOOK = kfunc(
  'NF_HOOK',
  (
    pf: number,
    hook: number,
    n: net,
    sk: sock | null,
    skb: sk_buff,
    in_: net_device | null,
    out: net_device | null,
    okfn: nf_okfn,
  ): number => {
    const ret = nf_hook(pf, hook, n, sk, skb, in_, out, okfn)
    return ret === 1 ? okfn(n, sk, skb) : ret
  },
)

// where the hook's number is not known when Linux is compiled there is no static key to spare the look

const nf_hook_any = kfunc(
  'nf_hook',
  (
    pf: number,
    hook: number,
    n: net,
    sk: sock | null,
    skb: sk_buff,
    indev: net_device | null,
    outdev: net_device | null,
    okfn: nf_okfn,
  ): number => {
    let ret = 1
    rcu_read_lock()
    const head = hooks_of(n, pf)?.[hook] ?? null
    if (head !== null) ret = nf_hook_slow(skb, { hook, pf, in: indev, out: outdev, sk, net: n, okfn }, head, 0)
    rcu_read_unlock()
    return ret
  },
)
/** NF_HOOK() with a hook that is chosen at run time */
export const NF_HOOK_any = kfunc(
  'NF_HOOK',
  (
    pf: number,
    hook: number,
    n: net,
    sk: sock | null,
    skb: sk_buff,
    in_: net_device | null,
    out: net_device | null,
    okfn: nf_okfn,
  ): number => {
    const ret = nf_hook_any(pf, hook, n, sk, skb, in_, out, okfn)
    return ret === 1 ? okfn(n, sk, skb) : ret
  },
)

/** asks the hooks about each of a batch; @returns those that may go on */
const nf_hook_slow_list = kfunc('nf_hook_slow_list', (head: sk_buff[], state: nf_hook_state, e: nf_hook_entries): sk_buff[] => {
  const passed: sk_buff[] = []
  for (const skb of head) if (nf_hook_slow(skb, state, e, 0) === 1) passed.push(skb)
  return passed
})

/** @returns the packets of the batch that the hooks let pass */
export const NF_HOOK_LIST = kfunc(
  'NF_HOOK_LIST',
  (
    pf: number,
    hook: number,
    n: net,
    sk: sock | null,
    head: sk_buff[],
    indev: net_device | null,
    out: net_device | null,
    okfn: nf_okfn,
  ): sk_buff[] => {
    if (nf_hooks_needed[pf * NF_MAX_HOOKS + hook] === 0) return head
    rcu_read_lock()
    const e = hooks_of(n, pf)?.[hook] ?? null
    const passed = e === null ? head : nf_hook_slow_list(head, { hook, pf, in: indev, out, sk, net: n, okfn }, e)
    rcu_read_unlock()
    return passed
  },
)

export const NF_HOOK_COND = kfunc(
  'NF_HOOK_COND',
  (
    pf: number,
    hook: number,
    n: net,
    sk: sock | null,
    skb: sk_buff,
    in_: net_device | null,
    out: net_device | null,
    okfn: nf_okfn,
    cond: boolean,
  ): number => {
    if (cond) {
      const ret = nf_hook(pf, hook, n, sk, skb, in_, out, okfn)
      if (ret !== 1) return ret
    }
    return okfn(n, sk, skb)
  },
)

const __nf_hook_entries_free = kfunc('__nf_hook_entries_free', (_h: nf_hook_entries): void => {})
/** readers may be walking it still */
const nf_hook_entries_free = kfunc('nf_hook_entries_free', (e: nf_hook_entries | null): void => {
  if (e !== null) call_rcu(e, __nf_hook_entries_free)
})

const __nf_register_net_hook = kfunc('__nf_register_net_hook', (n: net, pf: number, reg: nf_hook_ops): number => {
  const table = pf === NFPROTO_NETDEV ? null : hooks_of(n, pf)
  if (table === null) return -EOPNOTSUPP
  // a new array each time: whoever walks the old one goes on with it. Of one priority, the youngest is asked first
  const old = table[reg.hooknum] ?? null
  const hooks = old === null ? [] : [...old.hooks]
  let i = hooks.findIndex((e) => e.ops.priority >= reg.priority)
  if (i < 0) i = hooks.length
  hooks.splice(i, 0, { hook: reg.hook, priv: reg.priv, ops: reg })
  table[reg.hooknum] = { hooks }
  const key = pf * NF_MAX_HOOKS + reg.hooknum
  nf_hooks_needed[key] = (nf_hooks_needed[key] ?? 0) + 1
  nf_hook_entries_free(old)
  return 0
})

const __nf_unregister_net_hook = kfunc('__nf_unregister_net_hook', (n: net, pf: number, reg: nf_hook_ops): void => {
  const table = hooks_of(n, pf)
  const old = table?.[reg.hooknum]
  if (!table || !old) return
  const hooks = old.hooks.filter((e) => e.ops !== reg)
  if (hooks.length === old.hooks.length) return
  table[reg.hooknum] = hooks.length > 0 ? { hooks } : null
  const key = pf * NF_MAX_HOOKS + reg.hooknum
  nf_hooks_needed[key] = (nf_hooks_needed[key] ?? 1) - 1
  nf_hook_entries_free(old)
})

export const nf_register_net_hook = kfunc('nf_register_net_hook', (n: net, reg: nf_hook_ops): number => {
  if (reg.pf !== NFPROTO_INET || reg.hooknum === NF_INET_INGRESS) return __nf_register_net_hook(n, reg.pf, reg)
  const err = __nf_register_net_hook(n, NFPROTO_IPV4, reg)
  return err < 0 ? err : __nf_register_net_hook(n, NFPROTO_IPV6, reg)
})

export const nf_unregister_net_hook = kfunc('nf_unregister_net_hook', (n: net, reg: nf_hook_ops): void => {
  if (reg.pf !== NFPROTO_INET || reg.hooknum === NF_INET_INGRESS) {
    __nf_unregister_net_hook(n, reg.pf, reg)
    return
  }
  __nf_unregister_net_hook(n, NFPROTO_IPV4, reg)
  __nf_unregister_net_hook(n, NFPROTO_IPV6, reg)
})

export const nf_register_net_hooks = kfunc('nf_register_net_hooks', (n: net, reg: nf_hook_ops[], count: number): number => {
  for (const [i, ops] of reg.slice(0, count).entries()) {
    const err = nf_register_net_hook(n, ops)
    if (err === 0) continue
    nf_unregister_net_hooks(n, reg, i)
    return err
  }
  return 0
})

export const nf_unregister_net_hooks = kfunc('nf_unregister_net_hooks', (n: net, reg: nf_hook_ops[], hookcount: number): void => {
  for (const ops of reg.slice(0, hookcount)) nf_unregister_net_hook(n, ops)
})

/** struct nf_ct_hook: what connection tracking does for others, once it is loaded */
export interface nf_ct_hooks {
  attach: (nskb: sk_buff, skb: sk_buff) => void
  destroy: (nfct: nf_conntrack) => void
  set_closing: (nfct: nf_conntrack) => void
}
let nf_ct_hook: nf_ct_hooks | null = null
export const nf_ct_hook_set = (hook: nf_ct_hooks): void => {
  nf_ct_hook = hook
}

export const nf_ct_attach = kfunc('nf_ct_attach', (nskb: sk_buff, skb: sk_buff): void => {
  if (skb._nfct === null) return
  rcu_read_lock()
  if (nf_ct_hook !== null) nf_ct_hook.attach(nskb, skb)
  rcu_read_unlock()
})
/** the last that held a connection lets it go */
export const nf_conntrack_destroy = kfunc('nf_conntrack_destroy', (nfct: nf_conntrack): void => {
  rcu_read_lock()
  if (nf_ct_hook !== null) nf_ct_hook.destroy(nfct)
  rcu_read_unlock()
})
export const nf_ct_set_closing = kfunc('nf_ct_set_closing', (nfct: nf_conntrack | null): void => {
  if (nfct === null) return
  rcu_read_lock()
  if (nf_ct_hook !== null) nf_ct_hook.set_closing(nfct)
  rcu_read_unlock()
})

export { nf_reset_ct, nf_reset_trace } from '../core/skbuff.ts'
