import { tracer } from '../../../trace/tracer.ts'
import { early_initcall } from '../../include/linux/init.ts'

/** modules whose code is there, by name and alias, as depmod lists them: what insmod runs */
const available = new Map<string, () => number>()
/** in the kernel since this boot */
let inserted = new Set<string>()
early_initcall(() => {
  inserted = new Set()
})

/** MODULE_ALIAS and module_init() of code that is loaded when it is asked for: `init` is run by the first request after a boot. */
export function declare_module(name: string, init: () => number): void {
  available.set(name, init)
}

/**
 * Loads a module that user space has. Nothing of it is traced: modprobe is another process.
 * @returns 0, or -2 (ENOENT) when there is no such module
 */
export function request_module(name: string): number {
  const init = available.get(name)
  if (init === undefined) return -2
  if (inserted.has(name)) return 0
  inserted.add(name)
  const { on } = tracer
  tracer.on = false
  const err = init()
  tracer.on = on
  return err
}
