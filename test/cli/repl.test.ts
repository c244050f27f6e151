import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ThreadEngine } from '../../src/repl/engine/thread.ts'

const bin = resolve(process.env.SKBTRACE_BIN ?? 'bin/skbtrace.js')
let dir = ''
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'skbtrace-repl-'))
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const repl = (lines: string, ...args: string[]) =>
  spawnSync(process.execPath, [bin, 'repl', ...args], {
    encoding: 'utf8',
    cwd: dir,
    input: lines,
    maxBuffer: 1 << 26,
    env: { PATH: process.env.PATH },
  })

describe('skbtrace repl with a pipe', () => {
  test('does lines one by one', () => {
    const r = repl('break ip_queue_xmit\nsend 4096\nprint skb.len\ndelete\nfinish\n')
    expect(r.stderr).toBe('')
    expect(r.status).toBe(0)
    expect(r.stdout).toContain('Breakpoint 1, ip_queue_xmit')
    // TCP with timestamps: 32 bytes before 4096
    expect(r.stdout).toContain('$1 = 4128')
    expect(r.stdout).toContain('Value returned is $2 = 0')
  })

  test('names the line that failed, goes on, and exits with 1', () => {
    const r = repl('send 10\nprint nothing_at_all\nsend 20\n\n# a comment\nrecv\n')
    expect(r.status).toBe(1)
    expect(r.stderr).toMatch(/^skbtrace: line 2: no symbol "nothing_at_all" here[^\n]*\n$/)
    expect(r.stdout).toContain('recv(s, 65536, MSG_DONTWAIT) = 30')
  })

  test('quit ends it, and what follows is not done', () => {
    const r = repl('quit\nnonsense\n')
    expect([r.status, r.stdout, r.stderr]).toEqual([0, '', ''])
  })

  test('an unwilling reader is no mistake', () => {
    const r = spawnSync(
      'sh',
      ['-c', `printf 'send 4096\\ninfo functions *\\n' | "${process.execPath}" "${bin}" repl | head -1; echo "$?"`],
      {
        encoding: 'utf8',
      },
    )
    expect(r.stderr).toBe('')
  })

  test('opens a scenario', () => {
    writeFileSync(join(dir, 'a.scn'), 'u = socket(AF_INET, SOCK_DGRAM, 0)\n> sendto(u, 10, 0, 127.0.0.1:7)\n')
    const r = repl('info lines\n', 'a.scn')
    expect(r.status).toBe(0)
    expect(r.stdout).toContain('> sendto(u, 10, 0, 127.0.0.1:7)')
  })

  test('a scenario with a mistake is refused, with the place', () => {
    writeFileSync(join(dir, 'bad.scn'), 'u = socket(AF_INET, SOCK_DGRAM, 0)\nsendto(u, 10, 0, 127.0.0.1)\n')
    const r = repl('', 'bad.scn')
    expect(r.status).toBe(2)
    expect(r.stderr).toMatch(/^skbtrace: bad\.scn:2: [^\n]+\n$/)
    expect(repl('', 'missing.scn').stderr).toBe('skbtrace: missing.scn: no such file or directory\n')
  })

  test('what it saves runs again to the same bytes', () => {
    const r = repl('ip link set lo mtu 1500\nsend 4096\nrecv\nsave b.scn\nprint 1\nsave b.jsonl\nsave b.pcapng\n')
    expect(r.status).toBe(0)
    spawnSync(process.execPath, [bin, 'run', 'b.scn', '-o', 'c.jsonl', '-o', 'c.pcapng'], { cwd: dir })
    const text = (name: string): string => readFileSync(join(dir, name), 'utf8').split('\n').slice(1).join('\n')
    expect(text('b.jsonl')).toBe(text('c.jsonl'))
    expect(text('b.jsonl').length).toBeGreaterThan(10_000)
  })

  test('a saved trace can be walked in', () => {
    spawnSync(process.execPath, [bin, 'send', '--bytes', '4096', '-o', 'walk.jsonl.gz'], { cwd: dir })
    const r = repl(
      'break ip_queue_xmit\ncontinue\nbt\nhexdump\ndelete\nfinish\nreverse-finish\nprint skb.len\nsend 1\n',
      'walk.jsonl.gz',
    )
    expect(r.stdout).toContain('Breakpoint 1, ip_queue_xmit')
    expect(r.stdout).toMatch(/#\d+ +tcp_sendmsg /)
    expect(r.stdout).toContain('len 4128')
    expect(r.stdout).toContain('Value returned is $1 = 0')
    expect(r.stderr).toContain('line 8: this is a recorded trace')
    expect(r.stderr).toContain('line 9: this is a recorded trace')
    writeFileSync(join(dir, 'no.jsonl'), 'hello\n')
    expect(repl('', 'no.jsonl').stderr).toMatch(/^skbtrace: no\.jsonl:1: [^\n]+\n$/)
  })
})

describe('the engine in a thread', () => {
  test('answers, completes, and can be stopped in a long run', async () => {
    const engine = new ThreadEngine({ seed: 1, interactive: true, width: 100 }, bin)
    try {
      expect((await engine.submit('send 4096')).ok).toBe(true)
      const { length } = { length: (await engine.view({})).at?.events ?? 0 }
      expect((await engine.complete('break tcp_write_x', 17)).candidates.map((c) => c.text)).toEqual(['tcp_write_xmit'])
      let progress = 0
      engine.onProgress = (p) => {
        progress = p.events
        engine.interrupt()
      }
      const lines = Array.from({ length: 3000 }, () => '> send(c, 65536, 0)\ndrain(s)').join('\n')
      writeFileSync(join(dir, 'long.scn'), lines)
      const r = await engine.submit(`source ${join(dir, 'long.scn')}`)
      expect(r.ok).toBe(false)
      expect(r.blocks.at(-1)?.text).toContain('interrupted')
      expect(progress).toBeGreaterThan(length)
      engine.onProgress = null
      expect((await engine.submit('send 1')).blocks.at(-1)?.text).toContain('= 1')
    } finally {
      await engine.close()
    }
  })
})
