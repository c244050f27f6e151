import { AFTERMATH } from '../../host/host.ts'
import { current, set_current } from '../../kernel/kernel/sched/core.ts'
import { wantsIpv6 } from '../../script/ipv6.ts'
import { parseLine, ScenarioError, type Statement } from '../../script/scenario.ts'
import { clock } from '../../sim/clock.ts'
import { listen, tracer } from '../../trace/tracer.ts'
import { type Debugger, UserError } from './debugger.ts'
import type { Machine } from './machine.ts'
import { CONTEXT, COPY, DROP, ENTER, EXIT, FRAME, FREE, LINE, Recording } from './recording.ts'
import { wrapWords } from './text.ts'
import type { Watcher } from './watcher.ts'
import { argsText, executionText, noteText, retText } from './where.ts'

/** What a part of a run came to, in numbers. */
interface Sum {
  functions: Map<string, number>
  calls: number
  copied: number
  drops: number
  /** by device and direction: frames and bytes */
  frames: Map<string, { count: number; bytes: number }>
  ns: number
}

function sum(r: Recording, machinery: boolean, start: number): Sum {
  const s: Sum = { functions: new Map(), calls: 0, copied: 0, drops: 0, frames: new Map(), ns: 0 }
  for (let i = 0; i < r.length; i++) {
    switch (r.kind(i)) {
      case ENTER: {
        s.calls++
        if (!machinery && r.hidden(i)) break
        const name = r.call(i)?.fn.name ?? '?'
        s.functions.set(name, (s.functions.get(name) ?? 0) + 1)
        break
      }
      case COPY:
        s.copied += r.aux.get(i)
        break
      case DROP:
        s.drops++
        break
      case FRAME: {
        const key = r.pool.text(r.ref.get(i))
        const f = s.frames.get(key) ?? { count: 0, bytes: 0 }
        s.frames.set(key, { count: f.count + 1, bytes: f.bytes + r.aux.get(i) })
      }
    }
  }
  if (r.length > 0) s.ns = (r.time.get(r.length - 1) - start) / r.perNs
  return s
}

/** whether two events are the same, the values of arguments and results apart */
function alike(a: Recording, i: number, b: Recording, j: number): boolean {
  const kind = a.kind(i)
  if (kind !== b.kind(j)) return false
  if (kind === LINE) return true
  if (kind === ENTER || kind === EXIT) return a.call(i) === b.call(j)
  if (kind === CONTEXT) return executionText(a, i) === executionText(b, j)
  // which buffer it is may differ by what happened before
  if (kind === FREE) return true
  if (kind === FRAME && a.link.get(i) !== b.link.get(j)) return false
  if (kind === COPY || kind === FRAME)
    return a.aux.get(i) === b.aux.get(j) && a.pool.get(a.ref.get(i)) === b.pool.get(b.ref.get(j))
  return a.pool.get(a.ref.get(i)) === b.pool.get(b.ref.get(j))
}

function eventText(r: Recording, i: number): string {
  if (i >= r.length) return 'nothing more happens'
  const kind = r.kind(i)
  if (kind === LINE) return 'the next line begins'
  const name = r.call(i)?.fn.name ?? '?'
  if (kind === ENTER) return `${name}(${argsText(r, i)})`
  if (kind === EXIT) {
    const ret = retText(r, i)
    return `${name} returns${ret === '' ? '' : ` ${ret}`}`
  }
  const n = noteText(r, i)
  return `${n.name}: ${n.text}`
}

/**
 * Does a statement in the middle of an event, at once: no time passes for it. A command of the host is the configuration changing by
 * itself; a system call has to wait for the line to begin, since the process is in one already.
 */
function apply(s: Statement, machine: Machine, depth: number, line: boolean): string {
  if (s.kind === 'call') {
    if (!line)
      throw new UserError(
        'a system call cannot begin inside another: go to the beginning of a line (goto, reverse-finish), or change a setting (ip, tc, ethtool, nft, sysctl)',
      )
    return machine.runner.step(s)
  }
  const command = machine.command(s.name)
  const { context, execution } = tracer
  const task = current
  const { now } = clock
  const { status, stdout, stderr } = command(machine.host, s.words, '')
  tracer.context = context
  tracer.execution = execution
  set_current(task)
  clock.now = now
  if (status !== 0) throw new UserError(stderr.trim() || `${s.name} failed (depth ${depth})`)
  return stdout
}

/** `whatif ethtool -K eth0 tso off`: what would be different behind the cursor */
export async function whatif(d: Debugger, text: string): Promise<void> {
  const { session } = d
  if (d.readOnly) throw new UserError('this is a recorded trace: there is no other future')
  if (text === '') throw new UserError('whatif wants a line, such as whatif ethtool -K eth0 tso off')
  let statement: Statement | null
  try {
    statement = parseLine(text, 1)
  } catch (e) {
    throw e instanceof ScenarioError ? new UserError(`whatif wants a command of the host or a system call: ${e.message}`) : e
  }
  if (statement === null) throw new UserError('whatif wants a line, such as whatif ethtool -K eth0 tso off')
  if (d.cursor >= session.length)
    throw new UserError('the cursor is at the end: there is no future yet that could be different (goto N, reverse-continue)')
  if (wantsIpv6([statement]) && session.needs.ipv6 === null)
    throw new UserError('this host has no IPv6: it is there from boot when a line of the session asks for it')
  await session.prepare({ text, statement })
  const chosen = statement
  const { cursor } = d
  const isLine = session.recording.kind(cursor) === LINE
  const as = future(d, null)
  const other = future(d, (w, machine) => apply(chosen, machine, w.depth, isLine))
  if (other.failed !== '' && other.recording.length === 0) throw new UserError(other.failed)
  report(d, text, as.recording, other.recording, other.failed)
}

/** all that happens behind the cursor, to the end of the session and until what is on the way then has arrived */
function future(d: Debugger, change: ((w: Watcher, machine: Machine) => void) | null): { recording: Recording; failed: string } {
  const recording = new Recording()
  let watcher: Watcher | null = null
  try {
    const { machine } = d.session.detour(
      d.cursor,
      (_scope, w, machine) => {
        change?.(w, machine)
        recording.perNs = clock.perNs
        w.recording = recording
        w.rebase()
        watcher = w
      },
      true,
    )
    listen(watcher)
    machine.host.sleep(AFTERMATH)
  } catch (e) {
    if (!(e instanceof ScenarioError)) throw e
    return { recording, failed: e.message }
  } finally {
    listen(null)
    d.session.abandon()
  }
  return { recording, failed: '' }
}

function report(d: Debugger, text: string, a: Recording, b: Recording, failed: string): void {
  const machinery = d.shown.detail === 'full'
  const start = d.session.recording.time.get(d.cursor)
  const before = sum(a, machinery, start)
  const after = sum(b, machinery, start)
  let same = 0
  while (same < a.length && same < b.length && alike(a, same, b, same)) same++
  const heading = `what if '${text}' at event ${d.cursor}, to ${AFTERMATH} ms behind the end of the session:`
  const out = [wrapWords(heading, d.width, 2)]
  if (same === a.length && same === b.length && failed === '') {
    out.push(
      `  no difference: the same ${same} events follow${before.ns.toFixed(3) === after.ns.toFixed(3) ? '' : ', at other times'}.`,
    )
    d.say('text', out.join('\n'))
    return
  }
  const row = (name: string, x: string, y: string): string =>
    `  ${name.padEnd(28)}${x.padStart(12)}${y.padStart(12)}${x === y ? '' : '  *'}`
  out.push(`  ${''.padEnd(28)}${'as it was'.padStart(12)}${'what if'.padStart(12)}`)
  out.push(row('functions called', String(before.calls), String(after.calls)))
  out.push(row('bytes copied', String(before.copied), String(after.copied)))
  for (const key of [...new Set([...before.frames.keys(), ...after.frames.keys()])].sort()) {
    const [x, y] = [before.frames.get(key), after.frames.get(key)]
    out.push(row(`frames, ${key}`, String(x?.count ?? 0), String(y?.count ?? 0)))
    out.push(row(`bytes, ${key}`, String(x?.bytes ?? 0), String(y?.bytes ?? 0)))
  }
  if (before.drops > 0 || after.drops > 0) out.push(row('buffers dropped', String(before.drops), String(after.drops)))
  out.push(row('microseconds', (before.ns / 1000).toFixed(3), (after.ns / 1000).toFixed(3)))
  if (failed !== '') out.push(`  and then the other one fails: ${failed}`)
  const at = same
  const frame = at < a.length ? a.frameOf(at) : -1
  const around = frame < 0 ? '' : ` in ${a.call(a.kind(at) === ENTER ? Math.max(0, a.parent.get(frame)) : frame)?.fn.name ?? '?'}`
  out.push(`  the first ${same} events are the same; then${around}:`)
  out.push(wrapWords(`    as it was: ${eventText(a, at)}`, d.width, 6))
  out.push(wrapWords(`    what if:   ${eventText(b, same)}`, d.width, 6))
  if (at < a.length && same < b.length && a.kind(at) === FRAME && eventText(a, at) === eventText(b, same))
    out.push('    (the same frame, with other bytes in its headers)')
  const names = [...new Set([...before.functions.keys(), ...after.functions.keys()])]
  const list = (heading: string, items: readonly string[]): void => {
    if (items.length === 0) return
    const most = 20
    const more = items.length > most ? `, and ${items.length - most} more` : ''
    out.push(wrapWords(`  ${heading}: ${items.slice(0, most).join(', ')}${more}`, d.width, 4))
  }
  const times = (n: string, m: Map<string, number>): string => (m.get(n) === 1 ? n : `${n} (${m.get(n)})`)
  list(
    'only what if',
    names.filter((n) => !before.functions.has(n)).map((n) => times(n, after.functions)),
  )
  list(
    'only as it was',
    names.filter((n) => !after.functions.has(n)).map((n) => times(n, before.functions)),
  )
  list(
    'more or less often',
    names
      .filter((n) => before.functions.has(n) && after.functions.has(n) && before.functions.get(n) !== after.functions.get(n))
      .map((n) => `${n} ${before.functions.get(n)} -> ${after.functions.get(n)}`),
  )
  d.say('text', out.join('\n'))
}
