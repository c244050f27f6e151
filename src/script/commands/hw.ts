import { Cable } from '../../hardware/cable.ts'
import type { Host } from '../../host/host.ts'
import { e1000_probe } from '../../kernel/drivers/net/ethernet/intel/e1000/e1000_main.ts'
import { virtnet_probe } from '../../kernel/drivers/net/virtio_net.ts'
import { load_modules } from '../../kernel/include/linux/init.ts'
import { type net_device, netdev_get_tx_queue } from '../../kernel/include/linux/netdevice.ts'
import { dev_open } from '../../kernel/net/core/dev.ts'
import { nf_hooks_elsewhere } from '../../kernel/net/netfilter/core.ts'
import '../../kernel/net/sched/sch_fq_codel.ts'
import { tracer } from '../../trace/tracer.ts'
import { failed, type Outcome, ok } from '../command.ts'

const drivers = {
  e1000: {
    probe: e1000_probe,
    mac: (end: number) => Uint8Array.of(0x52, 0x54, 0, 0, 0xe1, 1 + end),
    // Linux has IPv6 on until it is turned off: the cards of the recordings had sent a multicast listener report of 90 bytes each
    // when their link came up. With IPv6 they do so here, once it does.
    limit: 90,
    grown: false,
    // its driver sees the link 2.04 s after the card was opened: when the host has its addresses, as in the recordings
    lasts: 2026,
  },
  virtio_net: {
    probe: virtnet_probe,
    mac: (end: number) => Uint8Array.of(0x52, 0x54, 0, 0, 0xf1, 1 + end),
    // the driver keeps the byte queue limit while the device is down: in the recordings it had grown before
    limit: 65536,
    grown: true,
    // its link is up at once: what it says then is said
    lasts: 20,
  },
}
const isDriver = (name: string): name is keyof typeof drivers => Object.hasOwn(drivers, name)

const cables = new WeakMap<Host, Map<string, Cable>>()

/** the cable between the host's card `name` and the peer's */
export const cableOf = (host: Host, name: string): Cable | undefined => cables.get(host)?.get(name)

/** `hw eth0 e1000`: a card, one of the same kind in the namespace `peer`, and a cable between them; both ends up */
export function hw(host: Host, words: readonly string[], _netns: string): Outcome {
  const [, name, driver, ...rest] = words
  if (name === undefined || driver === undefined || rest.length > 0) return failed('usage: hw DEVICE e1000|virtio_net')
  if (!isDriver(driver)) return failed(`hw: no driver '${driver}': there are ${Object.keys(drivers).join(', ')}`)
  load_modules()
  // on the recorded machine that had cards no other namespace had netfilter hooks: docs/architecture.md
  nf_hooks_elsewhere(false)
  const { probe, mac, ...limits } = drivers[driver]
  const cable = new Cable()
  const devices: net_device[] = []
  for (const end of [0, 1] as const) {
    const n = host.netns(end === 0 ? '' : 'peer')
    if (n.dev_name_head.has(name)) return failed(`hw: '${name}' is there already`)
    const dev = probe(n, name, mac(end), cable, end)
    if (typeof dev === 'number') return failed(`hw: ${name}: error ${-dev}`)
    devices.push(dev)
  }
  // a capture begins when the card is there: what it says while its link comes up is not in it
  const { on } = tracer
  tracer.on = false
  try {
    const err = bringUp(host, devices, limits)
    if (err < 0) return failed(`hw: ${name}: error ${-err}`)
  } finally {
    tracer.on = on
  }
  let mine = cables.get(host)
  if (mine === undefined) {
    mine = new Map()
    cables.set(host, mine)
  }
  mine.set(name, cable)
  return ok()
}

interface Limits {
  /** bytes that the byte queue limit begins with */
  readonly limit: number
  readonly grown: boolean
  /** milliseconds that the command takes */
  readonly lasts: number
}

/** Opens the cards. With IPv6 both say to which groups they listen when their link comes up. */
function bringUp(host: Host, devices: readonly net_device[], { limit, grown, lasts }: Limits): number {
  for (const dev of devices) {
    const err = dev_open(dev)
    if (err < 0) return err
  }
  host.sleep(lasts)
  for (const dev of devices) {
    const { dql } = netdev_get_tx_queue(dev, 0)
    if (dql.num_completed > 0 && !grown) continue
    dql.limit = limit
    dql.adj_limit = limit + dql.num_completed
  }
  return 0
}
