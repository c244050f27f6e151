import { type Command, InvalidArgumentError, Option } from 'commander'
import { UsageError } from '../errors.ts'
import { addTraceOptions, features, gather, size, type TraceOptions, wholeNumber } from '../options.ts'

/** what one system call transfers at most: MAX_RW_COUNT */
export const MOST = 0x7ffff000

type Device = 'lo' | 'veth' | 'e1000' | 'virtio_net' | 'dummy'

/** `skbtrace send`'s own options, as commander has read them. */
export interface SendOptions extends TraceOptions {
  bytes?: number
  data?: string
  file?: string
  proto: 'tcp' | 'udp' | 'unix'
  call: 'send' | 'write' | 'sendto' | 'sendmsg' | 'writev' | 'sendmmsg' | 'sendfile'
  entry?: 'send' | 'sendto'
  flags?: string
  count: number
  nodelay: boolean
  cork: boolean
  zerocopy: boolean
  udpSegment?: number
  cc?: string
  mss?: number
  sndbuf?: number
  device: Device
  ipv6: boolean
  to?: Target
  cold: boolean
  mtu?: number
  qdisc?: string
  offload: string[]
  /** nanoseconds */
  delay?: number
  /** 0 to 1 */
  loss?: number
  /** bits a second */
  rate?: number
  set: string[]
  show: string[]
}

/** an address and a port, as the user wrote them */
interface Target {
  readonly address: string
  readonly port: number
  readonly ipv6: boolean
}

/** `10.0.0.2:80`, `[fd00::2]:80` */
function target(text: string): Target {
  const m = /^(?:\[([0-9a-fA-F:.]+)\]|(\d+\.\d+\.\d+\.\d+)):(\d+)$/.exec(text)
  const address = m?.[1] ?? m?.[2] ?? ''
  const port = Number(m?.[3] ?? Number.NaN)
  const parts = m?.[2]?.split('.').map(Number)
  if (address === '' || !(port <= 65535) || parts?.some((p) => p > 255))
    throw new InvalidArgumentError('It must be an address and a port, such as 10.0.0.2:8080 or [fd00::2]:8080.')
  return { address, port, ipv6: m?.[1] !== undefined }
}

const measure =
  (pattern: RegExp, units: Readonly<Record<string, number>>, what: string) =>
  (text: string): number => {
    const m = pattern.exec(text.trim())
    const v = m === null ? Number.NaN : Number(m[1]) * (units[(m[2] ?? '').toLowerCase()] ?? Number.NaN)
    if (!Number.isFinite(v)) throw new InvalidArgumentError(`It must be ${what}.`)
    return v
  }

/** as tc(8) writes them; nanoseconds */
const time = measure(/^(\d+(?:\.\d+)?)(ns|us|ms|s)$/i, { ns: 1, us: 1e3, ms: 1e6, s: 1e9 }, 'a time such as 10ms or 500us')
/** bits a second */
const rate = measure(
  /^(\d+(?:\.\d+)?)(bit|kbit|mbit|gbit|tbit)$/i,
  { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9, tbit: 1e12 },
  'a rate such as 100mbit or 1gbit',
)
const percent = measure(/^(\d+(?:\.\d+)?)(%)$/, { '%': 0.01 }, 'a share such as 1%')

function share(text: string): number {
  const v = percent(text)
  if (v > 1) throw new InvalidArgumentError('It must be at most 100%.')
  return v
}

function positiveRate(text: string): number {
  const v = rate(text)
  if (v === 0) throw new InvalidArgumentError('Nothing would ever arrive at a rate of 0.')
  return v
}

/** declares them, and those that all traces have */
export function addSendOptions(c: Command): Command {
  c.argument('[-]', 'send what comes in on standard input')
    .optionsGroup('What is sent, and how:')
    .option('--bytes <n>', 'so many bytes, byte i being i & 0xff (4096, 64K, 256M)', size(0, MOST))
    .option('--data <text>', 'this text')
    .option('--file <path>', 'the bytes of a file; - is standard input')
    .addOption(new Option('--proto <protocol>', 'over').choices(['tcp', 'udp', 'unix']).default('tcp'))
    .addOption(
      new Option('--call <call>', 'the call that is made')
        .choices(['send', 'write', 'sendto', 'sendmsg', 'writev', 'sendmmsg', 'sendfile'])
        .default('send'),
    )
    .addOption(new Option('--entry <call>', "where send() enters (in x86-64's C library: sendto)").choices(['send', 'sendto']))
    .option('--flags <names>', 'MSG_MORE,MSG_DONTWAIT,...')
    .option('--count <n>', 'so many times (sendmmsg: messages); default 1', wholeNumber(1, 1_000_000), 1)
    .option('--nodelay', 'set TCP_NODELAY first', false)
    .option('--cork', 'set TCP_CORK (UDP_CORK) first', false)
    .option('--zerocopy', 'set SO_ZEROCOPY first, and send with MSG_ZEROCOPY', false)
    .option('--udp-segment <n>', 'set UDP_SEGMENT first: datagrams of n bytes from one call', wholeNumber(1, 65535))
    .option('--cc <name>', 'congestion control: cubic, reno, bbr')
    .option('--mss <n>', 'set TCP_MAXSEG first', wholeNumber(1, 65535))
    .option('--sndbuf <n>', 'set SO_SNDBUF first', size(0, 0x7fffffff))
    .optionsGroup('By which way (the other end is the namespace peer, 10.0.0.2 or fd00::2):')
    .addOption(new Option('--device <device>', 'through').choices(['lo', 'veth', 'e1000', 'virtio_net', 'dummy']).default('lo'))
    .option('--ipv6', 'over IPv6', false)
    .option('--to <addr:port>', 'to whom else, who may not be there', target)
    .option('--cold', 'udp: nobody has asked for the neighbour yet', false)
    .option('--mtu <n>', 'of the device, at both ends', wholeNumber(0, 0x7fffffff))
    .option('--qdisc <qdisc>', "its queue discipline, in tc's words: 'fq_codel limit 100'")
    .option('--offload <list>', "its features, in ethtool -K's words: tso=off,tx=off", features, [])
    .option('--delay <time>', 'e1000, virtio_net: of the cable, 10ms', time)
    .option('--loss <share>', 'so much is lost on it, 1%', share)
    .option('--rate <rate>', 'so fast it is, 1gbit', positiveRate)
    .option('--set <command>', "a command of the host first: 'ip route add ...', 'nft ...'", gather, [])
    .option('--show <what>', "at the end: rings, registers, or a command: 'tc -s qdisc'", gather, [])
  return addTraceOptions(c, 'text')
}

/** @throws UsageError for options that do not go together */
export function checkSend(o: SendOptions): void {
  const only = (option: string, given: boolean, where: boolean, what: string): void => {
    if (given && !where) throw new UsageError(`${option} is for ${what}`)
  }
  const inet = o.proto !== 'unix'
  only('--nodelay', o.nodelay, o.proto === 'tcp', '--proto tcp')
  only('--cc', o.cc !== undefined, o.proto === 'tcp', '--proto tcp')
  only('--mss', o.mss !== undefined, o.proto === 'tcp', '--proto tcp')
  only('--cork', o.cork, inet, '--proto tcp or udp')
  only('--zerocopy', o.zerocopy, inet, '--proto tcp or udp')
  only('--udp-segment', o.udpSegment !== undefined, o.proto === 'udp', '--proto udp')
  only('--entry', o.entry !== undefined, o.call === 'send', '--call send')
  const flagless = o.call === 'write' || o.call === 'writev' || o.call === 'sendfile'
  only('--flags', o.flags !== undefined, !flagless, 'calls that take flags: send, sendto, sendmsg, sendmmsg')
  only('--zerocopy', o.zerocopy, !flagless, 'calls that take flags: send, sendto, sendmsg, sendmmsg')
  for (const [option, given] of [
    ['--device', o.device !== 'lo'],
    ['--ipv6', o.ipv6],
    ['--to', o.to !== undefined],
    ['--mtu', o.mtu !== undefined],
    ['--qdisc', o.qdisc !== undefined],
    ['--offload', o.offload.length > 0],
  ] as const)
    only(option, given, inet, '--proto tcp or udp: AF_UNIX sockets meet no device')
  const cable = o.device === 'e1000' || o.device === 'virtio_net'
  for (const [option, given] of [
    ['--delay', o.delay !== undefined],
    ['--loss', o.loss !== undefined],
    ['--rate', o.rate !== undefined],
  ] as const)
    only(option, given, cable, "a cable: --device e1000 or virtio_net (elsewhere --qdisc 'netem delay 10ms loss 1%')")
  only('--cold', o.cold, o.proto === 'udp', '--proto udp: a connection asks for the neighbour itself')
  if (o.device === 'dummy' && o.proto === 'tcp')
    throw new UsageError('--device dummy swallows what it is sent, so that no connection is answered: --proto udp')
  if (o.to !== undefined && !o.to.ipv6 && o.ipv6)
    throw new UsageError(`--to ${o.to.address}:${o.to.port} is an IPv4 address, and --ipv6 wants one such as [fd00::2]:8080`)
  const ipv6 = o.ipv6 || o.to?.ipv6 === true
  // RFC 791 and RFC 8200: with less, Linux takes the protocol and its addresses off the device
  const least = ipv6 ? 1280 : 68
  if (o.mtu !== undefined && o.mtu < least)
    throw new UsageError(`--mtu ${o.mtu}: ${ipv6 ? 'IPv6' : 'IPv4'} wants ${least} bytes at least`)
  for (const what of o.show)
    if (what === 'rings' || what === 'registers') only(`--show ${what}`, true, cable, 'a card: --device e1000 or virtio_net')
}
