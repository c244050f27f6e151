import { kfunc } from '../../../trace/kfunc.ts'
import type { sock } from '../../include/net/sock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../rcu.ts'

// There is the root cgroup only. A socket holds a reference to the programs that could be attached to it.

const cgroup_bpf_get = (): void => {
  rcu_read_lock()
  rcu_read_unlock()
}
const cgroup_bpf_put = cgroup_bpf_get

export const cgroup_sk_alloc = kfunc('cgroup_sk_alloc', (_skcd: sock): void => {
  rcu_read_lock()
  cgroup_bpf_get()
  rcu_read_unlock()
})

export const cgroup_sk_clone = kfunc('cgroup_sk_clone', (_skcd: sock): void => cgroup_bpf_get())

export const cgroup_sk_free = kfunc('cgroup_sk_free', (_skcd: sock): void => cgroup_bpf_put())
