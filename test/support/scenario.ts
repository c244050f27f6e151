import { Host } from '../../src/host/host.ts'
import { commandsOf, type HostCommand, loadCommands } from '../../src/script/command.ts'
import { loadModules, textsOf } from '../../src/script/modules.ts'
import { Runner } from '../../src/script/runner.ts'
import { parseScenario } from '../../src/script/scenario.ts'
import { type CardEvent, listen, type TracedSkb } from '../../src/trace/tracer.ts'

/** a frame as a device of a namespace sent it or received it, headers and all */
export interface SeenFrame {
  device: string
  netns: string
  direction: 'in' | 'out'
  bytes: Uint8Array
}

export interface Ran {
  host: Host
  /** of every line that is a call, in order: `call = result` */
  results: string[]
  frames: SeenFrame[]
  /** what cards put on the cable */
  wire: Uint8Array[]
  /** what was printed by the commands */
  printed: string[]
}

export const bytesOf = (skb: TracedSkb): Uint8Array =>
  new Uint8Array(
    Buffer.concat([skb.bytes.slice(skb.data, skb.tail), ...Array.from({ length: skb.nr_frags }, (_, i) => skb.frag(i))]),
  )

/** runs a scenario on a new host, to the end of its aftermath; `before` sets the host up */
export async function runScenario(text: string, before: (host: Host) => void = () => {}): Promise<Ran> {
  const statements = parseScenario(text)
  await loadModules(textsOf(statements))
  const commands: ReadonlyMap<string, HostCommand> = await loadCommands(
    statements.flatMap((s) => (s.kind === 'command' ? commandsOf(s.words) : [])),
  )
  const host = new Host()
  before(host)
  const ran: Ran = { host, results: [], frames: [], wire: [], printed: [] }
  listen({
    enter: () => {},
    exit: () => {},
    frame: (device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb) => {
      // a received frame has its Ethernet header pulled
      ran.frames.push({ device, netns, direction, bytes: bytesOf(skb) })
    },
    card: (e: CardEvent) => {
      if (e.what === 'wire' && e.bytes !== null) ran.wire.push(e.bytes)
    },
  })
  try {
    const runner = new Runner(host, { begin: () => {}, end: () => {} }, commands)
    for (const s of statements) {
      const out = runner.step(s)
      if (s.kind === 'call') ran.results.push(`${s.name} = ${out}`)
      else ran.printed.push(out)
    }
    host.sleep(300)
  } finally {
    listen(null)
  }
  return ran
}
