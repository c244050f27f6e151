import { HZ } from '../generated/enums.ts'
import type { net } from '../net/net_namespace.ts'
import { EINVAL } from './errno.ts'
import { core_initcall } from './init.ts'
import type { ref } from './types.ts'

/** struct ctl_table: one file below /proc/sys */
export interface ctl_table {
  readonly procname: string
  /** permission bits, 0644 */
  readonly mode: number
  /** what a reader gets, without the newline at the end */
  read(): string
  /** @returns 0 or a negative errno */
  write(text: string): number
}

/** the tables of one directory, `net/ipv4/conf/eth0`, in a namespace */
export interface ctl_dir {
  readonly path: string
  readonly tables: readonly ctl_table[]
}

let registered: ((n: net) => ctl_dir[])[] = []
core_initcall(() => {
  registered = []
})

/** register_net_sysctl(): `dirs` is asked whenever somebody looks, so that devices may come and go */
export function register_net_sysctl(dirs: (n: net) => ctl_dir[]): void {
  registered.push(dirs)
}

/** what is below /proc/sys in a namespace, by path (`net/ipv4/ip_forward`), in the order of the names */
export function sysctls(n: net): Map<string, ctl_table> {
  const all: [string, ctl_table][] = []
  for (const dirs of registered) for (const d of dirs(n)) for (const t of d.tables) all.push([`${d.path}/${t.procname}`, t])
  return new Map(all.sort(([a], [b]) => compare(a, b)))
}

/** directory by directory, each in the order of its names' bytes */
function compare(a: string, b: string): number {
  const x = a.split('/')
  const y = b.split('/')
  for (let i = 0; ; i++) {
    const [p, q] = [x[i], y[i]]
    if (p === q && p !== undefined) continue
    return p === undefined ? -1 : q === undefined || p > q ? 1 : -1
  }
}

/** a number of a struct, by name: ctl_table.data */
export const field = <K extends string>(o: Record<NoInfer<K>, number>, k: K): ref<number> => ({
  get v() {
    return o[k]
  },
  set v(x: number) {
    o[k] = x
  },
})
/** the elements of an array */
export const elements = (a: { [i: number]: number }, ...indexes: number[]): ref<number>[] =>
  indexes.map((i) => ({
    get v() {
      return a[i] ?? 0
    },
    set v(x: number) {
      a[i] = x
    },
  }))

const INT_MAX = 0x7fffffff
const INT_MIN = -0x80000000

/** proc_get_long(): decimal, 0x or a leading 0 for octal; NaN for what is none */
function parse(word: string): number {
  const m = /^(-?)(0x[0-9a-f]+|0[0-7]*|[1-9]\d*)$/i.exec(word)
  if (m === null) return Number.NaN
  const [, sign, digits = ''] = m
  const v = /^0[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number(digits)
  return sign === '-' ? -v : v
}

/** how the numbers of a file are read and written */
interface Conversion {
  /** what may be written, before it is converted */
  min: number
  max: number
  toKernel?: (v: number) => number
  toUser?: (v: number) => number
}

/** the numbers are set one by one: those before a bad one stay set */
function vector(procname: string, data: readonly ref<number>[], c: Conversion, mode: number): ctl_table {
  return {
    procname,
    mode,
    read: () => data.map((d) => String(c.toUser?.(d.v) ?? d.v)).join('\t'),
    write: (text) => {
      const words = text.split(/\s+/).filter((w) => w !== '')
      if (words.length === 0) return -EINVAL
      for (const [i, d] of data.entries()) {
        const word = words[i]
        if (word === undefined) break
        const v = parse(word)
        if (!(v >= c.min && v <= c.max)) return -EINVAL
        d.v = c.toKernel?.(v) ?? v
      }
      return 0
    },
  }
}

const list = (d: ref<number> | readonly ref<number>[]): readonly ref<number>[] => ('v' in d ? [d] : d)
type Data = ref<number> | readonly ref<number>[]

export const proc_dointvec = (name: string, data: Data, mode = 0o644): ctl_table =>
  vector(name, list(data), { min: INT_MIN, max: INT_MAX }, mode)
export const proc_dointvec_minmax = (name: string, data: Data, min: number, max = INT_MAX, mode = 0o644): ctl_table =>
  vector(name, list(data), { min, max }, mode)
export const proc_dou8vec_minmax = (name: string, data: Data, min = 0, max = 255): ctl_table =>
  vector(name, list(data), { min, max }, 0o644)
export const proc_douintvec = (name: string, data: Data, min = 0, max = 0xffffffff): ctl_table =>
  vector(name, list(data), { min, max }, 0o644)
export const proc_doulongvec_minmax = (name: string, data: Data, min = 0, max = Number.MAX_SAFE_INTEGER): ctl_table =>
  vector(name, list(data), { min, max }, 0o644)
/** seconds outside, jiffies inside */
export const proc_dointvec_jiffies = (name: string, data: Data): ctl_table =>
  vector(
    name,
    list(data),
    { min: -Math.floor(INT_MAX / HZ), max: Math.floor(INT_MAX / HZ), toKernel: (v) => v * HZ, toUser: (v) => Math.trunc(v / HZ) },
    0o644,
  )
const MS = 1000 / HZ
/** milliseconds outside, jiffies inside */
export const proc_dointvec_ms_jiffies = (name: string, data: Data, min = INT_MIN): ctl_table =>
  vector(name, list(data), { min, max: INT_MAX, toKernel: (v) => Math.ceil(v / MS), toUser: (v) => v * MS }, 0o644)
/** USER_HZ outside, a hundredth of a second, jiffies inside */
const TICK = HZ / 100
export const proc_dointvec_userhz_jiffies = (name: string, data: Data): ctl_table =>
  vector(name, list(data), { min: 0, max: INT_MAX, toKernel: (v) => v * TICK, toUser: (v) => Math.floor(v / TICK) }, 0o644)

/** a handler that does something besides: `after` runs when a value was written */
export const with_after = (t: ctl_table, after: () => void): ctl_table => ({
  ...t,
  write: (text) => {
    const ret = t.write(text)
    if (ret === 0) after()
    return ret
  },
})

/** proc_dostring(): up to the first newline; `write` null for a file that is only read */
export const proc_dostring = (
  procname: string,
  read: () => string,
  write: ((text: string) => number) | null,
  mode = 0o644,
): ctl_table => ({
  procname,
  mode: write === null ? 0o444 : mode,
  read,
  write: (text) => write?.((text.split('\n')[0] ?? '').trim()) ?? -EINVAL,
})
