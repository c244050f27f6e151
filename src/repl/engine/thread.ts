import { Worker } from 'node:worker_threads'
import type { Completion, Engine, EngineOptions, Progress, Reply, View, Want } from './types.ts'

/** What goes to the worker, and what comes back. */
export type Request =
  | { id: number; what: 'submit'; line: string }
  | { id: number; what: 'view'; want: Want }
  | { id: number; what: 'complete'; line: string; cursor: number }

/** what the worker says */
export type Answer = { id: number; value: unknown } | { id: number; failure: string } | { progress: Progress } | { ready: true }

/** what the worker is started with */
export interface WorkerData {
  engine: EngineOptions & { open: string | null }
  stop: SharedArrayBuffer
}

/** the verb that bin/skbtrace.js is started with as a worker: src/cli/repl.ts */
const WORKER_VERB = 'repl-worker'

/**
 * The engine in a thread of its own. `open`: a scenario or a saved trace that it begins with. The thread runs the same program file.
 */
export class ThreadEngine implements Engine {
  onProgress: ((p: Progress) => void) | null = null
  readonly #worker: Worker
  readonly #stop = new Int32Array(new SharedArrayBuffer(4))
  readonly #waiting = new Map<number, { resolve: (v: never) => void; reject: (e: Error) => void }>()
  #id = 0
  #busy = 0
  #closed = false

  constructor(options: EngineOptions, program: string, open: string | null = null) {
    const workerData: WorkerData = { engine: { ...options, open }, stop: this.#stop.buffer as SharedArrayBuffer }
    this.#worker = new Worker(program, { argv: [WORKER_VERB], workerData })
    this.#worker.on('message', (m: Answer) => this.#message(m))
    this.#worker.on('error', (e) => this.#fail(e instanceof Error ? e : new Error(String(e))))
    this.#worker.on('exit', () => {
      if (!this.#closed) this.#fail(new Error('the engine has stopped'))
    })
  }

  #fail(e: Error): void {
    for (const w of this.#waiting.values()) w.reject(e)
    this.#waiting.clear()
  }

  #message(m: Answer): void {
    if ('ready' in m) return
    if ('progress' in m) {
      this.onProgress?.(m.progress)
      return
    }
    const w = this.#waiting.get(m.id)
    this.#waiting.delete(m.id)
    if ('failure' in m) w?.reject(new Error(m.failure))
    else w?.resolve(m.value as never)
  }

  #ask<T>(request: (id: number) => Request): Promise<T> {
    if (this.#closed) return Promise.reject(new Error('the engine is closed'))
    const id = ++this.#id
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (v: never) => void, reject })
      this.#worker.postMessage(request(id))
    })
  }

  async submit(line: string): Promise<Reply> {
    if (this.#busy++ === 0) Atomics.store(this.#stop, 0, 0)
    try {
      return await this.#ask<Reply>((id) => ({ id, what: 'submit', line }))
    } finally {
      this.#busy--
      // an interrupt that came too late is nobody's any more
      if (this.#busy === 0) Atomics.store(this.#stop, 0, 0)
    }
  }

  view(want: Want): Promise<View> {
    return this.#ask<View>((id) => ({ id, what: 'view', want }))
  }

  complete(line: string, cursor: number): Promise<Completion> {
    return this.#ask<Completion>((id) => ({ id, what: 'complete', line, cursor }))
  }

  interrupt(): void {
    if (this.#busy > 0) Atomics.store(this.#stop, 0, 1)
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#worker.terminate()
  }
}

/** Starts an engine in a worker thread. It is there at once; its first answer waits until the kernel is loaded. */
export const inThread = (options: EngineOptions, open: string | null = null): ThreadEngine =>
  new ThreadEngine(options, process.argv[1] ?? '', open)
