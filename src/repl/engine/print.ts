import { list_head } from '../../kernel/include/linux/list.ts'
import { rb_node } from '../../kernel/include/linux/rbtree.ts'
import { kfnOf } from '../../trace/kfunc.ts'
import { Pointer, Struct } from './evaluate.ts'
import { identity, isRealSkb, structName } from './structs.ts'

/** Values as gdb prints them. */

export const formats = 'xduotcs'

/** gdb shows no more elements than this */
const ELEMENTS = 200
/** structs inside structs that are opened up */
const LEVELS = 3
/** identical elements in a row from which on they are counted */
const REPEATS = 10

/** fields of skbtrace's own, which the kernel's struct does not have */
const hiddenFields = new Set(['kaddr', 'list', 'fclones'])

function number(v: number | bigint, format: string): string {
  const unsigned = (): bigint => {
    const b = typeof v === 'bigint' ? v : BigInt(Math.trunc(v))
    return b >= 0n ? b : BigInt.asUintN(b >= -0x80000000n ? 32 : 64, b)
  }
  switch (format) {
    case 'x':
      return `0x${unsigned().toString(16)}`
    case 'o':
      return v === 0 || v === 0n ? '0' : `0${unsigned().toString(8)}`
    case 't':
      return unsigned().toString(2)
    case 'u':
      return unsigned().toString()
    case 'c': {
      const c = Number(BigInt.asUintN(8, unsigned()))
      return `${c} '${character(c)}'`
    }
    default:
      return String(v)
  }
}

const named: Readonly<Record<number, string>> = {
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  13: '\\r',
  27: '\\e',
  39: "\\'",
  92: '\\\\',
}
const character = (c: number): string =>
  named[c] ?? (c >= 32 && c < 127 ? String.fromCharCode(c) : `\\${c.toString(8).padStart(3, '0')}`)

/** what a pointer to a struct prints as */
function pointer(o: object): string {
  const name = structName(o)
  const who = identity(o)
  const type = name === '' ? '' : `(struct ${name} *) `
  return `${type}${who ?? (type === '' ? '<…>' : '{…}')}`
}

/** what a struct was when it was printed: only its text is kept */
export class Kept {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** a place in a list: who comes before and behind it */
function listHead(l: list_head<unknown>): string {
  if (l.next === l) return '{empty}'
  const who = (x: list_head<unknown>): string =>
    typeof x.owner === 'object' && x.owner !== null ? (identity(x.owner) ?? '<…>') : 'the head'
  return `{next = ${who(l.next)}, prev = ${who(l.prev)}}`
}

/** a value on one line; `level`: 0 for what was asked for itself, more for what is inside of it */
export function valueText(v: unknown, format = '', level = 0): string {
  switch (typeof v) {
    case 'number':
    case 'bigint':
      return number(v, format)
    case 'boolean':
      return format === '' ? String(v) : number(v ? 1 : 0, format)
    case 'string':
      return JSON.stringify(v)
    case 'function':
      return kfnOf(v)?.name ?? '<function>'
    case 'undefined':
      return 'void'
    case 'object':
      break
    default:
      return String(v)
  }
  if (v === null) return '0x0'
  if (v instanceof Pointer) return `(unsigned char *) ${v.base}+${format === 'x' ? `0x${v.at.toString(16)}` : v.at}`
  if (v instanceof Struct) return struct(v.of, format, level)
  if (v instanceof Uint8Array || Array.isArray(v)) return list(v, format, level)
  if (v instanceof Kept) return v.text
  if (v instanceof list_head) return listHead(v)
  // a tree through its nodes would have no end
  if (v instanceof rb_node) return '{…}'
  if (v instanceof Map) return `{${v.size} entries}`
  return identity(v) === null ? struct(v, format, level) : pointer(v)
}

function list(v: ArrayLike<unknown>, format: string, level: number): string {
  if (level > LEVELS) return '{…}'
  const parts: string[] = []
  const n = Math.min(v.length, ELEMENTS)
  for (let i = 0; i < n; ) {
    const text = valueText(v[i], format, level + 1)
    let same = 1
    while (i + same < n && v[i + same] === v[i]) same++
    if (same > REPEATS) parts.push(`${text} <repeats ${same} times>`)
    else for (let k = 0; k < same; k++) parts.push(text)
    i += same
  }
  return `{${parts.join(', ')}${v.length > n ? '...' : ''}}`
}

/** fields of a struct in order; of a buffer, `head` and `data` as pointers to its bytes */
function fieldsOf(o: object): [string, unknown][] {
  const out: [string, unknown][] = []
  for (const [name, v] of Object.entries(o)) {
    if (hiddenFields.has(name)) continue
    if (isRealSkb(o) && (name === 'head' || name === 'data'))
      out.push([name, new Pointer(o.head.bytes, name === 'head' ? 0 : o.data, `skb ${o.id} head`)])
    else out.push([name, v])
  }
  return out
}

function struct(o: object, format: string, level: number): string {
  if (level > LEVELS) return '{…}'
  const parts = fieldsOf(o).map(([name, v]) => `${name} = ${valueText(v, format, level + 1)}`)
  if (parts.length === 0) return '{}'
  return `{${parts.join(', ')}}`
}

/** breaks a long value at its commas; further lines are indented */
export function wrapValue(text: string, width: number): string {
  if (text.length <= width) return text
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/(?<=,) /)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = `  ${word}`
    } else line += line === '' ? word : ` ${word}`
  }
  lines.push(line)
  return lines.join('\n')
}

/** what follows the slash of x */
interface Examine {
  count: number
  format: string
  size: number
}

const sizes: Readonly<Record<string, number>> = { b: 1, h: 2, w: 4, g: 8 }

/** `32xb`: null when it makes no sense */
export function parseExamine(text: string): Examine | null {
  const m = /^(\d*)([a-z]*)$/.exec(text)
  if (m === null) return null
  let format = 'x'
  let size = 0
  for (const c of m[2] ?? '') {
    if (sizes[c] !== undefined) size = sizes[c] ?? 0
    else if (formats.includes(c)) format = c
    else return null
  }
  const count = m[1] === '' ? 1 : Number(m[1])
  if (count > 65536) return null
  return { count, format, size: size === 0 ? (format === 'c' || format === 's' ? 1 : 4) : size }
}

/**
 * Memory as gdb's x shows it, in network order (the bytes as they lie there; a half word, word or giant is big endian, as headers are).
 * `error`: why there are no more lines, when it would leave the buffer; '' otherwise.
 */
export function examine(p: Pointer, e: Examine): { lines: string[]; error: string } {
  const { bytes } = p
  const lines: string[] = []
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = p.at
  if (e.format === 's') {
    for (let i = 0; i < e.count; i++) {
      if (at < 0 || at >= bytes.length) return { lines, error: outside(p, at) }
      let end = at
      while (end < bytes.length && bytes[end] !== 0) end++
      lines.push(`${p.base}+${at}:  "${[...bytes.subarray(at, end)].map(character).join('')}"`)
      at = end + 1
    }
    return { lines, error: '' }
  }
  const perLine = e.format === 'c' ? 8 : e.format === 't' ? Math.max(1, 8 / e.size / 2) : e.size <= 2 ? 8 : e.size === 4 ? 4 : 2
  const rows: { label: string; cells: string[] }[] = []
  let error = ''
  for (let i = 0; i < e.count; i++) {
    if (at < 0 || at + e.size > bytes.length) {
      error = outside(p, at)
      break
    }
    if (i % perLine === 0) rows.push({ label: `${p.base}+${at}:`, cells: [] })
    const v =
      e.size === 8
        ? view.getBigUint64(at)
        : e.size === 4
          ? view.getUint32(at)
          : e.size === 2
            ? view.getUint16(at)
            : view.getUint8(at)
    rows.at(-1)?.cells.push(element(v, e))
    at += e.size
  }
  // columns of spaces: tabs would be wider than 80
  const label = Math.max(0, ...rows.map((r) => r.label.length))
  const cell = Math.max(0, ...rows.flatMap((r) => r.cells.map((c) => c.length)))
  return { lines: rows.map((r) => `${r.label.padEnd(label)}  ${r.cells.map((c) => c.padStart(cell)).join(' ')}`), error }
}

const outside = (p: Pointer, at: number): string =>
  `cannot access memory at ${p.base}+${at}: the buffer has ${p.bytes.length} bytes`

function element(v: number | bigint, e: Examine): string {
  switch (e.format) {
    case 'x':
      return `0x${v.toString(16).padStart(2 * e.size, '0')}`
    case 't':
      return v.toString(2).padStart(8 * e.size, '0')
    case 'd': {
      const n = BigInt.asIntN(8 * e.size, BigInt(v))
      return n.toString()
    }
    case 'c':
      return number(BigInt.asUintN(8, BigInt(v)), 'c')
    default:
      return number(v, e.format)
  }
}
