import { fail, type Words } from '../words.ts'

// numbers with units, as tc(8) reads and prints them: tc_util.c, utils_math.c and tc_core.c of iproute2

const bad = (what: string, word: string): never => fail(`Illegal "${what}"${word === '' ? '' : ` "${word}"`}`, 255)

const TIMES: Readonly<Record<string, number>> = {
  '': 1000,
  s: 1e9,
  sec: 1e9,
  secs: 1e9,
  ms: 1e6,
  msec: 1e6,
  msecs: 1e6,
  us: 1000,
  usec: 1000,
  usecs: 1000,
  ns: 1,
  nsec: 1,
  nsecs: 1,
}
const split = (word: string): [number, string] | null => {
  const m = /^([0-9]*\.?[0-9]+)([a-zA-Z%]*)$/.exec(word)
  return m === null ? null : [Number(m[1]), m[2] ?? '']
}
const has = <T>(o: Readonly<Record<string, T>>, k: string): T | undefined => (Object.hasOwn(o, k) ? o[k] : undefined)

/** nanoseconds; undefined for what is no time. Without a unit it is microseconds. */
function parseTime(word: string): number | undefined {
  const s = split(word)
  const unit = s === null ? undefined : has(TIMES, s[1])
  return s === null || unit === undefined ? undefined : Math.round(s[0] * unit)
}
/** the next word as a time, in nanoseconds; `what`: the parameter, for the complaint */
export function time(w: Words, what: string): number {
  const word = w.next()
  return parseTime(word) ?? bad(what, word)
}
/** whether a word is a time */
export function isTime(word: string): boolean {
  return parseTime(word) !== undefined
}

const SIZES: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1024,
  kb: 1024,
  m: 1 << 20,
  mb: 1 << 20,
  g: 1 << 30,
  gb: 1 << 30,
  kbit: 128,
  mbit: 131072,
  gbit: 134217728,
}
/** bytes */
export function size(w: Words, what: string): number {
  const word = w.next()
  const s = split(word)
  const unit = s === null ? undefined : has(SIZES, s[1].toLowerCase())
  return s === null || unit === undefined ? bad(what, word) : Math.floor(s[0] * unit)
}

const RATES: Readonly<Record<string, number>> = {
  bit: 1,
  kibit: 1024,
  kbit: 1e3,
  mibit: 1 << 20,
  mbit: 1e6,
  gibit: 1 << 30,
  gbit: 1e9,
  tibit: 2 ** 40,
  tbit: 1e12,
  bps: 8,
  kibps: 8192,
  kbps: 8e3,
  mibps: 2 ** 23,
  mbps: 8e6,
  gibps: 2 ** 33,
  gbps: 8e9,
  tibps: 2 ** 43,
  tbps: 8e12,
  '': 1,
}
/** bytes a second */
export function rate(w: Words, what: string): number {
  const word = w.next()
  const s = split(word)
  const unit = s === null ? undefined : has(RATES, s[1].toLowerCase())
  return s === null || unit === undefined ? bad(what, word) : Math.floor((s[0] * unit) / 8)
}

/** a share of 2^32 - 1, written as a percentage */
export function percent(w: Words, what: string): number {
  const word = w.next()
  return parsePercent(word) ?? bad(what, word)
}
/** a share as tc has it: 2^32 - 1 is 100 %. Undefined for what is none */
export function parsePercent(word: string): number | undefined {
  const s = split(word)
  if (s === null || (s[1] !== '%' && s[1] !== '') || s[0] > 100) return undefined
  return Math.round((s[0] / 100) * 0xffffffff)
}

/** the next word as a whole number */
export function whole(w: Words, what: string): number {
  const word = w.next()
  return /^(0x[0-9a-f]+|[0-9]+)$/i.test(word) ? Number(word) : bad(what, word)
}

const trim = (n: number, digits: number): string => String(Number(n.toPrecision(digits)))

/** microseconds */
export function showTime(us: number): string {
  if (us >= 1e6) return `${trim(us / 1e6, 3)}s`
  if (us >= 1e3) return `${trim(us / 1e3, 3)}ms`
  return `${trim(us, 3)}us`
}
/** nanoseconds */
export function showTime64(ns: number): string {
  if (ns >= 1e9) return `${trim(ns / 1e9, 3)}s`
  if (ns >= 1e6) return `${trim(ns / 1e6, 3)}ms`
  if (ns >= 1e3) return `${trim(ns / 1e3, 3)}us`
  return `${ns}ns`
}
/** bytes as tc prints them: `1536b`, `32Kb` */
export function showSize(bytes: number): string {
  if (bytes >= 1 << 20 && Math.abs((1 << 20) * Math.round(bytes / (1 << 20)) - bytes) < 1024)
    return `${Math.round(bytes / (1 << 20))}Mb`
  if (bytes >= 1024 && Math.abs(1024 * Math.round(bytes / 1024) - bytes) < 16) return `${Math.round(bytes / 1024)}Kb`
  return `${bytes}b`
}
/** bytes a second */
export function showRate(bytes: number): string {
  let bits = bytes * 8
  let i = 0
  const units = ['', 'K', 'M', 'G', 'T']
  while (bits >= 1000 && i < 4 && bits % 1000 === 0) {
    bits /= 1000
    i++
  }
  if (bits >= 1000 && i < 4 && bytes * 8 >= 10000) {
    while (bits >= 10000 && i < 4) {
      bits = Math.floor(bits / 1000)
      i++
    }
  }
  return `${bits}${units[i]}bit`
}
/** such a share as tc prints it: `1%` */
export const showPercent = (p: number): string => `${trim((p / 0xffffffff) * 100, 6)}%`

/** a handle, `1:` */
export const showHandle = (h: number): string => `${(h >>> 16).toString(16)}:${h & 0xffff ? (h & 0xffff).toString(16) : ''}`
/** a class, `1:10` */
export const showClass = (h: number): string => (h === 0xffffffff ? 'root' : h === 0 ? 'none' : showHandle(h))

/** the number of a discipline, `1:` or `1` */
export function handle(word: string): number {
  const m = /^([0-9a-f]+):?$/i.exec(word)
  const n = m === null ? Number.NaN : Number.parseInt(m[1] ?? '', 16)
  return n <= 0xffff ? (n << 16) >>> 0 : fail(`Error: argument "${word}" is wrong: invalid qdisc ID`, 255)
}
/** the number of a class, `1:10`; root and none have their own */
export function classid(word: string): number {
  if (word === 'root') return 0xffffffff
  if (word === 'none') return 0
  const m = /^([0-9a-f]*):([0-9a-f]*)$/i.exec(word)
  if (m !== null) {
    const major = m[1] === '' ? 0 : Number.parseInt(m[1] ?? '', 16)
    const minor = m[2] === '' ? 0 : Number.parseInt(m[2] ?? '', 16)
    if (major <= 0xffff && minor <= 0xffff) return ((major << 16) | minor) >>> 0
  }
  return fail(`Error: argument "${word}" is wrong: Invalid parent ID`, 255)
}
