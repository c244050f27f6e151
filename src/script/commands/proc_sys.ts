// whose settings are below /proc/sys
import '../../kernel/net/core/sysctl_net_core.ts'
import '../../kernel/net/ipv4/sysctl_net_ipv4.ts'
import '../../kernel/net/netfilter/nf_conntrack_standalone.ts'

export { type ctl_table, sysctls } from '../../kernel/include/linux/sysctl.ts'
