import type { Debugger } from '../debugger.ts'

/** One word of the debugger's language. */
export interface Verb {
  /** its full name, then short ones that always mean it */
  readonly names: readonly [string, ...string[]]
  readonly usage: string
  /** one line */
  readonly summary: string
  /** what there is to say besides */
  readonly more?: string
  readonly examples: readonly string[]
  /** an empty line does it again */
  readonly repeats?: boolean
  /** what its arguments are, for completion */
  readonly takes?: 'function' | 'expression' | 'verb' | 'file' | readonly string[]
  readonly group: 'host' | 'moving' | 'stopping' | 'looking' | 'session'
  /** `rest`: what follows the word; `slash`: what follows `/` in it */
  run(d: Debugger, rest: string, slash: string): void | Promise<void>
}
