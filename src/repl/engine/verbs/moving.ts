import { globs } from '../../../formats/detail.ts'
import type { Kfn } from '../../../trace/tracer.ts'
import { type Debugger, UserError } from '../debugger.ts'
import { ENTER, EXIT } from '../recording.ts'
import { frameText, retText } from '../where.ts'
import type { Verb } from './verb.ts'

/** how often: a number from 1, 1 when there is none */
function times(rest: string, verb: string): number {
  if (rest === '') return 1
  const n = /^\d+$/.test(rest) ? Number(rest) : 0
  if (n < 1) throw new UserError(`${verb} wants a number of times, not '${rest}'`)
  return n
}

/** there has to be a run to move in */
function needsRun(d: Debugger): void {
  if (d.session.length === 0) throw new UserError("nothing has run yet: try 'send 4096'")
}

/** what was said so far, without the places on the way */
function passOver(d: Debugger): void {
  for (const b of d.taken()) if (b.kind !== 'stop') d.say(b.kind, b.text)
}

/** moves `n` times, or until something else stops it; what is said of the places on the way is left out */
function repeat(d: Debugger, n: number, move: () => boolean): void {
  needsRun(d)
  for (let i = 0; i < n; i++) {
    if (i > 0) passOver(d)
    if (!move()) return
  }
}

function forwards(d: Debugger, to: (from: number) => number): () => boolean {
  return () => {
    if (d.cursor >= d.session.length) {
      d.say('stop', 'The session ends here. What comes next is up to you: a system call, send 4096, wait 100 …')
      return false
    }
    const target = to(d.cursor)
    return d.forward(target < 0 ? d.session.length : target) && d.cursor < d.session.length
  }
}

const backwards =
  (d: Debugger, to: (from: number) => number): (() => boolean) =>
  () =>
    d.backward(to(d.cursor))

/** a function's next entry, by name or glob */
function entryOf(d: Debugger, pattern: string, from: number): number {
  const r = d.session.recording
  const wanted = globs([pattern])
  const known = new Map<Kfn, boolean>()
  for (let i = from + 1; i < r.length; i++) {
    if (r.kind(i) !== ENTER) continue
    const fn = r.call(i)?.fn
    if (fn === undefined) continue
    let yes = known.get(fn)
    if (yes === undefined) {
      yes = wanted?.(fn.name) ?? false
      known.set(fn, yes)
    }
    if (yes) return i
  }
  return -1
}

function finish(d: Debugger): void {
  needsRun(d)
  const entry = d.stack()[d.frame]
  // the frame that is chosen is the one that is finished
  const from = d.frame === 0 ? d.cursor : (entry ?? d.cursor)
  const target = d.walk.finish(from)
  const r = d.session.recording
  const over = target >= 0 && target < r.length && r.kind(target) === EXIT ? r.link.get(target) : -1
  if (over >= 0) d.say('text', `Run till exit from ${frameText(r, over)}`)
  if (!d.forward(target < 0 ? d.session.length : target) || over < 0) return
  const ret = retText(r, target)
  if (ret === '') return
  const value = r.pool.get(r.aux.get(target))
  d.printed.push({ value, text: ret })
  d.say('value', `Value returned is $${d.printed.length} = ${ret}`)
}

function goto(d: Debugger, rest: string): void {
  needsRun(d)
  const n = rest === 'start' || rest === 'begin' ? 0 : rest === 'end' ? d.session.length : /^\d+$/.test(rest) ? Number(rest) : -1
  if (n < 0 || n > d.session.length) throw new UserError(`goto wants an event from 0 to ${d.session.length}, start or end`)
  d.jump(n)
}

export const moving: readonly Verb[] = [
  {
    names: ['run', 'r'],
    usage: 'run',
    summary: 'goes back to the beginning of the session, and on to the first breakpoint',
    examples: ['break tcp_write_xmit', 'run'],
    group: 'moving',
    run: (d) => {
      needsRun(d)
      d.cursor = 0
      if (d.hitAfter(-1, 0) === 0) d.sayStop(0)
      else d.forward(d.session.length)
    },
  },
  {
    names: ['continue', 'c', 'fg'],
    usage: 'continue [N]',
    summary: 'goes on to the next breakpoint, or to the end; N passes N - 1 breakpoints over',
    examples: ['continue', 'c 3'],
    repeats: true,
    group: 'moving',
    run: (d, rest) => {
      const n = times(rest, 'continue')
      needsRun(d)
      for (let i = 0; i < n; i++) {
        if (i > 0) passOver(d)
        if (forwards(d, () => d.session.length)() || d.cursor >= d.session.length) return
      }
    },
  },
  {
    names: ['step', 's'],
    usage: 'step [N]',
    summary: 'goes to the next function that is called',
    more: "What counts is what is shown: 'set detail full' steps into locks and memory as well, 'set view ftrace' passes over what was inlined.",
    examples: ['step', 's 5'],
    repeats: true,
    group: 'moving',
    run: (d, rest) =>
      repeat(
        d,
        times(rest, 'step'),
        forwards(d, (e) => d.walk.step(e)),
      ),
  },
  {
    names: ['next', 'n'],
    usage: 'next [N]',
    summary: 'goes to the next function that is called when this one is over',
    examples: ['next'],
    repeats: true,
    group: 'moving',
    run: (d, rest) =>
      repeat(
        d,
        times(rest, 'next'),
        forwards(d, (e) => d.walk.next(e)),
      ),
  },
  {
    names: ['stepi', 'si'],
    usage: 'stepi [N]',
    summary: 'goes to the next event, whatever it is: an exit, a copy, a decision, a frame',
    examples: ['si', 'si 10'],
    repeats: true,
    group: 'moving',
    run: (d, rest) =>
      repeat(
        d,
        times(rest, 'stepi'),
        forwards(d, (e) => e + 1),
      ),
  },
  {
    names: ['finish', 'fin'],
    usage: 'finish',
    summary: 'goes to where the function returns, and says what',
    examples: ['finish', 'up', 'finish'],
    repeats: true,
    group: 'moving',
    run: finish,
  },
  {
    names: ['until', 'u'],
    usage: 'until [FUNCTION]',
    summary: 'like next, but passes over further calls of the same function; with a name, goes to where that is called',
    examples: ['until', 'until dev_hard_start_xmit'],
    repeats: true,
    takes: 'function',
    group: 'moving',
    run: (d, rest) =>
      rest === ''
        ? repeat(
            d,
            1,
            forwards(d, (e) => d.walk.next(e, true)),
          )
        : advance(d, rest),
  },
  {
    names: ['advance', 'adv'],
    usage: 'advance FUNCTION',
    summary: 'goes to where a function is called next',
    examples: ['advance loopback_xmit', "advance '*_rcv'"],
    takes: 'function',
    group: 'moving',
    run: advance,
  },
  {
    names: ['reverse-step', 'rs', 'back'],
    usage: 'reverse-step [N]',
    summary: 'goes back to the function that was called before',
    examples: ['reverse-step', 'rs 3'],
    repeats: true,
    group: 'moving',
    run: (d, rest) =>
      repeat(
        d,
        times(rest, 'reverse-step'),
        backwards(d, (e) => d.walk.reverseStep(e)),
      ),
  },
  {
    names: ['reverse-next', 'rn'],
    usage: 'reverse-next [N]',
    summary: 'goes back to the function that was called before, over all that it called itself',
    examples: ['reverse-next'],
    repeats: true,
    group: 'moving',
    run: (d, rest) =>
      repeat(
        d,
        times(rest, 'reverse-next'),
        backwards(d, (e) => d.walk.reverseNext(e)),
      ),
  },
  {
    names: ['reverse-stepi', 'rsi'],
    usage: 'reverse-stepi [N]',
    summary: 'goes back one event',
    examples: ['rsi'],
    repeats: true,
    group: 'moving',
    run: (d, rest) =>
      repeat(
        d,
        times(rest, 'reverse-stepi'),
        backwards(d, (e) => e - 1),
      ),
  },
  {
    names: ['reverse-continue', 'rc'],
    usage: 'reverse-continue [N]',
    summary: 'goes back to the breakpoint before, or to the beginning',
    examples: ['watch tp.snd_cwnd', 'rc'],
    repeats: true,
    group: 'moving',
    run: (d, rest) => {
      needsRun(d)
      const n = times(rest, 'reverse-continue')
      for (let i = 0; i < n; i++) {
        if (i > 0) passOver(d)
        d.backward(-1)
        if (d.cursor === 0) return
      }
    },
  },
  {
    names: ['reverse-finish', 'rf'],
    usage: 'reverse-finish',
    summary: 'goes back to where the function was called; from there, to where its caller was',
    examples: ['reverse-finish'],
    repeats: true,
    group: 'moving',
    run: (d) =>
      repeat(
        d,
        1,
        backwards(d, (e) => d.walk.reverseFinish(e)),
      ),
  },
  {
    names: ['goto', 'go'],
    usage: 'goto EVENT|start|end',
    summary: 'goes to an event by its number; breakpoints on the way do not count',
    examples: ['goto 812', 'goto start', 'goto end'],
    takes: ['start', 'end'],
    group: 'moving',
    run: goto,
  },
]

function advance(d: Debugger, rest: string): void {
  if (rest === '') throw new UserError('advance wants a function')
  needsRun(d)
  const at = entryOf(d, rest.replace(/^'(.*)'$/, '$1'), d.cursor)
  if (at < 0) throw new UserError(`'${rest}' is not called any more behind event ${d.cursor}`)
  d.forward(at)
}
