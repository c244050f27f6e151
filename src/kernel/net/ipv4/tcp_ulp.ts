import { kfunc } from '../../../trace/kfunc.ts'
import { ENOENT } from '../../include/linux/errno.ts'
import { inet_csk } from '../../include/net/inet_connection_sock.ts'
import type { sock } from '../../include/net/sock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'

/** a socket goes, and with it what was put on top of TCP (kTLS and the like): there is no such thing here */
export const tcp_cleanup_ulp = kfunc('tcp_cleanup_ulp', (sk: sock): void => {
  inet_csk(sk).icsk_ulp_ops = null
})

/** no module of any name: kTLS and the like are not there */
const __tcp_ulp_find_autoload = kfunc('__tcp_ulp_find_autoload', (_name: string): null => {
  rcu_read_lock()
  rcu_read_unlock()
  return null
})

/** setsockopt(TCP_ULP) */
export const tcp_set_ulp = kfunc('tcp_set_ulp', (_sk: sock, name: string): number =>
  __tcp_ulp_find_autoload(name) === null ? -ENOENT : 0,
)
