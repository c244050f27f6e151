import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CHECKSUM_PARTIAL } from '../../src/kernel/include/generated/enums.ts'
import type { TracedSkb } from '../../src/trace/tracer.ts'
import { pcap } from '../support/pcap.ts'
import { play } from '../support/play.ts'
import { randomScenario, scenarioText } from '../support/random_scenarios.ts'
import { hasTool } from '../support/tools.ts'

/** as tshark writes it in a checksum's status */
const BAD = '0'

interface Caught {
  scenario: string
  /** nothing is left for a card to do: the checksums must be right */
  finished: boolean
  bytes: Uint8Array
}

const caught: Caught[] = []
const refs = join(import.meta.dirname, '../../fixtures/refs')
const directory = mkdtempSync(join(tmpdir(), 'skbtrace-tshark-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** an skb's bytes: the head, then the fragments */
const bytesOf = (skb: TracedSkb): Uint8Array =>
  Buffer.concat([skb.bytes.subarray(skb.data, skb.tail), ...Array.from({ length: skb.nr_frags }, (_, i) => skb.frag(i))])

/** runs a scenario and keeps its frames: those of an e1000 as they are on the cable, of other devices as they are given to them */
const capture = (scenario: string, text: string): Promise<void> =>
  play(
    text,
    {
      enter() {},
      exit() {},
      frame(device, netns, direction, skb) {
        if (direction === 'in' || wired.has(`${netns}/${device}`)) return
        // a chain of buffers, or one that a card is to cut into segments, is no frame yet
        if (skb.gso_size > 0) return
        const bytes = bytesOf(skb)
        if (bytes.length === skb.len) caught.push({ scenario, finished: skb.ip_summed !== CHECKSUM_PARTIAL, bytes })
      },
      card({ device, netns, what, bytes }) {
        if (what === 'wire' && bytes !== null && wired.has(`${netns}/${device}`))
          caught.push({ scenario, finished: true, bytes: bytes.slice() })
      },
    },
    (p) => {
      wired.clear()
      for (const line of text.split('\n')) {
        p.line(line)
        // their cards finish what is left to do, and say so
        if (line.startsWith('hw eth0 e1000')) for (const netns of ['', 'peer']) wired.add(`${netns}/eth0`)
      }
      p.host.sleep(300)
    },
  )

const wired = new Set<string>()

describe.runIf(hasTool('tshark'))('what tshark says of the frames', () => {
  const columns: string[][] = []

  beforeAll(async () => {
    for (const name of readdirSync(refs))
      if (!name.startsWith('unix')) await capture(name, readFileSync(join(refs, name, 'scenario.scn'), 'utf8'))
    for (const [i, s] of fc.sample(randomScenario, { numRuns: 60, seed: 3 }).entries())
      await capture(`random ${i}`, scenarioText(s))
    const file = join(directory, 'all.pcap')
    writeFileSync(file, pcap(caught.map((c) => c.bytes)))
    const check = ['ip.check_checksum', 'tcp.check_checksum', 'udp.check_checksum'].flatMap((o) => ['-o', `${o}:TRUE`])
    const fields = ['ip', 'tcp', 'udp', 'icmp', 'icmpv6'].map((f) => `${f}.checksum.status`)
    const run = spawnSync(
      'tshark',
      // streams of many hosts in one file make no sense together
      [
        '-r',
        file,
        '-n',
        ...check,
        '-o',
        'tcp.desegment_tcp_streams:FALSE',
        '-o',
        'ip.defragment:FALSE',
        '-o',
        'ipv6.defragment:FALSE',
      ]
        .concat(['-o', 'tcp.analyze_sequence_numbers:FALSE', '-T', 'fields', '-e', '_ws.malformed'])
        .concat(fields.flatMap((f) => ['-e', f])),
      { encoding: 'utf8', maxBuffer: 1 << 28 },
    )
    expect(run.status).toBe(0)
    for (const line of run.stdout.split('\n').slice(0, -1)) columns.push(line.split('\t'))
  }, 120_000)

  test('every frame is read', () => {
    expect(caught.length).toBeGreaterThan(1000)
    expect(columns.length).toBe(caught.length)
  })

  test('none is malformed', () => {
    expect(caught.filter((_, i) => columns[i]?.[0]).map((c) => `${c.scenario}: ${Buffer.from(c.bytes).toString('hex')}`)).toEqual(
      [],
    )
  })

  test('none has a bad checksum once the card, or the kernel instead, has made it', () => {
    const bad = caught.filter((c, i) => {
      const [, ip = '', tcp = '', udp = '', icmp = '', icmpv6 = ''] = columns[i] ?? []
      // an ICMP error quotes a packet as it was when the error came up: that is not this frame's checksum
      const own = icmp !== '' || icmpv6 !== '' ? [ip, icmp, icmpv6] : [ip, tcp, udp]
      return c.finished && own.some((status) => status.split(',')[0] === BAD)
    })
    expect(bad.map((c) => `${c.scenario}: ${Buffer.from(c.bytes.subarray(0, 100)).toString('hex')}`)).toEqual([])
  })
})
