import { sockaddrIn } from '../host/abi.ts'
import { errnoName } from '../host/errno.ts'
import { AFTERMATH, type Host } from '../host/host.ts'
import { Process } from '../host/process.ts'
import { NR_send } from '../kernel/arch/x86/entry/common.ts'
import { WouldBlockForever } from '../kernel/kernel/sched/core.ts'
import { clock } from '../sim/clock.ts'
import { events, type SimEvent } from '../sim/events.ts'
import { UsageError } from './errors.ts'

const LOCALHOST = 0x7f000001
const SENDER_PORT = 40000
const PORT = 8080
const AF_UNIX = 1
const AF_INET = 2
const SOCK_STREAM = 1
const SOCK_DGRAM = 2
const MSG_DONTWAIT = 0x40

/** how often a reader looks, in nanoseconds: at first, and soon after; when nothing comes for longer, it waits longer */
const SOON = 20_000
const LATER = 1e6

/** Two processes on one host, a socket of each, connected: one sends, the other reads whatever arrives. */
export class World {
  readonly host: Host
  readonly #proto: 'tcp' | 'udp' | 'unix'
  readonly #reader: Process
  #event: SimEvent | null = null
  #wait = SOON
  #room = 0
  #idle = 0
  /** of the sending process */
  fd = -1
  #peer = -1
  destination: Uint8Array | null = null
  readonly destinationName = `127.0.0.1:${PORT}`

  constructor(host: Host, proto: 'tcp' | 'udp' | 'unix') {
    this.host = host
    this.#proto = proto
    this.#reader = new Process(1235, 'reader', host.netns(''))
    // they share their descriptors, as threads do: a socket pair has an end for each
    this.#reader.task.files = host.process.task.files
  }

  #must(what: string, value: number): number {
    if (value < 0) throw new UsageError(`${what}: ${errnoName(-value)}`)
    return value
  }

  /** makes and connects the sockets; `options` sets what the user asked for, before and after */
  connect(options: (when: 'before' | 'after', fd: number) => void): void {
    const p = this.host.process
    const r = this.#reader
    if (this.#proto === 'unix') {
      const { result, fds } = p.pair((at) => p.syscall('socketpair', AF_UNIX, SOCK_STREAM, 0, at))
      this.#must('socketpair', result)
      ;[this.fd, this.#peer] = fds
      options('before', this.fd)
      options('after', this.fd)
    } else {
      const type = this.#proto === 'tcp' ? SOCK_STREAM : SOCK_DGRAM
      const there = sockaddrIn(LOCALHOST, PORT)
      const listener = this.#must('socket', r.syscall('socket', AF_INET, type, 0))
      this.#must('bind', r.bind(listener, there))
      if (type === SOCK_STREAM) this.#must('listen', r.syscall('listen', listener, 8))
      this.fd = this.#must('socket', p.syscall('socket', AF_INET, type, 0))
      this.#must('bind', p.bind(this.fd, sockaddrIn(LOCALHOST, SENDER_PORT)))
      options('before', this.fd)
      this.#must('connect', p.connect(this.fd, there))
      this.host.runDue()
      this.#peer = type === SOCK_STREAM ? this.#must('accept', r.syscall('accept', listener, 0, 0)) : listener
      if (type === SOCK_DGRAM) this.destination = there
      options('after', this.fd)
    }
    this.#room = r.map(65536, 'pattern').address
    this.#arm()
  }

  /** what the other process does while the sender sleeps: it looks now and then, and reads all there is */
  #arm(): void {
    this.#event = events.add(clock.ns() + this.#wait, () => {
      const n = this.#readAll()
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
    if (this.#event !== null) events.cancel(this.#event)
  }
}
