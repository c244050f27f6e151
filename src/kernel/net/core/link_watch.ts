import { clock } from '../../../sim/clock.ts'
import { events, type SimEvent } from '../../../sim/events.ts'
import { kfunc } from '../../../trace/kfunc.ts'
import { runAs } from '../../../trace/tracer.ts'
import { __LINK_STATE_LINKWATCH_PENDING, HZ, IFF_UP, NETREG_REGISTERED } from '../../include/generated/enums.ts'
import { subsys_initcall } from '../../include/linux/init.ts'
import { type net_device, netif_running } from '../../include/linux/netdevice.ts'
import { jiffies } from '../../kernel/time/timer.ts'
import { dev_activate, dev_deactivate } from '../sched/sch_generic.ts'
import {
  __dev_get_by_index,
  dev_get_iflink,
  netdev_state_change,
  netif_carrier_ok,
  netif_device_present,
  netif_dormant,
} from './dev.ts'

export const IF_OPER_UNKNOWN = 0
export const IF_OPER_NOTPRESENT = 1
export const IF_OPER_DOWN = 2
export const IF_OPER_LOWERLAYERDOWN = 3
export const IF_OPER_TESTING = 4
export const IF_OPER_DORMANT = 5
export const IF_OPER_UP = 6

const kworker = { kind: 'task', comm: 'kworker/u2:1', pid: 29, netns: '' } as const

/** devices whose link changed, first to last */
let lweventlist: net_device[] = []
/** jiffies: events that are not urgent wait until then */
let linkwatch_nextevent = 0
let urgent_pending = false
let work: SimEvent | null = null

subsys_initcall(() => {
  lweventlist = []
  linkwatch_nextevent = 0
  urgent_pending = false
  work = null
})

const default_operstate = (dev: net_device): number => {
  if (!netif_carrier_ok(dev)) {
    const iflink = dev.reg_state <= NETREG_REGISTERED ? dev_get_iflink(dev) : dev.ifindex
    if (iflink === dev.ifindex) return IF_OPER_DOWN
    const peer = __dev_get_by_index(dev.nd_net, iflink)
    if (peer === null) return IF_OPER_DOWN
    return netif_carrier_ok(peer) ? IF_OPER_DOWN : IF_OPER_LOWERLAYERDOWN
  }
  return netif_dormant(dev) ? IF_OPER_DORMANT : IF_OPER_UP
}

const rfc2863_policy = kfunc('rfc2863_policy', (dev: net_device): void => {
  dev.operstate = default_operstate(dev)
})

export const linkwatch_init_dev = kfunc('linkwatch_init_dev', (dev: net_device): void => {
  if (!netif_carrier_ok(dev) || netif_dormant(dev)) rfc2863_policy(dev)
})

const linkwatch_urgent_event = kfunc('linkwatch_urgent_event', (dev: net_device): boolean => {
  if (!netif_running(dev)) return false
  if (dev.ifindex !== dev_get_iflink(dev)) return true
  // a queue that has to be exchanged
  return netif_carrier_ok(dev) && dev._tx.some((txq) => txq.qdisc !== txq.qdisc_sleeping)
})

const linkwatch_add_event = kfunc('linkwatch_add_event', (dev: net_device): void => {
  if (dev.link_watch) return
  dev.link_watch = true
  lweventlist.push(dev)
})

const linkwatch_schedule_work = kfunc('linkwatch_schedule_work', (urgent: boolean): void => {
  let delay = linkwatch_nextevent - jiffies()
  if (urgent_pending) return
  if (urgent) {
    urgent_pending = true
    delay = 0
  }
  if (delay < 0 || delay > HZ) delay = 0
  if (urgent && work !== null) {
    events.cancel(work)
    work = null
  }
  work ??= events.add(clock.ns() + delay * (1e9 / HZ), () => {
    work = null
    runAs(kworker, linkwatch_event)
  })
})

const linkwatch_do_dev = kfunc('linkwatch_do_dev', (dev: net_device): void => {
  dev.state &= ~(1 << __LINK_STATE_LINKWATCH_PENDING)
  rfc2863_policy(dev)
  if (!(dev.flags & IFF_UP)) return
  if (netif_carrier_ok(dev)) dev_activate(dev)
  else dev_deactivate(dev)
  netdev_state_change(dev)
})

const __linkwatch_run_queue = kfunc('__linkwatch_run_queue', (urgent_only: boolean): void => {
  if (!urgent_only) linkwatch_nextevent = jiffies() + HZ
  else if (linkwatch_nextevent > jiffies() + HZ) linkwatch_nextevent = jiffies()
  urgent_pending = false
  const wrk = lweventlist
  lweventlist = []
  for (const dev of wrk) {
    if (!netif_device_present(dev) || (urgent_only && !linkwatch_urgent_event(dev))) {
      lweventlist.push(dev)
      continue
    }
    dev.link_watch = false
    linkwatch_do_dev(dev)
  }
  if (lweventlist.length > 0) linkwatch_schedule_work(false)
})

const linkwatch_event = kfunc('linkwatch_event', (): void => __linkwatch_run_queue(linkwatch_nextevent > jiffies()))

/** A device's link came or went: its queues and the routes by it follow a little later. */
export const linkwatch_fire_event = kfunc('linkwatch_fire_event', (dev: net_device): void => {
  const urgent = linkwatch_urgent_event(dev)
  if (!((dev.state >> __LINK_STATE_LINKWATCH_PENDING) & 1)) {
    dev.state |= 1 << __LINK_STATE_LINKWATCH_PENDING
    linkwatch_add_event(dev)
  } else if (!urgent) return
  linkwatch_schedule_work(urgent)
})
