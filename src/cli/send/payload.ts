import { readFileSync, readSync } from 'node:fs'
import { reasonOf } from '../../formats/output.ts'
import { UsageError } from '../errors.ts'
import { MOST, type SendOptions } from './options.ts'

/** the bytes to send: given, or a length whose bytes are made up without taking memory */
export function payload(dash: string | undefined, o: SendOptions): Uint8Array | number {
  if (dash !== undefined && dash !== '-')
    throw new UsageError(`'${dash}' is no argument of send: it wants - (standard input), --file, --data or --bytes`)
  const ways = [dash, o.bytes, o.data, o.file].filter((w) => w !== undefined)
  if (ways.length > 1) throw new UsageError('only one of --bytes, --data, --file and - says what is sent')
  if (o.data !== undefined) return new TextEncoder().encode(o.data)
  const bytes = dash === '-' || o.file === '-' ? standardInput() : o.file !== undefined ? fileBytes(o.file) : (o.bytes ?? 4096)
  if (typeof bytes !== 'number' && bytes.length > MOST)
    throw new UsageError(`${bytes.length} bytes are more than one call can take (${MOST})`)
  return bytes
}

function fileBytes(path: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (e) {
    throw new UsageError(`${path}: ${reasonOf(e)}`)
  }
}

function standardInput(): Uint8Array {
  const parts: Buffer[] = []
  for (;;) {
    const b = Buffer.allocUnsafe(1 << 16)
    try {
      const n = readSync(0, b, 0, b.length, null)
      if (n === 0) break
      parts.push(b.subarray(0, n))
    } catch (e) {
      const code = e instanceof Error && 'code' in e ? e.code : ''
      if (code === 'EOF') break
      if (code === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
      else throw new UsageError(`standard input: ${reasonOf(e)}`)
    }
  }
  return Buffer.concat(parts)
}
