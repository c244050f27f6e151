import { writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { Addresses } from '../../formats/addresses.ts'
import { defaults } from '../../formats/graph_options.ts'
import { Output, OutputError, reasonOf } from '../../formats/output.ts'
import { formatOfFile, registry } from '../../formats/registry.ts'
import { forgetAddresses } from '../../formats/values.ts'
import { Host } from '../../host/host.ts'
import { runnerOn } from '../../script/needs.ts'
import { parseScenario } from '../../script/scenario.ts'
import { listen } from '../../trace/tracer.ts'
import { type Debugger, UserError } from './debugger.ts'

declare const SKBTRACE_VERSION: string | undefined
const version = typeof SKBTRACE_VERSION === 'string' ? SKBTRACE_VERSION : '0.1.0'
const KERNEL = '6.12.117'

/** The session as a scenario: its lines. Where none is marked with `>`, every call is, so that the scenario shows something. */
function scenarioOf(d: Debugger): string {
  const { lines, seed } = d.session
  const some = lines.some((l) => l.statement.kind === 'call' && l.statement.recorded)
  const texts = lines.map((l) => (some || l.statement.kind !== 'call' ? l.text : `> ${l.text}`))
  const head = ['# saved by skbtrace repl']
  if (seed !== 1) head.push(`# it was made with --seed ${seed}`)
  return `${[...head, ...texts].join('\n')}\n`
}

/** `save FILE.scn`, or a trace in any format that a file's ending means */
export async function save(d: Debugger, path: string): Promise<void> {
  if (path === '') throw new UserError('save wants a file: save a.scn, save a.jsonl, save a.pcapng')
  if (d.readOnly) throw new UserError('this is a recorded trace already: skbtrace convert makes other formats of it')
  if (d.session.lines.length === 0) throw new UserError('there is nothing to save yet')
  const scenario = scenarioOf(d)
  if (path.endsWith('.scn')) {
    try {
      writeFileSync(path, scenario)
    } catch (e) {
      throw new UserError(`${path}: ${reasonOf(e)}`)
    }
    d.say('text', `${path}: ${d.session.lines.length} lines; skbtrace run ${path}`)
    return
  }
  const entry = formatOfFile(path)
  if (entry === undefined)
    throw new UserError(`${path}: that ending means no format (.scn ${registry.flatMap((f) => f.endings).join(' ')})`)
  await d.session.prepare(null)
  const make = await entry.load()
  const compress = /\.(gz|zst)$/.test(path) ? (await import('../../formats/compression.ts')).compressionOf(path) : null
  if (typeof compress === 'string') throw new UserError(`${path}: ${compress}`)
  let out: Output
  try {
    out = Output.open(path, { patches: entry.patches ?? false, compress })
  } catch (e) {
    throw e instanceof OutputError ? new UserError(e.message) : e
  }
  const { seed, needs } = d.session
  d.session.abandon()
  try {
    forgetAddresses()
    const own = make(out, {
      graph: { ...defaults, resultFirst: true },
      hexdump: 'layers',
      style: null,
      points: 'devices',
      weight: 'instructions',
      at: '',
      command: `skbtrace run ${basename(path).replace(/\.[^.]*(\.gz|\.zst)?$/, '')}.scn`,
      version,
      kernel: KERNEL,
      seed,
      wholeHost: false,
    })
    const format = entry.addresses === false ? own : new Addresses(own)
    const host = new Host({ seed })
    const runner = runnerOn(host, needs, format)
    listen(format)
    runner.run(parseScenario(scenario))
    listen(null)
    format.close()
    out.finish()
    d.say('text', `${path}: ${entry.name}`)
  } catch (e) {
    listen(null)
    out.abandon()
    throw e instanceof OutputError ? new UserError(e.message) : e
  }
}
