import type { net_device } from '../linux/netdevice.ts'
import type { inet6_dev } from './if_inet6.ts'

/** include/net/addrconf.h */
export const __in6_dev_get = (dev: net_device): inet6_dev | null => dev.ip6_ptr as inet6_dev | null
