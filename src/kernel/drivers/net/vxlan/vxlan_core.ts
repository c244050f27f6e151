import { kfunc } from '../../../../trace/kfunc.ts'
import { decide, tracer } from '../../../../trace/tracer.ts'
import {
  ETH_HLEN,
  ETH_MAX_MTU,
  ETH_MIN_MTU,
  HZ,
  IFF_BRIDGE_PORT,
  IFF_LIVE_ADDR_CHANGE,
  IFF_NO_QUEUE,
  IFF_TX_SKB_SHARING,
  IFF_UP,
  NET_RX_SUCCESS,
  NETDEV_TX_OK,
  NUD_NOARP,
  NUD_PERMANENT,
  NUD_REACHABLE,
  NUD_STALE,
  PACKET_HOST,
  RTN_UNICAST,
  SKB_DROP_REASON_DEV_READY,
  SKB_DROP_REASON_IP_TUNNEL_ECN,
  SKB_DROP_REASON_LOCAL_MAC,
  SKB_DROP_REASON_MAC_INVALID_SOURCE,
  SKB_DROP_REASON_NO_TX_TARGET,
  SKB_DROP_REASON_NOMEM,
  SKB_DROP_REASON_NOT_SPECIFIED,
  SKB_DROP_REASON_VXLAN_ENTRY_EXISTS,
  SKB_DROP_REASON_VXLAN_INVALID_HDR,
  SKB_DROP_REASON_VXLAN_VNI_NOT_FOUND,
  SKB_GSO_UDP_TUNNEL,
  SKB_GSO_UDP_TUNNEL_CSUM,
} from '../../../include/generated/enums.ts'
import {
  EADDRNOTAVAIL,
  EEXIST,
  EINVAL,
  ELOOP,
  EMSGSIZE,
  ENETUNREACH,
  ENODEV,
  ENOENT,
  ENOSPC,
  ERANGE,
} from '../../../include/linux/errno.ts'
import {
  ETH_ALEN,
  ETH_P_IP,
  ETH_P_IPV6,
  ETH_P_TEB,
  ether_addr_equal,
  is_valid_ether_addr,
} from '../../../include/linux/if_ether.ts'
import { ipv4_is_multicast } from '../../../include/linux/in.ts'
import { RTCF_BROADCAST, RTCF_LOCAL, RTCF_MULTICAST } from '../../../include/linux/in_route.ts'
import { ip_hdr, iphdr } from '../../../include/linux/ip.ts'
import * as F from '../../../include/linux/netdev_features.ts'
import {
  dev_net,
  LL_RESERVED_SPACE,
  NETDEV_PCPU_STAT_DSTATS,
  type net_device,
  type net_device_ops,
  netdev_priv,
  netif_running,
} from '../../../include/linux/netdevice.ts'
import { NL_SET_ERR_MSG } from '../../../include/linux/netlink.ts'
import {
  type sk_buff,
  skb_network_offset,
  skb_reset_mac_header,
  skb_reset_network_header,
  skb_transport_offset,
} from '../../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../../include/linux/slab.ts'
import { AF_BRIDGE, AF_INET } from '../../../include/linux/socket.ts'
import { spinlock_t } from '../../../include/linux/spinlock.ts'
import { timer_list } from '../../../include/linux/timer.ts'
import { IS_ERR, type ref } from '../../../include/linux/types.ts'
import type { dst_entry } from '../../../include/net/dst.ts'
import { NAPI_GRO_CB, skb_gro_offset, skb_gro_pull } from '../../../include/net/gro.ts'
import { inet_sk } from '../../../include/net/inet_sock.ts'
import { IP_DF } from '../../../include/net/ip.ts'
import {
  NDA_CACHEINFO,
  NDA_DST,
  NDA_IFINDEX,
  NDA_LLADDR,
  NDA_PORT,
  NDA_VNI,
  put_ndmsg,
  RTM_DELNEIGH,
  RTM_GETNEIGH,
  RTM_NEWNEIGH,
  RTNLGRP_NEIGH,
  SIZEOF_NDA_CACHEINFO,
  SIZEOF_NDMSG,
} from '../../../include/net/neighbour.ts'
import type { net } from '../../../include/net/net_namespace.ts'
import { nla_total_size, nlmsg_total_size, u32_bytes } from '../../../include/net/netlink.ts'
import type { rtnl_link_attrs, rtnl_link_ops } from '../../../include/net/rtnetlink.ts'
import type { sock } from '../../../include/net/sock.ts'
import * as V from '../../../include/net/vxlan.ts'
import { spin_lock, spin_unlock } from '../../../kernel/locking/spinlock.ts'
import { declare_module } from '../../../kernel/module/kmod.ts'
import { NOTIFY_DONE } from '../../../kernel/notifier.ts'
import { call_rcu, rcu_read_lock, rcu_read_unlock, synchronize_net } from '../../../kernel/rcu.ts'
import { del_timer_sync, jiffies, jiffies_to_clock_t, mod_timer, timer_setup } from '../../../kernel/time/timer.ts'
import { kfree, kmalloc } from '../../../mm/slub.ts'
import {
  __dev_get_by_index,
  __netif_rx,
  netdev_upper_dev_link,
  netdev_upper_dev_unlink,
  netif_inherit_tso_max,
  netif_keep_dst,
  register_netdevice,
  unregister_netdevice,
} from '../../../net/core/dev.ts'
import { dst_release } from '../../../net/core/dst.ts'
import { dst_cache_destroy, dst_cache_init } from '../../../net/core/dst_cache.ts'
import { skb_get_hash } from '../../../net/core/flow_dissector.ts'
import { call_gro_receive, skb_gro_flush_final, skb_gro_header, skb_gro_postpull_rcsum } from '../../../net/core/gro.ts'
import { gro_cells_destroy, gro_cells_init, gro_cells_receive } from '../../../net/core/gro_cells.ts'
import { rtnl_configure_link, rtnl_link_register, rtnl_notify } from '../../../net/core/rtnetlink.ts'
import {
  __skb_pull,
  __skb_push,
  alloc_skb,
  consume_skb,
  kfree_skb,
  kfree_skb_reason,
  pskb_may_pull,
  pskb_may_pull_reason,
  skb_clone,
  skb_cow_head,
  skb_postpull_rcsum,
} from '../../../net/core/skbuff.ts'
import {
  eth_gro_complete,
  eth_gro_receive,
  eth_hdr,
  eth_hw_addr_random,
  eth_mac_addr,
  eth_type_trans,
  eth_validate_addr,
  ether_setup,
} from '../../../net/ethernet/eth.ts'
import { ip_mc_join_group, ip_mc_leave_group } from '../../../net/ipv4/igmp.ts'
import {
  __iptunnel_pull_header,
  IP_ECN_decapsulate,
  ip_tunnel_ecn_encap,
  ip_tunnel_get_dsfield,
  iptunnel_handle_offloads,
  pskb_inet_may_pull_reason,
  skb_tunnel_check_pmtu,
  skb_vlan_inet_prepare,
} from '../../../net/ipv4/ip_tunnel_core.ts'
import { ip4_dst_hoplimit } from '../../../net/ipv4/route.ts'
import {
  setup_udp_tunnel_sock,
  udp_sock_create4,
  udp_tunnel_dst_lookup,
  udp_tunnel_sock_release,
  udp_tunnel_xmit_skb,
} from '../../../net/ipv4/udp_tunnel_core.ts'
import { __nlmsg_put, nla_put, nlmsg_end } from '../../../net/netlink/af_netlink.ts'
import {
  call_switchdev_notifiers,
  register_switchdev_notifier,
  SWITCHDEV_VXLAN_FDB_ADD_TO_DEVICE,
  SWITCHDEV_VXLAN_FDB_DEL_TO_DEVICE,
  type switchdev_notifier_info,
} from '../../../net/switchdev/switchdev.ts'
import { vxlan_vnifilter_count } from './vxlan_vnifilter.ts'

/** what Linux took before there was a number from IANA: 8472 instead of 4789 */
const vxlan_port = 8472
/** seconds that an address is remembered */
const FDB_AGE_DEFAULT = 300
/** jiffies between two looks for old ones */
const FDB_AGE_INTERVAL = 10 * HZ
const NTF_SELF = 0x02
const NLM_F_EXCL = 0x200
const NLM_F_CREATE = 0x400
const INADDR_LOOPBACK = 0x7f000001
const VXLAN_HDR = 8
const all_zeros_mac = new Uint8Array(ETH_ALEN)

const vxlan_of = (dev: net_device): V.vxlan_dev => netdev_priv<V.vxlan_dev>(dev)

/** struct vxlan_net */
interface vxlan_net {
  readonly vxlan_list: V.vxlan_dev[]
  readonly sock_list: V.vxlan_sock[]
  readonly sock_lock: spinlock_t
}
function vxlan_net_of(n: net): vxlan_net {
  let vn = n.gen.get('vxlan') as vxlan_net | undefined
  if (vn === undefined) {
    vn = { vxlan_list: [], sock_list: [], sock_lock: new spinlock_t() }
    n.gen.set('vxlan', vn)
  }
  return vn
}

// ---- which device a VNI is for

const vxlan_vs_find_vni = kfunc(
  'vxlan_vs_find_vni',
  (vs: V.vxlan_sock, _ifindex: number, vni: number, _vninode: null): V.vxlan_dev | null => vs.vni_list.get(vni)?.[0] ?? null,
)
const vxlan_find_sock = kfunc(
  'vxlan_find_sock',
  (n: net, _family: number, port: number, _flags: number, ifindex: number): V.vxlan_sock | null =>
    vxlan_net_of(n).sock_list.find((vs) => {
      const sk = vs.sock.sk as sock
      return inet_sk(sk).inet_sport === port && sk.sk_bound_dev_if === ifindex
    }) ?? null,
)
const vxlan_find_vni = kfunc(
  'vxlan_find_vni',
  (n: net, ifindex: number, vni: number, family: number, port: number, flags: number): V.vxlan_dev | null => {
    const vs = vxlan_find_sock(n, family, port, flags, ifindex)
    return vs === null ? null : vxlan_vs_find_vni(vs, ifindex, vni, null)
  },
)

// ---- the forwarding table

const mac_key = (mac: Uint8Array): number => {
  let k = 0
  for (let i = 0; i < ETH_ALEN; i++) k = k * 256 + (mac[i] ?? 0)
  return k
}
const first_remote_rcu = (f: V.vxlan_fdb): V.vxlan_rdst | null => f.remotes[0] ?? null

const __vxlan_find_mac = kfunc(
  '__vxlan_find_mac',
  (vxlan: V.vxlan_dev, mac: Uint8Array, _vni: number): V.vxlan_fdb | null => vxlan.fdb_head.get(mac_key(mac)) ?? null,
)
const vxlan_find_mac_tx = kfunc('vxlan_find_mac_tx', (vxlan: V.vxlan_dev, mac: Uint8Array, vni: number): V.vxlan_fdb | null => {
  const f = __vxlan_find_mac(vxlan, mac, vni)
  if (f !== null) f.used = jiffies()
  return f
})

/** `rd`: the remote end that is new, or goes */
const vxlan_fdb_info = kfunc(
  'vxlan_fdb_info',
  (
    skb: sk_buff,
    vxlan: V.vxlan_dev,
    fdb: V.vxlan_fdb,
    portid: number,
    seq: number,
    type: number,
    flags: number,
    rd: V.vxlan_rdst,
  ): number => {
    const now = jiffies()
    const ndm = __nlmsg_put(skb, portid, seq, type, SIZEOF_NDMSG, flags)
    // whether a next-hop object is behind the entry: never here
    rcu_read_lock()
    rcu_read_unlock()
    const family = type === RTM_GETNEIGH ? AF_INET : AF_BRIDGE
    put_ndmsg(skb.head.bytes, ndm, family, vxlan.dev.ifindex, fdb.state, fdb.flags, RTN_UNICAST)
    const { cfg, default_dst } = vxlan
    const be = (x: number, len: number): Uint8Array => new Uint8Array([x >>> 24, x >>> 16, x >>> 8, x]).subarray(4 - len)
    if (nla_put(skb, NDA_LLADDR, ETH_ALEN, fdb.eth_addr)) return -EMSGSIZE
    if ((type !== RTM_GETNEIGH || rd.remote_ip) && nla_put(skb, NDA_DST, 4, be(rd.remote_ip, 4))) return -EMSGSIZE
    const other_port = rd.remote_port && rd.remote_port !== cfg.dst_port
    if (other_port && nla_put(skb, NDA_PORT, 2, be(rd.remote_port, 2))) return -EMSGSIZE
    if (rd.remote_vni !== default_dst.remote_vni && nla_put(skb, NDA_VNI, 4, u32_bytes(rd.remote_vni))) return -EMSGSIZE
    if (rd.remote_ifindex && nla_put(skb, NDA_IFINDEX, 4, u32_bytes(rd.remote_ifindex))) return -EMSGSIZE
    const used = jiffies_to_clock_t(now - fdb.used)
    const updated = jiffies_to_clock_t(now - fdb.updated)
    if (nla_put(skb, NDA_CACHEINFO, SIZEOF_NDA_CACHEINFO, u32_bytes(0, used, updated, 0))) return -EMSGSIZE
    nlmsg_end(skb, ndm)
    return 0
  },
)
/** room for NDA_LLADDR, _DST, _PORT, _VNI, _IFINDEX, _LINK_NETNSID and _CACHEINFO */
const vxlan_nlmsg_size = (): number =>
  SIZEOF_NDMSG +
  nla_total_size(ETH_ALEN) +
  nla_total_size(16) +
  nla_total_size(2) +
  3 * nla_total_size(4) +
  nla_total_size(SIZEOF_NDA_CACHEINFO)
const __vxlan_fdb_notify = kfunc(
  '__vxlan_fdb_notify',
  (vxlan: V.vxlan_dev, fdb: V.vxlan_fdb, rd: V.vxlan_rdst, type: number): void => {
    const skb = alloc_skb(nlmsg_total_size(vxlan_nlmsg_size()), GFP_ATOMIC)
    if (skb === null) return
    if (vxlan_fdb_info(skb, vxlan, fdb, 0, 0, type, 0, rd) < 0) kfree_skb(skb)
    else rtnl_notify(skb, dev_net(vxlan.dev), 0, RTNLGRP_NEIGH, null, GFP_ATOMIC)
  },
)
const vxlan_fdb_switchdev_notifier_info = kfunc(
  'vxlan_fdb_switchdev_notifier_info',
  (vxlan: V.vxlan_dev, _fdb: V.vxlan_fdb, _rd: V.vxlan_rdst, _extack: null, fdb_info: switchdev_notifier_info): void => {
    fdb_info.dev = vxlan.dev
  },
)
const vxlan_fdb_switchdev_call_notifiers = kfunc(
  'vxlan_fdb_switchdev_call_notifiers',
  (vxlan: V.vxlan_dev, fdb: V.vxlan_fdb, rd: V.vxlan_rdst, adding: boolean, extack: null): number => {
    const info: switchdev_notifier_info = { dev: vxlan.dev }
    vxlan_fdb_switchdev_notifier_info(vxlan, fdb, rd, null, info)
    const type = adding ? SWITCHDEV_VXLAN_FDB_ADD_TO_DEVICE : SWITCHDEV_VXLAN_FDB_DEL_TO_DEVICE
    return call_switchdev_notifiers(type, vxlan.dev, info, extack)
  },
)
/** tells drivers of switches, and programs that watch */
const vxlan_fdb_notify = kfunc(
  'vxlan_fdb_notify',
  (vxlan: V.vxlan_dev, fdb: V.vxlan_fdb, rd: V.vxlan_rdst | null, type: number, swdev_notify: boolean, extack: null): number => {
    if (rd === null) return 0
    if (swdev_notify && type !== RTM_GETNEIGH) vxlan_fdb_switchdev_call_notifiers(vxlan, fdb, rd, type === RTM_NEWNEIGH, extack)
    __vxlan_fdb_notify(vxlan, fdb, rd, type)
    return 0
  },
)

const vxlan_fdb_find_rdst = kfunc(
  'vxlan_fdb_find_rdst',
  (f: V.vxlan_fdb, ip: number, port: number, vni: number, ifindex: number): V.vxlan_rdst | null =>
    f.remotes.find((r) => r.remote_ip === ip && r.remote_port === port && r.remote_vni === vni && r.remote_ifindex === ifindex) ??
    null,
)

const SIZEOF_VXLAN_FDB = 112
const SIZEOF_VXLAN_RDST = 96

const vxlan_fdb_append_part_0 = kfunc(
  'vxlan_fdb_append.part.0',
  (f: V.vxlan_fdb, ip: number, port: number, vni: number, ifindex: number): number => {
    kmalloc(SIZEOF_VXLAN_RDST, GFP_ATOMIC)
    const rd = new V.vxlan_rdst()
    dst_cache_init(rd.dst_cache, GFP_ATOMIC)
    rd.remote_ip = ip
    rd.remote_port = port
    rd.remote_vni = vni
    rd.remote_ifindex = ifindex
    f.remotes.push(rd)
    return 1
  },
)
const vxlan_fdb_append = kfunc(
  'vxlan_fdb_append',
  (f: V.vxlan_fdb, ip: number, port: number, vni: number, ifindex: number): number =>
    vxlan_fdb_find_rdst(f, ip, port, vni, ifindex) === null ? vxlan_fdb_append_part_0(f, ip, port, vni, ifindex) : 0,
)

/** what an entry of the table says; of several parameters in Linux */
interface fdb_entry {
  mac: Uint8Array
  ip: number
  state: number
  port: number
  src_vni: number
  vni: number
  ifindex: number
  flags: number
}

const vxlan_fdb_alloc = kfunc('vxlan_fdb_alloc', (_vxlan: V.vxlan_dev, e: fdb_entry): V.vxlan_fdb => {
  kmalloc(SIZEOF_VXLAN_FDB, GFP_ATOMIC)
  const now = jiffies()
  return {
    updated: now,
    used: now,
    remotes: [],
    eth_addr: e.mac.slice(0, ETH_ALEN),
    state: e.state,
    vni: e.src_vni,
    flags: e.flags,
  }
})
const vxlan_fdb_create = kfunc('vxlan_fdb_create', (vxlan: V.vxlan_dev, e: fdb_entry): V.vxlan_fdb | number => {
  if (vxlan.cfg.addrmax && vxlan.addrcnt >= vxlan.cfg.addrmax) return -ENOSPC
  const f = vxlan_fdb_alloc(vxlan, e)
  vxlan_fdb_append(f, e.ip, e.port, e.vni, e.ifindex)
  return f
})
const vxlan_fdb_insert = kfunc('vxlan_fdb_insert', (vxlan: V.vxlan_dev, f: V.vxlan_fdb): void => {
  vxlan.addrcnt++
  vxlan.fdb_head.set(mac_key(f.eth_addr), f)
})
const __vxlan_fdb_free = kfunc('__vxlan_fdb_free', (f: V.vxlan_fdb): void => {
  for (const rd of f.remotes) {
    dst_cache_destroy(rd.dst_cache)
    kfree(rd)
  }
  kfree(f)
})
const vxlan_fdb_free = kfunc('vxlan_fdb_free', (f: V.vxlan_fdb): void => __vxlan_fdb_free(f))
const vxlan_fdb_destroy = kfunc(
  'vxlan_fdb_destroy',
  (vxlan: V.vxlan_dev, f: V.vxlan_fdb, do_notify: boolean, swdev_notify: boolean): void => {
    vxlan.addrcnt--
    if (do_notify) for (const rd of f.remotes) vxlan_fdb_notify(vxlan, f, rd, RTM_DELNEIGH, swdev_notify, null)
    vxlan.fdb_head.delete(mac_key(f.eth_addr))
    call_rcu(f, vxlan_fdb_free)
  },
)

const vxlan_fdb_update_create = kfunc('vxlan_fdb_update_create', (vxlan: V.vxlan_dev, e: fdb_entry): number => {
  const f = vxlan_fdb_create(vxlan, e)
  if (IS_ERR(f)) return f
  vxlan_fdb_insert(vxlan, f)
  return vxlan_fdb_notify(vxlan, f, first_remote_rcu(f), RTM_NEWNEIGH, true, null)
})
const vxlan_fdb_update = kfunc('vxlan_fdb_update', (vxlan: V.vxlan_dev, e: fdb_entry, flags: number): number => {
  const f = __vxlan_find_mac(vxlan, e.mac, e.src_vni)
  if (f === null) return flags & NLM_F_CREATE ? vxlan_fdb_update_create(vxlan, e) : -ENOENT
  return flags & NLM_F_EXCL ? -EEXIST : 0
})

/** Learns behind which remote end a source address is. @returns why the packet is to be dropped, or 0 */
const vxlan_snoop = kfunc(
  'vxlan_snoop',
  (dev: net_device, src_ip: number, src_mac: Uint8Array, _src_ifindex: number, vni: number): number => {
    const vxlan = vxlan_of(dev)
    if (!is_valid_ether_addr(src_mac)) return SKB_DROP_REASON_MAC_INVALID_SOURCE
    const f = __vxlan_find_mac(vxlan, src_mac, vni)
    if (f !== null) {
      const rdst = first_remote_rcu(f)
      if (rdst === null || (rdst.remote_ip === src_ip && rdst.remote_ifindex === 0)) return 0
      if (f.state & (NUD_PERMANENT | NUD_NOARP)) return SKB_DROP_REASON_VXLAN_ENTRY_EXISTS
      if (tracer.on) decide('vxlan_snoop', 'an address moved to another remote end', { from: rdst.remote_ip, to: src_ip })
      rdst.remote_ip = src_ip
      f.updated = jiffies()
      vxlan_fdb_notify(vxlan, f, rdst, RTM_NEWNEIGH, true, null)
      return 0
    }
    spin_lock(vxlan.hash_lock)
    if (netif_running(dev)) {
      const { dst_port } = vxlan.cfg
      const { remote_vni } = vxlan.default_dst
      vxlan_fdb_update(
        vxlan,
        {
          mac: src_mac,
          ip: src_ip,
          state: NUD_REACHABLE,
          port: dst_port,
          src_vni: vni,
          vni: remote_vni,
          ifindex: 0,
          flags: NTF_SELF,
        },
        NLM_F_EXCL | NLM_F_CREATE,
      )
    }
    spin_unlock(vxlan.hash_lock)
    return 0
  },
)

/** forgets addresses that were not used for a while */
const vxlan_cleanup = kfunc('vxlan_cleanup', (t: timer_list): void => {
  const vxlan = t.owner as V.vxlan_dev
  const now = jiffies()
  let next_timer = now + FDB_AGE_INTERVAL
  if (!netif_running(vxlan.dev)) return
  spin_lock(vxlan.hash_lock)
  for (const f of [...vxlan.fdb_head.values()]) {
    if (f.state & (NUD_PERMANENT | NUD_NOARP)) continue
    const timeout = f.used + vxlan.cfg.age_interval * HZ
    if (timeout <= now) {
      f.state = NUD_STALE
      vxlan_fdb_destroy(vxlan, f, true, true)
    } else if (timeout < next_timer) next_timer = timeout
  }
  spin_unlock(vxlan.hash_lock)
  mod_timer(vxlan.age_timer, next_timer)
})

// ---- GRO: the packet inside is joined where the outer ones were

const vxlan_gro_prepare_receive = kfunc(
  'vxlan_gro_prepare_receive',
  (sk: sock, head: sk_buff[], skb: sk_buff, _grc: null): boolean => {
    if (sk.sk_user_data === null) return false
    const off_vx = skb_gro_offset(skb)
    const vh = skb_gro_header(skb, off_vx + VXLAN_HDR, off_vx)
    if (vh === null) return false
    skb_gro_postpull_rcsum(skb, vh, VXLAN_HDR)
    skb_gro_pull(skb, VXLAN_HDR)
    for (const p of head) {
      const cb = NAPI_GRO_CB(p)
      for (let i = 0; i < VXLAN_HDR; i++) if (vh.bytes[vh.at + i] !== p.head.bytes[p.data + off_vx + i]) cb.same_flow = 0
    }
    return true
  },
)
const vxlan_gro_receive = kfunc('vxlan_gro_receive', (sk: sock, head: sk_buff[], skb: sk_buff): sk_buff | null => {
  let pp: sk_buff | null = null
  let flush = 1
  if (vxlan_gro_prepare_receive(sk, head, skb, null)) {
    pp = call_gro_receive(eth_gro_receive, head, skb)
    flush = 0
  }
  skb_gro_flush_final(skb, pp, flush)
  return pp
})
const vxlan_gro_complete = kfunc('vxlan_gro_complete', (_sk: sock, skb: sk_buff, nhoff: number): number =>
  eth_gro_complete(skb, nhoff + VXLAN_HDR),
)

// ---- receiving

const be32 = (b: Uint8Array, at: number): number =>
  (((b[at] ?? 0) << 24) | ((b[at + 1] ?? 0) << 16) | ((b[at + 2] ?? 0) << 8) | (b[at + 3] ?? 0)) >>> 0

/** the frame inside: its link header comes off, and its sender is remembered */
const vxlan_set_mac = kfunc('vxlan_set_mac', (vxlan: V.vxlan_dev, _vs: V.vxlan_sock, skb: sk_buff, vni: number): number => {
  const { ifindex } = skb.dev as net_device
  skb_reset_mac_header(skb)
  skb.protocol = eth_type_trans(skb, vxlan.dev)
  skb_postpull_rcsum(skb, skb.mac_header, ETH_HLEN)
  // a frame of one's own that came back
  if (ether_addr_equal(eth_hdr(skb).h_source, vxlan.dev.dev_addr)) return SKB_DROP_REASON_LOCAL_MAC
  const { saddr } = ip_hdr(skb)
  if (!(vxlan.cfg.flags & V.VXLAN_F_LEARN)) return 0
  return vxlan_snoop(skb.dev as net_device, saddr, eth_hdr(skb).h_source.slice(), ifindex, vni)
})

const vxlan_ecn_decapsulate = kfunc(
  'vxlan_ecn_decapsulate',
  (_vs: V.vxlan_sock, oiph: iphdr, skb: sk_buff): boolean => IP_ECN_decapsulate(oiph, skb) <= 1,
)

/** a datagram to the tunnel's port; `skb` begins with its UDP header. @returns 0: it is taken, whatever became of it */
const vxlan_rcv = kfunc('vxlan_rcv', (sk: sock, skb: sk_buff): number => {
  const drop = (reason: number): number => {
    kfree_skb_reason(skb, reason || SKB_DROP_REASON_NOT_SPECIFIED)
    return 0
  }
  let reason = pskb_may_pull_reason(skb, V.VXLAN_HLEN)
  if (reason) return drop(reason)
  const at = skb.transport_header + V.VXLAN_HLEN - VXLAN_HDR
  const vx_flags = be32(skb.head.bytes, at)
  const vx_vni = be32(skb.head.bytes, at + 4)
  if (!(vx_flags & V.VXLAN_HF_VNI)) return drop(SKB_DROP_REASON_VXLAN_INVALID_HDR)
  const vs = sk.sk_user_data as V.vxlan_sock | null
  if (vs === null) return drop(0)
  const vni = vx_vni >>> 8
  const vxlan = vxlan_vs_find_vni(vs, skb.dev?.ifindex ?? 0, vni, null)
  if (vxlan === null) return drop(SKB_DROP_REASON_VXLAN_VNI_NOT_FOUND)
  if (__iptunnel_pull_header(skb, V.VXLAN_HLEN, ETH_P_TEB, false, vxlan.net !== vxlan.dev.nd_net))
    return drop(SKB_DROP_REASON_NOMEM)
  // bits that nobody here knows: stricter than RFC 7348
  if (vx_flags & ~V.VXLAN_HF_VNI || vx_vni & 0xff) return drop(SKB_DROP_REASON_VXLAN_INVALID_HDR)
  reason = vxlan_set_mac(vxlan, vs, skb, vni)
  if (reason) return drop(reason)

  const nh = skb.network_header
  skb_reset_network_header(skb)
  reason = pskb_inet_may_pull_reason(skb)
  const { stats } = vxlan.dev
  if (reason) {
    stats.rx_errors++
    vxlan_vnifilter_count(vxlan, vni, null, 2, 0)
    return drop(reason)
  }
  if (!vxlan_ecn_decapsulate(vs, new iphdr(skb.head.bytes, nh), skb)) {
    stats.rx_errors++
    vxlan_vnifilter_count(vxlan, vni, null, 2, 0)
    return drop(SKB_DROP_REASON_IP_TUNNEL_ECN)
  }
  rcu_read_lock()
  if (!(vxlan.dev.flags & IFF_UP)) {
    rcu_read_unlock()
    stats.rx_dropped++
    vxlan_vnifilter_count(vxlan, vni, null, 1, 0)
    return drop(SKB_DROP_REASON_DEV_READY)
  }
  stats.rx_packets++
  stats.rx_bytes += skb.len
  vxlan_vnifilter_count(vxlan, vni, null, 0, skb.len)
  gro_cells_receive(vxlan.gro_cells, skb)
  rcu_read_unlock()
  return 0
})

/** whether a datagram that could not be delivered was this tunnel's: 0, or an error */
const vxlan_err_lookup = kfunc('vxlan_err_lookup', (sk: sock, skb: sk_buff): number => {
  if (!pskb_may_pull(skb, skb_transport_offset(skb) + V.VXLAN_HLEN)) return -EINVAL
  const at = skb.transport_header + V.VXLAN_HLEN - VXLAN_HDR
  if (!(be32(skb.head.bytes, at) & V.VXLAN_HF_VNI)) return -EINVAL
  const vs = sk.sk_user_data as V.vxlan_sock | null
  if (vs === null) return -ENOENT
  return vxlan_vs_find_vni(vs, skb.dev?.ifindex ?? 0, be32(skb.head.bytes, at + 4) >>> 8, null) === null ? -ENOENT : 0
})

// ---- sending

/** puts the VXLAN header before a frame. `vni` in host order. */
const vxlan_build_skb = kfunc(
  'vxlan_build_skb',
  (skb: sk_buff, dst: dst_entry, iphdr_len: number, vni: number, _md: null, _vxflags: number, udp_sum: boolean): number => {
    const type = udp_sum ? SKB_GSO_UDP_TUNNEL_CSUM : SKB_GSO_UDP_TUNNEL
    const min_headroom = LL_RESERVED_SPACE(dst.dev as net_device) + dst.header_len + V.VXLAN_HLEN + iphdr_len
    let err = skb_cow_head(skb, min_headroom)
    if (err) return err
    err = iptunnel_handle_offloads(skb, type)
    if (err) return err
    const vxh = __skb_push(skb, VXLAN_HDR)
    const d = new DataView(skb.head.bytes.buffer, skb.head.bytes.byteOffset + vxh, VXLAN_HDR)
    d.setUint32(0, V.VXLAN_HF_VNI)
    d.setUint32(4, vni * 256)
    skb.inner_protocol = ETH_P_TEB
    return 0
  },
)

/** a frame for a device of this host goes there without any outer header */
const vxlan_encap_bypass = kfunc(
  'vxlan_encap_bypass',
  (skb: sk_buff, src_vxlan: V.vxlan_dev, dst_vxlan: V.vxlan_dev, vni: number, snoop: boolean): void => {
    const { len } = skb
    skb.pkt_type = PACKET_HOST
    skb.encapsulation = 0
    skb.dev = dst_vxlan.dev
    __skb_pull(skb, skb_network_offset(skb))
    rcu_read_lock()
    const { dev } = skb
    let delivered = false
    if (!(dev.flags & IFF_UP)) kfree_skb(skb)
    else {
      if (dst_vxlan.cfg.flags & V.VXLAN_F_LEARN && snoop) vxlan_snoop(dev, INADDR_LOOPBACK, eth_hdr(skb).h_source.slice(), 0, vni)
      src_vxlan.dev.stats.tx_packets++
      src_vxlan.dev.stats.tx_bytes += len
      vxlan_vnifilter_count(src_vxlan, vni, null, 3, len)
      delivered = __netif_rx(skb) === NET_RX_SUCCESS
    }
    if (delivered) {
      dst_vxlan.dev.stats.rx_packets++
      dst_vxlan.dev.stats.rx_bytes += len
      vxlan_vnifilter_count(dst_vxlan, vni, null, 0, len)
    } else {
      dev.stats.rx_dropped++
      vxlan_vnifilter_count(dst_vxlan, vni, null, 1, 0)
    }
    rcu_read_unlock()
  },
)

/** @returns 0 when the other end is elsewhere; more when the frame was delivered here, less when it was dropped */
const encap_bypass_if_local = kfunc(
  'encap_bypass_if_local',
  (
    skb: sk_buff,
    dev: net_device,
    vxlan: V.vxlan_dev,
    addr_family: number,
    dst_port: number,
    dst_ifindex: number,
    vni: number,
    dst: dst_entry,
    rt_flags: number,
  ): number => {
    const local = rt_flags & RTCF_LOCAL && !(rt_flags & (RTCF_BROADCAST | RTCF_MULTICAST))
    if (!local || !(vxlan.cfg.flags & V.VXLAN_F_LOCALBYPASS)) return 0
    if (tracer.on) decide('encap_bypass_if_local', 'the other end is on this host: no outer headers', { vni })
    dst_release(dst)
    const dst_vxlan = vxlan_find_vni(vxlan.net, dst_ifindex, vni, addr_family, dst_port, vxlan.cfg.flags)
    if (dst_vxlan === null) {
      dev.stats.tx_errors++
      vxlan_vnifilter_count(vxlan, vni, null, 5, 0)
      kfree_skb(skb)
      return -ENOENT
    }
    vxlan_encap_bypass(skb, vxlan, dst_vxlan, vni, true)
    return 1
  },
)

/** include/net/udp.h: a source port that is the same for all packets of a flow, and differs between flows */
const udp_flow_src_port = kfunc(
  'udp_flow_src_port',
  (n: net, skb: sk_buff, from: number, to: number, _use_eth: boolean): number => {
    let [min, max] = [from, to]
    if (min >= max) [min, max] = n.ipv4.ip_local_ports.range
    let hash = skb_get_hash(skb)
    if (!hash) hash = mac_key(eth_hdr(skb).h_dest) >>> 0
    hash = (hash ^ (hash << 16)) >>> 0
    return Math.floor((hash * (max - min)) / 0x100000000) + min
  },
)

const vxlan_xmit_one = kfunc(
  'vxlan_xmit_one',
  (skb: sk_buff, dev: net_device, default_vni: number, rdst: V.vxlan_rdst, did_rsc: boolean): void => {
    const vxlan = vxlan_of(dev)
    const { cfg } = vxlan
    const pkt_len = skb.len
    const xnet = vxlan.net !== vxlan.dev.nd_net
    const drop = (): void => {
      dev.stats.tx_dropped++
      vxlan_vnifilter_count(vxlan, 0, null, 4, 0)
      consume_skb(skb)
    }
    if (skb_vlan_inet_prepare(skb, false)) {
      drop()
      return
    }
    const old_iph = skb.network_header
    const use_dst_cache = !skb.mark
    if (rdst.remote_ip === 0) {
      if (did_rsc) vxlan_encap_bypass(skb, vxlan, vxlan, default_vni, true)
      else drop()
      return
    }
    const dst_port = rdst.remote_port || cfg.dst_port
    const vni = rdst.remote_vni || default_vni
    let ifindex = rdst.remote_ifindex
    const key = { src: cfg.saddr, dst: rdst.remote_ip }
    let { ttl, tos } = cfg
    if (cfg.flags & V.VXLAN_F_TTL_INHERIT) {
      const b = skb.head.bytes
      ttl = skb.protocol === ETH_P_IP ? (b[old_iph + 8] ?? 0) : skb.protocol === ETH_P_IPV6 ? (b[old_iph + 7] ?? 0) : 0
    } else if (!ttl && ipv4_is_multicast(rdst.remote_ip)) ttl = 1
    if (tos === 1) tos = ip_tunnel_get_dsfield(old_iph, skb)
    const use_cache = use_dst_cache && !tos
    const udp_sum = !(cfg.flags & V.VXLAN_F_UDP_ZERO_CSUM_TX)
    const src_port = udp_flow_src_port(dev.nd_net, skb, cfg.port_min, cfg.port_max, true)

    rcu_read_lock()
    let ndst: dst_entry | null = null
    const tx_error = (err: number): void => {
      rcu_read_unlock()
      if (err === -ELOOP) dev.stats.collisions++
      dst_release(ndst)
      dev.stats.tx_errors++
      if (tracer.on) decide('vxlan_xmit_one', 'no way to the remote end', { err, unreachable: err === -ENETUNREACH ? 1 : 0 })
      vxlan_vnifilter_count(vxlan, vni, null, 5, 0)
      kfree_skb(skb)
    }
    const sock4 = vxlan.vn4_sock
    if (sock4 === null) {
      tx_error(0)
      return
    }
    const sk = sock4.sock.sk as sock
    if (!ifindex) ifindex = sk.sk_bound_dev_if
    const saddr: ref<number> = { v: 0 }
    const rt = udp_tunnel_dst_lookup(
      skb,
      dev,
      vxlan.net,
      ifindex,
      saddr,
      key,
      src_port,
      dst_port,
      tos,
      use_cache ? rdst.dst_cache : null,
    )
    if (IS_ERR(rt)) {
      tx_error(rt)
      return
    }
    let err = encap_bypass_if_local(skb, dev, vxlan, 2, dst_port, ifindex, vni, rt, rt.rt_flags)
    if (err) {
      rcu_read_unlock()
      return
    }
    let df = 0
    if (cfg.df === V.VXLAN_DF_SET) df = IP_DF
    else if (cfg.df === V.VXLAN_DF_INHERIT) {
      const { h_proto } = eth_hdr(skb)
      if (h_proto === ETH_P_IPV6 || (h_proto === ETH_P_IP && ip_hdr(skb).frag_off & IP_DF)) df = IP_DF
    }
    ndst = rt
    err = skb_tunnel_check_pmtu(skb, rt, V.VXLAN_HEADROOM, netif_is_any_bridge_port(dev))
    if (err < 0) {
      tx_error(err)
      return
    }
    if (err) {
      vxlan_encap_bypass(skb, vxlan, vxlan, vni, false)
      dst_release(ndst)
      rcu_read_unlock()
      return
    }
    tos = ip_tunnel_ecn_encap(tos, skb.network_header, skb)
    ttl = ttl || ip4_dst_hoplimit(rt)
    err = vxlan_build_skb(skb, rt, 20, vni, null, cfg.flags, udp_sum)
    if (err < 0) {
      tx_error(err)
      return
    }
    udp_tunnel_xmit_skb(rt, sk, skb, saddr.v, key.dst, { tos, ttl, df, xnet, nocheck: !udp_sum }, src_port, dst_port)
    vxlan_vnifilter_count(vxlan, vni, null, 3, pkt_len)
    rcu_read_unlock()
  },
)
/** include/linux/netdevice.h: a port of a bridge or of Open vSwitch */
const netif_is_any_bridge_port = (dev: net_device): boolean => (dev.priv_flags & IFF_BRIDGE_PORT) !== 0

const vxlan_xmit = kfunc('vxlan_xmit', (skb: sk_buff, dev: net_device): number => {
  const vxlan = vxlan_of(dev)
  const vni = 0
  skb_reset_mac_header(skb)
  rcu_read_lock()
  const f = vxlan_find_mac_tx(vxlan, eth_hdr(skb).h_dest.slice(), vni) ?? vxlan_find_mac_tx(vxlan, all_zeros_mac, vni)
  if (f === null) {
    dev.stats.tx_dropped++
    vxlan_vnifilter_count(vxlan, vni, null, 4, 0)
    kfree_skb_reason(skb, SKB_DROP_REASON_NO_TX_TARGET)
    rcu_read_unlock()
    return NETDEV_TX_OK
  }
  let fdst: V.vxlan_rdst | null = null
  for (const rdst of f.remotes) {
    if (fdst === null) {
      fdst = rdst
      continue
    }
    const skb1 = skb_clone(skb, GFP_ATOMIC)
    if (skb1 !== null) vxlan_xmit_one(skb1, dev, vni, rdst, false)
  }
  if (fdst !== null) vxlan_xmit_one(skb, dev, vni, fdst, false)
  else kfree_skb_reason(skb, SKB_DROP_REASON_NO_TX_TARGET)
  rcu_read_unlock()
  return NETDEV_TX_OK
})

// ---- the socket

const vxlan_create_sock = kfunc('vxlan_create_sock', (n: net, _ipv6: boolean, port: number, _flags: number, ifindex: number) =>
  udp_sock_create4(n, { local_ip: 0, local_udp_port: port, bind_ifindex: ifindex, use_udp_checksums: false }),
)
const vxlan_socket_create = kfunc(
  'vxlan_socket_create',
  (n: net, ipv6: boolean, port: number, flags: number, ifindex: number): V.vxlan_sock | number => {
    const vn = vxlan_net_of(n)
    const sock = vxlan_create_sock(n, ipv6, port, flags, ifindex)
    if (IS_ERR(sock)) return sock
    const vs: V.vxlan_sock = { sock, refcnt: 1, flags: 0, vni_list: new Map() }
    spin_lock(vn.sock_lock)
    vn.sock_list.unshift(vs)
    spin_unlock(vn.sock_lock)
    setup_udp_tunnel_sock(n, sock, {
      sk_user_data: vs,
      encap_type: 1,
      encap_rcv: vxlan_rcv,
      encap_err_lookup: vxlan_err_lookup,
      gro_receive: vxlan_gro_receive,
      gro_complete: vxlan_gro_complete,
    })
    return vs
  },
)
const vxlan_vs_add_dev = kfunc('vxlan_vs_add_dev', (vs: V.vxlan_sock, vxlan: V.vxlan_dev): void => {
  const vni = vxlan.default_dst.remote_vni
  vs.vni_list.set(vni, [vxlan, ...(vs.vni_list.get(vni) ?? [])])
})
const vxlan_vs_del_dev = kfunc('vxlan_vs_del_dev', (vs: V.vxlan_sock, vxlan: V.vxlan_dev): void => {
  const vni = vxlan.default_dst.remote_vni
  const left = (vs.vni_list.get(vni) ?? []).filter((v) => v !== vxlan)
  if (left.length > 0) vs.vni_list.set(vni, left)
  else vs.vni_list.delete(vni)
})
const __vxlan_sock_add = kfunc('__vxlan_sock_add', (vxlan: V.vxlan_dev, ipv6: boolean): number => {
  const vn = vxlan_net_of(vxlan.net)
  let vs: V.vxlan_sock | number | null = null
  if (!vxlan.cfg.no_share) {
    spin_lock(vn.sock_lock)
    vs = vxlan_find_sock(vxlan.net, 2, vxlan.cfg.dst_port, vxlan.cfg.flags, 0)
    if (vs !== null) vs.refcnt++
    spin_unlock(vn.sock_lock)
  }
  vs ??= vxlan_socket_create(vxlan.net, ipv6, vxlan.cfg.dst_port, vxlan.cfg.flags, 0)
  if (IS_ERR(vs)) return vs
  vxlan.vn4_sock = vs
  vxlan_vs_add_dev(vs, vxlan)
  return 0
})
const vxlan_sock_add = kfunc('vxlan_sock_add', (vxlan: V.vxlan_dev): number => {
  vxlan.vn4_sock = null
  return __vxlan_sock_add(vxlan, false)
})
const vxlan_sock_release = kfunc('vxlan_sock_release', (vxlan: V.vxlan_dev): void => {
  const vs = vxlan.vn4_sock
  vxlan.vn4_sock = null
  synchronize_net()
  if (vs === null) return
  vxlan_vs_del_dev(vs, vxlan)
  if (--vs.refcnt > 0) return
  const vn = vxlan_net_of(vxlan.net)
  spin_lock(vn.sock_lock)
  vn.sock_list.splice(vn.sock_list.indexOf(vs), 1)
  spin_unlock(vn.sock_lock)
  udp_tunnel_sock_release(vs.sock)
})

// ---- the device

/** the group that a multicast remote end is: joined on the device below */
const membership = (vxlan: V.vxlan_dev): { sk: sock; imr: Parameters<typeof ip_mc_join_group>[1] } | null => {
  const { remote_ip, remote_ifindex } = vxlan.default_dst
  const sk = vxlan.vn4_sock?.sock.sk ?? null
  if (sk === null || !ipv4_is_multicast(remote_ip)) return null
  return { sk, imr: { imr_multiaddr: remote_ip, imr_address: 0, imr_ifindex: remote_ifindex } }
}

const vxlan_init = kfunc('vxlan_init', (dev: net_device): number => gro_cells_init(vxlan_of(dev).gro_cells, dev))
const vxlan_uninit = kfunc('vxlan_uninit', (dev: net_device): void => {
  const vxlan = vxlan_of(dev)
  gro_cells_destroy(vxlan.gro_cells)
  for (const f of [...vxlan.fdb_head.values()]) vxlan_fdb_destroy(vxlan, f, true, true)
})
const vxlan_open = kfunc('vxlan_open', (dev: net_device): number => {
  const vxlan = vxlan_of(dev)
  const ret = vxlan_sock_add(vxlan)
  if (ret < 0) return ret
  const group = membership(vxlan)
  const err = group === null ? 0 : ip_mc_join_group(group.sk, group.imr)
  if (err && err !== -98) {
    vxlan_sock_release(vxlan)
    return err
  }
  if (vxlan.cfg.age_interval) mod_timer(vxlan.age_timer, jiffies() + FDB_AGE_INTERVAL)
  return 0
})
const vxlan_stop = kfunc('vxlan_stop', (dev: net_device): number => {
  const vxlan = vxlan_of(dev)
  const group = membership(vxlan)
  if (group !== null) ip_mc_leave_group(group.sk, group.imr)
  del_timer_sync(vxlan.age_timer)
  for (const f of [...vxlan.fdb_head.values()])
    if (!(f.state & (NUD_PERMANENT | NUD_NOARP))) vxlan_fdb_destroy(vxlan, f, true, true)
  vxlan_sock_release(vxlan)
  return 0
})
const vxlan_set_multicast_list = (_dev: net_device): void => {}
const vxlan_change_mtu = kfunc('vxlan_change_mtu', (dev: net_device, new_mtu: number): number => {
  const vxlan = vxlan_of(dev)
  const lowerdev = __dev_get_by_index(vxlan.net, vxlan.default_dst.remote_ifindex)
  if (lowerdev !== null && new_mtu > lowerdev.mtu - V.VXLAN_HEADROOM) return -EINVAL
  dev.mtu = new_mtu
  return 0
})

let vxlan_netdev_ether_ops: net_device_ops

const vxlan_setup = kfunc('vxlan_setup', (dev: net_device): void => {
  const vxlan = new V.vxlan_dev(dev)
  dev.priv = vxlan
  eth_hw_addr_random(dev)
  ether_setup(dev)
  dev.needs_free_netdev = true
  const offered = F.NETIF_F_SG | F.NETIF_F_HW_CSUM | F.NETIF_F_FRAGLIST | F.NETIF_F_RXCSUM | F.NETIF_F_GSO_SOFTWARE
  dev.features |= offered
  dev.vlan_features = dev.features
  dev.hw_features |= offered
  netif_keep_dst(dev)
  dev.priv_flags |= IFF_NO_QUEUE
  dev.lltx = true
  dev.min_mtu = ETH_MIN_MTU
  dev.max_mtu = ETH_MAX_MTU
  dev.pcpu_stat_type = NETDEV_PCPU_STAT_DSTATS
  vxlan.age_timer = new timer_list(vxlan)
  timer_setup(vxlan.age_timer, vxlan_cleanup, 0)
})
const vxlan_ether_setup = kfunc('vxlan_ether_setup', (dev: net_device): void => {
  dev.priv_flags &= ~IFF_TX_SKB_SHARING
  dev.priv_flags |= IFF_LIVE_ADDR_CHANGE
  dev.netdev_ops = vxlan_netdev_ether_ops
})

/** IFLA_INFO_DATA of a VXLAN device; what was not said has the kernel's default */
export interface vxlan_attrs {
  id?: number
  /** IFLA_VXLAN_GROUP: the remote end, or a multicast group */
  remote?: number
  local?: number
  link?: number
  /** 0 with `ttl inherit` */
  ttl?: number
  ttl_inherit?: boolean
  tos?: number
  port?: number
  port_range?: { low: number; high: number }
  ageing?: number
  limit?: number
  learning?: boolean
  udp_csum?: boolean
  localbypass?: boolean
  df?: number
}

const vxlan_validate = kfunc('vxlan_validate', (tb: rtnl_link_attrs, data: unknown, extack: null): number => {
  const refuse = (err: number, message: string): number => {
    NL_SET_ERR_MSG(extack, message)
    return -err
  }
  if (tb.address !== undefined) {
    if (tb.address.length !== ETH_ALEN) return refuse(EINVAL, 'Provided link layer address is not Ethernet')
    if (!is_valid_ether_addr(tb.address)) return refuse(EADDRNOTAVAIL, 'Provided Ethernet address is not unicast')
  }
  if (tb.mtu !== undefined && (tb.mtu < ETH_MIN_MTU || tb.mtu > ETH_MAX_MTU))
    return refuse(EINVAL, 'MTU must be between 68 and 65535')
  if (data === null) return refuse(EINVAL, 'Required attributes not provided to perform the operation')
  const { id, port_range } = data as vxlan_attrs
  if (id !== undefined && id >= V.VXLAN_N_VID) return refuse(ERANGE, 'VXLAN ID must be lower than 16777216')
  if (port_range !== undefined && port_range.high < port_range.low) return refuse(EINVAL, 'Invalid source port range')
  return 0
})

const vxlan_nl2conf = kfunc('vxlan_nl2conf', (tb: rtnl_link_attrs, a: vxlan_attrs): V.vxlan_config => {
  const conf = new V.vxlan_config()
  conf.vni = a.id ?? 0
  conf.remote_ip = a.remote ?? 0
  conf.saddr = a.local ?? 0
  conf.remote_ifindex = a.link ?? 0
  conf.tos = a.tos ?? 0
  conf.ttl = a.ttl ?? 0
  conf.dst_port = a.port ?? 0
  conf.port_min = a.port_range?.low ?? 0
  conf.port_max = a.port_range?.high ?? 0
  conf.age_interval = a.ageing ?? 0
  conf.addrmax = a.limit ?? 0
  conf.df = a.df ?? V.VXLAN_DF_UNSET
  conf.mtu = tb.mtu ?? 0
  if (a.ttl_inherit) conf.flags |= V.VXLAN_F_TTL_INHERIT
  if (a.learning ?? true) conf.flags |= V.VXLAN_F_LEARN
  if (a.localbypass ?? true) conf.flags |= V.VXLAN_F_LOCALBYPASS
  if (!(a.udp_csum ?? true)) conf.flags |= V.VXLAN_F_UDP_ZERO_CSUM_TX
  return conf
})

const vxlan_vni_in_use = (n: net, vxlan: V.vxlan_dev, conf: V.vxlan_config): boolean =>
  vxlan_net_of(n).vxlan_list.some((t) => t !== vxlan && t.cfg.vni === conf.vni && t.cfg.dst_port === conf.dst_port)

/** checks the configuration and fills in what was left open; in `lower` the device below. @returns an error, or 0 */
const vxlan_config_validate = kfunc(
  'vxlan_config_validate',
  (n: net, conf: V.vxlan_config, lower: ref<net_device | null>, old: V.vxlan_dev, extack: null): number => {
    const refuse = (err: number, message: string): number => {
      NL_SET_ERR_MSG(extack, message)
      return -err
    }
    if (ipv4_is_multicast(conf.saddr)) return refuse(EINVAL, 'Local address cannot be multicast')
    lower.v = null
    if (conf.remote_ifindex) {
      lower.v = __dev_get_by_index(n, conf.remote_ifindex)
      if (lower.v === null) return refuse(ENODEV, 'Invalid local interface, device not found')
    } else if (ipv4_is_multicast(conf.remote_ip))
      return refuse(EINVAL, 'Local interface required for multicast remote destination')
    conf.dst_port ||= vxlan_port
    conf.age_interval ||= FDB_AGE_DEFAULT
    if (vxlan_vni_in_use(n, old, conf)) return refuse(EEXIST, 'A VXLAN device with the specified VNI already exists')
    return 0
  },
)
const vxlan_config_apply = kfunc(
  'vxlan_config_apply',
  (dev: net_device, conf: V.vxlan_config, lowerdev: net_device | null, src_net: net): void => {
    const vxlan = vxlan_of(dev)
    const dst = vxlan.default_dst
    let needed_headroom = ETH_HLEN
    let max_mtu = ETH_MAX_MTU as number
    vxlan_ether_setup(dev)
    if (conf.mtu) dev.mtu = conf.mtu
    vxlan.net = src_net
    dst.remote_vni = conf.vni
    dst.remote_ip = conf.remote_ip
    if (lowerdev !== null) {
      dst.remote_ifindex = conf.remote_ifindex
      netif_inherit_tso_max(dev, lowerdev)
      needed_headroom = lowerdev.hard_header_len + lowerdev.needed_headroom
      dev.needed_tailroom = lowerdev.needed_tailroom
      max_mtu = Math.max(lowerdev.mtu - V.VXLAN_HEADROOM, ETH_MIN_MTU)
      if (!conf.mtu) dev.mtu = max_mtu
    }
    dev.mtu = Math.min(dev.mtu, max_mtu)
    dev.needed_headroom = needed_headroom + V.VXLAN_HEADROOM
    vxlan.cfg = conf
  },
)
const vxlan_dev_configure = kfunc(
  'vxlan_dev_configure',
  (src_net: net, dev: net_device, conf: V.vxlan_config, _changelink: boolean, extack: null): number => {
    const lower: ref<net_device | null> = { v: null }
    const ret = vxlan_config_validate(src_net, conf, lower, vxlan_of(dev), extack)
    if (ret) return ret
    vxlan_config_apply(dev, conf, lower.v, src_net)
    return 0
  },
)

const __vxlan_dev_create = kfunc('__vxlan_dev_create', (n: net, dev: net_device, conf: V.vxlan_config, extack: null): number => {
  const vxlan = vxlan_of(dev)
  const dst = vxlan.default_dst
  let err = vxlan_dev_configure(n, dev, conf, false, extack)
  if (err) return err
  let f: V.vxlan_fdb | number | null = null
  if (dst.remote_ip !== 0) {
    f = vxlan_fdb_create(vxlan, {
      mac: all_zeros_mac,
      ip: dst.remote_ip,
      state: NUD_REACHABLE | NUD_PERMANENT,
      port: conf.dst_port,
      src_vni: dst.remote_vni,
      vni: dst.remote_vni,
      ifindex: dst.remote_ifindex,
      flags: NTF_SELF,
    })
    if (IS_ERR(f)) return f
  }
  err = register_netdevice(dev)
  if (err) return err
  let remote_dev: net_device | null = null
  if (dst.remote_ifindex) {
    remote_dev = __dev_get_by_index(n, dst.remote_ifindex)
    err = remote_dev === null ? -ENODEV : netdev_upper_dev_link(remote_dev, dev, extack)
    if (err) {
      unregister_netdevice(dev)
      return err
    }
  }
  err = rtnl_configure_link(dev, null)
  if (err < 0) {
    if (remote_dev !== null) netdev_upper_dev_unlink(remote_dev, dev)
    unregister_netdevice(dev)
    return err
  }
  if (f !== null) {
    vxlan_fdb_insert(vxlan, f)
    vxlan_fdb_notify(vxlan, f, first_remote_rcu(f), RTM_NEWNEIGH, true, extack)
  }
  vxlan_net_of(n).vxlan_list.unshift(vxlan)
  dst.remote_dev = remote_dev
  return 0
})

const vxlan_newlink = kfunc(
  'vxlan_newlink',
  (src_net: net, dev: net_device, tb: rtnl_link_attrs, data: unknown, extack: null): number =>
    __vxlan_dev_create(src_net, dev, vxlan_nl2conf(tb, data as vxlan_attrs), extack),
)
const vxlan_dellink = kfunc('vxlan_dellink', (dev: net_device): void => {
  const vxlan = vxlan_of(dev)
  const { vxlan_list } = vxlan_net_of(vxlan.net)
  vxlan_list.splice(vxlan_list.indexOf(vxlan), 1)
  unregister_netdevice(dev)
  const { remote_dev } = vxlan.default_dst
  if (remote_dev !== null) netdev_upper_dev_unlink(remote_dev, dev)
})
const vxlan_get_link_net = kfunc('vxlan_get_link_net', (dev: net_device): net => vxlan_of(dev).net)

/** what drivers say of entries that their switches learned: none does */
const vxlan_switchdev_event = kfunc('vxlan_switchdev_event', (_event: number, _ptr: unknown): number => NOTIFY_DONE)

function vxlan_init_module(): number {
  vxlan_netdev_ether_ops = {
    ndo_init: vxlan_init,
    ndo_uninit: vxlan_uninit,
    ndo_open: vxlan_open,
    ndo_stop: vxlan_stop,
    ndo_start_xmit: vxlan_xmit,
    ndo_set_rx_mode: vxlan_set_multicast_list,
    ndo_change_mtu: vxlan_change_mtu,
    ndo_validate_addr: eth_validate_addr,
    ndo_set_mac_address: eth_mac_addr,
  }
  const vxlan_link_ops: rtnl_link_ops = {
    kind: 'vxlan',
    priv_size: 0,
    setup: vxlan_setup,
    validate: vxlan_validate,
    newlink: vxlan_newlink,
    dellink: vxlan_dellink,
    get_link_net: vxlan_get_link_net,
  }
  register_switchdev_notifier(vxlan_switchdev_event)
  rtnl_link_register(vxlan_link_ops)
  return 0
}
declare_module('rtnl-link-vxlan', vxlan_init_module)
