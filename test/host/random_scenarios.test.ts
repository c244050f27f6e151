import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { complaints } from '../support/ledger.ts'
import { randomScenario } from '../support/random_scenarios.ts'

// for a longer search: SKBTRACE_RUNS=2000 SKBTRACE_SEED=7 npx vitest run test/host/random_scenarios.test.ts
const numRuns = Number(process.env.SKBTRACE_RUNS ?? 70)
const seed = Number(process.env.SKBTRACE_SEED ?? 1)

describe('whatever the devices, queues, rules, options and calls', () => {
  test('every byte arrives in order or is counted as dropped, nothing is left behind, and a second run is the same', async () => {
    await fc.assert(
      fc.asyncProperty(randomScenario, async (s) => {
        expect(await complaints(s)).toEqual([])
      }),
      // shrinking takes minutes: only where somebody looks for the cause
      { numRuns, seed, endOnFailure: process.env.SKBTRACE_SHRINK === undefined },
    )
  }, 600_000)
})
