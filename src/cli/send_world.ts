import { sockaddrIn, sockaddrIn6 } from '../host/abi.ts'
import { errnoName } from '../host/errno.ts'
import { AFTERMATH, type Host } from '../host/host.ts'
import { Process } from '../host/process.ts'
import { NR_send } from '../kernel/arch/x86/entry/common.ts'
import { WouldBlockForever } from '../kernel/kernel/sched/core.ts'
import { clock } from '../sim/clock.ts'
import { events, type SimEvent } from '../sim/events.ts'
import { UsageError } from './errors.ts'

const SENDER_PORT = 40000
const PORT = 8080
const AF_UNIX = 1
const AF_INET = 2
const AF_INET6 = 10
const SOCK_STREAM = 1
const SOCK_DGRAM = 2
const MSG_DONTWAIT = 0x40

/** how often a reader looks, in nanoseconds: at first, and soon after; when nothing comes for longer, it waits longer */
const SOON = 20_000
const LATER = 1e6
/** how long what was sent is waited for, in milliseconds of virtual time: until TCP gives up retransmitting it is far longer */
const PATIENCE = 60_000

/** an address: `10.0.0.2` as a number, or the 16 bytes of an IPv6 one */
export type InetAddress = number | Uint8Array

/** Where the two ends are. */
export interface Place {
  /** of the sender's socket */
  readonly own: InetAddress
  /** of the reader's */
  readonly peer: InetAddress
  /** network namespace of the reader */
  readonly netns: string
  /** whom the sender writes to, and how that reads; null: the reader */
  readonly to: { readonly address: InetAddress; readonly port: number; readonly text: string } | null
  /** udp: a datagram goes before, so that the neighbour is known */
  readonly warm: boolean
  /** a cable loses, delays or waits: what was sent is waited for until it has been read */
  readonly slow: boolean
}

const LOCALHOST = 0x7f000001
const loopback: Place = { own: LOCALHOST, peer: LOCALHOST, netns: '', to: null, warm: false, slow: false }

const sockaddr = (a: InetAddress, port: number): Uint8Array =>
  typeof a === 'number' ? sockaddrIn(a, port) : sockaddrIn6(a, port)
const any = (a: InetAddress): InetAddress => (typeof a === 'number' ? 0 : new Uint8Array(16))
/** `10.0.0.2:8080`, for an IPv4 address */
const dotted = (a: number, port: number): string => `${a >>> 24}.${(a >>> 16) & 255}.${(a >>> 8) & 255}.${a & 255}:${port}`

/** A call outside of what the user asked for did not work: what it was, and the error. */
export class SetupFailed extends UsageError {
  readonly call: string
  readonly errno: number

  constructor(call: string, errno: number) {
    super(`${call}: ${errnoName(errno)}`)
    this.call = call
    this.errno = errno
  }
}

/** Two processes, a socket of each, connected: one sends, the other reads whatever arrives. On one host, or on two. */
export class World {
  readonly host: Host
  readonly #proto: 'tcp' | 'udp' | 'unix'
  readonly #place: Place
  readonly #reader: Process
  #event: SimEvent | null = null
  #wait = SOON
  #room = 0
  #idle = 0
  /** bytes that were read, and that the sender's calls took */
  #read = 0
  #taken = 0
  /** of the sending process */
  fd = -1
  #peer = -1
  destination: Uint8Array | null = null
  readonly destinationName: string

  constructor(host: Host, proto: 'tcp' | 'udp' | 'unix', place: Place = loopback) {
    this.host = host
    this.#proto = proto
    this.#place = place
    const { peer, to } = place
    this.destinationName = to?.text ?? (typeof peer === 'number' ? dotted(peer, PORT) : `[fd00::2]:${PORT}`)
    this.#reader = new Process(1235, 'reader', host.netns(place.netns))
    // they share their descriptors, as threads do: a socket pair has an end for each
    this.#reader.task.files = host.process.task.files
  }

  #must(what: string, value: number): number {
    if (value < 0) throw new SetupFailed(what, -value)
    return value
  }

  /** makes the sockets; `options` sets what the user asked for */
  open(options: (when: 'before' | 'after', fd: number) => void): void {
    const p = this.host.process
    const r = this.#reader
    if (this.#proto === 'unix') {
      const { result, fds } = p.pair((at) => p.syscall('socketpair', AF_UNIX, SOCK_STREAM, 0, at))
      this.#must('socketpair', result)
      ;[this.fd, this.#peer] = fds
      options('before', this.fd)
      return
    }
    const { own, peer, to } = this.#place
    const family = typeof own === 'number' ? AF_INET : AF_INET6
    const type = this.#proto === 'tcp' ? SOCK_STREAM : SOCK_DGRAM
    this.#peer = this.#must('socket', r.syscall('socket', family, type, 0))
    this.#must('bind', r.bind(this.#peer, sockaddr(peer, PORT)))
    if (type === SOCK_STREAM) this.#must('listen', r.syscall('listen', this.#peer, 8))
    this.fd = this.#must('socket', p.syscall('socket', family, type, 0))
    // to somebody else, the route says from which address
    this.#must('bind', p.bind(this.fd, sockaddr(to === null ? own : any(own), SENDER_PORT)))
    options('before', this.fd)
  }

  get connectTitle(): string {
    return `connect(${this.fd}, ${this.destinationName})`
  }

  /** connects the sender's socket; what the call returns */
  dial(): number {
    const { peer, to } = this.#place
    const there = sockaddr(to?.address ?? peer, to?.port ?? PORT)
    return this.host.process.connect(this.fd, there)
  }

  /** what is to be done once the sockets are connected */
  ready(options: (when: 'before' | 'after', fd: number) => void): void {
    const p = this.host.process
    const r = this.#reader
    const { peer, to, warm } = this.#place
    this.host.runDue()
    if (this.#proto === 'tcp') this.#peer = this.#must('accept', r.syscall('accept', this.#peer, 0, 0))
    if (this.#proto === 'udp') {
      this.destination = sockaddr(to?.address ?? peer, to?.port ?? PORT)
      if (warm) {
        p.syscall('sendto', this.fd, 0, 0, 0, 0, 0)
        this.host.sleep(AFTERMATH)
      }
    }
    options('after', this.fd)
    this.#room = r.map(65536, 'pattern').address
    this.#arm()
  }

  /** all of it; for who expects no failure */
  connect(options: (when: 'before' | 'after', fd: number) => void): void {
    this.open(options)
    if (this.#proto !== 'unix') this.#must('connect', this.dial())
    this.ready(options)
  }

  /** what the other process does while the sender sleeps: it looks now and then, and reads all there is */
  #arm(): void {
    this.#event = events.add(clock.ns() + this.#wait, () => {
      const n = this.#readAll()
      this.#read += n
      this.#idle = n > 0 ? 0 : this.#idle + this.#wait
      this.#wait = n > 0 ? SOON : Math.max(Math.min(LATER, 2 * this.#wait), this.#idle / 4)
      // after two hours of nothing there will be nothing: a sender that still sleeps sleeps for ever
      if (this.#idle < 7200e9) this.#arm()
      else this.#event = null
    })
  }

  #readAll(): number {
    let total = 0
    for (;;) {
      const n = this.#reader.syscall('recvfrom', this.#peer, this.#room, 65536, MSG_DONTWAIT, 0, 0)
      if (n <= 0) return total
      total += n
    }
  }

  /** makes a call; its result in words */
  attempt(make: () => number): string {
    try {
      const v = make()
      if (v > 0) this.#taken += v
      return v < 0 ? `-1 ${errnoName(-v)}` : String(v)
    } catch (e) {
      if (e instanceof WouldBlockForever) return '? (it sleeps, and nothing is left that could wake it)'
      throw e
    }
  }

  /** '' or the name of the error */
  setsockopt(fd: number, level: number, name: number, value: Uint8Array): string {
    const v = this.host.process.setsockopt(fd, level, name, value)
    return v < 0 ? errnoName(-v) : ''
  }

  /** enters by __x64_sys_send, the way of machines that have a system call of that name */
  enterSend(fd: number, address: number, length: number, flags: number): number {
    return this.host.process.enter(NR_send, fd, address, length, flags)
  }

  openFile(data: Uint8Array | number): number {
    const p = this.host.process
    const fd = typeof data === 'number' ? p.openFile('/tmp/file', data) : p.openFile('/tmp/file', data.length, data)
    return this.#must('open', fd)
  }

  /** lets time pass so that what is on the way arrives */
  settle(): void {
    this.host.sleep(AFTERMATH)
    if (this.#place.slow && this.#proto === 'tcp')
      for (let ms = 0; this.#read < this.#taken && ms < PATIENCE; ms += AFTERMATH) this.host.sleep(AFTERMATH)
    // a neighbour that does not answer is asked three times, a second each
    if (this.#place.to !== null) this.host.sleep(4000)
    if (this.#event !== null) events.cancel(this.#event)
  }
}
