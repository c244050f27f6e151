import { describe, expect, it } from 'vitest'
import { scenario, writtenText } from '../support/written.ts'

interface TraceEvent {
  ph: string
  name?: string
  cat?: string
  pid: number
  tid: number
  ts?: number
  id?: number
  bp?: string
  s?: string
  args?: Record<string, unknown>
}
interface Slice {
  name: string
  thread: string
  start: number
  end: number
  around: Slice | null
  args: Record<string, unknown>
}

/**
 * Reads trace events by the rules of the format ("Trace Event Format", Google, 2016), as strictly as one can: every event has its
 * fields, slices of a thread nest and are closed in order, an arrow begins before it ends, at slices that are there.
 */
function read(text: string): {
  events: TraceEvent[]
  slices: Slice[]
  threads: Map<string, string>
  arrows: { name: string; from: Slice; to: Slice }[]
} {
  const file = JSON.parse(text) as { displayTimeUnit: string; traceEvents: TraceEvent[] }
  expect(file.displayTimeUnit).toBe('ns')
  const processes = new Map<number, string>()
  const names = new Map<string, string>()
  const slices: Slice[] = []
  const open = new Map<string, Slice[]>()
  const last = new Map<string, number>()
  const starts = new Map<number, TraceEvent>()
  const ends: TraceEvent[] = []
  for (const e of file.traceEvents) {
    expect(Number.isInteger(e.pid) && Number.isInteger(e.tid)).toBe(true)
    const thread = `${e.pid}/${e.tid}`
    if (e.ph === 'M') {
      if (e.name === 'process_name') processes.set(e.pid, String(e.args?.name))
      if (e.name === 'thread_name') names.set(thread, String(e.args?.name))
      continue
    }
    expect(typeof e.ts).toBe('number')
    const ts = e.ts as number
    // whole nanoseconds
    expect(Math.abs(ts * 1000 - Math.round(ts * 1000))).toBeLessThan(0.02)
    const stack = open.get(thread) ?? []
    open.set(thread, stack)
    switch (e.ph) {
      case 'B':
      case 'E': {
        expect(ts).toBeGreaterThanOrEqual(last.get(thread) ?? 0)
        last.set(thread, ts)
        if (e.ph === 'B') {
          expect(e.name).toBeTruthy()
          const slice = { name: e.name ?? '', thread, start: ts, end: -1, around: stack.at(-1) ?? null, args: e.args ?? {} }
          stack.push(slice)
          slices.push(slice)
        } else {
          const slice = stack.pop()
          if (slice === undefined) throw new Error('a slice ends that did not begin')
          slice.end = ts
          Object.assign(slice.args, e.args)
        }
        break
      }
      case 'i':
        expect(e.s).toBe('t')
        break
      case 'C':
        expect(typeof e.args?.value).toBe('number')
        break
      case 's':
        expect(starts.has(e.id ?? 0)).toBe(false)
        starts.set(e.id ?? 0, e)
        break
      case 'f':
        expect(e.bp).toBe('e')
        ends.push(e)
        break
      default:
        throw new Error(`an event of a kind that is not used: ${e.ph}`)
    }
  }
  for (const [, stack] of open) expect(stack).toEqual([])
  const at = (e: TraceEvent): Slice => {
    const thread = `${e.pid}/${e.tid}`
    const found = slices.filter((s) => s.thread === thread && s.start <= (e.ts ?? 0) && (e.ts ?? 0) <= s.end).at(-1)
    if (found === undefined) throw new Error(`an arrow without a slice at ${thread} ${e.ts}`)
    return found
  }
  const arrows = ends.map((e) => {
    const s = starts.get(e.id ?? 0)
    if (s === undefined || (s.ts ?? 0) > (e.ts ?? 0)) throw new Error('an arrow ends that did not begin')
    return { name: e.name ?? '', from: at(s), to: at(e) }
  })
  expect(arrows.length).toBe(starts.size)
  const threads = new Map([...names].map(([id, name]) => [id, `${processes.get(Number(id.split('/')[0]))}: ${name}`]))
  return { events: file.traceEvents, slices, threads, arrows }
}

describe('perfetto', () => {
  it.each([
    ['lo-tcp4-send-4096', '4096'],
    ['veth-udp4-frag-4000', '4000'],
    ['e1000-tcp4-tso-off', '4096'],
    ['unix-stream-send-4096', '4096'],
    ['lo-tcp4-send-unconnected', '-1 EPIPE'],
  ])('follows the rules of the format: %s', async (name, result) => {
    for (const detail of ['path', 'full'] as const) {
      const { slices } = read(await writtenText('perfetto', scenario(name), { graph: { detail } }))
      expect(slices[0]?.around).toBeNull()
      expect(slices[0]?.args.result).toBe(result)
    }
  })

  it('has a process for each namespace and a thread for each task and its softirqs, joined by arrows', async () => {
    const { slices, threads, arrows } = read(await writtenText('perfetto', scenario('veth-tcp4-send-4096')))
    expect([...threads.values()].sort()).toEqual(['host: skbtrace-1234', 'host: softirq', 'netns peer: softirq'])
    const thread = (s: Slice): string => threads.get(s.thread) ?? ''
    const received = slices.find((s) => s.name === 'tcp_v4_rcv' && thread(s) === 'netns peer: softirq')
    expect(received?.args).toMatchObject({ src: 'net/ipv4/tcp_ipv4.c:2183', len: 4128 })
    const call = slices.find((s) => s.name === 'send(c, 4096, 0)')
    expect(call?.args.result).toBe('4096')
    expect(call?.around).toBeNull()
    // the clone that goes out, and its way to the other side
    expect(arrows.some((a) => a.name === 'clone' && thread(a.from) === thread(a.to))).toBe(true)
    const over = arrows.find((a) => thread(a.from) === 'host: skbtrace-1234' && thread(a.to) === 'netns peer: softirq')
    expect(over?.from.args.skb).toBe(over?.to.args.skb)
  })

  it('follows a frame over a cable, where it becomes another buffer', async () => {
    const { threads, arrows } = read(await writtenText('perfetto', scenario('virtio-tcp4-send-4096')))
    const over = arrows.find((a) => threads.get(a.from.thread) !== threads.get(a.to.thread) && a.to.args.skb !== a.from.args.skb)
    expect(threads.get(over?.to.thread ?? '')).toBe('netns peer: softirq')
  })

  it('has counters of the socket: as many bytes are queued as the buffer takes, then none', async () => {
    const { events } = read(await writtenText('perfetto', scenario('lo-tcp4-send-4096')))
    const counter = (name: string): unknown[] =>
      events.filter((e) => e.ph === 'C' && e.name === `tcp#4 127.0.0.1:40000 > 127.0.0.1:8080 ${name}`).map((e) => e.args?.value)
    // the head of fixtures/refs/lo-tcp4-send-4096/skb.jsonl has truesize 5056 with its 4096 bytes of payload
    expect(counter('sk_wmem_queued')).toEqual([0, 960, 5056, 0])
    // TCP_INIT_CWND; it does not grow, since it was not used up (RFC 9293's sender, RFC 7661)
    expect(counter('snd_cwnd')).toEqual([10])
    expect(counter('in_flight')).toEqual([0, 1, 0])
  })

  it('has points for copies, drops and decisions', async () => {
    const { events } = read(await writtenText('perfetto', scenario('lo-udp4-noport')))
    const points = (cat: string): (string | undefined)[] => events.filter((e) => e.ph === 'i' && e.cat === cat).map((e) => e.name)
    expect(points('copy')).toContain('copy 100 bytes')
    expect(points('drop')).toContain('drop NO_SOCKET')
    expect(points('decision')).toContain('nobody listens')
  })
})
