import { readFileSync } from 'node:fs'
import { toEthernet } from '../formats/capture_frames.ts'
import { type CapturedPacket, CaptureError, CaptureReader } from '../formats/capture_reader.ts'
import { reasonOf } from '../formats/output.ts'
import { AFTERMATH, Host } from '../host/host.ts'
import { type InjectableKind, type Injector, injectable, injectorOf } from '../script/inject.ts'
import { loadIpv6 } from '../script/ipv6.ts'
import { loadNeeds, runnerOn } from '../script/needs.ts'
import { nobody } from '../script/runner.ts'
import { commandNames, parseScenario, ScenarioError, type Statement } from '../script/scenario.ts'
import { listen } from '../trace/tracer.ts'
import { UsageError } from './errors.ts'
import { openInput } from './input.ts'
import { commandLine, type Outputs, planOutputs } from './outputs.ts'
import type { ReplayOptions } from './replay.ts'
import { describeFrame, Verdict } from './verdict.ts'
import { version } from './version.ts'

/** milliseconds between two frames, at most; what the capture's clock says beyond that is not waited for */
const LONGEST_WAIT = 60_000

/** A statement, and how to tell the user where it stands. */
interface Placed {
  readonly statement: Statement
  readonly place: string
}

function parse(text: string, place: (line: number, column: number) => string): Placed[] {
  try {
    return parseScenario(text).map((statement) => ({ statement, place: place(statement.line, 1) }))
  } catch (e) {
    throw e instanceof ScenarioError ? new UsageError(`${place(e.line, e.column)}${e.message}`) : e
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (e) {
    throw new UsageError(`--before ${file}: ${reasonOf(e)}`)
  }
}

/** the host's lines: its device, then what the user wants besides */
function lines(o: ReplayOptions, kind: InjectableKind): Placed[] {
  const own = parse(injectable[kind].join('\n'), () => '')
  const set = o.set.flatMap((text) => {
    if (!(commandNames as readonly string[]).includes(text.trim().split(/\s/, 1)[0] ?? ''))
      throw new UsageError(`--set '${text}': it wants a command of the host, such as ip, tc, nft; --before takes calls too`)
    return parse(text, () => `--set '${text}': `)
  })
  const { before } = o
  return [...own, ...set, ...(before === undefined ? [] : parse(read(before), (l, c) => `${before}:${l}:${c}: `))]
}

/** Plays a capture's frames to a host, and what happens there to the outputs. */
export async function replay(file: string, o: ReplayOptions): Promise<void> {
  const kind: InjectableKind = o.device === 'eth0' ? 'e1000' : (o.device as InjectableKind)
  const name = kind === 'lo' ? 'lo' : 'eth0'
  const input = openInput(file)
  const placed = lines(o, kind)
  const plan = await planOutputs(o, 'text', input.done === undefined ? {} : { done: input.done })
  const statements = placed.map((p) => p.statement)
  const { commands } = await loadNeeds(statements)
  // a capture may have frames of any kind: the host has what Linux has from the start
  const ipv6 = await loadIpv6(parseScenario('s = socket(AF_INET6, SOCK_DGRAM, 0)\np = socket(AF_PACKET, SOCK_RAW, 0)'))
  const outputs = plan.open({
    command: commandLine(process.argv.slice(2)),
    seed: o.seed,
    resultFirst: true,
    wholeHost: true,
    version,
  })
  const replayer = new Replayer(outputs, o, name)
  try {
    const host = new Host({ seed: o.seed })
    const runner = runnerOn(host, { commands, ipv6 }, nobody)
    for (const p of placed) {
      try {
        runner.step(p.statement)
      } catch (e) {
        throw e instanceof ScenarioError ? new UsageError(`${p.place}${e.message}`) : e
      }
    }
    replayer.start(host, injectorOf(host, kind, name))
    const reader = new CaptureReader((p) => replayer.packet(p))
    let first = true
    for await (const chunk of input.chunks()) {
      if (first && chunk[0] === 0x7b)
        throw new UsageError(`${input.name}: is no capture; if it is a saved trace, skbtrace convert takes it`)
      first = false
      reader.feed(chunk)
    }
    reader.finish()
    replayer.end()
    outputs.finish()
  } catch (e) {
    listen(null)
    outputs.abandon()
    throw e instanceof CaptureError ? new UsageError(`${input.name}: byte ${e.at}: ${e.message}`) : e
  }
  replayer.complain()
}

/** Takes packets one by one. */
class Replayer {
  readonly #outputs: Outputs
  readonly #o: ReplayOptions
  readonly #name: string
  readonly #verdict: Verdict
  #host: Host | null = null
  #injector: Injector | null = null
  #last: bigint | null = null
  #strangers = 0
  readonly #left = new Map<string, number>()

  constructor(outputs: Outputs, o: ReplayOptions, name: string) {
    this.#outputs = outputs
    this.#o = o
    this.#name = name
    this.#verdict = new Verdict(outputs.format)
  }

  start(host: Host, injector: Injector): void {
    this.#host = host
    this.#injector = injector
    listen(this.#verdict)
  }

  packet(p: CapturedPacket): void {
    const host = this.#host
    const injector = this.#injector
    if (host === null || injector === null) return
    const frame = toEthernet(p, injector.address)
    if (typeof frame === 'string') {
      this.#left.set(frame, (this.#left.get(frame) ?? 0) + 1)
      return
    }
    this.#wait(host, p.time)
    const { bytes } = frame
    if (isForAnother(bytes, injector.address)) {
      this.#strangers++
      if (this.#o.acceptMac) bytes.set(injector.address)
    }
    const cut = frame.missing > 0 ? `, the last ${frame.missing} not captured` : ''
    this.#outputs.format.begin(
      `> frame ${p.number} to ${this.#name}: ${bytes.length} bytes${cut}, ${describeFrame(bytes)}`,
      injector.root,
    )
    this.#verdict.start(this.#name, injector.root)
    const error = bytes.length < 14 ? 'too short for a frame' : injector.inject(bytes)
    host.runDue()
    this.#outputs.format.end(error === '' ? this.#verdict.text() : `not received: ${error}`)
  }

  /** lets as much time pass as between the frames of the capture */
  #wait(host: Host, time: bigint | null): void {
    const last = this.#last
    if (time === null) return
    this.#last = time
    if (last === null || time <= last) return
    host.sleep(Math.min(LONGEST_WAIT, Number(time - last) / 1e6))
  }

  end(): void {
    this.#host?.sleep(AFTERMATH)
    listen(null)
  }

  /** what the user should know besides */
  complain(): void {
    const notes: string[] = []
    for (const [why, n] of this.#left)
      notes.push(`${n} packet${n === 1 ? ' was' : 's were'} left out: ${why} cannot come in by Ethernet`)
    if (this.#strangers > 0 && !this.#o.acceptMac)
      notes.push(
        `${this.#strangers} frame${this.#strangers === 1 ? ' was' : 's were'} for another MAC address; with --accept-mac ${this.#name} takes them`,
      )
    for (const n of notes) process.stderr.write(`skbtrace: ${n}\n`)
  }
}

/** to one station, and that is not this one */
const isForAnother = (frame: Uint8Array, own: Uint8Array): boolean =>
  frame.length >= 6 && ((frame[0] as number) & 1) === 0 && own.some((b, i) => b !== frame[i])
