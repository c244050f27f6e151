import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

/** lines that are kept across runs */
const MOST = 1000

/** where the history is: in the state directory of the XDG base directory specification */
export function historyFile(env: NodeJS.ProcessEnv = process.env): string {
  const { XDG_STATE_HOME: state } = env
  // the specification: a path that is not absolute is to be ignored
  return join(state?.startsWith('/') ? state : join(homedir(), '.local/state'), 'skbtrace', 'history')
}

/** the lines of earlier runs, oldest first; none when there is no file or it cannot be read */
export function readHistory(file: string): string[] {
  let lines: string[]
  try {
    lines = readFileSync(file, 'utf8')
      .split('\n')
      .filter((l) => l !== '')
  } catch {
    return []
  }
  const kept = lines.slice(-MOST)
  if (lines.length > 2 * MOST)
    try {
      writeFileSync(file, `${kept.join('\n')}\n`, { mode: 0o600 })
    } catch {
      // it stays as long as it is
    }
  return kept
}

/** keeps a line for later runs. A history that cannot be written is no reason to stop */
export function addToHistory(file: string, line: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    appendFileSync(file, `${line.replace(/\n/g, ' ')}\n`, { mode: 0o600 })
  } catch {
    // a read-only home, no home at all
  }
}
