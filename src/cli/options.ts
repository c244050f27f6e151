import { type Command, InvalidArgumentError, Option } from 'commander'
import type { ContextKind, GraphOptions } from '../formats/graph_options.ts'
import { registry } from '../formats/registry.ts'
import { UsageError } from './errors.ts'
import { type Given, placeOptions } from './places.ts'

/** Options that every verb has which shows a trace, be it a saved one. */
export interface ShowOptions {
  /** what was given of --format and -o, in that order; the same list in both */
  format?: readonly Given[]
  output?: readonly Given[]
  view: 'source' | 'ftrace'
  detail: 'path' | 'net' | 'full'
  graphFunction: string[]
  notrace: string[]
  maxDepth: number
  funcgraphAbstime: boolean
  funcgraphCpu: boolean
  funcgraphProc: boolean
  funcgraphOverhead: boolean
  funcgraphDuration: boolean
  funcgraphIrqs: boolean
  funcgraphTail: boolean
  funcgraphRetval: boolean
  funcgraphRetvalHex: boolean
  funcgraphArgs: boolean
  places: boolean
  why: boolean
  context?: readonly ContextKind[]
  netns?: string
  fold: boolean
  hexdump: 'none' | 'wire' | 'layers' | 'full'
  color?: boolean
  pcap?: string
  pcapPoints: 'devices' | 'all'
  weight: 'instructions' | 'calls' | 'bytes'
  diagram?: 'sequence' | 'flow' | 'geometry' | 'headers'
  at: string
}

/** Options of the verbs that make a trace. */
export interface TraceOptions extends ShowOptions {
  seed: number
}

/** a whole number of at least `least` and at most `most` */
export const wholeNumber =
  (least: number, most: number) =>
  (text: string): number => {
    const v = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN
    if (!Number.isSafeInteger(v) || v < least || v > most)
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`)
    return v
  }

const units: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }

/** `4096`, `64K`, `256MiB`: bytes, in powers of 1024 */
export const size =
  (least: number, most: number) =>
  (text: string): number => {
    const m = /^(\d+)\s*([kmg]?)(i?b)?$/i.exec(text)
    const v = m === null ? Number.NaN : Number(m[1]) * (units[(m[2] ?? '').toLowerCase()] ?? 1)
    if (!Number.isSafeInteger(v) || v < least || v > most)
      throw new InvalidArgumentError(`It must be a number of bytes from ${least} to ${most}, such as 4096, 64K or 256M.`)
    return v
  }

const kinds: readonly ContextKind[] = ['task', 'softirq', 'hardirq']

/** `task,softirq`, `all` */
function contexts(text: string): readonly ContextKind[] {
  const list = text.split(',').filter((w) => w !== '')
  const wrong = list.find((w) => w !== 'all' && !kinds.some((k) => k === w))
  if (wrong !== undefined || list.length === 0)
    throw new InvalidArgumentError(`'${wrong ?? text}' is none of task, softirq, hardirq, all.`)
  return list.includes('all') ? kinds : kinds.filter((k) => list.includes(k))
}

/** of an option that may be given several times: all its values, in order */
export const gather = (value: string, before: string[]): string[] => [...before, value]

/** a choice in a help text: `: tcp (default), udp, unix` */
export function describeOption(o: Option): string {
  const choices = o.argChoices?.map((c) => (c === o.defaultValue ? `${c} (default)` : c)).join(', ')
  return choices === undefined ? o.description : `${o.description}${o.description === '' ? '' : ': '}${choices}`
}

/** adds the options to a verb that makes a trace; `format` is the one that is written where none is named */
export function addTraceOptions(c: Command, format: string): Command {
  return addShowOptions(c, format).option('--seed <n>', 'of everything that is random (default 1)', wholeNumber(0, 0xffffffff), 1)
}

/** adds those that a saved trace can be shown with as well */
export function addShowOptions(c: Command, format: string): Command {
  const place = placeOptions(
    registry.map((f) => f.name),
    format,
  )
  return c
    .optionsGroup('What is shown:')
    .addOption(
      new Option('--view <view>', 'with the functions that were inlined, or what ftrace sees')
        .choices(['source', 'ftrace'])
        .default('source'),
    )
    .addOption(
      new Option('--detail <detail>', 'what carries the packet, the network, or locks and memory too')
        .choices(['path', 'net', 'full'])
        .default('path'),
    )
    .option('--graph-function <glob>', 'only what runs below these functions (set_graph_function)', gather, [])
    .option('--notrace <glob>', 'leave these functions out, with all they call (set_graph_notrace)', gather, [])
    .option('--max-depth <n>', 'no deeper than this, 0: no limit (max_graph_depth)', wholeNumber(0, 1000), 0)
    .option('--why', 'what the kernel decided, and the numbers it decided by', false)
    .option('--context <list>', 'what runs where: task, softirq, hardirq, all; several with commas', contexts)
    .option('--netns <name>', 'what works for that network namespace, host is the own, all is any; also after the call')
    .option('--no-fold', 'text: show what repeats each time')
    .addOption(
      new Option('--hexdump <what>', 'bytes: none, frames, what each layer adds, or payload too')
        .choices(['none', 'wire', 'layers', 'full'])
        .default('layers'),
    )
    .option('--places', 'the line that each function is called from', false)
    .optionsGroup("ftrace's columns (--no-funcgraph-... switches off):")
    .option('--funcgraph-abstime', 'seconds since boot', false)
    .option('--funcgraph-proc', 'command and process', false)
    .option('--funcgraph-overhead', 'marks for what took long: + 10 us, ! 100 us, # 1 ms', false)
    .option('--funcgraph-retval', 'what a function returned', false)
    .option('--funcgraph-retval-hex', 'the same, always in hexadecimal', false)
    .option('--funcgraph-args', 'what a function was given', false)
    .addOption(new Option('--funcgraph-cpu').hideHelp().default(true))
    .addOption(new Option('--funcgraph-duration').hideHelp().default(true))
    .addOption(new Option('--funcgraph-irqs').hideHelp().default(true))
    .addOption(new Option('--funcgraph-tail').hideHelp().default(true))
    .option('--no-funcgraph-cpu', 'no CPU column')
    .option('--no-funcgraph-duration', 'no DURATION column')
    .option('--no-funcgraph-tail', 'no names behind closing braces')
    .addOption(new Option('--no-funcgraph-irqs').hideHelp())
    .addOption(new Option('--no-funcgraph-abstime').hideHelp())
    .addOption(new Option('--no-funcgraph-proc').hideHelp())
    .addOption(new Option('--no-funcgraph-overhead').hideHelp())
    .addOption(new Option('--no-funcgraph-retval').hideHelp())
    .addOption(new Option('--no-funcgraph-args').hideHelp())
    .optionsGroup('Where it goes:')
    .addOption(place[0])
    .addOption(place[1])
    .option('--pcap <file>', "the frames of the host's own namespace besides, as pcapng")
    .addOption(
      new Option('--pcap-points <points>', 'pcapng: what is captured at the devices, or at each layer too')
        .choices(['devices', 'all'])
        .default('devices'),
    )
    .addOption(
      new Option('--weight <what>', 'folded, speedscope: what the width of a frame means')
        .choices(['instructions', 'calls', 'bytes'])
        .default('instructions'),
    )
    .addOption(
      new Option('--diagram <kind>', 'mermaid: sequence or flow; svg: geometry, headers, sequence').choices([
        'sequence',
        'flow',
        'geometry',
        'headers',
      ]),
    )
    .option('--at <function>', 'svg: where the buffer is drawn (a glob)', '')
    .option('--color', 'colours even when the output is no terminal')
    .option('--no-color', 'no colours (as NO_COLOR)')
}

/** `tso=off,tx=on`: ethtool's words `tso off tx on`, behind those of options before */
export function features(text: string, before: string[]): string[] {
  const words = text.split(',').map((w) => w.trim())
  for (const w of words)
    if (!/^[\w-]+=(on|off)$/.test(w)) throw new InvalidArgumentError(`'${w}' is not like tso=off: names as ethtool -K has them.`)
  return [...before, ...words.flatMap((w) => w.split('='))]
}

/** `names`: the namespaces that there are, besides the host's own */
export function checkNetns(o: TraceOptions, names: readonly string[]): void {
  if (o.netns === undefined || o.netns === 'host' || o.netns === 'all' || names.includes(o.netns)) return
  throw new UsageError(`--netns ${o.netns}: there is no such network namespace, but host, ${names.join(', ')} and all`)
}

/** a glob that means nothing is told at once, not by an empty trace */
function checkGlobs(o: ShowOptions): void {
  for (const g of [...o.graphFunction, ...o.notrace])
    if (!/^[\w.*?[\]!^,-]+$/.test(g)) throw new UsageError(`'${g}' is no function name or glob`)
}

/** What of a call graph the options ask for. @throws UsageError for what is no glob */
export function graphOptions(o: ShowOptions, resultFirst: boolean): GraphOptions {
  checkGlobs(o)
  return {
    view: o.view,
    detail: o.detail,
    graphFunction: o.graphFunction,
    notrace: o.notrace,
    maxDepth: o.maxDepth,
    abstime: o.funcgraphAbstime,
    cpu: o.funcgraphCpu,
    proc: o.funcgraphProc,
    overhead: o.funcgraphOverhead,
    duration: o.funcgraphDuration,
    irqs: o.funcgraphIrqs,
    tail: o.funcgraphTail,
    retval: o.funcgraphRetval || o.funcgraphRetvalHex,
    retvalHex: o.funcgraphRetvalHex,
    args: o.funcgraphArgs,
    places: o.places,
    why: o.why,
    contexts: o.context ?? null,
    netns: o.netns === undefined ? null : o.netns === 'host' ? '' : o.netns,
    fold: o.fold,
    resultFirst,
  }
}
