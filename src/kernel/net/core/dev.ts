import { InternalError, kfunc, nameOf } from '../../../trace/kfunc.ts'
import {
  beginWork,
  decide,
  endWork,
  traceCounters,
  traceFrame,
  traceIndirect,
  tracepoint,
  tracer,
} from '../../../trace/tracer.ts'
import * as C from '../../include/generated/enums.ts'
import { EBUSY, EEXIST, EINVAL, EIO, ENETDOWN, ENODEV, ENOMEM, EOPNOTSUPP } from '../../include/linux/errno.ts'
import { ETH_P_ALL, ETH_P_IP, ETH_P_IPV6, ETH_P_TEB } from '../../include/linux/if_ether.ts'
import {
  __vlan_hwaccel_clear_tag,
  eth_type_vlan,
  skb_vlan_tag_get_id,
  skb_vlan_tag_present,
  vlan_hw_offload_capable,
} from '../../include/linux/if_vlan.ts'
import { subsys_initcall } from '../../include/linux/init.ts'
import { list_add_tail, list_del, list_empty, list_head, list_splice_tail_init } from '../../include/linux/list.ts'
import * as F from '../../include/linux/netdev_features.ts'
import {
  DEFAULT_TX_QUEUE_LEN,
  dev_net,
  GRO_LEGACY_MAX_SIZE,
  IFNAMSIZ,
  LL_RESERVED_SPACE,
  type napi_struct,
  net_device,
  net_device_core_stats,
  type netdev_features_t,
  netdev_get_tx_queue,
  netdev_queue,
  netif_running,
  type packet_type,
  type rtnl_link_stats64,
  SIZEOF_NET_DEVICE_CORE_STATS,
  softnet_data,
  TSO_LEGACY_MAX_SIZE,
  TSO_MAX_SEGS,
} from '../../include/linux/netdevice.ts'
import { NL_SET_ERR_MSG } from '../../include/linux/netlink.ts'
import {
  __skb_dequeue,
  __skb_queue_tail,
  CHECKSUM_COMPLETE,
  CHECKSUM_NONE,
  CHECKSUM_PARTIAL,
  CHECKSUM_UNNECESSARY,
  type sk_buff,
  skb_checksum_start_offset,
  skb_headlen,
  skb_is_gso,
  skb_is_nonlinear,
  skb_network_offset,
  skb_queue_empty,
  skb_queue_len,
  skb_queue_splice_tail_init,
  skb_reset_mac_header,
  skb_reset_mac_len,
  skb_reset_network_header,
  skb_reset_transport_header,
  skb_set_transport_header,
  skb_shinfo,
  skb_transport_header_was_set,
  skb_transport_offset,
} from '../../include/linux/skbuff.ts'
import { __GFP_NOWARN, GFP_ATOMIC } from '../../include/linux/slab.ts'
import { DIV_ROUND_UP, IS_ERR, type ref } from '../../include/linux/types.ts'
import { GRO_HASH_BUCKETS } from '../../include/net/gro.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { type Qdisc, qdisc_lock, qdisc_qlen } from '../../include/net/sch_generic.ts'
import type { sock } from '../../include/net/sock.ts'
import {
  spin_lock,
  spin_lock_irq,
  spin_lock_irqsave,
  spin_unlock,
  spin_unlock_irq,
  spin_unlock_irqrestore,
} from '../../kernel/locking/spinlock.ts'
import { rcu_read_lock, rcu_read_lock_bh, rcu_read_unlock, rcu_read_unlock_bh } from '../../kernel/rcu.ts'
import {
  __raise_softirq_irqoff,
  in_interrupt,
  local_bh_disable,
  local_bh_enable,
  open_softirq,
  raise_softirq_irqoff,
} from '../../kernel/softirq.ts'
import { ktime_get_real } from '../../kernel/time/timekeeping.ts'
import { jiffies, usecs_to_jiffies } from '../../kernel/time/timer.ts'
import { csum_fold } from '../../lib/checksum.ts'
import { dql_avail, dql_completed, dql_queued, dql_reset } from '../../lib/dynamic_queue_limits.ts'
import { pcpu_alloc_noprof } from '../../mm/percpu.ts'
import { __vlan_hwaccel_push_inside, vlan_do_receive } from '../8021q/vlan_core.ts'
import { eth_type_trans } from '../ethernet/eth.ts'
import {
  __qdisc_drop,
  __qdisc_run,
  dev_activate,
  dev_deactivate,
  dev_init_scheduler,
  dev_shutdown,
  nolock_qdisc_is_empty,
  qdisc_bstats_update,
  qdisc_run,
  qdisc_run_begin,
  qdisc_run_end,
  sch_direct_xmit,
} from '../sched/sch_generic.ts'
import { validate_xmit_xfrm } from '../xfrm/xfrm_device.ts'
import { skb_dst_drop, skb_dst_force } from './dst.ts'
import { gro_normal_list, napi_gro_flush } from './gro.ts'
import { skb_gso_segment } from './gso.ts'
import { net_hotdata } from './hotdata.ts'
import { IF_OPER_UNKNOWN, IF_OPER_UP, linkwatch_fire_event, linkwatch_init_dev } from './link_watch.ts'
import { init_net } from './net_namespace.ts'
import { trace_net_dev_start_xmit, trace_qdisc_enqueue, trace_rx_entry } from './net-traces.ts'
import {
  __skb_linearize,
  __skb_pull,
  __skb_tstamp_tx,
  consume_skb,
  kfree_skb,
  kfree_skb_list,
  kfree_skb_list_reason,
  kfree_skb_reason,
  pskb_may_pull,
  skb_checksum,
  skb_clone,
  skb_ensure_writable,
  skb_get_rx_queue,
  skb_has_frag_list,
  skb_has_shared_frag,
  skb_orphan_frags_rx,
  skb_postpull_rcsum,
  skb_rx_queue_recorded,
  skb_scrub_packet,
  skb_set_queue_mapping,
  skb_vlan_untag,
} from './skbuff.ts'
import { net_gso_ok, sk_fullsock, sk_memalloc_socks, sk_tx_queue_get, sk_tx_queue_set, sk_validate_xmit_skb } from './sock.ts'
import { skb_defer_rx_timestamp } from './timestamping.ts'

export { dev_net, netdev_get_tx_queue, netif_running }

const SCM_TSTAMP_SCHED = 1
const NET_XMIT_MASK = 0x0f
const CSUM_MANGLED_0 = 0xffff
const RX_HANDLER_CONSUMED = 0
const RX_HANDLER_ANOTHER = 1
const RX_HANDLER_EXACT = 2
/** how deep devices may be stacked on each other */
const XMIT_RECURSION_LIMIT = 8
const VLAN_HLEN = 4
/** flags that the device has by itself */
const IFF_VOLATILE =
  C.IFF_LOOPBACK |
  C.IFF_POINTOPOINT |
  C.IFF_BROADCAST |
  C.IFF_ECHO |
  C.IFF_MASTER |
  C.IFF_SLAVE |
  C.IFF_RUNNING |
  C.IFF_LOWER_UP |
  C.IFF_DORMANT

// ---- state

/** the one processor's */
export let softnet: softnet_data = new softnet_data()
/** who wants frames, by EtherType */
let ptype_base: Map<number, packet_type[]> = new Map()
/** who wants frames of a type, bucket by bucket of the table that Linux keeps them in */
export const packet_types = (): packet_type[] => [...ptype_base].sort(([a], [b]) => (a & 15) - (b & 15)).flatMap(([, l]) => l)
let netdev_chain: notifier_block[] = []
export let netstamp_needed = 0
const no_ptypes: packet_type[] = []

/** struct notifier_block */
export interface notifier_block {
  /** `ptr` is a netdev_notifier_info for devices, an in_ifaddr for addresses */
  notifier_call: (nb: notifier_block, event: number, ptr: unknown) => number
  priority?: number
}
export interface netdev_notifier_info {
  dev: net_device
  flags_changed?: number
  mtu?: number
}
export const netdev_notifier_info_to_dev = (info: unknown): net_device => (info as netdev_notifier_info).dev

subsys_initcall(() => {
  softnet = new softnet_data()
  ptype_base = new Map()
  netdev_chain = []
  netstamp_needed = 0
  softnet.backlog.poll = process_backlog
  softnet.backlog.weight = net_hotdata.dev_rx_weight
  open_softirq(C.NET_TX_SOFTIRQ, net_tx_action)
  open_softirq(C.NET_RX_SOFTIRQ, net_rx_action)
})

export const net_enable_timestamp = kfunc('net_enable_timestamp', (): void => {
  netstamp_needed++
})
export const net_disable_timestamp = kfunc('net_disable_timestamp', (): void => {
  netstamp_needed--
})
const net_timestamp_set = (skb: sk_buff): void => {
  skb.tstamp = netstamp_needed > 0 ? ktime_get_real() : 0
  skb.tstamp_type = 0
}
const net_timestamp_check = (cond: boolean, skb: sk_buff): void => {
  if (netstamp_needed > 0 && cond && skb.tstamp === 0) skb.tstamp = ktime_get_real()
}

// ---- finding devices

export const dev_hold = (dev: net_device): void => {
  dev.dev_refcnt++
}
export const dev_put = (dev: net_device | null): void => {
  if (dev !== null) dev.dev_refcnt--
}
export const netdev_hold = dev_hold
export const netdev_put = dev_put
export const dev_get_by_index_rcu = kfunc(
  'dev_get_by_index_rcu',
  (n: net, ifindex: number): net_device | null => n.dev_by_index.get(ifindex) ?? null,
)
export const __dev_get_by_index = kfunc(
  '__dev_get_by_index',
  (n: net, ifindex: number): net_device | null => n.dev_by_index.get(ifindex) ?? null,
)
export const dev_get_by_index = kfunc('dev_get_by_index', (n: net, ifindex: number): net_device | null => {
  rcu_read_lock()
  const dev = dev_get_by_index_rcu(n, ifindex)
  if (dev !== null) dev_hold(dev)
  rcu_read_unlock()
  return dev
})
export const dev_get_by_name_rcu = kfunc(
  'dev_get_by_name_rcu',
  (n: net, name: string): net_device | null => n.dev_name_head.get(name) ?? null,
)
export const __dev_get_by_name = kfunc(
  '__dev_get_by_name',
  (n: net, name: string): net_device | null => n.dev_name_head.get(name) ?? null,
)
export const netdev_get_name = kfunc('netdev_get_name', (n: net, name: ref<string>, ifindex: number): number => {
  const dev = n.dev_by_index.get(ifindex)
  if (dev === undefined) return -ENODEV
  name.v = dev.name
  return 0
})
/** include/net/l3mdev.h */
export const netif_index_is_l3_master = kfunc('netif_index_is_l3_master', (n: net, ifindex: number): boolean => {
  if (ifindex === 0) return false
  rcu_read_lock()
  const dev = dev_get_by_index_rcu(n, ifindex)
  const rc = dev !== null && netif_is_l3_master(dev)
  rcu_read_unlock()
  return rc
})

// ---- statistics

export const dev_lstats_add = kfunc('dev_lstats_add', (dev: net_device, len: number): void => {
  dev.stats.tx_packets++
  dev.stats.tx_bytes += len
})
export const dev_sw_netstats_tx_add = (dev: net_device, packets: number, len: number): void => {
  dev.stats.tx_packets += packets
  dev.stats.tx_bytes += len
}
export const dev_sw_netstats_rx_add = (dev: net_device, len: number): void => {
  dev.stats.rx_packets++
  dev.stats.rx_bytes += len
}
const netdev_core_stats_alloc = kfunc('netdev_core_stats_alloc', (dev: net_device): net_device_core_stats => {
  pcpu_alloc_noprof(SIZEOF_NET_DEVICE_CORE_STATS, 8, false, GFP_ATOMIC | __GFP_NOWARN)
  dev.core_stats = new net_device_core_stats()
  return dev.core_stats
})
const netdev_core_stats_inc = kfunc('netdev_core_stats_inc', (dev: net_device, field: keyof net_device_core_stats): void => {
  const p = dev.core_stats ?? netdev_core_stats_alloc(dev)
  p[field]++
})
export const dev_core_stats_rx_dropped_inc = kfunc('dev_core_stats_rx_dropped_inc', (dev: net_device): void =>
  netdev_core_stats_inc(dev, 'rx_dropped'),
)
export const dev_core_stats_tx_dropped_inc = kfunc('dev_core_stats_tx_dropped_inc', (dev: net_device): void =>
  netdev_core_stats_inc(dev, 'tx_dropped'),
)
export const dev_core_stats_rx_nohandler_inc = kfunc('dev_core_stats_rx_nohandler_inc', (dev: net_device): void =>
  netdev_core_stats_inc(dev, 'rx_nohandler'),
)
export const dev_core_stats_rx_otherhost_dropped_inc = kfunc('dev_core_stats_rx_otherhost_dropped_inc', (dev: net_device): void =>
  netdev_core_stats_inc(dev, 'rx_otherhost_dropped'),
)
export const dev_get_stats = kfunc('dev_get_stats', (dev: net_device, storage: rtnl_link_stats64): rtnl_link_stats64 => {
  const { ndo_get_stats64 } = dev.netdev_ops
  if (ndo_get_stats64) ndo_get_stats64(dev, storage)
  else Object.assign(storage, dev.stats)
  storage.rx_dropped += dev.core_stats?.rx_dropped ?? 0
  storage.tx_dropped += dev.core_stats?.tx_dropped ?? 0
  return storage
})

// ---- limits and features

export const netif_keep_dst = (dev: net_device): void => {
  dev.priv_flags &= ~(C.IFF_XMIT_DST_RELEASE | C.IFF_XMIT_DST_RELEASE_PERM)
}
export const netif_set_gso_max_size = (dev: net_device, size: number): void => {
  dev.gso_max_size = size
  if (size <= C.GSO_LEGACY_MAX_SIZE) dev.gso_ipv4_max_size = size
}
export const netif_set_gso_ipv4_max_size = (dev: net_device, size: number): void => {
  dev.gso_ipv4_max_size = size
}
export const netif_set_gso_max_segs = (dev: net_device, segs: number): void => {
  dev.gso_max_segs = segs
}
export const netif_set_tso_max_size = kfunc('netif_set_tso_max_size', (dev: net_device, size: number): void => {
  dev.tso_max_size = Math.min(C.GSO_MAX_SIZE, size)
  if (size < dev.gso_max_size) netif_set_gso_max_size(dev, size)
  if (size < dev.gso_ipv4_max_size) netif_set_gso_ipv4_max_size(dev, size)
})
export const netif_set_tso_max_segs = kfunc('netif_set_tso_max_segs', (dev: net_device, segs: number): void => {
  dev.tso_max_segs = segs
  if (segs < dev.gso_max_segs) netif_set_gso_max_segs(dev, segs)
})
export const netif_inherit_tso_max = kfunc('netif_inherit_tso_max', (to: net_device, from: net_device): void => {
  netif_set_tso_max_size(to, from.tso_max_size)
  netif_set_tso_max_segs(to, from.tso_max_segs)
})
export const netif_get_gso_max_size = (dev: net_device, skb: sk_buff): number =>
  skb.protocol === ETH_P_IPV6 ? dev.gso_max_size : dev.gso_ipv4_max_size
export const netdev_intersect_features = (f1: netdev_features_t, f2: netdev_features_t): netdev_features_t => {
  let a = f1
  let b = f2
  if ((a ^ b) & F.NETIF_F_HW_CSUM) {
    if (a & F.NETIF_F_HW_CSUM) a |= F.NETIF_F_IP_CSUM | F.NETIF_F_IPV6_CSUM
    else b |= F.NETIF_F_IP_CSUM | F.NETIF_F_IPV6_CSUM
  }
  return a & b
}

/** drops features that need others which are off */
const netdev_fix_features = kfunc('netdev_fix_features', (_dev: net_device, want: netdev_features_t): netdev_features_t => {
  let features = want
  const csum4 = F.NETIF_F_HW_CSUM | F.NETIF_F_IP_CSUM
  const csum6 = F.NETIF_F_HW_CSUM | F.NETIF_F_IPV6_CSUM
  if (features & F.NETIF_F_HW_CSUM && features & (F.NETIF_F_IP_CSUM | F.NETIF_F_IPV6_CSUM))
    features &= ~(F.NETIF_F_IP_CSUM | F.NETIF_F_IPV6_CSUM)
  if (features & F.NETIF_F_ALL_TSO && !(features & F.NETIF_F_SG)) features &= ~F.NETIF_F_ALL_TSO
  if (features & F.NETIF_F_TSO && !(features & csum4)) features &= ~(F.NETIF_F_TSO | F.NETIF_F_TSO_ECN)
  if (features & F.NETIF_F_TSO6 && !(features & csum6)) features &= ~F.NETIF_F_TSO6
  if (features & F.NETIF_F_TSO_MANGLEID && !(features & F.NETIF_F_TSO)) features &= ~F.NETIF_F_TSO_MANGLEID
  if ((features & F.NETIF_F_ALL_TSO) === F.NETIF_F_TSO_ECN) features &= ~F.NETIF_F_TSO_ECN
  if (features & F.NETIF_F_GSO && !(features & F.NETIF_F_SG)) features &= ~F.NETIF_F_GSO
  if (!(features & F.NETIF_F_RXCSUM)) features &= ~(F.NETIF_F_GRO_HW | F.NETIF_F_LRO)
  return features
})

export const netdev_update_features = kfunc('netdev_update_features', (dev: net_device): void => {
  if (__netdev_update_features(dev)) call_netdevice_notifiers(C.NETDEV_FEAT_CHANGE, dev)
})

/** Makes the features in use those that are wanted and possible. @returns 1 when that changed them */
export const __netdev_update_features = kfunc('__netdev_update_features', (dev: net_device): number => {
  let features = (dev.features & ~dev.hw_features) | dev.wanted_features
  features = dev.netdev_ops.ndo_fix_features?.(dev, features) ?? features
  features = netdev_fix_features(dev, features)
  if (dev.features === features) return 0
  const err = dev.netdev_ops.ndo_set_features?.(dev, features) ?? 0
  if (err < 0) return -1
  if (err === 0) dev.features = features
  return err < 0 ? 0 : 1
})

// ---- who listens to frames

const ptype_head = (pt: packet_type): packet_type[] => {
  if (pt.type === ETH_P_ALL) return pt.dev === null ? net_hotdata.ptype_all : pt.dev.ptype_all
  if (pt.dev !== null) return pt.dev.ptype_specific
  let list = ptype_base.get(pt.type)
  if (list === undefined) {
    list = []
    ptype_base.set(pt.type, list)
  }
  return list
}

/** the newest comes first */
export const dev_add_pack = kfunc('dev_add_pack', (pt: packet_type): void => {
  ptype_head(pt).unshift(pt)
})
export const __dev_remove_pack = kfunc('__dev_remove_pack', (pt: packet_type): void => {
  const head = ptype_head(pt)
  const i = head.indexOf(pt)
  if (i >= 0) head.splice(i, 1)
})

const deliver_skb = kfunc('deliver_skb', (skb: sk_buff, pt_prev: packet_type, orig_dev: net_device): number => {
  if (skb_orphan_frags_rx(skb, GFP_ATOMIC)) return -ENOMEM
  skb.users++
  if (tracer.on) traceIndirect('pt_prev->func', nameOf(pt_prev.func))
  return pt_prev.func(skb, skb.dev as net_device, pt_prev, orig_dev)
})

const skb_loop_sk = (ptype: packet_type, skb: sk_buff): boolean => {
  if (!ptype.af_packet_priv || skb.sk === null) return false
  return ptype.id_match ? ptype.id_match(ptype, skb.sk) : ptype.af_packet_priv === skb.sk
}

export const dev_nit_active = kfunc(
  'dev_nit_active',
  (dev: net_device): boolean => net_hotdata.ptype_all.length > 0 || dev.ptype_all.length > 0,
)

/** gives a copy of what is sent to everybody who taps the device */
export const dev_queue_xmit_nit = kfunc('dev_queue_xmit_nit', (skb: sk_buff, dev: net_device): void => {
  let pt_prev: packet_type | null = null
  let skb2: sk_buff | null = null
  rcu_read_lock()
  all: for (const ptype_list of [net_hotdata.ptype_all, dev.ptype_all])
    for (const ptype of ptype_list) {
      if (ptype.ignore_outgoing || skb_loop_sk(ptype, skb)) continue
      if (pt_prev !== null && skb2 !== null) {
        deliver_skb(skb2, pt_prev, skb.dev as net_device)
        pt_prev = ptype
        continue
      }
      skb2 = skb_clone(skb, GFP_ATOMIC)
      if (skb2 === null) break all
      net_timestamp_set(skb2)
      skb_reset_mac_header(skb2)
      if (skb2.network_header < skb2.data || skb2.network_header > skb2.tail) skb_reset_network_header(skb2)
      skb2.transport_header = skb2.network_header
      skb2.pkt_type = C.PACKET_OUTGOING
      pt_prev = ptype
    }
  if (pt_prev !== null && skb2 !== null) {
    if (!skb_orphan_frags_rx(skb2, GFP_ATOMIC)) {
      if (tracer.on) traceIndirect('pt_prev->func', nameOf(pt_prev.func))
      pt_prev.func(skb2, skb.dev as net_device, pt_prev, skb.dev as net_device)
    } else kfree_skb(skb2)
  }
  rcu_read_unlock()
})

// ---- what a device can do with a packet

export { eth_type_vlan, skb_vlan_tag_present }

const skb_vlan_tagged = (skb: sk_buff): boolean => skb_vlan_tag_present(skb) || eth_type_vlan(skb.protocol)
const be16 = (b: Uint8Array, o: number): number => ((b[o] ?? 0) << 8) | (b[o + 1] ?? 0)

export const vlan_get_protocol_and_depth = kfunc(
  'vlan_get_protocol_and_depth',
  (skb: sk_buff, type: number, depth: ref<number> | null): number => {
    let vlan_depth = skb.mac_len
    let proto = type
    // with a tag in the header the protocol is behind the tags
    if (eth_type_vlan(proto)) {
      vlan_depth = vlan_depth >= VLAN_HLEN ? vlan_depth - VLAN_HLEN : 14
      for (let limit = 8; eth_type_vlan(proto) && limit > 0; limit--) {
        if (!pskb_may_pull(skb, vlan_depth + VLAN_HLEN)) return 0
        proto = be16(skb.head.bytes, skb.data + vlan_depth + 2)
        vlan_depth += VLAN_HLEN
      }
    }
    if (depth !== null) depth.v = vlan_depth
    return proto
  },
)

/** the EtherType of what the packet carries, behind any VLAN tags */
export const skb_network_protocol = kfunc('skb_network_protocol', (skb: sk_buff, depth: ref<number> | null): number => {
  let type = skb.protocol
  if (type === ETH_P_TEB) {
    if (!pskb_may_pull(skb, C.ETH_HLEN)) return 0
    type = be16(skb.head.bytes, skb.data + 12)
  }
  return vlan_get_protocol_and_depth(skb, type, depth)
})

export const can_checksum_protocol = kfunc('can_checksum_protocol', (features: netdev_features_t, protocol: number): boolean => {
  if (features & F.NETIF_F_HW_CSUM) return true
  if (protocol === ETH_P_IP) return (features & F.NETIF_F_IP_CSUM) !== 0n
  if (protocol === ETH_P_IPV6) return (features & F.NETIF_F_IPV6_CSUM) !== 0n
  return false
})

const harmonize_features = kfunc('harmonize_features', (skb: sk_buff, features: netdev_features_t): netdev_features_t => {
  const type = skb_network_protocol(skb, null)
  if (skb.ip_summed !== CHECKSUM_NONE && !can_checksum_protocol(features, type))
    return features & ~(F.NETIF_F_CSUM_MASK | F.NETIF_F_GSO_MASK)
  return features
})

export const passthru_features_check = kfunc(
  'passthru_features_check',
  (_skb: sk_buff, _dev: net_device, features: netdev_features_t): netdev_features_t => features,
)

const vlan_features_check = kfunc('vlan_features_check', (skb: sk_buff, features: netdev_features_t): netdev_features_t => {
  const inner = skb_vlan_tag_present(skb) ? skb.protocol : eth_type_vlan(skb.protocol) ? be16(skb.head.bytes, skb.data + 16) : 0
  if (!eth_type_vlan(inner)) return features
  return features & (F.NETIF_F_SG | F.NETIF_F_HIGHDMA | F.NETIF_F_FRAGLIST | F.NETIF_F_HW_CSUM | F.NETIF_F_VLAN_FEATURES)
})
const dflt_features_check = kfunc(
  'dflt_features_check',
  (skb: sk_buff, _dev: net_device, features: netdev_features_t): netdev_features_t => vlan_features_check(skb, features),
)

const gso_features_check = kfunc(
  'gso_features_check',
  (skb: sk_buff, dev: net_device, have: netdev_features_t): netdev_features_t => {
    const shinfo = skb_shinfo(skb)
    let features = have
    if (shinfo.gso_segs > dev.gso_max_segs) return features & ~F.NETIF_F_GSO_MASK
    if (skb.len >= netif_get_gso_max_size(dev, skb)) return features & ~F.NETIF_F_GSO_MASK
    if (!shinfo.gso_type) return features & ~F.NETIF_F_GSO_MASK
    if (dev.gso_partial_features !== 0n && !(shinfo.gso_type & C.SKB_GSO_PARTIAL)) features &= ~dev.gso_partial_features
    // a packet that may be fragmented needs an identification of its own in each segment
    if (dev.mangleid_features !== 0n && shinfo.gso_type & C.SKB_GSO_TCPV4) {
      const frag_off = be16(skb.head.bytes, skb.network_header + 6)
      if (!(frag_off & C.IP_DF)) features &= ~dev.mangleid_features
    }
    return features
  },
)

/** what of the device's features holds for this packet */
export const netif_skb_features = kfunc('netif_skb_features', (skb: sk_buff): netdev_features_t => {
  const dev = skb.dev as net_device
  let { features } = dev
  if (skb_is_gso(skb)) features = gso_features_check(skb, dev, features)
  if (skb.encapsulation) features &= dev.hw_enc_features
  if (skb_vlan_tagged(skb))
    features = netdev_intersect_features(features, dev.vlan_features | F.NETIF_F_HW_VLAN_CTAG_TX | F.NETIF_F_HW_VLAN_STAG_TX)
  const { ndo_features_check } = dev.netdev_ops
  if (ndo_features_check) {
    if (tracer.on) traceIndirect('dev->netdev_ops->ndo_features_check', nameOf(ndo_features_check))
    features &= ndo_features_check(skb, dev, features)
  } else {
    const checked = dflt_features_check(skb, dev, features)
    if (checked !== features) features &= checked
  }
  return harmonize_features(skb, features)
})

/** a packet that no driver can send as it asks to be: an error of skbtrace */
export const skb_warn_bad_offload = kfunc('skb_warn_bad_offload', (skb: sk_buff): void => {
  throw new InternalError(
    `bad offload: len ${skb.len}, ip_summed ${skb.ip_summed}, gso_type ${skb_shinfo(skb).gso_type}, dev ${skb.devName}`,
  )
})
/** a device vouched for a checksum that is wrong */
export const netdev_rx_csum_fault = kfunc('netdev_rx_csum_fault', (dev: net_device | null, skb: sk_buff): void => {
  if (tracer.on) decide('netdev_rx_csum_fault', 'wrong checksum from the hardware', { dev: dev?.name ?? '', len: skb.len })
})

/** Sums up in software what the device cannot. */
export const skb_checksum_help = kfunc('skb_checksum_help', (skb: sk_buff): number => {
  if (skb.ip_summed !== CHECKSUM_COMPLETE) {
    if (skb_is_gso(skb)) return -EINVAL
    if (skb_has_shared_frag(skb)) {
      const err = __skb_linearize(skb)
      if (err) return err
    }
    let offset = skb_checksum_start_offset(skb)
    if (offset >= skb_headlen(skb)) return -EINVAL
    const csum = skb_checksum(skb, offset, skb.len - offset, 0)
    offset += skb.csum_offset
    if (offset + 2 > skb_headlen(skb)) return -EINVAL
    const err = skb_ensure_writable(skb, offset + 2)
    if (err) return err
    const sum = csum_fold(csum) || CSUM_MANGLED_0
    const b = skb.head.bytes
    b[skb.data + offset] = sum >> 8
    b[skb.data + offset + 1] = sum
  }
  skb.ip_summed = CHECKSUM_NONE
  return 0
})

/** csum_offset of TCP and UDP: devices know these two */
const TCP_CHECK = 16
const UDP_CHECK = 6

export const skb_csum_hwoffload_help = kfunc('skb_csum_hwoffload_help', (skb: sk_buff, features: netdev_features_t): number => {
  if (features & F.NETIF_F_HW_CSUM) {
    if (tracer.on)
      decide('skb_csum_hwoffload_help', 'checksum left to the device', {
        csum_start: skb.csum_start,
        csum_offset: skb.csum_offset,
      })
    return 0
  }
  if (features & (F.NETIF_F_IP_CSUM | F.NETIF_F_IPV6_CSUM) && (skb.csum_offset === TCP_CHECK || skb.csum_offset === UDP_CHECK)) {
    if (tracer.on)
      decide('skb_csum_hwoffload_help', 'checksum left to the device', {
        csum_start: skb.csum_start,
        csum_offset: skb.csum_offset,
      })
    return 0
  }
  if (tracer.on)
    decide('skb_csum_hwoffload_help', 'checksum made in software: the device cannot', { csum_offset: skb.csum_offset })
  return skb_checksum_help(skb)
})

export const skb_gso_ok = kfunc(
  'skb_gso_ok',
  (skb: sk_buff, features: netdev_features_t): boolean =>
    net_gso_ok(features, skb_shinfo(skb).gso_type) && (!skb_has_frag_list(skb) || (features & F.NETIF_F_FRAGLIST) !== 0n),
)
export const netif_needs_gso = kfunc(
  'netif_needs_gso',
  (skb: sk_buff, features: netdev_features_t): boolean =>
    skb_is_gso(skb) &&
    (!skb_gso_ok(skb, features) || (skb.ip_summed !== CHECKSUM_PARTIAL && skb.ip_summed !== CHECKSUM_UNNECESSARY)),
)
export const skb_needs_linearize = kfunc(
  'skb_needs_linearize',
  (skb: sk_buff, features: netdev_features_t): boolean =>
    skb_is_nonlinear(skb) &&
    ((skb_has_frag_list(skb) && !(features & F.NETIF_F_FRAGLIST)) ||
      (skb_shinfo(skb).frags.length > 0 && !(features & F.NETIF_F_SG))),
)

// ---- sending

const netdev_start_xmit = kfunc(
  'netdev_start_xmit',
  (skb: sk_buff, dev: net_device, txq: netdev_queue, more: boolean): number => {
    const ops = dev.netdev_ops
    softnet.xmit.more = more ? 1 : 0
    if (tracer.on) traceIndirect('ops->ndo_start_xmit', nameOf(ops.ndo_start_xmit))
    const rc = ops.ndo_start_xmit(skb, dev)
    if (rc === C.NETDEV_TX_OK) txq.trans_start = jiffies()
    return rc
  },
)
/** netdev_xmit_more(): another packet follows at once, the doorbell can wait */
export const netdev_xmit_more = (): boolean => softnet.xmit.more !== 0

const xmit_one = kfunc('xmit_one', (skb: sk_buff, dev: net_device, txq: netdev_queue, more: boolean): number => {
  if (tracer.on) traceFrame(dev.name, dev.nd_net.name, 'out', skb)
  if (dev_nit_active(dev)) dev_queue_xmit_nit(skb, dev)
  const { len } = skb
  if (tracer.on) trace_net_dev_start_xmit(skb, dev.name)
  const rc = netdev_start_xmit(skb, dev, txq, more)
  if (tracer.on) tracepoint('net', 'net_dev_xmit', { name: dev.name, skbaddr: skb.kaddr, len, rc })
  return rc
})

/** the driver has the packet now, or it is gone */
export const dev_xmit_complete = (rc: number): boolean => rc < NET_XMIT_MASK
const netif_tx_queue_stopped = (q: netdev_queue): boolean => ((q.state >> C.__QUEUE_STATE_DRV_XOFF) & 1) !== 0
const QUEUE_STATE_ANY_XOFF = (1 << C.__QUEUE_STATE_DRV_XOFF) | (1 << C.__QUEUE_STATE_STACK_XOFF)
export const netif_xmit_stopped = (q: netdev_queue): boolean => (q.state & QUEUE_STATE_ANY_XOFF) !== 0
export const netif_xmit_frozen_or_stopped = (q: netdev_queue): boolean =>
  (q.state & (QUEUE_STATE_ANY_XOFF | (1 << C.__QUEUE_STATE_FROZEN))) !== 0
export const netif_tx_stop_queue = (q: netdev_queue): void => {
  q.state |= 1 << C.__QUEUE_STATE_DRV_XOFF
}
export const netif_tx_start_queue = (q: netdev_queue): void => {
  q.state &= ~(1 << C.__QUEUE_STATE_DRV_XOFF)
}
export const netif_start_queue = (dev: net_device): void => netif_tx_start_queue(netdev_get_tx_queue(dev, 0))
export const netif_stop_queue = (dev: net_device): void => netif_tx_stop_queue(netdev_get_tx_queue(dev, 0))

export const netif_queue_stopped = (dev: net_device): boolean => netif_tx_queue_stopped(netdev_get_tx_queue(dev, 0))

// ---- byte queue limits: include/linux/netdevice.h

/** bytes that a driver gave to its card; the queue rests when they are more than the card needs */
export const netdev_tx_sent_queue = kfunc('netdev_tx_sent_queue', (q: netdev_queue, bytes: number): void => {
  dql_queued(q.dql, bytes)
  if (tracer.on) traceCounters(q)
  if (dql_avail(q.dql) >= 0) return
  if (tracer.on) decide('netdev_tx_sent_queue', 'queue stopped: enough bytes for the card', { bytes, limit: q.dql.limit })
  q.state |= 1 << C.__QUEUE_STATE_STACK_XOFF
})
/** @returns whether the card has to be told now */
export const __netdev_tx_sent_queue = kfunc(
  '__netdev_tx_sent_queue',
  (q: netdev_queue, bytes: number, xmit_more: boolean): boolean => {
    if (xmit_more) {
      dql_queued(q.dql, bytes)
      return netif_tx_queue_stopped(q)
    }
    netdev_tx_sent_queue(q, bytes)
    return true
  },
)
export const netdev_sent_queue = kfunc('netdev_sent_queue', (dev: net_device, bytes: number): void =>
  netdev_tx_sent_queue(netdev_get_tx_queue(dev, 0), bytes),
)
export const netdev_tx_completed_queue = kfunc(
  'netdev_tx_completed_queue',
  (q: netdev_queue, _pkts: number, bytes: number): void => {
    if (!bytes) return
    dql_completed(q.dql, bytes)
    if (tracer.on) traceCounters(q)
    if (dql_avail(q.dql) < 0) return
    const stopped = (q.state >> C.__QUEUE_STATE_STACK_XOFF) & 1
    q.state &= ~(1 << C.__QUEUE_STATE_STACK_XOFF)
    if (stopped) netif_schedule_queue(q)
  },
)
export const netdev_completed_queue = kfunc('netdev_completed_queue', (dev: net_device, pkts: number, bytes: number): void =>
  netdev_tx_completed_queue(netdev_get_tx_queue(dev, 0), pkts, bytes),
)
export const netdev_tx_reset_queue = kfunc('netdev_tx_reset_queue', (q: netdev_queue): void => {
  q.state &= ~(1 << C.__QUEUE_STATE_STACK_XOFF)
  dql_reset(q.dql)
})
export const netdev_reset_queue = kfunc('netdev_reset_queue', (dev: net_device): void =>
  netdev_tx_reset_queue(netdev_get_tx_queue(dev, 0)),
)

/** Hands packets to the driver. @returns those that it did not take */
export const dev_hard_start_xmit = kfunc(
  'dev_hard_start_xmit',
  (first: sk_buff, dev: net_device, txq: netdev_queue, ret: ref<number>): sk_buff | null => {
    let skb: sk_buff | null = first
    let rc: number = C.NETDEV_TX_OK
    while (skb !== null) {
      const next: sk_buff | null = skb.next
      skb.next = null
      rc = xmit_one(skb, dev, txq, next !== null)
      if (!dev_xmit_complete(rc)) {
        skb.next = next
        break
      }
      skb = next
      if (skb !== null && netif_tx_queue_stopped(txq)) {
        rc = C.NETDEV_TX_BUSY
        break
      }
    }
    ret.v = rc
    return skb
  },
)

/** a tag that the device cannot put in is put into the frame */
const validate_xmit_vlan = kfunc('validate_xmit_vlan', (skb: sk_buff, features: netdev_features_t): sk_buff | null =>
  skb_vlan_tag_present(skb) && !vlan_hw_offload_capable(features, skb.vlan_proto) ? __vlan_hwaccel_push_inside(skb) : skb,
)

/** Makes of a packet what the device can send: segments, linear data, checksums. Null when it was dropped. */
export const validate_xmit_skb = kfunc(
  'validate_xmit_skb',
  (first: sk_buff, dev: net_device, again: ref<boolean>): sk_buff | null => {
    const features = netif_skb_features(first)
    let skb = validate_xmit_vlan(first, features)
    if (skb !== null) skb = sk_validate_xmit_skb(skb, dev)
    if (skb === null) {
      dev_core_stats_tx_dropped_inc(dev)
      return null
    }
    let drop = false
    if (netif_needs_gso(skb, features)) {
      if (tracer.on)
        decide('validate_xmit_skb', 'segmented in software: the device cannot', {
          len: skb.len,
          gso_size: skb.gso_size,
          gso_segs: skb.gso_segs,
        })
      const segs = skb_gso_segment(skb, features)
      if (IS_ERR(segs)) drop = true
      else if (segs !== null) {
        consume_skb(skb)
        skb = segs
      }
    } else if (skb_needs_linearize(skb, features) && __skb_linearize(skb)) drop = true
    else if (skb.ip_summed === CHECKSUM_PARTIAL) {
      if (skb.encapsulation) skb.inner_transport_header = skb.csum_start
      else skb_set_transport_header(skb, skb_checksum_start_offset(skb))
      if (skb_csum_hwoffload_help(skb, features)) drop = true
    }
    if (drop) {
      kfree_skb(skb)
      dev_core_stats_tx_dropped_inc(dev)
      return null
    }
    return validate_xmit_xfrm(skb, features, again)
  },
)

export const validate_xmit_skb_list = kfunc(
  'validate_xmit_skb_list',
  (first: sk_buff | null, dev: net_device, again: ref<boolean>): sk_buff | null => {
    let head: sk_buff | null = null
    let tail: sk_buff | null = null
    for (let skb = first; skb !== null; ) {
      const next: sk_buff | null = skb.next
      skb.next = null
      // a list of segments has its last one in prev; one that was not segmented is its own
      skb.prev = skb
      const done: sk_buff | null = validate_xmit_skb(skb, dev, again)
      if (done !== null) {
        if (tail === null) head = done
        else tail.next = done
        tail = done.prev
      }
      skb = next
    }
    return head
  },
)

/** bytes on the wire, with a header for each segment: what queue disciplines account by */
const qdisc_pkt_len_init = kfunc('qdisc_pkt_len_init', (skb: sk_buff): number => {
  const shinfo = skb_shinfo(skb)
  skb.pkt_len = skb.len
  if (!shinfo.gso_size) return 0
  if (!skb.encapsulation && !skb_transport_header_was_set(skb)) return 0
  let hdr_len = skb.encapsulation ? skb.inner_transport_header - skb.data : skb_transport_offset(skb)
  if (shinfo.gso_type & (C.SKB_GSO_TCPV4 | C.SKB_GSO_TCPV6)) {
    if (!pskb_may_pull(skb, hdr_len + 20)) return C.SKB_DROP_REASON_SKB_BAD_GSO
    const tlen = ((skb.head.bytes[skb.data + hdr_len + 12] ?? 0) >> 4) * 4
    if (tlen < 20) return C.SKB_DROP_REASON_SKB_BAD_GSO
    hdr_len += tlen
    if (!pskb_may_pull(skb, hdr_len)) return C.SKB_DROP_REASON_SKB_BAD_GSO
  } else if (shinfo.gso_type & C.SKB_GSO_UDP_L4) {
    if (!pskb_may_pull(skb, hdr_len + 8)) return C.SKB_DROP_REASON_SKB_BAD_GSO
    hdr_len += 8
  }
  let { gso_segs } = shinfo
  if (shinfo.gso_type & C.SKB_GSO_DODGY) {
    const payload = skb.len - hdr_len
    if (payload <= 0) return C.SKB_DROP_REASON_SKB_BAD_GSO
    gso_segs = DIV_ROUND_UP(payload, shinfo.gso_size)
  }
  skb.pkt_len += (gso_segs - 1) * hdr_len
  return 0
})

const dev_qdisc_enqueue = kfunc(
  'dev_qdisc_enqueue',
  (skb: sk_buff, q: Qdisc, to_free: ref<sk_buff | null>, txq: netdev_queue): number => {
    if (q.enqueue === null) return C.NET_XMIT_DROP
    if (tracer.on) traceIndirect('q->enqueue', nameOf(q.enqueue))
    const rc = q.enqueue(skb, q, to_free) & NET_XMIT_MASK
    if (rc === C.NET_XMIT_SUCCESS && tracer.on) trace_qdisc_enqueue(q, txq, skb)
    return rc
  },
)

const __dev_xmit_skb = kfunc('__dev_xmit_skb', (skb: sk_buff, q: Qdisc, dev: net_device, txq: netdev_queue): number => {
  const root_lock = qdisc_lock(q)
  const to_free: ref<sk_buff | null> = { v: null }
  let rc: number

  if (q.flags & C.TCQ_F_NOLOCK) {
    if (q.flags & C.TCQ_F_CAN_BYPASS && nolock_qdisc_is_empty(q) && qdisc_run_begin(q)) {
      if (!nolock_qdisc_is_empty(q)) {
        rc = dev_qdisc_enqueue(skb, q, to_free, txq)
        __qdisc_run(q)
        qdisc_run_end(q)
      } else {
        if (tracer.on) decide('__dev_xmit_skb', 'queue bypassed: it is empty', { len: skb.len })
        qdisc_bstats_update(q, skb)
        if (sch_direct_xmit(skb, q, dev, txq, null, true) && !nolock_qdisc_is_empty(q)) __qdisc_run(q)
        qdisc_run_end(q)
        return C.NET_XMIT_SUCCESS
      }
    } else {
      rc = dev_qdisc_enqueue(skb, q, to_free, txq)
      qdisc_run(q)
    }
    if (to_free.v !== null) kfree_skb_list_reason(to_free.v, C.SKB_DROP_REASON_QDISC_DROP)
    return rc
  }

  if (q.owner === 0) {
    kfree_skb_reason(skb, C.SKB_DROP_REASON_TC_RECLASSIFY_LOOP)
    return C.NET_XMIT_DROP
  }
  spin_lock(root_lock)
  if ((q.state >> C.__QDISC_STATE_DEACTIVATED) & 1) {
    __qdisc_drop(skb, to_free)
    rc = C.NET_XMIT_DROP
  } else if (q.flags & C.TCQ_F_CAN_BYPASS && !qdisc_qlen(q) && qdisc_run_begin(q)) {
    if (tracer.on) decide('__dev_xmit_skb', 'queue bypassed: it is empty', { len: skb.len })
    qdisc_bstats_update(q, skb)
    if (sch_direct_xmit(skb, q, dev, txq, root_lock, true)) __qdisc_run(q)
    qdisc_run_end(q)
    rc = C.NET_XMIT_SUCCESS
  } else {
    q.owner = 0
    rc = dev_qdisc_enqueue(skb, q, to_free, txq)
    q.owner = -1
    if (qdisc_run_begin(q)) {
      __qdisc_run(q)
      qdisc_run_end(q)
    }
  }
  spin_unlock(root_lock)
  if (to_free.v !== null) kfree_skb_list_reason(to_free.v, C.SKB_DROP_REASON_QDISC_DROP)
  return rc
})

/** without a table of cgroup priorities nothing changes */
const skb_update_prio = kfunc('skb_update_prio', (_skb: sk_buff): void => {})

const skb_tx_hash = kfunc('skb_tx_hash', (dev: net_device, _sb_dev: net_device, skb: sk_buff): number => {
  const qcount = dev.real_num_tx_queues
  if (skb_rx_queue_recorded(skb)) return skb_get_rx_queue(skb) % qcount
  return Math.floor(((skb.hash >>> 0) * qcount) / 0x100000000)
})
const get_xps_queue = kfunc('get_xps_queue', (_dev: net_device, _sb_dev: net_device, _skb: sk_buff): number => -1)

export const netdev_pick_tx = kfunc('netdev_pick_tx', (dev: net_device, skb: sk_buff, sb_dev: net_device | null): number => {
  const { sk } = skb
  const queue_index = sk_tx_queue_get(sk)
  const sb = sb_dev ?? dev
  if (queue_index >= 0 && !skb.ooo_okay && queue_index < dev.real_num_tx_queues) return queue_index
  let new_index = get_xps_queue(dev, sb, skb)
  if (new_index < 0) new_index = skb_tx_hash(dev, sb, skb)
  if (queue_index !== new_index && sk !== null && sk_fullsock(sk) && sk.sk_dst_cache !== null) sk_tx_queue_set(sk, new_index)
  return new_index
})
export const dev_pick_tx_zero = kfunc(
  'dev_pick_tx_zero',
  (_dev: net_device, _skb: sk_buff, _sb_dev: net_device | null): number => 0,
)

export const netdev_core_pick_tx = kfunc(
  'netdev_core_pick_tx',
  (dev: net_device, skb: sk_buff, sb_dev: net_device | null): netdev_queue => {
    let queue_index = 0
    if (dev.real_num_tx_queues !== 1) {
      const { ndo_select_queue } = dev.netdev_ops
      if (ndo_select_queue) {
        if (tracer.on) traceIndirect('ops->ndo_select_queue', nameOf(ndo_select_queue))
        queue_index = ndo_select_queue(dev, skb, sb_dev)
      } else queue_index = netdev_pick_tx(dev, skb, sb_dev)
      if (queue_index >= dev.real_num_tx_queues) queue_index = 0
    }
    skb_set_queue_mapping(skb, queue_index)
    return netdev_get_tx_queue(dev, queue_index)
  },
)

export const dev_recursion_level = (): number => softnet.xmit.recursion
export const dev_xmit_recursion = (): boolean => softnet.xmit.recursion > XMIT_RECURSION_LIMIT
export const dev_xmit_recursion_inc = (): void => {
  softnet.xmit.recursion++
}
export const dev_xmit_recursion_dec = (): void => {
  softnet.xmit.recursion--
}

export const __netif_tx_lock = kfunc('__netif_tx_lock', (txq: netdev_queue, cpu: number): void => {
  spin_lock(txq._xmit_lock)
  txq.xmit_lock_owner = cpu
})
export const __netif_tx_unlock = kfunc('__netif_tx_unlock', (txq: netdev_queue): void => {
  txq.xmit_lock_owner = -1
  spin_unlock(txq._xmit_lock)
})
/** drivers that lock for themselves say so with dev.lltx */
export const HARD_TX_LOCK = (dev: net_device, txq: netdev_queue, cpu: number): void => {
  if (!dev.lltx) __netif_tx_lock(txq, cpu)
}
export const HARD_TX_UNLOCK = (dev: net_device, txq: netdev_queue): void => {
  if (!dev.lltx) __netif_tx_unlock(txq)
}

/**
 * Sends a packet that has its link header. It is consumed whatever happens.
 * @returns 0, a positive code of a queue discipline, or a negative error
 */
export const __dev_queue_xmit = kfunc('__dev_queue_xmit', (first: sk_buff, sb_dev: net_device | null): number => {
  let skb: sk_buff | null = first
  const dev = first.dev as net_device
  skb_reset_mac_header(first)
  if (skb_shinfo(first).tx_flags & C.SKBTX_SCHED_TSTAMP) __skb_tstamp_tx(first, null, null, first.sk, SCM_TSTAMP_SCHED)
  const reason = qdisc_pkt_len_init(first)
  if (reason) {
    dev_core_stats_tx_dropped_inc(dev)
    kfree_skb_reason(first, reason)
    return -EINVAL
  }
  rcu_read_lock_bh()
  skb_update_prio(first)
  first.tc_at_ingress = 0
  if (dev.priv_flags & C.IFF_XMIT_DST_RELEASE) skb_dst_drop(first)
  else skb_dst_force(first)

  const txq = netdev_core_pick_tx(dev, first, sb_dev)
  const q = txq.qdisc
  if (tracer.on) tracepoint('net', 'net_dev_queue', { name: dev.name, skbaddr: first.kaddr, len: first.len })
  let rc = -ENETDOWN
  if (q !== null && q.enqueue !== null) {
    rc = __dev_xmit_skb(first, q, dev, txq)
    rcu_read_unlock_bh()
    return rc
  }

  if (tracer.on) decide('__dev_queue_xmit', 'no queue: straight to the driver', { dev: dev.name, len: first.len })
  if (dev.flags & C.IFF_UP && txq.xmit_lock_owner !== 0 && !dev_xmit_recursion()) {
    const again: ref<boolean> = { v: false }
    skb = validate_xmit_skb(first, dev, again)
    if (skb === null) {
      rcu_read_unlock_bh()
      return -ENOMEM
    }
    let is_list = false
    HARD_TX_LOCK(dev, txq, 0)
    if (!netif_xmit_stopped(txq)) {
      is_list = skb.next !== null
      const ret: ref<number> = { v: rc }
      dev_xmit_recursion_inc()
      skb = dev_hard_start_xmit(skb, dev, txq, ret)
      dev_xmit_recursion_dec()
      // segments of one packet: an error would mean that none of it was sent
      rc = is_list ? C.NETDEV_TX_OK : ret.v
    }
    HARD_TX_UNLOCK(dev, txq)
    if (skb === null) {
      rcu_read_unlock_bh()
      return rc
    }
    if (!is_list) rc = -ENETDOWN
  }
  rcu_read_unlock_bh()
  dev_core_stats_tx_dropped_inc(dev)
  kfree_skb_list(skb)
  return rc
})

export const dev_queue_xmit = kfunc('dev_queue_xmit', (skb: sk_buff): number => __dev_queue_xmit(skb, null))

const netif_xmit_frozen_or_drv_stopped = (q: netdev_queue): boolean =>
  (q.state & ((1 << C.__QUEUE_STATE_DRV_XOFF) | (1 << C.__QUEUE_STATE_FROZEN))) !== 0

/** Sends past the queue discipline. @returns NETDEV_TX_*, or NET_XMIT_DROP when the packet is gone */
export const __dev_direct_xmit = kfunc('__dev_direct_xmit', (orig_skb: sk_buff, queue_id: number): number => {
  const dev = orig_skb.dev as net_device
  const again: ref<boolean> = { v: false }
  let skb: sk_buff | null = orig_skb
  if (netif_running(dev) && netif_carrier_ok(dev)) {
    skb = validate_xmit_skb_list(skb, dev, again)
    if (skb === orig_skb) {
      let ret: number = C.NETDEV_TX_BUSY
      skb_set_queue_mapping(skb, queue_id)
      const txq = netdev_get_tx_queue(dev, queue_id)
      local_bh_disable()
      dev_xmit_recursion_inc()
      HARD_TX_LOCK(dev, txq, 0)
      if (!netif_xmit_frozen_or_drv_stopped(txq)) {
        if (tracer.on) traceFrame(dev.name, dev.nd_net.name, 'out', skb)
        ret = netdev_start_xmit(skb, dev, txq, false)
      }
      HARD_TX_UNLOCK(dev, txq)
      dev_xmit_recursion_dec()
      local_bh_enable()
      return ret
    }
  }
  dev_core_stats_tx_dropped_inc(dev)
  kfree_skb_list(skb)
  return C.NET_XMIT_DROP
})
export const dev_direct_xmit = kfunc('dev_direct_xmit', (skb: sk_buff, queue_id: number): number => {
  const ret = __dev_direct_xmit(skb, queue_id)
  if (!dev_xmit_complete(ret)) kfree_skb(skb)
  return ret
})

/** writes the link header; negative when the address is not known */
export const dev_hard_header = kfunc(
  'dev_hard_header',
  (skb: sk_buff, dev: net_device, type: number, daddr: Uint8Array | null, saddr: Uint8Array | null, len: number): number => {
    const { header_ops } = dev
    if (header_ops === null) return 0
    if (tracer.on) traceIndirect('dev->header_ops->create', nameOf(header_ops.create))
    return header_ops.create(skb, dev, type, daddr, saddr, len)
  },
)

export const dev_loopback_xmit = kfunc('dev_loopback_xmit', (_n: net, _sk: sock | null, skb: sk_buff): number => {
  skb_reset_mac_header(skb)
  __skb_pull(skb, skb_network_offset(skb))
  skb.pkt_type = C.PACKET_LOOPBACK
  if (skb.ip_summed === CHECKSUM_NONE) skb.ip_summed = CHECKSUM_UNNECESSARY
  skb_dst_force(skb)
  netif_rx(skb)
  return 0
})

// ---- receiving

const ____napi_schedule = kfunc('____napi_schedule', (sd: softnet_data, napi: napi_struct): void => {
  list_add_tail(napi.poll_list, sd.poll_list)
  if (!sd.in_net_rx_action) raise_softirq_irqoff(C.NET_RX_SOFTIRQ)
})
export const __napi_schedule = kfunc('__napi_schedule', (n: napi_struct): void => ____napi_schedule(softnet, n))
export const __napi_schedule_irqoff = kfunc('__napi_schedule_irqoff', (n: napi_struct): void => ____napi_schedule(softnet, n))

const SCHED = 1 << C.NAPI_STATE_SCHED
const MISSED = 1 << C.NAPI_STATE_MISSED
const DISABLE = 1 << C.NAPI_STATE_DISABLE
const NPSVC = 1 << C.NAPI_STATE_NPSVC
const LISTED = 1 << C.NAPI_STATE_LISTED
const IN_BUSY_POLL = 1 << C.NAPI_STATE_IN_BUSY_POLL
const PREFER_BUSY_POLL = 1 << C.NAPI_STATE_PREFER_BUSY_POLL
const THREADED = 1 << C.NAPI_STATE_THREADED
const SCHED_THREADED = 1 << C.NAPI_STATE_SCHED_THREADED

/** true: it was not scheduled, and is the caller's to schedule */
export const napi_schedule_prep = kfunc('napi_schedule_prep', (n: napi_struct): boolean => {
  const val = n.state
  if (val & DISABLE) return false
  n.state = val | SCHED | (val & SCHED ? MISSED : 0)
  return !(val & SCHED)
})
export const napi_schedule = kfunc('napi_schedule', (n: napi_struct): boolean => {
  if (!napi_schedule_prep(n)) return false
  __napi_schedule(n)
  return true
})
export const napi_is_scheduled = (n: napi_struct): boolean => (n.state & SCHED) !== 0

/** false: poll again, more has come meanwhile */
export const napi_complete_done = kfunc('napi_complete_done', (n: napi_struct, work_done: number): boolean => {
  if (n.state & (NPSVC | IN_BUSY_POLL)) return false
  let timeout = 0
  let ret = true
  if (work_done) {
    if (n.gro_bitmask) timeout = n.dev.gro_flush_timeout
    n.defer_hard_irqs_count = n.dev.napi_defer_hard_irqs
  }
  if (n.defer_hard_irqs_count > 0) {
    n.defer_hard_irqs_count--
    timeout = n.dev.gro_flush_timeout
    if (timeout) ret = false
  }
  if (n.gro_bitmask) napi_gro_flush(n, timeout !== 0)
  gro_normal_list(n)
  if (!list_empty(n.poll_list)) list_del(n.poll_list)
  const val = n.state
  n.state = (val & ~(MISSED | SCHED | SCHED_THREADED | PREFER_BUSY_POLL)) | (val & MISSED ? SCHED : 0)
  if (val & MISSED) {
    __napi_schedule(n)
    return false
  }
  return ret
})
export const napi_complete = kfunc('napi_complete', (n: napi_struct): boolean => napi_complete_done(n, 0))

const init_gro_hash = kfunc('init_gro_hash', (napi: napi_struct): void => {
  napi.gro_hash = Array.from({ length: GRO_HASH_BUCKETS }, () => ({ list: [], count: 0 }))
  napi.gro_bitmask = 0
})
export const netif_napi_add_weight = kfunc(
  'netif_napi_add_weight',
  (dev: net_device, napi: napi_struct, poll: (napi: napi_struct, weight: number) => number, weight: number): void => {
    if (napi.state & LISTED) return
    napi.state = LISTED | SCHED | NPSVC
    napi.poll = poll
    napi.weight = weight
    napi.dev = dev
    init_gro_hash(napi)
    napi.rx_list = []
    napi.rx_count = 0
  },
)
export const netif_napi_add = (dev: net_device, napi: napi_struct, poll: (napi: napi_struct, weight: number) => number): void =>
  netif_napi_add_weight(dev, napi, poll, C.NAPI_POLL_WEIGHT)
export const napi_enable = kfunc('napi_enable', (n: napi_struct): void => {
  n.state &= ~(SCHED | NPSVC)
})
export const napi_disable = kfunc('napi_disable', (n: napi_struct): void => {
  n.state = (n.state | SCHED | NPSVC) & ~(PREFER_BUSY_POLL | DISABLE)
  list_del(n.poll_list)
})
export const __netif_napi_del = kfunc('__netif_napi_del', (napi: napi_struct): void => {
  napi.state &= ~LISTED
  napi.gro_bitmask = 0
})

const napi_schedule_rps = kfunc('napi_schedule_rps', (_sd: softnet_data): void => __napi_schedule_irqoff(softnet.backlog))

const skb_flow_limit = kfunc('skb_flow_limit', (_skb: sk_buff, qlen: number): boolean => {
  if (qlen < net_hotdata.max_backlog >> 1) return false
  rcu_read_lock()
  rcu_read_unlock()
  return false
})

const backlog_lock_irq_save = kfunc('backlog_lock_irq_save', (sd: softnet_data): number =>
  spin_lock_irqsave(sd.input_pkt_queue.lock),
)
const backlog_unlock_irq_restore = kfunc('backlog_unlock_irq_restore', (sd: softnet_data, flags: number): void =>
  spin_unlock_irqrestore(sd.input_pkt_queue.lock, flags),
)
const backlog_lock_irq_disable = kfunc('backlog_lock_irq_disable', (sd: softnet_data): void =>
  spin_lock_irq(sd.input_pkt_queue.lock),
)
const backlog_unlock_irq_enable = kfunc('backlog_unlock_irq_enable', (sd: softnet_data): void =>
  spin_unlock_irq(sd.input_pkt_queue.lock),
)

/** Queues a received packet for the softirq of `cpu`: the only one. */
export const enqueue_to_backlog = kfunc('enqueue_to_backlog', (skb: sk_buff, _cpu: number, _qtail: null): number => {
  const sd = softnet
  let reason: number = C.SKB_DROP_REASON_CPU_BACKLOG
  const { max_backlog } = net_hotdata
  if (skb_queue_len(sd.input_pkt_queue) > max_backlog) sd.dropped++
  else {
    const flags = backlog_lock_irq_save(sd)
    const qlen = skb_queue_len(sd.input_pkt_queue)
    if (qlen <= max_backlog && !skb_flow_limit(skb, qlen)) {
      if (netif_running(skb.dev as net_device)) {
        if (qlen === 0 && !(sd.backlog.state & SCHED)) {
          sd.backlog.state |= SCHED
          napi_schedule_rps(sd)
        }
        __skb_queue_tail(sd.input_pkt_queue, skb)
        backlog_unlock_irq_restore(sd, flags)
        return C.NET_RX_SUCCESS
      }
      backlog_unlock_irq_restore(sd, flags)
      reason = C.SKB_DROP_REASON_DEV_READY
    } else {
      backlog_unlock_irq_restore(sd, flags)
      sd.dropped++
    }
  }
  dev_core_stats_rx_dropped_inc(skb.dev as net_device)
  kfree_skb_reason(skb, reason)
  return C.NET_RX_DROP
})

const netif_rx_internal = kfunc('netif_rx_internal', (skb: sk_buff): number => {
  net_timestamp_check(net_hotdata.tstamp_prequeue !== 0, skb)
  if (tracer.on) tracepoint('net', 'netif_rx', { name: skb.devName, skbaddr: skb.kaddr, len: skb.len })
  return enqueue_to_backlog(skb, 0, null)
})

/** for callers that run with bottom halves off */
export const __netif_rx = kfunc('__netif_rx', (skb: sk_buff): number => {
  if (tracer.on) trace_rx_entry('netif_rx_entry', skb)
  const ret = netif_rx_internal(skb)
  if (tracer.on) tracepoint('net', 'netif_rx_exit', { ret })
  return ret
})

export const netif_rx = kfunc('netif_rx', (skb: sk_buff): number => {
  const need_bh_off = !in_interrupt()
  if (need_bh_off) local_bh_disable()
  if (tracer.on) trace_rx_entry('netif_rx_entry', skb)
  const ret = netif_rx_internal(skb)
  if (tracer.on) tracepoint('net', 'netif_rx_exit', { ret })
  if (need_bh_off) local_bh_enable()
  return ret
})

/** frees from wherever the driver is */
export const dev_kfree_skb_any_reason = kfunc('dev_kfree_skb_any_reason', (skb: sk_buff, reason: number): void => {
  if (reason === C.SKB_CONSUMED) consume_skb(skb)
  else kfree_skb_reason(skb, reason)
})
export const dev_kfree_skb_any = (skb: sk_buff): void => dev_kfree_skb_any_reason(skb, C.SKB_DROP_REASON_NOT_SPECIFIED)
export const dev_consume_skb_any = (skb: sk_buff): void => dev_kfree_skb_any_reason(skb, C.SKB_CONSUMED)

const ____dev_forward_skb = kfunc('____dev_forward_skb', (dev: net_device, skb: sk_buff, check_mtu: boolean): number => {
  if (!__is_skb_forwardable(dev, skb, check_mtu)) {
    dev_core_stats_rx_dropped_inc(dev)
    kfree_skb(skb)
    return C.NET_RX_DROP
  }
  skb_scrub_packet(skb, skb.dev === null || skb.dev.nd_net !== dev.nd_net)
  skb.priority = 0
  return 0
})
const __is_skb_forwardable = kfunc('__is_skb_forwardable', (dev: net_device, skb: sk_buff, check_mtu: boolean): boolean => {
  if (!(dev.flags & C.IFF_UP)) return false
  if (!check_mtu) return true
  if (skb.len <= dev.mtu + dev.hard_header_len + VLAN_HLEN) return true
  return skb_is_gso(skb)
})
export const is_skb_forwardable = kfunc('is_skb_forwardable', (dev: net_device, skb: sk_buff): boolean =>
  __is_skb_forwardable(dev, skb, true),
)
const __dev_forward_skb2 = kfunc('__dev_forward_skb2', (dev: net_device, skb: sk_buff, check_mtu: boolean): number => {
  const ret = ____dev_forward_skb(dev, skb, check_mtu)
  if (ret === 0) {
    skb.protocol = eth_type_trans(skb, dev)
    skb_postpull_rcsum(skb, skb.mac_header, C.ETH_HLEN)
  }
  return ret
})
export const __dev_forward_skb = kfunc('__dev_forward_skb', (dev: net_device, skb: sk_buff): number =>
  __dev_forward_skb2(dev, skb, true),
)
/** puts a packet that one device sent into the receive queue of another, in whatever namespace */
export const dev_forward_skb = kfunc(
  'dev_forward_skb',
  (dev: net_device, skb: sk_buff): number => __dev_forward_skb(dev, skb) || netif_rx_internal(skb),
)

export const netdev_rx_handler_register = kfunc(
  'netdev_rx_handler_register',
  (dev: net_device, rx_handler: (pskb: ref<sk_buff>) => number, rx_handler_data: unknown): number => {
    if (dev.rx_handler !== null) return -EBUSY
    if (dev.priv_flags & C.IFF_NO_RX_HANDLER) return -EINVAL
    dev.rx_handler_data = rx_handler_data
    dev.rx_handler = rx_handler
    return 0
  },
)
export const netdev_rx_handler_unregister = kfunc('netdev_rx_handler_unregister', (dev: net_device): void => {
  dev.rx_handler = null
  dev.rx_handler_data = null
})

/** leaves the last handler to the caller, in `ppt_prev` */
const __netif_receive_skb_core = kfunc(
  '__netif_receive_skb_core',
  (pskb: ref<sk_buff>, pfmemalloc: boolean, ppt_prev: ref<packet_type | null>): number => {
    let skb = pskb.v
    let pt_prev: packet_type | null = null
    let ret: number = C.NET_RX_DROP
    let deliver_exact = false
    net_timestamp_check(net_hotdata.tstamp_prequeue === 0, skb)
    if (tracer.on) tracepoint('net', 'netif_receive_skb', { name: skb.devName, skbaddr: skb.kaddr, len: skb.len })
    const orig_dev = skb.dev as net_device
    skb_reset_network_header(skb)
    if (!skb_transport_header_was_set(skb)) skb_reset_transport_header(skb)
    skb_reset_mac_len(skb)

    for (let again = true; again; ) {
      again = false
      const dev = skb.dev as net_device
      skb.skb_iif = dev.ifindex
      softnet.processed++
      if (eth_type_vlan(skb.protocol)) {
        const untagged = skb_vlan_untag(skb)
        if (untagged === null) return ret
        skb = untagged
      }
      // what loops back was seen when it was sent; so was the copy of a broadcast for this host: packet_rcv() drops it as well
      if (tracer.on && !(dev.flags & C.IFF_LOOPBACK) && skb.pkt_type !== C.PACKET_LOOPBACK)
        traceFrame(dev.name, dev.nd_net.name, 'in', skb)
      if (!pfmemalloc && (net_hotdata.ptype_all.length > 0 || dev.ptype_all.length > 0))
        for (const list of [net_hotdata.ptype_all, dev.ptype_all])
          for (const ptype of list) {
            if (pt_prev !== null) ret = deliver_skb(skb, pt_prev, orig_dev)
            pt_prev = ptype
          }
      skb.redirected = 0
      if (skb_vlan_tag_present(skb)) {
        if (pt_prev !== null) {
          ret = deliver_skb(skb, pt_prev, orig_dev)
          pt_prev = null
        }
        pskb.v = skb
        const mine = vlan_do_receive(pskb)
        skb = pskb.v
        if (mine) {
          again = true
          continue
        }
        if (skb === null) return ret
      }
      const { rx_handler } = dev
      if (rx_handler !== null) {
        if (pt_prev !== null) {
          ret = deliver_skb(skb, pt_prev, orig_dev)
          pt_prev = null
        }
        if (tracer.on) traceIndirect('skb->dev->rx_handler', nameOf(rx_handler))
        pskb.v = skb
        const what = rx_handler(pskb)
        skb = pskb.v
        if (what === RX_HANDLER_CONSUMED) return C.NET_RX_SUCCESS
        if (what === RX_HANDLER_ANOTHER) {
          again = true
          continue
        }
        if (what === RX_HANDLER_EXACT) deliver_exact = true
      }
      while (skb_vlan_tag_present(skb)) {
        if (skb_vlan_tag_get_id(skb)) {
          // nobody here has this VLAN
          skb.pkt_type = C.PACKET_OTHERHOST
          __vlan_hwaccel_clear_tag(skb)
        } else if (eth_type_vlan(skb.protocol)) {
          __vlan_hwaccel_clear_tag(skb)
          const untagged = skb_vlan_untag(skb)
          if (untagged === null) return ret
          pskb.v = untagged
          again = vlan_do_receive(pskb)
          skb = pskb.v
          if (again) break
          if (skb === null) return ret
        } else __vlan_hwaccel_clear_tag(skb)
      }
    }

    const type = skb.protocol
    const dev = skb.dev as net_device
    if (!deliver_exact)
      for (const ptype of ptype_base.get(type) ?? no_ptypes) {
        if (pt_prev !== null) deliver_skb(skb, pt_prev, orig_dev)
        pt_prev = ptype
      }
    if (orig_dev.ptype_specific.length > 0 || dev.ptype_specific.length > 0)
      for (const list of dev === orig_dev ? [dev.ptype_specific] : [orig_dev.ptype_specific, dev.ptype_specific])
        for (const ptype of list) {
          if (ptype.type !== type) continue
          if (pt_prev !== null) deliver_skb(skb, pt_prev, orig_dev)
          pt_prev = ptype
        }

    if (pt_prev !== null && !skb_orphan_frags_rx(skb, GFP_ATOMIC)) ppt_prev.v = pt_prev
    else {
      if (!deliver_exact) dev_core_stats_rx_dropped_inc(dev)
      else dev_core_stats_rx_nohandler_inc(dev)
      kfree_skb_reason(skb, C.SKB_DROP_REASON_UNHANDLED_PROTO)
      ret = C.NET_RX_DROP
    }
    pskb.v = skb
    return ret
  },
)

const __netif_receive_skb_one_core = kfunc('__netif_receive_skb_one_core', (skb: sk_buff, pfmemalloc: boolean): number => {
  const orig_dev = skb.dev as net_device
  const pskb: ref<sk_buff> = { v: skb }
  const pt_prev: ref<packet_type | null> = { v: null }
  const ret = __netif_receive_skb_core(pskb, pfmemalloc, pt_prev)
  const pt = pt_prev.v
  if (pt === null) return ret
  if (tracer.on) traceIndirect('pt_prev->func', nameOf(pt.func))
  return pt.func(pskb.v, pskb.v.dev as net_device, pt, orig_dev)
})

export const __netif_receive_skb = kfunc('__netif_receive_skb', (skb: sk_buff): number =>
  __netif_receive_skb_one_core(skb, sk_memalloc_socks() && skb.pfmemalloc !== 0),
)

const netif_receive_skb_internal = kfunc('netif_receive_skb_internal', (skb: sk_buff): number => {
  net_timestamp_check(net_hotdata.tstamp_prequeue !== 0, skb)
  if (skb_defer_rx_timestamp(skb)) return C.NET_RX_SUCCESS
  rcu_read_lock()
  const ret = __netif_receive_skb(skb)
  rcu_read_unlock()
  return ret
})

export const netif_receive_skb = kfunc('netif_receive_skb', (skb: sk_buff): number => {
  if (tracer.on) trace_rx_entry('netif_receive_skb_entry', skb)
  const ret = netif_receive_skb_internal(skb)
  if (tracer.on) tracepoint('net', 'netif_receive_skb_exit', { ret })
  return ret
})

const __netif_receive_skb_list_ptype = kfunc(
  '__netif_receive_skb_list_ptype',
  (head: sk_buff[], pt_prev: packet_type | null, orig_dev: net_device | null): void => {
    if (pt_prev === null || head.length === 0) return
    if (pt_prev.list_func !== undefined) {
      if (tracer.on) traceIndirect('pt_prev->list_func', nameOf(pt_prev.list_func))
      pt_prev.list_func(head, pt_prev, orig_dev)
      return
    }
    for (const skb of head) {
      if (tracer.on) traceIndirect('pt_prev->func', nameOf(pt_prev.func))
      pt_prev.func(skb, skb.dev as net_device, pt_prev, orig_dev ?? (skb.dev as net_device))
    }
  },
)

/** packets in a row for the same handler, from the same device, go to it together */
const __netif_receive_skb_list_core = kfunc('__netif_receive_skb_list_core', (head: sk_buff[], pfmemalloc: boolean): void => {
  let pt_curr: packet_type | null = null
  let od_curr: net_device | null = null
  let sublist: sk_buff[] = []
  for (const skb of head) {
    const orig_dev = skb.dev
    const pt_prev: ref<packet_type | null> = { v: null }
    const pskb: ref<sk_buff> = { v: skb }
    __netif_receive_skb_core(pskb, pfmemalloc, pt_prev)
    if (pt_prev.v === null) continue
    if (pt_curr !== pt_prev.v || od_curr !== orig_dev) {
      __netif_receive_skb_list_ptype(sublist, pt_curr, od_curr)
      sublist = []
      pt_curr = pt_prev.v
      od_curr = orig_dev
    }
    sublist.push(pskb.v)
  }
  __netif_receive_skb_list_ptype(sublist, pt_curr, od_curr)
})
const __netif_receive_skb_list = kfunc('__netif_receive_skb_list', (head: sk_buff[]): void => {
  if (head.length > 0) __netif_receive_skb_list_core(head, false)
})

/** a list of packets that a poll and GRO made goes up */
export const netif_receive_skb_list_internal = kfunc('netif_receive_skb_list_internal', (head: sk_buff[]): void => {
  const sublist: sk_buff[] = []
  for (const skb of head) {
    net_timestamp_check(net_hotdata.tstamp_prequeue !== 0, skb)
    if (!skb_defer_rx_timestamp(skb)) sublist.push(skb)
  }
  rcu_read_lock()
  __netif_receive_skb_list(sublist)
  rcu_read_unlock()
})

/** takes packets from the queue of netif_rx() and gives them to the protocols; at most `quota` */
const process_backlog = kfunc('process_backlog', (napi: napi_struct, quota: number): number => {
  const sd = softnet
  let work = 0
  napi.weight = net_hotdata.dev_rx_weight
  for (let again = true; again; ) {
    for (let skb = __skb_dequeue(sd.process_queue); skb !== null; skb = __skb_dequeue(sd.process_queue)) {
      const before = beginWork('softirq', skb.dev?.nd_net.name ?? '')
      rcu_read_lock()
      __netif_receive_skb(skb)
      rcu_read_unlock()
      endWork(before)
      if (++work >= quota) return work
    }
    backlog_lock_irq_disable(sd)
    if (skb_queue_empty(sd.input_pkt_queue)) {
      napi.state &= THREADED
      again = false
    } else skb_queue_splice_tail_init(sd.input_pkt_queue, sd.process_queue)
    backlog_unlock_irq_enable(sd)
  }
  return work
})

const __napi_poll = kfunc('__napi_poll', (n: napi_struct, repoll: ref<boolean>): number => {
  const { weight } = n
  let work = 0
  if (napi_is_scheduled(n)) {
    if (tracer.on) traceIndirect('n->poll', nameOf(n.poll))
    work = n.poll(n, weight)
    if (tracer.on) tracepoint('napi', 'napi_poll', { napi: 0, dev_name: n.dev?.name ?? '(no_device)', work, budget: weight })
  }
  if (work < weight) return work
  if (n.state & DISABLE) {
    napi_complete(n)
    return work
  }
  if (n.gro_bitmask) napi_gro_flush(n, false)
  gro_normal_list(n)
  if (list_empty(n.poll_list)) repoll.v = true
  return work
})

const napi_poll = kfunc('napi_poll', (n: napi_struct, repoll: list_head<napi_struct>): number => {
  const do_repoll: ref<boolean> = { v: false }
  list_del(n.poll_list)
  // the queue of netif_rx() has packets of several namespaces: process_backlog() says whose
  const before = n === softnet.backlog ? null : beginWork('softirq', n.dev.nd_net.name)
  const work = __napi_poll(n, do_repoll)
  if (before !== null) endWork(before)
  if (do_repoll.v) list_add_tail(n.poll_list, repoll)
  return work
})

/** the receive softirq */
const net_rx_action = kfunc('net_rx_action', (): void => {
  const sd = softnet
  const time_limit = jiffies() + usecs_to_jiffies(net_hotdata.netdev_budget_usecs)
  let budget = net_hotdata.netdev_budget
  const list = new list_head<napi_struct>()
  const repoll = new list_head<napi_struct>()
  sd.in_net_rx_action = true
  list_splice_tail_init(sd.poll_list, list)
  for (;;) {
    if (list_empty(list)) {
      if (!list_empty(repoll)) break
      sd.in_net_rx_action = false
      if (list_empty(sd.poll_list)) return
      sd.in_net_rx_action = true
      list_splice_tail_init(sd.poll_list, list)
      continue
    }
    const n = list.next.owner
    if (n === null) break
    budget -= napi_poll(n, repoll)
    if (budget <= 0 || jiffies() >= time_limit) {
      sd.time_squeeze++
      break
    }
  }
  // what was not done comes before what was added meanwhile
  list_splice_tail_init(sd.poll_list, list)
  list_splice_tail_init(repoll, list)
  list_splice_tail_init(list, sd.poll_list)
  if (!list_empty(sd.poll_list)) __raise_softirq_irqoff(C.NET_RX_SOFTIRQ)
  else sd.in_net_rx_action = false
})

const __netif_reschedule = kfunc('__netif_reschedule', (q: Qdisc): void => {
  q.next_sched = null
  if (softnet.output_queue_tail === null) softnet.output_queue = q
  else softnet.output_queue_tail.next_sched = q
  softnet.output_queue_tail = q
  raise_softirq_irqoff(C.NET_TX_SOFTIRQ)
})
export const __netif_schedule = kfunc('__netif_schedule', (q: Qdisc): void => {
  if ((q.state >> C.__QDISC_STATE_SCHED) & 1) return
  q.state |= 1 << C.__QDISC_STATE_SCHED
  __netif_reschedule(q)
})
export const netif_schedule_queue = kfunc('netif_schedule_queue', (txq: netdev_queue): void => {
  if (!netif_xmit_stopped(txq) && txq.qdisc !== null) __netif_schedule(txq.qdisc)
})
export const netif_tx_wake_queue = kfunc('netif_tx_wake_queue', (txq: netdev_queue): void => {
  if (!netif_tx_queue_stopped(txq)) return
  netif_tx_start_queue(txq)
  if (txq.qdisc !== null) __netif_schedule(txq.qdisc)
})
export const netif_wake_queue = (dev: net_device): void => netif_tx_wake_queue(netdev_get_tx_queue(dev, 0))

/** the transmit softirq: queue disciplines that had to wait */
const net_tx_action = kfunc('net_tx_action', (): void => {
  const sd = softnet
  if (sd.output_queue === null) return
  let head: Qdisc | null = sd.output_queue
  sd.output_queue = null
  sd.output_queue_tail = null
  rcu_read_lock()
  while (head !== null) {
    const q: Qdisc = head
    head = q.next_sched
    const locked = !(q.flags & C.TCQ_F_NOLOCK)
    if (locked) spin_lock(qdisc_lock(q))
    else if ((q.state >> C.__QDISC_STATE_DEACTIVATED) & 1) {
      q.state &= ~(1 << C.__QDISC_STATE_SCHED)
      continue
    }
    q.state &= ~(1 << C.__QDISC_STATE_SCHED)
    const before = beginWork('softirq', q.dev_queue.dev.nd_net.name)
    qdisc_run(q)
    endWork(before)
    if (locked) spin_unlock(qdisc_lock(q))
  }
  rcu_read_unlock()
})

// ---- notifiers

/** every device that is there already is told of at once */
export const register_netdevice_notifier = kfunc('register_netdevice_notifier', (nb: notifier_block): number => {
  const at = netdev_chain.findIndex((other) => (other.priority ?? 0) < (nb.priority ?? 0))
  netdev_chain.splice(at < 0 ? netdev_chain.length : at, 0, nb)
  for (const n of all_net())
    for (const dev of n.dev_base_head) {
      nb.notifier_call(nb, C.NETDEV_REGISTER, { dev })
      if (dev.flags & C.IFF_UP) nb.notifier_call(nb, C.NETDEV_UP, { dev })
    }
  return 0
})
const NOTIFY_STOP_MASK = 0x8000
export const call_netdevice_notifiers_info = kfunc(
  'call_netdevice_notifiers_info',
  (val: number, info: netdev_notifier_info): number => {
    let ret = 0
    for (const nb of netdev_chain) {
      ret = nb.notifier_call(nb, val, info)
      if (ret & NOTIFY_STOP_MASK) break
    }
    return ret
  },
)
export const call_netdevice_notifiers = kfunc('call_netdevice_notifiers', (val: number, dev: net_device): number =>
  call_netdevice_notifiers_info(val, { dev }),
)
export const notifier_to_errno = (ret: number): number => {
  const code = ret & ~NOTIFY_STOP_MASK
  return code > 1 ? 1 - code : 0
}

// ---- devices come and go

/** every namespace; set by net_namespace.ts */
let all_net: () => Iterable<net> = () => [init_net]
export const for_each_net_register = (f: () => Iterable<net>): void => {
  all_net = f
}

const netif_alloc_netdev_queues = (dev: net_device): void => {
  dev._tx = []
  for (let i = 0; i < dev.num_tx_queues; i++) dev._tx.push(new netdev_queue(dev))
}

/** `name` may have a %d in it, for the first number that is free */
export const alloc_netdev_mqs = kfunc(
  'alloc_netdev_mqs',
  (
    _sizeof_priv: number,
    name: string,
    _name_assign_type: number,
    setup: (dev: net_device) => void,
    txqs: number,
    rxqs: number,
  ): net_device | null => {
    if (txqs < 1 || rxqs < 1) return null
    const dev = new net_device()
    dev.dev_refcnt = 1
    dev.nd_net = init_net
    dev.gso_max_size = C.GSO_LEGACY_MAX_SIZE
    dev.gso_max_segs = C.GSO_MAX_SEGS
    dev.gro_max_size = GRO_LEGACY_MAX_SIZE
    dev.gso_ipv4_max_size = C.GSO_LEGACY_MAX_SIZE
    dev.gro_ipv4_max_size = GRO_LEGACY_MAX_SIZE
    dev.tso_max_size = TSO_LEGACY_MAX_SIZE
    dev.tso_max_segs = TSO_MAX_SEGS
    dev.priv_flags = C.IFF_XMIT_DST_RELEASE | C.IFF_XMIT_DST_RELEASE_PERM
    setup(dev)
    if (!dev.tx_queue_len) {
      dev.priv_flags |= C.IFF_NO_QUEUE
      dev.tx_queue_len = DEFAULT_TX_QUEUE_LEN
    }
    dev.num_tx_queues = txqs
    dev.real_num_tx_queues = txqs
    netif_alloc_netdev_queues(dev)
    dev.num_rx_queues = rxqs
    dev.real_num_rx_queues = rxqs
    dev.name = name
    return dev
  },
)
export const free_netdev = kfunc('free_netdev', (dev: net_device): void => {
  dev.reg_state = C.NETREG_RELEASED
})

const dev_get_valid_name = (n: net, dev: net_device): number => {
  if (dev.name.includes('%d')) {
    let i = 0
    while (n.dev_name_head.has(dev.name.replace('%d', String(i)))) i++
    dev.name = dev.name.replace('%d', String(i))
  }
  return n.dev_name_head.has(dev.name) ? -EEXIST : 0
}

const list_netdevice = (dev: net_device): void => {
  const n = dev.nd_net
  n.dev_base_head.push(dev)
  n.dev_name_head.set(dev.name, dev)
  n.dev_by_index.set(dev.ifindex, dev)
  n.dev_base_seq++
}
const unlist_netdevice = (dev: net_device): void => {
  const n = dev.nd_net
  const i = n.dev_base_head.indexOf(dev)
  if (i >= 0) n.dev_base_head.splice(i, 1)
  n.dev_name_head.delete(dev.name)
  n.dev_by_index.delete(dev.ifindex)
  n.dev_base_seq++
}

export const register_netdevice = kfunc('register_netdevice', (dev: net_device): number => {
  const n = dev.nd_net
  let ret = dev_get_valid_name(n, dev)
  if (ret < 0) return ret
  if (dev.netdev_ops.ndo_init) {
    ret = dev.netdev_ops.ndo_init(dev)
    if (ret) return ret > 0 ? -EIO : ret
  }
  if (!dev.ifindex) {
    // one that came from another namespace may have kept the next number
    do n.ifindex++
    while (n.dev_by_index.has(n.ifindex))
    dev.ifindex = n.ifindex
  } else if (n.dev_by_index.has(dev.ifindex)) return -EBUSY
  else n.ifindex = Math.max(n.ifindex, dev.ifindex)

  dev.hw_features |= F.NETIF_F_SOFT_FEATURES | F.NETIF_F_SOFT_FEATURES_OFF
  dev.features |= F.NETIF_F_SOFT_FEATURES
  dev.wanted_features = dev.features & dev.hw_features
  if (!(dev.flags & C.IFF_LOOPBACK)) dev.hw_features |= F.NETIF_F_NOCACHE_COPY
  if (dev.hw_features & F.NETIF_F_TSO) dev.hw_features |= F.NETIF_F_TSO_MANGLEID
  if (dev.vlan_features & F.NETIF_F_TSO) dev.vlan_features |= F.NETIF_F_TSO_MANGLEID
  if (dev.mpls_features & F.NETIF_F_TSO) dev.mpls_features |= F.NETIF_F_TSO_MANGLEID
  if (dev.hw_enc_features & F.NETIF_F_TSO) dev.hw_enc_features |= F.NETIF_F_TSO_MANGLEID
  dev.vlan_features |= F.NETIF_F_HIGHDMA
  dev.hw_enc_features |= F.NETIF_F_SG | F.NETIF_F_GSO_PARTIAL
  dev.mpls_features |= F.NETIF_F_SG
  call_netdevice_notifiers(C.NETDEV_POST_INIT, dev)

  dev.reg_state = C.NETREG_REGISTERED
  __netdev_update_features(dev)
  dev.state |= 1 << C.__LINK_STATE_PRESENT
  linkwatch_init_dev(dev)
  dev_init_scheduler(dev)
  dev_hold(dev)
  list_netdevice(dev)
  dev.perm_addr = dev.dev_addr.slice()
  ret = notifier_to_errno(call_netdevice_notifiers(C.NETDEV_REGISTER, dev))
  if (ret) unregister_netdevice(dev)
  return ret
})
export const register_netdev = kfunc('register_netdev', (dev: net_device): number => register_netdevice(dev))

export const unregister_netdevice = (dev: net_device): void => {
  if (dev.reg_state !== C.NETREG_REGISTERED) return
  dev_close(dev)
  unlist_netdevice(dev)
  dev.reg_state = C.NETREG_UNREGISTERING
  flush_backlog(dev)
  call_netdevice_notifiers(C.NETDEV_UNREGISTER, dev)
  dev.netdev_ops.ndo_uninit?.(dev)
  dev_put(dev)
  dev.reg_state = C.NETREG_UNREGISTERED
  dev.priv_destructor?.(dev)
}

const flush_backlog = (dev: net_device): void => {
  for (const q of [softnet.input_pkt_queue, softnet.process_queue]) {
    let n = q.qlen
    while (n-- > 0) {
      const skb = __skb_dequeue(q)
      if (skb === null) break
      if (skb.dev === dev) kfree_skb_reason(skb, C.SKB_DROP_REASON_DEV_READY)
      else __skb_queue_tail(q, skb)
    }
  }
}

export const netif_carrier_ok = (dev: net_device): boolean => !((dev.state >> C.__LINK_STATE_NOCARRIER) & 1)
export const netif_oper_up = (dev: net_device): boolean => dev.operstate === IF_OPER_UP || dev.operstate === IF_OPER_UNKNOWN
export const netif_dormant = (dev: net_device): boolean => ((dev.state >> C.__LINK_STATE_DORMANT) & 1) !== 0
export const netif_device_present = (dev: net_device): boolean => ((dev.state >> C.__LINK_STATE_PRESENT) & 1) !== 0
export const netif_carrier_on = kfunc('netif_carrier_on', (dev: net_device): void => {
  if (netif_carrier_ok(dev)) return
  dev.state &= ~(1 << C.__LINK_STATE_NOCARRIER)
  if (dev.reg_state === C.NETREG_UNINITIALIZED) return
  linkwatch_fire_event(dev)
})
export const netif_carrier_off = kfunc('netif_carrier_off', (dev: net_device): void => {
  if (!netif_carrier_ok(dev)) return
  dev.state |= 1 << C.__LINK_STATE_NOCARRIER
  if (dev.reg_state === C.NETREG_UNINITIALIZED) return
  linkwatch_fire_event(dev)
})
export const netdev_state_change = kfunc('netdev_state_change', (dev: net_device): void => {
  if (dev.flags & C.IFF_UP) call_netdevice_notifiers_info(C.NETDEV_CHANGE, { dev, flags_changed: 0 })
})

/** what programs see: IFF_RUNNING and IFF_LOWER_UP come from the link's state */
export const dev_get_flags = kfunc('dev_get_flags', (dev: net_device): number => {
  const users = C.IFF_PROMISC | C.IFF_ALLMULTI
  let flags = (dev.flags & ~(users | C.IFF_RUNNING | C.IFF_LOWER_UP | C.IFF_DORMANT)) | (dev.gflags & users)
  if (netif_running(dev)) {
    if (netif_oper_up(dev)) flags |= C.IFF_RUNNING
    if (netif_carrier_ok(dev)) flags |= C.IFF_LOWER_UP
    if (netif_dormant(dev)) flags |= C.IFF_DORMANT
  }
  return flags
})

/** the device that packets of this one go out by, when it lies on another: ifindex, its own when it lies on none */
export const dev_get_iflink = kfunc('dev_get_iflink', (dev: net_device): number =>
  dev.netdev_ops.ndo_get_iflink ? dev.netdev_ops.ndo_get_iflink(dev) : dev.ifindex,
)

const dev_change_rx_flags = kfunc('dev_change_rx_flags', (dev: net_device, flags: number): void =>
  dev.netdev_ops.ndo_change_rx_flags?.(dev, flags),
)
export const __dev_set_rx_mode = kfunc('__dev_set_rx_mode', (dev: net_device): void => {
  const { ndo_set_rx_mode } = dev.netdev_ops
  if (!(dev.flags & C.IFF_UP) || !netif_device_present(dev) || ndo_set_rx_mode === undefined) return
  if (tracer.on) traceIndirect('ops->ndo_set_rx_mode', nameOf(ndo_set_rx_mode))
  ndo_set_rx_mode(dev)
})
export const dev_set_rx_mode = kfunc('dev_set_rx_mode', (dev: net_device): void => __dev_set_rx_mode(dev))
const __dev_set_promiscuity = kfunc('__dev_set_promiscuity', (dev: net_device, inc: number, notify: boolean): number => {
  const old_flags = dev.flags
  dev.promiscuity += inc
  if (dev.promiscuity === 0) dev.flags &= ~C.IFF_PROMISC
  else dev.flags |= C.IFF_PROMISC
  if (dev.flags !== old_flags) dev_change_rx_flags(dev, C.IFF_PROMISC)
  if (notify) __dev_notify_flags(dev, old_flags, C.IFF_PROMISC)
  return 0
})
/** one more (or less) who wants every frame of the device */
export const dev_set_promiscuity = kfunc('dev_set_promiscuity', (dev: net_device, inc: number): number => {
  const old_flags = dev.flags
  const err = __dev_set_promiscuity(dev, inc, true)
  if (err < 0) return err
  if (dev.flags !== old_flags) dev_set_rx_mode(dev)
  return err
})
const __dev_set_allmulti = kfunc('__dev_set_allmulti', (dev: net_device, inc: number, notify: boolean): number => {
  const old_flags = dev.flags
  dev.allmulti += inc
  if (dev.allmulti === 0) dev.flags &= ~C.IFF_ALLMULTI
  else dev.flags |= C.IFF_ALLMULTI
  if (dev.flags !== old_flags) {
    dev_change_rx_flags(dev, C.IFF_ALLMULTI)
    dev_set_rx_mode(dev)
    if (notify) __dev_notify_flags(dev, old_flags, C.IFF_ALLMULTI)
  }
  return 0
})
export const dev_set_allmulti = kfunc('dev_set_allmulti', (dev: net_device, inc: number): number =>
  __dev_set_allmulti(dev, inc, true),
)

const __dev_open = kfunc('__dev_open', (dev: net_device): number => {
  if (!netif_device_present(dev)) return -ENODEV
  const { ndo_validate_addr, ndo_open } = dev.netdev_ops
  dev.state |= 1 << C.__LINK_STATE_START
  let ret = ndo_validate_addr?.(dev) ?? 0
  if (!ret) ret = ndo_open?.(dev) ?? 0
  if (ret) dev.state &= ~(1 << C.__LINK_STATE_START)
  else {
    dev.flags |= C.IFF_UP
    dev.netdev_ops.ndo_set_rx_mode?.(dev)
    dev_activate(dev)
  }
  return ret
})

/** brings a device up */
export const dev_open = kfunc('dev_open', (dev: net_device): number => {
  if (dev.flags & C.IFF_UP) return 0
  const ret = __dev_open(dev)
  if (ret < 0) return ret
  call_netdevice_notifiers(C.NETDEV_UP, dev)
  return ret
})

const __dev_close = kfunc('__dev_close', (dev: net_device): void => {
  call_netdevice_notifiers(C.NETDEV_GOING_DOWN, dev)
  dev.state &= ~(1 << C.__LINK_STATE_START)
  dev_deactivate(dev)
  dev.netdev_ops.ndo_stop?.(dev)
  dev.flags &= ~C.IFF_UP
})

/** takes a device down */
export const dev_close = kfunc('dev_close', (dev: net_device): void => {
  if (!(dev.flags & C.IFF_UP)) return
  __dev_close(dev)
  call_netdevice_notifiers(C.NETDEV_DOWN, dev)
})

const __dev_change_flags = kfunc('__dev_change_flags', (dev: net_device, flags: number, _extack: null): number => {
  const old_flags = dev.flags
  const settable =
    C.IFF_DEBUG | C.IFF_NOTRAILERS | C.IFF_NOARP | C.IFF_DYNAMIC | C.IFF_MULTICAST | C.IFF_PORTSEL | C.IFF_AUTOMEDIA
  dev.flags = (flags & settable) | (dev.flags & (C.IFF_UP | IFF_VOLATILE | C.IFF_PROMISC | C.IFF_ALLMULTI))
  if ((old_flags ^ flags) & C.IFF_MULTICAST) dev_change_rx_flags(dev, C.IFF_MULTICAST)
  dev_set_rx_mode(dev)
  let ret = 0
  if ((old_flags ^ flags) & C.IFF_UP) {
    if (old_flags & C.IFF_UP) __dev_close(dev)
    else ret = __dev_open(dev)
  }
  if ((flags ^ dev.gflags) & C.IFF_PROMISC) {
    dev.gflags ^= C.IFF_PROMISC
    __dev_set_promiscuity(dev, flags & C.IFF_PROMISC ? 1 : -1, false)
  }
  if ((flags ^ dev.gflags) & C.IFF_ALLMULTI) {
    dev.gflags ^= C.IFF_ALLMULTI
    __dev_set_allmulti(dev, flags & C.IFF_ALLMULTI ? 1 : -1, false)
  }
  return ret
})

const __dev_notify_flags = kfunc('__dev_notify_flags', (dev: net_device, old_flags: number, _gchanges: number): void => {
  const changes = dev.flags ^ old_flags
  if (changes & C.IFF_UP) call_netdevice_notifiers(dev.flags & C.IFF_UP ? C.NETDEV_UP : C.NETDEV_DOWN, dev)
  const flags_changed = changes & ~(C.IFF_UP | C.IFF_PROMISC | C.IFF_ALLMULTI | IFF_VOLATILE)
  if (dev.flags & C.IFF_UP && flags_changed) call_netdevice_notifiers_info(C.NETDEV_CHANGE, { dev, flags_changed })
})

/** @param flags IFF_*: the whole word, as `ip link set` and ioctl give it */
export const dev_change_flags = kfunc('dev_change_flags', (dev: net_device, flags: number): number => {
  const old_flags = dev.flags
  const ret = __dev_change_flags(dev, flags, null)
  if (ret < 0) return ret
  __dev_notify_flags(dev, old_flags, old_flags ^ dev.flags)
  return ret
})

export const dev_change_carrier = kfunc('dev_change_carrier', (dev: net_device, new_carrier: boolean): number => {
  const { ndo_change_carrier } = dev.netdev_ops
  if (!ndo_change_carrier) return -EOPNOTSUPP
  if (!netif_device_present(dev)) return -ENODEV
  return ndo_change_carrier(dev, new_carrier)
})

/** letters that may not be in a device's name, and names that are taken for directories */
export const dev_valid_name = kfunc(
  'dev_valid_name',
  (name: string): boolean => name !== '' && name.length < IFNAMSIZ && name !== '.' && name !== '..' && !/[/:\s]/.test(name),
)

export const dev_change_name = kfunc('dev_change_name', (dev: net_device, newname: string): number => {
  const n = dev.nd_net
  if (newname === dev.name) return 0
  const oldname = dev.name
  dev.name = newname
  const err = dev_get_valid_name(n, dev)
  if (err < 0) {
    dev.name = oldname
    return err
  }
  n.dev_name_head.delete(oldname)
  n.dev_name_head.set(dev.name, dev)
  return notifier_to_errno(call_netdevice_notifiers(C.NETDEV_CHANGENAME, dev))
})

/** Moves a device to another namespace; it comes there down, without addresses. */
export const __dev_change_net_namespace = kfunc(
  '__dev_change_net_namespace',
  (dev: net_device, n: net, pat: string | null, new_ifindex: number, extack: null): number => {
    if (dev.netns_immutable) {
      NL_SET_ERR_MSG(extack, 'The interface netns is immutable')
      return -EINVAL
    }
    if (dev.reg_state !== C.NETREG_REGISTERED) {
      NL_SET_ERR_MSG(extack, "The interface isn't registered")
      return -EINVAL
    }
    if (dev.nd_net === n) return 0
    let new_name = dev.name
    if (n.dev_name_head.has(dev.name)) {
      if (pat === null) {
        NL_SET_ERR_MSG(extack, 'An interface with the same name exists in the target netns')
        return -EEXIST
      }
      new_name = pat
      for (let i = 0; pat.includes('%d') && n.dev_name_head.has((new_name = pat.replace('%d', String(i)))); i++);
      if (n.dev_name_head.has(new_name)) {
        NL_SET_ERR_MSG(extack, `Unable to use '${pat}' for the new interface name in the target netns`)
        return -EEXIST
      }
    }
    if (new_ifindex && n.dev_by_index.has(new_ifindex)) {
      NL_SET_ERR_MSG(extack, `The ifindex ${new_ifindex} is not available in the target netns`)
      return -EBUSY
    }
    dev_close(dev)
    unlist_netdevice(dev)
    dev_shutdown(dev)
    call_netdevice_notifiers(C.NETDEV_UNREGISTER, dev)
    dev.nd_net = n
    dev.name = new_name
    const wanted = new_ifindex || dev.ifindex
    if (new_ifindex || !n.dev_by_index.has(wanted)) dev.ifindex = wanted
    else {
      do n.ifindex++
      while (n.dev_by_index.has(n.ifindex))
      dev.ifindex = n.ifindex
    }
    list_netdevice(dev)
    call_netdevice_notifiers(C.NETDEV_REGISTER, dev)
    return 0
  },
)

// ---- devices on devices

export const netdev_upper_dev_link = kfunc(
  'netdev_upper_dev_link',
  (dev: net_device, upper_dev: net_device, extack: null): number => __netdev_upper_dev_link(dev, upper_dev, false, extack),
)
export const netdev_master_upper_dev_link = kfunc(
  'netdev_master_upper_dev_link',
  (dev: net_device, upper_dev: net_device, _upper_priv: null, _upper_info: null, extack: null): number =>
    __netdev_upper_dev_link(dev, upper_dev, true, extack),
)
const has_above = (dev: net_device, what: net_device): boolean =>
  dev.upper.some((upper) => upper === what || has_above(upper, what))

const __netdev_upper_dev_link = kfunc(
  '__netdev_upper_dev_link',
  (dev: net_device, upper_dev: net_device, master: boolean, _extack: null): number => {
    if (dev === upper_dev || has_above(upper_dev, dev)) return -EBUSY
    if (dev.upper.includes(upper_dev)) return master ? -EEXIST : -EBUSY
    if (master && dev.master !== null) return dev.master === upper_dev ? -EEXIST : -EBUSY
    const err = notifier_to_errno(call_netdevice_notifiers(C.NETDEV_PRECHANGEUPPER, dev))
    if (err) return err
    dev.upper.push(upper_dev)
    upper_dev.lower.push(dev)
    if (master) dev.master = upper_dev
    call_netdevice_notifiers(C.NETDEV_CHANGEUPPER, dev)
    return 0
  },
)
export const netdev_upper_dev_unlink = kfunc('netdev_upper_dev_unlink', (dev: net_device, upper_dev: net_device): void => {
  const i = dev.upper.indexOf(upper_dev)
  if (i < 0) return
  call_netdevice_notifiers(C.NETDEV_PRECHANGEUPPER, dev)
  dev.upper.splice(i, 1)
  upper_dev.lower.splice(upper_dev.lower.indexOf(dev), 1)
  if (dev.master === upper_dev) dev.master = null
  call_netdevice_notifiers(C.NETDEV_CHANGEUPPER, dev)
})

/** what a device on several others can do, one of them more */
export const netdev_increment_features = kfunc(
  'netdev_increment_features',
  (of_all: netdev_features_t, one: netdev_features_t, of_mask: netdev_features_t): netdev_features_t => {
    let all = of_all
    let mask = of_mask
    if (mask & F.NETIF_F_HW_CSUM) mask |= F.NETIF_F_CSUM_MASK
    mask |= F.NETIF_F_VLAN_CHALLENGED
    all |= one & (F.NETIF_F_ONE_FOR_ALL | F.NETIF_F_CSUM_MASK) & mask
    all &= one | ~F.NETIF_F_ALL_FOR_ALL
    if (all & F.NETIF_F_HW_CSUM) all &= ~(F.NETIF_F_CSUM_MASK & ~F.NETIF_F_HW_CSUM)
    return all
  },
)
export const netdev_add_tso_features = (features: netdev_features_t, mask: netdev_features_t): netdev_features_t =>
  netdev_increment_features(features, F.NETIF_F_ALL_TSO | F.NETIF_F_ALL_FOR_ALL, mask)

export const dev_validate_mtu = kfunc('dev_validate_mtu', (dev: net_device, new_mtu: number, extack: null): number => {
  if (new_mtu < 0 || new_mtu < dev.min_mtu) {
    NL_SET_ERR_MSG(extack, 'mtu less than device minimum')
    return -EINVAL
  }
  if (dev.max_mtu > 0 && new_mtu > dev.max_mtu) {
    NL_SET_ERR_MSG(extack, 'mtu greater than device maximum')
    return -EINVAL
  }
  return 0
})

export const dev_set_mtu = kfunc('dev_set_mtu', (dev: net_device, new_mtu: number): number => {
  if (new_mtu === dev.mtu) return 0
  const bad = dev_validate_mtu(dev, new_mtu, null)
  if (bad) return bad
  if (!netif_device_present(dev)) return -ENODEV
  const err = notifier_to_errno(call_netdevice_notifiers(C.NETDEV_PRECHANGEMTU, dev))
  if (err) return err
  const orig = dev.mtu
  const { ndo_change_mtu } = dev.netdev_ops
  if (ndo_change_mtu) {
    const ret = ndo_change_mtu(dev, new_mtu)
    if (ret) return ret
  } else dev.mtu = new_mtu
  call_netdevice_notifiers_info(C.NETDEV_CHANGEMTU, { dev, mtu: orig })
  return 0
})

export const dev_change_tx_queue_len = kfunc('dev_change_tx_queue_len', (dev: net_device, new_len: number): number => {
  if (new_len !== dev.tx_queue_len) {
    dev.tx_queue_len = new_len
    call_netdevice_notifiers(C.NETDEV_CHANGE_TX_QUEUE_LEN, dev)
  }
  return 0
})

export const dev_set_mac_address = kfunc('dev_set_mac_address', (dev: net_device, addr: Uint8Array): number => {
  const err = dev.netdev_ops.ndo_set_mac_address?.(dev, addr) ?? -EOPNOTSUPP
  if (err) return err
  call_netdevice_notifiers(C.NETDEV_CHANGEADDR, dev)
  return 0
})

export const netif_is_l3_master = (dev: net_device): boolean => (dev.priv_flags & C.IFF_L3MDEV_MASTER) !== 0
export const netdev_master_upper_dev_get_rcu = kfunc(
  'netdev_master_upper_dev_get_rcu',
  (dev: net_device): net_device | null => dev.master,
)
export const dev_parse_header = kfunc('dev_parse_header', (skb: sk_buff, haddr: Uint8Array): number => {
  const parse = skb.dev?.header_ops?.parse
  if (parse === undefined) return 0
  if (tracer.on) traceIndirect('dev->header_ops->parse', nameOf(parse))
  return parse(skb, haddr)
})
export const dev_parse_header_protocol = kfunc('dev_parse_header_protocol', (skb: sk_buff): number => {
  const parse_protocol = skb.dev?.header_ops?.parse_protocol
  if (parse_protocol === undefined) return 0
  if (tracer.on) traceIndirect('dev->header_ops->parse_protocol', nameOf(parse_protocol))
  return parse_protocol(skb)
})
export const dev_has_header = (dev: net_device): boolean => dev.header_ops !== null
/** whether a link header that a program wrote, `len` bytes in all at `at`, can be one of this device */
export const dev_validate_header = kfunc('dev_validate_header', (dev: net_device, skb: sk_buff, len: number): boolean => {
  if (len >= dev.hard_header_len) return true
  if (len < dev.min_header_len) return false
  const validate = dev.header_ops?.validate
  return validate?.(skb.head.bytes.subarray(skb.data, skb.data + len), len) ?? false
})
export { LL_RESERVED_SPACE }
