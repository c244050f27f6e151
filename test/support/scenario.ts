import { Host } from '../../src/host/host.ts'
import { loadNeeds, runnerOn } from '../../src/script/needs.ts'
import { nobody } from '../../src/script/runner.ts'
import { parseScenario } from '../../src/script/scenario.ts'
import { type CardEvent, listen, type TracedSkb } from '../../src/trace/tracer.ts'

/** a frame as a device of a namespace sent it or received it, headers and all */
interface SeenFrame {
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
  const needs = await loadNeeds(statements)
  const host = new Host()
  const runner = runnerOn(host, needs, nobody)
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
