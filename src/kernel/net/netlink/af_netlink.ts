import { kfunc } from '../../../trace/kfunc.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'

/** nobody listens on netlink in this simulation */
export const netlink_has_listeners = kfunc('netlink_has_listeners', (_sk: unknown, _group: number): number => {
  rcu_read_lock()
  rcu_read_unlock()
  return 0
})
