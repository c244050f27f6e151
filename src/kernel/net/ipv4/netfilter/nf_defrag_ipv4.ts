import { kfunc } from '../../../../trace/kfunc.ts'
import { NF_INET_LOCAL_OUT, NF_INET_PRE_ROUTING, NFPROTO_IPV4 } from '../../../include/generated/enums.ts'
import { ip_hdr, ip_is_fragment } from '../../../include/linux/ip.ts'
import { NF_ACCEPT, NF_STOLEN, type nf_hook_ops, type nf_hook_state } from '../../../include/linux/netfilter.ts'
import type { sk_buff } from '../../../include/linux/skbuff.ts'
import type { net } from '../../../include/net/net_namespace.ts'
import { untracked } from '../../../include/net/netfilter/nf_conntrack.ts'
import { local_bh_disable, local_bh_enable } from '../../../kernel/softirq.ts'
import { nf_register_net_hooks, nf_unregister_net_hooks } from '../../netfilter/core.ts'
import { ip_defrag } from '../ip_fragment.ts'

const NF_IP_PRI_CONNTRACK_DEFRAG = -400
// enum ip_defrag_users: one zone, 65536 numbers for each
const IP_DEFRAG_CONNTRACK_IN = 2
const IP_DEFRAG_CONNTRACK_OUT = IP_DEFRAG_CONNTRACK_IN + 0x10000

const nf_ct_defrag_user = kfunc('nf_ct_defrag_user', (hooknum: number, _skb: sk_buff): number =>
  hooknum === NF_INET_PRE_ROUTING ? IP_DEFRAG_CONNTRACK_IN : IP_DEFRAG_CONNTRACK_OUT,
)
const nf_ct_ipv4_gather_frags = kfunc('nf_ct_ipv4_gather_frags', (n: net, skb: sk_buff, user: number): number => {
  local_bh_disable()
  const err = ip_defrag(n, skb, user)
  local_bh_enable()
  if (!err) skb.ignore_df = 1
  return err
})

/** connection tracking sees whole datagrams only */
const ipv4_conntrack_defrag = kfunc('ipv4_conntrack_defrag', (_priv: unknown, skb: sk_buff, state: nf_hook_state): number => {
  if (skb._nfct === untracked) return NF_ACCEPT
  if (ip_is_fragment(ip_hdr(skb)) && nf_ct_ipv4_gather_frags(state.net, skb, nf_ct_defrag_user(state.hook, skb))) return NF_STOLEN
  return NF_ACCEPT
})

const users = new WeakMap<net, { count: number; ops: nf_hook_ops[] }>()
const op = (hooknum: number): nf_hook_ops => ({
  hook: ipv4_conntrack_defrag,
  dev: null,
  priv: null,
  pf: NFPROTO_IPV4,
  hooknum,
  priority: NF_IP_PRI_CONNTRACK_DEFRAG,
})

export function nf_defrag_ipv4_enable(n: net): number {
  const u = users.get(n) ?? { count: 0, ops: [op(NF_INET_PRE_ROUTING), op(NF_INET_LOCAL_OUT)] }
  users.set(n, u)
  if (u.count++ > 0) return 0
  const err = nf_register_net_hooks(n, u.ops, u.ops.length)
  if (err < 0) u.count = 0
  return err
}
export function nf_defrag_ipv4_disable(n: net): void {
  const u = users.get(n)
  if (u === undefined || u.count === 0 || --u.count > 0) return
  nf_unregister_net_hooks(n, u.ops, u.ops.length)
}
