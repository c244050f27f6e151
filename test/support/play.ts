import { Host } from '../../src/host/host.ts'
import { loadNeeds, runnerOn } from '../../src/script/needs.ts'
import { nobody } from '../../src/script/runner.ts'
import { parseScenario } from '../../src/script/scenario.ts'
import { listen, type Sink } from '../../src/trace/tracer.ts'

/** a scenario that is played line by line, with a look at the host in between */
export interface Play {
  host: Host
  /** runs one line (or several); what the last returned */
  line(text: string): string
  /** the number that a call of the scenario has kept */
  fd(name: string): number
}

/** Boots a host for a scenario's text and gives it to `body`; every event goes to `sink`. Nothing of `text` runs by itself. */
export async function play<T>(text: string, sink: Sink | null, body: (p: Play) => T): Promise<T> {
  const statements = parseScenario(text)
  const needs = await loadNeeds(statements)
  const host = new Host()
  const runner = runnerOn(host, needs, nobody)
  listen(sink)
  try {
    return body({
      host,
      line: (t) => parseScenario(t).reduce((_, s) => runner.step(s), ''),
      fd: (name) => runner.variables.get(name) ?? -1,
    })
  } finally {
    listen(null)
  }
}
