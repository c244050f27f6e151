import { type Execution, tracer } from '../trace/tracer.ts'
import type { ContextKind, GraphOptions } from './graph_options.ts'

export const ALL: readonly ContextKind[] = ['task', 'softirq', 'hardirq']

/** Something that the processor does or was interrupted in. */
export interface Running {
  readonly execution: Execution
  /** the task on top of which it runs, itself for a task */
  readonly thread: Execution
  /** part of the traced call: its process, or what interrupted it */
  readonly mine: boolean
  readonly shown: boolean
  /** frames that pass are shown, even if functions are not: whose they are says the device */
  readonly frames: boolean
}

/** Whose calls are shown: follows the processor from one thing to the next, which nest. */
export class Contexts {
  readonly #kinds: ReadonlySet<Execution['kind']>
  readonly #netns: string | null
  readonly #irqs: boolean
  #stack: Running[] = []
  /** of the process that makes the traced call; -1: the next one that comes; -2: all */
  #pid = -2
  now: Running

  /** `text`: whether it is for that format */
  constructor(o: Pick<GraphOptions, 'contexts' | 'netns' | 'irqs'>, text: boolean) {
    this.#kinds = new Set<Execution['kind'] | ContextKind>(o.contexts ?? (text ? ALL : ['task', 'softirq']))
    this.#netns = o.netns
    this.#irqs = o.irqs
    this.now = this.#run(tracer.execution, null)
  }

  /** a call begins; `everybody`: whoever makes it, as for a timer that no process has */
  begin(everybody: boolean): void {
    const { execution } = tracer
    this.#pid = everybody ? -2 : execution.kind === 'task' ? execution.pid : -1
    this.#stack = []
    this.now = this.#run(execution, null)
  }

  /** @returns whether it comes on top of what ran (otherwise what it interrupted goes on) */
  switch(now: Execution, before: Execution): boolean {
    const below = this.#stack[this.#stack.length - 1]
    // whoever makes the call has come on top of nobody, and when it sleeps nobody comes on top of it: it is not over
    const sleeps = now.kind === 'idle' && before.kind === 'task' && before.pid === this.#pid
    if (below !== undefined && below.execution === now && !sleeps) {
      this.#stack.pop()
      this.now = below
      return false
    }
    if (this.now.execution !== before) this.now = this.#run(before, null)
    if (this.#pid === -1 && now.kind === 'task') this.#pid = now.pid
    this.#stack.push(this.now)
    this.now = this.#run(now, this.now)
    return true
  }

  #run(execution: Execution, below: Running | null): Running {
    const { kind, pid, netns } = execution
    const thread = kind === 'task' || kind === 'idle' || below === null ? execution : below.thread
    const all = this.#pid === -2
    const mine = all || (kind === 'task' ? pid === this.#pid : kind !== 'idle' && below?.mine === true)
    const wanted = this.#kinds.has(kind) && (kind !== 'hardirq' || this.#irqs)
    const there = this.#netns === null || this.#netns === 'all' || netns === this.#netns
    const shown =
      this.#netns !== null
        ? wanted && there
        : all
          ? kind !== 'hardirq' || wanted
          : wanted && mine && (kind !== 'softirq' || pid === this.#pid || this.#kinds.has('hardirq'))
    return { execution, thread, mine, shown, frames: shown || wanted || kind === 'idle' }
  }
}
