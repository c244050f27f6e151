import { describe, expect, it } from 'vitest'
import { asText } from '../../src/formats/mermaid/text.ts'
import { scenario, writtenText } from '../support/written.ts'

/** the statements of a sequence diagram that we use, by Mermaid's grammar: who, to whom, and the text */
function sequence(text: string): { from: string; to: string; text: string }[] {
  const lines = text.trimEnd().split('\n')
  expect(lines[0]).toBe('sequenceDiagram')
  const names = new Map<string, string>()
  let host = ''
  const out: { from: string; to: string; text: string }[] = []
  for (const l of lines.slice(1)) {
    const line = l.trim()
    const box = /^box transparent (.+)$/.exec(line)
    const participant = /^participant (\w+)(?: as (.+))?$/.exec(line)
    const message = /^(\w+)(?:->>|-->>|-\))(\w+): (.+)$/.exec(line)
    const note = /^Note over (\w+): (.+)$/.exec(line)
    if (box !== null) host = `${box[1]} `
    else if (line === 'end') host = ''
    else if (participant !== null) names.set(participant[1] ?? '', host + (participant[2] ?? participant[1] ?? ''))
    else if (message !== null || note !== null) {
      const [from = '', to = ''] = message !== null ? [message[1], message[2]] : [note?.[1], note?.[1]]
      expect(names.has(from) && names.has(to)).toBe(true)
      const said = (message?.[3] ?? note?.[2] ?? '').trim()
      // a code of a character, or none of those that mean something there
      expect(said.replace(/#(\d+|\w+);|<br\/>/g, '')).not.toMatch(/[#;<>"]|\bend\b/)
      out.push({ from: names.get(from) ?? '', to: names.get(to) ?? '', text: said })
    } else expect(line).toMatch(/^title \S/)
  }
  expect(host).toBe('')
  return out
}

describe('mermaid', () => {
  it('tells which layer calls which, down to the wire and up at the other host', async () => {
    const text = await writtenText('mermaid', scenario('virtio-udp4-512'))
    const steps = sequence(text)
    const at = (from: string, to: string): number => {
      const i = steps.findIndex((s) => s.from === from && s.to === to)
      expect(i).toBeGreaterThanOrEqual(0)
      return i
    }
    const order = [
      at('host skbtrace-1234', 'host socket'),
      at('host socket', 'host UDP'),
      at('host UDP', 'host IP'),
      at('host IP', 'host device'),
      steps.findIndex((s) => s.to === 'wire' && s.text.startsWith('eth0 out<br/>IPv4 10.0.0.1 #gt; 10.0.0.2<br/>UDP')),
      steps.findIndex((s) => s.from === 'wire' && s.text.startsWith('eth0 in<br/>IPv4 10.0.0.1 #gt; 10.0.0.2<br/>UDP')),
      at('netns peer IP', 'netns peer UDP'),
    ]
    expect(order).toEqual([...order].sort((a, b) => a - b))
    expect(steps.some((s) => s.text === 'copies 512 bytes, user to kernel')).toBe(true)
    expect(steps.at(-1)).toEqual({ from: 'host socket', to: 'host skbtrace-1234', text: '512' })
  })

  it('is cut where it would get too long, and says by how much', async () => {
    const again = scenario('lo-udp4-sendto-512').replace(/^> .*$/m, (l) => `${l}\n`.repeat(40))
    const text = await writtenText('mermaid', again)
    const steps = sequence(text)
    expect(steps.at(-1)?.text).toMatch(/^cut here, \d+ more messages and notes are not shown$/)
    // what GitHub draws at most: maxTextSize
    expect(text.length).toBeLessThan(50_000)
  })

  it('is a flow chart of functions, with its edges among its nodes', async () => {
    for (const detail of ['path', 'full'] as const) {
      const text = await writtenText('mermaid', scenario('veth-tcp4-send-4096'), { diagram: 'flow', graph: { detail } })
      const nodes = new Map([...text.matchAll(/^ {4}(n\d+)\["([^"]+)"\](?::::inlined)?$/gm)].map((m) => [m[1] ?? '', m[2] ?? '']))
      const edges = [...text.matchAll(/^ {2}(n\d+) (?:-->|-\. skb \.->) (n\d+)$/gm)]
      expect(text).toMatch(/^---\ntitle: "skbtrace run x.scn"\n---\nflowchart TD\n {2}subgraph t1\["host, skbtrace-1234"\]\n/)
      expect(nodes.size).toBeLessThanOrEqual(120)
      // what GitHub draws at most: maxEdges
      expect(edges.length).toBeLessThan(500)
      for (const [, from = '', to = ''] of edges) expect(nodes.has(from) && nodes.has(to)).toBe(true)
      expect(/more calls are not shown/.test(text)).toBe(detail === 'full')
      if (detail === 'full') continue
      const [, over = '', to = ''] = edges.find(([l]) => l.includes('skb')) ?? []
      expect(nodes.get(over)).toMatch(/enqueue_to_backlog|netif_rx_internal|veth_xmit|netif_rx/)
      expect(nodes.get(to)).toMatch(/netif_receive_skb/)
    }
  })

  it('stands in a fence in a file of Markdown', async () => {
    const text = await writtenText('mermaid', scenario('lo-udp4-sendto-512'), { file: 'x.md' })
    expect(text).toMatch(/^```mermaid\nsequenceDiagram\n[\s\S]*\n```\n$/)
  })

  it('writes characters that mean something in Mermaid as their codes', () => {
    // https://mermaid.js.org/syntax/sequenceDiagram.html#entity-codes-to-asText-characters
    expect(asText('a > b; #1 "x" end\nof')).toBe('a #gt; b#59; #35;1 #quot;x#quot; e#110;d of')
  })
})
