import { type Call, type CallKind, type Execution, type TracedSkb, traceTime, type Value } from '../trace/tracer.ts'
import { isGlue, netTreatment } from './detail.ts'
import { drawGeometry } from './drawing/geometry.ts'
import { drawSequence } from './drawing/sequence.ts'
import { frameOf } from './drawing/state.ts'
import { drawingStyle } from './drawing/style.ts'
import { SkbWatch } from './drawing/watch.ts'
import { type Format, isSkb } from './format.ts'
import type { GraphOptions } from './graph_options.ts'
import { OnPath, Wanted } from './html/followers.ts'
import { page } from './html/page.ts'
import type { TraceRecord } from './html/records.ts'
import { body, pageStyle } from './html/shell.ts'
import type { Output } from './output.ts'
import { KINDS } from './shown_calls.ts'
import { argument, showArgs, showFields, showReturn } from './values.ts'

/** functions in one page, at most: a browser has to hold them all */
const MOST = 250_000

const kinds: readonly CallKind[] = ['call', 'inlined', 'notrace']

interface HtmlOptions {
  /** what made the trace: the command line */
  title: string
  /** which functions are in it; the page itself chooses detail and view */
  graph: GraphOptions
}

const json = (r: TraceRecord): string => JSON.stringify(r).replace(/</g, '\\u003c')

/**
 * One page that needs nothing else: the call tree, each buffer as it was at each function, the bytes and what they mean, the frames in
 * sequence, what was decided. Opened from a file, in any browser. Written as events arrive; the data stands as JSON between the page
 * and its script.
 */
export class Html implements Format {
  readonly #out: Output
  /** numbers of the functions in this page, from 1, by first appearance */
  readonly #numbers: number[] = []
  /** static functions of two files may share a name, and what is known of them */
  readonly #byName = new Map<string, number>()
  readonly #watch = new SkbWatch()
  /** what `path` shows */
  readonly #path: OnPath
  readonly #wanted: Wanted
  /** for each function on the stack: whether it is in the page */
  readonly #in: boolean[] = []
  #recording = false
  #root: string | null = null
  #first = true
  #events = 0
  #cut = false
  /** frames below the place where it was cut */
  #lost = 0
  #open = 0
  #via = ''

  constructor(out: Output, options: HtmlOptions) {
    this.#out = out
    this.#path = new OnPath(options.graph)
    this.#wanted = new Wanted(options.graph)
    const title = options.title.replace(/[<>&"]/g, (c) => `&#${c.charCodeAt(0)};`)
    out.write(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="generator" content="skbtrace">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>${title}</title>
<style>${drawingStyle}${pageStyle}</style>
</head>
<body>
${body(title)}
<script type="application/json" id="trace">[
`)
  }

  #put(r: TraceRecord): void {
    this.#out.write(this.#first ? json(r) : `,\n${json(r)}`)
    this.#first = false
  }

  begin(title: string, root: string | null): void {
    this.#path.begin(root)
    this.#wanted.begin(root)
    this.#in.length = 0
    this.#recording = true
    this.#root = root
    this.#open = 0
    this.#put(['call', title.replace(/^> /, ''), Math.floor(traceTime())])
  }

  end(result: string): void {
    this.#path.end()
    this.#wanted.end()
    const at = Math.floor(traceTime())
    for (; this.#open > 0; this.#open--) this.#put(['exit', at, '', 1])
    this.#put(['result', result, at])
    this.#recording = false
  }

  close(): void {
    this.#out.write(`\n]</script>
<script>(${page})(JSON.parse(document.getElementById('trace').textContent),${drawGeometry},${drawSequence})</script>
</body>
</html>
`)
  }

  #silent(): boolean {
    return !this.#recording || this.#cut || !(this.#in.at(-1) ?? this.#root === null)
  }

  enter(call: Call, a?: unknown, b?: unknown, c?: unknown, d?: unknown, e?: unknown, f?: unknown): void {
    if (!this.#recording) return
    const { fn } = call
    this.#path.enter(call, a, b, c, d, e, f)
    this.#wanted.hit = false
    this.#wanted.enter(call, a, b, c, d, e, f)
    this.#in.push(this.#wanted.hit)
    if (!this.#wanted.hit) return
    if (this.#lost > 0 || ++this.#events > MOST) {
      if (!this.#cut) this.#put(['cut', MOST])
      this.#cut = true
      this.#lost++
      return
    }
    const number = this.#numbers[fn.id] || this.#declare(call)
    const skb = argument(fn.skbArg, a, b, c, d, e, f)
    let id = 0
    if (isSkb(skb)) {
      id = skb.id
      this.#see(call, skb)
    }
    const via = this.#via.startsWith(`${fn.name} `) ? this.#via.slice(fn.name.length + 1) : ''
    this.#via = ''
    this.#put(['enter', number, KINDS[call.kind], call.line, Math.floor(traceTime()), id, showArgs(fn, a, b, c, d, e, f), via])
    this.#open++
  }

  #declare(call: Call): number {
    const { fn } = call
    while (this.#numbers.length <= fn.id) this.#numbers.push(0)
    const known = this.#byName.get(fn.name)
    const number = known ?? this.#byName.size + 1
    this.#numbers[fn.id] = number
    if (known !== undefined) return number
    this.#byName.set(fn.name, number)
    const { file, line, returns, params } = fn.symbol
    const net = kinds.map((k) => netTreatment(fn, k)) as unknown as [1, 1, 1]
    this.#put(['fn', number, fn.name, file, line, `${returns} ${fn.name}(${params.join(', ')})`, net])
    return number
  }

  #see(call: Call, skb: TracedSkb): void {
    const state = this.#watch.look(call.fn, skb)
    if (state !== null) this.#put(['skb', state])
  }

  exit(call: Call, ret: unknown): void {
    if (!this.#recording) return
    this.#path.hit = false
    this.#path.exit(call, ret)
    this.#wanted.exit(call, ret)
    if (this.#in.pop() !== true) return
    if (this.#lost > 0) {
      this.#lost--
      return
    }
    if (this.#open === 0) return
    if (isSkb(ret)) this.#see(call, ret)
    this.#open--
    this.#put([
      'exit',
      Math.floor(traceTime()),
      showReturn(call.fn, ret, false).slice(4),
      this.#path.hit && !isGlue(call.fn, call.kind) ? 1 : 0,
    ])
  }

  copy(bytes: number, from: string, to: string): void {
    this.#path.copy(bytes, from, to)
    if (!this.#silent()) this.#put(['note', 'copy', `${bytes} bytes, ${from} to ${to}`])
  }

  decision(where: string, what: string, numbers: Readonly<Record<string, Value>>): void {
    if (this.#silent()) return
    const n = showFields(numbers)
    this.#put(['note', 'decision', `${where}: ${what}${n === '' ? '' : ` (${n})`}`])
  }

  drop(skb: TracedSkb, reason: string, where: string): void {
    if (!this.#silent()) this.#put(['note', 'drop', `skb ${skb.id}: ${reason}${where === '' ? '' : ` in ${where}`}`])
  }

  tracepoint(system: string, name: string, fields: Readonly<Record<string, unknown>>): void {
    if (!this.#silent()) this.#put(['note', 'tracepoint', `${system}:${name} ${showFields(fields)}`])
  }

  indirect(pointer: string, target: string): void {
    this.#via = `${target} ${pointer}`
  }

  context(now: Execution, before: Execution): void {
    this.#path.context(now, before)
    this.#wanted.context(now, before)
    if (this.#silent()) return
    const who = now.kind === 'task' ? `${now.comm}-${now.pid}` : now.kind
    this.#put(['context', `${who}${now.netns === '' ? '' : ` in ${now.netns}`}`])
  }

  frame(device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb): void {
    if (!this.#cut) this.#put(['frame', frameOf(Math.floor(traceTime()), device, netns, direction, skb)])
  }

  free(skb: TracedSkb): void {
    this.#path.free(skb)
    this.#watch.forget(skb)
  }
}
