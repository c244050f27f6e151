import { ints } from '../host/abi.ts'
import { errnoName } from '../host/errno.ts'
import { AFTERMATH, BEFORE_RECORDED, type Host, WouldBlockForever } from '../host/host.ts'
import { declaredFunctions } from '../trace/kfunc.ts'
import type { Variables } from './arguments.ts'
import { drain, prepareCall } from './calls.ts'
import type { HostCommand } from './command.ts'
import { constants } from './constants.ts'
import { type CallStatement, type CommandStatement, ScenarioError, type Statement } from './scenario.ts'

/** milliseconds until a command of the host does something: it is a process that has to be started */
const COMMAND_MS = 10
/** queue disciplines that are modules in Debian's kernel, and milliseconds until the first command that names one has loaded it */
const MODULES = ['fq', 'htb', 'netem', 'prio', 'tbf']
const MODULE_MS = 110

/** Told about the calls that a scenario records. */
export interface Recorder {
  /** `text` is the call as written; `root`, where given, the one function whose runs are recorded */
  begin(text: string, root: string | null): void
  end(result: string): void
  /** what a command of the host printed, headed by the command itself behind a `$` */
  remark?(text: string): void
}

/** Told, and says nothing. */
export const nobody: Recorder = { begin: () => {}, end: () => {} }

/** Runs the statements of a scenario on a host. */
export class Runner {
  readonly host: Host
  readonly variables: Variables = new Map()
  readonly #modules = new Set<string>()
  readonly #recorder: Recorder
  readonly #commands: ReadonlyMap<string, HostCommand>

  /** `commands`: those of the host that the scenario names, see loadCommands() */
  constructor(host: Host, recorder: Recorder, commands: ReadonlyMap<string, HostCommand> = new Map()) {
    this.host = host
    this.#recorder = recorder
    this.#commands = commands
  }

  /** @throws ScenarioError */
  run(statements: readonly Statement[]): void {
    for (const s of statements) this.step(s)
    this.host.sleep(AFTERMATH)
  }

  /**
   * Runs one statement; its outcome (`4096`, `-1 EPIPE`, `fd`), or what a command printed.
   * @throws ScenarioError
   */
  step(s: Statement): string {
    if (s.kind === 'command') return this.#command(s)
    try {
      this.host.process.setns(this.host.netns(s.netns))
    } catch (e) {
      if (e instanceof RangeError) throw new ScenarioError(e.message, s.line, s.text.lastIndexOf('@') + 1)
      throw e
    }
    const result = this.#call(s)
    this.host.runDue()
    return result
  }

  #command(s: CommandStatement): string {
    const command = this.#commands.get(s.name)
    if (command === undefined) throw new ScenarioError(`'${s.name}' is not there on this host`, s.line, 1)
    this.host.sleep(COMMAND_MS + (s.name === 'tc' ? this.#modprobe(s.words) : 0))
    const { status, stdout, stderr } = command(this.host, s.words, '')
    this.host.runDue()
    if (status !== 0) throw new ScenarioError(stderr.trim() || `${s.name} failed`, s.line, 1)
    // what went well may have warned of something
    const printed = stdout + stderr
    if (printed !== '') this.#recorder.remark?.(`$ ${s.text}\n${printed}`)
    return printed
  }

  /** milliseconds that it takes to load the modules which these words name */
  #modprobe(words: readonly string[]): number {
    const named = MODULES.filter((m) => words.includes(m) && !this.#modules.has(m))
    for (const m of named) this.#modules.add(m)
    return named.length * MODULE_MS
  }

  #call(s: CallStatement): string {
    switch (s.name) {
      case 'sleep_ms':
        this.host.sleep(this.#milliseconds(s, 0))
        return '0'
      case 'drain':
        return String(drain(this.host, this.#descriptor(s)))
      case 'timer':
        return this.#timer(s)
    }
    const call = prepareCall(this.host, s, this.variables)
    if (s.name === 'bind') this.#reuseAddress(s)
    if (s.recorded) {
      this.host.sleep(BEFORE_RECORDED)
      this.#recorder.begin(`> ${s.text}`, null)
    }
    const value = this.#make(s, call.make)
    if (s.target !== null) this.variables.set(s.target, value)
    const result = value < 0 ? `-1 ${errnoName(-value)}` : call.makesDescriptor ? 'fd' : String(value)
    if (s.recorded) this.#recorder.end(result)
    call.release()
    return result
  }

  #make(s: CallStatement, make: () => number): number {
    try {
      return make()
    } catch (e) {
      if (e instanceof WouldBlockForever)
        throw new ScenarioError(
          `${s.name}() would wait for ever: nothing is left that could wake it${
            /^(send|write)/.test(s.name)
              ? ' (nobody reads at the other end: a call sends no more than the buffers hold, or MSG_DONTWAIT)'
              : ''
          }`,
          s.line,
          s.column,
        )
      throw e
    }
  }

  /** `> timer(tcp_write_timer, 700)`: time passes, and each run of that timer's function is recorded */
  #timer(s: CallStatement): string {
    const [fn] = s.args
    if (fn?.arg.kind !== 'names' || fn.arg.names.length !== 1)
      throw new ScenarioError(
        'timer() wants the name of a timer function, such as tcp_write_timer',
        s.line,
        fn?.column ?? s.column,
      )
    const [name = ''] = fn.arg.names
    if (!declaredFunctions().some((f) => f.name === name))
      throw new ScenarioError(`no simulated function is named '${name}'`, s.line, fn.column)
    const ms = this.#milliseconds(s, 1)
    if (s.recorded) this.#recorder.begin(`> ${s.text}`, name)
    this.host.sleep(ms)
    if (s.recorded) this.#recorder.end('0')
    return '0'
  }

  #milliseconds(s: CallStatement, index: number): number {
    const a = s.args[index]
    if (a?.arg.kind !== 'number' || a.arg.value < 0)
      throw new ScenarioError(`${s.name}() wants a number of milliseconds`, s.line, a?.column ?? s.column)
    return a.arg.value
  }

  #descriptor(s: CallStatement): number {
    const [a] = s.args
    const name = a?.arg.kind === 'names' ? a.arg.names[0] : undefined
    const fd = name === undefined ? undefined : this.variables.get(name)
    if (fd === undefined)
      throw new ScenarioError(`${s.name}() wants a descriptor that was set before`, s.line, a?.column ?? s.column)
    return fd
  }

  #reuseAddress(s: CallStatement): void {
    this.host.process.setsockopt(this.#descriptor(s), constants.SOL_SOCKET ?? 0, constants.SO_REUSEADDR ?? 0, ints(1))
  }
}
