import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { defaults, FunctionGraph } from '../../src/formats/function_graph.ts'
import { SkbNotes } from '../../src/formats/text.ts'
import { call, fn, Player, skb, written } from '../support/events.ts'
import { readPcap } from '../support/pcap.ts'
import { hasTool } from '../support/tools.ts'

const sendmsg = call(fn('tcp_sendmsg', { params: ['struct sock *sk', 'struct msghdr *msg', 'size_t size'] }))
const transmit = call(
  fn('__tcp_transmit_skb', { file: 'net/ipv4/tcp_output.c', params: ['struct sock *sk', 'struct sk_buff *skb'] }),
)
const check = call(fn('tcp_v4_send_check', { file: 'net/ipv4/tcp_ipv4.c', params: ['struct sock *sk', 'struct sk_buff *skb'] }))
const xmit = call(
  fn('loopback_xmit', { file: 'drivers/net/loopback.c', params: ['struct sk_buff *skb', 'struct net_device *dev'] }),
)

// the frames of a recording stand for what the kernel would send
const frames = readPcap('fixtures/refs/lo-tcp4-send-4096/wire.pcap')
const data = frames.find((f) => f.data.length > 4000)?.data ?? new Uint8Array(0)
const ack = frames.at(-1)?.data ?? new Uint8Array(0)

/** a transmission: the data in a fragment, headers in front, out, and an answer */
function play(hexdump: 'none' | 'wire' | 'layers' | 'full'): string {
  return written((out) => {
    const g = new FunctionGraph(out, defaults, new SkbNotes({ hexdump, bold: (t) => t, once: true }))
    const p = new Player(g)
    g.begin('> send(c, 4096, 0)', null)
    const head = new Uint8Array(384)
    head.set(data.subarray(0, 66), 254)
    const b = skb({
      id: 2,
      clone_of: 1,
      bytes: head,
      data: 320,
      tail: 320,
      len: 4096,
      data_len: 4096,
      nr_frags: 1,
      owner: '127.0.0.1:40000 > 127.0.0.1:8080',
      frag: () => data.subarray(66),
    })
    p.run(sendmsg, 1, () =>
      p.run(
        transmit,
        1,
        () => {
          p.run(
            check,
            1,
            () => {
              b.data = 288
              b.transport_header = 288
              b.len = 4128
            },
            [null, b],
          )
          b.data = 254
          b.network_header = 268
          b.mac_header = 254
          b.protocol = 0x0800
          b.len = 4162
          p.run(
            xmit,
            1,
            () => {
              g.frame('lo', '', 'out', b)
              g.frame('lo', '', 'out', skb({ id: 3, bytes: ack, data: 0, tail: ack.length, len: ack.length }))
              b.owner = ''
            },
            [b, null],
          )
        },
        [null, b],
      ),
    )
    g.end('4096')
  })
}

describe('text', () => {
  it('draws the buffer and names the fields that a layer added', () => {
    const text = play('layers')
    expect(text).toContain('# skb 2, a clone of skb 1, held by 127.0.0.1:40000 > 127.0.0.1:8080\n')
    expect(text).toContain('|headroom 288|TCP 32|tailroom 64| + frag 4096\n')
    expect(text).toContain('|headroom 254|Ethernet 14|IPv4 20|TCP 32|tailroom 64| + frag 4096\n')
    expect(text).toMatch(/# {3}TCP {6}source 40000, dest 8080, /)
    expect(text).toMatch(/# {3}IPv4 .*version 4/)
    // each field once, unless it changes
    expect(text.match(/source 40000, dest 8080/g)?.length).toBe(1)
    expect(text).toContain('held by no socket any more')
  })

  it('fits into 80 columns, but for the graph', () => {
    for (const mode of ['none', 'wire', 'layers', 'full'] as const)
      for (const line of play(mode).split('\n'))
        if (!line.includes('|  ') || line.startsWith('#')) expect(line.length, line).toBeLessThanOrEqual(80)
  })

  it('leaves payload out unless it is asked for', () => {
    expect(play('wire')).toContain('bytes of payload left out')
    expect(play('layers')).not.toContain('00000100  ')
    expect(play('full')).toContain('\n00000100  ')
    expect(play('none')).not.toMatch(/^(# )?0000/m)
  })

  it.skipIf(!hasTool('text2pcap'))('goes through text2pcap as it stands', () => {
    const dir = mkdtempSync(join(tmpdir(), 'skbtrace-test-'))
    try {
      const convert = (text: string) => {
        writeFileSync(join(dir, 'trace'), text)
        const r = spawnSync('text2pcap', ['-F', 'pcap', join(dir, 'trace'), join(dir, 'out.pcap')], { encoding: 'utf8' })
        expect(r.status, r.stderr).toBe(0)
        return readPcap(join(dir, 'out.pcap'))
      }
      const full = convert(play('full'))
      expect(full.length).toBe(2)
      expect(Buffer.compare(Buffer.from(full[0]?.data ?? []), data)).toBe(0)
      expect(Buffer.compare(Buffer.from(full[1]?.data ?? []), ack)).toBe(0)
      // what is only partly there is no packet
      expect(convert(play('wire')).map((f) => f.data.length)).toEqual([ack.length])
      expect(convert(play('layers')).length).toBe(0)
      readFileSync(join(dir, 'trace'))
    } finally {
      rmSync(dir, { recursive: true, force: true })
    }
  })
})
