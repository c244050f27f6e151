import { closeSync, lstatSync, openSync, readSync, renameSync, rmSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** characters that are collected before they are written */
const CHUNK = 1 << 16
/** bytes of one held section that stay in memory; what is more goes to a temporary file */
const HELD = 1 << 24

/** The output could not be written; `message` is the one line that the user is told. */
export class OutputError extends Error {}

/** The reader of a pipe has gone: the program has nothing more to do, and nothing went wrong. */
export class ClosedPipe extends Error {}

const codeOf = (e: unknown): string => (e instanceof Error && 'code' in e && typeof e.code === 'string' ? e.code : '')

/** what is said of a failed system call of the host, without its stack or path: `no space left on device` */
export function reasonOf(e: unknown): string {
  const m = e instanceof Error ? /^[A-Z0-9]+: ([^,]+)/.exec(e.message) : null
  return m?.[1] ?? (e instanceof Error ? e.message : String(e))
}

const sleeper = new Int32Array(new SharedArrayBuffer(4))
const pause = (ms: number): void => {
  Atomics.wait(sleeper, 0, 0, ms)
}

/** Writes all of `bytes`; a full pipe is waited for. */
function writeAll(fd: number, bytes: Uint8Array, length: number, name: string): void {
  for (let at = 0; at < length; ) {
    try {
      at += writeSync(fd, bytes, at, length - at)
    } catch (e) {
      const code = codeOf(e)
      if (code === 'EAGAIN') pause(1)
      else if (code === 'EPIPE') throw new ClosedPipe()
      else if (code !== 'EINTR') throw new OutputError(`${name}: ${reasonOf(e)}`)
    }
  }
}

/**
 * Text or bytes to a file descriptor, written in pieces of about 64 KiB, synchronously: nothing piles up in memory when the reader
 * is slow. A file is written under a temporary name beside it and takes its own name only when `finish` is called.
 */
export class Output {
  readonly name: string
  #fd: number
  #temporary = ''
  #text = ''
  #bytes: Buffer<ArrayBufferLike> = Buffer.allocUnsafe(3 * CHUNK)
  #held: Buffer[] | null = null
  #heldBytes = 0
  #spill = -1

  private constructor(fd: number, name: string, temporary: string) {
    this.#fd = fd
    this.name = name
    this.#temporary = temporary
  }

  static stdout(): Output {
    return new Output(1, 'standard output', '')
  }

  /**
   * Opens `path` for writing, or standard output for `-`. What is not a regular file (a pipe, /dev/null) is written directly.
   * @throws OutputError when it cannot be opened
   */
  static open(path: string): Output {
    if (path === '-') return Output.stdout()
    try {
      const special = isSpecial(path)
      const temporary = special ? '' : `${path}.${process.pid}.tmp`
      return new Output(openSync(special ? path : temporary, special ? 'w' : 'wx'), path, temporary)
    } catch (e) {
      throw new OutputError(`${path}: ${reasonOf(e)}`)
    }
  }

  write(text: string): void {
    this.#text += text
    if (this.#text.length >= CHUNK) this.flush()
  }

  writeBytes(bytes: Uint8Array): void {
    this.flush()
    this.#put(bytes, bytes.length)
  }

  /** hands over what was collected */
  flush(): void {
    const text = this.#text
    if (text === '') return
    this.#text = ''
    if (3 * text.length > this.#bytes.length) this.#bytes = Buffer.allocUnsafe(4 * text.length)
    this.#put(this.#bytes, this.#bytes.write(text))
  }

  #put(bytes: Uint8Array, length: number): void {
    if (this.#held === null) {
      writeAll(this.#fd, bytes, length, this.name)
      return
    }
    if (this.#heldBytes + length <= HELD) this.#held.push(Buffer.from(bytes.subarray(0, length)))
    else {
      if (this.#spill < 0) this.#spill = openUnnamed()
      writeAll(this.#spill, bytes, length, 'temporary file')
    }
    this.#heldBytes += length
  }

  /** keeps what follows back until `release`: a heading has to be printed above it that is not known yet */
  hold(): void {
    this.flush()
    this.#held = []
    this.#heldBytes = 0
  }

  /** writes `heading`, then what was kept back */
  release(heading: string): void {
    this.flush()
    const held = this.#held ?? []
    this.#held = null
    this.write(heading)
    this.flush()
    for (const b of held) this.#put(b, b.length)
    if (this.#spill < 0) return
    for (let at = 0; ; ) {
      const n = readSync(this.#spill, this.#bytes, 0, this.#bytes.length, at)
      if (n === 0) break
      this.#put(this.#bytes, n)
      at += n
    }
    closeSync(this.#spill)
    this.#spill = -1
  }

  /** writes the rest, and gives a file its name */
  finish(): void {
    if (this.#held !== null) this.release('')
    this.flush()
    if (this.#fd === 1) return
    try {
      closeSync(this.#fd)
      if (this.#temporary !== '') renameSync(this.#temporary, this.name)
    } catch (e) {
      throw new OutputError(`${this.name}: ${reasonOf(e)}`)
    }
    this.#temporary = ''
  }

  /** throws away what was not finished: nothing half-written is left behind */
  abandon(): void {
    this.#text = ''
    this.#held = null
    if (this.#temporary === '') return
    rmSync(this.#temporary, { force: true })
    this.#temporary = ''
  }
}

/** whether there is something at `path` that must not be replaced by a file: a device, a pipe, a link, a directory */
function isSpecial(path: string): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  return stat !== undefined && !stat.isFile()
}

/** a file for reading and writing that is gone when the program ends, however it ends */
function openUnnamed(): number {
  const path = join(tmpdir(), `skbtrace-${process.pid}-${process.hrtime.bigint()}`)
  const fd = openSync(path, 'wx+', 0o600)
  unlinkSync(path)
  return fd
}
