import { describe, expect, it } from 'vitest'
import { Jsonl } from '../../src/formats/jsonl.ts'
import { clock } from '../../src/sim/clock.ts'
import { call, fn, Player, skb, written } from '../support/events.ts'

const output = call(
  fn('ip_output', { file: 'net/ipv4/ip_output.c', params: ['struct net *net', 'struct sock *sk', 'struct sk_buff *skb'] }),
)
const inlined = call(fn('ip_output'), 'inlined')
const softirqs = call(fn('handle_softirqs', { file: 'kernel/softirq.c' }))

const OPTIONS = {
  command: 'skbtrace send',
  version: '0.1.0',
  kernel: '6.12.117',
  seed: 1,
  wholeHost: false,
  graph: { resultFirst: false, netns: null },
}

/** every line but the first, which is of the run, and those of buffers */
const lines = (play: (p: Player, j: Jsonl) => void): Record<string, unknown>[] =>
  written((out) => {
    clock.perNs = 3
    const j = new Jsonl(out, OPTIONS)
    play(new Player(j), j)
  })
    .split('\n')
    .filter((l) => l !== '')
    .map((l) => JSON.parse(l) as Record<string, unknown>)
    .filter((e) => e.type !== 'skbtrace' && e.type !== 'buffer')

describe('jsonl', () => {
  it('shows a buffer at the entry of a probed function, as the recordings have it', () => {
    const bytes = new Uint8Array(384)
    bytes.set([0x45, 0, 0x10, 0x34], 268)
    const b = skb({
      id: 17,
      bytes,
      data: 268,
      tail: 320,
      len: 4148,
      data_len: 4096,
      truesize: 5056,
      network_header: 268,
      transport_header: 288,
      protocol: 0x0800,
      cloned: 1,
    })
    const events = lines((p, j) => {
      p.run(output, 1, undefined, [null, null, b])
      j.begin('> send(c, 4096, 0)', null)
      p.run(output, 1, undefined, [null, null, b])
      p.run(inlined, 1, undefined, [null, null, b])
      p.run(softirqs, 1, () => p.run(output, 1, undefined, [null, null, skb({ id: 5 })]))
      j.end('4096')
      p.run(output, 1, undefined, [null, null, b])
    }).filter((e) => e.type === 'skb')
    expect(events.length).toBe(2)
    const { ts, ...first } = events[0] ?? {}
    expect(ts).toBe(1)
    expect(first).toEqual({
      type: 'skb',
      call: 1,
      fn: 'ip_output',
      softirq: false,
      skb: 1,
      len: 4148,
      data_len: 4096,
      truesize: 5056,
      headroom: 268,
      tail: 320,
      end: 384,
      mac_header: null,
      network_header: 268,
      transport_header: 288,
      protocol: '0x0800',
      ip_summed: 3,
      cloned: 1,
      linear: `45001034${'00'.repeat(48)}`,
    })
    expect(events[1]).toMatchObject({
      skb: 2,
      softirq: true,
      network_header: 0,
      transport_header: null,
      protocol: '0x0000',
      linear: '',
    })
  })

  it('has at most 128 bytes of a buffer', () => {
    const [e] = lines((p, j) => {
      j.begin('> x', null)
      p.run(output, 1, undefined, [null, null, skb({ data: 0, tail: 384, len: 384 })])
    }).filter((l) => l.type === 'skb')
    expect(String(e?.linear).length).toBe(256)
  })

  it('has calls, results and everything that happens between', () => {
    const all = lines((p, j) => {
      j.begin('> send(c, 1, 0)', null)
      p.run(output, 5, () => {
        j.copy(1, 'user', 'page')
        j.decision('tcp_nagle_test', 'held back', { len: 1 })
        j.drop(skb({ id: 3 }), 'NO_SOCKET', 'udp_rcv')
        j.tracepoint('net', 'net_dev_queue', { skbaddr: { kaddr: 0xff00 }, len: 1, name: 'lo' })
      })
      j.end('1')
    })
    expect(all.map((e) => e.type)).toEqual(['call', 'enter', 'copy', 'decision', 'drop', 'tracepoint', 'exit', 'result'])
    expect(all[0]).toMatchObject({ call: 1, title: 'send(c, 1, 0)' })
    expect(all[5]).toMatchObject({ fields: { skbaddr: '0xff00', len: 1, name: 'lo' } })
    expect(all[6]).toMatchObject({ fn: 'ip_output', depth: 0, ret: 0 })
    expect(all[7]).toMatchObject({ result: '1' })
  })

  it('records only what runs below the function of a timer', () => {
    const timer = call(fn('tcp_write_timer'))
    const all = lines((p, j) => {
      j.begin('> timer(tcp_write_timer, 100)', 'tcp_write_timer')
      p.run(softirqs, 1, () => {
        p.run(output, 1)
        p.run(timer, 1, () => p.run(output, 1))
        p.run(output, 1)
      })
    })
    expect(all.filter((e) => e.type === 'enter').map((e) => e.fn)).toEqual(['tcp_write_timer', 'ip_output'])
  })
})
