import type { tca_options } from '../../../kernel/include/net/sch_generic.ts'
import type { Json } from '../json.ts'
import { fail, type Words } from '../words.ts'

/** parameters as the kernel takes them, by the names of its netlink attributes */
export type Options = Record<string, number | boolean | string | readonly number[]>
/** of an object of -j */
export type Members = Record<string, Json | undefined>

/** How tc reads and prints the parameters of one discipline. */
export interface Kind {
  /** null: no parameters were given, the discipline takes its defaults */
  parse(w: Words): Options | null
  /** `details`: `tc -d` */
  print(o: tca_options, details: boolean): string
  /** the same for -j */
  json(o: tca_options): Members
  stats?(o: tca_options): string
  statsJson?(o: tca_options): Members
  /** of a class */
  parseClass?(w: Words): Options
  printClass?(o: tca_options, details: boolean): string
  /** lines of `tc -s class` */
  classStats?(o: tca_options): string
}

/** the next word is none of that discipline's */
export const what = (w: Words, kind: string): never => fail(`What is "${w.peek}"?\nUsage: ... ${kind} ...`, 255)
/** a parameter that is a number, 0 where it is not there */
export const num = (o: tca_options, k: string): number => Number(o[k] ?? 0)
/** one that is a list of numbers */
export const list = (o: tca_options, k: string): readonly number[] => {
  const v = o[k]
  return Array.isArray(v) ? (v as readonly number[]) : []
}

/** reads `keyword value` pairs; the empty list of words is null */
export function pairs(w: Words, kind: string, table: Readonly<Record<string, (o: Options) => void>>): Options | null {
  if (w.done) return null
  const o: Options = {}
  while (!w.done) {
    const read = Object.hasOwn(table, w.peek) ? table[w.peek] : undefined
    if (read === undefined) what(w, kind)
    w.next()
    read?.(o)
  }
  return o
}
/** those of the parameters that are there */
export const some = (o: tca_options, ...keys: string[]): Members =>
  Object.fromEntries(keys.filter((k) => o[k] !== undefined).map((k) => [k, Array.isArray(o[k]) ? list(o, k) : num(o, k)]))
