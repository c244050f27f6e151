import { kfunc } from '../../../trace/kfunc.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { inet_sock } from '../../include/net/inet_sock.ts'
import type { proto, sock } from '../../include/net/sock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { sk_common_release } from '../core/sock.ts'
import { ipv6_getsockopt, ipv6_setsockopt } from './ipv6_sockglue.ts'
/** the kernel's own sockets are the only raw ones here: nobody listens */
export const raw6_local_deliver = kfunc('raw6_local_deliver', (_skb: sk_buff, _nexthdr: number): boolean => {
  rcu_read_lock()
  rcu_read_unlock()
  return false
})

const rawv6_close = kfunc('rawv6_close', (sk: sock, _timeout: number): void => sk_common_release(sk))
const rawv6_init_sk = kfunc('rawv6_init_sk', (_sk: sock): number => 0)

export const rawv6_prot: proto = { name: 'RAWv6', alloc: () => new inet_sock(), obj_size: 1216 }

export function rawv6_prot_init(): void {
  Object.assign(rawv6_prot, {
    close: rawv6_close,
    init: rawv6_init_sk,
    setsockopt: ipv6_setsockopt,
    getsockopt: ipv6_getsockopt,
    inuse: 0,
  } satisfies Partial<proto>)
}
