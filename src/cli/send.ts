import { readFileSync, readSync } from 'node:fs'
import { type Command, Option } from 'commander'
import { reasonOf } from '../formats/output.ts'
import { ints } from '../host/abi.ts'
import { Host } from '../host/host.ts'
import type { Process, UserBuffer } from '../host/process.ts'
import { constants as c, flagsByName } from '../script/constants.ts'
import { listen } from '../trace/tracer.ts'
import { UsageError } from './errors.ts'
import { addTraceOptions, size, type TraceOptions, wholeNumber } from './options.ts'
import { openOutputs } from './outputs.ts'
import { World } from './send_world.ts'

/** what one system call transfers at most: MAX_RW_COUNT */
const MOST = 0x7ffff000

interface SendOptions extends TraceOptions {
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
  cc?: string
  mss?: number
  sndbuf?: number
}

/** `skbtrace send` */
export function addSend(program: Command): void {
  const c = program
    .command('send')
    .description('send something to oneself, and see its way through the kernel')
    .argument('[-]', 'send what comes in on standard input')
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
    .option('--cc <name>', 'congestion control: cubic, reno')
    .option('--mss <n>', 'set TCP_MAXSEG first', wholeNumber(1, 65535))
    .option('--sndbuf <n>', 'set SO_SNDBUF first', size(0, 0x7fffffff))
  addTraceOptions(c, 'text')
  c.action(async (dash: string | undefined, options: SendOptions) => {
    await send(dash, options)
  })
}

/** the bytes to send: given, or a length whose bytes are made up without taking memory */
function payload(dash: string | undefined, o: SendOptions): Uint8Array | number {
  if (dash !== undefined && dash !== '-')
    throw new UsageError(`'${dash}' is no argument of send: it wants - (standard input), --file, --data or --bytes`)
  const ways = [dash, o.bytes, o.data, o.file].filter((w) => w !== undefined)
  if (ways.length > 1) throw new UsageError('only one of --bytes, --data, --file and - says what is sent')
  if (o.data !== undefined) return new TextEncoder().encode(o.data)
  const bytes = dash === '-' || o.file === '-' ? standardInput() : o.file !== undefined ? fileBytes(o.file) : (o.bytes ?? 4096)
  if (typeof bytes !== 'number' && bytes.length > MOST)
    throw new UsageError(`${bytes.length} bytes are more than one call can take (${MOST})`)
  return bytes
}

function fileBytes(path: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (e) {
    throw new UsageError(`${path}: ${reasonOf(e)}`)
  }
}

function standardInput(): Uint8Array {
  const parts: Buffer[] = []
  for (;;) {
    const b = Buffer.allocUnsafe(1 << 16)
    try {
      const n = readSync(0, b, 0, b.length, null)
      if (n === 0) break
      parts.push(b.subarray(0, n))
    } catch (e) {
      const code = e instanceof Error && 'code' in e ? e.code : ''
      if (code === 'EOF') break
      if (code === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
      else throw new UsageError(`standard input: ${reasonOf(e)}`)
    }
  }
  return Buffer.concat(parts)
}

function check(o: SendOptions): void {
  const only = (option: string, given: boolean, where: boolean, what: string): void => {
    if (given && !where) throw new UsageError(`${option} is for ${what}`)
  }
  only('--nodelay', o.nodelay, o.proto === 'tcp', '--proto tcp')
  only('--cc', o.cc !== undefined, o.proto === 'tcp', '--proto tcp')
  only('--mss', o.mss !== undefined, o.proto === 'tcp', '--proto tcp')
  only('--cork', o.cork, o.proto !== 'unix', '--proto tcp or udp')
  only('--entry', o.entry !== undefined, o.call === 'send', '--call send')
  const flagless = o.call === 'write' || o.call === 'writev' || o.call === 'sendfile'
  only('--flags', o.flags !== undefined, !flagless, 'calls that take flags: send, sendto, sendmsg, sendmmsg')
}

async function send(dash: string | undefined, o: SendOptions): Promise<void> {
  check(o)
  const flags = o.flags === undefined ? 0 : flagsByName(o.flags, 'MSG_')
  if (typeof flags === 'string')
    throw new UsageError(`--flags: '${flags}' is no flag that skbtrace knows (MSG_MORE, MSG_DONTWAIT, ...)`)
  const data = payload(dash, o)
  const outputs = await openOutputs(o, `skbtrace ${process.argv.slice(2).join(' ')}`, o.format === 'function_graph')
  try {
    const w = new World(new Host({ seed: o.seed }), o.proto)
    listen(outputs.format)
    w.connect((when, fd) => setOptions(w, o, when, fd))
    const call = makeCall(w.host, w, o, data, flags)
    for (let i = 0; i < (o.call === 'sendmmsg' ? 1 : o.count); i++) {
      outputs.format.begin(`> ${call.title}`, null)
      outputs.format.end(w.attempt(call.make))
      w.host.runDue()
    }
    // what is on the way arrives, as in the recordings
    w.settle()
    listen(null)
    outputs.finish()
  } catch (e) {
    listen(null)
    outputs.abandon()
    throw e
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
}

/** the call, with its arguments in the process's memory, and how it reads */
function makeCall(
  host: Host,
  w: World,
  o: SendOptions,
  data: Uint8Array | number,
  flags: number,
): { title: string; make: () => number } {
  const p: Process = host.process
  const { fd } = w
  const length = typeof data === 'number' ? data : data.length
  const map = (): UserBuffer => p.map(length, typeof data === 'number' ? 'pattern' : data)
  const f = o.flags?.replace(/,/g, '|') ?? '0'
  const to = w.destination
  switch (o.call) {
    case 'send': {
      const b = map()
      const make =
        o.entry === 'send'
          ? () => w.enterSend(fd, b.address, length, flags)
          : () => p.syscall('sendto', fd, b.address, length, flags, 0, 0)
      return { title: `send(${fd}, ${length}, ${f})`, make }
    }
    case 'write': {
      const b = map()
      return { title: `write(${fd}, ${length})`, make: () => p.syscall('write', fd, b.address, length) }
    }
    case 'sendto': {
      const b = map()
      return {
        title: `sendto(${fd}, ${length}, ${f}${to === null ? '' : `, ${w.destinationName}`})`,
        make: () => p.sendto(fd, b.address, length, flags, to),
      }
    }
    case 'sendmsg': {
      const b = map()
      return { title: `sendmsg(${fd}, [${length}], ${f})`, make: () => p.msg('sendmsg', fd, [b], flags, null, null) }
    }
    case 'writev': {
      const b = map()
      return { title: `writev(${fd}, [${length}])`, make: () => p.vector('writev', fd, [b]) }
    }
    case 'sendmmsg': {
      const list = Array.from({ length: o.count }, map)
      return {
        title: `sendmmsg(${fd}, [${list.map((b) => b.length).join(',')}], ${f})`,
        make: () => p.sendmmsg(fd, list, flags, null),
      }
    }
    case 'sendfile': {
      const from = w.openFile(data)
      return { title: `sendfile(${fd}, ${from}, ${length})`, make: () => p.syscall('sendfile', fd, from, 0, length) }
    }
  }
}
