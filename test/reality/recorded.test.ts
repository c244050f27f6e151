import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Levels, level, parts, type Row, score } from '../support/score.ts'
import levels from './recorded.json' with { type: 'json' }

const folder = 'fixtures/recorded'
const known: Levels = levels
let rows: Row[] = []

/** Other combinations, recorded on the same kernel by scripts/record: docs/recording.md. */
beforeAll(() => {
  rows = score(folder, Object.keys(known))
}, 240_000)

describe('each of our own recordings is met as well as it ever was', () => {
  test.each(Object.entries(known))('%s', (name, reached) => {
    const row = rows.find((r) => r.name === name)
    expect(row?.note).toBe('')
    expect(row?.results).toBe(1)
    for (const part of parts) expect(level(row, part), part).toBeGreaterThanOrEqual(reached[part])
  })

  test('every one of them is compared', () => {
    const there = readdirSync(fileURLToPath(new URL(`../../${folder}`, import.meta.url)), { withFileTypes: true })
    expect(Object.keys(known).sort()).toEqual(there.flatMap((e) => (e.isDirectory() ? [e.name] : [])).sort())
  })
})
