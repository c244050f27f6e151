import * as N from '../../include/generated/enums.ts'
import { ENOENT } from '../../include/linux/errno.ts'
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
  proc_dointvec_userhz_jiffies,
  proc_dostring,
  proc_dou8vec_minmax,
  register_net_sysctl,
} from '../../include/linux/sysctl.ts'
import type { ref } from '../../include/linux/types.ts'
import type { neigh_parms, neigh_table } from '../../include/net/neighbour.ts'
import type { net, netns_unix } from '../../include/net/net_namespace.ts'
import { qdisc_lookup_ops } from '../sched/sch_api.ts'
import { get_default_qdisc_name, qdisc_set_default } from '../sched/sch_generic.ts'
import { net_hotdata } from './hotdata.ts'
import { neigh_rand_reach_time } from './neighbour.ts'
import { SKB_TRUESIZE } from './skbuff.ts'
import * as S from './sock.ts'

const INT_MAX = 0x7fffffff
/** half of what the smallest packet takes, with its sk_buff: include/net/sock.h SOCK_MIN_SNDBUF, SOCK_MIN_RCVBUF */
const min_sndbuf = N.SOCK_MIN_SNDBUF
const min_rcvbuf = N.SOCK_MIN_RCVBUF

/** the budget of one poll: weight times bias */
const weight: { dev_weight: number; rx: number; tx: number } = { dev_weight: 64, rx: 1, tx: 1 }
function proc_do_dev_weight(name: string, k: keyof typeof weight): ctl_table {
  const t = proc_dointvec_minmax(name, field(weight, k), 1)
  return {
    ...t,
    write: (text) => {
      const ret = t.write(text)
      net_hotdata.dev_rx_weight = weight.dev_weight * weight.rx
      net_hotdata.dev_tx_weight = weight.dev_weight * weight.tx
      return ret
    },
  }
}

/** a setting of net/core/sock.ts, which only its own file can write */
const sock_setting = (name: string, get: () => number): ref<number> => ({
  get v() {
    return get()
  },
  set v(x: number) {
    S.sysctl_net_core_set(name, x)
  },
})

const net_core_table = (): ctl_table[] => [
  proc_dointvec_minmax('mem_pcpu_rsv', field(net_hotdata, 'sysctl_mem_pcpu_rsv'), 256),
  proc_do_dev_weight('dev_weight', 'dev_weight'),
  proc_do_dev_weight('dev_weight_rx_bias', 'rx'),
  proc_do_dev_weight('dev_weight_tx_bias', 'tx'),
  proc_dointvec('netdev_max_backlog', field(net_hotdata, 'max_backlog')),
  proc_dostring('default_qdisc', get_default_qdisc_name, (name) => {
    const ops = qdisc_lookup_ops(name)
    if (ops === null) return -ENOENT
    qdisc_set_default(ops)
    return 0
  }),
  proc_dointvec('netdev_budget', field(net_hotdata, 'netdev_budget')),
  proc_dointvec_minmax('netdev_budget_usecs', field(net_hotdata, 'netdev_budget_usecs'), 2000),
  proc_dointvec_minmax('max_skb_frags', field(net_hotdata, 'sysctl_max_skb_frags'), 1, 17),
  proc_dointvec_minmax('gro_normal_batch', field(net_hotdata, 'gro_normal_batch'), 1),
]

function netns_core_table(n: net): ctl_table[] {
  // other namespaces see the machine's buffer sizes and may not change them
  const mode = n.name === '' ? 0o644 : 0o444
  const size = (name: string, get: () => number, min: number): ctl_table =>
    proc_dointvec_minmax(name, sock_setting(name, get), min, INT_MAX, mode)
  return [
    proc_dointvec_minmax('somaxconn', field(n.core, 'sysctl_somaxconn'), 0),
    proc_dointvec_minmax('optmem_max', field(n.core, 'sysctl_optmem_max'), 0),
    proc_dou8vec_minmax('txrehash', field(n.core, 'sysctl_txrehash'), 0, 1),
    proc_dointvec_minmax(
      'tstamp_allow_data',
      sock_setting('tstamp_allow_data', () => S.sysctl_tstamp_allow_data),
      0,
      1,
      mode,
    ),
    size('wmem_max', () => S.sysctl_wmem_max, min_sndbuf),
    size('rmem_max', () => S.sysctl_rmem_max, min_rcvbuf),
    size('wmem_default', () => S.sysctl_wmem_default, min_sndbuf),
    size('rmem_default', () => S.sysctl_rmem_default, min_rcvbuf),
  ]
}

// ---- net/core/neighbour.c

const frame = (): number => SKB_TRUESIZE(N.ETH_FRAME_LEN)

/** packets outside, bytes inside */
function proc_unres_qlen(data: ref<number>): ctl_table {
  const size = { v: 0 }
  const t = proc_dointvec_minmax('unres_qlen', size, 0, Math.floor(INT_MAX / frame()))
  return {
    ...t,
    read: () => String(Math.trunc(data.v / frame())),
    write: (text) => {
      const ret = t.write(text)
      if (ret === 0) data.v = size.v * frame()
      return ret
    },
  }
}

/** `dev` null: what new devices get, and those that nobody has set */
function neigh_vars(
  n: net,
  p: neigh_parms,
  is_default: boolean,
  of: (dev: net['loopback_dev']) => neigh_parms | null,
): ctl_table[] {
  const data = (i: number): ref<number> => elements(p.data, i)[0] ?? { v: 0 }
  const update = (t: ctl_table, i: number): ctl_table => ({
    ...t,
    write: (text) => {
      const ret = t.write(text)
      p.data_state |= 1 << i
      if (i === N.NEIGH_VAR_BASE_REACHABLE_TIME && ret === 0) p.reachable_time = neigh_rand_reach_time(p.data[i] ?? 0)
      if (is_default)
        for (const dev of n.dev_base_head) {
          const q = of(dev)
          if (q !== null && !(q.data_state & (1 << i))) q.data[i] = p.data[i] ?? 0
        }
      return ret
    },
  })
  const ints = (name: string, i: number): ctl_table => update(proc_dointvec_minmax(name, data(i), 0), i)
  const seconds = (name: string, i: number): ctl_table => update(proc_dointvec_jiffies(name, data(i)), i)
  const userhz = (name: string, i: number): ctl_table => update(proc_dointvec_userhz_jiffies(name, data(i)), i)
  const ms = (name: string, i: number, min = 0): ctl_table => update(proc_dointvec_ms_jiffies(name, data(i), min), i)
  return [
    ints('mcast_solicit', N.NEIGH_VAR_MCAST_PROBES),
    ints('ucast_solicit', N.NEIGH_VAR_UCAST_PROBES),
    ints('app_solicit', N.NEIGH_VAR_APP_PROBES),
    ints('mcast_resolicit', N.NEIGH_VAR_MCAST_REPROBES),
    seconds('delay_first_probe_time', N.NEIGH_VAR_DELAY_PROBE_TIME),
    ms('interval_probe_time_ms', N.NEIGH_VAR_INTERVAL_PROBE_TIME_MS, 1),
    seconds('gc_stale_time', N.NEIGH_VAR_GC_STALETIME),
    ints('unres_qlen_bytes', N.NEIGH_VAR_QUEUE_LEN_BYTES),
    ints('proxy_qlen', N.NEIGH_VAR_PROXY_QLEN),
    userhz('anycast_delay', N.NEIGH_VAR_ANYCAST_DELAY),
    userhz('proxy_delay', N.NEIGH_VAR_PROXY_DELAY),
    userhz('locktime', N.NEIGH_VAR_LOCKTIME),
    update(proc_unres_qlen(data(N.NEIGH_VAR_QUEUE_LEN_BYTES)), N.NEIGH_VAR_QUEUE_LEN_BYTES),
    ms('retrans_time_ms', N.NEIGH_VAR_RETRANS_TIME),
    ms('base_reachable_time_ms', N.NEIGH_VAR_BASE_REACHABLE_TIME),
  ]
}

/** neigh_sysctl_register(): net/ipv4/neigh or net/ipv6/neigh. `of`: the parameters that a device has */
export function neigh_dirs(
  n: net,
  base: string,
  tbl: neigh_table,
  of: (dev: net['loopback_dev']) => neigh_parms | null,
): ctl_dir[] {
  const dirs: ctl_dir[] = n.dev_base_head.flatMap((dev) => {
    const p = of(dev)
    return p === null ? [] : [{ path: `${base}/${dev.name}`, tables: neigh_vars(n, p, false, of) }]
  })
  if (n.name === '')
    dirs.push({
      path: `${base}/default`,
      tables: [
        ...neigh_vars(n, tbl.parms, true, of),
        proc_dointvec_minmax('gc_thresh1', field(tbl, 'gc_thresh1'), 0),
        proc_dointvec_minmax('gc_thresh2', field(tbl, 'gc_thresh2'), 0),
        proc_dointvec_minmax('gc_thresh3', field(tbl, 'gc_thresh3'), 0),
      ],
    })
  return dirs
}

/** net/unix/sysctl_net_unix.c */
const unix_table = (u: netns_unix): ctl_table[] => [proc_dointvec('max_dgram_qlen', field(u, 'sysctl_max_dgram_qlen'))]

fs_initcall(() => {
  weight.dev_weight = 64
  weight.rx = 1
  weight.tx = 1
  net_hotdata.dev_tx_weight = 64
  net_hotdata.sysctl_max_skb_frags = 17
  net_hotdata.gro_normal_batch = 8
  register_net_sysctl((n) => [
    { path: 'net/core', tables: n.name === '' ? [...net_core_table(), ...netns_core_table(n)] : netns_core_table(n) },
    { path: 'net/unix', tables: unix_table(n.unx) },
  ])
})
