import { fs_initcall } from '../../include/linux/init.ts'
import { field, proc_dostring, proc_dou8vec_minmax, register_net_sysctl } from '../../include/linux/sysctl.ts'
import { nf_conntrack_loaded, nf_ct_state } from '../../include/net/netfilter/nf_conntrack.ts'

/** /proc/sys/net/netfilter: there when connections are tracked in the namespace */
fs_initcall(() =>
  register_net_sysctl((n) => {
    if (!nf_conntrack_loaded(n)) return []
    const c = nf_ct_state(n)
    return [
      {
        path: 'net/netfilter',
        tables: [
          proc_dostring('nf_conntrack_count', () => String(c.count), null),
          proc_dou8vec_minmax('nf_conntrack_checksum', field(c, 'sysctl_checksum'), 0, 1),
          proc_dou8vec_minmax('nf_conntrack_tcp_loose', field(c, 'tcp_loose'), 0, 1),
          proc_dou8vec_minmax('nf_conntrack_tcp_be_liberal', field(c, 'tcp_be_liberal'), 0, 1),
          proc_dou8vec_minmax('nf_conntrack_tcp_ignore_invalid_rst', field(c, 'tcp_ignore_invalid_rst'), 0, 1),
          proc_dou8vec_minmax('nf_conntrack_tcp_max_retrans', field(c, 'tcp_max_retrans')),
        ],
      },
    ]
  }),
)
