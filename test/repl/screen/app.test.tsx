import { render } from 'ink-testing-library'
import { describe, expect, it } from 'vitest'
import type { Engine, Reply, View, Want } from '../../../src/repl/engine/types.ts'
import { App } from '../../../src/repl/screen/app.tsx'
import { firstWalk } from '../../../src/repl/screen/tour.ts'

const position = {
  event: 12,
  events: 345,
  kind: 'enter',
  fn: 'ip_queue_xmit',
  call: 'call',
  depth: 9,
  line: 2,
  lineText: 'send 4096',
  ns: 60_000_012_345,
  context: 'task skbtrace/1234',
} as const

/** an engine that only remembers what it was asked */
class Scripted implements Engine {
  onProgress = null
  readonly lines: string[] = []
  readonly wants: Want[] = []
  interrupted = 0
  hold: Promise<void> | null = null
  submit = async (line: string): Promise<Reply> => {
    this.lines.push(line)
    await this.hold
    if (line === 'broken') throw new Error('out of memory')
    if (line === 'bad')
      return { ok: false, blocks: [{ kind: 'error', text: "'bad' is no command" }], quit: false, at: null, changed: false }
    return { ok: true, blocks: [{ kind: 'result', text: `did ${line}` }], quit: line === 'quit', at: position, changed: true }
  }
  view = async (want: Want): Promise<View> => {
    this.wants.push(want)
    const rows = (want.tree?.above ?? 0) + (want.tree?.below ?? 0)
    return {
      at: position,
      tree: Array.from({ length: rows }, (_, i) => ({
        event: i,
        kind: 'enter',
        indent: i,
        name: `fn_${i}`,
        call: 'call',
        text: 'skb=skb 1',
        ret: '',
        ns: 1234,
        folded: 0,
        cursor: i === 2,
        ancestor: i < 2,
        breakpoint: 0,
      })),
      skb: {
        id: 1,
        title: 'skb 1, held by tcp#4',
        fields: [
          { name: 'len', value: '4148', was: '4096' },
          { name: 'truesize', value: '5056', was: null },
        ],
        cells: [
          { name: 'headroom', length: 268, changed: true },
          { name: 'IPv4', length: 20, changed: false },
          { name: 'tailroom', length: 64, changed: false },
        ],
        frags: [4096],
        bytes: Uint8Array.from({ length: 64 }, (_, i) => i),
        at: 268,
        changed: [[0, 4]],
        layers: [
          {
            protocol: 'IPv4',
            offset: 0,
            length: 20,
            fields: [{ name: 'ttl', text: '64', offset: 8, length: 1, changed: false }],
          },
        ],
      },
      state: [{ title: 'tcp#4', rows: [{ name: 'snd_cwnd', value: '10', was: null }] }],
      displays: [],
    }
  }
  complete = async (line: string) => ({
    from: 0,
    to: line.length,
    candidates: line.startsWith('se')
      ? [
          { text: 'send', hint: 'send bytes over TCP' },
          { text: 'setsockopt', hint: 'a system call' },
        ]
      : [{ text: 'break', hint: 'stop there' }],
  })
  interrupt = (): void => {
    this.interrupted++
  }
  close = async (): Promise<void> => {}
}

const settle = (): Promise<void> => new Promise((r) => setTimeout(r, 40))

function start(tour = false) {
  const engine = new Scripted()
  const remembered: string[] = []
  const screen = render(
    <App engine={engine} history={['send 1']} remember={(l) => remembered.push(l)} tour={tour ? firstWalk : null} />,
  )
  const type = async (...keys: string[]): Promise<void> => {
    for (const k of keys) {
      screen.stdin.write(k)
      await settle()
    }
  }
  const frame = (): string => screen.lastFrame() ?? ''
  /** waits for it: ink draws when it finds the time */
  const sees = async (text: string): Promise<void> => {
    for (let i = 0; i < 100 && !frame().includes(text); i++) await settle()
    expect(frame()).toContain(text)
  }
  return { engine, remembered, type, frame, sees, done: () => screen.unmount() }
}

describe('the screen', () => {
  it('does a line, prints what came of it above, and shows the panes at the cursor', async () => {
    const s = start()
    await settle()
    await s.type(...'send 4096', '\r')
    expect(s.engine.lines).toEqual(['send 4096'])
    expect(s.remembered).toEqual(['send 4096'])
    await s.sees('(skbtrace) send 4096')
    await s.sees('did send 4096')
    await s.sees('fn_2(skb=skb 1)')
    await s.sees('|headroom 268|IPv4 20|tailroom 64| + frag 4096')
    await s.sees('ip_queue_xmit')
    for (const line of s.frame().split('\n')) expect(line.length).toBeLessThanOrEqual(100)
    s.done()
  })

  it('steps by single keys, backward with capitals, and leaves them with Esc', async () => {
    const s = start()
    await settle()
    await s.type('\u001b', 's', 'N', 'c', '\u001b', 'q')
    expect(s.engine.lines).toEqual(['step', 'reverse-next', 'continue'])
    await s.sees('(skbtrace) q')
    s.done()
  })

  it('completes with Tab: what all begin with, then one after the other', async () => {
    const s = start()
    await settle()
    await s.type('s', 'e', '\t')
    await s.sees('send bytes over TCP')
    await s.type('\t')
    await s.sees('(skbtrace) send')
    await s.type('\t')
    await s.sees('(skbtrace) setsockopt')
    s.done()
  })

  it('shows an error and goes on', async () => {
    const s = start()
    await settle()
    await s.type(...'bad', '\r', ...'ok', '\r')
    await s.sees("'bad' is no command")
    expect(s.engine.lines).toEqual(['bad', 'ok'])
    s.done()
  })

  it('says so when the engine fails, and takes the next line', async () => {
    const s = start()
    await settle()
    await s.type(...'broken', '\r', ...'ok', '\r')
    await s.sees('out of memory')
    await s.sees('did ok')
    s.done()
  })

  it('tells Backspace from Delete', async () => {
    const s = start()
    await settle()
    await s.type(...'abcd', '\u001b[D', '\u001b[D', '\u001b[3~')
    await s.sees('(skbtrace) abd')
    await s.type('\u007f')
    await s.sees('(skbtrace) ad')
    s.done()
  })

  it('takes keys that come together one by one, and a completion that comes late for nothing', async () => {
    const s = start()
    await settle()
    await s.type('\u001b', 'sN', '\u001b')
    expect(s.engine.lines).toEqual(['step', 'reverse-next'])
    const { complete } = s.engine
    let go = (): void => {}
    const late = new Promise<void>((r) => {
      go = r
    })
    s.engine.complete = async (line) => {
      await late
      return complete(line)
    }
    await s.type('b', '\t', 'x')
    go()
    await settle()
    await s.sees('(skbtrace) bx')
    s.done()
  })

  it('stops what runs with Ctrl-C, and clears a line that nothing runs for', async () => {
    const s = start()
    await settle()
    let go = (): void => {}
    s.engine.hold = new Promise((r) => {
      go = r
    })
    await s.type(...'x', '\r', '\u0003')
    expect(s.engine.interrupted).toBe(1)
    go()
    await settle()
    await s.type(...'half', '\u0003')
    expect(s.frame()).not.toContain('half')
    expect(s.engine.interrupted).toBe(1)
    s.done()
  })

  it('goes through earlier lines, and takes pasted ones one by one', async () => {
    const s = start()
    await settle()
    await s.type('\u001b[A')
    await s.sees('(skbtrace) send 1')
    await s.type('\u0003', 'send 1\nsend 2\nudp')
    expect(s.engine.lines).toEqual(['send 1', 'send 2'])
    await s.sees('(skbtrace) udp')
    // where the cursor is
    await s.type('\u0001', 'send 3\nxx ')
    expect(s.engine.lines).toEqual(['send 1', 'send 2', 'send 3'])
    await s.sees('(skbtrace) xx udp')
    s.done()
  })

  it('leads through the tour: each stop does its lines, says its words and asks its question', async () => {
    const s = start(true)
    await settle()
    await s.sees('1/10')
    await s.type('\u001b[C')
    await s.sees('2/10')
    const [one, two] = firstWalk.stops
    expect(s.engine.lines).toEqual([...(one?.lines ?? []), ...(two?.lines ?? [])])
    await s.sees(two?.answer ?? '?')
    s.done()
  })
})
