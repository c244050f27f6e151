import { kfunc } from '../../../trace/kfunc.ts'
import {
  ETH_HLEN,
  ETH_MAX_MTU,
  IFF_EBRIDGE,
  IFF_NO_QUEUE,
  IFF_PROMISC,
  NETDEV_TX_OK,
  NETREG_REGISTERED,
} from '../../include/generated/enums.ts'
import { EADDRNOTAVAIL, EBUSY } from '../../include/linux/errno.ts'
import {
  ETH_P_ARP,
  ether_addr_equal,
  is_broadcast_ether_addr,
  is_multicast_ether_addr,
  is_valid_ether_addr,
} from '../../include/linux/if_ether.ts'
import { module_init } from '../../include/linux/init.ts'
import * as F from '../../include/linux/netdev_features.ts'
import {
  NETDEV_PCPU_STAT_TSTATS,
  type net_device,
  type net_device_ops,
  type netdev_features_t,
  netdev_priv,
} from '../../include/linux/netdevice.ts'
import { type sk_buff, skb_reset_mac_header } from '../../include/linux/skbuff.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import {
  dev_sw_netstats_tx_add,
  netdev_update_features,
  netif_start_queue,
  netif_stop_queue,
  passthru_features_check,
} from '../core/dev.ts'
import { kfree_skb, kfree_skb_reason, pskb_may_pull_reason, skb_pull } from '../core/skbuff.ts'
import { eth_hdr, eth_hw_addr_random, ether_setup } from '../ethernet/eth.ts'
import { br_do_proxy_suppress_arp } from './br_arp_nd_proxy.ts'
import { br_fdb_find_rcu, br_fdb_gc } from './br_fdb.ts'
import { br_flood, br_forward } from './br_forward.ts'
import { br_add_if, br_del_if, br_features_recompute, br_manage_promisc } from './br_if.ts'
import {
  br_mdb_entry_skb_get,
  br_multicast_join_snoopers,
  br_multicast_leave_snoopers,
  br_multicast_rcv,
} from './br_multicast.ts'
import {
  BR_INPUT_SKB_CB,
  BR_PKT_BROADCAST,
  BR_PKT_MULTICAST,
  BR_PKT_UNICAST,
  br_input_skb_cb,
  ipv6_mod_enabled,
  net_bridge,
} from './br_private.ts'
import { br_stp_change_bridge_id, br_stp_disable_bridge, br_stp_enable_bridge } from './br_stp.ts'
import { br_allowed_ingress } from './br_vlan.ts'

const ETH_P_RARP = 0x8035
const COMMON_FEATURES = F.NETIF_F_SG | F.NETIF_F_FRAGLIST | F.NETIF_F_HIGHDMA | F.NETIF_F_GSO_MASK | F.NETIF_F_HW_CSUM

/** what the host itself sends by the bridge */
export const br_dev_xmit = kfunc('br_dev_xmit', (skb: sk_buff, dev: net_device): number => {
  const br = netdev_priv<net_bridge>(dev)
  const vid = 0
  const reason = pskb_may_pull_reason(skb, ETH_HLEN)
  if (reason) {
    kfree_skb_reason(skb, reason)
    return NETDEV_TX_OK
  }
  skb.cb = new br_input_skb_cb()
  rcu_read_lock()
  dev_sw_netstats_tx_add(dev, 1, skb.len)
  BR_INPUT_SKB_CB(skb).brdev = dev
  skb_reset_mac_header(skb)
  skb_pull(skb, ETH_HLEN)
  if (br_allowed_ingress(br, null, skb, null, null, null)) {
    const proto = eth_hdr(skb).h_proto
    if ((proto === ETH_P_ARP || proto === ETH_P_RARP) && NEIGH_SUPPRESS) br_do_proxy_suppress_arp(skb, br, vid, null)
    else ipv6_mod_enabled()
    const dest = eth_hdr(skb).h_dest
    if (is_broadcast_ether_addr(dest)) br_flood(br, skb, BR_PKT_BROADCAST, false, true, vid)
    else if (is_multicast_ether_addr(dest)) {
      if (br_multicast_rcv(br, null, null, skb, vid)) kfree_skb(skb)
      else {
        br_mdb_entry_skb_get(br, skb, vid)
        br_flood(br, skb, BR_PKT_MULTICAST, false, true, vid)
      }
    } else {
      const dst = br_fdb_find_rcu(br, dest, vid)
      if (dst !== null) br_forward(dst.dst, skb, false, true)
      else br_flood(br, skb, BR_PKT_UNICAST, false, true, vid)
    }
  }
  rcu_read_unlock()
  return NETDEV_TX_OK
})
/** BROPT_NEIGH_SUPPRESS_ENABLED: no port asks for it */
const NEIGH_SUPPRESS = false

const br_dev_open = kfunc('br_dev_open', (dev: net_device): number => {
  const br = netdev_priv<net_bridge>(dev)
  netdev_update_features(dev)
  netif_start_queue(dev)
  br_stp_enable_bridge(br)
  br_fdb_gc(br, 1)
  if (br.multicast_enabled) br_multicast_join_snoopers(br)
  return 0
})
const br_dev_stop = kfunc('br_dev_stop', (dev: net_device): number => {
  const br = netdev_priv<net_bridge>(dev)
  br_stp_disable_bridge(br)
  if (br.multicast_enabled) br_multicast_leave_snoopers(br)
  netif_stop_queue(dev)
  return 0
})
const br_dev_set_multicast_list = kfunc('br_dev_set_multicast_list', (_dev: net_device): void => {})
const br_dev_change_rx_flags = kfunc('br_dev_change_rx_flags', (dev: net_device, change: number): void => {
  if (change & IFF_PROMISC) br_manage_promisc(netdev_priv<net_bridge>(dev))
})
const br_change_mtu = kfunc('br_change_mtu', (dev: net_device, new_mtu: number): number => {
  dev.mtu = new_mtu
  netdev_priv<net_bridge>(dev).mtu_set_by_user = true
  return 0
})
const br_set_mac_address = kfunc('br_set_mac_address', (dev: net_device, addr: Uint8Array): number => {
  const br = netdev_priv<net_bridge>(dev)
  if (!is_valid_ether_addr(addr)) return -EADDRNOTAVAIL
  if (dev.reg_state !== NETREG_REGISTERED) return -EBUSY
  if (!ether_addr_equal(dev.dev_addr, addr)) br_stp_change_bridge_id(br, addr)
  return 0
})
const br_fix_features = kfunc(
  'br_fix_features',
  (dev: net_device, features: netdev_features_t): netdev_features_t =>
    br_features_recompute(netdev_priv<net_bridge>(dev), features),
)
const br_add_slave = kfunc('br_add_slave', (dev: net_device, slave: net_device, extack: null): number =>
  br_add_if(netdev_priv<net_bridge>(dev), slave, extack),
)
const br_del_slave = kfunc('br_del_slave', (dev: net_device, slave: net_device): number =>
  br_del_if(netdev_priv<net_bridge>(dev), slave),
)

let br_netdev_ops: net_device_ops

export const br_dev_setup = kfunc('br_dev_setup', (dev: net_device): void => {
  const br = new net_bridge()
  dev.priv = br
  eth_hw_addr_random(dev)
  ether_setup(dev)
  dev.netdev_ops = br_netdev_ops
  dev.needs_free_netdev = true
  dev.priv_flags = IFF_EBRIDGE | IFF_NO_QUEUE
  dev.lltx = true
  dev.netns_immutable = true
  dev.features = COMMON_FEATURES | F.NETIF_F_HW_VLAN_CTAG_TX | F.NETIF_F_HW_VLAN_STAG_TX
  dev.hw_features = dev.features
  dev.vlan_features = COMMON_FEATURES
  dev.pcpu_stat_type = NETDEV_PCPU_STAT_TSTATS
  br.dev = dev
  dev.max_mtu = ETH_MAX_MTU
})

module_init(() => {
  br_netdev_ops = {
    ndo_open: br_dev_open,
    ndo_stop: br_dev_stop,
    ndo_start_xmit: br_dev_xmit,
    ndo_set_mac_address: br_set_mac_address,
    ndo_set_rx_mode: br_dev_set_multicast_list,
    ndo_change_rx_flags: br_dev_change_rx_flags,
    ndo_change_mtu: br_change_mtu,
    ndo_add_slave: br_add_slave,
    ndo_del_slave: br_del_slave,
    ndo_fix_features: br_fix_features,
    ndo_features_check: passthru_features_check,
  }
})

export const is_br_dev = (dev: net_device): boolean => dev.netdev_ops.ndo_start_xmit === br_dev_xmit
