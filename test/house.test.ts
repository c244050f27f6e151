import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const src = fileURLToPath(new URL('../src', import.meta.url))
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((f) => /\.tsx?$/.test(f) && !f.includes('generated'))

/** what each folder may import, besides itself: docs/architecture.md */
const below: Record<string, readonly string[]> = {
  sim: [],
  trace: ['sim'],
  hardware: ['sim', 'trace'],
  kernel: ['sim', 'trace', 'hardware'],
  host: ['kernel', 'trace', 'sim', 'hardware'],
  decode: ['trace'],
  formats: ['trace', 'decode', 'sim'],
  script: ['host', 'kernel', 'trace', 'sim', 'hardware'],
  repl: ['script', 'formats', 'decode', 'host', 'kernel', 'trace', 'sim', 'hardware'],
  cli: ['repl', 'script', 'formats', 'decode', 'host', 'kernel', 'trace', 'sim', 'hardware'],
  'index.ts': ['script', 'formats', 'decode', 'host', 'trace'],
}

interface Import {
  from: string
  to: string
  /** for its types only: nothing is loaded */
  typeOnly: boolean
}

function imports(): Import[] {
  return files.flatMap((from) =>
    [
      ...readFileSync(join(src, from), 'utf8').matchAll(
        /^(?:import|export)\s+(type\s+)?[^'"]*?from '(\.[^']+)'|^import '(\.[^']+)'/gm,
      ),
    ].map((m) => ({
      from,
      to: relative(src, join(src, dirname(from), m[2] ?? m[3] ?? '')),
      typeOnly: m[1] !== undefined,
    })),
  )
}

const top = (f: string): string => f.split('/')[0] ?? ''

test('imports run down the house only', () => {
  const up = imports().filter((i) => top(i.from) !== top(i.to) && !(below[top(i.from)] ?? []).includes(top(i.to)))
  expect(up.map((i) => `${i.from} -> ${i.to}`)).toEqual([])
})

test('inside the kernel, the core of the network does not know the protocols above it', () => {
  const core =
    /^kernel\/(include|lib|kernel|mm|fs|net\/core|net\/ethernet|net\/sched)\/|^kernel\/(net\/netfilter\/core|drivers\/net\/loopback)\.ts$/
  const upper = /^kernel\/net\/(ipv4|ipv6|unix|bridge|packet)\//
  const up = imports().filter((i) => !i.typeOnly && core.test(i.from) && upper.test(i.to))
  expect(up.map((i) => `${i.from} -> ${i.to}`)).toEqual([])
})
