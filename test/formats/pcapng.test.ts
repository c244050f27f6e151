import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Output } from '../../src/formats/output.ts'
import { Pcapng } from '../../src/formats/pcapng.ts'
import { clock } from '../../src/sim/clock.ts'
import { skb } from '../support/events.ts'
import { readPcapng } from '../support/pcapng.ts'
import { hasTool } from '../support/tools.ts'

const capture = (use: (path: string) => void): void => {
  const dir = mkdtempSync(join(tmpdir(), 'skbtrace-test-'))
  try {
    const path = join(dir, 'x.pcapng')
    const out = Output.open(path)
    const p = new Pcapng(out, { command: 'skbtrace send --bytes 10', version: '0.1.0', kernel: '6.12.117', points: 'devices' })
    const head = new Uint8Array(64).fill(0xaa)
    clock.now = 3 * 5_000_000_123
    p.frame(
      'lo',
      '',
      'out',
      skb({
        id: 7,
        bytes: head,
        data: 10,
        tail: 24,
        len: 14 + 7,
        data_len: 7,
        nr_frags: 1,
        frag: () => new Uint8Array(7).fill(0xbb),
      }),
    )
    p.frame('eth0', 'peer', 'in', skb({ id: 8, bytes: head, data: 0, tail: 60, len: 60 }))
    out.finish()
    use(path)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

describe('pcapng', () => {
  it('has a frame for each frame, with its fragments, time, device and direction', () => {
    capture((path) => {
      const { interfaces, packets } = readPcapng(path)
      expect(interfaces).toEqual(['lo', 'peer/eth0'])
      expect(packets.map((p) => [p.interface, p.data.length, p.length, p.ns, p.flags, p.id])).toEqual([
        [0, 21, 21, 5_000_000_123n, 2 | (1 << 2), 7n],
        [1, 60, 60, 5_000_000_123n, 1 | (1 << 2), 8n],
      ])
      expect([...(packets[0]?.data.subarray(12, 16) ?? [])]).toEqual([0xaa, 0xaa, 0xbb, 0xbb])
    })
  })

  it.skipIf(!hasTool('tshark'))('is read by tshark', () => {
    capture((path) => {
      const text = execFileSync(
        'tshark',
        ['-r', path, '-T', 'fields', '-e', 'frame.len', '-e', 'frame.interface_name', '-e', 'frame.packet_id'],
        { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
      )
      expect(text).toBe('21\tlo\t7\n60\tpeer/eth0\t8\n')
    })
  })
})
