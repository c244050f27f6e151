import { Ajv } from 'ajv'
import { describe, expect, it } from 'vitest'
import { scenario, writtenText } from '../support/written.ts'

/** lines as flamegraph.pl takes them apart: the stack, a space, a number */
const stacks = (text: string): { frames: string[]; weight: number }[] =>
  text
    .split('\n')
    .filter((l) => l !== '')
    .map((l) => {
      const m = /^(.*)\s+?(\d+(?:\.\d*)?)$/.exec(l)
      if (m === null) throw new Error(`flamegraph.pl would ignore: ${l}`)
      return { frames: (m[1] ?? '').split(';'), weight: Number(m[2]) }
    })
const sum = (list: { weight: number }[]): number => list.reduce((n, s) => n + s.weight, 0)

describe('folded', () => {
  it('has a stack a line, with who runs at its root', async () => {
    const list = stacks(await writtenText('folded', scenario('veth-tcp4-send-4096')))
    expect([...new Set(list.map((s) => s.frames.slice(0, 2).join(';')))]).toEqual([
      'host;skbtrace-1234',
      'host;softirq',
      'peer;softirq',
    ])
    expect(new Set(list.map((s) => s.frames.join(';'))).size).toBe(list.length)
    for (const { frames, weight } of list) {
      expect(weight).toBeGreaterThan(0)
      for (const f of frames) expect(f).toMatch(/^[\w.-]+(_\[i\])?$/)
    }
    const inlined = list.find((s) => s.frames.includes('dst_output_[i]'))
    expect(inlined?.frames[(inlined?.frames.indexOf('dst_output_[i]') ?? 0) - 1]).toBe('ip_local_out')
  })

  it('counts the calls that function_graph shows', async () => {
    const graph = await writtenText('function_graph', scenario('lo-udp4-sendto-512'), { graph: { detail: 'full' } })
    const calls = graph.split('\n').filter((l) => /^ 0\).*\(\)( \{|;)/.test(l))
    const list = stacks(
      await writtenText('folded', scenario('lo-udp4-sendto-512'), { weight: 'calls', graph: { detail: 'full' } }),
    )
    expect(sum(list)).toBe(calls.length)
  })

  it('counts the bytes that are copied: those of the message, once', async () => {
    const list = stacks(await writtenText('folded', scenario('lo-tcp4-send-300000'), { weight: 'bytes' }))
    // fixtures/refs/lo-tcp4-send-300000/results.txt
    expect(sum(list)).toBe(300000)
    for (const s of list) expect(s.frames).toContain('tcp_sendmsg_locked')
  })

  it('weighs the same work the same at each detail: what is not shown belongs to its caller', async () => {
    const at = async (detail: 'path' | 'full'): Promise<number> =>
      sum(
        stacks(
          await writtenText('folded', scenario('lo-tcp4-send-4096'), { graph: { detail, graphFunction: ['__x64_sys_sendto'] } }),
        ),
      )
    const [path, full] = [await at('path'), await at('full')]
    expect(path).toBeGreaterThan(1000)
    expect(Math.abs(path - full) / full).toBeLessThan(0.05)
  })
})

/** https://www.speedscope.app/file-format-schema.json, of an evented profile */
const schema = {
  type: 'object',
  required: ['$schema', 'profiles', 'shared'],
  properties: {
    $schema: { const: 'https://www.speedscope.app/file-format-schema.json' },
    activeProfileIndex: { type: 'number' },
    exporter: { type: 'string' },
    name: { type: 'string' },
    profiles: {
      type: 'array',
      items: {
        type: 'object',
        required: ['endValue', 'events', 'name', 'startValue', 'type', 'unit'],
        properties: {
          type: { const: 'evented' },
          name: { type: 'string' },
          startValue: { type: 'number' },
          endValue: { type: 'number' },
          unit: { enum: ['bytes', 'microseconds', 'milliseconds', 'nanoseconds', 'none', 'seconds'] },
          events: {
            type: 'array',
            items: {
              type: 'object',
              required: ['at', 'frame', 'type'],
              properties: { at: { type: 'number' }, frame: { type: 'number' }, type: { enum: ['O', 'C'] } },
              additionalProperties: false,
            },
          },
        },
        additionalProperties: false,
      },
    },
    shared: {
      type: 'object',
      required: ['frames'],
      properties: {
        frames: {
          type: 'array',
          items: {
            type: 'object',
            required: ['name'],
            properties: {
              name: { type: 'string' },
              file: { type: 'string' },
              line: { type: 'number' },
              col: { type: 'number' },
            },
            additionalProperties: false,
          },
        },
      },
    },
  },
}
interface File {
  profiles: { name: string; unit: string; endValue: number; events: { type: 'O' | 'C'; frame: number; at: number }[] }[]
  shared: { frames: { name: string; file?: string; line?: number }[] }
}

describe('speedscope', () => {
  const valid = new Ajv().compile(schema)

  it.each(['instructions', 'calls', 'bytes'] as const)(
    'is by the schema, nested, and its time never goes back: %s',
    async (weight) => {
      for (const name of ['lo-tcp4-send-300000', 'e1000-tcp4-tso-off', 'veth-tcp4-rto']) {
        const file = JSON.parse(await writtenText('speedscope', scenario(name), { weight })) as File
        expect(valid(file) || valid.errors).toBe(true)
        for (const p of file.profiles) {
          const open: number[] = []
          let last = 0
          for (const e of p.events) {
            expect(e.at).toBeGreaterThanOrEqual(last)
            last = e.at
            expect(e.frame).toBeLessThan(file.shared.frames.length)
            if (e.type === 'O') open.push(e.frame)
            else expect(open.pop()).toBe(e.frame)
          }
          expect(open).toEqual([])
          expect(p.endValue).toBe(last)
        }
      }
    },
  )

  it('has the place of each function in Linux', async () => {
    const file = JSON.parse(await writtenText('speedscope', scenario('lo-tcp4-send-4096'))) as File
    // `int tcp_sendmsg(` in Linux 6.12.117
    expect(file.shared.frames).toContainEqual({ name: 'tcp_sendmsg', file: 'net/ipv4/tcp.c', line: 1353 })
    expect(file.profiles.map((p) => p.name)).toEqual(['host skbtrace-1234', 'host softirq'])
  })

  it('weighs what folded weighs', async () => {
    for (const weight of ['instructions', 'bytes'] as const) {
      const file = JSON.parse(await writtenText('speedscope', scenario('veth-udp4-frag-4000'), { weight })) as File
      const list = stacks(await writtenText('folded', scenario('veth-udp4-frag-4000'), { weight }))
      expect(file.profiles.reduce((n, p) => n + p.endValue, 0)).toBe(sum(list))
    }
  })
})
