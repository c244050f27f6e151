import { nameOf } from '../../trace/kfunc.ts'
import { type Expr, typeBits } from './expr.ts'
import { isRealSkb, isSock, structName } from './structs.ts'

/** Memory with an offset: `unsigned char *`. */
export class Pointer {
  readonly bytes: Uint8Array
  readonly at: number
  /** what offset 0 is called: `skb 2 head` */
  readonly base: string

  constructor(bytes: Uint8Array, at: number, base: string) {
    this.bytes = bytes
    this.at = at
    this.base = base
  }
}

/** `*p`: the struct itself, not a pointer to it */
export class Struct {
  readonly of: object

  constructor(of: object) {
    this.of = of
  }
}

/** Where names are looked up. `undefined`: there is none; `problem` then says why, if there is more to say than that. */
export interface Scope {
  lookup(name: string): unknown
  call(name: string, args: readonly unknown[]): unknown
  problem: string
}

/** a parsed expression, ready to be evaluated again and again: undefined when it has no value, and the scope says why */
export type Evaluator = (s: Scope) => unknown

function missing(s: Scope, why: string): undefined {
  if (s.problem === '') s.problem = why
  return undefined
}

/** C has embedded structs where a class here extends another: the way through them */
const within = new Set(['__sk_common', 'inet_conn', 'icsk_inet', 'sk', 'inet'])

/** a field of a struct, by its name in Linux */
function member(v: unknown, name: string, s: Scope): unknown {
  const o = v instanceof Struct ? v.of : v
  if (o === null || o === 0) return missing(s, `cannot access memory at address 0x0 (.${name} of a null pointer)`)
  if (o === undefined) return undefined
  if (typeof o === 'string' || typeof o !== 'object') return missing(s, `'.${name}' of something that is no struct`)
  if (o instanceof Pointer) return missing(s, `'.${name}' of a pointer to bytes: x/16xb shows those`)
  if (isRealSkb(o)) {
    if (name === 'data') return new Pointer(o.head.bytes, o.data, `skb ${o.id} head`)
    if (name === 'head') return new Pointer(o.head.bytes, 0, `skb ${o.id} head`)
  }
  if (name in o) {
    try {
      const field = (o as Record<string, unknown>)[name]
      return field === undefined ? missing(s, `${name} is not set yet`) : field
    } catch {
      // an accessor of a struct that is only being made
      return missing(s, `${name} is not set yet`)
    }
  }
  if (isSock(o) && within.has(name)) return o
  const struct = structName(o)
  return missing(s, `there is no member named ${name}${struct === '' ? '' : ` in struct ${struct}`}`)
}

function element(v: unknown, i: unknown, s: Scope): unknown {
  if (v === undefined || i === undefined) return undefined
  const n = Number(i)
  if (v instanceof Pointer) {
    const at = v.at + n
    return at >= 0 && at < v.bytes.length ? v.bytes[at] : missing(s, `cannot access memory at ${v.base}+${at}`)
  }
  const list = v instanceof Uint8Array || Array.isArray(v) || typeof v === 'string' ? v : null
  if (list === null) return missing(s, 'an index needs an array')
  if (n < 0 || n >= list.length || !Number.isInteger(n)) return missing(s, `index ${n} is outside of the array's ${list.length}`)
  return list[n]
}

/** whether C takes a value for true */
export const truth = (v: unknown): boolean => v !== undefined && v !== null && v !== false && v !== 0 && v !== 0n && v !== ''

/** a number to calculate with; undefined for what is none */
function arithmetic(v: unknown): number | bigint | undefined {
  switch (typeof v) {
    case 'number':
    case 'bigint':
      return v
    case 'boolean':
      return v ? 1 : 0
    default:
      return v === null ? 0 : v instanceof Pointer ? v.at : undefined
  }
}

const narrow = (v: bigint): number | bigint =>
  v >= BigInt(Number.MIN_SAFE_INTEGER) && v <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(v) : v
const wide = (v: number | bigint): bigint => (typeof v === 'bigint' ? v : BigInt(Math.trunc(v)))

/** by C's rules, in as many bits as it needs */
function calculate(op: string, a: number | bigint, b: number | bigint, s: Scope): unknown {
  switch (op) {
    case '<':
      return a < b ? 1 : 0
    case '>':
      return a > b ? 1 : 0
    case '<=':
      return a <= b ? 1 : 0
    case '>=':
      return a >= b ? 1 : 0
  }
  if (op === '/' || op === '%') {
    // biome-ignore lint/suspicious/noDoubleEquals: 0n counts as well
    if (b == 0) return missing(s, 'division by zero')
  }
  if (typeof a === 'number' && typeof b === 'number') {
    const r =
      op === '+'
        ? a + b
        : op === '-'
          ? a - b
          : op === '*'
            ? a * b
            : op === '/'
              ? Math.trunc(a / b)
              : op === '%'
                ? a % b
                : Number.NaN
    if (Number.isSafeInteger(r)) return r + 0
  }
  const x = wide(a)
  const y = wide(b)
  switch (op) {
    case '+':
      return narrow(x + y)
    case '-':
      return narrow(x - y)
    case '*':
      return narrow(x * y)
    case '/':
      return narrow(x / y)
    case '%':
      return narrow(x % y)
    case '&':
      return narrow(x & y)
    case '|':
      return narrow(x | y)
    case '^':
      return narrow(x ^ y)
    case '<<':
    case '>>':
      if (y < 0n || y > 63n) return missing(s, `a shift by ${y} bits`)
      return narrow(op === '<<' ? BigInt.asUintN(64, x << y) : x >> y)
  }
  return missing(s, `'${op}' is no operator`)
}

function equal(a: unknown, b: unknown): boolean {
  const x = a instanceof Struct ? a.of : a
  const y = b instanceof Struct ? b.of : b
  if (x instanceof Pointer && y instanceof Pointer) return x.bytes === y.bytes && x.at === y.at
  if (typeof x === 'function' || typeof y === 'function') {
    const name = (v: unknown): unknown => (typeof v === 'function' ? nameOf(v) : v)
    return name(x) === name(y)
  }
  const m = arithmetic(x)
  const n = arithmetic(y)
  // biome-ignore lint/suspicious/noDoubleEquals: 1 and 1n are the same number
  if (m !== undefined && n !== undefined) return m == n
  return x === y
}

function binary(op: string, a: unknown, b: unknown, s: Scope): unknown {
  if (op === '==') return equal(a, b) ? 1 : 0
  if (op === '!=') return equal(a, b) ? 0 : 1
  if (a instanceof Pointer && (op === '+' || op === '-') && typeof b === 'number')
    return new Pointer(a.bytes, op === '+' ? a.at + b : a.at - b, a.base)
  if (b instanceof Pointer && op === '+' && typeof a === 'number') return new Pointer(b.bytes, b.at + a, b.base)
  if (typeof a === 'string' && typeof b === 'string' && (op === '<' || op === '>')) return (op === '<' ? a < b : a > b) ? 1 : 0
  const x = arithmetic(a)
  const y = arithmetic(b)
  if (x === undefined || y === undefined) return missing(s, `'${op}' needs two numbers`)
  return calculate(op, x, y, s)
}

function cast(type: string, v: unknown): unknown {
  const bits = typeBits(type)
  const n = arithmetic(v)
  if (bits === 0 || n === undefined) return v
  if (bits === 1) return truth(v) ? 1 : 0
  return narrow(bits < 0 ? BigInt.asIntN(-bits, wide(n)) : BigInt.asUintN(bits, wide(n)))
}

function unary(op: string, v: unknown, s: Scope): unknown {
  if (v === undefined) return undefined
  switch (op) {
    case '!':
      return truth(v) ? 0 : 1
    case '*':
      if (v instanceof Pointer) return element(v, 0, s)
      if (v === null || v === 0) return missing(s, 'cannot access memory at address 0x0')
      return typeof v === 'object' && !(v instanceof Struct) ? new Struct(v) : missing(s, "'*' of something that is no pointer")
    case '&':
      return v instanceof Struct ? v.of : v
  }
  const n = arithmetic(v)
  if (n === undefined) return missing(s, `'${op}' needs a number`)
  if (op === '+') return n
  return op === '-' ? narrow(-wide(n)) : narrow(~wide(n))
}

/** makes of an expression what works out its value, as often as wanted */
export function compile(e: Expr): Evaluator {
  switch (e.kind) {
    case 'number':
    case 'string': {
      const { value } = e
      return () => value
    }
    case 'name': {
      const { name } = e
      return (s) => s.lookup(name)
    }
    case 'member': {
      const of = compile(e.of)
      const { field } = e
      return (s) => {
        const o = of(s)
        return o === undefined ? undefined : member(o, field, s)
      }
    }
    case 'index': {
      const of = compile(e.of)
      const index = compile(e.index)
      return (s) => element(of(s), index(s), s)
    }
    case 'call': {
      const args = e.args.map(compile)
      const { name } = e
      return (s) =>
        s.call(
          name,
          args.map((a) => a(s)),
        )
    }
    case 'unary': {
      const of = compile(e.of)
      const { op } = e
      return (s) => unary(op, of(s), s)
    }
    case 'cast': {
      const of = compile(e.of)
      const { type } = e
      return (s) => cast(type, of(s))
    }
    case 'if': {
      const [test, yes, no] = [compile(e.test), compile(e.yes), compile(e.no)]
      return (s) => {
        const t = test(s)
        return t === undefined ? undefined : truth(t) ? yes(s) : no(s)
      }
    }
    case 'binary': {
      const [left, right] = [compile(e.left), compile(e.right)]
      const { op } = e
      if (op === '&&' || op === '||')
        return (s) => {
          const a = left(s)
          if (a === undefined) return undefined
          if (truth(a) !== (op === '&&')) return op === '&&' ? 0 : 1
          const b = right(s)
          return b === undefined ? undefined : truth(b) ? 1 : 0
        }
      return (s) => {
        const a = left(s)
        const b = a === undefined ? undefined : right(s)
        return b === undefined ? undefined : binary(op, a, b, s)
      }
    }
  }
}
