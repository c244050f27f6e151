import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Engine } from '../repl/engine/types.ts'
import { type Driver, drivers, twoHosts } from '../script/two_hosts.ts'
import { UsageError } from './errors.ts'
import { wholeNumber } from './options.ts'
import { isTerminal } from './outputs.ts'

interface ReplOptions {
  seed: number
  plain: boolean
  device?: Driver
}

/** in dist the screen is a module of its own, which bin/skbtrace.js brings as a promise */
declare const SKBTRACE_SCREEN: string | undefined
declare const require: (name: string) => Promise<typeof import('../repl/screen/main.tsx')>
const loadScreen = (): Promise<typeof import('../repl/screen/main.tsx')> =>
  typeof SKBTRACE_SCREEN === 'string' ? require(SKBTRACE_SCREEN) : import('../repl/screen/main.tsx')

/** `skbtrace repl [FILE]`: nothing of it is loaded before */
export function addRepl(program: Command): void {
  program
    .command('repl')
    .description('play with a host, and walk through its kernel, forward and back')
    .argument('[file]', 'a scenario (.scn) or a saved trace (.jsonl) to begin with')
    .addOption(
      new Option('--device <driver>', 'begin with another host on a cable at eth0, and a connection to it').choices(drivers),
    )
    .option('--plain', 'lines of text instead of a screen with panes', false)
    .option('--seed <n>', 'of everything that is random (default 1)', wholeNumber(0, 0xffffffff), 1)
    .addHelpText(
      'after',
      `
With standard input not a terminal, lines are done one by one, and the exit
status is 1 when one of them failed:
  echo 'send 4096' | skbtrace repl
  printf 'break ip_queue_xmit\\nsend 4096\\nbt\\nfinish\\n' | skbtrace repl
  skbtrace repl FILE.scn
  skbtrace repl --device e1000`,
    )
    .action(async (file: string | undefined, options: ReplOptions) => {
      await repl(file ?? null, options, false)
    })
}

/** `skbtrace tour` */
export function addTour(program: Command): void {
  program
    .command('tour')
    .description('a guided first walk: from send() to the wire and back as the ACK, in ten stops')
    .option('--plain', 'lines of text instead of a screen with panes', false)
    .action(async ({ plain }: { plain: boolean }) => {
      await repl(null, { seed: 1, plain }, true)
    })
}

/** the engine in a worker thread: no verb for people */
export function addReplWorker(program: Command): void {
  program.command('repl-worker', { hidden: true }).action(async () => {
    const { isMainThread } = await import('node:worker_threads')
    if (isMainThread) throw new InvalidArgumentError("unknown command 'repl-worker'")
    const { serve } = await import('../repl/engine/worker.ts')
    await serve()
  })
}

/** does the lines that --device stands for; an engine that refuses one is closed */
async function begin(engine: Engine, device: Driver | undefined): Promise<void> {
  if (device === undefined) return
  for (const line of [...twoHosts(device), 'connect 10.0.0.2']) {
    const reply = await engine.submit(line)
    if (reply.ok) continue
    await engine.close()
    const why = reply.blocks.filter((b) => b.kind === 'error').map((b) => b.text)
    throw new UsageError(`--device ${device}: ${why.join(' ')}`)
  }
}

async function repl(file: string | null, o: ReplOptions, tour: boolean): Promise<void> {
  if ((await isTerminal(0)) && (await isTerminal(1))) {
    await onTerminal(file, o, tour)
    return
  }
  if (tour) throw new UsageError('tour: standard input and output must be a terminal; skbtrace repl takes lines from a pipe')
  const { openSession } = await import('../repl/engine/open.ts')
  const { UserError } = await import('../repl/engine/debugger.ts')
  const { pipe } = await import('../repl/pipe.ts')
  let engine: Awaited<ReturnType<typeof openSession>>
  try {
    engine = await openSession({ seed: o.seed, interactive: await isTerminal(0), width: 80 }, file)
  } catch (e) {
    throw e instanceof UserError ? new UsageError(e.message) : e
  }
  await begin(engine, o.device)
  const status = await pipe(engine, process.stdin, (text) => process.stderr.write(`skbtrace: ${text}\n`))
  process.exitCode = status
}

/** a screen with panes, or lines of text where it asks for those or has no room for panes */
async function onTerminal(file: string | null, o: ReplOptions, tour: boolean): Promise<void> {
  const { inThread } = await import('../repl/engine/thread.ts')
  const { tooSmall } = await import('../repl/screen/layout.ts')
  const { columns = 80, rows = 24 } = process.stdout
  const small = o.plain || process.env.TERM === 'dumb' || tooSmall({ columns, rows })
  const engine = inThread({ seed: o.seed, interactive: true, width: columns }, file)
  if (file !== null) {
    try {
      await engine.view({})
    } catch (e) {
      await engine.close()
      throw new UsageError(e instanceof Error ? e.message : String(e))
    }
  }
  await begin(engine, o.device)
  if (small) {
    const { plain } = await import('../repl/screen/plain.ts')
    const { firstWalk } = await import('../repl/screen/tour.ts')
    await plain(engine, tour ? firstWalk : null, columns)
  } else {
    const { screen } = await loadScreen()
    await screen({ engine, tour })
  }
}
