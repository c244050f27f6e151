import { kfunc } from '../../../trace/kfunc.ts'
import { core_initcall } from '../../include/linux/init.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import { atomic_notifier_call_chain, type atomic_notifier_head } from '../../kernel/notifier.ts'

export const SWITCHDEV_FDB_ADD_TO_DEVICE = 3
export const SWITCHDEV_FDB_DEL_TO_DEVICE = 4
export const SWITCHDEV_VXLAN_FDB_ADD_TO_DEVICE = 12
export const SWITCHDEV_VXLAN_FDB_DEL_TO_DEVICE = 13

/** struct switchdev_notifier_info */
export interface switchdev_notifier_info {
  dev: net_device
}

let switchdev_notif_chain: atomic_notifier_head = []
core_initcall(() => {
  switchdev_notif_chain = []
})

export const register_switchdev_notifier = kfunc(
  'register_switchdev_notifier',
  (notifier_call: (event: number, ptr: unknown) => number): void => {
    switchdev_notif_chain.push(notifier_call)
  },
)

/** tells drivers of switches, so that the hardware may forward as the kernel does: there are none, but bridges and tunnels listen too */
export const call_switchdev_notifiers = kfunc(
  'call_switchdev_notifiers',
  (val: number, dev: net_device, info: switchdev_notifier_info, _extack: null): number => {
    info.dev = dev
    return atomic_notifier_call_chain(switchdev_notif_chain, val, info)
  },
)
