import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** whether a terminal can be had here: tmux, Debian's package of that name */
export const hasTmux = spawnSync('tmux', ['-V'], { stdio: 'ignore' }).status === 0

const program = join(import.meta.dirname, '../../bin/skbtrace.js')
let sessions = 0

/** The real program in a real terminal: keys in, screens out. */
export class Terminal {
  readonly #socket: string
  readonly #state = mkdtempSync(join(tmpdir(), 'skbtrace-state-'))

  constructor(columns: number, rows: number, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.#socket = `skbtrace-test-${process.pid}-${sessions++}`
    const settings = Object.entries({ XDG_STATE_HOME: this.#state, NO_COLOR: '', ...env })
    const words = ['env', ...settings.map(([k, v]) => `${k}=${v}`), process.execPath, program, ...args]
    const command = words.map((w) => `'${w.replace(/'/g, "'\\''")}'`).join(' ')
    this.#tmux('new-session', '-d', '-x', String(columns), '-y', String(rows), `${command}; echo "[exit $?]"; sleep 600`)
  }

  #tmux(...args: string[]): string {
    return execFileSync('tmux', ['-L', this.#socket, '-f', '/dev/null', ...args], { encoding: 'utf8' })
  }

  /** `Enter`, `Tab`, `Escape`, `C-c`, `M-1` */
  key(...names: string[]): void {
    this.#tmux('send-keys', ...names)
  }

  /** types text, and Enter */
  line(text: string): void {
    this.#tmux('send-keys', '-l', text)
    this.key('Enter')
  }

  type(text: string): void {
    this.#tmux('send-keys', '-l', text)
  }

  resize(columns: number, rows: number): void {
    this.#tmux('resize-window', '-x', String(columns), '-y', String(rows))
  }

  /** what is on the screen; with `history`, the scroll-back above it as well */
  screen(history = false): string {
    return this.#tmux('capture-pane', '-p', ...(history ? ['-S', '-2000'] : []))
  }

  /** waits until the screen shows something, and is that screen */
  async until(what: RegExp, history = false): Promise<string> {
    let text = ''
    for (let i = 0; i < 500; i++) {
      text = this.screen(history)
      if (what.test(text)) return text
      await new Promise((r) => setTimeout(r, 50))
    }
    throw new Error(`${what} does not come. The screen:\n${text}`)
  }

  close(): void {
    spawnSync('tmux', ['-L', this.#socket, 'kill-server'], { stdio: 'ignore' })
    rmSync(this.#state, { recursive: true, force: true })
  }
}
