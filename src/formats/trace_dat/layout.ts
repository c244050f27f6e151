/** How an event of a trace.dat lies in memory, and the kernel's own description of it (events/SYSTEM/NAME/format in tracefs). */

/** what a field is made from: an integer of so many bytes, an array of them, or text behind the record */
export interface Field {
  readonly type: string
  readonly name: string
  readonly offset: number
  /** bytes; 4 for text, which says where it is */
  readonly size: number
  readonly signed: boolean
  readonly what: 'integer' | 'bytes' | 'chars' | 'longs' | 'text'
}

/** How an event's bytes lie, as a kernel says it in `format` below tracefs. */
export interface EventLayout {
  readonly system: string
  readonly name: string
  readonly id: number
  readonly fields: readonly Field[]
  /** bytes before the text */
  readonly size: number
  readonly print: string
}

/** bytes that each record begins with: id, flags, preempt count, pid */
export const COMMON = 8

const SIZES: Readonly<Record<string, readonly [number, boolean]>> = {
  bool: [1, false],
  char: [1, false],
  'unsigned char': [1, false],
  u8: [1, false],
  __u8: [1, false],
  'unsigned short': [2, false],
  u16: [2, false],
  __u16: [2, false],
  int: [4, true],
  'unsigned int': [4, false],
  u32: [4, false],
  __u32: [4, false],
  long: [8, true],
  'unsigned long': [8, false],
  'unsigned long long': [8, false],
  __u64: [8, false],
}

/** lengths of arrays that the headers name */
const LENGTHS: Readonly<Record<string, number>> = { 'sizeof(struct sockaddr_in6)': 28 }

function sizeOf(type: string): readonly [number, boolean] {
  if (type.endsWith('*')) return [8, false]
  if (type.startsWith('enum ')) return [4, false]
  const s = SIZES[type]
  if (s === undefined) throw new Error(`no C type of a tracepoint: ${type}`)
  return s
}

/**
 * Lays a record out as the compiler does. `declaration`: `void * skbaddr; __u8 saddr[4]; __data_loc char[] name`, as in the kernel's
 * TP_STRUCT__entry.
 */
export function layout(
  system: string,
  name: string,
  id: number,
  declaration: string,
  print: string,
  packed = false,
): EventLayout {
  let at = COMMON
  const fields = declaration.split(';').map((text): Field => {
    const d = text.trim()
    const space = d.lastIndexOf(' ', d.includes('[sizeof') ? d.indexOf('[') : d.length)
    const type = d.slice(0, space)
    let field = d.slice(space + 1)
    if (type === '__data_loc char[]') {
      at = (at + 3) & ~3
      at += 4
      return { type, name: field, offset: at - 4, size: 4, signed: false, what: 'text' }
    }
    const array = /^(\w+)\[(.*)\]$/.exec(field)
    const [one, signed] = sizeOf(type)
    if (!packed) at = (at + one - 1) & -one
    const offset = at
    if (array === null) {
      at += one
      return { type, name: field, offset, size: one, signed, what: 'integer' }
    }
    field = array[1] ?? ''
    const dim = array[2] ?? ''
    const size = one * (dim === '' ? 0 : (LENGTHS[dim] ?? Number(dim)))
    at += size
    return {
      type: `${type}[${dim}]`,
      name: field,
      offset,
      size,
      signed,
      what: type === 'char' ? 'chars' : one === 8 ? 'longs' : 'bytes',
    }
  })
  return { system, name, id, fields, size: at, print }
}

/** where the name stands in a field's type, as the kernel prints it: `__u8 saddr[4]`, `void * skbaddr` */
function declared(f: Field): string {
  const at = f.what === 'text' ? -1 : f.type.indexOf('[')
  return at < 0 ? `${f.type} ${f.name}` : `${f.type.slice(0, at)} ${f.name}${f.type.slice(at)}`
}

const line = (text: string, offset: number, size: number, signed: boolean): string =>
  `\tfield:${text};\toffset:${offset};\tsize:${size};\tsigned:${signed ? 1 : 0};\n`

/** the text of the event's `format` file */
export function formatText(e: EventLayout): string {
  const common =
    line('unsigned short common_type', 0, 2, false) +
    line('unsigned char common_flags', 2, 1, false) +
    line('unsigned char common_preempt_count', 3, 1, false) +
    line('int common_pid', 4, 4, true)
  const own = e.fields.map((f) => line(declared(f), f.offset, f.size, f.signed)).join('')
  return `name: ${e.name}\nID: ${e.id}\nformat:\n${common}\n${own}\nprint fmt: ${e.print}\n`
}
