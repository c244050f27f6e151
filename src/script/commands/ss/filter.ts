import { parseIn6 } from '../../ipv6.ts'
import { ipv4 } from '../../scenario.ts'
import { fail } from '../words.ts'

/** TCP_* of include/net/tcp_states.h, as ss prints them and as it reads them */
export const stateNames = [
  'UNKNOWN',
  'ESTAB',
  'SYN-SENT',
  'SYN-RECV',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'TIME-WAIT',
  'UNCONN',
  'CLOSE-WAIT',
  'LAST-ACK',
  'LISTEN',
  'CLOSING',
] as const
const ESTAB = 1
const SYN_RECV = 3
const TIME_WAIT = 6
const CLOSE = 7
const LISTEN = 10

const bit = (s: number): number => 1 << s
export const ALL = 0xffe
export const LISTENING = bit(LISTEN) | bit(CLOSE)
export const CONNECTED = ALL & ~(LISTENING | bit(TIME_WAIT) | bit(SYN_RECV))

const groups: Readonly<Record<string, number>> = {
  all: ALL,
  connected: ALL & ~LISTENING,
  synchronized: ALL & ~(LISTENING | bit(2)),
  bucket: bit(SYN_RECV) | bit(TIME_WAIT),
  big: ALL & ~(bit(SYN_RECV) | bit(TIME_WAIT)),
  established: bit(ESTAB),
  'syn-sent': bit(2),
  'syn-recv': bit(SYN_RECV),
  'fin-wait-1': bit(4),
  'fin-wait-2': bit(5),
  'time-wait': bit(TIME_WAIT),
  timewait: bit(TIME_WAIT),
  closed: bit(CLOSE),
  unconnected: bit(CLOSE),
  'close-wait': bit(8),
  'last-ack': bit(9),
  listening: bit(LISTEN),
  listen: bit(LISTEN),
  closing: bit(11),
}

/** what a filter is asked about */
interface Endpoints {
  saddr: number | Uint8Array | null
  sport: number
  daddr: number | Uint8Array | null
  dport: number
}
type Test = (e: Endpoints) => boolean

/** Which sockets are asked for. */
export interface Filter {
  /** bits 1 << state; null: none were named */
  states: number | null
  test: Test
}

const stateOf = (word: string): number =>
  Object.hasOwn(groups, word) ? (groups[word] ?? 0) : fail(`ss: wrong state name: ${word}`, 255)

/** `[ state S | exclude S ]… [ EXPRESSION ]` */
export function parseFilter(words: readonly string[]): Filter {
  let states: number | null = null
  let at = 0
  for (;;) {
    const word = words[at]
    if (word !== 'state' && word !== 'exclude' && word !== 'excl') break
    const name = words[at + 1]
    if (name === undefined) fail(`ss: ${word === 'state' ? 'no state' : 'no state to exclude'} is named`, 255)
    const s = stateOf(name)
    states = word === 'state' ? (states ?? 0) | s : (states ?? ALL) & ~s
    at += 2
  }
  return { states, test: new Expression(words.slice(at)).parse() }
}

const compare: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  '=': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '>=': (a, b) => a >= b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '<': (a, b) => a < b,
}
const operators: Readonly<Record<string, string>> = {
  '=': '=',
  '==': '=',
  eq: '=',
  '!=': '!=',
  ne: '!=',
  neq: '!=',
  '>=': '>=',
  ge: '>=',
  geq: '>=',
  '<=': '<=',
  le: '<=',
  leq: '<=',
  '>': '>',
  gt: '>',
  '<': '<',
  lt: '<',
}

/** or, and (which need not be written), not, parentheses; src, dst, sport, dport */
class Expression {
  readonly #words: readonly string[]
  #at = 0

  constructor(words: readonly string[]) {
    this.#words = words.flatMap((w) => w.split(/([()])|\s+/).filter((x) => x !== undefined && x !== ''))
  }

  parse(): Test {
    if (this.#words.length === 0) return () => true
    const t = this.#or()
    if (this.#at < this.#words.length) fail(`ss: bison bellows (while parsing filter): "syntax error!"`, 255)
    return t
  }

  #take(...words: string[]): boolean {
    if (!words.includes(this.#words[this.#at] ?? '')) return false
    this.#at++
    return true
  }

  #or(): Test {
    let left = this.#and()
    while (this.#take('or', '|', '||')) {
      const [a, b] = [left, this.#and()]
      left = (e) => a(e) || b(e)
    }
    return left
  }

  #and(): Test {
    let left = this.#not()
    for (;;) {
      const said = this.#take('and', '&', '&&')
      const next = this.#words[this.#at]
      if (!said && (next === undefined || next === ')' || ['or', '|', '||'].includes(next))) return left
      const [a, b] = [left, this.#not()]
      left = (e) => a(e) && b(e)
    }
  }

  #not(): Test {
    if (this.#take('not', '!')) {
      const t = this.#not()
      return (e) => !t(e)
    }
    if (this.#take('(')) {
      const t = this.#or()
      if (!this.#take(')')) fail(`ss: bison bellows (while parsing filter): "syntax error!"`, 255)
      return t
    }
    return this.#term()
  }

  #term(): Test {
    const what = this.#words[this.#at++] ?? ''
    if (['dev', 'fwmark', 'cgroup', 'autobound', 'inode'].includes(what))
      fail(`ss: the filter '${what}' is not there on this host`, 255)
    if (!['src', 'dst', 'sport', 'dport'].includes(what)) {
      // a bare address is the peer's
      this.#at--
      return address(this.#words[this.#at++] ?? '', false, '=')
    }
    const op = operators[this.#words[this.#at] ?? '']
    if (op !== undefined) this.#at++
    const value = this.#words[this.#at++]
    if (value === undefined) fail(`ss: bison bellows (while parsing filter): "syntax error!"`, 255)
    const source = what.startsWith('s')
    if (what.endsWith('port')) return port(value, source, op ?? '=')
    if (op !== undefined && op !== '=' && op !== '!=') fail(`ss: an address can be compared with = and != only, not ${op}`, 255)
    return address(value, source, op ?? '=')
  }
}

function port(text: string, source: boolean, op: string): Test {
  const m = /^:?(\d+)$/.exec(text)
  const value = Number(m?.[1])
  if (m === null || value > 65535)
    fail(`ss: "${text}" is no port: a number such as :80 is one, names are not known on this host`, 255)
  const test = compare[op] ?? (() => false)
  return (e) => test(source ? e.sport : e.dport, value)
}

/** 10.0.0.1, 10.0.0.0/8, 10.0.0.1:80, :80, [::1]:80, * */
function address(text: string, source: boolean, op: string): Test {
  const m = /^(?:\[([^\]]+)\]|([^:/]*|[^/]*:[^/]*:[^/]*))?(?:\/(\d+))?(?::(\d+|\*))?$/.exec(text)
  const host = m?.[1] ?? m?.[2] ?? ''
  const v4 = host === '' || host === '*' ? null : ipv4(host)
  const v6 = host === '' || host === '*' || v4 !== null ? null : parseIn6(host)
  const bits = m?.[3] === undefined ? (v6 === null ? 32 : 128) : Number(m[3])
  if (m === null || (host !== '' && host !== '*' && v4 === null && v6 === null))
    fail(`Error: an inet prefix is expected rather than "${text}".\nCannot parse dst/src address.`, 1)
  const wanted = m[4] === undefined || m[4] === '*' ? null : Number(m[4])
  const same = (a: number | Uint8Array | null): boolean => {
    if (v4 === null && v6 === null) return true
    if (v4 !== null) return typeof a === 'number' && (bits === 0 || (a ^ v4) >>> (32 - bits) === 0)
    if (!(a instanceof Uint8Array)) return false
    for (let i = 0; i < bits; i++) if ((((a[i >> 3] ?? 0) ^ (v6?.[i >> 3] ?? 0)) >> (7 - (i & 7))) & 1) return false
    return true
  }
  const test: Test = (e) =>
    (source ? e.saddr : e.daddr) !== null &&
    same(source ? e.saddr : e.daddr) &&
    (wanted === null || wanted === (source ? e.sport : e.dport))
  return op === '!=' ? (e) => !test(e) : test
}
