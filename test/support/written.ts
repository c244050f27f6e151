import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defaults, type GraphOptions } from '../../src/formats/graph_options.ts'
import { Output } from '../../src/formats/output.ts'
import { type FormatOptions, formatByName } from '../../src/formats/registry.ts'
import { Host } from '../../src/host/host.ts'
import { loadNeeds, runnerOn } from '../../src/script/needs.ts'
import { parseScenario } from '../../src/script/scenario.ts'
import { listen } from '../../src/trace/tracer.ts'

/** the text of a recorded scenario */
export const scenario = (name: string): string =>
  readFileSync(join(import.meta.dirname, '../../fixtures/refs', name, 'scenario.scn'), 'utf8')

/** Runs a scenario into a file of that format and gives `use` its path; `file` is the file's name. */
export async function written<T>(
  format: string,
  text: string,
  use: (path: string) => T,
  options: Partial<Omit<FormatOptions, 'graph'>> & { graph?: Partial<GraphOptions>; file?: string } = {},
): Promise<T> {
  const entry = formatByName(format)
  if (entry === undefined) throw new Error(`no format ${format}`)
  const make = await entry.load()
  const statements = parseScenario(text)
  const needs = await loadNeeds(statements)
  const dir = mkdtempSync(join(tmpdir(), 'skbtrace-test-'))
  try {
    const path = join(dir, options.file ?? `x${entry.endings[0] ?? ''}`)
    const out = Output.open(path, { patches: entry.patches === true })
    const to = make(out, {
      hexdump: 'none',
      style: null,
      points: 'devices',
      weight: 'instructions',
      diagram: 'sequence',
      command: 'skbtrace run x.scn',
      version: '1',
      kernel: '6.12.117',
      seed: 1,
      ...options,
      graph: { ...defaults, ...options.graph },
    } as FormatOptions)
    const host = new Host()
    const runner = runnerOn(host, needs, to)
    listen(to)
    try {
      runner.run(statements)
    } finally {
      listen(null)
    }
    to.close()
    out.finish()
    return use(path)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

/** the same, as text */
export const writtenText = (format: string, text: string, options: Parameters<typeof written>[3] = {}): Promise<string> =>
  written(format, text, (path) => readFileSync(path, 'utf8'), options)
