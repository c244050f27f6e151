import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** what fixtures/score/score.mjs says of a scenario: shares from 0 to 1 */
export interface Row {
  name: string
  results: number
  net: number
  full: number
  skb: number
  wire: number
  strangers: string[]
  note: string
}

/** tenths of a per cent, rounded down */
export type Levels = Readonly<Record<string, { net: number; full: number; skb: number; wire: number }>>
export const parts = ['net', 'full', 'skb', 'wire'] as const
export const level = (row: Row | undefined, part: (typeof parts)[number]): number => Math.floor((row?.[part] ?? 0) * 1000)

/** Runs the built program for some of the recordings of a folder, and compares. */
export function score(folder: string, names: readonly string[]): Row[] {
  const args = [
    'fixtures/score/score.mjs',
    folder,
    '--only',
    names.join(','),
    '--json',
    '--',
    process.execPath,
    'bin/skbtrace.js',
  ]
  const cwd = fileURLToPath(new URL('../..', import.meta.url))
  const { stdout } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8', maxBuffer: 1 << 26 })
  return JSON.parse(stdout.split('\n')[0] ?? '[]') as Row[]
}
