import type { Command } from 'commander'
import { addShowOptions, type ShowOptions } from './options.ts'

/** `skbtrace convert IN.jsonl -o OUT` */
export function addConvert(program: Command): void {
  const c = program
    .command('convert')
    .description('make any other form of a trace that was saved as jsonl')
    .argument('<file>', 'the trace (.jsonl, also .gz or .zst); - is standard input')
  addShowOptions(c, 'text')
  c.addHelpText(
    'after',
    `
What is made is, byte for byte, what the run itself would have made:
  skbtrace send --bytes 65536 -o a.jsonl.gz
  skbtrace convert a.jsonl.gz --detail net | less
  skbtrace convert a.jsonl.gz -o a.pcapng -o a.dat -o a.html`,
  )
  c.action(async (file: string, options: ShowOptions) => {
    const { convert } = await import('./convert_trace.ts')
    await convert(file, options)
  })
}
