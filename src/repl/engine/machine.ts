import { Host } from '../../host/host.ts'
import type { HostCommand } from '../../script/command.ts'
import { type Needs, runnerOn } from '../../script/needs.ts'
import { nobody, type Runner } from '../../script/runner.ts'
import type { Statement } from '../../script/scenario.ts'
import { listen } from '../../trace/tracer.ts'
import type { Watcher } from './watcher.ts'

/** One line of the session, ready to run. */
export interface Line {
  /** as `save FILE.scn` writes it */
  readonly text: string
  readonly statement: Statement
}

/**
 * A host that lines are run on. The kernel's state is the process's own, so there is one of these at a time, and a new one ends the one
 * before.
 */
export class Machine {
  readonly runner: Runner
  readonly host: Host
  readonly #needs: Needs

  constructor(seed: number, needs: Needs) {
    listen(null)
    this.#needs = needs
    this.host = new Host({ seed })
    this.runner = runnerOn(this.host, needs, nobody)
  }

  /** @throws RangeError when it was not loaded */
  command(name: string): HostCommand {
    const c = this.#needs.commands.get(name)
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
