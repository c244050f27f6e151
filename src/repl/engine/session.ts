import type { Host } from '../../host/host.ts'
import type { Variables } from '../../script/arguments.ts'
import { loadNeeds, type Needs } from '../../script/needs.ts'
import { type CallStatement, parseLine } from '../../script/scenario.ts'
import { declaredFunctions, InternalError } from '../../trace/kfunc.ts'
import { listen } from '../../trace/tracer.ts'
import { type Line, Machine } from './machine.ts'
import { Recording } from './recording.ts'
import { LiveScope } from './scope.ts'
import { SkbTrack } from './skbtrack.ts'
import { StateTrack } from './statetrack.ts'
import type { ScopeOf } from './tracks.ts'
import { type Sampler, Watcher } from './watcher.ts'

/** A line that was run, and what came of it. */
interface Done extends Line {
  /** `4096`, `-1 EPIPE`, or what a command printed */
  readonly result: string
}

/** the event that was waited for has come */
class Arrived extends Error {}

/** What makes a pass over the events stop: asked now and then, with the events so far. */
export type Poll = (events: number, again: boolean) => void

/**
 * The lines of a session and the run that they make. The kernel lives in this process's variables, one at a time: to see it as it was at
 * an earlier event, it is booted anew and the lines are run again up to there, which always gives the same events. What runs at the end
 * of all lines is kept (`#live`) until it has to go for that.
 */
export class Session {
  seed: number
  readonly #poll: Poll
  #lines: Done[] = []
  /** lines whose events nobody keeps any more */
  #forgotten = 0
  #needs: Needs = { commands: new Map(), ipv6: null }
  #live: Machine | null = null
  #watcher: Watcher = new Watcher()
  #scope: LiveScope | null = null
  recording: Recording = new Recording()
  skbs: SkbTrack = new SkbTrack()
  states: StateTrack
  /** of breakpoints and displays */
  readonly tracks: Set<Sampler> = new Set()
  /** values of `$1`, `$x` */
  convenience: (name: string) => unknown = () => undefined
  /** names in the scope of what a pass looks at; for tracks */
  readonly scopeOf: ScopeOf = () => this.#scope

  constructor(seed: number, poll: Poll) {
    this.seed = seed
    this.#poll = poll
    this.states = new StateTrack(() => this.#host)
  }

  #host: Host | null = null

  /** of the pass that is under way, or the one that has run all lines */
  get host(): Host | null {
    return this.#host
  }

  get lines(): readonly Done[] {
    return this.#lines
  }

  /** lines before the first that has events */
  get forgotten(): number {
    return this.#forgotten
  }

  get length(): number {
    return this.recording.length
  }

  get needs(): Needs {
    return this.#needs
  }

  /** the event that a line (from 1) begins at; -1 when it is forgotten */
  startOf(line: number): number {
    return this.recording.lines[line - 1 - this.#forgotten] ?? -1
  }

  /** line (from 1) that an event belongs to */
  lineOf(event: number): number {
    const n = this.recording.lineOf(event)
    return n === 0 ? 0 : n + this.#forgotten
  }

  /** Loads what lines need. Code that was not there when the host booted may change how one boots: then the session is made again. */
  async #load(fresh: readonly Line[]): Promise<void> {
    const before = declaredFunctions().length
    const needs = await loadNeeds([...this.#lines, ...fresh].map((l) => l.statement))
    const other = declaredFunctions().length !== before || (needs.ipv6 !== null) !== (this.#needs.ipv6 !== null)
    this.#needs = needs
    if (other) this.#remake()
  }

  /** loads what a line would need, without running it */
  async prepare(line: Line | null): Promise<void> {
    await this.#load(line === null ? [] : [line])
  }

  /** another kernel is going to run in this process */
  abandon(): void {
    this.#live = null
  }

  /** all that is known of the run is worked out again: the host is another one now */
  #remake(): void {
    this.#live = null
    if (this.#lines.length === 0) return
    this.#forgotten = 0
    this.#truncate(0)
    this.recording = new Recording()
    const lines = this.#lines
    this.#lines = []
    for (const l of lines) this.#append(l)
  }

  reseed(seed: number): void {
    this.seed = seed
    this.#remake()
  }

  /**
   * Runs one line at the end of the session.
   * @throws ScenarioError (and then the session is as it was), Interrupted (the same)
   */
  async run(text: string): Promise<Done | null> {
    const statement = parseLine(text, 1)
    if (statement === null) return null
    const line: Line = { text: text.trim(), statement }
    await this.#load([line])
    return this.#append(line)
  }

  #append(line: Line): Done {
    const machine = this.#alive()
    const w = this.#watcher
    const start = this.recording.length
    w.recording = this.recording
    w.samplers = [this.skbs, this.states, ...this.tracks]
    w.event = start
    w.stopAt = -1
    w.poll = (events) => this.#poll(events, false)
    try {
      const done: Done = { ...line, result: machine.run(line, this.#lines.length + 1, w) }
      this.#lines.push(done)
      return done
    } catch (e) {
      // whatever it was, the kernel was left in the middle of something: the lines before make it again
      this.#live = null
      this.#truncate(start)
      throw e
    }
  }

  #truncate(event: number): void {
    this.recording.truncate(event)
    this.skbs.truncate(event)
    this.states.truncate(event)
    for (const t of this.tracks) t.truncate(event)
  }

  /** what a name means to the lines: descriptors */
  get variables(): Variables {
    return this.#alive().runner.variables
  }

  /** a machine that has run all lines */
  #alive(): Machine {
    if (this.#live === null) {
      const w = new Watcher()
      const machine = this.#again(w)
      if (w.event !== this.recording.length)
        throw new InternalError(`the same lines made ${w.event} events, and ${this.recording.length} before`)
      this.#live = machine
      this.#attend(machine, new Watcher())
    }
    return this.#live
  }

  #attend(machine: Machine, w: Watcher): void {
    this.#watcher = w
    this.#host = machine.host
    this.#scope = new LiveScope(w, machine.host, machine.runner.variables, (name) => this.convenience(name))
  }

  /** boots, and runs all lines again while `w` listens */
  #again(w: Watcher): Machine {
    this.#live = null
    const machine = new Machine(this.seed, this.#needs)
    this.#attend(machine, w)
    w.poll = (events) => this.#poll(events, true)
    this.#lines.forEach((line, i) => {
      machine.run(line, i + 1, i < this.#forgotten ? null : w)
    })
    return machine
  }

  /**
   * Goes through the whole run again, for samplers that were not there when it ran.
   * @throws Interrupted
   */
  pass(samplers: readonly Sampler[]): void {
    if (this.recording.length === 0) {
      this.#alive()
      return
    }
    const w = new Watcher()
    w.samplers = samplers
    const machine = this.#again(w)
    this.#live = machine
    this.#attend(machine, new Watcher())
  }

  /**
   * Looks at the kernel as it is at an event. `body` runs in the middle of that event and must change nothing.
   * @throws Interrupted
   */
  at<T>(event: number, body: (scope: LiveScope, w: Watcher, machine: Machine) => T): T {
    return this.detour(event, body).value
  }

  /**
   * The same, but what `body` changes stays: when `onwards`, the lines are run to their end from there, while `w` (which `body` may
   * equip) listens.
   */
  detour<T>(
    event: number,
    body: (scope: LiveScope, w: Watcher, machine: Machine) => T,
    onwards = false,
  ): { value: T; machine: Machine } {
    if (event >= this.recording.length) {
      const machine = this.#alive()
      const scope = new LiveScope(new Watcher(), machine.host, machine.runner.variables, (name) => this.convenience(name))
      return { value: body(scope, this.#watcher, machine), machine }
    }
    this.#live = null
    const machine = new Machine(this.seed, this.#needs)
    const w = new Watcher()
    this.#attend(machine, w)
    const scope = this.#scope
    let out: { value: T } | null = null
    w.stopAt = event
    w.poll = (events) => this.#poll(events, true)
    w.stop = () => {
      w.stopAt = -1
      listen(null)
      if (scope !== null) out = { value: body(scope, w, machine) }
      if (!onwards) throw new Arrived()
      listen(w)
    }
    try {
      this.#lines.forEach((line, i) => {
        machine.run(line, i + 1, i < this.#forgotten ? null : w)
      })
    } catch (e) {
      if (!(e instanceof Arrived)) throw e
    }
    if (out === null) throw new InternalError(`event ${event} did not come again`)
    return { ...(out as { value: T }), machine }
  }

  /** a call of a saved trace begins: there is nothing to run. Its number */
  adopt(title: string): number {
    const text = title.replace(/^> /, '')
    const statement: CallStatement = {
      kind: 'call',
      line: 0,
      text,
      recorded: true,
      target: null,
      name: '',
      column: 0,
      args: [],
      netns: '',
    }
    return this.#lines.push({ text: title, statement, result: '' })
  }

  /** and what it resulted in */
  adopted(result: string): void {
    const last = this.#lines.pop()
    if (last !== undefined) this.#lines.push({ ...last, result })
  }

  /** drops the lines behind the first `count` */
  dropLines(count: number): void {
    if (count >= this.#lines.length) return
    const start = this.startOf(count + 1)
    this.#lines.length = count
    this.#live = null
    if (start >= 0) this.#truncate(start)
    else {
      this.#forgotten = Math.min(this.#forgotten, count)
      this.#truncate(0)
    }
  }

  /** lets go of all events; what comes next is numbered from 0 again */
  forget(): void {
    this.#forgotten = this.#lines.length
    this.recording = new Recording()
    this.skbs = new SkbTrack()
    this.states = new StateTrack(() => this.#host)
    for (const t of this.tracks) t.truncate(0)
  }

  /** bytes that the recording takes, and what is kept besides it */
  get memory(): { events: number; buffers: number; state: number } {
    return { events: this.recording.bytes, buffers: this.skbs.bytes, state: this.states.bytes }
  }
}
