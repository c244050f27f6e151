import type { Command } from 'commander'
import { Host } from '../host/host.ts'
import { loadNeeds, runnerOn } from '../script/needs.ts'
import { parseScenario, ScenarioError } from '../script/scenario.ts'
import { listen } from '../trace/tracer.ts'
import { UsageError } from './errors.ts'
import { readAll } from './input.ts'
import { addTraceOptions, checkNetns, type TraceOptions } from './options.ts'
import { commandLine, openOutputs } from './outputs.ts'

/** bytes of a scenario at most */
const LONGEST = 1 << 26

/** `skbtrace run FILE.scn` */
export function addRun(program: Command): void {
  const c = program
    .command('run')
    .description('run a scenario: what a host is told to do, line by line')
    .argument('<file>', 'the scenario; - is standard input')
  addTraceOptions(c, 'function_graph')
  c.addHelpText(
    'after',
    `
A line of a scenario is a system call as strace writes it. Those that begin
with > are traced:
  l = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)
  bind(l, 127.0.0.1:5000)
  u = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)
  > sendto(u, 512, 0, 127.0.0.1:5000)`,
  )
  c.action(async (file: string, options: TraceOptions) => {
    await run(file, options)
  })
}

async function run(file: string, o: TraceOptions): Promise<void> {
  const text = readAll(file, LONGEST).toString('utf8')
  const name = file === '-' ? 'standard input' : file
  const place = (e: unknown): unknown =>
    e instanceof ScenarioError ? new UsageError(`${name}:${e.line}:${e.column}: ${e.message}`) : e
  let statements: ReturnType<typeof parseScenario>
  try {
    statements = parseScenario(text)
  } catch (e) {
    throw place(e)
  }
  const added = statements.flatMap((t) => (t.kind === 'command' && /^ip netns add\b/.test(t.text) ? [t.words[3] ?? ''] : []))
  checkNetns(o, ['peer', ...added])
  const needs = await loadNeeds(statements)
  const outputs = await openOutputs(o, commandLine(process.argv.slice(2)), 'function_graph', {
    calls: statements.filter((t) => t.kind === 'call' && t.recorded).length,
  })
  try {
    const host = new Host({ seed: o.seed })
    const runner = runnerOn(host, needs, outputs.format)
    listen(outputs.format)
    runner.run(statements)
    listen(null)
    outputs.finish()
    if (o.netns === undefined && !statements.some((t) => t.kind === 'call' && t.recorded))
      process.stderr.write(`skbtrace: ${name}: no line begins with >, so that no call is traced\n`)
  } catch (e) {
    listen(null)
    outputs.abandon()
    throw place(e)
  }
}
