import type { net_device } from '../../../kernel/include/linux/netdevice.ts'
import { netdev_priv } from '../../../kernel/include/linux/netdevice.ts'
import { br_port_get_rtnl, type net_bridge } from '../../../kernel/net/bridge/br_private.ts'
import { colons } from './context.ts'

/** ticks of the kernel's clock as `ip` prints them: hundredths of a second */
const hundredths = (jiffies: number): number => Math.round((jiffies * 100) / 250)

const PRIORITY = 0x8000
const idOf = (br: net_bridge): string => `${PRIORITY.toString(16)}.${colons(br.bridge_id)}`

/**
 * IFLA_INFO_DATA of a bridge in the order in which `ip -d link` prints it: word, key of -j, value. What a bridge here cannot be told
 * (spanning tree, VLAN filtering, multicast queries) has the value that the kernel gives it.
 */
export function bridgeData(d: net_device): [text: string, key: string, value: string | number][] {
  const br = netdev_priv<net_bridge>(d)
  const same = (name: string, v: string | number): [string, string, string | number] => [name, name, v]
  const timer = (name: string): [string, string, number] => [name, name, 0]
  return [
    same('forward_delay', 1500),
    same('hello_time', 200),
    same('max_age', 2000),
    same('ageing_time', hundredths(br.ageing_time)),
    same('stp_state', 0),
    same('priority', PRIORITY),
    same('vlan_filtering', 0),
    same('bridge_id', idOf(br)),
    ['designated_root', 'root_id', idOf(br)],
    same('root_port', 0),
    same('root_path_cost', 0),
    same('topology_change', 0),
    same('topology_change_detected', 0),
    timer('hello_timer'),
    timer('tcn_timer'),
    timer('topology_change_timer'),
    timer('gc_timer'),
    same('group_fwd_mask', br.group_fwd_mask.toString(16)),
    ['group_address', 'group_addr', '01:80:c2:00:00:00'],
    same('mcast_snooping', br.multicast_enabled ? 1 : 0),
    same('no_linklocal_learn', 0),
    same('mcast_vlan_snooping', 0),
    same('mcast_router', 1),
    same('mcast_query_use_ifaddr', 0),
    same('mcast_querier', 0),
    same('mcast_hash_elasticity', 16),
    same('mcast_hash_max', 4096),
    ['mcast_last_member_count', 'mcast_last_member_cnt', 2],
    ['mcast_startup_query_count', 'mcast_startup_query_cnt', 2],
    ['mcast_last_member_interval', 'mcast_last_member_intvl', 100],
    ['mcast_membership_interval', 'mcast_membership_intvl', 26000],
    ['mcast_querier_interval', 'mcast_querier_intvl', 25500],
    ['mcast_query_interval', 'mcast_query_intvl', 12500],
    ['mcast_query_response_interval', 'mcast_query_response_intvl', 1000],
    ['mcast_startup_query_interval', 'mcast_startup_query_intvl', 3124],
    same('mcast_stats_enabled', 0),
    same('mcast_igmp_version', 2),
    same('mcast_mld_version', 1),
    same('nf_call_iptables', 0),
    same('nf_call_ip6tables', 0),
    same('nf_call_arptables', 0),
  ]
}

const portStates = ['disabled', 'listening', 'learning', 'forwarding', 'blocking']

/** IFLA_INFO_SLAVE_DATA of a bridge's port */
export function bridgeSlave(d: net_device): string {
  const p = br_port_get_rtnl(d)
  if (p === null) return ''
  const id = (p.priority << 8) | p.port_no
  const bridge = idOf(p.br)
  const flag = (bit: number): string => (p.flags & bit ? 'on' : 'off')
  return (
    `\n    bridge_slave state ${portStates[p.state] ?? p.state} priority ${p.priority >> 2} cost ${p.path_cost} hairpin ${flag(1)} guard ${flag(2)} ` +
    `root_block ${flag(4)} fastleave ${flag(8)} learning ${flag(32)} flood ${flag(64)} port_id 0x${id.toString(16)} port_no 0x${p.port_no.toString(16)} ` +
    `designated_port ${id} designated_cost 0 designated_bridge ${bridge} designated_root ${bridge} ` +
    'hold_timer    0.00 message_age_timer    0.00 forward_delay_timer    0.00 topology_change_ack 0 config_pending 0 ' +
    `proxy_arp ${flag(256)} proxy_arp_wifi ${flag(1024)} mcast_router 1 mcast_fast_leave off mcast_flood ${flag(2048)} bcast_flood ${flag(16384)} ` +
    `mcast_to_unicast ${flag(4096)} neigh_suppress ${flag(32768)} group_fwd_mask 0 group_fwd_mask_str 0x0 vlan_tunnel off ` +
    `isolated ${flag(65536)} locked off `
  )
}
