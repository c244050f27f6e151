import { kfunc } from '../../../trace/kfunc.ts'
import { ENOENT } from '../../include/linux/errno.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import { __dev_set_rx_mode } from './dev.ts'

const key = (addr: Uint8Array): string => Buffer.from(addr.buffer, addr.byteOffset, addr.length).toString('hex')

const __dev_mc_add = kfunc('__dev_mc_add', (dev: net_device, addr: Uint8Array, _global: boolean): number => {
  const k = key(addr.subarray(0, dev.addr_len))
  dev.mc.set(k, (dev.mc.get(k) ?? 0) + 1)
  __dev_set_rx_mode(dev)
  return 0
})
/** one more who wants what is sent to the group `addr` of the link */
export const dev_mc_add = kfunc('dev_mc_add', (dev: net_device, addr: Uint8Array): number => __dev_mc_add(dev, addr, false))

const __dev_mc_del = kfunc('__dev_mc_del', (dev: net_device, addr: Uint8Array, _global: boolean): number => {
  const k = key(addr.subarray(0, dev.addr_len))
  const users = dev.mc.get(k)
  if (users === undefined) return -ENOENT
  if (users > 1) dev.mc.set(k, users - 1)
  else dev.mc.delete(k)
  __dev_set_rx_mode(dev)
  return 0
})
export const dev_mc_del = kfunc('dev_mc_del', (dev: net_device, addr: Uint8Array): number => __dev_mc_del(dev, addr, false))

/** link addresses of the groups that a device wants */
export const dev_mc_list = (dev: net_device): Uint8Array[] => [...dev.mc.keys()].map((k) => Buffer.from(k, 'hex'))

/** what `from`, a device on top of `to`, has passed down: groups by device */
const synced = new WeakMap<net_device, Set<string>>()

/** makes the groups of a device those of the one below it as well */
export const dev_mc_sync = kfunc('dev_mc_sync', (to: net_device, from: net_device): number => {
  const before = synced.get(from) ?? new Set<string>()
  const now = new Set(from.mc.keys())
  synced.set(from, now)
  for (const k of now) if (!before.has(k)) dev_mc_add(to, Buffer.from(k, 'hex'))
  for (const k of before) if (!now.has(k)) dev_mc_del(to, Buffer.from(k, 'hex'))
  return 0
})
export const dev_mc_unsync = kfunc('dev_mc_unsync', (to: net_device, from: net_device): void => {
  for (const k of synced.get(from) ?? []) dev_mc_del(to, Buffer.from(k, 'hex'))
  synced.delete(from)
})
