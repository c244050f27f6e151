import { kfnOf } from '../trace/kfunc.ts'
import { addressOf, setAddress } from './values.ts'

/*
 * Values as jsonl has them. Numbers, booleans and null are JSON's own. A string that begins with one of these is something else:
 * `0x` an object by its address, or with an `n` at its end a large integer; `&` a function by its name; `#` a number that JSON lacks,
 * or `#undefined`; `=` a string that begins like one of these.
 */

/** one value as JSON text */
export function encode(v: unknown): string {
  switch (typeof v) {
    case 'number':
      return Number.isFinite(v) ? `${v}` : `"#${v}"`
    case 'boolean':
      return v ? 'true' : 'false'
    case 'string':
      return /^(0x|[&#=])/.test(v) ? JSON.stringify(`=${v}`) : JSON.stringify(v)
    case 'bigint':
      return `"0x${v.toString(16)}n"`
    case 'function': {
      const fn = kfnOf(v)
      return fn === undefined ? `"${addressOf(v)}"` : `"&${fn.name}"`
    }
    case 'object':
      return v === null ? 'null' : `"${addressOf(v)}"`
    default:
      return '"#undefined"'
  }
}

/** the fields of a decision or a tracepoint as a JSON object */
export function encodeFields(fields: Readonly<Record<string, unknown>>): string {
  let out = '{'
  for (const k in fields) out += `${out === '{' ? '' : ','}${JSON.stringify(k)}:${encode(fields[k])}`
  return `${out}}`
}

/** stands for an object of the kernel: it has an address, and nothing that could be looked at */
class Pointer {}

/** objects that are kept by address, at most; an older one may be made anew */
const POINTERS = 1 << 16

/** Values of a saved trace. The same address is the same object each time. */
export class Decoder {
  readonly #pointers = new Map<string, object>()

  /** `buffer`: the sk_buff at an address, if one is there */
  decode(v: unknown, buffer: (address: string) => object | undefined): unknown {
    if (typeof v !== 'string') return v
    switch (v.charCodeAt(0)) {
      case 0x30:
        if (!/^0x-?[0-9a-f]+n?$/.test(v)) return v
        if (!v.endsWith('n')) return buffer(v) ?? this.#pointer(v)
        return v[2] === '-' ? -BigInt(`0x${v.slice(3, -1)}`) : BigInt(v.slice(0, -1))
      case 0x26:
        return this.#pointer(v.slice(1))
      case 0x23:
        return v === '#undefined' ? undefined : Number(v.slice(1))
      case 0x3d:
        return v.slice(1)
      default:
        return v
    }
  }

  #pointer(text: string): object {
    let p = this.#pointers.get(text)
    if (p === undefined) {
      if (this.#pointers.size >= POINTERS) this.#pointers.clear()
      p = new Pointer()
      setAddress(p, text)
      this.#pointers.set(text, p)
    }
    return p
  }
}
