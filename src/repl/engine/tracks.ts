import type { Kfn } from '../../trace/tracer.ts'
import { i32, Series } from './columns.ts'
import { compile, type Evaluator, Pointer, Struct, truth } from './evaluate.ts'
import { type Expr, exprText, namesIn } from './expr.ts'
import { valueText } from './print.ts'
import { ENTER, LINE, Pool } from './recording.ts'
import type { LiveScope } from './scope.ts'
import { identity } from './structs.ts'
import type { Sampler, Watcher } from './watcher.ts'

/** What an expression was through a run: one pass over the events fills these, then looking back and forth costs nothing. */

/** an expression as written, and ready to be evaluated */
export class Compiled {
  readonly text: string
  readonly names: readonly string[]
  readonly evaluate: Evaluator

  constructor(e: Expr) {
    this.text = exprText(e)
    this.names = namesIn(e)
    this.evaluate = compile(e)
  }
}

/** names in the scope of the event that is looked at; null: there are none */
export type ScopeOf = () => LiveScope | null

/** which events a breakpoint is about */
interface Candidates {
  kinds: readonly number[]
  /** of an entry: the function */
  fn: ((fn: Kfn) => boolean) | null
}

/** Where a condition held, among a breakpoint's events. */
export class HitTrack implements Sampler {
  readonly hits = i32()
  readonly #condition: Compiled
  readonly #candidates: Candidates
  readonly #scope: ScopeOf
  readonly #byFn: (boolean | undefined)[] = []
  /** why the condition had no value, the first time */
  problem = ''

  constructor(candidates: Candidates, condition: Compiled, scope: ScopeOf) {
    this.#candidates = candidates
    this.#condition = condition
    this.#scope = scope
  }

  sample(kind: number, event: number, w: Watcher): void {
    if (!this.#candidates.kinds.includes(kind)) return
    if (kind === ENTER && this.#candidates.fn !== null) {
      const fn = w.calls[w.depth - 1]?.fn
      if (fn === undefined) return
      let known = this.#byFn[fn.id]
      if (known === undefined) {
        known = this.#candidates.fn(fn)
        while (this.#byFn.length <= fn.id) this.#byFn.push(undefined)
        this.#byFn[fn.id] = known
      }
      if (!known) return
    }
    const scope = this.#scope()
    if (scope === null) return
    scope.problem = ''
    const v = this.#condition.evaluate(scope)
    if (v === undefined) {
      if (this.problem === '') this.problem = scope.problem
    } else if (truth(v)) this.hits.push(event)
  }

  truncate(event: number): void {
    this.hits.truncate(this.hits.lastNotAbove(event - 1) + 1)
  }

  get bytes(): number {
    return this.hits.bytes
  }
}

/** something that is equal exactly when the values are */
function fingerprint(v: unknown): number | string {
  if (typeof v === 'number') return v
  if (typeof v === 'object' && v !== null) {
    if (v instanceof Pointer) return v.at
    const who = v instanceof Struct ? null : identity(v)
    if (who !== null) return who
  }
  return valueText(v)
}

/** Where a value changed. A value belongs to the objects that it is of: another buffer's length is no change of this one's. */
export class WatchTrack implements Sampler {
  readonly hits = i32()
  readonly #before = i32()
  readonly #after = i32()
  readonly #texts = new Pool()
  readonly #expr: Compiled
  readonly #scope: ScopeOf
  readonly #roots: readonly string[]
  #last = new Map<string, { print: number | string; text: string }>()

  constructor(expr: Compiled, scope: ScopeOf) {
    this.#expr = expr
    this.#scope = scope
    this.#roots = [...new Set(expr.names)].filter((n) => !n.startsWith('$'))
  }

  sample(kind: number, event: number): void {
    const scope = this.#scope()
    if (scope === null || kind === LINE) return
    scope.problem = ''
    const v = this.#expr.evaluate(scope)
    if (v === undefined) return
    const key = scope.roots(this.#roots)
    const print = fingerprint(v)
    const last = this.#last.get(key)
    if (last !== undefined && last.print === print) return
    const text = valueText(v)
    if (last !== undefined) {
      this.hits.push(event)
      this.#before.push(this.#texts.of(last.text))
      this.#after.push(this.#texts.of(text))
    }
    this.#last.set(key, { print, text })
  }

  /** the old and the new value at a hit */
  change(event: number): { was: string; is: string } {
    const i = this.hits.lastNotAbove(event)
    return { was: this.#texts.text(this.#before.get(i)), is: this.#texts.text(this.#after.get(i)) }
  }

  truncate(event: number): void {
    const n = this.hits.lastNotAbove(event - 1) + 1
    if (n < this.hits.length) {
      for (const c of [this.hits, this.#before, this.#after]) c.truncate(n)
      // what the values were then is not known any more: the next ones are first ones again
      this.#last.clear()
    }
  }

  get bytes(): number {
    return this.hits.bytes + this.#before.bytes + this.#after.bytes + this.#texts.bytes
  }
}

/** What an expression prints as, at every event: what `display` shows. */
export class DisplayTrack implements Sampler {
  readonly #values = new Series()
  readonly #texts = new Pool()
  readonly #expr: Compiled
  readonly #format: string
  readonly #scope: ScopeOf
  #print: number | string | undefined
  #number = -1

  constructor(expr: Compiled, format: string, scope: ScopeOf) {
    this.#expr = expr
    this.#format = format
    this.#scope = scope
  }

  sample(_kind: number, event: number): void {
    const scope = this.#scope()
    if (scope === null) return
    scope.problem = ''
    const v = this.#expr.evaluate(scope)
    const print = v === undefined ? '' : fingerprint(v)
    if (print === this.#print) return
    this.#print = print
    this.#number = v === undefined ? -1 : this.#texts.of(valueText(v, this.#format))
    this.#values.put(event, this.#number)
  }

  /** '' where it has no value */
  at(event: number): string {
    const n = this.#values.at(event) ?? -1
    return n < 0 ? '' : this.#texts.text(n)
  }

  truncate(event: number): void {
    this.#values.truncate(event)
    this.#print = undefined
  }

  get bytes(): number {
    return this.#values.bytes + this.#texts.bytes
  }
}
