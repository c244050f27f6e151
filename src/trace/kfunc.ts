import { clock } from '../sim/clock.ts'
import { lookupSymbol } from './facts.ts'
import { type Call, Context, type Kfn, resolveCall, tracer } from './tracer.ts'

const declared: Kfn[] = []
const byFunction = new WeakMap<object, Kfn>()

/** skbtrace itself is broken: never the user's fault. */
export class InternalError extends Error {}

function declare(name: string): Kfn {
  const symbol = lookupSymbol(name)
  if (symbol === undefined)
    throw new InternalError(`kfunc('${name}'): not a function of Linux 6.12.117, or "npm run facts" has not run since it was declared`)
  const fn: { -readonly [K in keyof Kfn]: Kfn[K] } = {
    id: declared.length,
    name,
    symbol,
    root: new Context(null, []),
    skbArg: symbol.params.findIndex((p) => /^struct sk_buff \*\s*\w+$/.test(p)),
  }
  fn.root = new Context(fn, [])
  declared.push(fn)
  return fn
}

/** every kernel function that skbtrace simulates, in order of declaration */
export const declaredFunctions = (): readonly Kfn[] => declared

/** the kernel function behind a value that `kfunc` returned, for naming what a pointer holds */
export const kfnOf = (f: object): Kfn | undefined => byFunction.get(f)

/** the kernel's name of a function, or '0x0' for a null pointer */
export const nameOf = (f: object | null | undefined): string => (f ? (byFunction.get(f)?.name ?? '?') : '0x0')

type AnyFn<A extends unknown[], R> = (...args: A) => R

/**
 * Declares a function of the kernel. `body` has the kernel function's parameters in the kernel's order. What the function is
 * in the build that skbtrace is held against (file, inlined or not, cost) is looked up by `name`.
 *
 * One wrapper for each number of parameters: no rest arrays, and nothing is allocated by a call.
 * @throws InternalError when Linux 6.12.117 has no function of that name
 */
export function kfunc<A extends unknown[], R>(name: string, body: AnyFn<A, R>): AnyFn<A, R> {
  const f = wrap(declare(name), body as unknown as Body) as unknown as AnyFn<A, R>
  const fn = declared[declared.length - 1]
  if (fn !== undefined) byFunction.set(f, fn)
  return f
}

type Body = (a?: unknown, b?: unknown, c?: unknown, d?: unknown, e?: unknown, f?: unknown, g?: unknown, h?: unknown, i?: unknown, j?: unknown) => unknown

/** looks the call up, moves the clock, and makes it the context of what follows */
function begin(fn: Kfn, from: Context): Call {
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
          call = begin(fn, from)
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
          call = begin(fn, from)
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
          call = begin(fn, from)
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
          call = begin(fn, from)
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
          call = begin(fn, from)
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
          call = begin(fn, from)
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
