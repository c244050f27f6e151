import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const bin = resolve(root, process.env.SKBTRACE_BIN ?? 'bin/skbtrace.js')
const readme = readFileSync(`${root}/README.md`, 'utf8')

/** the code block behind a mark, without its indentation and empty lines */
function block(markdown: string, mark: string): string[] {
  const after = markdown
    .slice(markdown.indexOf(mark) + mark.length)
    .split('\n')
    .slice(1)
  const lines: string[] = []
  for (const l of after) {
    if (l.startsWith('    ')) lines.push(l.slice(4))
    else if (l.trim() === '') lines.push('')
    else break
  }
  return lines.filter((l) => l.trim() !== '')
}

test('the excerpt in the README is what the command prints, line after line', () => {
  const lines = block(readme, '<!-- excerpt: skbtrace send --bytes 4096 -->').filter((l) => l.trim() !== '...')
  expect(lines.length).toBeGreaterThan(20)
  const { stdout } = spawnSync(process.execPath, [bin, 'send', '--bytes', '4096'], { cwd: root, encoding: 'utf8' })
  const printed = stdout.split('\n')
  let at = 0
  for (const l of lines) {
    const found = printed.indexOf(l, at)
    expect(found, `'${l}' is not printed (any more), or not in this order`).toBeGreaterThanOrEqual(at)
    at = found + 1
  }
})

test('the session in the README is what skbtrace repl answers to what is typed there', () => {
  const prompt = '(skbtrace) '
  const lines = block(readme, '<!-- session: skbtrace repl -->')
  const typed = lines.filter((l) => l.startsWith(prompt)).map((l) => l.slice(prompt.length))
  // as issue 5 has it, in this order
  const asked = [
    'break ip_queue_xmit',
    'send 4096',
    'step',
    'x/40xb skb.data',
    'reverse-next',
    'continue',
    'whatif ethtool -K eth0 tso off',
  ]
  expect(typed.filter((l) => asked.includes(l))).toEqual(asked)
  const r = spawnSync(process.execPath, [bin, 'repl'], { cwd: root, encoding: 'utf8', input: `${typed.join('\n')}\n` })
  expect(r.stderr).toBe('')
  expect(r.status).toBe(0)
  const printed = r.stdout.trimEnd().split('\n')
  let at = 0
  let left = false
  for (const l of lines.filter((x) => !x.startsWith(prompt))) {
    if (l === '...') {
      left = true
      continue
    }
    const found = printed.indexOf(l, at)
    expect(found, `'${l}' is not printed (any more)`).toBeGreaterThanOrEqual(at)
    if (!left) expect(printed.slice(at, found), `left out before '${l}', and no ... says so`).toEqual([])
    at = found + 1
    left = false
  }
  expect(left || at === printed.length).toBe(true)
})

test('every file that the README and the docs name is there', () => {
  const files = ['README.md', ...readdirSync(`${root}/docs`, { recursive: true, encoding: 'utf8' }).map((f) => `docs/${f}`)]
  for (const file of files.filter((f) => f.endsWith('.md'))) {
    const links = [...readFileSync(`${root}/${file}`, 'utf8').matchAll(/\]\((?!https?:)([^)#]+)/g)].map((m) => m[1] ?? '')
    for (const link of links) expect(existsSync(resolve(root, dirname(file), link)), `${file}: ${link}`).toBe(true)
  }
})
