import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toEthernet } from '../../src/formats/capture_frames.ts'
import { type CapturedPacket, CaptureError, CaptureReader } from '../../src/formats/capture_reader.ts'
import { ether, ip4, pcap, udp4 } from '../support/captures.ts'
import { hasTool } from '../support/tools.ts'

const packet = ip4(17, [10, 0, 0, 2], [10, 0, 0, 1], udp4(4000, 5000, 'hello'))
const frame = ether('52540000e101', '52540000e102', 0x0800, packet)

function read(bytes: Uint8Array, piece = bytes.length): CapturedPacket[] {
  const out: CapturedPacket[] = []
  const reader = new CaptureReader((p) => out.push({ ...p, bytes: Uint8Array.from(p.bytes) }))
  for (let at = 0; at < bytes.length; at += piece) reader.feed(bytes.subarray(at, at + piece))
  reader.finish()
  return out
}
function complaint(bytes: Uint8Array): string {
  try {
    read(bytes)
    return ''
  } catch (e) {
    if (e instanceof CaptureError) return `${e.at}: ${e.message}`
    throw e
  }
}

describe('pcap', () => {
  it.each([
    [true, false, 1_700_000_000_000_005_000n],
    [true, true, 1_700_000_000_000_000_005n],
    [false, false, 1_700_000_000_000_005_000n],
    [false, true, 1_700_000_000_000_000_005n],
  ])('little endian %s, nanoseconds %s, in pieces of any size', (little, nano, time) => {
    const file = pcap([{ s: 1_700_000_000, rest: 5, bytes: frame }], { little, nano })
    for (const piece of [file.length, 1, 7])
      expect(read(file, piece)).toEqual([
        { number: 1, linktype: 1, time, bytes: new Uint8Array(frame), length: frame.length, at: 24 },
      ])
  })

  it('says how much a limit left out', () => {
    const [p] = read(pcap([{ s: 1, rest: 0, bytes: frame }], { snaplen: 20 }))
    expect([p?.bytes.length, p?.length]).toEqual([20, frame.length])
  })
})

describe.skipIf(!hasTool('editcap') || !hasTool('tshark'))('captures as editcap writes them', () => {
  it.each(['pcapng', 'nsecpcap', 'pcap', 'modpcap'])('%s: the packets that tshark sees', (format) => {
    const dir = mkdtempSync(join(tmpdir(), 'skbtrace-test-'))
    try {
      const made = join(dir, 'a.pcap')
      const other = join(dir, 'b')
      writeFileSync(made, pcap([1, 2, 3].map((i) => ({ s: i, rest: 250_000 * i, bytes: frame }))))
      execFileSync('editcap', ['-F', format, '-s', '30', made, other], { stdio: 'ignore' })
      if (format === 'modpcap') {
        expect(complaint(readFileSync(other))).toMatch(/^0: not a capture/)
        return
      }
      const seen = execFileSync(
        'tshark',
        ['-r', other, '-T', 'fields', '-E', 'separator= ', '-e', 'frame.time_epoch', '-e', 'frame.cap_len', '-e', 'frame.len'],
        { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
      )
      const ours = read(readFileSync(other)).map((p) => {
        const t = p.time ?? 0n
        return `${t / 1_000_000_000n}.${String(t % 1_000_000_000n).padStart(9, '0')} ${p.bytes.length} ${p.length}`
      })
      expect(ours).toEqual(seen.trim().split('\n'))
    } finally {
      rmSync(dir, { recursive: true, force: true })
    }
  })
})

describe('what a packet would be on an Ethernet', () => {
  const own = Uint8Array.of(2, 0, 0, 0, 0, 9)
  const made = (linktype: number, bytes: Uint8Array) =>
    toEthernet({ number: 1, linktype, time: null, bytes, length: bytes.length, at: 0 }, own)
  // the link headers of https://www.tcpdump.org/linktypes.html
  it.each([
    ['RAW', 101, ''],
    ['IPV4', 228, ''],
    ['NULL, little endian', 0, '02000000'],
    ['NULL, big endian', 0, '00000002'],
    ['LOOP', 108, '00000002'],
    ['LINUX_SLL', 113, '0000000100060202020202020000' + '0800'],
    ['LINUX_SLL2', 276, '08000000000000010001000602020202020200' + '00'],
  ])('%s', (_, linktype, header) => {
    const f = made(linktype, Buffer.concat([Buffer.from(header, 'hex'), packet]))
    if (typeof f === 'string') throw new Error(f)
    expect(Buffer.from(f.bytes).toString('hex')).toBe(`020000000009020000000001${'0800'}${Buffer.from(packet).toString('hex')}`)
  })
  it('leaves an Ethernet frame alone, and fills with zeros what was not captured', () => {
    const f = toEthernet({ number: 1, linktype: 1, time: null, bytes: frame.subarray(0, 40), length: 47, at: 0 }, own)
    expect(f).toEqual({ bytes: new Uint8Array([...frame.subarray(0, 40), 0, 0, 0, 0, 0, 0, 0]), missing: 7, made: false })
  })
  it('says what cannot be one', () => {
    expect(made(105, packet)).toBe('link type 105')
  })
})

describe('a damaged capture', () => {
  const file = pcap([
    { s: 1, rest: 2, bytes: frame },
    { s: 2, rest: 2, bytes: frame },
  ])
  it('is refused with the byte where that shows', () => {
    expect(complaint(new Uint8Array(0))).toMatch(/^0: empty/)
    expect(complaint(file.subarray(0, 10))).toMatch(/^0: too short/)
    expect(complaint(file.subarray(0, 120))).toMatch(/^87: the capture is cut off/)
    const long = file.slice()
    long[35] = 0x7f
    expect(complaint(long)).toMatch(/^24: a packet of 2130706479 bytes/)
  })
  it('never makes the reader crash, hang or take what it does not have', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { maxLength: 8 }),
        fc.nat(file.length),
        (changes, cut) => {
          const b = file.slice(0, cut)
          for (const [at, v] of changes) b[at] = v
          complaint(b)
        },
      ),
      { numRuns: 2000, seed: 1 },
    )
    const section = Buffer.from('0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff1c000000', 'hex')
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (junk) => {
        complaint(Buffer.concat([section, junk]))
        complaint(junk)
      }),
      { numRuns: 2000, seed: 1 },
    )
  })
})
