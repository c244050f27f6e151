// what IPv6 has below /proc/sys and /proc/net; loaded with it
import '../../kernel/net/ipv6/proc.ts'
import '../../kernel/net/ipv6/sysctl_net_ipv6.ts'
