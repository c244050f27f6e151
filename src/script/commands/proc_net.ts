// who has files below /proc/net
import '../../kernel/net/core/net-procfs.ts'
import '../../kernel/net/ipv4/proc.ts'
import '../../kernel/net/ipv4/proc_sockets.ts'

export { proc_net_names, proc_net_read } from '../../kernel/include/linux/proc_fs.ts'
