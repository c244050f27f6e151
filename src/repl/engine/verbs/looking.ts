import { hexdump } from '../../../formats/hexdump.ts'
import { declaredFunctions } from '../../../trace/kfunc.ts'
import { type Debugger, type Display, UserError } from '../debugger.ts'
import { Pointer } from '../evaluate.ts'
import { functionText } from '../functions.ts'
import { examine, formats, Kept, parseExamine, valueText, wrapValue } from '../print.ts'
import { isRealSkb } from '../structs.ts'
import { wrapFrame } from '../text.ts'
import { type Compiled, DisplayTrack } from '../tracks.ts'
import { skbView } from '../view.ts'
import { frameText } from '../where.ts'
import type { Verb } from './verb.ts'

function formatOf(slash: string, verb: string): string {
  if (slash === '' || (slash.length === 1 && formats.includes(slash))) return slash
  throw new UserError(`${verb}/${slash}: the formats are x (hexadecimal), d, u, o (octal), t (binary), c (character), s`)
}

function print(d: Debugger, rest: string, slash: string): void {
  const format = formatOf(slash, 'print')
  if (rest === '') {
    const last = d.printed.at(-1)
    if (last === undefined) throw new UserError('print wants an expression, such as skb.len or tp.snd_nxt')
    d.say('value', `$${d.printed.length} = ${last.text}`)
    return
  }
  const expr = d.expression(rest)
  const { value, text } = evaluated(d, expr, format)
  d.printed.push({ value, text })
  d.say('value', wrapValue(`$${d.printed.length} = ${text}`, d.width))
}

/** a value at the cursor, and what it prints as; of a struct only that is kept */
function evaluated(d: Debugger, expr: Compiled, format: string): { value: unknown; text: string } {
  return d.atCursor((scope) => {
    const v = expr.evaluate(scope)
    if (v === undefined) throw new UserError(scope.problem === '' ? `'${expr.text}' has no value here` : scope.problem)
    const text = valueText(v, format)
    const simple = v === null || (typeof v !== 'object' && typeof v !== 'function')
    return { value: simple ? v : v instanceof Kept ? v : new Kept(text), text }
  })
}

function examineMemory(d: Debugger, rest: string, slash: string): void {
  const last = d.examined
  const e = parseExamine(slash === '' ? (last?.slash ?? '') : slash)
  if (e === null)
    throw new UserError(`x/${slash}: a number, then x d u o t c or s, and b h w or g (1, 2, 4, 8 bytes): x/32xb skb.data`)
  if (rest === '' && last === null) throw new UserError('x wants an address: x/32xb skb.data')
  const expr = rest === '' ? (last?.expr ?? d.expression('skb.data')) : d.expression(rest)
  const offset = rest === '' ? (last?.offset ?? 0) : 0
  const { lines, error } = d.atCursor((scope) => {
    const v = expr.evaluate(scope)
    if (v === undefined) throw new UserError(scope.problem)
    const p =
      v instanceof Pointer
        ? v
        : v instanceof Uint8Array
          ? new Pointer(v, 0, expr.text)
          : isRealSkb(v)
            ? new Pointer(v.head.bytes, v.data, `skb ${v.id} head`)
            : null
    if (p === null) throw new UserError(`'${expr.text}' is no address: skb.data, skb.head + 14, an array of bytes`)
    return examine(new Pointer(p.bytes, p.at + offset, p.base), e)
  })
  d.examined = { expr, offset: offset + e.count * e.size, slash: slash === '' ? (last?.slash ?? '') : slash }
  if (lines.length > 0) d.say('value', lines.join('\n'))
  if (error !== '') throw new UserError(error)
}

function display(d: Debugger, rest: string, slash: string): void {
  const show = (x: Display): void => {
    const v = x.track.at(d.cursor)
    d.say('value', `${x.id}: ${x.expr.text} = ${v === '' ? '(no value here)' : v}`)
  }
  if (rest === '') {
    for (const x of d.displays) show(x)
    return
  }
  const format = formatOf(slash, 'display')
  const expr = d.expression(rest)
  const track = new DisplayTrack(expr, format, d.session.scopeOf)
  d.attach([track])
  const x = { id: d.nextId('display'), expr, format, track, enabled: true }
  d.displays.push(x)
  show(x)
}

function undisplay(d: Debugger, rest: string): void {
  const gone =
    rest === ''
      ? d.displays
      : rest.split(/[\s,]+/).map((w) => {
          const x = d.displays.find((y) => String(y.id) === w)
          if (x === undefined) throw new UserError(`there is no display ${w} (info display lists them)`)
          return x
        })
  for (const x of gone) d.session.tracks.delete(x.track)
  d.displays = d.displays.filter((x) => !gone.includes(x))
}

/** frames on the stack at the cursor, as lines */
function backtrace(d: Debugger, most = Number.POSITIVE_INFINITY): string[] {
  const r = d.session.recording
  const lines: string[] = []
  let execution = r.context.at(d.cursor)
  d.stack().forEach((entry, i) => {
    if (i >= most) return
    // the frame was running for somebody else: what is above came on top of it
    const then = r.context.at(entry)
    if (then !== execution) {
      const e = execution === undefined ? undefined : r.executions[execution]
      lines.push(`    <${e?.kind ?? 'idle'} on top of>`)
      execution = then
    }
    lines.push(wrapFrame(`#${i}${i < 10 ? ' ' : ''} ${frameText(r, entry)}`, d.width))
  })
  return lines
}

function select(d: Debugger, n: number): void {
  const depth = d.stack().length
  if (depth === 0) throw new UserError('no frame: the cursor is outside of all functions')
  if (n < 0) throw new UserError('this is the innermost frame already')
  if (n >= depth) throw new UserError(`this is the outermost frame already (there are ${depth})`)
  d.frame = n
  d.say('source', d.frameText())
}

function count(rest: string, verb: string, otherwise: number): number {
  if (rest === '') return otherwise
  if (!/^\d+$/.test(rest)) throw new UserError(`${verb} wants a number, not '${rest}'`)
  return Number(rest)
}

function list(d: Debugger, rest: string): void {
  const here = d.stack()[d.frame]
  const name = rest === '' ? (here === undefined ? undefined : d.session.recording.call(here)?.fn.name) : rest
  if (name === undefined) throw new UserError('list wants a function, such as list tcp_write_xmit: the cursor is in none')
  const fn = declaredFunctions().find((f) => f.name === name)
  if (fn === undefined) throw new UserError(`no simulated function is named ${name} (info functions GLOB lists them)`)
  d.say('source', functionText(d, fn))
}

/** the buffer at the cursor: what it is, and its bytes */
function dump(d: Debugger, rest: string): void {
  const most = count(rest, 'hexdump', 128)
  const v = skbView(d.session, d.cursor, d.previous)
  if (v === null) throw new UserError('no buffer here: the cursor is in no function that has one')
  const lines = [v.title, `  ${v.fields.map((f) => `${f.name} ${f.value}${f.was === null ? '' : ` (was ${f.was})`}`).join(', ')}`]
  const cells = v.cells.map((c) => `${c.name} ${c.length}`).join('|')
  lines.push(`  |${cells}|${v.frags.length === 0 ? '' : ` + frags ${v.frags.join(' ')}`}`)
  for (const l of v.layers)
    if (l.fields.length > 0) lines.push(`  ${l.protocol}: ${l.fields.map((f) => `${f.name} ${f.text}`).join(', ')}`)
  const n = Math.min(most, v.bytes.length)
  if (n > 0) lines.push(hexdump(v.bytes, 0, n).trimEnd())
  const left = Number(v.fields.find((f) => f.name === 'len')?.value ?? n) - n
  if (left > 0) lines.push(`... ${left} bytes more`)
  d.say('value', lines.map((l) => wrapValue(l, Math.max(40, d.width))).join('\n'))
}

function set(d: Debugger, rest: string): void {
  const m = /^(\$?\w+)\s*=?\s*(.*)$/.exec(rest)
  const [, what = '', value = ''] = m ?? []
  if (what.startsWith('$')) {
    if (!/^\$[A-Za-z_]\w*$/.test(what) || value === '')
      throw new UserError('set wants a name and a value, such as set $mss = tp.mss_cache')
    d.variables.set(what, evaluated(d, d.expression(value), '').value)
    return
  }
  switch (what) {
    case 'detail':
      if (value !== 'net' && value !== 'full')
        throw new UserError('set detail net (without locks, memory, timers) or set detail full')
      d.shown.detail = value
      return
    case 'view':
      if (value !== 'source' && value !== 'ftrace')
        throw new UserError('set view source (with what was inlined) or set view ftrace')
      d.shown.view = value
      return
    case 'width':
      d.width = Math.max(40, count(value, 'set width', 80))
      return
    case 'seed': {
      if (d.readOnly) throw new UserError('this is a recorded trace: it has its seed')
      const seed = count(value, 'set seed', 1)
      if (seed > 0xffffffff) throw new UserError('set seed wants a number up to 4294967295')
      d.session.reseed(seed)
      d.refresh()
      d.cursor = d.session.length
      d.toldAll()
      if (d.session.lines.length > 0) d.say('text', `The session was made again with seed ${seed}.`)
      return
    }
  }
  throw new UserError('set detail net|full, set view source|ftrace, set width N, set seed N, set $NAME = EXPRESSION')
}

export const looking: readonly Verb[] = [
  {
    names: ['print', 'p', 'inspect'],
    usage: 'print[/FORMAT] EXPRESSION',
    summary: 'the value of an expression at the cursor',
    more: `C's operators, fields by '.' or '->', '*p' for a whole struct, casts such as (u8), $1 and $ for values that were printed. Names:
arguments of the function, skb, sk, tp, icsk, dev, q, net, current; eth, iph, th, uh for headers; sock(c), file(c), dev(eth0);
variables of the session and constants. Outside of all functions, sk is the socket that connect made. Formats: x d u o t c s.
Nothing can be assigned: 'whatif' changes something, and shows what comes of it.`,
    examples: [
      'print skb.len',
      'p tp.snd_nxt - tp.snd_una',
      'p/x skb->protocol',
      'p *skb',
      'p th.seq',
      'p sock(c).sk_wmem_queued',
    ],
    takes: 'expression',
    group: 'looking',
    run: print,
  },
  {
    names: ['x'],
    usage: 'x/COUNT FORMAT SIZE ADDRESS',
    summary: 'bytes in memory: formats x d u o t c s; sizes b h w g (1, 2, 4, 8 bytes)',
    more: 'More than one byte reads in network order, as headers are. Without an address it goes on where it ended.',
    examples: ['x/32xb skb.data', 'x/10xh skb.head + skb.network_header', 'x/16cb skb.data'],
    repeats: true,
    takes: 'expression',
    group: 'looking',
    run: examineMemory,
  },
  {
    names: ['hexdump', 'hex'],
    usage: 'hexdump [BYTES]',
    summary: 'the buffer at the cursor: geometry, header fields, and its first bytes (128, at most 512), fragments as well',
    examples: ['hexdump', 'hexdump 512'],
    group: 'looking',
    run: dump,
  },
  {
    names: ['display', 'disp'],
    usage: 'display[/FORMAT] [EXPRESSION]',
    summary: 'shows the value of an expression at each stop; without one, all of them now',
    examples: ['display tp.snd_cwnd', 'display/x skb.protocol'],
    takes: 'expression',
    group: 'looking',
    run: display,
  },
  {
    names: ['undisplay', 'undisp'],
    usage: 'undisplay [N ...]',
    summary: 'does so no more; for all when none is named',
    examples: ['undisplay 1'],
    group: 'looking',
    run: undisplay,
  },
  {
    names: ['list', 'l'],
    usage: 'list [FUNCTION]',
    summary: 'what a function is: prototype, file and line, what it calls, what calls it, where it was inlined',
    examples: ['list', 'list tcp_write_xmit'],
    takes: 'function',
    group: 'looking',
    run: list,
  },
  {
    names: ['bt', 'backtrace', 'where'],
    usage: 'bt [N]',
    summary: 'the functions on the stack, innermost first',
    examples: ['bt', 'bt 3'],
    group: 'looking',
    run: (d, rest) => {
      const lines = backtrace(d, count(rest, 'bt', Number.POSITIVE_INFINITY))
      d.say('source', lines.length === 0 ? 'No stack: the cursor is outside of all functions.' : lines.join('\n'))
    },
  },
  {
    names: ['up'],
    usage: 'up [N]',
    summary: 'chooses the frame that called this one: print, list and finish are about it then',
    examples: ['up', 'up 2'],
    repeats: true,
    group: 'looking',
    run: (d, rest) => select(d, d.frame + count(rest, 'up', 1)),
  },
  {
    names: ['down', 'do'],
    usage: 'down [N]',
    summary: 'chooses the frame that this one called',
    examples: ['down'],
    repeats: true,
    group: 'looking',
    run: (d, rest) => select(d, d.frame - count(rest, 'down', 1)),
  },
  {
    names: ['frame', 'f'],
    usage: 'frame [N]',
    summary: 'chooses a frame by its number, or shows the one that is chosen',
    examples: ['frame', 'frame 2'],
    group: 'looking',
    run: (d, rest) => select(d, count(rest, 'frame', d.frame)),
  },
  {
    names: ['set'],
    usage: 'set detail net|full, view source|ftrace, width N, seed N, $NAME = EXPRESSION',
    summary: 'what is shown and stepped through, and values with a name',
    examples: ['set detail full', 'set view ftrace', 'set $before = tp.snd_cwnd'],
    takes: ['detail', 'view', 'width', 'seed'],
    group: 'looking',
    run: set,
  },
]
