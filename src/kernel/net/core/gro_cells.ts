import { kfunc } from '../../../trace/kfunc.ts'
import { IFF_UP, NAPI_STATE_NO_BUSY_POLL, NET_RX_DROP, NET_RX_SUCCESS } from '../../include/generated/enums.ts'
import { NETIF_F_GRO } from '../../include/linux/netdev_features.ts'
import type { napi_struct, net_device } from '../../include/linux/netdevice.ts'
import { __skb_dequeue, __skb_queue_tail, HEADER_UNSET, type sk_buff, skb_queue_len } from '../../include/linux/skbuff.ts'
import { gro_cell, type gro_cells } from '../../include/net/gro_cells.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import {
  __netif_napi_del,
  dev_core_stats_rx_dropped_inc,
  napi_complete_done,
  napi_disable,
  napi_enable,
  napi_schedule,
  netif_napi_add,
  netif_rx,
} from './dev.ts'
import { napi_gro_receive } from './gro.ts'
import { net_hotdata } from './hotdata.ts'
import { __skb_queue_purge, kfree_skb, skb_cloned } from './skbuff.ts'

const netif_elide_gro = (dev: net_device): boolean => !(dev.features & NETIF_F_GRO) || dev.xdp_prog !== null

/** hands a packet that came out of a tunnel to GRO, in a poll of its own. @returns NET_RX_* */
export const gro_cells_receive = kfunc('gro_cells_receive', (gcells: gro_cells, skb: sk_buff): number => {
  const dev = skb.dev as net_device
  let res: number = NET_RX_SUCCESS
  rcu_read_lock()
  const cell = gcells.cells
  const up = (dev.flags & IFF_UP) !== 0
  if (up) skb.transport_header = HEADER_UNSET
  if (up && (cell === null || skb_cloned(skb) || netif_elide_gro(dev))) res = netif_rx(skb)
  else if (!up || cell === null || skb_queue_len(cell.napi_skbs) > net_hotdata.max_backlog) {
    dev_core_stats_rx_dropped_inc(dev)
    kfree_skb(skb)
    res = NET_RX_DROP
  } else {
    __skb_queue_tail(cell.napi_skbs, skb)
    if (skb_queue_len(cell.napi_skbs) === 1) napi_schedule(cell.napi)
  }
  rcu_read_unlock()
  return res
})

/** cells by their napi_struct: container_of() */
const cells = new WeakMap<napi_struct, gro_cell>()

const gro_cell_poll = kfunc('gro_cell_poll', (napi: napi_struct, budget: number): number => {
  const cell = cells.get(napi)
  let work_done = 0
  while (work_done < budget && cell !== undefined) {
    const skb = __skb_dequeue(cell.napi_skbs)
    if (skb === null) break
    napi_gro_receive(napi, skb)
    work_done++
  }
  if (work_done < budget) napi_complete_done(napi, work_done)
  return work_done
})

export const gro_cells_init = kfunc('gro_cells_init', (gcells: gro_cells, dev: net_device): number => {
  const cell = new gro_cell()
  gcells.cells = cell
  cells.set(cell.napi, cell)
  netif_napi_add(dev, cell.napi, gro_cell_poll)
  cell.napi.state |= 1 << NAPI_STATE_NO_BUSY_POLL
  napi_enable(cell.napi)
  return 0
})

export const gro_cells_destroy = kfunc('gro_cells_destroy', (gcells: gro_cells): void => {
  const cell = gcells.cells
  if (cell === null) return
  napi_disable(cell.napi)
  __netif_napi_del(cell.napi)
  __skb_queue_purge(cell.napi_skbs)
  gcells.cells = null
})
