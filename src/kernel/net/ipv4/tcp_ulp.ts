import { kfunc } from '../../../trace/kfunc.ts'
import { EINVAL, ENOENT } from '../../include/linux/errno.ts'
import { inet_csk } from '../../include/net/inet_connection_sock.ts'
import type { sock } from '../../include/net/sock.ts'

/** a socket goes, and with it what was put on top of TCP (kTLS and the like): there is no such thing here */
export const tcp_cleanup_ulp = kfunc('tcp_cleanup_ulp', (sk: sock): void => {
  inet_csk(sk).icsk_ulp_ops = null
})

/** setsockopt(TCP_ULP): no module of any name */
export const tcp_set_ulp = kfunc('tcp_set_ulp', (_sk: sock, name: string): number => (name === '' ? -EINVAL : -ENOENT))
