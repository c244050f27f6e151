import fc from 'fast-check'

/** What a generated scenario sends, so that a test knows what has to arrive. */
export interface Send {
  /** the line of the scenario, without its `>` */
  line: string
  /** of the bytes that a stream's receiver reads, the last is out of band: it is not among them */
  outOfBand: boolean
  /** messages that a datagram socket makes of it: the lengths of each, when all of it is taken */
  messages: readonly number[]
}

export interface RandomScenario {
  /** devices, addresses, queues, rules */
  world: readonly string[]
  /** sockets, until both ends are there */
  sockets: readonly string[]
  sends: readonly Send[]
  kind: 'stream' | 'datagram'
  /** the descriptors' names, of the two ends and besides */
  sender: string
  receiver: string
  others: readonly string[]
  /** something on the way may lose packets, or nobody receives */
  lossy: boolean
  /** before the send of that number something goes wrong for good: what came until then has to be the beginning of what was sent */
  trouble: { before: number; lines: readonly string[] } | null
}

type Device = 'lo' | 'veth' | 'e1000' | 'virtio_net' | 'bridge' | 'vlan' | 'dummy'
type Family = 4 | 6

const ADDRESS: Record<Family, Record<'lo' | 'near' | 'far', string>> = {
  4: { lo: '127.0.0.1', near: '10.0.0.1', far: '10.0.0.2' },
  6: { lo: '::1', near: 'fd00::1', far: 'fd00::2' },
}

/** an address of a device, in both namespaces */
function addresses(near: string, far: string | null, family: Family): string[] {
  const [v, nodad, mask] = family === 6 ? ['-6 ', ' nodad', 64] : ['', '', 24]
  const out = [`ip ${v}addr add ${ADDRESS[family].near}/${mask} dev ${near}${nodad}`]
  if (far !== null) out.push(`ip -n peer ${v}addr add ${ADDRESS[family].far}/${mask} dev ${far}${nodad}`)
  return out
}

const veth = ['ip link add eth0 type veth peer name eth0 netns peer', 'ip link set eth0 up', 'ip -n peer link set eth0 up']

/** lines that make a device, and the names of what carries the address on the two sides */
function makeDevice(device: Device, family: Family): { lines: string[]; top: string } {
  switch (device) {
    case 'lo':
      return { lines: [], top: 'lo' }
    case 'veth':
      return { lines: [...veth, ...addresses('eth0', 'eth0', family)], top: 'eth0' }
    case 'e1000':
    case 'virtio_net':
      return { lines: [`hw eth0 ${device}`, ...addresses('eth0', 'eth0', family)], top: 'eth0' }
    case 'bridge':
      return {
        lines: [
          ...veth,
          'ip link add br0 type bridge',
          'ip link set eth0 master br0',
          'ip link set br0 up',
          ...addresses('br0', 'eth0', family),
        ],
        top: 'br0',
      }
    case 'vlan':
      return {
        lines: [
          ...veth,
          'ip link add link eth0 name eth0.10 type vlan id 10',
          'ip link set eth0.10 up',
          'ip -n peer link add link eth0 name eth0.10 type vlan id 10',
          'ip -n peer link set eth0.10 up',
          ...addresses('eth0.10', 'eth0.10', family),
        ],
        top: 'eth0.10',
      }
    case 'dummy':
      return {
        lines: ['ip link add eth0 type dummy', 'ip link set eth0 up', ...addresses('eth0', null, family)],
        top: 'eth0',
      }
  }
}

const device = fc.constantFrom<Device>('lo', 'lo', 'veth', 'veth', 'e1000', 'virtio_net', 'bridge', 'vlan', 'dummy')

const qdisc = fc.constantFrom(
  { line: 'noqueue', lossy: false },
  { line: 'pfifo_fast', lossy: false },
  { line: 'pfifo limit 1000', lossy: false },
  { line: 'bfifo limit 1000000', lossy: false },
  { line: 'bfifo limit 9000', lossy: true },
  { line: 'fq_codel', lossy: true },
  { line: 'fq', lossy: true },
  { line: 'prio', lossy: false },
  { line: 'tbf rate 10mbit burst 10kb latency 1s', lossy: true },
  { line: 'tbf rate 1mbit burst 1600 latency 50ms', lossy: true },
  { line: 'netem delay 20ms', lossy: false },
  { line: 'netem delay 5ms loss 10%', lossy: true },
  { line: 'netem duplicate 30%', lossy: false },
)

const offloads = fc.subarray(['tso off', 'gso off', 'tx off', 'sg off', 'gro off'])

const rules = fc.constantFrom<readonly string[]>(
  [],
  [],
  [
    'nft add table inet t',
    "nft 'add chain inet t o { type filter hook output priority 0; }'",
    'nft add rule inet t o counter accept',
  ],
  [
    'nft add table inet t',
    "nft 'add chain inet t o { type filter hook output priority 0; }'",
    'nft add rule inet t o ct state established,related,new accept',
  ],
  [
    'nft add table ip n',
    "nft 'add chain ip n p { type nat hook postrouting priority 100; }'",
    'nft add rule ip n p oifname eth0 masquerade',
  ],
)

const blackhole = [
  'ip netns exec peer nft add table inet z',
  "ip netns exec peer nft 'add chain inet z i { type filter hook input priority 0; policy drop; }'",
]
const trouble = fc.record({
  before: fc.integer({ min: 0, max: 5 }),
  lines: fc.constantFrom<readonly string[]>(
    ['close(s)'],
    ['setsockopt(s, SOL_SOCKET, SO_LINGER, {1,0})', 'close(s)'],
    ['shutdown(s, SHUT_RD)'],
    ['shutdown(c, SHUT_WR)'],
    ['shutdown(c, SHUT_RDWR)'],
    ['setsockopt(c, SOL_SOCKET, SO_LINGER, {1,0})', 'close(c)'],
    ['setsockopt(c, SOL_SOCKET, SO_LINGER, {1,1})', 'close(c)'],
    ['ip link set DEVICE down'],
    ['ip -n peer link set DEVICE down'],
    ['ip route add unreachable 10.0.0.2/32'],
    ['ip route add blackhole 10.0.0.2/32'],
    blackhole,
    ['connect(c, AF_UNSPEC)'],
  ),
})

const tcpOptions = fc.subarray([
  'SOL_TCP, TCP_NODELAY, 1',
  'SOL_TCP, TCP_MAXSEG, 700',
  'SOL_SOCKET, SO_SNDBUF, 9000',
  'SOL_SOCKET, SO_MAX_PACING_RATE, 2000000',
  'SOL_TCP, TCP_CONGESTION, "reno"',
  'SOL_SOCKET, SO_PRIORITY, 6',
  'SOL_SOCKET, SO_MARK, 7',
  'SOL_TCP, TCP_NOTSENT_LOWAT, 20000',
  'SOL_TCP, TCP_USER_TIMEOUT, 300000',
])

const udpOptions = fc.subarray([
  'SOL_SOCKET, SO_PRIORITY, 2',
  'SOL_SOCKET, SO_NO_CHECK, 1',
  'SOL_SOCKET, SO_MARK, 9',
  'SOL_IP, IP_TOS, 16',
  'SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT',
  'SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO',
])

const streamSize = fc.oneof(
  fc.integer({ min: 0, max: 2000 }),
  fc.integer({ min: 1400, max: 1500 }),
  fc.integer({ min: 2000, max: 20_000 }),
  fc.integer({ min: 20_000, max: 90_000 }),
)
const datagramSize = fc.oneof(
  fc.integer({ min: 0, max: 1500 }),
  fc.integer({ min: 1440, max: 1480 }),
  fc.integer({ min: 1480, max: 9000 }),
  fc.constantFrom(65_507, 65_508, 65_535),
)

interface Step {
  call: 'send' | 'write' | 'writev' | 'sendmsg' | 'sendmmsg' | 'sendfile' | 'zerocopy' | 'oob' | 'fault' | 'segment'
  sizes: number[]
  more: boolean
}
const step = (size: fc.Arbitrary<number>): fc.Arbitrary<Step> =>
  fc.record({
    call: fc.constantFrom<Step['call'][]>(
      'send',
      'send',
      'send',
      'write',
      'writev',
      'sendmsg',
      'sendmmsg',
      'sendfile',
      'zerocopy',
      'oob',
      'fault',
      'segment',
    ),
    sizes: fc.array(size, { minLength: 1, maxLength: 3 }),
    more: fc.boolean(),
  })

const sum = (a: readonly number[]): number => a.reduce((s, n) => s + n, 0)

/** a call on the connected socket `c`; null where it makes no sense for that kind of socket */
function sendLine(s: Step, stream: boolean, unix: boolean): Send | null {
  const [first = 0] = s.sizes
  const flags = `MSG_NOSIGNAL${stream ? '|MSG_DONTWAIT' : ''}${s.more && stream && !unix ? '|MSG_MORE' : ''}`
  const vector = `[${s.sizes.join(',')}]`
  const of = (line: string, messages: readonly number[], outOfBand = false): Send => ({ line, messages, outOfBand })
  switch (s.call) {
    case 'send':
      return of(`send(c, ${first}, ${flags})`, [first])
    case 'write':
      return of(`write(c, ${first})`, first > 0 || !stream ? [first] : [])
    case 'writev':
      return of(`writev(c, ${vector})`, [sum(s.sizes)])
    case 'sendmsg':
      return of(`sendmsg(c, ${vector}, ${flags})`, [sum(s.sizes)])
    case 'sendmmsg':
      return of(`sendmmsg(c, ${vector}, ${flags})`, s.sizes)
    case 'sendfile':
      return stream && first > 0 ? of(`sendfile(c, f, ${first})`, [first]) : null
    case 'zerocopy':
      return unix ? null : of(`send(c, ${first}, ${flags}|MSG_ZEROCOPY)`, [first])
    case 'oob':
      return stream && !unix && first > 0 ? of(`send(c, ${first}, ${flags}|MSG_OOB)`, [first], true) : null
    case 'fault':
      return of(`send(c, EFAULT/${first}, ${flags})`, [first])
    case 'segment':
      return stream || unix || first < 1 || first > 30_000
        ? null
        : of(
            `sendmsg(c, ${first}, ${flags}, UDP_SEGMENT=1000)`,
            Array.from({ length: Math.ceil(first / 1000) }, (_, i) => Math.min(1000, first - i * 1000)),
          )
  }
}

/** one out-of-band byte a connection: what a second one does to the first is another matter */
function sendsOf(steps: readonly Step[], stream: boolean, unix: boolean): Send[] {
  let urgent = false
  const out: Send[] = []
  for (const s of steps) {
    const line = sendLine(s, stream, unix)
    if (line === null || (line.outOfBand && urgent)) continue
    urgent ||= line.outOfBand
    out.push(line)
  }
  return out
}

const inet = fc
  .record({
    device,
    family: fc.constantFrom<Family[]>(4, 4, 4, 6),
    tcp: fc.boolean(),
    mtu: fc.constantFrom(0, 0, 0, 576, 1280, 1400, 9000),
    qdisc: fc.option(qdisc),
    offloads,
    rules,
    tcpOptions,
    udpOptions,
    cork: fc.boolean(),
    streamSteps: fc.array(step(streamSize), { minLength: 1, maxLength: 6 }),
    datagramSteps: fc.array(step(datagramSize), { minLength: 1, maxLength: 6 }),
    trouble: fc.option(trouble, { freq: 3 }),
  })
  .map((o): RandomScenario => {
    const { family } = o
    // nobody is behind a dummy: no handshake
    const tcp = o.tcp && o.device !== 'dummy'
    const { lines, top } = makeDevice(o.device, family)
    const world = ['f = open("/tmp/f", 1000000)', ...lines]
    const below = o.device === 'vlan' || o.device === 'bridge' ? 'eth0' : top
    // IPv6 wants 1280; the receive buffers of the e1000 are for frames of 1500
    const mtu = o.mtu === 0 || (family === 6 && o.mtu < 1280) || (o.device !== 'veth' && o.mtu > 1500) ? 0 : o.mtu
    if (mtu > 0)
      world.push(`ip link set ${top} mtu ${mtu}`, ...(o.device === 'lo' || o.device === 'dummy' ? [] : peerMtu(o.device, mtu)))
    // a packet that is larger than the queue or the bucket never gets through
    const wide = (o.device === 'lo' && mtu === 0) || mtu > 1500
    const queue = wide
      ? o.qdisc?.line.replace(/burst \S+ latency \S+/, 'burst 100kb latency 1s').replace('limit 9000', 'limit 100000')
      : o.qdisc?.line
    if (queue !== undefined) world.push(`tc qdisc replace dev ${below} root ${queue}`)
    if (o.device !== 'lo' && o.device !== 'dummy' && o.offloads.length > 0)
      world.push(`ethtool -K ${below} ${o.offloads.join(' ')}`)
    world.push(...o.rules)
    const at = o.device === 'lo' ? '' : ' @peer'
    const near = o.device === 'lo' ? ADDRESS[family].lo : ADDRESS[family].near
    const far = o.device === 'lo' ? ADDRESS[family].lo : ADDRESS[family].far
    const place = (a: string, port: number): string => (family === 6 ? `[${a}]:${port}` : `${a}:${port}`)
    const af = family === 6 ? 'AF_INET6' : 'AF_INET'
    const options = (level: readonly string[]): string[] => level.map((v) => `setsockopt(c, ${v})`)
    // on the loopback device there is no other end to lose
    const trouble =
      o.trouble === null ||
      (o.device === 'lo' && /^ip /.test(o.trouble.lines[0] ?? '')) ||
      (o.device === 'dummy' && /peer/.test(o.trouble.lines[0] ?? ''))
        ? null
        : { before: o.trouble.before, lines: o.trouble.lines.map((l) => l.replace('DEVICE', 'eth0')) }
    const lossy = o.device === 'dummy' || (o.qdisc?.lossy ?? false)
    if (tcp)
      return {
        world,
        sockets: [
          `l = socket(${af}, SOCK_STREAM, IPPROTO_TCP)${at}`,
          `bind(l, ${place(far, 8080)})${at}`,
          `listen(l, 8)${at}`,
          `c = socket(${af}, SOCK_STREAM, IPPROTO_TCP)`,
          `bind(c, ${place(near, 40000)})`,
          ...options(o.tcpOptions),
          'setsockopt(c, SOL_SOCKET, SO_ZEROCOPY, 1)',
          `connect(c, ${place(far, 8080)})`,
          `s = accept(l)${at}`,
          'fcntl(c, F_SETFL, O_NONBLOCK)',
          ...(o.cork ? ['setsockopt(c, SOL_TCP, TCP_CORK, 1)'] : []),
        ],
        sends: sendsOf(o.streamSteps, true, false),
        kind: 'stream',
        sender: 'c',
        receiver: 's',
        others: ['l'],
        lossy,
        trouble,
      }
    return {
      world,
      sockets: [
        `s = socket(${af}, SOCK_DGRAM, IPPROTO_UDP)${at}`,
        ...(o.device === 'dummy' ? [] : [`bind(s, ${place(far, 5000)})${at}`]),
        `c = socket(${af}, SOCK_DGRAM, IPPROTO_UDP)`,
        `bind(c, ${place(near, 40000)})`,
        ...options(o.udpOptions.filter((v) => family === 4 || !v.startsWith('SOL_IP'))),
        'setsockopt(c, SOL_SOCKET, SO_ZEROCOPY, 1)',
        `connect(c, ${place(far, 5000)})`,
      ],
      sends: sendsOf(o.datagramSteps, false, false),
      kind: 'datagram',
      sender: 'c',
      receiver: 's',
      others: [],
      lossy,
      trouble,
    }
  })

function peerMtu(device: Device, mtu: number): string[] {
  return [`ip -n peer link set ${device === 'vlan' ? 'eth0.10' : 'eth0'} mtu ${mtu}`]
}

const unix = fc
  .record({
    type: fc.constantFrom('SOCK_STREAM', 'SOCK_DGRAM', 'SOCK_SEQPACKET'),
    steps: fc.array(step(streamSize), { minLength: 1, maxLength: 6 }),
  })
  .map(({ type, steps }): RandomScenario => {
    const stream = type === 'SOCK_STREAM'
    return {
      world: ['f = open("/tmp/f", 1000000)'],
      sockets: [
        `socketpair(AF_UNIX, ${type})`,
        'c = dup(p0)',
        's = dup(p1)',
        'close(p0)',
        'close(p1)',
        'fcntl(c, F_SETFL, O_NONBLOCK)',
      ],
      sends: sendsOf(steps, stream, true),
      kind: stream ? 'stream' : 'datagram',
      sender: 'c',
      receiver: 's',
      others: [],
      lossy: false,
      trouble: null,
    }
  })

/** Hosts, devices, queues, rules, sockets and calls that are valid together, each a scenario. */
export const randomScenario: fc.Arbitrary<RandomScenario> = fc.oneof(
  { weight: 9, arbitrary: inet },
  { weight: 1, arbitrary: unix },
)

/** the whole as a scenario's text; the calls that send are traced */
export const scenarioText = (s: RandomScenario): string =>
  [...s.world, ...s.sockets, ...s.sends.flatMap((x, i) => [...(s.trouble?.before === i ? s.trouble.lines : []), `> ${x.line}`])]
    .map((l) => `${l}\n`)
    .join('')
