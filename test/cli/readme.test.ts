import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** the code block behind a mark, without its indentation */
function excerpt(markdown: string, mark: string): string[] {
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
  return lines.filter((l) => l.trim() !== '' && l.trim() !== '...')
}

test('the excerpt in the README is what the command prints, line after line', () => {
  const lines = excerpt(readFileSync(`${root}/README.md`, 'utf8'), '<!-- excerpt: skbtrace send --bytes 4096 -->')
  expect(lines.length).toBeGreaterThan(20)
  const { stdout } = spawnSync(process.execPath, ['bin/skbtrace.js', 'send', '--bytes', '4096'], { cwd: root, encoding: 'utf8' })
  const printed = stdout.split('\n')
  let at = 0
  for (const l of lines) {
    const found = printed.indexOf(l, at)
    expect(found, `'${l}' is not printed (any more), or not in this order`).toBeGreaterThanOrEqual(at)
    at = found + 1
  }
})
