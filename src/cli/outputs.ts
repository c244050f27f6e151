import { fstatSync } from 'node:fs'
import { type Format, Tee } from '../formats/format.ts'
import { type Annotator, FunctionGraph } from '../formats/function_graph.ts'
import { Jsonl } from '../formats/jsonl.ts'
import { Output } from '../formats/output.ts'
import { Pcapng } from '../formats/pcapng.ts'
import { SkbNotes } from '../formats/text.ts'
import { graphOptions, type TraceOptions } from './options.ts'

/** What a verb writes to: one format, and the files behind it. */
export interface Outputs {
  format: Format
  /** everything is written: files get their names */
  finish(): void
  /** something went wrong: nothing half-written stays behind */
  abandon(): void
}

const identity = (text: string): string => text

/**
 * Opens what the options ask for. `resultFirst`: a call's heading has its result, so its text is kept back until that is known.
 * `command`: what the capture says of itself.
 */
export async function openOutputs(o: TraceOptions, command: string, resultFirst: boolean): Promise<Outputs> {
  const options = graphOptions(o, resultFirst)
  const out = o.output === undefined ? Output.stdout() : Output.open(o.output)
  const files = [out]
  const abandon = (): void => {
    for (const f of files) f.abandon()
  }
  try {
    const formats: Format[] = []
    if (o.format === 'jsonl') {
      formats.push(new Jsonl(out))
    } else {
      const tty = o.output === undefined && (process.env.NO_COLOR ?? '') === '' && (await isTerminal(1))
      const style = o.color === true || (o.color !== false && tty) ? (await import('./styles.ts')).styles() : null
      let notes: Annotator | null = null
      if (o.format === 'text') {
        notes = new SkbNotes({ hexdump: o.hexdump, bold: style?.bold ?? identity })
      }
      const graph = new FunctionGraph(out, options, notes, style)
      graph.heading()
      formats.push(graph)
    }
    if (o.pcap !== undefined) {
      const file = Output.open(o.pcap)
      files.push(file)
      formats.push(new Pcapng(file, { comment: command, application: 'skbtrace', netns: '' }))
    }
    const [only] = formats
    const format = only !== undefined && formats.length === 1 ? only : new Tee(formats)
    return {
      format,
      finish: () => {
        format.close()
        for (const f of files) f.finish()
      },
      abandon,
    }
  } catch (e) {
    abandon()
    throw e
  }
}

/** node:tty takes longer to load than the rest of the start, so files and pipes do without it, and /dev/null (major number 1) */
async function isTerminal(fd: number): Promise<boolean> {
  const stat = fstatSync(fd)
  return stat.isCharacterDevice() && stat.rdev >> 8 !== 1 && (await import('node:tty')).isatty(fd)
}
