import type { Format } from './format.ts'
import type { Output } from './output.ts'

/** A saved trace that is saved again: its lines as they are. */
export class JsonlCopy implements Format {
  readonly #out: Output

  constructor(out: Output) {
    this.#out = out
  }

  line(text: string): void {
    this.#out.write(`${text}\n`)
  }

  begin(): void {}
  end(): void {}
  enter(): void {}
  exit(): void {}
  close(): void {}
}
