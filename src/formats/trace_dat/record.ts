import { dropReasons } from './events.ts'
import { COMMON, type EventLayout, type Field } from './layout.ts'
import { HIGH, type Symbols } from './symbols.ts'

const utf8 = new TextEncoder()
const reasons = new Map(dropReasons.map(([value, name]) => [name, value]))
const AF_INET = 2
const AF_INET6 = 10

/** the bytes of `127.0.0.1`, of `::ffff:127.0.0.1`; what is no address is zeros */
export function addressBytes(text: string, length: 4 | 16): Uint8Array {
  const out = new Uint8Array(length)
  if (length === 4) {
    out.set(text.split('.').map(Number).slice(0, 4))
    return out
  }
  const words = (part: string): number[] =>
    part === ''
      ? []
      : part.split(':').flatMap((w) => {
          if (!w.includes('.')) return [Number.parseInt(w, 16)]
          const [a = 0, b = 0, c = 0, d = 0] = w.split('.').map(Number)
          return [a * 256 + b, c * 256 + d]
        })
  const [before = '', behind] = text.split('::')
  const head = words(before)
  const tail = behind === undefined ? [] : words(behind)
  const all =
    behind === undefined ? head : [...head, ...new Array<number>(Math.max(0, 8 - head.length - tail.length)).fill(0), ...tail]
  all.slice(0, 8).forEach((w, i) => {
    out[2 * i] = w >> 8
    out[2 * i + 1] = w & 255
  })
  return out
}

/** struct sockaddr_in6, or the smaller struct sockaddr_in, of `127.0.0.1:80`, `[::1]:80` */
function socketAddress(text: string): Uint8Array {
  const out = new Uint8Array(28)
  const m = /^(?:\[(.*)\]|([\d.]+)):(\d+)$/.exec(text)
  if (m === null) return out
  const port = Number(m[3])
  const six = m[1] !== undefined
  out[0] = six ? AF_INET6 : AF_INET
  out[2] = port >> 8
  out[3] = port & 255
  out.set(six ? addressBytes(m[1] ?? '', 16) : addressBytes(m[2] ?? '', 4), six ? 8 : 4)
  return out
}

const BUFFER = 4096
const bytes = new Uint8Array(BUFFER)
const view = new DataView(bytes.buffer)

/**
 * The record of a tracepoint behind its first eight bytes, from fields as the kernel's events carry them: numbers, addresses as
 * text, names of functions where the kernel has a code address. Valid until the next call; its length is a multiple of four.
 */
export function encode(e: EventLayout, fields: Readonly<Record<string, unknown>>, symbols: Symbols): Uint8Array {
  bytes.fill(0, 0, e.size)
  let end = e.size
  for (const f of e.fields) {
    const v = fields[f.name]
    switch (f.what) {
      case 'integer':
        integer(f, v, symbols)
        break
      case 'text': {
        const text = utf8.encode(String(v ?? '')).subarray(0, 255)
        bytes.set(text, end)
        bytes[end + text.length] = 0
        view.setUint16(f.offset, end, true)
        view.setUint16(f.offset + 2, text.length + 1, true)
        end += text.length + 1
        break
      }
      case 'chars':
        bytes.set(utf8.encode(String(v ?? '')).subarray(0, Math.max(0, f.size - 1)), f.offset)
        break
      case 'longs':
        String(v ?? '')
          .split(',')
          .slice(0, f.size / 8)
          .forEach((n, i) => {
            long(f.offset + 8 * i, Number(n))
          })
        break
      case 'bytes':
        if (typeof v === 'string') bytes.set(f.size === 28 ? socketAddress(v) : addressBytes(v, f.size === 4 ? 4 : 16), f.offset)
    }
  }
  const length = (end + 3) & ~3
  bytes.fill(0, end, length)
  return bytes.subarray(COMMON, length)
}

function long(at: number, v: number): void {
  view.setUint32(at, v >>> 0, true)
  view.setUint32(at + 4, Math.floor(v / 2 ** 32) >>> 0, true)
}

function integer(f: Field, v: unknown, symbols: Symbols): void {
  let n = 0
  if (typeof v === 'number') n = v
  else if (typeof v === 'boolean') n = v ? 1 : 0
  else if (typeof v === 'bigint') n = Number(v)
  else if (typeof v === 'string' && v !== '') {
    if (f.size === 8) {
      view.setUint32(f.offset, symbols.lookup(v), true)
      view.setUint32(f.offset + 4, HIGH, true)
      return
    }
    n = reasons.get(v) ?? (Number(v) || 0)
  }
  switch (f.size) {
    case 1:
      view.setUint8(f.offset, n)
      break
    case 2:
      view.setUint16(f.offset, n, true)
      break
    case 4:
      view.setUint32(f.offset, n >>> 0, true)
      break
    default:
      long(f.offset, n)
  }
}
