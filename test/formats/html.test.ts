import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaults } from '../../src/formats/function_graph.ts'
import { Html } from '../../src/formats/html.ts'
import { Output } from '../../src/formats/output.ts'
import { Host } from '../../src/host/host.ts'
import { Runner } from '../../src/script/runner.ts'
import { parseScenario } from '../../src/script/scenario.ts'
import { listen } from '../../src/trace/tracer.ts'
import { Browser, chromium } from '../support/chromium.ts'

const refs = join(import.meta.dirname, '../../fixtures/refs/lo-udp4-sendto-512')
const read = (name: string): string => readFileSync(join(refs, name), 'utf8')

describe('html', () => {
  let dir = ''
  let file = ''

  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'skbtrace-test-'))
    file = join(dir, 'trace.html')
    const out = Output.open(file)
    const html = new Html(out, { title: 'skbtrace run </script> & <b>', graph: defaults })
    const host = new Host({ seed: 1 })
    listen(html)
    new Runner(host, html).run(parseScenario(read('scenario.scn')))
    listen(null)
    html.close()
    out.finish()
  })
  afterAll(() => rmSync(dir, { recursive: true, force: true }))

  it('is one file that names no other place', () => {
    const text = readFileSync(file, 'utf8')
    expect(text).not.toMatch(/(src|href)=["']?(https?:)?\/\//)
    expect(text).not.toMatch(/@import|url\(/)
    // nothing that a trace holds ends the script or becomes an element
    expect(text.match(/<\/script>/g)).toHaveLength(2)
    expect(text).toContain('<title>skbtrace run &#60;/script&#62; &#38; &#60;b&#62;</title>')
  })

  it.runIf(chromium !== undefined)(
    'opens in Chromium, is searched and stepped by keyboard, shows what the kernel had',
    { timeout: 60_000 },
    async () => {
      const b = await Browser.open(`file://${file}`, 1400, 6000)
      try {
        const rows = async (): Promise<string[]> =>
          (await b.evaluate(`[...document.querySelectorAll('.row')].map((r) => {
            const n = r.querySelector('.name')
            return n === null ? '' : '  '.repeat(r.ariaLevel - 2) + n.textContent
          }).filter((t) => t !== '')`)) as string[]
        const selected = (): Promise<unknown> => b.evaluate(`document.querySelector('[aria-selected=true]').textContent`)

        // path and source are what it begins with; d d: full, v: as ftrace sees it, which is what the kernel's tracer recorded
        await b.press('d', 'd', 'v')
        const recorded = read('calls-full.txt').split('\n')
        const tree = recorded.filter((l) => l.trim() !== '' && !l.startsWith('>') && !l.startsWith('#'))
        const indent = Math.min(...tree.map((l) => l.search(/\S/)))
        const clean = (l: string): string => l.replace(/\.(isra|constprop|part)\.\d+/g, '')
        // the recordings begin below the entry from user space
        const [entry, ...below] = await rows()
        expect(entry).toBe('x64_sys_call')
        expect(below.map((l) => clean(l.slice(2)))).toEqual(tree.map((l) => l.slice(indent)))

        // search, then step
        await b.press('/', ...'ip_output', 'Enter', 'Escape')
        expect(await selected()).toContain('ip_output')
        expect(await b.evaluate(`document.getElementById('hits').textContent`)).toMatch(/^1 of \d+$/)
        const hit = read('skb.jsonl')
          .split('\n')
          .filter((l) => l !== '')
          .map((l) => JSON.parse(l) as { fn: string; headroom: number; len: number; truesize: number; tail: number })
          .find((s) => s.fn === 'ip_output')
        const picture = await b.evaluate(`document.querySelector('#buffer svg').textContent`)
        expect(picture).toContain(`data ${hit?.headroom}`)
        expect(picture).toContain(`tail ${hit?.tail}`)
        expect(picture).toContain(`len ${hit?.len}`)
        expect(picture).toContain(`truesize ${hit?.truesize}`)
        await b.press('ArrowDown')
        expect(await selected()).not.toContain(' ip_output()')

        // a field and its bytes: RFC 791 has the source address in bytes 12 to 15
        await b.evaluate(`[...document.querySelectorAll('button.field')].find((f) => f.textContent.startsWith('saddr')).focus()`)
        expect(await b.evaluate(`[...document.querySelectorAll('b.lit')].map((x) => [+x.dataset.i, x.textContent])`)).toEqual([
          [12, '7f'],
          [13, '00'],
          [14, '00'],
          [15, '01'],
        ])
        // one datagram on the wire
        expect(await b.evaluate(`document.querySelectorAll('.d-frame').length`)).toBe(1)

        // fold: the function stays, what is below it goes
        await b.press('Home', 'ArrowDown', 'ArrowDown')
        const before = (await rows()).length
        await b.press('ArrowLeft')
        expect((await rows()).length).toBeLessThan(before)
        await b.press('ArrowRight')
        expect(await rows()).toHaveLength(before)
        await b.press('Enter')
        expect((await rows()).length).toBeLessThan(before)
        await b.press('Enter')
        expect(await rows()).toHaveLength(before)
        // only what can be opened says whether it is
        expect(
          await b.evaluate(`[...document.querySelectorAll('.row .name')].every((n) => {
            const row = n.closest('.row')
            return row.hasAttribute('aria-expanded') === /[▸▾]/.test(row.textContent)
          })`),
        ).toBe(true)
        // the frame in the sequence is a button: it leads to its place in the tree
        await b.evaluate(`document.querySelector('.d-frame').focus()`)
        await b.press('Enter')
        expect(await selected()).toMatch(/frame 1 out on lo/)
        expect(await b.evaluate(`document.activeElement.id`)).toBe('tree')

        expect((await b.screenshot()).length).toBeGreaterThan(20_000)
        expect(b.complaints).toEqual([])
        expect(b.requests).toEqual([`file://${file}`])
      } finally {
        await b.close()
      }
    },
  )
})
