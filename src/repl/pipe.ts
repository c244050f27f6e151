import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { Output } from '../formats/output.ts'
import type { Engine, Reply } from './engine/types.ts'

/** what is printed of a reply: what the user did not write himself */
const printed = (r: Reply): string => {
  let out = ''
  for (const b of r.blocks) if (b.kind !== 'echo' && b.kind !== 'error') out += `${b.text}\n`
  return out
}

/**
 * Does what comes in line by line, and prints what comes of it. A line that fails is named on standard error, and the next one is done.
 * @returns the exit status: 0, or 1 when a line failed
 */
export async function pipe(engine: Engine, input: Readable, complain: (text: string) => void): Promise<number> {
  const out = Output.stdout()
  let number = 0
  let status = 0
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    number++
    const reply = await engine.submit(line)
    out.write(printed(reply))
    out.flush()
    if (!reply.ok) {
      status = 1
      for (const b of reply.blocks) if (b.kind === 'error') complain(`line ${number}: ${b.text}`)
    }
    if (reply.quit) break
  }
  out.finish()
  return status
}
