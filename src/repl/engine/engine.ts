import { OutputError } from '../../formats/output.ts'
import { complete } from './complete.ts'
import { Debugger, UserError } from './debugger.ts'
import { Interpreter } from './interpreter.ts'
import type { Poll } from './session.ts'
import type { Completion, Engine, EngineOptions, Progress, Reply, View, Want } from './types.ts'
import { Interrupted } from './watcher.ts'

/** milliseconds between two words on how far something is */
const PROGRESS_MS = 100

/** The engine in this very thread: for pipes and tests, and inside of a worker. Nothing can interrupt it but `stop`. */
export class LocalEngine implements Engine {
  onProgress: ((p: Progress) => void) | null = null
  readonly debugger: Debugger
  readonly #interpreter: Interpreter
  readonly #stop: () => boolean
  #queue: Promise<unknown> = Promise.resolve()
  #told = 0

  /** `stop`: asked now and then while something runs, whether it shall end */
  constructor(options: EngineOptions, stop: () => boolean = () => false, readOnly = false) {
    this.#stop = stop
    const poll: Poll = (events, again) => {
      if (this.#stop()) throw new Interrupted()
      this.#progress({ events, what: again ? 'again' : 'run' })
    }
    this.debugger = new Debugger(options.seed, options.width, poll, readOnly)
    this.#interpreter = new Interpreter(this.debugger, options.interactive)
  }

  #progress(p: Progress): void {
    if (this.onProgress === null) return
    const now = performance.now()
    if (now - this.#told < PROGRESS_MS) return
    this.#told = now
    this.onProgress(p)
  }

  /** one thing at a time: loading code takes a while, and nothing may come in between */
  #next<T>(body: () => T | Promise<T>): Promise<T> {
    const result = this.#queue.then(body)
    this.#queue = result.catch(() => {})
    return result
  }

  submit(line: string): Promise<Reply> {
    return this.#next(() => this.#submit(line))
  }

  async #submit(line: string): Promise<Reply> {
    const d = this.debugger
    const before = { cursor: d.cursor, length: d.session.length, recording: d.session.recording }
    let ok = true
    let quit = false
    this.#told = performance.now()
    try {
      quit = await this.#interpreter.line(line)
    } catch (e) {
      ok = false
      if (e instanceof Interrupted) d.say('error', 'interrupted: the session is as it was before this line')
      else if (e instanceof UserError || e instanceof OutputError) d.say('error', e.message)
      // the session was made again from its lines: whatever is broken, one can go on
      else d.say('error', `internal error, please report it: ${e instanceof Error ? e.message : String(e)}`)
    }
    const changed = before.cursor !== d.cursor || before.length !== d.session.length || before.recording !== d.session.recording
    return { ok, blocks: d.taken(), quit, at: d.position, changed }
  }

  view(want: Want): Promise<View> {
    return this.#next(() => this.debugger.view(want))
  }

  complete(line: string, cursor: number): Promise<Completion> {
    return this.#next(() => complete(this.debugger, line, cursor))
  }

  interrupt(): void {}

  async close(): Promise<void> {
    await this.#queue
  }
}
