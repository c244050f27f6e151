import { edgesOf } from '../../trace/facts.ts'
import { declaredFunctions } from '../../trace/kfunc.ts'
import type { Kfn } from '../../trace/tracer.ts'
import type { Debugger } from './debugger.ts'
import { wrapValue } from './print.ts'
import { ENTER } from './recording.ts'

/** What is known of a function of the kernel: from the facts of its build, and from what has run. */

/** functions whose compiled code has a call of `name`, or an inlined copy */
function callersOf(name: string): { calls: string[]; inlines: string[] } {
  const calls = new Set<string>()
  const inlines = new Set<string>()
  for (const f of declaredFunctions()) {
    const text = f.symbol.calls
    // most rows do not have it at all: looking through the text is cheap, taking it apart is not
    if (!text.includes(`;${name}|`) && !text.includes(`>${name}|`)) continue
    for (const [path, edge] of edgesOf(f.symbol)) {
      const steps = path.split('>')
      if (steps.at(-1) !== name) continue
      const by = steps.at(-2) ?? f.name
      if (edge.inlined.length > 0) inlines.add(by)
      if (edge.called.length > 0) calls.add(by)
    }
  }
  return { calls: [...calls].sort(), inlines: [...inlines].sort() }
}

/** what it calls itself, in the order of the lines */
function callees(fn: Kfn): string[] {
  const found: { line: number; text: string }[] = []
  for (const [path, edge] of edgesOf(fn.symbol)) {
    if (path.includes('>')) continue
    const inlined = edge.called.length === 0
    const line = (inlined ? edge.inlined[0] : edge.called[0]) ?? 0
    found.push({ line, text: `${inlined ? '~' : ''}${path}` })
  }
  return found.sort((a, b) => a.line - b.line || (a.text < b.text ? -1 : 1)).map((f) => f.text)
}

function some(names: readonly string[], most = 40): string {
  return names.length > most ? `${names.slice(0, most).join(', ')} and ${names.length - most} more` : names.join(', ')
}

/** a function in words, some lines of text */
export function functionText(d: Debugger, fn: Kfn): string {
  const { symbol: s } = fn
  const lines = [`${s.file === '' ? 'Linux 6.12.117' : `${s.file}:${s.line}`}`]
  lines.push(
    `  ${s.kind === 'static' ? 'static ' : ''}${s.returns}${s.returns.endsWith('*') ? '' : ' '}${s.name}(${s.params.length === 0 ? 'void' : s.params.join(', ')})`,
  )
  const traced =
    s.kind === 'inline-only'
      ? 'always inlined: no frame of its own'
      : s.ftrace
        ? 'a frame of its own where it is called'
        : 'without a tracing site: ftrace does not see it'
  lines.push(`  ${traced}${s.cost > 0 ? `; ${s.cost} instructions of its own` : ''}`)
  const out = callees(fn)
  if (out.length > 0) lines.push(`  calls (~ inlined): ${some(out)}`)
  const { calls, inlines } = callersOf(fn.name)
  if (calls.length > 0) lines.push(`  called by: ${some(calls, 20)}`)
  if (inlines.length > 0) lines.push(`  inlined in: ${some(inlines, 20)}`)
  const { count, by } = seen(d, fn)
  if (d.session.length > 0)
    lines.push(
      count === 0
        ? '  in this session: not called'
        : `  in this session: called ${count === 1 ? 'once' : `${count} times`}, by ${some(by, 10)}`,
    )
  return lines.map((l) => wrapValue(l, Math.max(40, d.width)).replace(/\n {2}/g, '\n    ')).join('\n')
}

/** how often it was called in what has run, and by whom */
function seen(d: Debugger, fn: Kfn): { count: number; by: string[] } {
  const r = d.session.recording
  const its = r.calls.map((c) => c.fn === fn)
  const by = new Map<string, number>()
  let count = 0
  for (let i = 0; i < r.length; i++) {
    if (r.kind(i) !== ENTER || its[r.ref.get(i)] !== true) continue
    count++
    const parent = r.parent.get(i)
    const name = parent < 0 ? 'the processor' : (r.call(parent)?.fn.name ?? '?')
    by.set(name, (by.get(name) ?? 0) + 1)
  }
  return { count, by: [...by].sort((a, b) => b[1] - a[1]).map(([name, n]) => (n === 1 ? name : `${name} (${n})`)) }
}
