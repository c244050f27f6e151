import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'

export const chromium = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((p) => existsSync(p))

interface Reply {
  id?: number
  method?: string
  params?: Record<string, unknown>
  result?: Record<string, unknown>
  error?: { message: string }
}

/** A browser without a window, told what to do by its DevTools protocol over two pipes. */
export class Browser {
  readonly #process: ChildProcess
  readonly #profile = mkdtempSync(join(tmpdir(), 'skbtrace-chromium-'))
  readonly #waiting = new Map<number, (r: Reply) => void>()
  #next = 0
  #session = ''
  /** what the page wrote to its console as an error or warning, and exceptions */
  readonly complaints: string[] = []
  /** addresses that were asked for */
  readonly requests: string[] = []

  private constructor() {
    this.#process = spawn(
      chromium ?? '',
      ['--headless', '--no-sandbox', '--disable-gpu', '--remote-debugging-pipe', `--user-data-dir=${this.#profile}`],
      { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
    )
    let text = ''
    const from = this.#process.stdio[4] as Readable
    from.setEncoding('utf8')
    from.on('data', (chunk: string) => {
      text += chunk
      for (let at = text.indexOf('\0'); at >= 0; at = text.indexOf('\0')) {
        this.#receive(JSON.parse(text.slice(0, at)) as Reply)
        text = text.slice(at + 1)
      }
    })
  }

  #receive(r: Reply): void {
    if (r.id !== undefined) {
      this.#waiting.get(r.id)?.(r)
      this.#waiting.delete(r.id)
    } else if (r.method === 'Runtime.exceptionThrown' || r.method === 'Log.entryAdded')
      this.complaints.push(JSON.stringify(r.params))
    else if (r.method === 'Runtime.consoleAPICalled' && /error|warning/.test(String(r.params?.type)))
      this.complaints.push(JSON.stringify(r.params))
    else if (r.method === 'Network.requestWillBeSent') this.requests.push((r.params as { request: { url: string } }).request.url)
  }

  send(method: string, params: object = {}): Promise<Record<string, unknown>> {
    const id = ++this.#next
    const to = this.#process.stdio[3] as Writable
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, (r) =>
        r.error === undefined ? resolve(r.result ?? {}) : reject(new Error(`${method}: ${r.error.message}`)),
      )
      to.write(`${JSON.stringify({ id, method, params, ...(this.#session === '' ? {} : { sessionId: this.#session }) })}\0`)
    })
  }

  /** a browser that has opened this page, in a window of that many pixels; `dark`: for a dark desktop */
  static async open(url: string, width: number, height: number, dark = false): Promise<Browser> {
    const b = new Browser()
    const { targetId } = await b.send('Target.createTarget', { url: 'about:blank' })
    const { sessionId } = await b.send('Target.attachToTarget', { targetId, flatten: true })
    b.#session = String(sessionId)
    for (const domain of ['Page', 'Runtime', 'Network', 'Log']) await b.send(`${domain}.enable`)
    await b.send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false })
    await b.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }] })
    await b.send('Page.navigate', { url })
    for (let i = 0; i < 200; i++) {
      if ((await b.evaluate('document.readyState')) === 'complete') return b
      await new Promise((r) => setTimeout(r, 25))
    }
    throw new Error('the page does not finish loading')
  }

  async evaluate(expression: string): Promise<unknown> {
    const r = await this.send('Runtime.evaluate', { expression, returnByValue: true })
    return (r.result as { value?: unknown }).value
  }

  /** presses keys one after the other: `ArrowDown`, `/`, `a` */
  async press(...keys: string[]): Promise<void> {
    for (const key of keys) {
      const text = key.length === 1 ? { text: key } : key === 'Enter' ? { text: '\r' } : {}
      await this.send('Input.dispatchKeyEvent', { type: 'keyDown', key, ...text })
      await this.send('Input.dispatchKeyEvent', { type: 'keyUp', key })
    }
  }

  async screenshot(): Promise<Buffer> {
    const { data } = await this.send('Page.captureScreenshot', { format: 'png' })
    return Buffer.from(String(data), 'base64')
  }

  async close(): Promise<void> {
    const gone = new Promise((r) => this.#process.once('exit', r))
    this.#process.kill('SIGKILL')
    await gone
    // its helpers go a moment later, and still write
    for (let i = 0; i < 40; i++)
      try {
        rmSync(this.#profile, { recursive: true, force: true })
        return
      } catch {
        await new Promise((r) => setTimeout(r, 50))
      }
  }
}
