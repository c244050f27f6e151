import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Addresses } from '../../src/formats/addresses.ts'
import { type Format, Tee } from '../../src/formats/format.ts'
import { defaults, type GraphOptions } from '../../src/formats/graph_options.ts'
import { JsonlReader } from '../../src/formats/jsonl_reader.ts'
import { Output, OutputError } from '../../src/formats/output.ts'
import { type FormatOptions, registry } from '../../src/formats/registry.ts'
import { Host } from '../../src/host/host.ts'
import { loadEverything } from '../../src/script/everything.ts'
import { loadNeeds, runnerOn } from '../../src/script/needs.ts'
import { parseScenario, ScenarioError } from '../../src/script/scenario.ts'
import { listen } from '../../src/trace/tracer.ts'

const optionsOf = (graph: Partial<GraphOptions>, rest: Partial<FormatOptions>): FormatOptions => ({
  graph: { ...defaults, ...graph },
  hexdump: 'layers',
  style: null,
  points: 'all',
  weight: 'instructions',
  at: '',
  command: 'skbtrace run x.scn',
  version: '1',
  kernel: '6.12.117',
  seed: 1,
  wholeHost: false,
  ...rest,
})

/** one of each format, writing to files of `dir`; what they wrote, by format, when `play` is done */
async function each(
  dir: string,
  formats: readonly string[],
  options: FormatOptions,
  play: (to: Format) => void,
): Promise<Map<string, Buffer>> {
  const outs: Output[] = []
  const made: Format[] = []
  for (const entry of registry.filter((f) => formats.includes(f.name))) {
    const out = Output.open(join(dir, entry.name), { patches: entry.patches ?? false })
    outs.push(out)
    made.push((await entry.load())(out, options))
  }
  play(new Addresses(new Tee(made)))
  const written = new Map<string, Buffer>()
  made.forEach((format, i) => {
    const out = outs[i] as Output
    const name = out.name.slice(dir.length + 1)
    try {
      format.close()
      out.finish()
      written.set(name, readFileSync(out.name))
    } catch (e) {
      // some need what not every trace has, and say so: then that is what is compared
      if (!(e instanceof OutputError)) throw e
      out.abandon()
      written.set(name, Buffer.from(e.message))
    }
  })
  return written
}

/** what each format makes of a scenario while it runs, and of its saved trace */
export async function liveAndConverted(
  text: string,
  graph: Partial<GraphOptions> = {},
  rest: Partial<FormatOptions> = {},
): Promise<{ live: Map<string, Buffer>; converted: Map<string, Buffer> }> {
  await loadEverything()
  const statements = parseScenario(text)
  const needs = await loadNeeds(statements)
  const options = optionsOf(graph, rest)
  const dir = mkdtempSync(join(tmpdir(), 'skbtrace-test-'))
  try {
    const all = registry.map((f) => f.name)
    const live = await each(dir, all, options, (to) => {
      const host = new Host()
      const runner = runnerOn(host, needs, to)
      listen(to)
      try {
        runner.run(statements)
      } catch (e) {
        // whatever was recorded until then is what is compared
        if (!(e instanceof ScenarioError)) throw e
      } finally {
        listen(null)
      }
    })
    const saved = live.get('jsonl') ?? Buffer.alloc(0)
    live.delete('jsonl')
    const others = all.filter((name) => name !== 'jsonl')
    const converted = await each(dir, others, options, (to) => {
      // the reader closes the format; each() does that here
      const reader = new JsonlReader(() => new Unclosed([to]))
      for (let at = 0; at < saved.length; at += 50_000) reader.feed(saved.subarray(at, at + 50_000))
      reader.finish()
    })
    return { live, converted }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

class Unclosed extends Tee {
  override close(): void {}
}

/** the saved trace of a scenario */
export async function savedTrace(text: string): Promise<string> {
  const statements = parseScenario(text)
  const needs = await loadNeeds(statements)
  const dir = mkdtempSync(join(tmpdir(), 'skbtrace-test-'))
  try {
    const files = await each(dir, ['jsonl'], optionsOf({}, {}), (to) => {
      const host = new Host()
      const runner = runnerOn(host, needs, to)
      listen(to)
      runner.run(statements)
      listen(null)
    })
    return files.get('jsonl')?.toString() ?? ''
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
