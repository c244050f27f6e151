import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { arpRequest, ether, ip4, pcap, udp4 } from '../support/captures.ts'
import { hasTool } from '../support/tools.ts'

const bin = resolve(process.env.SKBTRACE_BIN ?? 'bin/skbtrace.js')
let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'skbtrace-test-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const run = (args: string[], input: string | Buffer = '') =>
  spawnSync(process.execPath, [bin, ...args], { cwd: dir, input, maxBuffer: 1 << 28, env: { PATH: process.env.PATH } })
const text = (args: string[], input: string | Buffer = ''): string => {
  const r = run(args, input)
  expect(r.stderr.toString()).toBe('')
  expect(r.status).toBe(0)
  return r.stdout.toString()
}
const file = (name: string): Buffer => readFileSync(join(dir, name))

describe('where a trace goes', () => {
  it('writes several files in one run, each as its ending says, and nothing to standard output', () => {
    const one = text(['send', '--bytes', '100'])
    expect(
      text(['send', '--bytes', '100', '-o', 'a.txt', '-o', 'a.jsonl', '-o', 'a.graph', '-o', 'a.pcapng', '-o', 'a.pcap']),
    ).toBe('')
    expect(readdirSync(dir).sort()).toEqual(['a.graph', 'a.jsonl', 'a.pcap', 'a.pcapng', 'a.txt'])
    expect(file('a.txt').toString()).toBe(one)
    expect(JSON.parse(file('a.jsonl').toString().split('\n', 1)[0] ?? '')).toMatchObject({
      type: 'skbtrace',
      command: 'skbtrace send --bytes 100',
      seed: 1,
    })
  })

  it('takes the format before a file, or - for standard output', () => {
    expect(text(['send', '--bytes', '9', '--format', 'jsonl', '-o', 'x', '-o', 'y.graph', '-o', '-'])).toMatch(/^# tracer/)
    expect(file('x').toString()).toMatch(/^{"type":"skbtrace"/)
    expect(file('y.graph').toString()).toMatch(/^# tracer: function_graph\n/)
  })

  it('compresses .gz, the same bytes each time, and reads it back', () => {
    const plain = text(['send', '--bytes', '9', '--format', 'jsonl'])
    text(['send', '--bytes', '9', '-o', 'a.jsonl.gz'])
    text(['send', '--bytes', '9', '-o', 'b.jsonl.gz'])
    expect(gunzipSync(file('a.jsonl.gz')).toString()).toBe(plain)
    expect(file('a.jsonl.gz').equals(file('b.jsonl.gz'))).toBe(true)
    const shown = text(['convert', 'a.jsonl.gz'])
    expect(shown).toBe(text(['send', '--bytes', '9']))
    expect(text(['convert', '-'], file('a.jsonl.gz'))).toBe(shown)
    expect(text(['convert', 'a.jsonl.gz', '--format', 'jsonl'])).toBe(plain)
  })

  it.each<[string[], number, RegExp]>([
    [['send', '-o', 'a.pcapg'], 2, /-o a\.pcapg: that ending means no format/],
    [['send', '--format', 'xml'], 2, /--format xml: there are text, function_graph/],
    [['send', '--format', 'jsonl', '--format', 'text'], 2, /say where each goes/],
    [['send', '-o', 'a.txt', '-o', 'a.txt'], 2, /-o a\.txt is given twice/],
    [['send', '-o', 'no/such/a.txt'], 1, /no\/such\/a\.txt: no such file or directory/],
    [['convert', 'none.jsonl'], 2, /none\.jsonl: no such file or directory/],
    [['convert', 'c.pcap', '-o', 'a.txt'], 2, /c\.pcap: is a capture \(pcap\): skbtrace replay takes it/],
    [['convert', 'cut.jsonl', '-o', 'a.txt'], 2, /cut\.jsonl:\d+: the trace ends in the middle of this line: it was cut off/],
    [['convert', 'cut.jsonl.gz', '-o', 'a.txt'], 2, /cut\.jsonl\.gz: its compression is damaged/],
    [['replay', 'cut.jsonl', '-o', 'a.txt'], 2, /cut\.jsonl: is no capture; .* skbtrace convert takes it/],
    [['replay', 'cut.pcap', '-o', 'a.txt'], 2, /cut\.pcap: byte 24: the capture is cut off/],
    [['replay', 'c.pcap', '--set', 'rm -rf', '-o', 'a.txt'], 2, /--set 'rm -rf': it wants a command of the host/],
  ])('%j: exit status %i, one line, no file', (args, status, message) => {
    writeFileSync(join(dir, 'c.pcap'), pcap([{ s: 1, rest: 0, bytes: new Uint8Array(60) }]))
    writeFileSync(join(dir, 'cut.pcap'), file('c.pcap').subarray(0, 70))
    if (args[1]?.startsWith('cut.json') === true) {
      text(['send', '--bytes', '9', '-o', 'cut.jsonl', '-o', 'cut.jsonl.gz'])
      for (const name of ['cut.jsonl', 'cut.jsonl.gz']) writeFileSync(join(dir, name), file(name).subarray(0, 2000))
    }
    const r = run(args)
    expect(r.stderr.toString()).toMatch(message)
    expect(r.stderr.toString().trim()).not.toContain('\n')
    expect(r.status).toBe(status)
    expect(existsSync(join(dir, 'a.txt'))).toBe(false)
  })

  it.skipIf(!existsSync('/dev/full'))('says that the disk is full, with exit status 1', () => {
    const r = run(['send', '-o', '/dev/full'])
    expect([r.status, r.stderr.toString()]).toEqual([1, 'skbtrace: /dev/full: no space left on device\n'])
  })

  it('keeps its memory small and waits for a slow reader', async () => {
    const fd = openSync(join(dir, 'err'), 'w')
    const child = spawn(process.execPath, ['--max-old-space-size=96', bin, 'send', '--bytes', '24M', '--format', 'jsonl'], {
      stdio: ['ignore', 'pipe', fd],
    })
    let bytes = 0
    let pieces = 0
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (++pieces % 200 === 0) await new Promise((r) => setTimeout(r, 5))
    }
    closeSync(fd)
    expect(file('err').toString()).toBe('')
    expect(bytes).toBeGreaterThan(100e6)
  }, 60_000)
})

describe('pcapng with --pcap-points all', () => {
  it.skipIf(!hasTool('tshark'))('shows tshark the packet at each layer, raw before there is a link header', () => {
    text(['send', '--bytes', '100', '--proto', 'udp', '-o', 'a.pcapng', '--pcap-points', 'all'])
    const seen = execFileSync(
      'tshark',
      [
        '-r',
        join(dir, 'a.pcapng'),
        '-T',
        'fields',
        '-e',
        'frame.interface_name',
        '-e',
        'frame.protocols',
        '-e',
        'frame.packet_id',
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    )
    const rows = seen
      .trim()
      .split('\n')
      .map((l) => l.split('\t'))
    expect(rows.map(([name, protocols]) => [name, protocols?.split(':')[0]])).toEqual([
      ['udp_send_skb', 'raw'],
      ['ip_send_skb', 'raw'],
      ['__ip_local_out', 'raw'],
      ['ip_output', 'raw'],
      ['ip_finish_output2', 'raw'],
      ['neigh_resolve_output', 'raw'],
      ['__dev_queue_xmit', 'eth'],
      ['validate_xmit_skb', 'eth'],
      ['lo', 'eth'],
      ['loopback_xmit', 'eth'],
      ['netif_rx_internal', 'eth'],
      ['ip_rcv', 'eth'],
      ['ip_local_deliver', 'eth'],
      ['udp_rcv', 'eth'],
    ])
    expect(new Set(rows.map((r) => r[2])).size).toBe(1)
    const malformed = execFileSync('tshark', ['-r', join(dir, 'a.pcapng'), '-Y', '_ws.malformed'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    expect(malformed.toString()).toBe('')
  })
})

describe('replay', () => {
  const PEER = [10, 0, 0, 2]
  const HOST = [10, 0, 0, 1]
  const CARD = '52540000e101'
  const OTHER = '52540000e102'
  const to = (mac: string, packet: Uint8Array): Uint8Array => ether(mac, OTHER, 0x0800, packet)
  const damaged = (b: Uint8Array): Uint8Array => {
    const out = b.slice()
    out[10] = (out[10] ?? 0) ^ 0xff
    return out
  }

  /** what became of each frame, by the headings */
  const verdicts = (frames: readonly Uint8Array[], ...args: string[]): string[] => {
    writeFileSync(join(dir, 'c.pcap'), pcap(frames.map((bytes, i) => ({ s: i, rest: 0, bytes }))))
    writeFileSync(join(dir, 's.scn'), 'u = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)\nbind(u, 10.0.0.1:5000)\n')
    const r = run(['replay', 'c.pcap', '--before', 's.scn', ...args])
    expect(r.status).toBe(0)
    return (r.stdout.toString().match(/^# > .*/gm) ?? []).map((l) => l.replace(/^.* = /, ''))
  }

  // who takes a packet, and why one is dropped: include/net/dropreason-core.h
  it.each(['e1000', 'veth'])('%s: says which layer takes a frame, answers it or drops it, and why', (device) => {
    const frames = [
      arpRequest(OTHER, PEER, HOST),
      to(CARD, ip4(17, PEER, HOST, udp4(4000, 5000, 'hello'))),
      to(CARD, ip4(17, PEER, HOST, udp4(4000, 5001, 'nobody'))),
      to(CARD, damaged(ip4(17, PEER, HOST, udp4(4000, 5000, 'hello')))),
      to(CARD, ip4(17, PEER, [10, 9, 9, 9], udp4(4000, 5000, 'elsewhere'))),
      to('52540000aaaa', ip4(17, PEER, HOST, udp4(4000, 5000, 'for another card'))),
    ]
    const mac = device === 'veth' ? ['--accept-mac'] : []
    const [arp, udp, closed, sum, elsewhere, other] = verdicts(frames, '--device', device, ...mac)
    expect(arp).toMatch(/^ARP takes it; 42 bytes out, ARP reply 10\.0\.0\.1 > 10\.0\.0\.2$/)
    expect(udp).toMatch(/^UDP takes it; udp#\d+ 10\.0\.0\.1:5000 is told$/)
    expect(closed).toMatch(
      /^UDP takes it; \d+ bytes out, ICMP .* 10\.0\.0\.1 > 10\.0\.0\.2; dropped: NO_SOCKET in __udp4_lib_rcv$/,
    )
    expect(sum).toBe('IPv4 drops it: IP_CSUM in ip_rcv_core')
    expect(elsewhere).toMatch(/^IPv4 drops it: IP_INADDRERRORS/)
    if (device === 'e1000') expect(other).toMatch(/card does not take it|OTHERHOST/)
  })

  it('is a trace like others: it can be saved and converted', () => {
    const frames = [arpRequest(OTHER, PEER, HOST), to(CARD, ip4(17, PEER, HOST, udp4(4000, 5000, 'hello')))]
    writeFileSync(join(dir, 'c.pcap'), pcap(frames.map((bytes, i) => ({ s: i, rest: 0, bytes }))))
    const shown = text(['replay', 'c.pcap', '--detail', 'net', '-o', '-', '-o', 'r.jsonl', '-o', 'r.pcapng'])
    expect(shown.match(/^# > frame [12] to eth0: (42|47) bytes, /gm)).toHaveLength(2)
    expect(shown).toMatch(/__udp4_lib_rcv/)
    expect(text(['convert', 'r.jsonl', '--detail', 'net', '-o', '-', '-o', 'again.pcapng'])).toBe(shown)
    expect(file('again.pcapng').equals(file('r.pcapng'))).toBe(true)
  })
})
