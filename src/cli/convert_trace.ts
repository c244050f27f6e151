import { JsonlCopy } from '../formats/jsonl_copy.ts'
import { JsonlReader, TraceError } from '../formats/jsonl_reader.ts'
import { UsageError } from './errors.ts'
import { openInput } from './input.ts'
import type { ShowOptions } from './options.ts'
import { type Outputs, planOutputs } from './outputs.ts'

/** Plays a saved trace to whatever the options ask for. */
export async function convert(file: string, o: ShowOptions): Promise<void> {
  const input = openInput(file)
  const plan = await planOutputs(o, 'text', input.done === undefined ? {} : { done: input.done })
  await (await import('../script/everything.ts')).loadEverything()
  let outputs: Outputs | null = null
  const copies: JsonlCopy[] = []
  const reader = new JsonlReader(
    (header) => {
      outputs = plan.open(header, {
        jsonl: (out) => {
          const copy = new JsonlCopy(out)
          copies.push(copy)
          return copy
        },
      })
      return outputs.format
    },
    (line) => {
      for (const copy of copies) copy.line(line)
    },
  )
  try {
    let first = true
    for await (const chunk of input.chunks()) {
      if (first) refuseOthers(input.name, chunk)
      first = false
      reader.feed(chunk)
    }
    reader.finish()
    ;(outputs as Outputs | null)?.finish()
  } catch (e) {
    ;(outputs as Outputs | null)?.abandon()
    throw e instanceof TraceError ? new UsageError(`${input.name}:${e.line}: ${e.message}`) : e
  }
}

/** files that people may take for a saved trace, by how they begin */
const others: readonly (readonly [start: string, what: string])[] = [
  ['0a0d0d0a', 'is a capture (pcapng): skbtrace replay takes it'],
  ['a1b2c3d4', 'is a capture (pcap): skbtrace replay takes it'],
  ['d4c3b2a1', 'is a capture (pcap): skbtrace replay takes it'],
  ['a1b23c4d', 'is a capture (pcap): skbtrace replay takes it'],
  ['4d3cb2a1', 'is a capture (pcap): skbtrace replay takes it'],
  ['17084474', 'is a trace.dat: it has not all that the other forms need; save the trace as .jsonl'],
]

function refuseOthers(name: string, start: Uint8Array): void {
  const hex = Buffer.from(start.subarray(0, 4)).toString('hex')
  const other = others.find(([magic]) => magic === hex)
  if (other !== undefined) throw new UsageError(`${name}: ${other[1]}`)
}
