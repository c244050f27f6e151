import { cmsg, ints, sockaddrIn, sockaddrIn6, sockaddrLl, sockaddrUn, timeval } from '../host/abi.ts'
import type { Process, UserBuffer } from '../host/process.ts'
import { constants } from './constants.ts'
import { parseIn6 } from './ipv6.ts'
import { type Arg, type CallStatement, type PlacedArg, ScenarioError } from './scenario.ts'

/** What the calls of a scenario have set. */
export type Variables = Map<string, number>

/** Reads the arguments of one call, from left to right, by what the call wants in each place. */
export class Args {
  #at = 0
  readonly statement: CallStatement
  readonly process: Process
  readonly variables: Variables
  readonly buffers: UserBuffer[] = []

  constructor(statement: CallStatement, process: Process, variables: Variables) {
    this.statement = statement
    this.process = process
    this.variables = variables
  }

  fail(message: string, column: number): never {
    throw new ScenarioError(message, this.statement.line, column)
  }

  get left(): number {
    return this.statement.args.length - this.#at
  }

  #next(what: string): PlacedArg {
    const a = this.statement.args[this.#at++]
    if (a === undefined) this.fail(`${this.statement.name}() needs ${what} as argument ${this.#at}`, this.statement.column)
    return a
  }

  #wrong(a: PlacedArg, what: string): never {
    this.fail(`${this.statement.name}() wants ${what} as argument ${this.#at}`, a.column)
  }

  #value(names: readonly string[], column: number): number {
    let v = 0
    for (const n of names) {
      const known = this.variables.get(n) ?? (Object.hasOwn(constants, n) ? constants[n] : undefined)
      if (known === undefined) this.fail(`'${n}' was never set, and is no constant that skbtrace knows`, column)
      v |= known
    }
    return v
  }

  number(what: string): number {
    const a = this.#next(what)
    if (a.arg.kind === 'number') return a.arg.value
    if (a.arg.kind === 'names') return this.#value(a.arg.names, a.column)
    if (a.arg.kind === 'htons') {
      const v = a.arg.name === '' ? a.arg.value : this.#value([a.arg.name], a.column)
      return ((v & 0xff) << 8) | ((v >> 8) & 0xff)
    }
    return this.#wrong(a, what)
  }

  /** a number that may be left out */
  optional(what: string, otherwise: number): number {
    return this.left > 0 ? this.number(what) : otherwise
  }

  fd(): number {
    const a = this.#next('a descriptor')
    if (a.arg.kind === 'number') return a.arg.value
    if (a.arg.kind !== 'names' || a.arg.names.length !== 1) return this.#wrong(a, 'a descriptor')
    const [name = ''] = a.arg.names
    const fd = this.variables.get(name)
    if (fd === undefined) this.fail(`'${name}' was never set`, a.column)
    return fd
  }

  text(what: string): string {
    const a = this.#next(what)
    return a.arg.kind === 'string' ? a.arg.value : this.#wrong(a, what)
  }

  /** a length: a buffer of it, whose byte i is i & 0xff, or that nobody has touched, for a call that writes to it */
  buffer(use: 'read' | 'write'): UserBuffer {
    const a = this.#next('a length')
    if (a.arg.kind === 'fault') return this.#keep(this.process.unreadable(this.#length(a.arg.length, a.column)))
    if (a.arg.kind === 'string' && use === 'read') {
      const bytes = cString(a.arg.value)
      if (bytes === null) this.fail('an escape that C does not have: \\n \\t \\r \\\\ \\0 \\10 \\x08', a.column)
      return this.#keep(this.process.map(bytes.length, bytes))
    }
    const n =
      a.arg.kind === 'number'
        ? a.arg.value
        : a.arg.kind === 'names'
          ? this.#value(a.arg.names, a.column)
          : this.#wrong(a, 'a length')
    return this.#keep(this.process.map(this.#length(n, a.column), use === 'read' ? 'pattern' : 'untouched'))
  }

  /** `[100,2000]` or one length: buffers that lie one after the other; EFAULT/N is none of that memory */
  vector(use: 'read' | 'write'): UserBuffer[] {
    const a = this.statement.args[this.#at]
    if (a?.arg.kind !== 'iovec') return [this.buffer(use)]
    this.#at++
    const { parts } = a.arg
    for (const p of parts) this.#length(p.length, a.column)
    const whole = this.#keep(
      this.process.map(
        parts.reduce((s, p) => s + (p.fault ? 0 : p.length), 0),
        use === 'read' ? 'pattern' : 'untouched',
      ),
    )
    let address = whole.address
    return parts.map(({ length, fault }) => {
      if (fault) return this.process.unreadable(length)
      const b = { address, length }
      address += length
      return b
    })
  }

  #length(n: number, column: number): number {
    if (n < 0) this.fail(`a length cannot be negative (${n})`, column)
    return n
  }

  #keep(b: UserBuffer): UserBuffer {
    this.buffers.push(b)
    return b
  }

  address(): Uint8Array {
    const a = this.#next('an address such as 127.0.0.1:8080')
    switch (a.arg.kind) {
      case 'inet':
        return sockaddrIn(a.arg.address, a.arg.port)
      case 'string':
        return sockaddrUn(a.arg.value)
      case 'inet6':
        return sockaddrIn6(
          parseIn6(a.arg.address) ?? this.fail(`'${a.arg.address}' is not an IPv6 address`, a.column),
          a.arg.port,
        )
      case 'packet':
        return this.#device(a.arg.device, a.column)
      case 'names':
        if (a.arg.names.length === 1 && a.arg.names[0] === 'AF_UNSPEC') return new Uint8Array(16)
    }
    return this.#wrong(a, 'an address such as 127.0.0.1:8080')
  }

  /** IPv4 packets by a device, to the broadcast address */
  #device(name: string, column: number): Uint8Array {
    const ifindex = this.process.interfaceIndex(name)
    if (ifindex === 0) this.fail(`dev:${name}: there is no device '${name}' in this namespace`, column)
    return sockaddrLl(ifindex, constants.ETH_P_IP ?? 0, new Uint8Array(6).fill(0xff))
  }

  /** an address and control messages, in any order, to the end of the arguments */
  rest(): { address: Uint8Array | null; control: Uint8Array | null } {
    let address: Uint8Array | null = null
    const control: Uint8Array[] = []
    while (this.left > 0) {
      const a = this.statement.args[this.#at]
      if (a?.arg.kind === 'control') {
        this.#at++
        control.push(controlMessage(a.arg, (message) => this.fail(message, a.column)))
      } else address = this.address()
    }
    return { address, control: control.length > 0 ? Buffer.concat(control) : null }
  }

  option(level: number, name: number): Uint8Array {
    const a = this.#next('a value')
    switch (a.arg.kind) {
      case 'string':
        return Buffer.from(a.arg.value, 'latin1')
      case 'struct':
        // struct timeval has two longs, struct linger two ints
        return level === constants.SOL_SOCKET && (name === constants.SO_RCVTIMEO || name === constants.SO_SNDTIMEO)
          ? timeval(a.arg.values[0] ?? 0, a.arg.values[1] ?? 0)
          : ints(...a.arg.values)
      case 'number':
        return ints(a.arg.value)
      case 'names':
        return ints(this.#value(a.arg.names, a.column))
    }
    return this.#wrong(a, 'a value')
  }

  end(): void {
    const a = this.statement.args[this.#at]
    if (a !== undefined)
      this.fail(`${this.statement.name}() takes ${this.#at} arguments, not ${this.statement.args.length}`, a.column)
  }
}

/** the bytes of a string constant of C; null for an escape that is none */
function cString(text: string): Uint8Array | null {
  const simple: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, a: 7, b: 8, f: 12, v: 11, '\\': 92, '"': 34, "'": 39 }
  const out: number[] = []
  const re = /\\x([0-9a-fA-F]{1,2})|\\([0-7]{1,3})|\\(.?)|([^\\])/gsu
  for (const [, hex, octal, letter, plain] of text.matchAll(re)) {
    if (hex !== undefined) out.push(Number.parseInt(hex, 16))
    else if (octal !== undefined) out.push(Number.parseInt(octal, 8) & 0xff)
    else if (plain !== undefined) out.push(...Buffer.from(plain, 'utf8'))
    else {
      const v = simple[letter ?? '']
      if (v === undefined) return null
      out.push(v)
    }
  }
  return Uint8Array.from(out)
}

function controlMessage(arg: Extract<Arg, { kind: 'control' }>, fail: (message: string) => never): Uint8Array {
  const u16 = new Uint8Array([arg.value & 0xff, (arg.value >> 8) & 0xff])
  switch (arg.name) {
    case 'UDP_SEGMENT':
      return cmsg(constants.SOL_UDP ?? 0, constants.UDP_SEGMENT ?? 0, u16)
    case 'IP_TTL':
    case 'IP_TOS':
      return cmsg(constants.SOL_IP ?? 0, constants[arg.name] ?? 0, ints(arg.value))
  }
  return fail(`'${arg.name}' is no control message that skbtrace knows: UDP_SEGMENT, IP_TTL, IP_TOS`)
}
