import { fstatSync } from 'node:fs'
import { ALL } from '../formats/contexts.ts'
import { type Format, Tee } from '../formats/format.ts'
import { Output, type OutputOptions } from '../formats/output.ts'
import { type FormatEntry, type FormatOptions, formatByName, formatOfFile, registry } from '../formats/registry.ts'
import { declaredFunctions } from '../trace/kfunc.ts'
import { UsageError } from './errors.ts'
import { graphOptions, type ShowOptions, type TraceOptions } from './options.ts'
import { checkTwice, type Place, placesOf } from './places.ts'
import { KERNEL, version } from './version.ts'

/** What a verb writes to: the formats, and the files behind them. */
export interface Outputs {
  format: Format
  /** everything is written: files get their names */
  finish(): void
  /** something went wrong: nothing half-written stays behind */
  abandon(): void
}

/** What is known of a run when its outputs are opened. */
interface Run {
  /** the command line, see commandLine() */
  command: string
  seed: number
  /** a graph's heading of a call has its result, so that its text is kept back until that is known */
  resultFirst: boolean
  /** no process makes the calls: all that the host's own kernel does is shown, unless the user wants something else */
  wholeHost: boolean
  /** what happens between calls is known: false only for a trace that was saved without --netns */
  between?: boolean
  version: string
}

/** How much there is to do, for who waits: whichever is known. */
export interface Expected {
  /** bytes that the program sends */
  bytes?: number
  /** calls that are traced */
  calls?: number
  /** 0 to 1, asked now and then */
  done?: () => number
}

/** One output before anything is opened: its code is loaded. */
interface Planned {
  readonly file: string
  readonly entry: FormatEntry
  readonly make: (out: Output, options: FormatOptions) => Format
  readonly options: OutputOptions
  readonly extra: Partial<FormatOptions>
}

/** Outputs whose code is loaded and whose options make sense. open() makes the files. */
interface Plan {
  /** `instead`: what is made in the place of a format of that name */
  open(run: Run, instead?: Readonly<Record<string, (out: Output) => Format>>): Outputs
}

/** the options that say where output goes, with their values: no part of what a trace says of the command it is of */
const placing = /^(-o|--output|--format|--pcap|--pcap-points|--weight|--diagram|--at)$/

/** the command line, without where its output goes: the same run makes the same trace, wherever that is written to */
export function commandLine(args: readonly string[]): string {
  const out = ['skbtrace']
  for (let i = 0; i < args.length; i++) {
    const a = args[i] ?? ''
    if (placing.test(a)) i++
    else if (!/^(-o.|--(no-)?color$)/.test(a) && !placing.test(a.replace(/=.*/s, ''))) out.push(a)
  }
  return out.map((a) => (/^[\w@%+=:,./-]+$/.test(a) ? a : `'${a.replaceAll("'", "'\\''")}'`)).join(' ')
}

/** names without an ending, and those that programs use for whatever they print */
const SAYS_NOTHING = /(^|\/)[^./]+$|(^|\/)\.[^./]+$|\.(log|out|trace|tmp)$|^\/dev\//

function entryOf(place: Place, standard: string): FormatEntry {
  if (place.file === '') throw new UsageError("-o '': it wants the name of a file, or - for standard output")
  const byName = formatByName(place.format === '' ? standard : place.format)
  if (byName === undefined) throw new UsageError(`there is no format '${place.format}'`)
  if (place.format !== '' || place.file === '-') return byName
  const byEnding = formatOfFile(place.file)
  if (byEnding !== undefined) return byEnding
  if (SAYS_NOTHING.test(place.file.replace(/\.(gz|zst)$/, ''))) return byName
  const endings = registry.flatMap((f) => f.endings).join(' ')
  throw new UsageError(`-o ${place.file}: that ending means no format (${endings}); --format NAME -o ${place.file} says which`)
}

/** the forms that draw, and what they can */
const diagrams: Readonly<Record<string, readonly string[]>> = {
  mermaid: ['sequence', 'flow'],
  svg: ['geometry', 'headers', 'sequence'],
}

async function plan(place: Place, standard: string, extra: Partial<FormatOptions>, diagram?: string): Promise<Planned> {
  const entry = entryOf(place, standard)
  const toTerminal = place.file === '-' && (await isTerminal(1))
  if (entry.binary && toTerminal)
    throw new UsageError(`${entry.name} is not for a terminal: -o FILE${entry.endings[0]}, or a pipe`)
  if (diagram !== undefined && !(diagrams[entry.name] ?? [diagram]).includes(diagram))
    throw new UsageError(`--diagram ${diagram}: ${entry.name} has ${diagrams[entry.name]?.join(', ')}`)
  const options: OutputOptions = { patches: entry.patches ?? false, compress: null }
  if (/\.(gz|zst)$/.test(place.file)) {
    const compress = (await import('../formats/compression.ts')).compressionOf(place.file)
    if (typeof compress === 'string') throw new UsageError(`-o ${place.file}: ${compress}`)
    options.compress = compress
  }
  return { file: place.file, entry, make: await entry.load(), options, extra }
}

/** options that only some formats know: given for none of those, one would change nothing, and nobody would be told */
function checkUsed(o: ShowOptions, outputs: readonly Planned[]): void {
  const only = (option: string, given: boolean, ...names: string[]): void => {
    if (given && !outputs.some((p) => names.includes(p.entry.name)))
      throw new UsageError(
        `${option} is for ${names.join(' and ')}: --format ${names[0]}, or -o FILE${formatByName(names[0] ?? '')?.endings[0]}`,
      )
  }
  const { diagram } = o
  const drawers = Object.keys(diagrams).filter((name) => diagram !== undefined && diagrams[name]?.includes(diagram))
  only(`--diagram ${diagram}`, diagram !== undefined, ...drawers)
  only(`--at ${o.at}`, o.at !== '', 'svg')
  only(`--weight ${o.weight}`, o.weight !== 'instructions', 'folded', 'speedscope')
  only(`--pcap-points ${o.pcapPoints}`, o.pcapPoints !== 'devices', 'pcapng')
}

/** a name that no function of the run has is told at once, not by an empty trace; asked when all is loaded that will run */
async function unknownNames(o: ShowOptions): Promise<() => void> {
  const given = [
    ...o.graphFunction.flatMap((list) => list.split(',').map((glob) => ['--graph-function', glob] as const)),
    ...o.notrace.flatMap((list) => list.split(',').map((glob) => ['--notrace', glob] as const)),
  ]
  if (given.length === 0) return () => {}
  const { globs } = await import('../formats/detail.ts')
  return () => {
    const names = declaredFunctions().map((f) => f.name)
    for (const [option, glob] of given) {
      const matches = globs([glob])
      if (!names.some((name) => matches?.(name)))
        throw new UsageError(`${option} ${glob}: no function of this run has such a name; skbtrace symbols lists them all`)
    }
  }
}

/**
 * Finds out what the options ask for, and loads it. `standard`: the format where none is said. `expected`: what the run will do, for
 * the progress that a terminal shows.
 */
export async function planOutputs(o: ShowOptions, standard: string, expected: Expected = {}): Promise<Plan> {
  const graph = graphOptions(o, false)
  const given = o.output ?? o.format ?? []
  const outputs: Planned[] = []
  for (const place of placesOf(given)) outputs.push(await plan(place, standard, {}, o.diagram))
  if (o.pcap !== undefined) outputs.push(await plan({ file: o.pcap, format: 'pcapng' }, standard, { netns: '' }))
  checkTwice(outputs.map((p) => p.file))
  checkUsed(o, outputs)
  const checkNames = await unknownNames(o)
  const colours = o.color === true || (o.color !== false && (process.env.NO_COLOR ?? '') === '' && (await isTerminal(1)))
  const style = colours ? (await import('./styles.ts')).styles() : null
  const addresses = outputs.some((p) => p.entry.addresses !== false || graph.args || graph.retval)
    ? (await import('../formats/addresses.ts')).Addresses
    : null
  const progress = (await isTerminal(2)) ? (await import('./progress.ts')).Progress : null
  return {
    open(run, instead = {}): Outputs {
      if (run.between === false && graph.netns !== null)
        throw new UsageError('--netns: this trace was saved without it, and does not have what happens between calls')
      checkNames()
      const files: Output[] = []
      const abandon = (): void => {
        for (const f of files) f.abandon()
      }
      try {
        const formats = outputs.map((p): Format => {
          const out = Output.open(p.file, p.options)
          files.push(out)
          const other = instead[p.entry.name]
          if (other !== undefined) return other(out)
          return p.make(out, {
            graph: {
              ...graph,
              ...(run.wholeHost ? { netns: graph.netns ?? '', contexts: graph.contexts ?? ALL } : {}),
              resultFirst: run.resultFirst || p.entry.name === 'function_graph',
            },
            wholeHost: run.wholeHost,
            hexdump: o.hexdump,
            style: o.color === true || p.file === '-' ? style : null,
            points: o.pcapPoints,
            weight: o.weight,
            ...(o.diagram === undefined ? {} : { diagram: o.diagram }),
            at: o.at,
            command: run.command,
            version: run.version,
            kernel: KERNEL,
            seed: run.seed,
            ...p.extra,
          })
        })
        const [only] = formats
        let format = only !== undefined && formats.length === 1 ? only : new Tee(formats)
        if (addresses !== null) format = new addresses(format)
        const shown = progress === null ? null : new progress(format, expected)
        return {
          format: shown ?? format,
          finish: () => {
            format.close()
            for (const f of files) f.finish()
            shown?.done()
          },
          abandon: () => {
            shown?.done()
            abandon()
          },
        }
      } catch (e) {
        abandon()
        throw e
      }
    },
  }
}

/**
 * Opens what the options ask for. `standard`: the format where none is said; with `function_graph` a call's heading has its result.
 * `command`: what the trace says of itself.
 */
export async function openOutputs(
  o: TraceOptions,
  command: string,
  standard: 'text' | 'function_graph',
  expected: Expected = {},
): Promise<Outputs> {
  const planned = await planOutputs(o, standard, expected)
  return planned.open({ command, seed: o.seed, resultFirst: standard === 'function_graph', wholeHost: false, version })
}

/** Linux's majors of terminals (Documentation/admin-guide/devices.txt): node:tty takes longer to load than the rest of the start */
const isTerminalMajor = (major: number): boolean => (major >= 3 && major <= 5) || (major >= 128 && major <= 143)

/** whether a person looks at what is written there */
export async function isTerminal(fd: number): Promise<boolean> {
  try {
    const stat = fstatSync(fd)
    if (!stat.isCharacterDevice()) return false
    if (process.platform === 'linux') return isTerminalMajor((stat.rdev >> 8) & 0xfff)
    return (await import('node:tty')).isatty(fd)
  } catch {
    return false
  }
}
