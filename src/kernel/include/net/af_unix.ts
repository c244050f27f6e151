import type { path } from '../linux/fs.ts'
import { mutex } from '../linux/mutex.ts'
import { socket_wq } from '../linux/net.ts'
import type { sk_buff } from '../linux/skbuff.ts'
import { spinlock_t } from '../linux/spinlock.ts'
import { wait_queue_entry, wait_queue_head } from '../linux/wait.ts'
import { sock } from './sock.ts'

/** struct unix_address: `name` is a struct sockaddr_un of `len` bytes */
export interface unix_address {
  refcnt: number
  len: number
  hash: number
  name: Uint8Array
  kmem: unknown
}

/** include/net/af_unix.h struct unix_sock */
export class unix_sock extends sock {
  addr: unix_address | null = null
  path: path = { mnt: null, dentry: null }
  readonly iolock: mutex = new mutex()
  readonly bindlock: mutex = new mutex()
  peer: unix_sock | null = null
  listener: unix_sock | null = null
  readonly lock: spinlock_t = new spinlock_t()
  readonly peer_wait: wait_queue_head = new wait_queue_head()
  readonly peer_wq: socket_wq = new socket_wq()
  readonly peer_wake: wait_queue_entry = new wait_queue_entry()
  scm_stat = { nr_fds: 0, nr_unix_fds: 0 }
  oob_skb: sk_buff | null = null
  /** sk->sk_bind_node: in the table by inode */
  bound_bsd = false
}

export const unix_sk = (sk: sock): unix_sock => sk as unix_sock
