import type { Call } from '../trace/tracer.ts'
import { type Format, Tee } from './format.ts'
import { addressOf } from './values.ts'

const meet = (v: unknown): void => {
  if (typeof v === 'object' && v !== null) addressOf(v)
}

/**
 * Gives every object of the kernel its address when it comes by first, whether somebody prints it or not: so it is the same in all
 * formats, whatever they leave out.
 */
export class Addresses extends Tee {
  constructor(to: Format) {
    super([to])
  }

  override enter(call: Call, a?: unknown, b?: unknown, c?: unknown, d?: unknown, e?: unknown, f?: unknown): void {
    meet(a)
    meet(b)
    meet(c)
    meet(d)
    meet(e)
    meet(f)
    super.enter(call, a, b, c, d, e, f)
  }
  override exit(call: Call, ret: unknown): void {
    meet(ret)
    super.exit(call, ret)
  }
  override tracepoint(system: string, name: string, fields: Readonly<Record<string, unknown>>): void {
    for (const k in fields) meet(fields[k])
    super.tracepoint(system, name, fields)
  }
}
