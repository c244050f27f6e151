import { globs } from '../../../formats/detail.ts'
import { declaredFunctions } from '../../../trace/kfunc.ts'
import { Breakpoint, eventWords } from '../breakpoints.ts'
import { type Debugger, UserError } from '../debugger.ts'
import type { Verb } from './verb.ts'

/** `tcp_* if skb.len > 1448` to its two parts */
function splitIf(text: string): { spec: string; condition: string } {
  const m = /^(.*?)\s*\bif\b\s*(.*)$/.exec(text)
  if (m !== null && m[2] === '') throw new UserError(`a condition is missing after 'if', such as ${m[1]} if skb.len > 1448`)
  return m === null ? { spec: text.trim(), condition: '' } : { spec: (m[1] ?? '').trim(), condition: (m[2] ?? '').trim() }
}

function checkFunction(spec: string): void {
  if (/:\d+$/.test(spec))
    throw new UserError(`'${spec}': a breakpoint is at a function, not at a line (info functions GLOB lists them)`)
  if (!/^[\w.*?[\]!^-]+$/.test(spec))
    throw new UserError(`'${spec}' is no function, no glob, and none of ${Object.keys(eventWords).join(', ')}`)
  const test = globs([spec])
  const some = declaredFunctions().some((f) => test?.(f.name) ?? false)
  if (!some) throw new UserError(`no simulated function is named ${spec}${nearest(spec)}`)
}

/** how many letters have to change, at most `most` + 1 */
function distance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + same))
    }
    row = next
  }
  return row[b.length] ?? most + 1
}

/** functions that a name may have meant */
function nearest(spec: string): string {
  const part = spec.replace(/[*?[\]^!]/g, '')
  if (part.length < 3) return ''
  const names = [...new Set(declaredFunctions().map((f) => f.name))]
  const close = names.filter((n) => distance(n, part, 2) <= 2)
  const list = (close.length > 0 ? close : names.filter((n) => n.includes(part))).slice(0, 3)
  return list.length === 0 ? '' : ` (there ${list.length === 1 ? 'is' : 'are'} ${list.join(', ')})`
}

function makeBreak(d: Debugger, rest: string, temporary: boolean): void {
  const { spec, condition } = splitIf(rest)
  const plain = spec.replace(/^'(.*)'$/, '$1')
  const at = plain === '' ? d.session.recording.call(d.entry)?.fn.name : plain
  if (at === undefined) throw new UserError('break wants a function, such as break tcp_write_xmit: the cursor is in none')
  if (!Object.hasOwn(eventWords, at)) checkFunction(at)
  const b = new Breakpoint(d.nextId('breakpoint'), at, null, temporary)
  if (condition !== '') {
    b.condition = d.expression(condition)
    d.retrack(b)
  }
  d.breakpoints.push(b)
  const count = /[*?[]/.test(at) ? functionsOf(at) : 0
  d.say(
    'text',
    `${temporary ? 'Temporary breakpoint' : 'Breakpoint'} ${b.id}: ${describe(b)}${count > 0 ? ` (${count} functions)` : ''}`,
  )
  const problem = d.problemOf(b)
  if (problem !== '') d.say('text', `  it has not held yet, and where it was asked: ${problem}`)
}

const functionsOf = (spec: string): number => {
  const test = globs([spec])
  return new Set(
    declaredFunctions()
      .map((f) => f.name)
      .filter((n) => test?.(n)),
  ).size
}

/** a breakpoint in words */
export const describe = (b: Breakpoint): string =>
  `${b.spec}${Object.hasOwn(eventWords, b.spec) && b.watch === null ? ` (${eventWords[b.spec]?.hint})` : ''}${b.condition === null ? '' : ` if ${b.condition.text}`}`

function watch(d: Debugger, rest: string): void {
  const { spec, condition } = splitIf(rest)
  if (spec === '') throw new UserError('watch wants an expression, such as watch tp.snd_cwnd')
  if (condition !== '') throw new UserError('a watchpoint takes no condition: break FUNCTION if CONDITION does')
  const expr = d.expression(spec)
  const b = new Breakpoint(d.nextId('breakpoint'), expr.text, expr, false)
  d.retrack(b)
  d.breakpoints.push(b)
  const n = b.track?.hits.length ?? 0
  d.say('text', `Watchpoint ${b.id}: ${b.spec}${d.session.length === 0 ? '' : ` (it changes ${n} times in what has run)`}`)
}

/** the breakpoints that are named by number, all when none is */
function chosen(d: Debugger, rest: string, verb: string): Breakpoint[] {
  if (rest === '') return [...d.breakpoints]
  return rest.split(/[\s,]+/).map((w) => byNumber(d, w, verb))
}

function byNumber(d: Debugger, word: string | undefined, verb: string): Breakpoint {
  const b = d.breakpoints.find((x) => String(x.id) === word)
  if (b !== undefined) return b
  if (word === undefined || !/^\d+$/.test(word))
    throw new UserError(`${verb} wants the number of a breakpoint, not '${word ?? ''}' (info break lists them)`)
  throw new UserError(`there is no breakpoint ${word} (info break lists them)`)
}

export const stopping: readonly Verb[] = [
  {
    names: ['break', 'b', 'br'],
    usage: 'break FUNCTION|GLOB|drop|copy|frame|decision [if CONDITION]',
    summary: 'stops where a function is called, or something happens',
    more: "Without an argument: the function that the cursor is in. A condition is an expression, see 'help print'.",
    examples: ['break tcp_write_xmit', 'break tcp_* if skb.len > 1448', 'break drop', 'break copy'],
    takes: 'function',
    group: 'stopping',
    run: (d, rest) => makeBreak(d, rest, false),
  },
  {
    names: ['tbreak', 'tb'],
    usage: 'tbreak FUNCTION|GLOB|drop|copy|frame|decision [if CONDITION]',
    summary: 'the same, once',
    examples: ['tbreak ip_rcv'],
    takes: 'function',
    group: 'stopping',
    run: (d, rest) => makeBreak(d, rest, true),
  },
  {
    names: ['watch', 'wa'],
    usage: 'watch EXPRESSION',
    summary: 'stops where the value of an expression changes',
    more: "A value belongs to the objects that it is of: that another buffer has another length is no change of 'skb.len'.",
    examples: ['watch skb.data', 'watch tp.snd_cwnd', 'watch sk.sk_wmem_queued'],
    takes: 'expression',
    group: 'stopping',
    run: watch,
  },
  {
    names: ['delete', 'd', 'del'],
    usage: 'delete [N ...]',
    summary: 'removes breakpoints, all when none is named',
    examples: ['delete 1', 'delete'],
    group: 'stopping',
    run: (d, rest) => {
      const list = chosen(d, rest, 'delete')
      for (const b of list) d.remove(b)
      if (rest === '' && list.length > 0) d.say('text', `${list.length} removed`)
    },
  },
  {
    names: ['disable', 'dis'],
    usage: 'disable [N ...]',
    summary: 'passes breakpoints over until they are enabled again',
    examples: ['disable 2'],
    group: 'stopping',
    run: (d, rest) => {
      for (const b of chosen(d, rest, 'disable')) b.enabled = false
    },
  },
  {
    names: ['enable', 'en'],
    usage: 'enable [N ...]',
    summary: 'stops at breakpoints again',
    examples: ['enable 2'],
    group: 'stopping',
    run: (d, rest) => {
      for (const b of chosen(d, rest, 'enable')) b.enabled = true
    },
  },
  {
    names: ['condition', 'cond'],
    usage: 'condition N [EXPRESSION]',
    summary: 'gives a breakpoint a condition, or takes it away',
    examples: ['condition 1 skb.len > 1448', 'condition 1'],
    takes: 'expression',
    group: 'stopping',
    run: (d, rest) => {
      const m = /^(\S+)\s*(.*)$/.exec(rest)
      const b = byNumber(d, m?.[1], 'condition')
      if (b.watch !== null) throw new UserError(`${b.id} is a watchpoint, and takes no condition`)
      const before = b.condition
      b.condition = (m?.[2] ?? '') === '' ? null : d.expression(m?.[2] ?? '')
      try {
        d.retrack(b)
      } catch (e) {
        b.condition = before
        throw e
      }
      d.say('text', `Breakpoint ${b.id}: ${describe(b)}`)
    },
  },
  {
    names: ['ignore', 'ign'],
    usage: 'ignore N COUNT',
    summary: 'passes a breakpoint over the next COUNT times',
    examples: ['ignore 1 10'],
    group: 'stopping',
    run: (d, rest) => {
      const [number, count] = rest.split(/\s+/)
      const b = byNumber(d, number, 'ignore')
      if (count === undefined || !/^\d+$/.test(count))
        throw new UserError('ignore wants a breakpoint and a number of times, such as ignore 1 10')
      b.ignore = Number(count)
      d.say('text', `Breakpoint ${b.id} is passed over ${count} times.`)
    },
  },
]
