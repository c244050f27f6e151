import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { hasTmux, Terminal } from '../support/terminal.ts'

const STATUS = / ip_queue_xmit {2}event (\d+) of (\d+)/
let t: Terminal | null = null
const start = (columns: number, rows: number, ...args: string[]): Terminal => {
  t = new Terminal(columns, rows, args)
  return t
}
afterEach(() => {
  t?.close()
  t = null
})

/** the headroom that the recorded kernel had at a function's entry */
const recorded = readFileSync(join(import.meta.dirname, '../../fixtures/refs/lo-tcp4-send-4096/skb.jsonl'), 'utf8')
  .split('\n')
  .filter((l) => l !== '')
  .map((l) => JSON.parse(l) as { fn: string; headroom: number; len: number })
const at = (fn: string) => recorded.find((r) => r.fn === fn)

describe.runIf(hasTmux).each([
  [80, 24],
  [120, 40],
])('the REPL on a terminal of %i x %i', (columns, rows) => {
  it('a first session: break, send, step, bytes, back, on, leaving', async () => {
    const term = start(columns, rows)
    const first = await term.until(/\(skbtrace\)/)
    expect(first).toContain('nothing has run yet')
    term.line('break ip_queue_xmit')
    await term.until(/Breakpoint 1: ip_queue_xmit/)
    term.line('send 4096')
    const stopped = await term.until(STATUS)
    // the whole frame is there, and no line is longer than the terminal
    expect(stopped).toContain('─ call tree ')
    expect(stopped).toContain('─ sk_buff ')
    expect(stopped).toMatch(/> ip_queue_xmit\(/)
    // as the kernel had it one function further down, before IP pushed its 20 bytes
    expect(stopped).toContain(`|headroom ${(at('ip_output')?.headroom ?? 0) + 20}|TCP 32|tailroom 64| + frag 4096`)
    term.line('step')
    await term.until(/__ip_queue_xmit {2}event/)
    term.line('x/40xb skb.data')
    const dump = await term.until(/head\+288:/, true)
    expect(dump).toMatch(/head\+288:(\s+0x[0-9a-f]{2}){8}/)
    term.line('reverse-next')
    const back = await term.until(STATUS)
    expect(STATUS.exec(back)?.[1]).toBe(STATUS.exec(stopped)?.[1])
    term.line('continue')
    await term.until(/ ip_queue_xmit {2}event (?!4347)/)
    term.key('C-d')
    const left = await term.until(/\[exit 0\]/)
    expect(left).not.toContain('Error')
  })

  it('steps by single keys, forward and back', async () => {
    const term = start(columns, rows)
    await term.until(/\(skbtrace\)/)
    term.line('break tcp_write_xmit')
    term.line('send 1')
    const begin = /tcp_write_xmit {2}event (\d+)/.exec(await term.until(/tcp_write_xmit {2}event \d+/))?.[1]
    term.key('Escape')
    await term.until(/KEYS/)
    for (const k of ['s', 's', 's', 'S', 'S', 'S']) {
      term.key(k)
      await new Promise((r) => setTimeout(r, 150))
    }
    expect(/tcp_write_xmit {2}event (\d+)/.exec(await term.until(/tcp_write_xmit {2}event \d+/))?.[1]).toBe(begin)
    term.key('Escape')
    await term.until(/\(skbtrace\)/)
  })

  it('completes, says what is wrong with a line, and goes on', async () => {
    const term = start(columns, rows)
    await term.until(/\(skbtrace\)/)
    term.type('break tcp_write_x')
    term.key('Tab')
    await term.until(/break tcp_write_xmit/)
    term.key('Enter')
    await term.until(/Breakpoint 1: tcp_write_xmit/)
    term.line('brake tcp_ack')
    await term.until(/brake/)
    term.line('send 10')
    await term.until(/tcp_write_xmit {2}event/)
    term.key('Up', 'Up', 'Up')
    await term.until(/\(skbtrace\) break tcp_write_xmit/)
  })

  it('fits itself to another size', async () => {
    const term = start(columns, rows)
    await term.until(/\(skbtrace\)/)
    term.line('send 4096')
    await term.until(/call tree/)
    const other: [number, number] = columns === 80 ? [120, 40] : [80, 24]
    term.resize(...other)
    await new Promise((r) => setTimeout(r, 500))
    term.line('info fds')
    const text = await term.until(/info fds/)
    expect(text.match(/─ call tree /g)).toHaveLength(1)
    expect(Math.max(...text.split('\n').map((l) => l.length))).toBeLessThanOrEqual(other[0])
  })

  it('draws as well where the environment says that this is continuous integration', async () => {
    t = new Terminal(columns, rows, [], { CI: 'true', CONTINUOUS_INTEGRATION: '1' })
    expect(await t.until(/\(skbtrace\)/)).toContain('nothing has run yet')
    t.key('C-d')
    await t.until(/\[exit 0\]/)
  })

  it('Ctrl-C stops a long run and keeps the session', async () => {
    const term = start(columns, rows)
    await term.until(/\(skbtrace\)/)
    term.line('send 100')
    await term.until(/event \d+ of \d+/)
    term.line('send 500M')
    await term.until(/events, Ctrl-C stops/)
    term.key('C-c')
    await term.until(/interrupted/, true)
    term.line('print 40 + 2')
    await term.until(/= 42/, true)
    term.line('quit')
    await term.until(/\[exit 0\]/)
  })
})

describe.runIf(hasTmux)('skbtrace tour', () => {
  it('leads in ten stops from send() to the ACK, forward and back, on 80 x 24', async () => {
    const term = start(80, 24, 'tour')
    await term.until(/1\/10 send\(\) enters the kernel/)
    await term.until(/__sys_sendto {2}event/)
    const stops = [
      /tcp_sendmsg_locked {2}event/,
      /tcp_push {2}event/,
      /__tcp_transmit_skb {2}event/,
      /ip_queue_xmit {2}event/,
      /ip_output {2}event/,
      /__dev_queue_xmit {2}event/,
      /loopback_xmit {2}event/,
      /tcp_v4_rcv {2}event/,
      /tcp_ack {2}event/,
    ]
    for (const [i, stop] of stops.entries()) {
      term.key('Right')
      await term.until(new RegExp(`${i + 2}/10 `))
      await term.until(stop)
    }
    term.key('Left')
    await term.until(/9\/10 /)
    await term.until(/tcp_v4_rcv {2}event/)
    // each question's answer is a line that works
    term.line('bt')
    await term.until(/#0 +tcp_v4_rcv/, true)
  })
})

describe.runIf(hasTmux)('skbtrace repl --plain', () => {
  it('is lines in and lines out', async () => {
    const term = start(80, 24, 'repl', '--plain')
    await term.until(/\(skbtrace\)/)
    term.line('send 4096')
    const text = await term.until(/= 4096/)
    expect(text).not.toContain('─')
    term.line('quit')
    await term.until(/\[exit 0\]/)
  })

  it('is taken by itself where there is no room for panes', async () => {
    const term = start(50, 12)
    await term.until(/\(skbtrace\)/)
    term.line('send 10')
    expect(await term.until(/= 10/)).not.toContain('─')
  })
})
