import { beforeEach, describe, expect, it } from 'vitest'
import { defaults, FunctionGraph, type GraphOptions } from '../../src/formats/function_graph.ts'
import { SkbNotes } from '../../src/formats/text.ts'
import { clock } from '../../src/sim/clock.ts'
import { type Execution, tracer } from '../../src/trace/tracer.ts'
import { call, fn, Player, written } from '../support/events.ts'

const sendmsg = call(fn('tcp_sendmsg', { params: ['struct sock *sk', 'struct msghdr *msg', 'size_t size'] }))
const poll = call(fn('__napi_poll', { file: 'net/core/dev.c' }))
const intr = call(fn('e1000_intr', { file: 'drivers/net/ethernet/intel/e1000/e1000_main.c' }))
const recv = call(fn('tcp_recvmsg', { file: 'net/ipv4/tcp.c' }))

const connect = call(fn('inet_stream_connect', { file: 'net/ipv4/af_inet.c' }))
const waitWoken = call(fn('wait_woken', { file: '' }))
const release = call(fn('release_sock', { file: 'net/core/sock.c' }))

const sender: Execution = { kind: 'task', comm: 'skbtrace', pid: 1234, netns: '' }
const reader: Execution = { kind: 'task', comm: 'reader', pid: 1235, netns: 'peer' }
const softirq: Execution = { kind: 'softirq', comm: 'skbtrace', pid: 1234, netns: 'peer' }
const hardirq: Execution = { kind: 'hardirq', comm: 'swapper/0', pid: 0, netns: 'peer' }
const idle: Execution = { kind: 'idle', comm: 'swapper/0', pid: 0, netns: '' }

/** a send that is interrupted, runs a softirq, and sleeps while the other process reads; then that reads once more */
function play(options: Partial<GraphOptions>, text = false): string {
  tracer.execution = idle
  const out = written((o) => {
    const notes = text ? new SkbNotes({ hexdump: 'none', bold: (t) => t, once: true }) : null
    const g = new FunctionGraph(o, { ...defaults, detail: 'net', ...options }, notes)
    const p = new Player(g)
    const as = (e: Execution, body: () => void): void => {
      const before = tracer.execution
      tracer.execution = e
      g.context(e, before)
      body()
      tracer.execution = before
      g.context(before, e)
    }
    g.begin('> send(c, 4096, 0)', null)
    as(sender, () =>
      p.run(sendmsg, 1, () => {
        as(hardirq, () => p.run(intr, 1))
        as(softirq, () => p.run(poll, 1))
        as(idle, () => as(reader, () => p.run(recv, 1)))
      }),
    )
    g.end('4096')
    as(reader, () => p.run(recv, 1))
    g.close()
  })
  tracer.execution = idle
  return out
}
const names = (text: string): string[] => [...text.matchAll(/\|\s+(\w+)\(\)/g)].map((m) => m[1] ?? '')

beforeEach(() => {
  clock.now = 0
  clock.perNs = 3
})

describe('contexts', () => {
  it('leave a call where it was when its process slept inside of what is not shown', () => {
    // the machinery below wait_woken() is left out, and it gives way to what ran before the call
    const wait = call(fn('wait_woken', { file: 'kernel/sched/wait.c' }))
    const out = written((o) => {
      const g = new FunctionGraph(o, { ...defaults, detail: 'net' })
      const p = new Player(g)
      const to = (e: Execution): void => {
        const before = tracer.execution
        tracer.execution = e
        g.context(e, before)
      }
      tracer.execution = idle
      g.begin('> recv(c, 4096, 0)', null)
      to(sender)
      p.run(sendmsg, 1, () => {
        p.run(wait, 1, () => {
          to(idle)
          to({ ...softirq, comm: 'swapper/0', pid: 0 })
          to(idle)
          to(sender)
        })
        p.run(poll, 1)
      })
      to(idle)
      g.end('0')
    })
    expect(out).toMatch(/tcp_sendmsg\(\) \{\n.*\| {4}__napi_poll\(\);\n.*\| {2}\}/)
  })

  it('are those of the call and the softirqs that it runs, as in the recordings', () => {
    expect(names(play({}))).toEqual(['tcp_sendmsg', '__napi_poll'])
  })

  it('knows where it was when a call has slept in a function that is left out', () => {
    tracer.execution = idle
    const text = written((o) => {
      const g = new FunctionGraph(o, { ...defaults, detail: 'net', duration: false }, null)
      const p = new Player(g)
      const go = (to: Execution): void => {
        const before = tracer.execution
        tracer.execution = to
        g.context(to, before)
      }
      g.begin('> connect(c, 10.0.0.2:8080)', null)
      go(sender)
      p.run(connect, 1, () => {
        p.run(waitWoken, 1, () => {
          go(idle)
          go(reader)
          go(idle)
          go(sender)
        })
        p.run(release, 1)
      })
      go(idle)
      g.end('0')
      g.close()
    })
    const lines = text.split('\n').filter((l) => /release_sock|} /.test(l))
    expect(lines.map((l) => l.slice(l.lastIndexOf(')', 3) + 1).trimStart())).toEqual([
      'release_sock();',
      '} /* inet_stream_connect */',
    ])
    expect(lines[0]?.indexOf('release')).toBe((lines[1]?.indexOf('}') ?? 0) + 2)
  })

  it('can be chosen', () => {
    expect(names(play({ contexts: ['task'] }))).toEqual(['tcp_sendmsg'])
    expect(names(play({ contexts: ['softirq'] }))).toEqual(['__napi_poll'])
    expect(names(play({ contexts: ['task', 'softirq', 'hardirq'] }))).toEqual(['tcp_sendmsg', 'e1000_intr', '__napi_poll'])
    expect(names(play({ contexts: ['task', 'hardirq'], irqs: false }))).toEqual(['tcp_sendmsg'])
  })

  it('marks interrupts as ftrace does', () => {
    const text = play({ contexts: ['task', 'hardirq'] })
    expect(text).toMatch(/\n 0\) {3}==========> \|\n 0\) .*e1000_intr\(\);\n 0\) {3}<========== \|\n/)
  })

  it('follows a namespace: whoever works for it, and after the call', () => {
    expect(names(play({ netns: 'peer', contexts: ['task', 'softirq', 'hardirq'] }))).toEqual([
      'e1000_intr',
      '__napi_poll',
      'tcp_recvmsg',
      'tcp_recvmsg',
    ])
    expect(names(play({ netns: 'all', contexts: ['task'] }))).toEqual(['tcp_sendmsg', 'tcp_recvmsg', 'tcp_recvmsg'])
    expect(names(play({ netns: '' }))).toEqual(['tcp_sendmsg'])
  })

  it("draws ftrace's rule where another task goes on", () => {
    const line = ` ${'-'.repeat(42)}`
    expect(play({ netns: 'all', contexts: ['task'] })).toContain(`${line}\n 0) skbtrac-1234   =>  reader-1235   \n${line}\n\n`)
  })

  it('says in words, in text, what goes on and where', () => {
    const text = play({ contexts: null }, true)
    expect(text).toContain('# ---- softirq in peer ---')
    expect(text).toMatch(/==========> \| {2}\/\* in peer \*\//)
    expect(text).toContain('# ---- back in the call ---')
    expect(play({ netns: 'all' }, true)).toContain('# ---- reader-1235 in peer ---')
    for (const l of text.split('\n')) expect(l.length).toBeLessThanOrEqual(80)
  })

  it('begins a softirq at the margin of a text', () => {
    expect(play({ contexts: null }, true)).toMatch(/\| {2}__napi_poll\(\);/)
    expect(play({})).toMatch(/\| {4}__napi_poll\(\);/)
  })
})
