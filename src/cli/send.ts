import type { Command } from 'commander'
import { ints } from '../host/abi.ts'
import { BEFORE_RECORDED, Host, WouldBlockForever } from '../host/host.ts'
import { constants as c, flagsByName } from '../script/constants.ts'
import { listen } from '../trace/tracer.ts'
import { UsageError } from './errors.ts'
import { checkNetns } from './options.ts'
import { commandLine, type Outputs, openOutputs } from './outputs.ts'
import { makeCall } from './send/call.ts'
import { addSendOptions, checkSend, type SendOptions } from './send/options.ts'
import { payload } from './send/payload.ts'
import { type InetAddress, type Place, World } from './send_world.ts'

/** `skbtrace send` */
export function addSend(program: Command): void {
  const c = program.command('send').description('send something, and see its way through the kernel')
  addSendOptions(c)
  c.addHelpText(
    'after',
    `
Examples:
  skbtrace send --bytes 65536 --device e1000
  skbtrace send --device virtio_net --offload tso=off,tx=off --netns all
  skbtrace send --proto udp --to 10.0.0.9:53 --device veth      nobody answers
  skbtrace send --device e1000 --delay 10ms --loss 5% --seed 7 --show rings
  skbtrace send --set 'nft add table ip t' --show 'ss -tiem'`,
  )
  c.action(async (dash: string | undefined, options: SendOptions) => {
    await send(dash, options)
  })
}

/** whether the kernel has to be told more than that there is a loopback device: the code for it is loaded only then */
const isConfigured = (o: SendOptions, ipv6: boolean): boolean =>
  o.device !== 'lo' ||
  ipv6 ||
  o.mtu !== undefined ||
  o.qdisc !== undefined ||
  o.offload.length > 0 ||
  o.set.length > 0 ||
  o.show.length > 0

const IPV4 = { lo: [0x7f000001, 0x7f000001], other: [0x0a000001, 0x0a000002] } as const

async function placeOf(o: SendOptions, ipv6: boolean): Promise<Place> {
  const local = o.device === 'lo'
  const [own4, peer4] = local ? IPV4.lo : IPV4.other
  let own: InetAddress = own4
  let peer: InetAddress = peer4
  let to: InetAddress = 0
  if (ipv6) {
    const { parseIn6 } = await import('../script/ipv6.ts')
    const read = (text: string): Uint8Array => {
      const a = parseIn6(text)
      if (a === null) throw new UsageError(`'${text}' is no IPv6 address`)
      return a
    }
    own = read(local ? '::1' : 'fd00::1')
    peer = read(local ? '::1' : 'fd00::2')
    if (o.to !== undefined) to = read(o.to.address)
  } else if (o.to !== undefined) to = o.to.address.split('.').reduce((a, p) => a * 256 + Number(p), 0)
  const hasPeer = !local && o.device !== 'dummy'
  return {
    own,
    // what a dummy device sends nobody gets: the reader is there for form's sake
    peer: hasPeer || local ? peer : own,
    netns: hasPeer ? 'peer' : '',
    to:
      o.to !== undefined
        ? { address: to, port: o.to.port, text: o.to.ipv6 ? `[${o.to.address}]:${o.to.port}` : `${o.to.address}:${o.to.port}` }
        : o.device === 'dummy'
          ? { address: peer, port: 8080, text: ipv6 ? '[fd00::2]:8080' : '10.0.0.2:8080' }
          : null,
    warm: hasPeer && o.to === undefined && !o.cold,
    slow: (o.delay ?? 0) > 0 || (o.loss ?? 0) > 0 || o.rate !== undefined || o.qdisc !== undefined || o.set.length > 0,
  }
}

async function send(dash: string | undefined, o: SendOptions): Promise<void> {
  checkSend(o)
  const flags = o.flags === undefined ? 0 : flagsByName(o.flags, 'MSG_')
  if (typeof flags === 'string')
    throw new UsageError(`--flags: '${flags}' is no flag that skbtrace knows (MSG_MORE, MSG_DONTWAIT, ...)`)
  const data = payload(dash, o)
  const ipv6 = o.ipv6 || o.to?.ipv6 === true
  const place = await placeOf(o, ipv6)
  const setup = isConfigured(o, ipv6) ? await (await import('./send/setup.ts')).prepare(o, ipv6) : null
  if (o.cc !== undefined) await (await import('../script/modules.ts')).loadModules([o.cc])
  const show = o.show.length > 0 ? (await import('./send/show.ts')).show : null
  const world = (): World => {
    const host = new Host({ seed: o.seed })
    setup?.configure(host)
    return new World(host, o.proto, place)
  }
  let w = world()
  checkNetns(o, w.host.netnsNames())
  // a connection that will not come about is what the trace is of: try it before anything is written
  const tries = mayFail(o, place)
  const refused = tries && !connects(w, o)
  if (tries) w = world()
  const outputs = await openOutputs(o, commandLine(process.argv.slice(2)), 'text', {
    bytes: (typeof data === 'number' ? data : data.length) * o.count,
  })
  try {
    listen(outputs.format)
    if (refused) traceConnect(w, o, outputs)
    else traceSend(w, o, outputs, data, flags)
    // what is on the way arrives, as in the recordings
    w.settle()
    listen(null)
    if (show !== null && setup !== null) for (const what of o.show) outputs.format.remark?.(show(w.host, o, setup, what))
    outputs.finish()
  } catch (e) {
    listen(null)
    outputs.abandon()
    throw e
  }
  if (setup !== null && setup.refused !== '') throw new UsageError(setup.refused)
}

/** whether somebody else than the reader is asked, or something may stand between */
const mayFail = (o: SendOptions, place: Place): boolean => o.to !== undefined || place.slow || o.mtu !== undefined

const optionsOf =
  (w: World, o: SendOptions) =>
  (when: 'before' | 'after', fd: number): void =>
    setOptions(w, o, when, fd)

function connects(w: World, o: SendOptions): boolean {
  if (o.proto === 'unix') return true
  w.open(optionsOf(w, o))
  try {
    return w.dial() >= 0
  } catch (e) {
    if (e instanceof WouldBlockForever) return false
    throw e
  }
}

function traceConnect(w: World, o: SendOptions, outputs: Outputs): void {
  w.open(optionsOf(w, o))
  outputs.format.begin(`> ${w.connectTitle}`, null)
  outputs.format.end(w.attempt(() => w.dial()))
}

function traceSend(w: World, o: SendOptions, outputs: Outputs, data: Uint8Array | number, flags: number): void {
  w.connect(optionsOf(w, o))
  const call = makeCall(w, o, data, flags)
  for (let i = 0; i < (o.call === 'sendmmsg' ? 1 : o.count); i++) {
    // its interrupts wait for each other: without this pause those of the handshake would come in the call
    if (o.device === 'e1000') w.host.sleep(BEFORE_RECORDED)
    outputs.format.begin(`> ${call.title}`, null)
    outputs.format.end(w.attempt(call.make))
    w.host.runDue()
  }
}

/** options of the socket, before or after it is connected */
function setOptions(w: World, o: SendOptions, when: 'before' | 'after', fd: number): void {
  const set = (option: string, level: number | undefined, name: number | undefined, value: Uint8Array): void => {
    const error = w.setsockopt(fd, level ?? 0, name ?? 0, value)
    if (error !== '') throw new UsageError(`${option}: the kernel refuses it (${error})`)
  }
  if (when === 'before') {
    if (o.sndbuf !== undefined) set(`--sndbuf ${o.sndbuf}`, c.SOL_SOCKET, c.SO_SNDBUF, ints(o.sndbuf))
    if (o.mss !== undefined) set(`--mss ${o.mss}`, c.SOL_TCP, c.TCP_MAXSEG, ints(o.mss))
    if (o.cc !== undefined) set(`--cc ${o.cc}`, c.SOL_TCP, c.TCP_CONGESTION, new TextEncoder().encode(o.cc))
    return
  }
  if (o.nodelay) set('--nodelay', c.SOL_TCP, c.TCP_NODELAY, ints(1))
  if (o.cork && o.proto === 'udp') set('--cork', c.SOL_UDP, c.UDP_CORK, ints(1))
  else if (o.cork) set('--cork', c.SOL_TCP, c.TCP_CORK, ints(1))
  if (o.zerocopy) set('--zerocopy', c.SOL_SOCKET, c.SO_ZEROCOPY, ints(1))
  if (o.udpSegment !== undefined) set(`--udp-segment ${o.udpSegment}`, c.SOL_UDP, c.UDP_SEGMENT, ints(o.udpSegment))
}
