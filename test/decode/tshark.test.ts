import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { decode, type Layer } from '../../src/decode/decode.ts'
import { readPcap } from '../support/pcap.ts'

// what tshark says of the frames of each recording: scripts/tshark.mjs
const expectations = 'test/fixtures/tshark'

type Expected = Record<string, string>
const number = (v: string): number => (v === 'True' ? 1 : v === 'False' ? 0 : Number(v))

/** [tshark's field, layer, field]: the numbers must be equal */
const numbers: readonly (readonly [string, string, string, number?])[] = [
  ['eth.type', 'Ethernet', 'type'],
  ['arp.opcode', 'ARP', 'op'],
  ['ip.hdr_len', 'IPv4', 'ihl', 4],
  ['ip.len', 'IPv4', 'tot_len'],
  ['ip.id', 'IPv4', 'id'],
  ['ip.ttl', 'IPv4', 'ttl'],
  ['ip.proto', 'IPv4', 'protocol'],
  ['ipv6.plen', 'IPv6', 'payload_len'],
  ['ipv6.nxt', 'IPv6', 'nexthdr'],
  ['ipv6.hlim', 'IPv6', 'hop_limit'],
  ['tcp.srcport', 'TCP', 'source'],
  ['tcp.dstport', 'TCP', 'dest'],
  ['tcp.seq_raw', 'TCP', 'seq'],
  ['tcp.ack_raw', 'TCP', 'ack_seq'],
  ['tcp.hdr_len', 'TCP', 'doff', 4],
  ['tcp.flags', 'TCP', 'flags'],
  ['tcp.window_size_value', 'TCP', 'window'],
  ['tcp.checksum', 'TCP', 'check'],
  ['tcp.urgent_pointer', 'TCP', 'urg_ptr'],
  ['udp.srcport', 'UDP', 'source'],
  ['udp.dstport', 'UDP', 'dest'],
  ['udp.length', 'UDP', 'len'],
  ['udp.checksum', 'UDP', 'check'],
  ['icmp.type', 'ICMP', 'type'],
  ['icmp.code', 'ICMP', 'code'],
  ['icmpv6.type', 'ICMPv6', 'type'],
  ['icmpv6.code', 'ICMPv6', 'code'],
]
const words: readonly (readonly [string, string, string, (v: string) => string])[] = [
  ['eth.dst', 'Ethernet', 'dst', (v) => v],
  ['eth.src', 'Ethernet', 'src', (v) => v],
  ['arp.src.proto_ipv4', 'ARP', 'spa', (v) => v],
  ['arp.dst.proto_ipv4', 'ARP', 'tpa', (v) => v],
  ['ip.src', 'IPv4', 'saddr', (v) => v],
  ['ip.dst', 'IPv4', 'daddr', (v) => v],
  ['ipv6.src', 'IPv6', 'saddr', (v) => v],
  ['ipv6.dst', 'IPv6', 'daddr', (v) => v],
  ['tcp.options.mss_val', 'TCP', 'mss', (v) => v],
  ['tcp.options.wscale.shift', 'TCP', 'wscale', (v) => `${v} (multiply by ${2 ** Number(v)})`],
]

const get = (layers: Layer[], protocol: string, field: string) =>
  layers.find((l) => l.protocol === protocol)?.fields.find((f) => f.name === field)

describe.each(readdirSync(expectations))('%s', (file) => {
  const expected = JSON.parse(readFileSync(`${expectations}/${file}`, 'utf8')) as Expected[]
  const frames = readPcap(`fixtures/refs/${file.replace('.json', '')}/wire.pcap`)

  it('decodes as tshark does', () => {
    expect(frames.length).toBe(expected.length)
    frames.forEach((frame, i) => {
      const e = expected[i] ?? {}
      const layers = decode(frame.data, 'Ethernet', frame.length)
      const where = `frame ${i + 1}`
      for (const [name, protocol, field, factor] of numbers) {
        const v = e[name]
        if (v === undefined) continue
        const f = get(layers, protocol, field)
        expect(Number(f?.value) * (factor ?? 1), `${where} ${name}`).toBe(number(v))
      }
      for (const [name, protocol, field, how] of words) {
        const v = e[name]
        if (v !== undefined) expect(get(layers, protocol, field)?.meaning, `${where} ${name}`).toBe(how(v))
      }
      if (e['tcp.options.timestamp.tsval'] !== undefined)
        expect(get(layers, 'TCP', 'TS')?.meaning).toBe(
          `val ${e['tcp.options.timestamp.tsval']} ecr ${e['tcp.options.timestamp.tsecr']}`,
        )
    })
  })

  it('verifies checksums as tshark does', () => {
    frames.forEach((frame, i) => {
      const e = expected[i] ?? {}
      const layers = decode(frame.data, 'Ethernet', frame.length)
      for (const [name, protocol, field] of [
        ['ip.checksum.status', 'IPv4', 'check'],
        ['tcp.checksum.status', 'TCP', 'check'],
        ['udp.checksum.status', 'UDP', 'check'],
        ['icmp.checksum.status', 'ICMP', 'checksum'],
      ] as const) {
        const status = e[name]
        const meaning = get(layers, protocol, field)?.meaning ?? ''
        // tshark: 0 bad, 1 good, 2 not verified, 3 not present; it takes a sum that is left to the device for a bad one
        if (status === '1') expect(meaning, `frame ${i + 1} ${name}`).toMatch(/correct$/)
        if (status === '0') expect(meaning, `frame ${i + 1} ${name}`).toMatch(/(wrong|partial|not verified)/)
      }
    })
  })

  it('says where each field is', () => {
    for (const frame of frames)
      for (const l of decode(frame.data, 'Ethernet', frame.length)) {
        expect(l.offset + l.length).toBeLessThanOrEqual(frame.length)
        for (const f of l.fields) {
          expect(f.offset).toBeGreaterThanOrEqual(l.offset)
          expect(f.offset + f.length).toBeLessThanOrEqual(l.offset + l.length)
        }
      }
  })
})
