import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Output, OutputError } from '../../src/formats/output.ts'
import { type Diagram, Svg } from '../../src/formats/svg.ts'
import { Host } from '../../src/host/host.ts'
import { commandsOf, loadCommands } from '../../src/script/command.ts'
import { loadIpv6 } from '../../src/script/ipv6.ts'
import { Runner } from '../../src/script/runner.ts'
import { parseScenario } from '../../src/script/scenario.ts'
import { listen } from '../../src/trace/tracer.ts'
import { chromium } from '../support/chromium.ts'

const read = (name: string, ref = 'lo-tcp4-send-4096'): string =>
  readFileSync(join(import.meta.dirname, '../../fixtures/refs', ref, name), 'utf8')

async function draw(diagram: Diagram, at: string, ref?: string): Promise<string> {
  const statements = parseScenario(read('scenario.scn', ref))
  const commands = await loadCommands(statements.flatMap((t) => (t.kind === 'command' ? commandsOf(t.words) : [])))
  const ipv6 = await loadIpv6(statements)
  const dir = mkdtempSync(join(tmpdir(), 'skbtrace-test-'))
  try {
    const out = Output.open(join(dir, 'x.svg'))
    const svg = new Svg(out, { diagram, at })
    const host = new Host({ seed: 1 })
    ipv6?.()
    listen(svg)
    new Runner(host, svg, commands).run(statements)
    listen(null)
    svg.close()
    out.finish()
    return readFileSync(join(dir, 'x.svg'), 'utf8')
  } finally {
    listen(null)
    rmSync(dir, { recursive: true, force: true })
  }
}

/** the words of a drawing, in order */
const words = (svg: string): string[] => [...svg.matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map((m) => m[1] ?? '')

describe('svg', () => {
  it('draws the buffer as the kernel had it at that function', async () => {
    const hit = read('skb.jsonl')
      .split('\n')
      .filter((l) => l !== '')
      .map((l) => JSON.parse(l) as Record<string, number> & { fn: string })
      .find((s) => s.fn === 'ip_output')
    const text = words(await draw('geometry', 'ip_output'))
    expect(text).toContain(`data ${hit?.headroom}`)
    expect(text).toContain(`tail ${hit?.tail}`)
    expect(text).toContain(`end ${hit?.end}`)
    expect(text).toContain(`network ${hit?.network_header}`)
    expect(text).toContain(`transport ${hit?.transport_header}`)
    expect(text).toContain(`len ${hit?.len}`)
    expect(text).toContain(`data_len ${hit?.data_len}`)
    expect(text).toContain(`truesize ${hit?.truesize}`)
  })

  it('draws headers 32 bits a row, the rows that RFC 791 and RFC 9293 have', async () => {
    const svg = await draw('headers', 'ip_output')
    const text = words(svg)
    expect(text).toEqual(expect.arrayContaining(['IPv4, 20 bytes', 'saddr', '127.0.0.1', 'TCP, 32 bytes', '40000', '8080']))
    // five rows of IPv4, five of TCP and its options: no box is wider than 32 bits
    const widths = [...svg.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map((m) => Number(m[1]))
    expect(Math.max(...widths)).toBe(740)
  })

  it('draws no field over another', async () => {
    for (const [at, ref] of [
      ['ip_output', undefined],
      ['ip6_output', 'lo-tcp6-send-4096'],
    ] as const) {
      const svg = await draw('headers', at, ref)
      const boxes = [...svg.matchAll(/<rect x="([\d.]+)" y="(\d+)" width="([\d.]+)"/g)].map(([, x, y, w]) => ({
        y: Number(y),
        from: Number(x),
        to: Number(x) + Number(w),
      }))
      for (const [i, a] of boxes.entries())
        for (const b of boxes.slice(i + 1)) expect(a.y === b.y && a.from < b.to - 0.2 && b.from < a.to - 0.2).toBe(false)
      // RFC 8200: version, traffic class and flow label share the first 32 bits
      if (ref !== undefined) expect(words(svg)).toEqual(expect.arrayContaining(['version', 'tclass', 'flowlabel']))
    }
  })

  it('names both ends of a frame over IPv6, port and all', async () => {
    expect(words(await draw('sequence', '', 'lo-tcp6-send-4096'))).toEqual(expect.arrayContaining(['[::1]:40000', '[::1]:8080']))
  })

  it('draws the frames that crossed lo: handshake, data, acknowledgement', async () => {
    const text = words(await draw('sequence', ''))
    expect(text.filter((t) => /SYN/.test(t))).toHaveLength(2)
    expect(text.filter((t) => /4096 bytes of payload/.test(t))).toHaveLength(1)
  })

  it('says so when no buffer came there', async () => {
    await expect(draw('geometry', 'e1000_xmit_frame')).rejects.toThrow(OutputError)
    await expect(draw('geometry', 'e1000_xmit_frame')).rejects.toThrow(/no sk_buff came to e1000_xmit_frame/)
  })

  it.runIf(chromium !== undefined)('is well-formed: Chromium draws it', { timeout: 30_000 }, async () => {
    const dir = mkdtempSync(join(tmpdir(), 'skbtrace-test-'))
    try {
      writeFileSync(join(dir, 'x.svg'), await draw('geometry', ''))
      const dom = execFileSync(
        chromium ?? '',
        ['--headless', '--no-sandbox', '--disable-gpu', `--user-data-dir=${dir}/p`, '--dump-dom', `file://${dir}/x.svg`],
        { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
      )
      expect(dom).toContain('headroom')
      expect(dom).not.toContain('parsererror')
    } finally {
      rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
    }
  })
})
