import { callNames } from '../../script/calls.ts'
import { commandNames } from '../../script/scenario.ts'
import { type Debugger, UserError } from './debugger.ts'
import { makeHelp } from './verbs/help.ts'
import { host } from './verbs/host.ts'
import { info } from './verbs/info.ts'
import { looking } from './verbs/looking.ts'
import { managing } from './verbs/managing.ts'
import { moving } from './verbs/moving.ts'
import { stopping } from './verbs/stopping.ts'
import type { Verb } from './verbs/verb.ts'

/** all words of the debugger; `quit` belongs to whoever asks for lines */
export const verbs: readonly Verb[] = [...host, ...stopping, ...moving, info, ...looking, ...managing, makeHelp(() => verbs)]

const byName = new Map(verbs.flatMap((v) => v.names.map((n) => [n, v] as const)))
const calls = new Set(callNames())

export const quitWords: ReadonlySet<string> = new Set(['quit', 'q', 'exit'])

/** a line of the scenario language, and no word of the debugger */
export function isScenarioLine(line: string): boolean {
  if (/^\s*>/.test(line) || /^\s*[A-Za-z_]\w*\s*=[^=]/.test(line)) return true
  const call = /^\s*([a-z_][a-z_0-9]*)\s*\(/.exec(line)?.[1]
  if (call !== undefined && (calls.has(call) || !byName.has(call))) return true
  const word = /^\s*([a-z]+)(?=\s|$)/.exec(line)?.[1]
  return word !== undefined && (commandNames as readonly string[]).includes(word)
}

/** the verb that a word means: its name, or the beginning of only one. @throws UserError */
function verbOf(word: string): Verb {
  const exact = byName.get(word)
  if (exact !== undefined) return exact
  const found = verbs.filter((v) => v.names.some((n) => n.startsWith(word) && n.length > 2))
  const [one] = found
  if (one !== undefined && found.length === 1) return one
  if (found.length > 1) throw new UserError(`'${word}' may be ${found.map((v) => v.names[0]).join(', ')}`)
  throw new UserError(`'${word}' is no word of the debugger, no system call and no command of the host: help lists them`)
}

/** Does what lines say. */
export class Interpreter {
  readonly #d: Debugger
  readonly #interactive: boolean
  /** what an empty line does */
  #again = ''

  constructor(d: Debugger, interactive: boolean) {
    this.#d = d
    this.#interactive = interactive
  }

  /**
   * Does one line; true when the user wants to leave.
   * @throws UserError, Interrupted
   */
  async line(text: string): Promise<boolean> {
    let line = text.trim()
    if (line === '' && this.#interactive) line = this.#again
    if (line === '' || line.startsWith('#')) return false
    if (isScenarioLine(line)) {
      this.#again = ''
      await this.#d.run([line])
      return false
    }
    const m = /^([A-Za-z][A-Za-z-]*)(?:\/(\S+))?(?:\s+(.*))?$/.exec(line)
    if (m === null) throw new UserError(`'${line}' makes no sense here: help tells what does`)
    const [, word = '', slash = '', rest = ''] = m
    if (quitWords.has(word)) return true
    const verb = verbOf(word)
    if (slash !== '' && !['x', 'print', 'display'].includes(verb.names[0]))
      throw new UserError(`${verb.names[0]} takes no /${slash}`)
    if (rest.trim() !== '' && verb.usage === verb.names[0])
      throw new UserError(`${verb.names[0]} takes no argument, not '${rest.trim()}'`)
    this.#again = verb.repeats === true ? (verb.names[0] === 'x' ? 'x' : line) : ''
    await verb.run(this.#d, rest.trim(), slash)
    return false
  }
}
