import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Output, OutputError } from '../../src/formats/output.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'skbtrace-test-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

describe('Output', () => {
  it('gives a file its name when it is complete', () => {
    const path = join(dir, 'trace')
    const out = Output.open(path)
    out.write('x'.repeat(200_000))
    expect(existsSync(path)).toBe(false)
    out.finish()
    expect(readFileSync(path, 'utf8').length).toBe(200_000)
    expect(readdirSync(dir)).toEqual(['trace'])
  })

  it('leaves nothing half-written behind', () => {
    const out = Output.open(join(dir, 'trace'))
    out.write('x'.repeat(200_000))
    out.abandon()
    expect(readdirSync(dir)).toEqual([])
  })

  it('writes to devices and links directly', () => {
    symlinkSync('/dev/null', join(dir, 'link'))
    const out = Output.open(join(dir, 'link'))
    out.write('x')
    out.finish()
    expect(readdirSync(dir)).toEqual(['link'])
  })

  it('says in one line why a file cannot be opened', () => {
    expect(() => Output.open(join(dir, 'no', 'such', 'place'))).toThrow(/no such file or directory$/)
    expect(() => Output.open(dir)).toThrow(OutputError)
  })

  it('prints a heading above what was written before it was known, however much that is', () => {
    const path = join(dir, 'trace')
    const out = Output.open(path)
    out.write('first\n')
    out.hold()
    const line = `${'y'.repeat(99)}\n`
    for (let i = 0; i < 300_000; i++) out.write(line)
    out.release('heading\n')
    out.write('last\n')
    out.finish()
    const text = readFileSync(path, 'utf8')
    expect(text.startsWith(`first\nheading\n${line}${line}`)).toBe(true)
    expect(text.endsWith(`${line}last\n`)).toBe(true)
    expect(text.length).toBe(6 + 8 + 300_000 * 100 + 5)
  })

  it('keeps characters whole across its pieces', () => {
    const path = join(dir, 'trace')
    const out = Output.open(path)
    const text = 'ß€😀'.repeat(30_000)
    out.write(text)
    out.finish()
    expect(readFileSync(path, 'utf8')).toBe(text)
  })

  it('ends quietly when nobody reads any more', () => {
    const program = join(dir, 'p.mjs')
    execFileSync(
      'npx',
      ['esbuild', 'src/formats/output.ts', '--bundle', '--platform=node', '--format=esm', `--outfile=${join(dir, 'output.mjs')}`],
      { stdio: 'ignore' },
    )
    const code = `import { Output, ClosedPipe } from ${JSON.stringify(join(dir, 'output.mjs'))}
      try { const o = Output.stdout(); for (let i = 0; i < 1e6; i++) o.write('line ' + i + '\\n'); o.finish() } catch (e) { process.exit(e instanceof ClosedPipe ? 0 : 3) }`
    execFileSync('sh', ['-c', `cat > ${program}`], { input: code })
    const r = spawnSync('bash', ['-c', `set -o pipefail; node ${program} | head -2`], { encoding: 'utf8' })
    expect(r.stdout).toBe('line 0\nline 1\n')
    expect(r.status).toBe(0)
  })
})
