import { clock } from '../sim/clock.ts'
import { type KernelSymbol, lookupSymbol } from './facts.ts'
import { type Call, Context, type Kfn, resolveCall, tracer } from './tracer.ts'

/** skbtrace itself is broken: never the user's fault. */
export class InternalError extends Error {}

/** Thousands are declared at each start and most are never called: what is known of one is looked up when it is asked for. */
class Declared implements Kfn {
  readonly id: number
  readonly inlinedWhereBoth: boolean
  /** its name, in dist the row of its facts */
  readonly #text: string
  #name: string | undefined
  #symbol: KernelSymbol | undefined
  #root: Context | undefined
  #skbArg: number | undefined

  constructor(id: number, text: string, inlinedWhereBoth: boolean) {
    this.id = id
    this.inlinedWhereBoth = inlinedWhereBoth
    this.#text = text
  }

  /** the same function, declared once more */
  again(): Kfn {
    return declare(this.#text, true)
  }

  get name(): string {
    this.#name ??= this.#text.split('\t', 1)[0] ?? ''
    return this.#name
  }

  get symbol(): KernelSymbol {
    if (this.#symbol === undefined) {
      this.#symbol = lookupSymbol(this.#text)
      if (this.#symbol === undefined)
        throw new InternalError(
          `kfunc('${this.name}'): not a function of Linux 6.12.117, or "npm run facts" has not run since it was declared`,
        )
    }
    return this.#symbol
  }

  get root(): Context {
    this.#root ??= new Context(this, [])
    return this.#root
  }

  get skbArg(): number {
    this.#skbArg ??= this.symbol.params.findIndex((p) => /^(?:const )?struct sk_buff \*\s*\w+$/.test(p))
    return this.#skbArg
  }
}

const declared: Kfn[] = []
/** what `kfunc` returned, in order of declaration, and those that somebody has asked about */
const functions: object[] = []
const asked = new Map<object, Kfn>()

function declare(text: string, inlinedWhereBoth = false): Kfn {
  const fn = new Declared(declared.length, text, inlinedWhereBoth)
  declared.push(fn)
  return fn
}

/** every kernel function that skbtrace simulates, in order of declaration */
export const declaredFunctions = (): readonly Kfn[] => declared

/** the kernel function behind a value that `kfunc` returned, for naming what a pointer holds */
export function kfnOf(f: object): Kfn | undefined {
  let fn = asked.get(f)
  if (fn === undefined) {
    fn = declared[functions.indexOf(f)]
    if (fn !== undefined) asked.set(f, fn)
  }
  return fn
}

/** the kernel's name of a function, or '0x0' for a null pointer */
export const nameOf = (f: object | null | undefined): string => (f ? (kfnOf(f)?.name ?? '?') : '0x0')

type AnyFn<A extends unknown[], R> = (...args: A) => R

/**
 * Declares a function of the kernel. `body` has the kernel function's parameters in the kernel's order. What the function is
 * in the build that skbtrace is held against (file, inlined or not, cost) is looked up by `name`.
 *
 * One wrapper for each number of parameters: no rest arrays, and nothing is allocated by a call.
 * When Linux 6.12.117 has no function of that name, the first call throws an InternalError (and the build fails before that).
 */
export function kfunc<A extends unknown[], R>(name: string, body: AnyFn<A, R>): AnyFn<A, R> {
  const f = wrap(declare(name), body as unknown as Body) as unknown as AnyFn<A, R>
  functions.push(f)
  return f
}

/**
 * `f` once more, for the places where a caller has it inlined and calls it elsewhere: without this, a caller that has both is taken
 * to call it. `body` is what `f` was declared with.
 */
export function inlinedHere<A extends unknown[], R>(f: AnyFn<A, R>, body: AnyFn<A, R>): AnyFn<A, R> {
  const fn = kfnOf(f)
  if (!(fn instanceof Declared)) throw new InternalError('inlinedHere: not a kfunc')
  const twin = wrap(fn.again(), body as unknown as Body) as unknown as AnyFn<A, R>
  functions.push(twin)
  return twin
}

type Body = (
  a?: unknown,
  b?: unknown,
  c?: unknown,
  d?: unknown,
  e?: unknown,
  f?: unknown,
  g?: unknown,
  h?: unknown,
  i?: unknown,
  j?: unknown,
) => unknown

/** the call of `fn` from there: worked out the first time, then kept */
function callFrom(fn: Kfn, from: Context): Call {
  let call = from.calls.get(fn)
  if (call === undefined) {
    call = resolveCall(from, fn)
    from.calls.set(fn, call)
  }
  return call
}

function wrap(fn: Kfn, body: Body): Body {
  // most functions have one caller: remember the last
  let last: Context | null = null
  let call!: Call
  switch (body.length) {
    case 0:
      return () => {
        const from = tracer.context
        if (from !== last) {
          call = callFrom(fn, from)
          last = from
        }
        const here = call
        tracer.context = here.context
        if (tracer.on) tracer.sink?.enter(here)
        clock.now += here.before
        const r = body()
        clock.now += here.after
        if (tracer.on) tracer.sink?.exit(here, r)
        tracer.context = from
        return r
      }
    case 1:
      return (a) => {
        const from = tracer.context
        if (from !== last) {
          call = callFrom(fn, from)
          last = from
        }
        const here = call
        tracer.context = here.context
        if (tracer.on) tracer.sink?.enter(here, a)
        clock.now += here.before
        const r = body(a)
        clock.now += here.after
        if (tracer.on) tracer.sink?.exit(here, r)
        tracer.context = from
        return r
      }
    case 2:
      return (a, b) => {
        const from = tracer.context
        if (from !== last) {
          call = callFrom(fn, from)
          last = from
        }
        const here = call
        tracer.context = here.context
        if (tracer.on) tracer.sink?.enter(here, a, b)
        clock.now += here.before
        const r = body(a, b)
        clock.now += here.after
        if (tracer.on) tracer.sink?.exit(here, r)
        tracer.context = from
        return r
      }
    case 3:
      return (a, b, c) => {
        const from = tracer.context
        if (from !== last) {
          call = callFrom(fn, from)
          last = from
        }
        const here = call
        tracer.context = here.context
        if (tracer.on) tracer.sink?.enter(here, a, b, c)
        clock.now += here.before
        const r = body(a, b, c)
        clock.now += here.after
        if (tracer.on) tracer.sink?.exit(here, r)
        tracer.context = from
        return r
      }
    case 4:
      return (a, b, c, d) => {
        const from = tracer.context
        if (from !== last) {
          call = callFrom(fn, from)
          last = from
        }
        const here = call
        tracer.context = here.context
        if (tracer.on) tracer.sink?.enter(here, a, b, c, d)
        clock.now += here.before
        const r = body(a, b, c, d)
        clock.now += here.after
        if (tracer.on) tracer.sink?.exit(here, r)
        tracer.context = from
        return r
      }
    default:
      if (body.length > 10) throw new InternalError(`kfunc('${fn.name}'): ${body.length} parameters`)
      return (a, b, c, d, e, f, g, h, i, j) => {
        const from = tracer.context
        if (from !== last) {
          call = callFrom(fn, from)
          last = from
        }
        const here = call
        tracer.context = here.context
        if (tracer.on) tracer.sink?.enter(here, a, b, c, d, e, f)
        clock.now += here.before
        const r = body(a, b, c, d, e, f, g, h, i, j)
        clock.now += here.after
        if (tracer.on) tracer.sink?.exit(here, r)
        tracer.context = from
        return r
      }
  }
}
