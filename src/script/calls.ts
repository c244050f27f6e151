import type { SyscallName } from '../host/abi.ts'
import type { Host } from '../host/host.ts'
import type { Process } from '../host/process.ts'
import { Args, type Variables } from './arguments.ts'
import { constants } from './constants.ts'
import { type CallStatement, ScenarioError } from './scenario.ts'

/** A call that is ready to be made: everything it needs lies in the process's memory. */
interface PreparedCall {
  /** what leaves the buffers behind when it is done */
  make(): number
  release(): void
  /** descriptors are printed as `fd`: their number is chance */
  makesDescriptor: boolean
}

/** room for an option that getsockopt returns */
const OPTION_ROOM = 256

type Maker = (a: Args, p: Process) => () => number
const fdMakers = new Set(['socket', 'accept', 'accept4', 'open', 'dup'])

/** pipe() and socketpair() set p0 and p1 */
function pair(a: Args, p: Process, make: (at: number) => number): () => number {
  return () => {
    const { result, fds } = p.pair(make)
    if (result === 0) {
      a.variables.set('p0', fds[0])
      a.variables.set('p1', fds[1])
    }
    return result
  }
}

/** what is sent and received by a call on a descriptor, a buffer and flags */
const transfer =
  (name: SyscallName, use: 'read' | 'write', flags: boolean): Maker =>
  (a, p) => {
    const fd = a.fd()
    const b = a.buffer(use)
    const f = flags ? a.optional('flags', 0) : 0
    return () => p.syscall(name, fd, b.address, b.length, ...(flags ? [f, 0, 0] : []))
  }

const vector =
  (name: 'readv' | 'writev'): Maker =>
  (a, p) => {
    const fd = a.fd()
    const list = a.vector(name === 'writev' ? 'read' : 'write')
    return () => p.vector(name, fd, list)
  }

const message =
  (name: 'sendmsg' | 'recvmsg'): Maker =>
  (a, p) => {
    const fd = a.fd()
    const list = a.vector(name === 'sendmsg' ? 'read' : 'write')
    const flags = a.optional('flags', 0)
    const { address, control } = a.rest()
    return () => p.msg(name, fd, list, flags, address, control)
  }

const makers: Readonly<Record<string, Maker>> = {
  socket: (a, p) => {
    const [domain, type, protocol] = [a.number('a domain'), a.number('a type'), a.optional('a protocol', 0)]
    return () => p.syscall('socket', domain, type, protocol)
  },
  bind: (a, p) => {
    const fd = a.fd()
    const address = a.address()
    return () => p.bind(fd, address)
  },
  listen: (a, p) => {
    const [fd, backlog] = [a.fd(), a.optional('a backlog', 128)]
    return () => p.syscall('listen', fd, backlog)
  },
  accept: (a, p) => {
    const fd = a.fd()
    return () => p.syscall('accept', fd, 0, 0)
  },
  accept4: (a, p) => {
    const [fd, flags] = [a.fd(), a.optional('flags', 0)]
    return () => p.syscall('accept4', fd, 0, 0, flags)
  },
  connect: (a, p) => {
    const fd = a.fd()
    const address = a.address()
    return () => p.connect(fd, address)
  },
  send: transfer('sendto', 'read', true),
  sendto: (a, p) => {
    const fd = a.fd()
    const b = a.buffer('read')
    const flags = a.optional('flags', 0)
    const address = a.left > 0 ? a.address() : null
    return () => p.sendto(fd, b.address, b.length, flags, address)
  },
  sendmsg: message('sendmsg'),
  sendmmsg: (a, p) => {
    const fd = a.fd()
    const list = a.vector('read')
    const flags = a.optional('flags', 0)
    const { address } = a.rest()
    return () => p.sendmmsg(fd, list, flags, address)
  },
  write: transfer('write', 'read', false),
  writev: vector('writev'),
  read: transfer('read', 'write', false),
  readv: vector('readv'),
  recv: transfer('recvfrom', 'write', true),
  recvfrom: transfer('recvfrom', 'write', true),
  recvmsg: message('recvmsg'),
  sendfile: (a, p) => {
    const [out, from, count] = [a.fd(), a.fd(), a.number('a number of bytes')]
    return () => p.syscall('sendfile', out, from, 0, count)
  },
  shutdown: (a, p) => {
    const [fd, how] = [a.fd(), a.number('SHUT_RD, SHUT_WR or SHUT_RDWR')]
    return () => p.syscall('shutdown', fd, how)
  },
  close: (a, p) => {
    const fd = a.fd()
    return () => p.syscall('close', fd)
  },
  dup: (a, p) => {
    const fd = a.fd()
    return () => p.syscall('dup', fd)
  },
  fcntl: (a, p) => {
    const [fd, command, value] = [a.fd(), a.number('a command such as F_SETFL'), a.optional('a value', 0)]
    return () => p.syscall('fcntl', fd, command, value)
  },
  setsockopt: (a, p) => {
    const [fd, level, name] = [a.fd(), a.number('a level'), a.number('an option')]
    const value = a.option(level, name)
    return () => p.setsockopt(fd, level, name, value)
  },
  getsockopt: (a, p) => {
    const [fd, level, name] = [a.fd(), a.number('a level'), a.number('an option')]
    return () => p.getsockopt(fd, level, name, OPTION_ROOM).result
  },
  pipe: (a, p) => pair(a, p, (at) => p.syscall('pipe', at)),
  socketpair: (a, p) => {
    const [domain, type, protocol] = [a.number('a domain'), a.number('a type'), a.optional('a protocol', 0)]
    return pair(a, p, (at) => p.syscall('socketpair', domain, type, protocol, at))
  },
  open: (a, p) => {
    const path = a.text('a path in quotes')
    const length = a.optional('a length', 0)
    return () => p.openFile(path, length)
  },
}

/** The calls that a scenario may make, by name. */
export const callNames = (): string[] => [...Object.keys(makers), 'timer', 'sleep_ms', 'drain'].sort()

/**
 * Puts the arguments of a call where a program would have them. Nothing is traced by that.
 * @throws ScenarioError for arguments that make no sense, with their column
 */
export function prepareCall(host: Host, statement: CallStatement, variables: Variables): PreparedCall {
  const maker = Object.hasOwn(makers, statement.name) ? makers[statement.name] : undefined
  if (maker === undefined)
    throw new ScenarioError(
      `'${statement.name}' is no call that skbtrace knows: ${callNames().join(' ')}`,
      statement.line,
      statement.column,
    )
  const args = new Args(statement, host.process, variables)
  const make = maker(args, host.process)
  args.end()
  return {
    make,
    release: () => {
      for (const b of args.buffers) host.process.unmap(b)
    },
    makesDescriptor: fdMakers.has(statement.name),
  }
}

/** reads everything that waits on a socket, without blocking; bytes read */
export function drain(host: Host, fd: number): number {
  const b = host.process.map(65536, 'pattern')
  let total = 0
  for (;;) {
    const n = host.process.syscall('recvfrom', fd, b.address, b.length, constants.MSG_DONTWAIT ?? 0, 0, 0)
    if (n <= 0) break
    total += n
  }
  host.process.unmap(b)
  return total
}
