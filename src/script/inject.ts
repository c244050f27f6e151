import { sockaddrLl } from '../host/abi.ts'
import { errnoName } from '../host/errno.ts'
import type { Host } from '../host/host.ts'
import { Process } from '../host/process.ts'
import { cableOf } from './commands/hw.ts'
import { SETTLED_MS } from './two_hosts.ts'

const AF_PACKET = 17
const SOCK_RAW = 3
const ETH_P_ALL = 3

/** the lines that make a device of each kind, with the addresses that `send` gives it */
export const injectable = {
  e1000: ['hw eth0 e1000', 'ip addr add 10.0.0.1/24 dev eth0', 'ip -6 addr add fd00::1/64 dev eth0 nodad'],
  virtio_net: ['hw eth0 virtio_net', 'ip addr add 10.0.0.1/24 dev eth0', 'ip -6 addr add fd00::1/64 dev eth0 nodad'],
  veth: [
    'ip link add eth0 type veth peer name eth0 netns peer',
    'ip addr add 10.0.0.1/24 dev eth0',
    'ip link set eth0 up',
    'ip -n peer link set eth0 up',
    'ip -6 addr add fd00::1/64 dev eth0 nodad',
  ],
  lo: [],
} as const
/** what kind of device frames are put before */
export type InjectableKind = keyof typeof injectable

/** Puts frames before a device of a host, as if they came in from outside. */
export interface Injector {
  /** MAC address of the device */
  readonly address: Uint8Array
  readonly mtu: number
  /** the function below which the receiving begins; null when nothing else runs */
  readonly root: string | null
  /** '' or why it could not be done */
  inject(frame: Uint8Array): string
}

/** The way into `name`, a device that `injectable` made. */
export function injectorOf(host: Host, kind: InjectableKind, name: string): Injector {
  const dev = host.netns('').dev_name_head.get(name)
  if (dev === undefined) throw new RangeError(`no device '${name}'`)
  const cable = cableOf(host, name)
  if (cable !== undefined) {
    host.sleep(SETTLED_MS)
    // the other card goes: what this host answers is seen on the cable, and nobody answers that
    cable.plug(1, { receive: () => {} })
    return {
      address: dev.dev_addr,
      mtu: dev.mtu,
      root: null,
      inject: (frame) => {
        cable.send(1, { bytes: frame, unfinished: null })
        return ''
      },
    }
  }
  // a program at the other end writes the frame to its device, as tcpreplay does; lo is its own other end
  const p = new Process(1300, 'replay', host.netns(kind === 'lo' ? '' : 'peer'))
  const fd = p.syscall('socket', AF_PACKET, SOCK_RAW, 0)
  if (fd < 0) throw new RangeError(`a packet socket: ${errnoName(-fd)}`)
  const to = sockaddrLl(p.interfaceIndex(name), ETH_P_ALL, new Uint8Array(0))
  return {
    address: dev.dev_addr,
    mtu: dev.mtu,
    root: 'net_rx_action',
    inject: (frame) => {
      const b = p.map(frame.length, frame)
      const sent = p.sendto(fd, b.address, frame.length, 0, to)
      p.unmap(b)
      return sent < 0 ? `the other end cannot send it: ${errnoName(-sent)}` : ''
    },
  }
}
