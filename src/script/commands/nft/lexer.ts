/** nft ends here: what it says on standard error */
export class NftError extends Error {}

/** A word of a line. */
export interface Token {
  text: string
  /** columns of the line, from 0; the end is not part of it */
  from: number
  to: number
  quoted: boolean
}

const punctuation = /^(!=|==|<=|>=|<<|>>|[{}();,<>&|^=\n])/
const word = /^[^\s{}();,<>&|^="!]+/

/** the words of a line of nft */
function tokens(line: string): Token[] {
  const out: Token[] = []
  for (let i = 0; i < line.length; ) {
    const rest = line.slice(i)
    const space = /^[ \t]+/.exec(rest)
    if (space) {
      i += space[0].length
      continue
    }
    if (rest.startsWith('#')) break
    const quoted = /^"([^"]*)"/.exec(rest)
    const m = quoted ?? punctuation.exec(rest) ?? word.exec(rest)
    if (m === null) throw new NftError(`Error: syntax error, unexpected junk\n${line}\n${' '.repeat(i)}^\n`)
    out.push({
      text: quoted ? (quoted[1] ?? '') : m[0] === '\n' ? ';' : m[0],
      from: i,
      to: i + m[0].length,
      quoted: quoted !== null,
    })
    i += m[0].length
  }
  return out
}

/** Reads a line of nft from left to right. */
export class Lexer {
  readonly line: string
  readonly #tokens: Token[]
  #at = 0

  constructor(line: string) {
    this.line = line
    this.#tokens = tokens(line)
  }

  get done(): boolean {
    return this.#at >= this.#tokens.length
  }
  /** the next word, which stays there; '' at the end */
  get peek(): string {
    return this.#tokens[this.#at]?.text ?? ''
  }
  peekAfter(n: number): string {
    return this.#tokens[this.#at + n]?.text ?? ''
  }
  /** the end of a statement: of the line, of a block, or a semicolon */
  get ended(): boolean {
    return this.done || (!this.#tokens[this.#at]?.quoted && (this.peek === ';' || this.peek === '}'))
  }

  next(expecting = 'string'): Token {
    const t = this.#tokens[this.#at]
    if (t === undefined) this.unexpected(expecting)
    this.#at++
    return t
  }
  take(...texts: string[]): boolean {
    const t = this.#tokens[this.#at]
    if (t === undefined || t.quoted || !texts.includes(t.text)) return false
    this.#at++
    return true
  }
  expect(text: string): void {
    if (!this.take(text)) this.unexpected(`'${text}'`)
  }

  /** @throws NftError: this word does not belong here */
  unexpected(expecting: string): never {
    const t = this.#tokens[this.#at]
    const at = t ?? { text: 'end of file', from: this.line.length, to: this.line.length + 1, quoted: false }
    const what = t === undefined ? 'newline' : t.text
    this.error(`syntax error, unexpected ${what}, expecting ${expecting}`, at)
  }

  /** @throws NftError, with the words that it is about underlined */
  error(message: string, at: Token | null): never {
    const from = at?.from ?? 0
    const to = Math.max(at?.to ?? this.line.length, from + 1)
    throw new NftError(`Error: ${message}\n${this.line}\n${' '.repeat(from)}${'^'.repeat(to - from)}\n`)
  }
}
