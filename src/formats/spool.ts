import { closeSync, readSync } from 'node:fs'
import { type Output, openUnnamed, writeAll } from './output.ts'

const CHUNK = 1 << 16
/** characters that stay in memory; what is more goes to a temporary file */
const KEPT = 1 << 20

/** Text that has to wait until something else has been written. Takes no more memory the longer it gets. */
export class Spool {
  #text = ''
  #fd = -1
  #bytes: Buffer | null = null

  write(text: string): void {
    this.#text += text
    if (this.#text.length >= (this.#fd < 0 ? KEPT : CHUNK)) this.#spill()
  }

  #spill(): void {
    if (this.#fd < 0) this.#fd = openUnnamed()
    const b = Buffer.from(this.#text)
    this.#text = ''
    writeAll(this.#fd, b, b.length, 'temporary file')
  }

  /** writes all of it to `out`, and is done */
  drain(out: Output): void {
    if (this.#fd >= 0) {
      this.#bytes ??= Buffer.allocUnsafe(CHUNK)
      for (let at = 0; ; ) {
        const n = readSync(this.#fd, this.#bytes, 0, CHUNK, at)
        if (n === 0) break
        out.writeBytes(this.#bytes.subarray(0, n))
        at += n
      }
      closeSync(this.#fd)
      this.#fd = -1
    }
    out.write(this.#text)
    this.#text = ''
  }
}
