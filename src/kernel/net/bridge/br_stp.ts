import { kfunc } from '../../../trace/kfunc.ts'
import { ether_addr_equal } from '../../include/linux/if_ether.ts'
import { NET_ADDR_SET, netif_running } from '../../include/linux/netdevice.ts'
import { netif_carrier_off, netif_carrier_on, netif_oper_up } from '../core/dev.ts'
import { eth_hw_addr_set } from '../ethernet/eth.ts'
import { br_fdb_change_mac_address, br_fdb_delete_by_port } from './br_fdb.ts'
import { BR_STATE_DISABLED, BR_STATE_FORWARDING, type net_bridge, type net_bridge_port } from './br_private.ts'

// The states of ports without the spanning tree protocol (stp_state 0, as a bridge is made): every port that has a link forwards.

export const br_set_state = kfunc('br_set_state', (p: net_bridge_port, state: number): void => {
  p.state = state
})

const br_make_forwarding = kfunc('br_make_forwarding', (p: net_bridge_port): void => {
  if (p.state === BR_STATE_DISABLED || p.state === BR_STATE_FORWARDING) {
    if (p.state === BR_STATE_FORWARDING) return
  }
  br_set_state(p, BR_STATE_FORWARDING)
})

/** a bridge has a link as long as a port of it forwards */
export const br_port_state_selection = kfunc('br_port_state_selection', (br: net_bridge): void => {
  let liveports = 0
  for (const p of br.port_list) {
    if (p.state === BR_STATE_DISABLED) continue
    br_make_forwarding(p)
    if (p.state === BR_STATE_FORWARDING) liveports++
  }
  if (liveports === 0) netif_carrier_off(br.dev)
  else netif_carrier_on(br.dev)
})

export const br_init_port = kfunc('br_init_port', (p: net_bridge_port): void => {
  p.state = 4
})
export const br_stp_enable_port = kfunc('br_stp_enable_port', (p: net_bridge_port): void => {
  br_init_port(p)
  br_port_state_selection(p.br)
})
export const br_stp_disable_port = kfunc('br_stp_disable_port', (p: net_bridge_port): void => {
  br_set_state(p, BR_STATE_DISABLED)
  br_fdb_delete_by_port(p.br, p, false)
  br_port_state_selection(p.br)
})

export const br_stp_enable_bridge = kfunc('br_stp_enable_bridge', (br: net_bridge): void => {
  for (const p of br.port_list) if (netif_running(p.dev) && netif_oper_up(p.dev)) br_stp_enable_port(p)
})
export const br_stp_disable_bridge = kfunc('br_stp_disable_bridge', (br: net_bridge): void => {
  for (const p of br.port_list) if (p.state !== BR_STATE_DISABLED) br_stp_disable_port(p)
})

/** the bridge's address is part of its identity */
export const br_stp_change_bridge_id = kfunc('br_stp_change_bridge_id', (br: net_bridge, addr: Uint8Array): void => {
  br_fdb_change_mac_address(br, addr)
  br.bridge_id = addr.slice(0, 6)
  eth_hw_addr_set(br.dev, addr)
  br_port_state_selection(br)
})

const lower = (a: Uint8Array, b: Uint8Array): boolean => {
  for (let i = 0; i < 6; i++) if (a[i] !== b[i]) return (a[i] ?? 0) < (b[i] ?? 0)
  return false
}
/** the lowest address of its ports, unless somebody gave it one. True when that changed it. */
export const br_stp_recalculate_bridge_id = kfunc('br_stp_recalculate_bridge_id', (br: net_bridge): boolean => {
  if (br.dev.addr_assign_type === NET_ADDR_SET) return false
  let addr: Uint8Array | null = null
  for (const p of br.port_list) if (addr === null || lower(p.dev.dev_addr, addr)) addr = p.dev.dev_addr
  const id = addr ?? new Uint8Array(6)
  if (ether_addr_equal(br.bridge_id, id)) return false
  br_stp_change_bridge_id(br, id)
  return true
})
