import { kfunc } from '../../../trace/kfunc.ts'
import type { sock } from '../../include/net/sock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { migrate_disable, migrate_enable } from '../../kernel/sched/core.ts'

// no BPF program keeps anything with a socket

export const bpf_sk_storage_free = kfunc('bpf_sk_storage_free', (_sk: sock): void => {
  migrate_disable()
  rcu_read_lock()
  rcu_read_unlock()
  migrate_enable()
})

export const bpf_sk_storage_clone = kfunc('bpf_sk_storage_clone', (_sk: sock, _newsk: sock): number => {
  migrate_disable()
  rcu_read_lock()
  rcu_read_unlock()
  migrate_enable()
  return 0
})
