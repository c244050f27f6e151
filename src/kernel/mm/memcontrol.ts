import { kfunc } from '../../trace/kfunc.ts'
import type { sock } from '../include/net/sock.ts'

// No memory cgroup limits sockets: the static key mem_cgroup_sockets_enabled is off.

export const mem_cgroup_sk_alloc = kfunc('mem_cgroup_sk_alloc', (_sk: sock): void => {})
export const mem_cgroup_sk_free = kfunc('mem_cgroup_sk_free', (_sk: sock): void => {})
