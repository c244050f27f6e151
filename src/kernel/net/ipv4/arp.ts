import { kfunc } from '../../../trace/kfunc.ts'
import {
  ETH_P_ARP,
  ETH_P_IP,
  HZ,
  IFF_LOOPBACK,
  IFF_NOARP,
  IFF_POINTOPOINT,
  IFF_XMIT_DST_RELEASE,
  NET_RX_DROP,
  NET_RX_SUCCESS,
  NETDEV_CHANGE,
  NETDEV_CHANGEADDR,
  NFPROTO_ARP,
  PACKET_HOST,
  PACKET_LOOPBACK,
  PACKET_OTHERHOST,
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_UNIVERSE,
  RTN_BROADCAST,
  RTN_LOCAL,
  RTN_MULTICAST,
  RTN_UNICAST,
  SK_WMEM_MAX,
  SKB_DROP_REASON_NEIGH_FAILED,
} from '../../include/generated/enums.ts'
import { EINVAL, ENXIO } from '../../include/linux/errno.ts'
import {
  ARPHRD_ETHER,
  ARPHRD_FDDI,
  ARPHRD_IEEE802,
  ARPHRD_IPGRE,
  ARPOP_REPLY,
  ARPOP_REQUEST,
  arp_hdr,
  arp_hdr_len,
  SIZEOF_ARPHDR,
} from '../../include/linux/if_arp.ts'
import { ipv4_is_loopback, ipv4_is_multicast } from '../../include/linux/in.ts'
import {
  __in_dev_get_rcu,
  __in_dev_get_rtnl,
  IN_DEV_ANDCONF,
  IN_DEV_CONF_GET,
  IN_DEV_FORWARD,
  IN_DEV_MAXCONF,
  IN_DEV_ORCONF,
  IPV4_DEVCONF_ARP_ACCEPT,
  IPV4_DEVCONF_ARP_ANNOUNCE,
  IPV4_DEVCONF_ARP_EVICT_NOCARRIER,
  IPV4_DEVCONF_ARP_IGNORE,
  IPV4_DEVCONF_ARPFILTER,
  IPV4_DEVCONF_DROP_GRATUITOUS_ARP,
  IPV4_DEVCONF_MEDIUM_ID,
  IPV4_DEVCONF_PROXY_ARP,
  IPV4_DEVCONF_PROXY_ARP_PVLAN,
  IPV4_DEVCONF_ROUTE_LOCALNET,
  type in_device,
} from '../../include/linux/inetdevice.ts'
import { get_be32, ip_hdr, put_be32 } from '../../include/linux/ip.ts'
import { LL_RESERVED_SPACE, type net_device, type packet_type } from '../../include/linux/netdevice.ts'
import { type sk_buff, skb_dst, skb_reset_network_header } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import { AF_INET } from '../../include/linux/socket.ts'
import { IS_ERR } from '../../include/linux/types.ts'
import type { dst_entry } from '../../include/net/dst.ts'
import {
  NEIGH_ARP_TABLE,
  NEIGH_UPDATE_F_ADMIN,
  NEIGH_UPDATE_F_OVERRIDE,
  NEIGH_VAR,
  NEIGH_VAR_ANYCAST_DELAY,
  NEIGH_VAR_APP_PROBES,
  NEIGH_VAR_BASE_REACHABLE_TIME,
  NEIGH_VAR_DELAY_PROBE_TIME,
  NEIGH_VAR_GC_STALETIME,
  NEIGH_VAR_INTERVAL_PROBE_TIME_MS,
  NEIGH_VAR_LOCKTIME,
  NEIGH_VAR_MCAST_PROBES,
  NEIGH_VAR_PROXY_DELAY,
  NEIGH_VAR_PROXY_QLEN,
  NEIGH_VAR_QUEUE_LEN_BYTES,
  NEIGH_VAR_RETRANS_TIME,
  NEIGH_VAR_UCAST_PROBES,
  NUD_FAILED,
  NUD_NOARP,
  NUD_REACHABLE,
  NUD_STALE,
  NUD_VALID,
  type neigh_key,
  neigh_key_eq32,
  type neigh_ops,
  type neigh_table,
  neigh_table_defaults,
  type neighbour,
} from '../../include/net/neighbour.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { type rtable, skb_rtable } from '../../include/net/route.ts'
import type { sock } from '../../include/net/sock.ts'
import { write_lock_bh, write_unlock_bh } from '../../kernel/locking/spinlock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { jiffies } from '../../kernel/time/timer.ts'
import {
  dev_add_pack,
  dev_hard_header,
  dev_queue_xmit,
  netdev_notifier_info_to_dev,
  netif_carrier_ok,
  type notifier_block,
  register_netdevice_notifier,
} from '../core/dev.ts'
import { dst_clone, dst_link_failure, dst_release, skb_dst_set } from '../core/dst.ts'
import {
  ___neigh_lookup_noref,
  __neigh_lookup,
  __neigh_parms_put,
  neigh_app_ns,
  neigh_carrier_down,
  neigh_changeaddr,
  neigh_confirm,
  neigh_connected_output,
  neigh_direct_output,
  neigh_event_ns,
  neigh_ha_snapshot,
  neigh_ifdown,
  neigh_lookup,
  neigh_parms_clone,
  neigh_release,
  neigh_release_inlined,
  neigh_remove_one,
  neigh_resolve_output,
  neigh_table_init,
  neigh_update,
  pneigh_enqueue,
  pneigh_lookup,
} from '../core/neighbour.ts'
import {
  alloc_skb,
  consume_skb,
  kfree_skb,
  kfree_skb_reason,
  pskb_may_pull,
  skb_put,
  skb_reserve,
  skb_share_check,
} from '../core/skbuff.ts'
import { l3mdev_master_ifindex_rcu } from '../l3mdev/l3mdev.ts'
import { NF_HOOK } from '../netfilter/core.ts'
import { inet_addr_onlink, inet_confirm_addr, inet_select_addr } from './devinet.ts'
import { inet_addr_type_dev_table } from './fib_frontend.ts'
import { ip_route_input_noref, ip_route_output, ip_rt_put, rt_cache_flush } from './route.ts'

const NF_ARP_IN = 0
const NF_ARP_OUT = 1
const NOTIFY_DONE = 0
const INADDR_ANY = 0

let arp_generic_ops: neigh_ops
let arp_hh_ops: neigh_ops
let arp_direct_ops: neigh_ops
export let arp_tbl: neigh_table

// include/net/arp.h

const arp_hashfn = kfunc(
  'arp_hashfn',
  (pkey: neigh_key, dev: net_device, hash_rnd: number[]): number =>
    Math.imul((pkey as number) ^ Math.imul(dev.ifindex, 0x9e3779b9), hash_rnd[0] ?? 1) >>> 0,
)

export const __ipv4_neigh_lookup_noref = kfunc('__ipv4_neigh_lookup_noref', (dev: net_device, addr: number): neighbour | null => {
  const key = dev.flags & (IFF_LOOPBACK | IFF_POINTOPOINT) ? INADDR_ANY : addr
  return ___neigh_lookup_noref(arp_tbl, neigh_key_eq32, arp_hashfn, key, dev)
})

export const __ipv4_neigh_lookup = kfunc('__ipv4_neigh_lookup', (dev: net_device, key: number): neighbour | null => {
  rcu_read_lock()
  const n = __ipv4_neigh_lookup_noref(dev, key)
  if (n !== null) n.refcnt++
  rcu_read_unlock()
  return n
})

export const __ipv4_confirm_neigh = kfunc('__ipv4_confirm_neigh', (dev: net_device, key: number): void => {
  rcu_read_lock()
  neigh_confirm(__ipv4_neigh_lookup_noref(dev, key))
  rcu_read_unlock()
})

// net/ipv4/arp.c

/** the link address of a group; `dir`: for sending, where a broadcast will do */
export const arp_mc_map = kfunc('arp_mc_map', (addr: number, haddr: Uint8Array, dev: net_device, dir: number): number => {
  switch (dev.type) {
    case ARPHRD_ETHER:
    case ARPHRD_FDDI:
    case ARPHRD_IEEE802:
      haddr.set([0x01, 0x00, 0x5e, (addr >>> 16) & 0x7f, (addr >>> 8) & 0xff, addr & 0xff])
      return 0
    case ARPHRD_IPGRE:
      if (dev.broadcast.subarray(0, 4).some((b) => b !== 0)) haddr.set(dev.broadcast.subarray(0, 4))
      else put_be32(haddr, 0, addr)
      return 0
    default:
      if (dir) {
        haddr.set(dev.broadcast.subarray(0, dev.addr_len))
        return 0
      }
  }
  return -EINVAL
})

const arp_hash = kfunc('arp_hash', (pkey: neigh_key, dev: net_device, hash_rnd: number[]): number =>
  arp_hashfn(pkey, dev, hash_rnd),
)

const arp_key_eq = kfunc('arp_key_eq', (neigh: neighbour, pkey: neigh_key): boolean => neigh_key_eq32(neigh, pkey))

/** what an entry is from the start: looked up, or known without asking */
const arp_constructor = kfunc('arp_constructor', (neigh: neighbour): number => {
  const { dev } = neigh
  if (dev.flags & (IFF_LOOPBACK | IFF_POINTOPOINT)) neigh.primary_key = INADDR_ANY
  const addr = neigh.primary_key as number
  rcu_read_lock()
  const in_dev = __in_dev_get_rcu(dev)
  if (in_dev === null) {
    rcu_read_unlock()
    return -EINVAL
  }
  neigh.type = inet_addr_type_dev_table(dev.nd_net, dev, addr)
  __neigh_parms_put(neigh.parms)
  neigh.parms = neigh_parms_clone(in_dev.arp_parms)
  rcu_read_unlock()
  if (dev.header_ops === null) {
    neigh.nud_state = NUD_NOARP
    neigh.ops = arp_direct_ops
    neigh.output = neigh_direct_output
    return 0
  }
  if (neigh.type === RTN_MULTICAST) {
    neigh.nud_state = NUD_NOARP
    arp_mc_map(addr, neigh.ha, dev, 1)
  } else if (dev.flags & (IFF_NOARP | IFF_LOOPBACK)) {
    neigh.nud_state = NUD_NOARP
    neigh.ha.set(dev.dev_addr.subarray(0, dev.addr_len))
  } else if (neigh.type === RTN_BROADCAST || dev.flags & IFF_POINTOPOINT) {
    neigh.nud_state = NUD_NOARP
    neigh.ha.set(dev.broadcast.subarray(0, dev.addr_len))
  }
  neigh.ops = dev.header_ops.cache ? arp_hh_ops : arp_generic_ops
  neigh.output = neigh.nud_state & NUD_VALID ? neigh.ops.connected_output : neigh.ops.output
  return 0
})

const arp_error_report = kfunc('arp_error_report', (_neigh: neighbour, skb: sk_buff): void => {
  dst_link_failure(skb)
  kfree_skb_reason(skb, SKB_DROP_REASON_NEIGH_FAILED)
})

const arp_send_dst = kfunc(
  'arp_send_dst',
  (
    type: number,
    ptype: number,
    dest_ip: number,
    dev: net_device,
    src_ip: number,
    dest_hw: Uint8Array | null,
    src_hw: Uint8Array | null,
    target_hw: Uint8Array | null,
    dst: dst_entry | null,
  ): void => {
    if (dev.flags & IFF_NOARP) return
    const skb = arp_create(type, ptype, dest_ip, dev, src_ip, dest_hw, src_hw, target_hw)
    if (skb === null) return
    skb_dst_set(skb, dst_clone(dst))
    arp_xmit(skb)
  },
)

export const arp_send = kfunc(
  'arp_send',
  (
    type: number,
    ptype: number,
    dest_ip: number,
    dev: net_device,
    src_ip: number,
    dest_hw: Uint8Array | null,
    src_hw: Uint8Array | null,
    target_hw: Uint8Array | null,
  ): void => arp_send_dst(type, ptype, dest_ip, dev, src_ip, dest_hw, src_hw, target_hw, null),
)

/** asks who has the address of `neigh`: known neighbours directly, unknown ones by broadcast */
const arp_solicit = kfunc('arp_solicit', (neigh: neighbour, skb: sk_buff | null): void => {
  const { dev } = neigh
  const target = neigh.primary_key as number
  let saddr = 0
  let { probes } = neigh
  rcu_read_lock()
  const in_dev = __in_dev_get_rcu(dev)
  if (in_dev === null) {
    rcu_read_unlock()
    return
  }
  const announce = IN_DEV_MAXCONF(in_dev, IPV4_DEVCONF_ARP_ANNOUNCE)
  if (skb !== null && announce !== 2) {
    const src = ip_hdr(skb).saddr
    if (inet_addr_type_dev_table(dev.nd_net, dev, src) === RTN_LOCAL && (announce !== 1 || inet_addr_onlink(in_dev, target, src)))
      saddr = src
  }
  rcu_read_unlock()
  if (!saddr) saddr = inet_select_addr(dev, target, RT_SCOPE_LINK)

  let dst_hw: Uint8Array | null = null
  probes -= NEIGH_VAR(neigh.parms, NEIGH_VAR_UCAST_PROBES)
  if (probes < 0) {
    dst_hw = new Uint8Array(32)
    neigh_ha_snapshot(dst_hw, neigh, dev)
  } else {
    probes -= NEIGH_VAR(neigh.parms, NEIGH_VAR_APP_PROBES)
    if (probes < 0) {
      neigh_app_ns(neigh)
      return
    }
  }
  const dst = skb !== null && !(dev.priv_flags & IFF_XMIT_DST_RELEASE) ? skb_dst(skb) : null
  arp_send_dst(ARPOP_REQUEST, ETH_P_ARP, target, dev, saddr, dst_hw, dev.dev_addr, null, dst)
})

const arp_ignore = kfunc('arp_ignore', (in_dev: in_device, sip: number, tip: number): boolean => {
  const n = in_dev.dev.nd_net
  switch (IN_DEV_MAXCONF(in_dev, IPV4_DEVCONF_ARP_IGNORE)) {
    case 1:
      return !inet_confirm_addr(n, in_dev, 0, tip, RT_SCOPE_HOST)
    case 2:
      return !inet_confirm_addr(n, in_dev, sip, tip, RT_SCOPE_HOST)
    case 3:
      return !inet_confirm_addr(n, null, 0, tip, RT_SCOPE_LINK)
    case 8:
      return true
    default:
      return false
  }
})

const arp_accept = kfunc('arp_accept', (in_dev: in_device, sip: number): boolean => {
  switch (IN_DEV_MAXCONF(in_dev, IPV4_DEVCONF_ARP_ACCEPT)) {
    case 1:
      return true
    case 2:
      return inet_confirm_addr(in_dev.dev.nd_net, in_dev, sip, 0, RT_SCOPE_LINK) !== 0
    default:
      return false
  }
})

const arp_filter = kfunc('arp_filter', (sip: number, tip: number, dev: net_device): boolean => {
  const n = dev.nd_net
  const rt = ip_route_output(n, sip, tip, 0, l3mdev_master_ifindex_rcu(dev), RT_SCOPE_UNIVERSE)
  if (IS_ERR(rt)) return true
  const flag = rt.dev !== dev
  if (flag) n.mib.linux.ArpFilter++
  ip_rt_put(rt)
  return flag
})

const arp_fwd_proxy = kfunc('arp_fwd_proxy', (in_dev: in_device, dev: net_device, rt: rtable): boolean => {
  if (rt.dev === dev || !IN_DEV_ORCONF(in_dev, IPV4_DEVCONF_PROXY_ARP)) return false
  const imi = IN_DEV_CONF_GET(in_dev, IPV4_DEVCONF_MEDIUM_ID)
  if (imi === 0) return true
  if (imi === -1) return false
  const out_dev = __in_dev_get_rcu(rt.dev as net_device)
  const omi = out_dev === null ? -1 : IN_DEV_CONF_GET(out_dev, IPV4_DEVCONF_MEDIUM_ID)
  return omi !== imi && omi !== -1
})

const arp_fwd_pvlan = kfunc(
  'arp_fwd_pvlan',
  (in_dev: in_device, dev: net_device, rt: rtable, sip: number, tip: number): boolean => {
    return rt.dev === dev && sip !== tip && IN_DEV_ORCONF(in_dev, IPV4_DEVCONF_PROXY_ARP_PVLAN)
  },
)

export const arp_create = kfunc(
  'arp_create',
  (
    type: number,
    ptype: number,
    dest_ip: number,
    dev: net_device,
    src_ip: number,
    dest_hw: Uint8Array | null,
    src_hw: Uint8Array | null,
    target_hw: Uint8Array | null,
  ): sk_buff | null => {
    const hlen = LL_RESERVED_SPACE(dev)
    const skb = alloc_skb(arp_hdr_len(dev) + hlen + dev.needed_tailroom, GFP_ATOMIC)
    if (skb === null) return null
    skb_reserve(skb, hlen)
    skb_reset_network_header(skb)
    skb_put(skb, arp_hdr_len(dev))
    skb.dev = dev
    skb.protocol = ETH_P_ARP
    const source = src_hw ?? dev.dev_addr
    if (dev_hard_header(skb, dev, ptype, dest_hw ?? dev.broadcast, source, skb.len) < 0) {
      kfree_skb(skb)
      return null
    }
    const arp = arp_hdr(skb)
    arp.ar_hrd = dev.type === ARPHRD_FDDI ? ARPHRD_ETHER : dev.type
    arp.ar_pro = ETH_P_IP
    arp.ar_hln = dev.addr_len
    arp.ar_pln = 4
    arp.ar_op = type
    const b = skb.head.bytes
    const { addr_len } = dev
    let o = skb.network_header + SIZEOF_ARPHDR
    b.set(source.subarray(0, addr_len), o)
    o += addr_len
    put_be32(b, o, src_ip)
    o += 4
    if (target_hw !== null) b.set(target_hw.subarray(0, addr_len), o)
    else b.fill(0, o, o + addr_len)
    o += addr_len
    put_be32(b, o, dest_ip)
    return skb
  },
)

const arp_xmit_finish = kfunc('arp_xmit_finish', (_n: net, _sk: sock | null, skb: sk_buff): number => dev_queue_xmit(skb))

export const arp_xmit = kfunc('arp_xmit', (skb: sk_buff): void => {
  const dev = skb.dev as net_device
  rcu_read_lock()
  NF_HOOK(NFPROTO_ARP, NF_ARP_OUT, dev.nd_net, null, skb, null, dev, arp_xmit_finish)
  rcu_read_unlock()
})

const arp_is_garp = kfunc(
  'arp_is_garp',
  (
    n: net,
    dev: net_device,
    addr_type: { v: number },
    ar_op: number,
    sip: number,
    tip: number,
    sha: Uint8Array,
    tha: Uint8Array,
  ): boolean => {
    let is_garp = tip === sip
    if (is_garp && ar_op === ARPOP_REPLY) is_garp = tha.every((x, i) => x === sha[i])
    if (is_garp) {
      addr_type.v = inet_addr_type_dev_table(n, dev, sip)
      if (addr_type.v !== RTN_UNICAST) is_garp = false
    }
    return is_garp
  },
)

const arp_process = kfunc('arp_process', (n: net, _sk: sock | null, skb: sk_buff): number => {
  const dev = skb.dev as net_device
  const in_dev = __in_dev_get_rcu(dev)
  const free_skb = (): number => {
    kfree_skb(skb)
    return NET_RX_DROP
  }
  const reply_dst: dst_entry | null = null
  const out_consume_skb = (): number => {
    consume_skb(skb)
    dst_release(reply_dst)
    return NET_RX_SUCCESS
  }
  if (in_dev === null) return free_skb()
  const arp = arp_hdr(skb)
  const { ar_hrd, ar_op } = arp
  const ethernet = dev.type === ARPHRD_ETHER || dev.type === ARPHRD_FDDI || dev.type === ARPHRD_IEEE802
  if (arp.ar_pro !== ETH_P_IP || (ethernet ? ar_hrd !== ARPHRD_ETHER && ar_hrd !== ARPHRD_IEEE802 : ar_hrd !== dev.type))
    return free_skb()
  if (ar_op !== ARPOP_REPLY && ar_op !== ARPOP_REQUEST) return free_skb()

  const b = skb.head.bytes
  const { addr_len } = dev
  let o = skb.network_header + SIZEOF_ARPHDR
  const sha = b.subarray(o, o + addr_len)
  o += addr_len
  const sip = get_be32(b, o)
  o += 4
  const tha = b.subarray(o, o + addr_len)
  o += addr_len
  const tip = get_be32(b, o)
  if (ipv4_is_multicast(tip) || (!IN_DEV_ORCONF(in_dev, IPV4_DEVCONF_ROUTE_LOCALNET) && ipv4_is_loopback(tip))) return free_skb()
  if (sip === tip && IN_DEV_ORCONF(in_dev, IPV4_DEVCONF_DROP_GRATUITOUS_ARP)) return free_skb()
  const reply = (): void => arp_send_dst(ARPOP_REPLY, ETH_P_ARP, sip, dev, tip, sha, dev.dev_addr, sha, reply_dst)

  // somebody tries whether an address is free (RFC 2131)
  if (sip === 0) {
    if (ar_op === ARPOP_REQUEST && inet_addr_type_dev_table(n, dev, tip) === RTN_LOCAL && !arp_ignore(in_dev, sip, tip)) reply()
    return out_consume_skb()
  }

  if (ar_op === ARPOP_REQUEST && ip_route_input_noref(skb, tip, sip, 0, dev) === 0) {
    const rt = skb_rtable(skb) as rtable
    if (rt.rt_type === RTN_LOCAL) {
      let dont_send = arp_ignore(in_dev, sip, tip)
      if (!dont_send && IN_DEV_ORCONF(in_dev, IPV4_DEVCONF_ARPFILTER)) dont_send = arp_filter(sip, tip, dev)
      if (!dont_send) {
        const neigh = neigh_event_ns(arp_tbl, sha, sip, dev)
        if (neigh !== null) {
          reply()
          neigh_release(neigh)
        }
      }
      return out_consume_skb()
    }
    if (
      IN_DEV_FORWARD(in_dev) &&
      rt.rt_type === RTN_UNICAST &&
      (arp_fwd_proxy(in_dev, dev, rt) ||
        arp_fwd_pvlan(in_dev, dev, rt, sip, tip) ||
        (rt.dev !== dev && pneigh_lookup(arp_tbl, n, tip, dev, 0)))
    ) {
      const neigh = neigh_event_ns(arp_tbl, sha, sip, dev)
      if (neigh !== null) neigh_release(neigh)
      if (skb.pkt_type === PACKET_HOST || NEIGH_VAR(in_dev.arp_parms, NEIGH_VAR_PROXY_DELAY) === 0) reply()
      else {
        pneigh_enqueue(arp_tbl, in_dev.arp_parms, skb)
        dst_release(reply_dst)
        return NET_RX_SUCCESS
      }
      return out_consume_skb()
    }
  }

  let neigh = __neigh_lookup(arp_tbl, sip, dev, 0)
  const addr_type = { v: -1 }
  let is_garp = false
  if (neigh !== null || arp_accept(in_dev, sip)) is_garp = arp_is_garp(n, dev, addr_type, ar_op, sip, tip, sha, tha)
  if (
    arp_accept(in_dev, sip) &&
    neigh === null &&
    (is_garp ||
      (ar_op === ARPOP_REPLY &&
        (addr_type.v === RTN_UNICAST || (addr_type.v < 0 && inet_addr_type_dev_table(n, dev, sip) === RTN_UNICAST))))
  )
    neigh = __neigh_lookup(arp_tbl, sip, dev, 1)
  if (neigh !== null) {
    // of several answers in a row the first is believed
    const override = jiffies() > neigh.updated + NEIGH_VAR(neigh.parms, NEIGH_VAR_LOCKTIME) || is_garp
    const state = ar_op !== ARPOP_REPLY || skb.pkt_type !== PACKET_HOST ? NUD_STALE : NUD_REACHABLE
    neigh_update(neigh, sha, state, override ? NEIGH_UPDATE_F_OVERRIDE : 0, 0)
    neigh_release_inlined(neigh)
  }
  return out_consume_skb()
})

const parp_redo = kfunc('parp_redo', (skb: sk_buff): void => {
  arp_process((skb.dev as net_device).nd_net, null, skb)
})

const arp_is_multicast = kfunc('arp_is_multicast', (pkey: neigh_key): number => (ipv4_is_multicast(pkey as number) ? 1 : 0))

const arp_rcv = kfunc('arp_rcv', (in_skb: sk_buff, dev: net_device, _pt: packet_type, _orig_dev: net_device): number => {
  if (dev.flags & IFF_NOARP || in_skb.pkt_type === PACKET_OTHERHOST || in_skb.pkt_type === PACKET_LOOPBACK) {
    consume_skb(in_skb)
    return NET_RX_SUCCESS
  }
  const skb = skb_share_check(in_skb, GFP_ATOMIC)
  if (skb === null) return NET_RX_DROP
  const arp = pskb_may_pull(skb, arp_hdr_len(dev)) ? arp_hdr(skb) : null
  if (arp === null || arp.ar_hln !== dev.addr_len || arp.ar_pln !== 4) {
    kfree_skb(skb)
    return NET_RX_DROP
  }
  skb.cb = null
  return NF_HOOK(NFPROTO_ARP, NF_ARP_IN, dev.nd_net, null, skb, dev, null, arp_process)
})

/** forgets who has `ip`; -ENXIO when nobody was known */
export const arp_invalidate = kfunc('arp_invalidate', (dev: net_device, ip: number, force: boolean): number => {
  const neigh = neigh_lookup(arp_tbl, ip, dev)
  let err = -ENXIO
  if (neigh) {
    if (neigh.nud_state & NUD_VALID && !force) {
      neigh_release(neigh)
      return 0
    }
    if (neigh.nud_state & ~NUD_NOARP)
      err = neigh_update(neigh, null, NUD_FAILED, NEIGH_UPDATE_F_OVERRIDE | NEIGH_UPDATE_F_ADMIN, 0)
    write_lock_bh(arp_tbl.lock)
    neigh_release(neigh)
    neigh_remove_one(neigh, arp_tbl)
    write_unlock_bh(arp_tbl.lock)
  }
  return err
})

const arp_netdev_event = kfunc('arp_netdev_event', (_nb: notifier_block, event: number, ptr: unknown): number => {
  const dev = netdev_notifier_info_to_dev(ptr)
  if (event === NETDEV_CHANGEADDR) {
    neigh_changeaddr(arp_tbl, dev)
    rt_cache_flush(dev.nd_net)
  } else if (event === NETDEV_CHANGE) {
    if (((ptr as { flags_changed?: number }).flags_changed ?? 0) & IFF_NOARP) neigh_changeaddr(arp_tbl, dev)
    const in_dev = __in_dev_get_rtnl(dev)
    if ((in_dev === null || IN_DEV_ANDCONF(in_dev, IPV4_DEVCONF_ARP_EVICT_NOCARRIER)) && !netif_carrier_ok(dev))
      neigh_carrier_down(arp_tbl, dev)
  }
  return NOTIFY_DONE
})

export const arp_ifdown = kfunc('arp_ifdown', (dev: net_device): void => {
  neigh_ifdown(arp_tbl, dev)
})

export const arp_init = kfunc('arp_init', (): void => {
  arp_generic_ops = {
    family: AF_INET,
    solicit: arp_solicit,
    error_report: arp_error_report,
    output: neigh_resolve_output,
    connected_output: neigh_connected_output,
  }
  arp_hh_ops = {
    family: AF_INET,
    solicit: arp_solicit,
    error_report: arp_error_report,
    output: neigh_resolve_output,
    connected_output: neigh_resolve_output,
  }
  arp_direct_ops = {
    family: AF_INET,
    solicit: null,
    error_report: null,
    output: neigh_direct_output,
    connected_output: neigh_direct_output,
  }
  arp_tbl = {
    ...neigh_table_defaults(),
    family: AF_INET,
    entry_size: 0,
    key_len: 4,
    protocol: ETH_P_IP,
    hash: arp_hash,
    key_eq: arp_key_eq,
    constructor: arp_constructor,
    proxy_redo: parp_redo,
    is_multicast: arp_is_multicast,
    id: 'arp_cache',
    gc_interval: 30 * HZ,
    gc_thresh1: 128,
    gc_thresh2: 512,
    gc_thresh3: 1024,
  }
  const { parms } = arp_tbl
  parms.tbl = arp_tbl
  parms.reachable_time = 30 * HZ
  parms.data[NEIGH_VAR_MCAST_PROBES] = 3
  parms.data[NEIGH_VAR_UCAST_PROBES] = 3
  parms.data[NEIGH_VAR_RETRANS_TIME] = HZ
  parms.data[NEIGH_VAR_BASE_REACHABLE_TIME] = 30 * HZ
  parms.data[NEIGH_VAR_DELAY_PROBE_TIME] = 5 * HZ
  parms.data[NEIGH_VAR_INTERVAL_PROBE_TIME_MS] = 5 * HZ
  parms.data[NEIGH_VAR_GC_STALETIME] = 60 * HZ
  parms.data[NEIGH_VAR_QUEUE_LEN_BYTES] = SK_WMEM_MAX
  parms.data[NEIGH_VAR_PROXY_QLEN] = 64
  parms.data[NEIGH_VAR_ANYCAST_DELAY] = HZ
  parms.data[NEIGH_VAR_PROXY_DELAY] = Math.floor((8 * HZ) / 10)
  parms.data[NEIGH_VAR_LOCKTIME] = HZ
  neigh_table_init(NEIGH_ARP_TABLE, arp_tbl)
  dev_add_pack({ type: ETH_P_ARP, ignore_outgoing: false, dev: null, func: arp_rcv, af_packet_net: null, af_packet_priv: null })
  register_netdevice_notifier({ notifier_call: arp_netdev_event, priority: 0 })
})
