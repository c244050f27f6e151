import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Levels, level, parts, type Row, score } from '../support/score.ts'
import levels from './levels.json' with { type: 'json' }

const root = fileURLToPath(new URL('../..', import.meta.url))
const known: Levels = levels
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
  rows = score('fixtures/refs', Object.keys(known))
}, 240_000)

describe('each recording is met as well as it ever was', () => {
  test.each(Object.entries(known))('%s', (name, reached) => {
    const row = rows.find((r) => r.name === name)
    expect(row?.note).toBe('')
    expect(row?.results).toBe(1)
    expect(row?.strangers.filter((f) => !strangers[name]?.test(f))).toEqual([])
    for (const part of parts) expect(level(row, part), part).toBeGreaterThanOrEqual(reached[part])
  })

  test('every recording that this version covers is among them', () => {
    expect(Object.keys(known).sort()).toEqual(readdirSync(`${root}/fixtures/refs`).sort())
  })
})
