import { rule } from './columns.ts'
import type { Running } from './contexts.ts'

/** A line that says who goes on. */
interface Turn {
  readonly line: string
  /** what a rule says; '' for a line of the graph, which has columns in front */
  readonly mark: string
}

const where = (r: Running): string => (r.execution.netns === '' ? '' : ` in ${r.execution.netns}`)

/** ftrace's arrows around an interrupt */
const arrow = (text: string, more: string): Turn => ({ line: `  ${text} |${more === '' ? '' : `  /*${more} */`}\n`, mark: '' })

/** Says where something else runs than where the last line was printed: with ftrace's marks, and in text with rules in words. */
export class Turns {
  readonly #words: boolean
  last: Running | null = null
  /** what the interrupt came on top of whose line was printed last */
  #interrupted: Running | null = null

  constructor(words: boolean) {
    this.#words = words
  }

  forget(): void {
    this.last = null
    this.#interrupted = null
  }

  /** the next line is of `to`; `back`: it ends what was begun before */
  to(to: Running, back: boolean): Turn[] {
    const turns: Turn[] = []
    let from = this.last
    this.last = to
    if (from !== null && from.execution.kind === 'hardirq') {
      turns.push(arrow('<==========', ''))
      from = this.#interrupted
    }
    this.#interrupted = null
    if (to.execution.kind === 'hardirq') {
      this.#interrupted = from
      turns.push(arrow('==========>', this.#words ? where(to) : ''))
    } else if (this.#words) {
      const same = from !== null && from.execution.kind === to.execution.kind && from.thread.pid === to.thread.pid
      const begins = from === null && to.execution.kind === 'task' && to.mine
      if (from !== to && !begins && !(same && back)) turns.push(inWords(to, from))
    } else if (from !== null && from.thread.pid !== to.thread.pid) turns.push(ofTasks(from, to))
    return turns
  }
}

function inWords(to: Running, from: Running | null): Turn {
  const { execution, thread } = to
  const name = `${thread.comm}-${thread.pid}`
  const other = from !== null && from.thread.pid !== thread.pid && thread.kind !== 'idle' ? ` on top of ${name}` : ''
  const mark =
    execution.kind === 'task' ? `${to.mine ? 'back in the call' : name}${where(to)}` : `${execution.kind}${where(to)}${other}`
  return { line: rule(mark), mark }
}

/** ftrace's rule where another task has the processor */
function ofTasks(from: Running, to: Running): Turn {
  const line = ` ${'-'.repeat(42)}\n`
  const name = (r: Running): string => `${r.thread.comm.slice(0, 7)}-${r.thread.pid}`.padEnd(14)
  const mark = `${from.thread.pid} => ${to.thread.pid}`
  return { line: `${line} 0) ${name(from)} =>  ${name(to)}\n${line}\n`, mark }
}
