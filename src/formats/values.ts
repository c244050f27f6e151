import { kfnOf } from '../trace/kfunc.ts'
import type { Kfn } from '../trace/tracer.ts'

/** Arguments and results as ftrace prints them: pointers in hex, numbers in decimal. */

let addresses = new WeakMap<object, string>()
let objects = 0
/** the last addresses that were printed */
const printed = new Map<number, string>()

function printAddress(n: number): string {
  let text = printed.get(n)
  if (text === undefined) {
    if (printed.size > 4096) printed.clear()
    text = `0x${n.toString(16)}`
    printed.set(n, text)
  }
  return text
}

/** begins anew: the next run of the same process makes up the same addresses as a process of its own */
export function forgetAddresses(): void {
  addresses = new WeakMap()
  objects = 0
}

/** says what the address of an object is, once and for all */
export const setAddress = (o: object, text: string): void => {
  addresses.set(o, text)
}

/** a kernel address for an object: its own where it has one, else one made up, the same each time in a run */
export function addressOf(o: object): string {
  if ('kaddr' in o && typeof o.kaddr === 'number' && o.kaddr !== 0) return printAddress(o.kaddr)
  let a = addresses.get(o)
  if (a === undefined) {
    // below the buffers, above sockets
    a = `0xffff8880${(0x80000000 + 0x100 * objects++).toString(16)}`
    addresses.set(o, a)
  }
  return a
}

const hex = (n: number): string => `0x${(n < 0 ? BigInt.asUintN(64, BigInt(Math.trunc(n))) : BigInt(Math.trunc(n))).toString(16)}`

interface Param {
  name: string
  pointer: boolean
}

const params: (Param[] | undefined)[] = []

/** a function's parameters, from its declaration */
export function paramsOf(fn: Kfn): readonly Param[] {
  let p = params[fn.id]
  if (p === undefined) {
    p = fn.symbol.params.map((text) => {
      const f = /\(\*\s*(\w+)\)/.exec(text)
      const name = f?.[1] ?? /(\w+)\s*(\[\w*\])*$/.exec(text)?.[1] ?? text
      return { name, pointer: text.includes('*') || text.includes('[') }
    })
    params[fn.id] = p
  }
  return p
}

/** argument `i` of a call, of the six that a kernel has in registers; null for none (-1) */
export function argument(i: number, a: unknown, b: unknown, c: unknown, d: unknown, e: unknown, f: unknown): unknown {
  switch (i) {
    case 0:
      return a
    case 1:
      return b
    case 2:
      return c
    case 3:
      return d
    case 4:
      return e
    default:
      return i === 5 ? f : null
  }
}

/** one value, as a kernel would print it */
function show(v: unknown, pointer: boolean): string {
  switch (typeof v) {
    case 'number':
      return pointer ? hex(v) : Number.isInteger(v) ? String(v) : String(Math.floor(v))
    case 'bigint':
      return `0x${v.toString(16)}`
    case 'boolean':
      return v ? '1' : '0'
    case 'string':
      return JSON.stringify(v)
    case 'function': {
      const fn = kfnOf(v)
      return fn === undefined ? addressOf(v) : fn.name
    }
    case 'object':
      return v === null ? '0x0' : addressOf(v)
    default:
      return '0x0'
  }
}

/** `skb=0xffff888003a41900, len=20`: at most six, as a kernel has them in registers */
export function showArgs(fn: Kfn, a: unknown, b: unknown, c: unknown, d: unknown, e: unknown, f: unknown): string {
  const list = paramsOf(fn)
  const values = [a, b, c, d, e, f]
  let out = ''
  for (let i = 0; i < list.length && i < 6; i++) {
    const p = list[i]
    if (p !== undefined) out += `${i > 0 ? ', ' : ''}${p.name}=${show(values[i], p.pointer)}`
  }
  return out
}

/** `ret=0x1000`, `ret=-22`; '' for a function that returns nothing */
export function showReturn(fn: Kfn, v: unknown, inHex: boolean): string {
  if (v === undefined || fn.symbol.returns === 'void') return ''
  if (typeof v === 'number') {
    if (v < 0 && v >= -4095 && !inHex) return `ret=${v}`
    return `ret=${hex(v)}`
  }
  if (typeof v === 'boolean') return v ? 'ret=0x1' : 'ret=0x0'
  return `ret=${show(v, true)}`
}

const plain = (v: unknown, address: boolean): string =>
  address && typeof v === 'number'
    ? hex(v)
    : typeof v === 'object' && v !== null
      ? addressOf(v)
      : typeof v === 'boolean'
        ? v
          ? '1'
          : '0'
        : String(v)

/** `len=4096 mss_now=32741`: the numbers of a decision or a tracepoint */
export function showFields(fields: Readonly<Record<string, unknown>>): string {
  let out = ''
  for (const k in fields) out += `${out === '' ? '' : ' '}${k}=${plain(fields[k], k.endsWith('addr'))}`
  return out
}
