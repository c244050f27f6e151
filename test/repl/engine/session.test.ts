import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { Host } from '../../../src/host/host.ts'
import type { LocalEngine } from '../../../src/repl/engine/engine.ts'
import { CONTEXT, ENTER, EXIT, LINE } from '../../../src/repl/engine/recording.ts'
import { Runner } from '../../../src/script/runner.ts'
import { parseScenario } from '../../../src/script/scenario.ts'
import { clock } from '../../../src/sim/clock.ts'
import { listen } from '../../../src/trace/tracer.ts'
import { makeRepl } from '../../support/repl.ts'

const refs = new URL('../../../fixtures/refs/', import.meta.url)

/** the lines of a recorded scenario */
const scenario = (name: string): string[] =>
  readFileSync(new URL(`${name}/scenario.scn`, refs), 'utf8')
    .split('\n')
    .filter((l) => l.trim() !== '' && !l.startsWith('#'))

interface Probe {
  fn: string
  len: number
  data_len: number
  truesize: number
  headroom: number
  protocol: string
  linear: string
}

describe.each(['lo-tcp4-send-4096', 'lo-udp4-sendto-512', 'veth-udp4-gso'])('%s', (name) => {
  test("the cursor sees the buffers that the kernel's own probes saw", async () => {
    const { engine, does } = makeRepl()
    for (const line of scenario(name)) expect(await does(line)).not.toContain('error:')
    const d = engine.debugger
    const traced = d.session.lines.findIndex((l) => l.text.startsWith('>')) + 1
    d.cursor = d.session.startOf(traced)
    const probes = readFileSync(new URL(`${name}/skb.jsonl`, refs), 'utf8')
      .split('\n')
      .filter((l) => l !== '')
      .map((l) => JSON.parse(l) as Probe)
    expect(probes.length).toBeGreaterThan(5)
    for (const p of probes) {
      await does(`advance ${p.fn}`)
      expect(engine.debugger.position?.fn).toBe(p.fn)
      // all five in one number, for one look at the kernel
      const sum = 'skb.len + 7 * skb->data_len + 49 * skb.truesize + 343 * (skb.data - skb.head) + 2401 * (u16)skb.protocol'
      const printed = (await does(`print ${sum}`)).replace(/^\$\d+ = /, '')
      expect([p.fn, printed]).toEqual([
        p.fn,
        String(p.len + 7 * p.data_len + 49 * p.truesize + 343 * p.headroom + 2401 * Number(p.protocol)),
      ])
      // the panes, which are recorded and not executed again, show the same
      const v = await engine.view({ skb: true })
      expect(v.skb?.fields.find((f) => f.name === 'len')?.value).toBe(String(p.len))
      expect(v.skb?.at).toBe(p.headroom)
      // ports, addresses and payload are the same in each run of the scenario; numbers and checksums are chance
      const linear = Buffer.from(p.linear, 'hex')
      expect(v.skb?.bytes.length).toBeGreaterThanOrEqual(linear.length)
      const same = (from: number, to: number): void =>
        expect(Buffer.from(v.skb?.bytes.subarray(from, to) ?? []).toString('hex')).toBe(linear.subarray(from, to).toString('hex'))
      if (linear[0] === 0x45) {
        same(0, 4)
        same(12, 20)
      }
      same(100, linear.length)
      // and they are the bytes of memory at that event
      const n = Math.min(40, linear.length)
      if (n > 0) {
        const memory = (await does(`x/${n}xb skb.data`)).match(/0x[0-9a-f]{2}(?=\s|$)/g)?.map(Number)
        expect(memory).toEqual([...(v.skb?.bytes.subarray(0, n) ?? [])])
      }
    }
  })
})

describe('moving', () => {
  let engine: LocalEngine
  let does: (line: string) => Promise<string>
  beforeAll(async () => {
    const r = makeRepl()
    engine = r.engine
    does = r.does
    await does('send 4096')
  })

  const state = async (): Promise<string> => {
    const v = await engine.view({ tree: { above: 3, below: 3 }, skb: true, state: true })
    const rows = v.state.map((g) => [g.title, ...g.rows.map((r) => `${r.name}=${r.value}`)])
    const skb =
      v.skb === null
        ? null
        : {
            ...v.skb,
            fields: v.skb.fields.map((f) => f.value),
            changed: 0,
            layers: 0,
            cells: v.skb.cells.map((c) => `${c.name} ${c.length}`),
          }
    return JSON.stringify([v.at, v.tree, rows, skb])
  }

  test('whatever way the cursor comes to an event, it sees the same', async () => {
    const seen = new Map<number, string>()
    const steps = ['step', 'next', 'stepi', 'finish', 'until', 'reverse-step', 'reverse-next', 'reverse-stepi', 'reverse-finish']
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.array(fc.constantFrom(...steps), { maxLength: 25 }), async (start, moves) => {
        await does(`goto ${start % (engine.debugger.session.length + 1)}`)
        for (const m of moves) {
          await does(m)
          const at = engine.debugger.cursor
          const now = await state()
          expect(seen.get(at) ?? now).toBe(now)
          seen.set(at, now)
        }
      }),
      { numRuns: 40, seed: 4 },
    )
  })

  test('a step back undoes a step', async () => {
    const d = engine.debugger
    for (let e = 0; e < d.session.length; e += 7) {
      await does(`goto ${e}`)
      await does('stepi')
      await does('reverse-stepi')
      expect(d.cursor).toBe(e)
      if (!d.walk.entry(e)) continue
      await does('step')
      await does('reverse-step')
      expect(d.cursor).toBe(e)
    }
  })

  test('finish goes to where the function returns, reverse-finish to where it was called', async () => {
    const d = engine.debugger
    await does('goto start')
    await does('advance tcp_sendmsg')
    const entry = d.cursor
    expect(await does('finish')).toMatch(/Run till exit from tcp_sendmsg[\s\S]*Value returned is \$\d+ = 4096/)
    await does('reverse-finish')
    expect(d.cursor).toBe(entry)
    await does('next')
    expect(d.session.recording.depth.get(d.cursor)).toBeLessThanOrEqual(d.session.recording.depth.get(entry))
  })

  test('the stack is that of the calls', async () => {
    await does('goto start')
    await does('advance loopback_xmit')
    const bt = (await does('bt')).split('\n').map((l) => /^#\d+ +(\w+)/.exec(l)?.[1])
    expect(bt[0]).toBe('loopback_xmit')
    for (const fn of ['dev_hard_start_xmit', '__dev_queue_xmit', 'ip_finish_output2', 'ip_queue_xmit', 'tcp_connect'])
      expect(bt).toContain(fn)
    expect(await does('up')).toContain('#1')
    expect(await does('print $fn')).toContain('"')
    expect(await does('down')).toContain('#0  loopback_xmit')
    expect(await does('down')).toContain('error: this is the innermost frame')
  })

  test('an empty line repeats a step where somebody types, and nothing else', async () => {
    const r = makeRepl(true)
    await r.does('send 100')
    await r.does('goto start')
    await r.does('step')
    const at = r.engine.debugger.cursor
    await r.does('')
    expect(r.engine.debugger.cursor).toBeGreaterThan(at)
    await r.does('print 1')
    expect(await r.does('')).toBe('')
  })
})

test('a short word stops where the message is sent, not where the connection is made', async () => {
  const { engine, does } = makeRepl()
  await does('break ip_queue_xmit')
  expect(await does('send 4096')).toContain('Breakpoint 1, ip_queue_xmit')
  expect(await does('print skb.len')).toBe('$1 = 4128')
  expect((await does('x/40xb skb.data')).split('\n')).toHaveLength(5)
  expect(engine.debugger.position?.lineText).toBe('> send(c, 4096, 0)')
  // seen before it is over, it has no result yet; at the end it has
  expect(await does('delete')).toBe('1 removed')
  expect(await does('continue')).toContain('> send(c, 4096, 0) = 4096')
})

test('the columns hold what a sink is told, event by event', async () => {
  const { engine, does } = makeRepl()
  const lines = scenario('lo-tcp4-send-4096')
  for (const l of lines) await does(l)
  const told: (string | number)[][] = []
  const note = (kind: string) => (): void => {
    told.push([kind])
  }
  const host = new Host()
  listen({
    enter: (call) => told.push(['enter', call.fn.name, call.kind, clock.now]),
    exit: (call, ret) =>
      told.push(['exit', call.fn.name, clock.now, typeof ret === 'number' && call.fn.symbol.returns !== 'void' ? ret : '']),
    copy: (bytes, from, to) => told.push(['copy', bytes, `${from} to ${to}`]),
    context: (now) => told.push(['context', now.kind, now.comm]),
    decision: note('decision'),
    drop: note('drop'),
    tracepoint: note('tracepoint'),
    indirect: note('indirect'),
    frame: note('frame'),
    free: note('free'),
    card: note('card'),
  })
  const runner = new Runner(host, { begin: () => {}, end: () => {} })
  for (const s of parseScenario(lines.join('\n'))) runner.step(s)
  listen(null)
  const r = engine.debugger.session.recording
  const kept: (string | number)[][] = []
  for (let i = 0; i < r.length; i++) {
    const call = r.call(i)
    switch (r.kind(i)) {
      case LINE:
        break
      case ENTER:
        kept.push(['enter', call?.fn.name ?? '', call?.kind ?? '', r.time.get(i)])
        break
      case EXIT: {
        const ret = r.aux.get(i) < 0 ? '' : r.pool.get(r.aux.get(i))
        kept.push([
          'exit',
          call?.fn.name ?? '',
          r.time.get(i),
          typeof ret === 'number' && told[kept.length]?.[3] !== '' ? ret : '',
        ])
        expect(r.call(r.link.get(i))).toBe(call)
        break
      }
      case CONTEXT:
        kept.push(['context', r.executionAt(i)?.kind ?? '', r.executionAt(i)?.comm ?? ''])
        break
      case 3:
        kept.push(['copy', r.aux.get(i), r.pool.text(r.ref.get(i))])
        break
      default:
        kept.push([['decision', 'drop', 'tracepoint', 'indirect', '', 'frame', 'free', 'card'][r.kind(i) - 4] ?? ''])
    }
  }
  expect(kept.length).toBe(told.length)
  expect(kept).toEqual(told)
})

test('counters are those of the kernel at every event', async () => {
  const { engine, does } = makeRepl()
  await does('udp 512')
  await does('send 4096')
  const counter = async (of: string, name: string): Promise<string> => {
    const v = await engine.view({ counters: true })
    return v.state.find((g) => g.title === `counters: ${of}`)?.rows.find((r) => r.name === name)?.value ?? '0'
  }
  for (const event of [0, 400, 1500, 3000, 5000, engine.debugger.session.length]) {
    await does(`goto ${event}`)
    for (const [of, name] of [
      ['ip', 'OutRequests'],
      ['tcp', 'OutSegs'],
      ['udp', 'OutDatagrams'],
    ] as const)
      expect([event, name, await counter(of, name)]).toEqual([
        event,
        name,
        (await does(`print net.mib.${of}.${name}`)).replace(/.*= /, ''),
      ])
  }
})
