import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decode, fieldOf, type Protocol } from '../../src/decode/decode.ts'

const bytes = (hex: string): Uint8Array =>
  Uint8Array.from((hex.replace(/\s/g, '').match(/../g) ?? []).map((h) => Number.parseInt(h, 16)))
const meaning = (hex: string, first: Protocol, layer: number, name: string): string | undefined =>
  fieldOf(decode(bytes(hex), first)[layer], name)?.meaning

describe('decode', () => {
  it('reads the options of a TCP SYN', () => {
    // options as Linux writes them: mss 65495, sackOK, timestamps, nop, wscale 7
    const syn = '9c40 1f90 00000001 00000000 a0 02 ffd7 0000 0000 0204ffd7 0402 080a 5d2bb5b6 00000000 01 030307'
    expect(meaning(syn, 'TCP', 0, 'flags')).toBe('SYN')
    expect(meaning(syn, 'TCP', 0, 'mss')).toBe('65495')
    expect(meaning(syn, 'TCP', 0, 'TS')).toBe('val 1563145654 ecr 0')
    expect(meaning(syn, 'TCP', 0, 'wscale')).toBe('7 (multiply by 128)')
    expect(fieldOf(decode(bytes(syn), 'TCP')[0], 'TS')?.offset).toBe(26)
  })

  it('reads SACK blocks and a Fast Open cookie', () => {
    const head = '9c40 1f90 00000001 00000002 d0 10 ffd7 0000 0000'
    expect(meaning(`${head} 0101 0512 00000064 000000c8 0000012c 00000190 2206 01020304 0101 0000 0000`, 'TCP', 0, 'sack')).toBe(
      '100-200 300-400',
    )
    expect(
      meaning(`${head} 0101 0512 00000064 000000c8 0000012c 00000190 2206 01020304 0101 0000 0000`, 'TCP', 0, 'fastopen'),
    ).toBe('cookie 01020304')
  })

  it('stops at an option whose length is wrong', () => {
    expect(meaning('9c40 1f90 00000001 00000002 60 10 ffd7 0000 0000 08ff0000', 'TCP', 0, 'TS')).toBe('length is wrong')
    expect(meaning('9c40 1f90 00000001 00000002 60 10 ffd7 0000 0000 08000000', 'TCP', 0, 'TS')).toBe('length is wrong')
  })

  // the example that RFC 1071's readers compute: 45 00 00 73 ... has the checksum b861
  const ip = '4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7'
  it('verifies an IPv4 header checksum', () => {
    expect(meaning(ip, 'IPv4', 0, 'check')).toBe('0xb861 correct')
    expect(meaning(ip.replace('b861', 'b862'), 'IPv4', 0, 'check')).toBe('0xb862 wrong, should be 0xb861')
    expect(meaning(ip, 'IPv4', 0, 'flags')).toBe('DF')
    expect(meaning(ip, 'IPv4', 0, 'saddr')).toBe('192.168.0.1')
  })

  it('recognises a checksum that is left to the device', () => {
    // pseudo header 127.0.0.1 > 127.0.0.1, UDP, length 8: 7f00 + 0001 + 7f00 + 0001 + 0011 + 0008 = fe1b
    const datagram = '4500 001c 0000 4000 4011 0000 7f00 0001 7f00 0001 9c40 1389 0008 fe1b'
    expect(meaning(datagram, 'IPv4', 1, 'check')).toBe('0xfe1b partial (the device adds the rest)')
    expect(meaning(datagram.replace('fe1b', '0000'), 'IPv4', 1, 'check')).toBe('0x0000 none')
    // with ports and length added: fe1b + 9c40 + 1389 + 0008 = 1adec, carried aded, complement 5212
    expect(meaning(datagram.replace('fe1b', '5212'), 'IPv4', 1, 'check')).toBe('0x5212 correct')
  })

  it('reads a VLAN tag, ARP and IPv6', () => {
    const arp = 'ffffffffffff 525400 00e101 8100 2064 0806 0001 0800 06 04 0001 52540000e101 0a000001 000000000000 0a000002'
    const layers = decode(bytes(arp), 'Ethernet')
    expect(layers.map((l) => l.protocol)).toEqual(['Ethernet', 'VLAN', 'ARP'])
    expect(fieldOf(layers[1], 'vid')?.value).toBe(100)
    expect(fieldOf(layers[1], 'pcp')?.value).toBe(1)
    expect(fieldOf(layers[2], 'op')?.meaning).toBe('request')
    expect(fieldOf(layers[2], 'tpa')?.meaning).toBe('10.0.0.2')
    expect(
      meaning(
        '60000000 0008 11 40 fe80000000000000 0000000000000001 ff02000000000000 0000000000000001 1234 0035 0008 0000',
        'IPv6',
        0,
        'saddr',
      ),
    ).toBe('fe80::1')
  })

  it('leaves what an Ethernet frame was padded with', () => {
    const frame = `${'00'.repeat(12)} 0800 4500 001c 0000 4000 4011 0000 7f00 0001 7f00 0001 9c40 1389 0008 fe1b ${'00'.repeat(18)}`
    expect(decode(bytes(frame), 'Ethernet').map((l) => `${l.protocol} ${l.length}`)).toEqual([
      'Ethernet 14',
      'IPv4 20',
      'UDP 8',
      'padding 18',
    ])
  })

  it('never throws, and never reads beyond the end', () => {
    const first = fc.constantFrom<Protocol>('Ethernet', 'IPv4', 'IPv6', 'TCP', 'UDP', 'ICMP', 'ICMPv6', 'ARP', 'VLAN', 'VXLAN')
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), first, fc.nat(200), (b, p, more) => {
        for (const l of decode(b, p, b.length + more)) {
          expect(l.offset + l.length).toBeLessThanOrEqual(b.length + more)
          for (const f of l.fields) expect(f.offset + 1).toBeLessThanOrEqual(b.length + more)
        }
      }),
    )
  })
})
