import { closeSync, createReadStream, fstatSync, openSync, readSync } from 'node:fs'
import { codeOf, pause, reasonOf } from '../formats/output.ts'
import { UsageError } from './errors.ts'

/** A file that is read from beginning to end. */
interface Input {
  /** `-` is `standard input` */
  readonly name: string
  /** its bytes, decompressed where they are compressed */
  chunks(): AsyncIterable<Uint8Array>
  /** how much was read, from 0 to 1; null when nobody knows how much there is */
  readonly done: (() => number) | undefined
}

/**
 * All that a file has, or standard input for `-`; `most` bytes of it, and `hint` for who has more.
 * @throws UsageError for one that cannot be read, or has no end, such as /dev/zero
 */
export function readAll(file: string, most: number, hint = ''): Buffer {
  const name = file === '-' ? 'standard input' : file === '' ? "''" : file
  const parts: Buffer[] = []
  let length = 0
  try {
    const fd = file === '-' ? 0 : openSync(file, 'r')
    for (;;) {
      const b = Buffer.allocUnsafe(1 << 16)
      const n = readSome(fd, b)
      if (n === 0) break
      parts.push(b.subarray(0, n))
      length += n
      if (length > most) throw new UsageError(`${name}: more than ${most} bytes${hint}`)
    }
    if (fd !== 0) closeSync(fd)
  } catch (e) {
    throw e instanceof UsageError ? e : new UsageError(`${name}: ${reasonOf(e)}`)
  }
  return Buffer.concat(parts)
}

/** a read that waits for a pipe which has nothing yet; 0 at the end */
function readSome(fd: number, b: Buffer): number {
  for (;;) {
    try {
      return readSync(fd, b, 0, b.length, null)
    } catch (e) {
      const code = codeOf(e)
      if (code === 'EOF') return 0
      if (code !== 'EAGAIN') throw e
      pause(5)
    }
  }
}

/**
 * Opens a file, or standard input for `-`, and whatever it is compressed with.
 * @throws UsageError when it cannot be opened
 */
export function openInput(file: string): Input {
  const name = file === '-' ? 'standard input' : file
  let fd: number
  let size = 0
  try {
    fd = file === '-' ? 0 : openSync(file, 'r')
    const stat = fstatSync(fd)
    if (stat.isDirectory()) throw new UsageError(`${name}: is a directory`)
    size = stat.isFile() ? stat.size : 0
  } catch (e) {
    throw e instanceof UsageError ? e : new UsageError(`${name}: ${reasonOf(e)}`)
  }
  let read = 0
  const raw = createReadStream('', { fd, highWaterMark: 1 << 16 })
  raw.on('data', (chunk) => {
    read += chunk.length
  })
  raw.pause()
  return {
    name,
    chunks: () => decompressed(raw, name, () => read),
    done: size > 0 ? () => read / size : undefined,
  }
}

async function* decompressed(
  raw: NodeJS.ReadableStream,
  name: string,
  read: () => number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const chunks = raw[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  const next = async (): Promise<Buffer | null> => {
    try {
      const r = await chunks.next()
      return r.done === true ? null : r.value
    } catch (e) {
      throw new UsageError(`${name}: ${reasonOf(e)}`)
    }
  }
  let start = Buffer.alloc(0)
  // a pipe may hand over less than a magic number at a time
  while (start.length < 4) {
    const more = await next()
    if (more === null) break
    start = Buffer.concat([start, more])
  }
  const rest = async function* (): AsyncGenerator<Buffer, void, undefined> {
    yield start
    for (let c = await next(); c !== null; c = await next()) yield c
  }
  const magic = start[0] === 0x1f || start[0] === 0x28
  const decompress = magic ? (await import('../formats/compression.ts')).decompressionOf(start) : null
  if (decompress === null) {
    yield* rest()
    return
  }
  if (typeof decompress === 'string') throw new UsageError(`${name}: ${decompress}`)
  const { Readable } = await import('node:stream')
  try {
    yield* Readable.from(rest())
      .on('error', (e) => decompress.destroy(e))
      .pipe(decompress) as AsyncIterable<Buffer>
  } catch (e) {
    if (e instanceof UsageError) throw e
    throw new UsageError(`${name}: its compression is damaged before byte ${read()} (${reasonOf(e)})`)
  }
}
