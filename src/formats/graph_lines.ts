import type { Call } from '../trace/tracer.ts'
import type { Paint } from './graph_options.ts'
import { KINDS } from './shown_calls.ts'

/** Pieces of the graph's lines that are the same each time. */

/** columns of a narrow terminal */
export const WIDTH = 80

/** a name as the graph prints it: its line when it begins, when it calls nothing, when it ends */
interface Names {
  readonly open: string
  readonly leaf: string
  readonly close: string
}

/** Makes a function's lines once. */
export class GraphNames {
  readonly #tail: boolean
  readonly #paint: Paint | null
  readonly #known: (Names | undefined)[] = []

  /** `tail`: names behind closing braces */
  constructor(tail: boolean, paint: Paint | null) {
    this.#tail = tail
    this.#paint = paint
  }

  of(call: Call): Names {
    const i = 3 * call.fn.id + KINDS[call.kind]
    let t = this.#known[i]
    if (t === undefined) {
      while (this.#known.length <= i) this.#known.push(undefined)
      const plain = (call.kind === 'inlined' ? '~' : call.kind === 'notrace' ? '-' : '') + call.fn.name
      const name = call.kind === 'call' || this.#paint === null ? plain : this.#paint.ghost(plain)
      const close = this.#tail ? `} /* ${plain} */\n` : '}\n'
      t = {
        open: `${name}() {\n`,
        leaf: `${name}();\n`,
        close: this.#paint === null ? close : `${this.#paint.comment(close.trimEnd())}\n`,
      }
      this.#known[i] = t
    }
    return t
  }
}

/** `frame 3`, `frames 3 to 5`: those after the first `from`, up to `to` */
export const framesOf = (from: number, to: number): string =>
  to <= from ? '' : to === from + 1 ? `frame ${to}` : `frames ${from + 1} to ${to}`

/** the line that stands for repeats */
export function repeats(times: number, calls: readonly string[], from: number, to: number): string {
  const [first = ''] = calls
  const what =
    calls.length === 1 ? `${times} more ${first}()` : `${times} times more ${first}() to ${calls[calls.length - 1] ?? ''}()`
  const frames = framesOf(from, to)
  const line = `# ... and ${what}`
  const more = `${frames === '' ? '' : `${frames}; `}--no-fold shows all`
  return line.length + more.length + 3 > WIDTH ? `${line}\n#     (${more})\n` : `${line} (${more})\n`
}
