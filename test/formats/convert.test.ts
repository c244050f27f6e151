import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { GraphOptions } from '../../src/formats/graph_options.ts'
import { randomScenario, scenarioText } from '../support/random_scenarios.ts'
import { liveAndConverted } from '../support/saved.ts'
import { scenario } from '../support/written.ts'

const everything: Partial<GraphOptions> = {
  detail: 'full',
  args: true,
  retval: true,
  proc: true,
  abstime: true,
  places: true,
  why: true,
}

/** the formats whose bytes are not the same */
async function different(text: string, graph: Partial<GraphOptions> = {}): Promise<string[]> {
  const { live, converted } = await liveAndConverted(text, graph)
  expect([...converted.keys()]).toEqual([...live.keys()])
  return [...live].filter(([name, bytes]) => !bytes.equals(converted.get(name) ?? Buffer.alloc(0))).map(([name]) => name)
}

describe('a saved trace', () => {
  it.each([
    'lo-tcp4-send-4096',
    'lo-tcp4-msg-more',
    'veth-tcp4-rto',
    'veth-udp4-frag-4000',
    'e1000-tcp4-nagle',
    'virtio-tcp4-zerocopy-16384',
  ])('%s: every format is made of it as it was made live', async (name) => {
    expect(await different(scenario(name))).toEqual([])
    expect(await different(scenario(name), everything)).toEqual([])
    expect(await different(scenario(name), { netns: 'all', detail: 'net' })).toEqual([])
  })

  it('is enough for every format, whatever the devices, queues, options and calls', async () => {
    await fc.assert(
      fc.asyncProperty(randomScenario, fc.boolean(), async (s, all) => {
        const text = scenarioText(s)
          .split('\n')
          .map((l) => (/^(\w+ = )?(send|write|recv|read|sendmsg|sendto|close|connect)\w*\(/.test(l) ? `> ${l}` : l))
          .join('\n')
        expect(await different(text, all ? everything : {})).toEqual([])
      }),
      { numRuns: Number(process.env.SKBTRACE_RUNS ?? 6), seed: Number(process.env.SKBTRACE_SEED ?? 4), endOnFailure: true },
    )
  }, 120_000)
})
