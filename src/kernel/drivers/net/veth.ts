import { kfunc } from '../../../trace/kfunc.ts'
import {
  ETH_HLEN,
  ETH_MAX_MTU,
  ETH_MIN_MTU,
  GSO_MAX_SIZE,
  IFF_DISABLE_NETPOLL,
  IFF_LIVE_ADDR_CHANGE,
  IFF_NO_QUEUE,
  IFF_PHONY_HEADROOM,
  IFF_TX_SKB_SHARING,
  IFF_UP,
  NET_RX_DROP,
  NET_RX_SUCCESS,
  NET_XMIT_DROP,
  NETDEV_TX_BUSY,
} from '../../include/generated/enums.ts'
import { EADDRNOTAVAIL, EINVAL, ENOTCONN } from '../../include/linux/errno.ts'
import { ETH_ALEN, is_valid_ether_addr } from '../../include/linux/if_ether.ts'
import { module_init } from '../../include/linux/init.ts'
import * as F from '../../include/linux/netdev_features.ts'
import {
  NETDEV_PCPU_STAT_TSTATS,
  napi_struct,
  type net_device,
  type net_device_ops,
  type netdev_features_t,
  netdev_get_tx_queue,
  netdev_priv,
  type rtnl_link_stats64,
} from '../../include/linux/netdevice.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { GFP_KERNEL_ACCOUNT } from '../../include/linux/slab.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import { IS_ERR } from '../../include/linux/types.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { rtnl_link_attrs, rtnl_link_ops } from '../../include/net/rtnetlink.ts'
import { spin_lock, spin_unlock } from '../../kernel/locking/spinlock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { kvfree, kvzalloc } from '../../mm/slub.ts'
import {
  __dev_forward_skb,
  __napi_schedule,
  __netif_napi_del,
  __netif_rx,
  dev_kfree_skb_any,
  dev_sw_netstats_tx_add,
  napi_complete_done,
  napi_disable,
  napi_enable,
  napi_schedule_prep,
  netdev_update_features,
  netif_carrier_off,
  netif_carrier_on,
  netif_inherit_tso_max,
  netif_napi_add,
  netif_set_tso_max_size,
  netif_tx_stop_queue,
  netif_tx_wake_queue,
  passthru_features_check,
  register_netdevice,
  unregister_netdevice,
} from '../../net/core/dev.ts'
import { napi_gro_receive } from '../../net/core/gro.ts'
import { rtnl_configure_link, rtnl_create_link, rtnl_link_get_net, rtnl_link_register } from '../../net/core/rtnetlink.ts'
import { __skb_push, kfree_skb, pskb_may_pull, skb_get_queue_mapping } from '../../net/core/skbuff.ts'
import { sock_wfree } from '../../net/core/sock.ts'
import { skb_tx_timestamp } from '../../net/core/timestamping.ts'
import { eth_hw_addr_random, eth_mac_addr, ether_setup } from '../../net/ethernet/eth.ts'

/** frames that wait for the other end's NAPI, at most: a power of two */
const VETH_RING_SIZE = 256

/** struct veth_rq: a receive queue. Frames pass through `xdp_ring` when the end has GRO on, else they go to the backlog. */
class veth_rq {
  readonly xdp_napi: napi_struct = new napi_struct()
  /** `xdp_napi` while it is in use */
  napi: napi_struct | null = null
  readonly dev: net_device
  rx_notify_masked = false
  readonly xdp_ring: sk_buff[] = []
  readonly producer_lock: spinlock_t = new spinlock_t()

  constructor(dev: net_device) {
    this.dev = dev
  }
}

class veth_priv {
  peer: net_device | null = null
  dropped = 0
  rq: veth_rq[] = []
  requested_headroom = 0
}
const priv_of = (dev: net_device): veth_priv => netdev_priv<veth_priv>(dev)
const peer_of = (dev: net_device): net_device | null => priv_of(dev).peer

const __veth_xdp_flush = kfunc('__veth_xdp_flush', (rq: veth_rq): void => {
  if (rq.rx_notify_masked || !napi_schedule_prep(rq.xdp_napi)) return
  rq.rx_notify_masked = true
  __napi_schedule(rq.xdp_napi)
})

const veth_xdp_rx = kfunc('veth_xdp_rx', (rq: veth_rq, skb: sk_buff): number => {
  spin_lock(rq.producer_lock)
  const full = rq.xdp_ring.length >= VETH_RING_SIZE
  if (!full) rq.xdp_ring.push(skb)
  spin_unlock(rq.producer_lock)
  return full ? NETDEV_TX_BUSY : NET_RX_SUCCESS
})

const veth_forward_skb = kfunc('veth_forward_skb', (dev: net_device, skb: sk_buff, rq: veth_rq | null, xdp: boolean): number => {
  const err = __dev_forward_skb(dev, skb)
  if (err) return err
  return xdp && rq !== null ? veth_xdp_rx(rq, skb) : __netif_rx(skb)
})

const veth_skb_is_eligible_for_gro = kfunc(
  'veth_skb_is_eligible_for_gro',
  (dev: net_device, rcv: net_device, skb: sk_buff): boolean =>
    !(dev.features & F.NETIF_F_ALL_TSO) ||
    (skb.destructor === sock_wfree && (rcv.features & (F.NETIF_F_GRO_FRAGLIST | F.NETIF_F_GRO_UDP_FWD)) !== 0n),
)

/** what goes in here comes out of the peer */
export const veth_xmit = kfunc('veth_xmit', (skb: sk_buff, dev: net_device): number => {
  const priv = priv_of(dev)
  const length = skb.len
  let rq: veth_rq | null = null
  let use_napi = false
  rcu_read_lock()
  const drop = (): number => {
    priv.dropped++
    rcu_read_unlock()
    return NET_XMIT_DROP
  }
  const rcv = priv.peer
  if (rcv === null || !pskb_may_pull(skb, ETH_HLEN)) {
    kfree_skb(skb)
    return drop()
  }
  const rxq = skb_get_queue_mapping(skb)
  if (rxq < rcv.real_num_rx_queues) {
    rq = priv_of(rcv).rq[rxq] ?? null
    use_napi = rq !== null && rq.napi !== null && veth_skb_is_eligible_for_gro(dev, rcv, skb)
  }
  skb_tx_timestamp(skb)
  const ret = veth_forward_skb(rcv, skb, rq, use_napi)
  if (ret === NET_RX_DROP) return drop()
  if (ret === NETDEV_TX_BUSY) {
    const txq = netdev_get_tx_queue(dev, rxq)
    if (txq.qdisc === null || txq.qdisc.enqueue === null) {
      dev_kfree_skb_any(skb)
      return drop()
    }
    __skb_push(skb, ETH_HLEN)
    netif_tx_stop_queue(txq)
    if (rq !== null) __veth_xdp_flush(rq)
  } else if (use_napi && rq !== null) __veth_xdp_flush(rq)
  else dev_sw_netstats_tx_add(dev, 1, length)
  rcu_read_unlock()
  return ret
})

const veth_xdp_rcv = kfunc('veth_xdp_rcv', (rq: veth_rq, budget: number): number => {
  let done = 0
  while (done < budget) {
    const skb = rq.xdp_ring.shift()
    if (skb === undefined) break
    rq.dev.stats.rx_packets++
    rq.dev.stats.rx_bytes += skb.len
    napi_gro_receive(rq.xdp_napi, skb)
    done++
  }
  return done
})

const veth_poll = kfunc('veth_poll', (napi: napi_struct, budget: number): number => {
  const rq = priv_of(napi.dev).rq.find((q) => q.xdp_napi === napi) as veth_rq
  const peer = peer_of(rq.dev)
  const peer_txq = peer !== null && peer.real_num_tx_queues > 0 ? netdev_get_tx_queue(peer, 0) : null
  const done = veth_xdp_rcv(rq, budget)
  if (done < budget && napi_complete_done(napi, done)) {
    rq.rx_notify_masked = false
    if (rq.xdp_ring.length > 0 && napi_schedule_prep(rq.xdp_napi)) {
      rq.rx_notify_masked = true
      __napi_schedule(rq.xdp_napi)
    }
  }
  if (peer_txq !== null) netif_tx_wake_queue(peer_txq)
  return done
})

const veth_get_stats64 = kfunc('veth_get_stats64', (dev: net_device, tot: rtnl_link_stats64): void => {
  const priv = priv_of(dev)
  const own = dev.stats
  tot.tx_dropped = priv.dropped
  tot.tx_packets = own.tx_packets
  tot.tx_bytes = own.tx_bytes
  tot.rx_packets = own.rx_packets
  tot.rx_bytes = own.rx_bytes
  rcu_read_lock()
  const { peer } = priv
  if (peer !== null) {
    // what each end receives by its NAPI is counted there, everything else where it was sent
    tot.rx_packets += peer.stats.tx_packets
    tot.rx_bytes += peer.stats.tx_bytes
    tot.tx_packets += peer.stats.rx_packets
    tot.tx_bytes += peer.stats.rx_bytes
  }
  rcu_read_unlock()
})

/** frames of all groups come anyhow */
const veth_set_multicast_list = kfunc('veth_set_multicast_list', (_dev: net_device): void => {})

const veth_gro_requested = kfunc('veth_gro_requested', (dev: net_device): boolean => (dev.wanted_features & F.NETIF_F_GRO) !== 0n)

const veth_napi_enable = kfunc('veth_napi_enable', (dev: net_device): number => {
  for (const rq of priv_of(dev).rq.slice(0, dev.real_num_rx_queues)) {
    netif_napi_add(dev, rq.xdp_napi, veth_poll)
    napi_enable(rq.xdp_napi)
    rq.napi = rq.xdp_napi
  }
  return 0
})
const veth_napi_del = kfunc('veth_napi_del', (dev: net_device): void => {
  for (const rq of priv_of(dev).rq) {
    if (rq.napi === null) continue
    rq.napi = null
    napi_disable(rq.xdp_napi)
    __netif_napi_del(rq.xdp_napi)
    rq.rx_notify_masked = false
    for (const skb of rq.xdp_ring.splice(0)) kfree_skb(skb)
  }
})

const veth_open = kfunc('veth_open', (dev: net_device): number => {
  const peer = peer_of(dev)
  if (peer === null) return -ENOTCONN
  if (veth_gro_requested(dev)) {
    const err = veth_napi_enable(dev)
    if (err) return err
  }
  if (peer.flags & IFF_UP) {
    netif_carrier_on(dev)
    netif_carrier_on(peer)
  }
  return 0
})
const veth_close = kfunc('veth_close', (dev: net_device): number => {
  const peer = peer_of(dev)
  netif_carrier_off(dev)
  if (peer !== null) netif_carrier_off(peer)
  if (veth_gro_requested(dev)) veth_napi_del(dev)
  return 0
})

const is_valid_veth_mtu = (mtu: number): boolean => mtu >= ETH_MIN_MTU && mtu <= ETH_MAX_MTU

const veth_dev_init = kfunc('veth_dev_init', (dev: net_device): number => {
  const priv = priv_of(dev)
  kvzalloc(960 * dev.num_rx_queues, GFP_KERNEL_ACCOUNT)
  for (let i = 0; i < dev.num_rx_queues; i++) priv.rq.push(new veth_rq(dev))
  return 0
})
const veth_dev_free = kfunc('veth_dev_free', (dev: net_device): void => kvfree(priv_of(dev).rq))

const veth_get_iflink = kfunc('veth_get_iflink', (dev: net_device): number => {
  rcu_read_lock()
  const peer = peer_of(dev)
  const iflink = peer === null ? 0 : peer.ifindex
  rcu_read_unlock()
  return iflink
})
/** only programs that take frames apart want other features */
const veth_fix_features = kfunc(
  'veth_fix_features',
  (_dev: net_device, features: netdev_features_t): netdev_features_t => features,
)
const veth_set_features = kfunc('veth_set_features', (dev: net_device, features: netdev_features_t): number => {
  if (!((features ^ dev.features) & F.NETIF_F_GRO) || !(dev.flags & IFF_UP)) return 0
  if (features & F.NETIF_F_GRO) return veth_napi_enable(dev)
  veth_napi_del(dev)
  return 0
})
const veth_set_rx_headroom = kfunc('veth_set_rx_headroom', (dev: net_device, new_hr: number): void => {
  const priv = priv_of(dev)
  rcu_read_lock()
  const { peer } = priv
  if (peer !== null) {
    const peer_priv = priv_of(peer)
    priv.requested_headroom = Math.max(new_hr, 0)
    const hr = Math.max(priv.requested_headroom, peer_priv.requested_headroom)
    dev.needed_headroom = hr
    peer.needed_headroom = hr
  }
  rcu_read_unlock()
})
const veth_peer_dev = kfunc('veth_peer_dev', (dev: net_device): net_device | null => peer_of(dev))

const VETH_FEATURES =
  F.NETIF_F_SG |
  F.NETIF_F_FRAGLIST |
  F.NETIF_F_HW_CSUM |
  F.NETIF_F_RXCSUM |
  F.NETIF_F_SCTP_CRC |
  F.NETIF_F_HIGHDMA |
  F.NETIF_F_GSO_SOFTWARE |
  F.NETIF_F_GSO_ENCAP_ALL |
  F.NETIF_F_HW_VLAN_CTAG_TX |
  F.NETIF_F_HW_VLAN_CTAG_RX |
  F.NETIF_F_HW_VLAN_STAG_TX |
  F.NETIF_F_HW_VLAN_STAG_RX

let veth_netdev_ops: net_device_ops
let veth_link_ops: rtnl_link_ops

const veth_setup = kfunc('veth_setup', (dev: net_device): void => {
  dev.priv = new veth_priv()
  ether_setup(dev)
  dev.priv_flags &= ~IFF_TX_SKB_SHARING
  dev.priv_flags |= IFF_LIVE_ADDR_CHANGE | IFF_NO_QUEUE | IFF_PHONY_HEADROOM | IFF_DISABLE_NETPOLL
  dev.lltx = true
  dev.netdev_ops = veth_netdev_ops
  dev.features |= VETH_FEATURES
  dev.vlan_features =
    dev.features &
    ~(F.NETIF_F_HW_VLAN_CTAG_TX | F.NETIF_F_HW_VLAN_STAG_TX | F.NETIF_F_HW_VLAN_CTAG_RX | F.NETIF_F_HW_VLAN_STAG_RX)
  dev.needs_free_netdev = true
  dev.priv_destructor = veth_dev_free
  dev.pcpu_stat_type = NETDEV_PCPU_STAT_TSTATS
  dev.max_mtu = ETH_MAX_MTU
  dev.hw_features = VETH_FEATURES
  dev.hw_enc_features = VETH_FEATURES
  dev.mpls_features = F.NETIF_F_HW_CSUM | F.NETIF_F_GSO_SOFTWARE
  netif_set_tso_max_size(dev, GSO_MAX_SIZE)
})

const veth_validate = kfunc('veth_validate', (tb: rtnl_link_attrs, _data: unknown, _extack: null): number => {
  if (tb.address !== undefined) {
    if (tb.address.length !== ETH_ALEN) return -EINVAL
    if (!is_valid_ether_addr(tb.address)) return -EADDRNOTAVAIL
  }
  return tb.mtu !== undefined && !is_valid_veth_mtu(tb.mtu) ? -EINVAL : 0
})

const veth_disable_gro = kfunc('veth_disable_gro', (dev: net_device): void => {
  dev.features &= ~F.NETIF_F_GRO
  dev.wanted_features &= ~F.NETIF_F_GRO
  netdev_update_features(dev)
})

/** IFLA_INFO_DATA of a veth: VETH_INFO_PEER */
export interface veth_info {
  peer: rtnl_link_attrs | null
}

/** makes the peer first, then this end, and ties them together */
const veth_newlink = kfunc(
  'veth_newlink',
  (src_net: net, dev: net_device, tb: rtnl_link_attrs, data: unknown, extack: null): number => {
    const ifmp = (data as veth_info | null)?.peer ?? null
    const tbp = ifmp ?? tb
    if (ifmp !== null) {
      const err = veth_validate(ifmp, null, extack)
      if (err < 0) return err
    }
    const n = rtnl_link_get_net(src_net, tbp)
    const peer = rtnl_create_link(n, ifmp?.ifname ?? 'veth%d', veth_link_ops, tbp, extack)
    if (IS_ERR(peer)) return peer
    if (ifmp?.address === undefined) eth_hw_addr_random(peer)
    if (ifmp !== null && dev.ifindex !== 0) peer.ifindex = ifmp.ifi_index ?? 0
    netif_inherit_tso_max(peer, dev)
    let err = register_netdevice(peer)
    if (err < 0) return err
    veth_disable_gro(peer)
    netif_carrier_off(peer)
    err = rtnl_configure_link(peer, ifmp)
    if (err < 0) {
      unregister_netdevice(peer)
      return err
    }
    if (tb.address === undefined) eth_hw_addr_random(dev)
    dev.name = tb.ifname ?? 'veth%d'
    err = register_netdevice(dev)
    if (err < 0) {
      unregister_netdevice(peer)
      return err
    }
    netif_carrier_off(dev)
    priv_of(dev).peer = peer
    priv_of(peer).peer = dev
    veth_disable_gro(dev)
    return 0
  },
)

const veth_dellink = kfunc('veth_dellink', (dev: net_device): void => {
  const peer = peer_of(dev)
  priv_of(dev).peer = null
  unregister_netdevice(dev)
  if (peer === null) return
  priv_of(peer).peer = null
  unregister_netdevice(peer)
})

const veth_get_link_net = kfunc('veth_get_link_net', (dev: net_device): net => (peer_of(dev) ?? dev).nd_net)

module_init(() => {
  veth_netdev_ops = {
    ndo_init: veth_dev_init,
    ndo_open: veth_open,
    ndo_stop: veth_close,
    ndo_start_xmit: veth_xmit,
    ndo_get_stats64: veth_get_stats64,
    ndo_set_rx_mode: veth_set_multicast_list,
    ndo_set_mac_address: eth_mac_addr,
    ndo_get_iflink: veth_get_iflink,
    ndo_fix_features: veth_fix_features,
    ndo_set_features: veth_set_features,
    ndo_features_check: passthru_features_check,
    ndo_set_rx_headroom: veth_set_rx_headroom,
    ndo_get_peer_dev: veth_peer_dev,
  }
  veth_link_ops = {
    kind: 'veth',
    priv_size: 1792,
    setup: veth_setup,
    validate: veth_validate,
    newlink: veth_newlink,
    dellink: veth_dellink,
    get_link_net: veth_get_link_net,
  }
  rtnl_link_register(veth_link_ops)
})
