import { kfunc } from '../../../trace/kfunc.ts'
import { SOCK_MEMALLOC } from '../../include/generated/enums.ts'
import { ENOMEM } from '../../include/linux/errno.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import type { sock } from '../../include/net/sock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { security_sock_rcv_skb } from '../../security/security.ts'
import { sock_flag, sock_net } from './sock.ts'

/** Asks everybody who may refuse a packet to a socket. @param cap bytes that a filter may not cut off; no filters here */
export const sk_filter_trim_cap = kfunc('sk_filter_trim_cap', (sk: sock, skb: sk_buff, _cap: number): number => {
  if (skb.pfmemalloc !== 0 && !sock_flag(sk, SOCK_MEMALLOC)) {
    sock_net(sk).mib.linux.PFMemallocDrop++
    return -ENOMEM
  }
  const err = security_sock_rcv_skb(sk, skb)
  if (err) return err
  rcu_read_lock()
  rcu_read_unlock()
  return 0
})

export const sk_filter = (sk: sock, skb: sk_buff): number => sk_filter_trim_cap(sk, skb, 1)
