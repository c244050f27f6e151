/** The scenario language: text to statements. Its words are described in docs/scenarios.md. */

/** A mistake in what the user wrote: one line, naming the place. */
export class ScenarioError extends Error {
  readonly line: number
  readonly column: number

  constructor(message: string, line: number, column: number) {
    super(message)
    this.line = line
    this.column = column
  }
}

/** An argument of a call, as it was written. */
export type Arg =
  | { kind: 'number'; value: number }
  /** a name that is looked up when the call is made: a variable, or constants joined with `|` */
  | { kind: 'names'; names: string[] }
  | { kind: 'string'; value: string }
  /** 10.0.0.1:80 */
  | { kind: 'inet'; address: number; port: number }
  /** [::1]:80 */
  | { kind: 'inet6'; address: string; port: number }
  /** dev:eth0 */
  | { kind: 'packet'; device: string }
  /** htons(ETH_P_ALL): a name, or '' and a value */
  | { kind: 'htons'; name: string; value: number }
  /** [100,2000,EFAULT/1996] */
  | { kind: 'iovec'; parts: IovecPart[] }
  /** {1,0} */
  | { kind: 'struct'; values: number[] }
  /** EFAULT/4096 */
  | { kind: 'fault'; length: number }
  /** UDP_SEGMENT=1000 */
  | { kind: 'control'; name: string; value: number }

/** where it stands */
export interface PlacedArg {
  arg: Arg
  column: number
}

/** A line that makes a system call. */
export interface CallStatement {
  kind: 'call'
  line: number
  /** as written, without what surrounds it: `x = socket(AF_INET, …) @peer` */
  text: string
  recorded: boolean
  /** variable that keeps the result */
  target: string | null
  name: string
  column: number
  args: PlacedArg[]
  /** network namespace, '' for the host's own */
  netns: string
}

/** A buffer of an iovec; `fault`: where the process may not read. */
export interface IovecPart {
  length: number
  fault: boolean
}

/** A line that is a command of the host. */
export interface CommandStatement {
  kind: 'command'
  line: number
  text: string
  /** `ip`, `tc`, `hw`, … */
  name: string
  words: string[]
}

/** A line of a scenario. */
export type Statement = CallStatement | CommandStatement

/** The host's commands that a scenario may name. */
export const commandNames = ['hw', 'ip', 'tc', 'ethtool', 'nft', 'sysctl', 'ss', 'nstat', 'cat'] as const

const identifier = /[A-Za-z_][A-Za-z0-9_]*/y

/** Reads one line from left to right; every error knows its column. */
class Reader {
  at = 0
  readonly text: string
  readonly line: number

  constructor(text: string, line: number) {
    this.text = text
    this.line = line
  }

  fail(message: string, at: number): never {
    throw new ScenarioError(message, this.line, at + 1)
  }

  space(): void {
    while (this.text[this.at] === ' ' || this.text[this.at] === '\t') this.at++
  }

  /** takes `what` if it comes next */
  take(what: string): boolean {
    this.space()
    if (!this.text.startsWith(what, this.at)) return false
    this.at += what.length
    return true
  }

  expect(what: string, where: string): void {
    if (!this.take(what)) this.fail(`expected '${what}' ${where}, found ${this.found()}`, this.at)
  }

  /** what stands at the cursor, for a message */
  found(): string {
    this.space()
    const [rest] = /^\S+/.exec(this.text.slice(this.at)) ?? []
    if (rest === undefined) return 'the end of the line'
    return rest.length > 40 ? `'${rest.slice(0, 37)}...'` : `'${rest}'`
  }

  match(re: RegExp): string | null {
    this.space()
    re.lastIndex = this.at
    const m = re.exec(this.text)
    if (m === null) return null
    this.at += m[0].length
    return m[0]
  }

  end(): boolean {
    this.space()
    return this.at >= this.text.length
  }
}

/**
 * Text of a scenario to its statements, in order.
 * @throws ScenarioError with line and column, both from 1
 */
export function parseScenario(text: string): Statement[] {
  const out: Statement[] = []
  text.split(/\r?\n/).forEach((raw, i) => {
    const s = parseLine(raw, i + 1)
    if (s !== null) out.push(s)
  })
  return out
}

/** One line; null for a blank line or a comment. */
export function parseLine(raw: string, line: number): Statement | null {
  const r = new Reader(raw, line)
  r.space()
  if (r.end() || raw[r.at] === '#') return null
  const start = r.at
  const first = r.match(/[a-z]+(?=\s|$)/y)
  if (first !== null && (commandNames as readonly string[]).includes(first) && !/^\s*=/.test(raw.slice(r.at)))
    return { kind: 'command', line, text: raw.slice(start).trim(), name: first, words: splitWords(raw.slice(start), r, start) }
  r.at = start
  return parseCall(r, line)
}

function splitWords(text: string, r: Reader, start: number): string[] {
  const words: string[] = []
  // as a shell does: quoted and other pieces that touch are one word, and a backslash takes the meaning from what follows
  const re = /\s*((?:'[^']*'|"[^"]*"|\\.?|[^\s'"\\])+)/y
  while (re.lastIndex < text.trimEnd().length) {
    const from = re.lastIndex
    const m = re.exec(text)
    if (m === null) r.fail('a quote that does not end', start + from)
    const word = (_: string, single?: string, double?: string, escaped?: string): string => single ?? double ?? escaped ?? ''
    words.push((m[1] ?? '').replace(/'([^']*)'|"([^"]*)"|\\(.?)/g, word))
  }
  return words
}

function parseCall(r: Reader, line: number): CallStatement {
  const recorded = r.take('>')
  r.space()
  const start = r.at
  let column = r.at
  let name = r.match(identifier)
  if (name === null)
    r.fail(`expected a call such as send(c, 4096, 0), or a command (${commandNames.join(', ')}), found ${r.found()}`, r.at)
  let target: string | null = null
  if (r.take('=')) {
    target = name
    r.space()
    column = r.at
    name = r.match(identifier)
    if (name === null) r.fail(`expected a call after '${target} =', found ${r.found()}`, r.at)
  }
  if (!r.take('(')) {
    // what looks like a command is one that is not there
    const commands = target === null && !recorded ? `; the commands are ${commandNames.join(', ')}` : ''
    r.fail(`expected '(' after '${name}', found ${r.found()}${commands}`, r.at)
  }
  const args: PlacedArg[] = []
  if (!r.take(')')) {
    do {
      r.space()
      args.push({ column: r.at + 1, arg: parseArg(r) })
    } while (r.take(','))
    r.expect(')', `after the arguments of ${name}`)
  }
  let netns = ''
  if (r.take('@')) netns = r.match(identifier) ?? r.fail(`expected the name of a namespace after '@', found ${r.found()}`, r.at)
  const text = r.text.slice(start).trim()
  if (!r.end()) r.fail(`expected the end of the line, found ${r.found()}`, r.at)
  return { kind: 'call', line, text, recorded, target, name, column: column + 1, args, netns }
}

const integer = /-?(?:0x[0-9a-fA-F]+|\d+)/y

function parseNumber(r: Reader, what: string): number {
  const at = r.at
  const m = r.match(integer)
  if (m === null) r.fail(`expected ${what}, found ${r.found()}`, r.at)
  const v = Number(m)
  if (!Number.isSafeInteger(v)) r.fail(`${m} is too large`, at)
  return v
}

function parsePort(r: Reader): number {
  const at = r.at
  const port = parseNumber(r, 'a port')
  if (port < 0 || port > 65535) r.fail(`a port is from 0 to 65535, not ${port}`, at)
  return port
}

function parseArg(r: Reader): Arg {
  const at = r.at
  const address = r.match(/\d+\.\d+\.\d+\.\d+/y)
  if (address !== null) {
    const value = ipv4(address)
    if (value === null) r.fail(`'${address}' is not an IPv4 address`, at)
    r.expect(':', 'and a port after the address')
    return { kind: 'inet', address: value, port: parsePort(r) }
  }
  const v6 = r.match(/\[[0-9a-fA-F:.]*:[0-9a-fA-F:.]*\](?=:)/y)
  if (v6 !== null) {
    r.expect(':', 'and a port after the address')
    return { kind: 'inet6', address: v6.slice(1, -1), port: parsePort(r) }
  }
  if (r.take('[')) {
    const parts: IovecPart[] = []
    do {
      const fault = r.match(/EFAULT\//y) !== null
      parts.push({ length: parseNumber(r, 'a length'), fault })
    } while (r.take(','))
    r.expect(']', 'after the lengths of an iovec')
    return { kind: 'iovec', parts }
  }
  if (r.take('{')) {
    const values: number[] = []
    do values.push(parseNumber(r, 'a number'))
    while (r.take(','))
    r.expect('}', 'after the fields of a struct')
    return { kind: 'struct', values }
  }
  const device = r.match(/dev:[A-Za-z0-9_.-]+/y)
  if (device !== null) return { kind: 'packet', device: device.slice(4) }
  const string = r.match(/"(?:[^"\\]|\\.)*"/y)
  if (string !== null) return { kind: 'string', value: string.slice(1, -1) }
  if (r.match(/EFAULT\//y) !== null) return { kind: 'fault', length: parseNumber(r, 'a length') }
  const name = r.match(identifier)
  if (name !== null) {
    if (r.text[r.at] === '=') {
      r.at++
      return { kind: 'control', name, value: parseNumber(r, 'a number') }
    }
    // strace writes the protocol of a packet socket as the program does: in network order
    if (name === 'htons' && r.take('(')) {
      const host = r.match(identifier)
      const arg: Arg = { kind: 'htons', name: host ?? '', value: host === null ? parseNumber(r, 'a number or a name') : 0 }
      r.expect(')', 'after the argument of htons')
      return arg
    }
    const names = [name]
    while (r.take('|')) names.push(r.match(identifier) ?? r.fail(`expected a name after '|', found ${r.found()}`, r.at))
    return { kind: 'names', names }
  }
  return { kind: 'number', value: parseNumber(r, 'an argument') }
}

/** dotted quad to a number in host order, null when it is none */
export function ipv4(text: string): number | null {
  const parts = text.split('.').map(Number)
  if (parts.length !== 4 || parts.some((p) => !Number.isInteger(p) || p < 0 || p > 255)) return null
  return parts.reduce((a, p) => a * 256 + p, 0)
}
