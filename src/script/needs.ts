import type { Host } from '../host/host.ts'
import { commandsOf, type HostCommand, loadCommands } from './command.ts'
import { loadIpv6 } from './ipv6.ts'
import { type Recorder, Runner } from './runner.ts'
import type { Statement } from './scenario.ts'

/** What lines need besides the kernel's core; loaded before, so that they run without waiting. */
export interface Needs {
  readonly commands: ReadonlyMap<string, HostCommand>
  /** what brings IPv6 up on the host that was made last; null when no line asks for it */
  readonly ipv6: (() => void) | null
}

/** the commands of the host that statements name */
const commandsIn = (statements: readonly Statement[]): string[] =>
  statements.flatMap((s) => (s.kind === 'command' ? commandsOf(s.words) : []))

/** Loads the commands that statements name, the kernel's modules, and IPv6 where they ask for it. */
export async function loadNeeds(statements: readonly Statement[]): Promise<Needs> {
  const commands = await loadCommands(commandsIn(statements))
  return { commands, ipv6: await loadIpv6(statements) }
}

/** Makes a new host what a scenario needs it to be, and what runs its lines there; `recorder` is told of the calls it records. */
export function runnerOn(host: Host, needs: Needs, recorder: Recorder): Runner {
  needs.ipv6?.()
  return new Runner(host, recorder, needs.commands)
}
