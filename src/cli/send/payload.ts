import { UsageError } from '../errors.ts'
import { readAll } from '../input.ts'
import { MOST, type SendOptions } from './options.ts'

/** bytes that are read at most: they are kept in memory, several times */
const LONGEST = 1 << 29

/** the bytes to send: given, or a length whose bytes are made up without taking memory */
export function payload(dash: string | undefined, o: SendOptions): Uint8Array | number {
  if (dash !== undefined && dash !== '-')
    throw new UsageError(`'${dash}' is no argument of send: it wants - (standard input), --file, --data or --bytes`)
  const ways = [dash, o.bytes, o.data, o.file].filter((w) => w !== undefined)
  if (ways.length > 1) throw new UsageError('only one of --bytes, --data, --file and - says what is sent')
  if (o.data !== undefined) return new TextEncoder().encode(o.data)
  if (dash === '-') return all('-')
  return o.file === undefined ? (o.bytes ?? 4096) : all(o.file)
}

const all = (file: string): Uint8Array =>
  readAll(file, LONGEST, `; --bytes sends up to ${MOST} without reading them from anywhere`)
