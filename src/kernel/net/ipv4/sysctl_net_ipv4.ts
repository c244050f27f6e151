import { HZ, TCP_FASTOPEN_KEY_BUF_LENGTH } from '../../include/generated/enums.ts'
import { EINVAL } from '../../include/linux/errno.ts'
import type { in_device } from '../../include/linux/inetdevice.ts'
import * as C from '../../include/linux/inetdevice.ts'
import { fs_initcall } from '../../include/linux/init.ts'
import {
  type ctl_dir,
  type ctl_table,
  elements,
  field,
  proc_dointvec,
  proc_dointvec_jiffies,
  proc_dointvec_minmax,
  proc_dointvec_ms_jiffies,
  proc_dostring,
  proc_dou8vec_minmax,
  proc_douintvec,
  proc_doulongvec_minmax,
  register_net_sysctl,
  with_after,
} from '../../include/linux/sysctl.ts'
import type { ref } from '../../include/linux/types.ts'
import type { fqdir } from '../../include/net/inet_frag.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { init_net } from '../core/net_namespace.ts'
import { neigh_dirs } from '../core/sysctl_net_core.ts'
import { arp_tbl } from './arp.ts'
import { rt_cache_flush } from './route.ts'
import { sysctl_tcp_mem } from './tcp.ts'
import {
  tcp_get_allowed_congestion_control,
  tcp_get_available_congestion_control,
  tcp_get_default_congestion_control,
  tcp_set_allowed_congestion_control,
  tcp_set_default_congestion_control,
} from './tcp_cong.ts'
import { tcp_fastopen_get_cipher, tcp_fastopen_reset_cipher } from './tcp_fastopen.ts'
import { sysctl_udp_mem, type udp_table_t } from './udp.ts'

const MAX_TCP_SYNCNT = 127

/** two ports, neither below ip_unprivileged_port_start, the second not below the first */
function ipv4_local_port_range(n: net): ctl_table {
  const range: [number, number] = [0, 0]
  const t = proc_dointvec_minmax('ip_local_port_range', elements(range, 0, 1), 1, 65535)
  const load = (): void => {
    ;[range[0], range[1]] = n.ipv4.ip_local_ports.range
  }
  return {
    ...t,
    read: () => {
      load()
      return t.read()
    },
    write: (text) => {
      load()
      const ret = t.write(text)
      if (ret !== 0) return ret
      if (range[1] < range[0] || range[0] < n.ipv4.sysctl_ip_prot_sock) return -EINVAL
      if (!((range[0] ^ range[1]) & 1)) n.ipv4.ip_local_ports.warned = true
      n.ipv4.ip_local_ports.range = [range[0], range[1]]
      return 0
    },
  }
}

function ipv4_privileged_ports(n: net): ctl_table {
  const pports = { v: 0 }
  const t = proc_dointvec_minmax('ip_unprivileged_port_start', pports, 0, 65535)
  return {
    ...t,
    read: () => String(n.ipv4.sysctl_ip_prot_sock),
    write: (text) => {
      const ret = t.write(text)
      if (ret !== 0) return ret
      if (n.ipv4.ip_local_ports.range[0] < pports.v) return -EINVAL
      n.ipv4.sysctl_ip_prot_sock = pports.v
      return 0
    },
  }
}

/** groups that may open ICMP sockets; the wrong way round means nobody */
function ipv4_ping_group_range(n: net): ctl_table {
  const range: [number, number] = [0, 0]
  const t = proc_doulongvec_minmax('ping_group_range', elements(range, 0, 1), 0, 0x7fffffff)
  return {
    ...t,
    read: () => n.ipv4.ping_group_range.join('\t'),
    write: (text) => {
      ;[range[0], range[1]] = n.ipv4.ping_group_range
      const ret = t.write(text)
      if (ret !== 0) return ret
      n.ipv4.ping_group_range = range[1] < range[0] ? [1, 0] : [range[0], range[1]]
      return 0
    },
  }
}

/** proc_do_large_bitmap(): 1,2,10-20 */
function reserved_ports(n: net): ctl_table {
  const show = (): string => {
    const ports = [...n.ipv4.sysctl_local_reserved_ports].sort((a, b) => a - b)
    const runs: [number, number][] = []
    for (const p of ports) {
      const last = runs.at(-1)
      if (last !== undefined && last[1] === p - 1) last[1] = p
      else runs.push([p, p])
    }
    return runs.map(([a, b]) => (a === b ? String(a) : `${a}-${b}`)).join(',')
  }
  return proc_dostring('ip_local_reserved_ports', show, (text) => {
    const ports = new Set<number>()
    for (const part of text.split(',').filter((p) => p !== '')) {
      const m = /^(\d+)(?:-(\d+))?$/.exec(part)
      const from = Number(m?.[1])
      const to = Number(m?.[2] ?? m?.[1])
      if (m === null || from > to || to > 65535) return -EINVAL
      for (let p = from; p <= to; p++) ports.add(p)
    }
    n.ipv4.sysctl_local_reserved_ports = ports
    return 0
  })
}

/** 16 bytes of a key as four words in hexadecimal, one key or two */
function proc_tcp_fastopen_key(n: net): ctl_table {
  const show = (): string => {
    const key = new BigUint64Array(TCP_FASTOPEN_KEY_BUF_LENGTH / 8)
    const words = new Uint32Array(key.buffer)
    const count = Math.max(1, tcp_fastopen_get_cipher(n, null, key))
    return Array.from({ length: count }, (_, i) =>
      [...words.subarray(4 * i, 4 * i + 4)].map((w) => w.toString(16).padStart(8, '0')).join('-'),
    ).join(',')
  }
  return proc_dostring(
    'tcp_fastopen_key',
    show,
    (text) => {
      const keys = text.split(',').map((k) => {
        const m = /^([0-9a-f]+)-([0-9a-f]+)-([0-9a-f]+)-([0-9a-f]+)$/i.exec(k)
        return m === null ? null : new Uint8Array(Uint32Array.from(m.slice(1), (w) => Number.parseInt(w, 16)).buffer)
      })
      const [primary, backup] = keys
      if (primary === null || primary === undefined || backup === null) return -EINVAL
      return tcp_fastopen_reset_cipher(n, null, primary, backup ?? null)
    },
    0o600,
  )
}

/** the first namespace has what is one for the whole machine */
function ipv4_table(n: net): ctl_table[] {
  if (n !== init_net && n.name !== '') return []
  return [
    proc_doulongvec_minmax('tcp_mem', elements(sysctl_tcp_mem, 0, 1, 2)),
    proc_doulongvec_minmax('udp_mem', elements(sysctl_udp_mem, 0, 1, 2)),
    proc_dointvec('tcp_low_latency', low_latency),
  ]
}
/** obsolete, in Linux too: kept, and read by nobody */
const low_latency: ref<number> = { v: 0 }

function ipv4_net_table(n: net): ctl_table[] {
  const { ipv4 } = n
  const u8 = (name: string, data: ref<number>, min = 0, max = 255): ctl_table => proc_dou8vec_minmax(name, data, min, max)
  const f = <K extends string>(k: K & NumberField): ref<number> => field(ipv4 as Record<NumberField, number>, k as NumberField)
  return [
    proc_dointvec('tcp_max_tw_buckets', field(ipv4.tcp_death_row, 'sysctl_max_tw_buckets')),
    u8('icmp_echo_ignore_all', f('sysctl_icmp_echo_ignore_all'), 0, 1),
    u8('icmp_echo_ignore_broadcasts', f('sysctl_icmp_echo_ignore_broadcasts'), 0, 1),
    u8('icmp_ignore_bogus_error_responses', f('sysctl_icmp_ignore_bogus_error_responses'), 0, 1),
    u8('icmp_errors_use_inbound_ifaddr', f('sysctl_icmp_errors_use_inbound_ifaddr'), 0, 1),
    proc_dointvec_ms_jiffies('icmp_ratelimit', f('sysctl_icmp_ratelimit')),
    proc_dointvec('icmp_ratemask', f('sysctl_icmp_ratemask')),
    proc_dointvec_minmax('icmp_msgs_per_sec', f('sysctl_icmp_msgs_per_sec'), 0),
    proc_dointvec_minmax('icmp_msgs_burst', f('sysctl_icmp_msgs_burst'), 0),
    ipv4_ping_group_range(n),
    u8('raw_l3mdev_accept', f('sysctl_raw_l3mdev_accept'), 0, 1),
    u8('tcp_ecn', f('sysctl_tcp_ecn'), 0, 2),
    u8('tcp_ecn_fallback', f('sysctl_tcp_ecn_fallback'), 0, 1),
    u8('ip_dynaddr', f('sysctl_ip_dynaddr')),
    u8('ip_early_demux', f('sysctl_ip_early_demux')),
    u8('udp_early_demux', f('sysctl_udp_early_demux')),
    u8('tcp_early_demux', f('sysctl_tcp_early_demux')),
    u8('nexthop_compat_mode', f('sysctl_nexthop_compat_mode'), 0, 1),
    u8('ip_default_ttl', f('sysctl_ip_default_ttl'), 1, 255),
    ipv4_local_port_range(n),
    reserved_ports(n),
    u8('ip_no_pmtu_disc', f('sysctl_ip_no_pmtu_disc')),
    u8('ip_forward_use_pmtu', f('sysctl_ip_fwd_use_pmtu')),
    u8('ip_forward_update_priority', f('sysctl_ip_fwd_update_priority'), 0, 1),
    u8('ip_nonlocal_bind', f('sysctl_ip_nonlocal_bind')),
    u8('ip_autobind_reuse', f('sysctl_ip_autobind_reuse'), 0, 1),
    u8('fwmark_reflect', f('sysctl_fwmark_reflect')),
    u8('tcp_fwmark_accept', f('sysctl_tcp_fwmark_accept')),
    u8('tcp_l3mdev_accept', f('sysctl_tcp_l3mdev_accept'), 0, 1),
    u8('tcp_mtu_probing', f('sysctl_tcp_mtu_probing')),
    proc_dointvec('tcp_base_mss', f('sysctl_tcp_base_mss')),
    proc_dointvec_minmax('tcp_min_snd_mss', f('sysctl_tcp_min_snd_mss'), 48, 65535),
    proc_dointvec_minmax('tcp_mtu_probe_floor', f('sysctl_tcp_mtu_probe_floor'), 48, 65535),
    proc_dointvec('tcp_probe_threshold', f('sysctl_tcp_probe_threshold')),
    proc_douintvec('tcp_probe_interval', f('sysctl_tcp_probe_interval'), 0, Math.floor(0xffffffff / HZ)),
    u8('igmp_link_local_mcast_reports', f('sysctl_igmp_llm_reports')),
    proc_dointvec('igmp_max_memberships', f('sysctl_igmp_max_memberships')),
    proc_dointvec('igmp_max_msf', f('sysctl_igmp_max_msf')),
    proc_dointvec_minmax('igmp_qrv', f('sysctl_igmp_qrv'), 1),
    proc_dostring(
      'tcp_congestion_control',
      () => tcp_get_default_congestion_control(n),
      (name) => tcp_set_default_congestion_control(n, name),
    ),
    proc_dostring('tcp_available_congestion_control', tcp_get_available_congestion_control, null),
    proc_dostring('tcp_allowed_congestion_control', tcp_get_allowed_congestion_control, tcp_set_allowed_congestion_control),
    proc_dointvec_jiffies('tcp_keepalive_time', f('sysctl_tcp_keepalive_time')),
    u8('tcp_keepalive_probes', f('sysctl_tcp_keepalive_probes')),
    proc_dointvec_jiffies('tcp_keepalive_intvl', f('sysctl_tcp_keepalive_intvl')),
    u8('tcp_syn_retries', f('sysctl_tcp_syn_retries'), 1, MAX_TCP_SYNCNT),
    u8('tcp_synack_retries', f('sysctl_tcp_synack_retries')),
    u8('tcp_syncookies', f('sysctl_tcp_syncookies')),
    u8('tcp_migrate_req', f('sysctl_tcp_migrate_req'), 0, 1),
    proc_dointvec_minmax('tcp_reordering', f('sysctl_tcp_reordering'), 1, ipv4.sysctl_tcp_max_reordering),
    u8('tcp_retries1', f('sysctl_tcp_retries1')),
    u8('tcp_retries2', f('sysctl_tcp_retries2')),
    u8('tcp_orphan_retries', f('sysctl_tcp_orphan_retries')),
    proc_dointvec_jiffies('tcp_fin_timeout', f('sysctl_tcp_fin_timeout')),
    proc_douintvec('tcp_notsent_lowat', f('sysctl_tcp_notsent_lowat')),
    u8('tcp_tw_reuse', f('sysctl_tcp_tw_reuse'), 0, 2),
    proc_dointvec('tcp_max_syn_backlog', f('sysctl_max_syn_backlog')),
    proc_dointvec('tcp_fastopen', f('sysctl_tcp_fastopen')),
    proc_tcp_fastopen_key(n),
    with_after(proc_dointvec_minmax('tcp_fastopen_blackhole_timeout_sec', f('sysctl_tcp_fastopen_blackhole_timeout'), 0), () => {
      ipv4.tfo_active_disable_times = 0
    }),
    u8('fib_multipath_use_neigh', f('sysctl_fib_multipath_use_neigh'), 0, 1),
    u8('fib_multipath_hash_policy', f('sysctl_fib_multipath_hash_policy'), 0, 1),
    proc_douintvec('fib_multipath_hash_seed', f('sysctl_fib_multipath_hash_seed')),
    ipv4_privileged_ports(n),
    u8('udp_l3mdev_accept', f('sysctl_udp_l3mdev_accept'), 0, 1),
    u8('tcp_sack', f('sysctl_tcp_sack')),
    u8('tcp_window_scaling', f('sysctl_tcp_window_scaling')),
    u8('tcp_timestamps', f('sysctl_tcp_timestamps')),
    u8('tcp_early_retrans', f('sysctl_tcp_early_retrans'), 0, 4),
    u8('tcp_recovery', f('sysctl_tcp_recovery')),
    u8('tcp_thin_linear_timeouts', f('sysctl_tcp_thin_linear_timeouts')),
    u8('tcp_slow_start_after_idle', f('sysctl_tcp_slow_start_after_idle')),
    u8('tcp_retrans_collapse', f('sysctl_tcp_retrans_collapse')),
    u8('tcp_stdurg', f('sysctl_tcp_stdurg')),
    u8('tcp_rfc1337', f('sysctl_tcp_rfc1337')),
    u8('tcp_abort_on_overflow', f('sysctl_tcp_abort_on_overflow')),
    u8('tcp_fack', f('sysctl_tcp_fack')),
    proc_dointvec_minmax('tcp_max_reordering', f('sysctl_tcp_max_reordering'), 1),
    u8('tcp_dsack', f('sysctl_tcp_dsack')),
    u8('tcp_app_win', f('sysctl_tcp_app_win'), 0, 31),
    proc_dointvec_minmax('tcp_adv_win_scale', f('sysctl_tcp_adv_win_scale'), -31, 31),
    u8('tcp_frto', f('sysctl_tcp_frto')),
    u8('tcp_no_metrics_save', f('sysctl_tcp_nometrics_save')),
    u8('tcp_no_ssthresh_metrics_save', f('sysctl_tcp_no_ssthresh_metrics_save'), 0, 1),
    u8('tcp_moderate_rcvbuf', f('sysctl_tcp_moderate_rcvbuf')),
    u8('tcp_tso_win_divisor', f('sysctl_tcp_tso_win_divisor')),
    u8('tcp_workaround_signed_windows', f('sysctl_tcp_workaround_signed_windows')),
    proc_dointvec('tcp_limit_output_bytes', f('sysctl_tcp_limit_output_bytes')),
    proc_dointvec('tcp_challenge_ack_limit', f('sysctl_tcp_challenge_ack_limit')),
    u8('tcp_min_tso_segs', f('sysctl_tcp_min_tso_segs'), 1),
    u8('tcp_tso_rtt_log', f('sysctl_tcp_tso_rtt_log'), 0, 31),
    proc_dointvec_minmax('tcp_min_rtt_wlen', f('sysctl_tcp_min_rtt_wlen'), 0, 86400),
    u8('tcp_autocorking', f('sysctl_tcp_autocorking'), 0, 1),
    proc_dointvec_ms_jiffies('tcp_invalid_ratelimit', f('sysctl_tcp_invalid_ratelimit')),
    proc_dointvec_minmax('tcp_pacing_ss_ratio', f('sysctl_tcp_pacing_ss_ratio'), 0, 1000),
    proc_dointvec_minmax('tcp_pacing_ca_ratio', f('sysctl_tcp_pacing_ca_ratio'), 0, 1000),
    proc_dointvec_minmax('tcp_wmem', elements(ipv4.sysctl_tcp_wmem, 0, 1, 2), 1),
    proc_dointvec_minmax('tcp_rmem', elements(ipv4.sysctl_tcp_rmem, 0, 1, 2), 4096),
    proc_doulongvec_minmax('tcp_comp_sack_delay_ns', f('sysctl_tcp_comp_sack_delay_ns')),
    proc_doulongvec_minmax('tcp_comp_sack_slack_ns', f('sysctl_tcp_comp_sack_slack_ns')),
    u8('tcp_comp_sack_nr', f('sysctl_tcp_comp_sack_nr')),
    u8('tcp_backlog_ack_defer', f('sysctl_tcp_backlog_ack_defer'), 0, 1),
    u8('tcp_reflect_tos', f('sysctl_tcp_reflect_tos'), 0, 1),
    proc_dostring('udp_hash_entries', () => String((n.name === '' ? 1 : -1) * ((ipv4.udp_table as udp_table_t).mask + 1)), null),
    proc_dointvec_minmax('udp_rmem_min', f('sysctl_udp_rmem_min'), 1),
    proc_dointvec_minmax('udp_wmem_min', f('sysctl_udp_wmem_min'), 1),
    u8('fib_notify_on_flag_change', f('sysctl_fib_notify_on_flag_change'), 0, 2),
    u8('tcp_plb_enabled', f('sysctl_tcp_plb_enabled'), 0, 1),
    u8('tcp_plb_idle_rehash_rounds', f('sysctl_tcp_plb_idle_rehash_rounds'), 0, 31),
    u8('tcp_plb_rehash_rounds', f('sysctl_tcp_plb_rehash_rounds'), 0, 31),
    u8('tcp_plb_suspend_rto_sec', f('sysctl_tcp_plb_suspend_rto_sec')),
    proc_dointvec_minmax('tcp_plb_cong_thresh', f('sysctl_tcp_plb_cong_thresh'), 0, 256),
    u8('tcp_syn_linear_timeouts', f('sysctl_tcp_syn_linear_timeouts'), 0, MAX_TCP_SYNCNT),
    u8('tcp_shrink_window', f('sysctl_tcp_shrink_window'), 0, 1),
    u8('tcp_pingpong_thresh', f('sysctl_tcp_pingpong_thresh'), 1),
    proc_dointvec_minmax('tcp_rto_min_us', f('sysctl_tcp_rto_min_us'), 1),
  ]
}
type NumberField = {
  [K in keyof net['ipv4']]: net['ipv4'][K] extends number ? K : never
}[keyof net['ipv4']] &
  string

// ---- net/ipv4/devinet.c

/** switching forwarding for all devices: redirects are no longer believed by a router */
function inet_forward_change(n: net, on: number): void {
  n.ipv4.devconf_all.data[C.IPV4_DEVCONF_ACCEPT_REDIRECTS] = on ? 0 : 1
  n.ipv4.devconf_dflt.data[C.IPV4_DEVCONF_FORWARDING] = on
  for (const dev of n.dev_base_head) {
    const in_dev = C.__in_dev_get_rtnl(dev)
    if (in_dev !== null) C.IN_DEV_CONF_SET(in_dev, C.IPV4_DEVCONF_FORWARDING, on)
  }
}

function devinet_copy_dflt_conf(n: net, i: number): void {
  for (const dev of n.dev_base_head) {
    const in_dev = C.__in_dev_get_rtnl(dev)
    if (in_dev !== null && !in_dev.cnf.state[i]) in_dev.cnf.data[i] = n.ipv4.devconf_dflt.data[i] ?? 0
  }
}

function devinet_sysctl_forward(n: net, cnf: C.ipv4_devconf, procname: string): ctl_table {
  const [data] = elements(cnf.data, C.IPV4_DEVCONF_FORWARDING)
  const t = proc_dointvec(procname, data ?? { v: 0 })
  return {
    ...t,
    write: (text) => {
      const before = cnf.data[C.IPV4_DEVCONF_FORWARDING]
      const ret = t.write(text)
      const now = cnf.data[C.IPV4_DEVCONF_FORWARDING] ?? 0
      if (now === before || cnf === n.ipv4.devconf_dflt) return ret
      if (cnf === n.ipv4.devconf_all) inet_forward_change(n, now)
      rt_cache_flush(n)
      return ret
    },
  }
}

/** name, number, and whether a change makes cached routes void: always, when it is switched off, never */
const devinet_vars: readonly (readonly [string, number, ('always' | 'off' | 'change')?])[] = [
  ['bc_forwarding', C.IPV4_DEVCONF_BC_FORWARDING, 'change'],
  ['accept_redirects', C.IPV4_DEVCONF_ACCEPT_REDIRECTS],
  ['secure_redirects', C.IPV4_DEVCONF_SECURE_REDIRECTS],
  ['shared_media', C.IPV4_DEVCONF_SHARED_MEDIA],
  ['rp_filter', C.IPV4_DEVCONF_RP_FILTER],
  ['send_redirects', C.IPV4_DEVCONF_SEND_REDIRECTS],
  ['accept_source_route', C.IPV4_DEVCONF_ACCEPT_SOURCE_ROUTE],
  ['accept_local', C.IPV4_DEVCONF_ACCEPT_LOCAL, 'off'],
  ['src_valid_mark', C.IPV4_DEVCONF_SRC_VMARK],
  ['proxy_arp', C.IPV4_DEVCONF_PROXY_ARP],
  ['medium_id', C.IPV4_DEVCONF_MEDIUM_ID],
  ['arp_filter', C.IPV4_DEVCONF_ARPFILTER],
  ['arp_announce', C.IPV4_DEVCONF_ARP_ANNOUNCE],
  ['arp_ignore', C.IPV4_DEVCONF_ARP_IGNORE],
  ['arp_accept', C.IPV4_DEVCONF_ARP_ACCEPT],
  ['arp_notify', C.IPV4_DEVCONF_ARP_NOTIFY],
  ['arp_evict_nocarrier', C.IPV4_DEVCONF_ARP_EVICT_NOCARRIER],
  ['proxy_arp_pvlan', C.IPV4_DEVCONF_PROXY_ARP_PVLAN],
  ['igmpv2_unsolicited_report_interval', C.IPV4_DEVCONF_IGMPV2_UNSOLICITED_REPORT_INTERVAL],
  ['igmpv3_unsolicited_report_interval', C.IPV4_DEVCONF_IGMPV3_UNSOLICITED_REPORT_INTERVAL],
  ['ignore_routes_with_linkdown', C.IPV4_DEVCONF_IGNORE_ROUTES_WITH_LINKDOWN],
  ['drop_gratuitous_arp', C.IPV4_DEVCONF_DROP_GRATUITOUS_ARP],
  ['disable_xfrm', C.IPV4_DEVCONF_NOXFRM, 'always'],
  ['disable_policy', C.IPV4_DEVCONF_NOPOLICY, 'always'],
  ['promote_secondaries', C.IPV4_DEVCONF_PROMOTE_SECONDARIES, 'always'],
  ['route_localnet', C.IPV4_DEVCONF_ROUTE_LOCALNET, 'always'],
  ['drop_unicast_in_l2_multicast', C.IPV4_DEVCONF_DROP_UNICAST_IN_L2_MULTICAST, 'always'],
]

function devinet_conf_proc(n: net, cnf: C.ipv4_devconf, [name, i, flush]: (typeof devinet_vars)[number]): ctl_table {
  const t = proc_dointvec(name, elements(cnf.data, i))
  return {
    ...t,
    write: (text) => {
      const before = cnf.data[i]
      const ret = t.write(text)
      const now = cnf.data[i]
      if (flush !== 'always') {
        cnf.state[i] = 1
        if (cnf === n.ipv4.devconf_dflt) devinet_copy_dflt_conf(n, i)
      }
      if (now !== before && flush !== undefined && (flush !== 'off' || now === 0)) rt_cache_flush(n)
      return ret
    },
  }
}

const devinet_dir = (n: net, name: string, cnf: C.ipv4_devconf): ctl_dir => ({
  path: `net/ipv4/conf/${name}`,
  tables: [devinet_sysctl_forward(n, cnf, 'forwarding'), ...devinet_vars.map((v) => devinet_conf_proc(n, cnf, v))],
})

// ---- net/ipv4/route.c, net/ipv4/ip_fragment.c

function ipv4_route_table(n: net): ctl_table[] {
  const { ipv4 } = n
  return [
    proc_dointvec_minmax('min_pmtu', field(ipv4, 'ip_rt_min_pmtu'), 68),
    proc_dointvec_jiffies('mtu_expires', field(ipv4, 'ip_rt_mtu_expires')),
    proc_dointvec('min_adv_mss', field(ipv4, 'ip_rt_min_advmss')),
    {
      procname: 'flush',
      mode: 0o200,
      read: () => '',
      write: () => {
        rt_cache_flush(n)
        n.fnhe_genid++
        return 0
      },
    },
  ]
}

function ip4_frags_table(n: net): ctl_table[] {
  const d = n.ipv4.fqdir as fqdir
  const high: ctl_table = proc_doulongvec_minmax('ipfrag_high_thresh', field(d, 'high_thresh'))
  const low: ctl_table = proc_doulongvec_minmax('ipfrag_low_thresh', field(d, 'low_thresh'))
  return [
    // the one may not cross the other
    { ...high, write: (text) => (Number(text) < d.low_thresh ? -EINVAL : high.write(text)) },
    { ...low, write: (text) => (Number(text) > d.high_thresh ? -EINVAL : low.write(text)) },
    proc_dointvec_jiffies('ipfrag_time', field(d, 'timeout')),
    proc_dointvec_minmax('ipfrag_max_dist', field(d, 'max_dist'), 0),
  ]
}

fs_initcall(() => {
  low_latency.v = 0
  register_net_sysctl((n) => [
    {
      path: 'net/ipv4',
      tables: [
        ...ipv4_table(n),
        ...ipv4_net_table(n),
        ...ip4_frags_table(n),
        devinet_sysctl_forward(n, n.ipv4.devconf_all, 'ip_forward'),
      ],
    },
    { path: 'net/ipv4/route', tables: ipv4_route_table(n) },
    devinet_dir(n, 'all', n.ipv4.devconf_all),
    devinet_dir(n, 'default', n.ipv4.devconf_dflt),
    ...neigh_dirs(n, 'net/ipv4/neigh', arp_tbl, (dev) => C.__in_dev_get_rtnl(dev)?.arp_parms ?? null),
    ...n.dev_base_head.flatMap((dev) => {
      const in_dev: in_device | null = C.__in_dev_get_rtnl(dev)
      return in_dev === null ? [] : [devinet_dir(n, dev.name, in_dev.cnf)]
    }),
  ])
})
