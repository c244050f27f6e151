import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { listen } from '../../src/trace/tracer.ts'

/** what ftrace would see of the functions that `body` calls, as calls-full.txt writes it: two spaces a level */
export function visibleCalls(body: () => void): string[] {
  const out: string[] = []
  let depth = 0
  listen({
    enter(call) {
      if (call.visible) out.push('  '.repeat(depth++) + call.fn.name.replace(/\.(isra|constprop|part)\.\d+/g, ''))
    },
    exit(call) {
      if (call.visible) depth--
    },
  })
  try {
    body()
  } finally {
    listen(null)
  }
  return out
}

/** the first call of `name` in a recording, with everything below it, from depth 0 on */
export function recordedCalls(scenario: string, name: string): string[] {
  const lines = readFileSync(join(import.meta.dirname, '../../fixtures/refs', scenario, 'calls-full.txt'), 'utf8').split('\n')
  const at = lines.findIndex((l) => l.trim() === name)
  if (at < 0) throw new Error(`${scenario}: no ${name}`)
  const indent = (l: string): number => l.length - l.trimStart().length
  const base = indent(lines[at] ?? '')
  const out = [name]
  for (let i = at + 1; i < lines.length && indent(lines[i] ?? '') > base; i++) out.push((lines[i] ?? '').slice(base))
  return out
}
