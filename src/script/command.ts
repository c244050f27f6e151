import type { Host } from '../host/host.ts'

/** What a command of the host printed, and its exit status. */
export interface Outcome {
  status: number
  stdout: string
  /** the command's own words for what was wrong, as iproute2 and the others print it; '' when all went well */
  stderr: string
}

/** One command of the host. `words[0]` is its name; `netns` the network namespace that it runs in. */
export type HostCommand = (host: Host, words: readonly string[], netns: string) => Outcome

/** all went well */
export const ok = (stdout = ''): Outcome => ({ status: 0, stdout, stderr: '' })
/** it did not: the command's own words, and its exit status */
export const failed = (stderr: string, status = 1): Outcome => ({ status, stdout: '', stderr })

/** what is there; each in a file of its own in commands/, loaded when it is first used */
const commands: Readonly<Record<string, () => Promise<HostCommand>>> = {
  cat: async () => (await import('./commands/cat.ts')).cat,
  ethtool: async () => (await import('./commands/ethtool.ts')).ethtool,
  hw: async () => (await import('./commands/hw.ts')).hw,
  ip: async () => (await import('./commands/ip.ts')).ip,
  nft: async () => (await import('./commands/nft.ts')).nft,
  nstat: async () => (await import('./commands/nstat.ts')).nstat,
  ss: async () => (await import('./commands/ss.ts')).ss,
  sysctl: async () => (await import('./commands/sysctl.ts')).sysctl,
  tc: async () => (await import('./commands/tc.ts')).tc,
}

const loaded = new Map<string, HostCommand>()

/** one that loadCommands() has loaded before, for a command that runs others */
export const loadedCommand = (name: string): HostCommand | null => loaded.get(name) ?? null

/** the commands that a line names: `ip netns exec NS CMD …` names two */
export function commandsOf(words: readonly string[]): string[] {
  const [name = ''] = words
  const exec = name === 'ip' ? words.indexOf('exec') : -1
  return exec < 0 ? [name] : [name, ...commandsOf(words.slice(exec + 2))]
}

/** Loads the commands that a scenario names, so that running them needs no waiting. */
export async function loadCommands(names: Iterable<string>): Promise<ReadonlyMap<string, HostCommand>> {
  for (const name of new Set(names)) {
    const load = Object.hasOwn(commands, name) ? commands[name] : undefined
    if (load !== undefined) loaded.set(name, await load())
  }
  return loaded
}
