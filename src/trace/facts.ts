import data from './generated/facts.json' with { type: 'json' }

/** What is known of a kernel function. From fixtures/kernel by way of scripts/facts.mjs. */
export interface Symbol {
  readonly name: string
  /** path in the Linux tree, '' where the facts do not have it (memory, locks, timers) */
  readonly file: string
  readonly line: number
  readonly kind: 'global' | 'static' | 'inline-only'
  /** whether the kernel's tracer can see it where it is really called */
  readonly ftrace: boolean
  readonly params: readonly string[]
  readonly returns: string
  /** instructions it takes itself: median and 10th in a hundred; 0 where it was never measured */
  readonly cost: number
  readonly costP10: number
}

/** How one function is reached from another in that build. */
export interface Edge {
  /** lines of the caller's file from which it was inlined */
  readonly inlined: readonly number[]
  /** lines from which it is really called */
  readonly called: readonly number[]
  readonly tail: boolean
}

type Row = [file: string, line: number, kind: string, ftrace: number, params: string, returns: string, median?: number, p10?: number]
const symbols = data.symbols as unknown as Record<string, Row>
const edges = data.edges as Record<string, string>

/** splits `int (*cb)(int, int), struct sock *sk` at the commas that are not inside brackets */
function splitParams(text: string): string[] {
  if (text === '' || text === 'void') return []
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

/** the facts of a function of Linux 6.12.117, or undefined when that kernel has none of this name */
export function lookupSymbol(name: string): Symbol | undefined {
  const row = symbols[name]
  if (row === undefined) return undefined
  const [file, line, kind, ftrace, params, returns, median, p10] = row
  return {
    name,
    file,
    line,
    kind: kind as Symbol['kind'],
    ftrace: ftrace === 1,
    params: splitParams(params),
    returns,
    cost: median ?? 0,
    costP10: p10 ?? 0,
  }
}

const parsed = new Map<string, Map<string, Edge>>()
const numbers = (text: string): number[] => (text === '' ? [] : text.split(',').map(Number))

/** the calls of one function of the image, by `inlined>functions>callee` */
export function edgesOf(caller: string): Map<string, Edge> {
  let m = parsed.get(caller)
  if (m === undefined) {
    m = new Map()
    for (const item of (edges[caller] ?? '').split(';')) {
      if (item === '') continue
      const [key = '', inlined = '', called = '', tail = ''] = item.split('|')
      m.set(key, { inlined: numbers(inlined), called: numbers(called), tail: tail === '1' })
    }
    parsed.set(caller, m)
  }
  return m
}

/** the names of all functions that can be declared, in order */
export const symbolNames = (): string[] => Object.keys(symbols)
