import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import levels from './levels.json' with { type: 'json' }

interface Row {
  name: string
  results: number
  net: number
  full: number
  skb: number
  wire: number
  strangers: string[]
  note: string
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const known = levels as Record<string, { net: number; full: number; skb: number; wire: number }>
/** functions shown that the kernel's trace of that scenario has not, and why they are */
const strangers: Record<string, RegExp> = {
  // the graph was recorded with a slow tracer: the first segment's ACK came before the option was set, and nothing was left to push
  'e1000-tcp4-nagle': /./,
  // the two ACKs carry one timestamp here and are merged in the backlog; in the recording a millisecond began between them
  'veth-tcp4-mss-536': /^kfree_skb_partial$/,
}
let rows: Row[] = []

/** The recordings of a real Linux 6.12.117 against what skbtrace does: fixtures/score/score.mjs compares. */
beforeAll(() => {
  const r = spawnSync(
    process.execPath,
    [
      'fixtures/score/score.mjs',
      'fixtures/refs',
      '--only',
      Object.keys(known).join(','),
      '--json',
      '--',
      process.execPath,
      'bin/skbtrace.js',
    ],
    { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 },
  )
  rows = JSON.parse(r.stdout.split('\n')[0] ?? '[]') as Row[]
}, 240_000)

describe('each recording is met as well as it ever was', () => {
  test.each(Object.entries(known))('%s', (name, level) => {
    const row = rows.find((r) => r.name === name)
    expect(row?.note).toBe('')
    expect(row?.results).toBe(1)
    expect(row?.strangers.filter((f) => !strangers[name]?.test(f))).toEqual([])
    // levels are in tenths of a per cent, rounded down
    for (const part of ['net', 'full', 'skb', 'wire'] as const)
      expect(Math.floor((row?.[part] ?? 0) * 1000), part).toBeGreaterThanOrEqual(level[part])
  })

  test('every recording that this version covers is among them', () => {
    expect(Object.keys(known).sort()).toEqual(readdirSync(`${root}/fixtures/refs`).sort())
  })
})
