import { closeSync, fstatSync, lstatSync, openSync, readSync, renameSync, rmSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** characters that are collected before they are written */
const CHUNK = 1 << 16
/** bytes of one held section that stay in memory; what is more goes to a temporary file */
const HELD = 1 << 24
/** bytes that are compressed at a time */
const PIECE = 1 << 20

/** The output could not be written; `message` is the one line that the user is told. */
export class OutputError extends Error {}

/** The reader of a pipe has gone: the program has nothing more to do, and nothing went wrong. */
export class ClosedPipe extends Error {}

/** the name of a failed system call's error, such as `EAGAIN`; '' for an error of another kind */
export const codeOf = (e: unknown): string => (e instanceof Error && 'code' in e && typeof e.code === 'string' ? e.code : '')

/** what is said of a failed system call of the host, without its stack or path: `no space left on device` */
export function reasonOf(e: unknown): string {
  // Node's words for it are `illegal operation on a directory`
  if (codeOf(e) === 'EISDIR') return 'is a directory'
  const m = e instanceof Error ? /^[A-Z0-9]+: ([^,]+)/.exec(e.message) : null
  return m?.[1] ?? (e instanceof Error ? e.message : String(e))
}

const sleeper = new Int32Array(new SharedArrayBuffer(4))
/** nothing happens for so many milliseconds: a pipe is waited for that cannot be waited for otherwise */
export const pause = (ms: number): void => {
  Atomics.wait(sleeper, 0, 0, ms)
}

/** Writes all of `bytes`; a full pipe is waited for. */
export function writeAll(fd: number, bytes: Uint8Array, length: number, name: string): void {
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

/** Makes of some bytes compressed ones that can stand behind others of the same kind. */
export type Compress = (bytes: Uint8Array) => Uint8Array

/** How an output is opened. */
export interface OutputOptions {
  /** bytes that were written are written over later: see patch() */
  patches?: boolean
  compress?: Compress | null
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
  #compress: Compress | null
  #raw: Buffer | null = null
  #rawBytes = 0
  /** everything, until it is complete: what goes to a pipe cannot be written over there */
  #whole = -1
  #position = 0

  private constructor(fd: number, name: string, temporary: string, options: OutputOptions = {}) {
    this.#fd = fd
    this.name = name
    this.#temporary = temporary
    this.#compress = options.compress ?? null
    if (options.patches === true && (this.#compress !== null || !fstatSync(fd).isFile() || fd === 1)) this.#whole = openUnnamed()
  }

  static stdout(options: OutputOptions = {}): Output {
    return new Output(1, 'standard output', '', options)
  }

  /**
   * Opens `path` for writing, or standard output for `-`. What is not a regular file (a pipe, /dev/null) is written directly.
   * @throws OutputError when it cannot be opened
   */
  static open(path: string, options: OutputOptions = {}): Output {
    if (path === '-') return Output.stdout(options)
    try {
      const special = isSpecial(path)
      const temporary = special ? '' : `${path}.${process.pid}.tmp`
      return new Output(openSync(special ? path : temporary, special ? 'w' : 'wx'), path, temporary, options)
    } catch (e) {
      throw new OutputError(`${path}: ${reasonOf(e)}`)
    }
  }

  /** bytes that were written so far, as a reader counts them */
  get position(): number {
    this.flush()
    return this.#position + (this.#held === null ? 0 : this.#heldBytes)
  }

  write(text: string): void {
    this.#text += text
    if (this.#text.length >= CHUNK) this.flush()
  }

  writeBytes(bytes: Uint8Array): void {
    this.flush()
    this.#put(bytes, bytes.length)
  }

  /**
   * Writes over what was written at byte `at`, without changing the length; only where this was opened with `patches`.
   * Nothing is held back meanwhile.
   */
  patch(at: number, bytes: Uint8Array): void {
    this.flush()
    const fd = this.#whole >= 0 ? this.#whole : this.#fd
    for (let done = 0; done < bytes.length; ) {
      try {
        done += writeSync(fd, bytes, done, bytes.length - done, at + done)
      } catch (e) {
        throw new OutputError(`${this.name}: ${reasonOf(e)}`)
      }
    }
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
      this.#position += length
      if (this.#whole >= 0) writeAll(this.#whole, bytes, length, 'temporary file')
      else this.#send(bytes, length)
      return
    }
    if (this.#heldBytes + length <= HELD && this.#spill < 0) this.#held.push(Buffer.from(bytes.subarray(0, length)))
    else {
      if (this.#spill < 0) this.#spill = openUnnamed()
      writeAll(this.#spill, bytes, length, 'temporary file')
    }
    this.#heldBytes += length
  }

  /** to where it belongs, compressed if so asked */
  #send(bytes: Uint8Array, length: number): void {
    if (this.#compress === null) {
      writeAll(this.#fd, bytes, length, this.name)
      return
    }
    this.#raw ??= Buffer.allocUnsafe(PIECE)
    for (let at = 0; at < length; ) {
      const n = Math.min(length - at, PIECE - this.#rawBytes)
      this.#raw.set(bytes.subarray(at, at + n), this.#rawBytes)
      this.#rawBytes += n
      at += n
      if (this.#rawBytes === PIECE) this.#sendCompressed()
    }
  }

  #sendCompressed(): void {
    if (this.#raw === null || this.#compress === null) return
    const bytes = this.#compress(this.#raw.subarray(0, this.#rawBytes))
    this.#rawBytes = 0
    writeAll(this.#fd, bytes, bytes.length, this.name)
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
    this.#copy(this.#spill, (bytes, n) => this.#put(bytes, n))
    this.#spill = -1
  }

  /** reads a temporary file from its beginning, and closes it */
  #copy(fd: number, to: (bytes: Uint8Array, length: number) => void): void {
    for (let at = 0; ; ) {
      const n = readSync(fd, this.#bytes, 0, this.#bytes.length, at)
      if (n === 0) break
      to(this.#bytes, n)
      at += n
    }
    closeSync(fd)
  }

  /** writes the rest, and gives a file its name */
  finish(): void {
    if (this.#held !== null) this.release('')
    this.flush()
    if (this.#whole >= 0) {
      this.#copy(this.#whole, (bytes, n) => this.#send(bytes, n))
      this.#whole = -1
    }
    // an empty file is a compressed file of nothing
    if (this.#compress !== null) {
      this.#raw ??= Buffer.alloc(0)
      if (this.#rawBytes > 0 || this.#position === 0) this.#sendCompressed()
    }
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
    this.#rawBytes = 0
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
export function openUnnamed(): number {
  const path = join(tmpdir(), `skbtrace-${process.pid}-${process.hrtime.bigint()}`)
  try {
    const fd = openSync(path, 'wx+', 0o600)
    unlinkSync(path)
    return fd
  } catch (e) {
    throw new OutputError(`${path}: ${reasonOf(e)}`)
  }
}
