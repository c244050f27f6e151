import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { reasonOf } from '../formats/output.ts'
import { Host } from '../host/host.ts'
import { commandsOf, loadCommands } from '../script/command.ts'
import { loadIpv6 } from '../script/ipv6.ts'
import { Runner } from '../script/runner.ts'
import { parseScenario, ScenarioError } from '../script/scenario.ts'
import { listen } from '../trace/tracer.ts'
import { UsageError } from './errors.ts'
import { addTraceOptions, checkNetns, type TraceOptions } from './options.ts'
import { commandLine, openOutputs } from './outputs.ts'

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

function read(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8')
  } catch (e) {
    throw new UsageError(`${file}: ${reasonOf(e)}`)
  }
}

async function run(file: string, o: TraceOptions): Promise<void> {
  const text = read(file)
  const place = (e: unknown): unknown =>
    e instanceof ScenarioError ? new UsageError(`${file}:${e.line}:${e.column}: ${e.message}`) : e
  let statements: ReturnType<typeof parseScenario>
  try {
    statements = parseScenario(text)
  } catch (e) {
    throw place(e)
  }
  const added = statements.flatMap((t) => (t.kind === 'command' && /^ip netns add\b/.test(t.text) ? [t.words[3] ?? ''] : []))
  checkNetns(o, ['peer', ...added])
  const commands = await loadCommands(statements.flatMap((t) => (t.kind === 'command' ? commandsOf(t.words) : [])))
  const ipv6 = await loadIpv6(statements)
  const outputs = await openOutputs(o, commandLine(process.argv.slice(2)), 'function_graph', {
    calls: statements.filter((t) => t.kind === 'call' && t.recorded).length,
  })
  try {
    const host = new Host({ seed: o.seed })
    ipv6?.()
    listen(outputs.format)
    new Runner(host, outputs.format, commands).run(statements)
    listen(null)
    outputs.finish()
  } catch (e) {
    listen(null)
    outputs.abandon()
    throw place(e)
  }
}
