import { kfunc } from '../../../trace/kfunc.ts'
import { IFF_L3MDEV_SLAVE } from '../../include/generated/enums.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { flowi4, type flowi6 } from '../../include/net/flow.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { sock } from '../../include/net/sock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { dev_get_by_index_rcu, netif_is_l3_master } from '../core/dev.ts'

/** what a VRF device does with packets of its members */
export interface l3mdev_ops {
  l3mdev_fib_table?: (dev: net_device) => number
  l3mdev_l3_rcv?: (dev: net_device, skb: sk_buff, proto: number) => sk_buff | null
  l3mdev_l3_out?: (dev: net_device, sk: sock | null, skb: sk_buff, proto: number) => sk_buff | null
}
const ops = (dev: net_device): l3mdev_ops => (dev.l3mdev_ops ?? {}) as l3mdev_ops

export const netif_is_l3_slave = (dev: net_device): boolean => (dev.priv_flags & IFF_L3MDEV_SLAVE) !== 0

export const l3mdev_master_dev_rcu = kfunc('l3mdev_master_dev_rcu', (dev: net_device | null): net_device | null => {
  if (dev === null) return null
  if (netif_is_l3_slave(dev)) return dev.master
  return netif_is_l3_master(dev) ? dev : null
})

/** l3mdev_master_ifindex_rcu() where this file itself asks: inlined there */
function master_ifindex(dev: net_device | null): number {
  if (dev === null) return 0
  if (netif_is_l3_master(dev)) return dev.ifindex
  return netif_is_l3_slave(dev) ? (dev.master?.ifindex ?? 0) : 0
}
export const l3mdev_master_ifindex_rcu = kfunc('l3mdev_master_ifindex_rcu', master_ifindex)

export const l3mdev_master_ifindex = kfunc('l3mdev_master_ifindex', (dev: net_device | null): number => {
  rcu_read_lock()
  const ifindex = l3mdev_master_ifindex_rcu(dev)
  rcu_read_unlock()
  return ifindex
})

export const l3mdev_master_ifindex_by_index = kfunc('l3mdev_master_ifindex_by_index', (n: net, ifindex: number): number => {
  if (!ifindex) return 0
  rcu_read_lock()
  const dev = dev_get_by_index_rcu(n, ifindex)
  const rc = dev === null ? 0 : l3mdev_master_ifindex_rcu(dev)
  rcu_read_unlock()
  return rc
})

export const l3mdev_master_upper_ifindex_by_index_rcu = kfunc(
  'l3mdev_master_upper_ifindex_by_index_rcu',
  (n: net, ifindex: number): number => {
    let dev = dev_get_by_index_rcu(n, ifindex)
    while (dev !== null && !netif_is_l3_master(dev)) dev = dev.master
    return dev === null ? 0 : dev.ifindex
  },
)

export const l3mdev_fib_table_rcu = kfunc('l3mdev_fib_table_rcu', (dev: net_device | null): number => {
  if (dev === null) return 0
  if (netif_is_l3_master(dev)) return ops(dev).l3mdev_fib_table?.(dev) ?? 0
  if (netif_is_l3_slave(dev) && dev.master !== null) return ops(dev.master).l3mdev_fib_table?.(dev.master) ?? 0
  return 0
})

export const l3mdev_fib_table = kfunc('l3mdev_fib_table', (dev: net_device): number => {
  rcu_read_lock()
  const tb_id = l3mdev_fib_table_rcu(dev)
  rcu_read_unlock()
  return tb_id
})

export const l3mdev_fib_table_by_index = kfunc('l3mdev_fib_table_by_index', (n: net, ifindex: number): number => {
  if (!ifindex) return 0
  rcu_read_lock()
  const dev = dev_get_by_index_rcu(n, ifindex)
  const tb_id = dev === null ? 0 : l3mdev_fib_table_rcu(dev)
  rcu_read_unlock()
  return tb_id
})

/** routing by VRF: the flow's devices give the table. No VRF rule exists until somebody makes a VRF device. */
export const l3mdev_update_flow = kfunc('l3mdev_update_flow', (n: net, fl: flowi4 | flowi6): void => {
  // the fields that all flows have in common
  const four = fl instanceof flowi4
  const oif = four ? fl.flowi4_oif : fl.flowi6_oif
  const iif = four ? fl.flowi4_iif : fl.flowi6_iif
  let l3mdev = four ? fl.flowi4_l3mdev : fl.flowi6_l3mdev
  rcu_read_lock()
  const out = oif ? dev_get_by_index_rcu(n, oif) : null
  if (out !== null) {
    if (!l3mdev) l3mdev = master_ifindex(out)
    if (netif_is_l3_master(out)) {
      if (four) fl.flowi4_oif = 0
      else fl.flowi6_oif = 0
    }
  } else if (iif > 1 && !l3mdev) {
    const dev = dev_get_by_index_rcu(n, iif)
    if (dev !== null) l3mdev = master_ifindex(dev)
  }
  if (four) fl.flowi4_l3mdev = l3mdev
  else fl.flowi6_l3mdev = l3mdev
  rcu_read_unlock()
})

const l3mdev_l3_rcv = kfunc('l3mdev_l3_rcv', (skb: sk_buff, proto: number): sk_buff | null => {
  const { dev } = skb
  if (dev === null) return skb
  let master: net_device | null = null
  if (netif_is_l3_slave(dev)) master = dev.master
  else if (netif_is_l3_master(dev)) master = dev
  const rcv = master === null ? undefined : ops(master).l3mdev_l3_rcv
  return master !== null && rcv ? rcv(master, skb, proto) : skb
})
export const l3mdev_ip_rcv = kfunc('l3mdev_ip_rcv', (skb: sk_buff): sk_buff | null => l3mdev_l3_rcv(skb, 2))

const l3mdev_l3_out = kfunc('l3mdev_l3_out', (sk: sock | null, skb: sk_buff, proto: number): sk_buff | null => {
  const dev = skb._skb_refdst?.dev ?? null
  if (dev === null || !netif_is_l3_slave(dev)) return skb
  const out = dev.master === null ? undefined : ops(dev.master).l3mdev_l3_out
  return dev.master !== null && out ? out(dev.master, sk, skb, proto) : skb
})
export const l3mdev_ip_out = kfunc('l3mdev_ip_out', (sk: sock | null, skb: sk_buff): sk_buff | null => l3mdev_l3_out(sk, skb, 2))
export const l3mdev_ip6_rcv = kfunc('l3mdev_ip6_rcv', (skb: sk_buff): sk_buff | null => l3mdev_l3_rcv(skb, 10))
export const l3mdev_ip6_out = kfunc('l3mdev_ip6_out', (sk: sock | null, skb: sk_buff): sk_buff | null =>
  l3mdev_l3_out(sk, skb, 10),
)
