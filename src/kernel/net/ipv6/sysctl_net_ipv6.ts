import { IFF_UP, NETDEV_DOWN, NETDEV_UP } from '../../include/generated/enums.ts'
import { EINVAL } from '../../include/linux/errno.ts'
import { fs_initcall } from '../../include/linux/init.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import {
  type ctl_dir,
  type ctl_table,
  field,
  proc_dointvec,
  proc_dointvec_jiffies,
  proc_dointvec_minmax,
  proc_dou8vec_minmax,
  register_net_sysctl,
} from '../../include/linux/sysctl.ts'
import type { inet6_dev, ipv6_devconf } from '../../include/net/if_inet6.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { net_ipv6 } from '../../include/net/netns_ipv6.ts'
import { neigh_dirs } from '../core/sysctl_net_core.ts'
import { addrconf_notify } from './addrconf.ts'
import { nd_tbl } from './ndisc.ts'

const idev_of = (dev: net_device): inet6_dev | null => dev.ip6_ptr as inet6_dev | null

function ipv6_table(n: net): ctl_table[] {
  const { sysctl } = net_ipv6(n)
  return [
    proc_dou8vec_minmax('bindv6only', field(sysctl, 'bindv6only')),
    proc_dou8vec_minmax('auto_flowlabels', field(sysctl, 'auto_flowlabels'), 0, 3),
    proc_dou8vec_minmax('fwmark_reflect', field(sysctl, 'fwmark_reflect')),
    proc_dou8vec_minmax('flowlabel_state_ranges', field(sysctl, 'flowlabel_state_ranges')),
    proc_dou8vec_minmax('ip_nonlocal_bind', field(sysctl, 'ip_nonlocal_bind')),
    proc_dointvec_minmax('flowlabel_reflect', field(sysctl, 'flowlabel_reflect'), 0, 7),
  ]
}

/** what a number of `all` or `default` means for the devices */
function spread(n: net, cnf: ipv6_devconf, key: 'forwarding' | 'disable_ipv6', t: ctl_table): ctl_table {
  const ns = net_ipv6(n)
  const each = (change: (dev: net_device, idev: inet6_dev) => void): void => {
    for (const dev of n.dev_base_head) {
      const idev = idev_of(dev)
      if (idev !== null) change(dev, idev)
    }
  }
  /** a device that gets or loses IPv6 behaves as if it went up or down */
  const disable = (dev: net_device, now: number, before: number): void => {
    if (!now === !before) return
    if (now) addrconf_notify({ notifier_call: addrconf_notify, priority: 0 }, NETDEV_DOWN, dev)
    else if (dev.flags & IFF_UP) addrconf_notify({ notifier_call: addrconf_notify, priority: 0 }, NETDEV_UP, dev)
  }
  return {
    ...t,
    write: (text) => {
      const before = cnf[key]
      const ret = t.write(text)
      const now = cnf[key]
      if (ret !== 0 || now === before) return ret
      if (cnf === ns.devconf_all) {
        ns.devconf_dflt[key] = now
        each((dev, idev) => {
          const old = idev.cnf[key]
          idev.cnf[key] = now
          if (key === 'disable_ipv6') disable(dev, now, old)
        })
      } else if (key === 'disable_ipv6' && cnf !== ns.devconf_dflt)
        each((dev, idev) => {
          if (idev.cnf === cnf) disable(dev, now, before)
        })
      return 0
    },
  }
}

function addrconf_dir(n: net, name: string, cnf: ipv6_devconf, dev: net_device | null): ctl_dir {
  const mtu = proc_dointvec('mtu', field(cnf, 'mtu6'))
  return {
    path: `net/ipv6/conf/${name}`,
    tables: [
      spread(n, cnf, 'forwarding', proc_dointvec('forwarding', field(cnf, 'forwarding'))),
      proc_dointvec_minmax('hop_limit', field(cnf, 'hop_limit'), 1, 255),
      { ...mtu, write: (text) => (Number(text) < 1280 || Number(text) > (dev?.mtu ?? 0x7fffffff) ? -EINVAL : mtu.write(text)) },
      spread(n, cnf, 'disable_ipv6', proc_dointvec('disable_ipv6', field(cnf, 'disable_ipv6'))),
      proc_dointvec('use_oif_addrs_only', field(cnf, 'use_oif_addrs_only')),
      proc_dointvec('ignore_routes_with_linkdown', field(cnf, 'ignore_routes_with_linkdown')),
      proc_dointvec('drop_unicast_in_l2_multicast', field(cnf, 'drop_unicast_in_l2_multicast')),
      proc_dointvec_minmax('disable_policy', field(cnf, 'disable_policy'), 0, 1),
    ],
  }
}

const icmp_table = (n: net): ctl_table[] => {
  const { sysctl } = net_ipv6(n)
  return [
    proc_dou8vec_minmax('echo_ignore_all', field(sysctl, 'icmpv6_echo_ignore_all')),
    proc_dou8vec_minmax('echo_ignore_multicast', field(sysctl, 'icmpv6_echo_ignore_multicast')),
  ]
}

const route_table = (n: net): ctl_table[] => {
  const { sysctl } = net_ipv6(n)
  return [
    proc_dointvec_jiffies('mtu_expires', field(sysctl, 'ip6_rt_mtu_expires')),
    proc_dointvec('min_adv_mss', field(sysctl, 'ip6_rt_min_advmss')),
  ]
}

/** nothing of it is there until IPv6 is up */
fs_initcall(() =>
  register_net_sysctl((n) => {
    if (n.ipv6 === null) return []
    const { devconf_all, devconf_dflt } = net_ipv6(n)
    return [
      { path: 'net/ipv6', tables: ipv6_table(n) },
      { path: 'net/ipv6/icmp', tables: icmp_table(n) },
      { path: 'net/ipv6/route', tables: route_table(n) },
      addrconf_dir(n, 'all', devconf_all, null),
      addrconf_dir(n, 'default', devconf_dflt, null),
      ...neigh_dirs(n, 'net/ipv6/neigh', nd_tbl, (dev) => idev_of(dev)?.nd_parms ?? null),
      ...n.dev_base_head.flatMap((dev) => {
        const idev = idev_of(dev)
        return idev === null ? [] : [addrconf_dir(n, dev.name, idev.cnf, dev)]
      }),
    ]
  }),
)
