import { sockaddrIn, sockaddrIn6 } from '../host/abi.ts'
import { errnoName } from '../host/errno.ts'
import { AFTERMATH, type Host } from '../host/host.ts'
import { NR_send } from '../kernel/arch/x86/entry/common.ts'
import { dotted } from '../kernel/include/linux/in.ts'
import { in6_ntop } from '../kernel/include/linux/in6.ts'
import { WouldBlockForever } from '../kernel/kernel/sched/core.ts'
import { UsageError } from './errors.ts'
import { Reader } from './reader.ts'

const SENDER_PORT = 40000
const PORT = 8080
const AF_UNIX = 1
const AF_INET = 2
const AF_INET6 = 10
const SOCK_STREAM = 1
const SOCK_DGRAM = 2

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

/** A call outside of what the user asked for did not work: what it was, and the error. */
class SetupFailed extends UsageError {
  readonly call: string
  readonly errno: number

  constructor(call: string, errno: number) {
    super(`${call}() before what is traced: ${errnoName(errno)}; the options leave the host without what it needs for that`)
    this.call = call
    this.errno = errno
  }
}

/** Two processes, a socket of each, connected: one sends, the other reads whatever arrives. On one host, or on two. */
export class World {
  readonly host: Host
  readonly #proto: 'tcp' | 'udp' | 'unix'
  readonly #place: Place
  readonly #reader: Reader
  /** bytes that the sender's calls took */
  #taken = 0
  /** of the sending process */
  fd = -1
  destination: Uint8Array | null = null
  readonly destinationName: string

  constructor(host: Host, proto: 'tcp' | 'udp' | 'unix', place: Place = loopback) {
    this.host = host
    this.#proto = proto
    this.#place = place
    const { peer, to } = place
    this.destinationName = to?.text ?? (typeof peer === 'number' ? `${dotted(peer)}:${PORT}` : `[${in6_ntop(peer)}]:${PORT}`)
    this.#reader = new Reader(host, place.netns)
    // they share their descriptors, as threads do: a socket pair has an end for each
    this.#reader.process.task.files = host.process.task.files
  }

  #must(what: string, value: number): number {
    if (value < 0) throw new SetupFailed(what, -value)
    return value
  }

  /** makes the sockets; `options` sets what the user asked for */
  open(options: (when: 'before' | 'after', fd: number) => void): void {
    const p = this.host.process
    const reader = this.#reader
    const r = reader.process
    if (this.#proto === 'unix') {
      const { result, fds } = p.pair((at) => p.syscall('socketpair', AF_UNIX, SOCK_STREAM, 0, at))
      this.#must('socketpair', result)
      ;[this.fd, reader.socket] = fds
      options('before', this.fd)
      return
    }
    const { own, peer, to } = this.#place
    const family = typeof own === 'number' ? AF_INET : AF_INET6
    const type = this.#proto === 'tcp' ? SOCK_STREAM : SOCK_DGRAM
    reader.socket = this.#must('socket', r.syscall('socket', family, type, 0))
    this.#must('bind', r.bind(reader.socket, sockaddr(peer, PORT)))
    if (type === SOCK_STREAM) this.#must('listen', r.syscall('listen', reader.socket, 8))
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
    const reader = this.#reader
    const { peer, to, warm } = this.#place
    this.host.runDue()
    if (this.#proto === 'tcp') reader.socket = this.#must('accept', reader.process.syscall('accept', reader.socket, 0, 0))
    if (this.#proto === 'udp') {
      this.destination = sockaddr(to?.address ?? peer, to?.port ?? PORT)
      if (warm) {
        p.syscall('sendto', this.fd, 0, 0, 0, 0, 0)
        this.host.sleep(AFTERMATH)
      }
    }
    options('after', this.fd)
    this.#read()
  }

  /** all of it; for who expects no failure */
  connect(options: (when: 'before' | 'after', fd: number) => void): void {
    this.open(options)
    if (this.#proto !== 'unix') this.#must('connect', this.dial())
    this.ready(options)
  }

  /** what the other process does while the sender sleeps: it looks now and then, and reads all there is */
  #read(): void {
    let wait = SOON
    let idle = 0
    this.#reader.start(SOON, (n) => {
      idle = n > 0 ? 0 : idle + wait
      wait = n > 0 ? SOON : Math.max(Math.min(LATER, 2 * wait), idle / 4)
      // after two hours of nothing there will be nothing: a sender that still sleeps sleeps for ever
      return idle < 7200e9 ? wait : null
    })
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
      for (let ms = 0; this.#reader.read < this.#taken && ms < PATIENCE; ms += AFTERMATH) this.host.sleep(AFTERMATH)
    // a neighbour that does not answer is asked three times, a second each
    if (this.#place.to !== null) this.host.sleep(4000)
    this.#reader.stop()
  }
}
