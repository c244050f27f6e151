import { kfunc } from '../../../trace/kfunc.ts'
import {
  NF_INET_LOCAL_IN,
  NF_INET_LOCAL_OUT,
  NF_INET_POST_ROUTING,
  NF_INET_PRE_ROUTING,
  NFPROTO_INET,
  NFPROTO_IPV4,
} from '../../include/generated/enums.ts'
import { ip_hdr, ip_is_fragment } from '../../include/linux/ip.ts'
import { NF_ACCEPT, type nf_hook_ops, type nf_hook_state, type nf_hookfn } from '../../include/linux/netfilter.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { nf_ct_get, nf_ct_state } from '../../include/net/netfilter/nf_conntrack.ts'
import { netif_is_l3_master } from '../core/dev.ts'
import { nf_defrag_ipv4_disable, nf_defrag_ipv4_enable } from '../ipv4/netfilter/nf_defrag_ipv4.ts'
import { nf_register_net_hooks, nf_unregister_net_hooks } from './core.ts'
import { nf_conntrack_confirm, nf_conntrack_in } from './nf_conntrack_core.ts'

const NF_IP_PRI_CONNTRACK = -200
const NF_IP_PRI_CONNTRACK_CONFIRM = 0x7fffffff

export const in_vrf_postrouting = (state: nf_hook_state): boolean =>
  state.hook === NF_INET_POST_ROUTING && state.out !== null && netif_is_l3_master(state.out)

const nf_confirm = kfunc('nf_confirm', (_priv: unknown, skb: sk_buff, state: nf_hook_state): number => {
  const ct = nf_ct_get(skb)
  if (ct === null || in_vrf_postrouting(state)) return NF_ACCEPT
  return nf_conntrack_confirm(skb)
})
const ipv4_conntrack_in = kfunc('ipv4_conntrack_in', (_priv: unknown, skb: sk_buff, state: nf_hook_state): number =>
  nf_conntrack_in(skb, state),
)
const ipv4_conntrack_local = kfunc('ipv4_conntrack_local', (_priv: unknown, skb: sk_buff, state: nf_hook_state): number =>
  ip_is_fragment(ip_hdr(skb)) ? NF_ACCEPT : nf_conntrack_in(skb, state),
)

const op = (hook: nf_hookfn, hooknum: number, priority: number): nf_hook_ops => ({
  hook,
  dev: null,
  priv: null,
  pf: NFPROTO_IPV4,
  hooknum,
  priority,
})
const ipv4_conntrack_ops: nf_hook_ops[] = [
  op(ipv4_conntrack_in, NF_INET_PRE_ROUTING, NF_IP_PRI_CONNTRACK),
  op(ipv4_conntrack_local, NF_INET_LOCAL_OUT, NF_IP_PRI_CONNTRACK),
  op(nf_confirm, NF_INET_POST_ROUTING, NF_IP_PRI_CONNTRACK_CONFIRM),
  op(nf_confirm, NF_INET_LOCAL_IN, NF_IP_PRI_CONNTRACK_CONFIRM),
]

/** somebody wants connections tracked in this namespace. Those over IPv6 are not. */
export function nf_ct_netns_get(n: net, nfproto: number): number {
  if (nfproto !== NFPROTO_IPV4 && nfproto !== NFPROTO_INET) return 0
  const cnet = nf_ct_state(n)
  if (++cnet.users4 > 1) return 0
  const err = nf_defrag_ipv4_enable(n)
  return err < 0 ? err : nf_register_net_hooks(n, ipv4_conntrack_ops, ipv4_conntrack_ops.length)
}
export function nf_ct_netns_put(n: net, nfproto: number): void {
  if (nfproto !== NFPROTO_IPV4 && nfproto !== NFPROTO_INET) return
  const cnet = nf_ct_state(n)
  if (cnet.users4 === 0 || --cnet.users4 > 0) return
  nf_unregister_net_hooks(n, ipv4_conntrack_ops, ipv4_conntrack_ops.length)
  nf_defrag_ipv4_disable(n)
}
