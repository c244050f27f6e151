import { type Command, InvalidArgumentError, Option } from 'commander'
import type { GraphOptions } from '../formats/function_graph.ts'
import { UsageError } from './errors.ts'

/** Options that every verb has which shows a trace. */
export interface TraceOptions {
  format: 'text' | 'function_graph' | 'jsonl'
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
  hexdump: 'none' | 'wire' | 'layers' | 'full'
  color?: boolean
  output?: string
  pcap?: string
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

const gather = (value: string, before: string[]): string[] => [...before, value]

/** a choice in a help text: `: tcp (default), udp, unix` */
export function describeOption(o: Option): string {
  const choices = o.argChoices?.map((c) => (c === o.defaultValue ? `${c} (default)` : c)).join(', ')
  return choices === undefined ? o.description : `${o.description}${o.description === '' ? '' : ': '}${choices}`
}

/** adds the options to a verb */
export function addTraceOptions(c: Command, format: TraceOptions['format']): Command {
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
    .addOption(new Option('--format <format>', 'how it is written').choices(['text', 'function_graph', 'jsonl']).default(format))
    .option('-o, --output <file>', 'write there instead of standard output')
    .option('--pcap <file>', 'write the frames as a capture (pcapng)')
    .option('--color', 'colours even when the output is no terminal')
    .option('--no-color', 'no colours (as NO_COLOR)')
    .option('--seed <n>', 'of everything that is random (default 1)', wholeNumber(0, 0xffffffff), 1)
}

/** a glob that means nothing is told at once, not by an empty trace */
function checkGlobs(o: TraceOptions): void {
  for (const g of [...o.graphFunction, ...o.notrace])
    if (!/^[\w.*?[\]!^,-]+$/.test(g)) throw new UsageError(`'${g}' is no function name or glob`)
}

export function graphOptions(o: TraceOptions, resultFirst: boolean): GraphOptions {
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
    resultFirst,
  }
}
