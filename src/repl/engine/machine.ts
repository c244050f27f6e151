import { Host } from '../../host/host.ts'
import type { HostCommand } from '../../script/command.ts'
import { Runner } from '../../script/runner.ts'
import type { Statement } from '../../script/scenario.ts'
import { listen } from '../../trace/tracer.ts'
import type { Watcher } from './watcher.ts'

/** One line of the session, ready to run. */
export interface Line {
  /** as `save FILE.scn` writes it */
  readonly text: string
  readonly statement: Statement
}

/** What the lines need besides the kernel's core; loaded before, so that they run without waiting. */
export interface Loaded {
  readonly commands: ReadonlyMap<string, HostCommand>
  /** what brings IPv6 up; null when no line asks for it */
  readonly ipv6: (() => void) | null
}

const nothing = { begin: (): void => {}, end: (): void => {} }

/**
 * A host that lines are run on. The kernel's state is the process's own, so there is one of these at a time, and a new one ends the one
 * before.
 */
export class Machine {
  readonly runner: Runner
  readonly host: Host
  readonly #loaded: Loaded

  constructor(seed: number, loaded: Loaded) {
    listen(null)
    this.#loaded = loaded
    this.host = new Host({ seed })
    loaded.ipv6?.()
    this.runner = new Runner(this.host, nothing, loaded.commands)
  }

  /** @throws RangeError when it was not loaded */
  command(name: string): HostCommand {
    const c = this.#loaded.commands.get(name)
    if (c === undefined) throw new RangeError(`'${name}' is not loaded`)
    return c
  }

  /**
   * Runs a line while `watcher` listens, if anybody; what it printed, or the call's result. After an exception the machine is good
   * for nothing.
   * @throws ScenarioError, Interrupted, or what the watcher's `stop` throws
   */
  run(line: Line, number: number, watcher: Watcher | null): string {
    listen(watcher)
    try {
      watcher?.line(number)
      return this.runner.step(line.statement)
    } finally {
      listen(null)
    }
  }
}
