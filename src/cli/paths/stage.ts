import type { Cable } from '../../hardware/cable.ts'
import { sockaddrIn } from '../../host/abi.ts'
import { errnoName } from '../../host/errno.ts'
import { Host } from '../../host/host.ts'
import type { UdpFlow } from '../../host/udp_frame.ts'
import { loadNeeds, runnerOn } from '../../script/needs.ts'
import { nobody, Runner } from '../../script/runner.ts'
import { parseScenario, ScenarioError } from '../../script/scenario.ts'
import { SETTLED_MS } from '../../script/two_hosts.ts'
import { type Execution, runAs } from '../../trace/tracer.ts'
import { UsageError } from '../errors.ts'
import { Reader } from '../reader.ts'

/** What is the same for all ways of a comparison. */
export interface Setting {
  bytes: number
  device: 'e1000' | 'virtio_net'
  mtu: number
  /** ethtool -K's words: `tso off tx off` */
  offload: string
  /** commands of the host, before anything is sent */
  set: readonly string[]
  seed: number
}

const OWN = 0x0a000001
const PEER = 0x0a000002
const OWN_PORT = 40000
const PORT = 5000
const AF_INET = 2
export const SOCK_STREAM = 1
export const SOCK_DGRAM = 2
/** how often the other end looks, in nanoseconds, and how often when nothing came for so many looks */
const LOOK = 20_000
const RARELY = 1_000_000
const PATIENCE = 100
/** milliseconds: the step in which time passes, and how long nothing may happen before what has not arrived never will */
const STEP_MS = 60
const QUIET_MS = 10_000
const LONGEST_MS = 600_000
/** the sending program */
const program: Execution = { kind: 'task', comm: 'skbtrace', pid: 1234, netns: '' }

/** the commands that make the two hosts: what a user would type */
const setup = (s: Setting): string[] => [
  `hw eth0 ${s.device}`,
  ...(s.mtu === 1500 ? [] : [`ip link set eth0 mtu ${s.mtu}`, `ip -n peer link set eth0 mtu ${s.mtu}`]),
  'ip addr add 10.0.0.1/24 dev eth0',
  'ip -n peer addr add 10.0.0.2/24 dev eth0',
  ...(s.offload === '' ? [] : [`ethtool -K eth0 ${s.offload}`]),
  ...s.set,
  `sleep_ms(${SETTLED_MS})`,
]

/** Two hosts on a cable. On the other one a process reads whatever arrives; nothing is said of its work. */
export class Stage {
  readonly host: Host
  /** between both cards */
  readonly cable: Cable
  readonly #reader: Reader

  private constructor(host: Host, cable: Cable) {
    this.host = host
    this.cable = cable
    this.#reader = new Reader(host, 'peer')
  }

  /** bytes that the other end's program has read since run() */
  get arrived(): number {
    return this.#reader.read
  }

  /** @throws UsageError when a command is refused */
  static async make(setting: Setting): Promise<Stage> {
    const lines = setup(setting)
    try {
      const statements = parseScenario(lines.join('\n'))
      const needs = await loadNeeds(statements)
      const host = new Host({ seed: setting.seed })
      const runner = runnerOn(host, needs, nobody)
      for (const s of statements) runner.step(s)
      const { cableOf } = await import('../../script/commands/hw.ts')
      const cable = cableOf(host, 'eth0')
      if (cable === undefined) throw new UsageError('eth0 has no cable')
      return new Stage(host, cable)
    } catch (e) {
      if (e instanceof ScenarioError) throw new UsageError(`${lines[e.line - 1] ?? ''}: ${e.message}`)
      throw e
    }
  }

  /** @throws UsageError when a call fails: what was set lets nothing through */
  must(what: string, value: number): number {
    if (value < 0) throw new UsageError(`${what}: ${errnoName(-value)}: the other host cannot be reached like that`)
    return value
  }

  /** a socket of the sender, connected to the reader; the route and the neighbour are known then */
  connect(type: typeof SOCK_STREAM | typeof SOCK_DGRAM): number {
    const p = this.host.process
    const r = this.#reader.process
    const there = sockaddrIn(PEER, PORT)
    const here = this.must('socket', r.syscall('socket', AF_INET, type, 0))
    this.must('bind', r.bind(here, there))
    if (type === SOCK_STREAM) this.must('listen', r.syscall('listen', here, 8))
    const fd = this.must('socket', p.syscall('socket', AF_INET, type, 0))
    this.must('bind', p.bind(fd, sockaddrIn(OWN, OWN_PORT)))
    this.must('connect', p.connect(fd, there))
    this.host.sleep(1)
    if (type === SOCK_STREAM) {
      this.#reader.socket = this.must('accept', r.syscall('accept', here, 0, 0))
    } else {
      this.#reader.socket = here
      this.must('send', this.send(fd, 1))
    }
    this.#read()
    this.settle(type === SOCK_STREAM ? 0 : 1)
    return fd
  }

  send(fd: number, length: number, flags = 0): number {
    const b = this.host.process.map(length, 'pattern')
    return this.host.process.syscall('sendto', fd, b.address, length, flags, 0, 0)
  }

  #read(): void {
    /** how often nothing was there */
    let idle = 0
    this.#reader.start(LOOK, (n) => {
      idle = n === 0 ? idle + 1 : 0
      return idle < PATIENCE ? LOOK : RARELY
    })
  }

  /** the program does this; from here on counts what arrives */
  run(body: () => void): void {
    this.#reader.read = 0
    this.#read()
    runAs(program, body)
  }

  /** lets time pass until so many bytes have arrived, or nothing moves any more; and until what was sent is acknowledged and freed */
  settle(bytes: number): void {
    const moved = (): number => this.cable.frames[0] + this.cable.frames[1] + this.arrived
    let quiet = 0
    for (let ms = 0; ms < LONGEST_MS && quiet < (this.arrived < bytes ? QUIET_MS : STEP_MS); ms += STEP_MS) {
      const before = moved()
      this.host.sleep(STEP_MS)
      quiet = moved() === before ? quiet + STEP_MS : 0
    }
  }

  /** the datagrams that a program writes itself: who to whom */
  flow(): UdpFlow {
    const mac = (netns: string): Uint8Array => this.host.netns(netns).dev_name_head.get('eth0')?.dev_addr ?? new Uint8Array(6)
    return { sourceMac: mac(''), destMac: mac('peer'), source: OWN, dest: PEER, sourcePort: OWN_PORT, destPort: PORT }
  }

  /** runs a command of the host; it was loaded before */
  async command(line: string): Promise<void> {
    const statements = parseScenario(line)
    const { commands } = await loadNeeds(statements)
    const runner = new Runner(this.host, nobody, commands)
    for (const s of statements) runner.step(s)
  }
}
