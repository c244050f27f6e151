import { random } from '../../../sim/random.ts'
import { kfunc } from '../../../trace/kfunc.ts'
import { decide, tracer } from '../../../trace/tracer.ts'
import {
  IFF_LOWER_UP,
  IFF_RUNNING,
  IFF_UP,
  NETDEV_CHANGE,
  NETDEV_DOWN,
  NETDEV_UNREGISTER,
  NUD_REACHABLE,
  NUD_VALID,
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_NOWHERE,
  RT_SCOPE_UNIVERSE,
  RTN_LOCAL,
  RTN_MULTICAST,
  RTN_UNICAST,
  RTNH_F_DEAD,
  RTNH_F_LINKDOWN,
  RTNH_F_OFFLOAD,
  RTNH_F_ONLINK,
  RTNH_F_PERVASIVE,
  RTNH_F_TRAP,
} from '../../include/generated/enums.ts'
import { EACCES, EAGAIN, EHOSTUNREACH, EINVAL, ENETDOWN, ENODEV } from '../../include/linux/errno.ts'
import { __in_dev_get_rtnl } from '../../include/linux/inetdevice.ts'
import { IPTOS_RT_MASK } from '../../include/linux/ip.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import { NL_SET_ERR_MSG } from '../../include/linux/netlink.ts'
import {
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
  RTAX_ADVMSS,
  RTAX_FEATURES,
  RTAX_MAX,
  RTAX_MTU,
  RTN_MAX,
} from '../../include/linux/rtnetlink.ts'
import { siphash_key_t } from '../../include/linux/siphash.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { GFP_KERNEL } from '../../include/linux/slab.ts'
import { AF_INET } from '../../include/linux/socket.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import { dst_metrics } from '../../include/net/dst.ts'
import { flowi4, LOOPBACK_IFINDEX } from '../../include/net/flow.ts'
import {
  FIB_LOOKUP_IGNORE_LINKSTATE,
  FIB_LOOKUP_NOREF,
  FIB_RES_DEV,
  FIB_RES_OIF,
  type fib_alias,
  type fib_config,
  fib_info,
  fib_nh_common,
  fib_result,
} from '../../include/net/ip_fib.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { rtable } from '../../include/net/route.ts'
import { spin_lock_bh, spin_unlock_bh } from '../../kernel/locking/spinlock.ts'
import { call_rcu, rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { kfree, kzalloc } from '../../mm/slub.ts'
import { __dev_get_by_index, dev_get_by_index_rcu, dev_get_flags, dev_hold, dev_put, netif_carrier_ok } from '../core/dev.ts'
import { dst_default_metrics, dst_dev_put, dst_release_immediate } from '../core/dst.ts'
import { flow_hash_from_keys_seed, type flow_keys } from '../core/flow_dissector.ts'
import { neigh_lookup, neigh_release } from '../core/neighbour.ts'
import { l3mdev_fib_table, l3mdev_master_dev_rcu } from '../l3mdev/l3mdev.ts'
import { __ipv4_neigh_lookup_noref, arp_tbl } from './arp.ts'
import { inet_select_addr, inetdev_by_index } from './devinet.ts'
import { fib_get_table, fib_lookup, inet_addr_type_dev_table, inet_addr_type_table } from './fib_frontend.ts'
import { fib_table_lookup } from './fib_trie.ts'
import { ip_fib_metrics_put } from './ip_output.ts'
import { fib_multipath_hash, fnhe_update_pmtu } from './route.ts'

const RTNH_COMPARE_MASK = RTNH_F_DEAD | RTNH_F_LINKDOWN | RTNH_F_OFFLOAD | RTNH_F_TRAP

/** by RTN_*: what a look-up returns for such a route, and the widest scope that it can have */
export const fib_props: readonly { error: number; scope: number }[] = [
  { error: 0, scope: RT_SCOPE_NOWHERE },
  { error: 0, scope: RT_SCOPE_UNIVERSE },
  { error: 0, scope: RT_SCOPE_HOST },
  { error: 0, scope: RT_SCOPE_LINK },
  { error: 0, scope: RT_SCOPE_LINK },
  { error: 0, scope: RT_SCOPE_UNIVERSE },
  { error: -EINVAL, scope: RT_SCOPE_UNIVERSE },
  { error: -EHOSTUNREACH, scope: RT_SCOPE_UNIVERSE },
  { error: -EACCES, scope: RT_SCOPE_UNIVERSE },
  { error: -EAGAIN, scope: RT_SCOPE_UNIVERSE },
  { error: -EINVAL, scope: RT_SCOPE_NOWHERE },
  { error: -EINVAL, scope: RT_SCOPE_NOWHERE },
]

let fib_info_lock: spinlock_t
let proc_fib_multipath_hash_rand_seed: number
/** every fib_info: Linux hashes them by protocol, scope, source and next hops */
let fib_infos: Set<fib_info>
/** next hops by device, newest first in each */
let fib_info_devhash: Map<net_device, fib_nh_common[]>

export function fib_semantics_init(): void {
  fib_info_lock = new spinlock_t()
  proc_fib_multipath_hash_rand_seed = 0
  fib_infos = new Set()
  fib_info_devhash = new Map()
}

export const fib_info_num_path = (fi: fib_info): number => fi.fib_nhs
export const fib_info_nhc = (fi: fib_info, nhsel: number): fib_nh_common => fi.fib_nh[nhsel] as fib_nh_common
const fib_dscp_masked_match = (dscp: number, fl4: flowi4): boolean => dscp === (fl4.flowi4_tos & IPTOS_RT_MASK)

const rt_fibinfo_free = kfunc('rt_fibinfo_free', (rt: rtable | null): void => {
  if (rt === null) return
  dst_dev_put(rt)
  dst_release_immediate(rt)
})

const free_nh_exceptions = kfunc('free_nh_exceptions', (nhc: fib_nh_common): void => {
  for (const chain of nhc.nhc_exceptions ?? [])
    for (let fnhe = chain; fnhe !== null; fnhe = fnhe.fnhe_next) {
      rt_fibinfo_free(fnhe.fnhe_rth_input)
      rt_fibinfo_free(fnhe.fnhe_rth_output)
    }
  nhc.nhc_exceptions = null
})

export const fib_nh_common_release = kfunc('fib_nh_common_release', (nhc: fib_nh_common): void => {
  if (nhc.nhc_dev !== null) dev_put(nhc.nhc_dev)
  const out = nhc.nhc_pcpu_rth_output
  const input = nhc.nhc_rth_input
  nhc.nhc_pcpu_rth_output = null
  nhc.nhc_rth_input = null
  if (out !== null) {
    dst_dev_put(out)
    dst_release_immediate(out)
  }
  rt_fibinfo_free(input)
  free_nh_exceptions(nhc)
})

export const fib_nh_release = kfunc('fib_nh_release', (n: net, nh: fib_nh_common): void => {
  if (nh.nh_tclassid) n.ipv4.fib_num_tclassid_users--
  fib_nh_common_release(nh)
})

const free_fib_info_rcu = kfunc('free_fib_info_rcu', (fi: fib_info): void => {
  for (const nh of fi.fib_nh) fib_nh_release(fi.fib_net, nh)
  ip_fib_metrics_put(fi.fib_metrics)
  kfree(fi)
})

export const free_fib_info = kfunc('free_fib_info', (fi: fib_info): void => {
  if (fi.fib_dead === 0) return
  call_rcu(fi, free_fib_info_rcu)
})

const fib_info_put = (fi: fib_info): void => {
  if (--fi.fib_clntref === 0) free_fib_info(fi)
}

export const fib_release_info = kfunc('fib_release_info', (fi: fib_info): void => {
  spin_lock_bh(fib_info_lock)
  if (--fi.fib_treeref === 0) {
    fib_infos.delete(fi)
    for (const nh of fi.fib_nh) {
      const list = nh.nhc_dev === null ? undefined : fib_info_devhash.get(nh.nhc_dev)
      const i = list?.indexOf(nh) ?? -1
      if (i >= 0) list?.splice(i, 1)
    }
    fi.fib_dead = 1
    fib_info_put(fi)
  }
  spin_unlock_bh(fib_info_lock)
})

const nh_comp = kfunc('nh_comp', (fi: fib_info, ofi: fib_info): number => {
  for (let i = 0; i < fi.fib_nhs; i++) {
    const nh = fib_info_nhc(fi, i)
    const onh = fib_info_nhc(ofi, i)
    if (
      nh.nhc_oif !== onh.nhc_oif ||
      nh.nhc_gw_family !== onh.nhc_gw_family ||
      nh.nhc_scope !== onh.nhc_scope ||
      nh.nhc_weight !== onh.nhc_weight ||
      nh.nh_tclassid !== onh.nh_tclassid ||
      (nh.nhc_flags ^ onh.nhc_flags) & ~RTNH_COMPARE_MASK ||
      nh.nhc_gw4 !== onh.nhc_gw4
    )
      return -1
  }
  return 0
})

const fib_find_info = kfunc('fib_find_info', (nfi: fib_info): fib_info | null => {
  for (const fi of fib_infos)
    if (
      fi.fib_net === nfi.fib_net &&
      fi.fib_nhs === nfi.fib_nhs &&
      fi.fib_protocol === nfi.fib_protocol &&
      fi.fib_scope === nfi.fib_scope &&
      fi.fib_prefsrc === nfi.fib_prefsrc &&
      fi.fib_priority === nfi.fib_priority &&
      fi.fib_type === nfi.fib_type &&
      fi.fib_tb_id === nfi.fib_tb_id &&
      fi.fib_metrics.metrics.every((v, i) => v === nfi.fib_metrics.metrics[i]) &&
      !((nfi.fib_flags ^ fi.fib_flags) & ~RTNH_COMPARE_MASK) &&
      nh_comp(fi, nfi) === 0
    )
      return fi
  return null
})

/** whether gateway `gw` is one of a default route by `dev`: only those may be named by a redirect */
export const ip_fib_check_default = kfunc('ip_fib_check_default', (gw: number, dev: net_device): number => {
  for (const nh of fib_info_devhash.get(dev) ?? [])
    if (nh.nhc_dev === dev && nh.nhc_gw4 === gw && nh.nhc_gw_family === AF_INET && !(nh.nhc_flags & RTNH_F_DEAD)) return 0
  return -1
})

const fib_detect_death = kfunc(
  'fib_detect_death',
  (fi: fib_info, order: number, last_resort: { fi: fib_info | null; idx: number }, dflt: number): number => {
    const nhc = fib_info_nhc(fi, 0)
    const n = neigh_lookup(arp_tbl, nhc.nhc_gw4, nhc.nhc_dev as net_device)
    let state = 0
    if (n) {
      state = n.nud_state
      neigh_release(n)
    } else return 0
    if (state === NUD_REACHABLE) return 0
    if (state & NUD_VALID && order !== dflt) return 0
    if (state & NUD_VALID || (last_resort.idx < 0 && order > dflt && state !== 1)) {
      last_resort.fi = fi
      last_resort.idx = order
    }
    return 1
  },
)

export const fib_nh_common_init = kfunc(
  'fib_nh_common_init',
  (_n: net, nhc: fib_nh_common, _encap: null, _encap_type: number, _cfg: fib_config, _gfp: number, _extack: null): number => {
    nhc.nhc_pcpu_rth_output = null
    return 0
  },
)

export const fib_nh_init = kfunc(
  'fib_nh_init',
  (n: net, nh: fib_nh_common, cfg: fib_config, nh_weight: number, _extack: null): number => {
    nh.nhc_family = AF_INET
    const err = fib_nh_common_init(n, nh, null, cfg.fc_encap_type, cfg, GFP_KERNEL, null)
    if (err) return err
    nh.nhc_oif = cfg.fc_oif
    nh.nhc_gw_family = cfg.fc_gw_family
    if (cfg.fc_gw_family === AF_INET) nh.nhc_gw4 = cfg.fc_gw4
    nh.nhc_flags = cfg.fc_flags
    nh.nh_tclassid = cfg.fc_flow
    if (nh.nh_tclassid) n.ipv4.fib_num_tclassid_users++
    nh.nhc_weight = nh_weight
    return 0
  },
)

/** each next hop gets its share of the hash space by weight; those that are down get none */
const fib_rebalance = kfunc('fib_rebalance', (fi: fib_info): void => {
  if (fib_info_num_path(fi) < 2) return
  const usable = (nh: fib_nh_common): boolean =>
    !(nh.nhc_flags & RTNH_F_DEAD) && !(nh.nhc_flags & RTNH_F_LINKDOWN && nh.nhc_dev === null)
  let total = 0
  for (const nh of fi.fib_nh) if (usable(nh)) total += nh.nhc_weight
  let w = 0
  for (const nh of fi.fib_nh) {
    if (!usable(nh)) nh.nhc_upper_bound = -1
    else {
      w += nh.nhc_weight
      nh.nhc_upper_bound = Math.round((w * 2 ** 31) / total) - 1
    }
  }
})

const fib_get_nhs = kfunc('fib_get_nhs', (fi: fib_info, cfg: fib_config): number => {
  const hops = cfg.fc_mp ?? []
  for (let i = 0; i < hops.length; i++) {
    const h = hops[i]
    if (h === undefined || h.rtnh_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) return -EINVAL
    const c = Object.assign(Object.create(cfg) as fib_config, {
      fc_oif: h.rtnh_ifindex,
      fc_gw_family: h.gw4 ? AF_INET : 0,
      fc_gw4: h.gw4,
      fc_flow: h.flow,
      fc_flags: (cfg.fc_flags & ~0xff) | h.rtnh_flags,
    })
    const err = fib_nh_init(fi.fib_net, fib_info_nhc(fi, i), c, h.rtnh_hops + 1, null)
    if (err) return err
  }
  return 0
})

/** 0 when the route's next hops are those that `cfg` names, as far as it names any */
export const fib_nh_match = kfunc('fib_nh_match', (_n: net, cfg: fib_config, fi: fib_info, _extack: null): number => {
  if (cfg.fc_priority && cfg.fc_priority !== fi.fib_priority) return 1
  if (cfg.fc_oif || cfg.fc_gw_family) {
    const nh = fib_info_nhc(fi, 0)
    if (cfg.fc_oif && cfg.fc_oif !== nh.nhc_oif) return 1
    if (cfg.fc_gw_family && cfg.fc_gw_family !== nh.nhc_gw_family) return 1
    if (cfg.fc_gw_family === AF_INET && cfg.fc_gw4 !== nh.nhc_gw4) return 1
    return 0
  }
  if (cfg.fc_mp === null) return 0
  for (let i = 0; i < cfg.fc_mp.length; i++) {
    const h = cfg.fc_mp[i]
    const nh = fi.fib_nh[i]
    if (h === undefined || nh === undefined) return 1
    if (h.rtnh_ifindex && h.rtnh_ifindex !== nh.nhc_oif) return 1
    if (h.gw4 && (nh.nhc_gw_family !== AF_INET || h.gw4 !== nh.nhc_gw4)) return 1
  }
  return 0
})

export const fib_metrics_match = kfunc('fib_metrics_match', (cfg: fib_config, fi: fib_info): boolean => {
  for (const [type, val] of cfg.fc_mx ?? []) if (fi.fib_metrics.metrics[type - 1] !== val) return false
  return true
})

/** an error and the kernel's words for it */
const refuse = (err: number, msg: string): number => {
  NL_SET_ERR_MSG(null, msg)
  return err
}

const fib_check_nh_v4_gw = kfunc(
  'fib_check_nh_v4_gw',
  (n: net, nh: fib_nh_common, table: number, scope: number, _extack: null): number => {
    if (nh.nhc_flags & RTNH_F_ONLINK) {
      if (scope >= RT_SCOPE_LINK) return refuse(-EINVAL, 'Nexthop has invalid scope')
      const dev = __dev_get_by_index(n, nh.nhc_oif)
      if (dev === null) return refuse(-ENODEV, 'Nexthop device required for onlink')
      if (!(dev.flags & IFF_UP)) return refuse(-ENETDOWN, 'Nexthop device is not up')
      if (inet_addr_type_dev_table(n, dev, nh.nhc_gw4) !== RTN_UNICAST) return refuse(-EINVAL, 'Nexthop has invalid gateway')
      if (!netif_carrier_ok(dev)) nh.nhc_flags |= RTNH_F_LINKDOWN
      nh.nhc_dev = dev
      dev_hold(dev)
      nh.nhc_scope = RT_SCOPE_LINK
      return 0
    }
    const done = (err: number): number => {
      rcu_read_unlock()
      return err
    }
    rcu_read_lock()
    const res = new fib_result()
    const fl4 = new flowi4()
    fl4.daddr = nh.nhc_gw4
    fl4.flowi4_scope = Math.max(scope + 1, RT_SCOPE_LINK)
    fl4.flowi4_oif = nh.nhc_oif
    fl4.flowi4_iif = LOOPBACK_IFINDEX
    const tbl = table && table !== RT_TABLE_MAIN ? fib_get_table(n, table) : null
    let err = 0
    if (tbl !== null) err = fib_table_lookup(tbl, fl4, res, FIB_LOOKUP_IGNORE_LINKSTATE | FIB_LOOKUP_NOREF)
    if (tbl === null || err) err = fib_lookup(n, fl4, res, FIB_LOOKUP_IGNORE_LINKSTATE)
    if (err) return done(refuse(err, 'Nexthop has invalid gateway'))
    if (res.type !== RTN_UNICAST && res.type !== RTN_LOCAL) return done(refuse(-EINVAL, 'Nexthop has invalid gateway'))
    nh.nhc_scope = res.scope
    nh.nhc_oif = FIB_RES_OIF(res)
    nh.nhc_dev = FIB_RES_DEV(res)
    if (nh.nhc_dev === null) return done(refuse(-EINVAL, 'No egress device for nexthop gateway'))
    dev_hold(nh.nhc_dev)
    if (!netif_carrier_ok(nh.nhc_dev)) nh.nhc_flags |= RTNH_F_LINKDOWN
    return done(nh.nhc_dev.flags & IFF_UP ? 0 : -ENETDOWN)
  },
)

const fib_check_nh_nongw = kfunc('fib_check_nh_nongw', (n: net, nh: fib_nh_common, _extack: null): number => {
  if (nh.nhc_flags & (RTNH_F_PERVASIVE | RTNH_F_ONLINK)) return -EINVAL
  rcu_read_lock()
  const in_dev = inetdev_by_index(n, nh.nhc_oif)
  let err = -ENODEV
  if (in_dev !== null) {
    err = -ENETDOWN
    if (!(in_dev.dev.flags & IFF_UP)) refuse(err, 'Device for nexthop is not up')
    else {
      nh.nhc_dev = in_dev.dev
      dev_hold(nh.nhc_dev)
      nh.nhc_scope = RT_SCOPE_HOST
      if (!netif_carrier_ok(nh.nhc_dev)) nh.nhc_flags |= RTNH_F_LINKDOWN
      err = 0
    }
  }
  rcu_read_unlock()
  return err
})

export const fib_check_nh = kfunc(
  'fib_check_nh',
  (n: net, nh: fib_nh_common, table: number, scope: number, _extack: null): number =>
    nh.nhc_gw_family === AF_INET ? fib_check_nh_v4_gw(n, nh, table, scope, null) : fib_check_nh_nongw(n, nh, null),
)

export const fib_info_update_nhc_saddr = kfunc(
  'fib_info_update_nhc_saddr',
  (n: net, nhc: fib_nh_common, scope: number): number => {
    nhc.nh_saddr = inet_select_addr(nhc.nhc_dev as net_device, nhc.nhc_gw4, scope)
    nhc.nh_saddr_genid = n.ipv4.dev_addr_genid
    return nhc.nh_saddr
  },
)

/** the source address that a packet by this route gets */
export const fib_result_prefsrc = kfunc('fib_result_prefsrc', (n: net, res: fib_result): number => {
  const nhc = res.nhc as fib_nh_common
  const fi = res.fi as fib_info
  if (fi.fib_prefsrc) return fi.fib_prefsrc
  if (nhc.nh_saddr_genid === n.ipv4.dev_addr_genid) return nhc.nh_saddr
  return fib_info_update_nhc_saddr(n, nhc, fi.fib_scope)
})

const fib_valid_prefsrc = kfunc('fib_valid_prefsrc', (cfg: fib_config, fib_prefsrc: number): boolean => {
  if (cfg.fc_type === RTN_LOCAL && cfg.fc_dst && fib_prefsrc === cfg.fc_dst) return true
  const tb_id = cfg.fc_table === RT_TABLE_MAIN ? RT_TABLE_LOCAL : cfg.fc_table
  let rc = inet_addr_type_table(cfg.fc_net, fib_prefsrc, tb_id)
  if (rc !== RTN_LOCAL && tb_id !== RT_TABLE_LOCAL) rc = inet_addr_type_table(cfg.fc_net, fib_prefsrc, RT_TABLE_LOCAL)
  return rc === RTN_LOCAL
})

/** the metrics of a route, or the ones that all share; a negative errno for values that make no sense */
export const ip_fib_metrics_init = kfunc('ip_fib_metrics_init', (fc_mx: Map<number, number> | null): dst_metrics | number => {
  if (fc_mx === null || fc_mx.size === 0) return dst_default_metrics
  const m = new dst_metrics()
  kzalloc(72, GFP_KERNEL)
  for (const [type, v] of fc_mx) {
    if (type < 1 || type > RTAX_MAX) {
      kfree(m)
      return -EINVAL
    }
    let val = v
    if (type === RTAX_ADVMSS && val > 65535 - 40) val = 65535 - 40
    if (type === RTAX_MTU && val > 65535 - 15) val = 65535 - 15
    if (type === RTAX_FEATURES && val & ~0x1f) {
      kfree(m)
      return -EINVAL
    }
    m.metrics[type - 1] = val >>> 0
  }
  m.refcnt = 1
  return m
})

/** makes what a route knows besides its prefix, or finds one just like it; a negative errno when it is not possible */
export const fib_create_info = kfunc('fib_create_info', (cfg: fib_config, _extack: null): fib_info | number => {
  const n = cfg.fc_net
  const prop = fib_props[cfg.fc_type]
  if (cfg.fc_type > RTN_MAX || prop === undefined) return -EINVAL
  if (prop.scope > cfg.fc_scope) return refuse(-EINVAL, 'Invalid scope')
  if (cfg.fc_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) return -EINVAL
  const nhs = cfg.fc_mp !== null ? cfg.fc_mp.length : 1
  if (nhs === 0) return -EINVAL
  const fi = new fib_info()
  kzalloc(96 + 112 * nhs, GFP_KERNEL)
  const metrics = ip_fib_metrics_init(cfg.fc_mx)
  if (typeof metrics === 'number') {
    kfree(fi)
    return metrics
  }
  fi.fib_metrics = metrics
  fi.fib_net = n
  fi.fib_protocol = cfg.fc_protocol
  fi.fib_scope = cfg.fc_scope
  fi.fib_flags = cfg.fc_flags
  fi.fib_priority = cfg.fc_priority
  fi.fib_prefsrc = cfg.fc_prefsrc
  fi.fib_type = cfg.fc_type
  fi.fib_tb_id = cfg.fc_table
  fi.fib_nhs = nhs
  for (let i = 0; i < nhs; i++) {
    const nh = new fib_nh_common()
    nh.nh_parent = fi
    fi.fib_nh.push(nh)
  }
  const failure = (err: number): number => {
    fi.fib_dead = 1
    free_fib_info(fi)
    return err
  }
  let err = cfg.fc_mp !== null ? fib_get_nhs(fi, cfg) : fib_nh_init(n, fib_info_nhc(fi, 0), cfg, 1, null)
  if (err !== 0) return failure(err)

  if (prop.error) {
    if (cfg.fc_gw_family || cfg.fc_oif || cfg.fc_mp !== null)
      return failure(refuse(-EINVAL, 'Gateway, device and multipath can not be specified for this route type'))
  } else {
    if (cfg.fc_type < RTN_UNICAST || cfg.fc_type > RTN_MULTICAST || cfg.fc_scope > RT_SCOPE_HOST) return failure(-EINVAL)
    if (cfg.fc_scope === RT_SCOPE_HOST) {
      const nh = fib_info_nhc(fi, 0)
      if (nhs !== 1 || nh.nhc_gw_family) return failure(-EINVAL)
      nh.nhc_scope = RT_SCOPE_NOWHERE
      nh.nhc_dev = __dev_get_by_index(n, nh.nhc_oif)
      if (nh.nhc_dev === null) return failure(-ENODEV)
      dev_hold(nh.nhc_dev)
    } else {
      let linkdown = 0
      for (const nh of fi.fib_nh) {
        err = fib_check_nh(n, nh, cfg.fc_table, cfg.fc_scope, null)
        if (err !== 0) return failure(err)
        if (nh.nhc_flags & RTNH_F_LINKDOWN) linkdown++
      }
      if (linkdown === fi.fib_nhs) fi.fib_flags |= RTNH_F_LINKDOWN
    }
    if (fi.fib_prefsrc && !fib_valid_prefsrc(cfg, fi.fib_prefsrc)) return failure(refuse(-EINVAL, 'Invalid prefsrc address'))
    for (const nh of fi.fib_nh) fib_info_update_nhc_saddr(n, nh, fi.fib_scope)
    fib_rebalance(fi)
  }

  const ofi = fib_find_info(fi)
  if (ofi !== null) {
    fi.fib_dead = 1
    free_fib_info(fi)
    ofi.fib_treeref++
    return ofi
  }
  fi.fib_treeref = 1
  fi.fib_clntref = 1
  spin_lock_bh(fib_info_lock)
  fib_infos.add(fi)
  for (const nh of fi.fib_nh) {
    if (nh.nhc_dev === null) continue
    const list = fib_info_devhash.get(nh.nhc_dev)
    if (list === undefined) fib_info_devhash.set(nh.nhc_dev, [nh])
    else list.unshift(nh)
  }
  spin_unlock_bh(fib_info_lock)
  return fi
})

/** a local address went: routes that name it as their source die. How many do. */
export const fib_sync_down_addr = kfunc('fib_sync_down_addr', (dev: net_device, local: number): number => {
  const tb_id = l3mdev_fib_table(dev) || RT_TABLE_MAIN
  let ret = 0
  if (local === 0) return 0
  for (const fi of fib_infos)
    if (fi.fib_net === dev.nd_net && fi.fib_tb_id === tb_id && fi.fib_prefsrc === local) {
      fi.fib_flags |= RTNH_F_DEAD
      fi.pfsrc_removed = true
      ret++
    }
  return ret
})

export const fib_nhc_update_mtu = kfunc('fib_nhc_update_mtu', (nhc: fib_nh_common, new_mtu: number, orig: number): void => {
  rcu_read_lock()
  for (const chain of nhc.nhc_exceptions ?? [])
    for (let fnhe = chain; fnhe !== null; fnhe = fnhe.fnhe_next) fnhe_update_pmtu(fnhe, new_mtu, orig)
  rcu_read_unlock()
})

export const fib_sync_mtu = kfunc('fib_sync_mtu', (dev: net_device, orig_mtu: number): void => {
  for (const nh of fib_info_devhash.get(dev) ?? []) if (nh.nhc_dev === dev) fib_nhc_update_mtu(nh, dev.mtu, orig_mtu)
})

/** next hops by a device that went down die, or (NETDEV_CHANGE) have no link; how many routes lost their last */
export const fib_sync_down_dev = kfunc('fib_sync_down_dev', (dev: net_device, event: number, force: boolean): number => {
  const scope = force ? -1 : RT_SCOPE_NOWHERE
  let prev_fi: fib_info | null = null
  let ret = 0
  for (const nh of [...(fib_info_devhash.get(dev) ?? [])]) {
    const fi = nh.nh_parent
    if (nh.nhc_dev !== dev || fi === prev_fi) continue
    prev_fi = fi
    let dead = 0
    for (const hop of fi.fib_nh) {
      if (hop.nhc_flags & RTNH_F_DEAD) dead++
      else if (hop.nhc_dev === dev && hop.nhc_scope !== scope) {
        if (event === NETDEV_DOWN || event === NETDEV_UNREGISTER) hop.nhc_flags |= RTNH_F_DEAD | RTNH_F_LINKDOWN
        else if (event === NETDEV_CHANGE) hop.nhc_flags |= RTNH_F_LINKDOWN
        dead++
      }
      if (event === NETDEV_UNREGISTER && hop.nhc_dev === dev) {
        dead = fi.fib_nhs
        break
      }
    }
    if (dead === fi.fib_nhs) {
      if (event === NETDEV_DOWN || event === NETDEV_UNREGISTER) fi.fib_flags |= RTNH_F_DEAD | RTNH_F_LINKDOWN
      else if (event === NETDEV_CHANGE) fi.fib_flags |= RTNH_F_LINKDOWN
      ret++
    }
    fib_rebalance(fi)
  }
  return ret
})

const fib_result_assign = (res: fib_result, fi: fib_info): void => {
  res.fi = fi
  res.nhc = fib_info_nhc(fi, 0)
}

/** of several default routes, one whose gateway seems alive */
const fib_select_default = kfunc('fib_select_default', (flp: flowi4, res: fib_result): void => {
  const first = res.fi as fib_info
  const slen = 32 - res.prefixlen
  let fi: fib_info | null = null
  let fa1: fib_alias | null = null
  let order = -1
  const last: { fi: fib_info | null; idx: number } = { fi: null, idx: -1 }
  let last_prio = first.fib_priority
  let last_dscp = 0
  for (const fa of res.fa_head ?? []) {
    const next_fi = fa.fa_info
    if (fa.fa_slen !== slen || (fa.fa_dscp && !fib_dscp_masked_match(fa.fa_dscp, flp)) || fa.tb_id !== res.table?.tb_id) continue
    if (next_fi.fib_priority > last_prio && fa.fa_dscp === last_dscp) {
      if (last_dscp) continue
      break
    }
    if (next_fi.fib_flags & RTNH_F_DEAD) continue
    last_dscp = fa.fa_dscp
    last_prio = next_fi.fib_priority
    if (next_fi.fib_scope !== res.scope || fa.fa_type !== RTN_UNICAST) continue
    const nhc = fib_info_nhc(next_fi, 0)
    if (!nhc.nhc_gw_family || nhc.nhc_scope !== RT_SCOPE_LINK) continue
    fa.fa_state |= 1
    if (fi === null) {
      if (next_fi !== first) break
      fa1 = fa
    } else if (fa1 !== null && !fib_detect_death(fi, order, last, fa1.fa_default)) {
      fib_result_assign(res, fi)
      fa1.fa_default = order
      return
    }
    fi = next_fi
    order++
  }
  if (order <= 0 || fi === null || fa1 === null) {
    if (fa1 !== null) fa1.fa_default = -1
    return
  }
  if (!fib_detect_death(fi, order, last, fa1.fa_default)) {
    fib_result_assign(res, fi)
    fa1.fa_default = order
    return
  }
  if (last.idx >= 0 && last.fi !== null) fib_result_assign(res, last.fi)
  fa1.fa_default = last.idx
})

/** a device came back: its next hops lose `nh_flags` */
export const fib_sync_up = kfunc('fib_sync_up', (dev: net_device, flags: number): number => {
  let nh_flags = flags
  if (!(dev.flags & IFF_UP)) return 0
  if (nh_flags & RTNH_F_DEAD && dev_get_flags(dev) & (IFF_RUNNING | IFF_LOWER_UP)) nh_flags |= RTNH_F_LINKDOWN
  let prev_fi: fib_info | null = null
  let ret = 0
  for (const nh of fib_info_devhash.get(dev) ?? []) {
    const fi = nh.nh_parent
    if (nh.nhc_dev !== dev || fi === prev_fi) continue
    prev_fi = fi
    let alive = 0
    for (const hop of fi.fib_nh) {
      if (!(hop.nhc_flags & nh_flags)) {
        alive++
        continue
      }
      if (hop.nhc_dev === null || !(hop.nhc_dev.flags & IFF_UP)) continue
      if (hop.nhc_dev !== dev || __in_dev_get_rtnl(dev) === null) continue
      alive++
      hop.nhc_flags &= ~nh_flags
    }
    if (alive > 0) {
      fi.fib_flags &= ~nh_flags
      ret++
    }
    fib_rebalance(fi)
  }
  return ret
})

const fib_good_nh = kfunc('fib_good_nh', (nh: fib_nh_common): boolean => {
  let state: number = NUD_REACHABLE
  if (nh.nhc_scope === RT_SCOPE_LINK) {
    rcu_read_lock()
    const n = nh.nhc_gw_family === AF_INET ? __ipv4_neigh_lookup_noref(nh.nhc_dev as net_device, nh.nhc_gw4) : null
    if (n !== null) state = n.nud_state
    rcu_read_unlock()
  }
  return (state & NUD_VALID) !== 0
})

/** drawn at boot in Linux; here when it is first wanted, so that a host without such routes draws no random number for it */
const rand_seed = (): number => {
  proc_fib_multipath_hash_rand_seed ||= random.u32()
  return proc_fib_multipath_hash_rand_seed
}

/** include/net/ip_fib.h */
export const fib_multipath_hash_from_keys = kfunc('fib_multipath_hash_from_keys', (n: net, keys: flow_keys): number => {
  const hash_key = new siphash_key_t()
  hash_key.key.fill(n.ipv4.sysctl_fib_multipath_hash_seed || rand_seed())
  return flow_hash_from_keys_seed(keys, hash_key)
})

export const fib_select_multipath = kfunc('fib_select_multipath', (res: fib_result, hash: number): void => {
  const fi = res.fi as fib_info
  const use_neigh = fi.fib_net.ipv4.sysctl_fib_multipath_use_neigh
  let first = false
  for (let nhsel = 0; nhsel < fi.fib_nhs; nhsel++) {
    const nh = fib_info_nhc(fi, nhsel)
    if (use_neigh) {
      if (!fib_good_nh(nh)) continue
      if (!first) {
        res.nh_sel = nhsel
        res.nhc = nh
        first = true
      }
    }
    if (hash > nh.nhc_upper_bound) continue
    res.nh_sel = nhsel
    res.nhc = nh
    if (tracer.on) decide('fib_select_multipath', 'next hop by hash', { hash, nhsel })
    return
  }
})

/** chooses among several next hops or default routes, and a source address where there is none */
export const fib_select_path = kfunc('fib_select_path', (n: net, res: fib_result, fl4: flowi4, skb: sk_buff | null): void => {
  const fi = res.fi as fib_info
  if (!fl4.flowi4_oif) {
    if (fib_info_num_path(fi) > 1) fib_select_multipath(res, fib_multipath_hash(n, fl4, skb, null))
    else if (!res.prefixlen && (res.table?.tb_num_default ?? 0) > 1 && res.type === RTN_UNICAST) fib_select_default(fl4, res)
  }
  if (!fl4.saddr) {
    const l3mdev = dev_get_by_index_rcu(n, fl4.flowi4_l3mdev)
    if (l3mdev === null || l3mdev_master_dev_rcu(FIB_RES_DEV(res) as net_device) === l3mdev)
      fl4.saddr = fib_result_prefsrc(n, res)
    else fl4.saddr = inet_select_addr(l3mdev, 0, RT_SCOPE_LINK)
  }
})
