import data from './generated/facts.json' with { type: 'json' }

/** What is known of a kernel function. From fixtures/kernel by way of scripts/facts.mjs. */
export interface KernelSymbol {
  readonly name: string
  /** path in the Linux tree, '' where the facts do not have it (memory, locks, timers) */
  readonly file: string
  readonly line: number
  readonly kind: 'global' | 'static' | 'inline-only'
  /** whether the kernel's tracer can see it where it is really called */
  readonly ftrace: boolean
  readonly params: readonly string[]
  readonly returns: string
  /** instructions it takes itself: fixtures/kernel/costs.tsv, and scripts/facts.mjs; 0 where it was never measured */
  readonly cost: number
  /** its calls as text: `;inlined>functions>callee|lines,inlined|lines,called|tail;...;` */
  readonly calls: string
}

/** How one function is reached from another in that build. */
export interface Edge {
  /** `inlined>functions>callee` */
  readonly path: string
  /** lines of the caller's file from which it was inlined */
  readonly inlined: readonly number[]
  /** lines from which it is really called */
  readonly called: readonly number[]
  readonly tail: boolean
}

/**
 * The row of each function: name, kind and ftrace, median cost, 10th in a hundred, file, line, params, returns, calls. In dist this
 * is empty: there scripts/build.mjs has written each row where its function is declared.
 */
let rows: Map<string, string> | null = null

function rowOf(name: string): string | undefined {
  if (rows === null) {
    rows = new Map()
    for (const line of data.split('\n')) rows.set(line.slice(0, line.indexOf('\t')), line)
  }
  return rows.get(name)
}

const kinds = ['global', 'static', 'inline-only'] as const

/** splits `int (*cb)(int, int), struct sock *sk` at the commas that are not inside brackets */
function splitParams(text: string): string[] {
  if (text === '' || text === 'void') return []
  if (!text.includes('(')) return text.split(', ')
  const out: string[] = []
  let depth = 0
  let start = 0
  for (let i = 0; i < text.length; i++) {
    const c = text[i]
    if (c === '(') depth++
    else if (c === ')') depth--
    else if (c === ',' && depth === 0) {
      out.push(text.slice(start, i).trim())
      start = i + 1
    }
  }
  out.push(text.slice(start).trim())
  return out
}

/** What every call needs is read at once, the rest of a row when somebody asks for it. */
class Row implements KernelSymbol {
  readonly name: string
  readonly kind: KernelSymbol['kind']
  readonly ftrace: boolean
  readonly cost: number
  readonly #row: string
  #calls: string | undefined
  #rest: { file: string; line: number; params: string[]; returns: string } | null = null

  constructor(row: string) {
    const at = row.indexOf('\t') + 1
    const code = row.charCodeAt(at) - 48
    this.name = row.slice(0, at - 1)
    this.kind = kinds[code >> 1] ?? 'global'
    this.ftrace = (code & 1) === 1
    this.cost = Number(row.slice(at + 2, row.indexOf('\t', at + 2)))
    this.#row = row
  }

  get calls(): string {
    this.#calls ??= this.#row.slice(this.#row.indexOf('\t;') + 1)
    return this.#calls
  }
  get file(): string {
    return this.#all().file
  }
  get line(): number {
    return this.#all().line
  }
  get params(): readonly string[] {
    return this.#all().params
  }
  get returns(): string {
    return this.#all().returns
  }

  #all(): { file: string; line: number; params: string[]; returns: string } {
    if (this.#rest === null) {
      const [, , , file = '', line, params = '', returns = ''] = this.#row.split('\t', 7)
      this.#rest = { file, line: Number(line), params: splitParams(params), returns }
    }
    return this.#rest
  }
}

/** the facts of a function of Linux 6.12.117, by its name or its row; undefined when that kernel has none of this name */
export function lookupSymbol(text: string): KernelSymbol | undefined {
  const row = text.includes('\t') ? text : rowOf(text)
  return row === undefined ? undefined : new Row(row)
}

const numbers = (text: string): number[] => (text === '' ? [] : text.split(',').map(Number))

/** edges as values, from such a text without its first semicolon */
export function parseEdges(calls: string): Edge[] {
  return calls.split(';').flatMap((text) => {
    if (text === '') return []
    const [path = '', inlined = '', called = '', tail] = text.split('|')
    return [{ path, inlined: numbers(inlined), called: numbers(called), tail: tail === '1' }]
  })
}

/** the calls of one function of the image, by `inlined>functions>callee` */
export const edgesOf = (caller: KernelSymbol): Map<string, Edge> => new Map(parseEdges(caller.calls).map((e) => [e.path, e]))
