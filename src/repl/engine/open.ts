import { readFileSync } from 'node:fs'
import { reasonOf } from '../../formats/output.ts'
import { UserError } from './debugger.ts'
import { LocalEngine } from './engine.ts'
import type { EngineOptions } from './types.ts'
import { source } from './verbs/managing.ts'
import { Interrupted } from './watcher.ts'

/**
 * Makes an engine in this thread that begins with a file: a scenario is run, a saved trace is opened for looking at it. null: with
 * nothing.
 * @throws UserError when the file cannot be opened or makes no sense
 */
export async function openSession(
  options: EngineOptions,
  file: string | null,
  stop: () => boolean = () => false,
): Promise<LocalEngine> {
  if (file === null) return new LocalEngine(options, stop)
  if (/\.jsonl(\.gz|\.zst)?$/.test(file)) {
    const { openTrace } = await import('./trace.ts')
    const engine = new LocalEngine(options, stop, true)
    await openTrace(engine.debugger, file)
    return engine
  }
  try {
    readFileSync(file)
  } catch (e) {
    throw new UserError(`${file}: ${reasonOf(e)}`)
  }
  const engine = new LocalEngine(options, stop)
  try {
    await source(engine.debugger, file)
  } catch (e) {
    throw e instanceof Interrupted ? new UserError(`${file}: interrupted`) : e
  }
  return engine
}
