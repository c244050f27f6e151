import { parentPort, workerData } from 'node:worker_threads'
import { openSession } from './open.ts'
import type { Answer, Request, WorkerData } from './thread.ts'

/** The other end of ThreadEngine: answers requests one after the other. */
export async function serve(): Promise<void> {
  const port = parentPort
  if (port === null) return
  const { engine: options, stop } = workerData as WorkerData
  const flag = new Int32Array(stop)
  const post = (a: Answer): void => port.postMessage(a)
  const opening = openSession(options, options.open, () => Atomics.load(flag, 0) !== 0)
  // requests wait until it is open; a file that cannot be opened is told to the first of them
  port.on('message', (r: Request) => {
    void opening
      .then(async (engine) => {
        engine.onProgress = (progress) => post({ progress })
        switch (r.what) {
          case 'submit':
            return engine.submit(r.line)
          case 'view':
            return engine.view(r.want)
          case 'complete':
            return engine.complete(r.line, r.cursor)
        }
      })
      .then(
        (value) => post({ id: r.id, value }),
        (e) => post({ id: r.id, failure: e instanceof Error ? e.message : String(e) }),
      )
  })
  await opening.then(
    () => post({ ready: true }),
    () => {},
  )
}
