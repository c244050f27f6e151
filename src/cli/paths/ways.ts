import { ints, sockaddrLl } from '../../host/abi.ts'
import { BURST, MODEL, takeCard } from '../../host/pmd.ts'
import { HEADERS, writeUdpFrame } from '../../host/udp_frame.ts'
import { dma_space } from '../../kernel/kernel/dma/mapping.ts'
import { constants as c } from '../../script/constants.ts'
import { loadModules } from '../../script/modules.ts'
import { clock } from '../../sim/clock.ts'
import { listen } from '../../trace/tracer.ts'
import { Meter, type Taken } from './meter.ts'
import { type Setting, SOCK_DGRAM, SOCK_STREAM, Stage } from './stage.ts'

/** One way to send the same bytes. */
export interface Way {
  /** how it is called on the command line, and at the head of its column */
  readonly name: string
  /** what the program does */
  readonly what: string
  /** whether the program's own work counts too: then it is a model's number, not a measured one */
  readonly modelled: boolean
  run(setting: Setting): Promise<Result>
}

/** What one way took. */
export interface Result {
  taken: Taken
  /** bytes that the program at the other end has read */
  arrived: number
}

const IP_UDP = 28
const ETH_P_IP = 0x0800
const AF_PACKET = 17
const SOCK_RAW = 3
/** the most that one datagram can carry, and with UDP_SEGMENT all its segments: 65535 less the headers */
const MOST = 65507
/** UDP_MAX_SEGMENTS */
const SEGMENTS = 128

/** counts what `body` does, until all of it is done and freed */
function measured(stage: Stage, bytes: number, body: () => void, after: () => void = () => {}): Result {
  const meter = new Meter()
  listen(meter)
  try {
    stage.run(body)
    stage.settle(bytes)
    after()
  } finally {
    listen(null)
  }
  return { taken: meter.taken, arrived: stage.arrived }
}

/** a TCP connection that has sent the same once: its window is open, its buffers are made */
async function tcp(setting: Setting, prepare: (stage: Stage, fd: number) => () => number, flags: string): Promise<Result> {
  const stage = await Stage.make(setting)
  const fd = stage.connect(SOCK_STREAM)
  const send = prepare(stage, fd)
  stage.run(() => stage.must('send', send()))
  stage.settle(setting.bytes)
  const p = stage.host.process
  const room = p.map(128, 'pattern')
  const control = new Uint8Array(128)
  const completions = (): void => {
    if (flags !== '') while (p.msg('recvmsg', fd, [room], (c.MSG_ERRQUEUE ?? 0) | (c.MSG_DONTWAIT ?? 0), null, control) >= 0);
  }
  completions()
  return measured(stage, setting.bytes, () => stage.must('send', send()), completions)
}

/** cuts `bytes` into pieces of at most `most` */
function* pieces(bytes: number, most: number): Generator<number> {
  for (let left = bytes; left > 0; left -= most) yield Math.min(left, most)
}

const mss = (s: Setting): number => s.mtu - IP_UDP

async function udp(setting: Setting, most: number, prepare: (stage: Stage, fd: number) => void): Promise<Result> {
  const stage = await Stage.make(setting)
  const fd = stage.connect(SOCK_DGRAM)
  prepare(stage, fd)
  return measured(stage, setting.bytes, () => {
    for (const n of pieces(setting.bytes, most)) {
      stage.must('send', stage.send(fd, n))
      stage.host.runDue()
    }
  })
}

async function packet(setting: Setting): Promise<Result> {
  await loadModules(['AF_PACKET'])
  const stage = await Stage.make(setting)
  stage.connect(SOCK_DGRAM)
  const p = stage.host.process
  const fd = stage.must('socket', p.syscall('socket', AF_PACKET, SOCK_RAW, 0))
  const flow = stage.flow()
  const to = sockaddrLl(p.interfaceIndex('eth0'), ETH_P_IP, flow.destMac)
  const data = payload(setting.bytes)
  return measured(stage, setting.bytes, () => {
    let id = 0
    let at = 0
    for (const n of pieces(setting.bytes, mss(setting))) {
      const frame = new Uint8Array(HEADERS + n)
      writeUdpFrame(frame, flow, ++id, data.subarray(at, at + n), false)
      // the program leaves the UDP checksum out, as RFC 768 lets it: it would have to read every byte
      frame.fill(0, 40, 42)
      at += n
      clock.now += MODEL.headers
      // headers and payload lie apart: nothing is copied in the program
      const parts = [p.map(HEADERS, frame.slice(0, HEADERS)), p.map(n, frame.slice(HEADERS))]
      stage.must('sendmsg', p.msg('sendmsg', fd, parts, 0, to, null))
      stage.host.runDue()
    }
  })
}

async function bypass(setting: Setting): Promise<Result> {
  const stage = await Stage.make(setting)
  stage.connect(SOCK_DGRAM)
  const flow = stage.flow()
  await stage.command('ip link set eth0 down')
  // what the kernel still does about that is not the program's
  stage.settle(0)
  const driver = takeCard(setting.device, dma_space, stage.cable, 0, { name: 'eth0', netnsName: '' })
  const data = payload(setting.bytes)
  const burst = BURST * mss(setting)
  return measured(stage, setting.bytes, () => {
    for (let at = 0; at < data.length; at += burst) {
      driver.send(data.subarray(at, at + burst), mss(setting), flow)
      stage.host.runDue()
    }
  })
}

const payload = (bytes: number): Uint8Array => Uint8Array.from({ length: bytes }, (_, i) => i & 0xff)

export const ways: readonly Way[] = [
  {
    name: 'send',
    what: 'send() on a TCP socket',
    modelled: false,
    run: (s) => tcp(s, (stage, fd) => () => stage.send(fd, s.bytes), ''),
  },
  {
    name: 'zerocopy',
    what: 'the same with MSG_ZEROCOPY, and recvmsg(MSG_ERRQUEUE) for the completion',
    modelled: false,
    run: (s) =>
      tcp(
        s,
        (stage, fd) => {
          stage.must('SO_ZEROCOPY', stage.host.process.setsockopt(fd, c.SOL_SOCKET ?? 0, c.SO_ZEROCOPY ?? 0, ints(1)))
          return () => stage.send(fd, s.bytes, c.MSG_ZEROCOPY)
        },
        'MSG_ZEROCOPY',
      ),
  },
  {
    name: 'sendfile',
    what: 'sendfile() of a file that is in the page cache',
    modelled: false,
    run: (s) =>
      tcp(
        s,
        (stage, fd) => {
          const p = stage.host.process
          const files = ['/tmp/first', '/tmp/second'].map((path) => stage.must('open', p.openFile(path, s.bytes)))
          return () => p.syscall('sendfile', fd, files.shift() ?? -1, 0, s.bytes)
        },
        '',
      ),
  },
  { name: 'udp', what: 'send() on a UDP socket, a datagram a frame', modelled: false, run: (s) => udp(s, mss(s), () => {}) },
  {
    name: 'udp_segment',
    what: 'the same with UDP_SEGMENT: few large datagrams, cut below',
    modelled: false,
    run: (s) =>
      udp(s, Math.min(Math.floor(MOST / mss(s)), SEGMENTS) * mss(s), (stage, fd) => {
        stage.must('UDP_SEGMENT', stage.host.process.setsockopt(fd, c.SOL_UDP ?? 0, c.UDP_SEGMENT ?? 0, ints(mss(s))))
      }),
  },
  { name: 'packet', what: 'sendmsg() on an AF_PACKET socket: the program writes the headers', modelled: true, run: packet },
  { name: 'bypass', what: "the program writes the card's descriptors itself, as DPDK's drivers do", modelled: true, run: bypass },
]
