import { Command, CommanderError } from 'commander'
import { ClosedPipe, Output, OutputError } from '../formats/output.ts'
import { addConvert } from './convert.ts'
import { UsageError } from './errors.ts'
import { describeOption } from './options.ts'
import { addPaths } from './paths.ts'
import { addRepl, addReplWorker, addTour } from './repl.ts'
import { addReplay } from './replay.ts'
import { addRun } from './run.ts'
import { addSend } from './send.ts'
import { addSymbols } from './symbols.ts'
import { version } from './version.ts'

const verbs: Readonly<Record<string, (program: Command) => void>> = {
  send: addSend,
  run: addRun,
  convert: addConvert,
  replay: addReplay,
  paths: addPaths,
  symbols: addSymbols,
  repl: addRepl,
  tour: addTour,
  'repl-worker': addReplWorker,
}

/** the verbs and their options; of `verb` alone, when that is one: nothing else is asked for then */
function makeProgram(verb = ''): Command {
  const program = new Command('skbtrace')
    .description('Traces a packet through a simulated Linux 6.12.117 send path, function by function, byte by byte.')
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'print this')
    .helpCommand(false)
    .configureOutput({ outputError: () => {}, writeErr: () => {}, writeOut: print })
    .configureHelp({ optionDescription: describeOption })
    .exitOverride()
    .addHelpText(
      'after',
      `
Examples:
  skbtrace send --bytes 4096                  4096 bytes over TCP and loopback
  echo hello | skbtrace send -                what comes in on standard input
  skbtrace send --proto udp --bytes 512 --why and what the kernel decided
  skbtrace send --view ftrace --detail full   just what function_graph prints
  skbtrace run FILE.scn --format jsonl        a scenario, for other programs
  skbtrace symbols 'tcp_*'                    the functions that are simulated
  skbtrace                                    play with a host, walk its kernel

skbtrace VERB --help has the options of a verb.`,
    )
  const only = Object.hasOwn(verbs, verb) ? verbs[verb] : undefined
  for (const add of only === undefined ? Object.values(verbs) : [only]) add(program)
  return program
}

/** Runs one command line; the exit status. */
async function main(args: readonly string[]): Promise<number> {
  try {
    // without a verb: the REPL
    const words = args.length === 0 ? ['repl'] : args[0] === 'help' ? [...args.slice(1), '--help'] : args
    const [verb = ''] = words
    // of a word that is no verb there is no help either
    const known = verb.startsWith('-') || Object.hasOwn(verbs, verb)
    await makeProgram(verb).parseAsync(known ? words : [verb], { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (e) {
    if (e instanceof ClosedPipe) return 0
    if (e instanceof CommanderError) {
      if (e.exitCode === 0) return 0
      return complain(e.message.replace(/^error: /, ''), 2)
    }
    if (e instanceof UsageError) return complain(e.message, 2)
    if (e instanceof OutputError) return complain(e.message, 1)
    throw e
  }
}

/** prints at once: the stream object behind process.stdout takes longer to make than the rest of the start */
function print(text: string): void {
  const out = Output.stdout()
  out.write(text)
  out.finish()
}

function complain(message: string, status: number): number {
  // what is quoted of a file must not reach a terminal as commands
  const line = message
    .trim()
    .replace(/\s*\n\s*/g, ' ')
    .replace(/\p{Cc}/gu, '?')
  process.stderr.write(`skbtrace: ${line}\n`)
  return status
}

main(process.argv.slice(2)).then((status) => {
  process.exitCode = status
})
