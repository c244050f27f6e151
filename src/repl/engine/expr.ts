/** The expressions of `print`, conditions and watches: C's, as far as they only look. Text to a tree, and back. */

/** A mistake in an expression; `column` counts from 0 in the expression's text. */
export class ExprError extends Error {
  readonly column: number

  constructor(message: string, column: number) {
    super(message)
    this.column = column
  }
}

/** An expression as it was parsed. */
export type Expr =
  | { kind: 'number'; value: number | bigint }
  | { kind: 'string'; value: string }
  /** a name, or a convenience variable: `$1`, `$`, `$$2`, `$x` */
  | { kind: 'name'; name: string }
  /** `.` and `->` are the same here */
  | { kind: 'member'; of: Expr; field: string }
  | { kind: 'index'; of: Expr; index: Expr }
  /** `sock(c)`, `dev("eth0")`, `sizeof(x)` */
  | { kind: 'call'; name: string; args: Expr[] }
  | { kind: 'unary'; op: string; of: Expr }
  | { kind: 'cast'; type: string; of: Expr }
  | { kind: 'binary'; op: string; left: Expr; right: Expr }
  | { kind: 'if'; test: Expr; yes: Expr; no: Expr }

interface Token {
  kind: 'number' | 'string' | 'name' | 'op' | 'end'
  text: string
  at: number
}

const tokenRe =
  /\s*(?:(0[xX][0-9a-fA-F]+[uUlL]*|0[bB][01]+|\d+[uUlL]*)|("(?:[^"\\]|\\.)*")|('(?:[^'\\]|\\.)')|(\$?\$?[A-Za-z_][A-Za-z0-9_]*|\$\$?\d*)|(->|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^~!<>?:.,()[\]]))/y

function tokens(text: string): Token[] {
  const out: Token[] = []
  tokenRe.lastIndex = 0
  for (;;) {
    const start = tokenRe.lastIndex
    if (/^\s*$/.test(text.slice(start))) break
    const m = tokenRe.exec(text)
    if (m === null) {
      const at = start + (/^\s*/.exec(text.slice(start))?.[0].length ?? 0)
      const c = text[at] ?? ''
      throw new ExprError(
        c === '=' ? "nothing can be assigned here (to compare: '==')" : `'${c}' is nothing an expression has`,
        at,
      )
    }
    const [whole, number, string, character, name, op] = m
    const at = start + whole.length - whole.trimStart().length
    if (number !== undefined) out.push({ kind: 'number', text: number, at })
    else if (string !== undefined) out.push({ kind: 'string', text: string, at })
    else if (character !== undefined) out.push({ kind: 'number', text: character, at })
    else if (name !== undefined) out.push({ kind: 'name', text: name, at })
    else out.push({ kind: 'op', text: op ?? '', at })
  }
  out.push({ kind: 'end', text: 'the end', at: text.length })
  return out
}

/** C's precedence of what stands between two operands; higher binds tighter */
const precedence: Readonly<Record<string, number>> = {
  '||': 1,
  '&&': 2,
  '|': 3,
  '^': 4,
  '&': 5,
  '==': 6,
  '!=': 6,
  '<': 7,
  '>': 7,
  '<=': 7,
  '>=': 7,
  '<<': 8,
  '>>': 8,
  '+': 9,
  '-': 9,
  '*': 10,
  '/': 10,
  '%': 10,
}
const UNARY = 11
const POSTFIX = 12

/** how wide an integer type is, in bits; negative when it has a sign; 0 for what a cast leaves alone */
const types: Readonly<Record<string, number>> = {
  u8: 8,
  __u8: 8,
  uint8_t: 8,
  'unsigned char': 8,
  s8: -8,
  char: -8,
  'signed char': -8,
  u16: 16,
  __u16: 16,
  __be16: 16,
  uint16_t: 16,
  'unsigned short': 16,
  s16: -16,
  short: -16,
  u32: 32,
  __u32: 32,
  __be32: 32,
  uint32_t: 32,
  unsigned: 32,
  'unsigned int': 32,
  s32: -32,
  int: -32,
  u64: 64,
  __u64: 64,
  uint64_t: 64,
  size_t: 64,
  'unsigned long': 64,
  'unsigned long long': 64,
  s64: -64,
  long: -64,
  'long long': -64,
  ssize_t: -64,
  bool: 1,
}
/** of C's number types; 0 for any other name */
export const typeBits = (type: string): number => types[type] ?? 0
const typeWord = new Set([...Object.keys(types).flatMap((t) => t.split(' ')), 'struct', 'const', 'void'])

class Parser {
  readonly #tokens: Token[]
  #at = 0

  constructor(text: string) {
    this.#tokens = tokens(text)
  }

  get #next(): Token {
    return this.#tokens[this.#at] ?? { kind: 'end', text: 'the end', at: 0 }
  }

  #take(op: string): boolean {
    const t = this.#next
    if (t.kind !== 'op' || t.text !== op) return false
    this.#at++
    return true
  }

  #expect(op: string, where: string): void {
    if (!this.#take(op)) this.#fail(`expected '${op}' ${where}`)
  }

  #fail(message: string): never {
    const t = this.#next
    throw new ExprError(`${message}, found ${t.kind === 'end' ? 'the end' : `'${t.text}'`}`, t.at)
  }

  whole(): Expr {
    const e = this.#conditional()
    if (this.#next.kind !== 'end') this.#fail('expected an operator')
    return e
  }

  #conditional(): Expr {
    const test = this.#binary(1)
    if (!this.#take('?')) return test
    const yes = this.#conditional()
    this.#expect(':', "after what stands behind '?'")
    return { kind: 'if', test, yes, no: this.#conditional() }
  }

  #binary(least: number): Expr {
    let left = this.#unary()
    for (;;) {
      const t = this.#next
      const p = t.kind === 'op' ? (precedence[t.text] ?? 0) : 0
      if (p < least) return left
      this.#at++
      left = { kind: 'binary', op: t.text, left, right: this.#binary(p + 1) }
    }
  }

  #unary(): Expr {
    for (const op of ['-', '+', '!', '~', '*', '&']) if (this.#take(op)) return { kind: 'unary', op, of: this.#unary() }
    const type = this.#cast()
    if (type !== null) return { kind: 'cast', type, of: this.#unary() }
    return this.#postfix(this.#primary())
  }

  /** `(u8)`, `(unsigned int)`, `(struct tcphdr *)`; null when it is none */
  #cast(): string | null {
    if (this.#next.text !== '(' || this.#next.kind !== 'op') return null
    const words: string[] = []
    let i = this.#at + 1
    for (let t = this.#tokens[i]; t?.kind === 'name'; t = this.#tokens[++i]) {
      if (!typeWord.has(t.text) && words.at(-1) !== 'struct') return null
      words.push(t.text)
    }
    if (words.length === 0) return null
    let stars = 0
    while (this.#tokens[i]?.text === '*') {
      stars++
      i++
    }
    const close = this.#tokens[i]
    if (close?.kind !== 'op' || close.text !== ')') return null
    this.#at = i + 1
    return words.join(' ') + (stars > 0 ? ` ${'*'.repeat(stars)}` : '')
  }

  #postfix(start: Expr): Expr {
    let e = start
    for (;;) {
      if (this.#take('.') || this.#take('->')) {
        const t = this.#next
        if (t.kind !== 'name') this.#fail('expected the name of a field')
        this.#at++
        e = { kind: 'member', of: e, field: t.text }
      } else if (this.#take('[')) {
        const index = this.#conditional()
        this.#expect(']', 'after an index')
        e = { kind: 'index', of: e, index }
      } else return e
    }
  }

  #primary(): Expr {
    const t = this.#next
    if (this.#take('(')) {
      const e = this.#conditional()
      this.#expect(')', 'to close a bracket')
      return e
    }
    if (t.kind === 'op' || t.kind === 'end') this.#fail('expected a value')
    this.#at++
    if (t.kind === 'number') return { kind: 'number', value: numberOf(t) }
    if (t.kind === 'string') return { kind: 'string', value: unquoted(t.text.slice(1, -1)) }
    if (this.#take('(')) {
      const args: Expr[] = []
      if (!this.#take(')')) {
        do args.push(this.#conditional())
        while (this.#take(','))
        this.#expect(')', `after the arguments of ${t.text}`)
      }
      return { kind: 'call', name: t.text, args }
    }
    return { kind: 'name', name: t.text }
  }
}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '0': '\0' }
const unquoted = (s: string): string => s.replace(/\\(.)/g, (_, c: string) => escapes[c] ?? c)

function numberOf(t: Token): number | bigint {
  if (t.text.startsWith("'")) return unquoted(t.text.slice(1, -1)).charCodeAt(0)
  const digits = t.text.replace(/[uUlL]+$/, '')
  // a leading 0 is octal, as in C
  const octal = /^0\d+$/.test(digits)
  if (octal && /[89]/.test(digits)) throw new ExprError(`'${digits}' is no octal number`, t.at)
  const big = BigInt(octal ? `0o${digits.slice(1)}` : digits)
  return big <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(big) : big
}

/** @throws ExprError */
export function parseExpr(text: string): Expr {
  if (text.trim() === '') throw new ExprError('an expression is wanted, such as skb.len', 0)
  return new Parser(text).whole()
}

function level(e: Expr): number {
  switch (e.kind) {
    case 'if':
      return 0
    case 'binary':
      return precedence[e.op] ?? 0
    case 'unary':
    case 'cast':
      return UNARY
    case 'number':
      return e.value < 0 ? UNARY : POSTFIX
    default:
      return POSTFIX
  }
}

/** An expression as text, with no more brackets than it needs: parseExpr() of it gives the same tree. */
export function exprText(e: Expr): string {
  const inside = (x: Expr, least: number): string => (level(x) < least ? `(${exprText(x)})` : exprText(x))
  switch (e.kind) {
    case 'number':
      return String(e.value)
    case 'string':
      return JSON.stringify(e.value)
    case 'name':
      return e.name
    case 'member':
      return `${inside(e.of, POSTFIX)}.${e.field}`
    case 'index':
      return `${inside(e.of, POSTFIX)}[${exprText(e.index)}]`
    case 'call':
      return `${e.name}(${e.args.map(exprText).join(', ')})`
    case 'unary': {
      const of = inside(e.of, UNARY)
      // `&&` would be another operator
      return e.op === '&' && of.startsWith('&') ? `& ${of}` : `${e.op}${of}`
    }
    case 'cast':
      return `(${e.type})${inside(e.of, UNARY)}`
    case 'binary': {
      const p = level(e)
      return `${inside(e.left, p)} ${e.op} ${inside(e.right, p + 1)}`
    }
    case 'if':
      return `${inside(e.test, 1)} ? ${exprText(e.yes)} : ${exprText(e.no)}`
  }
}

/** the names that an expression asks for */
export function namesIn(e: Expr): string[] {
  switch (e.kind) {
    case 'name':
      return [e.name]
    case 'member':
    case 'unary':
    case 'cast':
      return namesIn(e.of)
    case 'index':
      return [...namesIn(e.of), ...namesIn(e.index)]
    case 'call':
      return e.args.flatMap(namesIn)
    case 'binary':
      return [...namesIn(e.left), ...namesIn(e.right)]
    case 'if':
      return [...namesIn(e.test), ...namesIn(e.yes), ...namesIn(e.no)]
    default:
      return []
  }
}
