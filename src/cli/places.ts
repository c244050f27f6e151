import { resolve } from 'node:path'
import { Option } from 'commander'
import { UsageError } from './errors.ts'

/*
 * Where a trace goes: `--format NAME` and `-o FILE`, each as often as one likes. Their order matters, so that they are collected in
 * one list while the command line is read.
 */

/** one of these options, as it was given */
export interface Given {
  option: 'format' | 'file'
  value: string
}

/** a file and the format that was named for it; '' for none, then its ending says it */
export interface Place {
  /** `-` is standard output */
  file: string
  format: string
}

/** The options `--format` and `-o`. What was given is in `options.output`, in its order: the same list for both. */
export function placeOptions(names: readonly string[], standard: string): [Option, Option] {
  // commander keeps a value for each option; the list is shared, and made anew for each command
  const given: Given[] = []
  const add =
    (option: Given['option']) =>
    (value: string): Given[] => {
      given.push({ option, value })
      return given
    }
  const format = new Option(
    '--format <name>',
    `how it is written: ${names.map((n) => (n === standard ? `${n} (default)` : n)).join(', ')}`,
  ).argParser((value: string) => {
    if (!names.includes(value)) throw new UsageError(`--format ${value}: there are ${names.join(', ')}`)
    return add('format')(value)
  })
  const output = new Option('-o, --output <file>', 'write there; the ending says the format, - is standard output').argParser(
    add('file'),
  )
  return [format, output]
}

/** @throws UsageError when the same file is to be written twice, under whatever spelling */
export function checkTwice(files: readonly string[]): void {
  const paths = files.map((f) => (f === '-' ? f : resolve(f)))
  const twice = files.find((_, i) => paths.indexOf(paths[i] ?? '') < i)
  if (twice !== undefined) throw new UsageError(`-o ${twice} is given twice`)
}

/**
 * Which format goes where. A `--format` belongs to the next `-o`; when no other follows, to the one before; without `-o` to standard
 * output.
 */
export function placesOf(given: readonly Given[]): Place[] {
  const places: Place[] = []
  let pending: string | null = null
  for (const { option, value } of given) {
    if (option === 'file') {
      places.push({ file: value, format: pending ?? '' })
      pending = null
    } else if (pending !== null) {
      throw new UsageError(`--format ${pending} and --format ${value}: say where each goes, --format ${pending} -o FILE`)
    } else pending = value
  }
  if (pending === null) return places.length === 0 ? [{ file: '-', format: '' }] : places
  const last = places[places.length - 1]
  if (last === undefined) return [{ file: '-', format: pending }]
  if (last.format !== '')
    throw new UsageError(`--format ${pending}: ${last.file} is ${last.format} already; name a file for it with -o`)
  last.format = pending
  return places
}
