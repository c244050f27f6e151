import { core_initcall } from '../../include/linux/init.ts'
import type { packet_offload, packet_type } from '../../include/linux/netdevice.ts'

/** include/net/hotdata.h: what every packet reads, with the values of /proc/sys/net/core */
export const net_hotdata = {
  /** taps of all devices */
  ptype_all: [] as packet_type[],
  /** who cuts and joins packets, by priority */
  offload_base: [] as packet_offload[],
  netdev_budget: 300,
  /** microseconds: two ticks */
  netdev_budget_usecs: 8000,
  tstamp_prequeue: 1,
  max_backlog: 1000,
  dev_tx_weight: 64,
  dev_rx_weight: 64,
  gro_normal_batch: 8,
  sysctl_max_skb_frags: 17,
  sysctl_skb_defer_max: 64,
  /** pages that a processor may hold back from memory_allocated: 1 MiB */
  sysctl_mem_pcpu_rsv: 256,
}

core_initcall(() => {
  net_hotdata.ptype_all = []
  net_hotdata.offload_base = []
  net_hotdata.netdev_budget = 300
  net_hotdata.netdev_budget_usecs = 8000
  net_hotdata.max_backlog = 1000
  net_hotdata.dev_rx_weight = 64
  net_hotdata.sysctl_mem_pcpu_rsv = 256
})
