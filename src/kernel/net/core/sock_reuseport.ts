import { kfunc } from '../../../trace/kfunc.ts'
import { IPPROTO_TCP, TCP_ESTABLISHED } from '../../include/generated/enums.ts'
import { EBUSY, EINVAL, ENOENT, ENOMEM } from '../../include/linux/errno.ts'
import { core_initcall } from '../../include/linux/init.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../include/linux/slab.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import { U16_MAX } from '../../include/linux/types.ts'
import type { sock } from '../../include/net/sock.ts'
import { spin_lock_bh, spin_unlock_bh } from '../../kernel/locking/spinlock.ts'
import { call_rcu, kfree_rcu, rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { __kmalloc_noprof, kfree } from '../../mm/slub.ts'

const INIT_SOCKS = 128
/** what the struct takes before the array of sockets, in bytes */
const REUSEPORT_HEAD = 48

/** include/net/sock_reuseport.h struct sock_reuseport: sockets that share an address and a port. No program chooses among them. */
export class sock_reuseport {
  max_socks: number
  num_socks = 0
  num_closed_socks = 0
  incoming_cpu = 0
  synq_overflow_ts = 0
  reuseport_id = 0
  bind_inany = 0
  has_conns = 0
  /** those that listen from the front, those that were shut down from the back */
  readonly socks: (sock | null)[]

  constructor(max_socks: number) {
    this.max_socks = max_socks
    this.socks = new Array<sock | null>(max_socks).fill(null)
  }
}

let reuseport_lock = new spinlock_t()
let next_id = 0

core_initcall(() => {
  reuseport_lock = new spinlock_t()
  next_id = 0
})

const cb = (sk: sock): sock_reuseport | null => sk.sk_reuseport_cb as sock_reuseport | null

export const reuseport_has_conns_set = kfunc('reuseport_has_conns_set', (sk: sock): void => {
  if (cb(sk) === null) return

  spin_lock_bh(reuseport_lock)
  const reuse = cb(sk)
  if (reuse !== null) reuse.has_conns = 1
  spin_unlock_bh(reuseport_lock)
})

/** include/net/sock_reuseport.h: a connected UDP socket is among them, so that the choice is not by hash alone */
export const reuseport_has_conns = kfunc('reuseport_has_conns', (sk: sock): boolean => {
  rcu_read_lock()
  const reuse = cb(sk)
  const ret = reuse !== null && reuse.has_conns !== 0
  rcu_read_unlock()
  return ret
})

const reuseport_get_incoming_cpu = (sk: sock, reuse: sock_reuseport): void => {
  if (sk.skc_incoming_cpu >= 0) reuse.incoming_cpu++
}
const reuseport_put_incoming_cpu = (sk: sock, reuse: sock_reuseport): void => {
  if (sk.skc_incoming_cpu >= 0) reuse.incoming_cpu--
}

export const reuseport_update_incoming_cpu = kfunc('reuseport_update_incoming_cpu', (sk: sock, val: number): void => {
  if (cb(sk) === null) {
    sk.skc_incoming_cpu = val
    return
  }

  spin_lock_bh(reuseport_lock)
  const old_sk_incoming_cpu = sk.skc_incoming_cpu
  sk.skc_incoming_cpu = val
  const reuse = cb(sk)
  if (reuse !== null) {
    if (old_sk_incoming_cpu < 0 && val >= 0) reuse.incoming_cpu++
    else if (old_sk_incoming_cpu >= 0 && val < 0) reuse.incoming_cpu--
  }
  spin_unlock_bh(reuseport_lock)
})

const reuseport_sock_index = kfunc('reuseport_sock_index', (sk: sock, reuse: sock_reuseport, closed: boolean): number => {
  let left = closed ? reuse.max_socks - reuse.num_closed_socks : 0
  const right = closed ? reuse.max_socks : reuse.num_socks

  for (; left < right; left++) if (reuse.socks[left] === sk) return left
  return -1
})

const __reuseport_add_sock = kfunc('__reuseport_add_sock', (sk: sock, reuse: sock_reuseport): void => {
  reuse.socks[reuse.num_socks] = sk
  reuse.num_socks++
  reuseport_get_incoming_cpu(sk, reuse)
})

const __reuseport_detach_sock = kfunc('__reuseport_detach_sock', (sk: sock, reuse: sock_reuseport): boolean => {
  const i = reuseport_sock_index(sk, reuse, false)

  if (i === -1) return false

  reuse.socks[i] = reuse.socks[reuse.num_socks - 1] ?? null
  reuse.num_socks--
  reuseport_put_incoming_cpu(sk, reuse)

  return true
})

const __reuseport_add_closed_sock = kfunc('__reuseport_add_closed_sock', (sk: sock, reuse: sock_reuseport): void => {
  reuse.socks[reuse.max_socks - reuse.num_closed_socks - 1] = sk
  reuse.num_closed_socks++
  reuseport_get_incoming_cpu(sk, reuse)
})

const __reuseport_detach_closed_sock = kfunc('__reuseport_detach_closed_sock', (sk: sock, reuse: sock_reuseport): boolean => {
  const i = reuseport_sock_index(sk, reuse, true)

  if (i === -1) return false

  reuse.socks[i] = reuse.socks[reuse.max_socks - reuse.num_closed_socks] ?? null
  reuse.num_closed_socks--
  reuseport_put_incoming_cpu(sk, reuse)

  return true
})

const __reuseport_alloc = kfunc('__reuseport_alloc', (max_socks: number): sock_reuseport | null => {
  __kmalloc_noprof(REUSEPORT_HEAD + max_socks * 8, GFP_ATOMIC)
  return new sock_reuseport(max_socks)
})

export const reuseport_alloc = kfunc('reuseport_alloc', (sk: sock, bind_inany: boolean): number => {
  let ret = 0

  spin_lock_bh(reuseport_lock)
  let reuse = cb(sk)
  if (reuse !== null) {
    // bind() and setsockopt() come here; the socket may have been shut down before
    if (reuse.num_closed_socks) ret = reuseport_resurrect(sk, reuse, null, bind_inany)
    else if (bind_inany) reuse.bind_inany = 1
  } else {
    reuse = __reuseport_alloc(INIT_SOCKS)
    if (reuse === null) {
      ret = -ENOMEM
    } else {
      reuse.reuseport_id = next_id++
      reuse.bind_inany = bind_inany ? 1 : 0
      reuse.socks[0] = sk
      reuse.num_socks = 1
      reuseport_get_incoming_cpu(sk, reuse)
      sk.sk_reuseport_cb = reuse
    }
  }
  spin_unlock_bh(reuseport_lock)

  return ret
})

const reuseport_grow = kfunc('reuseport_grow', (reuse: sock_reuseport): sock_reuseport | null => {
  const more_socks_size = reuse.max_socks * 2
  if (more_socks_size > U16_MAX) {
    if (!reuse.num_closed_socks) return null
    const sk = reuse.socks[reuse.max_socks - reuse.num_closed_socks]
    if (sk) {
      sk.sk_reuseport_cb = null
      __reuseport_detach_closed_sock(sk, reuse)
    }
    return reuse
  }

  const more_reuse = __reuseport_alloc(more_socks_size)
  if (more_reuse === null) return null

  more_reuse.num_socks = reuse.num_socks
  more_reuse.num_closed_socks = reuse.num_closed_socks
  more_reuse.reuseport_id = reuse.reuseport_id
  more_reuse.bind_inany = reuse.bind_inany
  more_reuse.has_conns = reuse.has_conns
  more_reuse.incoming_cpu = reuse.incoming_cpu
  for (let i = 0; i < reuse.num_socks; i++) more_reuse.socks[i] = reuse.socks[i] ?? null
  for (let i = 1; i <= reuse.num_closed_socks; i++)
    more_reuse.socks[more_reuse.max_socks - i] = reuse.socks[reuse.max_socks - i] ?? null
  more_reuse.synq_overflow_ts = reuse.synq_overflow_ts
  for (const sk of reuse.socks) if (sk !== null) sk.sk_reuseport_cb = more_reuse

  kfree_rcu(reuse)
  return more_reuse
})

const reuseport_free_rcu = kfunc('reuseport_free_rcu', (reuse: sock_reuseport): void => {
  kfree(reuse)
})

/** `sk` joins the group of `sk2`; 0, -EBUSY or -ENOMEM */
export const reuseport_add_sock = kfunc('reuseport_add_sock', (sk: sock, sk2: sock, bind_inany: boolean): number => {
  if (cb(sk2) === null) {
    const err = reuseport_alloc(sk2, bind_inany)
    if (err) return err
  }

  spin_lock_bh(reuseport_lock)
  let reuse = cb(sk2)
  const old_reuse = cb(sk)
  if (reuse === null) {
    spin_unlock_bh(reuseport_lock)
    return -ENOMEM
  }
  if (old_reuse?.num_closed_socks) {
    const err = reuseport_resurrect(sk, old_reuse, reuse, reuse.bind_inany !== 0)

    spin_unlock_bh(reuseport_lock)
    return err
  }

  if (old_reuse !== null && old_reuse.num_socks !== 1) {
    spin_unlock_bh(reuseport_lock)
    return -EBUSY
  }

  if (reuse.num_socks + reuse.num_closed_socks === reuse.max_socks) {
    reuse = reuseport_grow(reuse)
    if (reuse === null) {
      spin_unlock_bh(reuseport_lock)
      return -ENOMEM
    }
  }

  __reuseport_add_sock(sk, reuse)
  sk.sk_reuseport_cb = reuse

  spin_unlock_bh(reuseport_lock)

  if (old_reuse !== null) call_rcu(old_reuse, reuseport_free_rcu)
  return 0
})

/** a socket that was shut down listens again */
const reuseport_resurrect = kfunc(
  'reuseport_resurrect',
  (sk: sock, old_reuse: sock_reuseport, reuse: sock_reuseport | null, bind_inany: boolean): number => {
    if (old_reuse === reuse) {
      __reuseport_detach_closed_sock(sk, old_reuse)
      __reuseport_add_sock(sk, old_reuse)
      return 0
    }

    let to = reuse
    if (to === null) {
      to = __reuseport_alloc(INIT_SOCKS)
      if (to === null) return -ENOMEM
      to.reuseport_id = next_id++
      to.bind_inany = bind_inany ? 1 : 0
    } else if (to.num_socks + to.num_closed_socks === to.max_socks) {
      to = reuseport_grow(to)
      if (to === null) return -ENOMEM
    }

    __reuseport_detach_closed_sock(sk, old_reuse)
    __reuseport_add_sock(sk, to)
    sk.sk_reuseport_cb = to

    if (old_reuse.num_socks + old_reuse.num_closed_socks === 0) call_rcu(old_reuse, reuseport_free_rcu)

    return 0
  },
)

export const reuseport_detach_sock = kfunc('reuseport_detach_sock', (sk: sock): void => {
  spin_lock_bh(reuseport_lock)
  const reuse = cb(sk)
  if (reuse !== null) {
    sk.sk_reuseport_cb = null

    if (!__reuseport_detach_closed_sock(sk, reuse)) __reuseport_detach_sock(sk, reuse)

    if (reuse.num_socks + reuse.num_closed_socks === 0) call_rcu(reuse, reuseport_free_rcu)
  }
  spin_unlock_bh(reuseport_lock)
})

/** a listener closes; with net.ipv4.tcp_migrate_req what it has not accepted goes to the others */
export const reuseport_stop_listen_sock = kfunc('reuseport_stop_listen_sock', (sk: sock): void => {
  if (sk.sk_protocol === IPPROTO_TCP) {
    spin_lock_bh(reuseport_lock)

    const reuse = cb(sk)
    if (reuse !== null && sk.sk_net.ipv4.sysctl_tcp_migrate_req) {
      __reuseport_detach_sock(sk, reuse)
      __reuseport_add_closed_sock(sk, reuse)

      spin_unlock_bh(reuseport_lock)
      return
    }

    spin_unlock_bh(reuseport_lock)
  }

  reuseport_detach_sock(sk)
})

/** include/linux/kernel.h: scales 32 bits to 0 .. ep_ro - 1 */
const reciprocal_scale = (val: number, ep_ro: number): number => Math.floor((val / 0x100000000) * ep_ro)

const reuseport_select_sock_by_hash = kfunc(
  'reuseport_select_sock_by_hash',
  (reuse: sock_reuseport, hash: number, num_socks: number): sock | null => {
    let first_valid_sk: sock | null = null
    const j = reciprocal_scale(hash, num_socks)
    let i = j

    do {
      const sk = reuse.socks[i] ?? null

      if (sk !== null && sk.sk_state !== TCP_ESTABLISHED) {
        if (!reuse.incoming_cpu) return sk
        if (sk.skc_incoming_cpu === 0) return sk
        first_valid_sk ??= sk
      }

      i++
      if (i >= num_socks) i = 0
    } while (i !== j)

    return first_valid_sk
  },
)

/** one of the group of `sk`, by the hash of the packet's addresses and ports */
export const reuseport_select_sock = kfunc(
  'reuseport_select_sock',
  (sk: sock, hash: number, _skb: sk_buff | null, _hdr_len: number): sock | null => {
    let sk2: sock | null = null

    rcu_read_lock()
    const reuse = cb(sk)
    if (reuse?.num_socks) sk2 = reuseport_select_sock_by_hash(reuse, hash, reuse.num_socks)
    rcu_read_unlock()
    return sk2
  },
)

/** another listener, with a reference, for a connection of one that is closed; null for none */
export const reuseport_migrate_sock = kfunc(
  'reuseport_migrate_sock',
  (sk: sock, migrating_sk: sock, _skb: sk_buff | null): sock | null => {
    let nsk: sock | null = null

    rcu_read_lock()

    const reuse = cb(sk)
    if (reuse !== null) {
      if (reuse.num_socks && sk.sk_net.ipv4.sysctl_tcp_migrate_req)
        nsk = reuseport_select_sock_by_hash(reuse, migrating_sk.skc_hash, reuse.num_socks)
      if (nsk !== null && nsk.sk_refcnt !== 0) {
        nsk.sk_refcnt++
      } else {
        nsk = null
        sk.sk_net.mib.linux.TCPMigrateReqFailure++
      }
    }
    rcu_read_unlock()
    return nsk
  },
)

export const reuseport_detach_prog = kfunc('reuseport_detach_prog', (sk: sock): number => {
  spin_lock_bh(reuseport_lock)
  const reuse = cb(sk)
  spin_unlock_bh(reuseport_lock)
  if (reuse === null) return sk.sk_reuseport ? -ENOENT : -EINVAL
  return -ENOENT
})
